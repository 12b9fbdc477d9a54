use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::sync::LazyLock;

use ipnet::IpNet;

/// Which private, loopback and link-local addresses data may name.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum AllowPrivate {
    #[default]
    None,
    All,
    /// Host names (in lower case), and ranges.
    Some {
        hosts: Vec<String>,
        ranges: Vec<IpNet>,
    },
}

/// An entry that looks like a range but is none.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{entry}` is no host name and no CIDR range (`10.1.0.0/16`)")]
pub struct BadRange {
    pub entry: String,
}

/// What no message from data goes to: the special-purpose registries of IANA (RFC 6890), cloud
/// metadata (in 169.254.0.0/16 and fd00::/8) among them.
const PRIVATE: [&str; 24] = [
    "0.0.0.0/8",
    "10.0.0.0/8",
    "100.64.0.0/10",
    "127.0.0.0/8",
    "169.254.0.0/16",
    "172.16.0.0/12",
    "192.0.0.0/24",
    "192.0.2.0/24",
    "192.88.99.0/24",
    "192.168.0.0/16",
    "198.18.0.0/15",
    "198.51.100.0/24",
    "203.0.113.0/24",
    "224.0.0.0/3",
    "::/127",
    "64:ff9b:1::/48",
    "100::/64",
    "2001::/23",
    "2001:db8::/32",
    "3fff::/20",
    "5f00::/16",
    "fc00::/7",
    "fe80::/9",
    "ff00::/8",
];

static PRIVATE_RANGES: LazyLock<Vec<IpNet>> =
    LazyLock::new(|| PRIVATE.iter().filter_map(|range| range.parse().ok()).collect());

/// Whether an address is one that the public internet does not reach, in whatever dress: IPv4
/// inside IPv6 is judged by the IPv4 address.
pub fn is_private(address: IpAddr) -> bool {
    let within = |address: IpAddr| PRIVATE_RANGES.iter().any(|range| range.contains(&address));
    match address {
        IpAddr::V4(_) => within(address),
        IpAddr::V6(v6) => within(address) || embedded(v6).is_some_and(|v4| within(IpAddr::V4(v4))),
    }
}

/// Mapped and compatible addresses, NAT64 (RFC 6052) and 6to4 (RFC 3056).
fn embedded(v6: Ipv6Addr) -> Option<Ipv4Addr> {
    let s = v6.segments();
    let v4 = |high: u16, low: u16| {
        let [[a, b], [c, d]] = [high.to_be_bytes(), low.to_be_bytes()];
        Ipv4Addr::new(a, b, c, d)
    };
    match s {
        [0, 0, 0, 0, 0, 0 | 0xffff, high, low] => Some(v4(high, low)),
        [0x64, 0xff9b, 0, 0, 0, 0, high, low] => Some(v4(high, low)),
        [0x2002, high, low, ..] => Some(v4(high, low)),
        _ => None,
    }
}

impl AllowPrivate {
    /// From the operator's list of host names, addresses and CIDR ranges.
    pub fn some(entries: &[String]) -> Result<Self, BadRange> {
        let (mut hosts, mut ranges) = (Vec::new(), Vec::new());
        for entry in entries {
            let entry = entry.trim();
            if let Ok(range) = entry.parse::<IpNet>() {
                ranges.push(range);
            } else if let Ok(address) = entry.parse::<IpAddr>() {
                ranges.push(address.into());
            } else if entry.is_empty() || entry.contains(['/', ':']) {
                return Err(BadRange { entry: entry.into() });
            } else {
                hosts.push(entry.to_ascii_lowercase());
            }
        }
        Ok(Self::Some { hosts, ranges })
    }

    /// Whether `host` may resolve to whatever it likes.
    pub fn host(&self, host: &str) -> bool {
        match self {
            Self::None => false,
            Self::All => true,
            Self::Some { hosts, .. } => {
                hosts.iter().any(|allowed| allowed.eq_ignore_ascii_case(host))
            }
        }
    }

    /// Whether `address` may be connected to for data.
    pub fn address(&self, address: IpAddr) -> bool {
        match self {
            Self::All => true,
            Self::Some { ranges, .. } if ranges.iter().any(|range| range.contains(&address)) => {
                true
            }
            _ => !is_private(address),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_range_parses() {
        assert_eq!(PRIVATE_RANGES.len(), PRIVATE.len());
    }

    #[test]
    fn private_addresses_are_known_in_every_dress() {
        for text in [
            "127.0.0.1",
            "10.1.2.3",
            "172.31.255.255",
            "192.168.0.1",
            "169.254.169.254",
            "100.64.0.1",
            "0.0.0.0",
            "224.0.0.1",
            "255.255.255.255",
            "::1",
            "::",
            "fd00:ec2::254",
            "fe80::1",
            "fec0::1",
            "ff02::1",
            "::ffff:127.0.0.1",
            "::127.0.0.1",
            "64:ff9b::10.0.0.1",
            "2002:7f00:1::",
        ] {
            assert!(is_private(text.parse().unwrap()), "{text}");
        }
        for text in ["1.1.1.1", "172.32.0.1", "2606:4700::1111", "::ffff:8.8.8.8"] {
            assert!(!is_private(text.parse().unwrap()), "{text}");
        }
    }

    #[test]
    fn an_operators_list_opens_what_it_names() {
        let entries = ["10.1.0.0/16", "192.168.7.7", "Sink.Internal"].map(String::from);
        let allow = AllowPrivate::some(&entries).unwrap();
        assert!(allow.address("10.1.255.1".parse().unwrap()));
        assert!(!allow.address("10.2.0.1".parse().unwrap()));
        assert!(allow.address("192.168.7.7".parse().unwrap()));
        assert!(allow.host("sink.internal"));
        assert!(!allow.host("internal"));
        assert!(AllowPrivate::some(&["10.1.0.0/99".into()]).is_err());
    }
}
