use super::*;
use std::sync::atomic::AtomicBool;

/// The offsets that the documentation gives.
#[test]
fn layout() {
    assert_eq!(offset_of!(KUSER_SHARED_DATA, InterruptTime), 0x008);
    assert_eq!(offset_of!(KUSER_SHARED_DATA, SystemTime), 0x014);
    assert_eq!(offset_of!(KUSER_SHARED_DATA, TimeZoneBias), 0x020);
    assert_eq!(offset_of!(KUSER_SHARED_DATA, NtMajorVersion), 0x26c);
    assert_eq!(offset_of!(KUSER_SHARED_DATA, ProcessorFeatures), 0x274);
    assert_eq!(offset_of!(KUSER_SHARED_DATA, NumberOfPhysicalPages), 0x2e8);
    assert_eq!(offset_of!(KUSER_SHARED_DATA, QpcFrequency), 0x300);
    assert_eq!(offset_of!(KUSER_SHARED_DATA, Anonymous4), 0x320);
    assert_eq!(offset_of!(KUSER_SHARED_DATA, Cookie), 0x330);
    assert_eq!(offset_of!(KUSER_SHARED_DATA, InterruptTimeBias), 0x3b0);
    assert_eq!(offset_of!(KUSER_SHARED_DATA, ActiveProcessorCount), 0x3c0);
    assert_eq!(offset_of!(KUSER_SHARED_DATA, XState), 0x3d8);
}

/// Whether the guest's page can be read.
fn shown() -> bool {
    let mut word = 0u64;
    let local = libc::iovec { iov_base: (&raw mut word).cast(), iov_len: 8 };
    let remote = libc::iovec { iov_base: ADDRESS as *mut _, iov_len: 8 };
    // SAFETY: writes to `word` only; a page that cannot be read is an error, not a fault.
    unsafe { libc::process_vm_readv(libc::getpid(), &raw const local, 1, &raw const remote, 1, 0) == 8 }
}

/// Reads as a guest does, but through the host's mapping: on a busy machine the guest's may be hidden any time.
fn read_time(kuser: &Kuser, offset: usize) -> i64 {
    let word = |offset| kuser.word(offset).load(Ordering::Acquire);
    loop {
        let (high, low, check) = (word(offset + 4), word(offset), word(offset + 8));
        if high == check {
            return (i64::from(high) << 32) | i64::from(low);
        }
    }
}

/// One test, as there is one such address in a process.
#[test]
fn the_page_lives_while_looked_at() {
    let memory = Arc::new(Memory::new(8, true));
    let kuser = Kuser::map(&memory, Architecture::Amd64, false).unwrap();
    assert!(!shown(), "hidden until the first look");
    assert!(!kuser.handle_fault(ADDRESS + 8, true), "stores are the guest's own fault");
    assert!(!kuser.handle_fault(ADDRESS + PAGE, false));
    // As a guest: fault, try again. On a starved machine the page may have been hidden again in between.
    let tried = (0..1000).find(|_| kuser.handle_fault(ADDRESS + 0x14, false) && shown());
    assert!(tried.is_some());
    assert_eq!(memory.query(ADDRESS).unwrap().protect, PAGE_READONLY);

    // Something else keeps the process busy while the clocks are watched.
    let done = AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            while !done.load(Ordering::Relaxed) {
                std::hint::spin_loop();
            }
        });
        let (first, interrupt, ticks) =
            (read_time(&kuser, 0x14), read_time(&kuser, 8), read_time(&kuser, 0x320));
        assert!((first - time::system_time()).abs() < 10 * time::SECOND);
        let mut last = interrupt;
        // Two ticks of 15.625 ms at least.
        while last - interrupt < 400_000 {
            kuser.touch();
            let now = read_time(&kuser, 8);
            assert!(now >= last, "never backwards");
            last = now;
        }
        assert!(read_time(&kuser, 0x320) > ticks && read_time(&kuser, 0x14) > first);
        done.store(true, Ordering::Relaxed);
    });
    // SAFETY: the page was shown a moment ago, and the fields read do not change.
    let data = unsafe { &*kuser.page.0.cast::<KUSER_SHARED_DATA>() };
    assert_eq!((data.NtMajorVersion, data.NtBuildNumber), (10, 19_045));
    assert_eq!(data.QpcFrequency, 10_000_000);
    assert!(data.ProcessorFeatures[10], "every x86-64 processor has SSE2");
    assert!(data.ActiveProcessorCount >= 1 && data.NumberOfPhysicalPages > 256);
}
