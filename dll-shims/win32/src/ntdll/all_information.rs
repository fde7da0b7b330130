//! FILE_ALL_INFORMATION: everything about a file at once, which libuv asks for.

use transom_sdk::{Cx, Nt, Out, Ptr, foundation as f};
use transom_syscalls::file::FileObject;

use super::directories::with_text;
use super::files::{IoStatus, MODES};
use super::probe::status;

/// The size of the structure, with room for one character of the name.
const SIZE: u32 = 104;

/// The bytes before the name.
fn fixed(file: &FileObject, name_length: u32) -> Nt<Vec<u8>> {
    let meta = file.query()?;
    let mut bytes = Vec::new();
    for time in [meta.created, meta.accessed, meta.written, meta.changed] {
        bytes.extend(time.to_le_bytes());
    }
    // A word of padding follows the attributes.
    bytes.extend(u64::from(meta.attributes).to_le_bytes());
    bytes.extend(meta.allocated.to_le_bytes());
    bytes.extend(meta.size.to_le_bytes());
    bytes.extend(meta.links.to_le_bytes());
    bytes.extend([file.is_delete_pending().into(), meta.is_directory().into(), 0, 0]);
    bytes.extend(meta.inode.to_le_bytes());
    const NO_EXTENDED_ATTRIBUTES: u32 = 0;
    bytes.extend(NO_EXTENDED_ATTRIBUTES.to_le_bytes());
    bytes.extend(file.access().to_le_bytes());
    bytes.extend(file.position().unwrap_or(0).to_le_bytes());
    bytes.extend((file.options() & MODES).to_le_bytes());
    const ANY_ALIGNMENT: u32 = 0;
    bytes.extend(ANY_ALIGNMENT.to_le_bytes());
    bytes.extend(name_length.to_le_bytes());
    Ok(bytes)
}

/// Answers FileAllInformation. The name, without its drive, is cut off where the room ends.
pub(super) fn answer(cx: &Cx, file: &FileObject, io: Out<IoStatus>, out: Ptr<u8>, room: u32) -> Nt<()> {
    if room < SIZE {
        return status(f::STATUS_INFO_LENGTH_MISMATCH);
    }
    let path = file.final_path()?;
    let name = path.get(2..).unwrap_or(&[]);
    let bytes = fixed(file, u32::try_from(2 * name.len()).unwrap_or(u32::MAX))?;
    with_text(cx, io, (out, room), (bytes, SIZE), name)
}
