//! Anonymous pipes, and questions about any pipe end. Ends are [`FileObject`]s, read and written like files.
//!
//! Rules for broken pipes: reading what no one can write to any more is `STATUS_PIPE_BROKEN`
//! (`ERROR_BROKEN_PIPE`) once it is empty; writing to what no one reads is `STATUS_PIPE_CLOSING`
//! (`ERROR_NO_DATA`). Named pipes do not live here.

use crate::file::messages::{Messages, next_size};
use crate::file::{FileObject, Files, GuestRange, Sort};
use crate::named_pipe::Instance;
use crate::status::{Result, Status};
use nix::errno::Errno;
use nix::fcntl::{FcntlArg, OFlag, fcntl};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use std::os::fd::AsRawFd;
use std::sync::Arc;
use windows_sys::Win32::Foundation as f;
use windows_sys::Win32::Storage::FileSystem as fs;
use windows_sys::Win32::System::Pipes as pipes;

/// What a new Linux pipe holds.
const DEFAULT_SIZE: u32 = 64 * 1024;

/// What `PeekNamedPipe` reports.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Peek {
    /// Bytes copied.
    pub copied: usize,
    /// Bytes that can be read.
    pub available: usize,
    /// Bytes of the first message that were not copied, of a message pipe.
    pub left: usize,
}

/// What `GetNamedPipeInfo` reports.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct PipeInfo {
    /// `PIPE_CLIENT_END` or `PIPE_SERVER_END`, and `PIPE_TYPE_BYTE` or `PIPE_TYPE_MESSAGE`.
    pub flags: u32,
    /// Bytes the pipe holds.
    pub buffer: u32,
    /// Instances it may have.
    pub max_instances: u32,
}

impl Files {
    /// Makes a pipe; returns the reading and the writing end. `size` is a hint: Linux pipes hold 64 KiB, more
    /// if asked for and allowed. Source: `CreatePipe`.
    ///
    /// # Errors
    /// `STATUS_TOO_MANY_OPENED_FILES`.
    pub fn create_pipe(self: &Arc<Self>, size: u32) -> Result<(Arc<FileObject>, Arc<FileObject>)> {
        let (reader, writer) = nix::unistd::pipe2(OFlag::O_CLOEXEC)?;
        if size > DEFAULT_SIZE {
            // Beyond the user's limit the pipe stays as it is; a writer then waits earlier.
            let _ = fcntl(&writer, FcntlArg::F_SETPIPE_SZ(i32::try_from(size).unwrap_or(i32::MAX)));
        }
        Ok((
            FileObject::pipe_end(self, reader, fs::FILE_GENERIC_READ),
            FileObject::pipe_end(self, writer, fs::FILE_GENERIC_WRITE | fs::FILE_READ_ATTRIBUTES),
        ))
    }
}

impl FileObject {
    /// Copies what is in the pipe without taking it out. Source: `PeekNamedPipe`; an empty range only counts.
    ///
    /// # Errors
    /// `STATUS_INVALID_DEVICE_REQUEST` if it is no pipe; `STATUS_ACCESS_DENIED` for a writing end;
    /// `STATUS_PIPE_BROKEN` if it is empty and has no writer; `STATUS_ACCESS_VIOLATION`.
    pub fn peek(&self, into: GuestRange) -> Result<Peek> {
        self.require_pipe()?;
        if self.access() & fs::FILE_READ_DATA == 0 {
            return Err(Status(f::STATUS_ACCESS_DENIED));
        }
        let rest = self.messages().map_or(0, Messages::rest_len);
        let available = rest + self.queued()?;
        if available == 0 {
            let mut fds = [PollFd::new(self.fd(), PollFlags::POLLIN)];
            poll(&mut fds, PollTimeout::ZERO)?;
            let events = fds[0].revents().unwrap_or(PollFlags::empty());
            let over = events.intersects(PollFlags::POLLHUP | PollFlags::POLLERR);
            return if over { Err(Status(f::STATUS_PIPE_BROKEN)) } else { Ok(Peek::default()) };
        }
        let message = match self.messages() {
            None => 0,
            Some(_) if rest == 0 => next_size(self.descriptor())?.unwrap_or(0),
            Some(_) => rest,
        };
        let len = into.len.min(available);
        let copied = match self.messages() {
            _ if len == 0 => 0,
            Some(messages) if rest > 0 => messages.peek_rest(into)?,
            _ => self.copy_ahead(GuestRange { len, ..into })?,
        };
        Ok(Peek { copied, available, left: message.saturating_sub(copied) })
    }

