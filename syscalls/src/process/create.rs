//! Starting processes: guests through Transom itself, host programs as they are.
//!
//! `posix_spawn` makes the child share the parent's memory until it executes, so that no page table is copied however
//! large the guest is. Descriptors close on exec unless they are let through: the start-up block, those of inherited
//! handles (by the same numbers in the child), and the three standard ones.

use core::ptr;
use std::ffi::{CStr, CString, OsStr};
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd, RawFd};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::sync::{Arc, Once};

use windows_sys::Win32::Foundation as f;
use windows_sys::Win32::System::Threading::CREATE_NEW_PROCESS_GROUP;

use super::block::{self, ARGUMENT, Startup};
use super::object::{self, MainThread, ProcessObject};
use crate::status::{Result, Status};

/// How to start a guest, beside its [`Startup`].
#[derive(Clone, Copy, Debug)]
pub struct Launch<'a> {
    /// Descriptors for the child's own 0, 1 and 2 (what its standard handles refer to); `None`: `/dev/null`.
    pub standard: [Option<RawFd>; 3],
    /// The current directory, as a host path.
    pub directory: &'a Path,
    /// Whether its main thread waits for [`MainThread::resume`].
    pub suspended: bool,
    /// Whether it leaves the terminal: a session of its own (`DETACHED_PROCESS`, `CREATE_NO_WINDOW`).
    pub detached: bool,
    /// The host environment of the child: of interest to Transom itself and to host programs further down.
    pub host_environment: &'a [CString],
}

/// A new process.
#[derive(Clone, Debug)]
pub struct Created {
    /// The process.
    pub process: Arc<ProcessObject>,
    /// Its main thread.
    pub thread: Arc<MainThread>,
}

/// A host program (or a script with a `#!` line) to start.
#[derive(Clone, Copy, Debug)]
pub struct HostProgram<'a> {
    /// Its file.
    pub path: &'a Path,
    /// Its arguments, its name first.
    pub arguments: &'a [CString],
    /// Descriptors to let through, by the same numbers, beside the standard ones.
    pub descriptors: &'a [RawFd],
}

/// Starts a guest process.
///
/// # Errors
/// `STATUS_OBJECT_NAME_NOT_FOUND` or `STATUS_OBJECT_PATH_NOT_FOUND` if the directory does not exist; what making the block or
/// the process reports, `STATUS_INSUFFICIENT_RESOURCES` at the limit of processes.
pub fn create(startup: &Startup, launch: &Launch<'_>) -> Result<Created> {
    let mut startup = startup.clone();
    let kept = raise_low_descriptors(&mut startup)?;
    let (fd, page) = block::make(&startup, launch.suspended)?;
    let leads = startup.creation_flags & CREATE_NEW_PROCESS_GROUP != 0;
    page.set_group(if leads { object::LEADS } else { object::own_group() });
    let mut through: Vec<RawFd> =
        startup.handles.iter().flat_map(|h| h.descriptors.iter().copied()).collect();
    through.push(fd.as_raw_fd());
    // What `ps` shows: after the block's argument, the image and nothing more; the true arguments are UTF-16 in the block.
    let program = CString::new("transom").map_err(|_| Status(f::STATUS_INVALID_PARAMETER))?;
    let argument = c_string(OsStr::new(&format!("{ARGUMENT}{}", fd.as_raw_fd())))?;
    let arguments = [program, argument, c_string(startup.image.as_os_str())?];
    let this =
        HostProgram { path: Path::new("/proc/self/exe"), arguments: &arguments, descriptors: &through };
    let pid = spawn(&this, launch)?;
    drop(kept);
    if leads {
        page.set_group(pid);
    }
    let process = ProcessObject::of_child(pid, Some(page))?;
    Ok(Created { thread: MainThread::new(&process), process })
}

/// Starts a host program.
///
/// # Errors
/// As [`create`]; `STATUS_INVALID_IMAGE_FORMAT` if the file is nothing that Linux can run; `STATUS_NOT_SUPPORTED` for a
/// suspended start, which host programs know nothing of.
pub fn create_host(program: &HostProgram<'_>, launch: &Launch<'_>) -> Result<Created> {
    if launch.suspended {
        return Err(Status(f::STATUS_NOT_SUPPORTED));
    }
    let pid = spawn(program, launch)?;
    let process = ProcessObject::of_child(pid, None)?;
    Ok(Created { thread: MainThread::new(&process), process })
}

fn c_string(s: &OsStr) -> Result<CString> {
    CString::new(s.as_bytes()).map_err(|_| Status(f::STATUS_OBJECT_NAME_INVALID))
}

/// The numbers 0, 1 and 2 are the child's standard descriptors, whatever they are in the parent: inherited handles get
/// others. The copies live until the child is started.
fn raise_low_descriptors(startup: &mut Startup) -> Result<Vec<OwnedFd>> {
    let mut copies = Vec::new();
    for fd in startup.handles.iter_mut().flat_map(|h| &mut h.descriptors).filter(|fd| **fd < 3) {
        let copy = copy_above(*fd)?;
        *fd = copy.as_raw_fd();
        copies.push(copy);
    }
    Ok(copies)
}

fn copy_above(fd: RawFd) -> Result<OwnedFd> {
    // SAFETY: makes a new descriptor, or reports that there is none to copy.
    let copy = unsafe { libc::fcntl(fd, libc::F_DUPFD_CLOEXEC, 3) };
    if copy < 0 {
        return Err(Status::last_errno());
    }
    // SAFETY: just made, owned by nobody else.
    Ok(unsafe { OwnedFd::from_raw_fd(copy) })
}

