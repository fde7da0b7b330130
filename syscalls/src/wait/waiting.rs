//! What a thread does to wait: for one cell, any of several, or all of several.
//!
//! A wait first tries without registering, in the order of its cells. Then:
//!
//! - *one, any*: it registers at each cell (see [`super::cell`]), looks at each again, sleeps on all their futex words at
//!   once, and starts over from the look. On its way out it leaves every cell but the one it took from; leaving passes on
//!   what had been granted to it.
//! - *all*: it watches the cells as an observer (see [`super::observers`]). When all have something, it takes them one after
//!   another, and gives back what it took if one of them was emptied meanwhile.
//!
//! Timers have no thread: a wait sleeps no longer than until the earliest due time among its cells, and fires what is due
//! when it looks. Alertable waits do the same for the calling thread's timers with completion routines.

use core::sync::atomic::{AtomicU32, Ordering};

use windows_sys::Win32::Foundation as f;

use super::cell::{Cell, Claim, Entry, Rule};
use super::futex::{self, Deadline, Scope, Waiter, Wake};
use super::interrupt::Reasons;
use super::objects::{self, timer};
use super::observers::Sequences;
use super::{clock, observers, robust};
use crate::handle::{Handle, HandleTable, ObjectRef};
use crate::object::Object;
use crate::status::{Result, Status};
use crate::thread::{self, Current};

/// The most objects in one wait (`MAXIMUM_WAIT_OBJECTS`).
pub const MAX_OBJECTS: usize = 64;

/// `SYNCHRONIZE`: the access that a handle must grant to be waited on.
pub const SYNCHRONIZE: u32 = windows_sys::Win32::Storage::FileSystem::SYNCHRONIZE;

/// Whether user APCs end the wait.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Alertable {
    /// They stay queued.
    No,
    /// They end it with [`Waited::Alerted`].
    Yes,
}

/// How a wait ended.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Waited {
    /// With this object (the first, in a wait for all).
    Object(usize),
    /// With this mutex, whose owner ended without releasing it. In a wait for all: the first such.
    Abandoned(usize),
    /// The deadline passed.
    Timeout,
    /// User APCs are queued and were not run: [`thread::ThreadObject::next_apc`] gives them.
    Alerted,
}

impl Waited {
    /// The NTSTATUS of `NtWaitForMultipleObjects`, which is also what `WaitForMultipleObjectsEx` returns.
    #[must_use]
    pub fn status(self) -> i32 {
        let index = |i: usize| i32::try_from(i).unwrap_or(0);
        match self {
            Self::Object(i) => f::STATUS_WAIT_0 + index(i),
            Self::Abandoned(i) => f::STATUS_ABANDONED_WAIT_0 + index(i),
            Self::Timeout => f::STATUS_TIMEOUT,
            Self::Alerted => f::STATUS_USER_APC,
        }
    }
}

/// A token was taken: whether it came with a mutex that its owner had abandoned.
type Taken = bool;

/// A thread that waits.
struct Waiting {
    me: Current,
    reasons: Reasons,
}

impl Waiting {
    fn new(alertable: Alertable) -> Self {
        let reasons = match alertable {
            Alertable::No => Reasons::TERMINATE,
            Alertable::Yes => Reasons::TERMINATE.and(Reasons::APC),
        };
        Self { me: thread::current(), reasons }
    }

    /// Whether something interrupts the wait.
    fn interrupted(&self) -> Result<Option<Waited>> {
        if self.reasons.has(Reasons::APC) {
            timer::queue_due_apcs(&self.me);
        }
        let pending = self.me.pending.among(self.reasons);
        if pending.has(Reasons::TERMINATE) {
            return Err(Status(f::STATUS_THREAD_IS_TERMINATING));
        }
        Ok(pending.has(Reasons::APC).then_some(Waited::Alerted))
    }

    /// A newcomer's attempt.
    fn try_take(&self, cell: &Cell) -> Result<Option<Taken>> {
        if let Some(again) = self.take_again(cell)? {
            return Ok(Some(again));
        }
        if cell.rule().is_timer() {
            timer::fire_if_due(cell);
        }
        if cell.is_robust() {
            return Ok(self.take_robust(cell));
        }
        Ok(cell.try_take().then(|| self.took(cell)))
    }

