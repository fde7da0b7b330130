//! Who the process is, in Windows' terms: security identifiers, and the token of a normal user.
//!
//! Linux decides what a process may do; the token only answers programs that ask. The user's SID is made of the machine's
//! name and the Linux user id, so that it stays the same from run to run.

use std::collections::BTreeMap;
use std::fmt;
use std::fs::Metadata;
use std::os::fd::BorrowedFd;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::Path;
use std::sync::{Mutex, PoisonError};

use windows_sys::Win32::Foundation::{GENERIC_ALL, GENERIC_EXECUTE, GENERIC_READ, GENERIC_WRITE};
use windows_sys::Win32::Security::{SE_PRIVILEGE_ENABLED, SE_PRIVILEGE_ENABLED_BY_DEFAULT};
use windows_sys::Win32::Storage::FileSystem as fs;
use windows_sys::Win32::System::SystemServices::{DOMAIN_GROUP_RID_USERS, SID_MAX_SUB_AUTHORITIES};

use crate::object::{Kind, Object};
use crate::status::Result;
use crate::sysinfo;

/// A security identifier.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Sid {
    /// The authority: a 48-bit number.
    pub authority: u64,
    /// Up to 15 further numbers.
    pub sub: Vec<u32>,
}

const NT_AUTHORITY: u64 = 5;
/// The authority of Linux users and groups that have no Windows account, as Samba gives it.
const UNIX_AUTHORITY: u64 = 22;

impl Sid {
    /// From its parts.
    #[must_use]
    pub fn new(authority: u64, sub: &[u32]) -> Self {
        Self { authority, sub: sub.to_vec() }
    }

    /// The bytes of a SID structure.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let mut out = vec![1, u8::try_from(self.sub.len()).unwrap_or(0)];
        out.extend(&self.authority.to_be_bytes()[2..]);
        out.extend(self.sub.iter().flat_map(|s| s.to_le_bytes()));
        out
    }

    /// From the bytes of a SID structure, which may be followed by others; `None` if it is not valid.
    #[must_use]
    pub fn decode(bytes: &[u8]) -> Option<Self> {
        let ([1, count, authority @ ..], rest) = bytes.split_first_chunk::<8>()? else { return None };
        if u32::from(*count) > SID_MAX_SUB_AUTHORITIES {
            return None;
        }
        let [a, b, c, d, e, g] = *authority;
        let authority = u64::from_be_bytes([0, 0, a, b, c, d, e, g]);
        let sub = rest.get(..4 * usize::from(*count))?.chunks_exact(4);
        Some(Self { authority, sub: sub.map(|b| u32::from_le_bytes([b[0], b[1], b[2], b[3]])).collect() })
    }

    /// From text such as `S-1-5-32-545`.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let mut parts = text.strip_prefix("S-1-").or_else(|| text.strip_prefix("s-1-"))?.split('-');
        let first = parts.next()?;
        let authority = match first.strip_prefix("0x") {
            Some(hex) => u64::from_str_radix(hex, 16).ok()?,
            None => first.parse().ok()?,
        };
        let sub: Vec<u32> = parts.map(|p| p.parse().ok()).collect::<Option<_>>()?;
        (authority >> 48 == 0 && sub.len() <= SID_MAX_SUB_AUTHORITIES as usize)
            .then_some(Self { authority, sub })
    }

    /// `Everyone`.
    #[must_use]
    pub fn everyone() -> Self {
        Self::new(1, &[0])
    }

    /// `BUILTIN\Users`.
    #[must_use]
    pub fn users() -> Self {
        Self::new(NT_AUTHORITY, &[32, 545])
    }

    /// The machine's own domain, without an account.
    #[must_use]
    pub fn machine() -> Self {
        let mut state = 0xCBF2_9CE4_8422_2325u64;
        for byte in sysinfo::host_name().as_encoded_bytes() {
            state = (state ^ u64::from(*byte)).wrapping_mul(0x0000_0100_0000_01B3);
        }
        let word = |shift: u32| u32::try_from(state.rotate_right(shift) & 0x7FFF_FFFF).unwrap_or(1);
        Self::new(NT_AUTHORITY, &[21, word(0), word(21), word(42)])
    }

    /// A Linux user of this machine.
    #[must_use]
    pub fn of_uid(uid: u32) -> Self {
        let mut sid = Self::machine();
        sid.sub.push(uid.wrapping_add(1000));
        sid
    }

    /// The user whom this process runs as.
    #[must_use]
    pub fn user() -> Self {
        Self::of_uid(nix::unistd::geteuid().as_raw())
    }

    /// A Linux group of this machine: the user's own is the group that Windows gives to those who have no other, others are
    /// written as Samba shows them.
    #[must_use]
    pub fn of_gid(gid: u32) -> Self {
        if gid == nix::unistd::getegid().as_raw() {
            let mut sid = Self::machine();
            sid.sub.push(DOMAIN_GROUP_RID_USERS.cast_unsigned());
            return sid;
        }
        Self::new(UNIX_AUTHORITY, &[2, gid])
    }
}

