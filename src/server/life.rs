//! The life of a server, from its sockets to its last response.

use std::num::NonZeroU16;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use tokio::time::Instant;

use super::accept::Door;
use super::bounds::{self, Bounds};
use super::connection::{Handler, Host};
use super::control::ControlFolder;
use super::crowd::Crowd;
use super::drain::Drain;
use super::ending::{EXIT_MARGIN, Ending, stop_app};
use super::error::ServerError;
use super::figures::{Answers, Figures};
use super::fronted::{self, Fronted};
use super::handoff;
use super::notify;
use super::recycle::{self, Recycler};
use super::router::{self, Health, Public};
use super::signals::Signals;
use super::site::Site;
use super::sockets::{self, Bound, Listeners, SocketFile};
use super::status::{show, status_of};
use super::watchdog::{self, Own, Pulse};
use crate::config::{Listen, Settings};
use crate::front::{App, AppError};
use crate::guard::{BootTime, Guard};
use crate::release::Place;
use crate::unit::InstanceId;

/// How often the line in `systemctl status` is renewed, if it changed.
const STATUS_EVERY: Duration = Duration::from_secs(10);

/// Serves until a signal, then drains.
pub(super) async fn live(
    place: Place,
    instance: Option<InstanceId>,
    inherited: Vec<Bound>,
) -> Result<(), ServerError> {
    let settings = place.settings();
    let by_hand = inherited.is_empty();
    if let (true, Some(id)) = (by_hand, instance) {
        return Err(ServerError::NoSockets { id });
    }
    let mut signals = Signals::new(by_hand)?;
    let drain = Drain::default();
    let pulse = Pulse::default();
    let watchdog = sd_notify::watchdog_enabled();

    // Who answers.
    let figures = Arc::new(Figures::new(&settings, instance, drain.clone()));
    let answered = Arc::new(Answers::default());
    let health = Health::new(Arc::clone(&figures), Arc::clone(&answered));
    let fronted = Fronted::of(&settings, instance, &drain)?;
    let (memory, idle) = (settings.limits.memory.bytes(), settings.front.tunnel_idle);
    let bounds = Bounds::of(memory, raise_descriptor_limit(), fronted.is_some(), idle);
    let public = Host {
        handler: handler(&settings, fronted.as_ref(), &health)?,
        answered: Arc::clone(&answered),
        drain: drain.clone(),
        linger: settings.reload.linger,
        budget: bounds::budget(memory, bounds.connections),
        bounds,
        crowd: Crowd::default(),
        proxies: settings.front.trusted_proxies.clone(),
    };

    // Where they come in.
    let (bound, _files) =
        if by_hand { bind_all(&settings.listen)? } else { (inherited, Vec::new()) };
    let listeners = Listeners::new(bound).map_err(ServerError::setup("the listeners"))?;
    let addresses = listeners.addresses();
    let control = control_folder(instance, by_hand);

    // Ready is who has answered.
    start_watchdog(watchdog, &pulse)?;
    let app = fronted.as_ref().map(|fronted| fronted.begin(place, pulse.clone()));
    if let Some(app) = &app {
        notify::status("the app is being started");
        tokio::select! {
            biased;
            up = app.until_up() => up.map_err(|error| ServerError::App(error.reason))?,
            () = signals.stop() => {
                let longest = settings.limits.stop_timeout;
                notify::stopping("the app is asked to end", longest + EXIT_MARGIN);
                stop_app(app, Instant::now() + longest, &pulse, &mut signals).await;
                return Ok(());
            }
        }
        figures.of_app(app.clone());
        if let Some(hangups) = signals.hangups() {
            fronted::swap_on_hangup(app.clone(), hangups);
        }
    }
    let control_host = control_host(&public, health, app.as_ref(), &settings);
    let _control_file =
        control.as_ref().map(|control| control.serve(Arc::new(control_host))).transpose()?;
    let _relay_file = if let Some(fronted) = &fronted {
        fronted.open_to_siblings(&public)?
    } else {
        probe_itself(&public, &settings, watchdog, &pulse).await?;
        None
    };
    let door = Arc::new(Door::new(Arc::new(public), pulse.clone(), app.clone()));
    let _idle_file = control
        .as_ref()
        .map(|control| {
            handoff::open(&handoff::door_beside(&control.own()), &door, figures.taken_over())
        })
        .transpose()?;
    figures.ready();
    announce(&addresses, by_hand);
    if app.is_none() {
        // Of an app its supervisor tells.
        count_uptime(instance);
    }

    let serving = || {
        let (requests, open) = (answered.all(), door.open());
        let whose = app.as_ref().map(|app| status_of(&app.report())).unwrap_or_default();
        format!("serving {}: {whose}{requests} requests, {open} connections", addresses.join(", "))
    };
    let recycler = Recycler::of(&settings, instance, &figures, app.as_ref());
    let mut given_up = None;
    tokio::select! {
        biased;
        () = door.accept_until(&listeners, signals.stop()) => {}
        error = given_up_of(app.as_ref()) => {
            tracing::error!("{error}: it has crashed too often and is given up");
            given_up = Some(error);
        }
        // As on a signal; systemd starts it anew.
        () = recycle::until_due(recycler) => {}
        () = show(STATUS_EVERY, serving, app.as_ref()) => {}
    }

    drain.begin();
    let cap = Instant::now() + settings.limits.stop_timeout;
    let ending = Ending { door: &door, answered: &answered, pulse: &pulse, settings: &settings };
    let cap = ending.drain(listeners, by_hand, control.as_ref(), cap, &mut signals).await;
    if let Some(app) = &app {
        // Only now: until its last client was answered it knew of nothing.
        stop_app(app, cap, &pulse, &mut signals).await;
    }
    given_up.map_or(Ok(()), |error: AppError| Err(ServerError::App(error.reason)))
}

