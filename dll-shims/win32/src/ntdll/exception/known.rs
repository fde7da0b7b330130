//! What a thread has found out about places in images: the function around a program counter, and on x86-64 the plan of the step
//! out of it. Programs that throw do it from the same places again and again.
//!
//! Unwind data of images does not change; what is known holds until a module comes or goes. Nothing is kept of generated
//! code, whose tables may change at any time.

use std::cell::RefCell;

use transom_cpu::context::{Amd64Context, Context};
use transom_cpu::relay;
use transom_cpu::unwind::amd64::Plan;
use transom_cpu::unwind::{Function, HandlerKind};
use transom_sdk::{BadAddress, Cx, Machine, mem};

use super::tables;
use super::walk::{Found, Left};

/// Places remembered, in sets of those that share a hash.
const SLOTS: usize = 256;
/// Places in a set; one more puts the first of them out.
const WAYS: usize = 4;

/// A place. Program counter 0 stands for an empty slot.
#[derive(Clone, Default)]
struct Place {
    pc: u64,
    generation: u64,
    function: Option<Function>,
    plan: Option<Plan>,
}

thread_local! {
    static PLACES: RefCell<Vec<Place>> = const { RefCell::new(Vec::new()) };
}

fn set(pc: u64) -> usize {
    const GOLDEN: u64 = 0x9E37_79B9_7F4A_7C15;
    usize::from((pc.wrapping_mul(GOLDEN) >> 56).to_le_bytes()[0]) % (SLOTS / WAYS) * WAYS
}

/// Runs `work` on what is known of a place, after finding it out if need be. `None` for a place in no image. `work` must
/// not run guest code.
fn with<T>(cx: &Cx, pc: u64, work: impl FnOnce(&Place) -> T) -> Option<T> {
    let generation = cx.modules().generation();
    PLACES.with_borrow_mut(|places| {
        if places.is_empty() {
            places.resize(SLOTS, Place::default());
        }
        let start = set(pc);
        let ways = &mut places[start..start + WAYS];
        if let Some(place) = ways.iter().find(|p| p.pc == pc && p.generation == generation) {
            return Some(work(place));
        }
        let function = tables::lookup_image(cx, pc)?;
        let plan = function.filter(|_| cx.machine() == Machine::Amd64);
        let plan =
            plan.and_then(|f| Plan::new(pc, &f, &|pc| tables::lookup_image(cx, pc).flatten()).ok().flatten());
        ways.rotate_right(1);
        ways[0] = Place { pc, generation, function, plan };
        Some(work(&ways[0]))
    })
}

/// The function around a program counter in an image; `None` if it is in no image.
pub(super) fn function(cx: &Cx, pc: u64) -> Option<Option<Function>> {
    with(cx, pc, |place| place.function)
}

/// Steps out of the frame at `pc`, if it is known how, and notes in `found` what frame that was. Notes are made in place: a result handed
/// on by value is read back in other pieces than it was written in, which the processor waits for.
pub(super) fn leave(
    cx: &Cx,
    kind: HandlerKind,
    pc: u64,
    c: &mut Amd64Context,
    left: Option<&mut Left<'_>>,
    found: &mut Found,
) -> Option<Result<(), BadAddress>> {
    let left = with(cx, pc, |place| {
        (found.pc, found.follows_call, found.function) = (pc, false, place.function);
        if let Some(plan) = &place.plan {
            (found.establisher, found.handler) = (plan.establisher(c), plan.handler(kind));
            if let Some(Left { context: Context::Amd64(to), target }) = left
                && (found.handler.is_some() || found.establisher == *target)
            {
                to.copy_unwound(c);
            }
            return Some(plan.run(c));
        }
        place.function.is_none().then(|| {
            (found.establisher, found.handler) = (c.rsp, None);
            if let Some(Left { context: Context::Amd64(to), target }) = left
                && c.rsp == *target
            {
                to.copy_unwound(c);
            }
            leaf(c)
        })
    });
    left.flatten()
}

/// Steps out of a leaf function.
fn leaf(c: &mut Amd64Context) -> Result<(), BadAddress> {
    c.rip = relay::caller(mem::read(c.rsp)?, c.rsp);
    c.rsp = c.rsp.wrapping_add(8);
    Ok(())
}
