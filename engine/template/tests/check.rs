use super::{build, sound};
use crate::template::Set;

#[test]
fn all_problems_of_all_files_are_reported_at_once() {
    let (set, problems) = build(&[
        ("templates/_layouts/shop.hbs", "{{> nowhere}}{{{body}}}"),
        ("templates/_partials/a.hbs", "{{> b}}"),
        ("templates/_partials/b.hbs", "{{> a}}"),
        ("templates/shop/broken/sms.hbs", "{{#if event.data.x}}"),
        ("templates/shop/broken/in_app.hbs", "---\ntitle: '{{upper'\n---\n{{#if run.id}}{{/each}}"),
        ("templates/shop/broken/in_app.fr.hbs", "fine"),
        ("templates/shop/open/sms.hbs", "---\ntitle: x\n"),
        ("templates/shop/list/sms.hbs", "---\ntitle: [x]\n---\n"),
        ("templates/shop/lost/email.hbs", "---\nlayout: shp\nsubject: Hi\n---\n{{> brnd}}"),
        (
            "templates/shop/names/sms.hbs",
            "{{evnt.data.x}}\n{{uper event.name}}{{#loop x}}{{/loop}}",
        ),
        ("templates/shop/names/email.hbs", "---\npreheader: p\n---\n"),
        ("templates/shop/names/email.txt.hbs", "{{preheader}}{{subject}}"),
        ("templates/shop/alone/sms.fr.hbs", "x"),
        ("templates/shop/bad/sms.html.x.hbs", "x"),
        ("templates/shop/README.md", "{{#"),
        ("templates/shop/fine/sample.json", "{}"),
        ("templates/shop/fine/sms.hbs", "{{event.name}}"),
    ]);
    assert_eq!(
        problems,
        [
            "template.partial_unknown templates/_layouts/shop.hbs:1:1",
            "template.partial_cycle templates/_partials/a.hbs:1:1",
            "template.partial_cycle templates/_partials/b.hbs:1:1",
            "template.default_missing templates/shop/alone/sms.fr.hbs:1:1",
            "template.name templates/shop/bad/sms.html.x.hbs:1:1",
            "template.syntax templates/shop/broken/in_app.hbs:2:16",
            "template.syntax templates/shop/broken/in_app.hbs:4:15",
            "template.syntax templates/shop/broken/sms.hbs:1:21",
            "template.front_matter templates/shop/list/sms.hbs:2:8",
            "template.layout_unknown templates/shop/lost/email.hbs:2:9",
            "template.partial_unknown templates/shop/lost/email.hbs:5:1",
            "template.name_unknown templates/shop/names/email.txt.hbs:1:14",
            "template.name_unknown templates/shop/names/sms.hbs:1:1",
            "template.helper_unknown templates/shop/names/sms.hbs:2:1",
            "template.helper_unknown templates/shop/names/sms.hbs:2:20",
            "template.name_unknown templates/shop/names/sms.hbs:2:20",
            "template.front_matter templates/shop/open/sms.hbs:1:1",
        ]
    );
    assert!(set.has("shop/fine", "sms") && !set.has("shop/fine", "email"));
}

#[test]
fn a_near_name_is_proposed() {
    let files = [("templates/shop/order/sms.hbs", "{{evnt.name}} {{truncat event.name 3}}")];
    let files = files.map(|(path, text)| (path.to_owned(), text.to_owned()));
    let (_, problems) = Set::build(files.to_vec());
    let hints: Vec<_> = problems.iter().filter_map(|problem| problem.hint.as_deref()).collect();
    assert_eq!(hints, ["did you mean `event`?", "did you mean `truncate`?"]);
}

