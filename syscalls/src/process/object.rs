//! Process objects: a pidfd, a wait cell, and an exit code.

use core::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::any::Any;
use std::collections::HashMap;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd, RawFd};
use std::sync::{Arc, Mutex, OnceLock, PoisonError, Weak};

use windows_sys::Win32::Foundation as f;

use super::block::SharedPage;
use super::inherit::Passed;
use super::list;
use crate::object::{Kind, Object};
use crate::status::{Result, Status};
use crate::thread::Times;
use crate::wait::{Cell, Rule, Scope, system_now};
use crate::watcher::{self, After};

const STILL_ACTIVE: u32 = f::STILL_ACTIVE.cast_unsigned();

/// "No code": codes are 32 bits.
const NO_CODE: u64 = u64::MAX;

/// What a handle to a process refers to.
#[derive(Debug)]
pub struct ProcessObject {
    pid: u32,
    /// `None` for the current process.
    pidfd: Option<OwnedFd>,
    /// Whether this process made it, and so is told how it ended.
    child: bool,
    page: Option<SharedPage>,
    ended: Cell,
    exit_code: AtomicU32,
    /// The code given to [`Self::terminate`], which ends the process by a signal.
    terminated_with: AtomicU64,
    times: Mutex<Times>,
}

/// Process objects by process id, so that opening a child finds the object that learns its exit code.
static OBJECTS: Mutex<Option<HashMap<u32, Weak<ProcessObject>>>> = Mutex::new(None);

/// The page of the process's own start-up block, if it has one.
static OWN_PAGE: OnceLock<SharedPage> = OnceLock::new();

/// The group of a process that leads one, until it knows its own number.
pub(super) const LEADS: u32 = u32::MAX;

/// Keeps the page of the block that this process was started with: where its exit code goes.
pub fn adopt_page(page: SharedPage) {
    // Not left to the parent: this process may have started members of its group before the parent learns its number.
    if page.group() == LEADS {
        page.set_group(std::process::id());
    }
    // A process is started once; a second page would be a mistake of the caller's, and is dropped.
    let _ = OWN_PAGE.set(page);
}

/// The console process group of this process; zero for that of the process which the user started.
pub(super) fn own_group() -> u32 {
    OWN_PAGE.get().map_or(0, SharedPage::group)
}

/// The processes of a console process group, this one aside.
#[must_use]
pub fn group_members(group: u32) -> Vec<u32> {
    let pids = list::processes().into_iter().map(|p| p.pid).filter(|pid| *pid != std::process::id());
    pids.filter(|pid| find_page(*pid).is_some_and(|page| page.group() == group)).collect()
}

/// The guests that share this process' console, itself aside: those of the same family, from the process that the user started,
/// which have not left the terminal's session.
#[must_use]
pub fn console_processes() -> Vec<u32> {
    let me = std::process::id();
    let all: HashMap<u32, u32> = list::processes().into_iter().map(|p| (p.pid, p.parent)).collect();
    let this = list::executable(me);
    let is_guest = |pid: u32| list::executable(pid) == this;
    let root = |mut pid: u32| {
        while let Some(parent) = all.get(&pid).copied().filter(|parent| is_guest(*parent)) {
            pid = parent;
        }
        pid
    };
    // SAFETY: asks for a number; a process that is gone is an error code.
    let session = |pid: u32| unsafe { libc::getsid(pid.cast_signed()) };
    let (family, ours) = (root(me), session(me));
    let guests = all.keys().copied().filter(|pid| *pid != me && session(*pid) == ours && is_guest(*pid));
    guests.filter(|pid| root(*pid) == family).collect()
}

/// Whether this process is of the console process group.
#[must_use]
pub fn is_in_group(group: u32) -> bool {
    group == own_group()
}

/// Gives the current process the name of its image, for Linux tools and [`list`]: what Linux keeps of it, 15 bytes.
pub fn set_name(image: &std::path::Path) {
    use std::os::unix::ffi::OsStrExt;
    let name = image.file_name().map(OsStrExt::as_bytes).unwrap_or_default();
    if let Ok(name) = std::ffi::CString::new(&name[..name.len().min(15)]) {
        // SAFETY: a C string, of which the kernel copies 15 bytes. This is the main thread, whose name is the process's.
        unsafe { libc::prctl(libc::PR_SET_NAME, name.as_ptr()) };
    }
}

/// Ends the current process with a 32-bit exit code. Runs nothing else: what must happen before (detach notifications, closing
/// handles, flushing) is the caller's.
pub fn exit(code: u32) -> ! {
    if let Some(page) = OWN_PAGE.get() {
        page.set_exit_code(code);
    }
    crate::job::leave();
    crate::session::leave();
    // SAFETY: ends the process.
    unsafe { libc::_exit((code & 0xFF).cast_signed()) }
}

