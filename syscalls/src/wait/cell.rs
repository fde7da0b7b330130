//! The state of anything that can be waited for: one cache line of atomics, usable in private or shared memory.
//!
//! Everything that decides who gets what is in one 64-bit word, changed only by compare-and-exchange, so that there is
//! no order of two stores to reason about. (What a thread does about a cell, sleeping and looking again, is in
//! [`super::waiting`].)
//!
//! ```text
//!  63  62                 32 31           14 13            0
//! +---+---------------------+---------------+---------------+
//! | O |      tokens  T      | generation  G |  waiters  W   |
//! +---+---------------------+---------------+---------------+
//!                            \_____ the futex word ________/
//! ```
//!
//! # Token kinds: auto-reset events, semaphores, mutexes, synchronisation timers
//!
//! `W` threads are registered as waiters. Of the `T` tokens, `min(T, W)` are *granted* to them and the rest is *free*:
//! a newcomer may take only a free token, so nobody overtakes those who already wait (as in Windows, where a signal is handed
//! over). A token that arrives when there are more waiters than tokens is a grant and increments `G`.
//!
//! - newcomer: `T > W` → `T-1`, done. Otherwise `W+1` (register), remembering `G` as its *ticket*.
//! - registered waiter: if `T > 0` and (`G` is not its ticket, or `T >= W`) → `T-1, W-1`, done. Otherwise it sleeps on the futex
//!   word as it just saw it.
//! - giver: `T+n` within the limit of free tokens; if it made grants, `G+1`, and wakes as many sleepers.
//! - waiter that leaves without a token (timeout, interruption, or another object came first): `W-1`, free tokens
//!   clamped to the limit; if granted tokens remain, `G+1`, and wakes as many sleepers.
//!
//! Invariants:
//! 1. *No lost wake-up.* Whenever a registered waiter may take a token, `G` has changed since it registered, or it saw
//!    that it may: every grant increments `G`, which is part of the futex word, so going to sleep on the older value fails.
//!    Each grant wakes a sleeper; a woken thread takes a token or finds it taken by another registered waiter, whose
//!    own wake-up then is spare; whoever leaves without a token passes remaining grants on.
//! 2. *No token lost or invented*: `T` changes by exactly what is given or taken, except for the clamp on leaving, which
//!    discards only what setting a set event would have discarded.
//!
//! # Gate kinds: manual-reset events, ended threads and processes, notification timers
//!
//! `T` is 1 while open. Opening with `W > 0` increments `G` and wakes all. A registered waiter of an event passes if the
//! gate is open *or `G` is not its ticket*: it passes even if the event was reset since, or only pulsed.
//!
//! # Shared cells
//!
//! In memory shared with other processes a waiter can be killed at any moment, so nothing may depend on it: there tokens are not
//! granted (`T > 0` is enough to take one), givers wake all sleepers, and `W` is no more than a hint that somebody may
//! sleep. A killed waiter leaves `W` too high, which costs needless wake-ups and nothing else.
//!
//! # Observers
//!
//! Threads that wait for *all* of several cells must not hold grants. They set `O` and sleep elsewhere; whoever adds a token or
//! opens the gate takes `O` away and wakes all observers (see [`super::observers`]), who set it again before they look again.
//!
//! # Timers
//!
//! A timer's cell holds its due time. No thread fires it: those who wait for it sleep no longer than until then,
//! and whoever looks at the cell after that time fires it. `T` is at most 2^15 there, and the 16 bits above count how often
//! the timer was set, so that firing an earlier setting never signals a later one.

use super::Scope;
use super::atomics::{AtomicU32, AtomicU64, Ordering};

const W_MASK: u64 = (1 << 14) - 1;
const G_ONE: u32 = 1 << 14;
const FUTEX: u64 = 0xFFFF_FFFF;
const T_SHIFT: u32 = 32;
const T_ONE: u64 = 1 << T_SHIFT;
const O: u64 = 1 << 63;
/// Setting count of a timer.
const V_ONE: u64 = 1 << 47;
const V_MASK: u64 = 0xFFFF << 47;

/// What a cell belongs to, as far as waiting cares.
#[repr(u8)]
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Rule {
    /// Auto-reset event: one free token at most, more are dropped.
    AutoEvent,
    /// Manual-reset event: a gate that lets registered waiters pass even if it closed since.
    ManualEvent,
    /// Semaphore: free tokens up to the limit.
    Semaphore,
    /// Mutex: one token, an owner and a recursion count.
    Mutex,
    /// Synchronisation timer: one free token at most.
    AutoTimer,
    /// Notification timer: a gate.
    ManualTimer,
}

