//! `basic_filebuf` on a stream of the C runtime: the buffers of the standard streams.

use core::marker::PhantomData;

use transom_sdk::{Crt, Cx, Descriptor, Ptr, shim};

use super::buffer::{self, Buffer, slot};
use super::class_name;
use crate::character::Character;
use crate::class::Class;
use crate::object::{Field, Object, Words, allocate, import};

/// Which of the runtime's streams a buffer is of.
const NUMBER: Field = buffer::SIZE;

struct FileBuffer<C>(PhantomData<C>);

impl<C: Character> FileBuffer<C> {
    /// What it inherits, by slot.
    const fn inherited(slot: u16) -> Descriptor {
        Buffer::<C>::CLASS.functions[slot as usize]
    }

    /// Characters of one byte are moved together, others one by one.
    const fn together(slot: u16, own: Descriptor) -> Descriptor {
        if C::WIDE { Self::inherited(slot) } else { own }
    }

    const CLASS: &'static Class = &Class {
        name: class_name!(C, "basic_filebuf"),
        base: Some(Buffer::<C>::CLASS),
        virtual_base: None,
        functions: &[
            Self::inherited(0),
            SHIM_lock::<C>,
            SHIM_unlock::<C>,
            SHIM_overflow::<C>,
            SHIM_pbackfail::<C>,
            Self::inherited(slot::SHOW_MANY),
            SHIM_underflow::<C>,
            SHIM_uflow::<C>,
            Self::together(slot::READ, SHIM_xsgetn),
            Self::together(slot::WRITE, SHIM_xsputn),
            Self::inherited(slot::SEEK_OFFSET),
            Self::inherited(slot::SEEK_POSITION),
            Self::inherited(slot::SET_BUFFER),
            SHIM_sync::<C>,
            Self::inherited(slot::IMBUE),
        ],
    };
}

/// A buffer on one of the runtime's streams.
pub(super) fn make<C: Character>(cx: &Cx, number: u32) -> Crt<Object> {
    let made = Object(allocate(cx, 0x80)?);
    buffer::make(cx, made, FileBuffer::<C>::CLASS)?;
    made.set(cx, NUMBER, number)?;
    Ok(made)
}

/// One of the runtime's streams.
fn file(cx: &Cx, number: u32) -> Crt<u64> {
    import(cx, "ucrtbase.dll", "__acrt_iob_func", Words::new(cx).word(number))
}

fn file_of(cx: &Cx, buffer: Ptr<u8>) -> Crt<u64> {
    file(cx, Object::from(buffer).get(cx, NUMBER)?)
}

/// Calls a function of the runtime that returns an `int`.
#[expect(clippy::cast_possible_truncation, reason = "the result is 32 bits wide")]
pub(super) fn stdio(cx: &Cx, name: &str, words: Words) -> Crt<i32> {
    Ok(import(cx, "ucrtbase.dll", name, words)? as i32)
}

/// Empties one of the runtime's streams.
pub(super) fn flush(cx: &Cx, number: u32) -> Crt<i32> {
    stdio(cx, "fflush", Words::new(cx).word(file(cx, number)?))
}

/// Calls the runtime's function for a character of this kind: `narrow`, or its form for wide ones.
fn on_character<C: Character>(cx: &Cx, [narrow, wide]: [&str; 2], words: Words) -> Crt<Option<C>> {
    Ok(C::of_word(import(cx, "ucrtbase.dll", if C::WIDE { wide } else { narrow }, words)?))
}

/// Keeps other threads from the runtime's stream.
#[shim(msvcp140("?_Lock@{filebuf}std@@UEAAXXZ"))]
fn lock<C: Character>(cx: &Cx, this: Ptr<u8>) -> Crt<()> {
    stdio(cx, "_lock_file", Words::new(cx).word(file_of(cx, this)?)).map(drop)
}

