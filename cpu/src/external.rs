//! Engines in libraries of their own: what the program that loads one and the library that holds it agree on.
//!
//! An engine that most runs do not need (or whose licence differs) is a `cdylib` beside the program. It exports one
//! function, [`ENTRY`], of type [`Entry`]. Both sides are Rust, so they must come from the same compiler and the same
//! sources: the loader passes [`abi`], the library compares it with its own and refuses with a sentence that says what
//! differs, before any other value crosses.
//!
//! What does *not* live here: finding and opening the library (the `transom` command does).

use core::ffi::c_char;
use std::any::Any;
use std::ffi::CStr;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};

use crate::engine::{Engine, Host};
use crate::machine::Machine;
use crate::mem::{self, BadAddress};

/// Name of the exported function, with its terminating zero.
pub const ENTRY: &CStr = c"transom_engine_entry";

/// The text of everything that crosses, as a number: the order of a trait's methods matters as much as a structure's fields.
const INTERFACE: u64 = {
    let sources: [&str; 8] = [
        include_str!("external.rs"),
        include_str!("engine.rs"),
        include_str!("block.rs"),
        include_str!("float.rs"),
        include_str!("frame.rs"),
        include_str!("context.rs"),
        include_str!("machine.rs"),
        include_str!("thunk.rs"),
    ];
    fingerprint(&sources)
};

/// Texts as one number (FNV-1a): what describes an interface that two builds must agree on.
#[must_use]
pub const fn fingerprint(texts: &[&str]) -> u64 {
    let mut hash = 0xCBF2_9CE4_8422_2325_u64;
    let mut text = 0;
    while text < texts.len() {
        let bytes = texts[text].as_bytes();
        let mut i = 0;
        while i < bytes.len() {
            hash = (hash ^ bytes[i] as u64).wrapping_mul(0x100_0000_01B3);
            i += 1;
        }
        text += 1;
    }
    hash
}

/// What both sides must agree on, as text: the interface's sources, package version, target, and the identity of a type of the
/// standard library, which differs from one compiler version to the next.
#[must_use]
pub fn abi() -> String {
    format!(
        "interface {INTERFACE:016x}, version {}, {} {}, {:?}",
        env!("CARGO_PKG_VERSION"),
        std::env::consts::ARCH,
        std::env::consts::OS,
        core::any::TypeId::of::<String>(),
    )
}

/// What an engine library is given.
#[derive(Clone, Copy)]
pub struct Request {
    /// The machine whose code the engine shall run.
    pub machine: Machine,
    /// The layers above.
    pub host: &'static dyn Host,
    /// Address of a page-aligned range that guest code may read and execute and the engine may write, for stubs and tables
    /// (below 4 GiB for x86), mapped for the life of the process.
    pub support: u64,
    /// Its length in bytes, at least [`SUPPORT_SIZE`].
    pub support_len: u64,
    /// What the library leaves to the program.
    pub services: Services,
}

/// What unwinds.
pub type Payload = Box<dyn Any + Send>;

/// What a library must not do itself because it links its own copies of the standard library and of this crate: unwinding
/// (one copy of the standard library cannot catch what another threw), and guarded access to guest memory (the signal handler
/// knows one image's table).
#[derive(Clone, Copy, Debug)]
pub struct Services {
    /// Calls the closure and catches what unwinds out of it.
    pub catch: fn(&mut dyn FnMut()) -> Result<(), Payload>,
    /// Unwinds with this payload, without a panic message.
    pub throw: fn(Payload) -> !,
    /// [`mem::copy_in`].
    pub copy_in: fn(u64, &mut [u8]) -> Result<(), BadAddress>,
    /// [`mem::copy_out`].
    pub copy_out: fn(u64, &[u8]) -> Result<(), BadAddress>,
}

impl Services {
    /// The services of the image that this function is linked into.
    #[must_use]
    pub fn own() -> Self {
        Self {
            catch: |f| catch_unwind(AssertUnwindSafe(f)),
            throw: |payload| resume_unwind(payload),
            copy_in: mem::copy_in,
            copy_out: mem::copy_out,
        }
    }
}

