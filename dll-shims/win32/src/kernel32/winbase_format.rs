//! FormatMessage. The system's texts are in `messages.rs`; the formats of inserts in `crate::format`.

use std::sync::Arc;

use transom_loader::modules::Module;
use transom_loader::pe::resources::{Language, ResourceId, messages as tables, resources};
use transom_sdk::{AStr, Acp, Cx, Handle, Ptr, Status, WStr, Win32, WinError, foundation as f, mem, shim};
use transom_sdk::{GuestData, win32_from_status};
use windows_sys::Win32::System::Diagnostics::Debug as d;
use windows_sys::Win32::System::WindowsProgramming::FORMAT_MESSAGE_MAX_WIDTH_MASK;

use super::messages;
use crate::format::{self, Slots};

const EN_US: u16 = 0x0409;

/// Languages that mean the texts there are: neutral, the defaults, English.
fn has_language(language: u32) -> bool {
    matches!(language, 0 | 0x0400 | 0x0800 | 0x0C00 | 0x0009 | 0x0409)
}

/// The module of a handle; NULL is the program.
fn module(cx: &Cx, handle: Handle) -> Option<Arc<Module>> {
    if handle.is_null() {
        cx.modules().program()
    } else {
        cx.modules().by_handle(handle.0.cast_unsigned() & !3)
    }
}

/// A message of a module's message table. The system's own modules have the texts of NTSTATUS values.
fn from_module(cx: &Cx, handle: Handle, id: u32, language: u32) -> Win32<Vec<u16>> {
    let missing = |code| WinError::Code(code);
    let module = module(cx, handle).ok_or(missing(f::ERROR_RESOURCE_TYPE_NOT_FOUND))?;
    let Some(headers) = module.headers() else {
        let text = messages::text(win32_from_status(Status(id.cast_signed()))).or_else(|| messages::text(id));
        return text.map(system_text).ok_or(missing(f::ERROR_MR_MID_NOT_FOUND));
    };
    let image = module.image();
    let tree = resources(headers).ok_or(missing(f::ERROR_RESOURCE_DATA_NOT_FOUND))?;
    let language = match u16::try_from(language) {
        Ok(0) | Err(_) => Language::User(EN_US),
        Ok(wanted) => Language::Wanted(wanted),
    };
    let bad = |_| WinError::Code(f::ERROR_RESOURCE_DATA_NOT_FOUND);
    let found = tree.find(&image, &ResourceId::MESSAGE_TABLE, &ResourceId::Id(1), language).map_err(bad)?;
    let table = tree.data(&image, found.ok_or(missing(f::ERROR_RESOURCE_TYPE_NOT_FOUND))?).map_err(bad)?;
    let message = tables::find(&table, id).ok_or(missing(f::ERROR_MR_MID_NOT_FOUND))?;
    let bytes = &table[message.text];
    let mut text = if message.unicode {
        bytes.chunks_exact(2).map(|b| u16::from_le_bytes([b[0], b[1]])).collect()
    } else {
        Acp::decode(bytes)
    };
    text.truncate(text.iter().position(|&c| c == 0).unwrap_or(text.len()));
    Ok(text)
}

fn system_text(text: &str) -> Vec<u16> {
    text.encode_utf16().chain([u16::from(b'\r'), u16::from(b'\n')]).collect()
}

fn from_system(id: u32, language: u32) -> Win32<Vec<u16>> {
    if !has_language(language) {
        return Err(WinError::Code(f::ERROR_RESOURCE_LANG_NOT_FOUND));
    }
    // An HRESULT of a Win32 error has that error's text.
    let own = if id >> 16 == 0x8007 { id & 0xFFFF } else { id };
    messages::text(own).map(system_text).ok_or(WinError::Code(f::ERROR_MR_MID_NOT_FOUND))
}

/// What `FormatMessage` does with the texts in front of it.
struct Formatter {
    flags: u32,
    ansi: bool,
    wide: bool,
    /// Address of the first insert.
    arguments: u64,
    out: Vec<u16>,
    /// Where the line that is being written began.
    line: usize,
}

impl Formatter {
    /// Characters in a line; 0 keeps the text's own breaks, 255 has none but those asked for with `%n`.
    fn width(&self) -> usize {
        (self.flags & FORMAT_MESSAGE_MAX_WIDTH_MASK) as usize
    }

    fn new_line(&mut self) {
        self.out.extend([u16::from(b'\r'), u16::from(b'\n')]);
        self.line = self.out.len();
    }

    /// A line break that is in the text.
    fn soft_break(&mut self) {
        if self.width() == 0 {
            self.new_line();
        } else if self.out.last().is_some_and(|&c| c != u16::from(b' ')) {
            self.push(u16::from(b' '));
        }
    }

