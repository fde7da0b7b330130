//! The resource tree, string tables, version blocks, message tables.

use transom_cpu::machine::Machine;
use transom_loader::pe::resources::{messages, version};
use transom_loader::pe::{self, Language, Pe, ResourceId};
use windows_sys::Win32::System::Diagnostics::Debug::*;

use crate::builder::*;

pub(crate) const ENGLISH: u16 = 0x409;
const GERMAN: u16 = 0x407;

pub(crate) type Leaf = (ResourceId, ResourceId, u16, Vec<u8>);

pub(crate) fn utf16(text: &str) -> Vec<u16> {
    text.encode_utf16().collect()
}

pub(crate) fn name(text: &str) -> ResourceId {
    ResourceId::Name(utf16(text))
}

/// Adds a resource section. Leaves with the same type (and name) must follow each other, names before numbers.
pub(crate) fn add_resources(builder: &mut PeBuilder, leaves: &[Leaf]) {
    let mut blob = builder.blob();
    let root = blob.rva;
    let all: Vec<&Leaf> = leaves.iter().collect();
    level(&mut blob, root, &all, 0);
    let size = blob.here() - root;
    builder.directory(IMAGE_DIRECTORY_ENTRY_RESOURCE, b".rsrc", blob, root, size);
}

fn key(leaf: &Leaf, depth: usize) -> ResourceId {
    match depth {
        0 => leaf.0.clone(),
        1 => leaf.1.clone(),
        _ => ResourceId::Id(leaf.2),
    }
}

/// Writes one directory and all below it, and returns its RVA.
fn level(blob: &mut Blob, root: u32, leaves: &[&Leaf], depth: usize) -> u32 {
    let groups: Vec<&[&Leaf]> = leaves.chunk_by(|a, b| key(a, depth).matches(&key(b, depth))).collect();
    let named = groups.iter().filter(|group| matches!(key(group[0], depth), ResourceId::Name(_))).count();
    blob.align(4);
    let directory = blob.zeroes(12);
    blob.u16(u16::try_from(named).unwrap());
    blob.u16(u16::try_from(groups.len() - named).unwrap());
    let entries = blob.zeroes(8 * groups.len());
    for (group, entry) in groups.iter().zip((entries..).step_by(8)) {
        let id = match key(group[0], depth) {
            ResourceId::Id(id) => u32::from(id),
            ResourceId::Name(text) => {
                blob.align(2);
                let at = blob.here() - root;
                blob.u16(u16::try_from(text.len()).unwrap());
                text.iter().for_each(|&unit| blob.u16(unit));
                at | 1 << 31
            }
        };
        let child = if depth == 2 {
            let at = blob.here().next_multiple_of(4);
            blob.align(4);
            let data = &group[0].3;
            blob.u32(at + 16);
            blob.u32(u32::try_from(data.len()).unwrap());
            blob.u32(1252);
            blob.u32(0);
            blob.bytes.extend(data);
            at - root
        } else {
            (level(blob, root, group, depth + 1) - root) | 1 << 31
        };
        blob.put_u32(entry, id);
        blob.put_u32(entry + 4, child);
    }
    directory
}

fn build(leaves: &[Leaf]) -> Vec<u8> {
    let mut builder = PeBuilder::program(Machine::Amd64);
    add_resources(&mut builder, leaves);
    builder.build()
}

