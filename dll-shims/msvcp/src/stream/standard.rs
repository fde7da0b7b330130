//! `cin`, `cout`, `cerr`, `clog` and those of wide characters: streams on the C runtime's, so that both can be used at once.

use transom_sdk::{Crt, Cx, Ptr, Variable, data, shim};

use super::ios::flag;
use super::{filebuf, istream, make, ostream};
use crate::character::Character;
use crate::class;

/// Numbers of the runtime's streams.
const INPUT: u32 = 0;
const OUTPUT: u32 = 1;
const ERRORS: u32 = 2;

/// Room for a stream's object.
type Room = [u64; 16];

/// Reports a standard stream that could not be made: there is no caller to tell.
fn note(made: Crt<()>) {
    if let Err(error) = made {
        log::warn!("a standard stream of C++ could not be made: {error:?}");
    }
}

/// Makes a stream for output.
fn make_output<C: Character>(cx: &Cx, at: Ptr<Room>, number: u32) -> Crt<()> {
    let buffer = filebuf::make::<C>(cx, number)?;
    ostream::ostream::<C>(cx, at.cast(), Ptr::new(buffer.0), 1, 1).map(drop)
}

/// Makes a stream for errors, which shows at once what is written, after standard output.
fn make_errors<C: Character>(cx: &Cx, at: Ptr<Room>, output: Variable) -> Crt<()> {
    make_output::<C>(cx, at, ERRORS)?;
    let ios = make::ios_of(cx, at.into())?;
    ios.set_flags(cx, ios.flags(cx)? | flag::UNIT_BUFFERED)?;
    ios.tie(cx, class::variable(cx, output))
}

/// Makes a stream for input, before which standard output is shown.
fn make_input<C: Character>(cx: &Cx, at: Ptr<Room>, output: Variable) -> Crt<()> {
    let buffer = filebuf::make::<C>(cx, INPUT)?;
    istream::istream::<C>(cx, at.cast(), Ptr::new(buffer.0), 1, 1)?;
    make::ios_of(cx, at.into())?.tie(cx, class::variable(cx, output))
}

/// Standard output.
#[data(msvcp140("?cout@std@@3V?$basic_ostream@DU?$char_traits@D@std@@@1@A"))]
fn cout(cx: &Cx, at: Ptr<Room>) {
    note(make_output::<u8>(cx, at, OUTPUT));
}

/// Standard output of wide characters.
#[data(msvcp140("?wcout@std@@3V?$basic_ostream@_WU?$char_traits@_W@std@@@1@A"))]
fn wcout(cx: &Cx, at: Ptr<Room>) {
    note(make_output::<u16>(cx, at, OUTPUT));
}

/// Standard error, shown at once.
#[data(msvcp140("?cerr@std@@3V?$basic_ostream@DU?$char_traits@D@std@@@1@A"))]
fn cerr(cx: &Cx, at: Ptr<Room>) {
    note(make_errors::<u8>(cx, at, DATA_cout));
}

/// Standard error of wide characters, shown at once.
#[data(msvcp140("?wcerr@std@@3V?$basic_ostream@_WU?$char_traits@_W@std@@@1@A"))]
fn wcerr(cx: &Cx, at: Ptr<Room>) {
    note(make_errors::<u16>(cx, at, DATA_wcout));
}

/// Standard error.
#[data(msvcp140("?clog@std@@3V?$basic_ostream@DU?$char_traits@D@std@@@1@A"))]
fn clog(cx: &Cx, at: Ptr<Room>) {
    note(make_output::<u8>(cx, at, ERRORS));
}

/// Standard error of wide characters.
#[data(msvcp140("?wclog@std@@3V?$basic_ostream@_WU?$char_traits@_W@std@@@1@A"))]
fn wclog(cx: &Cx, at: Ptr<Room>) {
    note(make_output::<u16>(cx, at, ERRORS));
}

/// Standard input.
#[data(msvcp140("?cin@std@@3V?$basic_istream@DU?$char_traits@D@std@@@1@A"))]
fn cin(cx: &Cx, at: Ptr<Room>) {
    note(make_input::<u8>(cx, at, DATA_cout));
}

/// Standard input of wide characters.
#[data(msvcp140("?wcin@std@@3V?$basic_istream@_WU?$char_traits@_W@std@@@1@A"))]
fn wcin(cx: &Cx, at: Ptr<Room>) {
    note(make_input::<u16>(cx, at, DATA_wcout));
}

/// Makes sure that the standard streams are there: they are whenever a program names them.
#[shim(msvcp140("??0Init@ios_base@std@@QEAA@XZ", "??0_Winit@std@@QEAA@XZ"))]
fn init(this: Ptr<u8>) -> Ptr<u8> {
    this
}

/// Empties standard output and standard error.
#[shim(msvcp140("??1Init@ios_base@std@@QEAA@XZ", "??1_Winit@std@@QEAA@XZ"))]
fn end(cx: &Cx, _this: Ptr<u8>) -> Crt<()> {
    for number in [OUTPUT, ERRORS] {
        filebuf::flush(cx, number)?;
    }
    Ok(())
}
