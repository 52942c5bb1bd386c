//! What another program prints, as it comes in pieces.

use std::mem;

use super::shown;

/// Longest line that is shown as one, in bytes: longer ones are broken, so that what has no end takes no
/// memory.
const LINE_MAX: usize = 8 * 1024;

/// Turns what another program prints into lines that may be shown, each of them marked, so that none can
/// be taken for one of ours.
#[derive(Debug)]
pub struct Shower {
    mark: &'static str,
    /// The beginning of a line.
    rest: Vec<u8>,
}

impl Shower {
    /// Nothing was printed yet; `mark` begins each line.
    #[must_use]
    pub fn new(mark: &'static str) -> Self {
        Self { mark, rest: Vec::new() }
    }

    /// The lines that are whole by these bytes. A return to the left ends a line too: what is printed over
    /// it is the next one.
    pub fn add(&mut self, bytes: &[u8]) -> String {
        let mut lines = String::new();
        for piece in bytes.split_inclusive(|byte| matches!(byte, b'\n' | b'\r')) {
            let (line, ends) = match piece.split_last() {
                Some((b'\n' | b'\r', line)) => (line, true),
                _ => (piece, false),
            };
            for part in line.chunks(LINE_MAX) {
                self.rest.extend(part);
                if self.rest.len() > LINE_MAX {
                    self.end_line(&mut lines);
                }
            }
            if ends {
                self.end_line(&mut lines);
            }
        }
        lines
    }

    /// What is left, as a line.
    pub fn end(&mut self) -> String {
        let mut lines = String::new();
        self.end_line(&mut lines);
        lines
    }

    /// An empty one is nothing: it is between a return to the left and a line end, as a rule.
    fn end_line(&mut self, lines: &mut String) {
        let line = mem::take(&mut self.rest);
        if !line.is_empty() {
            lines.push_str(self.mark);
            lines.push_str(&shown(&String::from_utf8_lossy(&line)));
            lines.push('\n');
        }
    }
}
