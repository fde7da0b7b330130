//! The call context: what a shim has at hand.

use core::cell::Cell;
use core::ffi::c_void;
use core::fmt;
use core::ptr;
use std::any::Any;
use std::sync::Arc;

use transom_cpu::block::ThreadBlock;
use transom_cpu::context::Context;
use transom_cpu::engine::{Access, Engine, has_stale_level};
use transom_cpu::float::FloatControl;
use transom_cpu::frame::Frame;
use transom_cpu::machine::Machine;
use transom_cpu::mem::{self, BadAddress};
use transom_loader::builtin::GuestCaller;
use transom_loader::modules::Modules;
use transom_loader::peb::{self, Teb, Words};
use transom_syscalls::file::{FileObject, Files};
use transom_syscalls::handle::{HandleTable, Ref};
use transom_syscalls::heap::Heaps;
use transom_syscalls::memory::Memory;
use transom_syscalls::object::Object;
use transom_syscalls::status::Status;
use windows_sys::Win32::Foundation::{STATUS_ACCESS_VIOLATION, STATUS_INVALID_HANDLE};

use crate::data::GuestData;
use crate::pointer::{Func, Handle};
use crate::process::{Parameters, Process, Record};
use crate::state::States;

/// A guest thread, as its shims see it. One per thread; never shared between threads.
pub struct Cx {
    block: *mut ThreadBlock,
    process: &'static Process,
    teb: Teb,
    thread_id: u32,
    locals: States,
    /// The code that the thread left with.
    left: Cell<Option<u32>>,
    /// Makes the type neither `Send` nor `Sync`.
    _thread_bound: core::marker::PhantomData<*mut ()>,
}

thread_local! {
    static CURRENT: Cell<*const Cx> = const { Cell::new(ptr::null()) };
}

impl fmt::Debug for Cx {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Cx").field("thread_id", &self.thread_id).finish_non_exhaustive()
    }
}

impl Cx {
    /// The context of a thread whose block and TEB are ready. Registers it as the calling thread's.
    ///
    /// # Safety
    /// `block` stays mapped, and the returned context in place, for as long as the thread runs guest code.
    pub(crate) unsafe fn attach(
        block: *mut ThreadBlock,
        process: &'static Process,
        teb: Teb,
        thread_id: u32,
    ) -> Box<Self> {
        let cx = Box::new(Self {
            block,
            process,
            teb,
            thread_id,
            locals: States::default(),
            left: Cell::new(None),
            _thread_bound: core::marker::PhantomData,
        });
        // SAFETY: the block is mapped by the caller's contract.
        unsafe { (*block).user = ptr::from_ref::<Self>(&cx).cast_mut().cast::<c_void>() };
        CURRENT.set(&raw const *cx);
        cx
    }

    /// Runs `work` with the calling thread's context, if it is a guest thread.
    pub fn with_current<T>(work: impl FnOnce(&Self) -> T) -> Option<T> {
        let own = Self::current();
        let current = if own.is_null() { crate::plugin::foreign_current() } else { own };
        // SAFETY: set in `attach` to a box that outlives the thread's guest code; used on that thread only.
        unsafe { current.as_ref() }.map(work)
    }

    /// The context that this copy of the crate knows of the calling thread, or null.
    pub(crate) fn current() -> *const Self {
        CURRENT.get()
    }

