//! Measures how requests are answered: so many at the same time, each answer followed by the next
//! request.

use std::time::{Duration, Instant};

use super::client::Conversation;
use super::contender::Contender;
use super::echo::Echo;
use super::launch::{Asking, Site};
use super::measure::{Delay, Measure, Meter, Used};
use super::scenario::RequestLoad;
use super::usage::Memory;

/// How long requests are sent before anything is measured.
const WARM_UP: Duration = Duration::from_millis(500);
/// How long an answer may take before it counts as lost.
const PATIENCE: Duration = Duration::from_secs(6);

/// Measures `load` on `contender`.
pub(crate) fn measure(
    site: &Site<'_>,
    contender: &Contender,
    load: &RequestLoad,
) -> Option<Measure> {
    let application = site.application();
    let subject = site.subject(load.kind.class(), &application);
    let launched = site.launch(contender, &application, Asking::Late);
    let echo = match &launched {
        Some(_) => None,
        None => Some(Echo::start(site, &subject)),
    };
    let pid = launched.as_ref().map(|launched| launched.process.id());
    let request = load.kind.request();
    let mut ran = None;
    let client = site.broker.client();
    client.converse(&subject, request.as_bytes(), &mut |conversation| {
        probe(conversation);
        let mut talk = Talk::new(site, conversation, load.concurrency, 0);
        talk.go_on(Instant::now() + WARM_UP);
        talk.finish();
        let meter = Meter::start(site, pid);
        let mut talk = Talk::new(site, conversation, load.concurrency, 1);
        let start = Instant::now();
        talk.go_on(start + load.span);
        let busy = start.elapsed();
        let used = meter.stop();
        ran = Some((talk.finish(), busy, used));
    });
    let (talked, busy, used): (Talked, Duration, Used) = ran.expect("it ran");
    let mut row = Measure::new(site, contender, load.name());
    row.done = talked.delays.len() as u64;
    row.lost = talked.lost;
    row.errors = talked.errors;
    row.duplicates = talked.duplicates;
    row.sent = row.done + row.errors + row.lost;
    row.rate = Some(row.done as f64 / busy.as_secs_f64());
    row.cpu = used.by((row.done + row.errors) as f64);
    row.delay = Delay::of(talked.delays);
    if let Some(launched) = launched {
        row.size(launched.process.id(), Memory::Peak);
        launched.end();
    }
    drop(echo);
    Some(row)
}

/// Sends single requests until one is answered well: a proxy may announce itself before it listens.
pub(crate) fn probe(conversation: &mut dyn Conversation) {
    /// Numbers from here on are no others'.
    const FIRST: u64 = 1 << 62;
    /// How many are sent, half a second apart.
    const TRIES: u64 = 20;
    for number in FIRST..FIRST + TRIES {
        conversation.forget();
        conversation.send(number);
        conversation.flush();
        let answer = conversation.next(Duration::from_millis(500));
        if answer.is_some_and(|answer| answer.good) {
            return;
        }
    }
    panic!("no request is answered well");
}

/// A conversation that is going on.
struct Talk<'a> {
    site: &'a Site<'a>,
    conversation: &'a mut dyn Conversation,
    /// The request that is unanswered in each place, and when it was sent.
    places: Vec<Option<(u64, u64)>>,
    talked: Talked,
}

/// What came of a conversation.
#[derive(Default)]
struct Talked {
    /// How long good answers took, in nanoseconds.
    delays: Vec<u64>,
    errors: u64,
    duplicates: u64,
    lost: u64,
}

impl<'a> Talk<'a> {
    /// Begins one with `concurrency` requests. No two rounds of them have numbers in common.
    fn new(
        site: &'a Site<'a>,
        conversation: &'a mut dyn Conversation,
        concurrency: u64,
        round: u64,
    ) -> Talk<'a> {
        let first = round * (concurrency << 32);
        let mut talk = Talk {
            site,
            conversation,
            places: Vec::new(),
            talked: Talked::default(),
        };
        for number in first..first + concurrency {
            talk.places.push(Some((number, talk.site.clock.now())));
            talk.conversation.send(number);
        }
        talk.conversation.flush();
        talk
    }

    /// Goes on until `end`.
    fn go_on(&mut self, end: Instant) {
        while Instant::now() < end {
            let mut limit = Duration::from_millis(50);
            let mut sent = false;
            while let Some(answer) = self.conversation.next(limit) {
                limit = Duration::ZERO;
                if self.take(answer.number, answer.good) {
                    let place = self.place(answer.number);
                    let number = answer.number + self.places.len() as u64;
                    self.places[place] = Some((number, self.site.clock.now()));
                    self.conversation.send(number);
                    sent = true;
                }
            }
            if sent {
                self.conversation.flush();
            }
        }
    }

    /// Waits for what is unanswered; that counts only if it stays so.
    fn finish(mut self) -> Talked {
        let measured = self.talked.delays.len();
        let deadline = Instant::now() + PATIENCE;
        while self.places.iter().any(Option::is_some) && Instant::now() < deadline {
            if let Some(answer) = self.conversation.next(Duration::from_millis(50)) {
                self.take(answer.number, answer.good);
            }
        }
        self.talked.delays.truncate(measured);
        self.talked.lost = self.places.iter().flatten().count() as u64;
        self.talked
    }

    /// Notes an answer; whether it was waited for.
    fn take(&mut self, number: u64, good: bool) -> bool {
        let place = self.place(number);
        let Some((_, sent)) = self.places[place].take_if(|(waiting, _)| *waiting == number) else {
            self.talked.duplicates += 1;
            return false;
        };
        if good {
            let delay = self.site.clock.now().saturating_sub(sent);
            self.talked.delays.push(delay);
        } else {
            self.talked.errors += 1;
        }
        true
    }

    fn place(&self, number: u64) -> usize {
        usize::try_from(number % self.places.len() as u64).expect("an index")
    }
}
