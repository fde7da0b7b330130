/* Overlapped operations on files and pipes: what pends and what ends at once, results, events, completion routines,
 * cancellation. Sources: ReadFile, ReadFileEx, WriteFileEx, GetOverlappedResult(Ex), CancelIo(Ex), SleepEx. */
#include "check.h"
#include <stdio.h>
#include <string.h>

static HANDLE server, client;
static DWORD ran, ran_error, ran_bytes;
static OVERLAPPED *ran_with;

static VOID CALLBACK routine(DWORD error, DWORD bytes, OVERLAPPED *o)
{
    ran++;
    ran_error = error;
    ran_bytes = bytes;
    ran_with = o;
}

static OVERLAPPED fresh(HANDLE event, DWORD offset)
{
    OVERLAPPED o;
    memset(&o, 0, sizeof o);
    o.hEvent = event;
    o.Offset = offset;
    return o;
}

/* An overlapped operation began: at once, or it pends. */
static BOOL began(BOOL ok) { return ok || GetLastError() == ERROR_IO_PENDING; }

static void open_pipe(void)
{
    char name[64];
    sprintf(name, "\\\\.\\pipe\\overlapped-%lu", GetCurrentProcessId());
    server = CreateNamedPipeA(name, PIPE_ACCESS_DUPLEX | FILE_FLAG_OVERLAPPED, PIPE_TYPE_BYTE, 1, 4096, 4096, 0, NULL);
    client = CreateFileA(name, GENERIC_READ | GENERIC_WRITE, 0, NULL, OPEN_EXISTING, FILE_FLAG_OVERLAPPED, NULL);
}

static void disk_files(void)
{
    HANDLE event = CreateEventA(NULL, TRUE, FALSE, NULL);
    HANDLE h = CreateFileA("overlapped.tmp", GENERIC_READ | GENERIC_WRITE, 0, NULL, CREATE_ALWAYS,
                           FILE_FLAG_OVERLAPPED | FILE_FLAG_DELETE_ON_CLOSE, NULL);
    OVERLAPPED o = fresh(event, 0), p = fresh(NULL, 4);
    char b[16] = "";
    DWORD n = 99;
    CHECK("write", began(WriteFile(h, "abcdefgh", 8, NULL, &o)));
    CHECK("result", GetOverlappedResult(h, &o, &n, TRUE) && n == 8);
    CHECK_INT("event", WaitForSingleObject(event, 0), WAIT_OBJECT_0);
    CHECK("HasOverlappedIoCompleted", HasOverlappedIoCompleted(&o));
    CHECK("read without event", began(ReadFile(h, b, 8, NULL, &p)));
    CHECK("result", GetOverlappedResult(h, &p, &n, TRUE) && n == 4 && !memcmp(b, "efgh", 4));
    CHECK_INT("the file is signaled", WaitForSingleObject(h, 0), WAIT_OBJECT_0);
    p = fresh(NULL, 8);
    CHECK("read at the end", !ReadFile(h, b, 8, NULL, &p) && (GetLastError() == ERROR_HANDLE_EOF || GetLastError() == ERROR_IO_PENDING));
    CHECK_ERR("its result", GetOverlappedResult(h, &p, &n, TRUE), ERROR_HANDLE_EOF);
    CHECK_ERR("nothing to cancel", CancelIoEx(h, NULL), ERROR_NOT_FOUND);
    CHECK("CancelIo minds nothing", CancelIo(h));
    o = fresh(NULL, 2);
    ran = 0;
    CHECK("ReadFileEx", ReadFileEx(h, b, 3, &o, routine));
    CHECK_INT("its routine waits", ran, 0);
    CHECK_INT("for an alertable wait", SleepEx(20000, TRUE), WAIT_IO_COMPLETION);
    CHECK("and is told", ran == 1 && ran_error == 0 && ran_bytes == 3 && ran_with == &o && !memcmp(b, "cde", 3));
    o = fresh((HANDLE)0x1234, 8);
    CHECK("WriteFileEx, the event is the caller's", WriteFileEx(h, "ij", 2, &o, routine) && SleepEx(20000, TRUE) == WAIT_IO_COMPLETION);
    CHECK("told", ran == 2 && ran_bytes == 2 && o.hEvent == (HANDLE)0x1234);
    o = fresh(NULL, 100);
    SetLastError(0);
    if (ReadFileEx(h, b, 3, &o, routine)) CHECK("beyond the end: told", SleepEx(20000, TRUE) == WAIT_IO_COMPLETION && ran_error == ERROR_HANDLE_EOF);
    else CHECK_INT("beyond the end: at once", GetLastError(), ERROR_HANDLE_EOF);
    CHECK_INT("no routine is left", SleepEx(0, TRUE), 0);
    CloseHandle(h);
    CloseHandle(event);
}

