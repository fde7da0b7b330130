//! `jobapi.h`, `jobapi2.h`: job objects.

use std::sync::{Arc, Mutex, PoisonError, Weak};

use transom_sdk::{Cx, Guest, GuestData, Handle, Ptr, WStr, Win32, WinError, foundation as f, shim};
use transom_syscalls::handle::HandleFlags;
use transom_syscalls::job::{Job, Limits, of_children};
use transom_syscalls::port::CompletionPort;
use transom_syscalls::process::ProcessObject;
use windows_sys::Win32::System::JobObjects as j;
use windows_sys::Win32::System::SystemServices as s;
use windows_sys::Win32::System::Threading as t;

use super::process_arg::{process_of, word};
use super::synchapi::{SecurityAttributes, handle_flags};

/// `JOB_OBJECT_ALL_ACCESS`.
const ALL_ACCESS: u32 = windows_sys::Win32::Storage::FileSystem::STANDARD_RIGHTS_ALL
    | s::JOB_OBJECT_ASSIGN_PROCESS
    | s::JOB_OBJECT_SET_ATTRIBUTES
    | s::JOB_OBJECT_QUERY
    | s::JOB_OBJECT_TERMINATE
    | s::JOB_OBJECT_SET_SECURITY_ATTRIBUTES;

/// Named jobs of this process.
#[derive(Default)]
struct Names(Mutex<Vec<(Vec<u16>, Weak<Job>)>>);

/// JOBOBJECT_BASIC_LIMIT_INFORMATION.
#[derive(Guest, Debug, Clone, Copy)]
#[mirrors(windows_sys::Win32::System::JobObjects::JOBOBJECT_BASIC_LIMIT_INFORMATION)]
struct BasicLimits {
    process_time: i64,
    job_time: i64,
    flags: u32,
    minimum_working_set: usize,
    maximum_working_set: usize,
    active_processes: u32,
    affinity: usize,
    priority_class: u32,
    scheduling_class: u32,
}

/// JOBOBJECT_EXTENDED_LIMIT_INFORMATION.
#[derive(Guest, Debug, Clone, Copy)]
#[mirrors(windows_sys::Win32::System::JobObjects::JOBOBJECT_EXTENDED_LIMIT_INFORMATION)]
struct ExtendedLimits {
    basic: BasicLimits,
    io: [u64; 6],
    process_memory: usize,
    job_memory: usize,
    peak_process_memory: usize,
    peak_job_memory: usize,
}

/// JOBOBJECT_ASSOCIATE_COMPLETION_PORT.
#[derive(Guest, Debug, Clone, Copy)]
#[mirrors(windows_sys::Win32::System::JobObjects::JOBOBJECT_ASSOCIATE_COMPLETION_PORT)]
struct Association {
    key: usize,
    port: Handle,
}

/// JOBOBJECT_BASIC_ACCOUNTING_INFORMATION.
#[derive(Guest, Debug, Clone, Copy)]
#[mirrors(windows_sys::Win32::System::JobObjects::JOBOBJECT_BASIC_ACCOUNTING_INFORMATION)]
struct BasicAccounting {
    user: i64,
    kernel: i64,
    period_user: i64,
    period_kernel: i64,
    page_faults: u32,
    total: u32,
    active: u32,
    terminated: u32,
}

/// JOBOBJECT_BASIC_AND_IO_ACCOUNTING_INFORMATION.
#[derive(Guest, Debug, Clone, Copy)]
#[mirrors(windows_sys::Win32::System::JobObjects::JOBOBJECT_BASIC_AND_IO_ACCOUNTING_INFORMATION)]
struct FullAccounting {
    basic: BasicAccounting,
    io: [u64; 6],
}

/// Creates or opens a job object.
#[shim(kernel32, ansi, partial = "names are known in the calling process only")]
fn CreateJobObjectW(cx: &Cx, attributes: Ptr<SecurityAttributes>, name: Option<WStr>) -> Win32<Handle> {
    let flags = handle_flags(cx, attributes)?;
    cx.set_last_error(f::ERROR_SUCCESS);
    let name = name.map(WStr::get).transpose()?.filter(|n| !n.is_empty());
    let mut job = Job::new();
    if let Some(name) = name {
        let mut names = cx.state::<Names>().0.lock().unwrap_or_else(PoisonError::into_inner);
        names.retain(|(_, job)| job.strong_count() > 0);
        match names.iter().find(|(n, _)| *n == name).and_then(|(_, job)| job.upgrade()) {
            Some(known) => {
                job = known;
                cx.set_last_error(f::ERROR_ALREADY_EXISTS);
            }
            None => names.push((name, Arc::downgrade(&job))),
        }
    }
    Ok(cx.handles().insert(job, ALL_ACCESS, flags)?.into())
}

