//! Access masks: what generic rights mean for each type of object, and which rights come with others.
//!
//! A caller may ask for `GENERIC_READ` and its like, or for `MAXIMUM_ALLOWED`; a handle holds the type's own rights only. The handle
//! table resolves a mask when it makes a handle, so that services ask for specific rights and nothing else.
//! Source: *Access Rights and Access Masks*, and each type's page of rights (*Thread Security and Access Rights* ...).

use windows_sys::Wdk::System::SystemServices as wdk;
use windows_sys::Win32::Foundation as f;
use windows_sys::Win32::Security as s;
use windows_sys::Win32::Storage::FileSystem as fs;
use windows_sys::Win32::System::Memory as m;
use windows_sys::Win32::System::Registry as r;
use windows_sys::Win32::System::SystemServices::{self as ss, MAXIMUM_ALLOWED};
use windows_sys::Win32::System::Threading as t;

use crate::object::Kind;

/// What the four generic rights stand for (`GENERIC_MAPPING`).
#[derive(Debug, Clone, Copy)]
pub struct Mapping {
    /// `GENERIC_READ`.
    pub read: u32,
    /// `GENERIC_WRITE`.
    pub write: u32,
    /// `GENERIC_EXECUTE`.
    pub execute: u32,
    /// `GENERIC_ALL`.
    pub all: u32,
}

impl Mapping {
    /// A mask with the specific rights in place of the generic ones.
    #[must_use]
    pub fn map(&self, mask: u32) -> u32 {
        let pairs = [
            (f::GENERIC_READ, self.read),
            (f::GENERIC_WRITE, self.write),
            (f::GENERIC_EXECUTE, self.execute),
            (f::GENERIC_ALL, self.all),
        ];
        pairs
            .iter()
            .fold(mask, |mask, (generic, own)| if mask & generic != 0 { mask & !generic | own } else { mask })
    }

    /// That of an object with a right to query it and one to change it; whoever may "execute" it may wait for it.
    const fn of_state(query: u32, modify: u32, all: u32) -> Self {
        Self {
            read: fs::READ_CONTROL | query,
            write: fs::READ_CONTROL | modify,
            execute: fs::READ_CONTROL | fs::SYNCHRONIZE,
            all,
        }
    }
}

fn mapping(kind: Kind) -> Mapping {
    let standard = fs::STANDARD_RIGHTS_REQUIRED | fs::SYNCHRONIZE;
    match kind {
        Kind::File | Kind::Find | Kind::Directory => Mapping {
            read: fs::FILE_GENERIC_READ,
            write: fs::FILE_GENERIC_WRITE,
            execute: fs::FILE_GENERIC_EXECUTE,
            all: fs::FILE_ALL_ACCESS,
        },
        Kind::Key => Mapping {
            read: r::KEY_READ,
            write: r::KEY_WRITE,
            execute: r::KEY_EXECUTE,
            all: r::KEY_ALL_ACCESS,
        },
        Kind::Token => Mapping {
            read: s::TOKEN_READ,
            write: s::TOKEN_WRITE,
            execute: s::TOKEN_EXECUTE,
            all: s::TOKEN_ALL_ACCESS,
        },
        Kind::Section => Mapping {
            read: fs::STANDARD_RIGHTS_READ | m::SECTION_QUERY | m::SECTION_MAP_READ,
            write: fs::STANDARD_RIGHTS_WRITE | m::SECTION_MAP_WRITE,
            execute: fs::STANDARD_RIGHTS_EXECUTE | m::SECTION_MAP_EXECUTE,
            all: m::SECTION_ALL_ACCESS,
        },
        Kind::Process => Mapping {
            read: fs::READ_CONTROL | t::PROCESS_QUERY_INFORMATION | t::PROCESS_VM_READ,
            write: fs::READ_CONTROL
                | t::PROCESS_CREATE_PROCESS
                | t::PROCESS_CREATE_THREAD
                | t::PROCESS_DUP_HANDLE
                | t::PROCESS_SET_INFORMATION
                | t::PROCESS_SET_QUOTA
                | t::PROCESS_SUSPEND_RESUME
                | t::PROCESS_VM_OPERATION
                | t::PROCESS_VM_WRITE,
            execute: fs::READ_CONTROL
                | fs::SYNCHRONIZE
                | t::PROCESS_QUERY_LIMITED_INFORMATION
                | t::PROCESS_TERMINATE,
            all: t::PROCESS_ALL_ACCESS,
        },
        Kind::Thread => Mapping {
            read: fs::READ_CONTROL | t::THREAD_GET_CONTEXT | t::THREAD_QUERY_INFORMATION,
            write: fs::READ_CONTROL
                | t::THREAD_SET_CONTEXT
                | t::THREAD_SET_INFORMATION
                | t::THREAD_SUSPEND_RESUME
                | t::THREAD_TERMINATE,
            execute: fs::READ_CONTROL
                | fs::SYNCHRONIZE
                | t::THREAD_QUERY_LIMITED_INFORMATION
                | t::THREAD_RESUME,
            all: t::THREAD_ALL_ACCESS,
        },
        Kind::Job => Mapping::of_state(
            ss::JOB_OBJECT_QUERY,
            ss::JOB_OBJECT_ASSIGN_PROCESS | ss::JOB_OBJECT_SET_ATTRIBUTES | ss::JOB_OBJECT_TERMINATE,
            standard | 0x3F,
        ),
        Kind::Mutant => Mapping::of_state(ss::MUTANT_QUERY_STATE, 0, t::MUTEX_ALL_ACCESS),
        Kind::Event => Mapping::of_state(wdk::EVENT_QUERY_STATE, t::EVENT_MODIFY_STATE, t::EVENT_ALL_ACCESS),
        Kind::Semaphore => {
            Mapping::of_state(wdk::EVENT_QUERY_STATE, t::SEMAPHORE_MODIFY_STATE, t::SEMAPHORE_ALL_ACCESS)
        }
        Kind::Timer => Mapping::of_state(t::TIMER_QUERY_STATE, t::TIMER_MODIFY_STATE, t::TIMER_ALL_ACCESS),
        // Their two rights are bits 0 and 1 as well: to query or wait, and to change or wake.
        Kind::IoCompletion | Kind::KeyedEvent => Mapping::of_state(1, 2, standard | 3),
    }
}

