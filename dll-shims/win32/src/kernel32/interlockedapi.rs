//! `interlockedapi.h`: interlocked singly linked lists, and the Interlocked functions that kernel32 exports to x86 code.
//!
//! # The list header
//! Every exchange replaces the whole header, whose sequence number makes it differ from all earlier states of the list: a
//! thread that read an old first entry cannot put it back. The documented layouts:
//!
//! | guest | header | first half | second half |
//! | --- | --- | --- | --- |
//! | 32-bit | 8 bytes | first entry | depth (16 bits), sequence (16) |
//! | 64-bit | 16 bytes, aligned | depth (16), sequence (48) | first entry (its low 4 bits are free) |
//!
//! An entry may have been taken and freed by another thread before its link is read here; a link that cannot be read
//! is therefore only an error if the header is still the same.

use transom_sdk::{BadAddress, Cx, Ptr, Win32, foundation as f, mem, shim};

/// A list header's contents.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Header {
    first: u64,
    depth: u16,
    sequence: u64,
}

const SEQUENCE_64: u64 = (1 << 48) - 1;
const SEQUENCE_32: u64 = 0xFFFF;

/// The low 16 bits.
#[expect(clippy::cast_possible_truncation, reason = "the low bits are what is asked for")]
fn low16(value: u64) -> u16 {
    value as u16
}

impl Header {
    fn from_wide(halves: [u64; 2]) -> Self {
        Self { first: halves[1] & !0xF, depth: low16(halves[0]), sequence: halves[0] >> 16 }
    }

    fn to_wide(self) -> [u64; 2] {
        [u64::from(self.depth) | (self.sequence & SEQUENCE_64) << 16, self.first]
    }

    fn from_narrow(word: u64) -> Self {
        Self { first: word & 0xFFFF_FFFF, depth: low16(word >> 32), sequence: word >> 48 }
    }

    fn to_narrow(self) -> u64 {
        self.first | u64::from(self.depth) << 32 | (self.sequence & SEQUENCE_32) << 48
    }
}

/// A list header in guest memory.
#[derive(Clone, Copy)]
struct List {
    at: u64,
    wide: bool,
}

impl List {
    fn load(self) -> Result<Header, BadAddress> {
        if self.wide {
            // The halves may be of two states; the exchange finds that out.
            let halves = [mem::atomic::load64(self.at)?, mem::atomic::load64(self.at.wrapping_add(8))?];
            return Ok(Header::from_wide(halves));
        }
        Ok(Header::from_narrow(mem::atomic::load64(self.at)?))
    }

    /// Whether the header was `old` and is `new` now.
    fn exchange(self, old: Header, new: Header) -> Result<bool, BadAddress> {
        if self.wide {
            let expected = old.to_wide();
            return Ok(mem::atomic::compare_exchange128(self.at, expected, new.to_wide())? == expected);
        }
        let expected = old.to_narrow();
        Ok(mem::atomic::compare_exchange64(self.at, expected, new.to_narrow())? == expected)
    }

    fn push(self, cx: &Cx, first: Ptr<u8>, last: Ptr<usize>, count: u16) -> Win32<Ptr<u8>> {
        loop {
            let old = self.load()?;
            last.write(cx, super::process_arg::word(old.first)?)?;
            let new = Header {
                first: first.addr(),
                depth: old.depth.wrapping_add(count),
                sequence: old.sequence.wrapping_add(1),
            };
            if self.exchange(old, new)? {
                return Ok(Ptr::new(old.first));
            }
        }
    }

    fn pop(self, cx: &Cx) -> Win32<Ptr<u8>> {
        loop {
            let old = self.load()?;
            if old.first == 0 {
                return Ok(Ptr::NULL);
            }
            let next = match Ptr::<usize>::new(old.first).read(cx) {
                Ok(next) => next as u64,
                Err(_) if self.load()? != old => continue,
                Err(bad) => return Err(bad.into()),
            };
            let new = Header {
                first: next,
                depth: old.depth.wrapping_sub(1),
                sequence: old.sequence.wrapping_add(1),
            };
            if self.exchange(old, new)? {
                return Ok(Ptr::new(old.first));
            }
        }
    }

    fn flush(self) -> Win32<Ptr<u8>> {
        loop {
            let old = self.load()?;
            if old.first == 0 {
                return Ok(Ptr::NULL);
            }
            let new = Header { first: 0, depth: 0, sequence: old.sequence.wrapping_add(1) };
            if self.exchange(old, new)? {
                return Ok(Ptr::new(old.first));
            }
        }
    }
}

/// The header at an address. As on Windows, one that is not aligned raises an exception.
fn list(cx: &Cx, header: Ptr<u8>) -> List {
    let wide = cx.is_64();
    if wide && !header.addr().is_multiple_of(16) {
        cx.raise_status(f::STATUS_DATATYPE_MISALIGNMENT);
    }
    List { at: header.addr(), wide }
}

/// Initializes the head of a singly linked list.
#[shim(kernel32, ntdll(RtlInitializeSListHead))]
fn InitializeSListHead(cx: &Cx, header: Ptr<u8>) -> Win32<()> {
    let list = list(cx, header);
    mem::write(list.at, &0u64)?;
    if list.wide {
        mem::write(list.at.wrapping_add(8), &0u64)?;
    }
    Ok(())
}

