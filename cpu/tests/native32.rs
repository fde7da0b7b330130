//! x86 guest code in this process: calls both ways, callbacks, faults, and signals at any time.
#![cfg(target_arch = "x86_64")]

mod common;

use std::cell::Cell;
use std::rc::Rc;
use std::sync::OnceLock;

use common::{
    THUNK_ADD, THUNK_ADD_STDCALL, THUNK_HALF, THUNK_SHIM, THUNK_UNBOUND, assemble, host, map, on_fault,
    on_shim, place, with_thread,
};
use iced_x86::code_asm::{
    CodeAssembler, bl, dword_ptr, eax, ebp, ebx, ecx, edi, edx, esi, esp, fs, qword_ptr, st0, xmm0,
    xmmword_ptr,
};
use transom_cpu::context::Context;
use transom_cpu::engine::{Access, Engine as _, Fault};
use transom_cpu::mem;
use transom_cpu::native32::Native32;

fn engine() -> &'static Native32 {
    static ENGINE: OnceLock<Native32> = OnceLock::new();
    ENGINE.get_or_init(|| Native32::new(host(), (map(4096), 4096)).unwrap())
}

fn thunk(index: u32) -> u64 {
    place(&engine().thunk(index))
}

fn call(code: u64, args: &[u64]) -> transom_cpu::engine::CallResult {
    with_thread(engine(), |block| {
        // SAFETY: attached, on the host stack.
        unsafe { engine().call(block, code, args, false) }
    })
}

/// A function with a frame that keeps four values in the callee-saved registers over `body`, and returns eax if they
/// survive and the stack pointer is where it was.
fn checked(body: impl FnOnce(&mut CodeAssembler)) -> u64 {
    assemble(32, |a| {
        let mut bad = a.create_label();
        for r in [ebp, ebx, esi, edi] {
            a.push(r).unwrap();
        }
        a.mov(ebx, 0x1111_1111).unwrap();
        a.mov(esi, 0x2222_2222).unwrap();
        a.mov(edi, 0x3333_3333).unwrap();
        a.mov(ebp, esp).unwrap();
        body(a);
        a.cmp(ebx, 0x1111_1111).unwrap();
        a.jne(bad).unwrap();
        a.cmp(esi, 0x2222_2222).unwrap();
        a.jne(bad).unwrap();
        a.cmp(edi, 0x3333_3333).unwrap();
        a.jne(bad).unwrap();
        let mut good = a.create_label();
        a.cmp(ebp, esp).unwrap();
        a.je(good).unwrap();
        a.set_label(&mut bad).unwrap();
        a.ud2().unwrap();
        a.set_label(&mut good).unwrap();
        for r in [edi, esi, ebx, ebp] {
            a.pop(r).unwrap();
        }
        a.ret().unwrap();
    })
}

#[test]
fn thunks_take_arguments_and_return_results() {
    let cdecl = thunk(THUNK_ADD);
    let code = checked(|a| {
        a.push(40).unwrap();
        a.push(2).unwrap();
        a.call(cdecl).unwrap();
        a.add(esp, 8).unwrap();
        a.cmp(edx, 7).unwrap();
        let mut fine = a.create_label();
        a.je(fine).unwrap();
        a.ud2().unwrap();
        a.set_label(&mut fine).unwrap();
        a.nop().unwrap();
    });
    assert_eq!(call(code, &[]).int, 42);
    let stdcall = thunk(THUNK_ADD_STDCALL);
    let code = checked(|a| {
        a.push(-1).unwrap();
        a.push(3).unwrap();
        a.call(stdcall).unwrap();
    });
    assert_eq!(call(code, &[]).int, 2);
    let unbound = thunk(THUNK_UNBOUND);
    assert_eq!(call(checked(|a| a.call(unbound).unwrap()), &[]).int, 0xBAD);
    let absurd = thunk(u32::MAX);
    assert_eq!(call(checked(|a| a.call(absurd).unwrap()), &[]).int, 0xBAD);
}

