//! x86-64 and x86 guests, written with iced-x86's assembler.

mod common;

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use common::{R, RW, RWX, World};
use iced_x86::code_asm::*;
use transom_cpu::context::Context;
use transom_cpu::engine::{Access, Fault};
use transom_cpu::frame::Returns;
use transom_cpu::machine::Machine;

type Result = std::result::Result<(), IcedError>;

/// Assembles a function for the machine and writes it to guest memory.
fn function(world: &World, bits: u32, f: impl FnOnce(&mut CodeAssembler) -> Result) -> u64 {
    let mut a = CodeAssembler::new(bits).unwrap();
    f(&mut a).unwrap();
    world.code(&a.assemble(0).unwrap())
}

/// A 64-bit function that calls `target` with its own register arguments.
fn call_through(world: &World, target: u64) -> u64 {
    function(world, 64, |a| {
        a.sub(rsp, 0x28)?;
        a.mov(rax, target)?;
        a.call(rax)?;
        a.add(rsp, 0x28)?;
        a.ret()
    })
}

#[test]
fn sixty_four_bit_arguments_results_and_the_teb() {
    let world = World::new(Machine::Amd64);
    let thread = world.thread();
    let add = function(world, 64, |a| {
        a.lea(rax, qword_ptr(rcx + rdx))?;
        a.add(rax, r8)?;
        a.add(rax, r9)?;
        a.add(rax, qword_ptr(rsp + 0x28))?;
        a.add(rax, qword_ptr(rsp + 0x30))?;
        a.ret()
    });
    assert_eq!(thread.call(add, &[1, 2, 3, 4, 50, 600]), 660);
    // SAFETY: the thread's block.
    let teb = unsafe { (*thread.block).teb };
    world.poke(teb + 0x30, &teb.to_le_bytes());
    let own = function(world, 64, |a| {
        a.mov(rax, qword_ptr(0x30).gs())?;
        a.ret()
    });
    assert_eq!(thread.call(own, &[]), teb);
    let half = function(world, 64, |a| {
        a.movq(xmm0, rcx)?;
        a.addsd(xmm0, xmm0)?;
        a.ret()
    });
    assert_eq!(thread.call_float(half, &[1.5f64.to_bits()]), 3.0);
}

#[test]
fn sixty_four_bit_shims_callbacks_and_saved_registers() {
    let world = World::new(Machine::Amd64);
    let thread = world.thread();
    let target: Arc<AtomicU64> = Arc::default();
    let again = target.clone();
    let shim = world.closure(move |block, frame| {
        assert_eq!(frame.saved[0], 0x1234, "rbx");
        let n = frame.ints[0];
        assert_eq!(transom_cpu::mem::read::<u64>(frame.sp), Ok(frame.return_address));
        assert_eq!(frame.stack, frame.sp + 8);
        if n > 0 {
            // SAFETY: in a shim of the calling thread.
            frame.result =
                unsafe { world.engine().call(block, again.load(Ordering::Relaxed), &[n - 1], false) }.int + n;
        }
    });
    let code = function(world, 64, |a| {
        a.push(rbx)?;
        a.sub(rsp, 0x20)?;
        a.mov(rbx, 0x1234u64)?;
        a.mov(rax, shim)?;
        a.call(rax)?;
        a.cmp(rbx, 0x1234)?;
        let mut good = a.create_label();
        a.je(good)?;
        a.ud2()?;
        a.set_label(&mut good)?;
        a.add(rsp, 0x20)?;
        a.pop(rbx)?;
        a.ret()
    });
    target.store(code, Ordering::Relaxed);
    for depth in [0, 1, 5, 130] {
        let before = thread.sp();
        assert_eq!(thread.call(code, &[depth]), depth * (depth + 1) / 2);
        assert_eq!(thread.sp(), before);
    }
    let float = world.closure(|_, frame| {
        frame.returns = Returns::Float;
        frame.result_float = (f64::from_bits(frame.floats[1]) * 2.0).to_bits();
    });
    assert_eq!(thread.call_float(call_through(world, float), &[0, 0.75f64.to_bits()]), 1.5);
}

