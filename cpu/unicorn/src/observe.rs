//! Instructions and accesses as they happen, for a tracer that asks for them. Hooks on every instruction make the engine many
//! times slower; without an observer there are none.

use core::ffi::c_void;

use transom_cpu::engine::{Access, Observer};
use unicorn_engine_sys::{HookType, MemType, uc_engine};

use crate::isa::Isa;
use crate::vm::Vm;

/// Adds the hooks that the observer needs.
pub(crate) fn install<I: Isa>(vm: &'static Vm, observer: &'static dyn Observer) -> Result<(), String> {
    // Accesses need it too: only with it is the program counter known while they happen.
    vm.hook(HookType::CODE, instruction::<I> as *mut c_void)?;
    if observer.wants_accesses() {
        vm.hook(HookType(HookType::MEM_READ.0 | HookType::MEM_WRITE.0), access as *mut c_void)?;
    }
    Ok(())
}

/// Before an instruction.
unsafe extern "C" fn instruction<I: Isa>(_uc: *mut uc_engine, pc: u64, size: u32, data: *mut c_void) {
    // SAFETY: the processor that was registered with the hook.
    let vm = unsafe { &*data.cast::<Vm>() };
    vm.pc.set(pc);
    if let Some(observer) = vm.host.observer().filter(|o| o.wants_instruction(pc)) {
        observer.instruction(pc, size, &I::save(vm.cpu));
    }
}

/// Before an access.
unsafe extern "C" fn access(
    _uc: *mut uc_engine,
    kind: MemType,
    address: u64,
    size: i32,
    value: i64,
    data: *mut c_void,
) {
    // SAFETY: as above.
    let vm = unsafe { &*data.cast::<Vm>() };
    let Some(observer) = vm.host.observer() else { return };
    let (access, written) = match kind {
        MemType::WRITE => (Access::Write, Some(value.cast_unsigned())),
        _ => (Access::Read, None),
    };
    observer.access(vm.pc.get(), address, u32::try_from(size).unwrap_or(0), access, written);
}
