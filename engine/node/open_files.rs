use nix::sys::resource::{Resource, getrlimit, setrlimit};

/// Lets the process open as many files as the system allows it at most, and says how many.
/// What does not work is left as it is: the limit in force is the answer.
pub(super) fn raise() -> usize {
    let Ok((soft, hard)) = getrlimit(Resource::RLIMIT_NOFILE) else { return usize::MAX };
    let raised = soft < hard && setrlimit(Resource::RLIMIT_NOFILE, hard, hard).is_ok();
    usize::try_from(if raised { hard } else { soft }).unwrap_or(usize::MAX)
}