#[test]
fn shims_pop_any_number_of_arguments() {
    let shim = thunk(THUNK_SHIM);
    for count in [0u32, 1, 2, 15, 16, 17, 40] {
        let code = checked(|a| {
            for i in 0..count {
                a.push(i).unwrap();
            }
            a.call(shim).unwrap();
        });
        on_shim(move |_, frame| {
            frame.pop = 4 * count;
            frame.result = 1000 + u64::from(count);
        });
        assert_eq!(call(code, &[]).int, 1000 + u64::from(count));
    }
}

#[test]
fn floating_point_results_both_ways() {
    let half = thunk(THUNK_HALF);
    // double twice_half(double x) { return half(x) + half(x); }
    let code = assemble(32, |a| {
        a.sub(esp, 12).unwrap();
        a.fld(qword_ptr(esp + 16)).unwrap();
        a.fst(qword_ptr(esp)).unwrap();
        a.fstp(st0).unwrap();
        a.call(half).unwrap();
        a.call(half).unwrap();
        a.faddp(iced_x86::code_asm::st1, st0).unwrap();
        a.add(esp, 12).unwrap();
        a.ret().unwrap();
    });
    let bits = 6.25f64.to_bits();
    let result = with_thread(engine(), |block| {
        // SAFETY: attached, on the host stack.
        unsafe { engine().call(block, code, &[bits & 0xFFFF_FFFF, bits >> 32], true) }
    });
    assert_eq!(f64::from_bits(result.float), 6.25);
}

#[test]
fn arguments_are_aligned_and_either_side_pops_them() {
    // Returns its third argument if the stack is aligned, and pops all three.
    let code = assemble(32, |a| {
        a.lea(eax, esp + 4).unwrap();
        a.and(eax, 15).unwrap();
        let mut aligned = a.create_label();
        a.jz(aligned).unwrap();
        a.ud2().unwrap();
        a.set_label(&mut aligned).unwrap();
        a.mov(eax, dword_ptr(esp + 12)).unwrap();
        a.ret_1(12).unwrap();
    });
    assert_eq!(call(code, &[1, 2, 0xFFFF_FFFF_0000_0003]).int, 3);
    with_thread(engine(), |block| {
        for n in 0..1000 {
            // SAFETY: attached, on the host stack.
            assert_eq!(unsafe { engine().call(block, code, &[1, 2, n], false) }.int, n);
        }
    });
}

#[test]
fn callbacks_nest() {
    let shim = thunk(THUNK_SHIM);
    // fib(n) = n < 2 ? n : fib(n - 1) + fib(n - 2), each through the host.
    let code = checked(|a| {
        let mut small = a.create_label();
        let mut end = a.create_label();
        a.mov(eax, dword_ptr(ebp + 20)).unwrap();
        a.cmp(eax, 2).unwrap();
        a.jb(end).unwrap();
        a.dec(eax).unwrap();
        a.push(eax).unwrap();
        a.call(shim).unwrap();
        a.xchg(dword_ptr(esp), eax).unwrap();
        a.dec(eax).unwrap();
        a.push(eax).unwrap();
        a.call(shim).unwrap();
        a.add(esp, 4).unwrap();
        a.pop(ecx).unwrap();
        a.add(eax, ecx).unwrap();
        a.set_label(&mut small).unwrap();
        a.nop().unwrap();
        a.set_label(&mut end).unwrap();
        a.nop().unwrap();
    });
    fn recurse(code: u64) {
        on_shim(move |block, frame| {
            let n = mem::read::<u32>(frame.stack).unwrap();
            // The closure is taken out while it runs; nested calls need their own.
            recurse(code);
            // SAFETY: attached, in a shim.
            frame.result = unsafe { engine().call(block, code, &[n.into()], false) }.int;
            recurse(code);
        });
    }
    recurse(code);
    assert_eq!(call(code, &[12]).int, 144);
}

