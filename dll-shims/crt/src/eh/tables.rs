//! What the compiler says of a C++ function (`FuncInfo`, third version): states, the actions that lead from each to the one before
//! it, try blocks with their catch blocks, and which state each address is in.
//!
//! On x86-64 and ARM64 places are offsets from the image's base, on x86 addresses. The fourth version, a compressed form
//! with the same contents, is in [`super::tables4`].

use transom_sdk::Cx;
use transom_sdk::mem::{self, BadAddress};

use super::tables4::Tables4;
use super::types::Handler;

/// The most entries looked at in a table; more is corruption.
pub(crate) const MOST: u32 = 1 << 20;

/// The state outside of everything.
pub(crate) const EMPTY: i32 = -1;

/// A try block.
#[derive(Clone, Copy, Debug)]
pub(crate) struct TryBlock {
    pub(crate) low: i32,
    pub(crate) high: i32,
    pub(crate) catch_high: i32,
    /// Number of catch blocks (third version) and where they are.
    pub(crate) count: u32,
    pub(crate) handlers: u64,
}

/// What to do on the way from a state to the one before it.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Action {
    /// Nothing.
    None,
    /// Call a function with the frame.
    Funclet(u64),
    /// Call a destructor for the object at an offset in the frame.
    Destructor(u64, u32),
    /// Call a destructor for the object that a pointer in the frame points to.
    DestructorOfPointer(u64, u32),
}

/// A function's tables.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Tables {
    V3(Tables3),
    V4(Tables4),
}

/// The third version.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Tables3 {
    base: u64,
    words: [u32; 10],
    wide: bool,
}

/// Fields of FuncInfo, as indices of words. After them the 64-bit structure has one more than the 32-bit one.
mod field {
    pub(super) const MAGIC: usize = 0;
    pub(super) const MAX_STATE: usize = 1;
    pub(super) const UNWIND_MAP: usize = 2;
    pub(super) const TRY_COUNT: usize = 3;
    pub(super) const TRY_MAP: usize = 4;
    pub(super) const IP_COUNT: usize = 5;
    pub(super) const IP_MAP: usize = 6;
}

/// The versions of FuncInfo that have EHFlags, and the flags.
const MAGIC_WITH_FLAGS: u32 = 0x1993_0522;
const MAGIC_MASK: u32 = 0x1FFF_FFFF;
const FLAG_SYNCHRONOUS: u32 = 1;
const FLAG_NOEXCEPT: u32 = 4;

impl Tables3 {
    /// Reads FuncInfo.
    pub(crate) fn read(cx: &Cx, at: u64, base: u64) -> Result<Self, BadAddress> {
        let mut words = [0u32; 10];
        let wide = cx.is_64();
        let known = if wide { 8 } else { 7 };
        let bytes = |n: usize| at + 4 * n as u64;
        for (i, word) in words[..known].iter_mut().enumerate() {
            *word = mem::read(bytes(i))?;
        }
        if words[field::MAGIC] & MAGIC_MASK >= MAGIC_WITH_FLAGS {
            words[9] = mem::read(bytes(known + 1))?;
        }
        Ok(Self { base, words, wide })
    }

    fn place(&self, value: u32) -> u64 {
        if value == 0 { 0 } else { self.base + u64::from(value) }
    }

    fn state_at(&self, pc: u64) -> Result<i32, BadAddress> {
        let map = self.place(self.words[field::IP_MAP]);
        let rva = pc.wrapping_sub(self.base);
        let (mut low, mut high) = (0u64, self.words[field::IP_COUNT].min(MOST).into());
        while low < high {
            let middle = low + (high - low) / 2;
            if u64::from(mem::read::<u32>(map + 8 * middle)?) <= rva {
                low = middle + 1;
            } else {
                high = middle;
            }
        }
        match low.checked_sub(1) {
            Some(index) => mem::read(map + 8 * index + 4),
            None => Ok(EMPTY),
        }
    }

    fn try_block(&self, index: u32) -> Result<Option<TryBlock>, BadAddress> {
        if index >= self.words[field::TRY_COUNT].min(MOST) {
            return Ok(None);
        }
        let w: [u32; 5] = mem::read(self.place(self.words[field::TRY_MAP]) + 20 * u64::from(index))?;
        Ok(Some(TryBlock {
            low: w[0].cast_signed(),
            high: w[1].cast_signed(),
            catch_high: w[2].cast_signed(),
            count: w[3].min(MOST),
            handlers: self.place(w[4]),
        }))
    }

