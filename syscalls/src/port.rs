//! Completion ports ([I/O Completion Ports](https://learn.microsoft.com/windows/win32/fileio/i-o-completion-ports)): queues of
//! packets that threads wait for.
//!
//! A port is a queue under a lock and a semaphore cell. Invariant: a packet is in the queue before its token is in
//! the cell, so who has taken a token finds a packet. The exception is a port whose last handle was closed: it has one token more
//! than packets, which whoever finds the queue empty puts back for the next one, so that all waiters go.
//!
//! The port's limit of threads running at once is kept, and told to who asks, but does not hold threads back: Linux does not
//! say when a thread blocks. Threads are released in the order they came.

use core::fmt;
use core::sync::atomic::{AtomicBool, Ordering};
use std::any::Any;
use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use windows_sys::Win32::Foundation as f;

use crate::object::{Kind, Object};
use crate::status::{Result, Status};
use crate::wait::{Alertable, Cell, Deadline, Rule, Scope, Waited, wait_one};

/// A completion packet.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Packet {
    /// The completion key: the file's, or as posted.
    pub key: u64,
    /// The guest address of the OVERLAPPED, or as posted.
    pub context: u64,
    /// How the operation ended (`IO_STATUS_BLOCK.Status`).
    pub status: i32,
    /// Bytes transferred (`IO_STATUS_BLOCK.Information`), or as posted.
    pub information: u64,
}

/// How waiting for packets ended.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Got {
    /// So many packets.
    Packets(usize),
    /// None before the deadline.
    Timeout,
    /// User APCs are queued (see [`Waited::Alerted`]).
    Alerted,
    /// The port was closed (`ERROR_ABANDONED_WAIT_0`).
    Closed,
}

/// Takes packets as they come: quick, and on any thread.
pub type Sink = Box<dyn Fn(Packet) + Send + Sync>;

/// What a handle to a completion port refers to.
pub struct CompletionPort {
    /// Where packets go instead of the queue.
    sink: Option<Sink>,
    packets: Cell,
    queue: Mutex<VecDeque<Packet>>,
    concurrency: u32,
    closed: AtomicBool,
}

impl CompletionPort {
    /// A new port. `concurrency` is what `CreateIoCompletionPort` was given; zero stands for the number of processors.
    #[must_use]
    pub fn new(concurrency: u32) -> Arc<Self> {
        Self::make(concurrency, None)
    }

    /// A port that hands its packets on, for which nobody waits: that of a thread pool.
    #[must_use]
    pub fn with_sink(sink: Sink) -> Arc<Self> {
        Self::make(0, Some(sink))
    }

    fn make(concurrency: u32, sink: Option<Sink>) -> Arc<Self> {
        Arc::new(Self {
            sink,
            packets: Cell::new(Rule::Semaphore, 0, i32::MAX.cast_unsigned(), Scope::Private),
            queue: Mutex::default(),
            concurrency,
            closed: AtomicBool::new(false),
        })
    }

    fn queue(&self) -> MutexGuard<'_, VecDeque<Packet>> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The limit of threads, as given.
    #[must_use]
    pub fn concurrency(&self) -> u32 {
        self.concurrency
    }

    /// How many packets are queued (`NtQueryIoCompletion`).
    #[must_use]
    pub fn depth(&self) -> usize {
        self.queue().len()
    }

    /// Queues a packet.
    ///
    /// # Errors
    /// `STATUS_INSUFFICIENT_RESOURCES` with two thousand million packets queued.
    pub fn post(&self, packet: Packet) -> Result<()> {
        if let Some(sink) = &self.sink {
            sink(packet);
            return Ok(());
        }
        self.queue().push_back(packet);
        match self.packets.give(1) {
            Some((_, effect)) => {
                effect.on(&self.packets);
                Ok(())
            }
            None => {
                self.queue().pop_back();
                Err(Status(f::STATUS_INSUFFICIENT_RESOURCES))
            }
        }
    }

    /// Waits for packets: for one, and takes more, up to the slice's length, if they are there.
    ///
    /// # Errors
    /// `STATUS_INVALID_PARAMETER` for an empty slice; `STATUS_THREAD_IS_TERMINATING`.
    pub fn get(&self, packets: &mut [Packet], deadline: Deadline, alertable: Alertable) -> Result<Got> {
        if packets.is_empty() {
            return Err(Status(f::STATUS_INVALID_PARAMETER));
        }
        match wait_one(&self.packets, deadline, alertable)? {
            Waited::Timeout => return Ok(Got::Timeout),
            Waited::Alerted => return Ok(Got::Alerted),
            Waited::Object(_) | Waited::Abandoned(_) => {}
        }
        let mut got = 0;
        for place in packets {
            if got > 0 && !self.packets.try_take() {
                break;
            }
            let Some(packet) = self.queue().pop_front() else {
                self.packets.put_back().on(&self.packets);
                return Ok(if got == 0 { Got::Closed } else { Got::Packets(got) });
            };
            *place = packet;
            got += 1;
        }
        Ok(Got::Packets(got))
    }
}

impl fmt::Debug for CompletionPort {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CompletionPort").field("packets", &self.packets).finish_non_exhaustive()
    }
}

impl Object for CompletionPort {
    fn kind(&self) -> Kind {
        Kind::IoCompletion
    }
    fn last_handle_closed(&self) {
        if !self.closed.swap(true, Ordering::AcqRel) {
            self.packets.put_back().on(&self.packets);
        }
    }
    fn as_any(&self) -> &dyn Any {
        self
    }
}

#[cfg(test)]
mod tests;
