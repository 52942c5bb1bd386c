//! A stop of the app while a command of it is under way: whatever that was, it was no failure.
use crate::machine::Machine;

/// What a command says that is there to be stopped.
const SAID: &str = "here to be stopped";

/// Stops the app while `command` of instance 1 is under way, which `verb` brings about.
fn stopped_during(machine: &Machine, command: &str, verb: &str) {
    // As long as it takes: the stop comes in the middle of it.
    let waits = format!("/bin/sh -c 'echo {SAID}; exec sleep infinity'");
    machine.drop_in("romuo@1.service", &format!("[Service]\n{command}=\n{command}={waits}\n"));
    let begun = Machine::now();
    machine.systemctl(&[verb, "--no-block", "romuo@1.service"]).ok();
    machine.until_journal_after(begun, command, |entry| entry.message == SAID);
    // It waits for those that are named.
    machine.systemctl(&["stop", "romuo.target", "romuo@1.service", "romuo@2.service"]).ok();
    let unit = |property: &str| machine.property("romuo@1.service", property);
    assert_eq!(unit("ActiveState"), "inactive", "stopped during {command}: {}", machine.journal());
    assert_eq!(unit("Result"), "success");
    let guard = machine.run(&["cat", "/run/romuo/romuo/1.guard"]).ok();
    assert!(guard.contains("\"crashes\":0"), "stopped during {command}: {guard}");
    assert_eq!(machine.status()["state"], "stopped");
    machine.remove_drop_in("romuo@1.service");
    machine.systemctl(&["start", "romuo.target"]).ok();
    assert_eq!(machine.status()["state"], "online");
}

#[test]
fn an_instance_that_is_just_being_started_or_reloaded_does_not_fail() {
    let machine = Machine::serving("");
    stopped_during(&machine, "ExecCondition", "restart");
    stopped_during(&machine, "ExecReload", "reload");
}

#[test]
fn an_app_that_takes_the_sockets_does_not_fail_behind_its_gate() {
    let machine = Machine::boot();
    machine.sandbox.write("/srv/site/server.py", crate::inherit::PYTHON).unwrap();
    machine.configure(
        "command = [\"/usr/bin/python3\", \"server.py\"]\nmode = \"inherit\"\n\
         listen = [\"127.0.0.1:3000\"]\n",
    );
    machine.ctl(&["install-units", "--now"]).ok();
    stopped_during(&machine, "ExecCondition", "restart");
    stopped_during(&machine, "ExecStartPost", "restart");
}

/// Has the lock of a roll, and shows it as a roller does, until it is killed.
const ROLLER: &str = "import fcntl, os, signal, socket
os.umask(0o077)
lock = open('/run/romuo/romuo.roll.lock', 'w')
fcntl.flock(lock, fcntl.LOCK_EX)
sign = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
sign.bind('/run/romuo/romuo.roll.sock')
print('taken', flush=True)
signal.pause()
";

#[test]
fn a_roll_that_waits_is_ended_by_a_cancel_and_by_a_stop_before_anything_is_touched() {
    let machine = Machine::serving("");
    let before = [machine.pid(1), machine.pid(2)];
    let (mut holder, _) = machine.spawn_until_heard(&["python3", "-c", ROLLER]);
    let waiting = |verb: &[&str]| {
        let begun = Machine::now();
        let asked = machine.spawn(verb);
        machine.until_journal_after(begun, "the roll waits", |entry| {
            entry.message.starts_with("waiting: ")
        });
        asked
    };

    let asked = waiting(&["romuoctl", "--app", "romuo", "reload"]);
    machine.ctl(&["reload", "--cancel"]).ok();
    let ended = asked.wait_with_output().unwrap();
    assert_eq!(ended.status.code(), Some(1));
    let said = String::from_utf8_lossy(&ended.stderr).into_owned();
    let sentence = "the roll of romuo was canceled at 0 of 2; instances 1, 2 were not touched";
    assert!(said.contains(sentence), "{said}");
    assert_eq!([machine.pid(1), machine.pid(2)], before);

    let mut asked = waiting(&["systemctl", "reload", "romuo"]);
    machine.systemctl(&["stop", "romuo.target", "romuo.service"]).ok();
    assert!(!asked.wait().unwrap().success());
    let journal = machine.journal();
    assert_eq!(machine.property("romuo.service", "ActiveState"), "inactive", "{journal}");
    let sentence = "the roll of romuo ended before it began: the app is being stopped";
    assert!(journal.contains(sentence), "{journal}");
    holder.kill().unwrap();
    holder.wait().unwrap();
}
