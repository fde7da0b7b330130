//! The host's own code: where it is, and the report when it crashes. Everything that runs in the handler is
//! async-signal-safe: no allocation, output through `write`.

use core::ffi::CStr;
use core::fmt::Write as _;
use std::sync::atomic::{AtomicBool, AtomicPtr, Ordering};

use super::classify::Trap;

/// Exit code for Transom's own failure.
const EXIT_INTERNAL: i32 = 125;

/// An executable segment of a loaded ELF image.
#[derive(Debug)]
struct Segment {
    start: u64,
    end: u64,
    /// Load address of the image, for `addr2line`.
    base: u64,
    name: String,
}

/// The segments known now. Replaced as a whole; an old list is leaked, as a handler may be reading it.
static IMAGES: AtomicPtr<Vec<Segment>> = AtomicPtr::new(core::ptr::null_mut());

/// Looks at the loaded ELF images again. Called after loading one (a plug-in), so that its faults are not taken for the guest's.
pub fn refresh_images() {
    let mut segments: Vec<Segment> = Vec::new();
    // SAFETY: `collect` gets the vector that it expects, for the time of the call.
    unsafe { libc::dl_iterate_phdr(Some(collect), (&raw mut segments).cast()) };
    IMAGES.store(Box::into_raw(Box::new(segments)), Ordering::Release);
}

unsafe extern "C" fn collect(
    info: *mut libc::dl_phdr_info,
    _size: libc::size_t,
    data: *mut libc::c_void,
) -> libc::c_int {
    // SAFETY: the loader passes a valid record, and `refresh_images` its vector.
    let (info, segments) = unsafe { (&*info, &mut *data.cast::<Vec<Segment>>()) };
    // SAFETY: the record's name is a C string or null, its headers an array.
    let (name, headers) = unsafe {
        let name = if info.dlpi_name.is_null() { c"" } else { CStr::from_ptr(info.dlpi_name) };
        (name, core::slice::from_raw_parts(info.dlpi_phdr, info.dlpi_phnum.into()))
    };
    for header in headers.iter().filter(|h| h.p_type == libc::PT_LOAD && h.p_flags & libc::PF_X != 0) {
        let start = info.dlpi_addr + header.p_vaddr;
        let name = if name.is_empty() { "transom".to_owned() } else { name.to_string_lossy().into_owned() };
        segments.push(Segment { start, end: start + header.p_memsz, base: info.dlpi_addr, name });
    }
    0
}

fn segment(address: u64) -> Option<&'static Segment> {
    // SAFETY: null, or a list that is never freed.
    let segments = unsafe { IMAGES.load(Ordering::Acquire).as_ref() }?;
    segments.iter().find(|s| (s.start..s.end).contains(&address))
}

/// Whether the address lies in code of the host's own images (Transom, its libraries, the kernel's vDSO). Async-signal-safe.
#[must_use]
pub fn is_host_code(address: u64) -> bool {
    segment(address).is_some()
}

/// Text for stderr in a fixed buffer.
struct Text {
    buffer: [u8; 512],
    len: usize,
}

impl Text {
    fn flush(&mut self) {
        // SAFETY: the buffer's filled part.
        unsafe { libc::write(2, self.buffer.as_ptr().cast(), self.len) };
        self.len = 0;
    }
}

impl core::fmt::Write for Text {
    fn write_str(&mut self, text: &str) -> core::fmt::Result {
        for &byte in text.as_bytes() {
            if self.len == self.buffer.len() {
                self.flush();
            }
            self.buffer[self.len] = byte;
            self.len += 1;
        }
        Ok(())
    }
}

/// Writes the report and ends the process.
pub(super) fn report(signal: libc::c_int, trap: &Trap, context: &libc::ucontext_t) -> ! {
    static REPORTING: AtomicBool = AtomicBool::new(false);
    if REPORTING.swap(true, Ordering::SeqCst) {
        // The report itself crashed.
        // SAFETY: ends the process without running anything else.
        unsafe { libc::_exit(EXIT_INTERNAL) };
    }
    // The report reads the stack with guarded accesses, whose faults must get through.
    // SAFETY: plain system calls on a local set.
    unsafe {
        let mut set: libc::sigset_t = core::mem::zeroed();
        libc::sigaddset(&raw mut set, libc::SIGSEGV);
        libc::sigaddset(&raw mut set, libc::SIGBUS);
        libc::pthread_sigmask(libc::SIG_UNBLOCK, &raw const set, core::ptr::null_mut());
    }
    let crash = Crash { signal, trap, context };
    // SAFETY: one thread gets here, once; the stack is nobody else's, and `crash` outlives the process.
    unsafe {
        let top = (&raw mut STACK).add(1).expose_provenance();
        on_stack(top, write_report, &raw const crash)
    }
}

