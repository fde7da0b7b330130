//! Opening files for the file buffers of the headers.

use transom_sdk::{Crt, Cx, Ptr, mem, shim};

use super::filebuf::stdio;
use crate::object::{Words, allocate, free, import};

/// `ios_base::cur`: from the present position.
pub(super) const CURRENT: i32 = 1;

/// Bits of `ios_base::openmode`.
pub(super) mod mode {
    pub(in crate::stream) const IN: i32 = 0x01;
    pub(in crate::stream) const OUT: i32 = 0x02;
    pub(in crate::stream) const AT_END: i32 = 0x04;
    pub(in crate::stream) const APPEND: i32 = 0x08;
    pub(in crate::stream) const TRUNCATE: i32 = 0x10;
    pub(in crate::stream) const BINARY: i32 = 0x20;
    pub(in crate::stream) const NO_CREATE: i32 = 0x40;
    pub(in crate::stream) const NO_REPLACE: i32 = 0x80;
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
        free(cx, place);
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