impl ProcessObject {
    fn new(pid: u32, pidfd: Option<OwnedFd>, child: bool, page: Option<SharedPage>) -> Arc<Self> {
        Arc::new(Self {
            pid,
            pidfd,
            child,
            page,
            ended: Cell::new(Rule::ManualEvent, 0, 1, Scope::Private),
            exit_code: AtomicU32::new(STILL_ACTIVE),
            terminated_with: AtomicU64::new(NO_CODE),
            times: Mutex::new(Times { created: system_now(), ..Times::default() }),
        })
    }

    /// The current process: what the pseudo-handle refers to, for duplicating it.
    #[must_use]
    pub fn current() -> Arc<Self> {
        static CURRENT: OnceLock<Arc<ProcessObject>> = OnceLock::new();
        let current = CURRENT.get_or_init(|| {
            let this = Self::new(std::process::id(), None, false, None);
            if let Some(created) = list::start_time(this.pid) {
                this.times.lock().unwrap_or_else(PoisonError::into_inner).created = created;
            }
            this
        });
        Arc::clone(current)
    }

    /// A process that this one has just made.
    pub(super) fn of_child(pid: u32, page: Option<SharedPage>) -> Result<Arc<Self>> {
        let this = Self::new(pid, Some(pidfd_open(pid)?), true, page);
        this.publish()?;
        Ok(this)
    }

    /// Has it watched, and found by its id.
    fn publish(self: &Arc<Self>) -> Result<()> {
        let mut objects = OBJECTS.lock().unwrap_or_else(PoisonError::into_inner);
        objects.get_or_insert_default().insert(self.pid, Arc::downgrade(self));
        drop(objects);
        let this = Arc::clone(self);
        let fd = this.pidfd.as_ref().map_or(-1, AsRawFd::as_raw_fd);
        watcher::watch(
            fd,
            watcher::READABLE,
            Box::new(move |_| {
                this.has_ended();
                After::Done
            }),
        )?;
        Ok(())
    }

    /// Linux says that the process is over: reaps it, settles the exit code, and lets waiters go.
    fn has_ended(&self) {
        let status = if self.child { self.reap() } else { None };
        let (linux, user, kernel) = status.unwrap_or((None, 0, 0));
        let terminated = u32::try_from(self.terminated_with.load(Ordering::Acquire)).ok();
        let code = self
            .page
            .as_ref()
            .and_then(SharedPage::exit_code)
            .or(terminated)
            .or(linux)
            .or_else(|| self.pidfd.as_ref().and_then(|p| exit_status(p.as_raw_fd())))
            .unwrap_or(0);
        {
            let mut times = self.times.lock().unwrap_or_else(PoisonError::into_inner);
            *times = Times { created: times.created, ended: system_now(), user, kernel };
        }
        self.exit_code.store(code, Ordering::Release);
        if let Some(objects) = OBJECTS.lock().unwrap_or_else(PoisonError::into_inner).as_mut()
            && objects.get(&self.pid).is_some_and(|w| core::ptr::eq(w.as_ptr(), self))
        {
            objects.remove(&self.pid);
        }
        let (_, effect) = self.ended.set();
        effect.on(&self.ended);
    }

    /// Exit code by Linux's account, user and kernel time.
    fn reap(&self) -> Option<(Option<u32>, u64, u64)> {
        // SAFETY: all zeroes are valid values, and both are valid places for results. `wait4` is used because it tells the times.
        let (status, usage) = unsafe {
            let mut status = 0;
            let mut usage: libc::rusage = core::mem::zeroed();
            let pid = self.pid.cast_signed();
            if libc::wait4(pid, &raw mut status, libc::WNOHANG | libc::__WALL, &raw mut usage) != pid {
                return None;
            }
            (status, usage)
        };
        let nanos =
            |t: libc::timeval| t.tv_sec.cast_unsigned() * 1_000_000_000 + t.tv_usec.cast_unsigned() * 1000;
        Some((Some(code_of_wait(status)), nanos(usage.ru_utime), nanos(usage.ru_stime)))
    }

    /// The process id: Linux's own.
    #[must_use]
    pub fn id(&self) -> u32 {
        self.pid
    }

    /// Selects the maker of process objects that were passed on.
    pub(super) const PASSED: u32 = Kind::Process as u32;

