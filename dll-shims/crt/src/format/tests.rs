//! The engine against the host's `snprintf` where the two agree, and Microsoft's own rules.

use super::*;
use proptest::prelude::*;
use transom_sdk::codepage::CodePage;

/// Arguments from a list; strings are the index of a string plus one.
struct Args {
    values: Vec<u64>,
    next: usize,
    narrow: Vec<Vec<u8>>,
    wide: Vec<Vec<u16>>,
    stored: Option<(u8, u64)>,
}

impl Args {
    fn new(values: &[u64]) -> Self {
        Self { values: values.to_vec(), next: 0, narrow: vec![], wide: vec![], stored: None }
    }
}

impl ArgSource for Args {
    fn int32(&mut self) -> Result<u32> {
        self.int64().map(|v| u32::try_from(v & 0xFFFF_FFFF).unwrap_or(0))
    }

    fn int64(&mut self) -> Result<u64> {
        self.next += 1;
        self.values.get(self.next - 1).copied().ok_or(Error::Fault)
    }

    fn pointer(&mut self) -> Result<u64> {
        self.int64()
    }

    fn double(&mut self) -> Result<f64> {
        self.int64().map(f64::from_bits)
    }

    fn narrow(&mut self, at: u64, to: &mut [u8]) -> Result<usize> {
        let (index, offset) =
            (usize::try_from(at >> 32).unwrap(), usize::try_from(at & 0xFFFF_FFFF).unwrap());
        let s = &self.narrow.get(index.wrapping_sub(1)).ok_or(Error::Fault)?[offset..];
        let n = s.len().min(to.len());
        to[..n].copy_from_slice(&s[..n]);
        Ok(n)
    }

    fn wide(&mut self, at: u64, to: &mut [u16]) -> Result<usize> {
        let (index, offset) =
            (usize::try_from(at >> 32).unwrap(), usize::try_from(at & 0xFFFF_FFFF).unwrap());
        let s = &self.wide.get(index.wrapping_sub(1)).ok_or(Error::Fault)?[offset / 2..];
        let n = s.len().min(to.len());
        to[..n].copy_from_slice(&s[..n]);
        Ok(n)
    }

    fn counted(&mut self, at: u64) -> Result<(u16, u64)> {
        Ok((4, at))
    }

    fn store(&mut self, _at: u64, size: u8, count: u64) -> Result<()> {
        self.stored = Some((size, count));
        Ok(())
    }
}

const FIRST: u64 = 1 << 32;

fn ucrt() -> Options {
    Options::ucrt(4 | 32, 8, Charset::C)
}

fn narrow(options: &Options, f: &str, mut args: Args) -> Result<String> {
    let mut out = Vec::new();
    let n = format(f.as_bytes(), &mut args, &mut out, options)?;
    assert_eq!(usize::try_from(n).unwrap(), out.len());
    // The same text must come from the wide functions, for formats without strings.
    if args.narrow.is_empty() && args.wide.is_empty() && args.stored.is_none() {
        let wide: Vec<u16> = f.encode_utf16().collect();
        let mut wide_out: Vec<u16> = Vec::new();
        format(&wide, &mut Args::new(&args.values), &mut wide_out, options)?;
        assert_eq!(String::from_utf16(&wide_out).unwrap().into_bytes(), out);
    }
    Ok(String::from_utf8(out).unwrap())
}

fn numbers(options: &Options, f: &str, values: &[u64]) -> String {
    narrow(options, f, Args::new(values)).unwrap()
}

fn double(options: &Options, f: &str, value: f64) -> String {
    numbers(options, f, &[value.to_bits()])
}

