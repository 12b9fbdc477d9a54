//! What a text costs as a short message.

/// Septets of a message of one segment, and of each where there are more.
const SEPTETS: (usize, usize) = (160, 153);
/// The same in UCS-2's units.
const UNITS: (usize, usize) = (70, 67);

/// The letters of GSM 03.38 that are not ASCII; its `ESC` is no letter.
const LETTERS: &str = "£¥èéùìòÇØøÅåΔΦΓΛΩΠΨΣΘΞÆæßÉ¤¡ÄÖÑÜ§¿äöñüà";
/// Written as two septets.
const EXTENDED: &str = "^{}\\[~]|€\u{c}";

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Encoding {
    Gsm7,
    Ucs2,
}

impl Encoding {
    /// The cheapest that has every letter.
    pub(super) fn of(text: &str) -> Self {
        let gsm = text.chars().all(|character| septets(character).is_some());
        if gsm { Self::Gsm7 } else { Self::Ucs2 }
    }

    /// Septets, or UCS-2 units.
    pub(super) fn cost(self, text: &str) -> usize {
        match self {
            Self::Gsm7 => text.chars().map(|character| septets(character).unwrap_or(1)).sum(),
            Self::Ucs2 => text.encode_utf16().count(),
        }
    }

    /// How much the room of `septets` holds in this encoding: 160 septets are 70 units.
    pub(super) fn room(self, septets: usize) -> usize {
        match self {
            Self::Gsm7 => septets,
            Self::Ucs2 => septets.saturating_mul(7) / 16,
        }
    }

    /// How much so many segments hold.
    pub(super) fn room_of_segments(self, segments: usize) -> usize {
        let (one, each) = match self {
            Self::Gsm7 => SEPTETS,
            Self::Ucs2 => UNITS,
        };
        if segments == 1 { one } else { segments.saturating_mul(each) }
    }

    pub(super) fn ellipsis(self) -> &'static str {
        match self {
            Self::Gsm7 => "...",
            Self::Ucs2 => "…",
        }
    }
}

fn septets(character: char) -> Option<usize> {
    match character {
        '`' => None,
        '\n' | '\r' | ' '..='Z' | '_' | 'a'..='z' => Some(1),
        _ if EXTENDED.contains(character) => Some(2),
        _ if LETTERS.contains(character) => Some(1),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_letter_costs_what_gsm_says() {
        assert_eq!(Encoding::of("Déjà: 5 € {a} @£$"), Encoding::Gsm7);
        assert_eq!(Encoding::Gsm7.cost("5 €{"), 6);
        for foreign in ["ç", "û", "`", "😀", "ط", "…", "\u{a0}"] {
            assert_eq!(Encoding::of(foreign), Encoding::Ucs2, "{foreign}");
        }
        assert_eq!(Encoding::Ucs2.cost("a😀"), 3);
        assert_eq!((Encoding::Ucs2.room(160), Encoding::Ucs2.room_of_segments(2)), (70, 134));
    }
}
