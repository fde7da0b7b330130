//! stdlib.h, process.h, locale.h, signal.h, setjmp.h and the runtimes' start-up functions.

pub(crate) mod convert;
pub(crate) mod env;
pub(crate) mod errlist;
pub(crate) mod exit;
pub(crate) mod kernel32;
pub(crate) mod locale;
pub(crate) mod malloc;
pub(crate) mod misc;
pub(crate) mod multibyte;
pub(crate) mod onexit;
pub(crate) mod signal;
pub(crate) mod startup;
pub(crate) mod thread;
