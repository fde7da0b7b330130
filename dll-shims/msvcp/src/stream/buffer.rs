//! `basic_streambuf<char>`: characters on their way. A buffer has an area to read from and one to write to; derived classes fill and
//! empty them in their virtual functions.
//!
//! The object holds the areas and pointers to where they are described, because a derived class may describe them elsewhere (a file
//! buffer shares those of the C runtime's stream).

use transom_sdk::{ByValue, Crt, Cx, Guest, Ptr, mem, shim};

use crate::class::{self, Class};
use crate::locale;
use crate::object::{self, Field, Object, Words};

/// An area: where its first character, the next one and the number of characters left are kept.
#[derive(Clone, Copy)]
struct Area {
    first: Field,
    next: Field,
    left: Field,
}

/// The pointers to the descriptions in use.
const GET: Area = Area { first: Field::after(3), next: Field::after(7), left: Field::at(0x2C, 0x50) };
const PUT: Area = Area { first: Field::after(4), next: Field::after(8), left: Field::at(0x30, 0x58) };
/// The object's own descriptions.
const OWN_GET: Area = Area { first: Field::after(1), next: Field::after(5), left: Field::at(0x24, 0x48) };
const OWN_PUT: Area = Area { first: Field::after(2), next: Field::after(6), left: Field::at(0x28, 0x4C) };
const LOCALE: Field = Field::at(0x34, 0x60);
/// Bytes of an object.
pub(super) const SIZE: Field = Field::at(0x38, 0x68);

/// Slots of virtual functions.
const LOCK: u16 = 1;
const UNLOCK: u16 = 2;
const OVERFLOW: u16 = 3;
const PUT_BACK_FAILED: u16 = 4;
const SHOW_MANY: u16 = 5;
const UNDERFLOW: u16 = 6;
const UFLOW: u16 = 7;
const READ: u16 = 8;
const WRITE: u16 = 9;
const SEEK_OFFSET: u16 = 10;
const SET_BUFFER: u16 = 12;
const SYNC: u16 = 13;
const IMBUE: u16 = 14;

/// What functions return for "no character".
pub(super) const EOF: i32 = -1;

pub(super) static BUFFER: Class = Class {
    name: ".?AV?$basic_streambuf@DU?$char_traits@D@std@@@std@@",
    base: None,
    virtual_base: None,
    functions: &[
        SHIM_delete_buffer,
        SHIM_lock,
        SHIM_unlock,
        SHIM_overflow,
        SHIM_pbackfail,
        SHIM_showmanyc,
        SHIM_underflow,
        SHIM_uflow,
        SHIM_xsgetn,
        SHIM_xsputn,
        SHIM_seekoff,
        SHIM_seekpos,
        SHIM_setbuf,
        SHIM_sync,
        SHIM_imbue,
    ],
};

/// `fpos<mbstate_t>`: a position in a stream.
#[derive(Clone, Copy, Debug, Guest)]
pub(crate) struct Position {
    pub(crate) offset: i64,
    file: i64,
    state: [u32; 2],
}

impl Position {
    /// At a number of characters from the beginning; -1 is no position.
    pub(crate) fn at(offset: i64) -> Self {
        Self { offset, file: 0, state: [0; 2] }
    }
}

impl Area {
    /// The next character's address and how many are left.
    fn get(self, cx: &Cx, buffer: Object) -> Crt<(u64, i32)> {
        let next = Object(buffer.pointer(cx, self.next)?).pointer(cx, Field::after(0))?;
        let left = Object(buffer.pointer(cx, self.left)?).get(cx, Field::after(0))?;
        Ok((next, if next == 0 { 0 } else { left }))
    }

    /// Goes so many characters on.
    fn advance(self, cx: &Cx, buffer: Object, count: i32) -> Crt<()> {
        let next = Object(buffer.pointer(cx, self.next)?);
        let left = Object(buffer.pointer(cx, self.left)?);
        let moved = next.pointer(cx, Field::after(0))?.wrapping_add_signed(count.into());
        next.set_pointer(cx, Field::after(0), moved)?;
        let rest: i32 = left.get(cx, Field::after(0))?;
        left.set(cx, Field::after(0), rest - count)
    }

    /// The area's first character's address.
    fn start(self, cx: &Cx, buffer: Object) -> Crt<u64> {
        Object(buffer.pointer(cx, self.first)?).pointer(cx, Field::after(0))
    }

