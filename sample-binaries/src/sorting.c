/* qsort and bsearch with and without a context: elements of all sizes, orders that make sorting slow, comparisons that are left in
 * every way there is, and what a comparison sees of its callers. */
#include "check.h"
#include <errno.h>
#include <search.h>
#include <setjmp.h>
#include <stdlib.h>
#include <string.h>

typedef int(__cdecl *in_context)(void *, const void *, const void *);
typedef void(__cdecl *sorter)(void *, size_t, size_t, in_context, void *);
typedef void *(__cdecl *searcher)(const void *, const void *, size_t, size_t, in_context, void *);

static unsigned char bytes[64 * 500];
static size_t width;
static int __cdecl by_bytes(const void *a, const void *b) { return memcmp(a, b, width < 4 ? width : 4); }
static int __cdecl by_int(const void *a, const void *b)
{
    int x = *(const int *)a, y = *(const int *)b;
    return (x > y) - (x < y);
}
static int __cdecl counting(void *context, const void *a, const void *b)
{
    ++*(int *)context;
    return by_int(a, b);
}
static unsigned seed;
static unsigned next(void) { return (seed = seed * 1664525u + 1013904223u) >> 8; }

/* The value of element I of N in one of the orders. */
static unsigned key(int order, unsigned i, unsigned n)
{
    switch (order) {
    case 0: return i;
    case 1: return n - i;
    case 2: return 5;
    case 3: return i < n / 2 ? i : n - i;
    case 4: return i % 3;
    default: return next();
    }
}
static unsigned sum(size_t n)
{
    unsigned total = 0;
    size_t i, j;
    for (i = 0; i < n; i++) {
        unsigned one = 1;
        for (j = 0; j < width; j++) one = one * 31 + bytes[i * width + j];
        total += one; /* whatever the order of the elements */
    }
    return total;
}
static int sorts(int order, unsigned n)
{
    unsigned i, j, before;
    for (i = 0; i < n; i++) {
        unsigned k = key(order, i, n);
        for (j = 0; j < width; j++) bytes[i * width + j] = (unsigned char)(j < 4 ? k >> 8 * (3 - j) : i + j);
    }
    before = sum(n);
    qsort(bytes, n, width, by_bytes);
    for (i = 1; i < n; i++)
        if (by_bytes(bytes + (i - 1) * width, bytes + i * width) > 0) return 0;
    return sum(n) == before;
}
static void check_orders(void)
{
    static const unsigned counts[] = {0, 1, 2, 3, 8, 9, 10, 63, 64, 65, 200, 500};
    int order, ok = 1;
    unsigned i;
    for (width = 1; width <= 64; width++)
        for (order = 0; order < 6; order++)
            for (i = 0; i < sizeof counts / sizeof *counts; i++) ok &= sorts(order, counts[i]);
    CHECK("every size and order", ok);
}

/* An order that is made up during the sort, so that each pivot turns out the worst (McIlroy, "A killer adversary for quicksort"). */
enum { ADVERSARY = 4000, GAS = ADVERSARY };
static int value[ADVERSARY], solid, candidate;
static long comparisons;
static int __cdecl adversary(const void *a, const void *b)
{
    int x = *(const int *)a, y = *(const int *)b;
    comparisons++;
    if (value[x] == GAS && value[y] == GAS) value[x == candidate ? x : y] = solid++;
    if (value[x] == GAS) candidate = x;
    else if (value[y] == GAS) candidate = y;
    return value[x] - value[y];
}
static void check_worst_case(void)
{
    static int index[ADVERSARY];
    int i, ok = 1;
    for (i = 0; i < ADVERSARY; i++) { index[i] = i; value[i] = GAS; }
    qsort(index, ADVERSARY, sizeof *index, adversary);
    for (i = 1; i < ADVERSARY; i++) ok &= value[index[i - 1]] <= value[index[i]];
    CHECK("the worst order is sorted", ok);
    CHECK("and not in quadratic time", comparisons < 100L * ADVERSARY);
}

static jmp_buf out;
static int left, calls;
static int __cdecl jumps_after(const void *a, const void *b)
{
    if (++calls == 40) longjmp(out, 1);
    return by_int(a, b);
}
static int __cdecl raises(const void *a, const void *b)
{
    if (++calls % 10 == 0) RaiseException(0xE0000055, 0, 0, NULL);
    return by_int(a, b);
}
static LONG CALLBACK goes_on(EXCEPTION_POINTERS *e)
{
    if (e->ExceptionRecord->ExceptionCode != 0xE0000055) return EXCEPTION_CONTINUE_SEARCH;
    left++;
    return EXCEPTION_CONTINUE_EXECUTION;
}
static void fill(int *v, int n)
{
    int i;
    for (i = 0; i < n; i++) v[i] = (int)(next() % 1000);
}
static int is_sorted(const int *v, int n)
{
    int i;
    for (i = 1; i < n; i++)
        if (v[i - 1] > v[i]) return 0;
    return 1;
}
static void check_leaving(void)
{
    int v[300];
    volatile int i;
    PVOID handler;
    for (i = 0; i < 100; i++) {
        calls = 0;
        fill(v, 300);
        if (!setjmp(out)) qsort(v, 300, sizeof *v, jumps_after);
        else left++;
    }
    CHECK_INT("left by longjmp", left, 100);
    left = 0;
    handler = AddVectoredExceptionHandler(1, goes_on);
    calls = 0;
    fill(v, 300);
    qsort(v, 300, sizeof *v, raises);
    RemoveVectoredExceptionHandler(handler);
    CHECK("sorted after exceptions that were continued", is_sorted(v, 300) && left > 0 && left == calls / 10);
}

