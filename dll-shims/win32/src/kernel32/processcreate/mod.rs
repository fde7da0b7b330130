//! CreateProcess: from its arguments to the process services' start-up block, or to a host program's start.
//!
//! Which file runs is in [`find`], STARTUPINFOEX's additions in [`attributes`].
//! What is done with processes once they are there is in `kernel32::processes`.

pub(crate) mod attributes;
mod find;

use std::ffi::CString;
use std::path::PathBuf;

use transom_sdk::{AStr, Cx, Guest, Handle, Out, Ptr, WStr, Win32, WinError, foundation as f, shim};
use transom_syscalls::handle::Handle as Value;
use transom_syscalls::process::host;
use transom_syscalls::process::image::{Form, directory as find_directory, host_environment};
use transom_syscalls::process::inherit::{self, collect};
use transom_syscalls::process::{
    Created, HostProgram, Inherited, Launch, Startup, create, create_host, mailbox,
};
use windows_sys::Win32::System::Threading as t;

use super::handleapi::real;
use super::processenv::{read_block, read_block_at};
use super::processthreadsapi::StartupInfo;
use super::synchapi::{SecurityAttributes, handle_flags};
use find::Found;

/// Flags of processes that do not share the console of their creator.
const OWN_CONSOLE: u32 = t::DETACHED_PROCESS | t::CREATE_NEW_CONSOLE | t::CREATE_NO_WINDOW;

/// The longest command line, without its terminator.
const LONGEST_LINE: usize = 32_766;

/// PROCESS_INFORMATION.
#[derive(Guest, Debug, Clone, Copy)]
#[mirrors(windows_sys::Win32::System::Threading::PROCESS_INFORMATION)]
pub(crate) struct ProcessInformation {
    process: Handle,
    thread: Handle,
    process_id: u32,
    thread_id: u32,
}

/// What CreateProcess is asked for beside the program.
struct Request {
    inherit: bool,
    flags: u32,
    /// Strings with terminators, without the final one.
    environment: Vec<u16>,
    /// The current directory: DOS path and host path.
    directory: (Vec<u16>, PathBuf),
    info: StartupInfo,
    title: Vec<u16>,
    desktop: Vec<u16>,
    attributes: Ptr<attributes::Head>,
}

/// Creates a new process and its primary thread.
#[shim(kernel32, ansi, partial = "no debugging")]
fn CreateProcessW(
    cx: &Cx,
    name: Option<WStr>,
    line: Option<WStr>,
    process_attributes: Ptr<SecurityAttributes>,
    thread_attributes: Ptr<SecurityAttributes>,
    inherit: bool,
    flags: u32,
    environment: Ptr<u16>,
    directory: Option<WStr>,
    startup: Ptr<StartupInfo>,
    out: Out<ProcessInformation>,
) -> Win32<()> {
    let ansi = name.or(line).is_some_and(WStr::is_ansi);
    let (name, line) = (name.map(WStr::get).transpose()?, line.map(WStr::get).transpose()?);
    if line.as_ref().is_some_and(|l| l.len() > LONGEST_LINE) {
        return Err(WinError::Code(f::ERROR_FILENAME_EXCED_RANGE));
    }
    check_flags(flags)?;
    let request = Request {
        inherit,
        flags,
        environment: child_environment(cx, environment, flags)?,
        directory: child_directory(cx, directory)?,
        ..request_of(cx, startup, flags, ansi)?
    };
    let none =
        ProcessInformation { process: Handle::NULL, thread: Handle::NULL, process_id: 0, thread_id: 0 };
    out.write(cx, none)?;
    let process_flags = handle_flags(cx, process_attributes)?;
    let thread_flags = handle_flags(cx, thread_attributes)?;
    let found = find::program(cx, name, line)?;
    let created = start(cx, &found, &request)?;
    let information = ProcessInformation {
        process_id: created.process.id(),
        thread_id: created.thread.id(),
        process: cx.handles().insert(created.process, t::PROCESS_ALL_ACCESS, process_flags)?.into(),
        thread: cx.handles().insert(created.thread, t::THREAD_ALL_ACCESS, thread_flags)?.into(),
    };
    Ok(out.write(cx, information)?)
}

