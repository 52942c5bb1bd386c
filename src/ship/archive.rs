//! A tar archive -> a folder.

use std::ffi::OsStr;
use std::fs::{self, File};
use std::io::{self, Read as _, Seek as _};
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::error::ShipError;
use super::process::ask;
use crate::account::{Owner, SEARCH, tool};

/// How long tar may take: gigabytes on a slow disk.
const LIMIT: Duration = Duration::from_secs(15 * 60);

/// How much of an archive is looked at to see what it is, in bytes: a header of tar.
const HEAD: u64 = 512;

/// How archives begin (file(1)), and the option that tells tar what it is: it cannot see that itself where
/// it reads from its input.
const KINDS: [(&[u8], &str); 8] = [
    (b"\x1f\x8b", "--gzip"),
    (b"BZh", "--bzip2"),
    (b"\xfd7zXZ\0", "--xz"),
    (b"\x28\xb5\x2f\xfd", "--zstd"),
    (b"LZIP", "--lzip"),
    (b"\x5d\0\0", "--lzma"),
    (b"\x89LZO\0", "--lzop"),
    (b"\x1f\x9d", "--uncompress"),
];

/// What a zip archive begins with.
const ZIP: &[u8] = b"PK\x03\x04";

/// Where a header of tar says so: at 257 there is "ustar" (tar(5)).
const USTAR: (usize, &[u8]) = (257, b"ustar");

/// Extracts an archive into a new folder, as `owner`, and says where the app is: in the folder, or in the only
/// one that lies in it.
pub(super) async fn extract(file: &Path, tree: &Path, owner: &Owner) -> Result<PathBuf, ShipError> {
    let read = |error| ShipError::io("read", file)(error);
    let failed =
        |said: String, hint| ShipError::Archive { file: file.into(), said: said.clone(), hint };
    // Opened here: the user who extracts it perhaps must not read it.
    let mut archive = File::open(file).map_err(read)?;
    let mut head = Vec::new();
    { &mut archive }.take(HEAD).read_to_end(&mut head).map_err(read)?;
    archive.rewind().map_err(read)?;
    if head.starts_with(ZIP) {
        return Err(ShipError::Zip(file.into()));
    }
    // First: what is not compressed begins with the name of a file, which may look like anything.
    let is_tar = head.get(USTAR.0..).is_some_and(|rest| rest.starts_with(USTAR.1));
    let kind = KINDS.iter().find(|(magic, _)| !is_tar && head.starts_with(magic));
    let kind = kind.map(|(_, option)| *option);
    if kind.is_none() && !is_tar {
        let hint = "tar makes one: tar --create --gzip --file app.tar.gz --directory FOLDER .";
        return Err(failed("it is no tar archive".into(), hint));
    }

    let tar = tool("tar");
    let options = ["--extract", "--file=-", "--no-same-owner", "--no-same-permissions"];
    let words = options.into_iter().chain(kind).map(OsStr::new);
    let mut command = owner.command([tar.as_os_str()].into_iter().chain(words));
    // `stdin` after `command`, which takes it away; its messages are looked at below.
    command.stdin(archive).current_dir(tree).env("LC_ALL", "C");
    // It starts the program that unpacks, by its name.
    command.env("PATH", SEARCH);
    let output = ask(command, LIMIT).await;
    let output = output.map_err(|source| ShipError::Tool { program: "tar".into(), source })?;
    let hint = "nothing of it was kept; does `tar --list --file` understand it?";
    let output = output.ok_or_else(|| failed("it took longer than 15 minutes".into(), hint))?;
    let said = String::from_utf8_lossy(&output.stderr);
    // Neither may leave the folder: tar leaves such a path out, or its beginning, and goes on.
    if said.contains("Member name contains '..'") || said.contains("Removing leading `") {
        let hint = "its paths have to be relative: make it with tar --create --directory FOLDER .";
        return Err(failed("it has paths that lead out of it".into(), hint));
    }
    if !output.status.success() {
        let mut lines = said.lines().map(str::trim).filter(|line| !line.is_empty());
        let first = lines.next().unwrap_or("tar said nothing").replace(char::is_control, " ");
        return Err(failed(first, hint));
    }
    top(tree).map_err(ShipError::io("read", tree))
}

/// Most archives of releases hold one folder, named after the version.
fn top(tree: &Path) -> io::Result<PathBuf> {
    let entries = fs::read_dir(tree)?.collect::<io::Result<Vec<_>>>()?;
    match entries.as_slice() {
        [only] if only.file_type()?.is_dir() => Ok(only.path()),
        _ => Ok(tree.into()),
    }
}
