use std::time::Duration;

use serde_json::{Value, json};

use super::{Machine, Then};
use crate::egress::{Ask, EgressError};
use crate::model::Verdict;
use crate::plan::question::{Answer, Inquiry, Question};
use crate::plan::{Failed, state};
use crate::workflow::Step;
use crate::workflow::step::Fetch;

/// How long a server has, where the file does not say it.
const TIMEOUT: Duration = Duration::from_secs(10);

impl Machine<'_> {
    pub(super) fn fetch(&mut self, step: &Step, fetch: &Fetch) -> Result<Then, Failed> {
        let Some(Answer::Fetched(fetched)) = self.answer.take() else {
            let inquiry = self.inquiry(step, fetch)?;
            return Ok(Then::Ask(Question::Fetch(Box::new(inquiry))));
        };
        let failed = |code, reason| Failed {
            verdict: Verdict::Fail,
            code,
            reason,
            rule: step.place.to_string(),
        };
        let fetched = fetched.map_err(|error| failed(code(&error), error.to_string()))?;
        let (status, body) = (fetched.status, fetched.body);
        if !(200..300).contains(&status) {
            return Err(failed("fetch.failed", format!("the server answered {status}")));
        }
        if let Some(into) = &fetch.into {
            state::set(self.run, into, body.clone());
        }
        let result = json!({ "status": status, "body": body });
        state::outcome(self.run, step, "done", Some(result));
        Ok(Then::Next)
    }

    fn inquiry(&self, step: &Step, fetch: &Fetch) -> Result<Inquiry, Failed> {
        let scope = self.scope();
        let once = fetch.once.then(|| self.once(step));
        let mut headers = Vec::with_capacity(fetch.headers.len() + 2);
        for (name, value) in &fetch.headers {
            headers.push((name.to_ascii_lowercase(), value.evaluate_text(&scope)?));
        }
        let mut offer = |name: &str, value: String| {
            if headers.iter().all(|(own, _)| own != name) {
                headers.push((name.to_owned(), value));
            }
        };
        let body = match &fetch.body {
            None => None,
            Some(body) => Some(match body.evaluate_value(&scope)? {
                Value::String(text) => {
                    offer("content-type", "text/plain; charset=utf-8".to_owned());
                    text
                }
                value => {
                    offer("content-type", "application/json".to_owned());
                    value.to_string()
                }
            }),
        };
        if fetch.method != "GET" {
            // A server that keeps it does once what is asked again after a crash.
            let of = match &once {
                Some(once) => format!("{}-{}", once.event, once.workflow),
                None => self.run.id.to_string(),
            };
            offer("idempotency-key", format!("{of}-{}-{}", step.path, self.item));
        }
        let ask = Ask {
            method: fetch.method.clone(),
            url: fetch.url.evaluate_text(&scope)?,
            headers,
            body,
            timeout: fetch.timeout.map_or(TIMEOUT, |timeout| timeout.0),
        };
        Ok(Inquiry { ask, cache: fetch.cache, once })
    }
}

fn code(error: &EgressError) -> &'static str {
    match error {
        EgressError::Refused(_) | EgressError::TooLarge { .. } => "fetch.refused",
        EgressError::AnswerTooLarge { .. } => "fetch.too_large",
        EgressError::TimeoutBeforeSend | EgressError::TimeoutAfterSend => "fetch.timeout",
        EgressError::Dns
        | EgressError::Connect { .. }
        | EgressError::Tls { .. }
        | EgressError::Broken { .. } => "fetch.failed",
    }
}
