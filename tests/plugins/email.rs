use mail_parser::{MessageParser, MimeHeaders};
use nuncio::channel::{Address, Outcome};
use nuncio::model::Parcel;
use serde_json::json;

use super::hosting::{DEADLINE, code, host, parcel, provider, secret, setup};
use crate::harness::smtp::{Act, Options, SmtpServer};

fn settings(server: &SmtpServer) -> serde_json::Value {
    json!({
        "host": "127.0.0.1",
        "port": server.address.port(),
        "from": "Nuncio <no-reply@sender.example>",
    })
}

fn mail(to: &str) -> Parcel {
    let mut parcel = parcel("email", to, "<p>Grüße, <b>Ada</b></p>");
    parcel.content.kind = "html";
    parcel.content.subject =
        Some("Ein Gruß 🎉 an Ada, der länger ist als eine Zeile lang sein darf".into());
    parcel.content.parts.insert("text".into(), "Grüße, Ada\n.\nsecond line".into());
    parcel
}

#[tokio::test]
async fn a_mail_arrives_as_it_was_written() {
    let server = SmtpServer::start(Options::default()).await;
    let email = provider(&host(), "email", setup(settings(&server))).await;
    let parcel = mail("Ada Lovelace <ada@example.com>");

    let outcome = email.send(&parcel, DEADLINE).await;

    let Outcome::Accepted { receipt: Some(receipt), .. } = &outcome else { panic!("{outcome:?}") };
    assert!(receipt.contains("queued"), "{receipt}");
    let [received] = &server.mails()[..] else { panic!("one mail") };
    assert_eq!(received.from, "no-reply@sender.example");
    assert_eq!(received.to, ["ada@example.com"]);
    let message = MessageParser::default().parse(&received.data).expect("a message");
    assert_eq!(message.subject(), parcel.content.subject.as_deref());
    assert_eq!(message.from().unwrap().first().unwrap().name(), Some("Nuncio"));
    assert_eq!(message.to().unwrap().first().unwrap().address(), Some("ada@example.com"));
    assert_eq!(message.to().unwrap().first().unwrap().name(), Some("Ada Lovelace"));
    let id = format!("{}@sender.example", parcel.idempotency_key);
    assert_eq!(message.message_id(), Some(id.as_str()));
    let age = message.date().expect("a date").to_timestamp() - parcel.at.as_second();
    assert!(age.abs() < 60, "the date is of now");
    assert_eq!(message.body_html(0).as_deref(), Some("<p>Grüße, <b>Ada</b></p>"));
    let text = message.body_text(0).expect("a text part").replace("\r\n", "\n");
    assert_eq!(text, "Grüße, Ada\n.\nsecond line");
    assert_eq!(message.content_type().unwrap().subtype(), Some("alternative"));
    assert!(received.data.is_ascii(), "every part is encoded");
    for part in message.text_bodies().chain(message.html_bodies()) {
        assert_eq!(part.content_transfer_encoding(), Some("quoted-printable"));
    }
}

#[tokio::test]
async fn every_attempt_has_the_same_message_id() {
    let server = SmtpServer::start(Options::default()).await;
    let email = provider(&host(), "email", setup(settings(&server))).await;
    let mut parcel = mail("ada@example.com");

    email.send(&parcel, DEADLINE).await;
    parcel.attempt = 2;
    email.send(&parcel, DEADLINE).await;

    let ids: Vec<_> = server
        .mails()
        .iter()
        .map(|mail| {
            let message = MessageParser::default().parse(&mail.data).expect("a message");
            message.message_id().expect("an id").to_owned()
        })
        .collect();
    assert_eq!(ids.len(), 2);
    assert_eq!(ids[0], ids[1]);
    assert_eq!(server.connections(), 1, "the connection is used again");
}

