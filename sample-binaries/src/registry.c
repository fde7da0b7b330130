/* The registry, security identifiers, messages and known answers of hashes: what programs ask of the system about itself. */
#include "check.h"
#include <sddl.h>
#include <wincrypt.h>

static void registry(void)
{
    HKEY key, sub;
    DWORD type, size, disposition, count;
    char text[64];
    WCHAR name[64];
    LONG e = RegOpenKeyExA(HKEY_LOCAL_MACHINE, "SOFTWARE\\Microsoft\\Windows NT\\CurrentVersion", 0, KEY_READ, &key);
    CHECK_INT("a default key", e, 0);
    size = 2;
    e = RegQueryValueExA(key, "CurrentBuild", NULL, &type, (BYTE *)text, &size);
    CHECK_INT("too small a buffer", e, ERROR_MORE_DATA);
    CHECK_INT("its size is told", size, 6);
    CHECK_INT("type", type, REG_SZ);
    CHECK_INT("no such value", RegQueryValueExA(key, "No such", NULL, NULL, NULL, NULL), ERROR_FILE_NOT_FOUND);
    CHECK_INT("close", RegCloseKey(key), 0);
    CHECK_INT("no such key", RegOpenKeyExA(HKEY_LOCAL_MACHINE, "No\\Such", 0, KEY_READ, &key), ERROR_FILE_NOT_FOUND);

    RegDeleteTreeA(HKEY_CURRENT_USER, "Software\\TransomSample");
    e = RegCreateKeyExA(HKEY_CURRENT_USER, "Software\\TransomSample\\Inner", 0, NULL, 0, KEY_ALL_ACCESS, NULL, &sub,
                        &disposition);
    CHECK_INT("create", e, 0);
    CHECK_INT("created", disposition, REG_CREATED_NEW_KEY);
    CHECK_INT("set", RegSetValueExA(sub, "Text", 0, REG_SZ, (const BYTE *)"data", 5), 0);
    size = 4;
    CHECK_INT("set a number", RegSetValueExW(sub, L"Number", 0, REG_DWORD, (const BYTE *)"\1\0\0\0", 4), 0);
    size = sizeof text;
    e = RegGetValueA(HKEY_CURRENT_USER, "software\\TRANSOMSAMPLE\\inner", "text", RRF_RT_REG_SZ, NULL, text, &size);
    CHECK_INT("names have no case", e, 0);
    CHECK_STR("value", text, "data");
    e = RegGetValueA(sub, NULL, "Text", RRF_RT_REG_DWORD, NULL, text, &size);
    CHECK_INT("another type", e, ERROR_UNSUPPORTED_TYPE);
    CHECK_INT("info", RegQueryInfoKeyW(sub, NULL, NULL, NULL, NULL, NULL, NULL, &count, &size, NULL, NULL, NULL), 0);
    CHECK_INT("values", count, 2);
    CHECK_INT("longest name", size, 6);
    CHECK_INT("a key with subkeys stays", RegDeleteKeyA(HKEY_CURRENT_USER, "Software\\TransomSample"), ERROR_ACCESS_DENIED);
    CHECK_INT("open outer", RegOpenKeyExA(HKEY_CURRENT_USER, "Software\\TransomSample", 0, KEY_READ, &key), 0);
    size = 64;
    CHECK_INT("enumerate", RegEnumKeyExW(key, 0, name, &size, NULL, NULL, NULL, NULL), 0);
    CHECK_WSTR("its name", name, L"Inner");
    size = 64;
    CHECK_INT("no more", RegEnumKeyExW(key, 1, name, &size, NULL, NULL, NULL, NULL), ERROR_NO_MORE_ITEMS);
    CHECK_INT("delete a value", RegDeleteValueA(sub, "Text"), 0);
    CHECK_INT("once", RegDeleteValueA(sub, "Text"), ERROR_FILE_NOT_FOUND);
    RegCloseKey(sub);
    RegCloseKey(key);
    CHECK_INT("delete all", RegDeleteTreeA(HKEY_CURRENT_USER, "Software\\TransomSample"), 0);
}

