//! The restricted `printf` of Windows itself, which `wsprintf` and `FormatMessage` share: integers, characters, strings
//! and pointers, no floating point. The C runtime's formatter is another one, in the crt crate.

use transom_sdk::{AStr, Acp, BadAddress, VarArgs, WStr, mem};

/// Where arguments come from.
pub(crate) trait Source {
    /// The next argument of at most 32 bits.
    fn int32(&mut self) -> Result<u32, BadAddress>;
    /// The next 64-bit argument.
    fn int64(&mut self) -> Result<u64, BadAddress>;
    /// The next pointer-sized argument.
    fn pointer(&mut self) -> Result<u64, BadAddress>;
}

impl Source for VarArgs {
    fn int32(&mut self) -> Result<u32, BadAddress> {
        Self::int32(self)
    }
    fn int64(&mut self) -> Result<u64, BadAddress> {
        Self::int64(self)
    }
    fn pointer(&mut self) -> Result<u64, BadAddress> {
        Self::pointer(self)
    }
}

/// Arguments in consecutive pointer-sized slots, read from any of them on.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Slots {
    /// Address of the next slot.
    pub(crate) at: u64,
    /// Whether slots have 8 bytes.
    pub(crate) wide: bool,
}

impl Slots {
    fn step(&mut self, bytes: u64) -> u64 {
        let at = self.at;
        self.at = at.wrapping_add(if self.wide { 8 } else { bytes });
        at
    }
}

impl Source for Slots {
    fn int32(&mut self) -> Result<u32, BadAddress> {
        mem::read(self.step(4))
    }
    fn int64(&mut self) -> Result<u64, BadAddress> {
        mem::read(self.step(8))
    }
    fn pointer(&mut self) -> Result<u64, BadAddress> {
        if self.wide { self.int64() } else { self.int32().map(u64::from) }
    }
}

/// How an argument's size was given.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Size {
    Default,
    Short,
    Long,
    Int64,
    Pointer,
}

/// A conversion: what stands after the percent sign.
struct Spec {
    left: bool,
    zero: bool,
    prefix: bool,
    plus: bool,
    space: bool,
    width: usize,
    precision: Option<usize>,
    size: Size,
    conversion: u8,
}

/// Longest width or precision that is honoured, as texts are bounded anyway.
const WIDEST: usize = 0x1_0000;

struct Cursor<'a> {
    text: &'a [u16],
    at: usize,
}

impl Cursor<'_> {
    fn peek(&self) -> Option<u8> {
        self.text.get(self.at).and_then(|&c| u8::try_from(c).ok())
    }

    fn take(&mut self, wanted: u8) -> bool {
        let is = self.peek() == Some(wanted);
        self.at += usize::from(is);
        is
    }

    fn number(&mut self, source: &mut dyn Source) -> Result<usize, BadAddress> {
        if self.take(b'*') {
            return Ok((source.int32()? as usize).min(WIDEST));
        }
        let mut n = 0usize;
        while let Some(digit @ b'0'..=b'9') = self.peek() {
            n = (n * 10 + usize::from(digit - b'0')).min(WIDEST);
            self.at += 1;
        }
        Ok(n)
    }

    fn size(&mut self) -> Size {
        if self.take(b'l') {
            return if self.take(b'l') { Size::Int64 } else { Size::Long };
        }
        if self.take(b'w') {
            return Size::Long;
        }
        if self.take(b'h') {
            return Size::Short;
        }
        if !self.take(b'I') {
            return Size::Default;
        }
        let rest = self.text.get(self.at..self.at + 2);
        let is = |digits: &str| rest.is_some_and(|r| r.iter().copied().eq(digits.encode_utf16()));
        let (size, skip) = match (is("64"), is("32")) {
            (true, _) => (Size::Int64, 2),
            (_, true) => (Size::Default, 2),
            _ => (Size::Pointer, 0),
        };
        self.at += skip;
        size
    }

    fn spec(&mut self, source: &mut dyn Source) -> Result<Spec, BadAddress> {
        let mut spec = Spec {
            left: false,
            zero: false,
            prefix: false,
            plus: false,
            space: false,
            width: 0,
            precision: None,
            size: Size::Default,
            conversion: 0,
        };
        loop {
            match self.peek() {
                Some(b'-') => spec.left = true,
                Some(b'0') => spec.zero = true,
                Some(b'#') => spec.prefix = true,
                Some(b'+') => spec.plus = true,
                Some(b' ') => spec.space = true,
                _ => break,
            }
            self.at += 1;
        }
        spec.width = self.number(source)?;
        if self.take(b'.') {
            spec.precision = Some(self.number(source)?);
        }
        spec.size = self.size();
        spec.conversion = self.peek().unwrap_or(0);
        self.at += usize::from(spec.conversion != 0);
        Ok(spec)
    }
}

