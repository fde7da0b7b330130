//! `tlhelp32.h`: snapshots of processes, threads and modules.

use std::sync::{Arc, Mutex, PoisonError};

use transom_sdk::{Cx, Guest, GuestData, Handle, Ptr, Win32, WinError, foundation as f, shim};
use transom_syscalls::handle::HandleFlags;
use transom_syscalls::object::{Kind, Object};
use transom_syscalls::process::list;
use windows_sys::Win32::System::Diagnostics::ToolHelp as h;

const MAX_PATH: usize = f::MAX_PATH as usize;
const MAX_MODULE_NAME32: usize = h::MAX_MODULE_NAME32 as usize;

/// PROCESSENTRY32W without its text, which follows.
#[derive(Guest, Debug, Clone, Copy)]
#[mirrors(head of windows_sys::Win32::System::Diagnostics::ToolHelp::PROCESSENTRY32W)]
struct ProcessHead {
    size: u32,
    usage: u32,
    id: u32,
    heap: usize,
    module: u32,
    threads: u32,
    parent: u32,
    priority: i32,
    flags: u32,
}

/// THREADENTRY32.
#[derive(Guest, Debug, Clone, Copy)]
#[mirrors(windows_sys::Win32::System::Diagnostics::ToolHelp::THREADENTRY32)]
struct ThreadEntry {
    size: u32,
    usage: u32,
    id: u32,
    owner: u32,
    priority: i32,
    delta: i32,
    flags: u32,
}

/// MODULEENTRY32 without its texts, which follow.
#[derive(Guest, Debug, Clone, Copy)]
#[mirrors(head of windows_sys::Win32::System::Diagnostics::ToolHelp::MODULEENTRY32W)]
struct ModuleHead {
    size: u32,
    id: u32,
    process: u32,
    global_usage: u32,
    usage: u32,
    base: Ptr<u8>,
    length: u32,
    handle: Ptr<u8>,
}

#[derive(Clone)]
struct Process {
    id: u32,
    parent: u32,
    threads: u32,
    name: Vec<u16>,
}

#[derive(Clone)]
struct Module {
    base: u64,
    length: u32,
    name: Vec<u16>,
    path: Vec<u16>,
}

/// What a snapshot holds, and how far it was read.
#[derive(Default)]
struct Snapshot {
    processes: Vec<Process>,
    /// Thread id and process id.
    threads: Vec<(u32, u32)>,
    modules: Vec<Module>,
    modules_of: u32,
    next: Mutex<[usize; 3]>,
}

impl Object for Snapshot {
    fn kind(&self) -> Kind {
        Kind::Section
    }
    fn as_any(&self) -> &dyn std::any::Any {
        self
    }
}

impl Snapshot {
    /// The next index of a list, from the start or going on.
    fn step(&self, list: usize, first: bool, len: usize) -> Win32<usize> {
        let mut next = self.next.lock().unwrap_or_else(PoisonError::into_inner);
        if first {
            next[list] = 0;
        }
        if next[list] >= len {
            return Err(WinError::Code(f::ERROR_NO_MORE_FILES));
        }
        next[list] += 1;
        Ok(next[list] - 1)
    }
}

/// The file name of a process's image: of host programs the executable's.
fn image_name(info: &list::ProcessInfo) -> Vec<u16> {
    let path = list::image(info.pid);
    let name = path.as_ref().and_then(|p| p.file_name()).map(|n| n.to_string_lossy().into_owned());
    name.unwrap_or_else(|| info.name.clone()).encode_utf16().collect()
}

