/* Files by Win32: dispositions, share modes, attributes, times, positions, names in any case, \\?\ paths, rename and delete,
 * and the exact error of each refusal. Works in the current directory, which it leaves empty. */
#include "check.h"
#include <string.h>

static HANDLE make(const char *name, DWORD access, DWORD share, DWORD disposition)
{
    return CreateFileA(name, access, share, NULL, disposition, FILE_ATTRIBUTE_NORMAL, NULL);
}
static int opens(const char *name, DWORD access, DWORD share, DWORD disposition)
{
    DWORD e;
    HANDLE h = make(name, access, share, disposition);
    e = GetLastError();
    if (h == INVALID_HANDLE_VALUE) return 0;
    CloseHandle(h);
    SetLastError(e);
    return 1;
}
#define RW (GENERIC_READ | GENERIC_WRITE)
#define ALL (FILE_SHARE_READ | FILE_SHARE_WRITE | FILE_SHARE_DELETE)

static void dispositions(void)
{
    DWORD n;
    HANDLE h;
    CHECK_ERR("OPEN_EXISTING, missing", opens("f", RW, 0, OPEN_EXISTING), ERROR_FILE_NOT_FOUND);
    CHECK_ERR("TRUNCATE_EXISTING, missing", opens("f", RW, 0, TRUNCATE_EXISTING), ERROR_FILE_NOT_FOUND);
    CHECK_ERR("missing folder", opens("no\\f", RW, 0, CREATE_ALWAYS), ERROR_PATH_NOT_FOUND);
    CHECK_ERR("missing folder, opening", opens("no\\f", GENERIC_READ, 0, OPEN_EXISTING), ERROR_PATH_NOT_FOUND);
    CHECK("CREATE_NEW", opens("f", RW, 0, CREATE_NEW));
    CHECK_ERR("CREATE_NEW, there", opens("f", RW, 0, CREATE_NEW), ERROR_FILE_EXISTS);
    SetLastError(5);
    CHECK("CREATE_ALWAYS, there", opens("f", RW, 0, CREATE_ALWAYS));
    CHECK_INT("CREATE_ALWAYS tells it was there", GetLastError(), ERROR_ALREADY_EXISTS);
    CHECK("OPEN_ALWAYS, there", opens("f", RW, 0, OPEN_ALWAYS));
    CHECK_INT("OPEN_ALWAYS tells it was there", GetLastError(), ERROR_ALREADY_EXISTS);
    SetLastError(5);
    CHECK("OPEN_ALWAYS, missing", opens("g", RW, 0, OPEN_ALWAYS));
    CHECK_INT("OPEN_ALWAYS clears the error", GetLastError(), 0);
    h = make("f", RW, 0, OPEN_EXISTING);
    WriteFile(h, "12345", 5, &n, NULL);
    CloseHandle(h);
    h = make("f", RW, 0, TRUNCATE_EXISTING);
    CHECK_INT("TRUNCATE_EXISTING", GetFileSize(h, NULL), 0);
    CloseHandle(h);
    /* Wine 8 lets this pass. */
    CHECK_ERR("TRUNCATE_EXISTING without GENERIC_WRITE", opens("f", GENERIC_READ, 0, TRUNCATE_EXISTING), ERROR_INVALID_PARAMETER);
    CHECK_ERR("no such disposition", opens("f", RW, 0, 99), ERROR_INVALID_PARAMETER);
    CHECK_ERR("a bad character", opens("a|b", RW, 0, CREATE_ALWAYS), ERROR_INVALID_NAME);
    CHECK_ERR("a wildcard", opens("a*b", RW, 0, CREATE_ALWAYS), ERROR_INVALID_NAME);
    CHECK_ERR("an empty name", opens("", RW, 0, OPEN_EXISTING), ERROR_PATH_NOT_FOUND);
    CHECK_ERR("a folder is not a file", opens(".", RW, ALL, OPEN_EXISTING), ERROR_ACCESS_DENIED);
    CHECK("DeleteFile", DeleteFileA("f"));
    CHECK("DeleteFile, other", DeleteFileA("g"));
    CHECK_ERR("DeleteFile, missing", DeleteFileA("f"), ERROR_FILE_NOT_FOUND);
    CHECK_ERR("DeleteFile, missing folder", DeleteFileA("no\\f"), ERROR_PATH_NOT_FOUND);
}

