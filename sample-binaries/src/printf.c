/* The printf family, narrow: flags, widths, precisions, Microsoft's size prefixes, rounding, truncation rules.
 * Documentation: "Format specification syntax: printf and wprintf functions", "snprintf, _snprintf, ...". */
#include "check.h"
#include <errno.h>
#include <float.h>
#include <limits.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static char out[512];
static int len;
static void fmt(const char *f, ...)
{
    va_list ap;
    va_start(ap, f);
    len = vsprintf(out, f, ap);
    va_end(ap);
}
#define IS(name, want, ...) (fmt(__VA_ARGS__), CHECK_STR(name, out, want), CHECK_INT(name " result", len, (int)strlen(want)))

static void integers(void)
{
    IS("d", "42", "%d", 42);
    IS("d negative", "-42", "%d", -42);
    IS("i", "7", "%i", 7);
    IS("u", "4294967295", "%u", UINT_MAX);
    IS("INT_MIN", "-2147483648", "%d", INT_MIN);
    IS("o", "777", "%o", 0777);
    IS("#o", "0777", "%#o", 0777);
    IS("#o zero", "0", "%#o", 0);
    IS("x", "deadbeef", "%x", 0xdeadbeefu);
    IS("X", "DEADBEEF", "%X", 0xdeadbeefu);
    IS("#x", "0x1f", "%#x", 31);
    IS("#X", "0X1F", "%#X", 31);
    IS("#x zero", "0", "%#x", 0);
    IS("width", "   42", "%5d", 42);
    IS("left", "42   |", "%-5d|", 42);
    IS("zero pad", "00042", "%05d", 42);
    IS("zero pad negative", "-0042", "%05d", -42);
    IS("left beats zero", "42   |", "%-05d|", 42);
    IS("precision", "00042", "%.5d", 42);
    IS("width and precision", "   00042", "%8.5d", 42);
    /* Wine 8's msvcrt pads with zeros here. */
    IS("precision beats zero", "   00042", "%08.5d", 42);
    IS("precision zero of zero", "", "%.0d", 0);
    IS("precision zero of zero, width", "  ", "%2.0d", 0);
    IS("plus", "+42", "%+d", 42);
    IS("space", " 42", "% d", 42);
    IS("plus beats space", "+42", "%+ d", 42);
    IS("star width", "    7", "%*d", 5, 7);
    IS("negative star width", "7    |", "%*d|", -5, 7);
    IS("star precision", "007", "%.*d", 3, 7);
    IS("negative star precision is none", "7", "%.*d", -3, 7);
    IS("#x width zero", "0x00001f", "%#08x", 31);
}

static void sizes(void)
{
    IS("hd", "-1", "%hd", 0x1ffff);
    IS("hu", "65535", "%hu", 0x1ffff);
    IS("ld is 32 bits", "-2147483648", "%ld", LONG_MIN);
    IS("lu", "4294967295", "%lu", ULONG_MAX);
    IS("lld", "-9223372036854775808", "%lld", LLONG_MIN);
    IS("llu", "18446744073709551615", "%llu", ULLONG_MAX);
    IS("I64d", "-9223372036854775808", "%I64d", LLONG_MIN);
    IS("I64x", "123456789abcdef0", "%I64x", 0x123456789abcdef0ULL);
    IS("I64u", "18446744073709551615", "%I64u", ULLONG_MAX);
    IS("I32d", "-5", "%I32d", -5);
    IS("I32x", "ffffffff", "%I32x", 0xffffffffu);
    IS("Iu", "4000000000", "%Iu", (size_t)4000000000u);
    IS("Id", "-5", "%Id", (intptr_t)-5);
    IS("I64 then int", "1 2", "%I64d %d", 1LL, 2);
    IS("lld then string", "1 s", "%lld %s", 1LL, "s");
#ifdef _UCRT
    IS("hhd", "-1", "%hhd", 0x1ff);
    IS("zu", "4000000000", "%zu", (size_t)4000000000u);
    IS("td", "-3", "%td", (ptrdiff_t)-3);
    IS("jd", "-9", "%jd", (intmax_t)-9);
#endif
}

