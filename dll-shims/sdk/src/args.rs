//! Fetching arguments: the only place above `cpu` that knows how each machine passes them.

use core::fmt;

use transom_cpu::frame::Frame;
use transom_cpu::machine::Machine;
use transom_cpu::mem::{self, BadAddress};

use crate::cx::Cx;
use crate::data::GuestData;
use crate::pointer::{Func, Handle, In, Out, Ptr};

/// A cursor over the arguments of one call.
#[derive(Debug)]
pub struct Args<'a> {
    frame: &'a mut Frame,
    /// Next integer register (or, on x86-64, argument position).
    int: usize,
    /// Next floating-point register (ARM64).
    float: usize,
    /// Bytes of stack arguments consumed (x86, ARM64).
    stack: u64,
    ansi: bool,
    /// The next argument is `this` of an x86 method.
    this_next: bool,
    fault: Option<BadAddress>,
}

impl<'a> Args<'a> {
    /// Starts at the first argument, which of a C++ method is `this`.
    #[inline]
    #[must_use]
    pub fn new(frame: &'a mut Frame, ansi: bool, method: bool) -> Self {
        let this_next = method && frame.machine == Machine::I386;
        Self { frame, int: 0, float: 0, stack: 0, ansi, this_next, fault: None }
    }

    /// Whether the caller called the A form.
    #[must_use]
    pub fn ansi(&self) -> bool {
        self.ansi
    }

    /// The calling code's machine.
    #[must_use]
    pub fn machine(&self) -> Machine {
        self.frame.machine
    }

    #[inline]
    fn load<T: mem::Plain + Default>(&mut self, at: u64) -> T {
        mem::read(at).unwrap_or_else(|bad| {
            self.fault = Some(bad);
            T::default()
        })
    }

    /// The next integer or pointer argument of at most 32 bits.
    #[inline]
    #[expect(clippy::cast_possible_truncation, reason = "the argument is 32 bits wide")]
    pub fn word32(&mut self) -> u32 {
        if self.frame.machine == Machine::I386 {
            let at = self.frame.stack + self.stack;
            self.stack += 4;
            self.load(at)
        } else {
            self.word64() as u32
        }
    }

    /// The next 64-bit integer argument.
    #[inline]
    pub fn word64(&mut self) -> u64 {
        match self.frame.machine {
            Machine::Amd64 => {
                let i = self.int;
                self.int += 1;
                if i < 4 { self.frame.ints[i] } else { self.load(self.frame.stack + 8 * i as u64) }
            }
            Machine::Arm64 => {
                let i = self.int;
                if i < 8 {
                    self.int += 1;
                    return self.frame.ints[i];
                }
                self.stack_slot()
            }
            Machine::I386 => {
                let at = self.frame.stack + self.stack;
                self.stack += 8;
                self.load(at)
            }
        }
    }

    fn stack_slot(&mut self) -> u64 {
        let at = self.frame.stack + self.stack;
        self.stack += 8;
        self.load(at)
    }

    /// The next pointer-sized argument, zero-extended.
    #[inline]
    pub fn pointer(&mut self) -> u64 {
        if core::mem::take(&mut self.this_next) {
            return self.frame.ints[0];
        }
        if self.frame.machine == Machine::I386 { self.word32().into() } else { self.word64() }
    }

    /// The next pointer-sized argument, sign-extended.
    #[inline]
    pub fn signed(&mut self) -> i64 {
        if self.frame.machine == Machine::I386 {
            self.word32().cast_signed().into()
        } else {
            self.word64().cast_signed()
        }
    }

    /// The bits of the next `double` (or, with `single`, `float`) argument.
    pub fn float_bits(&mut self, single: bool) -> u64 {
        match self.frame.machine {
            Machine::I386 if single => self.word32().into(),
            Machine::I386 => self.word64(),
            Machine::Amd64 if self.int < 4 => {
                let i = self.int;
                self.int += 1;
                self.frame.floats[i]
            }
            Machine::Amd64 => self.word64(),
            Machine::Arm64 if self.float < 8 => {
                let i = self.float;
                self.float += 1;
                self.frame.floats[i]
            }
            Machine::Arm64 => self.stack_slot(),
        }
    }

    /// What comes after the named arguments.
    #[must_use]
    pub fn rest(&self) -> VarArgs {
        let (register, registers) = match self.frame.machine {
            Machine::Amd64 => (self.int, 4),
            Machine::Arm64 => (self.int, 8),
            Machine::I386 => (0, 0),
        };
        let stack = match self.frame.machine {
            Machine::Amd64 => self.frame.stack + 8 * self.int.max(4) as u64,
            Machine::Arm64 | Machine::I386 => self.frame.stack + self.stack,
        };
        VarArgs { machine: self.frame.machine, ints: self.frame.ints, register, registers, stack }
    }

