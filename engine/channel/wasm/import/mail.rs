use crate::channel::wasm::bindings::nuncio::channel::mail::{Host, MailError, SmtpReply};
use crate::channel::wasm::instance::State;
use crate::egress::smtp::{Answer, SmtpError};

impl Host for State {
    async fn submit(
        &mut self,
        transport: String,
        mail_from: String,
        rcpt_to: Vec<String>,
        rfc5322: Vec<u8>,
    ) -> wasmtime::Result<Result<String, MailError>> {
        if !self.count_call() {
            return Ok(Err(MailError::Refused("this send has used up its calls".into())));
        }
        let timeout = self.time_left();
        let Some((_, mail)) = self.rights.mail.as_ref().filter(|(name, _)| *name == transport)
        else {
            return Ok(Err(MailError::Refused("there is no such transport".into())));
        };
        // True while the call runs: it may be cut off at any moment.
        let before = std::mem::replace(&mut self.may_have_arrived, true);
        let result = mail.submit(&mail_from, &rcpt_to, rfc5322, timeout).await;
        self.may_have_arrived = before || matches!(result, Ok(_) | Err(SmtpError::AfterData(_)));
        Ok(result.map_err(MailError::from))
    }
}

impl From<SmtpError> for MailError {
    fn from(error: SmtpError) -> Self {
        match error {
            SmtpError::Transient(answer) => Self::Transient(answer.into()),
            SmtpError::Permanent(answer) => Self::Permanent(answer.into()),
            SmtpError::BadRecipient(answer) => Self::BadRecipient(answer.into()),
            SmtpError::BeforeData(why) => Self::BeforeData(why),
            SmtpError::AfterData(why) => Self::AfterData(why),
            SmtpError::Refused(why) => Self::Refused(why),
        }
    }
}

impl From<Answer> for SmtpReply {
    fn from(answer: Answer) -> Self {
        Self { code: answer.code, enhanced: answer.enhanced, text: answer.text }
    }
}
