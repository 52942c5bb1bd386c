//! `romuoctl deploy`: ships a new release.
//!
//! [`procedure`] is the whole of it, step by step, and [`dry`] tells it only; [`steps`] shows it;
//! [`outcome`] is what it came to.
//! The roll at its end runs in `NAME.service` (see [`super::roll`]), whoever asked for it.

mod dry;
mod home;
mod outcome;
mod procedure;
mod steps;

use std::path::PathBuf;

use self::procedure::Procedure;
use super::context::Context;
use super::error::{Exit, Failure};
use super::installation;
use super::output::{Format, Printer};
use super::status::Status;
use crate::release::Store;

#[derive(Debug, clap::Args)]
pub(super) struct Deploy {
    /// Ship a commit of the repository that the app lies in, checked out anew: a branch, a tag, an id
    #[arg(long, value_name = "REF")]
    git: Option<String>,
    /// Ship what is in a tar archive
    #[arg(long, value_name = "FILE", conflicts_with = "git")]
    archive: Option<PathBuf>,
    /// Tell each step, and do none
    #[arg(long)]
    dry_run: bool,
}

impl Deploy {
    pub(super) async fn run(self, context: &Context, printer: &Printer) -> Result<Exit, Failure> {
        context.running("deploy")?;
        if !self.dry_run {
            context.as_root("deploy")?;
        }
        let home = home::find(context)?;
        let app = home.settings.name.clone();
        if !context.is_installed(&app) {
            return Err(Failure::NotInstalled { app });
        }
        installation::refuse_other(&app, &home.file, context)?;
        let wanted = home.wanted(self.git, self.archive)?;
        if self.dry_run {
            let store = Store::new(context.root(), &app);
            return dry::tell(&home, &wanted, &store, context, printer).await;
        }
        let (store, lock) = installation::releases(&app, context)?;
        let procedure = Procedure::new(&home, &store, &lock, context, printer).await?;
        let (deployed, result) = procedure.run(wanted).await;
        if printer.format == Format::Json {
            printer.answer(&deployed, "");
        }
        result?;
        if printer.format == Format::Text && !printer.quiet {
            Status::of(&app, context, printer).await?;
        }
        Ok(Exit::Done)
    }
}
