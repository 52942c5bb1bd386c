//! Files inside, from outside. Symlinks are followed inside, never to the host (openat2(2)).

use std::ffi::OsStr;
use std::fs::File;
use std::io::{self, Read, Write};
use std::path::{Component, Path, PathBuf};

use rustix::fs::{Mode, OFlags, ResolveFlags, open, openat2};

use super::inside;

/// `path` without its leading `/`.
pub(super) fn below_root(path: &Path) -> PathBuf {
    path.components().filter(|part| !matches!(part, Component::RootDir)).collect()
}

pub(super) fn read(pid: u32, path: &Path) -> io::Result<Vec<u8>> {
    let mut content = Vec::new();
    find(pid, path, OFlags::RDONLY)?.read_to_end(&mut content)?;
    Ok(content)
}

pub(super) fn write(pid: u32, path: &Path, content: &[u8]) -> io::Result<()> {
    let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::TRUNC;
    let file = match find(pid, path, flags) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            let parent = path.parent().unwrap_or(Path::new("/"));
            let mut mkdir = inside::command(pid, OsStr::new("mkdir"));
            mkdir.args(["-p", "--"]).arg(parent).output()?;
            find(pid, path, flags)
        }
        found => found,
    };
    file?.write_all(content)
}

fn find(pid: u32, path: &Path, flags: OFlags) -> io::Result<File> {
    let folder = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let root = open(format!("/proc/{pid}/root"), folder, Mode::empty())?;
    let mode =
        if flags.contains(OFlags::CREATE) { Mode::from_raw_mode(0o644) } else { Mode::empty() };
    let file = openat2(&root, path, flags | OFlags::CLOEXEC, mode, ResolveFlags::IN_ROOT)?;
    Ok(File::from(file))
}
