//! The guest image of a built-in DLL: headers, thunks, leaf stubs, variables.
//!
//! The image is one reservation, made when the DLL is first needed, and the code of all its thunks (four to a cache line) is written
//! then. Where a thunk leads is settled when its function is bound. Leaf stubs and variables follow the thunks; a stub is written when its function has been called a few times, so that a program
//! that calls it once does not pay for assembling it.

use core::ffi::c_void;
use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, AtomicU16, AtomicU32, AtomicU64, Ordering};
use std::sync::{Mutex, OnceLock, PoisonError};

use transom_cpu::block::ThreadBlock;
use transom_cpu::frame::Frame;
use transom_cpu::leaf::{Leaf, LeafFn, LeafFrame};
use transom_cpu::machine::Machine;
use transom_cpu::mem;
use transom_cpu::thunk::{Bound, THUNK_SIZE};
use transom_loader::builtin::BuiltinDll;
use transom_syscalls::memory::{PAGE, Range};
use transom_syscalls::status::Result;
use windows_sys::Win32::System::Memory::{PAGE_EXECUTE_READ, PAGE_EXECUTE_READWRITE, PAGE_READONLY};

use crate::cx::Cx;
use crate::process::Process;
use crate::shim::{Dll, Shim, Target};

/// Room for leaf stubs in bytes. It begins with the table of those that have unwind data.
const LEAF_ROOM: u64 = 0x6000;

/// The most leaf stubs of an image that have unwind data, and the bytes of an entry (x86-64's `RUNTIME_FUNCTION`).
const MAX_FUNCTIONS: u32 = 16;
const FUNCTION_SIZE: u32 = 12;

/// A built-in DLL in guest memory.
#[derive(Debug)]
pub(crate) struct BuiltinImage {
    dll: &'static Dll,
    process: &'static Process,
    base: u64,
    size: u64,
    /// Thunk number of export 0.
    first: u32,
    leaves_at: u64,
    data_at: u64,
    /// Leaf stubs that have unwind data.
    functions: AtomicU32,
    state: Mutex<State>,
    /// Addresses by export, 0 where not bound yet.
    bound: OnceLock<Box<[AtomicU64]>>,
    /// Exports looked up by name lately (position plus 1), by a hash of the name: programs ask for the same few again.
    recent: [AtomicU16; RECENT],
}

/// Names remembered; a power of two.
const RECENT: usize = 256;

/// Where a name is remembered.
fn recent_slot(name: &[u8]) -> usize {
    let hash = name.iter().fold(0x811C_9DC5_u32, |h, &b| (h ^ u32::from(b)).wrapping_mul(0x0100_0193));
    (hash ^ (hash >> 15)) as usize % RECENT
}

#[derive(Debug, Default)]
struct State {
    /// Addresses of leaf stubs by export.
    leaves: HashMap<usize, u64>,
    leaf_used: u64,
    /// Addresses of variables by export.
    variables: HashMap<usize, u64>,
    data_used: u64,
}

impl BuiltinImage {
    /// Reserves the image and writes its headers.
    pub(crate) fn open(process: &'static Process, dll: &'static Dll) -> Result<Self> {
        let count = dll.exports.len();
        let thunks = ((count * THUNK_SIZE) as u64).next_multiple_of(PAGE);
        let width = usize::from(process.machine.is_64());
        let data: u64 =
            dll.exports.variables().iter().map(|d| (d.size[width] as u64).next_multiple_of(16)).sum();
        let leaves_at = PAGE + thunks;
        let data_at = leaves_at + LEAF_ROOM;
        let size = data_at + data.next_multiple_of(PAGE);
        let name = format!("C:\\Windows\\System32\\{}", dll.name).encode_utf16().collect::<Vec<_>>();
        let range = process.memory.map_image(0, size, false, Some(name.into()))?;
        process.memory.populate(Range { base: range.base, size: leaves_at + PAGE });
        let first = u32::try_from(count).ok().and_then(|n| process.thunks.reserve(n)).ok_or(
            transom_syscalls::status::Status(windows_sys::Win32::Foundation::STATUS_INSUFFICIENT_RESOURCES),
        )?;
        let image = Self {
            dll,
            process,
            base: range.base,
            size,
            first,
            leaves_at: range.base + leaves_at,
            data_at: range.base + data_at,
            functions: AtomicU32::new(0),
            state: Mutex::default(),
            bound: OnceLock::new(),
            recent: [const { AtomicU16::new(0) }; RECENT],
        };
        image.write_headers()?;
        image.write_thunks()?;
        process.thunks.set_place(first, u32::try_from(count).unwrap_or(0), image.thunk_address(0));
        Ok(image)
    }

