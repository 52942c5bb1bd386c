//! How long a roll takes, against what systemd says of the starts and stops in it.

use std::error::Error;

use romuo::sandbox::Sandbox;
use serde_json::Value;

/// Rolls; the median counts.
const ROLLS: usize = 9;

pub(crate) fn against_the_least(sandbox: &Sandbox) -> Result<(), Box<dyn Error>> {
    let (mut took, mut least) = (Vec::new(), Vec::new());
    for _ in 0..ROLLS {
        let outcome: Value =
            serde_json::from_str(&crate::ctl(sandbox, &["reload", "-o", "json"])?)?;
        took.push(outcome["took_ms"].as_f64().ok_or("no time")?);
        // One after the other: the sum of what each of them took to stop and to start.
        let spans = ["romuo@1", "romuo@2"].map(|unit| span(sandbox, unit));
        least.push(spans.into_iter().sum::<Result<f64, _>>()?);
    }
    let over = took.iter().zip(&least).map(|(took, least)| took - 1.1 * least).collect();
    println!("a roll of two instances by restart, one after the other, idle");
    println!("  stops and starts      {:7.1} ms", crate::median(least));
    println!("  the whole roll        {:7.1} ms", crate::median(took));
    println!("  beyond 1.1 times that {:7.1} ms  (goal: at most 100)\n", crate::median(over));
    Ok(())
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
