//! Job objects ([Job Objects](https://learn.microsoft.com/windows/win32/procthread/job-objects)): groups of processes that
//! are limited, watched and ended together.
//!
//! A job lives in the process that made it. Its members are the processes assigned to it, and those that a member makes
//! while that member is the job's own process. Grandchildren that other members make are not counted, but ending
//! the job ends them too: they are found by descent in `/proc`. A job whose own process is killed by SIGKILL cannot end its
//! members.

use std::any::Any;
use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use windows_sys::Win32::Foundation as f;
use windows_sys::Win32::System::JobObjects as j;
use windows_sys::Win32::System::SystemServices as m;

use super::list;
use super::object::ProcessObject;
use crate::dispatch::{self, Registration};
use crate::object::{Kind, Object};
use crate::port::{CompletionPort, Packet};
use crate::status::{Result, Status};
use crate::wait::{Cell, Deadline, Rule, Scope};

/// What `JOBOBJECT_BASIC_LIMIT_INFORMATION` says, as far as it is kept to.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Limits {
    /// `JOB_OBJECT_LIMIT_*`. Kept to: `ACTIVE_PROCESS`, `KILL_ON_JOB_CLOSE`. The others are remembered.
    pub flags: u32,
    /// The most active processes, with `JOB_OBJECT_LIMIT_ACTIVE_PROCESS`.
    pub active: u32,
}

/// Counts, as in `JOBOBJECT_BASIC_ACCOUNTING_INFORMATION`.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Accounting {
    /// Processes ever assigned.
    pub total: u32,
    /// Processes that run now.
    pub active: u32,
    /// Processes ended for exceeding a limit.
    pub terminated: u32,
}

/// What a handle to a job refers to.
pub struct JobObject {
    state: Mutex<State>,
    /// Opens only where a time limit ends the job, which is not supported: never.
    over: Cell,
}

#[derive(Default)]
struct State {
    members: BTreeMap<u32, Arc<ProcessObject>>,
    limits: Limits,
    counts: Accounting,
    port: Option<(Arc<CompletionPort>, u64)>,
}

/// The jobs that the current process is a member of: its children join them.
static OWN: Mutex<Vec<Weak<JobObject>>> = Mutex::new(Vec::new());

fn own() -> MutexGuard<'static, Vec<Weak<JobObject>>> {
    OWN.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Has a new child join the jobs of the current process.
///
/// # Errors
/// `STATUS_QUOTA_EXCEEDED` if one is full; the child is ended then.
pub(super) fn join(child: &Arc<ProcessObject>) -> Result<()> {
    let jobs: Vec<Arc<JobObject>> = own().iter().filter_map(Weak::upgrade).collect();
    jobs.iter().try_for_each(|job| job.assign(child))
}

/// Whether the current process is in a job that lives in it.
#[must_use]
pub fn current_is_member() -> bool {
    own().iter().any(|job| job.strong_count() > 0)
}

