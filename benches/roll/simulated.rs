//! The machine and its driver against a manager that does everything at once.

use std::cell::RefCell;
use std::collections::BTreeSet;
use std::error::Error;
use std::future::pending;
use std::time::Duration;

use romuo::health::{ProbeError, Report, SwapState};
use romuo::manager::{ManagerError, ServiceManager, UnitStatus, Verb};
use romuo::roll::{Candidate, Driver, Gate, HealthProbe, Patience, Plan, Roll, Rules, Same};
use romuo::unit::{ActiveState, AppName, InstanceId, JobResult, UnitName};
use rustix::time::{ClockId, clock_gettime};

/// Instances of the roll.
const COUNT: u16 = 200;

/// Rolls; the median counts.
const ROLLS: usize = 21;

/// No step takes any time here.
const AMPLE: Duration = Duration::from_secs(60);

struct Instant {
    app: AppName,
    restarted: RefCell<BTreeSet<String>>,
}

impl Instant {
    fn unit(&self, name: &UnitName) -> UnitStatus {
        let run = if self.restarted.borrow().contains(name.as_str()) { "new" } else { "old" };
        UnitStatus {
            loaded: true,
            active: ActiveState::Active,
            run: Some(run.into()),
            ..UnitStatus::unknown(name.clone())
        }
    }
}

impl ServiceManager for Instant {
    async fn list(&self, patterns: &[&str]) -> Result<Vec<UnitStatus>, ManagerError> {
        self.names(patterns).await
    }

    async fn names(&self, _: &[&str]) -> Result<Vec<UnitStatus>, ManagerError> {
        Ok(ids().map(|id| self.unit(&self.app.instance(id))).collect())
    }

    async fn status(&self, unit: &UnitName) -> Result<UnitStatus, ManagerError> {
        Ok(self.unit(unit))
    }

    async fn run(&self, _: Verb, unit: &UnitName) -> Result<JobResult, ManagerError> {
        self.restarted.borrow_mut().insert(unit.to_string());
        Ok(JobResult::Done)
    }

    async fn back(&self) -> Result<(), ManagerError> {
        Ok(())
    }
}

impl HealthProbe for Instant {
    async fn probe(&self, instance: InstanceId) -> Result<Report, ProbeError> {
        Ok(Report { instance: Some(instance.to_string()), ..Report::default() })
    }

    async fn may_swap(&self, _: InstanceId) -> Result<SwapState, ProbeError> {
        Ok(SwapState::default())
    }
}

pub(crate) fn plan_and_drive() -> Result<(), Box<dyn Error>> {
    let mut times = Vec::new();
    for _ in 0..ROLLS {
        times.push(one()? / f64::from(COUNT));
    }
    let each = crate::median(times) * 1e6;
    println!("a roll of {COUNT} simulated instances, planned and driven");
    println!("  CPU time of each {each:7.1} us  (goal: below 1000)\n");
    Ok(())
}

/// CPU time of a whole roll, in seconds.
fn one() -> Result<f64, Box<dyn Error>> {
    let app = AppName::default();
    let manager = Instant { app: app.clone(), restarted: RefCell::default() };
    // Pauses between probes cost no CPU, and nobody wants to wait for them.
    let runtime =
        tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build()?;
    let begun = cpu();
    let patience = Patience { job: AMPLE, health: AMPLE, manager: AMPLE, watch: Duration::ZERO };
    let releases = &Same;
    let driver = Driver { app: &app, manager: &manager, health: &manager, releases, patience };
    let verdict = runtime.block_on(async {
        let units = manager.names(&[]).await?;
        let candidate = |(id, unit)| Candidate { id, unit, front: None };
        let plan = Plan::new(ids().zip(units).map(candidate).collect());
        let gate = Gate { good: Some(2), failures: 3, release: None };
        let rules = Rules { parallel: 50, extra: Vec::new(), goes_on: false, watches: false, gate };
        let rolling = driver.drive(Roll::new(plan, rules), pending(), |_, _| {});
        rolling.await.map_err(|error| Box::<dyn Error>::from(error.to_string()))
    })?;
    if verdict.rolled.len() != usize::from(COUNT) {
        return Err(format!("only {} were rolled", verdict.rolled.len()).into());
    }
    Ok(cpu() - begun)
}

fn ids() -> impl Iterator<Item = InstanceId> {
    (1..=COUNT).filter_map(|number| number.to_string().parse().ok())
}

/// CPU time of this thread, in seconds.
fn cpu() -> f64 {
    let time = clock_gettime(ClockId::ThreadCPUTime);
    Duration::try_from(time).unwrap_or_default().as_secs_f64()
}
