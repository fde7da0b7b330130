/* The environment and the command line: both the C runtime's view and Win32's, and how each parses quotes. */
#include "check.h"
#include <errno.h>
#include <shellapi.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void split(const char *name, const WCHAR *line, int want, const WCHAR *one, const WCHAR *two)
{
    int n = 0;
    WCHAR **v = CommandLineToArgvW(line, &n);
    CHECK_INT(name, n, want);
    if (n > 1) CHECK_WSTR(name, v[1], one);
    if (n > 2) CHECK_WSTR(name, v[2], two);
    LocalFree(v);
}

/* Variables change their size and place while they are asked for again and again. */
static int stale_after_changes(void)
{
    static const char *const names[] = {"SAMPLE_1", "SAMPLE_2", "sample_1"};
    char set[64] = "", got[64];
    int stale = 0;
    for (int i = 0; i < 60; i++) {
        int which = i * 7 % 3;
        sprintf(set, "%0*d", i * 13 % 40 + 2, i);
        SetEnvironmentVariableA(names[which], set);
        SetEnvironmentVariableA("SAMPLE_0", i % 2 ? "before them" : NULL);
        for (int again = 0; again < 2; again++) {
            stale += GetEnvironmentVariableA(names[which], got, sizeof got) != strlen(set) || strcmp(got, set);
            if (which != 1) stale += GetEnvironmentVariableA(names[2 - which], got, sizeof got) != strlen(set) || strcmp(got, set);
        }
    }
    for (int i = 0; i < 2; i++) SetEnvironmentVariableA(names[i], NULL);
    SetEnvironmentVariableA("SAMPLE_0", NULL);
    stale += GetEnvironmentVariableA(names[2], got, sizeof got) != 0;
    return stale;
}

static void command_line(void)
{
    split("plain", L"p.exe a b", 3, L"a", L"b");
    split("quoted", L"p.exe \"a b\" c", 3, L"a b", L"c");
    split("quoted program", L"\"p q.exe\" a", 2, L"a", NULL);
    split("backslashes", L"p a\\b\\\\c d\\", 3, L"a\\b\\\\c", L"d\\");
    split("2n backslashes and a quote", L"p \"a\\\\\" b", 3, L"a\\", L"b");
    split("2n+1 backslashes and a quote", L"p a\\\"b c", 3, L"a\"b", L"c");
    split("a quote inside a word", L"p a\"b c\"d e", 3, L"ab cd", L"e");
    split("empty argument", L"p \"\" x", 3, L"", L"x");
    split("tabs", L"p\ta\t b", 3, L"a", L"b");
    split("backslashes in the program are plain", L"c:\\x\\p a", 2, L"a", NULL);
}

static void win32(void)
{
    char b[64];
    WCHAR w[64];
    CHECK("Set", SetEnvironmentVariableA("SAMPLE_A", "value"));
    CHECK_INT("Get", GetEnvironmentVariableA("SAMPLE_A", b, sizeof b), 5);
    CHECK_STR("Get text", b, "value");
    CHECK_INT("names have no case", GetEnvironmentVariableA("sample_a", b, sizeof b), 5);
    CHECK_INT("too small a buffer counts the terminator", GetEnvironmentVariableA("SAMPLE_A", b, 3), 6);
    CHECK_INT("exactly too small", GetEnvironmentVariableA("SAMPLE_A", b, 5), 6);
    CHECK_INT("exactly large enough", GetEnvironmentVariableA("SAMPLE_A", b, 6), 5);
    CHECK_ERR("missing", GetEnvironmentVariableA("SAMPLE_NONE", b, sizeof b), ERROR_ENVVAR_NOT_FOUND);
    CHECK("empty value", SetEnvironmentVariableA("SAMPLE_E", ""));
    SetLastError(1);
    CHECK_INT("empty value length", GetEnvironmentVariableA("SAMPLE_E", b, sizeof b), 0);
    CHECK("empty value is not missing", GetLastError() != ERROR_ENVVAR_NOT_FOUND);
    CHECK("delete", SetEnvironmentVariableA("SAMPLE_A", NULL));
    CHECK_ERR("deleted", GetEnvironmentVariableA("SAMPLE_A", b, sizeof b), ERROR_ENVVAR_NOT_FOUND);
    CHECK_INT("each change is seen", stale_after_changes(), 0);
    CHECK("wide", SetEnvironmentVariableW(L"SAMPLE_W", L"\x3b1\x3b2"));
    CHECK_INT("wide length", GetEnvironmentVariableW(L"SAMPLE_W", w, 64), 2);
    CHECK_WSTR("wide text", w, L"\x3b1\x3b2");
    SetEnvironmentVariableA("SAMPLE_X", "in");
    CHECK_INT("expand", ExpandEnvironmentStringsA("a%SAMPLE_X%b%SAMPLE_NONE%", b, sizeof b), 18);
    CHECK_STR("expand text", b, "ainb%SAMPLE_NONE%");
    CHECK("PATH", GetEnvironmentVariableA("PATH", NULL, 0) > 0);
    CHECK("a Windows directory", GetWindowsDirectoryA(b, sizeof b) > 0 && b[1] == ':');
    CHECK("a system directory", GetSystemDirectoryA(b, sizeof b) > 0 && b[1] == ':');
}

static void runtime(void)
{
    char *p;
    CHECK("getenv missing", getenv("SAMPLE_NONE2") == NULL);
    CHECK_INT("_putenv", _putenv("SAMPLE_C=one=two"), 0);
    p = getenv("SAMPLE_C");
    CHECK_STR("getenv", p, "one=two");
    CHECK_STR("getenv has no case", getenv("Sample_c"), "one=two");
    CHECK_WSTR("_wgetenv", _wgetenv(L"SAMPLE_C"), L"one=two");
    {
        char b[32];
        CHECK_INT("_putenv reaches Win32", GetEnvironmentVariableA("SAMPLE_C", b, sizeof b), 7);
    }
    CHECK_INT("_putenv empty removes", _putenv("SAMPLE_C="), 0);
    CHECK("removed", getenv("SAMPLE_C") == NULL);
    CHECK_INT("_putenv without = fails", _putenv("SAMPLE_C"), -1);
    CHECK("_environ", _environ != NULL && _environ[0] != NULL);
}

int main(int argc, char **argv)
{
    char path[MAX_PATH];
    DWORD n = GetModuleFileNameA(NULL, path, sizeof path);
    command_line();
    win32();
    runtime();
    CHECK("argc", argc >= 1 && argv[argc] == NULL);
    CHECK("GetModuleFileName", n > 4 && path[1] == ':' && !_stricmp(path + n - 4, ".exe"));
    CHECK_ERR("GetModuleFileName truncates", GetModuleFileNameA(NULL, path, 5) != 5, ERROR_INSUFFICIENT_BUFFER);
    /* Wine 8 leaves it unterminated, as Windows XP did. */
    CHECK_INT("GetModuleFileName truncated is terminated", path[4], 0);
    return check_done();
}