fn units(text: &str) -> Vec<u16> {
    text.encode_utf16().collect()
}

/// A number's digits with prefix, sign and precision.
fn number(spec: &Spec, magnitude: u64, negative: bool) -> Vec<u16> {
    let mut digits = match spec.conversion {
        b'x' => format!("{magnitude:x}"),
        b'X' => format!("{magnitude:X}"),
        b'o' => format!("{magnitude:o}"),
        _ => magnitude.to_string(),
    };
    let sign = match (negative, spec.plus, spec.space, spec.conversion) {
        (true, ..) => "-",
        (_, true, _, b'd' | b'i') => "+",
        (_, _, true, b'd' | b'i') => " ",
        _ => match (spec.prefix, spec.conversion) {
            (true, b'x') => "0x",
            (true, b'X') => "0X",
            _ => "",
        },
    };
    let least = match spec.precision {
        Some(precision) => precision,
        None if spec.zero && !spec.left => spec.width.saturating_sub(sign.len()),
        None => 0,
    };
    if digits.len() < least {
        digits.insert_str(0, &"0".repeat(least - digits.len()));
    }
    units(&format!("{sign}{digits}"))
}

fn integer(spec: &Spec, source: &mut dyn Source) -> Result<Vec<u16>, BadAddress> {
    let signed = matches!(spec.conversion, b'd' | b'i');
    let value = match spec.size {
        Size::Int64 => source.int64()?,
        Size::Pointer => source.pointer()?,
        Size::Default | Size::Long | Size::Short => {
            let value = source.int32()?;
            match (spec.size, signed) {
                #[expect(clippy::cast_possible_truncation, reason = "a short was asked for")]
                (Size::Short, true) => i64::from(value as i16).cast_unsigned(),
                (Size::Short, false) => (value & 0xFFFF).into(),
                (_, true) => i64::from(value.cast_signed()).cast_unsigned(),
                (_, false) => value.into(),
            }
        }
    };
    let negative = signed && value.cast_signed() < 0;
    Ok(number(spec, if negative { value.cast_signed().unsigned_abs() } else { value }, negative))
}

/// Whether a string or character argument is UTF-16: `%s` is of the function's own kind, `%S` of the other.
fn is_wide(spec: &Spec, ansi: bool) -> bool {
    match spec.size {
        Size::Long => true,
        Size::Short => false,
        _ => spec.conversion.is_ascii_lowercase() != ansi,
    }
}

fn string(spec: &Spec, at: u64, ansi: bool) -> Result<Vec<u16>, BadAddress> {
    if at == 0 {
        return Ok(units("(null)"));
    }
    // A precision also bounds what is read: the text need not have a terminator then.
    if let Some(most) = spec.precision {
        if is_wide(spec, ansi) {
            let len = mem::strlen16(at, most)?;
            return mem::read_vec(at, len);
        }
        let len = mem::strlen8(at, most)?;
        return mem::copy_in_vec(at, len).map(|b| Acp::decode(&b));
    }
    if is_wide(spec, ansi) { WStr::new(at).get() } else { AStr::new(at).to_wide() }
}

