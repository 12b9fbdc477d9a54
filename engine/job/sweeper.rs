use std::sync::Arc;

use tokio_util::sync::CancellationToken;

use super::lease::Terms;
use crate::pipeline::Pipeline;

/// Ends leases past their time: what another node, or a panicked job of this one, left behind.
pub(super) async fn sweep(pipeline: Arc<Pipeline>, terms: Terms, stop: CancellationToken) {
    loop {
        tokio::select! {
            () = pipeline.clock().sleep(terms.sweep) => {}
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
