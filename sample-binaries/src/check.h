/* What every self-checking sample shares: named checks with an exact report.
 *
 *   CHECK(name, condition)          a fact that holds
 *   CHECK_INT(name, got, want)      signed 64-bit comparison
 *   CHECK_HEX(name, got, want)      the same, reported in hexadecimal (handles, masks, addresses)
 *   CHECK_STR(name, got, want)      char strings
 *   CHECK_WSTR(name, got, want)     UTF-16 strings
 *   CHECK_F64(name, got, want)      doubles, equal to the last bit (NaN equals NaN)
 *   CHECK_ERR(name, call, code)     the call fails (is false) and GetLastError() is code
 *   return check_done();            at the end of main
 *
 * Each prints "ok NAME" or "FAIL NAME file:line got G want W". The report goes through WriteFile alone, so that
 * a fault in the C runtime under test cannot garble the report about it. */
#ifndef CHECK_H
#define CHECK_H

#if defined(__GNUC__)
#pragma GCC diagnostic ignored "-Wunused-function"
#endif

#ifndef __USE_MINGW_ANSI_STDIO
#define __USE_MINGW_ANSI_STDIO 0 /* the DLL's printf family, not the one linked in by the compiler */
#endif
#ifndef _WIN32_WINNT
#define _WIN32_WINNT 0x0A00
#endif
#define WIN32_LEAN_AND_MEAN
#include <windows.h>
#include <stdint.h>

static int check_count, check_failures;
static char check_line[2048];
static unsigned check_len;

static void check_put(const char *s)
{
    while (*s && check_len < sizeof check_line - 2) check_line[check_len++] = *s++;
}
static void check_put_uint(unsigned long long v, unsigned base)
{
    char digits[24];
    int n = sizeof digits;
    digits[--n] = 0;
    do { digits[--n] = "0123456789abcdef"[v % base]; v /= base; } while (v);
    check_put(digits + n);
}
static void check_put_int(long long v)
{
    if (v < 0) { check_put("-"); check_put_uint(0ULL - (unsigned long long)v, 10); }
    else check_put_uint((unsigned long long)v, 10);
}
static void check_put_hex(unsigned long long v) { check_put("0x"); check_put_uint(v, 16); }
static void check_put_quoted(const char *s)
{
    if (!s) { check_put("NULL"); return; }
    check_put("\"");
    for (; *s; s++) {
        unsigned char c = (unsigned char)*s;
        char one[2] = {*s, 0};
        if (c == '\n') check_put("\\n");
        else if (c == '\r') check_put("\\r");
        else if (c < 32 || c > 126) { check_put("\\x"); check_put_uint(c, 16); }
        else check_put(one);
    }
    check_put("\"");
}
static void check_put_wquoted(const WCHAR *s)
{
    if (!s) { check_put("NULL"); return; }
    check_put("L\"");
    for (; *s; s++) {
        char one[2] = {(char)*s, 0};
        if (*s < 32 || *s > 126) { check_put("\\u"); check_put_uint(*s, 16); }
        else check_put(one);
    }
    check_put("\"");
}
static void check_flush(void)
{
    DWORD done;
    check_line[check_len++] = '\n';
    WriteFile(GetStdHandle(STD_OUTPUT_HANDLE), check_line, check_len, &done, NULL);
    check_len = 0;
}
/* Begins a line; returns whether the check held (then the line is finished). */
static int check_begin(const char *name, int held, const char *file, int line)
{
    check_count++;
    check_put(held ? "ok " : "FAIL ");
    check_put(name);
    if (held) { check_flush(); return 1; }
    check_failures++;
    check_put(" ");
    check_put(file);
    check_put(":");
    check_put_int(line);
    return 0;
}
static void check_true(const char *name, int held, const char *text, const char *file, int line)
{
    if (check_begin(name, held, file, line)) return;
    check_put(" not so: "); check_put(text); check_flush();
}
static void check_int(const char *name, long long got, long long want, int hex, const char *file, int line)
{
    if (check_begin(name, got == want, file, line)) return;
    check_put(" got ");
    if (hex) check_put_hex((unsigned long long)got); else check_put_int(got);
    check_put(" want ");
    if (hex) check_put_hex((unsigned long long)want); else check_put_int(want);
    check_flush();
}
static int check_same(const char *a, const char *b)
{
    if (!a || !b) return a == b;
    while (*a && *a == *b) a++, b++;
    return *a == *b;
}
static void check_str(const char *name, const char *got, const char *want, const char *file, int line)
{
    if (check_begin(name, check_same(got, want), file, line)) return;
    check_put(" got "); check_put_quoted(got); check_put(" want "); check_put_quoted(want); check_flush();
}
static void check_wstr(const char *name, const WCHAR *got, const WCHAR *want, const char *file, int line)
{
    const WCHAR *a = got, *b = want;
    if (a && b) while (*a && *a == *b) a++, b++;
    if (check_begin(name, a && b ? *a == *b : a == b, file, line)) return;
    check_put(" got "); check_put_wquoted(got); check_put(" want "); check_put_wquoted(want); check_flush();
}
static void check_f64(const char *name, double got, double want, const char *file, int line)
{
    union { double d; unsigned long long u; } g, w;
    g.d = got; w.d = want;
    if (check_begin(name, g.u == w.u || (got != got && want != want), file, line)) return;
    check_put(" got bits "); check_put_hex(g.u); check_put(" want bits "); check_put_hex(w.u); check_flush();
}
static void check_err(const char *name, int result, DWORD code, DWORD want, const char *file, int line)
{
    if (check_begin(name, !result && code == want, file, line)) return;
    if (result) check_put(" succeeded");
    check_put(" got error "); check_put_int(code); check_put(" want error "); check_put_int(want); check_flush();
}
/* "PREFIX-" and the process id: a name for an object that all processes of the user can see, so that programs which run at
 * the same time do not meet. */
static const char *check_unique(const char *prefix)
{
    static char name[4][96];
    static int next;
    char *at = name[next++ & 3];
    check_put(prefix);
    check_put("-");
    check_put_uint(GetCurrentProcessId(), 10);
    check_line[check_len] = 0;
    check_len = 0;
    lstrcpyA(at, check_line);
    return at;
}
static int check_done(void)
{
    check_put_int(check_count); check_put(" checks, "); check_put_int(check_failures); check_put(" failures");
    check_flush();
    return check_failures != 0;
}

#define CHECK(name, cond) check_true(name, !!(cond), #cond, __FILE__, __LINE__)
#define CHECK_INT(name, got, want) check_int(name, (long long)(got), (long long)(want), 0, __FILE__, __LINE__)
#define CHECK_HEX(name, got, want) \
    check_int(name, (long long)(unsigned long long)(got), (long long)(unsigned long long)(want), 1, __FILE__, __LINE__)
#define CHECK_STR(name, got, want) check_str(name, got, want, __FILE__, __LINE__)
#define CHECK_WSTR(name, got, want) check_wstr(name, got, want, __FILE__, __LINE__)
#define CHECK_F64(name, got, want) check_f64(name, got, want, __FILE__, __LINE__)
#define CHECK_ERR(name, call, code) \
    do { \
        int check_result; \
        DWORD check_code; \
        SetLastError(0xdead); \
        check_result = (call) ? 1 : 0; \
        check_code = GetLastError(); \
        check_err(name, check_result, check_code, code, __FILE__, __LINE__); \
    } while (0)

#endif
