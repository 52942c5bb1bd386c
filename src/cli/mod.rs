//! `romuoctl`: one file per verb. Nobody imports this room but the binary.

mod alone;
mod bring;
mod context;
mod deploy;
mod edited;
mod error;
mod fit;
mod health;
mod hints;
mod import;
mod init;
mod install;
mod installation;
mod keep;
mod lifecycle;
mod list;
mod logs;
mod manual;
mod output;
mod pid;
mod pm2;
mod ports;
mod rehearse;
mod releases;
mod reload;
mod roll;
mod rollback;
mod runtime_units;
mod scale;
mod scaling;
mod staging;
mod state;
mod status;
mod survey;
mod target;
mod uninstall;
mod waiting;

use std::ffi::OsString;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::error::{ContextKind, ContextValue};
use clap::{CommandFactory, FromArgMatches, Parser, Subcommand};
use clap_complete::engine::ArgValueCandidates;

use self::context::Context;
use self::error::{Exit, Failure};
use self::output::{Format, Printer};
use crate::sandbox;
use crate::unit::AppName;

/// The process manager your server already has: systemd, made as comfortable as PM2.
#[derive(Debug, Parser)]
#[command(name = "romuoctl", version, propagate_version = true, max_term_width = 100)]
#[command(after_help = EXIT_CODES)]
struct Cli {
    #[command(flatten)]
    global: Global,
    #[command(subcommand)]
    verb: Verb,
}

const EXIT_CODES: &str = "\
Exit codes: 0 done; 1 failed; 2 usage or configuration; 3 not running or unhealthy (status, health); 4 failed and rolled \
back, what was there before serves (deploy, rollback).

The configuration is --config, else the installed one of --app, else ./romuo.toml, else that of the \
only installed app. What only looks (status, health, logs, pid) shows all apps where none is meant.";

/// Options that every verb knows.
#[derive(Debug, clap::Args)]
#[command(next_help_heading = "Options of every command")]
struct Global {
    /// The app, by name; status, health, logs and pid take several
    #[arg(short, long, global = true, value_name = "NAME", action = clap::ArgAction::Append)]
    #[arg(add = ArgValueCandidates::new(manual::apps))]
    app: Vec<AppName>,
    /// The configuration file
    #[arg(short, long, global = true, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Work on the machine below this folder, for example an image; its systemd is not running
    #[arg(long, global = true, value_name = "DIR", default_value = "/")]
    root: PathBuf,
    /// What is printed on standard output: text for people, or one JSON value for scripts
    #[arg(short, long, global = true, value_enum, default_value_t = Format::Text)]
    #[arg(value_name = "text|json", hide_possible_values = true)]
    output: Format,
    /// No colours, as with NO_COLOR=1 in the environment
    #[arg(long, global = true)]
    no_color: bool,
    /// Print nothing but errors and what was asked for
    #[arg(short, long, global = true)]
    quiet: bool,
}

#[derive(Debug, Subcommand)]
enum Verb {
    /// Look at the folder of an app and write a romuo.toml for it
    Init(init::Init),
    /// Turn an ecosystem file of PM2 or a Procfile into romuo.toml
    Import(import::ImportFile),
    /// Render, check and write the units of the app, and enable it
    InstallUnits(install::InstallUnits),
    /// Stop the app and remove exactly what was installed
    UninstallUnits(uninstall::UninstallUnits),
    /// Start the app
    Start(lifecycle::Start),
    /// Stop the app; its port closes
    Stop(lifecycle::Stop),
    /// Restart all instances at once, or one; the port stays open and waiting requests are served
    Restart(lifecycle::Restart),
    /// Restart the instances one healthy instance at a time, losing no request
    Reload(reload::Reload),
    /// Ship a new release: build, rehearse and roll it, and go back where it is not well
    Deploy(deploy::Deploy),
    /// Bring back the release that served before, or another one, losing no request
    Rollback(rollback::Rollback),
    /// List what was shipped, what came of it, and which instance runs which
    Releases(releases::Releases),
    /// Change how many instances there are, losing no request; it lasts
    Scale(scale::Scale),
    /// Show every app of the machine, one line each
    #[command(visible_alias = "ls", alias = "l", alias = "ps")]
    List(list::List),
    /// The same as JSON, as `pm2 jlist`
    #[command(hide = true, alias = "prettylist")]
    Jlist,
    /// Show the app and its instances
    Status(status::Status),
    /// Ask each instance for its health
    Health(health::Health),
    /// Show what the app said
    Logs(logs::Logs),
    /// Print the process of each instance that is up
    Pid(pid::Pid),
    /// Print the completions for a shell
    Completions(manual::Completions),
    /// Print the manual page, or write all of them
    Man(manual::Man),
    /// Start a release beside the instances, out of the clients' sight, and see whether it is fit to serve
    #[command(hide = true)]
    Candidate(rehearse::Rehearse),
    /// Roll the instances here and now: what `systemctl reload` runs
    #[command(hide = true)]
    Roll(roll::Roll),
}

