/* Fibers: conversion, switching, parameters, deletion, fiber-local storage, exits, and fibers that change threads. */
#include "check.h"
#include <stdlib.h>

#if defined(__GNUC__) && !defined(__clang__)
#pragma GCC diagnostic ignored "-Warray-bounds" /* mingw's GetCurrentFiber reads the TEB at small addresses */
#endif

static void *home;
static volatile int step;

static void CALLBACK counts(void *parameter)
{
    int i, local = *(int *)parameter;
    for (i = 0;; i++) {
        step = local + i;
        SwitchToFiber(home);
    }
}
static void CALLBACK says_who(void *parameter)
{
    void **out = parameter;
    out[0] = GetCurrentFiber();
    out[1] = GetFiberData();
    out[2] = (void *)(uintptr_t)IsThreadAFiber();
    SwitchToFiber(home);
}
static void CALLBACK deep(void *parameter)
{
    volatile char block[300 * 1024];
    int i;
    (void)parameter;
    for (i = 300 * 1024 - 1; i > 0; i -= 1024) block[i] = (char)i;
    step = block[1024 * 3 - 1] == (char)(1024 * 3 - 1);
    SwitchToFiber(home);
}

/* Fibers switched inside a callback of a shim. */
static int CALLBACK nothing(const void *a, const void *b)
{
    return *(const int *)a - *(const int *)b;
}
static int compares;
static int by_fiber(const void *a, const void *b)
{
    void *back = home;
    compares++;
    SwitchToFiber(back);
    return nothing(a, b);
}
static void CALLBACK sorts(void *parameter)
{
    int *numbers = parameter;
    qsort(numbers, 5, sizeof *numbers, by_fiber);
    compares = -1;
    SwitchToFiber(home);
}

/* Fiber-local storage. */
static DWORD fls;
static volatile LONG called;
static void *last_value;
static void CALLBACK on_value(void *value)
{
    called++;
    last_value = value;
}
static void CALLBACK with_fls(void *parameter)
{
    int was_null = FlsGetValue(fls) == NULL;
    FlsSetValue(fls, parameter);
    SwitchToFiber(home);
    step = was_null && FlsGetValue(fls) == parameter;
    SwitchToFiber(home);
}
static void CALLBACK never(void *parameter)
{
    (void)parameter;
    step = 666;
}

/* Exits. */
static void CALLBACK exits(void *parameter)
{
    ExitThread((DWORD)(uintptr_t)parameter);
}
static void CALLBACK returns(void *parameter)
{
    *(int *)parameter = 1;
}
static DWORD WINAPI exits_in_fiber(void *parameter)
{
    ConvertThreadToFiber(NULL);
    SwitchToFiber(CreateFiber(0, exits, parameter));
    return 1;
}
static DWORD WINAPI returns_in_fiber(void *parameter)
{
    ConvertThreadToFiber(NULL);
    SwitchToFiber(CreateFiber(0, returns, parameter));
    *(int *)parameter = 2;
    return 1;
}
static DWORD WINAPI deletes_itself(void *parameter)
{
    DeleteFiber(ConvertThreadToFiber(parameter));
    return 17;
}

/* A fiber that two threads run in turns. */
static void *volatile traveller, *volatile back;
static DWORD volatile seen_thread, seen_tls;
static DWORD tls;
static void CALLBACK travels(void *parameter)
{
    int i;
    for (i = 0; i < *(int *)parameter; i++) {
        seen_thread = GetCurrentThreadId();
        seen_tls = (DWORD)(uintptr_t)TlsGetValue(tls);
        step = i + 1;
        SwitchToFiber(back);
    }
    ExitThread(5);
}
static HANDLE turn[2];
static DWORD WINAPI takes_turns(void *which)
{
    int i, me = (int)(uintptr_t)which, good = 0;
    TlsSetValue(tls, (void *)(uintptr_t)(100 + me));
    ConvertThreadToFiber(NULL);
    for (i = 0; i < 50; i++) {
        WaitForSingleObject(turn[me], INFINITE);
        back = GetCurrentFiber();
        SwitchToFiber(traveller);
        good += seen_thread == GetCurrentThreadId() && seen_tls == 100u + me && step == 2 * i + me + 1;
        SetEvent(turn[!me]);
    }
    ConvertFiberToThread();
    return good;
}

static DWORD exit_of(HANDLE h)
{
    DWORD code = 0xbad;
    WaitForSingleObject(h, 60000);
    GetExitCodeThread(h, &code);
    CloseHandle(h);
    return code;
}

