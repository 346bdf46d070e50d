//! User and password of ARI, kept only as the Authorization header that is sent.

use std::fmt;

use ureq::http::HeaderValue;

/// The value of an Authorization header. Printing it does not show it.
#[derive(Clone)]
pub struct Credentials(String);

impl Credentials {
    /// HTTP basic authentication of `username` and `password`.
    pub fn basic(username: &str, password: &str) -> Credentials {
        let pair = format!("{username}:{password}");
        Credentials(format!("Basic {}", base64(pair.as_bytes())))
    }

    /// The header's value.
    pub fn header(&self) -> &str {
        &self.0
    }

    /// The same for ureq, which does not print it either.
    pub(super) fn value(&self) -> HeaderValue {
        // Base 64 can be sent.
        let mut value = HeaderValue::from_str(&self.0).unwrap_or(HeaderValue::from_static(""));
        value.set_sensitive(true);
        value
    }
}

impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Credentials(***)")
    }
}

/// Base 64 with padding (RFC 4648).
fn base64(bytes: &[u8]) -> String {
    const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut text = String::with_capacity(bytes.len().div_ceil(3) * 4);
    for chunk in bytes.chunks(3) {
        let byte = |index: usize| u32::from(chunk.get(index).copied().unwrap_or(0));
        let bits = byte(0) << 16 | byte(1) << 8 | byte(2);
        for digit in 0..4 {
            if digit <= chunk.len() {
                let index = (bits >> (18 - 6 * digit)) & 63;
                text.push(char::from(ALPHABET[index as usize]));
            } else {
                text.push('=');
            }
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_examples_of_rfc_4648() {
        for (plain, encoded) in [
            ("", ""),
            ("f", "Zg=="),
            ("fo", "Zm8="),
            ("foo", "Zm9v"),
            ("foob", "Zm9vYg=="),
            ("fooba", "Zm9vYmE="),
            ("foobar", "Zm9vYmFy"),
        ] {
            assert_eq!(base64(plain.as_bytes()), encoded);
        }
    }

    #[test]
    fn not_printed() {
        let credentials = Credentials::basic("ari", "secret");
        assert_eq!(credentials.header(), "Basic YXJpOnNlY3JldA==");
        assert!(!format!("{credentials:?}").contains("YXJp"));
        assert_eq!(credentials.value(), credentials.header());
        assert!(!format!("{:?}", credentials.value()).contains("YXJp"));
    }
}
