//! What a sensitive workflow leaves on the disk, in the logs and on lock screens: nothing of what
//! it is about.

mod keys;
mod rest;
mod screen;

use crate::harness::node::Installation;

/// Nobody writes these by chance.
const SECRET: &str = "pomegranate";
const OPEN: &str = "watermelon";

const KEY: &str = "a key for tests, of more than thirty-two characters";

fn workflow(name: &str, sensitive: bool) -> String {
    format!(
        "workflow: {name}\non: {name}.ready\nsensitive: {sensitive}\nrecipients:\n\
         \x20 - user: event.data.user\n\
         \x20 - contact: event.data.guest\n    if: has(event.data.guest)\n\
         steps:\n  - set: {{ finding: event.data.finding }}\n\
         \x20 - send: [in_app, email, push, sms]\n    template: lab\n  - delay: 1h\n\
         \x20 - send: in_app\n    template: lab\n"
    )
}

/// A sensitive workflow that sends on every kind of channel and then waits, and one like it that
/// is not sensitive.
fn clinic() -> Installation {
    let text = "Your result: {{event.data.finding}}, {{vars.finding}}";
    Installation::empty()
        .file("workflows/result.yaml", &workflow("result", true))
        .file("workflows/notice.yaml", &workflow("notice", false))
        .file(
            "templates/lab/in_app.hbs",
            &format!("---\ntitle: 'About {{{{event.data.finding}}}}'\npublic_title: A letter\naction_url: '/{{{{event.data.finding}}}}'\n---\n{text}\n"),
        )
        .file("templates/lab/email.hbs", &format!("---\nsubject: Result\n---\n<p>{text}</p>\n"))
        .file("templates/lab/push.hbs", &format!("---\ntitle: Result\n---\n{text}\n"))
        .file("templates/lab/push.de.hbs", &format!("---\ntitle: Ergebnis\npublic_title: Ihre Klinik\npublic_text: '{{{{event.data.finding}}}}'\n---\n{text}\n"))
        .file("templates/lab/sms.hbs", &format!("{text}\n"))
}
