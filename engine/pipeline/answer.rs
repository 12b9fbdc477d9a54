//! What a run's steps have to know before they can go on.

use super::{Pipeline, Told};
use crate::model::{Occasion, Run};
use crate::plan::{Answer, Asked, Question};
use crate::store::StoreError;

impl Pipeline {
    /// # Errors
    /// The store: the run stays claimed until its lease ends, and asks again.
    pub(super) async fn answered(
        &self,
        _told: Told<'_>,
        run: &Run,
        asked: Asked,
    ) -> Result<Answer, StoreError> {
        match asked.question {
            Question::Collected { next } => {
                let occasion = Occasion { run: run.id, step: asked.step, item: asked.item };
                let collected = self.store.collect(&occasion, self.clock.now(), next).await?;
                Ok(Answer::Collected(collected))
            }
            Question::Throttle(pass) => Ok(Answer::Throttle(self.store.pass(pass).await?)),
        }
    }
}
