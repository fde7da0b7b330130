/* What a program asks the system: version, processors, clocks, time zones, facts about itself, and the small services
 * of ntdll (counted strings, numbers, status codes).
 * Documentation: GetSystemInfo, VerifyVersionInfoW, GetTimeZoneInformation, GetProcessTimes, RtlInitUnicodeString ... */
#include "check.h"
#include <psapi.h>
#include <winternl.h>

static FARPROC ntdll(const char *name) { return GetProcAddress(GetModuleHandleA("ntdll.dll"), name); }
static FARPROC kernel(const char *name) { return GetProcAddress(GetModuleHandleA("kernel32.dll"), name); }

static void version(void)
{
    OSVERSIONINFOEXW v = {0};
    NTSTATUS(NTAPI * get)(OSVERSIONINFOEXW *) = (NTSTATUS(NTAPI *)(OSVERSIONINFOEXW *))(void *)ntdll("RtlGetVersion");
    DWORDLONG mask = 0;
    DWORD product = 0;
    BOOL(WINAPI * info)(DWORD, DWORD, DWORD, DWORD, DWORD *) = (void *)kernel("GetProductInfo");
    v.dwOSVersionInfoSize = sizeof v;
    CHECK_HEX("RtlGetVersion", get(&v), 0);
    CHECK("Windows 10 or later", v.dwMajorVersion >= 10 && v.dwBuildNumber >= 10240);
    CHECK_INT("platform", v.dwPlatformId, VER_PLATFORM_WIN32_NT);
    CHECK_INT("workstation", v.wProductType, VER_NT_WORKSTATION);
    mask = VerSetConditionMask(mask, VER_MAJORVERSION, VER_GREATER_EQUAL);
    mask = VerSetConditionMask(mask, VER_MINORVERSION, VER_GREATER_EQUAL);
    v.dwMajorVersion = 6;
    v.dwMinorVersion = 1;
    CHECK("at least 6.1", VerifyVersionInfoW(&v, VER_MAJORVERSION | VER_MINORVERSION, mask));
    v.dwMajorVersion = 99;
    CHECK_ERR("at least 99.1", VerifyVersionInfoW(&v, VER_MAJORVERSION | VER_MINORVERSION, mask), ERROR_OLD_WIN_VERSION);
    CHECK_ERR("no type asked for", VerifyVersionInfoW(&v, 0, mask), ERROR_BAD_ARGUMENTS);
    v.dwOSVersionInfoSize = 10;
    CHECK_ERR("GetVersionEx of a bad size", GetVersionExW((OSVERSIONINFOW *)&v), ERROR_INSUFFICIENT_BUFFER);
    CHECK("GetProductInfo", info(6, 1, 0, 0, &product) && product != 0);
    CHECK("wine_get_version is not there", ntdll("wine_get_version") == NULL);
}

static void processors(void)
{
    SYSTEM_INFO si;
    DWORD_PTR own = 0, all = 0;
    char buffer[4096];
    DWORD len = 0, i, cores = 0;
    ULONG highest = 9;
    GetSystemInfo(&si);
#if defined(__x86_64__)
    CHECK_INT("architecture", si.wProcessorArchitecture, PROCESSOR_ARCHITECTURE_AMD64);
#elif defined(__i386__)
    CHECK_INT("architecture", si.wProcessorArchitecture, PROCESSOR_ARCHITECTURE_INTEL);
    GetNativeSystemInfo(&si);
    CHECK_INT("native architecture", si.wProcessorArchitecture, PROCESSOR_ARCHITECTURE_AMD64);
#else
    CHECK_INT("architecture", si.wProcessorArchitecture, PROCESSOR_ARCHITECTURE_ARM64);
#endif
    CHECK("GetProcessAffinityMask", GetProcessAffinityMask(GetCurrentProcess(), &own, &all));
    CHECK_HEX("all processors", own, all);
    CHECK_HEX("the mask of GetSystemInfo", si.dwActiveProcessorMask, all);
    CHECK_ERR("no processor", SetProcessAffinityMask(GetCurrentProcess(), 0), ERROR_INVALID_PARAMETER);
    CHECK_ERR("topology, no buffer", GetLogicalProcessorInformation(NULL, &len), ERROR_INSUFFICIENT_BUFFER);
    CHECK("topology", len <= sizeof buffer && GetLogicalProcessorInformation((void *)buffer, &len));
    for (i = 0; i < len / sizeof(SYSTEM_LOGICAL_PROCESSOR_INFORMATION); i++)
        if (((SYSTEM_LOGICAL_PROCESSOR_INFORMATION *)buffer)[i].Relationship == RelationProcessorCore) cores++;
    CHECK("cores", cores >= 1 && cores <= si.dwNumberOfProcessors);
    CHECK("one NUMA node", GetNumaHighestNodeNumber(&highest) && highest == 0);
    CHECK("current processor", GetCurrentProcessorNumber() < si.dwNumberOfProcessors);
}

