//! Walking 64-bit stacks frame by frame, across levels; and DISPATCHER_CONTEXT.

use transom_cpu::context::Context;
use transom_cpu::frame::{Frame, UNWOUND_TO_CALL};
use transom_cpu::unwind::{self, Function, Handler, HandlerKind};
use transom_sdk::{BadAddress, Cx, Machine, mem};

use super::{known, tables};

/// Room for a DISPATCHER_CONTEXT of any 64-bit machine, in bytes, with the registers that ARM64's points to (x19 to x29, d8 to d15).
pub(crate) const DISPATCHER_SIZE: u64 = REGISTERS + 8 * 19;
/// Where in it the registers are.
const REGISTERS: u64 = 0x70;

/// A frame that a walk came to.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Found {
    /// The program counter in the frame.
    pub(crate) pc: u64,
    /// ARM64: the program counter follows a call.
    pub(crate) follows_call: bool,
    /// Its function's entry; `None` for a leaf.
    pub(crate) function: Option<Function>,
    /// What names it.
    pub(crate) establisher: u64,
    /// Its handler.
    pub(crate) handler: Option<Handler>,
}

/// What comes next on a walk.
pub(crate) enum Next {
    /// A frame, [`Walk::found`]; the walk's context is its caller's now.
    Frame,
    /// The level ended that was entered with this stack pointer; the walk's context is that of the shim's call (or interrupted
    /// place) from which it was entered.
    Level(u64),
    /// The end of the stack, or of what can be followed.
    End,
}

/// Wants the registers in the frames that a walk leaves, at least of those that have a handler, and of the target.
pub(crate) struct Left<'a> {
    pub(crate) context: &'a mut Context,
    pub(crate) target: u64,
}

/// A walk. `context` is what the next step starts from.
pub(crate) struct Walk<'a> {
    cx: &'a Cx,
    pub(crate) context: Context,
    /// The frame that was left with the last step.
    pub(crate) found: Found,
    /// ARM64: the callee-saved registers in that frame.
    pub(crate) registers: Option<[u64; 11]>,
    kind: HandlerKind,
    trap: u64,
}

impl<'a> Walk<'a> {
    #[inline]
    pub(crate) fn new(cx: &'a Cx, context: &Context, kind: HandlerKind) -> Self {
        let trap = cx.engine().return_trap();
        Self { cx, context: context.clone(), found: Found::default(), registers: None, kind, trap }
    }

    /// Takes one step.
    pub(crate) fn next(&mut self, left: Option<Left<'_>>) -> Next {
        let pc = self.context.pc();
        if pc == self.trap {
            return match enclosing(self.cx, self.context.sp()) {
                Some((entered, frame)) => {
                    frame.continue_walk(&mut self.context);
                    Next::Level(entered)
                }
                None => Next::End,
            };
        }
        let before = self.context.sp();
        match self.leave_frame(pc, left) {
            // A walk goes up; one that stands still is lost.
            Ok(()) if self.context.sp() > before || self.context.pc() != pc => Next::Frame,
            Ok(()) => Next::End,
            Err(bad) => {
                log::debug!("the walk of the stack ends at {pc:#x}: {bad}");
                Next::End
            }
        }
    }

    fn leave_frame(&mut self, pc: u64, mut left: Option<Left<'_>>) -> Result<(), BadAddress> {
        if let Context::Amd64(c) = &mut self.context
            && let Some(left) = known::leave(self.cx, self.kind, pc, c, left.as_mut(), &mut self.found)
        {
            return left;
        }
        if let Some(left) = left {
            left.context.copy_unwound(&self.context);
        }
        self.registers = self.context.saved_registers();
        let at = control_pc(&self.context);
        self.found = Found { pc, follows_call: at != pc, ..Found::default() };
        self.found.function = tables::lookup(self.cx, at);
        let Some(function) = &self.found.function else {
            self.found.establisher = self.context.sp();
            return unwind::leaf(&mut self.context);
        };
        let step = unwind::step(
            self.kind,
            at,
            function,
            &|pc| tables::lookup(self.cx, pc),
            &mut self.context,
            None,
        )?;
        (self.found.establisher, self.found.handler) = (step.establisher, step.handler);
        Ok(())
    }
}

/// The address that says where in its function a frame is: where code follows a call on ARM64, the call itself.
fn control_pc(context: &Context) -> u64 {
    match context {
        Context::Arm64(c) if c.context_flags & UNWOUND_TO_CALL != 0 => c.pc.wrapping_sub(4),
        _ => context.pc(),
    }
}

/// The frame from which the level was entered whose outermost function has just been unwound to the return trap, with this
/// stack pointer. Levels further down were left by guest code that jumped.
fn enclosing(cx: &Cx, sp: u64) -> Option<(u64, &Frame)> {
    let word = if cx.machine() == Machine::Arm64 { 0 } else { 8 };
    let (entered, frame) = cx.levels().find(|(entered, _)| entered.wrapping_add(word) >= sp)?;
    Some((entered, frame?))
}

/// DISPATCHER_CONTEXT, as far as both machines have it alike.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Dispatcher {
    pub(crate) control_pc: u64,
    pub(crate) image_base: u64,
    pub(crate) function_entry: u64,
    pub(crate) establisher: u64,
    pub(crate) target_ip: u64,
    pub(crate) context: u64,
    pub(crate) handler: Handler,
    pub(crate) scope_index: u32,
    /// ARM64: the program counter follows a call (ControlPcIsUnwound).
    pub(crate) follows_call: bool,
    /// ARM64: the frame's callee-saved registers.
    pub(crate) registers: Option<[u64; 11]>,
}

impl Dispatcher {
    pub(crate) fn new(found: &Found, handler: Handler, context: u64, target_ip: u64) -> Self {
        let (image_base, function_entry) = found.function.map_or((0, 0), |f| (f.image_base, f.entry));
        Self {
            control_pc: found.pc,
            image_base,
            function_entry,
            establisher: found.establisher,
            target_ip,
            context,
            handler,
            scope_index: 0,
            follows_call: found.follows_call,
            registers: None,
        }
    }

    /// ControlPc, ImageBase, FunctionEntry, EstablisherFrame, TargetIp, ContextRecord, LanguageHandler, HandlerData, HistoryTable,
    /// ScopeIndex; on ARM64 then ControlPcIsUnwound and NonVolatileRegisters.
    pub(crate) fn store(&self, at: u64) -> Result<(), BadAddress> {
        if let Some(registers) = &self.registers {
            mem::write(at.wrapping_add(REGISTERS), registers)?;
        }
        let words = [
            self.control_pc,
            self.image_base,
            self.function_entry,
            self.establisher,
            self.target_ip,
            self.context,
            self.handler.routine,
            self.handler.data,
            0,
            u64::from(self.scope_index) | u64::from(self.follows_call) << 32,
            at.wrapping_add(REGISTERS),
        ];
        mem::write_words(at, words)
    }

    #[expect(clippy::cast_possible_truncation, reason = "the low half is the field")]
    pub(crate) fn load(at: u64) -> Result<Self, BadAddress> {
        let w: [u64; 10] = mem::read_words(at)?;
        Ok(Self {
            control_pc: w[0],
            image_base: w[1],
            function_entry: w[2],
            establisher: w[3],
            target_ip: w[4],
            context: w[5],
            handler: Handler { routine: w[6], data: w[7] },
            scope_index: w[9] as u32,
            follows_call: w[9] >> 32 & 0xFF != 0,
            registers: None,
        })
    }
}
