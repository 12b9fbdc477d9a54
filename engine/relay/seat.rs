//! Who may still connect, and what one connection holds.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::Arc;

use super::buffer::{Waiting, buffer};
use super::hub::Hub;
use super::line::Reader;
use crate::config;
use crate::model::{Stream, UserId};

/// Why nobody more may connect now.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Full {
    #[error("this user has too many connections")]
    User,
    #[error("this address has too many connections")]
    Address,
    #[error("there are too many connections")]
    All,
    #[error("the relay is closing")]
    Closing,
}

/// One connection's place, from before its upgrade to its end.
pub struct Seat {
    hub: Arc<Hub>,
    user: UserId,
    address: Option<IpAddr>,
}

/// A seat that gets the frames of its streams, until it is dropped.
pub struct Attached {
    seat: Seat,
    streams: Vec<Stream>,
    id: u64,
    own: bool,
}

/// Connections by whom they count against.
#[derive(Default)]
pub struct Seats {
    all: usize,
    by_user: HashMap<UserId, usize>,
    by_address: HashMap<IpAddr, usize>,
}

impl Seat {
    /// One that [`Seats::take`] gave.
    pub fn new(hub: Arc<Hub>, user: UserId, address: Option<IpAddr>) -> Self {
        Self { hub, user, address }
    }

    /// From here on, the streams' frames wait in the returned buffer. Attach first, then read a
    /// stream's head: what is committed after the head was read is published to this buffer.
    pub fn attach(self, streams: Vec<Stream>) -> (Attached, Waiting) {
        let limits = self.hub.limits();
        let (buffer, waiting) = buffer(limits.buffer_frames, limits.buffer_bytes);
        let own = streams.contains(&Stream::User(self.user.clone()));
        let id = self.hub.next_reader();
        let reader = Reader { id, user: self.user.clone(), buffer, own };
        self.hub.attach(&streams, &reader);
        (Attached { seat: self, streams, id, own }, waiting)
    }
}

impl Attached {
    /// Tells this connection from the others of its streams.
    pub fn id(&self) -> u64 {
        self.id
    }
}

impl Seats {
    pub fn all(&self) -> usize {
        self.all
    }

    /// Counts one more, within the limits.
    pub fn take(
        &mut self,
        user: &UserId,
        address: Option<IpAddr>,
        limits: &config::Relay,
    ) -> Result<(), Full> {
        let by_user = self.by_user.get(user).copied().unwrap_or_default();
        let at_address = address.and_then(|address| self.by_address.get(&address).copied());
        if self.all >= limits.max_connections {
            return Err(Full::All);
        }
        if by_user >= limits.max_connections_per_user {
            return Err(Full::User);
        }
        if at_address.unwrap_or_default() >= limits.max_connections_per_address {
            return Err(Full::Address);
        }
        self.all += 1;
        *self.by_user.entry(user.clone()).or_default() += 1;
        if let Some(address) = address {
            *self.by_address.entry(address).or_default() += 1;
        }
        Ok(())
    }

    pub fn give_back(&mut self, user: &UserId, address: Option<IpAddr>) {
        self.all -= 1;
        release(&mut self.by_user, user);
        if let Some(address) = &address {
            release(&mut self.by_address, address);
        }
    }
}

impl Drop for Attached {
    fn drop(&mut self) {
        self.seat.hub.detach(&self.streams, self.id, &self.seat.user, self.own);
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        self.hub.vacate(&self.user, self.address);
    }
}

fn release<Key: std::hash::Hash + Eq>(counts: &mut HashMap<Key, usize>, key: &Key) {
    if let Some(count) = counts.get_mut(key) {
        *count -= 1;
        if *count == 0 {
            counts.remove(key);
        }
    }
}
