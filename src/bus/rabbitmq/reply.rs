//! Reply addresses: queues, and the pseudo-queues of direct reply-to, whose names a broker has to
//! decode. Some end the connection over one that they cannot.

/// What the names of direct reply-to begin with.
const DIRECT: &str = "amq.rabbitmq.reply-to";
/// How a process begins in Erlang's external term format, and the name of its node: RabbitMQ puts
/// `reply@` and a number there.
const PROCESS: [u8; 3] = [131, 88, 118];
const NODE: &[u8] = b"reply@";
/// What follows the name of the node: number, serial and creation of the process.
const REST_OF_PROCESS: usize = 12;

/// What kind of address a reply address is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Address {
    /// A queue.
    Queue,
    /// Direct reply-to, as brokers make it: a process and a key.
    Direct,
    /// Said to be direct reply-to, but not of a form known here.
    Doubtful,
}

impl Address {
    /// The kind of `name`.
    pub(super) fn of(name: &str) -> Address {
        let Some(token) = name.strip_prefix(DIRECT) else {
            return Address::Queue;
        };
        let mut parts = token.split('.');
        let process = (parts.next(), parts.next(), parts.next(), parts.next());
        match process {
            (Some(""), Some(process), Some(key), None)
                if decode(process).is_some_and(|term| is_process(&term))
                    && decode(key).is_some() =>
            {
                Address::Direct
            }
            _ => Address::Doubtful,
        }
    }
}

/// Whether `term` is a process, as RabbitMQ writes it.
fn is_process(term: &[u8]) -> bool {
    let Some([high, low, rest @ ..]) = term.strip_prefix(&PROCESS) else {
        return false;
    };
    let length = usize::from(u16::from_be_bytes([*high, *low]));
    let Some((node, numbers)) = rest.split_at_checked(length) else {
        return false;
    };
    let number = node.strip_prefix(NODE).unwrap_or_default();
    !number.is_empty() && number.iter().all(u8::is_ascii_digit) && numbers.len() == REST_OF_PROCESS
}

/// Undoes base 64 with padding.
fn decode(text: &str) -> Option<Vec<u8>> {
    let digits = text.trim_end_matches('=');
    if text.is_empty() || !text.len().is_multiple_of(4) || text.len() - digits.len() > 2 {
        return None;
    }
    let (mut bits, mut count, mut bytes) = (0_u32, 0, Vec::with_capacity(text.len()));
    for digit in digits.bytes() {
        let value = match digit {
            b'A'..=b'Z' => digit - b'A',
            b'a'..=b'z' => digit - b'a' + 26,
            b'0'..=b'9' => digit - b'0' + 52,
            b'+' => 62,
            b'/' => 63,
            _ => return None,
        };
        bits = bits << 6 | u32::from(value);
        count += 6;
        if count >= 8 {
            count -= 8;
            bytes.push((bits >> count) as u8);
            bits &= (1 << count) - 1;
        }
    }
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses() {
        let real = "amq.rabbitmq.reply-to.g1h2AA5yZXBseUA2Mzk1MDk2NAAABn8AAAAAawGugw==\
                    .B3oxhvq2Mslez9BAguHmlA==";
        assert_eq!(Address::of(real), Address::Direct);
        assert_eq!(Address::of("my.queue"), Address::Queue);
        for odd in [
            "amq.rabbitmq.reply-to",
            "amq.rabbitmq.reply-to.",
            "amq.rabbitmq.reply-to.g1h2.x",
            &real.replace("g1h2AA5y", "g1h2AA9y"),
            &real.replace(".B3ox", ".B3o"),
            &real.replace(".B3ox", ".x.B3ox"),
            &real[..real.len() - 30],
        ] {
            assert_eq!(Address::of(odd), Address::Doubtful, "{odd}");
        }
    }

    #[test]
    fn base_64() {
        assert_eq!(decode("").as_deref(), None);
        assert_eq!(decode("YQ==").as_deref(), Some(&b"a"[..]));
        assert_eq!(decode("YWI=").as_deref(), Some(&b"ab"[..]));
        assert_eq!(decode("YWJj+/8=").as_deref(), Some(&b"abc\xfb\xff"[..]));
        for bad in ["Y", "YQ", "YQ=", "Y===", "YQ=a", "Y Q=", "YQ\u{fc}"] {
            assert_eq!(decode(bad), None, "{bad}");
        }
    }
}
