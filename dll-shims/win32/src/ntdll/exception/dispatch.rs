//! The order in which handlers are asked.

use transom_cpu::context::Context;
use transom_sdk::foundation as f;
use transom_sdk::{Cx, Machine, Record};

use super::area::Area;
use super::{chain, flag, search, unhandled, vectored};

/// Dispatches an exception; returns with the context to go on with, or ends the process.
pub(crate) fn dispatch(cx: &Cx, record: &Record, context: &mut Context) {
    if is_fast_fail(record) {
        unhandled::die(cx, record, context);
    }
    let Ok(area) = Area::write(cx, record, context) else {
        log::debug!("no stack left for the handlers of exception {:#x}", record.code);
        unhandled::die(cx, record, context);
    };
    let handled = vectored::call_exception_handlers(cx, &area, context)
        || match cx.machine() {
            Machine::I386 => chain::search(cx, &area, record, context),
            Machine::Amd64 | Machine::Arm64 => search::search(cx, &area, record, context),
        };
    if !handled {
        // Does not return unless the top-level filter wants to go on.
        unhandled::filter(cx, &area, record, context);
    }
    vectored::call_continue_handlers(cx, &area, context);
    if let Err(bad) = context.overlay_from(area.context) {
        log::debug!("a handler took the context away: {bad}");
    }
}

/// `__fastfail` asks that no handler sees it.
fn is_fast_fail(record: &Record) -> bool {
    record.code == f::STATUS_STACK_BUFFER_OVERRUN.cast_unsigned() && record.flags & flag::NONCONTINUABLE != 0
}

/// A handler asked to continue after an exception that forbids it.
pub(super) fn noncontinuable(cx: &Cx, context: &Context, area: &Area) -> ! {
    let record = Record {
        flags: flag::NONCONTINUABLE,
        nested: area.record,
        ..Record::status(f::STATUS_NONCONTINUABLE_EXCEPTION, context.pc())
    };
    nested(cx, record, context, area)
}

/// A handler answered something that is no EXCEPTION_DISPOSITION.
pub(super) fn invalid_disposition(cx: &Cx, context: &Context, area: &Area) -> ! {
    let record = Record {
        flags: flag::NONCONTINUABLE,
        nested: area.record,
        ..Record::status(f::STATUS_INVALID_DISPOSITION, context.pc())
    };
    nested(cx, record, context, area)
}

fn nested(cx: &Cx, record: Record, context: &Context, area: &Area) -> ! {
    let mut context = context.clone();
    // The new exception's structures go below those of the first.
    let (pc, sp) = (context.pc(), context.sp());
    context.set_return(pc, sp.min(area.sp), 0);
    dispatch(cx, &record, &mut context);
    cx.resume(&context)
}
