//! The commands of the documents, run as they stand there.
//!
//! A command is a line `$ ...` of a ```` ```console ```` block. Each of them runs, in the order of its
//! document, on one machine that has what a clone has: sources in `/srv/romuo` and, where `cargo build`
//! would put them, the two programs. Its exit code is 0, or the one that its comment names:
//! `# exit code 3`. What cannot run there is listed with the reason.

use std::fs;
use std::io::{BufRead, BufReader};
use std::path::Path;

use crate::machine::Machine;
use romuo::sandbox::Sandbox;

/// Commands that do not run here, and why.
const ELSEWHERE: [(&str, &str); 18] = [
    ("scripts/setup", "installs packages on the machine that runs the tests"),
    ("scripts/setup-apps", "installs packages on the machine that runs the tests"),
    ("scripts/marathon", "boots a machine of its own"),
    ("scripts/reliability", "boots machines of its own, and rewrites a document"),
    ("scripts/soak", "goes on for half an hour"),
    ("scripts/test-on trixie", "makes a root of another Debian"),
    ("scripts/package --test", "builds for release, and makes a root of a bare Debian"),
    ("scripts/demo", "boots a machine of its own"),
    ("scripts/test", "runs this test"),
    ("scripts/hostile", "goes on for hours, and rewrites a document"),
    ("cargo build --bins --example hostile", "its programs are there already"),
    ("target/debug/examples/hostile list", "is run by another test"),
    (
        "target/debug/examples/hostile run h2-never-reads-10 silent --in-process --quick --against site --memory 8M",
        "attacks a server on the machine that runs the tests",
    ),
    ("cargo test --lib fuzz::", "is among the tests"),
    ("scripts/fuzz", "goes on for as long as one likes"),
    ("scripts/bench", "measures, for minutes"),
    ("cargo build --release", "its two programs are there already"),
    ("UPDATE_GENERATED=1 cargo test", "rewrites the sources"),
];

/// Where a clone of the project lies.
const CLONE: &str = "/srv/romuo";

/// A program that edits like a person.
const EDITOR: &str = "/usr/local/bin/editor";

/// A machine as it is after `cargo build --release` in a clone.
fn built() -> Machine {
    let romuoctl = env!("CARGO_BIN_EXE_romuoctl");
    let built = |program: &str| format!("{CLONE}/target/release/{program}");
    let examples = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples");
    let sandbox = Sandbox::builder(romuoctl)
        .program(romuoctl, built("romuoctl"))
        .program(env!("CARGO_BIN_EXE_romuo-server"), built("romuo-server"))
        .bind_read_only(examples, format!("{CLONE}/examples"))
        .boot();
    Machine { sandbox: sandbox.unwrap_or_else(|error| panic!("{error}")) }
}

/// A command of a document.
#[derive(Debug)]
struct Command {
    /// What is typed, without `sudo`: whoever runs it here is root.
    text: String,
    /// The exit code that the document names.
    code: i32,
    /// It goes on until somebody ends it: the document says so.
    is_ended: bool,
}

impl Command {
    fn parse(line: &str) -> Option<Self> {
        let typed = line.strip_prefix("$ ")?;
        let (typed, comment) = typed.split_once(" #").unwrap_or((typed, ""));
        let typed = typed.trim();
        let code = comment.split_once("exit code ").map_or("0", |(_, code)| code.trim());
        let text = typed.strip_prefix("sudo ").unwrap_or(typed).to_owned();
        let is_ended = comment.contains("Ctrl-C");
        Some(Self { text, code: code.parse().unwrap_or_else(|e| panic!("{line}: {e}")), is_ended })
    }

    fn runs_elsewhere(&self) -> bool {
        ELSEWHERE.iter().any(|(elsewhere, _)| self.text == *elsewhere)
    }

    /// Whether it wants a terminal, for an editor.
    fn wants_terminal(&self) -> bool {
        self.text.starts_with("systemctl edit ")
    }

    /// Whether it goes on until somebody ends it.
    fn is_endless(&self) -> bool {
        self.text.contains(" --follow")
    }
}

/// The commands of a document, in their order.
fn commands(document: &str) -> Vec<Command> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(document);
    let text = fs::read_to_string(&path).unwrap_or_else(|error| panic!("{document}: {error}"));
    let blocks = text.split("```console\n").skip(1);
    let lines = blocks.flat_map(|block| block.split("```").next().unwrap_or_default().lines());
    lines.filter_map(Command::parse).collect()
}

