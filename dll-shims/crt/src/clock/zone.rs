//! The local time zone as the runtimes see it: the system's, or a fixed one from the variable `TZ` (`tzn[+-]hh[:mm[:ss]][dzn]`).

use std::sync::OnceLock;

use transom_sdk::{Crt, Cx, GuestData, Ptr, data, shim};
use transom_syscalls::time as service;

use crate::rt::errno::{EINVAL, ERANGE};
use crate::rt::globals::{self, Var};
use crate::rt::guest;
use crate::rt::invalid::invalid;
use crate::stdlib::env;
use crate::time::Zone;

/// A zone with the numbers of the current year.
#[derive(Debug)]
pub(crate) struct Local {
    zone: service::zone::Zone,
    standard: i32,
    daylight: i32,
    names: [String; 2],
}

impl Zone for Local {
    fn offset_at(&self, utc: i64) -> (i32, bool) {
        let offset = self.zone.offset_at(service::from_unix(utc, 0));
        (offset.seconds, offset.daylight)
    }

    fn standard(&self) -> i32 {
        self.standard
    }

    fn daylight(&self) -> i32 {
        self.daylight
    }

    fn names(&self) -> [&str; 2] {
        [&self.names[0], &self.names[1]]
    }
}

/// The zone, found on first use.
#[derive(Default)]
struct State(OnceLock<Local>);

/// The local time zone.
pub(crate) fn local(cx: &Cx) -> &'static Local {
    cx.state::<State>().0.get_or_init(|| {
        let named = env::find(cx, &[0x54, 0x5A]).map(|tz| String::from_utf16_lossy(&tz));
        let zone = service::zone::Zone::local();
        let year = i64::from(crate::time::gmtime(super::now().0).map_or(2000, |tm| tm.year + 1900));
        let rules = zone.year(year);
        let (standard_name, daylight_name) = zone.display_names();
        let mut names = [standard_name, daylight_name];
        if let Some(tz) = named.filter(|tz| tz.len() >= 3 && !tz.contains('/')) {
            names[0] = tz[..3].to_owned();
            let tail: String = tz[3..].trim_start_matches(|c: char| !c.is_ascii_alphabetic()).to_owned();
            names[1] = tail.chars().take(3).collect();
        }
        Local { zone, standard: -rules.bias * 60, daylight: -rules.daylight_bias * 60, names }
    })
}

/// Stores the variables of the time zone.
fn publish(cx: &Cx) -> Crt<()> {
    let zone = local(cx);
    globals::set_int(cx, Var::Timezone, -zone.standard)?;
    globals::set_int(cx, Var::Daylight, i32::from(zone.daylight != 0))?;
    globals::set_int(cx, Var::Dstbias, -zone.daylight)?;
    let (table, fresh) = globals::place(cx, Var::Tzname, 16)?;
    let first = globals::read_pointer(cx, table)?;
    if fresh || first == 0 {
        for (i, name) in zone.names.iter().enumerate() {
            let at = globals::allocate(cx, 64)?;
            let text = name.as_bytes();
            guest::put(at, &text[..text.len().min(63)])?;
            globals::write_pointer(cx, table + i as u64 * globals::pointer_size(cx), at)?;
        }
    }
    Ok(())
}

/// Sets the variables of the time zone.
#[shim(msvcrt(_tzset, tzset), ucrtbase(_tzset, tzset))]
fn _tzset(cx: &Cx) -> Crt<()> {
    publish(cx)
}

/// The address of a variable of the time zone.
fn address(cx: &Cx, var: Var) -> Crt<Ptr<u8>> {
    publish(cx)?;
    globals::small(cx, var).map(Ptr::new)
}

/// Seconds from local standard time to UTC.
#[shim(msvcrt(__p__timezone), ucrtbase(__timezone))]
fn __timezone(cx: &Cx) -> Crt<Ptr<u8>> {
    address(cx, Var::Timezone)
}

