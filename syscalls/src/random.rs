//! Random numbers from the host's generator.

use crate::status::{Result, Status};

/// Fills a buffer with randomness fit for keys.
///
/// # Errors
/// What the host's generator reports, which it does not once the machine has started.
pub fn fill(out: &mut [u8]) -> Result<()> {
    let mut done = 0;
    while done < out.len() {
        // SAFETY: the range is the rest of the buffer.
        let n = unsafe { libc::getrandom(out[done..].as_mut_ptr().cast(), out.len() - done, 0) };
        match usize::try_from(n) {
            Ok(n) => done += n,
            Err(_) if std::io::Error::last_os_error().kind() == std::io::ErrorKind::Interrupted => {}
            Err(_) => return Err(Status::last_errno()),
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    #[test]
    fn two_calls_differ() {
        let (mut a, mut b) = ([0u8; 32], [0u8; 32]);
        super::fill(&mut a).unwrap();
        super::fill(&mut b).unwrap();
        assert_ne!(a, b);
        super::fill(&mut []).unwrap();
    }
}
