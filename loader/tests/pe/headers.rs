//! Headers, sections and the map plan.

use transom_cpu::machine::Machine;
use transom_loader::pe::{ImageBytes, Pe, PeError, Protection};
use windows_sys::Win32::System::Diagnostics::Debug::*;
use windows_sys::Win32::System::Memory::*;

use crate::builder::*;

fn error(file: &[u8]) -> String {
    let text = Pe::parse(file).expect_err("must be refused").to_string();
    assert!(!text.contains('\n'), "one line: {text}");
    text
}

#[test]
fn headers_say_what_the_builder_put_in() {
    for machine in MACHINES {
        let mut builder = PeBuilder::program(machine);
        let data = builder.section(b".data", DATA, vec![1, 2, 3]);
        let file = builder.build();
        let pe = Pe::parse(&file).unwrap();
        let h = pe.headers();
        assert_eq!(h.machine, machine);
        assert!(!h.is_dll() && h.is_console() && h.is_relocatable() && h.has_dynamic_base());
        assert!(h.is_large_address_aware() && h.is_nx_compatible() && !h.has_no_seh());
        assert_eq!((h.image_base, h.entry_point), (builder.image_base, 0x1000));
        assert_eq!((h.size_of_image, h.size_of_headers), (0x3000, 0x200));
        assert_eq!((h.section_alignment, h.file_alignment), (0x1000, 0x200));
        assert_eq!((h.stack_reserve, h.stack_commit), (0x10_0000, 0x1000));
        assert_eq!((h.heap_reserve, h.heap_commit), (0x10_0000, 0x1000));
        assert_eq!((h.file_size, h.subsystem_version), (0x600, (6, 0)));
        assert_eq!(h.sections[1].name.to_string(), ".data");
        assert_eq!(h.section_at(data + 2).map(|s| s.rva), Some(data));
        assert_eq!(h.section_at(data + 3), None);
    }
}

#[test]
fn plan_covers_headers_and_sections() {
    let mut builder = PeBuilder::program(Machine::Amd64);
    builder.section(b".data", DATA, vec![7; 0x300]);
    builder.sections[1].virtual_size = 0x2345;
    builder.section(b".bss", DATA, Vec::new());
    builder.sections[2].virtual_size = 1;
    let file = builder.build();
    let pe = Pe::parse(&file).unwrap();
    let plan = pe.map_plan();
    assert_eq!(plan.size, 0x6000);
    let rows: Vec<_> = plan
        .ranges
        .iter()
        .map(|r| (r.rva, r.size, r.file_offset, r.file_size, r.protection.page_flags()))
        .collect();
    assert_eq!(
        rows,
        [
            (0, 0x1000, 0, 0x200, PAGE_READONLY),
            (0x1000, 0x1000, 0x200, 0x200, PAGE_EXECUTE_READ),
            (0x2000, 0x3000, 0x400, 0x400, PAGE_WRITECOPY),
            (0x5000, 0x1000, 0, 0, PAGE_WRITECOPY),
        ]
    );
    assert_eq!(plan.ranges[0].section, None);
    assert_eq!(plan.ranges[3].section, Some(2));
}

#[test]
fn raw_data_beyond_the_section_are_cut_at_its_last_page() {
    let mut builder = PeBuilder::new(Machine::I386);
    builder.section(b".text", CODE, vec![0x90; 0x2200]);
    builder.sections[0].virtual_size = 0x10;
    builder.sections[0].data.resize(0x1800, 0x90);
    let mut file = builder.build();
    put32(&mut file, section_header(Machine::I386, 0) + 16, 0x1800);
    put32(&mut file, OPTIONAL + 56, 0x2000);
    let pe = Pe::parse(&file).unwrap();
    let range = &pe.map_plan().ranges[1];
    assert_eq!((range.size, range.file_size), (0x1000, 0x1000));
    // What lies between the section's end and the page's end is the file's, as on Windows.
    let mut byte = [0];
    assert_eq!(pe.image().read_at(0x1fff, &mut byte), 1);
    assert_eq!(byte, [0x90]);
    assert_eq!(pe.image().read_at(0x2000, &mut byte), 0);
}

