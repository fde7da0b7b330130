//! The names of days and months as the C++ library asks for them. They are those of the C locale.

use transom_sdk::{Crt, Cx, GuestData, Ptr, shim};

use crate::io::fs::Text;
use crate::rt::{globals, guest};
use crate::time::{DAYS, MONTHS};

/// `:Sun:Sunday:Mon:Monday...` on the heap; the caller frees it.
fn list<U: Text>(cx: &Cx, names: &[&str]) -> Crt<Ptr<U>> {
    let text: String = names.iter().map(|n| format!(":{}:{n}", &n[..3])).collect();
    let units = U::from_wide(&text.encode_utf16().collect::<Vec<_>>());
    let at = globals::allocate(cx, (units.len() as u64 + 1) * U::BYTES)?;
    guest::put(at, &units)?;
    Ok(Ptr::new(at))
}

/// The names of the days, short and long.
#[shim(msvcrt, ucrtbase)]
fn _Getdays(cx: &Cx) -> Crt<Ptr<u8>> {
    list(cx, &DAYS)
}

/// The names of the days, short and long.
#[shim(ucrtbase)]
fn _W_Getdays(cx: &Cx) -> Crt<Ptr<u16>> {
    list(cx, &DAYS)
}

/// The names of the months, short and long.
#[shim(msvcrt, ucrtbase)]
fn _Getmonths(cx: &Cx) -> Crt<Ptr<u8>> {
    list(cx, &MONTHS)
}

/// The names of the months, short and long.
#[shim(ucrtbase)]
fn _W_Getmonths(cx: &Cx) -> Crt<Ptr<u16>> {
    list(cx, &MONTHS)
}

/// `__crt_lc_time_data`'s texts: pointers to names and formats, each list short before long.
type Names = [usize; 43];

/// A copy of the time formats, for `_Strftime`; the caller frees it.
#[shim(msvcrt, ucrtbase(_Gettnames, _W_Gettnames))]
#[expect(clippy::cast_possible_truncation, reason = "the host is 64-bit")]
fn _Gettnames(cx: &Cx) -> Crt<Ptr<u8>> {
    let short = |n: &&'static str| &n[..3];
    let texts: Vec<&str> = DAYS
        .iter()
        .map(short)
        .chain(DAYS)
        .chain(MONTHS.iter().map(short))
        .chain(MONTHS)
        .chain(["AM", "PM", "MM/dd/yy", "dddd, MMMM dd, yyyy", "HH:mm:ss"])
        .collect();
    // A calendar, a count of references, and the same again in wide characters, which stay empty.
    let table = 2 * Names::SIZE[usize::from(cx.is_64())] as u64 + 64;
    let bytes: usize = texts.iter().map(|t| t.len() + 1).sum();
    let at = globals::allocate(cx, table + bytes as u64)?;
    let mut next = at + table;
    let mut names: Names = [0; 43];
    for (name, text) in names.iter_mut().zip(&texts) {
        *name = next as usize;
        guest::put(next, text.as_bytes())?;
        next += text.len() as u64 + 1;
    }
    Ptr::<Names>::new(at).write(cx, names)?;
    Ok(Ptr::new(at))
}
