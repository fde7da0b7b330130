//! What can be done to a variable's value as it is expanded: `:a=b` replaces, `:~start,length` takes a part.

use crate::text::{find_folded, prefix_folded};

/// Applies what stands behind the colon. `None` if it means nothing.
pub(super) fn apply(value: &str, operation: &str) -> Option<String> {
    if let Some(range) = operation.strip_prefix('~') {
        return Some(part(value, range));
    }
    // The text to look for may begin with an equals sign, hence the search from its second character.
    let first = operation.chars().next()?.len_utf8();
    let at = first + operation[first..].find('=')?;
    Some(replace(value, &operation[..at], &operation[at + 1..]))
}

/// Replaces every occurrence, without regard to case; with a `*` in front, everything up to the first one.
fn replace(value: &str, from: &str, to: &str) -> String {
    if let Some(from) = from.strip_prefix('*') {
        return match find_folded(value, from) {
            Some((_, end)) => format!("{to}{}", &value[end..]),
            None => value.to_owned(),
        };
    }
    let mut out = String::new();
    let mut rest = value;
    while let Some(c) = rest.chars().next() {
        match prefix_folded(rest, from).filter(|len| *len > 0) {
            Some(len) => {
                out.push_str(to);
                rest = &rest[len..];
            }
            None => {
                out.push(c);
                rest = &rest[c.len_utf8()..];
            }
        }
    }
    out
}

/// The part from `start` on, of `length` characters; negative numbers count from the end.
fn part(value: &str, range: &str) -> String {
    let mut numbers = range.splitn(2, ',');
    let chars: Vec<char> = value.chars().collect();
    let total = i64::try_from(chars.len()).unwrap_or(i64::MAX);
    let place = |n: i64| if n < 0 { (total + n).max(0) } else { n.min(total) };
    let start = place(number(numbers.next().unwrap_or("")));
    let end = match numbers.next() {
        None => total,
        Some(text) => match number(text) {
            n if n < 0 => total + n,
            n => start.saturating_add(n).min(total),
        },
    };
    let bounds = (usize::try_from(start), usize::try_from(end.max(start)));
    let (Ok(start), Ok(end)) = bounds else { return String::new() };
    chars[start..end].iter().collect()
}

/// A decimal number; what is none counts as 0.
fn number(text: &str) -> i64 {
    let text = text.trim();
    let digits = text.trim_start_matches(['-', '+']);
    let end = digits.find(|c: char| !c.is_ascii_digit()).unwrap_or(digits.len());
    let value: i64 = digits[..end].parse::<i32>().map_or(0, i64::from);
    if text.starts_with('-') { -value } else { value }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_and_replacements() {
        for (operation, expected) in [
            ("~2", "cdef"),
            ("~-2", "ef"),
            ("~1,2", "bc"),
            ("~0,-1", "abcde"),
            ("~-3,2", "de"),
            ("~9", ""),
            ("~4,-4", ""),
            ("~-99,1", "a"),
            ("CD=x", "abxef"),
            ("c=", "abdef"),
            ("*d=", "ef"),
            ("*z=y", "abcdef"),
            ("z=y", "abcdef"),
        ] {
            assert_eq!(apply("abcdef", operation).as_deref(), Some(expected), "{operation}");
        }
        assert_eq!(apply("abc", "x"), None);
        assert_eq!(apply("a=b", "==-").as_deref(), Some("a-b"));
    }
}
