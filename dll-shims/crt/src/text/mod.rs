//! string.h, memory.h, wchar.h, ctype.h and wctype.h: shims over guest memory. The character tables themselves are in
//! [`crate::string`].

pub(crate) mod classify;
pub(crate) mod copy;
pub(crate) mod fold;
pub(crate) mod search;
pub(crate) mod secure;
pub(crate) mod token;
