//! Why an instance does not pass the gate.

use std::fmt;
use std::io;
use std::time::Duration;

use http::StatusCode;

use crate::config::{Listen, format_duration};

/// Why an instance does not pass the gate.
#[derive(Debug, thiserror::Error, miette::Diagnostic)]
pub enum GateError {
    /// Nobody of the unit took a connection.
    #[error(
        "nobody of this instance accepted a connection on {listen} within {}{}",
        format_duration(*within),
        others(*taken)
    )]
    #[diagnostic(help(
        "does the app take the socket that systemd hands it as descriptor {descriptor}? \
         An app that opens its port by itself needs `mode = \"front\"`"
    ))]
    Nobody {
        /// The address.
        listen: Listen,
        /// The time that it had.
        within: Duration,
        /// How many connections others took, which are this instance's siblings.
        taken: u32,
        /// The descriptor that the socket of this address is handed over as (sd_listen_fds(3)).
        descriptor: usize,
    },
    /// Nobody listens there at all.
    #[error("cannot connect to {listen}, although the app's socket should be open: {source}")]
    #[diagnostic(help("is the app's socket unit active, and on this address?"))]
    Connect {
        /// The address.
        listen: Listen,
        /// What the last connect said.
        source: io::Error,
    },
    /// It took connections and did not answer well on any.
    #[error("this instance is not healthy: it {unwell} on {listen} to GET {path}")]
    #[diagnostic(help(
        "a code from 200 to 399 is healthy; `health.path` names a path that the app answers so"
    ))]
    Unwell {
        /// The address.
        listen: Listen,
        /// The path.
        path: String,
        /// What its last answer was.
        unwell: Unwell,
    },
    /// The app is gone.
    #[error("the app ended before it answered GET {path} on {listen}")]
    #[diagnostic(help("what it said last is above, in the journal"))]
    Ended {
        /// The address.
        listen: Listen,
        /// The path.
        path: String,
    },
    /// Started by hand.
    #[error("the gate is for units: this process is in no cgroup of one")]
    #[diagnostic(help("the units of an app with `mode = \"inherit\"` run it by themselves"))]
    NoUnit,
    /// The kernel could not be asked.
    #[error("cannot {doing}: {source}")]
    #[diagnostic(help("the unit has to run the gate as root: `ExecStartPost=+...`"))]
    Look {
        /// What was tried.
        doing: &'static str,
        /// What the system said.
        source: io::Error,
    },
}

/// What was wrong with an answer. Completes the sentence "it ... on ADDRESS".
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Unwell {
    /// Another code.
    Code(StatusCode),
    /// Nothing in time.
    Late(Duration),
    /// It hung up.
    Closed,
    /// That was no HTTP.
    NotHttp,
}

impl fmt::Display for Unwell {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Code(code) => write!(f, "answered {code}"),
            Self::Late(within) => write!(f, "did not answer within {}", format_duration(*within)),
            Self::Closed => f.write_str("closed the connection without an answer"),
            Self::NotHttp => f.write_str("answered something that is not HTTP/1"),
        }
    }
}

/// What to add where siblings took connections.
fn others(taken: u32) -> String {
    match taken {
        0 => String::new(),
        1 => " (a sibling took one)".to_owned(),
        many => format!(" (siblings took {many})"),
    }
}