#[test]
fn guest_code_may_jump_over_a_shim_on_its_own() {
    // outer() saves esp and calls the shim, which calls inner(); inner jumps back to outer past the shim.
    let saved = map(4096);
    let shim = thunk(THUNK_SHIM);
    let resume = Rc::new(Cell::new(0));
    let outer = checked(|a| {
        a.mov(dword_ptr(saved), esp).unwrap();
        a.call(shim).unwrap();
    });
    let inner = assemble(32, |a| {
        a.mov(ebx, 0x1111_1111).unwrap();
        a.mov(esi, 0x2222_2222).unwrap();
        a.mov(edi, 0x3333_3333).unwrap();
        a.mov(esp, dword_ptr(saved)).unwrap();
        a.mov(ebp, esp).unwrap();
        a.mov(eax, 77).unwrap();
        a.jmp(dword_ptr(saved + 4)).unwrap();
    });
    let count = resume.clone();
    with_thread(engine(), |block| {
        for _ in 0..3 {
            let count = count.clone();
            on_shim(move |block, frame| {
                count.set(count.get() + 1);
                mem::write(saved + 4, &u32::try_from(frame.return_address).unwrap()).unwrap();
                // SAFETY: attached, in a shim; nothing here needs dropping.
                unsafe { engine().call(block, inner, &[], false) };
            });
            // SAFETY: attached, on the host stack.
            assert_eq!(unsafe { engine().call(block, outer, &[], false) }.int, 77);
            // SAFETY: as above.
            assert!(unsafe { (*block).level.is_null() });
        }
    });
    assert_eq!(resume.get(), 3);
}

#[test]
fn faults_are_the_guests() {
    let hole = map(4096);
    // SAFETY: the page is this test's.
    unsafe { libc::mprotect(hole as *mut libc::c_void, 4096, libc::PROT_NONE) };
    let check = |expect: Fault, length: u32, build: &dyn Fn(&mut CodeAssembler)| {
        let code = checked(|a| {
            build(a);
            a.mov(ecx, 1).unwrap();
            a.add(eax, ecx).unwrap();
        });
        let seen = Rc::new(Cell::new(None));
        let note = seen.clone();
        on_fault(move |_, fault, context| {
            let Context::I386(c) = context else { panic!("not an x86 context") };
            assert_eq!((c.ebx, c.esi, c.edi, c.esp), (0x1111_1111, 0x2222_2222, 0x3333_3333, c.ebp));
            note.set(Some(fault));
            c.eip += length;
            c.eax = 99;
        });
        assert_eq!(call(code, &[]).int, 100);
        assert_eq!(seen.get(), Some(expect));
    };
    let hole32 = i32::try_from(hole).unwrap();
    check(Fault::Memory { address: hole, access: Access::Read }, 5, &|a| {
        a.mov(eax, dword_ptr(hole32)).unwrap()
    });
    check(Fault::Memory { address: hole + 4, access: Access::Write }, 6, &|a| {
        a.mov(dword_ptr(hole32 + 4), ecx).unwrap();
    });
    check(Fault::Breakpoint, 1, &|a| a.int3().unwrap());
    check(Fault::IllegalInstruction, 2, &|a| a.ud2().unwrap());
    check(Fault::Privileged, 1, &|a| a.cli().unwrap());
    check(Fault::DivideByZero, 2, &|a| {
        a.xor(ecx, ecx).unwrap();
        a.mov(eax, 5).unwrap();
        a.div(ecx).unwrap();
    });
    check(Fault::IntegerOverflow, 2, &|a| {
        a.mov(dword_ptr(esp - 8), 1).unwrap();
        a.mov(edx, 5).unwrap();
        a.mov(ecx, 1).unwrap();
        a.div(ecx).unwrap();
    });
    check(Fault::FastFail(7), 2, &|a| {
        a.mov(ecx, 7).unwrap();
        a.int(0x29).unwrap();
    });
}

