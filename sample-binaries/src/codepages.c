/* Code pages: MultiByteToWideChar and back, flags and errors, UTF-8, 1252, 437, case mapping, comparison, character types. */
#include "check.h"
#include <string.h>

int main(void)
{
    WCHAR w[64];
    char b[64];
    WORD types[4];
    CPINFO info;
    BOOL used = 9;
    CHECK_INT("UTF-8 to wide", MultiByteToWideChar(CP_UTF8, 0, "a\xc3\xa9\xe6\x97\xa5\xf0\x9f\x98\x80", -1, w, 64), 6);
    CHECK_WSTR("UTF-8 text", w, L"a\xe9\x65e5\xd83d\xde00");
    CHECK_INT("count only", MultiByteToWideChar(CP_UTF8, 0, "ab", 2, NULL, 0), 2);
    CHECK_ERR("too small", MultiByteToWideChar(CP_UTF8, 0, "abc", 3, w, 2), ERROR_INSUFFICIENT_BUFFER);
    CHECK_ERR("invalid bytes, strict", MultiByteToWideChar(CP_UTF8, MB_ERR_INVALID_CHARS, "a\xff", 2, w, 64), ERROR_NO_UNICODE_TRANSLATION);
    CHECK_INT("invalid bytes, lenient", MultiByteToWideChar(CP_UTF8, 0, "a\xff" "b", 3, w, 64), 3);
    CHECK_HEX("replaced", w[1], 0xfffd);
    CHECK_ERR("overlong", MultiByteToWideChar(CP_UTF8, MB_ERR_INVALID_CHARS, "\xc0\x80", 2, w, 64), ERROR_NO_UNICODE_TRANSLATION);
    CHECK_ERR("no such code page", MultiByteToWideChar(54321, 0, "a", 1, w, 64), ERROR_INVALID_PARAMETER);
    CHECK_ERR("no length", MultiByteToWideChar(CP_UTF8, 0, "a", 0, w, 64), ERROR_INVALID_PARAMETER);
    CHECK_INT("wide to UTF-8", WideCharToMultiByte(CP_UTF8, 0, L"a\xe9\x65e5\xd83d\xde00", -1, b, 64, NULL, NULL), 11);
    CHECK_STR("UTF-8 bytes", b, "a\xc3\xa9\xe6\x97\xa5\xf0\x9f\x98\x80");
    CHECK_ERR("lone surrogate, strict", WideCharToMultiByte(CP_UTF8, WC_ERR_INVALID_CHARS, L"\xd800", 1, b, 64, NULL, NULL), ERROR_NO_UNICODE_TRANSLATION);
    CHECK_INT("lone surrogate, lenient", WideCharToMultiByte(CP_UTF8, 0, L"\xd800", 1, b, 64, NULL, NULL), 3);
    CHECK("becomes U+FFFD", !memcmp(b, "\xef\xbf\xbd", 3));
    CHECK_INT("1252", MultiByteToWideChar(1252, 0, "\x80\xe9", 2, w, 64), 2);
    CHECK("1252 text", w[0] == 0x20ac && w[1] == 0xe9);
    CHECK_INT("1252 back", WideCharToMultiByte(1252, 0, L"\x20ac\x65e5", 2, b, 64, NULL, &used), 2);
    CHECK("1252 default character", (unsigned char)b[0] == 0x80 && b[1] == '?' && used == TRUE);
    CHECK_INT("own default character", (WideCharToMultiByte(1252, 0, L"\x65e5", 1, b, 64, "#", NULL), b[0]), '#');
    CHECK_INT("the OEM page takes a default character", WideCharToMultiByte(CP_OEMCP, 0, L"a.7z", 4, b, 64, "_", &used), 4);
    CHECK("and needs none", used == FALSE && !memcmp(b, "a.7z", 4));
    /* Wine 8 takes it. */
    CHECK_ERR("UTF-8 takes none", WideCharToMultiByte(CP_UTF8, 0, L"a", 1, b, 64, "_", &used), ERROR_INVALID_PARAMETER);
    CHECK_INT("437", (MultiByteToWideChar(437, 0, "\x82\xc4", 2, w, 64), w[0]), 0xe9);
    CHECK_HEX("437 line drawing", w[1], 0x2500);
    CHECK("GetCPInfo UTF-8", GetCPInfo(CP_UTF8, &info) && info.MaxCharSize == 4);
    CHECK("GetCPInfo 1252", GetCPInfo(1252, &info) && info.MaxCharSize == 1 && info.DefaultChar[0] == '?');
    CHECK("IsValidCodePage", IsValidCodePage(1252) && IsValidCodePage(65001) && !IsValidCodePage(54321));
    CHECK("GetACP", GetACP() == 1252 || GetACP() == 65001);
    CHECK_INT("LCMapString upper", LCMapStringW(LOCALE_INVARIANT, LCMAP_UPPERCASE, L"a\xe9\x3b1", 3, w, 64), 3);
    CHECK("upper text", w[0] == 'A' && w[1] == 0xc9 && w[2] == 0x391);
    CHECK_INT("CharUpper of a character", (int)(uintptr_t)CharUpperW((WCHAR *)(uintptr_t)0xe9), 0xc9);
    CHECK_INT("CompareString ignoring case", CompareStringW(LOCALE_INVARIANT, NORM_IGNORECASE, L"ABC", -1, L"abc", -1), CSTR_EQUAL);
    CHECK_INT("CompareStringOrdinal", CompareStringOrdinal(L"a", -1, L"B", -1, TRUE), CSTR_LESS_THAN);
    CHECK_INT("CompareStringOrdinal with case", CompareStringOrdinal(L"a", -1, L"B", -1, FALSE), CSTR_GREATER_THAN);
    CHECK_INT("lstrcmpi", lstrcmpiA("Hello", "hELLO"), 0);
    CHECK("GetStringType", GetStringTypeW(CT_CTYPE1, L"a1 ", 3, types));
    CHECK("its answers", (types[0] & C1_LOWER) && (types[1] & C1_DIGIT) && (types[2] & C1_SPACE));
    CHECK_INT("lstrlen", lstrlenW(L"abcd"), 4);
    CHECK_INT("lstrcpyn", (lstrcpynA(b, "abcdef", 4), lstrlenA(b)), 3);
    return check_done();
}
