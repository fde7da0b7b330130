//! The seeds of the fuzzer, in `fuzz/seeds/pe`: built here, checked against the files, and written anew with
//! `TRANSOM_BLESS=1`.

use std::path::Path;

use transom_cpu::machine::Machine;
use transom_loader::pe::Pe;
use windows_sys::Win32::System::Diagnostics::Debug::*;

use crate::builder::*;
use crate::hostile::everything;

/// Name and bytes of every seed, and whether its headers are good.
fn seeds() -> Vec<(String, Vec<u8>, bool)> {
    let mut seeds = Vec::new();
    let mut add = |name: &str, machine: Machine, file: Vec<u8>, good: bool| {
        let machine = machine.name().to_ascii_lowercase();
        seeds.push((format!("{name}-{machine}.exe"), file, good));
    };
    for machine in MACHINES {
        let whole = everything(machine);
        let with = |change: &dyn Fn(&mut Vec<u8>)| {
            let mut file = whole.clone();
            change(&mut file);
            file
        };
        add("cut-in-optional-header", machine, whole[..OPTIONAL + 40].to_vec(), false);
        add("cut-in-sections", machine, whole[..section_header(machine, 2)].to_vec(), false);
        add("sections-overlap", machine, with(&|f| put32(f, section_header(machine, 1) + 12, 0x1000)), false);
        add("huge-image", machine, with(&|f| put32(f, OPTIONAL + 56, 0xffff_f000)), false);
        let directories = OPTIONAL + if machine.is_64() { 112 } else { 96 };
        add("directories-swapped", machine, with(&|f| f[directories..directories + 64].rotate_left(8)), true);
        let mut tiny = PeBuilder::program(machine);
        tiny.imports(&[(b"KERNEL32.dll", &[Sym::name("ExitProcess")])]);
        add("tiny", machine, tiny.build(), true);
        let mut cyclic = PeBuilder::program(machine);
        let mut blob = cyclic.blob();
        let root = blob.zeroes(12);
        blob.u32(8 << 16);
        (0..8u32).for_each(|n| [n, 1 << 31].into_iter().for_each(|word| blob.u32(word)));
        cyclic.directory(IMAGE_DIRECTORY_ENTRY_RESOURCE, b".rsrc", blob, root, 16);
        add("resources-cyclic", machine, cyclic.build(), true);
        add("whole", machine, whole, true);
    }
    seeds
}

#[test]
fn seeds_are_up_to_date() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/seeds/pe");
    let bless = std::env::var_os("TRANSOM_BLESS").is_some();
    for (name, file, good) in seeds() {
        assert_eq!(Pe::parse(&file).is_ok(), good, "{name}");
        let path = folder.join(&name);
        if bless {
            std::fs::create_dir_all(&folder).unwrap();
            std::fs::write(&path, &file).unwrap();
        }
        let kept = std::fs::read(&path).unwrap_or_default();
        assert!(kept == file, "{name} is out of date: run this test with TRANSOM_BLESS=1");
    }
}
