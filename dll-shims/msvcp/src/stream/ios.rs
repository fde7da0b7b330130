//! `ios_base` and `basic_ios<char>`: what streams have in common: their state, format flags, locale and buffer.

use transom_crt::cpp;
use transom_sdk::{Crt, Cx, Ptr, mem, shim};

use super::buffer;
use crate::class::{self, Class};
use crate::exception::{category, classes};
use crate::locale;
use crate::object::{self, Field, Object};

/// How many of the standard streams the object stands for, which are never taken down.
const STANDARD: Field = Field::at(0x08, 0x08);
const STATE: Field = Field::at(0x0C, 0x10);
const EXCEPTIONS: Field = Field::at(0x10, 0x14);
const FLAGS: Field = Field::at(0x14, 0x18);
const PRECISION: Field = Field::at(0x18, 0x20);
const WIDTH: Field = Field::at(0x20, 0x28);
/// Lists of what the program registered: words (`iword`) and functions to call.
const WORDS: Field = Field::at(0x28, 0x30);
const CALLBACKS: Field = Field::at(0x2C, 0x38);
const LOCALE: Field = Field::at(0x30, 0x40);
const BUFFER: Field = Field::at(0x38, 0x48);
const TIED: Field = Field::at(0x3C, 0x50);
const FILL: Field = Field::at(0x40, 0x58);

/// Bits of the state.
pub(super) mod state {
    pub(in crate::stream) const EOF: i32 = 1;
    pub(in crate::stream) const FAIL: i32 = 2;
    pub(in crate::stream) const BAD: i32 = 4;
    pub(super) const ALL: i32 = 0x17;
}

/// Bits of the format flags.
pub(super) mod flag {
    pub(in crate::stream) const SKIP_BLANKS: i32 = 0x1;
    pub(in crate::stream) const UNIT_BUFFERED: i32 = 0x2;
    pub(in crate::stream) const UPPERCASE: i32 = 0x4;
    pub(in crate::stream) const SHOW_BASE: i32 = 0x8;
    pub(in crate::stream) const SHOW_POINT: i32 = 0x10;
    pub(in crate::stream) const SHOW_SIGN: i32 = 0x20;
    pub(in crate::stream) const LEFT: i32 = 0x40;
    pub(in crate::stream) const INTERNAL: i32 = 0x100;
    pub(in crate::stream) const ADJUST: i32 = 0x1C0;
    pub(in crate::stream) const DECIMAL: i32 = 0x200;
    pub(in crate::stream) const OCTAL: i32 = 0x400;
    pub(in crate::stream) const HEXADECIMAL: i32 = 0x800;
    pub(in crate::stream) const BASE: i32 = 0xE00;
    pub(in crate::stream) const SCIENTIFIC: i32 = 0x1000;
    pub(in crate::stream) const FIXED: i32 = 0x2000;
    pub(in crate::stream) const FLOAT: i32 = 0x3000;
    pub(in crate::stream) const WORDS_FOR_BOOL: i32 = 0x4000;
}

static IOS_BASE_ROOT: Class =
    Class { name: ".?AV?$_Iosb@H@std@@", base: None, virtual_base: None, functions: &[] };

static IOS_BASE: Class = Class {
    name: ".?AVios_base@std@@",
    base: Some(&IOS_BASE_ROOT),
    virtual_base: None,
    functions: &[SHIM_delete_ios],
};

pub(super) static IOS: Class = Class {
    name: ".?AV?$basic_ios@DU?$char_traits@D@std@@@std@@",
    base: Some(&IOS_BASE),
    virtual_base: None,
    functions: &[SHIM_delete_ios],
};

/// How a stream writes: its flags, and the precision and width that were set.
#[derive(Clone, Copy, Debug)]
pub(super) struct Format {
    pub(super) flags: i32,
    pub(super) precision: i64,
    pub(super) width: i64,
    pub(super) fill: u8,
}

/// A stream's `basic_ios`.
#[derive(Clone, Copy)]
pub(super) struct Ios(pub(super) Object);

impl Ios {
    pub(super) fn state(self, cx: &Cx) -> Crt<i32> {
        self.0.get(cx, STATE)
    }

    pub(super) fn is_good(self, cx: &Cx) -> Crt<bool> {
        Ok(self.state(cx)? == 0)
    }

    pub(super) fn flags(self, cx: &Cx) -> Crt<i32> {
        self.0.get(cx, FLAGS)
    }

    pub(super) fn set_flags(self, cx: &Cx, flags: i32) -> Crt<()> {
        self.0.set(cx, FLAGS, flags)
    }

