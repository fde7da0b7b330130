//! Streams: buffers ([`buffer`]), the state that all streams share ([`ios`]), output ([`ostream`], with numbers in [`number`]),
//! input ([`istream`]; of numbers, [`extract`]), both ([`iostream`]), what their constructors share ([`make`]), manipulators with
//! arguments ([`manipulator`]), buffers on the C runtime's streams ([`filebuf`]) and the standard streams ([`standard`]).
//!
//! Everything is there for `char` and for `wchar_t`. `basic_ios` is a virtual base of the streams: it lies where the first entry of a
//! stream's table of bases says. File and string streams are classes of the headers, compiled into the programs.

pub(crate) mod buffer;
pub(crate) mod extract;
pub(crate) mod filebuf;
pub(crate) mod insert;
pub(crate) mod ios;
pub(crate) mod iostream;
pub(crate) mod istream;
pub(crate) mod make;
pub(crate) mod manipulator;
pub(crate) mod number;
pub(crate) mod open;
pub(crate) mod ostream;
pub(crate) mod standard;

/// The name, as type descriptors have it, of a class template over a character and its traits.
macro_rules! class_name {
    ($character:ty, $class:literal) => {
        if <$character as transom_crt::unit::Unit>::WIDE {
            concat!(".?AV?$", $class, "@_WU?$char_traits@_W@std@@@std@@")
        } else {
            concat!(".?AV?$", $class, "@DU?$char_traits@D@std@@@std@@")
        }
    };
}
pub(crate) use class_name;