    fn push(&mut self, unit: u16) {
        self.out.push(unit);
        let width = self.width();
        if width == 0 || width == 255 || self.out.len() - self.line <= width {
            return;
        }
        // The line is full: it ends at its last space, if it has one.
        let space = self.out[self.line..].iter().rposition(|&c| c == u16::from(b' '));
        let rest = match space {
            Some(at) => {
                let rest = self.out.split_off(self.line + at + 1);
                self.out.pop();
                rest
            }
            None => self.out.split_off(self.line + width),
        };
        self.new_line();
        self.out.extend(rest);
    }

    /// `%1` to `%99` with an optional `!format!`. Returns how many units of the rest were used.
    fn insert(&mut self, rest: &[u16]) -> Win32<usize> {
        let digit = |i: usize| rest.get(i).and_then(|&c| u32::from(c).checked_sub(48)).filter(|d| *d < 10);
        let (number, mut used) = match (digit(0), digit(1)) {
            (Some(a), Some(b)) => (a * 10 + b, 2),
            (a, _) => (a.unwrap_or(0), 1),
        };
        let bang = u16::from(b'!');
        let mut spec: Vec<u16> = vec![u16::from(b's')];
        if rest.get(used) == Some(&bang) {
            let body = &rest[used + 1..];
            let end = body.iter().position(|&c| c == bang);
            let end = end.ok_or(WinError::Code(f::ERROR_INVALID_PARAMETER))?;
            spec = body[..end].to_vec();
            used += end + 2;
        }
        if self.flags & d::FORMAT_MESSAGE_IGNORE_INSERTS != 0 {
            self.push(u16::from(b'%'));
            for &unit in &rest[..used] {
                self.push(unit);
            }
            return Ok(used);
        }
        if self.arguments == 0 {
            return Err(WinError::Code(f::ERROR_INVALID_PARAMETER));
        }
        let slot = usize::SIZE[usize::from(self.wide)] as u64;
        let at = self.arguments.wrapping_add(slot * u64::from(number - 1));
        let text = format::one(&spec, &mut Slots { at, wide: self.wide }, self.ansi, self.wide)?;
        for unit in text {
            self.push(unit);
        }
        Ok(used)
    }

    fn run(&mut self, text: &[u16]) -> Win32<()> {
        let mut at = 0;
        while let Some(&unit) = text.get(at) {
            at += 1;
            match u8::try_from(unit) {
                Ok(b'\r') => {
                    at += usize::from(text.get(at) == Some(&u16::from(b'\n')));
                    self.soft_break();
                }
                Ok(b'\n') => self.soft_break(),
                Ok(b'%') => match self.escape(&text[at..])? {
                    Some(used) => at += used,
                    None => return Ok(()),
                },
                _ => self.push(unit),
            }
        }
        Ok(())
    }

    /// What follows a percent sign; `None` at `%0`, which ends the message.
    fn escape(&mut self, rest: &[u16]) -> Win32<Option<usize>> {
        let Some(&unit) = rest.first() else {
            self.push(u16::from(b'%'));
            return Ok(Some(0));
        };
        match u8::try_from(unit) {
            Ok(b'0') => return Ok(None),
            Ok(b'1'..=b'9') => return self.insert(rest).map(Some),
            Ok(b'n') => self.new_line(),
            Ok(b'r') => self.push(u16::from(b'\r')),
            Ok(b't') => self.push(u16::from(b'\t')),
            _ => self.push(unit),
        }
        Ok(Some(1))
    }
}

struct Request {
    flags: u32,
    source: u64,
    id: u32,
    language: u32,
    buffer: u64,
    size: u32,
    arguments: u64,
    ansi: bool,
}

fn definition(cx: &Cx, request: &Request) -> Win32<Vec<u16>> {
    let flags = request.flags;
    if flags & d::FORMAT_MESSAGE_FROM_STRING != 0 {
        if flags & (d::FORMAT_MESSAGE_FROM_HMODULE | d::FORMAT_MESSAGE_FROM_SYSTEM) != 0
            || request.source == 0
        {
            return Err(WinError::Code(f::ERROR_INVALID_PARAMETER));
        }
        return Ok(if request.ansi {
            AStr::new(request.source).to_wide()?
        } else {
            WStr::new(request.source).get()?
        });
    }
    if flags & (d::FORMAT_MESSAGE_FROM_HMODULE | d::FORMAT_MESSAGE_FROM_SYSTEM) == 0 {
        return Err(WinError::Code(f::ERROR_INVALID_PARAMETER));
    }
    if flags & d::FORMAT_MESSAGE_FROM_HMODULE != 0 {
        let handle = Handle(request.source.cast_signed());
        let found = from_module(cx, handle, request.id, request.language);
        if found.is_ok() || flags & d::FORMAT_MESSAGE_FROM_SYSTEM == 0 {
            return found;
        }
    }
    from_system(request.id, request.language)
}

