//! What the system says of errors: the texts of those that files and programs give.

use transom_syscalls::status::Status;
use windows_sys::Win32::Foundation as f;

/// The message for a status.
pub(crate) fn of(status: Status) -> String {
    let text = match status.0 {
        f::STATUS_OBJECT_NAME_NOT_FOUND | f::STATUS_NO_SUCH_FILE => {
            "The system cannot find the file specified."
        }
        f::STATUS_OBJECT_PATH_NOT_FOUND => "The system cannot find the path specified.",
        f::STATUS_ACCESS_DENIED | f::STATUS_CANNOT_DELETE | f::STATUS_FILE_IS_A_DIRECTORY => {
            "Access is denied."
        }
        f::STATUS_SHARING_VIOLATION => {
            "The process cannot access the file because it is being used by another process."
        }
        f::STATUS_OBJECT_NAME_COLLISION => "Cannot create a file when that file already exists.",
        f::STATUS_DIRECTORY_NOT_EMPTY => "The directory is not empty.",
        f::STATUS_NOT_A_DIRECTORY => "The directory name is invalid.",
        f::STATUS_OBJECT_NAME_INVALID => "The filename, directory name, or volume label syntax is incorrect.",
        f::STATUS_DISK_FULL => "There is not enough space on the disk.",
        f::STATUS_NOT_SAME_DEVICE => "The system cannot move the file to a different disk drive.",
        f::STATUS_BAD_NETWORK_PATH => "The network path was not found.",
        f::STATUS_INVALID_PARAMETER => "The parameter is incorrect.",
        f::STATUS_INVALID_HANDLE => "The handle is invalid.",
        f::STATUS_INVALID_IMAGE_FORMAT => "This program cannot be run: its format is not known.",
        f::STATUS_NOT_SUPPORTED => "The request is not supported.",
        _ => return format!("The operation failed ({status:?})."),
    };
    text.to_owned()
}
