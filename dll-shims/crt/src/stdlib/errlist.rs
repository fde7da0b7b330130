//! `_sys_errlist` and `_sys_nerr`: the array of error texts (stdlib.h).

use std::sync::{Mutex, PoisonError};

use transom_sdk::{Crt, Cx, GuestData, Ptr, data, mem, shim};

use crate::rt::errno::TEXTS;
use crate::rt::globals;

/// Where the array is, once made.
#[derive(Default)]
struct Texts(Mutex<u64>);

/// The array of error texts, made on first use.
fn error_texts(cx: &Cx) -> Crt<u64> {
    let mut made = cx.state::<Texts>().0.lock().unwrap_or_else(PoisonError::into_inner);
    if *made == 0 {
        let texts = &TEXTS;
        let pointer = globals::pointer_size(cx);
        let bytes: usize = texts.iter().map(|t| t.len() + 1).sum();
        let table = globals::allocate(cx, texts.len() as u64 * pointer + bytes as u64)?;
        let mut at = table + texts.len() as u64 * pointer;
        for (i, text) in texts.iter().enumerate() {
            globals::write_pointer(cx, table + i as u64 * pointer, at)?;
            mem::copy_out(at, text.as_bytes())?;
            at += text.len() as u64 + 1;
        }
        *made = table;
    }
    Ok(*made)
}

/// The highest error number that has a text of its own.
const LAST: i32 = 43;

/// The array of error texts as a data export.
struct TextArray;

impl GuestData for TextArray {
    const SIZE: [usize; 2] = [4 * TEXTS.len(), 8 * TEXTS.len()];
    const ALIGN: [usize; 2] = [4, 8];

    fn load(_at: u64, _wide: bool) -> Result<Self, transom_sdk::BadAddress> {
        Ok(Self)
    }

    fn store(&self, _at: u64, _wide: bool) -> Result<(), transom_sdk::BadAddress> {
        Ok(())
    }
}

/// The texts of error numbers.
#[data(msvcrt)]
fn _sys_errlist(cx: &Cx, at: Ptr<TextArray>) {
    if let Ok(texts) = error_texts(cx) {
        let size = cx.size_of::<TextArray>();
        let _ = mem::copy_within(at.addr(), texts, size);
    }
}

/// How many texts there are.
#[data(msvcrt)]
fn _sys_nerr(cx: &Cx, at: Ptr<i32>) {
    let _ = at.write(cx, LAST);
}

/// The texts of error numbers.
#[shim(ucrtbase(__sys_errlist))]
fn sys_errlist(cx: &Cx) -> Crt<Ptr<u8>> {
    error_texts(cx).map(Ptr::new)
}

/// Where the number of texts is.
#[shim(ucrtbase(__sys_nerr))]
fn sys_nerr(cx: &Cx) -> Crt<Ptr<i32>> {
    let at = globals::small(cx, globals::Var::SysNerr)?;
    mem::write(at, &LAST)?;
    Ok(Ptr::new(at))
}
