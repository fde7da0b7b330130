//! Sorting and searching with the guest's own comparison (search.h).

use transom_sdk::{Crt, Cx, Func, Ptr, mem, shim};

use crate::rt::invalid;

/// Elements in guest memory and the function that compares two of them.
struct Elements<'a> {
    cx: &'a Cx,
    base: u64,
    width: u64,
    compare: Func,
    /// First argument of the `_s` forms' comparison.
    context: Option<u64>,
}

impl Elements<'_> {
    fn at(&self, index: usize) -> u64 {
        self.base + index as u64 * self.width
    }

    fn compare(&self, a: u64, b: u64) -> i32 {
        let result = match self.context {
            Some(context) => self.cx.call(self.compare, &[context, a, b]),
            None => self.cx.call(self.compare, &[a, b]),
        };
        let [x, y, z, w, ..] = result.to_le_bytes();
        i32::from_le_bytes([x, y, z, w])
    }

    fn less(&self, a: usize, b: usize) -> bool {
        self.compare(self.at(a), self.at(b)) < 0
    }

    /// Swaps two elements, through a buffer on the stack that needs no destructor.
    fn swap(&self, a: usize, b: usize) -> Crt<()> {
        if a == b {
            return Ok(());
        }
        let (mut a, mut b, mut left) = (self.at(a), self.at(b), self.width);
        let (mut x, mut y) = ([0u8; 128], [0u8; 128]);
        while left > 0 {
            let n = usize::try_from(left.min(128)).unwrap_or(128);
            mem::copy_in(a, &mut x[..n])?;
            mem::copy_in(b, &mut y[..n])?;
            mem::copy_out(a, &y[..n])?;
            mem::copy_out(b, &x[..n])?;
            (a, b, left) = (a + n as u64, b + n as u64, left - n as u64);
        }
        Ok(())
    }

    /// Sorts a range by insertion.
    fn insertion(&self, from: usize, to: usize) -> Crt<()> {
        for i in from + 1..to {
            let mut j = i;
            while j > from && self.less(j, j - 1) {
                self.swap(j, j - 1)?;
                j -= 1;
            }
        }
        Ok(())
    }

    /// Restores the heap order below `root` in the range from `from` with `len` elements.
    fn sift(&self, from: usize, mut root: usize, len: usize) -> Crt<()> {
        loop {
            let mut child = 2 * root + 1;
            if child >= len {
                return Ok(());
            }
            if child + 1 < len && self.less(from + child, from + child + 1) {
                child += 1;
            }
            if !self.less(from + root, from + child) {
                return Ok(());
            }
            self.swap(from + root, from + child)?;
            root = child;
        }
    }

    fn heap_sort(&self, from: usize, to: usize) -> Crt<()> {
        let len = to - from;
        for root in (0..len / 2).rev() {
            self.sift(from, root, len)?;
        }
        for end in (1..len).rev() {
            self.swap(from, from + end)?;
            self.sift(from, 0, end)?;
        }
        Ok(())
    }

    /// Puts the median of three elements into the middle.
    fn median(&self, from: usize, middle: usize, last: usize) -> Crt<()> {
        if self.less(middle, from) {
            self.swap(middle, from)?;
        }
        if self.less(last, middle) {
            self.swap(last, middle)?;
            if self.less(middle, from) {
                self.swap(middle, from)?;
            }
        }
        Ok(())
    }

    /// Quicksort that gives up on bad luck and bounds its depth, so that a comparison that contradicts itself ends too.
    fn sort(&self, count: usize) -> Crt<()> {
        let mut stack = [(0usize, 0usize, 0u32); 64];
        let depth = 2 * (usize::BITS - count.leading_zeros());
        stack[0] = (0, count, depth);
        let mut used = 1;
        while used > 0 {
            used -= 1;
            let (mut from, mut to, mut depth) = stack[used];
            while to - from > 8 {
                if depth == 0 {
                    self.heap_sort(from, to)?;
                    break;
                }
                depth -= 1;
                let split = self.partition(from, to)?;
                // The smaller part waits: the stack never holds more than the logarithm of the count.
                let (small, large) = if split - from < to - split - 1 {
                    ((from, split), (split + 1, to))
                } else {
                    ((split + 1, to), (from, split))
                };
                if let Some(slot) = stack.get_mut(used) {
                    *slot = (large.0, large.1, depth);
                    used += 1;
                }
                (from, to) = small;
            }
            if to - from <= 8 && to > from {
                self.insertion(from, to)?;
            }
        }
        Ok(())
    }

    /// Splits a range around a pivot; returns the pivot's place.
    fn partition(&self, from: usize, to: usize) -> Crt<usize> {
        let last = to - 1;
        self.median(from, from + (to - from) / 2, last)?;
        self.swap(from + (to - from) / 2, from)?;
        let (mut i, mut j) = (from, to);
        loop {
            i += 1;
            while i < last && self.less(i, from) {
                i += 1;
            }
            j -= 1;
            while j > from && self.less(from, j) {
                j -= 1;
            }
            if i >= j {
                break;
            }
            self.swap(i, j)?;
        }
        self.swap(from, j)?;
        Ok(j)
    }
}

