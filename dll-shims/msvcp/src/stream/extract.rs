//! Formatted input: the `>>` of `basic_istream` for numbers, pointers, buffers and manipulators. Numbers are read as `num_get` does it:
//! characters are taken as long as they continue a number, then what was taken is converted.

use transom_crt::number::{self, Outcome};
use transom_sdk::{Crt, Cx, Func, GuestData, Ptr, shim};

use super::buffer;
use super::ios::{flag, state};
use super::istream::input;
use super::make::ios_of;
use crate::character::Character;
use crate::locale::punct::Punct;
use crate::object::Object;

/// Characters of a buffer that are taken one by one.
struct Source<'a, C> {
    cx: &'a Cx,
    buffer: Object,
    next: Option<C>,
}

impl<'a, C: Character> Source<'a, C> {
    fn new(cx: &'a Cx, buffer: Object) -> Crt<Self> {
        Ok(Self { cx, buffer, next: buffer::peek(cx, buffer)? })
    }

    /// The next character, if it is an ASCII one in lower case.
    fn lower(&self) -> u8 {
        self.next.map_or(0, |c| c.ascii().to_ascii_lowercase())
    }

    fn skip(&mut self) -> Crt<()> {
        self.next = buffer::next(self.cx, self.buffer)?;
        Ok(())
    }

    /// Takes the next character if it is this one.
    fn take_if(&mut self, character: u8) -> Crt<bool> {
        let is = self.lower() == character;
        if is {
            self.skip()?;
        }
        Ok(is)
    }

    /// The bits that the end of the characters sets.
    fn end_bits(&self) -> i32 {
        if self.next.is_none() { state::EOF } else { 0 }
    }
}

/// An integer as it was read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Integer {
    negative: bool,
    magnitude: u64,
    /// Whether it is beyond 64 bits.
    too_large: bool,
}

/// Reads an integer; `None` if there is none.
fn integer<C: Character>(source: &mut Source<'_, C>, flags: i32, punct: &Punct<C>) -> Crt<Option<Integer>> {
    let negative = source.take_if(b'-')?;
    if !negative {
        source.take_if(b'+')?;
    }
    let (mut base, mut digits) = match flags & flag::BASE {
        flag::OCTAL => (8, 0u32),
        flag::HEXADECIMAL => (16, 0),
        0 => (0, 0),
        _ => (10, 0),
    };
    if matches!(base, 0 | 16) && source.take_if(b'0')? {
        if source.take_if(b'x')? {
            base = 16;
        } else {
            base = if base == 0 { 8 } else { base };
            digits = 1;
        }
    }
    let base: u32 = if base == 0 { 10 } else { base };
    let mut magnitude = Some(0u64);
    loop {
        if let Some(digit) = char::from(source.lower()).to_digit(base) {
            digits += 1;
            magnitude =
                magnitude.and_then(|m| m.checked_mul(base.into())).and_then(|m| m.checked_add(digit.into()));
        } else if punct.grouping.is_empty() || source.next != Some(punct.separator) || digits == 0 {
            break;
        }
        source.skip()?;
    }
    let (magnitude, too_large) = magnitude.map_or((u64::MAX, true), |m| (m, false));
    Ok((digits > 0).then_some(Integer { negative, magnitude, too_large }))
}

/// The value for a type of so many bits, and the bits that it sets in the state.
fn fitted(read: Option<Integer>, bits: u32, signed: bool) -> (u64, i32) {
    let Some(Integer { negative, magnitude, too_large }) = read else { return (0, state::FAIL) };
    let largest = u64::MAX >> (64 - bits) >> u32::from(signed);
    let limit = if signed && negative { largest + 1 } else { largest };
    let fits = !too_large && magnitude <= limit;
    let value = if fits { magnitude } else { limit };
    // The negative of an unsigned number is what it is modulo a power of two, unless it did not fit.
    let value = if negative && (signed || fits) { value.wrapping_neg() } else { value };
    (value, if fits { 0 } else { state::FAIL })
}

