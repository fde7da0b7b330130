use super::*;
use crate::scratch;
use windows_sys::Win32::System::Registry::{REG_DWORD, REG_SZ};

fn wide(text: &str) -> Vec<u16> {
    text.encode_utf16().collect()
}

fn registry(folder: &std::path::Path) -> Registry {
    let registry = Registry::default();
    registry.set_folder(|| folder.to_path_buf());
    registry
}

#[test]
fn defaults_show_until_they_are_written_over() {
    let folder = scratch::dir("registry-defaults");
    let registry = registry(&folder);
    let key =
        registry.open(&wide("MACHINE"), &wide("software\\MICROSOFT\\Windows NT\\CurrentVersion")).unwrap();
    assert_eq!(registry.value(&key, &wide("productname")).unwrap().kind, REG_SZ);
    assert!(!folder.join("registry").exists(), "reading creates nothing");
    let name = wide("ProductName");
    registry.set_value(&key, Value { name: name.clone(), kind: REG_DWORD, data: vec![1, 0, 0, 0] }).unwrap();
    assert_eq!(registry.value(&key, &name).unwrap().kind, REG_DWORD);
    registry.delete_value(&key, &name).unwrap();
    assert_eq!(registry.value(&key, &name), Err(NOT_FOUND));
    assert!(registry.values(&key).unwrap().iter().any(|v| v.name == wide("CurrentBuild")));
    assert!(registry.last_write(&key).unwrap() > 0);
    std::fs::remove_dir_all(&folder).unwrap();
}

#[test]
fn keys_are_created_listed_and_deleted() {
    let folder = scratch::dir("registry-keys");
    let registry = registry(&folder);
    let (key, created) = registry.create(&wide("USER"), &wide("Software\\Acme\\Tool")).unwrap();
    assert!(created && !registry.create(&wide("USER"), &wide("SOFTWARE\\acme\\tool")).unwrap().1);
    let acme = registry.open(&wide("USER"), &wide("Software\\Acme")).unwrap();
    assert_eq!(registry.subkeys(&acme).unwrap(), [wide("Tool")]);
    assert_eq!(registry.delete_key(&acme), Err(Status(f::STATUS_CANNOT_DELETE)));
    let value = Value { name: Vec::new(), kind: REG_SZ, data: b"x\0\0\0".to_vec() };
    registry.set_value(&key, value.clone()).unwrap();
    assert_eq!(registry.values(&key).unwrap(), [value]);
    registry.delete_key(&key).unwrap();
    assert_eq!(registry.open(&wide("USER"), &wide("Software\\Acme\\Tool")), Err(NOT_FOUND));
    registry.create(&acme, &wide("Tool")).unwrap();
    assert!(registry.values(&key).unwrap().is_empty(), "a key created anew has no old values");
    std::fs::remove_dir_all(&folder).unwrap();
}

#[test]
fn a_watch_sees_the_next_change_below() {
    let folder = scratch::dir("registry-watch");
    let registry = registry(&folder);
    let (key, _) = registry.create(&wide("USER"), &wide("A\\B")).unwrap();
    let event = crate::wait::Event::new(true, false);
    registry.watch(&wide("USER\\A"), Watch { event: event.clone(), subtree: true, filter: Watch::LAST_SET });
    registry.create(&key, &wide("C")).unwrap();
    assert!(!event.is_set());
    registry.set_value(&key, Value { name: wide("v"), kind: REG_DWORD, data: vec![0; 4] }).unwrap();
    assert!(event.is_set());
    std::fs::remove_dir_all(&folder).unwrap();
}

#[test]
fn time_zones_have_rules() {
    let folder = scratch::dir("registry-zones");
    let registry = registry(&folder);
    let path = wide("SOFTWARE\\Microsoft\\Windows NT\\CurrentVersion\\Time Zones\\W. Europe Standard Time");
    let key = registry.open(&wide("MACHINE"), &path).unwrap();
    assert_eq!(registry.value(&key, &wide("TZI")).unwrap().data.len(), 44);
    std::fs::remove_dir_all(&folder).unwrap();
}

/// What libuv and others read of every processor.
#[test]
fn each_processor_has_a_key() {
    let folder = scratch::dir("registry-processors");
    let registry = registry(&folder);
    for processor in 0..crate::sysinfo::processor_count() {
        let path = format!("HARDWARE\\DESCRIPTION\\System\\CentralProcessor\\{processor}");
        let key = registry.open(&wide("MACHINE"), &wide(&path)).unwrap();
        assert_eq!(registry.value(&key, &wide("~MHz")).unwrap().kind, REG_DWORD);
        assert_eq!(registry.value(&key, &wide("ProcessorNameString")).unwrap().kind, REG_SZ);
    }
}
