//! `numpunct`: how numbers are written: the decimal point, the separator between groups of digits, words for true and false. The class is
//! the headers', compiled into the programs; a locale without one has the C locale's.

use transom_sdk::{Crt, Cx, Ptr, data};

use super::locimp;
use crate::character::Character;
use crate::class;
use crate::object::{self, Field, Object, Words};

/// The punctuation of a locale.
#[derive(Clone, Debug)]
pub(crate) struct Punct<C> {
    pub(crate) point: C,
    pub(crate) separator: C,
    /// Sizes of groups of digits, from the last; the last size is for all others.
    pub(crate) grouping: Vec<u8>,
    pub(crate) false_name: Vec<C>,
    pub(crate) true_name: Vec<C>,
}

/// A size of groups that means that there are no more.
const NO_MORE: u8 = i8::MAX.cast_unsigned();

/// Slots of virtual functions.
const POINT: u16 = 3;
const SEPARATOR: u16 = 4;
const GROUPING: u16 = 5;
const FALSE_NAME: u16 = 6;
const TRUE_NAME: u16 = 7;

/// Takes a `basic_string` that a virtual function returned.
fn take_string<C: Character>(cx: &Cx, facet: Object, slot: u16) -> Crt<Vec<C>> {
    const SIZE: Field = Field::at(16, 16);
    const CAPACITY: Field = Field::at(20, 24);
    const ROOM: u64 = 16;
    const LONGEST: usize = 1 << 16;
    let place = Object(object::allocate(cx, 32)?);
    facet.call(cx, slot, Words::new(cx).word(place.0))?;
    let (size, capacity): (usize, usize) = (place.get(cx, SIZE)?, place.get(cx, CAPACITY)?);
    let outside = C::bytes(capacity) >= ROOM;
    let at = if outside { place.pointer(cx, Field::after(0))? } else { place.0 };
    let text = C::read(at, size.min(LONGEST))?;
    if outside {
        object::free(cx, at);
    }
    object::free(cx, place.0);
    Ok(text)
}

impl<C: Character> Punct<C> {
    /// The C locale's.
    pub(crate) fn classic() -> Self {
        Self {
            point: C::from_ascii(b'.'),
            separator: C::from_ascii(b','),
            grouping: Vec::new(),
            false_name: C::of_text(b"false"),
            true_name: C::of_text(b"true"),
        }
    }

    /// That of a locale.
    pub(crate) fn of(cx: &Cx, locale: Object) -> Crt<Self> {
        let number: usize = Ptr::<usize>::new(class::variable(cx, DATA_numpunct_id::<C>)).read(cx)?;
        let implementation = super::implementation(cx, locale)?;
        match locimp::own_facet(cx, implementation, number)? {
            Some(facet) if number != 0 => Ok(Self {
                point: character(facet.call(cx, POINT, Words::new(cx))?),
                separator: character(facet.call(cx, SEPARATOR, Words::new(cx))?),
                grouping: take_string(cx, facet, GROUPING)?,
                false_name: take_string(cx, facet, FALSE_NAME)?,
                true_name: take_string(cx, facet, TRUE_NAME)?,
            }),
            _ => Ok(Self::classic()),
        }
    }

    /// Puts separators between groups of digits.
    pub(crate) fn grouped(&self, digits: Vec<C>) -> Vec<C> {
        let (mut out, mut index) = (digits, 0);
        let mut at = out.len();
        while let Some(size @ 1..NO_MORE) = self.grouping.get(index).copied()
            && usize::from(size) < at
        {
            at -= usize::from(size);
            out.insert(at, self.separator);
            index += usize::from(self.grouping.get(index + 1).is_some_and(|next| *next > 0));
        }
        out
    }
}

/// A character that a function returned.
#[expect(clippy::cast_possible_truncation, reason = "the result is at most 16 bits wide")]
fn character<C: Character>(word: u64) -> C {
    C::from_code(word as u32)
}

/// The number of `numpunct`.
#[data(msvcp140("?id@?$numpunct@{c}@std@@2V0locale@2@A"))]
fn numpunct_id<C: Character>(cx: &Cx, at: Ptr<usize>) {}
