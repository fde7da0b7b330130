//! Values as they lie in guest memory, for both pointer widths.

use transom_cpu::mem::{self, BadAddress};

/// A value that guest memory can hold. Index 0 of the constants is the 32-bit layout, index 1 the 64-bit one.
pub trait GuestData: Sized {
    /// Size in bytes.
    const SIZE: [usize; 2];
    /// Alignment in bytes.
    const ALIGN: [usize; 2];
    /// Where a structure's fields lie, in bytes; a single value has one, at 0.
    const OFFSETS: [&'static [usize]; 2] = [&[0]; 2];

    /// Reads the value at a guest address.
    ///
    /// # Errors
    /// The first byte that could not be read.
    fn load(at: u64, wide: bool) -> Result<Self, BadAddress>;

    /// Writes the value to a guest address. Padding is left as it is.
    ///
    /// # Errors
    /// The first byte that could not be written.
    fn store(&self, at: u64, wide: bool) -> Result<(), BadAddress>;
}

macro_rules! plain {
    ($($t:ty),*) => {$(
        impl GuestData for $t {
            const SIZE: [usize; 2] = [size_of::<$t>(); 2];
            const ALIGN: [usize; 2] = [align_of::<$t>(); 2];
            #[inline]
            fn load(at: u64, _wide: bool) -> Result<Self, BadAddress> {
                mem::read(at)
            }
            #[inline]
            fn store(&self, at: u64, _wide: bool) -> Result<(), BadAddress> {
                mem::write(at, self)
            }
        }
    )*};
}
plain!(u8, i8, u16, i16, u32, i32, u64, i64, f32, f64);

/// `BOOL`.
impl GuestData for bool {
    const SIZE: [usize; 2] = [4; 2];
    const ALIGN: [usize; 2] = [4; 2];
    fn load(at: u64, _wide: bool) -> Result<Self, BadAddress> {
        mem::read::<u32>(at).map(|v| v != 0)
    }
    fn store(&self, at: u64, _wide: bool) -> Result<(), BadAddress> {
        mem::write(at, &u32::from(*self))
    }
}

impl GuestData for usize {
    const SIZE: [usize; 2] = [4, 8];
    const ALIGN: [usize; 2] = [4, 8];
    #[inline]
    #[expect(clippy::cast_possible_truncation, reason = "the host is 64-bit")]
    fn load(at: u64, wide: bool) -> Result<Self, BadAddress> {
        if wide { mem::read::<u64>(at).map(|v| v as Self) } else { mem::read::<u32>(at).map(|v| v as Self) }
    }
    #[inline]
    #[expect(clippy::cast_possible_truncation, reason = "a 32-bit guest's word")]
    fn store(&self, at: u64, wide: bool) -> Result<(), BadAddress> {
        if wide { mem::write(at, &(*self as u64)) } else { mem::write(at, &(*self as u32)) }
    }
}

impl GuestData for isize {
    const SIZE: [usize; 2] = [4, 8];
    const ALIGN: [usize; 2] = [4, 8];
    #[expect(clippy::cast_possible_truncation, reason = "the host is 64-bit")]
    fn load(at: u64, wide: bool) -> Result<Self, BadAddress> {
        if wide { mem::read::<i64>(at).map(|v| v as Self) } else { mem::read::<i32>(at).map(|v| v as Self) }
    }
    fn store(&self, at: u64, wide: bool) -> Result<(), BadAddress> {
        self.cast_unsigned().store(at, wide)
    }
}

impl<T: GuestData + Copy, const N: usize> GuestData for [T; N] {
    const SIZE: [usize; 2] = [T::SIZE[0] * N, T::SIZE[1] * N];
    const ALIGN: [usize; 2] = T::ALIGN;
    fn load(at: u64, wide: bool) -> Result<Self, BadAddress> {
        let mut out = [T::load(at, wide)?; N];
        for (i, item) in out.iter_mut().enumerate().skip(1) {
            *item = T::load(at.wrapping_add((T::SIZE[usize::from(wide)] * i) as u64), wide)?;
        }
        Ok(out)
    }
    fn store(&self, at: u64, wide: bool) -> Result<(), BadAddress> {
        for (i, item) in self.iter().enumerate() {
            item.store(at.wrapping_add((T::SIZE[usize::from(wide)] * i) as u64), wide)?;
        }
        Ok(())
    }
}

/// Where a structure's fields lie.
#[derive(Debug)]
pub struct Layout<const N: usize> {
    /// Offset of each field in bytes.
    pub offsets: [usize; N],
    /// Size of the structure, padded to its alignment.
    pub size: usize,
    /// Alignment of the structure.
    pub align: usize,
}

/// Lays fields, given as (size, alignment), out as a C compiler does.
#[must_use]
pub const fn layout<const N: usize>(fields: [(usize, usize); N]) -> Layout<N> {
    let mut out = Layout { offsets: [0; N], size: 0, align: 1 };
    let mut i = 0;
    while i < N {
        let (size, align) = fields[i];
        out.size = out.size.next_multiple_of(align);
        out.offsets[i] = out.size;
        out.size += size;
        if align > out.align {
            out.align = align;
        }
        i += 1;
    }
    out.size = out.size.next_multiple_of(out.align);
    out
}
