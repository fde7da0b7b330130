//! What is known about a stopped thread, and what it is to go on with.

use crate::block::ThreadBlock;
use crate::context::{Amd64Context, Context, I386Context};
use crate::frame::Frame;
use crate::machine::Machine;
use crate::signals;

/// The registers of a stopped thread, in the form in which they could be noted where it stopped.
#[derive(Debug, Default)]
#[expect(clippy::large_enum_variant, reason = "filled in a signal handler, where nothing can be allocated")]
pub(super) enum State {
    /// Not noted.
    #[default]
    None,
    /// The kernel's signal frame: general registers and FXSAVE image.
    Registers([libc::greg_t; 23], [u8; 512]),
    /// The frame of a call into the host, and where thunks enter it.
    Frame {
        entry: u64,
        thunk: u32,
        machine: Machine,
        sp: u64,
        ints: [u64; 8],
        saved: [u64; 12],
        vectors: [u128; 10],
    },
    /// What the thread was about to go on with.
    Context(Context),
}

/// See the module documentation.
#[derive(Debug, Default)]
pub(super) struct Capture {
    pub(super) state: State,
    changed: Option<Context>,
    /// `changed` has been applied where it could not be freed.
    spent: bool,
}

impl Capture {
    /// The stopped thread's context: what was set last, else what was noted.
    pub(super) fn context(&self) -> Option<Context> {
        if let (Some(changed), false) = (&self.changed, self.spent) {
            return Some(changed.clone());
        }
        match &self.state {
            State::None => None,
            State::Registers(registers, image) => Some(signals::from_frame(registers, image)),
            State::Frame { entry, thunk, machine, sp, ints, saved, vectors } => {
                Some(frame_context(thunk_address(*thunk, *entry), *machine, *sp, ints, saved, vectors))
            }
            State::Context(context) => Some(context.clone()),
        }
    }

    /// Sets what the thread goes on with.
    pub(super) fn set(&mut self, context: Context) {
        self.changed = Some(context);
        self.spent = false;
    }

    /// Takes what was set, if it differs from a return out of the noted frame.
    pub(super) fn take_changed(&mut self) -> Option<Context> {
        let changed = self.changed.take().filter(|_| !self.spent)?;
        self.spent = false;
        match self.state {
            // At the thunk still: the call goes on as if nothing had been set.
            State::Frame { entry, thunk, sp, .. }
                if changed.pc() == thunk_address(thunk, entry) && changed.sp() == sp =>
            {
                None
            }
            _ => Some(changed),
        }
    }

    /// Notes the innermost frame of the thread.
    pub(super) fn note_frame(&mut self, block: *const ThreadBlock) {
        // SAFETY: null or the calling thread's block, whose innermost frame is live while the thread is in the host.
        let frame = unsafe { block.as_ref().and_then(|b| Some((b.entry, b.frame.as_ref()?))) };
        self.state = match frame {
            Some((entry, frame)) => Self::of_frame(entry, frame),
            None => State::None,
        };
    }

    fn of_frame(entry: u64, frame: &Frame) -> State {
        State::Frame {
            entry,
            thunk: frame.thunk,
            machine: frame.machine,
            sp: frame.sp,
            ints: frame.ints,
            saved: frame.saved,
            vectors: frame.vectors,
        }
    }

    /// As [`Capture::note_frame`], in a signal handler: only if nothing has to be freed for it.
    pub(super) fn note_frame_if_plain(&mut self, block: *const ThreadBlock) -> bool {
        let plain = !matches!(self.state, State::Context(_));
        if plain {
            self.note_frame(block);
        }
        plain
    }

    /// Notes the registers of the interrupted code, in a signal handler: only if nothing has to be freed for it.
    pub(super) fn note_registers_if_plain(&mut self, context: &libc::ucontext_t) -> bool {
        let plain = !matches!(self.state, State::Context(_));
        if plain {
            // SAFETY: the kernel's image is at least an FXSAVE image.
            let image = unsafe { context.uc_mcontext.fpregs.cast::<[u8; 512]>().read_unaligned() };
            self.state = State::Registers(context.uc_mcontext.gregs, image);
        }
        plain
    }

    /// Makes the interrupted code go on with what was set. In a signal handler: frees nothing.
    pub(super) fn apply(&mut self, context: &mut libc::ucontext_t) {
        if self.spent {
            return;
        }
        if let Some(changed) = &self.changed {
            signals::to_frame(changed, context);
            self.spent = true;
            self.note_registers_if_plain(context);
        }
    }
}

/// Where a thread in a shim is as far as the guest can tell: at the thunk. `entry` is the engine's own code, for a thunk whose place
/// nobody has noted.
fn thunk_address(thunk: u32, entry: u64) -> u64 {
    signals::host().and_then(|host| host.thunks().address_of(thunk)).unwrap_or(entry)
}

#[expect(clippy::cast_possible_truncation, reason = "x86 registers are 32 bits wide")]
const fn low32(value: u64) -> u32 {
    value as u32
}

/// The state at the entry of a thunk: the return address on top of the stack, the arguments in place.
fn frame_context(
    entry: u64,
    machine: Machine,
    sp: u64,
    ints: &[u64; 8],
    saved: &[u64; 12],
    vectors: &[u128; 10],
) -> Context {
    let mut context = Context::new(machine);
    match &mut context {
        Context::Amd64(c) => frame_amd64(c, entry, sp, ints, saved, vectors),
        Context::I386(c) => frame_i386(c, entry, sp, ints, saved),
        // The native engines have no ARM64 frames.
        Context::Arm64(_) => {}
    }
    context
}

fn frame_amd64(
    c: &mut Amd64Context,
    entry: u64,
    sp: u64,
    ints: &[u64; 8],
    saved: &[u64; 12],
    vectors: &[u128; 10],
) {
    c.context_flags = 0x0010_000F;
    (c.seg_cs, c.seg_ss, c.seg_ds, c.seg_es, c.seg_fs, c.seg_gs) = (0x33, 0x2B, 0x2B, 0x2B, 0x53, 0x2B);
    c.e_flags = 0x202;
    (c.rip, c.rsp) = (entry, sp);
    (c.rcx, c.rdx, c.r8, c.r9) = (ints[0], ints[1], ints[2], ints[3]);
    (c.rbx, c.rbp, c.rsi, c.rdi) = (saved[0], saved[1], saved[2], saved[3]);
    (c.r12, c.r13, c.r14, c.r15) = (saved[4], saved[5], saved[6], saved[7]);
    c.flt_save.xmm_registers[6..].copy_from_slice(vectors);
}

fn frame_i386(c: &mut I386Context, entry: u64, sp: u64, ints: &[u64; 8], saved: &[u64; 12]) {
    // Integer and control registers only: the rest is the host's at the moment.
    c.context_flags = 0x0001_0007;
    (c.seg_cs, c.seg_ss, c.seg_ds, c.seg_es, c.seg_gs) = (0x23, 0x2B, 0x2B, 0x2B, 0x2B);
    c.seg_fs = signals::fs_selector().into();
    c.e_flags = 0x202;
    (c.eip, c.esp) = (low32(entry), low32(sp));
    (c.ecx, c.edx) = (low32(ints[0]), low32(ints[1]));
    (c.ebx, c.ebp, c.esi, c.edi) = (low32(saved[0]), low32(saved[1]), low32(saved[2]), low32(saved[3]));
}
