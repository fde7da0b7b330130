//! Unwinding to a frame (`winnt.h`: RtlUnwind, RtlUnwindEx), and going on there.
//!
//! Every frame below the target has its termination handler called, then the target's own with
//! EXCEPTION_TARGET_UNWIND; then the guest goes on in the target frame.
//!
//! # Collided unwinds
//! A termination handler may itself raise or unwind. What it started meets, on its way up, the level that the handler
//! runs in. The frames between are unwound already, so it goes on with the frame whose handler was running, and with the
//! handler's own note of how far it had come (ScopeIndex in the DISPATCHER_CONTEXT): [`active`] finds that.

use std::cell::RefCell;
use std::convert::Infallible;

use transom_cpu::context::Context;
use transom_cpu::frame::UNWOUND_TO_CALL;
use transom_cpu::unwind::HandlerKind;
use transom_sdk::foundation as f;
use transom_sdk::{BadAddress, Cx, Func, Machine, Ptr, Record, Unwind, mem, restore_jump_buffer, shim};

use super::area::Area;
use super::walk::{Dispatcher, Found, Left, Next, Walk};
use super::{Disposition, chain, dispatch, flag};

thread_local! {
    /// Termination handlers that are running: the stack pointer below which they run, and their DISPATCHER_CONTEXT.
    static ACTIVE: RefCell<Vec<(u64, u64)>> = const { RefCell::new(Vec::new()) };
}

/// The dispatcher context of the termination handler that runs in the level entered with this stack pointer.
pub(crate) fn active(entered: u64) -> Option<Dispatcher> {
    /// What a call pushes below the stack pointer it is given, at most.
    const CALL: u64 = 256;
    let dispatcher = ACTIVE.with_borrow(|list| {
        list.iter().rev().find(|(sp, _)| sp.wrapping_sub(entered) <= CALL).map(|(_, dispatcher)| *dispatcher)
    });
    Dispatcher::load(dispatcher?).ok()
}

fn push_active(area: &Area) {
    ACTIVE.with_borrow_mut(|list| list.push((area.sp, area.dispatcher)));
}

/// Forgets the handlers that run below a stack pointer: they have returned, or the stack has been unwound.
fn forget_active(sp: u64) {
    ACTIVE.with_borrow_mut(|list| list.retain(|(active, _)| *active > sp));
}

/// Unwinds; see [`transom_sdk::UnwindHook`].
pub(crate) fn unwind(cx: &Cx, request: &Unwind, context: &mut Context) {
    if cx.machine() == Machine::I386 {
        chain::unwind(cx, request, context);
        return;
    }
    let Err(bad) = unwind_frames(cx, request, context);
    log::debug!("unwinding stopped: {bad}");
    cx.access_violation(bad)
}

fn unwind_frames(cx: &Cx, request: &Unwind, context: &mut Context) -> Result<Infallible, BadAddress> {
    let mut walk = Walk::new(cx, context, HandlerKind::Termination);
    let mut unwinding = Unwinding::begin(cx, request, context)?;
    let mut collided: Option<Dispatcher> = None;
    loop {
        let left = Left { context: unwinding.current, target: request.target_frame };
        match walk.next(Some(left)) {
            Next::Frame => {
                let found = &mut walk.found;
                let resumed = collided.take();
                if let Some(dispatcher) = &resumed {
                    found.handler = Some(dispatcher.handler);
                }
                let is_target = found.establisher == request.target_frame;
                if request.target_frame != 0 && found.establisher > request.target_frame {
                    if unwinding.jumps() {
                        // Some callers of setjmp name their stack pointer, not what the unwind data call the frame.
                        return unwinding.finish();
                    }
                    invalid_target(cx, &walk.context, &unwinding.area);
                }
                if is_target {
                    unwinding.flags |= flag::TARGET_UNWIND;
                }
                if found.handler.is_some() {
                    unwinding.clean_up(found, resumed.map_or(0, |d| d.scope_index), is_target)?;
                }
                if is_target {
                    return unwinding.finish();
                }
                unwinding.flags &= !flag::COLLIDED_UNWIND;
            }
            Next::Level(entered) => {
                collided = active(entered);
                if let Some(dispatcher) = &collided {
                    unwinding.flags |= flag::COLLIDED_UNWIND;
                    walk.context.load_unwound(dispatcher.context)?;
                    unwinding.current.copy_unwound(&walk.context);
                }
            }
            Next::End if unwinding.jumps() => return unwinding.finish(),
            Next::End => invalid_target(cx, &walk.context, &unwinding.area),
        }
    }
}

/// An unwind on its way.
struct Unwinding<'a> {
    cx: &'a Cx,
    request: &'a Unwind,
    /// ExceptionCode and ExceptionFlags of the record, and where it is.
    code: u32,
    flags: u32,
    record_at: u64,
    area: Area,
    /// The registers in the frame that the walk has just left, if that has a handler or is the target.
    current: &'a mut Context,
    /// Whether the frame context in guest memory is complete but for what unwinding changes.
    whole: bool,
}

impl<'a> Unwinding<'a> {
    /// Writes what handlers get.
    fn begin(cx: &'a Cx, request: &'a Unwind, context: &'a mut Context) -> Result<Self, BadAddress> {
        let area = Area::below(cx, if request.below == 0 { context.sp() } else { request.below });
        let record_at = match request.record {
            0 => Record::status(f::STATUS_UNWIND, context.pc()).store(cx, area.record)?,
            at => at,
        };
        let [code, mut flags]: [u32; 2] = mem::read(record_at)?;
        flags |= flag::UNWINDING;
        if request.target_frame == 0 {
            flags |= flag::EXIT_UNWIND;
        }
        mem::write(record_at + FLAGS, &flags)?;
        Ok(Self { cx, request, code, flags, record_at, area, current: context, whole: false })
    }

