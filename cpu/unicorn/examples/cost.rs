//! What things cost on the Unicorn engine, in nanoseconds: a call of a shim that does nothing, a callback from a shim
//! into the guest, loads, stores and additions. Run with `cargo run -p transom-unicorn --release --example cost`.

#[path = "../tests/common/mod.rs"]
mod common;

use std::time::Instant;

use common::{RW, Thread, World};
use iced_x86::code_asm::*;
use transom_cpu::machine::Machine;

/// The guest programs: each takes a count in its first argument and an address in its second.
struct Programs {
    call: u64,
    load: u64,
    store: u64,
    add: u64,
    nothing: u64,
}

fn arm64(world: &World) -> Programs {
    let repeat = |word: u32| {
        let mut code: Vec<u32> = (0..8).map(|i| word | i << 10).collect();
        code.extend([0xF100_0400, 0x54FF_FEE1, 0xD65F_03C0]); // subs x0, x0, #1; b.ne; ret
        world.words(&code)
    };
    Programs {
        call: world.words(&[
            0xA9BE_7BFD, // stp x29, x30, [sp, #-32]!
            0xA901_53F3, // stp x19, x20, [sp, #16]
            0xAA00_03F3, // mov x19, x0
            0xAA01_03F4, // mov x20, x1
            0xD63F_0280, // blr x20
            0xF100_0673, // subs x19, x19, #1
            0x54FF_FFC1, // b.ne -8
            0xA941_53F3, // ldp x19, x20, [sp, #16]
            0xA8C2_7BFD, // ldp x29, x30, [sp], #32
            0xD65F_03C0, // ret
        ]),
        load: repeat(0xF940_0022),  // ldr x2, [x1, #8 * i]
        store: repeat(0xF900_0022), // str x2, [x1, #8 * i]
        add: world.words(&[
            0x8B01_0042,
            0x8B02_0063,
            0x8B03_0084,
            0x8B04_00A5,
            0x8B05_00C6,
            0x8B06_00E7,
            0x8B07_0108,
            0x8B08_0129,
            0xF100_0400,
            0x54FF_FEE1,
            0xD65F_03C0,
        ]),
        nothing: world.words(&[0xD65F_03C0]),
    }
}

fn assemble(world: &World, mut code: CodeAssembler) -> u64 {
    world.code(&code.assemble(0).expect("the example's code assembles"))
}

fn amd64(world: &World) -> Result<Programs, IcedError> {
    let looped = |body: &dyn Fn(&mut CodeAssembler, i32) -> Result<(), IcedError>| {
        let mut a = CodeAssembler::new(64)?;
        let mut top = a.create_label();
        a.set_label(&mut top)?;
        for i in 0..8 {
            body(&mut a, i)?;
        }
        a.dec(rcx)?;
        a.jne(top)?;
        a.ret()?;
        Ok::<_, IcedError>(assemble(world, a))
    };
    let mut a = CodeAssembler::new(64)?;
    let mut top = a.create_label();
    a.push(rbx)?;
    a.push(rsi)?;
    a.sub(rsp, 0x28)?;
    a.mov(rbx, rcx)?;
    a.mov(rsi, rdx)?;
    a.set_label(&mut top)?;
    a.call(rsi)?;
    a.dec(rbx)?;
    a.jne(top)?;
    a.add(rsp, 0x28)?;
    a.pop(rsi)?;
    a.pop(rbx)?;
    a.ret()?;
    Ok(Programs {
        call: assemble(world, a),
        load: looped(&|a, i| a.mov(rax, qword_ptr(rdx + 8 * i)))?,
        store: looped(&|a, i| a.mov(qword_ptr(rdx + 8 * i), rax))?,
        add: looped(&|a, _| a.add(rax, rdx))?,
        nothing: world.code(&[0xC3]),
    })
}

fn i386(world: &World) -> Result<Programs, IcedError> {
    let looped = |body: &dyn Fn(&mut CodeAssembler, i32) -> Result<(), IcedError>| {
        let mut a = CodeAssembler::new(32)?;
        let mut top = a.create_label();
        a.mov(ecx, dword_ptr(esp + 4))?;
        a.mov(edx, dword_ptr(esp + 8))?;
        a.set_label(&mut top)?;
        for i in 0..8 {
            body(&mut a, i)?;
        }
        a.dec(ecx)?;
        a.jne(top)?;
        a.ret()?;
        Ok::<_, IcedError>(assemble(world, a))
    };
    let mut a = CodeAssembler::new(32)?;
    let mut top = a.create_label();
    a.push(ebx)?;
    a.push(esi)?;
    a.mov(ebx, dword_ptr(esp + 12))?;
    a.mov(esi, dword_ptr(esp + 16))?;
    a.set_label(&mut top)?;
    a.call(esi)?;
    a.dec(ebx)?;
    a.jne(top)?;
    a.pop(esi)?;
    a.pop(ebx)?;
    a.ret()?;
    Ok(Programs {
        call: assemble(world, a),
        load: looped(&|a, i| a.mov(eax, dword_ptr(edx + 8 * i)))?,
        store: looped(&|a, i| a.mov(dword_ptr(edx + 8 * i), eax))?,
        add: looped(&|a, _| a.add(eax, edx))?,
        nothing: world.code(&[0xC3]),
    })
}

/// Best of five, in nanoseconds per operation.
fn cost(thread: &Thread, program: u64, count: u32, address: u64, operations: u32) -> f64 {
    let run = || {
        let start = Instant::now();
        thread.call(program, &[count.into(), address]);
        start.elapsed().as_secs_f64() * 1e9 / f64::from(count) / f64::from(operations)
    };
    (0..5).map(|_| run()).fold(f64::INFINITY, f64::min)
}

fn main() -> Result<(), IcedError> {
    println!(
        "{:8}{:>12}{:>12}{:>12}{:>12}{:>12}{:>12}",
        "", "start", "shim call", "callback", "load", "store", "add"
    );
    for machine in [Machine::Arm64, Machine::Amd64, Machine::I386] {
        let world = World::new(machine);
        let start = Instant::now();
        let thread = world.thread();
        let start = start.elapsed().as_secs_f64() * 1e9;
        let programs = match machine {
            Machine::Arm64 => arm64(world),
            Machine::Amd64 => amd64(world)?,
            Machine::I386 => i386(world)?,
        };
        let data = world.map(0x1000, RW);
        let shim = world.closure(|_, frame| frame.result = 1);
        let nothing = programs.nothing;
        let back = world.closure(move |block, _| {
            // SAFETY: in a shim, with the thread's block.
            unsafe { world.engine().call(block, nothing, &[], false) };
        });
        println!(
            "{:8}{:12.0}{:12.1}{:12.1}{:12.2}{:12.2}{:12.2}",
            machine.name(),
            start,
            cost(&thread, programs.call, 1_000_000, shim, 1),
            cost(&thread, programs.call, 100_000, back, 1),
            cost(&thread, programs.load, 1_000_000, data, 8),
            cost(&thread, programs.store, 1_000_000, data, 8),
            cost(&thread, programs.add, 1_000_000, data, 8),
        );
    }
    Ok(())
}
