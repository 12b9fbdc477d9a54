//! Requests through the host, with the usual meaning of the usual answers.

use std::time::{Duration, UNIX_EPOCH};

pub use crate::bindings::nuncio::channel::http::{Auth, Error, Part, Request, Response, send};
use crate::{Failure, Field, SendError, runtime};

/// POSTs JSON and takes any 2xx for success; what else comes is the error [`failure`] makes of it.
pub fn post_json(url: &str, auth: Auth, body: Vec<u8>) -> Result<Response, SendError> {
    let answer = send(&Request {
        method: "POST".into(),
        url: url.into(),
        headers: vec![Field { name: "content-type".into(), value: "application/json".into() }],
        auth,
        body: vec![Part::Bytes(body)],
        timeout_ms: 0,
    })?;
    check(answer)
}

/// The answer if it is a 2xx, else its [`failure`].
pub fn check(answer: Response) -> Result<Response, SendError> {
    if (200..300).contains(&answer.status) { Ok(answer) } else { Err(failure(&answer)) }
}

/// What an API's refusal means. 408, 425 and 5xx are tried again, 429 after a pause, 401, 403 and
/// 407 are about the credentials, and any other is about this message.
///
/// An API that means something else by a status matches on it first.
pub fn failure(answer: &Response) -> SendError {
    let status = answer.status;
    let mut failure =
        Failure::new(format!("http.{status}"), format!("the provider answered {status}"));
    failure.provider_status = Some(status);
    failure.retry_after_ms =
        retry_after(answer).map(|wait| u64::try_from(wait.as_millis()).unwrap_or(u64::MAX));
    match status {
        429 => SendError::RateLimited(failure),
        408 | 425 | 500.. => SendError::Retryable(failure),
        401 | 403 | 407 => SendError::Misconfigured(failure),
        _ => SendError::Rejected(failure),
    }
}

/// The first header of that name, in any case.
pub fn field(answer: &Response, name: &str) -> Option<String> {
    answer
        .headers
        .iter()
        .find(|field| field.name.eq_ignore_ascii_case(name))
        .map(|field| field.value.clone())
}

/// `Retry-After` (RFC 9110 §10.2.3), as seconds or as a date; a date gone by is zero.
pub fn retry_after(answer: &Response) -> Option<Duration> {
    let value = field(answer, "retry-after")?;
    if let Ok(seconds) = value.trim().parse() {
        return Some(Duration::from_secs(seconds));
    }
    let at = httpdate::parse_http_date(value.trim()).ok()?.duration_since(UNIX_EPOCH).ok()?;
    Some(at.saturating_sub(Duration::from_millis(runtime::now_ms())))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(status: u16, headers: &[(&str, &str)]) -> Response {
        let headers = headers
            .iter()
            .map(|(name, value)| Field { name: (*name).into(), value: (*value).into() })
            .collect();
        Response { status, headers, body: Vec::new(), truncated: false }
    }

    #[test]
    fn each_status_has_its_class() {
        let class = |status| match failure(&answer(status, &[])) {
            SendError::Retryable(_) => "retryable",
            SendError::RateLimited(_) => "rate limited",
            SendError::Rejected(_) => "rejected",
            SendError::Misconfigured(_) => "misconfigured",
            other => panic!("{status} is {other:?}"),
        };
        assert_eq!(
            [302, 400, 401, 404, 408, 422, 425, 429, 500, 503].map(class),
            [
                "rejected",
                "rejected",
                "misconfigured",
                "rejected",
                "retryable",
                "rejected",
                "retryable",
                "rate limited",
                "retryable",
                "retryable",
            ]
        );
    }

    #[test]
    fn retry_after_is_read_in_any_case() {
        let answer = answer(429, &[("Retry-AFTER", " 7 ")]);
        assert_eq!(retry_after(&answer), Some(Duration::from_secs(7)));
        let SendError::RateLimited(failure) = failure(&answer) else { panic!("not rate limited") };
        assert_eq!(failure.retry_after_ms, Some(7000));
    }
}
