//! What its template costs a message: `cargo bench --bench templates`.
//!
//! Each line is the median of many calls on one thread. The parts are measured apart, since most
//! messages have only the first: a mail's style sheet is inlined when its files are read, and its
//! text part may be a file of its own.

use std::hint::black_box;
use std::time::{Duration, Instant};

use nuncio::template::{Context, Set, inline_css, text_from_html};
use serde_json::{Value, json};

const LAYOUT: &str = include_str!("templates/layout.hbs");
const BODY: &str = include_str!("templates/body.hbs");

/// Calls of each measurement. Each is timed alone, so that what else the machine does is in few.
const CALLS: usize = 600;

fn main() {
    let (small, large) = (mail(3), mail(170));
    let names = Context::from(names());
    let page = rendered(&small, &names);
    let long = rendered(&large, &names);

    let mut context = names.clone();
    let took = median(|| drop(black_box(render(&small, &mut context))));
    report("render, compiled mail", page.len(), took);

    for (what, page) in [("inline CSS, prose", prose()), ("inline CSS, dense table", table())] {
        let took = median(|| drop(black_box(inline_css(&page))));
        report(what, page.len(), took);
    }

    let took = median(|| drop(black_box(text_from_html(&long))));
    report("text from HTML", long.len(), took);
}

/// A mail whose text part is a file, so that its render is Handlebars alone.
fn mail(lines: usize) -> Set {
    let body = BODY.replace("{{lines}}", &"<p>One more line of it.</p>\n".repeat(lines));
    let (set, problems) = Set::build(vec![
        ("templates/_layouts/shop.hbs".to_owned(), LAYOUT.to_owned()),
        ("templates/shop/order/email.hbs".to_owned(), body),
        ("templates/shop/order/email.txt.hbs".to_owned(), "{{event.data.order}}".to_owned()),
    ]);
    assert_eq!(problems, [], "the templates are sound");
    set
}

fn names() -> Value {
    let lines: Vec<_> = (1..=3).map(|n| json!({ "name": "Tea & co", "count": n })).collect();
    json!({
        "event": {
            "id": "019b7a3e-5c10-7d42-9a6f-1f0c2e8b4a01",
            "name": "order.shipped",
            "at": "2027-01-04T18:12:05Z",
            "data": {
                "order": "A-1001", "url": "https://shop.example/orders/A-1001",
                "at": "2027-01-06T09:30:00Z", "total": 1234.5, "lines": lines,
            },
        },
        "recipient": {
            "id": "42", "first_name": "Ada", "locale": "en", "time_zone": "Africa/Tunis",
        },
        "run": { "id": "019b7a3e-5c11-7f00-8b21-6d3a9c5e7f02", "priority": "high" },
    })
}

/// Pages of 10 kB with their sheet still in their head, as a template leaves them that is inlined
/// for each message.
fn prose() -> String {
    let line = "<p>Your order A-1001 is on its way to you. It will be there on Tuesday, between \
        nine and eleven in the morning, &amp; the driver will ring.</p>\n";
    page(&line.repeat(66))
}

fn table() -> String {
    let row = "<tr><th>Order</th><td class=\"cell\">A-1001 &amp; more of it</td></tr>\n";
    page(&format!("<table class=\"facts\">{}</table>", row.repeat(130)))
}

fn page(body: &str) -> String {
    LAYOUT.replace("{{{body}}}", body).replace("{{subject}}", "Shipped")
}

fn rendered(set: &Set, names: &Context) -> String {
    render(set, &mut names.clone())
}

fn render(set: &Set, context: &mut Context) -> String {
    match set.render("shop/order", "email", Some("en"), context) {
        Ok(content) => content.body,
        Err(error) => panic!("{error}"),
    }
}

fn median(mut call: impl FnMut()) -> Duration {
    let mut calls: Vec<Duration> = (0..CALLS)
        .map(|_| {
            let start = Instant::now();
            call();
            start.elapsed()
        })
        .collect();
    calls.sort_unstable();
    calls[CALLS / 2]
}

fn report(what: &str, bytes: usize, took: Duration) {
    println!("{what:<30} {bytes:>7} bytes {:>9.1} µs", took.as_secs_f64() * 1e6);
}
