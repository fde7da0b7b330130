//! `cin`, `cout`, `cerr`, `clog`: streams on the C runtime's, so that both can be used at once.

use transom_sdk::{Crt, Cx, Descriptor, Ptr, data, mem, shim};

use super::buffer::{self, BUFFER, EOF};
use super::ios::flag;
use super::{istream, ostream};
use crate::class::Class;
use crate::object::{Field, Object, Words, allocate, import};

/// Which of the runtime's streams a buffer is of.
const NUMBER: Field = buffer::SIZE;
const INPUT: u32 = 0;
const OUTPUT: u32 = 1;
const ERRORS: u32 = 2;

/// What a buffer inherits, by slot.
const fn inherited(slot: usize) -> Descriptor {
    BUFFER.functions[slot]
}

static FILE_BUFFER: Class = Class {
    name: ".?AV?$basic_filebuf@DU?$char_traits@D@std@@@std@@",
    base: Some(&BUFFER),
    virtual_base: None,
    functions: &[
        inherited(0),
        SHIM_lock,
        SHIM_unlock,
        SHIM_overflow,
        SHIM_pbackfail,
        inherited(5),
        SHIM_underflow,
        SHIM_uflow,
        SHIM_xsgetn,
        SHIM_xsputn,
        inherited(10),
        inherited(11),
        inherited(12),
        SHIM_sync,
        inherited(14),
    ],
};

/// Room for a stream's object.
type Room = [u64; 16];

/// A buffer on one of the runtime's streams.
fn make_buffer(cx: &Cx, number: u32) -> Crt<Object> {
    let made = Object(allocate(cx, 0x80)?);
    buffer::make(cx, made, &FILE_BUFFER)?;
    made.set(cx, NUMBER, number)?;
    Ok(made)
}

/// Reports a standard stream that could not be made: there is no caller to tell.
fn note(made: Crt<()>) {
    if let Err(error) = made {
        log::warn!("a standard stream of C++ could not be made: {error:?}");
    }
}

fn make_output(cx: &Cx, at: Ptr<Room>, number: u32, flags: i32) -> Crt<()> {
    let buffer = make_buffer(cx, number)?;
    ostream::ostream(cx, at.cast(), Ptr::new(buffer.0), 1, 1)?;
    let ios = ostream::ios_of(cx, at.into())?;
    ios.set_flags(cx, ios.flags(cx)? | flags)
}

/// Standard output.
#[data(msvcp140("?cout@std@@3V?$basic_ostream@DU?$char_traits@D@std@@@1@A"))]
fn cout(cx: &Cx, at: Ptr<Room>) {
    note(make_output(cx, at, OUTPUT, 0));
}

/// Standard error, shown at once.
#[data(msvcp140("?cerr@std@@3V?$basic_ostream@DU?$char_traits@D@std@@@1@A"))]
fn cerr(cx: &Cx, at: Ptr<Room>) {
    note(make_output(cx, at, ERRORS, flag::UNIT_BUFFERED).and_then(|()| tie_to_output(cx, at)));
}

/// Standard error.
#[data(msvcp140("?clog@std@@3V?$basic_ostream@DU?$char_traits@D@std@@@1@A"))]
fn clog(cx: &Cx, at: Ptr<Room>) {
    note(make_output(cx, at, ERRORS, 0));
}

/// Standard input.
#[data(msvcp140("?cin@std@@3V?$basic_istream@DU?$char_traits@D@std@@@1@A"))]
fn cin(cx: &Cx, at: Ptr<Room>) {
    let make = || {
        let buffer = make_buffer(cx, INPUT)?;
        istream::istream(cx, at.cast(), Ptr::new(buffer.0), 1, 1)?;
        tie_to_output(cx, at)
    };
    note(make());
}

/// Has standard output flushed before the stream is used.
fn tie_to_output(cx: &Cx, stream: Ptr<Room>) -> Crt<()> {
    let output = super::iostream::exported(cx, "?cout@std@@3V?$basic_ostream@DU?$char_traits@D@std@@@1@A")?;
    ostream::ios_of(cx, stream.into())?.tie(cx, output)
}

