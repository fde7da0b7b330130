//! Guarded accesses on both sides of a page that is not there.

use super::*;

const PAGE: usize = 4096;

extern "C" fn on_fault(signal: libc::c_int, info: *mut libc::siginfo_t, context: *mut libc::c_void) {
    // SAFETY: the kernel hands a siginfo and a ucontext to SA_SIGINFO handlers.
    let (registers, address, code) = unsafe {
        let context = &mut *context.cast::<libc::ucontext_t>();
        (&mut context.uc_mcontext.gregs, (*info).si_addr() as u64, (*info).si_code)
    };
    let address = if code == 128 { u64::MAX } else { address };
    if !fix_up(own_table(), registers, address) {
        // SAFETY: restores the default so that the instruction kills the process.
        unsafe { libc::signal(signal, libc::SIG_DFL) };
    }
}

/// Two pages, the second without access; returns the start.
fn pages() -> u64 {
    // SAFETY: a handler for this test process and a fresh mapping.
    unsafe {
        let mut action: libc::sigaction = core::mem::zeroed();
        action.sa_sigaction = on_fault as *const () as usize;
        action.sa_flags = libc::SA_SIGINFO | libc::SA_NODEFER;
        libc::sigaction(libc::SIGSEGV, &action, core::ptr::null_mut());
        let flags = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS;
        let at =
            libc::mmap(core::ptr::null_mut(), 2 * PAGE, libc::PROT_READ | libc::PROT_WRITE, flags, -1, 0);
        assert_ne!(at, libc::MAP_FAILED);
        assert_eq!(libc::mprotect(at.byte_add(PAGE), PAGE, libc::PROT_NONE), 0);
        at as u64
    }
}

fn bad(address: u64, access: Access) -> BadAddress {
    BadAddress { address, access }
}

#[test]
fn words_round_trip_and_fault() {
    let start = pages();
    let end = start + PAGE as u64;
    fn check<T: Plain + PartialEq + std::fmt::Debug>(end: u64, value: T) {
        let at = end - size_of::<T>() as u64;
        write(at, &value).unwrap();
        assert_eq!(read::<T>(at).unwrap(), value);
        assert_eq!(read::<T>(end), Err(bad(end, Access::Read)));
        assert_eq!(write(end, &value), Err(bad(end, Access::Write)));
        if size_of::<T>() > 1 {
            assert_eq!(read::<T>(at + 1), Err(bad(end, Access::Read)));
        }
    }
    check(end, 0x12u8);
    check(end, 0x1234u16);
    check(end, 0x1234_5678u32);
    check(end, 0x1234_5678_9ABC_DEF0u64);
    check(end, 0x1234_5678_9ABC_DEF0_1122_3344_5566_7788u128);
    check(end, 1.5f64);
    check(end, [1u8, 2, 3]);
    check(end, [7u32; 100]);
    check(end, [9u64; 400]);
    assert_eq!(read::<u32>(0), Err(bad(0, Access::Read)));
    assert_eq!(read::<u32>(0x8000_0000_0000_0000), Err(bad(u64::MAX, Access::Read)));
}

#[test]
fn copies_of_every_length() {
    let start = pages();
    let end = start + PAGE as u64;
    let bytes: Vec<u8> = (0..PAGE).map(|i| u8::try_from(i * 7 % 251).unwrap()).collect();
    for len in (0..300).chain([2047, 2048, 2049, 4096]) {
        let at = end - len as u64;
        fill(start, 0xEE, PAGE).unwrap();
        copy_out(at, &bytes[..len]).unwrap();
        assert_eq!(copy_in_vec(at, len).unwrap(), &bytes[..len]);
        assert_eq!(compare(at, &bytes[..len]), Ok(core::cmp::Ordering::Equal));
        if len < PAGE {
            assert_eq!(read::<u8>(at - 1), Ok(0xEE));
        }
        if len > 0 {
            assert_eq!(copy_in_vec(at + 1, len), Err(bad(end, Access::Read)));
            assert_eq!(copy_out(at + 1, &bytes[..len]), Err(bad(end, Access::Write)));
            assert_eq!(fill(at + 1, 0, len), Err(bad(end, Access::Write)));
        }
    }
    assert_eq!(read_vec::<u64>(start, usize::MAX / 8), Err(bad(end, Access::Read)));
}

