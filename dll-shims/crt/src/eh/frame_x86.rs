//! The handler of C++ frames on x86. The function keeps its state in its exception registration, and catch blocks keep it up to date
//! there too, as they run with their parent's frame pointer; so the state is always right.
//!
//! Registration: next, handler, state; the frame pointer is just above, the saved stack pointer just below. The compiler's stub
//! loads eax with the address of the tables and jumps here: a small leaf moves it to ecx, which the thunk keeps.

use transom_cpu::context::Context;
use transom_cpu::leaf::Leaf;
use transom_sdk::foundation::STATUS_LONGJUMP;
use transom_sdk::mem::{self, BadAddress};
use transom_sdk::{Cx, Func, Machine, Record, Unwind};

use super::frame::{begin_catch, end_catch, find, translate};
use super::tables::{Action, EMPTY, Tables, Tables3, TryBlock};
use super::throw::{self, Catch};
use super::types::{CODE, Handler, Thrown};
use super::{CONTINUE_SEARCH, UNWIND_FLAGS, stubs};

/// Offset of the state in the registration.
const STATE: u64 = 8;
/// From the registration to what the frame pointer is.
const FRAME: u64 = 12;

/// The leaf: `mov ecx, eax; jmp slow`. Other machines need none.
pub(crate) fn pass_tables(machine: Machine, slow: u64, at: u64) -> Option<Leaf> {
    if machine != Machine::I386 {
        return None;
    }
    let mut code = vec![0x8B, 0xC8, 0xE9];
    let next = u32::try_from(at).ok()?.wrapping_add(7);
    let distance = u32::try_from(slow).ok()?.wrapping_sub(next);
    code.extend_from_slice(&distance.to_le_bytes());
    Some(code.into())
}

/// The address of the tables, from where the leaf has put it.
fn tables_address(cx: &Cx) -> u64 {
    match cx.caller_context() {
        Context::I386(c) => c.ecx.into(),
        Context::Amd64(_) | Context::Arm64(_) => 0,
    }
}

pub(super) fn handle(cx: &Cx, record_at: u64, registration: u64, context_at: u64) -> Result<i32, BadAddress> {
    let tables = Tables::V3(Tables3::read(cx, tables_address(cx), 0)?);
    let record = Record::load(cx, record_at)?;
    let is_jump = record.code == STATUS_LONGJUMP.cast_unsigned();
    if tables.is_synchronous() && record.code != CODE && !is_jump && record.flags & UNWIND_FLAGS == 0 {
        return Ok(CONTINUE_SEARCH);
    }
    if record.flags & UNWIND_FLAGS != 0 {
        unwind_states(cx, &tables, registration, EMPTY)?;
        return Ok(CONTINUE_SEARCH);
    }
    throw::forget_left(cx, Context::load(cx.machine(), context_at)?.sp());
    let original = throw::resolve(cx, &record);
    let thrown = Thrown::of(cx, &original);
    if thrown.is_none() && tables.try_block(0)?.is_some() {
        translate(cx, &record, record_at, context_at)?;
    }
    let state: i32 = mem::read(registration + STATE)?;
    let Some((block, handler, catchable)) = find(cx, &tables, state, None, thrown.as_ref())? else {
        if tables.is_noexcept() && thrown.is_some() {
            crate::stdlib::exit::terminate(cx);
        }
        return Ok(CONTINUE_SEARCH);
    };
    if let (Some(thrown), Some(catchable)) = (&thrown, &catchable) {
        handler.store_object(cx, registration + FRAME, thrown, catchable)?;
    }
    catch(cx, &tables, registration, (record_at, context_at), (&block, &handler), original)
}

/// Unwinds to the registration, runs the catch block, and goes on where it says.
fn catch(
    cx: &Cx,
    tables: &Tables,
    registration: u64,
    (record_at, context_at): (u64, u64),
    (block, handler): (&TryBlock, &Handler),
    copy: Record,
) -> Result<i32, BadAddress> {
    let request = Unwind { target_frame: registration, record: record_at, ..Unwind::default() };
    let mut context = cx.caller_context();
    cx.unwind(&request, &mut context);
    let flags: u32 = mem::read(record_at + 4)?;
    mem::write(record_at + 4, &(flags & !UNWIND_FLAGS))?;
    unwind_states(cx, tables, registration, block.low)?;
    mem::write(registration + STATE, &(block.high + 1))?;
    let saved_sp = saved_sp(cx, registration, block)?;
    let sp = cx.guest_sp();
    let running = Catch {
        frame: registration,
        sp,
        low: block.low,
        high: block.high,
        catch_high: block.catch_high,
        saved_sp,
        record: record_at,
        context: context_at,
        copy,
    };
    begin_catch(cx, saved_sp.into(), running)?;
    let next = stubs::call_funclet_x86(cx, sp, Func(handler.function), registration + FRAME);
    end_catch(cx, sp, &copy)?;
    mem::write(registration - 4, &saved_sp)?;
    if let Context::I386(c) = &mut context {
        c.ebp = low32(registration + FRAME);
        c.esp = saved_sp;
        c.eip = low32(next);
    }
    cx.resume(&context)
}

/// The stack pointer that the frame has saved for what follows the try block. A catch block saves its own in the same place while it
/// runs: where the exception has left such blocks, what they found there counts.
fn saved_sp(cx: &Cx, registration: u64, block: &TryBlock) -> Result<u32, BadAddress> {
    let left = |c: &&Catch| c.frame == registration && !(block.low > c.high && block.high <= c.catch_high);
    let outermost_left = throw::thread(cx).catches.iter().find(left).map(|c| c.saved_sp);
    match outermost_left {
        Some(sp) => {
            mem::write(registration - 4, &sp)?;
            Ok(sp)
        }
        None => mem::read(registration - 4),
    }
}

#[expect(clippy::cast_possible_truncation, reason = "a 32-bit guest's address")]
fn low32(value: u64) -> u32 {
    value as u32
}

fn unwind_states(cx: &Cx, tables: &Tables, registration: u64, to: i32) -> Result<(), BadAddress> {
    loop {
        let state: i32 = mem::read(registration + STATE)?;
        if state <= to {
            return Ok(());
        }
        let (before, action) = tables.before(state)?;
        if before >= state {
            log::warn!("the C++ unwind map at state {state} leads nowhere");
            return Ok(());
        }
        mem::write(registration + STATE, &before)?;
        if let Action::Funclet(function) = action {
            stubs::call_funclet_x86(cx, cx.guest_sp(), Func(function), registration + FRAME);
        }
    }
}