/// Makes sure that the standard streams are there: they are whenever a program names them.
#[shim(msvcp140("??0Init@ios_base@std@@QEAA@XZ"))]
fn init(this: Ptr<u8>) -> Ptr<u8> {
    this
}

/// Empties standard output and standard error.
#[shim(msvcp140("??1Init@ios_base@std@@QEAA@XZ"))]
fn end(cx: &Cx, _this: Ptr<u8>) -> Crt<()> {
    for number in [OUTPUT, ERRORS] {
        let file = file(cx, number)?;
        import(cx, "ucrtbase.dll", "fflush", Words::new(cx).word(file))?;
    }
    Ok(())
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
fn stdio(cx: &Cx, name: &str, words: Words) -> Crt<i32> {
    Ok(import(cx, "ucrtbase.dll", name, words)? as i32)
}

/// Keeps other threads from the runtime's stream.
#[shim(msvcp140("?_Lock@?$basic_filebuf@DU?$char_traits@D@std@@@std@@UEAAXXZ"))]
fn lock(cx: &Cx, this: Ptr<u8>) -> Crt<()> {
    stdio(cx, "_lock_file", Words::new(cx).word(file_of(cx, this)?)).map(drop)
}

/// Lets other threads use the runtime's stream again.
#[shim(msvcp140("?_Unlock@?$basic_filebuf@DU?$char_traits@D@std@@@std@@UEAAXXZ"))]
fn unlock(cx: &Cx, this: Ptr<u8>) -> Crt<()> {
    stdio(cx, "_unlock_file", Words::new(cx).word(file_of(cx, this)?)).map(drop)
}

/// Writes a character.
#[shim(msvcp140("?overflow@?$basic_filebuf@DU?$char_traits@D@std@@@std@@MEAAHH@Z"))]
fn overflow(cx: &Cx, this: Ptr<u8>, character: i32) -> Crt<i32> {
    if character == EOF {
        return Ok(0);
    }
    stdio(cx, "fputc", Words::new(cx).int(character & 0xFF).word(file_of(cx, this)?))
}

/// Steps back over a character.
#[shim(msvcp140("?pbackfail@?$basic_filebuf@DU?$char_traits@D@std@@@std@@MEAAHH@Z"))]
fn pbackfail(cx: &Cx, this: Ptr<u8>, character: i32) -> Crt<i32> {
    stdio(cx, "ungetc", Words::new(cx).int(character).word(file_of(cx, this)?))
}

/// The character to be read next.
#[shim(msvcp140("?underflow@?$basic_filebuf@DU?$char_traits@D@std@@@std@@MEAAHXZ"))]
fn underflow(cx: &Cx, this: Ptr<u8>) -> Crt<i32> {
    let character = uflow(cx, this)?;
    if character == EOF { Ok(EOF) } else { pbackfail(cx, this, character) }
}

/// Reads a character.
#[shim(msvcp140("?uflow@?$basic_filebuf@DU?$char_traits@D@std@@@std@@MEAAHXZ"))]
fn uflow(cx: &Cx, this: Ptr<u8>) -> Crt<i32> {
    stdio(cx, "fgetc", Words::new(cx).word(file_of(cx, this)?))
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
#[shim(msvcp140("?sync@?$basic_filebuf@DU?$char_traits@D@std@@@std@@MEAAHXZ"))]
fn sync(cx: &Cx, this: Ptr<u8>) -> Crt<i32> {
    stdio(cx, "fflush", Words::new(cx).word(file_of(cx, this)?))
}

/// Bits of `ios_base::openmode`.
mod mode {
    pub(super) const IN: i32 = 0x01;
    pub(super) const OUT: i32 = 0x02;
    pub(super) const AT_END: i32 = 0x04;
    pub(super) const APPEND: i32 = 0x08;
    pub(super) const TRUNCATE: i32 = 0x10;
    pub(super) const BINARY: i32 = 0x20;
    pub(super) const NO_CREATE: i32 = 0x40;
    pub(super) const NO_REPLACE: i32 = 0x80;
}

/// The C runtime's mode for one of C++; `None` if there is none.
fn file_mode(wanted: i32) -> Option<&'static str> {
    let wanted = if wanted & mode::NO_CREATE != 0 { wanted | mode::IN } else { wanted };
    let wanted = if wanted & mode::APPEND != 0 { wanted | mode::OUT } else { wanted };
    let binary = wanted & mode::BINARY != 0;
    let pair = match wanted & (mode::IN | mode::OUT | mode::TRUNCATE | mode::APPEND) {
        mode::IN => ["r", "rb"],
        m if m == mode::OUT || m == mode::OUT | mode::TRUNCATE => ["w", "wb"],
        m if m == mode::OUT | mode::APPEND => ["a", "ab"],
        m if m == mode::IN | mode::OUT => ["r+", "r+b"],
        m if m == mode::IN | mode::OUT | mode::TRUNCATE => ["w+", "w+b"],
        m if m == mode::IN | mode::OUT | mode::APPEND => ["a+", "a+b"],
        _ => return None,
    };
    Some(pair[usize::from(binary)])
}

/// Opens a file for a file buffer; NULL if that fails.
fn open<const WIDE: bool>(cx: &Cx, name: u64, wanted: i32, share: i32) -> Crt<Ptr<u8>> {
    const SEEK_END: i32 = 2;
    let Some(text) = file_mode(wanted) else { return Ok(Ptr::NULL) };
    let (function, unit) = if WIDE { ("_wfsopen", 2) } else { ("_fsopen", 1) };
    let open = |text: &str| -> Crt<u64> {
        let place = allocate(cx, 16)?;
        for (i, byte) in (0u64..).zip(text.bytes()) {
            mem::write(place + i * unit, &byte)?;
        }
        let file = import(cx, "ucrtbase.dll", function, Words::new(cx).word(name).word(place).int(share))?;
        crate::object::free(cx, place);
        Ok(file)
    };
    if wanted & mode::NO_REPLACE != 0 && wanted & (mode::OUT | mode::APPEND) != 0 {
        let there = open("r")?;
        if there != 0 {
            import(cx, "ucrtbase.dll", "fclose", Words::new(cx).word(there))?;
            return Ok(Ptr::NULL);
        }
    }
    let file = open(text)?;
    if file != 0
        && wanted & mode::AT_END != 0
        && stdio(cx, "fseek", Words::new(cx).word(file).int(0).int(SEEK_END))? != 0
    {
        import(cx, "ucrtbase.dll", "fclose", Words::new(cx).word(file))?;
        return Ok(Ptr::NULL);
    }
    Ok(Ptr::new(file))
}

/// Opens a file for a file buffer.
#[shim(msvcp140("?_Fiopen@std@@YAPEAU_iobuf@@PEBDHH@Z"))]
fn fiopen(cx: &Cx, name: Ptr<u8>, wanted: i32, share: i32) -> Crt<Ptr<u8>> {
    open::<false>(cx, name.addr(), wanted, share)
}

/// Opens a file for a file buffer.
#[shim(msvcp140("?_Fiopen@std@@YAPEAU_iobuf@@PEB_WHH@Z", "?_Fiopen@std@@YAPEAU_iobuf@@PEBGHH@Z"))]
fn fiopen_wide(cx: &Cx, name: Ptr<u16>, wanted: i32, share: i32) -> Crt<Ptr<u8>> {
    open::<true>(cx, name.addr(), wanted, share)
}

#[cfg(test)]
mod tests {
    use super::{file_mode, mode};

    #[test]
    fn modes_of_files() {
        assert_eq!(file_mode(mode::IN), Some("r"));
        assert_eq!(file_mode(mode::OUT | mode::BINARY), Some("wb"));
        assert_eq!(file_mode(mode::APPEND), Some("a"));
        assert_eq!(file_mode(mode::IN | mode::OUT | mode::TRUNCATE | mode::BINARY), Some("w+b"));
        assert_eq!(file_mode(mode::IN | mode::TRUNCATE), None);
    }
}
