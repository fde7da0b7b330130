//! Names of numbers that the metadata has as plain integers: constants of the headers that belong to no enumeration there.

use transom_sigs::{Constant, Enum};
use windows_sys::Win32::Foundation as base;
use windows_sys::Win32::Globalization as nls;
use windows_sys::Win32::Networking::WinSock as sock;
use windows_sys::Win32::System::Diagnostics::Debug as debug;
use windows_sys::Win32::System::Ioctl as ioctl;
use windows_sys::Win32::System::LibraryLoader as libloader;
use windows_sys::Win32::System::SystemServices as services;
use windows_sys::Win32::System::Threading as threading;

/// Which numbers a set names.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Set {
    CodePage,
    CodePageFlags,
    AddressFamily,
    SocketType,
    Protocol,
    SocketLevel,
    SocketOption,
    TcpOption,
    Ip6Option,
    SocketControl,
    SocketFlags,
    MessageFlags,
    Shutdown,
    DeviceControl,
    ModuleHandle,
    WaitableTimer,
    CreateEvent,
    VersionCondition,
    FileSystem,
    Locale,
    LocaleType,
    LocaleModifier,
    MapFlags,
    CharacterType,
    ProcessorGroup,
    HandleFlags,
    Arm64Context,
}

macro_rules! set {
    ($flags:expr; $($module:ident::$name:ident),* $(,)?) => {
        Enum {
            name: "",
            base: 0,
            flags: $flags,
            members: vec![$(Constant { name: stringify!($name), value: i64::from($module::$name) }),*],
        }
    };
}

