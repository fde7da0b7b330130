//! The tracer itself: sees a call begin and end, and has it written.
//!
//! Each thread keeps the calls that it is inside of. Arguments are printed when the call begins (the function may change what they
//! point at), those that the function fills when it has returned. A call that never returns stays in the list until a call further
//! out, on the same guest stack, shows that it is gone, or until the process ends.

use std::borrow::Cow;
use std::cell::RefCell;
use std::fmt::Write;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::time::Duration;

use transom_cpu::engine::Observer;
use transom_cpu::relay;
use transom_sdk::{Args, Callee, Cx, Frame, Tracer, mem};
use transom_sigs::{Table, Type};

use super::event::{End, Event};
use super::handles::Handles;
use super::plan::{Outcome, Plan, fetch};
use super::settings::{Form, Settings};
use super::spool::Spool;
use super::value::{Annotate, Style, Values, is_handle};
use super::{line, runtime, show};

/// Words of an unknown function.
const WORDS: usize = 4;

/// Writes what it sees to a spool.
pub(super) struct Recorder {
    pub(super) settings: Settings,
    pub(super) spool: Spool,
    table: &'static Table,
    handles: Handles,
    /// Rises when a thread may have got another name.
    names: AtomicU32,
    serial: AtomicU64,
    /// The first thread's number.
    main: OnceLock<u32>,
}

/// A call under way.
#[derive(Default)]
struct Pending {
    serial: u64,
    sp: u64,
    stack_base: u64,
    inner: u64,
    last_error: u32,
    errno: i32,
    announced: bool,
    words: Vec<u64>,
    event: Event,
}

/// What a thread keeps.
#[derive(Default)]
struct Thread {
    calls: Vec<Pending>,
    spare: Vec<Pending>,
    name: String,
    name_of: u32,
    line: String,
    bytes: Vec<u8>,
}

thread_local! {
    static THREAD: RefCell<Thread> = RefCell::default();
}

pub(super) fn now() -> u64 {
    let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: fills the structure.
    unsafe { libc::clock_gettime(libc::CLOCK_MONOTONIC, &raw mut time) };
    let time =
        Duration::new(u64::try_from(time.tv_sec).unwrap_or(0), u32::try_from(time.tv_nsec).unwrap_or(0));
    u64::try_from(time.as_nanos()).unwrap_or(u64::MAX)
}

/// The clock that traces begin with.
pub(super) fn clock() -> u64 {
    now()
}

impl Recorder {
    pub(super) fn new(settings: Settings, spool: Spool) -> Self {
        Self {
            settings,
            spool,
            table: Table::shared(),
            handles: Handles::default(),
            names: AtomicU32::new(1),
            serial: AtomicU64::new(1),
            main: OnceLock::new(),
        }
    }

