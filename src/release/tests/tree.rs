//! What is in a folder, to compare it.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::time::SystemTime;

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Node {
    Folder { mode: u32 },
    File { mode: u32, modified: SystemTime, bytes: Vec<u8> },
    Link(PathBuf),
}

impl Node {
    /// The same in a release.
    pub(super) fn released(self) -> Self {
        match self {
            Self::Folder { mode } => Self::Folder { mode: mode & 0o755 | 0o700 },
            Self::File { mode, modified, bytes } => {
                Self::File { mode: mode & 0o755, modified, bytes }
            }
            link @ Self::Link(_) => link,
        }
    }
}

/// Everything below a folder, by its relative path.
pub(super) fn snapshot(folder: &Path) -> BTreeMap<PathBuf, Node> {
    let mut tree = BTreeMap::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(at) = folders.pop() {
        for entry in fs::read_dir(at).unwrap() {
            let path = entry.unwrap().path();
            let meta = path.symlink_metadata().unwrap();
            let mode = meta.permissions().mode() & 0o7777;
            let node = if meta.is_dir() {
                folders.push(path.clone());
                Node::Folder { mode }
            } else if meta.is_symlink() {
                Node::Link(fs::read_link(&path).unwrap())
            } else {
                let (modified, bytes) = (meta.modified().unwrap(), fs::read(&path).unwrap());
                Node::File { mode, modified, bytes }
            };
            tree.insert(path.strip_prefix(folder).unwrap().to_owned(), node);
        }
    }
    tree
}

pub(super) fn inode(path: &Path) -> u64 {
    path.symlink_metadata().unwrap().ino()
}
