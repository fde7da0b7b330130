//! Changing the resources of a file: a new tree, laid out, and the file around it put together again.
//!
//! The tree replaces the old one in its section. Where the section has to grow over what follows it in memory, the
//! relocations may move, as nothing but their data directory says where they are; anything else may not, and then the tree gets
//! a new section behind all others and the old one stays behind unused. In the file, what follows moves along: the
//! raw data of sections, COFF symbols, and what was appended, be it a signature (no longer a valid one) or an installer's
//! archive.

mod file;
mod layout;

use std::collections::BTreeMap;

use windows_sys::Win32::System::Diagnostics::Debug::{
    IMAGE_DIRECTORY_ENTRY_BASERELOC, IMAGE_DIRECTORY_ENTRY_RESOURCE, IMAGE_DIRECTORY_ENTRY_SECURITY,
    IMAGE_SCN_CNT_INITIALIZED_DATA, IMAGE_SCN_MEM_READ,
};

use self::file::{
    CHARACTERISTICS, File, NUMBER_OF_SECTIONS, RAW_AT, RAW_SIZE, SECTION_HEADER, SIZE_OF_IMAGE,
    SIZE_OF_INITIALIZED_DATA, VIRTUAL_ADDRESS, VIRTUAL_SIZE,
};
use self::layout::{serialize, small};
use super::{ResourceId, resources, upper};
use crate::pe::headers::{Headers, align_up};
use crate::pe::{Pe, PeError, Section};

/// A resource to put in (in place of the one that may be there), or, without data, to take out.
#[derive(Clone, Debug)]
pub struct Change {
    /// Its type.
    pub kind: ResourceId,
    /// Its name.
    pub name: ResourceId,
    /// Its language.
    pub language: u16,
    /// Its data; none to take it out.
    pub data: Option<Vec<u8>>,
}

/// What identifies an entry, in the order of directories: names (in upper case) before numbers.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord)]
enum Key {
    Name(Vec<u16>),
    Id(u16),
}

impl Key {
    fn new(id: &ResourceId) -> Self {
        match id {
            ResourceId::Name(name) => Self::Name(name.iter().map(|&unit| upper(unit)).collect()),
            ResourceId::Id(id) => Self::Id(*id),
        }
    }
}

struct Data {
    bytes: Vec<u8>,
    code_page: u32,
}

/// Resources by type, name and language.
type Tree = BTreeMap<Key, BTreeMap<Key, BTreeMap<u16, Data>>>;

/// The file with its resources changed; with `replace_all`, the changes are all that it has then.
///
/// # Errors
/// Everything [`Pe::parse_as_data`] refuses, a malformed resource directory, a resource to be taken out that is not
/// there, no room for a section header that is needed, and sizes beyond what the format can say.
pub fn edit(file: &[u8], replace_all: bool, changes: &[Change]) -> Result<Vec<u8>, PeError> {
    let pe = Pe::parse_as_data(file)?;
    let mut tree = if replace_all { Tree::new() } else { read(&pe)? };
    for change in changes {
        apply(&mut tree, change)?;
    }
    place(file, pe.headers(), &tree)
}

fn refused(reason: &str) -> PeError {
    PeError::Directory { what: super::WHAT, rva: 0, reason: reason.to_owned() }
}

fn read(pe: &Pe<'_>) -> Result<Tree, PeError> {
    let mut tree = Tree::new();
    let (image, headers) = (pe.image(), pe.headers());
    let Some(old) = resources(headers) else { return Ok(tree) };
    let mut leaves = Vec::new();
    let mut total = 0;
    old.for_each(&image, |kind, name, leaf| {
        leaves.push((Key::new(kind), Key::new(name), leaf));
        // Leaves may share their data: a small file could ask for a lot of memory.
        total += u64::from(leaf.size);
        total <= headers.work_limit()
    })?;
    if total > headers.work_limit() {
        return Err(refused("its resources are larger than the file"));
    }
    for (kind, name, leaf) in leaves {
        let data = Data { bytes: old.data(&image, leaf)?, code_page: leaf.code_page };
        tree.entry(kind).or_default().entry(name).or_default().insert(leaf.language, data);
    }
    Ok(tree)
}

