//! The lines of `[deploy]`.

use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use romuo::account::Owner;
use romuo::release::{Source, Verdict};
use romuo::ship::{Facts, ShipError, end_leftovers, run};

use crate::owned::{Owned, is_the_users, read};

/// How long something that has to come may take on a busy machine.
const PATIENCE: Duration = Duration::from_secs(60);

/// Set to the folder of the test where this program is started again as a part of it.
const WITHIN: &str = "ROMUO_TEST_SHIP_WITHIN";

fn facts() -> Facts {
    Facts {
        app: "shop".parse().unwrap(),
        release: Some("20261126T001100Z-abc1234".parse().unwrap()),
        previous: None,
        commit: Some("abc1234def".parse().unwrap()),
        source: Source::Git("main".into()),
        home: "/srv/shop".into(),
        outcome: None,
    }
}

/// Runs lines in a folder, as its owner.
async fn run_in(
    folder: &Path,
    log: &Path,
    lines: &[&str],
    limit: Duration,
) -> Result<(), ShipError> {
    let lines: Vec<_> = lines.iter().map(|line| (*line).to_owned()).collect();
    let owner = Owner::of(folder).unwrap();
    run(&lines, "build", folder, &owner, &facts(), log, limit, |_| ()).await
}

async fn built(owned: &Owned, lines: &[&str]) -> Result<(), ShipError> {
    run_in(&owned.home(), &owned.path("log"), lines, PATIENCE).await
}

/// Waits for something of which nothing tells.
#[track_caller]
fn wait_until(what: &str, is_so: impl Fn() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !is_so() {
        assert!(Instant::now() < deadline, "{what}");
        thread::yield_now();
    }
}

/// The number that a line wrote into `pid`, once it is whole.
fn pid(owned: &Owned) -> Option<String> {
    let text = fs::read_to_string(owned.path("home/pid")).ok()?;
    text.strip_suffix('\n').map(str::to_owned)
}

/// Whether a process is there and not dead: one whose parent is gone may lie about for a while.
fn lives(pid: &str) -> bool {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    let state = stat.rsplit(") ").next().unwrap_or_default();
    !state.is_empty() && !state.starts_with(['Z', 'X'])
}

#[tokio::test]
async fn lines_run_in_the_folder_as_its_owner_and_their_output_is_kept() {
    let owned = Owned::new();
    let lines =
        ["id -u; pwd; echo problem >&2; cat; umask", "echo made > made", "touch a; touch b"];
    built(&owned, &lines).await.unwrap();
    let user = owned.sh("home", "id -u");
    let home = fs::canonicalize(owned.home()).unwrap();
    let expected = format!(
        "$ {}\n{user}\n{}\nproblem\n0022\n$ {}\n$ {}\n",
        lines[0],
        home.display(),
        lines[1],
        lines[2],
    );
    assert_eq!(read(&owned.path("log")), expected);
    is_the_users(&owned.path("home/made"));
    assert!(!owned.path("log.running").exists());
}

#[tokio::test]
async fn lines_find_the_facts_in_their_environment() {
    let owned = Owned::new();
    let told = "env | grep ^ROMUO_ | grep -v ^ROMUO_LINE= | sort";
    built(&owned, &[told]).await.unwrap();
    let folder = owned.home();
    let expected = format!(
        "$ {told}\nROMUO_APP=shop\nROMUO_COMMIT=abc1234def\nROMUO_FOLDER={}\nROMUO_HOME=/srv/shop\nROMUO_PREVIOUS=\n\
         ROMUO_RELEASE=20261126T001100Z-abc1234\nROMUO_SOURCE=git main\nROMUO_STEP=build\n",
        folder.display(),
    );
    assert_eq!(read(&owned.path("log")), expected);

    let outcome = Some((Verdict::RolledBack, "instance 1 is not\nwell".into()));
    let (lines, log) =
        (["echo $ROMUO_STEP: $ROMUO_VERDICT, $ROMUO_REASON".into()], owned.path("2"));
    let (user, facts) = (Owner::of(&folder).unwrap(), Facts { outcome, ..facts() });
    run(&lines, "on_failure", &folder, &user, &facts, &log, PATIENCE, |_| ()).await.unwrap();
    assert!(read(&log).ends_with("\non_failure: rolled back, instance 1 is not well\n"));
}