    /// A mutex that the thread owns already is taken once more.
    fn take_again(&self, cell: &Cell) -> Result<Option<Taken>> {
        if !self.owns(cell) {
            return Ok(None);
        }
        let count = cell.recursion.load(Ordering::Relaxed);
        if count == i32::MAX.cast_unsigned() {
            return Err(Status(f::STATUS_MUTANT_LIMIT_EXCEEDED));
        }
        cell.recursion.store(count + 1, Ordering::Relaxed);
        Ok(Some(false))
    }

    /// Takes a mutex that the kernel frees when its owner dies.
    fn take_robust(&self, cell: &Cell) -> Option<Taken> {
        let abandoned = robust::try_take(cell, self.me.tid())?;
        cell.recursion.store(1, Ordering::Relaxed);
        self.me.count_owned(1);
        Some(abandoned)
    }

    /// After a token was taken.
    fn took(&self, cell: &Cell) -> Taken {
        if cell.rule() != Rule::Mutex {
            return false;
        }
        cell.owner.store(self.me.tid(), Ordering::Relaxed);
        cell.recursion.store(1, Ordering::Relaxed);
        self.me.count_owned(1);
        cell.abandoned.load(Ordering::Relaxed) != 0 && cell.abandoned.swap(0, Ordering::Relaxed) != 0
    }

    /// Until when to sleep: the deadline or the earliest due time of the timers involved.
    fn bound(&self, cells: &[&Cell], deadline: Deadline) -> Bound {
        let mut bound = Bound::new(deadline);
        for cell in cells.iter().filter(|c| c.rule().is_timer()) {
            bound.due(timer::due(cell));
        }
        if self.reasons.has(Reasons::APC) {
            bound.due(timer::next_apc_due(&self.me));
        }
        bound
    }
}

/// When a sleep must end at the latest. Monotonic and system times may be mixed; then the system time is converted, and
/// a change of the clock must end the sleep (see [`super::clock`]).
struct Bound {
    first: Deadline,
    mixed: bool,
}

impl Bound {
    fn new(deadline: Deadline) -> Self {
        Self { first: deadline, mixed: false }
    }

    fn due(&mut self, other: Deadline) {
        self.first = match (self.first, other) {
            (a, Deadline::Never) => a,
            (Deadline::Never, b) => b,
            (Deadline::Monotonic(a), Deadline::Monotonic(b)) => Deadline::Monotonic(a.min(b)),
            (Deadline::System(a), Deadline::System(b)) => Deadline::System(a.min(b)),
            (Deadline::Monotonic(m), Deadline::System(s)) | (Deadline::System(s), Deadline::Monotonic(m)) => {
                self.mixed = true;
                Deadline::Monotonic(m.min(clock::system_to_monotonic(s)))
            }
        };
    }
}

fn passed(deadline: Deadline) -> bool {
    match deadline {
        Deadline::Never => false,
        // A test, which needs no clock.
        Deadline::Monotonic(0) => true,
        Deadline::Monotonic(ns) => futex::monotonic_now() >= ns,
        Deadline::System(ns) => futex::system_now() >= ns,
    }
}

/// Waits for one cell. See [`wait_any`].
///
/// # Errors
/// As [`wait_any`].
pub fn wait_one(cell: &Cell, deadline: Deadline, alertable: Alertable) -> Result<Waited> {
    wait_any(&[cell], deadline, alertable)
}

