//! Recovery from stack overflow (`malloc.h`).

use transom_sdk::{Cx, shim};

/// Puts the guard page of the calling thread's stack back after an overflow. To be called when the stack has been unwound.
#[shim(msvcrt, ucrtbase)]
fn _resetstkoflw(cx: &Cx) -> i32 {
    match cx.memory().reset_stack(cx.guest_sp()) {
        Some(limit) => i32::from(cx.teb().set_stack_limit(limit).is_ok()),
        None => 0,
    }
}
