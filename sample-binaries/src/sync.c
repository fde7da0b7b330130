/* Synchronisation: events, mutexes, semaphores, timers, WaitForMultipleObjects, critical sections, slim locks, condition
 * variables, one-time initialisation, WaitOnAddress and interlocked lists. */
#include "check.h"
#include <malloc.h>

static HANDLE mutex;
static CRITICAL_SECTION cs;
static SRWLOCK srw = SRWLOCK_INIT;
static CONDITION_VARIABLE cv = CONDITION_VARIABLE_INIT;
static volatile LONG shared, stage;
static long plain;

static DWORD WINAPI sets(void *h) { Sleep(5); return SetEvent(h); }
static DWORD WINAPI tries_mutex(void *ms) { return WaitForSingleObject(mutex, (DWORD)(uintptr_t)ms); }
static DWORD WINAPI abandons(void *p) { (void)p; return WaitForSingleObject(mutex, INFINITE); }
static DWORD WINAPI not_owner(void *p) { (void)p; return ReleaseMutex(mutex) ? 0 : GetLastError(); }
static DWORD WINAPI with_cs(void *p)
{
    int i;
    (void)p;
    for (i = 0; i < 20000; i++) { EnterCriticalSection(&cs); plain++; LeaveCriticalSection(&cs); }
    return 0;
}
static DWORD WINAPI with_srw(void *p)
{
    int i;
    (void)p;
    for (i = 0; i < 20000; i++) { AcquireSRWLockExclusive(&srw); plain++; ReleaseSRWLockExclusive(&srw); }
    return 0;
}
static DWORD WINAPI try_cs(void *p)
{
    BOOL b = TryEnterCriticalSection(&cs);
    (void)p;
    if (b) LeaveCriticalSection(&cs);
    return b;
}
static DWORD WINAPI consumer(void *p)
{
    DWORD got = 0;
    (void)p;
    EnterCriticalSection(&cs);
    while (shared == 0) SleepConditionVariableCS(&cv, &cs, INFINITE);
    got = (DWORD)shared;
    LeaveCriticalSection(&cs);
    return got;
}
static DWORD WINAPI address_waiter(void *p)
{
    LONG old = 0;
    (void)p;
    while (stage == old) WaitOnAddress(&stage, &old, sizeof old, INFINITE);
    return (DWORD)stage;
}
static DWORD joined(HANDLE h)
{
    DWORD c = 0xbad;
    WaitForSingleObject(h, INFINITE);
    GetExitCodeThread(h, &c);
    CloseHandle(h);
    return c;
}
static HANDLE start(LPTHREAD_START_ROUTINE f, void *p) { return CreateThread(NULL, 0, f, p, 0, NULL); }

static void events(void)
{
    const char *name = check_unique("Local\\transom-sample-event");
    HANDLE a = CreateEventA(NULL, FALSE, FALSE, NULL), m = CreateEventA(NULL, TRUE, FALSE, NULL), named, t;
    CHECK_INT("not set", WaitForSingleObject(a, 0), WAIT_TIMEOUT);
    SetEvent(a);
    SetEvent(a);
    CHECK_INT("set", WaitForSingleObject(a, 0), WAIT_OBJECT_0);
    CHECK_INT("auto-reset", WaitForSingleObject(a, 0), WAIT_TIMEOUT);
    SetEvent(m);
    CHECK_INT("manual", WaitForSingleObject(m, 0), WAIT_OBJECT_0);
    CHECK_INT("manual stays", WaitForSingleObject(m, 0), WAIT_OBJECT_0);
    ResetEvent(m);
    CHECK_INT("manual reset", WaitForSingleObject(m, 10), WAIT_TIMEOUT);
    t = start(sets, a);
    CHECK_INT("set by another thread", WaitForSingleObject(a, 10000), WAIT_OBJECT_0);
    joined(t);
    named = CreateEventA(NULL, TRUE, TRUE, name);
    CHECK("named", named && GetLastError() == 0);
    t = CreateEventA(NULL, FALSE, FALSE, name);
    CHECK_INT("named again", GetLastError(), ERROR_ALREADY_EXISTS);
    CHECK_INT("the first one's state", WaitForSingleObject(t, 0), WAIT_OBJECT_0);
    CloseHandle(t);
    CHECK_ERR("another kind of that name", CreateMutexA(NULL, FALSE, name), ERROR_INVALID_HANDLE);
    CHECK_ERR("open, missing", OpenEventA(SYNCHRONIZE, FALSE, "Local\\transom-none"), ERROR_FILE_NOT_FOUND);
    CloseHandle(named);
    CHECK_INT("a bad handle", WaitForSingleObject((HANDLE)(uintptr_t)0x7ffc, 0), WAIT_FAILED);
    CHECK_INT("SignalObjectAndWait", SignalObjectAndWait(a, a, 0, FALSE), WAIT_OBJECT_0);
    CloseHandle(a);
    CloseHandle(m);
}

