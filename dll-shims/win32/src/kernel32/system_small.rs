//! Functions of several headers that answer from what the system is: privileges, mitigations, power, hints.

use std::sync::Arc;

use transom_sdk::{
    Cx, Guest, Handle, NameStr, Out, Ptr, TextOut, WStr, Win32, WinError, foundation as f, mem, shim,
};
use transom_syscalls::handle::HandleFlags;
use transom_syscalls::sysinfo;
use transom_syscalls::wait::Event;
use windows_sys::Win32::System::Threading as t;

/// Determines whether the current directory should be searched for a program named like this.
#[shim(kernel32, ansi)]
fn NeedCurrentDirectoryForExePathW(cx: &Cx, name: WStr) -> Win32<bool> {
    let name = name.get()?;
    if name.contains(&u16::from(b'\\')) {
        return Ok(true);
    }
    let variable: Vec<u16> = "NoDefaultCurrentDirectoryInExePath".encode_utf16().collect();
    Ok(super::processenv::variable(cx, &variable)?.is_none())
}

/// SYSTEM_POWER_STATUS.
#[derive(Guest, Debug, Clone, Copy)]
struct PowerStatus {
    line: u8,
    battery: u8,
    percent: u8,
    saver: u8,
    seconds: u32,
    full_seconds: u32,
}

/// Retrieves the power status of the system: of a system without a battery that the system tells of.
#[shim(kernel32, partial = "batteries are not looked at")]
fn GetSystemPowerStatus(cx: &Cx, out: Out<PowerStatus>) -> Win32<()> {
    const UNKNOWN: u8 = 255;
    let status = PowerStatus {
        line: UNKNOWN,
        battery: UNKNOWN,
        percent: UNKNOWN,
        saver: 0,
        seconds: u32::MAX,
        full_seconds: u32::MAX,
    };
    Ok(out.write(cx, status)?)
}

/// Asks that the system stay awake: its own settings decide. The failure is what is documented.
#[shim(kernel32)]
fn SetThreadExecutionState(_flags: u32) -> u32 {
    0
}

/// Retrieves mitigation policy settings of a process: data execution prevention is on, no other policy is set.
#[shim(kernel32)]
fn GetProcessMitigationPolicy(
    _cx: &Cx,
    _process: Handle,
    policy: i32,
    out: Ptr<u8>,
    len: usize,
) -> Win32<()> {
    const ENABLED: u32 = 1;
    let (bytes, flags) = match policy {
        t::ProcessDEPPolicy => (8, ENABLED),
        t::ProcessMitigationOptionsMask => (len, 0),
        policy if (0..t::MaxProcessMitigationPolicy).contains(&policy) => (4, 0),
        _ => return Err(WinError::Code(f::ERROR_INVALID_PARAMETER)),
    };
    if len < bytes || len > 64 {
        return Err(WinError::Code(f::ERROR_INVALID_PARAMETER));
    }
    mem::fill(out.addr(), 0, len)?;
    if policy == t::ProcessDEPPolicy {
        // Permanent, as for every 64-bit program.
        mem::write(out.addr() + 4, &1u8)?;
    }
    if flags != 0 {
        mem::write(out.addr(), &flags)?;
    }
    Ok(())
}

/// Retrieves the Remote Desktop Services session of a process: there is one session, that of the user who is there.
#[shim(kernel32)]
fn ProcessIdToSessionId(cx: &Cx, process: u32, out: Out<u32>) -> Win32<()> {
    const INTERACTIVE: u32 = 1;
    if process == 0 {
        return Err(WinError::Code(f::ERROR_INVALID_PARAMETER));
    }
    Ok(out.write(cx, INTERACTIVE)?)
}

const LOW_MEMORY: i32 = 0;
const HIGH_MEMORY: i32 = 1;

/// Memory is low where less than a thirty-second part is available, as on Windows at the latest.
fn is_memory_low() -> bool {
    let status = sysinfo::memory_status();
    status.available < status.total / 32
}

/// The handles of memory notifications and what they are about.
#[derive(Default)]
struct Notifications(std::sync::Mutex<Vec<(i64, i32)>>);

/// Creates a memory resource notification object.
#[shim(kernel32, partial = "it is signalled as memory is when it is made")]
fn CreateMemoryResourceNotification(cx: &Cx, kind: i32) -> Win32<Handle> {
    let signalled = match kind {
        LOW_MEMORY => is_memory_low(),
        HIGH_MEMORY => !is_memory_low(),
        _ => return Err(WinError::Code(f::ERROR_INVALID_PARAMETER)),
    };
    let event: Arc<Event> = Event::new(true, signalled);
    let handle: Handle = cx.handles().insert(event, t::EVENT_ALL_ACCESS, HandleFlags::default())?.into();
    let mut all = cx.state::<Notifications>().0.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    all.retain(|(known, _)| *known != handle.0);
    all.push((handle.0, kind));
    Ok(handle)
}

/// Retrieves the state of the specified memory resource object.
#[shim(kernel32)]
fn QueryMemoryResourceNotification(cx: &Cx, handle: Handle, out: Out<i32>) -> Win32<()> {
    cx.object::<Event>(handle, 0)?;
    let kind = {
        let all = cx.state::<Notifications>().0.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        all.iter().find(|(known, _)| *known == handle.0).map(|(_, kind)| *kind)
    };
    let kind = kind.ok_or(WinError::Code(f::ERROR_INVALID_PARAMETER))?;
    Ok(out.write(cx, i32::from(is_memory_low() == (kind == LOW_MEMORY)))?)
}