/// The names of a set.
pub(super) fn names(set: Set) -> Enum {
    match set {
        Set::CodePage => {
            set![false; nls::CP_ACP, nls::CP_OEMCP, nls::CP_MACCP, nls::CP_THREAD_ACP, nls::CP_SYMBOL, nls::CP_UTF7, nls::CP_UTF8]
        }
        Set::CodePageFlags => {
            set![true; nls::MB_PRECOMPOSED, nls::MB_COMPOSITE, nls::MB_USEGLYPHCHARS, nls::MB_ERR_INVALID_CHARS,
                 nls::WC_COMPOSITECHECK, nls::WC_ERR_INVALID_CHARS, nls::WC_NO_BEST_FIT_CHARS]
        }
        Set::AddressFamily => set![false; sock::AF_UNSPEC, sock::AF_UNIX, sock::AF_INET, sock::AF_INET6],
        Set::SocketType => {
            set![false; sock::SOCK_STREAM, sock::SOCK_DGRAM, sock::SOCK_RAW, sock::SOCK_RDM, sock::SOCK_SEQPACKET]
        }
        Set::Protocol => {
            set![false; sock::IPPROTO_ICMP, sock::IPPROTO_TCP, sock::IPPROTO_UDP, sock::IPPROTO_ICMPV6, sock::IPPROTO_RAW]
        }
        Set::SocketLevel => {
            set![false; sock::SOL_SOCKET, sock::IPPROTO_IP, sock::IPPROTO_TCP, sock::IPPROTO_UDP, sock::IPPROTO_IPV6]
        }
        Set::SocketOption => {
            set![false; sock::SO_DEBUG, sock::SO_ACCEPTCONN, sock::SO_REUSEADDR, sock::SO_KEEPALIVE, sock::SO_DONTROUTE,
                 sock::SO_BROADCAST, sock::SO_LINGER, sock::SO_OOBINLINE, sock::SO_SNDBUF, sock::SO_RCVBUF, sock::SO_SNDTIMEO,
                 sock::SO_RCVTIMEO, sock::SO_ERROR, sock::SO_TYPE, sock::SO_EXCLUSIVEADDRUSE, sock::SO_PROTOCOL_INFOW,
                 sock::SO_UPDATE_ACCEPT_CONTEXT, sock::SO_UPDATE_CONNECT_CONTEXT, sock::SO_RANDOMIZE_PORT]
        }
        Set::TcpOption => {
            set![false; sock::TCP_NODELAY, sock::TCP_KEEPALIVE, sock::TCP_KEEPIDLE, sock::TCP_KEEPINTVL, sock::TCP_KEEPCNT]
        }
        Set::Ip6Option => {
            set![false; sock::IPV6_V6ONLY, sock::IPV6_UNICAST_HOPS, sock::IPV6_MULTICAST_HOPS, sock::IPV6_MULTICAST_IF]
        }
        Set::SocketControl => {
            set![false; sock::FIONBIO, sock::FIONREAD, sock::SIOCATMARK, sock::SIO_GET_EXTENSION_FUNCTION_POINTER, sock::SIO_KEEPALIVE_VALS,
                 sock::SIO_UDP_CONNRESET, sock::SIO_BASE_HANDLE, sock::SIO_LOOPBACK_FAST_PATH, sock::SIO_BSP_HANDLE_POLL,
                 sock::SIO_ROUTING_INTERFACE_QUERY, sock::SIO_ADDRESS_LIST_QUERY]
        }
        Set::SocketFlags => set![true; sock::WSA_FLAG_OVERLAPPED, sock::WSA_FLAG_NO_HANDLE_INHERIT],
        Set::MessageFlags => {
            set![true; sock::MSG_OOB, sock::MSG_PEEK, sock::MSG_DONTROUTE, sock::MSG_WAITALL]
        }
        Set::Shutdown => set![false; sock::SD_RECEIVE, sock::SD_SEND, sock::SD_BOTH],
        Set::DeviceControl => {
            set![false; ioctl::FSCTL_GET_REPARSE_POINT, ioctl::FSCTL_SET_REPARSE_POINT, ioctl::FSCTL_DELETE_REPARSE_POINT,
                 ioctl::FSCTL_SET_SPARSE, ioctl::FSCTL_SET_ZERO_DATA, ioctl::FSCTL_QUERY_ALLOCATED_RANGES, ioctl::FSCTL_SET_COMPRESSION,
                 ioctl::FSCTL_GET_COMPRESSION, ioctl::FSCTL_LOCK_VOLUME, ioctl::FSCTL_UNLOCK_VOLUME,
                 ioctl::FSCTL_GET_OBJECT_ID, ioctl::FSCTL_CREATE_OR_GET_OBJECT_ID, ioctl::FSCTL_DUPLICATE_EXTENTS_TO_FILE,
                 ioctl::FSCTL_GET_INTEGRITY_INFORMATION, ioctl::IOCTL_STORAGE_QUERY_PROPERTY, ioctl::IOCTL_DISK_GET_LENGTH_INFO,
                 ioctl::IOCTL_DISK_GET_DRIVE_GEOMETRY, ioctl::IOCTL_STORAGE_GET_DEVICE_NUMBER]
        }
        Set::ModuleHandle => {
            set![true; libloader::GET_MODULE_HANDLE_EX_FLAG_PIN, libloader::GET_MODULE_HANDLE_EX_FLAG_UNCHANGED_REFCOUNT,
                 libloader::GET_MODULE_HANDLE_EX_FLAG_FROM_ADDRESS]
        }
        Set::WaitableTimer => {
            set![true; threading::CREATE_WAITABLE_TIMER_MANUAL_RESET, threading::CREATE_WAITABLE_TIMER_HIGH_RESOLUTION]
        }
        Set::CreateEvent => {
            set![true; threading::CREATE_EVENT_MANUAL_RESET, threading::CREATE_EVENT_INITIAL_SET]
        }
        Set::VersionCondition => {
            set![false; services::VER_EQUAL, services::VER_GREATER, services::VER_GREATER_EQUAL, services::VER_LESS,
                 services::VER_LESS_EQUAL, services::VER_AND, services::VER_OR]
        }
        Set::Locale => {
            set![false; nls::LOCALE_USER_DEFAULT, nls::LOCALE_SYSTEM_DEFAULT]
        }
        Set::LocaleType => {
            set![false; nls::LOCALE_ILANGUAGE, nls::LOCALE_SLOCALIZEDDISPLAYNAME, nls::LOCALE_SENGLISHLANGUAGENAME, nls::LOCALE_SABBREVLANGNAME,
                 nls::LOCALE_SNATIVELANGUAGENAME, nls::LOCALE_SENGLISHCOUNTRYNAME, nls::LOCALE_SABBREVCTRYNAME, nls::LOCALE_IDEFAULTLANGUAGE,
                 nls::LOCALE_IDEFAULTCODEPAGE, nls::LOCALE_IDEFAULTANSICODEPAGE, nls::LOCALE_SLIST, nls::LOCALE_SDECIMAL, nls::LOCALE_STHOUSAND,
                 nls::LOCALE_SGROUPING, nls::LOCALE_IDIGITS, nls::LOCALE_ILZERO, nls::LOCALE_SCURRENCY, nls::LOCALE_SINTLSYMBOL,
                 nls::LOCALE_SMONDECIMALSEP, nls::LOCALE_SMONTHOUSANDSEP, nls::LOCALE_SMONGROUPING, nls::LOCALE_ICURRDIGITS,
                 nls::LOCALE_IINTLCURRDIGITS, nls::LOCALE_ICURRENCY, nls::LOCALE_INEGCURR, nls::LOCALE_SPOSITIVESIGN, nls::LOCALE_SNEGATIVESIGN,
                 nls::LOCALE_SDATE, nls::LOCALE_STIME, nls::LOCALE_SSHORTDATE, nls::LOCALE_SLONGDATE, nls::LOCALE_STIMEFORMAT,
                 nls::LOCALE_IDATE, nls::LOCALE_ITIME, nls::LOCALE_S1159, nls::LOCALE_S2359, nls::LOCALE_ICALENDARTYPE,
                 nls::LOCALE_SDAYNAME1, nls::LOCALE_SMONTHNAME1, nls::LOCALE_SISO639LANGNAME, nls::LOCALE_SISO3166CTRYNAME, nls::LOCALE_SNAME,
                 nls::LOCALE_SPARENT, nls::LOCALE_SSORTNAME, nls::LOCALE_IMEASURE, nls::LOCALE_INEGNUMBER, nls::LOCALE_IFIRSTDAYOFWEEK]
        }
        Set::LocaleModifier => {
            set![true; nls::LOCALE_NOUSEROVERRIDE, nls::LOCALE_USE_CP_ACP, nls::LOCALE_RETURN_NUMBER, nls::LOCALE_RETURN_GENITIVE_NAMES]
        }
        Set::MapFlags => {
            set![true; nls::LCMAP_LOWERCASE, nls::LCMAP_UPPERCASE, nls::LCMAP_TITLECASE, nls::LCMAP_SORTKEY, nls::LCMAP_BYTEREV,
                 nls::LCMAP_LINGUISTIC_CASING, nls::LCMAP_HIRAGANA, nls::LCMAP_KATAKANA, nls::LCMAP_HALFWIDTH, nls::LCMAP_FULLWIDTH]
        }
        Set::CharacterType => set![false; nls::CT_CTYPE1, nls::CT_CTYPE2, nls::CT_CTYPE3],
        Set::ProcessorGroup => set![false; threading::ALL_PROCESSOR_GROUPS],
        Set::HandleFlags => set![true; base::HANDLE_FLAG_INHERIT, base::HANDLE_FLAG_PROTECT_FROM_CLOSE],
        Set::Arm64Context => {
            set![true; debug::CONTEXT_CONTROL_ARM64, debug::CONTEXT_INTEGER_ARM64, debug::CONTEXT_FLOATING_POINT_ARM64,
                 debug::CONTEXT_FULL_ARM64, debug::CONTEXT_ALL_ARM64]
        }
        Set::FileSystem => {
            set![true; services::FILE_CASE_SENSITIVE_SEARCH, services::FILE_CASE_PRESERVED_NAMES, services::FILE_UNICODE_ON_DISK,
                 services::FILE_PERSISTENT_ACLS, services::FILE_FILE_COMPRESSION, services::FILE_VOLUME_QUOTAS,
                 services::FILE_SUPPORTS_SPARSE_FILES, services::FILE_SUPPORTS_REPARSE_POINTS, services::FILE_VOLUME_IS_COMPRESSED,
                 services::FILE_SUPPORTS_OBJECT_IDS, services::FILE_SUPPORTS_ENCRYPTION, services::FILE_NAMED_STREAMS,
                 services::FILE_READ_ONLY_VOLUME, services::FILE_SUPPORTS_HARD_LINKS, services::FILE_SUPPORTS_EXTENDED_ATTRIBUTES,
                 services::FILE_SUPPORTS_OPEN_BY_FILE_ID, services::FILE_SUPPORTS_USN_JOURNAL,
                 services::FILE_RETURNS_CLEANUP_RESULT_INFO, services::FILE_SUPPORTS_POSIX_UNLINK_RENAME,
                 services::FILE_SUPPORTS_TRANSACTIONS, services::FILE_SUPPORTS_BLOCK_REFCOUNTING]
        }
    }
}