#[test]
fn thirty_two_bit_calling_conventions() {
    let world = World::new(Machine::I386);
    let thread = world.thread();
    let cdecl = function(world, 32, |a| {
        a.mov(eax, dword_ptr(esp + 4))?;
        a.sub(eax, dword_ptr(esp + 8))?;
        a.ret()
    });
    let stdcall = function(world, 32, |a| {
        a.mov(eax, dword_ptr(esp + 4))?;
        a.sub(eax, dword_ptr(esp + 8))?;
        a.mov(edx, 7)?;
        a.ret_1(8)
    });
    let before = thread.sp();
    assert_eq!(thread.call(cdecl, &[50, 8]), 42);
    assert_eq!(thread.call(stdcall, &[50, 8]), 42);
    assert_eq!(thread.sp(), before);
    // SAFETY: an attached thread.
    let both = unsafe { world.engine().call(thread.block, stdcall, &[50, 8], false) };
    assert_eq!((both.int, both.high), (42, 7));

    // A stdcall shim with a 64-bit result, called with a live value under its arguments.
    let shim = world.closure(|_, frame| {
        let arg = |i: u64| u64::from(transom_cpu::mem::read::<u32>(frame.stack + 4 * i).unwrap());
        (frame.result, frame.result_high, frame.pop) = (arg(0) * 10 + arg(1), frame.ints[0], 8);
    });
    let caller = function(world, 32, |a| {
        a.push(1000)?;
        a.push(2)?;
        a.push(4)?;
        a.mov(ecx, 5)?;
        a.mov(eax, u32::try_from(shim).unwrap())?;
        a.call(eax)?;
        a.add(eax, edx)?;
        a.pop(ecx)?;
        a.add(eax, ecx)?;
        a.ret()
    });
    assert_eq!(thread.call(caller, &[]), 42 + 5 + 1000);
}

#[test]
fn thirty_two_bit_floats_and_segments() {
    let world = World::new(Machine::I386);
    let thread = world.thread();
    let double = world.closure(|_, frame| {
        let value = f64::from_bits(transom_cpu::mem::read(frame.stack).unwrap());
        (frame.returns, frame.result_float) = (Returns::Float, (value * 2.0).to_bits());
    });
    let single = world.closure(|_, frame| {
        (frame.returns, frame.single, frame.result_float) = (Returns::Float, true, 0.25f32.to_bits().into());
    });
    let code = function(world, 32, |a| {
        a.sub(esp, 8)?;
        a.mov(eax, dword_ptr(esp + 12))?;
        a.mov(dword_ptr(esp), eax)?;
        a.mov(eax, dword_ptr(esp + 16))?;
        a.mov(dword_ptr(esp + 4), eax)?;
        a.mov(eax, u32::try_from(double).unwrap())?;
        a.call(eax)?;
        a.mov(eax, u32::try_from(single).unwrap())?;
        a.call(eax)?;
        a.faddp(st1, st0)?;
        a.add(esp, 8)?;
        a.ret()
    });
    let bits = 1.625f64.to_bits();
    // More calls than the register stack is deep: what is pushed is popped.
    for _ in 0..20 {
        assert_eq!(thread.call_float(code, &[bits & 0xFFFF_FFFF, bits >> 32]), 3.5);
    }
    // SAFETY: the thread's block.
    let teb = unsafe { (*thread.block).teb };
    world.poke(teb + 0x18, &teb.to_le_bytes());
    let segments = function(world, 32, |a| {
        a.push(fs)?;
        a.pop(fs)?;
        a.push(ds)?;
        a.pop(es)?;
        a.mov(eax, dword_ptr(0x18).fs())?;
        a.mov(ecx, es)?;
        a.cmp(cx, 0x2B)?;
        let mut good = a.create_label();
        a.je(good)?;
        a.xor(eax, eax)?;
        a.set_label(&mut good)?;
        a.ret()
    });
    assert_eq!(thread.call(segments, &[]), teb);
}

