//! Calls between the guest's own modules, for a tracer that wants to see them: exports of images are bound to relays
//! ([`transom_cpu::relay`]), which come here at a call's beginning and end.
//!
//! Only code is relayed: an export that lies in a section without execute permission is a variable. Functions that have to do with
//! the caller's own stack (`setjmp`, stack probes, unwinders and the handlers that they call) stay as they are.

use core::ffi::c_void;
use std::collections::HashMap;
use std::fmt;
use std::sync::{Mutex, OnceLock, PoisonError, RwLock};

use transom_cpu::block::ThreadBlock;
use transom_cpu::frame::Frame;
use transom_cpu::machine::Machine;
use transom_cpu::mem::{self, BadAddress};
use transom_cpu::relay::{self, Arrival, COMMON_SIZE, Common, STUB_SIZE};
use transom_cpu::thunk::Bound;
use transom_loader::modules::{Kind, Module};
use transom_loader::pe::{self, Symbol};
use transom_syscalls::memory::{Allocation, PAGE};
use windows_sys::Win32::System::Memory::{MEM_COMMIT, MEM_RESERVE, PAGE_EXECUTE_READWRITE};

use crate::cx::Cx;
use crate::process::Process;
use crate::trace::{Callee, Tracer};

/// The relays of a process.
#[derive(Default)]
pub(crate) struct Relays {
    /// Where the common code is; `None` if it could not be made.
    common: OnceLock<Option<u64>>,
    /// Functions by their stubs' numbers.
    functions: RwLock<Vec<&'static Relayed>>,
    stubs: Mutex<Stubs>,
}

#[derive(Default)]
struct Stubs {
    /// Stubs by what they lead to: the address, and the module's name, as another one may come to lie there. A function with two names
    /// has one, so that its addresses are equal.
    made: HashMap<(u64, String), u64>,
    /// Where the next one goes; a multiple of the page size if there is no room.
    next: u64,
}

/// A function behind a relay.
struct Relayed {
    callee: Callee,
    target: u64,
    /// Whether its end is watched too.
    to_the_end: bool,
    tracer: &'static dyn Tracer,
}

impl fmt::Debug for Relays {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Relays").finish_non_exhaustive()
    }
}

/// Whether a function must find its caller's stack as it is.
fn is_about_stacks(name: &str) -> bool {
    [
        "setjmp",
        "chkstk",
        "alloca",
        "_Unwind_",
        "personality",
        "FrameHandler",
        "_specific_handler",
        "except_handler",
    ]
    .iter()
    .any(|part| name.contains(part))
}

/// Whether the module's exceptions find their handlers by return addresses and tables of the guest's own (libgcc's DWARF unwinder on
/// x86), which know nothing of relays.
fn unwinds_by_itself(process: &Process, module: &Module) -> bool {
    let Some(headers) = module.headers().filter(|_| process.machine == Machine::I386) else { return false };
    let image = module.image();
    let imports = pe::imports(&image, headers);
    (&imports)
        .into_iter()
        .flatten()
        .any(|dll| dll.name.to_text().to_ascii_lowercase().starts_with("libgcc_s"))
}

/// The address to which an export is bound: a relay's if the tracer wants to see the calls of it, else its own.
pub(crate) fn bound(process: &'static Process, module: &Module, symbol: &Symbol, address: u64) -> u64 {
    let Some(tracer) = process.tracer().filter(|t| t.wants_modules()) else { return address };
    // A forwarder may lead to another module, and to a built-in one.
    let other =
        process.modules_if_any().and_then(|m| m.by_address(address)).filter(|m| m.base != module.base);
    let owner = other.as_deref().unwrap_or(module);
    let Kind::Image(mapped) = &owner.kind else { return address };
    let is_code = u32::try_from(address - owner.base)
        .ok()
        .and_then(|rva| mapped.headers.section_at(rva))
        .is_some_and(|section| section.protection.execute);
    let name = symbol.to_string();
    if !is_code || is_about_stacks(&name) || !tracer.wants(&owner.name, &name) {
        return address;
    }
    let to_the_end = !unwinds_by_itself(process, owner);
    process.relays.stub(process, tracer, owner, name, address, to_the_end).unwrap_or(address)
}

