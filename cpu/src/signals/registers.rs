//! Registers in three forms: the kernel's signal frame, the guest's [`Context`], and the processor itself.

mod fast;

use core::arch::naked_asm;
use core::mem::offset_of;
use core::sync::atomic::AtomicU32;

use super::classify::Trap;
use crate::block::ThreadBlock;
use crate::context::{Amd64Context, Context, FloatSave, FxSave, I386Context};
use crate::engine::{Host, drop_levels, has_stale_level};
use crate::machine::Machine;

/// Code selector of 32-bit user code on Linux.
pub(super) const CODE32: u16 = 0x23;
/// Code selector of 64-bit user code.
const CODE64: u16 = 0x33;
/// The data selector of both.
const DATA: u16 = 0x2B;

/// Flags that guest code may have set when it goes on: the arithmetic flags, DF, TF, AC and ID; IF is always on.
const FLAGS_ALLOWED: u32 = 0x0024_0DD5;
const FLAGS_ALWAYS: u32 = 0x0202;
const MXCSR_DEFAULT: u32 = 0x1F80;
/// Bits of MXCSR that exist; setting another one faults.
const MXCSR_MASK: u32 = 0xFFFF;
/// CONTEXT_FLOATING_POINT and CONTEXT_EXTENDED_REGISTERS without the architecture bits.
const CONTEXT_FLOATING_POINT: u32 = 0x8;
const CONTEXT_EXTENDED_REGISTERS: u32 = 0x20;

/// Offsets in an FXSAVE or XSAVE image (Intel SDM volume 1, 10.5.1 and 13.4).
const FX_MXCSR: usize = 24;
const FX_ST: usize = 32;
const FX_LEGACY_END: usize = 416;
const FX_SOFTWARE: usize = 464;
const XSAVE_HEADER: usize = 512;
/// Size of the image with the legacy part, the header and the upper halves of ymm.
const XSAVE_AVX: usize = 832;
/// The protection-key register: not part of a guest's context.
const FEATURE_PKRU: u64 = 1 << 9;

type Registers = [libc::greg_t; 23];

/// A fault on its way from the handler to ordinary code, on the thread's host stack.
struct Record {
    block: *mut ThreadBlock,
    host: &'static dyn Host,
    trap: Trap,
    registers: Registers,
    vectors: Vectors,
}

/// The floating-point and vector state at a fault: an FXSAVE image, or an XSAVE image with these features.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Vectors {
    image: *mut u8,
    features: u64,
}

/// Makes the handler return to [`handle_fault`] on the thread's host stack, with all there is to know about the fault.
///
/// # Safety
/// In the handler of a fault of guest code; `block` is the thread's.
pub(super) unsafe fn divert(
    block: *mut ThreadBlock,
    host: &'static dyn Host,
    trap: Trap,
    context: &mut libc::ucontext_t,
) {
    let image = context.uc_mcontext.fpregs.cast::<u8>();
    // SAFETY: the kernel stores an FXSAVE image here, and says in its software part whether it is larger. The host
    // stack below `host_sp` is free while guest code runs.
    unsafe {
        let guest_sp = context.uc_mcontext.gregs[libc::REG_RSP as usize].cast_unsigned();
        if low16(context.uc_mcontext.gregs[libc::REG_CSGSFS as usize]) == CODE32
            && has_stale_level(block, Machine::I386, guest_sp)
        {
            drop_levels(block, guest_sp);
        }
        let (len, features) = image_size(image);
        let top = usize::try_from((*block).host_sp).unwrap_or(0);
        let copy = core::ptr::with_exposed_provenance_mut::<u8>((top - len) & !63);
        core::ptr::copy_nonoverlapping(image, copy, len);
        let record = core::ptr::with_exposed_provenance_mut::<Record>(
            ((copy.expose_provenance() - size_of::<Record>()) & !63) as usize,
        );
        let registers = &mut context.uc_mcontext.gregs;
        record.write(Record {
            block,
            host,
            trap,
            registers: *registers,
            vectors: Vectors { image: copy, features },
        });
        registers[libc::REG_RIP as usize] = (handle_fault as *const ()).expose_provenance() as i64;
        registers[libc::REG_RSP as usize] = record.expose_provenance() as i64 - 8;
        registers[libc::REG_RDI as usize] = record.expose_provenance() as i64;
        registers[libc::REG_EFL as usize] = i64::from(FLAGS_ALWAYS);
        registers[libc::REG_CSGSFS as usize] = i64::from(CODE64) | i64::from(DATA) << 48;
        // The host computes with its own floating-point environment.
        image.cast::<u16>().write(0x37F);
        image.add(2).cast::<u16>().write(0);
        image.add(FX_MXCSR).cast::<u32>().write(MXCSR_DEFAULT);
    }
}

