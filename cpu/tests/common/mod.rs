//! A host for engine tests: guest memory below 2 GiB, a thread block, and a fault handler that each test sets.
#![allow(dead_code, reason = "each test binary uses a part of it")]

#[cfg(target_arch = "x86_64")]
pub(crate) mod leaf;

use std::cell::RefCell;
use std::sync::atomic::{AtomicU64, Ordering};

use iced_x86::code_asm::CodeAssembler;
use transom_cpu::block::{BLOCK_OFFSET, TEB_ALLOCATION, ThreadBlock};
use transom_cpu::context::Context;
use transom_cpu::engine::{Engine, Fault, Host, Permissions};
use transom_cpu::frame::{Frame, Returns};
use transom_cpu::thunk::{Bound, ThunkTable};

/// What a test does with a fault.
pub(crate) type OnFault = Box<dyn FnMut(*mut ThreadBlock, Fault, &mut Context)>;

/// What a test does when its guest code calls the thunk [`THUNK_SHIM`].
pub(crate) type OnShim = Box<dyn FnMut(*mut ThreadBlock, &mut Frame)>;

thread_local! {
    static ON_FAULT: RefCell<Option<OnFault>> = const { RefCell::new(None) };
    static SHIM: RefCell<Option<OnShim>> = const { RefCell::new(None) };
}

/// A page that `early_fault` makes accessible when it is touched, or 0.
pub(crate) static LAZY_PAGE: AtomicU64 = AtomicU64::new(0);

pub(crate) struct TestHost {
    thunks: ThunkTable,
}

impl Host for TestHost {
    fn permissions(&self, _address: u64) -> Option<Permissions> {
        Some(Permissions { read: true, write: true, execute: true })
    }

    fn fault(&self, block: *mut ThreadBlock, fault: Fault, context: &mut Context) {
        // Taken out for the call, so that a fault inside finds none and fails the test.
        let mut handler =
            ON_FAULT.take().unwrap_or_else(|| panic!("unexpected {fault:?} at {:#x}", context.pc()));
        handler(block, fault, context);
        ON_FAULT.set(Some(handler));
    }

    fn early_fault(&self, address: u64) -> bool {
        let page = LAZY_PAGE.load(Ordering::SeqCst);
        // SAFETY: a page of this test's.
        page != 0
            && address & !0xFFF == page
            && unsafe { libc::mprotect(page as *mut libc::c_void, 4096, libc::PROT_READ | libc::PROT_WRITE) }
                == 0
    }

    fn thunks(&self) -> &ThunkTable {
        &self.thunks
    }
}

unsafe extern "C-unwind" fn unbound(
    _block: *mut ThreadBlock,
    frame: *mut Frame,
    _data: *const core::ffi::c_void,
) {
    // SAFETY: the engine's frame.
    unsafe { (*frame).result = 0xBAD };
}

/// Calls the closure that the test set with [`on_shim`]; returns early for thunks with data 0.
unsafe extern "C-unwind" fn shim(
    block: *mut ThreadBlock,
    frame: *mut Frame,
    _data: *const core::ffi::c_void,
) {
    let mut run = SHIM.take();
    if let Some(run) = &mut run {
        // SAFETY: the engine's frame.
        run(block, unsafe { &mut *frame });
    }
    SHIM.with_borrow_mut(|s| {
        if s.is_none() {
            *s = run;
        }
    });
}

unsafe extern "C-unwind" fn add_two(
    _block: *mut ThreadBlock,
    frame: *mut Frame,
    data: *const core::ffi::c_void,
) {
    // SAFETY: the engine's frame, and a call with two arguments on the stack.
    let frame = unsafe { &mut *frame };
    let a = transom_cpu::mem::read::<u32>(frame.stack).unwrap();
    let b = transom_cpu::mem::read::<u32>(frame.stack + 4).unwrap();
    frame.result = u64::from(a) + u64::from(b);
    frame.result_high = 7;
    frame.pop = u32::try_from(data.addr()).unwrap();
}

unsafe extern "C-unwind" fn half(
    _block: *mut ThreadBlock,
    frame: *mut Frame,
    _data: *const core::ffi::c_void,
) {
    // SAFETY: as above, with a double on the stack.
    let frame = unsafe { &mut *frame };
    frame.result_float = (transom_cpu::mem::read::<f64>(frame.stack).unwrap() / 2.0).to_bits();
    frame.returns = Returns::Float;
}