/// Runs the commands of a document, beginning in a folder.
fn run(machine: &Machine, document: &str, folder: &str) {
    let commands = commands(document);
    assert!(!commands.is_empty(), "{document} has no commands");
    let mut folder = folder.to_owned();
    for command in commands {
        if command.runs_elsewhere() {
            continue;
        }
        if let Some(to) = command.text.strip_prefix("cd ") {
            Path::new(&folder.clone()).join(to).to_str().unwrap().clone_into(&mut folder);
            continue;
        }
        let folder = format!("--chdir={folder}");
        // script(1) makes a terminal, and the editor is one that writes a drop-in.
        let edit = format!("SYSTEMD_EDITOR={EDITOR} {}", command.text);
        let typed: &[&str] = if command.wants_terminal() {
            &["env", &folder, "script", "-qec", &edit, "/dev/null"]
        } else {
            &["env", &folder, "sh", "-c", &command.text]
        };
        if command.is_ended {
            println!("{document}: {}", command.text);
            by_hand(machine, &["env", &folder, "sh", "-c", &command.text]);
        } else if command.is_endless() {
            // What says nothing at all is ended, and has failed.
            let typed = [&["timeout", "60"], typed].concat();
            let mut child = machine.spawn(&typed);
            let first = BufReader::new(child.stdout.take().unwrap()).lines().next();
            child.kill().unwrap();
            child.wait().unwrap();
            assert!(first.is_some(), "{document}: {} said nothing", command.text);
        } else {
            println!("{document}: {}", command.text);
            machine.run(typed).exits(command.code);
        }
    }
}

/// Runs a program in the place of a terminal, until it says something; then it and all of its processes are
/// ended.
fn by_hand(machine: &Machine, typed: &[&str]) {
    let begun = Machine::now();
    machine.run(&[&["systemd-run", "--unit=by-hand", "--collect"], typed].concat()).ok();
    machine.until_journal_after(begun, "a program by hand says something", |entry| {
        entry.unit.as_deref() == Some("by-hand.service") && entry.stream.is_some()
    });
    machine.systemctl(&["stop", "by-hand.service"]).ok();
}

#[test]
fn every_command_of_the_readme_runs() {
    run(&built(), "README.md", CLONE);
}

#[test]
fn every_command_of_the_french_quick_start_runs() {
    run(&built(), "docs/fr/demarrage.md", CLONE);
}

#[test]
fn every_command_for_the_owner_of_an_app_runs() {
    let machine = built();
    let programs =
        ["romuoctl", "romuo-server"].map(|name| format!("{CLONE}/target/release/{name}"));
    machine.run(&["install", "-m", "755", &programs[0], &programs[1], "/usr/local/bin/"]).ok();
    run(&machine, "docs/apps.md", CLONE);
}

#[test]
fn every_command_for_operators_runs_on_a_machine_on_which_the_app_runs() {
    let machine = Machine::serving("");
    machine.sandbox.write(EDITOR, "#!/bin/sh\necho '[Service]\nNice=7' > \"$1\"\n").unwrap();
    machine.run(&["chmod", "755", EDITOR]).ok();
    for document in ["docs/security.md", "docs/operations.md"] {
        run(&machine, document, "/");
    }
}

/// An app that says which version it is, in a repository where each version has a tag.
const SHOP: &str = "set -e
git init --quiet -b main
printf '%s\\n' 'name = \"shop\"' 'command = [\"node\", \"server.js\"]' 'listen = [\"127.0.0.1:3000\"]' \
  '[deploy]' 'build = \"node --check server.js\"' 'watch = \"0s\"' > romuo.toml
for version in 1 2 3; do
  printf 'const http = require(\"http\")\\nconst server = http.createServer((_, answer) => answer.end(\"%s\"))
server.listen(process.env.PORT, () => console.log(\"listening on\", process.env.PORT))\\n' $version > server.js
  git add .
  git -c user.name=al -c user.email=al@example.org commit --quiet -m $version
  git tag v$version
done
";

/// A machine on which that app is installed, in `/srv/shop`.
fn shop() -> Machine {
    let machine = Machine::boot();
    machine.sandbox.write("/srv/shop/make.sh", SHOP).unwrap();
    let here = ["env", "--chdir=/srv/shop"];
    machine.run(&[&here[..], &["sh", "make.sh"]].concat()).ok();
    machine.run(&[&here[..], &["romuoctl", "install-units", "--now"]].concat()).ok();
    machine
}

#[test]
fn every_command_for_those_who_deploy_runs() {
    run(&shop(), "docs/deploy.md", "/srv/shop");
}

#[test]
fn every_command_that_goes_back_runs_on_a_machine_with_releases() {
    let machine = shop();
    for version in ["v1", "v2", "v3"] {
        let deploy = ["env", "--chdir=/srv/shop", "romuoctl", "deploy", "--git", version];
        machine.run(&deploy).ok();
    }
    run(&machine, "docs/rollback.md", "/srv/shop");
    // Installed again, it serves.
    assert_eq!(machine.run(&["curl", "-sf", "http://127.0.0.1:3000/"]).ok(), "3");
}

#[test]
fn the_commands_that_run_elsewhere_are_those_which_the_documents_name() {
    let documents = ["README.md", "docs/fr/demarrage.md", "docs/operations.md"];
    let developers = commands("docs/development.md");
    for command in &developers {
        assert!(command.runs_elsewhere(), "`{}` is neither run nor listed", command.text);
    }
    let all: Vec<Command> = documents.into_iter().flat_map(commands).chain(developers).collect();
    for (elsewhere, reason) in ELSEWHERE {
        let is_there = all.iter().any(|command| command.text == elsewhere);
        assert!(is_there, "no document says `{elsewhere}` ({reason}): take it off the list");
    }
}
