//! A machine with an app on it, under load: what a fault happens to.

use std::cell::Cell;
use std::path::PathBuf;
use std::process::Stdio;
use std::time::{Duration, Instant};

use http::StatusCode;
use http::uri::PathAndQuery;
use romuo::journal::Entry;
use romuo::load::{self, Body, Mix, Request, Running, Site};
use romuo::sandbox::Sandbox;
use tokio::io::{AsyncBufReadExt as _, BufReader};
use tokio::process::{Child, Command};
use tokio::time::timeout;

use crate::shared::{self, ADDRESS};
use crate::{Result, broken};

/// The app's name.
pub(crate) const APP: &str = "shop";

/// Its roll.
pub(crate) const ROLL: &str = "shop.service";

/// What it runs, where nothing is wrong with it.
const CODE: &str = include_str!("server.js");

/// Where that lies.
const CODE_PATH: &str = "/srv/shop/server.js";

/// The page of the app, and of the site.
const PAGE: &str = "It serves.\n";

/// What is answered to a GET of the large file, in bytes: more than the buffers of sockets hold.
const LARGE: usize = 8 << 20;

/// Bytes of an upload.
const UPLOAD: usize = 10_000;

/// Time after which an event will not come any more: it ends what has failed, and measures nothing.
const DEADLINE: Duration = Duration::from_secs(120);

/// The machine's `/var` is a file system of its own and small, so that it can be filled up.
const SMALL_VAR: &str = "mount -t tmpfs -o size=4m tmpfs /var && ln -s /run /var/run && \
     mkdir -m 1777 /var/tmp && mkdir /var/lib /var/log /var/cache";

/// On a busy machine an upload of 3 s takes more than the 10 s that are allowed by default.
const LIMITS: &str = "[limits]\nstart_timeout = \"10s\"\nstop_timeout = \"20s\"\n";

/// How the app is rolled.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum By {
    /// A front with a program behind it, which is swapped.
    Swap,
    /// The same, restarted.
    Restart,
    /// A static site, which is restarted.
    Site,
}

/// When a fault comes about.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Moment {
    /// After so many instances the roll has come to the one at hand.
    pub(crate) after: u16,
    /// And then after so many good answers.
    pub(crate) answers: u64,
}

/// A machine on which the app is served under load.
pub(crate) struct Stage {
    sandbox: Sandbox,
    pub(crate) by: By,
    pub(crate) instances: u16,
    pub(crate) moment: Moment,
    pub(crate) load: Running,
}

/// What a command said.
#[derive(Debug)]
pub(crate) struct Said {
    command: String,
    pub(crate) code: Option<i32>,
    pub(crate) text: String,
}

/// A `romuoctl reload` under way.
pub(crate) struct Reload {
    command: String,
    child: Child,
    /// When it was asked for, in microseconds since 1970.
    pub(crate) begun: i64,
}

impl Stage {
    /// Boots the machine, installs the app and waits until each client was answered. The load ends by
    /// itself after `longest`.
    pub(crate) async fn boot(by: By, instances: u16, longest: Duration) -> Result<Self> {
        let sandbox = shared::machine()?.boot()?;
        shared::run(&sandbox, &["sh", "-c", SMALL_VAR])?;
        sandbox.write("/srv/shop/index.html", PAGE)?;
        sandbox.write("/srv/shop/large", vec![b'.'; LARGE])?;
        sandbox.write(CODE_PATH, CODE)?;
        install(&sandbox, by, instances).await?;
        Self::serving(sandbox, by, instances, longest).await
    }

    /// The same on a machine where the app serves already.
    pub(crate) async fn serving(
        sandbox: Sandbox,
        by: By,
        instances: u16,
        longest: Duration,
    ) -> Result<Self> {
        let mix = Mix::standard(ADDRESS, &site(by)).at_most_for(longest);
        let load = load::start_on_thread(mix, sandbox.network_entrance()?)?;
        let stage = Self { sandbox, by, instances, moment: Moment::default(), load };
        stage.until_each_is_served(1).await?;
        Ok(stage)
    }

    /// From now on it is rolled in another way.
    pub(crate) async fn roll_by(&mut self, by: By) -> Result<()> {
        self.by = by;
        install(&self.sandbox, by, self.instances).await
    }

    /// Puts a release in the place of what the app runs.
    pub(crate) fn deploy(&self, code: &str) -> Result<()> {
        Ok(self.sandbox.write(CODE_PATH, code)?)
    }

    /// Puts the good one back.
    pub(crate) fn deploy_good(&self) -> Result<()> {
        self.deploy(CODE)
    }