/// Opens an existing job object.
#[shim(kernel32, ansi, partial = "names are known in the calling process only")]
fn OpenJobObjectW(cx: &Cx, access: u32, inherit: bool, name: WStr) -> Win32<Handle> {
    let name = name.get()?;
    let names = cx.state::<Names>().0.lock().unwrap_or_else(PoisonError::into_inner);
    let job = names.iter().find(|(n, _)| *n == name).and_then(|(_, job)| job.upgrade());
    let job = job.ok_or(WinError::Code(f::ERROR_FILE_NOT_FOUND))?;
    Ok(cx.handles().insert(job, access, HandleFlags::inheritable(inherit))?.into())
}

fn job_of(cx: &Cx, job: Handle, access: u32) -> Win32<Arc<Job>> {
    Ok(cx.object::<Job>(job, access)?.to_arc())
}

/// The jobs that a new child is put into: those of the list attribute, and the creator's.
pub(crate) fn jobs_of(cx: &Cx, list: Option<Vec<Handle>>, flags: u32) -> Win32<Vec<Arc<Job>>> {
    let mut jobs = of_children(flags & t::CREATE_BREAKAWAY_FROM_JOB != 0);
    for job in list.unwrap_or_default() {
        jobs.push(job_of(cx, job, s::JOB_OBJECT_ASSIGN_PROCESS)?);
    }
    Ok(jobs)
}

/// Assigns a process to an existing job object.
#[shim(kernel32)]
fn AssignProcessToJobObject(cx: &Cx, job: Handle, process: Handle) -> Win32<()> {
    let job = job_of(cx, job, s::JOB_OBJECT_ASSIGN_PROCESS)?;
    Ok(job.assign(&process_of(cx, process, t::PROCESS_SET_QUOTA | t::PROCESS_TERMINATE)?)?)
}

/// Terminates all processes currently associated with the job.
#[shim(kernel32)]
fn TerminateJobObject(cx: &Cx, job: Handle, code: u32) -> Win32<()> {
    job_of(cx, job, s::JOB_OBJECT_TERMINATE)?.terminate(code);
    Ok(())
}

/// Determines whether the process is running in the specified job, or in any.
#[shim(kernel32)]
fn IsProcessInJob(cx: &Cx, process: Handle, job: Handle, out: Ptr<u32>) -> Win32<()> {
    let process: Arc<ProcessObject> = process_of(cx, process, t::PROCESS_QUERY_LIMITED_INFORMATION)?;
    let inside = if job.is_null() {
        transom_syscalls::job::contains(&process)
    } else {
        job_of(cx, job, s::JOB_OBJECT_QUERY)?.has(&process)
    };
    Ok(out.write(cx, u32::from(inside))?)
}

fn check_length<T: GuestData>(cx: &Cx, length: u32) -> Win32<()> {
    if length as usize >= cx.size_of::<T>() { Ok(()) } else { Err(WinError::Code(f::ERROR_BAD_LENGTH)) }
}

fn limits_of(basic: &BasicLimits, memory: [u64; 2]) -> Limits {
    Limits {
        flags: basic.flags,
        active_processes: basic.active_processes,
        times: [basic.process_time, basic.job_time],
        sizes: [
            basic.minimum_working_set as u64,
            basic.maximum_working_set as u64,
            basic.affinity as u64,
            memory[0],
            memory[1],
        ],
        classes: [basic.priority_class, basic.scheduling_class],
    }
}

/// Sets limits for a job object.
#[shim(kernel32, partial = "limits of memory, time and processors are remembered, not enforced")]
fn SetInformationJobObject(cx: &Cx, job: Handle, class: i32, data: Ptr<u8>, length: u32) -> Win32<()> {
    let job = job_of(cx, job, s::JOB_OBJECT_SET_ATTRIBUTES)?;
    match class {
        j::JobObjectBasicLimitInformation => {
            check_length::<BasicLimits>(cx, length)?;
            let basic = data.cast::<BasicLimits>().read(cx)?;
            let kept = job.limits();
            job.set_limits(limits_of(&basic, [kept.sizes[3], kept.sizes[4]]));
        }
        j::JobObjectExtendedLimitInformation => {
            check_length::<ExtendedLimits>(cx, length)?;
            let limits = data.cast::<ExtendedLimits>().read(cx)?;
            let memory = [limits.process_memory as u64, limits.job_memory as u64];
            job.set_limits(limits_of(&limits.basic, memory));
        }
        j::JobObjectAssociateCompletionPortInformation => {
            check_length::<Association>(cx, length)?;
            let association = data.cast::<Association>().read(cx)?;
            let port = cx.object::<CompletionPort>(association.port, 0)?.to_arc();
            job.associate(port, association.key as u64)?;
        }
        // Nothing of a user interface is there to be restricted.
        j::JobObjectBasicUIRestrictions => {}
        _ => return Err(WinError::Code(f::ERROR_NOT_SUPPORTED)),
    }
    Ok(())
}

