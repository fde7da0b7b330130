//! Leaf stubs, run as guest code of both machines, against plain Rust.
#![cfg(target_arch = "x86_64")]

mod common;

use std::cmp::Ordering;

use common::leaf::{Guest, PAGE_SIZE, SLOW, both, fenced, pattern};
use common::{assemble, map};
use iced_x86::code_asm::{eax, qword_ptr, r15, rax, rbx, rcx, rsp};
use transom_cpu::context::Context;
use transom_cpu::leaf::stdio::{CROSS_PROCESS_FLAGS, MANY_THREADS};
use transom_cpu::leaf::{LeafFn, context, interlocked, memory, strings, sync, thread, time};
use transom_cpu::machine::Machine;
use transom_cpu::mem;

const LENGTHS: [usize; 12] = [100, 127, 128, 129, 130, 160, 191, 256, 300, 511, 1000, 3000];

#[test]
fn memmove_copies_every_length_and_overlap() {
    both(|guest| {
        let code = guest.leaf(memory::memmove).unwrap();
        let stdcall = guest.leaf(memory::rtl_move_memory).unwrap();
        let (start, end) = fenced(2);
        let bytes = pattern(4096);
        for len in (0..100).chain(LENGTHS) {
            // At both ends of the accessible range, then overlapping by all kinds of distances.
            let n = len as u64;
            mem::copy_out(end - n, &bytes[..len]).unwrap();
            assert_eq!(guest.call(code, &[start, end - n, n]), start);
            assert_eq!(mem::compare(start, &bytes[..len]), Ok(Ordering::Equal), "{len} from the end");
            mem::copy_out(start, &bytes[..len]).unwrap();
            guest.call(stdcall, &[end - n, start, n]);
            assert_eq!(mem::compare(end - n, &bytes[..len]), Ok(Ordering::Equal), "{len} to the end");
            for distance in [0u64, 1, 3, 15, 16, 17, 31, 32, 33, 64, 100, 129] {
                let base = start + 1000;
                for (from, to) in [(base, base + distance), (base + distance, base)] {
                    mem::fill(base - 64, 0xEE, 64).unwrap();
                    mem::copy_out(from, &bytes[..len]).unwrap();
                    guest.call(code, &[to, from, n]);
                    assert_eq!(mem::compare(to, &bytes[..len]), Ok(Ordering::Equal), "{len} over {distance}");
                    assert_eq!(mem::compare(base - 64, &[0xEE; 64]), Ok(Ordering::Equal));
                }
            }
        }
    });
}

#[test]
fn memmove_beyond_the_caches() {
    both(|guest| {
        let code = guest.leaf(memory::memmove).unwrap();
        let len = (12 << 20) + 77;
        let memory = map(3 * len);
        let bytes = pattern(len);
        mem::copy_out(memory + 5, &bytes).unwrap();
        let to = memory + 2 * len as u64 - 1000;
        guest.call(code, &[to, memory + 5, len as u64]);
        assert_eq!(mem::compare(to, &bytes), Ok(Ordering::Equal));
        guest.call(code, &[to - 3, to, len as u64]);
        assert_eq!(mem::compare(to - 3, &bytes), Ok(Ordering::Equal));
    });
}

#[test]
fn memset_fills_exactly() {
    both(|guest| {
        let code = guest.leaf(memory::memset).unwrap();
        let (start, end) = fenced(2);
        for len in (0..100).chain(LENGTHS) {
            for at in [start + 1, start + 33, end - len as u64] {
                mem::fill(start, 0x11, 8192).unwrap();
                assert_eq!(guest.call(code, &[at, 0xFFFF_FFA5, len as u64]), at);
                assert_eq!(mem::copy_in_vec(at, len).unwrap(), vec![0xA5; len]);
                assert_eq!(mem::read::<u8>(at - 1), Ok(0x11));
                if at + (len as u64) < end {
                    assert_eq!(mem::read::<u8>(at + len as u64), Ok(0x11));
                }
            }
        }
    });
}

#[test]
fn memcmp_and_memchr() {
    both(|guest| {
        let compare = guest.leaf(memory::memcmp).unwrap();
        let find = guest.leaf(memory::memchr).unwrap();
        let (_, end) = fenced(1);
        let (_, other) = fenced(1);
        for len in 0..70u64 {
            let bytes = vec![0x80u8; usize::try_from(len).unwrap()];
            mem::copy_out(end - len, &bytes).unwrap();
            mem::copy_out(other - len, &bytes).unwrap();
            assert_eq!(guest.int(compare, &[end - len, other - len, len]), 0);
            assert_eq!(guest.call(find, &[end - len, 7, len]), 0);
            for i in 0..len {
                mem::write(other - len + i, &0x7Fu8).unwrap();
                assert_eq!(guest.int(compare, &[end - len, other - len, len]), 1, "{len} at {i}");
                assert_eq!(guest.int(compare, &[other - len, end - len, len]), -1);
                assert_eq!(guest.call(find, &[other - len, 0xFFFF_FF7F, len]), other - len + i);
                mem::write(other - len + i, &0x80u8).unwrap();
            }
        }
    });
}

