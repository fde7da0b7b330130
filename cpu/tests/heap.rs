//! The leaf stubs of the heap, run as guest code of both machines.
#![cfg(target_arch = "x86_64")]

mod common;

use common::leaf::{PAGE, PAGE_SIZE, SLOW, both};
use common::map;
use transom_cpu::block::CACHE_OFFSET;
use transom_cpu::leaf::heap::{self, CACHED, Cache, FULL, LARGEST};
use transom_cpu::mem;

/// The header of a live block, as the allocator writes it.
fn header(address: u64, size: u64, cookie: u64) -> [u64; 2] {
    [size, cookie ^ address.rotate_left(17) ^ size.rotate_left(40)]
}

#[test]
fn small_blocks_go_through_the_cache_and_strange_ones_do_not() {
    const COOKIE: u64 = 0x1234_5678_9ABC_DEF0;
    const HEAP: u64 = 0x4_3210;
    both(|guest| {
        // SAFETY: the block is this thread's.
        let teb = unsafe { (*guest.block).teb };
        let wide = guest.engine.machine().is_64();
        let peb = map(PAGE_SIZE);
        mem::write(teb + if wide { 0x60 } else { 0x30 }, &u32::try_from(peb).unwrap()).unwrap();
        mem::write(peb + if wide { 0x30 } else { 0x18 }, &u32::try_from(HEAP).unwrap()).unwrap();
        let [alloc, free, malloc, crt_free] =
            [heap::heap_alloc, heap::heap_free, heap::malloc, heap::free].map(|f| guest.leaf(f).unwrap());
        let heap_alloc = |flags, size| guest.call(alloc, &[HEAP, flags, size]);
        let heap_free = |at: u64| guest.int(free, &[HEAP, 0, at]);
        // SAFETY: as above; guest code runs only in the calls below.
        let cache = || unsafe { &mut *((teb + u64::from(CACHE_OFFSET)) as *mut Cache) };
        let slow = i32::try_from(SLOW).unwrap();

        let arena = map(PAGE_SIZE);
        let at = arena + 0x100;
        mem::write(at - 16, &header(at, 100, COOKIE)).unwrap();
        assert_eq!(heap_free(at), slow, "the cache is not in use");
        (cache().cookie, cache().base, cache().length) = (COOKIE, arena + 16, PAGE - 16);
        assert_eq!(heap_alloc(0, 100), SLOW, "it is empty");
        assert_eq!(heap_free(at), 1);
        assert_eq!((cache().heads[7], cache().counts[7]), (at, 1));
        let cached = [0, COOKIE ^ at.rotate_left(17) ^ u64::from(CACHED)];
        assert_eq!(mem::read::<[u64; 2]>(at - 16), Ok(cached));
        assert_eq!(heap_free(at), slow, "a second free");
        assert_eq!(heap_alloc(4, 100), SLOW, "exceptions");
        assert_eq!(guest.call(alloc, &[HEAP + 16, 0, 100]), SLOW, "another heap");
        assert_eq!(heap_alloc(0, u64::from(LARGEST) + 1), SLOW);
        assert_eq!(heap_alloc(1, 97), at, "without serialization is the same");
        assert_eq!(mem::read::<[u64; 2]>(at - 16), Ok(header(at, 97, COOKIE)));
        assert_eq!((cache().heads[7], cache().counts[7]), (0, 0));

        // Zeroed up to its size, and not beyond what its list promises.
        let calloc = guest.leaf(heap::calloc).unwrap();
        let dirty = [0xEEu8; 128];
        for zeroed in [&|| heap_alloc(8, 97), &|| guest.call(calloc, &[97, 1]) as _] as [&dyn Fn() -> u64; 2]
        {
            assert_eq!(heap_free(at), 1);
            mem::copy_out(at, &dirty).unwrap();
            assert_eq!(zeroed(), at);
            let mut bytes = dirty;
            mem::copy_in(at, &mut bytes).unwrap();
            assert!(bytes[..97].iter().all(|b| *b == 0) && bytes[112..].iter().all(|b| *b == 0xEE));
            assert_eq!(mem::read::<[u64; 2]>(at - 16), Ok(header(at, 97, COOKIE)));
        }
        let most = if wide { u64::MAX } else { 0xFFFF_FFFF };
        for (count, size) in [(0, 5), (33, 32), (0x8000_0000, 2), (most, most), (1, most), (97, 1)] {
            assert_eq!(guest.call(calloc, &[count, size]), SLOW, "{count} of {size}");
        }

        for strange in [0, 16, at + 16, at + 1, arena - 16, arena + PAGE, 0xFFFF_FFF0] {
            assert_eq!(heap_free(strange), slow, "{strange:#x}");
        }
        mem::write(at - 16, &header(at, u64::from(LARGEST) + 1, COOKIE)).unwrap();
        assert_eq!(heap_free(at), slow, "a large block");

        // A list holds so many, last in, first out.
        let blocks: Vec<u64> = (1..=u64::from(FULL) + 1).map(|i| arena + i * 64).collect();
        for (i, at) in blocks.iter().enumerate() {
            mem::write(at - 16, &header(*at, 33, COOKIE)).unwrap();
            let result = guest.int(crt_free, &[*at]);
            assert_eq!(result == slow, i == FULL.into(), "block {i}");
        }
        assert_eq!(cache().counts[3], FULL);
        for at in blocks[..FULL.into()].iter().rev() {
            assert_eq!(guest.call(malloc, &[48]), *at);
            assert_eq!(mem::read::<[u64; 2]>(at - 16), Ok(header(*at, 48, COOKIE)));
        }
        assert_eq!((cache().heads[3], cache().counts[3]), (0, 0));
        assert_ne!(guest.int(crt_free, &[0]), slow, "nothing to free");
        assert_eq!(guest.call(malloc, &[0]), SLOW);
        assert_eq!(guest.call(malloc, &[most]), SLOW);
    });
}
