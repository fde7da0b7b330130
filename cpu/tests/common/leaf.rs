//! Running leaf stubs as guest code of both machines.

use std::sync::OnceLock;

use iced_x86::code_asm::eax;
use transom_cpu::block::ThreadBlock;
use transom_cpu::engine::Engine;
use transom_cpu::leaf::LeafFn;
use transom_cpu::mem;
use transom_cpu::native32::Native32;
use transom_cpu::native64::Native64;

use super::{assemble, host, map, with_thread};

/// What the stand-in for every slow path returns.
pub(crate) const SLOW: u64 = 0x5103;
pub(crate) const PAGE: u64 = 4096;
pub(crate) const PAGE_SIZE: usize = 4096;

/// A machine that runs stubs.
pub(crate) struct Guest<'a> {
    pub(crate) engine: &'a dyn Engine,
    pub(crate) block: *mut ThreadBlock,
    pub(crate) slow: u64,
}

impl Guest<'_> {
    pub(crate) fn leaf(&self, emit: LeafFn) -> Option<u64> {
        let at = map(PAGE_SIZE);
        let code = emit(self.engine.machine(), self.slow, at)?.code;
        mem::copy_out(at, &code).unwrap();
        Some(at)
    }

    pub(crate) fn call(&self, code: u64, args: &[u64]) -> u64 {
        // SAFETY: attached, on the host stack.
        unsafe { self.engine.call(self.block, code, args, false) }.int
    }

    pub(crate) fn int(&self, code: u64, args: &[u64]) -> i32 {
        u32::try_from(self.call(code, args) & 0xFFFF_FFFF).unwrap().cast_signed()
    }

    pub(crate) fn word(&self) -> u64 {
        self.engine.machine().pointer_size() as u64
    }
}

/// Runs the test for both machines, each on a thread of its own.
pub(crate) fn both(test: impl Fn(&Guest<'_>) + Sync) {
    static ENGINE32: OnceLock<Native32> = OnceLock::new();
    let engine32 = ENGINE32.get_or_init(|| Native32::new(host(), (map(4096), 4096)).unwrap());
    let engine64 = Native64::new(host());
    for engine in [&engine64 as &dyn Engine, engine32] {
        std::thread::scope(|scope| {
            scope.spawn(|| {
                let bits = if engine.machine().is_64() { 64 } else { 32 };
                let slow = assemble(bits, |a| {
                    a.mov(eax, i32::try_from(SLOW).unwrap()).unwrap();
                    a.ret().unwrap();
                });
                with_thread(engine, |block| test(&Guest { engine, block, slow }));
            });
        });
    }
}

/// Guest memory with pages before and after that cannot be touched: start and end.
pub(crate) fn fenced(pages: u64) -> (u64, u64) {
    let start = map(usize::try_from((pages + 2) * PAGE).unwrap());
    for fence in [start, start + (pages + 1) * PAGE] {
        // SAFETY: pages of this test's.
        unsafe { libc::mprotect(fence as *mut libc::c_void, PAGE_SIZE, libc::PROT_NONE) };
    }
    (start + PAGE, start + (pages + 1) * PAGE)
}

/// Bytes that repeat late.
pub(crate) fn pattern(len: usize) -> Vec<u8> {
    (0..len).map(|i| u8::try_from((i * 31 + i / 251) % 256).unwrap()).collect()
}
