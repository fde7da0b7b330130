//! Waitable timers ([Waitable Timer Objects](https://learn.microsoft.com/windows/win32/sync/waitable-timer-objects)), without
//! a thread: see [`super::super::cell`] for the state and [`super::super::waiting`] for who fires them.
//!
//! # Setting against firing
//!
//! `due` and the cell's word are two words, so a firing (due time passed: move `due` on, then signal) can cross a setting (stop,
//! forget the signal, new due time). A setting stores `due = 0`, counts itself in the word while clearing the signal, stores
//! the period and then the new `due`. A firing reads `due`, *then* the setting's number, exchanges `due` for its successor, and signals
//! only if the number is still the same. If it read the old `due`, either its exchange fails (the setting had begun) or the number
//! has changed by the time it signals, unless it signalled before the setting cleared. If it read the new `due`, the number
//! was already counted. So each expiry of a setting signals once, and an earlier setting never signals a later one.
//!
//! # Completion routines
//!
//! They run as APCs in the thread that set the timer, in its alertable waits. So that thread keeps a list of them and
//! queues what is due when such a wait looks; nobody else needs to do anything.

use core::sync::atomic::Ordering;
use std::any::Any;
use std::sync::{Arc, PoisonError};

use super::super::cell::{Cell, Rule};
use super::super::futex::{self, Deadline};
use super::Home;
use crate::object::{Kind, Object};
use crate::process::inherit::Passed;
use crate::session::{self, InSession, NewCell, Place, Slot};
use crate::status::Result;
use crate::thread::{self, Apc, Current};

/// The lowest bit of a stored due time: system time, not monotonic.
const SYSTEM: u64 = 1;

/// 100 ns units between 1601 and 1970, for the due time that a completion routine is given.
const UNIX_EPOCH: u64 = 116_444_736_000_000_000;

/// A waitable timer.
#[derive(Debug)]
pub struct Timer {
    cell: Home,
}

/// A completion routine: a guest function and its argument, as the guest gave them.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Completion {
    /// The function's address.
    pub routine: u64,
    /// Its first argument.
    pub argument: u64,
}

/// An entry in a thread's list of timers with completion routines.
#[derive(Debug)]
pub(crate) struct Armed {
    timer: Arc<Timer>,
    setting: u64,
    due: u64,
    period: u64,
    completion: Completion,
}

impl Timer {
    /// A new timer, not set: a notification timer (manual-reset) or a synchronisation timer.
    #[must_use]
    pub fn new(manual: bool) -> Arc<Self> {
        let rule = if manual { Rule::ManualTimer } else { Rule::AutoTimer };
        Arc::new(Self { cell: Home::new(rule, 0, 1) })
    }

    /// A timer in its place; whether it existed.
    ///
    /// # Errors
    /// As [`Self::named`].
    pub fn create(place: Place<'_>, manual: bool) -> Result<(Arc<Self>, bool)> {
        match place {
            Place::Private => Ok((Self::new(manual), false)),
            Place::Inheritable => Ok((Self::inheritable(manual)?, false)),
            Place::Named(name) => Self::named(name, manual),
        }
    }

    /// The timer with this name, or a new one; whether it existed.
    ///
    /// # Errors
    /// As [`session::create`].
    pub fn named(name: &[u16], manual: bool) -> Result<(Arc<Self>, bool)> {
        session::create(name, Self::new_cell(manual))
    }

    /// A new timer without a name, which children can inherit.
    ///
    /// # Errors
    /// As [`session::anonymous`].
    pub fn inheritable(manual: bool) -> Result<Arc<Self>> {
        session::anonymous(Self::new_cell(manual))
    }

    fn new_cell(manual: bool) -> NewCell {
        NewCell { rule: if manual { Rule::ManualTimer } else { Rule::AutoTimer }, tokens: 0, limit: 1 }
    }

    /// Sets the timer: `due` as a deadline ([`Deadline::Never`] is far enough away not to be set at all), `period` in
    /// nanoseconds or zero. The signal of an earlier setting is forgotten. Whether it was set and had not expired for
    /// good.
    pub fn set(self: &Arc<Self>, due: Deadline, period: u64, completion: Option<Completion>) -> bool {
        let was_set = self.begin(true);
        self.cell.period.store(period, Ordering::Release);
        let stored = encode(due);
        if let Some(completion) = completion
            && stored != 0
        {
            let armed = Armed {
                timer: Arc::clone(self),
                setting: self.cell.setting(),
                due: stored,
                period,
                completion,
            };
            let me = thread::current();
            me.armed.lock().unwrap_or_else(PoisonError::into_inner).push(armed);
        }
        self.cell.due.store(stored, Ordering::Release);
        // Sleepers computed how long to sleep before the due time was there.
        self.cell.look_again().on(&self.cell);
        was_set
    }

