//! TZif, the format of files under `/usr/share/zoneinfo` (RFC 9636). Nothing in a file is trusted.

use super::{Offset, Zone, posix};

/// Reads a file; `None` if it is not well-formed.
pub(super) fn parse(data: &[u8]) -> Option<Zone> {
    let header = Header::parse(data)?;
    if header.version < b'2' {
        return block(data.get(Header::SIZE..)?, &header, 4).map(|(zone, _)| zone);
    }
    // Version 2 and later repeat everything with 64-bit times, then add a rule for the future.
    let second = data.get(Header::SIZE + header.size(4)?..)?;
    let header = Header::parse(second)?;
    let (mut zone, rest) = block(second.get(Header::SIZE..)?, &header, 8)?;
    let footer = rest.strip_prefix(b"\n")?;
    let end = footer.iter().position(|byte| *byte == b'\n')?;
    zone.rule = posix::parse(std::str::from_utf8(&footer[..end]).ok()?);
    if zone.transitions.is_empty()
        && let Some(rule) = &zone.rule
    {
        zone.first = rule.standard;
    }
    Some(zone)
}

struct Header {
    version: u8,
    ut_count: usize,
    std_count: usize,
    leap_count: usize,
    time_count: usize,
    type_count: usize,
    char_count: usize,
}

impl Header {
    const SIZE: usize = 44;

    fn parse(data: &[u8]) -> Option<Self> {
        let data = data.get(..Self::SIZE)?;
        if &data[..4] != b"TZif" {
            return None;
        }
        let count = |index: usize| usize::try_from(be32(&data[20 + 4 * index..])?).ok();
        Some(Self {
            version: data[4],
            ut_count: count(0)?,
            std_count: count(1)?,
            leap_count: count(2)?,
            time_count: count(3)?,
            type_count: count(4)?,
            char_count: count(5)?,
        })
    }

    /// Bytes of the block after the header, with times of `width` bytes.
    fn size(&self, width: usize) -> Option<usize> {
        let times = self.time_count.checked_mul(width + 1)?;
        let leaps = self.leap_count.checked_mul(width + 4)?;
        let types = self.type_count.checked_mul(6)?;
        [times, leaps, types, self.char_count, self.std_count, self.ut_count]
            .into_iter()
            .try_fold(0usize, usize::checked_add)
    }
}

fn block<'a>(data: &'a [u8], header: &Header, width: usize) -> Option<(Zone, &'a [u8])> {
    let (data, rest) = data.split_at_checked(header.size(width)?)?;
    let (times, data) = data.split_at_checked(header.time_count * width)?;
    let (indices, data) = data.split_at_checked(header.time_count)?;
    let (types, _) = data.split_at_checked(header.type_count * 6)?;
    let offset = |index: usize| -> Option<Offset> {
        let kind = types.chunks_exact(6).nth(index)?;
        let seconds = i32::from_be_bytes(kind[..4].try_into().ok()?);
        // Offsets are less than about a day.
        (-90_000..=93_600).contains(&seconds).then_some(Offset { seconds, daylight: kind[4] != 0 })
    };
    let mut transitions = Vec::with_capacity(header.time_count);
    for (time, index) in times.chunks_exact(width).zip(indices) {
        let at = match width {
            4 => i64::from(i32::from_be_bytes(time.try_into().ok()?)),
            _ => i64::from_be_bytes(time.try_into().ok()?),
        };
        if transitions.last().is_some_and(|(last, _)| *last >= at) {
            return None;
        }
        transitions.push((at, offset(usize::from(*index))?));
    }
    let zone = Zone { transitions, first: offset(0)?, rule: None, name: None };
    Some((zone, rest))
}

fn be32(data: &[u8]) -> Option<u32> {
    Some(u32::from_be_bytes(data.get(..4)?.try_into().ok()?))
}
