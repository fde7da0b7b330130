/* Threads: creation, joining, exit codes, TLS, suspension, the runtime's _beginthreadex, thread-local C state. */
#include "check.h"
#include <errno.h>
#include <process.h>
#include <stdlib.h>
#include <string.h>

static DWORD slot;
static volatile LONG counter;

static DWORD WINAPI add(void *n)
{
    int i;
    for (i = 0; i < 10000; i++) InterlockedIncrement(&counter);
    return (DWORD)(uintptr_t)n;
}
static DWORD WINAPI with_tls(void *n)
{
    int was_null = TlsGetValue(slot) == NULL;
    TlsSetValue(slot, n);
    Sleep(1);
    return was_null && TlsGetValue(slot) == n;
}
static DWORD WINAPI leaves(void *n)
{
    (void)n;
    ExitThread(77);
}
static unsigned __stdcall runtime(void *n)
{
    char text[] = "a b", *t = strtok(text, " ");
    errno = 5;
    Sleep(1);
    return (unsigned)(uintptr_t)n + (errno == 5) + (t && !strcmp(strtok(NULL, " "), "b"));
}
static DWORD WINAPI big_stack(void *n)
{
    volatile char block[600 * 1024];
    int i;
    (void)n;
    for (i = 0; i < 600 * 1024; i += 4096) block[i] = (char)i;
    return block[0] == 0;
}
static DWORD WINAPI last_error(void *n)
{
    SetLastError((DWORD)(uintptr_t)n);
    Sleep(1);
    return GetLastError();
}
static DWORD exit_of(HANDLE h)
{
    DWORD code = 0xbad;
    WaitForSingleObject(h, INFINITE);
    GetExitCodeThread(h, &code);
    CloseHandle(h);
    return code;
}

typedef void(__cdecl *number_fn)(int);
static number_fn take, give;
static volatile int plain, inside;
static DWORD WINAPI under_lock(void *n)
{
    int i;
    for (i = 0; i < (int)(uintptr_t)n; i++) {
        take(25);
        take(25);
        if (inside++) plain = -1000000;
        plain++;
        inside--;
        give(25);
        give(25);
    }
    return 0;
}
/* The runtime's numbered locks, of which the old one has names: first while there is one thread, then held while others come. */
static void numbered_locks(void)
{
    HMODULE crt = GetModuleHandleA("msvcrt.dll");
    HANDLE h[4];
    int i, before;
    if (!crt) return;
    take = (number_fn)(void *)GetProcAddress(crt, "_lock");
    give = (number_fn)(void *)GetProcAddress(crt, "_unlock");
    under_lock((void *)100);
    CHECK_INT("alone", plain, 100);
    take(25);
    for (i = 0; i < 4; i++) h[i] = CreateThread(NULL, 0, under_lock, (void *)3000, 0, NULL);
    Sleep(20);
    before = plain;
    give(25);
    CHECK_INT("the others waited", before, 100);
    CHECK_INT("and went on", WaitForMultipleObjects(4, h, TRUE, 60000), WAIT_OBJECT_0);
    CHECK_INT("one at a time", plain, 12100);
    for (i = 0; i < 4; i++) CloseHandle(h[i]);
}

/* A thread that waits shows the registers of its call, as far as the program can tell: code of a module, on the thread's stack. */
static volatile LONG waiting;
static DWORD WINAPI waits_for(void *event) { waiting = 1; return WaitForSingleObject(event, 60000); }
static void registers_in_a_call(void)
{
    HANDLE event = CreateEventA(NULL, FALSE, FALSE, NULL), t = CreateThread(NULL, 0, waits_for, event, 0, NULL);
    static CONTEXT c;
    ULONG_PTR pc, sp;
    HMODULE module = NULL;
    MEMORY_BASIC_INFORMATION stack;
    int tries = 0;
    while (!waiting) Sleep(1);
    do {
        Sleep(1);
        CHECK_INT("suspended", SuspendThread(t), 0);
        c.ContextFlags = CONTEXT_CONTROL | CONTEXT_INTEGER;
        CHECK("its context", GetThreadContext(t, &c));
#if defined(__x86_64__)
        pc = c.Rip, sp = c.Rsp;
#elif defined(__i386__)
        pc = c.Eip, sp = c.Esp;
#else
        pc = c.Pc, sp = c.Sp;
#endif
        GetModuleHandleExA(GET_MODULE_HANDLE_EX_FLAG_FROM_ADDRESS | GET_MODULE_HANDLE_EX_FLAG_UNCHANGED_REFCOUNT, (char *)pc, &module);
        CHECK("the context set again", SetThreadContext(t, &c));
        CHECK_INT("resumed", ResumeThread(t), 1);
    } while (module == GetModuleHandleA(NULL) && ++tries < 1000);
    CHECK("its program counter is in a DLL", module != NULL && module != GetModuleHandleA(NULL));
    CHECK("its stack pointer is on a stack", VirtualQuery((void *)sp, &stack, sizeof stack) && stack.Protect == PAGE_READWRITE);
    SetEvent(event);
    CHECK_INT("and its wait ends as if nothing had been", exit_of(t), WAIT_OBJECT_0);
    CloseHandle(event);
}

