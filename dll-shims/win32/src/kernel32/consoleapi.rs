//! `consoleapi.h`, `consoleapi2.h`: the console. A terminal is one; a file or pipe is not.

use std::sync::{Mutex, PoisonError};

use transom_sdk::{Acp, Cx, Guest, Handle, Out, Ptr, TextOut, WStr, Win32, WinError, foundation as f, shim};
use transom_syscalls::console::{self, Console, ScreenBuffer};
use transom_syscalls::console_input::InputBuffer;
use transom_syscalls::file::{GuestRange, Position};
use transom_syscalls::handle::HandleFlags;
use transom_syscalls::path::Device;

use super::stringapiset::CODE_PAGE;
use super::synchapi::{SecurityAttributes, handle_flags};

const INVALID_HANDLE: WinError = WinError::Code(f::ERROR_INVALID_HANDLE);

/// Opens `CONIN$` or `CONOUT$`.
pub(crate) fn open_device(cx: &Cx, device: Device, access: u32, flags: HandleFlags) -> Win32<Handle> {
    let output = match device {
        Device::ConOut => true,
        Device::Con => access & f::GENERIC_WRITE != 0,
        _ => false,
    };
    let file = console::open_terminal(cx.files(), output)?;
    let access = file.access();
    Ok(cx.handles().insert(file, access, flags)?.into())
}

/// Retrieves the current mode of a console's input buffer or the current output mode of a console screen buffer.
#[shim(kernel32)]
fn GetConsoleMode(cx: &Cx, handle: Handle, mode: Out<u32>) -> Win32<()> {
    let value = cx.state::<Console>().mode(&*cx.file(handle)?)?;
    Ok(mode.write(cx, value)?)
}

/// Sets the input mode of a console's input buffer or the output mode of a console screen buffer.
#[shim(kernel32)]
fn SetConsoleMode(cx: &Cx, handle: Handle, mode: u32) -> Win32<()> {
    Ok(cx.state::<Console>().set_mode(&*cx.file(handle)?, mode)?)
}

/// Writes bytes to a console.
pub(crate) fn write_bytes(cx: &Cx, handle: Handle, bytes: &mut [u8]) -> Win32<()> {
    let file = cx.file(handle)?;
    if !file.is_terminal() {
        return Err(INVALID_HANDLE);
    }
    file.write(GuestRange::of(bytes), Position::Current)?;
    Ok(())
}

/// Writes a character string to a console screen buffer beginning at the current cursor location.
#[shim(kernel32)]
fn WriteConsoleW(
    cx: &Cx,
    handle: Handle,
    text: Ptr<u16>,
    len: u32,
    written: Option<Out<u32>>,
    _reserved: usize,
) -> Win32<()> {
    let mut bytes = Acp::encode(&text.read_slice(len as usize)?);
    write_bytes(cx, handle, &mut bytes)?;
    if let Some(out) = written {
        out.write(cx, len)?;
    }
    Ok(())
}

/// The ANSI form of WriteConsoleW.
#[shim(kernel32)]
fn WriteConsoleA(
    cx: &Cx,
    handle: Handle,
    text: Ptr<u8>,
    len: u32,
    written: Option<Out<u32>>,
    _reserved: usize,
) -> Win32<()> {
    let mut bytes = text.read_slice(len as usize)?;
    write_bytes(cx, handle, &mut bytes)?;
    if let Some(out) = written {
        out.write(cx, len)?;
    }
    Ok(())
}

/// What of a line did not fit the last ReadConsole.
#[derive(Default)]
struct Pending(Mutex<Vec<u16>>);

/// Reads a line (or in raw mode what there is) as UTF-16, with Windows' line ends.
fn read_units(cx: &Cx, handle: Handle, room: usize) -> Win32<Vec<u16>> {
    let pending = cx.state::<Pending>();
    let mut units = std::mem::take(&mut *pending.0.lock().unwrap_or_else(PoisonError::into_inner));
    if units.is_empty() {
        let file = cx.file(handle)?;
        let mode = cx.state::<Console>().mode(&file)?;
        let mut buffer = vec![0u8; 4096];
        let n = file.read(GuestRange::of(&mut buffer), Position::Current)?;
        let cooked = mode & windows_sys::Win32::System::Console::ENABLE_LINE_INPUT != 0;
        for unit in Acp::decode(&buffer[..n]) {
            if unit == u16::from(b'\n') && cooked {
                units.push(u16::from(b'\r'));
            }
            units.push(unit);
        }
    }
    if units.len() > room {
        *pending.0.lock().unwrap_or_else(PoisonError::into_inner) = units.split_off(room);
    }
    Ok(units)
}

