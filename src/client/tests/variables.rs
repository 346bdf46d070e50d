//! Variables, whose values are not in the answer when they are empty.

use super::client;

#[test]
fn an_empty_variable_is_no_error() {
    let (bus, client) = client();
    let variable = |data: &str| {
        let answer = format!(r#"{{"error":"","data":{data}}}"#);
        bus.answer(move |_, _| Some(vec![answer.clone()]));
        let channel = client.channels().at("n").handle("c");
        assert_eq!(
            channel.variable("V"),
            client.asterisk().at("n").variables().get("V")
        );
        channel.variable("V")
    };
    assert_eq!(variable("{}").unwrap(), "");
    assert_eq!(variable(r#"{"variable":"x ü"}"#).unwrap(), "x ü");
    assert!(client.channels().at("n").handle("c").data().is_err());
}
