//! `%~dp0` and its like: what can be asked of the file that an argument or a variable of `for` names.

use transom_syscalls::file::Meta;
use transom_syscalls::time::SystemTime;
use transom_syscalls::time::zone::Zone;
use windows_sys::Win32::Storage::FileSystem as fs;

use crate::shell::Shell;
use crate::text::wide;

/// Modifiers that were parsed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Modifiers {
    letters: String,
    /// `$PATH:`
    search: Option<String>,
    /// The argument's digit or the variable's letter.
    pub(crate) variable: char,
    /// How many bytes they take.
    pub(crate) len: usize,
}

impl Modifiers {
    /// Whether only quotation marks are to go.
    pub(crate) fn has_none(&self) -> bool {
        self.letters.is_empty() && self.search.is_none()
    }

    fn has(&self, letter: char) -> bool {
        self.letters.contains(letter)
    }
}

/// Parses what stands behind `%~`: as many letters as leave a variable behind them.
pub(crate) fn parse(text: &str, is_variable: impl Fn(char) -> bool) -> Option<Modifiers> {
    let letters = text.find(|c: char| !"fdpnxsatzFDPNXSATZ".contains(c)).unwrap_or(text.len());
    if let Some(rest) = text[letters..].strip_prefix('$')
        && let Some(colon) = rest.find(':')
        && let Some(variable) = rest[colon + 1..].chars().next().filter(|c| is_variable(*c))
    {
        return Some(Modifiers {
            letters: text[..letters].to_ascii_lowercase(),
            search: Some(rest[..colon].to_owned()),
            variable,
            len: letters + 1 + colon + 1 + variable.len_utf8(),
        });
    }
    for count in (0..=letters).rev() {
        if let Some(variable) = text[count..].chars().next().filter(|c| is_variable(*c)) {
            let letters = text[..count].to_ascii_lowercase();
            return Some(Modifiers { letters, search: None, variable, len: count + variable.len_utf8() });
        }
    }
    None
}

/// A full path in its parts: drive, folder with both backslashes, name, extension with its dot.
pub(crate) fn parts(path: &str) -> (&str, &str, &str, &str) {
    let drive = if path.as_bytes().get(1) == Some(&b':') { 2 } else { 0 };
    let name = path.rfind('\\').map_or(drive, |at| at + 1);
    let extension = path[name..].rfind('.').map_or(path.len(), |at| name + at);
    (&path[..drive], &path[drive..name], &path[name..extension], &path[extension..])
}

/// The attributes as `%~a` shows them.
pub(crate) fn attributes(meta: &Meta) -> String {
    [
        (fs::FILE_ATTRIBUTE_DIRECTORY, 'd'),
        (fs::FILE_ATTRIBUTE_READONLY, 'r'),
        (fs::FILE_ATTRIBUTE_ARCHIVE, 'a'),
        (fs::FILE_ATTRIBUTE_HIDDEN, 'h'),
        (fs::FILE_ATTRIBUTE_SYSTEM, 's'),
        (fs::FILE_ATTRIBUTE_COMPRESSED, 'c'),
        (fs::FILE_ATTRIBUTE_OFFLINE, 'o'),
        (fs::FILE_ATTRIBUTE_TEMPORARY, 't'),
        (fs::FILE_ATTRIBUTE_REPARSE_POINT, 'l'),
    ]
    .into_iter()
    .map(|(flag, letter)| if meta.attributes & flag != 0 { letter } else { '-' })
    .collect()
}

/// A file's time as listings show it.
pub(crate) fn stamp(time: i64) -> String {
    let Some(t) = SystemTime::from_file_time(Zone::local().to_local(time)) else { return String::new() };
    let (hour, half) = ((t.hour + 11) % 12 + 1, if t.hour < 12 { "AM" } else { "PM" });
    format!("{:02}/{:02}/{:04}  {hour:02}:{:02} {half}", t.month, t.day, t.year, t.minute)
}

impl Shell {
    /// What modifiers make of a name without quotation marks.
    pub(crate) fn modify(&self, name: &str, modifiers: &Modifiers) -> String {
        if modifiers.has_none() {
            return name.to_owned();
        }
        let path = match &modifiers.search {
            None => self.full_path(name).ok(),
            Some(variable) => self.search_list(name, &self.variable(variable).unwrap_or_default()),
        };
        let Some(path) = path else { return String::new() };
        let path = self.true_case(path);
        let mut pieces = Vec::new();
        if let Ok(meta) = self.files.query(&wide(&path)) {
            if modifiers.has('a') {
                pieces.push(attributes(&meta));
            }
            if modifiers.has('t') {
                pieces.push(stamp(meta.written).replace("  ", " "));
            }
            if modifiers.has('z') {
                pieces.push(meta.size.to_string());
            }
        }
        let (drive, folder, name, extension) = parts(&path);
        let all = modifiers.has('f')
            || (modifiers.search.is_some() && !"dpnx".chars().any(|c| modifiers.has(c)))
            || (modifiers.has('s') && !"dpnxatz".chars().any(|c| modifiers.has(c)));
        let chosen: String = [('d', drive), ('p', folder), ('n', name), ('x', extension)]
            .into_iter()
            .filter(|(letter, _)| all || modifiers.has(*letter))
            .map(|(_, part)| part)
            .collect();
        if !chosen.is_empty() {
            pieces.push(chosen);
        }
        pieces.join(" ")
    }

    /// A path with its last name as it is on the disk.
    fn true_case(&self, path: String) -> String {
        let Ok((_, entry)) = self.files.find_first(&wide(&path)) else { return path };
        let at = path.rfind('\\').map_or(0, |at| at + 1);
        let name = crate::text::narrow(&entry.name);
        if path[at..].contains(['*', '?']) { path } else { format!("{}{name}", &path[..at]) }
    }

    /// The first file of this name in the folders of a list.
    fn search_list(&self, name: &str, list: &str) -> Option<String> {
        list.split(';').filter(|folder| !folder.is_empty()).find_map(|folder| {
            let path = self.full_path(&format!("{}\\{name}", folder.trim_matches('"'))).ok()?;
            self.query(&path).is_ok().then_some(path)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn modifiers_leave_a_variable() {
        let digit = |c: char| c.is_ascii_digit();
        let p = parse("dp0\\x", digit).unwrap();
        assert_eq!((p.letters.as_str(), p.variable, p.len), ("dp", '0', 3));
        let p = parse("nxn", |c| c == 'n').unwrap();
        assert_eq!((p.letters.as_str(), p.variable, p.len), ("nx", 'n', 3));
        let p = parse("$PATH:1", digit).unwrap();
        assert_eq!((p.search.as_deref(), p.variable, p.len), (Some("PATH"), '1', 7));
        assert!(parse("dpq", digit).is_none() && parse("", digit).is_none());
    }

    #[test]
    fn paths_in_parts() {
        assert_eq!(parts("C:\\a b\\c.d.txt"), ("C:", "\\a b\\", "c.d", ".txt"));
        assert_eq!(parts("C:\\"), ("C:", "\\", "", ""));
    }
}