    /// Copies from the head of a pipe or socket, leaving the data there.
    fn copy_ahead(&self, into: GuestRange) -> Result<usize> {
        let fd = self.fd().as_raw_fd();
        // SAFETY: the kernel checks the guest's range and writes nowhere else.
        let got =
            unsafe { libc::recv(fd, into.address as *mut _, into.len, libc::MSG_PEEK | libc::MSG_DONTWAIT) };
        match Errno::result(got) {
            Ok(got) => return Ok(got.cast_unsigned()),
            Err(Errno::ENOTSOCK) => {}
            Err(error) => return Err(Status::from(error)),
        }
        let (reader, writer) = nix::unistd::pipe2(OFlag::O_CLOEXEC)?;
        // SAFETY: tee takes only integers.
        Errno::result(unsafe { libc::tee(fd, writer.as_raw_fd(), into.len, libc::SPLICE_F_NONBLOCK) })?;
        drop(writer);
        // SAFETY: the kernel checks the guest's range and writes nowhere else.
        let got = unsafe { libc::read(reader.as_raw_fd(), into.address as *mut _, into.len) };
        Ok(Errno::result(got)?.cast_unsigned())
    }

    /// Facts about a pipe. Source: `GetNamedPipeInfo`.
    ///
    /// # Errors
    /// `STATUS_INVALID_DEVICE_REQUEST` if it is no pipe.
    pub fn pipe_info(&self) -> Result<PipeInfo> {
        self.require_pipe()?;
        let size = fcntl(self.fd(), FcntlArg::F_GETPIPE_SZ).ok();
        let buffer = size.and_then(|size| u32::try_from(size).ok()).unwrap_or(DEFAULT_SIZE);
        // Of an anonymous pipe, the reading end is the server's.
        let end = if self.access() & fs::FILE_READ_DATA != 0 {
            pipes::PIPE_SERVER_END
        } else {
            pipes::PIPE_CLIENT_END
        };
        let end = match (self.is_socket(), self.instance()) {
            (false, _) => end,
            (true, Some(_)) => pipes::PIPE_SERVER_END,
            (true, None) => pipes::PIPE_CLIENT_END,
        };
        let kind = if self.messages().is_some() { pipes::PIPE_TYPE_MESSAGE } else { pipes::PIPE_TYPE_BYTE };
        let max_instances = self.instance().map_or(1, Instance::most);
        Ok(PipeInfo { flags: end | kind, buffer, max_instances })
    }

    /// `PIPE_WAIT` or `PIPE_NOWAIT`, with `PIPE_READMODE_BYTE` or `PIPE_READMODE_MESSAGE`. Source: `GetNamedPipeHandleStateW`.
    ///
    /// # Errors
    /// `STATUS_INVALID_DEVICE_REQUEST` if it is no pipe.
    pub fn pipe_mode(&self) -> Result<u32> {
        self.require_pipe()?;
        let by_message = self.messages().is_some_and(Messages::reads_by_message);
        let read = if by_message { pipes::PIPE_READMODE_MESSAGE } else { pipes::PIPE_READMODE_BYTE };
        Ok(read | if self.is_nowait() { pipes::PIPE_NOWAIT } else { pipes::PIPE_WAIT })
    }

    /// Sets `PIPE_WAIT` or `PIPE_NOWAIT`, and the read mode. Source: `SetNamedPipeHandleState`.
    ///
    /// # Errors
    /// `STATUS_INVALID_DEVICE_REQUEST` if it is no pipe; `STATUS_INVALID_PARAMETER` for message mode of a pipe
    /// that carries bytes.
    pub fn set_pipe_mode(&self, mode: u32) -> Result<()> {
        self.require_pipe()?;
        let by_message = mode & pipes::PIPE_READMODE_MESSAGE != 0;
        if mode & !(pipes::PIPE_NOWAIT | pipes::PIPE_READMODE_MESSAGE) != 0
            || (by_message && self.messages().is_none())
        {
            return Err(Status(f::STATUS_INVALID_PARAMETER));
        }
        if let Some(messages) = self.messages() {
            messages.set_reads_by_message(by_message);
        }
        let nowait = mode & pipes::PIPE_NOWAIT != 0;
        self.make_nonblocking(nowait)?;
        self.set_nowait(nowait);
        Ok(())
    }

    /// Has Linux wait, or not.
    pub(crate) fn make_nonblocking(&self, nonblocking: bool) -> Result<()> {
        let mut flags = OFlag::from_bits_retain(fcntl(self.fd(), FcntlArg::F_GETFL)?);
        flags.set(OFlag::O_NONBLOCK, nonblocking);
        fcntl(self.fd(), FcntlArg::F_SETFL(flags))?;
        Ok(())
    }

    /// Bytes that were written at this end and that the other one has not read, as far as Linux tells: for a socket, with what
    /// keeping them costs.
    ///
    /// # Errors
    /// `STATUS_INVALID_DEVICE_REQUEST` if it is no pipe.
    pub fn unread(&self) -> Result<u32> {
        self.require_pipe()?;
        let request = if self.is_socket() { libc::TIOCOUTQ } else { libc::FIONREAD };
        let mut count: libc::c_int = 0;
        // SAFETY: the request writes one int.
        Errno::result(unsafe { libc::ioctl(self.fd().as_raw_fd(), request, &raw mut count) })?;
        Ok(u32::try_from(count).unwrap_or(0))
    }

