//! ARM64 guests. Code is given as words with their assembly beside them.

mod common;

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use common::{R, RW, RWX, World};
use transom_cpu::context::Context;
use transom_cpu::engine::{Access, Fault};
use transom_cpu::frame::Returns;
use transom_cpu::machine::Machine;

/// `movz/movk xN, #value` for all four halves.
fn mov(register: u32, value: u64) -> Vec<u32> {
    (0..4)
        .map(|i| {
            let half = ((value >> (16 * i)) & 0xFFFF) as u32;
            (if i == 0 { 0xD280_0000 } else { 0xF280_0000 }) | i << 21 | half << 5 | register
        })
        .collect()
}

/// A function that calls `target` with its own arguments and returns what that returns.
fn call_through(world: &World, target: u64) -> u64 {
    let mut code = vec![0xA9BF_7BFD]; // stp x29, x30, [sp, #-16]!
    code.extend(mov(17, target));
    code.extend([
        0xD63F_0220, // blr x17
        0xA8C1_7BFD, // ldp x29, x30, [sp], #16
        0xD65F_03C0, // ret
    ]);
    world.words(&code)
}

#[test]
fn a_function_adds_its_arguments_also_from_the_stack() {
    let world = World::new(Machine::Arm64);
    let thread = world.thread();
    let add = world.words(&[
        0x8B01_0000, // add x0, x0, x1
        0xF940_03E1, // ldr x1, [sp]
        0x8B01_0000, // add x0, x0, x1
        0xF940_07E1, // ldr x1, [sp, #8]
        0x8B01_0000, // add x0, x0, x1
        0xD65F_03C0, // ret
    ]);
    assert_eq!(thread.call(add, &[1, 2, 0, 0, 0, 0, 0, 0, 40, 500]), 543);
}

#[test]
fn the_teb_is_in_x18_and_counters_and_hints_work() {
    let world = World::new(Machine::Arm64);
    let thread = world.thread();
    let teb = world.words(&[0xAA12_03E0, 0xD65F_03C0]); // mov x0, x18; ret
    // SAFETY: an attached thread's block.
    assert_eq!(thread.call(teb, &[]), unsafe { (*thread.block).teb });
    let counter = world.words(&[
        0xD503_233F, // paciasp
        0xD503_245F, // bti c
        0xD53B_E001, // mrs x1, cntfrq_el0
        0xD53B_E040, // mrs x0, cntvct_el0
        0xD53B_D042, // mrs x2, tpidr_el0
        0xD503_203F, // yield
        0xD503_23BF, // autiasp
        0xD65F_03C0, // ret
    ]);
    let first = thread.call(counter, &[]);
    assert!(first > 0 && thread.call(counter, &[]) > first);
}

#[test]
fn atomics_and_vectors_work() {
    let world = World::new(Machine::Arm64);
    let thread = world.thread();
    let data = world.map(0x1000, RW);
    let code = world.words(&[
        0xF820_0022, // ldadd x0, x2, [x1]
        0x4E08_0C00, // dup v0.2d, x0
        0x4EE0_8400, // add v0.2d, v0.2d, v0.2d
        0x9E66_0000, // fmov x0, d0
        0x8B02_0000, // add x0, x0, x2
        0xD65F_03C0, // ret
    ]);
    world.poke(data, &5u64.to_le_bytes());
    assert_eq!(thread.call(code, &[7, data]), 2 * 7 + 5);
    assert_eq!(world.peek(data), 12);
}

#[test]
fn shims_see_arguments_and_return_results() {
    let world = World::new(Machine::Arm64);
    let thread = world.thread();
    let block = thread.block as usize;
    let shim = world.closure(move |b, frame| {
        assert_eq!(b as usize, block);
        // SAFETY: the thread's block.
        assert_eq!(unsafe { (*b).frame }, std::ptr::from_mut(frame));
        frame.result =
            frame.ints[..8].iter().sum::<u64>() + transom_cpu::mem::read::<u64>(frame.stack).unwrap();
    });
    let sum = thread.call(shim, &[1, 2, 3, 4, 5, 6, 7, 8, 100]);
    assert_eq!(sum, 136);
    // SAFETY: the thread's block.
    assert!(unsafe { (*thread.block).frame.is_null() && (*thread.block).level.is_null() });

    let float = world.closure(|_, frame| {
        frame.returns = Returns::Float;
        frame.result_float = (f64::from_bits(frame.floats[0]) * 2.0).to_bits();
    });
    let twice = call_through(world, float);
    assert_eq!(thread.call_float(twice, &[1.25f64.to_bits()]), 2.5);
}

