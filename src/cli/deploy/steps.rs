//! What a deploy does, step by step, each with its time: for a person while it happens, and for scripts at
//! the end.

use std::fmt::Display;
use std::time::Instant;

use serde::Serialize;

use super::super::output::{GOOD, Printer, styled};
use super::super::waiting::Waiting;
use crate::text::shown;

/// Width of the names of the steps, in characters: that of the longest.
const WIDTH: usize = 8;

/// A step that was done, or was not.
#[derive(Debug, Clone, Serialize)]
pub(super) struct Step {
    name: &'static str,
    said: String,
    took_ms: u64,
}

/// All of them.
pub(super) struct Steps<'a> {
    printer: &'a Printer,
    done: Vec<Step>,
}

/// The one under way.
pub(super) struct Running {
    name: &'static str,
    begun: Instant,
    waiting: Waiting,
}

impl<'a> Steps<'a> {
    pub(super) fn new(printer: &'a Printer) -> Self {
        Self { printer, done: Vec::new() }
    }

    /// A step begins, in which this is done.
    pub(super) fn begin(&self, name: &'static str, doing: &'static str) -> Running {
        Running { name, begun: Instant::now(), waiting: Waiting::begin(self.printer, doing) }
    }

    /// A step begins that shows by itself how it goes.
    pub(super) fn begin_aloud(name: &'static str) -> Running {
        Running { name, begun: Instant::now(), waiting: Waiting::Silent }
    }

    /// It is done; what came of it.
    pub(super) fn end(&mut self, step: Running, said: impl Display) {
        let Running { name, begun, waiting } = step;
        drop(waiting);
        let took = begun.elapsed();
        let (said, seconds) = (said.to_string(), took.as_secs_f64());
        // The name of a branch is another's.
        let line = shown(&said);
        self.printer.tell(format!(
            "{} {} {line}",
            styled(GOOD, format!("{name:WIDTH$}")),
            styled(anstyle::Style::new().dimmed(), format!("{seconds:6.1} s"))
        ));
        let took_ms = u64::try_from(took.as_millis()).unwrap_or(u64::MAX);
        self.done.push(Step { name, said, took_ms });
    }

    pub(super) fn into_done(self) -> Vec<Step> {
        self.done
    }
}