impl Rule {
    fn is_gate(self) -> bool {
        matches!(self, Self::ManualEvent | Self::ManualTimer)
    }

    /// Whether cells of this rule have a due time.
    #[must_use]
    pub fn is_timer(self) -> bool {
        matches!(self, Self::AutoTimer | Self::ManualTimer)
    }
}

/// What must be done after a change of a cell: kept apart from the change so that the state machine is pure.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
#[must_use]
pub struct Effect {
    /// Sleepers to wake on the futex word.
    pub wake: u32,
    /// Whether observers must look again.
    pub observers: bool,
}

/// What a registered waiter may do.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Claim {
    /// It has what it waited for and is registered no more.
    Taken,
    /// It may sleep as long as the futex word has this value.
    Sleep(u32),
}

/// How registering ended.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Entry {
    /// No need to wait: taken.
    Taken,
    /// Registered, with this ticket.
    Ticket(u32),
    /// Too many waiters (16,383).
    Full,
}

/// See the module documentation.
#[repr(C, align(64))]
#[derive(Debug)]
pub struct Cell {
    /// See the module documentation.
    pub(super) word: AtomicU64,
    /// Mutexes: the owner's Linux thread id, or zero. Written by the owner only (or for it, when it has died).
    pub(super) owner: AtomicU32,
    /// Mutexes: how often the owner holds it. Touched by the owner only.
    pub(super) recursion: AtomicU32,
    /// Timers: when due, in nanoseconds of the clock that the lowest bit tells (1: system time); zero: not set.
    pub(super) due: AtomicU64,
    /// Timers: the period in nanoseconds, or zero.
    pub(super) period: AtomicU64,
    /// Mutexes: whether the last owner died. Taken away by the next owner.
    pub(super) abandoned: AtomicU32,
    limit: u32,
    /// Shared mutexes: the entry in the owner's list for the kernel (see `robust`).
    pub(super) robust: AtomicU64,
    /// A [`Rule`], as a number: in shared memory anything may stand here.
    rule: u8,
    shared: u8,
}

fn waiters(w: u64) -> u64 {
    w & W_MASK
}

fn ticket(w: u64) -> u32 {
    low(w) / G_ONE
}

fn low(w: u64) -> u32 {
    (w & FUTEX) as u32
}

fn next_generation(w: u64) -> u64 {
    (w & !FUTEX) | u64::from(low(w).wrapping_add(G_ONE))
}

/// Takes `O` off a word, and tells whether it was there.
fn notified(w: u64) -> (u64, bool) {
    (w & !O, w & O != 0)
}

impl Cell {
    /// A cell with `tokens` free tokens (or an open gate, if not zero) and at most `limit` free ones.
    #[must_use]
    pub fn new(rule: Rule, tokens: u32, limit: u32, scope: Scope) -> Self {
        Self {
            word: AtomicU64::new(u64::from(tokens) << T_SHIFT),
            due: AtomicU64::new(0),
            period: AtomicU64::new(0),
            owner: AtomicU32::new(0),
            recursion: AtomicU32::new(0),
            abandoned: AtomicU32::new(0),
            limit,
            rule: rule as u8,
            shared: u8::from(scope == Scope::Shared),
            robust: AtomicU64::new(0),
        }
    }

    /// How it behaves.
    #[must_use]
    #[inline]
    pub fn rule(&self) -> Rule {
        const RULES: [Rule; 6] = [
            Rule::AutoEvent,
            Rule::ManualEvent,
            Rule::Semaphore,
            Rule::Mutex,
            Rule::AutoTimer,
            Rule::ManualTimer,
        ];
        RULES.get(usize::from(self.rule)).copied().unwrap_or(Rule::AutoEvent)
    }

    fn is_shared(&self) -> bool {
        self.shared != 0
    }

    /// Whether it is a mutex that the kernel frees when its owner dies (see `robust`): the operations of this module are
    /// not for it.
    #[must_use]
    #[inline]
    pub fn is_robust(&self) -> bool {
        self.is_shared() && self.rule() == Rule::Mutex
    }

    /// The limit given at its making.
    #[must_use]
    pub fn limit(&self) -> u32 {
        self.limit
    }

