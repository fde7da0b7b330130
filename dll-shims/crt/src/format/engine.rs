//! Walks the format string and writes each conversion.

use super::float::{self, Style, Text};
use super::spec::{Count, MAX_POSITIONS, Size, Spec};
use super::{ArgSource, Error, Options, Result, Sink};
use crate::unit::Unit;

/// Formats as printf does; returns the number of units written (or that would have been, had the sink not been full).
///
/// # Errors
/// See [`Error`].
pub fn format<U: Unit>(
    format: &[U],
    args: &mut impl ArgSource,
    sink: &mut impl Sink<U>,
    options: &Options,
) -> Result<i32> {
    let positions = if options.positional { collect_positions(format, args, options)? } else { None };
    let mut engine = Engine { args, sink, options, written: 0, positions, unit: core::marker::PhantomData };
    let percent = U::from_ascii(b'%');
    let mut at = 0;
    while let Some(rest) = format.get(at..).filter(|r| !r.is_empty()) {
        let plain = rest.iter().position(|u| *u == percent).unwrap_or(rest.len());
        if plain > 0 {
            engine.put(&rest[..plain])?;
            at += plain;
            continue;
        }
        if rest.get(1) == Some(&percent) {
            engine.put(&rest[..1])?;
            at += 2;
            continue;
        }
        let (spec, next) = match Spec::read(format, at + 1, engine.positions.is_some()) {
            Ok(read) => read,
            Err(_) if options.msvcrt => break,
            Err(e) => return Err(e),
        };
        if is_conversion(spec.kind) {
            engine.convert(&spec)?;
        } else if options.msvcrt {
            engine.put(&format[next - 1..next])?;
        } else {
            return Err(Error::Invalid);
        }
        at = next;
    }
    i32::try_from(engine.written).map_err(|_| Error::Overflow)
}

fn is_conversion(kind: u8) -> bool {
    b"diouxXcCsSZpneEfFgGaA".contains(&kind)
}

/// What an argument is, for positional formats, which must fetch them in order.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Fetch {
    Int32,
    Int64,
    Pointer,
    Double,
}

fn fetch_of(spec: &Spec, pointer_size: u8) -> Fetch {
    match spec.kind {
        b's' | b'S' | b'Z' | b'n' | b'p' => Fetch::Pointer,
        b'c' | b'C' => Fetch::Int32,
        kind if b"eEfFgGaA".contains(&kind) => Fetch::Double,
        _ => match spec.size {
            Size::Bits64 => Fetch::Int64,
            Size::Pointer if pointer_size == 8 => Fetch::Int64,
            _ => Fetch::Int32,
        },
    }
}

fn fetch(args: &mut impl ArgSource, what: Fetch) -> Result<u64> {
    match what {
        Fetch::Int32 => args.int32().map(u64::from),
        Fetch::Int64 => args.int64(),
        Fetch::Pointer => args.pointer(),
        Fetch::Double => args.double().map(f64::to_bits),
    }
}

/// First pass over a positional format: fetches all parameters in their order. `None` when the format's first
/// conversion is not positional, which makes it an ordinary one.
fn collect_positions<U: Unit>(
    format: &[U],
    args: &mut impl ArgSource,
    options: &Options,
) -> Result<Option<Box<[u64; MAX_POSITIONS]>>> {
    let mut kinds = [None; MAX_POSITIONS];
    let mut note = |index: Option<u8>, kind: Fetch| -> Result<()> {
        let slot = index.and_then(|i| kinds.get_mut(usize::from(i))).ok_or(Error::Invalid)?;
        if slot.is_some_and(|k| k != kind) {
            return Err(Error::Invalid);
        }
        *slot = Some(kind);
        Ok(())
    };
    let (mut at, mut first) = (0, true);
    while let Some(start) = format.get(at..).and_then(|r| r.iter().position(|u| u.ascii() == b'%')) {
        at += start + 1;
        if format.get(at).is_some_and(|u| u.ascii() == b'%') {
            at += 1;
            continue;
        }
        let (spec, next) = Spec::read(format, at, true)?;
        if core::mem::take(&mut first) && spec.position.is_none() {
            return Ok(None);
        }
        for count in [spec.width, spec.precision] {
            if let Count::Argument(index) = count {
                note(index, Fetch::Int32)?;
            }
        }
        note(spec.position, fetch_of(&spec, options.pointer_size))?;
        at = next;
    }
    let mut values = Box::new([0; MAX_POSITIONS]);
    let used = kinds.iter().rposition(Option::is_some).map_or(0, |last| last + 1);
    for (value, kind) in values.iter_mut().zip(&kinds[..used]) {
        *value = fetch(args, kind.ok_or(Error::Invalid)?)?;
    }
    Ok((used > 0).then_some(values))
}