    /// The buffer, if there is one.
    pub(super) fn buffer(self, cx: &Cx) -> Crt<Option<Object>> {
        let at = self.0.pointer(cx, BUFFER)?;
        Ok((at != 0).then_some(Object(at)))
    }

    /// The output stream that is flushed before this one is used; null if none.
    pub(super) fn tied(self, cx: &Cx) -> Crt<u64> {
        self.0.pointer(cx, TIED)
    }

    pub(super) fn tie(self, cx: &Cx, stream: u64) -> Crt<()> {
        self.0.set_pointer(cx, TIED, stream)
    }

    pub(super) fn format(self, cx: &Cx) -> Crt<Format> {
        Ok(Format {
            flags: self.flags(cx)?,
            precision: self.0.get(cx, PRECISION)?,
            width: self.0.get(cx, WIDTH)?,
            fill: self.0.get(cx, FILL)?,
        })
    }

    /// The width counts for one value only.
    pub(super) fn end_width(self, cx: &Cx) -> Crt<()> {
        self.set_width(cx, 0)
    }

    pub(super) fn set_precision(self, cx: &Cx, precision: i64) -> Crt<()> {
        self.0.set(cx, PRECISION, precision)
    }

    pub(super) fn set_width(self, cx: &Cx, width: i64) -> Crt<()> {
        self.0.set(cx, WIDTH, width)
    }

    /// Adds to the state; throws if the program wants exceptions for what is set.
    pub(super) fn add_state(self, cx: &Cx, bits: i32) -> Crt<()> {
        if bits == 0 { Ok(()) } else { self.set_state(cx, self.state(cx)? | bits, false) }
    }

    /// Sets the state; a stream without a buffer is always bad. Throws if the program wants exceptions for what is set.
    fn set_state(self, cx: &Cx, bits: i32, rethrow: bool) -> Crt<()> {
        let bits = if self.buffer(cx)?.is_none() { bits | state::BAD } else { bits };
        self.0.set(cx, STATE, bits & state::ALL)?;
        let wanted = bits & self.0.get::<i32>(cx, EXCEPTIONS)?;
        if wanted == 0 {
            return Ok(());
        }
        if rethrow {
            cpp::throw(cx, 0, 0);
        }
        let what = if wanted & state::BAD != 0 {
            "ios_base::badbit set"
        } else if wanted & state::FAIL != 0 {
            "ios_base::failbit set"
        } else {
            "ios_base::eofbit set"
        };
        const STREAM_ERROR: i32 = 1;
        category::throw_coded(cx, &classes::FAILURE, STREAM_ERROR, category::Kind::Iostream, Some(what))
    }

    /// Makes the fields. Standard streams are not taken down.
    pub(super) fn init(self, cx: &Cx, buffer: Object, standard: bool) -> Crt<()> {
        const DEFAULT_PRECISION: i64 = 6;
        let ios = self.0;
        ios.set(cx, STANDARD, usize::from(standard))?;
        ios.set(cx, STATE, 0i32)?;
        ios.set(cx, EXCEPTIONS, 0i32)?;
        ios.set(cx, FLAGS, flag::SKIP_BLANKS | flag::DECIMAL)?;
        ios.set(cx, PRECISION, DEFAULT_PRECISION)?;
        ios.set(cx, WIDTH, 0i64)?;
        ios.set_pointer(cx, WORDS, 0)?;
        ios.set_pointer(cx, CALLBACKS, 0)?;
        ios.set_pointer(cx, LOCALE, locale::new_global(cx)?.0)?;
        ios.set_pointer(cx, BUFFER, buffer.0)?;
        ios.set_pointer(cx, TIED, 0)?;
        ios.set(cx, FILL, b' ')?;
        if buffer.is_null() { self.add_state(cx, state::BAD) } else { Ok(()) }
    }
}

/// Makes a stream's common part; `init` makes its fields.
#[shim(msvcp140("??0?$basic_ios@DU?$char_traits@D@std@@@std@@IEAA@XZ"))]
fn basic_ios(cx: &Cx, this: Ptr<u8>) -> Crt<Ptr<u8>> {
    let fields = Field::at(8, 8);
    let size = FILL.offset(cx) + 8 - fields.offset(cx);
    mem::fill(Object::from(this).field(cx, fields), 0, usize::try_from(size).unwrap_or(0))?;
    class::become_one(cx, this.into(), &IOS)?;
    Ok(this)
}

