//! The handler of C++ frames on x86-64 and ARM64: finds the catch block for an exception, and destroys objects on the way to it.
//!
//! # Which state a frame is in
//! The program counter says it, unless a catch block of the frame's function is running. That block is a function of its own
//! (a funclet), with a frame of its own further down the stack and the same tables; its parent's frame still seems to be where the
//! exception left it, inside the try block, though the try block's objects are destroyed. So the thread keeps a list of the catch
//! blocks that run ([`Catch`]), and for a frame with one of them:
//! - the search begins in the state just above the try block's, which lies in the try blocks around but not in this one;
//! - cleaning up begins at the try block's lowest state.
//!
//! A funclet may have catch blocks running in turn, which come after its own in the list.

use transom_cpu::context::Context;
use transom_sdk::foundation::{STATUS_BREAKPOINT, STATUS_LONGJUMP, STATUS_UNWIND_CONSOLIDATE};
use transom_sdk::mem::{self, BadAddress};
use transom_sdk::{Cx, Func, Machine, Parameters, Ptr, Record, Unwind, shim};

use super::dispatcher::Dispatcher;
use super::tables::{Action, EMPTY, Tables, Tables3, TryBlock};
use super::tables4::Tables4;
use super::throw::{self, Catch, thread};
use super::types::{CODE, Catchable, Handler, Thrown};
use super::{CONTINUE_SEARCH, TARGET_UNWIND, UNWIND_FLAGS, frame_x86, stubs};

/// Handles an exception for a function of C++ (third version of its tables).
#[shim(
    msvcrt(__CxxFrameHandler, __CxxFrameHandler2, __CxxFrameHandler3),
    ucrtbase(__CxxFrameHandler, __CxxFrameHandler2, __CxxFrameHandler3),
    vcruntime140(__CxxFrameHandler, __CxxFrameHandler2, __CxxFrameHandler3),
    leaf = frame_x86::pass_tables,
    intrinsic
)]
fn __CxxFrameHandler3(
    cx: &Cx,
    record: Ptr<u8>,
    frame: Ptr<u8>,
    context: Ptr<u8>,
    dispatcher: Ptr<u8>,
) -> i32 {
    let answer = if cx.machine() == Machine::I386 {
        frame_x86::handle(cx, record.addr(), frame.addr(), context.addr())
    } else {
        Dispatcher::load(cx, dispatcher.addr()).and_then(|d| {
            let info: u32 = mem::read(d.handler_data)?;
            let tables = Tables::V3(Tables3::read(cx, d.image_base + u64::from(info), d.image_base)?);
            handle(cx, record.addr(), frame.addr(), context.addr(), &d, &tables)
        })
    };
    answer.unwrap_or_else(|bad| cx.access_violation(bad))
}

/// Handles an exception for a function of C++ (fourth version of its tables).
#[shim(ucrtbase, vcruntime140(__CxxFrameHandler4), vcruntime140_1(__CxxFrameHandler4))]
fn __CxxFrameHandler4(
    cx: &Cx,
    record: Ptr<u8>,
    frame: Ptr<u8>,
    context: Ptr<u8>,
    dispatcher: Ptr<u8>,
) -> i32 {
    let answer = Dispatcher::load(cx, dispatcher.addr()).and_then(|d| {
        let info: u32 = mem::read(d.handler_data)?;
        let begin: u32 = mem::read(d.function_entry)?;
        let begin = d.image_base + u64::from(begin);
        let tables = Tables::V4(Tables4::read(d.image_base + u64::from(info), d.image_base, begin)?);
        handle(cx, record.addr(), frame.addr(), context.addr(), &d, &tables)
    });
    answer.unwrap_or_else(|bad| cx.access_violation(bad))
}

/// A frame of C++ with what is known of it.
struct Place<'a> {
    d: &'a Dispatcher,
    tables: &'a Tables,
    /// What the dispatcher calls the frame.
    establisher: u64,
    /// The frame of the function that the state's objects are in: for a catch block its parent's.
    frame: u64,
    /// For a catch block, the try block that it belongs to.
    inside: Option<TryBlock>,
    /// The state that the program counter is in.
    state: i32,
}

impl Place<'_> {
    /// The outermost catch block running in the frame (or in this catch block of it).
    fn running(&self, cx: &Cx) -> Option<(i32, i32)> {
        let thread = thread(cx);
        let mut mine = thread.catches.iter().filter(|c| c.frame == self.frame);
        if let Some(block) = &self.inside {
            mine.find(|c| c.low == block.low && c.high == block.high)?;
        }
        mine.next().map(|c| (c.low, c.high))
    }
}