/// Reads character input from the console input buffer and removes it from the buffer.
#[shim(kernel32, partial = "the control structure is ignored")]
fn ReadConsoleW(
    cx: &Cx,
    handle: Handle,
    text: Ptr<u16>,
    len: u32,
    read: Out<u32>,
    _control: usize,
) -> Win32<()> {
    let units = read_units(cx, handle, len as usize)?;
    text.write_slice(&units)?;
    Ok(read.write(cx, u32::try_from(units.len()).unwrap_or(0))?)
}

/// The ANSI form of ReadConsoleW.
#[shim(kernel32, partial = "the control structure is ignored")]
fn ReadConsoleA(
    cx: &Cx,
    handle: Handle,
    text: Ptr<u8>,
    len: u32,
    read: Out<u32>,
    _control: usize,
) -> Win32<()> {
    let bytes = Acp::encode(&read_units(cx, handle, len as usize / 3)?);
    text.write_slice(&bytes)?;
    Ok(read.write(cx, u32::try_from(bytes.len()).unwrap_or(0))?)
}

/// COORD.
#[derive(Guest, Debug, Clone, Copy)]
#[mirrors(windows_sys::Win32::System::Console::COORD)]
struct Coord {
    x: i16,
    y: i16,
}

/// CONSOLE_SCREEN_BUFFER_INFO.
#[derive(Guest, Debug, Clone, Copy)]
#[mirrors(windows_sys::Win32::System::Console::CONSOLE_SCREEN_BUFFER_INFO)]
struct ScreenBufferInfo {
    size: Coord,
    cursor: Coord,
    attributes: u16,
    window: [i16; 4],
    maximum: Coord,
}

/// Retrieves information about the specified console screen buffer. The buffer is as large as the window.
#[shim(kernel32, partial = "the cursor is reported at the upper left corner")]
fn GetConsoleScreenBufferInfo(cx: &Cx, handle: Handle, out: Out<ScreenBufferInfo>) -> Win32<()> {
    let (columns, rows) = match cx.object::<ScreenBuffer>(handle, 0) {
        Ok(buffer) => buffer.size(),
        Err(_) => console::size(&*cx.file(handle)?)?,
    };
    let signed = |n: u16| i16::try_from(n).unwrap_or(i16::MAX);
    let size = Coord { x: signed(columns), y: signed(rows) };
    let info = ScreenBufferInfo {
        size,
        cursor: Coord { x: 0, y: 0 },
        attributes: cx.state::<Console>().attributes(),
        window: [0, 0, size.x - 1, size.y - 1],
        maximum: size,
    };
    Ok(out.write(cx, info)?)
}

/// Creates a console screen buffer.
#[shim(kernel32, fails = -1, partial = "it has a size, and cannot be shown or written to")]
fn CreateConsoleScreenBuffer(
    cx: &Cx,
    access: u32,
    _share: u32,
    attributes: Ptr<SecurityAttributes>,
    flags: u32,
    _data: usize,
) -> Win32<Handle> {
    const CONSOLE_TEXTMODE_BUFFER: u32 = 1;
    if flags != CONSOLE_TEXTMODE_BUFFER {
        return Err(WinError::Code(f::ERROR_INVALID_PARAMETER));
    }
    let flags = handle_flags(cx, attributes)?;
    Ok(cx.handles().insert(ScreenBuffer::new(cx.files()), access, flags)?.into())
}

/// Sets the attributes of characters written to the console screen buffer.
#[shim(kernel32)]
fn SetConsoleTextAttribute(cx: &Cx, handle: Handle, attributes: u16) -> Win32<()> {
    Ok(cx.state::<Console>().set_attributes(&*cx.file(handle)?, attributes)?)
}

/// Retrieves the input or output code page used by the console.
#[shim(kernel32(GetConsoleCP, GetConsoleOutputCP))]
fn GetConsoleCP() -> u32 {
    CODE_PAGE
}

/// Sets the code page used by the console. Terminals speak UTF-8 alone.
#[shim(kernel32(SetConsoleCP, SetConsoleOutputCP), partial = "terminals speak UTF-8 whatever is set")]
fn SetConsoleCP(_cx: &Cx, page: u32) -> Win32<()> {
    if transom_sdk::codepage::CodePage::new(page).is_some() {
        Ok(())
    } else {
        Err(WinError::Code(f::ERROR_INVALID_PARAMETER))
    }
}

/// Retrieves the title of the console window: what was set.
#[derive(Default)]
struct Title(Mutex<Vec<u16>>);