    fn set(self, cx: &Cx, buffer: Object, first: u64, next: u64, last: u64) -> Crt<()> {
        let left = last.wrapping_sub(next).cast_signed();
        Object(buffer.pointer(cx, self.first)?).set_pointer(cx, Field::after(0), first)?;
        Object(buffer.pointer(cx, self.next)?).set_pointer(cx, Field::after(0), next)?;
        let left = i32::try_from(left).unwrap_or(0);
        Object(buffer.pointer(cx, self.left)?).set(cx, Field::after(0), left)
    }

    /// Points to a description.
    fn describe(self, cx: &Cx, buffer: Object, own: Self) -> Crt<()> {
        buffer.set_pointer(cx, self.first, buffer.field(cx, own.first))?;
        buffer.set_pointer(cx, self.next, buffer.field(cx, own.next))?;
        buffer.set_pointer(cx, self.left, buffer.field(cx, own.left))
    }
}

/// Makes a buffer's fields.
pub(super) fn init(cx: &Cx, buffer: Object) -> Crt<()> {
    GET.describe(cx, buffer, OWN_GET)?;
    PUT.describe(cx, buffer, OWN_PUT)?;
    PUT.set(cx, buffer, 0, 0, 0)?;
    GET.set(cx, buffer, 0, 0, 0)
}

/// Makes a buffer with a locale of its own.
pub(super) fn make(cx: &Cx, buffer: Object, class: &'static Class) -> Crt<()> {
    class::become_one(cx, buffer, class)?;
    buffer.set_pointer(cx, LOCALE, locale::new_global(cx)?.0)?;
    init(cx, buffer)
}

/// Writes one character. `EOF` if that failed.
pub(crate) fn put_one(cx: &Cx, buffer: Object, character: u8) -> Crt<i32> {
    let (next, left) = PUT.get(cx, buffer)?;
    if left > 0 {
        mem::write(next, &character)?;
        PUT.advance(cx, buffer, 1)?;
        return Ok(character.into());
    }
    buffer.call_int(cx, OVERFLOW, Words::new(cx).word(character))
}

/// Writes guest memory; returns how much was written.
pub(crate) fn put_from(cx: &Cx, buffer: Object, from: u64, count: i64) -> Crt<i64> {
    buffer.call_long(cx, WRITE, Words::new(cx).word(from).long(count))
}

/// Writes text. False if not all of it could be.
pub(crate) fn put_all(cx: &Cx, buffer: Object, text: impl AsRef<[u8]>) -> Crt<bool> {
    let (next, left) = PUT.get(cx, buffer)?;
    let bytes = text.as_ref();
    let count = i32::try_from(bytes.len()).unwrap_or(i32::MAX);
    if count <= left {
        mem::copy_out(next, bytes)?;
        PUT.advance(cx, buffer, count)?;
        return Ok(true);
    }
    let copy = object::text(cx, bytes)?;
    // The call may be abandoned.
    drop(text);
    let written = put_from(cx, buffer, copy, count.into())?;
    object::free(cx, copy);
    Ok(written == i64::from(count))
}

/// The character to be read next, which stays there. `EOF` if there is none.
pub(crate) fn peek(cx: &Cx, buffer: Object) -> Crt<i32> {
    let (next, left) = GET.get(cx, buffer)?;
    if left > 0 { Ok(mem::read::<u8>(next)?.into()) } else { buffer.call_int(cx, UNDERFLOW, Words::new(cx)) }
}

/// Reads a character. `EOF` if there is none.
pub(crate) fn get(cx: &Cx, buffer: Object) -> Crt<i32> {
    let (next, left) = GET.get(cx, buffer)?;
    if left > 0 {
        let character: u8 = mem::read(next)?;
        GET.advance(cx, buffer, 1)?;
        return Ok(character.into());
    }
    buffer.call_int(cx, UFLOW, Words::new(cx))
}

/// Skips a character and tells the next one.
pub(crate) fn next(cx: &Cx, buffer: Object) -> Crt<i32> {
    if get(cx, buffer)? == EOF { Ok(EOF) } else { peek(cx, buffer) }
}

/// Empties the buffer to where its characters go. -1 if that failed.
pub(crate) fn flush(cx: &Cx, buffer: Object) -> Crt<i32> {
    buffer.call_int(cx, SYNC, Words::new(cx))
}

/// Tells the buffer of a new locale; returns the one before in `result`.
pub(crate) fn set_locale(cx: &Cx, buffer: Object, result: Object, new: Object) -> Crt<()> {
    let own = Object(buffer.pointer(cx, LOCALE)?);
    locale::copy(cx, result, own)?;
    buffer.call(cx, IMBUE, Words::new(cx).word(new.0))?;
    locale::assign(cx, own, new)
}

