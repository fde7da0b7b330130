/* The thread pool, both generations: work, timers, waits, I/O, cleanup groups, callback instances; completion ports. */
#include "check.h"

static volatile LONG count, busy, most_busy, nameless;
static HANDLE event, gate;

static DWORD WINAPI adds(void *n)
{
    InterlockedExchangeAdd(&count, (LONG)(LONG_PTR)n);
    return 0;
}
static void CALLBACK on_wait(void *context, BOOLEAN timed_out)
{
    InterlockedExchangeAdd((LONG *)context, timed_out ? 100 : 1);
    SetEvent(event);
}
static void CALLBACK work(PTP_CALLBACK_INSTANCE instance, void *context, PTP_WORK object)
{
    if (!instance || !object) InterlockedIncrement(&nameless); /* several run at once, so the check is made later */
    InterlockedIncrement((LONG *)context);
}
static void CALLBACK blocks(PTP_CALLBACK_INSTANCE instance, void *context, PTP_WORK object)
{
    (void)object;
    CallbackMayRunLong(instance);
    InterlockedIncrement((LONG *)context);
    WaitForSingleObject(gate, 60000);
}
static void CALLBACK simple(PTP_CALLBACK_INSTANCE instance, void *context)
{
    (void)instance;
    InterlockedIncrement((LONG *)context);
    SetEvent(event);
}
static void CALLBACK counts_busy(PTP_CALLBACK_INSTANCE instance, void *context, PTP_WORK object)
{
    LONG now = InterlockedIncrement(&busy);
    (void)instance;
    (void)object;
    if (now > most_busy) most_busy = now;
    InterlockedIncrement((LONG *)context);
    SwitchToThread();
    InterlockedDecrement(&busy);
}
static void CALLBACK timer(PTP_CALLBACK_INSTANCE instance, void *context, PTP_TIMER object)
{
    (void)instance;
    (void)object;
    if (InterlockedIncrement((LONG *)context) == 3) SetEvent(event);
}
static void CALLBACK waited(PTP_CALLBACK_INSTANCE instance, void *context, PTP_WAIT object, TP_WAIT_RESULT result)
{
    (void)instance;
    (void)object;
    *(LONG *)context = (LONG)result + 7;
    SetEvent(event);
}

/* What is done when a callback returns. */
struct endings {
    HANDLE event, mutex, semaphore;
    CRITICAL_SECTION section;
    HMODULE module;
    LONG seen;
};
static void CALLBACK ends(PTP_CALLBACK_INSTANCE instance, void *context, PTP_WORK object)
{
    struct endings *e = context;
    (void)object;
    e->module = LoadLibraryA("sampledll.dll");
    WaitForSingleObject(e->mutex, INFINITE);
    EnterCriticalSection(&e->section);
    LeaveCriticalSectionWhenCallbackReturns(instance, &e->section);
    ReleaseMutexWhenCallbackReturns(instance, e->mutex);
    ReleaseSemaphoreWhenCallbackReturns(instance, e->semaphore, 2);
    SetEventWhenCallbackReturns(instance, e->event);
    FreeLibraryWhenCallbackReturns(instance, e->module);
    e->seen = WaitForSingleObject(e->event, 0) == WAIT_TIMEOUT;
}
static void CALLBACK stays(PTP_CALLBACK_INSTANCE instance, void *context, PTP_WORK object)
{
    (void)object;
    DisassociateCurrentThreadFromCallback(instance);
    SetEvent(event);
    WaitForSingleObject(gate, 60000);
    InterlockedIncrement((LONG *)context);
}
static void CALLBACK cancelled(void *object_context, void *cleanup_context)
{
    InterlockedExchangeAdd((LONG *)object_context, 1000);
    InterlockedIncrement((LONG *)cleanup_context);
}

/* I/O. */
static struct done { LONG calls; OVERLAPPED *overlapped; ULONG error; ULONG_PTR bytes; } io_done;
static void CALLBACK io(PTP_CALLBACK_INSTANCE instance, void *context, void *overlapped, ULONG error, ULONG_PTR bytes, PTP_IO object)
{
    struct done *done = context;
    (void)instance;
    (void)object;
    done->overlapped = overlapped;
    done->error = error;
    done->bytes = bytes;
    InterlockedIncrement(&done->calls);
}
static void CALLBACK bound(DWORD error, DWORD bytes, OVERLAPPED *overlapped)
{
    io_done.overlapped = overlapped;
    io_done.error = error;
    io_done.bytes = bytes;
    InterlockedIncrement(&io_done.calls);
    SetEvent(event);
}

