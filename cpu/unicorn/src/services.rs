//! What the program does for this library: unwinding, and guarded access to guest memory. The program and the library link a
//! standard library each, and one cannot catch what the other threw; see [`transom_cpu::external::Services`].

use std::sync::OnceLock;

pub(crate) use transom_cpu::external::Payload;
use transom_cpu::external::Services;
use transom_cpu::mem::{BadAddress, Plain};

static SERVICES: OnceLock<Services> = OnceLock::new();

/// Notes the program's services. There is one program, so only the first call counts.
pub(crate) fn install(services: Services) {
    SERVICES.get_or_init(|| services);
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
