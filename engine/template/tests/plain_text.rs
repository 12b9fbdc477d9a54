use serde_json::json;

use super::{render_as, sound};
use crate::template::text_from_html;

#[test]
fn a_page_is_read_as_a_reader_would_copy_it() {
    let html = "<!doctype html><html><head><title>No</title><style>p { color: red }</style></head>\
        <body><div style=\"DISPLAY : none\">hidden <div>deeper</div> still</div><!-- no -->\n\
        <h1>Your  order</h1>\n<p>Hello&nbsp;Ada &amp; <b>co</b>,<br>it is &eacute;t&#233; &#x2014; &lt;now&gt;.</p>\
        <ul><li>Tea</li><li>Milk <ol start=3><li>cold</li><li>warm</li></ol></li></ul>\
        <p>See <a href=\"https://x.example/a?b=1&amp;c=2\">the order</a> or \
        <a href=\"mailto:help@x.example\">help@x.example</a>, <a href=\"#top\">top</a>.</p>\
        <a href='https://y.example'><img src=x alt='Shop'></a>\
        <blockquote><p>Quoted</p><p>twice</p></blockquote>\
        <table><tr><th>When</th><td>9:30</td></tr><tr><th>Where:</th><td>Here</td></tr>\
        <tr><td>a</td><td>b</td></tr></table><hr><pre>  kept\n    as is</pre>\
        <script>alert(1)</script></body></html>";
    assert_eq!(
        text_from_html(html),
        "Your order\n\nHello Ada & co,\nit is été — <now>.\n\n\
         - Tea\n- Milk\n  3. cold\n  4. warm\n\n\
         See the order (https://x.example/a?b=1&c=2) or help@x.example, top.\n\n\
         Shop (https://y.example)\n\n> Quoted\n\n> twice\n\n\
         When: 9:30\nWhere: Here\na b\n\n---\n\n  kept\n    as is"
    );
}

#[test]
fn any_text_is_taken() {
    for (html, text) in [
        ("", ""),
        ("a < b && c > d", "a < b && c > d"),
        ("<", "<"),
        ("<p", ""),
        ("<p class=\"a", ""),
        ("<a href=x>", ""),
        ("</p></a></li>x", "x"),
        ("<!-- open", ""),
        ("<style>p {", ""),
        ("&unknown; &#0; &#xffffffff; &", "&unknown; &#0; &#xffffffff; &"),
        ("<a href=\"javascript:x()\">y</a>", "y"),
        ("<div hidden>x", ""),
        ("<ul></ul>x</ul></ul>", "x"),
    ] {
        assert_eq!(text_from_html(html), text, "{html}");
    }
}

#[test]
fn a_mail_without_a_text_part_gets_its_own() {
    let set = sound(&[
        ("templates/_layouts/shop.hbs", "<style>i { display: none }</style><i>x</i>{{{body}}}"),
        ("templates/shop/order/email.hbs", "---\nlayout: shop\n---\n<p>{{event.data.note}}</p>"),
        ("templates/shop/order/in_app.hbs", "{{event.data.note}}"),
    ]);
    let names = json!({ "event": { "data": { "note": "<b> & co" } } });
    let mail = render_as(&set, "email", None, names.clone()).expect("rendered");
    assert_eq!(mail.parts["text"], "<b> & co", "what is hidden by the sheet is left out");
    let entry = render_as(&set, "in_app", None, names).expect("rendered");
    assert!(!entry.parts.contains_key("text"));
}
