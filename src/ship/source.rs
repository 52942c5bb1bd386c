//! What is to be shipped -> a folder with it.

use std::fs::{self, DirBuilder, Permissions};
use std::io::ErrorKind;
use std::os::unix::fs::{DirBuilderExt as _, PermissionsExt as _, chown};
use std::path::{Path, PathBuf};

use super::archive;
use super::error::ShipError;
use super::git::{NEW, Repository};
use super::leftover::{MARK, Mark};
use crate::account::Owner;
use crate::config::resolve;
use crate::release::{Additions, Commit, Rules, Source, Store};

/// The folder below that of the work into which something is checked out: it must not be there yet.
const TREE: &str = "tree";

/// Mode of the folder around it: whoever owns the tree goes through it.
const WORK_MODE: u32 = 0o711;

/// Mode of the folder with what the lines of `[deploy]` print.
const LOGS_MODE: u32 = 0o700;

/// Mode of the tree: nobody else has to see it.
const TREE_MODE: u32 = 0o700;

/// Where a repository has what it knows.
const GIT: &str = ".git";

/// Where Node has its packages.
const PACKAGES: &str = "node_modules";

/// What is to be shipped.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Wanted {
    /// A folder, as it is.
    Folder(PathBuf),
    /// A commit.
    Git {
        /// The folder of the app: a repository, or a folder in one.
        folder: PathBuf,
        /// A branch, a tag or a commit.
        reference: String,
    },
    /// A tar archive.
    Archive {
        /// The archive.
        file: PathBuf,
        /// The folder of the app, whose owner extracts and builds it.
        home: PathBuf,
    },
}

impl Wanted {
    /// What a release of it is made of.
    #[must_use]
    pub fn source(&self) -> Source {
        match self {
            Self::Folder(_) => Source::Folder,
            Self::Git { reference, .. } => Source::Git(reference.clone()),
            Self::Archive { .. } => Source::Archive,
        }
    }
}

/// What is shipped, in a folder.
#[derive(Debug)]
pub struct Checkout {
    /// Where it is.
    pub folder: PathBuf,
    /// Where the app really lives: its data, and what it is configured with.
    pub home: PathBuf,
    /// What it was made of.
    pub source: Source,
    /// The commit it was made of, if that is known.
    pub commit: Option<Commit>,
    /// What is worth knowing, each a sentence.
    pub warnings: Vec<String>,
    /// The repository that knows of the folder.
    repository: Option<Repository>,
}

impl Checkout {
    /// What lies in a folder already.
    #[must_use]
    pub fn plain(folder: PathBuf, home: PathBuf, source: Source) -> Self {
        let (commit, warnings, repository) = (None, Vec::new(), None);
        Self { folder, home, source, commit, warnings, repository }
    }

    /// A folder that is shipped as it is, copied into `work`, where it can be built: nothing that serves from it
    /// sees a build, whatever becomes of that. `data` is what the app writes and what no release has: where
    /// it lies in the folder, and where it is to be found. `lines` are those of the build.
    ///
    /// # Errors
    /// Where it cannot be read or copied.
    pub async fn apart(
        self,
        work: &Path,
        data: Vec<(PathBuf, PathBuf)>,
        lines: &[String],
        store: &Store,
    ) -> Result<Self, ShipError> {
        let mark = mark(work)?;
        let owner = owner(&self.folder)?.with(MARK, mark.text());
        let mut left_out: Vec<PathBuf> = data.iter().map(|(inside, _)| inside.clone()).collect();
        left_out.push(GIT.into());
        if lines.iter().any(|line| installs_anew(line)) {
            left_out.push(PACKAGES.into());
        }
        let rules = Rules::but(&left_out).of_user(owner.ids().0);
        make_work(work)?;
        let tree = work.join(TREE);
        store.copy(&self.folder, &rules, &tree, &Additions { files: Vec::new(), links: data })?;
        let mut repository = None;
        if let Some(commit) = &self.commit {
            let found = Repository::at(self.folder.clone(), owner);
            // Builds ask git which commit this is. Where it cannot say, the others do without.
            if !found.attach(&tree, commit).await.unwrap_or(false) {
                let _ = fs::remove_dir_all(tree.join(NEW));
            }
            repository = Some(found);
        }
        Ok(Self { folder: tree, repository, ..self })
    }

