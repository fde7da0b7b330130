//! The certificate authorities that the host trusts: PEM text from the places where distributions keep it, or from where
//! the user says (`SSL_CERT_FILE`, `SSL_CERT_DIR`, as for OpenSSL). Nothing is read until somebody asks.

use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};

/// Bundles of distributions; the first that is there counts.
const BUNDLES: [&str; 6] = [
    "/etc/ssl/certs/ca-certificates.crt",
    "/etc/pki/tls/certs/ca-bundle.crt",
    "/etc/ssl/ca-bundle.pem",
    "/etc/pki/tls/cacert.pem",
    "/etc/pki/ca-trust/extracted/pem/tls-ca-bundle.pem",
    "/etc/ssl/cert.pem",
];

/// Folders with a file for each authority, read where there is no bundle.
const FOLDERS: [&str; 2] = ["/etc/ssl/certs", "/etc/pki/tls/certs"];

/// The texts of the files with trusted certificates (PEM, several to a file); empty if there are none.
#[must_use]
pub fn trusted() -> Vec<Vec<u8>> {
    read(std::env::var_os("SSL_CERT_FILE").as_deref(), std::env::var_os("SSL_CERT_DIR").as_deref())
}

/// What the two variables name, or what the system has.
fn read(file: Option<&OsStr>, folders: Option<&OsStr>) -> Vec<Vec<u8>> {
    let named = file.filter(|name| !name.is_empty());
    let mut texts: Vec<Vec<u8>> = match named {
        Some(file) => fs::read(file).into_iter().collect(),
        None if folders.is_some() => Vec::new(),
        None => BUNDLES.iter().find_map(|bundle| fs::read(bundle).ok()).into_iter().collect(),
    };
    match folders {
        Some(folders) => std::env::split_paths(folders).for_each(|folder| texts.extend(files_of(&folder))),
        None if texts.is_empty() && named.is_none() => {
            FOLDERS.iter().for_each(|folder| texts.extend(files_of(Path::new(folder))));
        }
        None => {}
    }
    texts
}

/// The texts of a folder's files, in the order of their names.
fn files_of(folder: &Path) -> Vec<Vec<u8>> {
    let entries = fs::read_dir(folder).into_iter().flatten().filter_map(Result::ok);
    let mut paths: Vec<PathBuf> = entries.map(|entry| entry.path()).collect();
    paths.sort();
    paths.into_iter().filter(|path| path.is_file()).filter_map(|path| fs::read(path).ok()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_user_says_where() {
        let folder = std::env::temp_dir().join(format!("transom-authorities-{}", std::process::id()));
        fs::create_dir_all(&folder).expect("a folder");
        fs::write(folder.join("b.pem"), "second").expect("a file");
        fs::write(folder.join("a.pem"), "first").expect("a file");
        let both = [b"first".to_vec(), b"second".to_vec()];
        assert_eq!(read(None, Some(folder.as_os_str())), both);
        assert_eq!(read(Some(folder.join("b.pem").as_os_str()), None), both[1..]);
        assert_eq!(
            read(Some(folder.join("none").as_os_str()), None),
            Vec::<Vec<u8>>::new(),
            "not the system's then"
        );
        fs::remove_dir_all(folder).expect("removal");
    }
}
