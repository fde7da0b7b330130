//! A process started by a guest's CreateProcess: all it needs is in its start-up block.
//!
//! What is shared with `transom run` (loading and entering the program) is in [`crate::run`].

use std::fs::File;

use transom_loader::peb::Parameters;
use transom_sdk::Process;
use transom_sdk::foundation as f;
use transom_syscalls::control;
use transom_syscalls::file::Files;
use transom_syscalls::process::block::{Received, Startup};
use transom_syscalls::process::{inherit, object};
use transom_syscalls::status::Result;
use transom_syscalls::thread::priority;
use windows_sys::Win32::System::Threading::CREATE_NEW_PROCESS_GROUP;

use crate::cli::RunOptions;
use crate::run::{Failure, boot};

/// Runs what the block says. Returns only by ending the process.
pub(crate) fn run(received: Result<Received>) -> ! {
    let Received { startup, page } = match received {
        Ok(received) => received,
        Err(status) => {
            transom_syscalls::say!(
                "transom: internal error: a start-up block that cannot be used ({status:?})"
            );
            transom_syscalls::exit(crate::EXIT_INTERNAL.into());
        }
    };
    page.wait_until_resumed();
    object::adopt_page(page);
    obey(startup.creation_flags);
    let (code, message) = match start(startup) {
        Ok(never) => match never {},
        Err(Failure::NotFound(m)) => (f::STATUS_OBJECT_NAME_NOT_FOUND.cast_unsigned(), m),
        // As Windows ends a process whose DLLs it cannot find or bind.
        Err(Failure::CannotRun(m)) => (f::STATUS_DLL_NOT_FOUND.cast_unsigned(), m),
        Err(Failure::Internal(m)) => (crate::EXIT_INTERNAL.into(), m),
    };
    transom_syscalls::say!("transom: {message}");
    transom_syscalls::process::exit(code)
}

/// Does what creation flags ask of the process itself.
fn obey(flags: u32) {
    // Ctrl-C, until the program wants it.
    if flags & CREATE_NEW_PROCESS_GROUP != 0
        && let Err(e) = control::ignore_interrupts(true)
    {
        log::warn!("Ctrl-C is not ignored: {e:?}");
    }
    let class = flags & priority::ANY_CLASS;
    // Two classes at once are none.
    if class != 0 && priority::set_class(class).is_err() {
        log::debug!("priority class {class:#x} is not known");
    }
}

fn start(startup: Startup) -> core::result::Result<core::convert::Infallible, Failure> {
    let shown = startup.image.display();
    let settings = RunOptions::of_parent(&startup.options)
        .ok_or_else(|| Failure::Internal("options of the parent that cannot be used".to_owned()))?;
    if let Some(filter) = &settings.log {
        crate::start_logging(Some(filter));
    }
    let file = File::open(&startup.image).map_err(|e| Failure::NotFound(format!("{shown}: {e}")))?;
    object::set_name(&startup.image);
    if let Some(program) = crate::builtin::of(&startup.image, &file) {
        return crate::builtin::run_child(program, startup, &settings);
    }
    let path = startup.image.clone();
    boot(path, file, &settings, move |process| parameters(process, startup))
}

/// Makes the directory that the parent named the current one.
pub(crate) fn enter_directory(files: &Files, startup: &Startup) {
    if files.names.current().directory != startup.directory
        && let Err(e) = files.names.set_current(&startup.directory)
    {
        log::warn!("the current directory is not the one that the parent named: {e:?}");
    }
}

/// Restores the inherited handles, and says the rest as the guest's process parameters have it.
fn parameters(process: &'static Process, startup: Startup) -> Parameters {
    let files = process.files();
    files.accept_inherited();
    inherit::restore(&process.handles, &startup.handles);
    enter_directory(files, &startup);
    let mut environment = startup.environment;
    environment.push(0);
    Parameters {
        image_path: startup.image_name,
        command_line: startup.command_line,
        current_directory: crate::run::with_backslash(files.names.current().directory.clone()),
        title: startup.title,
        desktop: startup.desktop,
        std_handles: startup.standard_handles.map(u64::from),
        window: startup.window,
        runtime_data: startup.runtime_data,
        environment,
    }
}
