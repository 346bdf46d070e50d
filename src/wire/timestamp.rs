//! Moments as RFC 3339 text, in UTC with milliseconds.

use std::time::{SystemTime, UNIX_EPOCH};

/// Days from 0000-03-01 to 1970-01-01, and days of 400 years.
const TO_1970: u64 = 719_468;
const DAYS_OF_400_YEARS: u64 = 146_097;

/// `moment` as text, e.g. `2026-11-21T16:59:34.120Z`; a moment before 1970 is taken for its
/// beginning.
pub fn rfc3339(moment: SystemTime) -> String {
    let since = moment.duration_since(UNIX_EPOCH).unwrap_or_default();
    let (days, second) = (since.as_secs() / 86_400, since.as_secs() % 86_400);
    // Years that begin in March have their leap day at the end, and months whose first days are
    // those of a line.
    let days = days + TO_1970;
    let day = days % DAYS_OF_400_YEARS;
    let year = (day - day / 1_460 + day / 36_524 - day / (DAYS_OF_400_YEARS - 1)) / 365;
    let day_of_year = day - (365 * year + year / 4 - year / 100);
    let month = (5 * day_of_year + 2) / 153;
    let day_of_month = day_of_year - (153 * month + 2) / 5 + 1;
    let (month, next) = if month < 10 {
        (month + 3, 0)
    } else {
        (month - 9, 1)
    };
    let year = year + days / DAYS_OF_400_YEARS * 400 + next;
    format!(
        "{year:04}-{month:02}-{day_of_month:02}T{:02}:{:02}:{:02}.{:03}Z",
        second / 3_600,
        second / 60 % 60,
        second % 60,
        since.subsec_millis()
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    fn at(milliseconds: u64) -> String {
        rfc3339(UNIX_EPOCH + Duration::from_millis(milliseconds))
    }

    #[test]
    fn known_moments() {
        assert_eq!(at(0), "1970-01-01T00:00:00.000Z");
        assert_eq!(at(951_782_399_999), "2000-02-28T23:59:59.999Z");
        assert_eq!(at(951_782_400_000), "2000-02-29T00:00:00.000Z");
        assert_eq!(at(951_868_800_000), "2000-03-01T00:00:00.000Z");
        assert_eq!(at(1_795_280_374_120), "2026-11-21T16:59:34.120Z");
        assert_eq!(at(4_107_542_400_000), "2100-03-01T00:00:00.000Z");
        assert_eq!(
            rfc3339(UNIX_EPOCH - Duration::from_secs(1)),
            "1970-01-01T00:00:00.000Z"
        );
    }

    #[test]
    fn every_day_of_five_hundred_years_follows_the_one_before() {
        let mut before = at(0);
        for day in 1..182_000 {
            let text = at(day * 86_400_000);
            assert!(text > before, "{text} after {before}");
            let number = |range: std::ops::Range<usize>| text[range].parse::<u32>().unwrap();
            assert!((1..=12).contains(&number(5..7)) && (1..=31).contains(&number(8..10)));
            before = text;
        }
        assert_eq!(before, "2468-04-18T00:00:00.000Z");
    }
}
