//! userenv.dll: the user's profile folder and environment.

use transom_sdk::{Cx, Handle, Out, Ptr, TextOut, Win32, WinError, foundation as f, mem, shim};

use crate::advapi32::security::sid::put_counted;

fn put(cx: &Cx, path: &str, out: TextOut, size: Ptr<u32>) -> Win32<()> {
    put_counted(cx, path, out, size)?;
    // On success the size counts the terminator, too.
    Ok(size.write(cx, size.read(cx)? + 1)?)
}

/// Retrieves the path to the root directory of the user's profile.
#[shim(userenv, ansi)]
fn GetUserProfileDirectoryW(cx: &Cx, _token: Handle, out: TextOut, size: Ptr<u32>) -> Win32<()> {
    put(cx, &cx.files().names.profile(), out, size)
}

/// Retrieves the path to the root of the directories of user profiles.
#[shim(userenv, ansi)]
fn GetProfilesDirectoryW(cx: &Cx, out: TextOut, size: Ptr<u32>) -> Win32<()> {
    put(cx, "C:\\Users", out, size)
}

/// Retrieves the path to the directory that holds program data for all users.
#[shim(userenv, ansi)]
fn GetAllUsersProfileDirectoryW(cx: &Cx, out: TextOut, size: Ptr<u32>) -> Win32<()> {
    put(cx, "C:\\ProgramData", out, size)
}

/// Retrieves the environment variables for a user: those of the process, in a block for DestroyEnvironmentBlock.
#[shim(userenv)]
fn CreateEnvironmentBlock(cx: &Cx, out: Out<Ptr<u16>>, _token: Handle, _inherit: bool) -> Win32<()> {
    let block = crate::kernel32::processenv::read_block(cx)?;
    let at = cx.heaps().process().alloc(2 * block.len() as u64, false);
    let at = at.ok_or(WinError::Code(f::ERROR_NOT_ENOUGH_MEMORY))?;
    mem::write_slice(at, &block)?;
    Ok(out.write(cx, Ptr::new(at))?)
}

/// Frees environment variables that CreateEnvironmentBlock made.
#[shim(userenv)]
fn DestroyEnvironmentBlock(cx: &Cx, block: Ptr<u16>) -> Win32<()> {
    Ok(cx.heaps().process().free(block.addr())?)
}
