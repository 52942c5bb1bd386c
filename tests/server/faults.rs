//! What happens to an app while something else is happening to it.

use std::fs;
use std::net::TcpListener;
use std::os::fd::OwnedFd;
use std::os::unix::fs::{FileTypeExt as _, OpenOptionsExt as _};
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::thread;

use romuo::health::{Status, SwapAnswer, swap};
use rustix::fs::OFlags;
use rustix::process::{Pid, Signal, kill_process};
use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
use serde_json::Value;

use crate::app::{QUICK, get, is_gone, kill, swap_state, swapped, wait, wait_until};
use crate::instance::{DEADLINE, Machine};
use crate::{ask, report};

/// An app that stays down after a crash.
const DOWN: &str = "[reload]\nlinger = \"0s\"\n[limits]\nrestart_delay = \"1h\"\n";

/// The processes of the app that were started so far, with an empty line for one that just is.
fn started(machine: &Machine) -> Vec<String> {
    let text = fs::read_to_string(machine.file("started")).unwrap_or_default();
    text.lines().map(str::to_owned).collect()
}

fn wait_for_start(machine: &Machine, count: usize) -> String {
    wait_until("the app is not started", || started(machine).len() >= count);
    started(machine).swap_remove(count - 1)
}

fn hold(machine: &Machine) -> PathBuf {
    let held = machine.file("held");
    fs::write(&held, "").unwrap();
    held
}

/// Asks for a swap whose new app does not come up before `held` is gone; its process.
fn begin_swap(machine: &Machine) -> (thread::JoinHandle<SwapAnswer>, String, PathBuf) {
    let held = hold(machine);
    let before = started(machine).len();
    let control = machine.control("1");
    let asked = thread::spawn(move || wait(swap(&control, DEADLINE)).unwrap());
    let new = wait_for_start(machine, before + 1);
    (asked, new, held)
}

fn wait_until_down(machine: &Machine) {
    wait_until("the app is not down", || report(&machine.control("1")).status == Status::Failing);
}

#[test]
fn a_hangup_of_an_instance_swaps_its_app() {
    let machine = Machine::of_app(QUICK);
    let instance = machine.ready("1");
    let old = get(&machine, "/");
    instance.signal(Signal::HUP);
    wait_until("no swap has ended", || swap_state(&machine).swaps == 1);
    assert_ne!(get(&machine, "/"), old);
    assert!(is_gone(&old));
}

#[test]
fn of_two_swaps_at_once_the_second_is_refused() {
    let machine = Machine::of_app(QUICK);
    let _instance = machine.ready("1");
    let (asked, new, held) = begin_swap(&machine);
    assert!(!swap_state(&machine).possible);
    let refused = swapped(&machine);
    assert_eq!(refused.reason.as_deref(), Some("a swap is under way"));
    assert!(!refused.restart);
    fs::remove_file(held).unwrap();
    assert!(asked.join().unwrap().swapped);
    assert_eq!(get(&machine, "/"), new);
    let state = swap_state(&machine);
    assert_eq!((state.possible, state.swaps), (true, 2));
}

#[test]
fn a_stop_in_the_middle_of_a_swap_ends_both_apps_and_answers_who_asked() {
    let machine = Machine::of_app(QUICK);
    let instance = machine.ready("1");
    let old = get(&machine, "/");
    let (asked, new, _held) = begin_swap(&machine);
    instance.signal(Signal::TERM);
    assert!(instance.wait().success());
    assert!(is_gone(&old) && is_gone(&new));
    let answer = asked.join().unwrap();
    assert!(!answer.swapped);
    assert_eq!(answer.reason.as_deref(), Some("the instance is ending"));
}

#[test]
fn an_old_app_that_dies_in_a_swap_is_counted_and_replaced_by_the_new_one() {
    let machine = Machine::of_app(
        "[limits]\nrestart_delay = \"1h\"\nmin_uptime = \"1h\"\nmax_restarts = 1\n",
    );
    let _instance = machine.ready("1");
    let old = get(&machine, "/");
    let (asked, new, held) = begin_swap(&machine);
    kill(&old);
    wait_until_down(&machine);
    // The new one is on its way: it gets its chance, whatever was counted.
    fs::remove_file(held).unwrap();
    let answer = asked.join().unwrap();
    assert_eq!((answer.swapped, answer.generation), (true, Some(2)), "{answer:?}");
    assert_eq!(get(&machine, "/"), new);
    let runtime = machine.control("1");
    let count = fs::read(runtime.with_extension("guard")).unwrap();
    let count: Value = serde_json::from_slice(&count).unwrap();
    assert_eq!(count["crashes"], 1);
}

