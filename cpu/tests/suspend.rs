//! Suspension of threads in guest code, in shims and in between, on both native engines.
#![cfg(target_arch = "x86_64")]

mod common;

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc::{self, Receiver, Sender};
use std::sync::{Arc, OnceLock};

use common::{THUNK_ADD, THUNK_SHIM, assemble, host, map, on_shim, place, with_thread};
use iced_x86::code_asm::{dword_ptr, eax, ecx, esp, rcx, rsp};
use transom_cpu::block::ThreadBlock;
use transom_cpu::context::Context;
use transom_cpu::engine::Engine;
use transom_cpu::engine::Suspension as _;
use transom_cpu::mem;
use transom_cpu::native32::Native32;
use transom_cpu::native64::Native64;
use transom_cpu::suspend::{self, Control};

fn engines() -> [&'static dyn Engine; 2] {
    static ENGINES: OnceLock<(Native64, Native32)> = OnceLock::new();
    let (native64, native32) =
        ENGINES.get_or_init(|| (Native64::new(host()), Native32::new(host(), (map(4096), 4096)).unwrap()));
    [native64, native32]
}

fn is_64(engine: &dyn Engine) -> bool {
    engine.machine().is_64()
}

/// A thread that calls the guest function once, after `prepare`, and its control.
struct Running<'a> {
    control: Arc<Control>,
    block: usize,
    result: std::thread::ScopedJoinHandle<'a, u64>,
}

fn start<'a>(
    scope: &'a std::thread::Scope<'a, '_>,
    engine: &'static dyn Engine,
    code: u64,
    prepare: impl FnOnce(*mut ThreadBlock) + Send + 'a,
) -> Running<'a> {
    let (sender, receiver) = mpsc::channel();
    let result = scope.spawn(move || {
        with_thread(engine, |block| {
            prepare(block);
            sender.send((suspend::current().unwrap(), block.expose_provenance())).unwrap();
            // SAFETY: attached, on the host stack.
            unsafe { engine.call(block, code, &[], false) }.int
        })
    });
    let (control, block) = receiver.recv().unwrap();
    Running { control, block, result }
}

/// Guest code that counts in the word at `counter` for ever, with 7 in ecx; behind the loop, `exit` returns ecx.
fn counting(engine: &dyn Engine, counter: u64) -> (u64, u64) {
    let mut size = 0;
    let at = map(4096);
    let mut a = iced_x86::code_asm::CodeAssembler::new(if is_64(engine) { 64 } else { 32 }).unwrap();
    let mut again = a.create_label();
    a.mov(ecx, 7).unwrap();
    a.set_label(&mut again).unwrap();
    if is_64(engine) {
        a.mov(eax, u32::try_from(counter).unwrap()).unwrap();
        a.inc(dword_ptr(iced_x86::code_asm::rax)).unwrap();
    } else {
        a.mov(eax, u32::try_from(counter).unwrap()).unwrap();
        a.inc(dword_ptr(eax)).unwrap();
    }
    a.jmp(again).unwrap();
    size += a.assemble(at).unwrap().len() as u64;
    a.mov(eax, ecx).unwrap();
    a.ret().unwrap();
    mem::copy_out(at, &a.assemble(at).unwrap()).unwrap();
    (at, at + size)
}

fn wait_for_change(counter: u64) {
    let before = mem::read::<u32>(counter).unwrap();
    while mem::read::<u32>(counter).unwrap() == before {
        std::thread::yield_now();
    }
}

