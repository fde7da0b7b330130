//! `transom run`: from options to a running process.

use std::fs::File;
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use transom_loader::map;
use transom_loader::modules::LoadError;
use transom_loader::peb::Parameters;
use transom_loader::search::SearchPath;
use transom_sdk::{Machine, Options, Process, ProgramInfo, cmdline};
use transom_syscalls::process::object;

use crate::cli::RunOptions;
use crate::environment::{self, wide};
use crate::{
    EXIT_CANNOT_RUN, EXIT_INTERNAL, EXIT_NOT_FOUND, builtin, engine, minidump, plugins, start_logging,
};

/// Why a program did not start.
pub(crate) enum Failure {
    NotFound(String),
    CannotRun(String),
    Internal(String),
}

/// Runs a program. Returns only if it could not be started.
pub(crate) fn run(options: RunOptions) -> ExitCode {
    if let Some(filter) = &options.log {
        start_logging(Some(filter));
    }
    let (code, message) = match start(options) {
        Ok(never) => match never {},
        Err(Failure::NotFound(m)) => (EXIT_NOT_FOUND, m),
        Err(Failure::CannotRun(m)) => (EXIT_CANNOT_RUN, m),
        Err(Failure::Internal(m)) => (EXIT_INTERNAL, m),
    };
    transom_syscalls::say!("transom: {message}");
    code.into()
}

/// The program's file: as named, or with `.exe`, or along PATH if the name has no folder.
fn find_program(name: &Path) -> Result<(PathBuf, File), Failure> {
    let with_exe = |path: &Path| {
        let mut text = path.as_os_str().to_owned();
        text.push(".exe");
        PathBuf::from(text)
    };
    let mut candidates = vec![name.to_owned(), with_exe(name)];
    if name.components().count() == 1 {
        for dir in std::env::split_paths(&std::env::var_os("PATH").unwrap_or_default()) {
            candidates.push(dir.join(with_exe(name)));
        }
    }
    let mut refused = None;
    for path in candidates {
        match File::open(&path) {
            Ok(file) if file.metadata().is_ok_and(|m| m.is_dir()) => {
                refused.get_or_insert((path, io::Error::from(io::ErrorKind::IsADirectory)));
            }
            Ok(file) => {
                let path = std::path::absolute(&path).unwrap_or(path);
                return Ok((path, file));
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => {
                refused.get_or_insert((path, error));
            }
        }
    }
    Err(match refused {
        Some((path, error)) => Failure::CannotRun(format!("{}: {error}", path.display())),
        None => Failure::NotFound(format!("{}: not found", name.display())),
    })
}

/// The machine that a program is for; `None` if it is not found or no program.
pub(crate) fn machine(program: &Path) -> Option<Machine> {
    let (path, file) = find_program(program).ok()?;
    Some(map::headers(&file, &path.display().to_string()).ok()?.machine)
}

fn start(options: RunOptions) -> Result<core::convert::Infallible, Failure> {
    if let Some(dir) = &options.directory {
        std::env::set_current_dir(dir).map_err(|e| Failure::CannotRun(format!("{}: {e}", dir.display())))?;
    }
    // As on Windows the system's folder goes before PATH.
    if let Some(program) = builtin::named(options.program()).filter(|_| !options.program().exists()) {
        return builtin::run(program, None, &options);
    }
    let (path, file) = find_program(options.program())?;
    object::set_name(&path);
    if let Some(program) = builtin::of(&path, &file) {
        let script = builtin::is_batch(&path).then_some(path.as_path());
        return builtin::run(program, script, &options);
    }
    let program = path.as_os_str().as_bytes().to_owned();
    boot(path, file, &options, |process| {
        let dos = process.files().names.to_dos(&program);
        let mut line = vec![dos.clone()];
        line.extend(options.args().iter().map(|a| wide(a)));
        Parameters {
            image_path: dos.clone(),
            command_line: cmdline::quote(&line),
            current_directory: with_backslash(process.files().names.current().directory.clone()),
            title: dos,
            std_handles: process.open_std_handles(),
            environment: environment::block(&process.files().names, &options.env),
            ..Parameters::default()
        }
    })
}

/// A directory as process parameters have it.
pub(crate) fn with_backslash(mut directory: Vec<u16>) -> Vec<u16> {
    if directory.last() != Some(&u16::from(b'\\')) {
        directory.push(u16::from(b'\\'));
    }
    directory
}

/// Makes the process and runs the program; `parameters` says with what, once there are files and handles. Returns only if it
/// could not be started.
pub(crate) fn boot(
    path: PathBuf,
    file: File,
    settings: &RunOptions,
    parameters: impl FnOnce(&'static Process) -> Parameters,
) -> Result<core::convert::Infallible, Failure> {
    let shown = path.display().to_string();
    let headers = map::headers(&file, &shown).map_err(|e| Failure::CannotRun(e.to_string()))?;
    if headers.is_dll() {
        return Err(Failure::CannotRun(format!("{shown}: a DLL is not a program")));
    }
    let internal = |what: &str, e: &dyn std::fmt::Debug| Failure::Internal(format!("{what}: {e:?}"));
    let process_options = Options {
        program: path.clone(),
        root: settings.root.clone(),
        drives: settings.drive.clone(),
        for_children: settings.for_children(),
    };
    let catalog = plugins::catalog(&settings.shim, settings.root.as_ref()).map_err(Failure::CannotRun)?;
    let process = Process::new(headers.machine, headers.is_large_address_aware(), process_options, catalog)
        .map_err(|e| internal("starting", &e))?;
    if let Some(trace) = &settings.trace {
        crate::trace::install(trace, process);
    }
    if let Some(path) = settings.minidump.clone() {
        let path = std::path::absolute(&path).unwrap_or(path);
        process
            .set_crash_hook(Box::new(move |cx, record, context| minidump::write(&path, cx, record, context)));
    }
    // Windows enforces no-execute on 32-bit programs only if they say that they can stand it.
    process.memory.set_data_executes(headers.machine == Machine::I386 && !headers.is_nx_compatible());
    let engine = engine::create(settings.engine, headers.machine, process)
        .map_err(|e| Failure::CannotRun(format!("{shown}: {e}")))?;
    process.set_engine(engine).map_err(|e| internal("starting", &e))?;
    transom_dll_shims::install(process);
    let folder = path.parent().map(Path::to_owned).unwrap_or_default();
    let search = SearchPath::new(folder, transom_dll_shims::path_folders);
    let parameters = parameters(process);
    let info = ProgramInfo {
        stack: (headers.stack_reserve, headers.stack_commit),
        subsystem: headers.subsystem.into(),
    };
    let dos_path = Box::new(|p: &Path| process.files().names.to_dos(p.as_os_str().as_bytes()));
    match process.run_program(file, info, search, parameters, dos_path) {
        Ok(never) => match never {},
        Err(LoadError::Memory(status)) => Err(internal("guest memory", &status)),
        Err(error) => Err(Failure::CannotRun(error.to_string())),
    }
}
