//! Where the server's own events go: to the journal with their fields where systemd collects
//! stderr, else to stderr as short text.

use std::io::IsTerminal as _;

use tracing::Level;
use tracing_subscriber::filter::LevelFilter;
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::SubscriberInitExt as _;

use crate::front::stderr_is_journal;
use crate::unit::AppName;

/// Begins the fields of events in the journal: `ROMUO_CONNECTIONS=3`.
const FIELD_PREFIX: &str = "ROMUO";

/// Sets up the logging of this process; a second call changes nothing. The journal gets the app's
/// name as `SYSLOG_IDENTIFIER`; the instance comes with `LogExtraFields=` of the unit.
pub(super) fn init(app: &AppName) {
    let level = LevelFilter::from_level(Level::INFO);
    let registry = tracing_subscriber::registry().with(level);
    let journal = stderr_is_journal().then(tracing_journald::layer).and_then(Result::ok);
    let _ = match journal {
        Some(journal) => registry
            .with(
                journal
                    .with_syslog_identifier(app.to_string())
                    .with_field_prefix(Some(FIELD_PREFIX.into())),
            )
            .try_init(),
        None => registry
            .with(
                tracing_subscriber::fmt::layer()
                    .with_writer(std::io::stderr)
                    .with_ansi(colour())
                    .with_target(false)
                    .without_time(),
            )
            .try_init(),
    };
}

/// Colour only for a person, and not for one who asked for none (no-color.org).
fn colour() -> bool {
    std::io::stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none_or(|no| no.is_empty())
}
