//! One dialog: a call and the application instance that serves it, from the AppStart to the last event.

use std::collections::VecDeque;
use std::hash::{BuildHasher, RandomState};
use std::time::{Duration, Instant};

use serde_json::value::RawValue;

use super::room::{Place, Room};
use crate::wire::command::{BadCommand, Command};

/// Most commands of a dialog that wait for their turn. Applications of go-ari-library send the next
/// when they have the response to the last.
const MOST_COMMANDS: usize = 64;
/// How many commands are remembered, to be told when they come again after a link was lost.
const REMEMBERED: usize = 32;
/// How long commands are still served after the end or after the last of them: an application cleans up
/// after the last event.
const LINGER: Duration = Duration::from_secs(2);
/// How long at most.
const LONGEST_LINGER: Duration = Duration::from_secs(10);
/// First and longest wait for somebody to listen.
const RETRY: Duration = Duration::from_millis(4);
const LONGEST_RETRY: Duration = Duration::from_millis(250);

/// A dialog.
pub(super) struct Dialog {
    /// The channel that it began with.
    pub(super) channel: String,
    /// How far it is.
    pub(super) stage: Stage,
    /// When its application must have come.
    pub(super) deadline: Instant,
    /// What its application is to get first, in order.
    pub(super) held: VecDeque<(Vec<u8>, Option<Place>)>,
    /// Commands that wait for their turn, and when they came.
    pub(super) commands: VecDeque<(Instant, Pending, Option<Place>)>,
    /// The number of the one that is under way.
    pub(super) busy: Option<u64>,
    /// When it is looked next whether one takes too long.
    pub(super) look: Option<Instant>,
    /// When its last event came.
    pub(super) ended: Option<Instant>,
    /// When it had nothing to do for its application any more.
    idle: Instant,
    /// The next wait for somebody to listen.
    retry: Duration,
    /// Hashes of the last commands.
    remembered: VecDeque<u64>,
}

/// How far a dialog is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Stage {
    /// Its call is to be offered to an application, from then on.
    New(Instant),
    /// It is, as soon as its topics are there.
    Opening,
    /// It is offered, under this number.
    Offered(u64),
    /// An application has it, and has not shown itself yet.
    Awaited,
    /// The application has shown itself; the first event is to be offered, from then on, if there is one.
    Greeted(Instant),
    /// The first event is offered, under this number.
    Greeting(u64),
    /// The application gets its events.
    Talking,
    /// It did, on a link that is lost. What was said there is said again first; whether it listens on the
    /// next is seen by the next event.
    Doubted,
    /// All that it is to get is on its way.
    Leaving,
}

/// A command whose turn comes.
pub(super) enum Pending {
    /// To be carried out.
    Call(Box<Command>),
    /// Not to be, but to be answered, with this status.
    Bad(u16, BadCommand),
}

impl Pending {
    /// What its application knows it by.
    pub(super) fn unique_id(&self) -> &RawValue {
        match self {
            Pending::Call(command) => &command.unique_id,
            Pending::Bad(_, bad) => &bad.unique_id,
        }
    }
}

impl Dialog {
    /// Of a call that came in on `channel`; its application has until `deadline`.
    pub(super) fn new(channel: &str, deadline: Instant) -> Dialog {
        let now = Instant::now();
        Dialog {
            channel: channel.to_owned(),
            stage: Stage::New(now),
            deadline,
            held: VecDeque::new(),
            commands: VecDeque::new(),
            busy: None,
            look: None,
            ended: None,
            idle: now,
            retry: RETRY,
            remembered: VecDeque::new(),
        }
    }

    /// Whether its application has shown itself.
    pub(super) fn is_shown(&self) -> bool {
        !matches!(
            self.stage,
            Stage::New(_) | Stage::Opening | Stage::Offered(_) | Stage::Awaited
        )
    }