static void sharing(void)
{
    HANDLE h = make("s", RW, 0, CREATE_ALWAYS), r;
    CHECK_ERR("no sharing", opens("s", GENERIC_READ, ALL, OPEN_EXISTING), ERROR_SHARING_VIOLATION);
    CHECK_ERR("delete of an open file", DeleteFileA("s"), ERROR_SHARING_VIOLATION);
    CHECK("attributes need no sharing", opens("s", FILE_READ_ATTRIBUTES, 0, OPEN_EXISTING));
    CloseHandle(h);
    h = make("s", GENERIC_READ, FILE_SHARE_READ, OPEN_EXISTING);
    CHECK("read shared", opens("s", GENERIC_READ, FILE_SHARE_READ, OPEN_EXISTING));
    CHECK_ERR("write not shared", opens("s", GENERIC_WRITE, ALL, OPEN_EXISTING), ERROR_SHARING_VIOLATION);
    CHECK_ERR("the second must share too", opens("s", GENERIC_READ, 0, OPEN_EXISTING), ERROR_SHARING_VIOLATION);
    CloseHandle(h);
    h = make("s", GENERIC_READ, ALL, OPEN_EXISTING);
    CHECK("delete, shared", DeleteFileA("s"));
    CloseHandle(h);
    CHECK_HEX("gone after the last close", GetFileAttributesA("s"), INVALID_FILE_ATTRIBUTES);
    h = CreateFileA("s", RW, ALL, NULL, CREATE_NEW, FILE_FLAG_DELETE_ON_CLOSE, NULL);
    CHECK("delete on close", h != INVALID_HANDLE_VALUE);
    CHECK("there while open", GetFileAttributesA("s") != INVALID_FILE_ATTRIBUTES);
    CHECK("DuplicateHandle", DuplicateHandle(GetCurrentProcess(), h, GetCurrentProcess(), &r, 0, FALSE, DUPLICATE_SAME_ACCESS));
    CloseHandle(h);
    CHECK("there while a duplicate is open", GetFileAttributesA("s") != INVALID_FILE_ATTRIBUTES);
    CloseHandle(r);
    CHECK_HEX("gone when closed", GetFileAttributesA("s"), INVALID_FILE_ATTRIBUTES);
}

static void reading_and_writing(void)
{
    HANDLE h = make("d", RW, 0, CREATE_ALWAYS);
    char b[16];
    DWORD n = 99;
    LARGE_INTEGER size, pos, zero;
    OVERLAPPED ov;
    zero.QuadPart = 0;
    CHECK("write", WriteFile(h, "0123456789", 10, &n, NULL) && n == 10);
    CHECK_INT("SetFilePointer", SetFilePointer(h, 3, NULL, FILE_BEGIN), 3);
    CHECK("read", ReadFile(h, b, 4, &n, NULL) && n == 4 && !memcmp(b, "3456", 4));
    CHECK("read the rest", ReadFile(h, b, 16, &n, NULL) && n == 3);
    CHECK("read at the end", ReadFile(h, b, 16, &n, NULL) && n == 0);
    CHECK_ERR("before the start", SetFilePointer(h, -1, NULL, FILE_BEGIN) != INVALID_SET_FILE_POINTER, ERROR_NEGATIVE_SEEK);
    CHECK("SetFilePointerEx", SetFilePointerEx(h, zero, &pos, FILE_CURRENT) && pos.QuadPart == 10);
    memset(&ov, 0, sizeof ov);
    ov.Offset = 2;
    CHECK("read at an offset", ReadFile(h, b, 2, &n, &ov) && n == 2 && !memcmp(b, "23", 2));
    CHECK("which moves the pointer", SetFilePointer(h, 0, NULL, FILE_CURRENT) == 4);
    ov.Offset = 100;
    CHECK_ERR("read at an offset past the end", ReadFile(h, b, 2, &n, &ov), ERROR_HANDLE_EOF);
    SetFilePointer(h, 20, NULL, FILE_BEGIN);
    CHECK("SetEndOfFile", SetEndOfFile(h));
    CHECK("GetFileSizeEx", GetFileSizeEx(h, &size) && size.QuadPart == 20);
    CHECK("LockFile", LockFile(h, 0, 0, 5, 0));
    CHECK("UnlockFile", UnlockFile(h, 0, 0, 5, 0));
    /* Wine 8 answers ERROR_LOCK_VIOLATION. */
    CHECK_ERR("UnlockFile, not locked", UnlockFile(h, 0, 0, 5, 0), ERROR_NOT_LOCKED);
    CHECK("FlushFileBuffers", FlushFileBuffers(h));
    CHECK_INT("GetFileType", GetFileType(h), FILE_TYPE_DISK);
    CloseHandle(h);
    h = make("d", GENERIC_READ, 0, OPEN_EXISTING);
    CHECK_ERR("write to a read-only handle", WriteFile(h, "x", 1, &n, NULL), ERROR_ACCESS_DENIED);
    CloseHandle(h);
    CHECK_ERR("read a closed handle", ReadFile(h, b, 1, &n, NULL), ERROR_INVALID_HANDLE);
    CHECK_ERR("close INVALID_HANDLE_VALUE's neighbour", CloseHandle((HANDLE)(uintptr_t)0xdeadbee0), ERROR_INVALID_HANDLE);
    DeleteFileA("d");
}

