//! `PROC_THREAD_ATTRIBUTE_LIST`: what STARTUPINFOEX adds. The list is opaque to programs: its layout here is Transom's own, a
//! header and as many entries as the program asked room for.

use transom_sdk::{Cx, Guest, GuestData, Handle, Ptr, Win32, WinError, foundation as f, shim};
use windows_sys::Win32::System::Threading as t;

/// The head of a list.
#[derive(Guest, Debug, Clone, Copy)]
pub(super) struct Head {
    capacity: u32,
    count: u32,
}

/// An attribute: its number, and where its value is (which stays the caller's).
#[derive(Guest, Debug, Clone, Copy)]
struct Entry {
    attribute: usize,
    value: Ptr<Handle>,
    size: usize,
}

fn entry_at(cx: &Cx, list: Ptr<Head>, index: u32) -> Ptr<Entry> {
    let wide = usize::from(cx.is_64());
    list.byte_add(Head::SIZE[wide] as u64)
        .cast::<Entry>()
        .byte_add(u64::from(index) * Entry::SIZE[wide] as u64)
}

/// Initializes the specified list of attributes for process and thread creation.
#[shim(kernel32)]
fn InitializeProcThreadAttributeList(
    cx: &Cx,
    list: Ptr<Head>,
    count: u32,
    flags: u32,
    size: Ptr<usize>,
) -> Win32<()> {
    /// More than there are attributes.
    const MOST: u32 = 64;
    if flags != 0 || count > MOST {
        return Err(WinError::Code(f::ERROR_INVALID_PARAMETER));
    }
    let wide = usize::from(cx.is_64());
    let needed = Head::SIZE[wide] + count as usize * Entry::SIZE[wide];
    let room = size.read(cx)?;
    size.write(cx, needed)?;
    if list.is_null() || room < needed {
        return Err(WinError::Code(f::ERROR_INSUFFICIENT_BUFFER));
    }
    Ok(list.write(cx, Head { capacity: count, count: 0 })?)
}

/// Updates the specified attribute in a list of attributes for process and thread creation.
#[shim(kernel32)]
fn UpdateProcThreadAttribute(
    cx: &Cx,
    list: Ptr<Head>,
    flags: u32,
    attribute: usize,
    value: Ptr<Handle>,
    size: usize,
    _previous: Ptr<u8>,
    _previous_size: Ptr<usize>,
) -> Win32<()> {
    let mut head = list.read(cx)?;
    let pointer = cx.size_of::<usize>();
    let lacks = match number(attribute) {
        t::PROC_THREAD_ATTRIBUTE_HANDLE_LIST | t::PROC_THREAD_ATTRIBUTE_JOB_LIST => {
            if size == 0 || !size.is_multiple_of(pointer) {
                return Err(WinError::Code(f::ERROR_BAD_LENGTH));
            }
            false
        }
        // Policies of protection and placement, which Linux has its own of.
        t::PROC_THREAD_ATTRIBUTE_MITIGATION_POLICY
        | t::PROC_THREAD_ATTRIBUTE_PREFERRED_NODE
        | t::PROC_THREAD_ATTRIBUTE_GROUP_AFFINITY
        | t::PROC_THREAD_ATTRIBUTE_IDEAL_PROCESSOR
        | t::PROC_THREAD_ATTRIBUTE_CHILD_PROCESS_POLICY
        | t::PROC_THREAD_ATTRIBUTE_DESKTOP_APP_POLICY => false,
        _ => true,
    };
    if flags != 0 || lacks {
        return Err(WinError::Code(f::ERROR_NOT_SUPPORTED));
    }
    let mut at = head.count;
    for i in 0..head.count {
        if entry_at(cx, list, i).read(cx)?.attribute == attribute {
            at = i;
        }
    }
    if at >= head.capacity {
        return Err(WinError::Code(f::ERROR_GEN_FAILURE));
    }
    entry_at(cx, list, at).write(cx, Entry { attribute, value, size })?;
    head.count = head.count.max(at + 1);
    Ok(list.write(cx, head)?)
}

fn number(attribute: usize) -> u32 {
    u32::try_from(attribute).unwrap_or(0)
}

/// Deletes the specified list of attributes for process and thread creation.
#[shim(kernel32)]
fn DeleteProcThreadAttributeList(_list: Ptr<Head>) {
    // The list holds nothing: its memory is the caller's, as are the values.
}

/// The handles of an attribute, or none if the list has it not.
pub(super) fn handles(cx: &Cx, list: Ptr<Head>, attribute: u32) -> Win32<Option<Vec<Handle>>> {
    if list.is_null() {
        return Ok(None);
    }
    for i in 0..list.read(cx)?.count {
        let entry = entry_at(cx, list, i).read(cx)?;
        if number(entry.attribute) == attribute {
            let count = entry.size / cx.size_of::<usize>();
            let handles: Result<Vec<_>, _> = (0..count).map(|i| entry.value.add(cx, i).read(cx)).collect();
            return Ok(Some(handles?));
        }
    }
    Ok(None)
}
