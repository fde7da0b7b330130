/* What programs ask of a machine that has no window, no sound and no administrator: counters, keys, loaded modules, stacks, and the
 * failures that are documented. Derived from the documentation pages of the functions. */
#include "check.h"
#include <mmsystem.h>
#include <pdh.h>
#include <pdhmsg.h>
#include <dbghelp.h>

static void counters(void)
{
    PDH_HQUERY query = NULL;
    PDH_HCOUNTER idle = NULL, memory = NULL, none = NULL;
    PDH_FMT_COUNTERVALUE value;
    DWORD begin = GetTickCount();

    CHECK_HEX("PdhOpenQueryW", (DWORD)PdhOpenQueryW(NULL, 0, &query), 0);
    CHECK_HEX("processor", (DWORD)PdhAddEnglishCounterW(query, L"\\Processor(_Total)\\% Idle Time", 0, &idle), 0);
    CHECK_HEX("memory", (DWORD)PdhAddEnglishCounterA(query, "\\Memory\\Available Bytes", 0, &memory), 0);
    CHECK_HEX("no object", (DWORD)PdhAddEnglishCounterW(query, L"\\Toaster(0)\\Slices", 0, &none), (DWORD)PDH_CSTATUS_NO_OBJECT);
    CHECK_HEX("collected", (DWORD)PdhCollectQueryData(query), 0);
    CHECK_HEX("one collection is not enough", (DWORD)PdhGetFormattedCounterValue(idle, PDH_FMT_DOUBLE, NULL, &value),
              (DWORD)PDH_INVALID_DATA);
    while (GetTickCount() - begin < 30) Sleep(5);
    CHECK_HEX("collected again", (DWORD)PdhCollectQueryData(query), 0);
    CHECK_HEX("value", (DWORD)PdhGetFormattedCounterValue(idle, PDH_FMT_DOUBLE, NULL, &value), 0);
    CHECK("per cent", value.doubleValue >= 0 && value.doubleValue <= 100);
    CHECK_HEX("memory value", (DWORD)PdhGetFormattedCounterValue(memory, PDH_FMT_LARGE, NULL, &value), 0);
    CHECK("bytes", value.largeValue > 1 << 20);
    CHECK_HEX("PdhRemoveCounter", (DWORD)PdhRemoveCounter(memory), 0);
    CHECK_HEX("PdhCloseQuery", (DWORD)PdhCloseQuery(query), 0);
    CHECK_HEX("closed", (DWORD)PdhCollectQueryData(query), (DWORD)PDH_INVALID_HANDLE);
}

static void keys(void)
{
    BYTE held[256] = {0};
    WCHAR unit = 0;

    CHECK_HEX("VkKeyScanW", (USHORT)VkKeyScanW(L'%'), 0x135);
    CHECK_HEX("VkKeyScanW lower", (USHORT)VkKeyScanW(L'a'), 0x41);
    CHECK_HEX("MapVirtualKeyW", MapVirtualKeyW('A', MAPVK_VK_TO_VSC), 0x1E);
    CHECK_HEX("MapVirtualKeyW back", MapVirtualKeyW(0x1E, MAPVK_VSC_TO_VK), 'A');
    CHECK_HEX("MapVirtualKeyW char", MapVirtualKeyW(VK_OEM_2, MAPVK_VK_TO_CHAR), '/');
    CHECK_INT("ToUnicode", ToUnicode('5', 0, held, &unit, 1, 0), 1);
    CHECK_HEX("5", unit, '5');
    held[VK_SHIFT] = 0x80;
    CHECK_INT("ToUnicode shift", ToUnicode('5', 0, held, &unit, 1, 0), 1);
    CHECK_HEX("per cent", unit, '%');
}

static DWORD WINAPI count_module(PCWSTR name, DWORD64 base, ULONG size, PVOID data)
{
    if (name && base && size) ++*(int *)data;
    return TRUE;
}

