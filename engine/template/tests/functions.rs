use serde_json::json;

use super::{render_as, sound, text};
use crate::template::DEFAULT_ZONE;

#[test]
fn moments_are_written_in_the_recipients_zone_and_language() {
    let source = "{{date event.data.at}} | {{date event.data.at format=\"short\"}} | \
        {{date event.data.at format=\"long\"}} | {{time event.data.at}} | \
        {{time event.data.at format=\"long\"}} | {{datetime event.data.at}} | \
        {{datetime event.data.at zone=\"UTC\"}} | {{date event.data.day}}";
    let data = json!({ "at": "2026-06-30T23:05:00Z", "day": "2026-03-01" });
    let shown = |locale: &str, zone: &str| {
        let recipient = json!({ "locale": locale, "time_zone": zone });
        text(source, recipient, data.clone()).expect("rendered")
    };
    assert_eq!(
        shown("en", "Europe/Paris"),
        "July 1, 2026 | Jul 1, 2026 | Wednesday, July 1, 2026 | 1:05 AM | 1:05 AM CEST | \
         July 1, 2026 at 1:05 AM | June 30, 2026 at 11:05 PM | March 1, 2026"
    );
    assert_eq!(
        shown("fr-TN", "Africa/Tunis"),
        "1er juillet 2026 | 1er juil. 2026 | mercredi 1er juillet 2026 | 00:05 | 00:05 CET | \
         1er juillet 2026 à 00:05 | 30 juin 2026 à 23:05 | 1er mars 2026"
    );
    assert!(shown("en-GB", "Europe/London").starts_with("1 July 2026 | 1 Jul 2026 | Wednesday 1 "));
    assert!(
        shown("de", "Europe/Berlin").starts_with("2026-07-01 | 2026-07-01 | 2026-07-01 | 01:05")
    );
    let nobody = text("{{datetime event.data.at}}", json!({}), data.clone());
    assert_eq!(nobody.as_deref(), Ok("June 30, 2026 at 11:05 PM"));
    let error = text("\n {{time event.data.day}}", json!({}), data.clone()).expect_err("no time");
    assert!(error.starts_with("templates/shop/order/sms.hbs:2:2: helper `time`: "), "{error}");
    assert!(!error.contains("2026-03-01"), "{error}");
    let zone = json!({ "time_zone": "Mars/Olympus" });
    assert!(text("{{time event.data.at}}", zone, data).is_err());
}

#[test]
fn a_format_may_stand_alone_and_a_date_may_be_any_of_them() {
    let source = "{{date event.data.at \"long\"}} | {{date event.data.at \"medium\"}} | \
        {{date event.data.at format=\"time\"}} | {{date event.data.at \"datetime\"}}";
    let data = json!({ "at": "2026-06-30T23:05:00Z" });
    assert_eq!(
        text(source, json!({ "time_zone": "Africa/Tunis" }), data).as_deref(),
        Ok("Wednesday, July 1, 2026 | July 1, 2026 | 12:05 AM | July 1, 2026 at 12:05 AM")
    );
}

#[test]
fn a_recipient_without_a_zone_reads_the_configured_one() {
    let set = sound(&[("templates/shop/order/sms.hbs", "{{time event.data.at}}")]);
    let shown = |recipient| {
        let mut names = json!({ "event": { "data": { "at": "2026-06-30T12:05:00Z" } }, "recipient": recipient });
        names[DEFAULT_ZONE] = "Asia/Tokyo".into();
        render_as(&set, "sms", None, names).expect("rendered").body
    };
    assert_eq!(shown(json!({})), "9:05 PM");
    assert_eq!(shown(json!({ "time_zone": "Africa/Tunis" })), "1:05 PM");
}