static void pipes(void)
{
    HANDLE event = CreateEventA(NULL, TRUE, TRUE, NULL);
    OVERLAPPED o = fresh(event, 0), p, q;
    char b[64] = "", c[8];
    DWORD n = 99;
    CHECK_ERR("reading an empty pipe pends", ReadFile(server, b, sizeof b, NULL, &o), ERROR_IO_PENDING);
    CHECK_INT("its event is reset", WaitForSingleObject(event, 0), WAIT_TIMEOUT);
    CHECK("not completed", !HasOverlappedIoCompleted(&o));
    CHECK_ERR("incomplete", GetOverlappedResult(server, &o, &n, FALSE), ERROR_IO_INCOMPLETE);
    CHECK_ERR("incomplete within a time", GetOverlappedResultEx(server, &o, &n, 10, FALSE), WAIT_TIMEOUT);
    CHECK_ERR("incomplete at once", GetOverlappedResultEx(server, &o, &n, 0, FALSE), ERROR_IO_INCOMPLETE);
    p = fresh(NULL, 0);
    CHECK("write to the other end", began(WriteFile(client, "hello", 5, NULL, &p)) && GetOverlappedResult(client, &p, &n, TRUE) && n == 5);
    CHECK("completes it", GetOverlappedResult(server, &o, &n, TRUE) && n == 5 && !memcmp(b, "hello", 5));
    CHECK_INT("event", WaitForSingleObject(event, 0), WAIT_OBJECT_0);
    o = fresh(event, 0);
    CHECK_ERR("another read", ReadFile(server, b, sizeof b, NULL, &o), ERROR_IO_PENDING);
    q = fresh(NULL, 0);
    CHECK_ERR("cancel what is not there", CancelIoEx(server, &q), ERROR_NOT_FOUND);
    CHECK("cancel it", CancelIoEx(server, &o));
    CHECK_ERR("cancelled", GetOverlappedResult(server, &o, &n, TRUE), ERROR_OPERATION_ABORTED);
    CHECK_INT("event", WaitForSingleObject(event, 0), WAIT_OBJECT_0);
    CHECK_ERR("only once", CancelIoEx(server, &o), ERROR_NOT_FOUND);
    o = fresh(event, 0);
    p = fresh(NULL, 0);
    CHECK_ERR("two reads", ReadFile(server, b, 3, NULL, &o), ERROR_IO_PENDING);
    CHECK_ERR("of which", ReadFile(server, c, 3, NULL, &p), ERROR_IO_PENDING);
    q = fresh(NULL, 0);
    CHECK("one write", began(WriteFile(client, "123456", 6, NULL, &q)) && GetOverlappedResult(client, &q, &n, TRUE));
    CHECK("the first gets the first bytes", GetOverlappedResult(server, &o, &n, TRUE) && n == 3 && !memcmp(b, "123", 3));
    CHECK("the second the rest", GetOverlappedResult(server, &p, &n, TRUE) && n == 3 && !memcmp(c, "456", 3));
    ran = 0;
    o = fresh(NULL, 0);
    CHECK("ReadFileEx pends", ReadFileEx(server, b, sizeof b, &o, routine));
    CHECK_INT("no routine yet", SleepEx(10, TRUE), 0);
    q = fresh(NULL, 0);
    CHECK("WriteFileEx", WriteFileEx(client, "xy", 2, &q, routine));
    while (ran < 2 && SleepEx(20000, TRUE) == WAIT_IO_COMPLETION) {}
    CHECK_INT("both routines", ran, 2);
    CHECK("data", !memcmp(b, "xy", 2) && o.InternalHigh == 2 && q.InternalHigh == 2);
    o = fresh(NULL, 0);
    CHECK("ReadFileEx", ReadFileEx(server, b, sizeof b, &o, routine));
    CHECK("CancelIo", CancelIo(server));
    CHECK("the routine is told", SleepEx(20000, TRUE) == WAIT_IO_COMPLETION && ran == 3 && ran_error == ERROR_OPERATION_ABORTED && ran_bytes == 0);
    o = fresh(event, 0);
    CHECK_ERR("a read", ReadFile(server, b, sizeof b, NULL, &o), ERROR_IO_PENDING);
    CloseHandle(client);
    CHECK_ERR("ends when the other end closes", GetOverlappedResult(server, &o, &n, TRUE), ERROR_BROKEN_PIPE);
    CHECK_ERR("and the next at once", ReadFile(server, b, sizeof b, NULL, &o), ERROR_BROKEN_PIPE);
    CloseHandle(server);
    CloseHandle(event);
}