fn host(f: &str, call: impl Fn(*mut libc::c_char, usize, *const libc::c_char) -> i32) -> String {
    let f = std::ffi::CString::new(f).unwrap();
    let mut buffer = vec![0u8; 4096];
    let n = call(buffer.as_mut_ptr().cast(), buffer.len(), f.as_ptr());
    buffer.truncate(usize::try_from(n).unwrap());
    String::from_utf8(buffer).unwrap()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]
    #[test]
    fn integers_like_the_host(flags in "[-+ #0]{0,3}", width in "[0-9]{0,2}", precision in "(\\.[0-9]{0,2})?", kind in "[diouxX]", value: i32) {
        let f = format!("<%{flags}{width}{precision}{kind}>");
        // SAFETY: the buffer has the given size and the format takes one int.
        let expected = host(&f, |b, n, f| unsafe { libc::snprintf(b, n, f, value) });
        prop_assert_eq!(numbers(&ucrt(), &f, &[u64::from(value.cast_unsigned())]), expected, "{}", f);
    }

    #[test]
    fn doubles_like_the_host(flags in "[-+ #0]{0,3}", width in "[0-9]{0,2}", precision in "(\\.[0-9]{0,2}|\\.[12][0-9]{2})?", kind in "[eEfFgG]",
        value in prop_oneof![any::<f64>(), -1e6..1e6, (-2000..2000i32).prop_map(|n| f64::from(n) / 16.0), (0..400i32).prop_map(|n| f64::from(n) * 125.0)]) {
        prop_assume!(value.is_finite());
        let f = format!("<%{flags}{width}{precision}{kind}>");
        // SAFETY: the buffer has the given size and the format takes one double.
        let expected = host(&f, |b, n, f| unsafe { libc::snprintf(b, n, f, value) });
        prop_assert_eq!(double(&ucrt(), &f, value), expected, "{}", f);
    }

    #[test]
    fn hexadecimal_doubles_like_the_host(flags in "[-+ #0]{0,3}", width in "[0-9]{0,2}", precision in 0..20usize, kind in "[aA]", value: f64) {
        prop_assume!(value.is_normal());
        let f = format!("<%{flags}{width}.{precision}{kind}>");
        // SAFETY: the buffer has the given size and the format takes one double.
        let expected = host(&f, |b, n, f| unsafe { libc::snprintf(b, n, f, value) });
        prop_assert_eq!(double(&ucrt(), &f, value), expected, "{}", f);
    }

    #[test]
    fn strings_like_the_host(flags in "-?", width in "[0-9]{0,2}", precision in "(\\.[0-9]{0,3})?", s in "[a-z]{0,600}") {
        let f = format!("<%{flags}{width}{precision}s>").replace("%0", "%").replace("%-0", "%-");
        let c = std::ffi::CString::new(s.clone()).unwrap();
        // SAFETY: the buffer has the given size and the format takes one string.
        let expected = host(&f, |b, n, f| unsafe { libc::snprintf(b, n, f, c.as_ptr()) });
        let mut args = Args::new(&[FIRST, FIRST]);
        args.narrow.push(s.clone().into_bytes());
        args.wide.push(s.encode_utf16().collect());
        prop_assert_eq!(narrow(&ucrt(), &f, args), Ok(expected.clone()), "{}", f);
        let mut args = Args::new(&[FIRST]);
        args.wide.push(s.encode_utf16().collect());
        prop_assert_eq!(narrow(&ucrt(), &f.replace('s', "S"), args), Ok(expected), "{}", f);
    }

    #[test]
    fn any_format_is_survived(f in "[%0-9.*$ldIhws#+ -]{0,12}", positional: bool, msvcrt: bool) {
        let options = Options { positional, msvcrt, ..ucrt() };
        let mut args = Args::new(&[3; 20]);
        let result = format(f.as_bytes(), &mut args, &mut Bounded::new(&mut [0; 64]), &options);
        prop_assert!(result.is_ok() || f.contains('%'));
    }
}