    /// Makes the object that was passed on.
    pub(super) fn receive(state: &[u8]) -> Result<Arc<dyn Object>> {
        let pid = state.try_into().map_err(|_| Status(f::STATUS_INVALID_PARAMETER))?;
        let process: Arc<dyn Object> = open(u32::from_le_bytes(pid))?;
        Ok(process)
    }

    /// Whether this process made it.
    pub(super) fn is_child(&self) -> bool {
        self.child
    }

    /// Whether it is the current process.
    #[must_use]
    pub fn is_current(&self) -> bool {
        self.pidfd.is_none()
    }

    /// The exit code; `STILL_ACTIVE` (259) while it runs.
    #[must_use]
    pub fn exit_code(&self) -> u32 {
        self.exit_code.load(Ordering::Acquire)
    }

    /// Its pidfd (none for the current process).
    #[must_use]
    pub fn pidfd(&self) -> Option<RawFd> {
        self.pidfd.as_ref().map(AsRawFd::as_raw_fd)
    }

    /// Its times. For a process that was not made by this one the end's CPU times are unknown, and zero.
    #[must_use]
    pub fn times(&self) -> Times {
        let known = *self.times.lock().unwrap_or_else(PoisonError::into_inner);
        if known.ended != 0 {
            return known;
        }
        let (user, kernel) = if self.is_current() {
            crate::thread::process_times()
        } else {
            list::cpu_times(self.pid).unwrap_or_default()
        };
        Times { user, kernel, ..known }
    }

    /// Ends the process with this exit code, at once. Ending the current one does not return.
    ///
    /// # Errors
    /// `STATUS_PROCESS_IS_TERMINATING` if it has ended; `STATUS_ACCESS_DENIED` if it is another user's.
    pub fn terminate(&self, code: u32) -> Result<()> {
        let Some(pidfd) = &self.pidfd else { exit(code) };
        if self.ended.free_tokens() > 0 {
            return Err(Status(f::STATUS_PROCESS_IS_TERMINATING));
        }
        // The code is there before the end is seen. If the process exits by itself meanwhile, its own code may be first.
        self.terminated_with.store(code.into(), Ordering::Release);
        if let Some(page) = &self.page {
            page.set_exit_code(code);
        }
        signal(pidfd.as_raw_fd(), libc::SIGKILL)
    }
}

impl Object for ProcessObject {
    fn kind(&self) -> Kind {
        Kind::Process
    }
    fn wait_cell(&self) -> Option<&Cell> {
        Some(&self.ended)
    }
    fn pass(&self) -> Option<Passed> {
        // By its id: it is opened anew.
        Some(Passed { kind: Self::PASSED, descriptors: Vec::new(), state: self.pid.to_le_bytes().to_vec() })
    }
    fn as_any(&self) -> &dyn Any {
        self
    }
}

/// The main thread of a process that this one has made, for `CreateProcess`' second handle.
#[derive(Debug)]
pub struct MainThread {
    process: Arc<ProcessObject>,
}

impl MainThread {
    pub(super) fn new(process: &Arc<ProcessObject>) -> Arc<Self> {
        Arc::new(Self { process: Arc::clone(process) })
    }

    /// Its Windows thread id (its Linux id is the process's).
    #[must_use]
    pub fn id(&self) -> u32 {
        self.process.pid * 4
    }

    /// Its process.
    #[must_use]
    pub fn process(&self) -> &Arc<ProcessObject> {
        &self.process
    }

    /// Its exit code, which is the process's.
    #[must_use]
    pub fn exit_code(&self) -> u32 {
        self.process.exit_code()
    }

    /// Lets a thread that was made suspended begin; the suspend count before.
    #[must_use]
    pub fn resume(&self) -> u32 {
        self.process.page.as_ref().map_or(0, SharedPage::resume)
    }
}

impl Object for MainThread {
    fn kind(&self) -> Kind {
        Kind::Thread
    }
    fn wait_cell(&self) -> Option<&Cell> {
        Some(&self.process.ended)
    }
    fn as_any(&self) -> &dyn Any {
        self
    }
}

/// Opens a process by id.
///
/// # Errors
/// `STATUS_INVALID_CID` if there is none.
pub fn open(pid: u32) -> Result<Arc<ProcessObject>> {
    if pid == std::process::id() {
        return Ok(ProcessObject::current());
    }
    let known = OBJECTS.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(object) = known.as_ref().and_then(|m| m.get(&pid)).and_then(Weak::upgrade) {
        return Ok(object);
    }
    drop(known);
    if pid == 0 {
        return Err(Status(f::STATUS_INVALID_CID));
    }
    let pidfd = pidfd_open(pid)?;
    let this = ProcessObject::new(pid, Some(pidfd), false, find_page(pid));
    if let Some(created) = list::start_time(pid) {
        this.times.lock().unwrap_or_else(PoisonError::into_inner).created = created;
    }
    this.publish()?;
    Ok(this)
}