impl JobObject {
    /// A new job without members or limits.
    #[must_use]
    pub fn new() -> Arc<Self> {
        Arc::new(Self { state: Mutex::default(), over: Cell::new(Rule::ManualEvent, 0, 1, Scope::Private) })
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Makes the process a member.
    ///
    /// # Errors
    /// `STATUS_QUOTA_EXCEEDED` if the job is full, and the process is ended, as in Windows;
    /// `STATUS_ACCESS_DENIED` if it is a member already.
    pub fn assign(self: &Arc<Self>, process: &Arc<ProcessObject>) -> Result<()> {
        let mut state = self.state();
        if state.members.contains_key(&process.id()) {
            return Err(Status(f::STATUS_ACCESS_DENIED));
        }
        let full = state.limits.flags & j::JOB_OBJECT_LIMIT_ACTIVE_PROCESS != 0
            && state.counts.active >= state.limits.active;
        state.counts.total += 1;
        if full {
            state.counts.terminated += 1;
            state.tell(m::JOB_OBJECT_MSG_ACTIVE_PROCESS_LIMIT, 0);
            drop(state);
            // If it has ended by itself that is as well.
            let _ = process.terminate(f::ERROR_NOT_ENOUGH_QUOTA);
            return Err(Status(f::STATUS_QUOTA_EXCEEDED));
        }
        state.counts.active += 1;
        state.members.insert(process.id(), Arc::clone(process));
        state.tell(m::JOB_OBJECT_MSG_NEW_PROCESS, process.id());
        drop(state);
        if process.is_current() {
            own().push(Arc::downgrade(self));
            return Ok(());
        }
        let (job, pid) = (Arc::downgrade(self), process.id());
        let action = Box::new(move |_| {
            if let Some(job) = job.upgrade() {
                job.has_ended(pid);
            }
        });
        let object: Arc<dyn Object> = process.clone();
        let object = Some(object);
        let due = Deadline::Never;
        dispatch::register(Registration { object, due, period: 0, once: true, action }).map(drop)
    }

    fn has_ended(&self, pid: u32) {
        let mut state = self.state();
        let Some(process) = state.members.remove(&pid) else { return };
        state.counts.active -= 1;
        // The codes that a process has that an exception ended.
        let abnormal = process.exit_code() >= 0xC000_0000;
        let message =
            if abnormal { m::JOB_OBJECT_MSG_ABNORMAL_EXIT_PROCESS } else { m::JOB_OBJECT_MSG_EXIT_PROCESS };
        state.tell(message, pid);
        if state.members.is_empty() {
            state.tell(m::JOB_OBJECT_MSG_ACTIVE_PROCESS_ZERO, 0);
        }
    }

    /// Whether the process is a member.
    #[must_use]
    pub fn contains(&self, process: &ProcessObject) -> bool {
        self.state().members.contains_key(&process.id())
    }

    /// The ids of the members, in ascending order.
    #[must_use]
    pub fn processes(&self) -> Vec<u32> {
        self.state().members.keys().copied().collect()
    }

    /// The counts.
    #[must_use]
    pub fn accounting(&self) -> Accounting {
        self.state().counts
    }

    /// The limits.
    #[must_use]
    pub fn limits(&self) -> Limits {
        self.state().limits
    }

    /// Sets the limits. Members beyond them stay.
    pub fn set_limits(&self, limits: Limits) {
        self.state().limits = limits;
    }

    /// Has the job's messages posted to a port (`JOBOBJECT_ASSOCIATE_COMPLETION_PORT`); `None` ends it.
    pub fn associate(&self, port: Option<(Arc<CompletionPort>, u64)>) {
        let mut state = self.state();
        state.port = port;
        // Members assigned before are announced now.
        let members: Vec<u32> = state.members.keys().copied().collect();
        members.iter().for_each(|pid| state.tell(m::JOB_OBJECT_MSG_NEW_PROCESS, *pid));
    }

    /// Ends all members and their descendants with this exit code; the current process, if it is one, last: then this does not
    /// return.
    pub fn terminate(&self, code: u32) {
        let members: Vec<Arc<ProcessObject>> = self.state().members.values().cloned().collect();
        let (current, others): (Vec<_>, Vec<_>) = members.into_iter().partition(|p| p.is_current());
        let roots: Vec<u32> = others.iter().map(|p| p.id()).collect();
        let descendants = descendants(&roots);
        for process in &others {
            // One that has just ended is as good.
            let _ = process.terminate(code);
        }
        for process in descendants.into_iter().filter_map(|pid| super::open(pid).ok()) {
            let _ = process.terminate(code);
        }
        if let Some(current) = current.first() {
            let _ = current.terminate(code);
        }
    }
}

impl State {
    /// Posts a message: the message is where the bytes transferred would be, the process id in place of the OVERLAPPED.
    fn tell(&self, message: u32, pid: u32) {
        if let Some((port, key)) = &self.port {
            let packet = Packet { key: *key, context: pid.into(), status: 0, information: message.into() };
            if let Err(e) = port.post(packet) {
                log::warn!("a job's message is lost: {e:?}");
            }
        }
    }
}

/// The processes that descend from these.
fn descendants(roots: &[u32]) -> Vec<u32> {
    let mut children: HashMap<u32, Vec<u32>> = HashMap::new();
    for process in list::processes() {
        children.entry(process.parent).or_default().push(process.pid);
    }
    let mut found = Vec::new();
    let mut look: Vec<u32> = roots.to_vec();
    while let Some(pid) = look.pop() {
        let of = children.remove(&pid).unwrap_or_default();
        found.extend(&of);
        look.extend(of);
    }
    found
}

impl Object for JobObject {
    fn kind(&self) -> Kind {
        Kind::Job
    }
    fn wait_cell(&self) -> Option<&Cell> {
        Some(&self.over)
    }
    fn last_handle_closed(&self) {
        if self.limits().flags & j::JOB_OBJECT_LIMIT_KILL_ON_JOB_CLOSE != 0 {
            self.terminate(0);
        }
    }
    fn as_any(&self) -> &dyn Any {
        self
    }
}
