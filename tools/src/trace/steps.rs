//! `--instructions` and `--memory`: what the Unicorn engine executes and touches, an instruction or an access a line.
//!
//! An instruction is printed when the next one of its thread begins, or a call into Windows is made: only then is known
//! which registers it has changed.

use std::cell::RefCell;
use std::fmt::Write;
use std::sync::OnceLock;

use transom_cpu::context::Context;
use transom_cpu::engine::{Access, Observer};
use transom_sdk::{Cx, mem};

use super::disassemble;
use super::line::json_string;
use super::recorder::{Recorder, now};
use super::settings::Form;

/// Addresses: numbers, or counted from a module, which may not be loaded yet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Range {
    text: String,
    module: Option<String>,
    /// From the first to the last; `None` means all of the module.
    bounds: Option<(u64, u64)>,
    resolved: OnceLock<(u64, u64)>,
}

impl Range {
    /// Reads `0x1000-0x1fff`, `0x1000+16`, `prog.exe`, `prog.exe!0x1000-0x1fff`; an empty text is everything.
    pub(super) fn parse(text: &str) -> Result<Self, String> {
        let refuse =
            || format!("{text:?} is no range: 0x1000-0x1fff, 0x1000+64, prog.exe, prog.exe!0x1000-0x1fff");
        let number = |text: &str| match text.strip_prefix("0x") {
            Some(digits) => u64::from_str_radix(digits, 16).map_err(|_| refuse()),
            None => text.parse().map_err(|_| refuse()),
        };
        let (module, rest) = match text.split_once('!') {
            Some((module, rest)) => (Some(module), rest),
            None if text.starts_with(|c: char| c.is_ascii_digit()) => (None, text),
            None => ((!text.is_empty()).then_some(text), ""),
        };
        let bounds = if let Some((first, last)) = rest.split_once('-') {
            Some((number(first)?, number(last)?))
        } else if let Some((first, size)) = rest.split_once('+') {
            let first = number(first)?;
            Some((first, first.saturating_add(number(size)?).saturating_sub(1)))
        } else if rest.is_empty() {
            None
        } else {
            return Err(refuse());
        };
        if bounds.is_some_and(|(first, last)| first > last) {
            return Err(refuse());
        }
        let module = module.map(str::to_ascii_lowercase);
        Ok(Self { text: text.to_owned(), module, bounds, resolved: OnceLock::new() })
    }

    pub(super) fn text(&self) -> &str {
        &self.text
    }

    /// First and last address; `None` while the module is not there.
    fn resolve(&self) -> Option<(u64, u64)> {
        if let Some(resolved) = self.resolved.get() {
            return Some(*resolved);
        }
        let bounds = match &self.module {
            None => self.bounds.unwrap_or((0, u64::MAX)),
            Some(name) => {
                let module = Cx::with_current(|cx| {
                    cx.modules().all().into_iter().find(|m| super::filter::matches(name, &m.name))
                })??;
                let (first, last) = self.bounds.unwrap_or((0, module.size - 1));
                (module.base + first, module.base + last)
            }
        };
        Some(*self.resolved.get_or_init(|| bounds))
    }

    fn touches(&self, address: u64, size: u64) -> bool {
        self.resolve().is_some_and(|(first, last)| {
            address <= last && address.saturating_add(size.saturating_sub(1)) >= first
        })
    }
}

/// An instruction that has begun.
struct Step {
    pc: u64,
    bytes: [u8; 16],
    size: usize,
    start: u64,
    registers: Vec<u64>,
}

thread_local! {
    static PENDING: RefCell<Option<Step>> = const { RefCell::new(None) };
}