    /// Whether it waits for its application, which has until the deadline.
    pub(super) fn waits(&self) -> bool {
        match self.stage {
            Stage::Greeted(_) => !self.held.is_empty(),
            // How long the bus takes for its topics is not its application's fault.
            Stage::Opening => false,
            stage => !matches!(stage, Stage::Talking | Stage::Doubted | Stage::Leaving),
        }
    }

    /// Keeps `event` until its application is there, at most `most` of them and as long as there is
    /// `room`; how many had to go for it. The first, with which the application begins, is kept, and the
    /// last, with which it ends.
    pub(super) fn hold(&mut self, event: Vec<u8>, most: usize, room: &Room) -> u64 {
        let mut gone = 0;
        let mut place = room.take(event.len());
        while self.held.len() > 1 && (self.held.len() >= most.max(2) || place.is_none()) {
            self.held.remove(1);
            gone += 1;
            place = place.or_else(|| room.take(event.len()));
        }
        self.held.push_back((event, place));
        gone
    }

    /// Its application has shown itself.
    pub(super) fn greet(&mut self, now: Instant, deadline: Instant) {
        if !self.is_shown() {
            self.stage = Stage::Greeted(now);
            self.deadline = deadline;
            self.retry = RETRY;
        }
    }

    /// When to try again, as nobody listened.
    pub(super) fn next_try(&mut self, now: Instant) -> Instant {
        let wait = self.retry;
        self.retry = (wait * 2).min(LONGEST_RETRY);
        now + wait
    }

    /// The link is lost, and with it what was on its way: nobody can tell whether it was taken. Its
    /// application, if there is one, has until `again` to show itself.
    pub(super) fn lose_link(&mut self, again: Instant) {
        self.stage = match self.stage {
            Stage::Offered(_) | Stage::Awaited => Stage::New(again),
            Stage::Opening => Stage::New(Instant::now()),
            Stage::Greeting(_) => Stage::Greeted(again),
            // What says that it may go was on its way, too.
            Stage::Talking | Stage::Leaving => Stage::Doubted,
            stage => stage,
        };
    }

    /// Takes a command that came `now` for its turn; gives it back where too many wait, or where it would
    /// go on for ever though its end is long ago.
    pub(super) fn push(
        &mut self,
        command: Pending,
        now: Instant,
        place: Option<Place>,
    ) -> Result<(), Pending> {
        let is_over = self
            .ended
            .is_some_and(|ended| now >= ended + LONGEST_LINGER);
        // Whose turn it is needs no place to wait.
        let next = self.busy.is_none() && self.commands.is_empty();
        if is_over || self.commands.len() >= MOST_COMMANDS || (place.is_none() && !next) {
            return Err(command);
        }
        self.commands.push_back((now, command, place));
        Ok(())
    }

    /// Whether `message` came before, as far as it is remembered. It is from now on.
    pub(super) fn remember(&mut self, message: &[u8], hasher: &RandomState) -> bool {
        let hash = hasher.hash_one(message);
        let known = self.remembered.contains(&hash);
        if !known {
            self.remembered.push_back(hash);
            if self.remembered.len() > REMEMBERED {
                self.remembered.pop_front();
            }
        }
        known
    }

    /// It has answered a command, or ended.
    pub(super) fn rest(&mut self, now: Instant) {
        self.idle = now;
    }

