//! What each `sprintf` function does when the text meets the end of the buffer.

use super::Options;

/// The rule of a function, with its buffer size in units.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Limit {
    /// `sprintf`: no limit known.
    None,
    /// `_snprintf`, `_snwprintf`, `_vsnprintf`: text of exactly the size is not terminated, longer text is cut and gives -1.
    Legacy(usize),
    /// `snprintf`, `vsnprintf`: always terminated, the result is the whole length.
    Standard(usize),
    /// `swprintf` and the common functions without option bits: always terminated, -1 when cut.
    Terminated(usize),
    /// `sprintf_s`: text that does not fit is an invalid parameter and empties the buffer.
    Secure(usize),
    /// `_snprintf_s`: `size` of the buffer and `count`, the most units to keep (`None` for `_TRUNCATE`).
    SecureCount {
        /// Units in the buffer.
        size: usize,
        /// Most units to keep before the NUL; `None` is `_TRUNCATE`.
        count: Option<usize>,
    },
    /// `_scprintf`: counts only.
    Count,
}

impl Limit {
    /// The rule of `__stdio_common_vsprintf` for these options; `size` is `None` for `SIZE_MAX`.
    #[must_use]
    pub fn of_common(options: &Options, size: Option<usize>) -> Self {
        match size {
            None => Self::None,
            Some(n) if options.standard_snprintf => Self::Standard(n),
            Some(n) if options.legacy_termination => Self::Legacy(n),
            Some(n) => Self::Terminated(n),
        }
    }

    /// How many units of text the sink should keep at most.
    #[must_use]
    pub fn capacity(self) -> usize {
        match self {
            Self::None => usize::MAX,
            Self::Legacy(n) => n,
            Self::Standard(n) | Self::Terminated(n) | Self::Secure(n) => n.saturating_sub(1),
            Self::SecureCount { size, count } => size.saturating_sub(1).min(count.unwrap_or(usize::MAX)),
            Self::Count => 0,
        }
    }
}

/// What is left to do after the text has been formatted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Finish {
    /// The function's result.
    pub result: i32,
    /// Index at which to store a NUL.
    pub nul_at: Option<usize>,
    /// The buffer was too small where that is an error: ERANGE through the invalid parameter handler.
    pub range_error: bool,
}

/// Result, termination and error of a function whose text has `length` units (`None`: formatting failed).
#[must_use]
pub fn finish(limit: Limit, length: Option<i32>) -> Finish {
    let done = |result, nul_at| Finish { result, nul_at, range_error: false };
    let Some((length, whole)) = length.and_then(|n| Some((usize::try_from(n).ok()?, n))) else {
        let empty = match limit {
            Limit::None => Some(0),
            Limit::Secure(n)
            | Limit::Standard(n)
            | Limit::Terminated(n)
            | Limit::SecureCount { size: n, .. } => (n > 0).then_some(0),
            Limit::Legacy(_) | Limit::Count => None,
        };
        return done(-1, empty);
    };
    match limit {
        Limit::None => done(whole, Some(length)),
        Limit::Count => done(whole, None),
        Limit::Legacy(n) if length < n => done(whole, Some(length)),
        Limit::Legacy(n) if length == n => done(whole, None),
        Limit::Legacy(_) => done(-1, None),
        Limit::Standard(n) => done(whole, n.checked_sub(1).map(|last| last.min(length))),
        Limit::Terminated(n) if length < n => done(whole, Some(length)),
        Limit::Terminated(n) => done(-1, n.checked_sub(1)),
        Limit::Secure(n) | Limit::SecureCount { size: n, .. } if length < n => match limit {
            Limit::SecureCount { count: Some(count), .. } if length > count => done(-1, Some(count)),
            _ => done(whole, Some(length)),
        },
        Limit::SecureCount { size, count: None } => done(-1, size.checked_sub(1)),
        Limit::SecureCount { size, count: Some(count) } if count < size => done(-1, Some(count)),
        Limit::Secure(n) | Limit::SecureCount { size: n, .. } => {
            Finish { result: -1, nul_at: (n > 0).then_some(0), range_error: true }
        }
    }
}
