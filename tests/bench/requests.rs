//! Measures how requests are answered: so many at the same time, each answer followed by the next
//! request.

use std::time::{Duration, Instant};

use super::client::Conversation;
use super::contender::Contender;
use super::launch::{Asking, Site};
use super::measure::{Delay, Measure, Meter, Used};
use super::scenario::{Kind, RequestLoad, binding};

/// How long requests are sent before anything is measured.
const WARM_UP: Duration = Duration::from_millis(500);
/// How long an answer may take before it counts as lost.
const PATIENCE: Duration = Duration::from_secs(6);
/// How long binding all dialogs may take.
const BINDING: Duration = Duration::from_secs(60);

/// Measures `load` on `contender`.
pub(crate) fn measure(
    site: &Site<'_>,
    contender: &Contender,
    load: &RequestLoad,
) -> Option<Measure> {
    let application = site.application();
    let launched = site.launch(contender, &application, Asking::Late)?;
    let row = converse(site, &application, load, Some(launched.process.id()));
    launched.end();
    Some(row)
}

/// Sends `load` to the proxy of `application`; what that needs is noted where its process is given.
pub(crate) fn converse(
    site: &Site<'_>,
    application: &str,
    load: &RequestLoad,
    pid: Option<u32>,
) -> Measure {
    let subject = site.subject(load.kind.class(), application);
    let request = load.kind.request();
    let body = |_| request.clone();
    let mut ran = None;
    let client = site.broker.client();
    client.converse(&subject, &mut |conversation| {
        probe(conversation, &request);
        let mut talk = Talk::new(site, conversation, &body, load.concurrency, 0);
        talk.go_on(Instant::now() + WARM_UP);
        talk.finish();
        let meter = pid.map(|pid| Meter::start(site, pid));
        let mut talk = Talk::new(site, conversation, &body, load.concurrency, 1);
        let start = Instant::now();
        talk.go_on(start + load.span);
        let busy = start.elapsed();
        let used = meter.map(Meter::stop);
        ran = Some((talk.finish(), busy, used));
    });
    let (talked, busy, used): (Talked, Duration, Option<Used>) = ran.expect("it ran");
    let done = talked.delays.len() as u64;
    let mut row = Measure {
        sent: done + talked.errors + talked.lost,
        done,
        rate: Some(done as f64 / busy.as_secs_f64()),
        lost: talked.lost,
        errors: talked.errors,
        duplicates: talked.duplicates,
        delay: Delay::of(talked.delays),
        ..Measure::default()
    };
    if let Some(used) = used {
        used.note(&mut row, (done + talked.errors) as f64);
    }
    row
}

/// Binds `dialogs` dialogs, each to a channel that no event is about.
pub(crate) fn bind(site: &Site<'_>, application: &str, dialogs: u64) {
    /// How many are asked for at the same time.
    const CONCURRENCY: u64 = 64;
    let subject = site.subject(Kind::NoCall.class(), application);
    let body = |number| {
        binding(
            &format!("no-such-channel-{number}"),
            &format!("bench-{number}"),
        )
    };
    let client = site.broker.client();
    client.converse(&subject, &mut |conversation| {
        probe(conversation, &body(0));
        if dialogs > 1 {
            let mut talk = Talk::new(site, conversation, &body, CONCURRENCY, 0);
            talk.go_on_to(dialogs);
            let talked = talk.finish();
            assert!(talked.lost + talked.errors == 0, "a dialog was not bound");
        }
    });
}

/// Sends single requests until one is answered well: a proxy may announce itself before it listens.
fn probe(conversation: &mut dyn Conversation, request: &str) {
    /// Numbers from here on are no others'.
    const FIRST: u64 = 1 << 62;
    /// How many are sent, half a second apart.
    const TRIES: u64 = 20;
    for number in FIRST..FIRST + TRIES {
        conversation.forget();
        conversation.send(number, request.as_bytes());
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
    /// What is asked with a number.
    body: &'a dyn Fn(u64) -> String,
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
        body: &'a dyn Fn(u64) -> String,
        concurrency: u64,
        round: u64,
    ) -> Talk<'a> {
        let first = round * (concurrency << 32);
        let mut talk = Talk {
            site,
            conversation,
            body,
            places: vec![None; usize::try_from(concurrency).expect("a size")],
            talked: Talked::default(),
        };
        for number in first..first + concurrency {
            talk.send(number);
        }
        talk.conversation.flush();
        talk
    }

    fn send(&mut self, number: u64) {
        let body = (self.body)(number);
        let place = self.place(number);
        self.places[place] = Some((number, self.site.clock.now()));
        self.conversation.send(number, body.as_bytes());
    }

    /// Goes on until `end`.
    fn go_on(&mut self, end: Instant) {
        while Instant::now() < end {
            self.answer_answers(u64::MAX);
        }
    }

    /// Goes on until all requests up to the number `end` are sent.
    fn go_on_to(&mut self, end: u64) {
        let deadline = Instant::now() + BINDING;
        while self
            .places
            .iter()
            .flatten()
            .any(|(number, _)| number + self.width() < end)
        {
            assert!(Instant::now() < deadline, "binding dialogs takes too long");
            self.answer_answers(end);
        }
    }

    /// Follows each answer with the next request of its place, if its number is below `end`.
    fn answer_answers(&mut self, end: u64) {
        let mut limit = Duration::from_millis(50);
        let mut sent = false;
        while let Some(answer) = self.conversation.next(limit) {
            limit = Duration::ZERO;
            let next = answer.number + self.width();
            if self.take(answer.number, answer.good) && next < end {
                self.send(next);
                sent = true;
            }
        }
        if sent {
            self.conversation.flush();
        }
    }

    fn width(&self) -> u64 {
        self.places.len() as u64
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
