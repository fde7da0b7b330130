//! ARM64 unwinding against functions made at random: a model of each instruction runs the prolog and the epilog on a stack in this
//! process's memory, and wherever it stops, a step gives back the caller's registers. Packed data are made from the table in the
//! documentation ("ARM64 exception handling"), records from sequences of saves.

use proptest::prelude::*;
use transom_cpu::context::{Arm64Context, Context};
use transom_cpu::machine::Machine;
use transom_cpu::unwind::{Function, Handler, HandlerKind, step};

/// Where the function and its record are, from the image's base.
const CODE: u32 = 0x1000;
const RECORD: usize = 0x100;
/// Instructions between prolog and epilog.
const BODY: usize = 3;
const FP: u8 = 29;
const LR: u8 = 30;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Reg {
    X(u8),
    D(u8),
}

/// An instruction of a prolog.
#[derive(Clone, Copy, Debug)]
enum Op {
    /// sub sp, sp, #n
    Alloc(u64),
    /// str or stp at an offset from the stack pointer, which is lowered first.
    Save { first: Reg, second: Option<Reg>, offset: u64, lower: u64 },
    /// add x29, sp, #n
    Frame(u64),
    /// Has no effect that unwinding undoes: pacibsp, homing of arguments.
    Nothing,
}

fn save(first: Reg, second: Option<Reg>, offset: u64, lower: u64) -> Op {
    Op::Save { first, second, offset, lower }
}

impl Op {
    fn places(self, sp: u64) -> Vec<(Reg, u64)> {
        let Self::Save { first, second, offset, .. } = self else { return Vec::new() };
        [Some(first), second].into_iter().flatten().zip([sp + offset, sp + offset + 8]).collect()
    }

    fn run(self, c: &mut Arm64Context) {
        match self {
            Self::Alloc(n) => c.sp -= n,
            Self::Save { lower, .. } => c.sp -= lower,
            Self::Frame(n) => c.x[usize::from(FP)] = c.sp + n,
            Self::Nothing => {}
        }
        for (reg, at) in self.places(c.sp) {
            transom_cpu::mem::write(at, &get(c, reg)).expect("the model's stack");
        }
    }

    /// What the epilog does in return.
    fn undo(self, c: &mut Arm64Context) {
        for (reg, at) in self.places(c.sp) {
            set(c, reg, transom_cpu::mem::read(at).expect("the model's stack"));
        }
        match self {
            Self::Alloc(n) => c.sp += n,
            Self::Save { lower, .. } => c.sp += lower,
            Self::Frame(_) | Self::Nothing => {}
        }
    }
}

fn get(c: &Arm64Context, reg: Reg) -> u64 {
    match reg {
        Reg::X(n) => c.x[usize::from(n)],
        Reg::D(n) => u64::try_from(c.v[usize::from(n)] & u128::from(u64::MAX)).expect("masked"),
    }
}

fn set(c: &mut Arm64Context, reg: Reg, value: u64) {
    match reg {
        Reg::X(n) => c.x[usize::from(n)] = value,
        Reg::D(n) => c.v[usize::from(n)] = value.into(),
    }
}

/// A function: what its prolog and its epilog do (in the prolog's order), and its unwind data.
#[derive(Clone, Debug)]
struct Model {
    prolog: Vec<Op>,
    epilog: Vec<Op>,
    /// Instructions after the epilog's return.
    after: usize,
    unwind: u32,
    record: Vec<u8>,
    handler: bool,
}

impl Model {
    fn caller(seed: u64, stack: &[u64]) -> Arm64Context {
        let Context::Arm64(mut c) = Context::new(Machine::Arm64) else { unreachable!() };
        c.sp = (stack.as_ptr_range().end as u64 - 64) & !15;
        for n in 19..=30 {
            c.x[n] = seed.wrapping_mul(n as u64 + 1) & !3;
        }
        for n in 8..16 {
            c.v[n] = u128::from(seed ^ n as u64);
        }
        c
    }

