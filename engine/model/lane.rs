use std::fmt;

/// Where a tenant's messages wait beside those of others: claims take from the lanes in turn, so
/// that nobody's flood holds up everybody.
///
/// Events without a tenant have the first lane for themselves; tenants share the others.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Lane(u8);

impl Lane {
    /// The number is in rows: never smaller.
    pub const COUNT: u8 = 16;

    pub fn of(tenant: &str) -> Self {
        if tenant.is_empty() {
            return Self(0);
        }
        // FNV-1a: the same on every node and in every version.
        let hash = tenant.bytes().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
            (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
        });
        let folded = hash ^ (hash >> 32);
        Self(1 + u8::try_from(folded % u64::from(Self::COUNT - 1)).unwrap_or_default())
    }

    /// The lane of a stored number; one that is none is the first.
    pub fn numbered(number: u32) -> Self {
        match u8::try_from(number) {
            Ok(number) if number < Self::COUNT => Self(number),
            _ => Self(0),
        }
    }

    pub fn number(self) -> u8 {
        self.0
    }

    /// All lanes, the one whose turn it is first.
    pub fn in_turn(turn: u8) -> impl Iterator<Item = Self> {
        (0..Self::COUNT).map(move |place| Self((turn % Self::COUNT + place) % Self::COUNT))
    }
}

impl fmt::Display for Lane {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn tenants_are_spread_and_keep_their_lane() {
        let lanes: BTreeSet<_> =
            (0..1000).map(|number| Lane::of(&format!("tenant-{number}"))).collect();
        assert_eq!(lanes.len(), usize::from(Lane::COUNT - 1));
        assert!(!lanes.contains(&Lane::of("")));
        assert_eq!((Lane::of("acme"), Lane::of("acme").number()), (Lane::of("acme"), 2));
    }

    #[test]
    fn every_lane_has_its_turn() {
        for turn in [0, 7, 15, 250] {
            let lanes: Vec<_> = Lane::in_turn(turn).collect();
            assert_eq!(lanes[0].number(), turn % Lane::COUNT);
            assert_eq!(lanes.iter().collect::<BTreeSet<_>>().len(), usize::from(Lane::COUNT));
        }
    }
}