#[test]
fn lengths_and_searches_stop_at_the_terminator() {
    both(|guest| {
        let strlen = guest.leaf(strings::strlen).unwrap();
        let wcslen = guest.leaf(strings::wcslen).unwrap();
        let strchr = guest.leaf(strings::strchr).unwrap();
        let strrchr = guest.leaf(strings::strrchr).unwrap();
        let (start, end) = fenced(1);
        for len in (0..200u64).chain([4000, 4094]) {
            // What lies before the string must not count.
            mem::fill(start, 0, PAGE_SIZE).unwrap();
            let at = end - 1 - len;
            mem::fill(at, b'a', usize::try_from(len).unwrap()).unwrap();
            assert_eq!(guest.call(strlen, &[at]), len);
            assert_eq!(guest.call(strchr, &[at, 0]), end - 1);
            assert_eq!(guest.call(strrchr, &[at, 0]), end - 1);
            assert_eq!(guest.call(strchr, &[at, u64::from(b'b')]), 0);
            assert_eq!(guest.call(strrchr, &[at, u64::from(b'b')]), 0);
            if len > 0 {
                assert_eq!(guest.call(strchr, &[at, u64::from(b'a')]), at);
                assert_eq!(guest.call(strrchr, &[at, u64::from(b'a')]), end - 2);
                let (first, last) = (at + len / 3, at + len - 1 - len / 4);
                if first <= last {
                    mem::write(first, &0xE9u8).unwrap();
                    mem::write(last, &0xE9u8).unwrap();
                    assert_eq!(guest.call(strchr, &[at, 0xFFFF_FFE9]), first);
                    assert_eq!(guest.call(strrchr, &[at, 0xFFFF_FFE9]), last);
                }
            }
            if len < 2000 {
                mem::fill(start, 0, PAGE_SIZE).unwrap();
                let at = end - 2 - 2 * len;
                mem::write_slice(at, &vec![0x6100u16; usize::try_from(len).unwrap()]).unwrap();
                assert_eq!(guest.call(wcslen, &[at]), len);
            }
        }
        assert_eq!(guest.call(wcslen, &[start + 1]), SLOW);
        // A zero followed by more in the same block.
        mem::copy_out(start, b"ab\0ab").unwrap();
        assert_eq!(guest.call(strrchr, &[start, u64::from(b'b')]), start + 1);
        assert_eq!(guest.call(strrchr, &[start, 0]), start + 2);
        assert_eq!(guest.call(strchr, &[start + 1, u64::from(b'a')]), 0);
    });
}

#[test]
fn comparisons_and_copies_of_strings() {
    both(|guest| {
        let strcmp = guest.leaf(strings::strcmp).unwrap();
        let strncmp = guest.leaf(strings::strncmp).unwrap();
        let wcscmp = guest.leaf(strings::wcscmp).unwrap();
        let strcpy = guest.leaf(strings::strcpy).unwrap();
        let wcscpy = guest.leaf(strings::wcscpy).unwrap();
        let (a_start, a_end) = fenced(2);
        let (b_start, b_end) = fenced(2);
        for len in (0..80u64).chain([4090, 5000]) {
            let mut text: Vec<u8> = pattern(usize::try_from(len).unwrap()).iter().map(|b| b | 1).collect();
            text.push(0);
            let n = text.len() as u64;
            // Both at the page end, and one anywhere.
            for (a, b) in [(a_end - n, b_end - n), (a_end - n, b_start + 5), (a_start + 3, b_end - n)] {
                mem::copy_out(a, &text).unwrap();
                assert_eq!(guest.call(strcpy, &[b, a]), b);
                assert_eq!(mem::compare(b, &text), Ok(Ordering::Equal));
                assert_eq!(guest.int(strcmp, &[a, b]), 0);
                assert_eq!(guest.int(strncmp, &[a, b, u64::from(u32::MAX)]), 0);
                if len > 0 {
                    let i = len / 2;
                    mem::write(b + i, &0u8).unwrap();
                    assert_eq!(guest.int(strcmp, &[a, b]), 1);
                    assert_eq!(guest.int(strcmp, &[b, a]), -1);
                    assert_eq!(guest.int(strncmp, &[a, b, i]), 0);
                    assert_eq!(guest.int(strncmp, &[a, b, i + 1]), 1);
                }
            }
            if len < 2000 {
                let mut wide: Vec<u16> =
                    text.iter().map(|&b| u16::from(b) << 8 | u16::from(b != 0)).collect();
                let (a, b) = (a_end - 2 * n, b_end - 2 * n);
                mem::write_slice(a, &wide).unwrap();
                assert_eq!(guest.call(wcscpy, &[b, a]), b);
                assert_eq!(mem::read_vec::<u16>(b, wide.len()).unwrap(), wide);
                assert_eq!(guest.int(wcscmp, &[a, b]), 0);
                if len > 0 {
                    let i = wide.len() / 2;
                    wide[i] ^= 0x8000;
                    mem::write_slice(b, &wide).unwrap();
                    let expect = if wide[i] & 0x8000 == 0 { 1 } else { -1 };
                    assert_eq!(guest.int(wcscmp, &[a, b]), expect);
                }
            }
        }
    });
}

