//! How an operation's end is told: the file's own signalled state, an event, a completion port.
//!
//! Reads and writes of files are carried out by the calling thread, also on a handle opened for overlapped
//! operation; Windows allows that (`ReadFile` then returns TRUE at once), and programs must expect it. What
//! overlapped I/O is owed all the same is that its end arrives where the program will look:
//! [`FileObject::complete`] sees to that.

use super::object::FileObject;
use crate::object::Object;
use crate::port::{CompletionPort, Packet};
use crate::status::{Result, Status};
use crate::wait::{Cell, Rule, Scope};
use std::sync::atomic::{AtomicU8, Ordering};
use std::sync::{Arc, OnceLock};
use windows_sys::Win32::Foundation as f;
use windows_sys::Win32::System::WindowsProgramming as mode;

/// The modes that a file can have.
const MODES: u8 = 3;

/// An operation that has ended.
#[derive(Clone, Copy)]
pub struct Completion<'a> {
    /// How.
    pub status: i32,
    /// Bytes transferred (`IO_STATUS_BLOCK.Information`).
    pub information: u64,
    /// Guest address of the OVERLAPPED; 0 keeps the completion port out of it (also an event handle with its
    /// lowest bit set).
    pub context: u64,
    /// The OVERLAPPED's event.
    pub event: Option<&'a dyn Object>,
    /// Whether the call that began the operation said that it pends.
    pub pended: bool,
}

/// A file's part in waiting and in completion ports.
pub(super) struct Completions {
    cell: Cell,
    port: OnceLock<(Arc<CompletionPort>, u64)>,
    modes: AtomicU8,
}

impl Completions {
    pub(super) fn new() -> Self {
        // A file handle is signalled until an overlapped operation begins.
        Self {
            cell: Cell::new(Rule::ManualEvent, 1, 1, Scope::Private),
            port: OnceLock::new(),
            modes: AtomicU8::new(0),
        }
    }

    pub(super) fn cell(&self) -> &Cell {
        &self.cell
    }
}

impl FileObject {
    /// Has ends of operations queued at a port. Source: `CreateIoCompletionPort`.
    ///
    /// # Errors
    /// `STATUS_INVALID_PARAMETER` if the file was not opened for overlapped operation or has a port already.
    pub fn associate(&self, port: Arc<CompletionPort>, key: u64) -> Result<()> {
        if !self.is_overlapped() {
            return Err(Status(f::STATUS_INVALID_PARAMETER));
        }
        self.completions().port.set((port, key)).map_err(|_| Status(f::STATUS_INVALID_PARAMETER))
    }

    /// Sets `FILE_SKIP_COMPLETION_PORT_ON_SUCCESS` and `FILE_SKIP_SET_EVENT_ON_HANDLE`; once set they stay.
    /// Source: `SetFileCompletionNotificationModes`.
    ///
    /// # Errors
    /// `STATUS_INVALID_PARAMETER` for other bits.
    pub fn set_completion_modes(&self, modes: u8) -> Result<()> {
        if modes & !MODES != 0 {
            return Err(Status(f::STATUS_INVALID_PARAMETER));
        }
        self.completions().modes.fetch_or(modes, Ordering::Relaxed);
        Ok(())
    }

    /// Begins an overlapped operation: the file and the event are not signalled until it ends.
    ///
    /// # Errors
    /// `STATUS_OBJECT_TYPE_MISMATCH` if `event` is no event.
    pub fn begin(&self, event: Option<&dyn Object>) -> Result<()> {
        self.completions().cell.reset();
        match event {
            Some(event) => event_cell(event).map(|cell| {
                cell.reset();
            }),
            None => Ok(()),
        }
    }

    /// Tells the end of an overlapped operation: signals the file and the event, and queues a packet.
    /// The `IO_STATUS_BLOCK` is written by the caller, before this.
    ///
    /// # Errors
    /// `STATUS_OBJECT_TYPE_MISMATCH` if the event is no event; `STATUS_INSUFFICIENT_RESOURCES`.
    pub fn complete(&self, end: &Completion<'_>) -> Result<()> {
        let completions = self.completions();
        let modes = u32::from(completions.modes.load(Ordering::Relaxed));
        if modes & mode::FILE_SKIP_SET_EVENT_ON_HANDLE == 0 {
            signal(&completions.cell);
        }
        if let Some(event) = end.event {
            signal(event_cell(event)?);
        }
        // Who was told that the operation pends waits for a packet.
        let skip = modes & mode::FILE_SKIP_COMPLETION_PORT_ON_SUCCESS != 0 && end.status >= 0 && !end.pended;
        match completions.port.get() {
            Some((port, key)) if end.context != 0 && !skip => port.post(Packet {
                key: *key,
                context: end.context,
                status: end.status,
                information: end.information,
            }),
            _ => Ok(()),
        }
    }
}

fn signal(cell: &Cell) {
    let (_, effect) = cell.set();
    effect.on(cell);
}

fn event_cell(event: &dyn Object) -> Result<&Cell> {
    let cell = event.wait_cell().filter(|cell| matches!(cell.rule(), Rule::ManualEvent | Rule::AutoEvent));
    cell.ok_or(Status(f::STATUS_OBJECT_TYPE_MISMATCH))
}
