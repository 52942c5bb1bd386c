//! The Express app of `tests/apps/express` on a machine to which it is shipped.

use std::path::Path;
use std::time::Duration;

use serde_json::Value;
use tokio::process::Child;

use crate::deploys::Release;
use crate::shared::{self, ADDRESS};
use crate::stage::{APP, By, ROLL, Said, Stage};
use crate::{Result, broken};

/// Where it lies.
const HOME: &str = "/srv/shop";

/// How many instances it has.
const INSTANCES: u16 = 2;

/// A pipe that a line of `[deploy]` writes to once it runs.
const BEGUN: &str = "/run/begun";

/// One that a line reads before it ends.
const END: &str = "/run/end";

/// As long as it is there, a roll that is asked for does not begin.
const HOLD: &str = "/run/hold";

/// How long what is to be killed would go on, in seconds: for ever, and nothing else sleeps that long.
const FOR_EVER: &str = "654321";

/// Files to be copied into a release that is to be caught unfinished: it takes a tenth of a second.
const MANY: u16 = 4000;

/// In `[deploy]`, for what shows something else than what is seen by watching.
const NO_WATCH: &str = "watch = \"0s\"\n";

/// A limit that no other configuration has, as in `romuo.toml` and in bytes.
const MEMORY: (&str, u64) = ("333M", 333 << 20);