#[test]
fn a_new_app_that_dies_in_a_swap_whose_old_one_is_dead_is_started_again() {
    let machine = Machine::of_app(QUICK);
    let _instance = machine.ready("1");
    let old = get(&machine, "/");
    let (asked, new, held) = begin_swap(&machine);
    kill(&old);
    wait_until_down(&machine);
    kill(&new);
    let third = wait_for_start(&machine, 3);
    assert!(!asked.join().unwrap().swapped);
    fs::remove_file(held).unwrap();
    wait_until("the app is not up", || report(&machine.control("1")).status == Status::Ok);
    assert_eq!(get(&machine, "/"), third);
}

#[test]
fn while_an_app_is_down_no_swap_begins() {
    let machine = Machine::of_app(DOWN);
    let _instance = machine.ready("1");
    kill(&get(&machine, "/"));
    wait_until_down(&machine);
    assert!(!swap_state(&machine).possible);
    let refused = swapped(&machine);
    assert_eq!(refused.reason.as_deref(), Some("the app is being started"));
    assert!(!refused.restart);
}

#[test]
fn an_instance_whose_app_is_down_ends_at_once_when_it_is_told_to() {
    let machine = Machine::of_app(DOWN);
    let instance = machine.ready("1");
    kill(&get(&machine, "/"));
    wait_until_down(&machine);
    instance.signal(Signal::TERM);
    assert!(instance.wait().success());
    assert_eq!(started(&machine).len(), 1);
}

#[test]
fn an_instance_that_is_told_to_end_while_its_app_starts_takes_it_along() {
    let machine = Machine::of_app(QUICK);
    hold(&machine);
    let instance = machine.start("1");
    let app = wait_for_start(&machine, 1);
    instance.signal(Signal::TERM);
    assert!(instance.wait().success());
    assert!(is_gone(&app));
}

#[test]
fn systemd_hears_that_an_instance_lives_while_its_app_is_down() {
    let machine = Machine::of_app(&format!("{DOWN}[health]\ninterval = \"20ms\"\n"));
    let instance = machine.start_with("1", &[("WATCHDOG_USEC", "200000")]);
    instance.wait_for_message("READY=1\n");
    kill(&get(&machine, "/"));
    wait_until_down(&machine);
    for _ in 0..12 {
        instance.wait_for_message("WATCHDOG=1\n");
    }
    assert_eq!(report(&machine.control("1")).status, Status::Failing);
}

#[test]
fn who_asks_whether_a_swap_can_be_done_learns_that_memory_for_two_is_missing() {
    let machine = Machine::of_app("[limits]\nmemory = \"12M\"\n");
    let _instance = machine.ready("1");
    let state = swap_state(&machine);
    assert!(!state.possible && state.restart, "{state:?}");
    assert!(state.reason.unwrap().contains("limits.memory"));
    assert_eq!(state.swaps, 0, "it was only asked");
}

#[test]
fn systemctl_status_shows_at_once_that_an_app_went_down_and_came_back() {
    let machine = Machine::of_app(QUICK);
    let instance = machine.ready("1");
    let held = hold(&machine);
    kill(&get(&machine, "/"));
    let address = machine.address();
    instance.wait_for_message(&format!("STATUS=serving {address}: the app is down"));
    fs::remove_file(held).unwrap();
    instance.wait_for_message(&format!("STATUS=serving {address}: app pid "));
}

#[test]
fn an_app_on_a_unix_socket_has_one_of_its_own_in_each_life() {
    let machine = Machine::of_app("");
    let command = "command = [\"/usr/bin/python3\", \"app.py\", \"{socket}\"]\nname = \"romuo\"\n";
    fs::write(machine.file("romuo.toml"), format!("{command}{QUICK}")).unwrap();
    let instance = machine.ready("1");
    let sockets = || {
        let folder = machine.control("1").parent().unwrap().to_owned();
        let names = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap());
        let sockets = names.filter(|entry| entry.file_type().unwrap().is_socket());
        let names = sockets.map(|entry| entry.file_name().into_string().unwrap());
        let mut names: Vec<_> = names.filter(|name| name.contains(".app.")).collect();
        names.sort();
        names
    };
    assert_eq!(sockets(), ["1.app.1.sock"]);
    let environment: Value = serde_json::from_str(&get(&machine, "/environment")).unwrap();
    assert_eq!((&environment["PORT"], &environment["HOST"]), (&Value::Null, &Value::Null));
    let answer = swapped(&machine);
    assert!(answer.swapped, "{answer:?}");
    assert_eq!(sockets(), ["1.app.2.sock"]);
    get(&machine, "/");
    instance.signal(Signal::TERM);
    assert!(instance.wait().success());
    assert_eq!(sockets(), Vec::<String>::new());
}

