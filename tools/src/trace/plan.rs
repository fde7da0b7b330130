//! What is worked out about a function once, when it is called for the first time: its signature, how its arguments are fetched, how
//! its result says that it failed.

use std::borrow::Cow;

use transom_sdk::{Args, Callee, Machine, Shape};
use transom_sigs::format as flags;
use transom_sigs::{Function, Primitive, Table, Type, TypeId};

use super::filter::{is_crt, stem};
use super::meaning::{self, Sense};
use super::value::is_handle;

/// How an argument travels.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Passing {
    /// In at most 32 bits.
    Word32,
    /// In 64 bits.
    Word64,
    /// In the width of a pointer.
    Pointer,
    /// As a `float`.
    Single,
    /// As a `double`.
    Double,
    /// A structure that lies in this many words of the x86 stack.
    Words(u32),
}

/// What a result means.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Outcome {
    /// Nothing can be told from it, or there is none.
    Plain,
    /// Zero is failure.
    ZeroFails,
    /// A null pointer is failure.
    NullFails,
    /// Zero may be failure: it is if the last error changed.
    ZeroMayFail,
    /// One of these is failure.
    Invalid(Vec<i64>),
    /// A Win32 error code itself.
    ErrorCode,
    /// Negative is failure (NTSTATUS, HRESULT).
    Negative,
    /// -1 is failure (sockets).
    MinusOne,
    /// The C runtime: it failed if errno changed.
    Errno,
}

/// A function's plan.
#[derive(Debug)]
pub(super) struct Plan {
    /// Name of the DLL without extension.
    pub(super) dll: Cow<'static, str>,
    pub(super) name: Cow<'static, str>,
    pub(super) function: Option<Function>,
    pub(super) passing: Vec<Passing>,
    pub(super) types: Vec<TypeId>,
    /// What parameters mean beyond their types.
    pub(super) senses: Vec<Sense>,
    /// The type of the result.
    pub(super) returns: Option<TypeId>,
    pub(super) outcome: Outcome,
    /// Position of the IO_STATUS_BLOCK, which tells how much was transferred.
    pub(super) status_block: Option<usize>,
    /// Position of the parameter that tells how much was read.
    pub(super) transferred: Option<usize>,
    /// Closes the handle that is its first argument.
    pub(super) closes: bool,
    /// May change a thread's name.
    pub(super) renames: bool,
    /// Whether it is a C++ method, whose first argument is `this`.
    pub(super) method: bool,
    /// Whether its paths and handles count as work on a file.
    pub(super) about_files: bool,
}

impl Plan {
    pub(super) fn new(table: &'static Table, callee: &'static Callee, machine: Machine) -> Self {
        let crt = is_crt(&callee.dll) && !callee.guest;
        let function = (!crt).then(|| table.find(&callee.dll, &callee.name)).flatten();
        let parameters = function.as_ref().map_or(&[][..], |f| &f.parameters);
        let outcome = match &function {
            Some(f) => outcome(table, f),
            None if crt => Outcome::Errno,
            None if callee.shim.is_some_and(|s| s.returns == Shape::Status) => Outcome::Negative,
            None => Outcome::Plain,
        };
        let transferred = parameters.iter().position(|p| {
            p.is(flags::PARAM_OUT)
                && ["BytesRead", "CharsRead", "BytesReceived", "Transferred", "lpNumberOfBytesReturned"]
                    .iter()
                    .any(|n| p.name.contains(n))
        });
        let about_files = function
            .as_ref()
            .is_some_and(|f| f.topic.contains("FileSystem") || f.topic.ends_with("System.IO"));
        Self {
            dll: stem(&callee.dll).to_owned().into(),
            name: if callee.guest {
                super::guest::demangled(&callee.name)
            } else {
                callee.name.as_str().into()
            },
            passing: parameters.iter().map(|p| passing(table, p.ty, machine)).collect(),
            types: parameters.iter().map(|p| p.ty).collect(),
            senses: function.as_ref().map(|f| meaning::parameters(table, f)).unwrap_or_default(),
            returns: function.as_ref().map(|f| meaning::result(table, f)),
            outcome,
            status_block: parameters.iter().position(|p| p.name == "IoStatusBlock"),
            transferred,
            closes: matches!(
                callee.name.as_str(),
                "CloseHandle"
                    | "NtClose"
                    | "ZwClose"
                    | "RegCloseKey"
                    | "FindClose"
                    | "closesocket"
                    | "FreeLibrary"
            ),
            renames: callee.name == "SetThreadDescription" || callee.name == "NtSetInformationThread",
            about_files,
            method: match callee.shim {
                Some(shim) => shim.method,
                None => callee.guest && super::guest::is_method(&callee.name),
            },
            function,
        }
    }
}