static void mutexes(void)
{
    mutex = CreateMutexA(NULL, TRUE, NULL);
    CHECK_INT("owned twice", WaitForSingleObject(mutex, 0), WAIT_OBJECT_0);
    CHECK_INT("not by another", joined(start(tries_mutex, (void *)5)), WAIT_TIMEOUT);
    CHECK_INT("not released by another", joined(start(not_owner, NULL)), ERROR_NOT_OWNER);
    CHECK("release", ReleaseMutex(mutex) && ReleaseMutex(mutex));
    CHECK_ERR("release too often", ReleaseMutex(mutex), ERROR_NOT_OWNER);
    CHECK_INT("another takes it and dies", joined(start(abandons, NULL)), WAIT_OBJECT_0);
    CHECK_INT("abandoned", WaitForSingleObject(mutex, 1000), WAIT_ABANDONED);
    ReleaseMutex(mutex);
    CHECK_INT("abandoned once", WaitForSingleObject(mutex, 0), WAIT_OBJECT_0);
    ReleaseMutex(mutex);
    CloseHandle(mutex);
}

static void semaphores(void)
{
    LONG prev = -1;
    HANDLE s = CreateSemaphoreA(NULL, 1, 3, NULL);
    CHECK_INT("take", WaitForSingleObject(s, 0), WAIT_OBJECT_0);
    CHECK_INT("none left", WaitForSingleObject(s, 0), WAIT_TIMEOUT);
    CHECK("release two", ReleaseSemaphore(s, 2, &prev) && prev == 0);
    CHECK_ERR("over the maximum", ReleaseSemaphore(s, 2, &prev), ERROR_TOO_MANY_POSTS);
    CHECK("one more", ReleaseSemaphore(s, 1, &prev) && prev == 2);
    CloseHandle(s);
    CHECK_ERR("bad counts", CreateSemaphoreA(NULL, 2, 1, NULL), ERROR_INVALID_PARAMETER);
}

static void several(void)
{
    HANDLE h[MAXIMUM_WAIT_OBJECTS + 1];
    int i;
    for (i = 0; i <= MAXIMUM_WAIT_OBJECTS; i++) h[i] = CreateEventA(NULL, FALSE, FALSE, NULL);
    SetEvent(h[5]);
    SetEvent(h[3]);
    CHECK_INT("any: the lowest", WaitForMultipleObjects(8, h, FALSE, 0), WAIT_OBJECT_0 + 3);
    CHECK_INT("any: the next", WaitForMultipleObjects(8, h, FALSE, 0), WAIT_OBJECT_0 + 5);
    CHECK_INT("any: none", WaitForMultipleObjects(8, h, FALSE, 5), WAIT_TIMEOUT);
    SetEvent(h[0]);
    CHECK_INT("all: one is missing", WaitForMultipleObjects(2, h, TRUE, 5), WAIT_TIMEOUT);
    CHECK_INT("all takes none unless it takes all", WaitForSingleObject(h[0], 0), WAIT_OBJECT_0);
    SetEvent(h[0]);
    SetEvent(h[1]);
    CHECK_INT("all", WaitForMultipleObjects(2, h, TRUE, 1000), WAIT_OBJECT_0);
    CHECK_INT("all were taken", WaitForMultipleObjects(2, h, FALSE, 0), WAIT_TIMEOUT);
    CHECK_ERR("65 are too many", WaitForMultipleObjects(MAXIMUM_WAIT_OBJECTS + 1, h, FALSE, 0) != WAIT_FAILED, ERROR_INVALID_PARAMETER);
    SetEvent(h[63]);
    CHECK_INT("64", WaitForMultipleObjects(MAXIMUM_WAIT_OBJECTS, h, FALSE, 1000), WAIT_OBJECT_0 + 63);
    CHECK_ERR("none", WaitForMultipleObjects(0, h, FALSE, 0) != WAIT_FAILED, ERROR_INVALID_PARAMETER);
    for (i = 0; i <= MAXIMUM_WAIT_OBJECTS; i++) CloseHandle(h[i]);
}

