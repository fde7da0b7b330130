//! Imports, exports, relocations, TLS, load configuration, exceptions, debug.

use transom_cpu::machine::Machine;
use transom_loader::pe::{
    self, Export, ExportTarget, Forwarder, ImageBytes, ImageBytesMut, MappedImage, MappedImageMut, Pe,
    Relocation, RelocationKind, Symbol,
};
use windows_sys::Win32::System::Diagnostics::Debug::*;

use crate::builder::*;

/// Lays a file out as in memory.
pub(crate) fn map(pe: &Pe<'_>) -> Vec<u8> {
    let mut memory = vec![0; pe.map_plan().size as usize];
    pe.image().read_at(0, &mut memory);
    for range in &pe.map_plan().ranges {
        let at = range.rva as usize;
        let part = &mut memory[at..at + range.size as usize];
        assert_eq!(pe.image().read_at(range.rva, part), part.len());
    }
    memory
}

/// All imports as text, through any reader.
fn import_list<I: ImageBytes>(image: &I, pe: &Pe<'_>) -> Vec<String> {
    let mut list = Vec::new();
    for dll in &pe::imports(image, pe.headers()) {
        let dll = dll.unwrap();
        for import in dll.symbols() {
            list.push(format!("{}!{}", dll.name, import.unwrap().symbol));
        }
    }
    list
}

#[test]
fn imports_by_name_and_ordinal() {
    for machine in MACHINES {
        let mut builder = PeBuilder::program(machine);
        builder.imports(&[
            (b"KERNEL32.dll", &[Sym::name("ExitProcess"), Sym::name("Sleep")]),
            (b"empty.dll", &[]),
            (b"WS2_32.dll", &[Sym::Ordinal(115), Sym::name("WSAIoctl")]),
        ]);
        let file = builder.build();
        let pe = Pe::parse(&file).unwrap();
        let expected =
            ["KERNEL32.dll!ExitProcess", "KERNEL32.dll!Sleep", "WS2_32.dll!#115", "WS2_32.dll!WSAIoctl"];
        assert_eq!(import_list(&pe.image(), &pe), expected);
        assert_eq!(import_list(&MappedImage::new(&map(&pe), 0), &pe), expected);
        let imports = pe::imports(&pe.image(), pe.headers()).into_iter().count();
        assert_eq!(imports, 3);
    }
}

#[test]
fn import_slots_step_by_pointers_and_hints_are_read() {
    for machine in MACHINES {
        let mut builder = PeBuilder::program(machine);
        builder.imports(&[(b"a.dll", &[Sym::name("one"), Sym::Ordinal(2)])]);
        let file = builder.build();
        let pe = Pe::parse(&file).unwrap();
        let image = pe.image();
        let imports = pe::imports(&image, pe.headers());
        let dll = (&imports).into_iter().next().unwrap().unwrap();
        let symbols: Vec<_> = dll.symbols().map(Result::unwrap).collect();
        assert_eq!(symbols[0].symbol, Symbol::Name { hint: 7, name: b"one"[..].into() });
        assert_eq!(symbols[0].slot, dll.address_table);
        assert_eq!(symbols[1].slot as usize, dll.address_table as usize + machine.pointer_size());
        assert!(!dll.bound && dll.name_table != dll.address_table);
    }
}

#[test]
fn without_a_name_table_the_address_table_is_read() {
    let mut builder = PeBuilder::program(Machine::I386);
    builder.imports(&[(b"a.dll", &[Sym::name("one")])]);
    let mut file = builder.build();
    // Some old linkers leave OriginalFirstThunk 0, others leave rubbish.
    for rubbish in [0, 1, 0x9000_0000] {
        put32(&mut file, 0x400, rubbish);
        let pe = Pe::parse(&file).unwrap();
        assert_eq!(import_list(&pe.image(), &pe), ["a.dll!one"]);
    }
}

