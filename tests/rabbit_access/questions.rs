//! Questions, and answers of proxies that echo correlation ids and of those that do not.

use ari_proxy::bus::{BusError, Question};

use super::{Application, Came, answer, next, publish, rig};
use crate::support::wait::{SOON, wait_until};

#[test]
fn questions_are_answered_with_and_without_an_echo() {
    let (vhost, bus) = rig();
    let requests = bus.subscribe("ari.get.>");
    let application = Application::connect(&vhost.url());
    for (number, echoes) in [(1, true), (2, false), (3, true), (4, false)] {
        application.ask(number, "ari.get.app.id");
        let request = next(&requests);
        assert_eq!(request.subject, "ari.get.app.id");
        assert_eq!(request.data, number.to_string().into_bytes());
        let properties = &request.properties;
        assert_eq!(
            properties.content_type().as_deref(),
            Some("application/json")
        );
        let correlation = properties.correlation_id().as_deref();
        assert_eq!(correlation, Some(number.to_string().as_str()));
        answer(&bus, &request, "a", echoes);
        answer(&bus, &request, "b", echoes);
        assert_eq!(application.answer(), (number, "a".into()));
        assert_eq!(application.answer(), (number, "b".into()), "of another");
        application.access.forget(number, true);
    }
}

#[test]
fn two_questions_answered_in_reverse_order_without_an_echo() {
    let (vhost, bus) = rig();
    let requests = bus.subscribe("ari.get.>");
    let application = Application::connect(&vhost.url());
    application.ask(1, "ari.get.app.id");
    application.ask(2, "ari.get.app.id");
    let (one, two) = (next(&requests), next(&requests));
    answer(&bus, &two, "two", false);
    answer(&bus, &one, "one", false);
    assert_eq!(application.answer(), (2, "two".into()));
    assert_eq!(application.answer(), (1, "one".into()));
}

#[test]
fn late_answers_reach_no_other_question() {
    let (vhost, bus) = rig();
    let requests = bus.subscribe("ari.get.>");
    let application = Application::connect(&vhost.url());
    let mut number = 0;
    // Those who echo at first, do not in the end: addresses are used again by then.
    for echoes in [false, true, true, true, false, true, false] {
        let mut late = Vec::new();
        for _ in 0..5 {
            number += 1;
            application.ask(number, "ari.get.app.id");
            late.push(next(&requests));
            application.access.forget(number, false);
        }
        number += 1;
        application.ask(number, "ari.get.app.id");
        let request = next(&requests);
        for old in &late {
            answer(&bus, old, "late", echoes);
        }
        answer(&bus, &request, "now", true);
        assert_eq!(application.answer(), (number, "now".into()));
        application.access.forget(number, true);
    }
    assert!(application.heard.is_empty());
}

#[test]
fn addresses_are_bounded_and_come_back() {
    let (vhost, bus) = rig();
    let requests = bus.subscribe("ari.get.>");
    let application = Application::connect(&vhost.url());
    let access = &application.access;
    for round in 0..3 {
        let numbers = round * 1000..round * 1000 + 256;
        for number in numbers.clone() {
            let body = number.to_string();
            let question = Question {
                number,
                subject: "ari.get",
                body: body.as_bytes(),
            };
            // Half of those of the last round are closed first.
            wait_until("an address is free", SOON, || {
                access.ask(question) == Ok(())
            });
        }
        let one_more = Question {
            number: numbers.end,
            subject: "ari.get",
            body: b"",
        };
        assert_eq!(access.ask(one_more), Err(BusError::Busy));
        for _ in numbers {
            // Those that are asked together come in any order.
            let request = next(&requests);
            let question = String::from_utf8_lossy(&request.data).into_owned();
            answer(&bus, &request, &question, false);
            let (answered, body) = application.answer();
            assert_eq!(answered.to_string(), body);
            assert_eq!(body, question);
            access.forget(answered, answered % 2 == 0);
        }
    }
}

#[test]
fn nobody_there() {
    let (vhost, bus) = rig();
    let application = Application::connect(&vhost.url());
    for number in 1..4 {
        application.ask(number, "ari.get.app.id");
        assert!(matches!(application.next(), Came::Nobody(it) if it == number));
        application.access.forget(number, true);
    }
    // The access of somebody who may not ask goes on.
    bus.channel().exchange_delete("ari.request", false).unwrap();
    application.ask(5, "ari.get.app.id");
    assert!(matches!(application.next(), Came::Nobody(5)));
    application.subscribe(1, "ari.event.app", true);
    publish(&bus, "ari.event.app.id", "e");
    assert_eq!(application.event(), (1, "e".into()));
}
