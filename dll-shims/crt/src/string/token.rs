//! `strtok` and its relatives as a state machine over indices: the caller keeps the string and the position.

use crate::unit::Unit;

/// The next token of `text` from `start`: its range, and where the next search starts. The unit at the end of the range is the
/// delimiter to overwrite with a NUL, if the range ends before the text does. `None` when only delimiters are left.
#[must_use]
pub fn next_token<U: Unit>(
    text: &[U],
    start: usize,
    delimiters: &[U],
) -> Option<(core::ops::Range<usize>, usize)> {
    let rest = text.get(start..)?;
    let rest = &rest[..rest.iter().position(|u| *u == U::NUL).unwrap_or(rest.len())];
    let from = rest.iter().position(|u| !delimiters.contains(u))?;
    let length = rest[from..].iter().position(|u| delimiters.contains(u)).unwrap_or(rest.len() - from);
    let end = start + from + length;
    let next = if from + length < rest.len() { end + 1 } else { end };
    Some((start + from..end, next))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn tokens_are_those_of_split(s in "[a-c ,]{0,30}") {
            let mut found = Vec::new();
            let mut at = 0;
            while let Some((range, next)) = next_token(s.as_bytes(), at, b" ,") {
                found.push(&s[range]);
                at = next;
            }
            let expected: Vec<&str> = s.split([' ', ',']).filter(|t| !t.is_empty()).collect();
            prop_assert_eq!(found, expected);
        }
    }
}
