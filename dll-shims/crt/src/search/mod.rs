//! `search.h` and the sorting of `stdlib.h`.
//!
//! Sorting happens in place in guest memory, because the comparison function gets pointers into the array. Nothing of the
//! host's is held across a comparison: it may leave by longjmp or an exception.
//!
//! Where the processor runs guest code, `transom_cpu::leaf::search` does the same there; what is here serves translated and
//! traced programs, bad arguments, and the ranges that take that code too long.

use transom_sdk::{BadAddress, Crt, Cx, Func, Ptr, mem, shim};

use crate::rt::invalid;

/// How elements are compared: the guest's function, with the context argument of the `_s` forms in front.
#[derive(Clone, Copy)]
struct Order {
    function: Func,
    context: Option<u64>,
}

impl Order {
    #[expect(clippy::cast_possible_truncation, reason = "the function returns an int")]
    fn compare(self, cx: &Cx, a: u64, b: u64) -> i32 {
        let result = match self.context {
            None => cx.call(self.function, &[a, b]),
            Some(context) => cx.call(self.function, &[context, a, b]),
        };
        result as u32 as i32
    }
}

/// An array in guest memory.
#[derive(Clone, Copy)]
struct Array {
    base: u64,
    width: u64,
}

impl Array {
    fn at(self, index: u64) -> u64 {
        self.base.wrapping_add(index.wrapping_mul(self.width))
    }

    fn swap(self, i: u64, j: u64) -> Result<(), BadAddress> {
        let (a, b) = (self.at(i), self.at(j));
        match self.width {
            _ if i == j => Ok(()),
            4 => swap_words::<u32>(a, b),
            8 => swap_words::<u64>(a, b),
            _ => self.swap_pieces(i, j),
        }
    }

    fn swap_pieces(self, i: u64, j: u64) -> Result<(), BadAddress> {
        const PIECE: usize = 256;
        let (mut a, mut b, mut left) = (self.at(i), self.at(j), self.width);
        let (mut x, mut y) = ([0u8; PIECE], [0u8; PIECE]);
        while left > 0 {
            let n = usize::try_from(left).map_or(PIECE, |l| l.min(PIECE));
            mem::copy_in(a, &mut x[..n])?;
            mem::copy_in(b, &mut y[..n])?;
            mem::copy_out(a, &y[..n])?;
            mem::copy_out(b, &x[..n])?;
            (a, b, left) = (a + n as u64, b + n as u64, left - n as u64);
        }
        Ok(())
    }
}

/// Swaps what most arrays are made of: numbers and pointers.
fn swap_words<T: mem::Plain>(a: u64, b: u64) -> Result<(), BadAddress> {
    let (x, y) = (mem::read::<T>(a)?, mem::read::<T>(b)?);
    mem::write(a, &y)?;
    mem::write(b, &x)
}

/// Ranges up to this long are sorted by insertion.
const SHORT: u64 = 8;

/// Sorts `lo..=hi`: quicksort with the median of three, the smaller part first, insertion for short ranges, and heapsort
/// where quicksort goes too deep, so that no input takes quadratic time.
fn sort(cx: &Cx, array: Array, count: u64, order: Order) -> Result<(), BadAddress> {
    if count < 2 {
        return Ok(());
    }
    let mut stack = [(0u64, 0u64, 0u32); 64];
    let mut depth = 0;
    stack[depth] = (0, count - 1, 2 * (64 - count.leading_zeros()));
    depth += 1;
    while depth > 0 {
        depth -= 1;
        let (mut lo, mut hi, mut budget) = stack[depth];
        while hi - lo >= SHORT {
            if budget == 0 {
                heapsort(cx, array, lo, hi, order)?;
                lo = hi;
                break;
            }
            budget -= 1;
            let (left_end, right_start) = partition(cx, array, lo, hi, order)?;
            // Go on with the smaller part; the larger one waits, so that the stack stays logarithmic.
            if left_end - lo < hi - right_start {
                stack[depth] = (right_start, hi, budget);
                hi = left_end;
            } else {
                stack[depth] = (lo, left_end, budget);
                lo = right_start;
            }
            depth += 1;
        }
        insertion(cx, array, lo, hi, order)?;
    }
    Ok(())
}

/// Partitions `lo..=hi` around the median of three, which is moved to `lo`; none of the three is at an end, where dividing a falling
/// range leaves its extremes. Returns the end of the left part and the start
/// of the right one; a comparison function that contradicts itself cannot lead outside the range.
fn partition(cx: &Cx, array: Array, lo: u64, hi: u64, order: Order) -> Result<(u64, u64), BadAddress> {
    let quarter = (hi - lo + 1) / 4;
    let (first, mid, last) = (lo + quarter, lo + 2 * quarter, lo + 3 * quarter);
    for (a, b) in [(first, mid), (mid, last), (first, mid)] {
        if order.compare(cx, array.at(a), array.at(b)) > 0 {
            array.swap(a, b)?;
        }
    }
    array.swap(lo, mid)?;
    let pivot = array.at(lo);
    let (mut i, mut j) = (lo + 1, hi);
    loop {
        while i <= j && order.compare(cx, array.at(i), pivot) < 0 {
            i += 1;
        }
        while j > i && order.compare(cx, array.at(j), pivot) > 0 {
            j -= 1;
        }
        if i >= j {
            break;
        }
        array.swap(i, j)?;
        i += 1;
        j -= 1;
    }
    // Everything before `i` is not above the pivot.
    let split = i - 1;
    array.swap(lo, split)?;
    Ok((if split > lo { split - 1 } else { lo }, (split + 1).min(hi)))
}

