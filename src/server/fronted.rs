//! An instance whose requests are answered by the app's own program: what is added to its life.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use axum::response::IntoResponse as _;
use axum::routing::get;
use axum::{Json, Router};
use http::StatusCode;
use tokio::signal::unix::Signal;

use super::connection::{Handler, Host};
use super::drain::Drain;
use super::error::ServerError;
use super::life::runtime_folder;
use super::relay;
use super::sockets::SocketFile;
use super::watchdog::Pulse;
use crate::config::{Mode, Settings};
use crate::front::{App, Entry, Front, Route, Siblings, Swapped};
use crate::health::{self, SwapAnswer};
use crate::release::Place;
use crate::unit::InstanceId;

/// How long `romuo-server swap` waits: systemd ends it when the reload has taken too long.
const PATIENCE: Duration = Duration::from_secs(24 * 60 * 60);

/// The front of an app.
#[derive(Debug)]
pub(super) struct Fronted {
    route: Arc<Route>,
    front: Arc<Front>,
    instance: Option<InstanceId>,
}

impl Fronted {
    /// The front of the app's own program; none: there is no such program.
    ///
    /// # Errors
    /// Where the app takes its sockets itself.
    pub(super) fn of(
        settings: &Settings,
        instance: Option<InstanceId>,
        drain: &Drain,
    ) -> Result<Option<Self>, ServerError> {
        let Some(program) = &settings.program else { return Ok(None) };
        if program.mode == Mode::Inherit {
            return Err(ServerError::Inherits);
        }
        let route = Arc::new(Route::default());
        let siblings =
            runtime_folder().zip(instance).map(|(folder, id)| Siblings::new(&folder, id));
        let front = Arc::new(Front::new(settings, Arc::clone(&route), siblings, drain.token()));
        Ok(Some(Self { route, front, instance }))
    }

    /// Who answers the public requests.
    pub(super) fn handler(&self) -> Handler {
        Handler::Front(Arc::clone(&self.front), Entry::Public)
    }

    /// Begins to start the app.
    pub(super) fn begin(&self, place: Place, pulse: Pulse) -> App {
        let front = Arc::clone(&self.front);
        tokio::spawn(async move { front.tidy_for_ever().await });
        let route = Arc::clone(&self.route);
        let alive = move || pulse.answered();
        App::begin(place, self.instance, runtime_folder(), route, alive)
    }

    /// Opens the door for siblings, where there can be any.
    ///
    /// # Errors
    /// Where it cannot be bound.
    pub(super) fn open_to_siblings(
        &self,
        public: &Host,
    ) -> Result<Option<SocketFile>, ServerError> {
        let Some(door) = self.front.relay_door() else { return Ok(None) };
        let host = public.apart(Handler::Front(Arc::clone(&self.front), Entry::Relay));
        relay::serve(&door, Arc::new(host)).map(Some)
    }
}

/// What the control socket answers besides health: `/swap`.
pub(super) fn control(router: Router, app: &App) -> Router {
    let (asked, swapped) = (app.clone(), app.clone());
    router.route(
        "/swap",
        get(async move || Json(asked.swap_state().await)).post(async move || {
            let outcome = swapped.swap().await;
            let code = match outcome {
                Swapped::Done { .. } => StatusCode::OK,
                Swapped::Failed(_) => StatusCode::INTERNAL_SERVER_ERROR,
                Swapped::Refused(_) => StatusCode::CONFLICT,
            };
            (code, Json(SwapAnswer::from(outcome))).into_response()
        }),
    )
}

/// Swaps the app at each of these signals, for ever.
pub(super) fn swap_on_hangup(app: App, mut hangups: Signal) {
    tokio::spawn(async move {
        while hangups.recv().await.is_some() {
            match said(&app.swap().await.into()) {
                Ok(sentence) => tracing::info!("{sentence}"),
                Err(sentence) => tracing::error!("{sentence}"),
            }
        }
    });
}

/// `romuo-server swap ID`: asks the instance for a swap and waits for it.
///
/// # Errors
/// Why it was not done, as a sentence.
pub(super) async fn ask_for_swap(folder: &Path, id: InstanceId) -> Result<String, String> {
    let door = health::control_socket(folder, id);
    match health::swap(&door, PATIENCE).await {
        Ok(answer) => said(&answer),
        Err(error) => Err(format!("the app was not swapped: {error}")),
    }
}

/// What came of a swap, as a sentence.
fn said(answer: &SwapAnswer) -> Result<String, String> {
    if answer.swapped {
        let took = Duration::from_millis(answer.took_ms.unwrap_or_default()).as_secs_f64();
        return Ok(format!("the app was swapped in {took:.1} s"));
    }
    let reason = answer.reason.as_deref().unwrap_or("its front does not say why");
    let hint = if answer.restart { "; a restart of the instance would do" } else { "" };
    Err(format!("the app was not swapped: {reason}{hint}"))
}
