//! Closes what the app does not listen on any more, after a roll that went well.

use std::future::Future;
use std::time::Duration;

use super::super::context::Context;
use super::super::error::Failure;
use super::super::fit::fit;
use super::super::ports;
use super::announce;
use super::pass::Pass;
use super::whole::Whole;
use crate::clock::BootTime;
use crate::config::{Listen, Method, Settings};
use crate::manager::Systemd;
use crate::roll::{Closed, Same};

/// Closes what is open and not in the installed settings, be it that an earlier roller did not come to it:
/// first systemd lets go of it, then each instance, which drains as it is restarted. Until the last one has
/// done so the address is served. None: there is nothing to close.
pub(super) async fn close(
    settings: &Settings,
    release: Option<String>,
    context: &Context,
    manager: &Systemd,
    cancel: impl Future<Output = ()>,
) -> Option<Closed> {
    let gone = match ports::of_running(&settings.name, context, manager).await {
        Ok(ports) => ports?.change(&settings.listen).closes,
        Err(error) => return Some(Closed { listen: Vec::new(), failed: Some(error.to_string()) }),
    };
    if gone.is_empty() {
        return None;
    }
    // Whatever ends this, the next roll restarts those that were started before the unit of the socket changed.
    announce(&format!("closing {}", listed(&gone)));
    let failed = restart(settings, release, context, manager, cancel).await;
    let listen = gone.iter().map(ToString::to_string).collect();
    Some(Closed { listen, failed: failed.unwrap_or_else(|error| Some(error.to_string())) })
}

/// Why some instance may still have it; none: none has.
async fn restart(
    settings: &Settings,
    release: Option<String>,
    context: &Context,
    manager: &Systemd,
    cancel: impl Future<Output = ()>,
) -> Result<Option<String>, Failure> {
    ports::let_go(&settings.listen, settings, context, manager).await?;
    fit(settings.clone(), &[], context, manager).await?;
    let mut settings = settings.clone();
    // A swap would leave it open.
    settings.reload.method = Method::Restart;
    let whole = Whole::plan(&settings, context, manager, None, None).await?;
    let pass = Pass {
        settings: &settings,
        context,
        manager,
        releases: &Same,
        release,
        watch: Duration::ZERO,
        started: BootTime::now(),
    };
    let verdict = pass.run(&whole, false, cancel).await?;
    let failed = verdict.failed.first().filter(|one| !one.is_put_back);
    Ok(match (failed, verdict.untouched.first()) {
        (Some(failed), _) => {
            Some(format!("{} {}", settings.name.instance(failed.instance), failed.reason))
        }
        (None, Some(left)) => Some(format!("{} was not reached", settings.name.instance(*left))),
        (None, None) => None,
    })
}

/// Addresses in a row.
pub(super) fn listed(listen: &[Listen]) -> String {
    listen.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")
}
