//! systemd over D-Bus. The only file that names zbus.

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::{Duration, SystemTime};

use futures_util::future::try_join_all;
use futures_util::{Stream, StreamExt};
use tokio::sync::{OnceCell, Semaphore, SemaphorePermit};
use tokio::time::{interval, sleep};
use zbus::fdo::Error::UnknownObject;
use zbus::{Array, Connection, DBusError as _, OwnedObjectPath, Variant};

use super::{ManagerError, ServiceManager, UnitFiles, UnitStatus, Verb, cgroup};
use crate::unit::{AppName, JobResult, UnitName};

const DESTINATION: &str = "org.freedesktop.systemd1";
const SERVICE: &str = "org.freedesktop.systemd1.Service";
const UNIT: &str = "org.freedesktop.systemd1.Unit";
const SOCKET: &str = "org.freedesktop.systemd1.Socket";
const JOB: &str = "org.freedesktop.systemd1.Job";

/// `CLD_EXITED` of waitid(2), as `ExecMainCode` has it.
const CLD_EXITED: i32 = 1;

/// How often is asked whether a job is still there: its end is told by a signal, which is lost where
/// systemd or the bus is started anew meanwhile.
const LOOK: Duration = Duration::from_secs(1);

/// Calls of one connection that wait for their answer at the same time. A system bus refuses the 129th
/// (`max_replies_per_connection`, dbus-daemon(1)); more than a few make nothing faster, since PID 1
/// answers one after the other.
const CALLS: usize = 32;

/// Pause before another attempt to reach a manager that went away.
const RETURN_PAUSE: Duration = Duration::from_millis(100);

/// One row of `ListUnitsByPatterns`: name, description, load, active and sub state, followed unit,
/// object path, and id, type and path of the job.
type UnitRow =
    (String, String, String, String, String, String, OwnedObjectPath, u32, String, OwnedObjectPath);

#[zbus::proxy(
    interface = "org.freedesktop.systemd1.Manager",
    default_service = "org.freedesktop.systemd1",
    default_path = "/org/freedesktop/systemd1"
)]
trait Manager {
    fn subscribe(&self) -> zbus::Result<()>;
    fn list_units_by_patterns(
        &self,
        states: &[&str],
        patterns: &[&str],
    ) -> zbus::Result<Vec<UnitRow>>;
    fn load_unit(&self, name: &str) -> zbus::Result<OwnedObjectPath>;
    fn start_unit(&self, name: &str, mode: &str) -> zbus::Result<OwnedObjectPath>;
    fn stop_unit(&self, name: &str, mode: &str) -> zbus::Result<OwnedObjectPath>;
    fn restart_unit(&self, name: &str, mode: &str) -> zbus::Result<OwnedObjectPath>;
    fn reload_unit(&self, name: &str, mode: &str) -> zbus::Result<OwnedObjectPath>;
    fn reset_failed_unit(&self, name: &str) -> zbus::Result<()>;
    fn reload(&self) -> zbus::Result<()>;
    fn get_job(&self, id: u32) -> zbus::Result<OwnedObjectPath>;
    fn kill_unit(&self, name: &str, whom: &str, signal: i32) -> zbus::Result<()>;

    #[zbus(property(emits_changed_signal = "const"))]
    fn version(&self) -> zbus::Result<String>;

    #[zbus(signal)]
    fn job_removed(&self, id: u32, job: OwnedObjectPath, unit: String, result: String);
}

/// The system's systemd.
#[derive(Debug, Clone)]
pub struct Systemd {
    /// Made anew when the other end was.
    link: Arc<RwLock<Link>>,
}

/// A connection to it.
#[derive(Debug, Clone)]
struct Link {
    connection: Connection,
    manager: ManagerProxy<'static>,
    /// Set once systemd sends signals to this connection: it refuses to be asked twice.
    subscribed: Arc<OnceCell<()>>,
    /// The right to make one of so many calls.
    calls: Arc<Semaphore>,
}

impl Link {
    async fn connect() -> zbus::Result<Self> {
        let connection = Connection::system().await?;
        let manager = ManagerProxy::builder(&connection)
            .cache_properties(zbus::proxy::CacheProperties::No)
            .build()
            .await?;
        let calls = Arc::new(Semaphore::new(CALLS));
        Ok(Self { connection, manager, subscribed: Arc::default(), calls })
    }

