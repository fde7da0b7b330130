//! ARM64: `.xdata` records and packed unwind data (documentation: "ARM64 exception handling").
//!
//! Every unwind code stands for one instruction of the prolog or epilog, so that a position inside either is a number of
//! codes to leave out. Packed data is expanded to the codes of the canonical prolog that it describes.

use super::{Function, Handler, HandlerKind, Places, Step};
use crate::context::Arm64Context;
use crate::frame::UNWOUND_TO_CALL;
use crate::mem::{self, BadAddress};

const LR: u8 = 30;
const FP: usize = 29;

/// A register that prologs save.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Reg {
    X(u8),
    D(u8),
    Q(u8),
}

impl Reg {
    /// The register `n` further on.
    fn plus(self, n: u8) -> Self {
        match self {
            Self::X(r) => Self::X(r + n),
            Self::D(r) => Self::D(r + n),
            Self::Q(r) => Self::Q(r + n),
        }
    }
}

/// What one code says, in the terms of the prolog.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Op {
    /// The stack pointer was lowered.
    Alloc(u64),
    /// One or two registers were stored at `offset` from the stack pointer, which was lowered by `lower` first.
    Save {
        first: Reg,
        second: Option<Reg>,
        offset: u64,
        lower: u64,
    },
    /// The next pair was stored after the one of the code that follows.
    SaveNext,
    /// x29 is the stack pointer plus this.
    Frame(u64),
    /// The return address was signed.
    Sign,
    Nop,
    MachineFrame,
    FullContext,
    ClearUnwound,
}

/// The most codes that a function can have: 255 words of them.
const MAX_BYTES: usize = 1020;

/// A function's unwind data, decoded.
struct Data {
    /// In unwinding order, without `End`.
    prolog: Vec<Op>,
    /// How many of them are instructions at the function's beginning. The rest are those of a function that it is a fragment of, whose
    /// prolog lies elsewhere and has run.
    own: usize,
    /// The codes to unwind with at the given position, if it lies in an epilog.
    epilog: Option<Vec<Op>>,
    handler: Option<Handler>,
}

/// See [`super::step`].
pub(super) fn step(
    kind: HandlerKind,
    pc: u64,
    function: &Function,
    c: &mut Arm64Context,
    places: &mut Option<&mut Places>,
) -> Result<Step, BadAddress> {
    let begin = function.image_base + u64::from(function.begin);
    let position = usize::try_from(pc.wrapping_sub(begin) / 4).unwrap_or(usize::MAX);
    let data =
        if function.unwind & 3 == 0 { full(function, position)? } else { packed(function.unwind, position) };
    let (ops, body): (&[Op], bool) = match &data.epilog {
        Some(rest) => (rest, false),
        None if position < data.own => (&data.prolog[data.own - position..], false),
        None => (&data.prolog, true),
    };
    c.context_flags |= UNWOUND_TO_CALL;
    let has_pc = undo(ops, c, places)?;
    if !has_pc {
        c.pc = c.x[usize::from(LR)];
    }
    let handler = data.handler.filter(|_| body && kind != HandlerKind::None);
    Ok(Step { establisher: c.sp, handler })
}

/// Undoes the codes. Returns whether one of them gave the program counter.
fn undo(ops: &[Op], c: &mut Arm64Context, places: &mut Option<&mut Places>) -> Result<bool, BadAddress> {
    let mut has_pc = false;
    let mut more = 0u8;
    for op in ops {
        match *op {
            Op::Alloc(n) => c.sp = c.sp.wrapping_add(n),
            Op::Save { first, second, offset, lower } => {
                let at = c.sp.wrapping_add(offset);
                restore(first, at, c, places)?;
                if let Some(second) = second {
                    let width = if matches!(first, Reg::Q(_)) { 16 } else { 8 };
                    restore(second, at.wrapping_add(width), c, places)?;
                    for pair in 1..=core::mem::take(&mut more) {
                        let at = at.wrapping_add(2 * width * u64::from(pair));
                        restore(first.plus(2 * pair), at, c, places)?;
                        restore(second.plus(2 * pair), at.wrapping_add(width), c, places)?;
                    }
                }
                c.sp = c.sp.wrapping_add(lower);
            }
            Op::SaveNext => more = more.saturating_add(1).min(8),
            Op::Frame(n) => c.sp = c.x[FP].wrapping_sub(n),
            // Guests run without pointer authentication: a signature is all zeroes.
            Op::Sign | Op::Nop => {}
            Op::MachineFrame => {
                [c.sp, c.pc] = mem::read::<[u64; 2]>(c.sp)?;
                c.context_flags &= !UNWOUND_TO_CALL;
                has_pc = true;
            }
            Op::FullContext => {
                let at = c.sp;
                let flags = c.context_flags;
                if let crate::context::Context::Arm64(full) =
                    crate::context::Context::load(crate::machine::Machine::Arm64, at)?
                {
                    *c = full;
                }
                c.context_flags = flags & !UNWOUND_TO_CALL;
                has_pc = true;
            }
            Op::ClearUnwound => c.context_flags &= !UNWOUND_TO_CALL,
        }
    }
    Ok(has_pc)
}

