//! `processthreadsapi.h`: threads, thread-local storage, and the process itself.

use std::sync::{Mutex, PoisonError};

use transom_sdk::{
    Acp, Cx, Func, Guest, Handle, Out, Ptr, Status, ThreadStart, WStr, Win32, WinError, foundation as f, mem,
    shim,
};
use transom_syscalls::handle::HandleFlags;
use transom_syscalls::process::MainThread;
use transom_syscalls::thread::{self, Spawn, ThreadObject, spawn};
use windows_sys::Win32::System::Threading as t;

use super::synchapi::{SecurityAttributes, handle_flags};

/// Size of the host stack that a guest thread's shims run on, in bytes. Only what is touched costs memory.
pub(crate) const HOST_STACK: usize = 1 << 20;

/// Ends the calling process and all its threads.
#[shim(kernel32, ntdll(RtlExitUserProcess))]
fn ExitProcess(cx: &Cx, code: u32) -> ! {
    cx.process().exit(cx, code)
}

/// Retrieves the process identifier of the calling process.
#[shim(kernel32, leaf = transom_cpu::leaf::thread::get_current_process_id)]
fn GetCurrentProcessId() -> u32 {
    std::process::id()
}

/// Retrieves the thread identifier of the calling thread.
#[shim(kernel32, leaf = transom_cpu::leaf::thread::get_current_thread_id)]
fn GetCurrentThreadId(cx: &Cx) -> u32 {
    cx.thread_id()
}

/// Retrieves a pseudo handle for the current process.
#[shim(kernel32, leaf = transom_cpu::leaf::thread::get_current_process)]
fn GetCurrentProcess() -> Handle {
    Handle(-1)
}

/// Retrieves a pseudo handle for the calling thread.
#[shim(kernel32, leaf = transom_cpu::leaf::thread::get_current_thread)]
fn GetCurrentThread() -> Handle {
    Handle(-2)
}

/// Creates a thread to execute within the virtual address space of the calling process.
#[shim(kernel32)]
pub(crate) fn CreateThread(
    cx: &Cx,
    attributes: Ptr<SecurityAttributes>,
    stack_size: usize,
    start: Func,
    parameter: usize,
    flags: u32,
    id: Option<Out<u32>>,
) -> Win32<Handle> {
    let handle_flags = handle_flags(cx, attributes)?;
    let (reserve, commit) = stack_sizes(cx, stack_size as u64, flags);
    let memory = ThreadStart::new(cx.process(), reserve, commit)?;
    let how = Spawn { host_stack: HOST_STACK, suspended: flags & t::CREATE_SUSPENDED != 0 };
    let thread =
        spawn(how, move |_| memory.run(|cx| thread_body(cx, start, parameter as u64)).unwrap_or(u32::MAX))?;
    if let Some(id) = id {
        id.write(cx, thread.id())?;
    }
    Ok(cx.handles().insert(thread, t::THREAD_ALL_ACCESS, handle_flags)?.into())
}

/// Reserve and commit of a new thread's stack: the caller's size is one of the two, the program's headers give the
/// other.
pub(crate) fn stack_sizes(cx: &Cx, size: u64, flags: u32) -> (u64, u64) {
    let program = cx.modules().program();
    let (reserve, commit) = program
        .as_ref()
        .and_then(|p| p.headers())
        .map_or((1 << 20, 1 << 12), |h| (h.stack_reserve, h.stack_commit));
    match size {
        0 => (reserve, commit),
        size if flags & t::STACK_SIZE_PARAM_IS_A_RESERVATION != 0 => (size, commit),
        size if size > reserve => (size.next_multiple_of(1 << 20), size),
        size => (reserve, size),
    }
}

/// What a new thread does: DLL notifications around its start routine. ExitThread makes the call of the routine return.
fn thread_body(cx: &Cx, start: Func, parameter: u64) -> u32 {
    cx.modules().thread_attach(cx);
    #[expect(clippy::cast_possible_truncation, reason = "an exit code is 32 bits wide")]
    let code = cx.call(start, &[parameter]) as u32;
    // A thread that another one has terminated runs nothing more.
    if !thread::current().is_terminating() {
        super::fibersapi::run_callbacks(cx);
        cx.modules().thread_detach(cx);
    }
    super::fibersapi::thread_ends(cx);
    code
}

/// Ends the calling thread.
#[shim(kernel32, ntdll(RtlExitUserThread))]
fn ExitThread(cx: &Cx, code: u32) -> ! {
    cx.leave_thread(code)
}