    /// Waits until a call may be made; it may be answered as long as that is there.
    async fn turn(&self) -> Option<SemaphorePermit<'_>> {
        // Nobody closes it.
        self.calls.acquire().await.ok()
    }

    async fn subscribe(&self) -> zbus::Result<()> {
        self.subscribed.get_or_try_init(|| self.manager.subscribe()).await.copied()
    }

    /// Queues a job and waits until it is gone.
    async fn run(&self, verb: Verb, name: &str) -> zbus::Result<JobResult> {
        // Subscribe, listen, call: in another order the signal could pass unheard.
        let turn = self.turn().await;
        self.subscribe().await?;
        let mut removed = self.manager.receive_job_removed().await?;
        let mode = "replace";
        let job = match verb {
            Verb::Start => self.manager.start_unit(name, mode).await?,
            Verb::Stop => self.manager.stop_unit(name, mode).await?,
            Verb::Restart => self.manager.restart_unit(name, mode).await?,
            Verb::Reload => self.manager.reload_unit(name, mode).await?,
        };
        drop(turn);
        let id = job.as_str().rsplit('/').next().and_then(|id| id.parse().ok());
        let mut looks = interval(LOOK);
        looks.tick().await;
        let mut is_gone = false;
        loop {
            let signal = tokio::select! {
                biased;
                signal = removed.next() => signal,
                // What was signalled before that answer has been read by now.
                () = std::future::ready(()), if is_gone => None,
                _ = looks.tick() => {
                    if let Some(id) = id {
                        let _turn = self.turn().await;
                        is_gone = !self.manager.get_job(id).await.is_ok_and(|path| path == job);
                    }
                    continue;
                }
            };
            let Some(signal) = signal else {
                return Err(zbus::Error::Failure("the end of the job was not heard of".into()));
            };
            let args = signal.args()?;
            if args.job == job {
                return Ok(args.result.parse().unwrap_or_else(|never| match never {}));
            }
        }
    }
}

impl Systemd {
    /// Connects to the system bus.
    ///
    /// # Errors
    /// Where no bus answers.
    pub async fn connect() -> Result<Self, ManagerError> {
        let link = Link::connect().await;
        let link = link.map_err(|error| ManagerError::Unreachable { reason: error.to_string() })?;
        Ok(Self { link: Arc::new(RwLock::new(link)) })
    }

