//! The fourth version of the compiler's tables (`FuncInfo4`): compressed numbers, optional fields, and states that name their
//! predecessors by distance.

use transom_sdk::mem::{self, BadAddress};

use super::tables::{Action, EMPTY, MOST, TryBlock};
use super::types::Handler;

/// Bits of the header.
mod header {
    pub(super) const IS_CATCH: u8 = 1;
    pub(super) const SEPARATED: u8 = 2;
    pub(super) const BBT: u8 = 4;
    pub(super) const UNWIND_MAP: u8 = 8;
    pub(super) const TRY_MAP: u8 = 16;
    pub(super) const SYNCHRONOUS: u8 = 32;
    pub(super) const NOEXCEPT: u8 = 64;
}

/// A cursor over compressed data.
#[derive(Clone, Copy, Debug)]
struct Reader(u64);

impl Reader {
    fn byte(&mut self) -> Result<u8, BadAddress> {
        let value = mem::read(self.0)?;
        self.0 += 1;
        Ok(value)
    }

    /// A number of one to five bytes: the lowest bits of the first say how many.
    fn number(&mut self) -> Result<u32, BadAddress> {
        let first: u8 = mem::read(self.0)?;
        let len = 1 + first.trailing_ones().min(4);
        let mut bytes = [0u8; 5];
        mem::copy_in(self.0, &mut bytes[..len as usize])?;
        self.0 += u64::from(len);
        if len == 5 {
            return Ok(u32::from_le_bytes([bytes[1], bytes[2], bytes[3], bytes[4]]));
        }
        Ok(u32::from_le_bytes([bytes[0], bytes[1], bytes[2], bytes[3]]) >> len)
    }

    fn offset(&mut self) -> Result<u32, BadAddress> {
        let value = mem::read(self.0)?;
        self.0 += 4;
        Ok(value)
    }
}

/// See the module documentation.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Tables4 {
    base: u64,
    flags: u8,
    /// Guest address where the function (or this part of it) begins.
    begin: u64,
    unwind_map: u64,
    try_map: u64,
    ip_map: u64,
    parent: u32,
}

impl Tables4 {
    /// Reads FuncInfo4. `begin` is the address of the function's first byte.
    pub(crate) fn read(at: u64, base: u64, begin: u64) -> Result<Self, BadAddress> {
        let mut r = Reader(at);
        let flags = r.byte()?;
        let has = |bit| flags & bit != 0;
        if has(header::BBT) {
            r.number()?;
        }
        let place = |offset: u32| if offset == 0 { 0 } else { base + u64::from(offset) };
        let unwind_map = if has(header::UNWIND_MAP) { place(r.offset()?) } else { 0 };
        let try_map = if has(header::TRY_MAP) { place(r.offset()?) } else { 0 };
        let mut ip_map = place(r.offset()?);
        if has(header::SEPARATED) {
            ip_map = Self::segment(ip_map, base, begin)?;
        }
        let parent = if has(header::IS_CATCH) { r.number()? } else { 0 };
        Ok(Self { base, flags, begin, unwind_map, try_map, ip_map, parent })
    }

    /// A function in several parts has a map for each: finds that of the part which begins at `begin`.
    fn segment(at: u64, base: u64, begin: u64) -> Result<u64, BadAddress> {
        let mut r = Reader(at);
        for _ in 0..r.number()?.min(MOST) {
            let (start, map) = (r.offset()?, r.offset()?);
            if base + u64::from(start) == begin {
                return Ok(base + u64::from(map));
            }
        }
        Ok(0)
    }

    pub(super) fn is_synchronous(&self) -> bool {
        self.flags & header::SYNCHRONOUS != 0
    }

    pub(super) fn is_noexcept(&self) -> bool {
        self.flags & header::NOEXCEPT != 0
    }

    /// In a catch block's function: where its frame keeps the address of its parent's.
    pub(super) fn parent_offset(&self) -> Option<u32> {
        (self.flags & header::IS_CATCH != 0).then_some(self.parent)
    }