/// The shared page of a process of the same user, through its open start-up block.
fn find_page(pid: u32) -> Option<SharedPage> {
    for entry in std::fs::read_dir(format!("/proc/{pid}/fd")).ok()? {
        let path = entry.ok()?.path();
        if std::fs::read_link(&path).is_ok_and(|l| l.as_os_str() == "/memfd:transom-startup (deleted)") {
            // Another process' block may just be closed there: its parent holds it for a moment.
            let Ok(file) = std::fs::File::options().read(true).write(true).open(path) else { continue };
            return SharedPage::map(file.as_raw_fd()).ok().filter(SharedPage::is_valid);
        }
    }
    None
}

fn pidfd_open(pid: u32) -> Result<OwnedFd> {
    // SAFETY: makes a new descriptor; a bad id is an error code.
    let fd = unsafe { libc::syscall(libc::SYS_pidfd_open, pid, 0) };
    let fd = i32::try_from(fd).unwrap_or(-1);
    if fd < 0 {
        return Err(match std::io::Error::last_os_error().raw_os_error() {
            Some(libc::ESRCH | libc::EINVAL) => Status(f::STATUS_INVALID_CID),
            _ => Status::last_errno(),
        });
    }
    // SAFETY: just made, owned by nobody else.
    Ok(unsafe { OwnedFd::from_raw_fd(fd) })
}

/// Sends a signal to the process behind a pidfd.
///
/// # Errors
/// `STATUS_PROCESS_IS_TERMINATING` if it has ended; `STATUS_ACCESS_DENIED`.
pub(super) fn signal(pidfd: RawFd, number: i32) -> Result<()> {
    let none = core::ptr::null::<libc::siginfo_t>();
    // SAFETY: no signal information is passed; a bad descriptor is an error code.
    if unsafe { libc::syscall(libc::SYS_pidfd_send_signal, pidfd, number, none, 0) } == 0 {
        return Ok(());
    }
    Err(match std::io::Error::last_os_error().raw_os_error() {
        Some(libc::ESRCH) => Status(f::STATUS_PROCESS_IS_TERMINATING),
        _ => Status::last_errno(),
    })
}

/// How a process that is not a child ended, where the kernel tells (`PIDFD_GET_INFO`, Linux 6.15).
fn exit_status(pidfd: RawFd) -> Option<u32> {
    /// The first 64 bytes of `struct pidfd_info`.
    #[repr(C)]
    #[derive(Default)]
    struct Info {
        mask: u64,
        cgroup: u64,
        ids: [u32; 11],
        exit_code: i32,
    }
    const EXIT: u64 = 1 << 3;
    // _IOWR(0xFF, 11, 64)
    const GET_INFO: libc::c_ulong = (3 << 30) | (64 << 16) | (0xFF << 8) | 11;
    const { assert!(size_of::<Info>() == 64) };
    let mut info = Info { mask: EXIT, ..Info::default() };
    // SAFETY: `info` has the size that the request encodes.
    let r = unsafe { libc::ioctl(pidfd, GET_INFO, &raw mut info) };
    (r == 0 && info.mask & EXIT != 0).then(|| code_of_wait(info.exit_code))
}

/// The exit code for a status of `wait`.
fn code_of_wait(status: i32) -> u32 {
    if libc::WIFSIGNALED(status) {
        code_of_signal(libc::WTERMSIG(status))
    } else {
        libc::WEXITSTATUS(status).cast_unsigned()
    }
}

/// The exit code that the event behind a deadly signal gives on Windows: the exception's status for faults,
/// `STATUS_CONTROL_C_EXIT` for interruptions, 3 for `abort`, and 1, as the task manager does, for being killed.
#[must_use]
pub fn code_of_signal(signal: i32) -> u32 {
    let status = match signal {
        libc::SIGSEGV | libc::SIGBUS => f::STATUS_ACCESS_VIOLATION,
        libc::SIGILL => f::STATUS_ILLEGAL_INSTRUCTION,
        libc::SIGFPE => f::STATUS_INTEGER_DIVIDE_BY_ZERO,
        libc::SIGTRAP => f::STATUS_BREAKPOINT,
        libc::SIGINT | libc::SIGQUIT | libc::SIGHUP => f::STATUS_CONTROL_C_EXIT,
        libc::SIGABRT => 3,
        _ => 1,
    };
    status.cast_unsigned()
}
