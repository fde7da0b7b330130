//! Reads one conversion specification of a printf format: `%[n$][flags][width][.precision][size]type`.

use super::{Error, Result};
use crate::unit::Unit;

/// A width or precision.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Count {
    /// Absent.
    Default,
    /// Written out.
    Value(u32),
    /// `*`, or `*n$` with the parameter's index from 0.
    Argument(Option<u8>),
}

/// The size prefix.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Size {
    /// None.
    Default,
    /// `hh`.
    Char,
    /// `h`.
    Short,
    /// `l`.
    Long,
    /// `w`.
    Wide,
    /// `I32`.
    Bits32,
    /// `ll`, `I64`, `j`.
    Bits64,
    /// `I`, `t`, `z`.
    Pointer,
    /// `L`.
    LongDouble,
}

/// One conversion specification.
#[derive(Clone, Copy, Debug)]
#[allow(clippy::struct_excessive_bools, reason = "the five flag characters")]
pub(super) struct Spec {
    pub(super) left: bool,
    pub(super) plus: bool,
    pub(super) space: bool,
    pub(super) alternate: bool,
    pub(super) zero: bool,
    pub(super) width: Count,
    pub(super) precision: Count,
    pub(super) size: Size,
    /// The type character, or 0xFF for one beyond ASCII.
    pub(super) kind: u8,
    /// Index from 0 of the argument of a positional format.
    pub(super) position: Option<u8>,
}

/// Number of positional parameters a format may have (`_ARGMAX`).
pub(super) const MAX_POSITIONS: usize = 100;

struct Reader<'a, U> {
    text: &'a [U],
    at: usize,
}

impl<U: Unit> Reader<'_, U> {
    fn peek(&self) -> u8 {
        self.text.get(self.at).map_or(0, |u| u.ascii())
    }

    fn take(&mut self, byte: u8) -> bool {
        let hit = self.peek() == byte;
        if hit {
            self.at += 1;
        }
        hit
    }

    /// Digits as a number; `None` when there are none.
    fn number(&mut self) -> Result<Option<u32>> {
        let mut value = None;
        while let digit @ b'0'..=b'9' = self.peek() {
            let next =
                value.unwrap_or(0u32).checked_mul(10).and_then(|v| v.checked_add(u32::from(digit - b'0')));
            value = Some(next.filter(|v| i32::try_from(*v).is_ok()).ok_or(Error::Invalid)?);
            self.at += 1;
        }
        Ok(value)
    }

    /// `n$`, when it stands here.
    fn position(&mut self) -> Result<Option<u8>> {
        let start = self.at;
        if let Some(n) = self.number()?
            && self.take(b'$')
        {
            let index = usize::try_from(n).ok().filter(|n| (1..=MAX_POSITIONS).contains(n));
            return index.and_then(|n| u8::try_from(n - 1).ok()).map(Some).ok_or(Error::Invalid);
        }
        self.at = start;
        Ok(None)
    }

    fn count(&mut self, positional: bool) -> Result<Count> {
        if self.take(b'*') {
            return Ok(Count::Argument(if positional { self.position()? } else { None }));
        }
        Ok(self.number()?.map_or(Count::Default, Count::Value))
    }

    fn size(&mut self) -> Size {
        match self.peek() {
            b'h' => {
                self.at += 1;
                if self.take(b'h') { Size::Char } else { Size::Short }
            }
            b'l' => {
                self.at += 1;
                if self.take(b'l') { Size::Bits64 } else { Size::Long }
            }
            b'I' => {
                self.at += 1;
                let next = self.text.get(self.at..).unwrap_or_default();
                match next {
                    [a, b, ..] if (a.ascii(), b.ascii()) == (b'6', b'4') => {
                        self.at += 2;
                        Size::Bits64
                    }
                    [a, b, ..] if (a.ascii(), b.ascii()) == (b'3', b'2') => {
                        self.at += 2;
                        Size::Bits32
                    }
                    _ => Size::Pointer,
                }
            }
            c @ (b'w' | b'L' | b'j' | b't' | b'z') => {
                self.at += 1;
                match c {
                    b'w' => Size::Wide,
                    b'L' => Size::LongDouble,
                    b'j' => Size::Bits64,
                    _ => Size::Pointer,
                }
            }
            _ => Size::Default,
        }
    }
}

impl Spec {
    /// Reads the specification whose `%` is just before `at`; returns it and the index after it.
    ///
    /// # Errors
    /// [`Error::Invalid`] when the format ends within it or a number does not fit an `int`.
    pub(super) fn read<U: Unit>(text: &[U], at: usize, positional: bool) -> Result<(Self, usize)> {
        let mut r = Reader { text, at };
        let mut spec = Self {
            left: false,
            plus: false,
            space: false,
            alternate: false,
            zero: false,
            width: Count::Default,
            precision: Count::Default,
            size: Size::Default,
            kind: 0,
            position: if positional { r.position()? } else { None },
        };
        loop {
            match r.peek() {
                b'-' => spec.left = true,
                b'+' => spec.plus = true,
                b' ' => spec.space = true,
                b'#' => spec.alternate = true,
                b'0' => spec.zero = true,
                _ => break,
            }
            r.at += 1;
        }
        spec.width = r.count(positional)?;
        if r.take(b'.') {
            spec.precision = match r.count(positional)? {
                Count::Default => Count::Value(0),
                other => other,
            };
        }
        spec.size = r.size();
        spec.kind = r.text.get(r.at).map(|u| u.ascii()).filter(|k| *k != 0).ok_or(Error::Invalid)?;
        Ok((spec, r.at + 1))
    }
}
