//! Throughput of the same Node app with two instances: behind the front, and in PM2's cluster mode.

use std::error::Error;

use romuo::sandbox::Sandbox;

use crate::{PORTS, median, run};

/// Slices of load for each; the median of their ratios counts.
const SLICES: usize = 7;

pub(crate) fn compare(sandbox: &Sandbox) -> Result<(), Box<dyn Error>> {
    println!("\nthe same Node app, two instances, 32 connections");
    for (how, header, goal) in
        [("keep-alive", "X-A: b", 1.0), ("a connection each", "Connection: close", 2.0)]
    {
        let mut rates = [const { Vec::new() }; 2];
        for slice in 0..=SLICES {
            for (port, rates) in PORTS.iter().zip(&mut rates) {
                let url = format!("http://127.0.0.1:{port}/");
                let said = run(sandbox, &["wrk", "-t1", "-c32", "-d2s", "-H", header, &url])?;
                let rate = said.lines().find_map(|line| line.trim().strip_prefix("Requests/sec:"));
                // The first slice of each warms up.
                if slice > 0 {
                    rates.push(rate.ok_or("wrk told no rate")?.trim().parse()?);
                }
            }
        }
        let ratios = rates[0].iter().zip(&rates[1]).map(|(ours, theirs)| ours / theirs).collect();
        let [ours, theirs] = rates.map(median);
        let ratio = median(ratios);
        println!(
            "{how:18} romuo {ours:7.0}/s, pm2 {theirs:7.0}/s: {ratio:.2}  (goal: at least {goal})"
        );
    }
    Ok(())
}