    /// Writes DOS and NT headers that say what the image is.
    fn write_headers(&self) -> Result<()> {
        const NT_AT: usize = 0x80;
        let wide = self.process.machine.is_64();
        let mut page = [0u8; 0x400];
        let mut put = |at: usize, bytes: &[u8]| page[at..at + bytes.len()].copy_from_slice(bytes);
        let size = u32::try_from(self.size).unwrap_or(u32::MAX).to_le_bytes();
        put(0, b"MZ");
        put(0x3C, &0x80u32.to_le_bytes());
        put(NT_AT, b"PE\0\0");
        let (machine, optional, magic) = match self.process.machine {
            Machine::I386 => (0x14Cu16, 0xE0u16, 0x10Bu16),
            Machine::Amd64 => (0x8664, 0xF0, 0x20B),
            Machine::Arm64 => (0xAA64, 0xF0, 0x20B),
        };
        put(NT_AT + 4, &machine.to_le_bytes());
        put(NT_AT + 20, &optional.to_le_bytes());
        put(NT_AT + 22, &(if wide { 0x2022u16 } else { 0x2102 }).to_le_bytes());
        let opt = NT_AT + 24;
        put(opt, &magic.to_le_bytes());
        put(opt + 20, &0x1000u32.to_le_bytes());
        if wide {
            put(opt + 24, &self.base.to_le_bytes());
        } else {
            put(opt + 28, &self.base.to_le_bytes()[..4]);
        }
        put(opt + 32, &0x1000u32.to_le_bytes());
        put(opt + 36, &0x200u32.to_le_bytes());
        put(opt + 40, &10u16.to_le_bytes());
        put(opt + 48, &10u16.to_le_bytes());
        put(opt + 56, &size);
        put(opt + 60, &0x400u32.to_le_bytes());
        put(opt + 68, &3u16.to_le_bytes());
        put(if wide { opt + 108 } else { opt + 92 }, &16u32.to_le_bytes());
        mem::copy_out(self.base, &page).map_err(transom_loader::peb::fault)?;
        self.process.memory.protect(self.base, PAGE, PAGE_READONLY).map(drop)
    }

    fn thunk_address(&self, index: usize) -> u64 {
        self.base + PAGE + (index * THUNK_SIZE) as u64
    }

    /// Guest address of an export; binds it on first use. `None` if guest memory could not be written.
    fn address(&self, index: usize) -> Option<u64> {
        let bound =
            self.bound.get_or_init(|| (0..self.dll.exports.len()).map(|_| AtomicU64::new(0)).collect());
        match bound[index].load(Ordering::Acquire) {
            0 => {}
            at => return Some(at),
        }
        let at = self.bind(index)?;
        bound[index].store(at, Ordering::Release);
        Some(at)
    }

    /// The position of an export by name.
    fn position(&self, name: &[u8]) -> Option<usize> {
        let slot = &self.recent[recent_slot(name)];
        let known = usize::from(slot.load(Ordering::Relaxed)).checked_sub(1);
        if let Some(known) = known
            && self.dll.exports.name(known).as_bytes() == name
        {
            return Some(known);
        }
        let index = self.dll.exports.find(name)?;
        slot.store(u16::try_from(index + 1).unwrap_or(0), Ordering::Relaxed);
        Some(index)
    }

    /// Writes what an export's address needs, unless that was done.
    fn bind(&self, index: usize) -> Option<u64> {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        match self.dll.exports.target(index) {
            Target::Function(shim) => {
                let number = self.first + u32::try_from(index).ok()?;
                self.process.bind_shim(number, self.dll.name, self.dll.exports.name(index), shim);
                if let Some(emit) = shim.leaf
                    && (shim.intrinsic || self.process.uses_leaves())
                {
                    if let Some(&at) = state.leaves.get(&index) {
                        return Some(at);
                    }
                    let made = if shim.intrinsic {
                        self.write_leaf(&mut state, index, emit)
                    } else {
                        self.write_gate(&mut state, index, shim)
                    };
                    if let Some(at) = made {
                        state.leaves.insert(index, at);
                        return Some(at);
                    }
                }
                Some(self.thunk_address(index))
            }
            Target::Data(data) => {
                if let Some(&at) = state.variables.get(&index) {
                    return Some(at);
                }
                let at = self.data_at + state.data_used;
                let width = usize::from(self.process.machine.is_64());
                state.data_used += (data.size[width] as u64).next_multiple_of(16);
                state.variables.insert(index, at);
                // Initialisers may bind other exports.
                drop(state);
                Cx::with_current(|cx| (data.init)(cx, at));
                Some(at)
            }
        }
    }

