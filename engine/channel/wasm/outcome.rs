use std::time::Duration;

use super::bindings::exports::nuncio::channel::sender::{Receipt, SendError};
use super::bindings::nuncio::channel::types::Failure as Reported;
use super::secret::Vault;
use crate::channel::{Failure, Outcome};

/// What is kept of a plugin's words.
pub(super) const CODE_BYTES: usize = 64;
pub(super) const TEXT_BYTES: usize = 512;

pub(super) fn accepted(receipt: Receipt, vault: &Vault) -> Outcome {
    Outcome::Accepted {
        receipt: receipt.provider_id.map(|id| clean(id, TEXT_BYTES, vault)),
        detail: receipt.detail.map(|detail| clean(detail, TEXT_BYTES, vault)),
    }
}

pub(super) fn failed(error: SendError, vault: &Vault) -> Outcome {
    match error {
        SendError::Retryable(reported) => {
            Outcome::Retry { after: after(&reported), failure: failure(reported, vault) }
        }
        SendError::RateLimited(reported) => {
            Outcome::RateLimited { after: after(&reported), failure: failure(reported, vault) }
        }
        SendError::UnknownOutcome(reported) => {
            Outcome::Unknown { failure: failure(reported, vault) }
        }
        SendError::InvalidRecipient(reported) => {
            Outcome::InvalidRecipient { failure: failure(reported, vault) }
        }
        SendError::Rejected(reported) => Outcome::Rejected { failure: failure(reported, vault) },
        SendError::Misconfigured(reported) => {
            Outcome::Misconfigured { failure: failure(reported, vault) }
        }
    }
}

fn failure(reported: Reported, vault: &Vault) -> Failure {
    Failure {
        code: clean(reported.code, CODE_BYTES, vault),
        message: clean(reported.message, TEXT_BYTES, vault),
        provider_status: reported.provider_status,
    }
}

fn after(reported: &Reported) -> Option<Duration> {
    reported.retry_after_ms.map(Duration::from_millis)
}

/// Without secrets and control characters, and of a length that a journal can take.
pub(super) fn clean(text: String, limit: usize, vault: &Vault) -> String {
    let mut text = vault.scrub(text);
    text.truncate(text.floor_char_boundary(limit));
    if text.contains(char::is_control) {
        text = text.replace(char::is_control, " ");
    }
    text
}
