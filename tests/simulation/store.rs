//! The store in memory behind calls that fail, get lost, or end their caller.

use std::sync::Arc;

use async_trait::async_trait;
use jiff::Timestamp;
use nuncio::model::*;
use nuncio::store::memory::MemoryStore;
use nuncio::store::*;
use serde_json::Value;

use super::fate::Fates;
use super::log::Log;

/// One node's way to the store that all nodes share.
pub struct Troubled {
    inner: MemoryStore,
    fates: Fates,
    log: Arc<Log>,
}

/// Each call with what may happen before and after it.
macro_rules! troubled {
    ($($noun:ident { $($call:ident($($name:ident: $type:ty),*) -> $answer:ty;)* })*) => { $(
        #[async_trait]
        impl $noun for Troubled {
            $(
                async fn $call(&self, $($name: $type),*) -> Result<$answer> {
                    self.fates.before(stringify!($call)).await?;
                    let answer = self.inner.$call($($name),*).await?;
                    self.fates.after(stringify!($call)).await?;
                    Ok(answer)
                }
            )*
        }
    )* };
}

type Marked = Option<(Entry, Vec<Frame>)>;
type Changed = (u64, Vec<Frame>);
type ChangedSome = (u64, Vec<RunId>, Vec<Frame>);

troubled! {
    Events {
        accept(acceptances: Vec<Acceptance>) -> Vec<Accepted>;
        event(id: EventId) -> Option<EventRecord>;
        timeline(id: uuid::Uuid) -> Option<Timeline>;
        keep_version(version: &Version, workflow: &WorkflowName, source: &str) -> ();
        version(version: &Version) -> Option<String>;
        versions_in_use() -> Vec<(WorkflowName, Version, u64)>;
        backlog(now: Timestamp) -> Backlog;
    }
    Collections {
        collect(occasion: &Occasion, at: Timestamp, next: Option<Timestamp>) -> Collected;
        pass(pass: Pass) -> Passage;
    }
    Letters {
        letters(query: &MessageQuery) -> Vec<MessageId>;
        redrive(ids: Vec<MessageId>, redrive: &Redrive) -> u64;
    }
    Reports {
        reported(provider: &ProviderName, receipt: &str) -> Option<Reported>;
        report(report: &Report) -> bool;
    }
    Audits {
        record(record: AuditRecord) -> ();
        audit(query: &AuditQuery) -> Vec<(i64, AuditRecord)>;
    }
    Ledger {
        sent_like(once: &nuncio::store::Once) -> Option<(MessageId, Timestamp)>;
        spending(asking: &Asking) -> Spending;
        gathered(leader: MessageId) -> Vec<Gathered>;
    }
    Calendar {
        calendar(query: &CalendarQuery) -> Vec<nuncio::store::Planned>;
    }
    Waits {
        is_awaited(event: &Event) -> bool;
        awaiting(event: &Event) -> Vec<(WorkflowName, Version)>;
        waiting_by_key(event: &Event, version: &Version, key: &str, limit: usize) -> Vec<Match>;
        waiting_by_match(event: &Event, after: Option<RunId>, limit: usize) -> Vec<Waiting>;
        conclude(run: RunId, step: &StepPath, item: u32) -> Concluded;
    }
    Inbox {
        entries(query: &InboxQuery) -> InboxPage;
        entry(id: RunId) -> Option<Entry>;
        deliveries(id: RunId) -> Vec<(Message, Vec<Attempt>)>;
        unread(user: &UserId) -> u64;
        mark(user: &UserId, id: RunId, read_at: Option<Timestamp>) -> Marked;
        mark_all(user: &UserId, category: Option<&Category>, now: Timestamp) -> Changed;
        mark_many(user: &UserId, ids: &[RunId], now: Timestamp) -> ChangedSome;
        delete_many(user: &UserId, ids: &[RunId], now: Timestamp) -> ChangedSome;
        head(user: &UserId) -> u64;
        replay(user: &UserId, seq: u64, limit: usize) -> Replay;
    }
    Users {
        put_users(users: Vec<User>) -> Vec<bool>;
        user(id: &UserId) -> Option<User>;
        people(ids: &[UserId]) -> Vec<Arc<Person>>;
        members(role: Option<&str>, after: Option<&UserId>, limit: usize) -> Vec<UserId>;
        erase_user(id: &UserId) -> Option<Erased>;
        put_preferences(id: &UserId, preferences: Preferences) -> ();
        preferences(id: &UserId) -> Preferences;
    }
    Topics {
        subscribe(topic: &TopicName, user: &UserId) -> bool;
        unsubscribe(topic: &TopicName, user: &UserId) -> bool;
        subscribers(topic: &TopicName, after: Option<&UserId>, limit: usize) -> Vec<UserId>;
    }
    Devices {
        put_device(user: &UserId, registration: &Registration, now: Timestamp) -> Registered;
        devices(user: Option<&UserId>, limit: usize) -> Vec<Device>;
        change_device(
            user: &UserId, id: DeviceId, change: &DeviceChange, now: Timestamp
        ) -> Option<Device>;
        delete_device(user: &UserId, id: DeviceId) -> bool;
        device_used(user: &UserId, id: DeviceId, now: Timestamp) -> ();
        mark_bounced(user: &UserId, bounce: &Bounce, now: Timestamp) -> ();
        forget_bounce(user: &UserId, bounce: &Bounce) -> ();
    }
    Keys {
        put_key(key: &ApiKey) -> bool;
        keys() -> Vec<ApiKey>;
        revoke_key(name: &str, now: Timestamp) -> bool;
        key_by_hash(hash: &[u8; 32]) -> Option<ApiKey>;
    }
    Frames {
        publish(stream: &Stream, body: FrameBody, now: Timestamp) -> Frame;
        stream_head(stream: &Stream) -> u64;
        stream_replay(stream: &Stream, seq: u64, limit: usize) -> Replay;
        kept(once: &nuncio::model::Once) -> Option<Value>;
        keep(once: &nuncio::model::Once, result: Value) -> Value;
    }
    Rooms {
        join(room: &RoomName, user: &UserId) -> bool;
        leave(room: &RoomName, user: &UserId) -> bool;
        is_member(room: &RoomName, user: &UserId) -> bool;
        say(saying: &Saying, keep: bool) -> Frame;
        history(room: &RoomName, before: Option<u64>, limit: usize) -> Vec<(u64, Saying)>;
        read_up_to(room: &RoomName, user: &UserId, seq: u64) -> bool;
    }
}

