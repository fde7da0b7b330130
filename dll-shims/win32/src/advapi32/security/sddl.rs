//! Security descriptors as text: the security descriptor definition language. Source: "Security Descriptor String Format", "ACE
//! Strings", "SID Strings".
//!
//! Entries for the objects of a directory service (with GUIDs) and conditional ones are refused, as are SIDs of a domain.

use transom_sdk::{Cx, Out, Ptr, WStr, Win32, WinError, foundation as f, mem, shim};
use transom_syscalls::security::Sid;
use windows_sys::Win32::Security as s;
use windows_sys::Win32::Storage::FileSystem as fs;
use windows_sys::Win32::System::Registry as reg;
use windows_sys::Win32::System::SystemServices as sys;

use super::{acl, descriptor};

/// Abbreviations of SIDs: authority and the numbers after it.
const SIDS: [(&str, u64, &[u32]); 33] = [
    ("WD", 1, &[0]),
    ("CO", 3, &[0]),
    ("CG", 3, &[1]),
    ("OW", 3, &[4]),
    ("NU", 5, &[2]),
    ("IU", 5, &[4]),
    ("SU", 5, &[6]),
    ("AN", 5, &[7]),
    ("ED", 5, &[9]),
    ("PS", 5, &[10]),
    ("AU", 5, &[11]),
    ("RC", 5, &[12]),
    ("SY", 5, &[18]),
    ("LS", 5, &[19]),
    ("NS", 5, &[20]),
    ("WR", 5, &[33]),
    ("BA", 5, &[32, 544]),
    ("BU", 5, &[32, 545]),
    ("BG", 5, &[32, 546]),
    ("PU", 5, &[32, 547]),
    ("AO", 5, &[32, 548]),
    ("SO", 5, &[32, 549]),
    ("PO", 5, &[32, 550]),
    ("BO", 5, &[32, 551]),
    ("RE", 5, &[32, 552]),
    ("RD", 5, &[32, 555]),
    ("NO", 5, &[32, 556]),
    ("AC", 15, &[2, 1]),
    ("LW", 16, &[0x1000]),
    ("ME", 16, &[0x2000]),
    ("MP", 16, &[0x2100]),
    ("HI", 16, &[0x3000]),
    ("SI", 16, &[0x4000]),
];

/// Abbreviations of rights. Whole sets come before what they are made of, for writing.
const RIGHTS: [(&str, u32); 28] = [
    ("FA", fs::FILE_ALL_ACCESS),
    ("FR", fs::FILE_GENERIC_READ),
    ("FW", fs::FILE_GENERIC_WRITE),
    ("FX", fs::FILE_GENERIC_EXECUTE),
    ("KA", reg::KEY_ALL_ACCESS),
    ("KR", reg::KEY_READ),
    ("KW", reg::KEY_WRITE),
    ("KX", reg::KEY_EXECUTE),
    ("GA", f::GENERIC_ALL),
    ("GR", f::GENERIC_READ),
    ("GW", f::GENERIC_WRITE),
    ("GX", f::GENERIC_EXECUTE),
    ("CC", 1),
    ("DC", 1 << 1),
    ("LC", 1 << 2),
    ("SW", 1 << 3),
    ("RP", 1 << 4),
    ("WP", 1 << 5),
    ("DT", 1 << 6),
    ("LO", 1 << 7),
    ("CR", 1 << 8),
    ("SD", fs::DELETE),
    ("RC", fs::READ_CONTROL),
    ("WD", fs::WRITE_DAC),
    ("WO", fs::WRITE_OWNER),
    ("NW", sys::SYSTEM_MANDATORY_LABEL_NO_WRITE_UP),
    ("NR", sys::SYSTEM_MANDATORY_LABEL_NO_READ_UP),
    ("NX", sys::SYSTEM_MANDATORY_LABEL_NO_EXECUTE_UP),
];

/// How many of the rights above are sets, which stand for a mask alone.
const SETS: usize = 8;

/// Kinds of entries.
const KINDS: [(&str, u32); 5] = [
    ("A", sys::ACCESS_ALLOWED_ACE_TYPE),
    ("D", sys::ACCESS_DENIED_ACE_TYPE),
    ("AU", sys::SYSTEM_AUDIT_ACE_TYPE),
    ("AL", sys::SYSTEM_ALARM_ACE_TYPE),
    ("ML", sys::SYSTEM_MANDATORY_LABEL_ACE_TYPE),
];