static int signalled(HANDLE h) { return WaitForSingleObject(h, 60000) == WAIT_OBJECT_0; }

static void first_generation(void)
{
    HANDLE object = CreateEvent(NULL, FALSE, FALSE, NULL), wait, queue, t;
    LONG told = 0;
    int i;
    for (i = 1; i <= 100; i++) QueueUserWorkItem(adds, (void *)(LONG_PTR)i, i % 2 ? WT_EXECUTEDEFAULT : WT_EXECUTELONGFUNCTION);
    for (i = 0; count != 5050 && i < 6000; i++) Sleep(10);
    CHECK_INT("QueueUserWorkItem", count, 5050);
    CHECK("RegisterWaitForSingleObject", RegisterWaitForSingleObject(&wait, object, on_wait, &told, INFINITE, WT_EXECUTEDEFAULT));
    for (i = 0; i < 3; i++) {
        SetEvent(object);
        CHECK("a registered wait", signalled(event));
    }
    CHECK("UnregisterWaitEx", UnregisterWaitEx(wait, INVALID_HANDLE_VALUE));
    SetEvent(object);
    CHECK_INT("three callbacks", told, 3);
    ResetEvent(object);
    CHECK("a wait with a time limit", RegisterWaitForSingleObject(&wait, object, on_wait, &told, 10, WT_EXECUTEONLYONCE));
    CHECK("its end", signalled(event));
    CHECK_INT("timed out", told, 103);
    UnregisterWaitEx(wait, INVALID_HANDLE_VALUE);
    queue = CreateTimerQueue();
    told = 0;
    CHECK("CreateTimerQueueTimer", CreateTimerQueueTimer(&t, queue, on_wait, &told, 1, 1, 0));
    for (i = 0; i < 3; i++) CHECK("a timer's callback", signalled(event));
    CHECK("DeleteTimerQueueTimer", DeleteTimerQueueTimer(queue, t, INVALID_HANDLE_VALUE));
    CHECK("a timer has timed out", told >= 300 && told % 100 == 0);
    CHECK("DeleteTimerQueueEx", DeleteTimerQueueEx(queue, INVALID_HANDLE_VALUE));
    CloseHandle(object);
    ResetEvent(event);
}
static void second_generation(void)
{
    PTP_WORK w;
    PTP_TIMER t;
    PTP_WAIT x;
    LARGE_INTEGER due;
    FILETIME at;
    LONG n = 0;
    int i;
    w = CreateThreadpoolWork(work, &n, NULL);
    for (i = 0; i < 50; i++) SubmitThreadpoolWork(w);
    WaitForThreadpoolWorkCallbacks(w, FALSE);
    CHECK_INT("work", n, 50);
    CHECK_INT("an instance and an object", nameless, 0);
    CloseThreadpoolWork(w);
    CHECK("TrySubmitThreadpoolCallback", TrySubmitThreadpoolCallback(simple, &n, NULL));
    CHECK("its callback", signalled(event) && n == 51);
    t = CreateThreadpoolTimer(timer, &n, NULL);
    n = 0;
    due.QuadPart = -10000;
    at.dwLowDateTime = due.LowPart;
    at.dwHighDateTime = due.HighPart;
    SetThreadpoolTimer(t, &at, 1, 0);
    CHECK("a timer is set", IsThreadpoolTimerSet(t));
    CHECK("three times", signalled(event));
    SetThreadpoolTimer(t, NULL, 0, 0);
    WaitForThreadpoolTimerCallbacks(t, TRUE);
    CHECK("no timer is set", !IsThreadpoolTimerSet(t));
    CloseThreadpoolTimer(t);
    x = CreateThreadpoolWait(waited, &n, NULL);
    SetThreadpoolWait(x, gate, NULL);
    SetEvent(gate);
    CHECK("a wait", signalled(event) && n == 7 + WAIT_OBJECT_0);
    ResetEvent(gate);
    SetThreadpoolWait(x, gate, &at);
    CHECK("a wait that times out", signalled(event) && n == 7 + WAIT_TIMEOUT);
    WaitForThreadpoolWaitCallbacks(x, TRUE);
    CloseThreadpoolWait(x);
}
static void instances(void)
{
    struct endings e;
    PTP_WORK w;
    static LONG late;
    int i;
    e.event = CreateEvent(NULL, TRUE, FALSE, NULL);
    e.mutex = CreateMutex(NULL, FALSE, NULL);
    e.semaphore = CreateSemaphore(NULL, 0, 5, NULL);
    InitializeCriticalSection(&e.section);
    w = CreateThreadpoolWork(ends, &e, NULL);
    SubmitThreadpoolWork(w);
    CHECK("SetEventWhenCallbackReturns", signalled(e.event));
    WaitForThreadpoolWorkCallbacks(w, FALSE);
    CHECK_INT("not before it returns", e.seen, 1);
    CHECK("ReleaseMutexWhenCallbackReturns", WaitForSingleObject(e.mutex, 0) == WAIT_OBJECT_0);
    CHECK("ReleaseSemaphoreWhenCallbackReturns", WaitForSingleObject(e.semaphore, 0) == WAIT_OBJECT_0 && WaitForSingleObject(e.semaphore, 0) == WAIT_OBJECT_0 && WaitForSingleObject(e.semaphore, 0) == WAIT_TIMEOUT);
    CHECK("LeaveCriticalSectionWhenCallbackReturns", TryEnterCriticalSection(&e.section));
    CHECK("FreeLibraryWhenCallbackReturns", e.module && GetModuleHandleA("sampledll.dll") == NULL);
    CloseThreadpoolWork(w);
    ResetEvent(gate);
    w = CreateThreadpoolWork(stays, &late, NULL);
    SubmitThreadpoolWork(w);
    signalled(event);
    WaitForThreadpoolWorkCallbacks(w, FALSE);
    CHECK_INT("nobody waits for a disassociated callback", late, 0);
    SetEvent(gate);
    for (i = 0; !late && i < 6000; i++) Sleep(10);
    CloseThreadpoolWork(w);
}
static void groups_and_pools(void)
{
    TP_CALLBACK_ENVIRON environment;
    PTP_CLEANUP_GROUP group = CreateThreadpoolCleanupGroup();
    PTP_POOL pool = CreateThreadpool(NULL);
    PTP_WORK w;
    LONG ran = 0, blocked = 0, idle = 0, members = 0;
    int i;
    InitializeThreadpoolEnvironment(&environment);
    SetThreadpoolThreadMaximum(pool, 1);
    CHECK("SetThreadpoolThreadMinimum", SetThreadpoolThreadMinimum(pool, 1));
    SetThreadpoolCallbackPool(&environment, pool);
    w = CreateThreadpoolWork(counts_busy, &ran, &environment);
    for (i = 0; i < 200; i++) SubmitThreadpoolWork(w);
    WaitForThreadpoolWorkCallbacks(w, FALSE);
    CHECK_INT("work in a pool", ran, 200);
    CHECK_INT("a pool of one thread", most_busy, 1);
    CloseThreadpoolWork(w);

    SetThreadpoolCallbackCleanupGroup(&environment, group, cancelled);
    ResetEvent(gate);
    w = CreateThreadpoolWork(blocks, &blocked, &environment);
    for (i = 0; i < 3; i++) SubmitThreadpoolWork(w);
    for (i = 0; !blocked && i < 6000; i++) Sleep(10);
    CreateThreadpoolWork(work, &idle, &environment);
    SetEvent(gate);
    CloseThreadpoolCleanupGroupMembers(group, TRUE, &members);
    CHECK_INT("a cleanup group's callback, for each member", members, 2);
    CHECK_INT("with the object's context", idle, 1000);
    CHECK("callbacks that had not begun", blocked >= 1001 && blocked <= 1003);
    CloseThreadpoolCleanupGroup(group);
    CloseThreadpool(pool);
}
static void input_output(void)
{
    const char *name = check_unique("\\\\.\\pipe\\transom-pools");
    HANDLE server, client, file;
    OVERLAPPED over = {0}, second = {0};
    char text[16] = "", path[MAX_PATH], temp[MAX_PATH];
    DWORD n;
    PTP_IO object;
    server = CreateNamedPipeA(name, PIPE_ACCESS_DUPLEX | FILE_FLAG_OVERLAPPED, PIPE_TYPE_BYTE, 1, 4096, 4096, 0, NULL);
    client = CreateFileA(name, GENERIC_READ | GENERIC_WRITE, 0, NULL, OPEN_EXISTING, 0, NULL);
    object = CreateThreadpoolIo(server, io, &io_done, NULL);
    CHECK("CreateThreadpoolIo", object != NULL);
    CHECK("a file has one port", CreateThreadpoolIo(server, io, &io_done, NULL) == NULL);
    StartThreadpoolIo(object);
    CHECK_ERR("a read that pends", ReadFile(server, text, sizeof text, NULL, &over), ERROR_IO_PENDING);
    WriteFile(client, "hello", 5, &n, NULL);
    WaitForThreadpoolIoCallbacks(object, FALSE);
    CHECK_INT("its callback", io_done.calls, 1);
    CHECK("what it is told", io_done.overlapped == &over && io_done.error == 0 && io_done.bytes == 5);
    CHECK_INT("what was read", text[4], 'o');
    StartThreadpoolIo(object);
    CHECK_ERR("another", ReadFile(server, text, sizeof text, NULL, &second), ERROR_IO_PENDING);
    CloseHandle(client);
    WaitForThreadpoolIoCallbacks(object, FALSE);
    CHECK("a failure", io_done.calls == 2 && io_done.overlapped == &second && io_done.error == ERROR_BROKEN_PIPE);
    StartThreadpoolIo(object);
    CancelThreadpoolIo(object);
    WaitForThreadpoolIoCallbacks(object, FALSE);
    CHECK_INT("nothing to wait for", io_done.calls, 2);
    CloseThreadpoolIo(object);
    CloseHandle(server);

    GetTempPathA(sizeof temp, temp);
    GetTempFileNameA(temp, "trn", 0, path);
    file = CreateFileA(path, GENERIC_READ | GENERIC_WRITE, 0, NULL, CREATE_ALWAYS, FILE_FLAG_OVERLAPPED | FILE_FLAG_DELETE_ON_CLOSE, NULL);
    CHECK("BindIoCompletionCallback", BindIoCompletionCallback(file, bound, 0));
    ZeroMemory(&over, sizeof over);
    WriteFile(file, "12345678", 8, NULL, &over);
    CHECK("its call", signalled(event));
    CHECK("of this operation", io_done.calls == 3 && io_done.overlapped == &over && io_done.error == 0 && io_done.bytes == 8);
    CloseHandle(file);
}
static DWORD WINAPI takes_packets(void *port)
{
    DWORD bytes, got = 0;
    ULONG_PTR key;
    OVERLAPPED *over;
    while (GetQueuedCompletionStatus(port, &bytes, &key, &over, INFINITE) && key) got += bytes;
    return got;
}
static void ports(void)
{
    HANDLE port = CreateIoCompletionPort(INVALID_HANDLE_VALUE, NULL, 0, 0), threads[4];
    OVERLAPPED_ENTRY entries[8];
    OVERLAPPED *over;
    DWORD bytes, sum = 0, code;
    ULONG_PTR key;
    ULONG n;
    int i;
    CHECK("CreateIoCompletionPort", port != NULL);
    CHECK_ERR("no packet", GetQueuedCompletionStatus(port, &bytes, &key, &over, 0), WAIT_TIMEOUT);
    for (i = 0; i < 5; i++) PostQueuedCompletionStatus(port, i, i + 10, (OVERLAPPED *)(ULONG_PTR)(i + 100));
    CHECK("a packet", GetQueuedCompletionStatus(port, &bytes, &key, &over, 0) && bytes == 0 && key == 10 && over == (void *)100);
    CHECK("several packets", GetQueuedCompletionStatusEx(port, entries, 8, &n, 0, FALSE) && n == 4);
    CHECK("in order", entries[0].lpCompletionKey == 11 && entries[3].dwNumberOfBytesTransferred == 4);
    for (i = 0; i < 4; i++) threads[i] = CreateThread(NULL, 0, takes_packets, port, 0, NULL);
    for (i = 0; i < 1000; i++) PostQueuedCompletionStatus(port, 1, 1, NULL);
    for (i = 0; i < 4; i++) PostQueuedCompletionStatus(port, 0, 0, NULL);
    WaitForMultipleObjects(4, threads, TRUE, 60000);
    for (i = 0; i < 4; i++) {
        GetExitCodeThread(threads[i], &code);
        sum += code;
    }
    CHECK_INT("a thousand packets, four threads", sum, 1000);
    CloseHandle(port);
}

int main(void)
{
    event = CreateEvent(NULL, FALSE, FALSE, NULL);
    gate = CreateEvent(NULL, TRUE, FALSE, NULL);
    first_generation();
    second_generation();
    instances();
    groups_and_pools();
    input_output();
    ports();
    return check_done();
}
