//! What the program does for this library: unwinding, and guarded access to guest memory. The program and the library link a
//! standard library each, and one cannot catch what the other threw; see [`transom_cpu::external::Services`].

use core::ffi::{c_int, c_void};
use std::sync::OnceLock;

pub(crate) use transom_cpu::external::Payload;
use transom_cpu::external::Services;
use transom_cpu::mem::{BadAddress, Plain};

static SERVICES: OnceLock<Services> = OnceLock::new();

/// Notes the program's services. There is one program, so only the first call counts.
pub(crate) fn install(services: Services) {
    SERVICES.get_or_init(|| services);
    prepare_unwinder();
}

/// Lets this library's copy of the unwinder initialise itself. The program begins every unwinding with its own copy, but what this
/// library's frames tell the unwinder on the way goes through this one, which aborts unless it has been used before.
fn prepare_unwinder() {
    unsafe extern "C" {
        fn _Unwind_Backtrace(
            frame: extern "C" fn(*mut c_void, *mut c_void) -> c_int,
            data: *mut c_void,
        ) -> c_int;
    }
    extern "C" fn stop(_context: *mut c_void, _data: *mut c_void) -> c_int {
        const URC_NORMAL_STOP: c_int = 4;
        URC_NORMAL_STOP
    }
    // SAFETY: the function of the unwinder's C interface; the callback ends the walk at the first frame.
    unsafe { _Unwind_Backtrace(stop, core::ptr::null_mut()) };
}

#[inline]
fn services() -> &'static Services {
    SERVICES.get_or_init(Services::own)
}

/// Calls the closure and catches what unwinds out of it.
#[inline]
pub(crate) fn catch(mut f: impl FnMut()) -> Result<(), Payload> {
    (services().catch)(&mut f)
}

/// Unwinds.
pub(crate) fn throw(payload: Payload) -> ! {
    (services().throw)(payload)
}

/// Fills the buffer from guest memory.
#[inline]
pub(crate) fn read<const N: usize>(address: u64) -> Result<[u8; N], BadAddress> {
    let mut bytes = [0; N];
    (services().copy_in)(address, &mut bytes)?;
    Ok(bytes)
}

/// Writes values to guest memory.
pub(crate) fn write_slice<T: Plain>(address: u64, values: &[T]) -> Result<(), BadAddress> {
    // SAFETY: plain values are bytes without padding.
    let bytes = unsafe { core::slice::from_raw_parts(values.as_ptr().cast(), size_of_val(values)) };
    (services().copy_out)(address, bytes)
}