/// The group of files that the user makes.
#[must_use]
pub fn user_group() -> Sid {
    Sid::of_gid(nix::unistd::getegid().as_raw())
}

/// Whose a file is and who may do what with it: a file's mode, as an access control list would say it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FileSecurity {
    /// The owner.
    pub owner: Sid,
    /// The group.
    pub group: Sid,
    /// What is allowed (`FILE_*` and standard rights), to whom. What nobody is allowed is denied.
    pub allowed: Vec<(Sid, u32)>,
}

impl FileSecurity {
    /// Of a host file; of a link, not what it leads to.
    ///
    /// # Errors
    /// Those of looking the file up.
    pub fn of_path(path: &Path) -> Result<Self> {
        Ok(Self::of(&std::fs::symlink_metadata(path)?))
    }

    /// Of an open file.
    ///
    /// # Errors
    /// Those of asking for its metadata.
    pub fn of_file(file: BorrowedFd<'_>) -> Result<Self> {
        let owned = file.try_clone_to_owned()?;
        Ok(Self::of(&std::fs::File::from(owned).metadata()?))
    }

    fn of(meta: &Metadata) -> Self {
        let (owner, group, mode) = (Sid::of_uid(meta.uid()), Sid::of_gid(meta.gid()), meta.mode());
        let sticky = mode & libc::S_ISVTX != 0;
        let rights = |bits: u32| {
            let mut rights = 0;
            if bits & 4 != 0 {
                rights |= fs::FILE_GENERIC_READ;
            }
            if bits & 2 != 0 {
                rights |= fs::FILE_GENERIC_WRITE;
            }
            if bits & 1 != 0 {
                rights |= fs::FILE_GENERIC_EXECUTE;
            }
            // Who may change a folder may delete what is in it, unless the folder is sticky.
            if bits & 2 != 0 && meta.is_dir() && !sticky {
                rights |= fs::FILE_DELETE_CHILD;
            }
            rights
        };
        // An owner changes the mode, and so gets every right that is not there yet.
        let own = if mode & 0o700 == 0o700 { fs::FILE_ALL_ACCESS } else { rights(mode >> 6) | OF_OWNERS };
        let mut allowed = vec![(owner.clone(), own)];
        let user = Sid::user();
        if nix::unistd::geteuid().is_root() && user != owner {
            allowed.push((user, fs::FILE_ALL_ACCESS));
        }
        for (sid, bits) in [(group.clone(), mode >> 3), (Sid::everyone(), mode)] {
            if rights(bits) != 0 {
                allowed.push((sid, rights(bits)));
            }
        }
        Self { owner, group, allowed }
    }
}