/// Bytes of the kernel's floating-point image worth copying, and its XSAVE features (0 for a plain FXSAVE image).
///
/// # Safety
/// `image` is what the kernel stored in a signal frame.
unsafe fn image_size(image: *const u8) -> (usize, u64) {
    const MAGIC: u32 = 0x4650_5853;
    const LARGEST: usize = 16 * 1024;
    // SAFETY: within the 512 bytes that are always there; the header only if the magic says so.
    unsafe {
        let software = image.add(FX_SOFTWARE);
        if software.cast::<u32>().read_unaligned() != MAGIC {
            return (XSAVE_HEADER, 0);
        }
        let features = software.add(8).cast::<u64>().read_unaligned();
        let size = software.add(16).cast::<u32>().read_unaligned() as usize;
        let in_use = image.add(XSAVE_HEADER).cast::<u64>().read_unaligned();
        let size = if in_use & !7 == 0 { size.min(XSAVE_AVX) } else { size };
        if size > LARGEST { (XSAVE_HEADER, 0) } else { (size, features & !FEATURE_PKRU) }
    }
}

/// Ordinary code after a fault of guest code, on the thread's host stack.
unsafe extern "C" fn handle_fault(record: *mut Record) -> ! {
    // SAFETY: written by `divert` just now, above this frame.
    let record = unsafe { &*record };
    // SAFETY: any bytes make an FXSAVE image, which the copy begins with.
    let image = unsafe { record.vectors.image.cast::<[u8; 512]>().read_unaligned() };
    let mut context = from_frame(&record.registers, &image);
    let fault = record.trap.classify(&mut context);
    let sp = context.sp();
    // SAFETY: the calling thread's block.
    unsafe { (*record.block).guest_sp = sp };
    record.host.fault(record.block, fault, &mut context);
    // SAFETY: the block is the thread's; nothing on this stack is needed any more.
    unsafe {
        if context.sp() != sp {
            drop_levels(record.block, context.sp());
        }
        load_context(record.block, &context, Some(record.vectors))
    }
}

/// The guest's registers from the kernel's frame.
pub(crate) fn from_frame(registers: &Registers, fx: &[u8; 512]) -> Context {
    if low16(registers[libc::REG_CSGSFS as usize]) == CODE32 {
        Context::I386(i386_from_frame(registers, fx))
    } else {
        Context::Amd64(amd64_from_frame(registers, fx))
    }
}

#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "the low part is what is meant")]
const fn low16(value: i64) -> u16 {
    value as u16
}

#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "the low part is what is meant")]
const fn low32(value: i64) -> u32 {
    value as u32
}