    /// Who may map it.
    #[must_use]
    pub fn scope(&self) -> Scope {
        if self.is_shared() { Scope::Shared } else { Scope::Private }
    }

    /// The futex word's value now.
    #[must_use]
    pub fn futex_value(&self) -> u32 {
        low(self.word.load(Ordering::Acquire))
    }

    /// The tokens in a word.
    fn tokens(&self, w: u64) -> u64 {
        let field = (w & !O) >> T_SHIFT;
        if self.rule().is_timer() { field & 0x7FFF } else { field }
    }

    /// The tokens that a newcomer may take.
    fn free(&self, w: u64) -> u64 {
        if self.is_shared() || self.rule().is_gate() {
            self.tokens(w)
        } else {
            self.tokens(w).saturating_sub(waiters(w))
        }
    }

    /// One atomic change: `f` gives the new word and a result, or `None` for "leave it".
    fn change<R>(&self, mut f: impl FnMut(u64) -> Option<(u64, R)>) -> Option<R> {
        let mut w = self.word.load(Ordering::Acquire);
        loop {
            let (new, result) = f(w)?;
            match self.word.compare_exchange_weak(w, new, Ordering::AcqRel, Ordering::Acquire) {
                Ok(_) => return Some(result),
                Err(now) => w = now,
            }
        }
    }

    /// The number of free tokens now (for a gate, 1 if it is open).
    #[must_use]
    pub fn free_tokens(&self) -> u32 {
        u32::try_from(self.free(self.word.load(Ordering::Acquire))).unwrap_or(u32::MAX)
    }

    /// The number of registered waiters now.
    #[must_use]
    pub fn waiters(&self) -> u32 {
        low(waiters(self.word.load(Ordering::Acquire)))
    }

    /// A newcomer's attempt, without registering. Gates stay open.
    pub fn try_take(&self) -> bool {
        self.change(|w| match self.free(w) {
            0 => None,
            _ if self.rule().is_gate() => Some((w, ())),
            _ => Some((w - T_ONE, ())),
        })
        .is_some()
    }

    /// Takes a token, or registers as a waiter.
    pub fn enter(&self) -> Entry {
        self.change(|w| {
            Some(if self.free(w) > 0 {
                (if self.rule().is_gate() { w } else { w - T_ONE }, Entry::Taken)
            } else if waiters(w) == W_MASK {
                (w, Entry::Full)
            } else {
                (w + 1, Entry::Ticket(ticket(w)))
            })
        })
        .unwrap_or(Entry::Full)
    }

    /// A registered waiter's look.
    pub fn claim(&self, mine: u32) -> Claim {
        let mut seen = 0;
        self.change(|w| {
            let t = self.tokens(w);
            let passed = match self.rule() {
                Rule::ManualEvent => t > 0 || ticket(w) != mine,
                Rule::ManualTimer => t > 0,
                _ => t > 0 && (self.is_shared() || ticket(w) != mine || t >= waiters(w)),
            };
            seen = low(w);
            let taken = if self.rule().is_gate() { w - 1 } else { w.wrapping_sub(1 + T_ONE) };
            passed.then_some((taken, Claim::Taken))
        })
        .unwrap_or(Claim::Sleep(seen))
    }

    /// A registered waiter leaves with nothing.
    pub fn leave(&self) -> Effect {
        self.change(|w| {
            let mut new = w - 1;
            let mut effect = Effect::default();
            if !self.is_shared() && !self.rule().is_gate() {
                let (t, left) = (self.tokens(new), waiters(new));
                new -= t.saturating_sub(left + u64::from(self.limit)) * T_ONE;
                let granted = t.min(left);
                if granted > 0 {
                    new = next_generation(new);
                    effect.wake = u32::try_from(granted).unwrap_or(u32::MAX);
                }
                (new, effect.observers) = if t > 0 { notified(new) } else { (new, false) };
            }
            Some((new, effect))
        })
        .unwrap_or_default()
    }

    /// Gives `n` tokens; the previous number of free ones. `None` if that would be more than the limit.
    pub fn give(&self, n: u32) -> Option<(u32, Effect)> {
        self.change(|w| {
            let free = self.free(w);
            (free + u64::from(n) <= u64::from(self.limit)).then(|| {
                let (new, effect) = self.given(w, n);
                (new, (u32::try_from(free).unwrap_or(u32::MAX), effect))
            })
        })
    }

