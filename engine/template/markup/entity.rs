//! Character references.

use std::borrow::Cow;

/// Text with its references read; those that are none stay as they are. The names are those of
/// HTML 4's Latin letters and of typography.
pub(in crate::template) fn decoded(text: &str) -> Cow<'_, str> {
    let Some(first) = text.find('&') else {
        return Cow::Borrowed(text);
    };
    let mut out = String::with_capacity(text.len());
    out.push_str(&text[..first]);
    let mut rest = &text[first..];
    while let Some(at) = rest.find('&') {
        out.push_str(&rest[..at]);
        rest = &rest[at..];
        // No name is longer; and looking further would make many `&` cost their square.
        let end = rest.bytes().take(16).position(|byte| byte == b';');
        let reference = end.and_then(|end| rest.get(1..end));
        match reference.and_then(|name| Some((character(name)?, name.len()))) {
            Some((character, width)) => {
                out.push(character);
                rest = &rest[width + 2..];
            }
            None => {
                out.push('&');
                rest = &rest[1..];
            }
        }
    }
    out.push_str(rest);
    Cow::Owned(out)
}

fn character(name: &str) -> Option<char> {
    if let Some(number) = name.strip_prefix('#') {
        let code = match number.strip_prefix(['x', 'X']) {
            Some(digits) => u32::from_str_radix(digits, 16).ok()?,
            None => number.parse().ok()?,
        };
        return char::from_u32(code).filter(|character| *character != '\0');
    }
    NAMES.iter().find(|(known, _)| *known == name).map(|(_, character)| *character)
}

/// The likeliest first: the list is searched in its order.
#[rustfmt::skip]
const NAMES: [(&str, char); 136] = [
    ("nbsp", '\u{a0}'), ("amp", '&'), ("lt", '<'), ("gt", '>'), ("quot", '"'), ("apos", '\''),
    ("rsquo", '’'), ("lsquo", '‘'), ("rdquo", '”'), ("ldquo", '“'), ("sbquo", '‚'),
    ("bdquo", '„'), ("laquo", '«'), ("raquo", '»'), ("lsaquo", '‹'), ("rsaquo", '›'),
    ("hellip", '…'), ("ndash", '–'), ("mdash", '—'), ("bull", '•'), ("middot", '·'),
    ("euro", '€'), ("pound", '£'), ("yen", '¥'), ("cent", '¢'), ("copy", '©'), ("reg", '®'),
    ("trade", '™'), ("deg", '°'), ("times", '×'), ("divide", '÷'), ("plusmn", '±'),
    ("minus", '−'), ("para", '¶'), ("sect", '§'), ("dagger", '†'), ("Dagger", '‡'),
    ("permil", '‰'), ("prime", '′'), ("Prime", '″'), ("larr", '←'), ("uarr", '↑'),
    ("rarr", '→'), ("darr", '↓'), ("harr", '↔'), ("ensp", '\u{2002}'), ("emsp", '\u{2003}'),
    ("thinsp", '\u{2009}'), ("zwnj", '\u{200c}'), ("zwj", '\u{200d}'), ("shy", '\u{ad}'),
    ("frac12", '½'), ("frac14", '¼'), ("frac34", '¾'), ("sup1", '¹'), ("sup2", '²'),
    ("sup3", '³'), ("micro", 'µ'), ("not", '¬'), ("ordf", 'ª'), ("ordm", 'º'), ("iexcl", '¡'),
    ("iquest", '¿'), ("brvbar", '¦'), ("uml", '¨'), ("macr", '¯'), ("acute", '´'),
    ("cedil", '¸'), ("curren", '¤'), ("infin", '∞'), ("asymp", '≈'), ("ne", '≠'), ("le", '≤'),
    ("ge", '≥'), ("hearts", '♥'), ("check", '✓'),
    ("Agrave", 'À'), ("Aacute", 'Á'), ("Acirc", 'Â'), ("Atilde", 'Ã'), ("Auml", 'Ä'),
    ("Aring", 'Å'), ("AElig", 'Æ'), ("Ccedil", 'Ç'), ("Egrave", 'È'), ("Eacute", 'É'),
    ("Ecirc", 'Ê'), ("Euml", 'Ë'), ("Igrave", 'Ì'), ("Iacute", 'Í'), ("Icirc", 'Î'),
    ("Iuml", 'Ï'), ("ETH", 'Ð'), ("Ntilde", 'Ñ'), ("Ograve", 'Ò'), ("Oacute", 'Ó'),
    ("Ocirc", 'Ô'), ("Otilde", 'Õ'), ("Ouml", 'Ö'), ("Oslash", 'Ø'), ("Ugrave", 'Ù'),
    ("Uacute", 'Ú'), ("Ucirc", 'Û'), ("Uuml", 'Ü'), ("Yacute", 'Ý'), ("THORN", 'Þ'),
    ("szlig", 'ß'), ("agrave", 'à'), ("aacute", 'á'), ("acirc", 'â'), ("atilde", 'ã'),
    ("auml", 'ä'), ("aring", 'å'), ("aelig", 'æ'), ("ccedil", 'ç'), ("egrave", 'è'),
    ("eacute", 'é'), ("ecirc", 'ê'), ("euml", 'ë'), ("igrave", 'ì'), ("iacute", 'í'),
    ("icirc", 'î'), ("iuml", 'ï'), ("eth", 'ð'), ("ntilde", 'ñ'), ("ograve", 'ò'),
    ("oacute", 'ó'), ("ocirc", 'ô'), ("otilde", 'õ'), ("ouml", 'ö'), ("oslash", 'ø'),
    ("ugrave", 'ù'), ("uacute", 'ú'), ("ucirc", 'û'), ("uuml", 'ü'), ("yacute", 'ý'),
];