    pub(super) fn state_at(&self, pc: u64) -> Result<i32, BadAddress> {
        if self.ip_map == 0 {
            return Ok(EMPTY);
        }
        let mut r = Reader(self.ip_map);
        let mut at = self.begin;
        let mut state = EMPTY;
        for _ in 0..r.number()?.min(MOST) {
            at += u64::from(r.number()?);
            if at > pc {
                break;
            }
            state = r.number()?.cast_signed() - 1;
        }
        Ok(state)
    }

    pub(super) fn try_block(&self, index: u32) -> Result<Option<TryBlock>, BadAddress> {
        if self.try_map == 0 {
            return Ok(None);
        }
        let mut r = Reader(self.try_map);
        let count = r.number()?.min(MOST);
        if index >= count {
            return Ok(None);
        }
        for _ in 0..index {
            for _ in 0..3 {
                r.number()?;
            }
            r.offset()?;
        }
        let (low, high, catch_high) = (r.number()?, r.number()?, r.number()?);
        let at = self.base + u64::from(r.offset()?);
        let mut handlers = Reader(at);
        let count = handlers.number()?.min(MOST);
        Ok(Some(TryBlock {
            low: low.cast_signed(),
            high: high.cast_signed(),
            catch_high: catch_high.cast_signed(),
            count,
            handlers: handlers.0,
        }))
    }

    pub(super) fn handler(&self, block: &TryBlock, index: u32) -> Result<Option<Handler>, BadAddress> {
        if index >= block.count {
            return Ok(None);
        }
        let mut r = Reader(block.handlers);
        for _ in 0..index {
            self.next_handler(&mut r)?;
        }
        self.next_handler(&mut r).map(Some)
    }

    fn next_handler(&self, r: &mut Reader) -> Result<Handler, BadAddress> {
        let what = r.byte()?;
        let adjectives = if what & 1 != 0 { r.number()? } else { 0 };
        let descriptor = if what & 2 != 0 { r.offset()? } else { 0 };
        let object = if what & 4 != 0 { r.number()?.cast_signed() } else { 0 };
        let function = self.base + u64::from(r.offset()?);
        let mut continuations = [0; 2];
        for place in continuations.iter_mut().take((what >> 4 & 3).min(2).into()) {
            *place = if what & 8 != 0 {
                self.base + u64::from(r.offset()?)
            } else {
                self.begin + u64::from(r.number()?)
            };
        }
        let descriptor = if descriptor == 0 { 0 } else { self.base + u64::from(descriptor) };
        Ok(Handler { adjectives, descriptor, object, function, frame: 0, continuations })
    }

    /// The entries are of different lengths, and each says how many bytes before it the entry of its predecessor begins.
    pub(super) fn before(&self, state: i32) -> Result<(i32, Action), BadAddress> {
        let Ok(wanted) = u32::try_from(state) else { return Ok((EMPTY, Action::None)) };
        if self.unwind_map == 0 {
            return Ok((EMPTY, Action::None));
        }
        let mut r = Reader(self.unwind_map);
        if wanted >= r.number()?.min(MOST) {
            return Ok((EMPTY, Action::None));
        }
        let first = r.0;
        let mut at = first;
        let mut entry = self.entry(&mut r)?;
        for _ in 0..wanted {
            at = r.0;
            entry = self.entry(&mut r)?;
        }
        let (back, action) = entry;
        let target = at.wrapping_sub(back.into());
        // Count the entries up to the predecessor; one before the first is the empty state.
        let mut r = Reader(first);
        let mut previous = EMPTY;
        let mut index = 0;
        while target >= first && r.0 <= target && index <= state {
            previous = index;
            self.entry(&mut r)?;
            index += 1;
        }
        Ok((previous, action))
    }

    fn entry(&self, r: &mut Reader) -> Result<(u32, Action), BadAddress> {
        let head = r.number()?;
        let action = match head & 3 {
            0 => Action::None,
            3 => Action::Funclet(self.base + u64::from(r.offset()?)),
            kind => {
                let function = self.base + u64::from(r.offset()?);
                let object = r.number()?;
                if kind == 1 {
                    Action::Destructor(function, object)
                } else {
                    Action::DestructorOfPointer(function, object)
                }
            }
        };
        Ok((head >> 2, action))
    }
}
