//! Windows command lines: one string in the process parameters, which each program splits for itself.
//!
//! [`quote`] builds a line that every parser here splits back into the same arguments; [`parse_crt`] and
//! [`parse_shell32`] are the two families of rules in use. Expansion of wildcards is the C runtime's affair and not here.
//!
//! Documentation: "Parsing C command-line arguments", shellapi `CommandLineToArgvW`.

/// Which C runtime's rules [`parse_crt`] follows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CrtRules {
    /// msvcrt before 2008: `""` within quotes is a quotation mark and ends them.
    Msvcrt,
    /// msvcr90 and later, and ucrt: `""` within quotes is a quotation mark, and they go on.
    Ucrt,
}

const QUOTE: u16 = b'"' as u16;
const BACKSLASH: u16 = b'\\' as u16;

fn is_blank(unit: u16) -> bool {
    unit == u16::from(b' ') || unit == u16::from(b'\t')
}

/// Appends `argument` to `line` so that all parsers read it back unchanged; `first` says that it is the program's name,
/// which knows no escapes and so cannot contain quotation marks (they are left out).
fn push(line: &mut Vec<u16>, argument: &[u16], first: bool) {
    let plain = !argument.is_empty()
        && !argument.iter().any(|u| is_blank(*u) || *u == QUOTE || (0x0A..=0x0D).contains(u));
    if plain {
        line.extend_from_slice(argument);
        return;
    }
    line.push(QUOTE);
    if first {
        line.extend(argument.iter().filter(|u| **u != QUOTE));
        line.push(QUOTE);
        return;
    }
    let mut backslashes = 0;
    for &unit in argument {
        if unit == QUOTE {
            line.extend(core::iter::repeat_n(BACKSLASH, backslashes + 1));
        }
        backslashes = if unit == BACKSLASH { backslashes + 1 } else { 0 };
        line.push(unit);
    }
    line.extend(core::iter::repeat_n(BACKSLASH, backslashes));
    line.push(QUOTE);
}

/// The command line, without a terminating NUL, of a program started with these arguments; the first is its name.
///
/// Units of value 0 end the argument in which they stand, as they would end the line.
#[must_use]
pub fn quote<A: AsRef<[u16]>>(arguments: &[A]) -> Vec<u16> {
    let mut line = Vec::with_capacity(arguments.iter().map(|a| a.as_ref().len() + 3).sum());
    for (i, argument) in arguments.iter().enumerate() {
        if i > 0 {
            line.push(b' '.into());
        }
        let argument = argument.as_ref();
        let end = argument.iter().position(|u| *u == 0).unwrap_or(argument.len());
        push(&mut line, &argument[..end], i == 0);
    }
    line
}

fn until_nul(line: &[u16]) -> &[u16] {
    &line[..line.iter().position(|u| *u == 0).unwrap_or(line.len())]
}

/// Splits a command line as a C program's `argv`, by the rules of its runtime.
#[must_use]
pub fn parse_crt(line: &[u16], rules: CrtRules) -> Vec<Vec<u16>> {
    let line = until_nul(line);
    let mut at = 0;
    let mut name = Vec::new();
    let mut quoted = false;
    // The name: quotation marks only switch, there are no escapes.
    while let Some(&unit) = line.get(at) {
        if unit == QUOTE {
            quoted = !quoted;
        } else if is_blank(unit) && !quoted {
            break;
        } else {
            name.push(unit);
        }
        at += 1;
    }
    let mut arguments = vec![name];
    loop {
        at += line[at..].iter().take_while(|u| is_blank(**u)).count();
        if at >= line.len() {
            return arguments;
        }
        let (argument, end) = crt_argument(line, at, rules);
        arguments.push(argument);
        at = end;
    }
}

fn crt_argument(line: &[u16], mut at: usize, rules: CrtRules) -> (Vec<u16>, usize) {
    let mut argument = Vec::new();
    let mut quoted = false;
    loop {
        let backslashes = line[at..].iter().take_while(|u| **u == BACKSLASH).count();
        at += backslashes;
        let next = line.get(at).copied();
        if next != Some(QUOTE) {
            argument.extend(core::iter::repeat_n(BACKSLASH, backslashes));
            match next {
                Some(unit) if quoted || !is_blank(unit) => argument.push(unit),
                _ => return (argument, at),
            }
            at += 1;
            continue;
        }
        argument.extend(core::iter::repeat_n(BACKSLASH, backslashes / 2));
        at += 1;
        if backslashes % 2 == 1 {
            argument.push(QUOTE);
        } else if quoted && line.get(at) == Some(&QUOTE) {
            argument.push(QUOTE);
            at += 1;
            quoted = rules == CrtRules::Ucrt;
        } else {
            quoted = !quoted;
        }
    }
}