impl Relays {
    fn stub(
        &self,
        process: &'static Process,
        tracer: &'static dyn Tracer,
        module: &Module,
        name: String,
        target: u64,
        to_the_end: bool,
    ) -> Option<u64> {
        let common = (*self.common.get_or_init(|| self.write_common(process)))?;
        let mut stubs = self.stubs.lock().unwrap_or_else(PoisonError::into_inner);
        let key = (target, module.name.clone());
        if let Some(at) = stubs.made.get(&key) {
            return Some(*at);
        }
        if stubs.next.is_multiple_of(PAGE) {
            stubs.next = room(process)?;
        }
        let at = stubs.next;
        let mut functions = self.functions.write().unwrap_or_else(PoisonError::into_inner);
        let number = u32::try_from(functions.len()).ok()?;
        let code = relay::stub(process.machine, number, common, at)
            .inspect_err(|error| log::debug!("{}!{name}: no relay: {error}", key.1))
            .ok()?;
        mem::copy_out(at, &code).ok()?;
        let callee = Callee::of_guest(&module.name, &name);
        functions.push(Box::leak(Box::new(Relayed { callee, target, to_the_end, tracer })));
        stubs.next += STUB_SIZE as u64;
        stubs.made.insert(key, at);
        Some(at)
    }

    /// What the stub at an address leads to; the address itself if there is none.
    pub(crate) fn target(&self, address: u64) -> u64 {
        let stubs = self.stubs.lock().unwrap_or_else(PoisonError::into_inner);
        stubs.made.iter().find(|(_, at)| **at == address).map_or(address, |((target, _), _)| *target)
    }

    fn write_common(&self, process: &'static Process) -> Option<u64> {
        let at = room(process)?;
        let first = process.thunks.reserve(2)?;
        process.thunks.bind(first, Bound { entry: enter, data: core::ptr::null() });
        process.thunks.bind(first + 1, Bound { entry: leave, data: core::ptr::null() });
        // The two thunks lie behind the code.
        let (to_enter, to_leave) = (at + COMMON_SIZE as u64, at + COMMON_SIZE as u64 + 16);
        mem::copy_out(to_enter, &process.engine().thunk(first)).ok()?;
        mem::copy_out(to_leave, &process.engine().thunk(first + 1)).ok()?;
        let Common { code, leave } = relay::common(process.machine, to_enter, to_leave, at)
            .inspect_err(|error| log::debug!("no relays: {error}"))
            .ok()?;
        mem::copy_out(at, &code).ok()?;
        relay::set_leave(at + leave);
        Some(at)
    }

    fn function(&self, number: u32) -> Option<&'static Relayed> {
        let functions = self.functions.read().unwrap_or_else(PoisonError::into_inner);
        functions.get(number as usize).copied()
    }
}

/// A page for code.
fn room(process: &Process) -> Option<u64> {
    let page = Allocation {
        size: PAGE,
        kind: MEM_RESERVE | MEM_COMMIT,
        protect: PAGE_EXECUTE_READWRITE,
        ..Allocation::default()
    };
    process.memory.allocate(&page).ok().map(|range| range.base)
}

/// A call begins.
unsafe extern "C-unwind" fn enter(block: *mut ThreadBlock, frame: *mut Frame, _data: *const c_void) {
    // SAFETY: called by a thunk's entry code with the thread's block and the live frame.
    let (cx, frame) = unsafe { crate::cx::enter(block, frame) };
    if let Err(bad) = begin(cx, frame) {
        cx.access_violation(bad);
    }
}

fn begin(cx: &Cx, frame: &mut Frame) -> Result<(), BadAddress> {
    let arrival = Arrival::read(frame)?;
    let Some(relayed) = cx.process().relays.function(arrival.number) else { lost(cx) };
    let kept = arrival.show_in(frame);
    let token = relayed.tracer.before(cx, frame, &relayed.callee);
    if token != 0 && !relayed.to_the_end {
        relayed.tracer.unwatched(cx, frame, &relayed.callee, token);
    }
    relay::restore(frame, kept);
    if token != 0 && relayed.to_the_end {
        arrival.watch(cx.machine(), [token, arrival.number.into()])?;
    }
    frame.result = relayed.target;
    Ok(())
}

/// A call has returned.
unsafe extern "C-unwind" fn leave(block: *mut ThreadBlock, frame: *mut Frame, _data: *const c_void) {
    // SAFETY: as in `enter`.
    let (cx, frame) = unsafe { crate::cx::enter(block, frame) };
    if let Err(bad) = finish(cx, frame) {
        cx.access_violation(bad);
    }
}

fn finish(cx: &Cx, frame: &mut Frame) -> Result<(), BadAddress> {
    let Some(call) = relay::returned(frame)? else { lost(cx) };
    let number = u32::try_from(call.notes[1]).unwrap_or(u32::MAX);
    let Some(relayed) = cx.process().relays.function(number) else { lost(cx) };
    relayed.tracer.after(cx, frame, &relayed.callee, call.notes[0]);
    frame.result = call.return_address;
    frame.result_high = 0;
    Ok(())
}

/// A guest that copies or forges return addresses: there is nowhere to go on.
fn lost(cx: &Cx) -> ! {
    transom_syscalls::say!(
        "transom: internal error: a traced call between modules returned twice; try without --modules"
    );
    cx.process().terminate(125)
}
