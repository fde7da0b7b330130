//! The scan set of `%[...]`.

use crate::unit::Unit;

/// A scan set: bits for the first 256 values, ranges for the rest.
#[derive(Clone, Debug)]
pub(super) struct ScanSet {
    bits: [u64; 4],
    ranges: Vec<(u32, u32)>,
    negated: bool,
}

impl ScanSet {
    /// Reads the set whose `[` is just before `at`; returns it and the index after its `]`. `None` when it does not end.
    pub(super) fn read<U: Unit>(format: &[U], mut at: usize) -> Option<(Self, usize)> {
        let mut set = Self { bits: [0; 4], ranges: Vec::new(), negated: false };
        if format.get(at)?.ascii() == b'^' {
            set.negated = true;
            at += 1;
        }
        let mut first = true;
        loop {
            let unit = *format.get(at).filter(|u| **u != U::NUL)?;
            if unit.ascii() == b']' && !first {
                return Some((set, at + 1));
            }
            first = false;
            let range = format.get(at + 1).is_some_and(|u| u.ascii() == b'-');
            match format.get(at + 2) {
                Some(end) if range && end.ascii() != b']' && *end != U::NUL => {
                    let (a, b) = (unit.code(), end.code());
                    set.add(a.min(b), a.max(b));
                    at += 3;
                }
                _ => {
                    set.add(unit.code(), unit.code());
                    at += 1;
                }
            }
        }
    }

    fn add(&mut self, from: u32, to: u32) {
        for code in from..=to.min(255) {
            if let Some(word) = usize::try_from(code / 64).ok().and_then(|i| self.bits.get_mut(i)) {
                *word |= 1 << (code % 64);
            }
        }
        if to > 255 {
            self.ranges.push((from.max(256), to));
        }
    }

    pub(super) fn contains<U: Unit>(&self, unit: U) -> bool {
        let code = unit.code();
        let found = match usize::try_from(code / 64).ok().and_then(|i| self.bits.get(i)) {
            Some(word) => word >> (code % 64) & 1 == 1,
            None => self.ranges.iter().any(|(a, b)| (*a..=*b).contains(&code)),
        };
        found != self.negated
    }
}