#[test]
fn no_import_directory_means_no_imports() {
    let file = PeBuilder::program(Machine::Amd64).build();
    let pe = Pe::parse(&file).unwrap();
    let (image, headers) = (pe.image(), pe.headers());
    assert_eq!(pe::survey(&image, headers), pe::Survey::default());
    assert!(pe::exports(&image, headers).unwrap().is_none());
    assert!(pe::tls(&image, headers).unwrap().is_none());
    assert!(pe::load_config(&image, headers).unwrap().is_none());
    assert!(pe::exception_table(headers).unwrap().is_none());
    assert!(pe::resources(headers).is_none());
}

#[test]
fn delay_imports_with_rvas_and_with_addresses() {
    for (machine, addresses) in
        [(Machine::Amd64, false), (Machine::Arm64, false), (Machine::I386, false), (Machine::I386, true)]
    {
        let mut builder = PeBuilder::program(machine);
        builder.delay_imports(b"late.dll", &[Sym::name("f"), Sym::Ordinal(9)], addresses);
        let file = builder.build();
        let pe = Pe::parse(&file).unwrap();
        let image = pe.image();
        let imports = pe::delay_imports(&image, pe.headers());
        let dlls: Vec<_> = imports.into_iter().map(Result::unwrap).collect();
        let [dll] = &dlls[..] else { panic!("one DLL") };
        let symbols: Vec<_> = dll.symbols().map(|import| import.unwrap().symbol.to_string()).collect();
        assert_eq!(
            (dll.name.to_text().as_ref(), symbols),
            ("late.dll", vec!["f".to_owned(), "#9".to_owned()])
        );
        assert!(dll.module_handle > 0x2000 && dll.module_handle < dll.name_table);
        assert_eq!((dll.bound_table, dll.unload_table), (0, 0));
    }
}

fn address(ordinal: u32, rva: u32) -> Option<Export> {
    Some(Export { ordinal, target: ExportTarget::Address(rva) })
}

#[test]
fn exports_by_name_ordinal_and_forwarder() {
    let mut builder = PeBuilder::program(Machine::Amd64);
    let names = [("Alpha", 0), ("Beta", 2), ("Fwd", 3), ("FwdOrd", 4), ("Gamma", 0)];
    let forwarders = [(3, "NTDLL.RtlAllocateHeap"), (4, "my.side.by.side.#12")];
    builder.exports(10, &[0x1000, 0, 0x1004, 1, 1, 0x1008], &names, &forwarders);
    let file = builder.build();
    let pe = Pe::parse(&file).unwrap();
    let image = pe.image();
    let exports = pe::exports(&image, pe.headers()).unwrap().unwrap();
    let by_name = |name: &str, hint| exports.by_name(&image, name.as_bytes(), hint).unwrap();
    assert_eq!(exports.dll_name(&image).unwrap().to_text(), "built.dll");
    for hint in [None, Some(0), Some(1), Some(4), Some(60000)] {
        assert_eq!(by_name("Alpha", hint), address(10, 0x1000));
        assert_eq!(by_name("Beta", hint), address(12, 0x1004));
        assert_eq!(by_name("Gamma", hint), address(10, 0x1000));
        for missing in ["", "A", "Alph", "Alphaa", "Zeta", "beta"] {
            assert_eq!(by_name(missing, hint), None, "{missing}");
        }
    }
    let forwarder = |text: &str| ExportTarget::Forwarder(Forwarder::parse(text.as_bytes()).unwrap());
    assert_eq!(by_name("Fwd", None).unwrap().target, forwarder("NTDLL.RtlAllocateHeap"));
    let ExportTarget::Forwarder(side) = by_name("FwdOrd", None).unwrap().target else {
        panic!("a forwarder")
    };
    assert_eq!((side.dll.to_text().as_ref(), side.symbol), ("my.side.by.side", Symbol::Ordinal(12)));
    let by_ordinal = |ordinal| exports.by_ordinal(&image, ordinal).unwrap();
    assert_eq!(by_ordinal(15), address(15, 0x1008));
    assert_eq!(
        (by_ordinal(9), by_ordinal(11), by_ordinal(16), by_ordinal(u32::MAX)),
        (None, None, None, None)
    );
    let mut all = Vec::new();
    exports
        .for_each(&image, |name, e| all.push((name.map(|n| n.to_string()).unwrap_or_default(), e.ordinal)))
        .unwrap();
    let all: Vec<_> = all.iter().map(|(name, ordinal)| (name.as_str(), *ordinal)).collect();
    assert_eq!(all, [("Alpha", 10), ("Beta", 12), ("Fwd", 13), ("FwdOrd", 14), ("Gamma", 10), ("", 15)]);
}