/// File actions and attributes of `posix_spawn`, freed in the end.
struct Spawner {
    actions: libc::posix_spawn_file_actions_t,
    attributes: libc::posix_spawnattr_t,
}

impl Spawner {
    fn new() -> Self {
        // SAFETY: both are initialised by their functions before any other use.
        unsafe {
            let mut this: Self = core::mem::zeroed();
            libc::posix_spawn_file_actions_init(&raw mut this.actions);
            libc::posix_spawnattr_init(&raw mut this.attributes);
            this
        }
    }

    fn directory(&mut self, path: &CStr) -> Result<()> {
        // SAFETY: initialised, and the path is a C string, which is copied.
        check(unsafe { libc::posix_spawn_file_actions_addchdir_np(&raw mut self.actions, path.as_ptr()) })
    }

    /// Lets a descriptor through, as `to`. The same number just does not close on exec.
    fn descriptor(&mut self, from: RawFd, to: RawFd) -> Result<()> {
        // SAFETY: initialised; no pointers are involved.
        check(unsafe { libc::posix_spawn_file_actions_adddup2(&raw mut self.actions, from, to) })
    }

    fn null(&mut self, to: RawFd) -> Result<()> {
        let path = c"/dev/null".as_ptr();
        // SAFETY: initialised, and the path is a C string, which is copied.
        check(unsafe {
            libc::posix_spawn_file_actions_addopen(&raw mut self.actions, to, path, libc::O_RDWR, 0)
        })
    }

    /// No signal blocked or ignored in the child, and perhaps a session of its own.
    fn attributes(&mut self, detached: bool) -> Result<()> {
        let session = if detached { i32::from(libc::POSIX_SPAWN_SETSID) } else { 0 };
        let flags = libc::POSIX_SPAWN_SETSIGMASK | libc::POSIX_SPAWN_SETSIGDEF | session;
        let flags = i16::try_from(flags).map_err(|_| Status(f::STATUS_INVALID_PARAMETER))?;
        // SAFETY: initialised; signal sets are plain data that these functions fill, and are copied.
        unsafe {
            let mut set: libc::sigset_t = core::mem::zeroed();
            libc::sigemptyset(&raw mut set);
            check(libc::posix_spawnattr_setsigmask(&raw mut self.attributes, &raw const set))?;
            // Transom ignores SIGPIPE; what the user's shell ignored (nohup) stays ignored.
            libc::sigaddset(&raw mut set, libc::SIGPIPE);
            check(libc::posix_spawnattr_setsigdefault(&raw mut self.attributes, &raw const set))?;
            check(libc::posix_spawnattr_setflags(&raw mut self.attributes, flags))
        }
    }
}

impl Drop for Spawner {
    fn drop(&mut self) {
        // SAFETY: initialised in `new`, and not used afterwards.
        unsafe {
            libc::posix_spawn_file_actions_destroy(&raw mut self.actions);
            libc::posix_spawnattr_destroy(&raw mut self.attributes);
        }
    }
}

fn check(error: i32) -> Result<()> {
    match error {
        0 => Ok(()),
        libc::ENOEXEC => Err(Status(f::STATUS_INVALID_IMAGE_FORMAT)),
        libc::EAGAIN => Err(Status(f::STATUS_INSUFFICIENT_RESOURCES)),
        libc::ELOOP | libc::ENOENT => Err(Status(f::STATUS_OBJECT_NAME_NOT_FOUND)),
        errno => Err(Status::from_errno(errno)),
    }
}

/// A parent that ignores SIGCHLD may have started Transom so; then the kernel would reap children itself, and their exit
/// codes would be lost.
fn keep_exit_codes() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        // SAFETY: the default action is no handler.
        unsafe { libc::signal(libc::SIGCHLD, libc::SIG_DFL) };
    });
}

fn spawn(program: &HostProgram<'_>, launch: &Launch<'_>) -> Result<u32> {
    keep_exit_codes();
    let mut spawner = Spawner::new();
    // A standard descriptor of the parent that is to be another one of the child would be overwritten before its turn.
    let mut copies = Vec::new();
    for (to, from) in (0..).zip(launch.standard) {
        match from {
            Some(from) if from == to || from > 2 => spawner.descriptor(from, to)?,
            Some(from) => {
                let copy = copy_above(from)?;
                spawner.descriptor(copy.as_raw_fd(), to)?;
                copies.push(copy);
            }
            None => spawner.null(to)?,
        }
    }
    for fd in program.descriptors {
        spawner.descriptor(*fd, *fd)?;
    }
    spawner.directory(&c_string(launch.directory.as_os_str())?)?;
    spawner.attributes(launch.detached)?;
    let path = c_string(program.path.as_os_str())?;
    let pointers = |strings: &[CString]| -> Vec<*mut libc::c_char> {
        strings.iter().map(|s| s.as_ptr().cast_mut()).chain([ptr::null_mut()]).collect()
    };
    let (arguments, environment) = (pointers(program.arguments), pointers(launch.host_environment));
    let mut pid = 0;
    // SAFETY: all are initialised; the arrays end with null and their strings live until the call is over.
    check(unsafe {
        libc::posix_spawn(
            &raw mut pid,
            path.as_ptr(),
            &raw const spawner.actions,
            &raw const spawner.attributes,
            arguments.as_ptr(),
            environment.as_ptr(),
        )
    })?;
    Ok(pid.cast_unsigned())
}
