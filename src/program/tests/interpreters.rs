//! From a name to the program that really runs.

use std::path::{Path, PathBuf};
use std::process::Command;

use super::{App, node, search};
use crate::program::runtime::{hops, needed};
use crate::program::search::Place;
use crate::program::{Kind, ProgramError, find};

#[test]
fn a_name_becomes_an_absolute_path() {
    let app = App::new();
    let found = app.found("node server.js");
    assert_eq!(found.command, [&*node(), "server.js"]);
    assert_eq!((found.kind, found.notifies), (Kind::Node, false));
    assert!(matches!(app.find("unheard-of"), Err(ProgramError::Missing { .. })));
    assert!(matches!(app.find("./unheard-of"), Err(ProgramError::Missing { .. })));
    assert!(matches!(find(&[], app.path(), &search()), Err(ProgramError::Empty)));
}

#[test]
fn what_the_app_brings_comes_before_the_path() {
    let app = App::new();
    app.program("bin/app", "\x7fELF").program("node_modules/.bin/ls", "\x7fELF");
    assert_eq!(app.command("./bin/app x"), "APP/bin/app x");
    assert_eq!(app.command("bin/app"), "APP/bin/app");
    assert_eq!(app.command("ls"), "APP/node_modules/.bin/ls");
    assert_eq!(app.found("bin/app").kind, Kind::Native);
}

#[test]
fn a_file_without_a_first_line_is_run_by_its_extension() {
    let app = App::new();
    app.file("server.js", "").file("run.sh", "exec node x\n").file("data", "x");
    assert_eq!(app.command("server.js"), format!("{} APP/server.js", node()));
    assert!(app.command("./run.sh").ends_with("bash APP/run.sh"));
    assert!(app.found("./run.sh").notes.is_empty());
    app.file("start.sh", "#!/bin/sh\nnode x\n");
    assert!(app.found("./start.sh").notes[0].contains("exec"));
    assert!(matches!(app.find("./data"), Err(ProgramError::NotExecutable { .. })));
}

/// A shim as pyenv writes them, of a program `python` that says it is another.
#[test]
fn the_interpreter_behind_a_shim_is_asked_for_itself() {
    let app = App::new();
    app.program("real/bin/python3.11", "\x7fELF").file("real/lib/python3.11/os.py", "");
    let real = app.path().join("real/bin/python3.11");
    app.program("shims/python3", &format!("#!/bin/sh\necho {}\n", real.display()));
    let words = ["python3".to_owned(), "app.py".into()];
    let found = find(&words, app.path(), app.path().join("shims").as_os_str()).unwrap();
    assert_eq!(found.command, [real.to_str().unwrap(), "app.py"]);
    assert_eq!(found.path, [app.path().join("real/bin")]);
    assert!(found.notes[0].contains("chooses a version"), "{:?}", found.notes);
}

#[test]
fn a_program_behind_a_shim_is_asked_of_its_manager() {
    let app = App::new();
    app.program("v/bin/tool", "\x7fELF");
    let real = app.path().join("v/bin/tool");
    let manager = app.path().join("libexec/pyenv");
    app.program(
        "libexec/pyenv",
        &format!("#!/bin/sh\n[ $1 $2 = which tool ] || echo {}\n", real.display()),
    );
    let shim =
        format!("#!/usr/bin/env bash\nexec \"{}\" exec \"$program\" \"$@\"\n", manager.display());
    app.program("shims/tool", &shim);
    let found =
        find(&["tool".to_owned()], app.path(), app.path().join("shims").as_os_str()).unwrap();
    assert_eq!(found.command, [real.to_str().unwrap()]);
}

#[test]
fn a_shim_that_says_nothing_is_kept_and_spoken_of() {
    let app = App::new();
    app.program("shims/python3", "#!/bin/sh\nexit 1\n");
    let found =
        find(&["python3".to_owned()], app.path(), app.path().join("shims").as_os_str()).unwrap();
    assert!(found.command[0].ends_with("shims/python3"));
    assert!(found.notes[0].contains("did not say"), "{:?}", found.notes);
}

