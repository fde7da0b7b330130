//! Layout of the per-thread area that guest code may address (`Cx::guest_area`). `errno` at its start is the SDK's.

use transom_sdk::Cx;

/// `_doserrno`.
pub(crate) const DOSERRNO: u64 = 4;
/// Buffer of `strerror` and `_strerror`, 256 bytes.
pub(crate) const STRERROR: u64 = 0x10;
/// Buffer of `gmtime` and `localtime`, a `struct tm`.
pub(crate) const TM: u64 = 0x110;
/// Buffer of `asctime` and `ctime`, 32 bytes.
pub(crate) const ASCTIME: u64 = 0x140;
/// Buffer of `_wasctime` and `_wctime`, 64 bytes.
pub(crate) const WASCTIME: u64 = 0x160;
/// Buffer of `_ecvt` and `_fcvt`, 360 bytes.
pub(crate) const CVT: u64 = 0x1A0;
/// Buffer of `_wcserror`, 512 bytes.
pub(crate) const WCSERROR: u64 = 0x320;
/// Buffer of `tmpnam`, 64 bytes.
pub(crate) const TMPNAM: u64 = 0x540;
/// Signal number and code of `__pxcptinfoptrs`.
pub(crate) const XCPTINFO: u64 = 0x5C0;
/// `_fpecode`.
pub(crate) const FPECODE: u64 = 0x5C8;

/// Guest address of a place in the calling thread's area.
pub(crate) fn at(cx: &Cx, offset: u64) -> u64 {
    cx.guest_area() + offset
}