    /// What the app runs, with one piece of it replaced.
    pub(crate) fn code_with(piece: &str, other: &str) -> String {
        CODE.replace(piece, other)
    }

    /// Writes a drop-in for the instances, of which systemd is not told.
    pub(crate) fn drop_in(&self, text: &str) -> Result<()> {
        Ok(self.sandbox.write(drop_in_path(), text)?)
    }

    /// Takes it away, and says so.
    pub(crate) async fn remove_drop_in(&self) -> Result<()> {
        self.ok(&["rm", &drop_in_path().display().to_string()]).await?;
        self.ok(&["systemctl", "daemon-reload"]).await.map(drop)
    }

    /// Writes a file.
    pub(crate) fn write(&self, path: &str, text: &str) -> Result<()> {
        Ok(self.sandbox.write(path, text)?)
    }

    /// Runs a command that has to end well.
    pub(crate) async fn ok(&self, command: &[&str]) -> Result<String> {
        shared::meanwhile(&self.sandbox, command).await
    }

    /// Runs a command that may end as it likes.
    pub(crate) async fn run(&self, command: &[&str]) -> Result<Said> {
        self.end(&command.join(" "), self.start(command)?).await
    }

    /// Waits for the end of a command.
    pub(crate) async fn end(&self, command: &str, child: Child) -> Result<Said> {
        let output = in_time(command, child.wait_with_output()).await??;
        Ok(Said::new(command.to_owned(), &output))
    }

    /// Starts a command that is killed when it is dropped.
    pub(crate) fn start(&self, command: &[&str]) -> Result<Child> {
        Ok(self.command(command).spawn()?)
    }

    /// Asks for a roll.
    pub(crate) fn reload(&self, more: &[&str]) -> Result<Reload> {
        let command = [&["romuoctl", "--app", APP, "reload"], more].concat();
        Ok(Reload { begun: now(), command: command.join(" "), child: self.start(&command)? })
    }

    /// Waits until a roll is in the middle: until the moment of the stage.
    pub(crate) async fn mid(&self, reload: &Reload) -> Result<()> {
        let begun = Cell::new(0);
        self.until_logged(reload.begun, "the roll is in its middle", |message| {
            let is_begin = message.contains("rolled, restarting shop@")
                || message.contains("rolled, swapping the program of shop@");
            begun.set(begun.get() + u16::from(is_begin));
            begun.get() > self.moment.after
        })
        .await?;
        Ok(self.load.until_answered(self.moment.answers).await?)
    }

    /// Follows what is logged of the app since `time` until a message is the wanted one.
    pub(crate) async fn until_logged(
        &self,
        time: i64,
        what: &str,
        wanted: impl Fn(&str) -> bool,
    ) -> Result<()> {
        let since = format!("--since=@{}", time / 1_000_000);
        let follow = ["journalctl", "-f", "--lines=all", "--output=json", "-q", "-u", "shop*"];
        let mut follower = self.start(&[&follow[..], &[&since]].concat())?;
        let out = follower.stdout.take().ok_or("the journal has no output")?;
        let mut lines = BufReader::new(out).lines();
        in_time(what, async {
            while let Some(line) = lines.next_line().await? {
                let entry = Entry::parse(&line).ok();
                if entry.is_some_and(|entry| entry.time_us >= time && wanted(&entry.message)) {
                    return Ok(());
                }
            }
            Err(broken(format!("the journal ended before: {what}")))
        })
        .await?
    }

    /// A property of a unit.
    pub(crate) async fn property(&self, unit: &str, property: &str) -> Result<String> {
        let shown = self.ok(&["systemctl", "show", "--value", "-p", property, unit]).await?;
        Ok(shown.trim().to_owned())
    }

    /// What the last roll says of itself.
    pub(crate) async fn sentence(&self) -> Result<String> {
        self.property(ROLL, "StatusText").await
    }

    /// Waits until a property of a unit has a value. Each question takes a moment: this does not spin.
    pub(crate) async fn until_property(
        &self,
        unit: &str,
        property: &str,
        wanted: impl Fn(&str) -> bool,
    ) -> Result<()> {
        let begun = Instant::now();
        loop {
            let value = self.property(unit, property).await?;
            if wanted(&value) {
                return Ok(());
            }
            if begun.elapsed() > DEADLINE {
                return Err(broken(format!("{property} of {unit} stays {value}")));
            }
        }
    }

    /// Waits until every instance is well.
    pub(crate) async fn until_online(&self) -> Result<()> {
        let begun = Instant::now();
        loop {
            let said = self.run(&["romuoctl", "--app", APP, "status", "-o", "json"]).await?;
            let status: serde_json::Value = serde_json::from_str(&said.text).unwrap_or_default();
            if status["state"] == "online" {
                return Ok(());
            }
            if begun.elapsed() > DEADLINE {
                return Err(broken(format!("the app is not online again: {}", said.text)));
            }
        }
    }