#[test]
fn resources_are_found_by_type_name_and_language() {
    let file = build(&[
        (name("CUSTOM"), name("ÄPFEL"), ENGLISH, b"apples".to_vec()),
        (name("CUSTOM"), ResourceId::Id(5), 0, b"five".to_vec()),
        (ResourceId::Id(10), ResourceId::Id(1), GERMAN, b"eins".to_vec()),
        (ResourceId::Id(10), ResourceId::Id(1), ENGLISH, b"one".to_vec()),
    ]);
    let pe = Pe::parse(&file).unwrap();
    let image = pe.image();
    let resources = pe::resources(pe.headers()).unwrap();
    let get = |kind: &ResourceId, id: &ResourceId, language| {
        let found = resources.find(&image, kind, id, language).unwrap();
        found.map(|r| (r.language, String::from_utf8(resources.data(&image, r).unwrap()).unwrap()))
    };
    let (custom, ten, one) = (name("custom"), ResourceId::Id(10), ResourceId::Id(1));
    let some = |language, text: &str| Some((language, text.to_owned()));
    assert_eq!(get(&custom, &name("äpfel"), Language::User(0)), some(ENGLISH, "apples"));
    assert_eq!(get(&custom, &ResourceId::Id(5), Language::Wanted(ENGLISH)), some(0, "five"));
    assert_eq!(get(&ten, &one, Language::Wanted(GERMAN)), some(GERMAN, "eins"));
    assert_eq!(get(&ten, &one, Language::User(GERMAN)), some(GERMAN, "eins"));
    assert_eq!(get(&ten, &one, Language::User(0x411)), some(ENGLISH, "one"));
    assert_eq!(get(&ten, &one, Language::Wanted(0x411)), None);
    assert_eq!(get(&ten, &ResourceId::Id(2), Language::User(0)), None);
    assert_eq!(get(&ResourceId::Id(11), &one, Language::User(0)), None);
    assert_eq!(get(&name("CUSTO"), &one, Language::User(0)), None);
    let mut all = Vec::new();
    let visit = |kind: &ResourceId, id: &ResourceId, r: pe::Resource| {
        all.push(format!("{kind}/{id}/{:#x}", r.language));
        all.len() < 3
    };
    resources.for_each(&image, visit).unwrap();
    assert_eq!(all, ["\"CUSTOM\"/\"ÄPFEL\"/0x409", "\"CUSTOM\"/#5/0x0", "#10/#1/0x407"]);
}

#[test]
fn the_first_language_serves_when_no_other_does() {
    let file = build(&[(ResourceId::Id(10), ResourceId::Id(1), 0x41d, b"ett".to_vec())]);
    let pe = Pe::parse(&file).unwrap();
    let resources = pe::resources(pe.headers()).unwrap();
    let find =
        |language| resources.find(&pe.image(), &ResourceId::Id(10), &ResourceId::Id(1), language).unwrap();
    assert_eq!(find(Language::User(ENGLISH)).map(|r| r.language), Some(0x41d));
    assert_eq!(find(Language::Wanted(ENGLISH)), None);
}

#[test]
fn strings_come_in_bundles_of_sixteen() {
    let mut table = Vec::new();
    for n in 0..16 {
        let text = if n == 3 {
            utf16("drei")
        } else if n == 15 {
            utf16("last")
        } else {
            vec![]
        };
        table.extend(u16::try_from(text.len()).unwrap().to_le_bytes());
        table.extend(text.iter().flat_map(|unit| unit.to_le_bytes()));
    }
    let mut short = table.clone();
    short.truncate(20);
    let file = build(&[
        (ResourceId::STRING, ResourceId::Id(7), ENGLISH, table),
        (ResourceId::STRING, ResourceId::Id(8), ENGLISH, short),
    ]);
    let pe = Pe::parse(&file).unwrap();
    let resources = pe::resources(pe.headers()).unwrap();
    let string = |id| resources.string(&pe.image(), id, Language::User(ENGLISH));
    assert_eq!(string(96 + 3), Ok(Some(utf16("drei"))));
    assert_eq!(string(96 + 15), Ok(Some(utf16("last"))));
    assert_eq!((string(96), string(500)), (Ok(None), Ok(None)));
    assert!(string(112 + 15).unwrap_err().to_string().contains("runs out of its table"));
}

#[test]
fn manifests_are_found() {
    let file = build(&[(ResourceId::MANIFEST, ResourceId::Id(1), ENGLISH, b"<assembly/>".to_vec())]);
    let pe = Pe::parse(&file).unwrap();
    let resources = pe::resources(pe.headers()).unwrap();
    assert_eq!(resources.manifest(&pe.image(), 1).unwrap().as_deref(), Some(&b"<assembly/>"[..]));
    assert_eq!(resources.manifest(&pe.image(), 2), Ok(None));
}

