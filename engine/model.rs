//! The nouns that flow through the pipeline, from the accepted event to the last attempt.
//!
//! Nothing here does anything: the stages give these values meaning. Serialization is derived
//! only where a value crosses an edge (a file, the API, the relay, a plugin).

mod address;
mod audit;
mod code;
mod collection;
mod decision;
mod device;
mod event;
mod id;
mod inbox;
mod message;
mod pattern;
mod publication;
mod report;
mod run;
mod saying;
mod span;
mod user;
mod wait;

pub use address::{Content, Parcel};
pub use audit::{AuditRecord, Deed};
pub use code::{CODES, Code, GATES, Gate, Stage};
pub use collection::{Collected, Item, Join, Occasion, Pass, Passage, Slide};
pub use decision::{Decision, Verdict};
pub use device::{BadToken, Bounce, Device, DeviceId, DeviceToken, DeviceType, Registration};
pub use event::{Event, EventStatus};
pub use id::{
    AttemptNumber, Category, ChannelName, EventId, Fence, MessageId, ProviderName, RoomName, RunId,
    StepPath, TopicName, UserId, Version, WorkflowName,
};
pub use inbox::{Entry, Frame, FrameBody, Stream};
pub use message::{Attempt, AttemptOutcome, Message, MessageStatus, Planned, Priority};
pub use pattern::Pattern;
pub use publication::{Once, Publication};
pub use report::{Expected, Fate, Report};
pub use run::{Run, RunStatus};
pub use saying::Saying;
pub use span::{BadSpan, Span};
pub use user::{Limits, Person, Preferences, Presence, QuietHours, Recipient, Row, Switch, User};
pub use wait::{Awaited, Match, Reached, Wait};
