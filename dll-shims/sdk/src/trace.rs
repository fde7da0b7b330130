//! Tracing of calls: the hook through which a tracer sees every call of a built-in function.
//!
//! A process without a tracer binds thunks to the shims themselves and pays nothing. With one, a thunk's entry is
//! [`traced`], which calls the shim's own in between. What is recorded, and how it is printed, is the tracer's business (the
//! `transom` command's). Calls that never return (ExitProcess, longjmp, an exception that unwinds past them) have no
//! [`Tracer::after`]; a tracer finds out by the stack pointers of the calls that follow.

use core::any::Any;
use core::ffi::c_void;
use core::fmt;
use std::sync::OnceLock;

use transom_cpu::block::ThreadBlock;
use transom_cpu::engine::Observer;
use transom_cpu::frame::Frame;
use transom_cpu::thunk::{Bound, HostEntry};

use crate::cx::Cx;
use crate::shim::Shim;

/// A function that is traced.
pub struct Callee {
    /// The DLL under which it is bound, lower case, with extension.
    pub dll: String,
    /// The name under which it is bound; `#` and the number for an ordinal.
    pub name: String,
    /// The shim; `None` if the function is the guest's own, or not implemented, so that the call is going to fail.
    pub shim: Option<Shim>,
    /// Whether it is a function of one of the guest's own modules.
    pub guest: bool,
    /// What the tracer keeps about the function.
    pub notes: OnceLock<Box<dyn Any + Send + Sync>>,
}

impl Callee {
    /// A function of one of the guest's own modules.
    pub(crate) fn of_guest(dll: &str, name: &str) -> Self {
        Self { dll: dll.to_owned(), name: name.to_owned(), shim: None, guest: true, notes: OnceLock::new() }
    }
}

/// What a traced thunk is bound to.
struct Traced {
    callee: Callee,
    entry: HostEntry,
    data: *const c_void,
    tracer: &'static dyn Tracer,
}

// SAFETY: `data` is what the thunk table held, which any thread may be called with.
unsafe impl Send for Traced {}
// SAFETY: as above.
unsafe impl Sync for Traced {}

impl fmt::Debug for Callee {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}!{}", self.dll, self.name)
    }
}

/// Sees calls. Its methods must not call into the guest.
pub trait Tracer: Send + Sync {
    /// Whether calls of this function are to be seen. Asked once, when the function is bound.
    fn wants(&self, dll: &str, name: &str) -> bool;

    /// Who sees instructions and accesses, if anybody does.
    fn observer(&self) -> Option<&dyn Observer> {
        None
    }

    /// Whether calls between the guest's own modules are to be seen.
    fn wants_modules(&self) -> bool {
        false
    }

    /// Before a call, with its arguments in the frame. What it returns is handed to [`Tracer::after`].
    fn before(&self, cx: &Cx, frame: &mut Frame, callee: &'static Callee) -> u64;

    /// After the call, with the result in the frame.
    fn after(&self, cx: &Cx, frame: &mut Frame, callee: &'static Callee, token: u64);

    /// Instead of [`Tracer::after`], and when the call begins: it is not going to be seen how it ends.
    fn unwatched(&self, cx: &Cx, frame: &mut Frame, callee: &'static Callee, token: u64);

    /// The process ends now: what is under way never returns.
    fn end(&self, code: u32);
}

/// What a thunk is bound to when the tracer wants the function.
pub(crate) fn bound(
    tracer: &'static dyn Tracer,
    dll: &str,
    name: &str,
    shim: Option<Shim>,
    plain: Bound,
) -> Bound {
    if !tracer.wants(dll, name) {
        return plain;
    }
    let callee =
        Callee { dll: dll.to_owned(), name: name.to_owned(), shim, guest: false, notes: OnceLock::new() };
    let traced_function: &'static Traced =
        Box::leak(Box::new(Traced { callee, entry: plain.entry, data: plain.data, tracer }));
    Bound { entry: traced, data: core::ptr::from_ref(traced_function).cast() }
}

/// The entry of traced functions. Holds nothing across the call that needs a destructor.
unsafe extern "C-unwind" fn traced(block: *mut ThreadBlock, frame: *mut Frame, data: *const c_void) {
    // SAFETY: called by a thunk's entry code with the thread's block and the live frame; `data` was leaked by `bound`.
    let traced: &'static Traced = unsafe { &*data.cast::<Traced>() };
    // SAFETY: as above.
    let token = unsafe {
        let (cx, frame) = crate::cx::enter(block, frame);
        traced.tracer.before(cx, frame, &traced.callee)
    };
    // SAFETY: what the thunk would have been bound to, called as the thunk would have called it.
    unsafe { (traced.entry)(block, frame, traced.data) };
    // SAFETY: as above.
    unsafe {
        let (cx, frame) = crate::cx::enter(block, frame);
        traced.tracer.after(cx, frame, &traced.callee, token);
    }
}