    /// Writes the thunks. They lead nowhere until they are bound.
    fn write_thunks(&self) -> Result<()> {
        /// Thunks written in one piece.
        const PIECE: usize = 64;
        let (engine, count) = (self.process.engine(), self.dll.exports.len());
        for from in (0..count).step_by(PIECE) {
            let mut code = [0u8; PIECE * THUNK_SIZE];
            for (number, place) in (self.first..).skip(from).zip(code.chunks_exact_mut(THUNK_SIZE)) {
                place.copy_from_slice(&engine.thunk(number));
            }
            let len = PIECE.min(count - from) * THUNK_SIZE;
            mem::copy_out(self.thunk_address(from), &code[..len]).map_err(transom_loader::peb::fault)?;
        }
        let size = ((count * THUNK_SIZE) as u64).next_multiple_of(PAGE);
        match size {
            0 => Ok(()),
            size => self.process.memory.protect(self.thunk_address(0), size, PAGE_EXECUTE_READ).map(drop),
        }
    }

    /// Where the next piece of the leaf area begins. The area becomes writable and executable with its first one.
    fn next_leaf(&self, state: &mut State) -> Option<u64> {
        if state.leaf_used == 0 {
            self.process.memory.protect(self.leaves_at, LEAF_ROOM, PAGE_EXECUTE_READWRITE).ok()?;
            state.leaf_used = u64::from(MAX_FUNCTIONS * FUNCTION_SIZE);
        }
        Some(self.leaves_at + state.leaf_used)
    }

    /// Takes room in the leaf area.
    fn leaf_room(&self, state: &mut State, size: u64) -> Option<u64> {
        let at = self.next_leaf(state)?;
        let used = state.leaf_used + size.next_multiple_of(16);
        if used > LEAF_ROOM {
            log::debug!("{}: no room for more leaf stubs", self.dll.name);
            return None;
        }
        state.leaf_used = used;
        Some(at)
    }

    /// Writes a leaf stub.
    fn write_leaf(&self, state: &mut State, index: usize, emit: LeafFn) -> Option<u64> {
        let next = self.next_leaf(state)?;
        self.place_leaf(state, &emit(self.process.machine, self.thunk_address(index), next)?)
    }

    /// Puts a leaf stub where it was assembled for: at the next place.
    fn place_leaf(&self, state: &mut State, leaf: &Leaf) -> Option<u64> {
        let described = leaf.frame.as_ref().map_or(0, |frame| frame.info.len() + 4);
        let at = self.leaf_room(state, (leaf.code.len() + described) as u64)?;
        mem::copy_out(at, &leaf.code).ok()?;
        if let Some(frame) = &leaf.frame {
            let info_at = (at + leaf.code.len() as u64).next_multiple_of(4);
            mem::copy_out(info_at, &frame.info).ok()?;
            self.describe(at, frame, info_at)?;
        }
        Some(at)
    }

    /// Adds a function to the table that unwinders search. Stubs are written at ascending addresses, so it stays sorted.
    fn describe(&self, code_at: u64, frame: &LeafFrame, info_at: u64) -> Option<()> {
        let count = self.functions.load(Ordering::Relaxed);
        if count == MAX_FUNCTIONS {
            return None;
        }
        let code = u32::try_from(code_at - self.base).ok()?;
        let info = u32::try_from(info_at - self.base).ok()?;
        let entry = [code + frame.begin, code + frame.end, info];
        mem::write(self.leaves_at + u64::from(count * FUNCTION_SIZE), &entry).ok()?;
        self.functions.store(count + 1, Ordering::Release);
        Some(())
    }

    /// Writes the gate of a leaf stub: a place that jumps to the thunk at first, and becomes the stub (or a jump to it, if it is
    /// long) once the function has been called often enough to pay for assembling it.
    fn write_gate(&self, state: &mut State, index: usize, shim: Shim) -> Option<u64> {
        let gate = self.leaf_room(state, GATE_SIZE as u64)?;
        mem::write(gate, &jump(gate, self.thunk_address(index))).ok()?;
        let lazy: &'static LazyLeaf = Box::leak(Box::new(LazyLeaf {
            image: self,
            index,
            shim,
            gate,
            calls: AtomicU32::new(0),
            opened: AtomicBool::new(false),
        }));
        let number = self.first + u32::try_from(index).ok()?;
        let data = core::ptr::from_ref(lazy).cast::<c_void>();
        self.process.thunks.bind(number, Bound { entry: lazy_entry, data });
        Some(gate)
    }

    /// Writes the leaf stub of a gate, and opens the gate to it; the stub's address.
    fn open_gate(&self, lazy: &LazyLeaf) -> Option<u64> {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let made = self.write_behind(&mut state, lazy, lazy.shim.leaf?);
        if made.is_none() {
            log::debug!("{}: the gate of {} stays closed", self.dll.name, lazy.shim.name);
        }
        made
    }

    /// A gate begins with one instruction in an aligned word. The rest is written first and the word last, by one store, so that
    /// threads that pass meanwhile run the old instruction or the new ones.
    fn write_behind(&self, state: &mut State, lazy: &LazyLeaf, emit: LeafFn) -> Option<u64> {
        let (machine, thunk) = (self.process.machine, self.thunk_address(lazy.index));
        let leaf = emit(machine, thunk, self.next_leaf(state)?)?;
        if leaf.frame.is_some() || leaf.code.len() > GATE_SIZE {
            let at = self.place_leaf(state, &leaf)?;
            return mem::write(lazy.gate, &jump(lazy.gate, at)).ok().map(|()| at);
        }
        // A short one is soon assembled again.
        let mut code = emit(machine, thunk, lazy.gate).filter(|leaf| leaf.code.len() <= GATE_SIZE)?.code;
        code.resize(GATE_SIZE, 0xCC);
        let (first, rest) = code.split_first_chunk::<8>()?;
        mem::copy_out(lazy.gate + 8, rest).ok()?;
        mem::write(lazy.gate, &u64::from_le_bytes(*first)).ok().map(|()| lazy.gate)
    }
}