/// Makes a stream's common part with a buffer.
#[shim(msvcp140(
    "??0?$basic_ios@DU?$char_traits@D@std@@@std@@QEAA@PEAV?$basic_streambuf@DU?$char_traits@D@std@@@1@@Z"
))]
fn basic_ios_with(cx: &Cx, this: Ptr<u8>, buffer: Ptr<u8>) -> Crt<Ptr<u8>> {
    class::become_one(cx, this.into(), &IOS)?;
    Ios(this.into()).init(cx, buffer.into(), false)?;
    Ok(this)
}

/// Makes the fields.
#[shim(msvcp140(
    "?init@?$basic_ios@DU?$char_traits@D@std@@@std@@IEAAXPEAV?$basic_streambuf@DU?$char_traits@D@std@@@2@_N@Z"
))]
fn init(cx: &Cx, this: Ptr<u8>, buffer: Ptr<u8>, standard: u8) -> Crt<()> {
    Ios(this.into()).init(cx, buffer.into(), standard != 0)
}

/// Ends the life of a stream's common part.
#[shim(msvcp140("??1?$basic_ios@DU?$char_traits@D@std@@@std@@UEAA@XZ", "??1ios_base@std@@UEAA@XZ"))]
pub(super) fn destroy_ios(cx: &Cx, this: Ptr<u8>) -> Crt<()> {
    let ios = Object::from(this);
    if ios.get::<usize>(cx, STANDARD)? != 0 {
        return Ok(());
    }
    for list in [WORDS, CALLBACKS] {
        let mut next = ios.pointer(cx, list)?;
        while next != 0 {
            let after = Object(next).pointer(cx, Field::after(0))?;
            object::free(cx, next);
            next = after;
        }
        ios.set_pointer(cx, list, 0)?;
    }
    let locale = ios.pointer(cx, LOCALE)?;
    ios.set_pointer(cx, LOCALE, 0)?;
    locale::delete(cx, Object(locale))
}

/// Ends the life of a stream's common part; gives its memory back if a flag says so.
#[shim(msvcp140("??_G?$basic_ios@DU?$char_traits@D@std@@@std@@UEAAPEAXI@Z"))]
fn delete_ios(cx: &Cx, this: Ptr<u8>, flags: u32) -> Crt<Ptr<u8>> {
    destroy_ios(cx, this)?;
    if flags & 1 != 0 {
        object::free(cx, this.addr());
    }
    Ok(this)
}

/// Sets the state.
#[shim(msvcp140("?clear@?$basic_ios@DU?$char_traits@D@std@@@std@@QEAAXH_N@Z"))]
fn clear(cx: &Cx, this: Ptr<u8>, bits: i32, rethrow: u8) -> Crt<()> {
    Ios(this.into()).set_state(cx, bits, rethrow != 0)
}

/// Adds to the state.
#[shim(msvcp140("?setstate@?$basic_ios@DU?$char_traits@D@std@@@std@@QEAAXH_N@Z"))]
fn setstate(cx: &Cx, this: Ptr<u8>, bits: i32, rethrow: u8) -> Crt<()> {
    let ios = Ios(this.into());
    let bits = ios.state(cx)? | bits;
    ios.set_state(cx, bits, rethrow != 0)
}

/// The buffer.
#[shim(msvcp140(
    "?rdbuf@?$basic_ios@DU?$char_traits@D@std@@@std@@QEBAPEAV?$basic_streambuf@DU?$char_traits@D@std@@@2@XZ"
))]
fn rdbuf(cx: &Cx, this: Ptr<u8>) -> Crt<Ptr<u8>> {
    Ok(Ptr::new(Object::from(this).pointer(cx, BUFFER)?))
}

/// Sets the buffer; returns the one before.
#[shim(msvcp140(
    "?rdbuf@?$basic_ios@DU?$char_traits@D@std@@@std@@QEAAPEAV?$basic_streambuf@DU?$char_traits@D@std@@@2@PEAV32@@Z"
))]
fn set_rdbuf(cx: &Cx, this: Ptr<u8>, buffer: Ptr<u8>) -> Crt<Ptr<u8>> {
    let ios = Ios(this.into());
    let before = rdbuf(cx, this)?;
    ios.0.set_pointer(cx, BUFFER, buffer.addr())?;
    ios.set_state(cx, 0, false)?;
    Ok(before)
}

/// The stream tied to this one.
#[shim(msvcp140(
    "?tie@?$basic_ios@DU?$char_traits@D@std@@@std@@QEBAPEAV?$basic_ostream@DU?$char_traits@D@std@@@2@XZ"
))]
fn tie(cx: &Cx, this: Ptr<u8>) -> Crt<Ptr<u8>> {
    Ok(Ptr::new(Ios(this.into()).tied(cx)?))
}

