//! Directory enumeration.

use transom_sdk::{
    Acp, Args, Cx, GuestData, Handle, NameStr, Ptr, Win32, WinError, foundation as f, mem, shim,
};
use transom_sdk::{Arg, Guest};
use transom_syscalls::file::{Find, FindEntry};
use transom_syscalls::handle::HandleFlags;

use super::attributes::FileTime;
use super::halves;

/// The part of WIN32_FIND_DATA before the names.
#[derive(Guest, Debug, Clone, Copy)]
#[mirrors(head of windows_sys::Win32::Storage::FileSystem::WIN32_FIND_DATAW)]
struct FindDataHead {
    attributes: u32,
    created: FileTime,
    accessed: FileTime,
    written: FileTime,
    size_high: u32,
    size_low: u32,
    reserved0: u32,
    reserved1: u32,
}

/// Where a WIN32_FIND_DATA goes; its names are UTF-16 or, in the A forms, ANSI.
#[derive(Debug, Clone, Copy)]
struct FindDataOut {
    addr: u64,
    ansi: bool,
}

impl Arg for FindDataOut {
    const KIND: transom_sdk::Kind = transom_sdk::Kind::Pointer;
    fn fetch(args: &mut Args<'_>) -> Self {
        Self { addr: args.pointer(), ansi: args.ansi() }
    }
    fn show(args: &mut Args<'_>, out: &mut dyn std::fmt::Write) -> std::fmt::Result {
        Ptr::<u8>::show(args, out)
    }
}

impl FindDataOut {
    fn write(self, cx: &Cx, entry: &FindEntry) -> Win32<()> {
        const SHORT_NAME: usize = 14;
        let (size_low, size_high) = halves(entry.meta.size);
        let head = FindDataHead {
            attributes: entry.meta.attributes,
            created: FileTime::of(entry.meta.created),
            accessed: FileTime::of(entry.meta.accessed),
            written: FileTime::of(entry.meta.written),
            size_high,
            size_low,
            reserved0: entry.reparse_tag(),
            reserved1: 0,
        };
        Ptr::new(self.addr).write(cx, head)?;
        let names = self.addr + FindDataHead::SIZE[0] as u64;
        let room = f::MAX_PATH as usize;
        if self.ansi {
            let mut name = Acp::encode(&entry.name);
            name.truncate(room - 1);
            mem::copy_out(names, &name)?;
            mem::fill(names + name.len() as u64, 0, room - name.len() + SHORT_NAME)?;
        } else {
            let name = &entry.name[..entry.name.len().min(room - 1)];
            mem::write_slice(names, name)?;
            mem::write(names + 2 * name.len() as u64, &0u16)?;
            mem::fill(names + 2 * room as u64, 0, 2 * SHORT_NAME)?;
        }
        Ok(())
    }
}

fn no_file(status: transom_sdk::Status) -> WinError {
    status.into()
}

/// Searches a directory for a file or subdirectory with a name that matches a specific name (or partial name).
#[shim(kernel32, ansi, fails = -1)]
fn FindFirstFileW(cx: &Cx, name: NameStr, out: FindDataOut) -> Win32<Handle> {
    let (find, first) = cx.files().find_first(&name.get()?).map_err(no_file)?;
    out.write(cx, &first)?;
    Ok(cx.handles().insert(find, 0, HandleFlags::default())?.into())
}

/// Searches a directory with options.
#[shim(kernel32, ansi, fails = -1, partial = "the search operations that limit to directories are hints, as documented")]
fn FindFirstFileExW(
    cx: &Cx,
    name: NameStr,
    _level: u32,
    out: FindDataOut,
    _operation: u32,
    _filter: usize,
    _flags: u32,
) -> Win32<Handle> {
    FindFirstFileW(cx, name, out)
}

/// Continues a file search.
#[shim(kernel32, ansi)]
fn FindNextFileW(cx: &Cx, find: Handle, out: FindDataOut) -> Win32<()> {
    let entry = cx.object::<Find>(find, 0)?.next()?;
    out.write(cx, &entry)
}

/// Closes a file search handle.
#[shim(kernel32)]
fn FindClose(cx: &Cx, find: Handle) -> Win32<()> {
    // A search handle only; others stay open.
    if cx.object::<super::reopen::Streams>(find, 0).is_err() {
        cx.object::<Find>(find, 0)?;
    }
    Ok(cx.handles().close(crate::kernel32::handleapi::value(find)?)?)
}
