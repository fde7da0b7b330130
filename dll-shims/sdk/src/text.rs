//! Text arguments. One shim serves the W and the A form of a function: in the A form, strings are converted on the way
//! in and out here.
//!
//! The ANSI code page is UTF-8 (65001), as Windows offers it, because that is what file names and terminals on the host
//! speak; so nothing is lost between a guest's A functions and the host.

use core::fmt;

use transom_cpu::mem::{self, BadAddress};

use crate::args::{Arg, Args, Kind};

/// The longest string that is read from a guest, in characters.
const MAX_TEXT: usize = 1 << 26;

/// Conversions between UTF-16 and the ANSI code page.
#[derive(Debug)]
pub struct Acp;

impl Acp {
    /// From the ANSI code page. Invalid bytes become U+FFFD.
    #[must_use]
    pub fn decode(bytes: &[u8]) -> Vec<u16> {
        if bytes.is_ascii() {
            return bytes.iter().map(|&b| b.into()).collect();
        }
        String::from_utf8_lossy(bytes).encode_utf16().collect()
    }

    /// To the ANSI code page. Lone surrogates become U+FFFD.
    #[must_use]
    pub fn encode(text: &[u16]) -> Vec<u8> {
        String::from_utf16_lossy(text).into_bytes()
    }
}

/// A NUL-terminated string argument: UTF-16, or ANSI in a generated A form.
#[derive(Debug, Clone, Copy)]
pub struct WStr {
    addr: u64,
    ansi: bool,
}

impl WStr {
    /// A UTF-16 string at a guest address.
    #[must_use]
    pub const fn new(addr: u64) -> Self {
        Self { addr, ansi: false }
    }

    /// A string in the ANSI code page, for functions that take either.
    #[must_use]
    pub const fn ansi(text: AStr) -> Self {
        Self { addr: text.addr, ansi: true }
    }

    /// The guest address.
    #[must_use]
    pub const fn addr(self) -> u64 {
        self.addr
    }

    /// Whether it is NULL (which the type says it should not be; reading it faults).
    #[must_use]
    pub const fn is_null(self) -> bool {
        self.addr == 0
    }

    /// Whether the string is in the ANSI code page.
    #[must_use]
    pub const fn is_ansi(self) -> bool {
        self.ansi
    }

    /// Reads it as UTF-16 without the terminator.
    ///
    /// # Errors
    /// If the memory cannot be read up to the terminator.
    pub fn get(self) -> Result<Vec<u16>, BadAddress> {
        if self.ansi {
            mem::read_cstr(self.addr, MAX_TEXT).map(|b| Acp::decode(&b))
        } else {
            mem::read_wstr(self.addr, MAX_TEXT)
        }
    }

    /// Reads `len` characters, or up to the terminator if `len` is negative.
    ///
    /// # Errors
    /// If the memory cannot be read.
    pub fn get_counted(self, len: i32) -> Result<Vec<u16>, BadAddress> {
        let Ok(len) = usize::try_from(len) else { return self.get() };
        if self.ansi {
            mem::copy_in_vec(self.addr, len).map(|b| Acp::decode(&b))
        } else {
            mem::read_vec(self.addr, len)
        }
    }
}

fn show_wide(text: &[u16], out: &mut dyn fmt::Write) -> fmt::Result {
    let shortened: String = String::from_utf16_lossy(&text[..text.len().min(200)]).escape_default().collect();
    write!(out, "\"{shortened}\"{}", if text.len() > 200 { "..." } else { "" })
}

impl Arg for WStr {
    const KIND: Kind = Kind::Wide;
    fn fetch(args: &mut Args<'_>) -> Self {
        Self { addr: args.pointer(), ansi: args.ansi() }
    }
    fn show(args: &mut Args<'_>, out: &mut dyn fmt::Write) -> fmt::Result {
        let text = Self::fetch(args);
        match text.get() {
            _ if text.addr == 0 => out.write_str("NULL"),
            // Small values in place of a name are resource identifiers and atoms.
            _ if text.addr < 0x10000 => write!(out, "#{}", text.addr),
            Ok(chars) => show_wide(&chars, out),
            Err(_) => write!(out, "{:#x}(bad)", text.addr),
        }
    }
}

impl Arg for Option<WStr> {
    const KIND: Kind = Kind::Wide;
    fn fetch(args: &mut Args<'_>) -> Self {
        let text = WStr::fetch(args);
        (text.addr != 0).then_some(text)
    }
    fn show(args: &mut Args<'_>, out: &mut dyn fmt::Write) -> fmt::Result {
        WStr::show(args, out)
    }
}

/// The name of a file or of an environment variable: a [`WStr`] of which NULL is the empty name, as Windows takes it, and
/// not an address to read.
#[derive(Debug, Clone, Copy)]
pub struct NameStr(WStr);

impl NameStr {
    /// Whether it is NULL.
    #[must_use]
    pub const fn is_null(self) -> bool {
        self.0.is_null()
    }

    /// Reads it as UTF-16 without the terminator.
    ///
    /// # Errors
    /// If there is a name and the memory cannot be read up to the terminator.
    pub fn get(self) -> Result<Vec<u16>, BadAddress> {
        if self.is_null() { Ok(Vec::new()) } else { self.0.get() }
    }
}

impl From<WStr> for NameStr {
    fn from(text: WStr) -> Self {
        Self(text)
    }
}

impl Arg for NameStr {
    const KIND: Kind = Kind::Wide;