unsafe extern "C-unwind" fn empty(
    _block: *mut ThreadBlock,
    frame: *mut Frame,
    _data: *const core::ffi::c_void,
) {
    // SAFETY: the engine's frame.
    unsafe { (*frame).result = 0 };
}

pub(crate) const THUNK_SHIM: u32 = 1;
pub(crate) const THUNK_ADD: u32 = 2;
pub(crate) const THUNK_ADD_STDCALL: u32 = 3;
pub(crate) const THUNK_HALF: u32 = 4;
pub(crate) const THUNK_UNBOUND: u32 = 5;
pub(crate) const THUNK_EMPTY: u32 = 6;

/// The process's host.
pub(crate) fn host() -> &'static TestHost {
    static HOST: std::sync::OnceLock<TestHost> = std::sync::OnceLock::new();
    HOST.get_or_init(|| {
        let thunks = ThunkTable::new().unwrap();
        thunks.reserve(8).unwrap();
        let data = |n: usize| core::ptr::without_provenance(n);
        thunks.bind(0, Bound { entry: unbound, data: data(0) });
        thunks.bind(THUNK_SHIM, Bound { entry: shim, data: data(0) });
        thunks.bind(THUNK_ADD, Bound { entry: add_two, data: data(0) });
        thunks.bind(THUNK_ADD_STDCALL, Bound { entry: add_two, data: data(8) });
        thunks.bind(THUNK_EMPTY, Bound { entry: empty, data: data(0) });
        thunks.bind(THUNK_HALF, Bound { entry: half, data: data(0) });
        TestHost { thunks }
    })
}

pub(crate) fn on_fault(handler: impl FnMut(*mut ThreadBlock, Fault, &mut Context) + 'static) {
    ON_FAULT.set(Some(Box::new(handler)));
}

pub(crate) fn on_shim(run: impl FnMut(*mut ThreadBlock, &mut Frame) + 'static) {
    SHIM.set(Some(Box::new(run)));
}

/// Maps guest memory, all permissions.
pub(crate) fn map(len: usize) -> u64 {
    let protection = libc::PROT_READ | libc::PROT_WRITE | libc::PROT_EXEC;
    let flags = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_32BIT;
    // SAFETY: a fresh mapping.
    let at = unsafe { libc::mmap(core::ptr::null_mut(), len, protection, flags, -1, 0) };
    assert_ne!(at, libc::MAP_FAILED);
    at as u64
}

/// Writes code to a new page.
pub(crate) fn place(code: &[u8]) -> u64 {
    let at = map(code.len().next_multiple_of(4096));
    transom_cpu::mem::copy_out(at, code).unwrap();
    at
}

/// Assembles a function at its own new page.
pub(crate) fn assemble(bits: u32, build: impl FnOnce(&mut CodeAssembler)) -> u64 {
    let at = map(4096);
    let mut a = CodeAssembler::new(bits).unwrap();
    build(&mut a);
    transom_cpu::mem::copy_out(at, &a.assemble(at).unwrap()).unwrap();
    at
}

/// Attaches the calling thread and runs the closure with its block.
pub(crate) fn with_thread<R>(engine: &dyn Engine, run: impl FnOnce(*mut ThreadBlock) -> R) -> R {
    const STACK: u64 = 0x4_0000;
    let teb = map(usize::try_from(TEB_ALLOCATION).unwrap());
    let stack = map(usize::try_from(STACK).unwrap());
    let block = (teb + u64::from(BLOCK_OFFSET)) as *mut ThreadBlock;
    if engine.machine().is_64() {
        transom_cpu::mem::write(teb + 0x30, &teb).unwrap();
    } else {
        transom_cpu::mem::write(teb + 0x18, &u32::try_from(teb).unwrap()).unwrap();
    }
    // SAFETY: fresh zeroed memory of the right size, for the time of the closure.
    unsafe {
        (*block).teb = teb;
        (*block).guest_sp = stack + STACK - 0x100;
        engine.attach_thread(block).unwrap();
        let result = run(block);
        engine.detach_thread(block);
        result
    }
}