impl Troubled {
    pub fn new(inner: MemoryStore, fates: Fates, log: Arc<Log>) -> Self {
        Self { inner, fates, log }
    }

    /// No order is promised but that of priority: within a claim, any is taken.
    fn shuffle<T>(&self, claimed: &mut [T]) {
        for last in (1..claimed.len()).rev() {
            claimed.swap(last, self.fates.below(last + 1));
        }
    }
}

/// A claim, in any order.
macro_rules! claimed {
    ($self:ident, $call:ident, $claim:ident) => {{
        $self.fates.before(stringify!($call)).await?;
        let mut claimed = $self.inner.$call($claim).await?;
        $self.shuffle(&mut claimed);
        $self.fates.after(stringify!($call)).await?;
        Ok(claimed)
    }};
}

/// A call, and what the log has to know of it, whether its caller hears of it or not.
macro_rules! noted {
    ($self:ident, $call:ident, $inner:expr $(, |$answer:ident| $note:expr)?) => {{
        $self.fates.before(stringify!($call)).await?;
        let answer = $inner.await?;
        $(
            let $answer = &answer;
            $note;
        )?
        $self.fates.after(stringify!($call)).await?;
        Ok(answer)
    }};
}

#[async_trait]
impl Queue for Troubled {
    async fn claim_events(&self, claim: Claim) -> Result<Vec<DueEvent>> {
        claimed!(self, claim_events, claim)
    }

    async fn claim_runs(&self, claim: Claim) -> Result<Vec<DueRun>> {
        claimed!(self, claim_runs, claim)
    }

    async fn claim_messages(&self, claim: Claim) -> Result<Vec<DueMessage>> {
        claimed!(self, claim_messages, claim)
    }

    async fn depart(&self, departures: Vec<Departure>) -> Result<Vec<Departed>> {
        let asked = departures.clone();
        noted!(self, depart, self.inner.depart(departures), |answers| {
            self.log.departed(&asked, answers)
        })
    }

    async fn settle(&self, settlements: Vec<Settlement>) -> Result<Vec<Option<Vec<Frame>>>> {
        let asked: Vec<_> = settlements.iter().map(|each| (each.message, each.status)).collect();
        noted!(self, settle, self.inner.settle(settlements), |answers| {
            self.log.settled(&asked, answers)
        })
    }

    async fn planned(&self, progress: Vec<Progress<EventId>>) -> Result<Vec<Option<Vec<Frame>>>> {
        noted!(self, planned, self.inner.planned(progress))
    }

    async fn advanced(&self, progress: Vec<Progress<RunId>>) -> Result<Vec<Option<Vec<Frame>>>> {
        noted!(self, advanced, self.inner.advanced(progress))
    }

    async fn unsent(&self, unsent: Vec<Unsent>) -> Result<()> {
        noted!(self, unsent, self.inner.unsent(unsent))
    }

    async fn renew(&self, queue: QueueName, fences: &[Fence], until: Timestamp) -> Result<()> {
        noted!(self, renew, self.inner.renew(queue, fences, until))
    }

    async fn next_due(&self, queue: QueueName) -> Result<Option<Timestamp>> {
        noted!(self, next_due, self.inner.next_due(queue))
    }

    async fn recover(
        &self,
        now: Timestamp,
        everything: bool,
        retry_unknown: &RetryUnknown<'_>,
    ) -> Result<Recovered> {
        noted!(self, recover, self.inner.recover(now, everything, retry_unknown), |recovered| {
            self.fates.tell(|| format!("{recovered:?}"))
        })
    }
}

#[async_trait]
impl Messages for Troubled {
    async fn messages(&self, query: &MessageQuery) -> Result<Vec<MessageRecord>> {
        noted!(self, messages, self.inner.messages(query))
    }

    async fn count_messages(&self, query: &MessageQuery) -> Result<u64> {
        noted!(self, count_messages, self.inner.count_messages(query))
    }

    async fn message(&self, id: MessageId) -> Result<Option<MessageRecord>> {
        noted!(self, message, self.inner.message(id))
    }

    async fn retry(&self, id: MessageId, now: Timestamp) -> Result<Option<MessageStatus>> {
        noted!(self, retry, self.inner.retry(id, now), |before| self.log.retried(id, *before))
    }

    async fn cancel(&self, id: MessageId, now: Timestamp) -> Result<Option<MessageStatus>> {
        noted!(self, cancel, self.inner.cancel(id, now), |before| self.log.cancelled(id, *before))
    }
}

#[async_trait]
impl Stops for Troubled {
    async fn stop(&self, stop: Stop) -> Result<Stopped> {
        noted!(self, stop, self.inner.stop(stop), |stopped| {
            // What was leaving may arrive; it does not leave again.
            self.log.stopped(&stopped.messages);
            self.log.stopped(&stopped.leaving)
        })
    }
}
