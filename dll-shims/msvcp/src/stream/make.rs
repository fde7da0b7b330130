//! What the constructors and destructors of all streams share: the table of bases, and the classes' virtual functions, which lie in
//! `basic_ios`.

use transom_sdk::{Crt, Cx, Ptr, mem};

use super::ios::{self, Ios};
use crate::class::{self, Class};
use crate::object::{self, Field, Object};

/// A table of bases: where the table's pointer is in the object, and where `basic_ios` is, both seen from that pointer.
pub(super) type Bases = [u32; 2];

/// Writes a table of bases.
pub(super) fn put_bases(cx: &Cx, at: Ptr<Bases>, ios_at: Field) {
    // The image is the DLL's own; a failure shows at the first use of the table.
    let _ = at.write(cx, [0, u32::try_from(ios_at.offset(cx)).unwrap_or(0)]);
}

/// A stream's `basic_ios`, found through its table of bases.
pub(super) fn ios_of(cx: &Cx, stream: Object) -> Crt<Ios> {
    let table = Object(stream.pointer(cx, Field::after(0))?);
    let offset: i32 = table.get(cx, Field::at(4, 4))?;
    Ok(Ios(Object(stream.0.wrapping_add_signed(offset.into()))))
}

/// Makes the stream's own part, and says how far its `basic_ios` is from where it would be in a stream alone.
pub(super) fn become_stream(cx: &Cx, stream: Object, class: &'static Class, ios_at: Field) -> Crt<Ios> {
    let ios = ios_of(cx, stream)?;
    class::become_one(cx, ios.0, class)?;
    let distance = ios.0.0.wrapping_sub(stream.field(cx, ios_at));
    mem::write(ios.0.0 - 4, &i32::try_from(distance.cast_signed()).unwrap_or(0))?;
    Ok(ios)
}

/// Ends the life of a whole stream: of its `basic_ios`, as the rest has nothing to end.
pub(super) fn destroy(cx: &Cx, stream: Object) -> Crt<()> {
    ios::destroy_ios(cx, ios_of(cx, stream)?)
}

/// Ends the life of a stream, given its `basic_ios`, which lies at `ios_at` in a stream alone. In a larger object it is further away by as
/// much as the word before it says.
pub(super) fn delete(cx: &Cx, ios: Object, ios_at: Field, flags: u32) -> Crt<Ptr<u8>> {
    let distance: i32 = mem::read(ios.0 - 4)?;
    let stream = ios.0.wrapping_sub(ios_at.offset(cx)).wrapping_add_signed(-i64::from(distance));
    ios::destroy_ios(cx, Ios(ios))?;
    if flags & 1 != 0 {
        object::free(cx, stream);
    }
    Ok(Ptr::new(stream))
}