    /// Ends fetching: notes how many bytes the callee removes. False if an argument lay on unreadable stack.
    #[inline]
    #[expect(clippy::cast_possible_truncation, reason = "a few arguments' bytes")]
    pub fn finish(&mut self, pops: bool) -> bool {
        if pops && self.frame.machine == Machine::I386 {
            self.frame.pop = self.stack as u32;
        }
        self.fault.is_none()
    }

    /// Raises the access violation of an argument that could not be read.
    pub fn fault(&self, cx: &Cx) -> ! {
        cx.access_violation(
            self.fault.unwrap_or(BadAddress {
                address: self.frame.stack,
                access: transom_cpu::engine::Access::Read,
            }),
        )
    }
}

/// A type that a parameter of a shim can have.
pub trait Arg: Sized {
    /// How it travels.
    const KIND: Kind;

    /// Takes the next argument.
    fn fetch(args: &mut Args<'_>) -> Self;

    /// Takes the next argument and prints it for a trace.
    ///
    /// # Errors
    /// Only if the writer fails.
    fn show(args: &mut Args<'_>, out: &mut dyn fmt::Write) -> fmt::Result;
}

/// How an argument travels, and which text it points at: what a caller and a function must agree on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// An integer of at most 32 bits.
    Word32,
    /// An integer of 64 bits, also for 32-bit guests.
    Word64,
    /// As wide as a pointer.
    Pointer,
    /// A `float`.
    Single,
    /// A `double`.
    Double,
    /// A pointer to text: UTF-16, except in the A form of a function that has both.
    Wide,
    /// A pointer to text in bytes.
    Narrow,
    /// A structure by value, a variable number of arguments: nothing to compare.
    Other,
}

impl Kind {
    /// Whether a function with this kind of parameter can take what is passed for the other: text may be taken as a mere pointer.
    #[must_use]
    pub fn agrees(self, other: Self) -> bool {
        let is_text = |kind| matches!(kind, Self::Wide | Self::Narrow);
        match (self, other) {
            (Self::Other, _) | (_, Self::Other) => true,
            (a, Self::Pointer) if is_text(a) => true,
            (Self::Pointer, b) if is_text(b) => true,
            (a, b) => a == b,
        }
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Word32 => "a 32-bit value",
            Self::Word64 => "a 64-bit value",
            Self::Pointer => "a pointer-sized value",
            Self::Single => "a float",
            Self::Double => "a double",
            Self::Wide => "a wide string",
            Self::Narrow => "a narrow string",
            Self::Other => "something else",
        })
    }
}

macro_rules! integers {
    ($($t:ty => $get:ident),*) => {$(
        impl Arg for $t {
            const KIND: Kind = integer_kind(stringify!($get));
            #[inline]
            #[allow(clippy::cast_possible_truncation, clippy::cast_lossless, reason = "the argument has this width")]
            fn fetch(args: &mut Args<'_>) -> Self {
                args.$get() as $t
            }
            fn show(args: &mut Args<'_>, out: &mut dyn fmt::Write) -> fmt::Result {
                let value = Self::fetch(args);
                // Sizes and counts read better in decimal, bit patterns in hex.
                let wide = value as i128;
                if (-0x1_0000..0x10_0000).contains(&wide) { write!(out, "{value}") } else { write!(out, "{value:#x}") }
            }
        }
    )*};
}
/// The kind that a method of [`Args`] fetches.
const fn integer_kind(getter: &str) -> Kind {
    match getter.as_bytes() {
        b"word32" => Kind::Word32,
        b"word64" => Kind::Word64,
        _ => Kind::Pointer,
    }
}

integers!(u8 => word32, i8 => word32, u16 => word32, i16 => word32, u32 => word32, i32 => word32,
          u64 => word64, i64 => word64, usize => pointer, isize => signed);

/// A structure or object passed by value, which each machine does in its own way.
#[derive(Debug, Clone, Copy)]
pub struct ByValue<T>(pub T);

