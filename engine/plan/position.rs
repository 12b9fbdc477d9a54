//! Places in a workflow: `2.0.1` is the second step of the first block of the third step.

use super::state;
use crate::model::{Run, StepPath};
use crate::workflow::step::Schedule;
use crate::workflow::{Step, StepKind, Workflow};

/// A place that may lie just behind the last step of a block.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Position(Vec<usize>);

impl Position {
    pub fn parse(path: &StepPath) -> Option<Self> {
        let parts =
            path.as_str().split('.').map(|part| part.parse().ok()).collect::<Option<_>>()?;
        Some(Self(parts))
    }

    /// The step there; `None` behind the last of its block.
    pub fn step<'w>(&self, workflow: &'w Workflow) -> Option<&'w Step> {
        let (first, rest) = self.0.split_first()?;
        let mut step = workflow.steps.get(*first)?;
        for pair in rest.chunks(2) {
            let [block, place] = pair else { return None };
            step = step.kind.block(*block)?.get(*place)?;
        }
        Some(step)
    }

    /// The next of the same block.
    pub fn next(mut self) -> Self {
        if let Some(last) = self.0.last_mut() {
            *last += 1;
        }
        self
    }

    /// The first of a block inside.
    pub fn enter(mut self, block: usize) -> Self {
        self.0.extend([block, 0]);
        self
    }

    /// The step that holds this block; `None` at the outermost.
    pub fn outer(mut self) -> Option<Self> {
        let outer = self.0.len().checked_sub(2).filter(|outer| *outer > 0)?;
        self.0.truncate(outer);
        Some(self)
    }

    /// Which round of the loops around this place the run is in, as one number: the places in
    /// `by` of the moments that they stand at, outermost first. 0 outside of any loop.
    pub fn item(&self, workflow: &Workflow, run: &Run) -> u32 {
        let mut item = 0;
        for (outer, schedule) in self.around(workflow).filter(|(outer, _)| outer != self) {
            let place = schedule.place(state::turns(run, &outer.path()));
            item = item * schedule.by.len() + place;
        }
        u32::try_from(item).unwrap_or(u32::MAX)
    }

    /// The loops at and around this place, outermost first.
    pub fn around<'w>(&self, workflow: &'w Workflow) -> impl Iterator<Item = (Self, &'w Schedule)> {
        let lengths = (1..=self.0.len()).step_by(2);
        lengths.filter_map(move |length| {
            let outer = Self(self.0[..length].to_vec());
            let schedule = outer.schedule(workflow)?;
            Some((outer, schedule))
        })
    }

    fn schedule<'w>(&self, workflow: &'w Workflow) -> Option<&'w Schedule> {
        match &self.step(workflow)?.kind {
            StepKind::Schedule(schedule) => Some(schedule),
            _ => None,
        }
    }

    pub fn path(&self) -> StepPath {
        let parts: Vec<String> = self.0.iter().map(ToString::to_string).collect();
        StepPath::from(parts.join("."))
    }
}

pub(super) fn find<'w>(workflow: &'w Workflow, path: &StepPath) -> Option<&'w Step> {
    Position::parse(path)?.step(workflow)
}

/// The round that messages of the step at `of` have, seen from the step at `from`: the one that
/// goes on where both stand in the same loops, else `None`.
pub(super) fn shared_item(
    workflow: &Workflow,
    run: &Run,
    of: &StepPath,
    from: &StepPath,
) -> Option<u32> {
    let (of, from) = (Position::parse(of)?, Position::parse(from)?);
    let loops = |position: &Position| {
        let mut loops = Vec::new();
        let mut inner = position.clone();
        while let Some(outer) = inner.outer() {
            if matches!(outer.step(workflow).map(|step| &step.kind), Some(StepKind::Schedule(_))) {
                loops.push(outer.clone());
            }
            inner = outer;
        }
        loops
    };
    let own = loops(&of);
    let shared = loops(&from).ends_with(&own);
    shared.then(|| of.item(workflow, run))
}
