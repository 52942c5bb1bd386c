//! What known messages of an app mean, and what is to be done about them. Pure.
//!
//! People meet these when an app that ran by hand runs in a unit: a folder it may not write to, a
//! runtime that is not there, a network it does not have. The messages are those of the programs
//! themselves (Node, Python, Ruby, PHP, Go, Java), of the kernel's errors (errno(3)) and of systemd
//! (systemd.exec(5), "Process Exit Codes").

#[cfg(test)]
mod tests;
mod text;

use serde::{Deserialize, Serialize};

use self::text::Line;

/// A known message, explained.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Hint {
    /// What it is about, in one word for scripts.
    pub cause: Cause,
    /// What happened: a sentence without its full stop.
    pub what: String,
    /// What to do about it: a clause.
    pub hint: String,
    /// The newest line that says so.
    pub line: String,
    /// The path it is about, where the line names one.
    #[serde(skip)]
    path: Option<String>,
}

/// Declares the causes with their words.
macro_rules! causes {
    ($($(#[$doc:meta])* $name:ident,)*) => {
        /// What a message is about.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
        #[serde(rename_all = "kebab-case")]
        pub enum Cause {
            $($(#[$doc])* $name,)*
        }
    };
}

causes! {
    /// A write to what the sandbox makes read-only.
    ReadOnly,
    /// A database that cannot be written to.
    Database,
    /// Rights of a file.
    Permission,
    /// The port is taken, or not for everyone.
    Port,
    /// The program or its interpreter is not there.
    Runtime,
    /// The working directory cannot be entered.
    Directory,
    /// The user does not exist.
    User,
    /// A path that the unit binds is not there.
    Namespace,
    /// A library of the app is not installed.
    Dependency,
    /// A file of the app itself is not there.
    Entry,
    /// Out of memory.
    Memory,
    /// No network to reach others.
    Network,
    /// Too many open files.
    Files,
}

/// What the instance sees of the network, for the messages that mean something only then.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Network {
    /// Its own loopback only.
    None,
    /// The host's.
    Host,
    /// Not known to who asks.
    Unknown,
}

impl Network {
    /// By whether it has one of its own (`PrivateNetwork=`), where that is known.
    #[must_use]
    pub fn private(private: Option<bool>) -> Self {
        match private {
            Some(true) => Self::None,
            Some(false) => Self::Host,
            None => Self::Unknown,
        }
    }
}

/// Explains one line; none: nothing is known of it.
#[must_use]
pub fn explain(message: &str, network: Network) -> Option<Hint> {
    let line = Line::new(message);
    // The first that fits: what is more special comes first.
    let found = unit(&line)
        .or_else(|| memory(&line))
        .or_else(|| port(&line))
        .or_else(|| database(&line))
        .or_else(|| files(&line))
        .or_else(|| read_only(&line))
        .or_else(|| dependency(&line))
        .or_else(|| runtime(&line))
        .or_else(|| permission(&line))
        .or_else(|| self::network(&line, network));
    found.map(|Found { cause, what, hint, path }| Hint {
        cause,
        what,
        hint,
        line: message.trim().to_owned(),
        path,
    })
}

/// The hints of many lines, one for each cause, in the order of their first lines. The newest line
/// counts, but one that names a path is not given up for one that does not.
#[derive(Debug, Clone, Default)]
pub struct Hints(Vec<Hint>);

impl Hints {
    /// Takes a line; says what it is about, and whether it is the first of that.
    pub fn add(&mut self, message: &str, network: Network) -> Option<(Cause, bool)> {
        let hint = explain(message, network)?;
        let cause = hint.cause;
        let known = self.0.iter_mut().find(|known| known.cause == cause);
        let first = known.is_none();
        match known {
            Some(known) if known.path.is_some() && hint.path.is_none() => {}
            Some(known) => *known = hint,
            None => self.0.push(hint),
        }
        Some((cause, first))
    }

    /// The newest that was found.
    #[must_use]
    pub fn last(&self) -> Option<&Hint> {
        self.0.last()
    }

    /// All that were found.
    #[must_use]
    pub fn into_vec(self) -> Vec<Hint> {
        self.0
    }
}

impl std::fmt::Display for Hint {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}: {}", self.what, self.hint)
    }
}

/// What is found in a line.
struct Found {
    cause: Cause,
    what: String,
    hint: String,
    path: Option<String>,
}

#[expect(clippy::unnecessary_wraps, reason = "every finder ends with it")]
fn found(cause: Cause, what: impl Into<String>, hint: impl Into<String>) -> Option<Found> {
    Some(Found { cause, what: what.into(), hint: hint.into(), path: None })
}

impl Found {
    fn about(self, path: Option<String>) -> Self {
        Self { path, ..self }
    }
}

/// What systemd says of a unit that it could not start.
fn unit(line: &Line<'_>) -> Option<Found> {
    if line.has("mount namespacing: ") || line.has_any(&["step NAMESPACE", "status=226/NAMESPACE"])
    {
        let path = line.path_after("mount namespacing: ").map(|path| {
            let inside = ["/run/systemd/unit-root", "/run/systemd/mount-rootfs"];
            let inside = inside.iter().find_map(|root| path.strip_prefix(root));
            inside.map(str::to_owned).unwrap_or(path)
        });
        let what = match &path {
            Some(path) => format!("the unit opens {path} to the app, and that cannot be done"),
            None => "the unit opens a path to the app that is not there".into(),
        };
        let hint = "make that path (see `writable`, `readable` and `directory` in romuo.toml), then \
                    `romuoctl install-units` and `romuoctl restart`";
        return found(Cause::Namespace, what, hint).map(|found| found.about(path));
    }
    if line.has_any(&["step CHDIR", "status=200/CHDIR", "requested working directory failed"]) {
        let hint = "is it there, and may the user of the instances enter it and the folders above?";
        return found(Cause::Directory, "`directory` of romuo.toml cannot be entered", hint);
    }
    if line.has_any(&["step USER", "status=217/USER"]) {
        let hint = "make that user, or leave `user` away for one that systemd makes";
        return found(Cause::User, "the `user` of romuo.toml does not exist", hint);
    }
    if line.has_any(&["step EXEC", "status=203/EXEC", "Failed to locate executable "]) {
        let path = line.path_after("spawning ");
        return missing_runtime(path.or_else(|| line.path_after("locate executable ")));
    }
    None
}

fn missing_runtime(path: Option<String>) -> Option<Found> {
    let what = match &path {
        Some(path) => format!("{path} is not there, or not to be run, so the app cannot start"),
        None => "the program or its interpreter is not there, so the app cannot start".into(),
    };
    let hint = "was another version of the runtime installed, or the old one removed? Run \
                `romuoctl install-units` in an environment in which `command` works: it finds the \
                program anew";
    found(Cause::Runtime, what, hint).map(|found| found.about(path))
}

fn memory(line: &Line<'_>) -> Option<Found> {
    if line.has("JavaScript heap out of memory") {
        let hint = "raise `limits.memory`, and with it node's own limit: NODE_OPTIONS = \
                    \"--max-old-space-size=MB\" in [environment]; or look for a leak";
        return found(Cause::Memory, "node's heap is full", hint);
    }
    if line.has("Java heap space") {
        let hint = "raise `limits.memory`, and -Xmx of java below it";
        return found(Cause::Memory, "java's heap is full", hint);
    }
    if line.has("Allowed memory size of") {
        let hint = "raise memory_limit in php.ini, below `limits.memory`";
        return found(Cause::Memory, "a script reached PHP's own memory limit", hint);
    }
    let killed = ["killed by the OOM killer", "result 'oom-kill'", "Memory cgroup out of memory"];
    let refused = line.begins_with("MemoryError") || line.has("NoMemoryError");
    let refused = refused || line.has("ENOMEM");
    if refused || line.has_any(&killed) {
        let what = "the instance reached its memory limit and was killed";
        let hint = "raise `limits.memory`, or look for a leak";
        let what = if refused { "the app could get no more memory" } else { what };
        return found(Cause::Memory, what, hint);
    }
    None
}

fn port(line: &Line<'_>) -> Option<Found> {
    let taken = line.has_any(&["EADDRINUSE", "ddress already in use", "Connection in use:"]);
    let refused = line.has_any(&["listen EACCES", "rror while attempting to bind on address"]);
    let php = line.has("Failed to listen on");
    (taken || refused || php).then_some(())?;
    let what = "the app could not open its port";
    let hint = "it has to listen on the port in $PORT, which is another for each start, and not on one \
                of its own; where it takes the port as an argument, put {port} into `command`";
    found(Cause::Port, what, hint)
}

fn database(line: &Line<'_>) -> Option<Found> {
    let database = ["SQLITE_READONLY", "SQLITE_CANTOPEN", "readonly database"];
    if !line.has_any(&database) && !line.has("nable to open database file") {
        return None;
    }
    let what = "SQLite cannot write to its database, or to the folder that it is in";
    let hint = "put that folder, and not only the file, into `writable` of romuo.toml, since SQLite \
                writes its journal beside the database; then `romuoctl install-units`";
    found(Cause::Database, what, hint)
}

fn files(line: &Line<'_>) -> Option<Found> {
    if line.has_any(&["EMFILE", "oo many open files"]) {
        let hint = "look for what is opened and never closed: `ls /proc/PID/fd`; where it really needs \
                    more, raise LimitNOFILE= in a drop-in (`systemctl edit`)";
        return found(Cause::Files, "the app has too many files open", hint);
    }
    if line.has("number of file watchers reached") {
        let hint = "a file watcher is for development: run the app itself, and let `romuoctl reload` \
                    bring in what is new";
        return found(Cause::Files, "the app watches too many files", hint);
    }
    None
}

fn read_only(line: &Line<'_>) -> Option<Found> {
    if !line.has_any(&["EROFS", "ead-only file system", "ReadOnlyFilesystem"]) {
        return None;
    }
    let path = line.path();
    let what = match &path {
        Some(path) => format!("the app may not write to {path}"),
        None => "the app may not write where it tried to".into(),
    };
    // What is made is the folder itself; of a file, the folder that it is in.
    let folder = path.as_deref().map(|path| match path.rsplit_once('/') {
        Some((folder, _)) if !line.has("mkdir") && !folder.is_empty() => folder,
        _ => path,
    });
    let folder = folder.unwrap_or("uploads");
    let hint = format!(
        "give it that folder with writable = [\"{folder}\"] in romuo.toml, then `romuoctl install-units` \
         and `romuoctl reload`; its own state has a place in $STATE_DIRECTORY"
    );
    found(Cause::ReadOnly, what, hint).map(|found| found.about(path))
}

fn dependency(line: &Line<'_>) -> Option<Found> {
    let node = ["Cannot find module ", "Cannot find package "];
    if let Some(module) = node.iter().find_map(|begin| line.quoted_after(begin)) {
        if module.starts_with(['/', '.']) {
            let hint = "is the app built (`npm run build`), and is `command` right?";
            let what = format!("{module} is not there");
            return found(Cause::Entry, what, hint);
        }
        let what = format!("the package {module} is not installed");
        return found(Cause::Dependency, what, "run `npm ci` (or yarn, pnpm) in `directory`");
    }
    if line.has_any(&["ModuleNotFoundError", "No module named"]) {
        let module = line.quoted_after("No module named ");
        let module = module.or_else(|| line.word_after("No module named "))?;
        let hint = "is it installed in the virtual environment, and does `command` begin with that \
                    one's python (`.venv/bin/python`)?";
        return found(Cause::Dependency, format!("Python finds no module {module}"), hint);
    }
    let ruby = ["cannot load such file --", "Bundler::GemNotFound", "in any of the sources"];
    if line.has_any(&ruby) {
        let hint = "run `bundle install` in `directory` with the ruby of `command`";
        return found(Cause::Dependency, "a gem is not installed", hint);
    }
    if line.has("vendor/autoload.php") && line.has_any(&["ailed to open", "ailed opening"]) {
        let hint = "run `composer install` in `directory`";
        return found(Cause::Dependency, "the packages of Composer are not installed", hint);
    }
    None
}

fn runtime(line: &Line<'_>) -> Option<Found> {
    let absent = line.has_any(&["o such file or directory", "ENOENT"]);
    let shell = [": command not found", ": not found", "executable file not found in $PATH"];
    let env = line.begins_with("env: ") || line.has("/env: ");
    let start =
        line.has_any(&["cannot start ", "could not start ", "cannot run ", "could not run "]);
    if absent && (env || start) {
        let path = if start { line.path() } else { None };
        return missing_runtime(path);
    }
    if absent && line.has(" spawn ") || line.has("executable file not found in $PATH") {
        let program = line.word_after(" spawn ").or_else(|| line.quoted_after("exec: "))?;
        let what = format!("the app runs {program}, which it does not find");
        let hint = "install it, or put its folder into PATH in [environment] of romuo.toml";
        return found(Cause::Runtime, what, hint);
    }
    if line.is_shell() && line.has_any(&shell) {
        return missing_runtime(None);
    }
    None
}

fn permission(line: &Line<'_>) -> Option<Found> {
    if !line.has_any(&["EACCES", "ermission denied", "AccessDeniedException"]) {
        return None;
    }
    let path = line.path();
    let what = match &path {
        Some(path) => format!("the app has no right to {path}"),
        None => "the app has no right to a file".into(),
    };
    let hint = "the instances run as the `user` of romuo.toml, or as one of their own where there is \
                none: give that user the rights (`chown`, `chmod`), or name the owner as `user`";
    found(Cause::Permission, what, hint).map(|found| found.about(path))
}

fn network(line: &Line<'_>, network: Network) -> Option<Found> {
    let unreachable = [
        "ECONNREFUSED",
        "onnection refused",
        "ENETUNREACH",
        "etwork is unreachable",
        "EAI_AGAIN",
        "emporary failure in name resolution",
        "EAFNOSUPPORT",
        "ddress family not supported by protocol",
    ];
    if network == Network::Host || !line.has_any(&unreachable) {
        return None;
    }
    let what = match network {
        Network::None => "the instance has no network but its own loopback, so it reaches nobody",
        _ => "the app reaches nobody; with network = \"none\" it has only a loopback of its own",
    };
    let hint = "set network = \"host\" in romuo.toml, then `romuoctl install-units` and \
                `romuoctl reload`; or reach databases on this machine by their unix sockets";
    found(Cause::Network, what, hint)
}
