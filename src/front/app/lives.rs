//! The lives under way: begun, and told to end.

use std::collections::BTreeMap;
use std::sync::Arc;

use tokio::sync::{mpsc, watch};
use tokio::time::Instant;

use super::life::{self, News, Order};
use super::machine::Number;
use super::processes::Family;
use super::{Launch, Told};
use crate::config::Settings;
use crate::front::route::Generation;

/// All lives that have not ended.
#[derive(Debug)]
pub(super) struct Lives {
    launch: Arc<Launch>,
    told: mpsc::UnboundedSender<Told>,
    all: BTreeMap<Number, Life>,
}

/// A life under way.
#[derive(Debug)]
struct Life {
    generation: Arc<Generation>,
    /// None: its process is not there yet.
    family: Option<Family>,
    orders: watch::Sender<Order>,
}

impl Lives {
    /// None yet. `told`: who hears what happens in them.
    pub(super) fn new(launch: Arc<Launch>, told: mpsc::UnboundedSender<Told>) -> Self {
        Self { launch, told, all: BTreeMap::new() }
    }

    /// `settings`: what this one runs.
    pub(super) fn begin(&mut self, number: Number, settings: Arc<Settings>) {
        let address = match life::address(&self.launch, &settings, number) {
            Ok(address) => address,
            Err(error) => {
                let reason = format!("has no port to listen on: {error}");
                let _ = self.told.send((number, News::Ended(reason)));
                return;
            }
        };
        let generation = Generation::new(number, address);
        let (orders, obeys) = watch::channel(Order::Run);
        let told = self.told.clone();
        let launch = Arc::clone(&self.launch);
        tokio::spawn(life::live(launch, settings, Arc::clone(&generation), obeys, told));
        self.all.insert(number, Life { generation, family: None, orders });
    }

    /// The processes of this one are there.
    pub(super) fn started(&mut self, number: Number, family: Family) {
        if let Some(life) = self.all.get_mut(&number) {
            life.family = Some(family);
        }
    }

    /// This one is gone.
    pub(super) fn ended(&mut self, number: Number) {
        self.all.remove(&number);
    }

    /// Tells this one to end, until then at the latest.
    pub(super) fn retire(&self, number: Number, until: Instant) {
        if let Some(life) = self.all.get(&number) {
            life.orders.send_replace(Order::Retire(until));
        }
    }

    /// Gives those that were told to end no longer than until then.
    pub(super) fn hurry(&self, until: Instant) {
        for life in self.all.values() {
            life.orders.send_if_modified(|order| match order {
                Order::Retire(at) if *at > until => {
                    *at = until;
                    true
                }
                _ => false,
            });
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.all.is_empty()
    }

    pub(super) fn has(&self, number: Number) -> bool {
        self.all.contains_key(&number)
    }

    /// Where the requests of this one go.
    pub(super) fn generation(&self, number: Number) -> Option<&Arc<Generation>> {
        self.all.get(&number).map(|life| &life.generation)
    }

    /// The processes of this one; none: they are not there yet.
    pub(super) fn family(&self, number: Number) -> Option<&Family> {
        self.all.get(&number)?.family.as_ref()
    }
}