static __attribute__((noinline)) int frames(void)
{
    CONTEXT context;
    STACKFRAME64 frame;
    DWORD machine;
    int count = 0;

    memset(&frame, 0, sizeof frame);
    RtlCaptureContext(&context);
#if defined(__x86_64__)
    machine = IMAGE_FILE_MACHINE_AMD64;
    frame.AddrPC.Offset = context.Rip, frame.AddrStack.Offset = context.Rsp, frame.AddrFrame.Offset = context.Rbp;
#elif defined(__aarch64__)
    machine = 0xAA64;
    frame.AddrPC.Offset = context.Pc, frame.AddrStack.Offset = context.Sp, frame.AddrFrame.Offset = context.Fp;
#else
    machine = IMAGE_FILE_MACHINE_I386;
    frame.AddrPC.Offset = context.Eip, frame.AddrStack.Offset = context.Esp, frame.AddrFrame.Offset = context.Ebp;
#endif
    frame.AddrPC.Mode = frame.AddrStack.Mode = frame.AddrFrame.Mode = AddrModeFlat;
    while (count < 100 && StackWalk64(machine, GetCurrentProcess(), GetCurrentThread(), &frame, &context, NULL,
                                      SymFunctionTableAccess64, SymGetModuleBase64, NULL))
        count++;
    return count;
}

static void modules(void)
{
    int count = 0, depth;

    CHECK("EnumerateLoadedModulesW64", EnumerateLoadedModulesW64(GetCurrentProcess(), (PENUMLOADED_MODULES_CALLBACKW64)count_module,
                                                                 &count));
    CHECK("some modules", count >= 3);
    CHECK("SymGetModuleBase64", SymGetModuleBase64(GetCurrentProcess(), (DWORD64)(ULONG_PTR)frames) ==
                                    (DWORD64)(ULONG_PTR)GetModuleHandleW(NULL));
    depth = frames();
    CHECK("StackWalk64", depth >= 2 && depth < 100);
}

static void failures(void)
{
    INPUT_RECORD record;
    HANDLE read, write;
    DWORD count = 0;
    ULONG heap = 99;
    PROCESS_MITIGATION_DEP_POLICY dep = {0};
    ULONG_PTR pages = 1, numbers[1];

    CreatePipe(&read, &write, NULL, 0);
    CHECK_ERR("a pipe has no input records", ReadConsoleInputW(read, &record, 1, &count), ERROR_INVALID_HANDLE);
    CHECK_ERR("none to look at", PeekConsoleInputA(read, &record, 1, &count), ERROR_INVALID_HANDLE);
    CHECK_ERR("none to put", WriteConsoleInputW(read, &record, 1, &count), ERROR_INVALID_HANDLE);
    CHECK_ERR("no cells", FillConsoleOutputCharacterA(write, 'x', 1, (COORD){0, 0}, &count), ERROR_INVALID_HANDLE);
    CHECK_ERR("no size", SetConsoleScreenBufferSize(write, (COORD){80, 25}), ERROR_INVALID_HANDLE);
    CloseHandle(read);
    CloseHandle(write);
    CHECK_INT("waveOutGetNumDevs", waveOutGetNumDevs(), 0);
    CHECK_ERR("AllocateUserPhysicalPages", AllocateUserPhysicalPages(GetCurrentProcess(), &pages, numbers),
              ERROR_PRIVILEGE_NOT_HELD);
    CHECK_ERR("SetVolumeLabelW", SetVolumeLabelW(L"C:\\", L"x"), ERROR_ACCESS_DENIED);
    CHECK("HeapQueryInformation", HeapQueryInformation(GetProcessHeap(), HeapCompatibilityInformation, &heap, sizeof heap, NULL));
    CHECK_INT("low fragmentation", heap, 2);
    CHECK("GetProcessMitigationPolicy", GetProcessMitigationPolicy(GetCurrentProcess(), ProcessDEPPolicy, &dep, sizeof dep));
    CHECK("DEP", dep.Enable);
    CHECK("SetThreadErrorMode", SetThreadErrorMode(SEM_FAILCRITICALERRORS, &count) && count == 0);
    CHECK_INT("GetThreadErrorMode", GetThreadErrorMode(), SEM_FAILCRITICALERRORS);
    CHECK_ERR("SetThreadErrorMode wrong", SetThreadErrorMode(4, NULL), ERROR_INVALID_PARAMETER);
    CHECK("NeedCurrentDirectoryForExePathW", NeedCurrentDirectoryForExePathW(L".\\x") && NeedCurrentDirectoryForExePathW(L"x"));
}

int main(void)
{
    counters();
    keys();
    modules();
    failures();
    return check_done();
}