#[test]
fn amounts_and_plurals_follow_the_language() {
    let source = "{{money event.data.a \"EUR\"}} {{money event.data.b \"TND\"}} \
        {{money event.data.c \"JPY\"}} {{plural event.data.n \"colis\" \"colis (pl)\"}} \
        {{plural event.data.zero \"one\" \"other\"}}";
    let data = json!({ "a": 1234567.5, "b": "-12.5", "c": 999, "n": 1, "zero": 0 });
    let shown = |locale: &str| text(source, json!({ "locale": locale }), data.clone());
    assert_eq!(shown("en").as_deref(), Ok("€1,234,567.50 -TND\u{a0}12.500 ¥999 colis other"));
    assert_eq!(
        shown("fr").as_deref(),
        Ok("1\u{a0}234\u{a0}567,50\u{a0}€ -12,500\u{a0}TND 999\u{a0}¥ colis one")
    );
    assert_eq!(
        shown("de").as_deref(),
        Ok("1\u{a0}234\u{a0}567.50\u{a0}EUR -12.500\u{a0}TND 999\u{a0}JPY colis other")
    );
    let minor = "{{money 123450 \"USD\" minor=true}} {{money 7 \"JPY\" minor=true}} \
        {{money 1234 \"TND\" minor=true}}";
    assert_eq!(text(minor, json!({}), json!({})).as_deref(), Ok("$1,234.50 ¥7 TND\u{a0}1.234"));
    let unknown = text("{{money 1 event.data.c}}", json!({}), json!({ "c": "euros" }));
    assert!(unknown.is_err_and(|error| error.contains("ISO 4217")));
}

#[test]
fn texts_are_cut_by_what_readers_see_and_encoded_by_bytes() {
    let source = "{{truncate event.data.t 6}}|{{truncate event.data.t 12}}|{{truncate event.data.f 2}}|\
        {{url event.data.t}}|{{upper event.data.t}}|{{default event.data.empty \"-\"}}|\
        {{default event.data.n \"-\"}}";
    let set = sound(&[("templates/shop/order/in_app.hbs", source)]);
    let data = json!({ "t": "Crème brûlée", "f": "👩‍👩‍👧é👍🏽!", "n": 7, "empty": "" });
    let entry = render_as(&set, "in_app", None, json!({ "event": { "data": data } }));
    assert_eq!(
        entry.expect("rendered").body,
        "Crème…|Crème brûlée|👩‍👩‍👧…|Cr%C3%A8me%20br%C3%BBl%C3%A9e|CRÈME BRÛLÉE|-|7"
    );
}

#[test]
fn a_short_message_is_cut_by_septets_or_by_the_units_of_ucs_2() {
    let cut =
        |source: &str, note: &str| text(source, json!({}), json!({ "t": note })).expect("rendered");
    let by_length = "{{truncate event.data.t 10}}";
    assert_eq!(cut(by_length, "abcdefghij"), "abcdefghij");
    assert_eq!(cut(by_length, "abcdefghijk"), "abcdefg...", "the sign … would need UCS-2");
    assert_eq!(cut(by_length, "abcde€€€€"), "abcde€...", "€ takes two");
    assert_eq!(cut(by_length, "çbcdefg"), "çbc…", "four units are in the room of ten septets");
    let segments = "{{truncate event.data.t segments=1}}";
    assert_eq!(cut(segments, &"a".repeat(161)).len(), 160);
    assert_eq!(cut(segments, &"ط".repeat(71)).chars().count(), 70);
    assert_eq!(cut("{{truncate event.data.t segments=2}}", &"a".repeat(400)).len(), 306);
}

#[test]
fn a_push_is_cut_by_bytes() {
    let set = sound(&[(
        "templates/shop/order/push.hbs",
        "---\ntitle: {{truncate event.data.t 8}}\n---\n{{truncate event.data.t 7}}",
    )]);
    let names = json!({ "event": { "data": { "t": "éééééé" } } });
    let push = render_as(&set, "push", None, names).expect("rendered");
    assert_eq!((push.subject.as_deref(), push.body.as_str()), (Some("éé…"), "éé…"));
}

#[test]
fn a_helpers_result_is_escaped_like_a_value() {
    let set = sound(&[("templates/shop/order/email.hbs", "{{upper event.data.t}}")]);
    let names = json!({ "event": { "data": { "t": "<i>" } } });
    let mail = render_as(&set, "email", None, names).expect("rendered");
    assert_eq!(mail.body, "&lt;I&gt;");
}

#[test]
fn a_name_alone_is_a_field_even_where_a_helper_is_called_so() {
    let source = "{{#each event.data.rows}}{{date}} {{time}} {{{url}}};{{/each}}";
    let data = json!({ "rows": [{ "date": "today", "time": 9, "url": "/1" }] });
    assert_eq!(text(source, json!({}), data).as_deref(), Ok("today 9 /1;"));
    let error = text(source, json!({}), json!({ "rows": [{}] }));
    assert_eq!(error, Err("templates/shop/order/sms.hbs:1:26: missing field `date`".to_owned()));
}
