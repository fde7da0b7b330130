//! What the registry says before anybody has written to it: what programs look up of a Windows 10 installation. Values
//! are texts or numbers; time zones come from the time service.

use std::collections::BTreeMap;

use windows_sys::Win32::System::Registry::{REG_BINARY, REG_DWORD, REG_EXPAND_SZ, REG_SZ};

use super::{SEPARATOR, Value, folded, split};
use crate::sysinfo;
use crate::time::zone::{ChangeDate, Zone};
use crate::time::{SystemTime, system_time};

enum Data {
    Text(&'static str),
    Expand(&'static str),
    Number(u32),
    /// A text that is made when asked for.
    Made(fn() -> String),
    /// A number that is found out when asked for.
    Found(fn() -> u32),
}
use Data::{Expand, Found, Made, Number, Text};

type Row = (&'static str, &'static [(&'static str, Data)]);

fn user() -> String {
    sysinfo::user_name().to_string_lossy().into_owned()
}

fn build() -> String {
    sysinfo::OS_BUILD.to_string()
}

fn machine() -> String {
    sysinfo::host_name().to_string_lossy().to_uppercase()
}

fn zone_name() -> String {
    Zone::local().windows_name().to_owned()
}

fn profile() -> String {
    format!("C:\\Users\\{}", user())
}

fn below_profile(rest: &str) -> String {
    format!("{}\\{rest}", profile())
}

fn vendor() -> String {
    sysinfo::cpu_info("vendor_id").unwrap_or_default()
}

fn identifier() -> String {
    let maker = if vendor() == "AuthenticAMD" { "AMD64" } else { "Intel64" };
    let (family, model) = sysinfo::processor_model();
    format!("{maker} Family {family} Model {} Stepping {}", model >> 8, model & 0xFF)
}

fn megahertz() -> u32 {
    let text = sysinfo::cpu_info("cpu MHz").unwrap_or_default();
    text.split('.').next().and_then(|whole| whole.parse().ok()).unwrap_or(0)
}

/// What is told of each processor, below `PROCESSORS\\0` and so on.
const PROCESSOR: &[(&str, Data)] = &[
    ("Identifier", Made(identifier)),
    ("ProcessorNameString", Made(|| sysinfo::cpu_info("model name").unwrap_or_default())),
    ("VendorIdentifier", Made(vendor)),
    ("~MHz", Found(megahertz)),
];

const PROCESSORS: &str = "MACHINE\\HARDWARE\\DESCRIPTION\\System\\CentralProcessor";

const TABLE: &[Row] = &[
    (
        "MACHINE\\SOFTWARE\\Microsoft\\Windows NT\\CurrentVersion",
        &[
            ("ProductName", Text("Windows 10 Pro")),
            ("CurrentVersion", Text("6.3")),
            ("CurrentMajorVersionNumber", Number(sysinfo::OS_MAJOR)),
            ("CurrentMinorVersionNumber", Number(sysinfo::OS_MINOR)),
            ("CurrentBuild", Made(build)),
            ("CurrentBuildNumber", Made(build)),
            ("UBR", Number(sysinfo::OS_REVISION)),
            ("DisplayVersion", Text(sysinfo::OS_DISPLAY_VERSION)),
            ("ReleaseId", Text("2009")),
            ("EditionID", Text("Professional")),
            ("InstallationType", Text("Client")),
            ("CurrentType", Text("Multiprocessor Free")),
            ("SystemRoot", Text("C:\\Windows")),
            ("PathName", Text("C:\\Windows")),
            ("RegisteredOwner", Made(user)),
        ],
    ),
    ("MACHINE\\SOFTWARE\\Microsoft\\Windows NT\\CurrentVersion\\Fonts", &[]),
    (
        "MACHINE\\SOFTWARE\\Microsoft\\Windows NT\\CurrentVersion\\ProfileList",
        &[
            ("ProfilesDirectory", Expand("%SystemDrive%\\Users")),
            ("ProgramData", Expand("%SystemDrive%\\ProgramData")),
            ("Public", Expand("%SystemDrive%\\Users\\Public")),
        ],
    ),
    (
        "MACHINE\\SOFTWARE\\Microsoft\\Windows\\CurrentVersion",
        &[
            ("ProgramFilesDir", Text("C:\\Program Files")),
            ("ProgramFilesDir (x86)", Text("C:\\Program Files (x86)")),
            ("ProgramW6432Dir", Text("C:\\Program Files")),
            ("CommonFilesDir", Text("C:\\Program Files\\Common Files")),
            ("CommonFilesDir (x86)", Text("C:\\Program Files (x86)\\Common Files")),
        ],
    ),
    ("MACHINE\\SOFTWARE\\Microsoft\\Windows\\CurrentVersion\\Uninstall", &[]),
    ("MACHINE\\SOFTWARE\\Microsoft\\Windows\\CurrentVersion\\App Paths", &[]),
    ("MACHINE\\SOFTWARE\\Classes", &[]),
    ("MACHINE\\SYSTEM\\CurrentControlSet\\Control", &[("CurrentUser", Text("USERNAME"))]),
    (
        "MACHINE\\SYSTEM\\CurrentControlSet\\Control\\ComputerName\\ActiveComputerName",
        &[("ComputerName", Made(machine))],
    ),
    (
        "MACHINE\\SYSTEM\\CurrentControlSet\\Control\\ComputerName\\ComputerName",
        &[("ComputerName", Made(machine))],
    ),
    ("MACHINE\\SYSTEM\\CurrentControlSet\\Control\\FileSystem", &[("LongPathsEnabled", Number(1))]),
    (
        "MACHINE\\SYSTEM\\CurrentControlSet\\Control\\Nls\\CodePage",
        &[
            ("ACP", Text("65001")),
            ("OEMCP", Text("65001")),
            ("MACCP", Text("65001")),
            ("1252", Text("c_1252.nls")),
            ("437", Text("c_437.nls")),
            ("65001", Text("")),
        ],
    ),
    (
        "MACHINE\\SYSTEM\\CurrentControlSet\\Control\\Nls\\Language",
        &[("Default", Text("0409")), ("InstallLanguage", Text("0409"))],
    ),
    (
        "MACHINE\\SYSTEM\\CurrentControlSet\\Control\\Session Manager\\Environment",
        &[
            ("ComSpec", Expand("%SystemRoot%\\system32\\cmd.exe")),
            ("OS", Text("Windows_NT")),
            ("Path", Expand("%SystemRoot%\\system32;%SystemRoot%")),
            ("PATHEXT", Text(".COM;.EXE;.BAT;.CMD")),
            ("PROCESSOR_ARCHITECTURE", Text("AMD64")),
            ("TEMP", Expand("%SystemRoot%\\TEMP")),
            ("TMP", Expand("%SystemRoot%\\TEMP")),
            ("windir", Expand("%SystemRoot%")),
        ],
    ),
    (
        "MACHINE\\SYSTEM\\CurrentControlSet\\Control\\TimeZoneInformation",
        &[("TimeZoneKeyName", Made(zone_name))],
    ),
    ("MACHINE\\SYSTEM\\CurrentControlSet\\Services\\Tcpip\\Parameters", &[("Hostname", Made(machine))]),
    ("MACHINE\\SYSTEM\\CurrentControlSet\\Services\\Tcpip\\Parameters\\Interfaces", &[]),
    ("USER\\Console", &[("VirtualTerminalLevel", Number(1))]),
    (
        "USER\\Control Panel\\International",
        &[
            ("Locale", Text("00000409")),
            ("LocaleName", Text("en-US")),
            ("sDecimal", Text(".")),
            ("sThousand", Text(",")),
            ("sShortDate", Text("M/d/yyyy")),
            ("sTimeFormat", Text("h:mm:ss tt")),
        ],
    ),
    (
        "USER\\Environment",
        &[
            ("TEMP", Expand("%USERPROFILE%\\AppData\\Local\\Temp")),
            ("TMP", Expand("%USERPROFILE%\\AppData\\Local\\Temp")),
        ],
    ),
    ("USER\\Software\\Classes", &[]),
    ("USER\\Software\\Microsoft\\Windows\\CurrentVersion\\Internet Settings", &[("ProxyEnable", Number(0))]),
    (
        "USER\\Software\\Microsoft\\Windows\\CurrentVersion\\Explorer\\Shell Folders",
        &[
            ("AppData", Made(|| below_profile("AppData\\Roaming"))),
            ("Local AppData", Made(|| below_profile("AppData\\Local"))),
            ("Desktop", Made(|| below_profile("Desktop"))),
            ("Personal", Made(|| below_profile("Documents"))),
        ],
    ),
    ("USERS\\.DEFAULT", &[]),
];

const ZONES: &str = "MACHINE\\SOFTWARE\\Microsoft\\Windows NT\\CurrentVersion\\Time Zones";

struct Node {
    /// Names of the subkeys.
    subkeys: Vec<Vec<u16>>,
    values: &'static [(&'static str, Data)],
    zone: Option<&'static str>,
}

/// The tree of defaults, by path in upper case.
pub(super) struct Defaults(BTreeMap<Vec<u16>, Node>);

impl std::fmt::Debug for Defaults {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Defaults({} keys)", self.0.len())
    }
}

fn text(kind: u32, text: &str) -> (u32, Vec<u8>) {
    (kind, text.encode_utf16().chain([0]).flat_map(u16::to_le_bytes).collect())
}

impl Data {
    fn make(&self) -> (u32, Vec<u8>) {
        match self {
            Self::Text(t) => text(REG_SZ, t),
            Self::Expand(t) => text(REG_EXPAND_SZ, t),
            Self::Number(n) => (REG_DWORD, n.to_le_bytes().to_vec()),
            Self::Made(make) => text(REG_SZ, &make()),
            Self::Found(find) => (REG_DWORD, find().to_le_bytes().to_vec()),
        }
    }
}

impl Defaults {
    pub(super) fn new() -> Self {
        let mut tree = Self(BTreeMap::new());
        for (path, values) in TABLE {
            let path: Vec<u16> = path.encode_utf16().collect();
            tree.node(&path).values = values;
        }
        for processor in 0..sysinfo::processor_count() {
            let path: Vec<u16> = format!("{PROCESSORS}\\{processor}").encode_utf16().collect();
            tree.node(&path).values = PROCESSOR;
        }
        for zone in Zone::windows_names() {
            let path: Vec<u16> = format!("{ZONES}\\{zone}").encode_utf16().collect();
            tree.node(&path).zone = Some(zone);
        }
        tree
    }

    /// The node of a path, made with those above it.
    fn node(&mut self, path: &[u16]) -> &mut Node {
        let key = folded(path);
        if !self.0.contains_key(&key)
            && let Some((parent, name)) = split(path)
        {
            self.node(parent).subkeys.push(name.to_vec());
        }
        self.0.entry(key).or_insert_with(|| Node { subkeys: Vec::new(), values: &[], zone: None })
    }

    pub(super) fn has(&self, path: &[u16]) -> bool {
        self.0.contains_key(path)
    }

    pub(super) fn subkeys(&self, path: &[u16]) -> Vec<Vec<u16>> {
        self.0.get(path).map(|node| node.subkeys.clone()).unwrap_or_default()
    }

    pub(super) fn values(&self, path: &[u16]) -> Vec<Value> {
        let Some(node) = self.0.get(path) else { return Vec::new() };
        let value = |name: &str, (kind, data)| Value { name: name.encode_utf16().collect(), kind, data };
        let mut values: Vec<Value> =
            node.values.iter().map(|(name, data)| value(name, data.make())).collect();
        let is_local =
            || path.ends_with(&folded(&"\\TimeZoneInformation".encode_utf16().collect::<Vec<_>>()));
        if let Some(zone) = node.zone {
            values.extend(zone_values(zone).into_iter().map(|(name, data)| value(name, data)));
        } else if path.last() != Some(&SEPARATOR) && is_local() {
            let year = rules(&Zone::local());
            values.push(value("Bias", (REG_DWORD, year.0.to_le_bytes().to_vec())));
        }
        values
    }
}

/// A zone's biases this year and its changes.
fn rules(zone: &Zone) -> (i32, i32, Option<(ChangeDate, ChangeDate)>) {
    let year = SystemTime::from_file_time(system_time()).map_or(2026, |t| i64::from(t.year));
    let rules = zone.year(year);
    (rules.bias, rules.daylight_bias, rules.changes)
}

/// The values of a zone: its names, and REG_TZI_FORMAT.
fn zone_values(name: &'static str) -> Vec<(&'static str, (u32, Vec<u8>))> {
    let zone = Zone::by_windows_name(name).unwrap_or_else(Zone::utc);
    let (bias, daylight_bias, changes) = rules(&zone);
    let mut tzi = Vec::new();
    for number in [bias, 0, if changes.is_some() { daylight_bias } else { -60 }] {
        tzi.extend(number.to_le_bytes());
    }
    let none = [0u16; 8];
    let date = |c: ChangeDate| [0, c.month, c.day_of_week, c.week, c.hour, c.minute, c.second, 0];
    let (standard, daylight) = changes.map_or((none, none), |(s, d)| (date(s), date(d)));
    tzi.extend(standard.into_iter().chain(daylight).flat_map(u16::to_le_bytes));
    let sign = if bias <= 0 { '+' } else { '-' };
    let minutes = bias.unsigned_abs();
    let display = format!("(UTC{sign}{:02}:{:02}) {name}", minutes / 60, minutes % 60);
    let summer = name.replace("Standard", "Daylight");
    vec![
        ("Display", text(REG_SZ, &display)),
        ("Dlt", text(REG_SZ, &summer)),
        ("Std", text(REG_SZ, name)),
        ("TZI", (REG_BINARY, tzi)),
    ]
}
