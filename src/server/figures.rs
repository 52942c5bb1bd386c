//! The figures behind `/health` and the status line.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::{Duration, Instant};

use http::StatusCode;

use super::drain::Drain;
use super::life::runtime_folder;
use super::memory::{self, CgroupMemory};
use crate::config::Settings;
use crate::front::App;
use crate::health::{Memory, Recycled, Report, Status};
use crate::recycle::Record;
use crate::release::Contents;
use crate::unit::InstanceId;

/// Version of the compiler, noted at build time.
const RUST_VERSION: &str = env!("ROMUO_RUST_VERSION");

/// Shift from bytes to MB of 2^20 bytes.
const MB: u32 = 20;

/// Codes above 500 that speak of the request all the same (RFC 9110, 15.6; RFC 2774; RFC 6585): a method or
/// a version that nobody has to know, an extension that was not asked for, a network that wants a login.
const OF_THE_REQUEST: [StatusCode; 4] = [
    StatusCode::NOT_IMPLEMENTED,
    StatusCode::HTTP_VERSION_NOT_SUPPORTED,
    StatusCode::NOT_EXTENDED,
    StatusCode::NETWORK_AUTHENTICATION_REQUIRED,
];

/// Who gave an answer, and when.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Giver {
    /// The program behind the front, or the front in its place.
    App,
    /// This program, from files and figures. Of its codes only 500 says that something is broken: 503 is its
    /// answer when it drains, or when clients hold more files open than it may.
    Own,
    /// The front, before the client had sent its request whole: a program that gives up waiting for the rest
    /// breaks off as one does that crashes.
    Early,
}

impl Giver {
    /// Whether an answer with this code says that the one who answers has failed.
    fn has_failed(self, code: StatusCode) -> bool {
        match self {
            Self::App => code.is_server_error() && !OF_THE_REQUEST.contains(&code),
            Self::Own => code == StatusCode::INTERNAL_SERVER_ERROR,
            Self::Early => false,
        }
    }
}

/// Answers on the public listeners. What a client can bring about by itself is never counted as a failure:
/// a stranger could call off a deploy with it.
#[derive(Debug, Default)]
pub(super) struct Answers {
    all: AtomicU64,
    /// Those that say that the one who answers has failed.
    failed: AtomicU64,
    /// Those that say that the request was no good.
    refused: AtomicU64,
}

impl Answers {
    pub(super) fn note(&self, code: StatusCode, giver: Giver) {
        self.all.fetch_add(1, Relaxed);
        if giver.has_failed(code) {
            self.failed.fetch_add(1, Relaxed);
        } else if code.is_client_error() || code.is_server_error() {
            self.refused.fetch_add(1, Relaxed);
        }
    }

    pub(super) fn all(&self) -> u64 {
        self.all.load(Relaxed)
    }

    pub(super) fn failed(&self) -> u64 {
        self.failed.load(Relaxed)
    }

    pub(super) fn refused(&self) -> u64 {
        self.refused.load(Relaxed)
    }
}

/// What the health report needs to know.
#[derive(Debug)]
pub(super) struct Figures {
    /// The version that the configuration has; it stands above that of a folder.
    version: Option<String>,
    env: String,
    instance: Option<String>,
    /// What an instance that answers by itself runs.
    contents: Contents,
    memory: CgroupMemory,
    drain: Drain,
    ready: OnceLock<Instant>,
    taken_over: Arc<AtomicU64>,
    /// The app, once it is up; never for an instance that answers by itself.
    app: OnceLock<App>,
    recycled: Mutex<Option<Recycled>>,
}

impl Figures {
    pub(super) fn new(settings: &Settings, instance: Option<InstanceId>, drain: Drain) -> Self {
        let folder = runtime_folder().zip(instance);
        let recycled = folder.and_then(|(folder, id)| Record::at(&folder, id).read());
        Self {
            version: settings.version.clone(),
            env: settings.env.clone(),
            instance: instance.map(|id| id.to_string()),
            contents: Contents::of(&settings.directory),
            memory: CgroupMemory::open(),
            drain,
            ready: OnceLock::new(),
            taken_over: Arc::default(),
            app: OnceLock::new(),
            recycled: Mutex::new(recycled),
        }
    }

    /// What is told of the instance depends on this app from now on.
    pub(super) fn of_app(&self, app: App) {
        self.app.get_or_init(|| app);
    }

    /// It was recycled so often.
    pub(super) fn recycled(&self, recycled: Recycled) {
        *self.recycled.lock().unwrap_or_else(PoisonError::into_inner) = Some(recycled);
    }

    /// Counts the idle connections that came from siblings.
    pub(super) fn taken_over(&self) -> &Arc<AtomicU64> {
        &self.taken_over
    }

    /// Uptime counts from here.
    pub(super) fn ready(&self) {
        self.ready.get_or_init(Instant::now);
    }

    /// What answers: what the app runs, where there is one.
    fn contents(&self) -> Contents {
        match self.app.get() {
            Some(app) => app.contents(),
            None => self.contents.clone(),
        }
    }

    /// The report of this moment.
    pub(super) fn report(&self, answers: &Answers) -> Report {
        let uptime = self.ready.get().map_or(Duration::ZERO, Instant::elapsed);
        let app = self.app.get().map(App::report);
        let contents = self.contents();
        let version = self.version.clone().or(contents.version);
        Report {
            status: match app {
                _ if self.drain.has_begun() => Status::Draining,
                Some(app) if !app.healthy => Status::Failing,
                _ => Status::Ok,
            },
            timestamp: format!("{:.3}", jiff::Timestamp::now()),
            uptime: format!("{}s", uptime.as_secs()),
            memory: Memory {
                used: self.memory.used() >> MB,
                total: memory::of_machine() >> MB,
                heap_total: memory::of_heap() >> MB,
            },
            requests: answers.all(),
            errors: answers.failed(),
            refused: answers.refused(),
            taken_over: self.taken_over.load(Relaxed),
            version: version.unwrap_or_else(|| "unknown".into()),
            rust_version: RUST_VERSION.into(),
            env: self.env.clone(),
            instance: self.instance.clone(),
            release: contents.release.map(|id| id.to_string()),
            app,
            recycled: self.recycled.lock().unwrap_or_else(PoisonError::into_inner).clone(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Failed, refused.
    fn counted(code: u16, giver: Giver) -> (u64, u64) {
        let answers = Answers::default();
        answers.note(StatusCode::from_u16(code).unwrap(), giver);
        assert_eq!(answers.all(), 1);
        (answers.failed(), answers.refused())
    }

    #[test]
    fn only_what_the_one_who_answers_has_to_answer_for_counts_as_failed() {
        for code in 100..=999 {
            let refused = u64::from((400..600).contains(&code));
            assert_eq!(counted(code, Giver::Early), (0, refused), "{code}");
            let app = (500..600).contains(&code) && ![501, 505, 510, 511].contains(&code);
            let expected = if app { (1, 0) } else { (0, refused) };
            assert_eq!(counted(code, Giver::App), expected, "{code} of an app");
            let expected = if code == 500 { (1, 0) } else { (0, refused) };
            assert_eq!(counted(code, Giver::Own), expected, "{code} of a site");
        }
    }
}
