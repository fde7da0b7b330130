//! What handles refer to: `0x54{file C:\temp\a.txt}`.
//!
//! Kernel handles are asked for their object, whose description is kept for as long as the object is the same; others
//! (registry keys, finds) are remembered from the call that opened them.

use std::collections::HashMap;
use std::fmt::Write;
use std::sync::{PoisonError, RwLock};

use transom_sdk::Cx;
use transom_sigs::format as flags;
use transom_sigs::{Function, Table, Type, Typedef};
use transom_syscalls::file::FileObject;
use transom_syscalls::handle::Handle;
use transom_syscalls::object::{Kind, Object};

use super::event::Event;
use super::plan::Plan;
use super::runtime;
use super::value::is_handle;

/// Descriptions, by handle: the object's address, if there is one, and the words.
#[derive(Default)]
pub(super) struct Handles {
    known: RwLock<HashMap<u64, (usize, String)>>,
}

/// The kernel object of a handle: its address and its description, which is made only if the address is not `known`.
fn object(cx: &Cx, raw: u64, known: usize) -> Option<(usize, Option<String>)> {
    let object = cx.handles().object(Handle::from_guest(raw)?, 0).ok()?;
    let address = std::ptr::from_ref::<dyn Object>(&*object).cast::<u8>().addr();
    if address == known {
        return Some((address, None));
    }
    let words = match object.as_any().downcast_ref::<FileObject>() {
        Some(file) if file.is_standard_input() => "stdin".to_owned(),
        Some(file) if file.is_null() => "NUL".to_owned(),
        Some(file) if file.is_terminal() => "console".to_owned(),
        Some(file) => match file.final_path() {
            Ok(path) if path.contains(&u16::from(b'\\')) => {
                let text = String::from_utf16_lossy(&path);
                format!("file {}", text.strip_prefix(r"\\?\").unwrap_or(&text))
            }
            _ => "pipe".to_owned(),
        },
        None => match object.kind() {
            Kind::Mutant => "mutex".to_owned(),
            Kind::IoCompletion => "completion port".to_owned(),
            kind => format!("{kind:?}").to_lowercase(),
        },
    };
    Some((address, Some(words)))
}

/// The first quoted argument, without quotes and escapes.
fn first_text(event: &Event) -> Option<String> {
    let text = event.args.iter().map(|(_, value)| value).find(|v| v.starts_with('"'))?;
    let inner = text.trim_end_matches("...").trim_matches('"');
    Some(inner.replace("\\\\", "\\").replace("\\\"", "\""))
}

impl Handles {
    /// Prints what a handle refers to, in braces, if that is known.
    pub(super) fn annotate(&self, cx: &Cx, def: &Typedef, raw: u64, out: &mut String) {
        if matches!(def.name, "HMODULE" | "HINSTANCE") {
            if let Some(module) = cx.modules().by_handle(raw) {
                let _ = write!(out, "{{{}}}", module.name);
            }
            return;
        }
        self.with(cx, raw, |words| {
            let _ = write!(out, "{{{words}}}");
        });
    }

    /// Prints what a stream of the C runtime refers to, in braces, if that is known.
    pub(super) fn stream(&self, cx: &Cx, at: u64, out: &mut String) {
        if let Some(name) = runtime::standard_stream(at, cx.is_64()) {
            let _ = write!(out, "{{{name}}}");
            return;
        }
        let known = self.known.read().unwrap_or_else(PoisonError::into_inner);
        if let Some((_, words)) = known.get(&at) {
            let _ = write!(out, "{{{words}}}");
        }
    }

    /// A stream of the C runtime was opened, or asked for: says which in the result.
    pub(super) fn opened_stream(&self, cx: &Cx, at: u64, event: &mut Event) {
        if let Some(path) = first_text(event) {
            self.remember(at, 0, format!("file {path}"));
        }
        self.stream(cx, at, &mut event.result);
    }

    fn with(&self, cx: &Cx, raw: u64, work: impl FnOnce(&str)) {
        let known = self.known.read().unwrap_or_else(PoisonError::into_inner);
        let entry = known.get(&raw);
        match (object(cx, raw, entry.map_or(0, |e| e.0)), entry) {
            (Some((_, None)), Some(entry)) => work(&entry.1),
            (Some((address, Some(words))), _) => {
                work(&words);
                drop(known);
                self.remember(raw, address, words);
            }
            (None, Some((0, words))) => work(words),
            _ => {}
        }
    }

    fn remember(&self, raw: u64, address: usize, words: String) {
        self.known.write().unwrap_or_else(PoisonError::into_inner).insert(raw, (address, words));
    }

    /// A handle was closed.
    pub(super) fn forget(&self, raw: u64) {
        self.known.write().unwrap_or_else(PoisonError::into_inner).remove(&raw);
    }

    /// After a call that succeeded: notes the handles that it opened and the file that it was about.
    #[expect(clippy::too_many_arguments, reason = "all that is known of a call")]
    pub(super) fn note(
        &self,
        cx: &Cx,
        table: &Table,
        plan: &Plan,
        function: &Function,
        words: &[u64],
        result: u64,
        event: &mut Event,
    ) {
        let closable = |ty| match table.ty(ty) {
            Type::Typedef(def) if is_handle(def) && def.closer.is_some() => Some(def),
            _ => None,
        };
        let opens = !function.name.starts_with("Get") && !function.name.starts_with("Load");
        if closable(function.returns).is_some() && result != 0 && opens {
            self.opened(cx, result, event);
        }
        for (parameter, &word) in function.parameters.iter().zip(words) {
            let Type::Pointer(to) = table.ty(parameter.ty) else { continue };
            if !opens || word == 0 || !parameter.is(flags::PARAM_OUT) || closable(*to).is_none() {
                continue;
            }
            let handle = if cx.is_64() {
                transom_sdk::mem::read::<u64>(word)
            } else {
                transom_sdk::mem::read::<u32>(word).map(u64::from)
            };
            if let Ok(handle) = handle
                && handle != 0
            {
                self.opened(cx, handle, event);
            }
        }
        if plan.about_files {
            event.file = first_text(event).unwrap_or_default();
            if let (true, Some(&handle)) =
                (event.file.is_empty() || function.name.starts_with("Write"), words.first())
            {
                event.file.clear();
                self.with(cx, handle, |words| {
                    event.file.push_str(words.strip_prefix("file ").unwrap_or(words));
                });
            }
        }
    }

    fn opened(&self, cx: &Cx, handle: u64, event: &mut Event) {
        let mut label = String::new();
        match object(cx, handle, 0) {
            Some((address, Some(words))) => {
                let named = first_text(event).filter(|_| {
                    !words.contains(' ') && !matches!(words.as_str(), "console" | "NUL" | "stdin")
                });
                let words = named.map_or(words.clone(), |name| format!("{words} {name}"));
                label.clone_from(&words);
                self.remember(handle, address, words);
            }
            _ => {
                let parent =
                    event.args.iter().map(|(_, v)| v).find(|v| !v.starts_with('"')).unwrap_or_default();
                let parent =
                    parent.split_once('{').map_or(parent, |(_, inside)| inside.trim_end_matches('}'));
                let name = first_text(event).unwrap_or_default();
                let words = if parent.starts_with("HKEY") || parent.contains("\\") {
                    format!("{parent}\\{name}")
                } else {
                    name
                };
                if !words.is_empty() {
                    label.clone_from(&words);
                    self.remember(handle, 0, words);
                }
            }
        }
        event.opened.push((handle, label));
    }
}
