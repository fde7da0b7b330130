//! What a program keeps with a stream: words by number (`iword`, `pword`), and functions to be called when the stream ends, gets another
//! locale or another stream's format.

use std::sync::atomic::{AtomicI32, Ordering};

use transom_sdk::{Crt, Cx, Func, Ptr, shim};

use super::{CALLBACKS, Ios, WORDS};
use crate::object::{self, Field, Object};

/// A node of either list: the next one, and the number.
const NEXT: Field = Field::after(0);
const NUMBER: Field = Field::after(1);
/// A word and a pointer under a number.
const WORD: Field = Field::at(8, 12);
const POINTER: Field = Field::at(12, 16);
/// A function to be called with a number.
const FUNCTION: Field = Field::after(2);
const NODE_SIZE: usize = 24;

/// Why functions are called: `ios_base::event`.
#[derive(Clone, Copy, Debug)]
pub(super) enum Event {
    Erase = 0,
    Imbue = 1,
    CopyFormat = 2,
}

/// The number that the next word of a program is given.
#[derive(Default)]
struct State(AtomicI32);

/// The nodes of a list, first to last.
fn nodes(cx: &Cx, ios: Ios, list: Field) -> Crt<Vec<Object>> {
    let mut out = Vec::new();
    let mut next = ios.0.pointer(cx, list)?;
    while next != 0 {
        out.push(Object(next));
        next = Object(next).pointer(cx, NEXT)?;
    }
    Ok(out)
}

/// Puts a new node at a list's beginning.
fn add(cx: &Cx, ios: Ios, list: Field, number: i32) -> Crt<Object> {
    let node = Object(object::allocate(cx, NODE_SIZE)?);
    node.set_pointer(cx, NEXT, ios.0.pointer(cx, list)?)?;
    node.set(cx, NUMBER, number)?;
    ios.0.set_pointer(cx, list, node.0)?;
    Ok(node)
}

/// The node of a number, made if there is none.
fn word_node(cx: &Cx, ios: Ios, number: i32) -> Crt<Object> {
    for node in nodes(cx, ios, WORDS)? {
        if node.get::<i32>(cx, NUMBER)? == number {
            return Ok(node);
        }
    }
    add(cx, ios, WORDS, number)
}

/// Calls the functions, the last registered first.
pub(super) fn notify(cx: &Cx, ios: Ios, event: Event) -> Crt<()> {
    let mut next = Object(ios.0.pointer(cx, CALLBACKS)?);
    while !next.is_null() {
        let (function, number): (Func, i32) = (next.get(cx, FUNCTION)?, next.get(cx, NUMBER)?);
        cx.call(function, &[event as u64, ios.0.0, u64::from(number.cast_unsigned())]);
        next = Object(next.pointer(cx, NEXT)?);
    }
    Ok(())
}

/// Gives everything back, after the functions have been called for that.
pub(super) fn clear(cx: &Cx, ios: Ios) -> Crt<()> {
    notify(cx, ios, Event::Erase)?;
    for list in [WORDS, CALLBACKS] {
        for node in nodes(cx, ios, list)? {
            object::free(cx, node.0);
        }
        ios.0.set_pointer(cx, list, 0)?;
    }
    Ok(())
}

/// Copies everything from another stream.
pub(super) fn copy(cx: &Cx, to: Ios, from: Ios) -> Crt<()> {
    for node in nodes(cx, from, WORDS)? {
        let copy = word_node(cx, to, node.get(cx, NUMBER)?)?;
        copy.set(cx, WORD, node.get::<i32>(cx, WORD)?)?;
        copy.set_pointer(cx, POINTER, node.pointer(cx, POINTER)?)?;
    }
    for node in nodes(cx, from, CALLBACKS)? {
        let copy = add(cx, to, CALLBACKS, node.get(cx, NUMBER)?)?;
        copy.set(cx, FUNCTION, node.get::<Func>(cx, FUNCTION)?)?;
    }
    Ok(())
}

/// A number for words of the program's own.
#[shim(msvcp140("?xalloc@ios_base@std@@SAHXZ"))]
fn xalloc(cx: &Cx) -> i32 {
    cx.state::<State>().0.fetch_add(1, Ordering::Relaxed)
}

/// The word under a number.
#[shim(msvcp140("?iword@ios_base@std@@QEAAAEAJH@Z"))]
fn iword(cx: &Cx, this: Ptr<u8>, number: i32) -> Crt<Ptr<i32>> {
    let node = word_node(cx, Ios(this.into()), number)?;
    Ok(Ptr::new(node.field(cx, WORD)))
}

/// The pointer under a number.
#[shim(msvcp140("?pword@ios_base@std@@QEAAAEAPEAXH@Z"))]
fn pword(cx: &Cx, this: Ptr<u8>, number: i32) -> Crt<Ptr<Ptr<u8>>> {
    let node = word_node(cx, Ios(this.into()), number)?;
    Ok(Ptr::new(node.field(cx, POINTER)))
}

/// Has a function called when the stream ends, gets another locale or another stream's format.
#[shim(msvcp140("?register_callback@ios_base@std@@QEAAXP6AXW4event@12@AEAV12@H@ZH@Z"))]
fn register_callback(cx: &Cx, this: Ptr<u8>, function: Func, number: i32) -> Crt<()> {
    add(cx, Ios(this.into()), CALLBACKS, number)?.set(cx, FUNCTION, function)
}
