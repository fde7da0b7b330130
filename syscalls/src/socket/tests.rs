//! Sockets on the loopback interface.

use std::sync::Arc;
use std::sync::mpsc;

use windows_sys::Win32::Foundation as f;
use windows_sys::Win32::Networking::WinSock as ws;

use super::*;
use crate::file::GuestRange;
use crate::path::Config;
use crate::wait::Deadline;

struct Net(Arc<Files>);

impl Net {
    fn new() -> Self {
        Self(Files::new(&Config::default()).expect("file services"))
    }

    fn socket(&self, kind: i32) -> Arc<FileObject> {
        self.0.create_socket(ws::AF_INET.into(), kind, 0, true).expect("a socket")
    }

    fn loopback(&self, port: u16) -> Address {
        let mut bytes = [0u8; 16];
        bytes[0] = 2;
        bytes[2..4].copy_from_slice(&port.to_be_bytes());
        bytes[4..8].copy_from_slice(&[127, 0, 0, 1]);
        Address::from_windows(&bytes, &self.0.names).expect("an address")
    }

    fn listener(&self) -> (Arc<FileObject>, Address) {
        let file = self.socket(ws::SOCK_STREAM);
        let listener = end(&file);
        listener.bind(&self.loopback(0)).expect("a port");
        listener.listen(5).expect("listening");
        let port = listener.local_address().expect("a name").port();
        (file, self.loopback(port))
    }

    fn pair(&self) -> (Arc<FileObject>, Arc<FileObject>) {
        let (listener, at) = self.listener();
        let client = self.socket(ws::SOCK_STREAM);
        end(&client).connect(&at).expect("a connection");
        let (server, _) = end(&listener).accept().expect("a connection");
        (client, server)
    }
}

fn end(file: &Arc<FileObject>) -> &Socket {
    file.endpoint().expect("a socket")
}

fn send(file: &Arc<FileObject>, bytes: &[u8]) -> Result<usize> {
    end(file).send(&[GuestRange::of(&mut bytes.to_vec())], &Message::default())
}

fn receive(file: &Arc<FileObject>, room: usize) -> Result<Vec<u8>> {
    let mut buffer = vec![0; room];
    let done = end(file).receive(&[GuestRange::of(&mut buffer)], &Message::default())?;
    buffer.truncate(done.bytes);
    Ok(buffer)
}

#[test]
fn a_connection_carries_bytes_and_tells_its_end() {
    let net = Net::new();
    let (client, server) = net.pair();
    assert_eq!(send(&client, b"hello"), Ok(5));
    assert_eq!(receive(&server, 10), Ok(b"hello".to_vec()));
    end(&client).shut(ws::SD_SEND).expect("shut down");
    assert_eq!(receive(&server, 10), Ok(Vec::new()));
    assert_eq!(send(&client, b"x"), Err(Status(f::STATUS_PIPE_DISCONNECTED)));
}

#[test]
fn an_operation_that_pends_ends_when_data_comes() {
    let net = Net::new();
    let (client, server) = net.pair();
    let buffer = Box::leak(Box::new([0u8; 8]));
    let (tell, told) = mpsc::channel();
    let begun =
        end(&server).receive_later(vec![GuestRange::of(buffer)], &Message::default(), 7, move |result| {
            tell.send(result.map(|d| d.bytes)).expect("a receiver")
        });
    assert!(begun.is_none());
    assert_eq!(send(&client, b"abc"), Ok(3));
    assert_eq!(told.recv().expect("an end"), Ok(3));
    assert_eq!(&buffer[..3], b"abc");
}

#[test]
fn a_cancelled_operation_ends_once() {
    let net = Net::new();
    let (_client, server) = net.pair();
    let buffer = Box::leak(Box::new([0u8; 8]));
    let (tell, told) = mpsc::channel();
    let ended = move |result: Result<Done>| tell.send(result.map(|d| d.bytes)).expect("a receiver");
    assert!(
        end(&server).receive_later(vec![GuestRange::of(buffer)], &Message::default(), 7, ended).is_none()
    );
    assert!(!server.cancel_operations(None, Some(8)));
    assert!(server.cancel_operations(None, Some(7)));
    assert!(!server.cancel_operations(None, Some(7)));
    assert_eq!(told.recv().expect("an end"), Err(Status(f::STATUS_CANCELLED)));
}

