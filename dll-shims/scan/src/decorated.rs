//! Decorated names: Microsoft's encoding of C++ names and types, as far as exported functions and variables need it.
//!
//! A source names a C++ export once, as 64-bit DLLs do. The x86 name differs in what this module changes: pointers, references and
//! `this` lack the mark `E` of 64-bit pointers, and a method has the convention `E` (thiscall) in place of `A`. Whether a
//! function is a method is read from the name as well, so that no shim needs to say how it gets its `this`.
//!
//! A parameter's type of more than one character that an earlier parameter had is written as that one's number.

/// What a decorated name says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Decorated {
    /// Its form in the DLLs of the machine that was asked for.
    pub(crate) name: String,
    /// Whether it is a function with a `this`.
    pub(crate) method: bool,
}

/// Reads a 64-bit decorated name. `None` if it uses an encoding that is not known here.
pub(crate) fn read(name: &str, x86: bool) -> Option<Decorated> {
    let mut reader =
        Reader { rest: name, x86, out: String::with_capacity(name.len()), types: Vec::new(), method: false };
    reader.symbol()?;
    reader.rest.is_empty().then_some(Decorated { name: reader.out, method: reader.method })
}

/// How many types of parameters can be referred to.
const NUMBERED_TYPES: usize = 10;

/// Copies a name to its form in other DLLs, piece by piece. Every piece is `None` where the name is not as expected.
struct Reader<'a> {
    rest: &'a str,
    x86: bool,
    out: String,
    /// The parameters' types so far that can be referred to by number.
    types: Vec<&'a str>,
    method: bool,
}

impl<'a> Reader<'a> {
    fn next(&self) -> Option<char> {
        self.rest.chars().next()
    }

    /// Copies so many characters.
    fn copy(&mut self, count: usize) -> Option<()> {
        self.out.push_str(self.rest.get(..count)?);
        self.rest = self.rest.get(count..)?;
        Some(())
    }

    /// Copies this text, if it comes next.
    fn copy_if(&mut self, text: &str) -> bool {
        self.rest.starts_with(text) && self.copy(text.len()).is_some()
    }

    /// Leaves the mark of a 64-bit pointer out where it does not belong.
    fn mark(&mut self) {
        if self.x86 {
            self.rest = self.rest.strip_prefix('E').unwrap_or(self.rest);
        } else {
            self.copy_if("E");
        }
    }

    fn symbol(&mut self) -> Option<()> {
        self.copy_if("?").then_some(())?;
        self.qualified()?;
        match self.next()? {
            '0'..='4' => self.variable(),
            // A table of virtual functions or of virtual bases.
            '6' | '7' => self.copy(self.rest.len()),
            _ => self.function(),
        }
    }

    fn variable(&mut self) -> Option<()> {
        self.copy(1)?;
        self.ty()?;
        self.mark();
        self.copy(1)
    }

    fn function(&mut self) -> Option<()> {
        let access = self.next()?;
        self.copy(1)?;
        self.method = matches!(access, 'A' | 'B' | 'E' | 'F' | 'I' | 'J' | 'M' | 'N' | 'Q' | 'R' | 'U' | 'V');
        if self.method {
            self.mark();
            self.copy(1)?;
            self.rest = self.rest.strip_prefix('A')?;
            self.out.push(if self.x86 { 'E' } else { 'A' });
        } else {
            self.copy(1)?;
        }
        self.signature()
    }

    /// The result, the parameters and the exception specification.
    fn signature(&mut self) -> Option<()> {
        // Constructors and destructors have no result.
        if !self.copy_if("@") {
            self.ty()?;
        }
        if !self.copy_if("X") {
            while !self.copy_if("@") {
                if self.copy_if("Z") {
                    break;
                }
                self.parameter()?;
            }
        }
        self.copy_if("Z").then_some(())
    }

