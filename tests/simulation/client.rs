use std::cell::RefCell;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use nuncio::clock::Clock;
use nuncio::ingest::{Answer, Incoming};
use nuncio::model::{EventId, User};
use nuncio::pipeline::{Accept, Pipeline};
use serde_json::{Map, Value, json};

use super::fate::Fates;

/// Users of every story.
pub const USERS: usize = 3;
/// Ends the number of an event whose messages nobody survives.
pub const POISON: &str = "!";
/// Business keys that events share.
const ORDERS: usize = 4;

/// The services that send events, and what they know of them.
#[derive(Clone, Default)]
pub struct Clients {
    posts: Rc<RefCell<Vec<Post>>>,
}

/// One event of a service, sent once or, with a key, until it is answered and again after that.
#[derive(Clone, Debug)]
pub struct Post {
    pub name: &'static str,
    pub n: usize,
    pub order: usize,
    pub user: usize,
    pub key: Option<String>,
    at: Option<Timestamp>,
    /// Whatever sends it, dies of it.
    poison: bool,
    pub answers: Vec<EventId>,
    /// Numbers of earlier posts, answered before this one was sent, that it takes back.
    pub takes_back: Vec<usize>,
    /// The moment of its first answer.
    pub answered: Option<u64>,
    /// What went otherwise than promised.
    pub complaint: Option<String>,
}

const NAMES: [&str; 16] = [
    "thing.made",
    "thing.made",
    "order.placed",
    "order.placed",
    "order.placed",
    "order.cancelled",
    "order.moved",
    "order.paid",
    "cart.left",
    "cart.left",
    "note.written",
    "note.written",
    "note.written",
    "alarm.raised",
    "news.out",
    "chain.begun",
];

impl Clients {
    /// Makes up an event; answers its number.
    pub fn draw(&self, fates: &Fates, clock: &Clock) -> usize {
        let mut posts = self.posts.borrow_mut();
        let name = NAMES[fates.below(NAMES.len())];
        let n = posts.len();
        let order = fates.below(ORDERS);
        let takes_back = match name {
            "order.cancelled" | "order.moved" => {
                let placed = posts.iter().filter(|post| post.is_stopped_by(order));
                placed.map(|post| post.n).collect()
            }
            _ => Vec::new(),
        };
        let ahead = (fates.below(8) == 0).then(|| clock.after(Duration::from_secs(150)));
        let keyed = fates.below(2) == 0;
        posts.push(Post {
            name,
            n,
            order,
            user: fates.below(USERS + 1),
            key: keyed.then(|| format!("key {n}")),
            at: ahead.filter(|_| takes_back.is_empty() && name != "order.moved"),
            poison: name == "thing.made" && fates.below(12) == 0,
            answers: Vec::new(),
            takes_back,
            answered: None,
            complaint: None,
        });
        n
    }

    /// One of those that may be sent again, or one that was answered.
    pub fn keyed(&self, answered: bool, fates: &Fates) -> Option<usize> {
        let posts = self.posts.borrow();
        let keyed = posts.iter().filter(|post| post.key.is_some());
        let keyed = keyed.filter(|post| !answered || post.answered.is_some());
        let keyed: Vec<usize> = keyed.map(|post| post.n).collect();
        keyed.get(fates.below(keyed.len())).copied()
    }

    /// Sends posts in one call, and keeps what is answered.
    pub async fn send(self, numbers: Vec<usize>, pipeline: Arc<Pipeline>, fates: Fates) {
        let events: Vec<Incoming> = numbers.iter().map(|n| self.post(*n).incoming()).collect();
        fates.tell(|| {
            let all: Vec<_> = numbers.iter().map(|n| self.post(*n)).collect();
            format!("posts {all:?}")
        });
        let answered = pipeline.accept(events).await;
        let moment = fates.tick();
        fates.tell(|| format!("posts {numbers:?} are answered {answered:?}"));
        let Ok(answers) = answered else { return };
        let mut posts = self.posts.borrow_mut();
        for (n, answer) in numbers.into_iter().zip(answers) {
            let post = &mut posts[n];
            match answer {
                Ok(Answer::Accepted(id) | Answer::Duplicate(id)) => post.answers.push(id),
                Err(refusal) => post.complaint = Some(format!("refused: {refusal:?}")),
            }
            post.answered.get_or_insert(moment);
        }
    }

    /// Sends the key of an answered post with another body: it has to be refused.
    pub async fn send_other(self, n: usize, pipeline: Arc<Pipeline>) {
        let mut post = self.post(n);
        post.order += ORDERS;
        if let Ok(answers) = pipeline.accept(vec![post.incoming()]).await
            && let [Ok(answer)] = answers.as_slice()
        {
            let complaint = format!("its key was taken for another body: {answer:?}");
            self.posts.borrow_mut()[n].complaint = Some(complaint);
        }
    }

    pub fn posts(&self) -> Vec<Post> {
        self.posts.borrow().clone()
    }

    fn post(&self, n: usize) -> Post {
        self.posts.borrow()[n].clone()
    }
}

impl Post {
    fn is_stopped_by(&self, order: usize) -> bool {
        self.name == "order.placed" && self.order == order && self.answered.is_some()
    }

    fn incoming(&self) -> Incoming {
        // One number more than there are: somebody whom nobody knows.
        let poison = if self.poison { POISON } else { "" };
        let data = json!({
            "n": format!("{}{poison}", self.n),
            "order": format!("o{}", self.order),
            "user": format!("u{}", self.user),
        });
        let mut event = json!({ "name": self.name, "data": data });
        let mut set = |name: &str, value: Option<Value>| {
            if let Some(value) = value {
                event[name] = value;
            }
        };
        set("idempotency_key", self.key.clone().map(Value::from));
        set("at", self.at.map(|at| at.to_string().into()));
        Incoming::parse(event, usize::MAX).expect("its shape is sound")
    }
}

/// User `u{number}`, with an address for every channel.
pub fn user(number: usize, now: Timestamp) -> User {
    User {
        id: format!("u{number}").into(),
        username: None,
        email: Some(format!("u{number}@example.org")),
        phone: Some(format!("+3361234567{number}")),
        first_name: None,
        last_name: None,
        locale: None,
        time_zone: None,
        role: None,
        data: Map::new(),
        created_at: now,
        updated_at: now,
    }
}
