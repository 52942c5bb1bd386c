//! The command line of `romuo-server`.

use std::io::IsTerminal as _;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use miette::Diagnostic;

use clap::{Args, CommandFactory as _, Parser, Subcommand};

use super::ServerError;
use super::exec::{become_command, exec};
use super::fronted::ask_for_swap;
use super::life::runtime_folder;
use super::standin;
use crate::config::{self, Listen, Retry, parse_duration};
use crate::gate;
use crate::guard;
use crate::release::Place;
use crate::unit::{InstanceId, ServiceResult};

/// Serves an app: from the sockets that systemd passes, or from its own when started by hand.
#[derive(Debug, Parser)]
#[command(name = "romuo-server", version, max_term_width = 100)]
#[command(args_conflicts_with_subcommands = true, subcommand_negates_reqs = true)]
struct Arguments {
    #[command(flatten)]
    serve: Option<Serve>,
    #[command(subcommand)]
    verb: Option<Verb>,
}

#[derive(Debug, Args)]
struct Serve {
    /// The configuration
    #[arg(long, value_name = "FILE")]
    config: PathBuf,
    /// Which instance this is; none: started by hand
    #[arg(long, value_name = "ID")]
    instance: Option<InstanceId>,
    /// The folder of the release that a candidate runs, which is none of the instances
    #[arg(long, value_name = "DIR", hide = true, conflicts_with = "instance")]
    release: Option<PathBuf>,
}

impl Serve {
    /// Stands in for the instance, if it is errored; none: it is not, or is a candidate or started by hand.
    fn stand_in(&self) -> Option<ExitCode> {
        standin::instead_of(self.instance?, &runtime_folder()?)
    }

    /// What is run.
    fn place(&self) -> Result<Place, ServerError> {
        let Self { config, instance, release } = self;
        Ok(match (instance, release) {
            (Some(id), _) => Place::of_instance(config, *id, runtime_folder())?,
            (None, Some(folder)) => Place::of_release(config, folder)?,
            (None, None) => Place::fixed(config::load(config)?),
        })
    }
}

#[derive(Debug, Subcommand)]
enum Verb {
    /// Swap the app of a running instance for a new one: what a reload of its unit runs
    Swap {
        /// The instance
        id: InstanceId,
    },
    /// The crash guard, which the units ask before a start and tell of an end
    #[command(subcommand)]
    Guard(Guard),
    /// Wait until this unit's app answers well on the sockets it took; units of `mode = "inherit"` ask
    #[command(hide = true)]
    Gate(Gate),
    /// Become the app's own program, from the release that the instance runs; units of `mode = "inherit"` do
    #[command(hide = true)]
    Exec(Serve),
}

#[derive(Debug, Args)]
struct Gate {
    /// The instance; none: a candidate
    id: Option<InstanceId>,
    /// An address that the app listens on; in the order in which systemd hands over the sockets
    #[arg(long, value_name = "ADDRESS", required = true)]
    listen: Vec<Listen>,
    /// The path to ask for
    #[arg(long, value_name = "PATH")]
    path: String,
    /// How long one answer may take
    #[arg(long, value_name = "DURATION", value_parser = parse_duration)]
    timeout: Duration,
    /// How long the app may take until it answers well
    #[arg(long, value_name = "DURATION", value_parser = parse_duration)]
    start_timeout: Duration,
}

#[derive(Debug, Subcommand)]
enum Guard {
    /// Exit with 1 if the instance is errored and stays so, so that it does not start
    Before {
        /// The instance
        id: InstanceId,
        /// So many quick crashes in a row make it errored
        #[arg(long, value_name = "COUNT")]
        max_restarts: u32,
        /// After this pause an errored instance is tried again; until then it starts as its own stand-in
        #[arg(long, value_name = "DURATION", default_value = "off")]
        retry_errored: Retry,
    },
    /// Become this command; or stand in for it, if the instance is errored. Units of `mode = "inherit"` do
    #[command(hide = true)]
    Exec {
        /// The instance
        id: InstanceId,
        /// The program and its arguments
        #[arg(last = true, required = true)]
        command: Vec<String>,
    },
    /// Count its uptime from now on
    Ready {
        /// The instance
        id: InstanceId,
    },
    /// Count how it ended
    After {
        /// The instance
        id: InstanceId,
        /// A crash before it was up for this long is a quick one
        #[arg(long, value_name = "DURATION", value_parser = parse_duration)]
        min_uptime: Duration,
        /// How the service ended, as systemd says it
        #[arg(long, value_name = "RESULT", env = "SERVICE_RESULT")]
        result: ServiceResult,
    },
}

