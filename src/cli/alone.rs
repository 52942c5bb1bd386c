//! The right to change the instances of an app: whoever rolls or scales it has it, one at a time.

use std::time::Duration;

use tokio::time::{Instant, sleep};

use super::context::Context;
use super::error::Failure;
use crate::clock::BootTime;
use crate::config::Settings;
use crate::recycle::{RollLock, Turns};
use crate::roll::Progress;
use crate::unit::AppName;

/// Pause between two looks whether what somebody else does has ended, where nothing tells: a roll, an
/// install, the recycling of an instance. A person does not notice it, and a look costs next to nothing.
pub(super) const LOOK_EVERY: Duration = Duration::from_millis(100);

/// How long the lock is waited for: longer than a roll with a long watch takes. Somebody has to look at
/// who has it then.
const LONGEST: Duration = Duration::from_secs(60 * 60);

/// Waits until nobody else has the right to `what` the app, and takes it; as long as it is there, no
/// instance begins to recycle. `told` hears who is waited for.
pub(super) async fn lock(
    what: &'static str,
    app: &AppName,
    context: &Context,
    no_wait: bool,
    told: impl Fn(&str),
) -> Result<RollLock, Failure> {
    let begun = Instant::now();
    let mut is_told = false;
    loop {
        let taken = RollLock::take(&context.control_folder(app));
        let failed = |source| Failure::RollLock { what, app: app.clone(), source };
        if let Some(lock) = taken.map_err(failed)? {
            return Ok(lock);
        }
        if !is_told {
            if no_wait {
                return Err(refusal(context, app));
            }
            told(&format!("waiting: {}", who(context, app)));
            is_told = true;
        }
        if begun.elapsed() > LONGEST {
            let (app, who) = (app.clone(), who(context, app));
            return Err(Failure::StillTaken { what, app, who });
        }
        sleep(LOOK_EVERY).await;
    }
}

/// Who has the right now, as a sentence.
pub(super) fn who(context: &Context, app: &AppName) -> String {
    match RollLock::said(&context.control_folder(app)) {
        Some(said) => format!("{app} {said}"),
        None => who_rolls(context, app),
    }
}

/// Why it cannot be had at once.
pub(super) fn refusal(context: &Context, app: &AppName) -> Failure {
    let app = app.clone();
    match RollLock::said(&context.control_folder(&app)) {
        Some(said) => Failure::Busy { app, said },
        None => Failure::Rolling { who: who_rolls(context, &app), app },
    }
}

/// Whether a roll has it.
pub(super) fn is_rolling(context: &Context, app: &AppName) -> bool {
    let folder = context.control_folder(app);
    RollLock::is_taken(&folder) && RollLock::said(&folder).is_none()
}

fn who_rolls(context: &Context, app: &AppName) -> String {
    let progress = Progress::read(&context.progress_path(app));
    match progress {
        Some(progress) => progress.who(BootTime::now()),
        None => RollLock::holder(&context.control_folder(app))
            .map_or_else(|| "it has only just begun".to_owned(), |holder| holder.to_string()),
    }
}

/// Waits for an instance that is being recycled: it is down, or about to be.
pub(super) async fn until_none_recycles(
    context: &Context,
    settings: &Settings,
    told: impl Fn(&str),
) {
    let turns = Turns::at(&context.control_folder(&settings.name), &settings.limits);
    // The file belongs to the instances; what it says must not hold up a roll for longer.
    let until = Instant::now() + turns.longest();
    let mut is_told = false;
    while let Some(turn) = turns.holder(BootTime::now())
        && Instant::now() < until
    {
        if !is_told {
            told(&format!("waiting for instance {}, which is being recycled", turn.instance));
            is_told = true;
        }
        sleep(LOOK_EVERY).await;
    }
}