/// Flags of entries.
const ACE_FLAGS: [(&str, u32); 7] = [
    ("OI", s::OBJECT_INHERIT_ACE),
    ("CI", s::CONTAINER_INHERIT_ACE),
    ("NP", s::NO_PROPAGATE_INHERIT_ACE),
    ("IO", s::INHERIT_ONLY_ACE),
    ("ID", s::INHERITED_ACE),
    ("SA", s::SUCCESSFUL_ACCESS_ACE_FLAG),
    ("FA", s::FAILED_ACCESS_ACE_FLAG),
];

/// Flags of a list, as control bits: of the discretionary one, of the system's.
const LIST_FLAGS: [(&str, [u16; 2]); 3] = [
    ("AR", [s::SE_DACL_AUTO_INHERIT_REQ, s::SE_SACL_AUTO_INHERIT_REQ]),
    ("AI", [s::SE_DACL_AUTO_INHERITED, s::SE_SACL_AUTO_INHERITED]),
    ("P", [s::SE_DACL_PROTECTED, s::SE_SACL_PROTECTED]),
];

/// A descriptor's parts: owner, group, system list, discretionary list; an absent one is empty.
#[derive(Debug, Default, PartialEq, Eq)]
struct Parsed {
    control: u16,
    pieces: [Vec<u8>; 4],
}

/// A SID by its abbreviation or in full.
pub(super) fn sid(text: &str) -> Option<Sid> {
    let known = SIDS.iter().find(|(name, ..)| name.eq_ignore_ascii_case(text));
    known.map(|(_, authority, sub)| Sid::new(*authority, sub)).or_else(|| Sid::parse(text))
}

/// The sum of a text's abbreviations, each the longest that fits.
fn sum<T: Copy, S>(mut text: &str, names: &[(&str, T)], start: S, add: impl Fn(S, T) -> S) -> Option<S> {
    let mut all = start;
    while !text.is_empty() {
        let (name, value) = names.iter().find(|(name, _)| {
            text.get(..name.len()).is_some_and(|begins| begins.eq_ignore_ascii_case(name))
        })?;
        all = add(all, *value);
        text = &text[name.len()..];
    }
    Some(all)
}

fn rights(text: &str) -> Option<u32> {
    if let Some(hex) = text.strip_prefix("0x").or_else(|| text.strip_prefix("0X")) {
        return u32::from_str_radix(hex, 16).ok();
    }
    if text.starts_with(|c: char| c.is_ascii_digit()) {
        return text.parse().ok();
    }
    sum(text, &RIGHTS, 0, |all, right| all | right)
}

/// An entry, without its parentheses.
fn entry(text: &str) -> Option<Vec<u8>> {
    let fields: Vec<&str> = text.split(';').map(str::trim).collect();
    let [kind, flags, mask, "", "", who] = fields[..] else { return None };
    let (_, kind) = KINDS.iter().find(|(name, _)| name.eq_ignore_ascii_case(kind))?;
    let flags = sum(flags, &ACE_FLAGS, 0, |all, flag| all | flag)?;
    Some(acl::plain(*kind, flags, rights(mask)?, &sid(who)?.encode()))
}

/// A list with its flags; `which` is 0 for the discretionary one.
fn list(text: &str, which: usize) -> Option<(u16, Vec<u8>)> {
    let (flags, mut rest) = text.split_at(text.find('(').unwrap_or(text.len()));
    let control = sum(flags.trim(), &LIST_FLAGS, 0, |all, bits| all | bits[which])?;
    let mut entries = Vec::new();
    while !rest.trim().is_empty() {
        let (inside, after) = rest.trim().strip_prefix('(')?.split_once(')')?;
        entries.push(entry(inside)?);
        rest = after;
    }
    Some((control, acl::of(&entries)?))
}

/// Where the next part begins: a letter before a colon, outside entries.
fn next_part(text: &str) -> usize {
    let mut depth = 0;
    for (at, c) in text.char_indices() {
        match c {
            '(' => depth += 1,
            ')' => depth -= 1,
            ':' if depth == 0 && at > 0 => return at - 1,
            _ => {}
        }
    }
    text.len()
}

fn parse(text: &str) -> Option<Parsed> {
    let mut parsed = Parsed::default();
    let mut rest = text.trim();
    while !rest.is_empty() {
        let (letter, after) = rest.split_once(':')?;
        let end = next_part(after);
        let part = after.get(..end)?.trim();
        rest = &after[end..];
        let (at, piece) = match letter {
            "O" | "o" => (0, sid(part)?.encode()),
            "G" | "g" => (1, sid(part)?.encode()),
            "D" | "d" if part == "NO_ACCESS_CONTROL" => {
                parsed.control |= s::SE_DACL_PRESENT;
                continue;
            }
            "D" | "d" => {
                let (control, list) = list(part, 0)?;
                parsed.control |= s::SE_DACL_PRESENT | control;
                (3, list)
            }
            "S" | "s" => {
                let (control, list) = list(part, 1)?;
                parsed.control |= s::SE_SACL_PRESENT | control;
                (2, list)
            }
            _ => return None,
        };
        if !parsed.pieces[at].is_empty() {
            return None;
        }
        parsed.pieces[at] = piece;
    }
    Some(parsed)
}

