//! `_Locinfo`: the C runtime's locale while facets are made of it, and what they ask of it.

use transom_sdk::{AStr, Crt, Cx, Guest, Ptr, mem, shim};

use super::yarn::{self, TEXT, set_name};
use crate::class;
use crate::object::{Field, Object, Words, import};

/// `_Locinfo`: the guard that it holds, and the names of the runtime's locale before and now, after four texts that are not used.
const GUARD: Field = Field::after(0);
const OLD_NAME: Field = Field::at(4 + 4 * 8, 8 + 4 * 16);
const NEW_NAME: Field = Field::at(4 + 5 * 8, 8 + 5 * 16);

/// The guard of the runtime's locale.
const LOCALE_GUARD: i32 = 0;

/// The name of a locale that is not there.
const NO_LOCALE: &[u8] = b"*";

/// The text of a `_Locinfo` that is the locale's name.
pub(super) fn name_of(cx: &Cx, info: Object) -> Object {
    Object(info.field(cx, NEW_NAME))
}

/// Asks the runtime to set its locale, or with NULL for its name. Returns the name, unless there is no such locale.
fn set_locale(cx: &Cx, name: u64) -> Crt<Option<Vec<u8>>> {
    const LC_ALL: i32 = 0;
    let set = import(cx, "ucrtbase.dll", "setlocale", Words::new(cx).int(LC_ALL).word(name))?;
    Ok(if set == 0 { None } else { Some(mem::read_cstr(set, 1 << 16)?) })
}

fn begin(cx: &Cx, info: Object, name: Option<AStr>) -> Crt<()> {
    info.set(cx, GUARD, LOCALE_GUARD)?;
    import(cx, "ucrtbase.dll", "_lock_locales", Words::new(cx))?;
    let size = NEW_NAME.offset(cx) + Field::after(2).offset(cx) - Field::after(1).offset(cx);
    mem::fill(info.field(cx, Field::after(1)), 0, usize::try_from(size).unwrap_or(0))?;
    let old = set_locale(cx, 0)?.unwrap_or_default();
    set_name(cx, Object(info.field(cx, OLD_NAME)), &old)?;
    let new = match name {
        Some(name) => set_locale(cx, name.addr())?,
        None => Some(NO_LOCALE.to_vec()),
    };
    set_name(cx, name_of(cx, info), new.as_deref().unwrap_or(NO_LOCALE))
}

fn end(cx: &Cx, info: Object) -> Crt<()> {
    let old = Object(info.field(cx, OLD_NAME));
    let name = old.pointer(cx, TEXT)?;
    if name != 0 {
        set_locale(cx, name)?;
    }
    set_name(cx, old, b"")?;
    set_name(cx, name_of(cx, info), b"")?;
    import(cx, "ucrtbase.dll", "_unlock_locales", Words::new(cx)).map(drop)
}

/// Sets the runtime's locale for as long as the object lives.
#[shim(msvcp140("??0_Locinfo@std@@QEAA@PEBD@Z"))]
fn locinfo(cx: &Cx, this: Ptr<u8>, name: Option<AStr>) -> Crt<Ptr<u8>> {
    begin(cx, this.into(), name)?;
    Ok(this)
}

/// Sets some categories of the runtime's locale for as long as the object lives.
#[shim(msvcp140("??0_Locinfo@std@@QEAA@HPEBD@Z"), partial = "all categories are set")]
fn locinfo_of_categories(cx: &Cx, this: Ptr<u8>, _categories: i32, name: Option<AStr>) -> Crt<Ptr<u8>> {
    locinfo(cx, this, name)
}

/// Sets the runtime's locale back.
#[shim(msvcp140("??1_Locinfo@std@@QEAA@XZ"))]
fn destroy_locinfo(cx: &Cx, this: Ptr<u8>) -> Crt<()> {
    end(cx, this.into())
}

/// Begins a `_Locinfo` whose guard the caller holds.
#[shim(msvcp140("?_Locinfo_ctor@_Locinfo@std@@SAXPEAV12@PEBD@Z"))]
fn begin_locinfo(cx: &Cx, info: Ptr<u8>, name: Option<AStr>) -> Crt<()> {
    begin(cx, info.into(), name)
}

/// Ends a `_Locinfo` whose guard the caller holds.
#[shim(msvcp140("?_Locinfo_dtor@_Locinfo@std@@SAXPEAV12@@Z"))]
fn end_locinfo(cx: &Cx, info: Ptr<u8>) -> Crt<()> {
    end(cx, info.into())
}

fn runtime(cx: &Cx, name: &str) -> Crt<u64> {
    import(cx, "ucrtbase.dll", name, Words::new(cx))
}

#[expect(clippy::cast_possible_truncation, reason = "the results are 32 bits wide")]
fn runtime_int(cx: &Cx, name: &str) -> Crt<u32> {
    Ok(runtime(cx, name)? as u32)
}

