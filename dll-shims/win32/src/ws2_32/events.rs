//! Event objects of sockets.

use transom_sdk::{Cx, Guest, Handle, Ptr, Win32, WinError, foundation as f, shim};
use transom_syscalls::socket::error::winsock;
use transom_syscalls::wait::Event;
use windows_sys::Win32::Networking::WinSock as ws;

use super::{Sock, Winsock, fail};
use crate::kernel32::synchapi;

/// WSANETWORKEVENTS.
#[derive(Guest, Debug, Clone, Copy)]
struct NetworkEvents {
    events: u32,
    errors: [i32; 10],
}

/// Errors of the event functions: a handle that is no event is invalid.
fn event_error<T>(result: Win32<T>) -> Win32<T> {
    result.map_err(|_| WinError::Code(f::ERROR_INVALID_HANDLE))
}

/// Creates a new event object: manual-reset and not set.
#[shim(ws2_32)]
fn WSACreateEvent(cx: &Cx) -> Win32<Handle> {
    synchapi::CreateEventW(cx, Ptr::NULL, true, false, None)
}

/// Closes an open event object handle.
#[shim(ws2_32)]
fn WSACloseEvent(cx: &Cx, event: Handle) -> Win32<()> {
    event_error(crate::kernel32::handleapi::CloseHandle(cx, event))
}

/// Sets the state of the specified event object to signaled.
#[shim(ws2_32)]
fn WSASetEvent(cx: &Cx, event: Handle) -> Win32<()> {
    event_error(synchapi::SetEvent(cx, event))
}

/// Resets the state of the specified event object to nonsignaled.
#[shim(ws2_32)]
fn WSAResetEvent(cx: &Cx, event: Handle) -> Win32<()> {
    event_error(synchapi::ResetEvent(cx, event))
}

/// Returns when one or all of the specified event objects are signaled, or when the time-out interval expires.
#[shim(ws2_32, fails = -1)]
fn WSAWaitForMultipleEvents(
    cx: &Cx,
    count: u32,
    events: Ptr<Handle>,
    all: bool,
    milliseconds: u32,
    alertable: bool,
) -> Win32<u32> {
    synchapi::WaitForMultipleObjectsEx(cx, count, events, all, milliseconds, alertable)
}

/// Specifies an event object to be associated with the specified set of FD_XXX network events.
#[shim(ws2_32, fails = -1)]
fn WSAEventSelect(cx: &Cx, s: Handle, event: Handle, events: u32) -> Win32<i32> {
    let socket = Sock::get(cx, s)?;
    let event = if event.is_null() || events == 0 {
        None
    } else {
        match cx.object::<Event>(event, 0) {
            Ok(event) => Some(event.to_arc()),
            Err(_) => return fail(ws::WSAEINVAL),
        }
    };
    socket.select_events(event, events).ws()?;
    Ok(0)
}

/// Discovers occurrences of network events, clears their record, and resets the event object.
#[shim(ws2_32, fails = -1)]
fn WSAEnumNetworkEvents(cx: &Cx, s: Handle, event: Handle, out: Ptr<NetworkEvents>) -> Win32<i32> {
    let socket = Sock::get(cx, s)?;
    if !event.is_null() {
        match cx.object::<Event>(event, 0) {
            Ok(event) => event.reset(),
            Err(_) => return fail(ws::WSAEINVAL),
        };
    }
    let happened = socket.enumerate_events();
    let mut errors = [0; 10];
    let at = |bit: i32| usize::try_from(bit).unwrap_or(0);
    errors[at(ws::FD_CONNECT_BIT.cast_signed())] = happened.connect.map_or(0, winsock);
    errors[at(ws::FD_CLOSE_BIT.cast_signed())] = happened.close.map_or(0, winsock);
    out.write(cx, NetworkEvents { events: happened.events, errors }).ws()?;
    Ok(0)
}
