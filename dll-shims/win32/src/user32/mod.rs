//! user32.dll: what console programs use of it. There are no windows.

pub(crate) mod clipboard;
pub(crate) mod keyboard;
pub(crate) mod queue;
pub(crate) mod strings;
pub(crate) mod system;
pub(crate) mod text;
pub(crate) mod wsprintf;
