mod check;
mod functions;
mod inlining;
mod plain_text;

use serde_json::{Value, json};

use super::{Context, MAX_OUTPUT, Set, TemplateError};
use crate::model::Content;

fn build(files: &[(&str, &str)]) -> (Set, Vec<String>) {
    let files = files.iter().map(|(path, text)| ((*path).to_owned(), (*text).to_owned()));
    let (set, problems) = Set::build(files.collect());
    let problems =
        problems.iter().map(|p| format!("{} {}:{}:{}", p.code, p.path, p.line, p.column));
    (set, problems.collect())
}

fn sound(files: &[(&str, &str)]) -> Set {
    let (set, problems) = build(files);
    assert_eq!(problems, Vec::<String>::new());
    set
}

fn render_as(
    set: &Set,
    channel: &str,
    locale: Option<&str>,
    names: Value,
) -> Result<Content, TemplateError> {
    set.render("shop/order", channel, locale, &mut Context::from(names))
}

/// One text template, rendered for a recipient.
fn text(source: &str, recipient: Value, data: Value) -> Result<String, String> {
    let set = sound(&[("templates/shop/order/sms.hbs", source)]);
    let names = json!({ "event": { "data": data }, "recipient": recipient });
    match render_as(&set, "sms", None, names) {
        Ok(content) => Ok(content.body),
        Err(error) => Err(error.to_string()),
    }
}

#[test]
fn each_part_is_escaped_in_its_own_way() {
    let note = "<b onclick=\"x\">&'\r\nBcc: all@example.org\u{2028}\\";
    let set = sound(&[
        (
            "templates/shop/order/email.hbs",
            "---\nsubject: 'About {{event.data.note}}'\n---\n<p title=\"{{event.data.note}}\">",
        ),
        ("templates/shop/order/email.txt.hbs", "{{event.data.note}}"),
        (
            "templates/shop/order/webhook.hbs",
            "{\"note\":\"{{event.data.note}}\",\"n\":{{event.data.n}}}",
        ),
        ("templates/shop/order/sms.hbs", "{{event.data.note}}"),
    ]);
    let names = json!({ "event": { "data": { "note": note, "n": 3 } } });
    let mail = render_as(&set, "email", None, names.clone()).expect("rendered");
    assert_eq!(mail.kind, "html");
    assert!(
        !mail.body.contains("<b") && mail.body.contains("&lt;b onclick&#x3D;&quot;x&quot;&gt;"),
        "{}",
        mail.body
    );
    assert_eq!(mail.parts["text"], note);
    let subject = mail.subject.expect("a subject");
    assert_eq!(subject, "About <b onclick=\"x\">&'  Bcc: all@example.org \\");
    let hook = render_as(&set, "webhook", None, names.clone()).expect("rendered");
    assert_eq!(hook.kind, "json");
    let read: Value = serde_json::from_str(&hook.body).expect("JSON");
    assert_eq!(read, json!({ "note": note, "n": 3 }));
    let sms = render_as(&set, "sms", None, names).expect("rendered");
    assert_eq!((sms.kind, sms.body.as_str()), ("text", note));
}

#[test]
fn a_locale_falls_back_to_its_language_and_then_to_the_default() {
    let set = sound(&[
        ("templates/shop/order/sms.hbs", "default"),
        ("templates/shop/order/sms.fr.hbs", "fr"),
        ("templates/shop/order/sms.pt-BR.hbs", "pt-BR"),
    ]);
    for (locale, expected) in [
        (Some("fr-CA"), "fr"),
        (Some("FR_ca"), "fr"),
        (Some("fr"), "fr"),
        (Some("pt-br"), "pt-BR"),
        (Some("pt"), "default"),
        (Some("fra"), "default"),
        (Some(""), "default"),
        (None, "default"),
    ] {
        let content = render_as(&set, "sms", locale, json!({})).expect("rendered");
        assert_eq!(content.body, expected, "{locale:?}");
    }
}

#[test]
fn a_text_part_is_never_of_another_language_than_its_html_part() {
    let set = sound(&[
        ("templates/shop/order/email.hbs", "default"),
        ("templates/shop/order/email.txt.hbs", "default text"),
        ("templates/shop/order/email.de.hbs", "de"),
        ("templates/shop/order/email.fr-CA.hbs", "fr-CA"),
        ("templates/shop/order/email.fr.txt.hbs", "fr text"),
    ]);
    let text = |locale| {
        let content = render_as(&set, "email", Some(locale), json!({})).expect("rendered");
        (content.body, content.parts.get("text").cloned())
    };
    assert_eq!(text("en"), ("default".into(), Some("default text".into())));
    assert_eq!(text("de-AT"), ("de".into(), Some("de".into())), "read off the HTML");
    assert_eq!(text("fr-CA"), ("fr-CA".into(), Some("fr text".into())));
}

const LAYOUT: &str = "<title>{{subject}}</title>{{#if preheader}}<i>{{preheader}}</i>{{/if}}\
    {{> brand}}<main>{{{body}}}</main>{{event.data.foot}}";

