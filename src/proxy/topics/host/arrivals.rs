//! Events of Asterisk, and the dialogs that they belong to.

use std::sync::Arc;
use std::time::{Instant, SystemTime};

use serde_json::json;

use super::Host;
use crate::ari::websocket::Frame;
use crate::proxy::topics::call::Living;
use crate::proxy::topics::dialog::Stage;
use crate::proxy::topics::objects::Object;
use crate::wire::event::Touched;
use crate::wire::kind::Entity;
use crate::wire::timestamp::rfc3339;
use crate::wire::topic;

impl Host {
    /// Asterisk sent `frame`; it may wait for commands under way, or not any more.
    pub(super) fn arrived(&mut self, frame: &Frame, patient: bool) {
        let Some(touched) = Touched::named(frame) else {
            return;
        };
        let starts = touched.kind == "StasisStart";
        if self.objects.is_empty() && !starts && !self.is_awaited(&touched) {
            return;
        }
        let now = Instant::now();
        let mut owners: Vec<Arc<str>> = Vec::new();
        for (entity, id) in &touched.entities {
            let of = self.objects.of(*entity, id);
            owners.extend(
                of.iter()
                    .filter(|id| !owners.contains(id))
                    .cloned()
                    .collect::<Vec<_>>(),
            );
            self.objects.see(*entity, id, now);
        }
        self.join_by_target(&touched, &mut owners);
        if starts
            && let Some(channel) = touched.channel.as_deref()
            && !channel.is_empty()
            && !self.objects.is_owned(Entity::Channel, channel)
        {
            if patient && self.parked.may_be_made(Entity::Channel) {
                return self.park(frame);
            }
            if let Some(dialog) = self.begin(channel) {
                self.objects
                    .join(&dialog, (Entity::Channel, channel.to_owned()));
                self.objects.see(Entity::Channel, channel, now);
                owners.push(dialog);
            }
        }
        if owners.is_empty() {
            if patient && self.is_awaited(&touched) {
                self.park(frame);
            }
            return;
        }
        self.deliver(&owners, &touched.kind, frame);
        if touched.kind == "StasisEnd" {
            let ended = owners.iter().filter(|id| {
                let channel = self.dialogs.get(*id).map(|dialog| dialog.channel.as_str());
                channel.is_some() && channel == touched.channel.as_deref()
            });
            for id in ended.cloned().collect::<Vec<_>>() {
                self.end(&id);
            }
        }
        if let Some((entity, id)) = touched.ends() {
            self.note_end(&owners, *entity, id);
            for dialog in self.objects.end(*entity, id) {
                self.end(&dialog);
            }
        }
    }

    /// Whether an event may be about what a command under way has made.
    fn is_awaited(&self, touched: &Touched<'_>) -> bool {
        let mut entities = touched.entities.iter();
        entities.any(|(entity, _)| self.parked.may_be_made(*entity))
    }

    /// Whether an event is about something that belongs to a dialog.
    pub(super) fn is_known(&self, frame: &Frame) -> bool {
        let touched = Touched::named(frame);
        let mut entities = touched.iter().flat_map(|touched| &touched.entities);
        entities.any(|(entity, id)| self.objects.is_owned(*entity, id))
    }

    fn park(&mut self, frame: &Frame) {
        for frame in self.parked.park(frame.clone()) {
            self.arrived(&frame, false);
        }
    }

    /// What is played or recorded on something of a dialog belongs to the dialog.
    fn join_by_target(&mut self, touched: &Touched<'_>, owners: &mut Vec<Arc<str>>) {
        let target = touched
            .target
            .as_deref()
            .and_then(|target| target.split_once(':'));
        let of = match target {
            Some(("channel", id)) => self.objects.of(Entity::Channel, id).to_vec(),
            Some(("bridge", id)) => self.objects.of(Entity::Bridge, id).to_vec(),
            _ => return,
        };
        for dialog in of {
            for (entity, id) in &touched.entities {
                if matches!(entity, Entity::Playback | Entity::LiveRecording) {
                    let _ = self.objects.join(&dialog, (*entity, id.to_string()));
                }
            }
            if !owners.contains(&dialog) {
                owners.push(dialog);
            }
        }
    }

    /// Delivers an event of the type `kind` to `dialogs`.
    fn deliver(&mut self, dialogs: &[Arc<str>], kind: &str, frame: &Frame) {
        // A text frame is UTF-8.
        let event = String::from_utf8_lossy(frame);
        let timestamp = rfc3339(SystemTime::now());
        let body = topic::envelope(&self.server(), &timestamp, kind, &event);
        for id in dialogs {
            let Some(dialog) = self.dialogs.get_mut(id) else {
                continue;
            };
            if dialog.stage == Stage::Talking {
                let subject: Arc<str> = topic::events(id).into();
                self.counters.topic_events.add();
                self.say(&subject, body.clone(), None);
                continue;
            }
            let gone = dialog.hold(body.clone(), self.settings.held, &self.held);
            self.counters.topic_events_dropped.add_all(gone);
            if matches!(dialog.stage, Stage::Greeted(_)) && dialog.held.len() == 1 {
                dialog.deadline = Instant::now() + self.settings.max_wait;
                self.advance(id);
            }
        }
    }

    /// What Asterisk does not have any more ends, as its own event may be lost; whether anything is
    /// missing.
    pub(super) fn missing(&mut self, living: &Living) -> bool {
        let found = |(entity, id): &Object| match entity {
            Entity::Channel => living.channels.contains(id),
            _ => living.bridges.contains(id),
        };
        let (missing, gone) = self.objects.missing(living.asked, found);
        for object in gone {
            self.gone(&object);
        }
        missing
    }

    /// Asterisk was restarted: nothing is there any more.
    pub(super) fn all_is_gone(&mut self) {
        for object in self.objects.all() {
            self.gone(&object);
        }
    }

    /// An object has gone without a word: its dialogs get the word from us.
    fn gone(&mut self, (entity, id): &Object) {
        let owners = self.objects.of(*entity, id).to_vec();
        let began_with = |dialog: &Arc<str>| {
            let dialog = self.dialogs.get(dialog);
            dialog.is_some_and(|dialog| dialog.channel == *id)
        };
        let (kind, member) = match entity {
            Entity::Channel if owners.iter().any(began_with) => ("StasisEnd", "channel"),
            Entity::Channel => ("ChannelDestroyed", "channel"),
            Entity::Bridge => ("BridgeDestroyed", "bridge"),
            _ => return,
        };
        let origin = self.standing.origin();
        let event = json!({
            "type": kind,
            "timestamp": rfc3339(SystemTime::now()),
            "application": self.settings.application,
            "asterisk_id": origin.map(|origin| origin.asterisk.clone()),
            member: {"id": id},
        });
        log::debug!("{member} {id} is not on Asterisk any more");
        self.arrived(&event.to_string().into_bytes().into(), false);
        for dialog in self.objects.end(*entity, id) {
            self.end(&dialog);
        }
    }
}
