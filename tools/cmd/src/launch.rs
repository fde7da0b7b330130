//! Programs: finding them by name, and starting them as child processes.

use transom_syscalls::object::Object;
use transom_syscalls::process::image::{self, Form, Image, host_environment};
use transom_syscalls::process::inherit::{Passed, collect};
use transom_syscalls::process::{
    Created, HostProgram, Inherited, Launch, ProcessObject, Startup, create, create_host, host,
};
use transom_syscalls::status::{Result, Status};
use transom_syscalls::wait::{Alertable, Deadline, wait_one};
use windows_sys::Win32::Foundation as f;

use crate::interrupt;
use crate::shell::Shell;
use crate::text::{same, unquote, wide};

/// What runs batch files that are not executed by this process itself.
pub(crate) const INTERPRETER: &str = "C:\\Windows\\System32\\cmd.exe";

/// Extensions of programs, if PATHEXT does not say.
pub(crate) const EXTENSIONS: &str = ".COM;.EXE;.BAT;.CMD";

/// What a command's name stands for.
pub(crate) enum Program {
    /// A batch file, by its full path.
    Batch(String),
    /// A program: its full path and its file.
    Image(String, Image),
}

/// How a program is started, beside its name and arguments.
#[derive(Clone, Debug, Default)]
pub(crate) struct How {
    /// Creation flags (`CREATE_NEW_PROCESS_GROUP` ...).
    pub(crate) flags: u32,
    /// Its current directory, if it is not the interpreter's.
    pub(crate) directory: Option<String>,
    /// Its window's title.
    pub(crate) title: String,
}

fn is_batch(path: &str) -> bool {
    let extension = crate::expand::modifiers::parts(path).3;
    same(extension, ".bat") || same(extension, ".cmd")
}

impl Shell {
    /// The program that a name (quotation marks allowed) stands for.
    ///
    /// # Errors
    /// `STATUS_INVALID_IMAGE_FORMAT` for a file that cannot be executed; what opening it says.
    pub(crate) fn find_program(&self, name: &str) -> Result<Option<Program>> {
        let name = unquote(name);
        let name = name.trim().replace('/', "\\");
        let file = name.rfind(['\\', ':']).map_or(0, |at| at + 1);
        if matches!(&name[file..], "" | "." | "..") || name.contains(['*', '?']) {
            return Ok(None);
        }
        let folders = if file > 0 { vec![String::new()] } else { self.search_path() };
        for folder in &folders {
            if let Some(path) = self.candidate(&format!("{folder}{name}")) {
                return self.program_at(path).map(Some);
            }
        }
        // A host program has no extension.
        let host = folders.iter().filter_map(|folder| self.program_at(format!("{folder}{name}")).ok());
        Ok(host.into_iter().find(|p| matches!(p, Program::Image(_, image) if image.form == Form::Host)))
    }

    /// The folders in which programs are looked for, each with its backslash.
    fn search_path(&self) -> Vec<String> {
        let mut folders = vec![String::new()];
        if self.env.get("NoDefaultCurrentDirectoryInExePath").is_some() {
            folders.clear();
        }
        for folder in self.env.get("PATH").unwrap_or_default().split(';').map(unquote) {
            match folder.trim_end_matches('\\') {
                "" => {}
                folder => folders.push(format!("{folder}\\")),
            }
        }
        folders.push("C:\\Windows\\System32\\".to_owned());
        folders
    }

    /// The path as it is, if it has an extension and is a file, or with an extension of programs.
    fn candidate(&self, path: &str) -> Option<String> {
        let is_file = |path: &str| self.query(path).is_ok_and(|meta| !meta.is_directory());
        let name = path.rfind('\\').map_or(0, |at| at + 1);
        if path[name..].contains('.') && is_file(path) {
            return Some(path.to_owned());
        }
        let extensions = self.env.get("PATHEXT").unwrap_or(EXTENSIONS);
        extensions.split(';').filter(|e| !e.is_empty()).map(|e| format!("{path}{e}")).find(|p| is_file(p))
    }