    /// Waits until each kind of client has had so many more good answers.
    pub(crate) async fn until_each_is_served(&self, more: u64) -> Result<()> {
        Ok(in_time("good answers", self.load.until_each_answered(more)).await??)
    }

    /// All of the journal.
    pub(crate) async fn journal(&self) -> String {
        let said = self.run(&["journalctl", "--no-pager", "-o", "short-precise"]).await;
        said.map_or_else(|error| error.to_string(), |said| said.text)
    }

    /// The unit of an instance.
    pub(crate) fn unit(instance: u16) -> String {
        format!("{APP}@{instance}.service")
    }

    /// The unit of the instance whose turn is last.
    pub(crate) fn last(&self) -> String {
        Self::unit(self.instances)
    }

    fn command(&self, command: &[&str]) -> Command {
        let (program, arguments) = command.split_first().unwrap_or((&"true", &[]));
        let mut command = Command::from(self.sandbox.command(program));
        command.args(arguments).kill_on_drop(true);
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        command
    }
}

impl Said {
    fn new(command: String, output: &std::process::Output) -> Self {
        let text = |bytes| String::from_utf8_lossy(bytes).into_owned();
        let text = text(&output.stdout) + &text(&output.stderr);
        Self { command, code: output.status.code(), text }
    }

    /// Insists on its exit code.
    pub(crate) fn exits(self, code: i32) -> Result<Self> {
        if self.code == Some(code) {
            return Ok(self);
        }
        let Self { command, code: was, text } = self;
        Err(broken(format!("`{command}` exited with {was:?} and not with {code}: {text}")))
    }

    /// Insists on what it said.
    pub(crate) fn says(self, part: &str) -> Result<Self> {
        if self.text.contains(part) {
            return Ok(self);
        }
        Err(broken(format!("`{}` did not say {part:?}: {}", self.command, self.text)))
    }
}

impl Reload {
    /// Waits for its end.
    pub(crate) async fn end(self) -> Result<Said> {
        let output = in_time(&self.command, self.child.wait_with_output()).await??;
        Ok(Said::new(self.command, &output))
    }

    /// Kills whoever asked.
    pub(crate) async fn kill(mut self) -> Result<()> {
        Ok(self.child.kill().await?)
    }
}

async fn in_time<T>(what: &str, future: impl Future<Output = T>) -> Result<T> {
    let late = |_| broken(format!("never came within {} s: {what}", DEADLINE.as_secs()));
    timeout(DEADLINE, future).await.map_err(late)
}

/// The time of the machine, in microseconds since 1970, as the journal has it.
pub(crate) fn now() -> i64 {
    jiff::Timestamp::now().as_microsecond()
}

fn drop_in_path() -> PathBuf {
    PathBuf::from(format!("/etc/systemd/system/{APP}@.service.d/fault.conf"))
}

/// Installs the app in one of its ways, and starts it where it does not run.
async fn install(sandbox: &Sandbox, by: By, instances: u16) -> Result<()> {
    let (command, method) = match by {
        By::Swap => ("command = [\"node\", \"server.js\"]\n", "swap"),
        By::Restart => ("command = [\"node\", \"server.js\"]\n", "restart"),
        By::Site => ("", "restart"),
    };
    let tables = match by {
        By::Site => "[static]\nroot = \".\"\n",
        _ => "",
    };
    let text = format!(
        "name = \"{APP}\"\nlisten = [\"{ADDRESS}\"]\ninstances = {instances}\n{command}\
         {LIMITS}{tables}[reload]\nmethod = \"{method}\"\n"
    );
    sandbox.write("/srv/shop/romuo.toml", text)?;
    let install = ["env", "--chdir=/srv/shop", "romuoctl", "install-units", "--now"];
    shared::meanwhile(sandbox, &install).await.map(drop)
}

/// What the clients ask for, and the answers that they insist on.
fn site(by: By) -> Site {
    let get = |path| Request::get(PathAndQuery::from_static(path));
    let post = |path| Request::post(PathAndQuery::from_static(path), vec![b'x'; UPLOAD]);
    Site {
        small: get("/").expecting_body(Body::Exact(PAGE.into())),
        large: get("/large").expecting_body(Body::Length(LARGE as u64)),
        upload: match by {
            // A static site takes no uploads, but it reads them to the end and says so.
            By::Site => post("/").expecting(StatusCode::METHOD_NOT_ALLOWED),
            By::Swap | By::Restart => post("/upload"),
        },
    }
}
