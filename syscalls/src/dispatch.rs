//! Waiting on behalf of others: registered waits and timers, which run a small action when an object is signalled or a time
//! has come. What `RegisterWaitForSingleObject`, timer queues and the thread pool's waits and timers need.
//!
//! A dispatcher thread waits for up to 63 objects and any number of due times; with more objects there are more threads.
//! They start with the first registration and then sleep in the kernel. Actions are Transom's own (they hand a callback to
//! a [`crate::pool`], usually): quick, never guest code. They may register but not cancel.
//!
//! Per thread: a list of entries under a lock, and an event that interrupts its wait when the list has changed. An entry's
//! action runs while the `running` lock is held, and [`cancel`] takes that lock: after it, the action neither runs nor
//! will. The thread may be in a wait for the object still, and take a signal that nobody wants any more; so [`cancel`] also waits
//! for the thread's next round, before which such a signal is given back.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

use crate::object::Object;
use crate::status::Result;
use crate::wait::objects::signal;
use crate::wait::{Alertable, Cell, Deadline, Event, MAX_OBJECTS, Timer, Waited, monotonic_now, wait_any};

/// Why an action runs.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Why {
    /// The object was signalled.
    Signalled,
    /// The time has come.
    TimedOut,
}

/// Runs on a dispatcher thread.
pub type Action = Box<dyn FnMut(Why) + Send>;

/// What is registered.
pub struct Registration {
    /// The object to wait for, or none for a timer. A mutex would be owned by the dispatcher thread: not useful.
    pub object: Option<Arc<dyn Object>>,
    /// When the action runs without a signal.
    pub due: Deadline,
    /// What is added to the due time each time it has passed, and counts anew from each signal, in nanoseconds; zero: the due
    /// time is reached once.
    pub period: u64,
    /// Whether the first run of the action is the last.
    pub once: bool,
    /// What to do.
    pub action: Action,
}

/// Names a registration. Never reused.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Hash)]
pub struct Id(u64);

struct Entry {
    id: u64,
    object: Option<Arc<dyn Object>>,
    due: Deadline,
    period: u64,
    once: bool,
    /// Away while it runs.
    action: Option<Action>,
}

struct Dispatcher {
    entries: Mutex<Vec<Entry>>,
    running: Mutex<()>,
    changed: Arc<Event>,
    /// How often the list was looked at. Changes with the entries locked.
    rounds: Mutex<u64>,
    next_round: Condvar,
}

static DISPATCHERS: Mutex<Vec<Arc<Dispatcher>>> = Mutex::new(Vec::new());
static NEXT: AtomicU64 = AtomicU64::new(1);

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Registers a wait or a timer.
///
/// # Errors
/// `STATUS_INSUFFICIENT_RESOURCES` if no thread can be made; `STATUS_OBJECT_TYPE_MISMATCH` if the object cannot be waited for.
pub fn register(mut registration: Registration) -> Result<Id> {
    // A due time by the system's clock is a timer object, so that the wait follows changes of the clock.
    if let (None, Deadline::System(_)) = (&registration.object, registration.due) {
        let timer = Timer::new(false);
        timer.set(registration.due, registration.period, None);
        registration.object = Some(timer);
        registration.due = Deadline::Never;
        registration.once |= registration.period == 0;
        let mut action = registration.action;
        registration.action = Box::new(move |_| action(Why::TimedOut));
    }
    if registration.object.as_ref().is_some_and(|o| o.wait_cell().is_none()) {
        return Err(crate::status::Status(windows_sys::Win32::Foundation::STATUS_OBJECT_TYPE_MISMATCH));
    }
    let id = NEXT.fetch_add(1, Ordering::Relaxed);
    let Registration { object, due, period, once, action } = registration;
    let entry = Entry { id, object, due, period, once, action: Some(action) };
    let dispatcher = place_for(&entry)?;
    lock(&dispatcher.entries).push(entry);
    dispatcher.changed.set();
    Ok(Id(id))
}

/// The first dispatcher with room, or a new one.
fn place_for(entry: &Entry) -> Result<Arc<Dispatcher>> {
    let mut all = lock(&DISPATCHERS);
    let room = |d: &&Arc<Dispatcher>| {
        entry.object.is_none()
            || lock(&d.entries).iter().filter(|e| e.object.is_some()).count() < MAX_OBJECTS - 1
    };
    if let Some(dispatcher) = all.iter().find(room) {
        return Ok(Arc::clone(dispatcher));
    }
    let dispatcher = Arc::new(Dispatcher {
        entries: Mutex::default(),
        running: Mutex::default(),
        changed: Event::new(false, false),
        rounds: Mutex::default(),
        next_round: Condvar::new(),
    });
    let run = Arc::clone(&dispatcher);
    crate::thread::spawn_service("transom-dispatch", move || run.run())?;
    all.push(Arc::clone(&dispatcher));
    Ok(dispatcher)
}