static void text(void)
{
    IS("s", "abc", "%s", "abc");
    IS("s width", "  abc", "%5s", "abc");
    IS("s left", "abc  |", "%-5s|", "abc");
    IS("s precision", "ab", "%.2s", "abc");
    IS("s precision unterminated", "xyz", "%.3s", "xyzzy");
    IS("s NULL", "(null)", "%s", (char *)NULL);
    IS("c", "A", "%c", 'A');
    IS("c width", "  A", "%3c", 'A');
    IS("percent", "100%", "%d%%", 100);
    IS("S is wide in printf", "wide", "%S", L"wide");
    IS("ls", "wide", "%ls", L"wide");
    IS("ws", "wide", "%ws", L"wide");
    IS("hs", "narrow", "%hs", "narrow");
    IS("lc", "W", "%lc", L'W');
    IS("C is wide in printf", "W", "%C", L'W');
    IS("hc", "n", "%hc", 'n');
    IS("ls precision", "wi", "%.2ls", L"wide");
    IS("ls NULL", "(null)", "%ls", (wchar_t *)NULL);
    fmt("%c%c%c", 'a', 0, 'b');
    CHECK_INT("embedded NUL length", len, 3);
    CHECK("embedded NUL", !memcmp(out, "a\0b", 4));
#ifdef _WIN64
    IS("p", "0000000000001A2B", "%p", (void *)0x1a2b);
#else
    IS("p", "00001A2B", "%p", (void *)0x1a2b);
#endif
}

static void floats(void)
{
    IS("f", "3.141593", "%f", 3.14159265358979);
    IS("f precision", "3.14", "%.2f", 3.14159);
    IS("f negative", "-0.50", "%.2f", -0.5);
    IS("f zero precision", "4", "%.0f", 3.7);
    IS("f # keeps point", "3.", "%#.0f", 3.2);
    IS("f width", "    1.50", "%8.2f", 1.5);
    IS("f zero pad", "-0001.50", "%08.2f", -1.5);
    IS("f plus", "+1.5", "%+.1f", 1.5);
    IS("f large", "100000000000000000000.0", "%.1f", 1e20);
    IS("f negative zero", "-0.0", "%.1f", -0.0);
    IS("e MSVCRT has three exponent digits, UCRT two",
#ifdef _UCRT
       "1.234560e+03",
#else
       "1.234560e+003",
#endif
       "%e", 1234.56);
#ifdef _UCRT
    IS("E", "1.2E-10", "%.1E", 1.2e-10);
    IS("e 308", "1.797693e+308", "%e", DBL_MAX);
    IS("g small", "1e-05", "%g", 0.00001);
    IS("g large", "1e+06", "%g", 1000000.0);
    IS("a", "0x1.8000000000000p+0", "%a", 1.5);
    IS("A precision", "0X1.80P+1", "%.2A", 3.0);
    IS("exact digits", "0.1000000000000000055511151231257827", "%.34f", 0.1);
    IS("exact 2^70", "1180591620717411303424", "%.0f", 1180591620717411303424.0);
    IS("g 17", "0.10000000000000001", "%.17g", 0.1);
    IS("e 20", "1.00000000000000005551e-01", "%.20e", 0.1);
    IS("smallest denormal", "4.94066e-324", "%g", 4.9406564584124654e-324);
    IS("inf", "inf", "%f", HUGE_VAL);
    IS("-inf upper", "-INF", "%F", -HUGE_VAL);
    IS("inf width ignores zero", "   inf", "%06f", HUGE_VAL);
    /* The headers pass _CRT_INTERNAL_PRINTF_STANDARD_ROUNDING since Windows 10 2004; without it ties round away. */
#ifdef _CRT_INTERNAL_PRINTF_STANDARD_ROUNDING
    IS("tie to even 0.5", "0", "%.0f", 0.5);
    IS("tie to even 2.5", "2", "%.0f", 2.5);
    IS("tie to even 0.125", "0.12", "%.2f", 0.125);
#else
    IS("legacy tie 0.5", "1", "%.0f", 0.5);
    IS("legacy tie 2.5", "3", "%.0f", 2.5);
    IS("legacy tie 0.125", "0.13", "%.2f", 0.125);
#endif
    IS("tie 1.5", "2", "%.0f", 1.5);
#else
    IS("E", "1.2E-010", "%.1E", 1.2e-10);
    IS("g small", "1e-005", "%g", 0.00001);
    IS("g large", "1e+006", "%g", 1000000.0);
    IS("e 308", "1.797693e+308", "%e", DBL_MAX);
#endif
    IS("rounds 1.005 down, as its value lies below", "1.00", "%.2f", 1.005);
    IS("rounds 0.15 down", "0.1", "%.1f", 0.15);
    IS("carries", "10.0", "%.1f", 9.99);
    IS("carries to a new digit", "100", "%.0f", 99.9);
    IS("g", "0.0001", "%g", 0.0001);
    IS("g six digits", "123457", "%g", 123456.7);
    IS("g strips zeros", "1.5", "%g", 1.50);
    IS("g # keeps zeros", "1.50000", "%#g", 1.5);
    IS("g zero", "0", "%g", 0.0);
    IS("g precision 3", "1.23", "%.3g", 1.2345);
    IS("Lf is double", "2.5", "%.1Lf", (double)2.5);
    IS("several", "1 2.5 x 3", "%d %.1f %s %d", 1, 2.5, "x", 3);
    IS("many doubles", "1 2 3 4 5 6 7 8 9", "%g %g %g %g %g %g %g %g %g", 1., 2., 3., 4., 5., 6., 7., 8., 9.);
}

