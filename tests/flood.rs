//! Many more requests than Asterisk can do: those that are too many are refused at once, and the
//! workers do as many as without them.

use std::time::{Duration, Instant};

use serde_json::json;

use crate::support::bus::{BusKind, Message, Messages, on_each_bus};
use crate::support::rig::Rig;
use crate::support::server::{Reply, Request};
use crate::support::wait::{SOON, wait_until};

on_each_bus!(ten_times_more_requests_than_can_be_done,);

/// How long a call takes: each worker does 100 a second at most.
const CALL: Duration = Duration::from_millis(10);
/// How long each part lasts.
const LASTS: Duration = Duration::from_secs(2);
/// How many requests are on their way when none is too many.
const FEW: usize = 64;
/// How many times too many come then.
const TIMES: f64 = 10.0;
/// A refusal that comes so late is late.
const AT_ONCE: Duration = Duration::from_millis(50);

fn slowly(request: &Request) -> Option<Reply> {
    (request.path == "/ari/channels").then(|| {
        std::thread::sleep(CALL);
        Reply::ok(&json!([]))
    })
}

/// What came of a request.
struct Outcome {
    done: bool,
    at: Instant,
}

impl Outcome {
    fn of(answer: &Message) -> (usize, Outcome) {
        let at = Instant::now();
        let number = answer.subject.rsplit('.').next();
        let number = number.and_then(|n| n.parse().ok()).expect("a number");
        let text = String::from_utf8_lossy(&answer.data);
        let done = text.starts_with(r#"{"error":"""#);
        let refused = text == r#"{"error":"proxy is overloaded"}"#;
        assert!(done || refused, "{text}");
        (number, Outcome { done, at })
    }
}

/// Sends as many requests as `due` says of the time since the beginning and the number of answers so
/// far; when each was sent, and what came of it.
fn run(
    rig: &Rig,
    answers: &Messages,
    due: impl Fn(Duration, usize) -> usize,
) -> Vec<(Instant, Outcome)> {
    let subject = rig.subject("get");
    let request = json!({"kind": "ChannelList", "key": null}).to_string();
    let answered = std::sync::atomic::AtomicUsize::new(0);
    let sending = std::sync::atomic::AtomicBool::new(true);
    let order = std::sync::atomic::Ordering::SeqCst;
    let start = Instant::now();
    let (mut sent, mut outcomes) = (Vec::new(), Vec::new());
    std::thread::scope(|scope| {
        let taker = scope.spawn(|| {
            let mut outcomes = Vec::new();
            let mut silent_since = Instant::now();
            // After the last one nothing more comes.
            while sending.load(order) || silent_since.elapsed() < Duration::from_secs(1) {
                if let Some(answer) = answers.next(Duration::from_millis(50)) {
                    outcomes.push(Outcome::of(&answer));
                    answered.fetch_add(1, order);
                    silent_since = Instant::now();
                }
            }
            outcomes
        });
        while start.elapsed() < LASTS {
            let due = due(start.elapsed(), answered.load(order));
            while sent.len() < due {
                let reply = format!("flood.{}", sent.len());
                sent.push(Instant::now());
                rig.bus.publish_request(&subject, &reply, &request);
            }
            std::thread::sleep(Duration::from_micros(500));
        }
        rig.bus.flush();
        wait_until("every request is answered", SOON, || {
            answered.load(order) >= sent.len()
        });
        sending.store(false, order);
        outcomes = taker.join().expect("answers");
    });
    let mut of_request: Vec<Option<Outcome>> = sent.iter().map(|_| None).collect();
    for (number, outcome) in outcomes {
        let before = of_request[number].replace(outcome);
        assert!(before.is_none(), "{number} is answered twice");
    }
    let pairs = sent.into_iter().zip(of_request);
    pairs
        .map(|(sent, outcome)| (sent, outcome.expect("an answer")))
        .collect()
}

/// How many were done a second while requests came.
fn rate(outcomes: &[(Instant, Outcome)]) -> f64 {
    let first = outcomes.first().map(|(sent, _)| *sent).expect("a request");
    let within = |outcome: &Outcome| outcome.done && outcome.at < first + LASTS;
    let done = outcomes.iter().filter(|(_, outcome)| within(outcome));
    done.count() as f64 / LASTS.as_secs_f64()
}

fn ten_times_more_requests_than_can_be_done(on: BusKind) {
    // RabbitMQ on a small machine passes on no more than a few thousand requests a second.
    let (workers, queue) = match on {
        BusKind::Nats => ("16", "1024"),
        BusKind::RabbitMq => ("4", "256"),
    };
    let rig = Rig::with(on, |proxy| {
        proxy
            .env("WORKERS_COUNT", workers)
            .env("WORKERS_QUEUE", queue)
            .env("WORKERS_MAX_WAIT", "60s")
    });
    rig.asterisk.on(slowly);
    let answers = rig.bus.subscribe("flood.*");
    let few = run(&rig, &answers, |_, answered| answered + FEW);
    assert!(few.iter().all(|(_, outcome)| outcome.done));
    let best = rate(&few);
    let before = rig.proxy.rss_kib();
    let files = rig.proxy.open_files();
    let many = run(&rig, &answers, |elapsed, _| {
        (elapsed.as_secs_f64() * best * TIMES) as usize
    });
    let grown = rig.proxy.rss_kib().saturating_sub(before);
    let mut refusals: Vec<Duration> = many
        .iter()
        .filter(|(_, outcome)| !outcome.done)
        .map(|(sent, outcome)| outcome.at - *sent)
        .collect();
    refusals.sort();
    assert!(refusals.len() > many.len() / 10, "they were too many");
    let share = |share: f64| refusals[((refusals.len() - 1) as f64 * share) as usize];
    let in_time = refusals.iter().filter(|took| **took <= AT_ONCE).count();
    println!(
        "{on:?}: {best:.0}/s of few; of {:.0}/s for {LASTS:?} {:.0}/s done, {} refused after p50 {:?}, \
         p99 {:?}, at most {:?} ({:.2} % within {AT_ONCE:?}); {grown} KiB more",
        many.len() as f64 / LASTS.as_secs_f64(),
        rate(&many),
        refusals.len(),
        share(0.5),
        share(0.99),
        share(1.0),
        in_time as f64 * 100.0 / refusals.len() as f64,
    );
    assert!(grown < 16 * 1024, "{grown} KiB more");
    assert!(rig.proxy.open_files() <= files + 16);
    assert_eq!(rig.probe(), None);
}
