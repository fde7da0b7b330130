//! The functions of `basic_streambuf` that are not virtual: those for all, which call the virtual ones, and those for derived
//! classes, which tell and set the areas.

use transom_sdk::{ByValue, Crt, Cx, Ptr, shim};

use super::{Buffer, GET, PUT, Position, available, flush, get, get_to, init, locale_of};
use super::{make, next, peek, put_from, put_one, seek, seek_to, set_locale, slot, step_back};
use crate::character::Character;
use crate::class;
use crate::locale;
use crate::object::{Object, Words};

/// Makes a buffer.
#[shim(msvcp140("??0{streambuf}std@@IEAA@XZ"))]
fn streambuf<C: Character>(cx: &Cx, this: Ptr<u8>) -> Crt<Ptr<u8>> {
    make(cx, this.into(), Buffer::<C>::CLASS)?;
    Ok(this)
}

/// Makes a buffer that is filled in by something else.
#[shim(msvcp140("??0{streambuf}std@@IEAA@W4_Uninitialized@1@@Z"))]
fn uninitialized<C: Character>(cx: &Cx, this: Ptr<u8>, _mark: i32) -> Crt<Ptr<u8>> {
    class::become_one(cx, this.into(), Buffer::<C>::CLASS)?;
    Ok(this)
}

/// Makes a buffer with the areas and the locale of another one.
#[shim(msvcp140("??0{streambuf}std@@IEAA@AEBV01@@Z"))]
fn copy_buffer<C: Character>(cx: &Cx, this: Ptr<u8>, other: Ptr<u8>) -> Crt<Ptr<u8>> {
    streambuf::<C>(cx, this)?;
    assign::<C>(cx, this, other)
}

/// Takes over the areas and the locale of another buffer.
#[shim(msvcp140("??4{streambuf}std@@IEAAAEAV01@AEBV01@@Z"))]
fn assign<C: Character>(cx: &Cx, this: Ptr<u8>, other: Ptr<u8>) -> Crt<Ptr<u8>> {
    let (to, from) = (Object::from(this), Object::from(other));
    if to != from {
        for area in [GET, PUT] {
            let [first, next, end] = [area.first(cx, from)?, area.next(cx, from)?, area.end::<C>(cx, from)?];
            area.set::<C>(cx, to, first, next, end)?;
        }
        locale::assign(cx, locale_of(cx, to)?, locale_of(cx, from)?)?;
    }
    Ok(this)
}

/// Exchanges the areas and locales of two buffers.
#[shim(msvcp140("?swap@{streambuf}std@@IEAAXAEAV12@@Z"))]
fn swap<C: Character>(cx: &Cx, this: Ptr<u8>, other: Ptr<u8>) -> Crt<()> {
    let (a, b) = (Object::from(this), Object::from(other));
    for area in [GET, PUT] {
        let [of_a, of_b] =
            [a, b].map(|o| -> Crt<_> { Ok((area.first(cx, o)?, area.next(cx, o)?, area.end::<C>(cx, o)?)) });
        let (of_a, of_b) = (of_a?, of_b?);
        area.set::<C>(cx, a, of_b.0, of_b.1, of_b.2)?;
        area.set::<C>(cx, b, of_a.0, of_a.1, of_a.2)?;
    }
    let (of_a, of_b) = (locale_of(cx, a)?, locale_of(cx, b)?);
    a.set_pointer(cx, super::LOCALE, of_b.0)?;
    b.set_pointer(cx, super::LOCALE, of_a.0)
}

/// Describes the areas in the object itself, empty.
#[shim(msvcp140("?_Init@{streambuf}std@@IEAAXXZ"))]
fn init_areas<C: Character>(cx: &Cx, this: Ptr<u8>) -> Crt<()> {
    init(cx, this.into())
}

/// Has the areas described elsewhere.
#[shim(msvcp140("?_Init@{streambuf}std@@IEAAXPEAPEA{c}PEAPEA{c}PEAHPEAPEA{c}PEAPEA{c}PEAH@Z"))]
fn init_elsewhere<C: Character>(
    cx: &Cx,
    this: Ptr<u8>,
    get_first: Ptr<u8>,
    get_next: Ptr<u8>,
    get_left: Ptr<u8>,
    put_first: Ptr<u8>,
    put_next: Ptr<u8>,
    put_left: Ptr<u8>,
) -> Crt<()> {
    GET.describe(cx, this.into(), [get_first, get_next, get_left].map(Ptr::addr))?;
    PUT.describe(cx, this.into(), [put_first, put_next, put_left].map(Ptr::addr))
}