/// The rights that a handle to an object of this type gets when `wanted` is asked for.
#[must_use]
pub fn grant(kind: Kind, wanted: u32) -> u32 {
    let all = if wanted & MAXIMUM_ALLOWED != 0 { f::GENERIC_ALL } else { 0 };
    let granted = mapping(kind).map(wanted & !MAXIMUM_ALLOWED | all);
    granted | implied(kind, granted)
}

/// Rights that come with others.
fn implied(kind: Kind, granted: u32) -> u32 {
    let pairs: &[(u32, u32)] = match kind {
        Kind::Process => &[
            (t::PROCESS_QUERY_INFORMATION, t::PROCESS_QUERY_LIMITED_INFORMATION),
            (t::PROCESS_SET_INFORMATION, t::PROCESS_SET_LIMITED_INFORMATION),
        ],
        Kind::Thread => &[
            (t::THREAD_QUERY_INFORMATION, t::THREAD_QUERY_LIMITED_INFORMATION),
            (t::THREAD_SET_INFORMATION, t::THREAD_SET_LIMITED_INFORMATION),
            (t::THREAD_SUSPEND_RESUME, t::THREAD_RESUME),
        ],
        _ => &[],
    };
    pairs.iter().filter(|(right, _)| granted & right != 0).fold(0, |all, (_, with)| all | with)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn generic_rights_become_the_types_own() {
        assert_eq!(grant(Kind::File, f::GENERIC_READ), fs::FILE_GENERIC_READ);
        assert_eq!(grant(Kind::Key, f::GENERIC_ALL), r::KEY_ALL_ACCESS);
        assert_eq!(grant(Kind::Event, MAXIMUM_ALLOWED), t::EVENT_ALL_ACCESS);
        assert_eq!(grant(Kind::Mutant, f::GENERIC_EXECUTE), fs::READ_CONTROL | fs::SYNCHRONIZE);
        assert_eq!(grant(Kind::Process, f::GENERIC_ALL), t::PROCESS_ALL_ACCESS);
    }

    #[test]
    fn specific_rights_stay_as_they_are() {
        for wanted in [0, 1, fs::SYNCHRONIZE, t::EVENT_MODIFY_STATE | fs::SYNCHRONIZE] {
            assert_eq!(grant(Kind::Event, wanted), wanted);
        }
    }

    #[test]
    fn the_right_to_query_includes_the_limited_one() {
        let granted = grant(Kind::Thread, t::THREAD_QUERY_INFORMATION);
        assert_eq!(granted, t::THREAD_QUERY_INFORMATION | t::THREAD_QUERY_LIMITED_INFORMATION);
        let granted = grant(Kind::Process, f::GENERIC_READ);
        assert_ne!(granted & t::PROCESS_QUERY_LIMITED_INFORMATION, 0);
        assert_eq!(granted & t::PROCESS_TERMINATE, 0);
    }
}
