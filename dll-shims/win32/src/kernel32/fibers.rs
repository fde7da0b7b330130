//! Fibers: threads within a thread that the program switches itself. Fiber-local storage is in `fibersapi`.

use transom_sdk::shim;

/// Determines whether the current thread is a fiber: no thread can be converted to one yet.
#[shim(kernel32)]
fn IsThreadAFiber() -> bool {
    false
}
