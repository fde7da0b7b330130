//! The search for a handler on a 64-bit stack (RtlDispatchException).

use transom_cpu::context::Context;
use transom_cpu::frame::Frame;
use transom_cpu::unwind::HandlerKind;
use transom_sdk::{Cx, Func, Record, mem};

use super::area::Area;
use super::walk::{Dispatcher, Next, Walk};
use super::{Disposition, dispatch, flag, unwind};

/// Asks the handlers of all frames, innermost first. Returns whether one wants to go on with the context; one that takes
/// the exception unwinds instead and does not come back here.
pub(crate) fn search(cx: &Cx, area: &Area, record: &Record, context: &Context) -> bool {
    let mut walk = Walk::new(cx, context, HandlerKind::Exception);
    let mut asking = Asking { frame: Frame::at(context), whole: false };
    let mut collided = None;
    let mut flags = record.flags;
    loop {
        match walk.next(None) {
            Next::Frame => {
                let found = &mut walk.found;
                let resumed: Option<Dispatcher> = collided.take();
                if let Some(dispatcher) = &resumed {
                    found.handler = Some(dispatcher.handler);
                }
                let Some(handler) = found.handler else { continue };
                let mut dispatcher = Dispatcher::new(found, handler, area.frame_context, 0);
                dispatcher.scope_index = resumed.map_or(0, |d| d.scope_index);
                dispatcher.registers = walk.registers;
                match asking.ask(cx, area, &walk.context, &dispatcher) {
                    Some(Disposition::ContinueExecution) => {
                        if mem::read::<u32>(area.record + 4).is_ok_and(|f| f & flag::NONCONTINUABLE != 0) {
                            dispatch::noncontinuable(cx, context, area);
                        }
                        return true;
                    }
                    Some(Disposition::ContinueSearch) => {}
                    Some(Disposition::Nested) => {
                        flags |= flag::NESTED_CALL;
                        let _ = mem::write(area.record + 4, &flags);
                    }
                    Some(_) => dispatch::invalid_disposition(cx, context, area),
                    None => return false,
                }
            }
            Next::Level(entered) => {
                collided = unwind::active(entered);
                if let Some(dispatcher) = &collided {
                    // The frame whose handler was cleaning up is looked at once more; those below it are gone.
                    if let Err(bad) = walk.context.load_unwound(dispatcher.context) {
                        log::debug!("a cleaned-up frame's context is gone: {bad}");
                        return false;
                    }
                }
            }
            Next::End => return false,
        }
    }
}

/// Calls of handlers.
struct Asking {
    /// The place of the exception, from which they seem to be called.
    frame: Frame,
    /// Whether the frame context in guest memory is complete but for what unwinding changes.
    whole: bool,
}

impl Asking {
    /// Calls a frame's handler. `None` if there is no room on the stack.
    fn ask(
        &mut self,
        cx: &Cx,
        area: &Area,
        caller: &Context,
        dispatcher: &Dispatcher,
    ) -> Option<Disposition> {
        if self.whole {
            caller.store_unwound(area.frame_context).ok()?;
        } else {
            caller.store_for_handler(area.frame_context).ok()?;
            self.whole = true;
        }
        dispatcher.store(area.dispatcher).ok()?;
        let args = [area.record, dispatcher.establisher, area.context, area.dispatcher];
        let routine = Func(dispatcher.handler.routine);
        Some(Disposition::new(cx.call_from(&mut self.frame, area.sp, routine, &args)))
    }
}