int main(void)
{
    HANDLE h[8], t;
    DWORD id = 0, code;
    int i;
    numbered_locks();
    registers_in_a_call();
    for (i = 0; i < 8; i++) h[i] = CreateThread(NULL, 0, add, (void *)(uintptr_t)i, 0, NULL);
    CHECK_INT("wait for all", WaitForMultipleObjects(8, h, TRUE, 60000), WAIT_OBJECT_0);
    CHECK_INT("all counted", counter, 80000);
    for (i = 0; i < 8; i++) CHECK_INT("exit code", exit_of(h[i]), i);
    slot = TlsAlloc();
    CHECK("TlsAlloc", slot != TLS_OUT_OF_INDEXES);
    TlsSetValue(slot, &slot);
    for (i = 0; i < 8; i++) h[i] = CreateThread(NULL, 0, with_tls, (void *)(uintptr_t)(i + 1), 0, NULL);
    for (i = 0; i < 8; i++) CHECK_INT("TLS of its own", exit_of(h[i]), 1);
    CHECK("TLS of the main thread", TlsGetValue(slot) == &slot);
    SetLastError(9);
    TlsGetValue(slot);
    CHECK_INT("TlsGetValue clears the last error", GetLastError(), 0);
    CHECK("TlsFree", TlsFree(slot));
    CHECK_INT("ExitThread", exit_of(CreateThread(NULL, 0, leaves, NULL, 0, NULL)), 77);
    CHECK_INT("_beginthreadex, errno and strtok per thread", exit_of((HANDLE)_beginthreadex(NULL, 0, runtime, (void *)40, 0, NULL)), 42);
    CHECK_INT("a stack larger than what is committed", exit_of(CreateThread(NULL, 1 << 20, big_stack, NULL, STACK_SIZE_PARAM_IS_A_RESERVATION, NULL)), 1);
    SetLastError(3);
    CHECK_INT("last error per thread", exit_of(CreateThread(NULL, 0, last_error, (void *)8, 0, NULL)), 8);
    t = CreateThread(NULL, 0, add, (void *)5, CREATE_SUSPENDED, &id);
    CHECK("suspended, with an id", t && id && id == GetThreadId(t));
    CHECK_INT("does not run", WaitForSingleObject(t, 20), WAIT_TIMEOUT);
    CHECK("STILL_ACTIVE", GetExitCodeThread(t, &code) && code == STILL_ACTIVE);
    CHECK_INT("ResumeThread", ResumeThread(t), 1);
    CHECK_INT("ran", exit_of(t), 5);
    CHECK("the current thread's pseudo-handle", GetCurrentThread() == (HANDLE)(intptr_t)-2);
    CHECK("the current process's pseudo-handle", GetCurrentProcess() == (HANDLE)(intptr_t)-1);
    CHECK("OpenThread", (t = OpenThread(SYNCHRONIZE, FALSE, GetCurrentThreadId())) != NULL);
    CloseHandle(t);
    CHECK("SetThreadPriority", SetThreadPriority(GetCurrentThread(), THREAD_PRIORITY_NORMAL));
    CHECK_INT("GetThreadPriority", GetThreadPriority(GetCurrentThread()), THREAD_PRIORITY_NORMAL);
    t = CreateThread(NULL, 0, add, NULL, CREATE_SUSPENDED, NULL);
    CHECK("TerminateThread", TerminateThread(t, 66));
    CHECK_INT("its exit code", exit_of(t), 66);
    for (i = 0; i < 500; i++) {
        t = CreateThread(NULL, 0, last_error, (void *)1, 0, NULL);
        if (!t || exit_of(t) != 1) break;
    }
    CHECK_INT("500 in turn", i, 500);
    return check_done();
}
