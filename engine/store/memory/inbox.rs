use std::cmp::Reverse;
use std::collections::BTreeSet;

use async_trait::async_trait;
use jiff::Timestamp;

use super::{MemoryStore, State};
use crate::model::{Attempt, Category, Entry, Frame, Message, RunId, UserId};
use crate::store::{Inbox, InboxOrder, InboxPage, InboxQuery, Replay, Result};

#[async_trait]
impl Inbox for MemoryStore {
    async fn entries(&self, query: &InboxQuery) -> Result<InboxPage> {
        let state = self.state();
        let search = query.search.as_ref().map(|text| text.to_lowercase());
        let found = state.entries.values();
        let mut found: Vec<_> =
            found.filter(|entry| matches(query, search.as_deref(), entry)).collect();
        sort(&mut found, query.order);
        let skipped = usize::try_from(query.offset).unwrap_or(usize::MAX);
        let limit = usize::try_from(query.limit).unwrap_or(usize::MAX);
        Ok(InboxPage {
            count: found.len() as u64,
            entries: found.into_iter().skip(skipped).take(limit).cloned().collect(),
        })
    }

    async fn entry(&self, id: RunId) -> Result<Option<Entry>> {
        Ok(self.state().entries.get(&id).cloned())
    }

    async fn deliveries(&self, id: RunId) -> Result<Vec<(Message, Vec<Attempt>)>> {
        let state = self.state();
        let ids = state.runs.get(&id).map(|row| row.messages.as_slice()).unwrap_or_default();
        let rows = ids.iter().filter_map(|id| state.messages.get(id));
        Ok(rows.map(|row| (row.message.clone(), row.attempts.clone())).collect())
    }

    async fn unread(&self, user: &UserId) -> Result<u64> {
        let state = self.state();
        let unread =
            state.entries.values().filter(|entry| entry.user == *user && entry.read_at.is_none());
        Ok(unread.count() as u64)
    }

    async fn mark(
        &self,
        user: &UserId,
        id: RunId,
        read_at: Option<Timestamp>,
    ) -> Result<Option<(Entry, Vec<Frame>)>> {
        Ok(self.state().mark(user, id, read_at, self.clock.now()))
    }

    async fn mark_all(
        &self,
        user: &UserId,
        category: Option<&Category>,
        now: Timestamp,
    ) -> Result<(u64, Vec<Frame>)> {
        let mut state = self.state();
        let mut read = Vec::new();
        for entry in state.entries.values_mut() {
            let asked = category.is_none_or(|category| entry.category == *category);
            if asked && entry.user == *user && entry.read_at.is_none() {
                entry.read_at = Some(now);
                read.push(entry.id);
            }
        }
        let changed = read.len() as u64;
        read.into_iter().for_each(|id| state.wake_by_state(id));
        Ok((changed, state.push_bulk(user, "mark_all_read", changed, category, now)))
    }

    async fn mark_many(
        &self,
        user: &UserId,
        ids: &[RunId],
        now: Timestamp,
    ) -> Result<(u64, Vec<RunId>, Vec<Frame>)> {
        let mut state = self.state();
        let (mine, others) = state.split(user, ids);
        let mut changed = 0;
        for id in mine {
            if let Some(entry) = state.entries.get_mut(&id)
                && entry.read_at.is_none()
            {
                entry.read_at = Some(now);
                changed += 1;
                state.wake_by_state(id);
            }
        }
        let frames = state.push_bulk(user, "mark_multiple_read", changed, None, now);
        Ok((changed, others, frames))
    }

    async fn delete_many(
        &self,
        user: &UserId,
        ids: &[RunId],
        now: Timestamp,
    ) -> Result<(u64, Vec<RunId>, Vec<Frame>)> {
        let mut state = self.state();
        let (mine, others) = state.split(user, ids);
        for id in &mine {
            state.entries.remove(id);
        }
        let deleted = mine.len() as u64;
        let frames = state.push_bulk(user, "bulk_delete", deleted, None, now);
        Ok((deleted, others, frames))
    }

    async fn head(&self, user: &UserId) -> Result<u64> {
        Ok(self.state().streams.get(user).map_or(0, |stream| stream.head))
    }

    async fn replay(&self, user: &UserId, seq: u64, limit: usize) -> Result<Replay> {
        Ok(self.state().replay_stream(user, seq, limit))
    }
}

impl State {
    fn mark(
        &mut self,
        user: &UserId,
        id: RunId,
        read_at: Option<Timestamp>,
        now: Timestamp,
    ) -> Option<(Entry, Vec<Frame>)> {
        let entry = self.entries.get_mut(&id).filter(|entry| entry.user == *user)?;
        if entry.read_at.is_some() == read_at.is_some() {
            return Some((entry.clone(), Vec::new()));
        }
        entry.read_at = read_at;
        let entry = entry.clone();
        let frame = self.push_read(&entry, now);
        self.wake_by_state(id);
        Some((entry, vec![frame]))
    }

    /// Those of `ids` that are the user's entries, and the rest, each once and in their order.
    fn split(&self, user: &UserId, ids: &[RunId]) -> (Vec<RunId>, Vec<RunId>) {
        let mut seen = BTreeSet::new();
        let once = ids.iter().copied().filter(|id| seen.insert(*id));
        once.partition(|id| self.entries.get(id).is_some_and(|entry| entry.user == *user))
    }
}

fn matches(query: &InboxQuery, search: Option<&str>, entry: &Entry) -> bool {
    query.user.as_ref().is_none_or(|user| entry.user == *user)
        && query.is_read.is_none_or(|is_read| entry.read_at.is_some() == is_read)
        && query.category.as_ref().is_none_or(|category| entry.category == *category)
        && query.priority.is_none_or(|priority| entry.priority == priority)
        && query.from.is_none_or(|from| entry.created_at >= from)
        && query.to.is_none_or(|to| entry.created_at <= to)
        && search.is_none_or(|text| says(entry, text))
}

/// A sensitive entry is found by its public title alone.
fn says(entry: &Entry, text: &str) -> bool {
    let found = |said: &str| said.to_lowercase().contains(text);
    if entry.sensitive {
        entry.public_title.as_deref().is_some_and(found)
    } else {
        found(&entry.title) || found(&entry.message)
    }
}

/// Of the same priority, the newest comes first.
fn sort(entries: &mut [&Entry], order: InboxOrder) {
    let age = |entry: &&Entry| (entry.created_at, entry.id);
    match order {
        InboxOrder::OldestFirst => entries.sort_by_key(age),
        InboxOrder::NewestFirst => entries.sort_by_key(|entry| Reverse(age(entry))),
        InboxOrder::LowestFirst => {
            entries.sort_by_key(|entry| Reverse((entry.priority, age(entry))));
        }
        InboxOrder::HighestFirst => {
            entries.sort_by_key(|entry| (entry.priority, Reverse(age(entry))));
        }
    }
}