static void security(void)
{
    HANDLE token;
    BYTE user[128], other[128];
    DWORD size = 0;
    PSID sid = NULL;
    char *text = NULL;
    TOKEN_PRIVILEGES privileges = {1, {{{0, 0}, SE_PRIVILEGE_ENABLED}}};
    CHECK("token", OpenProcessToken(GetCurrentProcess(), TOKEN_QUERY | TOKEN_ADJUST_PRIVILEGES, &token));
    CHECK_ERR("size first", GetTokenInformation(token, TokenUser, NULL, 0, &size), ERROR_INSUFFICIENT_BUFFER);
    CHECK("user", GetTokenInformation(token, TokenUser, user, sizeof user, &size));
    CHECK("valid", IsValidSid(((TOKEN_USER *)user)->User.Sid));
    CHECK("to text", ConvertSidToStringSidA(((TOKEN_USER *)user)->User.Sid, &text));
    CHECK("from text", ConvertStringSidToSidA(text, &sid));
    CHECK("the same", EqualSid(sid, ((TOKEN_USER *)user)->User.Sid));
    CHECK("copy", CopySid(sizeof other, other, sid));
    CHECK_INT("length", GetLengthSid(other), GetLengthSid(sid));
    LocalFree(sid);
    LocalFree(text);
    CHECK("LUID", LookupPrivilegeValueA(NULL, "SeDebugPrivilege", &privileges.Privileges[0].Luid));
    CHECK("adjust", AdjustTokenPrivileges(token, FALSE, &privileges, 0, NULL, NULL));
    CHECK_INT("not held", GetLastError(), ERROR_NOT_ALL_ASSIGNED);
    CloseHandle(token);
}

static void messages(void)
{
    char b[128];
    DWORD_PTR inserts[] = {42, (DWORD_PTR)"str"};
    DWORD flags = FORMAT_MESSAGE_FROM_STRING | FORMAT_MESSAGE_ARGUMENT_ARRAY;
    CHECK_INT("inserts", FormatMessageA(flags, "%2!5s!|%1!04x!%%%n", 0, 0, b, sizeof b, (va_list *)inserts), 13);
    CHECK_STR("their text", b, "  str|002a%\r\n");
    CHECK_ERR("no room", FormatMessageA(flags, "abc", 0, 0, b, 3, NULL), ERROR_INSUFFICIENT_BUFFER);
    CHECK_ERR("no such message", FormatMessageA(FORMAT_MESSAGE_FROM_SYSTEM, NULL, 0x2FFFFFFF, 0, b, sizeof b, NULL),
              ERROR_MR_MID_NOT_FOUND);
    CHECK("a system message", FormatMessageA(FORMAT_MESSAGE_FROM_SYSTEM, NULL, 5, 0, b, sizeof b, NULL) > 2);
    CHECK_INT("wsprintf", wsprintfA(b, "%s %05d %-4x| %lS %c", "s", -42, 0xab, L"wide", 'c'), 20);
    CHECK_STR("wsprintf's text", b, "s -0042 ab  | wide c");
}

static void hashes(void)
{
    HCRYPTPROV provider;
    HCRYPTHASH hash;
    BYTE value[20];
    DWORD size = sizeof value;
    CHECK("provider", CryptAcquireContextA(&provider, NULL, NULL, PROV_RSA_FULL, CRYPT_VERIFYCONTEXT));
    CHECK("hash", CryptCreateHash(provider, CALG_SHA1, 0, 0, &hash));
    CHECK("data", CryptHashData(hash, (const BYTE *)"abc", 3, 0));
    CHECK("value", CryptGetHashParam(hash, HP_HASHVAL, value, &size, 0));
    CHECK_INT("size", size, 20);
    CHECK_HEX("first byte", value[0], 0xa9);
    CHECK_HEX("last byte", value[19], 0x9d);
    CHECK_ERR("it has ended", CryptHashData(hash, (const BYTE *)"d", 1, 0), NTE_BAD_HASH_STATE);
    CHECK("destroy", CryptDestroyHash(hash));
    CHECK("release", CryptReleaseContext(provider, 0));
}

int main(void)
{
    registry();
    security();
    messages();
    hashes();
    return check_done();
}