    fn fetch(args: &mut Args<'_>) -> Self {
        Self(WStr::fetch(args))
    }
    fn show(args: &mut Args<'_>, out: &mut dyn fmt::Write) -> fmt::Result {
        WStr::show(args, out)
    }
}

/// A NUL-terminated byte string argument.
#[derive(Debug, Clone, Copy)]
pub struct AStr {
    addr: u64,
}

impl AStr {
    /// A byte string at a guest address.
    #[must_use]
    pub const fn new(addr: u64) -> Self {
        Self { addr }
    }

    /// The guest address.
    #[must_use]
    pub const fn addr(self) -> u64 {
        self.addr
    }

    /// Whether it is NULL (which the type says it should not be; reading it faults).
    #[must_use]
    pub const fn is_null(self) -> bool {
        self.addr == 0
    }

    /// Reads it without the terminator.
    ///
    /// # Errors
    /// If the memory cannot be read up to the terminator.
    pub fn get(self) -> Result<Vec<u8>, BadAddress> {
        mem::read_cstr(self.addr, MAX_TEXT)
    }

    /// Reads it from the ANSI code page to UTF-16.
    ///
    /// # Errors
    /// If the memory cannot be read up to the terminator.
    pub fn to_wide(self) -> Result<Vec<u16>, BadAddress> {
        self.get().map(|b| Acp::decode(&b))
    }
}

impl Arg for AStr {
    const KIND: Kind = Kind::Narrow;
    fn fetch(args: &mut Args<'_>) -> Self {
        Self { addr: args.pointer() }
    }
    fn show(args: &mut Args<'_>, out: &mut dyn fmt::Write) -> fmt::Result {
        let text = Self::fetch(args);
        match text.get() {
            _ if text.addr == 0 => out.write_str("NULL"),
            _ if text.addr < 0x10000 => write!(out, "#{}", text.addr),
            Ok(bytes) => show_wide(&Acp::decode(&bytes), out),
            Err(_) => write!(out, "{:#x}(bad)", text.addr),
        }
    }
}

impl Arg for Option<AStr> {
    const KIND: Kind = Kind::Narrow;
    fn fetch(args: &mut Args<'_>) -> Self {
        let text = AStr::fetch(args);
        (text.addr != 0).then_some(text)
    }
    fn show(args: &mut Args<'_>, out: &mut dyn fmt::Write) -> fmt::Result {
        AStr::show(args, out)
    }
}

/// A caller's buffer for text: UTF-16, or ANSI in a generated A form. Sizes and lengths are in the form's own
/// characters (16-bit units, or bytes).
#[derive(Debug, Clone, Copy)]
pub struct TextOut {
    addr: u64,
    ansi: bool,
}

impl TextOut {
    /// A UTF-16 buffer at a guest address.
    #[must_use]
    pub const fn new(addr: u64) -> Self {
        Self { addr, ansi: false }
    }

    /// The guest address.
    #[must_use]
    pub const fn addr(self) -> u64 {
        self.addr
    }

    /// Whether it is NULL.
    #[must_use]
    pub const fn is_null(self) -> bool {
        self.addr == 0
    }

    /// Writes the text and a terminator if both fit into `size` characters: the usual contract of functions that
    /// return a length. Returns the length without the terminator if it fitted, else the size needed with it (and
    /// nothing was written).
    ///
    /// # Errors
    /// If the memory cannot be written.
    #[expect(clippy::cast_possible_truncation, reason = "texts are at most MAX_TEXT long")]
    pub fn put(self, text: &[u16], size: u32) -> Result<u32, BadAddress> {
        if self.ansi {
            let bytes = Acp::encode(text);
            if bytes.len() >= size as usize || self.addr == 0 {
                return Ok(bytes.len() as u32 + 1);
            }
            mem::copy_out(self.addr, &bytes)?;
            mem::write(self.addr + bytes.len() as u64, &0u8)?;
            return Ok(bytes.len() as u32);
        }
        if text.len() >= size as usize || self.addr == 0 {
            return Ok(text.len() as u32 + 1);
        }
        mem::write_slice(self.addr, text)?;
        mem::write(self.addr + 2 * text.len() as u64, &0u16)?;
        Ok(text.len() as u32)
    }

    /// Writes as much of the text as fits into `size` characters, always with a terminator if `size` is not 0. Returns
    /// the number of characters written without it, and whether all of the text fitted.
    ///
    /// # Errors
    /// If the memory cannot be written.
    #[expect(clippy::cast_possible_truncation, reason = "bounded by `size`")]
    pub fn put_truncated(self, text: &[u16], size: u32) -> Result<(u32, bool), BadAddress> {
        let Some(room) = (size as usize).checked_sub(1) else { return Ok((0, false)) };
        if self.ansi {
            let bytes = Acp::encode(text);
            let kept = bytes.len().min(room);
            mem::copy_out(self.addr, &bytes[..kept])?;
            mem::write(self.addr + kept as u64, &0u8)?;
            return Ok((kept as u32, kept == bytes.len()));
        }
        let kept = text.len().min(room);
        mem::write_slice(self.addr, &text[..kept])?;
        mem::write(self.addr + 2 * kept as u64, &0u16)?;
        Ok((kept as u32, kept == text.len()))
    }
}

impl Arg for TextOut {
    const KIND: Kind = Kind::Wide;
    fn fetch(args: &mut Args<'_>) -> Self {
        Self { addr: args.pointer(), ansi: args.ansi() }
    }
    fn show(args: &mut Args<'_>, out: &mut dyn fmt::Write) -> fmt::Result {
        match args.pointer() {
            0 => out.write_str("NULL"),
            p => write!(out, "{p:#x}"),
        }
    }
}