    fn check(&self, seed: u64) -> Result<(), TestCaseError> {
        let mut stack = vec![0u64; 8192];
        let before = Self::caller(seed, stack.as_mut_slice());
        let mut image = vec![0u8; RECORD];
        image.extend(&self.record);
        let base = image.as_ptr().expose_provenance() as u64;
        let function = Function { image_base: base, entry: base, begin: CODE, unwind: self.unwind };
        let at = |position: usize, c: &Arm64Context, body: bool| {
            let mut context = Context::Arm64(c.clone());
            let pc = base + u64::from(CODE) + 4 * position as u64;
            let found =
                step(HandlerKind::Exception, pc, &function, &|_| None, &mut context, None).expect("readable");
            let Context::Arm64(after) = context else { unreachable!() };
            prop_assert_eq!(after.pc, before.x[usize::from(LR)], "at {} of {:?}", position, self);
            prop_assert_eq!(after.sp, before.sp, "at {} of {:?}", position, self);
            prop_assert_eq!(found.establisher, before.sp);
            prop_assert_eq!(&after.x[19..], &before.x[19..], "at {} of {:?}", position, self);
            prop_assert_eq!(&after.v[8..16], &before.v[8..16], "at {} of {:?}", position, self);
            let handler = found.handler.map(|h: Handler| h.routine - base);
            prop_assert_eq!(handler, (body && self.handler).then_some(0x1234));
            Ok(())
        };
        let mut c = before.clone();
        for (i, op) in self.prolog.iter().enumerate() {
            at(i, &c, false)?;
            op.run(&mut c);
        }
        let saved: Vec<Reg> = self.prolog.iter().flat_map(|op| op.places(0)).map(|(reg, _)| reg).collect();
        let framed = self.prolog.iter().any(|op| matches!(op, Op::Frame(_)));
        let mut body = c.clone();
        for &reg in saved.iter().filter(|&&r| !framed || r != Reg::X(FP)) {
            set(&mut body, reg, 0xDEAD);
        }
        if framed {
            // alloca: with a frame pointer the stack pointer may move.
            body.sp -= 0x80;
        }
        let start = self.prolog.len();
        for i in 0..BODY {
            at(start + i, &body, true)?;
        }
        body.sp = c.sp;
        let (mut c, start) = (body, start + BODY);
        for (i, op) in self.epilog.iter().rev().enumerate() {
            at(start + i, &c, false)?;
            op.undo(&mut c);
        }
        at(start + self.epilog.len(), &c, false)
    }

    /// Instructions: prolog, body, epilog, return, and what follows.
    fn length(&self) -> u32 {
        u32::try_from(self.prolog.len() + BODY + self.epilog.len() + 1 + self.after).expect("few")
    }
}

/// The canonical prolog and epilog of packed data, by the documentation's table.
fn canonical(cr: u32, homes: bool, reg_i: u8, reg_f: u8, local: u64) -> Model {
    let int_size = 8 * u64::from(reg_i) + if cr == 1 { 8 } else { 0 };
    let float_size = if reg_f > 0 { 8 * u64::from(reg_f) + 8 } else { 0 };
    let save_size = (int_size + float_size + if homes { 64 } else { 0 }).next_multiple_of(16);
    let mut saves = Vec::new();
    let mut ints: Vec<Reg> = (0..reg_i).map(|i| Reg::X(19 + i)).collect();
    if cr == 1 {
        ints.push(Reg::X(LR));
    }
    // With an even number of registers lr is alone; with an odd one it is the last one's pair.
    let floats: Vec<Reg> = (0..if reg_f > 0 { reg_f + 1 } else { 0 }).map(|i| Reg::D(8 + i)).collect();
    for (list, base) in [(&ints, 0), (&floats, int_size)] {
        for (pair, offset) in list.chunks(2).zip((base..).step_by(16)) {
            saves.push((pair[0], pair.get(1).copied(), offset));
        }
    }
    let mut ops: Vec<Op> = (cr == 2).then_some(Op::Nothing).into_iter().collect();
    let mut lower = save_size;
    for (first, second, offset) in saves {
        ops.push(save(first, second, offset, core::mem::take(&mut lower)));
    }
    let mut epilog = ops.clone();
    if homes {
        // The first store lowers the stack pointer if nothing else did.
        ops.push(if lower > 0 { Op::Alloc(lower) } else { Op::Nothing });
        ops.extend([Op::Nothing; 3]);
        epilog.extend((lower > 0).then_some(Op::Alloc(lower)));
    }
    let pair = |lower| save(Reg::X(FP), Some(Reg::X(LR)), 0, lower);
    let last = match local {
        0 => Vec::new(),
        n if cr >= 2 && n <= 512 => vec![pair(n)],
        n => {
            let mut last =
                if n <= 4080 { vec![Op::Alloc(n)] } else { vec![Op::Alloc(4080), Op::Alloc(n - 4080)] };
            last.extend((cr >= 2).then(|| pair(0)));
            last
        }
    };
    for ops in [&mut ops, &mut epilog] {
        ops.extend(&last);
    }
    ops.extend((cr >= 2).then_some(Op::Frame(0)));
    let mut model = Model { prolog: ops, epilog, after: 0, unwind: 0, record: Vec::new(), handler: false };
    let frame = u32::try_from((save_size + local) / 16).expect("at most 511");
    model.unwind = 1
        | model.length() << 2
        | u32::from(reg_f) << 13
        | u32::from(reg_i) << 16
        | u32::from(homes) << 20
        | cr << 21
        | frame << 23;
    model
}

