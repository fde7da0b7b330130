//! Walks the format string and reads each conversion.

use super::set::ScanSet;
use super::spec::{Kind, Spec};
use super::{Options, Result, Source, Target};
use crate::number::{IntKind, parse_double, parse_int, parse_single};
use crate::string::charset::Decode;
use crate::unit::Unit;

/// Scans as scanf does; returns the number of fields stored, or -1 (EOF) when the text ended before the first.
///
/// # Errors
/// See [`super::Error`].
pub fn scan<U: Unit>(
    format: &[U],
    source: &mut impl Source<U>,
    target: &mut impl Target,
    options: &Options,
) -> Result<i32> {
    let mut engine =
        Engine { source, target, options, read: 0, ended: false, unit: core::marker::PhantomData };
    let (mut stored, mut converted) = (0, false);
    let mut at = 0;
    while let Some(&unit) = format.get(at).filter(|u| **u != U::NUL) {
        if unit.is_space() {
            engine.skip_space()?;
            at += 1;
            continue;
        }
        if unit.ascii() != b'%' {
            if !engine.literal(unit)? {
                break;
            }
            at += 1;
            continue;
        }
        let (spec, next) = Spec::read(format, at + 1, options)?;
        at = next;
        match engine.convert(&spec)? {
            Step::Stored => {
                stored += 1;
                converted = true;
            }
            Step::Done => converted |= spec.suppress,
            Step::Failed => break,
        }
    }
    Ok(if stored == 0 && !converted && engine.ended { -1 } else { stored })
}

enum Step {
    /// A field was converted and stored.
    Stored,
    /// The conversion succeeded and counts for nothing.
    Done,
    /// The text does not match, or has ended.
    Failed,
}

struct Engine<'a, U, S, T> {
    source: &'a mut S,
    target: &'a mut T,
    options: &'a Options,
    /// Units read so far.
    read: u64,
    /// Whether the end of the text was met before a match.
    ended: bool,
    unit: core::marker::PhantomData<U>,
}

/// Text of a number: in place while short.
struct Field<U> {
    inline: [U; 64],
    used: usize,
    heap: Vec<U>,
}

impl<U: Unit> Field<U> {
    fn new() -> Self {
        Self { inline: [U::NUL; 64], used: 0, heap: Vec::new() }
    }

    fn push(&mut self, unit: U) {
        match self.inline.get_mut(self.used) {
            Some(slot) if self.heap.is_empty() => {
                *slot = unit;
                self.used += 1;
            }
            _ => {
                if self.heap.is_empty() {
                    self.heap.extend_from_slice(&self.inline);
                }
                self.heap.push(unit);
            }
        }
    }

    fn units(&self) -> &[U] {
        if self.heap.is_empty() { &self.inline[..self.used] } else { &self.heap }
    }
}

