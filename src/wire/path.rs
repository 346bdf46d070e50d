//! REST paths from templates: `/channels/{id}/play/{playback_id}`, every id percent-encoded so that
//! it cannot leave its segment (known defect 11).

use super::request::BadRequest;

/// Longest id accepted, in bytes: Asterisk takes request lines of 4 096, and bindings keep ids.
pub(super) const LONGEST_ID: usize = 1024;

/// Builds the path of `template`; `fill` gives the segments of a placeholder, unencoded.
pub(super) fn expand(
    template: &str,
    mut fill: impl FnMut(&str) -> Result<Vec<String>, BadRequest>,
) -> Result<String, BadRequest> {
    let mut path = String::with_capacity(template.len() + 40);
    for (index, segment) in template.split('/').enumerate() {
        if index > 0 {
            path.push('/');
        }
        match placeholder(segment) {
            None => path.push_str(segment),
            Some(name) => {
                for (index, part) in fill(name)?.iter().enumerate() {
                    if index > 0 {
                        path.push('/');
                    }
                    push_segment(&mut path, name, part)?;
                }
            }
        }
    }
    Ok(path)
}

fn placeholder(segment: &str) -> Option<&str> {
    segment.strip_prefix('{')?.strip_suffix('}')
}

fn push_segment(path: &mut String, name: &str, segment: &str) -> Result<(), BadRequest> {
    if segment.len() > LONGEST_ID {
        return Err(BadRequest(format!("bad request: {name} is too long")));
    }
    // Encoding does not help here: a dot segment means the same percent-encoded, and for Asterisk a
    // segment ends at NUL.
    let ends = segment.contains('\0');
    if ends || segment.is_empty() || segment == "." || segment == ".." {
        return Err(BadRequest(format!(
            "bad request: {name} '{segment}' cannot be part of a path"
        )));
    }
    for byte in segment.bytes() {
        push_encoded(path, byte);
    }
    Ok(())
}

/// `text` as a segment of a path.
pub fn encoded(text: &str) -> String {
    let mut encoded = String::with_capacity(text.len());
    for byte in text.bytes() {
        push_encoded(&mut encoded, byte);
    }
    encoded
}

/// Adds `byte`, encoded unless it is plain in a path segment. What the Go program leaves plain is
/// left plain, but for `+`, which Asterisk reads as a space.
fn push_encoded(to: &mut String, byte: u8) {
    if byte.is_ascii_alphanumeric() || b"-_.~:@$&=,;".contains(&byte) {
        to.push(char::from(byte));
    } else {
        push_octet(to, byte);
    }
}

/// Adds `byte`, percent-encoded.
pub(super) fn push_octet(to: &mut String, byte: u8) {
    const HEX: &[u8; 16] = b"0123456789ABCDEF";
    to.push('%');
    to.push(char::from(HEX[usize::from(byte >> 4)]));
    to.push(char::from(HEX[usize::from(byte & 15)]));
}

/// Adds `name=value` to a query that is being built.
pub fn push_query(query: &mut String, name: &str, value: &str) {
    if !query.is_empty() {
        query.push('&');
    }
    query.push_str(name);
    query.push('=');
    for byte in value.bytes() {
        if b"&=;$,".contains(&byte) {
            query.push_str(match byte {
                b'&' => "%26",
                b'=' => "%3D",
                b';' => "%3B",
                b'$' => "%24",
                _ => "%2C",
            });
        } else {
            push_encoded(query, byte);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn channel(id: &str) -> Result<String, BadRequest> {
        expand("/channels/{id}/answer", |_| Ok(vec![id.to_owned()]))
    }

    #[test]
    fn plain_ids_stay_plain() {
        assert_eq!(channel("1700.1;2").unwrap(), "/channels/1700.1;2/answer");
        assert_eq!(channel("a@b:c").unwrap(), "/channels/a@b:c/answer");
    }

    #[test]
    fn defect_11_an_id_stays_in_its_segment() {
        for (id, path) in [
            ("../bridges/b1", "/channels/..%2Fbridges%2Fb1/answer"),
            ("a b", "/channels/a%20b/answer"),
            ("a?b#c", "/channels/a%3Fb%23c/answer"),
            ("a%2Fb", "/channels/a%252Fb/answer"),
            ("+", "/channels/%2B/answer"),
            ("ü", "/channels/%C3%BC/answer"),
            ("\r\n", "/channels/%0D%0A/answer"),
        ] {
            assert_eq!(channel(id).unwrap(), path);
        }
        for id in ["", ".", ".."] {
            assert!(channel(id).is_err(), "{id:?}");
        }
    }

    #[test]
    fn what_asterisk_would_take_for_another_id_is_refused() {
        let long = "x".repeat(LONGEST_ID + 1);
        for id in ["", ".", "..", "a\0b", "\0", &long] {
            assert!(channel(id).is_err(), "{id:?}");
        }
        assert!(channel(&long[1..]).is_ok());
    }

    #[test]
    fn several_segments() {
        let path = expand("/endpoints/{id}", |_| {
            Ok(vec!["PJSIP".into(), "a/b".into()])
        });
        assert_eq!(path.unwrap(), "/endpoints/PJSIP/a%2Fb");
    }

    #[test]
    fn queries() {
        let mut query = String::new();
        push_query(&mut query, "a", "x y&z=ü+");
        push_query(&mut query, "b", "");
        assert_eq!(query, "a=x%20y%26z%3D%C3%BC%2B&b=");
    }
}