#[test]
fn strings_end_at_the_page_end() {
    let start = pages();
    let end = start + PAGE as u64;
    fill(start, b'a', PAGE).unwrap();
    assert_eq!(strlen8(end - 5, 5), Ok(5));
    assert_eq!(strlen8(end - 5, 6), Err(bad(end, Access::Read)));
    assert_eq!(strlen8(end, 1), Err(bad(end, Access::Read)));
    write(end - 3, &b'\n').unwrap();
    assert_eq!((find8(end - 20, b'\n', 18), find8(end - 20, b'\n', 17)), (Ok(Some(17)), Ok(None)));
    assert_eq!((find8(end, b'\n', 0), find8(end - 1, b'\n', 2)), (Ok(None), Err(bad(end, Access::Read))));
    write(end - 3, &b'x').unwrap();
    assert_eq!(strlen8(end + 5, 1), Err(bad(end + 5, Access::Read)));
    write(end - 2, &[0u8, 0]).unwrap();
    for len in 0..100u64 {
        assert_eq!(strlen8(end - 2 - len, 1000), Ok(usize::try_from(len).unwrap()));
        assert_eq!(strlen8(end - 2 - len, 3), Ok(usize::try_from(len).unwrap().min(3)));
        assert_eq!(strlen16(end - 2 - 2 * len, 1000), Ok(usize::try_from(len).unwrap()));
    }
    // A unit whose halves lie in two characters is not a terminator.
    write_slice(end - 8, &[0x0061u16, 0x6100, 0x0062, 0]).unwrap();
    assert_eq!(read_wstr(end - 8, 100), Ok(vec![0x61, 0x6100, 0x62]));
    assert_eq!(strlen16(end - 5, 100), Ok(1));
    assert_eq!(strlen16(end - 1, 100), Err(bad(end, Access::Read)));
    assert_eq!(read_cstr(end - 8, 100), Ok(b"a".to_vec()));
}

#[test]
fn atomics_and_probes() {
    let start = pages();
    let end = start + PAGE as u64;
    assert_eq!(atomic::compare_exchange32(start, 0, 5), Ok(0));
    assert_eq!(atomic::compare_exchange32(start, 0, 6), Ok(5));
    assert_eq!(atomic::add32(start, 2), Ok(5));
    assert_eq!(atomic::swap32(start, 1), Ok(7));
    assert_eq!(atomic::compare_exchange64(start, 1, u64::MAX), Ok(1));
    assert_eq!(atomic::swap64(start, 3), Ok(u64::MAX));
    assert_eq!(atomic::load64(start), Ok(3));
    assert_eq!(atomic::compare_exchange32(end, 0, 5), Err(bad(end, Access::Write)));
    assert_eq!(atomic::compare_exchange128(start, [3, 0], [u64::MAX, 7]), Ok([3, 0]));
    assert_eq!(atomic::compare_exchange128(start, [3, 0], [1, 1]), Ok([u64::MAX, 7]));
    assert_eq!(atomic::load64(start + 8), Ok(7));
    assert_eq!(atomic::compare_exchange128(end, [0, 0], [1, 1]), Err(bad(end, Access::Write)));
    assert_eq!(atomic::compare_exchange128(start + 8, [0, 0], [1, 1]), Err(bad(start + 8, Access::Write)));
    assert_eq!(atomic::swap64(end, 0), Err(bad(end, Access::Write)));
    assert_eq!(probe_read(start, PAGE), Ok(()));
    assert_eq!(probe_write(start, PAGE + 1), Err(bad(end, Access::Write)));
    assert_eq!(probe_read(start + 10, PAGE), Err(bad(end, Access::Read)));
    assert_eq!(probe_write(start, usize::MAX), Err(bad(u64::MAX, Access::Write)));
}

#[test]
fn moves_inside_guest_memory_may_overlap() {
    let at = pages();
    let bytes: Vec<u8> = (0..2000u32).map(|i| u8::try_from(i % 256).unwrap()).collect();
    for (to, from) in [(100u64, 103u64), (103, 100), (0, 2000), (5, 5)] {
        copy_out(at + from, &bytes).unwrap();
        copy_within(at + to, at + from, bytes.len()).unwrap();
        assert_eq!(compare(at + to, &bytes), Ok(core::cmp::Ordering::Equal));
    }
}

#[test]
fn the_portable_path_gives_the_same_results() {
    let start = pages();
    let end = start + PAGE as u64;
    assert_eq!(portable::store8(start, 77), Ok(()));
    assert_eq!(portable::load8(start), Ok(77));
    assert_eq!(portable::load8(end), Err(bad(end, Access::Read)));
    assert_eq!(portable::store4(end, 1), Err(bad(end, Access::Write)));
    assert_eq!(portable::cas4(start, 77, 78), Ok(77));
    assert_eq!(portable::swap8(start, 5), Ok(78));
    assert_eq!(portable::add4(start, 1), Ok(5));
    assert_eq!(portable::fill(start, 1, 2 * PAGE), Err(bad(end, Access::Write)));
    assert_eq!(portable::touch(end), Err(bad(end, Access::Write)));
}