#[test]
fn callbacks_nest_deeper_than_unicorn_does() {
    let world = World::new(Machine::Arm64);
    let thread = world.thread();
    let target: Arc<AtomicU64> = Arc::default();
    let again = target.clone();
    let shim = world.closure(move |block, frame| {
        let n = frame.ints[0];
        frame.result = if n == 0 {
            0
        } else {
            // SAFETY: the calling thread's block, in a shim.
            let inner = unsafe { world.engine().call(block, again.load(Ordering::Relaxed), &[n - 1], false) };
            inner.int + n
        };
    });
    target.store(call_through(world, shim), Ordering::Relaxed);
    for depth in [1, 3, 59, 60, 61, 150] {
        let sp = thread.sp();
        assert_eq!(thread.call(target.load(Ordering::Relaxed), &[depth]), depth * (depth + 1) / 2);
        assert_eq!(sp, thread.sp());
    }
}

#[test]
fn resume_abandons_levels_and_runs_destructors() {
    static DROPPED: AtomicU64 = AtomicU64::new(0);
    struct Counts;
    impl Drop for Counts {
        fn drop(&mut self) {
            DROPPED.fetch_add(1, Ordering::Relaxed);
        }
    }
    let world = World::new(Machine::Arm64);
    let thread = world.thread();
    let saved: Arc<Mutex<Option<(u64, u64)>>> = Arc::default();
    // setjmp-like: remembers where it returns to and the stack pointer there.
    let s = saved.clone();
    let set = world.closure(move |_, frame| {
        *s.lock().unwrap() = Some((frame.return_address, frame.sp));
        frame.result = 0;
    });
    // longjmp-like, through `ints[0]` levels of callbacks.
    let s = saved.clone();
    let through: Arc<AtomicU64> = Arc::default();
    let t = through.clone();
    let jump = world.closure(move |block, frame| {
        let _counts = Counts;
        if frame.ints[0] > 0 {
            // SAFETY: in a shim of the calling thread.
            unsafe { world.engine().call(block, t.load(Ordering::Relaxed), &[frame.ints[0] - 1], false) };
            unreachable!("the level was abandoned");
        }
        let (pc, sp) = s.lock().unwrap().unwrap();
        let mut context = Context::new(Machine::Arm64);
        if let Context::Arm64(c) = &mut context {
            (c.pc, c.sp, c.x[0], c.x[19]) = (pc, sp, 1, 77);
        }
        // SAFETY: in a shim of the calling thread.
        unsafe { world.engine().resume(block, &context) }
    });
    through.store(call_through(world, jump), Ordering::Relaxed);
    let mut code = vec![
        0xA9BE_7BFD, // stp x29, x30, [sp, #-32]!
        0xF900_0BF3, // str x19, [sp, #16]
    ];
    code.extend(mov(17, set));
    code.push(0xD63F_0220); // blr x17
    code.push(0xB500_00E0); // cbnz x0, +28 (the addition)
    code.extend(mov(17, jump));
    code.extend([
        0xD280_0140, // mov x0, #10
        0xD63F_0220, // blr x17
        0x8B13_0000, // add x0, x0, x19
        0xF940_0BF3, // ldr x19, [sp, #16]
        0xA8C2_7BFD, // ldp x29, x30, [sp], #32
        0xD65F_03C0, // ret
    ]);
    let code = world.words(&code);
    assert_eq!(thread.call(code, &[]), 78);
    assert_eq!(DROPPED.load(Ordering::Relaxed), 11);
    // SAFETY: the thread's block.
    assert!(unsafe { (*thread.block).level.is_null() });
    // The processor is good for another round.
    assert_eq!(thread.call(code, &[]), 78);
}

