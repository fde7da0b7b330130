//! Priorities: what Windows' classes (of a process) and levels (of a thread in it) are to Linux, which is a nice value per thread.
//!
//! A class and a level give a base priority from 1 to 31; 8 is normal and leaves the thread with the nice value that the process
//! was started with. Lower ones can always be had. Higher ones, and so the way back from a lower one, need `RLIMIT_NICE` or
//! privileges; without them the thread gets the most that is permitted. What was set is what is answered.

use core::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::OnceLock;

use windows_sys::Win32::System::Threading as t;

use super::{ThreadObject, list};
use crate::status::{Result, Status};

/// Classes, and the base priority of a normal thread in each.
const CLASSES: [(u32, i32); 6] = [
    (t::IDLE_PRIORITY_CLASS, 4),
    (t::BELOW_NORMAL_PRIORITY_CLASS, 6),
    (t::NORMAL_PRIORITY_CLASS, NORMAL),
    (t::ABOVE_NORMAL_PRIORITY_CLASS, 10),
    (t::HIGH_PRIORITY_CLASS, 13),
    (t::REALTIME_PRIORITY_CLASS, 24),
];
const NORMAL: i32 = 8;

/// The classes' bits among the flags of `CreateProcess`.
pub const ANY_CLASS: u32 = t::IDLE_PRIORITY_CLASS
    | t::BELOW_NORMAL_PRIORITY_CLASS
    | t::NORMAL_PRIORITY_CLASS
    | t::ABOVE_NORMAL_PRIORITY_CLASS
    | t::HIGH_PRIORITY_CLASS
    | t::REALTIME_PRIORITY_CLASS;

/// The class that was set; zero: none.
static CLASS: AtomicU32 = AtomicU32::new(0);
/// Whether any thread had another level than the normal one: then new ones do not begin with what they inherit.
static LEVELS: AtomicBool = AtomicBool::new(false);

/// A base priority as a nice value, counted from that of a normal thread.
fn nice_of(base: i32) -> i32 {
    if base < NORMAL { (NORMAL - base) * 19 / (NORMAL - 1) } else { (NORMAL - base).max(-20) }
}

/// The base priority of a thread.
fn base_of(class: u32, level: i32) -> i32 {
    let realtime = class == t::REALTIME_PRIORITY_CLASS;
    match level {
        t::THREAD_PRIORITY_IDLE => 1 + 15 * i32::from(realtime),
        t::THREAD_PRIORITY_TIME_CRITICAL => 15 + 16 * i32::from(realtime),
        level => CLASSES.iter().find(|(c, _)| *c == class).map_or(NORMAL, |(_, base)| *base) + level,
    }
}

/// The class whose normal threads are nearest to a nice value.
fn class_of(nice: i32) -> u32 {
    let nearest = CLASSES.iter().min_by_key(|(_, base)| (nice_of(*base) - nice).abs());
    nearest.map_or(t::NORMAL_PRIORITY_CLASS, |(class, _)| *class)
}

/// The nice value of a process or thread.
fn nice(id: u32) -> i32 {
    // SAFETY: asks for a number.
    unsafe { libc::getpriority(libc::PRIO_PROCESS, id) }
}

/// The nice value that this process was started with.
fn initial() -> i32 {
    static INITIAL: OnceLock<i32> = OnceLock::new();
    *INITIAL.get_or_init(|| nice(std::process::id()))
}

/// Gives a thread a nice value, or the nearest that is permitted.
fn set_nice(tid: u32, wanted: i32) {
    // SAFETY: numbers only.
    let set = |nice| unsafe { libc::setpriority(libc::PRIO_PROCESS, tid, nice) } == 0;
    if set(wanted) {
        return;
    }
    let mut limit = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
    // SAFETY: a valid place for the answer.
    unsafe { libc::getrlimit(libc::RLIMIT_NICE, &raw mut limit) };
    let permitted = 20 - i32::try_from(limit.rlim_cur.min(40)).unwrap_or(0);
    if permitted < nice(tid) {
        set(permitted.max(wanted));
    }
}

/// The priority class of this process.
#[must_use]
pub fn class() -> u32 {
    match CLASS.load(Ordering::Relaxed) {
        0 => class_of_process(std::process::id()),
        class => class,
    }
}

/// The priority class of a process that did not say which it has: what its nice value amounts to.
#[must_use]
pub fn class_of_process(pid: u32) -> u32 {
    class_of(nice(pid))
}

/// Sets the priority class of this process, for the threads that it has and will have.
///
/// # Errors
/// `STATUS_INVALID_PARAMETER` for an unknown class.
pub fn set_class(class: u32) -> Result<()> {
    if CLASSES.iter().all(|(c, _)| *c != class) {
        return Err(Status(windows_sys::Win32::Foundation::STATUS_INVALID_PARAMETER));
    }
    initial();
    CLASS.store(class, Ordering::Relaxed);
    LEVELS.store(true, Ordering::Relaxed);
    list().iter().for_each(|thread| thread.apply_priority());
    Ok(())
}

impl ThreadObject {
    /// The level set last, from `THREAD_PRIORITY_IDLE` to `THREAD_PRIORITY_TIME_CRITICAL`.
    #[must_use]
    pub fn priority(&self) -> i32 {
        self.priority.load(Ordering::Relaxed)
    }

    /// Sets the level.
    pub fn set_priority(&self, level: i32) {
        initial();
        LEVELS.store(true, Ordering::Relaxed);
        self.priority.store(level, Ordering::Relaxed);
        self.apply_priority();
    }

    fn apply_priority(&self) {
        // Before a class was set, the process has the nice value that it was started with, whatever class that is.
        let class = match CLASS.load(Ordering::Relaxed) {
            0 => t::NORMAL_PRIORITY_CLASS,
            class => class,
        };
        set_nice(self.tid(), (initial() + nice_of(base_of(class, self.priority()))).clamp(-20, 19));
    }

    /// A new thread begins with the normal level, not with that of the thread that made it.
    pub(super) fn begin_priority(&self) {
        if LEVELS.load(Ordering::Relaxed) {
            self.apply_priority();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::thread::current;

    #[test]
    fn every_class_is_found_by_its_nice_value() {
        for (class, base) in CLASSES {
            assert_eq!(class_of(nice_of(base)), class);
        }
        assert_eq!(nice_of(base_of(t::NORMAL_PRIORITY_CLASS, t::THREAD_PRIORITY_NORMAL)), 0);
        assert_eq!(nice_of(base_of(t::NORMAL_PRIORITY_CLASS, t::THREAD_PRIORITY_IDLE)), 19);
        assert_eq!(base_of(t::REALTIME_PRIORITY_CLASS, t::THREAD_PRIORITY_TIME_CRITICAL), 31);
    }

    #[test]
    fn lower_levels_are_nicer_and_new_threads_begin_normally() {
        let before = initial();
        let me = current();
        me.set_priority(t::THREAD_PRIORITY_LOWEST);
        assert_eq!((me.priority(), nice(me.tid())), (t::THREAD_PRIORITY_LOWEST, (before + 5).min(19)));
        me.set_priority(t::THREAD_PRIORITY_NORMAL);
        // Without privileges there is no way back.
        assert!([before, (before + 5).min(19)].contains(&nice(me.tid())));
        assert_eq!(
            set_class(12345).map_err(|e| e.0),
            Err(windows_sys::Win32::Foundation::STATUS_INVALID_PARAMETER)
        );
        set_class(t::IDLE_PRIORITY_CLASS).unwrap();
        assert_eq!((class(), nice(me.tid())), (t::IDLE_PRIORITY_CLASS, (before + 10).min(19)));
    }
}