#[test]
fn unsorted_export_names_are_found_too() {
    let mut builder = PeBuilder::program(Machine::I386);
    let names = [("zulu", 0), ("mike", 1), ("alpha", 2), ("kilo", 3)];
    builder.exports(1, &[0x1000, 0x1001, 0x1002, 0x1003], &names, &[]);
    let file = builder.build();
    let pe = Pe::parse(&file).unwrap();
    let image = pe.image();
    let exports = pe::exports(&image, pe.headers()).unwrap().unwrap();
    for (name, index) in names {
        let found = exports.by_name(&image, name.as_bytes(), None).unwrap();
        assert_eq!(found, address(u32::from(index) + 1, 0x1000 + u32::from(index)), "{name}");
    }
    assert_eq!(exports.by_name(&image, b"nope", None).unwrap(), None);
}

#[test]
fn long_export_names_are_compared_to_their_ends() {
    let long = |n: usize, last: char| "x".repeat(n) + &last.to_string();
    let names: Vec<String> =
        [63, 64, 65, 127, 128, 300].into_iter().flat_map(|n| [long(n, 'a'), long(n, 'b')]).collect();
    let mut sorted: Vec<(&str, u16)> = names.iter().map(String::as_str).zip(0..).collect();
    sorted.sort_unstable();
    let mut builder = PeBuilder::program(Machine::Amd64);
    builder.exports(0, &(0x1000..0x100c).collect::<Vec<_>>(), &sorted, &[]);
    let file = builder.build();
    let pe = Pe::parse(&file).unwrap();
    let image = pe.image();
    let exports = pe::exports(&image, pe.headers()).unwrap().unwrap();
    for (name, index) in sorted {
        let index = u32::from(index);
        assert_eq!(exports.by_name(&image, name.as_bytes(), None).unwrap(), address(index, 0x1000 + index));
        assert_eq!(exports.by_name(&image, &name.as_bytes()[..name.len() - 1], None).unwrap(), None);
    }
}

#[test]
fn malformed_forwarders_are_refused() {
    for text in ["", ".", "nodot", "dll.", ".func", "dll.#", "dll.#70000", "dll.#x"] {
        assert_eq!(Forwarder::parse(text.as_bytes()), None, "{text}");
    }
}

#[test]
fn relocations_move_addresses_by_the_delta() {
    for machine in MACHINES {
        let wide = machine.is_64();
        let mut builder = PeBuilder::program(machine);
        let mut blob = builder.blob();
        let data = blob.rva;
        blob.pointer(machine, builder.image_base + 0x1234);
        blob.zeroes(0xff0);
        // A pointer across a page boundary.
        let across = blob.rva + 0xffc;
        blob.bytes.resize(0xffc, 0);
        blob.pointer(machine, builder.image_base + 0x2345);
        builder.section(b".data", DATA, blob.bytes);
        let kind: u16 = if wide { 10 << 12 } else { 3 << 12 };
        builder.relocations(&[(data, &[kind, kind | 0xffc]), (data, &[0, 0]), (0, &[])]);
        let file = builder.build();
        let pe = Pe::parse(&file).unwrap();
        let kind = if wide { RelocationKind::Dir64 } else { RelocationKind::HighLow };
        let image = pe.image();
        let found: Vec<_> = pe::relocations(&image, pe.headers()).unwrap().map(Result::unwrap).collect();
        assert_eq!(found, [Relocation { rva: data, kind }, Relocation { rva: across, kind }]);
        let mut memory = map(&pe);
        let new_base = 0x7fff_0000;
        let mut image = MappedImageMut::new(&mut memory, builder.image_base);
        assert_eq!(pe::relocate(&mut image, pe.headers(), new_base), Ok(2));
        let read = |at: u32| {
            let mut bytes = [0; 8];
            let n = machine.pointer_size();
            bytes[..n].copy_from_slice(&memory[at as usize..at as usize + n]);
            u64::from_le_bytes(bytes)
        };
        assert_eq!((read(data), read(across)), (new_base + 0x1234, new_base + 0x2345));
    }
}

