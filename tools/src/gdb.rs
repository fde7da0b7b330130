//! `transom gdb`: the program in GDB, with the symbols of its own modules.
//!
//! GDB reads PE files, their COFF symbols and MinGW's DWARF itself; all it has to be told is where modules lie. It stops for a
//! moment where the loader reports each (`transom_loader::debugger`), adds the module's symbols, and goes on.

use std::ffi::OsString;
use std::fs::File;
use std::io::Write;
use std::os::fd::FromRawFd;
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::{Command, ExitCode};

use transom_sdk::Machine;

use crate::cli::{EngineChoice, RunOptions};
use crate::run;

/// Options of `gdb`.
#[derive(clap::Args, Clone, Debug)]
pub(crate) struct GdbOptions {
    /// Have GDB execute the commands in a file
    #[arg(short = 'x', value_name = "FILE")]
    commands: Vec<PathBuf>,
    /// End GDB after the commands
    #[arg(long)]
    batch: bool,
    #[command(flatten)]
    run: RunOptions,
}

/// What GDB executes first. Faults are Transom's to look at before anything else: it decides whether they are the guest's.
const SETUP: &str = r"set breakpoint pending on
set confirm off
handle SIGSEGV SIGBUS SIGFPE SIGILL SIG34 SIG35 SIG36 SIG37 nostop noprint pass
python
def transom_module_mapped():
    frame, memory = gdb.newest_frame(), gdb.selected_inferior().read_memory
    at, base, linked = (int(frame.read_register(name)) for name in ('rdi', 'rsi', 'rdx'))
    path = b''
    while not path.endswith(b'\0'):
        path += bytes(memory(at + len(path), 1))
    path = path[:-1].decode().replace(' ', '\\ ')
    gdb.execute('add-symbol-file %s -o %d' % (path, base - linked), to_string=True)
end
break *transom_module_mapped
commands
silent
python transom_module_mapped()
continue
end
";

/// Becomes GDB. Returns only if that fails.
pub(crate) fn gdb(options: &GdbOptions) -> ExitCode {
    // In a 64-bit process GDB takes all code for 64-bit code, and the other engine's guests are data to it.
    let other = run::machine(options.run.program()).filter(|m| *m != Machine::Amd64);
    let emulated = options.run.engine == EngineChoice::Unicorn;
    if other.is_some() || emulated {
        let what =
            other.map_or_else(|| "one in the Unicorn engine".to_owned(), |m| format!("an {m} program"));
        transom_syscalls::say!(
            "transom: GDB can debug x86-64 programs on the processor only, and this is {what}; see what it does with \
             `transom trace --stack`, `transom trace --engine unicorn --instructions=PROGRAM.exe` or `transom --minidump FILE`"
        );
        return crate::EXIT_CANNOT_RUN.into();
    }
    let error = match start(options) {
        Ok(never) => match never {},
        Err(error) => error,
    };
    transom_syscalls::say!("transom: {error}");
    crate::EXIT_INTERNAL.into()
}

fn start(options: &GdbOptions) -> Result<core::convert::Infallible, String> {
    let own = std::env::current_exe().map_err(|e| format!("finding this program: {e}"))?;
    // A file in memory: nothing to clean up afterwards. GDB inherits it.
    // SAFETY: a C string; the descriptor is this function's own.
    let setup = unsafe { libc::memfd_create(c"transom-gdb".as_ptr(), 0) };
    if setup < 0 {
        return Err(format!("a file in memory: {}", std::io::Error::last_os_error()));
    }
    // SAFETY: as above; it is forgotten so that it stays open.
    let mut file = std::mem::ManuallyDrop::new(unsafe { File::from_raw_fd(setup) });
    file.write_all(SETUP.as_bytes()).map_err(|e| format!("a file in memory: {e}"))?;
    let mut gdb = Command::new("gdb");
    gdb.arg("-q").args(options.batch.then_some("-batch")).arg("-x").arg(format!("/dev/fd/{setup}"));
    for file in &options.commands {
        gdb.arg("-x").arg(file);
    }
    gdb.arg("--args").arg(own).arg("run").args(words(&options.run)).arg("--").args(&options.run.command);
    let error = gdb.exec();
    Err(match error.kind() {
        std::io::ErrorKind::NotFound => "GDB is not installed (Debian: apt-get install gdb)".to_owned(),
        _ => format!("gdb: {error}"),
    })
}

/// Options of `run` as they are typed.
fn words(run: &RunOptions) -> Vec<OsString> {
    let mut all = run.for_children();
    for word in &mut all {
        let mut option = OsString::from("--");
        option.push(&*word);
        *word = option;
    }
    all.extend(run.env.iter().flat_map(|e| [OsString::from("--env"), e.clone()]));
    all.extend(run.directory.iter().flat_map(|d| [OsString::from("-C"), d.into()]));
    all.extend(run.minidump.iter().flat_map(|m| [OsString::from("--minidump"), m.into()]));
    all
}
