use crate::diagnostic::did_you_mean;

/// What a key may do. A key holds a set of these; `*` is all, `events:*` all of one noun.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Scope {
    EventsWrite,
    EventsRead,
    UsersWrite,
    UsersRead,
    TopicsWrite,
    TopicsRead,
    MessagesWrite,
    MessagesRead,
    RoomsWrite,
    RelayPublish,
    /// Reload workflows, redrive dead letters.
    AdminWrite,
    /// What is loaded, metrics, the audit.
    AdminRead,
}

/// A set of scopes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Scopes(u16);

#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("there is no scope `{name}`{}", .near.map_or(String::new(), |near| format!(": did you mean `{near}`?")))]
pub struct UnknownScope {
    pub name: String,
    pub near: Option<&'static str>,
}

impl Scope {
    pub const ALL: [Self; 12] = [
        Self::EventsWrite,
        Self::EventsRead,
        Self::UsersWrite,
        Self::UsersRead,
        Self::TopicsWrite,
        Self::TopicsRead,
        Self::MessagesWrite,
        Self::MessagesRead,
        Self::RoomsWrite,
        Self::RelayPublish,
        Self::AdminWrite,
        Self::AdminRead,
    ];

    pub fn as_str(self) -> &'static str {
        match self {
            Self::EventsWrite => "events:write",
            Self::EventsRead => "events:read",
            Self::UsersWrite => "users:write",
            Self::UsersRead => "users:read",
            Self::TopicsWrite => "topics:write",
            Self::TopicsRead => "topics:read",
            Self::MessagesWrite => "messages:write",
            Self::MessagesRead => "messages:read",
            Self::RoomsWrite => "rooms:write",
            Self::RelayPublish => "relay:publish",
            Self::AdminWrite => "admin:write",
            Self::AdminRead => "admin:read",
        }
    }

    fn bit(self) -> u16 {
        1 << self as u8
    }
}

impl Scopes {
    /// Reads the names that a key is made with.
    pub fn parse<'a>(names: impl IntoIterator<Item = &'a str>) -> Result<Self, UnknownScope> {
        let mut scopes = Self::default();
        for name in names {
            let bits = bits(name);
            if bits == 0 {
                let near = did_you_mean(name, Scope::ALL.map(Scope::as_str));
                return Err(UnknownScope { name: name.into(), near });
            }
            scopes.0 |= bits;
        }
        Ok(scopes)
    }

    /// Reads the names of a stored key. One that this version does not know gives nothing.
    pub fn stored<'a>(names: impl IntoIterator<Item = &'a str>) -> Self {
        Self(names.into_iter().map(bits).fold(0, |all, bits| all | bits))
    }

    pub fn holds(self, scope: Scope) -> bool {
        self.0 & scope.bit() != 0
    }
}

fn bits(name: &str) -> u16 {
    let matches = |scope: &Scope| match name.split_once(':') {
        Some((noun, "*")) => scope.as_str().split(':').next() == Some(noun),
        _ => name == "*" || name == scope.as_str(),
    };
    Scope::ALL.iter().filter(|scope| matches(scope)).fold(0, |all, scope| all | scope.bit())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_give_what_they_say() {
        let scopes = Scopes::parse(["events:write", "users:*"]).expect("they are known");
        assert!(scopes.holds(Scope::EventsWrite) && scopes.holds(Scope::UsersRead));
        assert!(!scopes.holds(Scope::EventsRead) && !scopes.holds(Scope::AdminWrite));
        let all = Scopes::parse(["*"]).expect("it is known");
        assert!(Scope::ALL.into_iter().all(|scope| all.holds(scope)));
    }

    #[test]
    fn an_unknown_name_is_refused_when_given_and_void_when_stored() {
        let error = Scopes::parse(["event:write"]).expect_err("it is misspelt");
        assert_eq!(error.near, Some("events:write"));
        for void in ["", ":", "event:*", "events:", "**"] {
            assert_eq!(Scopes::stored([void]), Scopes::default(), "{void}");
        }
    }
}
