//! Numbers with units: counts, sizes in bytes and lengths of time, as people write them.

use std::time::Duration;

/// The shortest length of time accepted: shorter ones are zero to the clocks that measure them.
const SHORTEST: Duration = Duration::from_millis(1);
/// The longest length of time accepted, far from where clocks overflow.
const LONGEST: Duration = Duration::from_secs(24 * 60 * 60);

/// A whole number from `least` to `most`.
pub(super) fn count(text: &str, (least, most): (usize, usize)) -> Result<usize, String> {
    digits(text)
        .filter(|number| (least..=most).contains(number))
        .ok_or_else(|| format!("{text:?} is not a whole number from {least} to {most}"))
}

/// A size in bytes: a whole number, or one with `KiB`, `MiB`, `GiB` or their first letter, which
/// mean powers of 1024 in either case.
pub(super) fn bytes(text: &str, (least, most): (usize, usize)) -> Result<usize, String> {
    let (number, suffix) = split(text);
    let unit = match suffix.to_ascii_lowercase().as_str() {
        "" | "b" => Some(1),
        "k" | "kib" => Some(1 << 10),
        "m" | "mib" => Some(1 << 20),
        "g" | "gib" => Some(1 << 30),
        _ => None,
    };
    unit.and_then(|unit| digits(number)?.checked_mul(unit))
        .filter(|size| (least..=most).contains(size))
        .ok_or_else(|| {
            format!(
                "{text:?} is not a size from {least} to {most} bytes (such as 65536, 512KiB, 64MiB)"
            )
        })
}

/// A length of time: a number with `ms`, `s`, `m` or `h`, or a bare number of seconds. Fractions
/// are accepted; from one millisecond to 24 hours.
pub(super) fn duration(text: &str) -> Result<Duration, String> {
    let (number, suffix) = split(text);
    let seconds = match suffix {
        "ms" => Some(0.001),
        "" | "s" => Some(1.0),
        "m" => Some(60.0),
        "h" => Some(3600.0),
        _ => None,
    };
    // Only digits and a dot come here, so no sign, exponent, "inf" or "nan".
    let number = number.parse::<f64>().ok();
    seconds
        .zip(number)
        .and_then(|(unit, number)| Duration::try_from_secs_f64(unit * number).ok())
        .filter(|duration| (SHORTEST..=LONGEST).contains(duration))
        .ok_or_else(|| {
            format!("{text:?} is not a duration from 1ms to 24h (such as 500ms, 5s, 1m, 1h)")
        })
}

/// True or false, in the words of the peer's library and of YAML.
pub(super) fn flag(text: &str) -> Result<bool, String> {
    match text.to_ascii_lowercase().as_str() {
        "true" | "t" | "1" | "yes" | "on" => Ok(true),
        "false" | "f" | "0" | "no" | "off" => Ok(false),
        _ => Err(format!("{text:?} is neither true nor false")),
    }
}

/// The number before the unit, and the unit.
fn split(text: &str) -> (&str, &str) {
    let end = text
        .find(|c: char| !c.is_ascii_digit() && c != '.')
        .unwrap_or(text.len());
    let (number, suffix) = text.split_at(end);
    (number, suffix.trim_start_matches(' '))
}

/// A whole number of digits only: `parse` alone accepts a plus sign.
fn digits(text: &str) -> Option<usize> {
    text.bytes()
        .all(|b| b.is_ascii_digit())
        .then(|| text.parse().ok())
        .flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_within_bounds() {
        assert_eq!(count("16", (1, 16)), Ok(16));
        assert_eq!(count("007", (1, 16)), Ok(7));
        for bad in [
            "",
            "0",
            "17",
            "-1",
            "+1",
            "1.0",
            "1e1",
            " 1",
            "many",
            "99999999999999999999",
        ] {
            assert_eq!(
                count(bad, (1, 16)),
                Err(format!("{bad:?} is not a whole number from 1 to 16"))
            );
        }
    }

    #[test]
    fn sizes_with_units() {
        let all = (1, usize::MAX);
        for (text, size) in [
            ("4096", 4096),
            ("512B", 512),
            ("3k", 3072),
            ("3K", 3072),
            ("3 KiB", 3072),
            ("64MiB", 64 << 20),
            ("2M", 2 << 20),
            ("1GiB", 1 << 30),
            ("1g", 1 << 30),
        ] {
            assert_eq!(bytes(text, all), Ok(size), "{text}");
        }
        for bad in [
            "",
            "0",
            "-1",
            "1.5MiB",
            "MiB",
            "1MB",
            "1TiB",
            "18446744073709551615k",
        ] {
            assert!(bytes(bad, all).is_err(), "{bad}");
        }
        assert!(
            bytes("2k", (1, 1024))
                .unwrap_err()
                .contains("from 1 to 1024 bytes")
        );
    }

    #[test]
    fn durations_with_units() {
        for (text, milliseconds) in [
            ("500ms", 500),
            ("5s", 5_000),
            ("1m", 60_000),
            ("1h", 3_600_000),
            ("24h", 86_400_000),
            ("2", 2_000),
            ("0.25", 250),
            ("1.5 s", 1_500),
            ("0.001", 1),
        ] {
            assert_eq!(
                duration(text),
                Ok(Duration::from_millis(milliseconds)),
                "{text}"
            );
        }
        for bad in [
            "",
            "0",
            "0s",
            "-5s",
            "0.5ms",
            "25h",
            "1d",
            "s",
            "1.2.3",
            "inf",
            "NaN",
            "1e3",
            "5S",
            "9999999999999999999999h",
        ] {
            assert!(duration(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn flags() {
        for yes in ["true", "True", "1", "yes", "on"] {
            assert_eq!(flag(yes), Ok(true));
        }
        for no in ["false", "FALSE", "0", "no", "off"] {
            assert_eq!(flag(no), Ok(false));
        }
        assert!(flag("").is_err() && flag("2").is_err());
    }
}
