//! Fibers (`winbase.h`): stacks of guest code that a thread switches between when the guest says so.
//!
//! The guest knows a fiber by the address of a small structure whose first member is the fiber's parameter (`GetFiberData` is a
//! macro). What the host keeps is a [`Fiber`]: the guest stack, a host stack ([`transom_cpu::fiber`]), on which the shims run that the
//! fiber calls, and what the TEB says of it while it does not run. Fiber-local values are `fibersapi`'s.
//!
//! # Who runs on which stack
//! A thread begins on a host stack of its own, and ends there. If it is on a fiber's stack when it is to end (the fiber's routine
//! returned, or called ExitThread), it switches to its own with the order to leave. A fiber that is deleted is entered a
//! last time with the order to end its outermost call, so that engines get back what the call took; then its stacks go. For
//! these orders no program has to wait: nothing of the guest's runs.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use transom_cpu::fiber::{self, HostFiber};
use transom_sdk::{BadAddress, Cx, Func, Ptr, Win32, WinError, foundation as f, shim};
use transom_syscalls::memory::{Memory, Stack};
use windows_sys::Win32::System::Memory::MEM_RELEASE;
use windows_sys::Win32::System::WindowsProgramming::FIBER_FLAG_FLOAT_SWITCH;

use super::fibersapi;
use super::processthreadsapi::{HOST_STACK, stack_sizes};

/// What a fiber does when it is switched to, besides going on.
#[derive(Clone, Copy, Default)]
enum Order {
    #[default]
    Continue,
    /// Its thread ends with this code.
    ExitThread(u32),
    /// Its outermost call ends, and the stack is not needed any more.
    End,
}

/// A stack that CreateFiber made.
struct GuestStack {
    allocation_base: u64,
    memory: &'static Memory,
}

impl Drop for GuestStack {
    fn drop(&mut self) {
        let _ = self.memory.free(self.allocation_base, 0, MEM_RELEASE);
    }
}

const NEW: usize = 0;
const ENDED: usize = usize::MAX;

/// See the module documentation.
struct Fiber {
    /// The structure that the guest knows; 0 while the thread that this is has not been made a fiber.
    address: AtomicU64,
    host: HostFiber,
    /// Guest stack; a thread's own belongs to the thread.
    stack: Option<GuestStack>,
    /// What the TEB says of the stack ([`transom_loader::peb::Teb::stack_fields`]), while it does not run.
    fields: Mutex<[u64; 4]>,
    /// The routine, for fibers that CreateFiber made.
    start: Func,
    parameter: u64,
    running: AtomicBool,
    /// The context ([`Cx`]) of the thread that ran it last; [`NEW`] before it has begun, [`ENDED`] at the end.
    thread: AtomicUsize,
    order: Mutex<Order>,
    /// Who waits for it to end.
    deleter: Mutex<Option<Arc<Fiber>>>,
    /// Its fiber-local values, while it does not run.
    values: Mutex<Vec<u64>>,
}

impl Fiber {
    /// The stack that the calling thread began on.
    fn of_thread() -> Self {
        Self {
            address: AtomicU64::new(0),
            host: HostFiber::of_thread(),
            stack: None,
            fields: Mutex::default(),
            start: Func(0),
            parameter: 0,
            running: AtomicBool::new(true),
            thread: AtomicUsize::new(NEW),
            order: Mutex::default(),
            deleter: Mutex::default(),
            values: Mutex::default(),
        }
    }

    fn address(&self) -> u64 {
        self.address.load(Ordering::Relaxed)
    }

    /// Takes the right to run it.
    fn claim(&self) -> bool {
        !self.running.swap(true, Ordering::Acquire)
    }

    /// Whether the calling thread may go on with it. Shims that the fiber is inside of know their thread.
    fn can_run_on(&self, cx: &Cx) -> bool {
        match self.thread.load(Ordering::Relaxed) {
            NEW => true,
            ENDED => false,
            thread => thread == this_thread(cx) || (self.stack.is_some() && !self.host.is_nested()),
        }
    }
}

/// The process's fibers by their structures' addresses.
#[derive(Default)]
struct Fibers(Mutex<HashMap<u64, Arc<Fiber>>>);

/// The calling thread's.
#[derive(Default)]
struct Mine {
    /// The stack that the thread began on.
    own: Option<Arc<Fiber>>,
    /// The stack that it runs on.
    current: Option<Arc<Fiber>>,
    /// The one that it ran on before, until that is seen.
    left: Option<Arc<Fiber>>,
    is_fiber: bool,
}

