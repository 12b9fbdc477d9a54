use wasmtime::Trap;

use crate::channel::Failure;

/// What a plugin did wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum Fault {
    #[error("the plugin used up its time on the processor")]
    Cpu,
    #[error("the plugin did not finish in time")]
    Wall,
    #[error("the plugin asked for more memory than it may have")]
    Memory,
    #[error("the plugin called itself too deep")]
    Stack,
    #[error("the plugin flooded the log")]
    Log,
    #[error("the plugin handed over more than a call may carry")]
    Size,
    #[error("the plugin trapped")]
    Trap,
}

impl Fault {
    /// Reads it from what wasmtime says. `memory_refused`: the instance was refused memory, which
    /// most plugins take for a reason to abort.
    pub(super) fn of(error: &wasmtime::Error, memory_refused: bool) -> Self {
        if let Some(fault) = error.downcast_ref::<Self>() {
            return *fault;
        }
        match error.downcast_ref::<Trap>() {
            Some(Trap::StackOverflow) => Self::Stack,
            _ if memory_refused => Self::Memory,
            // wasmtime has no type for it.
            None if format!("{error:#}").contains("fuel allocated for hostcalls") => Self::Size,
            _ => Self::Trap,
        }
    }

    pub(super) fn code(self) -> &'static str {
        match self {
            Self::Cpu => "plugin.cpu",
            Self::Wall => "plugin.wall",
            Self::Memory => "plugin.memory",
            Self::Stack => "plugin.stack",
            Self::Log => "plugin.log",
            Self::Size => "plugin.size",
            Self::Trap => "plugin.trap",
        }
    }

    pub(super) fn failure(self) -> Failure {
        Failure::new(self.code(), self.to_string())
    }
}