    /// The process.
    #[must_use]
    pub fn process(&self) -> &'static Process {
        self.process
    }

    /// The guest's machine.
    #[must_use]
    pub fn machine(&self) -> Machine {
        self.process.machine
    }

    /// Size in bytes that a `T` has in this guest; a pointer's is that of `usize`.
    #[must_use]
    #[inline]
    pub fn size_of<T: GuestData>(&self) -> usize {
        T::SIZE[usize::from(self.is_64())]
    }

    /// Bytes of a guest pointer.
    #[must_use]
    #[inline]
    pub fn pointer_size(&self) -> u8 {
        if self.is_64() { 8 } else { 4 }
    }

    /// The largest value of a pointer-sized word: `SIZE_MAX`, `-1` for an unsigned length.
    #[must_use]
    #[inline]
    pub fn word_max(&self) -> usize {
        if self.is_64() { usize::MAX } else { u32::MAX as usize }
    }

    /// Whether guest pointers are 64 bits wide. Only for layouts; shims do not branch on it.
    #[must_use]
    #[inline]
    pub fn is_64(&self) -> bool {
        self.process.machine.is_64()
    }

    /// The handle table.
    #[must_use]
    pub fn handles(&self) -> &'static HandleTable {
        &self.process.handles
    }

    /// Guest virtual memory.
    #[must_use]
    pub fn memory(&self) -> &'static Arc<Memory> {
        &self.process.memory
    }

    /// The heaps.
    #[must_use]
    pub fn heaps(&self) -> &'static Heaps {
        &self.process.heaps
    }

    /// The file services.
    #[must_use]
    pub fn files(&self) -> &'static Arc<Files> {
        self.process.files()
    }

    /// The object behind a handle, if it is of type `T` and was opened with this access. Pseudo-handles are not resolved here.
    ///
    /// # Errors
    /// `STATUS_INVALID_HANDLE`, `STATUS_OBJECT_TYPE_MISMATCH`, `STATUS_ACCESS_DENIED`.
    pub fn object<T: Object>(&self, handle: Handle, access: u32) -> Result<Ref<'static, T>, Status> {
        let invalid = Status(STATUS_INVALID_HANDLE);
        let handle = transom_syscalls::handle::Handle::from_guest(handle.0.cast_unsigned()).ok_or(invalid)?;
        self.process.handles.get(handle, access)
    }

    /// The file behind a handle; what it may do is checked by the file services.
    ///
    /// # Errors
    /// As for [`Cx::object`].
    pub fn file(&self, handle: Handle) -> Result<Ref<'static, FileObject>, Status> {
        self.object(handle, 0)
    }

    /// The module list.
    #[must_use]
    pub fn modules(&self) -> &'static Modules {
        self.process.modules()
    }

    /// A topic's state for the whole process.
    #[must_use]
    pub fn state<T: Any + Send + Sync + Default>(&self) -> &'static T {
        self.process.states.get()
    }

    /// A topic's state for this thread.
    #[must_use]
    pub fn local<T: Any + Send + Sync + Default>(&self) -> &T {
        self.locals.get()
    }

    /// This thread's TEB.
    #[must_use]
    pub fn teb(&self) -> Teb {
        self.teb
    }

    /// This thread's id.
    #[must_use]
    pub fn thread_id(&self) -> u32 {
        self.thread_id
    }

    /// Address of a small area that guest code may address, private to this thread and zeroed at its start: `errno` is
    /// at its beginning, `_doserrno` after it; the C runtime uses the rest.
    #[must_use]
    pub fn guest_area(&self) -> u64 {
        // SAFETY: the block lives as long as the context.
        unsafe { (*self.block).guest_area() }
    }

    /// Sets what GetLastError returns.
    pub fn set_last_error(&self, code: u32) {
        // The TEB is mapped for the thread's life; a guest that protects it against itself gets no last error.
        let _ = self.teb.set_last_error(code);
    }

    /// What GetLastError returns.
    #[must_use]
    pub fn last_error(&self) -> u32 {
        mem::read(self.teb.last_error()).unwrap_or(0)
    }

    /// Sets `errno` (Microsoft's numbers).
    pub fn set_errno(&self, errno: i32) {
        let _ = mem::write(self.guest_area(), &errno);
    }

    /// `errno`.
    #[must_use]
    pub fn errno(&self) -> i32 {
        mem::read(self.guest_area()).unwrap_or(0)
    }

    /// The guest's width, for structures that the loader describes.
    #[must_use]
    pub fn words(&self) -> Words {
        self.teb.w
    }

    /// Address of the process parameters (RTL_USER_PROCESS_PARAMETERS).
    ///
    /// # Errors
    /// If the guest made its PEB unreadable.
    pub fn parameters(&self) -> Result<u64, BadAddress> {
        peb::parameters_of(self.words(), self.process.peb())
    }

    /// Calls a guest function with integer (or pointer) arguments and returns its integer result. Hold nothing across
    /// it that needs a destructor: an exception or longjmp in the guest may abandon this call.
    pub fn call(&self, function: Func, args: &[u64]) -> u64 {
        // SAFETY: this is the attached thread's own block, and shims keep the rule about destructors.
        unsafe { self.engine().call(self.block, function.0, args, false) }.int
    }

    /// As [`Cx::call`], for functions that return 64 bits on every machine.
    pub fn call_long(&self, function: Func, args: &[u64]) -> u64 {
        // SAFETY: as in `call`.
        let result = unsafe { self.engine().call(self.block, function.0, args, false) };
        result.int | result.high << 32
    }

    /// As [`Cx::call`], for functions that return a `double`.
    pub fn call_f64(&self, function: Func, args: &[u64]) -> f64 {
        // SAFETY: as in `call`.
        f64::from_bits(unsafe { self.engine().call(self.block, function.0, args, true) }.float)
    }

    /// The engine.
    #[must_use]
    pub fn engine(&self) -> &'static dyn Engine {
        self.process.engine()
    }

    /// The guest's registers as they will be when the running shim returns.
    #[must_use]
    pub fn caller_context(&self) -> Context {
        let mut context = Context::new(self.machine());
        // SAFETY: the innermost frame is alive while its shim runs.
        if let Some(frame) = unsafe { (*self.block).frame.as_ref() } {
            frame.fill(&mut context);
        }
        self.complete(&mut context);
        context
    }

    /// Fills what a frame does not hold: the floating-point control registers.
    pub fn complete(&self, context: &mut Context) {
        context.set_float_control(self.float_control());
    }

    /// The floating-point control registers with which this thread's guest code runs.
    #[must_use]
    pub fn float_control(&self) -> FloatControl {
        if self.process.is_native() {
            return FloatControl::live();
        }
        // SAFETY: the thread's own block; shims run in calls from the guest.
        unsafe { self.engine().float_control(self.block) }
    }

    /// Sets the floating-point control registers with which this thread's guest code runs.
    pub fn set_float_control(&self, control: FloatControl) {
        // SAFETY: as in `float_control`.
        unsafe { self.engine().set_float_control(self.block, control) }
    }

    /// The guest's stack pointer at the running shim's call: what lies below is free.
    #[must_use]
    pub fn guest_sp(&self) -> u64 {
        // SAFETY: the thread's own block.
        unsafe { (*self.block).guest_sp }
    }

    /// As [`Cx::call`], with the function's stack beginning below `sp`, so that what lies between is kept.
    pub fn call_below(&self, sp: u64, function: Func, args: &[u64]) -> u64 {
        // SAFETY: the thread's own block.
        let outer = unsafe { core::mem::replace(&mut (*self.block).guest_sp, sp) };
        let result = self.call(function, args);
        // SAFETY: as above.
        unsafe { (*self.block).guest_sp = outer };
        result
    }

    /// Calls a guest function as if guest code had been interrupted at `context`: a walk of the stack that comes out of the
    /// function continues there. The function's stack begins below `sp`. Otherwise as [`Cx::call`].
    pub fn call_at(&self, context: &Context, sp: u64, function: Func, args: &[u64]) -> u64 {
        self.call_from(&mut Frame::at(context), sp, function, args)
    }

    /// As [`Cx::call_at`], for several calls as if from the same place: `frame` is [`Frame::at`] of the context.
    pub fn call_from(&self, frame: &mut Frame, sp: u64, function: Func, args: &[u64]) -> u64 {
        // SAFETY: the thread's own block. The frame lives until the call returns; if the call is abandoned, so is the level
        // that refers to it.
        unsafe {
            let outer = ((*self.block).frame, (*self.block).guest_sp);
            frame.previous = outer.0;
            (*self.block).frame = frame;
            (*self.block).guest_sp = sp;
            let result = self.call(function, args);
            ((*self.block).frame, (*self.block).guest_sp) = outer;
            result
        }
    }

    /// Makes calls of parts of a function (a filter, a `__finally` block, a catch block). On ARM64 they find the function's variables by
    /// its callee-saved registers, x19 to x29, which are given; elsewhere (`None`) the arguments say all.
    pub fn with_registers<T>(&self, registers: Option<[u64; 11]>, calls: impl FnOnce() -> T) -> T {
        let Some(mut registers) = registers else { return calls() };
        // SAFETY: the thread's own block; shims run in calls from the guest. If a call is abandoned, the guest goes on with a
        // context of its own.
        unsafe { self.engine().exchange_saved(self.block, &mut registers) };
        let result = calls();
        // SAFETY: as above.
        unsafe { self.engine().exchange_saved(self.block, &mut registers) };
        result
    }

    /// The levels of this thread, innermost first: the guest stack pointer with which each was entered, and the frame from which
    /// it was (None for the outermost).
    pub fn levels(&self) -> impl Iterator<Item = (u64, Option<&Frame>)> {
        // SAFETY: levels are linked from live calls of this thread, and so are their frames.
        let mut next = unsafe { (*self.block).level.as_ref() };
        core::iter::from_fn(move || {
            let level = next?;
            // SAFETY: as above.
            unsafe {
                next = level.previous.as_ref();
                Some((level.guest_sp, level.frame.as_ref()))
            }
        })
    }

    /// Unwinds guest frames; see [`crate::UnwindHook`]. Returns on x86 only.
    pub fn unwind(&self, unwind: &crate::Unwind, context: &mut Context) {
        self.process.unwind(self, unwind, context);
    }

    /// Guest address that the running shim returns to.
    #[must_use]
    pub fn return_address(&self) -> u64 {
        // SAFETY: as in `caller_context`.
        unsafe { (*self.block).frame.as_ref() }.map_or(0, |f| f.return_address)
    }

    /// Continues guest code with exactly these registers; the running shim never returns.
    pub fn resume(&self, context: &Context) -> ! {
        // SAFETY: the thread's own block; the shim gives up its frames.
        unsafe { self.engine().resume(self.block, context) }
    }

    /// Ends the calling thread: its outermost guest call returns with this code. What lies between is dropped.
    pub fn leave_thread(&self, code: u32) -> ! {
        self.left.set(Some(code));
        // SAFETY: shims run inside at least one level; the thread gives up its frames.
        unsafe { self.engine().leave(self.block, code.into()) }
    }

    /// What [`Cx::leave_thread`] was called with, if it was: the outermost guest call did not return by itself.
    #[must_use]
    pub fn left_with(&self) -> Option<u32> {
        self.left.get()
    }

    /// Raises an exception in the guest at the running shim's call. Never returns: a handler continues the guest.
    pub fn raise(&self, record: &Record) -> ! {
        let mut context = self.caller_context();
        // SAFETY: the thread's own block.
        if unsafe { has_stale_level(self.block, self.machine(), context.sp()) } {
            let raised = Raised { record: *record, context };
            // SAFETY: a structure of plain values, alive until it has been copied.
            let bytes =
                unsafe { core::slice::from_raw_parts((&raw const raised).cast::<u8>(), size_of::<Raised>()) };
            // SAFETY: the thread's own block; the running shim gives up its frames.
            unsafe { self.engine().restart(self.block, raised.context.sp(), raise_again, bytes) }
        }
        self.process.dispatch_exception(self, record, &mut context);
        self.resume(&context)
    }

    /// Raises an exception that is only a status, at the running shim's call.
    pub fn raise_status(&self, status: i32) -> ! {
        self.raise(&Record {
            code: status.cast_unsigned(),
            flags: 0,
            nested: 0,
            address: self.return_address(),
            parameters: Parameters::default(),
        })
    }

    /// Raises the access violation for a bad address that the guest gave.
    pub fn access_violation(&self, bad: BadAddress) -> ! {
        let kind = match bad.access {
            Access::Read => 0,
            Access::Write => 1,
            Access::Execute => 8,
        };
        self.raise(&Record {
            code: STATUS_ACCESS_VIOLATION.cast_unsigned(),
            flags: 0,
            nested: 0,
            address: self.return_address(),
            parameters: Parameters::new(&[kind, bad.address]),
        })
    }

    /// The thread block, for engine calls.
    #[must_use]
    pub fn block(&self) -> *mut ThreadBlock {
        self.block
    }
}