fn amd64_from_frame(registers: &Registers, fx: &[u8; 512]) -> Amd64Context {
    let get = |r: libc::c_int| registers[r as usize].cast_unsigned();
    // SAFETY: any bytes make an FXSAVE image.
    let mut flt_save: FxSave = unsafe { core::mem::transmute_copy(fx) };
    // The kernel keeps its own notes here.
    flt_save.reserved4 = [0; 96];
    Amd64Context {
        context_flags: 0x0010_000F,
        mx_csr: flt_save.mx_csr,
        seg_cs: CODE64,
        seg_ds: DATA,
        seg_es: DATA,
        seg_fs: 0x53,
        seg_gs: DATA,
        seg_ss: DATA,
        e_flags: low32(registers[libc::REG_EFL as usize]),
        rax: get(libc::REG_RAX),
        rcx: get(libc::REG_RCX),
        rdx: get(libc::REG_RDX),
        rbx: get(libc::REG_RBX),
        rsp: get(libc::REG_RSP),
        rbp: get(libc::REG_RBP),
        rsi: get(libc::REG_RSI),
        rdi: get(libc::REG_RDI),
        r8: get(libc::REG_R8),
        r9: get(libc::REG_R9),
        r10: get(libc::REG_R10),
        r11: get(libc::REG_R11),
        r12: get(libc::REG_R12),
        r13: get(libc::REG_R13),
        r14: get(libc::REG_R14),
        r15: get(libc::REG_R15),
        rip: get(libc::REG_RIP),
        flt_save,
        ..Amd64Context::default()
    }
}

fn i386_from_frame(registers: &Registers, fx: &[u8; 512]) -> I386Context {
    let get = |r: libc::c_int| low32(registers[r as usize]);
    let mut extended_registers = *fx;
    extended_registers[FX_LEGACY_END..].fill(0);
    I386Context {
        context_flags: 0x0001_003F,
        float_save: x87_from_fxsave(fx),
        seg_gs: DATA.into(),
        seg_fs: fs_selector().into(),
        seg_es: DATA.into(),
        seg_ds: DATA.into(),
        edi: get(libc::REG_RDI),
        esi: get(libc::REG_RSI),
        ebx: get(libc::REG_RBX),
        edx: get(libc::REG_RDX),
        ecx: get(libc::REG_RCX),
        eax: get(libc::REG_RAX),
        ebp: get(libc::REG_RBP),
        eip: get(libc::REG_RIP),
        seg_cs: CODE32.into(),
        e_flags: get(libc::REG_EFL),
        esp: get(libc::REG_RSP),
        seg_ss: DATA.into(),
        extended_registers,
        ..I386Context::default()
    }
}

/// The FS selector, which 64-bit code leaves as native-32 loaded it.
pub(crate) fn fs_selector() -> u16 {
    let selector: u16;
    // SAFETY: reads a selector.
    unsafe { core::arch::asm!("mov {:x}, fs", out(reg) selector, options(nomem, nostack, preserves_flags)) };
    selector
}

fn word(image: &[u8], offset: usize) -> u16 {
    u16::from_le_bytes([image[offset], image[offset + 1]])
}

fn dword(image: &[u8], offset: usize) -> u32 {
    u32::from(word(image, offset)) | u32::from(word(image, offset + 2)) << 16
}

/// MXCSR in an FXSAVE image.
pub(super) fn mxcsr(image: &[u8; 512]) -> u32 {
    dword(image, FX_MXCSR)
}

/// The FSAVE form of an FXSAVE image's x87 part. FSAVE has two tag bits a register, by physical number: valid, zero, special,
/// empty; FXSAVE has one, which says "not empty" (Intel SDM volume 1, 10.5.1.1).
pub(crate) fn x87_from_fxsave(image: &[u8; 512]) -> FloatSave {
    let status = word(image, 2);
    let top = usize::from(status >> 11 & 7);
    let mut tags = 0u32;
    let mut register_area = [0u8; 80];
    for i in 0..8 {
        let from = &image[FX_ST + 16 * i..][..10];
        register_area[10 * i..][..10].copy_from_slice(from);
        let physical = (top + i) % 8;
        let exponent = word(from, 8) & 0x7FFF;
        let mantissa_zero = from[..8].iter().all(|&b| b == 0);
        let tag = if image[4] >> physical & 1 == 0 {
            3
        } else if exponent == 0 && mantissa_zero {
            1
        } else if exponent == 0 || exponent == 0x7FFF || from[7] & 0x80 == 0 {
            2
        } else {
            0
        };
        tags |= tag << (2 * physical);
    }
    FloatSave {
        control_word: 0xFFFF_0000 | u32::from(word(image, 0)),
        status_word: 0xFFFF_0000 | u32::from(status),
        tag_word: 0xFFFF_0000 | tags,
        error_offset: dword(image, 8),
        error_selector: u32::from(CODE32) | u32::from(word(image, 6)) << 16,
        data_offset: dword(image, 16),
        data_selector: 0xFFFF_0000 | u32::from(DATA),
        register_area,
        spare0: 0,
    }
}