    /// Removes what was checked out into `work`, which [`check_out`] was given. A folder that was shipped as
    /// it is stays. Where this is not called, or fails, the next [`check_out`] from the same repository lets
    /// go of it.
    ///
    /// # Errors
    /// Where something cannot be removed.
    pub async fn discard(self, work: &Path) -> Result<(), ShipError> {
        match fs::remove_dir_all(work) {
            Err(error) if error.kind() == ErrorKind::NotFound => {}
            result => result.map_err(ShipError::io("remove", work))?,
        }
        match self.repository {
            Some(repository) => repository.forget(work).await,
            None => Ok(()),
        }
    }
}

/// Gets hold of what is wanted. `work` is a new folder for this alone, below one for nothing else that all may
/// go through (mode 0711 at least); it is made here if it is not there yet. `tell` hears what takes a while.
///
/// # Errors
/// Where it is not there, cannot be fetched, checked out or extracted.
pub async fn check_out(
    wanted: Wanted,
    work: &Path,
    tell: impl Fn(&str),
) -> Result<Checkout, ShipError> {
    // As the configuration takes the paths in it.
    let plain = |path: PathBuf| {
        let here = std::env::current_dir().map_err(ShipError::io("find", &path))?;
        Ok::<_, ShipError>(resolve(&here, &path))
    };
    let wanted = match wanted {
        Wanted::Folder(folder) => Wanted::Folder(plain(folder)?),
        Wanted::Git { folder, reference } => Wanted::Git { folder: plain(folder)?, reference },
        Wanted::Archive { file, home } => Wanted::Archive { file, home: plain(home)? },
    };
    let result = match wanted {
        Wanted::Folder(folder) => as_it_is(folder).await,
        Wanted::Git { folder, reference } => commit(folder, reference, work, tell).await,
        Wanted::Archive { file, home } => extracted(&file, home, work, tell).await,
    };
    if result.is_err() {
        // What cannot be removed now, `clear` removes.
        let _ = fs::remove_dir_all(work);
    }
    result
}

async fn extracted(
    file: &Path,
    home: PathBuf,
    work: &Path,
    tell: impl Fn(&str),
) -> Result<Checkout, ShipError> {
    tell(&format!("extracting {}", file.display()));
    let mark = mark(work)?;
    let owner = owner(&home)?.with(MARK, mark.text());
    let tree = make_tree(work, &owner)?;
    let folder = archive::extract(file, &tree, &owner).await?;
    Ok(Checkout::plain(folder, home, Source::Archive))
}

async fn as_it_is(folder: PathBuf) -> Result<Checkout, ShipError> {
    let state = Repository::at(folder.clone(), owner(&folder)?).state().await;
    let mut checkout = Checkout::plain(folder.clone(), folder, Source::Folder);
    if let Some((commit, changed)) = state {
        if changed > 0 {
            let (differ, shipped) = if changed == 1 {
                ("file differs", "is shipped as it is")
            } else {
                ("files differ", "are shipped as they are")
            };
            let short = commit.short();
            let warning = format!("{changed} {differ} from commit {short}, and {shipped}");
            checkout.warnings.push(warning);
        }
        checkout.commit = Some(commit);
    }
    Ok(checkout)
}

