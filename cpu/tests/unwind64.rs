//! Unwinding, against prologs made at random: whatever the prolog, and however far it has run, a step gives back the
//! caller's registers. The prolog is executed here by a model of each instruction on a stack in this process's memory.

use proptest::prelude::*;
use transom_cpu::context::{Amd64Context, Context};
use transom_cpu::machine::Machine;
use transom_cpu::unwind::amd64::Plan;
use transom_cpu::unwind::{Function, Handler, HandlerKind, step};

const INFO: usize = 0x100;
const CODE: usize = 0x800;
/// Registers that prologs push, by number: rbx, rsi, rdi, r12 to r15. rbp (5) is the frame register.
const PUSHABLE: [u8; 7] = [3, 6, 7, 12, 13, 14, 15];
const RBP: u8 = 5;

/// An instruction of a prolog.
#[derive(Clone, Copy, Debug)]
enum Op {
    Push(u8),
    Alloc(u32),
    /// lea rbp, [rsp + 16 * n]
    Frame(u8),
    /// mov [rsp + offset], register
    Save(u8, u32),
    /// movaps [rsp + offset], xmm
    SaveVector(u8, u32),
}

#[derive(Clone, Debug)]
struct Prolog {
    ops: Vec<Op>,
    frame: Option<u8>,
}

fn prolog() -> impl Strategy<Value = Prolog> {
    let pushes = proptest::sample::subsequence(PUSHABLE.to_vec(), 0..=4);
    let alloc = prop_oneof![Just(0u32), (1u32..=16).prop_map(|n| 8 * n), (17u32..3000).prop_map(|n| 8 * n)];
    let vectors = proptest::sample::subsequence((6u8..16).collect::<Vec<_>>(), 0..=3);
    let saves = proptest::sample::subsequence(PUSHABLE.to_vec(), 0..=3);
    (pushes, alloc, proptest::option::of(0u8..16), vectors, saves).prop_map(
        |(pushes, alloc, frame, vectors, saves)| {
            let mut ops = Vec::new();
            if frame.is_some() {
                ops.push(Op::Push(RBP));
            }
            ops.extend(pushes.iter().map(|&r| Op::Push(r)));
            if alloc > 0 {
                ops.push(Op::Alloc(alloc));
            }
            let frame = frame.filter(|&f| u32::from(f) * 16 <= alloc);
            let mut at = 0;
            for &r in saves.iter().filter(|r| !pushes.contains(r)) {
                if at + 8 <= alloc {
                    ops.push(Op::Save(r, at));
                    at += 8;
                }
            }
            at = at.next_multiple_of(16);
            for &v in &vectors {
                if at + 16 <= alloc {
                    ops.push(Op::SaveVector(v, at));
                    at += 16;
                }
            }
            if let Some(f) = frame {
                ops.push(Op::Frame(f));
            }
            Prolog { ops, frame }
        },
    )
}

/// Bytes of code that an instruction takes here: all the unwinder needs is that they differ.
const LENGTH: usize = 4;

fn int(c: &mut Amd64Context, number: u8) -> &mut u64 {
    match number {
        3 => &mut c.rbx,
        5 => &mut c.rbp,
        6 => &mut c.rsi,
        7 => &mut c.rdi,
        12 => &mut c.r12,
        13 => &mut c.r13,
        14 => &mut c.r14,
        _ => &mut c.r15,
    }
}

fn put(at: u64, bytes: &[u8]) {
    transom_cpu::mem::copy_out(at, bytes).expect("the model's stack");
}

fn execute(op: Op, c: &mut Amd64Context) {
    match op {
        Op::Push(r) => {
            c.rsp -= 8;
            put(c.rsp, &int(c, r).to_le_bytes());
        }
        Op::Alloc(n) => c.rsp -= u64::from(n),
        Op::Frame(n) => c.rbp = c.rsp + 16 * u64::from(n),
        Op::Save(r, at) => put(c.rsp + u64::from(at), &int(c, r).to_le_bytes()),
        Op::SaveVector(v, at) => {
            put(c.rsp + u64::from(at), &c.flt_save.xmm_registers[usize::from(v)].to_le_bytes());
        }
    }
}