#[test]
fn size_prefixes() {
    let o = ucrt();
    let big = 0x1_2345_6789u64;
    assert_eq!(numbers(&o, "%hhd %hd %d %I32d", &[0x1FF, 0x1_FFFF, big, big]), "-1 -1 591751049 591751049");
    assert_eq!(
        numbers(&o, "%I64d %lld %jd %Ix %zx", &[big; 5]),
        "4886718345 4886718345 4886718345 123456789 123456789"
    );
    assert_eq!(numbers(&o, "%lx %p", &[big, big]), "23456789 0000000123456789");
    let narrow_pointers = Options { pointer_size: 4, ..o };
    assert_eq!(numbers(&narrow_pointers, "%p %Iu", &[0xAB, big]), "000000AB 591751049");
    assert_eq!(
        numbers(&o, "%*d|%-*d|%*d|%.*d", &[5, 1, 5, 2, (-4i32).cast_unsigned().into(), 3, 3, 4]),
        "    1|2    |3   |004"
    );
}

#[test]
fn not_finite_numbers() {
    let (o, m) = (ucrt(), Options::msvcrt(8, Charset::C));
    let indefinite = f64::from_bits(0xFFF8_0000_0000_0000);
    assert_eq!(double(&o, "%f", f64::INFINITY), "inf");
    assert_eq!(double(&o, "%08F", f64::NEG_INFINITY), "    -INF");
    assert_eq!(double(&o, "%f", indefinite), "-nan(ind)");
    assert_eq!(double(&o, "%g", f64::from_bits(0x7FF8_0000_0000_0001)), "nan");
    assert_eq!(double(&o, "%E", f64::from_bits(0x7FF0_0000_0000_0001)), "NAN(SNAN)");
    assert_eq!(double(&m, "%f", f64::INFINITY), "1.#INF00");
    assert_eq!(double(&m, "%.2f", f64::INFINITY), "1.#J");
    assert_eq!(double(&m, "%g", f64::NEG_INFINITY), "-1.#INF");
    assert_eq!(double(&m, "%g", indefinite), "-1.#IND");
    assert_eq!(double(&m, "%f", f64::from_bits(0x7FF8_0000_0000_0001)), "1.#QNAN0");
    assert_eq!(double(&m, "%.3e", f64::INFINITY), "1.#IOe+000");
}

#[test]
fn ties_and_exponents_differ_between_the_runtimes() {
    let (o, m) = (ucrt(), Options::msvcrt(8, Charset::C));
    for (f, value, ucrt, msvcrt) in [
        ("%.0f", 2.5, "2", "3"),
        ("%.2f", 0.125, "0.12", "0.13"),
        ("%.1f", 0.35, "0.3", "0.3"),
        ("%.0e", 25.0, "2e+01", "3e+001"),
        ("%.2g", 125.0, "1.2e+02", "1.3e+002"),
        ("%.1e", 99.5, "1.0e+02", "1.0e+002"),
        ("%e", 1e100, "1.000000e+100", "1.000000e+100"),
        ("%a", 1.0, "0x1.0000000000000p+0", "0x1.0000000000000p+0"),
    ] {
        assert_eq!(double(&o, f, value), ucrt, "{f} {value}");
        assert_eq!(double(&m, f, value), msvcrt, "{f} {value}");
    }
    assert_eq!(double(&o, "%.600f", 0.1).len(), 602);
    assert_eq!(double(&o, "%.1500f", 5e-324).len(), 1502);
}

