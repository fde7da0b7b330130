/* Stress: lost wake-ups, deadlocks and leaks, if there are any.
 *
 *   stress                 each part for a fraction of a second, with checks (what the test suite runs)
 *   stress PART SECONDS    one part: waits, processes, suspend, threads
 *
 * Each part moves tokens about whose number is known, and a watchdog ends the program if nothing moves for a long time. */
#include "check.h"
#include <stdlib.h>
#include <string.h>
#include <stdio.h>

static volatile LONG stop;
static volatile LONG64 progress;
static unsigned part_seconds;
static DWORD part_ends;

static unsigned next_random(unsigned *state)
{
    *state = *state * 1664525u + 1013904223u;
    return *state >> 8;
}
static int is_over(void) { return (LONG)(GetTickCount() - part_ends) >= 0; }
static void begin_part(unsigned milliseconds)
{
    stop = 0;
    progress = 0;
    part_ends = GetTickCount() + milliseconds;
}
/* Sleeps until the part's end; ends the program if nothing moves for half a minute. */
static void watch(const char *part)
{
    LONG64 last = -1;
    DWORD since = GetTickCount();
    while (!is_over()) {
        LONG64 now = progress;
        Sleep(part_seconds ? 100 : 10);
        if (now != last) {
            last = now;
            since = GetTickCount();
        } else if (GetTickCount() - since > 30000) {
            CHECK(part, !"stands still");
            ExitProcess(2);
        }
    }
    stop = 1;
}
static void join(HANDLE *threads, int n, const char *name)
{
    int i, ended = 0;
    for (i = 0; i < n; i++) ended += WaitForSingleObject(threads[i], 60000) == WAIT_OBJECT_0;
    CHECK_INT(name, ended, n);
    if (ended != n) ExitProcess(3);
    for (i = 0; i < n; i++) CloseHandle(threads[i]);
}

/* Mixed waits. Tokens go round: semaphores' counts, auto-reset events that are set, mutexes that are free, and a queue under a
 * critical section with a condition variable. */
enum { KINDS = 4, EACH = 4 };
static HANDLE semaphores[EACH], events[EACH], mutexes[EACH];
static CRITICAL_SECTION section;
static SRWLOCK slim = SRWLOCK_INIT;
static CONDITION_VARIABLE filled = CONDITION_VARIABLE_INIT;
static volatile LONG in_queue, address_tokens, inside_mutex[EACH], inside_section, inside_slim, wrong;

