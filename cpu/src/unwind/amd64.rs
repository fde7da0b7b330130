//! x86-64: `UNWIND_INFO` and its codes, and epilogs recognised by their instructions (documentation: "x64 exception
//! handling", "x64 prolog and epilog").
//!
//! [`plan`] has what a step does in a function's body, worked out once and kept by who walks the same frames again.

mod describe;
mod plan;

pub use describe::describe;
pub use plan::Plan;

use super::{Function, Handler, HandlerKind, Lookup, Places, Step};
use crate::context::Amd64Context;
use crate::mem::{self, BadAddress};

const FLAG_EXCEPTION: u8 = 1;
const FLAG_TERMINATION: u8 = 2;
const FLAG_CHAINED: u8 = 4;

/// The most infos in a chain; a longer one is a loop.
const MAX_CHAIN: usize = 32;

/// A register by its number in instructions and unwind codes.
fn register(c: &mut Amd64Context, number: u8) -> &mut u64 {
    &mut c.integers_mut()[usize::from(number & 15)]
}

/// The head of an `UNWIND_INFO` and its codes.
struct Info {
    flags: u8,
    version: u8,
    prolog: u8,
    frame_register: u8,
    frame_offset: u64,
    codes: [u16; 256],
    count: usize,
    /// Guest address of what follows the codes.
    tail: u64,
}

impl Info {
    fn read(at: u64) -> Result<Self, BadAddress> {
        let head: [u8; 4] = mem::read(at)?;
        let mut info = Self {
            flags: head[0] >> 3,
            version: head[0] & 7,
            prolog: head[1],
            frame_register: head[3] & 15,
            frame_offset: u64::from(head[3] >> 4) * 16,
            codes: [0; 256],
            count: head[2].into(),
            tail: 0,
        };
        let mut bytes = [0u8; 512];
        mem::copy_in(at + 4, &mut bytes[..2 * info.count])?;
        for (code, pair) in info.codes.iter_mut().zip(bytes[..2 * info.count].chunks_exact(2)) {
            *code = u16::from_le_bytes([pair[0], pair[1]]);
        }
        info.tail = at + 4 + 2 * info.count.next_multiple_of(2) as u64;
        Ok(info)
    }

    /// Calls `apply` with each code: offset in the prolog, operation, its info, and its operand (unscaled).
    fn each(
        &self,
        mut apply: impl FnMut(u8, u8, u8, u32) -> Result<(), BadAddress>,
    ) -> Result<(), BadAddress> {
        let mut i = 0;
        let word = |i: usize| u32::from(*self.codes.get(i).unwrap_or(&0));
        while i < self.count {
            let [offset, what] = self.codes[i].to_le_bytes();
            let (operation, info) = (what & 15, what >> 4);
            let far = word(i + 1) | word(i + 2) << 16;
            let (operand, slots) = match operation {
                op::ALLOC_LARGE if info == 0 => (word(i + 1), 2),
                op::ALLOC_LARGE => (far, 3),
                op::SAVE_NONVOL | op::SAVE_XMM128 => (word(i + 1), 2),
                op::SAVE_NONVOL_FAR | op::SAVE_XMM128_FAR => (far, 3),
                op::SPARE => (0, 2),
                _ => (0, 1),
            };
            // Version 2 begins with codes for epilogs, and may fill them up with a zero.
            let filler = self.version >= 2 && self.codes[i] == 0;
            if operation != op::EPILOG && !filler {
                apply(offset, operation, info, operand)?;
            }
            i += slots;
        }
        Ok(())
    }
}

/// Operations of unwind codes (`UWOP_*`).
mod op {
    pub(super) const PUSH_NONVOL: u8 = 0;
    pub(super) const ALLOC_LARGE: u8 = 1;
    pub(super) const ALLOC_SMALL: u8 = 2;
    pub(super) const SET_FPREG: u8 = 3;
    pub(super) const SAVE_NONVOL: u8 = 4;
    pub(super) const SAVE_NONVOL_FAR: u8 = 5;
    pub(super) const EPILOG: u8 = 6;
    pub(super) const SPARE: u8 = 7;
    pub(super) const SAVE_XMM128: u8 = 8;
    pub(super) const SAVE_XMM128_FAR: u8 = 9;
    pub(super) const PUSH_MACHFRAME: u8 = 10;
}

