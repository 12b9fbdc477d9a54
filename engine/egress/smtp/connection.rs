use std::error::Error as _;
use std::time::Duration;

use lettre::Address;
use lettre::transport::smtp::Error;
use lettre::transport::smtp::authentication::{Credentials, DEFAULT_MECHANISMS};
use lettre::transport::smtp::client::{AsyncSmtpConnection, TlsParameters};
use lettre::transport::smtp::commands::{Data, Mail, Rcpt, Rset};
use lettre::transport::smtp::extension::{ClientId, Extension, MailBodyParameter, MailParameter};
use tokio::net::TcpStream;

use super::{Answer, Security, Server, SmtpError};

const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

/// One conversation, which can carry several mails. Speaks through lettre command by command,
/// because what a failure means depends on the command it answers.
pub(super) struct Connection(AsyncSmtpConnection);

impl Connection {
    pub(super) async fn open(
        server: &Server,
        tls: Option<&TlsParameters>,
        login: Option<&Credentials>,
    ) -> Result<Self, SmtpError> {
        let opening = connect(server, tls);
        let mut connection = match tokio::time::timeout(CONNECT_TIMEOUT, opening).await {
            Ok(opened) => opened?,
            Err(_) => return Err(SmtpError::BeforeData("no connection in time".into())),
        };
        if let Some(login) = login {
            connection.auth(DEFAULT_MECHANISMS, login).await.map_err(|why| before(&why))?;
        }
        Ok(Self(connection))
    }

    /// MAIL: a kept connection that the server has closed shows it here, where nothing is lost.
    pub(super) async fn begin(&mut self, from: &Address, message: &[u8]) -> Result<(), SmtpError> {
        let mut parameters = Vec::new();
        if !message.is_ascii() {
            self.needs(Extension::EightBitMime)?;
            parameters.push(MailParameter::Body(MailBodyParameter::EightBitMime));
        }
        if !AsRef::<str>::as_ref(from).is_ascii() {
            self.needs(Extension::SmtpUtfEight)?;
            parameters.push(MailParameter::SmtpUtfEight);
        }
        let mail = Mail::new(Some(from.clone()), parameters);
        self.0.command(mail).await.map(drop).map_err(|why| before(&why))
    }

    /// RCPT, DATA and the message. `handed_over` is set as soon as the server may have it all.
    pub(super) async fn hand_over(
        &mut self,
        to: &[Address],
        message: &[u8],
        handed_over: &mut bool,
    ) -> Result<String, SmtpError> {
        for recipient in to {
            let rcpt = Rcpt::new(recipient.clone(), Vec::new());
            self.0.command(rcpt).await.map_err(|why| about_recipient(before(&why)))?;
        }
        self.0.command(Data).await.map_err(|why| before(&why))?;
        *handed_over = true;
        match self.0.message(message).await {
            Ok(response) => Ok(response.message().collect::<Vec<_>>().join(" ")),
            Err(why) => {
                Err(answered(&why).unwrap_or_else(|| SmtpError::AfterData(why.to_string())))
            }
        }
    }

    /// Whether the next mail can go over it.
    pub(super) async fn reset(&mut self) -> bool {
        self.0.command(Rset).await.is_ok()
    }

    pub(super) async fn quit(&mut self) {
        let _ = self.0.quit().await;
    }

    fn needs(&self, extension: Extension) -> Result<(), SmtpError> {
        if self.0.server_info().supports_feature(extension) {
            return Ok(());
        }
        Err(SmtpError::Refused(format!("the server does not support {extension}")))
    }
}

async fn connect(
    server: &Server,
    tls: Option<&TlsParameters>,
) -> Result<AsyncSmtpConnection, SmtpError> {
    let hello = ClientId::default();
    let place = (server.host.as_str(), server.port);
    if server.security == Security::Tls {
        return AsyncSmtpConnection::connect_tokio1(place, None, &hello, tls.cloned(), None)
            .await
            .map_err(|why| unavailable(&why));
    }
    let broken = |why: std::io::Error| SmtpError::BeforeData(why.to_string());
    let stream = TcpStream::connect(place).await.map_err(broken)?;
    // A mail ends in a write of its own, which would wait for the acknowledgement of the rest.
    stream.set_nodelay(true).map_err(broken)?;
    let mut connection = AsyncSmtpConnection::connect_with_transport(Box::new(stream), &hello)
        .await
        .map_err(|why| unavailable(&why))?;
    if let Some(tls) = tls {
        connection.starttls(tls.clone(), &hello).await.map_err(|why| unavailable(&why))?;
    }
    Ok(connection)
}

/// Whatever the server says before it has heard of a mail is not about the mail.
fn unavailable(error: &Error) -> SmtpError {
    SmtpError::BeforeData(match error.status() {
        Some(code) => format!("the server answered {code} to the connection"),
        None => error.to_string(),
    })
}

fn before(error: &Error) -> SmtpError {
    answered(error).unwrap_or_else(|| SmtpError::BeforeData(error.to_string()))
}

/// The server's own no, if it said one.
fn answered(error: &Error) -> Option<SmtpError> {
    let code = u16::from(error.status()?);
    let text = error.source().map(ToString::to_string).unwrap_or_default();
    let enhanced = text.split_whitespace().next().filter(|word| is_enhanced(word));
    let answer = Answer { code, enhanced: enhanced.map(Into::into), text };
    Some(if code < 500 { SmtpError::Transient(answer) } else { SmtpError::Permanent(answer) })
}

/// Of the permanent answers to RCPT, those that say that the mailbox does not exist or is shut;
/// the others are about policy, and would meet every recipient.
fn about_recipient(error: SmtpError) -> SmtpError {
    let SmtpError::Permanent(answer) = error else { return error };
    let bad = match answer.enhanced.as_deref() {
        Some("5.1.7" | "5.1.8") => false,
        Some(enhanced) => enhanced.starts_with("5.1.") || enhanced == "5.2.1",
        None => matches!(answer.code, 550 | 551 | 553),
    };
    if bad { SmtpError::BadRecipient(answer) } else { SmtpError::Permanent(answer) }
}

/// RFC 3463 §2: class, subject and detail.
fn is_enhanced(word: &str) -> bool {
    let mut parts = word.split('.');
    matches!(parts.next(), Some("2" | "4" | "5"))
        && parts.clone().count() == 2
        && parts.all(|part| (1..=3).contains(&part.len()) && part.parse::<u16>().is_ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn permanent(code: u16, enhanced: Option<&str>) -> SmtpError {
        let enhanced = enhanced.map(Into::into);
        SmtpError::Permanent(Answer { code, enhanced, text: String::new() })
    }

    #[test]
    fn a_policy_at_rcpt_is_not_the_recipients_fault() {
        let bad = |code, enhanced| {
            matches!(about_recipient(permanent(code, enhanced)), SmtpError::BadRecipient(_))
        };
        assert!(bad(550, None));
        assert!(bad(550, Some("5.1.1")));
        assert!(bad(550, Some("5.2.1")));
        assert!(!bad(550, Some("5.7.1")));
        assert!(!bad(550, Some("5.1.8")));
        assert!(!bad(554, None));
    }

    #[test]
    fn enhanced_codes_are_told_from_words() {
        assert!(is_enhanced("5.1.1"));
        assert!(is_enhanced("4.7.123"));
        for word in ["5", "5.1", "5.1.1.1", "1.2.3", "5.x.1", "127.0.0.1"] {
            assert!(!is_enhanced(word), "{word}");
        }
    }
}
