//! Faults of x86-64 guest code: told apart as Windows does, and resumed with every register intact.
#![cfg(target_arch = "x86_64")]

mod common;

use std::sync::atomic::Ordering;

use common::{assemble, host, map, on_fault, with_thread};
use iced_x86::code_asm::{CodeAssembler, eax, ecx, edx, qword_ptr, rax, rcx, rdx, rsp, xmm0, xmm1, ymm3};
use transom_cpu::context::Context;
use transom_cpu::engine::{Access, Engine as _, Fault};
use transom_cpu::mem;
use transom_cpu::native64::Native64;

/// Runs the code (which must end with `ret`); a fault skips to the label `after` that the builder placed, given as an offset.
fn fault_of(build: impl FnOnce(&mut CodeAssembler), args: &[u64]) -> (Fault, u64) {
    let engine = Native64::new(host());
    let code = assemble(64, build);
    let end =
        (0..4096).find(|i| mem::read::<u32>(code + i) == Ok(0x9090_9090)).expect("a landing of four NOPs");
    let seen = std::rc::Rc::new(std::cell::Cell::new(None));
    let note = seen.clone();
    on_fault(move |_, fault, context| {
        let Context::Amd64(c) = context else { panic!("not an x86-64 context") };
        note.set(Some((fault, c.rip.wrapping_sub(code))));
        c.rip = code + end;
    });
    with_thread(&engine, |block| {
        // SAFETY: attached, on the host stack.
        unsafe { engine.call(block, code, args, false) }
    });
    seen.get().expect("a fault")
}

fn landing(a: &mut CodeAssembler) {
    for _ in 0..4 {
        a.nop().unwrap();
    }
    a.ret().unwrap();
}

#[test]
fn memory_faults_name_address_and_access() {
    let hole = map(4096);
    // SAFETY: the page is this test's.
    unsafe { libc::mprotect(hole as *mut libc::c_void, 4096, libc::PROT_NONE) };
    let read = |a: &mut CodeAssembler| {
        a.mov(rax, qword_ptr(rcx)).unwrap();
        landing(a);
    };
    let memory = |address, access| Fault::Memory { address, access };
    assert_eq!(fault_of(read, &[hole + 8]), (memory(hole + 8, Access::Read), 0));
    assert_eq!(fault_of(read, &[0]), (memory(0, Access::Read), 0));
    assert_eq!(fault_of(read, &[0x8000_0000_0000_0000]), (memory(u64::MAX, Access::Read), 0));
    let write = |a: &mut CodeAssembler| {
        a.mov(qword_ptr(rcx), rax).unwrap();
        landing(a);
    };
    assert_eq!(fault_of(write, &[hole]), (memory(hole, Access::Write), 0));
    let misaligned = |a: &mut CodeAssembler| {
        a.movaps(xmm0, rsp + 1).unwrap();
        landing(a);
    };
    assert_eq!(fault_of(misaligned, &[]).0, memory(u64::MAX, Access::Read));
    let jump = |a: &mut CodeAssembler| {
        a.jmp(rcx).unwrap();
        landing(a);
    };
    assert_eq!(fault_of(jump, &[hole]).0, memory(hole, Access::Execute));
}

#[test]
fn instruction_faults_are_told_apart() {
    let of = |build: fn(&mut CodeAssembler)| {
        fault_of(
            |a| {
                build(a);
                landing(a);
            },
            &[0],
        )
    };
    let zero = |a: &mut CodeAssembler| {
        a.xor(edx, edx).unwrap();
        a.mov(eax, 1).unwrap();
        a.div(ecx).unwrap();
    };
    assert_eq!(of(zero), (Fault::DivideByZero, 7));
    let overflow = |a: &mut CodeAssembler| {
        a.mov(rax, i64::MIN).unwrap();
        a.cqo().unwrap();
        a.mov(rcx, -1i64).unwrap();
        a.idiv(rcx).unwrap();
    };
    assert_eq!(of(overflow).0, Fault::IntegerOverflow);
    assert_eq!(of(|a| a.int3().unwrap()), (Fault::Breakpoint, 0));
    assert_eq!(of(|a| a.ud2().unwrap()), (Fault::IllegalInstruction, 0));
    assert_eq!(of(|a| a.hlt().unwrap()), (Fault::Privileged, 0));
    let fail_fast = |a: &mut CodeAssembler| {
        a.mov(ecx, 5).unwrap();
        a.int(0x29).unwrap();
    };
    assert_eq!(of(fail_fast).0, Fault::FastFail(5));
    let step = |a: &mut CodeAssembler| {
        a.pushfq().unwrap();
        a.or(qword_ptr(rsp), 0x100).unwrap();
        a.popfq().unwrap();
        a.mov(eax, eax).unwrap();
    };
    assert_eq!(of(step).0, Fault::SingleStep);
    let float = |a: &mut CodeAssembler| {
        a.push(0x1D80).unwrap(); // division by zero unmasked
        a.ldmxcsr(iced_x86::code_asm::dword_ptr(rsp)).unwrap();
        a.pop(rax).unwrap();
        a.mov(eax, 1).unwrap();
        a.cvtsi2sd(xmm0, eax).unwrap();
        a.xorps(xmm1, xmm1).unwrap();
        a.divsd(xmm0, xmm1).unwrap();
        a.nop().unwrap();
    };
    let (fault, _) = of(float);
    assert_eq!(fault, Fault::Float(4));
    // SAFETY: the guest left its MXCSR behind, which this thread may be checked for no longer.
    unsafe { core::arch::asm!("ldmxcsr [{}]", in(reg) &0x1F80u32) };
}