#[test]
fn faults_come_with_registers_and_can_be_mended() {
    let world = World::new(Machine::Arm64);
    let thread = world.thread();
    let page = world.map(0x1000, R);
    let seen: Arc<Mutex<Vec<(Fault, u64)>>> = Arc::default();
    let log = seen.clone();
    world.on_fault(move |_, fault, context| {
        log.lock().unwrap().push((fault, context.pc()));
        let Context::Arm64(c) = context else { panic!() };
        match fault {
            Fault::Memory { address, access: Access::Write } if (page..page + 0x1000).contains(&address) => {
                world.protect(page, 0x1000, Some(RW));
            }
            Fault::Memory { access: Access::Execute, .. } => c.pc = c.x[30],
            _ => {
                c.x[0] += 100;
                c.pc += 4;
            }
        }
    });
    let cases: &[(&[u32], Fault, u64)] = &[
        // str x1, [x0, #8]: a read-only page, mended.
        (&[0xF900_0401, 0xD280_0020], Fault::Memory { address: page + 8, access: Access::Write }, 1),
        // ldr x1, [xzr-like 0x123]: nothing there.
        (
            &[0xD282_4601, 0xF940_0021, 0xD280_0020],
            Fault::Memory { address: 0x1230, access: Access::Read },
            1,
        ),
        (&[0xD280_0000, 0xD43E_0000], Fault::Breakpoint, 100), // mov x0, #0; brk #0xf000
        (&[0xD280_00E0, 0xD43E_0060], Fault::FastFail(7), 107), // mov x0, #7; brk #0xf003
        (&[0xD280_0000, 0xD420_0020], Fault::IllegalInstruction, 100), // brk #1
        (&[0xD280_0000, 0x0000_0000], Fault::IllegalInstruction, 100), // udf #0
        (&[0xD280_0000, 0xD400_0021], Fault::IllegalInstruction, 100), // svc #1
    ];
    for (words, fault, result) in cases {
        seen.lock().unwrap().clear();
        world.protect(page, 0x1000, Some(R));
        let mut code = words.to_vec();
        code.push(0xD65F_03C0);
        let code = world.words(&code);
        assert_eq!(thread.call(code, &[page]), *result, "{fault:x?}");
        let seen = seen.lock().unwrap();
        assert_eq!(seen.len(), 1, "{seen:x?}");
        assert_eq!(seen[0].0, *fault);
        let at = seen[0].1;
        assert!((code..code + 12).contains(&at) && words.len() > ((at - code) / 4) as usize, "{at:#x}");
    }
    // Jumps to nowhere, to page 0, and to data.
    for target in [0x5000_0000u64, 0, page] {
        seen.lock().unwrap().clear();
        let go = call_through(world, target);
        thread.call(go, &[]);
        let expected = Fault::Memory { address: target, access: Access::Execute };
        assert_eq!(*seen.lock().unwrap(), [(expected, target)]);
    }
}

#[test]
fn rewritten_code_is_seen_after_a_flush_and_own_writes_at_once() {
    let world = World::new(Machine::Arm64);
    let thread = world.thread();
    let code = world.words(&[0xD280_0020, 0xD65F_03C0]); // mov x0, #1; ret
    assert_eq!(thread.call(code, &[]), 1);
    world.poke(code, &0xD280_0040u32.to_le_bytes()); // mov x0, #2
    world.engine().flush_code(code, 4);
    assert_eq!(thread.call(code, &[]), 2);
    // The guest itself stores over a writable, executable page.
    world.protect(code, 0x1000, Some(RWX));
    let patch = world.words(&[
        0xB900_0001, // str w1, [x0]
        0xD50B_7520, // ic ivau, x0
        0xD503_3FDF, // isb
        0xD61F_0000, // br x0
    ]);
    assert_eq!(thread.call(patch, &[code, 0xD280_0060]), 3); // mov x0, #3
    assert_eq!(thread.call(patch, &[code, 0xD280_0080]), 4);
    // Memory that is taken away faults, and comes back with other code.
    world.protect(code, 0x1000, None);
    world.on_fault(move |_, fault, context| {
        assert_eq!(fault, Fault::Memory { address: code, access: Access::Execute });
        world.poke(code, &0xD280_00A0u32.to_le_bytes()); // mov x0, #5
        world.protect(code, 0x1000, Some(common::RX));
        assert_eq!(context.pc(), code);
    });
    assert_eq!(thread.call(code, &[]), 5);
}

#[test]
fn a_page_that_is_written_and_executed_in_turn_runs_what_was_written_last() {
    let world = World::new(Machine::Arm64);
    let thread = world.thread();
    let page = world.map(0x3000, common::RX) + 0x1000;
    // As a W^X compiler does it, from inside shims: pages before and after stay as they are.
    let rewrite = world.closure(move |_, frame| {
        world.protect(page, 0x1000, Some(RW));
        world.poke(page, &(0xD280_0000 | u32::try_from(frame.ints[0]).unwrap() << 5).to_le_bytes()); // mov x0, #n
        world.poke(page + 4, &0xD65F_03C0u32.to_le_bytes());
        if frame.ints[1] != 0 {
            world.protect(page, 0x1000, Some(common::RX));
        } else {
            world.protect(page - 0x1000, 0x3000, Some(common::RX));
        }
    });
    for n in 0..200 {
        assert_eq!(thread.call(rewrite, &[n, n % 2]), 0);
        assert_eq!(thread.call(page, &[]), n);
    }
}

