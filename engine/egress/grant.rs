use reqwest::Method;
use url::{Host, Url};

use super::{AllowPrivate, Refusal};

/// What one provider may reach.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Grants {
    /// What its plugin's manifest asks for.
    pub hosts: Vec<HostRule>,
    /// Host (in lower case) and port as the operator wrote them into the settings: may be private.
    pub settings: Vec<(String, u16)>,
}

/// One host, or a family of them, and what may be asked there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HostRule {
    /// `api.example.com`, `*.example.com`, or `*`.
    pub host: String,
    /// Empty: any.
    pub methods: Vec<String>,
}

/// An address that may be asked.
#[derive(Clone, Debug)]
pub struct Target {
    pub(super) url: Url,
    /// The operator's own: private addresses are open to it.
    pub(super) granted: bool,
}

impl Grants {
    /// Grants what stands in a provider's settings: each URL, and `host` with `port`.
    pub fn grant_settings(&mut self, settings: &serde_json::Map<String, serde_json::Value>) {
        let urls = settings.values().filter_map(|value| Url::parse(value.as_str()?).ok());
        self.settings.extend(urls.filter_map(|url| place(&url)));
        let port = settings.get("port").and_then(serde_json::Value::as_u64);
        if let (Some(host), Some(port)) = (settings.get("host"), port)
            && let (Some(host), Ok(port)) = (host.as_str(), u16::try_from(port))
        {
            self.settings.push((host.to_ascii_lowercase(), port));
        }
    }

    fn settings_name(&self, url: &Url) -> bool {
        place(url).is_some_and(|place| self.settings.contains(&place))
    }

    fn allow(&self, method: &Method, host: &str) -> Result<(), Refusal> {
        let mut rules = self.hosts.iter().filter(|rule| rule.matches(host)).peekable();
        if rules.peek().is_none() {
            let message = format!("the plugin's manifest does not ask for the host `{host}`");
            return Err(Refusal::new("egress.host", message));
        }
        let asked = |rule: &HostRule| {
            rule.methods.is_empty() || rule.methods.iter().any(|asked| asked == method.as_str())
        };
        if rules.any(asked) {
            return Ok(());
        }
        let message = format!("the plugin's manifest does not ask for {method} at `{host}`");
        Err(Refusal::new("egress.method", message))
    }
}

impl HostRule {
    fn matches(&self, host: &str) -> bool {
        match self.host.strip_prefix('*') {
            Some("") => true,
            Some(domain) => {
                host.len() > domain.len()
                    && host.is_char_boundary(host.len() - domain.len())
                    && host[host.len() - domain.len()..].eq_ignore_ascii_case(domain)
            }
            None => self.host.eq_ignore_ascii_case(host),
        }
    }
}

pub(super) fn target(
    allow_private: &AllowPrivate,
    method: &Method,
    url: &str,
    grants: &Grants,
) -> Result<Target, Refusal> {
    let url = Url::parse(url).map_err(|why| Refusal::new("egress.url", why.to_string()))?;
    if !matches!(url.scheme(), "http" | "https") {
        let message = format!("`{}` is neither http nor https", url.scheme());
        return Err(Refusal::new("egress.scheme", message));
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Err(Refusal::new("egress.url", "an address must not hold a user name or password"));
    }
    if grants.settings_name(&url) {
        return Ok(Target { url, granted: true });
    }
    let host = url.host_str().unwrap_or_default();
    grants.allow(method, host)?;
    // A name is judged when it is resolved, by the addresses behind it.
    let address = match url.host() {
        Some(Host::Ipv4(address)) => Some(address.into()),
        Some(Host::Ipv6(address)) => Some(address.into()),
        _ => None,
    };
    match address {
        Some(address) if !allow_private.address(address) => Err(Refusal::private(host)),
        _ => Ok(Target { url, granted: false }),
    }
}

fn place(url: &Url) -> Option<(String, u16)> {
    let web = matches!(url.scheme(), "http" | "https");
    Some((url.host_str().filter(|_| web)?.to_ascii_lowercase(), url.port_or_known_default()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn grants(hosts: &[&str], settings: serde_json::Value) -> Grants {
        let rule = |host: &&str| HostRule { host: (*host).into(), methods: vec!["POST".into()] };
        let mut grants = Grants { hosts: hosts.iter().map(rule).collect(), settings: Vec::new() };
        grants.grant_settings(settings.as_object().unwrap());
        grants
    }

    fn code(grants: &Grants, method: Method, url: &str) -> Result<bool, &'static str> {
        target(&AllowPrivate::None, &method, url, grants)
            .map(|target| target.granted)
            .map_err(|refusal| refusal.code)
    }

    #[test]
    fn a_manifest_asks_for_hosts_and_methods() {
        let grants = grants(&["api.example.com", "*.example.org"], serde_json::json!({}));
        let post = |url| code(&grants, Method::POST, url);
        assert_eq!(post("https://api.example.com/v1"), Ok(false));
        assert_eq!(post("https://eu.example.org/"), Ok(false));
        assert_eq!(post("https://example.org/"), Err("egress.host"));
        assert_eq!(post("https://evilexample.org/"), Err("egress.host"));
        assert_eq!(post("ftp://api.example.com/"), Err("egress.scheme"));
        assert_eq!(post("https://user:pass@api.example.com/"), Err("egress.url"));
        assert_eq!(code(&grants, Method::GET, "https://api.example.com/"), Err("egress.method"));
    }

    #[test]
    fn private_literals_are_open_to_the_operator_alone() {
        let grants = grants(
            &["*"],
            serde_json::json!({"url": "http://127.0.0.1:9000/hook", "host": "10.0.0.5", "port": 25}),
        );
        let post = |url| code(&grants, Method::POST, url);
        assert_eq!(post("http://127.0.0.1:9000/other"), Ok(true));
        assert_eq!(post("http://127.0.0.1:9001/"), Err("egress.private"));
        assert_eq!(post("http://10.0.0.5:25/"), Ok(true));
        for url in ["http://2130706433/", "http://0x7f.1/", "http://[::ffff:7f00:1]/"] {
            assert_eq!(post(url), Err("egress.private"), "{url}");
        }
        assert_eq!(post("http://93.184.216.34/"), Ok(false));
    }
}