static void fiber_local(void)
{
    void *a, *b;
    fls = FlsAlloc(on_value);
    CHECK("FlsAlloc", fls != FLS_OUT_OF_INDEXES);
    FlsSetValue(fls, &fls);
    a = CreateFiber(0, with_fls, (void *)0x11);
    b = CreateFiber(0, with_fls, (void *)0x22);
    SwitchToFiber(a);
    SwitchToFiber(b);
    CHECK("the first fiber's value is untouched", FlsGetValue(fls) == &fls);
    SwitchToFiber(a);
    CHECK_INT("the other fiber's value", step, 1);
    CHECK_INT("no callback so far", called, 0);
    DeleteFiber(a);
    CHECK_INT("DeleteFiber calls back", called, 1);
    CHECK("with the fiber's value", last_value == (void *)0x11);
    CHECK("FlsFree", FlsFree(fls));
    CHECK_INT("FlsFree calls back for each fiber", called, 3);
    DeleteFiber(b);
    CHECK_INT("and that is all", called, 3);
    CHECK_ERR("FlsFree of a free index", FlsFree(fls), ERROR_INVALID_PARAMETER);
}
static void travelling(void)
{
    HANDLE threads[2];
    int i, rounds = 1000;
    tls = TlsAlloc();
    traveller = CreateFiber(0, travels, &rounds);
    for (i = 0; i < 2; i++) turn[i] = CreateEvent(NULL, FALSE, i == 0, NULL);
    for (i = 0; i < 2; i++) threads[i] = CreateThread(NULL, 0, takes_turns, (void *)(uintptr_t)i, 0, NULL);
    for (i = 0; i < 2; i++) CHECK_INT("a fiber that two threads run", exit_of(threads[i]), 50);
    DeleteFiber(traveller);
}

int main(void)
{
    int base = 40, i, numbers[5] = {3, 1, 4, 1, 5}, flag = 0;
    void *fiber, *out[3], *many[200];
    CHECK_INT("not a fiber yet", IsThreadAFiber(), FALSE);
    CHECK_ERR("ConvertFiberToThread of a thread", ConvertFiberToThread(), ERROR_ALREADY_THREAD);
    home = ConvertThreadToFiber(&base);
    CHECK("ConvertThreadToFiber", home != NULL);
    CHECK("IsThreadAFiber", IsThreadAFiber());
    CHECK("GetCurrentFiber", GetCurrentFiber() == home);
    CHECK("GetFiberData", GetFiberData() == &base);
    CHECK_ERR("ConvertThreadToFiber of a fiber", ConvertThreadToFiber(NULL), ERROR_ALREADY_FIBER);
    CHECK_ERR("CreateFiberEx with wrong flags", CreateFiberEx(0, 0, 0x80, counts, NULL), ERROR_INVALID_PARAMETER);

    fiber = CreateFiber(0, counts, &base);
    CHECK("CreateFiber", fiber != NULL);
    for (i = 0; i < 3; i++) {
        SwitchToFiber(fiber);
        CHECK_INT("a fiber keeps its locals", step, 40 + i);
    }
    DeleteFiber(fiber);
    fiber = CreateFiberEx(0, 0x20000, FIBER_FLAG_FLOAT_SWITCH, says_who, out);
    SwitchToFiber(fiber);
    CHECK("GetCurrentFiber in a fiber", out[0] == fiber);
    CHECK("GetFiberData in a fiber", out[1] == out);
    CHECK("IsThreadAFiber in a fiber", out[2] != NULL);
    CHECK("GetCurrentFiber after", GetCurrentFiber() == home && GetFiberData() == &base);
    DeleteFiber(fiber);
    fiber = CreateFiber(0, never, NULL);
    DeleteFiber(fiber);
    CHECK("a deleted fiber never ran", step != 666);
    fiber = CreateFiber(0, deep, NULL);
    SwitchToFiber(fiber);
    CHECK_INT("a fiber's stack grows", step, 1);
    DeleteFiber(fiber);

    fiber = CreateFiber(0, sorts, numbers);
    while (compares != -1) SwitchToFiber(fiber);
    CHECK("a sort whose comparisons switch fibers", numbers[0] == 1 && numbers[1] == 1 && numbers[2] == 3 && numbers[4] == 5);
    DeleteFiber(fiber);
    compares = 0;
    fiber = CreateFiber(0, sorts, numbers);
    SwitchToFiber(fiber);
    DeleteFiber(fiber);
    CHECK_INT("a fiber deleted inside a callback", compares, 1);

    for (i = 0; i < 200; i++) many[i] = CreateFiber(0, counts, &base);
    for (i = 0; i < 200; i++) SwitchToFiber(many[i]);
    for (i = 0; i < 200; i++) {
        step = 0;
        SwitchToFiber(many[i]);
        if (step != 41) break;
    }
    CHECK_INT("two hundred fibers", i, 200);
    for (i = 0; i < 200; i++) DeleteFiber(many[i]);

    fiber_local();
    CHECK_INT("ExitThread in a fiber", exit_of(CreateThread(NULL, 0, exits_in_fiber, (void *)77, 0, NULL)), 77);
    exit_of(CreateThread(NULL, 0, returns_in_fiber, &flag, 0, NULL));
    CHECK_INT("a fiber that returns ends its thread", flag, 1);
    CHECK("a fiber that deletes itself ends its thread", exit_of(CreateThread(NULL, 0, deletes_itself, NULL, 0, NULL)) != 17);
    travelling();
    CHECK("ConvertFiberToThread", ConvertFiberToThread());
    CHECK_INT("a thread again", IsThreadAFiber(), FALSE);
    return check_done();
}