#[test]
fn sixteen_bit_relocations_patch_halves() {
    let mut builder = PeBuilder::program(Machine::I386);
    let data = builder.section(b".data", DATA, vec![0x40, 0, 0x34, 0x12]);
    builder.relocations(&[(data, &[1 << 12, 2 << 12 | 2])]);
    let file = builder.build();
    let pe = Pe::parse(&file).unwrap();
    let mut memory = map(&pe);
    pe::relocate(&mut MappedImageMut::new(&mut memory, 0x40_0000), pe.headers(), 0x55_0000).unwrap();
    assert_eq!(memory[data as usize..data as usize + 4], [0x55, 0, 0x34, 0x12]);
}

#[test]
fn relocation_errors() {
    let relocate = |builder: &PeBuilder, to: u64| {
        let file = builder.build();
        let pe = Pe::parse(&file).unwrap();
        let mut memory = map(&pe);
        let result =
            pe::relocate(&mut MappedImageMut::new(&mut memory, builder.image_base), pe.headers(), to);
        result.map_err(|error| error.to_string())
    };
    let with = |machine, pages: &[(u32, &[u16])]| {
        let mut builder = PeBuilder::program(machine);
        builder.relocations(pages);
        builder
    };
    let error = |builder: PeBuilder| relocate(&builder, 0x1000_0000).unwrap_err();
    assert!(error(with(Machine::Arm64, &[(0x1000, &[7 << 12])])).contains("type 7 does not exist on ARM64"));
    assert!(error(with(Machine::I386, &[(0x1000, &[10 << 12])])).contains("type 10 does not exist on x86"));
    assert!(error(with(Machine::Amd64, &[(0x10_0000, &[10 << 12])])).contains("outside the image"));
    assert!(error(with(Machine::Amd64, &[(0xffff_ffff, &[10 << 12 | 9])])).contains("beyond 4 GiB"));
    // The last two bytes of a place lie outside.
    assert!(error(with(Machine::Amd64, &[(0x2ffa, &[10 << 12])])).contains("outside the image"));
    let mut stripped = with(Machine::Amd64, &[]);
    stripped.characteristics |= IMAGE_FILE_RELOCS_STRIPPED;
    assert_eq!(relocate(&stripped, stripped.image_base), Ok(0));
    assert!(error(stripped).contains("stripped"));
    let mut huge = with(Machine::Amd64, &[(0x1000, &[0])]);
    huge.directories[usize::from(IMAGE_DIRECTORY_ENTRY_BASERELOC)].1 = u32::MAX;
    assert!(error(huge).contains("do not fit into the file"));
    let mut cut = with(Machine::Amd64, &[(0x1000, &[0, 0])]);
    cut.directories[usize::from(IMAGE_DIRECTORY_ENTRY_BASERELOC)].1 = 10;
    assert!(error(cut).contains("a block of 12 bytes, with 10 bytes left"));
}

