use super::*;
use crate::memory::Allocation;
use windows_sys::Win32::System::Memory::{MEM_RELEASE, MEM_RESERVE};

fn probe(address: u64) -> Option<[u64; 2]> {
    let mut words = [0u64; 2];
    let local = libc::iovec { iov_base: (&raw mut words).cast(), iov_len: 16 };
    let remote = libc::iovec { iov_base: address as *mut _, iov_len: 16 };
    // SAFETY: writes only to `words`; a bad remote address is an error, not a fault.
    let n = unsafe { libc::process_vm_readv(libc::getpid(), &raw const local, 1, &raw const remote, 1, 0) };
    (n == 16).then_some(words)
}

fn heaps(pointer_size: usize) -> Heaps {
    Heaps::new(Arc::new(Memory::new(pointer_size, true)), probe).unwrap()
}

#[test]
fn sizes_are_exact_and_blocks_in_reach() {
    let _alone = crate::memory::narrow_tests();
    for pointer_size in [4, 8] {
        let heaps = heaps(pointer_size);
        let heap = heaps.process();
        let mut blocks = Vec::new();
        for size in [0, 1, 7, 16, 100, 4096, 70_000, 600_000, 3_000_000, 40_000_000] {
            let block = heap.alloc(size, true).unwrap();
            assert_eq!(block % 16, 0);
            assert_eq!(heap.size(block), Ok(size));
            assert!(block + size <= heaps.space.memory.highest_address());
            assert!(heaps.space.memory.permissions(block).is_some_and(|p| p.write));
            blocks.push(block);
        }
        for block in blocks {
            heap.free(block).unwrap();
            assert!(heap.free(block).is_err(), "a second free is refused");
        }
    }
}

#[test]
fn wild_pointers_are_refused() {
    let heaps = heaps(8);
    let heap = heaps.process();
    let block = heap.alloc(100, false).unwrap();
    for wild in [0, 8, 16, 0x1234_5670, block + 16, block + 1, u64::MAX - 15] {
        assert!(heap.free(wild).is_err());
        assert!(heap.size(wild).is_err());
    }
    let other = heaps.create(0, 0, 0).unwrap();
    assert!(heaps.with(other, |other| other.free(block)).unwrap().is_err(), "another heap's block");
    heap.free(block).unwrap();
}

#[test]
fn realloc_keeps_content_and_zeroes_the_rest() {
    let _alone = crate::memory::narrow_tests();
    for pointer_size in [4, 8] {
        let heaps = heaps(pointer_size);
        let heap = heaps.process();
        let mut block = heap.alloc(10, false).unwrap();
        // SAFETY: the block has ten bytes.
        unsafe { (block as *mut u8).write_bytes(0xaa, 10) };
        for size in [20, 500, 100_000, 2_000_000, 30_000_000, 50_000_000, 20_000_000, 300, 12] {
            block = heap.realloc(block, size, false, true).unwrap();
            assert_eq!(heap.size(block), Ok(size));
            // SAFETY: the block has `size` bytes and is ours.
            let bytes =
                unsafe { std::slice::from_raw_parts(block as *const u8, usize::try_from(size).unwrap()) };
            assert!(bytes[..10].iter().all(|b| *b == 0xaa));
            assert!(bytes[10..].iter().all(|b| *b == 0));
        }
        assert_eq!(heap.realloc(block, 5, true, false), Ok(block));
        assert!(heap.realloc(block, 1 << 20, true, false).is_err());
        heap.free(block).unwrap();
    }
}

#[test]
fn fixed_heaps_have_an_end() {
    let heaps = heaps(8);
    let handle = heaps.create(0, 0x1000, 0x10000).unwrap();
    heaps
        .with(handle, |heap| {
            let blocks: Vec<_> = std::iter::from_fn(|| heap.alloc(1000, false)).collect();
            assert!((32..=65).contains(&blocks.len()), "{}", blocks.len());
            heap.free(blocks[0]).unwrap();
            assert!(heap.alloc(1000, false).is_some());
        })
        .unwrap();
    heaps.destroy(handle).unwrap();
    assert!(heaps.destroy(handle).is_err());
}

#[test]
fn small_address_spaces_use_several_arenas_and_run_out_cleanly() {
    let _alone = crate::memory::narrow_tests();
    let memory = Arc::new(Memory::new(4, false));
    // Leave little, since mimalloc keeps what it gets for the life of the test process.
    let mut taken = Vec::new();
    let request =
        Allocation { size: 32 << 20, kind: MEM_RESERVE, protect: PAGE_READWRITE, ..Default::default() };
    while let Ok(range) = memory.allocate(&request) {
        taken.push(range.base);
    }
    for base in taken.drain(taken.len() - 8..) {
        memory.free(base, 0, MEM_RELEASE).unwrap();
    }
    let heaps = Heaps::new(Arc::clone(&memory), probe).unwrap();
    let handle = heaps.create(0, 0, 0).unwrap();
    let count = heaps
        .with(handle, |heap| {
            std::iter::from_fn(|| heap.alloc(400_000, false)).inspect(|b| assert!(*b < 0x8000_0000)).count()
        })
        .unwrap();
    assert!((300..800).contains(&count), "{count}");
    heaps.destroy(handle).unwrap();
    assert!(heaps.process().alloc(400_000, false).is_some(), "destroying gave the memory back");
    for base in taken {
        memory.free(base, 0, MEM_RELEASE).unwrap();
    }
}

