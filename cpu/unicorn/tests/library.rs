//! The engine as the library that `transom` loads.

mod common;

use std::ffi::CString;
use std::os::unix::ffi::OsStrExt;

use common::{RWX, World};
use transom_cpu::external::{ENTRY, Entry, Request, SUPPORT_SIZE, Services, create};
use transom_cpu::machine::Machine;

/// The entry of the built library beside the test's folder.
fn entry() -> Entry {
    let exe = std::env::current_exe().unwrap();
    let path = exe.parent().unwrap().join("libtransom_unicorn.so");
    let path = CString::new(path.as_os_str().as_bytes()).unwrap();
    // SAFETY: our own library; it has no initialisers to speak of, and its entry has this type.
    unsafe {
        let library = libc::dlopen(path.as_ptr(), libc::RTLD_NOW | libc::RTLD_LOCAL);
        assert!(!library.is_null(), "{path:?} cannot be loaded");
        let symbol = libc::dlsym(library, ENTRY.as_ptr());
        assert!(!symbol.is_null());
        std::mem::transmute::<*mut libc::c_void, Entry>(symbol)
    }
}

#[test]
fn the_library_makes_an_engine_that_runs_code() {
    let world = World::with_entry(Machine::Arm64, entry());
    assert_eq!(world.engine().name(), "unicorn");
    let thread = world.thread();
    let shim = world.closure(|_, frame| frame.result = frame.ints[0] * 6);
    assert_eq!(thread.call(shim, &[7]), 42);
}

#[test]
fn unwinding_crosses_the_library_both_ways() {
    let world = World::with_entry(Machine::Arm64, entry());
    let thread = world.thread();
    // The library throws, through this image's frames.
    let leave = world.closure(move |block, frame| {
        // SAFETY: in a shim of the calling thread.
        unsafe { world.engine().leave(block, frame.ints[0] + 1) }
    });
    let nested = world.closure(move |block, _| {
        // SAFETY: as above.
        unsafe { world.engine().call(block, leave, &[41], false) };
        unreachable!("the level was left");
    });
    assert_eq!(thread.call(nested, &[]), 42);
    // This image throws, through the library's frames.
    let throw = world.closure(|_, _| std::panic::resume_unwind(Box::new("thrown")));
    let caught = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| thread.call(throw, &[])));
    assert_eq!(caught.unwrap_err().downcast_ref(), Some(&"thrown"));
    assert_eq!(thread.call(nested, &[]), 42);
}

#[test]
fn another_build_is_refused_in_words() {
    unsafe extern "C" fn other(
        _: *const libc::c_char,
        _: *const Request,
        _: *mut Option<transom_cpu::external::Answer>,
        own: *mut libc::c_char,
        len: usize,
    ) -> i32 {
        let text = b"interface 0\0";
        assert!(len >= text.len());
        // SAFETY: the caller's buffer is `len` bytes long.
        unsafe { std::ptr::copy_nonoverlapping(text.as_ptr(), own.cast(), text.len()) };
        1
    }
    let world = World::new(Machine::Arm64);
    let support = world.map(SUPPORT_SIZE, RWX);
    let request = Request {
        machine: Machine::Arm64,
        host: world,
        support,
        support_len: SUPPORT_SIZE,
        services: Services::own(),
    };
    // SAFETY: `other` has the type of an entry.
    let error = unsafe { create(other, &request) }.err().unwrap();
    assert!(error.contains("it has interface 0; this is interface "), "{error}");

    let mut own = [1i8; 300];
    // SAFETY: valid arguments; nothing is written to the answer.
    let refused = unsafe {
        entry()(
            c"something else".as_ptr(),
            &raw const request,
            std::ptr::null_mut(),
            own.as_mut_ptr().cast(),
            own.len(),
        )
    };
    assert_eq!(refused, 1);
    // SAFETY: the library terminated the text.
    let text = unsafe { std::ffi::CStr::from_ptr(own.as_ptr().cast()) };
    assert_eq!(text.to_str().unwrap(), transom_cpu::external::abi());

    let short = Request { support_len: 16, ..request };
    // SAFETY: the library's entry.
    let error = unsafe { create(entry(), &short) }.err().unwrap();
    assert!(error.contains("support memory"), "{error}");
}
