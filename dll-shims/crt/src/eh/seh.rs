//! `__try` on x86-64 and ARM64: `__C_specific_handler` and its scope table.

use transom_sdk::mem::{self, BadAddress};
use transom_sdk::{Cx, Func, Ptr, Unwind, shim};

use super::dispatcher::Dispatcher;
use super::{CONTINUE_EXECUTION, CONTINUE_SEARCH, TARGET_UNWIND, UNWIND_FLAGS};

/// A scope: offsets from the image's base. `target` 0 makes it a `__finally`, whose function is `handler`; else
/// `handler` is the filter, or 1 for a constant EXCEPTION_EXECUTE_HANDLER.
#[derive(Clone, Copy)]
struct Scope {
    begin: u32,
    end: u32,
    handler: u32,
    target: u32,
}

impl Scope {
    fn read(table: u64, index: u32) -> Result<Self, BadAddress> {
        let [begin, end, handler, target] = mem::read(table + 4 + 16 * u64::from(index))?;
        Ok(Self { begin, end, handler, target })
    }

    fn holds(self, rva: u64) -> bool {
        (u64::from(self.begin)..u64::from(self.end)).contains(&rva)
    }
}

/// Handles an exception for a function with `__try` blocks.
#[shim(msvcrt, ucrtbase, vcruntime140)]
fn __C_specific_handler(
    cx: &Cx,
    record: Ptr<u8>,
    frame: Ptr<u8>,
    context: Ptr<u8>,
    dispatcher: Ptr<u8>,
) -> i32 {
    let answer = Dispatcher::load(cx, dispatcher.addr()).and_then(|d| {
        let [code, flags]: [u32; 2] = mem::read(record.addr())?;
        if flags & UNWIND_FLAGS == 0 {
            search(cx, record.addr(), code, frame.addr(), context.addr(), &d)
        } else {
            clean_up(cx, flags, frame.addr(), &d)
        }
    });
    answer.unwrap_or_else(|bad| cx.access_violation(bad))
}

/// Leaves the `__try` blocks between a frame's current place and another one in the same function, which goes on there.
#[shim(msvcrt(_local_unwind), vcruntime140(_local_unwind, __jump_unwind))]
fn _local_unwind(cx: &Cx, frame: Ptr<u8>, target: Ptr<u8>) {
    let request = Unwind { target_frame: frame.addr(), target_ip: target.addr(), ..Unwind::default() };
    cx.unwind(&request, &mut cx.caller_context());
}

fn search(
    cx: &Cx,
    record: u64,
    code: u32,
    frame: u64,
    context: u64,
    d: &Dispatcher,
) -> Result<i32, BadAddress> {
    let count: u32 = mem::read(d.handler_data)?;
    let pc = d.control_pc.wrapping_sub(d.image_base);
    for index in d.scope_index..count {
        let scope = Scope::read(d.handler_data, index)?;
        if !scope.holds(pc) || scope.target == 0 {
            continue;
        }
        let wanted = if scope.handler == 1 {
            1
        } else {
            let pointers = (cx.guest_sp().wrapping_sub(16)) & !15;
            mem::write(pointers, &[record, context])?;
            let filter = Func(d.image_base + u64::from(scope.handler));
            #[expect(clippy::cast_possible_truncation, reason = "the result is a LONG")]
            let answer =
                cx.with_registers(d.registers, || cx.call_below(pointers, filter, &[pointers, frame])) as u32;
            answer.cast_signed()
        };
        if wanted < 0 {
            return Ok(CONTINUE_EXECUTION);
        }
        if wanted > 0 {
            let unwind = Unwind {
                target_frame: frame,
                target_ip: d.image_base + u64::from(scope.target),
                record,
                value: code.into(),
                ..Unwind::default()
            };
            cx.unwind(&unwind, &mut cx.caller_context());
        }
    }
    Ok(CONTINUE_SEARCH)
}

/// Runs the `__finally` blocks that the unwind leaves.
fn clean_up(cx: &Cx, flags: u32, frame: u64, d: &Dispatcher) -> Result<i32, BadAddress> {
    let count: u32 = mem::read(d.handler_data)?;
    let pc = d.control_pc.wrapping_sub(d.image_base);
    let target = d.target_ip.wrapping_sub(d.image_base);
    let to_here = flags & TARGET_UNWIND != 0;
    for index in d.scope_index..count {
        let scope = Scope::read(d.handler_data, index)?;
        if !scope.holds(pc) {
            continue;
        }
        if to_here && stays_inside(d.handler_data, count, scope, target)? {
            break;
        }
        if scope.target != 0 {
            if to_here && u64::from(scope.target) == target {
                break;
            }
            continue;
        }
        d.set_scope_index(index + 1)?;
        let block = Func(d.image_base + u64::from(scope.handler));
        cx.with_registers(d.registers, || cx.call(block, &[1, frame]));
    }
    Ok(CONTINUE_SEARCH)
}

/// Whether the unwind's target lies inside the scope too, so that the scope is not left. (One `__try` may have several
/// entries, which have the same handler and target.)
fn stays_inside(table: u64, count: u32, scope: Scope, target: u64) -> Result<bool, BadAddress> {
    for index in 0..count {
        let other = Scope::read(table, index)?;
        if other.holds(target) && other.handler == scope.handler && other.target == scope.target {
            return Ok(true);
        }
    }
    Ok(false)
}