    /// Whether it is a `longjmp`.
    fn jumps(&self) -> bool {
        self.code == f::STATUS_LONGJUMP.cast_unsigned() && first_parameter(self.cx, self.record_at).is_some()
    }

    /// Calls a frame's termination handler.
    fn clean_up(&mut self, found: &Found, scope: u32, is_target: bool) -> Result<(), BadAddress> {
        let Some(handler) = found.handler else { return Ok(()) };
        let (cx, area) = (self.cx, self.area);
        mem::write(self.record_at + FLAGS, &self.flags)?;
        if is_target {
            let (pc, sp) = (self.current.pc(), self.current.sp());
            self.current.set_return(pc, sp, self.request.value);
        }
        if self.whole {
            self.current.store_unwound(area.frame_context)?;
        } else {
            self.current.store_for_handler(area.frame_context)?;
            self.whole = true;
        }
        let mut dispatcher = Dispatcher::new(found, handler, area.frame_context, self.request.target_ip);
        dispatcher.scope_index = scope;
        dispatcher.registers = self.current.saved_registers();
        dispatcher.store(area.dispatcher)?;
        push_active(&area);
        let args = [self.record_at, found.establisher, area.frame_context, area.dispatcher];
        let answer = cx.call_at(self.current, area.sp, Func(handler.routine), &args);
        forget_active(area.sp);
        if Disposition::new(answer) != Disposition::ContinueSearch {
            dispatch::invalid_disposition(cx, self.current, &area);
        }
        if is_target {
            // The handler says with which registers the frame goes on.
            self.current.overlay_from(area.frame_context)?;
        }
        Ok(())
    }

    /// Goes on in the target frame.
    fn finish(self) -> Result<Infallible, BadAddress> {
        let Self { cx, request, code, flags, record_at, area, current: context, .. } = self;
        mem::write(record_at + FLAGS, &flags)?;
        let sp = context.sp();
        context.set_return(request.target_ip, sp, request.value);
        context.set_flags(context.flags() & !UNWOUND_TO_CALL);
        if let Some(then) = request.then {
            let target = then(cx, context, area.sp, record_at);
            context.set_return(target, sp, target);
            forget_active(sp);
            cx.resume(context);
        }
        restore(cx, code, record_at, context, area.sp)
    }
}

fn invalid_target(cx: &Cx, context: &Context, area: &Area) -> ! {
    let record = Record {
        flags: flag::NONCONTINUABLE,
        ..Record::status(f::STATUS_INVALID_UNWIND_TARGET, context.pc())
    };
    let mut context = context.clone();
    let pc = context.pc();
    context.set_return(pc, area.sp, 0);
    dispatch::dispatch(cx, &record, &mut context);
    cx.resume(&context)
}

/// Goes on with a context as the record says (RtlRestoreContext): after a `longjmp` with the registers of the jump buffer, after a
/// consolidation where the callback says. Comes back only with an error.
pub(crate) fn restore(
    cx: &Cx,
    code: u32,
    record_at: u64,
    context: &mut Context,
    sp: u64,
) -> Result<Infallible, BadAddress> {
    let first =
        |wanted: i32| (code == wanted.cast_unsigned()).then(|| first_parameter(cx, record_at)).flatten();
    if let Some(buffer) = first(f::STATUS_LONGJUMP) {
        let value = match &context {
            Context::Amd64(c) => c.rax,
            Context::Arm64(c) => c.x[0],
            Context::I386(c) => c.eax.into(),
        };
        restore_jump_buffer(buffer, context)?;
        context.set_return(context.pc(), context.sp(), value);
    } else if let Some(callback) = first(f::STATUS_UNWIND_CONSOLIDATE) {
        // The frames that were unwound are still needed: the exception object lies among them.
        let target = cx.call_at(context, sp, Func(callback), &[record_at]);
        let (value, sp) = (target, context.sp());
        context.set_return(target, sp, value);
    }
    forget_active(context.sp());
    cx.resume(context)
}

/// Where ExceptionFlags is in a record.
const FLAGS: u64 = 4;

/// The first parameter of a record, if it has one.
fn first_parameter(cx: &Cx, record_at: u64) -> Option<u64> {
    Record::load(cx, record_at).ok()?.parameters.first().copied()
}

/// Initiates an unwind of procedure call frames. On x86 it returns; elsewhere the guest goes on at `target_ip`.
#[shim(kernel32, ntdll)]
fn RtlUnwind(cx: &Cx, frame: Ptr<u8>, target_ip: Ptr<u8>, record: Ptr<u8>, value: usize) -> usize {
    let request = Unwind {
        target_frame: frame.addr(),
        target_ip: target_ip.addr(),
        record: record.addr(),
        value: value as u64,
        ..Unwind::default()
    };
    cx.unwind(&request, &mut cx.caller_context());
    value
}

/// Initiates an unwind of procedure call frames.
#[shim(kernel32, ntdll)]
fn RtlUnwindEx(
    cx: &Cx,
    frame: Ptr<u8>,
    target_ip: Ptr<u8>,
    record: Ptr<u8>,
    value: usize,
    _context: Ptr<u8>,
    _history: Ptr<u8>,
) {
    let request = Unwind {
        target_frame: frame.addr(),
        target_ip: target_ip.addr(),
        record: record.addr(),
        value: value as u64,
        ..Unwind::default()
    };
    cx.unwind(&request, &mut cx.caller_context());
}