/// Sets the title of the console window.
#[shim(kernel32, ansi)]
fn SetConsoleTitleW(cx: &Cx, title: WStr) -> Win32<()> {
    let text = title.get()?;
    *cx.state::<Title>().0.lock().unwrap_or_else(PoisonError::into_inner) = text;
    Ok(())
}

/// Retrieves the title of the console window.
#[shim(kernel32, ansi)]
fn GetConsoleTitleW(cx: &Cx, out: TextOut, size: u32) -> Win32<u32> {
    let text = cx.state::<Title>().0.lock().unwrap_or_else(PoisonError::into_inner).clone();
    Ok(out.put_truncated(&text, size)?.0)
}

/// Retrieves the window handle of the console: there is no window.
#[shim(kernel32)]
fn GetConsoleWindow() -> Handle {
    Handle::NULL
}

/// Flushes the console input buffer.
#[shim(kernel32)]
fn FlushConsoleInputBuffer(cx: &Cx, handle: Handle) -> Win32<()> {
    let file = cx.file(handle)?;
    cx.state::<InputBuffer>().flush(&file)?;
    cx.state::<Pending>().0.lock().unwrap_or_else(PoisonError::into_inner).clear();
    Ok(())
}

/// CONSOLE_CURSOR_INFO.
#[derive(Guest, Debug, Clone, Copy)]
#[mirrors(windows_sys::Win32::System::Console::CONSOLE_CURSOR_INFO)]
struct CursorInfo {
    size: u32,
    visible: bool,
}

/// Retrieves information about the size and visibility of the cursor.
#[shim(kernel32)]
fn GetConsoleCursorInfo(cx: &Cx, handle: Handle, out: Out<CursorInfo>) -> Win32<()> {
    console::size(&*cx.file(handle)?)?;
    Ok(out.write(cx, CursorInfo { size: 25, visible: true })?)
}

/// Sets the size and visibility of the cursor.
#[shim(kernel32)]
fn SetConsoleCursorInfo(cx: &Cx, handle: Handle, info: Ptr<CursorInfo>) -> Win32<()> {
    let mut sequence = if info.read(cx)?.visible { *b"\x1b[?25h" } else { *b"\x1b[?25l" };
    write_bytes(cx, handle, &mut sequence)
}

/// Sets the cursor position; the two halves of the argument are column and row.
#[shim(kernel32)]
fn SetConsoleCursorPosition(cx: &Cx, handle: Handle, position: u32) -> Win32<()> {
    let (column, row) = (position & 0xFFFF, position >> 16);
    write_bytes(cx, handle, format!("\x1b[{};{}H", row + 1, column + 1).into_bytes().as_mut_slice())
}

/// Writes a character to the console screen buffer a number of times, from a position on.
#[shim(kernel32)]
pub(crate) fn FillConsoleOutputCharacterW(
    cx: &Cx,
    handle: Handle,
    character: u16,
    count: u32,
    position: u32,
    written: Out<u32>,
) -> Win32<()> {
    const MOST: u32 = 1 << 16;
    SetConsoleCursorPosition(cx, handle, position)?;
    let count = count.min(MOST);
    let mut text = Acp::encode(&vec![character; count as usize]);
    write_bytes(cx, handle, &mut text)?;
    SetConsoleCursorPosition(cx, handle, position)?;
    Ok(written.write(cx, count)?)
}

/// Sets the attributes for a number of cells: the cells keep their own until they are written again.
#[shim(kernel32, partial = "cells that are on the screen keep their attributes")]
fn FillConsoleOutputAttribute(
    cx: &Cx,
    handle: Handle,
    _attribute: u16,
    count: u32,
    _position: u32,
    written: Out<u32>,
) -> Win32<()> {
    console::size(&*cx.file(handle)?)?;
    Ok(written.write(cx, count)?)
}

/// Allocates a new console: the process has the one it was started on.
#[shim(kernel32)]
fn AllocConsole() -> Win32<()> {
    Err(WinError::Code(f::ERROR_ACCESS_DENIED))
}

/// Attaches to another process's console: the process has its own.
#[shim(kernel32)]
fn AttachConsole(_cx: &Cx, _process: u32) -> Win32<()> {
    Err(WinError::Code(f::ERROR_ACCESS_DENIED))
}

/// Detaches the calling process from its console.
#[shim(kernel32, partial = "standard handles keep working")]
fn FreeConsole() -> bool {
    true
}

/// Retrieves the process identifiers of the processes attached to the current console.
#[shim(kernel32, partial = "the calling process alone")]
fn GetConsoleProcessList(cx: &Cx, list: Ptr<u32>, count: u32) -> Win32<u32> {
    if count >= 1 {
        list.write(cx, std::process::id())?;
    }
    Ok(1)
}