#[derive(Default)]
struct ThreadFibers(Mutex<Mine>);

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn mine(cx: &Cx) -> MutexGuard<'_, Mine> {
    lock(&cx.local::<ThreadFibers>().0)
}

fn fibers(cx: &Cx) -> MutexGuard<'static, HashMap<u64, Arc<Fiber>>> {
    lock(&cx.process().states.get::<Fibers>().0)
}

fn this_thread(cx: &Cx) -> usize {
    core::ptr::from_ref(cx).addr()
}

/// The stack that the calling thread runs on, whether or not the thread is a fiber.
fn current(cx: &Cx) -> Arc<Fiber> {
    let mut mine = mine(cx);
    if let Some(current) = &mine.current {
        return Arc::clone(current);
    }
    let own = Arc::new(Fiber::of_thread());
    mine.own = Some(Arc::clone(&own));
    mine.current = Some(Arc::clone(&own));
    own
}

/// Size of the structure that the guest knows: enough for what other implementations keep there.
const STRUCTURE: u64 = 0x600;

fn make_structure(cx: &Cx, parameter: u64) -> Win32<u64> {
    let structure = cx.heaps().process().alloc(STRUCTURE, true);
    let structure = structure.ok_or(WinError::Code(f::ERROR_NOT_ENOUGH_MEMORY))?;
    cx.words().put(structure, parameter)?;
    Ok(structure)
}

/// Exchanges what the TEB says of the stack, and the fiber-local values.
fn exchange_stacks(cx: &Cx, from: &Fiber, to: &Fiber) -> Result<(), BadAddress> {
    let (w, teb) = (cx.words(), cx.teb());
    let (mut kept, next) = (lock(&from.fields), lock(&to.fields));
    for (field, (kept, next)) in teb.stack_fields().into_iter().zip(kept.iter_mut().zip(next.iter())) {
        *kept = w.get(field)?;
        w.put(field, *next)?;
    }
    w.put(teb.fiber_data(), to.address())?;
    fibersapi::exchange_values(cx, &mut lock(&from.values), &mut lock(&to.values));
    Ok(())
}

/// Goes on in another fiber, which has been claimed. Returns when the calling one is switched to, unless that comes with an order.
fn switch_to(cx: &Cx, next: Arc<Fiber>) -> Result<(), BadAddress> {
    let (from, to) = {
        let current = current(cx);
        exchange_stacks(cx, &current, &next)?;
        if current.thread.load(Ordering::Relaxed) != ENDED {
            current.thread.store(this_thread(cx), Ordering::Relaxed);
        }
        let hosts = (&raw const current.host, &raw const next.host);
        let mut mine = mine(cx);
        mine.left = mine.current.replace(next);
        hosts
    };
    // SAFETY: the thread's own block. The thread keeps both fibers until the switch is done, and `claim` has made sure that the
    // next one runs nowhere else; nothing is held here.
    unsafe { fiber::switch(cx.block(), from, to) };
    arrived();
    Ok(())
}

/// What a fiber does first when it has been switched to. Finds its thread afresh: it may be another one than before.
#[inline(never)]
fn arrived() {
    let order = Cx::with_current(|cx| {
        let mut mine = mine(cx);
        let (left, current) = (mine.left.take(), mine.current.clone());
        drop(mine);
        let (order, before) = current.map_or((Order::Continue, NEW), |fiber| {
            (core::mem::take(&mut *lock(&fiber.order)), fiber.thread.load(Ordering::Relaxed))
        });
        if let Some(left) = left
            && !matches!(order, Order::End)
        {
            left.running.store(false, Ordering::Release);
        }
        let moved = before != NEW && before != this_thread(cx);
        if moved {
            // SAFETY: the calling thread's block.
            unsafe { cx.engine().adopt_levels(cx.block()) };
        }
        (order, moved)
    });
    Cx::with_current(|cx| match order {
        None | Some((Order::Continue, false)) => {}
        // The shim that is to return knows another thread.
        Some((Order::Continue, true)) => cx.resume(&cx.caller_context()),
        Some((Order::ExitThread(code), _)) => cx.leave_thread(code),
        // SAFETY: the thread's own block; the fiber has begun, so it is inside a level.
        Some((Order::End, _)) => unsafe { cx.engine().leave(cx.block(), 0) },
    });
}