#[test]
fn zero_virtual_size_means_the_size_of_raw_data() {
    let mut builder = PeBuilder::new(Machine::Amd64);
    builder.section(b".text", CODE, vec![0x90; 0x1400]);
    let mut file = builder.build();
    put32(&mut file, section_header(Machine::Amd64, 0) + 8, 0);
    let pe = Pe::parse(&file).unwrap();
    assert_eq!(pe.headers().sections[0].memory_size(), 0x1400);
    assert_eq!(pe.map_plan().ranges[1].size, 0x2000);
}

#[test]
fn a_section_without_raw_data_has_no_place_in_the_file() {
    let mut builder = PeBuilder::program(Machine::Amd64);
    builder.section(b".bss", DATA, Vec::new());
    builder.sections[1].virtual_size = 4;
    let mut file = builder.build();
    put32(&mut file, section_header(Machine::Amd64, 1) + 20, 0xffff_fe00);
    let pe = Pe::parse(&file).unwrap();
    assert_eq!((pe.map_plan().ranges[2].file_offset, pe.map_plan().ranges[2].file_size), (0, 0));
    let mut buf = [1; 4];
    assert_eq!((pe.image().read_at(0x2000, &mut buf), buf), (4, [0; 4]));
}

#[test]
fn file_offsets_are_rounded_down_to_sectors() {
    let mut file = PeBuilder::program(Machine::Amd64).build();
    put32(&mut file, section_header(Machine::Amd64, 0) + 20, 0x3ff);
    assert_eq!(Pe::parse(&file).unwrap().map_plan().ranges[1].file_offset, 0x200);
}

#[test]
fn gaps_between_sections_are_left_out_of_the_plan() {
    let mut builder = PeBuilder::program(Machine::Amd64);
    builder.section(b".far", DATA, vec![9; 16]);
    builder.sections[1].rva = 0x8000;
    let file = builder.build();
    let pe = Pe::parse(&file).unwrap();
    assert_eq!(pe.map_plan().ranges.iter().map(|r| r.rva).collect::<Vec<_>>(), [0, 0x1000, 0x8000]);
    let image = pe.image();
    assert_eq!(image.read_at(0x2000, &mut [0; 4]), 0);
    let mut buf = [0; 4];
    assert_eq!((image.read_at(0x8000, &mut buf), buf), (4, [9; 4]));
}

#[test]
fn low_alignment_maps_the_file_as_one_piece() {
    let mut builder = PeBuilder::new(Machine::I386);
    builder.section_alignment = 0x20;
    builder.file_alignment = 0x20;
    builder.entry_point = 0x10;
    let mut file = builder.build();
    // One section, whose bytes lie at the same place in the file and in memory.
    put16(&mut file, NT + 6, 1);
    let header = section_header(Machine::I386, 0);
    file.resize(0x400, 0xcc);
    for (n, value) in [0x100u32, 0x300, 0x100, 0x300].into_iter().enumerate() {
        put32(&mut file, header + 8 + 4 * n, value);
    }
    put32(&mut file, OPTIONAL + 56, 0x400);
    put32(&mut file, OPTIONAL + 60, 0x300);
    let pe = Pe::parse(&file).unwrap();
    let [range] = &pe.map_plan().ranges[..] else { panic!("one range") };
    assert_eq!((range.size, range.file_size, range.protection), (0x1000, 0x400, Protection::ALL));
    put32(&mut file, header + 12, 0x320);
    assert!(error(&file).contains("must equal file offset"));
}

#[test]
fn reading_across_sections_stops_at_the_end_of_the_image() {
    let mut builder = PeBuilder::program(Machine::Amd64);
    builder.section(b".data", DATA, vec![5; 4]);
    let file = builder.build();
    let pe = Pe::parse(&file).unwrap();
    let mut buf = vec![0xee; 0x2000];
    assert_eq!(pe.image().read_at(0x1ffe, &mut buf), 0x1002);
    assert_eq!(buf[..8], [0, 0, 5, 5, 5, 5, 0, 0]);
}