/// Whatever Python this machine has, behind a shim or not: what is found runs, and is itself.
#[test]
fn the_python_of_this_machine_is_found_as_it_is() {
    let app = App::new();
    let found = app.found("python3 -m http.server");
    let question = ["-c", "import sys; print(sys.executable)"];
    let answer = Command::new(&found.command[0]).args(question).output().unwrap();
    assert_eq!(String::from_utf8(answer.stdout).unwrap().trim(), found.command[0]);
    assert_eq!(found.kind, Kind::Python);
    let prefix = Path::new(&found.command[0]).parent().unwrap().parent().unwrap();
    if prefix.starts_with("/root") || prefix.starts_with("/home") {
        assert_eq!(found.runtime, [prefix]);
        assert_eq!(found.path, [prefix.join("bin")]);
    } else {
        assert!(found.runtime.is_empty());
    }
}

#[test]
fn a_venv_keeps_its_name_and_brings_the_python_that_it_was_made_of() {
    let app = App::new();
    let base = app.found("python3").command[0].clone();
    let made = Command::new(&base)
        .args(["-m", "venv", "--without-pip"])
        .arg(app.path().join(".venv"))
        .status()
        .unwrap();
    assert!(made.success());
    let python = app.path().join(".venv/bin/python3");
    app.program(".venv/bin/gunicorn", &format!("#!{}\nimport x\n", python.display()));

    let found = app.found("gunicorn app:app -w 2");
    assert_eq!(
        app.command("gunicorn app:app"),
        "APP/.venv/bin/python3 APP/.venv/bin/gunicorn app:app"
    );
    assert!(found.notifies);
    assert_eq!(found.path, [app.path().join(".venv/bin")]);
    let base_runtime = app.found(&base).runtime;
    assert_eq!(found.runtime, base_runtime, "the base that the venv was made of");
    assert_eq!(app.command("uv run gunicorn"), app.command("gunicorn"));
    assert!(app.command("python -m gunicorn a:b").starts_with("APP/.venv/bin/python "));
    assert!(app.found("python -m gunicorn a:b").notifies);

    // Moved: the first line leads nowhere, and the Python beside it is taken.
    app.program(".venv/bin/uvicorn", "#!/moved/.venv/bin/python3\n");
    assert_eq!(app.command("uvicorn x"), "APP/.venv/bin/python3 APP/.venv/bin/uvicorn x");
}

#[test]
fn a_link_to_the_app_keeps_its_name() {
    let app = App::new();
    app.program("releases/5/node_modules/x/cli.js", "#!/usr/bin/env node\n");
    app.link("releases/5/node_modules/.bin/x", "../x/cli.js").link("current", "releases/5");
    let current = app.path().join("current");
    let found = find(&["x".to_owned()], &current, &search()).unwrap();
    assert_eq!(found.command[1], current.join("node_modules/x/cli.js").to_str().unwrap());
}

#[test]
fn links_are_followed_one_by_one() {
    let app = App::new();
    app.file("c", "").link("b", "c").link("a", "./b").link("d/e", "../a");
    let names: Vec<_> = { hops(&app.path().join("d/e")) }
        .into_iter()
        .map(|hop| hop.strip_prefix(app.path()).unwrap().to_str().unwrap().to_owned())
        .collect();
    assert_eq!(names, ["d/e", "a", "b", "c"]);
}

#[test]
fn only_what_belongs_to_the_runtime_is_opened_of_a_home() {
    let place = Place { directory: Path::new("/home/u/app"), search: "".as_ref() };
    let needed = |path: &str| needed(vec![path.into()], &place);
    let none: [PathBuf; 0] = [];
    assert_eq!(needed("/usr/bin/node"), none);
    assert_eq!(needed("/home/u/app/node_modules/x/cli.js"), none);
    assert_eq!(needed("/home/u/bin/tool"), [Path::new("/home/u/bin/tool")]);
    assert_eq!(needed("/home/u/.local/bin/tool"), [Path::new("/home/u/.local/bin/tool")]);
    assert_eq!(needed("/home/u/.cargo/bin/tool"), [Path::new("/home/u/.cargo/bin/tool")]);
    let brew = "/home/linuxbrew/.linuxbrew";
    assert_eq!(needed(&format!("{brew}/Cellar/node/22/bin/node")), [Path::new(brew)]);
    let workspace = "/home/u/node_modules/next/dist/bin/next";
    assert_eq!(needed(workspace), [Path::new("/home/u/node_modules")]);
}

