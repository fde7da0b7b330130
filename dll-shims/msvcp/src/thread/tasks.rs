//! Tasks of the Concurrency Runtime, which `std::async` is made of: a chore is a function for the system's thread pool, and a context
//! callback a way back to the COM apartment that a task comes from. Console programs have no such apartments.

use transom_sdk::{Crt, CrtError, Cx, Func, Guest, InPlace, Ptr, shim};

use crate::class;
use crate::object::{Field, Object, Words, import};

/// `_Threadpool_chore`: the pool's work object, the function and its argument.
const WORK: Field = Field::after(0);
const FUNCTION: Field = Field::after(1);
const ARGUMENT: Field = Field::after(2);

/// `std::function<void()>`, whose last word points to the callable, which may lie in the object itself.
#[derive(Clone, Copy, Debug, Guest)]
pub(crate) struct Callable {
    room: [u64; 2],
    words: [usize; 5],
    target: Ptr<u8>,
}

/// Slots of a callable's virtual functions.
const CALL: u16 = 2;
const DELETE: u16 = 4;

fn kernel32(cx: &Cx, name: &str, words: Words) -> Crt<u64> {
    import(cx, "kernel32.dll", name, words)
}

/// Has the thread pool run a chore. -1 if that failed.
#[shim(msvcp140("?_Schedule_chore@details@Concurrency@@YAHPEAU_Threadpool_chore@12@@Z"))]
fn schedule_chore(cx: &Cx, chore: Ptr<u8>) -> Crt<i32> {
    let object = Object::from(chore);
    let mut work = object.pointer(cx, WORK)?;
    if work == 0 {
        let run = class::function(cx, SHIM__Run_threadpool_chore).0;
        let words = Words::new(cx).word(run).word(chore.addr()).word(0u32);
        work = kernel32(cx, "CreateThreadpoolWork", words)?;
        if work == 0 {
            return Ok(-1);
        }
        object.set_pointer(cx, WORK, work)?;
    }
    kernel32(cx, "SubmitThreadpoolWork", Words::new(cx).word(work))?;
    Ok(0)
}

/// What the thread pool calls for a chore.
#[shim(msvcp140, stdcall)]
fn _Run_threadpool_chore(cx: &Cx, _instance: Ptr<u8>, chore: Ptr<u8>, _work: Ptr<u8>) -> Crt<()> {
    let chore = Object::from(chore);
    let (function, argument): (Func, u64) = (chore.get(cx, FUNCTION)?, chore.pointer(cx, ARGUMENT)?);
    cx.call(function, &[argument]);
    Ok(())
}

/// Gives a chore's work object back.
#[shim(msvcp140("?_Release_chore@details@Concurrency@@YAXPEAU_Threadpool_chore@12@@Z"))]
fn release_chore(cx: &Cx, chore: Ptr<u8>) -> Crt<()> {
    let object = Object::from(chore);
    let work = object.pointer(cx, WORK)?;
    if work != 0 {
        kernel32(cx, "CloseThreadpoolWork", Words::new(cx).word(work))?;
        object.set_pointer(cx, WORK, 0)?;
    }
    Ok(())
}

/// Ends the program: a task's exception was not looked at by anybody.
#[shim(msvcp140("?_ReportUnobservedException@details@Concurrency@@YAXXZ"))]
fn report_unobserved_exception(cx: &Cx) -> Crt<()> {
    import(cx, "ucrtbase.dll", "abort", Words::new(cx)).map(drop)
}

/// Tells the operating system of an error of the Windows Runtime, which nobody asks for here.
#[shim(msvcp140("?ReportUnhandledError@_ExceptionHolder@details@Concurrency@@AEAAXXZ"))]
fn report_unhandled_error(_this: Ptr<u8>) {}

/// The calling thread's number.
#[shim(msvcp140("?GetCurrentThreadId@platform@details@Concurrency@@YAJXZ"))]
fn current_thread_id(cx: &Cx) -> u32 {
    cx.thread_id()
}

/// Makes the context in which a task goes on: any.
#[shim(msvcp140("??0task_continuation_context@Concurrency@@AEAA@XZ"))]
fn task_continuation_context(cx: &Cx, this: Ptr<u8>) -> Crt<Ptr<u8>> {
    forget_context(cx, this)?;
    Ok(this)
}

/// Keeps the calling thread's COM apartment, of which there is none, or forgets the one kept.
#[shim(msvcp140(
    "?_Capture@_ContextCallback@details@Concurrency@@AEAAXXZ",
    "?_Reset@_ContextCallback@details@Concurrency@@AEAAXXZ"
))]
fn forget_context(cx: &Cx, this: Ptr<u8>) -> Crt<()> {
    Object::from(this).set_pointer(cx, Field::after(0), 0)
}

/// Keeps a COM apartment.
#[shim(msvcp140("?_Assign@_ContextCallback@details@Concurrency@@AEAAXPEAX@Z"))]
fn assign_context(cx: &Cx, this: Ptr<u8>, context: Ptr<u8>) -> Crt<()> {
    Object::from(this).set_pointer(cx, Field::after(0), context.addr())
}

/// Whether the calling thread is in a single-threaded COM apartment.
#[shim(msvcp140("?_IsCurrentOriginSTA@_ContextCallback@details@Concurrency@@CA_NXZ"))]
fn is_in_single_threaded_apartment() -> u8 {
    0
}

/// Calls a function in the COM apartment that was kept: here, as there is none.
#[shim(msvcp140(
    "?_CallInContext@_ContextCallback@details@Concurrency@@QEBAXV?$function@$$A6AXXZ@std@@_N@Z"
))]
fn call_in_context(cx: &Cx, _this: Ptr<u8>, function: InPlace<Callable>, _through: u8) -> Crt<()> {
    const ERRNO_INVALID: i32 = 22;
    let place = function.0;
    let target = Object::from(place.read(cx)?.target);
    if target.is_null() {
        return Err(CrtError::Errno(ERRNO_INVALID));
    }
    target.call(cx, CALL, Words::new(cx))?;
    let outside = target.0 != place.addr();
    target.call(cx, DELETE, Words::new(cx).word(u32::from(outside)))?;
    Ok(())
}

/// Logs an event of a task for tools that trace, of which there are none.
#[shim(msvcp140(
    "?_LogCancelTask@_TaskEventLogger@details@Concurrency@@QEAAXXZ",
    "?_LogTaskCompleted@_TaskEventLogger@details@Concurrency@@QEAAXXZ",
    "?_LogTaskExecutionCompleted@_TaskEventLogger@details@Concurrency@@QEAAXXZ",
    "?_LogWorkItemCompleted@_TaskEventLogger@details@Concurrency@@QEAAXXZ",
    "?_LogWorkItemStarted@_TaskEventLogger@details@Concurrency@@QEAAXXZ"
))]
fn log_event(_this: Ptr<u8>) {}

/// Logs that a task was scheduled.
#[shim(msvcp140("?_LogScheduleTask@_TaskEventLogger@details@Concurrency@@QEAAX_N@Z"))]
fn log_schedule(_this: Ptr<u8>, _continuation: u8) {}
