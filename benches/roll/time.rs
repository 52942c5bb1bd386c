//! How long a roll takes, against what systemd says of the starts and stops in it, and who uses CPU
//! time for it. That does not depend on what else the machine does.

use std::error::Error;

use romuo::sandbox::Sandbox;
use serde_json::Value;

/// Rolls; the median counts.
const ROLLS: usize = 9;

pub(crate) fn and_cost(
    (name, _, restarts): &crate::Way,
    sandbox: &Sandbox,
) -> Result<(), Box<dyn Error>> {
    let (mut took, mut least) = (Vec::new(), Vec::new());
    let before = used(sandbox)?;
    for _ in 0..ROLLS {
        let outcome: Value =
            serde_json::from_str(&crate::ctl(sandbox, &["reload", "-o", "json"])?)?;
        took.push(outcome["took_ms"].as_f64().ok_or("no time")?);
        if *restarts {
            // One after the other: the sum of what each of them took to stop and to start.
            let spans = ["romuo@1", "romuo@2"].map(|unit| span(sandbox, unit));
            least.push(spans.into_iter().sum::<Result<f64, _>>()?);
        }
    }
    let all = used(sandbox)?;
    let each = all.iter().zip(before).map(|(all, before)| (all - before) / ROLLS as f64);
    let each: Vec<String> = each.map(|each| format!("{each:.0} ms")).collect();
    let [manager, below, bus, journal] = &each[..] else { return Err("too few figures".into()) };
    println!("a roll of two instances, one after the other, without load: {name}");
    if *restarts {
        let over = took.iter().zip(&least).map(|(took, least)| took - 1.1 * least).collect();
        println!("  stops and starts      {:7.1} ms", crate::median(least));
        println!("  beyond 1.1 times that {:7.1} ms  (goal: at most 100)", crate::median(over));
    }
    println!("  the whole roll        {:7.1} ms", crate::median(took));
    println!("  CPU time: {manager} of PID 1, {below} of what it starts, {bus} of dbus,");
    println!("    {journal} of journald\n");
    Ok(())
}

/// CPU time so far, in milliseconds: of PID 1, of all that it started and that has ended, of the bus
/// and of the journal.
fn used(sandbox: &Sandbox) -> Result<[f64; 4], Box<dyn Error>> {
    let main =
        |unit| crate::execute(sandbox, &["systemctl", "show", "--value", "-p", "MainPID", unit]);
    let of = |pid: &str| -> Result<[f64; 2], Box<dyn Error>> {
        let text = crate::execute(sandbox, &["cat", &format!("/proc/{}/stat", pid.trim())])?;
        // proc(5): after the name, which may hold anything, `utime` is the 12th field; its own, then
        // that of its children, user and system, in ticks of 10 ms.
        let (_, fields) = text.rsplit_once(')').ok_or("no name")?;
        let ticks = fields.split_whitespace().skip(11).map(str::parse::<f64>);
        let ticks = ticks.take(4).collect::<Result<Vec<_>, _>>()?;
        let [user, system, user_below, system_below] = ticks[..] else {
            return Err("too few".into());
        };
        Ok([user + system, user_below + system_below].map(|ticks| ticks * 10.0))
    };
    let [own, below] = of("1")?;
    let [bus, _] = of(&main("dbus.service")?)?;
    let [journal, _] = of(&main("systemd-journald.service")?)?;
    Ok([own, below, bus, journal])
}

/// From the begin of the stop of a unit to the end of its start, in milliseconds.
fn span(sandbox: &Sandbox, unit: &str) -> Result<f64, Box<dyn Error>> {
    let property = |name: &str| -> Result<f64, Box<dyn Error>> {
        let value = crate::execute(sandbox, &["systemctl", "show", "--value", "-p", name, unit])?;
        Ok(value.trim().parse()?)
    };
    let (down, up) =
        (property("ActiveExitTimestampMonotonic")?, property("ActiveEnterTimestampMonotonic")?);
    Ok((up - down) / 1e3)
}
