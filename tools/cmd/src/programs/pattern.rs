//! The regular expressions of `findstr`: `.`, `*`, `^`, `$`, `[a-z]`, `[^a-z]`, `\<`, `\>`, `\x`.

use crate::text::upper;

/// A thing that takes one character, or a place.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Atom {
    Any,
    Letter(char),
    Class { inverted: bool, ranges: Vec<(char, char)> },
    Start,
    End,
    WordStart,
    WordEnd,
}

/// An expression: atoms, and whether each may repeat (`*`).
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Pattern {
    atoms: Vec<(Atom, bool)>,
    folded: bool,
}

fn is_word(c: Option<&char>) -> bool {
    c.is_some_and(|c| c.is_alphanumeric() || *c == '_')
}

impl Pattern {
    /// The characters themselves.
    pub(super) fn literal(text: &str, folded: bool) -> Self {
        let mut atoms = Vec::new();
        let mut chars = text.chars().peekable();
        while let Some(c) = chars.next() {
            // A backslash takes away the meaning of a quotation mark or another one.
            let c = if c == '\\' { chars.next_if(|next| matches!(next, '\\' | '"')).unwrap_or(c) } else { c };
            atoms.push((Atom::Letter(c), false));
        }
        Self { atoms, folded }
    }

    /// A regular expression. Every text is one: what has no meaning stands for itself.
    pub(super) fn regular(text: &str, folded: bool) -> Self {
        let chars: Vec<char> = text.chars().collect();
        let mut atoms: Vec<(Atom, bool)> = Vec::new();
        let mut at = 0;
        while let Some(&c) = chars.get(at) {
            at += 1;
            let atom = match (c, chars.get(at)) {
                ('\\', Some('<')) => Atom::WordStart,
                ('\\', Some('>')) => Atom::WordEnd,
                ('\\', Some(&next)) => Atom::Letter(next),
                ('.', _) => Atom::Any,
                ('^', _) if atoms.is_empty() => Atom::Start,
                ('$', None) => Atom::End,
                ('*', _) if !atoms.is_empty() => {
                    if let Some(last) = atoms.last_mut() {
                        last.1 = true;
                    }
                    continue;
                }
                ('[', _) => match class(&chars[at..]) {
                    Some((atom, len)) => {
                        at += len;
                        atom
                    }
                    None => Atom::Letter('['),
                },
                (c, _) => Atom::Letter(c),
            };
            at += usize::from(c == '\\' && at < chars.len());
            atoms.push((atom, false));
        }
        Self { atoms, folded }
    }

    /// It must take whole lines (`/x`), or their starts (`/b`) or ends (`/e`).
    pub(super) fn anchored(mut self, start: bool, end: bool) -> Self {
        if start {
            self.atoms.insert(0, (Atom::Start, false));
        }
        if end {
            self.atoms.push((Atom::End, false));
        }
        self
    }

    /// Where in a line it is first found: the number of a character.
    pub(super) fn find(&self, line: &[char]) -> Option<usize> {
        (0..=line.len()).find(|start| self.takes(line, *start))
    }

    /// Whether it matches at a place: all states at once, so that no expression takes long.
    fn takes(&self, line: &[char], start: usize) -> bool {
        let mut states = vec![false; self.atoms.len() + 1];
        states[0] = true;
        let mut at = start;
        loop {
            self.close(line, at, &mut states);
            if states[self.atoms.len()] {
                return true;
            }
            let Some(c) = line.get(at) else { return false };
            let mut next = vec![false; states.len()];
            for (n, (atom, repeats)) in self.atoms.iter().enumerate() {
                if states[n] && self.accepts(atom, *c) {
                    next[if *repeats { n } else { n + 1 }] = true;
                }
            }
            if !next.contains(&true) {
                return false;
            }
            states = next;
            at += 1;
        }
    }

    /// Adds the states that are reached without a character.
    fn close(&self, line: &[char], at: usize, states: &mut [bool]) {
        let before = at.checked_sub(1).and_then(|i| line.get(i));
        for (n, (atom, repeats)) in self.atoms.iter().enumerate() {
            let passes = *repeats
                || match atom {
                    Atom::Start => at == 0,
                    Atom::End => at == line.len(),
                    Atom::WordStart => !is_word(before) && is_word(line.get(at)),
                    Atom::WordEnd => is_word(before) && !is_word(line.get(at)),
                    _ => false,
                };
            states[n + 1] |= states[n] && passes;
        }
    }

    fn accepts(&self, atom: &Atom, c: char) -> bool {
        let same = |a: char| a == c || (self.folded && upper(a) == upper(c));
        match atom {
            Atom::Any => true,
            Atom::Letter(letter) => same(*letter),
            Atom::Class { inverted, ranges } => {
                let within = |c: char| ranges.iter().any(|(from, to)| (*from..=*to).contains(&c));
                let found = within(c) || (self.folded && (within(upper(c)) || c.to_lowercase().any(within)));
                found != *inverted
            }
            _ => false,
        }
    }
}

/// A class behind its `[`, and how many characters it takes.
fn class(chars: &[char]) -> Option<(Atom, usize)> {
    let inverted = chars.first() == Some(&'^');
    let mut at = usize::from(inverted);
    let mut ranges = Vec::new();
    loop {
        let mut from = *chars.get(at)?;
        if from == ']' && !ranges.is_empty() {
            return Some((Atom::Class { inverted, ranges }, at + 1));
        }
        if from == '\\' {
            at += 1;
            from = *chars.get(at)?;
        }
        match (chars.get(at + 1), chars.get(at + 2)) {
            (Some('-'), Some(&to)) if to != ']' => {
                ranges.push((from, to));
                at += 3;
            }
            _ => {
                ranges.push((from, from));
                at += 1;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn found(pattern: &str, line: &str) -> bool {
        Pattern::regular(pattern, false).find(&line.chars().collect::<Vec<_>>()).is_some()
    }

    #[test]
    fn expressions() {
        for (pattern, yes, no) in [
            ("a.c", "xabcx", "ac"),
            ("ab*c", "ac", "adc"),
            ("^ab", "abc", "xab"),
            ("bc$", "abc", "bcd"),
            ("[a-c]x", "bx", "dx"),
            ("[^0-9]z", "az", "1z"),
            ("\\<cat\\>", "a cat!", "concat"),
            ("a\\.b", "a.b", "axb"),
        ] {
            assert!(found(pattern, yes), "{pattern} in {yes}");
            assert!(!found(pattern, no), "{pattern} in {no}");
        }
        assert!(found(".*", "") && found("", "x"));
        assert_eq!(Pattern::literal("a\\\\.", true).find(&['x', 'A', '\\', '.']), Some(1));
        assert!(Pattern::literal("ab", false).anchored(true, true).find(&['a', 'b', 'c']).is_none());
    }

    proptest! {
        #[test]
        fn any_text_is_an_expression(pattern in "[a-c.*\\[\\]^$\\\\<>-]{0,12}", line in "[a-c.]{0,30}") {
            let _ = found(&pattern, &line);
        }
    }
}