fn format_message(cx: &Cx, request: &Request) -> Win32<u32> {
    let allocate = request.flags & d::FORMAT_MESSAGE_ALLOCATE_BUFFER != 0;
    if request.buffer == 0 {
        return Err(WinError::Code(f::ERROR_INVALID_PARAMETER));
    }
    if allocate {
        Ptr::<u64>::new(request.buffer).cast::<usize>().write(cx, 0)?;
    }
    let text = definition(cx, request)?;
    let mut arguments = request.arguments;
    if arguments != 0 && request.flags & d::FORMAT_MESSAGE_ARGUMENT_ARRAY == 0 {
        // A pointer to a `va_list`, which points at the slots.
        arguments = Ptr::<Ptr<u8>>::new(arguments).read(cx)?.addr();
    }
    let (flags, ansi, wide) = (request.flags, request.ansi, cx.is_64());
    let mut formatter = Formatter { flags, ansi, wide, arguments, out: Vec::new(), line: 0 };
    formatter.run(&text)?;
    let text = formatter.out;
    let (mut bytes, width) = if ansi { (Acp::encode(&text), 1) } else { (le_bytes(&text), 2) };
    let count = bytes.len() / width;
    bytes.extend(std::iter::repeat_n(0, width));
    let length = u32::try_from(count).map_err(|_| WinError::Code(f::ERROR_INVALID_PARAMETER))?;
    if !allocate {
        if length >= request.size {
            return Err(WinError::Code(f::ERROR_INSUFFICIENT_BUFFER));
        }
        mem::copy_out(request.buffer, &bytes)?;
        return Ok(length);
    }
    let size = bytes.len().max(request.size as usize * width) as u64;
    let block = cx.heaps().process().alloc(size, true).ok_or(WinError::Code(f::ERROR_NOT_ENOUGH_MEMORY))?;
    mem::copy_out(block, &bytes)?;
    Ptr::<Ptr<u8>>::new(request.buffer).write(cx, Ptr::new(block))?;
    Ok(length)
}

fn le_bytes(text: &[u16]) -> Vec<u8> {
    text.iter().flat_map(|u| u.to_le_bytes()).collect()
}

/// Formats a message string, from the caller's text, a module's message table or the system's texts.
#[shim(kernel32)]
fn FormatMessageW(
    cx: &Cx,
    flags: u32,
    source: Ptr<u8>,
    id: u32,
    language: u32,
    buffer: Ptr<u8>,
    size: u32,
    arguments: Ptr<u8>,
) -> Win32<u32> {
    let (source, buffer, arguments) = (source.addr(), buffer.addr(), arguments.addr());
    format_message(cx, &Request { flags, source, id, language, buffer, size, arguments, ansi: false })
}

/// The ANSI form of FormatMessageW; its string inserts are ANSI as well.
#[shim(kernel32)]
fn FormatMessageA(
    cx: &Cx,
    flags: u32,
    source: Ptr<u8>,
    id: u32,
    language: u32,
    buffer: Ptr<u8>,
    size: u32,
    arguments: Ptr<u8>,
) -> Win32<u32> {
    let (source, buffer, arguments) = (source.addr(), buffer.addr(), arguments.addr());
    format_message(cx, &Request { flags, source, id, language, buffer, size, arguments, ansi: true })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run(flags: u32, text: &str, slots: &[u64]) -> Win32<String> {
        let arguments = if slots.is_empty() { 0 } else { slots.as_ptr() as u64 };
        let mut it = Formatter { flags, ansi: false, wide: true, arguments, out: Vec::new(), line: 0 };
        it.run(&text.encode_utf16().collect::<Vec<_>>())?;
        Ok(String::from_utf16(&it.out).unwrap())
    }

    #[test]
    fn escapes_inserts_and_breaks() {
        assert_eq!(run(0, "a%nb%%c%!d%0e", &[]).unwrap(), "a\r\nb%c!d");
        assert_eq!(run(0, "one\ntwo\r\n", &[]).unwrap(), "one\r\ntwo\r\n");
        assert_eq!(run(255, "one\r\ntwo%nthree\n", &[]).unwrap(), "one two\r\nthree ");
        assert_eq!(run(8, "aaa bbb ccc dddddddddd", &[]).unwrap(), "aaa bbb\r\nccc\r\ndddddddd\r\ndd");
        assert_eq!(run(0, "%2!d!-%1!04x!", &[255, 7]).unwrap(), "7-00ff");
        assert_eq!(run(d::FORMAT_MESSAGE_IGNORE_INSERTS, "%1!s! %2%n", &[]).unwrap(), "%1!s! %2\r\n");
        assert_eq!(run(0, "%1", &[]), Err(WinError::Code(f::ERROR_INVALID_PARAMETER)));
        assert_eq!(run(0, "%1!d", &[1]), Err(WinError::Code(f::ERROR_INVALID_PARAMETER)));
    }
}