static void attributes(void)
{
    HANDLE h = make("a", RW, 0, CREATE_ALWAYS);
    FILETIME ft, got;
    SYSTEMTIME st = {2001, 2, 0, 3, 4, 5, 6, 0};
    WIN32_FILE_ATTRIBUTE_DATA data;
    BY_HANDLE_FILE_INFORMATION info;
    SystemTimeToFileTime(&st, &ft);
    CHECK("SetFileTime", SetFileTime(h, NULL, NULL, &ft));
    CHECK("GetFileTime", GetFileTime(h, NULL, NULL, &got));
    CHECK_INT("the time was kept", CompareFileTime(&ft, &got), 0);
    CHECK("GetFileInformationByHandle", GetFileInformationByHandle(h, &info));
    CHECK_INT("links", info.nNumberOfLinks, 1);
    CHECK("times agree", CompareFileTime(&info.ftLastWriteTime, &ft) == 0);
    CloseHandle(h);
    CHECK("GetFileAttributes", GetFileAttributesA("a") != INVALID_FILE_ATTRIBUTES);
    CHECK_HEX("not a folder", GetFileAttributesA("a") & FILE_ATTRIBUTE_DIRECTORY, 0);
    CHECK_HEX("a folder", GetFileAttributesA(".") & FILE_ATTRIBUTE_DIRECTORY, FILE_ATTRIBUTE_DIRECTORY);
    CHECK_ERR("missing", GetFileAttributesA("b") != INVALID_FILE_ATTRIBUTES, ERROR_FILE_NOT_FOUND);
    CHECK_ERR("missing folder", GetFileAttributesA("b\\c") != INVALID_FILE_ATTRIBUTES, ERROR_PATH_NOT_FOUND);
    CHECK("GetFileAttributesEx", GetFileAttributesExA("a", GetFileExInfoStandard, &data));
    CHECK("its time", CompareFileTime(&data.ftLastWriteTime, &ft) == 0);
    CHECK("set read-only", SetFileAttributesA("a", FILE_ATTRIBUTE_READONLY));
    CHECK_HEX("is read-only", GetFileAttributesA("a") & FILE_ATTRIBUTE_READONLY, FILE_ATTRIBUTE_READONLY);
    /* Wine 8 relies on the host's permissions, which do not hold root back. */
    CHECK_ERR("read-only denies writing", opens("a", GENERIC_WRITE, 0, OPEN_EXISTING), ERROR_ACCESS_DENIED);
    CHECK_ERR("read-only denies deleting", DeleteFileA("a"), ERROR_ACCESS_DENIED);
    CHECK("clear read-only", SetFileAttributesA("a", FILE_ATTRIBUTE_NORMAL));
    CHECK("delete", DeleteFileA("a"));
}

