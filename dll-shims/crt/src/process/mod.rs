//! Child processes and pipes (process.h, parts of stdio.h and io.h): started through kernel32, with descriptors 0 to 2 as their
//! standard handles.

pub(crate) mod exec;
pub(crate) mod pipe;

use std::collections::HashMap;
use std::sync::Mutex;

use transom_sdk::{Crt, CrtError, Cx, Guest, Handle, Ptr};

use crate::io;
use crate::rt::errno::ENOENT;
use crate::rt::{globals, guest, os};
use crate::stdlib::{env, kernel32};

/// STARTUPINFOW.
#[derive(Guest)]
#[mirrors(windows_sys::Win32::System::Threading::STARTUPINFOW)]
struct StartupInfo {
    size: u32,
    reserved: Ptr<u8>,
    desktop: Ptr<u8>,
    title: Ptr<u8>,
    x: u32,
    y: u32,
    width: u32,
    height: u32,
    columns: u32,
    rows: u32,
    fill: u32,
    flags: u32,
    show: u16,
    reserved_size: u16,
    reserved_data: Ptr<u8>,
    input: Handle,
    output: Handle,
    error: Handle,
}

/// PROCESS_INFORMATION.
#[derive(Guest)]
#[mirrors(windows_sys::Win32::System::Threading::PROCESS_INFORMATION)]
struct ProcessInformation {
    process: Handle,
    thread: Handle,
    process_id: u32,
    thread_id: u32,
}

/// Children of `_popen` by stream.
#[derive(Default)]
struct Children(Mutex<HashMap<u64, Handle>>);

/// Blocks of guest memory for the arguments of a call, freed together.
struct Scratch<'a> {
    cx: &'a Cx,
    blocks: Vec<u64>,
}

impl Drop for Scratch<'_> {
    fn drop(&mut self) {
        for at in &self.blocks {
            let _ = self.cx.heaps().process().free(*at);
        }
    }
}

impl<'a> Scratch<'a> {
    fn new(cx: &'a Cx) -> Self {
        Self { cx, blocks: Vec::new() }
    }

    fn bytes(&mut self, size: u64) -> Crt<u64> {
        let at = globals::allocate(self.cx, size)?;
        self.blocks.push(at);
        Ok(at)
    }

    fn text(&mut self, text: &[u16]) -> Crt<u64> {
        let at = self.bytes((text.len() as u64 + 1) * 2)?;
        guest::put(at, text)?;
        Ok(at)
    }
}

/// Lets children inherit a handle, or not.
fn set_inherit(cx: &Cx, handle: Handle, inherit: bool) -> Crt<()> {
    let args = [handle.0.cast_unsigned(), 1, u64::from(inherit)];
    kernel32::call(cx, "SetHandleInformation", &args).map(drop)
}

/// Starts a program; returns the child's handle. `standard` replaces the handles of descriptors 0 to 2 where given; `block` is an
/// environment block, or 0 for this process's.
fn start(cx: &Cx, program: &[u16], line: &[u16], standard: [Option<Handle>; 3], block: u64) -> Crt<Handle> {
    const STARTF_USESTDHANDLES: u32 = windows_sys::Win32::System::Threading::STARTF_USESTDHANDLES;
    const CREATE_UNICODE_ENVIRONMENT: u32 = windows_sys::Win32::System::Threading::CREATE_UNICODE_ENVIRONMENT;
    let mut handles = [Handle::NULL; 3];
    for (i, (handle, given)) in handles.iter_mut().zip(standard).enumerate() {
        let own = i32::try_from(i).ok().and_then(|fd| io::get(cx, fd).ok()).map(|d| d.handle);
        *handle = given.or(own).unwrap_or(Handle::NULL);
        if !handle.is_null() {
            set_inherit(cx, *handle, true)?;
        }
    }
    let mut scratch = Scratch::new(cx);
    let info = Ptr::<StartupInfo>::new(scratch.bytes(128)?);
    let [input, output, error] = handles;
    let none = Ptr::NULL;
    let start = StartupInfo {
        size: u32::try_from(cx.size_of::<StartupInfo>()).unwrap_or(0),
        reserved: none,
        desktop: none,
        title: none,
        x: 0,
        y: 0,
        width: 0,
        height: 0,
        columns: 0,
        rows: 0,
        fill: 0,
        flags: STARTF_USESTDHANDLES,
        show: 0,
        reserved_size: 0,
        reserved_data: none,
        input,
        output,
        error,
    };
    info.write(cx, start)?;
    let result = Ptr::<ProcessInformation>::new(scratch.bytes(32)?);
    let args = [
        scratch.text(program)?,
        scratch.text(line)?,
        0,
        0,
        1,
        u64::from(CREATE_UNICODE_ENVIRONMENT),
        block,
        0,
        info.addr(),
        result.addr(),
    ];
    if kernel32::call(cx, "CreateProcessW", &args)? & 0xFFFF_FFFF == 0 {
        return Err(kernel32::last_error(cx));
    }
    let made = result.read(cx)?;
    let _ = (made.process_id, made.thread_id);
    os::close(cx, made.thread)?;
    Ok(made.process)
}

/// Waits for a child and closes its handle; returns its exit code.
fn wait(cx: &Cx, child: Handle) -> Crt<i32> {
    const INFINITE: u64 = 0xFFFF_FFFF;
    kernel32::call(cx, "WaitForSingleObject", &[child.0.cast_unsigned(), INFINITE])?;
    let mut scratch = Scratch::new(cx);
    let code = scratch.bytes(8)?;
    kernel32::call(cx, "GetExitCodeProcess", &[child.0.cast_unsigned(), code])?;
    let code = transom_sdk::mem::read::<i32>(code)?;
    drop(scratch);
    os::close(cx, child)?;
    Ok(code)
}

/// The command interpreter: `COMSPEC`, if there is such a file.
fn interpreter(cx: &Cx) -> Option<Vec<u16>> {
    let named = env::find(cx, &"COMSPEC".encode_utf16().collect::<Vec<_>>());
    let default = "C:\\Windows\\System32\\cmd.exe".encode_utf16().collect();
    [named, Some(default)].into_iter().flatten().find(|path| cx.files().query(path).is_ok())
}

/// Runs a command with the command interpreter; returns the child's handle.
fn command(cx: &Cx, command: &[u16], standard: [Option<Handle>; 3]) -> Crt<Handle> {
    let shell = interpreter(cx).ok_or(CrtError::Errno(ENOENT))?;
    let mut line = shell.clone();
    line.extend(" /c ".encode_utf16());
    line.extend_from_slice(command);
    start(cx, &shell, &line, standard, 0)
}