#[test]
fn an_argument_below_a_home_is_spoken_of() {
    let place = Place { directory: Path::new("/srv/app"), search: "".as_ref() };
    let home = if Path::new("/root").exists() { "/root" } else { "/home" };
    let command = ["/usr/bin/node".to_owned(), "x.js".into(), format!("--data={home}")];
    let notes = crate::program::runtime::hidden_arguments(&command, &place);
    assert!(notes[0].contains("readable"), "{notes:?}");
}

/// As volta and mise do it: one program under many names.
#[test]
fn a_link_to_a_program_of_many_names_is_asked_too() {
    let app = App::new();
    app.program("real/bin/node", "\x7fELF").program("volta", "#!/bin/sh\nexit 1\n");
    let real = app.path().join("real/bin/node");
    app.program("volta-shim", &format!("#!/bin/sh\necho {}\n", real.display()));
    app.link("bin/node", "../volta-shim");
    let words = ["node".to_owned(), "x.js".into()];
    let found = find(&words, app.path(), app.path().join("bin").as_os_str()).unwrap();
    assert_eq!(found.command, [real.to_str().unwrap(), "x.js"]);
}

#[test]
fn an_answer_that_never_ends_is_not_waited_for() {
    let app = App::new();
    app.program("slow", "#!/bin/sh\nexec sleep 1000\n");
    let question = crate::program::Question {
        program: &app.path().join("slow"),
        arguments: &[],
        directory: app.path(),
        search: &search(),
        decide: &[app.path()],
        limit: std::time::Duration::from_millis(50),
    };
    assert!(question.ask().unwrap().is_none());
    app.program("quiet", "#!/bin/sh\nexec sleep 1000 >/dev/null 2>&1\n");
    let quiet = app.path().join("quiet");
    let question = crate::program::Question { program: &quiet, ..question };
    assert!(question.ask().unwrap().is_none(), "its output ended, and it did not");
}

#[test]
fn root_asks_the_program_of_another_user_as_that_user() {
    use std::os::unix::fs::{PermissionsExt, chown};

    if !rustix::process::geteuid().is_root() {
        return;
    }
    let app = App::new();
    std::fs::set_permissions(app.path(), std::fs::Permissions::from_mode(0o755)).unwrap();
    app.program("whoami", "#!/bin/sh\nid -u\n");
    let file = app.path().join("whoami");
    // 65534: nobody
    chown(&file, Some(65534), Some(65534)).unwrap();
    let (directory, search) = (app.path(), search());
    let place = Place { directory, search: &search };
    let ask = |program: &str, arguments: &[&str], by: &std::path::Path| {
        crate::program::ask::ask(std::path::Path::new(program), arguments, by, &place).unwrap()
    };
    assert_eq!(ask(file.to_str().unwrap(), &[], &file), ["65534"]);
    // A program of the system does what such a file, or what lies in the folder, says.
    assert_eq!(ask("/usr/bin/id", &["-u"], &file), ["65534"]);
    assert_eq!(ask("/usr/bin/id", &["-u"], app.path()), ["0"]);
    chown(app.path(), Some(65534), Some(65534)).unwrap();
    assert_eq!(ask("/usr/bin/id", &["-u"], std::path::Path::new("/")), ["65534"]);
    // With nothing that may be a secret, and no terminal to type into.
    assert!(std::env::var_os("CARGO_MANIFEST_DIR").is_some());
    let told = ask("/usr/bin/env", &[], app.path());
    assert!(!told.iter().any(|line| line.starts_with("CARGO")), "{told:?}");
    let session = ask("/bin/sh", &["-c", "ps -o sid= -p $$; echo $$"], app.path());
    assert_eq!(session[0], session[1], "a session of its own");
}
