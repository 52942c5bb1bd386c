//! Makes the machine fit what the instances are brought to, and what they go back to.

use super::super::context::Context;
use super::super::error::Failure;
use super::super::fit::fit;
use super::super::ports;
use super::announce;
use super::closing::listed;
use super::ship::Shipping;
use crate::config::{self, Settings};
use crate::manager::Systemd;
use crate::release::Pin;

impl Shipping {
    /// Opens what is new of its addresses, and installs its units and its configuration. What it does not
    /// listen on any more is open until the roll is over.
    pub(super) async fn make_ready(
        &self,
        context: &Context,
        manager: &Systemd,
    ) -> Result<bool, Failure> {
        let settings = self.settings_of(&self.request.to)?;
        let ports = ports::of_running(&self.app, context, manager).await?;
        let change = ports.map(|ports| ports.change(&settings.listen)).unwrap_or_default();
        if !change.opens.is_empty() {
            announce(&format!("opening {}", listed(&change.opens)));
            ports::open(&change.opens, &settings, context, manager).await?;
        }
        let ready = fit(settings, &change.closes, context, manager).await;
        if ready.is_err() {
            self.fit_back(context, manager).await?;
        }
        // Only a restart hands over an address.
        ready.map(|is_fitted| is_fitted || !change.opens.is_empty())
    }

    /// Makes the machine fit what served before. What had come of addresses goes; those that it had were open
    /// all the time.
    pub(super) async fn fit_back(
        &self,
        context: &Context,
        manager: &Systemd,
    ) -> Result<(), Failure> {
        let settings = self.settings_of(&self.request.back)?;
        if ports::of_running(&self.app, context, manager).await?.is_some() {
            ports::let_go(&settings.listen, &settings, context, manager).await?;
        }
        fit(settings, &[], context, manager).await.map(|_| ())
    }

    /// The settings that belong to what instances run.
    fn settings_of(&self, pin: &Pin) -> Result<Settings, Failure> {
        Ok(config::load(&self.store.config_path(pin))?)
    }
}
