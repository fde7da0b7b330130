/* shlwapi: strings and paths as text, from the documentation page of each function. */
#include "check.h"
#include <shlwapi.h>

static void strings(void)
{
    const WCHAR *text = L"The Quick quick fox";
    WCHAR buffer[64];
    CHAR narrow[64] = "--trim--";
    int number = 0;
    LONGLONG large = 0;

    CHECK("StrStrW", StrStrW(text, L"quick") == text + 10);
    CHECK("StrStrIW", StrStrIW(text, L"QUICK") == text + 4);
    CHECK("StrStrIW none", StrStrIW(text, L"slow") == NULL);
    CHECK("StrStrIA", StrStrIA("a.EXE b", ".exe") != NULL);
    CHECK("StrStrNIW", StrStrNIW(text, L"fox", 10) == NULL);
    CHECK("StrRStrIW", StrRStrIW(text, NULL, L"QUICK") == text + 10);
    CHECK("StrChrW", StrChrW(text, L'q') == text + 10);
    CHECK("StrChrIW", StrChrIW(text, L'q') == text + 4);
    CHECK("StrRChrW", StrRChrW(text, NULL, L'i') == text + 12);
    CHECK("StrPBrkW", StrPBrkW(text, L"xQ") == text + 4);
    CHECK_INT("StrSpnW", StrSpnW(L"1234x", L"0123456789"), 4);
    CHECK_INT("StrCSpnW", StrCSpnW(text, L" "), 3);
    CHECK_INT("StrCmpIW", StrCmpIW(L"abc", L"ABC"), 0);
    CHECK("StrCmpW", StrCmpW(L"abc", L"abd") < 0);
    CHECK_INT("StrCmpNIW", StrCmpNIW(L"abcx", L"ABCy", 3), 0);
    CHECK("StrCmpNIA", StrCmpNIA("abcx", "ABCy", 4) < 0);
    CHECK("StrCmpLogicalW", StrCmpLogicalW(L"file2", L"file10") < 0);
    CHECK_INT("StrToIntW", StrToIntW(L"-42abc"), -42);
    CHECK("StrToIntExW hex", StrToIntExW(L"0x1F", STIF_SUPPORT_HEX, &number) && number == 31);
    CHECK("StrToIntExW not", !StrToIntExW(L"abc", STIF_DEFAULT, &number));
    CHECK("StrToInt64ExW", StrToInt64ExW(L"12345678901", STIF_DEFAULT, &large) && large == 12345678901LL);
    CHECK("StrTrimA", StrTrimA(narrow, "-"));
    CHECK_STR("StrTrimA result", narrow, "trim");
    CHECK("StrTrimA not", !StrTrimA(narrow, "-"));
    lstrcpyW(buffer, L"one");
    CHECK_WSTR("StrCatBuffW", StrCatBuffW(buffer, L" and two", 6), L"one a");
    CHECK_WSTR("StrFormatByteSizeW", StrFormatByteSizeW(1340, buffer, 64), L"1.30 KB");
    {
        LPWSTR copy = StrDupW(L"copy");
        CHECK_WSTR("StrDupW", copy, L"copy");
        CHECK("LocalFree", LocalFree(copy) == NULL);
    }
}

