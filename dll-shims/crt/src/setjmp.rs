//! `setjmp.h`: non-local jumps, with the buffer layouts of each machine (MSVC's `setjmp.h`, `_JUMP_BUFFER`).
//!
//! A buffer that names a frame asks for an unwind to it, so that termination handlers and destructors run; one that does
//! not is restored as it is. What lies between (shims that called back) is dropped by the engine when guest code resumes.

use transom_cpu::context::{Amd64Context, Arm64Context, Context, I386Context};
use transom_sdk::foundation::STATUS_LONGJUMP;
use transom_sdk::mem::{self, BadAddress};
use transom_sdk::{Cx, Parameters, Ptr, Record, Unwind, VarArgs, restore_jump_buffer, shim};

/// Saves the current state of the program.
#[shim(
    msvcrt(_setjmp, _setjmpex),
    ucrtbase(_setjmp, __intrinsic_setjmp, __intrinsic_setjmpex),
    vcruntime140(__intrinsic_setjmp, __intrinsic_setjmpex)
)]
fn _setjmp(cx: &Cx, buffer: Ptr<u8>, frame: Ptr<u8>) -> i32 {
    let context = cx.caller_context();
    let saved = match &context {
        Context::Amd64(c) => save_amd64(buffer.addr(), frame.addr(), c),
        Context::Arm64(c) => save_arm64(buffer.addr(), frame.addr(), c),
        Context::I386(c) => save_i386(cx, buffer.addr(), c, &[]),
    };
    saved.map_or_else(|bad| cx.access_violation(bad), |()| 0)
}

/// Saves the current state of an x86 program: `count` words follow that say how to unwind to the caller's own frame.
#[shim(msvcrt, ucrtbase, vcruntime140, cdecl)]
fn _setjmp3(cx: &Cx, buffer: Ptr<u8>, count: u32, mut rest: VarArgs) -> i32 {
    let context = cx.caller_context();
    let saved = (0..count.min(8)).map(|_| rest.int32()).collect::<Result<Vec<u32>, _>>();
    let saved = saved.and_then(|words| match &context {
        Context::I386(c) => save_i386(cx, buffer.addr(), c, &words),
        Context::Amd64(c) => save_amd64(buffer.addr(), 0, c),
        Context::Arm64(c) => save_arm64(buffer.addr(), 0, c),
    });
    saved.map_or_else(|bad| cx.access_violation(bad), |()| 0)
}

/// Restores the state that `setjmp` saved.
#[shim(msvcrt, ucrtbase, vcruntime140)]
fn longjmp(cx: &Cx, buffer: Ptr<u8>, value: i32) {
    let value = if value == 0 { 1 } else { value };
    if let Err(bad) = jump(cx, buffer.addr(), value.cast_unsigned()) {
        cx.access_violation(bad);
    }
}

fn jump(cx: &Cx, buffer: u64, value: u32) -> Result<(), BadAddress> {
    let mut context = cx.caller_context();
    let frame = match &context {
        Context::I386(_) => return jump_i386(cx, buffer, value),
        Context::Amd64(_) | Context::Arm64(_) => mem::read::<u64>(buffer)?,
    };
    let mut target = context.clone();
    restore_jump_buffer(buffer, &mut target)?;
    target.set_return(target.pc(), target.sp(), value.into());
    if frame != 0 {
        let record = Record {
            code: STATUS_LONGJUMP.cast_unsigned(),
            flags: 0,
            nested: 0,
            address: 0,
            parameters: Parameters::new(&[buffer]),
        };
        let at = record.store(cx, context.sp().wrapping_sub(0xA0) & !15)?;
        let unwind = Unwind {
            target_frame: frame,
            target_ip: target.pc(),
            record: at,
            value: value.into(),
            below: at,
            then: None,
        };
        cx.unwind(&unwind, &mut context);
    }
    cx.resume(&target)
}

fn save_amd64(buffer: u64, frame: u64, c: &Amd64Context) -> Result<(), BadAddress> {
    let words: [u64; 11] = [frame, c.rbx, c.rsp, c.rbp, c.rsi, c.rdi, c.r12, c.r13, c.r14, c.r15, c.rip];
    let mut vectors = [0u128; 10];
    vectors.copy_from_slice(&c.flt_save.xmm_registers[6..]);
    mem::write(buffer, &words)?;
    mem::write(buffer + 0x58, &c.mx_csr)?;
    mem::write(buffer + 0x5C, &c.flt_save.control_word)?;
    mem::write(buffer + 0x60, &vectors)
}

/// Frame, Reserved, x19 to x28, fp, lr, sp, fpcr, fpsr, d8 to d15.
#[expect(
    clippy::cast_possible_truncation,
    reason = "the low halves of the vector registers are what is kept"
)]
fn save_arm64(buffer: u64, frame: u64, c: &Arm64Context) -> Result<(), BadAddress> {
    let mut words = [0u64; 15];
    words[0] = frame;
    words[2..14].copy_from_slice(&c.x[19..31]);
    words[13] = c.pc;
    words[14] = c.sp;
    let mut vectors = [0u64; 8];
    for (to, from) in vectors.iter_mut().zip(&c.v[8..16]) {
        *to = *from as u64;
    }
    mem::write(buffer, &words)?;
    mem::write(buffer + 0x78, &[c.fpcr, c.fpsr])?;
    mem::write(buffer + 0x80, &vectors)
}

/// `_JUMP_BUFFER::Cookie`: says that the words from UnwindFunc on are there.
const COOKIE: u32 = u32::from_be_bytes(*b"VC20");
/// The end of the chain of exception registrations.
const CHAIN_END: u32 = u32::MAX;

/// Ebp, Ebx, Edi, Esi, Esp, Eip, Registration, TryLevel, Cookie, UnwindFunc, UnwindData[6]. `Esp` is as at the entry of
/// `setjmp`, where it points at the return address.
fn save_i386(cx: &Cx, buffer: u64, c: &I386Context, extra: &[u32]) -> Result<(), BadAddress> {
    let registration: u32 = mem::read(cx.teb().addr)?;
    let mut words =
        [c.ebp, c.ebx, c.edi, c.esi, c.esp.wrapping_sub(4), c.eip, registration, CHAIN_END, COOKIE, 0];
    match *extra {
        _ if registration == CHAIN_END => {}
        [] => words[7] = mem::read(u64::from(registration) + 12).unwrap_or(CHAIN_END),
        [function] => words[9] = function,
        [function, level, ..] => (words[9], words[7]) = (function, level),
    }
    mem::write(buffer, &words)?;
    mem::write_slice(buffer + 40, extra.get(2..).unwrap_or_default())
}

fn jump_i386(cx: &Cx, buffer: u64, value: u32) -> Result<(), BadAddress> {
    let words: [u32; 9] = mem::read(buffer)?;
    let registration = words[6];
    let mut context = cx.caller_context();
    if registration != CHAIN_END && mem::read::<u32>(cx.teb().addr)? != registration {
        let unwind = Unwind { target_frame: registration.into(), target_ip: 0, ..Unwind::default() };
        cx.unwind(&unwind, &mut context);
    }
    if registration != CHAIN_END && words[8] == COOKIE {
        let function: u32 = mem::read(buffer + 36)?;
        if function != 0 {
            cx.call(transom_sdk::Func(function.into()), &[buffer]);
        }
    }
    if let Context::I386(c) = &mut context {
        [c.ebp, c.ebx, c.edi, c.esi] = [words[0], words[1], words[2], words[3]];
        (c.esp, c.eip, c.eax) = (words[4].wrapping_add(4), words[5], value);
    }
    cx.resume(&context)
}
