//! Other processes (and the own one through a handle): opening, ending, exit codes, images. Creating them is in
//! `processcreate`, their times and priorities in `process_times`.

use std::sync::Arc;

use transom_sdk::{
    AStr, Cx, Handle, Machine, Out, Ptr, TextOut, WStr, Win32, WinError, foundation as f, shim,
};
use transom_syscalls::handle::HandleFlags;
use transom_syscalls::process::{self, ProcessObject, list};
use windows_sys::Win32::System::SystemInformation as si;
use windows_sys::Win32::System::Threading as t;

use super::process_arg::process_of;

/// Opens an existing local process object.
#[shim(kernel32)]
fn OpenProcess(cx: &Cx, access: u32, inherit: bool, id: u32) -> Win32<Handle> {
    let process = process::open(id)?;
    Ok(cx.handles().insert(process, access, HandleFlags::inheritable(inherit))?.into())
}

/// Terminates the specified process and all of its threads.
#[shim(kernel32)]
fn TerminateProcess(cx: &Cx, process: Handle, code: u32) -> Win32<()> {
    let process = process_of(cx, process, t::PROCESS_TERMINATE)?;
    if process.is_current() {
        cx.process().terminate(code);
    }
    Ok(process.terminate(code)?)
}

/// Retrieves the termination status of the specified process.
#[shim(kernel32)]
fn GetExitCodeProcess(cx: &Cx, process: Handle, code: Out<u32>) -> Win32<()> {
    let process = process_of(cx, process, t::PROCESS_QUERY_LIMITED_INFORMATION)?;
    Ok(code.write(cx, process.exit_code())?)
}

/// Waits until the specified process has finished processing its initial input. A console process has no such state.
#[shim(kernel32, user32, fails = -1)]
fn WaitForInputIdle(cx: &Cx, process: Handle, _milliseconds: u32) -> Win32<u32> {
    process_of(cx, process, 0)?;
    Err(WinError::Code(f::ERROR_NOT_GUI_PROCESS))
}

/// Has no effect, as documented: handles are not counted per process.
#[shim(kernel32)]
fn SetHandleCount(count: u32) -> u32 {
    count
}

/// IMAGE_FILE_MACHINE of a guest's machine.
fn machine_number(machine: Machine) -> u16 {
    match machine {
        Machine::I386 => si::IMAGE_FILE_MACHINE_I386,
        Machine::Amd64 => si::IMAGE_FILE_MACHINE_AMD64,
        Machine::Arm64 => si::IMAGE_FILE_MACHINE_ARM64,
    }
}

/// The machine of a process's program; the calling one's if that cannot be told.
fn machine_of(cx: &Cx, process: &ProcessObject) -> Machine {
    if process.is_current() {
        return cx.machine();
    }
    let headers = list::image(process.id()).and_then(|path| transom_loader::map::headers_at(&path));
    headers.map_or(cx.machine(), |h| h.machine)
}

/// Determines whether the specified process is running under WOW64.
#[shim(kernel32)]
fn IsWow64Process(cx: &Cx, process: Handle, out: Out<u32>) -> Win32<()> {
    let process = process_of(cx, process, t::PROCESS_QUERY_LIMITED_INFORMATION)?;
    Ok(out.write(cx, u32::from(machine_of(cx, &process) == Machine::I386))?)
}

/// Determines whether a process runs under WOW64, and the machines of process and host.
#[shim(kernel32)]
fn IsWow64Process2(cx: &Cx, process: Handle, of_process: Out<u16>, native: Option<Out<u16>>) -> Win32<()> {
    let process = process_of(cx, process, t::PROCESS_QUERY_LIMITED_INFORMATION)?;
    let machine = machine_of(cx, &process);
    let wow = machine == Machine::I386;
    of_process.write(cx, if wow { machine_number(machine) } else { si::IMAGE_FILE_MACHINE_UNKNOWN })?;
    if let Some(native) = native {
        native.write(cx, machine_number(if wow { Machine::Amd64 } else { machine }))?;
    }
    Ok(())
}

/// The DOS path of a process's image.
pub(crate) fn image_name(cx: &Cx, process: &Arc<ProcessObject>) -> Win32<Vec<u16>> {
    if process.is_current()
        && let Some(program) = cx.modules().program()
    {
        return Ok(program.path.to_vec());
    }
    let path = list::image(process.id()).ok_or(WinError::Code(f::ERROR_ACCESS_DENIED))?;
    Ok(cx.files().names.to_dos(path.as_os_str().as_encoded_bytes()))
}

/// Retrieves the full name of the executable image for the specified process.
#[shim(kernel32, ansi)]
fn QueryFullProcessImageNameW(
    cx: &Cx,
    process: Handle,
    flags: u32,
    out: TextOut,
    size: Ptr<u32>,
) -> Win32<()> {
    if flags & !t::PROCESS_NAME_NATIVE != 0 {
        return Err(WinError::Code(f::ERROR_INVALID_PARAMETER));
    }
    let process = process_of(cx, process, t::PROCESS_QUERY_LIMITED_INFORMATION)?;
    let name = image_name(cx, &process)?;
    let room = size.read(cx)?;
    let length = out.put(&name, room)?;
    if length >= room {
        return Err(WinError::Code(f::ERROR_INSUFFICIENT_BUFFER));
    }
    Ok(size.write(cx, length)?)
}

/// Runs the specified application; returns a value greater than 31 on success.
#[shim(kernel32)]
fn WinExec(cx: &Cx, line: AStr, show: u32) -> u32 {
    match super::processcreate::run(cx, WStr::ansi(line), show) {
        Ok(()) => 33,
        Err(WinError::Code(f::ERROR_FILE_NOT_FOUND)) => f::ERROR_FILE_NOT_FOUND,
        Err(WinError::Code(f::ERROR_PATH_NOT_FOUND)) => f::ERROR_PATH_NOT_FOUND,
        Err(WinError::Code(_)) => f::ERROR_BAD_FORMAT,
        Err(WinError::Fault(bad)) => cx.access_violation(bad),
    }
}