static void parts(void)
{
    const WCHAR *path = L"C:\\dir.d\\file.tar.gz";
    WCHAR buffer[MAX_PATH];
    CHAR narrow[MAX_PATH];

    CHECK("PathFindFileNameW", PathFindFileNameW(path) == path + 9);
    CHECK("PathFindFileNameA", !lstrcmpA(PathFindFileNameA("a\\b"), "b"));
    CHECK_WSTR("PathFindExtensionW", PathFindExtensionW(path), L".gz");
    CHECK_WSTR("PathFindExtensionW none", PathFindExtensionW(L"C:\\dir.d\\file"), L"");
    CHECK_WSTR("PathSkipRootW", PathSkipRootW(path), L"dir.d\\file.tar.gz");
    CHECK("PathIsRelativeW", PathIsRelativeW(L"a\\b") && !PathIsRelativeW(L"\\a") && !PathIsRelativeW(path));
    CHECK("PathIsRootW", PathIsRootW(L"C:\\") && PathIsRootW(L"\\") && !PathIsRootW(path));
    CHECK("PathIsUNCW", PathIsUNCW(L"\\\\server\\share") && !PathIsUNCW(path));
    CHECK("PathIsFileSpecW", PathIsFileSpecW(L"file.txt") && !PathIsFileSpecW(path));
    CHECK_INT("PathGetDriveNumberW", PathGetDriveNumberW(path), 2);
    CHECK_INT("PathGetDriveNumberW none", PathGetDriveNumberW(L"\\a"), -1);
    CHECK("PathIsPrefixW", PathIsPrefixW(L"C:\\dir.d", path) && !PathIsPrefixW(L"C:\\dir", path));
    CHECK_INT("PathCommonPrefixW", PathCommonPrefixW(L"C:\\a\\b", L"c:\\A\\c", buffer), 4);
    CHECK_WSTR("PathCommonPrefixW text", buffer, L"C:\\a");
    CHECK("PathMatchSpecW", PathMatchSpecW(L"a.TXT", L"*.doc;*.txt") && !PathMatchSpecW(L"a.txt", L"?b*"));
    CHECK("PathIsURLW", PathIsURLW(L"http://x") && !PathIsURLW(path));
    CHECK("UrlIsW", UrlIsW(L"file:///C:/x", URLIS_FILEURL));

    lstrcpyW(buffer, path);
    CHECK("PathRemoveFileSpecW", PathRemoveFileSpecW(buffer));
    CHECK_WSTR("PathRemoveFileSpecW text", buffer, L"C:\\dir.d");
    CHECK("PathAddBackslashW", PathAddBackslashW(buffer) == buffer + 9);
    CHECK_WSTR("PathAddBackslashW text", buffer, L"C:\\dir.d\\");
    PathRemoveBackslashW(buffer);
    CHECK_WSTR("PathRemoveBackslashW", buffer, L"C:\\dir.d");
    CHECK("PathAppendW", PathAppendW(buffer, L"..\\x\\.\\y.txt"));
    CHECK_WSTR("PathAppendW text", buffer, L"C:\\x\\y.txt");
    PathRemoveExtensionW(buffer);
    CHECK_WSTR("PathRemoveExtensionW", buffer, L"C:\\x\\y");
    CHECK("PathRenameExtensionW", PathRenameExtensionW(buffer, L".log"));
    CHECK_WSTR("PathRenameExtensionW text", buffer, L"C:\\x\\y.log");
    CHECK("PathStripToRootW", PathStripToRootW(buffer));
    CHECK_WSTR("PathStripToRootW text", buffer, L"C:\\");
    CHECK("PathRemoveFileSpecW root", !PathRemoveFileSpecW(buffer));
    CHECK_WSTR("PathCombineW", PathCombineW(buffer, L"C:\\a", L"..\\b"), L"C:\\b");
    CHECK_WSTR("PathCombineW rooted", PathCombineW(buffer, L"C:\\a\\b", L"\\c"), L"C:\\c");
    CHECK_STR("PathCombineA", PathCombineA(narrow, "C:\\a", "b"), "C:\\a\\b");
    CHECK("PathCombineW NULL", PathCombineW(buffer, NULL, NULL) == NULL);
    CHECK("PathCanonicalizeW", PathCanonicalizeW(buffer, L"A:\\name_1\\.\\name_2\\..\\name_3"));
    CHECK_WSTR("PathCanonicalizeW text", buffer, L"A:\\name_1\\name_3");
    lstrcpyA(narrow, "with space");
    PathQuoteSpacesA(narrow);
    CHECK_STR("PathQuoteSpacesA", narrow, "\"with space\"");
    PathUnquoteSpacesA(narrow);
    CHECK_STR("PathUnquoteSpacesA", narrow, "with space");
    CHECK_STR("PathGetArgsA", PathGetArgsA("\"a b\" c d"), "c d");
}

static void files(void)
{
    WCHAR buffer[MAX_PATH], url[MAX_PATH];
    DWORD length = MAX_PATH;

    CHECK("PathFileExistsW", PathFileExistsW(L"C:\\Windows"));
    CHECK("PathFileExistsW not", !PathFileExistsW(L"C:\\no such file"));
    CHECK_INT("PathFileExistsW error", GetLastError(), ERROR_FILE_NOT_FOUND);
    CHECK("PathIsDirectoryW", PathIsDirectoryW(L"C:\\Windows") && !PathIsDirectoryW(L"C:\\no such file"));
    CHECK_INT("PathCreateFromUrlW", PathCreateFromUrlW(L"file:///C:/a%20b/c", buffer, &length, 0), S_OK);
    CHECK_WSTR("PathCreateFromUrlW text", buffer, L"C:\\a b\\c");
    length = MAX_PATH;
    CHECK_INT("UrlCreateFromPathW", UrlCreateFromPathW(L"C:\\a b\\c", url, &length, 0), S_OK);
    CHECK_WSTR("UrlCreateFromPathW text", url, L"file:///C:/a%20b/c");
}

int main(void)
{
    strings();
    parts();
    files();
    return check_done();
}