/// See [`super::step`].
pub(super) fn step(
    kind: HandlerKind,
    pc: u64,
    function: &Function,
    lookup: Lookup<'_>,
    c: &mut Amd64Context,
    places: &mut Option<&mut Places>,
) -> Result<Step, BadAddress> {
    let base = function.image_base;
    let function = primary(function)?;
    let mut info = Info::read(base + u64::from(function.unwind))?;
    let offset = pc.wrapping_sub(base + u64::from(function.begin));
    let mut in_prolog = offset < info.prolog.into();
    let establisher = establisher(&info, offset, c)?;
    if !in_prolog && let Some(epilog) = epilog(pc, &info, &function, lookup) {
        epilog.run(c, places)?;
        return Ok(Step { establisher, handler: None });
    }
    let mut done = offset;
    let mut interrupted = false;
    for _ in 0..MAX_CHAIN {
        apply(&info, done, establisher, c, places, &mut interrupted)?;
        if info.flags & FLAG_CHAINED == 0 {
            break;
        }
        let [begin, _, unwind]: [u32; 3] = mem::read(info.tail)?;
        info = Info::read(base + u64::from(unwind & !1))?;
        // The whole prolog of what the function is a part of has run.
        done = u64::MAX;
        in_prolog = pc.wrapping_sub(base + u64::from(begin)) < info.prolog.into();
    }
    if !interrupted {
        c.rip = mem::read(c.rsp)?;
        c.rsp = c.rsp.wrapping_add(8);
    }
    let wanted = match kind {
        HandlerKind::None => 0,
        HandlerKind::Exception => FLAG_EXCEPTION,
        HandlerKind::Termination => FLAG_TERMINATION,
    };
    if in_prolog || info.flags & FLAG_CHAINED != 0 || info.flags & wanted == 0 {
        return Ok(Step { establisher, handler: None });
    }
    let routine = base + u64::from(mem::read::<u32>(info.tail)?);
    Ok(Step { establisher, handler: Some(Handler { routine, data: info.tail + 4 }) })
}

/// The entry that an entry stands for, if it names another one.
fn primary(function: &Function) -> Result<Function, BadAddress> {
    let mut function = *function;
    for _ in 0..MAX_CHAIN {
        if function.unwind & 1 == 0 {
            break;
        }
        let at = function.image_base + u64::from(function.unwind & !1);
        let [begin, _, unwind]: [u32; 3] = mem::read(at)?;
        function = Function { begin, unwind, ..function };
    }
    Ok(function)
}

/// The address that names the frame: the bottom of its fixed part.
fn establisher(info: &Info, offset: u64, c: &mut Amd64Context) -> Result<u64, BadAddress> {
    if info.frame_register == 0 {
        return Ok(c.rsp);
    }
    let mut set = offset >= info.prolog.into() || info.flags & FLAG_CHAINED != 0;
    if !set {
        info.each(|at, operation, _, _| {
            set |= operation == op::SET_FPREG && offset >= at.into();
            Ok(())
        })?;
    }
    Ok(if set { register(c, info.frame_register).wrapping_sub(info.frame_offset) } else { c.rsp })
}

