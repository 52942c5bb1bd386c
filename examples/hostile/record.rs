//! What was kept so far. A whole run takes an hour and a half: one that was broken off goes on where it was.

use std::fs::{File, OpenOptions, read, read_to_string};
use std::io::Write as _;
use std::path::Path;

use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use crate::hostile::Result;
use crate::hostile::ground::{Against, Memory};
use crate::hostile::outcome::Outcome;
use crate::hostile::rows::Row;

/// Bytes of a digest that tell two servers apart.
const PREFIX: usize = size_of::<u128>();

/// A line of the file.
#[derive(Debug, Serialize, Deserialize)]
struct Line {
    /// The digest of the server that has kept it: another one has to keep it again.
    server: String,
    outcome: Outcome,
}

/// The rows that a server has kept so far.
pub(crate) struct Record {
    file: File,
    server: String,
    kept: Vec<Outcome>,
}

impl Record {
    /// Reads what `path` has of the server in the folder `programs`, and makes the file where there is none.
    pub(crate) fn open(path: &Path, programs: &Path) -> Result<Self> {
        let digest = Sha256::digest(read(programs.join("romuo-server"))?);
        let mut prefix = [0; PREFIX];
        prefix.copy_from_slice(&digest[..PREFIX]);
        let server = format!("{:032x}", u128::from_be_bytes(prefix));
        let file = OpenOptions::new().create(true).append(true).open(path)?;
        let text = read_to_string(path)?;
        let mut record = Self { file, server, kept: Vec::new() };
        // A line that was not written to its end is none.
        for line in text.lines().filter_map(|line| serde_json::from_str::<Line>(line).ok()) {
            if line.server == record.server {
                record.take(line.outcome);
            }
        }
        Ok(record)
    }

    /// Whether it has this one.
    pub(crate) fn has(&self, row: &Row, against: Against, memory: Memory) -> bool {
        self.kept.iter().any(|it| it.is_of(row.name, against, memory))
    }

    /// Adds one that was kept.
    pub(crate) fn add(&mut self, outcome: Outcome) -> Result<()> {
        let line = Line { server: self.server.clone(), outcome };
        writeln!(self.file, "{}", serde_json::to_string(&line)?)?;
        self.take(line.outcome);
        Ok(())
    }

    /// All of them.
    pub(crate) fn kept(&self) -> &[Outcome] {
        &self.kept
    }

    /// The last one counts.
    fn take(&mut self, outcome: Outcome) {
        self.kept.retain(|it| !it.is_of(&outcome.name, outcome.against, outcome.memory));
        self.kept.push(outcome);
    }
}
