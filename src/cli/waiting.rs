//! What is waited for, so that nothing waits in silence: a spinner on a terminal, lines elsewhere.

use std::io::IsTerminal as _;
use std::sync::mpsc::{RecvTimeoutError, Sender, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressStyle};

use super::output::Printer;

/// Time between two frames of the spinner.
const FRAME: Duration = Duration::from_millis(100);

/// Time after which a line says once more what is waited for: who reads a log of CI wonders by then.
const AGAIN: Duration = Duration::from_secs(10);

/// Something that is waited for, until it is dropped.
pub(super) enum Waiting {
    /// On a terminal.
    Spinner(ProgressBar),
    /// Elsewhere: what was said last, and what ends the thread that says it again. It is one of its own, since what
    /// is waited for may be a copy that lets nothing else run in this one.
    Lines { printer: Printer, last: Arc<Mutex<String>>, _again: Sender<()> },
    /// Nobody wants to know.
    Silent,
}

impl Waiting {
    /// Begins to wait for this.
    pub(super) fn begin(printer: &Printer, what: &str) -> Self {
        if printer.quiet {
            return Self::Silent;
        }
        if std::io::stderr().is_terminal() {
            let spinner = ProgressBar::new_spinner().with_style(ProgressStyle::default_spinner());
            spinner.enable_steady_tick(FRAME);
            spinner.set_message(what.to_owned());
            return Self::Spinner(spinner);
        }
        let last = Arc::new(Mutex::new(what.to_owned()));
        let (begun, told, still) = (Instant::now(), Arc::clone(&last), printer.clone());
        printer.tell(what);
        let (again, ended) = channel();
        thread::spawn(move || {
            while ended.recv_timeout(AGAIN) == Err(RecvTimeoutError::Timeout) {
                let what = told.lock().unwrap_or_else(PoisonError::into_inner).clone();
                still.tell(format!("still, after {} s: {what}", begun.elapsed().as_secs()));
            }
        });
        Self::Lines { printer: printer.clone(), last, _again: again }
    }

    /// It is waited for something else by now.
    pub(super) fn is_for(&self, what: &str) {
        match self {
            Self::Spinner(spinner) => spinner.set_message(what.to_owned()),
            Self::Lines { printer, last, .. } => {
                let mut last = last.lock().unwrap_or_else(PoisonError::into_inner);
                if *last != what {
                    what.clone_into(&mut last);
                    printer.tell(what);
                }
            }
            Self::Silent => {}
        }
    }
}

impl Drop for Waiting {
    fn drop(&mut self) {
        if let Self::Spinner(spinner) = self {
            spinner.finish_and_clear();
        }
    }
}