/// Splits a command line as `CommandLineToArgvW` does. An empty line gives no arguments: the function then answers with
/// the program's own path, which the caller knows.
#[must_use]
pub fn parse_shell32(line: &[u16]) -> Vec<Vec<u16>> {
    let line = until_nul(line);
    if line.is_empty() {
        return Vec::new();
    }
    // The name: either all up to the next quotation mark, or all up to the next blank or control character.
    let (name, mut at) = if line.first() == Some(&QUOTE) {
        let end = line[1..].iter().position(|u| *u == QUOTE).map_or(line.len(), |n| n + 1);
        (line[1..end].to_vec(), (end + 1).min(line.len()))
    } else {
        let end = line.iter().position(|u| *u <= u16::from(b' ')).unwrap_or(line.len());
        (line[..end].to_vec(), end)
    };
    let mut arguments = vec![name];
    at += line[at..].iter().take_while(|u| is_blank(**u)).count();
    let mut current: Option<Vec<u16>> = None;
    // Quotation marks met since the last ones that opened a quoted part; each third one is literal.
    let (mut marks, mut backslashes) = (0u32, 0usize);
    while let Some(&unit) = line.get(at) {
        at += 1;
        if is_blank(unit) && marks == 0 {
            arguments.extend(current.take());
            backslashes = 0;
            at += line[at..].iter().take_while(|u| is_blank(**u)).count();
            continue;
        }
        let argument = current.get_or_insert_default();
        if unit == BACKSLASH {
            argument.push(unit);
            backslashes += 1;
            continue;
        }
        if unit != QUOTE {
            argument.push(unit);
            backslashes = 0;
            continue;
        }
        if backslashes % 2 == 0 {
            argument.truncate(argument.len() - backslashes / 2);
            marks += 1;
        } else {
            argument.truncate(argument.len() - backslashes / 2 - 1);
            argument.push(QUOTE);
        }
        backslashes = 0;
        while line.get(at) == Some(&QUOTE) {
            marks += 1;
            if marks == 3 {
                argument.push(QUOTE);
                marks = 0;
            }
            at += 1;
        }
        if marks == 2 {
            marks = 0;
        }
    }
    arguments.extend(current);
    arguments
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn wide(s: &str) -> Vec<u16> {
        s.encode_utf16().collect()
    }

    fn texts(v: &[Vec<u16>]) -> Vec<String> {
        v.iter().map(|a| String::from_utf16_lossy(a)).collect()
    }

    fn crt(s: &str, rules: CrtRules) -> Vec<String> {
        texts(&parse_crt(&wide(s), rules))
    }

    #[test]
    fn documented_examples() {
        for (line, expected) in [
            (r#"x "abc" d e"#, vec!["x", "abc", "d", "e"]),
            (r#"x a\\b d"e f"g h"#, vec!["x", r"a\\b", "de fg", "h"]),
            (r#"x a\\\"b c d"#, vec!["x", r#"a\"b"#, "c", "d"]),
            (r#"x a\\\\"b c" d e"#, vec!["x", r"a\\b c", "d", "e"]),
        ] {
            assert_eq!(crt(line, CrtRules::Ucrt), expected);
            assert_eq!(crt(line, CrtRules::Msvcrt), expected);
            assert_eq!(texts(&parse_shell32(&wide(line))), expected);
        }
        assert_eq!(crt(r#"x a"b"" c d"#, CrtRules::Ucrt), ["x", r#"ab" c d"#]);
        assert_eq!(crt(r#"x a"b"" c d"#, CrtRules::Msvcrt), ["x", r#"ab""#, "c", "d"]);
    }

    #[test]
    fn the_program_name_has_no_escapes() {
        assert_eq!(crt(r#""C:\a b\" c"#, CrtRules::Ucrt), [r"C:\a b\", "c"]);
        assert_eq!(crt(r#"C:\"a b"\c d"#, CrtRules::Ucrt), [r"C:\a b\c", "d"]);
        assert_eq!(texts(&parse_shell32(&wide(r#""C:\a b\" c"#))), [r"C:\a b\", "c"]);
        assert_eq!(texts(&parse_shell32(&wide(r#""a"b c"#))), ["a", "b", "c"]);
        assert_eq!(crt("", CrtRules::Ucrt), [""]);
        assert!(parse_shell32(&[]).is_empty());
    }

    fn argument() -> impl Strategy<Value = Vec<u16>> {
        proptest::collection::vec(
            prop_oneof![
                3 => prop_oneof![Just(QUOTE), Just(BACKSLASH), Just(32), Just(9), Just(10), Just(97)],
                1 => 1..=u16::MAX,
            ],
            0..12,
        )
    }

    proptest! {
        #[test]
        fn quoting_round_trips(
            arguments in proptest::collection::vec(argument(), 0..6),
            name in proptest::collection::vec(prop_oneof![Just(BACKSLASH), Just(32), 65..90u16], 0..8),
        ) {
            let mut all = vec![name];
            all.extend(arguments);
            let line = quote(&all);
            prop_assert_eq!(&parse_crt(&line, CrtRules::Ucrt), &all);
            prop_assert_eq!(&parse_crt(&line, CrtRules::Msvcrt), &all);
            prop_assert_eq!(&parse_shell32(&line), &all);
        }

        #[test]
        fn any_line_parses(line in proptest::collection::vec(argument(), 0..4)) {
            let line = line.concat();
            prop_assert!(!parse_crt(&line, CrtRules::Ucrt).is_empty());
            prop_assert!(!parse_crt(&line, CrtRules::Msvcrt).is_empty());
            prop_assert_eq!(parse_shell32(&line).is_empty(), line.is_empty());
        }
    }
}
