//! Finding the file of a program.

use std::env;
use std::ffi::OsStr;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use super::error::ProgramError;
use super::manager::Manager;
use super::package::Package;

/// Folders of programs that an app may bring itself, seen from its own folder.
const VENVS: [&str; 2] = [".venv/bin", "venv/bin"];

/// Where packages of Node put their programs, seen from their folder.
pub(super) const PACKAGE_PROGRAMS: &str = "node_modules/.bin";

/// Programs that are not called as the package which brings them.
const PROGRAMS: [(&str, &str); 17] = [
    ("docusaurus", "@docusaurus/core"),
    ("dotenv", "dotenv-cli"),
    ("eleventy", "@11ty/eleventy"),
    ("fastify", "fastify-cli"),
    ("hexo", "hexo-cli"),
    ("keystone", "@keystone-6/core"),
    ("nest", "@nestjs/cli"),
    ("ng", "@angular/cli"),
    ("react-router-serve", "@react-router/serve"),
    ("remix-serve", "@remix-run/serve"),
    ("rspack", "@rspack/cli"),
    ("rw", "@redwoodjs/core"),
    ("strapi", "@strapi/strapi"),
    ("tsc", "typescript"),
    ("run-s", "npm-run-all"),
    ("run-p", "npm-run-all"),
    ("vue-cli-service", "@vue/cli-service"),
];

/// Where a command is looked at: the app's folder and a `PATH`.
#[derive(Debug, Clone)]
pub(super) struct Place<'a> {
    pub(super) directory: &'a Path,
    pub(super) search: &'a OsStr,
}

impl<'a> Place<'a> {
    pub(super) fn new(directory: &'a Path, search: &'a OsStr) -> Self {
        Self { directory, search }
    }

    /// The program that `word` names: a path, or a name that is looked up. What the app brings
    /// itself comes first, as it does for `npm run` and in an activated venv.
    pub(super) fn find(&self, word: &str) -> Result<PathBuf, ProgramError> {
        if word.contains('/') {
            let path = self.directory.join(word.strip_prefix("./").unwrap_or(word));
            return match fs::metadata(&path) {
                Ok(metadata) if metadata.is_file() => Ok(path),
                _ => Err(ProgramError::Missing { word: word.into(), folders: Vec::new() }),
            };
        }
        let folders = self.folders();
        let found = folders.iter().map(|folder| folder.join(word)).find(|path| is_program(path));
        // `command = "server.js"`
        let own = || Some(self.directory.join(word)).filter(|path| path.is_file());
        found.or_else(own).ok_or_else(|| match self.not_installed(word) {
            Some(install) => ProgramError::NotInstalled { word: word.into(), install },
            None => ProgramError::Missing { word: word.into(), folders },
        })
    }

    /// The line that installs the packages of the app, where package.json names the one that brings the
    /// program `name`; none: it does not.
    pub(super) fn not_installed(&self, name: &str) -> Option<&'static str> {
        let package = Package::read(self.directory).ok()?;
        let brings = PROGRAMS.iter().filter(|(program, _)| *program == name);
        let mut brings = brings.map(|(_, package)| *package).chain([name]);
        brings.any(|name| package.needs(name)).then(|| Manager::of(self.directory).install())
    }

    /// The program `name` in the folders of `PATH` and of the app.
    pub(super) fn lookup(&self, name: &str) -> Option<PathBuf> {
        self.folders().iter().map(|folder| folder.join(name)).find(|path| is_program(path))
    }

    /// The program `name` that a package of the app brings.
    pub(super) fn package_program(&self, name: &str) -> Option<PathBuf> {
        self.package_folders().iter().map(|folder| folder.join(name)).find(|path| is_program(path))
    }

    /// The folders with programs of packages: the app's own and, in a workspace, those above it.
    pub(super) fn package_folders(&self) -> Vec<PathBuf> {
        let folders = self.directory.ancestors().map(|folder| folder.join(PACKAGE_PROGRAMS));
        folders.filter(|folder| folder.is_dir()).collect()
    }

    /// The folder with the programs of the app's venv.
    pub(super) fn venv_folder(&self) -> Option<PathBuf> {
        VENVS.iter().map(|venv| self.directory.join(venv)).find(|folder| folder.is_dir())
    }

    fn folders(&self) -> Vec<PathBuf> {
        // An empty or relative folder means another one for the unit than for the caller.
        let search = env::split_paths(self.search).filter(|folder| folder.is_absolute());
        self.venv_folder().into_iter().chain(self.package_folders()).chain(search).collect()
    }
}

/// Whether somebody may execute the file at `path`, links followed.
pub(super) fn is_program(path: &Path) -> bool {
    fs::metadata(path)
        .is_ok_and(|metadata| metadata.is_file() && metadata.permissions().mode() & 0o111 != 0)
}