fn apply(tree: &mut Tree, change: &Change) -> Result<(), PeError> {
    let (kind, name) = (Key::new(&change.kind), Key::new(&change.name));
    if let Some(bytes) = &change.data {
        let data = Data { bytes: bytes.clone(), code_page: 0 };
        tree.entry(kind).or_default().entry(name).or_default().insert(change.language, data);
        return Ok(());
    }
    let missing = || refused("there is no such resource to delete");
    let names = tree.get_mut(&kind).ok_or_else(missing)?;
    let languages = names.get_mut(&name).ok_or_else(missing)?;
    languages.remove(&change.language).ok_or_else(missing)?;
    if languages.is_empty() {
        names.remove(&name);
    }
    if names.is_empty() {
        tree.remove(&kind);
    }
    Ok(())
}

/// Where the tree goes.
enum Place {
    /// Into the section of that index; those behind it move up if they must.
    Section(usize),
    /// Into a new section behind all others.
    New,
}

/// Puts the tree into the file.
fn place(bytes: &[u8], headers: &Headers, tree: &Tree) -> Result<Vec<u8>, PeError> {
    let mut file = File::new(bytes, headers)?;
    let grown = |size: usize| align_up(small(size)?, headers.section_alignment).ok_or_else(too_large);
    let old = headers.directory(IMAGE_DIRECTORY_ENTRY_RESOURCE);
    let own = old
        .and_then(|d| headers.sections.iter().position(|s| s.rva == d.rva && is_only_resources(headers, s)));
    let place = match own {
        Some(index) => {
            let size = grown(serialize(tree, headers.sections[index].rva)?.len())?;
            let end = headers.sections[index].rva.checked_add(size).ok_or_else(too_large)?;
            if may_end_at(headers, index, end) { Place::Section(index) } else { Place::New }
        }
        None => Place::New,
    };
    match place {
        Place::Section(index) => replace(&mut file, headers, index, tree)?,
        Place::New => append(&mut file, headers, tree)?,
    }
    if headers.checksum != 0 {
        file.set_checksum()?;
    }
    Ok(file.bytes)
}

fn too_large() -> PeError {
    refused("the image would be too large")
}

/// Whether a section that begins with the resources has nothing else that the file tells of, as it has in packed programs.
fn is_only_resources(headers: &Headers, section: &Section) -> bool {
    let inside = |rva: u32| rva.checked_sub(section.rva).is_some_and(|at| at < section.memory_size());
    let others = headers.directories.iter().zip(0..).filter(|(_, entry)| {
        ![IMAGE_DIRECTORY_ENTRY_RESOURCE, IMAGE_DIRECTORY_ENTRY_SECURITY].contains(entry)
    });
    section.file_offset != 0
        && !inside(headers.entry_point)
        && others.into_iter().all(|(d, _)| d.rva == 0 || !inside(d.rva))
}

/// Whether a section may end at an RVA: what it would cover is the relocations at most.
fn may_end_at(headers: &Headers, index: usize, end: u32) -> bool {
    let relocations = headers.directory(IMAGE_DIRECTORY_ENTRY_BASERELOC).map(|d| d.rva);
    let rest = &headers.sections[index + 1..];
    rest.first().is_none_or(|next| end <= next.rva) || rest.iter().all(|s| Some(s.rva) == relocations)
}

/// Puts the tree into its section, and moves the section of the relocations out of the way.
fn replace(file: &mut File, headers: &Headers, index: usize, tree: &Tree) -> Result<(), PeError> {
    let section = &headers.sections[index];
    let new = serialize(tree, section.rva)?;
    let size = small(new.len())?;
    let header = file.section(index);
    let (raw_at, raw_size) = (file.word(header + RAW_AT)?, file.word(header + RAW_SIZE)?);
    let in_file = padded(new, headers)?;
    let padded_size = small(in_file.len())?;
    file.splice(headers.sections.len(), raw_at, raw_size, &in_file)?;
    file.put(header + VIRTUAL_SIZE, size)?;
    file.put(header + RAW_SIZE, padded_size)?;
    set_directory(file, section.rva, size)?;
    let mut end = end_of(section.rva, size, headers)?;
    for (next, header) in headers.sections[index + 1..].iter().zip(index + 1..) {
        let rva = next.rva.max(end);
        let header = file.section(header);
        file.put(header + VIRTUAL_ADDRESS, rva)?;
        if rva != next.rva {
            file.put(file.directory(IMAGE_DIRECTORY_ENTRY_BASERELOC), rva)?;
        }
        end = end_of(rva, next.memory_size(), headers)?;
    }
    file.put(file.nt + SIZE_OF_IMAGE, end)?;
    let data = file.word(file.nt + SIZE_OF_INITIALIZED_DATA)?;
    file.put(file.nt + SIZE_OF_INITIALIZED_DATA, data.wrapping_sub(raw_size).wrapping_add(padded_size))
}

