//! The report for people: the verdict first, then what the file is, then what it has and needs.

use std::collections::BTreeMap;
use std::fmt::{self, Write as _};

use transom_loader::pe::resources::ResourceId;

use super::names;
use super::report::{Report, manifest_facts, target};
use crate::coverage::{From, Mark, Source};
use crate::output::{Look, Style, count};

/// Exports that are listed without `--all`.
const EXPORTS: usize = 20;

/// The report as text.
pub(super) fn text(report: &Report, all: bool, style: Style) -> String {
    let mut page = Page { out: String::new(), style, all };
    // Writing to a string does not fail.
    let _ = page.write(report);
    page.out
}

struct Page {
    out: String,
    style: Style,
    all: bool,
}

impl Page {
    fn write(&mut self, report: &Report) -> fmt::Result {
        let look = match (report.verdict.starts, report.needs.missing_symbols().is_empty()) {
            (true, true) => Look::Good,
            (true, false) => Look::Fair,
            (false, _) => Look::Bad,
        };
        writeln!(self.out, "{}", self.style.paint(Look::Strong, &report.path))?;
        writeln!(self.out, "  {}\n", self.style.paint(look, clean(&report.verdict.text)))?;
        self.headers(report)?;
        self.extras(report)?;
        self.sections(report)?;
        self.imports(report)?;
        self.exports(report)?;
        self.resources(report)?;
        for error in &report.errors {
            writeln!(self.out, "{} {error}", self.style.paint(Look::Bad, "damaged:"))?;
        }
        Ok(())
    }

    fn row(&mut self, name: &str, value: &dyn fmt::Display) -> fmt::Result {
        writeln!(self.out, "{name:<12}{}", clean(&value.to_string()))
    }

    fn heading(&mut self, text: &str) -> fmt::Result {
        writeln!(self.out, "\n{}", self.style.paint(Look::Strong, text))
    }

    fn headers(&mut self, report: &Report) -> fmt::Result {
        let h = &report.headers;
        let kind = if h.is_dll() { "DLL" } else { "program" };
        let format = if h.machine.is_64() { "PE32+" } else { "PE32" };
        self.row("kind", &format_args!("{} {kind}, {format}, {}", h.machine, names::subsystem(h.subsystem)))?;
        if !report.toolchain.hints.is_empty() {
            self.row("made with", &report.toolchain.hints.join("; "))?;
        }
        if let Some(version) = &report.version {
            let text = |key: &str| {
                version.texts.iter().find(|(k, _)| k == key).map(|(_, v)| v.trim()).filter(|v| !v.is_empty())
            };
            let number = version.file.map(|[a, b, c, d]| format!("{a}.{b}.{c}.{d}"));
            let parts: Vec<String> = [
                text("FileDescription").or(text("ProductName")).map(str::to_owned),
                number,
                text("CompanyName").map(|c| format!("by {c}")),
            ]
            .into_iter()
            .flatten()
            .collect();
            self.row("version", &parts.join(", "))?;
        }
        self.row(
            "linked",
            &format_args!(
                "{} (or a hash), linker {}.{}",
                names::date(h.time_date_stamp),
                report.toolchain.linker.0,
                report.toolchain.linker.1
            ),
        )?;
        self.row(
            "image",
            &format_args!(
                "{:#x} bytes at {:#x}, entry point at +{:#x}",
                h.size_of_image, h.image_base, h.entry_point
            ),
        )?;
        self.row(
            "needs",
            &format_args!(
                "Windows {}.{}, subsystem {}.{}; stack {} KiB, heap {} KiB",
                h.os_version.0,
                h.os_version.1,
                h.subsystem_version.0,
                h.subsystem_version.1,
                h.stack_reserve >> 10,
                h.heap_reserve >> 10
            ),
        )?;
        let flags: Vec<&str> = names::characteristics(h.characteristics)
            .into_iter()
            .chain(names::dll_characteristics(h.dll_characteristics))
            .collect();
        self.row("flags", &flags.join(" "))
    }

    fn extras(&mut self, report: &Report) -> fmt::Result {
        if let Some((tls, callbacks)) = &report.tls {
            let size = u64::from(tls.template_size) + u64::from(tls.zero_fill);
            self.row("TLS", &format_args!("{size} bytes a thread, {}", count(callbacks.len(), "callback")))?;
        }
        if let Some(config) = &report.load_config {
            let handlers = config.safe_handlers.map(|t| format!("{} safe exception handlers", t.count));
            let guards = config.guard_functions.map(|t| format!("{} functions guarded", t.count));
            let facts: Vec<String> = [handlers, guards].into_iter().flatten().collect();
            self.row("load config", &if facts.is_empty() { "present".to_owned() } else { facts.join(", ") })?;
        }
        self.row(
            "contents",
            &format_args!(
                "{}, {} with unwind data",
                count(report.relocations, "relocation"),
                count(report.functions as usize, "function")
            ),
        )?;
        for debug in &report.debug {
            if let Some(pdb) = &debug.pdb {
                self.row("debug", &format_args!("{} (age {})", pdb.path, pdb.age))?;
            }
        }
        let others: Vec<String> = report
            .debug
            .iter()
            .filter(|d| d.pdb.is_none())
            .map(|d| names::debug_kind(d.entry.kind))
            .collect();
        if !others.is_empty() {
            self.row("debug", &others.join(", "))?;
        }
        if let Some(manifest) = &report.manifest {
            let facts = manifest_facts(manifest);
            self.row("manifest", &if facts.is_empty() { "present".to_owned() } else { facts.join(", ") })?;
        }
        if let Some(size) = report.signature {
            self.row("signature", &format_args!("present, {size} bytes (not verified)"))?;
        }
        if report.overlay > 0 {
            self.row("appended", &format_args!("{} bytes behind the last section", report.overlay))?;
        }
        Ok(())
    }