/// Runs `body` followed by `mov eax, 1; ret` in a machine and returns the faults it made; each is skipped by going on
/// after `len` bytes.
fn faults(machine: Machine, len: u64, body: impl FnOnce(&mut CodeAssembler) -> Result) -> Vec<(Fault, u64)> {
    let world = World::new(machine);
    let thread = world.thread();
    let seen: Arc<Mutex<Vec<(Fault, u64)>>> = Arc::default();
    let log = seen.clone();
    let bits = if machine == Machine::I386 { 32 } else { 64 };
    let code = function(world, bits, |a| {
        body(a)?;
        a.mov(eax, 1)?;
        a.ret()
    });
    world.on_fault(move |_, fault, context| {
        log.lock().unwrap().push((fault, context.pc() - code));
        match context {
            Context::Amd64(c) => c.rip += len,
            Context::I386(c) => c.eip += u32::try_from(len).unwrap(),
            Context::Arm64(_) => panic!(),
        }
    });
    assert_eq!(thread.call(code, &[]), 1);
    let seen = seen.lock().unwrap();
    seen.clone()
}

#[test]
fn faults_name_their_cause_and_place() {
    for machine in [Machine::Amd64, Machine::I386] {
        let one = |len, body: &dyn Fn(&mut CodeAssembler) -> Result| faults(machine, len, body);
        let highest = if machine == Machine::I386 { u32::MAX.into() } else { u64::MAX };
        assert_eq!(one(1, &|a| a.int3()), [(Fault::Breakpoint, 0)]);
        assert_eq!(one(2, &|a| a.ud2()), [(Fault::IllegalInstruction, 0)]);
        assert_eq!(one(1, &|a| a.hlt()), [(Fault::Privileged, 0)]);
        assert_eq!(
            one(2, &|a| {
                a.mov(ecx, 5)?;
                a.int(0x29)
            }),
            [(Fault::FastFail(5), 5)]
        );
        assert_eq!(one(2, &|a| a.int(0x80)), [(Fault::Memory { address: highest, access: Access::Read }, 0)]);
        assert_eq!(
            one(2, &|a| {
                a.xor(ecx, ecx)?;
                a.xor(edx, edx)?;
                a.div(ecx)
            }),
            [(Fault::DivideByZero, 4)]
        );
        assert_eq!(
            one(2, &|a| {
                a.mov(eax, 1 << 31)?;
                a.cdq()?;
                a.or(ecx, -1)?;
                a.idiv(ecx)
            }),
            [(Fault::IntegerOverflow, 9)]
        );
        assert_eq!(
            one(2, &|a| {
                a.mov(ecx, 0x1230)?;
                if machine == Machine::I386 { a.mov(eax, dword_ptr(ecx)) } else { a.mov(eax, dword_ptr(rcx)) }
            }),
            [(Fault::Memory { address: 0x1230, access: Access::Read }, 5)]
        );
    }
    assert_eq!(
        faults(Machine::Amd64, 2, |a| {
            a.mov(rcx, 0x1234_5678_9ABC_DEF0u64)?;
            a.mov(dword_ptr(rcx), eax)
        }),
        [(Fault::Memory { address: u64::MAX, access: Access::Write }, 10)]
    );
    // One step under the trap flag, which the popf before it sets.
    let steps = faults(Machine::Amd64, 0, |a| {
        a.pushfq()?;
        a.or(qword_ptr(rsp), 0x100)?;
        a.popfq()?;
        a.nop()?;
        a.pushfq()?;
        a.and(qword_ptr(rsp), !0x100)?;
        a.popfq()
    });
    assert!(!steps.is_empty() && steps.iter().all(|s| s.0 == Fault::SingleStep), "{steps:?}");
}

