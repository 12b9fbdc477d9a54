use std::time::Duration;

use futures_util::FutureExt;
use jiff::Timestamp;
use nuncio::model::MessageStatus;
use nuncio::store::{Inbox, InboxQuery, MessageQuery, Messages, Queue, QueueName, Stop};

use super::client::{self, USERS};
use super::world::{LEASE, QUEUES, World};

/// What happens while things go wrong.
const STEPS: (usize, usize) = (150, 450);
/// Steps of the quiet end at most: more is a loop.
const MOST_STEPS: usize = 100_000;
/// The clock is put back by this at most, in all.
pub const PUT_BACK: Duration = Duration::from_secs(300);

impl World {
    /// Everything at once, in an order that the seed gives.
    pub fn live_in_trouble(&mut self) {
        self.fates.make_trouble();
        let steps = STEPS.0 + self.fates.below(STEPS.1 - STEPS.0);
        for _ in 0..steps {
            match self.fates.below(100) {
                0..=54 => self.poll_any(),
                55..=68 => self.claim_any(),
                69..=76 => self.post(),
                77..=79 => self.ask(),
                80..=82 => {
                    if let Some(node) = self.node_awake() {
                        self.sweep(node);
                    }
                }
                83..=86 => {
                    if let Some(node) = self.node_awake() {
                        self.renew(node);
                    }
                }
                87 => self.stand_still(),
                _ => self.turn_clock(),
            }
        }
    }

    /// Nothing goes wrong any more, and time passes until there is nothing left to do.
    ///
    /// # Errors
    /// There is no end to it.
    pub fn live_in_peace(&mut self) -> Result<(), String> {
        self.fates.make_peace();
        // Somebody has to be there.
        self.nodes[0].stands_until = None;
        self.fates.tell(|| "peace");
        let mut outlasted = false;
        for _ in 0..MOST_STEPS {
            if let Some(place) = self.ready().first() {
                self.poll(*place);
                outlasted = false;
                continue;
            }
            if self.work_is_claimed() {
                continue;
            }
            match self.next_moment() {
                Some(next) => self.clock.set(next.max(self.clock.now())),
                None if outlasted => return Ok(()),
                None => {
                    // Leases of the lost end, and what they held is due.
                    self.clock.advance(LEASE + self.put_back);
                    outlasted = true;
                }
            }
        }
        Err(format!("{MOST_STEPS} steps and no end"))
    }

    fn poll_any(&mut self) {
        let ready = self.ready();
        match ready.get(self.fates.below(ready.len())) {
            Some(place) => self.poll(*place),
            None => self.claim_any(),
        }
    }

    fn claim_any(&mut self) {
        let queue = QUEUES[self.fates.below(3)];
        let limit = 1 + self.fates.below(4);
        if let Some(node) = self.node_awake() {
            self.claim(node, queue, limit);
        }
    }

    fn node_awake(&self) -> Option<usize> {
        let node = self.fates.below(self.nodes.len());
        let now = self.clock.now();
        self.nodes[node].stands_until.is_none_or(|until| until <= now).then_some(node)
    }

    /// A node stops like one that was sent SIGSTOP, and goes on later.
    fn stand_still(&mut self) {
        let node = self.fates.below(self.nodes.len());
        let length = Duration::from_secs([20, 70, 200][self.fates.below(3)]);
        self.fates.tell(|| format!("node {node} stands still for {length:?}"));
        self.nodes[node].stands_until = Some(self.clock.after(length));
    }

    fn turn_clock(&mut self) {
        let now = self.clock.now();
        let seconds = match self.fates.below(20) {
            0..=8 => match self.next_due().filter(|next| *next > now) {
                Some(next) => {
                    self.clock.set(next);
                    return self.fates.tell(|| format!("it is {next}"));
                }
                None => 1,
            },
            9..=15 => 1 + self.fates.below(20),
            16 | 17 => 61,
            18 => 600,
            _ => {
                let back = Duration::from_secs(1 + self.fates.below(90) as u64);
                if self.put_back + back <= PUT_BACK {
                    self.put_back += back;
                    self.clock.set(now.saturating_sub(back).expect("long after the beginning"));
                    self.fates.tell(|| format!("the clock is put back to {}", self.clock.now()));
                }
                return;
            }
        };
        self.clock.advance(Duration::from_secs(seconds as u64));
        self.fates.tell(|| format!("it is {}", self.clock.now()));
    }