static void clocks(void)
{
    LARGE_INTEGER f, a, b;
    FILETIME created, ended, kern, user, now;
    SYSTEMTIME st = {2024, 2, 0, 29, 12, 34, 56, 789}, back;
    TIME_ZONE_INFORMATION zone;
    ULARGE_INTEGER c, n;
    WORD day, clock;
    DWORD id, ticks = GetTickCount();
    CHECK("frequency", QueryPerformanceFrequency(&f) && f.QuadPart >= 1000000);
    QueryPerformanceCounter(&a);
    Sleep(20);
    QueryPerformanceCounter(&b);
    CHECK("the counter counts", (b.QuadPart - a.QuadPart) * 1000 / f.QuadPart >= 15);
    CHECK("the ticks tick", GetTickCount() - ticks >= 10);
    CHECK("SystemTimeToFileTime", SystemTimeToFileTime(&st, &now));
    CHECK("FileTimeToSystemTime", FileTimeToSystemTime(&now, &back));
    CHECK_INT("29 February 2024 was a Thursday", back.wDayOfWeek, 4);
    CHECK_INT("milliseconds", back.wMilliseconds, 789);
    st.wDay = 30;
    CHECK_ERR("30 February", SystemTimeToFileTime(&st, &now), ERROR_INVALID_PARAMETER);
    st.wDay = 29;
    SystemTimeToFileTime(&st, &now);
    CHECK("FileTimeToDosDateTime", FileTimeToDosDateTime(&now, &day, &clock));
    CHECK_HEX("DOS date", day, (44 << 9) | (2 << 5) | 29);
    CHECK_HEX("DOS time", clock, (12 << 11) | (34 << 5) | 28);
    CHECK("DosDateTimeToFileTime", DosDateTimeToFileTime(day, clock, &now) && FileTimeToSystemTime(&now, &back));
    CHECK_INT("two-second steps", back.wSecond * 1000 + back.wMilliseconds, 56000);
    id = GetTimeZoneInformation(&zone);
    CHECK("GetTimeZoneInformation", id <= TIME_ZONE_ID_DAYLIGHT && zone.StandardName[0]);
    CHECK("UTC and back", SystemTimeToTzSpecificLocalTime(NULL, &st, &back) && TzSpecificLocalTimeToSystemTime(NULL, &back, &back));
    CHECK("the same", back.wDay == 29 && back.wHour == 12 && back.wMinute == 34);
    memset(&zone, 0, sizeof zone);
    zone.Bias = -60;
    zone.StandardDate.wMonth = 10, zone.StandardDate.wDay = 5, zone.StandardDate.wHour = 3;
    zone.DaylightDate.wMonth = 3, zone.DaylightDate.wDay = 5, zone.DaylightDate.wHour = 2;
    zone.DaylightBias = -60;
    st.wMonth = 7;
    CHECK("summer in Berlin", SystemTimeToTzSpecificLocalTime(&zone, &st, &back));
    CHECK_INT("two hours ahead", back.wHour, 14);
    st.wMonth = 1;
    CHECK("winter in Berlin", SystemTimeToTzSpecificLocalTime(&zone, &st, &back));
    CHECK_INT("one hour ahead", back.wHour, 13);
    CHECK("GetProcessTimes", GetProcessTimes(GetCurrentProcess(), &created, &ended, &kern, &user));
    GetSystemTimeAsFileTime(&now);
    c.LowPart = created.dwLowDateTime, c.HighPart = created.dwHighDateTime;
    n.LowPart = now.dwLowDateTime, n.HighPart = now.dwHighDateTime;
    CHECK("made before now", c.QuadPart < n.QuadPart + 100000 && n.QuadPart < c.QuadPart + 36000000000ULL);
    CHECK_ERR("SetSystemTime", SetSystemTime(&st), ERROR_PRIVILEGE_NOT_HELD);
}