    fn plan(&self, callee: &'static Callee, cx: &Cx) -> &'static Plan {
        let notes = callee.notes.get_or_init(|| Box::new(Plan::new(self.table, callee, cx.machine())));
        notes.downcast_ref::<Plan>().expect("the notes are this tracer's")
    }

    fn style(&self, cx: &Cx) -> Style {
        Style { limit: self.settings.strings, expand: self.settings.expand, wide: cx.is_64() }
    }

    /// Writes a finished call, if it is one that was asked for.
    fn emit(&self, thread: &mut Thread, call: &Pending) {
        let event = &call.event;
        let other_thread =
            self.settings.thread.as_ref().is_some_and(|t| !super::filter::matches(t, &event.thread_name));
        if other_thread
            || (self.settings.failed && !event.failed)
            || event.duration < self.settings.slower_than
        {
            return;
        }
        thread.line.clear();
        match self.settings.form {
            Form::Text => line::text(&mut thread.line, event, call.announced, self.settings.follow),
            Form::Json => line::json(&mut thread.line, event),
            Form::Records => {
                thread.bytes.clear();
                event.write(&mut thread.bytes);
                return self.spool.append(&thread.bytes);
            }
        }
        self.spool.append(thread.line.as_bytes());
    }

    /// Takes calls off the list that cannot return any more.
    fn abandon(&self, thread: &mut Thread, from: usize, gone: impl Fn(&Pending) -> bool) {
        while thread.calls.len() > from && thread.calls.last().is_some_and(&gone) {
            let Some(mut call) = thread.calls.pop() else { return };
            if call.event.end == End::Returned {
                call.event.end = End::Never;
            }
            self.close(thread, call);
        }
    }

    /// Finishes a call that is off the list.
    fn close(&self, thread: &mut Thread, mut call: Pending) {
        let end = now().saturating_sub(self.settings.origin);
        call.event.duration = end.saturating_sub(call.event.start);
        call.event.own = call.event.duration.saturating_sub(call.inner);
        if let Some(outer) = thread.calls.last_mut() {
            outer.inner += call.event.duration;
        }
        self.emit(thread, &call);
        thread.spare.push(call);
    }

    /// Prints the outer call before the first one that is made from inside it.
    fn announce(&self, thread: &mut Thread) {
        let every = self.settings.thread.is_none();
        let plain = every
            && self.settings.form == Form::Text
            && !self.settings.failed
            && self.settings.slower_than == 0;
        let Some(outer) = thread.calls.last_mut().filter(|c| plain && !c.announced) else { return };
        outer.announced = true;
        thread.line.clear();
        line::opening(&mut thread.line, &outer.event, self.settings.follow);
        self.spool.append(thread.line.as_bytes());
    }

    fn name_thread(&self, thread: &mut Thread, cx: &Cx) {
        let names = self.names.load(Ordering::Relaxed);
        if thread.name_of == names {
            return;
        }
        thread.name_of = names;
        let description = transom_syscalls::thread::current().description();
        thread.name = if !description.is_empty() {
            String::from_utf16_lossy(&description)
        } else if *self.main.get_or_init(|| cx.thread_id()) == cx.thread_id() {
            "main".to_owned()
        } else {
            format!("T{}", cx.thread_id())
        };
    }

    /// A time since the trace began.
    pub(super) fn since_start(&self, time: u64) -> u64 {
        time.saturating_sub(self.settings.origin)
    }

    /// The calling thread's name.
    pub(super) fn thread_name(&self) -> String {
        let name = |cx: &Cx| {
            THREAD.try_with(|thread| {
                let Ok(mut thread) = thread.try_borrow_mut() else { return String::new() };
                self.name_thread(&mut thread, cx);
                thread.name.clone()
            })
        };
        Cx::with_current(name).and_then(Result::ok).unwrap_or_default()
    }

    fn comes_from(&self, cx: &Cx, frame: &Frame) -> bool {
        let Some(from) = &self.settings.from else { return true };
        let caller = relay::caller(frame.return_address, frame.sp);
        cx.modules().by_address(caller).is_some_and(|m| super::filter::matches(from, &m.name))
    }

    /// Prints the arguments of a call that begins.
    fn arguments(
        &self,
        cx: &Cx,
        frame: &mut Frame,
        callee: &'static Callee,
        plan: &Plan,
        call: &mut Pending,
    ) {
        let annotate: Annotate<'_> = &|def, raw, out| self.handles.annotate(cx, def, raw, out);
        let values = Values { table: self.table, style: self.style(cx), function: &plan.name, annotate };
        let ansi = callee.shim.is_some_and(|s| s.ansi);
        let mut args = Args::new(frame, ansi, plan.method);
        call.words.clear();
        if let Some(function) = &plan.function {
            for passing in &plan.passing {
                call.words.push(fetch(&mut args, *passing));
            }
            for (i, parameter) in function.parameters.iter().enumerate() {
                let out = call.event.args.push(Cow::Borrowed(parameter.name));
                show::before(&values, plan, parameter, i, &call.words, out);
            }
        } else if let Some(shim) = callee.shim {
            (shim.parameters)(&mut |parameter| {
                let out = call.event.args.push(Cow::Borrowed(parameter.name));
                let _ = (parameter.show)(&mut args, out);
                runtime::argument(&values, plan, parameter.name, out, |at, out| {
                    self.handles.stream(cx, at, out)
                });
            });
        } else {
            for i in 0..WORDS {
                let word = args.pointer();
                let out = call.event.args.push(Cow::Owned(format!("word{i}")));
                if callee.guest {
                    self.guest_word(cx, word, out);
                } else {
                    super::value::pointer(out, word);
                }
            }
        }
    }

    /// Prints a word of which nothing is known.
    fn guest_word(&self, cx: &Cx, word: u64, out: &mut String) {
        let readable = |at| cx.memory().permissions(at).is_some_and(|p| p.read);
        super::guest::word(out, word, self.settings.strings, cx.is_64(), readable);
    }

    /// Prints the result and what the function filled.
    fn outcome(&self, cx: &Cx, frame: &Frame, callee: &'static Callee, plan: &Plan, call: &mut Pending) {
        let annotate: Annotate<'_> = &|def, raw, out| self.handles.annotate(cx, def, raw, out);
        let values = Values { table: self.table, style: self.style(cx), function: &plan.name, annotate };
        let wide = cx.is_64();
        let raw = if wide { frame.result } else { frame.result & 0xFFFF_FFFF };
        show::judge(&values, plan, cx, raw, call.last_error, call.errno, &mut call.event);
        if let Some(function) = &plan.function {
            if !call.event.failed {
                self.handles.note(cx, self.table, plan, function, &call.words, raw, &mut call.event);
            }
            let error = match plan.outcome {
                Outcome::ErrorCode | Outcome::Negative => super::value::low32(raw),
                _ => cx.last_error(),
            };
            let failed = call.event.failed;
            for (i, parameter) in function.parameters.iter().enumerate() {
                let filled = !failed || show::is_filled_by_failure(&values, plan, i, error);
                if let Some(out) = call.event.args.value(i).filter(|_| filled) {
                    show::after(&values, plan, parameter, i, &call.words, raw, out);
                }
            }
            let result = &mut call.event.result;
            let returns = plan.returns.unwrap_or(function.returns);
            match self.table.ty(returns) {
                // Handles that stand for the caller itself.
                _ if matches!(function.name, "GetCurrentProcess" | "GetCurrentThread") => {
                    let _ = write!(result, "(HANDLE){}", super::value::low32(raw).cast_signed());
                }
                Type::Typedef(def) if is_handle(def) && call.event.failed && raw == 0 => {
                    result.push_str("NULL")
                }
                Type::Struct(s) => result.push_str(s.name),
                Type::Primitive(transom_sigs::Primitive::F64) => {
                    *result = format!("{:?}", f64::from_bits(frame.result_float));
                }
                _ if call.event.failed && plan.outcome == Outcome::ErrorCode => {}
                _ => {
                    let full = frame.result & 0xFFFF_FFFF | frame.result_high << 32;
                    let size = self.table.layout(returns, wide).size;
                    let value = if !wide && size == 8 { full } else { raw };
                    values.value(result, returns, value, 0);
                }
            }
        } else if let Some(shim) = callee.shim {
            let crt = plan.outcome == Outcome::Errno;
            show::by_shape(&mut call.event.result, shim.returns, crt, frame, raw, &values);
            if raw != 0 && (plan.name.contains("fopen") || plan.name.contains("iob_func")) {
                self.handles.opened_stream(cx, raw, &mut call.event);
            }
        } else if callee.guest {
            self.guest_word(cx, raw, &mut call.event.result);
        }
    }
}

impl Tracer for Recorder {
    fn wants(&self, dll: &str, name: &str) -> bool {
        self.settings.filter.passes(dll, name)
    }

