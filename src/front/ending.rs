//! When what would go on for ever is to end: event streams and tunnels.

use std::pin::Pin;
use std::time::Duration;

use tokio::time::sleep;
use tokio_util::sync::CancellationToken;

use super::route::Lease;

/// Says when the instance is about to end.
#[derive(Debug, Clone)]
pub(crate) struct Closing {
    pub(crate) begun: CancellationToken,
    /// How long after its begin what is idle is kept.
    pub(crate) linger: Duration,
}

/// Ready when it is time to end.
pub(crate) type Ending = Pin<Box<dyn Future<Output = ()> + Send>>;

impl Closing {
    /// Ready when the linger of a drain is over, or the generation that is leased is to end.
    pub(crate) fn ending(&self, lease: Option<&Lease>) -> Ending {
        let (closing, generation) = (self.clone(), lease.map(|lease| lease.generation().clone()));
        Box::pin(async move {
            let lingered = async {
                closing.begun.cancelled().await;
                sleep(closing.linger).await;
            };
            match generation {
                Some(generation) => tokio::select! {
                    () = lingered => {}
                    () = generation.retired() => {}
                },
                None => lingered.await,
            }
        })
    }
}
