//! What a proxy says of itself on `announce`.

use serde::Serialize;

use super::key::Place;

/// The body of an announcement. The documents name the first member, the Go client reads the
/// second: all three are sent.
#[derive(Serialize)]
struct Announcement<'a> {
    asterisk: &'a str,
    node: &'a str,
    application: &'a str,
}

/// The announcement of the proxy at `place`, as JSON.
pub fn announcement(place: &Place<'_>) -> Vec<u8> {
    let body = Announcement {
        asterisk: place.asterisk,
        node: place.asterisk,
        application: place.application,
    };
    // A struct of strings has a JSON form; an empty body would only be ignored by clients.
    serde_json::to_vec(&body).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn has_the_three_members() {
        let place = Place {
            asterisk: "00:01",
            application: "test",
        };
        assert_eq!(
            announcement(&place),
            br#"{"asterisk":"00:01","node":"00:01","application":"test"}"#
        );
    }
}
