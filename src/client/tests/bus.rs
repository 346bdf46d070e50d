//! A bus in memory.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, Mutex};

use crossbeam_channel::{Receiver, Sender, bounded};

use crate::bus::access::Heard;
use crate::bus::supervisor::Connect;
use crate::bus::{Access, BusError, Connected, HearAccess, Interest, Question};

/// What proxies answer to a request on a subject; none if nobody listens there.
type Answers = Box<dyn FnMut(&str, &serde_json::Value) -> Option<Vec<String>> + Send>;

/// A bus. Clones are the same.
#[derive(Clone, Default)]
pub(super) struct Bus(Arc<Mutex<State>>);

#[derive(Default)]
struct State {
    down: bool,
    link: Option<Arc<Link>>,
    hear: Option<HearAccess>,
    answers: Option<Answers>,
    asked: Vec<String>,
    pings: usize,
    announced: Vec<String>,
    subscriptions: BTreeMap<u64, Interest>,
    refused: Option<String>,
    /// What happens while something is subscribed to.
    meanwhile: Option<Box<dyn FnMut() + Send>>,
    forgotten: Vec<(u64, bool)>,
}

struct Link {
    bus: Bus,
    alive: Mutex<Option<Sender<()>>>,
    gone: Receiver<()>,
}

impl Bus {
    pub(super) fn connect(&self, hear: &HearAccess) -> Connect<dyn Access> {
        self.0.lock().unwrap().hear = Some(Arc::clone(hear));
        let bus = self.clone();
        Arc::new(move |_, _| {
            let mut state = bus.0.lock().unwrap();
            if state.down {
                return Err(BusError::Unreachable("it is down".into()));
            }
            let (alive, gone) = bounded(0);
            let link = Arc::new(Link {
                bus: bus.clone(),
                alive: Mutex::new(Some(alive)),
                gone,
            });
            state.link = Some(Arc::clone(&link));
            state.subscriptions.clear();
            Ok(link)
        })
    }

    /// Proxies at these Asterisks announce themselves from now on.
    pub(super) fn announce(&self, asterisks: &[&str]) {
        let mut state = self.0.lock().unwrap();
        state.announced = asterisks.iter().map(|&id| id.to_owned()).collect();
        drop(state);
        self.tell_who_is_there();
    }

    fn tell_who_is_there(&self) {
        let state = self.0.lock().unwrap();
        let (announced, hear) = (state.announced.clone(), state.hear.clone());
        drop(state);
        for id in announced {
            let body = format!(r#"{{"node":"{id}","application":"a"}}"#);
            hear.as_ref().unwrap()(Heard::Announcement(body.as_bytes()));
        }
    }

    pub(super) fn answer(
        &self,
        answers: impl FnMut(&str, &serde_json::Value) -> Option<Vec<String>> + Send + 'static,
    ) {
        self.0.lock().unwrap().answers = Some(Box::new(answers));
    }

    /// The link is lost, and there is none before [`Bus::rise`].
    pub(super) fn fall(&self) {
        let mut state = self.0.lock().unwrap();
        state.down = true;
        let link = state.link.take();
        drop(state);
        if let Some(link) = link {
            link.close();
        }
    }

    pub(super) fn rise(&self) {
        self.0.lock().unwrap().down = false;
    }

    /// Subscriptions to these subjects are refused from now on.
    pub(super) fn refuse(&self, subject: &str) {
        self.0.lock().unwrap().refused = Some(subject.to_owned());
    }

    /// Does `what` whenever something is subscribed to.
    pub(super) fn meanwhile(&self, what: impl FnMut() + Send + 'static) {
        self.0.lock().unwrap().meanwhile = Some(Box::new(what));
    }

    /// The subjects of all requests so far.
    pub(super) fn asked(&self) -> Vec<String> {
        self.0.lock().unwrap().asked.clone()
    }

    pub(super) fn pings(&self) -> usize {
        self.0.lock().unwrap().pings
    }

    /// What questions were forgotten, and whether no answer could follow.
    pub(super) fn forgotten(&self) -> Vec<bool> {
        let state = self.0.lock().unwrap();
        state
            .forgotten
            .iter()
            .map(|(_, complete)| *complete)
            .collect()
    }

    /// What is subscribed to, but for statuses.
    pub(super) fn subscribed(&self) -> Vec<String> {
        let state = self.0.lock().unwrap();
        let all = state
            .subscriptions
            .iter()
            .filter(|(number, _)| **number > 0);
        all.map(|(_, interest)| interest.subject.clone()).collect()
    }

    /// Publishes an event on `subject`, or below `<prefix>status` a status.
    pub(super) fn publish(&self, subject: &str, body: &str) {
        let state = self.0.lock().unwrap();
        let takes = |interest: &Interest| match interest.below {
            true => subject.starts_with(&format!("{}.", interest.subject)),
            false => subject == interest.subject,
        };
        let all = state
            .subscriptions
            .iter()
            .filter(|(_, interest)| takes(interest));
        let numbers: Vec<u64> = all.map(|(number, _)| *number).collect();
        let hear = state.hear.clone().unwrap();
        drop(state);
        for subscription in numbers {
            hear(Heard::Event {
                subscription,
                body: body.as_bytes(),
                claim: None,
            });
        }
    }
}

impl fmt::Display for Link {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a bus in memory")
    }
}

