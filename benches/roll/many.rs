//! Many units of instances: what it takes to list them.

use std::error::Error;
use std::io::{BufRead as _, BufReader};
use std::process::{Child, Stdio};
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::thread;
use std::time::Instant;

use romuo::sandbox::Sandbox;

/// Instances of the large app.
const MANY: usize = 200;

/// Instances that take neither time nor memory.
const IDLE: &str = "[Unit]\nBefore=romuo.target\n[Service]\nExecStart=sleep infinity\n";

pub(crate) fn listed() -> Result<(), Box<dyn Error>> {
    println!("units of instances, listed by `romuoctl status`");
    for count in [2, MANY] {
        let sandbox = crate::booted(&format!("instances = {count}\n{}", crate::SITE))?;
        crate::ctl(&sandbox, &["install-units"])?;
        // It is the listing that is measured: nobody has to serve.
        sandbox.write("/etc/systemd/system/romuo@.service", IDLE)?;
        crate::execute(&sandbox, &["systemctl", "daemon-reload"])?;
        crate::execute(&sandbox, &["systemctl", "start", "romuo.target"])?;
        let (lists, all) = calls(&sandbox)?;
        let begun = Instant::now();
        let status = sandbox.run(["romuoctl", "-c", "/srv/site/romuo.toml", "status"])?;
        let took = begun.elapsed().as_secs_f64() * 1e3;
        let listed = status.stdout.lines().filter(|line| line.contains("online")).count() - 1;
        println!("  {listed:3}: {lists} call for the list, {all} in all, {took:.0} ms");
        sandbox.shutdown()?;
    }
    Ok(())
}

/// How many calls of systemd a `romuoctl status` makes: for the list, and in all.
fn calls(sandbox: &Sandbox) -> Result<(usize, usize), Box<dyn Error>> {
    let mut command = sandbox.command("busctl");
    command.args(["monitor", "--match=type='method_call',destination='org.freedesktop.systemd1'"]);
    let mut monitor = command.stdout(Stdio::piped()).stderr(Stdio::null()).spawn()?;
    let counted = count(&mut monitor, sandbox);
    monitor.kill()?;
    monitor.wait()?;
    counted
}

fn count(monitor: &mut Child, sandbox: &Sandbox) -> Result<(usize, usize), Box<dyn Error>> {
    let lines = BufReader::new(monitor.stdout.take().ok_or("no output")?).lines();
    let mut lines = lines.map_while(Result::ok);
    // It listens once it has heard of a unit that nobody else asks for.
    let heard = &AtomicBool::new(false);
    thread::scope(|scope| -> Result<(), Box<dyn Error>> {
        let asking = scope.spawn(move || -> Result<(), String> {
            while !heard.load(Relaxed) {
                ask_for(sandbox, "begin.service").map_err(|error| error.to_string())?;
            }
            Ok(())
        });
        let listens = lines.any(|line| line.contains("begin.service"));
        heard.store(true, Relaxed);
        asking.join().map_err(|_| "the thread that asks failed")??;
        if listens { Ok(()) } else { Err("nothing was heard".into()) }
    })?;
    ask_for(sandbox, "status.service")?;
    crate::ctl(sandbox, &["status"])?;
    ask_for(sandbox, "end.service")?;
    let between: Vec<String> = lines
        .skip_while(|line| !line.contains("status.service"))
        .take_while(|line| !line.contains("end.service"))
        .filter(|line| line.contains("Member="))
        .collect();
    let lists = between.iter().filter(|line| line.contains("ListUnitsByPatterns")).count();
    // The head of the last question is there, its body was not taken.
    Ok((lists, between.len().saturating_sub(1)))
}

fn ask_for(sandbox: &Sandbox, unit: &str) -> Result<(), Box<dyn Error>> {
    let manager = [
        "org.freedesktop.systemd1",
        "/org/freedesktop/systemd1",
        "org.freedesktop.systemd1.Manager",
    ];
    let command = [&["busctl", "call"], &manager[..], &["LoadUnit", "s", unit]].concat();
    crate::execute(sandbox, &command).map(drop)
}