#[test]
fn narrow_and_wide_text() {
    let text = |f: &str, options: &Options| {
        let mut args = Args::new(&[FIRST, FIRST]);
        args.narrow.push(b"nar".to_vec());
        args.wide.push("wid".encode_utf16().collect());
        let f: Vec<u16> = f.encode_utf16().collect();
        let mut out: Vec<u16> = Vec::new();
        format(&f, &mut args, &mut out, options).map(|_| String::from_utf16(&out).unwrap())
    };
    let modern = Options { legacy_wide: false, ..ucrt() };
    assert_eq!(text("%s %S", &ucrt()), Ok("wid nar".into()));
    assert_eq!(text("%s %S", &modern), Ok("nar wid".into()));
    assert_eq!(text("%hs %ls", &ucrt()), Ok("nar wid".into()));
    assert_eq!(text("%.2s %5S", &ucrt()), Ok("wi   nar".into()));
    let mut args = Args::new(&[0, 0]);
    args.narrow.push(vec![]);
    assert_eq!(narrow(&ucrt(), "%s|%.3S", args), Ok("(null)|(nu".into()));
    let euro = |charset| {
        let mut args = Args::new(&[FIRST, 0x20AC]);
        args.wide.push(vec![0x20AC; 3]);
        let mut out = Vec::new();
        format(b"%.4S|%C".as_slice(), &mut args, &mut out, &Options { charset, ..ucrt() }).map(|_| out)
    };
    assert_eq!(euro(Charset::C), Err(Error::IllegalSequence));
    assert_eq!(euro(Charset::Page(CodePage::Utf8)), Ok("€|€".as_bytes().to_vec()));
    assert_eq!(numbers(&ucrt(), "%c%3c%%", &[65, 66]), "A  B%");
}

#[test]
fn ill_formed_formats_and_counts() {
    assert_eq!(narrow(&ucrt(), "%y", Args::new(&[])), Err(Error::Invalid));
    assert_eq!(narrow(&ucrt(), "50%", Args::new(&[])), Err(Error::Invalid));
    let m = Options::msvcrt(4, Charset::C);
    assert_eq!(narrow(&m, "%y", Args::new(&[])), Ok("y".into()));
    assert_eq!(narrow(&ucrt(), "a%n", Args::new(&[1])), Err(Error::Invalid));
    let mut args = Args::new(&[1]);
    format(b"ab%hn".as_slice(), &mut args, &mut Discard, &m).unwrap();
    assert_eq!(args.stored, Some((2, 2)));
}

#[test]
fn positional_parameters() {
    let o = Options { positional: true, ..ucrt() };
    assert_eq!(numbers(&o, "%2$d %1$d %2$x", &[7, 26]), "26 7 1a");
    assert_eq!(numbers(&o, "%1$*2$d", &[7, 3]), "  7");
    assert_eq!(numbers(&o, "%d %d", &[1, 2]), "1 2");
    assert_eq!(narrow(&o, "%1$d %3$d", Args::new(&[1, 2, 3])), Err(Error::Invalid));
    assert_eq!(narrow(&o, "%1$d %d", Args::new(&[1, 2])), Err(Error::Invalid));
}

#[test]
fn full_buffers() {
    let at = |limit, n| {
        let f = finish(limit, n);
        (f.result, f.nul_at, f.range_error)
    };
    assert_eq!(at(Limit::None, Some(9)), (9, Some(9), false));
    assert_eq!(at(Limit::Legacy(5), Some(4)), (4, Some(4), false));
    assert_eq!(at(Limit::Legacy(5), Some(5)), (5, None, false));
    assert_eq!(at(Limit::Legacy(5), Some(6)), (-1, None, false));
    assert_eq!(at(Limit::Standard(5), Some(9)), (9, Some(4), false));
    assert_eq!(at(Limit::Standard(0), Some(9)), (9, None, false));
    assert_eq!(at(Limit::Terminated(5), Some(5)), (-1, Some(4), false));
    assert_eq!(at(Limit::Secure(5), Some(5)), (-1, Some(0), true));
    assert_eq!(at(Limit::Secure(5), Some(4)), (4, Some(4), false));
    assert_eq!(at(Limit::SecureCount { size: 5, count: None }, Some(9)), (-1, Some(4), false));
    assert_eq!(at(Limit::SecureCount { size: 9, count: Some(3) }, Some(5)), (-1, Some(3), false));
    assert_eq!(at(Limit::SecureCount { size: 5, count: Some(7) }, Some(6)), (-1, Some(0), true));
    assert_eq!(at(Limit::Count, Some(6)), (6, None, false));
    assert_eq!(at(Limit::Secure(5), None), (-1, Some(0), false));
    assert_eq!((Limit::Secure(5).capacity(), Limit::Legacy(5).capacity()), (4, 5));
}
