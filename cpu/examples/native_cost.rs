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

    leaves(&engine64);
    leaves(&engine32);

    let word = map(4096);
    let mut sum = 0u64;
    println!(
        "mem::read of a word           {:7.2}",
        best(CALLS, &mut || (0..CALLS)
            .for_each(|i| sum += transom_cpu::mem::read::<u64>(word + u64::from(i % 64)).unwrap()))
    );
    assert_eq!(sum, 0);
}

/// Leaf stubs called in a loop of guest code; the C library's functions in brackets.
#[cfg(target_arch = "x86_64")]
fn leaves(engine: &dyn transom_cpu::engine::Engine) {
    use std::hint::black_box;
    use std::time::Instant;

    use common::{assemble, map, with_thread};
    use iced_x86::code_asm::{dword_ptr, ebx, ecx, edx, esi, esp, r8d, rbx, rsp};
    use transom_cpu::leaf::{LeafFn, memory, strings, thread};

    let wide = engine.machine().is_64();
    let (a, b) = (map(0x2_0000), map(0x2_0000));
    transom_cpu::mem::fill(a, 1, 65536).expect("guest memory");
    let small = |address: u64| u32::try_from(address).expect("below 4 GiB");
    let time = |emit: LeafFn, calls: u32, args: [u32; 3]| {
        let leaf = map(0x1000);
        let code = emit(engine.machine(), 0, leaf).expect("a leaf");
        transom_cpu::mem::copy_out(leaf, &code.code).expect("guest memory");
        let run = assemble(if wide { 64 } else { 32 }, |c| {
            let mut again = c.create_label();
            if wide {
                c.push(rbx).unwrap();
                c.sub(rsp, 32).unwrap();
                c.mov(ebx, calls).unwrap();
                c.set_label(&mut again).unwrap();
                c.mov(ecx, args[0]).unwrap();
                c.mov(edx, args[1]).unwrap();
                c.mov(r8d, args[2]).unwrap();
                c.call(leaf).unwrap();
                c.dec(ebx).unwrap();
                c.jnz(again).unwrap();
                c.add(rsp, 32).unwrap();
                c.pop(rbx).unwrap();
            } else {
                c.push(ebx).unwrap();
                c.push(esi).unwrap();
                c.mov(ebx, calls).unwrap();
                c.mov(esi, esp).unwrap();
                c.set_label(&mut again).unwrap();
                c.sub(esp, 12).unwrap();
                for (i, arg) in (0..).zip(args) {
                    c.mov(dword_ptr(esp + 4 * i), arg).unwrap();
                }
                c.call(leaf).unwrap();
                c.mov(esp, esi).unwrap();
                c.dec(ebx).unwrap();
                c.jnz(again).unwrap();
                c.pop(esi).unwrap();
                c.pop(ebx).unwrap();
            }
            c.ret().unwrap();
        });
        with_thread(engine, |block| {
            let once = |_| {
                let start = Instant::now();
                // SAFETY: attached, on the host stack.
                unsafe { engine.call(block, run, &[], false) };
                start.elapsed().as_secs_f64() * 1e9 / f64::from(calls)
            };
            (0..7).map(once).fold(f64::MAX, f64::min)
        })
    };
    let native = |calls: u32, run: &dyn Fn()| {
        let once = |_| {
            let start = Instant::now();
            (0..calls).for_each(|_| run());
            start.elapsed().as_secs_f64() * 1e9 / f64::from(calls)
        };
        (0..7).map(once).fold(f64::MAX, f64::min)
    };
    let name = engine.name();
    let emit = |emit: LeafFn| native(1000, &|| _ = black_box(emit(engine.machine(), 0, 0x1000)));
    println!(
        "{name}: emitting memmove, strcmp, GetLastError {:.0}, {:.0}, {:.0}",
        emit(memory::memmove),
        emit(strings::strcmp),
        emit(thread::get_last_error)
    );
    println!("{name}: GetLastError           {:7.2}", time(thread::get_last_error, 1_000_000, [0; 3]));
    let (to, from) = (b as *mut libc::c_void, a as *const libc::c_void);
    for (len, calls) in [(16, 1_000_000), (100, 1_000_000), (4096, 200_000), (65536, 10_000)] {
        let size = len as usize;
        // SAFETY: both ranges are 128 KiB long.
        let copy = native(calls, &|| unsafe { _ = black_box(libc::memcpy)(to, from, size) });
        let guest = time(memory::memmove, calls, [small(b), small(a), len]);
        println!("{name}: memcpy {len:6}          {guest:7.2} [{copy:.2}]");
        // SAFETY: as above.
        let set = native(calls, &|| unsafe { _ = black_box(libc::memset)(to, 0, size) });
        let guest = time(memory::memset, calls, [small(b), 0, len]);
        println!("{name}: memset {len:6}          {guest:7.2} [{set:.2}]");
        let end = 65536 - size;
        // SAFETY: a string with a terminator at 64 KiB.
        let length =
            native(calls, &|| unsafe { _ = black_box(black_box(libc::strlen)(from.byte_add(end).cast())) });
        let guest = time(strings::strlen, calls, [small(a + end as u64), 0, 0]);
        println!("{name}: strlen {len:6}          {guest:7.2} [{length:.2}]");
    }
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
