use std::cell::RefCell;
use std::sync::Arc;
use std::time::{Duration, Instant};

use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use serde_json::{Value, json};

use super::report::{Beside, Delivery, Latency, Rate, Stopwatch};
use super::sink::Sink;
use super::stage::{BODY, Stage};
use super::{Bench, LONGEST};
use crate::cli::Failure;

/// Arrays on their way at once: enough that planning and writing overlap.
const ARRAYS: usize = 8;
/// Events beside a load come in handfuls, so often.
const TICKS_PER_SECOND: usize = 100;
const TICK: Duration = Duration::from_millis(1000 / TICKS_PER_SECOND as u64);

/// Events that were accepted in arrays.
pub(super) struct Arrays {
    pub per_second: f64,
    /// When each array was sent.
    sent_at: Vec<Instant>,
}

/// Renders and posts, with as many requests under way as the provider may have.
pub(super) async fn bare(bench: &Bench, sink: &Sink) -> Result<Rate, Failure> {
    let mut templates = handlebars::Handlebars::new();
    templates.register_template_string("body", BODY).map_err(Failure::service)?;
    let templates = Arc::new(templates);
    let http = client(bench.concurrency)?;
    let url = sink.url();
    let count = bench.events;
    sink.expect(count);
    let watch = Stopwatch::start();
    let workers = (0..bench.concurrency).map(|worker| {
        let users = bench.users;
        let (templates, http, url) = (templates.clone(), http.clone(), url.clone());
        let numbers = (worker..count).step_by(bench.concurrency);
        tokio::spawn(async move {
            for n in numbers {
                let data =
                    json!({"event": {"data": data(n, users)}, "recipient": {"first_name": "Ada"}});
                let body = templates.render("body", &data).map_err(Failure::service)?;
                let sent = http.post(&url).header("content-type", "text/html").body(body).send();
                let reply = sent.await.map_err(Failure::service)?;
                reply.bytes().await.map_err(Failure::service)?;
            }
            Ok::<(), Failure>(())
        })
    });
    for worker in workers.collect::<Vec<_>>() {
        worker.await.map_err(Failure::service)??;
    }
    Ok(watch.per_event(count))
}

/// What was accepted while nobody sent, of one recipient and one HTTP provider each.
pub(super) async fn http(
    bench: &Bench,
    stage: &Stage,
    sink: &Sink,
    accepted: f64,
) -> Result<Delivery, Failure> {
    let delivered = delivered(bench, sink).await?;
    let sent_rows = stage.settled("bench-http", bench.events).await?;
    Ok(Delivery { events: bench.events, accepted, delivered, sent_rows })
}

/// The same, with further events accepted beside it, one by one, at a steady rate.
pub(super) async fn busy(
    bench: &Bench,
    stage: &Stage,
    sink: &Sink,
    accepted: f64,
) -> Result<(Delivery, Beside), Failure> {
    let began = Instant::now();
    let took = RefCell::default();
    let delivered = tokio::select! {
        delivered = delivered(bench, sink) => delivered?,
        failed = beside(bench, stage, &took) => return Err(failed),
    };
    let per_second = took.borrow().len() as f64 / began.elapsed().as_secs_f64();
    let latency = Latency::of(took.into_inner());
    let sent_rows = stage.settled("bench-http-busy", bench.events).await?;
    let delivery = Delivery { events: bench.events, accepted, delivered, sent_rows };
    Ok((delivery, Beside { per_second, latency }))
}

/// From the first arrival at the sink to the last.
async fn delivered(bench: &Bench, sink: &Sink) -> Result<Rate, Failure> {
    let all = async {
        sink.first().await;
        let watch = Stopwatch::start();
        sink.all().await;
        watch.per_event(bench.events)
    };
    tokio::time::timeout(LONGEST, all).await.map_err(Failure::service)
}

/// Events for the inboxes of all users, one of whom is connected.
pub(super) async fn in_app(bench: &Bench, stage: &Stage) -> Result<(Delivery, Latency), Failure> {
    let mine = bench.events.div_ceil(bench.users);
    let reader = stage.reader(mine).await?;
    let watch = Stopwatch::start();
    // An inbox has its entry when the event is accepted: the rows counted afterwards prove it.
    let Arrays { per_second: accepted, sent_at } = arrays(bench, stage, "bench.in_app").await?;
    let delivered = watch.per_event(bench.events);
    let sent_rows = stage.counted("bench-in-app").await?;
    let arrivals = reader.frames(LONGEST).await?;
    let latencies = arrivals.iter().enumerate().filter_map(|(place, (_, at))| {
        let sent = sent_at.get(place * bench.users / bench.array)?;
        Some(at.duration_since(*sent))
    });
    let latency = Latency::of(latencies.collect());
    Ok((Delivery { events: bench.events, accepted, delivered, sent_rows }, latency))
}

