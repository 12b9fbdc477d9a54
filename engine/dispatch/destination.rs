use url::Url;

use crate::channel::{Address, Traits};

/// Whose server a message ends up at, where its address says so.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Destination {
    /// `hooks.example:443`, or a mail domain.
    pub name: String,
    /// It is what the provider calls: its failures are not the provider's.
    pub answers_itself: bool,
}

impl Destination {
    /// `None`: the provider's own servers are all there is.
    pub fn of(to: &str, traits: &Traits) -> Option<Self> {
        if to.contains("://") {
            let url = Url::parse(to).ok()?;
            let (host, port) = (url.host_str()?, url.port_or_known_default().unwrap_or_default());
            return Some(Self { name: format!("{host}:{port}"), answers_itself: true });
        }
        if traits.address != Address::Email {
            return None;
        }
        let (_, domain) = to.rsplit_once('@')?;
        let name = domain.trim_end_matches('>').to_ascii_lowercase();
        Some(Self { name, answers_itself: false })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::channel::Traits;

    #[test]
    fn a_hook_is_its_host_and_a_mail_its_domain() {
        let of = |to, address| {
            let traits = Traits { address, ..Traits::INBOX };
            Destination::of(to, &traits).map(|found| (found.name, found.answers_itself))
        };
        let data = || Address::Data("webhook_url".into());
        let host = |name: &str| Some((name.to_owned(), true));
        assert_eq!(of("https://hooks.Example/a?b", data()), host("hooks.example:443"));
        assert_eq!(of("http://[::1]:9000/", Address::Email), host("[::1]:9000"));
        assert_eq!(of("", data()), None);
        assert_eq!(of("+21620000000", Address::Phone), None);
        let domain = Some(("example.org".to_owned(), false));
        assert_eq!(of("Ada <ada@Example.ORG>", Address::Email), domain);
    }
}
