//! `time_get`: times from text by a pattern, in the C locale's words.

use core::marker::PhantomData;

use transom_sdk::{ByValue, Crt, Cx, Guest, Ptr, data, shim};

use super::{category, facet, get_category};
use crate::character::Character;
use crate::class::Class;
use crate::object::Object;
use crate::stream::buffer;

/// `istreambuf_iterator`: where characters come from, or null at their end; and the next one, if that was looked at.
#[derive(Clone, Copy, Debug, Guest)]
pub(crate) struct InIterator {
    buffer: Ptr<u8>,
    looked: u8,
    next: u8,
    next_high: u8,
}

/// Bits of a stream's state.
const EOF: i32 = 1;
const FAIL: i32 = 2;

/// Bytes of a facet's object.
const SIZE: usize = 0x60;

/// `struct tm`: seconds, minutes, hours, day of the month, month, year since 1900, weekday, day of the year, daylight saving time.
type Time = [i32; 9];
const SECOND: usize = 0;
const MINUTE: usize = 1;
const HOUR: usize = 2;
const DAY: usize = 3;
const MONTH: usize = 4;
const YEAR: usize = 5;
const WEEKDAY: usize = 6;
const YEAR_DAY: usize = 7;

const WEEKDAYS: [&str; 7] = ["sunday", "monday", "tuesday", "wednesday", "thursday", "friday", "saturday"];
const MONTHS: [&str; 12] = [
    "january",
    "february",
    "march",
    "april",
    "may",
    "june",
    "july",
    "august",
    "september",
    "october",
    "november",
    "december",
];

/// A class without functions that a program could call by its table: its headers call those that are exported.
struct TimeGet<C>(PhantomData<C>);

impl<C: Character> TimeGet<C> {
    const CLASS: &'static Class = &Class {
        name: if C::WIDE {
            ".?AV?$time_get@_WV?$istreambuf_iterator@_WU?$char_traits@_W@std@@@std@@@std@@"
        } else {
            ".?AV?$time_get@DV?$istreambuf_iterator@DU?$char_traits@D@std@@@std@@@std@@"
        },
        base: Some(&facet::FACET),
        virtual_base: None,
        functions: &facet::COUNTING,
    };
}

/// The number of `time_get`.
#[data(msvcp140("?id@?$time_get@{c}V{istreambuf_iterator}std@@@std@@2V0locale@2@A"))]
fn time_get_id<C: Character>(cx: &Cx, at: Ptr<usize>) {}

/// Makes the facet unless there is one; returns its category.
#[shim(msvcp140(
    "?_Getcat@?$time_get@{c}V{istreambuf_iterator}std@@@std@@SA{size}PEAPEBVfacet@locale@2@PEBV42@@Z"
))]
fn getcat<C: Character>(cx: &Cx, place: Ptr<Ptr<u8>>, _locale: Ptr<u8>) -> Crt<usize> {
    get_category(cx, place, category::TIME, || facet::make(cx, TimeGet::<C>::CLASS, SIZE))
}

/// Characters of a buffer.
struct Source<'a, C> {
    cx: &'a Cx,
    buffer: Object,
    next: Option<C>,
    /// Whether a conversion came to the end.
    ended: bool,
}

impl<C: Character> Source<'_, C> {
    fn skip(&mut self) -> Crt<()> {
        self.next = buffer::next(self.cx, self.buffer)?;
        Ok(())
    }

    fn blanks(&mut self) -> Crt<()> {
        while self.next.is_some_and(C::is_space) {
            self.skip()?;
        }
        Ok(())
    }

    /// The next character in lower case, if it is an ASCII one.
    fn lower(&self) -> Option<u8> {
        self.next.map(|c| c.ascii().to_ascii_lowercase()).filter(u8::is_ascii)
    }

    /// A number within limits, of no more digits than the largest has.
    fn number(&mut self, least: i32, most: i32) -> Crt<Option<i32>> {
        let (mut value, mut digits) = (0, 0);
        while digits < most.to_string().len()
            && let Some(digit) = self.lower().filter(u8::is_ascii_digit)
        {
            value = 10 * value + i32::from(digit - b'0');
            digits += 1;
            self.skip()?;
        }
        Ok(Some(value).filter(|v| digits > 0 && (least..=most).contains(v)))
    }

    /// Which of some words comes next, whole or by its first three letters.
    fn word(&mut self, words: &[&str]) -> Crt<Option<usize>> {
        let mut text = Vec::new();
        while let Some(letter) = self.lower().filter(u8::is_ascii_alphabetic)
            && words.iter().any(|w| w.as_bytes().get(..=text.len()) == Some(&[&text[..], &[letter]].concat()))
        {
            text.push(letter);
            self.skip()?;
        }
        Ok(words.iter().position(|w| {
            text.len() >= w.len().min(3)
                && text == w.as_bytes()[..text.len()]
                && (text.len() == 3 || text.len() == w.len())
        }))
    }
}