#[test]
fn threads_free_each_others_blocks() {
    let _alone = crate::memory::narrow_tests();
    let heaps = heaps(4);
    let (send, receive) = std::sync::mpsc::channel::<u64>();
    std::thread::scope(|scope| {
        for seed in 0..3u64 {
            let send = send.clone();
            let heap = heaps.process();
            scope.spawn(move || {
                for i in 0..5000u64 {
                    let size = (i * 7919 + seed * 31) % 3000;
                    let block = heap.alloc(size, false).unwrap();
                    send.send(block).unwrap();
                }
            });
        }
        drop(send);
        for block in receive {
            heaps.process().free(block).unwrap();
        }
    });
}

#[test]
fn executable_heaps_give_executable_blocks() {
    let heaps = heaps(8);
    let handle = heaps.create(HEAP_CREATE_ENABLE_EXECUTE, 0, 0).unwrap();
    heaps
        .with(handle, |heap| {
            for size in [100, 20_000_000] {
                let block = heap.alloc(size, false).unwrap();
                assert!(heaps.space.memory.permissions(block).unwrap().execute);
            }
        })
        .unwrap();
    let block = heaps.process().alloc(100, false).unwrap();
    assert!(!heaps.space.memory.permissions(block).unwrap().execute);
}

/// mimalloc remembers, for each thread, the heap used last; a new heap at a destroyed one's address is another heap.
#[test]
fn threads_outlive_the_heaps_they_used() {
    let heaps = heaps(8);
    let rounds = 200;
    let barrier = std::sync::Barrier::new(3);
    let current = AtomicU64::new(0);
    std::thread::scope(|scope| {
        for seed in 1..3u64 {
            let (heaps, barrier, current) = (&heaps, &barrier, &current);
            scope.spawn(move || {
                for round in 0..rounds {
                    barrier.wait();
                    let blocks = heaps.with(current.load(Ordering::Relaxed), |heap| {
                        let blocks: Vec<_> = (0..50)
                            .map(|i| heap.alloc((i * 97 + round) % 5000 * seed, true).unwrap())
                            .collect();
                        blocks.iter().skip(25).for_each(|block| heap.free(*block).unwrap());
                        blocks
                    });
                    assert_eq!(blocks.map(|blocks| blocks.len()), Some(50));
                    barrier.wait();
                }
            });
        }
        for _ in 0..rounds {
            current.store(heaps.create(0, 0, 0).unwrap(), Ordering::Relaxed);
            barrier.wait();
            barrier.wait();
            heaps.destroy(current.load(Ordering::Relaxed)).unwrap();
        }
    });
    assert!(heaps.handles().is_empty());
}

#[test]
fn cached_blocks_are_neither_live_nor_lost() {
    let heaps = heaps(8);
    let heap = heaps.process();
    let first = heap.alloc_cached(100, 0).unwrap();
    let second = heap.alloc_cached(0, first).unwrap();
    for block in [first, second] {
        assert!(!heap.validate(block));
        assert!(heap.free(block).is_err() && heap.size(block).is_err());
    }
    let arena = heap.first_arena().unwrap();
    assert!(first - arena.base < arena.size && second - arena.base < arena.size);
    let live = heap.alloc(100, false).unwrap();
    for strange in [live, 0, 8, first + 16, 0x1234_5670] {
        assert_eq!(heap.free_cached(strange), None, "{strange:#x}");
    }
    assert_eq!(heap.free_cached(second), Some(first));
    assert_eq!(heap.free_cached(second), None, "given back already");
    assert_eq!(heap.free_cached(first), Some(0));
    heap.free(live).unwrap();
}

#[test]
fn a_walk_shows_the_live_blocks_in_order() {
    let _alone = crate::memory::narrow_tests();
    for pointer_size in [4, 8] {
        let heaps = heaps(pointer_size);
        let heap = heaps.process();
        let other = heaps.create(0, 0, 0).unwrap();
        let mut blocks: Vec<(u64, u64)> = [0, 1, 16, 100, 5000, 70_000, 3_000_000, 40_000_000]
            .into_iter()
            .cycle()
            .take(60)
            .filter_map(|size| heap.alloc(size, false).map(|block| (block, size)))
            .collect();
        heaps.with(other, |other| other.alloc(100, false)).unwrap().unwrap();
        for (block, _) in blocks.split_off(40) {
            heap.free(block).unwrap();
        }
        // The other heap's handle is a block too.
        blocks.push((other, 16));
        blocks.sort_unstable();
        let mut seen = Vec::new();
        while let Some((block, size)) = heap.next_block(seen.last().map_or(0, |(last, _)| *last)) {
            seen.push((block, size));
        }
        assert_eq!(seen, blocks);
        heaps.destroy(other).unwrap();
    }
}
