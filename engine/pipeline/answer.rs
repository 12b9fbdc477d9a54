//! What a run's steps have to know before they can go on.

use super::{Pipeline, Told};
use crate::model::Run;
use crate::plan::{Answer, Asked};
use crate::store::StoreError;

impl Pipeline {
    /// # Errors
    /// The store: the run stays claimed until its lease ends, and asks again.
    #[expect(clippy::unused_async, reason = "every answer is a look at the store or a server")]
    pub(super) async fn answered(
        &self,
        _told: Told<'_>,
        _run: &Run,
        asked: Asked,
    ) -> Result<Answer, StoreError> {
        match asked.question {}
    }
}
