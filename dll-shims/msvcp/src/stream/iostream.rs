//! `basic_iostream<char>`, and what the constructors and destructors of all streams share.

use transom_loader::builtin::Upper;
use transom_sdk::{Crt, Cx, Ptr, data, shim};

use super::ios::Ios;
use super::{ios, istream, ostream};
use crate::class::Class;
use crate::object::{self, Field, Object};

/// Where the output stream and `basic_ios` lie in an object that is nothing more than a stream for both.
const OUTPUT_AT: Field = Field::at(0x10, 0x10);
const IOS_AT: Field = Field::at(0x20, 0x20);

static IOSTREAM: Class = Class {
    name: ".?AV?$basic_iostream@DU?$char_traits@D@std@@@std@@",
    base: Some(&ios::IOS),
    virtual_base: Some([0x20, 0x20]),
    functions: &[SHIM_delete_iostream],
};

const BASES: &str =
    "??_8?$basic_iostream@DU?$char_traits@D@std@@@std@@7B?$basic_istream@DU?$char_traits@D@std@@@1@@";
const OUTPUT_BASES: &str =
    "??_8?$basic_iostream@DU?$char_traits@D@std@@@std@@7B?$basic_ostream@DU?$char_traits@D@std@@@1@@";

/// Writes a table of bases.
pub(super) fn put_bases(cx: &Cx, at: Ptr<[u32; 2]>, ios_at: Field) {
    // The image is the DLL's own; a failure shows at the first use of the table.
    let _ = at.write(cx, [0, u32::try_from(ios_at.offset(cx)).unwrap_or(0)]);
}

/// The address of a variable of the DLL, by its name.
pub(super) fn exported(cx: &Cx, name: &str) -> Crt<u64> {
    let dll = cx.process().builtin("msvcp140.dll");
    Ok(dll.and_then(|dll| dll.by_name(name.as_bytes())).unwrap_or(0))
}

/// The table of bases as the input part sees it.
#[data(msvcp140(
    "??_8?$basic_iostream@DU?$char_traits@D@std@@@std@@7B?$basic_istream@DU?$char_traits@D@std@@@1@@"
))]
fn iostream_bases(cx: &Cx, at: Ptr<[u32; 2]>) {
    put_bases(cx, at, IOS_AT);
}

/// The table of bases as the output part sees it.
#[data(msvcp140(
    "??_8?$basic_iostream@DU?$char_traits@D@std@@@std@@7B?$basic_ostream@DU?$char_traits@D@std@@@1@@"
))]
fn output_bases(cx: &Cx, at: Ptr<[u32; 2]>) {
    put_bases(cx, at, Field::at(0x10, 0x10));
}

/// Ends the life of a stream, given its `basic_ios`, which lies at `ios_at` in a stream alone. In a larger object it is further away by as
/// much as the word before it says.
pub(super) fn delete_stream(cx: &Cx, ios: Object, ios_at: Field, flags: u32) -> Crt<Ptr<u8>> {
    let distance: i32 = transom_sdk::mem::read(ios.0 - 4)?;
    let stream = ios.0.wrapping_sub(ios_at.offset(cx)).wrapping_add_signed(-i64::from(distance));
    ios::destroy_ios(cx, Ptr::new(ios.0))?;
    if flags & 1 != 0 {
        object::free(cx, stream);
    }
    Ok(Ptr::new(stream))
}

/// Makes a stream for input and output. `complete` says that it is not a part of another object, which would have made its
/// `basic_ios`.
#[shim(msvcp140(
    "??0?$basic_iostream@DU?$char_traits@D@std@@@std@@QEAA@PEAV?$basic_streambuf@DU?$char_traits@D@std@@@1@@Z"
))]
fn iostream(cx: &Cx, this: Ptr<u8>, buffer: Ptr<u8>, complete: i32) -> Crt<Ptr<u8>> {
    let stream = Object::from(this);
    let output = Object(stream.field(cx, OUTPUT_AT));
    if complete != 0 {
        stream.set_pointer(cx, Field::after(0), exported(cx, BASES)?)?;
        output.set_pointer(cx, Field::after(0), exported(cx, OUTPUT_BASES)?)?;
    }
    let ios: Ios = istream::become_istream(cx, stream)?;
    ios.init(cx, buffer.into(), false)?;
    ostream::become_stream(cx, output, &ostream::OSTREAM, ostream::IOS_AT)?;
    ostream::become_stream(cx, stream, &IOSTREAM, IOS_AT)?;
    Ok(this)
}

/// Ends the life of a stream for input and output, which has nothing of its own; its `basic_ios` ends for itself.
#[shim(msvcp140("??1?$basic_iostream@DU?$char_traits@D@std@@@std@@UEAA@XZ"))]
fn destroy_iostream(_ios: Ptr<u8>) {}

/// Ends the life of a stream for input and output, given its `basic_ios`.
#[shim(msvcp140("??_G?$basic_iostream@DU?$char_traits@D@std@@@std@@UEAAPEAXI@Z"))]
fn delete_iostream(cx: &Cx, ios: Ptr<u8>, flags: u32) -> Crt<Ptr<u8>> {
    delete_stream(cx, ios.into(), IOS_AT, flags)
}
