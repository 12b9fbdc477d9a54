//! What is sensitive is sealed before it goes to the writer, and opened when it came from a row:
//! here, and nowhere between. A sealed noun keeps its shape: an object became a text, which no
//! event's data and no run's state is otherwise.

use std::collections::HashMap;
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};
use sha2::{Digest, Sha256};

use super::{Plan, Progress, Result, Settlement, StoreError};
use crate::clock::Clock;
use crate::model::{Entry, Event, EventId, Frame, FrameBody, Run, RunId};
use crate::seal::{SealError, Sealer};
use crate::telemetry::StoreFailed;

/// Seals on the way to the rows and opens on the way back.
#[derive(Clone)]
pub(super) struct Vault {
    sealer: Sealer,
}

/// What sealed entries said, for the frames that tell the user's connections.
#[derive(Default)]
pub(super) struct Clear(HashMap<RunId, Arc<FrameBody>>);

/// A sealed entry's texts.
#[derive(Serialize, Deserialize)]
struct Texts {
    title: String,
    message: String,
    metadata: Map<String, Value>,
}

impl Clear {
    /// The writer made these of sealed entries.
    pub fn restore(&self, frames: &mut [Frame]) {
        for frame in frames {
            if let FrameBody::NewNotification { id, .. } = &*frame.body
                && let Some(body) = self.0.get(id)
            {
                frame.body = body.clone();
            }
        }
    }

    pub fn restore_all(&self, written: &mut [Option<Vec<Frame>>]) {
        for frames in written.iter_mut().flatten() {
            self.restore(frames);
        }
    }
}

impl Vault {
    /// Without keys: what is sensitive can be neither written nor read.
    pub(super) fn without_keys(clock: Clock) -> Self {
        Self { sealer: Sealer::none(clock) }
    }

    pub(super) fn new(sealer: Sealer) -> Self {
        Self { sealer }
    }

    /// Whether what is sensitive can be written.
    pub(super) fn has_key(&self) -> bool {
        self.sealer.has_key()
    }

    pub(super) fn seal_event(&self, event: &mut Event) -> Result<()> {
        if event.sensitive {
            let text = event.data.to_string();
            event.data = self.seal("event", &event_place(event.id), &text)?.into();
        }
        Ok(())
    }

    pub(super) fn open_event(&self, mut event: Event) -> Result<Event> {
        if let Value::String(sealed) = &event.data {
            let text = self.unseal("event", event.id, &event_place(event.id), sealed)?;
            event.data = read("event", event.id, &text)?;
            event.sensitive = true;
        }
        Ok(event)
    }

    pub(super) fn seal_run(&self, run: &mut Run) -> Result<()> {
        if run.sensitive {
            let state = run.state.to_string();
            run.state = self.seal("run", &run_place("state", run.id), &state)?.into();
            if let Some(contact) = &run.contact {
                let text = contact.to_string();
                let sealed = self.seal("run", &run_place("contact", run.id), &text)?;
                run.contact = Some(json!({"who": who(run.event, &text), "sealed": sealed}));
            }
        }
        Ok(())
    }

    pub(super) fn open_run(&self, mut run: Run) -> Result<Run> {
        let Value::String(sealed) = &run.state else { return Ok(run) };
        let state = self.unseal("run", run.id, &run_place("state", run.id), sealed)?;
        run.state = read("run", run.id, &state)?;
        if let Some(contact) = &run.contact {
            let sealed = contact["sealed"].as_str().unwrap_or_default();
            let contact = self.unseal("run", run.id, &run_place("contact", run.id), sealed)?;
            run.contact = Some(read("run", run.id, &contact)?);
        }
        run.sensitive = true;
        Ok(run)
    }

    pub(super) fn open_entry(&self, mut entry: Entry) -> Result<Entry> {
        if entry.sensitive {
            let text =
                self.unseal("inbox entry", entry.id, &entry_place(entry.id), &entry.message)?;
            let Texts { title, message, metadata } = read("inbox entry", entry.id, &text)?;
            entry = Entry { title, message, metadata, ..entry };
        }
        Ok(entry)
    }