fn handle(
    cx: &Cx,
    record_at: u64,
    establisher: u64,
    context_at: u64,
    d: &Dispatcher,
    tables: &Tables,
) -> Result<i32, BadAddress> {
    let record = Record::load(cx, record_at)?;
    let own = [CODE, STATUS_LONGJUMP.cast_unsigned(), STATUS_UNWIND_CONSOLIDATE.cast_unsigned()];
    if tables.is_synchronous() && !own.contains(&record.code) {
        return Ok(CONTINUE_SEARCH);
    }
    let begin: u32 = mem::read(d.function_entry)?;
    let state = tables.state_at(d.control_pc)?;
    let parent = tables.parent(cx, d.image_base + u64::from(begin), state, establisher)?;
    let (inside, frame) = parent.map_or((None, establisher), |(block, frame)| (Some(block), frame));
    let place = Place { d, tables, establisher, frame, inside, state };
    if record.flags & UNWIND_FLAGS == 0 {
        throw::forget_left(cx, Context::load(cx.machine(), context_at)?.sp());
        search(cx, &record, record_at, context_at, &place)
    } else {
        clean_up(cx, &record, &place)
    }
}

/// A catch block that takes the exception.
struct Match {
    block: TryBlock,
    handler: Handler,
    catchable: Option<Catchable>,
}

/// Looks for the catch block that takes an exception thrown in `state`. `thrown` is `None` for one that is not of C++. In a catch
/// block's own frame only the try blocks `inside` it count; those around it are found when the search comes to its parent.
pub(super) fn find(
    cx: &Cx,
    tables: &Tables,
    state: i32,
    inside: Option<&TryBlock>,
    thrown: Option<&Thrown>,
) -> Result<Option<(TryBlock, Handler, Option<Catchable>)>, BadAddress> {
    let mut index = 0;
    while let Some(block) = tables.try_block(index)? {
        index += 1;
        let elsewhere = inside.is_some_and(|i| block.low <= i.high || block.high > i.catch_high);
        if state < block.low || state > block.high || elsewhere {
            continue;
        }
        let mut n = 0;
        while let Some(handler) = tables.handler(&block, n)? {
            n += 1;
            let matches = match thrown {
                Some(thrown) => handler.matches(cx, thrown)?,
                None => handler.takes_all(cx)?.then_some(None),
            };
            if let Some(catchable) = matches {
                return Ok(Some((block, handler, catchable)));
            }
        }
    }
    Ok(None)
}

fn search(
    cx: &Cx,
    record: &Record,
    record_at: u64,
    context_at: u64,
    place: &Place<'_>,
) -> Result<i32, BadAddress> {
    let state = place.running(cx).map_or(place.state, |(_, high)| high + 1);
    let original = throw::resolve(cx, record);
    let thrown = Thrown::of(cx, &original);
    if thrown.is_none() && place.tables.try_block(0)?.is_some() {
        translate(cx, record, record_at, context_at)?;
    }
    let found = find(cx, place.tables, state, place.inside.as_ref(), thrown.as_ref())?;
    let Some((block, handler, catchable)) = found else {
        if place.tables.is_noexcept() && thrown.is_some() {
            crate::stdlib::exit::terminate(cx);
        }
        return Ok(CONTINUE_SEARCH);
    };
    let found = Match { block, handler, catchable };
    if let (Some(thrown), Some(catchable)) = (&thrown, &found.catchable) {
        found.handler.store_object(cx, place.frame, thrown, catchable)?;
    }
    catch(cx, record_at, context_at, place, &found)
}

/// Asks the program's translator to turn a structured exception into one of C++, which it does by throwing.
pub(super) fn translate(cx: &Cx, record: &Record, record_at: u64, context_at: u64) -> Result<(), BadAddress> {
    let translator = thread(cx).translator;
    if translator == 0 || record.code == STATUS_BREAKPOINT.cast_unsigned() {
        return Ok(());
    }
    let word = u64::from(cx.pointer_size());
    let pointers = cx.guest_sp().wrapping_sub(16) & !15;
    super::types::put(cx, pointers, record_at)?;
    super::types::put(cx, pointers + word, context_at)?;
    cx.call_below(pointers, Func(translator), &[record.code.into(), pointers]);
    Ok(())
}

/// Parameters of the record with which the frames up to a catch block are unwound.
mod parameter {
    pub(super) const RECORD: usize = 1;
    pub(super) const CONTEXT: usize = 2;
    pub(super) const LOW: usize = 3;
    pub(super) const HIGH: usize = 4;
    pub(super) const FRAME: usize = 5;
    pub(super) const FUNCTION: usize = 6;
    pub(super) const CONTINUATION: usize = 7;
    pub(super) const COUNT: usize = 9;
}

/// Unwinds to the frame and runs the catch block there. Does not come back, except with an error.
fn catch(
    cx: &Cx,
    record_at: u64,
    context_at: u64,
    place: &Place<'_>,
    found: &Match,
) -> Result<i32, BadAddress> {
    let mut words = [0u64; parameter::COUNT];
    words[parameter::RECORD] = record_at;
    words[parameter::CONTEXT] = context_at;
    words[parameter::LOW] = i64::from(found.block.low).cast_unsigned();
    words[parameter::HIGH] = i64::from(found.block.high).cast_unsigned();
    words[parameter::FRAME] = place.frame;
    words[parameter::FUNCTION] = found.handler.function;
    words[parameter::CONTINUATION..].copy_from_slice(&found.handler.continuations);
    let record = Record {
        parameters: Parameters::new(&words),
        ..Record::status(STATUS_UNWIND_CONSOLIDATE, place.d.control_pc)
    };
    let at = record.store(cx, cx.guest_sp().wrapping_sub(Record::size(cx)) & !15)?;
    let request = Unwind {
        target_frame: place.establisher,
        target_ip: place.d.control_pc,
        record: at,
        value: 0,
        below: at,
        then: Some(run_catch),
    };
    cx.unwind(&request, &mut cx.caller_context());
    Ok(CONTINUE_SEARCH)
}

