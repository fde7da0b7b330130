//! Files made to cost time or memory, and files mutated at random: each walk ends soon, with results or one-line errors.

use std::time::{Duration, Instant};

use proptest::prelude::*;
use transom_cpu::machine::Machine;
use transom_loader::pe::{self, MappedImageMut, Pe, PeError, ResourceId};
use windows_sys::Win32::System::Diagnostics::Debug::*;

use crate::builder::*;
use crate::directories::map;
use crate::resources::{ENGLISH, add_resources, message_table, name, version_block};

/// A file with everything that a file can have.
pub(crate) fn everything(machine: Machine) -> Vec<u8> {
    let mut builder = PeBuilder::program(machine);
    let symbols = [Sym::name("ExitProcess"), Sym::Ordinal(3), Sym::name("?f@@YAXXZ")];
    builder.imports(&[(b"KERNEL32.dll", &symbols), (b"b.dll", &symbols[1..])]);
    builder.delay_imports(b"late.dll", &symbols, machine == Machine::I386);
    builder.exports(1, &[0x1000, 0x1004, 1], &[("a", 0), ("b", 2)], &[(2, "x.y")]);
    builder.relocations(&[(0x1000, &[if machine.is_64() { 10 << 12 } else { 3 << 12 }, 0])]);
    builder.tls(&[0x1000]);
    let mut blob = builder.blob();
    let at = blob.zeroes(0x180);
    blob.put_u32(at, 0x118);
    builder.directory(IMAGE_DIRECTORY_ENTRY_LOAD_CONFIG, b".ldcfg", blob, at, 0x118);
    add_resources(
        &mut builder,
        &[
            (name("TYPE"), name("NAME"), ENGLISH, b"data".to_vec()),
            (ResourceId::MESSAGE_TABLE, ResourceId::Id(1), ENGLISH, message_table()),
            (ResourceId::VERSION, ResourceId::Id(1), ENGLISH, version_block()),
        ],
    );
    builder.build()
}

/// Walks everything, on the file and mapped elsewhere, and gives the errors.
fn walk(file: &[u8]) -> Vec<PeError> {
    let pe = match Pe::parse(file) {
        Ok(pe) => pe,
        Err(error) => return vec![error],
    };
    let mut errors = pe::survey(&pe.image(), pe.headers()).errors;
    if pe.map_plan().size < 1 << 20 {
        let mut memory = map(&pe);
        let mut image = MappedImageMut::new(&mut memory, pe.headers().image_base);
        errors.extend(pe::relocate(&mut image, pe.headers(), 0x5000_0000).err());
        errors.extend(pe::survey(&image, pe.headers()).errors);
    }
    for error in &errors {
        let text = error.to_string();
        assert!(!text.contains(|c: char| c.is_control()), "{text:?}");
    }
    errors
}

fn timed(file: &[u8]) -> Vec<PeError> {
    let start = Instant::now();
    let errors = walk(file);
    // Honest walks of such files take a few milliseconds even in a debug build.
    assert!(start.elapsed() < Duration::from_secs(10), "{:?} for {} bytes", start.elapsed(), file.len());
    errors
}

#[test]
fn a_file_with_everything_has_no_errors() {
    for machine in MACHINES {
        let file = everything(machine);
        let pe = Pe::parse(&file).unwrap();
        let survey = pe::survey(&pe.image(), pe.headers());
        assert_eq!(survey.errors, []);
        assert_eq!((survey.imports, survey.delay_imports, survey.exports), (5, 3, (2, 1, 1)));
        assert_eq!((survey.relocations, survey.tls_callbacks, survey.resources), (1, Some(1), 3));
        assert_eq!((survey.version, survey.messages), (Some([1, 2, 3, 4]), 3));
    }
}