static void take_any(unsigned *seed)
{
    HANDLE set[3];
    int s = next_random(seed) % EACH, e = next_random(seed) % EACH, m = next_random(seed) % EACH;
    DWORD r;
    set[0] = semaphores[s];
    set[1] = events[e];
    set[2] = mutexes[m];
    r = WaitForMultipleObjectsEx(3, set, FALSE, next_random(seed) % 3 ? 1000 : 0, next_random(seed) & 1);
    switch (r) {
    case 0: ReleaseSemaphore(semaphores[next_random(seed) % EACH], 1, NULL); break;
    case 1: SetEvent(events[e]); break;
    case 2:
        if (InterlockedIncrement(&inside_mutex[m]) != 1) wrong++;
        InterlockedDecrement(&inside_mutex[m]);
        ReleaseMutex(mutexes[m]);
        break;
    case WAIT_TIMEOUT:
    case WAIT_IO_COMPLETION: break;
    default: wrong++;
    }
}
static void take_all(unsigned *seed)
{
    HANDLE set[2];
    int m = next_random(seed) % EACH, s = next_random(seed) % EACH;
    set[0] = mutexes[m];
    set[1] = semaphores[s];
    if (WaitForMultipleObjects(2, set, TRUE, 20) == WAIT_OBJECT_0) {
        if (InterlockedIncrement(&inside_mutex[m]) != 1) wrong++;
        InterlockedDecrement(&inside_mutex[m]);
        ReleaseSemaphore(semaphores[s], 1, NULL);
        ReleaseMutex(mutexes[m]);
    }
}
static void use_queue(unsigned *seed)
{
    EnterCriticalSection(&section);
    if (++inside_section != 1) wrong++;
    if (next_random(seed) & 1) {
        in_queue++;
        inside_section--;
        LeaveCriticalSection(&section);
        WakeConditionVariable(&filled);
        return;
    }
    if (!in_queue) {
        inside_section--;
        SleepConditionVariableCS(&filled, &section, 5);
        inside_section++;
    }
    if (in_queue) in_queue--;
    inside_section--;
    LeaveCriticalSection(&section);
}
static void use_address(void)
{
    LONG seen = address_tokens;
    if (!seen) WaitOnAddress(&address_tokens, &seen, sizeof seen, 5);
    seen = address_tokens;
    if (seen > 0 && InterlockedCompareExchange(&address_tokens, seen - 1, seen) == seen) {
        InterlockedIncrement(&address_tokens);
        WakeByAddressSingle((void *)&address_tokens);
    }
}
static void CALLBACK apc(ULONG_PTR n) { InterlockedAdd64(&progress, (LONG64)n); }
static DWORD WINAPI waiter(void *number)
{
    unsigned seed = (unsigned)(ULONG_PTR)number * 7919 + 1;
    while (!stop) {
        switch (next_random(&seed) % 6) {
        case 0: take_all(&seed); break;
        case 1: use_queue(&seed); break;
        case 2: use_address(); break;
        case 3:
            AcquireSRWLockExclusive(&slim);
            if (++inside_slim != 1) wrong++;
            inside_slim--;
            ReleaseSRWLockExclusive(&slim);
            break;
        case 4: QueueUserAPC(apc, GetCurrentThread(), 1); SleepEx(0, TRUE); break;
        default: take_any(&seed);
        }
        InterlockedIncrement64(&progress);
    }
    return 0;
}
static void waits(int threads, unsigned milliseconds)
{
    HANDLE h[64];
    LONG tokens = 0;
    int i;
    InitializeCriticalSection(&section);
    for (i = 0; i < EACH; i++) {
        semaphores[i] = CreateSemaphore(NULL, 2, 1000, NULL);
        events[i] = CreateEvent(NULL, FALSE, TRUE, NULL);
        mutexes[i] = CreateMutex(NULL, FALSE, NULL);
    }
    address_tokens = 3;
    begin_part(milliseconds);
    for (i = 0; i < threads; i++) h[i] = CreateThread(NULL, 0, waiter, (void *)(ULONG_PTR)i, 0, NULL);
    watch("waits");
    join(h, threads, "waits: all threads end");
    CHECK_INT("waits: one at a time", wrong, 0);
    for (i = 0; i < EACH; i++) while (WaitForSingleObject(semaphores[i], 0) == WAIT_OBJECT_0) tokens++;
    CHECK_INT("waits: no token is lost", tokens, 2 * EACH);
    CHECK_INT("waits: no token on the address is lost", address_tokens, 3);
    for (i = 0, tokens = 0; i < EACH; i++) tokens += WaitForSingleObject(events[i], 0) == WAIT_OBJECT_0;
    CHECK_INT("waits: no event is lost", tokens, EACH);
    if (part_seconds) printf("waits: %lld operations\n", progress);
}

/* Processes on named objects, which are killed at random. The counters under the mutex agree, except where their owner was
 * killed in between: then the mutex is abandoned, and who takes it repairs them. */
