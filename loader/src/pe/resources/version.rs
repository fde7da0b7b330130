//! Version blocks (`VS_VERSIONINFO`): a tree of keyed values, as `VerQueryValue` sees it.
//!
//! A node is a header of three 16-bit words (length, length of the value, whether that is text), a key, a value and
//! children, each aligned to 4 bytes. Every node is confined to the part of its parent that it was found in, so a walk
//! is linear whatever the lengths say.

use std::ops::Range;

use windows_sys::Win32::Storage::FileSystem::{VS_FFI_SIGNATURE, VS_FIXEDFILEINFO};

use super::equal_ignoring_case;

/// Bytes of a node before its key.
const NODE_HEADER: usize = 6;

/// A node of the tree.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Node {
    /// Its key, such as `StringFileInfo` or `ProductName`.
    pub key: Vec<u16>,
    /// Whether its value is text (UTF-16).
    pub text: bool,
    /// Its value's bytes in the block; for text with the NUL, if there is one.
    pub value: Range<usize>,
    children: Range<usize>,
}

/// The version numbers of a file: four 16-bit parts each.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct FixedInfo {
    /// Version of the file.
    pub file_version: [u16; 4],
    /// Version of the product it belongs to.
    pub product_version: [u16; 4],
}

fn u16_at(block: &[u8], at: usize) -> Option<u16> {
    block.get(at..)?.first_chunk().map(|b| u16::from_le_bytes(*b))
}

fn u32_at(block: &[u8], at: usize) -> Option<u32> {
    block.get(at..)?.first_chunk().map(|b| u32::from_le_bytes(*b))
}

fn align(at: usize) -> usize {
    (at + 3) & !3
}

impl Node {
    /// Parses the node at `range.start`, confined to `range`; also returns where it ends.
    fn parse(block: &[u8], range: Range<usize>) -> Option<(Self, usize)> {
        let length = usize::from(u16_at(block, range.start)?);
        let end = range.end.min(block.len()).min(range.start + length);
        if length < NODE_HEADER || range.start + NODE_HEADER > end {
            return None;
        }
        let text = u16_at(block, range.start + 4)? != 0;
        let value_length = usize::from(u16_at(block, range.start + 2)?) * if text { 2 } else { 1 };
        let units =
            block[range.start + NODE_HEADER..end].chunks_exact(2).map(|b| u16::from_le_bytes([b[0], b[1]]));
        let key: Vec<u16> = units.take_while(|&unit| unit != 0).collect();
        let value = align(range.start + NODE_HEADER + 2 * (key.len() + 1)).min(end);
        let value = value..(value + value_length).min(end);
        let children = align(value.end).min(end)..end;
        Some((Self { key, text, value, children }, end))
    }

    /// The root of a block; `None` if it is malformed.
    #[must_use]
    pub fn root(block: &[u8]) -> Option<Self> {
        Some(Self::parse(block, 0..block.len())?.0)
    }

    /// The children of this node, in the block that it came from.
    pub fn children<'a>(&self, block: &'a [u8]) -> impl Iterator<Item = Self> + use<'a> {
        let mut rest = self.children.clone();
        std::iter::from_fn(move || {
            let (node, end) = Self::parse(block, rest.clone())?;
            rest.start = align(end).min(rest.end);
            Some(node)
        })
    }

    /// The value as text, up to its first NUL.
    #[must_use]
    pub fn string(&self, block: &[u8]) -> String {
        let bytes = block.get(self.value.clone()).unwrap_or_default();
        let units = bytes.chunks_exact(2).map(|b| u16::from_le_bytes([b[0], b[1]]));
        let units: Vec<u16> = units.take_while(|&unit| unit != 0).collect();
        String::from_utf16_lossy(&units)
    }
}

/// Finds a node by a path such as `\StringFileInfo\040904b0\ProductName`, without regard to case; `\` is the root.
#[must_use]
pub fn query(block: &[u8], path: &[u16]) -> Option<Node> {
    let mut node = Node::root(block)?;
    for part in path.split(|&unit| unit == u16::from(b'\\')).filter(|part| !part.is_empty()) {
        node = node.children(block).find(|child| equal_ignoring_case(&child.key, part))?;
    }
    Some(node)
}

/// The version numbers of a block; `None` if it has none.
#[must_use]
pub fn fixed(block: &[u8]) -> Option<FixedInfo> {
    let value = block.get(Node::root(block)?.value)?;
    if value.len() < size_of::<VS_FIXEDFILEINFO>() || u32_at(value, 0)? != VS_FFI_SIGNATURE.cast_unsigned() {
        return None;
    }
    // A version is two 32-bit words, the upper first, of two parts each.
    let version = |at: usize| {
        Some([u16_at(value, at + 2)?, u16_at(value, at)?, u16_at(value, at + 6)?, u16_at(value, at + 4)?])
    };
    Some(FixedInfo {
        file_version: version(std::mem::offset_of!(VS_FIXEDFILEINFO, dwFileVersionMS))?,
        product_version: version(std::mem::offset_of!(VS_FIXEDFILEINFO, dwProductVersionMS))?,
    })
}

/// The languages that a block has texts in: language and code page.
#[must_use]
pub fn translations(block: &[u8]) -> Vec<(u16, u16)> {
    let path: Vec<u16> = "\\VarFileInfo\\Translation".encode_utf16().collect();
    let value = query(block, &path).and_then(|node| block.get(node.value)).unwrap_or_default();
    let pairs = value.chunks_exact(4);
    pairs.map(|b| (u16::from_le_bytes([b[0], b[1]]), u16::from_le_bytes([b[2], b[3]]))).collect()
}