#[test]
fn many_descriptors_of_one_long_thunk_table_are_cut_short() {
    let mut builder = PeBuilder::program(Machine::Amd64);
    let mut blob = builder.blob();
    let count = 10_000;
    let table = blob.zeroes(20 * (count + 1));
    let dll = blob.cstr(b"a.dll");
    let thunks = blob.here();
    for n in 0..50_000 {
        blob.pointer(Machine::Amd64, 1 << 63 | n);
    }
    blob.pointer(Machine::Amd64, 0);
    for at in (table..).step_by(20).take(count) {
        blob.put_u32(at, thunks);
        blob.put_u32(at + 12, dll);
        blob.put_u32(at + 16, thunks);
    }
    builder.directory(IMAGE_DIRECTORY_ENTRY_IMPORT, b".idata", blob, table, 20);
    let errors = timed(&builder.build());
    assert!(matches!(errors[..], [PeError::Overwork { .. }, ..]), "{errors:?}");
}

#[test]
fn many_imports_of_one_long_name_are_cut_short() {
    let long = "n".repeat(60_000);
    let mut builder = PeBuilder::program(Machine::I386);
    let mut blob = builder.blob();
    let table = blob.zeroes(40);
    let dll = blob.cstr(b"a.dll");
    let name = blob.here();
    blob.u16(0);
    blob.cstr(long.as_bytes());
    blob.align(4);
    let thunks = blob.here();
    (0..20_000).for_each(|_| blob.u32(name));
    blob.u32(0);
    blob.put_u32(table, thunks);
    blob.put_u32(table + 12, dll);
    blob.put_u32(table + 16, thunks);
    builder.directory(IMAGE_DIRECTORY_ENTRY_IMPORT, b".idata", blob, table, 20);
    let errors = timed(&builder.build());
    assert!(matches!(errors[..], [PeError::Overwork { .. }, ..]), "{errors:?}");
}

#[test]
fn endless_names_are_cut_short() {
    let mut builder = PeBuilder::program(Machine::I386);
    builder.imports(&[(&[b'x'; 100_000], &[])]);
    let errors = timed(&builder.build());
    assert!(errors[0].to_string().contains("longer than 65536 bytes"), "{}", errors[0]);
}

#[test]
fn huge_counts_allocate_nothing() {
    let mut builder = PeBuilder::program(Machine::Amd64);
    builder.exports(1, &[0x1000], &[("a", 0)], &[]);
    let file = builder.build();
    for (at, count) in [(20, u32::MAX), (24, u32::MAX), (20, 0x4000_0000), (24, 0x1000)] {
        let mut file = file.clone();
        put32(&mut file, 0x400 + at, count);
        let errors = timed(&file);
        assert!(errors[0].to_string().contains("do not fit into the file"), "{}", errors[0]);
    }
}

#[test]
fn a_huge_image_of_zeroes_is_cheap() {
    let mut builder = PeBuilder::program(Machine::Amd64);
    builder.section(b".bss", DATA, Vec::new());
    builder.sections[1].virtual_size = 0x7000_0000;
    for index in [IMAGE_DIRECTORY_ENTRY_IMPORT, IMAGE_DIRECTORY_ENTRY_DEBUG, IMAGE_DIRECTORY_ENTRY_BASERELOC]
    {
        builder.directories[usize::from(index)] = (0x2000, 0x6fff_0000);
    }
    builder.directories[usize::from(IMAGE_DIRECTORY_ENTRY_EXCEPTION)] = (0x2000, 0x6fff_0000);
    builder.directories[usize::from(IMAGE_DIRECTORY_ENTRY_RESOURCE)] = (0x2000, 0x6fff_0000);
    let file = builder.build();
    let pe = Pe::parse(&file).unwrap();
    assert_eq!(pe.map_plan().size, 0x7000_2000);
    timed(&file);
}

#[test]
fn cyclic_resource_trees_end() {
    // A directory whose 1,000 entries all lead to itself.
    let mut builder = PeBuilder::program(Machine::Amd64);
    let mut blob = builder.blob();
    let root = blob.zeroes(12);
    blob.u16(0);
    blob.u16(1000);
    for n in 0..1000 {
        blob.u32(n);
        blob.u32(1 << 31);
    }
    builder.directory(IMAGE_DIRECTORY_ENTRY_RESOURCE, b".rsrc", blob, root, 16);
    let errors = timed(&builder.build());
    assert!(errors[0].to_string().contains("more than three levels"), "{}", errors[0]);
}

