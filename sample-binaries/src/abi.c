/* What crosses the boundary between program and DLL: varargs, floating point in every position, 64-bit values among 32-bit
 * ones, structures by value, many arguments, callbacks with each of these, and stack and register preservation. */
#include "check.h"
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <math.h>
#include <locale.h>

static volatile double dv = 1.5;

static char *format(const char *f, ...)
{
    static char b[256];
    va_list ap;
    va_start(ap, f);
    _vsnprintf(b, sizeof b, f, ap);
    va_end(ap);
    return b;
}

static BOOL CALLBACK locale_name(WCHAR *name, DWORD flags, LPARAM p)
{
    (void)flags;
    if (name) ++*(int *)p;
    return *(int *)p < 3; /* stop after three: the result travels back */
}

/* Values held in every callee-saved register across calls into a DLL. */
static int preserved(int a, int b, int c, int d, int e, int f, double g, double h)
{
    volatile int r = 0;
    int i;
    for (i = 0; i < 1000; i++) {
        SetLastError((DWORD)i);
        r += (int)GetLastError() == i;
        g += fabs(h);
        a += b; c ^= d; e += f;
    }
    return r == 1000 && g == 1000 * h + 0.25 && a == 1 + 1000 * b && (c == 3) && e == 5 + 1000 * f;
}

int main(void)
{
    char b[128];
    div_t d;
    ldiv_t l;
    LARGE_INTEGER big, pos;
    int n = 0;
    HANDLE h;
    struct lconv *lc = localeconv();
    sprintf(b, "%d %lld %d %lld %s", 1, 0x100000002LL, 3, -4LL, "end");
    CHECK_STR("32 and 64 bits mixed", b, "1 4294967298 3 -4 end");
    sprintf(b, "%g %d %g %d %g %d %g %d %g", 0.5, 1, 1.5, 2, 2.5, 3, 3.5, 4, 4.5);
    CHECK_STR("doubles and ints mixed", b, "0.5 1 1.5 2 2.5 3 3.5 4 4.5");
    sprintf(b, "%d %d %d %d %d %d %d %d %d %d %d %d", 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12);
    CHECK_STR("twelve arguments", b, "1 2 3 4 5 6 7 8 9 10 11 12");
    CHECK_STR("va_list", format("%s-%d-%.2f-%I64d-%c", "s", 7, 2.25, 1LL << 40, 'z'), "s-7-2.25-1099511627776-z");
    sprintf(b, "%.1f", (float)dv);
    CHECK_STR("float becomes double", b, "1.5");
    d = div(17, 5);
    CHECK("an eight-byte structure returned", d.quot == 3 && d.rem == 2);
    l = ldiv(-17, 5);
    CHECK("another", l.quot == -3 && l.rem == -2);
    CHECK_F64("double returned", sqrt(dv * dv), 1.5);
    CHECK_F64("double and int", ldexp(dv, 3), 12.0);
    CHECK_F64("two doubles", fmod(dv * 5, 2.0), 1.5);
    CHECK("64 bits returned", _atoi64("1099511627776") == 1LL << 40);
    CHECK("64 bits returned, negative", _strtoi64("-5000000000", NULL, 10) == -5000000000LL);
    h = CreateFileA("abi.bin", GENERIC_READ | GENERIC_WRITE, 0, NULL, CREATE_ALWAYS, FILE_FLAG_DELETE_ON_CLOSE, NULL);
    big.QuadPart = 5000000000LL;
    CHECK("LARGE_INTEGER by value", SetFilePointerEx(h, big, &pos, FILE_BEGIN) && pos.QuadPart == 5000000000LL);
    CloseHandle(h);
    /* COORD: four bytes by value. The console may be absent; then the handle is refused, whatever the value. */
    {
        COORD c = {3, 4};
        CHECK_ERR("COORD by value reaches the handle check", SetConsoleCursorPosition(NULL, c), ERROR_INVALID_HANDLE);
    }
    CHECK("callback with a result", EnumSystemLocalesEx(locale_name, 0, (LPARAM)&n, NULL) && n >= 1 && n <= 3);
    CHECK("registers are preserved", preserved(1, 2, 3, 0, 5, 6, 0.25, 0.5));
    CHECK_STR("lconv", lc->decimal_point, ".");
    CHECK_STR("lconv thousands", lc->thousands_sep, "");
    CHECK_INT("MulDiv", MulDiv(1000000, 1000000, 500000), 2000000);
    CHECK_INT("MulDiv rounds", MulDiv(5, 1, 2), 3);
    CHECK_INT("MulDiv by zero", MulDiv(5, 1, 0), -1);
    CHECK("compare exchange", InterlockedCompareExchange64(&big.QuadPart, 1, 5000000000LL) == 5000000000LL && big.QuadPart == 1);
    wsprintfA(b, "%s %d %08lX %c %ls", "w", -1, 0xabcdefL, 'c', L"wide");
    CHECK_STR("wsprintf", b, "w -1 00ABCDEF c wide");
    return check_done();
}