static DWORD WINAPI blocked(void *arg)
{
    char b[8];
    DWORD n;
    return ReadFile(arg, b, sizeof b, &n, NULL) ? 0 : GetLastError();
}

/* A thread that blocks in a read of a pipe without overlapped operation. */
static void synchronous(void)
{
    HANDLE r, w, thread;
    DWORD code = 0;
    CreatePipe(&r, &w, NULL, 0);
    thread = CreateThread(NULL, 0, blocked, r, 0, NULL);
    while (!CancelSynchronousIo(thread) && GetLastError() == ERROR_NOT_FOUND && WaitForSingleObject(thread, 1) == WAIT_TIMEOUT) {}
    CHECK_INT("CancelSynchronousIo", WaitForSingleObject(thread, 20000), WAIT_OBJECT_0);
    CHECK("ends the read", GetExitCodeThread(thread, &code) && code == ERROR_OPERATION_ABORTED);
    CloseHandle(thread);
    CloseHandle(r);
    CloseHandle(w);
}

static void ports(void)
{
    HANDLE port;
    OVERLAPPED o, *got;
    ULONG_PTR key;
    char b[8];
    DWORD n;
    open_pipe();
    port = CreateIoCompletionPort(server, NULL, 77, 0);
    o = fresh(NULL, 0);
    CHECK_ERR("read for a port", ReadFile(server, b, sizeof b, NULL, &o), ERROR_IO_PENDING);
    CHECK_ERR("nothing yet", GetQueuedCompletionStatus(port, &n, &key, &got, 0), WAIT_TIMEOUT);
    CHECK("cancelled", CancelIoEx(server, NULL));
    got = NULL;
    CHECK_ERR("packet of the cancelled", GetQueuedCompletionStatus(port, &n, &key, &got, 20000), ERROR_OPERATION_ABORTED);
    CHECK("which it is", got == &o && key == 77 && n == 0);
    o = fresh(NULL, 0);
    CHECK("write for a port", began(WriteFile(server, "abc", 3, NULL, &o)));
    CHECK("its packet", GetQueuedCompletionStatus(port, &n, &key, &got, 20000) && got == &o && n == 3);
    CHECK("one only", !GetQueuedCompletionStatus(port, &n, &key, &got, 0));
    o = fresh((HANDLE)((ULONG_PTR)CreateEventA(NULL, TRUE, FALSE, NULL) | 1), 0);
    CHECK("write with the event's low bit", began(WriteFile(server, "def", 3, NULL, &o)) && GetOverlappedResult(server, &o, &n, TRUE));
    CHECK("makes no packet", !GetQueuedCompletionStatus(port, &n, &key, &got, 0));
    CloseHandle(client);
    CloseHandle(server);
    CloseHandle(port);
}

int main(void)
{
    disk_files();
    open_pipe();
    pipes();
    synchronous();
    ports();
    return check_done();
}