/// Ends a registration; whether it was there still. Afterwards its action neither runs nor will. Not to be called from
/// an action.
pub fn cancel(id: Id) -> bool {
    let all = lock(&DISPATCHERS).clone();
    all.iter().any(|dispatcher| {
        let running = lock(&dispatcher.running);
        let mut entries = lock(&dispatcher.entries);
        let found = entries.iter().position(|e| e.id == id.0);
        if let Some(i) = found {
            let entry = entries.swap_remove(i);
            let round = *lock(&dispatcher.rounds);
            drop(entries);
            dispatcher.changed.set();
            if entry.object.is_some() {
                drop(running);
                dispatcher.wait_for_round_after(round);
            }
        }
        found.is_some()
    })
}

/// Gives a registration another due time and period; whether it was there still. For timers with a monotonic due time.
pub fn reschedule(id: Id, due: Deadline, period: u64) -> bool {
    let all = lock(&DISPATCHERS).clone();
    all.iter().any(|dispatcher| {
        let mut entries = lock(&dispatcher.entries);
        let Some(entry) = entries.iter_mut().find(|e| e.id == id.0) else { return false };
        (entry.due, entry.period) = (due, period);
        drop(entries);
        dispatcher.changed.set();
        true
    })
}

impl Dispatcher {
    fn run(&self) {
        loop {
            let mut due = Deadline::Never;
            let mut objects: Vec<(u64, Arc<dyn Object>)> = Vec::new();
            let entries = lock(&self.entries);
            for entry in entries.iter() {
                if let Some(object) = &entry.object {
                    objects.push((entry.id, Arc::clone(object)));
                }
                due = match (due, entry.due) {
                    (Deadline::Monotonic(a), Deadline::Monotonic(b)) => Deadline::Monotonic(a.min(b)),
                    (Deadline::Never, b) => b,
                    (a, _) => a,
                };
            }
            *lock(&self.rounds) += 1;
            drop(entries);
            self.next_round.notify_all();
            let changed = self.changed.wait_cell();
            let cells: Vec<&Cell> =
                changed.into_iter().chain(objects.iter().filter_map(|(_, o)| o.wait_cell())).collect();
            match wait_any(&cells, due, Alertable::No) {
                Ok(Waited::Object(i) | Waited::Abandoned(i)) if i > 0 => {
                    let (id, object) = &objects[i - 1];
                    if !self.act(*id, Why::Signalled) {
                        // Cancelled meanwhile: the signal is another's. A gate has nothing to give back.
                        give_back(&**object);
                    }
                }
                Ok(_) => self.act_on_due(),
                // Nobody asks a service thread to end, and its cells are fewer than the most.
                Err(e) => log::error!("a dispatcher's wait failed: {e:?}"),
            }
        }
    }

    fn wait_for_round_after(&self, round: u64) {
        let mut rounds = lock(&self.rounds);
        while *rounds == round {
            rounds = self.next_round.wait(rounds).unwrap_or_else(PoisonError::into_inner);
        }
    }

    fn act_on_due(&self) {
        let now = monotonic_now();
        let past = |e: &&Entry| matches!(e.due, Deadline::Monotonic(t) if t <= now);
        let ids: Vec<u64> = lock(&self.entries).iter().filter(past).map(|e| e.id).collect();
        for id in ids {
            self.act(id, Why::TimedOut);
        }
    }

    /// Runs an entry's action, if the entry is there; whether it was.
    fn act(&self, id: u64, why: Why) -> bool {
        let _running = lock(&self.running);
        let mut entries = lock(&self.entries);
        let Some(i) = entries.iter().position(|e| e.id == id) else { return false };
        let entry = &mut entries[i];
        let now = monotonic_now();
        entry.due = match (entry.due, why) {
            (Deadline::Monotonic(t), _) if entry.period != 0 => {
                let from = if why == Why::Signalled { now } else { t };
                // Periods that were missed are skipped.
                let missed = now.saturating_sub(from) / entry.period;
                Deadline::Monotonic(from + (missed + 1) * entry.period)
            }
            (_, Why::TimedOut) => Deadline::Never,
            (due, Why::Signalled) => due,
        };
        let mut action = entry.action.take();
        if entry.once {
            entries.swap_remove(i);
        }
        drop(entries);
        if let Some(action) = &mut action {
            action(why);
        }
        if let Some(entry) = lock(&self.entries).iter_mut().find(|e| e.id == id) {
            entry.action = action;
        }
        true
    }
}

fn give_back(object: &dyn Object) {
    if object.wait_cell().is_some_and(|c| !c.rule().is_timer()) {
        // Anything that is no event or semaphore was not changed by the wait.
        let _ = signal(object);
    }
}

#[cfg(test)]
mod tests;
