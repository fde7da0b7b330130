/* String and memory functions, narrow and wide, and their Microsoft companions. */
#include "check.h"
#include <ctype.h>
#include <errno.h>
#include <mbstring.h>
#include <stdlib.h>
#include <string.h>
#include <wchar.h>
#include <wctype.h>

static int sign(int v) { return (v > 0) - (v < 0); }

static void narrow(void)
{
    char b[32], *p;
    CHECK_INT("strlen", strlen("hello"), 5);
    CHECK_STR("strcpy", strcpy(b, "abc"), "abc");
    CHECK_STR("strcat", strcat(b, "def"), "abcdef");
    memset(b, 'z', sizeof b);
    strncpy(b, "ab", 5);
    CHECK("strncpy pads", !memcmp(b, "ab\0\0\0z", 6));
    strcpy(b, "ab");
    CHECK_STR("strncat", strncat(b, "cdef", 2), "abcd");
    CHECK_INT("strcmp less", sign(strcmp("abc", "abd")), -1);
    CHECK_INT("strcmp compares unsigned", sign(strcmp("\xff", "a")), 1);
    CHECK_INT("strncmp", strncmp("abcX", "abcY", 3), 0);
    CHECK_INT("_stricmp", _stricmp("HeLLo", "hEllO"), 0);
    CHECK_INT("_stricmp compares lower case", sign(_stricmp("_", "a")), -1);
    CHECK_INT("_strnicmp", _strnicmp("ABCx", "abcy", 3), 0);
    CHECK_STR("strchr", strchr("hello", 'l'), "llo");
    CHECK_STR("strrchr", strrchr("hello", 'l'), "lo");
    CHECK("strchr terminator", *strchr("x", 0) == 0);
    CHECK_STR("strstr", strstr("haystack", "st"), "stack");
    CHECK_STR("strstr empty", strstr("hay", ""), "hay");
    CHECK("strstr none", strstr("hay", "x") == NULL);
    CHECK_INT("strspn", strspn("aabbc", "ab"), 4);
    CHECK_INT("strcspn", strcspn("hello", "lo"), 2);
    CHECK_STR("strpbrk", strpbrk("hello", "xl"), "llo");
    strcpy(b, ",a,,b");
    CHECK_STR("strtok first", strtok(b, ","), "a");
    CHECK_STR("strtok second", strtok(NULL, ","), "b");
    CHECK("strtok end", strtok(NULL, ",") == NULL);
    strcpy(b, "MiXed");
    CHECK_STR("_strupr", _strupr(b), "MIXED");
    CHECK_STR("_strlwr", _strlwr(b), "mixed");
    CHECK_STR("_strrev", _strrev(b), "dexim");
    CHECK_STR("_strset", _strset(b, 'q'), "qqqqq");
    p = _strdup("copy");
    CHECK_STR("_strdup", p, "copy");
    free(p);
    CHECK_INT("strnlen", strnlen("abcdef", 3), 3);
    CHECK_STR("strerror", strerror(ENOENT), "No such file or directory");
    CHECK_STR("strerror EINVAL", strerror(EINVAL), "Invalid argument");
    CHECK_STR("strerror unknown", strerror(9999), "Unknown error");
    CHECK_INT("strcoll", sign(strcoll("a", "b")), -1);
    CHECK_INT("strxfrm", strxfrm(b, "abc", sizeof b), 3);
}

static void memory(void)
{
    char b[16] = "0123456789";
    CHECK_INT("memcmp", sign(memcmp("a\0b", "a\0c", 3)), -1);
    memmove(b + 2, b, 5);
    CHECK_STR("memmove up", b, "0101234789");
    strcpy(b, "0123456789");
    memmove(b, b + 2, 5);
    CHECK_STR("memmove down", b, "2345656789");
    CHECK("memchr", memchr("abc", 'c', 3) != NULL);
    CHECK("memchr bounded", memchr("abc", 'c', 2) == NULL);
    CHECK("_memccpy", _memccpy(b, "xyz", 'y', 3) == b + 2);
    CHECK_INT("_memicmp", _memicmp("ABC", "abc", 3), 0);
    memset(b, 0x41, 3);
    CHECK("memset", !memcmp(b, "AAA", 3));
}

