/* What threads, waits, processes and time have besides the everyday: pulses, keyed events, barriers, timers with routines, affinity,
 * times, snapshots, jobs, resolutions, time zones. */
#include "check.h"
#include <tlhelp32.h>
#include <stdio.h>
#include <string.h>

#ifndef CREATE_WAITABLE_TIMER_HIGH_RESOLUTION
#define CREATE_WAITABLE_TIMER_HIGH_RESOLUTION 2
#endif

static HANDLE event, started;

static DWORD WINAPI waits_for_event(void *unused)
{
    (void)unused;
    SetEvent(started);
    return WaitForSingleObject(event, 20000);
}
static int code_of(HANDLE t)
{
    DWORD code = 0xbad;
    WaitForSingleObject(t, 60000);
    GetExitCodeThread(t, &code);
    CloseHandle(t);
    return (int)code;
}
static void pulses(void)
{
    HANDLE t;
    int i;
    event = CreateEventA(NULL, TRUE, FALSE, NULL);
    started = CreateEventA(NULL, FALSE, FALSE, NULL);
    CHECK("PulseEvent without waiters", PulseEvent(event) && WaitForSingleObject(event, 0) == WAIT_TIMEOUT);
    t = CreateThread(NULL, 0, waits_for_event, NULL, 0, NULL);
    WaitForSingleObject(started, 60000);
    for (i = 0; i < 2000 && WaitForSingleObject(t, 1) == WAIT_TIMEOUT; i++) PulseEvent(event);
    CHECK_INT("PulseEvent releases a waiter", code_of(t), WAIT_OBJECT_0);
    CHECK("and leaves the event reset", WaitForSingleObject(event, 0) == WAIT_TIMEOUT);
}

/* Keyed events: whoever releases waits for whoever waits. */
static LONG(WINAPI *create_keyed)(HANDLE *, ACCESS_MASK, void *, ULONG);
static LONG(WINAPI *wait_keyed)(HANDLE, const void *, BOOLEAN, const LARGE_INTEGER *);
static LONG(WINAPI *release_keyed)(HANDLE, const void *, BOOLEAN, const LARGE_INTEGER *);
static HANDLE keyed;
static LONG keys[2];
static DWORD WINAPI waits_for_key(void *key) { return (DWORD)wait_keyed(keyed, key, FALSE, NULL); }
static void keyed_events(void)
{
    HMODULE nt = GetModuleHandleA("ntdll.dll");
    LARGE_INTEGER soon;
    HANDLE t;
    create_keyed = (void *)GetProcAddress(nt, "NtCreateKeyedEvent");
    wait_keyed = (void *)GetProcAddress(nt, "NtWaitForKeyedEvent");
    release_keyed = (void *)GetProcAddress(nt, "NtReleaseKeyedEvent");
    soon.QuadPart = -100000;
    CHECK_HEX("NtCreateKeyedEvent", create_keyed(&keyed, GENERIC_ALL, NULL, 0), 0);
    CHECK_HEX("a release that nobody waits for", release_keyed(keyed, &keys[0], FALSE, &soon), 0x102);
    t = CreateThread(NULL, 0, waits_for_key, &keys[1], 0, NULL);
    CHECK_HEX("another key", release_keyed(keyed, &keys[0], FALSE, &soon), 0x102);
    CHECK_HEX("the key", release_keyed(keyed, &keys[1], FALSE, NULL), 0);
    CHECK_INT("the waiter", code_of(t), 0);
    CloseHandle(keyed);
}

static SYNCHRONIZATION_BARRIER barrier;
static volatile LONG arrived, last_ones, early;
static DWORD WINAPI meets(void *unused)
{
    int round;
    (void)unused;
    for (round = 1; round <= 50; round++) {
        InterlockedIncrement(&arrived);
        if (EnterSynchronizationBarrier(&barrier, 0)) InterlockedIncrement(&last_ones);
        if (arrived < 4 * round) InterlockedIncrement(&early);
        EnterSynchronizationBarrier(&barrier, SYNCHRONIZATION_BARRIER_FLAGS_SPIN_ONLY);
    }
    return 0;
}
static void barriers(void)
{
    HANDLE t[4];
    int i;
    CHECK("InitializeSynchronizationBarrier", InitializeSynchronizationBarrier(&barrier, 4, -1));
    for (i = 0; i < 4; i++) t[i] = CreateThread(NULL, 0, meets, NULL, 0, NULL);
    for (i = 0; i < 4; i++) code_of(t[i]);
    CHECK_INT("nobody goes on early", early, 0);
    CHECK_INT("one is the last, each time", last_ones, 50);
    CHECK("DeleteSynchronizationBarrier", DeleteSynchronizationBarrier(&barrier));
}

