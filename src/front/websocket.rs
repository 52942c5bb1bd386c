//! The frames of a WebSocket, as far as one must know them to end it well (RFC 6455, 5.2): where one
//! frame ends and the next begins.

/// A close frame of the server with the status 1012, "service restart" (IANA's registry of WebSocket
/// close codes): clients take it as "come back at once".
pub(crate) const RESTART: [u8; 4] = [0x88, 0x02, 0x03, 0xf4];

/// The longest head of a frame: two bytes, eight of length, four of mask.
const HEAD: usize = 14;

/// Follows the frames of one direction.
#[derive(Debug, Default)]
pub(crate) struct Frames {
    /// The head of the frame that is arriving, as far as it has come.
    head: [u8; HEAD],
    had: usize,
    /// Bytes of the payload that are to come.
    payload: u64,
}

impl Frames {
    /// Follows these bytes; where the last frame ended in them, if one did.
    pub(crate) fn advance(&mut self, bytes: &[u8]) -> Option<usize> {
        self.follow(bytes, false)
    }

    /// Follows these bytes up to the first end of a frame, if there is one in them.
    pub(crate) fn first_end(&mut self, bytes: &[u8]) -> Option<usize> {
        self.follow(bytes, true)
    }

    /// Whether the next byte begins a frame.
    pub(crate) fn is_between(&self) -> bool {
        self.had == 0 && self.payload == 0
    }

    fn follow(&mut self, bytes: &[u8], first: bool) -> Option<usize> {
        let mut end = None;
        let mut at = 0;
        while at < bytes.len() {
            if self.payload > 0 {
                let left = bytes.len() - at;
                let count = usize::try_from(self.payload).unwrap_or(usize::MAX).min(left);
                at += count;
                self.payload -= count as u64;
            } else {
                self.head[self.had] = bytes[at];
                self.had += 1;
                at += 1;
                if self.had == head_size(&self.head[..self.had]) {
                    self.payload = payload_size(&self.head);
                    self.had = 0;
                }
            }
            if self.is_between() {
                end = Some(at);
                if first {
                    break;
                }
            }
        }
        end
    }
}

/// Bytes of the head that begins so; at least two.
fn head_size(head: &[u8]) -> usize {
    let Some(second) = head.get(1) else { return 2 };
    let length = match second & 0x7f {
        126 => 2,
        127 => 8,
        _ => 0,
    };
    2 + length + if second & 0x80 == 0 { 0 } else { 4 }
}

fn payload_size(head: &[u8; HEAD]) -> u64 {
    let number = |bytes: &[u8]| bytes.iter().fold(0, |size, byte| size << 8 | u64::from(*byte));
    match head[1] & 0x7f {
        126 => number(&head[2..4]),
        127 => number(&head[2..10]),
        short => u64::from(short),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn frame(size: usize, masked: bool) -> Vec<u8> {
        let mask = if masked { 0x80 } else { 0 };
        let mut frame = vec![0x82];
        match (u8::try_from(size), u16::try_from(size)) {
            (Ok(short @ ..=125), _) => frame.push(mask | short),
            (_, Ok(middle)) => {
                frame.push(mask | 0x7e);
                frame.extend(middle.to_be_bytes());
            }
            _ => {
                frame.push(mask | 0x7f);
                frame.extend((size as u64).to_be_bytes());
            }
        }
        frame.extend(vec![b'k'; if masked { 4 } else { 0 }]);
        frame.extend(vec![0x88; size]);
        frame
    }

    #[test]
    fn the_end_of_each_frame_is_known_however_it_arrives() {
        let sizes = [0, 1, 125, 126, 1000, 65535, 65536, 0, 7];
        let frames: Vec<_> =
            sizes.iter().flat_map(|size| [frame(*size, false), frame(*size, true)]).collect();
        let bytes = frames.concat();
        let mut ends = vec![];
        let mut at = 0;
        for frame in &frames {
            at += frame.len();
            ends.push(at);
        }
        for size in [1, 2, 3, 7, 1000, bytes.len()] {
            let mut follower = Frames::default();
            let mut at = 0;
            for piece in bytes.chunks(size) {
                let last = ends.iter().rev().find(|end| (at + 1..=at + piece.len()).contains(*end));
                assert_eq!(follower.advance(piece), last.map(|end| end - at));
                at += piece.len();
                assert_eq!(follower.is_between(), ends.contains(&at));
            }
        }
        let mut follower = Frames::default();
        assert_eq!(follower.first_end(&bytes), Some(frames[0].len()));
    }

    #[test]
    fn the_close_frame_is_one() {
        assert_eq!(Frames::default().advance(&RESTART), Some(RESTART.len()));
        assert_eq!(RESTART[2..], 1012_u16.to_be_bytes());
    }
}
