//! What is wrong is said where it is wrong, and nothing else stops.

mod codes;
mod events;
mod files;
mod language;
mod start;

use crate::harness::node::Installation;

const WORKFLOW: &str = "workflow: order
on: order.placed
category: system
recipients:
  - user: event.data.customer
steps:
  - send: in_app
    template: order
  - send: email
    template: order
";

/// One small workflow that is right.
fn shop() -> Installation {
    Installation::empty()
        .file("workflows/order.yaml", WORKFLOW)
        .file(
            "workflows/events.yaml",
            "events:\n  order.placed:\n    type: object\n    required: [customer]\n",
        )
        .file("templates/order/in_app.hbs", "---\ntitle: 'Order'\n---\nThank you.\n")
        .file("templates/order/email.hbs", "---\nsubject: 'Order'\n---\n<p>Thank you.</p>\n")
}
