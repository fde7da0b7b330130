//! Calls that need more than arguments: x86 methods (`this` in ecx) and x86 funclets (the parent's frame pointer in ebp). Small pieces of
//! guest code make them; elsewhere an ordinary call does.

use std::sync::OnceLock;

use transom_sdk::{Cx, Func, Machine, mem};
use transom_syscalls::memory::{Allocation, PAGE};
use windows_sys::Win32::System::Memory::{MEM_COMMIT, MEM_RESERVE, PAGE_EXECUTE_READ, PAGE_READWRITE};

/// `method(arguments ..., target, this)` for a number of arguments: moves `this` to ecx and jumps, so that the callee finds its own
/// arguments, and its stack pointer is not above the one that the call began with.
#[expect(clippy::cast_possible_truncation, reason = "few arguments")]
const fn method(arguments: usize) -> [u8; METHOD_SIZE] {
    let target = 4 + 4 * arguments as u8;
    let this = target + 4;
    [
        0x8B, 0x44, 0x24, target, // mov eax, [esp + target]
        0x8B, 0x4C, 0x24, this, // mov ecx, [esp + this]
        0xFF, 0xE0, // jmp eax
        0xCC, 0xCC, 0xCC, 0xCC, 0xCC, 0xCC,
    ]
}

/// Bytes of such a piece.
const METHOD_SIZE: usize = 16;
/// The most words that a method takes after its `this`.
const MOST_WORDS: usize = 14;

/// `call_funclet(target, ebp)`: keeps the callee-saved registers, for the funclet changes them as its parent may.
const FUNCLET: [u8; 22] = [
    0x55, 0x53, 0x56, 0x57, // push ebp, ebx, esi, edi
    0x8B, 0x44, 0x24, 0x14, // mov eax, [esp+20]
    0x8B, 0x6C, 0x24, 0x18, // mov ebp, [esp+24]
    0xFF, 0xD0, // call eax
    0x5F, 0x5E, 0x5B, 0x5D, // pop edi, esi, ebx, ebp
    0xC3, // ret
    0xCC, 0xCC, 0xCC,
];

/// Offset of the first of the pieces for methods, which are in the order of their numbers of arguments.
const METHODS_AT: u64 = 32;

#[derive(Default)]
struct State(OnceLock<u64>);

/// The guest address of the pieces; 0 if there is no memory for them.
fn page(cx: &Cx) -> u64 {
    *cx.state::<State>().0.get_or_init(|| {
        let request = Allocation {
            size: PAGE,
            kind: MEM_RESERVE | MEM_COMMIT,
            protect: PAGE_READWRITE,
            ..Allocation::default()
        };
        let Ok(range) = cx.memory().allocate(&request) else { return 0 };
        let methods: Vec<u8> = (0..=MOST_WORDS).flat_map(method).collect();
        let written = mem::copy_out(range.base, &FUNCLET)
            .and_then(|()| mem::copy_out(range.base + METHODS_AT, &methods));
        let protected = cx.memory().protect(range.base, PAGE, PAGE_EXECUTE_READ);
        if written.is_ok() && protected.is_ok() { range.base } else { 0 }
    })
}

/// Calls a method of a guest object (`__thiscall` on x86).
pub fn call_method(cx: &Cx, method: Func, this: u64, args: &[u64]) -> u64 {
    with_method(cx, method, this, args, Cx::call)
}

/// As [`call_method`], for methods that return 64 bits on every machine.
pub fn call_method_long(cx: &Cx, method: Func, this: u64, args: &[u64]) -> u64 {
    with_method(cx, method, this, args, Cx::call_long)
}

fn with_method(cx: &Cx, method: Func, this: u64, args: &[u64], call: fn(&Cx, Func, &[u64]) -> u64) -> u64 {
    // An array, not a vector: the call may be abandoned, and nothing here may need a destructor.
    let mut all = [0; MOST_WORDS + 2];
    let count = args.len().min(MOST_WORDS);
    if cx.machine() == Machine::I386 {
        all[..count].copy_from_slice(&args[..count]);
        (all[count], all[count + 1]) = (method.0, this);
        let piece = page(cx) + METHODS_AT + (METHOD_SIZE * count) as u64;
        call(cx, Func(piece), &all[..count + 2])
    } else {
        all[0] = this;
        all[1..=count].copy_from_slice(&args[..count]);
        call(cx, method, &all[..=count])
    }
}

/// Calls an x86 funclet with the frame pointer of its parent, on the stack below `sp`.
pub(crate) fn call_funclet_x86(cx: &Cx, sp: u64, funclet: Func, ebp: u64) -> u64 {
    cx.call_below(sp, Func(page(cx)), &[funclet.0, ebp])
}
