//! Processes, end to end. This program is its own child: started with a start-up block it does what the command line
//! in the block says; otherwise it runs the tests. (The test harness's own `main` could not be such a child.)

use std::ffi::CString;
use std::io::{Read, Write};
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

use transom_syscalls::handle::{Handle, HandleFlags, HandleTable};
use transom_syscalls::job::{Job, Limits};
use transom_syscalls::object::{Kind, Object};
use transom_syscalls::port::{CompletionPort, Got, Packet};
use transom_syscalls::process::inherit::{self, Passed};
use transom_syscalls::process::object::adopt_page;
use transom_syscalls::process::{self, Created, HostProgram, Launch, ProcessObject, Startup, block, list};
use transom_syscalls::section::Section;
use transom_syscalls::session;
use transom_syscalls::status::{Result, Status};
use transom_syscalls::wait::{
    Alertable, Deadline, Event, Mutant, Waited, monotonic_now, wait_all, wait_any, wait_one,
};
use windows_sys::Win32::Foundation as f;
use windows_sys::Win32::System::JobObjects::{
    JOB_OBJECT_LIMIT_ACTIVE_PROCESS, JOB_OBJECT_LIMIT_KILL_ON_JOB_CLOSE,
};
use windows_sys::Win32::System::Memory::{PAGE_READWRITE, SEC_COMMIT};
use windows_sys::Win32::System::SystemServices::{
    JOB_OBJECT_MSG_ACTIVE_PROCESS_LIMIT, JOB_OBJECT_MSG_ACTIVE_PROCESS_ZERO, JOB_OBJECT_MSG_EXIT_PROCESS,
    JOB_OBJECT_MSG_NEW_PROCESS,
};

/// One end of a pipe, as an object that can be inherited.
struct End(OwnedFd);

const END: u32 = 0xE0D;

impl Object for End {
    fn kind(&self) -> Kind {
        Kind::File
    }
    fn pass(&self) -> Option<Passed> {
        Some(Passed { kind: END, descriptors: vec![self.0.as_raw_fd()], state: b"end".to_vec() })
    }
    fn as_any(&self) -> &dyn std::any::Any {
        self
    }
}

impl End {
    fn write(&self, bytes: &[u8]) {
        std::fs::File::from(self.0.try_clone().unwrap()).write_all(bytes).unwrap();
    }

    fn make(descriptors: Vec<OwnedFd>, state: &[u8]) -> Result<Arc<dyn Object>> {
        assert_eq!(state, b"end");
        let [fd] = <[OwnedFd; 1]>::try_from(descriptors).map_err(|_| Status(f::STATUS_INVALID_PARAMETER))?;
        Ok(Arc::new(Self(fd)))
    }
}

fn here() -> Launch<'static> {
    Launch {
        standard: [None, Some(1), Some(2)],
        directory: Path::new("/"),
        suspended: false,
        detached: false,
        host_environment: &[],
    }
}

fn startup(task: &str) -> Startup {
    Startup {
        image: "/guest.exe".into(),
        command_line: task.encode_utf16().collect(),
        environment: "A=1\0".encode_utf16().collect(),
        ..Startup::default()
    }
}

fn create(task: &str) -> Created {
    process::create(&startup(task), &here()).unwrap()
}

fn host(path: &str, arguments: &[&str], launch: &Launch<'_>) -> Result<Created> {
    let arguments: Vec<CString> = [path].iter().chain(arguments).map(|a| CString::new(*a).unwrap()).collect();
    let program = HostProgram { path: Path::new(path), arguments: &arguments, descriptors: &[] };
    process::create_host(&program, launch)
}

fn join(process: &ProcessObject) -> u32 {
    let deadline = Deadline::Monotonic(monotonic_now() + 20_000_000_000);
    assert_eq!(
        wait_one(process.wait_cell().unwrap(), deadline, Alertable::No),
        Ok(Waited::Object(0)),
        "the process ends"
    );
    process.exit_code()
}

