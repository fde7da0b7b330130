//! Variable arguments and guest buffers for the printf and scanf engines.

use transom_sdk::{BadAddress, CrtError, VarArgs, mem};

use super::errno;
use super::guest::{self, GuestUnit};
use crate::format::{self, ArgSource, Sink};
use crate::scan::{self, Target};

/// The engine's view of a guest's variable arguments. Keeps the bad address of a fault.
pub(crate) struct GuestArgs {
    args: VarArgs,
    /// Whether pointers are 8 bytes wide.
    wide: bool,
    fault: Option<BadAddress>,
}

impl GuestArgs {
    pub(crate) fn new(cx: &transom_sdk::Cx, args: VarArgs) -> Self {
        Self { args, wide: cx.is_64(), fault: None }
    }

    /// The error to raise after the engine has reported a fault of the arguments.
    pub(crate) fn fault(&self) -> Option<BadAddress> {
        self.fault
    }

    fn note<T>(&mut self, result: Result<T, BadAddress>) -> format::Result<T> {
        result.map_err(|bad| {
            self.fault = Some(bad);
            format::Error::Fault
        })
    }
}

impl ArgSource for GuestArgs {
    fn int32(&mut self) -> format::Result<u32> {
        let value = self.args.int32();
        self.note(value)
    }

    fn int64(&mut self) -> format::Result<u64> {
        let value = self.args.int64();
        self.note(value)
    }

    fn pointer(&mut self) -> format::Result<u64> {
        let value = self.args.pointer();
        self.note(value)
    }

    fn double(&mut self) -> format::Result<f64> {
        let value = self.args.double();
        self.note(value)
    }

    fn narrow(&mut self, at: u64, to: &mut [u8]) -> format::Result<usize> {
        let n = guest::copy_until_nul(at, to);
        self.note(n)
    }

    fn wide(&mut self, at: u64, to: &mut [u16]) -> format::Result<usize> {
        let n = guest::copy_until_nul(at, to);
        self.note(n)
    }

    fn counted(&mut self, at: u64) -> format::Result<(u16, u64)> {
        let length = mem::read::<u16>(at);
        let length = self.note(length)?;
        let buffer =
            if self.wide { mem::read::<u64>(at + 8) } else { mem::read::<u32>(at + 4).map(u64::from) };
        Ok((length, self.note(buffer)?))
    }

    fn store(&mut self, at: u64, size: u8, count: u64) -> format::Result<()> {
        let bytes = count.to_le_bytes();
        let done = mem::copy_out(at, &bytes[..usize::from(size).min(8)]);
        self.note(done)
    }
}

/// Scanf's view of the same.
pub(crate) struct GuestTargets(pub(crate) GuestArgs);

impl Target for GuestTargets {
    fn pointer(&mut self) -> scan::Result<u64> {
        ArgSource::pointer(&mut self.0).map_err(|_| scan::Error::Fault)
    }

    fn size(&mut self) -> scan::Result<u64> {
        ArgSource::int32(&mut self.0).map(u64::from).map_err(|_| scan::Error::Fault)
    }

    fn store(&mut self, at: u64, bytes: &[u8]) -> scan::Result<()> {
        let done = mem::copy_out(at, bytes);
        self.0.note(done).map_err(|_| scan::Error::Fault)
    }
}

/// A sink over a guest buffer that keeps what fits.
pub(crate) struct GuestSink {
    at: u64,
    /// Units that still fit.
    room: usize,
    pub(crate) fault: Option<BadAddress>,
}

impl GuestSink {
    /// A buffer at `at` that takes `room` units.
    pub(crate) fn new(at: u64, room: usize) -> Self {
        Self { at, room, fault: None }
    }
}

impl<U: GuestUnit> Sink<U> for GuestSink {
    fn put(&mut self, units: &[U]) -> format::Result<()> {
        let kept = &units[..units.len().min(self.room)];
        if kept.is_empty() {
            return Ok(());
        }
        mem::write_slice(self.at, kept).map_err(|bad| {
            self.fault = Some(bad);
            format::Error::Fault
        })?;
        self.at += kept.len() as u64 * U::BYTES;
        self.room -= kept.len();
        Ok(())
    }

    fn fill(&mut self, unit: U, count: usize) -> format::Result<()> {
        let block = [unit; 32];
        let mut left = count.min(self.room);
        while left > 0 {
            let n = left.min(block.len());
            self.put(&block[..n])?;
            left -= n;
        }
        Ok(())
    }
}

/// The error of a shim for an engine's error; `fault` is what the arguments or the sink noted.
pub(crate) fn crt_error(error: format::Error, fault: Option<BadAddress>) -> CrtError {
    match (error, fault) {
        (format::Error::Fault, Some(bad)) => CrtError::Fault(bad),
        (format::Error::IllegalSequence, _) => CrtError::Errno(errno::EILSEQ),
        (format::Error::Overflow, _) => CrtError::Errno(errno::EOVERFLOW),
        _ => CrtError::Errno(errno::EINVAL),
    }
}