/// Runs the catch block on top of the unwound frames. Returns where the function goes on.
fn run_catch(cx: &Cx, target: &Context, sp: u64, record_at: u64) -> u64 {
    match try_run_catch(cx, target, sp, record_at) {
        Ok(continuation) => continuation,
        Err(bad) => cx.access_violation(bad),
    }
}

#[expect(
    clippy::cast_possible_truncation,
    reason = "states are 32 bits wide; a function returns an index or an address"
)]
fn try_run_catch(cx: &Cx, target: &Context, sp: u64, record_at: u64) -> Result<u64, BadAddress> {
    let words = Record::load(cx, record_at)?.parameters;
    let record = Record::load(cx, words[parameter::RECORD])?;
    let copy = throw::resolve(cx, &record);
    begin_catch(
        cx,
        target.sp(),
        Catch {
            frame: words[parameter::FRAME],
            sp,
            low: words[parameter::LOW] as i32,
            high: words[parameter::HIGH] as i32,
            catch_high: 0,
            saved_sp: 0,
            record: words[parameter::RECORD],
            context: words[parameter::CONTEXT],
            copy,
        },
    )?;
    let function = Func(words[parameter::FUNCTION]);
    let returned = cx.with_registers(target.saved_registers(), || {
        cx.call_at(target, sp, function, &[0, words[parameter::FRAME]])
    });
    end_catch(cx, sp, &copy)?;
    Ok(match [words[parameter::CONTINUATION], words[parameter::CONTINUATION + 1]] {
        [0, _] => returned,
        continuations => continuations[returned as usize & 1],
    })
}

/// Notes that a catch block begins; those that the exception has left end.
pub(super) fn begin_catch(cx: &Cx, target_sp: u64, catch: Catch) -> Result<(), BadAddress> {
    let thrown = Thrown::of(cx, &catch.copy);
    throw::end_below(cx, target_sp, thrown)?;
    let mut thread = thread(cx);
    if thrown.is_some() {
        thread.uncaught = (thread.uncaught - 1).max(0);
    }
    thread.catches.push(catch);
    Ok(())
}

/// Notes that a catch block has ended, and destroys its exception.
pub(super) fn end_catch(cx: &Cx, sp: u64, copy: &Record) -> Result<(), BadAddress> {
    thread(cx).catches.retain(|c| c.sp > sp);
    throw::destroy(cx, copy, None)
}

/// Destroys the frame's objects, as far as the unwind leaves their scopes.
#[expect(clippy::cast_possible_truncation, reason = "states are 32 bits wide")]
fn clean_up(cx: &Cx, record: &Record, place: &Place<'_>) -> Result<i32, BadAddress> {
    let is_target = record.flags & TARGET_UNWIND != 0;
    let to = if is_target && record.code == STATUS_LONGJUMP.cast_unsigned() {
        place.tables.state_at(place.d.target_ip)?
    } else if is_target
        && record.code == STATUS_UNWIND_CONSOLIDATE.cast_unsigned()
        && record.parameters.len() > parameter::LOW
    {
        record.parameters[parameter::LOW] as i32
    } else {
        // A catch block ends where its try block does; the rest is its parent's.
        place.inside.map_or(EMPTY, |block| block.high)
    };
    let from = place.running(cx).map_or(place.state, |(low, _)| low);
    cx.with_registers(place.d.registers, || unwind_states(cx, place.tables, place.frame, from, to))?;
    Ok(CONTINUE_SEARCH)
}

/// Runs the actions on the way from a state down to another.
fn unwind_states(cx: &Cx, tables: &Tables, frame: u64, from: i32, to: i32) -> Result<(), BadAddress> {
    let mut state = from;
    while state > to {
        let (before, action) = tables.before(state)?;
        if before >= state {
            log::warn!("the C++ unwind map at state {state} leads nowhere");
            break;
        }
        state = before;
        match action {
            Action::None => {}
            Action::Funclet(function) => {
                cx.call(Func(function), &[0, frame]);
            }
            Action::Destructor(function, offset) => {
                stubs::call_method(cx, Func(function), frame + u64::from(offset), &[]);
            }
            Action::DestructorOfPointer(function, offset) => {
                let object = super::types::get(cx, frame + u64::from(offset))?;
                stubs::call_method(cx, Func(function), object, &[]);
            }
        }
    }
    Ok(())
}