/// A copy of the buffer's locale.
#[shim(msvcp140("?getloc@{streambuf}std@@QEBA?AVlocale@2@XZ"))]
fn getloc<C: Character>(cx: &Cx, this: Ptr<u8>, result: Ptr<u8>) -> Crt<Ptr<u8>> {
    locale::copy(cx, result.into(), locale_of(cx, this.into())?)?;
    Ok(result)
}

/// Sets the buffer's locale; returns the one before.
#[shim(msvcp140("?pubimbue@{streambuf}std@@QEAA?AVlocale@2@AEBV32@@Z"))]
fn pubimbue<C: Character>(cx: &Cx, this: Ptr<u8>, result: Ptr<u8>, new: Ptr<u8>) -> Crt<Ptr<u8>> {
    set_locale(cx, this.into(), result.into(), new.into())?;
    Ok(result)
}

/// The character to be read next.
#[shim(msvcp140("?sgetc@{streambuf}std@@QEAA{i}XZ"))]
fn sgetc<C: Character>(cx: &Cx, this: Ptr<u8>) -> Crt<C::Int> {
    Ok(C::to_int(peek(cx, this.into())?))
}

/// Reads a character.
#[shim(msvcp140("?sbumpc@{streambuf}std@@QEAA{i}XZ"))]
fn sbumpc<C: Character>(cx: &Cx, this: Ptr<u8>) -> Crt<C::Int> {
    Ok(C::to_int(get(cx, this.into())?))
}

/// Skips a character and tells the next one.
#[shim(msvcp140("?snextc@{streambuf}std@@QEAA{i}XZ"))]
fn snextc<C: Character>(cx: &Cx, this: Ptr<u8>) -> Crt<C::Int> {
    Ok(C::to_int(next(cx, this.into())?))
}

/// Skips a character.
#[shim(msvcp140("?stossc@{streambuf}std@@QEAAXXZ"))]
fn stossc<C: Character>(cx: &Cx, this: Ptr<u8>) -> Crt<()> {
    get::<C>(cx, this.into()).map(drop)
}

/// Reads characters.
#[shim(msvcp140("?sgetn@{streambuf}std@@QEAA_JPEA{c}_J@Z"))]
fn sgetn<C: Character>(cx: &Cx, this: Ptr<u8>, to: Ptr<C>, count: i64) -> Crt<i64> {
    get_to(cx, this.into(), to.addr(), count)
}

/// Writes a character.
#[shim(msvcp140("?sputc@{streambuf}std@@QEAA{i}{c}@Z"))]
fn sputc<C: Character>(cx: &Cx, this: Ptr<u8>, character: C) -> Crt<C::Int> {
    Ok(C::to_int(put_one(cx, this.into(), character)?.then_some(character)))
}

/// Writes characters.
#[shim(msvcp140("?sputn@{streambuf}std@@QEAA_JPEB{c}_J@Z"))]
fn sputn<C: Character>(cx: &Cx, this: Ptr<u8>, from: Ptr<C>, count: i64) -> Crt<i64> {
    put_from(cx, this.into(), from.addr(), count)
}

/// Steps back over a character, which must be the one that was read.
#[shim(msvcp140("?sputbackc@{streambuf}std@@QEAA{i}{c}@Z"))]
fn sputbackc<C: Character>(cx: &Cx, this: Ptr<u8>, character: C) -> Crt<C::Int> {
    Ok(C::to_int(step_back(cx, this.into(), Some(character))?.then_some(character)))
}

/// Steps back over a character.
#[shim(msvcp140("?sungetc@{streambuf}std@@QEAA{i}XZ"))]
fn sungetc<C: Character>(cx: &Cx, this: Ptr<u8>) -> Crt<C::Int> {
    let buffer = Object::from(this);
    let back = step_back::<C>(cx, buffer, None)?;
    Ok(C::to_int(if back { peek(cx, buffer)? } else { None }))
}