#[test]
fn wide_resource_trees_are_cut_short() {
    // Three directories of 5,000 entries, each leading to the next: 125 billion leaves, all the same.
    let mut builder = PeBuilder::program(Machine::Amd64);
    let mut blob = builder.blob();
    let root = blob.rva;
    let size = 16 + 8 * 5000;
    for depth in 1..=3u32 {
        blob.zeroes(12);
        blob.u16(0);
        blob.u16(5000);
        for n in 0..5000 {
            blob.u32(n);
            blob.u32(if depth < 3 { (depth * size) | (1 << 31) } else { 3 * size });
        }
    }
    blob.zeroes(16);
    builder.directory(IMAGE_DIRECTORY_ENTRY_RESOURCE, b".rsrc", blob, root, size);
    let errors = timed(&builder.build());
    assert!(matches!(errors[..], [PeError::Overwork { .. }, ..]), "{errors:?}");
}

#[test]
fn message_blocks_that_overlap_end() {
    let mut table = 2000u32.to_le_bytes().to_vec();
    for _ in 0..2000 {
        for word in [0u32, u32::MAX, 4 + 12 * 2000] {
            table.extend(word.to_le_bytes());
        }
    }
    (0..10_000).for_each(|_| table.extend([4, 0, 0, 0]));
    assert_eq!(pe::resources::messages::all(&table).count(), table.len() / 4);
    assert_eq!(pe::resources::messages::find(&table, u32::MAX), None);
}

#[derive(Clone, Debug)]
enum Mutation {
    Byte(usize, u8),
    Word(usize, u32),
    Cut(usize),
}

fn mutation() -> impl Strategy<Value = Mutation> {
    let value = prop_oneof![
        any::<u32>(),
        Just(0),
        Just(u32::MAX),
        Just(1 << 31),
        0..0x1_0000u32,
        (0..32u32).prop_map(|n| 1 << n),
    ];
    prop_oneof![
        4 => (0..0x400usize, any::<u8>()).prop_map(|(at, b)| Mutation::Byte(at, b)),
        8 => (0..0x100usize, value.clone()).prop_map(|(at, w)| Mutation::Word(NT + 4 * at, w)),
        8 => (0..0x800usize, value).prop_map(|(at, w)| Mutation::Word(4 * at, w)),
        1 => (0..0x2000usize).prop_map(Mutation::Cut),
    ]
}

fn apply(file: &mut Vec<u8>, mutation: &Mutation) {
    match *mutation {
        Mutation::Byte(at, byte) if at < file.len() => file[at] = byte,
        Mutation::Word(at, word) if at + 4 <= file.len() => put32(file, at, word),
        Mutation::Cut(length) => file.truncate(length),
        _ => {}
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn mutated_files_never_panic(which in 0..3usize, mutations in prop::collection::vec(mutation(), 1..8)) {
        let mut file = everything(MACHINES[which]);
        for mutation in &mutations {
            apply(&mut file, mutation);
        }
        timed(&file);
    }

    #[test]
    fn plans_keep_their_promises(which in 0..3usize, mutations in prop::collection::vec(mutation(), 1..4)) {
        let mut file = everything(MACHINES[which]);
        for mutation in &mutations {
            apply(&mut file, mutation);
        }
        let Ok(pe) = Pe::parse(&file) else { return Ok(()) };
        let plan = pe.map_plan();
        let mut free_from = 0;
        for range in &plan.ranges {
            prop_assert!(range.rva % 4096 == 0 && range.size % 4096 == 0 && range.size > 0);
            prop_assert!(range.rva >= free_from);
            free_from = range.rva + range.size;
            prop_assert!(range.file_size <= range.size);
            prop_assert!(range.file_offset + u64::from(range.file_size) <= file.len() as u64);
        }
        prop_assert!(free_from <= plan.size);
    }

    #[test]
    fn any_bytes_make_version_blocks_and_message_tables(bytes in prop::collection::vec(any::<u8>(), 0..400), id: u32) {
        let _ = pe::resources::version::translations(&bytes);
        let _ = pe::resources::version::fixed(&bytes);
        let _ = pe::resources::messages::find(&bytes, id);
        prop_assert!(pe::resources::messages::all(&bytes).count() <= bytes.len() / 4);
    }
}