static volatile LONG timer_calls, apc_calls;
static void CALLBACK on_timer(void *context, DWORD low, DWORD high)
{
    (void)low;
    (void)high;
    InterlockedExchangeAdd(&timer_calls, (LONG)(LONG_PTR)context);
}
static void CALLBACK on_apc(ULONG_PTR n) { apc_calls += (LONG)n; }
static void timers(void)
{
    HANDLE t = CreateWaitableTimerA(NULL, TRUE, NULL), fine;
    LARGE_INTEGER due, from, to, frequency;
    int i;
    due.QuadPart = -10000;
    CHECK("SetWaitableTimer with a routine", SetWaitableTimer(t, &due, 2, on_timer, (void *)5, FALSE));
    for (i = 0; i < 1000 && timer_calls < 15; i++) SleepEx(1000, TRUE);
    CHECK("its routine, three times", timer_calls >= 15 && timer_calls % 5 == 0);
    CHECK("CancelWaitableTimer", CancelWaitableTimer(t));
    i = timer_calls;
    SleepEx(10, TRUE);
    CHECK_INT("no more calls", timer_calls, i);
    CHECK("QueueUserAPC", QueueUserAPC(on_apc, GetCurrentThread(), 3) && QueueUserAPC(on_apc, GetCurrentThread(), 4));
    Sleep(0);
    CHECK_INT("not before an alertable wait", apc_calls, 0);
    CHECK_INT("an alertable wait", SleepEx(1000, TRUE), WAIT_IO_COMPLETION);
    CHECK_INT("runs them all", apc_calls, 7);
    fine = CreateWaitableTimerExA(NULL, NULL, CREATE_WAITABLE_TIMER_HIGH_RESOLUTION, TIMER_ALL_ACCESS);
    CHECK("a high-resolution timer", fine != NULL);
    QueryPerformanceFrequency(&frequency);
    QueryPerformanceCounter(&from);
    due.QuadPart = -5000;
    SetWaitableTimer(fine, &due, 0, NULL, NULL, FALSE);
    CHECK("fires", WaitForSingleObject(fine, 10000) == WAIT_OBJECT_0);
    QueryPerformanceCounter(&to);
    CHECK("not before its time", (to.QuadPart - from.QuadPart) * 10000 / frequency.QuadPart >= 5);
    CloseHandle(fine);
    CloseHandle(t);
}