struct shared { volatile LONG64 first, second, done, repaired; volatile LONG disagree; };
static struct shared *shared_memory(const char *name)
{
    HANDLE map = CreateFileMappingA(INVALID_HANDLE_VALUE, NULL, PAGE_READWRITE, 0, sizeof(struct shared), name);
    return map ? MapViewOfFile(map, FILE_MAP_ALL_ACCESS, 0, 0, sizeof(struct shared)) : NULL;
}
static int child(const char *name, unsigned seed)
{
    char text[128];
    struct shared *s = shared_memory(name);
    HANDLE mutex = CreateMutexA(NULL, FALSE, lstrcatA(lstrcpyA(text, name), "-m"));
    HANDLE semaphore = CreateSemaphoreA(NULL, 0, 0x7fffffff, lstrcatA(lstrcpyA(text, name), "-s"));
    HANDLE end = CreateEventA(NULL, TRUE, FALSE, lstrcatA(lstrcpyA(text, name), "-e")), both[2];
    if (!s || !mutex || !semaphore || !end) return 9;
    both[0] = end;
    both[1] = mutex;
    for (;;) {
        DWORD r = WaitForMultipleObjects(2, both, FALSE, 30000);
        if (r == WAIT_OBJECT_0) return 0;
        if (r == WAIT_ABANDONED_0 + 1) {
            s->repaired++;
            s->second = s->first;
        } else if (r != WAIT_OBJECT_0 + 1) return 8;
        if (s->first != s->second) s->disagree++;
        s->first++;
        if (next_random(&seed) % 64 == 0) SwitchToThread();
        s->second++;
        s->done++;
        ReleaseMutex(mutex);
        if (next_random(&seed) % 4 == 0) {
            ReleaseSemaphore(semaphore, 1, NULL);
            WaitForSingleObject(semaphore, 1);
        }
    }
}
static HANDLE start_child(const char *name, unsigned seed)
{
    char command[MAX_PATH + 160], self[MAX_PATH];
    STARTUPINFOA si = {.cb = sizeof si};
    PROCESS_INFORMATION pi;
    GetModuleFileNameA(NULL, self, sizeof self);
    sprintf(command, "\"%s\" child %s %u", self, name, seed);
    if (!CreateProcessA(NULL, command, NULL, NULL, FALSE, 0, NULL, NULL, &si, &pi)) return NULL;
    CloseHandle(pi.hThread);
    return pi.hProcess;
}
static void processes(int n, unsigned milliseconds)
{
    const char *name = check_unique("transom-stress");
    char text[128];
    struct shared *s = shared_memory(name);
    HANDLE end = CreateEventA(NULL, TRUE, FALSE, lstrcatA(lstrcpyA(text, name), "-e")), h[8];
    HANDLE mutex = CreateMutexA(NULL, FALSE, lstrcatA(lstrcpyA(text, name), "-m"));
    unsigned seed = 5;
    LONG64 last = 0;
    int i, good = 0, killed = 0;
    DWORD code, since;
    for (i = 0; i < n; i++) h[i] = start_child(name, i);
    begin_part(milliseconds);
    since = GetTickCount();
    while (!is_over()) {
        if (s->done != last) {
            last = s->done;
            since = GetTickCount();
        } else if (GetTickCount() - since > 30000) {
            CHECK("processes", !"stands still");
            ExitProcess(2);
        }
        Sleep(next_random(&seed) % 20);
        i = next_random(&seed) % n;
        TerminateProcess(h[i], 77);
        if (WaitForSingleObject(h[i], 30000) != WAIT_OBJECT_0) CHECK("processes: killed", 0);
        CloseHandle(h[i]);
        h[i] = start_child(name, ++killed + 100);
    }
    SetEvent(end);
    for (i = 0; i < n; i++) {
        WaitForSingleObject(h[i], 60000);
        good += GetExitCodeProcess(h[i], &code) && code == 0;
        CloseHandle(h[i]);
    }
    CHECK_INT("processes: the others end well", good, n);
    i = WaitForSingleObject(mutex, 1000);
    CHECK("processes: the mutex is free at the end", i == WAIT_OBJECT_0 || i == WAIT_ABANDONED);
    CHECK_INT("processes: never two in the mutex", s->disagree, 0);
    CHECK("processes: something was done", s->done > 0 && killed > 0);
    if (part_seconds) printf("processes: %lld operations, %d killed, %lld mutexes abandoned\n", s->done, killed, s->repaired);
}

