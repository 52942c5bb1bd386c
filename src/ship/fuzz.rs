//! A property of archives, for the fuzzer: see `src/fuzz.rs`.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a property that does not hold ends in a panic"
)]

use std::collections::BTreeMap;
use std::fs::{self, Permissions};
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use rustix::process::{getegid, geteuid};

use super::archive::extract;
use crate::account::Owner;

/// Bytes of a block of tar (tar(5)).
const BLOCK: usize = 512;

/// Members of an archive, at most: each may build on those before it.
const MEMBERS: usize = 8;

/// A user who owns nothing: what root fuzzes runs as this one.
const NOBODY: u32 = 65_534;

/// Names of members, besides what the bytes make up: what leads somewhere else, by itself or together with the
/// links among them.
const NAMES: [&str; 16] = [
    "a",
    "a/",
    "a/b",
    "b",
    "b/c",
    "./a",
    ".",
    "..",
    "../x",
    "a/../../x",
    "/x",
    "//x",
    "a//b",
    "./../x",
    "b/../a",
    "-x",
];

/// Where links lead to.
const TARGETS: [&str; 8] = ["a", "..", "../../keep", "/", "/etc", "b/..", ".", "../keep"];

/// Whatever an archive holds, nothing is made and nothing changed outside of its folder, what is made there
/// can be executed as nobody but who owns it, and the app lies in it.
pub(crate) fn archive(bytes: &[u8]) {
    let outer = tempfile::tempdir().unwrap();
    let (tree, file) = (outer.path().join("in/tree"), outer.path().join("archive"));
    fs::create_dir_all(&tree).unwrap();
    fs::write(outer.path().join("keep"), "kept").unwrap();
    fs::write(outer.path().join("in/keep"), "kept").unwrap();
    fs::write(&file, made(bytes)).unwrap();
    let owner = if geteuid().is_root() {
        // All of it is that user's, so that nothing but tar keeps it where it belongs.
        for folder in [outer.path(), &outer.path().join("in"), &tree] {
            std::os::unix::fs::chown(folder, Some(NOBODY), Some(NOBODY)).unwrap();
            fs::set_permissions(folder, Permissions::from_mode(0o755)).unwrap();
        }
        for keep in ["keep", "in/keep"] {
            std::os::unix::fs::chown(outer.path().join(keep), Some(NOBODY), Some(NOBODY)).unwrap();
        }
        Owner::with_ids(NOBODY, NOBODY)
    } else {
        Owner::with_ids(geteuid().as_raw(), getegid().as_raw())
    };
    let before = around(outer.path());
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let outcome = runtime.block_on(extract(&file, &tree, &owner));
    assert_eq!(around(outer.path()), before, "something outside of its folder");
    for path in below(&tree) {
        let found = path.symlink_metadata().unwrap();
        assert_eq!(found.mode() & 0o6000, 0, "{} runs as its owner", path.display());
    }
    if let Ok(folder) = outcome {
        let is_folder = folder.symlink_metadata().unwrap().is_dir();
        assert!(is_folder && folder.starts_with(&tree), "{}", folder.display());
    }
}

/// What is in a folder but for the tree in it: what each file is, and holds.
fn around(outer: &Path) -> BTreeMap<PathBuf, (u32, u64, Vec<u8>)> {
    let tree = outer.join("in/tree");
    let all = below(outer).into_iter().filter(|path| !path.starts_with(&tree));
    all.map(|path| {
        let found = path.symlink_metadata().unwrap();
        let content = if found.is_file() { fs::read(&path).unwrap() } else { Vec::new() };
        (path, (found.mode(), found.nlink(), content))
    })
    .collect()
}

/// All below a folder. What cannot be looked into, for want of a permission, ends there.
fn below(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
            found.extend(below(&entry.path()));
        }
        found.push(entry.path());
    }
    found
}

/// An archive: bytes that begin with `t` say what members a well-formed one has, any others are one as they
/// are.
fn made(bytes: &[u8]) -> Vec<u8> {
    let Some((b't', mut script)) = bytes.split_first() else { return bytes.to_vec() };
    let mut archive = Vec::new();
    for _ in 0..MEMBERS {
        let &[name, kind, mode, link, size, ref rest @ ..] = script else { break };
        script = rest;
        let text = |choice: u8, known: &[&str], rest: &mut &[u8]| {
            if let Some(known) = known.get(usize::from(choice)) {
                return known.as_bytes().to_vec();
            }
            let (own, after) = rest.split_at(rest.len().min(usize::from(choice % 128)));
            *rest = after;
            own.to_vec()
        };
        let name = text(name, &NAMES, &mut script);
        let target = text(link, &TARGETS, &mut script);
        let (data, after) = script.split_at(script.len().min(usize::from(size)));
        script = after;
        archive.extend(header(&name, kind, mode, &target, data.len()));
        archive.extend(data);
        archive.resize(archive.len().next_multiple_of(BLOCK), 0);
    }
    archive.resize(archive.len() + 2 * BLOCK, 0);
    archive
}

fn header(name: &[u8], kind: u8, mode: u8, target: &[u8], size: usize) -> [u8; BLOCK] {
    let mut block = [0; BLOCK];
    let mut put = |at: usize, most: usize, bytes: &[u8]| {
        let count = bytes.len().min(most);
        block[at..at + count].copy_from_slice(&bytes[..count]);
    };
    // Files, links of both kinds, folders, long names and targets, headers of pax, and what is refused
    // to whoever is not root.
    let kinds = b"0125LKxg346S7";
    let kind = kinds[usize::from(kind) % kinds.len()];
    put(0, 100, name);
    // With the bits of set-user-ID, or without any permission.
    put(100, 8, format!("{:07o}", u32::from(mode) << 4 | 0o4).as_bytes());
    put(108, 8, b"0000000");
    put(116, 8, b"0000000");
    put(124, 12, format!("{size:011o}").as_bytes());
    put(136, 12, b"00000000000");
    put(148, 8, b"        ");
    put(156, 1, &[kind]);
    put(157, 100, target);
    put(257, 8, b"ustar\x0000");
    put(345, 155, name.get(100..).unwrap_or_default());
    let sum: u32 = block.iter().map(|byte| u32::from(*byte)).sum();
    block[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
    block
}