/// Where a new fiber's host stack begins.
unsafe extern "C" fn begin(_: usize) -> ! {
    arrived();
    Cx::with_current(|cx| {
        let (start, parameter) = {
            let fiber = current(cx);
            (fiber.start, fiber.parameter)
        };
        cx.call(start, &[parameter])
    });
    ended()
}

/// The fiber's outermost call is over: because it is deleted, or because its thread is to end. Nobody switches back.
#[inline(never)]
fn ended() -> ! {
    Cx::with_current(|cx| {
        let deleter = {
            let ended = current(cx);
            ended.thread.store(ENDED, Ordering::Relaxed);
            lock(&ended.deleter).take()
        };
        let next = deleter.or_else(|| {
            if !transom_syscalls::thread::current().is_terminating() {
                fibersapi::run_callbacks(cx);
            }
            let own = mine(cx).own.clone()?;
            own.running.store(true, Ordering::Relaxed);
            *lock(&own.order) = Order::ExitThread(cx.left_with().unwrap_or(0));
            Some(own)
        });
        if let Some(next) = next
            && switch_to(cx, next).is_err()
        {
            log::error!("the TEB has gone while a fiber was ending");
        }
    });
    std::process::abort()
}

fn convert(cx: &Cx, parameter: u64) -> Win32<Ptr<u8>> {
    let current = current(cx);
    if mine(cx).is_fiber {
        return Err(WinError::Code(f::ERROR_ALREADY_FIBER));
    }
    let structure = make_structure(cx, parameter)?;
    cx.words().put(cx.teb().fiber_data(), structure)?;
    cx.teb().set_has_fiber_data(true)?;
    current.address.store(structure, Ordering::Relaxed);
    fibers(cx).insert(structure, current);
    mine(cx).is_fiber = true;
    Ok(Ptr::new(structure))
}

/// Fails for flags that do not exist.
fn check_flags(flags: u32) -> Win32<()> {
    if flags & !FIBER_FLAG_FLOAT_SWITCH == 0 {
        Ok(())
    } else {
        Err(WinError::Code(f::ERROR_INVALID_PARAMETER))
    }
}

/// Converts the current thread into a fiber.
#[shim(kernel32)]
fn ConvertThreadToFiber(cx: &Cx, parameter: usize) -> Win32<Ptr<u8>> {
    convert(cx, parameter as u64)
}

/// Converts the current thread into a fiber. Floating-point control is always switched.
#[shim(kernel32)]
fn ConvertThreadToFiberEx(cx: &Cx, parameter: usize, flags: u32) -> Win32<Ptr<u8>> {
    check_flags(flags)?;
    convert(cx, parameter as u64)
}

/// Forgets the structure of the calling thread's current fiber.
fn unconvert(cx: &Cx) -> Win32<()> {
    let current = current(cx);
    if !core::mem::take(&mut mine(cx).is_fiber) {
        return Err(WinError::Code(f::ERROR_ALREADY_THREAD));
    }
    cx.teb().set_has_fiber_data(false)?;
    cx.words().put(cx.teb().fiber_data(), 0)?;
    let structure = current.address.swap(0, Ordering::Relaxed);
    if fibers(cx).remove(&structure).is_some() {
        let _ = cx.heaps().process().free(structure);
    }
    Ok(())
}

/// Converts the current fiber into a thread. The stack that the thread runs on stays its stack.
#[shim(kernel32)]
fn ConvertFiberToThread(cx: &Cx) -> Win32<()> {
    unconvert(cx)
}

/// Determines whether the current thread is a fiber.
#[shim(kernel32)]
fn IsThreadAFiber(cx: &Cx) -> bool {
    mine(cx).is_fiber
}

/// Allocates a fiber: a stack, and what is to run on it. Does not run it.
#[shim(kernel32)]
fn CreateFiber(cx: &Cx, stack_size: usize, start: Func, parameter: usize) -> Win32<Ptr<u8>> {
    create(cx, stack_sizes(cx, stack_size as u64, 0), start, parameter as u64)
}

/// Allocates a fiber with the given commit and reserve of its stack. Floating-point control is always switched.
#[shim(kernel32)]
fn CreateFiberEx(
    cx: &Cx,
    commit: usize,
    reserve: usize,
    flags: u32,
    start: Func,
    parameter: usize,
) -> Win32<Ptr<u8>> {
    check_flags(flags)?;
    let (default_reserve, default_commit) = stack_sizes(cx, 0, 0);
    let or = |size: usize, default| if size == 0 { default } else { size as u64 };
    let (commit, reserve) = (or(commit, default_commit), or(reserve, default_reserve));
    let reserve = if commit > reserve { commit.next_multiple_of(1 << 20) } else { reserve };
    create(cx, (reserve, commit), start, parameter as u64)
}

