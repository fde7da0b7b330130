//! x86: the chain of EXCEPTION_REGISTRATION records that begins at FS:[0]. Each says which registration comes next and which
//! function handles exceptions while it is on the chain; both lie on the stack, where they are checked before use.

use transom_cpu::context::Context;
use transom_loader::pe;
use transom_sdk::foundation as f;
use transom_sdk::{BadAddress, Cx, Func, Record, Unwind, mem};

use super::area::Area;
use super::{Disposition, dispatch, flag};

/// The end of the chain.
const END: u32 = u32::MAX;
/// IMAGE_DLLCHARACTERISTICS_NO_SEH.
const NO_SEH: u16 = 0x0400;

/// A registration.
struct Registration {
    at: u32,
    next: u32,
    handler: u32,
}

fn head(cx: &Cx) -> u32 {
    mem::read(cx.teb().addr).unwrap_or(END)
}

/// Reads a registration, if it lies on the stack as it must and its handler is one that may be called.
fn registration(cx: &Cx, at: u32) -> Option<Registration> {
    let (limit, base) = cx.teb().stack().ok()?;
    let on_stack = |a: u32| u64::from(a) >= limit && u64::from(a) + 8 <= base;
    if !on_stack(at) || !at.is_multiple_of(4) {
        return None;
    }
    let [next, handler]: [u32; 2] = mem::read(at.into()).ok()?;
    (!on_stack(handler) && is_safe(cx, handler.into())).then_some(Registration { at, next, handler })
}

/// SafeSEH: an image may list the only functions that are handlers, or say that it has none.
fn is_safe(cx: &Cx, handler: u64) -> bool {
    let Some(module) = cx.modules().by_address(handler) else { return true };
    let Some(headers) = module.headers() else { return true };
    if headers.dll_characteristics & NO_SEH != 0 {
        return false;
    }
    let image = module.image();
    let Ok(Some(config)) = pe::load_config(&image, headers) else { return true };
    let Some(table) = config.safe_handlers else { return true };
    table.iter(&image, headers).any(|rva| rva.is_ok_and(|rva| module.base + u64::from(rva) == handler))
}

/// Asks the handlers on the chain. Returns whether one wants to go on with the context.
pub(crate) fn search(cx: &Cx, area: &Area, record: &Record, context: &Context) -> bool {
    let mut at = head(cx);
    let mut nested = 0;
    let mut flags = record.flags;
    while at != END {
        let Some(registration) = registration(cx, at) else {
            log::debug!("the exception registration at {at:#x} is not valid");
            let _ = mem::write(area.record + 4, &(flags | flag::STACK_INVALID));
            return false;
        };
        let (answer, other) = call(cx, area.record, area, context, &registration);
        if registration.at == nested {
            flags &= !flag::NESTED_CALL;
            nested = 0;
            let _ = mem::write(area.record + 4, &flags);
        }
        match answer {
            Disposition::ContinueExecution => {
                if mem::read::<u32>(area.record + 4).is_ok_and(|f| f & flag::NONCONTINUABLE != 0) {
                    dispatch::noncontinuable(cx, context, area);
                }
                return true;
            }
            Disposition::ContinueSearch => {}
            Disposition::Nested => {
                flags |= flag::NESTED_CALL;
                nested = nested.max(other);
                let _ = mem::write(area.record + 4, &flags);
            }
            _ => dispatch::invalid_disposition(cx, context, area),
        }
        at = registration.next;
    }
    false
}

/// Calls a handler: its answer, and the registration that it put into its dispatcher context.
fn call(cx: &Cx, record: u64, area: &Area, at: &Context, registration: &Registration) -> (Disposition, u32) {
    // Room beside EXCEPTION_POINTERS.
    let dispatcher = area.pointers + 8;
    let _ = mem::write(dispatcher, &registration.at);
    let args = [record, registration.at.into(), area.context, dispatcher];
    let answer = cx.call_at(at, area.sp, Func(registration.handler.into()), &args);
    (Disposition::new(answer), mem::read(dispatcher).unwrap_or(0))
}

/// Calls the handlers of all registrations below the target once more, to clean up, and takes them off the chain.
pub(crate) fn unwind(cx: &Cx, request: &Unwind, context: &mut Context) {
    if let Err(bad) = try_unwind(cx, request, context) {
        cx.access_violation(bad);
    }
}

fn try_unwind(cx: &Cx, request: &Unwind, context: &Context) -> Result<(), BadAddress> {
    let area = Area::below(cx, if request.below == 0 { context.sp() } else { request.below });
    context.store(area.context)?;
    let mut record = match request.record {
        0 => Record::status(f::STATUS_UNWIND, context.pc()),
        at => Record::load(cx, at)?,
    };
    record.flags |= flag::UNWINDING | if request.target_frame == 0 { flag::EXIT_UNWIND } else { 0 };
    let record_at = if request.record == 0 { area.record } else { request.record };
    record.store(cx, record_at)?;
    let mut at = head(cx);
    while at != END && u64::from(at) != request.target_frame {
        if request.target_frame != 0 && u64::from(at) > request.target_frame {
            raise(cx, f::STATUS_INVALID_UNWIND_TARGET, context, &area);
        }
        let Some(registration) = registration(cx, at) else { raise(cx, f::STATUS_BAD_STACK, context, &area) };
        let (answer, other) = call(cx, record_at, &area, context, &registration);
        at = match answer {
            Disposition::ContinueSearch => registration.next,
            // The handler had been running already: what it names is where the earlier unwind had come.
            Disposition::CollidedUnwind => mem::read(other.into())?,
            _ => dispatch::invalid_disposition(cx, context, &area),
        };
        mem::write(cx.teb().addr, &at)?;
    }
    Ok(())
}

fn raise(cx: &Cx, status: i32, context: &Context, area: &Area) -> ! {
    let record = Record { flags: flag::NONCONTINUABLE, ..Record::status(status, context.pc()) };
    let mut context = context.clone();
    let pc = context.pc();
    context.set_return(pc, area.sp, 0);
    dispatch::dispatch(cx, &record, &mut context);
    cx.resume(&context)
}