fn sid_text(bytes: &[u8]) -> Option<String> {
    let sid = Sid::decode(bytes)?;
    let known = SIDS.iter().find(|(_, authority, sub)| sid.authority == *authority && sid.sub == *sub);
    Some(known.map_or_else(|| sid.to_string(), |(name, ..)| (*name).to_owned()))
}

fn rights_text(mask: u32) -> String {
    if let Some((name, _)) = RIGHTS[..SETS].iter().find(|(_, set)| *set == mask) {
        return (*name).to_owned();
    }
    let plain = &RIGHTS[SETS..RIGHTS.len() - 3];
    let known = plain.iter().fold(0, |all, (_, right)| all | right);
    if mask & !known != 0 {
        return format!("{mask:#x}");
    }
    plain.iter().filter(|(_, right)| mask & right != 0).map(|(name, _)| *name).collect()
}

fn list_text(bytes: &[u8], control: u16, which: usize) -> Option<String> {
    let flags = LIST_FLAGS.iter().filter(|(_, bits)| control & bits[which] != 0);
    let mut text: String = flags.map(|(name, _)| *name).collect();
    let mut rest = bytes.get(8..)?;
    while let [kind, flags, low, high, ..] = *rest {
        let ace = rest.get(..u16::from_le_bytes([low, high]).into()).filter(|ace| ace.len() >= 8)?;
        let (kind, _) = KINDS.iter().find(|(_, k)| *k == u32::from(kind))?;
        let flags: String = ACE_FLAGS
            .iter()
            .filter(|(_, flag)| u32::from(flags) & flag != 0)
            .map(|(name, _)| *name)
            .collect();
        let mask = u32::from_le_bytes(*ace.get(4..)?.first_chunk()?);
        let who = sid_text(ace.get(8..)?)?;
        text += &format!("({kind};{flags};{};;;{who})", rights_text(mask));
        rest = rest.get(ace.len()..)?;
    }
    Some(text)
}

/// The text of the parts that `wanted` names.
fn format(parsed: &Parsed, wanted: u32) -> Option<String> {
    let mut text = String::new();
    for (letter, at, bit) in
        [("O:", 0, s::OWNER_SECURITY_INFORMATION), ("G:", 1, s::GROUP_SECURITY_INFORMATION)]
    {
        if wanted & bit != 0 && !parsed.pieces[at].is_empty() {
            text += letter;
            text += &sid_text(&parsed.pieces[at])?;
        }
    }
    let lists = [
        ("D:", 3, s::DACL_SECURITY_INFORMATION, s::SE_DACL_PRESENT),
        ("S:", 2, s::SACL_SECURITY_INFORMATION, s::SE_SACL_PRESENT),
    ];
    for (which, (letter, at, bit, present)) in lists.into_iter().enumerate() {
        if wanted & bit == 0 || parsed.control & present == 0 {
            continue;
        }
        text += letter;
        if parsed.pieces[at].is_empty() {
            text += "NO_ACCESS_CONTROL";
        } else {
            text += &list_text(&parsed.pieces[at], parsed.control, which)?;
        }
    }
    Some(text)
}

const INVALID: WinError = WinError::Code(f::ERROR_INVALID_PARAMETER);

/// Converts a string-format security descriptor into a valid, functional one, in a block for LocalFree.
#[shim(advapi32, ansi, partial = "no entries with GUIDs or conditions, no SIDs of a domain by abbreviation")]
fn ConvertStringSecurityDescriptorToSecurityDescriptorW(
    cx: &Cx,
    text: WStr,
    revision: u32,
    out: Out<Ptr<u8>>,
    size: Option<Out<u32>>,
) -> Win32<()> {
    if revision != s::Authorization::SDDL_REVISION_1 {
        return Err(WinError::Code(f::ERROR_UNKNOWN_REVISION));
    }
    let parsed = parse(&String::from_utf16_lossy(&text.get()?)).ok_or(INVALID)?;
    let bytes = descriptor::relative(parsed.control, &parsed.pieces);
    let block = cx.heaps().process().alloc(bytes.len() as u64, false);
    let block = block.ok_or(WinError::Code(f::ERROR_NOT_ENOUGH_MEMORY))?;
    mem::copy_out(block, &bytes)?;
    out.write(cx, Ptr::new(block))?;
    match size {
        Some(size) => Ok(size.write(cx, u32::try_from(bytes.len()).unwrap_or(u32::MAX))?),
        None => Ok(()),
    }
}

