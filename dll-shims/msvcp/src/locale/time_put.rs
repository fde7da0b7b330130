//! `time_put<char>`: times as text, which the C runtime's `strftime` makes.

use transom_sdk::{ByValue, Crt, Cx, Guest, Ptr, mem, shim};

use super::{category, facet, get_category};
use crate::class::Class;
use crate::object::{Object, Words, allocate, free, import};
use crate::stream::buffer;

/// `ostreambuf_iterator`: where characters go, and whether that has failed.
#[derive(Clone, Copy, Debug, Guest)]
pub(crate) struct OutIterator {
    failed: u8,
    buffer: Ptr<u8>,
}

impl OutIterator {
    fn put(&mut self, cx: &Cx, text: &[u8]) -> Crt<()> {
        let buffer = Object::from(self.buffer);
        if self.failed == 0 && (buffer.is_null() || !buffer::put_all(cx, buffer, text.to_vec())?) {
            self.failed = 1;
        }
        Ok(())
    }
}

static TIME_PUT: Class = Class {
    name: ".?AV?$time_put@DV?$ostreambuf_iterator@DU?$char_traits@D@std@@@std@@@std@@",
    base: Some(&facet::FACET),
    virtual_base: None,
    functions: &[facet::COUNTING[0], facet::COUNTING[1], facet::COUNTING[2], SHIM_do_put],
};

/// Makes the facet unless there is one; returns its category.
#[shim(msvcp140(
    "?_Getcat@?$time_put@DV?$ostreambuf_iterator@DU?$char_traits@D@std@@@std@@@std@@SA{size}PEAPEBVfacet@locale@2@PEBV42@@Z"
))]
fn getcat(cx: &Cx, place: Ptr<Ptr<u8>>, _locale: Ptr<u8>) -> Crt<usize> {
    get_category(cx, place, category::TIME, || facet::make(cx, &TIME_PUT, 24))
}

/// Writes what one conversion specification stands for.
fn put_one(cx: &Cx, to: &mut OutIterator, time: Ptr<u8>, specifier: u8, modifier: u8) -> Crt<()> {
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
    to.put(cx, text.get(1..).unwrap_or_default())
}

/// Writes a time as a pattern says.
#[shim(
    msvcp140(
        "?put@?$time_put@DV?$ostreambuf_iterator@DU?$char_traits@D@std@@@std@@@std@@QEBA?AV?$ostreambuf_iterator@DU?$char_traits@D@std@@@2@V32@AEAVios_base@2@DPEBUtm@@PEBD3@Z"
    ),
    partial = "a do_put of a derived class is not called"
)]
fn put(
    cx: &Cx,
    _this: Ptr<u8>,
    result: Ptr<OutIterator>,
    to: ByValue<OutIterator>,
    _stream: Ptr<u8>,
    _fill: u8,
    time: Ptr<u8>,
    first: Ptr<u8>,
    last: Ptr<u8>,
) -> Crt<Ptr<OutIterator>> {
    let ByValue(mut to) = to;
    let count = usize::try_from(last.addr().saturating_sub(first.addr())).unwrap_or(0);
    let pattern = first.read_slice(count)?;
    let mut rest = pattern.as_slice();
    while let Some((&c, tail)) = rest.split_first() {
        rest = match (c, tail) {
            (b'%', [modifier @ (b'E' | b'O' | b'Q' | b'#'), specifier, tail @ ..]) => {
                put_one(cx, &mut to, time, *specifier, *modifier)?;
                tail
            }
            (b'%', [specifier, tail @ ..]) => {
                put_one(cx, &mut to, time, *specifier, 0)?;
                tail
            }
            _ => {
                to.put(cx, &[c])?;
                tail
            }
        };
    }
    result.write(cx, to)?;
    Ok(result)
}

/// Writes what one conversion specification stands for.
#[shim(msvcp140(
    "?do_put@?$time_put@DV?$ostreambuf_iterator@DU?$char_traits@D@std@@@std@@@std@@MEBA?AV?$ostreambuf_iterator@DU?$char_traits@D@std@@@2@V32@AEAVios_base@2@DPEBUtm@@DD@Z"
))]
fn do_put(
    cx: &Cx,
    _this: Ptr<u8>,
    result: Ptr<OutIterator>,
    to: ByValue<OutIterator>,
    _stream: Ptr<u8>,
    _fill: u8,
    time: Ptr<u8>,
    specifier: u8,
    modifier: u8,
) -> Crt<Ptr<OutIterator>> {
    let ByValue(mut to) = to;
    put_one(cx, &mut to, time, specifier, modifier)?;
    result.write(cx, to)?;
    Ok(result)
}
