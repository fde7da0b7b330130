//! Job objects: processes that are counted, limited and ended together.
//!
//! A job lives in the process that made it. Its members are processes that were assigned by this process, children that a
//! member makes here, and at termination whatever Linux says descends from them. Limits of memory, time and processor are kept
//! for who asks for them but not enforced; the number of processes is.
//!
//! A job that kills on close does so when its last handle is closed or its maker ends; if the maker is killed, its children
//! go on.

use std::any::Any;
use std::collections::HashSet;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use windows_sys::Win32::Foundation as f;
use windows_sys::Win32::System::{JobObjects as j, SystemServices as s};

use crate::dispatch::{self, Registration};
use crate::object::{Kind, Object};
use crate::port::{CompletionPort, Packet};
use crate::process::{self, ProcessObject, list};
use crate::status::{Result, Status};
use crate::wait::{Cell, Deadline, Rule, Scope};

/// The limits of a job (JOBOBJECT_EXTENDED_LIMIT_INFORMATION), as they were set.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Limits {
    /// `JOB_OBJECT_LIMIT_*`.
    pub flags: u32,
    /// The most processes at a time, with `JOB_OBJECT_LIMIT_ACTIVE_PROCESS`.
    pub active_processes: u32,
    /// User time of a process and of the job, in units of 100 ns.
    pub times: [i64; 2],
    /// Least and most working set, affinity, memory of a process and of the job.
    pub sizes: [u64; 5],
    /// Priority class and scheduling class.
    pub classes: [u32; 2],
}

/// Counters of a job.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Accounting {
    /// User and kernel time of all members, in nanoseconds.
    pub times: (u64, u64),
    /// Processes ever assigned.
    pub total: u32,
    /// Ids of those that run.
    pub active: Vec<u32>,
    /// Processes ended as the job had as many as it may.
    pub terminated: u32,
}

/// What a handle to a job refers to.
#[derive(Debug)]
pub struct Job {
    state: Mutex<State>,
    /// Set when a time limit ends the job, which does not happen.
    over: Cell,
    myself: Weak<Self>,
}

#[derive(Debug, Default)]
struct State {
    members: Vec<Arc<ProcessObject>>,
    /// Processes that were too many.
    terminated: u32,
    limits: Limits,
    port: Option<(Arc<CompletionPort>, u64)>,
}

/// The jobs of this process that have handles.
static JOBS: Mutex<Vec<Weak<Job>>> = Mutex::new(Vec::new());

fn jobs() -> Vec<Arc<Job>> {
    let mut jobs = JOBS.lock().unwrap_or_else(PoisonError::into_inner);
    jobs.retain(|j| j.strong_count() > 0);
    jobs.iter().filter_map(Weak::upgrade).collect()
}

/// The jobs that a new child of the current process belongs to: those that it is in itself, unless they let children out.
#[must_use]
pub fn of_children(breakaway: bool) -> Vec<Arc<Job>> {
    let out = if breakaway { j::JOB_OBJECT_LIMIT_BREAKAWAY_OK } else { 0 }
        | j::JOB_OBJECT_LIMIT_SILENT_BREAKAWAY_OK;
    let mut jobs = jobs();
    jobs.retain(|j| {
        let state = j.state();
        state.limits.flags & out == 0 && state.members.iter().any(|m| m.is_current())
    });
    jobs
}

/// Whether a process is in any job that this process knows.
#[must_use]
pub fn contains(process: &ProcessObject) -> bool {
    jobs().iter().any(|j| j.has(process))
}

/// The current process ends: jobs that kill on close end their other members.
pub(crate) fn leave() {
    for job in jobs() {
        job.close();
    }
}