/// The name of the C runtime's locale for a category; 0 for the C locale.
fn locale_name(cx: &Cx, category: u16) -> Crt<u64> {
    Object(runtime(cx, "___lc_locale_name_func")?).pointer(cx, Field::after(category))
}

/// Categories of the C runtime.
const LC_COLLATE: u16 = 1;
const LC_CTYPE: u16 = 2;

/// `_Cvtvec`: how bytes are converted to wide characters.
#[derive(Clone, Copy, Debug, Guest)]
pub(crate) struct Conversion {
    code_page: u32,
    most_bytes: u32,
    is_c: u32,
    lead_bytes: [u8; 32],
}

impl Conversion {
    /// Whether it is that of the C locale.
    pub(super) fn is_c(&self) -> bool {
        self.is_c != 0
    }
}

/// `_Collvec`: how strings are ordered.
#[derive(Clone, Copy, Debug, Guest)]
pub(crate) struct Collation {
    code_page: u32,
    locale: Ptr<u8>,
}

/// `_Ctypevec`: classes of characters.
#[derive(Clone, Copy, Debug, Guest)]
pub(crate) struct Classes {
    code_page: u32,
    table: Ptr<u8>,
    own: i32,
    locale: Ptr<u8>,
}

/// A copy of a locale's name that the caller gives back with `free`.
fn copied_name(cx: &Cx, category: u16) -> Crt<Ptr<u8>> {
    match locale_name(cx, category)? {
        0 => Ok(Ptr::NULL),
        name => Ok(Ptr::new(import(cx, "ucrtbase.dll", "_wcsdup", Words::new(cx).word(name))?)),
    }
}

/// How bytes are converted to wide characters.
#[shim(msvcp140("?_Getcvt@_Locinfo@std@@QEBA?AU_Cvtvec@@XZ"))]
fn getcvt(cx: &Cx, _this: Ptr<u8>, result: Ptr<Conversion>) -> Crt<Ptr<Conversion>> {
    const LEAD_BYTE: u16 = 0x8000;
    let is_c = locale_name(cx, LC_CTYPE)? == 0;
    let mut lead_bytes = [0u8; 32];
    if !is_c {
        let table = Ptr::<u16>::new(runtime(cx, "__pctype_func")?);
        for byte in 0..256 {
            if table.add(cx, byte).read(cx)? & LEAD_BYTE != 0 {
                lead_bytes[byte / 8] |= 1 << (byte % 8);
            }
        }
    }
    let code_page = runtime_int(cx, "___lc_codepage_func")?;
    let most_bytes = runtime_int(cx, "___mb_cur_max_func")?;
    result.write(cx, Conversion { code_page, most_bytes, is_c: is_c.into(), lead_bytes })?;
    Ok(result)
}

/// How strings are ordered.
#[shim(msvcp140("?_Getcoll@_Locinfo@std@@QEBA?AU_Collvec@@XZ"))]
fn getcoll(cx: &Cx, _this: Ptr<u8>, result: Ptr<Collation>) -> Crt<Ptr<Collation>> {
    let code_page = runtime_int(cx, "___lc_collate_cp_func")?;
    result.write(cx, Collation { code_page, locale: copied_name(cx, LC_COLLATE)? })?;
    Ok(result)
}

/// Classes of characters.
#[shim(msvcp140("?_Getctype@_Locinfo@std@@QEBA?AU_Ctypevec@@XZ"))]
fn getctype(cx: &Cx, _this: Ptr<u8>, result: Ptr<Classes>) -> Crt<Ptr<Classes>> {
    let code_page = runtime_int(cx, "___lc_codepage_func")?;
    let table = Ptr::new(runtime(cx, "__pctype_func")?);
    result.write(cx, Classes { code_page, table, own: 0, locale: copied_name(cx, LC_CTYPE)? })?;
    Ok(result)
}

/// How numbers are written: `struct lconv`.
#[shim(msvcp140("?_Getlconv@_Locinfo@std@@QEBAPEBUlconv@@XZ"))]
fn getlconv(cx: &Cx, _this: Ptr<u8>) -> Crt<Ptr<u8>> {
    Ok(Ptr::new(runtime(cx, "localeconv")?))
}

/// The locale's name.
#[shim(msvcp140("?_Getname@_Locinfo@std@@QEBAPEBDXZ"))]
fn getname(cx: &Cx, this: Ptr<u8>) -> Crt<Ptr<u8>> {
    yarn::c_str::<u8>(cx, Ptr::new(name_of(cx, this.into()).0))
}

/// The word for false.
#[shim(msvcp140("?_Getfalse@_Locinfo@std@@QEBAPEBDXZ"))]
fn getfalse(cx: &Cx, _this: Ptr<u8>) -> Crt<Ptr<u8>> {
    Ok(Ptr::new(class::text(cx, "false")?))
}

/// The word for true.
#[shim(msvcp140("?_Gettrue@_Locinfo@std@@QEBAPEBDXZ"))]
fn gettrue(cx: &Cx, _this: Ptr<u8>) -> Crt<Ptr<u8>> {
    Ok(Ptr::new(class::text(cx, "true")?))
}
