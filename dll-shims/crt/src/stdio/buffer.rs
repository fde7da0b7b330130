//! Moving data between a stream's buffer and its descriptor.
//!
//! `_cnt` is the number of bytes left to read, or the room left to write. It is 0 after a flush or a change of direction, so that
//! a program's own `getc` and `putc` macros come here.

use std::sync::atomic::Ordering;

use transom_sdk::{Crt, CrtError, Cx, mem};

use super::file::{
    AT_END, BOTH, BUFFER, COMMIT, ERROR, MY_BUFFER, NO_BUFFER, READ, STRING, USER_BUFFER, WRITE,
};
use super::stream::{self, Locked};
use crate::io;
use crate::rt::errno::EBADF;

/// A count that fits `_cnt`.
fn int(n: usize) -> i32 {
    i32::try_from(n).unwrap_or(i32::MAX)
}

fn unsigned(n: i32) -> usize {
    usize::try_from(n).unwrap_or(0)
}

impl Locked<'_> {
    /// Gives the stream a buffer if it has none.
    fn want_buffer(&self, flags: i32) -> Crt<i32> {
        if self.file.base()? != 0 || flags & (NO_BUFFER | STRING) != 0 {
            if flags & NO_BUFFER != 0 && self.file.base()? == 0 {
                self.file.set_base(self.file.single())?;
                self.file.set_ptr(self.file.single())?;
                self.file.set_size(2)?;
            }
            return Ok(flags);
        }
        let device = io::get(self.cx, self.file.descriptor()?).is_ok_and(|d| d.device);
        let iob = stream::iob(self.cx)?;
        let second = self.file.at > iob && self.file.at <= stream::standard(self.cx, 2)?.addr();
        let error = self.file.at == stream::standard(self.cx, 2)?.addr();
        // Standard error never waits in a buffer, nor does output to a terminal.
        if (second && device) || error {
            let flags = self.file.change_flags(NO_BUFFER, 0)?;
            return self.want_buffer(flags);
        }
        match self.cx.heaps().process().alloc(u64::from(BUFFER.unsigned_abs()), false) {
            Some(base) => {
                self.file.set_base(base)?;
                self.file.set_ptr(base)?;
                self.file.set_size(BUFFER)?;
                Ok(self.file.change_flags(MY_BUFFER, 0)?)
            }
            None => {
                let flags = self.file.change_flags(NO_BUFFER, 0)?;
                self.want_buffer(flags)
            }
        }
    }

    /// Notes an error in the flags.
    fn error(&self, error: CrtError) -> CrtError {
        let _ = self.file.change_flags(ERROR, 0);
        error
    }

    /// Writes what the buffer holds.
    pub(crate) fn flush(&self) -> Crt<()> {
        let flags = self.file.flags()?;
        if flags & (READ | WRITE) == WRITE && flags & (NO_BUFFER | STRING) == 0 {
            let (base, ptr) = (self.file.base()?, self.file.ptr()?);
            let held = usize::try_from(ptr.saturating_sub(base)).unwrap_or(0);
            if base != 0 && held > 0 {
                // The buffer counts as empty even if writing fails, as it does in the runtimes.
                self.file.set_ptr(base)?;
                self.file.set_count(0)?;
                let written = io::write(self.cx, self.file.descriptor()?, base, held);
                if !matches!(written, Ok(n) if n == held) {
                    return Err(self.error(written.err().unwrap_or(CrtError::Errno(28))));
                }
            }
            self.file.set_count(0)?;
            if flags & BOTH != 0 {
                self.file.change_flags(0, WRITE)?;
            }
        }
        Ok(())
    }

    /// `fflush`: also to the disk if the stream was opened so.
    pub(crate) fn flush_and_commit(&self) -> Crt<()> {
        self.flush()?;
        if self.file.flags()? & COMMIT != 0 {
            crate::io::lowio::commit(self.cx, self.file.descriptor()?)?;
        }
        Ok(())
    }

    /// Fills the buffer; returns how many bytes it holds, 0 at the end.
    fn fill(&self) -> Crt<usize> {
        let mut flags = self.file.flags()?;
        if flags & STRING != 0 {
            return Ok(0);
        }
        if flags & WRITE != 0 && flags & READ == 0 {
            if flags & BOTH == 0 {
                return Err(self.error(CrtError::Errno(EBADF)));
            }
            self.flush()?;
        }
        if flags & (READ | WRITE | BOTH) == 0 {
            return Err(self.error(CrtError::Errno(EBADF)));
        }
        flags = self.file.change_flags(READ, WRITE)?;
        self.want_buffer(flags)?;
        let (base, size) = (self.file.base()?, unsigned(self.file.size()?));
        let size = if flags & NO_BUFFER != 0 { 1 } else { size };
        self.file.set_ptr(base)?;
        self.file.set_count(0)?;
        let fd = self.file.descriptor()?;
        // A wide character takes two bytes also in a stream without a buffer.
        let unicode = io::get(self.cx, fd)?.mode >= crate::text_mode::Mode::Utf8;
        let (n, raw) = io::read(self.cx, fd, base, if unicode { size.max(2) } else { size })
            .map_err(|e| self.error(e))?;
        self.stream.raw.store(i64::try_from(raw).unwrap_or(0), Ordering::Relaxed);
        if n == 0 {
            self.file.change_flags(AT_END, 0)?;
        } else {
            self.file.set_count(int(n))?;
        }
        Ok(n)
    }

    /// The next byte; `None` at the end.
    pub(crate) fn get(&self) -> Crt<Option<u8>> {
        let count = self.file.count()?;
        if count <= 0 && self.fill()? == 0 {
            return Ok(None);
        }
        let count = if count <= 0 { self.file.count()? } else { count };
        let ptr = self.file.ptr()?;
        let byte = mem::read(ptr)?;
        self.file.set_ptr(ptr + 1)?;
        self.file.set_count(count - 1)?;
        Ok(Some(byte))
    }

    /// What the buffer holds, filled if it is empty: address and length, 0 at the end.
    pub(crate) fn available(&self) -> Crt<(u64, usize)> {
        let count = self.file.count()?;
        let count = if count <= 0 { self.fill()? } else { unsigned(count) };
        Ok((self.file.ptr()?, count))
    }

    /// Takes bytes off the front of the buffer.
    pub(crate) fn consume(&self, n: usize) -> Crt<()> {
        self.file.set_ptr(self.file.ptr()? + n as u64)?;
        Ok(self.file.set_count(self.file.count()? - int(n))?)
    }

    /// Reads up to `len` bytes into memory at `to`; returns how many, fewer only at the end. An error after some bytes is
    /// noted in the stream.
    pub(crate) fn read(&self, to: u64, len: usize) -> Crt<usize> {
        let mut done = 0;
        while done < len {
            let count = unsigned(self.file.count()?);
            let rest = len - done;
            let flags = self.file.flags()?;
            let size =
                if flags & (MY_BUFFER | USER_BUFFER) != 0 { unsigned(self.file.size()?) } else { 4096 };
            let direct = count == 0 && rest >= size && flags & (STRING | WRITE) == 0 && flags & READ != 0;
            let step = if direct {
                // Whole buffers go straight to their place.
                let block = rest - rest % size.max(1);
                let (n, _) = io::read(self.cx, self.file.descriptor()?, to + done as u64, block)
                    .map_err(|e| self.error(e))?;
                if n == 0 {
                    self.file.change_flags(AT_END, 0)?;
                }
                n
            } else {
                let (from, held) = self.available()?;
                let n = held.min(rest);
                mem::copy_within(to + done as u64, from, n)?;
                self.consume(n)?;
                n
            };
            if step == 0 {
                break;
            }
            done += step;
        }
        Ok(done)
    }

    /// Puts a byte back.
    pub(crate) fn unget(&self, byte: u8) -> Crt<bool> {
        let flags = self.file.flags()?;
        if flags & READ == 0 && !(flags & BOTH != 0 && flags & WRITE == 0) {
            return Ok(false);
        }
        self.want_buffer(flags)?;
        let (base, ptr, count) = (self.file.base()?, self.file.ptr()?, self.file.count()?);
        let ptr = if ptr == base {
            if count > 0 {
                return Ok(false);
            }
            base + 1
        } else {
            ptr
        };
        if flags & STRING == 0 || mem::read::<u8>(ptr - 1)? != byte {
            mem::write(ptr - 1, &byte)?;
        }
        self.file.set_ptr(ptr - 1)?;
        self.file.set_count(count.max(0) + 1)?;
        self.file.change_flags(READ, AT_END)?;
        Ok(true)
    }

    /// Makes the stream ready to write; returns its flags.
    fn begin_write(&self) -> Crt<i32> {
        let flags = self.file.flags()?;
        if flags & (WRITE | BOTH) == 0 || flags & STRING != 0 {
            return Err(self.error(CrtError::Errno(EBADF)));
        }
        if flags & READ != 0 {
            // Only at the end, or after a positioning, may reading turn into writing.
            if flags & AT_END == 0 && self.file.count()? > 0 {
                return Err(self.error(CrtError::Errno(EBADF)));
            }
            self.file.set_ptr(self.file.base()?)?;
            self.file.set_count(0)?;
        }
        if flags & (READ | WRITE | AT_END) != WRITE {
            self.file.change_flags(WRITE, READ | AT_END)?;
        }
        self.want_buffer(self.file.flags()?)
    }

    /// Writes bytes from memory at `from` (the guest's, or a host buffer's address).
    pub(crate) fn write(&self, from: u64, len: usize) -> Crt<usize> {
        let flags = self.begin_write()?;
        if flags & NO_BUFFER != 0 {
            return io::write(self.cx, self.file.descriptor()?, from, len).map_err(|e| self.error(e));
        }
        let size = unsigned(self.file.size()?);
        let base = self.file.base()?;
        let mut done = 0;
        while done < len {
            let held = usize::try_from(self.file.ptr()?.saturating_sub(base)).unwrap_or(0);
            let rest = len - done;
            if held == 0 {
                // Appending begins at the end, so that the position is right before the first flush.
                let fd = self.file.descriptor()?;
                if io::get(self.cx, fd).is_ok_and(|d| d.append) {
                    let _ = io::seek(self.cx, fd, 0, 2);
                }
            }
            if held == 0 && rest >= size {
                let block = rest - rest % size.max(1);
                let n = io::write(self.cx, self.file.descriptor()?, from + done as u64, block)
                    .map_err(|e| self.error(e))?;
                done += n;
                if n < block {
                    self.file.change_flags(ERROR, 0)?;
                    return Ok(done);
                }
                continue;
            }
            let n = rest.min(size.saturating_sub(held));
            mem::copy_within(base + held as u64, from + done as u64, n)?;
            self.file.set_ptr(base + (held + n) as u64)?;
            self.file.set_count(int(size - held - n))?;
            done += n;
            if held + n >= size {
                self.flush()?;
                self.file.change_flags(WRITE, 0)?;
            }
        }
        Ok(done)
    }

    /// Writes a host buffer.
    pub(crate) fn write_host(&self, bytes: &[u8]) -> Crt<usize> {
        self.write(bytes.as_ptr().addr() as u64, bytes.len())
    }

    /// Writes one byte.
    pub(crate) fn put(&self, byte: u8) -> Crt<()> {
        let (count, flags) = (self.file.count()?, self.file.flags()?);
        if count > 0 && flags & (READ | WRITE | NO_BUFFER) == WRITE {
            let ptr = self.file.ptr()?;
            mem::write(ptr, &byte)?;
            self.file.set_ptr(ptr + 1)?;
            self.file.set_count(count - 1)?;
            return Ok(());
        }
        self.write_host(&[byte]).map(|_| ())
    }

    /// Lets go of the stream's buffer.
    pub(crate) fn free_buffer(&self) -> Crt<()> {
        let flags = self.file.flags()?;
        if flags & MY_BUFFER != 0 {
            let _ = self.cx.heaps().process().free(self.file.base()?);
        }
        self.file.change_flags(0, MY_BUFFER | USER_BUFFER | NO_BUFFER)?;
        self.file.set_base(0)?;
        self.file.set_ptr(0)?;
        Ok(self.file.set_count(0)?)
    }
}

/// Flushes all streams that were written to; returns how many streams are open. A stream that another thread holds is left
/// alone.
pub(crate) fn flush_all(cx: &Cx) -> usize {
    let all = stream::all(cx);
    for at in &all {
        if let Some(locked) = stream::lock_quietly(cx, *at) {
            // An error is noted in the stream.
            let _ = locked.flush_and_commit();
        }
    }
    all.len()
}
