//! Generated ids: a lower-case ULID and a suffix that says what it names, as the Go program makes
//! them (`01m7yery3m0evnv63mhfgbrp5c-ch`).

use std::collections::hash_map::RandomState;
use std::hash::{BuildHasher, Hasher};
use std::sync::LazyLock;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{SystemTime, UNIX_EPOCH};

/// Crockford's base 32, the ULID alphabet, in lower case.
const ALPHABET: &[u8; 32] = b"0123456789abcdefghjkmnpqrstvwxyz";

/// A new id: 48 bits of milliseconds since 1970, 80 random bits, a dash and `suffix`.
///
/// The random bits are SipHash under a key that the system chose at start, over a counter: unique
/// within the process for sure and across processes as surely as 80 random bits are. They are not
/// meant to be secret.
pub fn generate(suffix: &str) -> String {
    let milliseconds = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(0, |since| since.as_millis() as u64);
    let bits = (u128::from(milliseconds & 0xffff_ffff_ffff) << 80) | random_80();
    let mut id = String::with_capacity(27 + suffix.len());
    for digit in (0..26).rev() {
        id.push(char::from(ALPHABET[((bits >> (digit * 5)) & 31) as usize]));
    }
    id.push('-');
    id.push_str(suffix);
    id
}

/// 64 random bits, for jitter and epochs: not secret.
pub fn random_64() -> u64 {
    static KEY: LazyLock<RandomState> = LazyLock::new(RandomState::new);
    static COUNTER: AtomicU64 = AtomicU64::new(0);
    let mut hasher = KEY.build_hasher();
    hasher.write_u64(COUNTER.fetch_add(1, Ordering::Relaxed));
    hasher.finish()
}

fn random_80() -> u128 {
    (u128::from(random_64()) << 16) | u128::from(random_64() & 0xffff)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    #[test]
    fn looks_like_the_peers() {
        let id = generate("ch");
        assert_eq!(id.len(), 29);
        assert!(id.ends_with("-ch"));
        assert!(id[..26].bytes().all(|b| ALPHABET.contains(&b)));
        assert!(id.as_bytes()[0] <= b'7', "48 bits of time fill ten digits");
    }

    #[test]
    fn unique_and_in_order_of_time() {
        let ids: HashSet<String> = (0..10_000).map(|_| generate("pb")).collect();
        assert_eq!(ids.len(), 10_000);
        let first = generate("br");
        let start = SystemTime::now();
        while start.elapsed().unwrap_or_default().as_millis() < 2 {
            std::hint::spin_loop();
        }
        assert!(first < generate("br"));
    }
}
