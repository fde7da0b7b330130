//! Variables of the runtimes that guests reach by address: msvcrt's data exports and what the `__p__*` functions point to.
//!
//! Each variable is one place in guest memory. A data export brings its own place; a variable that only a function names
//! gets one from the heap when first asked for.

use std::sync::Mutex;
use std::sync::PoisonError;
use std::sync::atomic::{AtomicU64, Ordering};

use transom_sdk::{BadAddress, Crt, CrtError, Cx, mem};

use super::errno::ENOMEM;

/// A variable.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Var {
    Argc,
    Argv,
    Wargv,
    Environ,
    Wenviron,
    InitEnv,
    WinitEnv,
    Acmdln,
    Wcmdln,
    Pgmptr,
    Wpgmptr,
    Fmode,
    Commode,
    Timezone,
    Daylight,
    Dstbias,
    Tzname,
    MbCurMax,
    Pctype,
    Iob,
    Osver,
    Winver,
    Winmajor,
    Winminor,
    SysNerr,
    ClassTable,
}

const COUNT: usize = 26;

/// Bytes given to a variable that has no data export: enough for the largest of them (`_tzname` with its texts).
const ROOM: u64 = 512;

/// Addresses by variable.
pub(crate) struct Globals {
    at: [AtomicU64; COUNT],
    making: Mutex<()>,
}

impl Default for Globals {
    fn default() -> Self {
        Self { at: [const { AtomicU64::new(0) }; COUNT], making: Mutex::new(()) }
    }
}

fn index(var: Var) -> usize {
    var as usize
}

/// The variable's address, if it has one yet.
pub(crate) fn find(cx: &Cx, var: Var) -> Option<u64> {
    Some(cx.state::<Globals>().at[index(var)].load(Ordering::Acquire)).filter(|at| *at != 0)
}

/// The variable's address, made on first use. `fresh` says that the caller has to give it its value.
pub(crate) fn place(cx: &Cx, var: Var, size: u64) -> Crt<(u64, bool)> {
    if let Some(at) = find(cx, var) {
        return Ok((at, false));
    }
    let globals = cx.state::<Globals>();
    let _making = globals.making.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(at) = find(cx, var) {
        return Ok((at, false));
    }
    let at = cx.heaps().process().alloc(size.max(16), true).ok_or(CrtError::Errno(ENOMEM))?;
    globals.at[index(var)].store(at, Ordering::Release);
    Ok((at, true))
}

/// A data export brings the variable's place. If a function has named another place before, its value is taken over.
pub(crate) fn adopt(cx: &Cx, var: Var, at: u64, size: usize) {
    let old = cx.state::<Globals>().at[index(var)].swap(at, Ordering::AcqRel);
    if old != 0 && old != at {
        log::debug!("{var:?} was used before its data export; both places hold the same value now");
        let _ = mem::copy_within(at, old, size);
    }
}

/// The address of a small variable (an `int` or a pointer), zero at first.
pub(crate) fn small(cx: &Cx, var: Var) -> Crt<u64> {
    place(cx, var, ROOM).map(|(at, _)| at)
}

/// Stores an `int`.
pub(crate) fn set_int(cx: &Cx, var: Var, value: i32) -> Crt<()> {
    Ok(mem::write(small(cx, var)?, &value)?)
}

/// Reads an `int`; 0 if nobody has used the variable.
pub(crate) fn int(cx: &Cx, var: Var) -> Result<i32, BadAddress> {
    find(cx, var).map_or(Ok(0), mem::read)
}

/// Stores a pointer.
pub(crate) fn set_pointer(cx: &Cx, var: Var, value: u64) -> Crt<()> {
    let at = small(cx, var)?;
    Ok(write_pointer(cx, at, value)?)
}

/// Reads a pointer; 0 if nobody has used the variable.
pub(crate) fn pointer(cx: &Cx, var: Var) -> Result<u64, BadAddress> {
    find(cx, var).map_or(Ok(0), |at| read_pointer(cx, at))
}

/// Bytes of a guest pointer.
pub(crate) fn pointer_size(cx: &Cx) -> u64 {
    u64::from(cx.pointer_size())
}

/// Reads a guest pointer.
pub(crate) fn read_pointer(cx: &Cx, at: u64) -> Result<u64, BadAddress> {
    transom_sdk::Ptr::<transom_sdk::Ptr<u8>>::new(at).read(cx).map(transom_sdk::Ptr::addr)
}

/// Writes a guest pointer.
pub(crate) fn write_pointer(cx: &Cx, at: u64, value: u64) -> Result<(), BadAddress> {
    transom_sdk::Ptr::<transom_sdk::Ptr<u8>>::new(at).write(cx, transom_sdk::Ptr::new(value))
}

/// Guest memory from the process heap.
pub(crate) fn allocate(cx: &Cx, size: u64) -> Crt<u64> {
    cx.heaps().process().alloc(size, true).ok_or(CrtError::Errno(ENOMEM))
}