/// A descriptor's text, in a block for LocalFree; its length counts the terminator.
fn to_text(
    cx: &Cx,
    at: Ptr<u8>,
    revision: u32,
    wanted: u32,
    out: Out<Ptr<u8>>,
    size: Option<Out<u32>>,
    ansi: bool,
) -> Win32<()> {
    if revision != s::Authorization::SDDL_REVISION_1 {
        return Err(WinError::Code(f::ERROR_UNKNOWN_REVISION));
    }
    let (control, pieces) = descriptor::control_and_pieces(cx, at)?;
    let text = format(&Parsed { control, pieces }, wanted).ok_or(INVALID)?;
    out.write(cx, Ptr::new(super::sid::text_block(cx, &text, ansi)?))?;
    match size {
        Some(size) => Ok(size.write(cx, u32::try_from(text.len() + 1).unwrap_or(u32::MAX))?),
        None => Ok(()),
    }
}

/// Converts a security descriptor to a string format.
#[shim(advapi32, partial = "no entries with GUIDs or conditions")]
fn ConvertSecurityDescriptorToStringSecurityDescriptorW(
    cx: &Cx,
    at: Ptr<u8>,
    revision: u32,
    wanted: u32,
    out: Out<Ptr<u8>>,
    size: Option<Out<u32>>,
) -> Win32<()> {
    to_text(cx, at, revision, wanted, out, size, false)
}

/// Converts a security descriptor to a string format.
#[shim(advapi32, partial = "no entries with GUIDs or conditions")]
fn ConvertSecurityDescriptorToStringSecurityDescriptorA(
    cx: &Cx,
    at: Ptr<u8>,
    revision: u32,
    wanted: u32,
    out: Out<Ptr<u8>>,
    size: Option<Out<u32>>,
) -> Win32<()> {
    to_text(cx, at, revision, wanted, out, size, true)
}

#[cfg(test)]
mod tests {
    use super::*;

    const ALL: u32 = s::OWNER_SECURITY_INFORMATION
        | s::GROUP_SECURITY_INFORMATION
        | s::DACL_SECURITY_INFORMATION
        | s::SACL_SECURITY_INFORMATION;

    #[test]
    fn text_comes_back_as_it_was() {
        for text in [
            "O:BAG:SYD:PAI(A;OICI;FA;;;SY)(D;;GRGW;;;WD)S:AR(AU;SAFA;0x3;;;WD)",
            "D:(A;;GA;;;S-1-5-21-1-2-3-1000)",
            "D:NO_ACCESS_CONTROL",
            "D:",
            "O:S-1-5-21-1-2-3-500",
            "D:(A;;CCDCRC;;;BU)",
            "S:(ML;;0x1;;;ME)",
        ] {
            let parsed = parse(text).expect(text);
            let written = format(&parsed, ALL).expect(text);
            assert_eq!(parse(&written), Some(parsed), "{written}");
            if !text.contains("0x") {
                assert_eq!(written, text);
            }
        }
    }

    #[test]
    fn a_list_without_entries_is_not_the_same_as_no_list() {
        assert_eq!(parse("D:").map(|p| p.pieces[3].len()), Some(8));
        assert_eq!(parse("D:NO_ACCESS_CONTROL").map(|p| p.pieces[3].len()), Some(0));
        assert_eq!(format(&parse("O:BA").expect("owner"), s::DACL_SECURITY_INFORMATION).as_deref(), Some(""));
    }

    #[test]
    fn what_is_not_understood_is_refused() {
        for text in [
            "X:BA",
            "O:ZZ",
            "D:(A;;GA;;;",
            "D:(A;;GA;;)",
            "D:(OA;;GA;x;;BA)",
            "D:(A;;QQ;;;BA)",
            "O:BAO:BA",
            "D:Q",
        ] {
            assert_eq!(parse(text), None, "{text}");
        }
    }

    proptest::proptest! {
        #[test]
        fn no_text_is_too_strange(text in "[OGDSPAI:();0-9A-Zx-é]{0,40}") {
            if let Some(parsed) = parse(&text) {
                format(&parsed, ALL);
            }
        }
    }
}