/// What the function may do with a register once it is saved.
fn clobber(op: Op, c: &mut Amd64Context) {
    match op {
        Op::Push(r) | Op::Save(r, _) => *int(c, r) = 0xDEAD_0000 + u64::from(r),
        Op::SaveVector(v, _) => c.flt_save.xmm_registers[usize::from(v)] = 7,
        Op::Alloc(_) | Op::Frame(_) => {}
    }
}

/// The unwind codes, last instruction first.
#[expect(clippy::cast_possible_truncation, reason = "small numbers")]
fn codes(ops: &[Op]) -> Vec<u16> {
    let mut codes = Vec::new();
    for (i, &op) in ops.iter().enumerate().rev() {
        let offset = ((i + 1) * LENGTH) as u16;
        let mut add = |operation: u16, info: u16, operands: &[u16]| {
            codes.push(offset | operation << 8 | info << 12);
            codes.extend_from_slice(operands);
        };
        match op {
            Op::Push(r) => add(0, r.into(), &[]),
            Op::Alloc(n @ 8..=128) => add(2, (n / 8 - 1) as u16, &[]),
            Op::Alloc(n) if n % 16 == 8 => add(1, 1, &[n as u16, (n >> 16) as u16]),
            Op::Alloc(n) => add(1, 0, &[(n / 8) as u16]),
            Op::Frame(_) => add(3, 0, &[]),
            Op::Save(r, at) => add(4, r.into(), &[(at / 8) as u16]),
            Op::SaveVector(v, at) if at % 32 == 0 => add(8, v.into(), &[(at / 16) as u16]),
            Op::SaveVector(v, at) => add(9, v.into(), &[at as u16, 0]),
        }
    }
    codes
}

/// An image with one function: its entry, its unwind information with a handler, and code: a prolog's room, then nops.
#[expect(clippy::cast_possible_truncation, reason = "small numbers")]
fn image(p: &Prolog) -> (Vec<u8>, Function) {
    let mut image = vec![0x90u8; CODE + 0x200];
    let codes = codes(&p.ops);
    let mut info = vec![1 | 1 << 3, (p.ops.len() * LENGTH) as u8, codes.len() as u8, 0];
    if let Some(f) = p.frame {
        info[3] = RBP | f << 4;
    }
    info.extend(codes.iter().flat_map(|c| c.to_le_bytes()));
    info.resize(info.len().next_multiple_of(4), 0);
    info.extend(0x1234u32.to_le_bytes());
    image[INFO..INFO + info.len()].copy_from_slice(&info);
    for (i, word) in [CODE as u32, CODE as u32 + 0x180, INFO as u32].into_iter().enumerate() {
        image[4 * i..4 * i + 4].copy_from_slice(&word.to_le_bytes());
    }
    let base = image.as_ptr().expose_provenance() as u64;
    (image, Function { image_base: base, entry: base, begin: CODE as u32, unwind: INFO as u32 })
}

fn caller(stack: &[u64], seed: u64) -> Amd64Context {
    let mut c = Amd64Context { rsp: stack.as_ptr_range().end as u64 - 64, ..Amd64Context::default() };
    c.rsp &= !15;
    for r in [3, 5, 6, 7, 12, 13, 14, 15] {
        *int(&mut c, r) = seed.wrapping_mul(u64::from(r) + 1);
    }
    for (i, v) in c.flt_save.xmm_registers.iter_mut().enumerate().skip(6) {
        *v = u128::from(seed) << 64 | i as u128;
    }
    c.rip = 0x7777;
    c
}

fn same(a: &Amd64Context, b: &Amd64Context) -> bool {
    (a.rip, a.rsp, a.rbx, a.rbp, a.rsi, a.rdi) == (b.rip, b.rsp, b.rbx, b.rbp, b.rsi, b.rdi)
        && (a.r12, a.r13, a.r14, a.r15) == (b.r12, b.r13, b.r14, b.r15)
        && a.flt_save.xmm_registers[6..] == b.flt_save.xmm_registers[6..]
}

