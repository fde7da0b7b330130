//! What the library adds to the operating system's interface: error codes ([`errors`]), clocks and random numbers ([`clock`]), waiting
//! for a value to change ([`atomic_wait`]), resources of memory ([`memory_resource`]).

pub(crate) mod atomic_wait;
pub(crate) mod clock;
pub(crate) mod errors;
pub(crate) mod memory_resource;
