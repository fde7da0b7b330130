/* Structured exceptions: __try, __except and __finally, their order, filters, nesting, and unwinding through callbacks. Built
 * by compilers that know the keywords; elsewhere the program reports that it has nothing to check. */
#include "check.h"
#include <stdlib.h>

#if defined(__clang__)
static int trail[16], steps;
static void mark(int n) { if (steps < 16) trail[steps++] = n; }

static int filter(DWORD code, DWORD want)
{
    mark(1);
    return code == want ? EXCEPTION_EXECUTE_HANDLER : EXCEPTION_CONTINUE_SEARCH;
}
__attribute__((noinline)) static void fault(void) { *(volatile int *)(uintptr_t)16 = 1; }
__attribute__((noinline)) static void finally_then_fault(void)
{
    __try { fault(); }
    __finally { mark(2); }
}
static int __cdecl raising(const void *a, const void *b)
{
    (void)a; (void)b;
    RaiseException(0xE0000077, 0, 0, NULL);
    return 0;
}
int main(void)
{
    int v[2] = {2, 1}, caught = 0;
    __try { finally_then_fault(); }
    __except (filter(GetExceptionCode(), EXCEPTION_ACCESS_VIOLATION)) { mark(3); }
    CHECK("filter, finally, handler", steps == 3 && trail[0] == 1 && trail[1] == 2 && trail[2] == 3);
    __try {
        __try { fault(); }
        __except (filter(GetExceptionCode(), 0xE0000001)) { caught = 1; }
    } __except (filter(GetExceptionCode(), EXCEPTION_ACCESS_VIOLATION)) { caught = 2; }
    CHECK_INT("the outer one", caught, 2);
    __try { qsort(v, 2, sizeof *v, raising); }
    __except (GetExceptionCode() == 0xE0000077) { caught = 3; }
    CHECK_INT("through a DLL's frames", caught, 3);
    steps = 0;
    __try { mark(4); }
    __finally { mark(AbnormalTermination() ? 5 : 6); }
    CHECK("finally without an exception", steps == 2 && trail[1] == 6);
    return check_done();
}
#else
int main(void)
{
    CHECK("this compiler has no __try", 1);
    return check_done();
}
#endif