/// How many characters can be read without waiting.
#[shim(msvcp140("?in_avail@{streambuf}std@@QEAA_JXZ"))]
fn in_avail<C: Character>(cx: &Cx, this: Ptr<u8>) -> Crt<i64> {
    available(cx, this.into())
}

/// Empties the buffer to where its characters go.
#[shim(msvcp140("?pubsync@{streambuf}std@@QEAAHXZ"))]
fn pubsync<C: Character>(cx: &Cx, this: Ptr<u8>) -> Crt<i32> {
    flush(cx, this.into())
}

/// Gives the buffer memory to use.
#[shim(msvcp140("?pubsetbuf@{streambuf}std@@QEAAPEAV12@PEA{c}_J@Z"))]
fn pubsetbuf<C: Character>(cx: &Cx, this: Ptr<u8>, memory: Ptr<C>, size: i64) -> Crt<Ptr<u8>> {
    let words = Words::new(cx).word(memory.addr()).long(size);
    Ok(Ptr::new(Object::from(this).call(cx, slot::SET_BUFFER, words)?))
}

/// Moves relative to a position.
#[shim(msvcp140(
    "?pubseekoff@{streambuf}std@@QEAA?AV?$fpos@U_Mbstatet@@@2@_JHH@Z",
    "?pubseekoff@{streambuf}std@@QEAA?AV?$fpos@U_Mbstatet@@@2@_JII@Z"
))]
fn pubseekoff<C: Character>(
    cx: &Cx,
    this: Ptr<u8>,
    result: Ptr<Position>,
    offset: i64,
    from: i32,
    mode: i32,
) -> Crt<Ptr<Position>> {
    seek(cx, this.into(), result.addr(), offset, from, mode)?;
    Ok(result)
}

/// Moves to a position.
#[shim(msvcp140(
    "?pubseekpos@{streambuf}std@@QEAA?AV?$fpos@U_Mbstatet@@@2@V32@H@Z",
    "?pubseekpos@{streambuf}std@@QEAA?AV?$fpos@U_Mbstatet@@@2@V32@I@Z"
))]
fn pubseekpos<C: Character>(
    cx: &Cx,
    this: Ptr<u8>,
    result: Ptr<Position>,
    to: ByValue<Position>,
    mode: i32,
) -> Crt<Ptr<Position>> {
    seek_to(cx, this.into(), result.addr(), to.0, mode)?;
    Ok(result)
}

/// The beginning of the area to read from.
#[shim(msvcp140("?eback@{streambuf}std@@IEBAPEA{c}XZ"))]
fn eback<C: Character>(cx: &Cx, this: Ptr<u8>) -> Crt<Ptr<C>> {
    Ok(Ptr::new(GET.first(cx, this.into())?))
}

/// The next character to be read.
#[shim(msvcp140("?gptr@{streambuf}std@@IEBAPEA{c}XZ"))]
fn gptr<C: Character>(cx: &Cx, this: Ptr<u8>) -> Crt<Ptr<C>> {
    Ok(Ptr::new(GET.next(cx, this.into())?))
}

/// The end of the area to read from.
#[shim(msvcp140("?egptr@{streambuf}std@@IEBAPEA{c}XZ"))]
fn egptr<C: Character>(cx: &Cx, this: Ptr<u8>) -> Crt<Ptr<C>> {
    Ok(Ptr::new(GET.end::<C>(cx, this.into())?))
}

/// The beginning of the area to write to.
#[shim(msvcp140("?pbase@{streambuf}std@@IEBAPEA{c}XZ"))]
fn pbase<C: Character>(cx: &Cx, this: Ptr<u8>) -> Crt<Ptr<C>> {
    Ok(Ptr::new(PUT.first(cx, this.into())?))
}

/// Where the next character is written.
#[shim(msvcp140("?pptr@{streambuf}std@@IEBAPEA{c}XZ"))]
fn pptr<C: Character>(cx: &Cx, this: Ptr<u8>) -> Crt<Ptr<C>> {
    Ok(Ptr::new(PUT.next(cx, this.into())?))
}

