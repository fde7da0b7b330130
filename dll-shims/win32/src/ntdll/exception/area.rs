//! The structures that handlers get, on the guest stack: EXCEPTION_RECORD, CONTEXT, EXCEPTION_POINTERS, and room for a
//! DISPATCHER_CONTEXT.

use transom_cpu::context::Context;
use transom_sdk::{BadAddress, Cx, Machine, Record, mem};

/// An exception's structures in guest memory, from one dispatch.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Area {
    /// EXCEPTION_RECORD.
    pub(crate) record: u64,
    /// CONTEXT.
    pub(crate) context: u64,
    /// EXCEPTION_POINTERS.
    pub(crate) pointers: u64,
    /// Room for a DISPATCHER_CONTEXT.
    pub(crate) dispatcher: u64,
    /// Room for another CONTEXT, that of the frame being looked at.
    pub(crate) frame_context: u64,
    /// Where the stack of handlers begins.
    pub(crate) sp: u64,
}

/// Bytes below the stack pointer that guest code may use without moving it.
fn red_zone(machine: Machine) -> u64 {
    match machine {
        Machine::Arm64 => 16,
        Machine::Amd64 | Machine::I386 => 0,
    }
}

impl Area {
    /// Lays the structures out below a stack pointer.
    pub(crate) fn below(cx: &Cx, sp: u64) -> Self {
        let size = Context::size(cx.machine()) as u64;
        let down = |from: u64, size: u64| from.wrapping_sub(size) & !15;
        let record = down(sp.wrapping_sub(red_zone(cx.machine())), Record::size(cx));
        let context = down(record, size);
        let pointers = down(context, 16);
        if !cx.is_64() {
            let at = |n: u64| n & 0xFFFF_FFFF;
            let (record, context, pointers) = (at(record), at(context), at(pointers));
            return Self { record, context, pointers, dispatcher: 0, frame_context: 0, sp: pointers };
        }
        let dispatcher = down(pointers, super::walk::DISPATCHER_SIZE);
        let frame_context = down(dispatcher, size);
        Self { record, context, pointers, dispatcher, frame_context, sp: frame_context }
    }

    /// Writes an exception below the context's stack pointer.
    ///
    /// # Errors
    /// If there is no stack left.
    pub(crate) fn write(cx: &Cx, record: &Record, context: &Context) -> Result<Self, BadAddress> {
        let area = Self::below(cx, context.sp());
        record.store(cx, area.record)?;
        context.store_for_handler(area.context)?;
        if cx.is_64() {
            mem::write(area.pointers, &[area.record, area.context])?;
        } else {
            #[expect(clippy::cast_possible_truncation, reason = "pointers of 32-bit guests")]
            mem::write(area.pointers, &[area.record as u32, area.context as u32])?;
        }
        Ok(area)
    }
}
