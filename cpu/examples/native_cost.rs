//! Prints what the native engines' transitions cost: `cargo run --release -p transom-cpu --example native_cost`.
//!
//! Each row is the best of several runs of guest code in a loop, in nanoseconds a round trip.

#[cfg(target_arch = "x86_64")]
#[path = "../tests/common/mod.rs"]
mod common;

#[cfg(target_arch = "x86_64")]
fn main() {
    use std::time::Instant;

    use common::{THUNK_EMPTY, assemble, host, map, on_fault, place, with_thread};
    use iced_x86::code_asm::{dword_ptr, ebx, ecx, rax, rbx, rcx, rsp};
    use transom_cpu::context::Context;
    use transom_cpu::engine::Engine;
    use transom_cpu::native32::Native32;
    use transom_cpu::native64::Native64;

    const CALLS: u32 = 1_000_000;
    let engine32 = Native32::new(host(), (map(4096), 4096)).expect("a host with fsgsbase");
    let engine64 = Native64::new(host());
    let best = |calls: u32, run: &mut dyn FnMut()| {
        let once = |_| {
            let start = Instant::now();
            run();
            start.elapsed().as_secs_f64() * 1e9 / f64::from(calls)
        };
        (0..7).map(once).fold(f64::MAX, f64::min)
    };

    let thunk = place(&engine64.thunk(THUNK_EMPTY));
    let calls64 = assemble(64, |a| {
        a.push(rbx).unwrap();
        a.sub(rsp, 32).unwrap();
        a.mov(ebx, CALLS).unwrap();
        let mut again = a.create_label();
        a.set_label(&mut again).unwrap();
        a.call(thunk).unwrap();
        a.dec(ebx).unwrap();
        a.jnz(again).unwrap();
        a.add(rsp, 32).unwrap();
        a.pop(rbx).unwrap();
        a.ret().unwrap();
    });
    let empty = assemble(64, |a| a.ret().unwrap());
    let fault = assemble(64, |a| {
        a.mov(rax, iced_x86::code_asm::qword_ptr(rcx)).unwrap();
        a.ret().unwrap();
    });
    with_thread(&engine64, |block| {
        // SAFETY: attached, on the host stack, in all of these.
        let call = |target| unsafe { engine64.call(block, target, &[0], false) };
        println!("native-64: guest calls shim   {:7.1}", best(CALLS, &mut || _ = call(calls64)));
        println!(
            "native-64: host calls guest   {:7.1}",
            best(CALLS, &mut || (0..CALLS).for_each(|_| _ = call(empty)))
        );
        on_fault(|_, _, context| {
            if let Context::Amd64(c) = context {
                c.rip += 3;
            }
        });
        println!(
            "native-64: fault and resume   {:7.1}",
            best(10_000, &mut || (0..10_000).for_each(|_| _ = call(fault)))
        );
    });
    println!("a native SIGSEGV handler      {:7.1}", best(10_000, &mut || native_faults(10_000)));

    let thunk = place(&engine32.thunk(THUNK_EMPTY));
    let calls32 = assemble(32, |a| {
        a.push(ebx).unwrap();
        a.mov(ebx, CALLS).unwrap();
        let mut again = a.create_label();
        a.set_label(&mut again).unwrap();
        a.call(thunk).unwrap();
        a.dec(ebx).unwrap();
        a.jnz(again).unwrap();
        a.pop(ebx).unwrap();
        a.ret().unwrap();
    });
    let empty = assemble(32, |a| a.ret().unwrap());
    let fault = assemble(32, |a| {
        a.xor(ecx, ecx).unwrap();
        a.mov(ecx, dword_ptr(ecx)).unwrap();
        a.ret().unwrap();
    });
    with_thread(&engine32, |block| {
        // SAFETY: attached, on the host stack, in all of these.
        let call = |target| unsafe { engine32.call(block, target, &[0], false) };
        println!("native-32: guest calls shim   {:7.1}", best(CALLS, &mut || _ = call(calls32)));
        println!(
            "native-32: host calls guest   {:7.1}",
            best(CALLS, &mut || (0..CALLS).for_each(|_| _ = call(empty)))
        );
        on_fault(|_, _, context| {
            if let Context::I386(c) = context {
                c.eip += 2;
            }
        });
        println!(
            "native-32: fault and resume   {:7.1}",
            best(10_000, &mut || (0..10_000).for_each(|_| _ = call(fault)))
        );
    });

    let word = map(4096);
    let mut sum = 0u64;
    println!(
        "mem::read of a word           {:7.2}",
        best(CALLS, &mut || (0..CALLS)
            .for_each(|i| sum += transom_cpu::mem::read::<u64>(word + u64::from(i % 64)).unwrap()))
    );
    assert_eq!(sum, 0);
}

/// Takes faults with a handler of the usual kind, for comparison, and puts the old one back.
#[cfg(target_arch = "x86_64")]
fn native_faults(count: u32) {
    extern "C" fn skip(_: libc::c_int, _: *mut libc::siginfo_t, context: *mut libc::c_void) {
        // SAFETY: the kernel passes a ucontext.
        unsafe { (*context.cast::<libc::ucontext_t>()).uc_mcontext.gregs[libc::REG_RIP as usize] += 2 };
    }
    // SAFETY: a handler that skips the two-byte load below, which is the only fault meanwhile.
    unsafe {
        let mut action: libc::sigaction = core::mem::zeroed();
        let mut old: libc::sigaction = core::mem::zeroed();
        action.sa_sigaction = skip as *const () as usize;
        action.sa_flags = libc::SA_SIGINFO | libc::SA_ONSTACK;
        libc::sigaction(libc::SIGSEGV, &raw const action, &raw mut old);
        for _ in 0..count {
            core::arch::asm!("mov eax, [rcx]", in("rcx") 0u64, out("eax") _, options(nostack));
        }
        libc::sigaction(libc::SIGSEGV, &raw const old, core::ptr::null_mut());
    }
}

#[cfg(not(target_arch = "x86_64"))]
fn main() {
    println!("the native engines need an x86-64 host");
}