static void names(void)
{
    char full[MAX_PATH], *part, b[MAX_PATH];
    WCHAR w[600], *longer = w;
    DWORD n;
    HANDLE h = make("MixedCase.Txt", RW, 0, CREATE_ALWAYS);
    CloseHandle(h);
    CHECK("opens in any case", opens("mIXEDcASE.tXT", GENERIC_READ, 0, OPEN_EXISTING));
    CHECK_ERR("CREATE_NEW in another case", opens("MIXEDCASE.TXT", RW, 0, CREATE_NEW), ERROR_FILE_EXISTS);
    CHECK("forward slash", opens("./MixedCase.Txt", GENERIC_READ, 0, OPEN_EXISTING));
    CHECK("trailing dots and spaces go", opens("MixedCase.Txt. . ", GENERIC_READ, 0, OPEN_EXISTING));
    n = GetFullPathNameA("MixedCase.Txt", sizeof full, full, &part);
    CHECK("GetFullPathName", n == strlen(full) && full[1] == ':' && !strcmp(part, "MixedCase.Txt"));
    CHECK_INT("GetFullPathName, too small", GetFullPathNameA("MixedCase.Txt", 3, b, NULL), n + 1);
    CHECK("\\\\?\\ path", (strcpy(b, "\\\\?\\"), strcat(b, full), opens(b, GENERIC_READ, 0, OPEN_EXISTING)));
    CHECK("dots resolve", (GetFullPathNameA("x\\..\\.\\y", sizeof b, b, NULL), strstr(b, "\\y") && !strstr(b, "..")));
    CHECK_INT("drive root", (GetFullPathNameA("C:\\a\\..\\..\\b", sizeof b, b, NULL), strcmp(b, "C:\\b")), 0);
    CHECK("folder", CreateDirectoryA("Dir", NULL));
    CHECK_ERR("folder twice", CreateDirectoryA("dir", NULL), ERROR_ALREADY_EXISTS);
    CHECK_ERR("folder in a missing folder", CreateDirectoryA("no\\dir", NULL), ERROR_PATH_NOT_FOUND);
    CHECK("move into it, name in another case", MoveFileA("MIXEDCASE.TXT", "DIR\\Moved.txt"));
    CHECK_ERR("the folder is not empty", RemoveDirectoryA("Dir"), ERROR_DIR_NOT_EMPTY);
    CHECK_ERR("a file is not a folder", RemoveDirectoryA("Dir\\moved.txt"), ERROR_DIRECTORY);
    CHECK_ERR("a folder is not a file to delete", DeleteFileA("Dir"), ERROR_ACCESS_DENIED);
    CHECK_ERR("beneath a file", opens("Dir\\moved.txt\\x", GENERIC_READ, 0, OPEN_EXISTING), ERROR_PATH_NOT_FOUND);
    CloseHandle(make("other", RW, 0, CREATE_ALWAYS));
    CHECK_ERR("move onto a file", MoveFileA("other", "Dir\\Moved.txt"), ERROR_ALREADY_EXISTS);
    CHECK("replace", MoveFileExA("other", "Dir\\Moved.txt", MOVEFILE_REPLACE_EXISTING));
    CHECK_ERR("move a missing file", MoveFileA("other", "x"), ERROR_FILE_NOT_FOUND);
    CHECK_ERR("copy, fail if there", CopyFileA("Dir\\Moved.txt", "Dir\\Moved.txt", TRUE), ERROR_FILE_EXISTS);
    CHECK("copy", CopyFileA("Dir\\Moved.txt", "copy", TRUE));
    CHECK("change only the case", MoveFileA("copy", "COPY"));
    CHECK("set current directory", SetCurrentDirectoryA("dir"));
    CHECK("relative to it", opens("moved.TXT", GENERIC_READ, 0, OPEN_EXISTING));
    CHECK("parent", opens("..\\copy", GENERIC_READ, 0, OPEN_EXISTING));
    CHECK("back", SetCurrentDirectoryA(".."));
    CHECK_ERR("current directory, missing", SetCurrentDirectoryA("nowhere"), ERROR_FILE_NOT_FOUND);
    CHECK("current directory has no trailing backslash", GetCurrentDirectoryA(sizeof b, b) == strlen(b) && b[strlen(b) - 1] != '\\');
    DeleteFileA("Dir\\Moved.txt");
    DeleteFileA("copy");
    CHECK("RemoveDirectory", RemoveDirectoryA("DIR"));
    CHECK_ERR("RemoveDirectory, missing", RemoveDirectoryA("DIR"), ERROR_FILE_NOT_FOUND);
    h = CreateFileW(L"\x3b1\x65e5\xd83d\xde00.txt", RW, 0, NULL, CREATE_NEW, 0, NULL);
    CHECK("a Unicode name", h != INVALID_HANDLE_VALUE);
    CloseHandle(h);
    CHECK("delete it in upper case", DeleteFileW(L"\x391\x65e5\xd83d\xde00.TXT"));
    GetCurrentDirectoryW(300, w + 4);
    memcpy(w, L"\\\\?\\", 8);
    lstrcatW(longer, L"\\");
    for (n = 0; n < 200; n++) lstrcatW(longer, L"n");
    h = CreateFileW(longer, RW, 0, NULL, CREATE_NEW, 0, NULL);
    CHECK("a long name", h != INVALID_HANDLE_VALUE);
    CloseHandle(h);
    CHECK("delete the long name", DeleteFileW(longer));
    CHECK("temporary name", GetTempFileNameA(".", "tmp", 0, b) && GetFileAttributesA(b) != INVALID_FILE_ATTRIBUTES);
    CHECK("delete the temporary file", DeleteFileA(b));
    CHECK("GetTempPath ends in a backslash", GetTempPathA(sizeof b, b) && b[strlen(b) - 1] == '\\');
    CHECK("NUL", opens("NUL", RW, ALL, OPEN_EXISTING));
    CHECK("nul in any folder and case", opens("c:\\nul", GENERIC_WRITE, ALL, OPEN_EXISTING));
}

