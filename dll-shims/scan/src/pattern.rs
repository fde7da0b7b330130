//! Decorated names with placeholders: what differs between `char` and `wchar_t` and between pointer widths, and what is long and frequent.
//!
//! | placeholder | is |
//! | --- | --- |
//! | `{c}` | the character: `char`, or `wchar_t` (also as programs with the option `/Zc:wchar_t-` have it: `unsigned short`) |
//! | `{i}` | its `int_type`: `int`, or `unsigned short` |
//! | `{size}` | `size_t` |
//! | `{traits}` | `char_traits<{c}>` without its scope |
//! | `{streambuf}`, `{ostream}`, ... | `basic_streambuf<{c}, char_traits<{c}>>`, ... without its scope |
//!
//! The types of parameters are written out: where an earlier one comes again, [`crate::decorated`] puts the reference to that.

/// Which character a name with `{c}` is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Character {
    /// `char`
    Narrow,
    /// `wchar_t`
    Wide,
    /// `wchar_t` where that is `unsigned short`
    Short,
}

/// Class templates over the character and its traits.
const STREAMS: [(&str, &str); 9] = [
    ("streambuf", "basic_streambuf"),
    ("filebuf", "basic_filebuf"),
    ("ios", "basic_ios"),
    ("istream", "basic_istream"),
    ("ostream", "basic_ostream"),
    ("iostream", "basic_iostream"),
    ("istreambuf_iterator", "istreambuf_iterator"),
    ("ostreambuf_iterator", "ostreambuf_iterator"),
    ("string", "basic_string"),
];

/// The characters other than `char` that a name is exported for.
pub(crate) fn wide_characters(pattern: &str) -> &'static [Character] {
    let depends = pattern.split('{').skip(1).any(|s| !s.starts_with("size}"));
    if depends { &[Character::Wide, Character::Short] } else { &[] }
}

/// Fills the placeholders in. `None` if one is not known.
pub(crate) fn expand(pattern: &str, character: Character, x86: bool) -> Option<String> {
    let (c, int) = match character {
        Character::Narrow => ("D", "H"),
        Character::Wide => ("_W", "G"),
        Character::Short => ("G", "G"),
    };
    let mut out = String::with_capacity(2 * pattern.len());
    let mut rest = pattern;
    while let Some((before, after)) = rest.split_once('{') {
        let (name, after) = after.split_once('}')?;
        out.push_str(before);
        match name {
            "c" => out.push_str(c),
            "i" => out.push_str(int),
            "size" => out.push_str(if x86 { "I" } else { "_K" }),
            "traits" => out.push_str(&format!("?$char_traits@{c}@")),
            _ => {
                let (_, class) = STREAMS.iter().find(|s| s.0 == name)?;
                let allocator = if name == "string" { format!("V?$allocator@{c}@2@") } else { String::new() };
                out.push_str(&format!("?${class}@{c}U?$char_traits@{c}@std@@{allocator}@"));
            }
        }
        rest = after;
    }
    out.push_str(rest);
    Some(out)
}

#[cfg(test)]
mod tests {
    use super::{Character, expand};

    #[test]
    fn placeholders_are_filled_in() {
        let name = |c, x86| expand("?f@{streambuf}std@@QEAA{i}PEB{c}{size}@Z", c, x86).unwrap();
        assert_eq!(
            name(Character::Narrow, false),
            "?f@?$basic_streambuf@DU?$char_traits@D@std@@@std@@QEAAHPEBD_K@Z"
        );
        assert_eq!(
            name(Character::Wide, true),
            "?f@?$basic_streambuf@_WU?$char_traits@_W@std@@@std@@QEAAGPEB_WI@Z"
        );
        assert_eq!(expand("?f@{nothing}", Character::Narrow, false), None);
    }
}