/// Runs `romuoctl` with the arguments of this process.
#[must_use]
pub fn main() -> ExitCode {
    // Not for people, and not for clap: the steps of a sandbox become other programs.
    let mut arguments = std::env::args_os().skip(1);
    if arguments.next().is_some_and(|verb| verb == sandbox::init::VERB) {
        return sandbox::init::main(arguments);
    }
    match manual::complete() {
        Ok(false) => {}
        Ok(true) => return ExitCode::SUCCESS,
        Err(error) => error.exit(),
    }
    let cli = match parse(std::env::args_os()) {
        Ok(cli) => cli,
        Err(error) => return refused(&error),
    };
    if cli.global.no_color {
        anstream::ColorChoice::Never.write_global();
    }
    let context = Context::new(cli.global.root, cli.global.app, cli.global.config);
    let printer = Printer::new(cli.global.output, cli.global.quiet);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let result = match runtime {
        Ok(runtime) => runtime.block_on(cli.verb.run(&context, &printer)),
        Err(error) => Err(Failure::Runtime(error)),
    };
    end(result)
}

/// Says how it ended, where that was not well.
fn end(result: Result<Exit, Failure>) -> ExitCode {
    match result {
        Ok(exit) => exit.into(),
        Err(failure) => {
            output::failure(&failure);
            failure.exit().into()
        }
    }
}

/// Parses the arguments.
fn parse(arguments: impl Iterator<Item = OsString>) -> Result<Cli, clap::Error> {
    let matches = command().try_get_matches_from(arguments)?;
    Cli::from_arg_matches(&matches)
}

/// Prints help, version and usage errors (exit code 2) as clap has them; a verb of PM2's is answered.
fn refused(error: &clap::Error) -> ExitCode {
    if let Some(ContextValue::String(word)) = error.get(ContextKind::InvalidSubcommand)
        && let Some(answer) = pm2::answer(word, &Printer::new(Format::Text, false))
    {
        return end(answer);
    }
    error.exit()
}

/// The command line as clap knows it, for manual pages and completions.
#[must_use]
pub fn command() -> clap::Command {
    Cli::command()
}

impl Verb {
    async fn run(self, context: &Context, printer: &Printer) -> Result<Exit, Failure> {
        match self {
            Self::Init(verb) => verb.run(context, printer),
            Self::Import(verb) => verb.run(context, printer),
            Self::InstallUnits(verb) => verb.run(context, printer).await,
            Self::UninstallUnits(verb) => verb.run(context, printer).await,
            Self::Start(verb) => verb.run(context, printer).await,
            Self::Stop(verb) => verb.run(context, printer).await,
            Self::Restart(verb) => verb.run(context, printer).await,
            Self::Reload(verb) => verb.run(context, printer).await,
            Self::Deploy(verb) => Box::pin(verb.run(context, printer)).await,
            Self::Rollback(verb) => verb.run(context, printer).await,
            Self::Releases(verb) => verb.run(context, printer).await,
            Self::Scale(verb) => verb.run(context, printer).await,
            Self::List(verb) => verb.run(context, printer).await,
            Self::Jlist => list::List::as_json(context).await,
            Self::Status(verb) => verb.run(context, printer).await,
            Self::Health(verb) => verb.run(context, printer).await,
            Self::Logs(verb) => verb.run(context, printer).await,
            Self::Pid(verb) => verb.run(context, printer).await,
            Self::Completions(verb) => verb.run(),
            Self::Man(verb) => verb.run(),
            Self::Candidate(verb) => verb.run(context, printer).await,
            Self::Roll(verb) => verb.run(context).await,
        }
    }
}