/// Reads with what stands around input, after blanks.
fn formatted<C: Character, T: GuestData>(
    cx: &Cx,
    stream: Ptr<u8>,
    to: Ptr<T>,
    read: impl FnOnce(&mut Source<'_, C>, i32, &Punct<C>) -> Crt<(T, i32)>,
) -> Crt<Ptr<u8>> {
    input::<C>(cx, stream.into(), false, |ios, buffer| {
        let punct = Punct::of(cx, ios.locale(cx)?)?;
        let mut source = Source::new(cx, buffer)?;
        let (value, bits) = read(&mut source, ios.flags(cx)?, &punct)?;
        to.write(cx, value)?;
        Ok(bits | source.end_bits())
    })?;
    Ok(stream)
}

/// Reads an integer of a type.
fn whole<C: Character, T: GuestData>(
    cx: &Cx,
    this: Ptr<u8>,
    to: Ptr<T>,
    signed: bool,
    cut: impl FnOnce(u64) -> T,
) -> Crt<Ptr<u8>> {
    formatted::<C, T>(cx, this, to, |source, flags, punct| {
        let bits = 8 * u32::try_from(T::SIZE[usize::from(cx.is_64())]).unwrap_or(8);
        let (value, state) = fitted(integer(source, flags, punct)?, bits, signed);
        Ok((cut(value), state))
    })
}

/// Reads a `short`.
#[shim(msvcp140("??5{istream}std@@QEAAAEAV01@AEAF@Z"))]
#[expect(clippy::cast_possible_truncation, reason = "the value fits")]
fn get_short<C: Character>(cx: &Cx, this: Ptr<u8>, to: Ptr<i16>) -> Crt<Ptr<u8>> {
    whole::<C, _>(cx, this, to, true, |v| v as i16)
}

/// Reads an `unsigned short`.
#[shim(msvcp140("??5{istream}std@@QEAAAEAV01@AEAG@Z"))]
#[expect(clippy::cast_possible_truncation, reason = "the value fits")]
fn get_unsigned_short<C: Character>(cx: &Cx, this: Ptr<u8>, to: Ptr<u16>) -> Crt<Ptr<u8>> {
    whole::<C, _>(cx, this, to, false, |v| v as u16)
}

/// Reads an `int` or a `long`.
#[shim(msvcp140("??5{istream}std@@QEAAAEAV01@AEAH@Z", "??5{istream}std@@QEAAAEAV01@AEAJ@Z"))]
#[expect(clippy::cast_possible_truncation, reason = "the value fits")]
fn get_int<C: Character>(cx: &Cx, this: Ptr<u8>, to: Ptr<i32>) -> Crt<Ptr<u8>> {
    whole::<C, _>(cx, this, to, true, |v| v as i32)
}

/// Reads an `unsigned int` or an `unsigned long`.
#[shim(msvcp140("??5{istream}std@@QEAAAEAV01@AEAI@Z", "??5{istream}std@@QEAAAEAV01@AEAK@Z"))]
#[expect(clippy::cast_possible_truncation, reason = "the value fits")]
fn get_unsigned_int<C: Character>(cx: &Cx, this: Ptr<u8>, to: Ptr<u32>) -> Crt<Ptr<u8>> {
    whole::<C, _>(cx, this, to, false, |v| v as u32)
}

/// Reads a `long long`.
#[shim(msvcp140("??5{istream}std@@QEAAAEAV01@AEA_J@Z"))]
fn get_long_long<C: Character>(cx: &Cx, this: Ptr<u8>, to: Ptr<i64>) -> Crt<Ptr<u8>> {
    whole::<C, _>(cx, this, to, true, u64::cast_signed)
}

/// Reads an `unsigned long long`.
#[shim(msvcp140("??5{istream}std@@QEAAAEAV01@AEA_K@Z"))]
fn get_unsigned_long_long<C: Character>(cx: &Cx, this: Ptr<u8>, to: Ptr<u64>) -> Crt<Ptr<u8>> {
    whole::<C, _>(cx, this, to, false, |v| v)
}

/// Reads a pointer, which is written in hexadecimal.
#[shim(msvcp140("??5{istream}std@@QEAAAEAV01@AEAPEAX@Z"))]
fn get_pointer<C: Character>(cx: &Cx, this: Ptr<u8>, to: Ptr<Ptr<u8>>) -> Crt<Ptr<u8>> {
    formatted::<C, _>(cx, this, to, |source, _, punct| {
        let bits = 8 * u32::from(cx.pointer_size());
        let (value, state) = fitted(integer(source, flag::HEXADECIMAL, punct)?, bits, false);
        Ok((Ptr::new(value), state))
    })
}

/// Reads one of two words; `None` if it is neither. Takes as few characters as tell.
fn either<C: Character>(source: &mut Source<'_, C>, words: [&[C]; 2]) -> Crt<Option<usize>> {
    let (mut possible, mut taken) = ([true; 2], 0);
    loop {
        let complete = (0..2).find(|i| possible[*i] && words[*i].len() == taken);
        let fits = [0, 1].map(|i: usize| {
            possible[i] && source.next.is_some() && words[i].get(taken).copied() == source.next
        });
        if fits == [false; 2] {
            return Ok(complete.filter(|i| !words[*i].is_empty()));
        }
        possible = fits;
        taken += 1;
        source.skip()?;
    }
}

/// Reads a `bool`: 0 or 1, or a word if the flags say so.
#[shim(msvcp140("??5{istream}std@@QEAAAEAV01@AEA_N@Z"))]
fn get_bool<C: Character>(cx: &Cx, this: Ptr<u8>, to: Ptr<u8>) -> Crt<Ptr<u8>> {
    formatted::<C, _>(cx, this, to, |source, flags, punct| {
        if flags & flag::WORDS_FOR_BOOL != 0 {
            let word = either(source, [&punct.false_name, &punct.true_name])?;
            return Ok(word.map_or((0, state::FAIL), |w| (u8::from(w == 1), 0)));
        }
        Ok(match fitted(integer(source, flags, punct)?, 32, true) {
            (value @ (0 | 1), bits) => (u8::from(value == 1), bits),
            (_, _) => (1, state::FAIL),
        })
    })
}

/// Takes digits; returns how many there were.
fn digits<C: Character>(source: &mut Source<'_, C>, text: &mut Vec<u8>) -> Crt<usize> {
    let before = text.len();
    while source.lower().is_ascii_digit() {
        text.push(source.lower());
        source.skip()?;
    }
    Ok(text.len() - before)
}

/// Reads a sign.
fn sign<C: Character>(source: &mut Source<'_, C>, text: &mut Vec<u8>) -> Crt<()> {
    if matches!(source.lower(), b'+' | b'-') {
        text.push(source.lower());
        source.skip()?;
    }
    Ok(())
}

/// Takes the characters of a floating-point number; none if they are no number.
fn floating<C: Character>(source: &mut Source<'_, C>, punct: &Punct<C>) -> Crt<Vec<u8>> {
    let mut text = Vec::new();
    sign(source, &mut text)?;
    let mut count = digits(source, &mut text)?;
    while count > 0 && !punct.grouping.is_empty() && source.next == Some(punct.separator) {
        source.skip()?;
        count += digits(source, &mut text)?;
    }
    if source.next == Some(punct.point) {
        text.push(b'.');
        source.skip()?;
        count += digits(source, &mut text)?;
    }
    if count == 0 {
        return Ok(Vec::new());
    }
    if source.take_if(b'e')? {
        text.push(b'e');
        sign(source, &mut text)?;
        if digits(source, &mut text)? == 0 {
            return Ok(Vec::new());
        }
    }
    Ok(text)
}

/// Reads a `float`.
#[shim(msvcp140("??5{istream}std@@QEAAAEAV01@AEAM@Z"))]
fn get_float<C: Character>(cx: &Cx, this: Ptr<u8>, to: Ptr<f32>) -> Crt<Ptr<u8>> {
    formatted::<C, _>(cx, this, to, |source, _, punct| {
        let parsed = number::parse_single(&floating(source, punct)?, false);
        Ok((parsed.value, failed(parsed.outcome)))
    })
}

/// Reads a `double` or a `long double`.
#[shim(msvcp140("??5{istream}std@@QEAAAEAV01@AEAN@Z", "??5{istream}std@@QEAAAEAV01@AEAO@Z"))]
fn get_double<C: Character>(cx: &Cx, this: Ptr<u8>, to: Ptr<f64>) -> Crt<Ptr<u8>> {
    formatted::<C, _>(cx, this, to, |source, _, punct| {
        let parsed = number::parse_double(&floating(source, punct)?, false);
        Ok((parsed.value, failed(parsed.outcome)))
    })
}

fn failed(outcome: Outcome) -> i32 {
    if outcome == Outcome::Number { 0 } else { state::FAIL }
}

/// Writes all characters into a buffer.
#[shim(msvcp140("??5{istream}std@@QEAAAEAV01@PEAV{streambuf}1@@Z"))]
fn get_buffer<C: Character>(cx: &Cx, this: Ptr<u8>, target: Ptr<u8>) -> Crt<Ptr<u8>> {
    input::<C>(cx, this.into(), false, |_, buffer| {
        let mut source = Source::<C>::new(cx, buffer)?;
        let mut copied = false;
        while let Some(character) = source.next
            && !target.is_null()
            && buffer::put_one(cx, target.into(), character)?
        {
            copied = true;
            source.skip()?;
        }
        Ok(source.end_bits() | if copied { 0 } else { state::FAIL })
    })?;
    Ok(this)
}

/// Lets a function change the stream (`>> std::ws`).
#[shim(msvcp140("??5{istream}std@@QEAAAEAV01@P6AAEAV01@AEAV01@@Z@Z"))]
fn apply<C: Character>(cx: &Cx, this: Ptr<u8>, function: Func) -> Ptr<u8> {
    Ptr::new(cx.call(function, &[this.addr()]))
}

/// Lets a function change the stream's flags (`>> std::hex`).
#[shim(msvcp140(
    "??5{istream}std@@QEAAAEAV01@P6AAEAVios_base@1@AEAV21@@Z@Z",
    "??5{istream}std@@QEAAAEAV01@P6AAEAV{ios}1@AEAV21@@Z@Z"
))]
fn apply_to_base<C: Character>(cx: &Cx, this: Ptr<u8>, function: Func) -> Crt<Ptr<u8>> {
    let ios = ios_of(cx, this.into())?;
    cx.call(function, &[ios.0.0]);
    Ok(this)
}

#[cfg(test)]
mod tests {
    use super::{Integer, fitted};
    use crate::stream::ios::state;

    #[test]
    fn values_are_kept_within_their_type() {
        let read = |negative, magnitude| Some(Integer { negative, magnitude, too_large: false });
        assert_eq!(fitted(read(true, 5), 32, true), (5u64.wrapping_neg(), 0));
        assert_eq!(fitted(read(false, 40_000), 16, true), (32_767, state::FAIL));
        assert_eq!(fitted(read(true, 40_000), 16, true), (32_768u64.wrapping_neg(), state::FAIL));
        assert_eq!(fitted(read(false, 65_536), 16, false), (65_535, state::FAIL));
        assert_eq!(fitted(read(true, 1), 64, false), (u64::MAX, 0));
        assert_eq!(fitted(None, 32, true), (0, state::FAIL));
    }
}