fn outcome(table: &Table, f: &Function) -> Outcome {
    match table.ty(f.returns) {
        Type::Typedef(def) => match def.name {
            "NTSTATUS" | "HRESULT" => Outcome::Negative,
            "BOOL" | "BOOLEAN" if f.sets_last_error => Outcome::ZeroFails,
            // They return what could not be freed.
            "HLOCAL" | "HGLOBAL" if f.name.ends_with("Free") => Outcome::Plain,
            _ if f.sets_last_error && is_handle(def) && !def.invalid.is_empty() => {
                Outcome::Invalid(def.invalid.clone())
            }
            "PWSTR" | "PSTR" if f.sets_last_error => Outcome::ZeroMayFail,
            _ if f.sets_last_error => Outcome::ZeroMayFail,
            _ => Outcome::Plain,
        },
        Type::Enum(e) if e.name == "WIN32_ERROR" && f.name != "GetLastError" => Outcome::ErrorCode,
        Type::Primitive(Primitive::I32) if gives_socket_error(f.name) => Outcome::ErrorCode,
        Type::Primitive(Primitive::I32) if f.dll == "ws2_32.dll" || f.dll == "wsock32.dll" => {
            Outcome::MinusOne
        }
        Type::Primitive(Primitive::Void) => Outcome::Plain,
        Type::Enum(e) if e.name == "WAIT_EVENT" => Outcome::MinusOne,
        Type::Primitive(Primitive::U32) if f.sets_last_error && minus_one(f.name) => Outcome::MinusOne,
        Type::Delegate("FARPROC") => Outcome::NullFails,
        // Storage of a thread may hold nothing.
        Type::Pointer(_) if f.sets_last_error && !f.name.ends_with("GetValue") => Outcome::NullFails,
        _ if f.sets_last_error => Outcome::ZeroMayFail,
        _ => Outcome::Plain,
    }
}

/// Functions of the sockets that answer with an error code itself.
fn gives_socket_error(name: &str) -> bool {
    name == "WSAStartup"
        || ["getaddrinfo", "getnameinfo"].iter().any(|n| name.to_ascii_lowercase().starts_with(n))
}

/// Functions that answer with all ones when they fail.
fn minus_one(name: &str) -> bool {
    name.starts_with("GetFileAttributes")
        || matches!(
            name,
            "GetFileSize"
                | "GetCompressedFileSizeW"
                | "GetCompressedFileSizeA"
                | "SetFilePointer"
                | "TlsAlloc"
                | "FlsAlloc"
                | "SuspendThread"
                | "ResumeThread"
        )
}

/// How a type travels.
pub(crate) fn passing(table: &Table, ty: TypeId, machine: Machine) -> Passing {
    let wide = machine.is_64();
    match table.ty(ty) {
        Type::Primitive(Primitive::F32) => Passing::Single,
        Type::Primitive(Primitive::F64) => Passing::Double,
        Type::Typedef(def) => passing(table, def.target, machine),
        Type::Struct(_) | Type::Array(..) | Type::Primitive(Primitive::Guid) if !wide => {
            Passing::Words(u32::try_from(table.layout(ty, wide).size.div_ceil(4)).unwrap_or(1))
        }
        Type::Struct(_) | Type::Array(..) => Passing::Pointer,
        _ => match table.layout(ty, wide).size {
            8 => Passing::Word64,
            _ if is_pointer(table, ty) => Passing::Pointer,
            _ => Passing::Word32,
        },
    }
}

fn is_pointer(table: &Table, ty: TypeId) -> bool {
    matches!(
        table.ty(ty),
        Type::Pointer(_)
            | Type::Delegate(_)
            | Type::Interface(_)
            | Type::Opaque(_)
            | Type::Primitive(Primitive::ISize | Primitive::USize | Primitive::Unknown)
    )
}

/// Takes the next argument.
pub(super) fn fetch(args: &mut Args<'_>, passing: Passing) -> u64 {
    match passing {
        Passing::Word32 => args.word32().into(),
        Passing::Word64 => args.word64(),
        Passing::Pointer => args.pointer(),
        Passing::Single => args.float_bits(true),
        Passing::Double => args.float_bits(false),
        Passing::Words(n) => {
            let first = args.word32();
            (1..n).for_each(|_| {
                args.word32();
            });
            first.into()
        }
    }
}
