//! What the documentation says about a parameter and the metadata does not: that a number is a code page or a time-out, that a
//! buffer holds the structure which an information class names, that a count is the result.
//!
//! Worked out once per function, by the names that Microsoft's headers use throughout.

use transom_sigs::class::is_class;
use transom_sigs::format as flags;
use transom_sigs::{Enum, Extent, Function, Primitive, Table, Type, TypeId};

use super::sets::{Set, names};

/// What a parameter or result means beyond its type.
#[derive(Debug, Clone)]
pub(super) enum Sense {
    /// What its type says.
    Plain,
    /// One of these, or a set of them.
    Named(Box<Enum>),
    /// Milliseconds, or for ever.
    Timeout,
    /// A version in two bytes.
    Version,
    /// A single character behind a string pointer.
    Character,
    /// A string, or an address if GET_MODULE_HANDLE_EX_FLAG_FROM_ADDRESS is in the flags at this position.
    NameOrAddress(usize),
    /// What is asked about a locale: one of these, and modifiers of the answer in the high bits.
    LocaleType(Box<[Enum; 2]>),
    /// A buffer with the structure that the information class at this position names.
    Class(usize),
    /// Registry data, of the type that the parameter at this position receives.
    Registry(usize),
    /// A string whose length is the function's result.
    ResultLong,
    /// A socket option, whose names depend on the level at this position.
    Option(usize, Box<[Enum; 3]>),
}

/// The senses of a function's parameters.
pub(super) fn parameters(table: &Table, function: &Function) -> Vec<Sense> {
    (0..function.parameters.len()).map(|i| parameter(table, function, i)).collect()
}

fn parameter(table: &Table, function: &Function, i: usize) -> Sense {
    let p = &function.parameters[i];
    let named = |set| Sense::Named(Box::new(names(set)));
    let at = |name: &str| function.parameters.iter().position(|p| p.name == name);
    let plain = matches!(
        table.ty(p.ty),
        Type::Primitive(Primitive::U32 | Primitive::I32 | Primitive::U16 | Primitive::U8)
    );
    let socket = function.dll == "ws2_32.dll";
    match p.name {
        "CodePage" | "uiCodePage" | "wCodePageID" if plain => named(Set::CodePage),
        "dwFlags" if function.name.ends_with("WideChar") || function.name == "WideCharToMultiByte" => {
            named(Set::CodePageFlags)
        }
        "lpDefaultChar" => Sense::Character,
        "af" | "ai_family" if plain => named(Set::AddressFamily),
        "type" if socket && plain => named(Set::SocketType),
        "protocol" if socket => named(Set::Protocol),
        "level" if socket => named(Set::SocketLevel),
        "optname" if socket => at("level").map_or(Sense::Plain, |level| {
            Sense::Option(level, Box::new([Set::SocketOption, Set::TcpOption, Set::Ip6Option].map(names)))
        }),
        "cmd" | "dwIoControlCode" if socket => named(Set::SocketControl),
        "dwIoControlCode" | "IoControlCode" | "FsControlCode" => named(Set::DeviceControl),
        "how" if socket => named(Set::Shutdown),
        "flags" if socket && plain => named(Set::MessageFlags),
        "dwFlags" if function.name.starts_with("WSASocket") => named(Set::SocketFlags),
        "dwFlags" if function.name.starts_with("GetModuleHandleEx") => named(Set::ModuleHandle),
        "dwFlags" if function.name.starts_with("CreateWaitableTimerEx") => named(Set::WaitableTimer),
        "dwFlags" if function.name.starts_with("CreateEventEx") => named(Set::CreateEvent),
        "lpModuleName" if function.name.starts_with("GetModuleHandleEx") => {
            at("dwFlags").map_or(Sense::Plain, Sense::NameOrAddress)
        }
        "LCType" if plain => Sense::LocaleType(Box::new([Set::LocaleType, Set::LocaleModifier].map(names))),
        "Locale" if plain => named(Set::Locale),
        "dwMapFlags" if plain => named(Set::MapFlags),
        "dwInfoType" if plain => named(Set::CharacterType),
        "GroupNumber" if plain => named(Set::ProcessorGroup),
        "dwMask" if function.name == "SetHandleInformation" => named(Set::HandleFlags),
        "Condition" if function.name == "VerSetConditionMask" => named(Set::VersionCondition),
        "lpFileSystemFlags" => named(Set::FileSystem),
        "wVersionRequested" | "wVersionRequired" => Sense::Version,
        "lpData" if at("lpType").is_some() => Sense::Registry(at("lpType").unwrap_or(0)),
        "pvData" if at("pdwType").is_some() => Sense::Registry(at("pdwType").unwrap_or(0)),
        name if plain && is_timeout(name) => Sense::Timeout,
        _ if counted_by_result(function) && p.is(flags::PARAM_OUT) => Sense::ResultLong,
        _ => class(table, function, i).map_or(Sense::Plain, Sense::Class),
    }
}

fn is_timeout(name: &str) -> bool {
    let name = name.to_ascii_lowercase();
    name.contains("milliseconds") || name.contains("timeout")
}

/// Functions whose text results are not ended by a NUL, but as long as the function says.
fn counted_by_result(function: &Function) -> bool {
    matches!(
        function.name,
        "WideCharToMultiByte"
            | "MultiByteToWideChar"
            | "LCMapStringW"
            | "LCMapStringEx"
            | "LCMapStringA"
            | "FoldStringW"
    )
}

/// The information class that says what an untyped buffer holds.
fn class(table: &Table, function: &Function, i: usize) -> Option<usize> {
    let p = &function.parameters[i];
    let Type::Pointer(to) = table.ty(p.ty) else { return None };
    let untyped = matches!(table.ty(*to), Type::Primitive(Primitive::Void | Primitive::U8));
    let class = function.parameters.iter().position(|p| match table.ty(p.ty) {
        Type::Enum(e) => is_class(e.name),
        _ => false,
    });
    class.filter(|_| untyped && !matches!(p.extent, Some(Extent::Counted(_))))
}

/// The structure that a member of an information class stands for: `FileBasicInfo` is `FILE_BASIC_INFO`.
/// A forms have the A form of it.
pub(super) fn structure(table: &Table, member: &str, function: &str) -> Option<TypeId> {
    transom_sigs::class::structures(member).iter().find_map(|name| match name.strip_suffix('W') {
        Some(stem) if function.ends_with('A') => table.named(&format!("{stem}A")),
        _ => table.named(name),
    })
}

/// The type that a result has by its documentation, where the metadata has an integer.
pub(super) fn result(table: &Table, function: &Function) -> TypeId {
    let better = match function.name {
        name if name.starts_with("GetFileAttributes") => table.named("FILE_FLAGS_AND_ATTRIBUTES"),
        _ => None,
    };
    let integer = matches!(table.ty(function.returns), Type::Primitive(Primitive::U32));
    better.filter(|_| integer).unwrap_or(function.returns)
}