#[test]
#[cfg(target_arch = "x86_64")]
fn a_mapped_file_that_was_cut_short_is_an_in_page_fault() {
    let world = World::new(Machine::Arm64);
    let thread = world.thread();
    transom_cpu::signals::install(world).unwrap();
    // SAFETY: a file in memory of one page, mapped over memory of ours, then cut to nothing.
    let page = unsafe {
        let file = libc::memfd_create(c"cut".as_ptr(), 0);
        assert_eq!(libc::ftruncate(file, 0x1000), 0);
        let page = world.map(0x1000, R);
        let flags = libc::MAP_SHARED | libc::MAP_FIXED;
        assert_eq!(libc::mmap(page as *mut _, 0x1000, libc::PROT_READ, flags, file, 0) as u64, page);
        assert_eq!(libc::ftruncate(file, 0), 0);
        page
    };
    let load = world.words(&[0xF940_0800, 0xD65F_03C0]); // ldr x0, [x0, #16]; ret
    world.on_fault(move |_, fault, context| {
        assert_eq!(fault, Fault::InPage { address: page + 16, access: Access::Read });
        let Context::Arm64(c) = context else { panic!() };
        (c.x[0], c.pc) = (5, c.pc + 4);
    });
    assert_eq!(thread.call(load, &[page]), 5);
}

#[test]
fn threads_take_turns_and_atomics_are_atomic() {
    const ROUNDS: u64 = 3_000_000;
    let world = World::new(Machine::Arm64);
    let data = world.map(0x1000, RW);
    // x0 = address, x1 = rounds: exclusive increments, which other threads' increments must not break.
    let add = world.words(&[
        0xC85F_7C02, // ldxr x2, [x0]
        0x9100_0442, // add x2, x2, #1
        0xC803_7C02, // stxr w3, x2, [x0]
        0x35FF_FFA3, // cbnz w3, -12
        0xF100_0421, // subs x1, x1, #1
        0x54FF_FF61, // b.ne -20
        0xD65F_03C0, // ret
    ]);
    std::thread::scope(|scope| {
        for _ in 0..3 {
            scope.spawn(|| world.thread().call(add, &[data, ROUNDS]));
        }
    });
    assert_eq!(world.peek(data), 3 * ROUNDS);
}

#[test]
fn a_blocked_shim_stops_nobody_and_a_spinning_thread_is_preempted() {
    let world = World::new(Machine::Arm64);
    let flag = world.map(0x1000, RW);
    let (sender, receiver) = std::sync::mpsc::channel::<()>();
    let receiver = Mutex::new(receiver);
    let block = world.closure(move |_, frame| {
        receiver.lock().unwrap().recv().unwrap();
        frame.result = 9;
    });
    let wait = call_through(world, block);
    // Spins until [x0] is not zero.
    let spin = world.words(&[
        0xF940_0001, // ldr x1, [x0]
        0xB4FF_FFE1, // cbz x1, -4
        0xAA01_03E0, // mov x0, x1
        0xD65F_03C0, // ret
    ]);
    let store = world.words(&[0xF900_0001, 0xD65F_03C0]); // str x1, [x0]; ret
    std::thread::scope(|scope| {
        let blocked = scope.spawn(move || world.thread().call(wait, &[]));
        let spinning = scope.spawn(move || world.thread().call(spin, &[flag]));
        // This thread gets its turn although one spins and one blocks.
        world.thread().call(store, &[flag, 42]);
        assert_eq!(spinning.join().unwrap(), 42);
        sender.send(()).unwrap();
        assert_eq!(blocked.join().unwrap(), 9);
    });
}

#[test]
fn a_thread_can_start_with_a_context() {
    let world = World::new(Machine::Arm64);
    let (sender, receiver) = std::sync::mpsc::channel();
    let sender = Mutex::new(sender);
    let done = world.closure(move |_, frame| {
        sender.lock().unwrap().send(frame.ints[0]).unwrap();
        // As a thread that ends inside a call does.
        std::panic::resume_unwind(Box::new("over"));
    });
    let joined = std::thread::spawn(move || {
        let thread = world.thread();
        let mut context = Context::new(Machine::Arm64);
        if let Context::Arm64(c) = &mut context {
            (c.pc, c.sp, c.x[0]) = (done, thread.sp(), 31);
        }
        // SAFETY: an attached thread.
        unsafe { world.engine().resume(thread.block, &context) }
    })
    .join();
    assert_eq!(joined.unwrap_err().downcast_ref(), Some(&"over"));
    assert_eq!(receiver.recv().unwrap(), 31);
}
