//! Has the roller bring the instances of an app to another release.

use super::context::Context;
use super::error::Failure;
use super::output::Printer;
use super::{reload, roll};
use crate::manager::{ServiceManager as _, Systemd};
use crate::release::Request;
use crate::roll::Outcome;
use crate::unit::AppName;

/// Asks for it, and waits for what comes of it; none: the app is stopped, and it is what it starts with.
pub(super) async fn bring(
    request: &Request,
    app: &AppName,
    context: &Context,
    manager: &Systemd,
    printer: &Printer,
) -> Result<Option<Outcome>, Failure> {
    let path = Request::path(context.root(), app);
    request.write(&path)?;
    if !manager.status(&app.roll()).await?.is_up() {
        roll::bring_stopped(app, context, manager).await?;
        return Ok(None);
    }
    let asked = reload::ask(app, context, manager, printer).await?;
    match asked.outcome {
        Some(outcome) => Ok(Some(outcome)),
        None => Err(Failure::NoVerdict { app: app.clone(), result: asked.result.to_string() }),
    }
}