    /// Gives back a token just taken, whatever the limit.
    pub fn put_back(&self) -> Effect {
        self.change(|w| Some(self.given(w, 1))).unwrap_or_default()
    }

    fn given(&self, w: u64, n: u32) -> (u64, Effect) {
        let mut new = w + u64::from(n) * T_ONE;
        let mut effect = Effect::default();
        let ungranted = if self.is_shared() { waiters(w) } else { waiters(w).saturating_sub(self.tokens(w)) };
        if ungranted > 0 {
            new = next_generation(new);
            let grants = u32::try_from(ungranted).unwrap_or(u32::MAX).min(n);
            effect.wake = if self.is_shared() { u32::MAX } else { grants };
        }
        (new, effect.observers) = notified(new);
        (new, effect)
    }

    /// Opens the gate, or sets an event: a token unless there is a free one. Whether it was set before.
    pub fn set(&self) -> (bool, Effect) {
        self.change(|w| {
            // An unchanged word is written all the same: what the setter did before is to be seen by who waits next.
            Some(if self.rule().is_gate() {
                let (new, effect) = self.opened(w);
                (new, (self.tokens(w) > 0, effect))
            } else if self.free(w) > 0 {
                (w, (true, Effect::default()))
            } else {
                let (new, effect) = self.given(w, 1);
                (new, (false, effect))
            })
        })
        .unwrap_or_default()
    }

    fn opened(&self, w: u64) -> (u64, Effect) {
        if self.tokens(w) > 0 {
            return (w, Effect::default());
        }
        let mut new = w + T_ONE;
        let mut effect = Effect::default();
        if waiters(w) > 0 {
            new = next_generation(new);
            effect.wake = u32::MAX;
        }
        (new, effect.observers) = notified(new);
        (new, effect)
    }

    /// Closes the gate, or takes the free token away; whether it was set. Grants stand.
    pub fn reset(&self) -> bool {
        self.change(|w| {
            let free = self.free(w);
            Some((w - free * T_ONE, free > 0))
        })
        .unwrap_or_default()
    }

    /// Releases who waits now (all at a gate, else one), and leaves the cell not set. Whether it was set before.
    pub fn pulse(&self) -> (bool, Effect) {
        self.change(|w| {
            let free = self.free(w);
            let closed = w - free * T_ONE;
            Some(if self.rule().is_gate() {
                let (new, observers) = notified(closed);
                let wake = if waiters(w) > 0 { u32::MAX } else { 0 };
                (next_generation(new), (free > 0, Effect { wake, observers }))
            } else if waiters(closed) > self.tokens(closed) {
                let (new, e) = self.given(closed, 1);
                (new, (free > 0, e))
            } else {
                (closed, (free > 0, Effect::default()))
            })
        })
        .unwrap_or_default()
    }

    /// Asks to be told when there is something for observers; whether there is now.
    pub fn observe(&self) -> bool {
        self.free(self.word.fetch_or(O, Ordering::AcqRel)) > 0
    }

    /// Timers: a new setting begins. With `clear` the cell is not set any more. Firings of earlier settings have no effect
    /// from here on.
    pub fn new_setting(&self, clear: bool) {
        self.change(|w| {
            let cleared = if clear { w - self.free(w) * T_ONE } else { w };
            let version = (cleared & V_MASK).wrapping_add(V_ONE) & V_MASK;
            Some(((cleared & !V_MASK) | version, ()))
        });
    }

    /// Makes everybody who sleeps on the cell look again.
    pub fn look_again(&self) -> Effect {
        self.change(|w| {
            let (new, observers) = notified(next_generation(w));
            let wake = if waiters(w) > 0 { u32::MAX } else { 0 };
            Some((new, Effect { wake, observers }))
        })
        .unwrap_or_default()
    }

    /// Timers: which setting the cell is in.
    pub fn setting(&self) -> u64 {
        self.word.load(Ordering::Acquire) & V_MASK
    }

    /// Timers: sets the cell if `setting` still holds.
    pub fn fire(&self, setting: u64) -> Effect {
        self.change(|w| {
            (w & V_MASK == setting).then(|| {
                if self.rule().is_gate() {
                    self.opened(w)
                } else if self.free(w) > 0 {
                    (w, Effect::default())
                } else {
                    self.given(w, 1)
                }
            })
        })
        .unwrap_or_default()
    }
}