/* A name of NULL is the empty name. */
static void no_names(void)
{
    WIN32_FIND_DATAW found;
    WIN32_FILE_ATTRIBUTE_DATA data;
    WCHAR w[MAX_PATH];
    CHECK_ERR("open NULL", CreateFileW(NULL, GENERIC_READ, 0, NULL, OPEN_EXISTING, 0, NULL) != INVALID_HANDLE_VALUE, ERROR_PATH_NOT_FOUND);
    CHECK_ERR("create NULL", opens(NULL, RW, 0, CREATE_NEW), ERROR_PATH_NOT_FOUND);
    CHECK_ERR("attributes of NULL", GetFileAttributesW(NULL) != INVALID_FILE_ATTRIBUTES, ERROR_PATH_NOT_FOUND);
    CHECK_ERR("attributes of an empty name", GetFileAttributesA("") != INVALID_FILE_ATTRIBUTES, ERROR_PATH_NOT_FOUND);
    CHECK_ERR("attribute data of NULL", GetFileAttributesExA(NULL, GetFileExInfoStandard, &data), ERROR_PATH_NOT_FOUND);
    CHECK_ERR("set attributes of NULL", SetFileAttributesW(NULL, FILE_ATTRIBUTE_NORMAL), ERROR_PATH_NOT_FOUND);
    CHECK_ERR("delete NULL", DeleteFileW(NULL), ERROR_PATH_NOT_FOUND);
    CHECK_ERR("make folder NULL", CreateDirectoryW(NULL, NULL), ERROR_PATH_NOT_FOUND);
    CHECK_ERR("move NULL", MoveFileW(NULL, L"x"), ERROR_PATH_NOT_FOUND);
    CHECK_ERR("link to NULL", CreateHardLinkW(L"x", NULL, NULL), ERROR_PATH_NOT_FOUND);
    CHECK_ERR("find NULL", FindFirstFileW(NULL, &found) != INVALID_HANDLE_VALUE, ERROR_PATH_NOT_FOUND);
    CHECK_ERR("current directory NULL", SetCurrentDirectoryW(NULL), ERROR_INVALID_NAME);
    CHECK_ERR("long name of NULL", GetLongPathNameW(NULL, w, MAX_PATH), ERROR_INVALID_PARAMETER);
    CHECK_ERR("library NULL", LoadLibraryW(NULL) != NULL, ERROR_INVALID_PARAMETER);
    CHECK_ERR("event NULL", OpenEventW(SYNCHRONIZE, FALSE, NULL) != NULL, ERROR_INVALID_PARAMETER);
    CHECK_ERR("variable NULL", GetEnvironmentVariableW(NULL, w, MAX_PATH), ERROR_ENVVAR_NOT_FOUND);
}

int main(void)
{
    dispositions();
    sharing();
    reading_and_writing();
    attributes();
    names();
    no_names();
    return check_done();
}