/// A node of a version block.
fn node(key: &str, text: bool, value: &[u8], children: &[Vec<u8>]) -> Vec<u8> {
    let mut out = vec![0; 6];
    out.extend(utf16(key).into_iter().chain([0]).flat_map(u16::to_le_bytes));
    out.resize(out.len().next_multiple_of(4), 0);
    out.extend(value);
    for child in children {
        out.resize(out.len().next_multiple_of(4), 0);
        out.extend(child);
    }
    let units = if text { value.len() / 2 } else { value.len() };
    for (at, field) in [out.len(), units, usize::from(text)].into_iter().enumerate() {
        out[2 * at..2 * at + 2].copy_from_slice(&u16::try_from(field).unwrap().to_le_bytes());
    }
    out
}

pub(crate) fn version_block() -> Vec<u8> {
    let text =
        |text: &str| -> Vec<u8> { utf16(text).into_iter().chain([0]).flat_map(u16::to_le_bytes).collect() };
    let mut fixed = vec![0; 52];
    let words: [u32; 6] = [0xfeef_04bd, 0x1_0000, 0x1_0002, 0x3_0004, 0x5_0006, 0x7_0008];
    for (at, word) in words.into_iter().enumerate() {
        fixed[4 * at..4 * at + 4].copy_from_slice(&word.to_le_bytes());
    }
    let strings =
        [node("CompanyName", true, &text("Odd"), &[]), node("ProductName", true, &text("Transom Test"), &[])];
    let table = node("040904b0", true, &[], &strings);
    let translation = node("Translation", false, &[9, 4, 0xb0, 4], &[]);
    let children =
        [node("StringFileInfo", true, &[], &[table]), node("VarFileInfo", true, &[], &[translation])];
    node("VS_VERSION_INFO", false, &fixed, &children)
}

#[test]
fn version_blocks_answer_queries() {
    let block = version_block();
    let query = |path: &str| version::query(&block, &utf16(path));
    assert_eq!(query(r"\StringFileInfo\040904b0\ProductName").unwrap().string(&block), "Transom Test");
    assert_eq!(query(r"stringfileinfo\040904B0\companyname").unwrap().string(&block), "Odd");
    assert_eq!(query(r"\StringFileInfo\040904b0\Nope"), None);
    assert_eq!(query(r"\").unwrap().value.len(), 52);
    let fixed = version::fixed(&block).unwrap();
    assert_eq!((fixed.file_version, fixed.product_version), ([1, 2, 3, 4], [5, 6, 7, 8]));
    assert_eq!(version::translations(&block), [(0x409, 0x4b0)]);
    // Cut anywhere, a block gives answers or none, but no panic.
    for length in 0..block.len() {
        let _ = version::translations(&block[..length]);
        let _ = version::fixed(&block[..length]);
    }
    assert_eq!(version::fixed(&block[..40]), None);
}

pub(crate) fn message_table() -> Vec<u8> {
    let entry = |unicode: u16, text: &[u8]| {
        let length = (4 + text.len()).next_multiple_of(4);
        let mut entry = [u16::try_from(length).unwrap().to_le_bytes(), unicode.to_le_bytes()].concat();
        entry.extend(text);
        entry.resize(length, 0);
        entry
    };
    let entries = [entry(0, b"ten\r\n"), entry(0, b"eleven"), entry(1, b"w\0")];
    let mut table = Vec::new();
    let first = 4 + 2 * 12;
    let third = u32::try_from(first + entries[0].len() + entries[1].len()).unwrap();
    for word in [2, 10, 11, u32::try_from(first).unwrap(), 0x8000_0000, 0x8000_0000, third] {
        table.extend(word.to_le_bytes());
    }
    table.extend(entries.concat());
    table
}

#[test]
fn messages_are_found_by_number() {
    let table = message_table();
    let find = |id| messages::find(&table, id).map(|m| (m.unicode, table[m.text].to_vec()));
    assert_eq!(find(10), Some((false, b"ten\r\n\0\0\0".to_vec())));
    assert_eq!(find(11), Some((false, b"eleven\0\0".to_vec())));
    assert_eq!(find(0x8000_0000), Some((true, b"w\0\0\0".to_vec())));
    assert_eq!((find(9), find(12), find(u32::MAX)), (None, None, None));
    let ids: Vec<_> = messages::all(&table).map(|(id, _)| id).collect();
    assert_eq!(ids, [10, 11, 0x8000_0000]);
}
