//! The key that was probably meant by a name that does not exist, and how such a name is shown.

use super::keys;

/// The known name nearest to `name`, if it is near enough to be a slip.
pub(super) fn nearest(name: &str) -> Option<&'static str> {
    let name = name.to_ascii_lowercase();
    // A third of the letters wrong is another word, not a slip.
    let length = name.chars().count();
    let limit = (length / 3).min(3);
    keys::TABLE
        .iter()
        .map(|key| key.name)
        .chain(keys::FLAGS_ONLY.iter().copied())
        // A file may hold a name of a million letters, which takes long to compare.
        .filter(|known| known.len().abs_diff(length) <= limit)
        .map(|known| (distance(&name, known), known))
        .filter(|(distance, _)| *distance <= limit)
        .min()
        .map(|(_, known)| known)
}

/// How `name` is shown: as far as it looks like a name, because `password:hunter2` may stand where
/// a name should.
pub(super) fn shown(name: &str) -> String {
    let end = name
        .find(|c: char| !c.is_ascii_alphanumeric() && !matches!(c, '.' | '_' | '-'))
        .unwrap_or(name.len())
        .min(64);
    match name.get(..end) {
        Some(start) if end < name.len() => format!("{start}..."),
        _ => name.to_owned(),
    }
}

/// Levenshtein's distance: insertions, removals and replacements between two names.
fn distance(a: &str, b: &str) -> usize {
    let b: Vec<char> = b.chars().collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, x) in a.chars().enumerate() {
        let mut diagonal = i;
        let mut left = i + 1;
        row[0] = left;
        for (cell, y) in row[1..].iter_mut().zip(&b) {
            let cost = (diagonal + usize::from(x != *y))
                .min(left + 1)
                .min(*cell + 1);
            diagonal = *cell;
            *cell = cost;
            left = cost;
        }
    }
    row[b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn distances() {
        for (a, b, expected) in [
            ("", "", 0),
            ("", "ab", 2),
            ("kitten", "sitting", 3),
            ("flaw", "lawn", 2),
            ("same", "same", 0),
        ] {
            assert_eq!(distance(a, b), expected, "{a} {b}");
            assert_eq!(distance(b, a), expected, "{b} {a}");
        }
    }

    #[test]
    fn slips_are_found_and_other_words_are_not() {
        assert_eq!(nearest("ari.htp_url"), Some("ari.http_url"));
        assert_eq!(nearest("ARI.user"), None);
        assert_eq!(nearest("ari.user_name"), Some("ari.username"));
        assert_eq!(nearest("verbos"), Some("verbose"));
        assert_eq!(nearest("hlep"), None);
        assert_eq!(nearest("confg"), Some("config"));
        assert_eq!(nearest("x"), None);
        assert_eq!(nearest(&"ari.username".repeat(1 << 17)), None);
    }

    #[test]
    fn names_are_shown_as_far_as_they_are_names() {
        assert_eq!(shown("ari.htp_url"), "ari.htp_url");
        assert_eq!(shown("password:hunter2"), "password...");
        assert_eq!(shown("a\nb"), "a...");
        assert_eq!(shown("ü"), "...");
        assert_eq!(shown(&"a".repeat(100)), format!("{}...", "a".repeat(64)));
    }
}