fn restore(
    reg: Reg,
    at: u64,
    c: &mut Arm64Context,
    places: &mut Option<&mut Places>,
) -> Result<(), BadAddress> {
    match reg {
        Reg::X(n) => {
            if let Some(x) = c.x.get_mut(usize::from(n)) {
                *x = mem::read(at)?;
                if let Some(places) = places {
                    places.ints[usize::from(n)] = at;
                }
            }
        }
        Reg::D(n) => {
            let n = usize::from(n & 31);
            c.v[n] = c.v[n] & !u128::from(u64::MAX) | u128::from(mem::read::<u64>(at)?);
            if let Some(places) = places {
                places.vectors[n] = at;
            }
        }
        Reg::Q(n) => {
            let n = usize::from(n & 31);
            c.v[n] = mem::read(at)?;
            if let Some(places) = places {
                places.vectors[n] = at;
            }
        }
    }
    Ok(())
}

/// Decodes an `.xdata` record.
fn full(function: &Function, position: usize) -> Result<Data, BadAddress> {
    let mut at = function.image_base + u64::from(function.unwind);
    let head: u32 = mem::read(at)?;
    at += 4;
    let length = (head & 0x3_FFFF) as usize;
    let (has_handler, single) = (head >> 20 & 1 != 0, head >> 21 & 1 != 0);
    let (mut epilogs, mut words) = ((head >> 22 & 31) as usize, (head >> 27) as usize);
    if epilogs == 0 && words == 0 {
        let more: u32 = mem::read(at)?;
        at += 4;
        (epilogs, words) = ((more & 0xFFFF) as usize, (more >> 16 & 0xFF) as usize);
    }
    let scopes_at = at;
    let scopes = if single { 0 } else { epilogs };
    at += 4 * scopes as u64;
    let mut bytes = [0u8; MAX_BYTES];
    mem::copy_in(at, &mut bytes[..4 * words])?;
    let codes = &bytes[..4 * words];
    at += 4 * words as u64;
    let handler = if has_handler {
        let routine = function.image_base + u64::from(mem::read::<u32>(at)?);
        Some(Handler { routine, data: at + 4 })
    } else {
        None
    };
    let (prolog, own) = decode(codes, 0);
    let mut epilog = None;
    if single {
        // One epilog, at the end; its length includes the instruction that returns.
        let (ops, _) = decode(codes, epilogs);
        let start = length.saturating_sub(ops.len() + 1);
        epilog = rest(ops, start, position);
    } else if position >= own {
        for i in 0..scopes {
            let scope: u32 = mem::read(scopes_at + 4 * i as u64)?;
            let start = (scope & 0x3_FFFF) as usize;
            if position < start {
                break;
            }
            epilog = rest(decode(codes, (scope >> 22) as usize).0, start, position);
            if epilog.is_some() {
                break;
            }
        }
    }
    Ok(Data { prolog, own, epilog, handler })
}

/// What of an epilog that begins at `start` is still to come at `position`; `None` if the position is not inside.
fn rest(mut ops: Vec<Op>, start: usize, position: usize) -> Option<Vec<Op>> {
    let done = position.checked_sub(start)?;
    if done > ops.len() {
        return None;
    }
    ops.drain(..done);
    Some(ops)
}

