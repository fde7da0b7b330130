//! `WSAIoctl`.

use transom_sdk::{Cx, Func, Guest, Handle, Ptr, Win32, shim};
use windows_sys::Win32::Networking::WinSock as ws;
use windows_sys::core::GUID;

use super::{Sock, Winsock, fail, mswsock};
use crate::kernel32::fileapi::Overlapped;

/// tcp_keepalive.
#[derive(Guest, Debug, Clone, Copy)]
struct KeepAlive {
    on: u32,
    time: u32,
    interval: u32,
}

/// GUID, as its bytes.
#[derive(Guest, Debug, Clone, Copy)]
struct Guid {
    data1: u32,
    data2: u16,
    data3: u16,
    data4: [u8; 8],
}

/// What is to be answered: a number of so many bytes, or nothing.
struct Answer<'a> {
    cx: &'a Cx,
    out: Ptr<u8>,
    room: u32,
    returned: Ptr<u32>,
}

impl Answer<'_> {
    fn put<T: transom_sdk::GuestData>(&self, value: T) -> Win32<i32> {
        let size = u32::try_from(T::SIZE[usize::from(self.cx.is_64())]).unwrap_or(u32::MAX);
        if self.room < size || self.out.is_null() {
            return fail(ws::WSAEFAULT);
        }
        self.out.cast::<T>().write(self.cx, value).ws()?;
        self.returned.write_opt(self.cx, size).ws()?;
        Ok(0)
    }

    fn nothing(&self) -> Win32<i32> {
        self.returned.write_opt(self.cx, 0).ws()?;
        Ok(0)
    }
}

/// Controls the mode of a socket.
#[shim(ws2_32, fails = -1, partial = "the codes that programs use; all are carried out at once")]
fn WSAIoctl(
    cx: &Cx,
    s: Handle,
    code: u32,
    input: Ptr<u8>,
    input_len: u32,
    out: Ptr<u8>,
    room: u32,
    returned: Ptr<u32>,
    _overlapped: Ptr<Overlapped>,
    _routine: Func,
) -> Win32<i32> {
    let socket = Sock::get(cx, s)?;
    let answer = Answer { cx, out, room, returned };
    let number = || if input_len < 4 { fail(ws::WSAEFAULT) } else { input.cast::<u32>().read(cx).ws() };
    match code {
        ws::SIO_GET_EXTENSION_FUNCTION_POINTER => {
            if input_len < 16 {
                return fail(ws::WSAEFAULT);
            }
            let Guid { data1, data2, data3, data4 } = input.cast().read(cx).ws()?;
            answer.put(mswsock::extension(cx, &GUID { data1, data2, data3, data4 })?)
        }
        // No layers: every handle is the one that all of them are made of.
        ws::SIO_BASE_HANDLE | ws::SIO_BSP_HANDLE_SELECT | ws::SIO_BSP_HANDLE_POLL | ws::SIO_BSP_HANDLE => {
            answer.put(s)
        }
        ws::SIO_KEEPALIVE_VALS => {
            if input_len < 12 {
                return fail(ws::WSAEFAULT);
            }
            let values = input.cast::<KeepAlive>().read(cx).ws()?;
            socket.set_keepalive(values.on != 0, values.time, values.interval).ws()?;
            answer.nothing()
        }
        ws::SIO_UDP_CONNRESET => {
            socket.report_resets(number()? != 0);
            answer.nothing()
        }
        // Hints to a network stack that is not Linux'.
        ws::SIO_UDP_NETRESET | ws::SIO_LOOPBACK_FAST_PATH | ws::SIO_TCP_SET_ACK_FREQUENCY => {
            number()?;
            answer.nothing()
        }
        _ => match code.cast_signed() {
            ws::FIONBIO => {
                socket.set_nonblocking(number()? != 0).ws()?;
                answer.nothing()
            }
            ws::FIONREAD => answer.put(socket.available().ws()?),
            ws::SIOCATMARK => answer.put(u32::from(socket.at_mark().ws()?)),
            _ => fail(ws::WSAEOPNOTSUPP),
        },
    }
}