/// The first word of a gate that leads elsewhere: `jmp to`, then breakpoints.
fn jump(at: u64, to: u64) -> u64 {
    const LEN: u64 = 5;
    let distance = to.wrapping_sub(at + LEN).to_le_bytes();
    u64::from_le_bytes([0xE9, distance[0], distance[1], distance[2], distance[3], 0xCC, 0xCC, 0xCC])
}

/// Bytes of a gate: room for the stubs that are so short that a jump would be much of their time.
const GATE_SIZE: usize = 48;

/// Calls after which a leaf stub is written.
const OFTEN: u32 = 32;

/// Elements with which a single call is worth it: writing a long stub takes a quarter of a millisecond.
const MANY: u64 = 500;

/// A function whose leaf stub has not been written yet, or cannot be.
struct LazyLeaf {
    /// Lives as long as the process: the process keeps every image.
    image: *const BuiltinImage,
    index: usize,
    shim: Shim,
    /// Guest address of the gate.
    gate: u64,
    calls: AtomicU32,
    /// Whether the stub has been written, or was tried to.
    opened: AtomicBool,
}

/// The second argument of a call; 0 if it cannot be read.
fn second_argument(frame: &Frame) -> u64 {
    match frame.machine {
        Machine::I386 => mem::read::<u32>(frame.stack + 4).map_or(0, u64::from),
        Machine::Amd64 | Machine::Arm64 => frame.ints[1],
    }
}

/// The host side of such a function's thunk.
unsafe extern "C-unwind" fn lazy_entry(block: *mut ThreadBlock, frame: *mut Frame, data: *const c_void) {
    // SAFETY: bound in `write_gate` with a leaked `LazyLeaf`, whose image is never dropped.
    let lazy = unsafe { &*data.cast::<LazyLeaf>() };
    // SAFETY: only thunks call this, with the calling thread's block and the live frame of this call.
    let (cx, call) = unsafe { crate::cx::enter(block, frame) };
    let often = lazy.calls.fetch_add(1, Ordering::Relaxed) == OFTEN;
    let long = lazy.shim.counted && second_argument(call) >= MANY;
    if (often || long) && !lazy.opened.swap(true, Ordering::Relaxed) {
        // SAFETY: as above.
        let made = unsafe { &*lazy.image }.open_gate(lazy);
        if let Some(at) = made.filter(|_| long) {
            // The call is the stub's: the registers are as the caller set them.
            let mut context = cx.caller_context();
            context.set_return(at, call.sp, 0);
            cx.resume(&context)
        }
    }
    // SAFETY: the call is passed on as it came.
    unsafe { (lazy.shim.entry)(block, frame, core::ptr::null()) }
}

impl BuiltinDll for BuiltinImage {
    fn name(&self) -> &str {
        self.dll.name
    }

    fn base(&self) -> u64 {
        self.base
    }

    fn size(&self) -> u64 {
        self.size
    }

    fn by_name(&self, name: &[u8]) -> Option<u64> {
        self.address(self.position(name)?)
    }

    fn by_ordinal(&self, ordinal: u16) -> Option<u64> {
        self.address(self.dll.exports.find_ordinal(ordinal)?)
    }

    fn functions(&self) -> (u32, u32) {
        let rva = u32::try_from(self.leaves_at - self.base).unwrap_or(u32::MAX);
        (rva, self.functions.load(Ordering::Acquire))
    }

    fn symbol_at(&self, address: u64) -> Option<&str> {
        let offset = usize::try_from(address.checked_sub(self.base + PAGE)?).ok()?;
        let index = offset / THUNK_SIZE;
        (index < self.dll.exports.len()).then(|| self.dll.exports.name(index))
    }
}
