//! The functions of `ios_base`.

use std::sync::atomic::{AtomicBool, Ordering};

use transom_sdk::{Crt, Cx, Ptr, shim};

use super::attached::{self, Event};
use super::basic::{IOS_BASE, destroy_ios};
use super::{CALLBACKS, EXCEPTIONS, FLAGS, Ios, LOCALE, PRECISION, STATE, WIDTH, WORDS, state};
use crate::class;
use crate::locale;
use crate::object::{self, Object};

/// The bits that flags have.
const ALL_FLAGS: i32 = 0xFFFF;

/// Makes an `ios_base`; `_Init` makes its fields.
#[shim(msvcp140("??0ios_base@std@@IEAA@XZ"))]
fn ios_base(cx: &Cx, this: Ptr<u8>) -> Crt<Ptr<u8>> {
    class::become_one(cx, this.into(), &IOS_BASE)?;
    Ok(this)
}

/// Ends the life of an `ios_base`.
#[shim(msvcp140("??1ios_base@std@@UEAA@XZ"))]
fn destroy_ios_base(cx: &Cx, this: Ptr<u8>) -> Crt<()> {
    destroy_ios(cx, Ios(this.into()))
}

/// Makes the fields.
#[shim(msvcp140("?_Init@ios_base@std@@IEAAXXZ"))]
fn init(cx: &Cx, this: Ptr<u8>) -> Crt<()> {
    Ios(this.into()).init_base(cx)
}

/// Marks a standard stream, which is not taken down.
#[shim(msvcp140("?_Addstd@ios_base@std@@SAXPEAV12@@Z"))]
fn addstd(cx: &Cx, stream: Ptr<u8>) -> Crt<()> {
    Ios(stream.into()).set_standard(cx)
}

/// Whether nothing has failed and the end was not seen.
#[shim(msvcp140("?good@ios_base@std@@QEBA_NXZ"))]
fn good(cx: &Cx, this: Ptr<u8>) -> Crt<u8> {
    Ok(Ios(this.into()).is_good(cx)?.into())
}

fn has(cx: &Cx, this: Ptr<u8>, bits: i32) -> Crt<bool> {
    Ok(Ios(this.into()).state(cx)? & bits != 0)
}

/// Whether the end was seen.
#[shim(msvcp140("?eof@ios_base@std@@QEBA_NXZ"))]
fn eof(cx: &Cx, this: Ptr<u8>) -> Crt<u8> {
    Ok(has(cx, this, state::EOF)?.into())
}

/// Whether something has failed.
#[shim(msvcp140("?fail@ios_base@std@@QEBA_NXZ", "??7ios_base@std@@QEBA_NXZ"))]
fn fail(cx: &Cx, this: Ptr<u8>) -> Crt<u8> {
    Ok(has(cx, this, state::FAIL | state::BAD)?.into())
}

/// Whether nothing has failed.
#[shim(msvcp140("??Bios_base@std@@QEBA_NXZ"))]
fn has_not_failed(cx: &Cx, this: Ptr<u8>) -> Crt<u8> {
    Ok((!has(cx, this, state::FAIL | state::BAD)?).into())
}

/// Whether characters may have been lost.
#[shim(msvcp140("?bad@ios_base@std@@QEBA_NXZ"))]
fn bad(cx: &Cx, this: Ptr<u8>) -> Crt<u8> {
    Ok(has(cx, this, state::BAD)?.into())
}

/// The state.
#[shim(msvcp140("?rdstate@ios_base@std@@QEBAHXZ"))]
fn rdstate(cx: &Cx, this: Ptr<u8>) -> Crt<i32> {
    Ios(this.into()).state(cx)
}

/// Sets the state.
#[shim(msvcp140("?clear@ios_base@std@@QEAAXH_N@Z"))]
fn clear(cx: &Cx, this: Ptr<u8>, bits: i32, rethrow: u8) -> Crt<()> {
    Ios(this.into()).set_exactly(cx, bits, rethrow != 0)
}

