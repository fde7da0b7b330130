//! `-e`: which functions are traced. Decided once per function, when it is bound, so that the others cost nothing.

use transom_sigs::Table;

/// A topic: a word for `-e`, the metadata's namespaces and the function names (as patterns) that belong to it.
struct Category {
    name: &'static str,
    help: &'static str,
    topics: &'static [&'static str],
    names: &'static [&'static str],
}

const CATEGORIES: &[Category] = &[
    Category {
        name: "file",
        help: "files, folders, volumes, streams of the C runtime",
        topics: &["Win32.Storage.FileSystem", "Win32.System.IO", "Wdk.Storage.FileSystem"],
        names: &[
            "*fopen*",
            "fread",
            "fwrite",
            "fclose",
            "fgets",
            "fputs",
            "fgetc",
            "fputc",
            "getc",
            "putc",
            "fseek*",
            "_fseek*",
            "ftell*",
            "_ftell*",
            "fflush",
            "_open*",
            "_wopen*",
            "_sopen*",
            "_wsopen*",
            "_read",
            "_write",
            "_close",
            "_lseek*",
            "_*stat*",
            "_*access*",
            "_*unlink",
            "_*mkdir",
            "_*rmdir",
            "remove",
            "rename",
            "_findfirst*",
            "_findnext*",
            "NtCreateFile",
            "NtOpenFile",
            "NtReadFile",
            "NtWriteFile",
            "Nt*File",
            "GetCurrentDirectory*",
            "SetCurrentDirectory*",
            "CloseHandle",
            "NtClose",
        ],
    },
    Category {
        name: "registry",
        help: "the registry",
        topics: &["Win32.System.Registry"],
        names: &["Nt*Key", "Nt*ValueKey"],
    },
    Category {
        name: "network",
        help: "sockets and what builds on them",
        topics: &["Win32.Networking", "Win32.NetworkManagement"],
        names: &[],
    },
    Category {
        name: "process",
        help: "processes, jobs, environment, command line",
        topics: &["Win32.System.JobObjects", "Win32.System.ProcessStatus", "Win32.System.Environment"],
        names: &[
            "CreateProcess*",
            "OpenProcess*",
            "ExitProcess",
            "TerminateProcess",
            "GetExitCodeProcess",
            "GetCurrentProcess*",
            "GetStartupInfo*",
            "ShellExecute*",
            "NtCreateUserProcess",
            "exit",
            "_exit",
            "abort",
            "_spawn*",
            "_exec*",
            "system",
            "_popen",
            "_wpopen",
            "getenv",
            "_wgetenv",
            "_putenv*",
        ],
    },
    Category {
        name: "thread",
        help: "threads, fibers, thread pools, thread-local storage",
        topics: &[],
        names: &[
            "*Thread*",
            "*Fiber*",
            "*Threadpool*",
            "Tls*",
            "Fls*",
            "_beginthread*",
            "_endthread*",
            "Sleep*",
            "SwitchTo*",
            "QueueUserAPC*",
            "QueueUserWorkItem",
        ],
    },
    Category {
        name: "sync",
        help: "waits, events, mutexes, locks",
        topics: &[],
        names: &[
            "*WaitFor*",
            "*Event*",
            "*Mutex*",
            "*Mutant*",
            "*Semaphore*",
            "*CriticalSection*",
            "*SRWLock*",
            "*ConditionVariable*",
            "WaitOn*",
            "WakeBy*",
            "InitOnce*",
            "*WaitableTimer*",
            "SignalObjectAndWait",
            "_lock",
            "_unlock",
            "_Mtx_*",
            "_Cnd_*",
        ],
    },
    Category {
        name: "memory",
        help: "virtual memory and sections",
        topics: &[],
        names: &[
            "Virtual*",
            "Nt*VirtualMemory",
            "Nt*Section",
            "*MapView*",
            "*FileMapping*",
            "GlobalMemoryStatus*",
            "*WorkingSet*",
            "*LargePage*",
        ],
    },
    Category {
        name: "heap",
        help: "heaps: malloc and HeapAlloc",
        topics: &[],
        names: &[
            "Heap*",
            "GetProcessHeap*",
            "RtlAllocateHeap",
            "RtlFreeHeap",
            "RtlReAllocateHeap",
            "RtlSizeHeap",
            "LocalAlloc",
            "LocalFree",
            "LocalReAlloc",
            "GlobalAlloc",
            "GlobalFree",
            "malloc",
            "free",
            "calloc",
            "realloc",
            "_aligned_*",
            "_msize",
            "_recalloc",
            "*operator*",
            "??2@*",
            "??3@*",
            "_malloc_*",
            "_free_*",
        ],
    },
    Category {
        name: "module",
        help: "DLLs and resources",
        topics: &["Win32.System.LibraryLoader"],
        names: &["Ldr*"],
    },
    Category {
        name: "console",
        help: "the console",
        topics: &["Win32.System.Console"],
        names: &["_getch", "_kbhit", "_putch", "_cputs"],
    },
    Category {
        name: "time",
        help: "clocks and timers",
        topics: &["Win32.System.Time", "Win32.System.Performance"],
        names: &[
            "*Time",
            "*Time64*",
            "_time*",
            "QueryPerformance*",
            "GetTickCount*",
            "clock",
            "timeGet*",
            "*Timer*",
        ],
    },
    Category {
        name: "locale",
        help: "languages and character sets",
        topics: &["Win32.Globalization"],
        names: &["setlocale", "_*locale*", "localeconv"],
    },
    Category {
        name: "security",
        help: "tokens, access control, cryptography",
        topics: &["Win32.Security"],
        names: &[],
    },
    Category {
        name: "exception",
        help: "exceptions and debugging",
        topics: &["Win32.System.Diagnostics"],
        names: &[
            "Rtl*Unwind*",
            "*Exception*",
            "__C_specific_handler",
            "__CxxFrameHandler*",
            "longjmp",
            "_setjmp*",
        ],
    },
    Category {
        name: "com",
        help: "COM, OLE and the shell",
        topics: &["Win32.System.Com", "Win32.System.Ole", "Win32.UI.Shell", "Win32.System.Variant"],
        names: &[],
    },
];