impl FileSecurity {
    /// The permission bits that say what a list allows; `None` if no mode says so: somebody is allowed something who is neither the
    /// owner, nor in the group, nor everyone. System and administrators do not count: nothing is closed to them here either.
    #[must_use]
    pub fn mode_for(&self, allowed: &[(Sid, u32)]) -> Option<u32> {
        let everyone = [Sid::everyone(), Sid::users(), Sid::new(NT_AUTHORITY, &[11])];
        let owner_rights = Sid::new(3, &[4]);
        let above = [Sid::new(NT_AUTHORITY, &[18]), Sid::new(NT_AUTHORITY, &[32, 544]), Sid::new(3, &[0])];
        allowed.iter().try_fold(0, |mode, (who, rights)| {
            let shift = match who {
                who if *who == self.owner || *who == owner_rights => 6,
                who if *who == self.group => 3,
                who if everyone.contains(who) => 0,
                who if above.contains(who) => return Some(mode),
                _ => return None,
            };
            Some(mode | bits_of(*rights) << shift)
        })
    }

    /// Sets the permission bits of a host file.
    ///
    /// # Errors
    /// `STATUS_ACCESS_DENIED` if the user is not its owner; those of looking it up.
    pub fn set_mode(path: &Path, bits: u32) -> Result<()> {
        let kept = std::fs::metadata(path)?.mode() & !0o777;
        Ok(std::fs::set_permissions(path, std::fs::Permissions::from_mode((kept & 0o7000) | bits))?)
    }
}

/// The permission bits of one class for what a list allows it.
fn bits_of(rights: u32) -> u32 {
    let asks = |own: u32, generic: u32| u32::from(rights & (own | generic | GENERIC_ALL) != 0);
    let read = asks(fs::FILE_READ_DATA, GENERIC_READ);
    let write = asks(fs::FILE_WRITE_DATA, GENERIC_WRITE);
    let execute = asks(fs::FILE_EXECUTE, GENERIC_EXECUTE);
    read << 2 | write << 1 | execute
}

/// What the owner of a file may do whatever its mode is.
const OF_OWNERS: u32 = fs::DELETE
    | fs::READ_CONTROL
    | fs::WRITE_DAC
    | fs::WRITE_OWNER
    | fs::SYNCHRONIZE
    | fs::FILE_READ_ATTRIBUTES
    | fs::FILE_WRITE_ATTRIBUTES;

impl fmt::Display for Sid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.authority >> 32 == 0 {
            write!(f, "S-1-{}", self.authority)?;
        } else {
            write!(f, "S-1-{:#x}", self.authority)?;
        }
        self.sub.iter().try_for_each(|s| write!(f, "-{s}"))
    }
}

/// What kind of account a SID is, with its name and domain. The kinds are those of `SID_NAME_USE`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Account {
    /// Its SID.
    pub sid: Sid,
    /// Its name.
    pub name: String,
    /// Its domain.
    pub domain: String,
    /// `SID_NAME_USE`.
    pub kind: i32,
}

/// The accounts there are: the user and those that every Windows has.
#[must_use]
pub fn accounts() -> Vec<Account> {
    use windows_sys::Win32::Security as s;
    let machine = sysinfo::host_name().to_string_lossy().to_uppercase();
    let user = sysinfo::user_name().to_string_lossy().into_owned();
    let known = |authority, sub: &[u32], domain: &str, name: &str, kind| Account {
        sid: Sid::new(authority, sub),
        name: name.to_owned(),
        domain: domain.to_owned(),
        kind,
    };
    let group = s::SidTypeWellKnownGroup;
    vec![
        Account { sid: Sid::user(), name: user, domain: machine, kind: s::SidTypeUser },
        known(1, &[0], "", "Everyone", group),
        known(2, &[0], "", "LOCAL", group),
        known(3, &[0], "", "CREATOR OWNER", group),
        known(NT_AUTHORITY, &[4], "NT AUTHORITY", "INTERACTIVE", group),
        known(NT_AUTHORITY, &[11], "NT AUTHORITY", "Authenticated Users", group),
        known(NT_AUTHORITY, &[18], "NT AUTHORITY", "SYSTEM", group),
        known(NT_AUTHORITY, &[19], "NT AUTHORITY", "LOCAL SERVICE", group),
        known(NT_AUTHORITY, &[20], "NT AUTHORITY", "NETWORK SERVICE", group),
        known(NT_AUTHORITY, &[32, 544], "BUILTIN", "Administrators", s::SidTypeAlias),
        known(NT_AUTHORITY, &[32, 545], "BUILTIN", "Users", s::SidTypeAlias),
        known(NT_AUTHORITY, &[32, 546], "BUILTIN", "Guests", s::SidTypeAlias),
        known(16, &[0x2000], "Mandatory Label", "Medium Mandatory Level", s::SidTypeLabel),
    ]
}