    /// Some service sends events: new ones, or what it has sent before.
    fn post(&mut self) {
        let Some(node) = self.node_awake() else { return };
        let pipeline = self.nodes[node].pipeline.clone();
        let (clients, fates) = (self.clients.clone(), self.fates.clone());
        match self.fates.below(6) {
            0 => {
                let Some(again) = clients.keyed(false, &fates) else { return };
                self.start(node, None, clients.send(vec![again], pipeline, fates));
            }
            1 => {
                let Some(again) = clients.keyed(true, &fates) else { return };
                self.start(node, None, clients.send_other(again, pipeline));
            }
            _ => {
                let count = [1, 1, 1, 2, 5][self.fates.below(5)];
                let numbers = (0..count).map(|_| clients.draw(&fates, &self.clock)).collect();
                self.start(node, None, clients.send(numbers, pipeline, fates));
            }
        }
    }

    /// Somebody takes back, asks again, reads, or changes something.
    fn ask(&mut self) {
        let Some(node) = self.node_awake() else { return };
        let store = self.nodes[node].pipeline.store().clone();
        let (clock, now) = (self.clock.clone(), self.clock.now());
        let user = self.fates.below(USERS);
        match self.fates.below(5) {
            0 => {
                let Some(id) = self.message(MessageStatus::Pending) else { return };
                self.start(node, None, async move { drop(store.cancel(id, now).await) });
            }
            1 => {
                let gone = [MessageStatus::Unknown, MessageStatus::Failed][self.fates.below(2)];
                let Some(id) = self.message(gone) else { return };
                self.start(node, None, async move { drop(store.retry(id, now).await) });
            }
            2 => {
                let key = format!("o{}", self.fates.below(4));
                let stop = Stop {
                    tenant: String::new(),
                    workflow: None,
                    key,
                    before: clock.id(),
                    except: None,
                    at: now,
                    reason: "asked".into(),
                    rule: None,
                };
                self.start(node, None, async move { drop(store.stop(stop).await) });
            }
            3 => {
                let Some((user, entry)) = self.entry() else { return };
                self.start(node, None, async move {
                    drop(store.mark(&user, entry, Some(now)).await);
                });
            }
            _ => {
                let user = client::user(user, now);
                self.start(node, None, async move { drop(store.put_users(vec![user]).await) });
            }
        }
    }

    fn message(&self, status: MessageStatus) -> Option<nuncio::model::MessageId> {
        let query = MessageQuery { status: Some(status), limit: 1000, ..MessageQuery::default() };
        let found = self.store.messages(&query).now_or_never()?.ok()?;
        Some(found.get(self.fates.below(found.len()))?.message.id)
    }

    fn entry(&self) -> Option<(nuncio::model::UserId, nuncio::model::RunId)> {
        let query = InboxQuery {
            user: None,
            is_read: Some(false),
            category: None,
            priority: None,
            from: None,
            to: None,
            search: None,
            order: Default::default(),
            offset: 0,
            limit: 1000,
        };
        let found = self.store.entries(&query).now_or_never()?.ok()?.entries;
        let entry = found.get(self.fates.below(found.len()))?;
        Some((entry.user.clone(), entry.id))
    }

    /// Claims what is due, as a node does that has nothing else to do.
    fn work_is_claimed(&mut self) -> bool {
        let now = self.clock.now();
        let Some(node) =
            self.nodes.iter().position(|node| node.stands_until.is_none_or(|until| until <= now))
        else {
            return false;
        };
        let recovered = self.nodes[node].pipeline.recover(false).now_or_never();
        let recovered = recovered.expect("memory").expect("memory answers");
        let due = |queue: &QueueName| {
            let next = self.store.next_due(*queue).now_or_never().expect("memory");
            next.expect("memory answers").is_some_and(|next| next <= now)
        };
        let due: Vec<QueueName> = QUEUES.into_iter().filter(due).collect();
        for queue in &due {
            self.claim(node, *queue, 10);
        }
        !due.is_empty() || recovered.released + recovered.unknown > 0
    }

    /// When something happens by itself next.
    fn next_moment(&self) -> Option<Timestamp> {
        let now = self.clock.now();
        // A task that can go on but may not, naps or stands still; one that cannot waits for the
        // clock to write what could not be written.
        let waking = self.tasks.iter().map(|task| {
            let stands = self.nodes[task.node].stands_until;
            let until = task.naps_until.max(stands).filter(|until| *until > now);
            until.unwrap_or_else(|| self.clock.after(Duration::from_secs(5)))
        });
        waking.chain(self.next_due()).min()
    }

    fn next_due(&self) -> Option<Timestamp> {
        let next = |queue| self.store.next_due(queue).now_or_never()?.ok()?;
        QUEUES.into_iter().filter_map(next).min()
    }
}