#[test]
fn a_poll_ends_with_the_state_that_comes_first() {
    let net = Net::new();
    let (client, server) = net.pair();
    let driver = net.0.open_afd(true).expect("the driver");
    let (tell, told) = mpsc::channel();
    let targets = [afd::Target { file: server.clone(), events: poll::RECEIVE | poll::DISCONNECT }];
    let how = afd::How { deadline: Deadline::Never, exclusive: false, context: 1 };
    let begun = afd::poll(&driver, &targets, how, move |r| tell.send(r).expect("a receiver"));
    assert!(begun.is_none());
    send(&client, b"x").expect("room");
    let found = told.recv().expect("an end").expect("a socket");
    assert_eq!((found.len(), found[0].events), (1, poll::RECEIVE));
    // What is so already ends a poll at once.
    let again = afd::poll(&driver, &targets, how, |_| {}).expect("an end").expect("a socket");
    assert_eq!(again[0].events, poll::RECEIVE);
}

#[test]
fn closing_a_polled_socket_ends_the_poll() {
    let net = Net::new();
    let (_client, server) = net.pair();
    let driver = net.0.open_afd(true).expect("the driver");
    let (tell, told) = mpsc::channel();
    let targets = [afd::Target { file: server.clone(), events: poll::RECEIVE }];
    let how = afd::How { deadline: Deadline::Never, exclusive: false, context: 1 };
    assert!(afd::poll(&driver, &targets, how, move |r| tell.send(r).expect("a receiver")).is_none());
    end(&server).close();
    let found = told.recv().expect("an end").expect("a socket");
    assert_eq!(found[0].events, poll::LOCAL_CLOSE);
}

#[test]
fn a_refused_connection_that_does_not_block_is_told_by_polling() {
    let net = Net::new();
    let (listener, at) = net.listener();
    drop(listener);
    let client = net.socket(ws::SOCK_STREAM);
    let socket = end(&client);
    socket.set_nonblocking(true).expect("not blocking");
    assert_eq!(socket.connect(&at), Err(Status(f::STATUS_DEVICE_NOT_READY)));
    let mut watched = [poll::Watched::new(socket, poll::CONNECT | poll::CONNECT_FAIL)];
    assert_eq!(poll::wait(&mut watched, Deadline::Never), Ok(1));
    assert_eq!(watched[0].found, poll::CONNECT_FAIL);
    let error = socket.option(ws::SOL_SOCKET, ws::SO_ERROR).expect("an option");
    assert_eq!(error, ws::WSAECONNREFUSED.to_le_bytes());
}

#[test]
fn a_message_too_long_for_the_buffer_is_cut() {
    let net = Net::new();
    let (a, b) = (net.socket(ws::SOCK_DGRAM), net.socket(ws::SOCK_DGRAM));
    assert_eq!(receive(&b, 4), Err(Status(f::STATUS_INVALID_PARAMETER)));
    end(&b).bind(&net.loopback(0)).expect("a port");
    let to = net.loopback(end(&b).local_address().expect("a name").port());
    let message = Message { to: Some(to), ..Message::default() };
    assert_eq!(end(&a).send(&[GuestRange::of(&mut b"longer".to_vec())], &message), Ok(6));
    let mut buffer = [0; 4];
    let done = end(&b).receive(&[GuestRange::of(&mut buffer)], &Message { from: true, ..Message::default() });
    let done = done.expect("a message");
    assert_eq!((done.bytes, done.truncated, &buffer), (4, true, b"long"));
    assert_eq!(done.from.map(|a| a.port()), end(&a).local_address().ok().map(|a| a.port()));
}

#[test]
fn a_port_in_use_is_refused_unless_both_share_it() {
    let net = Net::new();
    let (listener, at) = net.listener();
    let second = net.socket(ws::SOCK_STREAM);
    assert_eq!(end(&second).bind(&at), Err(Status(f::STATUS_ADDRESS_ALREADY_EXISTS)));
    drop(listener);
    assert_eq!(end(&second).bind(&at), Ok(()));
}