/* Suspension of threads that compute, call, wait and allocate. */
static volatile LONG begun, quit;
static DWORD WINAPI busy(void *which)
{
    volatile unsigned x = 1;
    HANDLE never = CreateEvent(NULL, FALSE, FALSE, NULL);
    InterlockedIncrement(&begun);
    while (!quit) {
        int i;
        switch ((int)(ULONG_PTR)which % 4) {
        case 0: for (i = 0; i < 1000; i++) x = x * 3 + 1; break;
        case 1: GetTickCount(); GetCurrentProcessId(); SetLastError(x); break;
        case 2: WaitForSingleObject(never, 1); break;
        default: free(malloc(100)); SwitchToThread();
        }
        InterlockedIncrement64(&progress);
    }
    CloseHandle(never);
    return 0;
}
static HANDLE targets[8];
static volatile LONG suspensions, failures;
static DWORD WINAPI suspender(void *unused)
{
    unsigned seed = 77;
    static CONTEXT context;
    CONTEXT *c = &context;
    (void)unused;
    while (!stop) {
        HANDLE t = targets[next_random(&seed) % 8];
        if (SuspendThread(t) == (DWORD)-1) {
            failures++;
            continue;
        }
        c->ContextFlags = CONTEXT_FULL;
        if (!GetThreadContext(t, c)) failures++;
        else if (next_random(&seed) % 4 == 0 && !SetThreadContext(t, c)) failures++;
        if (ResumeThread(t) == (DWORD)-1) failures++;
        InterlockedIncrement(&suspensions);
    }
    return 0;
}
static void suspend(unsigned milliseconds)
{
    HANDLE controller;
    LONG64 before;
    int i;
    for (i = 0; i < 8; i++) targets[i] = CreateThread(NULL, 0, busy, (void *)(ULONG_PTR)i, 0, NULL);
    while (begun < 8) Sleep(1);
    begin_part(milliseconds);
    controller = CreateThread(NULL, 0, suspender, NULL, 0, NULL);
    before = progress;
    watch("suspend");
    join(&controller, 1, "suspend: who suspends ends");
    quit = 1;
    join(targets, 8, "suspend: who was suspended ends");
    CHECK_INT("suspend: no call fails", failures, 0);
    CHECK("suspend: the threads go on meanwhile", progress > before && suspensions > 0);
    if (part_seconds) printf("suspend: %ld suspensions, %lld steps\n", suspensions, progress);
}

/* Threads made and joined. */
static DWORD WINAPI nothing(void *n)
{
    InterlockedIncrement64(&progress);
    return (DWORD)(ULONG_PTR)n;
}
static DWORD WINAPI maker(void *limit)
{
    LONG64 i, most = (LONG64)(ULONG_PTR)limit;
    DWORD code, made = 0;
    for (i = 0; (most ? i < most : !stop); i++) {
        HANDLE h = CreateThread(NULL, 0, nothing, (void *)(ULONG_PTR)(i & 0xffff), 0, NULL);
        if (!h) break;
        if (WaitForSingleObject(h, 60000) != WAIT_OBJECT_0 || !GetExitCodeThread(h, &code) || code != (DWORD)(i & 0xffff)) failures++;
        CloseHandle(h);
        made++;
    }
    return made;
}
static void threads(unsigned milliseconds)
{
    HANDLE h[2];
    DWORD handles_before, handles_after, made, sum = 0;
    int i;
    GetProcessHandleCount(GetCurrentProcess(), &handles_before);
    failures = 0;
    begin_part(milliseconds);
    for (i = 0; i < 2; i++) h[i] = CreateThread(NULL, 0, maker, NULL, 0, NULL);
    watch("threads");
    for (i = 0; i < 2; i++) {
        WaitForSingleObject(h[i], 60000);
        GetExitCodeThread(h[i], &made);
        sum += made;
    }
    join(h, 2, "threads: the makers end");
    GetProcessHandleCount(GetCurrentProcess(), &handles_after);
    CHECK_INT("threads: each ends with its code", failures, 0);
    CHECK_INT("threads: no handle stays", handles_after, handles_before);
    CHECK_INT("threads: each ran", progress, sum);
    if (part_seconds) printf("threads: %lu\n", sum);
}

int main(int argc, char **argv)
{
    const char *part = argc > 1 ? argv[1] : "";
    unsigned ms = 300;
    if (argc == 4 && !strcmp(part, "child")) return child(argv[2], atoi(argv[3]));
    if (argc == 3) {
        part_seconds = atoi(argv[2]);
        ms = part_seconds * 1000;
    }
    if (argc == 1 || !strcmp(part, "waits")) waits(argc == 1 ? 16 : 64, ms);
    if (argc == 1 || !strcmp(part, "processes")) processes(argc == 1 ? 3 : 8, ms);
    if (argc == 1 || !strcmp(part, "suspend")) suspend(ms);
    if (argc == 1 || !strcmp(part, "threads")) threads(ms);
    return check_done();
}
