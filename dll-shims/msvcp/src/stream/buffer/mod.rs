//! `basic_streambuf`: characters on their way. A buffer has an area to read from and one to write to; derived classes fill and
//! empty them in their virtual functions.
//!
//! The object holds the areas and pointers to where they are described, because a derived class may describe them elsewhere (a file
//! buffer shares those of the C runtime's stream). The class's functions are in [`members`], its virtual ones in [`virtuals`]; here
//! is what the library's streams do with a buffer.

pub(crate) mod members;
pub(crate) mod virtuals;

use transom_sdk::{Crt, Cx, Guest, Ptr};

use crate::character::Character;
use crate::class::{self, Class};
use crate::locale;
use crate::object::{self, Field, Object, Words};

pub(crate) use virtuals::{Buffer, slot};

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

    /// Whether it is no position.
    pub(crate) fn is_none(&self) -> bool {
        self.offset.wrapping_add(self.file) == -1
    }
}

impl Area {
    /// The next character's address and how many are left.
    fn get(self, cx: &Cx, buffer: Object) -> Crt<(u64, i32)> {
        let next = self.next(cx, buffer)?;
        let left = Object(buffer.pointer(cx, self.left)?).get(cx, Field::after(0))?;
        Ok((next, if next == 0 { 0 } else { left }))
    }

    /// Goes so many characters on.
    fn advance<C: Character>(self, cx: &Cx, buffer: Object, count: i32) -> Crt<()> {
        let next = Object(buffer.pointer(cx, self.next)?);
        let left = Object(buffer.pointer(cx, self.left)?);
        let moved = i64::from(count) * C::bytes(1u32).cast_signed();
        next.set_pointer(cx, Field::after(0), next.pointer(cx, Field::after(0))?.wrapping_add_signed(moved))?;
        let rest: i32 = left.get(cx, Field::after(0))?;
        left.set(cx, Field::after(0), rest.wrapping_sub(count))
    }

    /// The area's first character's address.
    fn first(self, cx: &Cx, buffer: Object) -> Crt<u64> {
        Object(buffer.pointer(cx, self.first)?).pointer(cx, Field::after(0))
    }

    /// The next character's address.
    fn next(self, cx: &Cx, buffer: Object) -> Crt<u64> {
        Object(buffer.pointer(cx, self.next)?).pointer(cx, Field::after(0))
    }

    /// Where the area ends.
    fn end<C: Character>(self, cx: &Cx, buffer: Object) -> Crt<u64> {
        let left: i32 = Object(buffer.pointer(cx, self.left)?).get(cx, Field::after(0))?;
        Ok(self.next(cx, buffer)?.wrapping_add_signed(i64::from(left) * C::bytes(1u32).cast_signed()))
    }

    fn set<C: Character>(self, cx: &Cx, buffer: Object, first: u64, next: u64, last: u64) -> Crt<()> {
        let left = last.wrapping_sub(next).cast_signed() / C::bytes(1u32).cast_signed();
        Object(buffer.pointer(cx, self.first)?).set_pointer(cx, Field::after(0), first)?;
        Object(buffer.pointer(cx, self.next)?).set_pointer(cx, Field::after(0), next)?;
        let left = i32::try_from(left).unwrap_or(0);
        Object(buffer.pointer(cx, self.left)?).set(cx, Field::after(0), left)
    }

    /// Points to a description.
    fn describe(self, cx: &Cx, buffer: Object, [first, next, left]: [u64; 3]) -> Crt<()> {
        buffer.set_pointer(cx, self.first, first)?;
        buffer.set_pointer(cx, self.next, next)?;
        buffer.set_pointer(cx, self.left, left)
    }

    /// The addresses of the fields of an area that the object itself describes.
    fn own(self, cx: &Cx, buffer: Object) -> [u64; 3] {
        [self.first, self.next, self.left].map(|f| buffer.field(cx, f))
    }
}

/// Describes the areas in the object itself, empty.
fn init(cx: &Cx, buffer: Object) -> Crt<()> {
    GET.describe(cx, buffer, OWN_GET.own(cx, buffer))?;
    PUT.describe(cx, buffer, OWN_PUT.own(cx, buffer))?;
    PUT.set::<u8>(cx, buffer, 0, 0, 0)?;
    GET.set::<u8>(cx, buffer, 0, 0, 0)
}

/// Makes a buffer with a locale of its own.
pub(super) fn make(cx: &Cx, buffer: Object, class: &'static Class) -> Crt<()> {
    class::become_one(cx, buffer, class)?;
    buffer.set_pointer(cx, LOCALE, locale::new_global(cx)?.0)?;
    init(cx, buffer)
}

/// The buffer's locale.
fn locale_of(cx: &Cx, buffer: Object) -> Crt<Object> {
    Ok(Object(buffer.pointer(cx, LOCALE)?))
}

/// Writes one character. False if that failed.
pub(crate) fn put_one<C: Character>(cx: &Cx, buffer: Object, character: C) -> Crt<bool> {
    let (next, left) = PUT.get(cx, buffer)?;
    if left > 0 {
        Ptr::new(next).write(cx, character)?;
        PUT.advance::<C>(cx, buffer, 1)?;
        return Ok(true);
    }
    let words = Words::new(cx).word(C::to_word(Some(character)));
    Ok(C::of_word(buffer.call(cx, slot::OVERFLOW, words)?).is_some())
}

/// Writes guest memory; returns how many characters were written.
pub(crate) fn put_from(cx: &Cx, buffer: Object, from: u64, count: i64) -> Crt<i64> {
    buffer.call_long(cx, slot::WRITE, Words::new(cx).word(from).long(count))
}

