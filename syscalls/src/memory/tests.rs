//! Unit tests of the rules of guest memory, one by one.

use super::*;
use windows_sys::Win32::System::Memory::*;

#[test]
fn reserve_commit_protect_release() {
    let memory = Memory::new(8, true);
    let reserved = memory
        .allocate(&Allocation {
            size: 0x12345,
            kind: MEM_RESERVE,
            protect: PAGE_READWRITE,
            ..Default::default()
        })
        .unwrap();
    assert_eq!(reserved.size, 0x13000);
    assert_eq!(reserved.base % GRANULARITY, 0);
    assert_eq!(memory.permissions(reserved.base), None);
    memory
        .allocate(&Allocation {
            base: reserved.base + 0x1001,
            size: 1,
            kind: MEM_COMMIT,
            protect: PAGE_READWRITE,
            ..Default::default()
        })
        .unwrap();
    // SAFETY: the page was just committed readable and writable, and nothing else uses it.
    unsafe { *((reserved.base + 0x1ff8) as *mut u64) = 7 };
    let info = memory.query(reserved.base + 0x1234).unwrap();
    assert_eq!(
        (info.base, info.size, info.state, info.protect),
        (reserved.base + 0x1000, 0x1000, MEM_COMMIT, PAGE_READWRITE)
    );
    let (old, _) = memory.protect(reserved.base + 0x1000, 1, PAGE_READONLY).unwrap();
    assert_eq!(old, PAGE_READWRITE);
    memory.free(reserved.base, 0, MEM_RELEASE).unwrap();
    assert_eq!(memory.query(reserved.base).unwrap().state, MEM_FREE);
}
