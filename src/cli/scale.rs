//! `romuoctl scale`: more or fewer instances, for good.

use clap_complete::engine::ArgValueCandidates;
use serde::Serialize;

use super::alone;
use super::context::Context;
use super::error::{Exit, Failure};
use super::install::cpus;
use super::installation::refuse_elsewhere;
use super::manual::apps;
use super::output::{Printer, listed};
use super::scaling::{Interrupts, Work, count, installing};
use super::target::{Word, split};
use crate::config::{Instances, Settings};
use crate::install::{self, PlanError, Wish};
use crate::manager::{ManagerError, ServiceManager, Systemd};
use crate::unit::{AppName, InstanceId};

#[derive(Debug, clap::Args)]
pub(super) struct Scale {
    /// How many: 4, or how many more or fewer: +1, -1; before it the app, as with --app: `shop 4`
    #[arg(add = ArgValueCandidates::new(apps))]
    #[arg(value_name = "N", num_args = 1..=2, required = true, allow_negative_numbers = true)]
    words: Vec<Word<Wish>>,
    /// Fail at once where a roll is under way, and say who rolls
    #[arg(long)]
    no_wait: bool,
}

impl Scale {
    pub(super) async fn run(self, context: &Context, printer: &Printer) -> Result<Exit, Failure> {
        context.running("scale")?;
        let (app, wish) = split(self.words)?;
        let wish = wish.ok_or_else(|| Failure::Words {
            sentence: "it was not said how many instances there are to be".into(),
            help: "for example `romuoctl scale 4` or `romuoctl scale +1`",
        })?;
        let context = &context.naming(app);
        refuse_elsewhere(context)?;
        let app = &context.installed_app()?;
        let (scale, runs) = scale(wish, app, self.no_wait, context, printer).await?;
        answer(printer, app, &scale, runs);
        Ok(Exit::Done)
    }
}

/// Another release serves: as many instances as its settings ask for from now on, where those of `before` have
/// asked for another number. Nothing of it can take the release back.
pub(super) async fn follow(
    settings: &Settings,
    before: Instances,
    context: &Context,
    printer: &Printer,
) {
    let (wished, app) = (settings.instances.count(cpus()), &settings.name);
    if wished == before.count(cpus()) {
        return;
    }
    match scale(Wish::Exactly(wished), app, false, context, printer).await {
        Ok((scale, runs)) => printer.tell(said(app, &scale, runs)),
        Err(error) => printer.warn(format!("the number of instances is as it was: {error}")),
    }
}

/// What was done, and whether the app runs.
async fn scale(
    wish: Wish,
    app: &AppName,
    no_wait: bool,
    context: &Context,
    printer: &Printer,
) -> Result<(install::Scale, bool), Failure> {
    let manager = Systemd::connect().await?;
    let target = manager.status(&app.target()).await?;
    if !target.loaded {
        return Err(ManagerError::NoSuchUnit { unit: target.name }.into());
    }
    let told = |text: &str| printer.tell(text);
    let lock = alone::lock("scale", app, context, no_wait, told).await?;
    // It only tells those who wait.
    let _ = lock.say(&format!("is being scaled by process {}", std::process::id()));
    let settings = &context.installed(app)?;
    alone::until_none_recycles(context, settings, told).await;

    let installing = installing(context).await?;
    let there = install::installed_instances(context.root(), app).map_err(PlanError::from)?;
    let scale = install::Scale::of(&there, wish)?;
    let work = Work::new(settings, context, &manager, printer).await?;
    if scale.is_nothing() {
        return Ok((scale, true));
    }
    work.refuse_an_outage(&there, &scale)?;
    work.warn_of_memory(&scale);
    // From here on nothing is left half done: an interruption is heard of and answered.
    let interrupts = Interrupts::new()?;
    work.link(&installing, &scale)?;
    drop(installing);
    let runs = if scale.add.is_empty() {
        work.end(&scale.remove).await?;
        work.runs().await?
    } else {
        match work.begin(&scale, interrupts).await {
            Ok(runs) => runs,
            Err(trouble) => return Err(work.undo(&scale, trouble).await),
        }
    };
    Ok((scale, runs))
}

fn answer(printer: &Printer, app: &AppName, scale: &install::Scale, runs: bool) {
    /// What was done, for scripts.
    #[derive(Serialize)]
    struct Scaled<'a> {
        app: &'a str,
        instances: u16,
        started: Vec<String>,
        stopped: Vec<String>,
    }
    let ids = |list: &[InstanceId]| {
        let touched = list.iter().filter(|_| runs);
        touched.map(ToString::to_string).collect()
    };
    let scaled = Scaled {
        app: app.as_str(),
        instances: scale.to.get(),
        started: ids(&scale.add),
        stopped: ids(&scale.remove),
    };
    printer.answer(&scaled, said(app, scale, runs));
}

/// What was done, in one sentence.
fn said(app: &AppName, scale: &install::Scale, runs: bool) -> String {
    let install::Scale { from, to, add, remove } = scale;
    let how = match (runs, add.as_slice(), remove.as_slice()) {
        (_, [], []) => return format!("{app} has {} already", count(*from)),
        (true, [], gone) => format!("stopped {}", listed(gone)),
        (true, new, _) => format!("started {}", listed(new)),
        (false, [], gone) => format!("without {}; it is stopped", listed(gone)),
        (false, new, _) => format!("with {}; it is stopped", listed(new)),
    };
    format!("scaled {app} from {from} to {}: {how}", count(to.get()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_sentence_says_what_was_done() {
        let says = |there: &[&str], wish: &str, runs| {
            let there = there.iter().map(|id| id.parse().unwrap()).collect();
            let scale = install::Scale::of(&there, wish.parse().unwrap()).unwrap();
            said(&AppName::default(), &scale, runs)
        };
        for (there, wish, runs, sentence) in [
            (&["1", "2"][..], "4", true, "scaled romuo from 2 to 4 instances: started 3, 4"),
            (&["1", "2", "3"], "1", true, "scaled romuo from 3 to 1 instance: stopped 2, 3"),
            (&["1"], "+1", false, "scaled romuo from 1 to 2 instances: with 2; it is stopped"),
            (
                &["1", "2"],
                "-1",
                false,
                "scaled romuo from 2 to 1 instance: without 2; it is stopped",
            ),
            (&["1", "2"], "2", true, "romuo has 2 instances already"),
            (&["4"], "1", false, "romuo has 1 instance already"),
        ] {
            assert_eq!(says(there, wish, runs), sentence);
        }
    }
}