/// The groups of a normal user who is logged on interactively.
#[must_use]
pub fn groups() -> Vec<Sid> {
    vec![
        Sid::everyone(),
        Sid::users(),
        Sid::new(NT_AUTHORITY, &[4]),
        Sid::new(NT_AUTHORITY, &[11]),
        Sid::new(2, &[0]),
    ]
}

/// The token of a process or thread.
#[derive(Debug)]
pub struct Token {
    /// Whether it is for impersonation.
    pub impersonation: bool,
    /// Privileges by their number: their attributes.
    privileges: Mutex<BTreeMap<u32, u32>>,
}

/// The privileges of a normal user; the first is on from the start.
const PRIVILEGES: [u32; 5] = [23, 19, 25, 33, 34];

impl Token {
    /// The user's token.
    #[must_use]
    pub fn new(impersonation: bool) -> Self {
        let on = SE_PRIVILEGE_ENABLED | SE_PRIVILEGE_ENABLED_BY_DEFAULT;
        let each = PRIVILEGES.iter().enumerate().map(|(i, &p)| (p, if i == 0 { on } else { 0 }));
        Self { impersonation, privileges: Mutex::new(each.collect()) }
    }

    /// Its privileges and their attributes.
    #[must_use]
    pub fn privileges(&self) -> Vec<(u32, u32)> {
        let held = self.privileges.lock().unwrap_or_else(PoisonError::into_inner);
        held.iter().map(|(&p, &a)| (p, a)).collect()
    }

    /// Changes a privilege: its attributes before, or `None` if the token does not hold it.
    pub fn adjust(&self, privilege: u32, attributes: u32) -> Option<u32> {
        let mut held = self.privileges.lock().unwrap_or_else(PoisonError::into_inner);
        let before = *held.get(&privilege)?;
        if attributes & windows_sys::Win32::Security::SE_PRIVILEGE_REMOVED != 0 {
            held.remove(&privilege);
        } else {
            let on = attributes & SE_PRIVILEGE_ENABLED;
            held.insert(privilege, before & !SE_PRIVILEGE_ENABLED | on);
        }
        Some(before)
    }
}

impl Object for Token {
    fn kind(&self) -> Kind {
        Kind::Token
    }
    fn as_any(&self) -> &dyn std::any::Any {
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn identifiers_as_text_and_bytes() {
        let users = Sid::parse("S-1-5-32-545").unwrap();
        assert_eq!(users, Sid::users());
        assert_eq!(users.to_string(), "S-1-5-32-545");
        assert_eq!(users.encode(), [1, 2, 0, 0, 0, 0, 0, 5, 32, 0, 0, 0, 0x21, 2, 0, 0]);
        assert_eq!(Sid::decode(&users.encode()), Some(users));
        assert_eq!(Sid::parse("S-1-5-x"), None);
        assert_eq!(Sid::decode(&[1, 2, 0, 0, 0, 0, 0, 5, 32]), None);
        assert_eq!(Sid::user(), Sid::user());
    }

    #[test]
    fn privileges_change_only_if_held() {
        let token = Token::new(false);
        assert_eq!(token.adjust(20, SE_PRIVILEGE_ENABLED), None);
        assert_eq!(token.adjust(19, SE_PRIVILEGE_ENABLED), Some(0));
        assert!(token.privileges().contains(&(19, SE_PRIVILEGE_ENABLED)));
    }
}
