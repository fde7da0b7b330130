//! The user's secret: random bytes that encrypt what programs ask to have protected for the user. They are kept in a file
//! that only the user can read, beside the registry, and made on first use.

use std::fs::{self, OpenOptions};
use std::io::{ErrorKind, Read, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use crate::random;
use crate::status::{Result, Status};

/// Bytes of the secret.
pub const LEN: usize = 32;

const NAME: &str = "secret";

/// The secret in a state folder; made if there is none.
///
/// # Errors
/// What Linux says of the file; `STATUS_DATA_ERROR` for one that is not as it was written.
pub fn user_secret(folder: &Path) -> Result<[u8; LEN]> {
    let path = folder.join(NAME);
    if let Some(known) = read(&path)? {
        return Ok(known);
    }
    fs::create_dir_all(folder)?;
    let mut secret = [0; LEN];
    random::fill(&mut secret)?;
    // Written under another name and linked, so that of two processes one wins and none reads half a file.
    let own = folder.join(format!("{NAME}.{}", std::process::id()));
    let write = || -> std::io::Result<()> {
        let mut file = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&own)?;
        file.write_all(&secret)?;
        file.sync_all()?;
        match fs::hard_link(&own, &path) {
            Err(e) if e.kind() == ErrorKind::AlreadyExists => Ok(()),
            other => other,
        }
    };
    let written = write();
    // What is left over of a failure is of no use to anybody.
    let _ = fs::remove_file(&own);
    written?;
    read(&path)?.ok_or(Status(windows_sys::Win32::Foundation::STATUS_DATA_ERROR))
}

/// The secret in a file; `None` if there is no file.
fn read(path: &Path) -> Result<Option<[u8; LEN]>> {
    let mut file = match fs::File::open(path) {
        Ok(file) => file,
        Err(e) if e.kind() == ErrorKind::NotFound => return Ok(None),
        Err(e) => return Err(e.into()),
    };
    let mut bytes = Vec::new();
    file.read_to_end(&mut bytes)?;
    let damaged = Status(windows_sys::Win32::Foundation::STATUS_DATA_ERROR);
    bytes.try_into().map(Some).map_err(|_| damaged)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    #[test]
    fn a_secret_is_made_once_and_is_the_users_alone() {
        let folder = std::env::temp_dir().join(format!("transom-secret-{}", std::process::id()));
        let first = user_secret(&folder).expect("a secret");
        assert_eq!(user_secret(&folder), Ok(first));
        assert_ne!(first, [0; LEN]);
        let mode = fs::metadata(folder.join(NAME)).expect("the file").permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        assert_eq!(fs::read_dir(&folder).expect("the folder").count(), 1);
        fs::write(folder.join(NAME), b"short").expect("damage");
        assert!(user_secret(&folder).is_err());
        fs::remove_dir_all(folder).expect("removal");
    }
}