/// Waits until one of the cells has something to take, and takes it: the first such in the order given. A deadline that
/// has passed makes it a test.
///
/// # Errors
/// `STATUS_THREAD_IS_TERMINATING` if the thread is to end: the caller returns to where it can.
/// `STATUS_MUTANT_LIMIT_EXCEEDED`. `STATUS_INSUFFICIENT_RESOURCES` with more than 16,383 waiters on one object.
/// `STATUS_INVALID_PARAMETER` for more than [`MAX_OBJECTS`] cells.
pub fn wait_any(cells: &[&Cell], deadline: Deadline, alertable: Alertable) -> Result<Waited> {
    let waiting = Waiting::new(alertable);
    for (i, cell) in cells.iter().enumerate() {
        if let Some(abandoned) = waiting.try_take(cell)? {
            return Ok(object(i, abandoned));
        }
    }
    if let Some(end) = waiting.interrupted()? {
        return Ok(end);
    }
    if cells.len() > MAX_OBJECTS {
        return Err(Status(f::STATUS_INVALID_PARAMETER));
    }
    if passed(deadline) {
        return Ok(Waited::Timeout);
    }
    if cells.len() < FEW { waiting.any::<FEW>(cells, deadline) } else { waiting.any::<MANY>(cells, deadline) }
}

fn object(index: usize, abandoned: Taken) -> Waited {
    if abandoned { Waited::Abandoned(index) } else { Waited::Object(index) }
}

/// Words of a wait for at most one cell: the cell's and the clock's.
const FEW: usize = 2;
/// Words of any wait.
const MANY: usize = MAX_OBJECTS + 1;

impl Waiting {
    /// Registers, waits, and leaves. `N` is the size of the arrays needed: one more than the cells.
    fn any<const N: usize>(&self, cells: &[&Cell], deadline: Deadline) -> Result<Waited> {
        let mut tickets = [0; N];
        let mut registered = 0;
        let mut taken = None;
        let mut full = false;
        for (cell, ticket) in cells.iter().zip(&mut tickets) {
            if cell.is_robust() {
                registered += 1;
                continue;
            }
            match cell.enter() {
                Entry::Ticket(t) => *ticket = t,
                Entry::Taken => taken = Some(registered),
                Entry::Full => full = true,
            }
            if full || taken.is_some() {
                break;
            }
            registered += 1;
        }
        let end = match taken {
            Some(i) => Ok(object(i, self.took(cells[i]))),
            None if full => Err(Status(f::STATUS_INSUFFICIENT_RESOURCES)),
            None => self.sleep_any::<N>(cells, &tickets, deadline),
        };
        let kept = match end {
            Ok(Waited::Object(i) | Waited::Abandoned(i)) => Some(i),
            _ => None,
        };
        for (i, cell) in cells[..registered].iter().enumerate() {
            if Some(i) != kept && !cell.is_robust() {
                cell.leave().on(cell);
            }
        }
        end
    }

    /// The registered waiter's loop.
    fn sleep_any<const N: usize>(
        &self,
        cells: &[&Cell],
        tickets: &[u32],
        deadline: Deadline,
    ) -> Result<Waited> {
        let mut words = [Waiter::NONE; N];
        let mut timed_out = false;
        loop {
            let seen = observers::sequences();
            let changes = clock::changes();
            let bound = self.bound(cells, deadline);
            for (i, cell) in cells.iter().enumerate() {
                if cell.is_robust() {
                    words[i] = loop {
                        if let Some(abandoned) = self.take_robust(cell) {
                            return Ok(object(i, abandoned));
                        }
                        if let Some(word) = robust::sleep_word(cell) {
                            break word;
                        }
                    };
                    continue;
                }
                if cell.rule().is_timer() {
                    timer::fire_if_due(cell);
                }
                if futex::lacks_wait_many() {
                    cell.observe();
                }
                match cell.claim(tickets[i]) {
                    Claim::Taken => return Ok(object(i, self.took(cell))),
                    Claim::Sleep(value) => words[i] = Waiter::new(cell.futex(), value, cell.scope()),
                }
            }
            if let Some(end) = self.interrupted()? {
                return Ok(end);
            }
            if timed_out && passed(deadline) {
                return Ok(Waited::Timeout);
            }
            let mut n = cells.len();
            if bound.mixed {
                words[n] = clock::watch(changes);
                n += 1;
            }
            timed_out = self.sleep_on(&words[..n], bound.first, seen) == Wake::TimedOut;
        }
    }

