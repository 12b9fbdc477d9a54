use std::sync::Arc;
use std::time::Duration;

use tokio_util::sync::CancellationToken;

use crate::pipeline::Pipeline;

/// Ends leases past their time, twice in each lease's length: what another node, or a panicked
/// job of this one, left behind.
pub(super) async fn sweep(pipeline: Arc<Pipeline>, lease: Duration, stop: CancellationToken) {
    loop {
        tokio::select! {
            () = pipeline.clock().sleep(lease / 2) => {}
            () = stop.cancelled() => return,
        }
        match pipeline.recover(false).await {
            Ok(recovered) if recovered.released + recovered.unknown > 0 => {
                tracing::warn!(recovered.released, recovered.unknown, "leases had ended");
            }
            Ok(_) => {}
            Err(error) => tracing::warn!(%error, "ended leases could not be looked for"),
        }
    }
}