fn create(cx: &Cx, (reserve, commit): (u64, u64), start: Func, parameter: u64) -> Win32<Ptr<u8>> {
    let Stack { allocation_base, limit, base } = cx.memory().allocate_stack(reserve, commit)?;
    let stack = GuestStack { allocation_base, memory: cx.memory() };
    // As if a caller's frame lay above: outermost functions may write to their home area.
    let host = HostFiber::new(HOST_STACK, base - 0x100, begin, 0);
    let host = host.map_err(|_| WinError::Code(f::ERROR_NOT_ENOUGH_MEMORY))?;
    let structure = make_structure(cx, parameter)?;
    // The end of the x86 chain of exception registrations; 64-bit code has none.
    let end_of_chain = cx.words().pick(0xFFFF_FFFF, 0);
    let fiber = Fiber {
        address: AtomicU64::new(structure),
        host,
        stack: Some(stack),
        fields: Mutex::new([end_of_chain, base, limit, allocation_base]),
        start,
        parameter,
        running: AtomicBool::new(false),
        ..Fiber::of_thread()
    };
    fibers(cx).insert(structure, Arc::new(fiber));
    Ok(Ptr::new(structure))
}

/// Schedules a fiber. The calling thread must be one.
#[shim(
    kernel32,
    partial = "a thread's first fiber, and one that waits inside a callback, can go on only on their own thread"
)]
fn SwitchToFiber(cx: &Cx, fiber: Ptr<u8>) {
    let next = fibers(cx).get(&fiber.addr()).cloned();
    let (Some(next), true) = (next, mine(cx).is_fiber) else {
        cx.raise_status(f::STATUS_INVALID_PARAMETER);
    };
    if Arc::ptr_eq(&next, &current(cx)) {
        return;
    }
    if !next.can_run_on(cx) {
        log::error!("SwitchToFiber: the fiber at {fiber:?} can go on only on the thread that left it");
        drop(next);
        cx.raise_status(f::STATUS_NOT_SUPPORTED);
    }
    if !next.claim() {
        drop(next);
        cx.raise_status(f::STATUS_INVALID_PARAMETER);
    }
    if let Err(bad) = switch_to(cx, next) {
        cx.access_violation(bad);
    }
}

/// Deletes a fiber: its stack, its values (their callbacks run). The running fiber's thread exits.
#[shim(kernel32)]
fn DeleteFiber(cx: &Cx, fiber: Ptr<u8>) {
    let Some(doomed) = fibers(cx).get(&fiber.addr()).cloned() else {
        cx.raise_status(f::STATUS_INVALID_PARAMETER);
    };
    if Arc::ptr_eq(&doomed, &current(cx)) {
        drop(doomed);
        thread_ends(cx);
        cx.leave_thread(1);
    }
    if !doomed.claim() {
        drop(doomed);
        cx.raise_status(f::STATUS_INVALID_PARAMETER);
    }
    let mut values = core::mem::take(&mut *lock(&doomed.values));
    while let Some((function, value)) = fibersapi::next_callback(cx, &mut values) {
        // The callback may leave: what is held leaks then.
        cx.call(function, &[value]);
    }
    // The stack that a thread began on is the thread's, which ends there.
    let has_begun = !matches!(doomed.thread.load(Ordering::Relaxed), NEW | ENDED);
    if doomed.stack.is_some() && has_begun {
        *lock(&doomed.order) = Order::End;
        *lock(&doomed.deleter) = Some(current(cx));
        if let Err(bad) = switch_to(cx, Arc::clone(&doomed)) {
            cx.access_violation(bad);
        }
    }
    fibers(cx).remove(&fiber.addr());
    doomed.address.store(0, Ordering::Relaxed);
    doomed.running.store(false, Ordering::Release);
    let _ = cx.heaps().process().free(fiber.addr());
}

/// The thread ends: it is no fiber any more.
pub(crate) fn thread_ends(cx: &Cx) {
    let is_fiber = mine(cx).is_fiber;
    if is_fiber && unconvert(cx).is_err() {
        log::debug!("a thread that ends has no readable TEB");
    }
}

/// The values of all fibers that do not run.
pub(crate) fn for_each_values(cx: &Cx, mut visit: impl FnMut(&mut Vec<u64>)) {
    for fiber in fibers(cx).values() {
        visit(&mut lock(&fiber.values));
    }
}
