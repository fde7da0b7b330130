//! Unwind data for code that Transom writes itself.

use super::op;

/// The `UNWIND_INFO` of a function whose prolog, of `prolog` bytes, pushes registers (by their numbers) and then allocates
/// stack: a multiple of 8 bytes, less than 512 KiB.
#[must_use]
pub fn describe(pushed: &[u8], allocated: u32, prolog: u8) -> Vec<u8> {
    let eighths = allocated / 8;
    // Codes stand in the reverse order of their instructions, each with the offset of the next instruction.
    let mut codes = match u8::try_from(eighths) {
        Ok(0) => Vec::new(),
        Ok(small @ 1..=16) => vec![[prolog, op::ALLOC_SMALL | (small - 1) << 4]],
        _ => {
            let [low, high, ..] = eighths.to_le_bytes();
            vec![[prolog, op::ALLOC_LARGE], [low, high]]
        }
    };
    let pushes = pushed.iter().scan(0u8, |offset, &register| {
        *offset += if register < 8 { 1 } else { 2 };
        Some([*offset, op::PUSH_NONVOL | register << 4])
    });
    let pushes: Vec<[u8; 2]> = pushes.collect();
    codes.extend(pushes.into_iter().rev());
    let count = u8::try_from(codes.len()).unwrap_or(u8::MAX);
    // Version 1 without handlers or a frame register; codes fill up to a multiple of 4 bytes.
    let mut info = vec![1, prolog, count, 0];
    info.extend(codes.into_iter().flatten());
    info.resize(info.len().next_multiple_of(4), 0);
    info
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn as_a_compiler_writes_it() {
        // push rbx; push r12; sub rsp, 32
        assert_eq!(describe(&[3, 12], 32, 7), [1, 7, 3, 0, 7, 0x32, 3, 0xC0, 1, 0x30, 0, 0]);
        // push rdi; sub rsp, 1280
        assert_eq!(describe(&[7], 1280, 8), [1, 8, 3, 0, 8, 0x01, 160, 0, 1, 0x70, 0, 0]);
        assert_eq!(describe(&[], 0, 0), [1, 0, 0, 0]);
    }
}