impl<T: GuestData> Arg for ByValue<T> {
    const KIND: Kind = Kind::Other;
    fn fetch(args: &mut Args<'_>) -> Self {
        let wide = args.machine().is_64();
        let size = T::SIZE[usize::from(wide)];
        let registers = [0; 2];
        let (at, words) = match args.machine() {
            Machine::I386 => {
                let at = args.frame.stack + args.stack;
                args.stack += size.next_multiple_of(4) as u64;
                (at, registers)
            }
            Machine::Amd64 if matches!(size, 1 | 2 | 4 | 8) => (0, [args.word64(), 0]),
            Machine::Arm64 if size <= 8 => (0, [args.word64(), 0]),
            Machine::Arm64 if size <= 16 => {
                // Never split between registers and stack.
                if args.int == 7 {
                    args.int = 8;
                }
                (0, [args.word64(), args.word64()])
            }
            Machine::Amd64 | Machine::Arm64 => (args.pointer(), registers),
        };
        let at = if at == 0 { words.as_ptr() as u64 } else { at };
        match T::load(at, wide) {
            Ok(value) => Self(value),
            Err(bad) => {
                args.fault = Some(bad);
                // The call is not made: any value of the type will do, and zeros are one.
                let zeros = [0u64; 8];
                T::load(zeros.as_ptr() as u64, wide).map_or_else(|_| unreachable!("host memory"), Self)
            }
        }
    }
    fn show(args: &mut Args<'_>, out: &mut dyn fmt::Write) -> fmt::Result {
        let _ = Self::fetch(args);
        out.write_str("{...}")
    }
}

/// A large object (of more than 16 bytes) passed by value, where it lies: it is the callee's, which ends its life.
#[derive(Debug, Clone, Copy)]
pub struct InPlace<T>(pub Ptr<T>);

impl<T: GuestData> Arg for InPlace<T> {
    const KIND: Kind = Kind::Other;
    fn fetch(args: &mut Args<'_>) -> Self {
        if args.machine() != Machine::I386 {
            return Self(Ptr::new(args.pointer()));
        }
        let at = args.frame.stack + args.stack;
        args.stack += T::SIZE[0].next_multiple_of(4) as u64;
        Self(Ptr::new(at))
    }
    fn show(args: &mut Args<'_>, out: &mut dyn fmt::Write) -> fmt::Result {
        write!(out, "{{at {:#x}}}", Self::fetch(args).0.addr())
    }
}

/// Where a 16-byte structure result goes: a hidden first argument, where the machine's convention has one.
#[derive(Debug, Clone, Copy)]
pub struct Hidden(Option<u64>);

impl Hidden {
    /// The address that the caller gave, if the structure goes to memory.
    #[must_use]
    pub fn address(self) -> Option<u64> {
        self.0
    }
}

impl Arg for Hidden {
    const KIND: Kind = Kind::Other;
    fn fetch(args: &mut Args<'_>) -> Self {
        // ARM64 returns structures of up to 16 bytes in registers.
        Self((args.machine() != Machine::Arm64).then(|| args.pointer()))
    }
    fn show(args: &mut Args<'_>, out: &mut dyn fmt::Write) -> fmt::Result {
        match Self::fetch(args).0 {
            Some(at) => write!(out, "{at:#x}"),
            None => Ok(()),
        }
    }
}

impl Arg for bool {
    const KIND: Kind = Kind::Word32;
    fn fetch(args: &mut Args<'_>) -> Self {
        args.word32() != 0
    }
    fn show(args: &mut Args<'_>, out: &mut dyn fmt::Write) -> fmt::Result {
        out.write_str(if Self::fetch(args) { "TRUE" } else { "FALSE" })
    }
}

impl Arg for f64 {
    const KIND: Kind = Kind::Double;
    fn fetch(args: &mut Args<'_>) -> Self {
        Self::from_bits(args.float_bits(false))
    }
    fn show(args: &mut Args<'_>, out: &mut dyn fmt::Write) -> fmt::Result {
        write!(out, "{:?}", Self::fetch(args))
    }
}

impl Arg for f32 {
    const KIND: Kind = Kind::Single;
    #[expect(clippy::cast_possible_truncation, reason = "the argument is 32 bits wide")]
    fn fetch(args: &mut Args<'_>) -> Self {
        Self::from_bits(args.float_bits(true) as u32)
    }
    fn show(args: &mut Args<'_>, out: &mut dyn fmt::Write) -> fmt::Result {
        write!(out, "{:?}", Self::fetch(args))
    }
}

impl Arg for Handle {
    const KIND: Kind = Kind::Pointer;
    #[inline]
    fn fetch(args: &mut Args<'_>) -> Self {
        Self(args.signed())
    }
    fn show(args: &mut Args<'_>, out: &mut dyn fmt::Write) -> fmt::Result {
        write!(out, "{:?}", Self::fetch(args))
    }
}