proptest! {
    /// At every instruction of the prolog and in the body.
    #[test]
    fn prologs_are_undone(p in prolog(), seed in 1u64.., uses_rsp in any::<bool>()) {
        let mut stack = vec![0u64; 8192];
        let stack = stack.as_mut_slice();
        let (image, function) = image(&p);
        for done in 0..=p.ops.len() {
            let before = caller(stack, seed);
            let mut c = before.clone();
            // The call.
            c.rsp -= 8;
            put(c.rsp, &before.rip.to_le_bytes());
            for &op in &p.ops[..done] {
                execute(op, &mut c);
            }
            let bottom = c.rsp;
            for &op in &p.ops[..done] {
                let is_frame = matches!(op, Op::Push(RBP)) && p.frame.is_some();
                if !is_frame {
                    clobber(op, &mut c);
                }
            }
            if p.frame.is_some() && done == p.ops.len() && uses_rsp {
                // alloca: with a frame register the stack pointer may move.
                c.rsp -= 0x80;
            }
            let pc = function.image_base + (CODE + done * LENGTH) as u64;
            let mut planned = c.clone();
            let mut context = Context::Amd64(c);
            let found = step(HandlerKind::Exception, pc, &function, &|_| None, &mut context, None)
                .expect("readable");
            let Context::Amd64(after) = &context else { unreachable!() };
            prop_assert!(same(after, &before), "after {done} of {:?}", p.ops);
            let handler = Handler {
                routine: function.image_base + 0x1234,
                data: found.handler.map_or(0, |h| h.data),
            };
            // An empty prolog leaves nothing to be inside of.
            prop_assert_eq!(found.handler, (done == p.ops.len()).then_some(handler));
            if done == p.ops.len() {
                prop_assert_eq!(found.establisher, bottom);
                let plan = Plan::new(pc, &function, &|_| None).expect("readable").expect("a body has a plan");
                prop_assert_eq!(plan.establisher(&planned), found.establisher);
                prop_assert_eq!(plan.handler(HandlerKind::Exception), found.handler);
                plan.run(&mut planned).expect("readable");
                prop_assert!(same(&planned, &before), "the plan of {:?}", p.ops);
            } else {
                prop_assert!(Plan::new(pc, &function, &|_| None).expect("readable").is_none());
            }
        }
        drop(image);
    }
}

/// The sequence of the documentation's example, in the body and at each instruction of its prolog.
#[test]
fn arm64_prologs_are_undone() {
    // save_regp x19 at 240, save_fregp d8 at 224, save_fplr_x 256, end: set_fp comes last in the prolog.
    let codes: [u8; 8] = [0xE1, 0xC8, 30, 0xD8, 28, 0x80 | 31, 0xE4, 0xE3];
    let header: u32 = 0x40 | 2 << 27;
    let mut image = vec![0u8; 0x200];
    image[0x100..0x104].copy_from_slice(&header.to_le_bytes());
    image[0x104..0x10C].copy_from_slice(&codes);
    let base = image.as_ptr().expose_provenance() as u64;
    let function = Function { image_base: base, entry: base, begin: 0x140, unwind: 0x100 };
    for done in 0..=4u64 {
        let stack = vec![0u64; 256];
        let top = stack.as_ptr_range().end as u64;
        let Context::Arm64(mut c) = Context::new(Machine::Arm64) else { unreachable!() };
        (c.sp, c.x[19], c.x[20], c.x[29], c.x[30]) = (top, 19, 20, 29, 0x3000);
        (c.v[8], c.v[9]) = (8, 9);
        let before = c.clone();
        if done > 0 {
            c.sp -= 256;
            put(c.sp, &29u64.to_le_bytes());
            put(c.sp + 8, &0x3000u64.to_le_bytes());
        }
        if done > 1 {
            put(c.sp + 224, &8u64.to_le_bytes());
            put(c.sp + 232, &9u64.to_le_bytes());
            (c.v[8], c.v[9]) = (0, 0);
        }
        if done > 2 {
            put(c.sp + 240, &19u64.to_le_bytes());
            put(c.sp + 248, &20u64.to_le_bytes());
            (c.x[19], c.x[20]) = (0, 0);
        }
        if done > 3 {
            c.x[29] = c.sp;
            c.x[30] = 0;
            c.sp -= 32;
        }
        let mut context = Context::Arm64(c);
        let pc = base + 0x140 + 4 * done;
        let found =
            step(HandlerKind::Exception, pc, &function, &|_| None, &mut context, None).expect("readable");
        let Context::Arm64(after) = &context else { unreachable!() };
        assert_eq!((after.sp, after.pc), (before.sp, 0x3000), "after {done}");
        assert_eq!((after.x[19], after.x[20], after.x[29]), (19, 20, 29), "after {done}");
        assert_eq!((after.v[8], after.v[9]), (8, 9), "after {done}");
        assert_eq!(found.establisher, top);
    }
}