/// Frees a library and ends the calling thread.
#[shim(kernel32)]
fn FreeLibraryAndExitThread(cx: &Cx, library: Handle, code: u32) -> ! {
    let _ = cx.modules().free_library(library.0.cast_unsigned(), cx);
    ExitThread(cx, code)
}

/// The object of a handle to a child's main thread; `None` if it is a handle to something else.
fn main_thread(cx: &Cx, handle: Handle) -> Win32<Option<std::sync::Arc<MainThread>>> {
    let value = super::handleapi::value(super::handleapi::real(cx, handle)?)?;
    match cx.handles().get::<MainThread>(value, 0) {
        Ok(main) => Ok(Some(main.to_arc())),
        Err(Status(f::STATUS_OBJECT_TYPE_MISMATCH)) => Ok(None),
        Err(e) => Err(e.into()),
    }
}

pub(crate) fn thread_of(cx: &Cx, handle: Handle, access: u32) -> Win32<std::sync::Arc<ThreadObject>> {
    Ok(cx.object::<ThreadObject>(super::handleapi::real(cx, handle)?, access)?.to_arc())
}

/// Retrieves the termination status of the specified thread.
#[shim(kernel32)]
fn GetExitCodeThread(cx: &Cx, thread: Handle, code: Out<u32>) -> Win32<()> {
    if let Some(main) = main_thread(cx, thread)? {
        return Ok(code.write(cx, main.exit_code())?);
    }
    let thread = thread_of(cx, thread, t::THREAD_QUERY_LIMITED_INFORMATION)?;
    Ok(code.write(cx, thread.exit_code())?)
}

/// Decrements a thread's suspend count; returns the previous one.
#[shim(kernel32, fails = -1)]
fn ResumeThread(cx: &Cx, thread: Handle) -> Win32<u32> {
    if let Some(main) = main_thread(cx, thread)? {
        return Ok(main.resume());
    }
    Ok(cx.process().resume_thread(&*thread_of(cx, thread, t::THREAD_SUSPEND_RESUME)?))
}

/// Retrieves the thread identifier of the specified thread.
#[shim(kernel32)]
fn GetThreadId(cx: &Cx, thread: Handle) -> Win32<u32> {
    if let Some(main) = main_thread(cx, thread)? {
        return Ok(main.id());
    }
    Ok(thread_of(cx, thread, t::THREAD_QUERY_LIMITED_INFORMATION)?.id())
}

/// Opens an existing thread object.
#[shim(kernel32)]
fn OpenThread(cx: &Cx, access: u32, inherit: bool, id: u32) -> Win32<Handle> {
    let thread = thread::by_id(id).ok_or(WinError::Code(f::ERROR_INVALID_PARAMETER))?;
    Ok(cx.handles().insert(thread, access, HandleFlags::inheritable(inherit))?.into())
}

/// Sets the priority value for the specified thread.
#[shim(kernel32)]
fn SetThreadPriority(cx: &Cx, thread: Handle, priority: i32) -> Win32<()> {
    let thread = thread_of(cx, thread, t::THREAD_SET_LIMITED_INFORMATION)?;
    if !matches!(priority, -15 | -2..=2 | 15) {
        return Err(WinError::Code(f::ERROR_INVALID_PARAMETER));
    }
    thread.set_priority(priority);
    Ok(())
}

/// Retrieves the priority value for the specified thread.
#[shim(kernel32, fails = i32::MAX)]
fn GetThreadPriority(cx: &Cx, thread: Handle) -> Win32<i32> {
    Ok(thread_of(cx, thread, t::THREAD_QUERY_LIMITED_INFORMATION)?.priority())
}

/// Sets a processor affinity mask for the specified thread; returns the previous one.
#[shim(kernel32)]
fn SetThreadAffinityMask(cx: &Cx, thread: Handle, mask: usize) -> Win32<usize> {
    let thread = thread_of(cx, thread, t::THREAD_SET_INFORMATION)?;
    let old = thread.affinity()?;
    thread.set_affinity(mask as u64)?;
    usize::try_from(old).map_err(|_| WinError::Code(f::ERROR_INVALID_PARAMETER))
}

/// Which TLS indices are taken.
#[derive(Default)]
struct TlsIndices(Mutex<Vec<bool>>);

/// TLS values beyond the 64 in the TEB.
#[derive(Default)]
struct TlsExpansion(Mutex<Vec<u64>>);