impl std::fmt::Debug for Request {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Request")
            .field("machine", &self.machine)
            .field("support", &self.support)
            .field("support_len", &self.support_len)
            .finish_non_exhaustive()
    }
}

/// Bytes of support memory that every engine makes do with.
pub const SUPPORT_SIZE: u64 = 0x1000;

/// Where the library leaves its answer: an engine, or why there is none, in words.
pub type Answer = Result<Box<dyn Engine>, String>;

/// The exported function. `caller_abi` is the loader's [`abi`] as a C string; `answer` is written if 0 is returned. Any
/// other value means that the two sides differ, and nothing was written: the text of the library's own [`abi`] was
/// copied, cut and zero-terminated, to the `own_len` bytes at `own_abi` instead.
pub type Entry = unsafe extern "C" fn(
    caller_abi: *const c_char,
    request: *const Request,
    answer: *mut Option<Answer>,
    own_abi: *mut c_char,
    own_len: usize,
) -> i32;

/// The program's half of comparing builds: `call` gives an entry the program's text and a buffer for the library's.
///
/// # Errors
/// The library's text, which differs (the entry's result is not 0).
pub fn compare(
    ours: &str,
    call: impl FnOnce(*const c_char, *mut c_char, usize) -> i32,
) -> Result<(), String> {
    let ours = format!("{ours}\0");
    let mut theirs = [0u8; 512];
    if call(ours.as_ptr().cast(), theirs.as_mut_ptr().cast(), theirs.len()) == 0 {
        return Ok(());
    }
    Err(CStr::from_bytes_until_nul(&theirs).unwrap_or_default().to_string_lossy().into_owned())
}

/// The library's half: whether the caller's text is its own. If not, its own goes into the caller's buffer, cut off to fit.
///
/// # Safety
/// `caller_abi` is a C string, and `own_abi` has room for `own_len` bytes.
pub unsafe fn is_same_build(
    own: &str,
    caller_abi: *const c_char,
    own_abi: *mut c_char,
    own_len: usize,
) -> bool {
    // SAFETY: a C string, as the caller promises.
    if unsafe { CStr::from_ptr(caller_abi) }.to_bytes() == own.as_bytes() {
        return true;
    }
    if own_len > 0 {
        let len = own.len().min(own_len - 1);
        // SAFETY: `len` is inside `own`, and `len + 1` bytes inside the caller's buffer.
        unsafe {
            core::ptr::copy_nonoverlapping(own.as_ptr(), own_abi.cast(), len);
            own_abi.add(len).write(0);
        }
    }
    false
}

/// Calls a library's entry.
///
/// # Errors
/// That the library belongs to another build (saying how), or why it could not make an engine.
///
/// # Safety
/// `entry` is what a library exports as [`ENTRY`], and the library stays loaded for the life of the process.
pub unsafe fn create(entry: Entry, request: &Request) -> Answer {
    let ours = abi();
    let mut answer: Option<Answer> = None;
    // SAFETY: all pointers are valid for the call; the caller vouches for the entry.
    let call = |ours, theirs, len| unsafe { entry(ours, request, &raw mut answer, theirs, len) };
    compare(&ours, call).map_err(|theirs| {
        format!("the engine library belongs to another build of Transom (it has {theirs}; this is {ours})")
    })?;
    answer.unwrap_or_else(|| Err("the engine library gave no answer".to_owned()))
}

/// The body of a library's entry: compares builds, then lets `make` answer.
///
/// # Safety
/// The arguments are those of an [`Entry`] called by [`create`].
pub unsafe fn answer(
    caller_abi: *const c_char,
    request: *const Request,
    answer: *mut Option<Answer>,
    own_abi: *mut c_char,
    own_len: usize,
    make: fn(&Request) -> Answer,
) -> i32 {
    // SAFETY: as the caller promises.
    if !unsafe { is_same_build(&abi(), caller_abi, own_abi, own_len) } {
        return 1;
    }
    // SAFETY: both sides have the same layouts (just checked), and the caller promises valid pointers.
    unsafe { answer.write(Some(make(&*request))) };
    0
}
