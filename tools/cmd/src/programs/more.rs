//! `more`: text as it is. Pages are the terminal's affair.

use super::{arguments, find};
use crate::shell::Shell;
use crate::streams::{self, Purpose};

/// `more [/e] [/c] [/p] [/s] [+n] [files]`
pub(super) fn run(shell: &mut Shell, line: &str) -> i32 {
    let (mut skip, mut squeeze, mut names) = (0usize, false, Vec::new());
    for word in arguments(line) {
        match word.to_ascii_lowercase().as_str() {
            "/e" | "/c" | "/p" => {}
            "/s" => squeeze = true,
            other => match other.strip_prefix('+').map(str::parse) {
                Some(Ok(n)) => skip = n,
                None if !other.starts_with('/') => names.push(word),
                _ => {
                    shell.complain("Invalid switch.");
                    return 1;
                }
            },
        }
    }
    let paths: Vec<String> = names.iter().flat_map(|name| find::files(shell, name)).collect();
    let mut code = 0;
    if names.is_empty() {
        let bytes = shell.input().and_then(|input| streams::read_all(&input).ok());
        show(shell, &bytes.unwrap_or_default(), skip, squeeze);
    }
    for path in paths {
        let file = streams::open(&shell.files, &path, Purpose::Read);
        match file.and_then(|file| streams::read_all(&file)) {
            Ok(bytes) => show(shell, &bytes, skip, squeeze),
            Err(_) => {
                shell.complain(&format!("Cannot access file {path}"));
                code = 1;
            }
        }
    }
    code
}

fn show(shell: &Shell, bytes: &[u8], skip: usize, squeeze: bool) {
    let text = String::from_utf8_lossy(bytes);
    let mut blank = false;
    let mut out = String::new();
    for line in text.lines().skip(skip) {
        if !(squeeze && blank && line.is_empty()) {
            out.push_str(line);
            out.push_str("\r\n");
        }
        blank = line.is_empty();
    }
    shell.out(&out);
}