#[test]
fn the_teb_functions() {
    both(|guest| {
        // SAFETY: the block is this thread's.
        let teb = unsafe { (*guest.block).teb };
        let wide = guest.engine.machine().is_64();
        let offset = |amd64: u64, i386: u64| teb + if wide { amd64 } else { i386 };
        let call = |emit: LeafFn, args: &[u64]| guest.call(guest.leaf(emit).unwrap(), args);
        call(thread::set_last_error, &[1234]);
        assert_eq!(mem::read::<u32>(offset(0x68, 0x34)), Ok(1234));
        assert_eq!(call(thread::get_last_error, &[]), 1234);
        mem::write(offset(0x40, 0x20), &77u32).unwrap();
        mem::write(offset(0x48, 0x24), &88u32).unwrap();
        assert_eq!(call(thread::get_current_process_id, &[]), 77);
        assert_eq!(call(thread::get_current_thread_id, &[]), 88);
        let all_ones = if wide { u64::MAX } else { u32::MAX.into() };
        assert_eq!(call(thread::get_current_process, &[]), all_ones);
        assert_eq!(call(thread::get_current_thread, &[]), all_ones - 1);

        assert_eq!(call(thread::tls_set_value, &[63, 0x1_2345]), 1);
        assert_eq!(call(thread::tls_get_value, &[63]), 0x1_2345);
        assert_eq!(call(thread::get_last_error, &[]), 0);
        assert_eq!(mem::read::<u32>(offset(0x1480, 0xE10) + 63 * guest.word()), Ok(0x1_2345));
        assert_eq!(call(thread::tls_get_value, &[64]), SLOW);
        assert_eq!(call(thread::tls_set_value, &[0xFFFF_FFFF, 1]), SLOW);

        let peb = map(4096);
        if wide {
            mem::write(teb + 0x60, &peb).unwrap();
        } else {
            mem::write(teb + 0x30, &u32::try_from(peb).unwrap()).unwrap();
        }
        mem::write(peb + if wide { 0x30 } else { 0x18 }, &0xABCDu32).unwrap();
        assert_eq!(call(thread::get_process_heap, &[]), 0xABCD);

        let pointer = 0x1234_5678;
        let encoded = call(thread::encode_pointer, &[pointer]);
        assert_eq!(encoded, thread::encode(guest.engine.machine(), pointer));
        assert_eq!(call(thread::decode_pointer, &[encoded]), pointer);
        assert_eq!(thread::decode(guest.engine.machine(), encoded), pointer);
    });
}

#[test]
fn critical_sections() {
    both(|guest| {
        let peb = map(4096);
        // SAFETY: the block is this thread's.
        let teb = unsafe { (*guest.block).teb };
        let wide = usize::from(guest.engine.machine().is_64());
        mem::write(teb + [0x24, 0x48][wide], &88u32).unwrap();
        mem::write(teb + [0x30, 0x60][wide], &u32::try_from(peb).unwrap()).unwrap();
        for flags in [0, MANY_THREADS] {
            mem::write(peb + CROSS_PROCESS_FLAGS[wide], &flags).unwrap();
            critical_section(guest);
        }
    });
}