static void wide(void)
{
    wchar_t b[32], *p;
    CHECK_INT("wcslen", wcslen(L"hello"), 5);
    CHECK_WSTR("wcscpy", wcscpy(b, L"abc"), L"abc");
    CHECK_WSTR("wcscat", wcscat(b, L"def"), L"abcdef");
    CHECK_INT("wcscmp", sign(wcscmp(L"a", L"b")), -1);
    CHECK_INT("_wcsicmp", _wcsicmp(L"ABC", L"abc"), 0);
    CHECK_WSTR("wcschr", wcschr(b, L'd'), L"def");
    CHECK_WSTR("wcsrchr", wcsrchr(L"a.b.c", L'.'), L".c");
    CHECK_WSTR("wcsstr", wcsstr(b, L"cd"), L"cdef");
    CHECK_INT("wcsspn", wcsspn(L"aab", L"a"), 2);
    CHECK_WSTR("_wcsupr", _wcsupr(b), L"ABCDEF");
    p = _wcsdup(L"copy");
    CHECK_WSTR("_wcsdup", p, L"copy");
    free(p);
    CHECK_INT("wcsncmp", wcsncmp(L"abX", L"abY", 2), 0);
    CHECK_INT("towupper", towupper(L'q'), L'Q');
    CHECK("iswdigit", iswdigit(L'5') && !iswdigit(L'x'));
    CHECK("iswspace", iswspace(L'\t') && !iswspace(L'x'));
    CHECK_INT("wcstombs", (int)wcstombs((char *)b, L"abc", 8), 3);
    CHECK_INT("mbstowcs", (int)mbstowcs(b, "xyz", 8), 3);
    CHECK_WSTR("mbstowcs text", b, L"xyz");
}

/* In the "C" locale the classes hold ASCII only; the table must answer for -1 to 255. */
static void classes(void)
{
    int c, alpha = 0, digit = 0, space = 0, punct = 0, upper = 0, lower = 0, cntrl = 0, xdigit = 0, print = 0;
    for (c = -1; c < 256; c++) {
        alpha += !!isalpha(c); digit += !!isdigit(c); space += !!isspace(c); punct += !!ispunct(c);
        upper += !!isupper(c); lower += !!islower(c); cntrl += !!iscntrl(c); xdigit += !!isxdigit(c); print += !!isprint(c);
    }
    CHECK_INT("isalpha", alpha, 52);
    CHECK_INT("isdigit", digit, 10);
    CHECK_INT("isspace", space, 6);
    CHECK_INT("ispunct", punct, 32);
    CHECK_INT("isupper", upper, 26);
    CHECK_INT("islower", lower, 26);
    CHECK_INT("iscntrl", cntrl, 33);
    CHECK_INT("isxdigit", xdigit, 22);
    CHECK_INT("isprint", print, 95);
    CHECK_INT("toupper", toupper('a'), 'A');
    CHECK_INT("toupper leaves others", toupper('1'), '1');
    CHECK_INT("tolower", tolower('Z'), 'z');
}

#ifdef _UCRT
static int invalid_calls;
static void on_invalid(const wchar_t *e, const wchar_t *fn, const wchar_t *file, unsigned line, uintptr_t r)
{
    (void)e; (void)fn; (void)file; (void)line; (void)r;
    invalid_calls++;
}
static void secure(void)
{
    char b[8], *ctx = NULL;
    _set_invalid_parameter_handler(on_invalid);
    CHECK_INT("strcpy_s", strcpy_s(b, sizeof b, "abc"), 0);
    CHECK_INT("strcat_s", strcat_s(b, sizeof b, "def"), 0);
    CHECK_STR("strcat_s text", b, "abcdef");
    CHECK_INT("strcpy_s too long", strcpy_s(b, 3, "abc"), ERANGE);
    CHECK_STR("strcpy_s too long empties", b, "");
    CHECK_INT("strcpy_s too long calls the handler", invalid_calls, 1);
    CHECK_INT("strncpy_s truncates", strncpy_s(b, 4, "abcdef", _TRUNCATE), STRUNCATE);
    CHECK_STR("strncpy_s text", b, "abc");
    strcpy(b, "a b");
    CHECK_STR("strtok_s", strtok_s(b, " ", &ctx), "a");
    CHECK_STR("strtok_s next", strtok_s(NULL, " ", &ctx), "b");
    CHECK_INT("memcpy_s", memcpy_s(b, 8, "xyz", 4), 0);
    CHECK_INT("memcpy_s too long", memcpy_s(b, 2, "xyz", 4), ERANGE);
}
#endif

int main(void)
{
    narrow();
    memory();
    wide();
    classes();
#ifdef _UCRT
    secure();
#endif
    return check_done();
}