/// Takes a snapshot of the processes, and of the modules and threads that they use.
#[shim(kernel32, fails = -1, partial = "no heaps; modules of the calling process only")]
fn CreateToolhelp32Snapshot(cx: &Cx, flags: u32, id: u32) -> Win32<Handle> {
    let own = std::process::id();
    let mut snapshot = Snapshot { modules_of: own, ..Snapshot::default() };
    let infos = if flags & (h::TH32CS_SNAPPROCESS | h::TH32CS_SNAPTHREAD) == 0 {
        Vec::new()
    } else {
        list::processes()
    };
    if flags & h::TH32CS_SNAPTHREAD != 0 {
        let threads = |i: &list::ProcessInfo| {
            let pid = i.pid;
            list::threads(pid).into_iter().map(move |tid| (tid * 4, pid)).collect::<Vec<_>>()
        };
        snapshot.threads = infos.iter().flat_map(threads).collect();
    }
    if flags & h::TH32CS_SNAPPROCESS != 0 {
        let entry = |i: &list::ProcessInfo| Process {
            id: i.pid,
            parent: i.parent,
            threads: i.threads,
            name: image_name(i),
        };
        snapshot.processes = infos.iter().map(entry).collect();
    }
    if flags & (h::TH32CS_SNAPMODULE | h::TH32CS_SNAPMODULE32) != 0 {
        if id != 0 && id != own {
            return Err(WinError::Code(f::ERROR_ACCESS_DENIED));
        }
        let entry = |m: &Arc<transom_loader::modules::Module>| Module {
            base: m.base,
            length: u32::try_from(m.size).unwrap_or(u32::MAX),
            name: m.file_name().to_vec(),
            path: m.path.to_vec(),
        };
        snapshot.modules = cx.modules().all().iter().map(entry).collect();
    }
    let flags = HandleFlags::inheritable(flags & h::TH32CS_INHERIT != 0);
    Ok(cx.handles().insert(Arc::new(snapshot), 0, flags)?.into())
}

/// Checks an entry's size member, which the caller sets.
fn check_size(cx: &Cx, at: Ptr<u8>, needed: usize) -> Win32<()> {
    if at.cast::<u32>().read(cx)? as usize >= needed {
        Ok(())
    } else {
        Err(WinError::Code(f::ERROR_BAD_LENGTH))
    }
}

/// Writes a text of fixed room, truncated if need be, in either form.
fn put_text(at: Ptr<u8>, room: usize, text: &[u16], ansi: bool) -> Win32<()> {
    if ansi {
        let mut bytes = transom_sdk::Acp::encode(text);
        bytes.truncate(room - 1);
        bytes.push(0);
        return Ok(at.write_slice(&bytes)?);
    }
    let mut text = text[..text.len().min(room - 1)].to_vec();
    text.push(0);
    Ok(at.cast::<u16>().write_slice(&text)?)
}

fn process(cx: &Cx, snapshot: Handle, at: Ptr<u8>, first: bool, ansi: bool) -> Win32<()> {
    let head = cx.size_of::<ProcessHead>();
    // The text follows the last number directly.
    let text = if cx.is_64() { 44 } else { 36 };
    check_size(cx, at, text.min(head))?;
    let snapshot = cx.object::<Snapshot>(snapshot, 0)?.to_arc();
    let entry = &snapshot.processes[snapshot.step(0, first, snapshot.processes.len())?];
    put_text(at.byte_add(text as u64), MAX_PATH, &entry.name, ansi)?;
    let value = ProcessHead {
        size: at.cast().read(cx)?,
        usage: 0,
        id: entry.id,
        heap: 0,
        module: 0,
        threads: entry.threads,
        parent: entry.parent,
        priority: 8,
        flags: 0,
    };
    // Field by field: the head's own padding, over the start of the text, is not written.
    Ok(at.cast().write(cx, value)?)
}

/// Retrieves information about the first process in a snapshot.
#[shim(kernel32)]
fn Process32FirstW(cx: &Cx, snapshot: Handle, entry: Ptr<u8>) -> Win32<()> {
    process(cx, snapshot, entry, true, false)
}

