//! The server as the front of an app.

mod counted;
mod hangups;
mod heads;
mod lasting;
mod limits;
mod lost;
mod siblings;

use std::ops::{Deref, DerefMut};
use std::path::PathBuf;

use tokio::sync::mpsc;

use super::app::{App, Asked, Deed};
use super::*;
use crate::config::Settings;
use crate::front::{Entry, Front, Generation, Route, Siblings};
use crate::upstream::Address;

/// A front of an app, on a port of its own.
pub(super) struct Fronted {
    server: Server,
    route: Arc<Route>,
    front: Arc<Front>,
}

impl Deref for Fronted {
    type Target = Server;

    fn deref(&self) -> &Server {
        &self.server
    }
}

impl DerefMut for Fronted {
    fn deref_mut(&mut self) -> &mut Server {
        &mut self.server
    }
}

fn settings() -> Settings {
    let mut settings = Settings::new("x".parse().unwrap(), PathBuf::from("/"));
    settings.limits.hold = NEVER;
    settings.reload.linger = SOON;
    settings
}

impl Fronted {
    pub(super) fn of(app: &App) -> Self {
        Self::with(app, wide(), |_| {})
    }

    pub(super) fn with(app: &App, bounds: Bounds, change: impl FnOnce(&mut Settings)) -> Self {
        let fronted = Self::closed(bounds, change, None);
        fronted.open(1, app);
        fronted
    }

    /// One whose app is not there yet.
    fn closed(
        bounds: Bounds,
        change: impl FnOnce(&mut Settings),
        siblings: Option<Siblings>,
    ) -> Self {
        let mut settings = settings();
        change(&mut settings);
        let route = Arc::new(Route::default());
        let mut front = None;
        let handler = |drain: &Drain| {
            let made = Front::new(&settings, Arc::clone(&route), siblings, drain.token());
            Handler::Front(Arc::clone(front.insert(Arc::new(made))), Entry::Public)
        };
        let server = Server::with(handler, bounds, settings.reload.linger);
        Self { server, route, front: front.unwrap() }
    }

    fn open(&self, number: u32, app: &App) -> Arc<Generation> {
        let generation = Generation::new(number, Address::Tcp(app.address));
        self.route.open(Arc::clone(&generation));
        generation
    }
}

fn answers(text: &'static str) -> impl Fn(&Asked) -> Deed + Send + Sync + 'static {
    move |_| Deed::Answer(text.into())
}

/// An app that says when it is asked, and never answers.
async fn stuck() -> (App, mpsc::UnboundedReceiver<()>) {
    let (tell, told) = mpsc::unbounded_channel();
    let app = App::with(move |_| {
        tell.send(()).unwrap();
        Deed::Answer(Vec::new())
    });
    (app.await, told)
}