    fn require_pipe(&self) -> Result<()> {
        if self.sort() == Sort::Pipe { Ok(()) } else { Err(Status(f::STATUS_INVALID_DEVICE_REQUEST)) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::file::Position;
    use crate::path::Config;

    fn pipe(size: u32) -> (Arc<FileObject>, Arc<FileObject>) {
        let files = Files::new(&Config::default()).expect("file services");
        files.create_pipe(size).expect("a pipe")
    }

    fn put(pipe: &FileObject, bytes: &[u8]) -> Result<usize> {
        pipe.write(GuestRange::of(&mut bytes.to_vec()), Position::Current)
    }

    fn get(pipe: &FileObject, len: usize) -> Result<Vec<u8>> {
        let mut buffer = vec![0; len];
        let got = pipe.read(GuestRange::of(&mut buffer), Position::Current)?;
        buffer.truncate(got);
        Ok(buffer)
    }

    #[test]
    fn bytes_go_through_and_the_end_is_told() {
        let (reader, writer) = pipe(0);
        assert_eq!(reader.file_type(), fs::FILE_TYPE_PIPE);
        assert_eq!(put(&writer, b"hello"), Ok(5));
        assert_eq!(get(&reader, 3), Ok(b"hel".to_vec()));
        assert_eq!(get(&reader, 30), Ok(b"lo".to_vec()));
        assert_eq!(put(&reader, b"x"), Err(Status(f::STATUS_ACCESS_DENIED)));
        assert_eq!(get(&writer, 1), Err(Status(f::STATUS_ACCESS_DENIED)));
        drop(writer);
        assert_eq!(get(&reader, 1), Err(Status(f::STATUS_PIPE_BROKEN)));
    }

    #[test]
    fn a_thread_that_is_to_end_stops_reading() {
        let (reader, _writer) = pipe(0);
        let (tell, told) = std::sync::mpsc::channel();
        let thread = std::thread::spawn(move || {
            tell.send(crate::thread::current().to_arc()).expect("a receiver");
            get(&reader, 1)
        });
        told.recv().expect("a thread").terminate(1);
        assert_eq!(thread.join().expect("an end"), Err(Status(f::STATUS_THREAD_IS_TERMINATING)));
    }

    #[test]
    fn nobody_reads() {
        let (reader, writer) = pipe(0);
        drop(reader);
        assert_eq!(put(&writer, b"x"), Err(Status(f::STATUS_PIPE_CLOSING)));
    }

    #[test]
    fn peeking_takes_nothing() {
        let (reader, writer) = pipe(0);
        let mut buffer = [0u8; 4];
        assert_eq!(reader.peek(GuestRange::of(&mut buffer)), Ok(Peek::default()));
        put(&writer, b"abcdef").expect("room");
        assert_eq!(reader.peek(GuestRange::new(0, 0)), Ok(Peek { copied: 0, available: 6, left: 0 }));
        assert_eq!(reader.peek(GuestRange::of(&mut buffer)), Ok(Peek { copied: 4, available: 6, left: 0 }));
        assert_eq!(&buffer, b"abcd");
        assert_eq!(reader.peek(GuestRange::new(16, 4)), Err(Status(f::STATUS_ACCESS_VIOLATION)));
        assert_eq!(writer.peek(GuestRange::new(0, 0)), Err(Status(f::STATUS_ACCESS_DENIED)));
        drop(writer);
        assert_eq!(get(&reader, 9), Ok(b"abcdef".to_vec()));
        assert_eq!(reader.peek(GuestRange::new(0, 0)), Err(Status(f::STATUS_PIPE_BROKEN)));
    }

    #[test]
    fn sizes_and_modes() {
        let (reader, writer) = pipe(200_000);
        assert!(writer.pipe_info().expect("a pipe").buffer >= 200_000);
        assert_eq!(reader.pipe_mode(), Ok(pipes::PIPE_WAIT));
        assert_eq!(reader.set_pipe_mode(pipes::PIPE_NOWAIT), Ok(()));
        assert_eq!(get(&reader, 1), Err(Status(f::STATUS_PIPE_EMPTY)));
        assert_eq!(writer.set_pipe_mode(pipes::PIPE_NOWAIT), Ok(()));
        let room = usize::try_from(writer.pipe_info().expect("a pipe").buffer).expect("a size");
        assert_eq!(put(&writer, &vec![0; room + 5]), Ok(room));
        assert_eq!(put(&writer, b"x"), Ok(0));
        assert_eq!(
            reader.set_pipe_mode(pipes::PIPE_READMODE_MESSAGE),
            Err(Status(f::STATUS_INVALID_PARAMETER))
        );
    }
}