/// Retrieves information about the next process in a snapshot.
#[shim(kernel32)]
fn Process32NextW(cx: &Cx, snapshot: Handle, entry: Ptr<u8>) -> Win32<()> {
    process(cx, snapshot, entry, false, false)
}

/// The ANSI form of Process32FirstW.
#[shim(kernel32)]
fn Process32First(cx: &Cx, snapshot: Handle, entry: Ptr<u8>) -> Win32<()> {
    process(cx, snapshot, entry, true, true)
}

/// The ANSI form of Process32NextW.
#[shim(kernel32)]
fn Process32Next(cx: &Cx, snapshot: Handle, entry: Ptr<u8>) -> Win32<()> {
    process(cx, snapshot, entry, false, true)
}

fn thread(cx: &Cx, snapshot: Handle, at: Ptr<ThreadEntry>, first: bool) -> Win32<()> {
    check_size(cx, at.cast(), ThreadEntry::SIZE[0])?;
    let snapshot = cx.object::<Snapshot>(snapshot, 0)?.to_arc();
    let (id, owner) = snapshot.threads[snapshot.step(1, first, snapshot.threads.len())?];
    let size = at.cast().read(cx)?;
    Ok(at.write(cx, ThreadEntry { size, usage: 0, id, owner, priority: 8, delta: 0, flags: 0 })?)
}

/// Retrieves information about the first thread of any process in a snapshot.
#[shim(kernel32)]
fn Thread32First(cx: &Cx, snapshot: Handle, entry: Ptr<ThreadEntry>) -> Win32<()> {
    thread(cx, snapshot, entry, true)
}

/// Retrieves information about the next thread of any process in a snapshot.
#[shim(kernel32)]
fn Thread32Next(cx: &Cx, snapshot: Handle, entry: Ptr<ThreadEntry>) -> Win32<()> {
    thread(cx, snapshot, entry, false)
}

fn module(cx: &Cx, snapshot: Handle, at: Ptr<u8>, first: bool, ansi: bool) -> Win32<()> {
    let head = cx.size_of::<ModuleHead>();
    check_size(cx, at, head)?;
    let snapshot = cx.object::<Snapshot>(snapshot, 0)?.to_arc();
    let entry = &snapshot.modules[snapshot.step(2, first, snapshot.modules.len())?];
    let value = ModuleHead {
        size: at.cast().read(cx)?,
        id: 1,
        process: snapshot.modules_of,
        global_usage: 0xFFFF,
        usage: 0xFFFF,
        base: Ptr::new(entry.base),
        length: entry.length,
        handle: Ptr::new(entry.base),
    };
    at.cast().write(cx, value)?;
    let unit = if ansi { 1 } else { 2 };
    let text = at.byte_add(head as u64);
    put_text(text, MAX_MODULE_NAME32 + 1, &entry.name, ansi)?;
    put_text(text.byte_add(unit * (MAX_MODULE_NAME32 as u64 + 1)), MAX_PATH, &entry.path, ansi)
}

/// Retrieves information about the first module of a process.
#[shim(kernel32)]
fn Module32FirstW(cx: &Cx, snapshot: Handle, entry: Ptr<u8>) -> Win32<()> {
    module(cx, snapshot, entry, true, false)
}

/// Retrieves information about the next module of a process.
#[shim(kernel32)]
fn Module32NextW(cx: &Cx, snapshot: Handle, entry: Ptr<u8>) -> Win32<()> {
    module(cx, snapshot, entry, false, false)
}

/// The ANSI form of Module32FirstW.
#[shim(kernel32)]
fn Module32First(cx: &Cx, snapshot: Handle, entry: Ptr<u8>) -> Win32<()> {
    module(cx, snapshot, entry, true, true)
}

/// The ANSI form of Module32NextW.
#[shim(kernel32)]
fn Module32Next(cx: &Cx, snapshot: Handle, entry: Ptr<u8>) -> Win32<()> {
    module(cx, snapshot, entry, false, true)
}
