//! What finding an event's workflows costs: `cargo bench --bench matching`.

use std::hint::black_box;
use std::sync::Arc;
use std::time::Instant;

use nuncio::diagnostic::Source;
use nuncio::workflow::{self, Set};

const WORKFLOWS: usize = 10_000;
const ROUNDS: u32 = 100_000;

fn main() {
    println!("{WORKFLOWS} workflows, {ROUNDS} events each");
    measure("exact names", |index| format!("order.e{index}"), "order.e5000");
    measure("globs by their beginning", |index| format!("'shop{index}.*'"), "shop5000.paid");
    measure("globs by their end", |index| format!("'*.e{index}'"), "shop.e5000");
    measure("globs of one beginning", |index| format!("'order.*.e{index}'"), "order.x.e5000");
    measure(
        "all of them mixed",
        |index| match index % 4 {
            0 => format!("order.e{index}"),
            1 => format!("'shop{index}.*'"),
            2 => format!("'*.e{index}'"),
            _ => format!("'order.*.e{index}'"),
        },
        "order.e5000",
    );
    measure("none that match", |index| format!("'order.*.e{index}'"), "another.event.at.all");
}

fn measure(what: &str, on: impl Fn(usize) -> String, event: &str) {
    let workflows = (0..WORKFLOWS).map(|index| {
        let text = format!("workflow: w{index}\non: {}\nsteps: []\n", on(index));
        let (workflow, problems) = workflow::compile(&Source::new(format!("w{index}.yaml"), text));
        assert_eq!(problems, []);
        Arc::new(workflow.expect("it is sound"))
    });
    let set = Set::new(workflows.collect());
    let found = set.matching(event).count();
    let began = Instant::now();
    for _ in 0..ROUNDS {
        black_box(set.matching(black_box(event)).count());
    }
    let each = began.elapsed() / ROUNDS;
    println!("{what:28} {found} found in {each:?}");
}