#[test]
fn tls_directory_and_callbacks() {
    for machine in MACHINES {
        let mut builder = PeBuilder::program(machine);
        builder.tls(&[0x1000, 0x1008]);
        let file = builder.build();
        let pe = Pe::parse(&file).unwrap();
        let moved = 0x20_0000_0000;
        for (image, base) in [(map(&pe), builder.image_base), (map(&pe), moved)] {
            let image = MappedImage::new(&image, base);
            let tls = pe::tls(&image, pe.headers());
            if base == moved {
                // Addresses that were not relocated lie below the base.
                assert!(tls.unwrap_err().to_string().contains("outside the image"));
                continue;
            }
            let tls = tls.unwrap().unwrap();
            assert_eq!((tls.template, tls.template_size, tls.zero_fill), (0x2000, 24, 100));
            assert_eq!((tls.index, tls.alignment, tls.callbacks), (0x2018, 64, 0x2020));
            let callbacks: Vec<_> = tls.callbacks(&image).map(Result::unwrap).collect();
            assert_eq!(callbacks, [0x1000, 0x1008]);
        }
    }
}

#[test]
fn tls_callbacks_added_by_a_callback_are_seen() {
    struct Shared(std::cell::RefCell<Vec<u8>>);
    impl ImageBytes for Shared {
        fn read_at(&self, rva: u32, buf: &mut [u8]) -> usize {
            MappedImage::new(&self.0.borrow(), 0).read_at(rva, buf)
        }
        fn base(&self) -> u64 {
            0x1_4000_0000
        }
    }
    let mut builder = PeBuilder::program(Machine::Amd64);
    builder.tls(&[0x1000]);
    let file = builder.build();
    let pe = Pe::parse(&file).unwrap();
    let image = Shared(map(&pe).into());
    let tls = pe::tls(&image, pe.headers()).unwrap().unwrap();
    let mut callbacks = tls.callbacks(&image);
    assert_eq!(callbacks.next(), Some(Ok(0x1000)));
    let second = 0x1_4000_1004u64.to_le_bytes();
    MappedImageMut::new(&mut image.0.borrow_mut(), 0).write_at(tls.callbacks + 8, &second);
    assert_eq!(callbacks.next(), Some(Ok(0x1004)));
}

/// A load configuration with these pointer-sized or 32-bit fields at these offsets.
fn with_load_config(machine: Machine, size: u32, fields: &[(usize, u64, usize)]) -> Vec<u8> {
    let mut builder = PeBuilder::program(machine);
    let mut blob = builder.blob();
    let at = blob.zeroes(0x200);
    blob.put_u32(at, size);
    for &(offset, value, width) in fields {
        blob.bytes[offset..offset + width].copy_from_slice(&value.to_le_bytes()[..width]);
    }
    builder.directory(IMAGE_DIRECTORY_ENTRY_LOAD_CONFIG, b".rdata", blob, at, 0x40);
    builder.build()
}

#[test]
fn load_configuration_of_32_bits() {
    let base = 0x40_0000;
    let fields =
        [(60, base + 0x1008, 4), (64, base + 0x2100, 4), (68, 3, 4), (72, base + 0x1004, 4), (88, 0x500, 4)];
    let file = with_load_config(Machine::I386, 92, &fields);
    let pe = Pe::parse(&file).unwrap();
    let image = pe.image();
    let config = pe::load_config(&image, pe.headers()).unwrap().unwrap();
    assert_eq!((config.security_cookie, config.guard_check_pointer), (Some(0x1008), Some(0x1004)));
    assert_eq!((config.guard_flags, config.guard_functions), (0x500, None));
    let handlers = config.safe_handlers.unwrap();
    assert_eq!((handlers.rva, handlers.count), (0x2100, 3));
    assert_eq!(handlers.iter(&image, pe.headers()).collect::<Vec<_>>(), [Ok(0), Ok(0), Ok(0)]);
    // A structure that ends before a field does not have it.
    let file = with_load_config(Machine::I386, 64, &fields);
    let pe = Pe::parse(&file).unwrap();
    let config = pe::load_config(&pe.image(), pe.headers()).unwrap().unwrap();
    assert_eq!((config.security_cookie, config.safe_handlers, config.guard_flags), (Some(0x1008), None, 0));
}

