//! NtQueryObject, and functions on paths and state that are ntdll's alone.

use transom_sdk::{Cx, Guest, Handle, Nt, Ptr, Status, TextOut, WStr, Win32, foundation as f, mem, shim};
use transom_syscalls::file::FileObject;
use transom_syscalls::object::Kind;
use windows_sys::Wdk::Foundation as wdk;
use windows_sys::Win32::Storage::FileSystem as fs;

use super::probe::{fault, nt, put, put_opt, status};
use super::strings::UnicodeString;
use crate::kernel32::handleapi::{real, value};

/// PUBLIC_OBJECT_BASIC_INFORMATION.
#[derive(Guest, Debug, Clone, Copy)]
struct Basic {
    attributes: u32,
    access: u32,
    handles: u32,
    pointers: u32,
    reserved: [u32; 10],
}

/// The name of a type of objects.
fn type_name(kind: Kind) -> &'static str {
    match kind {
        Kind::File | Kind::Directory | Kind::Find => "File",
        Kind::Section => "Section",
        Kind::Process => "Process",
        Kind::Thread => "Thread",
        Kind::Event => "Event",
        Kind::Mutant => "Mutant",
        Kind::Semaphore => "Semaphore",
        Kind::Timer => "Timer",
        Kind::IoCompletion => "IoCompletion",
        Kind::Job => "Job",
        Kind::Key => "Key",
        Kind::KeyedEvent => "KeyedEvent",
        Kind::Token => "Token",
    }
}

/// The name of a file in the name space of devices; objects of other kinds have none that is told.
fn device_name(cx: &Cx, file: &FileObject) -> Vec<u16> {
    match file.file_type() {
        fs::FILE_TYPE_DISK => {}
        fs::FILE_TYPE_PIPE => return r"\Device\NamedPipe".encode_utf16().collect(),
        _ if file.is_terminal() => return r"\Device\ConDrv".encode_utf16().collect(),
        _ => return r"\Device\Null".encode_utf16().collect(),
    }
    let Ok(path) = file.final_path() else { return Vec::new() };
    let mask = cx.files().names.drive_mask();
    let letter = path.first().map_or(0, |unit| unit.saturating_sub(u16::from(b'A')).min(25));
    // Volumes are numbered in the order of their letters, as QueryDosDevice has it.
    let number = (mask & ((1 << letter) - 1)).count_ones() + 1;
    let mut name: Vec<u16> = format!(r"\Device\HarddiskVolume{number}").encode_utf16().collect();
    name.extend(path.get(2..).unwrap_or(&[]));
    name
}

/// Writes a UNICODE_STRING followed, after `gap` bytes, by its text.
fn named(cx: &Cx, out: Ptr<u8>, room: u32, needed: Ptr<u32>, (name, gap): (&[u16], usize)) -> Nt<()> {
    let head = cx.size_of::<UnicodeString>() + gap;
    // A name that is not there has no text at all, not even an empty one.
    let text = if name.is_empty() { 0 } else { 2 * (name.len() + 1) };
    let total = u32::try_from(head + text).unwrap_or(u32::MAX);
    put_opt(cx, needed, total)?;
    if room < total {
        return status(if room < u32::try_from(head).unwrap_or(0) {
            f::STATUS_INFO_LENGTH_MISMATCH
        } else {
            f::STATUS_BUFFER_OVERFLOW
        });
    }
    mem::fill(out.addr(), 0, head).map_err(fault)?;
    let at = out.byte_add(head as u64);
    let length = u16::try_from(2 * name.len()).map_err(|_| Status(f::STATUS_NAME_TOO_LONG))?;
    let string = if name.is_empty() {
        UnicodeString { length: 0, maximum: 0, buffer: Ptr::NULL }
    } else {
        mem::write_slice(at.addr(), &[name, &[0]].concat()).map_err(fault)?;
        UnicodeString { length, maximum: length.saturating_add(2), buffer: at.cast() }
    };
    put(cx, out.cast(), string)
}

/// Retrieves information about an object: its access, its name, its type.
#[shim(ntdll(NtQueryObject, ZwQueryObject), partial = "names of files only; of types only the name")]
fn NtQueryObject(cx: &Cx, handle: Handle, class: i32, out: Ptr<u8>, room: u32, needed: Ptr<u32>) -> Nt<()> {
    const NAME: i32 = 1;
    /// What follows the name in OBJECT_TYPE_INFORMATION.
    const COUNTS: usize = 88;
    let handle = real(cx, handle).map_err(nt)?;
    let object = cx.handles().object(value(handle).map_err(nt)?, 0)?.to_arc();
    match class {
        wdk::ObjectBasicInformation => {
            let size = u32::try_from(cx.size_of::<Basic>()).unwrap_or(0);
            put_opt(cx, needed, size)?;
            if room < size {
                return status(f::STATUS_INFO_LENGTH_MISMATCH);
            }
            let handles = cx.handles().count_of(&object);
            let access = cx.handles().access(value(handle).map_err(nt)?)?;
            let flags = cx.handles().flags(value(handle).map_err(nt)?)?;
            let attributes = if flags.inherit { f::OBJ_INHERIT } else { 0 };
            put(cx, out.cast(), Basic { attributes, access, handles, pointers: handles, reserved: [0; 10] })
        }
        NAME => {
            let name = cx.file(handle).map_or_else(|_| Vec::new(), |file| device_name(cx, &file));
            named(cx, out, room, needed, (&name, 0))
        }
        wdk::ObjectTypeInformation => {
            let name: Vec<u16> = type_name(object.kind()).encode_utf16().collect();
            named(cx, out, room, needed, (&name, COUNTS))
        }
        _ => status(f::STATUS_INVALID_INFO_CLASS),
    }
}

/// Retrieves the full path of a file; how many bytes it has, or needs.
#[shim(ntdll)]
fn RtlGetFullPathName_U(
    cx: &Cx,
    name: WStr,
    room: u32,
    out: TextOut,
    file_part: Ptr<Ptr<u16>>,
) -> Win32<u32> {
    let full = cx.files().names.full_path(&name.get()?)?;
    let len = out.put(&full, room / 2)?;
    if len < room / 2 && !file_part.is_null() {
        let start = full.iter().rposition(|&unit| unit == u16::from(b'\\')).map_or(0, |at| at + 1);
        let part = if start == full.len() { Ptr::NULL } else { Ptr::new(out.addr() + 2 * start as u64) };
        file_part.write(cx, part)?;
    }
    Ok(2 * len)
}

/// Says whether the process is ending and DLLs are told so. Once that is so, no other code runs.
#[shim(ntdll)]
fn RtlDllShutdownInProgress() -> u8 {
    0
}