/// Who answers the public requests.
fn handler(
    settings: &Settings,
    fronted: Option<&Fronted>,
    health: &Health,
) -> Result<Handler, ServerError> {
    if let Some(fronted) = fronted {
        return Ok(fronted.handler());
    }
    let chunk = bounds::file_chunk(settings.limits.memory.bytes());
    let site = settings.site.as_ref().map(|site| Site::new(site, chunk)).transpose()?;
    Ok(Handler::Public(Arc::new(Public::new(&settings.health.path, health.clone(), site))))
}

/// Begins to look for signs of life, where systemd wants to hear of them.
fn start_watchdog(watchdog: Option<Duration>, pulse: &Pulse) -> Result<(), ServerError> {
    let Some(timeout) = watchdog else { return Ok(()) };
    let ping = |alive| {
        if alive {
            notify::ping();
        }
    };
    watchdog::start(timeout, pulse.clone(), ping).map_err(ServerError::setup("the watchdog"))
}

/// What answers on the control socket. Nothing of it is counted, and no drain closes it.
fn control_host(public: &Host, health: Health, app: Option<&App>, settings: &Settings) -> Host {
    let mut doors = router::control(health);
    if let Some(app) = app {
        doors = fronted::control(doors, app);
    }
    let mut host = public.apart(Handler::Router(doors));
    // A swap is answered when it is over.
    host.bounds.stall += settings.limits.start_timeout + settings.limits.stop_timeout;
    host
}

/// Asks itself for its health through the code that answers everybody: once now, and for ever.
async fn probe_itself(
    public: &Host,
    settings: &Settings,
    watchdog: Option<Duration>,
    pulse: &Pulse,
) -> Result<(), ServerError> {
    let own = Own {
        host: Arc::new(public.apart(public.handler.clone())),
        path: settings.health.path.clone(),
        timeout: settings.health.timeout,
    };
    own.probe().await?;
    let every = watchdog::probe_interval(settings.health.interval, watchdog);
    tokio::spawn(watchdog::probe_for_ever(own, every, pulse.clone()));
    Ok(())
}

/// Waits until the app is given up; for ever where there is none.
async fn given_up_of(app: Option<&App>) -> AppError {
    match app {
        Some(app) => app.given_up().await,
        None => std::future::pending().await,
    }
}

/// The addresses of the configuration, bound here; and the files of those that are unix sockets.
fn bind_all(listen: &[Listen]) -> Result<(Vec<Bound>, Vec<SocketFile>), ServerError> {
    let mut bound = Vec::new();
    let mut files = Vec::new();
    for address in listen {
        bound.push(sockets::bind(address)?);
        if let Listen::Unix(path) = address {
            files.push(SocketFile(path.clone()));
        }
    }
    Ok((bound, files))
}

/// The folder of the control sockets, where systemd made one. A candidate is no instance, and has the first
/// place in a folder of its own.
fn control_folder(instance: Option<InstanceId>, by_hand: bool) -> Option<ControlFolder> {
    let id = instance.or_else(|| InstanceId::first(NonZeroU16::MIN).next().filter(|_| !by_hand))?;
    Some(ControlFolder::new(&runtime_folder()?, id))
}

/// From now on the crash guard counts the uptime of this instance.
fn count_uptime(instance: Option<InstanceId>) {
    if let (Some(folder), Some(id)) = (runtime_folder(), instance)
        && let Err(error) = Guard::at(&folder, id).ready(BootTime::now())
    {
        tracing::warn!("{error}");
    }
}

/// The folder that systemd made for the app (`RuntimeDirectory=`, systemd.exec(5)).
pub(super) fn runtime_folder() -> Option<PathBuf> {
    std::env::var_os("RUNTIME_DIRECTORY").map(PathBuf::from)
}

/// Says that the server is up: to systemd, and to the person who started it or the journal.
fn announce(addresses: &[String], by_hand: bool) {
    notify::ready(&format!("serving {}", addresses.join(", ")));
    if by_hand {
        let urls: Vec<String> = addresses
            .iter()
            .map(|address| {
                if address.starts_with('/') {
                    format!("the unix socket {address}")
                } else {
                    format!("http://{address}")
                }
            })
            .collect();
        tracing::info!("serving on {} (started by hand; Ctrl-C ends it)", urls.join(" and "));
    } else {
        tracing::info!("ready, serving {}", addresses.join(", "));
    }
}

/// Allows itself as many open files as the system lets it; says how many that are. The soft limit
/// is low for the sake of programs that still use select(2) (systemd.exec(5), `LimitNOFILE=`).
fn raise_descriptor_limit() -> u64 {
    let limit = getrlimit(Resource::Nofile);
    let raised = Rlimit { current: limit.maximum, maximum: limit.maximum };
    let got = setrlimit(Resource::Nofile, raised).map_or(limit.current, |()| limit.maximum);
    got.unwrap_or(u64::MAX)
}
