//! `sort`: lines in order.

use core::cmp::Ordering;

use super::arguments;
use crate::shell::Shell;
use crate::streams::{self, Purpose};
use crate::text::upper;

/// `sort [/r] [/+n] [/c] [/unique] [/o output] [input]`: by characters without regard to case, unless `/c`; 0, or 1 for a mistake.
pub(super) fn run(shell: &mut Shell, line: &str) -> i32 {
    let (mut reversed, mut unique, mut exact, mut column) = (false, false, false, 1usize);
    let (mut output, mut input) = (None, None);
    let mut words = arguments(line).into_iter();
    while let Some(word) = words.next() {
        let lower = word.to_ascii_lowercase();
        match lower.as_str() {
            "/r" | "/reverse" => reversed = true,
            "/unique" => unique = true,
            "/c" | "/case_sensitive" => exact = true,
            "/o" | "/output" => output = words.next(),
            // Memory, temporary files, locale and record length have no part here.
            "/m" | "/t" | "/l" | "/rec" => _ = words.next(),
            other => match other.strip_prefix("/+").map(str::parse) {
                Some(Ok(n)) => column = n,
                None if !other.starts_with('/') && input.is_none() => input = Some(word),
                _ => {
                    shell.complain("Invalid switch.");
                    return 1;
                }
            },
        }
    }
    let file = match &input {
        Some(name) => streams::open(&shell.files, name, Purpose::Read).ok(),
        None => shell.input(),
    };
    let Some(bytes) = file.and_then(|file| streams::read_all(&file).ok()) else {
        shell.complain("The system cannot find the file specified.");
        return 1;
    };
    let text = String::from_utf8_lossy(&bytes);
    let key = |line: &str| -> Vec<char> {
        let rest = line.chars().skip(column.saturating_sub(1));
        if exact { rest.collect() } else { rest.map(upper).collect() }
    };
    let mut lines: Vec<(Vec<char>, &str)> = text.lines().map(|line| (key(line), line)).collect();
    lines.sort_by(|(a, _), (b, _)| if reversed { b.cmp(a) } else { a.cmp(b) });
    if unique {
        lines.dedup_by(|(a, _), (b, _)| (*a).cmp(b) == Ordering::Equal);
    }
    let sorted: String = lines.iter().map(|(_, line)| format!("{line}\r\n")).collect();
    let Some(name) = output else {
        shell.out(&sorted);
        return 0;
    };
    let written = streams::open(&shell.files, &name, Purpose::Write);
    match written.and_then(|file| streams::write_all(&file, sorted.as_bytes())) {
        Ok(()) => 0,
        Err(status) => {
            shell.complain_of(status);
            1
        }
    }
}
