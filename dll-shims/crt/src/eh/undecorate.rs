//! From decorated type names to readable ones: `?AV?$vector@H@std@@` is `class std::vector<int>`.
//!
//! The names are those of TypeDescriptors, so they describe types; functions occur as what pointers point to.

/// The most types within types; a name from a guest may nest them without end.
const DEEPEST: u32 = 64;

/// Makes a type's name readable. `None` if it uses an encoding that is not known here.
pub(crate) fn undecorate(name: &[u8]) -> Option<String> {
    let text = core::str::from_utf8(name).ok()?;
    let mut reader = Reader { rest: text, names: Vec::new(), types: Vec::new(), depth: 0 };
    let text = reader.ty()?;
    reader.rest.is_empty().then(|| text.around(""))
}

/// A type's text, in the parts that a declarator comes between: `int (` and `)[3]`.
#[derive(Clone)]
struct Text {
    before: String,
    after: String,
    /// Of a function or array: what goes into the parentheses of a pointer to it first.
    enclosed: Option<&'static str>,
}

impl Text {
    fn plain(before: impl Into<String>) -> Self {
        Self { before: before.into(), after: String::new(), enclosed: None }
    }

    fn around(&self, declarator: &str) -> String {
        format!("{}{declarator}{}", self.before, self.after)
    }
}

struct Reader<'a> {
    rest: &'a str,
    /// What digits in names refer to.
    names: Vec<String>,
    /// What digits in lists of parameters refer to.
    types: Vec<String>,
    depth: u32,
}

impl Reader<'_> {
    fn next(&mut self) -> Option<char> {
        let c = self.rest.chars().next()?;
        self.rest = &self.rest[c.len_utf8()..];
        Some(c)
    }

    fn skip(&mut self, text: &str) -> bool {
        let rest = self.rest.strip_prefix(text);
        self.rest = rest.unwrap_or(self.rest);
        rest.is_some()
    }

    fn ty(&mut self) -> Option<Text> {
        self.depth += 1;
        if self.depth > DEEPEST {
            return None;
        }
        let text = self.one_type();
        self.depth -= 1;
        text
    }

    fn one_type(&mut self) -> Option<Text> {
        Some(match self.next()? {
            '?' => {
                let qualifiers = qualifiers(self.next()?)?;
                let mut text = self.ty()?;
                text.before.push_str(qualifiers);
                text
            }
            'T' => Text::plain(format!("union {}", self.qualified()?)),
            'U' => Text::plain(format!("struct {}", self.qualified()?)),
            'V' => Text::plain(format!("class {}", self.qualified()?)),
            'W' => {
                self.next()?;
                Text::plain(format!("enum {}", self.qualified()?))
            }
            'P' => self.pointer("*", "")?,
            'Q' => self.pointer("*", " const")?,
            'R' => self.pointer("*", " volatile")?,
            'S' => self.pointer("*", " const volatile")?,
            'A' => self.pointer("&", "")?,
            '$' if self.skip("$Q") => self.pointer("&&", "")?,
            '$' if self.skip("$T") => Text::plain("std::nullptr_t"),
            '$' if self.skip("$A6") => self.function()?,
            '$' if self.skip("$B") => self.ty()?,
            '$' if self.skip("$C") => {
                let qualifiers = qualifiers(self.next()?)?;
                let mut text = self.ty()?;
                text.before.push_str(qualifiers);
                text
            }
            'Y' => self.array()?,
            '_' => Text::plain(extended(self.next()?)?),
            c => Text::plain(primitive(c)?),
        })
    }

    fn pointer(&mut self, sign: &str, own: &str) -> Option<Text> {
        let mut target = if self.skip("6") {
            self.function()?
        } else {
            let wide = self.skip("E");
            let qualifiers = qualifiers(self.next()?)?;
            let mut target = self.ty()?;
            target.before.push_str(qualifiers);
            let width = if wide { " __ptr64" } else { "" };
            if target.enclosed.is_none() {
                target.before = format!("{} {sign}{width}{own}", target.before);
                return Some(target);
            }
            target
        };
        let enclosed = target.enclosed.take().unwrap_or_default();
        target.before = format!("{}({enclosed}{sign}{own}", target.before);
        target.after = format!("){}", target.after);
        Some(target)
    }

    fn array(&mut self) -> Option<Text> {
        let mut bounds = String::new();
        for _ in 0..self.number()? {
            bounds.push_str(&format!("[{}]", self.number()?));
        }
        let mut element = self.ty()?;
        element.before.push(' ');
        element.after.insert_str(0, &bounds);
        element.enclosed = Some("");
        Some(element)
    }

    /// A function: its convention, result and parameters.
    fn function(&mut self) -> Option<Text> {
        let convention = match self.next()? {
            'A' => "__cdecl",
            'E' => "__thiscall",
            'G' => "__stdcall",
            'I' => "__fastcall",
            'Q' => "__vectorcall",
            _ => return None,
        };
        let result = self.ty()?;
        let parameters = self.parameters()?;
        Some(Text {
            before: format!("{} ", result.before),
            after: format!("({parameters}){}", result.after),
            enclosed: Some(convention),
        })
    }

    fn parameters(&mut self) -> Option<String> {
        let mut list = Vec::new();
        if self.skip("X") {
            list.push("void".to_owned());
        } else {
            loop {
                if self.skip("@") {
                    break;
                }
                if self.skip("Z") {
                    list.push("...".to_owned());
                    break;
                }
                list.push(self.parameter()?);
            }
        }
        if !self.skip("Z") && !self.skip("_E") {
            return None;
        }
        Some(list.join(","))
    }

    fn parameter(&mut self) -> Option<String> {
        if let Some(digit) = self.rest.chars().next().and_then(|c| c.to_digit(10)) {
            self.next()?;
            return self.types.get(digit as usize).cloned();
        }
        let before = self.rest.len();
        let text = self.ty()?.around("");
        if before - self.rest.len() > 1 && self.types.len() < 10 {
            self.types.push(text.clone());
        }
        Some(text)
    }

    /// A name and its scopes, outermost first in the text.
    fn qualified(&mut self) -> Option<String> {
        let mut parts = Vec::new();
        while !self.skip("@") {
            parts.push(self.component()?);
        }
        parts.reverse();
        Some(parts.join("::"))
    }

    fn component(&mut self) -> Option<String> {
        if self.skip("?$") {
            let name = self.template()?;
            self.remember(&name);
            return Some(name);
        }
        if self.skip("?A") {
            self.rest = &self.rest[self.rest.find('@')? + 1..];
            let name = "`anonymous namespace'".to_owned();
            self.remember(&name);
            return Some(name);
        }
        if let Some(digit) = self.rest.chars().next()?.to_digit(10) {
            self.next()?;
            return self.names.get(digit as usize).cloned();
        }
        let end = self.rest.find(['@', '?'])?;
        if end == 0 || !self.rest[end..].starts_with('@') {
            return None;
        }
        let name = self.rest[..end].to_owned();
        self.rest = &self.rest[end + 1..];
        self.remember(&name);
        Some(name)
    }

    fn remember(&mut self, name: &str) {
        if self.names.len() < 10 && !self.names.iter().any(|n| n == name) {
            self.names.push(name.to_owned());
        }
    }

    /// A template's name and arguments, which have references of their own.
    fn template(&mut self) -> Option<String> {
        let (names, types) = (core::mem::take(&mut self.names), core::mem::take(&mut self.types));
        let name = self.component()?;
        let mut arguments = Vec::new();
        while !self.skip("@") {
            if self.skip("$$V") || self.skip("$$Z") {
                continue;
            }
            let argument = if self.skip("$0") { self.number()?.to_string() } else { self.parameter()? };
            arguments.push(argument);
        }
        (self.names, self.types) = (names, types);
        let list = arguments.join(",");
        // `> >`: as the runtime writes them.
        let gap = if list.ends_with('>') { " " } else { "" };
        Some(format!("{name}<{list}{gap}>"))
    }

    fn number(&mut self) -> Option<i64> {
        let negative = self.skip("?");
        let mut value: i64 = 0;
        match self.next()? {
            c @ '0'..='9' => value = i64::from(c.to_digit(10)?) + 1,
            mut c => {
                while c != '@' {
                    let digit = u32::from(c).checked_sub(u32::from('A')).filter(|d| *d < 16)?;
                    value = value.checked_mul(16)?.checked_add(digit.into())?;
                    c = self.next()?;
                }
            }
        }
        Some(if negative { -value } else { value })
    }
}

