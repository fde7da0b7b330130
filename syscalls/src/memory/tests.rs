//! Tests of the rules one by one; [`model`] compares long random histories with a per-page model. All tests share the
//! addresses of one host process, so they use bases of their own or let the system choose.

mod model;

use super::*;
use crate::status::Status;
use std::os::fd::AsFd;
use windows_sys::Win32::Foundation::*;
use windows_sys::Win32::System::Memory::*;
use windows_sys::Win32::System::SystemServices::{MEM_TOP_DOWN, MEM_WRITE_WATCH};

const RESERVE: u32 = MEM_RESERVE;
const COMMIT: u32 = MEM_COMMIT;

/// The kernel's list of mappings: addresses and `rwx` flags.
fn maps() -> Vec<(std::ops::Range<u64>, String)> {
    let text = std::fs::read_to_string("/proc/self/maps").unwrap();
    let line = |line: &str| {
        let (range, rest) = line.split_once(' ').unwrap();
        let (start, end) = range.split_once('-').unwrap();
        let number = |text| u64::from_str_radix(text, 16).unwrap();
        (number(start)..number(end), rest[..3].to_owned())
    };
    text.lines().map(line).collect()
}

fn allocate(memory: &Memory, base: u64, size: u64, kind: u32, protect: u32) -> crate::status::Result<Range> {
    memory.allocate(&Allocation { base, size, kind, protect, ..Default::default() })
}

fn fails(status: i32, result: crate::status::Result<impl std::fmt::Debug>) {
    assert_eq!(result.map(|_| ()).unwrap_err(), Status(status));
}