/// Keeps other threads from the buffer.
pub(crate) fn lock_buffer(cx: &Cx, buffer: Object) -> Crt<()> {
    buffer.call(cx, LOCK, Words::new(cx)).map(drop)
}

/// Lets other threads use the buffer again.
pub(crate) fn unlock_buffer(cx: &Cx, buffer: Object) -> Crt<()> {
    buffer.call(cx, UNLOCK, Words::new(cx)).map(drop)
}

/// The position relative to another one, after moving there.
pub(crate) fn seek(cx: &Cx, buffer: Object, result: u64, offset: i64, from: i32, mode: i32) -> Crt<()> {
    let words = Words::new(cx).word(result).long(offset).int(from).int(mode);
    buffer.call(cx, SEEK_OFFSET, words).map(drop)
}

/// Makes a buffer.
#[shim(msvcp140("??0?$basic_streambuf@DU?$char_traits@D@std@@@std@@IEAA@XZ"))]
fn streambuf(cx: &Cx, this: Ptr<u8>) -> Crt<Ptr<u8>> {
    make(cx, this.into(), &BUFFER)?;
    Ok(this)
}

/// Ends the life of a buffer.
#[shim(msvcp140("??1?$basic_streambuf@DU?$char_traits@D@std@@@std@@UEAA@XZ"))]
fn destroy_buffer(cx: &Cx, this: Ptr<u8>) -> Crt<()> {
    locale::delete(cx, Object(Object::from(this).pointer(cx, LOCALE)?))
}

/// Ends the life of a buffer; gives its memory back if a flag says so.
#[shim(msvcp140("??_G?$basic_streambuf@DU?$char_traits@D@std@@@std@@UEAAPEAXI@Z"))]
fn delete_buffer(cx: &Cx, this: Ptr<u8>, flags: u32) -> Crt<Ptr<u8>> {
    destroy_buffer(cx, this)?;
    if flags & 1 != 0 {
        object::free(cx, this.addr());
    }
    Ok(this)
}

/// Describes the areas in the object itself, empty.
#[shim(msvcp140("?_Init@?$basic_streambuf@DU?$char_traits@D@std@@@std@@IEAAXXZ"))]
fn init_areas(cx: &Cx, this: Ptr<u8>) -> Crt<()> {
    init(cx, this.into())
}

/// Keeps other threads out: only buffers of files do.
#[shim(msvcp140("?_Lock@?$basic_streambuf@DU?$char_traits@D@std@@@std@@UEAAXXZ"))]
fn lock(_this: Ptr<u8>) {}

/// Lets other threads in: only buffers of files keep them out.
#[shim(msvcp140("?_Unlock@?$basic_streambuf@DU?$char_traits@D@std@@@std@@UEAAXXZ"))]
fn unlock(_this: Ptr<u8>) {}

/// A copy of the buffer's locale.
#[shim(msvcp140("?getloc@?$basic_streambuf@DU?$char_traits@D@std@@@std@@QEBA?AVlocale@2@XZ"))]
fn getloc(cx: &Cx, this: Ptr<u8>, result: Ptr<u8>) -> Crt<Ptr<u8>> {
    locale::copy(cx, result.into(), Object(Object::from(this).pointer(cx, LOCALE)?))?;
    Ok(result)
}

/// Sets the buffer's locale; returns the one before.
#[shim(msvcp140("?pubimbue@?$basic_streambuf@DU?$char_traits@D@std@@@std@@QEAA?AVlocale@2@AEBV32@@Z"))]
fn pubimbue(cx: &Cx, this: Ptr<u8>, result: Ptr<u8>, new: Ptr<u8>) -> Crt<Ptr<u8>> {
    set_locale(cx, this.into(), result.into(), new.into())?;
    Ok(result)
}

/// The character to be read next.
#[shim(msvcp140("?sgetc@?$basic_streambuf@DU?$char_traits@D@std@@@std@@QEAAHXZ"))]
fn sgetc(cx: &Cx, this: Ptr<u8>) -> Crt<i32> {
    peek(cx, this.into())
}

/// Reads a character.
#[shim(msvcp140("?sbumpc@?$basic_streambuf@DU?$char_traits@D@std@@@std@@QEAAHXZ"))]
fn sbumpc(cx: &Cx, this: Ptr<u8>) -> Crt<i32> {
    get(cx, this.into())
}

/// Skips a character and tells the next one.
#[shim(msvcp140("?snextc@?$basic_streambuf@DU?$char_traits@D@std@@@std@@QEAAHXZ"))]
fn snextc(cx: &Cx, this: Ptr<u8>) -> Crt<i32> {
    next(cx, this.into())
}