    fn wants_modules(&self) -> bool {
        self.settings.modules
    }

    fn before(&self, cx: &Cx, frame: &mut Frame, callee: &'static Callee) -> u64 {
        self.finish_step(None);
        if !self.comes_from(cx, frame) {
            return 0;
        }
        let start = now();
        let plan = self.plan(callee, cx);
        // NT_TIB.StackBase: fibers have stacks of their own.
        let stack_base = if cx.is_64() {
            mem::read::<u64>(cx.teb().addr + 8).unwrap_or(0)
        } else {
            mem::read::<u32>(cx.teb().addr + 4).unwrap_or(0).into()
        };
        let serial = self.serial.fetch_add(1, Ordering::Relaxed);
        let begin = |thread: &RefCell<Thread>| {
            let Ok(mut thread) = thread.try_borrow_mut() else { return 0 };
            let thread = &mut *thread;
            self.name_thread(thread, cx);
            let sp = frame.sp;
            // A function of the program's own that ended with a jump to this one is still under way.
            let above = if relay::is_leave(frame.return_address) { sp - 1 } else { sp };
            self.abandon(thread, 0, |c| c.stack_base == stack_base && c.sp <= above);
            self.announce(thread);
            let mut call = thread.spare.pop().unwrap_or_default();
            call.serial = serial;
            (call.sp, call.stack_base, call.inner, call.announced) = (sp, stack_base, 0, false);
            (call.last_error, call.errno) = (cx.last_error(), cx.errno());
            let event = &mut call.event;
            event.args.clear();
            event.start = start.saturating_sub(self.settings.origin);
            event.process = std::process::id();
            event.thread = cx.thread_id();
            event.depth = u32::try_from(thread.calls.len()).unwrap_or(0);
            let there = callee.shim.is_some() || callee.guest;
            event.end = if there { End::Returned } else { End::Missing };
            event.failed = !there;
            event.thread_name.clone_from(&thread.name);
            event.dll.clone_from(&plan.dll);
            event.name.clone_from(&plan.name);
            for text in [&mut event.result, &mut event.error, &mut event.file] {
                text.clear();
            }
            event.opened.clear();
            event.closed = None;
            event.stack.clear();
            if self.settings.stack {
                show::stack(cx, &mut event.stack);
            }
            self.arguments(cx, frame, callee, plan, &mut call);
            if plan.closes {
                call.event.closed = call.words.first().copied();
            }
            thread.calls.push(call);
            serial
        };
        THREAD.try_with(begin).unwrap_or(0)
    }

