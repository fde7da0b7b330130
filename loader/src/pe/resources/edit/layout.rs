//! The bytes of a resource section: directories, names, data entries, data.

use std::collections::BTreeMap;

use object::pe::{IMAGE_RESOURCE_DATA_IS_DIRECTORY, IMAGE_RESOURCE_NAME_IS_STRING};

use super::{Data, Key, Tree, refused, too_large};
use crate::pe::PeError;

/// Sizes of the structures of the tree, in bytes.
const DIRECTORY: usize = 16;
const ENTRY: usize = 8;
const DATA_ENTRY: usize = 16;
/// Alignment of a resource's data.
const DATA_ALIGNMENT: usize = 8;

/// The parts of a resource section, one behind the other, as they grow.
struct Layout {
    /// Directories, all of them.
    directories: Vec<u8>,
    /// Where names go, and the names.
    names_at: usize,
    names: Vec<u8>,
    /// Where data entries go, and those; the data follow.
    entries_at: usize,
    entries: Vec<u8>,
    data_at: usize,
    data: Vec<u8>,
}

impl Layout {
    /// Makes room for the directories of a tree and its names, so that every offset is known when it is written.
    fn of(tree: &Tree) -> Self {
        let names = tree.values().map(BTreeMap::len).sum::<usize>();
        let leaves = tree.values().flat_map(BTreeMap::values).map(BTreeMap::len).sum::<usize>();
        let names_at = (1 + tree.len() + names) * DIRECTORY + (tree.len() + names + leaves) * ENTRY;
        let keys = tree.keys().chain(tree.values().flat_map(BTreeMap::keys));
        let texts: usize = keys
            .map(|key| match key {
                Key::Name(name) => 2 + 2 * name.len(),
                Key::Id(_) => 0,
            })
            .sum();
        let entries_at = (names_at + texts).next_multiple_of(4);
        Self {
            directories: Vec::with_capacity(names_at),
            names_at,
            names: Vec::with_capacity(texts),
            entries_at,
            entries: Vec::with_capacity(leaves * DATA_ENTRY),
            data_at: (entries_at + leaves * DATA_ENTRY).next_multiple_of(DATA_ALIGNMENT),
            data: Vec::new(),
        }
    }

    fn directory(&mut self, named: usize, total: usize) -> Result<(), PeError> {
        let too_many = |_| refused("more entries than a directory can have");
        let named = u16::try_from(named).map_err(too_many)?;
        let numbered = u16::try_from(total).map_err(too_many)? - named;
        self.directories.extend([0; 12]);
        self.directories.extend(named.to_le_bytes());
        self.directories.extend(numbered.to_le_bytes());
        Ok(())
    }

    /// An entry that leads to a directory, or to a leaf, at an offset.
    fn entry(&mut self, key: &Key, to: usize, flag: u32) -> Result<(), PeError> {
        let id = match key {
            Key::Id(id) => u32::from(*id),
            Key::Name(name) => {
                let at = small(self.names_at + self.names.len())?;
                let len = u16::try_from(name.len()).map_err(|_| refused("a name is too long"))?;
                self.names.extend(len.to_le_bytes());
                self.names.extend(name.iter().flat_map(|unit| unit.to_le_bytes()));
                at | IMAGE_RESOURCE_NAME_IS_STRING
            }
        };
        self.directories.extend(id.to_le_bytes());
        self.directories.extend((small(to)? | flag).to_le_bytes());
        Ok(())
    }

    fn leaf(&mut self, data: &Data, section: u32) -> Result<(), PeError> {
        self.data.resize(self.data.len().next_multiple_of(DATA_ALIGNMENT), 0);
        let at = section.checked_add(small(self.data_at + self.data.len())?);
        let at = at.ok_or_else(too_large)?;
        for word in [at, small(data.bytes.len())?, data.code_page, 0] {
            self.entries.extend(word.to_le_bytes());
        }
        self.data.extend(&data.bytes);
        Ok(())
    }

    fn finish(mut self) -> Vec<u8> {
        let mut all = self.directories;
        all.append(&mut self.names);
        all.resize(self.entries_at, 0);
        all.append(&mut self.entries);
        all.resize(self.data_at, 0);
        all.append(&mut self.data);
        all
    }
}

/// An offset or size in a resource section: 31 bits.
pub(super) fn small(value: usize) -> Result<u32, PeError> {
    u32::try_from(value)
        .ok()
        .filter(|v| v & IMAGE_RESOURCE_DATA_IS_DIRECTORY == 0)
        .ok_or_else(|| refused("2 GiB of resources or more"))
}

/// How many keys are names.
fn named<'a>(keys: impl Iterator<Item = &'a Key>) -> usize {
    keys.filter(|key| matches!(key, Key::Name(_))).count()
}

/// The bytes of a resource section that is to be at an RVA: the root, the types' directories, those of the names, and the rest.
pub(super) fn serialize(tree: &Tree, section: u32) -> Result<Vec<u8>, PeError> {
    let mut layout = Layout::of(tree);
    let size = |entries: usize| DIRECTORY + entries * ENTRY;
    let mut next = size(tree.len());
    layout.directory(named(tree.keys()), tree.len())?;
    for (kind, names) in tree {
        layout.entry(kind, next, IMAGE_RESOURCE_DATA_IS_DIRECTORY)?;
        next += size(names.len());
    }
    for names in tree.values() {
        layout.directory(named(names.keys()), names.len())?;
        for (name, languages) in names {
            layout.entry(name, next, IMAGE_RESOURCE_DATA_IS_DIRECTORY)?;
            next += size(languages.len());
        }
    }
    for languages in tree.values().flat_map(BTreeMap::values) {
        layout.directory(0, languages.len())?;
        for (&language, data) in languages {
            let to = layout.entries_at + layout.entries.len();
            layout.entry(&Key::Id(language), to, 0)?;
            layout.leaf(data, section)?;
        }
    }
    Ok(layout.finish())
}
