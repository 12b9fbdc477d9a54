//! Places in a workflow: `2.0.1` is the second step of the first block of the third step.

use crate::model::StepPath;
use crate::workflow::{Step, Workflow};

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

    /// Behind the step that holds this block; `None` at the outermost.
    pub fn leave(mut self) -> Option<Self> {
        let outer = self.0.len().checked_sub(2)?;
        self.0.truncate(outer);
        Some(self.next())
    }

    pub fn path(&self) -> StepPath {
        let parts: Vec<String> = self.0.iter().map(ToString::to_string).collect();
        StepPath::from(parts.join("."))
    }
}

pub(super) fn find<'w>(workflow: &'w Workflow, path: &StepPath) -> Option<&'w Step> {
    Position::parse(path)?.step(workflow)
}
