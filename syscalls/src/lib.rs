//! NT services on Linux: objects and handles, memory, threads, waits, files, pipes, console, processes, time.
//!
//! Services know objects, handles and NTSTATUS. They never see a guest pointer's ABI, a register or a DLL's name:
//! callers give them host values (slices, integers, UTF-16 strings) or guest ranges for bulk I/O, which Linux checks.
//!
//! Read first: [`status`] (how every service fails), [`object`] (what a handle refers to) and [`handle`] (how it does).

pub mod access;
pub mod authorities;
pub mod cmdline;
pub mod console;
pub mod console_input;
pub mod control;
pub mod dispatch;
pub mod file;
pub mod handle;
pub mod heap;
pub mod job;
pub mod kuser;
pub mod memory;
pub mod named_pipe;
pub mod network;
pub mod object;
pub mod path;
pub mod pipe;
pub mod pool;
pub mod port;
pub mod probe;
pub mod process;
pub mod random;
pub mod registry;
pub mod say;
#[cfg(test)]
mod scratch;
pub mod secret;
pub mod section;
pub mod security;
pub mod session;
pub mod socket;
pub mod status;
pub mod sysinfo;
pub mod thread;
pub mod time;
pub mod wait;
pub mod watcher;

/// What a host process begins with: standard descriptors that are open, so that no file of the guest's takes their numbers, and
/// errors in place of SIGPIPE. (Rust's own start-up code does the same, and more; see the `transom` command's entry.)
pub fn begin() {
    for fd in 0..3 {
        // SAFETY: system calls on numbers; a descriptor that is opened here takes the lowest free number, which is `fd`.
        unsafe {
            if libc::fcntl(fd, libc::F_GETFD) == -1 {
                libc::open(c"/dev/null".as_ptr(), libc::O_RDWR);
            }
        }
    }
    // SAFETY: ignoring a signal installs no handler.
    unsafe { libc::signal(libc::SIGPIPE, libc::SIG_IGN) };
}

/// Ends the host process at once, without running host destructors. The parent, if it is a guest, gets all 32 bits.
pub fn exit(code: i32) -> ! {
    process::exit(code.cast_unsigned())
}
