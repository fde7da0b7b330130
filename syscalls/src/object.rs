//! Objects: what handles refer to.

use std::any::Any;

use crate::process::inherit::Passed;
use crate::wait::Cell;

/// The type of an object, as Windows names it.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Hash)]
#[allow(missing_docs, reason = "the names are Windows' own type names")]
pub enum Kind {
    File,
    Directory,
    Section,
    Process,
    Thread,
    Event,
    Mutant,
    Semaphore,
    Timer,
    IoCompletion,
    Job,
    Key,
    Find,
    KeyedEvent,
    Token,
}

/// Something that a handle can refer to. Objects are reference-counted; the last reference drops them.
pub trait Object: Any + Send + Sync {
    /// Its type.
    fn kind(&self) -> Kind;

    /// What waiting for it means, if it can be waited for.
    fn wait_cell(&self) -> Option<&Cell> {
        None
    }

    /// What a child process needs to make an object of its own of an inherited handle, if the object can be passed on.
    fn pass(&self) -> Option<Passed> {
        None
    }

    /// Called when the last handle to it in this process is closed (the object itself may live on in references).
    fn last_handle_closed(&self) {}

    /// For downcasts.
    fn as_any(&self) -> &dyn Any;
}
