use tokio::sync::oneshot;

use super::{Answered, Base, Call, Calls, Claiming, Many, ROWS, Ready};
use crate::model::{EventId, Frame, RunId};
use crate::store::{Accepted, Departed, Departure, Progress, Settlement, StoreError};

/// What one transaction writes.
pub(in crate::store) struct Tick<B: Base> {
    pub accept: Vec<Many<Ready, Accepted>>,
    pub depart: Vec<Many<Departure, Departed>>,
    pub settle: Vec<Many<Settlement, Option<Vec<Frame>>>>,
    pub planned: Vec<Many<Progress<EventId>, Option<Vec<Frame>>>>,
    pub advanced: Vec<Many<Progress<RunId>, Option<Vec<Frame>>>>,
    pub claim: Vec<Claiming<B>>,
    pub other: Vec<B::Other>,
    /// Whom to tell, if a call asked to close: nothing comes after this tick.
    pub closing: Option<oneshot::Sender<()>>,
    pub calls: usize,
    pub rows: usize,
}

/// The answers of a committed tick, in the order of its calls.
pub(in crate::store) struct Written<Claimed> {
    pub accept: Vec<Accepted>,
    pub depart: Vec<Departed>,
    pub settle: Vec<Option<Vec<Frame>>>,
    pub planned: Vec<Option<Vec<Frame>>>,
    pub advanced: Vec<Option<Vec<Frame>>>,
    pub claim: Vec<Claimed>,
}

impl<B: Base> Tick<B> {
    /// Waits for a call and takes those that wait with it; `None` once nobody can call any more.
    pub async fn next(calls: &mut Calls<B>) -> Option<Self> {
        Some(Self::of(calls.recv().await?).filled(calls))
    }

    /// As [`Tick::next`], for a thread of its own.
    pub fn next_blocking(calls: &mut Calls<B>) -> Option<Self> {
        Some(Self::of(calls.blocking_recv()?).filled(calls))
    }

    fn filled(mut self, calls: &mut Calls<B>) -> Self {
        while self.closing.is_none() && self.rows < ROWS {
            let Ok(next) = calls.try_recv() else { break };
            self.add(next);
        }
        self
    }

    pub fn answer(self, written: Written<B::Claimed>) {
        answer(self.accept, written.accept);
        answer(self.depart, written.depart);
        answer(self.settle, written.settle);
        answer(self.planned, written.planned);
        answer(self.advanced, written.advanced);
        for (claiming, claimed) in self.claim.into_iter().zip(written.claim) {
            let _ = claiming.reply.send(Ok(claimed));
        }
        for other in self.other {
            other.answer(Ok(()));
        }
    }

    /// Tells every call that nothing was written; `error` makes each one its own.
    pub fn fail(self, mut error: impl FnMut() -> StoreError) {
        fail(self.accept, &mut error);
        fail(self.depart, &mut error);
        fail(self.settle, &mut error);
        fail(self.planned, &mut error);
        fail(self.advanced, &mut error);
        for claiming in self.claim {
            let _ = claiming.reply.send(Err(error()));
        }
        for other in self.other {
            other.answer(Err(error()));
        }
    }

    /// A tick for each call, so that one that cannot be written fails none of its neighbours.
    pub fn split(self) -> impl Iterator<Item = Self> {
        let other = self.other.into_iter().map(Call::Other);
        let settle = self.settle.into_iter().map(Call::Settle);
        let depart = self.depart.into_iter().map(Call::Depart);
        let planned = self.planned.into_iter().map(Call::Planned);
        let advanced = self.advanced.into_iter().map(Call::Advanced);
        let accept = self.accept.into_iter().map(Call::Accept);
        let claim = self.claim.into_iter().map(Call::Claim);
        let calls = other.chain(settle).chain(depart).chain(planned).chain(advanced);
        calls.chain(accept).chain(claim).map(Self::of)
    }

    fn of(call: Call<B>) -> Self {
        let mut tick = Self {
            accept: Vec::new(),
            depart: Vec::new(),
            settle: Vec::new(),
            planned: Vec::new(),
            advanced: Vec::new(),
            claim: Vec::new(),
            other: Vec::new(),
            closing: None,
            calls: 0,
            rows: 0,
        };
        tick.add(call);
        tick
    }

    fn add(&mut self, call: Call<B>) {
        self.calls += 1;
        self.rows += match call {
            Call::Accept(many) => push(&mut self.accept, many),
            Call::Depart(many) => push(&mut self.depart, many),
            Call::Settle(many) => push(&mut self.settle, many),
            Call::Planned(many) => push(&mut self.planned, many),
            Call::Advanced(many) => push(&mut self.advanced, many),
            Call::Claim(claiming) => {
                let limit = claiming.call.claim.limit;
                self.claim.push(claiming);
                limit
            }
            Call::Other(other) => {
                self.other.push(other);
                1
            }
            Call::Close(closed) => {
                self.calls -= 1;
                self.closing = Some(closed);
                0
            }
        };
    }
}

/// The items of all calls, in the order of their answers.
pub(in crate::store) fn items<In, Out>(calls: &[Many<In, Out>]) -> Vec<&In> {
    calls.iter().flat_map(|call| &call.items).collect()
}

fn push<In, Out>(calls: &mut Vec<Many<In, Out>>, many: Many<In, Out>) -> usize {
    let rows = many.items.len();
    calls.push(many);
    rows
}

fn answer<In, Out>(calls: Vec<Many<In, Out>>, answers: Vec<Out>) {
    let mut answers = answers.into_iter();
    for call in calls {
        let own = answers.by_ref().take(call.items.len()).collect();
        let _ = call.reply.send((Ok(own), call.items));
    }
}

fn fail<In, Out>(calls: Vec<Many<In, Out>>, error: &mut impl FnMut() -> StoreError) {
    for call in calls {
        let _ = call.reply.send((Err(error()), call.items));
    }
}
