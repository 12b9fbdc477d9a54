use crate::bindings::nuncio::channel::http;
use crate::bindings::nuncio::channel::mail::{MailError, SmtpReply};
use crate::{Failure, Receipt, SendError};

impl Receipt {
    /// Accepted by the provider, under its own id.
    pub fn new(provider_id: Option<String>) -> Self {
        Self { provider_id, state: "accepted".into(), detail: None, extra: Vec::new() }
    }
}

impl Failure {
    /// `code` is stable and dotted; `message` is for an operator, without addresses and bodies.
    pub fn new(code: impl Into<String>, message: impl Into<String>) -> Self {
        Self {
            code: code.into(),
            message: message.into(),
            retry_after_ms: None,
            provider_status: None,
        }
    }
}

impl SendError {
    pub fn retryable(code: impl Into<String>, message: impl Into<String>) -> Self {
        Self::Retryable(Failure::new(code, message))
    }

    /// It may have been sent.
    pub fn unknown(code: impl Into<String>, message: impl Into<String>) -> Self {
        Self::UnknownOutcome(Failure::new(code, message))
    }

    pub fn invalid_recipient(code: impl Into<String>, message: impl Into<String>) -> Self {
        Self::InvalidRecipient(Failure::new(code, message))
    }

    pub fn rejected(code: impl Into<String>, message: impl Into<String>) -> Self {
        Self::Rejected(Failure::new(code, message))
    }

    pub fn misconfigured(code: impl Into<String>, message: impl Into<String>) -> Self {
        Self::Misconfigured(Failure::new(code, message))
    }
}

/// The right class for each way a request can fail before there is an answer.
impl From<http::Error> for SendError {
    fn from(error: http::Error) -> Self {
        use http::Error as E;
        match error {
            E::Forbidden(why) => {
                let (code, message) = why.split_once(": ").unwrap_or(("egress.forbidden", &why));
                Self::rejected(code, message)
            }
            E::Dns(why) => Self::retryable("http.dns", why),
            E::Connect(why) => Self::retryable("http.connect", why),
            E::Tls(why) => Self::retryable("http.tls", why),
            E::TimeoutBeforeSend => Self::retryable("http.timeout", "no connection in time"),
            E::TimeoutAfterSend => Self::unknown("http.timeout", "no answer in time"),
            E::TooLarge(limit) => {
                Self::rejected("http.too_large", format!("the request is over {limit} bytes"))
            }
            E::Budget(why) => Self::rejected("http.budget", why),
            E::Other(why) => Self::unknown("http.broken", why),
        }
    }
}

/// The right class for each way a mail can fail (RFC 5321 §4.2.1, RFC 4954 §6).
impl From<MailError> for SendError {
    fn from(error: MailError) -> Self {
        match error {
            MailError::Transient(reply) => Self::Retryable(failure(reply)),
            MailError::Permanent(reply) if matches!(reply.code, 530 | 534 | 535 | 538) => {
                Self::Misconfigured(failure(reply))
            }
            MailError::Permanent(reply) => Self::Rejected(failure(reply)),
            MailError::BadRecipient(reply) => Self::InvalidRecipient(failure(reply)),
            MailError::BeforeData(why) => Self::retryable("smtp.connection", why),
            MailError::AfterData(why) => Self::unknown("smtp.connection", why),
            MailError::Refused(why) => Self::rejected("smtp.refused", why),
        }
    }
}

/// The server's own words stay out: they like to repeat the address.
fn failure(reply: SmtpReply) -> Failure {
    let code = reply.code;
    let message = match reply.enhanced {
        Some(enhanced) => format!("the server answered {code} {enhanced}"),
        None => format!("the server answered {code}"),
    };
    let mut failure = Failure::new(format!("smtp.{code}"), message);
    failure.provider_status = Some(code);
    failure
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_forbidden_request_keeps_the_hosts_code() {
        let error = http::Error::Forbidden("egress.private: 10.0.0.1 is private".into());
        let SendError::Rejected(failure) = SendError::from(error) else { panic!("not rejected") };
        assert_eq!(failure.code, "egress.private");
        assert_eq!(failure.message, "10.0.0.1 is private");
    }

    #[test]
    fn credentials_that_are_refused_are_the_operators_business() {
        let reply = SmtpReply { code: 535, enhanced: Some("5.7.8".into()), text: String::new() };
        assert!(matches!(
            SendError::from(MailError::Permanent(reply)),
            SendError::Misconfigured(failure) if failure.code == "smtp.535"
        ));
    }
}