#[test]
fn a_fault_sees_and_sets_all_registers() {
    for machine in [Machine::Amd64, Machine::I386] {
        let world = World::new(machine);
        let thread = world.thread();
        world.on_fault(move |_, fault, context| {
            assert_eq!(fault, Fault::Breakpoint);
            match context {
                Context::Amd64(c) => {
                    assert_eq!((c.rcx, c.e_flags & 1, c.mx_csr), (11, 1, 0x1F80));
                    assert_eq!(c.flt_save.xmm_registers[1], 11);
                    assert_eq!(c.flt_save.control_word, 0x27F);
                    assert_eq!(c.flt_save.float_registers[0], 0x3FFF_8000_0000_0000_0000);
                    c.flt_save.xmm_registers[1] = 20;
                    c.flt_save.float_registers[0] = 0x4000_8000_0000_0000_0000;
                    (c.rcx, c.e_flags) = (300, c.e_flags & !1);
                    c.rip += 1;
                }
                Context::I386(c) => {
                    assert_eq!((c.ecx, c.e_flags & 1, c.seg_fs, c.seg_cs), (11, 1, 0x53, 0x23));
                    assert_eq!(c.extended_registers[160 + 16], 11);
                    assert_eq!(c.float_save.register_area[7..10], [0x80, 0xFF, 0x3F]);
                    c.extended_registers[160 + 16] = 20;
                    c.float_save.register_area[8..10].copy_from_slice(&[0, 0x40]);
                    (c.ecx, c.e_flags) = (300, c.e_flags & !1);
                    c.eip += 1;
                }
                Context::Arm64(_) => panic!(),
            }
        });
        let bits = if machine == Machine::I386 { 32 } else { 64 };
        let code = function(world, bits, |a| {
            a.mov(ecx, 11)?;
            a.movd(xmm1, ecx)?;
            a.fld1()?;
            a.stc()?;
            a.int3()?;
            a.mov(eax, 0)?;
            a.adc(eax, ecx)?;
            a.movd(ecx, xmm1)?;
            a.add(eax, ecx)?;
            if bits == 64 {
                a.fistp(dword_ptr(rsp + 8))?;
                a.add(eax, dword_ptr(rsp + 8))?;
            } else {
                a.push(eax)?;
                a.fistp(dword_ptr(esp))?;
                a.pop(ecx)?;
                a.add(eax, ecx)?;
            }
            a.ret()
        });
        assert_eq!(thread.call(code, &[]), 300 + 20 + 2, "{machine}");
    }
}

#[test]
fn resume_goes_back_to_an_outer_level() {
    let world = World::new(Machine::Amd64);
    let thread = world.thread();
    let saved: Arc<Mutex<Option<(u64, u64)>>> = Arc::default();
    let s = saved.clone();
    let set = world.closure(move |_, frame| {
        *s.lock().unwrap() = Some((frame.return_address, frame.sp + 8));
        frame.result = 0;
    });
    let s = saved.clone();
    let through: Arc<AtomicU64> = Arc::default();
    let t = through.clone();
    let jump = world.closure(move |block, frame| {
        if frame.ints[0] > 0 {
            // SAFETY: in a shim of the calling thread.
            unsafe { world.engine().call(block, t.load(Ordering::Relaxed), &[frame.ints[0] - 1], false) };
            unreachable!("the level was abandoned");
        }
        let (back, stack) = s.lock().unwrap().unwrap();
        let mut context = Context::new(Machine::Amd64);
        if let Context::Amd64(c) = &mut context {
            (c.rip, c.rsp, c.rax, c.rbx) = (back, stack, 1, 77);
        }
        // SAFETY: in a shim of the calling thread.
        unsafe { world.engine().resume(block, &context) }
    });
    through.store(call_through(world, jump), Ordering::Relaxed);
    let code = function(world, 64, |a| {
        let mut done = a.create_label();
        a.push(rbx)?;
        a.sub(rsp, 0x20)?;
        a.mov(rax, set)?;
        a.call(rax)?;
        a.test(rax, rax)?;
        a.jne(done)?;
        a.mov(ecx, 70)?;
        a.mov(rax, jump)?;
        a.call(rax)?;
        a.set_label(&mut done)?;
        a.add(rax, rbx)?;
        a.add(rsp, 0x20)?;
        a.pop(rbx)?;
        a.ret()
    });
    for _ in 0..3 {
        assert_eq!(thread.call(code, &[]), 78);
        // SAFETY: the thread's block.
        assert!(unsafe { (*thread.block).level.is_null() && (*thread.block).frame.is_null() });
    }
}