impl<U: Unit, S: Source<U>, T: Target> Engine<'_, U, S, T> {
    fn next(&mut self) -> Result<Option<U>> {
        let unit = self.source.next()?;
        self.read += u64::from(unit.is_some());
        Ok(unit)
    }

    fn unread(&mut self, unit: U) {
        self.read -= 1;
        self.source.unread(unit);
    }

    fn skip_space(&mut self) -> Result<()> {
        while let Some(unit) = self.next()? {
            if !unit.is_space() {
                self.unread(unit);
                break;
            }
        }
        Ok(())
    }

    fn literal(&mut self, wanted: U) -> Result<bool> {
        match self.next()? {
            Some(unit) if unit == wanted => Ok(true),
            Some(unit) => {
                self.unread(unit);
                Ok(false)
            }
            None => {
                self.ended = true;
                Ok(false)
            }
        }
    }

    /// Whether there is any text left; notes the end.
    fn more(&mut self) -> Result<bool> {
        match self.next()? {
            Some(unit) => self.unread(unit),
            None => self.ended = true,
        }
        Ok(!self.ended)
    }

    fn convert(&mut self, spec: &Spec) -> Result<Step> {
        match &spec.kind {
            Kind::Percent => {
                self.skip_space()?;
                Ok(if self.literal(U::from_ascii(b'%'))? { Step::Done } else { Step::Failed })
            }
            Kind::Count => {
                if !spec.suppress {
                    let at = self.target.pointer()?;
                    self.store_integer(at, self.read, spec.integer)?;
                }
                Ok(Step::Done)
            }
            Kind::Integer { base, signed } => self.integer(spec, *base, *signed),
            Kind::Float => self.float(spec),
            Kind::Word => {
                self.skip_space()?;
                self.string(spec, None)
            }
            Kind::Set(set) => self.string(spec, Some(set)),
            Kind::Chars => self.chars(spec),
        }
    }

    fn store_integer(&mut self, at: u64, value: u64, size: u8) -> Result<()> {
        let bytes = value.to_le_bytes();
        self.target.store(at, &bytes[..usize::from(size).min(8)])
    }

    /// Takes units that `accept` takes, at most `left`.
    fn take(&mut self, field: &mut Field<U>, left: &mut usize, accept: impl Fn(u8) -> bool) -> Result<usize> {
        let mut taken = 0;
        while *left > 0 {
            let Some(unit) = self.next()? else { break };
            if !accept(unit.ascii()) {
                self.unread(unit);
                break;
            }
            field.push(unit);
            *left -= 1;
            taken += 1;
        }
        Ok(taken)
    }

    /// Takes one unit if `accept` takes it.
    fn take_one(
        &mut self,
        field: &mut Field<U>,
        left: &mut usize,
        accept: impl Fn(u8) -> bool,
    ) -> Result<bool> {
        let mut one = (*left).min(1);
        let taken = self.take(field, &mut one, accept)? == 1;
        *left -= usize::from(taken);
        Ok(taken)
    }

    fn integer(&mut self, spec: &Spec, base: u32, signed: bool) -> Result<Step> {
        self.skip_space()?;
        if !self.more()? {
            return Ok(Step::Failed);
        }
        let mut field = Field::new();
        let mut left = spec.width.unwrap_or(usize::MAX);
        self.take_one(&mut field, &mut left, |b| matches!(b, b'+' | b'-'))?;
        let mut base = base;
        let mut digits = usize::from(self.take_one(&mut field, &mut left, |b| b == b'0')?);
        if digits == 1 && matches!(base, 0 | 16) {
            if self.take_one(&mut field, &mut left, |b| b | 0x20 == b'x')? {
                base = 16;
            } else if base == 0 {
                base = 8;
            }
        }
        if base == 0 {
            base = 10;
        }
        digits += self.take(&mut field, &mut left, |b| char::from(b).is_digit(base))?;
        if digits == 0 {
            return Ok(Step::Failed);
        }
        if spec.suppress {
            return Ok(Step::Done);
        }
        let kind = IntKind { bits: 64, signed };
        let parsed = parse_int(field.units(), base, kind);
        let at = self.target.pointer()?;
        self.store_integer(at, parsed.value, spec.integer)?;
        Ok(Step::Stored)
    }

    fn float(&mut self, spec: &Spec) -> Result<Step> {
        self.skip_space()?;
        if !self.more()? {
            return Ok(Step::Failed);
        }
        let mut field = Field::new();
        if !self.float_text(&mut field, spec.width.unwrap_or(usize::MAX))? {
            return Ok(Step::Failed);
        }
        if spec.suppress {
            return Ok(Step::Done);
        }
        let at = self.target.pointer()?;
        if spec.double {
            let value = parse_double(field.units(), self.options.msvcrt).value;
            self.target.store(at, &value.to_le_bytes())?;
        } else {
            let value = parse_single(field.units(), self.options.msvcrt).value;
            self.target.store(at, &value.to_le_bytes())?;
        }
        Ok(Step::Stored)
    }

    /// Takes the longest text that is the start of a number; returns whether it is one.
    fn float_text(&mut self, field: &mut Field<U>, mut left: usize) -> Result<bool> {
        let left = &mut left;
        self.take_one(field, left, |b| matches!(b, b'+' | b'-'))?;
        if !self.options.msvcrt {
            for word in [b"infinity".as_slice(), b"nan"] {
                if self.take_one(field, left, |b| b | 0x20 == word[0])? {
                    return self.float_word(field, left, word);
                }
            }
        }
        let mut digits = usize::from(self.take_one(field, left, |b| b == b'0')?);
        let hex = digits == 1 && !self.options.msvcrt && self.take_one(field, left, |b| b | 0x20 == b'x')?;
        let is_digit = |b: u8| if hex { b.is_ascii_hexdigit() } else { b.is_ascii_digit() };
        digits += self.take(field, left, is_digit)?;
        if self.take_one(field, left, |b| b == b'.')? {
            digits += self.take(field, left, is_digit)?;
        }
        if digits == 0 || (hex && digits == 1) {
            return Ok(false);
        }
        let msvcrt = self.options.msvcrt;
        let is_exponent = |b: u8| match b | 0x20 {
            b'p' => hex,
            b'e' => !hex,
            b'd' => msvcrt,
            _ => false,
        };
        if self.take_one(field, left, is_exponent)? {
            self.take_one(field, left, |b| matches!(b, b'+' | b'-'))?;
            // An exponent without digits makes the field ill-formed, as the C standard has it.
            return Ok(self.take(field, left, |b| b.is_ascii_digit())? > 0);
        }
        Ok(true)
    }

    /// The rest of `infinity`, `inf`, `nan` or `nan(...)` after its first letter.
    fn float_word(&mut self, field: &mut Field<U>, left: &mut usize, word: &[u8]) -> Result<bool> {
        let mut matched = 1;
        for letter in &word[1..] {
            if !self.take_one(field, left, |b| b.to_ascii_lowercase() == *letter)? {
                break;
            }
            matched += 1;
        }
        if word.len() > 3 {
            return Ok(matched == 3 || matched == word.len());
        }
        if matched == 3 && self.take_one(field, left, |b| b == b'(')? {
            self.take(field, left, |b| b.is_ascii_alphanumeric() || b == b'_')?;
            return self.take_one(field, left, |b| b == b')');
        }
        Ok(matched == 3)
    }

    /// Pointer and capacity in units of a string result.
    fn destination(&mut self, spec: &Spec) -> Result<(u64, u64)> {
        if spec.suppress {
            return Ok((0, u64::MAX));
        }
        let at = self.target.pointer()?;
        let room = if self.options.secure { self.target.size()? } else { u64::MAX };
        Ok((at, room))
    }

    fn string(&mut self, spec: &Spec, set: Option<&ScanSet>) -> Result<Step> {
        let (at, room) = self.destination(spec)?;
        let mut out =
            Output { at, room, wide: spec.wide, used: 0, partial: [0; 4], held: 0, store: !spec.suppress };
        if !self.more()? {
            return self.no_string(&mut out);
        }
        let mut left = spec.width.unwrap_or(usize::MAX);
        let mut any = false;
        while left > 0 {
            let Some(unit) = self.next()? else { break };
            if !set.map_or(!unit.is_space(), |s| s.contains(unit)) {
                self.unread(unit);
                break;
            }
            any = true;
            left -= 1;
            // One place is kept for the NUL.
            if !self.put(&mut out, unit, 1)? {
                return self.too_long(&out);
            }
        }
        if !any {
            return self.no_string(&mut out);
        }
        if !out.store {
            return Ok(Step::Done);
        }
        self.put_unit(&mut out, 0)?;
        Ok(Step::Stored)
    }

    /// A string field with no text: secure functions still empty the buffer.
    fn no_string(&mut self, out: &mut Output) -> Result<Step> {
        if out.store && self.options.secure && out.room > 0 {
            self.put_unit(out, 0)?;
        }
        Ok(Step::Failed)
    }

    /// A field that does not fit: the buffer becomes empty and scanning stops.
    fn too_long(&mut self, out: &Output) -> Result<Step> {
        if out.room > 0 {
            self.target.store(out.at, &[0, 0][..if out.wide { 2 } else { 1 }])?;
        }
        Ok(Step::Failed)
    }

    fn chars(&mut self, spec: &Spec) -> Result<Step> {
        let (at, room) = self.destination(spec)?;
        let mut out =
            Output { at, room, wide: spec.wide, used: 0, partial: [0; 4], held: 0, store: !spec.suppress };
        let count = spec.width.unwrap_or(1);
        for i in 0..count {
            let Some(unit) = self.next()? else {
                if i > 0 {
                    break;
                }
                self.ended = true;
                return Ok(Step::Failed);
            };
            if !self.put(&mut out, unit, 0)? {
                return self.too_long(&out);
            }
        }
        Ok(if out.store { Step::Stored } else { Step::Done })
    }

    /// Stores a unit, converted to the result's width. False when it does not fit with `reserve` units after it.
    fn put(&mut self, out: &mut Output, unit: U, reserve: u64) -> Result<bool> {
        if !out.store {
            return Ok(true);
        }
        if U::WIDE == out.wide {
            return self.put_checked(out, unit.code(), reserve);
        }
        if U::WIDE {
            // Surrogates are encoded one by one only in the C locale, where they have no encoding.
            let code = u16::from_code(unit.code());
            let Some(encoded) = self.options.charset.encode(code, None) else { return Ok(true) };
            for byte in encoded.bytes() {
                if !self.put_checked(out, u32::from(*byte), reserve)? {
                    return Ok(false);
                }
            }
            return Ok(true);
        }
        // Bytes to wide characters: hold them until they make one.
        out.partial[out.held.min(3)] = u8::from_code(unit.code());
        out.held += 1;
        let bytes = out.partial;
        let (units, n) = match self.options.charset.decode(&bytes[..out.held.min(4)]) {
            Decode::Incomplete if out.held < 4 => return Ok(true),
            Decode::Char(c) => {
                let mut units = [0u16; 2];
                units[..c.units().len()].copy_from_slice(c.units());
                (units, c.units().len())
            }
            _ => ([0xFFFD, 0], 1),
        };
        out.held = 0;
        for code in &units[..n] {
            if !self.put_checked(out, u32::from(*code), reserve)? {
                return Ok(false);
            }
        }
        Ok(true)
    }

    fn put_checked(&mut self, out: &mut Output, code: u32, reserve: u64) -> Result<bool> {
        if out.used.saturating_add(reserve) >= out.room {
            return Ok(false);
        }
        self.put_unit(out, code)?;
        Ok(true)
    }

    fn put_unit(&mut self, out: &mut Output, code: u32) -> Result<()> {
        let size: usize = if out.wide { 2 } else { 1 };
        let at = out.at.wrapping_add(out.used * size as u64);
        self.target.store(at, &code.to_le_bytes()[..size])?;
        out.used += 1;
        Ok(())
    }
}

/// Where a string result goes.
struct Output {
    at: u64,
    /// Capacity in units.
    room: u64,
    wide: bool,
    used: u64,
    /// Bytes of an incomplete character.
    partial: [u8; 4],
    held: usize,
    store: bool,
}