static PVOID frames[32];
static unsigned depth;
static int __cdecl looks_back(const void *a, const void *b)
{
    if (!depth) depth = CaptureStackBackTrace(0, 32, frames, NULL);
    return by_int(a, b);
}
__attribute__((noinline)) static int sort_and_look(int *v, int n)
{
    depth = 0;
    qsort(v, n, sizeof *v, looks_back);
    return is_sorted(v, n);
}
static void check_stack(void)
{
#if defined(_WIN64)
    int v[20], again, found = 0;
    unsigned i;
    DWORD64 base;
    PRUNTIME_FUNCTION here = RtlLookupFunctionEntry((DWORD64)sort_and_look, &base, NULL);
    for (again = 0; again < 2; again++) {
        fill(v, 20);
        if (!sort_and_look(v, 20)) break;
        for (i = 0; i < depth; i++)
            if (RtlLookupFunctionEntry((DWORD64)frames[i], &base, NULL) == here) { found++; break; }
    }
    CHECK_INT("a walk of the stack finds who sorts", found, 2);
    CHECK("and how to step out of what calls", RtlLookupFunctionEntry((DWORD64)frames[1], &base, NULL) != NULL);
#else
    CHECK("x86 keeps no tables of functions", 1);
#endif
}

static void check_context(void)
{
    HMODULE crt = GetModuleHandleA("msvcrt.dll");
    sorter sort_s;
    searcher search_s;
    int v[256], i, compared = 0, ok = 1, wanted;
    if (!crt) crt = GetModuleHandleA("ucrtbase.dll");
    sort_s = (sorter)(void *)GetProcAddress(crt, "qsort_s");
    search_s = (searcher)(void *)GetProcAddress(crt, "bsearch_s");
    CHECK("with a context: exported", sort_s && search_s);
    for (i = 0; i < 256; i++) v[i] = i * 77 % 256 * 2;
    sort_s(v, 256, sizeof *v, counting, &compared);
    CHECK("with a context: sorted", is_sorted(v, 256));
    CHECK("with a context: counted", compared > 1000 && compared < 4000);
    for (wanted = -1; wanted <= 512; wanted++) {
        int *hit;
        compared = 0;
        hit = search_s(&wanted, v, 256, sizeof *v, counting, &compared);
        ok &= (wanted % 2 == 0 && wanted < 512 ? hit == v + wanted / 2 : !hit) && compared <= 9;
        ok &= bsearch(&wanted, v, 256, sizeof *v, by_int) == hit;
    }
    CHECK("with a context: found what is there", ok);
    CHECK("nothing among none", !bsearch(&wanted, v, 0, sizeof *v, by_int));
}

static int complaints;
static void __cdecl invalid(const wchar_t *e, const wchar_t *f, const wchar_t *file, unsigned line, uintptr_t r)
{
    (void)e; (void)f; (void)file; (void)line; (void)r;
    complaints++;
}
typedef void(__cdecl *handler_fn)(const wchar_t *, const wchar_t *, const wchar_t *, unsigned, uintptr_t);
typedef handler_fn(__cdecl *set_handler)(handler_fn);
static void check_arguments(void)
{
    /* errno here is the UCRT's only in programs that link it. */
    HMODULE ucrt = GetModuleHandleA("ucrtbase.dll");
    set_handler set = ucrt ? (set_handler)(void *)GetProcAddress(ucrt, "_set_invalid_parameter_handler") : NULL;
    int v[2] = {2, 1};
    if (!set) return;
    set(invalid);
    errno = 0;
    qsort(NULL, 2, sizeof *v, by_int);
    CHECK_INT("no array", errno, EINVAL);
    errno = 0;
    qsort(v, 2, 0, by_int);
    CHECK_INT("no width", errno, EINVAL);
    errno = 0;
    CHECK("no comparison", !bsearch(v, v, 2, sizeof *v, NULL) && errno == EINVAL);
    CHECK_INT("the handler was asked", complaints, 3);
    qsort(NULL, 0, sizeof *v, by_int);
    CHECK_INT("nothing to sort is right", complaints, 3);
    CHECK("and nothing has changed", v[0] == 2 && v[1] == 1);
}

int main(void)
{
    check_orders();
    check_worst_case();
    check_leaving();
    check_stack();
    check_context();
    check_arguments();
    return check_done();
}