    fn after(&self, cx: &Cx, frame: &mut Frame, callee: &'static Callee, token: u64) {
        if token == 0 {
            return;
        }
        let plan = self.plan(callee, cx);
        let finish = |thread: &RefCell<Thread>| {
            let Ok(mut thread) = thread.try_borrow_mut() else { return };
            let thread = &mut *thread;
            let Some(at) = thread.calls.iter().rposition(|c| c.serial == token) else { return };
            let (stack_base, sp) = (thread.calls[at].stack_base, thread.calls[at].sp);
            self.abandon(thread, at + 1, |c| c.stack_base == stack_base && c.sp <= sp);
            let mut call = thread.calls.remove(at);
            self.outcome(cx, frame, callee, plan, &mut call);
            if plan.renames {
                self.names.fetch_add(1, Ordering::Relaxed);
            }
            if let Some(handle) = call.event.closed {
                if call.event.failed {
                    call.event.closed = None;
                } else {
                    self.handles.forget(handle);
                }
            }
            self.close(thread, call);
        };
        let _ = THREAD.try_with(finish);
    }

    fn unwatched(&self, _cx: &Cx, _frame: &mut Frame, _callee: &'static Callee, token: u64) {
        let finish = |thread: &RefCell<Thread>| {
            let Ok(mut thread) = thread.try_borrow_mut() else { return };
            let Some(at) = thread.calls.iter().rposition(|c| c.serial == token) else { return };
            let mut call = thread.calls.remove(at);
            call.event.result.push_str("(not watched)");
            self.close(&mut thread, call);
        };
        let _ = THREAD.try_with(finish);
    }

    fn observer(&self) -> Option<&dyn Observer> {
        let wanted = self.settings.instructions.is_some() || self.settings.memory.is_some();
        wanted.then_some(self as &dyn Observer)
    }

    fn end(&self, _code: u32) {
        self.finish_step(None);
        let _ = THREAD.try_with(|thread| {
            if let Ok(mut thread) = thread.try_borrow_mut() {
                self.abandon(&mut thread, 0, |_| true);
            }
        });
    }
}