/// What a child does.
fn child(received: block::Received) -> ! {
    let block::Received { startup, page } = received;
    page.wait_until_resumed();
    adopt_page(page);
    let task = String::from_utf16(&startup.command_line).unwrap();
    let (what, argument) = task.split_once(' ').unwrap_or((&task, ""));
    match what {
        "exit" => process::exit(argument.parse().unwrap()),
        "abort" => std::process::abort(),
        "sleep" => {
            transom_syscalls::wait::sleep(Deadline::Never, Alertable::No).unwrap();
        }
        "write" => {
            inherit::register(END, End::make);
            let table = HandleTable::new();
            inherit::restore(&table, &startup.handles);
            let handles: Vec<Handle> = table.entries().iter().map(|e| e.handle).collect();
            let text = format!("{handles:?} {}", std::env::current_dir().unwrap().display());
            table.get::<End>(Handle(0x44), 1).unwrap().write(text.as_bytes());
        }
        // Owns a mutex and says so, or is killed somewhere on its way.
        "own" => {
            let wide = |s: &str| format!("{argument}{s}").encode_utf16().collect::<Vec<u16>>();
            let (mutex, _) = Mutant::named(&wide("m"), false).unwrap();
            let (event, _) = Event::named(&wide("e"), false, false).unwrap();
            loop {
                let got = wait_one(mutex.wait_cell().unwrap(), Deadline::Never, Alertable::No).unwrap();
                assert!(matches!(got, Waited::Object(0) | Waited::Abandoned(0)));
                event.set();
                mutex.release().unwrap();
            }
        }
        // Ends with the number that a named section begins with.
        "section" => {
            let name: Vec<u16> = argument.encode_utf16().collect();
            let section = session::open::<Section>(&name).unwrap();
            let mut number = [0; 4];
            let file = std::fs::File::from(section.fd().try_clone_to_owned().unwrap());
            file.read_exact_at(&mut number, 0).unwrap();
            process::exit(u32::from_le_bytes(number))
        }
        // Answers on one inherited event what it hears on another.
        "answer" => {
            let table = HandleTable::new();
            inherit::restore(&table, &startup.handles);
            let hear = table.get::<Event>(Handle(4), 1).unwrap();
            for _ in 0..100 {
                wait_one(hear.wait_cell().unwrap(), Deadline::Never, Alertable::No).unwrap();
                table.get::<Event>(Handle(8), 1).unwrap().set();
            }
        }
        other => panic!("no task {other}"),
    }
    process::exit(0)
}

fn exit_codes_have_32_bits_between_guests() {
    for code in [0, 1, 259, 0xC000_0005, u32::MAX] {
        let Created { process, thread } = create(&format!("exit {code}"));
        assert_eq!(join(&process), code);
        assert_eq!((thread.exit_code(), thread.id()), (code, process.id() * 4));
        assert!(process.times().ended >= process.times().created);
    }
    assert_eq!(join(&create("abort").process), 3);
}