/// Compilers lay out parts of a function apart. A jump from one to another, the stack frame still there, is no epilog; one to
/// another function, or to the function's own beginning, is.
#[test]
fn a_jump_to_another_part_of_the_function_is_no_epilog() {
    const PARTS: [(usize, u32, u32); 3] = [(0, 0x800, 0x840), (1, 0x900, 0x940), (2, 0xA00, 0xA40)];
    const ALLOC: u64 = 0x20;
    let mut image = vec![0x90u8; 0xB00];
    let mut put = |at: usize, bytes: &[u8]| image[at..at + bytes.len()].copy_from_slice(bytes);
    for (i, begin, end) in PARTS {
        let unwind = 0x100 + 0x20 * u32::try_from(i).expect("three");
        let words = [begin, end, unwind].map(u32::to_le_bytes).concat();
        put(12 * i, &words);
    }
    // alloc_small of the function's frame; the second part is chained to the first, and the third stands for itself.
    put(0x100, &[1, 4, 1, 0, 4, 2 | 3 << 4, 0, 0]);
    put(0x120, &[1 | 4 << 3, 0, 0, 0]);
    put(0x124, &[0x800u32, 0x840, 0x100].map(u32::to_le_bytes).concat());
    put(0x140, &[1, 0, 0, 0]);
    for (at, target) in
        [(0x810usize, 0x910i32), (0x820, 0xA10), (0x830, 0x800), (0x910, 0x820), (0x920, 0x800)]
    {
        let distance = target - i32::try_from(at).expect("small") - 5;
        put(at, &[&[0xE9][..], &distance.to_le_bytes()].concat());
    }
    let base = image.as_ptr().expose_provenance() as u64;
    let entry = |i: usize| Function {
        image_base: base,
        entry: base + 12 * i as u64,
        begin: PARTS[i].1,
        unwind: 0x100 + 0x20 * u32::try_from(i).expect("three"),
    };
    let lookup = |pc: u64| {
        let found = PARTS.iter().find(|(_, b, e)| (u64::from(*b)..u64::from(*e)).contains(&(pc - base)));
        found.map(|(i, _, _)| entry(*i))
    };
    let stack: Vec<u64> = (0..16).map(|i| 0x1000 + i).collect();
    let sp = stack.as_ptr().expose_provenance() as u64;
    for (at, in_body) in [(0x810, true), (0x820, false), (0x830, false), (0x910, true), (0x920, false)] {
        let function = lookup(base + at).expect("one of the parts");
        let mut context = Context::Amd64(Amd64Context { rsp: sp, ..Amd64Context::default() });
        step(HandlerKind::None, base + at, &function, &lookup, &mut context, None).expect("readable");
        let expected = if in_body { ALLOC } else { 0 };
        assert_eq!((context.sp() - sp, context.pc()), (expected + 8, 0x1000 + expected / 8), "{at:#x}");
        let plan = Plan::new(base + at, &function, &lookup).expect("readable").expect("a plan");
        let Context::Amd64(mut c) = Context::new(Machine::Amd64) else { unreachable!() };
        c.rsp = sp;
        plan.run(&mut c).expect("readable");
        assert_eq!(c.rsp - sp, expected + 8, "the plan at {at:#x}");
    }
}