/// Writes the x87 part of an FXSAVE image from its FSAVE form.
fn x87_to_fxsave(save: &FloatSave, image: &mut [u8]) {
    let mut tags = 0u8;
    for physical in 0..8 {
        if save.tag_word >> (2 * physical) & 3 != 3 {
            tags |= 1 << physical;
        }
    }
    image[0..2].copy_from_slice(&save.control_word.to_le_bytes()[..2]);
    image[2..4].copy_from_slice(&save.status_word.to_le_bytes()[..2]);
    image[4] = tags;
    image[8..12].copy_from_slice(&save.error_offset.to_le_bytes());
    image[12..16].fill(0);
    image[16..20].copy_from_slice(&save.data_offset.to_le_bytes());
    image[20..24].fill(0);
    for i in 0..8 {
        image[FX_ST + 16 * i..][..10].copy_from_slice(&save.register_area[10 * i..][..10]);
    }
}

/// Masks all SSE exceptions in the interrupted code. Returns false if they were masked already.
pub(super) fn mask_sse_exceptions(context: &mut libc::ucontext_t) -> bool {
    // SAFETY: the kernel stores an FXSAVE image here.
    unsafe {
        let mxcsr = context.uc_mcontext.fpregs.cast::<u8>().add(FX_MXCSR).cast::<u32>();
        let old = mxcsr.read();
        mxcsr.write(old & !0x3F | MXCSR_DEFAULT);
        old & MXCSR_DEFAULT != MXCSR_DEFAULT
    }
}

/// Makes the interrupted code go on with these registers. Async-signal-safe.
pub(crate) fn to_frame(context: &Context, frame: &mut libc::ucontext_t) {
    let image = frame.uc_mcontext.fpregs.cast::<u8>();
    // SAFETY: the kernel's image is at least an FXSAVE image.
    let fx = unsafe { &mut *image.cast::<[u8; 512]>() };
    let (float, target) = match context {
        Context::Amd64(c) => (fill_amd64(c, fx), amd64_target(c)),
        Context::I386(c) => (fill_i386(c, fx), i386_target(c, 0)),
        Context::Arm64(_) => return,
    };
    // SAFETY: an image with features is an XSAVE image, with its header behind the legacy part.
    unsafe {
        if float && image_size(image).1 != 0 {
            *image.add(XSAVE_HEADER).cast::<u64>() |= 3;
        }
    }
    let registers = &mut frame.uc_mcontext.gregs;
    let mut set = |r: libc::c_int, value: u64| registers[r as usize] = value.cast_signed();
    set(libc::REG_RAX, target.rax);
    set(libc::REG_RCX, target.rcx);
    set(libc::REG_RDX, target.rdx);
    set(libc::REG_RBX, target.rbx);
    set(libc::REG_RBP, target.rbp);
    set(libc::REG_RSI, target.rsi);
    set(libc::REG_RDI, target.rdi);
    for (register, value) in (libc::REG_R8..).zip(target.high) {
        set(register, value);
    }
    set(libc::REG_RIP, target.rip);
    set(libc::REG_RSP, target.rsp);
    set(libc::REG_EFL, target.flags);
    set(libc::REG_CSGSFS, target.cs | target.ss << 48);
}

/// Everything that [`load`] loads, the last five in the order of an interrupt return.
#[repr(C)]
#[derive(Default)]
struct Target {
    rax: u64,
    rcx: u64,
    rdx: u64,
    rbx: u64,
    rbp: u64,
    rsi: u64,
    rdi: u64,
    high: [u64; 8],
    /// The FS base, or 0 to leave it.
    fs_base: u64,
    rip: u64,
    cs: u64,
    flags: u64,
    rsp: u64,
    ss: u64,
}