/// Names of the integer registers, in the order of [`values`].
fn names(context: &Context) -> &'static [&'static str] {
    match context {
        Context::Amd64(_) => &[
            "rax", "rcx", "rdx", "rbx", "rsp", "rbp", "rsi", "rdi", "r8", "r9", "r10", "r11", "r12", "r13",
            "r14", "r15",
        ],
        Context::I386(_) => &["eax", "ecx", "edx", "ebx", "esp", "ebp", "esi", "edi"],
        Context::Arm64(_) => &[
            "x0", "x1", "x2", "x3", "x4", "x5", "x6", "x7", "x8", "x9", "x10", "x11", "x12", "x13", "x14",
            "x15", "x16", "x17", "x18", "x19", "x20", "x21", "x22", "x23", "x24", "x25", "x26", "x27", "x28",
            "x29", "x30", "sp",
        ],
    }
}

fn values(context: &Context) -> Vec<u64> {
    match context {
        Context::Amd64(c) => vec![
            c.rax, c.rcx, c.rdx, c.rbx, c.rsp, c.rbp, c.rsi, c.rdi, c.r8, c.r9, c.r10, c.r11, c.r12, c.r13,
            c.r14, c.r15,
        ],
        Context::I386(c) => [c.eax, c.ecx, c.edx, c.ebx, c.esp, c.ebp, c.esi, c.edi].map(u64::from).to_vec(),
        Context::Arm64(c) => c.x[..31].iter().copied().chain([c.sp]).collect(),
    }
}

impl Observer for Recorder {
    fn wants_instruction(&self, pc: u64) -> bool {
        match &self.settings.instructions {
            Some(range) => range.touches(pc, 1) || PENDING.with_borrow(Option::is_some),
            None => false,
        }
    }

    fn wants_accesses(&self) -> bool {
        self.settings.memory.is_some()
    }

    fn instruction(&self, pc: u64, size: u32, context: &Context) {
        let registers = values(context);
        self.finish_step(Some((names(context), &registers)));
        let wanted = self.settings.instructions.as_ref().is_some_and(|range| range.touches(pc, 1));
        if !wanted || !self.is_from(pc) {
            return;
        }
        let mut step = Step { pc, bytes: [0; 16], size: 0, start: self.since_start(now()), registers };
        // Unicorn does not know the size of the last instruction of a page's code at times.
        let size = usize::try_from(size).unwrap_or(0).min(step.bytes.len());
        if mem::copy_in(pc, &mut step.bytes[..size]).is_ok() {
            step.size = size;
        }
        PENDING.set(Some(step));
    }

    fn access(&self, pc: u64, address: u64, size: u32, access: Access, value: Option<u64>) {
        let Some(range) = &self.settings.memory else { return };
        if !range.touches(address, size.into()) || !self.is_from(pc) {
            return;
        }
        let mut bytes = [0; 8];
        let len = usize::try_from(size).unwrap_or(0).min(bytes.len());
        if let Some(value) = value {
            bytes = value.to_le_bytes();
        } else if mem::copy_in(address, &mut bytes[..len]).is_err() {
            // It is going to fault.
            return;
        }
        bytes[len..].fill(0);
        self.emit_access(pc, address, size, access == Access::Write, u64::from_le_bytes(bytes));
    }
}

fn describe(address: u64) -> String {
    Cx::with_current(|cx| cx.modules().describe(address)).unwrap_or_else(|| format!("{address:#x}"))
}

impl Recorder {
    /// Whether code at this place belongs to the module that `--from` names.
    fn is_from(&self, pc: u64) -> bool {
        let Some(from) = &self.settings.from else { return true };
        Cx::with_current(|cx| {
            cx.modules().by_address(pc).is_some_and(|m| super::filter::matches(from, &m.name))
        })
        .unwrap_or(false)
    }