/// Decodes codes from `index` to the end mark; also how many come before the first `end_c`, if there is one.
fn decode(codes: &[u8], mut index: usize) -> (Vec<Op>, usize) {
    let mut ops = Vec::with_capacity(8);
    let mut own = None;
    while index < codes.len() {
        let byte = |n: usize| u32::from(*codes.get(index + n).unwrap_or(&0));
        let len = match codes[index] {
            0xC0..=0xDF | 0xE2 | 0xF8 => 2,
            0xE7 | 0xF9 => 3,
            0xE0 | 0xFA => 4,
            0xFB => 5,
            _ => 1,
        };
        let op = match codes[index] {
            0xE4 => break,
            // `end_c`: what follows belongs to the host function's prolog, all of it done.
            0xE5 => {
                own.get_or_insert(ops.len());
                index += 1;
                continue;
            }
            0xE0 => Op::Alloc(u64::from(byte(1) << 16 | byte(2) << 8 | byte(3)) * 16),
            0xE7 => any_reg(byte(1), byte(2)),
            _ => short(byte(0), byte(0) << 8 | byte(1)),
        };
        ops.push(op);
        index += len;
    }
    let own = own.unwrap_or(ops.len());
    (ops, own)
}

/// Codes of one and two bytes: the first byte, and both as one number.
fn short(first: u32, both: u32) -> Op {
    let z6 = u64::from(first & 63);
    let z = u64::from(both & 63);
    let z5 = u64::from(both & 31);
    let x4 = (both >> 6 & 15) as u8;
    let x3 = (both >> 6 & 7) as u8;
    let single = |first, offset, lower| Op::Save { first, second: None, offset, lower };
    let pair = |first: Reg, offset, lower| Op::Save { first, second: Some(first.plus(1)), offset, lower };
    match first {
        0x00..=0x1F => Op::Alloc(u64::from(first & 31) * 16),
        0x20..=0x3F => pair(Reg::X(19), 0, u64::from(first & 31) * 8),
        0x40..=0x7F => pair(Reg::X(29), z6 * 8, 0),
        0x80..=0xBF => pair(Reg::X(29), 0, (z6 + 1) * 8),
        0xC0..=0xC7 => Op::Alloc(u64::from(both & 0x7FF) * 16),
        0xC8..=0xCB => pair(Reg::X(19 + x4), z * 8, 0),
        0xCC..=0xCF => pair(Reg::X(19 + x4), 0, (z + 1) * 8),
        0xD0..=0xD3 => single(Reg::X(19 + x4), z * 8, 0),
        0xD4..=0xD5 => single(Reg::X(19 + (both >> 5 & 15) as u8), 0, (z5 + 1) * 8),
        0xD6..=0xD7 => {
            Op::Save { first: Reg::X(19 + 2 * x3), second: Some(Reg::X(LR)), offset: z * 8, lower: 0 }
        }
        0xD8..=0xD9 => pair(Reg::D(8 + x3), z * 8, 0),
        0xDA..=0xDB => pair(Reg::D(8 + x3), 0, (z + 1) * 8),
        0xDC..=0xDD => single(Reg::D(8 + x3), z * 8, 0),
        0xDE => single(Reg::D(8 + (both >> 5 & 7) as u8), 0, (z5 + 1) * 8),
        0xE1 => Op::Frame(0),
        0xE2 => Op::Frame(u64::from(both & 0xFF) * 8),
        0xE6 => Op::SaveNext,
        0xE9 => Op::MachineFrame,
        0xEA => Op::FullContext,
        0xEC => Op::ClearUnwound,
        0xFC => Op::Sign,
        _ => Op::Nop,
    }
}

/// `save_any_reg`: 0pxrrrrr ffoooooo.
fn any_reg(what: u32, place: u32) -> Op {
    let number = (what & 31) as u8;
    let (is_pair, lowers) = (what >> 6 & 1 != 0, what >> 5 & 1 != 0);
    let first = match place >> 6 {
        0 => Reg::X(number),
        1 => Reg::D(number),
        _ => Reg::Q(number),
    };
    let scale = if is_pair || lowers || place >> 6 == 2 { 16 } else { 8 };
    let n = u64::from(place & 63);
    let (offset, lower) = if lowers { (0, (n + 1) * scale) } else { (n * scale, 0) };
    Op::Save { first, second: is_pair.then(|| first.plus(1)), offset, lower }
}

