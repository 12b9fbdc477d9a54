use std::collections::HashSet;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};

use tokio::sync::Notify;

use super::roster::Roster;
use crate::model::Stream;
use crate::shared::Sender;

/// What the hub knows of other nodes, and what it has to catch up with.
pub struct Beyond {
    /// `None` without Redis: then only the store tells.
    sender: Option<Sender>,
    pub roster: Roster,
    /// The others are heard.
    pub hearing: AtomicBool,
    /// All streams are to be compared with the store, now.
    pub late: AtomicBool,
    /// Another node wants to know who is here.
    pub asked: AtomicBool,
    /// The others are to be asked who is there.
    pub unsure: AtomicBool,
    behind: Mutex<HashSet<Stream>>,
    /// One of these has changed.
    pub stir: Notify,
}

impl Beyond {
    pub fn new(sender: Option<Sender>) -> Self {
        Self {
            sender,
            roster: Roster::default(),
            hearing: AtomicBool::new(false),
            late: AtomicBool::new(false),
            asked: AtomicBool::new(false),
            unsure: AtomicBool::new(false),
            behind: Mutex::default(),
            stir: Notify::new(),
        }
    }

    /// Whether another node may hear what is said now. Where one may be that cannot, it is to
    /// know of the loss.
    pub fn is_open(&self) -> bool {
        let Some(sender) = &self.sender else { return false };
        // A node that has not been heard yet is told of a loss when it is.
        sender.is_open() && !self.roster.is_empty()
    }

    /// Says what `word` makes, if anybody may hear it.
    pub fn say(&self, word: impl FnOnce() -> Option<String>) {
        if let Some(sender) = self.sender.as_ref().filter(|_| self.is_open())
            && let Some(text) = word()
        {
            sender.send(text);
        }
    }

    /// Says it whether or not another node is known.
    pub fn call_out(&self, text: Option<String>) {
        if let (Some(sender), Some(text)) = (&self.sender, text) {
            sender.send(text);
        }
    }

    /// Others are to know that they may have missed something.
    pub fn miss(&self) {
        if let Some(sender) = &self.sender {
            sender.miss();
        }
    }

    /// Frames of the stream have not come by: they are to be fetched.
    pub fn fall_behind(&self, stream: &Stream) {
        self.behind.lock().unwrap_or_else(PoisonError::into_inner).insert(stream.clone());
        self.stir.notify_one();
    }

    pub fn behind(&self) -> Vec<Stream> {
        self.behind.lock().unwrap_or_else(PoisonError::into_inner).drain().collect()
    }

    /// Whether anything is to be done now.
    pub fn is_stirred(&self) -> bool {
        [&self.late, &self.asked, &self.unsure].iter().any(|flag| flag.load(Ordering::SeqCst))
    }

    pub fn raise(&self, flag: &AtomicBool) {
        flag.store(true, Ordering::SeqCst);
        self.stir.notify_one();
    }
}