#[test]
fn foreign_files_are_named() {
    for (file, expected) in [
        (&b""[..], "empty"),
        (b"\x7fELF\x02\x01", "ELF"),
        (b"#!/bin/sh\n", "script"),
        (b"PK\x03\x04rest", "ZIP"),
        (b"hello", "MZ"),
        (b"MZ", "the DOS header"),
    ] {
        assert!(error(file).contains(expected), "{expected}: {}", error(file));
    }
    let mut dos = PeBuilder::program(Machine::I386).build();
    for (signature, expected) in
        [(*b"NE\0\0", "16-bit"), (*b"LE\0\0", "VxD"), (*b"LX\0\0", "OS/2"), (*b"XXXX", "DOS")]
    {
        dos[NT..NT + 4].copy_from_slice(&signature);
        assert!(error(&dos).contains(expected));
    }
}

#[test]
fn every_truncation_is_refused() {
    for machine in MACHINES {
        let mut builder = PeBuilder::program(machine);
        builder.section(b".data", DATA, vec![1; 0x200]);
        let file = builder.build();
        Pe::parse(&file).unwrap();
        for length in 0..file.len() {
            error(&file[..length]);
        }
    }
}

#[test]
fn machines_and_subsystems_that_do_not_run_are_refused() {
    let good = PeBuilder::program(Machine::Amd64).build();
    let with16 = |at: usize, value: u16| {
        let mut file = good.clone();
        put16(&mut file, at, value);
        file
    };
    assert!(error(&with16(NT + 4, 0x1c4)).contains("32-bit ARM"));
    assert!(error(&with16(NT + 4, 0x200)).contains("Itanium"));
    assert!(error(&with16(NT + 4, 0x5064)).contains("0x5064"));
    assert!(error(&with16(NT + 4, 0x14c)).contains("Magic"));
    assert!(error(&with16(OPTIONAL + 68, IMAGE_SUBSYSTEM_NATIVE)).contains("driver"));
    assert!(error(&with16(OPTIONAL + 68, IMAGE_SUBSYSTEM_EFI_APPLICATION)).contains("UEFI"));
    assert!(error(&with16(OPTIONAL + 68, 77)).contains("subsystem 77"));
    assert!(error(&with16(NT + 22, 0)).contains("EXECUTABLE_IMAGE"));
    // A DLL's subsystem does not matter.
    let mut dll = with16(OPTIONAL + 68, IMAGE_SUBSYSTEM_NATIVE);
    put16(&mut dll, NT + 22, IMAGE_FILE_EXECUTABLE_IMAGE | IMAGE_FILE_DLL);
    assert!(Pe::parse(&dll).unwrap().headers().is_dll());
}

#[test]
fn managed_programs_are_refused_but_readable_as_data() {
    let mut builder = PeBuilder::program(Machine::I386);
    builder.directories[usize::from(IMAGE_DIRECTORY_ENTRY_COM_DESCRIPTOR)] = (0x1000, 72);
    let file = builder.build();
    assert_eq!(Pe::parse(&file).unwrap_err(), PeError::Managed);
    assert!(Pe::parse_as_data(&file).is_ok());
}

