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