static void itself(void)
{
    PROCESS_MEMORY_COUNTERS pmc;
    WCHAR name[64], folder[64];
    DWORD size = 1;
    BOOL(WINAPI * memory)(HANDLE, PROCESS_MEMORY_COUNTERS *, DWORD) = (void *)kernel("K32GetProcessMemoryInfo");
    CHECK_INT("GetProcessId", GetProcessId(GetCurrentProcess()), GetCurrentProcessId());
    CHECK_ERR("a bad handle", GetProcessId((HANDLE)(intptr_t)0x123454), ERROR_INVALID_HANDLE);
    CHECK_INT("priority class", GetPriorityClass(GetCurrentProcess()), NORMAL_PRIORITY_CLASS);
    CHECK_ERR("no such class", SetPriorityClass(GetCurrentProcess(), 3), ERROR_INVALID_PARAMETER);
    CHECK("memory counters", memory(GetCurrentProcess(), &pmc, sizeof pmc) && pmc.cb == sizeof pmc);
    CHECK("peak", pmc.WorkingSetSize > 0 && pmc.PeakWorkingSetSize >= pmc.WorkingSetSize);
    CHECK_ERR("short counters", memory(GetCurrentProcess(), &pmc, 4), ERROR_INSUFFICIENT_BUFFER);
    CHECK_ERR("GetComputerName, too short", GetComputerNameW(name, &size), ERROR_BUFFER_OVERFLOW);
    size = 64;
    CHECK("GetComputerName", GetComputerNameW(name, &size) && size > 0 && name[size] == 0);
    CHECK("GetWindowsDirectory", GetWindowsDirectoryW(folder, 64) == 10);
    CHECK_WSTR("C:\\Windows", folder, L"C:\\Windows");
    CHECK_INT("room needed", GetSystemDirectoryW(folder, 5), 20);
    CHECK("encoded pointers", DecodePointer(EncodePointer(&pmc)) == &pmc && EncodePointer(&pmc) != &pmc);
}

