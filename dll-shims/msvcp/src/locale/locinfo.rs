//! `_Locinfo`: the C runtime's locale while facets are made of it; and `_Yarn`, the text that holds a locale's name.

use transom_sdk::{AStr, Crt, Cx, Ptr, mem, shim};

use crate::object::{self, Field, Object, Words, import};

/// `_Yarn`: a pointer to the text, or null.
const TEXT: Field = Field::after(0);

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