/// Starts the child, in the jobs that it belongs to.
fn start(cx: &Cx, found: &Found, request: &Request) -> Win32<Created> {
    let list = attributes::handles(cx, request.attributes, t::PROC_THREAD_ATTRIBUTE_JOB_LIST)?;
    let jobs = super::jobapi::jobs_of(cx, list, request.flags)?;
    let created = match found.image.form {
        Form::Host => start_host(cx, found, request)?,
        _ => start_guest(cx, found, request)?,
    };
    for job in jobs {
        job.assign(&created.process)?;
    }
    Ok(created)
}

/// Starts a program and forgets about it, for WinExec and its like. The child has the creator's environment and folder.
pub(crate) fn run(cx: &Cx, line: WStr, show: u32) -> Win32<()> {
    let found = find::program(cx, None, Some(line.get()?))?;
    let request = Request {
        inherit: false,
        flags: 0,
        environment: child_environment(cx, Ptr::NULL, 0)?,
        directory: child_directory(cx, None)?,
        info: StartupInfo {
            flags: t::STARTF_USESHOWWINDOW,
            show_window: u16::try_from(show & 0xFFFF).unwrap_or(0),
            ..StartupInfo::empty(cx)
        },
        title: Vec::new(),
        desktop: Vec::new(),
        attributes: Ptr::NULL,
    };
    start(cx, &found, &request).map(drop)
}

fn check_flags(flags: u32) -> Win32<()> {
    let both = t::DETACHED_PROCESS | t::CREATE_NEW_CONSOLE;
    if flags & both == both {
        return Err(WinError::Code(f::ERROR_INVALID_PARAMETER));
    }
    if flags & (t::DEBUG_PROCESS | t::DEBUG_ONLY_THIS_PROCESS) != 0 {
        return Err(WinError::Code(f::ERROR_NOT_SUPPORTED));
    }
    Ok(())
}

/// What STARTUPINFO(EX) says.
fn request_of(cx: &Cx, startup: Ptr<StartupInfo>, flags: u32, ansi: bool) -> Win32<Request> {
    let info = startup.read(cx)?;
    let text = |at: Ptr<u8>| match at.addr() {
        0 => Ok(Vec::new()),
        at if ansi => AStr::new(at).to_wide(),
        at => WStr::new(at).get(),
    };
    let extended = flags & t::EXTENDED_STARTUPINFO_PRESENT != 0;
    let attributes = if extended {
        let size = cx.size_of::<StartupInfo>() as u64;
        startup.byte_add(size).cast::<Ptr<attributes::Head>>().read(cx)?
    } else {
        Ptr::NULL
    };
    Ok(Request {
        inherit: false,
        flags,
        environment: Vec::new(),
        directory: Default::default(),
        title: text(info.title)?,
        desktop: text(info.desktop)?,
        info,
        attributes,
    })
}

/// The child's environment: its creator's, or a block in UTF-16 or the ANSI code page.
fn child_environment(cx: &Cx, block: Ptr<u16>, flags: u32) -> Win32<Vec<u16>> {
    let mut strings = if block.is_null() {
        read_block(cx)?
    } else if flags & t::CREATE_UNICODE_ENVIRONMENT != 0 {
        read_block_at(block.addr())?
    } else {
        let mut strings = Vec::new();
        let mut at = block.addr();
        loop {
            let bytes = AStr::new(at).get()?;
            if bytes.is_empty() {
                break;
            }
            strings.extend(transom_sdk::Acp::decode(&bytes));
            strings.push(0);
            at += bytes.len() as u64 + 1;
        }
        strings.push(0);
        strings
    };
    strings.pop();
    Ok(strings)
}

/// The child's current directory: its creator's, or the one named, which must be there.
fn child_directory(cx: &Cx, directory: Option<WStr>) -> Win32<(Vec<u16>, PathBuf)> {
    let names = &cx.files().names;
    let Some(directory) = directory else {
        return Ok((names.current().directory.clone(), PathBuf::from(".")));
    };
    let wrong = |_| WinError::Code(f::ERROR_DIRECTORY);
    let dos = names.full_path(&directory.get()?).map_err(wrong)?;
    let host = find_directory(names, &dos).map_err(wrong)?;
    Ok((dos, host))
}

