//! The stubs of `qsort` and `bsearch`, run as guest code of both machines, against sorting in Rust.
#![cfg(target_arch = "x86_64")]

mod common;

use common::leaf::{Guest, SLOW, both, fenced, pattern};
use common::{assemble, map};
use iced_x86::code_asm::{
    CodeAssembler, al, byte_ptr, dword_ptr, eax, ecx, edx, esp, r8, r9, r10, r11, rax, rcx, rdx, xmm0, xmm1,
};
use transom_cpu::leaf::search;
use transom_cpu::mem;

/// Elements of arrays are of `width` bytes. The key is the first byte, and what follows in elements of four bytes and more.
type Bytes = Vec<u8>;

fn key(element: &[u8]) -> i32 {
    match element.first_chunk::<4>() {
        Some(bytes) => i32::from_le_bytes(*bytes),
        None => element[0].cast_signed().into(),
    }
}

fn sorted(elements: &[Bytes]) -> Vec<Bytes> {
    let mut sorted = elements.to_vec();
    sorted.sort_by_key(|e| key(e));
    sorted
}

/// Compares the keys that ecx / rcx and edx / rdx point to, and spoils what a function may change.
fn compare_keys(a: &mut CodeAssembler, wide: bool, small: bool) {
    match (wide, small) {
        (true, true) => a.movsx(eax, byte_ptr(rcx)).and_then(|()| a.movsx(edx, byte_ptr(rdx))),
        (true, false) => a.mov(eax, dword_ptr(rcx)).and_then(|()| a.mov(edx, dword_ptr(rdx))),
        (false, true) => a.movsx(eax, byte_ptr(ecx)).and_then(|()| a.movsx(edx, byte_ptr(edx))),
        (false, false) => a.mov(eax, dword_ptr(ecx)).and_then(|()| a.mov(edx, dword_ptr(edx))),
    }
    .unwrap();
    a.cmp(eax, edx).unwrap();
    a.setg(al).unwrap();
    a.movzx(eax, al).unwrap();
    a.mov(edx, -1).unwrap();
    a.cmovl(eax, edx).unwrap();
    a.mov(ecx, -1).unwrap();
    a.pcmpeqd(xmm0, xmm0).unwrap();
    a.pcmpeqd(xmm1, xmm1).unwrap();
    if wide {
        for register in [r8, r9, r10, r11] {
            a.mov(register, -1i64).unwrap();
        }
        // Only the lower half of the result counts.
        a.bts(rax, 40).unwrap();
    }
}

/// A comparison; with a context, which it gets in front, it counts the calls there. `popped` are the bytes of arguments that
/// it removes on x86, where it should remove none.
fn comparison(guest: &Guest<'_>, small: bool, context: bool, popped: u32) -> u64 {
    let wide = guest.engine.machine().is_64();
    assemble(if wide { 64 } else { 32 }, |a| {
        let first = if context { 8 } else { 4 };
        match (wide, context) {
            (true, true) => {
                a.inc(dword_ptr(rcx)).unwrap();
                a.mov(rcx, rdx).unwrap();
                a.mov(rdx, r8).unwrap();
            }
            (true, false) => {}
            (false, _) => {
                if context {
                    a.mov(ecx, dword_ptr(esp + 4)).unwrap();
                    a.inc(dword_ptr(ecx)).unwrap();
                }
                a.mov(ecx, dword_ptr(esp + first)).unwrap();
                a.mov(edx, dword_ptr(esp + (first + 4))).unwrap();
            }
        }
        compare_keys(a, wide, small);
        if wide { a.ret() } else { a.ret_1(popped) }.unwrap();
    })
}

/// A comparison that always answers the same.
fn constant(guest: &Guest<'_>, answer: i32) -> u64 {
    assemble(if guest.engine.machine().is_64() { 64 } else { 32 }, |a| {
        a.mov(eax, answer).unwrap();
        a.ret().unwrap();
    })
}

/// Keys in the orders that sorting must not be slow or wrong with.
fn orders(n: usize) -> Vec<Vec<i32>> {
    let count = i32::try_from(n).unwrap();
    let mut seed = 1u32;
    let mut random = move || {
        seed = seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (seed >> 3).cast_signed()
    };
    vec![
        (0..count).collect(),
        (0..count).rev().collect(),
        vec![7; n],
        (0..count).map(|i| i.min(count - i)).collect(),
        (0..count).map(|i| (i - count / 2).abs()).collect(),
        (0..count).map(|i| i % 5).collect(),
        (0..n).map(|_| random()).collect(),
        (0..n).map(|_| random() % 9 - 4).collect(),
    ]
}

fn elements(keys: &[i32], width: usize) -> Vec<Bytes> {
    let element = |(i, key): (usize, &i32)| {
        let mut bytes = pattern(width + i % 200).split_off(i % 200);
        let len = width.min(4);
        bytes[..len].copy_from_slice(&key.to_le_bytes()[..len]);
        bytes
    };
    keys.iter().enumerate().map(element).collect()
}

/// Puts the array before the end of accessible memory, sorts it with `sort`, and answers what became of it.
fn run(end: u64, array: &[Bytes], width: usize, sort: impl FnOnce(u64)) -> Vec<Bytes> {
    let bytes = array.concat();
    let at = end - bytes.len() as u64;
    mem::copy_out(at - 16, &[0xA5; 16]).unwrap();
    mem::copy_out(at, &bytes).unwrap();
    sort(at);
    assert_eq!(mem::copy_in_vec(at - 16, 16).unwrap(), [0xA5; 16]);
    mem::copy_in_vec(at, bytes.len()).unwrap().chunks_exact(width).map(<[u8]>::to_vec).collect()
}