fn packed() -> impl Strategy<Value = Model> {
    let local = prop_oneof![0u64..64, 250u64..260, 0u64..490].prop_map(|n| 16 * n);
    (0u32..4, any::<bool>(), 0u8..=10, 0u8..8, local)
        // What the table has no codes for: x19 alone with lr; a frame record without room.
        .prop_filter("not canonical", |&(cr, _, i, _, local)| !(cr == 1 && i == 1 || cr >= 2 && local == 0))
        .prop_map(|(cr, homes, i, f, local)| canonical(cr, homes, i, f, local))
}

/// How a prolog saves its pairs of registers.
#[derive(Clone, Debug)]
struct Sequence {
    /// Saved with the stack pointer lowered by so many 16 bytes, first.
    pushed: Vec<(u8, u8)>,
    alloc: u64,
    /// Saved in slots of the area then allocated. Those that follow one another by number may use `save_next`.
    slots: Vec<u8>,
    use_next: bool,
    signs: bool,
    /// The frame pointer's distance from the stack pointer, in 8 bytes.
    frame: Option<u8>,
}

/// Pairs that can be saved, by number: x19 with x20 to x27 with x28, then d8 with d9 to d14 with d15.
fn pair(n: u8) -> (Reg, Reg) {
    if n < 5 { (Reg::X(19 + 2 * n), Reg::X(20 + 2 * n)) } else { (Reg::D(2 * n - 2), Reg::D(2 * n - 1)) }
}

fn sequence() -> impl Strategy<Value = Sequence> {
    let pairs = proptest::sample::subsequence((0u8..9).collect::<Vec<_>>(), 0..=9);
    let alloc = prop_oneof![16u64..32, 32u64..2048, 2048u64..3000].prop_map(|n| 16 * n);
    let frame = proptest::option::of(0u8..20);
    (pairs, 0usize..10, 1u8..15, alloc, any::<[bool; 2]>(), frame).prop_map(
        |(pairs, pushed, room, alloc, [use_next, signs], frame)| {
            let (pushed, slots) = pairs.split_at(pushed.min(pairs.len()));
            let pushed = pushed.iter().map(|&p| (p, room)).collect();
            Sequence { pushed, alloc, slots: slots.to_vec(), use_next, signs, frame }
        },
    )
}

/// The code of a save of a pair, `z` eights from the stack pointer or (`push`) lowering it by so many.
fn pair_code(n: u8, z: u64, push: bool) -> Vec<u8> {
    let z = u8::try_from(if push { z - 1 } else { z }).expect("at most 63");
    let (code, x) = match (n < 5, push) {
        (true, false) => (0xC800u16, 2 * n),
        (true, true) => (0xCC00, 2 * n),
        (false, false) => (0xD800, 2 * (n - 5)),
        (false, true) => (0xDA00, 2 * (n - 5)),
    };
    (code | u16::from(x) << 6 | u16::from(z)).to_be_bytes().to_vec()
}

fn alloc_code(bytes: u64) -> Vec<u8> {
    let units = u32::try_from(bytes / 16).expect("small");
    match units {
        0..32 => vec![units.to_be_bytes()[3]],
        32..2048 => (0xC000 | units).to_be_bytes()[2..].to_vec(),
        _ => (0xE000_0000 | units).to_be_bytes().to_vec(),
    }
}

/// The instructions of a prolog, each with its code.
fn instructions(s: &Sequence) -> Vec<(Op, Vec<u8>)> {
    let mut out = Vec::new();
    if s.signs {
        out.push((Op::Nothing, vec![0xFC]));
    }
    for &(n, room) in &s.pushed {
        let (first, second) = pair(n);
        let lower = 16 * u64::from(room);
        // x19 and x20 have a code of their own, of one byte.
        let code = if n == 0 { vec![0x20 | (2 * room)] } else { pair_code(n, 2 * u64::from(room), true) };
        out.push((save(first, Some(second), 0, lower), code));
    }
    if s.frame.is_some() {
        out.push((save(Reg::X(FP), Some(Reg::X(LR)), 0, 32), vec![0x80 | 3]));
    }
    out.push((Op::Alloc(s.alloc), alloc_code(s.alloc)));
    let mut previous = None;
    for (i, &n) in (0u64..).zip(&s.slots) {
        let (first, second) = pair(n);
        // The area for x registers ends with x27 and x28: the next pair is of another kind.
        let follows = s.use_next && n != 5 && previous == n.checked_sub(1) && i > 0;
        let code = if follows { vec![0xE6] } else { pair_code(n, 2 * i, false) };
        out.push((save(first, Some(second), 16 * i, 0), code));
        previous = Some(n);
    }
    if let Some(distance) = s.frame {
        let code = if distance == 0 { vec![0xE1] } else { vec![0xE2, distance] };
        out.push((Op::Frame(8 * u64::from(distance)), code));
    }
    out
}

