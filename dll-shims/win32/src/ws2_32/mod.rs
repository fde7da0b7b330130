//! ws2_32.dll: Windows Sockets.

pub(crate) mod winsock2;
