//! Whether a guest structure is laid out as the Windows structure that it mirrors.
//!
//! Two witnesses, neither of them ours: `windows-sys`, whose structures have the 64-bit size; and a C program
//! (`sample-binaries/src/layouts.c`) that prints size and offsets as the C compilers for both widths have them.
//! What it prints is committed, and the tests of the sample binaries see to it that it still prints that.
//! `#[derive(Guest)]` makes a test that calls [`check`] for each structure with a `#[mirrors(...)]` attribute.

use crate::GuestData;

/// What the C program prints, 32-bit guests first: a line per structure, `NAME size S fields O O O ...`.
const WITNESSES: [&str; 2] = [
    include_str!("../../../sample-binaries/expected/layouts.32.stdout"),
    include_str!("../../../sample-binaries/expected/layouts.64.stdout"),
];

/// Compares the layouts of `T` with those of the structure `name`, which `windows-sys` calls `W`. Where `T` is not the
/// `whole` of it, its fields are the first ones.
///
/// # Panics
/// They differ, or the C program does not know the structure.
pub fn check<T: GuestData, W>(name: &str, whole: bool) {
    if whole {
        assert_eq!(T::SIZE[1], size_of::<W>(), "{name}: size");
    }
    for (width, witness) in WITNESSES.iter().enumerate() {
        let (size, offsets) =
            line(witness, name).unwrap_or_else(|| panic!("layouts.c does not print {name}"));
        assert_eq!(
            T::OFFSETS[width],
            offsets,
            "{name}, {}: offsets of the fields",
            ["32-bit", "64-bit"][width]
        );
        if whole {
            assert_eq!(T::SIZE[width], size, "{name}, {}: size", ["32-bit", "64-bit"][width]);
        }
    }
}

/// Size and offsets of a structure as the C program prints them.
fn line(witness: &str, name: &str) -> Option<(usize, Vec<usize>)> {
    let words: Vec<_> = witness.lines().map(|l| l.split(' ').collect::<Vec<_>>()).find(|w| w[0] == name)?;
    let number = |word: &&str| word.parse().expect("a number of bytes");
    Some((number(&words[2]), words[4..].iter().map(number).collect()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_witnesses_name_the_same_structures() {
        let names = |w: &'static str| w.lines().map(|l| l.split(' ').next().unwrap()).collect::<Vec<_>>();
        assert!(names(WITNESSES[0]).len() > 50);
        assert_eq!(names(WITNESSES[0]), names(WITNESSES[1]));
    }

    #[test]
    #[should_panic(expected = "offsets of the fields")]
    fn a_difference_is_seen() {
        check::<[u8; 8], u64>("FILETIME", false);
    }
}
