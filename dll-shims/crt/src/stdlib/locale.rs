//! Locales (locale.h): "C", and UTF-8 ones. The C locale is in effect at the start; `setlocale` can choose an encoding,
//! but formats stay those of the C locale.

use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};

use transom_cpu::leaf::{Leaf, value};
use transom_sdk::codepage::CodePage;
use transom_sdk::{AStr, Crt, Cx, Machine, Ptr, WStr, mem, shim};

use crate::rt::errno::EINVAL;
use crate::rt::globals::{self, Var};
use crate::rt::guest;
use crate::rt::invalid::invalid;
use crate::string::charset::Charset;

/// The locale in effect, and options of the runtimes that are kept with it.
#[derive(Default)]
struct State {
    /// Code page of LC_CTYPE; 0 is the C locale.
    page: AtomicU32,
    names: Mutex<[String; 6]>,
    /// Guest copies of what `setlocale` returned: narrow and wide.
    returned: [AtomicU64; 2],
    lconv: AtomicU64,
    /// Guest address of two numbers, which guest code reads: most bytes of a character, and the code page. 0 until then.
    told: AtomicU64,
    count_output: AtomicU32,
    two_digits: AtomicU32,
    per_thread: AtomicU32,
}

/// The encoding of narrow strings.
pub(crate) fn charset(cx: &Cx) -> Charset {
    match cx.state::<State>().page.load(Ordering::Relaxed) {
        0 => Charset::C,
        page => CodePage::new(page).map_or(Charset::C, Charset::Page),
    }
}

/// Whether `%n` is enabled.
pub(crate) fn count_output(cx: &Cx) -> bool {
    cx.state::<State>().count_output.load(Ordering::Relaxed) != 0
}

/// Whether msvcrt writes exponents of two digits (`_set_output_format`).
pub(crate) fn two_digit_exponents(cx: &Cx) -> bool {
    cx.state::<State>().two_digits.load(Ordering::Relaxed) != 0
}

const CATEGORIES: [&str; 6] = ["LC_ALL", "LC_COLLATE", "LC_CTYPE", "LC_MONETARY", "LC_NUMERIC", "LC_TIME"];
const LC_ALL: usize = 0;
const LC_CTYPE: usize = 2;

/// The full name and the code page of a locale; `None` if there is no such locale here.
fn resolve(name: &str) -> Option<(String, u32)> {
    if matches!(name, "C" | "POSIX") {
        return Some(("C".to_owned(), 0));
    }
    let (language, encoding) = name.split_once('.').unwrap_or((name, ""));
    let known = [
        "",
        "en",
        "en-us",
        "en_us",
        "english",
        "english_united states",
        "american",
        "us",
        "usa",
        "english-us",
    ];
    if !known.contains(&language.to_ascii_lowercase().as_str()) {
        return None;
    }
    let page = match encoding.to_ascii_lowercase().as_str() {
        "utf8" | "utf-8" | "65001" | "" | "acp" | "ocp" => 65001,
        number => number.parse().ok().filter(|n| CodePage::new(*n).is_some())?,
    };
    let language = if language.is_empty() { "English_United States" } else { language };
    let encoding = if page == 65001 { "utf8".to_owned() } else { page.to_string() };
    Some((format!("{language}.{encoding}"), page))
}

/// Sets a category's locale (or all from "LC_COLLATE=...;..."); returns the name now in effect.
fn set(cx: &Cx, category: i32, name: Option<&str>) -> Option<String> {
    let category = usize::try_from(category).ok().filter(|c| *c < CATEGORIES.len())?;
    let state = cx.state::<State>();
    let mut names = state.names.lock().unwrap_or_else(PoisonError::into_inner);
    if names[LC_CTYPE].is_empty() {
        names.fill_with(|| "C".to_owned());
    }
    if let Some(name) = name {
        let mut wanted = names.clone();
        if name.contains('=') && category == LC_ALL {
            for part in name.split(';') {
                let (key, value) = part.split_once('=')?;
                let index = CATEGORIES.iter().position(|c| *c == key)?;
                wanted[index] = resolve(value)?.0;
            }
        } else {
            let (full, _) = resolve(name)?;
            match category {
                LC_ALL => wanted.fill(full),
                one => wanted[one] = full,
            }
        }
        let page = resolve(&wanted[LC_CTYPE])?.1;
        state.page.store(page, Ordering::Relaxed);
        let _ = globals::set_int(cx, Var::MbCurMax, i32::try_from(charset(cx).max_bytes()).unwrap_or(1));
        tell(cx, state.told.load(Ordering::Acquire));
        *names = wanted;
    }
    if category != LC_ALL {
        return Some(names[category].clone());
    }
    if names[1..].iter().all(|n| *n == names[1]) {
        return Some(names[1].clone());
    }
    let parts: Vec<String> =
        CATEGORIES.iter().zip(names.iter()).skip(1).map(|(c, n)| format!("{c}={n}")).collect();
    Some(parts.join(";"))
}