#[test]
fn a_file_of_variables_is_read_anew_at_each_start() {
    let machine = Machine::of_app("env_file = \"variables\"\n");
    let write = |text: &str| fs::write(machine.file("variables"), text).unwrap();
    let key = || {
        let environment: Value = serde_json::from_str(&get(&machine, "/environment")).unwrap();
        environment["KEY"].as_str().unwrap().to_owned()
    };
    write("export KEY=first # of two\n");
    let _instance = machine.ready("1");
    assert_eq!(key(), "first");
    write("KEY=\"-----BEGIN\nsecond\n-----END\"\n");
    assert!(swapped(&machine).swapped);
    assert_eq!(key(), "-----BEGIN\nsecond\n-----END");
    fs::remove_file(machine.file("variables")).unwrap();
    let reason = swapped(&machine).reason.unwrap();
    assert!(reason.contains("variables"), "{reason}");
    assert_eq!(key(), "-----BEGIN\nsecond\n-----END", "the old one serves on");
}

#[test]
fn a_process_that_sheds_all_that_it_is_known_by_ends_with_its_app() {
    let machine = Machine::of_app(QUICK);
    let instance = machine.ready("1");
    let orphan = get(&machine, "/untraceable");
    assert!(!is_gone(&orphan));
    kill(&get(&machine, "/"));
    wait_until("its orphan outlives the app", || is_gone(&orphan));
    let orphan = get(&machine, "/untraceable");
    instance.signal(Signal::TERM);
    assert!(instance.wait().success());
    // It is not even to be taken note of by somebody else.
    wait_until("its orphan outlives the instance", || is_gone(&orphan));
}

#[test]
fn the_end_of_an_orphan_is_taken_note_of() {
    let machine = Machine::of_app(QUICK);
    let _instance = machine.ready("1");
    let front = get(&machine, "/parent");
    let orphans: Vec<String> = (0..3).map(|_| get(&machine, "/ended")).collect();
    for orphan in &orphans {
        wait_until("it stays as a zombie", || is_gone(orphan));
    }
    assert_eq!(get(&machine, "/parent"), front);
}

#[test]
fn a_command_or_a_folder_that_is_not_there_is_named() {
    let machine = Machine::of_app("");
    let config = machine.file("romuo.toml");
    let refused = |text: &str| {
        fs::write(&config, format!("name = \"romuo\"\n{text}")).unwrap();
        machine.refused("1", &[])
    };
    let said = refused("command = [\"/nowhere/app\"]\n");
    assert!(said.contains("/nowhere/app") && said.contains("cannot"), "{said}");
    let said = refused("command = [\"/usr/bin/env\"]\ndirectory = \"/no/such/folder\"\n");
    assert!(said.contains("/no/such/folder"), "{said}");
}

#[test]
fn an_app_that_never_gets_well_is_said_to_be_so_with_a_hint() {
    let machine = Machine::of_app("[limits]\nstart_timeout = \"200ms\"\n");
    hold(&machine);
    let said = machine.refused("1", &[]);
    assert!(said.contains("was not well within 200ms"), "{said}");
    assert!(said.contains("hint: "), "{said}");
    // None where the machine is too busy to get it so far in time.
    assert!(started(&machine).iter().all(|app| is_gone(app)));
}

/// Both ends of a terminal.
fn terminal() -> (OwnedFd, fs::File) {
    let holder = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).unwrap();
    grantpt(&holder).unwrap();
    unlockpt(&holder).unwrap();
    let path = ptsname(&holder, Vec::new()).unwrap().into_string().unwrap();
    let flags = OFlags::NOCTTY.bits().cast_signed();
    let options = fs::OpenOptions::new().read(true).write(true).custom_flags(flags).open(path);
    (holder, options.unwrap())
}

#[test]
fn by_hand_the_end_of_the_terminal_is_that_of_the_app() {
    let machine = Machine::of_app("");
    let address = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let config = machine.file("romuo.toml");
    let text = fs::read_to_string(&config).unwrap();
    fs::write(&config, format!("listen = \"{address}\"\n{text}")).unwrap();
    let (_holder, terminal) = terminal();
    for signal in [Signal::INT, Signal::HUP] {
        // Whoever runs the tests may ignore a hangup, and then this server would too.
        let mut front = Command::new("env")
            .args(["--default-signal=HUP", env!("CARGO_BIN_EXE_romuo-server"), "--config"])
            .arg(&config)
            .stdin(terminal.try_clone().unwrap())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        wait_until("nobody listens", || std::net::TcpStream::connect(address).is_ok());
        let app = ask(address, "/").rsplit("\r\n").next().unwrap().to_owned();
        kill_process(Pid::from_child(&front), signal).unwrap();
        let ended = front.wait().unwrap();
        let is_left = !is_gone(&app);
        if is_left {
            kill(&app);
        }
        assert!(ended.success() && !is_left, "{signal:?}: {ended}");
    }
}