/// Writes a character.
#[shim(msvcp140("?sputc@?$basic_streambuf@DU?$char_traits@D@std@@@std@@QEAAHD@Z"))]
fn sputc(cx: &Cx, this: Ptr<u8>, character: u8) -> Crt<i32> {
    put_one(cx, this.into(), character)
}

/// Writes characters.
#[shim(msvcp140("?sputn@?$basic_streambuf@DU?$char_traits@D@std@@@std@@QEAA_JPEBD_J@Z"))]
fn sputn(cx: &Cx, this: Ptr<u8>, from: Ptr<u8>, count: i64) -> Crt<i64> {
    put_from(cx, this.into(), from.addr(), count)
}

/// Reads characters.
#[shim(msvcp140("?sgetn@?$basic_streambuf@DU?$char_traits@D@std@@@std@@QEAA_JPEAD_J@Z"))]
fn sgetn(cx: &Cx, this: Ptr<u8>, to: Ptr<u8>, count: i64) -> Crt<i64> {
    Object::from(this).call_long(cx, READ, Words::new(cx).word(to.addr()).long(count))
}

/// How many characters can be read without waiting.
#[shim(msvcp140("?in_avail@?$basic_streambuf@DU?$char_traits@D@std@@@std@@QEAA_JXZ"))]
fn in_avail(cx: &Cx, this: Ptr<u8>) -> Crt<i64> {
    let buffer = Object::from(this);
    let (_, left) = GET.get(cx, buffer)?;
    if left > 0 { Ok(left.into()) } else { buffer.call_long(cx, SHOW_MANY, Words::new(cx)) }
}

/// Empties the buffer to where its characters go.
#[shim(msvcp140("?pubsync@?$basic_streambuf@DU?$char_traits@D@std@@@std@@QEAAHXZ"))]
fn pubsync(cx: &Cx, this: Ptr<u8>) -> Crt<i32> {
    flush(cx, this.into())
}

/// Gives the buffer memory to use.
#[shim(msvcp140("?pubsetbuf@?$basic_streambuf@DU?$char_traits@D@std@@@std@@QEAAPEAV12@PEAD_J@Z"))]
fn pubsetbuf(cx: &Cx, this: Ptr<u8>, memory: Ptr<u8>, size: i64) -> Crt<Ptr<u8>> {
    let words = Words::new(cx).word(memory.addr()).long(size);
    Ok(Ptr::new(Object::from(this).call(cx, SET_BUFFER, words)?))
}

/// Steps back over a character, which must be the one that was read.
#[shim(msvcp140("?sputbackc@?$basic_streambuf@DU?$char_traits@D@std@@@std@@QEAAHD@Z"))]
fn sputbackc(cx: &Cx, this: Ptr<u8>, character: u8) -> Crt<i32> {
    let buffer = Object::from(this);
    let (next, _) = GET.get(cx, buffer)?;
    if next != 0 && GET.start(cx, buffer)? < next && mem::read::<u8>(next - 1)? == character {
        GET.advance(cx, buffer, -1)?;
        return Ok(character.into());
    }
    buffer.call_int(cx, PUT_BACK_FAILED, Words::new(cx).word(character))
}

/// Fails to write a character: there is nowhere to write to.
#[shim(msvcp140("?overflow@?$basic_streambuf@DU?$char_traits@D@std@@@std@@MEAAHH@Z"))]
fn overflow(_this: Ptr<u8>, _character: i32) -> i32 {
    EOF
}

/// Fails to step back over a character.
#[shim(msvcp140("?pbackfail@?$basic_streambuf@DU?$char_traits@D@std@@@std@@MEAAHH@Z"))]
fn pbackfail(_this: Ptr<u8>, _character: i32) -> i32 {
    EOF
}

/// How many characters are known to come.
#[shim(msvcp140("?showmanyc@?$basic_streambuf@DU?$char_traits@D@std@@@std@@MEAA_JXZ"))]
fn showmanyc(_this: Ptr<u8>) -> i64 {
    0
}

/// Fails to find a character to read.
#[shim(msvcp140("?underflow@?$basic_streambuf@DU?$char_traits@D@std@@@std@@MEAAHXZ"))]
fn underflow(_this: Ptr<u8>) -> i32 {
    EOF
}

