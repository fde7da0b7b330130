//! `dir`: what is in folders.

use core::cmp::Ordering;

use transom_syscalls::file::FindEntry;
use windows_sys::Win32::Storage::FileSystem as fs;

use super::arguments;
use super::files::folder_of;
use crate::exec::Flow;
use crate::expand::modifiers::{parts, stamp};
use crate::shell::Shell;
use crate::text::{narrow, unquote, upper, wide};

/// The switches.
#[derive(Default)]
struct Options {
    bare: bool,
    below: bool,
    wide: bool,
    lower: bool,
    quiet_size: bool,
    /// Attributes that must be set, and that must not.
    with: u32,
    without: u32,
    /// Letters of `/o`.
    order: Option<String>,
}

/// What was listed.
#[derive(Default)]
struct Totals {
    files: u64,
    bytes: u64,
    folders: u64,
}

/// `dir [names] [/a] [/b] [/l] [/o] [/s] [/w]`
pub(super) fn list(shell: &mut Shell, text: &str) -> Flow {
    let (switches, names) = arguments(text);
    let mut options =
        Options { without: fs::FILE_ATTRIBUTE_HIDDEN | fs::FILE_ATTRIBUTE_SYSTEM, ..Options::default() };
    for switch in &switches {
        if !options.set(switch) {
            return shell.invalid_switch(switch);
        }
    }
    let names = if names.is_empty() { vec![".".to_owned()] } else { names };
    let mut found = false;
    let mut totals = Totals::default();
    for name in names {
        let name = unquote(&name);
        let pattern =
            if shell.is_folder(name.trim_end_matches(['\\', '/'])) || name.ends_with(['\\', '/', ':']) {
                let name = name.strip_suffix(['\\', '/']).unwrap_or(&name);
                if name.ends_with(':') && shell.full_path(name).is_err() {
                    name.to_owned()
                } else {
                    format!("{name}\\*")
                }
            } else {
                name
            };
        if !options.bare
            && let Some(lines) = shell.full_path(&pattern).ok().and_then(|p| shell.volume_lines(&p))
        {
            shell.out(&lines);
        }
        let Ok(full) = shell.full_path(&pattern) else { continue };
        found |= folder(shell, &full, &options, &mut totals);
    }
    if !found {
        return shell.fail("File Not Found");
    }
    if !options.bare {
        if options.below {
            shell.say("\r\n     Total Files Listed:");
            shell.say(&format!("{:16} File(s) {:>14} bytes", totals.files, grouped(totals.bytes)));
        }
        let free =
            shell.files.volume(&wide(&shell.here())).map_or(0, |v| v.available_units * u64::from(v.unit));
        shell.say(&format!("{:16} Dir(s) {:>15} bytes free", totals.folders, grouped(free)));
    }
    shell.done(0)
}

impl Options {
    /// Takes a switch; whether it is one.
    fn set(&mut self, switch: &str) -> bool {
        let (letter, rest) = switch.split_at(switch.len().min(1));
        let rest = rest.trim_start_matches(':');
        match letter {
            "b" => self.bare = true,
            "s" => self.below = true,
            "w" | "d" => self.wide = true,
            "l" => self.lower = true,
            "a" => return self.set_attributes(rest),
            "o" => self.order = Some(if rest.is_empty() { "gn".to_owned() } else { rest.to_owned() }),
            "-" => self.quiet_size |= rest == "c",
            // Long names, pages, owners, short names, four digits for the year, times: as they are.
            "n" | "p" | "4" | "x" | "c" | "t" => {}
            _ => return false,
        }
        true
    }

    fn set_attributes(&mut self, letters: &str) -> bool {
        self.without = 0;
        let mut negated = false;
        for letter in letters.chars() {
            let flag = match letter {
                '-' => {
                    negated = true;
                    continue;
                }
                'd' => fs::FILE_ATTRIBUTE_DIRECTORY,
                'r' => fs::FILE_ATTRIBUTE_READONLY,
                'h' => fs::FILE_ATTRIBUTE_HIDDEN,
                'a' => fs::FILE_ATTRIBUTE_ARCHIVE,
                's' => fs::FILE_ATTRIBUTE_SYSTEM,
                'l' => fs::FILE_ATTRIBUTE_REPARSE_POINT,
                'i' => fs::FILE_ATTRIBUTE_NOT_CONTENT_INDEXED,
                'o' => fs::FILE_ATTRIBUTE_OFFLINE,
                _ => return false,
            };
            if negated {
                self.without |= flag;
            } else {
                self.with |= flag;
            }
            negated = false;
        }
        true
    }