async fn commit(
    folder: PathBuf,
    reference: String,
    work: &Path,
    tell: impl Fn(&str),
) -> Result<Checkout, ShipError> {
    let mark = mark(work)?;
    let owner = owner(&folder)?.with(MARK, mark.text());
    let repository = Repository::at(folder.clone(), owner.clone());
    let prefix = repository.prefix().await?;
    // What a deploy that was killed left. It is in nobody's way, where it cannot be removed.
    if let Some(all) = work.parent() {
        let _ = repository.forget(all).await;
    }
    let remote = repository.remote(&reference).await?;
    let mut warnings = Vec::new();
    let mut fetched = Ok(());
    if let Some(remote) = &remote {
        tell(&format!("fetching from {remote}"));
        fetched = repository.fetch(remote).await;
    }
    let found = repository.find(&reference, remote.as_deref()).await?;
    let found = match (found, fetched) {
        (Some(found), Ok(())) => found,
        (Some(found), Err(error)) => {
            let short = found.commit.short();
            warnings.push(format!("{error}; `{reference}` is {short} as of the last fetch"));
            found
        }
        (None, Ok(())) => return Err(ShipError::Reference { reference, folder }),
        (None, Err(error)) => return Err(error),
    };
    let commit = found.commit;
    if found.only_here > 0 {
        let commits = if found.only_here == 1 { "a commit" } else { "commits" };
        let remote = remote.unwrap_or_default();
        warnings.push(format!(
            "the branch {reference} has {commits} here that {remote} does not have, and that of {remote} is \
             shipped: push it, or name the commit"
        ));
    }
    tell(&format!("checking out {} ({reference})", commit.short()));
    // git takes a folder that is there, as long as it is empty.
    let tree = make_tree(work, &owner)?;
    let checked_out = tree.join(&prefix);
    let added = match repository.add(&tree, &commit).await {
        // The folder of the app is younger than this commit.
        Ok(()) if !checked_out.is_dir() => {
            let reference = format!("{reference}:{}", prefix.display());
            Err(ShipError::Reference { reference, folder: folder.clone() })
        }
        result => result,
    };
    if let Err(error) = added {
        // The next one lets go of what cannot be removed now.
        let _ = fs::remove_dir_all(work);
        let _ = repository.forget(work).await;
        return Err(error);
    }
    Ok(Checkout {
        // Without a slash at the end where there is no prefix.
        folder: if prefix.as_os_str().is_empty() { tree } else { checked_out },
        home: folder,
        source: Source::Git(reference),
        commit: Some(commit),
        warnings,
        repository: Some(repository),
    })
}

/// By which the next deploy finds git or tar, where this one is killed.
fn mark(work: &Path) -> Result<Mark, ShipError> {
    Mark::begin(work).map_err(ShipError::io("write", work))
}

fn owner(folder: &Path) -> Result<Owner, ShipError> {
    Owner::of(folder).map_err(ShipError::io("read", folder))
}

/// Makes the folder that something is checked out into: the owner's, in one that stays root's. So nobody
/// can put a link in its place while it is given away.
fn make_tree(work: &Path, owner: &Owner) -> Result<PathBuf, ShipError> {
    let make = |_: &Path| ShipError::io("make", work);
    make_work(work)?;
    let tree = work.join(TREE);
    DirBuilder::new().mode(TREE_MODE).create(&tree).map_err(make(&tree))?;
    if owner.is_other() {
        let (uid, gid) = owner.ids();
        chown(&tree, Some(uid), Some(gid)).map_err(make(&tree))?;
    }
    Ok(tree)
}

/// Makes the folder around it.
fn make_work(work: &Path) -> Result<(), ShipError> {
    let make = || ShipError::io("make", work);
    match fs::create_dir(work) {
        Err(error) if error.kind() == ErrorKind::AlreadyExists => {}
        result => result.map_err(make())?,
    }
    fs::set_permissions(work, Permissions::from_mode(WORK_MODE)).map_err(make())
}

/// Whether a line of a build begins with the removal of all packages (npm-ci(1)).
fn installs_anew(line: &str) -> bool {
    let mut words = line.split_whitespace();
    words.next() == Some("npm") && matches!(words.next(), Some("ci" | "clean-install"))
}

/// Makes the folders that a deploy of an app works in: `works` for what is checked out, and `logs`. The caller
/// has the right to deploy, so what lies in `works` was left by deploys that were killed, and is removed.
///
/// # Errors
/// Where something cannot be made or removed.
pub fn prepare(works: &Path, logs: &Path) -> Result<(), ShipError> {
    for (folder, mode) in [(works, WORK_MODE), (logs, LOGS_MODE)] {
        fs::create_dir_all(folder).map_err(ShipError::io("make", folder))?;
        // Whatever the umask.
        let made = fs::set_permissions(folder, Permissions::from_mode(mode));
        made.map_err(ShipError::io("make", folder))?;
    }
    for entry in fs::read_dir(works).map_err(ShipError::io("read", works))? {
        let path = entry.map_err(ShipError::io("read", works))?.path();
        // One that cannot be removed, such as a tree of a thousand levels, is in nobody's way: each deploy has a
        // folder of its own.
        let _ = fs::remove_dir_all(&path);
    }
    Ok(())
}
