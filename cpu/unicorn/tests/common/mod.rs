//! A small world for engine tests: guest memory with permissions, a thread block, shims, and recorded faults.
#![allow(dead_code, unreachable_pub, missing_docs, reason = "each test file uses a part of this module")]

use std::ffi::c_void;
use std::sync::{Arc, Mutex, RwLock};

use transom_cpu::block::{BLOCK_OFFSET, TEB_ALLOCATION, ThreadBlock};
use transom_cpu::context::Context;
use transom_cpu::engine::{Engine, Fault, Host, Permissions};
use transom_cpu::external::{Request, Services};
use transom_cpu::frame::Frame;
use transom_cpu::machine::Machine;
use transom_cpu::thunk::{Bound, HostEntry, ThunkTable};

pub const RW: Permissions = Permissions { read: true, write: true, execute: false };
pub const RX: Permissions = Permissions { read: true, write: false, execute: true };
pub const RWX: Permissions = Permissions { read: true, write: true, execute: true };
pub const R: Permissions = Permissions { read: true, write: false, execute: false };

type FaultHandler = Box<dyn Fn(*mut ThreadBlock, Fault, &mut Context) + Send + Sync>;

/// The layers above.
pub struct World {
    regions: RwLock<Vec<(u64, u64, Permissions)>>,
    table: ThunkTable,
    handler: RwLock<Option<Arc<FaultHandler>>>,
    engine: std::sync::OnceLock<&'static dyn Engine>,
    machine: Machine,
    bump: Mutex<u64>,
}

impl Host for World {
    fn permissions(&self, address: u64) -> Option<Permissions> {
        let regions = self.regions.read().unwrap();
        regions.iter().rev().find(|r| (r.0..r.0 + r.1).contains(&address)).map(|r| r.2)
    }

    fn fault(&self, block: *mut ThreadBlock, fault: Fault, context: &mut Context) {
        let handler = self.handler.read().unwrap().clone();
        match handler {
            Some(handler) => handler(block, fault, context),
            None => panic!("unexpected {fault:x?} at {:#x}", context.pc()),
        }
    }

    fn thunks(&self) -> &ThunkTable {
        &self.table
    }
}