#[test]
fn a_thread_in_guest_code_stops_and_shows_its_registers() {
    for engine in engines() {
        let counter = map(4096);
        let (code, exit) = counting(engine, counter);
        std::thread::scope(|scope| {
            let thread = start(scope, engine, code, |_| {});
            assert!(thread.control.context().is_none());
            for _ in 0..20 {
                wait_for_change(counter);
                // The first time it may still be on its way into the guest.
                let inside = loop {
                    thread.control.suspend().unwrap();
                    let context = thread.control.context();
                    if let Some(context) = context
                        && (code + 5..exit).contains(&context.pc())
                    {
                        break context;
                    }
                    thread.control.resume();
                };
                match &inside {
                    Context::Amd64(c) => assert_eq!(c.rcx, 7),
                    Context::I386(c) => assert_eq!(c.ecx, 7),
                    Context::Arm64(_) => unreachable!(),
                }
                let before = mem::read::<u32>(counter).unwrap();
                (0..50).for_each(|_| std::thread::yield_now());
                assert_eq!(mem::read::<u32>(counter).unwrap(), before);
                thread.control.resume();
            }
            // Released and at once suspended again, it is still suspended.
            thread.control.suspend().unwrap();
            thread.control.resume();
            thread.control.suspend().unwrap();
            let mut context = thread.control.context().unwrap();
            match &mut context {
                Context::Amd64(c) => (c.rip, c.rcx, c.flt_save.xmm_registers[7]) = (exit, 99, 1),
                Context::I386(c) => (c.eip, c.ecx) = (u32::try_from(exit).unwrap(), 99),
                Context::Arm64(_) => unreachable!(),
            }
            assert!(thread.control.set_context(context));
            assert_eq!(thread.control.context().unwrap().pc(), exit);
            thread.control.resume();
            assert_eq!(thread.result.join().unwrap(), 99);
            assert!(thread.control.suspend().is_err());
        });
    }
}

/// Guest code that calls the shim and then stores 1 at `after` and returns 5.
fn calling(engine: &dyn Engine, after: u64) -> u64 {
    let shim = place(&engine.thunk(THUNK_SHIM));
    if is_64(engine) {
        assemble(64, |a| {
            a.sub(rsp, 40).unwrap();
            a.call(shim).unwrap();
            a.mov(ecx, u32::try_from(after).unwrap()).unwrap();
            a.mov(dword_ptr(rcx), 1).unwrap();
            a.mov(eax, 5).unwrap();
            a.add(rsp, 40).unwrap();
            a.ret().unwrap();
        })
    } else {
        assemble(32, |a| {
            a.sub(esp, 12).unwrap();
            a.call(shim).unwrap();
            a.mov(ecx, u32::try_from(after).unwrap()).unwrap();
            a.mov(dword_ptr(ecx), 1).unwrap();
            a.mov(eax, 5).unwrap();
            a.add(esp, 12).unwrap();
            a.ret().unwrap();
        })
    }
}

/// A thread inside a shim that waits until told to go on, and says when it is there and when it is done.
fn in_shim<'a>(
    scope: &'a std::thread::Scope<'a, '_>,
    engine: &'static dyn Engine,
    after: u64,
) -> (Running<'a>, Sender<()>, Receiver<()>) {
    let (go, wait) = mpsc::channel::<()>();
    let (say, hear) = mpsc::channel();
    let thread = start(scope, engine, calling(engine, after), move |_| {
        on_shim(move |_, frame| {
            say.send(()).unwrap();
            wait.recv().unwrap();
            frame.result = 0;
            say.send(()).unwrap();
        });
    });
    hear.recv().unwrap();
    (thread, go, hear)
}

#[test]
fn a_thread_in_a_shim_finishes_it_but_does_not_return() {
    for engine in engines() {
        let after = map(4096);
        std::thread::scope(|scope| {
            let (thread, go, done) = in_shim(scope, engine, after);
            thread.control.suspend().unwrap();
            let context = thread.control.context().unwrap();
            // SAFETY: the block lives while its thread does.
            let entry = unsafe { (*std::ptr::with_exposed_provenance::<ThreadBlock>(thread.block)).entry };
            assert_eq!(context.pc(), entry);
            // On top of its stack is the address after the call: `mov ecx, imm32`.
            let word = mem::read::<u64>(context.sp()).unwrap();
            let back = if is_64(engine) { word } else { word & 0xFFFF_FFFF };
            assert_eq!(mem::read::<u8>(back), Ok(0xB9));
            go.send(()).unwrap();
            done.recv().unwrap();
            (0..50).for_each(|_| std::thread::yield_now());
            assert_eq!(mem::read::<u32>(after), Ok(0));
            // Setting the same context changes nothing.
            assert!(thread.control.set_context(context));
            thread.control.resume();
            assert_eq!(thread.result.join().unwrap(), 5);
            assert_eq!(mem::read::<u32>(after), Ok(1));
        });
    }
}

