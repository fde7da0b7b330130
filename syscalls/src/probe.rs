//! What the host's kernel offers to the services: asked by `transom doctor`, never at start-up.
//!
//! Each probe asks the kernel itself rather than compare versions: containers and seccomp filters take things away that
//! the version promises. What the engines need of the processor is asked in `transom_cpu`.

use std::ffi::CString;
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use crate::path::Config;

/// Whether threads can sleep on several words at once (`futex_waitv`, Linux 5.16).
#[must_use]
pub fn futex_waitv() -> bool {
    !crate::wait::futex::lacks_wait_many()
}

/// The version of Landlock's interface.
///
/// # Errors
/// The kernel's: ENOSYS if it was built without, EOPNOTSUPP if it was not enabled at boot.
pub fn landlock() -> io::Result<u32> {
    /// `LANDLOCK_CREATE_RULESET_VERSION`: asks for the version only.
    const VERSION: libc::c_int = 1;
    // SAFETY: with this flag, no attributes are read.
    let version =
        unsafe { libc::syscall(libc::SYS_landlock_create_ruleset, core::ptr::null::<u8>(), 0usize, VERSION) };
    u32::try_from(version).map_err(|_| io::Error::last_os_error())
}

/// Whether a process can install a seccomp filter.
///
/// # Errors
/// The kernel's: EINVAL or ENOSYS if it was built without.
pub fn seccomp() -> io::Result<()> {
    /// `SECCOMP_GET_ACTION_AVAIL`: asks whether an action is known.
    const GET_ACTION_AVAIL: libc::c_uint = 2;
    let action: u32 = libc::SECCOMP_RET_ALLOW;
    // SAFETY: reads the action and changes nothing.
    let answer = unsafe { libc::syscall(libc::SYS_seccomp, GET_ACTION_AVAIL, 0, &raw const action) };
    if answer == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

/// The version of KVM's interface.
///
/// # Errors
/// That of opening `/dev/kvm`: absent, or not permitted.
pub fn kvm() -> io::Result<u32> {
    use std::os::fd::AsRawFd;
    /// `KVM_GET_API_VERSION`: `_IO(0xAE, 0)`.
    const GET_API_VERSION: libc::c_ulong = 0xAE00;
    let device = std::fs::File::options().read(true).write(true).open("/dev/kvm")?;
    // SAFETY: takes no argument and only answers.
    let version = unsafe { libc::ioctl(device.as_raw_fd(), GET_API_VERSION, 0) };
    u32::try_from(version).map_err(|_| io::Error::last_os_error())
}

/// A kernel setting: the first line of a file in `/proc/sys`, named as `sysctl` names it.
#[must_use]
pub fn setting(name: &str) -> Option<String> {
    let text = std::fs::read_to_string(Path::new("/proc/sys").join(name.replace('.', "/"))).ok()?;
    text.lines().next().map(|line| line.trim().to_owned())
}

/// The folder that holds drive C: and the user's settings, as [`Config`] decides.
#[must_use]
pub fn root(config: &Config) -> PathBuf {
    config.root()
}

/// The folder that would have to be written to for the root to come into being: the root, or the nearest folder above it that exists.
fn nearest(root: &Path) -> io::Result<&Path> {
    let there = root.ancestors().find(|path| path.exists()).ok_or(io::ErrorKind::NotFound)?;
    if there.is_dir() { Ok(there) } else { Err(io::ErrorKind::NotADirectory.into()) }
}

/// Whether files can be made in the root, or the root itself in the folder above it. Makes nothing.
///
/// # Errors
/// What stands in the way.
pub fn root_writable(root: &Path) -> io::Result<()> {
    let folder = nearest(root)?;
    let folder = CString::new(folder.as_os_str().as_bytes())?;
    // SAFETY: a C string.
    let answer = unsafe { libc::access(folder.as_ptr(), libc::W_OK | libc::X_OK) };
    if answer == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

/// Whether the file system below the root keeps extended attributes of users. Leaves nothing behind.
///
/// # Errors
/// The kernel's: EOPNOTSUPP if the file system has none.
pub fn user_attributes(root: &Path) -> io::Result<()> {
    let folder = nearest(root)?;
    let path = CString::new(folder.as_os_str().as_bytes())?;
    // SAFETY: C strings; no room for the value is given, so none is written.
    let size =
        unsafe { libc::getxattr(path.as_ptr(), c"user.transom.probe".as_ptr(), core::ptr::null_mut(), 0) };
    let error = io::Error::last_os_error();
    // A file system that has such attributes says that this one is not there.
    if size >= 0 || error.raw_os_error() == Some(libc::ENODATA) { Ok(()) } else { Err(error) }
}

/// Kernel name and release, such as `Linux 6.8.0`.
#[must_use]
pub fn kernel() -> String {
    let release = setting("kernel.osrelease").unwrap_or_else(|| "of unknown version".to_owned());
    format!("Linux {release}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_root_that_is_not_there_yet_is_judged_by_the_folder_above() {
        let above = std::env::temp_dir();
        assert!(root_writable(&above.join("not/there/yet")).is_ok());
        assert_eq!(nearest(&above.join("not/there/yet")).unwrap(), above.as_path());
        assert!(root_writable(Path::new("/proc/version/below")).is_err(), "below a file");
    }

    #[test]
    fn settings_are_read_by_their_names() {
        assert!(setting("kernel.osrelease").is_some_and(|v| !v.is_empty()));
        assert_eq!(setting("kernel.no_such_setting"), None);
    }
}