static void counted_strings(void)
{
    void(NTAPI * init)(UNICODE_STRING *, const WCHAR *) = (void *)ntdll("RtlInitUnicodeString");
    LONG(NTAPI * compare)(UNICODE_STRING *, UNICODE_STRING *, BOOLEAN) = (void *)ntdll("RtlCompareUnicodeString");
    NTSTATUS(NTAPI * narrow)(ANSI_STRING *, UNICODE_STRING *, BOOLEAN) = (void *)ntdll("RtlUnicodeStringToAnsiString");
    NTSTATUS(NTAPI * append)(UNICODE_STRING *, const WCHAR *) = (void *)ntdll("RtlAppendUnicodeToString");
    NTSTATUS(NTAPI * number)(ULONG, ULONG, UNICODE_STRING *) = (void *)ntdll("RtlIntegerToUnicodeString");
    NTSTATUS(NTAPI * value)(UNICODE_STRING *, ULONG, ULONG *) = (void *)ntdll("RtlUnicodeStringToInteger");
    void(NTAPI * release)(ANSI_STRING *) = (void *)ntdll("RtlFreeAnsiString");
    ULONG(NTAPI * error)(NTSTATUS) = (void *)ntdll("RtlNtStatusToDosError");
    UNICODE_STRING a, b, u;
    ANSI_STRING s;
    WCHAR room[8] = L"";
    ULONG n = 0;
    init(&a, L"Hello");
    init(&b, L"hELLO");
    CHECK_INT("length in bytes", a.Length, 10);
    CHECK_INT("room in bytes", a.MaximumLength, 12);
    CHECK("case matters", compare(&a, &b, FALSE) < 0);
    CHECK_INT("case does not matter", compare(&a, &b, TRUE), 0);
    init(&u, NULL);
    CHECK("of nothing", u.Length == 0 && u.MaximumLength == 0 && u.Buffer == NULL);
    CHECK_HEX("to ANSI", narrow(&s, &a, TRUE), 0);
    CHECK_STR("in ANSI", s.Buffer, "Hello");
    release(&s);
    CHECK("freed", s.Buffer == NULL);
    u.Buffer = room, u.Length = 0, u.MaximumLength = sizeof room;
    CHECK_HEX("append", append(&u, L"abc"), 0);
    CHECK_HEX("append again", append(&u, L"def"), 0);
    CHECK_WSTR("appended", room, L"abcdef");
    CHECK_HEX("no room", (ULONG)append(&u, L"ghi"), 0xC0000023u);
    CHECK_HEX("number", number(0xBEEF, 16, &u), 0);
    CHECK_WSTR("in hexadecimal", room, L"BEEF");
    init(&b, L"0x1F");
    CHECK("value", value(&b, 0, &n) == 0 && n == 31);
    CHECK_INT("STATUS_ACCESS_DENIED", error((NTSTATUS)0xC0000022), ERROR_ACCESS_DENIED);
    CHECK_INT("STATUS_OBJECT_NAME_NOT_FOUND", error((NTSTATUS)0xC0000034), ERROR_FILE_NOT_FOUND);
    CHECK_INT("an unknown status", error((NTSTATUS)0xC0FF1234), ERROR_MR_MID_NOT_FOUND);
}

static void native_services(void)
{
    NTSTATUS(NTAPI * allocate)(HANDLE, void **, ULONG_PTR, SIZE_T *, ULONG, ULONG) = (void *)ntdll("NtAllocateVirtualMemory");
    NTSTATUS(NTAPI * release)(HANDLE, void **, SIZE_T *, ULONG) = (void *)ntdll("NtFreeVirtualMemory");
    NTSTATUS(NTAPI * system)(int, void *, ULONG, ULONG *) = (void *)ntdll("NtQuerySystemInformation");
    NTSTATUS(NTAPI * process)(HANDLE, int, void *, ULONG, ULONG *) = (void *)ntdll("NtQueryInformationProcess");
    SYSTEM_BASIC_INFORMATION basic;
    PROCESS_BASIC_INFORMATION pbi;
    ULONG len = 0;
    void *at = NULL;
    SIZE_T size = 5;
    CHECK_HEX("NtAllocateVirtualMemory", allocate(GetCurrentProcess(), &at, 0, &size, MEM_COMMIT, PAGE_READWRITE), 0);
    CHECK("whole pages", at && size == 4096);
    size = 0;
    CHECK_HEX("NtFreeVirtualMemory", release(GetCurrentProcess(), &at, &size, MEM_RELEASE), 0);
    size = 5;
    CHECK_HEX("a bad protection", (ULONG)allocate(GetCurrentProcess(), &at, 0, &size, MEM_COMMIT, 0), 0xC0000045u);
    CHECK_HEX("system information", system(0, &basic, sizeof basic, &len), 0);
    CHECK_INT("its size", len, sizeof basic);
    CHECK_HEX("a short buffer", (ULONG)system(0, &basic, 4, &len), 0xC0000004u);
    CHECK_HEX("no such class", (ULONG)system(9999, &basic, sizeof basic, &len), 0xC0000003u);
    CHECK_HEX("process information", process(GetCurrentProcess(), 0, &pbi, sizeof pbi, &len), 0);
    CHECK_INT("its id", pbi.UniqueProcessId, GetCurrentProcessId());
    CHECK("its environment block", pbi.PebBaseAddress != NULL);
}

int main(void)
{
    version();
    processors();
    clocks();
    itself();
    counted_strings();
    native_services();
    return check_done();
}
