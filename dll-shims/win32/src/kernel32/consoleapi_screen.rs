//! `consoleapi2.h`: cells of the screen. A terminal is written to by VT sequences and cannot be read back.

use transom_sdk::{Acp, Cx, Guest, GuestData, Handle, In, Out, Ptr, Win32, WinError, foundation as f, shim};
use transom_syscalls::console::{self, sgr};

use super::consoleapi::write_bytes;

/// SMALL_RECT.
#[derive(Guest, Debug, Clone, Copy)]
pub(crate) struct Rect {
    left: i16,
    top: i16,
    right: i16,
    bottom: i16,
}

/// CHAR_INFO.
#[derive(Guest, Debug, Clone, Copy)]
pub(crate) struct Cell {
    unit: u16,
    attributes: u16,
}

/// Writes a byte to the console screen buffer a number of times, from a position on.
#[shim(kernel32)]
fn FillConsoleOutputCharacterA(
    cx: &Cx,
    handle: Handle,
    character: u8,
    count: u32,
    position: u32,
    written: Out<u32>,
) -> Win32<()> {
    let unit = Acp::decode(&[character]).first().copied().unwrap_or_default();
    super::consoleapi::FillConsoleOutputCharacterW(cx, handle, unit, count, position, written)
}

/// The two halves of a COORD that came as one argument.
fn halves(position: u32) -> (usize, usize) {
    ((position & 0xFFFF) as usize, (position >> 16) as usize)
}

/// Cells of a row as text with the sequences that select their attributes.
fn row(cells: &[Cell], wide: bool) -> Vec<u8> {
    let mut out = Vec::new();
    let mut current = None;
    for run in cells.chunk_by(|a, b| a.attributes == b.attributes) {
        if current != Some(run[0].attributes) {
            out.extend(sgr(run[0].attributes).bytes());
            current = Some(run[0].attributes);
        }
        // A NUL is an empty cell.
        let blank = |unit: u16| if unit == 0 { u16::from(b' ') } else { unit };
        if wide {
            out.extend(Acp::encode(&run.iter().map(|c| blank(c.unit)).collect::<Vec<_>>()));
        } else {
            out.extend(run.iter().map(|c| blank(c.unit).to_le_bytes()[0]));
        }
    }
    out
}

fn write_cells(
    cx: &Cx,
    handle: Handle,
    cells: Ptr<Cell>,
    (size, at): (u32, u32),
    region: Ptr<Rect>,
    wide: bool,
) -> Win32<()> {
    let (columns, rows) = console::size(&*cx.file(handle)?)?;
    let ((width, height), (from_x, from_y)) = (halves(size), halves(at));
    let mut rect = region.read(cx)?;
    let last = |n: u16| i16::try_from(n).unwrap_or(i16::MAX) - 1;
    rect.right = rect.right.min(last(columns));
    rect.bottom = rect.bottom.min(last(rows));
    let cell_size = Cell::SIZE[0] as u64;
    for y in rect.top.max(0)..=rect.bottom {
        let source_y = from_y + usize::try_from(y - rect.top).unwrap_or(0);
        if source_y >= height {
            break;
        }
        let len = usize::try_from(rect.right - rect.left + 1).unwrap_or(0).min(width.saturating_sub(from_x));
        let base = (source_y * width + from_x) as u64;
        let read = |i: usize| cells.byte_add((base + i as u64) * cell_size).read(cx);
        let line = (0..len).map(read).collect::<Result<Vec<_>, _>>()?;
        let mut bytes = format!("\x1b[{};{}H", y + 1, rect.left.max(0) + 1).into_bytes();
        bytes.extend(row(&line, wide));
        write_bytes(cx, handle, &mut bytes)?;
    }
    let attributes = cx.state::<console::Console>().attributes();
    write_bytes(cx, handle, &mut sgr(attributes).into_bytes())?;
    Ok(region.write(cx, rect)?)
}

/// Writes character and color attribute data to a rectangular block of character cells.
#[shim(kernel32)]
fn WriteConsoleOutputW(
    cx: &Cx,
    handle: Handle,
    cells: Ptr<Cell>,
    size: u32,
    at: u32,
    region: Ptr<Rect>,
) -> Win32<()> {
    write_cells(cx, handle, cells, (size, at), region, true)
}

