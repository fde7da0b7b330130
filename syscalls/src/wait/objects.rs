//! The kernel objects that are little more than a cell: events, semaphores, mutexes (Windows' own name: mutants) and, in
//! [`timer`], waitable timers.

use core::ops::Deref;
use core::sync::atomic::Ordering;
use std::any::Any;
use std::collections::HashSet;
use std::sync::{Arc, Mutex, PoisonError};

use windows_sys::Win32::Foundation as f;

use super::cell::{Cell, Rule};
use super::futex::Scope;
use super::robust;
use super::waiting::{owner, release_mutex};
use crate::object::{Kind, Object};
use crate::process::inherit::Passed;
use crate::session::{self, InSession, NewCell, Place, Slot};
use crate::status::{Result, Status};
use crate::thread;

pub mod timer;
pub use timer::Timer;

/// Where an object's cell is.
#[derive(Debug)]
pub(crate) enum Home {
    /// In the object.
    Private(Cell),
    /// In the session.
    Session(Slot),
}

impl Home {
    pub(crate) fn new(rule: Rule, tokens: u32, limit: u32) -> Self {
        Self::Private(Cell::new(rule, tokens, limit, Scope::Private))
    }

    pub(crate) fn pass(&self) -> Option<Passed> {
        match self {
            Self::Private(_) => None,
            Self::Session(slot) => Some(session::pass(slot)),
        }
    }
}

impl Deref for Home {
    type Target = Cell;
    #[inline]
    fn deref(&self) -> &Cell {
        match self {
            Self::Private(cell) => cell,
            Self::Session(slot) => slot.cell(),
        }
    }
}

/// An event ([Event Objects](https://learn.microsoft.com/windows/win32/sync/event-objects)).
#[derive(Debug)]
pub struct Event {
    cell: Home,
}

impl Event {
    /// A new event: manual-reset or auto-reset, set or not.
    #[must_use]
    pub fn new(manual: bool, set: bool) -> Arc<Self> {
        let rule = if manual { Rule::ManualEvent } else { Rule::AutoEvent };
        Arc::new(Self { cell: Home::new(rule, set.into(), 1) })
    }

    /// An event in its place; whether it existed.
    ///
    /// # Errors
    /// As [`Self::named`].
    pub fn create(place: Place<'_>, manual: bool, set: bool) -> Result<(Arc<Self>, bool)> {
        match place {
            Place::Private => Ok((Self::new(manual, set), false)),
            Place::Inheritable => Ok((Self::inheritable(manual, set)?, false)),
            Place::Named(name) => Self::named(name, manual, set),
        }
    }

    /// The event with this name, or a new one; whether it existed.
    ///
    /// # Errors
    /// As [`session::create`].
    pub fn named(name: &[u16], manual: bool, set: bool) -> Result<(Arc<Self>, bool)> {
        session::create(name, Self::new_cell(manual, set))
    }

    /// A new event without a name, which children can inherit.
    ///
    /// # Errors
    /// As [`session::anonymous`].
    pub fn inheritable(manual: bool, set: bool) -> Result<Arc<Self>> {
        session::anonymous(Self::new_cell(manual, set))
    }

    fn new_cell(manual: bool, set: bool) -> NewCell {
        let rule = if manual { Rule::ManualEvent } else { Rule::AutoEvent };
        NewCell { rule, tokens: set.into(), limit: 1 }
    }

    /// Whether it is a manual-reset event.
    #[must_use]
    pub fn is_manual(&self) -> bool {
        self.cell.rule() == Rule::ManualEvent
    }

    /// Whether it is set now.
    #[must_use]
    pub fn is_set(&self) -> bool {
        self.cell.free_tokens() > 0
    }

    /// Sets it; whether it was set before.
    pub fn set(&self) -> bool {
        let (before, effect) = self.cell.set();
        effect.on(&self.cell);
        before
    }

    /// Resets it; whether it was set before.
    pub fn reset(&self) -> bool {
        self.cell.reset()
    }

    /// Releases those who wait now, one or all, and leaves it reset. Whether it was set before.
    ///
    /// As in Windows, threads that wait for all of several objects are not released by a pulse.
    pub fn pulse(&self) -> bool {
        let (before, effect) = self.cell.pulse();
        effect.on(&self.cell);
        before
    }
}

/// A semaphore ([Semaphore Objects](https://learn.microsoft.com/windows/win32/sync/semaphore-objects)).
#[derive(Debug)]
pub struct Semaphore {
    cell: Home,
}

impl Semaphore {
    /// A new semaphore.
    ///
    /// # Errors
    /// `STATUS_INVALID_PARAMETER` unless `0 <= initial <= maximum` and `maximum > 0`.
    pub fn new(initial: i32, maximum: i32) -> Result<Arc<Self>> {
        let NewCell { rule, tokens, limit } = Self::new_cell(initial, maximum)?;
        Ok(Arc::new(Self { cell: Home::new(rule, tokens, limit) }))
    }