fn critical_section(guest: &Guest<'_>) {
    let enter = guest.leaf(sync::enter_critical_section).unwrap();
    let attempt = guest.leaf(sync::try_enter_critical_section).unwrap();
    let leave = guest.leaf(sync::leave_critical_section).unwrap();
    let wide = guest.engine.machine().is_64();
    let (count, recursion, owner) = if wide { (8, 0xC, 0x10) } else { (4, 8, 0xC) };
    let section = map(4096);
    mem::write(section + count, &sync::FREE).unwrap();
    let state = || {
        let read = |at| mem::read::<i32>(section + at).unwrap();
        (read(count), read(recursion), read(owner))
    };
    assert_eq!(guest.int(enter, &[section]), 0);
    assert_eq!(state(), (sync::HELD, 1, 88));
    assert_eq!(guest.int(attempt, &[section]), 1);
    assert_eq!(state(), (sync::HELD, 2, 88));
    guest.call(leave, &[section]);
    assert_eq!(state(), (sync::HELD, 1, 88));
    guest.call(leave, &[section]);
    assert_eq!(state(), (sync::FREE, 0, 0));
    // Somebody else's.
    mem::write(section + count, &sync::HELD).unwrap();
    mem::write(section + owner, &99u32).unwrap();
    mem::write(section + recursion, &1u32).unwrap();
    assert_eq!(guest.call(enter, &[section]), SLOW);
    assert_eq!(guest.call(attempt, &[section]), SLOW);
    assert_eq!(state(), (sync::HELD, 1, 99));
    // Ours, with a waiter: leaving is the shim's business, with the fields as they were.
    mem::write(section + count, &-6i32).unwrap();
    mem::write(section + owner, &88u32).unwrap();
    assert_eq!(guest.call(leave, &[section]), SLOW);
    assert_eq!(state(), (-6, 1, 88));
    assert_eq!(guest.int(enter, &[section]), 0);
    assert_eq!(state(), (-6, 2, 88));
}

#[test]
fn slim_locks() {
    both(|guest| {
        let lock = map(4096);
        let word = || mem::read::<u32>(lock).unwrap();
        let acquire = guest.leaf(sync::acquire_srw_lock_exclusive).unwrap();
        let release = guest.leaf(sync::release_srw_lock_exclusive).unwrap();
        let attempt = guest.leaf(sync::try_acquire_srw_lock_exclusive).unwrap();
        let share = guest.leaf(sync::acquire_srw_lock_shared).unwrap();
        let try_share = guest.leaf(sync::try_acquire_srw_lock_shared).unwrap();
        let unshare = guest.leaf(sync::release_srw_lock_shared).unwrap();
        guest.call(acquire, &[lock]);
        assert_eq!(word(), sync::EXCLUSIVE);
        assert_eq!(guest.call(acquire, &[lock]), SLOW);
        assert_eq!(guest.call(share, &[lock]), SLOW);
        guest.call(release, &[lock]);
        assert_eq!(guest.call(attempt, &[lock]) & 0xFF, 1);
        guest.call(release, &[lock]);
        guest.call(share, &[lock]);
        assert_eq!(guest.call(try_share, &[lock]) & 0xFF, 1);
        assert_eq!(word(), 2);
        assert_eq!(guest.call(acquire, &[lock]), SLOW);
        assert_eq!(guest.call(attempt, &[lock]), SLOW);
        guest.call(unshare, &[lock]);
        guest.call(unshare, &[lock]);
        assert_eq!(word(), 0);
        mem::write(lock, &(1u32 << 30 | 1)).unwrap();
        assert_eq!(guest.call(unshare, &[lock]), SLOW);
        assert_eq!(guest.call(release, &[lock]), SLOW);
    });
}

#[test]
fn interlocked_functions_of_x86() {
    both(|guest| {
        if guest.engine.machine() != Machine::I386 {
            assert!(guest.leaf(interlocked::interlocked_increment).is_none());
            return;
        }
        let word = map(4096);
        let call = |emit: LeafFn, args: &[u64]| guest.int(guest.leaf(emit).unwrap(), args);
        assert_eq!(call(interlocked::interlocked_increment, &[word]), 1);
        assert_eq!(call(interlocked::interlocked_exchange_add, &[word, 9]), 1);
        assert_eq!(call(interlocked::interlocked_decrement, &[word]), 9);
        assert_eq!(call(interlocked::interlocked_exchange, &[word, 5]), 9);
        assert_eq!(call(interlocked::interlocked_compare_exchange, &[word, 6, 4]), 5);
        assert_eq!(call(interlocked::interlocked_compare_exchange, &[word, 6, 5]), 5);
        assert_eq!(mem::read::<u32>(word), Ok(6));
        let code = guest.leaf(interlocked::interlocked_compare_exchange_64).unwrap();
        // SAFETY: attached, on the host stack.
        let old = unsafe { guest.engine.call(guest.block, code, &[word, 3, 4, 6, 0], false) };
        assert_eq!((old.int, old.high), (6, 0));
        assert_eq!(mem::read::<u64>(word), Ok(4 << 32 | 3));
    });
}

