//! Windows' wildcard expressions.
//!
//! The file system knows `*`, `?` and three more characters that give DOS' rules (facts from
//! `FsRtlIsNameInExpression`, in the driver kit's documentation): `<` takes anything up to the name's last
//! dot, `>` takes a character but also nothing before a dot or the end, `"` takes a dot or nothing at the
//! end. [`from_win32`] makes such an expression from what `FindFirstFileW` is given.

use crate::path::fold;

const STAR: u16 = b'*' as u16;
const QUESTION: u16 = b'?' as u16;
const DOT: u16 = b'.' as u16;
const DOS_STAR: u16 = b'<' as u16;
const DOS_QM: u16 = b'>' as u16;
const DOS_DOT: u16 = b'"' as u16;

/// Whether an expression has any wildcard.
#[must_use]
pub fn has_wildcards(expression: &[u16]) -> bool {
    expression.iter().any(|u| matches!(*u, STAR | QUESTION | DOS_STAR | DOS_QM | DOS_DOT))
}

/// The file-system expression, in upper case, for the last component of a path given to `FindFirstFileW`.
#[must_use]
pub fn from_win32(pattern: &[u16]) -> Vec<u16> {
    if pattern == [STAR, DOT, STAR] || pattern == [STAR] {
        return vec![STAR];
    }
    let end = pattern.iter().rposition(|&u| u != DOT && u != u16::from(b' ')).map_or(0, |at| at + 1);
    let had_dot = pattern[end..].contains(&DOT);
    let mut out: Vec<u16> = pattern[..end].iter().map(|&u| fold::upcase(u)).collect();
    for at in 0..out.len() {
        let (previous, next) = (at.checked_sub(1).map(|i| out[i]), pattern[..end].get(at + 1).copied());
        match (out[at], next) {
            (QUESTION, _) => out[at] = DOS_QM,
            (DOT, after) => {
                if previous == Some(STAR) {
                    out[at - 1] = DOS_STAR;
                }
                if matches!(after, Some(STAR | QUESTION)) {
                    out[at] = DOS_DOT;
                }
            }
            _ => {}
        }
    }
    if had_dot && out.last() == Some(&STAR) {
        let last = out.len() - 1;
        out[last] = DOS_STAR;
    }
    out
}

/// Whether a name is in an expression. Both must be in upper case.
#[must_use]
pub fn matches(expression: &[u16], name: &[u16]) -> bool {
    if expression == [STAR] {
        return true;
    }
    let last_dot = name.iter().rposition(|&u| u == DOT);
    // The positions in the expression that what was read so far can lead to.
    let mut here = vec![false; expression.len() + 1];
    let mut next = here.clone();
    here[0] = true;
    for (at, &unit) in name.iter().enumerate() {
        next.fill(false);
        let mut alive = false;
        for p in 0..expression.len() {
            if !here[p] {
                continue;
            }
            let (stay, step, skip) = match expression[p] {
                STAR => (true, false, true),
                DOS_STAR => (Some(at) != last_dot, false, true),
                DOS_QM => (false, unit != DOT, unit == DOT),
                QUESTION => (false, true, false),
                DOS_DOT => (false, unit == DOT, false),
                literal => (false, literal == unit, false),
            };
            next[p] |= stay;
            next[p + 1] |= step;
            here[p + 1] |= skip;
            alive |= stay || step;
        }
        if !alive {
            return false;
        }
        core::mem::swap(&mut here, &mut next);
    }
    for p in 0..expression.len() {
        if here[p] && matches!(expression[p], STAR | DOS_STAR | DOS_QM | DOS_DOT) {
            here[p + 1] = true;
        }
    }
    here[expression.len()]
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn win32(pattern: &str, name: &str) -> bool {
        let units = |s: &str| s.encode_utf16().collect::<Vec<_>>();
        let name: Vec<u16> = units(name).into_iter().map(fold::upcase).collect();
        matches(&from_win32(&units(pattern)), &name)
    }

    #[test]
    fn patterns_of_dos() {
        for (pattern, yes, no) in [
            ("*", &["a", "a.b", ".x"][..], &[][..]),
            ("*.*", &["a", "a.b"], &[]),
            ("*.", &["a", "abc"], &["a.b", "a.b.c"]),
            ("*.txt", &["a.txt", "A.B.TXT", ".txt"], &["a.txt.bak", "atxt", "a.txtx"]),
            ("a?.c", &["ab.c", "a.c", "AX.C"], &["abc.c", "b.c"]),
            ("??", &["a", "ab"], &["abc", "a.b"]),
            ("foo.*", &["foo", "foo.txt", "foo.a.b"], &["foobar", "xfoo.a"]),
            ("foo*", &["foo", "foo.txt", "foobar"], &["fo"]),
            ("a*b*c", &["abc", "aXbYc", "abbc.c"], &["ab", "acb"]),
            ("file", &["FILE"], &["file.txt"]),
            ("*.t?t", &["a.tot"], &["a.tt", "a.toot"]),
            ("x.???", &["x.a", "x.abc", "x"], &["x.abcd"]),
        ] {
            for name in yes {
                assert!(win32(pattern, name), "{pattern} should match {name}");
            }
            for name in no {
                assert!(!win32(pattern, name), "{pattern} should not match {name}");
            }
        }
    }

    proptest! {
        #[test]
        fn a_name_matches_itself_and_its_prefix(name in "[A-Z]{1,8}(\\.[A-Z]{1,3})?", cut in 0usize..8) {
            prop_assert!(win32(&name, &name));
            let cut = cut.min(name.len());
            let pattern = format!("{}*", &name[..cut]);
            prop_assert!(win32(&pattern, &name));
        }

        #[test]
        fn many_stars_end_soon(stars in "(\\*A){1,30}", name in "A{1,200}") {
            let expected = name.len() >= stars.len() / 2;
            prop_assert_eq!(win32(&stars, &name), expected);
        }
    }
}