    fn handler(&self, block: &TryBlock, index: u32) -> Result<Option<Handler>, BadAddress> {
        if index >= block.count {
            return Ok(None);
        }
        let size = if self.wide { 20 } else { 16 };
        let at = block.handlers + size * u64::from(index);
        let w: [u32; 4] = mem::read(at)?;
        Ok(Some(Handler {
            adjectives: w[0],
            descriptor: self.place(w[1]),
            object: w[2].cast_signed(),
            function: self.place(w[3]),
            frame: if self.wide { mem::read(at + 16)? } else { 0 },
            continuations: [0; 2],
        }))
    }

    fn before(&self, state: i32) -> Result<(i32, Action), BadAddress> {
        let Some(index) = u32::try_from(state).ok().filter(|&s| s < self.words[field::MAX_STATE]) else {
            return Ok((EMPTY, Action::None));
        };
        let at = self.place(self.words[field::UNWIND_MAP]) + 8 * u64::from(index);
        let [to, action]: [u32; 2] = mem::read(at)?;
        let action = if action == 0 { Action::None } else { Action::Funclet(self.place(action)) };
        Ok((to.cast_signed(), action))
    }
}

impl Tables {
    /// Whether the function was compiled to let only C++ exceptions unwind it (`/EHs`).
    pub(crate) fn is_synchronous(&self) -> bool {
        match self {
            Self::V3(t) => t.words[9] & FLAG_SYNCHRONOUS != 0,
            Self::V4(t) => t.is_synchronous(),
        }
    }

    /// Whether the function is `noexcept`.
    pub(crate) fn is_noexcept(&self) -> bool {
        match self {
            Self::V3(t) => t.words[9] & FLAG_NOEXCEPT != 0,
            Self::V4(t) => t.is_noexcept(),
        }
    }

    /// The state that an address is in.
    pub(crate) fn state_at(&self, pc: u64) -> Result<i32, BadAddress> {
        match self {
            Self::V3(t) => t.state_at(pc),
            Self::V4(t) => t.state_at(pc),
        }
    }

    /// A try block by index, inner ones first.
    pub(crate) fn try_block(&self, index: u32) -> Result<Option<TryBlock>, BadAddress> {
        match self {
            Self::V3(t) => t.try_block(index),
            Self::V4(t) => t.try_block(index),
        }
    }

    /// A catch block of a try block by index.
    pub(crate) fn handler(&self, block: &TryBlock, index: u32) -> Result<Option<Handler>, BadAddress> {
        match self {
            Self::V3(t) => t.handler(block, index),
            Self::V4(t) => t.handler(block, index),
        }
    }

    /// The state before a state, and what to do on the way.
    pub(crate) fn before(&self, state: i32) -> Result<(i32, Action), BadAddress> {
        match self {
            Self::V3(t) => t.before(state),
            Self::V4(t) => t.before(state),
        }
    }

    /// If the function that begins at `begin` is a catch block's: its try block, and the frame of the function that it belongs to.
    pub(crate) fn parent(
        &self,
        cx: &Cx,
        begin: u64,
        state: i32,
        frame: u64,
    ) -> Result<Option<(TryBlock, u64)>, BadAddress> {
        if let Self::V4(t) = self {
            let Some(offset) = t.parent_offset() else { return Ok(None) };
            let parent = super::types::get(cx, frame + u64::from(offset))?;
            // The innermost try block among whose catch blocks' states this one is.
            let mut index = 0;
            while let Some(block) = self.try_block(index)? {
                if state > block.high && state <= block.catch_high {
                    return Ok(Some((block, parent)));
                }
                index += 1;
            }
            return Ok(None);
        }
        let mut index = 0;
        while let Some(block) = self.try_block(index)? {
            index += 1;
            if state <= block.high || state > block.catch_high {
                continue;
            }
            let mut n = 0;
            while let Some(handler) = self.handler(&block, n)? {
                if handler.function == begin {
                    // On ARM64 the catch block's frame need not know it.
                    let parent = match super::throw::running_for(cx, &block, frame) {
                        Some(parent) => parent,
                        None => super::types::get(cx, frame + u64::from(handler.frame))?,
                    };
                    return Ok(Some((block, parent)));
                }
                n += 1;
            }
        }
        Ok(None)
    }
}