/// What to report.
struct Crash<'a> {
    signal: libc::c_int,
    trap: &'a Trap,
    context: &'a libc::ucontext_t,
}

/// The report's own stack: a thread that runs no guest code has a small alternate stack only.
#[repr(C, align(16))]
struct Stack([u8; 64 * 1024]);

static mut STACK: Stack = Stack([0; 64 * 1024]);

/// Calls the function with the stack pointer at `top`.
#[unsafe(naked)]
unsafe extern "C" fn on_stack(
    top: usize,
    run: unsafe extern "C" fn(*const Crash<'_>) -> !,
    crash: *const Crash<'_>,
) -> ! {
    core::arch::naked_asm!("mov rsp, rdi", "mov rdi, rdx", "call rsi", "ud2")
}

unsafe extern "C" fn write_report(crash: *const Crash<'_>) -> ! {
    // SAFETY: from `report`, which never returns.
    let crash = unsafe { &*crash };
    let mut text = Text { buffer: [0; 512], len: 0 };
    // Writing to the buffer cannot fail.
    let _ = describe(&mut text, crash.signal, crash.trap, crash.context);
    text.flush();
    // SAFETY: ends the process without running anything else.
    unsafe { libc::_exit(EXIT_INTERNAL) }
}

fn describe(
    text: &mut Text,
    signal: libc::c_int,
    trap: &Trap,
    context: &libc::ucontext_t,
) -> core::fmt::Result {
    const NAMES: [(&str, libc::c_int); 17] = [
        ("rip", libc::REG_RIP),
        ("rsp", libc::REG_RSP),
        ("rbp", libc::REG_RBP),
        ("rax", libc::REG_RAX),
        ("rbx", libc::REG_RBX),
        ("rcx", libc::REG_RCX),
        ("rdx", libc::REG_RDX),
        ("rsi", libc::REG_RSI),
        ("rdi", libc::REG_RDI),
        ("r8", libc::REG_R8),
        ("r9", libc::REG_R9),
        ("r10", libc::REG_R10),
        ("r11", libc::REG_R11),
        ("r12", libc::REG_R12),
        ("r13", libc::REG_R13),
        ("r14", libc::REG_R14),
        ("r15", libc::REG_R15),
    ];
    let registers = &context.uc_mcontext.gregs;
    writeln!(text, "transom: internal error: signal {signal} in Transom's own code (please report this)")?;
    writeln!(text, "  trap {} error {:#x} address {:#x}", trap.number, trap.error, trap.address)?;
    for (i, (name, index)) in NAMES.into_iter().enumerate() {
        let end = if i % 3 == 2 { "\n" } else { "" };
        write!(text, "  {name:>3} {:016x}{end}", registers[index as usize])?;
    }
    writeln!(text, "\n  code, and addresses of code on the stack:")?;
    // What follows may crash itself.
    text.flush();
    place(text, registers[libc::REG_RIP as usize].cast_unsigned())?;
    let stack = registers[libc::REG_RSP as usize].cast_unsigned();
    let mut shown = 0;
    for slot in 0..2048 {
        // A guarded read: the stack pointer itself may be what is broken.
        let Ok(word) = crate::mem::read::<u64>(stack.wrapping_add(8 * slot)) else { break };
        if segment(word).is_some() && shown < 40 {
            place(text, word)?;
            shown += 1;
        }
    }
    Ok(())
}

fn place(text: &mut Text, address: u64) -> core::fmt::Result {
    match segment(address) {
        Some(s) => writeln!(text, "    {}+{:#x}", s.name, address - s.base),
        None => writeln!(text, "    {address:#x}"),
    }
}
