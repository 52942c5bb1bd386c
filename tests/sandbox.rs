//! The sandbox itself.

use romuo::sandbox::Sandbox;

#[test]
fn a_sandbox_boots_a_systemd_that_runs() {
    let sandbox = Sandbox::builder(env!("CARGO_BIN_EXE_romuoctl"));
    let sandbox = sandbox.boot().unwrap_or_else(|error| panic!("{error}"));
    let state = sandbox.run(["systemctl", "is-system-running"]).unwrap();
    assert_eq!(state.stdout, "running\n");
    sandbox.shutdown().unwrap();
}