/// DLLs of the C and C++ runtimes.
pub(super) fn is_crt(dll: &str) -> bool {
    ["msvcr", "ucrtbase", "vcruntime", "msvcp", "api-ms-win-crt", "crtdll", "concrt"]
        .iter()
        .any(|prefix| dll.starts_with(prefix))
}

/// For `--help`.
pub(super) fn help() -> String {
    let mut text = String::from("Topics for -e:\n");
    for category in CATEGORIES {
        text += &format!("  {:10} {}\n", category.name, category.help);
    }
    text + "  crt        everything that the C and C++ runtimes export"
}

/// `*` stands for any text, letters match whatever their case.
pub(super) fn matches(pattern: &str, name: &str) -> bool {
    fn go(p: &[u8], n: &[u8]) -> bool {
        match p.split_first() {
            None => n.is_empty(),
            Some((b'*', rest)) => (0..=n.len()).any(|i| go(rest, &n[i..])),
            Some((c, rest)) => n.split_first().is_some_and(|(d, n)| c.eq_ignore_ascii_case(d) && go(rest, n)),
        }
    }
    go(pattern.as_bytes(), name.as_bytes())
}

/// The DLL's name without extension.
pub(super) fn stem(dll: &str) -> &str {
    dll.strip_suffix(".dll").unwrap_or(dll)
}

/// The category of a function, for reports: the first that it belongs to.
pub(super) fn category(dll: &str, name: &str) -> &'static str {
    let found = CATEGORIES.iter().find(|c| c.names.iter().any(|n| matches(n, name)));
    let by_topic = || {
        let function = (!is_crt(dll)).then(|| Table::shared().find(dll, name)).flatten()?;
        CATEGORIES.iter().find(|c| c.topics.iter().any(|t| function.topic.starts_with(t)))
    };
    found.or_else(by_topic).map_or(if is_crt(dll) { "crt" } else { "other" }, |c| c.name)
}