fn sort(cx: &Cx, base: Ptr<u8>, count: usize, width: usize, compare: Func, context: Option<u64>) -> Crt<()> {
    invalid::check(cx, (!base.is_null() || count == 0) && width > 0 && !compare.is_null())?;
    Elements { cx, base: base.addr(), width: width as u64, compare, context }.sort(count)
}

/// Sorts an array.
#[shim(msvcrt, ucrtbase)]
fn qsort(cx: &Cx, base: Ptr<u8>, count: usize, width: usize, compare: Func) -> Crt<()> {
    sort(cx, base, count, width, compare, None)
}

/// Sorts an array; the comparison gets a context.
#[shim(msvcrt, ucrtbase)]
fn qsort_s(cx: &Cx, base: Ptr<u8>, count: usize, width: usize, compare: Func, context: Ptr<u8>) -> Crt<()> {
    sort(cx, base, count, width, compare, Some(context.addr()))
}

fn search(elements: &Elements<'_>, key: u64, count: usize) -> u64 {
    let (mut low, mut high) = (0, count);
    while low < high {
        let middle = low + (high - low) / 2;
        match elements.compare(key, elements.at(middle)) {
            0 => return elements.at(middle),
            c if c < 0 => high = middle,
            _ => low = middle + 1,
        }
    }
    0
}

/// Searches a sorted array.
#[shim(msvcrt, ucrtbase)]
fn bsearch(cx: &Cx, key: Ptr<u8>, base: Ptr<u8>, count: usize, width: usize, compare: Func) -> Crt<Ptr<u8>> {
    invalid::check(cx, (!base.is_null() || count == 0) && width > 0 && !compare.is_null())?;
    let elements = Elements { cx, base: base.addr(), width: width as u64, compare, context: None };
    Ok(Ptr::new(search(&elements, key.addr(), count)))
}

/// Searches a sorted array; the comparison gets a context.
#[shim(msvcrt, ucrtbase)]
fn bsearch_s(
    cx: &Cx,
    key: Ptr<u8>,
    base: Ptr<u8>,
    count: usize,
    width: usize,
    compare: Func,
    context: Ptr<u8>,
) -> Crt<Ptr<u8>> {
    invalid::check(cx, (!base.is_null() || count == 0) && width > 0 && !compare.is_null())?;
    let context = Some(context.addr());
    let elements = Elements { cx, base: base.addr(), width: width as u64, compare, context };
    Ok(Ptr::new(search(&elements, key.addr(), count)))
}

/// Finds an element of an array, or with `append` adds it at the end.
fn linear(elements: &Elements<'_>, key: Ptr<u8>, count: Ptr<u32>, append: bool) -> Crt<Ptr<u8>> {
    let n = count.read(elements.cx)?;
    let length = usize::try_from(n).unwrap_or(0);
    for i in 0..length {
        if elements.compare(key.addr(), elements.at(i)) == 0 {
            return Ok(Ptr::new(elements.at(i)));
        }
    }
    if !append {
        return Ok(Ptr::NULL);
    }
    let at = elements.at(length);
    mem::copy_within(at, key.addr(), usize::try_from(elements.width).unwrap_or(0))?;
    count.write(elements.cx, n.wrapping_add(1))?;
    Ok(Ptr::new(at))
}

/// Searches an array from its start.
#[shim(msvcrt(_lfind, lfind), ucrtbase(_lfind, lfind))]
fn _lfind(cx: &Cx, key: Ptr<u8>, base: Ptr<u8>, count: Ptr<u32>, width: u32, compare: Func) -> Crt<Ptr<u8>> {
    let elements = Elements { cx, base: base.addr(), width: width.into(), compare, context: None };
    linear(&elements, key, count, false)
}

/// Searches an array from its start and adds what is not there.
#[shim(msvcrt(_lsearch, lsearch), ucrtbase(_lsearch, lsearch))]
fn _lsearch(
    cx: &Cx,
    key: Ptr<u8>,
    base: Ptr<u8>,
    count: Ptr<u32>,
    width: u32,
    compare: Func,
) -> Crt<Ptr<u8>> {
    let elements = Elements { cx, base: base.addr(), width: width.into(), compare, context: None };
    linear(&elements, key, count, true)
}
