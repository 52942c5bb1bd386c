//! From the file that a command names to the program that really runs.

use std::collections::BTreeMap;
use std::env;
use std::fs;
use std::path::{Path, PathBuf};

use super::ask::ask;
use super::error::ProgramError;
use super::homes::is_below_home;
use super::runtime::{hops, plain};
use super::script::{self, Head};
use super::search::{Place, is_program};

/// How many scripts may run each other: a shim that runs itself has no end.
const DEPTH_MAX: usize = 5;

/// Folders that are on every unit's `PATH` (systemd.exec(5), `ExecSearchPath=`).
const STANDARD: [&str; 6] =
    ["/usr/local/sbin", "/usr/local/bin", "/usr/sbin", "/usr/bin", "/sbin", "/bin"];

/// What kind of program a command runs in the end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Node.js.
    Node,
    /// Bun.
    Bun,
    /// Deno.
    Deno,
    /// Python.
    Python,
    /// Ruby.
    Ruby,
    /// PHP.
    Php,
    /// Perl.
    Perl,
    /// A Java virtual machine.
    Java,
    /// A shell with a script, which runs we know not what.
    Shell,
    /// A program of the machine.
    Native,
}

impl Kind {
    /// The interpreter that a program called `name` is; none: no interpreter.
    fn of(name: &str) -> Option<Self> {
        let stem = name.trim_end_matches(|c: char| c.is_ascii_digit() || matches!(c, '.' | '-'));
        Some(match stem {
            "node" | "nodejs" => Self::Node,
            "bun" => Self::Bun,
            "deno" => Self::Deno,
            "python" | "pypy" => Self::Python,
            "ruby" | "jruby" | "truffleruby" => Self::Ruby,
            "php" => Self::Php,
            "perl" => Self::Perl,
            "java" => Self::Java,
            "sh" | "bash" | "dash" | "zsh" => Self::Shell,
            _ => return None,
        })
    }

    /// The interpreter of a file with this extension, as PM2 has them.
    fn of_extension(extension: &str) -> Option<&'static str> {
        Some(match extension {
            "js" | "mjs" | "cjs" => "node",
            "ts" | "tsx" => "bun",
            "py" => "python3",
            "rb" => "ruby",
            "php" => "php",
            "pl" => "perl",
            "sh" => "bash",
            _ => return None,
        })
    }

    /// What makes it print where it is itself.
    fn question(self) -> Option<&'static [&'static str]> {
        Some(match self {
            Self::Node => &["-p", "process.execPath"],
            Self::Bun => &["-e", "console.log(process.execPath)"],
            Self::Deno => &["eval", "console.log(Deno.execPath())"],
            Self::Python => &["-c", "import sys; print(sys.executable)"],
            Self::Ruby => &["-rrbconfig", "-e", "puts RbConfig.ruby"],
            Self::Php => &["-r", "echo PHP_BINARY;"],
            Self::Perl => &["-e", "print $^X"],
            Self::Java | Self::Shell | Self::Native => return None,
        })
    }
}

/// How a file is run.
#[derive(Debug)]
pub(super) struct Interpreter {
    /// What comes before the arguments.
    pub(super) words: Vec<String>,
    pub(super) kind: Kind,
    /// Files that are read at a start.
    pub(super) reads: Vec<PathBuf>,
    /// Folders that belong on the `PATH`.
    pub(super) path: Vec<PathBuf>,
    pub(super) environment: BTreeMap<String, String>,
    pub(super) notes: Vec<String>,
}

impl Interpreter {
    /// How the file that `word` named is run.
    pub(super) fn of(file: &Path, word: &str, place: &Place<'_>) -> Result<Self, ProgramError> {
        Self::look(file, word, place, DEPTH_MAX)
    }

    fn look(
        file: &Path,
        word: &str,
        place: &Place<'_>,
        depth: usize,
    ) -> Result<Self, ProgramError> {
        let missing = || ProgramError::Missing { word: word.into(), folders: Vec::new() };
        let depth = depth.checked_sub(1).ok_or_else(missing)?;
        if let Some(kind) = Kind::of(file_name(file)) {
            return Self::real(file, kind, word, place);
        }
        if let Some((real, note)) = behind_shim(file, place) {
            let mut found = Self::look(&real, word, place, depth)?;
            found.notes.insert(0, note);
            return Ok(found);
        }
        match script::head(file) {
            Head::Script(words) => Self::script(&last_hop(file), &words, place, depth),
            Head::Wrapper { interpreter, target } => {
                Self::script(&plain(&target), &[interpreter], place, depth)
            }
            Head::Other if extension(file) == "jar" => {
                let words = ["java".into(), "-jar".into()];
                Self::script(file, &words, place, depth)
            }
            Head::Other if Kind::of_extension(extension(file)).is_some() => {
                let interpreter = Kind::of_extension(extension(file)).unwrap_or_default();
                Self::script(file, &[interpreter.into()], place, depth)
            }
            Head::Binary | Head::Other if is_program(file) => Self::plain(file, Kind::Native),
            Head::Binary | Head::Other => Err(ProgramError::NotExecutable { path: file.into() }),
        }
    }

