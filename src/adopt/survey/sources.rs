//! What the sources of an app say of where it listens.

use std::path::Path;

use crate::adopt::port;
use crate::adopt::scan;

/// What the sources say of where the app listens.
pub(super) struct Sources {
    /// The port that they fall back to.
    pub(super) port: Option<u16>,
    /// Whether they look at `PORT` at all.
    pub(super) asks: bool,
    /// Whether one looks as if it served something; so does a folder without any.
    serve: bool,
}

impl Sources {
    /// Looks into all of them.
    pub(super) fn look(directory: &Path) -> Self {
        let texts = scan::sources(directory);
        let said: Vec<_> =
            texts.iter().filter_map(|file| Some(port::said(&scan::read(file)?))).collect();
        let best = said.iter().filter_map(|said| said.port).min_by_key(|(place, _)| *place);
        Self {
            port: best.map(|(_, port)| port),
            asks: said.iter().any(|said| said.asks),
            serve: said.is_empty() || said.iter().any(|said| said.serves),
        }
    }

    /// What is said of a program that serves nothing; none: it may.
    pub(super) fn serve_nothing(&self) -> Option<String> {
        (self.port.is_none() && !self.asks && !self.serve).then(|| {
            "nothing in its sources listens, and romuo would wait in vain for its health answer: a \
             program that serves no HTTP is a plain service of systemd"
                .into()
        })
    }
}
