//! A repository, asked and told through git as the user who owns it: root has no business running the
//! hooks and the configuration of a user's repository, and git refuses it too (git-config(1),
//! `safe.directory`).

use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::OsStringExt as _;
use std::path::{Path, PathBuf};
use std::process::Output;
use std::time::Duration;

use super::error::ShipError;
use super::process::ask;
use crate::account::{Owner, tool};
use crate::release::Commit;

/// How long git may take: a first fetch of a large repository over a slow line, and submodules.
const LIMIT: Duration = Duration::from_secs(15 * 60);

/// What every call has. Hooks are for people who work in a repository; nothing is tidied up in passing,
/// since that would go on behind us.
const SETTINGS: [&str; 6] =
    ["-c", "core.hooksPath=/dev/null", "-c", "gc.auto=0", "-c", "maintenance.auto=false"];

/// Where git makes what becomes the `.git` of a tree that is there already.
pub(super) const NEW: &str = ".romuo.git";

/// A repository, by a folder in it.
#[derive(Debug, Clone)]
pub(super) struct Repository {
    folder: PathBuf,
    owner: Owner,
}

/// What a name means.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Found {
    pub(super) commit: Commit,
    /// Commits that the branch of this name has here, and that of the remote, which is meant, has not.
    pub(super) only_here: usize,
}

impl Repository {
    pub(super) fn at(folder: PathBuf, owner: Owner) -> Self {
        Self { folder, owner }
    }

    /// The commit that is checked out, and how many files differ from it; none: this is no repository, or one
    /// without a commit.
    pub(super) async fn state(&self) -> Option<(Commit, usize)> {
        let head = self.resolve("HEAD").await.ok()??;
        let status = ["status", "--porcelain", "--untracked-files=normal", "--", "."];
        let changed = self.ask("see the state", &status).await.ok()?;
        Some((head, changed.lines().count()))
    }

    /// Where the folder lies in the repository; empty: it is the top of it.
    pub(super) async fn prefix(&self) -> Result<PathBuf, ShipError> {
        let output = self.call("find a repository", ["rev-parse", "--show-prefix"]).await?;
        let mut prefix = self.checked("find a repository", output)?;
        while prefix.last().is_some_and(|byte| matches!(byte, b'\n' | b'/')) {
            prefix.pop();
        }
        Ok(OsString::from_vec(prefix).into())
    }

    /// The remote that a name is of: the one that it begins with, else `origin`, else the first.
    pub(super) async fn remote(&self, reference: &str) -> Result<Option<String>, ShipError> {
        let remotes = self.ask("list remotes", &["remote"]).await?;
        let find = |is_it: &dyn Fn(&str) -> bool| remotes.lines().find(|name| is_it(name));
        let is_of =
            |name: &str| reference.strip_prefix(name).is_some_and(|rest| rest.starts_with('/'));
        let remote = find(&is_of).or_else(|| find(&|name| name == "origin"));
        Ok(remote.or_else(|| remotes.lines().next()).map(str::to_owned))
    }

    pub(super) async fn fetch(&self, remote: &str) -> Result<(), ShipError> {
        self.ask("fetch", &["fetch", "--quiet", "--tags", "--", remote]).await.map(drop)
    }

    /// The commit that a name means: a tag, a branch of the remote, or whatever else git knows by it. A branch
    /// that the remote has too is that of the remote: the one here is only as new as the last pull.
    pub(super) async fn find(
        &self,
        reference: &str,
        remote: Option<&str>,
    ) -> Result<Option<Found>, ShipError> {
        let is_plain = !matches!(reference, "HEAD" | "@");
        if let Some(remote) = remote.filter(|_| is_plain)
            && self.resolve(&format!("refs/tags/{reference}")).await?.is_none()
            && let Some(commit) =
                self.resolve(&format!("refs/remotes/{remote}/{reference}")).await?
        {
            let only_here = match self.resolve(&format!("refs/heads/{reference}")).await? {
                None => 0,
                Some(here) => {
                    let range = format!("{commit}..{here}");
                    let count = self.ask("compare", &["rev-list", "--count", &range, "--"]).await?;
                    count.trim().parse().unwrap_or(0)
                }
            };
            return Ok(Some(Found { commit, only_here }));
        }
        let commit = self.resolve(reference).await?;
        Ok(commit.map(|commit| Found { commit, only_here: 0 }))
    }

    /// The commit behind a name, if there is one.
    async fn resolve(&self, reference: &str) -> Result<Option<Commit>, ShipError> {
        let commit = format!("{reference}^{{commit}}");
        let words = ["rev-parse", "--verify", "--quiet", "--end-of-options", &commit];
        let output = self.call("look for a commit", words).await?;
        // 1: there is none. Anything else is about the repository.
        if output.status.code() == Some(1) {
            return Ok(None);
        }
        let found = self.checked("look for a commit", output)?;
        Ok(String::from_utf8_lossy(&found).trim().parse().ok())
    }