/// Undoes the codes whose instruction lies before `done`, the offset in the prolog.
fn apply(
    info: &Info,
    done: u64,
    frame: u64,
    c: &mut Amd64Context,
    places: &mut Option<&mut Places>,
    interrupted: &mut bool,
) -> Result<(), BadAddress> {
    info.each(|at, operation, number, operand| {
        if done < at.into() {
            return Ok(());
        }
        let operand = u64::from(operand);
        match operation {
            op::PUSH_NONVOL => pop(c, number, places)?,
            op::ALLOC_LARGE => {
                c.rsp = c.rsp.wrapping_add(if number == 0 { operand * 8 } else { operand });
            }
            op::ALLOC_SMALL => c.rsp = c.rsp.wrapping_add(u64::from(number) * 8 + 8),
            op::SET_FPREG => c.rsp = register(c, info.frame_register).wrapping_sub(info.frame_offset),
            op::SAVE_NONVOL | op::SAVE_NONVOL_FAR => {
                let scale = if operation == op::SAVE_NONVOL { 8 } else { 1 };
                let at = frame.wrapping_add(operand * scale);
                *register(c, number) = mem::read(at)?;
                note(places, number, at);
            }
            op::SAVE_XMM128 | op::SAVE_XMM128_FAR => {
                let scale = if operation == op::SAVE_XMM128 { 16 } else { 1 };
                let at = frame.wrapping_add(operand * scale);
                c.flt_save.xmm_registers[usize::from(number)] = mem::read(at)?;
                note(places, 16 + number, at);
            }
            op::PUSH_MACHFRAME => {
                let at = c.rsp.wrapping_add(if number == 0 { 0 } else { 8 });
                c.rip = mem::read(at)?;
                c.rsp = mem::read(at.wrapping_add(24))?;
                *interrupted = true;
            }
            _ => {}
        }
        Ok(())
    })
}

/// Notes where a register was found; vector registers count from 16.
fn note(places: &mut Option<&mut Places>, number: u8, at: u64) {
    if let Some(places) = places {
        let list = if number < 16 { &mut places.ints } else { &mut places.vectors };
        list[usize::from(number & 15)] = at;
    }
}

fn pop(c: &mut Amd64Context, number: u8, places: &mut Option<&mut Places>) -> Result<(), BadAddress> {
    note(places, number & 15, c.rsp);
    let value = mem::read(c.rsp)?;
    c.rsp = c.rsp.wrapping_add(8);
    *register(c, number) = value;
    Ok(())
}

/// Code bytes at a program counter, as many as an epilog can have.
struct Code {
    bytes: [u8; 40],
    at: usize,
}

impl Code {
    fn read(pc: u64) -> Self {
        let mut bytes = [0xCC; 40];
        if mem::copy_in(pc, &mut bytes).is_err() {
            // The last instructions before an unmapped page.
            for (i, byte) in bytes.iter_mut().enumerate() {
                match mem::read(pc.wrapping_add(i as u64)) {
                    Ok(value) => *byte = value,
                    Err(_) => break,
                }
            }
        }
        Self { bytes, at: 0 }
    }

    fn peek(&self, ahead: usize) -> u8 {
        *self.bytes.get(self.at + ahead).unwrap_or(&0xCC)
    }

    fn dword(&self, ahead: usize) -> i32 {
        i32::from_le_bytes([0, 1, 2, 3].map(|i| self.peek(ahead + i)))
    }
}

/// What an epilog does to the registers.
enum Action {
    AddSp(i64),
    /// rsp = register + displacement.
    Lea(u8, i64),
    Pop(u8),
}

/// The rest of an epilog.
struct Epilog {
    actions: [Option<Action>; 18],
    /// Bytes that the return removes besides the return address.
    extra: u64,
}

/// The epilog that the code at `pc` is the rest of.
fn epilog(pc: u64, info: &Info, function: &Function, lookup: Lookup<'_>) -> Option<Epilog> {
    let mut code = Code::read(pc);
    let mut actions: [Option<Action>; 18] = [const { None }; 18];
    let mut count = 0;
    if let Some((action, len)) = release(&code, info) {
        actions[0] = Some(action);
        (count, code.at) = (1, len);
    }
    while count < actions.len() {
        let (number, len) = match (code.peek(0), code.peek(1)) {
            (b @ 0x58..=0x5F, _) => (b & 7, 1),
            (0x41, b @ 0x58..=0x5F) => (b & 7 | 8, 2),
            _ => break,
        };
        if number == 4 {
            break;
        }
        actions[count] = Some(Action::Pop(number));
        count += 1;
        code.at += len;
    }
    leaves(&code, pc, info, function, lookup).map(|extra| Epilog { actions, extra })
}

