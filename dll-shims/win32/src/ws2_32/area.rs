//! Structures that refer to each other, laid out in one block: what many functions return lists in. Laid out once to learn
//! the size, and once where it goes.

use transom_sdk::{BadAddress, Cx, GuestData, Ptr, mem};

/// A block being laid out, as it will lie at `base` in guest memory.
pub(crate) struct Area {
    base: u64,
    bytes: Vec<u8>,
    wide: bool,
}

impl Area {
    /// An empty block.
    pub(crate) fn new(cx: &Cx, base: u64) -> Self {
        Self { base, bytes: Vec::new(), wide: cx.is_64() }
    }

    /// Bytes laid out so far.
    pub(crate) fn len(&self) -> usize {
        self.bytes.len()
    }

    /// Appends zeroes at a multiple of 8; their address.
    fn reserve_bytes(&mut self, len: usize) -> u64 {
        let at = self.bytes.len().next_multiple_of(8);
        self.bytes.resize(at + len, 0);
        self.base + at as u64
    }

    /// Appends room for structures; its address.
    pub(crate) fn reserve<T: GuestData>(&mut self, count: usize) -> u64 {
        self.reserve_bytes(count * T::SIZE[usize::from(self.wide)])
    }

    /// Fills a structure's reserved room.
    pub(crate) fn set<T: GuestData>(&mut self, at: u64, value: &T) {
        let offset = usize::try_from(at - self.base).unwrap_or(usize::MAX);
        let size = T::SIZE[usize::from(self.wide)];
        let room = &mut self.bytes[offset..offset + size];
        // The room is the host's own memory, which can be written.
        let _ = value.store(room.as_mut_ptr().addr() as u64, self.wide);
    }

    /// Fills an element of a reserved array.
    pub(crate) fn set_nth<T: GuestData>(&mut self, at: u64, index: usize, value: &T) {
        self.set(at + (index * T::SIZE[usize::from(self.wide)]) as u64, value);
    }

    /// Appends a structure; its address.
    pub(crate) fn value<T: GuestData>(&mut self, value: &T) -> u64 {
        let at = self.reserve::<T>(1);
        self.set(at, value);
        at
    }

    /// Appends bytes; their address.
    pub(crate) fn put(&mut self, bytes: &[u8]) -> u64 {
        let at = self.reserve_bytes(bytes.len());
        let end = self.bytes.len();
        self.bytes[end - bytes.len()..].copy_from_slice(bytes);
        at
    }

    /// Appends a terminated byte string.
    pub(crate) fn text(&mut self, text: &[u8]) -> Ptr<u8> {
        Ptr::new(self.put(&[text, &[0]].concat()))
    }

    /// Appends a terminated UTF-16 string.
    pub(crate) fn wide_text(&mut self, text: &[u8]) -> Ptr<u8> {
        let units: Vec<u16> = String::from_utf8_lossy(text).encode_utf16().chain([0]).collect();
        Ptr::new(self.put(&units.into_iter().flat_map(u16::to_le_bytes).collect::<Vec<_>>()))
    }

    /// Appends an array of pointers that ends with NULL, and what they point to.
    pub(crate) fn list(&mut self, items: &[Vec<u8>]) -> Ptr<u8> {
        let mut pointers: Vec<Ptr<u8>> = items.iter().map(|item| Ptr::new(self.put(item))).collect();
        pointers.push(Ptr::NULL);
        let at = self.reserve::<Ptr<u8>>(pointers.len());
        for (i, pointer) in pointers.iter().enumerate() {
            self.set_nth(at, i, pointer);
        }
        Ptr::new(at)
    }

    /// Writes the block to where it was laid out for.
    ///
    /// # Errors
    /// If it cannot be written there.
    pub(crate) fn write(&self) -> Result<(), BadAddress> {
        mem::copy_out(self.base, &self.bytes)
    }
}