#[test]
fn reserve_commit_protect_release() {
    let memory = Memory::new(8, true);
    let reserved = allocate(&memory, 0, 0x12345, RESERVE, PAGE_READWRITE).unwrap();
    assert_eq!(reserved.size, 0x13000);
    assert_eq!(reserved.base % GRANULARITY, 0);
    assert_eq!(memory.permissions(reserved.base), None);
    allocate(&memory, reserved.base + 0x1001, 1, COMMIT, PAGE_READWRITE).unwrap();
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

#[test]
fn decommitted_pages_come_back_zero() {
    let memory = Memory::new(8, true);
    let range = allocate(&memory, 0, PAGE, RESERVE | COMMIT, PAGE_READWRITE).unwrap();
    let word = range.base as *mut u64;
    // SAFETY: the page is committed and writable, and nothing else uses it.
    unsafe { *word = 7 };
    allocate(&memory, range.base, PAGE, COMMIT, PAGE_READWRITE).unwrap();
    // SAFETY: as above; committing again keeps the content.
    assert_eq!(unsafe { *word }, 7);
    memory.free(range.base, 0, MEM_DECOMMIT).unwrap();
    allocate(&memory, range.base, PAGE, COMMIT, PAGE_READWRITE).unwrap();
    // SAFETY: as above.
    assert_eq!(unsafe { *word }, 0);
    memory.free(range.base, 0, MEM_RELEASE).unwrap();
}

#[test]
fn bad_arguments_have_their_own_errors() {
    let memory = Memory::new(8, true);
    let end = memory.highest_address() + 1;
    fails(STATUS_INVALID_PARAMETER_4, allocate(&memory, 0, 0, RESERVE, PAGE_READWRITE));
    fails(STATUS_INVALID_PARAMETER_4, allocate(&memory, 0, end, RESERVE, PAGE_READWRITE));
    fails(STATUS_COMMITMENT_LIMIT, allocate(&memory, 0, 1 << 46, RESERVE | COMMIT, PAGE_READWRITE));
    fails(STATUS_INVALID_PARAMETER_2, allocate(&memory, end, 1, RESERVE, PAGE_READWRITE));
    fails(STATUS_INVALID_PARAMETER_2, allocate(&memory, 0x1000, 1, RESERVE, PAGE_READWRITE));
    fails(STATUS_INVALID_PARAMETER_5, allocate(&memory, 0, 1, 0, PAGE_READWRITE));
    fails(STATUS_INVALID_PARAMETER_5, allocate(&memory, 0, 1, MEM_TOP_DOWN, PAGE_READWRITE));
    fails(STATUS_INVALID_PARAMETER_5, allocate(&memory, 0, 1, RESERVE | MEM_RESET, PAGE_READWRITE));
    fails(
        STATUS_PRIVILEGE_NOT_HELD,
        allocate(&memory, 0, 1, RESERVE | COMMIT | MEM_LARGE_PAGES, PAGE_READWRITE),
    );
    fails(STATUS_NOT_SUPPORTED, allocate(&memory, 0, 1, RESERVE | MEM_WRITE_WATCH, PAGE_READWRITE));
    for protect in
        [0, 3, PAGE_WRITECOPY, PAGE_NOACCESS | PAGE_GUARD, PAGE_READONLY | PAGE_GUARD | PAGE_NOCACHE, 0x800]
    {
        fails(STATUS_INVALID_PAGE_PROTECTION, allocate(&memory, 0, 1, RESERVE, protect));
    }
    fails(STATUS_INVALID_PARAMETER, memory.query(end));
    fails(STATUS_INVALID_PARAMETER_4, memory.free(0x10_0000, 0, MEM_RELEASE | MEM_DECOMMIT));
    fails(STATUS_INVALID_PARAMETER_3, memory.protect(0x10_0000, 0, PAGE_READONLY));
}

#[test]
fn narrow_guests_get_narrow_addresses() {
    let _alone = narrow_tests();
    let memory = Memory::new(4, false);
    assert_eq!(memory.highest_address(), 0x7ffe_ffff);
    let mut low = Vec::new();
    while let Ok(range) = allocate(&memory, 0, 256 << 20, RESERVE, PAGE_READWRITE) {
        assert!(range.base + range.size <= 0x7fff_0000);
        low.push(range.base);
    }
    // Other tests of this process have left arenas there.
    assert!((2..8).contains(&low.len()), "{low:x?}");
    fails(STATUS_NO_MEMORY, allocate(&memory, 0, 512 << 20, RESERVE, PAGE_READWRITE));
    for base in low {
        memory.free(base, 0, MEM_RELEASE).unwrap();
    }
    let memory = Memory::new(4, true);
    let high = allocate(&memory, 0, PAGE, RESERVE | MEM_TOP_DOWN, PAGE_READWRITE).unwrap();
    assert!(high.base > 0x8000_0000 && high.base <= 0xffff_0000 - PAGE);
    memory.free(high.base, 0, MEM_RELEASE).unwrap();
}

#[test]
fn requirements_on_addresses_are_met() {
    let memory = Memory::new(8, true);
    let request = Allocation {
        size: 0x3000,
        kind: RESERVE,
        protect: PAGE_READWRITE,
        lowest: 0x20_0000_0000,
        highest: 0x20_ffff_ffff,
        alignment: 1 << 24,
        ..Default::default()
    };
    let first = memory.allocate(&request).unwrap();
    let second = memory.allocate(&Allocation { kind: RESERVE | MEM_TOP_DOWN, ..request }).unwrap();
    assert_eq!((first.base, second.base), (0x20_0000_0000, 0x20_ff00_0000));
    fails(STATUS_INVALID_PARAMETER, memory.allocate(&Allocation { alignment: 0x1_8000, ..request }));
    fails(STATUS_INVALID_PARAMETER, memory.allocate(&Allocation { base: 0x20_0000_0000, ..request }));
    for range in [first, second] {
        memory.free(range.base, 0, MEM_RELEASE).unwrap();
    }
}

#[test]
fn host_memory_is_never_taken() {
    let memory = Memory::new(8, true);
    let here = &raw const memory as u64;
    fails(STATUS_CONFLICTING_ADDRESSES, allocate(&memory, here, PAGE, RESERVE | COMMIT, PAGE_READWRITE));
    fails(STATUS_CONFLICTING_ADDRESSES, allocate(&memory, here, PAGE, COMMIT, PAGE_READWRITE));
    fails(STATUS_MEMORY_NOT_ALLOCATED, memory.free(here, 0, MEM_RELEASE));
    fails(STATUS_CONFLICTING_ADDRESSES, memory.protect(here, 1, PAGE_NOACCESS));
    fails(STATUS_NOT_MAPPED_VIEW, memory.unmap_view(here, false));
}

#[test]
fn freed_addresses_are_used_again() {
    let memory = Memory::new(8, true);
    let ranges: Vec<_> =
        (0..8).map(|_| allocate(&memory, 0, GRANULARITY, RESERVE, PAGE_READWRITE).unwrap()).collect();
    memory.free(ranges[3].base, 0, MEM_RELEASE).unwrap();
    let again = allocate(&memory, 0, GRANULARITY, RESERVE, PAGE_READWRITE).unwrap();
    assert_eq!(again.base, ranges[3].base);
    for range in ranges {
        memory.free(range.base, 0, MEM_RELEASE).unwrap();
    }
}

#[test]
fn images_and_their_parts() {
    let memory = Memory::new(8, true);
    let name: Arc<[u16]> = "Z:\\a.dll".encode_utf16().collect();
    let image = memory.map_image(0x30_0000_0000, 0x5000, true, Some(Arc::clone(&name))).unwrap();
    assert_eq!(image.base, 0x30_0000_0000);
    fails(STATUS_CONFLICTING_ADDRESSES, memory.map_image(image.base, 0x5000, true, None));
    let moved = memory.map_image(image.base, 0x5000, false, None).unwrap();
    assert_ne!(moved.base, image.base);

    let file = std::fs::File::open(std::env::current_exe().unwrap()).unwrap();
    memory.map_file_part(image.base + 0x1000, file.as_fd(), 0, 0x1800, PAGE_EXECUTE_READ).unwrap();
    // SAFETY: the page was just mapped readable.
    assert_eq!(unsafe { *((image.base + 0x1000) as *const [u8; 4]) }, *b"\x7fELF");
    fails(
        STATUS_NOT_MAPPED_VIEW,
        memory.map_file_part(image.base + 0x4000, file.as_fd(), 0, 0x2000, PAGE_READONLY),
    );
    let info = memory.query(image.base + 0x1000).unwrap();
    assert_eq!((info.kind, info.size, info.protect), (MEM_IMAGE, 0x2000, PAGE_EXECUTE_READ));
    assert_eq!(info.allocation_protect, PAGE_EXECUTE_WRITECOPY);
    memory.protect(image.base, 1, PAGE_WRITECOPY).unwrap();
    assert_eq!(memory.mapped_file(image.base + 0x4fff), Some(name));
    fails(STATUS_UNABLE_TO_DELETE_SECTION, memory.free(image.base, 0, MEM_RELEASE));
    for range in [image, moved] {
        memory.unmap_view(range.base + 0x2000, false).unwrap();
        assert_eq!(memory.query(range.base).unwrap().state, MEM_FREE);
    }
}

#[test]
fn views_share_and_copy() {
    let memory = Memory::new(8, true);
    let file = nix::sys::memfd::memfd_create("section", nix::sys::memfd::MFdFlags::MFD_CLOEXEC).unwrap();
    nix::unistd::ftruncate(&file, 0x4000).unwrap();
    let view = |copy_on_write, protect| View {
        size: 0x4000,
        file: Some(ViewFile { fd: file.as_fd(), offset: 0, copy_on_write }),
        protect,
        ..Default::default()
    };
    let shared = memory.map_view(&view(false, PAGE_READWRITE)).unwrap();
    let other = memory.map_view(&view(false, PAGE_READONLY)).unwrap();
    let private = memory.map_view(&view(true, PAGE_WRITECOPY)).unwrap();
    // SAFETY: the three views are mapped with these rights and used by this test only.
    unsafe {
        *(shared.base as *mut u32) = 1;
        assert_eq!(*(other.base as *const u32), 1);
        assert_eq!(*(private.base as *const u32), 1);
        *(private.base as *mut u32) = 2;
        assert_eq!(*(shared.base as *const u32), 1);
    }
    assert_eq!(memory.query(shared.base).unwrap().kind, MEM_MAPPED);
    fails(STATUS_UNABLE_TO_DELETE_SECTION, memory.free(shared.base, 0, MEM_DECOMMIT));
    let reserved = memory.map_view(&View { reserve_only: true, ..view(false, PAGE_READWRITE) }).unwrap();
    assert_eq!(memory.query(reserved.base).unwrap().state, MEM_RESERVE);
    allocate(&memory, reserved.base, PAGE, COMMIT, PAGE_READWRITE).unwrap();
    // SAFETY: the page was just committed.
    assert_eq!(unsafe { *(reserved.base as *const u32) }, 1);
    let read_only = std::fs::File::open("/proc/self/exe").unwrap();
    let view = View { disk_file: true, ..view(false, PAGE_READONLY) };
    let view =
        View { file: Some(ViewFile { fd: read_only.as_fd(), offset: 0, copy_on_write: false }), ..view };
    let disk = memory.map_view(&view).unwrap();
    fails(STATUS_SECTION_PROTECTION, memory.protect(disk.base, 1, PAGE_READWRITE));
    fails(STATUS_ALREADY_COMMITTED, allocate(&memory, disk.base, 1, COMMIT, PAGE_READONLY));
    for range in [shared, other, private, reserved, disk] {
        memory.unmap_view(range.base, false).unwrap();
    }
}

#[test]
fn views_replace_placeholders_and_leave_them() {
    let memory = Memory::new(8, true);
    let whole = allocate(&memory, 0, 0x4000, RESERVE | MEM_RESERVE_PLACEHOLDER, PAGE_NOACCESS).unwrap();
    let file = nix::sys::memfd::memfd_create("ring", nix::sys::memfd::MFdFlags::MFD_CLOEXEC).unwrap();
    nix::unistd::ftruncate(&file, 0x2000).unwrap();
    memory.free(whole.base, 0x2000, MEM_RELEASE | MEM_PRESERVE_PLACEHOLDER).unwrap();
    // A ring buffer: the same pages twice in a row.
    for base in [whole.base, whole.base + 0x2000] {
        let view = View {
            base,
            size: 0x2000,
            file: Some(ViewFile { fd: file.as_fd(), offset: 0, copy_on_write: false }),
            protect: PAGE_READWRITE,
            replace_placeholder: true,
            ..Default::default()
        };
        memory.map_view(&view).unwrap();
        fails(STATUS_CONFLICTING_ADDRESSES, memory.map_view(&view));
    }
    // SAFETY: both halves are mapped readable and writable and used by this test only.
    unsafe {
        ((whole.base + 0x1ffc) as *mut u64).write_unaligned(0x1111_2222_3333_4444);
        assert_eq!(*(whole.base as *const u32), 0x1111_2222);
    }
    memory.unmap_view(whole.base, true).unwrap();
    memory.unmap_view(whole.base + 0x2000, true).unwrap();
    memory
        .free(
            whole.base,
            0x4000,
            MEM_RELEASE | windows_sys::Win32::System::SystemServices::MEM_COALESCE_PLACEHOLDERS,
        )
        .unwrap();
    memory.free(whole.base, 0, MEM_RELEASE).unwrap();
}

#[test]
fn stacks_grow_to_their_end() {
    let _alone = narrow_tests();
    let memory = Memory::new(4, false);
    let stack = memory.allocate_stack(0x10_0000, 0x1000).unwrap();
    assert_eq!((stack.base - stack.allocation_base, stack.base - stack.limit), (0x10_0000, 0x1000));
    let guard = memory.query(stack.limit - PAGE).unwrap();
    assert_eq!((guard.size, guard.protect), (PAGE, PAGE_READWRITE | PAGE_GUARD));
    assert_eq!(memory.grow_stack(stack.limit), Growth::None);
    let mut limit = stack.limit;
    let overflow = loop {
        match memory.grow_stack(limit - 8) {
            Growth::Grown(new) => {
                assert!(new < limit && memory.permissions(new).is_some_and(|p| p.write));
                assert_eq!(
                    memory.permissions(new - PAGE).map(|p| p.read),
                    Some(false),
                    "a guard page follows"
                );
                limit = new;
            }
            Growth::Overflow(new) => break new,
            Growth::None => panic!("lost the guard page at {limit:x}"),
        }
    };
    assert_eq!(overflow, stack.allocation_base + PAGE);
    assert_eq!(memory.query(stack.allocation_base).unwrap().state, MEM_RESERVE);
    assert!(!memory.take_guard_page(overflow));
    memory.free(stack.allocation_base, 0, MEM_RELEASE).unwrap();
}

#[test]
fn a_stack_is_renewed_unless_it_was_changed() {
    let memory = Memory::new(8, true);
    let stack = memory.allocate_stack(0x10_0000, 0x1000).unwrap();
    let bytes = |from: u64| {
        let size = usize::try_from(stack.base - from).unwrap();
        // SAFETY: committed memory of this test's.
        unsafe { std::slice::from_raw_parts_mut(from as *mut u8, size) }
    };
    bytes(stack.limit).fill(1);
    assert_eq!(memory.renew_stack(&stack), Some(stack));
    assert!(bytes(stack.limit).iter().all(|b| *b == 0));

    let Growth::Grown(limit) = memory.grow_stack(stack.limit - 8) else { panic!("did not grow") };
    bytes(limit).fill(1);
    assert_eq!(memory.renew_stack(&stack), Some(Stack { limit, ..stack }), "it stays grown");
    assert!(bytes(limit).iter().all(|b| *b == 0));
    assert!(matches!(memory.grow_stack(limit - 8), Growth::Grown(_)), "its guard page is in place");

    memory.protect(stack.base - PAGE, PAGE, PAGE_READONLY).unwrap();
    assert_eq!(memory.renew_stack(&stack), None);
    memory.free(stack.allocation_base, 0, MEM_RELEASE).unwrap();
    assert_eq!(memory.renew_stack(&stack), None, "freed by the guest");
}

#[test]
fn the_last_pages_of_a_stack_are_used() {
    let memory = Memory::new(8, true);
    let stack = memory.allocate_stack(0x1_0000, 0xa000).unwrap();
    let bottom = stack.allocation_base;
    assert_eq!(stack.limit, bottom + 6 * PAGE);
    assert_eq!(memory.grow_stack_with_room(stack.limit - 1), None);
    assert_eq!(memory.grow_stack(stack.limit - 1), Growth::Overflow(bottom + PAGE));
    assert_eq!(memory.grow_stack(bottom + PAGE), Growth::None);
    assert_eq!(memory.reset_stack(bottom + 3 * PAGE), None, "still down there");
    assert_eq!(memory.reset_stack(stack.base - 8), Some(bottom + 6 * PAGE));
    assert_eq!(memory.reset_stack(stack.base - 8), Some(bottom + 6 * PAGE), "in place already");
    assert_eq!(memory.grow_stack(stack.limit - 1), Growth::Overflow(bottom + PAGE));
    memory.free(bottom, 0, MEM_RELEASE).unwrap();
}

#[test]
fn an_allocation_that_the_teb_names_grows_like_a_stack() {
    let memory = Memory::new(8, true);
    let range = memory
        .allocate(&Allocation {
            size: 0x10_0000,
            kind: MEM_RESERVE,
            protect: PAGE_READWRITE,
            ..Default::default()
        })
        .unwrap();
    let (bottom, base) = (range.base, range.base + range.size);
    let top = |address, size, protect| {
        memory
            .allocate(&Allocation { base: address, size, kind: MEM_COMMIT, protect, ..Default::default() })
            .unwrap()
    };
    top(base - PAGE, PAGE, PAGE_READWRITE);
    top(base - 2 * PAGE, PAGE, PAGE_READWRITE | PAGE_GUARD);
    assert_eq!(memory.grow_stack(base - PAGE - 8), Growth::None, "an allocation like others");
    memory.adopt_stack(bottom + PAGE, base);
    memory.adopt_stack(bottom, base + PAGE);
    assert_eq!(memory.grow_stack(base - PAGE - 8), Growth::None, "not these bounds");
    memory.adopt_stack(bottom, base);
    assert!(matches!(memory.grow_stack(base - PAGE - 8), Growth::Grown(limit) if limit < base - PAGE));
    memory.free(bottom, 0, MEM_RELEASE).unwrap();
}

#[test]
fn guard_pages_work_once() {
    let memory = Memory::new(8, true);
    let range = allocate(&memory, 0, 2 * PAGE, RESERVE | COMMIT, PAGE_READWRITE | PAGE_GUARD).unwrap();
    assert_eq!(
        memory.permissions(range.base),
        Some(Permissions { read: false, write: false, execute: false })
    );
    assert!(memory.take_guard_page(range.base + 100));
    assert!(!memory.take_guard_page(range.base + 100));
    assert_eq!(memory.permissions(range.base), Some(Permissions { read: true, write: true, execute: false }));
    assert!(memory.take_guard_page(range.base + PAGE));
    memory.free(range.base, 0, MEM_RELEASE).unwrap();
}

#[test]
fn changes_are_announced() {
    let memory = Memory::new(8, true);
    let seen = Arc::new(Mutex::new(Vec::new()));
    let log = Arc::clone(&seen);
    memory.on_change(Box::new(move |start, len| log.lock().unwrap().push((start, len))));
    let range = allocate(&memory, 0, 2 * PAGE, RESERVE | COMMIT, PAGE_READWRITE).unwrap();
    memory.protect(range.base + PAGE, 1, PAGE_READONLY).unwrap();
    memory.free(range.base, 0, MEM_RELEASE).unwrap();
    let base = range.base;
    assert_eq!(*seen.lock().unwrap(), [(base, 2 * PAGE), (base + PAGE, PAGE), (base, 2 * PAGE)]);
}

#[test]
fn old_programs_execute_data() {
    let _alone = narrow_tests();
    let memory = Memory::new(4, false);
    memory.set_data_executes(true);
    let range = allocate(&memory, 0, PAGE, RESERVE | COMMIT, PAGE_READWRITE).unwrap();
    assert!(memory.permissions(range.base).unwrap().execute);
    assert!(maps().iter().any(|(at, flags)| at.contains(&range.base) && flags == "rwx"));
    memory.free(range.base, 0, MEM_RELEASE).unwrap();
}

#[test]
fn resizing_keeps_content() {
    let memory = Memory::new(8, true);
    let range = allocate(&memory, 0, 4 * PAGE, RESERVE | COMMIT, PAGE_READWRITE).unwrap();
    // SAFETY: the range is committed and this test's own.
    unsafe { *((range.base + 3 * PAGE) as *mut u64) = 9 };
    let block = allocate(&memory, range.base + GRANULARITY, PAGE, RESERVE, PAGE_READWRITE);
    let moved = memory.resize_private(range.base, 64 * PAGE).unwrap();
    // SAFETY: as above; the pages were moved there.
    unsafe {
        assert_eq!(*((moved.base + 3 * PAGE) as *const u64), 9);
        assert_eq!(*((moved.base + 63 * PAGE) as *const u64), 0);
    }
    if block.is_ok() {
        assert_ne!(moved.base, range.base);
        assert_eq!(memory.query(range.base).unwrap().state, MEM_FREE);
    }
    let small = memory.resize_private(moved.base, PAGE).unwrap();
    assert_eq!(small.base, moved.base);
    assert_eq!(memory.allocation(small.base), Some(Range { base: small.base, size: PAGE }));
    memory.free(small.base, 0, MEM_RELEASE).unwrap();
}

#[test]
fn residency_and_flushing() {
    let memory = Memory::new(8, true);
    let range = allocate(&memory, 0, 4 * PAGE, RESERVE, PAGE_READWRITE).unwrap();
    allocate(&memory, range.base, 2 * PAGE, COMMIT, PAGE_READWRITE).unwrap();
    memory.lock_pages(range.base, 2 * PAGE, true).unwrap();
    memory.lock_pages(range.base, 2 * PAGE, false).unwrap();
    memory.prefetch(range.base + 1, PAGE).unwrap();
    fails(STATUS_ACCESS_VIOLATION, memory.lock_pages(range.base, 3 * PAGE, true));
    fails(STATUS_NOT_MAPPED_VIEW, memory.flush_view(range.base, 0));
    memory.free(range.base, 0, MEM_RELEASE).unwrap();

    let path = std::env::temp_dir().join(format!("transom-flush-{}", std::process::id()));
    let file = std::fs::OpenOptions::new().read(true).write(true).create_new(true).open(&path).unwrap();
    std::fs::remove_file(&path).unwrap();
    file.set_len(PAGE).unwrap();
    let view = View {
        size: PAGE,
        file: Some(ViewFile { fd: file.as_fd(), offset: 0, copy_on_write: false }),
        disk_file: true,
        protect: PAGE_READWRITE,
        ..Default::default()
    };
    let view = memory.map_view(&view).unwrap();
    // SAFETY: the view was just mapped writable, and this test alone uses it.
    unsafe { *(view.base as *mut [u8; 4]) = *b"data" };
    memory.flush_view(view.base, 0).unwrap();
    fails(STATUS_INVALID_PARAMETER, memory.flush_view(view.base, 2 * PAGE));
    let mut bytes = [0; 4];
    std::os::unix::fs::FileExt::read_exact_at(&file, &mut bytes, 0).unwrap();
    assert_eq!(&bytes, b"data");
    memory.unmap_view(view.base, false).unwrap();
}
