use serde_json::{Value, json};

use super::{build, render_as, sound};
use crate::template::inline_css;

const LAYOUT: &str = "<!doctype html>\n<html><head><title>{{subject}}</title><style>\n\
    .button a { color: #fff }\n.head { padding: 1px }\np { margin: 0 }\na:hover { color: red }\n\
    @media (max-width: 480px) { .head { padding: 0 !important } }\n</style></head>\
    <body><div class=\"head\">{{> brand}}</div>{{{body}}}</body></html>";

fn mail(body: &str, data: Value) -> String {
    let body = format!("---\nlayout: shop\nsubject: 'Hi {{{{event.data.name}}}}'\n---\n{body}");
    let set = sound(&[
        ("templates/_layouts/shop.hbs", LAYOUT),
        ("templates/_partials/brand.hbs", "<b>{{default event.data.brand \"Shop\"}}</b>"),
        (
            "templates/_partials/button.hbs",
            "<div class=\"button\"><a href=\"{{url}}?x=1&amp;y={{label}}\">{{label}}</a></div>",
        ),
        ("templates/shop/order/email.hbs", &body),
    ]);
    let names = json!({ "event": { "data": data } });
    render_as(&set, "email", None, names).expect("rendered").body
}

#[test]
fn a_sheet_is_inlined_over_layout_body_and_partials_before_any_message() {
    let body = "<p title=\"{{event.data.name}}\">{{event.data.name}}</p>\
        {{> button url=event.data.url label=\"Go <\"}}\
        {{#if event.data.more}}<p>more</p>{{else}}<p>less</p>{{/if}}\
        <table>{{#each event.data.rows}}<tr><td>{{this}}</td></tr>{{/each}}</table>\
        <!-- {{event.data.name}} -->";
    let data = json!({ "name": "A \"& B\"", "url": "/o/1", "rows": [1, 2], "more": true });
    let page = mail(body, data.clone());
    assert!(
        page.contains("<div class=\"head\" style=\"padding: 1px;\"><b>Shop</b></div>"),
        "{page}"
    );
    assert!(
        page.contains(
            "<p title=\"A &quot;&amp; B&quot;\" style=\"margin: 0;\">A &quot;&amp; B&quot;</p>"
        ),
        "{page}"
    );
    assert!(
        page.contains("<a href=\"/o/1?x=1&amp;y=Go &lt;\" style=\"color: #fff;\">Go &lt;</a>"),
        "{page}"
    );
    assert!(page.contains("<p style=\"margin: 0;\">more</p><table>"), "{page}");
    assert!(
        page.contains("<table><tbody><tr><td>1</td></tr><tr><td>2</td></tr></tbody></table>"),
        "{page}"
    );
    assert!(page.contains("<title>Hi A &quot;&amp; B&quot;</title>"), "{page}");
    assert!(page.contains("a:hover") && page.contains("@media"), "{page}");
    assert!(page.starts_with("<!doctype html>"), "{page}");
    assert!(!page.contains(".button a") && !page.contains("nxq"), "{page}");
    let mut data = data;
    (data["more"], data["rows"]) = (json!(false), json!([]));
    let page = mail(body, data);
    assert!(
        page.contains("<p style=\"margin: 0;\">less</p><table><tbody></tbody></table>"),
        "{page}"
    );
}

#[test]
fn what_is_inlined_once_is_what_would_be_inlined_for_the_message() {
    let body = "<p class=x>{{event.data.name}}</p>{{> button url=event.data.url label=\"Go\"}}\
        {{#each event.data.rows}}<p>{{this}}{{#if ../event.data.more}} <i>y</i>{{/if}}</p>{{/each}}";
    let data = json!({ "name": "Ada", "url": "/1", "rows": ["a", "b"], "more": true });
    let once = mail(body, data);
    assert_eq!(inline_css(&once).as_deref(), Some(once.as_str()), "nothing is left to inline");
    let twice = inline_css(&once).expect("a page");
    assert_eq!(once.matches("style=\"margin: 0;\"").count(), 3);
    assert_eq!(twice, once);
}

#[test]
fn a_mail_without_a_sheet_is_left_as_it_is_written() {
    let set = sound(&[("templates/shop/order/email.hbs", "<p class=a>x<td>&eacute;")]);
    let mail = render_as(&set, "email", None, json!({})).expect("rendered");
    assert_eq!(mail.body, "<p class=a>x<td>&eacute;");
}

#[test]
fn places_of_errors_stay_those_of_the_files() {
    let set = sound(&[
        ("templates/_layouts/shop.hbs", "<style>b { color: red }</style>\n{{> foot}}{{{body}}}"),
        ("templates/_partials/foot.hbs", "<b>\n\n {{default event.data.gone \"x\"}}</b>"),
        (
            "templates/shop/order/email.hbs",
            "---\nlayout: shop\n---\n<b>x</b>\n{{#if event.data}}\n  <b>{{event.data.gone}}</b>{{/if}}",
        ),
    ]);
    let error = render_as(&set, "email", None, json!({ "event": { "data": { "a": 1 } } }));
    let error = error.expect_err("a missing field").to_string();
    assert_eq!(error, "templates/shop/order/email.hbs:6:6: missing field `event.data.gone`");
}

#[test]
fn markup_that_depends_on_the_message_is_inlined_for_each_and_said_so() {
    let style = "<style>.a { color: red }</style>";
    for (body, column) in [
        ("<p class=\"{{event.data.c}}\">x</p>", 1 + 10),
        ("<p {{event.data.c}} class=a>x</p>", 1 + 3),
        ("<p class=a>{{{event.data.c}}}</p>", 1 + 11),
        ("{{#if event.data.c}}<p class=a>{{/if}}x</p>", 1),
        ("<p class=a style=\"{{#if event.data.c}}top: 0{{/if}}\">x</p>", 1 + 18),
    ] {
        let source = format!("{style}\n{body}");
        let (set, problems) = build(&[("templates/shop/order/email.hbs", &source)]);
        assert_eq!(
            problems,
            [format!("template.inline templates/shop/order/email.hbs:2:{column}")],
            "{body}"
        );
        let names = json!({ "event": { "data": { "c": "a" } } });
        let first = render_as(&set, "email", None, names.clone()).expect("rendered").body;
        let again = render_as(&set, "email", None, names).expect("rendered").body;
        assert!(first.contains("color: red") && !first.contains(".a {"), "{first}");
        assert_eq!(first, again);
    }
    let neighbours = "<style>p + p { color: red }</style>{{#each event.data.c}}<p>x</p>{{/each}}";
    let (set, problems) = build(&[("templates/shop/order/email.hbs", neighbours)]);
    assert_eq!(problems, ["template.inline templates/shop/order/email.hbs:1:36"]);
    let names = json!({ "event": { "data": { "c": [1, 2] } } });
    let page = render_as(&set, "email", None, names).expect("rendered").body;
    assert!(page.contains("<p>x</p><p style=\"color: red;\">x</p>"), "{page}");
}

#[test]
fn a_value_may_stand_in_a_style() {
    let body = "<p style=\"color: {{event.data.color}}\">x</p>";
    let page = mail(body, json!({ "name": "A", "color": "#123" }));
    assert!(page.contains("margin: 0") && page.contains("color: #123"), "{page}");
}