const TLS_SLOTS: u32 = 64;
const TLS_EXPANSION: u32 = 1024;

/// Allocates a thread local storage (TLS) index.
#[shim(kernel32, fails = t::TLS_OUT_OF_INDEXES)]
fn TlsAlloc(cx: &Cx) -> Win32<u32> {
    let index = {
        let mut taken = cx.state::<TlsIndices>().0.lock().unwrap_or_else(PoisonError::into_inner);
        let index = taken.iter().position(|t| !t).unwrap_or(taken.len());
        if index >= (TLS_SLOTS + TLS_EXPANSION) as usize {
            return Err(WinError::Code(f::ERROR_NO_MORE_ITEMS));
        }
        if index == taken.len() {
            taken.push(true);
        } else {
            taken[index] = true;
        }
        u32::try_from(index).unwrap_or(u32::MAX)
    };
    put_tls(cx, index, 0)?;
    Ok(index)
}

fn put_tls(cx: &Cx, index: u32, value: usize) -> Win32<()> {
    if index < TLS_SLOTS {
        return Ok(Ptr::<usize>::new(cx.teb().tls_slot(index)).write(cx, value)?);
    }
    if index >= TLS_SLOTS + TLS_EXPANSION {
        return Err(WinError::Code(f::ERROR_INVALID_PARAMETER));
    }
    let mut values = cx.local::<TlsExpansion>().0.lock().unwrap_or_else(PoisonError::into_inner);
    let at = (index - TLS_SLOTS) as usize;
    if values.len() <= at {
        values.resize(at + 1, 0);
    }
    values[at] = value as u64;
    Ok(())
}

/// Retrieves the value in the calling thread's TLS slot for the specified index.
#[shim(kernel32, leaf = transom_cpu::leaf::thread::tls_get_value)]
fn TlsGetValue(cx: &Cx, index: u32) -> Win32<usize> {
    cx.set_last_error(f::ERROR_SUCCESS);
    if index < TLS_SLOTS {
        return Ok(Ptr::<usize>::new(cx.teb().tls_slot(index)).read(cx)?);
    }
    if index >= TLS_SLOTS + TLS_EXPANSION {
        return Err(WinError::Code(f::ERROR_INVALID_PARAMETER));
    }
    let values = cx.local::<TlsExpansion>().0.lock().unwrap_or_else(PoisonError::into_inner);
    let value = values.get((index - TLS_SLOTS) as usize).copied().unwrap_or(0);
    usize::try_from(value).map_err(|_| WinError::Code(f::ERROR_INVALID_PARAMETER))
}

/// Stores a value in the calling thread's TLS slot for the specified index.
#[shim(kernel32, leaf = transom_cpu::leaf::thread::tls_set_value)]
fn TlsSetValue(cx: &Cx, index: u32, value: usize) -> Win32<()> {
    put_tls(cx, index, value)
}

/// Releases a TLS index.
#[shim(kernel32)]
fn TlsFree(cx: &Cx, index: u32) -> Win32<()> {
    let mut taken = cx.state::<TlsIndices>().0.lock().unwrap_or_else(PoisonError::into_inner);
    match taken.get_mut(index as usize) {
        Some(t) if *t => {
            *t = false;
            Ok(())
        }
        _ => Err(WinError::Code(f::ERROR_INVALID_PARAMETER)),
    }
}

/// STARTUPINFO, which has the same layout in its A and W forms.
#[derive(Guest, Debug, Clone, Copy)]
#[mirrors(windows_sys::Win32::System::Threading::STARTUPINFOW)]
pub(crate) struct StartupInfo {
    pub(crate) size: u32,
    pub(crate) reserved: Ptr<u8>,
    pub(crate) desktop: Ptr<u8>,
    pub(crate) title: Ptr<u8>,
    pub(crate) x: u32,
    pub(crate) y: u32,
    pub(crate) x_size: u32,
    pub(crate) y_size: u32,
    pub(crate) x_count_chars: u32,
    pub(crate) y_count_chars: u32,
    pub(crate) fill_attribute: u32,
    pub(crate) flags: u32,
    pub(crate) show_window: u16,
    pub(crate) reserved2_size: u16,
    pub(crate) reserved2: Ptr<u8>,
    pub(crate) std_input: Handle,
    pub(crate) std_output: Handle,
    pub(crate) std_error: Handle,
}