/// Sets the state.
#[shim(msvcp140("?clear@ios_base@std@@QEAAXH@Z", "?clear@ios_base@std@@QEAAXI@Z"))]
fn clear_to(cx: &Cx, this: Ptr<u8>, bits: i32) -> Crt<()> {
    clear(cx, this, bits, 0)
}

/// Adds to the state.
#[shim(msvcp140("?setstate@ios_base@std@@QEAAXH_N@Z"))]
fn setstate(cx: &Cx, this: Ptr<u8>, bits: i32, rethrow: u8) -> Crt<()> {
    clear(cx, this, rdstate(cx, this)? | bits, rethrow)
}

/// Adds to the state.
#[shim(msvcp140("?setstate@ios_base@std@@QEAAXH@Z", "?setstate@ios_base@std@@QEAAXI@Z"))]
fn add_state(cx: &Cx, this: Ptr<u8>, bits: i32) -> Crt<()> {
    setstate(cx, this, bits, 0)
}

/// The states for which exceptions are thrown.
#[shim(msvcp140("?exceptions@ios_base@std@@QEBAHXZ"))]
fn exceptions(cx: &Cx, this: Ptr<u8>) -> Crt<i32> {
    Object::from(this).get(cx, EXCEPTIONS)
}

/// Sets for which states exceptions are thrown; throws at once if the stream is in one of them.
#[shim(msvcp140("?exceptions@ios_base@std@@QEAAXH@Z", "?exceptions@ios_base@std@@QEAAXI@Z"))]
fn set_exceptions(cx: &Cx, this: Ptr<u8>, bits: i32) -> Crt<()> {
    Object::from(this).set(cx, EXCEPTIONS, bits & state::ALL)?;
    clear(cx, this, rdstate(cx, this)?, 0)
}

/// The format flags.
#[shim(msvcp140("?flags@ios_base@std@@QEBAHXZ"))]
fn flags(cx: &Cx, this: Ptr<u8>) -> Crt<i32> {
    Ios(this.into()).flags(cx)
}

/// Sets the format flags; returns the ones before.
#[shim(msvcp140("?flags@ios_base@std@@QEAAHH@Z"))]
fn set_flags(cx: &Cx, this: Ptr<u8>, new: i32) -> Crt<i32> {
    let before = flags(cx, this)?;
    Object::from(this).set(cx, FLAGS, new & ALL_FLAGS)?;
    Ok(before)
}

/// Adds format flags; returns the ones before.
#[shim(msvcp140("?setf@ios_base@std@@QEAAHH@Z"))]
fn setf(cx: &Cx, this: Ptr<u8>, more: i32) -> Crt<i32> {
    set_flags(cx, this, flags(cx, this)? | more)
}

/// Sets some of the format flags; returns all before.
#[shim(msvcp140("?setf@ios_base@std@@QEAAHHH@Z"))]
fn setf_of(cx: &Cx, this: Ptr<u8>, new: i32, mask: i32) -> Crt<i32> {
    set_flags(cx, this, flags(cx, this)? & !mask | new & mask)
}

/// Takes format flags away.
#[shim(msvcp140("?unsetf@ios_base@std@@QEAAXH@Z"))]
fn unsetf(cx: &Cx, this: Ptr<u8>, mask: i32) -> Crt<()> {
    setf_of(cx, this, 0, mask).map(drop)
}

/// The precision of numbers.
#[shim(msvcp140("?precision@ios_base@std@@QEBA_JXZ"))]
fn precision(cx: &Cx, this: Ptr<u8>) -> Crt<i64> {
    Object::from(this).get(cx, PRECISION)
}

/// Sets the precision of numbers; returns the one before.
#[shim(msvcp140("?precision@ios_base@std@@QEAA_J_J@Z"))]
fn set_precision(cx: &Cx, this: Ptr<u8>, new: i64) -> Crt<i64> {
    let before = precision(cx, this)?;
    Ios(this.into()).set_precision(cx, new)?;
    Ok(before)
}

