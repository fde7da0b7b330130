use std::path::Path;

use proptest::prelude::*;

use super::*;
use crate::pe::resources::{Language, Resource};

fn sample(name: &str) -> Vec<u8> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../sample-binaries/bin").join(name);
    std::fs::read(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()))
}

fn change(kind: u16, name: ResourceId, language: u16, data: Option<&[u8]>) -> Change {
    Change { kind: ResourceId::Id(kind), name, language, data: data.map(<[u8]>::to_vec) }
}

/// All resources of a file: type, name, language, data.
fn all(file: &[u8]) -> Vec<(ResourceId, ResourceId, u16, Vec<u8>)> {
    let pe = Pe::parse_as_data(file).expect("the edited file");
    let (image, Some(tree)) = (pe.image(), resources(pe.headers())) else { return Vec::new() };
    let mut found: Vec<(ResourceId, ResourceId, Resource)> = Vec::new();
    tree.for_each(&image, |kind, name, leaf| {
        found.push((kind.clone(), name.clone(), leaf));
        true
    })
    .expect("the tree");
    let data = |leaf: Resource| tree.data(&image, leaf).expect("the data");
    found.into_iter().map(|(kind, name, leaf)| (kind, name, leaf.language, data(leaf))).collect()
}

#[test]
fn a_resource_is_added_replaced_and_deleted_and_the_rest_stays() {
    for folder in ["x64-mingw", "x86-mingw", "arm64-zig"] {
        let old = sample(&format!("{folder}/sampledll.dll"));
        let before = all(&old);
        let name = ResourceId::Name("Added".encode_utf16().collect());
        let added = edit(&old, false, &[change(10, name.clone(), 0x409, Some(b"new"))]).expect(folder);
        assert_eq!(all(&added).len(), before.len() + 1, "{folder}");
        assert!(before.iter().all(|r| all(&added).contains(r)), "{folder}");
        let large = vec![7; 100_000];
        let grown = edit(&added, false, &[change(10, name.clone(), 0x409, Some(&large))]).expect(folder);
        let pe = Pe::parse(&grown).expect(folder);
        let found = resources(pe.headers())
            .and_then(|t| t.find(&pe.image(), &ResourceId::Id(10), &name, Language::Wanted(0x409)).ok()?)
            .expect(folder);
        assert_eq!(found.size, 100_000);
        let gone = edit(&grown, false, &[change(10, name, 0x409, None)]).expect(folder);
        assert_eq!(all(&gone), before, "{folder}");
    }
}

#[test]
fn relocations_move_when_the_tree_grows_over_them() {
    let old = sample("x86-mingw/sampledll.dll");
    let new = edit(&old, false, &[change(10, ResourceId::Id(1), 0, Some(&[1; 0x5000]))]).expect("edit");
    let (old, new) = (Pe::parse(&old).expect("old"), Pe::parse(&new).expect("new"));
    let count = |pe: &Pe<'_>| crate::pe::relocations(&pe.image(), pe.headers()).expect("relocations").count();
    assert!(count(&old) > 0);
    assert_eq!(count(&old), count(&new));
    assert_eq!(old.headers().sections.len(), new.headers().sections.len());
}

#[test]
fn a_program_without_resources_gets_a_section_and_keeps_what_is_appended_to_it() {
    let mut old = sample("x64-mingw/hello.exe");
    assert!(all(&old).is_empty());
    old.extend(b"an archive");
    let new = edit(&old, false, &[change(24, ResourceId::Id(1), 0x409, Some(b"<assembly/>"))]).expect("edit");
    assert_eq!(all(&new), [(ResourceId::Id(24), ResourceId::Id(1), 0x409, b"<assembly/>".to_vec())]);
    assert!(new.ends_with(b"an archive"));
    let (old, new) = (Pe::parse(&old).expect("old"), Pe::parse(&new).expect("new"));
    assert_eq!(new.headers().sections.len(), old.headers().sections.len() + 1);
    assert_eq!(new.headers().entry_point, old.headers().entry_point);
}

#[test]
fn all_old_resources_go_if_asked() {
    let new = edit(&sample("x64-mingw/sampledll.dll"), true, &[change(10, ResourceId::Id(5), 0, Some(b"x"))]);
    assert_eq!(all(&new.expect("edit")), [(ResourceId::Id(10), ResourceId::Id(5), 0, b"x".to_vec())]);
}

#[test]
fn what_cannot_be_done_is_refused() {
    let file = sample("x64-mingw/sampledll.dll");
    let missing = edit(&file, false, &[change(99, ResourceId::Id(1), 0, None)]);
    assert!(missing.expect_err("nothing to delete").to_string().contains("no such resource"));
    assert!(edit(b"not a program", false, &[]).is_err());
}

#[test]
fn checksums_are_those_of_the_linker() {
    // GNU ld writes a checksum: taking a resource in and out again must bring it back.
    let old = sample("x64-mingw/sampledll.dll");
    let once = edit(&old, false, &[]).expect("edit");
    let twice = edit(&once, false, &[]).expect("edit again");
    assert_eq!(once, twice);
    let pe = Pe::parse(&old).expect("old");
    if pe.headers().checksum != 0 {
        let mut file = File::new(&old, pe.headers()).expect("headers");
        file.set_checksum().expect("checksum");
        assert_eq!(file.bytes, old);
    }
}

fn id() -> impl Strategy<Value = ResourceId> {
    prop_oneof![
        (1..6u16).prop_map(ResourceId::Id),
        "[A-C]{1,3}".prop_map(|name| ResourceId::Name(name.encode_utf16().collect())),
    ]
}

proptest! {
    #[test]
    fn any_changes_read_back_as_a_map_would_have_them(
        changes in prop::collection::vec((id(), id(), 0..3u16, prop::collection::vec(any::<u8>(), 0..3000)), 1..20)
    ) {
        let mut expected: BTreeMap<(Key, Key, u16), Vec<u8>> = BTreeMap::new();
        let mut list = Vec::new();
        for (kind, name, language, data) in changes {
            expected.insert((Key::new(&kind), Key::new(&name), language), data.clone());
            list.push(Change { kind, name, language, data: Some(data) });
        }
        let new = edit(&sample("x64-mingw/hello.exe"), false, &list).expect("edit");
        let found: BTreeMap<_, _> =
            all(&new).into_iter().map(|(k, n, l, d)| ((Key::new(&k), Key::new(&n), l), d)).collect();
        prop_assert!(found == expected);
    }
}