#[test]
fn contradictory_fields_are_refused_with_their_offset() {
    for machine in MACHINES {
        let mut builder = PeBuilder::program(machine);
        builder.section(b".data", DATA, vec![1; 0x200]);
        let good = builder.build();
        let base = if machine.is_64() { 24 } else { 28 };
        let first = section_header(machine, 0);
        let second = section_header(machine, 1);
        for (at, value, expected) in [
            (0x3c, 0xffff_fff0, "e_lfanew"),
            (0x3c, 0x10_0000, "e_lfanew"),
            (OPTIONAL + 16, 0x3000, "AddressOfEntryPoint"),
            (OPTIONAL + base, 0x40_1000, "ImageBase"),
            (OPTIONAL + 32, 0x1001, "SectionAlignment"),
            (OPTIONAL + 32, 0, "SectionAlignment"),
            (OPTIONAL + 36, 0x300, "FileAlignment"),
            (OPTIONAL + 36, 0x4000, "FileAlignment"),
            (OPTIONAL + 32, 0x800, "FileAlignment at offset 0xbc: 0x200 must equal"),
            (OPTIONAL + 56, 0, "SizeOfImage"),
            (OPTIONAL + 56, 0xffff_f000, "SizeOfImage"),
            (OPTIONAL + 56, 0x5000, "SizeOfImage"),
            (OPTIONAL + 56, 0x2000, "section 1 (.data): it ends at 0x2200, beyond SizeOfImage"),
            (OPTIONAL + 60, 0, "SizeOfHeaders"),
            (OPTIONAL + 60, 0x100, "SizeOfHeaders"),
            (OPTIONAL + 60, 0x4000, "SizeOfHeaders"),
            (OPTIONAL + 60, 0x1800, "section 0 (.text): RVA 0x1000 overlaps"),
            (first + 12, 0x1200, "section 0 (.text): RVA 0x1200 is not on a page boundary"),
            (first + 8, 0x1001, "section 1 (.data): RVA 0x2000 overlaps"),
            (second + 12, 0x1000, "section 1 (.data): RVA 0x1000 overlaps"),
            (second + 8, 0xffff_f000, "beyond 4 GiB"),
            (second + 16, 0x1000, "past the end of the file"),
            (second + 20, 0xffff_fe00, "past the end of the file"),
        ] {
            let mut file = good.clone();
            put32(&mut file, at, value);
            let text = error(&file);
            let offset = format!("offset {at:#x}:");
            assert!(text.contains(expected), "{machine} {expected}: {text}");
            assert!(
                expected.contains(' ') || text.contains(&offset) || text.contains("not a Windows"),
                "{offset} {text}"
            );
        }
    }
}

#[test]
fn section_counts_and_optional_sizes_are_checked() {
    let good = PeBuilder::program(Machine::Amd64).build();
    let with16 = |at: usize, value: u16| {
        let mut file = good.clone();
        put16(&mut file, at, value);
        error(&file)
    };
    assert!(with16(NT + 6, 0xffff).contains("the section table"));
    assert!(with16(NT + 6, 0).contains("NumberOfSections"));
    assert!(with16(NT + 20, 100).contains("SizeOfOptionalHeader"));
    assert!(with16(NT + 20, 0xfff0).contains("the section table"));
}

#[test]
fn names_in_errors_are_escaped() {
    let mut file = PeBuilder::program(Machine::Amd64).build();
    let header = section_header(Machine::Amd64, 0);
    file[header..header + 8].copy_from_slice(b"\x1b[31m\n\xffx");
    put32(&mut file, header + 16, 0x10_0000);
    assert!(error(&file).starts_with(r"section 0 (\x1b[31m\n\xffx): "));
}

#[test]
fn pe_headers_may_overlap_the_dos_header() {
    // Tiny files put the NT headers at offset 4, so that e_lfanew (at 0x3c) is also SectionAlignment.
    let built = PeBuilder::program(Machine::I386).build();
    let mut file = vec![0; 0x400];
    file[..2].copy_from_slice(b"MZ");
    file[4..4 + 0x178].copy_from_slice(&built[NT..NT + 0x178]);
    let moved = 4;
    put32(&mut file, moved + 24 + 32, 4);
    put32(&mut file, moved + 24 + 36, 4);
    put32(&mut file, moved + 24 + 56, 0x400);
    put32(&mut file, moved + 24 + 60, 0x200);
    put32(&mut file, moved + 24 + 16, 0x200);
    let header = moved + 24 + 224;
    for (n, value) in [0x10u32, 0x200, 0x10, 0x200].into_iter().enumerate() {
        put32(&mut file, header + 8 + 4 * n, value);
    }
    let size = u32::try_from(file.len()).unwrap();
    put32(&mut file, moved + 24 + 56, 0x210);
    let pe = Pe::parse(&file).unwrap();
    assert_eq!((pe.headers().nt_headers, pe.map_plan().ranges[0].file_size), (4, 0x210.min(size)));
}
