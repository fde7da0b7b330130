//! Functions that are imported but not there: each gets a thunk of its own, which fails when called and says what was
//! called by whom. The thunks of functions that a plug-in replaces are made here, too.

use core::ffi::c_void;
use std::sync::PoisonError;
use std::sync::atomic::{AtomicU64, Ordering};

use transom_cpu::block::ThreadBlock;
use transom_cpu::frame::Frame;
use transom_cpu::mem;
use transom_cpu::thunk::{Bound, THUNK_SIZE};
use transom_syscalls::memory::{Allocation, PAGE};
use windows_sys::Win32::Foundation::STATUS_ENTRYPOINT_NOT_FOUND;
use windows_sys::Win32::System::Memory::{MEM_COMMIT, MEM_RESERVE, PAGE_EXECUTE_READWRITE};

use crate::process::{Parameters, Process, Record};
use crate::shim::Shim;

struct Missing {
    dll: String,
    symbol: String,
    importer: String,
}

/// Makes the thunk of a missing function and returns its address, or 0 if guest memory is exhausted.
pub(crate) fn thunk(process: &'static Process, dll: &str, symbol: &str, importer: &str) -> u64 {
    log::debug!("{importer} imports {dll}!{symbol}, which is not implemented");
    let Some(number) = process.thunks.reserve(1) else { return 0 };
    let what = Missing { dll: dll.to_owned(), symbol: symbol.to_owned(), importer: importer.to_owned() };
    let data: &'static Missing = Box::leak(Box::new(what));
    let plain = Bound { entry: called, data: core::ptr::from_ref(data).cast() };
    process.thunks.bind(
        number,
        match process.tracer() {
            None => plain,
            Some(tracer) => crate::trace::bound(tracer, &dll.to_ascii_lowercase(), symbol, None, plain),
        },
    );
    place(process, number)
}

/// Makes a thunk for a shim apart from its DLL's image and returns its address, or 0 if guest memory is exhausted.
pub(crate) fn thunk_of(process: &'static Process, shim: Shim) -> u64 {
    let Some(number) = process.thunks.reserve(1) else { return 0 };
    process.bind_shim(number, shim.dll, shim.name, shim);
    place(process, number)
}

/// Writes the code of a thunk that stands by itself and returns its address, or 0 if guest memory is exhausted.
fn place(process: &Process, number: u32) -> u64 {
    let mut next = process.missing_cursor().lock().unwrap_or_else(PoisonError::into_inner);
    if next.is_multiple_of(PAGE) {
        let page = process.memory.allocate(&Allocation {
            size: PAGE,
            kind: MEM_RESERVE | MEM_COMMIT,
            protect: PAGE_EXECUTE_READWRITE,
            ..Allocation::default()
        });
        let Ok(page) = page else { return 0 };
        *next = page.base;
    }
    let at = *next;
    *next += THUNK_SIZE as u64;
    if mem::copy_out(at, &process.engine().thunk(number)).is_err() {
        return 0;
    }
    process.thunks.set_place(number, 1, at);
    at
}

/// The call itself: reported, then STATUS_ENTRYPOINT_NOT_FOUND is raised, as Windows' delay loader does.
unsafe extern "C-unwind" fn called(block: *mut ThreadBlock, frame: *mut Frame, data: *const c_void) {
    // SAFETY: called by a thunk's entry code with the thread's block and the live frame; `data` was leaked above.
    let (cx, frame, what) = unsafe {
        let (cx, frame) = crate::cx::enter(block, frame);
        (cx, frame, &*data.cast::<Missing>())
    };
    let caller = cx.modules().describe(frame.return_address);
    transom_syscalls::say!(
        "transom: {}!{} is not implemented (called from {caller}, imported by {})",
        what.dll,
        what.symbol,
        what.importer
    );
    let record = Record {
        code: STATUS_ENTRYPOINT_NOT_FOUND.cast_unsigned(),
        flags: 1,
        nested: 0,
        address: frame.return_address,
        parameters: Parameters::default(),
    };
    // A handler of that exception that calls a missing function as well would never come to an end.
    let last = cx.local::<LastCall>().0.swap(frame.sp, Ordering::Relaxed);
    if frame.sp < last {
        cx.process().unhandled(&record, &cx.caller_context());
    }
    cx.raise(&record)
}

/// The guest stack pointer at the thread's last call of a missing function.
#[derive(Default)]
struct LastCall(AtomicU64);
