//! The fields of a method, one after the other.

/// What is left of a payload.
pub(super) struct Fields<'a>(pub(super) &'a [u8]);

impl<'a> Fields<'a> {
    pub(super) fn take(&mut self, count: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.0.split_at_checked(count)?;
        self.0 = rest;
        Some(taken)
    }

    pub(super) fn short(&mut self) -> Option<u16> {
        Some(u16::from_be_bytes(self.take(2)?.try_into().ok()?))
    }

    pub(super) fn text(&mut self) -> Option<String> {
        let [length] = *self.take(1)? else {
            return None;
        };
        // The broker cuts a text that is too long, in the middle of a character too.
        Some(String::from_utf8_lossy(self.take(usize::from(length))?).into_owned())
    }
}