impl Connected for Link {
    fn check(&self) {}

    fn lost(&self) -> &Receiver<()> {
        &self.gone
    }

    fn is_lost(&self) -> bool {
        self.alive.lock().unwrap().is_none()
    }

    fn why(&self) -> Option<String> {
        None
    }

    fn peer(&self) -> String {
        self.to_string()
    }

    fn close(&self) {
        self.alive.lock().unwrap().take();
    }
}

impl Access for Link {
    fn ask(&self, question: Question<'_>) -> Result<(), BusError> {
        if self.is_lost() {
            return Err(BusError::Lost);
        }
        let mut state = self.bus.0.lock().unwrap();
        state.asked.push(question.subject.to_owned());
        let request = serde_json::from_slice(question.body).unwrap();
        let mut answers = state.answers.take().unwrap();
        let hear = state.hear.clone().unwrap();
        drop(state);
        let said = answers(question.subject, &request);
        self.bus.0.lock().unwrap().answers = Some(answers);
        let number = question.number;
        match said {
            None => hear(Heard::Nobody(number)),
            Some(bodies) => {
                for body in bodies {
                    hear(Heard::Answer {
                        question: number,
                        body: body.as_bytes(),
                    });
                }
            }
        }
        Ok(())
    }

    fn forget(&self, number: u64, complete: bool) {
        let mut state = self.bus.0.lock().unwrap();
        state.forgotten.push((number, complete));
    }

    fn ping(&self, _: &str) -> Result<(), BusError> {
        self.bus.0.lock().unwrap().pings += 1;
        self.bus.tell_who_is_there();
        Ok(())
    }

    fn attend(&self, _: &str) -> Result<(), BusError> {
        Ok(())
    }

    fn subscribe(&self, number: u64, interest: &Interest) -> Result<(), BusError> {
        if self.is_lost() {
            return Err(BusError::Lost);
        }
        let meanwhile = self.bus.0.lock().unwrap().meanwhile.take();
        if let Some(mut what) = meanwhile {
            what();
            self.bus.0.lock().unwrap().meanwhile = Some(what);
        }
        let mut state = self.bus.0.lock().unwrap();
        if state.refused.as_ref() == Some(&interest.subject) {
            return Err(BusError::Denied {
                what: "subscribe".into(),
                why: "no".into(),
            });
        }
        let before = state.subscriptions.insert(number, interest.clone());
        assert_eq!(before, None, "a number is used once");
        Ok(())
    }

    fn unsubscribe(&self, number: u64) {
        let mut state = self.bus.0.lock().unwrap();
        state.subscriptions.remove(&number);
    }
}
