//! Processes: making them, their ends and exit codes, opening and listing them.
//!
//! A guest process is a process of Linux. [`create`] starts one by running Transom once more (`/proc/self/exe`), which finds in a
//! memory file what to do ([`block`]); host programs are started as they are ([`host`]). What a process shares with others is in
//! [`object`]; what `/proc` tells about any process is in [`list`]. How handles of the parent become handles of the child is
//! [`inherit`]'s business; how handles go from one process to another that runs already is [`mailbox`]'s.
//!
//! # Exit codes
//!
//! Linux keeps 8 bits of an exit code, Windows 32. The first page of the start-up block stays mapped in parent and
//! child; the child stores its code there before it exits, the parent reads it after Linux has reported the end. A process
//! that is killed by a signal gets the code that the same event would give on Windows ([`object::code_of_signal`]).
//!
//! # Waiting
//!
//! A pidfd says when a process has ended. The process's watcher thread ([`crate::watcher`]) waits for all pidfds, reaps (so no zombie
//! stays even where nobody waits or the handle was closed long ago), and opens the process object's cell.

pub mod block;
pub mod create;
pub mod host;
pub mod image;
pub mod inherit;
pub mod list;
pub mod mailbox;
pub mod object;

pub use block::{Inherited, Startup};
pub use create::{Created, HostProgram, Launch, create, create_host};
pub use object::{MainThread, ProcessObject, exit, open};
