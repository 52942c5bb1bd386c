//! Opens and closes addresses of an app that runs.
//!
//! [`install::Ports`] says which. A new one is opened beside the others, in a unit of its own, before the
//! first instance is rolled; an old one is let go after the last. Then systemd hands it to nobody any more,
//! and a roll by restart brings the instances to let go of it, too.

use std::fs;
use std::io::ErrorKind;
use std::os::unix::fs::FileTypeExt as _;
use std::os::unix::net::UnixStream;
use std::path::Path;

use rustix::net::{AddressFamily, SocketType, bind, socket, sockopt};

use super::context::Context;
use super::error::Failure;
use super::lifecycle::last_lines;
use super::runtime_units;
use crate::config::{Listen, Settings};
use crate::install::{PlanError, PortChange, Ports};
use crate::journal::Network;
use crate::manager::{ServiceManager as _, Systemd, Verb};
use crate::render::more;
use crate::roll::Outcome;
use crate::unit::AppName;

/// The addresses of an app that runs; none: it is stopped, and opens all at its next start.
pub(super) async fn of_running(
    app: &AppName,
    context: &Context,
    manager: &Systemd,
) -> Result<Option<Ports>, Failure> {
    if !manager.status(&app.socket()).await?.is_up() {
        return Ok(None);
    }
    Ok(Some(Ports::read(context.root(), app).map_err(PlanError::from)?))
}

/// What is to open and to close for the app to listen as the settings say, before anything is done.
///
/// # Errors
/// Where that needs a new start of the app, or what is to open is taken.
pub(super) async fn foresee(
    settings: &Settings,
    context: &Context,
    manager: &Systemd,
) -> Result<PortChange, Failure> {
    let app = &settings.name;
    let Some(ports) = of_running(app, context, manager).await? else {
        return Ok(PortChange::default());
    };
    let change = ports.change_of(settings);
    let change = change.map_err(|reason| Failure::NeedsStart { app: app.clone(), reason })?;
    for address in &change.opens {
        let only = crate::render::ipv6_only(&settings.listen) != Some("both");
        try_out(address, only).map_err(|error| Failure::Unfit {
            sentence: format!("{address} cannot be opened: {error}"),
        })?;
    }
    Ok(change)
}

/// What becomes of the addresses, one sentence each.
pub(super) fn sentences(change: &PortChange) -> Vec<String> {
    let opens = change.opens.iter().map(|it| format!("opens {it} before the first instance"));
    let closes = change
        .closes
        .iter()
        .map(|it| format!("closes {it} after the last instance, by a second roll"));
    opens.chain(closes).collect()
}

/// Opens addresses beside those that are open. Instances are handed them from their next start on.
///
/// # Errors
/// Where one cannot be opened; then none is.
pub(super) async fn open(
    listen: &[Listen],
    settings: &Settings,
    context: &Context,
    manager: &Systemd,
) -> Result<(), Failure> {
    let app = &settings.name;
    let number = Ports::read(context.root(), app).map_err(PlanError::from)?.free();
    let unit = app.more_socket(number);
    let more = more(settings, number, listen)?;
    let opened = async {
        runtime_units::write(&more.files)?;
        manager.daemon_reload().await?;
        manager.run(Verb::Start, &unit).await?;
        Ok::<_, Failure>(manager.status(&unit).await?.is_up())
    };
    let opened = opened.await;
    if matches!(opened, Ok(true)) {
        return Ok(());
    }
    let last = last_lines(&unit, Network::private(None)).await;
    runtime_units::remove(&more.files)?;
    manager.daemon_reload().await?;
    // What failed stays in the lists until it is forgotten.
    for unit in &more.units {
        manager.forget_unit(&unit.name).await?;
    }
    opened?;
    let all: Vec<_> = listen.iter().map(ToString::to_string).collect();
    let sentence = format!("{} cannot be opened", all.join(", "));
    Err(Failure::Unfit { sentence: last.below(sentence) })
}

/// Lets go of all that came while the app ran and is not wanted any more. Those of `NAME.socket` go when its
/// file is written anew; after it systemd has to read its units again.
pub(super) async fn let_go(
    wanted: &[Listen],
    settings: &Settings,
    context: &Context,
    manager: &Systemd,
) -> Result<(), Failure> {
    let app = &settings.name;
    for (number, listen) in Ports::read(context.root(), app).map_err(PlanError::from)?.more {
        let stays: Vec<_> = listen.iter().filter(|it| wanted.contains(it)).cloned().collect();
        if stays == listen {
            continue;
        }
        let more = more(settings, number, &stays)?;
        if stays.is_empty() {
            manager.run(Verb::Stop, &app.more_socket(number)).await?;
            // Those that the units have not removed themselves.
            runtime_units::remove(&more.files)?;
        } else {
            runtime_units::write(&more.files)?;
            manager.daemon_reload().await?;
        }
    }
    Ok(())
}

/// Removes the files of unix sockets that were closed. systemd removes those of a unit that stops, and the
/// roller may not write where they lie.
pub(super) fn sweep(outcome: &Outcome) {
    let closed = outcome.closed.iter().flat_map(|closed| &closed.listen);
    for path in closed.map(Path::new).filter(|path| path.is_absolute()) {
        let is_socket = fs::symlink_metadata(path).is_ok_and(|it| it.file_type().is_socket());
        if is_socket && !is_answered(path) {
            // It is in nobody's way: systemd takes its place.
            let _ = fs::remove_file(path);
        }
    }
}

/// Whether an address is free, as systemd will find it. It is not listened on.
fn try_out(address: &Listen, only_v6: bool) -> std::io::Result<()> {
    match address {
        Listen::Tcp(address) => {
            let family = if address.is_ipv4() { AddressFamily::INET } else { AddressFamily::INET6 };
            let socket = socket(family, SocketType::STREAM, None)?;
            sockopt::set_socket_reuseaddr(&socket, true)?;
            if address.is_ipv6() {
                sockopt::set_ipv6_v6only(&socket, only_v6)?;
            }
            Ok(bind(&socket, address)?)
        }
        // systemd takes the place of a socket that nobody listens on.
        Listen::Unix(path) if is_answered(path) => Err(ErrorKind::AddrInUse.into()),
        Listen::Unix(_) => Ok(()),
    }
}

fn is_answered(path: &Path) -> bool {
    UnixStream::connect(path).is_ok()
}