fn host_programs_and_scripts_run_and_missing_ones_are_errors() {
    assert_eq!(join(&host("/bin/sh", &["-c", "exit 7"], &here()).unwrap().process), 7);
    assert_eq!(join(&host("/bin/sh", &["-c", "kill -SEGV $$"], &here()).unwrap().process), 0xC000_0005);
    let missing = host("/no/such/program", &[], &here()).err();
    assert_eq!(missing, Some(Status(f::STATUS_OBJECT_NAME_NOT_FOUND)));
    let directory = Launch { directory: Path::new("/no/such/directory"), ..here() };
    assert!(host("/bin/sh", &["-c", ":"], &directory).is_err());
    assert_eq!(host("/bin", &[], &here()).err(), Some(Status(f::STATUS_ACCESS_DENIED)));
    let script = std::env::temp_dir().join(format!("transom-{}.sh", std::process::id()));
    std::fs::write(&script, "#!/bin/sh\nexit 9\n").unwrap();
    std::fs::set_permissions(&script, std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
    let run = host(script.to_str().unwrap(), &[], &here());
    assert_eq!(join(&run.unwrap().process), 9);
    std::fs::remove_file(script).unwrap();
}

fn handles_are_inherited_by_value_and_only_if_inheritable() {
    let (mut reader, writer) = std::io::pipe().unwrap();
    let table = HandleTable::new();
    let end: Arc<dyn Object> = Arc::new(End(writer.into()));
    let inheritable = HandleFlags::inheritable(true);
    table.insert_at(Handle(0x44), Arc::clone(&end), 1, inheritable).unwrap();
    table.insert_at(Handle(0x48), end, 1, HandleFlags::default()).unwrap();
    let bad = inherit::collect(&table, Some(&[Handle(0x48)]));
    assert_eq!(bad, Err(Status(f::STATUS_INVALID_PARAMETER)));
    let handles = inherit::collect(&table, Some(&[Handle(0x44)])).unwrap();
    assert_eq!(inherit::collect(&table, None).unwrap(), handles);
    let startup = Startup { handles, ..startup("write") };
    let launch = Launch { directory: Path::new("/usr"), ..here() };
    let Created { process, .. } = process::create(&startup, &launch).unwrap();
    table.close_all();
    assert_eq!(join(&process), 0);
    let mut text = String::new();
    reader.read_to_string(&mut text).unwrap();
    assert_eq!(text, "[0x44] /usr");
}

fn processes_are_suspended_opened_and_terminated() {
    let Created { process, thread } =
        process::create(&startup("exit 5"), &Launch { suspended: true, ..here() }).unwrap();
    let soon = Deadline::Monotonic(monotonic_now() + 20_000_000);
    assert_eq!(wait_one(thread.wait_cell().unwrap(), soon, Alertable::No), Ok(Waited::Timeout));
    assert_eq!(process.exit_code(), 259);
    assert_eq!(thread.resume(), 1);
    assert_eq!(join(&process), 5);
    assert_eq!(process.terminate(1), Err(Status(f::STATUS_PROCESS_IS_TERMINATING)));

    let sleeper = create("sleep").process;
    let opened = process::open(sleeper.id()).unwrap();
    assert!(Arc::ptr_eq(&opened, &sleeper));
    assert_eq!(list::info(sleeper.id()).unwrap().parent, std::process::id());
    assert!(list::processes().iter().any(|p| p.pid == sleeper.id()));
    assert!(list::memory(sleeper.id()).unwrap().working_set > 0);
    sleeper.terminate(0x1234_5678).unwrap();
    assert_eq!(join(&sleeper), 0x1234_5678);
    assert_eq!(process::open(0).err(), Some(Status(f::STATUS_INVALID_CID)));
    assert!(process::open(std::process::id()).unwrap().is_current());
    assert!(process::open(sleeper.id()).is_err(), "reaped");
}

fn waits_mix_processes_with_each_other() {
    let (a, b) = (create("sleep").process, create("exit 3").process);
    let cells = [a.wait_cell().unwrap(), b.wait_cell().unwrap()];
    assert_eq!(wait_any(&cells, Deadline::Never, Alertable::No), Ok(Waited::Object(1)));
    a.terminate(1).unwrap();
    join(&a);
}

fn long() -> Deadline {
    Deadline::Monotonic(monotonic_now() + 20_000_000_000)
}

fn named_objects_are_shared_and_survive_killed_holders() {
    let prefix = format!("processes-{}-", std::process::id());
    let wide = |s: &str| format!("{prefix}{s}").encode_utf16().collect::<Vec<u16>>();
    let (mutex, existed) = Mutant::named(&wide("m"), true).unwrap();
    assert!(!existed);
    let (event, _) = Event::named(&wide("e"), false, false).unwrap();
    let cells = [mutex.wait_cell().unwrap(), event.wait_cell().unwrap()];
    let mut abandoned = 0;
    for round in 0..30 {
        let children: Vec<_> = (0..2).map(|_| create(&format!("own {prefix}")).process).collect();
        mutex.release().unwrap();
        // They take turns with each other until they are killed, at no particular moment.
        for _ in 0..=round {
            assert_eq!(wait_one(cells[1], long(), Alertable::No), Ok(Waited::Object(0)));
        }
        for child in &children {
            child.terminate(9).unwrap();
            join(child);
        }
        match wait_one(cells[0], long(), Alertable::No).unwrap() {
            Waited::Abandoned(0) => abandoned += 1,
            got => assert_eq!(got, Waited::Object(0)),
        }
        event.reset();
    }
    println!("{abandoned} of 30 were killed while they owned the mutex");
    mutex.release().unwrap();
    event.set();
    assert_eq!(wait_all(&cells, long(), Alertable::No), Ok(Waited::Object(0)));
}

fn named_sections_show_the_same_memory() {
    let text = format!("section-{}", std::process::id());
    let name: Vec<u16> = text.encode_utf16().collect();
    let (section, _) = Section::named(&name, PAGE_READWRITE, SEC_COMMIT, 100).unwrap();
    let file = std::fs::File::from(section.fd().try_clone_to_owned().unwrap());
    file.write_all_at(&0x1234_5678_u32.to_le_bytes(), 0).unwrap();
    assert_eq!(join(&create(&format!("section {text}")).process), 0x1234_5678);
}

fn unnamed_objects_are_inherited() {
    let table = HandleTable::new();
    let inheritable = HandleFlags::inheritable(true);
    let (ask, answer) =
        (Event::inheritable(false, false).unwrap(), Event::inheritable(false, false).unwrap());
    table.insert_at(Handle(4), ask.clone(), 1, inheritable).unwrap();
    table.insert_at(Handle(8), answer.clone(), 1, inheritable).unwrap();
    let handles = inherit::collect(&table, None).unwrap();
    let startup = Startup { handles, ..startup("answer") };
    let process = process::create(&startup, &here()).unwrap().process;
    for _ in 0..100 {
        ask.set();
        assert_eq!(
            wait_one(answer.wait_cell().unwrap(), long(), Alertable::No),
            Ok(Waited::Object(0)),
            "the child answers"
        );
    }
    assert_eq!(join(&process), 0);
}

fn jobs_count_limit_tell_and_end_their_processes() {
    let (job, port) = (Job::new(), CompletionPort::new(0));
    let limits = Limits { active_processes: 1, ..Limits::default() };
    job.set_limits(Limits { flags: JOB_OBJECT_LIMIT_ACTIVE_PROCESS, ..limits });
    job.associate(port.clone(), 7).unwrap();
    let next = || {
        let mut packet = [Packet::default()];
        assert_eq!(port.get(&mut packet, long(), Alertable::No), Ok(Got::Packets(1)));
        assert_eq!(packet[0].key, 7);
        (u32::try_from(packet[0].information).unwrap(), u32::try_from(packet[0].context).unwrap())
    };
    // A host program with a child of its own.
    let (mut reader, writer) = std::io::pipe().unwrap();
    let launch = Launch { standard: [None, Some(writer.as_raw_fd()), None], ..here() };
    let first = host("/bin/sh", &["-c", "sleep 1000 & echo $!; wait"], &launch).unwrap().process;
    let mut line = [0; 16];
    let n = reader.read(&mut line).unwrap();
    let grandchild: u32 = std::str::from_utf8(&line[..n]).unwrap().trim().parse().unwrap();
    job.assign(&first).unwrap();
    assert!(job.has(&first) && job.accounting().active == [first.id()]);
    assert_eq!(job.assign(&first), Ok(()), "it is a member already");
    let second = create("sleep").process;
    assert_eq!(job.assign(&second), Err(Status(f::STATUS_QUOTA_EXCEEDED)));
    assert_eq!(join(&second), f::ERROR_NOT_ENOUGH_QUOTA);
    assert_eq!(next(), (JOB_OBJECT_MSG_NEW_PROCESS, first.id()));
    assert_eq!(next(), (JOB_OBJECT_MSG_ACTIVE_PROCESS_LIMIT, 0));
    let orphan = process::open(grandchild).unwrap();
    job.set_limits(Limits { flags: JOB_OBJECT_LIMIT_KILL_ON_JOB_CLOSE, ..limits });
    let table = HandleTable::new();
    let handle = table.insert(job.clone(), 1, HandleFlags::default()).unwrap();
    table.close(handle).unwrap();
    assert_eq!(join(&first), 0);
    join(&orphan);
    assert_eq!(next(), (JOB_OBJECT_MSG_EXIT_PROCESS, first.id()));
    assert_eq!(next(), (JOB_OBJECT_MSG_ACTIVE_PROCESS_ZERO, 0));
    let counts = job.accounting();
    assert_eq!((counts.total, counts.active.len(), counts.terminated), (2, 0, 1));
}

fn no_zombie_stays_and_children_are_cheap() {
    const CHILDREN: u32 = 200;
    let descriptors = || std::fs::read_dir("/proc/self/fd").unwrap().count();
    let before = descriptors();
    let start = Instant::now();
    for _ in 0..CHILDREN {
        join(&create("exit 0").process);
    }
    println!("{:?} a child", start.elapsed() / CHILDREN);
    // Those that nobody waits for are reaped too: the last one is waited for here, and ends last.
    for _ in 0..20 {
        drop(create("exit 0"));
    }
    let mine = || list::processes().iter().filter(|p| p.parent == std::process::id()).count();
    let start = Instant::now();
    while mine() > 0 {
        assert!(start.elapsed().as_secs() < 20, "children stay");
        std::thread::yield_now();
    }
    while descriptors() > before {
        assert!(start.elapsed().as_secs() < 20, "descriptors stay");
        std::thread::yield_now();
    }
}

fn main() {
    if let Some(received) = block::receive(std::env::args_os().nth(1).as_deref()) {
        child(received.unwrap());
    }
    let tests: [(&str, fn()); 10] = [
        ("named_sections_show_the_same_memory", named_sections_show_the_same_memory),
        ("jobs_count_limit_tell_and_end_their_processes", jobs_count_limit_tell_and_end_their_processes),
        (
            "named_objects_are_shared_and_survive_killed_holders",
            named_objects_are_shared_and_survive_killed_holders,
        ),
        ("unnamed_objects_are_inherited", unnamed_objects_are_inherited),
        ("exit_codes_have_32_bits_between_guests", exit_codes_have_32_bits_between_guests),
        (
            "host_programs_and_scripts_run_and_missing_ones_are_errors",
            host_programs_and_scripts_run_and_missing_ones_are_errors,
        ),
        (
            "handles_are_inherited_by_value_and_only_if_inheritable",
            handles_are_inherited_by_value_and_only_if_inheritable,
        ),
        ("processes_are_suspended_opened_and_terminated", processes_are_suspended_opened_and_terminated),
        ("waits_mix_processes_with_each_other", waits_mix_processes_with_each_other),
        ("no_zombie_stays_and_children_are_cheap", no_zombie_stays_and_children_are_cheap),
    ];
    for (name, test) in tests {
        test();
        println!("test {name} ... ok");
    }
    // Leaves the session, as guests do.
    process::exit(0)
}
