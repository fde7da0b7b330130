//! `timeout`: waits.

use transom_syscalls::wait::{Alertable, Deadline, monotonic_now, sleep};

use super::arguments;
use crate::shell::Shell;
use crate::streams::read_line;
use crate::text::same;

/// `timeout [/t] seconds [/nobreak]`. A key does not end the wait; `-1` waits for a line.
pub(super) fn run(shell: &mut Shell, line: &str) -> i32 {
    let words = arguments(line);
    let seconds = words.iter().filter(|w| !same(w, "/t") && !same(w, "/nobreak")).map(|w| w.parse::<i64>());
    let seconds: Result<Vec<i64>, _> = seconds.collect();
    match seconds.as_deref() {
        Ok([-1]) => {
            shell.out("\r\nPress any key to continue ...\r\n");
            if let Some(input) = shell.input() {
                let _ = read_line(&input);
            }
            0
        }
        Ok([seconds @ 0..=99_999]) => {
            shell.say(&format!("\r\nWaiting for {seconds} seconds, press a key to continue ..."));
            let end = monotonic_now() + seconds.unsigned_abs() * 1_000_000_000;
            i32::from(sleep(Deadline::Monotonic(end), Alertable::No).is_err())
        }
        _ => {
            shell.complain(
                "ERROR: Invalid value for timeout (/T) specified. Valid range is -1 to 99999 seconds.",
            );
            1
        }
    }
}