/// Expands packed unwind data.
fn packed(word: u32, position: usize) -> Data {
    let length = (word >> 2 & 0x7FF) as usize;
    // A fragment (flag 2) has neither prolog nor epilog of its own; what it unwinds is the same.
    let fragment = word & 3 == 2;
    let mut prolog = canonical(word, false);
    prolog.reverse();
    let mut epilog = canonical(word, true);
    epilog.reverse();
    if fragment {
        // Every position is in the body.
        return Data { own: 0, prolog, epilog: None, handler: None };
    }
    let own = prolog.len();
    let start = length.saturating_sub(epilog.len() + 1);
    let epilog = if position >= own { rest(epilog, start, position) } else { None };
    Data { prolog, own, epilog, handler: None }
}

/// The canonical prolog of packed data in execution order, or the mirror image of the epilog, which does not set x29 and
/// does not home arguments.
fn canonical(word: u32, epilog: bool) -> Vec<Op> {
    let reg_f = (word >> 13 & 7) as u8;
    let reg_i = (word >> 16 & 15) as u8;
    let homes = word >> 20 & 1 != 0;
    let cr = word >> 21 & 3;
    let frame = u64::from(word >> 23 & 0x1FF) * 16;
    let int_size = 8 * u64::from(reg_i) + if cr == 1 { 8 } else { 0 };
    let float_size = if reg_f > 0 { 8 * u64::from(reg_f) + 8 } else { 0 };
    let home_size = if homes { 64 } else { 0 };
    let save_size = (int_size + float_size + home_size).next_multiple_of(16);
    let local = frame.saturating_sub(save_size);
    let mut ops = Vec::with_capacity(12);
    if cr == 2 {
        ops.push(Op::Sign);
    }
    // The first store lowers the stack pointer for all of them.
    let mut lower = save_size;
    let mut save = |ops: &mut Vec<Op>, first, second, offset| {
        ops.push(Op::Save { first, second, offset, lower: core::mem::take(&mut lower) });
    };
    for i in (0..reg_i).step_by(2) {
        let second = match i + 1 {
            next if next < reg_i => Some(Reg::X(19 + next)),
            _ if cr == 1 => Some(Reg::X(LR)),
            _ => None,
        };
        save(&mut ops, Reg::X(19 + i), second, 8 * u64::from(i));
    }
    if cr == 1 && reg_i.is_multiple_of(2) {
        save(&mut ops, Reg::X(LR), None, int_size - 8);
    }
    if reg_f > 0 {
        for i in (0..=reg_f).step_by(2) {
            let second = (i < reg_f).then_some(Reg::D(8 + i + 1));
            save(&mut ops, Reg::D(8 + i), second, int_size + 8 * u64::from(i));
        }
    }
    if homes {
        match (lower, epilog) {
            (0, false) => ops.extend([Op::Nop; 4]),
            (0, true) => {}
            (n, false) => ops.extend([Op::Alloc(n), Op::Nop, Op::Nop, Op::Nop]),
            (n, true) => ops.push(Op::Alloc(n)),
        }
    }
    allocate(&mut ops, local, cr >= 2, epilog);
    ops
}

/// The last step: the local area, with x29 and lr at its bottom in a chained function.
fn allocate(ops: &mut Vec<Op>, local: u64, chained: bool, epilog: bool) {
    const STEP: u64 = 4080;
    let pair = |lower| Op::Save { first: Reg::X(29), second: Some(Reg::X(LR)), offset: 0, lower };
    if chained && local <= 512 {
        ops.push(pair(local));
    } else {
        if local > STEP {
            ops.extend([Op::Alloc(STEP), Op::Alloc(local - STEP)]);
        } else if local > 0 {
            ops.push(Op::Alloc(local));
        }
        if chained {
            ops.push(pair(0));
        }
    }
    if chained && !epilog {
        ops.push(Op::Frame(0));
    }
}
