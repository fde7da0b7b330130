//! The plug-in SDK: Windows functions, or whole DLLs, in a library of your own that `transom` loads.
//!
//! A plug-in is a crate of type `cdylib` whose functions carry the same `#[shim]` attribute as Transom's own; the types that they
//! are written with are those of `transom_sdk`, which this crate hands on. Three things make it a plug-in:
//!
//! ```toml
//! [lib]
//! crate-type = ["cdylib"]
//!
//! [dependencies]
//! transom-plugin = { workspace = true }
//! transom-sdk = { workspace = true }
//!
//! [build-dependencies]
//! transom-scan = { workspace = true }   # build.rs: fn main() -> Result<(), String> { transom_scan::write_tables() }
//! ```
//!
//! ```ignore
//! use transom_plugin::prelude::*;
//!
//! transom_plugin::plugin!();
//!
//! /// Twice the number.
//! #[shim(arithmetic)]
//! fn Twice(number: u32) -> u32 {
//!     number.wrapping_mul(2)
//! }
//! ```
//!
//! `cargo build -p transom -p my-plugin` builds both (a plug-in belongs to one build of Transom, and is refused by others with an explanation);
//! `transom --shim target/debug/libmy_plugin.so prog.exe` loads it. Plug-ins in the folder `shims` of the root are loaded always.
//!
//! - A DLL that Transom does not have is added: `LoadLibrary`, imports and `GetProcAddress` find it.
//! - A function that its DLL does not have is added.
//! - A function that is there is replaced; [`function`] gives the replaced one to call (see `dll-shims/examples/redirect`). An A form is a function
//!   of its own: `#[shim(kernel32, ansi)]` replaces both.
//!
//! A plug-in has its own copies of Transom's crates. All that a [`Cx`] leads to is shared: guest memory, handles, files, states. For
//! anything else (waiting, threads, starting processes) call the Windows function with [`function`] and [`Cx::call`]. A panic in a
//! plug-in ends Transom with exit code 125 and a message that names the plug-in.

pub use transom_sdk;
pub use transom_sdk::plugin::{answer, function};
use transom_sdk::{Cx, Func, Handle, Ptr};

/// What shims are written with.
pub mod prelude {
    pub use crate::{GuestText, function};
    pub use transom_sdk::{
        AStr, Cx, Func, Guest, Handle, In, Nt, Out, Ptr, Status, TextOut, WStr, Win32, WinError, data,
        foundation, shim,
    };
}

/// Makes the crate a plug-in: includes its export table and defines the function that Transom calls. Once, in `lib.rs`.
#[macro_export]
macro_rules! plugin {
    () => {
        include!(concat!(env!("OUT_DIR"), "/exports.rs"));

        /// What Transom calls; see `transom_sdk::plugin`.
        ///
        /// # Safety
        /// Called by Transom when it loads the library.
        #[unsafe(no_mangle)]
        pub unsafe extern "C" fn transom_plugin_entry(
            caller_abi: *const ::core::ffi::c_char,
            services: *const $crate::transom_sdk::plugin::Services,
            answer: *mut ::core::option::Option<$crate::transom_sdk::plugin::Plugin>,
            own_abi: *mut ::core::ffi::c_char,
            own_len: usize,
        ) -> i32 {
            // SAFETY: the arguments are passed on as they came.
            unsafe { $crate::answer(caller_abi, services, answer, own_abi, own_len, DLLS) }
        }
    };
}

/// A handle that a guest function has returned.
#[must_use]
pub fn handle(cx: &Cx, result: u64) -> Handle {
    #[expect(clippy::cast_possible_truncation, reason = "32-bit guests return 32 bits")]
    let narrow = i64::from(result as i32);
    Handle(if cx.is_64() { result.cast_signed() } else { narrow })
}

/// A NUL-terminated UTF-16 string in guest memory, to be given to guest functions. It belongs to the process heap; [`GuestText::free`] gives it back.
#[derive(Debug, Clone, Copy)]
pub struct GuestText {
    at: u64,
}

impl GuestText {
    /// Copies text to the guest. `None` if there is no memory.
    #[must_use]
    pub fn new(cx: &Cx, text: &[u16]) -> Option<Self> {
        let bytes = (text.len() as u64 + 1) * 2;
        let heap = cx.call(function(cx, "kernel32", "GetProcessHeap")?, &[]);
        let at = cx.call(function(cx, "kernel32", "HeapAlloc")?, &[heap, 0, bytes]);
        let out: Ptr<u16> = Ptr::new(at);
        let terminated: Vec<u16> = text.iter().copied().chain([0]).collect();
        (at != 0 && out.write_slice(&terminated).is_ok()).then_some(Self { at })
    }

    /// Its address, as an argument of [`Cx::call`].
    #[must_use]
    pub fn address(self) -> u64 {
        self.at
    }

    /// Frees it.
    pub fn free(self, cx: &Cx) {
        let free = |name: &str| -> Option<Func> { function(cx, "kernel32", name) };
        if let (Some(heap), Some(free)) = (free("GetProcessHeap"), free("HeapFree")) {
            cx.call(free, &[cx.call(heap, &[]), 0, self.at]);
        }
    }
}