    fn program_at(&self, path: String) -> Result<Program> {
        let path = self.full_path(&path)?;
        if is_batch(&path) {
            return Ok(Program::Batch(path));
        }
        let image = image::find(&self.files.names, &wide(&path))?;
        match image.form {
            Form::Unknown => Err(Status(f::STATUS_INVALID_IMAGE_FORMAT)),
            _ => Ok(Program::Image(path, image)),
        }
    }

    /// Starts a program with a command line. Its standard handles are the interpreter's as they are redirected.
    ///
    /// # Errors
    /// Those of [`create`] and [`create_host`].
    pub(crate) fn start(&self, path: &str, image: &Image, line: &str, how: &How) -> Result<Created> {
        interrupt::install();
        let here = how.directory.clone().unwrap_or_else(|| self.here());
        let directory = image::directory(&self.files.names, &wide(&here))?;
        let standard: [Option<Passed>; 3] =
            [0, 1, 2].map(|number| self.streams.get(number).and_then(|file| file.pass()));
        let descriptor = |n: usize| standard[n].as_ref().and_then(|p| p.descriptors.first().copied());
        let environment = self.env.to_block();
        let mut launch = Launch {
            standard: [None, None, descriptor(2)],
            directory: &directory,
            suspended: false,
            detached: false,
            host_environment: &[],
        };
        if image.form == Form::Host {
            let arguments = host::arguments(&self.files.names, &wide(line));
            let program = HostProgram { path: &image.path, arguments: &arguments, descriptors: &[] };
            let environment = host::environment(&self.files.names, &environment);
            launch.standard = [descriptor(0), descriptor(1), descriptor(2)];
            launch.host_environment = &environment;
            return create_host(&program, &launch);
        }
        let own = host_environment();
        launch.host_environment = &own;
        let mut handles = collect(&self.world.handles, None)?;
        let standard_handles = self.standard_handles(&standard, &mut handles);
        let title = if how.title.is_empty() { path } else { &how.title };
        let startup = Startup {
            image: image.path.clone(),
            image_name: wide(path),
            command_line: wide(line),
            environment,
            directory: wide(&here),
            title: wide(title),
            standard_handles,
            creation_flags: how.flags,
            options: self.world.options.clone(),
            handles,
            ..Startup::default()
        };
        create(&startup, &launch)
    }

    /// Gives the child its standard handles: those that it inherits anyhow, else new ones. A file has one handle.
    fn standard_handles(&self, standard: &[Option<Passed>; 3], handles: &mut Vec<Inherited>) -> [u32; 3] {
        let mut values = [0; 3];
        for (number, passed) in standard.iter().enumerate() {
            let (Some(file), Some(passed)) = (self.streams.get(number), passed) else { continue };
            let same = |h: &&Inherited| h.kind == passed.kind && h.descriptors == passed.descriptors;
            values[number] = match handles.iter().find(same) {
                Some(handle) => handle.value,
                None => {
                    let free = (1..).map(|n| n * 4).find(|v| handles.iter().all(|h| h.value != *v));
                    let value = free.unwrap_or(0);
                    handles.push(Inherited {
                        value,
                        access: file.access(),
                        kind: passed.kind,
                        descriptors: passed.descriptors.clone(),
                        state: passed.state.clone(),
                    });
                    value
                }
            };
        }
        values
    }

    /// The file of the interpreter itself.
    ///
    /// # Errors
    /// What opening it says.
    pub(crate) fn interpreter(&self) -> Result<Image> {
        image::find(&self.files.names, &wide(INTERPRETER))
    }
}

/// Waits for a child; its exit code.
pub(crate) fn wait(process: &ProcessObject) -> i32 {
    if let Some(cell) = process.wait_cell() {
        let _ = wait_one(cell, Deadline::Never, Alertable::No);
    }
    process.exit_code().cast_signed()
}
