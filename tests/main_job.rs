//! One real event, all the way through, with the care pack.

mod delivery;
mod flow;
mod idempotency;
mod letters;
mod outbox;
mod planned;
mod preference;
mod retry;
mod waiting;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use crate::harness::node::{Installation, Node};
use crate::harness::sink::Sink;
use crate::harness::smtp::{Options, SmtpServer};

const SAMPLE: &str = "workflows/care/samples/appointment_booked.json";
const SIGNING_KEY: &[u8] = b"thirty-two bytes that sign hooks";

/// The care pack with a mail server and a webhook's receiver, all on this machine.
struct Clinic {
    smtp: SmtpServer,
    sink: Sink,
    installation: Installation,
}

impl Clinic {
    async fn open() -> Self {
        let smtp = SmtpServer::start(Options::default()).await;
        let sink = Sink::start().await;
        let installation = Installation::of_project();
        let config = format!(
            r#"
[engine]
retry = ["100ms", "150ms", "200ms", "250ms"]
[channels.email]
providers = ["smtp"]
[channels.webhook]
providers = ["hook"]
[providers.smtp]
plugin = "email"
settings = {{ host = "127.0.0.1", port = {}, from = "Jasmine Clinic <no-reply@clinic.example>" }}
[providers.hook]
plugin = "webhook"
settings = {{ url = "{}" }}
secrets = {{ signing = "whsec_{}" }}
"#,
            smtp.address.port(),
            sink.url("/hook"),
            STANDARD.encode(SIGNING_KEY),
        );
        installation.write("nuncio.toml", &config);
        Self { smtp, sink, installation }
    }

    async fn node(&self) -> Node {
        let node = self.installation.dev().await;
        people(&node).await;
        node
    }
}

/// The sample's: a patient who reads French, and a doctor.
async fn people(node: &Node) {
    let patient = json!({
        "email": "amira@example.org", "first_name": "Amélie", "last_name": "Ben Salah",
        "locale": "fr", "time_zone": "Africa/Tunis", "role": "patient",
    });
    node.put_user("42", patient).await;
    let doctor = json!({"email": "haddad@example.org", "first_name": "Nadia", "locale": "en"});
    node.put_user("7", doctor).await;
}

fn booked() -> Value {
    let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join(SAMPLE);
    let text = std::fs::read_to_string(path).expect("the sample is there");
    serde_json::from_str(&text).expect("the sample is JSON")
}

/// `booked` for the patient alone: the doctor's id is nobody's.
fn for_the_patient() -> Value {
    let mut data = booked();
    data["doctor_id"] = json!("nobody");
    data
}

fn row<'a>(rows: &'a [Value], recipient: &str, channel: &str) -> Option<&'a Value> {
    rows.iter().find(|row| row["recipient"] == recipient && row["channel"] == channel)
}
