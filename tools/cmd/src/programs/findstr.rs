//! `findstr`: lines that match texts or regular expressions.

use super::pattern::Pattern;
use super::{arguments, find};
use crate::shell::Shell;
use crate::streams::{self, Purpose};

#[derive(Default)]
struct Options {
    start: bool,
    end: bool,
    literal: bool,
    regular: bool,
    below: bool,
    folded: bool,
    inverted: bool,
    numbers: bool,
    names_only: bool,
    offsets: bool,
    /// Texts of `/c:` and `/g:`, which are not split at blanks.
    whole: Vec<String>,
    /// Files of `/f:`.
    files: Vec<String>,
}

/// `findstr [switches] texts [files]`: 0 if something was found, 1 if not, 2 for a mistake.
pub(super) fn run(shell: &mut Shell, line: &str) -> i32 {
    let mut options = Options::default();
    let mut words = Vec::new();
    for word in arguments(line) {
        let is_switch = word.starts_with('/') || (word.starts_with('-') && word.len() > 1);
        if !is_switch || (!words.is_empty() && word.len() > 3) {
            words.push(word);
        } else if let Err(message) = options.switch(shell, &word[1..]) {
            shell.complain(&message);
            return 2;
        }
    }
    let mut words = words.into_iter();
    let texts = if options.whole.is_empty() { words.next() } else { None };
    let patterns = options.patterns(texts.as_deref());
    if patterns.is_empty() {
        shell.complain("FINDSTR: Bad command line");
        return 2;
    }
    let names: Vec<String> = options.files.iter().cloned().chain(words).collect();
    let search = Search { options, patterns };
    i32::from(!search.all(shell, &names))
}

impl Options {
    /// Takes a switch, or several letters as one.
    fn switch(&mut self, shell: &Shell, switch: &str) -> Result<(), String> {
        let (name, value) = switch.split_once(':').map_or((switch, None), |(n, v)| (n, Some(v)));
        match (name.to_ascii_lowercase().as_str(), value) {
            ("c", Some(text)) => self.whole.push(text.to_owned()),
            ("g", Some(file)) => self.whole.extend(lines_of(shell, file)?),
            ("f", Some(file)) => self.files.extend(lines_of(shell, file)?),
            ("a", Some(_)) | ("off" | "offline", None) => {}
            (letters, None) => {
                for letter in letters.chars() {
                    self.letter(letter).ok_or_else(|| format!("FINDSTR: /{letter} ignored"))?;
                }
            }
            (other, Some(_)) => return Err(format!("FINDSTR: /{other}: is not supported")),
        }
        Ok(())
    }

    fn letter(&mut self, letter: char) -> Option<()> {
        match letter {
            'b' => self.start = true,
            'e' => self.end = true,
            'x' => (self.start, self.end) = (true, true),
            'l' => self.literal = true,
            'r' => self.regular = true,
            's' => self.below = true,
            'i' => self.folded = true,
            'v' => self.inverted = true,
            'n' => self.numbers = true,
            'm' => self.names_only = true,
            'o' => self.offsets = true,
            'p' => {}
            _ => return None,
        }
        Some(())
    }

    /// What is looked for: any of the words of `texts`, or the texts of `/c:`.
    fn patterns(&self, texts: Option<&str>) -> Vec<Pattern> {
        let words: Vec<&str> = match texts {
            Some(texts) => texts.split(' ').filter(|t| !t.is_empty()).collect(),
            None => self.whole.iter().map(String::as_str).collect(),
        };
        // As documented: expressions, if the first one has a character with a meaning; texts of /c: are literal.
        let has_meaning = words.first().is_some_and(|w| w.contains(['.', '*', '^', '$', '[', '\\']));
        let regular = self.regular || (!self.literal && texts.is_some() && has_meaning);
        let make = if regular { Pattern::regular } else { Pattern::literal };
        words.into_iter().map(|w| make(w, self.folded).anchored(self.start, self.end)).collect()
    }
}

fn lines_of(shell: &Shell, name: &str) -> Result<Vec<String>, String> {
    let file = match name {
        "/" => shell.input(),
        name => streams::open(&shell.files, name, Purpose::Read).ok(),
    };
    let bytes = file.and_then(|file| streams::read_all(&file).ok());
    let bytes = bytes.ok_or_else(|| format!("FINDSTR: Cannot open {name}"))?;
    Ok(String::from_utf8_lossy(&bytes).lines().filter(|l| !l.is_empty()).map(str::to_owned).collect())
}

struct Search {
    options: Options,
    patterns: Vec<Pattern>,
}

impl Search {
    fn all(&self, shell: &Shell, names: &[String]) -> bool {
        let mut found = false;
        if names.is_empty() {
            let input = shell.input().map(|input| streams::read_all(&input).unwrap_or_default());
            return self.lines(shell, &input.unwrap_or_default(), None);
        }
        let many = names.len() > 1 || self.options.below || names.iter().any(|n| n.contains(['*', '?']));
        for name in names {
            found |= self.matching(shell, name, many);
        }
        found
    }

    /// Searches the files that a name stands for, with `/s` also below its folder.
    fn matching(&self, shell: &Shell, name: &str, many: bool) -> bool {
        let mut found = false;
        for path in find::files(shell, name) {
            let file = streams::open(&shell.files, &path, Purpose::Read);
            match file.and_then(|file| streams::read_all(&file)) {
                Ok(bytes) => found |= self.lines(shell, &bytes, many.then_some(path.as_str())),
                Err(_) if self.options.below => {}
                Err(_) => shell.complain(&format!("FINDSTR: Cannot open {path}")),
            }
        }
        if self.options.below {
            let folder = name.rfind(['\\', '/', ':']).map_or("", |at| &name[..=at]);
            for below in shell.folders_below(folder) {
                found |= self.matching(shell, &format!("{below}\\{}", &name[folder.len()..]), many);
            }
        }
        found
    }

    fn lines(&self, shell: &Shell, bytes: &[u8], name: Option<&str>) -> bool {
        let content = String::from_utf8_lossy(bytes);
        let mut found = false;
        let mut out = String::new();
        let mut offset = 0;
        for (number, line) in content.split_inclusive('\n').enumerate() {
            let text = line.trim_end_matches('\n').trim_end_matches('\r');
            let chars: Vec<char> = text.chars().collect();
            if self.patterns.iter().any(|p| p.find(&chars).is_some()) != self.options.inverted {
                found = true;
                if self.options.names_only {
                    break;
                }
                if let Some(name) = name {
                    out.push_str(&format!("{name}:"));
                }
                if self.options.numbers {
                    out.push_str(&format!("{}:", number + 1));
                }
                if self.options.offsets {
                    out.push_str(&format!("{offset}:"));
                }
                out.push_str(text);
                out.push_str("\r\n");
            }
            offset += line.len();
        }
        if found && self.options.names_only {
            out = format!("{}\r\n", name.unwrap_or(""));
        }
        shell.out(&out);
        found
    }
}