#[tokio::test]
async fn a_line_that_fails_is_told_with_what_it_printed_last_and_ends_the_step() {
    let owned = Owned::new();
    let error = built(&owned, &["true", "echo one; echo two >&2; exit 3", "touch never"]).await;
    let error = error.unwrap_err();
    let ShipError::Line { line, how, last, .. } = &error else { panic!("{error}") };
    assert!(how.starts_with("exited with code 3 after "), "{how}");
    assert_eq!((line.as_str(), last.len()), ("echo one; echo two >&2; exit 3", 2));
    let said = error.to_string();
    assert!(said.starts_with("build: `echo one; "), "{said}");
    assert!(said.ends_with("; it printed last:\n  one\n  two"), "{said}");
    assert!(!owned.path("home/never").exists());

    let error = built(&owned, &["no-such-program"]).await.unwrap_err();
    assert!(error.to_string().contains("a program in it was not found"), "{error}");
    let error = built(&owned, &["kill -TERM $$"]).await.unwrap_err();
    assert!(error.to_string().contains("was killed by signal 15"), "{error}");
    let error = built(&owned, &["if"]).await.unwrap_err();
    assert!(error.to_string().contains("exited with code 2"), "{error}");
}

#[tokio::test]
async fn a_line_cannot_ask_anybody_anything() {
    let owned = Owned::new();
    built(&owned, &["! read answer", "! (: < /dev/tty) 2> /dev/null"]).await.unwrap();
}

#[tokio::test]
async fn a_line_that_takes_too_long_is_killed_with_all_that_it_started() {
    let owned = Owned::new();
    let line = "sh -c 'sleep 1000 & echo $! > pid; wait'";
    let limit = Duration::from_secs(1);
    let error = loop {
        // On a busy machine it may be over before it has begun.
        let error = run_in(&owned.home(), &owned.path("log"), &[line], limit).await.unwrap_err();
        if pid(&owned).is_some() {
            break error;
        }
    };
    assert!(error.to_string().contains("it took longer than `deploy.timeout`, 1s"), "{error}");
    wait_until("the process goes on", || !lives(&pid(&owned).unwrap()));
    assert!(!owned.path("log.running").exists());
}

#[tokio::test]
async fn a_line_that_is_not_waited_for_any_more_is_killed() {
    let owned = Owned::new();
    let (home, log) = (owned.home(), owned.path("log"));
    let line = ["sh -c 'sleep 1000 & echo $! > pid; wait'"];
    tokio::select! {
        result = run_in(&home, &log, &line, PATIENCE) => panic!("{result:?}"),
        () = async { while pid(&owned).is_none() { tokio::task::yield_now().await } } => {}
    }
    wait_until("the process goes on", || !lives(&pid(&owned).unwrap()));
}

#[tokio::test]
async fn a_line_is_over_when_its_shell_is() {
    let owned = Owned::new();
    // It holds the output, and is in the way of nothing.
    built(&owned, &["sleep 1000 & echo $! > pid; echo done"]).await.unwrap();
    assert!(read(&owned.path("log")).ends_with("\ndone\n"));
    wait_until("the process goes on", || !lives(&pid(&owned).unwrap()));
}

#[tokio::test]
async fn what_a_killed_deploy_has_left_running_is_ended_by_the_next_one() {
    const THIS: &str = "build::what_a_killed_deploy_has_left_running_is_ended_by_the_next_one";
    // Out of the group too, as servers of builds do.
    let line = "setsid sh -c 'echo $$ > pid; exec sleep 1000' & wait";
    if let Some(folder) = std::env::var_os(WITHIN) {
        let folder = Path::new(&folder);
        let _ = run_in(&folder.join("home"), &folder.join("logs/log"), &[line], PATIENCE).await;
        return;
    }
    let owned = Owned::new();
    let logs = owned.path("logs");
    assert_eq!(end_leftovers(&logs).unwrap(), 0);
    fs::create_dir(&logs).unwrap();
    let mut again = Command::new(std::env::current_exe().unwrap());
    again.args(["--exact", THIS]).env(WITHIN, owned.path("")).stdout(Stdio::null());
    let mut deployer = again.spawn().unwrap();
    wait_until("the line does nothing", || pid(&owned).is_some());
    let left = pid(&owned).unwrap();
    deployer.kill().unwrap();
    deployer.wait().unwrap();
    assert!(lives(&left));

    let ended = end_leftovers(&logs).unwrap();
    assert!(ended >= 1, "{ended}");
    wait_until("the process goes on", || !lives(&left));
    assert_eq!(end_leftovers(&logs).unwrap(), 0);
}