#[test]
fn x87_exceptions_carry_the_fsave_image() {
    let code = checked(|a| {
        a.push(0x037B).unwrap(); // division by zero unmasked
        a.fldcw(iced_x86::code_asm::word_ptr(esp)).unwrap();
        a.pop(eax).unwrap();
        a.fld1().unwrap();
        a.fldz().unwrap();
        a.fdivp(iced_x86::code_asm::st1, st0).unwrap();
        a.wait().unwrap();
        a.fstp(st0).unwrap();
        a.fstp(st0).unwrap();
        a.fnstcw(iced_x86::code_asm::word_ptr(esp - 4)).unwrap();
        a.movzx(eax, iced_x86::code_asm::word_ptr(esp - 4)).unwrap();
    });
    on_fault(|_, fault, context| {
        let Context::I386(c) = context else { panic!("not an x86 context") };
        assert_eq!(fault, Fault::Float(4));
        let save = &mut c.float_save;
        assert_eq!(save.control_word & 0xFFFF, 0x37B);
        assert_eq!(save.status_word & 0x3F, 4);
        // Two registers are in use, holding 0 and 1.
        let top = (save.status_word >> 11 & 7) as usize;
        assert_eq!(save.tag_word >> (2 * top) & 3, 1);
        assert_eq!(save.tag_word >> (2 * ((top + 1) % 8)) & 3, 0);
        assert_eq!(save.register_area[10..20], [0, 0, 0, 0, 0, 0, 0, 0x80, 0xFF, 0x3F]);
        save.control_word |= 0x3F;
        save.status_word &= !0x80FF;
    });
    assert_eq!(call(code, &[]).int, 0x37F);
}

#[test]
fn resume_loads_every_register() {
    let out = map(4096);
    let o = i32::try_from(out).unwrap();
    let done = thunk(THUNK_SHIM);
    let landing = assemble(32, |a| {
        for (i, r) in [eax, ecx, edx, ebx, ebp, esi, edi, esp].into_iter().enumerate() {
            a.mov(dword_ptr(o + 4 * i32::try_from(i).unwrap()), r).unwrap();
        }
        a.movups(xmmword_ptr(o + 64), xmm0).unwrap();
        a.setc(bl).unwrap();
        a.mov(dword_ptr(o + 32), ebx).unwrap();
        a.mov(eax, 5).unwrap();
        a.ret().unwrap();
    });
    let code = checked(|a| a.call(done).unwrap());
    on_shim(move |block, frame| {
        let mut context = Context::new(transom_cpu::machine::Machine::I386);
        let Context::I386(c) = &mut context else { unreachable!() };
        c.eip = u32::try_from(landing).unwrap();
        c.esp = u32::try_from(frame.sp).unwrap();
        c.ebp = u32::try_from(frame.saved[1]).unwrap();
        (c.eax, c.ecx, c.edx) = (1, 2, 3);
        (c.ebx, c.esi, c.edi) = (0x1111_1111, 0x2222_2222, 0x3333_3333);
        c.e_flags = 1;
        c.extended_registers[160..176].copy_from_slice(&7u128.to_le_bytes());
        // SAFETY: attached, in a shim whose frames may go.
        unsafe { engine().resume(block, &context) }
    });
    // The landing changes bl, which `checked` notices; it is restored by the fault handler.
    on_fault(|_, fault, context| {
        let Context::I386(c) = context else { panic!("not an x86 context") };
        assert_eq!(fault, Fault::IllegalInstruction);
        c.ebx = 0x1111_1111;
        c.eip += 2;
    });
    assert_eq!(call(code, &[]).int, 5);
    let words: Vec<u32> = mem::read_vec(out, 9).unwrap();
    assert_eq!(words[..4], [1, 2, 3, 0x1111_1111]);
    assert_eq!(words[5..7], [0x2222_2222, 0x3333_3333]);
    assert_eq!(words[8], 0x1111_1101);
    assert_eq!(mem::read::<u128>(out + 64), Ok(7));
}

