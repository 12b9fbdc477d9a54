/// Makes every line end a CRLF, and takes the last one off (the transport ends the data itself).
///
/// lettre up to 0.11.23 stuffs a leading dot after a CRLF alone (RUSTSEC-2026-0561), while many
/// servers take a bare LF or CR for a line's end too: without this, a body could end the mail and
/// go on with commands.
pub(super) fn normalize(message: Vec<u8>) -> Vec<u8> {
    let mut message = if has_bare_ending(&message) { rewrite(&message) } else { message };
    if message.ends_with(b"\r\n") {
        message.truncate(message.len() - 2);
    }
    message
}

fn has_bare_ending(message: &[u8]) -> bool {
    message.iter().enumerate().any(|(at, byte)| match byte {
        b'\n' => at == 0 || message[at - 1] != b'\r',
        b'\r' => message.get(at + 1) != Some(&b'\n'),
        _ => false,
    })
}

fn rewrite(message: &[u8]) -> Vec<u8> {
    let mut clean = Vec::with_capacity(message.len() + message.len() / 32);
    let mut bytes = message.iter().peekable();
    while let Some(byte) = bytes.next() {
        match byte {
            b'\r' => {
                let _ = bytes.next_if(|next| **next == b'\n');
                clean.extend_from_slice(b"\r\n");
            }
            b'\n' => clean.extend_from_slice(b"\r\n"),
            byte => clean.push(*byte),
        }
    }
    clean
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn bare_endings_become_crlf() {
        for (given, expected) in [
            ("a\r\nb", "a\r\nb"),
            ("a\nb", "a\r\nb"),
            ("a\rb", "a\r\nb"),
            ("a\n\r\nb", "a\r\n\r\nb"),
            ("\n.\n", "\r\n."),
            ("\r.\r", "\r\n."),
            ("a\r\r\n", "a\r\n"),
            ("", ""),
        ] {
            assert_eq!(normalize(given.into()), expected.as_bytes(), "{given:?}");
        }
    }

    proptest! {
        #[test]
        fn no_bare_ending_is_left_and_no_text_is_lost(message in "[a.\r\n]{0,64}") {
            let clean = normalize(message.clone().into());
            prop_assert!(!has_bare_ending(&clean));
            let text = |bytes: &[u8]| -> Vec<u8> {
                bytes.iter().copied().filter(|byte| !b"\r\n".contains(byte)).collect()
            };
            prop_assert_eq!(text(message.as_bytes()), text(&clean));
        }
    }
}
