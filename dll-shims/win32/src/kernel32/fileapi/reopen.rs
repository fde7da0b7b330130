//! Other ways to open a file: CreateFile2, ReOpenFile; the streams of a file; the kind of a program.

use std::any::Any;
use std::sync::Arc;

use transom_sdk::{Cx, Guest, Handle, In, NameStr, Out, Ptr, Win32, WinError, foundation as f, mem, shim};
use transom_syscalls::file::{GuestRange, OpenRequest, Opened, Position};
use transom_syscalls::handle::HandleFlags;
use transom_syscalls::object::{Kind, Object};
use windows_sys::Win32::Storage::FileSystem as fs;
use windows_sys::Win32::System::WindowsProgramming::{SCS_32BIT_BINARY, SCS_64BIT_BINARY, SCS_DOS_BINARY};

use super::CreateFileW;
use crate::kernel32::synchapi::SecurityAttributes;

/// CREATEFILE2_EXTENDED_PARAMETERS.
#[derive(Guest, Debug, Clone, Copy)]
struct Extended {
    size: u32,
    attributes: u32,
    flags: u32,
    quality: u32,
    security: Ptr<SecurityAttributes>,
    template: Handle,
}

/// Creates or opens a file or I/O device, with what is seldom needed in a structure.
#[shim(kernel32, fails = -1)]
fn CreateFile2(
    cx: &Cx,
    name: NameStr,
    access: u32,
    share: u32,
    disposition: u32,
    extended: Option<In<Extended>>,
) -> Win32<Handle> {
    let Some(extended) = extended else {
        return CreateFileW(cx, name, access, share, Ptr::NULL, disposition, 0, Handle::NULL);
    };
    let e = extended.read(cx)?;
    if (e.size as usize) < cx.size_of::<Extended>() {
        return Err(WinError::Code(f::ERROR_INVALID_PARAMETER));
    }
    let flags = e.attributes | e.flags | e.quality;
    CreateFileW(cx, name, access, share, e.security, disposition, flags, e.template)
}

/// Reopens the specified file system object with different access rights, sharing mode, and flags.
#[shim(kernel32, fails = -1)]
fn ReOpenFile(cx: &Cx, original: Handle, access: u32, share: u32, flags: u32) -> Win32<Handle> {
    let path = cx.file(original)?.final_path()?;
    let request = OpenRequest::from_win32(access, share, fs::OPEN_EXISTING, flags)?;
    match cx.files().open(&path, &request)? {
        Opened::File(object, _) => {
            let access = object.access();
            Ok(cx.handles().insert(object, access, HandleFlags::default())?.into())
        }
        Opened::Console(_) | Opened::NamedPipe(_) => Err(WinError::Code(f::ERROR_INVALID_HANDLE)),
    }
}

/// An enumeration of streams that is over: a file here has one stream, which the first call has told.
pub(crate) struct Streams;

impl Object for Streams {
    fn kind(&self) -> Kind {
        Kind::Find
    }
    fn as_any(&self) -> &dyn Any {
        self
    }
}

/// Enumerates the first stream in the specified file or directory: a file has its data, a directory none.
#[shim(kernel32, fails = -1)]
fn FindFirstStreamW(cx: &Cx, name: NameStr, level: u32, out: Ptr<u8>, _flags: u32) -> Win32<Handle> {
    const STREAM_NAME_ROOM: usize = 296;
    if level != 0 {
        return Err(WinError::Code(f::ERROR_INVALID_PARAMETER));
    }
    let meta = cx.files().query(&name.get()?)?;
    if meta.is_directory() {
        return Err(WinError::Code(f::ERROR_HANDLE_EOF));
    }
    out.cast::<u64>().write(cx, meta.size)?;
    let mut text: Vec<u16> = "::$DATA".encode_utf16().collect();
    text.resize(STREAM_NAME_ROOM, 0);
    mem::write_slice(out.byte_add(8).addr(), &text)?;
    Ok(cx.handles().insert(Arc::new(Streams), 0, HandleFlags::default())?.into())
}

/// Continues a stream search.
#[shim(kernel32)]
fn FindNextStreamW(cx: &Cx, find: Handle, _out: Ptr<u8>) -> Win32<()> {
    cx.object::<Streams>(find, 0)?;
    Err(WinError::Code(f::ERROR_HANDLE_EOF))
}

/// Determines whether a file is an executable file, and what subsystem runs it.
#[shim(kernel32(GetBinaryTypeW), ansi)]
fn GetBinaryTypeW(cx: &Cx, name: NameStr, kind: Out<u32>) -> Win32<()> {
    let request = OpenRequest::from_win32(f::GENERIC_READ, fs::FILE_SHARE_READ, fs::OPEN_EXISTING, 0)?;
    let Opened::File(file, _) = cx.files().open(&name.get()?, &request)? else {
        return Err(WinError::Code(f::ERROR_BAD_EXE_FORMAT));
    };
    let mut head = vec![0; 4096];
    let len = file.read(GuestRange::of(&mut head), Position::At(0)).unwrap_or(0);
    match binary_type(&head[..len]) {
        Some(found) => Ok(kind.write(cx, found)?),
        None => Err(WinError::Code(f::ERROR_BAD_EXE_FORMAT)),
    }
}

/// The kind of program that the beginning of a file tells.
fn binary_type(head: &[u8]) -> Option<u32> {
    const DLL: u16 = 0x2000;
    const AT_HEADER: usize = 0x3C;
    let word = |at: usize| Some(u16::from_le_bytes(head.get(at..at + 2)?.try_into().ok()?));
    if !head.starts_with(b"MZ") {
        return None;
    }
    let at = head.get(AT_HEADER..AT_HEADER + 4).and_then(|b| b.try_into().ok()).map(u32::from_le_bytes)?;
    let at = usize::try_from(at).ok()?;
    if head.get(at..at.checked_add(4)?) != Some(b"PE\0\0") {
        return Some(SCS_DOS_BINARY);
    }
    if word(at + 22)? & DLL != 0 {
        return None;
    }
    match word(at + 4)? {
        0x14C => Some(SCS_32BIT_BINARY),
        0x8664 | 0xAA64 => Some(SCS_64BIT_BINARY),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_kind_of_a_program() {
        let mut head = vec![0; 0x100];
        assert_eq!(binary_type(&head), None);
        head[..2].copy_from_slice(b"MZ");
        assert_eq!(binary_type(&head), Some(SCS_DOS_BINARY));
        head[0x3C] = 0x80;
        head[0x80..0x84].copy_from_slice(b"PE\0\0");
        head[0x84..0x86].copy_from_slice(&0x8664u16.to_le_bytes());
        assert_eq!(binary_type(&head), Some(SCS_64BIT_BINARY));
        head[0x84..0x86].copy_from_slice(&0x14Cu16.to_le_bytes());
        assert_eq!(binary_type(&head), Some(SCS_32BIT_BINARY));
        head[0x97] = 0x20;
        assert_eq!(binary_type(&head), None, "a DLL");
        head[0x3C..0x40].copy_from_slice(&[0xFF; 4]);
        assert_eq!(binary_type(&head), Some(SCS_DOS_BINARY));
    }
}