/// An exception on its way to a shallower host stack.
struct Raised {
    record: Record,
    context: Context,
}

/// Dispatches an exception after [`Engine::restart`].
unsafe extern "C" fn raise_again(block: *mut ThreadBlock, data: *const u8) -> ! {
    // SAFETY: the bytes of a `Raised`, copied to an address that is a multiple of 64; the context is attached to the block.
    let (cx, raised) = unsafe { (&*(*block).user.cast::<Cx>(), &*data.cast::<Raised>()) };
    let mut context = raised.context.clone();
    cx.process.dispatch_exception(cx, &raised.record, &mut context);
    cx.resume(&context)
}

impl GuestCaller for Cx {
    fn call_guest(&self, target: u64, args: &[u64]) -> u64 {
        self.call(Func(target), args)
    }
}

/// What glue begins with: the context and the frame of a call.
///
/// # Safety
/// `block` is the calling thread's, with its context attached; `frame` is the live frame of the call. The references
/// must not outlive the call.
#[inline]
#[must_use]
pub unsafe fn enter<'a>(block: *mut ThreadBlock, frame: *mut Frame) -> (&'a Cx, &'a mut Frame) {
    // SAFETY: the caller's contract.
    unsafe { (&*(*block).user.cast::<Cx>(), &mut *frame) }
}