impl World {
    pub fn new(machine: Machine) -> &'static Self {
        Self::with_entry(machine, transom_unicorn::transom_engine_entry)
    }

    pub fn with_entry(machine: Machine, entry: transom_cpu::external::Entry) -> &'static Self {
        let table = ThunkTable::new().unwrap();
        table.reserve(1).unwrap();
        let world: &'static Self = Box::leak(Box::new(Self {
            regions: RwLock::default(),
            table,
            handler: RwLock::default(),
            engine: std::sync::OnceLock::new(),
            machine,
            bump: Mutex::new(0),
        }));
        let support = world.map(0x1000, RWX);
        let request =
            Request { machine, host: world, support, support_len: 0x1000, services: Services::own() };
        // SAFETY: the library's own entry.
        let engine = unsafe { transom_cpu::external::create(entry, &request) }.unwrap();
        assert!(world.engine.set(Box::leak(engine)).is_ok());
        world
    }

    pub fn engine(&self) -> &'static dyn Engine {
        *self.engine.get().unwrap()
    }

    /// Maps zeroed guest memory, below 2 GiB for x86. Host pages are readable and writable whatever the guest may do.
    pub fn map(&self, len: u64, permissions: Permissions) -> u64 {
        let low = if self.machine == Machine::I386 { libc::MAP_32BIT } else { 0 };
        // SAFETY: a fresh anonymous mapping.
        let at = unsafe {
            libc::mmap(
                std::ptr::null_mut(),
                usize::try_from(len).unwrap(),
                libc::PROT_READ | libc::PROT_WRITE,
                libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | low,
                -1,
                0,
            )
        };
        assert_ne!(at, libc::MAP_FAILED);
        let at = at as u64;
        self.regions.write().unwrap().push((at, len, permissions));
        at
    }

    /// Changes permissions (`None` takes the pages away).
    pub fn protect(&self, start: u64, len: u64, permissions: Option<Permissions>) {
        {
            let mut regions = self.regions.write().unwrap();
            match permissions {
                Some(p) => regions.push((start, len, p)),
                None => regions.retain(|r| r.0 != start),
            }
        }
        self.engine().memory_changed(start, len);
    }

    /// Writes code to fresh executable memory.
    pub fn code(&self, code: &[u8]) -> u64 {
        let at = self.map((code.len() as u64).next_multiple_of(0x1000), RX);
        self.poke(at, code);
        at
    }

    pub fn words(&self, words: &[u32]) -> u64 {
        let bytes: Vec<u8> = words.iter().flat_map(|w| w.to_le_bytes()).collect();
        self.code(&bytes)
    }

    pub fn poke(&self, at: u64, bytes: &[u8]) {
        // SAFETY: memory that `map` made.
        unsafe { std::ptr::copy_nonoverlapping(bytes.as_ptr(), at as *mut u8, bytes.len()) }
    }

    pub fn peek(&self, at: u64) -> u64 {
        // SAFETY: memory that `map` made.
        unsafe { (at as *const u64).read_unaligned() }
    }

    /// A thunk for a shim; returns its guest address.
    pub fn shim<T>(&self, entry: HostEntry, data: &'static T) -> u64 {
        let index = self.table.reserve(1).unwrap();
        self.table.bind(index, Bound { entry, data: std::ptr::from_ref(data).cast() });
        self.code(&self.engine().thunk(index))
    }

    /// A thunk for a closure over block and frame.
    pub fn closure(&self, f: impl Fn(*mut ThreadBlock, &mut Frame) + Send + Sync + 'static) -> u64 {
        let boxed: Closure = Box::new(f);
        let f: &'static Closure = Box::leak(Box::new(boxed));
        self.shim(run_closure, f)
    }

    pub fn on_fault(&self, f: impl Fn(*mut ThreadBlock, Fault, &mut Context) + Send + Sync + 'static) {
        *self.handler.write().unwrap() = Some(Arc::new(Box::new(f)));
    }

    /// Attaches the calling host thread as a guest thread with a stack.
    pub fn thread(&'static self) -> Thread {
        let teb = self.map(TEB_ALLOCATION, RW);
        let stack = self.map(0x10_0000, RW);
        let block = (teb + u64::from(BLOCK_OFFSET)) as *mut ThreadBlock;
        // SAFETY: zeroed memory of the block's size, ours; all-zero is a value of its integers and pointers.
        unsafe {
            (*block).teb = teb;
            (*block).guest_sp = stack + 0x10_0000;
            self.engine().attach_thread(block).unwrap();
        }
        Thread { world: self, block }
    }
}

type Closure = Box<dyn Fn(*mut ThreadBlock, &mut Frame) + Send + Sync>;

unsafe extern "C-unwind" fn run_closure(block: *mut ThreadBlock, frame: *mut Frame, data: *const c_void) {
    // SAFETY: bound in `closure` with this data; the engine passes a live frame.
    unsafe { (*data.cast::<Closure>())(block, &mut *frame) }
}

/// A guest thread on the calling host thread.
pub struct Thread {
    pub world: &'static World,
    pub block: *mut ThreadBlock,
}

impl Thread {
    /// The block's guest stack pointer.
    pub fn sp(&self) -> u64 {
        // SAFETY: the thread's block.
        unsafe { (*self.block).guest_sp }
    }

    pub fn call(&self, target: u64, args: &[u64]) -> u64 {
        // SAFETY: an attached thread.
        unsafe { self.world.engine().call(self.block, target, args, false) }.int
    }

    pub fn call_float(&self, target: u64, args: &[u64]) -> f64 {
        // SAFETY: an attached thread.
        f64::from_bits(unsafe { self.world.engine().call(self.block, target, args, true) }.float)
    }
}

impl Drop for Thread {
    fn drop(&mut self) {
        // SAFETY: the thread that attached, outside any level.
        unsafe { self.world.engine().detach_thread(self.block) }
    }
}
