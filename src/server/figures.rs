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

/// Answers on the public listeners.
#[derive(Debug, Default)]
pub(super) struct Answers {
    all: AtomicU64,
    /// Those that say that the server failed (RFC 9110, 15.6).
    failed: AtomicU64,
}

impl Answers {
    pub(super) fn note(&self, code: StatusCode) {
        self.all.fetch_add(1, Relaxed);
        if code.is_server_error() {
            self.failed.fetch_add(1, Relaxed);
        }
    }

    pub(super) fn all(&self) -> u64 {
        self.all.load(Relaxed)
    }

    pub(super) fn failed(&self) -> u64 {
        self.failed.load(Relaxed)
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
