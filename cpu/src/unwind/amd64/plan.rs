//! A step from the body of an x86-64 function, worked out in advance: where each register lies, counted from the frame's
//! establisher. A stack is walked through the same places over and over (every `throw` of a loop, say), and reading
//! and applying the codes costs many times what the few loads do that come out of it.
//!
//! Prologs and the rare codes have no plan: [`super::step`] does them.

use super::{Action, Epilog, epilog, op, primary, register};
use super::{
    FLAG_CHAINED, FLAG_EXCEPTION, FLAG_TERMINATION, Function, Handler, HandlerKind, Info, Lookup, MAX_CHAIN,
};
use crate::context::Amd64Context;
use crate::mem::{self, BadAddress};
use crate::relay;

/// The most registers that a plan restores: all non-volatile ones.
const MOST: usize = 18;

/// The number of xmm0 among the registers.
const VECTORS: u8 = 16;

/// See the module documentation.
#[derive(Clone, Debug)]
pub struct Plan {
    /// The register that the establisher counts from, and its distance.
    base: u8,
    distance: u32,
    /// Registers and their distances from the establisher.
    saves: [(u8, u32); MOST],
    count: u8,
    /// From the establisher to the return address.
    size: u32,
    /// Bits of the last info of the chain, and its handler.
    flags: u8,
    handler: Option<Handler>,
}

/// What the codes have come to while a plan is made.
struct Draft {
    saves: [(u8, u32); MOST],
    count: usize,
    /// The stack pointer's distance from the establisher.
    sp: u64,
    possible: bool,
}

impl Draft {
    fn new() -> Self {
        Self { saves: [(0, 0); MOST], count: 0, sp: 0, possible: true }
    }

    fn finish(&self, (register, offset): (u8, u64), flags: u8, handler: Option<Handler>) -> Option<Plan> {
        if !self.possible {
            return None;
        }
        Some(Plan {
            base: if register == 0 { 4 } else { register },
            distance: u32::try_from(offset).ok()?,
            saves: self.saves,
            count: u8::try_from(self.count).ok()?,
            size: u32::try_from(self.sp).ok()?,
            flags,
            handler,
        })
    }

    fn save(&mut self, number: u8, at: u64) {
        let Ok(at) = u32::try_from(at) else {
            self.possible = false;
            return;
        };
        match self.saves.get_mut(self.count) {
            Some(slot) => *slot = (number, at),
            None => self.possible = false,
        }
        self.count += 1;
    }

    fn add(&mut self, info: &Info, first: (u8, u64)) -> Result<(), BadAddress> {
        info.each(|_, operation, number, operand| {
            let operand = u64::from(operand);
            match operation {
                op::PUSH_NONVOL => {
                    self.save(number, self.sp);
                    self.sp += 8;
                }
                op::ALLOC_LARGE => self.sp += if number == 0 { operand * 8 } else { operand },
                op::ALLOC_SMALL => self.sp += u64::from(number) * 8 + 8,
                // The register that gave the establisher: the stack pointer is back there.
                op::SET_FPREG if (info.frame_register, info.frame_offset) == first => self.sp = 0,
                op::SAVE_NONVOL => self.save(number, operand * 8),
                op::SAVE_NONVOL_FAR => self.save(number, operand),
                op::SAVE_XMM128 => self.save(VECTORS + number, operand * 16),
                op::SAVE_XMM128_FAR => self.save(VECTORS + number, operand),
                _ => self.possible = false,
            }
            Ok(())
        })
    }
}

impl Plan {
    /// The plan for `pc`; `None` if it lies in a prolog, or the codes say something uncommon.
    ///
    /// # Errors
    /// Unwind data that cannot be read.
    pub fn new(pc: u64, function: &Function, lookup: Lookup<'_>) -> Result<Option<Self>, BadAddress> {
        let base = function.image_base;
        let function = primary(function)?;
        let mut info = Info::read(base + u64::from(function.unwind))?;
        let in_prolog =
            |begin: u32, info: &Info| pc.wrapping_sub(base + u64::from(begin)) < info.prolog.into();
        if in_prolog(function.begin, &info) {
            return Ok(None);
        }
        if let Some(epilog) = epilog(pc, &info, &function, lookup) {
            return Ok(Self::of_epilog(&info, &epilog));
        }
        let first = (info.frame_register, info.frame_offset);
        let mut draft = Draft::new();
        for _ in 0..MAX_CHAIN {
            draft.add(&info, first)?;
            if info.flags & FLAG_CHAINED == 0 {
                break;
            }
            let [begin, _, unwind]: [u32; 3] = mem::read(info.tail)?;
            info = Info::read(base + u64::from(unwind & !1))?;
            draft.possible &= !in_prolog(begin, &info);
        }
        let has_handler = info.flags & (FLAG_EXCEPTION | FLAG_TERMINATION) != 0;
        let handler = if has_handler && info.flags & FLAG_CHAINED == 0 {
            let routine = base + u64::from(mem::read::<u32>(info.tail)?);
            Some(Handler { routine, data: info.tail + 4 })
        } else {
            None
        };
        Ok(draft.finish(first, info.flags, handler))
    }

    /// The plan for the rest of an epilog; `None` if where it leads cannot be counted from the establisher.
    fn of_epilog(info: &Info, epilog: &Epilog) -> Option<Self> {
        if epilog.extra != 0 {
            return None;
        }
        let mut draft = Draft::new();
        let mut counted = info.frame_register == 0;
        for action in epilog.actions.iter().flatten() {
            match *action {
                Action::AddSp(n) => draft.sp = draft.sp.wrapping_add_signed(n),
                Action::Lea(_, n) => {
                    draft.sp = info.frame_offset.wrapping_add_signed(n);
                    counted = true;
                }
                Action::Pop(number) => {
                    draft.save(number, draft.sp);
                    draft.sp = draft.sp.wrapping_add(8);
                }
            }
        }
        draft.possible &= counted;
        draft.finish((info.frame_register, info.frame_offset), 0, None)
    }

    /// What names the frame.
    #[must_use]
    #[inline]
    pub fn establisher(&self, c: &Amd64Context) -> u64 {
        c.integers()[usize::from(self.base & 15)].wrapping_sub(self.distance.into())
    }

    /// The frame's handler, if it has one of the wanted kind.
    #[must_use]
    #[inline]
    pub fn handler(&self, kind: HandlerKind) -> Option<Handler> {
        let wanted = match kind {
            HandlerKind::None => 0,
            HandlerKind::Exception => FLAG_EXCEPTION,
            HandlerKind::Termination => FLAG_TERMINATION,
        };
        self.handler.filter(|_| self.flags & wanted != 0)
    }

    /// Takes the step.
    ///
    /// # Errors
    /// A stack that cannot be read. The context is then half-way.
    #[inline]
    pub fn run(&self, c: &mut Amd64Context) -> Result<(), BadAddress> {
        let establisher = self.establisher(c);
        for &(number, distance) in &self.saves[..self.count.into()] {
            let at = establisher.wrapping_add(distance.into());
            if number < VECTORS {
                *register(c, number) = mem::read(at)?;
            } else {
                c.flt_save.xmm_registers[usize::from(number - VECTORS) % 16] = mem::read(at)?;
            }
        }
        let at = establisher.wrapping_add(self.size.into());
        c.rip = relay::caller(mem::read(at)?, at);
        c.rsp = at.wrapping_add(8);
        Ok(())
    }
}