/// How the epilog is described.
#[derive(Clone, Copy, Debug)]
enum Epilog {
    /// In the header: it ends the function, and shares the prolog's codes.
    Header,
    /// By a scope, sharing the prolog's codes, with this much code after it.
    Shared(usize),
    /// By a scope with codes of its own.
    Own(usize),
}

fn record(s: &Sequence, epilog: Epilog, handler: bool) -> Model {
    let instructions = instructions(s);
    let ops: Vec<Op> = instructions.iter().map(|(op, _)| *op).collect();
    let without_frame: Vec<_> =
        instructions.iter().filter(|(op, _)| !matches!(op, Op::Frame(_))).cloned().collect();
    let bytes = |list: &[(Op, Vec<u8>)]| {
        list.iter().rev().flat_map(|(_, code)| code.clone()).chain([0xE4]).collect::<Vec<u8>>()
    };
    let mut codes = bytes(&instructions);
    let own = bytes(&without_frame);
    let mut index = codes.len() - own.len();
    let after = match epilog {
        Epilog::Header => 0,
        Epilog::Shared(after) => after,
        Epilog::Own(after) => {
            index = codes.len();
            codes.extend(&own);
            after
        }
    };
    codes.resize(codes.len().next_multiple_of(4), 0xE3);
    let epilog_ops = without_frame.into_iter().map(|(op, _)| op).collect();
    let mut model = Model { prolog: ops, epilog: epilog_ops, after, unwind: 0, record: Vec::new(), handler };
    let (index, words) =
        (u32::try_from(index).expect("small"), u32::try_from(codes.len() / 4).expect("small"));
    let in_header = matches!(epilog, Epilog::Header);
    let count = if in_header { index } else { 1 };
    let mut head = model.length() | u32::from(handler) << 20 | u32::from(in_header) << 21;
    if words > 31 {
        model.record.extend(head.to_le_bytes());
        model.record.extend((count | words << 16).to_le_bytes());
    } else {
        head |= count << 22 | words << 27;
        model.record.extend(head.to_le_bytes());
    }
    if !in_header {
        let start = u32::try_from(model.prolog.len() + BODY).expect("few");
        model.record.extend((start | index << 22).to_le_bytes());
    }
    model.record.extend(codes);
    if handler {
        model.record.extend(0x1234u32.to_le_bytes());
    }
    model.unwind = u32::try_from(RECORD).expect("small");
    model
}

fn epilog() -> impl Strategy<Value = Epilog> {
    prop_oneof![Just(Epilog::Header), (0usize..4).prop_map(Epilog::Shared), (0usize..4).prop_map(Epilog::Own)]
}

proptest! {
    #[test]
    fn canonical_functions_are_undone(model in packed(), seed in 1u64..) {
        model.check(seed)?;
    }

    #[test]
    fn records_are_undone(s in sequence(), epilog in epilog(), handler in any::<bool>(), seed in 1u64..) {
        record(&s, epilog, handler).check(seed)?;
    }
}

/// A fragment's codes end with `end_c`; what follows belongs to the function's prolog, elsewhere, all of it done. At the fragment's first
/// instructions its own prolog is under way, and nothing else.
#[test]
fn a_fragments_own_prolog_ends_with_end_c() {
    // Own: save_regp x21 at 0 after alloc 32. Then that of the function: save_fplr_x 16.
    let own = [save(Reg::X(21), Some(Reg::X(22)), 0, 0), Op::Alloc(32)];
    let codes = [0xC8, 0x80, 0x02, 0xE5, 0x81, 0xE4, 0xE3, 0xE3];
    let mut record = (20u32 | 2 << 27).to_le_bytes().to_vec();
    record.extend(codes);
    let mut image = vec![0u8; RECORD];
    image.extend(record);
    let base = image.as_ptr().expose_provenance() as u64;
    let unwind = u32::try_from(RECORD).expect("small");
    let function = Function { image_base: base, entry: base, begin: CODE, unwind };
    let stack = vec![0u64; 256];
    let before = Model::caller(0x1234_5678, &stack);
    let mut c = before.clone();
    save(Reg::X(FP), Some(Reg::X(LR)), 0, 16).run(&mut c);
    for position in 0..6u64 {
        let mut context = Context::Arm64(c.clone());
        let pc = base + u64::from(CODE) + 4 * position;
        step(HandlerKind::None, pc, &function, &|_| None, &mut context, None).expect("readable");
        let Context::Arm64(after) = context else { unreachable!() };
        assert_eq!((after.sp, after.pc), (before.sp, before.x[30]), "at {position}");
        assert_eq!(after.x[19..], before.x[19..], "at {position}");
        match position {
            0 => own[1].run(&mut c),
            1 => {
                own[0].run(&mut c);
                (c.x[21], c.x[22]) = (0, 0);
            }
            _ => {}
        }
    }
}