    pub(super) fn seal_plan(&self, plan: &mut Plan, clear: &mut Clear) -> Result<()> {
        for run in &mut plan.runs {
            self.seal_run(run)?;
        }
        for (entry, _) in &mut plan.delivered {
            self.seal_entry(entry, clear)?;
        }
        for emitted in &mut plan.events {
            self.seal_event(&mut emitted.event)?;
        }
        Ok(())
    }

    pub(super) fn seal_progress<Id>(&self, progress: &mut [Progress<Id>]) -> Result<Clear> {
        let mut clear = Clear::default();
        for Progress { plan, run, .. } in progress {
            self.seal_plan(plan, &mut clear)?;
            if let Some(run) = run {
                self.seal_run(run)?;
            }
        }
        Ok(clear)
    }

    pub(super) fn seal_settlements(&self, settlements: &mut [Settlement]) -> Result<Clear> {
        let mut clear = Clear::default();
        for entry in settlements.iter_mut().filter_map(|each| each.entry.as_mut()) {
            self.seal_entry(entry, &mut clear)?;
        }
        Ok(clear)
    }

    fn seal_entry(&self, entry: &mut Entry, clear: &mut Clear) -> Result<()> {
        if !entry.sensitive {
            return Ok(());
        }
        clear.0.insert(entry.id, Arc::new(FrameBody::from(&*entry)));
        let texts = Texts {
            title: std::mem::take(&mut entry.title),
            message: std::mem::take(&mut entry.message),
            metadata: std::mem::take(&mut entry.metadata),
        };
        let text = serde_json::to_string(&texts).map_err(super::unavailable)?;
        entry.message = self.seal("inbox entry", &entry_place(entry.id), &text)?;
        Ok(())
    }

    pub(super) fn seal(&self, noun: &'static str, place: &str, clear: &str) -> Result<String> {
        let sealed = self.sealer.seal(place, clear.as_bytes());
        sealed.map_err(|error| match error {
            SealError::NoKey => StoreError::NoKey { noun },
            source => StoreError::Locked { noun, id: place.to_owned(), source },
        })
    }

    pub(super) fn unseal(
        &self,
        noun: &'static str,
        id: impl ToString,
        place: &str,
        sealed: &str,
    ) -> Result<String> {
        let locked = |source| StoreError::Locked { noun, id: id.to_string(), source };
        let bytes = self.sealer.open(place, sealed).map_err(locked)?;
        String::from_utf8(bytes).map_err(|_| locked(SealError::Damaged))
    }
}

/// `None`, and a log line, for what is locked: it waits for its key while all else goes on.
pub(super) fn unless_locked<T>(opened: Result<T>) -> Result<Option<T>> {
    match opened {
        Ok(opened) => Ok(Some(opened)),
        Err(error @ StoreError::Locked { .. }) => {
            StoreFailed { stage: "store", error: &error }.emit();
            Ok(None)
        }
        Err(error) => Err(error),
    }
}

fn read<T: serde::de::DeserializeOwned>(
    noun: &'static str,
    id: impl ToString,
    text: &str,
) -> Result<T> {
    // Not serde's own words: they may quote what was sealed.
    let unreadable = |_| StoreError::Unreadable {
        noun,
        id: id.to_string(),
        why: "what was sealed does not have its shape".to_owned(),
    };
    serde_json::from_str(text).map_err(unreadable)
}

/// Keeps a contact's run unique within its event without saying who it is.
fn who(event: EventId, contact: &str) -> String {
    let digest = Sha256::new().chain_update(event.0.as_bytes()).chain_update(contact).finalize();
    digest.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn event_place(id: EventId) -> String {
    format!("event.data:{id}")
}

fn run_place(column: &str, id: RunId) -> String {
    format!("run.{column}:{id}")
}

fn entry_place(id: RunId) -> String {
    format!("inbox:{id}")
}