/// Loads the vectors from `image` (null: leave them; `features` 0: an FXSAVE image) and all other registers from `target`.
/// The stack pointer walks through `target` itself, so nothing else needs a stack. Returns if `suspend` is not zero.
#[unsafe(naked)]
#[unsafe(link_section = "transom_transition")]
unsafe extern "C" fn load(target: *const Target, image: *const u8, features: u64, suspend: *const AtomicU32) {
    naked_asm!(
        "cmp dword ptr [rcx], 0",
        "jne 5f",
        "test rsi, rsi",
        "jz 3f",
        "mov rax, rdx",
        "test rdx, rdx",
        "jz 2f",
        "shr rdx, 32",
        "xrstor64 [rsi]",
        "jmp 3f",
        "2: fxrstor64 [rsi]",
        "3:",
        "mov rax, [rdi + {fs_base}]",
        "test rax, rax",
        "jz 4f",
        "wrfsbase rax",
        "4:",
        "mov rax, [rdi + {rax}]",
        "mov rcx, [rdi + {rcx}]",
        "mov rdx, [rdi + {rdx}]",
        "mov rbx, [rdi + {rbx}]",
        "mov rbp, [rdi + {rbp}]",
        "mov rsi, [rdi + {rsi}]",
        "mov r8, [rdi + {high}]",
        "mov r9, [rdi + {high} + 8]",
        "mov r10, [rdi + {high} + 16]",
        "mov r11, [rdi + {high} + 24]",
        "mov r12, [rdi + {high} + 32]",
        "mov r13, [rdi + {high} + 40]",
        "mov r14, [rdi + {high} + 48]",
        "mov r15, [rdi + {high} + 56]",
        "lea rsp, [rdi + {rip}]",
        "mov rdi, [rdi + {rdi}]",
        "iretq",
        "5: ret",
        fs_base = const offset_of!(Target, fs_base),
        rax = const offset_of!(Target, rax),
        rcx = const offset_of!(Target, rcx),
        rdx = const offset_of!(Target, rdx),
        rbx = const offset_of!(Target, rbx),
        rbp = const offset_of!(Target, rbp),
        rsi = const offset_of!(Target, rsi),
        rdi = const offset_of!(Target, rdi),
        high = const offset_of!(Target, high),
        rip = const offset_of!(Target, rip),
    )
}

/// Room for an FXSAVE image.
#[repr(C, align(16))]
struct FxImage([u8; 512]);

/// Goes on in guest code with exactly these registers. With the `vectors` of a fault, the state that a CONTEXT does not
/// hold (the upper halves of ymm and beyond) is restored from there; without, it stays as it is.
///
/// # Safety
/// `block` is the calling thread's; frames below the caller are abandoned; `vectors` come from [`divert`].
pub(crate) unsafe fn load_context(block: *mut ThreadBlock, context: &Context, vectors: Option<Vectors>) -> ! {
    let here = 0u8;
    // SAFETY: the caller's contract.
    unsafe {
        if (*block).level.is_null() && vectors.is_none() {
            // A thread that starts here: everything below this frame is free for the entries to come.
            (*block).host_sp = ((&raw const here).expose_provenance() as u64 - 64) & !63;
        }
        if vectors.is_none() {
            fast::load_plain(block, context);
        }
        try_load(block, context, vectors);
    }
    // Still here: the thread is suspended.
    let mut context = context.clone();
    loop {
        context = crate::suspend::park_at_load(block, context);
        // SAFETY: the caller's contract.
        unsafe { try_load(block, &context, vectors) };
    }
}

