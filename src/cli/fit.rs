//! Makes the machine fit what the instances are to run: installs its configuration and its units.

use super::context::Context;
use super::error::Failure;
use super::install::{cpus, host};
use super::scaling::installing;
use crate::config::{self, Listen, Settings};
use crate::install::{self, Install, Plan};
use crate::manager::Systemd;
use crate::render::{self, Host, Units};

/// What is to be installed of settings in installed form, for the machine as it is.
pub(super) struct Fitting {
    pub(super) units: Units,
    config: String,
    settings: Settings,
}

impl Fitting {
    /// Renders the units.
    pub(super) fn of(settings: Settings, host: &Host) -> Result<Self, Failure> {
        let units = render::render(&settings, host)?;
        Ok(Self { units, config: config::to_toml(&settings), settings })
    }

    /// These addresses stay open, although they are not in the settings.
    pub(super) fn keeping(mut self, listen: &[Listen], host: &Host) -> Result<Self, Failure> {
        if !listen.is_empty() {
            let mut both = self.settings.clone();
            both.listen.extend_from_slice(listen);
            let [socket, ..] = render::render(&both, host)?.files;
            self.units.files[0] = socket;
        }
        Ok(self)
    }

    /// What of it is not there yet. The links of the instances stay as they are: how many there are is
    /// changed by a scale.
    pub(super) fn plan(&self, context: &Context) -> Result<Plan, Failure> {
        let instances = self.settings.instances.count(cpus());
        let install = Install {
            units: &self.units,
            config: &self.config,
            source: &install::config_path(&self.settings.name),
            written: None,
            directory: &self.settings.directory,
            instances,
            earlier_instances: Some(instances),
            enable: false,
            force: false,
        };
        Ok(install::plan(context.root(), &install)?)
    }

    /// Installs it; whether there was anything to install.
    pub(super) async fn apply(
        &self,
        context: &Context,
        manager: &Systemd,
    ) -> Result<bool, Failure> {
        let lock = installing(context).await?;
        let plan = self.plan(context)?;
        if plan.is_empty() {
            return Ok(false);
        }
        install::apply(&lock, &plan)?;
        drop(lock);
        if plan.needs_reload() {
            manager.daemon_reload().await?;
        }
        Ok(true)
    }
}

/// Makes the machine fit settings in installed form, with addresses that are still open; whether anything
/// had to be changed.
pub(super) async fn fit(
    settings: Settings,
    open: &[Listen],
    context: &Context,
    manager: &Systemd,
) -> Result<bool, Failure> {
    let host = host(context.root(), Some(manager)).await?;
    Fitting::of(settings, &host)?.keeping(open, &host)?.apply(context, manager).await
}
