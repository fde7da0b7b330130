//! How handles of a parent become handles of a child.
//!
//! An object that can be passed on says how ([`Object::pass`]): a few descriptors and some bytes. The child makes an object
//! of its own from them: each kind of object has a maker, which the module of that kind registers here when the process starts.
//! Objects that cannot be passed on are not inherited, and the child's handle does not exist.

use std::os::fd::{FromRawFd, OwnedFd, RawFd};
use std::sync::{Arc, Mutex, PoisonError};

use windows_sys::Win32::Foundation as f;

use super::block::Inherited;
use super::object::ProcessObject;
use crate::handle::{Handle, HandleFlags, HandleTable};
use crate::object::Object;
use crate::session;
use crate::status::{Result, Status};

/// A descriptor's number.
pub type Descriptor = RawFd;

/// An object taken apart for a child.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Passed {
    /// Selects the maker.
    pub kind: u32,
    /// Descriptors of the object, which stay the object's own; the child gets them by the same numbers, unless these are below 3.
    pub descriptors: Vec<RawFd>,
    /// What else the maker needs.
    pub state: Vec<u8>,
}

/// Makes an object from what was passed. The descriptors are the object's to close, and close on exec.
pub trait Maker: Fn(Vec<OwnedFd>, &[u8]) -> Result<Arc<dyn Object>> + Send + Sync + 'static {}

impl<F: Fn(Vec<OwnedFd>, &[u8]) -> Result<Arc<dyn Object>> + Send + Sync + 'static> Maker for F {}

/// Makers by kind, in the order of registration.
static MAKERS: Mutex<Vec<(u32, Arc<dyn Maker>)>> = Mutex::new(Vec::new());

/// Has objects of this kind made by `maker`. A later registration replaces an earlier one.
pub fn register(kind: u32, maker: impl Maker) {
    let mut makers = MAKERS.lock().unwrap_or_else(PoisonError::into_inner);
    makers.retain(|(k, _)| *k != kind);
    makers.push((kind, Arc::new(maker)));
}

/// The inheritable handles of a table: all, or those among `only` (`PROC_THREAD_ATTRIBUTE_HANDLE_LIST`).
///
/// # Errors
/// `STATUS_INVALID_PARAMETER` if `only` names a handle that does not exist or is not inheritable, as in Windows.
pub fn collect(table: &HandleTable, only: Option<&[Handle]>) -> Result<Vec<Inherited>> {
    let mut entries = table.entries();
    entries.retain(|e| e.flags.inherit && only.is_none_or(|o| o.contains(&e.handle)));
    if only.is_some_and(|o| !o.iter().all(|h| entries.iter().any(|e| e.handle == *h))) {
        return Err(Status(f::STATUS_INVALID_PARAMETER));
    }
    let passed = entries.iter().filter_map(|e| {
        let Some(p) = e.object.pass() else {
            log::warn!("handle {:?} ({:?}) cannot be inherited", e.handle, e.object.kind());
            return None;
        };
        Some(Inherited {
            value: e.handle.0,
            access: e.access,
            kind: p.kind,
            descriptors: p.descriptors,
            state: p.state,
        })
    });
    Ok(passed.collect())
}

/// Makes an object from what was passed.
///
/// # Errors
/// `STATUS_INVALID_PARAMETER` if nothing makes objects of this kind here; what the maker reports.
pub(super) fn make(kind: u32, descriptors: Vec<OwnedFd>, state: &[u8]) -> Result<Arc<dyn Object>> {
    if kind == session::PASSED {
        return session::receive(descriptors, state);
    }
    if kind == ProcessObject::PASSED {
        return ProcessObject::receive(state);
    }
    let makers = MAKERS.lock().unwrap_or_else(PoisonError::into_inner);
    let maker = makers.iter().find(|(k, _)| *k == kind).map(|(_, maker)| Arc::clone(maker));
    drop(makers);
    maker.ok_or(Status(f::STATUS_INVALID_PARAMETER))?(descriptors, state)
}

/// Fills a child's table. A handle whose object cannot be made is left out, with a warning.
pub fn restore(table: &HandleTable, handles: &[Inherited]) {
    let mut taken = Vec::new();
    for h in handles {
        let owned = |fd: &RawFd| {
            // Two handles of one object name the same descriptor: the second one gets a copy.
            let repeated = taken.contains(fd);
            taken.push(*fd);
            // SAFETY: system calls on numbers.
            let fd = unsafe {
                match repeated {
                    true => libc::fcntl(*fd, libc::F_DUPFD_CLOEXEC, 3),
                    false if *fd > 2 && libc::fcntl(*fd, libc::F_SETFD, libc::FD_CLOEXEC) == 0 => *fd,
                    false => -1,
                }
            };
            // SAFETY: the parent passed this descriptor for this handle alone, and nothing else here knows it, or it is a new
            // one. A number that is not open, or one of the three standard ones, can only come from a block that lies.
            (fd > 2).then(|| unsafe { OwnedFd::from_raw_fd(fd) })
        };
        let descriptors: Option<Vec<OwnedFd>> = h.descriptors.iter().map(owned).collect();
        let made = match descriptors {
            Some(descriptors) => make(h.kind, descriptors, &h.state),
            None => Err(Status(f::STATUS_INVALID_PARAMETER)),
        };
        let inserted = made.and_then(|object| {
            table.insert_at(Handle(h.value), object, h.access, HandleFlags::inheritable(true))
        });
        if let Err(e) = inserted {
            log::warn!("handle {:#x} was not inherited: {e:?}", h.value);
        }
    }
}
