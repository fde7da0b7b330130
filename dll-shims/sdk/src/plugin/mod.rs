//! Shims in libraries of their own: what Transom and a plug-in agree on.
//!
//! A plug-in is a `cdylib` that uses the same `#[shim]` macro and has an export table of its own. Authors use the crate
//! `transom-plugin`, which wraps this module. The technique is that of engine libraries (`transom_cpu::external`): both sides are
//! Rust, so they must come from the same compiler and the same build; [`abi`] says so in words, and a plug-in that differs
//! is refused with both texts before anything else crosses.
//!
//! A plug-in links copies of its own of the standard library and of Transom's crates. What goes through references ([`Cx`], the process,
//! handles, files, memory) is shared. What such a copy keeps in statics is not, so [`answer`] connects what matters: the
//! calling thread's context, the log, guarded access to guest memory, panics. Services with process-wide state of their own (waits,
//! threads, processes, the session) are to be used by calling the Windows function that stands for them: [`function`].
//!
//! The program's side, which stacks plug-ins upon the built-in DLLs, is in [`host`].

pub mod host;

use core::any::TypeId;
use core::ffi::{CStr, c_char};
use std::sync::OnceLock;

use transom_cpu::external;

use crate::cx::Cx;
use crate::pointer::Func;
use crate::process::Process;
use crate::shim::Dll;

/// Name of the exported function, with its terminating zero.
pub const ENTRY: &CStr = c"transom_plugin_entry";

/// The text of what crosses, as a number.
const INTERFACE: u64 = {
    let sources: [&str; 8] = [
        include_str!("mod.rs"),
        include_str!("../args.rs"),
        include_str!("../cx.rs"),
        include_str!("../pointer.rs"),
        include_str!("../process.rs"),
        include_str!("../ret.rs"),
        include_str!("../shim.rs"),
        include_str!("../state.rs"),
    ];
    external::fingerprint(&sources)
};

/// What both sides must agree on, as text. Objects and states are found by the identity of their types, which depends on how the
/// crates were built: profile, features, place.
#[must_use]
pub fn abi() -> String {
    format!(
        "plug-in interface {INTERFACE:016x}, build {:?}, engine {}",
        TypeId::of::<Process>(),
        external::abi()
    )
}

/// What a plug-in is given.
#[derive(Clone, Copy)]
pub struct Services {
    /// The plug-in's own file name, for messages.
    pub name: &'static str,
    /// Its place in the order of loading.
    pub index: usize,
    /// Finds a function as it is without this plug-in and those loaded later: the guest address to call, or 0.
    pub below: fn(usize, &Cx, &str, &str) -> u64,
    /// The calling thread's context, or null.
    pub current: fn() -> *const Cx,
    /// Where messages of the `log` crate go.
    pub logger: &'static dyn log::Log,
    /// Which of them go there.
    pub level: log::LevelFilter,
    /// Makes guarded accesses of the plug-in's copy of `transom_cpu` known to the fault handler. False if there is no room.
    #[cfg(target_arch = "x86_64")]
    pub register_table: fn(transom_cpu::mem::ExceptionTable) -> bool,
    /// Writes a line to standard error and ends Transom as one that failed by itself.
    pub fail: fn(&str) -> !,
}

impl core::fmt::Debug for Services {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("Services")
            .field("name", &self.name)
            .field("index", &self.index)
            .finish_non_exhaustive()
    }
}

/// What a plug-in brings along.
#[derive(Clone, Copy, Debug)]
pub struct Plugin {
    /// Its DLLs, sorted by name: new ones, or ones that exist, of which it adds or replaces functions.
    pub dlls: &'static [Dll],
}

/// The exported function: the caller's [`abi`] as a C string, services, where to write the answer, and where to copy the plug-in's
/// own `abi` (cut, zero-terminated) if it differs. Returns 0, or 1 if the two differ and nothing was written but that text.
pub type Entry = unsafe extern "C" fn(
    *const c_char,
    *const Services,
    *mut Option<Plugin>,
    own_abi: *mut c_char,
    own_len: usize,
) -> i32;

/// In a plug-in: what Transom does for it.
static SERVICES: OnceLock<Services> = OnceLock::new();

/// The calling thread's context as the program knows it, in a plug-in; null elsewhere.
pub(crate) fn foreign_current() -> *const Cx {
    SERVICES.get().map_or(core::ptr::null(), |services| (services.current)())
}

/// The body of a plug-in's entry: compares builds, connects the plug-in's copies of the crates with the program, and hands over
/// its DLLs.
///
/// # Safety
/// The arguments are those of an [`Entry`] called by [`host::open`].
pub unsafe fn answer(
    caller_abi: *const c_char,
    services: *const Services,
    answer: *mut Option<Plugin>,
    own_abi: *mut c_char,
    own_len: usize,
    dlls: &'static [Dll],
) -> i32 {
    // SAFETY: as the caller promises.
    if !unsafe { external::is_same_build(&abi(), caller_abi, own_abi, own_len) } {
        return 1;
    }
    // SAFETY: both sides have the same layouts (just checked), and the caller promises a valid pointer.
    connect(unsafe { *services });
    // SAFETY: as above.
    unsafe { answer.write(Some(Plugin { dlls })) };
    0
}

fn connect(services: Services) {
    let services = SERVICES.get_or_init(|| services);
    #[cfg(target_arch = "x86_64")]
    if !(services.register_table)(transom_cpu::mem::own_table()) {
        (services.fail)(&format!("too many plug-ins: no room for {}", services.name));
    }
    if log::set_logger(services.logger).is_ok() {
        log::set_max_level(services.level);
    }
    std::panic::set_hook(Box::new(|info| {
        let place = info.location().map(|l| format!(" ({}:{})", l.file(), l.line())).unwrap_or_default();
        let payload = info.payload();
        let what = payload
            .downcast_ref::<&str>()
            .copied()
            .or_else(|| payload.downcast_ref::<String>().map(String::as_str));
        (services.fail)(&format!(
            "the plug-in {} panicked: {}{place}",
            services.name,
            what.unwrap_or("unknown cause")
        ));
    }));
}

/// In a plug-in: a function of a built-in DLL as it is without this plug-in, to be called with [`Cx::call`]. A shim that wraps a
/// function gets the wrapped one; any other Windows function can be called, too. `None` if there is no such function.
#[must_use]
pub fn function(cx: &Cx, dll: &str, name: &str) -> Option<Func> {
    let services = SERVICES.get()?;
    let address = (services.below)(services.index, cx, dll, name);
    (address != 0).then_some(Func(address))
}