/// Accepts of events that nobody wants, one a request, on all connections.
pub(super) async fn singles(bench: &Bench, stage: &Stage) -> Result<Rate, Failure> {
    let http = client(bench.connections)?;
    let watch = Stopwatch::start();
    let workers = (0..bench.connections).map(|worker| {
        let users = bench.users;
        let (http, url, key) = (http.clone(), stage.url("/v1/events"), stage.key.clone());
        let numbers = (worker..bench.events).step_by(bench.connections);
        tokio::spawn(async move {
            for n in numbers {
                let event = json!({"name": "bench.single", "data": data(n, users)});
                post(&http, &url, &key, &event).await?;
            }
            Ok::<(), Failure>(())
        })
    });
    for worker in workers.collect::<Vec<_>>() {
        worker.await.map_err(Failure::service)??;
    }
    Ok(watch.per_event(bench.events))
}

/// Posts `bench.beside` events a second, until it is dropped, and notes how long each took; ends
/// with a failure alone.
async fn beside(bench: &Bench, stage: &Stage, took: &RefCell<Vec<Duration>>) -> Failure {
    let http = match client(bench.connections) {
        Ok(http) => http,
        Err(failure) => return failure,
    };
    let (url, key) = (stage.url("/v1/events"), stage.key.clone());
    let mut tick = tokio::time::interval(TICK);
    let mut under_way = FuturesUnordered::new();
    let each = bench.beside.div_ceil(TICKS_PER_SECOND);
    let mut number = 0;
    loop {
        tokio::select! {
            _ = tick.tick() => for _ in 0..each {
                number += 1;
                let event = json!({"name": "bench.single", "data": data(number, bench.users)});
                let (http, url, key) = (http.clone(), url.clone(), key.clone());
                let began = Instant::now();
                under_way.push(async move {
                    post(&http, &url, &key, &event).await.map(|()| began.elapsed())
                });
            },
            Some(posted) = under_way.next() => match posted {
                Ok(lasted) => took.borrow_mut().push(lasted),
                Err(failure) => return failure,
            },
        }
    }
}

/// Posts all events in arrays, some requests at once.
pub(super) async fn arrays(bench: &Bench, stage: &Stage, name: &str) -> Result<Arrays, Failure> {
    let http = client(ARRAYS)?;
    let url = stage.url("/v1/events");
    let began = Instant::now();
    let mut sent_at = Vec::new();
    let mut under_way = FuturesUnordered::new();
    let mut first = 0;
    while first < bench.events {
        let last = (first + bench.array).min(bench.events);
        let events: Vec<Value> =
            (first..last).map(|n| json!({"name": name, "data": data(n, bench.users)})).collect();
        sent_at.push(Instant::now());
        let (http, url, key) = (http.clone(), url.clone(), stage.key.clone());
        under_way.push(async move { post(&http, &url, &key, &Value::from(events)).await });
        first = last;
        while under_way.len() >= ARRAYS {
            under_way.next().await.transpose()?;
        }
    }
    while let Some(done) = under_way.next().await {
        done?;
    }
    Ok(Arrays { per_second: bench.events as f64 / began.elapsed().as_secs_f64(), sent_at })
}

async fn post(http: &reqwest::Client, url: &str, key: &str, body: &Value) -> Result<(), Failure> {
    let reply =
        http.post(url).bearer_auth(key).json(body).send().await.map_err(Failure::service)?;
    let status = reply.status();
    let text = reply.bytes().await.map_err(Failure::service)?;
    if status != reqwest::StatusCode::ACCEPTED {
        let text = String::from_utf8_lossy(&text);
        return Err(Failure::Service(format!("an accept was answered {status}: {text}")));
    }
    Ok(())
}

/// About 300 bytes of an order.
fn data(n: usize, users: usize) -> Value {
    json!({
        "n": n,
        "user_id": n % users,
        "order": format!("A-{n:08}"),
        "total": 129.5,
        "currency": "EUR",
        "items": [
            {"name": "A lamp with a long name & a <tag>", "quantity": 1},
            {"name": "Two chairs", "quantity": 2},
        ],
        "note": "Please leave it with the neighbours if nobody opens.",
    })
}

fn client(connections: usize) -> Result<reqwest::Client, Failure> {
    crate::egress::use_ring();
    reqwest::Client::builder().pool_max_idle_per_host(connections).build().map_err(Failure::service)
}