/// Loads the context, or returns if the thread is suspended.
///
/// # Safety
/// As [`load_context`].
unsafe fn try_load(block: *mut ThreadBlock, context: &Context, vectors: Option<Vectors>) {
    let mut own = FxImage([0; 512]);
    let image = vectors.map_or(own.0.as_mut_ptr(), |v| v.image);
    // SAFETY: both are at least 512 bytes, and nobody else uses them.
    let fx = unsafe { &mut *image.cast::<[u8; 512]>() };
    let (float, target) = match context {
        Context::Amd64(c) => (fill_amd64(c, fx), amd64_target(c)),
        // SAFETY: the caller's contract.
        Context::I386(c) => (fill_i386(c, fx), i386_target(c, unsafe { (*block).teb })),
        Context::Arm64(_) => unreachable!("the native engines make no ARM64 contexts"),
    };
    let features = vectors.map_or(0, |v| v.features);
    if features != 0 {
        // SAFETY: a feature mask means an XSAVE image, with its header behind the legacy part.
        unsafe { *image.add(XSAVE_HEADER).cast::<u64>() |= 3 };
    }
    let image = if float || vectors.is_some() { image.cast_const() } else { core::ptr::null() };
    // SAFETY: `target` is complete, and the image is 64-byte (XSAVE) or 16-byte (FXSAVE) aligned with valid MXCSR bits.
    unsafe { load(&raw const target, image, features, (*block).suspend) }
}

/// Writes the context's floating-point part over the image's. Returns whether the context has one.
fn fill_amd64(c: &Amd64Context, fx: &mut [u8; 512]) -> bool {
    if c.context_flags & CONTEXT_FLOATING_POINT == 0 {
        return false;
    }
    // SAFETY: FxSave is 512 bytes without padding.
    let save = unsafe { &*(&raw const c.flt_save).cast::<[u8; 512]>() };
    fx[..FX_LEGACY_END].copy_from_slice(&save[..FX_LEGACY_END]);
    fx[FX_MXCSR..FX_MXCSR + 4].copy_from_slice(&(c.mx_csr & MXCSR_MASK).to_le_bytes());
    true
}

/// As [`fill_amd64`]. The x87 part comes from the FSAVE area if the context has both, since that is what handlers change.
fn fill_i386(c: &I386Context, fx: &mut [u8; 512]) -> bool {
    let extended = c.context_flags & CONTEXT_EXTENDED_REGISTERS != 0;
    let float = c.context_flags & CONTEXT_FLOATING_POINT != 0;
    if extended {
        fx[..FX_LEGACY_END].copy_from_slice(&c.extended_registers[..FX_LEGACY_END]);
        let mxcsr = mxcsr(&c.extended_registers) & MXCSR_MASK;
        fx[FX_MXCSR..FX_MXCSR + 4].copy_from_slice(&mxcsr.to_le_bytes());
    }
    if float {
        x87_to_fxsave(&c.float_save, fx);
        if !extended && dword(fx, FX_MXCSR) == 0 {
            fx[FX_MXCSR..FX_MXCSR + 4].copy_from_slice(&MXCSR_DEFAULT.to_le_bytes());
        }
    }
    extended || float
}

fn amd64_target(c: &Amd64Context) -> Target {
    Target {
        rax: c.rax,
        rcx: c.rcx,
        rdx: c.rdx,
        rbx: c.rbx,
        rbp: c.rbp,
        rsi: c.rsi,
        rdi: c.rdi,
        high: [c.r8, c.r9, c.r10, c.r11, c.r12, c.r13, c.r14, c.r15],
        fs_base: 0,
        rip: c.rip,
        cs: CODE64.into(),
        flags: u64::from(c.e_flags & FLAGS_ALLOWED | FLAGS_ALWAYS),
        rsp: c.rsp,
        ss: DATA.into(),
    }
}

fn i386_target(c: &I386Context, teb: u64) -> Target {
    Target {
        rax: c.eax.into(),
        rcx: c.ecx.into(),
        rdx: c.edx.into(),
        rbx: c.ebx.into(),
        rbp: c.ebp.into(),
        rsi: c.esi.into(),
        rdi: c.edi.into(),
        fs_base: teb,
        rip: c.eip.into(),
        cs: CODE32.into(),
        flags: u64::from(c.e_flags & FLAGS_ALLOWED | FLAGS_ALWAYS),
        rsp: c.esp.into(),
        ss: DATA.into(),
        ..Target::default()
    }
}