/// Retrieves limit and job state information from the job object.
#[shim(kernel32, partial = "no counters of I/O and memory")]
fn QueryInformationJobObject(
    cx: &Cx,
    job: Handle,
    class: i32,
    data: Ptr<u8>,
    length: u32,
    returned: Ptr<u32>,
) -> Win32<()> {
    let job = if job.is_null() {
        of_children(false).into_iter().next().ok_or(WinError::Code(f::ERROR_INVALID_HANDLE))?
    } else {
        job_of(cx, job, s::JOB_OBJECT_QUERY)?
    };
    let wide = usize::from(cx.is_64());
    let size = match class {
        j::JobObjectBasicLimitInformation => {
            check_length::<BasicLimits>(cx, length)?;
            data.cast().write(cx, basic_limits(&job.limits())?)?;
            BasicLimits::SIZE[wide]
        }
        j::JobObjectExtendedLimitInformation => {
            check_length::<ExtendedLimits>(cx, length)?;
            let limits = job.limits();
            let information = ExtendedLimits {
                basic: basic_limits(&limits)?,
                io: [0; 6],
                process_memory: word(limits.sizes[3])?,
                job_memory: word(limits.sizes[4])?,
                peak_process_memory: 0,
                peak_job_memory: 0,
            };
            data.cast().write(cx, information)?;
            ExtendedLimits::SIZE[wide]
        }
        j::JobObjectBasicAccountingInformation => {
            check_length::<BasicAccounting>(cx, length)?;
            data.cast().write(cx, accounting(&job))?;
            BasicAccounting::SIZE[wide]
        }
        j::JobObjectBasicAndIoAccountingInformation => {
            check_length::<FullAccounting>(cx, length)?;
            data.cast().write(cx, FullAccounting { basic: accounting(&job), io: [0; 6] })?;
            FullAccounting::SIZE[wide]
        }
        j::JobObjectBasicProcessIdList => return process_ids(cx, &job, data, length, returned),
        _ => return Err(WinError::Code(f::ERROR_NOT_SUPPORTED)),
    };
    Ok(returned.write_opt(cx, u32::try_from(size).unwrap_or(0))?)
}

fn basic_limits(limits: &Limits) -> Win32<BasicLimits> {
    Ok(BasicLimits {
        process_time: limits.times[0],
        job_time: limits.times[1],
        flags: limits.flags,
        minimum_working_set: word(limits.sizes[0])?,
        maximum_working_set: word(limits.sizes[1])?,
        active_processes: limits.active_processes,
        affinity: word(limits.sizes[2])?,
        priority_class: limits.classes[0],
        scheduling_class: limits.classes[1],
    })
}

fn accounting(job: &Job) -> BasicAccounting {
    let sum = job.accounting();
    let units = |nanoseconds: u64| i64::try_from(nanoseconds / 100).unwrap_or(i64::MAX);
    BasicAccounting {
        user: units(sum.times.0),
        kernel: units(sum.times.1),
        period_user: units(sum.times.0),
        period_kernel: units(sum.times.1),
        page_faults: 0,
        total: sum.total,
        active: u32::try_from(sum.active.len()).unwrap_or(u32::MAX),
        terminated: sum.terminated,
    }
}

/// JOBOBJECT_BASIC_PROCESS_ID_LIST: two counts, then ids as large as pointers.
fn process_ids(cx: &Cx, job: &Job, data: Ptr<u8>, length: u32, returned: Ptr<u32>) -> Win32<()> {
    let ids = job.accounting().active;
    let word = cx.size_of::<usize>();
    let room = (length as usize).saturating_sub(8) / word;
    if length < 8 {
        return Err(WinError::Code(f::ERROR_BAD_LENGTH));
    }
    let count = ids.len().min(room);
    data.cast().write(cx, [ids.len(), count].map(|n| u32::try_from(n).unwrap_or(u32::MAX)))?;
    for (i, id) in ids.iter().take(count).enumerate() {
        data.byte_add(8).cast::<usize>().add(cx, i).write(cx, *id as usize)?;
    }
    returned.write_opt(cx, u32::try_from(8 + count * word).unwrap_or(0))?;
    if count < ids.len() { Err(WinError::Code(f::ERROR_MORE_DATA)) } else { Ok(()) }
}