struct Engine<'a, U, A, S> {
    args: &'a mut A,
    sink: &'a mut S,
    options: &'a Options,
    written: u64,
    positions: Option<Box<[u64; MAX_POSITIONS]>>,
    unit: core::marker::PhantomData<U>,
}

/// Width and precision after `*` has been resolved, with the flags that they change.
#[derive(Clone, Copy)]
struct Field {
    width: usize,
    precision: Option<usize>,
    left: bool,
    zero: bool,
}

impl<U: Unit, A: ArgSource, S: Sink<U>> Engine<'_, U, A, S> {
    fn put(&mut self, units: &[U]) -> Result<()> {
        self.written += units.len() as u64;
        self.sink.put(units)
    }

    fn put_ascii(&mut self, text: &[u8]) -> Result<()> {
        U::each_ascii(text, |units| self.put(units))
    }

    fn fill(&mut self, byte: u8, count: usize) -> Result<()> {
        if count == 0 {
            return Ok(());
        }
        self.written += count as u64;
        if self.written > i32::MAX as u64 {
            return Err(Error::Overflow);
        }
        self.sink.fill(U::from_ascii(byte), count)
    }

    fn fetch(&mut self, position: Option<u8>, what: Fetch) -> Result<u64> {
        match (&self.positions, position) {
            (Some(values), Some(index)) => values.get(usize::from(index)).copied().ok_or(Error::Invalid),
            _ => fetch(self.args, what),
        }
    }

    fn count(&mut self, count: Count) -> Result<Option<i32>> {
        match count {
            Count::Default => Ok(None),
            Count::Value(v) => i32::try_from(v).map(Some).map_err(|_| Error::Invalid),
            Count::Argument(index) => self.fetch(index, Fetch::Int32).map(|v| Some(low_i32(v))),
        }
    }

    fn field(&mut self, spec: &Spec) -> Result<Field> {
        let width = self.count(spec.width)?.unwrap_or(0);
        let precision = self.count(spec.precision)?;
        let left = spec.left || width < 0;
        Ok(Field {
            width: usize::try_from(width.unsigned_abs()).unwrap_or(0),
            precision: precision.and_then(|p| usize::try_from(p).ok()),
            left,
            zero: spec.zero && !left,
        })
    }

    fn convert(&mut self, spec: &Spec) -> Result<()> {
        let field = self.field(spec)?;
        let value = self.fetch(spec.position, fetch_of(spec, self.options.pointer_size))?;
        match spec.kind {
            b'd' | b'i' | b'u' | b'o' | b'x' | b'X' | b'p' => self.integer(spec, field, value),
            b'c' | b'C' => self.character(spec, field, value),
            b's' | b'S' => self.string(self.is_wide(spec), field, value, None),
            b'Z' => self.counted(spec, field, value),
            b'n' => self.store_count(spec, value),
            _ => self.float(spec, field, f64::from_bits(value)),
        }
    }

    /// Sign or prefix, padding and text of a number.
    fn number(&mut self, field: Field, prefix: &[u8], zeros: usize, text: &[u8]) -> Result<()> {
        let pad = field.width.saturating_sub(prefix.len() + zeros + text.len());
        if !field.left && !field.zero {
            self.fill(b' ', pad)?;
        }
        self.put_ascii(prefix)?;
        self.fill(b'0', if field.zero { pad + zeros } else { zeros })?;
        self.put_ascii(text)?;
        if field.left { self.fill(b' ', pad) } else { Ok(()) }
    }

    fn integer(&mut self, spec: &Spec, mut field: Field, value: u64) -> Result<()> {
        let signed = matches!(spec.kind, b'd' | b'i');
        let value = resize(value, spec.size, signed, fetch_of(spec, self.options.pointer_size));
        let negative = signed && value.cast_signed() < 0;
        let magnitude = if negative { value.wrapping_neg() } else { value };
        if spec.kind == b'p' {
            field.precision = Some(usize::from(self.options.pointer_size) * 2);
        }
        field.zero &= field.precision.is_none();
        let mut buffer = [0u8; 24];
        let mut text = match spec.kind {
            b'o' => digits(&mut buffer, magnitude, 8, b'a'),
            b'x' => digits(&mut buffer, magnitude, 16, b'a'),
            b'X' | b'p' => digits(&mut buffer, magnitude, 16, b'A'),
            _ => digits(&mut buffer, magnitude, 10, b'a'),
        };
        if magnitude == 0 && field.precision == Some(0) {
            text = &[];
        }
        let mut zeros = field.precision.unwrap_or(1).saturating_sub(text.len());
        let prefix: &[u8] = match spec.kind {
            b'd' | b'i' if negative => b"-",
            b'd' | b'i' if spec.plus => b"+",
            b'd' | b'i' if spec.space => b" ",
            b'x' if spec.alternate && magnitude != 0 => b"0x",
            b'X' | b'p' if spec.alternate && magnitude != 0 => b"0X",
            _ => b"",
        };
        if spec.kind == b'o' && spec.alternate && zeros == 0 && text.first() != Some(&b'0') {
            zeros = 1;
        }
        self.number(field, prefix, zeros, text)
    }

    fn float(&mut self, spec: &Spec, field: Field, value: f64) -> Result<()> {
        let small = field.precision.is_none_or(|p| p <= 20) && value.abs() < 1e15;
        if small {
            self.float_in(&mut [0; 64], spec, field, value)
        } else {
            self.float_in(&mut [0; float::LARGE], spec, field, value)
        }
    }

    fn float_in(&mut self, buffer: &mut [u8], spec: &Spec, mut field: Field, value: f64) -> Result<()> {
        let mut text = Text::new(buffer);
        let style = Style {
            kind: spec.kind,
            precision: field.precision,
            alternate: spec.alternate,
            msvcrt: self.options.msvcrt,
            three_digits: self.options.three_digit_exponents,
            ties_away: self.options.ties_away,
        };
        float::write(&mut text, value, style);
        let Text { bytes, len, split, zeros, number } = text;
        let (mut head, tail) = (&bytes[..split], &bytes[split..len]);
        let mut prefix = [0u8; 3];
        let mut used = 0;
        if value.is_sign_negative() || spec.plus || spec.space {
            prefix[0] = match (value.is_sign_negative(), spec.plus) {
                (true, _) => b'-',
                (_, true) => b'+',
                _ => b' ',
            };
            used = 1;
        }
        if spec.kind | 0x20 == b'a' && number && value.is_finite() {
            prefix[used..used + 2].copy_from_slice(&head[..2]);
            head = &head[2..];
            used += 2;
        }
        field.zero &= number;
        let prefix = &prefix[..used];
        if zeros == 0 {
            return self.number(field, prefix, 0, &bytes[split - head.len()..len]);
        }
        let total = prefix.len() + head.len() + zeros + tail.len();
        let pad = field.width.saturating_sub(total);
        if !field.left && !field.zero {
            self.fill(b' ', pad)?;
        }
        self.put_ascii(prefix)?;
        self.fill(b'0', if field.zero { pad } else { 0 })?;
        self.put_ascii(head)?;
        self.fill(b'0', zeros)?;
        self.put_ascii(tail)?;
        if field.left { self.fill(b' ', pad) } else { Ok(()) }
    }

    /// Whether `%c`, `%s` and their capitals mean wide text here.
    fn is_wide(&self, spec: &Spec) -> bool {
        match spec.size {
            Size::Long | Size::Wide => true,
            Size::Short | Size::Char => false,
            _ => {
                let lower = matches!(spec.kind, b'c' | b's');
                if U::WIDE && self.options.legacy_wide { lower } else { !lower }
            }
        }
    }

    fn padded(
        &mut self,
        field: Field,
        length: usize,
        body: impl FnOnce(&mut Self) -> Result<()>,
    ) -> Result<()> {
        let pad = field.width.saturating_sub(length);
        if !field.left {
            self.fill(if field.zero { b'0' } else { b' ' }, pad)?;
        }
        body(self)?;
        if field.left { self.fill(b' ', pad) } else { Ok(()) }
    }

    fn character(&mut self, spec: &Spec, field: Field, value: u64) -> Result<()> {
        let code = low_i32(value).cast_unsigned();
        let mut out = [U::NUL; 4];
        let n = if self.is_wide(spec) {
            self.from_wide(&[u16::from_code(code)], &mut out)?.1
        } else {
            self.from_narrow(&[u8::from_code(code)], &mut out)?.1
        };
        self.padded(field, n, |e| e.put(&out[..n]))
    }

    /// Converts the first character of wide text; returns units read and written.
    #[allow(clippy::wrong_self_convention, reason = "the text is converted, not the engine")]
    fn from_wide(&self, text: &[u16], out: &mut [U; 4]) -> Result<(usize, usize)> {
        let first = text.first().copied().unwrap_or(0);
        if U::WIDE || first < 0x80 {
            out[0] = U::from_code(first.into());
            return Ok((1, 1));
        }
        let encoded =
            self.options.charset.encode(first, text.get(1).copied()).ok_or(Error::IllegalSequence)?;
        for (to, from) in out.iter_mut().zip(encoded.bytes()) {
            *to = U::from_code(u32::from(*from));
        }
        Ok((encoded.units, encoded.bytes().len()))
    }

    /// Converts the first character of narrow text; returns bytes read and units written.
    #[allow(clippy::wrong_self_convention, reason = "the text is converted, not the engine")]
    fn from_narrow(&self, text: &[u8], out: &mut [U; 4]) -> Result<(usize, usize)> {
        let first = text.first().copied().unwrap_or(0);
        if !U::WIDE || first < 0x80 {
            out[0] = U::from_code(first.into());
            return Ok((1, 1));
        }
        let decoded = self.options.charset.decode(text).char().ok_or(Error::IllegalSequence)?;
        for (to, from) in out.iter_mut().zip(decoded.units()) {
            *to = U::from_code(u32::from(*from));
        }
        Ok((decoded.used, decoded.units().len()))
    }

    fn counted(&mut self, spec: &Spec, field: Field, at: u64) -> Result<()> {
        let wide = match spec.size {
            Size::Long | Size::Wide => true,
            Size::Short | Size::Char => false,
            _ if self.options.msvcrt => false,
            _ => !U::WIDE,
        };
        if at == 0 {
            return self.string(wide, field, 0, None);
        }
        let (bytes, buffer) = self.args.counted(at)?;
        let units = usize::from(bytes) / if wide { 2 } else { 1 };
        self.string(wide, field, buffer, Some(units))
    }

    fn string(&mut self, wide: bool, field: Field, at: u64, limit: Option<usize>) -> Result<()> {
        if at == 0 {
            let text = b"(null)";
            let n = field.precision.unwrap_or(text.len()).min(text.len());
            return self.padded(field, n, |e| e.put_ascii(&text[..n]));
        }
        let limit = limit.unwrap_or(usize::MAX);
        let most = field.precision.unwrap_or(usize::MAX);
        // Only a field that may need padding on the left has to know the length first.
        let length =
            if field.width > 0 { self.text(wide, at, limit, most.min(field.width), false)? } else { 0 };
        self.padded(field, length, |e| e.text(wide, at, limit, most, true).map(|_| ()))
    }

    /// Writes (or only measures) a string of at most `limit` source units and `most` target units; returns the latter.
    fn text(&mut self, wide: bool, at: u64, limit: usize, most: usize, write: bool) -> Result<usize> {
        if wide { self.wide_text(at, limit, most, write) } else { self.narrow_text(at, limit, most, write) }
    }

    fn narrow_text(&mut self, mut at: u64, mut limit: usize, most: usize, write: bool) -> Result<usize> {
        let mut buffer = [0u8; 256];
        let (mut held, mut total) = (0, 0);
        loop {
            let room = (buffer.len() - held).min(limit).min(if U::WIDE { usize::MAX } else { most - total });
            let n = self.args.narrow(at, &mut buffer[held..held + room])?;
            at += n as u64;
            limit -= n;
            let ended = n < room || room == 0;
            let have = held + n;
            let mut used = 0;
            if U::WIDE {
                let mut out = [U::NUL; 4];
                while used < have && total < most && (ended || have - used >= 4) {
                    let (read, made) = self.from_narrow(&buffer[used..have], &mut out)?;
                    used += read;
                    let made = made.min(most - total);
                    total += made;
                    if write {
                        self.put(&out[..made])?;
                    }
                }
            } else {
                used = have;
                total += have;
                if write {
                    self.put_ascii(&buffer[..have])?;
                }
            }
            if ended || total >= most {
                return Ok(total);
            }
            buffer.copy_within(used..have, 0);
            held = have - used;
        }
    }

    fn wide_text(&mut self, mut at: u64, mut limit: usize, most: usize, write: bool) -> Result<usize> {
        let mut buffer = [0u16; 128];
        let (mut held, mut total) = (0, 0);
        loop {
            let room = (buffer.len() - held).min(limit).min(most - total);
            let n = self.args.wide(at, &mut buffer[held..held + room])?;
            at += 2 * n as u64;
            limit -= n;
            let ended = n < room || room == 0;
            let have = held + n;
            let (mut used, mut out) = (0, [U::NUL; 4]);
            while used < have && total < most && (ended || have - used >= 2) {
                let (read, made) = self.from_wide(&buffer[used..have], &mut out)?;
                if made > most - total {
                    return Ok(total);
                }
                used += read;
                total += made;
                if write {
                    self.put(&out[..made])?;
                }
            }
            if ended || total >= most {
                return Ok(total);
            }
            buffer.copy_within(used..have, 0);
            held = have - used;
        }
    }

    fn store_count(&mut self, spec: &Spec, at: u64) -> Result<()> {
        if !self.options.count_output {
            return Err(Error::Invalid);
        }
        let size = match spec.size {
            Size::Char => 1,
            Size::Short => 2,
            Size::Bits64 => 8,
            Size::Pointer => self.options.pointer_size,
            _ => 4,
        };
        self.args.store(at, size, self.written)
    }
}