/// The standard handles that the child is to have, and those of them that are given to it without being inheritable.
fn standard_handles(cx: &Cx, request: &Request) -> Win32<([Handle; 3], bool)> {
    let info = &request.info;
    if info.flags & t::STARTF_USESTDHANDLES != 0 {
        return Ok(([info.std_input, info.std_output, info.std_error], false));
    }
    if request.flags & OWN_CONSOLE != 0 {
        return Ok(([Handle::NULL; 3], false));
    }
    let parameters = cx.parameters()?;
    let mut handles = [Handle::NULL; 3];
    for (i, handle) in (0..).zip(&mut handles) {
        *handle = Ptr::new(transom_loader::peb::std_handle_at(cx.words(), parameters, i)).read(cx)?;
    }
    Ok((handles, true))
}

/// What is passed on of a handle, whether or not it is inheritable; `None` if there is no such handle or it cannot be passed.
fn passed(cx: &Cx, handle: Handle) -> Option<Inherited> {
    let value = Value::from_guest(real(cx, handle).ok()?.0.cast_unsigned())?;
    let object = cx.handles().object(value, 0).ok()?;
    let access = cx.handles().access(value).ok()?;
    let passed = object.pass()?;
    Some(Inherited {
        value: value.0,
        access,
        kind: passed.kind,
        descriptors: passed.descriptors,
        state: passed.state,
    })
}

fn start_guest(cx: &Cx, found: &Found, request: &Request) -> Win32<Created> {
    let (standard, given) = standard_handles(cx, request)?;
    let mut handles = if request.inherit { inherited(cx, request)? } else { Vec::new() };
    if given {
        for handle in standard {
            match passed(cx, handle) {
                Some(passed) if handles.iter().all(|h| h.value != passed.value) => handles.push(passed),
                _ => {}
            }
        }
    }
    let info = &request.info;
    let runtime_data = if info.reserved2.is_null() {
        Vec::new()
    } else {
        info.reserved2.read_slice(info.reserved2_size.into())?
    };
    let value = |h: Handle| u32::try_from(h.0.cast_unsigned() & u64::from(u32::MAX)).unwrap_or(0);
    let startup = Startup {
        image: found.image.path.clone(),
        image_name: found.dos.clone(),
        command_line: found.line.clone(),
        environment: request.environment.clone(),
        directory: request.directory.0.clone(),
        title: if request.title.is_empty() { found.dos.clone() } else { request.title.clone() },
        desktop: request.desktop.clone(),
        runtime_data,
        window: [
            info.x,
            info.y,
            info.x_size,
            info.y_size,
            info.x_count_chars,
            info.y_count_chars,
            info.fill_attribute,
            info.flags,
            info.show_window.into(),
        ],
        standard_handles: standard.map(value),
        creation_flags: request.flags,
        options: cx.process().options.for_children.clone(),
        handles,
    };
    // Messages of Transom itself go where the program's go. The standard handles have descriptors of their own, so that
    // closing one closes its file.
    let messages = passed(cx, standard[2]).and_then(|p| p.descriptors.first().copied());
    // The child may ask for handles, and be given some.
    cx.files().accept_inherited();
    mailbox::keep(cx.handles())?;
    Ok(create(&startup, &launch(request, [None, None, messages], &host_environment()))?)
}

fn inherited(cx: &Cx, request: &Request) -> Win32<Vec<Inherited>> {
    let list = attributes::handles(cx, request.attributes, t::PROC_THREAD_ATTRIBUTE_HANDLE_LIST)?;
    let only: Option<Vec<Value>> =
        list.map(|l| l.iter().filter_map(|h| Value::from_guest(h.0.cast_unsigned())).collect());
    Ok(collect(cx.handles(), only.as_deref())?)
}

fn start_host(cx: &Cx, found: &Found, request: &Request) -> Win32<Created> {
    let (standard, _) = standard_handles(cx, request)?;
    let standard = standard.map(|h| passed(cx, h).and_then(|p| p.descriptors.first().copied()));
    let arguments = host::arguments(&cx.files().names, &found.line);
    let program = HostProgram { path: &found.image.path, arguments: &arguments, descriptors: &[] };
    let environment = host::environment(&cx.files().names, &request.environment);
    Ok(create_host(&program, &launch(request, standard, &environment))?)
}

/// The rest of how a child starts; guests and host programs differ in their standard descriptors and environments.
fn launch<'a>(
    request: &'a Request,
    standard: [Option<inherit::Descriptor>; 3],
    host_environment: &'a [CString],
) -> Launch<'a> {
    Launch {
        standard,
        directory: &request.directory.1,
        suspended: request.flags & t::CREATE_SUSPENDED != 0,
        detached: request.flags & OWN_CONSOLE != 0,
        host_environment,
    }
}
