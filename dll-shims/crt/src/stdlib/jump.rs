//! `setjmp` and `longjmp` (setjmp.h).
//!
//! A jump abandons the calls between without running their `finally` blocks and destructors, as msvcrt does when the buffer's frame
//! is 0. Which registers a buffer holds is the engines' knowledge (`transom_cpu::jump`).

use transom_cpu::jump::{self, JumpBuffer};
use transom_sdk::{BadAddress, Crt, CrtError, Cx, Machine, Ptr, VarArgs, mem, shim};

/// Saves the registers as they will be when `setjmp` returns.
fn save(cx: &Cx, buffer: Ptr<u8>, frame: u64) -> Crt<i32> {
    let saved = JumpBuffer::save(&cx.caller_context(), frame);
    mem::copy_out(buffer.addr(), saved.bytes())?;
    if cx.machine() == Machine::I386 {
        let list: u32 = mem::read(cx.teb().addr)?;
        mem::write(buffer.addr() + jump::REGISTRATION, &list)?;
    }
    Ok(0)
}

/// Saves the calling environment.
#[shim(
    msvcrt(_setjmp, setjmp, _setjmpex),
    ucrtbase(_setjmp, setjmp, __intrinsic_setjmp, __intrinsic_setjmpex),
    vcruntime140(_setjmp, __intrinsic_setjmp, __intrinsic_setjmpex)
)]
fn _setjmp(cx: &Cx, buffer: Ptr<u8>, frame: usize) -> Crt<i32> {
    save(cx, buffer, frame as u64)
}

/// Saves the calling environment (x86).
#[shim(msvcrt, ucrtbase, vcruntime140)]
fn _setjmp3(cx: &Cx, buffer: Ptr<u8>, count: i32, rest: VarArgs) -> Crt<i32> {
    let _ = (count, rest);
    save(cx, buffer, 0)
}

fn load(cx: &Cx, buffer: Ptr<u8>) -> Result<JumpBuffer, BadAddress> {
    let bytes = mem::copy_in_vec(buffer.addr(), jump::size(cx.machine()))?;
    if cx.machine() == Machine::I386 {
        let list: u32 = mem::read(buffer.addr() + jump::REGISTRATION)?;
        mem::write(cx.teb().addr, &list)?;
    }
    Ok(JumpBuffer::from_bytes(cx.machine(), &bytes))
}

/// Goes back to where the environment was saved.
#[shim(
    msvcrt(longjmp, _longjmpex),
    ucrtbase(longjmp),
    vcruntime140(longjmp),
    partial = "does not run the finally blocks and destructors of the calls it leaves"
)]
fn longjmp(cx: &Cx, buffer: Ptr<u8>, value: i32) -> Crt<()> {
    let buffer = load(cx, buffer).map_err(CrtError::Fault)?;
    let mut context = cx.caller_context();
    buffer.restore(&mut context, if value == 0 { 1 } else { value.cast_unsigned() });
    cx.resume(&context)
}