    /// Stops the timer. A signal stands. Whether it was set.
    pub fn cancel(&self) -> bool {
        self.begin(false)
    }

    fn begin(&self, clear: bool) -> bool {
        fire_if_due(&self.cell);
        let was_set = self.cell.due.swap(0, Ordering::AcqRel) != 0;
        self.cell.new_setting(clear);
        was_set
    }

    /// Whether it is signalled.
    #[must_use]
    pub fn is_set(&self) -> bool {
        fire_if_due(&self.cell);
        self.cell.free_tokens() > 0
    }

    /// When it is due next; [`Deadline::Never`] if it is not set.
    #[must_use]
    pub fn due(&self) -> Deadline {
        fire_if_due(&self.cell);
        due(&self.cell)
    }
}

impl Object for Timer {
    fn kind(&self) -> Kind {
        Kind::Timer
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

impl InSession for Timer {
    const KIND: Kind = Kind::Timer;
    fn of_slot(slot: Slot) -> Result<Arc<Self>> {
        Ok(Arc::new(Self { cell: Home::Session(slot) }))
    }
}

fn encode(due: Deadline) -> u64 {
    match due {
        Deadline::Never => 0,
        // Zero means "not set", so a due time is at least two nanoseconds after the epoch.
        Deadline::Monotonic(ns) => (ns & !SYSTEM).max(2),
        Deadline::System(ns) => ns.max(2) | SYSTEM,
    }
}

fn decode(due: u64) -> Deadline {
    match due {
        0 => Deadline::Never,
        ns if ns & SYSTEM != 0 => Deadline::System(ns & !SYSTEM),
        ns => Deadline::Monotonic(ns),
    }
}

fn now_for(due: u64) -> u64 {
    if due & SYSTEM != 0 { futex::system_now() } else { futex::monotonic_now() }
}

/// The due time after one that has passed, or zero for none. Periods missed are skipped. The first due time's clock
/// holds for all.
fn successor(due: u64, period: u64, now: u64) -> u64 {
    let period = period & !SYSTEM;
    if period == 0 {
        return 0;
    }
    let missed = now.saturating_sub(due) / period;
    due.saturating_add(missed.saturating_add(1).saturating_mul(period))
}

/// When the timer is due next.
pub(crate) fn due(cell: &Cell) -> Deadline {
    decode(cell.due.load(Ordering::Acquire))
}

/// Signals the timer if its due time has passed.
pub(crate) fn fire_if_due(cell: &Cell) {
    loop {
        let due = cell.due.load(Ordering::Acquire);
        if due == 0 {
            return;
        }
        let now = now_for(due);
        if now < due & !SYSTEM {
            return;
        }
        let setting = cell.setting();
        let next = successor(due, cell.period.load(Ordering::Acquire), now);
        if cell.due.compare_exchange(due, next, Ordering::AcqRel, Ordering::Acquire).is_ok() {
            cell.fire(setting).on(cell);
            return;
        }
    }
}

/// When the earliest completion routine of the thread's timers is due.
pub(crate) fn next_apc_due(me: &Current) -> Deadline {
    let armed = me.armed.lock().unwrap_or_else(PoisonError::into_inner);
    // Of different clocks the monotonic reading decides.
    let monotonic = |due: u64| match decode(due) {
        Deadline::System(ns) => super::super::clock::system_to_monotonic(ns),
        _ => due,
    };
    armed.iter().min_by_key(|a| monotonic(a.due)).map_or(Deadline::Never, |a| decode(a.due))
}

/// Queues the completion routines of the thread's timers that are due, and forgets timers set again since.
pub(crate) fn queue_due_apcs(me: &Current) {
    let mut armed = me.armed.lock().unwrap_or_else(PoisonError::into_inner);
    armed.retain_mut(|a| {
        if a.setting != a.timer.cell.setting() {
            return false;
        }
        let now = now_for(a.due);
        if now < a.due & !SYSTEM {
            return true;
        }
        let time = match decode(a.due) {
            Deadline::System(ns) => ns,
            _ => futex::system_now().saturating_sub(now - a.due),
        };
        let time = time / 100 + UNIX_EPOCH;
        me.queue_apc(Apc {
            routine: a.completion.routine,
            arguments: [a.completion.argument, time & 0xFFFF_FFFF, time >> 32],
            kind: thread::ApcKind::Timer,
        });
        a.due = successor(a.due, a.period, now);
        a.due != 0
    });
}
