//! KUSER_SHARED_DATA: the page at 0x7ffe0000 where Windows publishes clocks, version and processor features, and
//! which runtimes read without a call.
//!
//! Facts are filled in when the page is first looked at (in `facts.rs`). The clocks have to run, yet nothing may wake an idle process. So the page
//! begins inaccessible; the first load faults, and [`Kuser::handle_fault`] writes the current time, shows the page and
//! starts a thread that renews it every millisecond. When the process has used no processor time for a few ticks, the
//! thread hides the page again and sleeps until the next fault. A program that never looks never has the thread.
//!
//! Engines that translate guest code look permissions up rather than fault on the host's memory. For them the host's page is
//! always readable, and [`Kuser::is_current`] says whether the guest may load from it or has to fault first; a page that stops
//! being current is reported as a change of memory.

mod facts;
#[cfg(test)]
mod tests;

pub use facts::features as processor_features;

use crate::memory::{Memory, PAGE};
use crate::status::Result;
use crate::sysinfo::Architecture;
use crate::time::{self, TIME_INCREMENT, zone::Zone};
use std::mem::offset_of;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Duration;
use windows_sys::Wdk::System::SystemServices::KUSER_SHARED_DATA;
use windows_sys::Win32::System::Memory::PAGE_READONLY;

/// Where the page lies, in every process of every machine.
pub const ADDRESS: u64 = 0x7ffe_0000;

/// How often the clocks are renewed.
const TICK: Duration = Duration::from_millis(1);
/// Ticks without activity after which the thread goes to sleep.
const IDLE_TICKS: u32 = 8;
/// Processor time in a tick, in nanoseconds, below which the process counts as idle.
const IDLE_NANOSECONDS: u64 = 20_000;

/// The page.
pub struct Kuser {
    memory: Arc<Memory>,
    machine: Architecture,
    /// The host's own mapping of the page.
    page: Page,
    /// Whether the page is hidden while nothing renews it.
    hides: bool,
    /// Whether the thread renews the page.
    running: AtomicBool,
    thread: Mutex<Thread>,
    wake: Condvar,
    zone: OnceLock<Zone>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Thread {
    None,
    Asleep,
    Running,
}

struct Page(*mut u8);

// SAFETY: the page is mapped for as long as the process lives, and its changing fields are accessed atomically only.
unsafe impl Send for Page {}
// SAFETY: as above.
unsafe impl Sync for Page {}

impl Kuser {
    /// Maps the page. `always_shown` is for engines that look permissions up.
    ///
    /// # Errors
    /// `STATUS_CONFLICTING_ADDRESSES` if its address is taken; `STATUS_NO_MEMORY`.
    pub fn map(memory: &Arc<Memory>, machine: Architecture, always_shown: bool) -> Result<Arc<Self>> {
        let page = memory.map_shared_fixed(ADDRESS, PAGE, PAGE_READONLY)?;
        let kuser = Self {
            memory: Arc::clone(memory),
            machine,
            page: Page(page),
            hides: !always_shown,
            running: AtomicBool::new(false),
            thread: Mutex::new(Thread::None),
            wake: Condvar::new(),
            zone: OnceLock::new(),
        };
        if kuser.hides {
            memory.set_hidden(ADDRESS, true)?;
        } else {
            kuser.fill();
            kuser.renew();
        }
        Ok(Arc::new(kuser))
    }

    /// If `address` lies in the page and the access was a load, makes the page current and readable and returns true:
    /// the access can be tried again. For fault handlers, called in ordinary code.
    pub fn handle_fault(self: &Arc<Self>, address: u64, write: bool) -> bool {
        if write || !(ADDRESS..ADDRESS + PAGE).contains(&address) {
            return false;
        }
        self.touch();
        true
    }

    /// Whether guest code may load from the page without a fault.
    #[must_use]
    pub fn is_current(&self) -> bool {
        self.running.load(Ordering::Relaxed)
    }

    /// Makes the page current and keeps it so for as long as the process is busy.
    #[inline]
    pub fn touch(self: &Arc<Self>) {
        if !self.running.load(Ordering::Relaxed) {
            self.start();
        }
    }

    #[cold]
    fn start(self: &Arc<Self>) {
        let mut thread = self.lock();
        if *thread == Thread::Running {
            return;
        }
        if *thread == Thread::None && self.hides {
            self.fill();
        }
        self.renew();
        if self.hides && self.memory.set_hidden(ADDRESS, false).is_err() {
            log::warn!("KUSER_SHARED_DATA cannot be made readable");
        }
        if *thread == Thread::None && !self.spawn() {
            // The page stays shown, with its clocks standing still: better than a fault without end.
            self.running.store(true, Ordering::Relaxed);
            log::warn!("no thread for KUSER_SHARED_DATA: its clocks stand still");
            return;
        }
        *thread = Thread::Running;
        self.running.store(true, Ordering::Relaxed);
        self.wake.notify_one();
    }

    /// Fills in what does not change, before anybody sees the page.
    fn fill(&self) {
        // SAFETY: page-aligned, writable, larger than the structure, and not shown yet: the caller is the only one to use it.
        unsafe { facts::fill(&mut *self.page.0.cast::<KUSER_SHARED_DATA>(), self.machine) };
    }