/// Reads a character after the area has been filled.
#[shim(msvcp140("?uflow@?$basic_streambuf@DU?$char_traits@D@std@@@std@@MEAAHXZ"))]
fn uflow(cx: &Cx, this: Ptr<u8>) -> Crt<i32> {
    let buffer = Object::from(this);
    if buffer.call_int(cx, UNDERFLOW, Words::new(cx))? == EOF {
        return Ok(EOF);
    }
    let (next, _) = GET.get(cx, buffer)?;
    let character: u8 = mem::read(next)?;
    GET.advance(cx, buffer, 1)?;
    Ok(character.into())
}

/// The part of `count` that an area has.
fn part(count: i64, left: i32) -> i32 {
    i32::try_from(count).unwrap_or(i32::MAX).min(left)
}

/// Reads characters.
#[shim(msvcp140("?xsgetn@?$basic_streambuf@DU?$char_traits@D@std@@@std@@MEAA_JPEAD_J@Z"))]
fn xsgetn(cx: &Cx, this: Ptr<u8>, to: Ptr<u8>, count: i64) -> Crt<i64> {
    let buffer = Object::from(this);
    let (mut to, mut rest) = (to.addr(), count);
    while rest > 0 {
        let (next, left) = GET.get(cx, buffer)?;
        let taken = if left > 0 {
            let taken = part(rest, left);
            mem::copy_within(to, next, usize::try_from(taken).unwrap_or(0))?;
            GET.advance(cx, buffer, taken)?;
            taken
        } else {
            let Ok(character) = u8::try_from(buffer.call_int(cx, UFLOW, Words::new(cx))?) else { break };
            mem::write(to, &character)?;
            1
        };
        to = to.wrapping_add_signed(taken.into());
        rest -= i64::from(taken);
    }
    Ok(count - rest)
}

/// Writes characters.
#[shim(msvcp140("?xsputn@?$basic_streambuf@DU?$char_traits@D@std@@@std@@MEAA_JPEBD_J@Z"))]
fn xsputn(cx: &Cx, this: Ptr<u8>, from: Ptr<u8>, count: i64) -> Crt<i64> {
    let buffer = Object::from(this);
    let (mut from, mut rest) = (from.addr(), count);
    while rest > 0 {
        let (next, left) = PUT.get(cx, buffer)?;
        let given = if left > 0 {
            let given = part(rest, left);
            mem::copy_within(next, from, usize::try_from(given).unwrap_or(0))?;
            PUT.advance(cx, buffer, given)?;
            given
        } else {
            let character: u8 = mem::read(from)?;
            if buffer.call_int(cx, OVERFLOW, Words::new(cx).word(character))? == EOF {
                break;
            }
            1
        };
        from = from.wrapping_add_signed(given.into());
        rest -= i64::from(given);
    }
    Ok(count - rest)
}

/// Fails to move: there are no positions.
#[shim(msvcp140(
    "?seekoff@?$basic_streambuf@DU?$char_traits@D@std@@@std@@MEAA?AV?$fpos@U_Mbstatet@@@2@_JHH@Z"
))]
fn seekoff(
    cx: &Cx,
    _this: Ptr<u8>,
    result: Ptr<Position>,
    _offset: i64,
    _from: i32,
    _mode: i32,
) -> Crt<Ptr<Position>> {
    result.write(cx, Position::at(-1))?;
    Ok(result)
}

/// Fails to move: there are no positions.
#[shim(msvcp140(
    "?seekpos@?$basic_streambuf@DU?$char_traits@D@std@@@std@@MEAA?AV?$fpos@U_Mbstatet@@@2@V32@H@Z"
))]
fn seekpos(
    cx: &Cx,
    _this: Ptr<u8>,
    result: Ptr<Position>,
    _to: ByValue<Position>,
    _mode: i32,
) -> Crt<Ptr<Position>> {
    result.write(cx, Position::at(-1))?;
    Ok(result)
}

/// Needs no memory.
#[shim(msvcp140("?setbuf@?$basic_streambuf@DU?$char_traits@D@std@@@std@@MEAAPEAV12@PEAD_J@Z"))]
fn setbuf(this: Ptr<u8>, _memory: Ptr<u8>, _size: i64) -> Ptr<u8> {
    this
}

/// Has nothing to empty.
#[shim(msvcp140("?sync@?$basic_streambuf@DU?$char_traits@D@std@@@std@@MEAAHXZ"))]
fn sync(_this: Ptr<u8>) -> i32 {
    0
}

/// Does not mind the locale.
#[shim(msvcp140("?imbue@?$basic_streambuf@DU?$char_traits@D@std@@@std@@MEAAXAEBVlocale@2@@Z"))]
fn imbue(_this: Ptr<u8>, _locale: Ptr<u8>) {}