#[test]
fn load_configuration_of_64_bits() {
    let base = 0x1_4000_0000u64;
    let fields = [
        (88, base + 0x1008, 8),
        (112, base + 0x2f00, 8),
        (120, base + 0x9000, 8),
        (128, base + 0x2010, 8),
        (136, 5, 8),
        (144, 0x1000_0500, 4),
    ];
    let file = with_load_config(Machine::Arm64, 0x118, &fields);
    let pe = Pe::parse(&file).unwrap();
    let config = pe::load_config(&pe.image(), pe.headers()).unwrap().unwrap();
    assert_eq!((config.security_cookie, config.guard_check_pointer), (Some(0x1008), Some(0x2f00)));
    assert_eq!(config.guard_dispatch_pointer, None, "outside the image");
    let functions = config.guard_functions.unwrap();
    assert_eq!((functions.rva, functions.count, functions.stride), (0x2010, 5, 5));
}

#[test]
fn exception_tables_find_the_function_of_an_address() {
    let mut builder = PeBuilder::program(Machine::Amd64);
    let mut blob = builder.blob();
    let at = blob.rva;
    for (begin, end, unwind) in [(0x1000, 0x1010, 0x9), (0x1010, 0x1020, 0xa), (0x1030, 0x1040, 0xb)] {
        [begin, end, unwind].into_iter().for_each(|word| blob.u32(word));
    }
    builder.directory(IMAGE_DIRECTORY_ENTRY_EXCEPTION, b".pdata", blob, at, 36);
    let file = builder.build();
    let pe = Pe::parse(&file).unwrap();
    let table = pe::exception_table(pe.headers()).unwrap().unwrap();
    let find = |rva| table.find(&pe.image(), rva).unwrap().map(|f| (f.begin, f.unwind));
    assert_eq!(find(0xfff), None);
    assert_eq!(find(0x1000), Some((0x1000, 9)));
    assert_eq!(find(0x101f), Some((0x1010, 0xa)));
    assert_eq!(find(0x1020), None);
    assert_eq!(find(0x103f), Some((0x1030, 0xb)));
    assert_eq!(find(0x1040), None);
}

#[test]
fn arm64_functions_have_packed_or_separate_lengths() {
    let mut builder = PeBuilder::program(Machine::Arm64);
    let mut blob = builder.blob();
    let at = blob.rva;
    let xdata = at + 16;
    for word in [0x1000, 4 << 2 | 1, 0x1020, xdata, 0xffff_0008] {
        blob.u32(word);
    }
    builder.directory(IMAGE_DIRECTORY_ENTRY_EXCEPTION, b".pdata", blob, at, 16);
    let file = builder.build();
    let pe = Pe::parse(&file).unwrap();
    let table = pe::exception_table(pe.headers()).unwrap().unwrap();
    let end = |rva| table.find(&pe.image(), rva).unwrap().map(|f| f.end);
    assert_eq!((end(0x100f), end(0x1010)), (Some(0x1010), None));
    assert_eq!(end(0x1020), Some(0x1020 + 4 * 0x3_0008));
}

#[test]
fn debug_directory_names_the_pdb() {
    let mut builder = PeBuilder::program(Machine::Amd64);
    let mut blob = builder.blob();
    let at = blob.zeroes(28);
    let record = blob.here();
    blob.bytes.extend(b"RSDS");
    blob.bytes.extend([0x11; 16]);
    blob.u32(3);
    blob.cstr(b"c:\\x.pdb");
    blob.put_u32(at + 12, IMAGE_DEBUG_TYPE_CODEVIEW);
    blob.put_u32(at + 16, 33);
    blob.put_u32(at + 20, record);
    builder.directory(IMAGE_DIRECTORY_ENTRY_DEBUG, b".rdata", blob, at, 28);
    let file = builder.build();
    let pe = Pe::parse(&file).unwrap();
    let entries = pe::debug_entries(&pe.image(), pe.headers()).unwrap();
    let code_view = entries[0].code_view(&pe.image(), pe.headers()).unwrap().unwrap();
    assert_eq!((code_view.age, code_view.guid), (3, [0x11; 16]));
    assert_eq!(code_view.path.to_text(), "c:\\x.pdb");
}