/// Kills the process that deploys. It starts no other program, so that nobody comes before it.
const KILL_DEPLOYER: &str = "read -r lock < /var/lib/romuo/shop/deploy.lock
    pid=${lock#*'\"pid\":'}; kill -KILL ${pid%%[!0-9]*}";

/// Prints what a deploy has left behind; `$0`: how long what it has started sleeps.
const LEFT: &str = "cd /var/lib/romuo/shop
    systemctl list-units --all --no-legend 'shop.candidate*'
    find /run/systemd/system /run/romuo -name 'shop.candidate*' -o -name 'shop.trial' -o -name 'shop.deploy.json' \
        -o -name 'shop.roll.progress.json'
    find releases -mindepth 1 -maxdepth 1 -name '.*'
    grep '\"verdict\": \"staged\"' releases.json
    find work logs -mindepth 1 -maxdepth 1 ! -name '*.log' 2>/dev/null
    for process in /proc/[0-9]*/cmdline
    do tr '\\0' ' ' 2>/dev/null <$process | grep -x \"sleep $0 \"
    done";

/// A machine on which a first release serves, under load.
pub(crate) struct Shop {
    pub(crate) stage: Stage,
    /// What serves at the begin.
    pub(crate) old: String,
    code: String,
    /// The begin of each `[deploy]`.
    watch: &'static str,
    shipped: std::cell::Cell<u32>,
}

/// What serves, and what came of the newest release.
#[derive(Debug)]
pub(crate) struct Now {
    /// What each instance runs.
    pub(crate) runs: Vec<String>,
    pub(crate) newest: String,
    pub(crate) verdict: String,
    pub(crate) reason: String,
    /// `MemoryMax=` of instance 1.
    pub(crate) memory: String,
}

impl Shop {
    /// Boots the machine, ships a release, and waits until each client was answered. `watches`: releases are
    /// watched. The load ends by itself after `longest`.
    pub(crate) async fn boot(watches: bool, longest: Duration) -> Result<Self> {
        let watch = if watches { "" } else { NO_WATCH };
        let repository = Path::new(env!("CARGO_MANIFEST_DIR"));
        let libraries = repository.join("target/apps/express/node_modules");
        if !libraries.is_dir() {
            return Err(broken(format!("no {}: run scripts/setup-apps", libraries.display())));
        }
        let sandbox = shared::machine()?.bind_read_only(libraries, "/srv/libraries").boot()?;
        let apps = repository.join("tests/apps/express");
        for file in ["package.json", "package-lock.json"] {
            sandbox.write(format!("{HOME}/{file}"), std::fs::read(apps.join(file))?)?;
        }
        let code = std::fs::read_to_string(apps.join("server.js"))?;
        sandbox.write(format!("{HOME}/server.js"), &code)?;
        sandbox.write(format!("{HOME}/romuo.toml"), config(Release::Good, watch))?;
        let prepare = format!(
            "mkfifo {BEGUN} {END} && cp -r /srv/libraries {HOME}/node_modules && cd {HOME} && \
             romuoctl install-units --now && romuoctl deploy"
        );
        shared::run(&sandbox, &["sh", "-c", &prepare])?;
        let stage = Stage::serving(sandbox, By::Swap, INSTANCES, longest).await?;
        let mut shop = Self { stage, old: String::new(), code, watch, shipped: 0.into() };
        shop.old = shop.now().await?.newest;
        Ok(shop)
    }

    /// What is shipped next is like this. `lines`: more of its `[deploy]`.
    pub(crate) fn write(&self, release: Release, lines: &str) -> Result<()> {
        self.shipped.set(self.shipped.get() + 1);
        let code = code(&self.code, release);
        let number = self.shipped.get();
        self.stage
            .write(&format!("{HOME}/server.js"), &format!("{code}\n// Release {number}\n"))?;
        let lines = format!("{}{lines}", self.watch);
        self.stage.write(&format!("{HOME}/romuo.toml"), &config(release, &lines))
    }

    /// The same app, of which nobody hears for long after its begin.
    pub(crate) fn write_slow(&self) -> Result<()> {
        self.write(Release::Good, "")?;
        let slow = "console.log('a slow start has begun'); setTimeout(() => app.listen(";
        let code = self.code.replace("app.listen(", slow) + ", 600000)\n";
        self.stage.write(&format!("{HOME}/server.js"), &code)
    }

    /// Makes the folder a repository of which a checkout takes for ever.
    pub(crate) async fn commit(&self) -> Result<()> {
        let filter = format!("echo begun > {BEGUN}; exec sleep {FOR_EVER}");
        let commit = "cd /srv/shop && echo node_modules > .gitignore && \
             echo 'server.js filter=slow' > .gitattributes && git init -q && git add . && \
             git -c user.name=al -c user.email=al@example.org commit -q -m one && \
             git config filter.slow.smudge \"$0\"";
        self.stage.ok(&["sh", "-c", commit, &filter]).await.map(drop)
    }

    /// Runs `romuoctl` in the folder of the app.
    pub(crate) async fn ctl(&self, arguments: &[&str]) -> Result<Said> {
        self.stage.run(&command(arguments)).await
    }

    /// Begins to.
    pub(crate) fn start(&self, arguments: &[&str]) -> Result<Child> {
        self.stage.start(&command(arguments))
    }

    /// Waits until a line of a command says that it runs.
    pub(crate) async fn begun(&self, command: Child) -> Result<Child> {
        let mut command = command;
        tokio::select! {
            said = self.stage.run(&["cat", BEGUN]) => { said?.exits(0)?; },
            ended = command.wait() => {
                ended?;
                let said = self.stage.end("what was to begin", command).await?;
                return Err(broken(format!("it ended before: {said:?}")));
            }
        }
        Ok(command)
    }

    /// Lets a line that waits end.
    pub(crate) async fn end(&self) -> Result<()> {
        self.stage.run(&["sh", "-c", &format!("echo end > {END}")]).await?.exits(0).map(drop)
    }

    /// Kills whoever deploys, and waits for that.
    pub(crate) async fn kill(&self, deploy: Child) -> Result<()> {
        self.stage.ok(&["sh", "-c", KILL_DEPLOYER]).await?;
        self.is_killed(deploy).await
    }

    pub(crate) async fn is_killed(&self, deploy: Child) -> Result<()> {
        let said = self.stage.end("romuoctl deploy", deploy).await?;
        // What a shell makes of a signal, or the signal itself.
        if matches!(said.code, None | Some(137)) {
            return Ok(());
        }
        Err(broken(format!("the deploy was not killed: {said:?}")))
    }

    /// Kills the roller, in the unit of the roll.
    pub(crate) async fn kill_roller(&self) -> Result<()> {
        let roller = self.stage.property(ROLL, "ControlPID").await?;
        self.stage.ok(&["kill", "-KILL", &roller]).await.map(drop)
    }

    /// Waits until the roll has come to its end.
    pub(crate) async fn rolled(&self) -> Result<()> {
        self.stage.until_property(ROLL, "ActiveState", |state| state == "active").await
    }

    /// From now on the unit of the roll tells when a roll is asked for, and does not begin it before
    /// [`let_go`](Self::let_go) and [`end`](Self::end).
    pub(crate) async fn hold(&self) -> Result<()> {
        let line = format!("[ -e {HOLD} ] || exit 0; echo begun > {BEGUN}; exec cat {END}");
        let drop_in = "cd /etc/systemd/system && mkdir -p shop.service.d && touch $1 && \
             { printf '[Service]\\nExecReload=\\n'; echo \"ExecReload=+/bin/sh -c '$0'\"; \
             grep '^ExecReload=' shop.service; } > shop.service.d/hold.conf && systemctl daemon-reload";
        self.stage.ok(&["sh", "-c", drop_in, &line, HOLD]).await.map(drop)
    }

    /// The rolls after the one at hand begin at once.
    pub(crate) async fn let_go(&self) -> Result<()> {
        self.stage.ok(&["rm", HOLD]).await.map(drop)
    }

    /// Kills a deploy as soon as the release begins to be copied; ends well if it was not whole yet. There
    /// are many files to be copied, and all others of a busy machine come before that deploy.
    pub(crate) async fn ambush(&self) -> Result<()> {
        let more =
            format!("mkdir {HOME}/more && cd {HOME}/more && seq {MANY} | split -l 1 -a 4 -d");
        self.stage.ok(&["sh", "-c", &more]).await?;
        let line = format!(
            "cd /var/lib/romuo/shop/releases; echo begun > {BEGUN}; \
             until set -- .*.partial; [ -e \"$1\" ]; do :; done; {KILL_DEPLOYER}; [ -e \"$1\" ]"
        );
        let ambush = self.begun(self.stage.start(&["sh", "-c", &line])?).await?;
        let deploy =
            self.stage.start(&[&["nice", "-n", "19"][..], &command(&["deploy"])].concat())?;
        self.stage.end("the ambush", ambush).await?.exits(0)?;
        self.is_killed(deploy).await
    }

    /// What is so now.
    pub(crate) async fn now(&self) -> Result<Now> {
        let status = self.json("status").await?;
        if status["state"] != "online" {
            return Err(broken(format!("the app is not online: {status:#}")));
        }
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let instances = status["instances"].as_array().into_iter().flatten();
        let runs = instances.map(|one| text(&one["release"])).collect();
        let releases = self.json("releases").await?;
        let newest = &releases["releases"][0];
        let memory = self.stage.property(&Stage::unit(1), "MemoryMax").await?;
        Ok(Now {
            runs,
            newest: text(&newest["id"]),
            verdict: text(&newest["verdict"]),
            reason: text(&newest["reason"]),
            memory,
        })
    }

    /// What is kept of the app, each file with what would tell of a change.
    pub(crate) async fn kept(&self) -> Result<String> {
        let find = "find /var/lib/romuo/shop /run/romuo/shop.* -printf '%p %i %s %T@ %l\\n' | sort";
        self.stage.ok(&["sh", "-c", find]).await
    }

    /// Insists on nothing being left of a deploy.
    pub(crate) async fn is_clean(&self) -> Result<()> {
        let left = self.stage.run(&["sh", "-c", LEFT, FOR_EVER]).await?;
        if left.text.is_empty() {
            return Ok(());
        }
        Err(broken(format!("this is left behind: {}", left.text)))
    }

    async fn json(&self, verb: &str) -> Result<Value> {
        let said = self.stage.ok(&["romuoctl", "--app", APP, verb, "-o", "json"]).await?;
        Ok(serde_json::from_str(&said)?)
    }
}

/// A line of `[deploy]` that takes for ever.
pub(crate) fn line_for_ever(key: &str) -> String {
    format!("{key} = \"echo begun > {BEGUN}; exec sleep {FOR_EVER}\"\n")
}

/// One that ends when it is let.
pub(crate) fn line_that_waits(key: &str) -> String {
    format!("{key} = \"echo begun > {BEGUN}; cat {END}\"\n")
}

/// `MemoryMax=` of a release with another configuration.
pub(crate) fn other_memory() -> String {
    MEMORY.1.to_string()
}

fn command<'a>(arguments: &[&'a str]) -> Vec<&'a str> {
    [&["env", "--chdir=/srv/shop", "romuoctl"], arguments].concat()
}

