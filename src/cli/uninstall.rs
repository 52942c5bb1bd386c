//! `romuoctl uninstall-units`.

use super::context::Context;
use super::error::{Exit, Failure};
use super::install::{running_manager, show};
use super::installation;
use super::lifecycle;
use super::output::Printer;
use super::scaling::installing;
use crate::install::{self, Plan};
use crate::release::{Request, Store, Trials};
use crate::text::shown_path;
use crate::unit::AppName;

#[derive(Debug, clap::Args)]
pub(super) struct UninstallUnits {
    /// Show what would be removed, and remove nothing
    #[arg(long)]
    dry_run: bool,
    /// Remove files that someone edited, too
    #[arg(long)]
    force: bool,
    /// Remove its releases, their history and what earlier installations have left, too; what the app itself has
    /// written stays
    #[arg(long)]
    purge: bool,
}

impl UninstallUnits {
    pub(super) async fn run(self, context: &Context, printer: &Printer) -> Result<Exit, Failure> {
        if !self.dry_run {
            context.as_root("uninstall-units")?;
        }
        let (app, root) = (context.app()?, context.root());
        installation::refuse_elsewhere(context)?;
        let mut plan = install::plan_removal(root, &app, self.force)?;
        let store = Store::new(root, &app);
        if !self.dry_run {
            if !plan.is_empty() {
                // A deploy would install half of it again.
                let _no_deploy = store.lock_if_there()?;
                plan = self.remove(&app, context, printer).await?;
            }
            // Also after one that was cut off.
            forget(&app, context);
        }
        // Its releases, and what it has written itself.
        let data = store.folder().to_path_buf();
        if self.purge && data.exists() {
            if self.dry_run {
                printer.say(format!("would remove what is romuo's in {}", shown_path(&data)));
            } else {
                store.purge(store.lock()?)?;
            }
        }
        if data.exists() {
            plan.left.push(data);
        }
        show(printer, &plan, false, &format!("{app} is not installed"), None);
        for path in &plan.left {
            printer.say(format!("left in place: {}", shown_path(path)));
        }
        Ok(Exit::Done)
    }

    /// Stops the app and removes its files; what was removed.
    async fn remove(
        &self,
        app: &AppName,
        context: &Context,
        printer: &Printer,
    ) -> Result<Plan, Failure> {
        let root = context.root();
        let manager = running_manager(context).await?;
        if let Some(manager) = &manager {
            // That may take as long as its last request, and other apps are installed meanwhile.
            lifecycle::stop(app, root, manager, printer).await?;
        }
        let lock = installing(context).await?;
        let plan = install::plan_removal(root, app, self.force)?;
        install::apply(&lock, &plan)?;
        if let Some(manager) = &manager {
            manager.daemon_reload().await?;
            manager.forget(app).await?;
        }
        Ok(plan)
    }
}

/// Removes what its instances and rolls came to, counts of crashes among it: the next one of this name is
/// another app. It is in memory, and goes with the next boot at the latest.
fn forget(app: &AppName, context: &Context) {
    let _ = std::fs::remove_dir_all(context.control_folder(app));
    forget_rolls(app, context);
}

/// The same of its rolls alone, and what was still asked of them.
pub(super) fn forget_rolls(app: &AppName, context: &Context) {
    let request = Request::path(context.root(), app);
    for path in [context.outcome_path(app), context.progress_path(app), request] {
        let _ = std::fs::remove_file(path);
    }
    let _ = Trials::new(context.root(), app).clear();
}