impl StartupInfo {
    /// One that asks for nothing.
    pub(crate) fn empty(cx: &Cx) -> Self {
        Self {
            size: u32::try_from(cx.size_of::<Self>()).unwrap_or(0),
            reserved: Ptr::NULL,
            desktop: Ptr::NULL,
            title: Ptr::NULL,
            x: 0,
            y: 0,
            x_size: 0,
            y_size: 0,
            x_count_chars: 0,
            y_count_chars: 0,
            fill_attribute: 0,
            flags: 0,
            show_window: 0,
            reserved2_size: 0,
            reserved2: Ptr::NULL,
            std_input: Handle::NULL,
            std_output: Handle::NULL,
            std_error: Handle::NULL,
        }
    }
}

/// Retrieves the contents of the STARTUPINFO structure that was specified when the calling process was created.
#[shim(kernel32)]
fn GetStartupInfoW(cx: &Cx, out: Out<StartupInfo>) -> Win32<()> {
    let text = |at: Ptr<u8>| Ok(at);
    startup_info(cx, out, text)
}

/// The ANSI form of GetStartupInfoW. Its texts live as long as the process.
#[shim(kernel32)]
fn GetStartupInfoA(cx: &Cx, out: Out<StartupInfo>) -> Win32<()> {
    startup_info(cx, out, |at| {
        let mut text = Acp::encode(&WStr::new(at.addr()).get()?);
        text.push(0);
        let state = cx.state::<AnsiTexts>();
        let mut texts = state.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = texts.iter().find(|(wide, _)| *wide == at.addr()) {
            return Ok(Ptr::new(known.1));
        }
        let block = cx.heaps().process().alloc(text.len() as u64, false);
        let block = block.ok_or(WinError::Code(f::ERROR_NOT_ENOUGH_MEMORY))?;
        mem::copy_out(block, &text)?;
        texts.push((at.addr(), block));
        Ok(Ptr::new(block))
    })
}

/// The A forms of texts in the process parameters: address of the one, address of the other.
#[derive(Default)]
struct AnsiTexts(Mutex<Vec<(u64, u64)>>);

fn startup_info(cx: &Cx, out: Out<StartupInfo>, text: impl Fn(Ptr<u8>) -> Win32<Ptr<u8>>) -> Win32<()> {
    use transom_loader::peb;
    let (w, parameters) = (cx.words(), cx.parameters()?);
    let std = |i| Ptr::<Handle>::new(peb::std_handle_at(w, parameters, i)).read(cx);
    let window: [u32; 9] = Ptr::new(peb::window_at(w, parameters)).read(cx)?;
    // UNICODE_STRINGs: title, desktop, one that is not used, and the runtime's data.
    let string = |i: u64| peb::title_at(w, parameters) + i * 2 * w.size();
    let buffer = |i| Ptr::<Ptr<u8>>::new(string(i) + w.size()).read(cx);
    let reserved2_size: u16 = Ptr::new(string(3)).read(cx)?;
    let info = StartupInfo {
        reserved: text(buffer(2)?)?,
        desktop: text(buffer(1)?)?,
        title: text(buffer(0)?)?,
        x: window[0],
        y: window[1],
        x_size: window[2],
        y_size: window[3],
        x_count_chars: window[4],
        y_count_chars: window[5],
        fill_attribute: window[6],
        flags: window[7],
        show_window: u16::try_from(window[8] & 0xFFFF).unwrap_or(0),
        reserved2_size,
        reserved2: if reserved2_size == 0 { Ptr::NULL } else { buffer(3)? },
        std_input: std(0)?,
        std_output: std(1)?,
        std_error: std(2)?,
        ..StartupInfo::empty(cx)
    };
    Ok(out.write(cx, info)?)
}

/// Flushes the instruction cache for the specified process.
#[shim(kernel32)]
fn FlushInstructionCache(cx: &Cx, _process: Handle, start: Ptr<u8>, len: usize) -> bool {
    cx.engine().flush_code(start.addr(), len as u64);
    true
}

/// Determines whether the specified processor feature is supported.
#[shim(kernel32)]
fn IsProcessorFeaturePresent(cx: &Cx, feature: u32) -> Win32<bool> {
    /// KUSER_SHARED_DATA's ProcessorFeatures.
    const FEATURES: u64 = 0x7FFE_0274;
    const COUNT: u32 = 64;
    if feature >= COUNT {
        return Ok(false);
    }
    cx.process().touch_clocks();
    Ok(transom_sdk::mem::read::<u8>(FEATURES + u64::from(feature))? != 0)
}