    fn link(&self) -> Link {
        self.link.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Sends a signal to the command that a unit's `ExecReload=` runs now.
    ///
    /// # Errors
    /// Where there is none, or systemd refuses.
    pub async fn signal_reload(&self, unit: &UnitName, signal: i32) -> Result<(), ManagerError> {
        let what = format!("signal the reload of {unit}");
        let sent = self.link().manager.kill_unit(unit.as_str(), "control", signal).await;
        sent.map_err(|e| failed(&what, Some(unit), &e))
    }

    /// The version of the running systemd in its own words, such as `252.38-1~deb12u1`.
    ///
    /// # Errors
    /// Where systemd cannot be asked.
    pub async fn version(&self) -> Result<String, ManagerError> {
        self.link().manager.version().await.map_err(|e| failed("tell its version", None, &e))
    }

    /// Makes systemd read the unit files again (`systemctl daemon-reload`).
    ///
    /// # Errors
    /// Where systemd cannot be asked, or refuses.
    pub async fn daemon_reload(&self) -> Result<(), ManagerError> {
        let what = "read the unit files again";
        self.link().manager.reload().await.map_err(|e| failed(what, None, &e))
    }

    /// Makes systemd forget failures of an app's units, which would keep them listed after their
    /// files are gone (`systemctl reset-failed`).
    ///
    /// # Errors
    /// Where systemd cannot be asked, or refuses.
    pub async fn forget(&self, app: &AppName) -> Result<(), ManagerError> {
        let what = format!("forget the failures of {app}");
        let instances = format!("{app}@*.service");
        let rows = self.link().manager.list_units_by_patterns(&["failed"], &[&instances]).await;
        for row in rows.map_err(|e| failed(&what, None, &e))? {
            self.forget_unit(&UnitName::loaded(&row.0)).await?;
        }
        Ok(())
    }

    /// Makes systemd forget the failure of one unit. One that it does not know has none.
    ///
    /// # Errors
    /// Where systemd cannot be asked, or refuses.
    pub async fn forget_unit(&self, unit: &UnitName) -> Result<(), ManagerError> {
        let what = format!("forget the failure of {unit}");
        let forgotten = self.link().manager.reset_failed_unit(unit.as_str()).await;
        match forgotten.map_err(|e| failed(&what, Some(unit), &e)) {
            Err(ManagerError::NoSuchUnit { .. }) => Ok(()),
            result => result,
        }
    }

    /// The `STATUS=` texts of a unit from now on, each as it changes.
    ///
    /// # Errors
    /// Where systemd cannot be asked.
    pub async fn status_texts(
        &self,
        unit: &UnitName,
    ) -> Result<impl Stream<Item = String> + Unpin + use<>, ManagerError> {
        let what = format!("watch {unit}");
        let link = self.link();
        let subscribe = async {
            link.subscribe().await?;
            let path = link.manager.load_unit(unit.as_str()).await?;
            zbus::fdo::PropertiesProxy::builder(&link.connection)
                .destination(DESTINATION)
                .path(path)
                .build()
                .await?
                .receive_properties_changed()
                .await
        };
        let changes = subscribe.await.map_err(|e| failed(&what, Some(unit), &e))?;
        Ok(Box::pin(changes.filter_map(async |change| {
            let args = change.args().ok()?;
            match args.changed_properties().get("StatusText")? {
                Variant::Str(text) => Some(text.to_string()),
                _ => None,
            }
        })))
    }

    /// Reads the properties of a unit, those of all its interfaces in one call, and the type of its job
    /// in another.
    async fn read(&self, name: &UnitName, path: &OwnedObjectPath) -> zbus::Result<UnitStatus> {
        loop {
            // An empty interface means "all of them", as for `systemctl show`.
            let body = self.properties(path, "GetAll", &"").await?.body();
            let properties = Properties(body.deserialize()?);
            let status = status_of(name.clone(), &properties);
            let Some(job) = properties.job() else { return Ok(status) };
            match self.properties(&job, "Get", &(JOB, "JobType")).await {
                Ok(kind) => {
                    let body = kind.body();
                    let kind: Variant<'_> = body.deserialize()?;
                    let job = kind.downcast_ref::<&str>().ok().map(str::to_owned);
                    return Ok(UnitStatus { job, ..status });
                }
                // It ended in between, and the state that was read is one of the past.
                Err(zbus::Error::FDO(error)) if matches!(*error, UnknownObject(_)) => {}
                Err(error) => return Err(error),
            }
        }
    }

    /// Reads what `row` does not tell of a unit: of an instance all that services have, since most of
    /// it is wanted; of others the one property that is.
    async fn read_rest(&self, row: &UnitRow) -> Result<UnitStatus, ManagerError> {
        let (name, _, load, active, sub, _, path, _, job, _) = row;
        let name = UnitName::loaded(name);
        let wanted = match name.as_str().rsplit_once('.') {
            Some((stem, "service")) if stem.contains('@') => None,
            Some((_, "socket")) => Some((SOCKET, "Listen")),
            Some((_, "service")) => Some((SERVICE, "StatusText")),
            _ => Some((UNIT, "Id")),
        };
        let reply = match wanted {
            None => self.properties(path, "GetAll", &SERVICE).await,
            Some(property) => self.properties(path, "Get", &property).await,
        };
        let what = format!("tell the state of {name}");
        let failed = |e: zbus::Error| failed(&what, Some(&name), &e);
        let body = reply.map_err(failed)?.body();
        let properties = match wanted {
            None => body.deserialize().map_err(failed)?,
            Some((_, key)) => HashMap::from([(key, body.deserialize().map_err(failed)?)]),
        };
        let Ok(active) = active.parse();
        let loaded = load == "loaded";
        let status = status_of(name, &Properties(properties));
        let job = Some(job.clone()).filter(|job| !job.is_empty());
        Ok(UnitStatus { loaded, active, sub: sub.clone(), job, ..status })
    }

    /// Calls a method of `org.freedesktop.DBus.Properties`.
    async fn properties<B: serde::Serialize + zbus::Type>(
        &self,
        path: &OwnedObjectPath,
        method: &str,
        arguments: &B,
    ) -> zbus::Result<zbus::Message> {
        let interface = Some("org.freedesktop.DBus.Properties");
        let link = self.link();
        let _turn = link.turn().await;
        link.connection.call_method(Some(DESTINATION), path, interface, method, arguments).await
    }
}

impl ServiceManager for Systemd {
    async fn list(&self, patterns: &[&str]) -> Result<Vec<UnitStatus>, ManagerError> {
        let rows = self.link().manager.list_units_by_patterns(&[], patterns).await;
        let rows = rows.map_err(|e| failed("list its units", None, &e))?;
        try_join_all(rows.iter().map(|row| self.read_rest(row))).await
    }