/// The elements in an order that does not depend on how equal ones were left.
fn canonical(mut array: Vec<Bytes>) -> Vec<Bytes> {
    array.sort();
    array
}

#[test]
fn arrays_of_every_width_and_order_are_sorted() {
    both(|guest| {
        let qsort = guest.leaf(search::qsort).unwrap();
        let (_, end) = fenced(16);
        for width in 1..=64usize {
            let compare = comparison(guest, width < 4, false, 0);
            for n in [0, 1, 2, 3, 7, 8, 9, 10, 40, 65, 66, 300] {
                for keys in orders(n) {
                    let array = elements(&keys, width);
                    let result = run(end, &array, width, |at| {
                        guest.call(qsort, &[at, n as u64, width as u64, compare]);
                    });
                    assert!(result.is_sorted_by_key(|e| key(e)), "{n} of {width}: {keys:?}");
                    assert_eq!(canonical(result), canonical(array));
                }
            }
        }
    });
}

#[test]
fn no_order_takes_many_comparisons() {
    both(|guest| {
        let qsort_s = guest.leaf(search::qsort_s).unwrap();
        let compare = comparison(guest, false, true, 0);
        let counter = map(4096);
        let (_, end) = fenced(40);
        for keys in orders(20_000) {
            let array = elements(&keys, 8);
            mem::write(counter, &0u32).unwrap();
            let result = run(end, &array, 8, |at| {
                guest.call(qsort_s, &[at, keys.len() as u64, 8, compare, counter]);
            });
            assert!(result.is_sorted_by_key(|e| key(e)));
            // n log2 n is 286 000.
            let count = mem::read::<u32>(counter).unwrap();
            assert!(count < 430_000, "{count} comparisons of {:?}...", &keys[..10]);
        }
    });
}

#[test]
fn comparisons_that_contradict_themselves_stay_inside() {
    both(|guest| {
        let qsort = guest.leaf(search::qsort).unwrap();
        let (_, end) = fenced(16);
        for answer in [1, -1, i32::MIN] {
            let compare = constant(guest, answer);
            for n in [2, 9, 10, 100, 2000] {
                let array = elements(&orders(n)[6], 12);
                let result = run(end, &array, 12, |at| {
                    guest.call(qsort, &[at, n as u64, 12, compare]);
                });
                assert_eq!(canonical(result), canonical(array), "{n} elements, always {answer}");
            }
        }
    });
}

#[test]
fn a_comparison_that_removes_its_arguments_does_no_harm() {
    both(|guest| {
        let qsort_s = guest.leaf(search::qsort_s).unwrap();
        let compare = comparison(guest, false, true, 12);
        let (_, end) = fenced(16);
        let array = elements(&orders(500)[6], 4);
        let result = run(end, &array, 4, |at| {
            guest.call(qsort_s, &[at, 500, 4, compare, end - 4 * 600]);
        });
        assert_eq!(result, sorted(&array));
    });
}

#[test]
fn arguments_that_are_not_right_are_the_shims() {
    both(|guest| {
        let (array, compare) = (map(4096), constant(guest, 0));
        let all = if guest.word() == 8 { u64::MAX } else { u32::MAX.into() };
        for emit in [search::qsort, search::qsort_s] {
            let code = guest.leaf(emit).unwrap();
            let wrong: [&[u64]; 7] = [
                &[0, 2, 4, compare, 0],
                &[array, 2, 0, compare, 0],
                &[array, 2, 4, 0, 0],
                &[array, all, 4, compare, 0],
                &[array, all / 4, 4, compare, 0],
                &[array, 2, all, compare, 0],
                &[array, 2, 1 << 30, compare, 0],
            ];
            for args in wrong {
                assert_eq!(guest.call(code, args), SLOW, "{args:x?}");
            }
        }
        for emit in [search::bsearch, search::bsearch_s] {
            let code = guest.leaf(emit).unwrap();
            let wrong: [&[u64]; 3] = [
                &[array, 0, 2, 4, compare, 0],
                &[array, array, 2, 0, compare, 0],
                &[array, array, 2, 4, 0, 0],
            ];
            for args in wrong {
                assert_eq!(guest.call(code, args), SLOW, "{args:x?}");
            }
            assert_eq!(guest.call(code, &[array, array, 0, 4, compare, 0]), 0);
        }
    });
}

#[test]
fn every_element_is_found_and_nothing_else() {
    both(|guest| {
        let bsearch = guest.leaf(search::bsearch).unwrap();
        let bsearch_s = guest.leaf(search::bsearch_s).unwrap();
        let (plain, counting) = (comparison(guest, false, false, 0), comparison(guest, false, true, 0));
        let (counter, looked_for) = (map(4096), map(4096));
        let (_, end) = fenced(16);
        for n in 0..70i32 {
            let keys: Vec<i32> = (0..n).map(|i| 2 * i).collect();
            run(end, &elements(&keys, 12), 12, |at| {
                for k in -1..=2 * n {
                    mem::write(looked_for, &k).unwrap();
                    let found = if k % 2 == 0 && (0..2 * n).contains(&k) {
                        at + 6 * u64::from(k.unsigned_abs())
                    } else {
                        0
                    };
                    let count = u64::from(n.unsigned_abs());
                    assert_eq!(guest.call(bsearch, &[looked_for, at, count, 12, plain]), found);
                    mem::write(counter, &0u32).unwrap();
                    assert_eq!(guest.call(bsearch_s, &[looked_for, at, count, 12, counting, counter]), found);
                    assert!(mem::read::<u32>(counter).unwrap() <= 7);
                }
            });
        }
    });
}
