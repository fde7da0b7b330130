//! ole32.dll (and combase.dll): apartments, task memory, GUIDs. There are no COM classes to create.

pub(crate) mod guid;
pub(crate) mod objbase;
