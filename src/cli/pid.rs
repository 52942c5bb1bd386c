//! `romuoctl pid`: the processes of the app, for scripts.

use serde::Serialize;

use super::context::Context;
use super::error::{Exit, Failure};
use super::output::Printer;
use super::survey::Survey;
use super::target::SomeApps;
use crate::manager::Systemd;

/// Prints the process of each instance that is up, one a line: that of the program, or of who serves.
#[derive(Debug, clap::Args)]
pub(super) struct Pid {
    #[command(flatten)]
    target: SomeApps,
}

#[derive(Debug, Serialize)]
struct Process {
    app: String,
    instance: String,
    pid: u32,
}

impl Pid {
    pub(super) async fn run(self, context: &Context, printer: &Printer) -> Result<Exit, Failure> {
        context.running("pid")?;
        let manager = Systemd::connect().await?;
        let mut processes = Vec::new();
        for app in self.target.looked_at(context)? {
            let survey = Survey::take(&app, context.root(), &manager).await?;
            let health = survey.health(context).await;
            for ((id, unit), probed) in survey.instances.iter().zip(health) {
                let program = probed.and_then(|answer| answer.ok()?.app?.pid);
                if let Some(pid) = program.or(unit.main_pid) {
                    let (app, instance) = (app.to_string(), id.to_string());
                    processes.push(Process { app, instance, pid });
                }
            }
        }
        let lines: Vec<_> = processes.iter().map(|process| process.pid.to_string()).collect();
        if processes.is_empty() {
            return Ok(Exit::Unhealthy);
        }
        printer.answer(&processes, lines.join("\n"));
        Ok(Exit::Done)
    }
}