    fn lock(&self) -> MutexGuard<'_, Thread> {
        self.thread.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Starts the thread with all signals blocked, so that none meant for guest threads ends up there.
    fn spawn(self: &Arc<Self>) -> bool {
        use nix::sys::signal::{SigSet, SigmaskHow, pthread_sigmask};
        let mut before = SigSet::empty();
        let blocked =
            pthread_sigmask(SigmaskHow::SIG_SETMASK, Some(&SigSet::all()), Some(&mut before)).is_ok();
        let kuser = Arc::clone(self);
        let spawned = std::thread::Builder::new()
            .name("transom-clock".into())
            .stack_size(64 << 10)
            .spawn(move || kuser.run())
            .is_ok();
        if blocked {
            // Setting a mask that was in effect before cannot fail.
            let _ = pthread_sigmask(SigmaskHow::SIG_SETMASK, Some(&before), None);
        }
        spawned
    }

    /// The thread.
    fn run(&self) -> ! {
        let mut idle = 0;
        let mut used = used_by_others();
        loop {
            std::thread::sleep(TICK);
            self.renew();
            let now = used_by_others();
            idle = if now.saturating_sub(used) < IDLE_NANOSECONDS { idle + 1 } else { 0 };
            used = now;
            if idle >= IDLE_TICKS {
                self.sleep();
                idle = 0;
                used = used_by_others();
            }
        }
    }

    fn sleep(&self) {
        let mut thread = self.lock();
        if self.hides && self.memory.set_hidden(ADDRESS, true).is_err() {
            // Shown and no longer renewed it would lie; so go on.
            return;
        }
        *thread = Thread::Asleep;
        self.running.store(false, Ordering::Relaxed);
        if !self.hides {
            self.memory.changed(ADDRESS, PAGE);
        }
        while *thread == Thread::Asleep {
            thread = self.wake.wait(thread).unwrap_or_else(PoisonError::into_inner);
        }
    }

    /// Writes the current time into the page.
    fn renew(&self) {
        let now = time::system_time();
        let interrupt = time::interrupt_time();
        let ticks = interrupt / i64::from(TIME_INCREMENT);
        let zone = self.zone.get_or_init(Zone::local);
        let offset = zone.offset_at(now);
        let bias = -i64::from(offset.seconds) * time::SECOND;
        let sleep = interrupt - time::unbiased_interrupt_time();
        self.store_time(offset_of!(KUSER_SHARED_DATA, InterruptTime), interrupt);
        self.store_time(offset_of!(KUSER_SHARED_DATA, SystemTime), now);
        self.store_time(offset_of!(KUSER_SHARED_DATA, TimeZoneBias), bias);
        self.store_time(offset_of!(KUSER_SHARED_DATA, Anonymous4), ticks);
        let id = 1 + u32::from(offset.daylight);
        self.word(offset_of!(KUSER_SHARED_DATA, TimeZoneId)).store(id, Ordering::Relaxed);
        self.word(0).store(halves(ticks).0, Ordering::Relaxed);
        self.quad(offset_of!(KUSER_SHARED_DATA, InterruptTimeBias))
            .store(sleep.unsigned_abs(), Ordering::Relaxed);
    }

    /// Stores a KSYSTEM_TIME: readers take the first high half, the low half and the second high half, in that order,
    /// and try again if the high halves differ; so the writer goes the other way. Readers that take low and first high
    /// half at once need them stored at once, where alignment allows.
    fn store_time(&self, offset: usize, value: i64) {
        let (low, high) = halves(value);
        self.word(offset + 8).store(high, Ordering::Release);
        if offset.is_multiple_of(8) {
            self.quad(offset).store(value.cast_unsigned(), Ordering::Release);
        } else {
            self.word(offset).store(low, Ordering::Release);
            self.word(offset + 4).store(high, Ordering::Release);
        }
    }

    fn word(&self, offset: usize) -> &AtomicU32 {
        debug_assert!(offset.is_multiple_of(4) && offset < size_of::<KUSER_SHARED_DATA>());
        // SAFETY: aligned, inside the page, which lives as long as the process; accessed atomically only.
        unsafe { AtomicU32::from_ptr(self.page.0.add(offset).cast()) }
    }

    fn quad(&self, offset: usize) -> &AtomicU64 {
        debug_assert!(offset.is_multiple_of(8) && offset < size_of::<KUSER_SHARED_DATA>());
        // SAFETY: as for `word`. That readers take halves of it is harmless: see `store_time`.
        unsafe { AtomicU64::from_ptr(self.page.0.add(offset).cast()) }
    }
}

#[expect(clippy::cast_possible_truncation, reason = "the two halves of the value are what is asked for")]
fn halves(value: i64) -> (u32, u32) {
    (value as u32, (value >> 32) as u32)
}

/// Processor time that the process has used but for the calling thread, in nanoseconds.
fn used_by_others() -> u64 {
    let read = |id| {
        let mut used = libc::timespec { tv_sec: 0, tv_nsec: 0 };
        // SAFETY: `used` is a valid place for the result; both clocks always exist.
        unsafe { libc::clock_gettime(id, &raw mut used) };
        used.tv_sec.unsigned_abs() * 1_000_000_000 + used.tv_nsec.unsigned_abs()
    };
    read(libc::CLOCK_PROCESS_CPUTIME_ID).saturating_sub(read(libc::CLOCK_THREAD_CPUTIME_ID))
}
