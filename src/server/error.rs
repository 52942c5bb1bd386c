//! Why a server did not come up.

use std::io;
use std::path::PathBuf;

use crate::config::ConfigError;
use crate::health::ProbeError;
use crate::unit::InstanceId;

/// Why a server did not come up.
#[derive(Debug, thiserror::Error, miette::Diagnostic)]
pub enum ServerError {
    /// The configuration is wrong; exit code 2.
    #[error(transparent)]
    #[diagnostic(transparent)]
    Config(#[from] ConfigError),
    /// systemd passed something that cannot be served on.
    #[error("could not take over the sockets that systemd passed: {0}")]
    #[diagnostic(help("the socket unit needs ListenStream= (systemd.socket(5))"))]
    Inherit(#[source] io::Error),
    /// An instance without sockets: it may have no network to bind any itself.
    #[error("systemd passed no sockets to instance {id}")]
    #[diagnostic(help(
        "is the app's socket unit active? By hand, start romuo-server without --instance"
    ))]
    NoSockets {
        /// The instance.
        id: InstanceId,
    },
    /// systemd passed sockets, none of them for this server.
    #[error("systemd passed the sockets `{names}`, and none is named `http`")]
    #[diagnostic(help("set FileDescriptorName=http in the socket unit"))]
    WrongNames {
        /// The names that came.
        names: String,
    },
    /// An address could not be bound.
    #[error("could not listen on {address}: {source}")]
    #[diagnostic(help(
        "is the app running already, or another program on this address? `ss -ltnp` tells"
    ))]
    Bind {
        /// The address of the configuration.
        address: String,
        /// What the system said.
        source: io::Error,
    },
    /// The control socket could not be bound.
    #[error("could not listen on the control socket {path}: {source}")]
    #[diagnostic(help("is an instance with the same id running already?"))]
    Control {
        /// Where it should be.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The static site is not there.
    #[error("the site's folder {path} cannot be read: {source}")]
    #[diagnostic(help("`static.root` of the configuration names it; has the site been built?"))]
    Site {
        /// `static.root`.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The first request through its own router was not answered well.
    #[error("the server does not answer its own health request: {0}")]
    NotHealthy(#[from] ProbeError),
    /// The app did not come up, or does not any more.
    #[error("the app {0}")]
    #[diagnostic(help(
        "what it said itself stands in the journal; `health.path` has to be answered with a code from 200 to 399"
    ))]
    App(String),
    /// systemd starts such an app itself.
    #[error("this app takes its sockets itself (`mode = \"inherit\"`)")]
    #[diagnostic(help("systemd starts it without romuo-server: `romuoctl start`"))]
    Inherits,
    /// The configuration of a release is that of another kind of app than the unit's.
    #[error(
        "the configuration of what the instance runs has no program that takes its sockets itself"
    )]
    #[diagnostic(help(
        "`romuoctl install-units` writes the unit that belongs to the configuration"
    ))]
    NotInheriting,
    /// The app's own program could not be started in the place of this one.
    #[error("cannot start {program} in {}: {source}", directory.display())]
    #[diagnostic(help("are both there, and may the user of the unit go through the folders?"))]
    Exec {
        /// The first word of the command.
        program: String,
        /// The app's folder.
        directory: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The file of the app's variables could not be read.
    #[error("cannot read the env_file {}: {source}", path.display())]
    #[diagnostic(help("it is read as the user of the instances: may that one read it?"))]
    EnvFile {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The runtime, a signal handler or a thread could not be set up.
    #[error("could not set up {what}: {source}")]
    Setup {
        /// What it was.
        what: &'static str,
        /// What the system said.
        source: io::Error,
    },
}

impl ServerError {
    /// A function that names what could not be set up.
    pub(super) fn setup(what: &'static str) -> impl FnOnce(io::Error) -> Self {
        move |source| Self::Setup { what, source }
    }
}
