//! winmm.dll: multimedia timers. Sound is out of scope.

pub(crate) mod timeapi;
pub(crate) mod waves;