/// Whether there is daylight saving.
#[shim(msvcrt(__p__daylight), ucrtbase(__daylight))]
fn __daylight(cx: &Cx) -> Crt<Ptr<u8>> {
    address(cx, Var::Daylight)
}

/// Seconds that daylight saving takes from the difference to UTC.
#[shim(msvcrt(__p__dstbias), ucrtbase(__dstbias))]
fn __dstbias(cx: &Cx) -> Crt<Ptr<u8>> {
    address(cx, Var::Dstbias)
}

/// Names of standard and daylight saving time.
#[shim(msvcrt(__p__tzname), ucrtbase(__tzname))]
fn __tzname(cx: &Cx) -> Crt<Ptr<u8>> {
    address(cx, Var::Tzname)
}

/// Seconds from local standard time to UTC.
#[data(msvcrt)]
fn _timezone(cx: &Cx, at: Ptr<i32>) {
    globals::adopt(cx, Var::Timezone, at.addr(), 4);
    // The value until `_tzset` is called: Pacific time, as the runtimes have it.
    let _ = at.write(cx, 28_800);
}

/// Whether there is daylight saving.
#[data(msvcrt)]
fn _daylight(cx: &Cx, at: Ptr<i32>) {
    globals::adopt(cx, Var::Daylight, at.addr(), 4);
    let _ = at.write(cx, 1);
}

/// Seconds that daylight saving takes from the difference to UTC.
#[data(msvcrt)]
fn _dstbias(cx: &Cx, at: Ptr<i32>) {
    globals::adopt(cx, Var::Dstbias, at.addr(), 4);
    let _ = at.write(cx, -3600);
}

/// Two pointers to names.
struct Names;

impl GuestData for Names {
    const SIZE: [usize; 2] = [8, 16];
    const ALIGN: [usize; 2] = [4, 8];

    fn load(_at: u64, _wide: bool) -> Result<Self, transom_sdk::BadAddress> {
        Ok(Self)
    }

    fn store(&self, _at: u64, _wide: bool) -> Result<(), transom_sdk::BadAddress> {
        Ok(())
    }
}

/// Names of standard and daylight saving time.
#[data(msvcrt)]
fn _tzname(cx: &Cx, at: Ptr<Names>) {
    globals::adopt(cx, Var::Tzname, at.addr(), 16);
    // What goes wrong here shows as NULL names.
    let _ = publish(cx);
}

/// Stores seconds from local standard time to UTC.
#[shim(msvcrt, ucrtbase, fails = 22)]
fn _get_timezone(cx: &Cx, to: Ptr<i32>) -> Crt<i32> {
    to.write(cx, -local(cx).standard)?;
    Ok(0)
}

/// Stores the hours of daylight saving.
#[shim(msvcrt, ucrtbase, fails = 22)]
fn _get_daylight(cx: &Cx, to: Ptr<i32>) -> Crt<i32> {
    to.write(cx, i32::from(local(cx).daylight != 0))?;
    Ok(0)
}

/// Stores the seconds of daylight saving.
#[shim(msvcrt, ucrtbase, fails = 22)]
fn _get_dstbias(cx: &Cx, to: Ptr<i32>) -> Crt<i32> {
    to.write(cx, -local(cx).daylight)?;
    Ok(0)
}

/// Copies a name of the time zone: 0 standard, 1 daylight saving.
#[shim(msvcrt, ucrtbase, fails = 22)]
fn _get_tzname(cx: &Cx, length: Ptr<usize>, buffer: Ptr<u8>, size: usize, index: i32) -> Crt<i32> {
    let name = usize::try_from(index).ok().and_then(|i| local(cx).names.get(i));
    let Some(name) = name else { return Err(invalid(cx, EINVAL)) };
    length.write(cx, name.len() + 1)?;
    if buffer.is_null() {
        return Ok(0);
    }
    if name.len() >= size {
        return Ok(ERANGE);
    }
    guest::put(buffer.addr(), name.as_bytes())?;
    Ok(0)
}