/// Ties a stream to this one; returns the one before.
#[shim(msvcp140(
    "?tie@?$basic_ios@DU?$char_traits@D@std@@@std@@QEAAPEAV?$basic_ostream@DU?$char_traits@D@std@@@2@PEAV32@@Z"
))]
fn set_tie(cx: &Cx, this: Ptr<u8>, stream: Ptr<u8>) -> Crt<Ptr<u8>> {
    let before = tie(cx, this)?;
    Ios(this.into()).tie(cx, stream.addr())?;
    Ok(before)
}

/// The character that fields are filled with.
#[shim(msvcp140("?fill@?$basic_ios@DU?$char_traits@D@std@@@std@@QEBADXZ"))]
fn fill(cx: &Cx, this: Ptr<u8>) -> Crt<u8> {
    Object::from(this).get(cx, FILL)
}

/// Sets the character that fields are filled with; returns the one before.
#[shim(msvcp140("?fill@?$basic_ios@DU?$char_traits@D@std@@@std@@QEAADD@Z"))]
fn set_fill(cx: &Cx, this: Ptr<u8>, character: u8) -> Crt<u8> {
    let before = fill(cx, this)?;
    Object::from(this).set(cx, FILL, character)?;
    Ok(before)
}

/// A byte as a character of the stream's locale.
#[shim(msvcp140("?widen@?$basic_ios@DU?$char_traits@D@std@@@std@@QEBADD@Z"))]
fn widen(_this: Ptr<u8>, byte: u8) -> u8 {
    byte
}

/// A character of the stream's locale as a byte.
#[shim(msvcp140("?narrow@?$basic_ios@DU?$char_traits@D@std@@@std@@QEBADDD@Z"))]
fn narrow(_this: Ptr<u8>, character: u8, _other: u8) -> u8 {
    character
}

/// A copy of the stream's locale.
#[shim(msvcp140("?getloc@ios_base@std@@QEBA?AVlocale@2@XZ"))]
fn getloc(cx: &Cx, this: Ptr<u8>, result: Ptr<u8>) -> Crt<Ptr<u8>> {
    locale::copy(cx, result.into(), Object(Object::from(this).pointer(cx, LOCALE)?))?;
    Ok(result)
}

/// Sets the locale of the stream and of its buffer; returns the one before.
#[shim(msvcp140("?imbue@?$basic_ios@DU?$char_traits@D@std@@@std@@QEAA?AVlocale@2@AEBV32@@Z"))]
fn imbue(cx: &Cx, this: Ptr<u8>, result: Ptr<u8>, new: Ptr<u8>) -> Crt<Ptr<u8>> {
    let ios = Ios(this.into());
    let own = Object(ios.0.pointer(cx, LOCALE)?);
    locale::copy(cx, result.into(), own)?;
    locale::assign(cx, own, new.into())?;
    if let Some(stream_buffer) = ios.buffer(cx)? {
        let before = Object(object::allocate(cx, 16)?);
        buffer::set_locale(cx, stream_buffer, before, new.into())?;
        locale::delete(cx, before)?;
    }
    Ok(result)
}

/// Copies format and locale from another stream.
#[shim(
    msvcp140("?copyfmt@?$basic_ios@DU?$char_traits@D@std@@@std@@QEAAAEAV12@AEBV12@@Z"),
    partial = "registered words and functions are not copied"
)]
fn copyfmt(cx: &Cx, this: Ptr<u8>, other: Ptr<u8>) -> Crt<Ptr<u8>> {
    let (to, from) = (Object::from(this), Object::from(other));
    if to != from {
        locale::assign(cx, Object(to.pointer(cx, LOCALE)?), Object(from.pointer(cx, LOCALE)?))?;
        to.set_pointer(cx, TIED, from.pointer(cx, TIED)?)?;
        to.set(cx, FILL, from.get::<u8>(cx, FILL)?)?;
        to.set(cx, FLAGS, from.get::<i32>(cx, FLAGS)?)?;
        to.set(cx, PRECISION, from.get::<i64>(cx, PRECISION)?)?;
        to.set(cx, WIDTH, from.get::<i64>(cx, WIDTH)?)?;
        to.set(cx, EXCEPTIONS, from.get::<i32>(cx, EXCEPTIONS)?)?;
        let ios = Ios(to);
        ios.set_state(cx, ios.state(cx)?, false)?;
    }
    Ok(this)
}
