//! What an open does with a file, and what it lets others do: the rule of share modes.

use windows_sys::Win32::Storage::FileSystem as fs;

const CLASSES: u32 = 3;
const ALL: u32 = (1 << CLASSES) - 1;

/// What an open takes part in sharing with: in the three low bits the classes of access it has (read, write, delete), in the
/// next three those that it lets others have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Claim(u32);

impl Claim {
    /// Deletes, and lets others do what they want.
    pub(crate) const DELETE: Self = Self(4 | ALL << CLASSES);

    /// From an access mask and a share mode.
    pub(crate) fn new(access: u32, share: u32) -> Self {
        let reads = access & (fs::FILE_READ_DATA | fs::FILE_EXECUTE) != 0;
        let writes = access & (fs::FILE_WRITE_DATA | fs::FILE_APPEND_DATA) != 0;
        let deletes = access & fs::DELETE != 0;
        // The three FILE_SHARE bits are in this order too.
        Self(u32::from(reads) | u32::from(writes) << 1 | u32::from(deletes) << 2 | (share & ALL) << CLASSES)
    }

    pub(super) fn from_bits(bits: u32) -> Self {
        Self(bits)
    }

    pub(super) fn bits(self) -> u32 {
        self.0
    }

    fn access(self) -> u32 {
        self.0 & ALL
    }

    /// The share mode (`FILE_SHARE_*`).
    pub(crate) fn share(self) -> u32 {
        self.0 >> CLASSES & ALL
    }

    /// Whether the two cannot be open at once. Opens that neither read, write nor delete take no part in sharing.
    pub(super) fn conflicts(self, other: Self) -> bool {
        let both_take_part = self.access() != 0 && other.access() != 0;
        both_take_part && (self.access() & !other.share() | other.access() & !self.share()) != 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_sides_must_agree() {
        let (read, write) = (fs::FILE_READ_DATA, fs::FILE_WRITE_DATA);
        let reader = Claim::new(read, fs::FILE_SHARE_READ);
        assert!(!reader.conflicts(reader));
        assert!(reader.conflicts(Claim::new(write, fs::FILE_SHARE_READ)));
        assert!(reader.conflicts(Claim::new(read, 0)));
        assert!(reader.conflicts(Claim::DELETE));
        assert!(!reader.conflicts(Claim::new(fs::FILE_READ_ATTRIBUTES, 0)));
        let tolerant = Claim::new(read | write, fs::FILE_SHARE_READ | fs::FILE_SHARE_WRITE);
        assert!(!tolerant.conflicts(tolerant) && tolerant.conflicts(reader));
        assert!(tolerant.conflicts(Claim::DELETE));
        assert_eq!(tolerant.share(), fs::FILE_SHARE_READ | fs::FILE_SHARE_WRITE);
    }
}