/// The command line as clap knows it, for the manual page.
#[must_use]
pub fn command() -> clap::Command {
    Arguments::command()
}

/// Runs `romuo-server` with the arguments of this process.
#[must_use]
pub fn main() -> ExitCode {
    match Arguments::parse() {
        Arguments { verb: Some(Verb::Guard(verb)), .. } => verb.run(),
        Arguments { verb: Some(Verb::Swap { id }), .. } => swap(id),
        Arguments { verb: Some(Verb::Gate(verb)), .. } => verb.run(),
        Arguments { verb: Some(Verb::Exec(what)), .. } => {
            if let Some(code) = what.stand_in() {
                return code;
            }
            let Err(error) = what.place().and_then(|place| exec(&place));
            failed(error)
        }
        Arguments { serve: Some(what), .. } => {
            if let Some(code) = what.stand_in() {
                return code;
            }
            match what.place().and_then(|place| super::serve(place, what.instance)) {
                Ok(()) => ExitCode::SUCCESS,
                Err(error) => failed(error),
            }
        }
        // clap insists on one of the two.
        Arguments { verb: None, serve: None } => ExitCode::from(2),
    }
}

/// Says why an instance did not come up; the exit code.
fn failed(error: ServerError) -> ExitCode {
    let code = if matches!(error, ServerError::Config(_)) { 2 } else { 1 };
    complain(error);
    ExitCode::from(code)
}

/// Asks a running instance for a swap, and says what came of it.
fn swap(id: InstanceId) -> ExitCode {
    let Some(folder) = runtime_folder() else {
        eprintln!("romuo-server: swap is for units, which have $RUNTIME_DIRECTORY");
        return ExitCode::from(2);
    };
    if guard::Guard::at(&folder, id).state().stand_in().is_some() {
        eprintln!("the app was not swapped: instance {id} is errored; a restart tries it again");
        return ExitCode::FAILURE;
    }
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let outcome = match runtime {
        Ok(runtime) => runtime.block_on(ask_for_swap(&folder, id)),
        Err(error) => Err(format!("the app was not swapped: {error}")),
    };
    match outcome {
        Ok(sentence) => {
            println!("{sentence}");
            ExitCode::SUCCESS
        }
        Err(sentence) => {
            eprintln!("{sentence}");
            ExitCode::FAILURE
        }
    }
}

/// Says why something failed: to a person in full, to the journal in plain sentences.
fn complain(error: impl Diagnostic + Send + Sync + 'static) {
    if std::io::stderr().is_terminal() {
        eprintln!("{:?}", miette::Report::new(error));
        return;
    }
    eprintln!("romuo-server: {error}");
    if let Some(help) = error.help() {
        eprintln!("hint: {help}");
    }
}

impl Gate {
    fn run(self) -> ExitCode {
        let Self { id, listen, path, timeout, start_timeout } = self;
        if let Some((id, folder)) = id.zip(runtime_folder())
            && let Some(stands_in) = standin::begins(id, &folder, start_timeout)
        {
            if !stands_in {
                eprintln!("Instance {id} is errored, and nothing stands in for it");
                return ExitCode::FAILURE;
            }
            return ExitCode::SUCCESS;
        }
        let gate = gate::Gate { listen, path, timeout, within: start_timeout };
        match gate.pass() {
            Ok(passed) => {
                let addresses = gate.listen.iter().map(ToString::to_string).collect::<Vec<_>>();
                let who = id.map_or("The candidate".into(), |id| format!("Instance {id}"));
                println!(
                    "{who} answers {} on {}: GET {}",
                    passed.code,
                    addresses.join(", "),
                    gate.path
                );
                ExitCode::SUCCESS
            }
            Err(error) => {
                complain(error);
                ExitCode::FAILURE
            }
        }
    }
}

impl Guard {
    fn run(self) -> ExitCode {
        let Some(folder) = runtime_folder() else {
            eprintln!("romuo-server: guard is for units, which have $RUNTIME_DIRECTORY");
            return ExitCode::from(2);
        };
        let outcome = match self {
            Self::Before { id, max_restarts, retry_errored } => {
                guard::before(&folder, id, max_restarts, retry_errored)
            }
            Self::Exec { id, command } => {
                if let Some(code) = standin::instead_of(id, &folder) {
                    return code;
                }
                let Err(error) = become_command(&command);
                return failed(error);
            }
            Self::Ready { id } => guard::ready(&folder, id),
            Self::After { id, min_uptime, result } => {
                guard::after(&folder, id, &result, min_uptime)
            }
        };
        if let Some(message) = outcome.message {
            eprintln!("{message}");
        }
        ExitCode::from(outcome.code)
    }
}