    /// A program that runs as it is.
    fn plain(file: &Path, kind: Kind) -> Result<Self, ProgramError> {
        Ok(Self {
            words: vec![text(file)?],
            kind,
            reads: vec![file.into()],
            path: Vec::new(),
            environment: BTreeMap::new(),
            notes: Vec::new(),
        })
    }

    /// The interpreter at `file`, or the one behind it where it is a shim.
    fn real(file: &Path, kind: Kind, word: &str, place: &Place<'_>) -> Result<Self, ProgramError> {
        if let Some(base) = base_of_venv(file) {
            // Python finds its venv by the name that it is run by: no link is followed.
            let mut found = Self::plain(file, kind)?;
            found.reads.extend(base);
            found.path.extend(file.parent().map(Path::to_path_buf));
            return Ok(found);
        }
        let target = fs::canonicalize(file).unwrap_or_else(|_| file.into());
        let is_real =
            Kind::of(file_name(&target)) == Some(kind) && script::head(&target) == Head::Binary;
        let named = hops(file);
        let mut note = None;
        let program = if is_real && !named.iter().any(|hop| is_below_home(hop)) {
            // `/usr/bin/python3` stays, so that an upgrade of the system brings another one.
            file.to_owned()
        } else if is_real {
            target
        } else {
            let answer = kind.question().and_then(|question| ask(file, question, file, place));
            let found = answer.and_then(|lines| program_of(&lines));
            let found = found.or_else(|| behind_shim(file, place).map(|(path, _)| path));
            if let Some(path) = &found
                && path != file
            {
                note = Some(format!(
                    "`{word}` is {}, which only chooses a version; {} is run directly",
                    file.display(),
                    path.display()
                ));
            }
            found.unwrap_or_else(|| {
                note = Some(format!(
                    "`{word}` is {}, which did not say what it runs; write the absolute path of \
                     the interpreter itself",
                    file.display()
                ));
                file.to_owned()
            })
        };
        let mut found = Self::plain(&program, kind)?;
        found.notes.extend(note);
        let folder =
            program.parent().filter(|folder| !STANDARD.iter().any(|s| *folder == Path::new(s)));
        found.path.extend(folder.map(Path::to_path_buf));
        // The answer may be a venv, as with pyenv-virtualenv.
        found.reads.extend(base_of_venv(&program).into_iter().flatten());
        if kind == Kind::Ruby {
            found.add_gems(&program, file, place);
        }
        Ok(found)
    }

    /// The script at `file`, which `words` run.
    fn script(
        file: &Path,
        words: &[String],
        place: &Place<'_>,
        depth: usize,
    ) -> Result<Self, ProgramError> {
        let (first, options) = words.split_first().ok_or(ProgramError::Empty)?;
        let missing =
            || ProgramError::NoInterpreter { script: file.into(), interpreter: first.clone() };
        let beside = || file.parent().map(|folder| folder.join(file_name(Path::new(first))));
        let interpreter = if first.contains('/') {
            Some(PathBuf::from(first)).filter(|path| is_program(path)).or_else(|| {
                // A venv that was moved.
                beside().filter(|path| is_program(path))
            })
        } else {
            let python = || place.lookup("python").filter(|_| first == "python3");
            place.lookup(first).or_else(python)
        };
        let interpreter = interpreter.ok_or_else(missing)?;
        let mut found = Self::look(&interpreter, first, place, depth)?;
        if found.kind == Kind::Shell && !script::ends_in_exec(file) {
            found.notes.push(format!(
                "{} is a script of the shell, which stays between systemd and the app: let its last \
                 line begin with `exec`, so that the app gets SIGTERM",
                file.display()
            ));
        }
        if found.kind == Kind::Python {
            found.add_user_packages(file, place);
        }
        found.words.extend(options.iter().cloned());
        found.words.push(text(file)?);
        found.reads.push(file.into());
        Ok(found)
    }