#[test]
fn the_fields_of_a_channel_are_those_of_all_its_files() {
    let set = sound(&[
        ("templates/_layouts/shop.hbs", "{{{body}}}{{> foot}}"),
        ("templates/_layouts/shop.txt.hbs", "{{event.data.sign}}{{{body}}}"),
        ("templates/_partials/foot.hbs", "{{default event.data.foot \"x\"}}"),
        (
            "templates/shop/order/email.hbs",
            "---\nlayout: shop\nsubject: 'Hi {{event.data.name}}'\n---\n\
             {{#each event.data.items}}{{title}}{{../event.data.outer}}{{@root.event.data.top}}\
             {{/each}}\n{{#if event.data.a}}{{else if event.data.b}}{{subject}}{{/if}}",
        ),
        ("templates/shop/order/email.txt.hbs", "{{date event.data.at zone=recipient.time_zone}}"),
    ]);
    let fields = set.fields("shop/order", "email").iter();
    let fields: Vec<_> =
        fields.map(|f| format!("{} {} {}", f.path, f.optional, f.place.line)).collect();
    assert_eq!(
        fields,
        [
            "event.data.a true 6",
            "event.data.at false 1",
            "event.data.b true 6",
            "event.data.foot true 1",
            "event.data.items true 5",
            "event.data.name false 3",
            "event.data.outer false 5",
            "event.data.sign false 1",
            "event.data.top false 5",
            "recipient.time_zone false 1",
        ]
    );
    assert_eq!(set.names(), ["shop/order"]);
    assert_eq!(set.channels("shop/order"), ["email"]);
}
#[test]
fn the_arguments_of_helpers_are_checked_where_they_stand() {
    let source = "{{date}}\n{{date event.data.at \"weird\"}}\n{{time event.data.at zone=\"Mars/X\"}}\n\
        {{money event.data.n \"euros\"}}\n{{truncate event.data.t 0}}\n{{truncate event.data.t}}\n\
        {{plural event.data.n \"one\"}}\n{{url event.data.t 1 2}}\n{{date event.data.at form=\"long\"}}\n\
        {{#if event.data.t \"x\"}}{{/if}}\n{{truncate event.data.t segments=2}}";
    let files = [("templates/shop/order/sms.hbs".to_owned(), source.to_owned())];
    let (_, problems) = Set::build(files.to_vec());
    let found: Vec<_> = problems
        .iter()
        .map(|p| format!("{}:{}:{} {}", p.code, p.line, p.column, p.message))
        .collect();
    assert_eq!(
        found,
        [
            "template.name_unknown:1:1 there is no name `date`",
            "template.argument:2:1 helper `date` `format` must be one of `short`, `medium`, \
             `long`, `time`, `datetime`",
            "template.argument:3:1 helper `time` `zone` must be an IANA time zone (`Africa/Tunis`)",
            "template.argument:4:1 helper `money` `currency` must be an ISO 4217 code (`EUR`)",
            "template.argument:5:1 helper `truncate` `length` must be a whole number above 0",
            "template.argument:6:1 helper `truncate` is called as `truncate text length \
             [segments=…]`",
            "template.argument:7:1 helper `plural` is called as `plural number one other`",
            "template.argument:8:1 helper `url` is called as `url text`",
            "template.argument:9:1 helper `date` has no option `form`",
            "template.argument:10:1 `if` takes one value",
        ]
    );
}

#[test]
fn the_fields_of_a_batch_are_known_inside_its_loop() {
    let set = sound(&[(
        "templates/shop/order/sms.hbs",
        "{{count}}{{#each items}}{{slot}}{{this.data.slot}}{{@index}}{{../event.data.shop}}\
         {{#each data.lines}}{{name}}{{/each}}{{#if late}}!{{/if}}{{/each}}\
         {{#each items as |item|}}{{item.any}}{{/each}}",
    )]);
    let fields = set.fields("shop/order", "sms").iter();
    let fields: Vec<_> = fields.map(|field| format!("{} {}", field.path, field.optional)).collect();
    assert_eq!(
        fields,
        [
            "count false",
            "event.data.shop false",
            "items true",
            "items true",
            "items.*.data.lines true",
            "items.*.data.slot false",
            "items.*.late true",
            "items.*.slot false",
        ]
    );
}

#[test]
fn a_broken_layout_or_partial_leaves_its_templates_in_place_for_the_other_checks() {
    let (set, problems) = build(&[
        ("templates/_layouts/shop.hbs", "<style>a {}</style>{{#if}}{{{body}}}"),
        ("templates/_partials/foot.hbs", "{{/each}}"),
        ("templates/shop/order/email.hbs", "---\nlayout: shop\nsubject: x\n---\n{{> foot}}"),
    ]);
    assert_eq!(
        problems,
        [
            "template.syntax templates/_layouts/shop.hbs:1:37",
            "template.syntax templates/_partials/foot.hbs:1:3",
        ]
    );
    assert!(set.has("shop/order", "email"));
}