    fn sections(&mut self, report: &Report) -> fmt::Result {
        self.heading("sections")?;
        for s in &report.headers.sections {
            let p = s.protection;
            let bit = |on: bool, c: char| if on { c } else { '-' };
            let rights: String = [bit(p.read, 'r'), bit(p.write, 'w'), bit(p.execute, 'x')].iter().collect();
            writeln!(
                self.out,
                "  {:<10} {rights}  {:>9} bytes at +{:#x}, {} in the file",
                clean(&s.name.to_string()),
                s.memory_size(),
                s.rva,
                s.file_size
            )?;
        }
        Ok(())
    }

    fn imports(&mut self, report: &Report) -> fmt::Result {
        for (module, imports) in &report.needs.modules {
            let own = report.needs.modules.first().is_some_and(|(first, _)| first == module);
            if imports.is_empty() {
                continue;
            }
            let title = if own { "imports".to_owned() } else { format!("imports of {}", clean(module)) };
            self.heading(&title)?;
            for from in imports {
                self.import(from)?;
            }
        }
        Ok(())
    }

    fn import(&mut self, from: &From) -> fmt::Result {
        let missing = from.symbols.iter().filter(|s| s.mark == Mark::Missing).count();
        let partial = from.symbols.iter().filter(|s| matches!(s.mark, Mark::Partial(_))).count();
        let (look, state) = match &from.source {
            Source::Missing => (Look::Bad, "no such DLL".to_owned()),
            Source::BuiltIn(_) if missing > 0 && missing == from.symbols.len() => {
                (Look::Fair, "loads, but none is there".to_owned())
            }
            _ if missing > 0 => (Look::Fair, format!("{missing} missing")),
            Source::File(path) => (Look::Good, format!("the file {}", path.display())),
            Source::BuiltIn(_) => (Look::Good, "all there".to_owned()),
        };
        let mut line = format!(
            "  {} {}",
            clean(&from.dll),
            self.style.paint(Look::Faint, format_args!("({})", count(from.symbols.len(), "function")))
        );
        if let Source::BuiltIn(name) = from.source
            && !from.dll.eq_ignore_ascii_case(name)
        {
            line.push_str(&format!(" is {name}"));
        }
        if from.delayed {
            line.push_str(", loaded on first use");
        }
        line.push_str(&format!(": {}", self.style.paint(look, clean(&state))));
        if partial > 0 {
            line.push_str(&format!(", {}", self.style.paint(Look::Fair, format_args!("{partial} partial"))));
        }
        writeln!(self.out, "{line}")?;
        for s in &from.symbols {
            let name = s.known_as.map_or_else(|| s.symbol.clone(), |known| format!("{} ({known})", s.symbol));
            let name = clean(&name);
            match s.mark {
                Mark::Missing if from.source != Source::Missing || self.all => {
                    writeln!(self.out, "    {} {name}", self.style.paint(Look::Bad, "missing"))?;
                }
                Mark::Partial(note) => {
                    writeln!(self.out, "    {} {name}: {note}", self.style.paint(Look::Fair, "partial"))?
                }
                Mark::Full if self.all => writeln!(self.out, "            {name}")?,
                _ => {}
            }
        }
        Ok(())
    }

    fn exports(&mut self, report: &Report) -> fmt::Result {
        if report.exports.is_empty() {
            return Ok(());
        }
        let name = report.export_name.as_deref().unwrap_or("?");
        self.heading(&format!("exports of {} ({})", clean(name), report.exports.len()))?;
        let shown = if self.all { report.exports.len() } else { EXPORTS };
        for (name, export) in report.exports.iter().take(shown) {
            let name = name.as_ref().map_or_else(String::new, |n| format!(" {n}"));
            writeln!(self.out, "  #{}{name} -> {}", export.ordinal, clean(&target(export)))?;
        }
        if report.exports.len() > shown {
            writeln!(self.out, "  and {} more (--all lists them)", report.exports.len() - shown)?;
        }
        Ok(())
    }

    fn resources(&mut self, report: &Report) -> fmt::Result {
        if report.resources.is_empty() {
            return Ok(());
        }
        let mut kinds: BTreeMap<String, (usize, u64)> = BTreeMap::new();
        for entry in &report.resources {
            let kind = match &entry.kind {
                ResourceId::Id(id) => {
                    names::resource_type(*id).map_or_else(|| format!("#{id}"), str::to_owned)
                }
                other => other.to_string(),
            };
            let (number, size) = kinds.entry(kind).or_default();
            *number += 1;
            *size += u64::from(entry.resource.size);
        }
        self.heading("resources")?;
        for (kind, (number, size)) in kinds {
            writeln!(self.out, "  {number} {}, {size} bytes", clean(&kind))?;
        }
        Ok(())
    }
}

/// Text from a file, made fit for a terminal.
fn clean(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { '\u{FFFD}' } else { c }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_control_characters_reach_a_terminal() {
        assert_eq!(clean("a\x1b[31mb\n"), "a\u{FFFD}[31mb\u{FFFD}");
    }
}