#[test]
fn a_layout_holds_the_body_the_front_matter_and_partials() {
    let set = sound(&[
        ("templates/_layouts/shop.hbs", LAYOUT),
        ("templates/_layouts/shop.txt.hbs", "{{subject}}\n{{{body}}}-- "),
        ("templates/_partials/brand.hbs", "<b>{{default event.data.brand \"Shop\"}}</b>"),
        (
            "templates/_partials/parts/button.hbs",
            "<a href=\"{{this.url}}\">{{label}}{{recipient.id}}</a>",
        ),
        (
            "templates/shop/order/email.hbs",
            "---\nlayout: shop\nsubject: {{event.data.name}} & co\npreheader: Soon\n---\n\
             {{#each event.data.items}}{{> parts/button url=this.url label=\"Go <\"}}{{/each}}\n\
             {{> parts/button event.data.other}}",
        ),
        ("templates/shop/order/email.txt.hbs", "{{event.data.name}}: {{preheader}}\n"),
    ]);
    let data = json!({
        "name": "A", "foot": "<", "items": [{ "url": "/1" }],
        "other": { "url": "/2", "label": "L", "recipient": { "id": 9 } },
    });
    let data = {
        let mut data = data;
        data["items"][0]["recipient"] = json!({ "id": 8 });
        data
    };
    let names = json!({ "event": { "data": data } });
    let mut context = Context::from(names.clone());
    let mail = set.render("shop/order", "email", None, &mut context).expect("rendered");
    assert_eq!(
        mail.body,
        "<title>A &amp; co</title><i>Soon</i><b>Shop</b><main><a href=\"/1\">Go &lt;8</a>\n\
         <a href=\"/2\">L9</a></main>&lt;"
    );
    assert_eq!(mail.subject.as_deref(), Some("A & co"));
    assert_eq!(mail.parts["text"], "A & co\nA: Soon\n-- ");
    assert_eq!(mail.parts["preheader"], "Soon");
    assert_eq!(context.data(), &names, "the caller's names are as they were");
}

#[test]
fn an_inbox_entry_has_a_title_and_metadata() {
    let set = sound(&[(
        "templates/shop/order/in_app.hbs",
        "---\n# what the bell shows\ntitle: \"Order: {{event.data.n}}\"\n\
         action_url: '/orders/{{url event.data.n}}'\nicon: box\n---\nShipped.\n",
    )]);
    let names = json!({ "event": { "data": { "n": "a/1 é" } } });
    let content = render_as(&set, "in_app", None, names).expect("rendered");
    assert_eq!(content.subject.as_deref(), Some("Order: a/1 é"));
    assert_eq!(
        Value::Object(content.metadata),
        json!({ "action_url": "/orders/a%2F1%20%C3%A9", "icon": "box" })
    );
    assert_eq!(content.body, "Shipped.", "a file's last line break is not the reader's");
    assert!(content.parts.is_empty());
}

#[test]
fn a_missing_field_is_an_error_with_its_place_but_where_it_is_falsy() {
    let gone = |source: &str| text(source, json!({}), json!({ "there": 1 })).expect_err(source);
    assert_eq!(
        gone("Hello,\n  {{event.data.gone}}"),
        "templates/shop/order/sms.hbs:2:3: missing field `event.data.gone`"
    );
    assert_eq!(
        gone("---\ntitle: 'Hi {{event.data.gone}}'\n---\n"),
        "templates/shop/order/sms.hbs:2:12: missing field `event.data.gone`"
    );
    assert_eq!(
        gone("---\ntitle: {{event.data.gone}}\n---\n"),
        "templates/shop/order/sms.hbs:2:8: missing field `event.data.gone`"
    );
    assert_eq!(
        gone("---\ntitle: x\n---\n{{#if event.data.there}}\n{{upper event.data.gone}}{{/if}}"),
        "templates/shop/order/sms.hbs:5:1: helper `upper`: missing field `event.data.gone`"
    );
    assert!(gone("{{#if (eq event.data.gone 1)}}x{{/if}}").contains("helper `eq`"));
    let falsy = "{{#if event.data.gone}}1{{else}}2{{/if}}{{#unless event.data.gone}}3{{/unless}}\
        {{#each event.data.gone}}4{{/each}}{{#each event.data.gone}}{{else}}5{{/each}}\
        {{default event.data.gone \"6\"}}{{#if (or event.data.gone event.data.there)}}7{{/if}}\
        {{#if event.data.gone}}8{{else if event.data.there}}9{{/if}}";
    assert_eq!(text(falsy, json!({}), json!({ "there": 1 })).as_deref(), Ok("235679"));
}

#[test]
fn errors_in_layouts_and_partials_name_their_own_files() {
    let set = sound(&[
        ("templates/_layouts/shop.hbs", "<p>\n{{{body}}}{{> foot}}"),
        ("templates/_partials/foot.hbs", "<i>\n\n {{event.data.gone}}"),
        ("templates/shop/order/email.hbs", "---\nlayout: shop\n---\nx"),
    ]);
    let error = render_as(&set, "email", None, json!({ "event": { "data": {} } }));
    let error = error.expect_err("a missing field").to_string();
    assert_eq!(error, "templates/_partials/foot.hbs:3:2: missing field `event.data.gone`");
}

#[test]
fn more_than_the_limit_is_refused() {
    let source = "{{#each event.data.rows}}{{@root.event.data.text}}{{/each}}";
    let data = |rows: usize| json!({ "rows": vec![0; rows], "text": "x".repeat(1024) });
    let rows = MAX_OUTPUT / 1024;
    assert_eq!(text(source, json!({}), data(rows)).map(|body| body.len()), Ok(MAX_OUTPUT));
    let error = text(source, json!({}), data(rows + 1)).expect_err("too much");
    assert_eq!(error, "templates/shop/order/sms.hbs:1:26: more than 1048576 bytes");
}
