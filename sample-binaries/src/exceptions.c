/* Exceptions without a compiler's help: vectored handlers, continuing after a fault, RaiseException and its parameters, guard
 * pages, division, illegal instructions, breakpoints, unhandled-exception filters' return values. */
#include "check.h"
#include <string.h>

static volatile DWORD seen;
static volatile ULONG_PTR info0, info1;
static volatile int skip;
static char *volatile page;

static LONG CALLBACK handler(EXCEPTION_POINTERS *x)
{
    EXCEPTION_RECORD *r = x->ExceptionRecord;
    seen = r->ExceptionCode;
    info0 = r->NumberParameters > 0 ? r->ExceptionInformation[0] : 0;
    info1 = r->NumberParameters > 1 ? r->ExceptionInformation[1] : 0;
    if (seen == STATUS_GUARD_PAGE_VIOLATION) return EXCEPTION_CONTINUE_EXECUTION;
    if (seen == EXCEPTION_ACCESS_VIOLATION && page && info1 == (ULONG_PTR)page) {
        DWORD old;
        VirtualProtect(page, 4096, PAGE_READWRITE, &old); /* mend it and run the instruction again */
        return EXCEPTION_CONTINUE_EXECUTION;
    }
    if (seen == 0xE0000001 || seen == 0xE0000002) return EXCEPTION_CONTINUE_EXECUTION;
    if (skip) {
#if defined(__x86_64__)
        x->ContextRecord->Rip += (DWORD64)skip;
#elif defined(__i386__)
        x->ContextRecord->Eip += (DWORD)skip;
#else
        x->ContextRecord->Pc += 4;
#endif
        return EXCEPTION_CONTINUE_EXECUTION;
    }
    return EXCEPTION_CONTINUE_SEARCH;
}

static int order[4], calls;
static LONG CALLBACK first(EXCEPTION_POINTERS *x) { (void)x; if (calls < 4) order[calls++] = 1; return EXCEPTION_CONTINUE_SEARCH; }
static LONG CALLBACK last(EXCEPTION_POINTERS *x) { (void)x; if (calls < 4) order[calls++] = 2; return EXCEPTION_CONTINUE_EXECUTION; }
static LPTOP_LEVEL_EXCEPTION_FILTER previous;
static LONG WINAPI top(EXCEPTION_POINTERS *x) { seen = x->ExceptionRecord->ExceptionCode; return EXCEPTION_CONTINUE_EXECUTION; }

int main(void)
{
    DWORD old;
    void *v = AddVectoredExceptionHandler(1, handler), *a, *b;
    ULONG_PTR args[2] = {11, 22};
    char *guard;
    CHECK("AddVectoredExceptionHandler", v != NULL);
    RaiseException(0xE0000001, 0, 2, args);
    CHECK_HEX("code", seen, 0xE0000001);
    CHECK("parameters", info0 == 11 && info1 == 22);
    page = VirtualAlloc(NULL, 4096, MEM_COMMIT, PAGE_NOACCESS);
    *(volatile char *)page = 5;
    CHECK_HEX("access violation", seen, EXCEPTION_ACCESS_VIOLATION);
    CHECK_INT("a write", info0, 1);
    CHECK_INT("done again after mending", *(volatile char *)page, 5);
    VirtualProtect(page, 4096, PAGE_NOACCESS, &old);
    CHECK_INT("a read", (*(volatile char *)page, info0), 0);
    page = NULL;
    guard = VirtualAlloc(NULL, 4096, MEM_COMMIT, PAGE_READWRITE | PAGE_GUARD);
    seen = 0;
    *(volatile char *)guard = 1;
    CHECK_HEX("guard page", seen, STATUS_GUARD_PAGE_VIOLATION);
    seen = 0;
    *(volatile char *)guard = 2;
    CHECK_HEX("once", seen, 0);
#if defined(__x86_64__) || defined(__i386__)
    skip = 2;
    __asm__ volatile("ud2");
    CHECK_HEX("illegal instruction", seen, EXCEPTION_ILLEGAL_INSTRUCTION);
    {
        int zero = 0;
        skip = 2;
        __asm__ volatile("xorl %%edx, %%edx; movl $1, %%eax; divl %0" : "+c"(zero) : : "eax", "edx", "cc");
        CHECK_HEX("division by zero", seen, EXCEPTION_INT_DIVIDE_BY_ZERO);
    }
    skip = 1;
    __asm__ volatile("int3");
    CHECK_HEX("breakpoint", seen, EXCEPTION_BREAKPOINT);
#elif defined(__aarch64__)
    skip = 4;
    __asm__ volatile("udf #0");
    CHECK_HEX("illegal instruction", seen, EXCEPTION_ILLEGAL_INSTRUCTION);
    skip = 4;
    __asm__ volatile("brk #0xf000");
    CHECK_HEX("breakpoint", seen, EXCEPTION_BREAKPOINT);
#endif
    skip = 0;
    CHECK("remove", RemoveVectoredExceptionHandler(v));
    CHECK("remove twice", !RemoveVectoredExceptionHandler(v));
    b = AddVectoredExceptionHandler(0, last);
    a = AddVectoredExceptionHandler(1, first);
    RaiseException(0xE0000003, 0, 0, NULL);
    CHECK("first, then last", calls == 2 && order[0] == 1 && order[1] == 2);
    RemoveVectoredExceptionHandler(a);
    RemoveVectoredExceptionHandler(b);
    previous = SetUnhandledExceptionFilter(top);
    CHECK("SetUnhandledExceptionFilter answers the one before", SetUnhandledExceptionFilter(top) == top);
    RaiseException(0xE0000004, 0, 0, NULL);
    CHECK_HEX("the filter ran and continued", seen, 0xE0000004);
    SetUnhandledExceptionFilter(previous);
    return check_done();
}
