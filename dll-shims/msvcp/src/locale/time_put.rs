//! `time_put`: times as text, which the C runtime's `strftime` makes.

use core::marker::PhantomData;

use transom_sdk::{ByValue, Crt, Cx, Guest, Ptr, data, mem, shim};

use super::{category, facet, get_category};
use crate::character::Character;
use crate::class::Class;
use crate::object::{Object, Words, allocate, free, import};
use crate::stream::buffer;

/// Bytes of a facet's object.
const SIZE: usize = 0x40;

/// `ostreambuf_iterator`: where characters go, and whether that has failed.
#[derive(Clone, Copy, Debug, Guest)]
pub(crate) struct OutIterator {
    failed: u8,
    buffer: Ptr<u8>,
}

impl OutIterator {
    fn put<C: Character>(&mut self, cx: &Cx, text: &[u8]) -> Crt<()> {
        self.put_characters(cx, C::of_text(text))
    }

    fn put_characters<C: Character>(&mut self, cx: &Cx, text: Vec<C>) -> Crt<()> {
        let buffer = Object::from(self.buffer);
        if self.failed == 0 && (buffer.is_null() || !buffer::put_all(cx, buffer, text)?) {
            self.failed = 1;
        }
        Ok(())
    }
}

struct TimePut<C>(PhantomData<C>);

impl<C: Character> TimePut<C> {
    const CLASS: &'static Class = &Class {
        name: if C::WIDE {
            ".?AV?$time_put@_WV?$ostreambuf_iterator@_WU?$char_traits@_W@std@@@std@@@std@@"
        } else {
            ".?AV?$time_put@DV?$ostreambuf_iterator@DU?$char_traits@D@std@@@std@@@std@@"
        },
        base: Some(&facet::FACET),
        virtual_base: None,
        functions: &[facet::COUNTING[0], facet::COUNTING[1], facet::COUNTING[2], SHIM_do_put::<C>],
    };
}

/// The number of `time_put`.
#[data(msvcp140("?id@?$time_put@{c}V{ostreambuf_iterator}std@@@std@@2V0locale@2@A"))]
fn time_put_id<C: Character>(cx: &Cx, at: Ptr<usize>) {}

/// Makes the facet unless there is one; returns its category.
#[shim(msvcp140(
    "?_Getcat@?$time_put@{c}V{ostreambuf_iterator}std@@@std@@SA{size}PEAPEBVfacet@locale@2@PEBV42@@Z"
))]
fn getcat<C: Character>(cx: &Cx, place: Ptr<Ptr<u8>>, _locale: Ptr<u8>) -> Crt<usize> {
    get_category(cx, place, category::TIME, || facet::make(cx, TimePut::<C>::CLASS, SIZE))
}

/// Writes what one conversion specification stands for.
fn put_one<C: Character>(
    cx: &Cx,
    to: &mut OutIterator,
    time: Ptr<u8>,
    specifier: u8,
    modifier: u8,
) -> Crt<()> {
    const ROOM: usize = 256;
    let mut pattern = [b' ', b'%', modifier, specifier, 0];
    if modifier == 0 {
        pattern = [b' ', b'%', specifier, 0, 0];
    }
    // A blank before it tells an empty text from one that does not fit.
    let block = allocate(cx, pattern.len() + ROOM)?;
    mem::copy_out(block + ROOM as u64, &pattern)?;
    let words = Words::new(cx).word(block).word(ROOM as u64).word(block + ROOM as u64).word(time.addr());
    let length = import(cx, "ucrtbase.dll", "strftime", words)?;
    let text = mem::copy_in_vec(block, usize::try_from(length).unwrap_or(0).min(ROOM))?;
    free(cx, block);
    to.put::<C>(cx, text.get(1..).unwrap_or_default())
}

/// Writes a time as a pattern says.
#[shim(
    msvcp140(
        "?put@?$time_put@{c}V{ostreambuf_iterator}std@@@std@@QEBA?AV{ostreambuf_iterator}2@V32@AEAVios_base@2@{c}PEBUtm@@PEB{c}PEB{c}@Z"
    ),
    partial = "a do_put of a derived class is not called"
)]
fn put<C: Character>(
    cx: &Cx,
    _this: Ptr<u8>,
    result: Ptr<OutIterator>,
    to: ByValue<OutIterator>,
    _stream: Ptr<u8>,
    _fill: C,
    time: Ptr<u8>,
    first: Ptr<C>,
    last: Ptr<C>,
) -> Crt<Ptr<OutIterator>> {
    let ByValue(mut to) = to;
    let bytes = last.addr().saturating_sub(first.addr());
    let pattern = C::read(first.addr(), usize::try_from(bytes).unwrap_or(0) / size_of::<C>())?;
    let mut rest = pattern.iter().copied();
    while let Some(character) = rest.next() {
        if character.ascii() != b'%' {
            to.put_characters(cx, vec![character])?;
            continue;
        }
        let Some(mut specifier) = rest.next().map(C::ascii) else { break };
        let mut modifier = 0;
        if matches!(specifier, b'E' | b'O' | b'Q' | b'#') {
            modifier = specifier;
            specifier = rest.next().map_or(b'%', C::ascii);
        }
        put_one::<C>(cx, &mut to, time, specifier, modifier)?;
    }
    result.write(cx, to)?;
    Ok(result)
}

/// Writes what one conversion specification stands for.
#[shim(msvcp140(
    "?do_put@?$time_put@{c}V{ostreambuf_iterator}std@@@std@@MEBA?AV{ostreambuf_iterator}2@V32@AEAVios_base@2@{c}PEBUtm@@DD@Z"
))]
fn do_put<C: Character>(
    cx: &Cx,
    _this: Ptr<u8>,
    result: Ptr<OutIterator>,
    to: ByValue<OutIterator>,
    _stream: Ptr<u8>,
    _fill: C,
    time: Ptr<u8>,
    specifier: u8,
    modifier: u8,
) -> Crt<Ptr<OutIterator>> {
    let ByValue(mut to) = to;
    put_one::<C>(cx, &mut to, time, specifier, modifier)?;
    result.write(cx, to)?;
    Ok(result)
}