/// Inserts an item at the front of a singly linked list; returns the first one before.
#[shim(kernel32, ntdll(RtlInterlockedPushEntrySList))]
fn InterlockedPushEntrySList(cx: &Cx, header: Ptr<u8>, entry: Ptr<u8>) -> Win32<Ptr<u8>> {
    list(cx, header).push(cx, entry, entry.cast(), 1)
}

/// Inserts a singly linked list at the front of another one; returns the first entry before.
#[shim(kernel32, ntdll(RtlInterlockedPushListSListEx))]
fn InterlockedPushListSListEx(
    cx: &Cx,
    header: Ptr<u8>,
    first: Ptr<u8>,
    last: Ptr<u8>,
    count: u32,
) -> Win32<Ptr<u8>> {
    list(cx, header).push(cx, first, last.cast(), low16(count.into()))
}

/// Removes an item from the front of a singly linked list; NULL if it is empty.
#[shim(kernel32, ntdll(RtlInterlockedPopEntrySList))]
fn InterlockedPopEntrySList(cx: &Cx, header: Ptr<u8>) -> Win32<Ptr<u8>> {
    list(cx, header).pop(cx)
}

/// Removes all items from a singly linked list; returns them.
#[shim(kernel32, ntdll(RtlInterlockedFlushSList))]
fn InterlockedFlushSList(cx: &Cx, header: Ptr<u8>) -> Win32<Ptr<u8>> {
    list(cx, header).flush()
}

/// Retrieves the number of entries in the specified singly linked list, modulo 65536.
#[shim(kernel32, ntdll(RtlQueryDepthSList))]
fn QueryDepthSList(cx: &Cx, header: Ptr<u8>) -> Win32<u16> {
    Ok(list(cx, header).load()?.depth)
}

/// Retrieves the first entry of a singly linked list.
#[shim(ntdll)]
fn RtlFirstEntrySList(cx: &Cx, header: Ptr<u8>) -> Win32<Ptr<u8>> {
    Ok(Ptr::new(list(cx, header).load()?.first))
}

/// Increments a 32-bit variable as an atomic operation; returns the new value.
#[shim(kernel32, leaf = transom_cpu::leaf::interlocked::interlocked_increment)]
fn InterlockedIncrement(at: Ptr<u32>) -> Win32<u32> {
    Ok(mem::atomic::add32(at.addr(), 1)?.wrapping_add(1))
}

/// Decrements a 32-bit variable as an atomic operation; returns the new value.
#[shim(kernel32, leaf = transom_cpu::leaf::interlocked::interlocked_decrement)]
fn InterlockedDecrement(at: Ptr<u32>) -> Win32<u32> {
    Ok(mem::atomic::add32(at.addr(), u32::MAX)?.wrapping_sub(1))
}

/// Sets a 32-bit variable as an atomic operation; returns the previous value.
#[shim(kernel32, leaf = transom_cpu::leaf::interlocked::interlocked_exchange)]
fn InterlockedExchange(at: Ptr<u32>, value: u32) -> Win32<u32> {
    Ok(mem::atomic::swap32(at.addr(), value)?)
}

/// Adds to a 32-bit variable as an atomic operation; returns the previous value.
#[shim(kernel32, leaf = transom_cpu::leaf::interlocked::interlocked_exchange_add)]
fn InterlockedExchangeAdd(at: Ptr<u32>, value: u32) -> Win32<u32> {
    Ok(mem::atomic::add32(at.addr(), value)?)
}

/// Sets a 32-bit variable if it has the value expected, as an atomic operation; returns the previous value.
#[shim(kernel32, leaf = transom_cpu::leaf::interlocked::interlocked_compare_exchange)]
fn InterlockedCompareExchange(at: Ptr<u32>, value: u32, expected: u32) -> Win32<u32> {
    Ok(mem::atomic::compare_exchange32(at.addr(), expected, value)?)
}

/// Sets a 64-bit variable if it has the value expected, as an atomic operation; returns the previous value.
#[shim(
    kernel32,
    ntdll(RtlInterlockedCompareExchange64),
    leaf = transom_cpu::leaf::interlocked::interlocked_compare_exchange_64
)]
fn InterlockedCompareExchange64(at: Ptr<u64>, value: u64, expected: u64) -> Win32<u64> {
    Ok(mem::atomic::compare_exchange64(at.addr(), expected, value)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn headers_keep_their_parts() {
        let header = Header { first: 0x7FFF_1234_5670, depth: 3, sequence: SEQUENCE_64 };
        assert!(Header::from_wide(header.to_wide()) == header);
        let header = Header { first: 0xFFFF_1238, depth: 0xFFFF, sequence: 7 };
        assert!(Header::from_narrow(header.to_narrow()) == header);
        let wrapped = Header { sequence: SEQUENCE_32 + 1, ..header };
        assert_eq!(Header::from_narrow(wrapped.to_narrow()).sequence, 0);
    }
}