#[test]
fn clocks_come_from_the_shared_page() {
    let page = 0x7FFE_0000u64;
    // SAFETY: a fresh mapping at a fixed address that nothing else in this process uses.
    let mapped = unsafe {
        libc::mmap(
            page as *mut libc::c_void,
            PAGE_SIZE,
            libc::PROT_READ | libc::PROT_WRITE,
            libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_FIXED_NOREPLACE,
            -1,
            0,
        )
    };
    assert_eq!(mapped as u64, page);
    let ticks = 0x5_8000_1234u64;
    mem::write(page + 4, &0x0FA0_0000u32).unwrap();
    mem::write(page + 0x320, &ticks).unwrap();
    mem::write(page + 0x328, &5u32).unwrap();
    mem::write(page + 0x14, &0x01DC_0000_1234_5678u64).unwrap();
    mem::write(page + 0x1C, &0x01DC_0000u32).unwrap();
    let milliseconds = u64::try_from((u128::from(ticks) * 0x0FA0_0000) >> 24).unwrap();
    both(|guest| {
        let call64 = |emit: LeafFn, args: &[u64]| {
            let code = guest.leaf(emit).unwrap();
            // SAFETY: attached, on the host stack.
            let result = unsafe { guest.engine.call(guest.block, code, args, false) };
            result.int | result.high << 32
        };
        assert_eq!(call64(time::get_tick_count_64, &[]), milliseconds);
        assert_eq!(call64(time::get_tick_count, &[]) & 0xFFFF_FFFF, milliseconds & 0xFFFF_FFFF);
        let out = map(4096);
        call64(time::get_system_time_as_file_time, &[out]);
        assert_eq!(mem::read::<u64>(out), Ok(0x01DC_0000_1234_5678));
        assert_eq!(guest.int(guest.leaf(strings::abs).unwrap(), &[0xFFFF_FFFB]), 5);
    });
    assert!(time::get_tick_count(Machine::Arm64, 0, 0).is_none());
}

/// The context that guest code captures is that of its own registers after the call.
#[test]
fn a_context_is_captured() {
    const ARGUMENT: u64 = 0x1122_3344;
    let Some(code) = context::capture_context(Machine::Amd64, 0, 0x1000) else { panic!("no code") };
    assert!(!code.code.is_empty() && context::capture_context(Machine::I386, 0, 0x1000).is_none());
    both(|guest| {
        let Some(capture) = guest.leaf(context::capture_context) else { return };
        let at = map(PAGE_SIZE);
        // Registers with values of their own around the call; the return address is left at the buffer's end.
        let caller = assemble(64, |a| {
            a.push(rbx).unwrap();
            a.push(r15).unwrap();
            a.sub(rsp, 8).unwrap();
            a.mov(rbx, 0xBBBB_BBBB_BBBBu64).unwrap();
            a.mov(r15, 0xFFFF_FFFF_FFF0u64).unwrap();
            a.mov(qword_ptr(rcx + 0x800), rsp).unwrap();
            a.mov(rax, capture).unwrap();
            a.call(rax).unwrap();
            a.mov(eax, 0x5103).unwrap();
            a.add(rsp, 8).unwrap();
            a.pop(r15).unwrap();
            a.pop(rbx).unwrap();
            a.ret().unwrap();
        });
        assert_eq!(guest.call(caller, &[at, ARGUMENT]), SLOW);
        let Ok(Context::Amd64(c)) = Context::load(Machine::Amd64, at) else { panic!("not readable") };
        assert_eq!((c.rbx, c.r15), (0xBBBB_BBBB_BBBB, 0xFFFF_FFFF_FFF0));
        assert_eq!((c.rcx, c.rdx), (at, ARGUMENT));
        assert_eq!(c.rsp, mem::read::<u64>(at + 0x800).unwrap());
        // What the program counter points at is what follows the call: `mov eax, imm32`.
        assert_eq!(mem::read::<u8>(c.rip), Ok(0xB8));
        assert_eq!(c.context_flags, 0x0010_000F);
        assert_eq!((c.mx_csr, c.flt_save.mx_csr), (0x1F80, 0x1F80));
        assert_eq!(c.flt_save.tag_word, 0);
        // The first arguments are in vector registers too.
        assert_eq!(c.flt_save.xmm_registers[1] & u128::from(u64::MAX), ARGUMENT.into());
    });
}