/// The ANSI form of WriteConsoleOutputW.
#[shim(kernel32)]
fn WriteConsoleOutputA(
    cx: &Cx,
    handle: Handle,
    cells: Ptr<Cell>,
    size: u32,
    at: u32,
    region: Ptr<Rect>,
) -> Win32<()> {
    write_cells(cx, handle, cells, (size, at), region, false)
}

/// Copies characters to consecutive cells, from a position on. The cursor stays where it was.
#[shim(kernel32)]
fn WriteConsoleOutputCharacterW(
    cx: &Cx,
    handle: Handle,
    text: Ptr<u16>,
    count: u32,
    position: u32,
    written: Out<u32>,
) -> Win32<()> {
    put_at(cx, handle, &Acp::encode(&text.read_slice(count as usize)?), position)?;
    Ok(written.write(cx, count)?)
}

/// The ANSI form of WriteConsoleOutputCharacterW.
#[shim(kernel32)]
fn WriteConsoleOutputCharacterA(
    cx: &Cx,
    handle: Handle,
    text: Ptr<u8>,
    count: u32,
    position: u32,
    written: Out<u32>,
) -> Win32<()> {
    put_at(cx, handle, &text.read_slice(count as usize)?, position)?;
    Ok(written.write(cx, count)?)
}

/// Writes text at a position, between saving and restoring the cursor.
fn put_at(cx: &Cx, handle: Handle, text: &[u8], position: u32) -> Win32<()> {
    let (x, y) = halves(position);
    let mut bytes = format!("\x1b7\x1b[{};{}H", y + 1, x + 1).into_bytes();
    bytes.extend(text);
    bytes.extend(b"\x1b8");
    write_bytes(cx, handle, &mut bytes)
}

/// What cells hold cannot be asked of a terminal.
#[shim(kernel32(ReadConsoleOutputCharacterW, ReadConsoleOutputCharacterA, ReadConsoleOutputAttribute))]
fn ReadConsoleOutputCharacterW(
    cx: &Cx,
    handle: Handle,
    _out: Ptr<u16>,
    _count: u32,
    _position: u32,
    read: Out<u32>,
) -> Win32<()> {
    console::size(&*cx.file(handle)?)?;
    read.write(cx, 0)?;
    Err(WinError::Code(f::ERROR_NOT_SUPPORTED))
}

/// What cells hold cannot be asked of a terminal.
#[shim(kernel32(ReadConsoleOutputW, ReadConsoleOutputA))]
fn ReadConsoleOutputW(
    cx: &Cx,
    handle: Handle,
    _out: Ptr<Cell>,
    _size: u32,
    _at: u32,
    _region: Ptr<Rect>,
) -> Win32<()> {
    console::size(&*cx.file(handle)?)?;
    Err(WinError::Code(f::ERROR_NOT_SUPPORTED))
}

/// Moves a block of cells: whole rows up or down, which is what a terminal can do.
#[shim(kernel32(ScrollConsoleScreenBufferW, ScrollConsoleScreenBufferA), partial = "whole rows only")]
fn ScrollConsoleScreenBufferW(
    cx: &Cx,
    handle: Handle,
    block: In<Rect>,
    _clip: Ptr<Rect>,
    to: u32,
    _fill: Ptr<Cell>,
) -> Win32<()> {
    let (columns, rows) = console::size(&*cx.file(handle)?)?;
    let block = block.read(cx)?;
    let coordinate = |half: u32| i32::from(u16::try_from(half).unwrap_or(0).cast_signed());
    let (to_x, to_y) = (coordinate(to & 0xFFFF), coordinate(to >> 16));
    let by = to_y - i32::from(block.top);
    if block.left != 0 || to_x != 0 || i32::from(block.right) + 1 < i32::from(columns) {
        return Err(WinError::Code(f::ERROR_NOT_SUPPORTED));
    }
    let (first, last) =
        (i32::from(block.top).min(to_y).max(0), i32::from(block.bottom).max(i32::from(block.bottom) + by));
    let last = last.min(i32::from(rows) - 1);
    let scroll = if by < 0 { format!("\x1b[{}S", -by) } else { format!("\x1b[{by}T") };
    let mut bytes = format!("\x1b7\x1b[{};{}r{scroll}\x1b[r\x1b8", first + 1, last + 1).into_bytes();
    write_bytes(cx, handle, &mut bytes)
}

