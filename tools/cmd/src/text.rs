//! Text: UTF-16 and bytes from and to the strings that the interpreter works with, and comparing as Windows compares.
//!
//! Inside, text is UTF-8: the code pages of Transom are. A lone surrogate does not survive.

use transom_syscalls::path::fold::upcase;

/// UTF-16 of a text.
pub(crate) fn wide(text: &str) -> Vec<u16> {
    text.encode_utf16().collect()
}

/// A text of UTF-16.
pub(crate) fn narrow(text: &[u16]) -> String {
    String::from_utf16_lossy(text)
}

/// A character in upper case, as file names compare.
pub(crate) fn upper(c: char) -> char {
    match u16::try_from(u32::from(c)) {
        Ok(unit) => char::from_u32(upcase(unit).into()).unwrap_or(c),
        Err(_) => c,
    }
}

/// Whether two texts are the same but for case.
pub(crate) fn same(a: &str, b: &str) -> bool {
    a.chars().map(upper).eq(b.chars().map(upper))
}

/// Where `needle` begins in `text`, without regard to case: byte range.
pub(crate) fn find_folded(text: &str, needle: &str) -> Option<(usize, usize)> {
    if needle.is_empty() {
        return None;
    }
    text.char_indices().find_map(|(at, _)| prefix_folded(&text[at..], needle).map(|len| (at, at + len)))
}

/// How many bytes of `text` the prefix takes, without regard to case.
pub(crate) fn prefix_folded(text: &str, prefix: &str) -> Option<usize> {
    let mut rest = text.char_indices();
    for wanted in prefix.chars() {
        let (_, c) = rest.next()?;
        if upper(c) != upper(wanted) {
            return None;
        }
    }
    Some(rest.next().map_or(text.len(), |(at, _)| at))
}

/// The separators between words, beside blanks.
pub(crate) fn is_delimiter(c: char) -> bool {
    matches!(c, ' ' | '\t' | ',' | ';' | '=' | '\u{b}' | '\u{c}' | '\u{a0}')
}

/// A word without its quotation marks.
pub(crate) fn unquote(word: &str) -> String {
    word.chars().filter(|c| *c != '"').collect()
}

/// Splits off the first word, which ends at a blank or delimiter outside quotation marks: the word and what follows it.
pub(crate) fn split_word(text: &str) -> (&str, &str) {
    let text = text.trim_start_matches(is_delimiter);
    let mut quoted = false;
    for (at, c) in text.char_indices() {
        quoted ^= c == '"';
        if !quoted && is_delimiter(c) {
            return text.split_at(at);
        }
    }
    (text, "")
}

/// The words of a text, quotation marks included. A switch (`/x`) also ends the word before it.
pub(crate) fn words(text: &str) -> Vec<String> {
    let mut out = Vec::new();
    let mut word = String::new();
    let mut quoted = false;
    for c in text.chars() {
        quoted ^= c == '"';
        if !quoted && (is_delimiter(c) || c == '/') && !word.is_empty() {
            out.push(core::mem::take(&mut word));
        }
        if quoted || !is_delimiter(c) {
            word.push(c);
        }
    }
    if !word.is_empty() {
        out.push(word);
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_end_at_delimiters_and_switches() {
        assert_eq!(words("a b,c;d=e"), ["a", "b", "c", "d", "e"]);
        assert_eq!(words("/s/q \"a b\\c\" d"), ["/s", "/q", "\"a b\\c\"", "d"]);
        assert_eq!(split_word("  \"a b\"c d"), ("\"a b\"c", " d"));
    }

    #[test]
    fn case_is_folded() {
        assert!(same("Äb", "äB") && !same("a", "ab"));
        assert_eq!(find_folded("xÄBc", "äb"), Some((1, 4)));
        assert_eq!(find_folded("abc", ""), None);
    }
}
