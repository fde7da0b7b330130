//! Steps out of a frame of a function whose unwind data and code are any bytes.
//!
//! The input: a byte of bits (0: ARM64; 1 and 2: which handlers are wanted; 3: whether the stack pointer leads to a stack), a byte
//! that says how far into the function the frame is, four that say where the function's unwind data are (on ARM64 they may be packed
//! data themselves), and then the image. The image begins with the function's entry.

#![no_main]

use std::sync::Once;

use libfuzzer_sys::fuzz_target;
use transom_cpu::block::ThreadBlock;
use transom_cpu::context::Context;
use transom_cpu::engine::{Fault, Host, Permissions};
use transom_cpu::machine::Machine;
use transom_cpu::thunk::ThunkTable;
use transom_cpu::unwind::amd64::Plan;
use transom_cpu::unwind::{Function, HandlerKind, Places, step};

/// Guarded reads need the fault handler, and it a host, of which nothing is asked: no guest code runs.
struct NoGuest(ThunkTable);

impl Host for NoGuest {
    fn permissions(&self, _address: u64) -> Option<Permissions> {
        None
    }

    fn fault(&self, _block: *mut ThreadBlock, _fault: Fault, _context: &mut Context) {}

    fn thunks(&self) -> &ThunkTable {
        &self.0
    }
}

fn install() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let host = Box::leak(Box::new(NoGuest(ThunkTable::new().expect("room for thunks"))));
        transom_cpu::signals::install(host).expect("fault signals");
    });
}

fuzz_target!(|input: &[u8]| {
    let Some((&[mode, position, a, b, c, d], image)) = input.split_first_chunk() else { return };
    install();
    // Room behind, as an image has.
    let image = [image, &[0; 64]].concat();
    let base = image.as_ptr().expose_provenance() as u64;
    let word = |bytes: &[u8]| u32::from_le_bytes([bytes[0], bytes[1], bytes[2], bytes[3]]);
    let function =
        Function { image_base: base, entry: base, begin: word(&image), unwind: word(&[a, b, c, d]) };
    let lookup = |pc: u64| (pc & 1 != 0).then_some(function);
    let stack = vec![0x1111_2222_3333u64; 64];
    let machine = if mode & 1 == 0 { Machine::Amd64 } else { Machine::Arm64 };
    let mut context = Context::new(machine);
    let sp = if mode & 8 != 0 { stack.as_ptr().expose_provenance() as u64 } else { 8 };
    context.set_return(0, sp, 0);
    let kind = match mode >> 1 & 3 {
        0 => HandlerKind::None,
        1 => HandlerKind::Exception,
        _ => HandlerKind::Termination,
    };
    let pc = base.wrapping_add(u64::from(function.begin)).wrapping_add(u64::from(position));
    if let (Ok(Some(plan)), Context::Amd64(c)) = (Plan::new(pc, &function, &lookup), &context) {
        let mut c = c.clone();
        let _ = (plan.establisher(&c), plan.handler(kind), plan.run(&mut c));
    }
    let mut places = Places::default();
    let _ = step(kind, pc, &function, &lookup, &mut context, Some(&mut places));
});
