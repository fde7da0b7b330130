//! Message tables (`RT_MESSAGETABLE`): the texts that `FormatMessage` finds by number.

use std::ops::Range;

use windows_sys::Win32::System::SystemServices::MESSAGE_RESOURCE_UNICODE;
use windows_sys::Win32::UI::WindowsAndMessaging::{MESSAGE_RESOURCE_BLOCK, MESSAGE_RESOURCE_ENTRY};

/// Bytes before an entry's text.
const ENTRY_HEADER: usize = std::mem::offset_of!(MESSAGE_RESOURCE_ENTRY, Text);

/// A message: where its text is in the table.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Message {
    /// Whether the text is UTF-16, rather than in the ANSI code page.
    pub unicode: bool,
    /// The text's bytes in the table, with the NULs that pad it.
    pub text: Range<usize>,
}

fn u16_at(bytes: &[u8], at: usize) -> Option<u16> {
    bytes.get(at..)?.first_chunk().map(|b| u16::from_le_bytes(*b))
}

fn u32_at(bytes: &[u8], at: usize) -> Option<u32> {
    bytes.get(at..)?.first_chunk().map(|b| u32::from_le_bytes(*b))
}

/// A run of messages with consecutive numbers.
struct Block {
    low: u32,
    high: u32,
    offset: usize,
}

fn blocks(table: &[u8]) -> impl Iterator<Item = Block> + use<'_> {
    let count = u32_at(table, 0).unwrap_or_default() as usize;
    let blocks = table.get(4..).unwrap_or_default().chunks_exact(size_of::<MESSAGE_RESOURCE_BLOCK>());
    blocks.take(count).filter_map(|block| {
        Some(Block { low: u32_at(block, 0)?, high: u32_at(block, 4)?, offset: u32_at(block, 8)? as usize })
    })
}

/// Finds a message by number in the bytes of a message table; `None` if it is not there or the table is malformed.
#[must_use]
pub fn find(table: &[u8], id: u32) -> Option<Message> {
    let block = blocks(table).find(|block| (block.low..=block.high).contains(&id))?;
    let mut at = block.offset;
    // Each step consumes at least an entry's header, so a block that claims 4 billion entries ends with the table.
    for _ in block.low..id {
        at = entry_end(table, at)?;
    }
    message(table, at)
}

/// All messages of a table with their numbers, up to the first malformed one of each block.
pub fn all(table: &[u8]) -> impl Iterator<Item = (u32, Message)> + use<'_> {
    let messages = blocks(table).flat_map(move |block| {
        let mut at = block.offset;
        (block.low..=block.high).map_while(move |id| {
            let message = message(table, at)?;
            at = message.text.end;
            Some((id, message))
        })
    });
    // Blocks may overlap; an honest table has no more messages than fit into it.
    messages.take(table.len() / ENTRY_HEADER)
}

fn message(table: &[u8], at: usize) -> Option<Message> {
    let end = entry_end(table, at)?;
    let unicode = u32::from(u16_at(table, at + 2)?) & MESSAGE_RESOURCE_UNICODE != 0;
    Some(Message { unicode, text: at + ENTRY_HEADER..end })
}

/// Where an entry ends; `None` if it is malformed or reaches out of the table.
fn entry_end(table: &[u8], at: usize) -> Option<usize> {
    let length = usize::from(u16_at(table, at)?);
    let end = at.checked_add(length)?;
    if length < ENTRY_HEADER || end > table.len() { None } else { Some(end) }
}