/// The width of the next field.
#[shim(msvcp140("?width@ios_base@std@@QEBA_JXZ"))]
fn width(cx: &Cx, this: Ptr<u8>) -> Crt<i64> {
    Object::from(this).get(cx, WIDTH)
}

/// Sets the width of the next field; returns the one before.
#[shim(msvcp140("?width@ios_base@std@@QEAA_J_J@Z"))]
fn set_width(cx: &Cx, this: Ptr<u8>, new: i64) -> Crt<i64> {
    let before = width(cx, this)?;
    Ios(this.into()).set_width(cx, new)?;
    Ok(before)
}

/// A copy of the locale.
#[shim(msvcp140("?getloc@ios_base@std@@QEBA?AVlocale@2@XZ"))]
fn getloc(cx: &Cx, this: Ptr<u8>, result: Ptr<u8>) -> Crt<Ptr<u8>> {
    locale::copy(cx, result.into(), Ios(this.into()).locale(cx)?)?;
    Ok(result)
}

/// Sets the locale; returns the one before.
#[shim(msvcp140("?imbue@ios_base@std@@QEAA?AVlocale@2@AEBV32@@Z"))]
pub(super) fn imbue(cx: &Cx, this: Ptr<u8>, result: Ptr<u8>, new: Ptr<u8>) -> Crt<Ptr<u8>> {
    let ios = Ios(this.into());
    let own = ios.locale(cx)?;
    locale::copy(cx, result.into(), own)?;
    locale::assign(cx, own, new.into())?;
    attached::notify(cx, ios, Event::Imbue)?;
    Ok(result)
}

/// Copies the format, the locale, and what the program keeps with it from another stream.
#[shim(msvcp140("?copyfmt@ios_base@std@@QEAAAEAV12@AEBV12@@Z"))]
pub(super) fn copyfmt(cx: &Cx, this: Ptr<u8>, other: Ptr<u8>) -> Crt<Ptr<u8>> {
    let (to, from) = (Ios(this.into()), Ios(other.into()));
    if to.0 != from.0 {
        attached::clear(cx, to)?;
        locale::assign(cx, to.locale(cx)?, from.locale(cx)?)?;
        to.set_flags(cx, from.flags(cx)?)?;
        to.set_precision(cx, precision(cx, other)?)?;
        to.set_width(cx, width(cx, other)?)?;
        attached::copy(cx, to, from)?;
        attached::notify(cx, to, Event::CopyFormat)?;
        set_exceptions(cx, this, exceptions(cx, other)?)?;
    }
    Ok(this)
}

/// Exchanges two.
#[shim(msvcp140("?swap@ios_base@std@@QEAAXAEAV12@@Z"))]
pub(super) fn swap(cx: &Cx, this: Ptr<u8>, other: Ptr<u8>) -> Crt<()> {
    let (a, b) = (Object::from(this), Object::from(other));
    for field in [STATE, EXCEPTIONS, FLAGS] {
        object::swap_fields::<i32>(cx, a, b, field)?;
    }
    for field in [PRECISION, WIDTH] {
        object::swap_fields::<i64>(cx, a, b, field)?;
    }
    for field in [WORDS, CALLBACKS, LOCALE] {
        object::swap_fields::<usize>(cx, a, b, field)?;
    }
    Ok(())
}

/// Whether the standard streams are not those of the C runtime any more.
#[derive(Default)]
struct State {
    apart: AtomicBool,
}

/// Says whether the standard streams are used together with the C runtime's: they can be in any case. Returns what was said before.
#[shim(msvcp140("?sync_with_stdio@ios_base@std@@SA_N_N@Z"))]
fn sync_with_stdio(cx: &Cx, together: u8) -> u8 {
    let apart = cx.state::<State>().apart.swap(together == 0, Ordering::Relaxed);
    (!apart).into()
}
