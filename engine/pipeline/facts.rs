//! Loading what the stages ask for.

use std::collections::HashMap;
use std::sync::Arc;

use jiff::Timestamp;
use serde_json::{Map, Value};

use super::Pipeline;
use crate::channel::Traits;
use crate::diagnostic::Source;
use crate::expression::{ExpressionError, Scope};
use crate::model::{ChannelName, Person, Planned, Recipient, Run, UserId, Version, WorkflowName};
use crate::store::{Result, StoreError};
use crate::workflow::step::Send;
use crate::workflow::{self, Workflow};

/// Known users by id.
pub(super) type People = HashMap<UserId, Arc<Person>>;

/// What a step's `data` gives its template; `None` where it has none.
pub(super) fn data(
    step: &Send,
    planned: &Planned,
    now: Timestamp,
) -> std::result::Result<Option<Value>, ExpressionError> {
    if step.data.is_empty() {
        return Ok(None);
    }
    let scope = Scope::new(&planned.event, now).recipient(&planned.recipient).run(&planned.run);
    let mut data = Map::new();
    for (name, expression) in &step.data {
        data.insert(name.clone(), expression.evaluate_value(&scope)?);
    }
    Ok(Some(data.into()))
}

impl Pipeline {
    /// The workflow in the version that the run began with.
    pub(super) async fn workflow(&self, run: &Run) -> Result<Arc<Workflow>> {
        self.version(&run.workflow, &run.version).await
    }

    pub(super) async fn version(
        &self,
        name: &WorkflowName,
        version: &Version,
    ) -> Result<Arc<Workflow>> {
        let catalog = self.catalog();
        if let Some(current) = catalog.workflows.get(name.as_str())
            && current.version == *version
        {
            return Ok(current.clone());
        }
        if let Some(older) = self.older.get(version) {
            return Ok(older);
        }
        let unreadable = |why: String| StoreError::Unreadable {
            noun: "workflow version",
            id: version.to_string(),
            why,
        };
        let source = self.store.version(version).await?;
        let source = source.ok_or_else(|| unreadable("it is not in the store".into()))?;
        let path = format!("{name}.yaml");
        let (compiled, problems) = workflow::compile(&Source::new(path, source));
        let compiled = compiled.ok_or_else(|| {
            unreadable(problems.first().map_or_else(String::new, |problem| problem.message.clone()))
        })?;
        let compiled = Arc::new(compiled);
        self.older.insert(version.clone(), compiled.clone());
        Ok(compiled)
    }

    /// The run's recipient as of now.
    pub(super) async fn recipient(&self, run: &Run) -> Result<Recipient> {
        let person = match &run.recipient {
            Some(user) => self.store.people(std::slice::from_ref(user)).await?.pop(),
            None => None,
        };
        Ok(self.facing(person, run.contact.clone(), run.role.clone()))
    }

    pub(super) fn facing(
        &self,
        person: Option<Arc<Person>>,
        contact: Option<Value>,
        role: String,
    ) -> Recipient {
        let presence = person
            .as_ref()
            .map(|person| self.publish.presence(&person.user.id))
            .unwrap_or_default();
        Recipient { person, contact, role, presence }
    }

    pub(super) async fn people(&self, ids: &[UserId]) -> Result<People> {
        let people = self.store.people(ids).await?;
        Ok(people.into_iter().map(|person| (person.user.id.clone(), person)).collect())
    }

    pub(super) fn traits(&self, channel: &ChannelName) -> Option<&Traits> {
        if channel.is_in_app() { Some(&Traits::INBOX) } else { self.dispatch.traits(channel) }
    }
}