    /// Where Ruby looks for gems: folders below a home, and the variables that name them.
    fn add_gems(&mut self, ruby: &Path, by: &Path, place: &Place<'_>) {
        let folders = ask(ruby, &["-e", "puts Gem.path"], by, place).unwrap_or_default();
        // A file within, so that the folder counts as a runtime with its `bin`.
        let folders = folders.iter().map(PathBuf::from).filter(|folder| folder.is_dir());
        self.reads.extend(folders);
        for name in ["GEM_HOME", "GEM_PATH", "BUNDLE_PATH"] {
            if let Ok(value) = env::var(name) {
                self.environment.insert(name.into(), value);
            }
        }
    }

    /// `pip install --user` puts a program into `~/.local/bin`, and what it imports where only that
    /// user's Python looks.
    fn add_user_packages(&mut self, script: &Path, place: &Place<'_>) {
        let Some(local) = script.parent().filter(|folder| folder.ends_with(".local/bin")) else {
            return;
        };
        let question = ["-c", "import sys; print('python%d.%d' % sys.version_info[:2])"];
        let version =
            self.words.first().map(|python| ask(Path::new(python), &question, script, place));
        let Some(Some(version)) = version else { return };
        let Some(version) = version.first() else { return };
        let packages = local.with_file_name("lib").join(version).join("site-packages");
        if packages.is_dir() {
            self.environment.insert("PYTHONPATH".into(), packages.display().to_string());
            self.notes.push(format!("its packages are those of one user, {}", packages.display()));
            self.reads.push(packages);
        }
    }
}

fn file_name(path: &Path) -> &str {
    path.file_name().and_then(|name| name.to_str()).unwrap_or_default()
}

fn extension(path: &Path) -> &str {
    path.extension().and_then(|extension| extension.to_str()).unwrap_or_default()
}

fn text(path: &Path) -> Result<String, ProgramError> {
    path.to_str().map(Into::into).ok_or_else(|| ProgramError::Encoding { path: path.into() })
}

fn last_hop(path: &Path) -> PathBuf {
    hops(path).pop().unwrap_or_else(|| path.into())
}

/// The program that the first line of an answer names.
fn program_of(lines: &[String]) -> Option<PathBuf> {
    let path = PathBuf::from(lines.first()?);
    (path.is_absolute() && is_program(&path)).then_some(path)
}

/// The Python that a venv was made of, where `file` lies in one: as its pyvenv.cfg says (PEP 405).
/// Links in between are found by whoever reads `file`.
fn base_of_venv(file: &Path) -> Option<Vec<PathBuf>> {
    let venv = file.parent()?.parent()?;
    let config = script::text(&venv.join("pyvenv.cfg"))?;
    let home = config.lines().find_map(|line| {
        let (key, value) = line.split_once('=')?;
        (key.trim() == "home").then(|| PathBuf::from(value.trim()))
    });
    Some(home.map(|home| home.join("python3")).into_iter().collect())
}

/// What the version manager says is behind its shim at `file`, and a sentence about it; none: it is
/// no shim, or its manager does not say.
fn behind_shim(file: &Path, place: &Place<'_>) -> Option<(PathBuf, String)> {
    let target = fs::canonicalize(file).ok()?;
    let manager = match file_name(&target) {
        // ~/.volta/bin/X -> volta-shim; volta lies beside it.
        "volta-shim" => Some(target.with_file_name("volta")).filter(|path| is_program(path)),
        // ~/.local/share/mise/shims/X -> mise
        "mise" if file_name(file) != "mise" => Some(target),
        _ if file.parent()?.ends_with("shims") => manager_of(file, place),
        _ => return None,
    }?;
    let answer = ask(&manager, &["which", file_name(file)], file, place)?;
    let real = program_of(&answer).filter(|real| real != file)?;
    let note =
        format!("{} only chooses a version; {} is run directly", file.display(), real.display());
    Some((real, note))
}

/// The manager that a shim hands over to: `exec "/root/.pyenv/libexec/pyenv" exec "$program"`.
fn manager_of(shim: &Path, place: &Place<'_>) -> Option<PathBuf> {
    let text = script::text(shim)?;
    let line = text.lines().rev().find_map(|line| line.trim().strip_prefix("exec "))?;
    let mut words = line.split_whitespace().map(|word| word.trim_matches(['"', '\'']));
    let manager = words.next().filter(|_| words.next() == Some("exec"))?;
    if manager.starts_with('/') {
        Some(PathBuf::from(manager)).filter(|path| is_program(path))
    } else {
        place.lookup(manager)
    }
}
