//! What streams have in common: their state, format flags, locale and buffer. The functions of `ios_base` are in [`base`], what a
//! program keeps with a stream in [`attached`], the functions of `basic_ios` in [`basic`].

pub(crate) mod attached;
pub(crate) mod base;
pub(crate) mod basic;

use transom_crt::cpp;
use transom_sdk::{Crt, Cx};

use crate::character::Character;
use crate::exception::{category, classes};
use crate::locale;
use crate::object::{Field, Object};

pub(super) use basic::{BasicIos, destroy_ios};

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
    pub(in crate::stream) const ALL: i32 = 0x17;
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

/// How a stream writes: its flags, and the precision and width that were set.
#[derive(Clone, Copy, Debug)]
pub(super) struct Format<C> {
    pub(super) flags: i32,
    pub(super) precision: i64,
    pub(super) width: i64,
    pub(super) fill: C,
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

    pub(super) fn format<C: Character>(self, cx: &Cx) -> Crt<Format<C>> {
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
        self.set_exactly(cx, bits, rethrow)
    }

    /// Sets the state as `ios_base` does, which knows of no buffer.
    fn set_exactly(self, cx: &Cx, bits: i32, rethrow: bool) -> Crt<()> {
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

    /// Takes the mark away that the end was seen.
    pub(super) fn forget_end(self, cx: &Cx) -> Crt<()> {
        self.set_state(cx, self.state(cx)? & !state::EOF, false)
    }

    /// The locale.
    pub(super) fn locale(self, cx: &Cx) -> Crt<Object> {
        Ok(Object(self.0.pointer(cx, LOCALE)?))
    }

    /// Makes the fields of `ios_base`.
    fn init_base(self, cx: &Cx) -> Crt<()> {
        const DEFAULT_PRECISION: i64 = 6;
        let ios = self.0;
        ios.set(cx, STANDARD, 0usize)?;
        ios.set(cx, STATE, 0i32)?;
        ios.set(cx, EXCEPTIONS, 0i32)?;
        ios.set(cx, FLAGS, flag::SKIP_BLANKS | flag::DECIMAL)?;
        ios.set(cx, PRECISION, DEFAULT_PRECISION)?;
        ios.set(cx, WIDTH, 0i64)?;
        ios.set_pointer(cx, WORDS, 0)?;
        ios.set_pointer(cx, CALLBACKS, 0)?;
        ios.set_pointer(cx, LOCALE, locale::new_global(cx)?.0)
    }

    /// Marks a standard stream, which is not taken down.
    pub(super) fn set_standard(self, cx: &Cx) -> Crt<()> {
        self.0.set(cx, STANDARD, 1usize)
    }

    /// Makes the fields.
    pub(super) fn init<C: Character>(self, cx: &Cx, buffer: Object, standard: bool) -> Crt<()> {
        self.init_base(cx)?;
        self.0.set_pointer(cx, BUFFER, buffer.0)?;
        self.0.set_pointer(cx, TIED, 0)?;
        self.0.set(cx, FILL, C::from_ascii(b' '))?;
        if standard {
            self.set_standard(cx)?;
        }
        if buffer.is_null() { self.add_state(cx, state::BAD) } else { Ok(()) }
    }
}