    async fn status(&self, unit: &UnitName) -> Result<UnitStatus, ManagerError> {
        let what = format!("load {unit}");
        let link = self.link();
        let turn = link.turn().await;
        let path = link.manager.load_unit(unit.as_str()).await;
        drop(turn);
        let path = path.map_err(|e| failed(&what, Some(unit), &e))?;
        let what = format!("tell the state of {unit}");
        self.read(unit, &path).await.map_err(|e| failed(&what, Some(unit), &e))
    }

    async fn run(&self, verb: Verb, unit: &UnitName) -> Result<JobResult, ManagerError> {
        let what = format!("{} {unit}", verb.word());
        match self.link().run(verb, unit.as_str()).await {
            Ok(JobResult::Invalid) => Err(ManagerError::NotActive { unit: unit.clone() }),
            result => result.map_err(|e| failed(&what, Some(unit), &e)),
        }
    }

    async fn names(&self, patterns: &[&str]) -> Result<Vec<UnitStatus>, ManagerError> {
        let rows = self.link().manager.list_units_by_patterns(&[], patterns).await;
        let rows = rows.map_err(|e| failed("list its units", None, &e))?;
        let status = |(name, _, load, active, sub, _, _, _, job, _): UnitRow| {
            let Ok(active) = active.parse();
            let unknown = UnitStatus::unknown(UnitName::loaded(&name));
            let job = Some(job).filter(|job| !job.is_empty());
            UnitStatus { loaded: load == "loaded", active, sub, job, ..unknown }
        };
        Ok(rows.into_iter().map(status).collect())
    }

    async fn back(&self) -> Result<(), ManagerError> {
        loop {
            // Anew in any case: a bus that was started anew knows nothing of this connection.
            if let Ok(link) = Link::connect().await
                && link.manager.version().await.is_ok()
            {
                *self.link.write().unwrap_or_else(PoisonError::into_inner) = link;
                return Ok(());
            }
            sleep(RETURN_PAUSE).await;
        }
    }
}

impl Verb {
    fn word(self) -> &'static str {
        match self {
            Self::Start => "start",
            Self::Stop => "stop",
            Self::Restart => "restart",
            Self::Reload => "reload",
        }
    }
}

/// Sorts an error of the bus by what the person can do about it.
fn failed(what: &str, unit: Option<&UnitName>, error: &zbus::Error) -> ManagerError {
    let (name, reason) = match error {
        zbus::Error::MethodError(name, text, _) => (name.to_string(), text.clone()),
        zbus::Error::FDO(error) => (error.name().to_string(), error.description().map(Into::into)),
        other => (String::new(), Some(other.to_string())),
    };
    let reason = reason.unwrap_or_else(|| name.clone());
    let reason = reason.trim_end_matches('.').to_owned();
    let what = what.to_owned();
    match (name.as_str(), unit.cloned()) {
        (
            "org.freedesktop.systemd1.NoSuchUnit" | "org.freedesktop.systemd1.LoadFailed",
            Some(unit),
        ) => ManagerError::NoSuchUnit { unit },
        ("org.freedesktop.systemd1.JobTypeNotApplicable", Some(unit)) => {
            ManagerError::NotActive { unit }
        }
        (
            "org.freedesktop.DBus.Error.AccessDenied"
            | "org.freedesktop.DBus.Error.InteractiveAuthorizationRequired",
            _,
        ) => ManagerError::Denied { what, reason },
        // It went away in the middle of the answer, or nobody has its name at the moment.
        (
            ""
            | "org.freedesktop.DBus.Error.NoReply"
            | "org.freedesktop.DBus.Error.ServiceUnknown"
            | "org.freedesktop.DBus.Error.NameHasNoOwner"
            | "org.freedesktop.DBus.Error.Disconnected",
            _,
        ) => ManagerError::Unreachable { reason },
        _ => ManagerError::Failed { what, reason },
    }
}

/// The properties of a unit, all interfaces together.
struct Properties<'a>(HashMap<&'a str, Variant<'a>>);

