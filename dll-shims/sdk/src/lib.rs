//! What a shim is written with.
//!
//! # How to add a function
//! A shim reads like the function's documentation page. Put it into the file named after the header that declares it
//! (`dll-shims/win32/src/kernel32/fileapi.rs`, say), and write its signature with the types below; the attribute does
//! the rest: fetching arguments for every machine, the export table, tracing, the coverage list.
//!
//! ```ignore
//! /// Retrieves the size of the specified file, in bytes.
//! #[shim(kernel32)]
//! fn GetFileSizeEx(cx: &Cx, file: Handle, size: Out<i64>) -> Win32<()> {
//!     let info = cx.file(file)?.query_size()?;
//!     size.write(cx, info)?;
//!     Ok(())
//! }
//! ```
//!
//! | parameter type | what it is in the guest |
//! | --- | --- |
//! | `i8` ... `u64`, `f32`, `f64` | that integer or float |
//! | `usize`, `isize` | pointer-sized: `SIZE_T`, `UINT_PTR`, `LONG_PTR` |
//! | `bool` | `BOOL` (4 bytes, zero is false) |
//! | [`Handle`] | `HANDLE`, `HMODULE`, ... sign-extended, so that -1 is -1 for 32-bit guests too |
//! | [`Ptr<T>`] | a pointer: `read`, `write`, `add`, slices; also `Ptr<u8>` for `void *` |
//! | [`In<T>`], [`Out<T>`] | a pointer that is only read, only written; `Option<In<T>>` where NULL is allowed |
//! | [`WStr`] | a NUL-terminated string: UTF-16, or in a generated A form the ANSI code page |
//! | [`NameStr`] | the same for names of files and environment variables, where NULL is the empty name |
//! | [`AStr`] | a NUL-terminated byte string |
//! | [`TextOut`] | a caller's buffer for text; with `ansi` the A form converts |
//! | [`VarArgs`], [`VaList`] | `...` and `va_list` |
//! | [`ByValue<T>`] | a structure or object passed by value |
//! | [`InPlace<T>`] | a large object passed by value, where it lies |
//! | [`Func`] | the address of a guest function; call it with [`Cx::call`] |
//!
//! | result type | on failure |
//! | --- | --- |
//! | [`Win32<T>`] | sets the last error and returns the attribute's `fails` value (default 0) |
//! | [`Nt<T>`] | returns the NTSTATUS |
//! | [`Crt<T>`] | sets `errno` and returns `fails` (usually `fails = -1`) |
//! | plain `u32`, `bool`, `Ptr<T>`, `f64`, `()` ... | cannot fail |
//!
//! `?` converts a service's [`Status`] and a bad guest address. A bad address in a shim raises
//! STATUS_ACCESS_VIOLATION in the guest, as touching it in the DLL would on Windows.
//!
//! Guest structures are declared once with `#[derive(Guest)]` and pointer-sized fields as `usize`, `Handle` or `Ptr`;
//! `#[mirrors(windows_sys::...)]` names the structure of Windows that it is, and makes the test of its layout.
//! A topic's state is a `struct State` in its file, reached with [`Cx::state`]. There are no mutable statics.
//!
//! A shim never names a register, a calling convention or a pointer width, and makes no Linux call: it calls the
//! services of `transom_syscalls` through [`Cx`].

mod args;
mod boot;
mod builtin;
pub mod catalog;
pub mod codepage;
mod cx;
mod data;
mod error;
mod exception;
mod heap;
pub mod layouts;
mod missing;
pub mod plugin;
mod pointer;
mod process;
mod relay;
mod ret;
mod shim;
mod state;
mod suspend;
mod text;
mod thread;
mod trace;

pub use args::{Arg, Args, ByValue, Hidden, InPlace, Kind, VaList, VarArgs};
pub use boot::ProgramInfo;
pub use cx::{Cx, enter};
pub use data::{GuestData, Layout, layout};
pub use error::{Crt, CrtError, Nt, NtError, Win32, WinError, errno_from_win32, win32_from_status};
pub use exception::restore_jump_buffer;
pub use pointer::{Func, Handle, In, Out, Ptr};
pub use process::{
    Consolidate, CrashHook, ExceptionHook, ExitHook, Options, Parameters, Process, Record, Unwind, UnwindHook,
};
pub use ret::{LongPair, Pair, Ret, Shape, Value};
pub use shim::{
    Data, Descriptor, Dll, EachParameter, Export, Exports, Parameter, Shim, Table, Target, Variable,
};
pub use state::States;
pub use text::{AStr, Acp, NameStr, TextOut, WStr};
pub use thread::ThreadStart;
pub use trace::{Callee, Tracer};

pub use transom_cpu::block::ThreadBlock;
pub use transom_cpu::engine::Access;
pub use transom_cpu::float::FloatControl;
pub use transom_cpu::frame::Frame;
pub use transom_cpu::machine::Machine;
pub use transom_cpu::mem::{self, BadAddress};
pub use transom_macros::{Guest, data, shim};
pub use transom_syscalls::cmdline;
pub use transom_syscalls::status::Status;
pub use windows_sys::Win32::Foundation as foundation;
