use super::*;
use crate::bus::link::Use;
use crate::bus::{Connected, Hear, Reply, Topics};
use crate::proxy::buffer::Event;
use crate::wire::subject::Subjects;
use crossbeam_channel::{bounded, never, unbounded};
use std::fmt;
use std::sync::Mutex;
use std::thread;
use std::time::Instant;

/// A link that takes one message more with every wait.
struct Narrow {
    came: Mutex<Vec<Vec<u8>>>,
    taken: AtomicUsize,
    gone: Receiver<()>,
}

impl fmt::Display for Narrow {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("narrow")
    }
}

impl Link for Narrow {
    fn publish(
        &self,
        _: Topic,
        _: &str,
        _: Option<&Mark>,
        body: &[u8],
    ) -> Result<Option<u64>, BusError> {
        let mut came = self.came.lock().unwrap();
        if came.len() > self.taken.load(Ordering::Relaxed) {
            return Err(BusError::Busy);
        }
        came.push(body.to_vec());
        Ok(Some(came.len() as u64))
    }

    fn taken(&self) -> u64 {
        self.taken.load(Ordering::Relaxed) as u64
    }

    fn is_uncertain(&self) -> bool {
        false
    }

    fn heard(&self) -> Instant {
        // Long after everything: nothing that is taken is kept.
        Instant::now() + Duration::from_secs(60)
    }

    fn wait(&self, _: Duration) {
        self.taken.fetch_add(1, Ordering::Relaxed);
    }

    fn answer(&self, _: &Reply, _: &[u8]) -> Result<(), BusError> {
        Err(BusError::Busy)
    }

    fn flush(&self) {}

    fn settle(&self, _: Duration) -> bool {
        true
    }

    fn with_inbox(&self, _: Topic, _: Use<'_>) -> Result<(), BusError> {
        Err(BusError::Lost)
    }

    fn topics(&self, _: &str, _: Option<&str>, _: Hear) -> Result<Box<dyn Topics>, BusError> {
        Err(BusError::Lost)
    }
}

impl Connected for Narrow {
    fn check(&self) {}

    fn lost(&self) -> &Receiver<()> {
        &self.gone
    }

    fn is_lost(&self) -> bool {
        false
    }

    fn why(&self) -> Option<String> {
        None
    }

    fn peer(&self) -> String {
        "narrow".into()
    }

    fn close(&self) {}
}

fn event(number: u8) -> Event {
    Event {
        frame: vec![number].into(),
        origin: Standing::new("app", Subjects::new("ari.", "app")).name("00:01"),
        received: Instant::now(),
    }
}

#[test]
fn on_a_link_that_is_busy_most_of_the_time() {
    let (tell, told) = unbounded();
    let (give, orders) = bounded(4);
    let buffer = Arc::new(Buffer::new(1000, 1000, &Arc::default()));
    let publisher = Publisher {
        buffer: Arc::clone(&buffer),
        dialogs: Arc::new(Dialogs::new(10)),
        standing: Arc::new(Standing::new("app", Subjects::new("ari.", "app"))),
        counters: Arc::default(),
        longest: Duration::from_secs(60),
        marked: false,
        tells: true,
        held: Arc::default(),
        orders,
        tell,
    };
    let mut pace = crate::proxy::buffer::Pace::default();
    for number in 0..200 {
        assert!(!buffer.push(event(number), &mut pace));
    }
    let link = Arc::new(Narrow {
        came: Mutex::default(),
        taken: AtomicUsize::new(0),
        gone: never(),
    });
    let report = Report::new(&publisher.standing, true);
    let mut outbox = Outbox::new(report);
    let order = Order::Link(7, link.clone(), Duration::ZERO);
    publisher.carry_out(order, &mut outbox);
    while let Err(BusError::Busy) = publisher.publish_waiting(&mut outbox) {
        assert!(outbox.sent.len() <= 2, "what is taken is forgotten");
        link.wait(Duration::ZERO);
    }
    let backlog = told.try_recv();
    assert!(matches!(backlog, Ok(conductor::Event::BacklogSent(7))));
    let bodies: Vec<u8> = link
        .came
        .lock()
        .unwrap()
        .iter()
        .flatten()
        .copied()
        .collect();
    assert_eq!(bodies, (0..200).collect::<Vec<u8>>());
    give.send(Order::Finish("done")).unwrap();
    thread::scope(|scope| scope.spawn(|| publisher.run()).join().unwrap());
}