impl Epilog {
    /// Does what the code would do.
    fn run(self, c: &mut Amd64Context, places: &mut Option<&mut Places>) -> Result<(), BadAddress> {
        for action in self.actions.into_iter().flatten() {
            match action {
                Action::AddSp(n) => c.rsp = c.rsp.wrapping_add_signed(n),
                Action::Lea(number, n) => c.rsp = register(c, number).wrapping_add_signed(n),
                Action::Pop(number) => pop(c, number, places)?,
            }
        }
        c.rip = mem::read(c.rsp)?;
        c.rsp = c.rsp.wrapping_add(8 + self.extra);
        Ok(())
    }
}

/// `add rsp, n` or `lea rsp, [frame register + n]`, and its length.
fn release(code: &Code, info: &Info) -> Option<(Action, usize)> {
    match [code.peek(0), code.peek(1), code.peek(2)] {
        [0x48, 0x83, 0xC4] => Some((Action::AddSp(i64::from(code.peek(3).cast_signed())), 4)),
        [0x48, 0x81, 0xC4] => Some((Action::AddSp(code.dword(3).into()), 7)),
        [rex @ (0x48 | 0x49), 0x8D, modrm] if info.frame_register != 0 && modrm >> 3 & 7 == 4 => {
            let number = modrm & 7 | (rex & 1) << 3;
            // r12 needs a SIB byte, which compilers do not use for a frame register.
            let valid = number == info.frame_register && modrm & 7 != 4;
            match modrm >> 6 {
                1 if valid => Some((Action::Lea(number, code.peek(3).cast_signed().into()), 4)),
                2 if valid => Some((Action::Lea(number, code.dword(3).into()), 7)),
                _ => None,
            }
        }
        _ => None,
    }
}

/// Where the function begins that an entry describes, or describes a part of.
fn root(function: &Function) -> Result<u64, BadAddress> {
    let mut function = primary(function)?;
    for _ in 0..MAX_CHAIN {
        let info = Info::read(function.image_base + u64::from(function.unwind))?;
        if info.flags & FLAG_CHAINED == 0 {
            break;
        }
        let [begin, _, unwind]: [u32; 3] = mem::read(info.tail)?;
        function = primary(&Function { begin, unwind, ..function })?;
    }
    Ok(function.image_base + u64::from(function.begin))
}

/// Whether a jump from a function leads out of it, which makes it the end of an epilog: to another function, or back to its own beginning.
/// Compilers lay out parts of a function apart, each with an entry; a jump between them is none.
fn is_outside(target: u64, info: &Info, function: &Function, lookup: Lookup<'_>) -> bool {
    let begin = function.image_base + u64::from(function.begin);
    // The end is the entry's second word.
    let end = mem::read::<u32>(function.entry + 4).unwrap_or(u32::MAX);
    if (begin..function.image_base + u64::from(end)).contains(&target) {
        return target == begin && info.flags & FLAG_CHAINED == 0;
    }
    let Some(other) = lookup(target) else { return true };
    match (root(function), root(&other)) {
        (Ok(own), Ok(others)) => own != others || target == own,
        _ => true,
    }
}

/// Whether the code leaves the function; the stack bytes that it removes besides the return address.
fn leaves(code: &Code, pc: u64, info: &Info, function: &Function, lookup: Lookup<'_>) -> Option<u64> {
    let outside = |target: u64| is_outside(target, info, function, lookup);
    let here = pc + code.at as u64;
    match (code.peek(0), code.peek(1)) {
        (0xC3, _) | (0xF3, 0xC3) => Some(0),
        (0xC2, low) => Some(u16::from_le_bytes([low, code.peek(2)]).into()),
        (0xEB, n) if outside(here.wrapping_add_signed(2 + i64::from(n.cast_signed()))) => Some(0),
        (0xE9, _) if outside(here.wrapping_add_signed(5 + i64::from(code.dword(1)))) => Some(0),
        (0xFF, 0x25) => Some(0),
        (0x48..=0x4F, 0xFF) if code.peek(2) >> 3 & 7 == 4 => Some(0),
        _ => None,
    }
}
