//! `_Yarn`: a text on the heap, as those are that name a locale.

use transom_sdk::{Crt, Cx, Ptr, mem, shim};

use crate::character::Character;
use crate::object::{self, Field, Object};

/// Its fields: a pointer to the text, or null; and the zero that an empty one is.
pub(super) const TEXT: Field = Field::after(0);
const NUL: Field = Field::after(1);

/// Sets a `_Yarn`.
pub(super) fn set_name(cx: &Cx, yarn: Object, name: &[u8]) -> Crt<()> {
    let new = if name.is_empty() { 0 } else { object::text(cx, name)? };
    let old = yarn.pointer(cx, TEXT)?;
    yarn.set_pointer(cx, TEXT, new)?;
    object::free(cx, old);
    Ok(())
}

/// Sets a `_Yarn` to what another one holds.
pub(super) fn copy_name(cx: &Cx, to: Object, from: Object) -> Crt<()> {
    let text = from.pointer(cx, TEXT)?;
    let name = if text == 0 { Vec::new() } else { mem::read_cstr(text, 1 << 16)? };
    set_name(cx, to, &name)
}

/// The text at an address, without its zero.
fn text_at<C: Character>(cx: &Cx, at: Ptr<C>) -> Crt<Vec<C>> {
    let mut text = Vec::new();
    while !at.is_null() {
        match at.add(cx, text.len()).read(cx)? {
            c if c == C::NUL => break,
            c => text.push(c),
        }
    }
    Ok(text)
}

/// Sets the text.
#[shim(msvcp140("??4?$_Yarn@{c}@std@@QEAAAEAV01@PEB{c}@Z"))]
fn assign<C: Character>(cx: &Cx, this: Ptr<u8>, text: Ptr<C>) -> Crt<Ptr<u8>> {
    let text = text_at(cx, text)?;
    let yarn = Object::from(this);
    let old = yarn.pointer(cx, TEXT)?;
    let new = if text.is_empty() { 0 } else { object::allocate(cx, size_of_val(&*text) + size_of::<C>())? };
    C::write(new, &text)?;
    yarn.set_pointer(cx, TEXT, new)?;
    object::free(cx, old);
    Ok(this)
}

/// The text, which is empty if there is none.
#[shim(msvcp140("?c_str@?$_Yarn@{c}@std@@QEBAPEB{c}XZ", "?_C_str@?$_Yarn@{c}@std@@QEBAPEB{c}XZ"))]
pub(super) fn c_str<C: Character>(cx: &Cx, this: Ptr<u8>) -> Crt<Ptr<C>> {
    let yarn = Object::from(this);
    let text = yarn.pointer(cx, TEXT)?;
    Ok(Ptr::new(if text == 0 { yarn.field(cx, NUL) } else { text }))
}

/// Whether there is no text.
#[shim(msvcp140("?empty@?$_Yarn@{c}@std@@QEBA_NXZ", "?_Empty@?$_Yarn@{c}@std@@QEBA_NXZ"))]
fn is_empty<C: Character>(cx: &Cx, this: Ptr<u8>) -> Crt<u8> {
    Ok((Object::from(this).pointer(cx, TEXT)? == 0).into())
}