#[test]
fn guests_may_reload_fs() {
    let add = thunk(THUNK_ADD_STDCALL);
    let code = checked(|a| {
        a.mov(eax, dword_ptr(0x18).fs()).unwrap();
        a.push(fs).unwrap();
        a.pop(fs).unwrap();
        a.cmp(eax, dword_ptr(0x18).fs()).unwrap();
        let mut same = a.create_label();
        a.je(same).unwrap();
        a.ud2().unwrap();
        a.set_label(&mut same).unwrap();
        a.push(fs).unwrap();
        a.push(1).unwrap();
        a.push(2).unwrap();
        a.call(add).unwrap();
        a.pop(fs).unwrap();
        a.mov(ecx, dword_ptr(0x18).fs()).unwrap();
        a.mov(ecx, dword_ptr(ecx + 0x18)).unwrap();
    });
    assert_eq!(call(code, &[]).int, 3);
}

thread_local! {
    static MARK: Cell<u64> = const { Cell::new(0x5AFE) };
    static SIGNALS: Cell<u64> = const { Cell::new(0) };
}

unsafe fn count(_: libc::c_int, _: &libc::siginfo_t, _: &mut libc::ucontext_t) {
    // A wrong FS base would crash here or read something else.
    if MARK.get() == 0x5AFE {
        SIGNALS.set(SIGNALS.get() + 1);
    }
}

/// Starts a timer that sends the signal to the calling thread every so many nanoseconds.
fn start_timer(signal: libc::c_int, nanoseconds: i64) -> libc::timer_t {
    // SAFETY: plain system calls with complete arguments.
    unsafe {
        let mut event: libc::sigevent = core::mem::zeroed();
        event.sigev_notify = libc::SIGEV_THREAD_ID;
        event.sigev_signo = signal;
        event.sigev_notify_thread_id = libc::gettid();
        let mut timer = core::ptr::null_mut();
        assert_eq!(libc::timer_create(libc::CLOCK_MONOTONIC, &raw mut event, &raw mut timer), 0);
        let every = libc::timespec { tv_sec: 0, tv_nsec: nanoseconds };
        let spec = libc::itimerspec { it_interval: every, it_value: every };
        assert_eq!(libc::timer_settime(timer, 0, &raw const spec, core::ptr::null_mut()), 0);
        timer
    }
}

/// Threads alternate between guest and host as fast as they can while timers interrupt them.
#[test]
fn signals_at_any_moment_find_the_hosts_thread_locals() {
    let signal = libc::SIGRTMIN() + 3;
    // SAFETY: `count` touches const thread-locals only.
    unsafe { transom_cpu::signals::on_signal(signal, count).unwrap() };
    let add = thunk(THUNK_ADD_STDCALL);
    let code = checked(|a| {
        a.push(40).unwrap();
        a.push(2).unwrap();
        a.call(add).unwrap();
    });
    std::thread::scope(|scope| {
        for interval in [23_000, 37_000] {
            scope.spawn(move || {
                with_thread(engine(), |block| {
                    let timer = start_timer(signal, interval);
                    while SIGNALS.get() < 3000 {
                        // SAFETY: attached, on the host stack.
                        assert_eq!(unsafe { engine().call(block, code, &[], false) }.int, 42);
                    }
                    // SAFETY: made above.
                    unsafe { libc::timer_delete(timer) };
                });
            });
        }
    });
}

/// Slots of the descriptor table are reused, with the base of the new thread.
#[test]
fn many_threads_in_turn() {
    let read_teb = assemble(32, |a| {
        a.mov(eax, dword_ptr(0x18).fs()).unwrap();
        a.ret().unwrap();
    });
    for _ in 0..4 {
        std::thread::scope(|scope| {
            for _ in 0..8 {
                scope.spawn(move || {
                    with_thread(engine(), |block| {
                        for _ in 0..100 {
                            // SAFETY: attached, on the host stack.
                            let result = unsafe { engine().call(block, read_teb, &[], false) };
                            // SAFETY: the block is this thread's.
                            assert_eq!(result.int, unsafe { (*block).teb });
                        }
                    });
                });
            }
        });
    }
}