/// Allocates physical memory pages: needs a privilege (SeLockMemoryPrivilege) that nobody has here.
#[shim(kernel32(AllocateUserPhysicalPages, AllocateUserPhysicalPagesNuma))]
fn AllocateUserPhysicalPages(
    _cx: &Cx,
    _process: Handle,
    _count: Ptr<usize>,
    _pages: Ptr<usize>,
) -> Win32<()> {
    Err(WinError::Code(f::ERROR_PRIVILEGE_NOT_HELD))
}

/// Frees physical memory pages: none have been allocated.
#[shim(kernel32)]
fn FreeUserPhysicalPages(_cx: &Cx, _process: Handle, _count: Ptr<usize>, _pages: Ptr<usize>) -> Win32<()> {
    Err(WinError::Code(f::ERROR_INVALID_PARAMETER))
}

/// Maps physical memory pages: none have been allocated.
#[shim(kernel32)]
fn MapUserPhysicalPages(_cx: &Cx, _at: Ptr<u8>, _count: usize, _pages: Ptr<usize>) -> Win32<()> {
    Err(WinError::Code(f::ERROR_INVALID_PARAMETER))
}

/// Sets the label of a file system volume: needs an administrator.
#[shim(kernel32, ansi)]
fn SetVolumeLabelW(_cx: &Cx, _root: Option<WStr>, _label: Option<WStr>) -> Win32<()> {
    Err(WinError::Code(f::ERROR_ACCESS_DENIED))
}

/// Defines, redefines, or deletes MS-DOS device names: drives are set up outside of programs.
#[shim(kernel32, ansi)]
fn DefineDosDeviceW(_cx: &Cx, _flags: u32, _device: Option<WStr>, _target: Option<WStr>) -> Win32<()> {
    Err(WinError::Code(f::ERROR_ACCESS_DENIED))
}

/// Deletes a drive letter or mounted folder: needs an administrator.
#[shim(kernel32, ansi)]
fn DeleteVolumeMountPointW(_cx: &Cx, _name: WStr) -> Win32<()> {
    Err(WinError::Code(f::ERROR_ACCESS_DENIED))
}

/// Sets the valid data length of a file: needs a privilege (SeManageVolumePrivilege).
#[shim(kernel32)]
fn SetFileValidData(cx: &Cx, file: Handle, _length: i64) -> Win32<()> {
    cx.file(file)?;
    Err(WinError::Code(f::ERROR_PRIVILEGE_NOT_HELD))
}

/// Retrieves what an MS-DOS device name stands for: drives are volumes. Without a name, the names.
#[shim(kernel32, ansi)]
fn QueryDosDeviceW(cx: &Cx, device: Option<WStr>, out: TextOut, room: u32) -> Win32<u32> {
    let mask = cx.files().names.drive_mask();
    let letters: Vec<u16> = (0..26u16).filter(|i| mask & 1 << i != 0).map(|i| u16::from(b'A') + i).collect();
    let mut text = Vec::new();
    match device {
        None => text.extend(letters.iter().flat_map(|letter| [*letter, u16::from(b':'), 0])),
        Some(device) => {
            let name = device.get()?;
            let upper = name.first().map(|&unit| transom_syscalls::path::fold::upcase(unit));
            let known = name.len() == 2 && name[1] == u16::from(b':');
            let index = upper.filter(|_| known).and_then(|letter| letters.iter().position(|l| *l == letter));
            let index = index.ok_or(WinError::Code(f::ERROR_FILE_NOT_FOUND))?;
            text.extend(format!("\\Device\\HarddiskVolume{}\0", index + 1).encode_utf16());
        }
    }
    // The list ends in a terminator of its own, which `put` adds and the length counts.
    let len = out.put(&text, room)?;
    if len >= room { Err(WinError::Code(f::ERROR_INSUFFICIENT_BUFFER)) } else { Ok(len + 1) }
}

/// Retrieves the actual number of bytes of disk storage used to store a file.
#[shim(kernel32, ansi, fails = -1)]
fn GetCompressedFileSizeW(cx: &Cx, name: NameStr, high: Option<Out<u32>>) -> Win32<u32> {
    let (low, top) = super::fileapi::halves(cx.files().query(&name.get()?)?.allocated);
    if let Some(high) = high {
        high.write(cx, top)?;
    }
    if low == u32::MAX {
        cx.set_last_error(f::ERROR_SUCCESS);
    }
    Ok(low)
}

/// Loads a packaged module: the program is not packaged.
#[shim(kernel32)]
fn LoadPackagedLibrary(_cx: &Cx, _name: WStr, _reserved: u32) -> Win32<Handle> {
    Err(WinError::Code(f::APPMODEL_ERROR_NO_PACKAGE))
}

/// Determines whether a handle is one of the console's.
#[shim(kernel32)]
fn VerifyConsoleIoHandle(cx: &Cx, handle: Handle) -> bool {
    cx.file(handle).is_ok_and(|file| file.is_terminal())
}