/// A guest copy of a name, kept until the next call.
fn give<U: crate::io::fs::Text>(cx: &Cx, name: Option<String>) -> Crt<Ptr<U>> {
    let Some(name) = name else { return Ok(Ptr::NULL) };
    let slot = &cx.state::<State>().returned[usize::from(U::WIDE)];
    let text = U::from_wide(&name.encode_utf16().collect::<Vec<_>>());
    let mut at = slot.load(Ordering::Relaxed);
    if at == 0 {
        at = globals::allocate(cx, 1024)?;
        slot.store(at, Ordering::Relaxed);
    }
    guest::put(at, &text[..text.len().min(500)])?;
    Ok(Ptr::new(at))
}

/// Sets or gets the locale.
#[shim(msvcrt, ucrtbase)]
fn setlocale(cx: &Cx, category: i32, name: Option<AStr>) -> Crt<Ptr<u8>> {
    let name = name.map(AStr::to_wide).transpose()?.map(|n| String::from_utf16_lossy(&n));
    give(cx, set(cx, category, name.as_deref()))
}

/// Sets or gets the locale.
#[shim(msvcrt, ucrtbase)]
fn _wsetlocale(cx: &Cx, category: i32, name: Option<WStr>) -> Crt<Ptr<u16>> {
    let name = name.map(WStr::get).transpose()?.map(|n| String::from_utf16_lossy(&n));
    give(cx, set(cx, category, name.as_deref()))
}

/// Writes what guest code reads of the locale, if it does.
fn tell(cx: &Cx, told: u64) {
    if told != 0 {
        let _ = mem::write(told, &[charset(cx).max_bytes(), charset(cx).page_number()]);
    }
}

/// Where guest code reads the number `index` of the locale.
fn told(index: u64) -> Option<u64> {
    Cx::with_current(|cx| {
        let state = cx.state::<State>();
        // `setlocale` changes them under this lock.
        let _names = state.names.lock().unwrap_or_else(PoisonError::into_inner);
        let mut at = state.told.load(Ordering::Acquire);
        if at == 0 {
            at = globals::allocate(cx, 8).ok()?;
            state.told.store(at, Ordering::Release);
            tell(cx, at);
        }
        Some(at + 4 * index)
    })?
}

fn max_bytes_leaf(machine: Machine, _slow: u64, at: u64) -> Option<Leaf> {
    value::variable(machine, at, told(0)?)
}

fn page_leaf(machine: Machine, _slow: u64, at: u64) -> Option<Leaf> {
    value::variable(machine, at, told(1)?)
}

fn lconv_leaf(machine: Machine, _slow: u64, at: u64) -> Option<Leaf> {
    let made = Cx::with_current(|cx| cx.state::<State>().lconv.load(Ordering::Acquire))?;
    if made == 0 { None } else { value::constant(machine, at, made) }
}

/// The `struct lconv` of the C locale: ten pointers, eight characters, and in ucrt eight wide pointers.
#[shim(msvcrt, ucrtbase, leaf = lconv_leaf)]
fn localeconv(cx: &Cx) -> Crt<Ptr<u8>> {
    let state = cx.state::<State>();
    let made = state.lconv.load(Ordering::Acquire);
    if made != 0 {
        return Ok(Ptr::new(made));
    }
    let pointer = cx.size_of::<usize>() as u64;
    let at = globals::allocate(cx, 20 * pointer + 16)?;
    let texts = at + 18 * pointer + 8;
    // ".", L"." and the empty strings between them.
    mem::write(texts, &[b'.', 0])?;
    mem::write(texts + 2, &[u16::from(b'.'), 0])?;
    let (empty, point) = (texts + 4, texts);
    for i in 0..10 {
        globals::write_pointer(cx, at + i * pointer, if i == 0 { point } else { empty })?;
    }
    mem::write(at + 10 * pointer, &[0x7Fu8; 8])?;
    for i in 0..8 {
        let place = at + 10 * pointer + 8 + i * pointer;
        globals::write_pointer(cx, place, if i == 0 { texts + 2 } else { empty })?;
    }
    state.lconv.store(at, Ordering::Release);
    Ok(Ptr::new(at))
}

/// Prepares `localeconv`, which prepares itself.
#[shim(msvcrt)]
fn __lconv_init() -> i32 {
    0
}