fn insertion(cx: &Cx, array: Array, lo: u64, hi: u64, order: Order) -> Result<(), BadAddress> {
    for i in lo + 1..=hi {
        let mut j = i;
        while j > lo && order.compare(cx, array.at(j - 1), array.at(j)) > 0 {
            array.swap(j - 1, j)?;
            j -= 1;
        }
    }
    Ok(())
}

fn heapsort(cx: &Cx, array: Array, lo: u64, hi: u64, order: Order) -> Result<(), BadAddress> {
    let count = hi - lo + 1;
    let sift = |mut root: u64, end: u64| -> Result<(), BadAddress> {
        loop {
            let mut child = 2 * root + 1;
            if child >= end {
                return Ok(());
            }
            if child + 1 < end && order.compare(cx, array.at(lo + child), array.at(lo + child + 1)) < 0 {
                child += 1;
            }
            if order.compare(cx, array.at(lo + root), array.at(lo + child)) >= 0 {
                return Ok(());
            }
            array.swap(lo + root, lo + child)?;
            root = child;
        }
    };
    for root in (0..count / 2).rev() {
        sift(root, count)?;
    }
    for end in (1..count).rev() {
        array.swap(lo, lo + end)?;
        sift(0, end)?;
    }
    Ok(())
}

fn checked(cx: &Cx, base: Ptr<u8>, count: usize, width: usize, function: Func) -> Crt<Array> {
    invalid::check(cx, !(base.is_null() && count != 0) && width != 0 && !function.is_null())?;
    Ok(Array { base: base.addr(), width: width as u64 })
}

/// Sorts an array.
#[shim(msvcrt, ucrtbase, leaf = transom_cpu::leaf::search::qsort, counted)]
fn qsort(cx: &Cx, base: Ptr<u8>, count: usize, width: usize, compare: Func) -> Crt<()> {
    let array = checked(cx, base, count, width, compare)?;
    Ok(sort(cx, array, count as u64, Order { function: compare, context: None })?)
}

/// Sorts an array; the comparison function gets a context.
#[shim(msvcrt, ucrtbase, leaf = transom_cpu::leaf::search::qsort_s, counted)]
fn qsort_s(cx: &Cx, base: Ptr<u8>, count: usize, width: usize, compare: Func, context: usize) -> Crt<()> {
    let array = checked(cx, base, count, width, compare)?;
    Ok(sort(cx, array, count as u64, Order { function: compare, context: Some(context as u64) })?)
}

fn binary_search(cx: &Cx, key: u64, array: Array, count: u64, order: Order) -> u64 {
    let (mut lo, mut hi) = (0, count);
    while lo < hi {
        let mid = lo + (hi - lo) / 2;
        match order.compare(cx, key, array.at(mid)) {
            0 => return array.at(mid),
            n if n < 0 => hi = mid,
            _ => lo = mid + 1,
        }
    }
    0
}

/// Searches a sorted array.
#[shim(msvcrt, ucrtbase, leaf = transom_cpu::leaf::search::bsearch)]
fn bsearch(cx: &Cx, key: Ptr<u8>, base: Ptr<u8>, count: usize, width: usize, compare: Func) -> Crt<Ptr<u8>> {
    let array = checked(cx, base, count, width, compare)?;
    let order = Order { function: compare, context: None };
    Ok(Ptr::new(binary_search(cx, key.addr(), array, count as u64, order)))
}

/// Searches a sorted array; the comparison function gets a context.
#[shim(msvcrt, ucrtbase, leaf = transom_cpu::leaf::search::bsearch_s)]
fn bsearch_s(
    cx: &Cx,
    key: Ptr<u8>,
    base: Ptr<u8>,
    count: usize,
    width: usize,
    compare: Func,
    context: usize,
) -> Crt<Ptr<u8>> {
    let array = checked(cx, base, count, width, compare)?;
    let order = Order { function: compare, context: Some(context as u64) };
    Ok(Ptr::new(binary_search(cx, key.addr(), array, count as u64, order)))
}

fn linear_search(cx: &Cx, key: u64, array: Array, count: u32, order: Order) -> Option<u64> {
    (0..u64::from(count)).map(|i| array.at(i)).find(|&at| order.compare(cx, key, at) == 0)
}

/// Searches an unsorted array.
#[shim(msvcrt, ucrtbase)]
fn _lfind(cx: &Cx, key: Ptr<u8>, base: Ptr<u8>, count: Ptr<u32>, width: u32, compare: Func) -> Crt<Ptr<u8>> {
    let n = count.read(cx)?;
    let array = checked(cx, base, n as usize, width as usize, compare)?;
    let order = Order { function: compare, context: None };
    Ok(Ptr::new(linear_search(cx, key.addr(), array, n, order).unwrap_or(0)))
}

/// Searches an unsorted array; adds the key at its end if it is not there.
#[shim(msvcrt, ucrtbase)]
fn _lsearch(
    cx: &Cx,
    key: Ptr<u8>,
    base: Ptr<u8>,
    count: Ptr<u32>,
    width: u32,
    compare: Func,
) -> Crt<Ptr<u8>> {
    let n = count.read(cx)?;
    let array = checked(cx, base, n as usize, width as usize, compare)?;
    let order = Order { function: compare, context: None };
    if let Some(at) = linear_search(cx, key.addr(), array, n, order) {
        return Ok(Ptr::new(at));
    }
    let end = array.at(n.into());
    mem::copy_within(end, key.addr(), width as usize)?;
    count.write(cx, n.wrapping_add(1))?;
    Ok(Ptr::new(end))
}