    /// Sleeps on the words, or as an observer where the kernel cannot sleep on several.
    fn sleep_on(&self, words: &[Waiter], until: Deadline, seen: Sequences) -> Wake {
        // What nobody ever wakes: only the deadline or an interruption ends a sleep on it.
        static NOBODY: AtomicU32 = AtomicU32::new(0);
        match words {
            [] => futex::wait(NOBODY.as_ptr(), 0, Scope::Private, until, self.reasons),
            [one] => one.wait(until, self.reasons),
            _ if futex::lacks_wait_many() => observers::sleep(seen, Vec::new(), until, self.reasons),
            many => futex::wait_many(many, until, self.reasons),
        }
    }
}

/// Waits until all of the cells have something to take at once, and takes it from each.
///
/// Taking is not one step for other threads: one of them may find a cell empty for a moment that is then filled again.
///
/// # Errors
/// As [`wait_any`].
pub fn wait_all(cells: &[&Cell], deadline: Deadline, alertable: Alertable) -> Result<Waited> {
    let waiting = Waiting::new(alertable);
    if cells.len() > MAX_OBJECTS {
        return Err(Status(f::STATUS_INVALID_PARAMETER));
    }
    let mut timed_out = passed(deadline);
    loop {
        let seen = observers::sequences();
        let changes = clock::changes();
        let bound = waiting.bound(cells, deadline);
        if let Some(abandoned) = waiting.take_all(cells)? {
            return Ok(abandoned.map_or(Waited::Object(0), Waited::Abandoned));
        }
        if let Some(end) = waiting.interrupted()? {
            return Ok(end);
        }
        if timed_out && passed(deadline) {
            return Ok(Waited::Timeout);
        }
        let Some(words) = waiting.observe(cells) else { continue };
        if bound.mixed {
            clock::watch(changes);
        }
        timed_out = observers::sleep(seen, words, bound.first, waiting.reasons) == Wake::TimedOut;
    }
}

impl Waiting {
    fn owns(&self, cell: &Cell) -> bool {
        cell.rule() == Rule::Mutex && owner(cell) == self.me.tid()
    }

    /// Asks to be told about each cell; `None` if all have something now. The words are those of mutexes that the kernel
    /// frees, which tell by themselves.
    fn observe(&self, cells: &[&Cell]) -> Option<Vec<Waiter>> {
        let mut words = Vec::new();
        let mut missing = false;
        for cell in cells.iter().filter(|c| !self.owns(c)) {
            if cell.is_robust() {
                let word = robust::sleep_word(cell);
                missing |= word.is_some();
                words.extend(word);
            } else {
                missing |= !cell.observe();
            }
        }
        missing.then_some(words)
    }

    /// Takes from all cells, or from none. The index is that of the first abandoned mutex.
    fn take_all(&self, cells: &[&Cell]) -> Result<Option<Option<usize>>> {
        for cell in cells {
            if cell.rule().is_timer() {
                timer::fire_if_due(cell);
            }
            let free = if cell.is_robust() { robust::is_free(cell) } else { cell.free_tokens() > 0 };
            if !free && !self.owns(cell) {
                return Ok(None);
            }
        }
        let mut dead = [false; MAX_OBJECTS];
        for (i, cell) in cells.iter().enumerate() {
            match self.try_take(cell) {
                Ok(Some(abandoned)) => dead[i] = abandoned,
                failed => {
                    for (cell, dead) in cells[..i].iter().zip(dead) {
                        self.give_back(cell, dead);
                    }
                    return failed.map(|_| None);
                }
            }
        }
        Ok(Some(dead.iter().position(|d| *d)))
    }

    /// Undoes taking.
    fn give_back(&self, cell: &Cell, abandoned: Taken) {
        match cell.rule() {
            Rule::ManualEvent | Rule::ManualTimer => {}
            Rule::Mutex => {
                if abandoned && cell.is_robust() {
                    robust::abandon_again(cell, &self.me);
                    return;
                }
                if abandoned {
                    cell.abandoned.store(1, Ordering::Relaxed);
                }
                // Taken a moment ago by this very thread: releasing cannot fail.
                let _ = release_mutex(cell, &self.me);
            }
            Rule::AutoEvent | Rule::AutoTimer => cell.set().1.on(cell),
            Rule::Semaphore => cell.put_back().on(cell),
        }
    }
}