    /// A semaphore in its place; whether it existed.
    ///
    /// # Errors
    /// As [`Self::named`].
    pub fn create(place: Place<'_>, initial: i32, maximum: i32) -> Result<(Arc<Self>, bool)> {
        match place {
            Place::Private => Ok((Self::new(initial, maximum)?, false)),
            Place::Inheritable => Ok((Self::inheritable(initial, maximum)?, false)),
            Place::Named(name) => Self::named(name, initial, maximum),
        }
    }

    /// The semaphore with this name, or a new one; whether it existed.
    ///
    /// # Errors
    /// As [`Self::new`] and [`session::create`].
    pub fn named(name: &[u16], initial: i32, maximum: i32) -> Result<(Arc<Self>, bool)> {
        session::create(name, Self::new_cell(initial, maximum)?)
    }

    /// A new semaphore without a name, which children can inherit.
    ///
    /// # Errors
    /// As [`Self::new`] and [`session::anonymous`].
    pub fn inheritable(initial: i32, maximum: i32) -> Result<Arc<Self>> {
        session::anonymous(Self::new_cell(initial, maximum)?)
    }

    fn new_cell(initial: i32, maximum: i32) -> Result<NewCell> {
        let bad = Status(f::STATUS_INVALID_PARAMETER);
        let (initial, limit) =
            (u32::try_from(initial).map_err(|_| bad)?, u32::try_from(maximum).map_err(|_| bad)?);
        if limit == 0 || initial > limit {
            return Err(bad);
        }
        Ok(NewCell { rule: Rule::Semaphore, tokens: initial, limit })
    }

    /// The count now.
    #[must_use]
    pub fn count(&self) -> u32 {
        self.cell.free_tokens()
    }

    /// The largest count.
    #[must_use]
    pub fn maximum(&self) -> u32 {
        self.cell.limit()
    }

    /// Adds to the count; the count before.
    ///
    /// # Errors
    /// `STATUS_INVALID_PARAMETER` unless `n > 0`; `STATUS_SEMAPHORE_LIMIT_EXCEEDED`, and then nothing is added.
    pub fn release(&self, n: i32) -> Result<u32> {
        let n = u32::try_from(n).ok().filter(|n| *n > 0).ok_or(Status(f::STATUS_INVALID_PARAMETER))?;
        let (before, effect) = self.cell.give(n).ok_or(Status(f::STATUS_SEMAPHORE_LIMIT_EXCEEDED))?;
        effect.on(&self.cell);
        Ok(before)
    }
}

/// A mutex ([Mutex Objects](https://learn.microsoft.com/windows/win32/sync/mutex-objects)).
#[derive(Debug)]
pub struct Mutant {
    cell: Home,
}

/// What `NtQueryMutant` tells.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct MutantInfo {
    /// 1 if free, else 1 minus how often its owner holds it.
    pub current_count: i32,
    /// Whether the calling thread owns it.
    pub owned_by_caller: bool,
    /// Whether the last owner ended without releasing it, and nobody took it since.
    pub abandoned: bool,
}

/// The mutexes of this process, for the end of a thread that owns some. The addresses are those of live objects: each
/// leaves the set, under the lock, before it goes.
static MUTANTS: Mutex<Option<HashSet<usize>>> = Mutex::new(None);

impl Mutant {
    /// A new mutex, owned by the calling thread or free.
    #[must_use]
    pub fn new(owned: bool) -> Arc<Self> {
        let mutant = Self::register(Home::new(Rule::Mutex, u32::from(!owned), 1));
        if owned {
            let me = thread::current();
            mutant.cell.owner.store(me.tid(), Ordering::Relaxed);
            mutant.cell.recursion.store(1, Ordering::Relaxed);
            me.count_owned(1);
        }
        mutant
    }

    /// A mutex in its place; whether it existed.
    ///
    /// # Errors
    /// As [`Self::named`].
    pub fn create(place: Place<'_>, owned: bool) -> Result<(Arc<Self>, bool)> {
        match place {
            Place::Private => Ok((Self::new(owned), false)),
            Place::Inheritable => Ok((Self::inheritable(owned)?, false)),
            Place::Named(name) => Self::named(name, owned),
        }
    }

    /// The mutex with this name, or a new one, which the calling thread then owns if `owned`; whether it existed.
    ///
    /// # Errors
    /// As [`session::create`].
    pub fn named(name: &[u16], owned: bool) -> Result<(Arc<Self>, bool)> {
        session::create(name, Self::new_cell(owned))
    }

    /// A new mutex without a name, which children can inherit.
    ///
    /// # Errors
    /// As [`session::anonymous`].
    pub fn inheritable(owned: bool) -> Result<Arc<Self>> {
        session::anonymous(Self::new_cell(owned))
    }