fn qualifiers(c: char) -> Option<&'static str> {
    Some(match c {
        'A' => "",
        'B' => " const",
        'C' => " volatile",
        'D' => " const volatile",
        _ => return None,
    })
}

fn primitive(c: char) -> Option<&'static str> {
    Some(match c {
        'C' => "signed char",
        'D' => "char",
        'E' => "unsigned char",
        'F' => "short",
        'G' => "unsigned short",
        'H' => "int",
        'I' => "unsigned int",
        'J' => "long",
        'K' => "unsigned long",
        'M' => "float",
        'N' => "double",
        'O' => "long double",
        'X' => "void",
        _ => return None,
    })
}

fn extended(c: char) -> Option<&'static str> {
    Some(match c {
        'J' => "__int64",
        'K' => "unsigned __int64",
        'N' => "bool",
        'Q' => "char8_t",
        'S' => "char16_t",
        'U' => "char32_t",
        'W' => "wchar_t",
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::undecorate;

    #[test]
    fn type_names_read_as_in_a_source() {
        for (name, wanted) in [
            ("?AVexception@std@@", "class std::exception"),
            ("?AUouter@@", "struct outer"),
            ("?AW4colour@paint@@", "enum paint::colour"),
            ("H", "int"),
            ("_N", "bool"),
            ("PEAD", "char * __ptr64"),
            ("PEBD", "char const * __ptr64"),
            ("PAPBD", "char const * *"),
            ("P6AHPADZZ", "int (__cdecl*)(char *,...)"),
            ("P6AXXZ", "void (__cdecl*)(void)"),
            ("?AV?$vector@HV?$allocator@H@std@@@std@@", "class std::vector<int,class std::allocator<int> >"),
            ("?AV?$array@D$0BA@@std@@", "class std::array<char,16>"),
            ("?AUhidden@?A0x12ab34cd@@", "struct `anonymous namespace'::hidden"),
            ("PAY02H", "int (*)[3]"),
        ] {
            assert_eq!(undecorate(name.as_bytes()).as_deref(), Some(wanted), "{name}");
        }
    }

    #[test]
    fn what_is_no_type_is_refused() {
        for name in ["", "?", "?AV", "?AVx", "PEA", "7", "P6AX", "?AV9@", "Y", "PAY0"] {
            assert_eq!(undecorate(name.as_bytes()), None, "{name}");
        }
        assert_eq!(undecorate(&b"PA".repeat(5000)), None);
    }
}