fn show_pointer(args: &mut Args<'_>, out: &mut dyn fmt::Write) -> fmt::Result {
    match args.pointer() {
        0 => out.write_str("NULL"),
        p => write!(out, "{p:#x}"),
    }
}

impl Arg for Func {
    const KIND: Kind = Kind::Pointer;
    fn fetch(args: &mut Args<'_>) -> Self {
        Self(args.pointer())
    }
    fn show(args: &mut Args<'_>, out: &mut dyn fmt::Write) -> fmt::Result {
        match args.pointer() {
            0 => out.write_str("NULL"),
            p => match Cx::with_current(|cx| cx.modules().describe(p)) {
                Some(place) => out.write_str(&place),
                None => write!(out, "{p:#x}"),
            },
        }
    }
}

macro_rules! pointers {
    ($($t:ident => $make:expr),*) => {$(
        impl<T> Arg for $t<T> {
            const KIND: Kind = Kind::Pointer;
            #[inline]
            fn fetch(args: &mut Args<'_>) -> Self {
                $make(Ptr::new(args.pointer()))
            }
            fn show(args: &mut Args<'_>, out: &mut dyn fmt::Write) -> fmt::Result {
                show_pointer(args, out)
            }
        }
        impl<T> Arg for Option<$t<T>> {
            const KIND: Kind = Kind::Pointer;
            #[inline]
            fn fetch(args: &mut Args<'_>) -> Self {
                let ptr = Ptr::new(args.pointer());
                if ptr.is_null() { None } else { Some($make(ptr)) }
            }
            fn show(args: &mut Args<'_>, out: &mut dyn fmt::Write) -> fmt::Result {
                show_pointer(args, out)
            }
        }
    )*};
}
pointers!(Ptr => core::convert::identity, In => In::new, Out => Out::new);

/// The variable arguments of a call (`...`), or of a `va_list`: a cursor.
#[derive(Debug, Clone, Copy)]
pub struct VarArgs {
    machine: Machine,
    ints: [u64; 8],
    register: usize,
    registers: usize,
    stack: u64,
}

impl VarArgs {
    /// A 64-bit integer.
    ///
    /// # Errors
    /// If the argument's memory cannot be read.
    pub fn int64(&mut self) -> Result<u64, BadAddress> {
        if self.register < self.registers {
            self.register += 1;
            return Ok(self.ints[self.register - 1]);
        }
        let value = mem::read(self.stack)?;
        self.stack += 8;
        Ok(value)
    }

    /// An integer of 32 bits or fewer.
    ///
    /// # Errors
    /// If the argument's memory cannot be read.
    #[expect(clippy::cast_possible_truncation, reason = "the argument is 32 bits wide")]
    pub fn int32(&mut self) -> Result<u32, BadAddress> {
        if self.machine != Machine::I386 {
            return self.int64().map(|v| v as u32);
        }
        let value = mem::read(self.stack)?;
        self.stack += 4;
        Ok(value)
    }

    /// A pointer or pointer-sized integer.
    ///
    /// # Errors
    /// If the argument's memory cannot be read.
    pub fn pointer(&mut self) -> Result<u64, BadAddress> {
        if self.machine == Machine::I386 { self.int32().map(u64::from) } else { self.int64() }
    }

    /// A `double`. Variable arguments never travel in floating-point registers alone.
    ///
    /// # Errors
    /// If the argument's memory cannot be read.
    pub fn double(&mut self) -> Result<f64, BadAddress> {
        self.int64().map(f64::from_bits)
    }
}

impl Arg for VarArgs {
    const KIND: Kind = Kind::Other;
    fn fetch(args: &mut Args<'_>) -> Self {
        args.rest()
    }
    fn show(_: &mut Args<'_>, out: &mut dyn fmt::Write) -> fmt::Result {
        out.write_str("...")
    }
}

/// A `va_list` argument. [`VaList::args`] gives the cursor.
#[derive(Debug, Clone, Copy)]
pub struct VaList {
    machine: Machine,
    addr: u64,
}

impl VaList {
    /// The arguments that the list holds. On every machine a Windows `va_list` points at consecutive stack slots.
    #[must_use]
    pub fn args(self) -> VarArgs {
        VarArgs { machine: self.machine, ints: [0; 8], register: 0, registers: 0, stack: self.addr }
    }
}

impl Arg for VaList {
    const KIND: Kind = Kind::Pointer;
    fn fetch(args: &mut Args<'_>) -> Self {
        Self { machine: args.machine(), addr: args.pointer() }
    }
    fn show(args: &mut Args<'_>, out: &mut dyn fmt::Write) -> fmt::Result {
        show_pointer(args, out)
    }
}