    /// Prints the instruction that the thread has executed last, if there is one that is not printed yet.
    pub(super) fn finish_step(&self, now: Option<(&[&str], &[u64])>) {
        let Some(step) = PENDING.take() else { return };
        let changed: Vec<(&str, u64)> = now.map_or_else(Vec::new, |(names, values)| {
            let pairs = names.iter().zip(values).zip(&step.registers);
            pairs.filter(|((_, now), before)| now != before).map(|((name, now), _)| (*name, *now)).collect()
        });
        let bytes = &step.bytes[..step.size];
        let hex: Vec<String> = bytes.iter().map(|b| format!("{b:02x}")).collect();
        let (place, hex) = (describe(step.pc), hex.join(" "));
        let machine = Cx::with_current(Cx::machine).unwrap_or(transom_sdk::Machine::Amd64);
        let text = disassemble::instruction(machine, step.pc, bytes);
        self.emit_step(step.start, |out, json| {
            if json {
                out.push_str("\"instruction\":{\"at\":");
                json_string(out, &place);
                let _ = write!(out, ",\"address\":\"{:#x}\",\"bytes\":\"{hex}\",\"text\":", step.pc);
                json_string(out, &text);
                out.push_str(",\"registers\":{");
                for (i, (name, value)) in changed.iter().enumerate() {
                    let _ = write!(out, "{}\"{name}\":\"{value:#x}\"", if i == 0 { "" } else { "," });
                }
                out.push_str("}}");
            } else {
                let _ = write!(out, "{place}: {hex:<24} {text:<32}");
                for (name, value) in &changed {
                    let _ = write!(out, " {name}={value:#x}");
                }
                out.truncate(out.trim_end().len());
            }
        });
    }

    fn emit_access(&self, pc: u64, address: u64, size: u32, write: bool, value: u64) {
        let kind = if write { "write" } else { "read" };
        let (place, target) = (describe(pc), describe(address));
        self.emit_step(self.since_start(now()), |out, json| {
            if json {
                out.push_str("\"access\":{\"at\":");
                json_string(out, &place);
                let _ = write!(out, ",\"kind\":\"{kind}\",\"address\":\"{address:#x}\",\"place\":");
                json_string(out, &target);
                let _ = write!(out, ",\"size\":{size},\"value\":\"{value:#x}\"}}");
            } else {
                let width = 2 + 2 * size as usize;
                let _ = write!(out, "{place}: {kind} {size} at {target}: {value:#0width$x}");
            }
        });
    }

    /// Writes a line whose middle `fill` gives.
    fn emit_step(&self, start: u64, fill: impl Fn(&mut String, bool)) {
        let thread = self.thread_name();
        if self.settings.thread.as_ref().is_some_and(|t| !super::filter::matches(t, &thread)) {
            return;
        }
        let mut out = String::with_capacity(160);
        let json = self.settings.form == Form::Json;
        let tid = Cx::with_current(Cx::thread_id).unwrap_or(0);
        if json {
            let _ = write!(
                out,
                "{{\"start_ns\":{start},\"pid\":{},\"tid\":{tid},\"thread\":",
                std::process::id()
            );
            json_string(&mut out, &thread);
            out.push(',');
            fill(&mut out, true);
            out.push('}');
        } else {
            super::line::head_of(&mut out, start, std::process::id(), &thread, 0, self.settings.follow);
            fill(&mut out, false);
        }
        out.push('\n');
        self.spool.append(out.as_bytes());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges() {
        let of = |text| Range::parse(text).map(|r| (r.module, r.bounds));
        assert_eq!(of(""), Ok((None, None)));
        assert_eq!(of("0x1000-0x1fff"), Ok((None, Some((0x1000, 0x1FFF)))));
        assert_eq!(of("0x1000+16"), Ok((None, Some((0x1000, 0x100F)))));
        assert_eq!(of("Prog.exe"), Ok((Some("prog.exe".to_owned()), None)));
        assert_eq!(of("a.dll!0x10-0x20"), Ok((Some("a.dll".to_owned()), Some((0x10, 0x20)))));
        for bad in ["0x1000", "5-1", "0xzz-1", "a.dll!5"] {
            assert!(Range::parse(bad).is_err(), "{bad}");
        }
        let range = Range::parse("0x1000-0x1fff").expect("a range");
        assert!(range.touches(0x1FFF, 1) && range.touches(0xFFF, 2) && range.touches(0x1FFC, 8));
        assert!(!range.touches(0x2000, 8) && !range.touches(0xFFF, 1));
    }
}
