//! Running a child process to its end within a time limit, with its output collected.

use std::io::{Read, Write};
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc;
use std::time::Duration;

/// What a finished child left behind.
#[derive(Debug)]
pub struct Finished {
    /// The exit code, or 128 plus the signal that ended it.
    pub code: i32,
    /// Whether it was ended because its time was over.
    pub timed_out: bool,
    /// Its standard output.
    pub stdout: Vec<u8>,
    /// Its standard error.
    pub stderr: Vec<u8>,
}

/// Runs `command` with `input` as its standard input, for at most `limit`. The child leads a process group of its own, all of
/// which is killed when the time is over.
///
/// # Errors
///
/// If the command cannot be started.
pub fn run(command: &mut Command, input: &[u8], limit: Duration) -> std::io::Result<Finished> {
    // A shell starts its background jobs with these signals ignored, and Transom's guests would take that for their parent's
    // wish: the tests' outcome is not to depend on how they were started.
    // SAFETY: signal may be called between fork and exec.
    unsafe {
        command.pre_exec(|| {
            libc::signal(libc::SIGINT, libc::SIG_DFL);
            libc::signal(libc::SIGQUIT, libc::SIG_DFL);
            Ok(())
        });
    }
    let mut child = command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .process_group(0)
        .spawn()?;
    let mut stdin = child.stdin.take().expect("stdin is piped");
    let input = input.to_vec();
    std::thread::spawn(move || {
        // A program that does not read its input closes the pipe; that is its right.
        let _ = stdin.write_all(&input);
    });
    let stdout = collect(child.stdout.take().expect("stdout is piped"));
    let stderr = collect(child.stderr.take().expect("stderr is piped"));
    let (status, timed_out) = wait(child, limit)?;
    let code = status.code().unwrap_or_else(|| 128 + status.signal().unwrap_or(0));
    Ok(Finished {
        code,
        timed_out,
        stdout: stdout.recv().unwrap_or_default(),
        stderr: stderr.recv().unwrap_or_default(),
    })
}

/// Waits in a thread, so that the time limit needs no polling.
fn wait(mut child: Child, limit: Duration) -> std::io::Result<(std::process::ExitStatus, bool)> {
    let group = i32::try_from(child.id()).expect("process ids fit an i32");
    let (ended, end) = mpsc::channel();
    std::thread::spawn(move || ended.send(child.wait()));
    match end.recv_timeout(limit) {
        Ok(status) => Ok((status?, false)),
        Err(_) => {
            // SAFETY: kill takes no memory; the group is the child's own, as it has not been waited for yet.
            unsafe { libc::kill(-group, libc::SIGKILL) };
            Ok((end.recv().expect("the waiting thread sends once")?, true))
        }
    }
}

fn collect(mut from: impl Read + Send + 'static) -> mpsc::Receiver<Vec<u8>> {
    let (send, receive) = mpsc::channel();
    std::thread::spawn(move || {
        let mut all = Vec::new();
        let _ = from.read_to_end(&mut all);
        let _ = send.send(all);
    });
    receive
}

/// A new empty folder, removed with all it holds when dropped.
#[derive(Debug)]
pub struct Scratch(std::path::PathBuf);

impl Scratch {
    /// Creates the folder beneath the system's temporary folder.
    ///
    /// # Panics
    ///
    /// If it cannot be created.
    #[must_use]
    pub fn new() -> Self {
        static NEXT: std::sync::atomic::AtomicU32 = std::sync::atomic::AtomicU32::new(0);
        let n = NEXT.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        let path = std::env::temp_dir().join(format!("transom-test-{}-{n}", std::process::id()));
        std::fs::create_dir_all(&path).expect("a folder in the temporary folder");
        Self(path)
    }

    /// Where it is.
    #[must_use]
    pub fn path(&self) -> &std::path::Path {
        &self.0
    }
}

impl Default for Scratch {
    fn default() -> Self {
        Self::new()
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sh(script: &str) -> Command {
        let mut c = Command::new("sh");
        c.arg("-c").arg(script);
        c
    }

    #[test]
    fn collects_everything() {
        let f = run(&mut sh("cat; echo err >&2; exit 7"), b"input", Duration::from_secs(20)).unwrap();
        assert_eq!((f.code, f.timed_out), (7, false));
        assert_eq!((&f.stdout[..], &f.stderr[..]), (&b"input"[..], &b"err\n"[..]));
    }

    #[test]
    fn the_limit_ends_the_whole_group() {
        let f = run(&mut sh("sleep 1000 & sleep 1000"), b"", Duration::from_millis(50)).unwrap();
        assert_eq!((f.code, f.timed_out), (137, true));
    }

    #[test]
    fn scratch_folders_are_new_and_go_away() {
        let a = Scratch::new();
        let b = Scratch::new();
        assert_ne!(a.path(), b.path());
        let path = a.path().to_path_buf();
        std::fs::write(path.join("x"), "x").unwrap();
        drop(a);
        assert!(!path.exists() && b.path().exists());
    }
}
