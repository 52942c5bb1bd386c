//! `romuoctl health`: asks each instance on its own control socket.

use std::fmt;
use std::io::ErrorKind;

use serde::Serialize;

use super::context::Context;
use super::error::{Exit, Failure};
use super::output::{BAD, BUSY, GOOD, Printer, styled};
use super::survey::Survey;
use super::target::SomeApps;
use crate::health::{AppReport, ProbeError, Report, Status};
use crate::manager::{Systemd, UnitStatus};
use crate::text::shown;
use crate::unit::{AppName, InstanceId};

#[derive(Debug, clap::Args)]
pub(super) struct Health {
    #[command(flatten)]
    target: SomeApps,
}

/// Of an instance in inherit mode there is no more to be said.
const UNASKED: &str = "systemd says that it is up; its program takes the sockets itself, so that it cannot be asked alone";

/// What `health -o json` prints.
#[derive(Debug, Serialize)]
struct AppHealth {
    app: String,
    status: Verdict,
    instances: Vec<InstanceHealth>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
enum Verdict {
    /// Every instance is well.
    Ok,
    /// Some are.
    Degraded,
    /// None is.
    Down,
}

/// An instance's own report, or why there is none.
#[derive(Debug, Serialize)]
#[serde(untagged)]
enum InstanceHealth {
    Answered(Box<Report>),
    Silent {
        instance: String,
        status: &'static str,
        reason: String,
    },
    /// Up, says systemd, and without a control socket to be asked on.
    Unasked {
        instance: String,
        status: &'static str,
        reason: &'static str,
    },
}

impl Health {
    pub(super) async fn run(self, context: &Context, printer: &Printer) -> Result<Exit, Failure> {
        context.running("health")?;
        let manager = Systemd::connect().await?;
        let mut all = Vec::new();
        for app in self.target.looked_at(context)? {
            all.push(AppHealth::ask(&app, context, &manager).await?);
        }
        printer.answer_each(&all, |health| format!("{}: {health}", health.app));
        let is_well = all.iter().all(|health| health.status == Verdict::Ok);
        Ok(if is_well { Exit::Done } else { Exit::Unhealthy })
    }
}

impl AppHealth {
    async fn ask(app: &AppName, context: &Context, manager: &Systemd) -> Result<Self, Failure> {
        let survey = Survey::take(app, context.root(), manager).await?;
        let answers = survey.health(context).await;
        let told = survey.instances.iter().zip(answers).map(|((id, unit), answer)| match answer {
            None => Ok(silent(*id, format!("{} {}", unit.name, unit.why_down()))),
            Some(answer) => InstanceHealth::of(app, *id, unit, answer),
        });
        let instances = told.collect::<Result<Vec<_>, _>>()?;
        Ok(Self { app: app.to_string(), status: Verdict::of(&instances), instances })
    }
}

fn silent(id: InstanceId, reason: String) -> InstanceHealth {
    InstanceHealth::Silent { instance: id.to_string(), status: "down", reason }
}

impl Verdict {
    fn of(instances: &[InstanceHealth]) -> Self {
        let well = instances.iter().filter(|instance| instance.is_well()).count();
        match well {
            0 => Self::Down,
            well if well == instances.len() => Self::Ok,
            _ => Self::Degraded,
        }
    }
}

impl InstanceHealth {
    /// What an instance answers, or what its silence means.
    fn of(
        app: &AppName,
        id: InstanceId,
        unit: &UnitStatus,
        answer: Result<Report, ProbeError>,
    ) -> Result<Self, Failure> {
        Ok(match answer {
            Ok(report) => Self::Answered(Box::new(report)),
            Err(ProbeError::Connect { source, .. })
                if source.kind() == ErrorKind::PermissionDenied =>
            {
                return Err(Failure::MayNotAsk { app: app.clone(), source });
            }
            Err(ProbeError::Connect { source, .. })
                if unit.is_up() && source.kind() == ErrorKind::NotFound =>
            {
                let (instance, status) = (id.to_string(), "unknown");
                Self::Unasked { instance, status, reason: UNASKED }
            }
            Err(error) => silent(id, format!("{} does not answer: {error}", unit.name)),
        })
    }

    fn is_well(&self) -> bool {
        match self {
            Self::Answered(report) => report.status == Status::Ok,
            Self::Silent { .. } => false,
            Self::Unasked { .. } => true,
        }
    }

    fn text(&self) -> String {
        match self {
            Self::Answered(report) => {
                let (style, word) = match report.status {
                    Status::Ok => (GOOD, "ok"),
                    Status::Draining => (BUSY, "draining"),
                    Status::Failing => (BAD, "failing"),
                };
                let app = match report.app {
                    Some(AppReport { pid: None, .. }) => ", its program is down".into(),
                    Some(AppReport { restarts: restarts @ 1.., .. }) => {
                        format!(", its program was restarted {restarts} times")
                    }
                    _ => String::new(),
                };
                format!(
                    "instance {}: {}, up {}, {} requests, {} of {} MB, version {}, {}{app}",
                    shown(report.instance.as_deref().unwrap_or("-")),
                    styled(style, word),
                    shown(&report.uptime),
                    report.requests,
                    report.memory.used,
                    report.memory.total,
                    shown(&report.version),
                    shown(&report.env),
                )
            }
            Self::Silent { instance, reason, .. } => {
                format!("instance {instance}: {}, {}", styled(BAD, "down"), shown(reason))
            }
            Self::Unasked { instance, status, reason } => {
                format!("instance {instance}: {status}, {}", shown(reason))
            }
        }
    }
}

impl fmt::Display for AppHealth {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (style, word) = match self.status {
            Verdict::Ok => (GOOD, "ok"),
            Verdict::Degraded => (BAD, "degraded"),
            Verdict::Down => (BAD, "down"),
        };
        f.write_str(&styled(style, word))?;
        self.instances.iter().try_for_each(|instance| write!(f, "\n{}", instance.text()))
    }
}
