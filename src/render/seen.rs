//! What of the machine a unit sees and may write to.

use std::path::{Path, PathBuf};

use super::RenderError;
use super::template::checked;
use super::text::PathWord;
use crate::config::Program;
use crate::program::{HOMES, is_below_home};

/// What a program has to see besides its folder.
pub(super) fn needs(program: Option<&Program>) -> impl Iterator<Item = (&'static str, &Path)> {
    program.into_iter().flat_map(|program| {
        let first =
            program.command.first().map(|word| ("the program of `command`", Path::new(word)));
        let env_file = program.env_file.as_deref().map(|path| ("`env_file`", path));
        let readable = program.readable.iter().map(|path| ("a path of `readable`", path.as_path()));
        first.filter(|(_, path)| path.is_absolute()).into_iter().chain(env_file).chain(readable)
    })
}

/// What a program may write to.
pub(super) struct Writable {
    pub(super) outside: Vec<PathWord>,
    pub(super) in_homes: Vec<PathWord>,
}

impl Writable {
    pub(super) fn of(program: Option<&Program>) -> Result<Self, RenderError> {
        let paths = program.into_iter().flat_map(|program| &program.writable);
        let (in_homes, outside) = paths.partition::<Vec<&PathBuf>, _>(|path| is_below_home(path));
        let words = |paths: Vec<&PathBuf>| {
            let word = |path: &PathBuf| checked("a path of `writable`", path, PathWord::new);
            paths.into_iter().map(word).collect::<Result<_, _>>()
        };
        Ok(Self { outside: words(outside)?, in_homes: words(in_homes)? })
    }
}

/// What a unit sees of the homes.
pub(super) enum Home {
    /// Nothing.
    Hidden,
    /// These files and folders, read-only.
    Only(Vec<PathWord>),
    /// All of it, read-only: what it needs is a home itself.
    ReadOnly,
}

impl Home {
    /// Of the homes, what is needed of these named paths.
    pub(super) fn with(mut needed: Vec<(&'static str, &Path)>) -> Result<Self, RenderError> {
        needed.retain(|(_, path)| is_below_home(path));
        if needed.iter().any(|(_, path)| HOMES.iter().any(|home| *path == Path::new(home))) {
            return Ok(Self::ReadOnly);
        }
        // What lies below another one comes with it.
        needed.sort_by_key(|(_, path)| *path);
        needed.dedup_by(|later, earlier| later.1.starts_with(earlier.1));
        if needed.is_empty() {
            return Ok(Self::Hidden);
        }
        let words = needed.into_iter().map(|(what, path)| checked(what, path, PathWord::new));
        Ok(Self::Only(words.collect::<Result<_, _>>()?))
    }
}
