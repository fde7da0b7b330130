/* The printf family, wide: the meaning of %s, %c, %S and %C turns round in msvcrt's and ucrtbase's wide functions. */
#include "check.h"
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <wchar.h>

static wchar_t out[512];
static int len;
static void fmt(const wchar_t *f, ...)
{
    va_list ap;
    va_start(ap, f);
    len = _vsnwprintf(out, 511, f, ap);
    va_end(ap);
}
#define IS(name, want, ...) \
    (memset(out, 0, sizeof out), fmt(__VA_ARGS__), CHECK_WSTR(name, out, want), CHECK_INT(name " result", len, (int)wcslen(want)))

int main(void)
{
    wchar_t b[8];
    IS("d", L"-42", L"%d", -42);
    IS("I64x", L"123456789abcdef0", L"%I64x", 0x123456789abcdef0ULL);
    IS("width", L"   42|42   |00042", L"%5d|%-5d|%05d", 42, 42, 42);
    IS("ls", L"wide", L"%ls", L"wide");
    IS("ws", L"wide", L"%ws", L"wide");
    IS("hs", L"narrow", L"%hs", "narrow");
    IS("hc", L"n", L"%hc", 'n');
    IS("lc", L"\x3b1", L"%lc", 0x3b1);
    IS("s is wide", L"wide", L"%s", L"wide");
    IS("c is wide", L"\x3b1", L"%c", 0x3b1);
    IS("S is narrow", L"narrow", L"%S", "narrow");
    IS("C is narrow", L"n", L"%C", 'n');
    IS("s NULL", L"(null)", L"%s", (wchar_t *)NULL);
    IS("s precision", L"wi", L"%.2s", L"wide");
    IS("beyond the BMP", L"\xd83d\xde00", L"%s", L"\xd83d\xde00");
    IS("f", L"3.14", L"%.2f", 3.14159);
    IS("mixed", L"1 a 2.5 b", L"%d %s %.1f %hs", 1, L"a", 2.5, "b");
    memset(b, 0x7a, sizeof b);
    CHECK_INT("_snwprintf truncates", _snwprintf(b, 3, L"%s", L"abcdef"), -1);
    CHECK("_snwprintf truncated leaves no terminator", b[2] == L'c' && b[3] == 0x7a7a);
    CHECK_INT("_scwprintf", _scwprintf(L"%d-%s", 12, L"abc"), 6);
    return check_done();
}
