//! Events of a socket that a program has selected (`WSAEventSelect`): each is recorded and sets an event object when the socket gets
//! into a state, and once more only after the call that re-enables it (receiving for `FD_READ`, a send that would block for
//! `FD_WRITE`, accepting for `FD_ACCEPT`).

use std::sync::Arc;
use std::sync::atomic::Ordering;

use windows_sys::Win32::Networking::WinSock as ws;

use super::queue::Queue;
use super::{Phase, Socket, poll};
use crate::status::{Result, Status};
use crate::wait::Event;

/// What a program has selected.
pub(super) struct Selected {
    event: Arc<Event>,
    /// `FD_*` that are selected.
    mask: u32,
    /// Those that have happened since the program last asked.
    recorded: u32,
    /// Those that are not recorded again before they are re-enabled.
    spent: u32,
    /// How connecting ended.
    connected: Option<Status>,
}

const FD_READ: u32 = ws::FD_READ;
const FD_WRITE: u32 = ws::FD_WRITE;
const FD_OOB: u32 = ws::FD_OOB;
const FD_ACCEPT: u32 = ws::FD_ACCEPT;
const FD_CONNECT: u32 = ws::FD_CONNECT;
const FD_CLOSE: u32 = ws::FD_CLOSE;

/// Events for states, and the other way round.
const PAIRS: [(u32, u32); 6] = [
    (FD_READ, poll::RECEIVE),
    (FD_WRITE, poll::SEND),
    (FD_OOB, poll::RECEIVE_EXPEDITED),
    (FD_ACCEPT, poll::ACCEPT),
    (FD_CONNECT, poll::CONNECT | poll::CONNECT_FAIL),
    (FD_CLOSE, poll::DISCONNECT | poll::ABORT),
];

/// What has happened, for `WSAEnumNetworkEvents`.
#[derive(Clone, Copy, Debug)]
pub struct Happened {
    /// `FD_*`.
    pub events: u32,
    /// How connecting ended.
    pub connect: Option<Status>,
    /// How the connection ended.
    pub close: Option<Status>,
}

impl Socket {
    /// Selects events, or with an empty mask none. The socket does not block afterwards. Source: `WSAEventSelect`.
    ///
    /// # Errors
    /// What watching the socket reports.
    pub fn select_events(&self, event: Option<Arc<Event>>, mask: u32) -> Result<()> {
        let mut queue = self.queue();
        let Some(event) = event.filter(|_| mask != 0) else {
            queue.selected = None;
            self.selects.store(false, Ordering::Relaxed);
            return Ok(());
        };
        drop(queue);
        self.selects.store(true, Ordering::Relaxed);
        self.set_nonblocking(true)?;
        queue = self.queue();
        // A connection that was there before is no news.
        let spent = if self.phase() == Phase::Connected { FD_CONNECT } else { 0 };
        queue.selected = Some(Selected { event, mask, recorded: 0, spent, connected: None });
        self.arm(&mut queue)?;
        let levels = self.levels();
        self.note_events(&mut queue, levels);
        Ok(())
    }

    /// An accepted socket has the events of the one that listens.
    pub(super) fn inherit_events(&self, listener: &Self) {
        let selected = listener.queue().selected.as_ref().map(|s| (Arc::clone(&s.event), s.mask));
        if let Some((event, mask)) = selected
            && let Err(e) = self.select_events(Some(event), mask)
        {
            log::warn!("an accepted socket reports no events: {e:?}");
        }
    }

    /// What has happened since the last time. Source: `WSAEnumNetworkEvents`.
    #[must_use]
    pub fn enumerate_events(&self) -> Happened {
        let mut queue = self.queue();
        let Some(selected) = &mut queue.selected else {
            return Happened { events: 0, connect: None, close: None };
        };
        let events = std::mem::take(&mut selected.recorded);
        let connect = if events & FD_CONNECT != 0 { selected.connected.take() } else { None };
        drop(queue);
        let close = (events & FD_CLOSE != 0 && self.levels() & poll::ABORT != 0)
            .then_some(Status(windows_sys::Win32::Foundation::STATUS_CONNECTION_RESET));
        Happened { events, connect, close }
    }

    /// Records what the states mean, and sets the event if that is news.
    pub(super) fn note_events(&self, queue: &mut Queue, levels: u32) {
        let Some(selected) = &mut queue.selected else { return };
        let mut now =
            PAIRS.iter().filter(|(_, level)| levels & level != 0).fold(0, |all, (event, _)| all | event);
        // The end is told when everything has been received.
        if levels & (poll::RECEIVE | poll::ABORT) == poll::RECEIVE {
            now &= !FD_CLOSE;
        }
        let news = now & selected.mask & !selected.spent;
        if news == 0 {
            return;
        }
        if news & FD_CONNECT != 0 && levels & poll::CONNECT_FAIL != 0 {
            selected.connected = self.take_error();
        }
        selected.recorded |= news;
        selected.spent |= news;
        selected.event.set();
    }

    /// A call was made that re-enables the events of these states: looks again.
    pub(super) fn reenable(&self, levels: u32) {
        if !self.selects.load(Ordering::Relaxed) {
            return;
        }
        let mut queue = self.queue();
        let Some(selected) = &mut queue.selected else { return };
        selected.spent &=
            !PAIRS.iter().filter(|(_, l)| levels & l != 0).fold(0, |all, (event, _)| all | event);
        let now = self.levels();
        self.note_events(&mut queue, now);
    }

    /// The socket's state was changed by its own program: looks whether that is news.
    pub(super) fn look_for_events(&self) {
        self.reenable(poll::CONNECT | poll::CONNECT_FAIL);
    }
}
