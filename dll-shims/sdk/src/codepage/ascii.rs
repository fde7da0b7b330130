//! The ASCII part of a conversion, in loops over blocks that the compiler turns into vector code.

const BLOCK: usize = 32;

/// Length of the ASCII prefix of `from`.
#[must_use]
pub fn ascii_prefix(from: &[u8]) -> usize {
    let mut at = 0;
    for block in from.chunks_exact(BLOCK) {
        if block.iter().fold(0, |acc, b| acc | b) >= 0x80 {
            break;
        }
        at += BLOCK;
    }
    at + from[at..].iter().take_while(|b| b.is_ascii()).count()
}

/// Widens ASCII bytes until one is not ASCII or a slice ends; returns how many.
pub fn widen_ascii(from: &[u8], to: &mut [u16]) -> usize {
    let mut at = 0;
    // Arrays, not slices: their loops become plain vector code.
    let blocks = from.as_chunks::<BLOCK>().0.iter().zip(to.as_chunks_mut::<BLOCK>().0);
    for (source, target) in blocks {
        if !source.is_ascii() {
            break;
        }
        *target = source.map(u16::from);
        at += BLOCK;
    }
    for (t, s) in to[at..].iter_mut().zip(&from[at..]) {
        if !s.is_ascii() {
            break;
        }
        *t = (*s).into();
        at += 1;
    }
    at
}

/// Narrows ASCII units until one is not ASCII or a slice ends; returns how many.
#[expect(clippy::cast_possible_truncation, reason = "only units below 0x80 are stored")]
pub fn narrow_ascii(from: &[u16], to: &mut [u8]) -> usize {
    let mut at = 0;
    for (source, target) in from.chunks_exact(BLOCK).zip(to.chunks_exact_mut(BLOCK)) {
        if source.iter().fold(0, |acc, u| acc | u) >= 0x80 {
            break;
        }
        for (t, s) in target.iter_mut().zip(source) {
            *t = *s as u8;
        }
        at += BLOCK;
    }
    for (t, s) in to[at..].iter_mut().zip(&from[at..]) {
        if *s >= 0x80 {
            break;
        }
        *t = *s as u8;
        at += 1;
    }
    at
}
