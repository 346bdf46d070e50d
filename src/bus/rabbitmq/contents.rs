//! Messages that come on a channel of ours, a frame after the other.

/// A message that is coming, after what was said of it before: a `D`.
#[derive(Debug)]
pub(super) struct Contents<D> {
    /// Most of a body that is given out, in bytes.
    longest: usize,
    coming: Option<Coming<D>>,
}

#[derive(Debug)]
struct Coming<D> {
    deliver: D,
    /// How much of the body is to come, once that is known.
    left: Option<u64>,
    /// What there is of it, cut at a length.
    body: Vec<u8>,
}

impl<D> Contents<D> {
    /// None yet. Of a body no more than `longest` bytes are given out.
    pub(super) fn new(longest: usize) -> Contents<D> {
        Contents {
            longest,
            coming: None,
        }
    }

    /// A message follows. One that has not come to its end does not any more.
    pub(super) fn begin(&mut self, deliver: D) {
        self.coming = Some(Coming {
            deliver,
            left: None,
            body: Vec::new(),
        });
    }

    /// Its header. Of that only the size of the body is read.
    pub(super) fn header(&mut self, payload: &[u8]) -> Option<(D, Vec<u8>)> {
        let size = payload.get(4..12)?.try_into().ok()?;
        let coming = self.coming.as_mut()?;
        coming.left = Some(u64::from_be_bytes(size));
        self.end()
    }

    /// A part of its body.
    pub(super) fn body(&mut self, mut part: Vec<u8>) -> Option<(D, Vec<u8>)> {
        let coming = self.coming.as_mut()?;
        let left = coming.left?;
        // Nobody is believed about sizes: there is as much memory as came.
        coming.left = Some(left.saturating_sub(part.len() as u64));
        let room = self.longest.saturating_sub(coming.body.len());
        if part.len() > room {
            part.truncate(room);
            part.shrink_to_fit();
        }
        match coming.body.is_empty() {
            true => coming.body = part,
            false => coming.body.append(&mut part),
        }
        self.end()
    }

    /// Nothing more comes of it.
    pub(super) fn reset(&mut self) {
        self.coming = None;
    }

    fn end(&mut self) -> Option<(D, Vec<u8>)> {
        let coming = self.coming.take_if(|coming| coming.left == Some(0))?;
        Some((coming.deliver, coming.body))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LONGEST: usize = 64 * 1024;

    /// What is said of a message.
    #[derive(Debug, PartialEq)]
    struct Deliver(u64);

    fn deliver(number: u64) -> Deliver {
        Deliver(number)
    }

    fn contents() -> Contents<Deliver> {
        Contents::new(LONGEST)
    }

    fn header(size: u64) -> Vec<u8> {
        let mut payload = vec![0, 60, 0, 0];
        payload.extend(size.to_be_bytes());
        // Flags, and properties that nobody could read.
        payload.extend([0xff; 40]);
        payload
    }

    #[test]
    fn messages_in_pieces() {
        let body = b"0123456789";
        for at in 1..body.len() {
            let mut contents = contents();
            contents.begin(deliver(1));
            assert_eq!(contents.header(&header(10)), None);
            assert_eq!(contents.body(body[..at].to_vec()), None);
            assert_eq!(contents.body(Vec::new()), None);
            let arrived = contents.body(body[at..].to_vec());
            assert_eq!(arrived, Some((deliver(1), body.to_vec())));
            assert_eq!(contents.body(b"more".to_vec()), None);
        }
    }

    #[test]
    fn a_message_without_a_body() {
        let mut contents = contents();
        contents.begin(deliver(1));
        assert_eq!(contents.header(&header(0)), Some((deliver(1), Vec::new())));
    }

    #[test]
    fn bodies_are_cut() {
        let mut contents = contents();
        contents.begin(deliver(1));
        assert_eq!(contents.header(&header(20_000_000)), None);
        for _ in 0..199 {
            assert_eq!(contents.body(vec![7; 100_000]), None);
        }
        let (_, body) = contents.body(vec![7; 100_000]).unwrap();
        assert!(body == vec![7; LONGEST]);
    }

    #[test]
    fn sizes_that_lie() {
        let mut contents = contents();
        assert_eq!(contents.header(&header(5)), None, "of nothing");
        assert_eq!(contents.body(b"of nothing".to_vec()), None);
        contents.begin(deliver(1));
        assert_eq!(contents.body(b"without a header".to_vec()), None);
        assert_eq!(contents.header(&header(u64::MAX)), None);
        assert_eq!(contents.body(b"little".to_vec()), None);
        // It never ends, but the next begins.
        contents.begin(deliver(2));
        assert_eq!(contents.header(&[0, 60, 0]), None);
        assert_eq!(contents.header(&header(2)), None);
        let arrived = contents.body(b"more than two".to_vec());
        assert_eq!(arrived, Some((deliver(2), b"more than two".to_vec())));
        contents.begin(deliver(3));
        contents.reset();
        assert_eq!(contents.header(&header(0)), None);
    }
}