/// Reads what one conversion specification stands for; false if it is not there.
fn one<C: Character>(source: &mut Source<'_, C>, specifier: u8, time: &mut Time) -> Crt<bool> {
    let (field, least, most, offset) = match specifier {
        b'd' | b'e' => (DAY, 1, 31, 0),
        b'H' => (HOUR, 0, 23, 0),
        b'I' => (HOUR, 1, 12, 0),
        b'j' => (YEAR_DAY, 1, 366, -1),
        b'm' => (MONTH, 1, 12, -1),
        b'M' => (MINUTE, 0, 59, 0),
        b'S' => (SECOND, 0, 60, 0),
        b'w' => (WEEKDAY, 0, 6, 0),
        b'Y' => (YEAR, 0, 9999, -1900),
        _ => return other(source, specifier, time),
    };
    source.blanks()?;
    let value = source.number(least, most)?;
    if let Some(value) = value {
        // Twelve o'clock is the hour 0; the afternoon adds to it.
        time[field] = if specifier == b'I' { value % 12 } else { value + offset };
    }
    Ok(value.is_some())
}

/// The same for what is no number, or several.
fn other<C: Character>(source: &mut Source<'_, C>, specifier: u8, time: &mut Time) -> Crt<bool> {
    let pattern: &[u8] = match specifier {
        b'a' | b'A' | b'b' | b'B' | b'h' => {
            let weekday = specifier.eq_ignore_ascii_case(&b'a');
            let (field, words) = if weekday { (WEEKDAY, &WEEKDAYS[..]) } else { (MONTH, &MONTHS[..]) };
            let word = source.word(words)?;
            time[field] = word.and_then(|w| i32::try_from(w).ok()).unwrap_or(time[field]);
            return Ok(word.is_some());
        }
        b'p' => {
            let word = source.word(&["am", "pm"])?;
            time[HOUR] += if word == Some(1) { 12 } else { 0 };
            return Ok(word.is_some());
        }
        b'y' => {
            let year = source.number(0, 99)?;
            time[YEAR] = year.map_or(time[YEAR], |y| if y < 69 { y + 100 } else { y });
            return Ok(year.is_some());
        }
        b'n' | b't' => return source.blanks().map(|()| true),
        b'%' => b"%%",
        b'c' => b"%b %d %H:%M:%S %Y",
        b'D' | b'x' => b"%m/%d/%y",
        b'F' => b"%Y-%m-%d",
        b'r' => b"%I:%M:%S %p",
        b'R' => b"%H:%M",
        b'T' | b'X' => b"%H:%M:%S",
        _ => return Ok(false),
    };
    if specifier == b'%' {
        let is = source.lower() == Some(b'%');
        if is {
            source.skip()?;
        }
        return Ok(is);
    }
    all(source, &C::of_text(pattern), time)
}

/// Reads what a pattern says; false where the text is not as it says.
fn all<C: Character>(source: &mut Source<'_, C>, pattern: &[C], time: &mut Time) -> Crt<bool> {
    let mut rest = pattern.iter().copied();
    while let Some(character) = rest.next() {
        let there = if character.is_space() {
            source.blanks()?;
            true
        } else if character.ascii() == b'%' {
            let mut specifier = rest.next().map_or(b'%', C::ascii);
            if matches!(specifier, b'E' | b'O' | b'Q' | b'#') {
                specifier = rest.next().map_or(b'%', C::ascii);
            }
            let is = one(source, specifier, time)?;
            source.ended |= source.next.is_none();
            is
        } else {
            let is = source.next == Some(character);
            if is {
                source.skip()?;
            }
            is
        };
        if !there {
            return Ok(false);
        }
    }
    Ok(true)
}

/// Reads a time as a pattern says.
#[shim(
    msvcp140(
        "?get@?$time_get@{c}V{istreambuf_iterator}std@@@std@@QEBA?AV{istreambuf_iterator}2@V32@V32@AEAVios_base@2@AEAHPEAUtm@@PEB{c}PEB{c}@Z"
    ),
    partial = "a do_get of a derived class is not called"
)]
fn get<C: Character>(
    cx: &Cx,
    _this: Ptr<u8>,
    result: Ptr<InIterator>,
    from: ByValue<InIterator>,
    _to: ByValue<InIterator>,
    _stream: Ptr<u8>,
    state: Ptr<i32>,
    time: Ptr<Time>,
    first: Ptr<C>,
    last: Ptr<C>,
) -> Crt<Ptr<InIterator>> {
    let bytes = last.addr().saturating_sub(first.addr());
    let pattern = C::read(first.addr(), usize::try_from(bytes).unwrap_or(0) / size_of::<C>())?;
    let place = Object::from(from.0.buffer);
    let next = if place.is_null() { None } else { buffer::peek::<C>(cx, place)? };
    let mut source = Source { cx, buffer: place, next, ended: false };
    let mut parsed = time.read(cx)?;
    let good = all(&mut source, &pattern, &mut parsed)?;
    time.write(cx, parsed)?;
    let end = source.next.is_none();
    state.write(cx, if source.ended { EOF } else { 0 } | if good { 0 } else { FAIL })?;
    let buffer = if end { Ptr::NULL } else { from.0.buffer };
    result.write(cx, InIterator { buffer, looked: 0, next: 0, next_high: 0 })?;
    Ok(result)
}
