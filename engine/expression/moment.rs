//! RFC 3339 text where a timestamp is expected.
//!
//! CEL compares text with text and timestamps with timestamps, and an event's data is JSON, which
//! has no timestamps. So where one side of an operator is known to be a moment, the other is
//! passed through `@moment`, which reads text that is one and leaves everything else alone.

use cel::common::ast::{CallExpr, Expr, LiteralValue, operators};
use cel::common::types::{CelString, CelTimestamp, DYN_TYPE};
use cel::common::value::CowVal;
use cel::{Env, ExecutionError, IdedExpr};
use chrono::{DateTime, FixedOffset};
use jiff::Timestamp;
use jiff::tz::TimeZone;

use super::names::each_mut;

/// No user can write this name: it is no identifier.
const MOMENT: &str = "@moment";

/// What a part of an expression is known to be, by its looks alone.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Guess {
    Moment,
    Duration,
    /// A path, text, or a function's result.
    Unknown,
    Other,
}

pub(super) fn declare(env: &mut Env) {
    env.add_overload(MOMENT, "moment_of_anything", vec![DYN_TYPE], read)
        .expect("the name is declared nowhere else");
}

/// Puts `@moment` wherever text may stand for a timestamp.
pub(super) fn coerce(node: &mut IdedExpr) {
    each_mut(node, &mut coerce);
    let Expr::Call(call) = &mut node.expr else {
        return;
    };
    match (call.func_name.as_str(), call.args.as_mut_slice(), &mut call.target) {
        (
            operators::LESS
            | operators::LESS_EQUALS
            | operators::GREATER
            | operators::GREATER_EQUALS
            | operators::EQUALS
            | operators::NOT_EQUALS,
            [left, right],
            None,
        ) => match (guess(left), guess(right)) {
            (Guess::Moment, Guess::Unknown) => wrap(right),
            (Guess::Unknown, Guess::Moment) => wrap(left),
            _ => {}
        },
        (operators::SUBSTRACT | operators::ADD, [left, right], None) => {
            let sides = (guess(left), guess(right));
            if sides.0 == Guess::Unknown && matches!(sides.1, Guess::Moment | Guess::Duration) {
                wrap(left);
            }
            if sides.1 == Guess::Unknown && matches!(sides.0, Guess::Moment | Guess::Duration) {
                wrap(right);
            }
        }
        (name, _, Some(target)) if name.starts_with("get") && guess(target) == Guess::Unknown => {
            wrap(target);
        }
        _ => {}
    }
}

/// From jiff's instant to CEL's.
pub(super) fn from_timestamp(at: Timestamp) -> Option<CelTimestamp> {
    let nanos = u32::try_from(at.subsec_nanosecond()).unwrap_or_default();
    let at = DateTime::from_timestamp(at.as_second(), nanos)?;
    Some(CelTimestamp::from(at.fixed_offset()))
}

pub(super) fn into_timestamp(at: &DateTime<FixedOffset>) -> Option<Timestamp> {
    let nanos = i32::try_from(at.timestamp_subsec_nanos()).ok()?;
    Timestamp::new(at.timestamp(), nanos).ok()
}

/// The instant that a result is: a timestamp, RFC 3339 text, or local time in `zone`.
pub(super) fn to_timestamp(
    found: &CowVal<'_, '_>,
    zone: impl FnOnce() -> TimeZone,
) -> Result<Timestamp, String> {
    if let Some(at) = found.downcast_ref::<CelTimestamp>() {
        return into_timestamp(at.inner()).ok_or_else(|| "the moment is out of range".to_owned());
    }
    let Some(text) = found.downcast_ref::<CelString>() else {
        return Err(format!("a timestamp is expected, not {}", found.get_type().name()));
    };
    let text = text.inner();
    if let Ok(at) = text.parse::<Timestamp>() {
        return Ok(at);
    }
    let local: jiff::civil::DateTime =
        text.parse().map_err(|_| "a timestamp is expected, and this text is none".to_owned())?;
    let at = local.to_zoned(zone()).map_err(|_| "the moment is out of range".to_owned())?;
    Ok(at.timestamp())
}

fn read<'b, 'v>(mut arguments: Vec<CowVal<'b, 'v>>) -> Result<CowVal<'b, 'v>, ExecutionError> {
    let Some(argument) = arguments.pop() else {
        return Err(ExecutionError::missing_argument_or_target());
    };
    let at = argument.downcast_ref::<CelString>().and_then(|text| {
        let at: Timestamp = text.inner().parse().ok()?;
        from_timestamp(at)
    });
    Ok(at.map_or(argument, CowVal::owned))
}

fn guess(node: &IdedExpr) -> Guess {
    match &node.expr {
        Expr::Ident(name) if name == "now" => Guess::Moment,
        Expr::Ident(_) => Guess::Unknown,
        Expr::Literal(LiteralValue::String(_)) => Guess::Unknown,
        Expr::Select(select) if select.test => Guess::Other,
        Expr::Select(select) => match (&select.operand.expr, select.field.as_str()) {
            (Expr::Ident(root), "at") if root == "event" || root == "incoming" => Guess::Moment,
            (Expr::Ident(root), "started_at") if root == "run" => Guess::Moment,
            (Expr::Ident(root), "last_seen") if root == "recipient" => Guess::Moment,
            _ => Guess::Unknown,
        },
        Expr::Call(call) => guess_call(call),
        _ => Guess::Other,
    }
}

fn guess_call(call: &CallExpr) -> Guess {
    match (call.func_name.as_str(), call.args.as_slice()) {
        ("timestamp" | MOMENT, _) => Guess::Moment,
        ("duration", _) => Guess::Duration,
        (operators::ADD, [left, right]) => match (guess(left), guess(right)) {
            (Guess::Moment, _) | (_, Guess::Moment) => Guess::Moment,
            (Guess::Duration, Guess::Duration) => Guess::Duration,
            _ => Guess::Other,
        },
        (operators::SUBSTRACT, [left, right]) => match (guess(left), guess(right)) {
            (Guess::Moment, Guess::Moment) | (Guess::Duration, _) => Guess::Duration,
            (Guess::Moment, _) => Guess::Moment,
            _ => Guess::Other,
        },
        (operators::CONDITIONAL, [_, left, right]) if guess(left) == guess(right) => guess(left),
        (operators::INDEX, _) => Guess::Unknown,
        _ => Guess::Other,
    }
}

fn wrap(node: &mut IdedExpr) {
    let inner = std::mem::take(node);
    let id = inner.id;
    let call = CallExpr { func_name: MOMENT.to_owned(), target: None, args: vec![inner] };
    *node = IdedExpr { id, expr: Expr::Call(call) };
}
