//! Relays: pieces of guest code through which calls between the guest's own modules go when they are watched.
//!
//! An import of a guest module's function is bound to a [`code::stub`] instead, which tells the host and then jumps to the function
//! with stack and argument registers as they were; only the return address has been exchanged for that of the
//! [`Common::leave`] code, which tells the host again and returns to where the call came from. So nothing needs to be known of the
//! function's arguments.
//!
//! Here live the code, and the list of [`watched`](Arrival::watch) calls from which [`caller`] says where such a call really returns to:
//! what unwinds the stack asks it for every frame. What does *not* live here: which functions are watched, and what is done about them.

mod code;

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

pub use code::{COMMON_SIZE, Common, STUB_SIZE, common, stub};

use crate::context::Context;
use crate::frame::Frame;
use crate::machine::Machine;
use crate::mem::{self, BadAddress};

/// Address of the code that watched calls return to; 0 if none are watched.
static LEAVE: AtomicU64 = AtomicU64::new(0);

/// A watched call.
#[derive(Clone, Copy, Debug)]
pub struct Watched {
    /// Where it returns to.
    pub return_address: u64,
    /// What the host noted of it.
    pub notes: [u64; 2],
}

/// Watched calls by the stack pointer at their beginning: several if one function left by a jump to another one, outermost first.
/// Those that were left otherwise stay until another call begins there.
static ACTIVE: Mutex<BTreeMap<u64, Vec<Watched>>> = Mutex::new(BTreeMap::new());

fn active() -> MutexGuard<'static, BTreeMap<u64, Vec<Watched>>> {
    ACTIVE.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Says where [`Common::leave`] is.
pub fn set_leave(address: u64) {
    LEAVE.store(address, Ordering::Relaxed);
}

/// Whether this is the address that watched calls return to.
#[must_use]
pub fn is_leave(address: u64) -> bool {
    address != 0 && address == LEAVE.load(Ordering::Relaxed)
}

/// Where a function really returns to that returns to `address`, and that was entered with the stack pointer `sp`.
#[inline]
#[must_use]
pub fn caller(address: u64, sp: u64) -> u64 {
    if is_leave(address) {
        active().get(&sp).and_then(|calls| calls.first()).map_or(address, |call| call.return_address)
    } else {
        address
    }
}

/// Puts the real place into registers that are those after a return.
pub(crate) fn resolve(context: &mut Context) {
    match context {
        Context::Amd64(c) => c.rip = caller(c.rip, c.rsp.wrapping_sub(8)),
        Context::Arm64(c) => {
            c.pc = caller(c.pc, c.sp);
            c.x[30] = caller(c.x[30], c.sp);
        }
        Context::I386(c) => {
            if is_leave(c.eip.into())
                && let Some(call) = innermost(&active(), c.esp.into())
            {
                c.eip = u32::try_from(call.1.return_address).unwrap_or(c.eip);
            }
        }
    }
}

/// On x86 a function may have removed its arguments: the call that began nearest below the stack pointer is the one that returned.
fn innermost(active: &BTreeMap<u64, Vec<Watched>>, sp: u64) -> Option<(u64, Watched)> {
    active.range(..sp).next_back().and_then(|(at, calls)| Some((*at, *calls.first()?)))
}

/// A call that has come to a relay.
#[derive(Clone, Copy, Debug)]
pub struct Arrival {
    /// The number that its stub was made with.
    pub number: u32,
    /// Stack pointer at the call (x86-64, x86: it points at the return address).
    pub sp: u64,
    /// Where it returns to.
    pub return_address: u64,
    /// Where that is stored.
    return_at: u64,
}

impl Arrival {
    /// Reads what the relay has left on the stack, from the frame of its call into the host.
    ///
    /// # Errors
    /// If the guest took its stack away.
    pub fn read(frame: &Frame) -> Result<Self, BadAddress> {
        let layout = code::layout(frame.machine);
        let base = frame.sp + layout.base;
        let number = mem::read(base + layout.number)?;
        let sp = base + layout.entered;
        let return_at = base + layout.return_address;
        let return_address =
            if frame.machine.is_64() { mem::read(return_at)? } else { mem::read::<u32>(return_at)?.into() };
        Ok(Self { number, sp, return_address, return_at })
    }

    /// Makes the frame that of the call itself, as if the function were the host's. Returns what [`restore`] takes.
    pub fn show_in(&self, frame: &mut Frame) -> [u64; 3] {
        let kept = [frame.sp, frame.stack, frame.return_address];
        let word = match frame.machine {
            Machine::Amd64 => 8,
            Machine::I386 => 4,
            Machine::Arm64 => 0,
        };
        (frame.sp, frame.stack, frame.return_address) = (self.sp, self.sp + word, self.return_address);
        kept
    }

    /// Has the function return to [`Common::leave`].
    ///
    /// # Errors
    /// If the guest took its stack away.
    pub fn watch(&self, machine: Machine, notes: [u64; 2]) -> Result<(), BadAddress> {
        let leave = LEAVE.load(Ordering::Relaxed);
        put(machine, self.return_at, leave)?;
        let mut active = active();
        if machine == Machine::I386 {
            forget_arguments(&mut active, self.sp);
        }
        let call = Watched { return_address: self.return_address, notes };
        let calls = active.entry(self.sp).or_default();
        if self.return_address != leave {
            calls.clear();
        }
        calls.push(call);
        Ok(())
    }
}

/// Where arguments lie now there cannot be a return address any more: the call that had it was left by a jump.
fn forget_arguments(active: &mut BTreeMap<u64, Vec<Watched>>, sp: u64) {
    /// The most that a function removes.
    const MOST: u64 = 1024;
    let stale: Vec<u64> = active
        .range(sp + 1..sp + MOST)
        .map(|(at, _)| *at)
        .filter(|at| mem::read::<u32>(*at).is_ok_and(|word| !is_leave(word.into())))
        .collect();
    for at in stale {
        active.remove(&at);
    }
}

fn put(machine: Machine, at: u64, value: u64) -> Result<(), BadAddress> {
    let bytes = value.to_le_bytes();
    mem::copy_out(at, &bytes[..machine.pointer_size()])
}

/// Makes the frame again what [`Arrival::show_in`] found.
pub fn restore(frame: &mut Frame, kept: [u64; 3]) {
    [frame.sp, frame.stack, frame.return_address] = kept;
}

/// A watched call that has returned: takes it off the list, and puts its results into the frame. `None` if no such call is known.
///
/// # Errors
/// If the guest took its stack away.
pub fn returned(frame: &mut Frame) -> Result<Option<Watched>, BadAddress> {
    let layout = code::layout(frame.machine);
    let base = frame.sp + layout.base;
    if frame.machine.is_64() {
        frame.result = mem::read(base + layout.result)?;
    } else {
        frame.result = mem::read::<u32>(base + layout.result)?.into();
        frame.result_high = mem::read::<u32>(base + layout.result_high)?.into();
    }
    frame.result_float = frame.floats[0];
    let mut active = active();
    let left = base + layout.left;
    let at = match frame.machine {
        Machine::I386 => innermost(&active, left).map(|(at, _)| at),
        _ => Some(left),
    };
    let Some(calls) = at.and_then(|at| active.get_mut(&at)) else { return Ok(None) };
    let call = calls.pop();
    if calls.is_empty()
        && let Some(at) = at
    {
        active.remove(&at);
    }
    Ok(call)
}