impl<'a> Properties<'a> {
    /// A value; `Get` wraps it once more than `GetAll`.
    fn value(&self, key: &str) -> Option<&Variant<'a>> {
        match self.0.get(key)? {
            Variant::Variant(value) => Some(value),
            value => Some(value),
        }
    }

    fn text(&self, key: &str) -> &str {
        self.value(key).and_then(|value| value.downcast_ref::<&str>().ok()).unwrap_or_default()
    }

    /// A number; systemd writes `u64::MAX` where it has none.
    fn number(&self, key: &str) -> Option<u64> {
        let number = self.value(key).and_then(|value| value.downcast_ref::<u64>().ok());
        number.filter(|number| *number != u64::MAX)
    }

    fn small(&self, key: &str) -> Option<u32> {
        self.value(key).and_then(|value| value.downcast_ref::<u32>().ok())
    }

    fn flag(&self, key: &str) -> Option<bool> {
        self.value(key).and_then(|value| value.downcast_ref::<bool>().ok())
    }

    fn list(&self, key: &str) -> &[Variant<'_>] {
        let list = self.value(key).and_then(|value| value.downcast_ref::<&Array<'_>>().ok());
        list.map(|list| &**list).unwrap_or_default()
    }

    fn texts(&self, key: &str) -> Vec<&str> {
        let texts = self.list(key).iter();
        texts.filter_map(|value| value.downcast_ref::<&str>().ok()).collect()
    }

    /// A list of bytes, in hexadecimal digits; none: it is empty.
    fn bytes(&self, key: &str) -> Option<String> {
        let bytes = self.list(key).iter();
        let digits = bytes
            .filter_map(|value| value.downcast_ref::<u8>().ok())
            .fold(String::new(), |digits, byte| format!("{digits}{byte:02x}"));
        (!digits.is_empty()).then_some(digits)
    }

    /// The job of `Job`, a pair of its id, 0 where there is none, and its path.
    fn job(&self) -> Option<OwnedObjectPath> {
        match self.value("Job")? {
            Variant::Structure(job) => match job.fields() {
                [Variant::U32(id), Variant::ObjectPath(path)] if *id != 0 => {
                    Some(path.to_owned().into())
                }
                _ => None,
            },
            _ => None,
        }
    }

    /// The program of `ExecStart`, a list of structures that begin with its path.
    fn program(&self) -> Option<PathBuf> {
        match self.list("ExecStart").first()? {
            Variant::Structure(command) => match command.fields() {
                [Variant::Str(path), ..] => Some(PathBuf::from(path.as_str())),
                _ => None,
            },
            _ => None,
        }
    }

    /// The addresses of `Listen`, a list of pairs (type, address).
    fn addresses(&self) -> Vec<String> {
        let pair = |value: &Variant<'_>| match value {
            Variant::Structure(pair) => match pair.fields() {
                [_, Variant::Str(address)] => Some(address.to_string()),
                _ => None,
            },
            _ => None,
        };
        self.list("Listen").iter().filter_map(pair).collect()
    }
}

fn status_of(name: UnitName, properties: &Properties<'_>) -> UnitStatus {
    let Ok(active) = properties.text("ActiveState").parse();
    let Ok(result) = properties.text("Result").parse();
    let exit_status = properties.value("ExecMainStatus");
    let exit_code = properties.value("ExecMainCode").and_then(|v| v.downcast_ref::<i32>().ok());
    let group = properties.text("ControlGroup");
    let cpu = properties.number("CPUUsageNSec").map(Duration::from_nanos);
    UnitStatus {
        name,
        loaded: properties.text("LoadState") == "loaded",
        active,
        job: None,
        run: properties.bytes("InvocationID"),
        sub: properties.text("SubState").into(),
        result,
        exit_status: exit_status.and_then(|v| v.downcast_ref::<i32>().ok()).unwrap_or_default(),
        exited: exit_code == Some(CLD_EXITED),
        restarts: properties.small("NRestarts").unwrap_or_default(),
        main_pid: properties.small("MainPID").filter(|pid| *pid != 0),
        memory: properties.number("MemoryCurrent").or_else(|| cgroup::memory(group)),
        memory_max: properties.number("MemoryMax"),
        cpu: cpu.or_else(|| cgroup::cpu(group)),
        started: properties
            .number("ExecMainStartTimestampMonotonic")
            .filter(|since| *since != 0)
            .map(Duration::from_micros),
        status_text: properties.text("StatusText").into(),
        listen: properties.addresses(),
        program: properties.program(),
        private_network: properties.flag("PrivateNetwork"),
        files: UnitFiles {
            read: properties
                .number("InactiveExitTimestamp")
                .filter(|since| *since != 0)
                .map(|since| SystemTime::UNIX_EPOCH + Duration::from_micros(since)),
            read_since_boot: properties
                .number("InactiveExitTimestampMonotonic")
                .filter(|since| *since != 0)
                .map(Duration::from_micros),
            fragment: Some(properties.text("FragmentPath"))
                .filter(|path| !path.is_empty())
                .map(PathBuf::from),
            drop_ins: properties.texts("DropInPaths").into_iter().map(PathBuf::from).collect(),
            stale: properties.flag("NeedDaemonReload").unwrap_or_default(),
            can_reload: properties.flag("CanReload").unwrap_or_default(),
        },
    }
}