/// The end of the area to write to.
#[shim(msvcp140("?epptr@{streambuf}std@@IEBAPEA{c}XZ"))]
fn epptr<C: Character>(cx: &Cx, this: Ptr<u8>) -> Crt<Ptr<C>> {
    Ok(Ptr::new(PUT.end::<C>(cx, this.into())?))
}

/// Sets the area to read from.
#[shim(msvcp140("?setg@{streambuf}std@@IEAAXPEA{c}PEA{c}PEA{c}@Z"))]
fn setg<C: Character>(cx: &Cx, this: Ptr<u8>, first: Ptr<C>, next: Ptr<C>, last: Ptr<C>) -> Crt<()> {
    GET.set::<C>(cx, this.into(), first.addr(), next.addr(), last.addr())
}

/// Sets the area to write to.
#[shim(msvcp140("?setp@{streambuf}std@@IEAAXPEA{c}PEA{c}@Z"))]
fn setp<C: Character>(cx: &Cx, this: Ptr<u8>, first: Ptr<C>, last: Ptr<C>) -> Crt<()> {
    PUT.set::<C>(cx, this.into(), first.addr(), first.addr(), last.addr())
}

/// Sets the area to write to, of which a part is written.
#[shim(msvcp140("?setp@{streambuf}std@@IEAAXPEA{c}PEA{c}PEA{c}@Z"))]
fn setp_at<C: Character>(cx: &Cx, this: Ptr<u8>, first: Ptr<C>, next: Ptr<C>, last: Ptr<C>) -> Crt<()> {
    PUT.set::<C>(cx, this.into(), first.addr(), next.addr(), last.addr())
}

/// Goes on in the area to read from.
#[shim(msvcp140("?gbump@{streambuf}std@@IEAAXH@Z"))]
fn gbump<C: Character>(cx: &Cx, this: Ptr<u8>, count: i32) -> Crt<()> {
    GET.advance::<C>(cx, this.into(), count)
}

/// Goes on in the area to write to.
#[shim(msvcp140("?pbump@{streambuf}std@@IEAAXH@Z"))]
fn pbump<C: Character>(cx: &Cx, this: Ptr<u8>, count: i32) -> Crt<()> {
    PUT.advance::<C>(cx, this.into(), count)
}

/// How many characters are left in the area to read from.
#[shim(msvcp140("?_Gnavail@{streambuf}std@@IEBA_JXZ"))]
fn gnavail<C: Character>(cx: &Cx, this: Ptr<u8>) -> Crt<i64> {
    Ok(GET.get(cx, this.into())?.1.into())
}

/// How many characters are left in the area to write to.
#[shim(msvcp140("?_Pnavail@{streambuf}std@@IEBA_JXZ"))]
fn pnavail<C: Character>(cx: &Cx, this: Ptr<u8>) -> Crt<i64> {
    Ok(PUT.get(cx, this.into())?.1.into())
}

/// Steps back; returns the next character's place.
#[shim(msvcp140("?_Gndec@{streambuf}std@@IEAAPEA{c}XZ"))]
fn gndec<C: Character>(cx: &Cx, this: Ptr<u8>) -> Crt<Ptr<C>> {
    gbump::<C>(cx, this, -1)?;
    gptr(cx, this)
}

/// Goes on by a character; returns its place.
#[shim(msvcp140("?_Gninc@{streambuf}std@@IEAAPEA{c}XZ"))]
fn gninc<C: Character>(cx: &Cx, this: Ptr<u8>) -> Crt<Ptr<C>> {
    let place = gptr(cx, this)?;
    gbump::<C>(cx, this, 1)?;
    Ok(place)
}

/// Goes on by a character; returns the place of the next one.
#[shim(msvcp140("?_Gnpreinc@{streambuf}std@@IEAAPEA{c}XZ"))]
fn gnpreinc<C: Character>(cx: &Cx, this: Ptr<u8>) -> Crt<Ptr<C>> {
    gbump::<C>(cx, this, 1)?;
    gptr(cx, this)
}

/// Takes the place for a character to be written.
#[shim(msvcp140("?_Pninc@{streambuf}std@@IEAAPEA{c}XZ"))]
fn pninc<C: Character>(cx: &Cx, this: Ptr<u8>) -> Crt<Ptr<C>> {
    let place = pptr(cx, this)?;
    pbump::<C>(cx, this, 1)?;
    Ok(place)
}
