//! What a line of `[deploy]` prints: shown as it comes, kept in a file, and its end remembered.

use std::collections::VecDeque;
use std::fs::{File, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;

use rustix::fs::OFlags;

use crate::text::{Shower, shown};

/// Longest log, in bytes: a chatty build has some hundred kilobytes; one that prints without end must not
/// fill the disk.
const LOG_MAX: u64 = 10 << 20;

/// Mode of a log: a build may print secrets.
const MODE: u32 = 0o600;

/// How many lines are remembered for an error, and how long one may be, in bytes.
const LAST: usize = 10;
const LINE_MAX: usize = 300;

/// What each line that is shown begins with: none of them is to be taken for one of romuo's.
const MARK: &str = "| ";

/// A log that is written to.
pub(super) struct Log {
    file: File,
    /// How long it is.
    length: u64,
    /// What is seen of it.
    shower: Shower,
    /// The last lines, the last of all perhaps not whole.
    last: VecDeque<Vec<u8>>,
}

impl Log {
    /// Goes on with the log at `path`, or begins it.
    pub(super) fn open(path: &Path) -> io::Result<Self> {
        let flags = OFlags::NOFOLLOW.bits().cast_signed();
        let mut options = OpenOptions::new();
        let file = options.append(true).create(true).mode(MODE).custom_flags(flags).open(path)?;
        let length = file.metadata()?.len();
        Ok(Self { file, length, shower: Shower::new(MARK), last: VecDeque::new() })
    }

    /// A new line of `[deploy]` begins.
    pub(super) fn begin(&mut self, line: &str) -> io::Result<()> {
        self.end();
        self.last.clear();
        self.keep(format!("$ {line}\n").as_bytes())
    }

    /// It printed this.
    pub(super) fn add(&mut self, bytes: &[u8]) -> io::Result<()> {
        show(&self.shower.add(bytes));
        self.remember(bytes);
        self.keep(bytes)
    }

    /// It prints no more.
    pub(super) fn end(&mut self) {
        show(&self.shower.end());
    }

    fn keep(&mut self, bytes: &[u8]) -> io::Result<()> {
        if self.length >= LOG_MAX {
            return Ok(());
        }
        let room = usize::try_from(LOG_MAX - self.length).unwrap_or(usize::MAX);
        self.length += bytes.len() as u64;
        match bytes.get(..room) {
            None => self.file.write_all(bytes),
            Some(fitting) => {
                self.file.write_all(fitting)?;
                self.file.write_all(b"\n[the log ends here: it is full]\n")
            }
        }
    }

    fn remember(&mut self, bytes: &[u8]) {
        for piece in bytes.split_inclusive(|byte| *byte == b'\n') {
            match self.last.back_mut() {
                Some(line) if !line.ends_with(b"\n") => line.extend(piece),
                _ => self.last.push_back(piece.into()),
            }
            if let Some(line) = self.last.back_mut() {
                let is_whole = line.ends_with(b"\n");
                line.truncate(LINE_MAX);
                if is_whole && !line.ends_with(b"\n") {
                    line.push(b'\n');
                }
            }
            if self.last.len() > LAST {
                self.last.pop_front();
            }
        }
    }

    /// The last lines that were printed, without what is for terminals only.
    pub(super) fn last(&self) -> Vec<String> {
        let plain = |line: &Vec<u8>| {
            let text = String::from_utf8_lossy(line);
            let text = anstream::adapter::strip_str(&text).to_string();
            // What stands behind the last return to the left is what one saw.
            let text = text.trim_end().rsplit('\r').next().unwrap_or_default();
            shown(text).into_owned()
        };
        self.last.iter().map(plain).filter(|line| !line.is_empty()).collect()
    }
}

/// Nobody may be there to see it.
fn show(lines: &str) {
    let _ = io::stderr().lock().write_all(lines.as_bytes());
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn the_last_lines_are_remembered_in_whatever_pieces_they_come() {
        let dir = tempfile::tempdir().unwrap();
        let mut log = Log::open(&dir.path().join("log")).unwrap();
        log.begin("x").unwrap();
        for number in 0..20 {
            log.add(format!("line {number}").as_bytes()).unwrap();
            log.add(b"\n").unwrap();
        }
        log.add(b"10 %\r20 %\r\n\x1b[31mred\x1b[0m\nno newline").unwrap();
        let last = log.last();
        assert_eq!(last.len(), LAST);
        assert_eq!(last[LAST - 4..], ["line 19", "20 %", "red", "no newline"]);
        log.add("y".repeat(5000).as_bytes()).unwrap();
        assert_eq!(log.last().last().unwrap().len(), LINE_MAX);
        log.add(b"\nafter").unwrap();
        assert_eq!(log.last().last().unwrap(), "after");
        log.begin("y").unwrap();
        assert!(log.last().is_empty());
    }

    #[test]
    fn a_log_is_private_goes_on_and_ends() {
        use std::os::unix::fs::PermissionsExt as _;
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("log");
        for line in ["one", "two"] {
            let mut log = Log::open(&path).unwrap();
            log.begin(line).unwrap();
            log.add(b"out\n").unwrap();
        }
        assert_eq!(fs::read_to_string(&path).unwrap(), "$ one\nout\n$ two\nout\n");
        assert_eq!(path.metadata().unwrap().permissions().mode() & 0o777, MODE);
        let mut log = Log::open(&path).unwrap();
        let much = vec![b'x'; usize::try_from(LOG_MAX).unwrap()];
        log.keep(&much).unwrap();
        log.keep(&much).unwrap();
        drop(log);
        let length = path.metadata().unwrap().len();
        assert!((LOG_MAX..LOG_MAX + 100).contains(&length), "{length}");
        assert!(fs::read(&path).unwrap().ends_with(b"it is full]\n"));
        // The next line finds a full log, and runs all the same.
        Log::open(&path).unwrap().begin("three").unwrap();
        assert_eq!(path.metadata().unwrap().len(), length);
    }
}
