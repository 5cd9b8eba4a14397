//! Text of files, safe to print.

use std::ffi::OsStr;
use std::fmt::Write;

/// Escapes what a terminal or a consumer of lines would act on: names in files are anybody's.
///
/// That is control characters, line ends among them, marks that turn the direction of writing, and in paths the bytes
/// that are no UTF-8. Everything else stays, backslashes too: text that was escaped stays as it is.
///
/// ```
/// assert_eq!(excite::escaped("conv\u{1b}[2J\n"), "conv\\u{1b}[2J\\n");
/// assert_eq!(excite::escaped(std::path::Path::new("naïve.png")), "naïve.png");
/// ```
pub fn escaped(text: &(impl AsRef<OsStr> + ?Sized)) -> String {
    let mut safe = String::new();
    for chunk in text.as_ref().as_encoded_bytes().utf8_chunks() {
        for c in chunk.valid().chars() {
            if acts(c) { safe.extend(c.escape_default()) } else { safe.push(c) }
        }
        for byte in chunk.invalid() {
            write!(safe, "\\x{byte:02x}").expect("text can always be added to");
        }
    }
    safe
}

/// Whether printing a character does something else than showing it.
fn acts(c: char) -> bool {
    // Bidirectional marks and Unicode's line ends.
    c.is_control()
        || matches!(c, '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_that_acts_is_left() {
        let all: String = ('\0'..=char::MAX).collect();
        let safe = escaped(&all);
        assert!(!safe.chars().any(acts));
        assert_eq!(escaped(&safe), safe, "what was escaped stays");
        assert!(safe.contains(r"\u{0}") && safe.contains(r"\t\n") && safe.contains(r"\u{7f}\u{80}"));
        assert_eq!(escaped("a\u{202e}b\\n é 漢"), "a\\u{202e}b\\n é 漢");
    }

    #[cfg(unix)]
    #[test]
    fn bytes_that_are_no_text_are_shown() {
        use std::os::unix::ffi::OsStrExt;
        assert_eq!(escaped(OsStr::from_bytes(b"a\xff\n\xe2\x82.png")), r"a\xff\n\xe2\x82.png");
    }
}
