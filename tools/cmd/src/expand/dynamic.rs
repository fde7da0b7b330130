//! Variables that are computed when they are asked for.

use transom_syscalls::time::zone::Zone;
use transom_syscalls::time::{SystemTime, system_time};

use crate::shell::Shell;

/// The time now, where the user is.
pub(crate) fn local_time() -> SystemTime {
    let local = Zone::local().to_local(system_time());
    SystemTime::from_file_time(local).unwrap_or(SystemTime {
        year: 1601,
        month: 1,
        day_of_week: 1,
        day: 1,
        hour: 0,
        minute: 0,
        second: 0,
        milliseconds: 0,
    })
}

/// A date as `%DATE%` gives it.
pub(crate) fn date(t: &SystemTime) -> String {
    let day = ["Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"][usize::from(t.day_of_week) % 7];
    format!("{day} {:02}/{:02}/{:04}", t.month, t.day, t.year)
}

/// A time as `%TIME%` gives it.
pub(crate) fn time(t: &SystemTime) -> String {
    format!("{:2}:{:02}:{:02}.{:02}", t.hour, t.minute, t.second, t.milliseconds / 10)
}

impl Shell {
    /// The value of a variable that is computed, if there is one of this name.
    pub(super) fn dynamic(&self, name: &str) -> Option<String> {
        if !self.modes.extensions {
            return None;
        }
        Some(match name.to_ascii_uppercase().as_str() {
            "CD" => self.here(),
            "DATE" => date(&local_time()),
            "TIME" => time(&local_time()),
            "ERRORLEVEL" => self.level.to_string(),
            "RANDOM" => {
                let mut bytes = [0; 2];
                transom_syscalls::random::fill(&mut bytes).ok()?;
                (u16::from_le_bytes(bytes) & 0x7FFF).to_string()
            }
            "CMDEXTVERSION" => "2".to_owned(),
            "CMDCMDLINE" => self.world.command_line.clone(),
            "HIGHESTNUMANODENUMBER" => "0".to_owned(),
            _ => return None,
        })
    }
}