/// RUSTSEC-2026-0561: see `engine/egress/smtp/line_ending.rs`.
#[tokio::test]
async fn a_body_cannot_speak_smtp() {
    let server = SmtpServer::start(Options { bare_lf_ends_lines: true }).await;
    let email = provider(&host(), "email", setup(settings(&server))).await;
    let smuggled = "before\n.\nMAIL FROM:<evil@example.com>\nRCPT TO:<victim@example.com>\nDATA\n\
                    Subject: smuggled\n\nevil\n.\nQUIT\n";
    for line_end in ["\n", "\r\n", "\r"] {
        let body = smuggled.replace('\n', line_end);
        let mut parcel = mail("ada@example.com");
        parcel.content.parts.insert("text".into(), body.clone());
        parcel.content.body = body;
        assert_eq!(code(&email.send(&parcel, DEADLINE).await), "accepted");
    }

    let mails = server.mails();
    assert_eq!(mails.len(), 3, "no mail but those that were sent");
    for mail in mails {
        assert_eq!(mail.to, ["ada@example.com"]);
        let message = MessageParser::default().parse(&mail.data).expect("a message");
        let html = message.body_html(0).expect("an HTML part");
        assert!(
            html.contains("before") && html.contains("evil") && html.contains("QUIT"),
            "{html}"
        );
    }
    assert!(!server.commands().iter().any(|command| command.contains("evil")));
}

/// The same for bytes that no plugin encoded: the transport itself holds.
#[tokio::test]
async fn raw_bytes_cannot_speak_smtp() {
    use nuncio::egress::smtp::{Security, Server, Transport};
    let server = SmtpServer::start(Options { bare_lf_ends_lines: true }).await;
    let transport = Transport::new(Server {
        host: "127.0.0.1".into(),
        port: server.address.port(),
        security: Security::None,
        login: None,
    })
    .expect("a transport");
    let raw = b"Subject: raw\n\nbefore\n.\nMAIL FROM:<evil@example.com>\nafter\r.\rend".to_vec();

    let to = ["ada@example.com".to_owned()];
    transport.submit("me@sender.example", &to, raw, DEADLINE).await.expect("it is taken");

    let [mail] = &server.mails()[..] else { panic!("one mail: {:?}", server.mails()) };
    let text = String::from_utf8_lossy(&mail.data).replace("\r\n", "\n");
    assert_eq!(text, "Subject: raw\n\nbefore\n.\nMAIL FROM:<evil@example.com>\nafter\n.\nend\n");
    let lines = ["me@sender.example".to_owned(), "a\r\nRCPT TO:<b@example.com>".to_owned()];
    assert!(transport.submit(&lines[0], &lines[1..], b"x".to_vec(), DEADLINE).await.is_err());
}

#[tokio::test]
async fn line_breaks_in_headers_are_refused() {
    let server = SmtpServer::start(Options::default()).await;
    let email = provider(&host(), "email", setup(settings(&server))).await;

    for text in ["a\nBcc: victim@example.com", "a\rb", "a\0b"] {
        let mut parcel = mail("ada@example.com");
        parcel.content.subject = Some(text.into());
        let outcome = email.send(&parcel, DEADLINE).await;
        assert!(matches!(outcome, Outcome::Rejected { .. }), "{outcome:?}");
        assert_eq!(code(&outcome), "email.header");
    }
    for to in ["ada@example.com\r\nBcc: victim@example.com", "nobody", ""] {
        let outcome = email.send(&mail(to), DEADLINE).await;
        assert!(matches!(outcome, Outcome::InvalidRecipient { .. }), "{to:?}: {outcome:?}");
    }
    assert!(server.mails().is_empty());
}