/// Lets other threads use the runtime's stream again.
#[shim(msvcp140("?_Unlock@{filebuf}std@@UEAAXXZ"))]
fn unlock<C: Character>(cx: &Cx, this: Ptr<u8>) -> Crt<()> {
    stdio(cx, "_unlock_file", Words::new(cx).word(file_of(cx, this)?)).map(drop)
}

/// Writes a character. Without one there is nothing to do, which is no failure.
#[shim(msvcp140("?overflow@{filebuf}std@@MEAA{i}{i}@Z"))]
fn overflow<C: Character>(cx: &Cx, this: Ptr<u8>, character: C::Int) -> Crt<C::Int> {
    let Some(character) = C::of_int(character) else { return Ok(C::to_int(Some(C::NUL))) };
    let words = Words::new(cx).word(C::to_word(Some(character))).word(file_of(cx, this)?);
    Ok(C::to_int(on_character::<C>(cx, ["fputc", "fputwc"], words)?))
}

fn unread<C: Character>(cx: &Cx, this: Ptr<u8>, character: Option<C>) -> Crt<Option<C>> {
    let words = Words::new(cx).word(C::to_word(character)).word(file_of(cx, this)?);
    on_character(cx, ["ungetc", "ungetwc"], words)
}

/// Steps back over a character.
#[shim(msvcp140("?pbackfail@{filebuf}std@@MEAA{i}{i}@Z"))]
fn pbackfail<C: Character>(cx: &Cx, this: Ptr<u8>, character: C::Int) -> Crt<C::Int> {
    Ok(C::to_int(unread::<C>(cx, this, C::of_int(character))?))
}

fn read_one<C: Character>(cx: &Cx, this: Ptr<u8>) -> Crt<Option<C>> {
    on_character(cx, ["fgetc", "fgetwc"], Words::new(cx).word(file_of(cx, this)?))
}

/// The character to be read next.
#[shim(msvcp140("?underflow@{filebuf}std@@MEAA{i}XZ"))]
fn underflow<C: Character>(cx: &Cx, this: Ptr<u8>) -> Crt<C::Int> {
    let character = read_one::<C>(cx, this)?;
    Ok(C::to_int(if character.is_some() { unread(cx, this, character)? } else { None }))
}

/// Reads a character.
#[shim(msvcp140("?uflow@{filebuf}std@@MEAA{i}XZ"))]
fn uflow<C: Character>(cx: &Cx, this: Ptr<u8>) -> Crt<C::Int> {
    Ok(C::to_int(read_one::<C>(cx, this)?))
}

/// Reads or writes characters.
fn transfer(cx: &Cx, this: Ptr<u8>, name: &str, at: Ptr<u8>, count: i64) -> Crt<i64> {
    let Ok(count) = u64::try_from(count) else { return Ok(0) };
    let words = Words::new(cx).word(at.addr()).word(1u32).word(count).word(file_of(cx, this)?);
    Ok(import(cx, "ucrtbase.dll", name, words)?.cast_signed())
}

/// Reads characters.
#[shim(msvcp140("?xsgetn@?$basic_filebuf@DU?$char_traits@D@std@@@std@@MEAA_JPEAD_J@Z"))]
fn xsgetn(cx: &Cx, this: Ptr<u8>, to: Ptr<u8>, count: i64) -> Crt<i64> {
    transfer(cx, this, "fread", to, count)
}

/// Writes characters.
#[shim(msvcp140("?xsputn@?$basic_filebuf@DU?$char_traits@D@std@@@std@@MEAA_JPEBD_J@Z"))]
fn xsputn(cx: &Cx, this: Ptr<u8>, from: Ptr<u8>, count: i64) -> Crt<i64> {
    transfer(cx, this, "fwrite", from, count)
}

/// Empties the runtime's stream.
#[shim(msvcp140("?sync@{filebuf}std@@MEAAHXZ"))]
fn sync<C: Character>(cx: &Cx, this: Ptr<u8>) -> Crt<i32> {
    stdio(cx, "fflush", Words::new(cx).word(file_of(cx, this)?))
}