#[test]
fn a_fault_resumes_with_all_registers() {
    if !std::is_x86_feature_detected!("avx") {
        return;
    }
    let engine = Native64::new(host());
    // ymm3 holds a value in its upper half across the fault; flags survive as well.
    let code = assemble(64, |a| {
        a.movq(xmm1, rdx).unwrap();
        a.vbroadcastsd(iced_x86::code_asm::ymm4, xmm1).unwrap_or_else(|_| unreachable!());
        a.vmovaps(ymm3, iced_x86::code_asm::ymm4).unwrap();
        a.stc().unwrap();
        a.mov(rax, qword_ptr(rcx)).unwrap();
        a.vextractf128(xmm0, ymm3, 1).unwrap();
        a.movq(rcx, xmm0).unwrap();
        a.adc(rax, rcx).unwrap();
        a.vzeroupper().unwrap();
        a.ret().unwrap();
    });
    on_fault(|_, _, context| {
        let Context::Amd64(c) = context else { panic!("not an x86-64 context") };
        // Clobber the upper halves, as ordinary host code may.
        // SAFETY: AVX is there.
        unsafe { core::arch::asm!("vxorps ymm3, ymm3, ymm3", out("xmm3") _) };
        c.rax = 1000;
        c.rip += 3;
    });
    let result = with_thread(&engine, |block| {
        // SAFETY: attached, on the host stack.
        unsafe { engine.call(block, code, &[0, 234], false) }
    });
    assert_eq!(result.int, 1235);
}

#[test]
fn early_faults_and_guarded_copies() {
    let engine = Native64::new(host());
    let code = assemble(64, |a| {
        a.mov(qword_ptr(rcx), rdx).unwrap();
        a.mov(rax, qword_ptr(rcx)).unwrap();
        a.ret().unwrap();
    });
    with_thread(&engine, |block| {
        let page = map(4096);
        let close = || {
            // SAFETY: the page is this test's.
            unsafe { libc::mprotect(page as *mut libc::c_void, 4096, libc::PROT_NONE) };
        };
        close();
        assert_eq!(mem::read::<u32>(page).unwrap_err().address, page);
        common::LAZY_PAGE.store(page, Ordering::SeqCst);
        // SAFETY: attached, on the host stack.
        assert_eq!(unsafe { engine.call(block, code, &[page, 77], false) }.int, 77);
        close();
        assert_eq!(mem::read::<u32>(page), Ok(77));
        common::LAZY_PAGE.store(0, Ordering::SeqCst);
    });
}

/// A fault of host code ends the process with a report and exit code 125. Runs this test again in a child, which crashes.
#[test]
fn a_fault_of_the_host_is_reported() {
    const CHILD: &str = "TRANSOM_TEST_CRASH";
    if std::env::var_os(CHILD).is_some() {
        transom_cpu::signals::install(host()).unwrap();
        // SAFETY: none: this is the crash.
        unsafe { core::arch::asm!("mov rax, [rax]", inout("rax") 0x1234u64 => _, options(nostack)) };
    }
    let output = std::process::Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "a_fault_of_the_host_is_reported", "--nocapture"])
        .env(CHILD, "1")
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(125), "{text}");
    assert!(text.contains("internal error: signal 11"), "{text}");
    assert!(text.contains("address 0x1234"), "{text}");
    assert!(text.contains("rax 0000000000001234"), "{text}");
}

/// A call for which the guest stack has no room faults as the call instruction would; the handler repairs the stack pointer.
#[test]
fn a_call_without_stack_is_the_guests_fault() {
    let engine = Native64::new(host());
    let code = assemble(64, |a| {
        a.lea(rax, qword_ptr(rcx + rdx)).unwrap();
        a.ret().unwrap();
    });
    let inner = Native64::new(host());
    let outer = assemble(64, |a| {
        a.mov(eax, 5).unwrap();
        a.ret().unwrap();
    });
    let hole = map(8192);
    // SAFETY: the page is this test's.
    unsafe { libc::mprotect(hole as *mut libc::c_void, 4096, libc::PROT_NONE) };
    let thunk = common::place(&engine.thunk(common::THUNK_SHIM));
    let calls = assemble(64, |a| {
        a.sub(rsp, 40).unwrap();
        a.call(thunk).unwrap();
        a.add(rsp, 40).unwrap();
        a.ret().unwrap();
    });
    on_fault(move |_, fault, context| {
        let Context::Amd64(c) = context else { panic!("not an x86-64 context") };
        let Fault::Memory { address, access: Access::Write } = fault else { panic!("{fault:?}") };
        assert!((hole..hole + 4096).contains(&address));
        assert_eq!((c.rip, c.rcx, c.rdx), (code, 3, 4));
        // Go on in the shim's caller, as an exception handler there would.
        c.rip = outer;
        c.rsp = mem::read::<u64>(hole + 4096).unwrap();
    });
    let frame_page = hole + 4096;
    common::on_shim(move |block, frame| {
        // Where `calls` returns to: above its frame.
        mem::write(frame_page, &(frame.sp + 8 + 40)).unwrap();
        // SAFETY: attached, in a shim whose frames may go.
        unsafe {
            (*block).guest_sp = hole + 2048;
            inner.call(block, code, &[3, 4], false);
        }
    });
    let result = with_thread(&engine, |block| {
        // SAFETY: attached, on the host stack.
        unsafe { engine.call(block, calls, &[], false) }
    });
    assert_eq!(result.int, 5);
}