/// What `-e` says.
#[derive(Debug, Clone, Default)]
pub(super) struct Filter {
    words: Vec<String>,
}

impl Filter {
    /// From the option's values, each a list with commas.
    ///
    /// # Errors
    /// In words, for a name that is neither a topic nor looks like a pattern.
    pub(super) fn new(values: &[String]) -> Result<Self, String> {
        let words: Vec<String> = values
            .iter()
            .flat_map(|v| v.split(','))
            .map(str::trim)
            .filter(|w| !w.is_empty())
            .map(str::to_owned)
            .collect();
        for word in &words {
            let bare = word.strip_prefix('!').unwrap_or(word);
            if bare.is_empty() {
                return Err("an empty name after `!`".to_owned());
            }
        }
        Ok(Self { words })
    }

    /// The words, for child processes.
    pub(super) fn words(&self) -> &[String] {
        &self.words
    }

    fn word_matches(word: &str, dll: &str, name: &str) -> bool {
        if let Some((d, n)) = word.split_once('!') {
            return matches(d, stem(dll)) && matches(n, name);
        }
        if word.eq_ignore_ascii_case("crt") {
            return is_crt(dll);
        }
        if let Some(category) = CATEGORIES.iter().find(|c| c.name.eq_ignore_ascii_case(word)) {
            if category.names.iter().any(|n| matches(n, name)) {
                return true;
            }
            let function = (!is_crt(dll)).then(|| Table::shared().find(dll, name)).flatten();
            return function.is_some_and(|f| category.topics.iter().any(|t| f.topic.starts_with(t)));
        }
        matches(word, name)
    }

    /// Whether a function passes.
    pub(super) fn passes(&self, dll: &str, name: &str) -> bool {
        let (mut wanted, mut any) = (false, false);
        for word in &self.words {
            match word.strip_prefix('!') {
                Some(word) if Self::word_matches(word, dll, name) => return false,
                Some(_) => {}
                None => {
                    any = true;
                    wanted |= Self::word_matches(word, dll, name);
                }
            }
        }
        wanted || !any
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn filter(words: &[&str]) -> Filter {
        let words: Vec<String> = words.iter().map(|w| (*w).to_owned()).collect();
        Filter::new(&words).expect("the words are good")
    }

    #[test]
    fn patterns_and_dlls() {
        let f = filter(&["kernel32!Create*"]);
        assert!(f.passes("kernel32.dll", "CreateFileW") && f.passes("kernel32.dll", "createfilew"));
        assert!(!f.passes("ntdll.dll", "CreateFileW") && !f.passes("kernel32.dll", "ReadFile"));
    }

    #[test]
    fn topics() {
        let f = filter(&["file"]);
        assert!(f.passes("kernel32.dll", "ReadFile") && f.passes("msvcrt.dll", "fopen"));
        assert!(!f.passes("kernel32.dll", "HeapAlloc") && !f.passes("advapi32.dll", "RegOpenKeyExW"));
        assert!(filter(&["registry"]).passes("advapi32.dll", "RegOpenKeyExW"));
        assert!(filter(&["crt"]).passes("ucrtbase.dll", "strlen"));
    }

    #[test]
    fn negation() {
        let f = filter(&["!heap,!time"]);
        assert!(f.passes("kernel32.dll", "CreateFileW"));
        assert!(!f.passes("kernel32.dll", "HeapAlloc") && !f.passes("kernel32.dll", "GetSystemTime"));
        let f = filter(&["kernel32!*", "!heap"]);
        assert!(f.passes("kernel32.dll", "ReadFile"));
        assert!(!f.passes("kernel32.dll", "HeapFree") && !f.passes("user32.dll", "MessageBoxW"));
    }
}