/// Says whether threads have locales of their own. There is one locale here, so the answer is always "disabled".
#[shim(msvcrt, ucrtbase, fails = -1, partial = "threads have no locale of their own")]
fn _configthreadlocale(cx: &Cx, mode: i32) -> Crt<i32> {
    const ENABLE: i32 = 1;
    const DISABLE: i32 = 2;
    let new = match mode {
        0 => return Ok(DISABLE - i32::from(cx.state::<State>().per_thread.load(Ordering::Relaxed) != 0)),
        ENABLE => 1,
        DISABLE | -1 => 0,
        _ => return Err(invalid(cx, EINVAL)),
    };
    let old = cx.state::<State>().per_thread.swap(new, Ordering::Relaxed);
    Ok(if old != 0 { ENABLE } else { DISABLE })
}

/// The code page of the locale.
#[shim(msvcrt, ucrtbase, leaf = page_leaf)]
fn ___lc_codepage_func(cx: &Cx) -> u32 {
    charset(cx).page_number()
}

/// Most bytes of a character.
#[shim(msvcrt, ucrtbase, leaf = max_bytes_leaf)]
fn ___mb_cur_max_func(cx: &Cx) -> u32 {
    charset(cx).max_bytes()
}

/// Most bytes of a character in a locale.
#[shim(msvcrt, ucrtbase)]
fn ___mb_cur_max_l_func(cx: &Cx, locale: Ptr<u8>) -> u32 {
    let _ = locale;
    charset(cx).max_bytes()
}

/// Names of the categories' locales, none of which the C locale has.
#[shim(ucrtbase)]
fn ___lc_locale_name_func(cx: &Cx) -> Crt<Ptr<u8>> {
    Ok(Ptr::new(globals::allocate(cx, 64)?))
}

/// The collation code page.
#[shim(msvcrt, ucrtbase)]
fn ___lc_collate_cp_func(cx: &Cx) -> u32 {
    charset(cx).page_number()
}

/// Makes a locale object. All locale objects mean the locale in effect.
#[shim(msvcrt, ucrtbase, partial = "the object stands for the locale in effect")]
fn _create_locale(cx: &Cx, category: i32, name: AStr) -> Crt<Ptr<u8>> {
    let _ = category;
    let name = String::from_utf16_lossy(&name.to_wide()?);
    if resolve(&name).is_none() {
        return Ok(Ptr::NULL);
    }
    Ok(Ptr::new(globals::allocate(cx, 64)?))
}

/// Makes a locale object. All locale objects mean the locale in effect.
#[shim(msvcrt, ucrtbase, partial = "the object stands for the locale in effect")]
fn _wcreate_locale(cx: &Cx, category: i32, name: WStr) -> Crt<Ptr<u8>> {
    let _ = category;
    let name = String::from_utf16_lossy(&name.get()?);
    if resolve(&name).is_none() {
        return Ok(Ptr::NULL);
    }
    Ok(Ptr::new(globals::allocate(cx, 64)?))
}

/// The locale in effect as an object.
#[shim(msvcrt, ucrtbase)]
fn _get_current_locale(cx: &Cx) -> Crt<Ptr<u8>> {
    Ok(Ptr::new(globals::allocate(cx, 64)?))
}

/// Frees a locale object.
#[shim(msvcrt, ucrtbase)]
fn _free_locale(cx: &Cx, locale: Ptr<u8>) {
    if !locale.is_null() {
        let _ = cx.heaps().process().free(locale.addr());
    }
}

/// Enables `%n`; returns whether it was.
#[shim(msvcrt, ucrtbase)]
fn _set_printf_count_output(cx: &Cx, enable: i32) -> u32 {
    cx.state::<State>().count_output.swap(u32::from(enable != 0), Ordering::Relaxed)
}

/// Whether `%n` is enabled.
#[shim(msvcrt, ucrtbase)]
fn _get_printf_count_output(cx: &Cx) -> u32 {
    cx.state::<State>().count_output.load(Ordering::Relaxed)
}

/// Sets the number of exponent digits; returns what was set.
#[shim(msvcrt)]
fn _set_output_format(cx: &Cx, format: u32) -> u32 {
    cx.state::<State>().two_digits.swap(format & 1, Ordering::Relaxed)
}

/// The number of exponent digits.
#[shim(msvcrt)]
fn _get_output_format(cx: &Cx) -> u32 {
    cx.state::<State>().two_digits.load(Ordering::Relaxed)
}

#[cfg(test)]
mod tests {
    use super::resolve;

    #[test]
    fn names() {
        assert_eq!(resolve("C"), Some(("C".to_owned(), 0)));
        assert_eq!(resolve(""), Some(("English_United States.utf8".to_owned(), 65001)));
        assert_eq!(resolve(".1252"), Some(("English_United States.1252".to_owned(), 1252)));
        assert_eq!(resolve("en-US.UTF-8").map(|l| l.1), Some(65001));
        assert_eq!(resolve("Klingon"), None);
        assert_eq!(resolve(".12345"), None);
    }
}