impl Job {
    /// A job without members and limits.
    #[must_use]
    pub fn new() -> Arc<Self> {
        let job = Arc::new_cyclic(|myself| Self {
            state: Mutex::default(),
            over: Cell::new(Rule::ManualEvent, 0, 1, Scope::Private),
            myself: Weak::clone(myself),
        });
        JOBS.lock().unwrap_or_else(PoisonError::into_inner).push(Arc::downgrade(&job));
        job
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Adds a process.
    ///
    /// # Errors
    /// `STATUS_QUOTA_EXCEEDED` if the job has as many as it may (the process is ended then);
    /// `STATUS_PROCESS_IS_TERMINATING`.
    pub fn assign(&self, process: &Arc<ProcessObject>) -> Result<()> {
        let mut state = self.state();
        if state.members.iter().any(|m| Arc::ptr_eq(m, process)) {
            return Ok(());
        }
        let running = state.members.iter().filter(|m| !has_ended(m)).count();
        let limited = state.limits.flags & j::JOB_OBJECT_LIMIT_ACTIVE_PROCESS != 0;
        if limited && running >= state.limits.active_processes as usize {
            state.terminated += 1;
            drop(state);
            self.tell(s::JOB_OBJECT_MSG_ACTIVE_PROCESS_LIMIT, 0);
            // If it has ended meanwhile, so much the better.
            let _ = process.terminate(f::ERROR_NOT_ENOUGH_QUOTA);
            return Err(Status(f::STATUS_QUOTA_EXCEEDED));
        }
        state.members.push(Arc::clone(process));
        let watched = state.port.is_some();
        drop(state);
        self.tell(s::JOB_OBJECT_MSG_NEW_PROCESS, process.id());
        if watched { self.watch(process) } else { Ok(()) }
    }

    /// Has the end of a member told to the completion port.
    fn watch(&self, process: &Arc<ProcessObject>) -> Result<()> {
        let (job, member) = (Weak::clone(&self.myself), Arc::clone(process));
        let action = Box::new(move |_| {
            let Some(job) = job.upgrade() else { return };
            let abnormal = member.exit_code() >= 0xC000_0000;
            let message = if abnormal {
                s::JOB_OBJECT_MSG_ABNORMAL_EXIT_PROCESS
            } else {
                s::JOB_OBJECT_MSG_EXIT_PROCESS
            };
            job.tell(message, member.id());
            if job.accounting().active.is_empty() {
                job.tell(s::JOB_OBJECT_MSG_ACTIVE_PROCESS_ZERO, 0);
            }
        });
        let object: Arc<dyn Object> = Arc::clone(process) as _;
        let registration =
            Registration { object: Some(object), due: Deadline::Never, period: 0, once: true, action };
        dispatch::register(registration).map(drop)
    }

    fn tell(&self, message: u32, process: u32) {
        let port = self.state().port.clone();
        if let Some((port, key)) = port {
            let packet = Packet { key, context: process.into(), status: 0, information: message.into() };
            if let Err(e) = port.post(packet) {
                log::warn!("a job's notice was lost: {e:?}");
            }
        }
    }

    /// Has notices sent to a port (JOBOBJECT_ASSOCIATE_COMPLETION_PORT), also about members there are.
    ///
    /// # Errors
    /// What registering the waits reports.
    pub fn associate(&self, port: Arc<CompletionPort>, key: u64) -> Result<()> {
        let mut state = self.state();
        state.port = Some((port, key));
        let members = state.members.clone();
        drop(state);
        members.iter().filter(|m| !m.is_current()).try_for_each(|m| self.watch(m))
    }

    /// The limits.
    #[must_use]
    pub fn limits(&self) -> Limits {
        self.state().limits
    }

    /// Sets the limits.
    pub fn set_limits(&self, limits: Limits) {
        self.state().limits = limits;
    }

    /// Whether the process is a member.
    #[must_use]
    pub fn has(&self, process: &ProcessObject) -> bool {
        self.state().members.iter().any(|m| m.id() == process.id())
    }

    /// The counters.
    #[must_use]
    pub fn accounting(&self) -> Accounting {
        let (members, terminated) = {
            let state = self.state();
            (state.members.clone(), state.terminated)
        };
        let total = u32::try_from(members.len()).unwrap_or(u32::MAX).saturating_add(terminated);
        let mut sum = Accounting { total, terminated, ..Accounting::default() };
        for member in members {
            let times = member.times();
            sum.times = (sum.times.0 + times.user, sum.times.1 + times.kernel);
            if !has_ended(&member) {
                sum.active.push(member.id());
            }
        }
        sum
    }

    /// Ends all members and their descendants with this exit code; the current process, if it is one, last of all.
    pub fn terminate(&self, code: u32) {
        let members = self.state().members.clone();
        let current = members.iter().any(|m| m.is_current());
        self.end_others(code);
        if current {
            process::exit(code);
        }
    }

    fn end_others(&self, code: u32) {
        let members = self.state().members.clone();
        let mut doomed: HashSet<u32> = members.iter().filter(|m| !has_ended(m)).map(|m| m.id()).collect();
        if doomed.is_empty() {
            return;
        }
        let all = list::processes();
        while let Some(more) = all.iter().find(|p| doomed.contains(&p.parent) && !doomed.contains(&p.pid)) {
            doomed.insert(more.pid);
        }
        doomed.remove(&std::process::id());
        for pid in doomed {
            let member = members.iter().find(|m| m.id() == pid).cloned();
            // Those that end by themselves meanwhile need nothing more.
            let _ = member.map_or_else(|| process::open(pid), Ok).and_then(|p| p.terminate(code));
        }
    }

    fn close(&self) {
        if self.limits().flags & j::JOB_OBJECT_LIMIT_KILL_ON_JOB_CLOSE != 0 {
            self.end_others(0);
        }
    }
}

fn has_ended(process: &ProcessObject) -> bool {
    process.wait_cell().is_some_and(|c| c.free_tokens() > 0)
}

impl Object for Job {
    fn kind(&self) -> Kind {
        Kind::Job
    }
    fn wait_cell(&self) -> Option<&Cell> {
        Some(&self.over)
    }
    fn last_handle_closed(&self) {
        self.close();
    }
    fn as_any(&self) -> &dyn Any {
        self
    }
}