#[test]
fn locked_additions_are_atomic_between_threads() {
    const ROUNDS: u64 = 2_000_000;
    for machine in [Machine::Amd64, Machine::I386] {
        let world = World::new(machine);
        let data = world.map(0x1000, RW);
        let bits = if machine == Machine::I386 { 32 } else { 64 };
        let add = function(world, bits, |a| {
            let mut top = a.create_label();
            if bits == 32 {
                a.mov(ecx, dword_ptr(esp + 4))?;
                a.mov(edx, dword_ptr(esp + 8))?;
            }
            a.set_label(&mut top)?;
            if bits == 32 {
                a.lock().inc(dword_ptr(edx))?;
            } else {
                a.lock().inc(dword_ptr(rdx))?;
            }
            a.dec(ecx)?;
            a.jne(top)?;
            a.ret()
        });
        std::thread::scope(|scope| {
            for _ in 0..3 {
                scope.spawn(|| world.thread().call(add, &[ROUNDS, data]));
            }
        });
        assert_eq!(world.peek(data), 3 * ROUNDS, "{machine}");
    }
}

#[test]
fn a_large_working_set_survives_the_growth_of_the_tlb() {
    const PAGES: u64 = 20_000;
    let world = World::new(Machine::Amd64);
    let thread = world.thread();
    let data = world.map(PAGES * 0x1000 + 0x1000, RW);
    // Adds rdx to a word that crosses into the next page, in rcx consecutive pages.
    let code = function(world, 64, |a| {
        let mut top = a.create_label();
        a.set_label(&mut top)?;
        a.add(qword_ptr(rdx + 0xFFC), rcx)?;
        a.add(rdx, 0x1000)?;
        a.dec(rcx)?;
        a.jne(top)?;
        a.ret()
    });
    for _ in 0..3 {
        thread.call(code, &[PAGES, data]);
    }
    for page in 0..PAGES {
        assert_eq!(world.peek(data + page * 0x1000 + 0xFFC), 3 * (PAGES - page), "page {page}");
    }
}

#[test]
fn code_that_rewrites_itself_and_memory_that_changes() {
    let world = World::new(Machine::Amd64);
    let thread = world.thread();
    let code = world.map(0x1000, RWX);
    world.poke(code, &[0xB8, 1, 0, 0, 0, 0xC3]); // mov eax, 1; ret
    let patch = function(world, 64, |a| {
        a.mov(byte_ptr(rcx + 1), dl)?;
        a.jmp(rcx)
    });
    for value in [1, 2, 3] {
        assert_eq!(thread.call(patch, &[code, value]), value);
    }
    let data = world.map(0x1000, RW);
    let store = function(world, 64, |a| {
        a.mov(qword_ptr(rcx), rdx)?;
        a.mov(eax, 1)?;
        a.ret()
    });
    assert_eq!(thread.call(store, &[data, 5]), 1);
    world.protect(data, 0x1000, Some(R));
    world.on_fault(move |_, fault, _| {
        assert_eq!(fault, Fault::Memory { address: data, access: Access::Write });
        world.protect(data, 0x1000, Some(RW));
    });
    assert_eq!(thread.call(store, &[data, 6]), 1);
    assert_eq!(world.peek(data), 6);
}