#[tokio::test]
async fn each_answer_has_its_outcome() {
    let server = SmtpServer::start(Options::default()).await;
    let email = provider(&host(), "email", setup(settings(&server))).await;
    let mut seen = Vec::new();
    for (verb, act) in [
        ("HELLO", Act::Say("554 5.3.2 not now")),
        ("MAIL", Act::Say("451 4.3.0 later")),
        ("RCPT", Act::Say("450 4.2.0 greylisted")),
        ("RCPT", Act::Say("550 5.1.1 ada@example.com is unknown")),
        ("RCPT", Act::Say("554 5.7.1 relaying denied")),
        ("DATA", Act::Say("452 4.3.1 full")),
        (".", Act::Say("554 5.6.0 no such content")),
        (".", Act::Say("451 4.3.0 try again")),
        ("MAIL", Act::Say("421 4.3.2 closing")),
        ("DATA", Act::Close),
        (".", Act::Close),
    ] {
        server.on(verb, act.clone());
        let outcome = email.send(&mail("ada@example.com"), DEADLINE).await;
        let class = match &outcome {
            Outcome::Retry { .. } => "retry",
            Outcome::Unknown { .. } => "unknown",
            Outcome::InvalidRecipient { .. } => "invalid recipient",
            Outcome::Rejected { .. } => "rejected",
            other => panic!("{verb} {act:?}: {other:?}"),
        };
        let failure = outcome.failure().expect("a failure");
        seen.push(format!("{verb} {act:?}: {class}, {}", failure.code));
        assert!(!failure.message.contains("ada@"), "no address: {}", failure.message);
    }
    insta::assert_snapshot!(seen.join("\n"), @r#"
    HELLO Say("554 5.3.2 not now"): retry, smtp.connection
    MAIL Say("451 4.3.0 later"): retry, smtp.451
    RCPT Say("450 4.2.0 greylisted"): retry, smtp.450
    RCPT Say("550 5.1.1 ada@example.com is unknown"): invalid recipient, smtp.550
    RCPT Say("554 5.7.1 relaying denied"): rejected, smtp.554
    DATA Say("452 4.3.1 full"): retry, smtp.452
    . Say("554 5.6.0 no such content"): rejected, smtp.554
    . Say("451 4.3.0 try again"): retry, smtp.451
    MAIL Say("421 4.3.2 closing"): retry, smtp.421
    DATA Close: retry, smtp.connection
    . Close: unknown, smtp.connection
    "#);
    assert_eq!(code(&email.send(&mail("ada@example.com"), DEADLINE).await), "accepted");
}

#[tokio::test]
async fn a_kept_connection_that_was_closed_costs_no_mail() {
    let server = SmtpServer::start(Options::default()).await;
    let email = provider(&host(), "email", setup(settings(&server))).await;
    assert_eq!(code(&email.send(&mail("ada@example.com"), DEADLINE).await), "accepted");

    server.on("MAIL", Act::Close);
    assert_eq!(code(&email.send(&mail("ada@example.com"), DEADLINE).await), "accepted");

    assert_eq!(server.mails().len(), 2);
    assert_eq!(server.connections(), 2);
}

#[tokio::test]
async fn silence_after_the_data_leaves_the_outcome_open() {
    let server = SmtpServer::start(Options::default()).await;
    let email = provider(&host(), "email", setup(settings(&server))).await;
    let soon = std::time::Duration::from_secs(1);

    server.on("RCPT", Act::Hang);
    let outcome = email.send(&mail("ada@example.com"), soon).await;
    assert!(matches!(outcome, Outcome::Retry { .. }), "{outcome:?}");

    server.on(".", Act::Hang);
    let outcome = email.send(&mail("ada@example.com"), soon).await;
    assert!(matches!(outcome, Outcome::Unknown { .. }), "{outcome:?}");
}

#[tokio::test]
async fn it_logs_in_and_says_when_it_may_not() {
    let server = SmtpServer::start(Options::default()).await;
    let mut with_login = settings(&server);
    with_login["username"] = "ada".into();
    let with_login = secret(setup(with_login), "password", "hunter2!");
    let email = provider(&host(), "email", with_login).await;

    server.on("AUTH", Act::Say("535 5.7.8 no"));
    let outcome = email.send(&mail("ada@example.com"), DEADLINE).await;
    assert!(matches!(outcome, Outcome::Misconfigured { .. }), "{outcome:?}");

    assert_eq!(code(&email.send(&mail("ada@example.com"), DEADLINE).await), "accepted");
    assert!(server.commands().iter().any(|command| command.starts_with("AUTH PLAIN")));
}

#[tokio::test]
async fn a_server_without_starttls_gets_no_mail_where_it_is_asked_for() {
    let server = SmtpServer::start(Options::default()).await;
    let mut settings = settings(&server);
    settings["tls"] = "starttls".into();
    let email = provider(&host(), "email", setup(settings)).await;

    let outcome = email.send(&mail("ada@example.com"), DEADLINE).await;

    assert!(matches!(outcome, Outcome::Retry { .. }), "{outcome:?}");
    assert!(!server.commands().iter().any(|command| command.starts_with("MAIL")));
}

#[tokio::test]
async fn its_traits_come_from_the_manifest() {
    let server = SmtpServer::start(Options::default()).await;
    let email = provider(&host(), "email", setup(settings(&server))).await;
    assert!(email.traits().interrupts);
    assert!(email.traits().idempotent);
    assert_eq!(email.traits().address, Address::Email);
}