static void bounded(void)
{
    char b[8];
    memset(b, 'z', sizeof b);
    CHECK_INT("_snprintf fits", _snprintf(b, 8, "%s", "abc"), 3);
    CHECK_STR("_snprintf text", b, "abc");
    memset(b, 'z', sizeof b);
    CHECK_INT("_snprintf exact", _snprintf(b, 3, "%s", "abc"), 3);
    CHECK("_snprintf exact leaves no terminator", !memcmp(b, "abcz", 4));
    memset(b, 'z', sizeof b);
    CHECK_INT("_snprintf truncates", _snprintf(b, 3, "%s", "abcdef"), -1);
    CHECK("_snprintf truncated leaves no terminator", !memcmp(b, "abcz", 4));
    CHECK_INT("_snprintf counts", _snprintf(NULL, 0, "%s", "abcdef"), 6);
    CHECK_INT("_scprintf", _scprintf("%d-%s", 12, "abc"), 6);
#ifdef _UCRT
    memset(b, 'z', sizeof b);
    CHECK_INT("snprintf returns the full length", snprintf(b, 4, "%s", "abcdef"), 6);
    CHECK_STR("snprintf terminates", b, "abc");
    memset(b, 'z', sizeof b);
    CHECK_INT("_snprintf_s _TRUNCATE", _snprintf_s(b, sizeof b, _TRUNCATE, "%s", "abcdefghij"), -1);
    CHECK_STR("_snprintf_s text", b, "abcdefg");
    CHECK_INT("sprintf_s", sprintf_s(b, sizeof b, "%d", 123), 3);
#endif
}

static void streams(void)
{
    FILE *f = fopen("printf.out", "wb+");
    char line[64];
    CHECK("open", f != NULL);
    if (!f) return;
    CHECK_INT("fprintf", fprintf(f, "%d:%s\n", 5, "five"), 7);
    rewind(f);
    CHECK("fgets", fgets(line, sizeof line, f) != NULL);
    CHECK_STR("fprintf text", line, "5:five\n");
    fclose(f);
    remove("printf.out");
}

#ifdef _UCRT
static int invalid_calls;
static void on_invalid(const wchar_t *e, const wchar_t *fn, const wchar_t *file, unsigned line, uintptr_t r)
{
    (void)e; (void)fn; (void)file; (void)line; (void)r;
    invalid_calls++;
}
static void invalid(void)
{
    char b[4] = "zzz";
    _set_invalid_parameter_handler(on_invalid);
    CHECK_INT("_snprintf_s overflow result", _snprintf_s(b, sizeof b, sizeof b, "%s", "abcdef"), -1);
    /* Wine 8 truncates instead. */
    CHECK("_snprintf_s overflow calls the handler", invalid_calls == 1);
    CHECK_STR("_snprintf_s overflow empties the buffer", b, "");
    errno = 0;
    invalid_calls = 0;
    CHECK_INT("fprintf NULL format", fprintf(stderr, NULL), -1);
    CHECK_INT("fprintf NULL format errno", errno, EINVAL);
    CHECK("fprintf NULL format calls the handler", invalid_calls == 1);
}
#endif

int main(void)
{
    integers();
    sizes();
    text();
    floats();
    bounded();
    streams();
#ifdef _UCRT
    invalid();
#endif
    return check_done();
}