static void threads(void)
{
    DWORD_PTR process_mask = 0, system_mask = 0, before;
    FILETIME created, ended, kernel, user;
    ULONGLONG cycles, unbiased, later;
    volatile unsigned x = 0;
    unsigned i;
    CHECK("GetProcessAffinityMask", GetProcessAffinityMask(GetCurrentProcess(), &process_mask, &system_mask) && process_mask && !(process_mask & ~system_mask));
    before = SetThreadAffinityMask(GetCurrentThread(), process_mask & (0 - process_mask));
    CHECK_HEX("SetThreadAffinityMask", before, process_mask);
    CHECK_HEX("the mask is set", SetThreadAffinityMask(GetCurrentThread(), process_mask), process_mask & (0 - process_mask));
    CHECK_ERR("no processor", SetThreadAffinityMask(GetCurrentThread(), 0) != 0, ERROR_INVALID_PARAMETER);
    CHECK("SetThreadPriority", SetThreadPriority(GetCurrentThread(), THREAD_PRIORITY_BELOW_NORMAL));
    CHECK_INT("GetThreadPriority", GetThreadPriority(GetCurrentThread()), THREAD_PRIORITY_BELOW_NORMAL);
    CHECK_ERR("no such priority", SetThreadPriority(GetCurrentThread(), 77), ERROR_INVALID_PARAMETER);
    SetThreadPriority(GetCurrentThread(), THREAD_PRIORITY_NORMAL);
    QueryUnbiasedInterruptTime(&unbiased);
    for (;;) {
        for (i = 0; i < 100000; i++) x += i;
        GetThreadTimes(GetCurrentThread(), &created, &ended, &kernel, &user);
        if (user.dwLowDateTime + kernel.dwLowDateTime) break;
    }
    CHECK("GetThreadTimes", created.dwHighDateTime != 0);
    QueryUnbiasedInterruptTime(&later);
    CHECK("QueryUnbiasedInterruptTime", later > unbiased);
    CHECK("QueryThreadCycleTime", QueryThreadCycleTime(GetCurrentThread(), &cycles) && cycles);
}
static void snapshots(void)
{
    HANDLE s = CreateToolhelp32Snapshot(TH32CS_SNAPALL, 0);
    PROCESSENTRY32 p = {.dwSize = sizeof p};
    THREADENTRY32 t = {.dwSize = sizeof t};
    MODULEENTRY32 m = {.dwSize = sizeof m};
    int me = 0, mine = 0, program = 0, kernel = 0;
    BOOL more;
    CHECK("CreateToolhelp32Snapshot", s != INVALID_HANDLE_VALUE);
    for (more = Process32First(s, &p); more; more = Process32Next(s, &p)) me += p.th32ProcessID == GetCurrentProcessId();
    CHECK_INT("this process is in it", me, 1);
    CHECK_INT("the end of it", GetLastError(), ERROR_NO_MORE_FILES);
    for (more = Thread32First(s, &t); more; more = Thread32Next(s, &t)) mine += t.th32ThreadID == GetCurrentThreadId() && t.th32OwnerProcessID == GetCurrentProcessId();
    CHECK_INT("this thread is in it", mine, 1);
    for (more = Module32First(s, &m); more; more = Module32Next(s, &m)) {
        program += m.hModule == GetModuleHandleA(NULL);
        kernel += !lstrcmpiA(m.szModule, "kernel32.dll") && m.hModule == GetModuleHandleA("kernel32.dll");
    }
    CHECK_INT("the program is in it", program, 1);
    CHECK_INT("kernel32 is in it", kernel, 1);
    CloseHandle(s);
}
static void jobs(const char *self)
{
    HANDLE job = CreateJobObjectA(NULL, NULL), port = CreateIoCompletionPort(INVALID_HANDLE_VALUE, NULL, 0, 1);
    JOBOBJECT_EXTENDED_LIMIT_INFORMATION limits = {0};
    JOBOBJECT_ASSOCIATE_COMPLETION_PORT associate = {(void *)7, port};
    JOBOBJECT_BASIC_ACCOUNTING_INFORMATION accounting = {0};
    STARTUPINFOA si = {.cb = sizeof si};
    PROCESS_INFORMATION pi;
    char command[MAX_PATH + 20];
    DWORD message = 0, code = 0;
    ULONG_PTR key = 0;
    OVERLAPPED *id = NULL;
    BOOL in = FALSE;
    int over = 0, i;
    limits.BasicLimitInformation.LimitFlags = JOB_OBJECT_LIMIT_KILL_ON_JOB_CLOSE;
    CHECK("SetInformationJobObject: limits", SetInformationJobObject(job, JobObjectExtendedLimitInformation, &limits, sizeof limits));
    CHECK("SetInformationJobObject: port", SetInformationJobObject(job, JobObjectAssociateCompletionPortInformation, &associate, sizeof associate));
    sprintf(command, "\"%s\" sleep", self);
    CHECK("a suspended child", CreateProcessA(NULL, command, NULL, NULL, FALSE, CREATE_SUSPENDED, NULL, NULL, &si, &pi));
    CHECK("AssignProcessToJobObject", AssignProcessToJobObject(job, pi.hProcess));
    CHECK("IsProcessInJob", IsProcessInJob(pi.hProcess, job, &in) && in);
    CHECK_INT("ResumeThread", ResumeThread(pi.hThread), 1);
    CHECK("a notice", GetQueuedCompletionStatus(port, &message, &key, &id, 60000) && key == 7);
    CHECK("of the new process", message == JOB_OBJECT_MSG_NEW_PROCESS && (DWORD)(ULONG_PTR)id == pi.dwProcessId);
    CHECK("accounting", QueryInformationJobObject(job, JobObjectBasicAccountingInformation, &accounting, sizeof accounting, NULL) && accounting.ActiveProcesses == 1);
    CHECK("TerminateJobObject", TerminateJobObject(job, 33));
    CHECK("ends its processes", WaitForSingleObject(pi.hProcess, 60000) == WAIT_OBJECT_0 && GetExitCodeProcess(pi.hProcess, &code) && code == 33);
    for (i = 0; i < 3 && !over; i++) {
        if (!GetQueuedCompletionStatus(port, &message, &key, &id, 60000)) break;
        over = message == JOB_OBJECT_MSG_ACTIVE_PROCESS_ZERO;
    }
    CHECK("a notice that none is left", over);
    CloseHandle(pi.hThread);
    CloseHandle(pi.hProcess);
    CHECK("another child", CreateProcessA(NULL, command, NULL, NULL, FALSE, CREATE_SUSPENDED, NULL, NULL, &si, &pi));
    AssignProcessToJobObject(job, pi.hProcess);
    ResumeThread(pi.hThread);
    CloseHandle(job);
    CHECK("closing the job ends it", WaitForSingleObject(pi.hProcess, 60000) == WAIT_OBJECT_0);
    CloseHandle(pi.hThread);
    CloseHandle(pi.hProcess);
    CloseHandle(port);
}
/* Ctrl-Break for a process group: its first process passes it on to nobody, its child has a handler, this process is not in it. */
static volatile LONG breaks;
static BOOL WINAPI on_break(DWORD event)
{
    if (event == CTRL_BREAK_EVENT) breaks++;
    return event == CTRL_BREAK_EVENT;
}
static int in_group(const char *name)
{
    HANDLE ready = OpenEventA(EVENT_MODIFY_STATE, FALSE, name);
    int i;
    SetConsoleCtrlHandler(on_break, TRUE);
    SetEvent(ready);
    for (i = 0; i < 2000 && !breaks; i++) Sleep(10);
    return breaks == 1 ? 44 : 45;
}
static int leads_group(const char *self, const char *name)
{
    STARTUPINFOA si = {.cb = sizeof si};
    PROCESS_INFORMATION pi;
    char command[2 * MAX_PATH];
    DWORD code = 0;
    int i;
    SetConsoleCtrlHandler(on_break, TRUE);
    sprintf(command, "\"%s\" member %s", self, name);
    if (!CreateProcessA(NULL, command, NULL, NULL, FALSE, 0, NULL, NULL, &si, &pi)) return 1;
    WaitForSingleObject(pi.hProcess, 60000);
    GetExitCodeProcess(pi.hProcess, &code);
    for (i = 0; i < 2000 && !breaks; i++) Sleep(10);
    return (int)code + (int)breaks;
}
static void control_events(const char *self)
{
    const char *name = check_unique("transom-break");
    HANDLE ready = CreateEventA(NULL, FALSE, FALSE, name);
    STARTUPINFOA si = {.cb = sizeof si};
    PROCESS_INFORMATION pi;
    char command[2 * MAX_PATH];
    DWORD code = 0;
    SetConsoleCtrlHandler(on_break, TRUE);
    sprintf(command, "\"%s\" leader %s", self, name);
    CHECK("a process group", CreateProcessA(NULL, command, NULL, NULL, FALSE, CREATE_NEW_PROCESS_GROUP, NULL, NULL, &si, &pi));
    CHECK("is there", WaitForSingleObject(ready, 60000) == WAIT_OBJECT_0);
    CHECK("GenerateConsoleCtrlEvent", GenerateConsoleCtrlEvent(CTRL_BREAK_EVENT, pi.dwProcessId));
    WaitForSingleObject(pi.hProcess, 60000);
    GetExitCodeProcess(pi.hProcess, &code);
    CHECK_INT("all of the group get it", code, 45);
    CHECK_INT("and nobody else", breaks, 0);
    CHECK_ERR("no such event", GenerateConsoleCtrlEvent(77, 0), ERROR_INVALID_PARAMETER);
    CloseHandle(pi.hThread);
    CloseHandle(pi.hProcess);
}
static void time_zones(void)
{
    DYNAMIC_TIME_ZONE_INFORMATION zone;
    SYSTEMTIME utc = {2024, 1, 0, 15, 12, 0, 0, 0}, local, back;
    HMODULE mm = LoadLibraryA("winmm.dll");
    UINT(WINAPI *begin)(UINT) = (void *)GetProcAddress(mm, "timeBeginPeriod"), (WINAPI *end)(UINT) = (void *)GetProcAddress(mm, "timeEndPeriod");
    DWORD kind = GetDynamicTimeZoneInformation(&zone);
    CHECK("GetDynamicTimeZoneInformation", kind <= TIME_ZONE_ID_DAYLIGHT && zone.TimeZoneKeyName[0]);
    CHECK("SystemTimeToTzSpecificLocalTimeEx", SystemTimeToTzSpecificLocalTimeEx(&zone, &utc, &local));
    CHECK("and back", TzSpecificLocalTimeToSystemTimeEx(&zone, &local, &back) && back.wHour == 12 && back.wDay == 15);
    CHECK_INT("timeBeginPeriod", begin(1), 0);
    CHECK_INT("timeEndPeriod", end(1), 0);
    CHECK("timeBeginPeriod of nothing", begin(0) != 0);
}

int main(int argc, char **argv)
{
    char self[MAX_PATH];
    if (argc > 1 && !strcmp(argv[1], "sleep")) {
        Sleep(60000);
        return 5;
    }
    GetModuleFileNameA(NULL, self, sizeof self);
    if (argc > 2 && !strcmp(argv[1], "leader")) return leads_group(self, argv[2]);
    if (argc > 2 && !strcmp(argv[1], "member")) return in_group(argv[2]);
    pulses();
    keyed_events();
    barriers();
    timers();
    threads();
    snapshots();
    jobs(self);
    control_events(self);
    time_zones();
    return check_done();
}
