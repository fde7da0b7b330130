use proptest::prelude::*;

use super::*;

fn sample() -> Startup {
    let wide = |s: &str| s.encode_utf16().collect::<Vec<u16>>();
    Startup {
        image: "/tmp/\u{e4}.exe".into(),
        image_name: wide("Z:\\tmp\\\u{e4}.exe"),
        command_line: wide("\u{e4}.exe \"a b\""),
        environment: vec![0x41, 0x3D, 0xD800, 0],
        directory: wide("Z:\\tmp"),
        title: wide("title"),
        desktop: vec![],
        runtime_data: vec![1, 2, 3],
        window: [1, 2, 3, 4, 5, 6, 7, 8, 9],
        standard_handles: [4, 8, 12],
        creation_flags: 0x400,
        options: vec!["--engine".into(), "unicorn".into()],
        handles: vec![
            Inherited { value: 4, access: 5, kind: 6, descriptors: vec![0, 9], state: vec![7] },
            Inherited::default(),
        ],
    }
}

fn payload(startup: &Startup) -> Vec<u8> {
    let mut bytes = vec![];
    startup.write(&mut Writer(&mut bytes));
    bytes
}

#[test]
fn what_was_written_is_read() {
    let startup = sample();
    let (fd, parent) = make(&startup, true).unwrap();
    let copy = std::os::fd::IntoRawFd::into_raw_fd(fd);
    let argument = OsString::from(format!("{ARGUMENT}{copy}"));
    let received = receive(Some(&argument)).unwrap().unwrap();
    assert_eq!(received.startup, startup);
    assert_eq!((parent.exit_code(), parent.suspend(), parent.resume()), (None, 1, 2));
    std::thread::scope(|scope| {
        let child = scope.spawn(|| {
            received.page.wait_until_resumed();
            received.page.set_exit_code(0xC000_0005);
            received.page.set_exit_code(1);
        });
        assert_eq!(parent.resume(), 1);
        child.join().unwrap();
    });
    assert_eq!(parent.exit_code(), Some(0xC000_0005), "the first code counts");
    assert_eq!(parent.resume(), 0);
}

#[test]
fn other_arguments_and_descriptors_are_no_blocks() {
    assert!(receive(None).is_none());
    assert!(receive(Some("--help".as_ref())).is_none());
    for bad in ["", "x", "-1", "0", "99999"] {
        assert!(receive(Some(format!("{ARGUMENT}{bad}").as_ref())).unwrap().is_err(), "{bad}");
    }
}

proptest! {
    #[test]
    fn damaged_payloads_are_refused_or_read_without_harm(at in 0_usize..400, byte: u8, length in 0_usize..400) {
        let whole = payload(&sample());
        let mut bytes = whole.clone();
        let at = at % bytes.len();
        bytes[at] = byte;
        Startup::read(&mut Reader(&bytes));
        let mut cut = Reader(&whole[..length % whole.len()]);
        prop_assert_eq!(Startup::read(&mut cut), None);
    }
}