#[test]
fn a_context_set_in_a_shim_counts_when_it_returns() {
    for engine in engines() {
        let after = map(4096);
        let exit = assemble(if is_64(engine) { 64 } else { 32 }, |a| {
            a.mov(eax, ecx).unwrap();
            a.ret().unwrap();
        });
        std::thread::scope(|scope| {
            let (thread, go, _done) = in_shim(scope, engine, after);
            thread.control.suspend().unwrap();
            let mut context = thread.control.context().unwrap();
            // Skip the rest of the caller: pop its frame and leave through `exit`.
            match &mut context {
                Context::Amd64(c) => (c.rip, c.rsp, c.rcx) = (exit, c.rsp + 8 + 40, 42),
                Context::I386(c) => {
                    (c.eip, c.esp, c.ecx) = (u32::try_from(exit).unwrap(), c.esp + 4 + 12, 42)
                }
                Context::Arm64(_) => unreachable!(),
            }
            assert!(thread.control.set_context(context));
            thread.control.resume();
            go.send(()).unwrap();
            assert_eq!(thread.result.join().unwrap(), 42);
            assert_eq!(mem::read::<u32>(after), Ok(0));
        });
    }
}

#[test]
fn a_thread_can_suspend_itself() {
    for engine in engines() {
        let after = map(4096);
        std::thread::scope(|scope| {
            let (say, hear) = mpsc::channel();
            let thread = start(scope, engine, calling(engine, after), move |_| {
                on_shim(move |_, frame| {
                    suspend::current().unwrap().suspend().unwrap();
                    frame.result = 0;
                    say.send(()).unwrap();
                });
            });
            hear.recv().unwrap();
            (0..50).for_each(|_| std::thread::yield_now());
            assert_eq!(mem::read::<u32>(after), Ok(0));
            thread.control.resume();
            assert_eq!(thread.result.join().unwrap(), 5);
        });
    }
}

/// Two suspenders at once against threads that cross the boundary all the time: nothing is lost, nothing hangs.
#[test]
fn storms() {
    static STOP: AtomicBool = AtomicBool::new(false);
    for engine in engines() {
        let thunk = place(&engine.thunk(THUNK_ADD));
        let code = if is_64(engine) {
            // The same host function reads its two 32-bit arguments from the home slots.
            assemble(64, |a| {
                a.sub(rsp, 40).unwrap();
                a.mov(dword_ptr(rsp), 40).unwrap();
                a.mov(dword_ptr(rsp + 4), 2).unwrap();
                a.call(thunk).unwrap();
                a.add(rsp, 40).unwrap();
                a.ret().unwrap();
            })
        } else {
            assemble(32, |a| {
                a.push(40).unwrap();
                a.push(2).unwrap();
                a.call(thunk).unwrap();
                a.add(esp, 8).unwrap();
                a.ret().unwrap();
            })
        };
        STOP.store(false, Ordering::SeqCst);
        let calls = AtomicU64::new(0);
        std::thread::scope(|scope| {
            let (sender, receiver) = mpsc::channel();
            let calls = &calls;
            for _ in 0..2 {
                let sender = sender.clone();
                scope.spawn(move || {
                    with_thread(engine, |block| {
                        sender.send(suspend::current().unwrap()).unwrap();
                        while !STOP.load(Ordering::Relaxed) {
                            // SAFETY: attached, on the host stack.
                            assert_eq!(unsafe { engine.call(block, code, &[], false) }.int, 42);
                            calls.fetch_add(1, Ordering::Relaxed);
                        }
                    });
                });
            }
            let threads = [receiver.recv().unwrap(), receiver.recv().unwrap()];
            // Until enough has happened on both sides.
            let (mut seen, mut i) = (0, 0);
            while i < 300 || seen < 30 || calls.load(Ordering::Relaxed) < 300 {
                i += 1;
                let thread = &threads[i % 2];
                thread.suspend().unwrap();
                if let Some(context) = thread.context() {
                    seen += 1;
                    if i % 3 == 0 {
                        thread.set_context(context);
                    }
                }
                thread.resume();
                std::thread::yield_now();
            }
            STOP.store(true, Ordering::SeqCst);
        });
    }
}