fn convert(spec: &Spec, source: &mut dyn Source, ansi: bool, wide: bool) -> Result<Vec<u16>, BadAddress> {
    match spec.conversion {
        b'd' | b'i' | b'u' | b'x' | b'X' | b'o' => integer(spec, source),
        b'c' | b'C' => {
            #[expect(clippy::cast_possible_truncation, reason = "a character")]
            let unit = source.int32()? as u16;
            let unit = if is_wide(spec, ansi) { unit } else { unit & 0xFF };
            Ok(vec![unit])
        }
        b's' | b'S' => {
            let at = source.pointer()?;
            string(spec, at, ansi)
        }
        b'p' => {
            let value = source.pointer()?;
            Ok(units(&if wide { format!("{value:016X}") } else { format!("{value:08X}") }))
        }
        0 => Ok(Vec::new()),
        // What is not a conversion stands for itself.
        other => Ok(vec![other.into()]),
    }
}

fn padded(spec: &Spec, mut text: Vec<u16>) -> Vec<u16> {
    if text.len() < spec.width {
        let fill = if spec.zero && !spec.left { b'0' } else { b' ' };
        let padding = vec![u16::from(fill); spec.width - text.len()];
        let at = if spec.left { text.len() } else { 0 };
        text.splice(at..at, padding);
    }
    text
}

/// One conversion, given as the text after the percent sign (`-8.3lu`).
///
/// # Errors
/// If an argument or a string cannot be read.
pub(crate) fn one(
    spec: &[u16],
    source: &mut dyn Source,
    ansi: bool,
    wide: bool,
) -> Result<Vec<u16>, BadAddress> {
    let spec = Cursor { text: spec, at: 0 }.spec(source)?;
    let text = convert(&spec, source, ansi, wide)?;
    Ok(padded(&spec, text))
}

/// A whole format. `ansi` says which kind of text `%s` is, `wide` how many digits `%p` has.
///
/// # Errors
/// If an argument or a string cannot be read.
pub(crate) fn all(
    format: &[u16],
    source: &mut dyn Source,
    ansi: bool,
    wide: bool,
) -> Result<Vec<u16>, BadAddress> {
    let mut out = Vec::new();
    let mut cursor = Cursor { text: format, at: 0 };
    while let Some(&unit) = format.get(cursor.at) {
        cursor.at += 1;
        if unit != u16::from(b'%') {
            out.push(unit);
            continue;
        }
        let spec = cursor.spec(source)?;
        let text = convert(&spec, source, ansi, wide)?;
        out.extend(padded(&spec, text));
    }
    Ok(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    struct List(Vec<u64>);

    impl Source for List {
        fn int32(&mut self) -> Result<u32, BadAddress> {
            self.int64().map(|v| u32::try_from(v & 0xFFFF_FFFF).unwrap_or(0))
        }
        fn int64(&mut self) -> Result<u64, BadAddress> {
            Ok(self.0.remove(0))
        }
        fn pointer(&mut self) -> Result<u64, BadAddress> {
            self.int64()
        }
    }

    fn check(format: &str, arguments: &[u64], expected: &str) {
        let mut list = List(arguments.to_vec());
        let text = all(&units(format), &mut list, false, true).unwrap();
        assert_eq!(String::from_utf16(&text).unwrap(), expected, "{format}");
    }

    #[test]
    fn numbers_and_characters() {
        check("%d%%|%5d|%-5d|%05d", &[7, 8, 9, 0xFFFF_FFFF], "7%|    8|9    |-0001");
        check(
            "%#x %#X %lu %I64d %hd",
            &[255, 255, 0xFFFF_FFFF, u64::MAX, 0x1_8000],
            "0xff 0XFF 4294967295 -1 -32768",
        );
        check("%.3d|%6.3x|%*u", &[5, 10, 4, 3], "005|   00a|   3");
        check("%c%3c%p", &[65, 66, 0x1234], "A  B0000000000001234");
        check("100%", &[], "100");
        check("%s|%8s", &[0, 0], "(null)|  (null)");
    }

    #[test]
    fn strings_of_both_kinds() {
        let wide = [u16::from(b'h'), u16::from(b'i'), 0];
        let narrow = b"there\0";
        let (w, n) = (wide.as_ptr() as u64, narrow.as_ptr() as u64);
        check("%s %S %hs %ls %.2hs", &[w, n, n, w, n], "hi there there hi th");
    }
}