#[expect(clippy::cast_possible_truncation, reason = "a 32-bit argument sits in the low half")]
fn low_i32(value: u64) -> i32 {
    value as i32
}

/// The argument cut to its size and extended to 64 bits by its sign.
#[expect(
    clippy::cast_possible_truncation,
    reason = "cutting to the prefix's size is what size prefixes mean"
)]
fn resize(value: u64, size: Size, signed: bool, fetched: Fetch) -> u64 {
    match (size, signed) {
        (Size::Char, true) => i64::from(value as i8).cast_unsigned(),
        (Size::Char, false) => u64::from(value as u8),
        (Size::Short, true) => i64::from(value as i16).cast_unsigned(),
        (Size::Short, false) => u64::from(value as u16),
        (_, true) if fetched == Fetch::Int32 => i64::from(value as i32).cast_unsigned(),
        _ => value,
    }
}

/// Digits of `value` at the end of `buffer`.
fn digits(buffer: &mut [u8; 24], mut value: u64, base: u64, letter: u8) -> &[u8] {
    let mut at = buffer.len();
    loop {
        let digit = u8::try_from(value % base).unwrap_or(0);
        at -= 1;
        buffer[at] = if digit < 10 { b'0' + digit } else { letter + digit - 10 };
        value /= base;
        if value == 0 {
            return &buffer[at..];
        }
    }
}