    fn wants(&self, entry: &FindEntry) -> bool {
        let attributes = entry.meta.attributes;
        attributes & self.with == self.with && attributes & self.without == 0
    }

    fn compare(&self, a: &FindEntry, b: &FindEntry) -> Ordering {
        let mut reverse = false;
        let name = |e: &FindEntry| narrow(&e.name).chars().map(upper).collect::<String>();
        for letter in self.order.as_deref().unwrap_or("n").chars() {
            let order = match letter {
                '-' => {
                    reverse = true;
                    continue;
                }
                'n' => name(a).cmp(&name(b)),
                'e' => parts(&name(a)).3.cmp(parts(&name(b)).3),
                's' => a.meta.size.cmp(&b.meta.size),
                'd' => a.meta.written.cmp(&b.meta.written),
                'g' => b.meta.is_directory().cmp(&a.meta.is_directory()),
                _ => Ordering::Equal,
            };
            let order = if reverse { order.reverse() } else { order };
            if order.is_ne() {
                return order;
            }
            reverse = false;
        }
        Ordering::Equal
    }
}

/// Lists what matches in a folder, and with `/s` in those below; whether there was anything.
fn folder(shell: &Shell, pattern: &str, options: &Options, totals: &mut Totals) -> bool {
    let folder_path = folder_of(pattern);
    let mut entries: Vec<FindEntry> =
        shell.entries(pattern).into_iter().filter(|e| options.wants(e)).collect();
    if options.bare || options.below {
        entries.retain(|e| !options.bare || !crate::loops::is_dots(&e.name));
    }
    entries.sort_by(|a, b| options.compare(a, b));
    let mut found = !entries.is_empty();
    if found {
        show(shell, folder_path, &entries, options, totals);
    }
    if options.below {
        for name in shell.folders_below(folder_path) {
            found |= folder(shell, &format!("{name}\\{}", &pattern[folder_path.len()..]), options, totals);
        }
    }
    found
}

fn show(shell: &Shell, folder: &str, entries: &[FindEntry], options: &Options, totals: &mut Totals) {
    let mut out = String::new();
    if !options.bare {
        let shown = if folder.len() > 3 { folder.trim_end_matches('\\') } else { folder };
        out.push_str(&format!("\r\n Directory of {shown}\r\n\r\n"));
    }
    let mut here = Totals::default();
    for entry in entries {
        let name = narrow(&entry.name);
        let name = if options.lower { name.to_lowercase() } else { name };
        if entry.meta.is_directory() {
            here.folders += 1;
        } else {
            here.files += 1;
            here.bytes += entry.meta.size;
        }
        out.push_str(&line(entry, &name, folder, options));
    }
    if options.wide && !options.bare {
        out.push_str("\r\n");
    }
    if !options.bare {
        out.push_str(&format!("{:16} File(s) {:>14} bytes\r\n", here.files, grouped(here.bytes)));
    }
    totals.files += here.files;
    totals.bytes += here.bytes;
    totals.folders += here.folders;
    shell.out(&out);
}

fn line(entry: &FindEntry, name: &str, folder: &str, options: &Options) -> String {
    let is_folder = entry.meta.is_directory();
    if options.bare {
        return if options.below { format!("{folder}{name}\r\n") } else { format!("{name}\r\n") };
    }
    if options.wide {
        return if is_folder { format!("[{name}]\t") } else { format!("{name}\t") };
    }
    let time = stamp(entry.meta.written);
    let size = if options.quiet_size { entry.meta.size.to_string() } else { grouped(entry.meta.size) };
    match (is_folder, entry.reparse_tag() != 0) {
        (true, false) => format!("{time}    <DIR>          {name}\r\n"),
        (true, true) => format!("{time}    <SYMLINKD>     {name}\r\n"),
        (false, true) => format!("{time}    <SYMLINK>      {name}\r\n"),
        (false, false) => format!("{time}    {size:>14} {name}\r\n"),
    }
}

/// A number with commas between its thousands.
fn grouped(n: u64) -> String {
    let digits = n.to_string();
    let mut out = String::new();
    for (i, c) in digits.chars().enumerate() {
        if i > 0 && (digits.len() - i).is_multiple_of(3) {
            out.push(',');
        }
        out.push(c);
    }
    out
}