    /// The tokens of a mutex in the session have no meaning but one: a new one without is to be owned by who makes it.
    fn new_cell(owned: bool) -> NewCell {
        NewCell { rule: Rule::Mutex, tokens: u32::from(!owned), limit: 1 }
    }

    fn register(cell: Home) -> Arc<Self> {
        let mutant = Arc::new(Self { cell });
        MUTANTS
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .get_or_insert_default()
            .insert(Arc::as_ptr(&mutant) as usize);
        mutant
    }

    /// Releases it once; how often the calling thread held it.
    ///
    /// # Errors
    /// `STATUS_MUTANT_NOT_OWNED` if another thread owns it, or nobody.
    pub fn release(&self) -> Result<u32> {
        release_mutex(&self.cell, &thread::current())
    }

    /// Its state.
    #[must_use]
    pub fn info(&self) -> MutantInfo {
        let owner = owner(&self.cell);
        let held = self.cell.recursion.load(Ordering::Relaxed);
        MutantInfo {
            current_count: if owner == 0 { 1 } else { 1 - i32::try_from(held).unwrap_or(i32::MAX) },
            owned_by_caller: owner == thread::current().tid(),
            abandoned: self.cell.abandoned.load(Ordering::Relaxed) != 0 || robust::is_abandoned(&self.cell),
        }
    }

    /// Abandons what a thread that ended still owned.
    pub(crate) fn abandon_all_of(tid: u32) {
        let mutants = MUTANTS.lock().unwrap_or_else(PoisonError::into_inner);
        for address in mutants.iter().flatten() {
            // SAFETY: the set holds live objects only, which cannot go while its lock is held.
            let cell = unsafe { &(*(*address as *const Self)).cell };
            if owner(cell) != tid {
                continue;
            }
            if cell.is_robust() {
                robust::abandon(cell);
            } else {
                cell.abandoned.store(1, Ordering::Relaxed);
                cell.owner.store(0, Ordering::Relaxed);
                cell.put_back().on(cell);
            }
        }
    }
}

impl Drop for Mutant {
    fn drop(&mut self) {
        let me = thread::current();
        if self.cell.is_robust() && owner(&self.cell) == me.tid() {
            // The slot may get another use: it must not stay in this thread's list.
            robust::abandon_again(&self.cell, &me);
        }
        if let Some(set) = MUTANTS.lock().unwrap_or_else(PoisonError::into_inner).as_mut() {
            set.remove(&(core::ptr::from_ref(self) as usize));
        }
    }
}

macro_rules! cell_object {
    ($($type:ident => $kind:ident),*) => {$(
        impl Object for $type {
            fn kind(&self) -> Kind {
                Kind::$kind
            }
            fn wait_cell(&self) -> Option<&Cell> {
                Some(&self.cell)
            }
            fn pass(&self) -> Option<Passed> {
                self.cell.pass()
            }
            fn as_any(&self) -> &dyn Any {
                self
            }
        }
    )*};
}
cell_object!(Event => Event, Semaphore => Semaphore, Mutant => Mutant);

impl InSession for Event {
    const KIND: Kind = Kind::Event;
    fn of_slot(slot: Slot) -> Result<Arc<Self>> {
        Ok(Arc::new(Self { cell: Home::Session(slot) }))
    }
}

impl InSession for Semaphore {
    const KIND: Kind = Kind::Semaphore;
    fn of_slot(slot: Slot) -> Result<Arc<Self>> {
        Ok(Arc::new(Self { cell: Home::Session(slot) }))
    }
}

impl InSession for Mutant {
    const KIND: Kind = Kind::Mutant;
    fn of_slot(slot: Slot) -> Result<Arc<Self>> {
        Ok(Self::register(Home::Session(slot)))
    }
    fn begin(&self) {
        if self.cell.free_tokens() == 0 {
            let me = thread::current();
            // It is new and nobody else knows it: taking it succeeds.
            robust::try_take(&self.cell, me.tid());
            self.cell.recursion.store(1, Ordering::Relaxed);
            me.count_owned(1);
        }
    }
}

/// Signals an object the way `SignalObjectAndWait` does: sets an event, releases a semaphore by one or a mutex.
///
/// # Errors
/// `STATUS_OBJECT_TYPE_MISMATCH` for anything else, and what releasing reports.
pub fn signal(object: &dyn Object) -> Result<()> {
    let any = object.as_any();
    if let Some(event) = any.downcast_ref::<Event>() {
        event.set();
        Ok(())
    } else if let Some(semaphore) = any.downcast_ref::<Semaphore>() {
        semaphore.release(1).map(drop)
    } else if let Some(mutant) = any.downcast_ref::<Mutant>() {
        mutant.release().map(drop)
    } else {
        Err(Status(f::STATUS_OBJECT_TYPE_MISMATCH))
    }
}
