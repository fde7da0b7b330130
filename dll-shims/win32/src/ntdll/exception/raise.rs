//! Raising exceptions and continuing with a context (`errhandlingapi.h`, `winnt.h`).

use transom_cpu::context::Context;
use transom_sdk::foundation::STATUS_INVALID_PARAMETER;
use transom_sdk::{Cx, Nt, Parameters, Ptr, Record, Status, mem, shim};

use super::{area::Area, flag, unwind};

/// The most parameters that RaiseException takes.
const MAX_ARGUMENTS: usize = 15;

/// Raises an exception in the calling thread.
#[shim(kernel32)]
fn RaiseException(cx: &Cx, code: u32, flags: u32, count: u32, arguments: Ptr<usize>) {
    let mut words = [0; MAX_ARGUMENTS];
    let count = if arguments.is_null() { 0 } else { (count as usize).min(MAX_ARGUMENTS) };
    for (i, word) in words[..count].iter_mut().enumerate() {
        match arguments.add(cx, i).read(cx) {
            Ok(value) => *word = value as u64,
            Err(bad) => cx.access_violation(bad),
        }
    }
    let parameters = Parameters::new(&words[..count]);
    // Bit 28 is reserved: the system clears it.
    let code = code & !0x1000_0000;
    let flags = flags & flag::NONCONTINUABLE;
    cx.raise(&Record { code, flags, nested: 0, address: cx.return_address(), parameters })
}

/// Raises the exception that a record describes; the caller is its place.
#[shim(ntdll)]
fn RtlRaiseException(cx: &Cx, record: Ptr<u8>) {
    match Record::load(cx, record.addr()) {
        Ok(loaded) => cx.raise(&Record { address: cx.return_address(), ..loaded }),
        Err(bad) => cx.access_violation(bad),
    }
}

/// Raises an exception that is only a status, which cannot be continued.
#[shim(ntdll)]
fn RtlRaiseStatus(cx: &Cx, status: i32) {
    let address = cx.return_address();
    cx.raise(&Record { flags: flag::NONCONTINUABLE, ..Record::status(status, address) })
}

/// Raises an exception with a context of the caller's making. Without `first_chance` nobody is asked.
#[shim(ntdll(NtRaiseException, ZwRaiseException))]
fn NtRaiseException(cx: &Cx, record: Ptr<u8>, context: Ptr<u8>, first_chance: bool) -> Nt<()> {
    let record = Record::load(cx, record.addr())?;
    let mut at = cx.caller_context();
    at.overlay(&Context::load(cx.machine(), context.addr())?);
    if !first_chance {
        super::unhandled::die(cx, &record, &at);
    }
    cx.process().dispatch_exception(cx, &record, &mut at);
    cx.resume(&at)
}

/// Goes on with the registers of a context.
#[shim(ntdll(NtContinue, ZwContinue))]
fn NtContinue(cx: &Cx, context: Ptr<u8>, test_alert: bool) -> Nt<()> {
    go_on(cx, context, test_alert)
}

/// As NtContinue; the argument is its flag, or the address of a KCONTINUE_ARGUMENT, whose second word has flags.
#[shim(ntdll(NtContinueEx, ZwContinueEx))]
fn NtContinueEx(cx: &Cx, context: Ptr<u8>, argument: Ptr<u8>) -> Nt<()> {
    const TEST_ALERT: u32 = 1;
    let test_alert = match argument.addr() {
        flag @ 0..=0xFF => flag != 0,
        at => mem::read::<u32>(at + 4)? & TEST_ALERT != 0,
    };
    go_on(cx, context, test_alert)
}

fn go_on(cx: &Cx, context: Ptr<u8>, test_alert: bool) -> Nt<()> {
    let mut at = cx.caller_context();
    at.overlay(&Context::load(cx.machine(), context.addr())?);
    if test_alert {
        log::trace!("NtContinue: user APCs run at the next alertable wait");
    }
    if at.pc() == 0 {
        return Err(Status(STATUS_INVALID_PARAMETER).into());
    }
    cx.resume(&at)
}

/// Retrieves a context record in the context of the caller.
#[shim(kernel32, ntdll, leaf = transom_cpu::leaf::context::capture_context)]
fn RtlCaptureContext(cx: &Cx, context: Ptr<u8>) {
    if let Err(bad) = cx.caller_context().store(context.addr()) {
        cx.access_violation(bad);
    }
}

/// Restores the context of the caller to the specified context record.
#[shim(kernel32, ntdll, cdecl)]
fn RtlRestoreContext(cx: &Cx, context: Ptr<u8>, record: Ptr<u8>) {
    let mut at = cx.caller_context();
    let sp = Area::below(cx, at.sp()).sp;
    let mut go = move || {
        at.overlay(&Context::load(cx.machine(), context.addr())?);
        let code = if record.is_null() { 0 } else { mem::read(record.addr())? };
        unwind::restore(cx, code, record.addr(), &mut at, sp)
    };
    let Err(bad) = go();
    cx.access_violation(bad)
}

/// Retrieves the base address of the image that contains the specified PC value.
#[shim(kernel32, ntdll)]
fn RtlPcToFileHeader(cx: &Cx, pc: Ptr<u8>, base: Ptr<usize>) -> Ptr<u8> {
    let found = cx.modules().by_address(pc.addr()).map_or(0, |m| m.base);
    #[expect(clippy::cast_possible_truncation, reason = "the host is 64-bit")]
    if let Err(bad) = base.write_opt(cx, found as usize) {
        cx.access_violation(bad);
    }
    Ptr::new(found)
}

/// The code of the exception that a guest's EXCEPTION_POINTERS describe, with its record and context.
///
/// # Errors
/// If they cannot be read.
pub(crate) fn from_pointers(
    cx: &Cx,
    pointers: Ptr<u8>,
) -> Result<(Record, Context), transom_sdk::BadAddress> {
    let (record, context) = if cx.is_64() {
        let [record, context]: [u64; 2] = mem::read(pointers.addr())?;
        (record, context)
    } else {
        let [record, context]: [u32; 2] = mem::read(pointers.addr())?;
        (record.into(), context.into())
    };
    Ok((Record::load(cx, record)?, Context::load(cx.machine(), context)?))
}