/// The owner of a mutex, by Linux thread id, or zero.
pub(super) fn owner(cell: &Cell) -> u32 {
    cell.owner.load(Ordering::Relaxed) & libc::FUTEX_TID_MASK
}

/// Releases a mutex once; the recursion count before.
pub(super) fn release_mutex(cell: &Cell, me: &Current) -> Result<u32> {
    if owner(cell) != me.tid() {
        return Err(Status(f::STATUS_MUTANT_NOT_OWNED));
    }
    let count = cell.recursion.load(Ordering::Relaxed);
    if count > 1 {
        cell.recursion.store(count - 1, Ordering::Relaxed);
        return Ok(count);
    }
    me.count_owned(-1);
    if cell.is_robust() {
        robust::release(cell);
        observers::wake_if_shared(cell);
        return Ok(count);
    }
    cell.owner.store(0, Ordering::Relaxed);
    cell.put_back().on(cell);
    Ok(count)
}

/// Sleeps until the deadline; alertably, or not.
///
/// # Errors
/// `STATUS_THREAD_IS_TERMINATING`.
pub fn sleep(deadline: Deadline, alertable: Alertable) -> Result<Waited> {
    wait_any(&[], deadline, alertable)
}

/// Signals one object and waits for another (`SignalObjectAndWait`). A thread that waits for the first gets the signal
/// itself; another that waits for the second may come before the caller.
///
/// # Errors
/// `STATUS_OBJECT_TYPE_MISMATCH` if the first is no event, semaphore or mutex; what releasing it reports, and then there is no
/// wait; and as [`wait_any`].
pub fn signal_and_wait(
    signalled: &dyn Object,
    cell: &Cell,
    deadline: Deadline,
    alertable: Alertable,
) -> Result<Waited> {
    objects::signal(signalled)?;
    wait_one(cell, deadline, alertable)
}

/// Waits on handles: for all of them, or any.
///
/// # Errors
/// `STATUS_INVALID_PARAMETER_1` for none or more than 64 handles; `STATUS_INVALID_HANDLE`; `STATUS_ACCESS_DENIED` without
/// `SYNCHRONIZE` access; `STATUS_OBJECT_TYPE_MISMATCH` if one cannot be waited on; `STATUS_INVALID_PARAMETER_MIX` for the
/// same object twice in a wait for all; and as [`wait_any`].
pub fn wait_handles(
    table: &HandleTable,
    handles: &[Handle],
    all: bool,
    deadline: Deadline,
    alertable: Alertable,
) -> Result<Waited> {
    if handles.is_empty() || handles.len() > MAX_OBJECTS {
        return Err(Status(f::STATUS_INVALID_PARAMETER_1));
    }
    if let [handle] = handles {
        let object = table.object(*handle, SYNCHRONIZE)?;
        return wait_one(cell_of(&object)?, deadline, alertable);
    }
    let objects: Vec<ObjectRef<'_>> =
        handles.iter().map(|h| table.object(*h, SYNCHRONIZE)).collect::<Result<_>>()?;
    let cells: Vec<&Cell> = objects.iter().map(cell_of).collect::<Result<_>>()?;
    if !all {
        return wait_any(&cells, deadline, alertable);
    }
    if (1..cells.len()).any(|i| cells[..i].iter().any(|c| core::ptr::eq(*c, cells[i]))) {
        return Err(Status(f::STATUS_INVALID_PARAMETER_MIX));
    }
    wait_all(&cells, deadline, alertable)
}

/// The cell to wait on.
///
/// # Errors
/// `STATUS_OBJECT_TYPE_MISMATCH` if the object cannot be waited on.
pub fn cell_of<'a>(object: &'a ObjectRef<'_>) -> Result<&'a Cell> {
    object.wait_cell().ok_or(Status(f::STATUS_OBJECT_TYPE_MISMATCH))
}

#[cfg(test)]
mod tests;