/// Adds a section with the tree.
fn append(file: &mut File, headers: &Headers, tree: &Tree) -> Result<(), PeError> {
    let count = headers.sections.len();
    let header = file.section(count);
    let first_raw =
        (0..count).filter_map(|i| file.word(file.section(i) + RAW_AT).ok()).filter(|&at| at != 0).min();
    let room = first_raw.unwrap_or(headers.size_of_headers).min(headers.size_of_headers) as usize;
    if header + SECTION_HEADER > room || headers.directories.len() <= IMAGE_DIRECTORY_ENTRY_RESOURCE.into() {
        return Err(refused("the file has no room for another section's header"));
    }
    let last = headers.sections.last().map_or((headers.size_of_headers, 0), |s| (s.rva, s.memory_size()));
    let rva = end_of(last.0, last.1, headers)?;
    let new = serialize(tree, rva)?;
    let size = small(new.len())?;
    let in_file = padded(new, headers)?;
    let padded_size = small(in_file.len())?;
    // Behind the last raw data; what was appended to the program moves up.
    let ends = (0..count).map(|i| {
        let header = file.section(i);
        Ok(u64::from(file.word(header + RAW_AT)?) + u64::from(file.word(header + RAW_SIZE)?))
    });
    let end = ends
        .collect::<Result<Vec<_>, PeError>>()?
        .into_iter()
        .max()
        .unwrap_or(headers.size_of_headers.into());
    let end = u32::try_from(end.min(file.bytes.len() as u64)).map_err(|_| too_large())?;
    let at = align_up(end, headers.file_alignment).ok_or_else(too_large)?;
    let mut gap = vec![0; (at - end) as usize];
    gap.extend(in_file);
    file.splice(count, end, 0, &gap)?;
    file.bytes[header..header + SECTION_HEADER].fill(0);
    file.bytes[header..header + 5].copy_from_slice(b".rsrc");
    file.put(header + VIRTUAL_SIZE, size)?;
    file.put(header + VIRTUAL_ADDRESS, rva)?;
    file.put(header + RAW_SIZE, padded_size)?;
    file.put(header + RAW_AT, at)?;
    file.put(header + CHARACTERISTICS, IMAGE_SCN_CNT_INITIALIZED_DATA | IMAGE_SCN_MEM_READ)?;
    let sections = u16::try_from(count + 1).map_err(|_| refused("too many sections"))?;
    let at = file.nt + NUMBER_OF_SECTIONS;
    file.bytes[at..at + 2].copy_from_slice(&sections.to_le_bytes());
    set_directory(file, rva, size)?;
    file.put(file.nt + SIZE_OF_IMAGE, end_of(rva, size, headers)?)?;
    let data = file.word(file.nt + SIZE_OF_INITIALIZED_DATA)?;
    file.put(file.nt + SIZE_OF_INITIALIZED_DATA, data.wrapping_add(padded_size))
}

fn set_directory(file: &mut File, rva: u32, size: u32) -> Result<(), PeError> {
    let at = file.directory(IMAGE_DIRECTORY_ENTRY_RESOURCE);
    file.put(at, rva)?;
    file.put(at + 4, size)
}

/// Raw data as long as the file's alignment wants them.
fn padded(mut data: Vec<u8>, headers: &Headers) -> Result<Vec<u8>, PeError> {
    let size = align_up(small(data.len())?, headers.file_alignment).ok_or_else(too_large)?;
    data.resize(size as usize, 0);
    Ok(data)
}

/// Where the next section may begin.
fn end_of(rva: u32, size: u32, headers: &Headers) -> Result<u32, PeError> {
    let end = rva.checked_add(size).and_then(|end| align_up(end, headers.section_alignment));
    end.filter(|&end| end <= i32::MAX.cast_unsigned()).ok_or_else(too_large)
}

#[cfg(test)]
mod tests;
