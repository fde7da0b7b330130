//! What the library adds to the operating system's interface: error codes ([`errors`]), clocks and random numbers ([`clock`]).

pub(crate) mod clock;
pub(crate) mod errors;
