//! The `FILE` structure in guest memory (`struct _iobuf` of msvcrt).

use transom_sdk::{BadAddress, Cx, mem};

/// Opened for reading, or read from last.
pub(crate) const READ: i32 = 0x1;
/// Opened for writing, or written to last.
pub(crate) const WRITE: i32 = 0x2;
/// No buffer.
pub(crate) const NO_BUFFER: i32 = 0x4;
/// The buffer is the runtime's.
pub(crate) const MY_BUFFER: i32 = 0x8;
/// The end was met.
pub(crate) const AT_END: i32 = 0x10;
/// An error happened.
pub(crate) const ERROR: i32 = 0x20;
/// The buffer is a string: no descriptor.
pub(crate) const STRING: i32 = 0x40;
/// Opened for both.
pub(crate) const BOTH: i32 = 0x80;
/// The buffer is the user's.
pub(crate) const USER_BUFFER: i32 = 0x100;
/// Flushes go to the disk (`c` in the mode).
pub(crate) const COMMIT: i32 = 0x4000;

/// Bytes of the structure by pointer width.
pub(crate) const SIZE: [u64; 2] = [32, 48];
/// Streams in `_iob`.
pub(crate) const IOB_COUNT: u64 = 20;
/// Bytes of a buffer.
pub(crate) const BUFFER: i32 = 4096;

/// Offsets of the fields behind `_ptr`, by pointer width.
struct Offsets {
    count: u64,
    base: u64,
    flags: u64,
    descriptor: u64,
    single: u64,
    size: u64,
}

const OFFSETS: [Offsets; 2] = [
    Offsets { count: 4, base: 8, flags: 12, descriptor: 16, single: 20, size: 24 },
    Offsets { count: 8, base: 16, flags: 24, descriptor: 28, single: 32, size: 36 },
];

/// A `FILE` at its guest address.
#[derive(Clone, Copy, Debug)]
pub(crate) struct File {
    pub(crate) at: u64,
    wide: bool,
}

type Result<T> = core::result::Result<T, BadAddress>;

impl File {
    pub(crate) fn new(cx: &Cx, at: u64) -> Self {
        Self { at, wide: cx.is_64() }
    }

    fn offsets(self) -> &'static Offsets {
        &OFFSETS[usize::from(self.wide)]
    }

    fn pointer(self, at: u64) -> Result<u64> {
        if self.wide { mem::read::<u64>(at) } else { mem::read::<u32>(at).map(u64::from) }
    }

    #[expect(clippy::cast_possible_truncation, reason = "a 32-bit guest's pointer")]
    fn set_pointer(self, at: u64, value: u64) -> Result<()> {
        if self.wide { mem::write(at, &value) } else { mem::write(at, &(value as u32)) }
    }

    pub(crate) fn ptr(self) -> Result<u64> {
        self.pointer(self.at)
    }

    pub(crate) fn set_ptr(self, value: u64) -> Result<()> {
        self.set_pointer(self.at, value)
    }

    pub(crate) fn count(self) -> Result<i32> {
        mem::read(self.at + self.offsets().count)
    }

    pub(crate) fn set_count(self, value: i32) -> Result<()> {
        mem::write(self.at + self.offsets().count, &value)
    }

    pub(crate) fn base(self) -> Result<u64> {
        self.pointer(self.at + self.offsets().base)
    }

    pub(crate) fn set_base(self, value: u64) -> Result<()> {
        self.set_pointer(self.at + self.offsets().base, value)
    }

    pub(crate) fn flags(self) -> Result<i32> {
        mem::read(self.at + self.offsets().flags)
    }

    pub(crate) fn set_flags(self, value: i32) -> Result<()> {
        mem::write(self.at + self.offsets().flags, &value)
    }

    /// Sets and clears flags; returns the new ones.
    pub(crate) fn change_flags(self, set: i32, clear: i32) -> Result<i32> {
        let flags = self.flags()? & !clear | set;
        self.set_flags(flags)?;
        Ok(flags)
    }

    pub(crate) fn descriptor(self) -> Result<i32> {
        mem::read(self.at + self.offsets().descriptor)
    }

    pub(crate) fn set_descriptor(self, value: i32) -> Result<()> {
        mem::write(self.at + self.offsets().descriptor, &value)
    }

    /// Address of the two-byte buffer of a stream without one.
    pub(crate) fn single(self) -> u64 {
        self.at + self.offsets().single
    }

    pub(crate) fn size(self) -> Result<i32> {
        mem::read(self.at + self.offsets().size)
    }

    pub(crate) fn set_size(self, value: i32) -> Result<()> {
        mem::write(self.at + self.offsets().size, &value)
    }

    /// Guest addresses of `_base`, `_ptr` and `_cnt` (`_get_stream_buffer_pointers`).
    pub(crate) fn fields(self) -> [u64; 3] {
        [self.at + self.offsets().base, self.at, self.at + self.offsets().count]
    }

    /// Sets all fields of a stream that has just been opened, without a buffer.
    pub(crate) fn reset(self, flags: i32, descriptor: i32) -> Result<()> {
        self.set_ptr(0)?;
        self.set_count(0)?;
        self.set_base(0)?;
        self.set_flags(flags)?;
        self.set_descriptor(descriptor)?;
        self.set_size(0)
    }
}
