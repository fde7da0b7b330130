//! Sets of constants that the metadata leaves to the reader: parameters typed as plain integers because their values come from
//! several enumerations at once.

/// A parameter whose values come from several enumerations.
pub(crate) struct Combined {
    /// Name of the set that is made.
    pub(crate) name: &'static str,
    /// The parameter's names.
    pub(crate) parameters: &'static [&'static str],
    /// Functions whose names begin so; empty for all.
    pub(crate) functions: &'static [&'static str],
    /// The enumerations, in the order in which their names are tried.
    pub(crate) of: &'static [&'static str],
}

/// The first that fits counts.
pub(crate) const COMBINED: &[Combined] = &[
    Combined {
        name: "FILE_ACCESS",
        parameters: &["dwDesiredAccess", "DesiredAccess"],
        functions: &["CreateFile", "ReOpenFile", "NtCreateFile", "NtOpenFile", "ZwCreateFile", "ZwOpenFile"],
        of: &["GENERIC_ACCESS_RIGHTS", "FILE_ACCESS_RIGHTS"],
    },
    Combined {
        name: "PIPE_OPEN_MODE",
        parameters: &["dwOpenMode"],
        functions: &["CreateNamedPipe"],
        of: &["FILE_FLAGS_AND_ATTRIBUTES"],
    },
    Combined {
        name: "THREAD_ACCESS",
        parameters: &["dwDesiredAccess", "DesiredAccess"],
        functions: &["OpenThread", "NtOpenThread", "NtCreateThread"],
        of: &["THREAD_ACCESS_RIGHTS"],
    },
    Combined {
        name: "PROCESS_ACCESS",
        parameters: &["dwDesiredAccess", "DesiredAccess"],
        functions: &["OpenProcess", "NtOpenProcess"],
        of: &["PROCESS_ACCESS_RIGHTS"],
    },
    Combined {
        name: "SYNCHRONIZATION_ACCESS",
        parameters: &["dwDesiredAccess", "DesiredAccess"],
        functions: &[
            "OpenEvent",
            "CreateEvent",
            "OpenMutex",
            "CreateMutex",
            "OpenSemaphore",
            "CreateSemaphore",
            "NtOpenEvent",
            "NtCreateEvent",
            "OpenWaitable",
            "CreateWaitable",
        ],
        of: &["SYNCHRONIZATION_ACCESS_RIGHTS"],
    },
    Combined {
        name: "MEMORY_PROTECTION",
        parameters: &[
            "Protect",
            "PageProtection",
            "SectionPageProtection",
            "Win32Protect",
            "NewProtect",
            "AccessProtection",
        ],
        functions: &[],
        of: &["PAGE_PROTECTION_FLAGS"],
    },
    Combined {
        name: "MEMORY_ALLOCATION",
        parameters: &["AllocationType"],
        functions: &[],
        of: &["VIRTUAL_ALLOCATION_TYPE"],
    },
    Combined { name: "MEMORY_FREE", parameters: &["FreeType"], functions: &[], of: &["VIRTUAL_FREE_TYPE"] },
    Combined {
        name: "ANY_ACCESS",
        parameters: &["dwDesiredAccess", "DesiredAccess"],
        functions: &[],
        of: &["GENERIC_ACCESS_RIGHTS", "FILE_ACCESS_RIGHTS"],
    },
];
