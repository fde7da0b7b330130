//! The interpreter's state: variables, current directory, streams, modes, batch files being executed.

use std::ffi::OsString;
use std::sync::Arc;

use transom_syscalls::file::{FileObject, Files, Meta};
use transom_syscalls::handle::HandleTable;
use transom_syscalls::path::Config;
use transom_syscalls::status::{Result, Status};

use crate::batch::Frame;
use crate::environment::Environment;
use crate::messages;
use crate::streams::Streams;
use crate::text::{narrow, wide};

/// What does not change as long as the process lives.
pub(crate) struct World {
    /// Drives.
    pub(crate) config: Config,
    /// Transom's own options for child processes.
    pub(crate) options: Vec<OsString>,
    /// Handles that this process has inherited, and passes on.
    pub(crate) handles: HandleTable,
    /// The process's command line.
    pub(crate) command_line: String,
}

/// What `setlocal` can change, and `endlocal` restores, beside the variables.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Modes {
    /// `enableextensions`
    pub(crate) extensions: bool,
    /// `enabledelayedexpansion`
    pub(crate) delayed: bool,
}

/// An interpreter. A pipe's sides have one each.
pub(crate) struct Shell {
    /// What it shares with others of the same process.
    pub(crate) world: Arc<World>,
    /// Files; its current directory.
    pub(crate) files: Arc<Files>,
    /// Redirections.
    pub(crate) streams: Streams,
    /// Variables.
    pub(crate) env: Environment,
    /// Modes.
    pub(crate) modes: Modes,
    /// Whether commands of batch files are echoed.
    pub(crate) echo: bool,
    /// ERRORLEVEL.
    pub(crate) level: i32,
    /// Whether written files are verified: a setting that is kept and has no effect.
    pub(crate) verify: bool,
    /// Variables of `for`, the innermost last.
    pub(crate) loops: Vec<(char, String)>,
    /// Folders of `pushd`.
    pub(crate) folders: Vec<String>,
    /// Batch files and subroutines being executed, the innermost last.
    pub(crate) frames: Vec<Frame>,
    /// Whether it prompts for commands.
    pub(crate) interactive: bool,
}

impl Shell {
    /// A copy that changes without changing this one: a side of a pipe.
    ///
    /// # Errors
    /// Those of [`Files::new`].
    pub(crate) fn fork(&self) -> Result<Self> {
        let files = Files::new(&self.world.config)?;
        let here = self.files.names.current();
        for directory in here.of_drives.iter().flatten() {
            let _ = files.names.set_current(directory);
        }
        files.names.set_current(&here.directory)?;
        Ok(Self {
            world: Arc::clone(&self.world),
            files,
            streams: self.streams.clone(),
            env: self.env.clone(),
            modes: self.modes,
            echo: self.echo,
            level: self.level,
            verify: self.verify,
            loops: self.loops.clone(),
            folders: self.folders.clone(),
            frames: self.frames.clone(),
            interactive: false,
        })
    }

    /// Writes text to standard output. Lines end with `\r\n`.
    pub(crate) fn out(&self, text: &str) {
        self.streams.write(1, text);
    }

    /// Writes a line to standard output.
    pub(crate) fn say(&self, line: &str) {
        self.streams.write(1, &format!("{line}\r\n"));
    }

    /// Writes a line to standard error.
    pub(crate) fn complain(&self, line: &str) {
        self.streams.write(2, &format!("{line}\r\n"));
    }

    /// Writes what a status means to standard error.
    pub(crate) fn complain_of(&self, status: Status) {
        self.complain(&messages::of(status));
    }

    /// Standard input, if there is one.
    pub(crate) fn input(&self) -> Option<Arc<FileObject>> {
        self.streams.get(0).cloned()
    }

    /// The batch file or subroutine being executed.
    pub(crate) fn frame(&self) -> Option<&Frame> {
        self.frames.last()
    }

    /// The current directory.
    pub(crate) fn here(&self) -> String {
        narrow(&self.files.names.current().directory)
    }

    /// The full path of a name, as a text.
    pub(crate) fn full_path(&self, name: &str) -> Result<String> {
        Ok(narrow(&self.files.names.full_path(&wide(name))?))
    }

    /// The state of a file, if it is there.
    pub(crate) fn query(&self, name: &str) -> Result<Meta> {
        self.files.query(&wide(name))
    }

    /// Whether a name is that of a folder.
    pub(crate) fn is_folder(&self, name: &str) -> bool {
        self.query(name).is_ok_and(|meta| meta.is_directory())
    }

    /// Changes the current directory, and the hidden variable that says so for its drive.
    ///
    /// # Errors
    /// Those of `Namespace::set_current`.
    pub(crate) fn change_directory(&mut self, to: &str) -> Result<()> {
        self.files.names.set_current(&wide(to))?;
        let here = self.here();
        if here.as_bytes().get(1) == Some(&b':') {
            self.env.set(&format!("={}", &here[..2]), &here);
        }
        Ok(())
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use crate::streams::{Purpose, open};

    /// An interpreter with a drive of its own, whose output goes to a file; the folder goes with it.
    pub(crate) struct Fixture {
        pub(crate) shell: Shell,
        root: std::path::PathBuf,
    }

    impl Fixture {
        pub(crate) fn new(name: &str) -> Self {
            let root = std::env::temp_dir().join(format!("transom-cmd-{}-{name}", std::process::id()));
            let folder = root.join("work");
            std::fs::create_dir_all(&folder).unwrap();
            let drives = vec![('X', folder)];
            let config = Config { root: Some(root.clone()), drives, user: None };
            let files = Files::new(&config).unwrap();
            files.names.set_current(&wide("X:\\")).unwrap();
            let output = open(&files, "X:\\output", Purpose::Write).unwrap();
            let handles = HandleTable::new();
            let world = World { config, options: Vec::new(), handles, command_line: "cmd".to_owned() };
            let shell = Shell {
                world: Arc::new(world),
                streams: Streams::new([None, Some(Arc::clone(&output)), Some(output)]),
                files,
                env: Environment::default(),
                modes: Modes { extensions: true, delayed: false },
                echo: true,
                level: 0,
                verify: false,
                loops: Vec::new(),
                folders: Vec::new(),
                frames: Vec::new(),
                interactive: false,
            };
            Self { shell, root }
        }

        /// Writes a file on the drive.
        pub(crate) fn write(&self, name: &str, text: &str) {
            std::fs::write(self.root.join("work").join(name), text).unwrap();
        }

        /// Executes a line; what it wrote, and ERRORLEVEL.
        pub(crate) fn run(&mut self, line: &str) -> (String, i32) {
            let path = self.root.join("work/output");
            let before = std::fs::metadata(&path).map_or(0, |m| m.len());
            self.shell.execute_line(line, &mut ());
            let all = std::fs::read(&path).unwrap();
            let new = &all[usize::try_from(before).unwrap()..];
            (String::from_utf8_lossy(new).replace("\r\n", "\n"), self.shell.level)
        }
    }

    impl Drop for Fixture {
        fn drop(&mut self) {
            let _ = std::fs::remove_dir_all(&self.root);
        }
    }
}
