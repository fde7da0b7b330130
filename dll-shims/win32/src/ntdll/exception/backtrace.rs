//! Stack traces (`winnt.h`: RtlCaptureStackBackTrace) and the guest's own walks (RtlVirtualUnwind).

use transom_cpu::context::Context;
use transom_cpu::unwind::{self, Function, HandlerKind, Places};
use transom_sdk::{BadAddress, Cx, Machine, Nt, Ptr, mem, shim};

use super::tables;
use super::walk::{Next, Walk};

/// The program counters of the stack from a context on, innermost first.
pub fn trace(cx: &Cx, context: &Context, most: usize) -> Vec<u64> {
    match context {
        Context::I386(c) => trace_i386(cx, c.eip, c.ebp, most),
        Context::Amd64(_) | Context::Arm64(_) => {
            let mut walk = Walk::new(cx, context, HandlerKind::None);
            let mut out = Vec::new();
            let mut pc = context.pc();
            while out.len() < most {
                match walk.next(None) {
                    Next::Frame => out.push(pc),
                    Next::Level(_) => {}
                    Next::End => break,
                }
                pc = walk.context.pc();
                if pc == 0 {
                    break;
                }
            }
            out
        }
    }
}

/// x86 frames are linked by saved frame pointers, where the compiler kept them.
fn trace_i386(cx: &Cx, eip: u32, mut ebp: u32, most: usize) -> Vec<u64> {
    let mut out = vec![u64::from(eip)];
    let trap = cx.engine().return_trap();
    while out.len() < most {
        let Ok([next, back]) = mem::read::<[u32; 2]>(ebp.into()) else { break };
        if back == 0 || u64::from(back) == trap || next <= ebp {
            break;
        }
        out.push(back.into());
        ebp = next;
    }
    out
}

/// Captures a stack back trace by walking up the stack and recording the information for each frame.
#[shim(kernel32(RtlCaptureStackBackTrace, CaptureStackBackTrace), ntdll(RtlCaptureStackBackTrace))]
fn RtlCaptureStackBackTrace(cx: &Cx, skip: u32, count: u32, frames: Ptr<usize>, hash: Ptr<u32>) -> u16 {
    let skip = skip as usize;
    let trace = trace(cx, &cx.caller_context(), skip.saturating_add((count as usize).min(0xFFFF)));
    let kept = trace.get(skip..).unwrap_or_default();
    let mut sum = 0u32;
    for (i, &pc) in kept.iter().enumerate() {
        #[expect(clippy::cast_possible_truncation, reason = "the host is 64-bit; a hash takes the low half")]
        let (pc, low) = (pc as usize, pc as u32);
        sum = sum.wrapping_add(low);
        if let Err(bad) = frames.add(cx, i).write(cx, pc) {
            cx.access_violation(bad);
        }
    }
    if let Err(bad) = hash.write_opt(cx, sum) {
        cx.access_violation(bad);
    }
    u16::try_from(kept.len()).unwrap_or(u16::MAX)
}

/// Retrieves the invocation context of the function that precedes the specified function context.
#[shim(kernel32, ntdll)]
fn RtlVirtualUnwind(
    cx: &Cx,
    kind: u32,
    base: u64,
    pc: u64,
    entry: Ptr<u8>,
    context: Ptr<u8>,
    handler_data: Ptr<u64>,
    establisher: Ptr<u64>,
    places: Ptr<u64>,
) -> Ptr<u8> {
    let unwound = virtual_unwind(cx, kind, base, pc, entry.addr(), context.addr(), places);
    let written = unwound.and_then(|(frame, data, routine)| {
        handler_data.write_opt(cx, data)?;
        establisher.write_opt(cx, frame)?;
        Ok(routine)
    });
    Ptr::new(written.unwrap_or_else(|bad| cx.access_violation(bad)))
}

/// As RtlVirtualUnwind, with a status, and the handler in a parameter. Stack limits need not be given: every access is
/// checked.
#[shim(ntdll)]
fn RtlVirtualUnwind2(
    cx: &Cx,
    kind: u32,
    base: u64,
    pc: u64,
    entry: Ptr<u8>,
    context: Ptr<u8>,
    machine_frame: Ptr<u8>,
    handler_data: Ptr<u64>,
    establisher: Ptr<u64>,
    places: Ptr<u64>,
    _low: Ptr<u64>,
    _high: Ptr<u64>,
    handler: Ptr<u64>,
    _flags: u32,
) -> Nt<()> {
    let (frame, data, routine) = virtual_unwind(cx, kind, base, pc, entry.addr(), context.addr(), places)?;
    machine_frame.write_opt(cx, 0)?;
    handler_data.write_opt(cx, data)?;
    establisher.write_opt(cx, frame)?;
    handler.write_opt(cx, routine)?;
    Ok(())
}

fn virtual_unwind(
    cx: &Cx,
    kind: u32,
    base: u64,
    pc: u64,
    entry: u64,
    at: u64,
    pointers: Ptr<u64>,
) -> Result<(u64, u64, u64), BadAddress> {
    let mut context = Context::load(cx.machine(), at)?;
    let mut places = Places::default();
    let kind = match kind & 3 {
        0 => HandlerKind::None,
        1 => HandlerKind::Exception,
        _ => HandlerKind::Termination,
    };
    let function = tables::read(cx, entry, base).map(|(f, _)| f);
    let Some(function @ Function { .. }) = function else {
        let frame = context.sp();
        unwind::leaf(&mut context)?;
        context.store(at)?;
        return Ok((frame, 0, 0));
    };
    let step =
        unwind::step(kind, pc, &function, &|pc| tables::lookup(cx, pc), &mut context, Some(&mut places))?;
    cross_levels(cx, &mut context);
    context.store(at)?;
    if !pointers.is_null() {
        store_places(cx.machine(), &places, pointers.addr())?;
    }
    Ok(step.handler.map_or((step.establisher, 0, 0), |h| (step.establisher, h.data, h.routine)))
}

/// If a guest's own walk has come to the end of a level, takes it to where the level was entered from: the guest sees the shim's
/// caller as the caller. At the end of the stack the program counter becomes 0.
fn cross_levels(cx: &Cx, context: &mut Context) {
    let trap = cx.engine().return_trap();
    while context.pc() == trap {
        let mut walk = Walk::new(cx, context, HandlerKind::None);
        match walk.next(None) {
            Next::Level(_) => *context = walk.context,
            Next::Frame | Next::End => {
                let sp = context.sp();
                let value = match &*context {
                    Context::Amd64(c) => c.rax,
                    Context::Arm64(c) => c.x[0],
                    Context::I386(_) => 0,
                };
                context.set_return(0, sp, value);
            }
        }
    }
}

/// KNONVOLATILE_CONTEXT_POINTERS: on x86-64 xmm0 to xmm15, then rax to r15; on ARM64 x19 to x30, then d8 to d15. Only what
/// was found is written.
fn store_places(machine: Machine, places: &Places, at: u64) -> Result<(), BadAddress> {
    let put = |index: usize, place: u64| {
        if place == 0 { Ok(()) } else { mem::write(at + 8 * index as u64, &place) }
    };
    if machine == Machine::Amd64 {
        for i in 0..16 {
            put(i, places.vectors[i])?;
            put(16 + i, places.ints[i])?;
        }
    } else {
        for i in 0..12 {
            put(i, places.ints[19 + i])?;
        }
        for i in 0..8 {
            put(12 + i, places.vectors[8 + i])?;
        }
    }
    Ok(())
}
