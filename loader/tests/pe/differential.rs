//! The parser against goblin's, on built files and on real programs where those have been fetched; and API sets against what
//! those programs import.

use std::path::{Path, PathBuf};

use goblin::pe::PE;
use transom_loader::pe::{self, Pe, Symbol};

use crate::builder::MACHINES;
use crate::hostile::everything;

/// Real programs larger than this take too long in a debug build.
const MAX_SIZE: u64 = 2 << 20;

/// What both parsers know about a file.
#[derive(PartialEq, Eq, Debug)]
struct Facts {
    image_base: u64,
    entry_point: u32,
    sections: Vec<(u32, u32)>,
    imports: Vec<(String, String)>,
    exports: Vec<String>,
}

fn ours(file: &[u8]) -> Result<Facts, pe::PeError> {
    let pe = Pe::parse(file)?;
    let (image, headers) = (pe.image(), pe.headers());
    let mut imports = Vec::new();
    for dll in &pe::imports(&image, headers) {
        let dll = dll?;
        for import in dll.symbols() {
            let symbol = match import?.symbol {
                Symbol::Name { name, .. } => name.to_text().into_owned(),
                Symbol::Ordinal(ordinal) => format!("ORDINAL {ordinal}"),
            };
            imports.push((dll.name.to_text().into_owned(), symbol));
        }
    }
    let mut exports = Vec::new();
    if let Some(directory) = pe::exports(&image, headers)? {
        directory.for_each(&image, |name, _| exports.extend(name.map(|name| name.to_text().into_owned())))?;
    }
    exports.sort_unstable();
    Ok(Facts {
        image_base: headers.image_base,
        entry_point: headers.entry_point,
        sections: headers.sections.iter().map(|s| (s.rva, s.virtual_size)).collect(),
        imports,
        exports,
    })
}

fn theirs(file: &[u8]) -> Result<Facts, goblin::error::Error> {
    let pe = PE::parse(file)?;
    let mut exports: Vec<String> = pe.exports.iter().filter_map(|e| e.name.map(str::to_owned)).collect();
    exports.sort_unstable();
    Ok(Facts {
        image_base: pe.image_base,
        entry_point: pe.entry,
        sections: pe.sections.iter().map(|s| (s.virtual_address, s.virtual_size)).collect(),
        imports: pe.imports.iter().map(|i| (i.dll.to_owned(), i.name.to_string())).collect(),
        exports,
    })
}

/// PE files under a folder.
fn programs(folder: &Path, found: &mut Vec<PathBuf>) {
    for path in std::fs::read_dir(folder).into_iter().flatten().flatten().map(|entry| entry.path()) {
        if path.is_dir() {
            programs(&path, found);
        } else if path
            .extension()
            .is_some_and(|e| e.eq_ignore_ascii_case("exe") || e.eq_ignore_ascii_case("dll"))
            && path.metadata().is_ok_and(|meta| meta.len() <= MAX_SIZE)
        {
            found.push(path);
        }
    }
}

/// Real programs, from `TRANSOM_CORPUS` or where `tools/test` puts them; says so if there are none.
fn real_programs() -> Vec<PathBuf> {
    let fetched = Path::new(env!("CARGO_MANIFEST_DIR")).join("../target/corpus/bin");
    let folder = std::env::var_os("TRANSOM_CORPUS").map_or(fetched, PathBuf::from);
    let mut found = Vec::new();
    programs(&folder, &mut found);
    if found.is_empty() {
        eprintln!("skipped: no real programs in {} (tools/test fetches them)", folder.display());
    }
    found
}

#[test]
fn goblin_reads_the_same_from_built_files() {
    for machine in MACHINES {
        let file = everything(machine);
        assert_eq!(ours(&file).unwrap(), theirs(&file).unwrap());
    }
}

#[test]
fn goblin_reads_the_same_from_real_programs() {
    for path in real_programs() {
        let file = std::fs::read(&path).unwrap();
        assert_eq!(ours(&file).unwrap(), theirs(&file).unwrap(), "{}", path.display());
    }
}

#[test]
fn every_api_set_that_real_programs_import_is_known() {
    // Those of the fetched programs, listed so that the test also says something where they are not there.
    let mut names: Vec<String> = [
        "api-ms-win-core-path-l1-1-0.dll",
        "api-ms-win-core-synch-l1-2-0.dll",
        "api-ms-win-core-winrt-error-l1-1-1.dll",
        "api-ms-win-core-winrt-l1-1-0.dll",
        "api-ms-win-core-winrt-roparameterizediid-l1-1-0.dll",
        "api-ms-win-core-winrt-string-l1-1-0.dll",
        "api-ms-win-ro-typeresolution-l1-1-0.dll",
        "api-ms-win-shcore-scaling-l1-1-1.dll",
    ]
    .map(str::to_owned)
    .to_vec();
    for topic in
        "conio convert environment filesystem heap locale math multibyte private process runtime stdio string time utility"
            .split(' ')
    {
        names.push(format!("api-ms-win-crt-{topic}-l1-1-0.dll"));
    }
    for path in real_programs() {
        let file = std::fs::read(&path).unwrap();
        let pe = Pe::parse(&file).unwrap();
        let survey = pe::survey(&pe.image(), pe.headers());
        let dlls = survey.dlls.iter().chain(&survey.delay_dlls);
        names.extend(dlls.map(|name| name.to_text().into_owned()).filter(|name| name.contains("-ms-win-")));
    }
    for name in names {
        assert!(transom_loader::apisets::resolve(&name).is_some(), "{name}");
    }
}