/// Changes the size of a screen buffer: a terminal's is its window's, which is the user's.
#[shim(kernel32)]
fn SetConsoleScreenBufferSize(cx: &Cx, handle: Handle, size: u32) -> Win32<()> {
    let (columns, rows) = console::size(&*cx.file(handle)?)?;
    // Smaller than the window is an error on Windows as well.
    if halves(size) == (columns.into(), rows.into()) {
        Ok(())
    } else {
        Err(WinError::Code(f::ERROR_INVALID_PARAMETER))
    }
}

/// Sets the size and position of the window: a terminal's are the user's.
#[shim(kernel32)]
fn SetConsoleWindowInfo(cx: &Cx, handle: Handle, absolute: bool, window: In<Rect>) -> Win32<()> {
    let (columns, rows) = console::size(&*cx.file(handle)?)?;
    let rect = window.read(cx)?;
    let stays = if absolute {
        (rect.left, rect.top) == (0, 0)
            && (i32::from(rect.right) + 1, i32::from(rect.bottom) + 1) == (columns.into(), rows.into())
    } else {
        (rect.left, rect.top, rect.right, rect.bottom) == (0, 0, 0, 0)
    };
    if stays { Ok(()) } else { Err(WinError::Code(f::ERROR_INVALID_PARAMETER)) }
}

/// Retrieves the size of the largest possible console window: the terminal's size, in a COORD.
#[shim(kernel32)]
fn GetLargestConsoleWindowSize(cx: &Cx, handle: Handle) -> Win32<u32> {
    let (columns, rows) = console::size(&*cx.file(handle)?)?;
    Ok(u32::from(columns) | u32::from(rows) << 16)
}

/// CONSOLE_SCREEN_BUFFER_INFOEX.
#[derive(Guest, Debug, Clone, Copy)]
pub(crate) struct InfoEx {
    bytes: u32,
    size: [u16; 2],
    cursor: [u16; 2],
    attributes: u16,
    window: Rect,
    maximum: [u16; 2],
    popup: u16,
    full_screen: u32,
    colours: [u32; 16],
}

/// The colours of a console that nobody has configured.
const COLOURS: [u32; 16] = [
    0x0C_0C0C, 0xDA_3700, 0x0E_A113, 0xDD_963A, 0x1F_0FC5, 0x98_1788, 0x00_9CC1, 0xCC_CCCC, 0x76_7676,
    0xFF_783B, 0x0C_C616, 0xD6_D661, 0x56_48E7, 0x9E_00B4, 0xA5_F1F9, 0xF2_F2F2,
];

/// Retrieves extended information about the specified console screen buffer.
#[shim(kernel32, partial = "the cursor is reported at the upper left corner")]
fn GetConsoleScreenBufferInfoEx(cx: &Cx, handle: Handle, out: Ptr<InfoEx>) -> Win32<()> {
    let bytes = out.cast::<u32>().read(cx)?;
    if bytes as usize != cx.size_of::<InfoEx>() {
        return Err(WinError::Code(f::ERROR_INVALID_PARAMETER));
    }
    let (columns, rows) = console::size(&*cx.file(handle)?)?;
    let last = |n: u16| i16::try_from(n).unwrap_or(i16::MAX) - 1;
    let info = InfoEx {
        bytes,
        size: [columns, rows],
        cursor: [0, 0],
        attributes: cx.state::<console::Console>().attributes(),
        window: Rect { left: 0, top: 0, right: last(columns), bottom: last(rows) },
        maximum: [columns, rows],
        popup: 0xF5,
        full_screen: 0,
        colours: COLOURS,
    };
    Ok(out.write(cx, info)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_change_attributes_only_where_cells_do() {
        let cell = |unit: u8, attributes| Cell { unit: unit.into(), attributes };
        let text = row(&[cell(b'a', 7), cell(b'b', 7), cell(0, 0x1C)], true);
        assert_eq!(text, b"\x1b[0mab\x1b[0;91;44m ");
    }
}