    /// When nothing is to be done for it any more, if its last event came.
    pub(super) fn over(&self) -> Option<Instant> {
        let ended = self.ended?;
        let latest = ended + LONGEST_LINGER;
        let over = (self.idle.max(ended) + LINGER).min(latest);
        (self.busy.is_none() && self.commands.is_empty()).then_some(over)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_event_is_kept_and_the_last_ones() {
        let mut dialog = Dialog::new("c", Instant::now());
        let room = Room::new(10);
        let mut hold = |event, most| {
            let gone = dialog.hold(vec![event], most, &room);
            let held: Vec<u8> = dialog.held.iter().map(|(event, _)| event[0]).collect();
            (gone, held)
        };
        assert_eq!(hold(0, 3), (0, vec![0]));
        assert_eq!(hold(1, 3), (0, vec![0, 1]));
        assert_eq!(hold(2, 3), (0, vec![0, 1, 2]));
        assert_eq!(hold(3, 3), (1, vec![0, 2, 3]));
        assert_eq!(hold(4, 0), (2, vec![0, 4]));
    }

    #[test]
    fn what_all_dialogs_hold_is_bounded() {
        let (room, now) = (Room::new(10), Instant::now());
        let mut dialogs = [Dialog::new("c", now), Dialog::new("d", now)];
        let gone: Vec<u64> = (0..5)
            .map(|_| dialogs[0].hold(vec![0; 2], 100, &room))
            .collect();
        assert_eq!(gone, [0; 5]);
        let gone: Vec<u64> = (0..4)
            .map(|_| dialogs[1].hold(vec![0; 2], 100, &room))
            .collect();
        assert_eq!(gone, [0, 0, 1, 1], "a first and a last one");
        assert_eq!(dialogs[0].hold(vec![0; 4], 100, &room), 2);
        dialogs[0].held.clear();
        assert_eq!(dialogs[1].hold(vec![0; 6], 100, &room), 0);
    }

    #[test]
    fn it_does_not_go_on_for_ever() {
        let (mut dialog, room) = (Dialog::new("c", Instant::now()), Room::new(10));
        let end = Instant::now();
        dialog.ended = Some(end);
        let mut push = |now| {
            let bad = Command::read(b"").unwrap_err();
            dialog
                .push(Pending::Bad(400, bad), now, room.take(4))
                .is_ok()
        };
        assert!(push(end + LINGER) && push(end + LINGER), "there is room");
        assert!(!push(end + LINGER));
        dialog.commands.clear();
        assert!(dialog.commands.is_empty() && room.take(10).is_some());
        let bad = Command::read(b"").unwrap_err();
        let long_ago = end + LONGEST_LINGER;
        assert!(
            dialog
                .push(Pending::Bad(400, bad), long_ago, room.take(4))
                .is_err()
        );
    }

    #[test]
    fn what_comes_again_is_known() {
        let (mut dialog, hasher) = (Dialog::new("c", Instant::now()), RandomState::new());
        assert!(!dialog.remember(b"0", &hasher));
        assert!(dialog.remember(b"0", &hasher));
        for number in 1..=REMEMBERED {
            assert!(!dialog.remember(number.to_string().as_bytes(), &hasher));
        }
        assert!(!dialog.remember(b"0", &hasher), "long ago");
    }

    #[test]
    fn it_lingers_for_its_commands() {
        let mut dialog = Dialog::new("c", Instant::now());
        assert_eq!(dialog.over(), None);
        let end = Instant::now();
        dialog.ended = Some(end);
        assert_eq!(dialog.over(), Some(end + LINGER));
        dialog.busy = Some(1);
        assert_eq!(dialog.over(), None);
        dialog.busy = None;
        dialog.rest(end + LINGER / 2);
        assert_eq!(dialog.over(), Some(end + LINGER / 2 + LINGER));
        dialog.rest(end + LONGEST_LINGER);
        assert_eq!(dialog.over(), Some(end + LONGEST_LINGER));
    }

    #[test]
    fn a_lost_link_leaves_what_was_on_its_way_in_doubt() {
        let now = Instant::now();
        let mut dialog = Dialog::new("c", now);
        dialog.stage = Stage::Awaited;
        dialog.lose_link(now);
        assert_eq!(dialog.stage, Stage::New(now));
        dialog.greet(now, now);
        assert_eq!(dialog.stage, Stage::Greeted(now));
        dialog.stage = Stage::Greeting(7);
        dialog.lose_link(now);
        assert_eq!(dialog.stage, Stage::Greeted(now));
        for stage in [Stage::Talking, Stage::Leaving] {
            dialog.stage = stage;
            dialog.lose_link(now);
            assert_eq!(dialog.stage, Stage::Doubted);
        }
    }
}