    /// A tree of a commit, with its submodules, and with `.git` for builds that ask it.
    pub(super) async fn add(&self, tree: &Path, commit: &Commit) -> Result<(), ShipError> {
        let doing = "check out a commit";
        let add = ["worktree", "add", "--quiet", "--detach", "--force"].map(OsStr::new);
        let words = add.into_iter().chain([tree.as_os_str(), OsStr::new(commit.as_str())]);
        let output = self.call(doing, words).await?;
        self.checked(doing, output)?;
        if tree.join(".gitmodules").is_file() {
            let of_tree = Self::at(tree.into(), self.owner.clone());
            let update = ["submodule", "update", "--quiet", "--init", "--recursive"];
            of_tree.ask("get the submodules", &update).await?;
        }
        Ok(())
    }

    /// Makes a tree that lies elsewhere one of this repository, at a commit, so that builds may ask git there;
    /// its files stay as they are. False: the app is not the top of the repository, and the tree is a part of
    /// one.
    pub(super) async fn attach(&self, tree: &Path, commit: &Commit) -> Result<bool, ShipError> {
        if !self.prefix().await?.as_os_str().is_empty() {
            return Ok(false);
        }
        let doing = "attach a copy";
        // git makes a tree only where nothing is.
        let new = tree.join(NEW);
        let add = ["worktree", "add", "--quiet", "--detach", "--no-checkout"].map(OsStr::new);
        let words = add.into_iter().chain([new.as_os_str(), OsStr::new(commit.as_str())]);
        let output = self.call(doing, words).await?;
        self.checked(doing, output)?;
        let line = format!("mv {NEW}/.git .git && rmdir {NEW}");
        let mut put = self.owner.command(["/bin/sh", "-c", &line]);
        put.current_dir(tree);
        let tool = |source| ShipError::Tool { program: "sh".into(), source };
        ask(put, LIMIT).await.map_err(tool)?;
        let of_tree = Self::at(tree.into(), self.owner.clone());
        of_tree.ask(doing, &["worktree", "repair"]).await?;
        of_tree.ask(doing, &["reset", "--quiet"]).await?;
        Ok(true)
    }

    /// Removes the trees below a folder from what the repository knows, also those that are gone, and one
    /// that was being made when its deploy was killed, which `git worktree prune` leaves.
    pub(super) async fn forget(&self, below: &Path) -> Result<(), ShipError> {
        let listed = self.ask("list worktrees", &["worktree", "list", "--porcelain"]).await?;
        let trees = listed.lines().filter_map(|line| line.strip_prefix("worktree "));
        for tree in trees.filter(|tree| Path::new(tree).starts_with(below)) {
            // Once forced for what was built in it, once for the lock of one that is being made.
            self.ask("remove a worktree", &["worktree", "remove", "-f", "-f", "--", tree]).await?;
        }
        Ok(())
    }

    /// What git says to some words.
    async fn ask(&self, doing: &'static str, words: &[&str]) -> Result<String, ShipError> {
        let output = self.call(doing, words).await?;
        let said = self.checked(doing, output)?;
        Ok(String::from_utf8_lossy(&said).into_owned())
    }

    async fn call(
        &self,
        doing: &'static str,
        words: impl IntoIterator<Item = impl AsRef<OsStr>>,
    ) -> Result<Output, ShipError> {
        let git = tool("git");
        let at = [git.as_os_str(), OsStr::new("-C"), self.folder.as_os_str()];
        let mut command = self.owner.command(at.into_iter().chain(SETTINGS.map(OsStr::new)));
        // Nobody is there to type a password.
        command.args(words).env("GIT_TERMINAL_PROMPT", "0");
        let output = ask(command, LIMIT).await;
        let output = output.map_err(|source| ShipError::Tool { program: "git".into(), source })?;
        output.ok_or_else(|| self.failed(doing, "it took longer than 15 minutes".into()))
    }

    /// What it said, where it went well.
    fn checked(&self, doing: &'static str, output: Output) -> Result<Vec<u8>, ShipError> {
        if output.status.success() {
            return Ok(output.stdout);
        }
        Err(self.failed(doing, plain(&output.stderr)))
    }

    fn failed(&self, doing: &'static str, said: String) -> ShipError {
        let hint = match doing {
            "fetch" => {
                "it runs as the owner of the folder, and asks for no password: that user needs access \
                 without one, such as an SSH key or a credential helper"
            }
            "find a repository" => "--git needs the app's folder to be a clone",
            "get the submodules" => "try `git submodule update --init` in the folder, as its owner",
            _ => "try it with git in the folder, as its owner",
        };
        ShipError::Git { doing, folder: self.folder.clone(), said, hint }
    }
}

/// What git complained about, in one line: what is fatal in it, if it says so.
fn plain(errors: &[u8]) -> String {
    let text = String::from_utf8_lossy(errors);
    let fatal: Vec<_> = text.lines().filter_map(|line| line.strip_prefix("fatal: ")).collect();
    let said = if fatal.is_empty() { text.lines().map(str::trim).collect() } else { fatal };
    said.join("; ").replace(char::is_control, " ")
}