static void locks(void)
{
    HANDLE t[4];
    int i;
    InitializeCriticalSection(&cs);
    for (i = 0; i < 4; i++) t[i] = start(with_cs, NULL);
    for (i = 0; i < 4; i++) joined(t[i]);
    CHECK_INT("critical section", plain, 80000);
    EnterCriticalSection(&cs);
    EnterCriticalSection(&cs);
    CHECK_INT("TryEnter by another", joined(start(try_cs, NULL)), 0);
    LeaveCriticalSection(&cs);
    CHECK_INT("TryEnter by another, still held", joined(start(try_cs, NULL)), 0);
    LeaveCriticalSection(&cs);
    CHECK_INT("TryEnter by another, free", joined(start(try_cs, NULL)), 1);
    plain = 0;
    for (i = 0; i < 4; i++) t[i] = start(with_srw, NULL);
    for (i = 0; i < 4; i++) joined(t[i]);
    CHECK_INT("slim lock", plain, 80000);
    AcquireSRWLockShared(&srw);
    CHECK("slim lock, shared twice", TryAcquireSRWLockShared(&srw));
    CHECK("slim lock, no exclusive", !TryAcquireSRWLockExclusive(&srw));
    ReleaseSRWLockShared(&srw);
    ReleaseSRWLockShared(&srw);
    CHECK("slim lock, exclusive", TryAcquireSRWLockExclusive(&srw));
    ReleaseSRWLockExclusive(&srw);
    for (i = 0; i < 4; i++) t[i] = start(consumer, NULL);
    EnterCriticalSection(&cs);
    shared = 9;
    LeaveCriticalSection(&cs);
    WakeAllConditionVariable(&cv);
    for (i = 0; i < 4; i++) CHECK_INT("condition variable", joined(t[i]), 9);
    EnterCriticalSection(&cs);
    CHECK_ERR("condition variable times out", SleepConditionVariableCS(&cv, &cs, 5), ERROR_TIMEOUT);
    LeaveCriticalSection(&cs);
    t[0] = start(address_waiter, NULL);
    Sleep(2);
    InterlockedExchange(&stage, 4);
    WakeByAddressAll((void *)&stage);
    CHECK_INT("WaitOnAddress", joined(t[0]), 4);
    DeleteCriticalSection(&cs);
}

static int once_calls;
static BOOL CALLBACK once(PINIT_ONCE o, void *p, void **c)
{
    (void)o;
    once_calls++;
    *c = p;
    return TRUE;
}

static void others(void)
{
    static INIT_ONCE io = INIT_ONCE_STATIC_INIT;
    void *c = NULL;
    LARGE_INTEGER due;
    HANDLE timer = CreateWaitableTimerA(NULL, FALSE, NULL);
    SLIST_HEADER *list = _aligned_malloc(sizeof *list, 16);
    SLIST_ENTRY *a = _aligned_malloc(sizeof *a, 16), *b = _aligned_malloc(sizeof *b, 16);
    InitOnceExecuteOnce(&io, once, (void *)0x1230, &c);
    InitOnceExecuteOnce(&io, once, (void *)0x4560, &c);
    CHECK_INT("once", once_calls, 1);
    CHECK("its context", c == (void *)0x1230);
    due.QuadPart = -50000;
    CHECK("SetWaitableTimer", SetWaitableTimer(timer, &due, 0, NULL, NULL, FALSE));
    CHECK_INT("it fires", WaitForSingleObject(timer, 5000), WAIT_OBJECT_0);
    CHECK_INT("once", WaitForSingleObject(timer, 0), WAIT_TIMEOUT);
    CloseHandle(timer);
    InitializeSListHead(list);
    CHECK("list empty", InterlockedPopEntrySList(list) == NULL);
    InterlockedPushEntrySList(list, a);
    InterlockedPushEntrySList(list, b);
    CHECK_INT("depth", QueryDepthSList(list), 2);
    CHECK("last in", InterlockedPopEntrySList(list) == b);
    CHECK("first in", InterlockedFlushSList(list) == a);
}

int main(void)
{
    events();
    mutexes();
    semaphores();
    several();
    locks();
    others();
    return check_done();
}