/// Writes text. False if not all of it could be.
pub(crate) fn put_all<C: Character>(cx: &Cx, buffer: Object, text: impl AsRef<[C]>) -> Crt<bool> {
    let (next, left) = PUT.get(cx, buffer)?;
    let characters = text.as_ref();
    let count = i32::try_from(characters.len()).unwrap_or(i32::MAX);
    if count <= left {
        C::write(next, characters)?;
        PUT.advance::<C>(cx, buffer, count)?;
        return Ok(true);
    }
    let copy = object::allocate(cx, size_of_val(characters))?;
    C::write(copy, characters)?;
    // The call may be abandoned.
    drop(text);
    let written = put_from(cx, buffer, copy, count.into())?;
    object::free(cx, copy);
    Ok(written == i64::from(count))
}

/// The character to be read next, which stays there. `None` if there is none.
pub(crate) fn peek<C: Character>(cx: &Cx, buffer: Object) -> Crt<Option<C>> {
    let (next, left) = GET.get(cx, buffer)?;
    if left > 0 {
        return Ok(Some(Ptr::new(next).read(cx)?));
    }
    Ok(C::of_word(buffer.call(cx, slot::UNDERFLOW, Words::new(cx))?))
}

/// Reads a character. `None` if there is none.
pub(crate) fn get<C: Character>(cx: &Cx, buffer: Object) -> Crt<Option<C>> {
    let (next, left) = GET.get(cx, buffer)?;
    if left > 0 {
        let character = Ptr::new(next).read(cx)?;
        GET.advance::<C>(cx, buffer, 1)?;
        return Ok(Some(character));
    }
    Ok(C::of_word(buffer.call(cx, slot::UFLOW, Words::new(cx))?))
}

/// Skips a character and tells the next one.
pub(crate) fn next<C: Character>(cx: &Cx, buffer: Object) -> Crt<Option<C>> {
    Ok(if get::<C>(cx, buffer)?.is_some() { peek(cx, buffer)? } else { None })
}

/// Reads characters to guest memory; returns how many.
pub(crate) fn get_to(cx: &Cx, buffer: Object, to: u64, count: i64) -> Crt<i64> {
    buffer.call_long(cx, slot::READ, Words::new(cx).word(to).long(count))
}

/// Steps back over a character: the given one, or whatever it was. False if that failed.
pub(crate) fn step_back<C: Character>(cx: &Cx, buffer: Object, character: Option<C>) -> Crt<bool> {
    let next = GET.next(cx, buffer)?;
    if next != 0 && GET.first(cx, buffer)? < next {
        let before: C = Ptr::new(next - C::bytes(1u32)).read(cx)?;
        if character.is_none_or(|c| c == before) {
            GET.advance::<C>(cx, buffer, -1)?;
            return Ok(true);
        }
    }
    let words = Words::new(cx).word(C::to_word(character));
    Ok(C::of_word(buffer.call(cx, slot::PUT_BACK_FAILED, words)?).is_some())
}

/// How many characters can be read without waiting; -1 if it is known that none will come.
pub(crate) fn available(cx: &Cx, buffer: Object) -> Crt<i64> {
    let (_, left) = GET.get(cx, buffer)?;
    if left > 0 { Ok(left.into()) } else { buffer.call_long(cx, slot::SHOW_MANY, Words::new(cx)) }
}

/// Empties the buffer to where its characters go. -1 if that failed.
pub(crate) fn flush(cx: &Cx, buffer: Object) -> Crt<i32> {
    buffer.call_int(cx, slot::SYNC, Words::new(cx))
}

/// Tells the buffer of a new locale; returns the one before in `result`.
pub(crate) fn set_locale(cx: &Cx, buffer: Object, result: Object, new: Object) -> Crt<()> {
    let own = locale_of(cx, buffer)?;
    locale::copy(cx, result, own)?;
    buffer.call(cx, slot::IMBUE, Words::new(cx).word(new.0))?;
    locale::assign(cx, own, new)
}

/// Keeps other threads from the buffer.
pub(crate) fn lock_buffer(cx: &Cx, buffer: Object) -> Crt<()> {
    buffer.call(cx, slot::LOCK, Words::new(cx)).map(drop)
}

/// Lets other threads use the buffer again.
pub(crate) fn unlock_buffer(cx: &Cx, buffer: Object) -> Crt<()> {
    buffer.call(cx, slot::UNLOCK, Words::new(cx)).map(drop)
}

/// The position relative to another one, after moving there.
pub(crate) fn seek(cx: &Cx, buffer: Object, result: u64, offset: i64, from: i32, mode: i32) -> Crt<()> {
    let words = Words::new(cx).word(result).long(offset).int(from).int(mode);
    buffer.call(cx, slot::SEEK_OFFSET, words).map(drop)
}

/// The position after moving to one.
pub(crate) fn seek_to(cx: &Cx, buffer: Object, result: u64, to: Position, mode: i32) -> Crt<()> {
    let words = Words::new(cx).word(result);
    if cx.is_64() {
        // Structures of this size are passed by the address of a copy.
        let copy = object::allocate(cx, Position::BYTES)?;
        Ptr::new(copy).write(cx, to)?;
        buffer.call(cx, slot::SEEK_POSITION, words.word(copy).int(mode))?;
        object::free(cx, copy);
    } else {
        let words = words.long(to.offset).long(to.file).word(to.state[0]).word(to.state[1]);
        buffer.call(cx, slot::SEEK_POSITION, words.int(mode))?;
    }
    Ok(())
}

impl Position {
    /// Bytes of one.
    pub(crate) const BYTES: usize = 24;
}