/// The code of a release.
fn code(good: &str, release: Release) -> String {
    match release {
        Release::Good | Release::Configured | Release::Misconfigured | Release::FailsBefore => {
            good.to_owned()
        }
        Release::Throws => format!("throw new Error('no')\n{good}"),
        Release::Deaf => good.replace("app.listen(", "void (") + "\nsetInterval(() => {}, 1000)\n",
        Release::Unwell => good.replace("send('ok')", "status(500).send('no')"),
        Release::Crashes => {
            format!("{good}\nsetTimeout(() => {{ throw new Error('too late') }}, 5000)\n")
        }
        Release::CrashesInstance => format!(
            "{good}\nif (process.env.ROMUO_INSTANCE !== 'candidate') {{\n\
             setTimeout(() => {{ throw new Error('too late') }}, 5000)\n}}\n"
        ),
        Release::Leaks => format!(
            "{good}\nconst hoard = []\nsetInterval(() => hoard.push(Buffer.alloc(8 << 20, '.')), 100)\n"
        ),
        Release::ThrowsInTwo | Release::ConfiguredThrowsInTwo => {
            format!("if (process.env.ROMUO_INSTANCE === '2') throw new Error('not two')\n{good}")
        }
    }
}

/// The `romuo.toml` of a release.
fn config(release: Release, lines: &str) -> String {
    let limits = match release {
        Release::Deaf | Release::Unwell => "start_timeout = \"5s\"".to_owned(),
        Release::Configured | Release::ConfiguredThrowsInTwo => {
            format!("memory = \"{}\"", MEMORY.0)
        }
        // As a candidate it has room for the time in which it is watched.
        Release::Leaks => "memory = \"1G\"".to_owned(),
        Release::Misconfigured => "memmory = \"1G\"".to_owned(),
        _ => String::new(),
    };
    let hook = if release == Release::FailsBefore { "before = \"exit 7\"\n" } else { "" };
    format!(
        "name = \"{APP}\"\ncommand = [\"npm\", \"start\"]\nlisten = [\"{ADDRESS}\"]\n\
         instances = {INSTANCES}\n[reload]\nmethod = \"swap\"\n\
         [limits]\nstop_timeout = \"20s\"\n{limits}\n[deploy]\n{lines}{hook}"
    )
}