    fn parameter(&mut self) -> Option<()> {
        let (from, to): (&'a str, usize) = (self.rest, self.out.len());
        self.ty()?;
        let ty = &from[..from.len() - self.rest.len()];
        if ty.len() == 1 {
            return Some(());
        }
        if let Some(number) = self.types.iter().position(|t| *t == ty) {
            self.out.truncate(to);
            self.out.push_str(&number.to_string());
        } else if self.types.len() < NUMBERED_TYPES {
            self.types.push(ty);
        }
        Some(())
    }

    fn ty(&mut self) -> Option<()> {
        match self.next()? {
            'P'..='S' | 'A' | 'B' => {
                self.copy(1)?;
                self.pointee()
            }
            '$' => {
                // A function's type, or a reference to what may be moved from.
                if self.copy_if("$$A") {
                    return self.pointee();
                }
                self.copy_if("$$Q").then_some(())?;
                self.pointee()
            }
            'T'..='V' => {
                self.copy(1)?;
                self.qualified()
            }
            'W' => {
                self.copy(2)?;
                self.qualified()
            }
            // A class returned by value has its qualifiers before it.
            '?' => {
                self.copy(2)?;
                self.ty()
            }
            '_' => self.copy(2),
            '0'..='9' | 'C'..='O' | 'X' => self.copy(1),
            _ => None,
        }
    }

    fn pointee(&mut self) -> Option<()> {
        if self.copy_if("6") {
            self.copy(1)?;
            return self.signature();
        }
        self.mark();
        self.copy(1)?;
        self.ty()
    }

    /// A name and the scopes that it is in.
    fn qualified(&mut self) -> Option<()> {
        while !self.copy_if("@") {
            self.component()?;
        }
        Some(())
    }

    fn component(&mut self) -> Option<()> {
        if self.copy_if("?$") {
            self.component()?;
            while !self.copy_if("@") {
                self.template_argument()?;
            }
            return Some(());
        }
        if self.copy_if("?") {
            return self.copy(if self.rest.starts_with('_') { 2 } else { 1 });
        }
        let length = if self.next()?.is_ascii_digit() { 1 } else { self.rest.find('@')? + 1 };
        self.copy(length)
    }

    fn template_argument(&mut self) -> Option<()> {
        if !self.copy_if("$0") {
            return self.ty();
        }
        self.copy_if("?");
        let length = if self.next()?.is_ascii_digit() { 1 } else { self.rest.find('@')? + 1 };
        self.copy(length)
    }
}

#[cfg(test)]
mod tests {
    use super::read;

    #[test]
    fn names_of_the_standard_library() {
        // 64-bit and x86 names as programs import them.
        let pairs = [
            (
                "??0?$basic_ios@DU?$char_traits@D@std@@@std@@IEAA@XZ",
                "??0?$basic_ios@DU?$char_traits@D@std@@@std@@IAE@XZ",
                true,
            ),
            (
                "?in@?$codecvt@DDU_Mbstatet@@@std@@QEBAHAEAU_Mbstatet@@PEBD1AEAPEBDPEAD3AEAPEAD@Z",
                "?in@?$codecvt@DDU_Mbstatet@@@std@@QBEHAAU_Mbstatet@@PBD1AAPBDPAD3AAPAD@Z",
                true,
            ),
            (
                "?imbue@?$basic_ios@DU?$char_traits@D@std@@@std@@QEAA?AVlocale@2@AEBV32@@Z",
                "?imbue@?$basic_ios@DU?$char_traits@D@std@@@std@@QAE?AVlocale@2@ABV32@@Z",
                true,
            ),
            ("??4?$_Yarn@D@std@@QEAAAEAV01@PEBD@Z", "??4?$_Yarn@D@std@@QAEAAV01@PBD@Z", true),
            (
                "?_Raise_handler@std@@3P6AXAEBVexception@stdext@@@ZEA",
                "?_Raise_handler@std@@3P6AXABVexception@stdext@@@ZA",
                false,
            ),
            (
                "?id@?$codecvt@DDU_Mbstatet@@@std@@2V0locale@2@A",
                "?id@?$codecvt@DDU_Mbstatet@@@std@@2V0locale@2@A",
                false,
            ),
            ("?_Fiopen@std@@YAPEAU_iobuf@@PEBDHH@Z", "?_Fiopen@std@@YAPAU_iobuf@@PBDHH@Z", false),
            ("?terminate@@YAXXZ", "?terminate@@YAXXZ", false),
            ("??_7type_info@@6B@", "??_7type_info@@6B@", false),
            ("??_8a@@7Bb@@@", "??_8a@@7Bb@@@", false),
        ];
        for (wide, narrow, method) in pairs {
            let read = |x86| read(wide, x86).unwrap_or_else(|| panic!("{wide} was not understood"));
            assert_eq!((read(true).name.as_str(), read(true).method), (narrow, method), "{wide}");
            assert_eq!(read(false).name, wide);
        }
    }

    #[test]
    fn types_that_come_again_are_numbers() {
        let pairs = [
            ("?setg@a@@IEAAXPEADPEADPEAD@Z", "?setg@a@@IEAAXPEAD00@Z"),
            ("?in@a@@QEBAHPEB_WPEB_WAEAPEB_WPEAD@Z", "?in@a@@QEBAHPEB_W0AEAPEB_WPEAD@Z"),
            ("?fill@a@@QEAA_W_W_WHH@Z", "?fill@a@@QEAA_W_W0HH@Z"),
        ];
        for (written, name) in pairs {
            assert_eq!(read(written, false).unwrap().name, name);
        }
    }

    #[test]
    fn names_cut_short_are_refused() {
        let name = "?in@?$codecvt@DDU_Mbstatet@@@std@@QEBAHAEAU_Mbstatet@@PEBD1AEAPEBDPEAD3AEAPEAD@Z";
        for length in 0..name.len() {
            assert_eq!(read(&name[..length], true), None, "{}", &name[..length]);
        }
    }
}
