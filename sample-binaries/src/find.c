/* FindFirstFile and relatives: wildcards as Windows matches them, DOS rules for dots and question marks, the C runtime's
 * _findfirst, volumes and drives. */
#include "check.h"
#include <io.h>
#include <stdlib.h>
#include <string.h>

static const char *const files[] = {"a.txt", "b.TXT", "noext", "x.tar.gz", "long name.c", "z1", "z12", "z123"};

/* How many names match besides "." and ".."; all of them, in any order, must be in the list given (each followed by a bar). */
static int dots;
static int matches(const char *pattern, const char *list)
{
    WIN32_FIND_DATAA d;
    HANDLE h = FindFirstFileA(pattern, &d);
    int n = 0;
    char name[MAX_PATH + 2];
    if (h == INVALID_HANDLE_VALUE) return 0;
    do {
        if (!strcmp(d.cFileName, ".") || !strcmp(d.cFileName, "..")) { dots++; continue; }
        strcpy(name, d.cFileName);
        strcat(name, "|");
        if (list && !strstr(list, name)) n += 1000;
        n++;
    } while (FindNextFileA(h, &d));
    if (GetLastError() != ERROR_NO_MORE_FILES) n += 10000;
    FindClose(h);
    return n;
}

int main(void)
{
    WIN32_FIND_DATAA d;
    WIN32_FIND_DATAW w;
    struct _finddata_t fd;
    HANDLE h;
    intptr_t f;
    DWORD n;
    unsigned i;
    ULARGE_INTEGER avail, total, freed;
    char name[64], fs[64];
    CreateDirectoryA("ff", NULL);
    CreateDirectoryA("ff\\sub", NULL);
    for (i = 0; i < sizeof files / sizeof *files; i++) {
        char path[64] = "ff\\";
        strcat(path, files[i]);
        h = CreateFileA(path, GENERIC_WRITE, 0, NULL, CREATE_ALWAYS, 0, NULL);
        WriteFile(h, "123456789", i, &n, NULL);
        CloseHandle(h);
    }
    CHECK_INT("*", matches("ff\\*", "sub|a.txt|b.TXT|noext|x.tar.gz|long name.c|z1|z12|z123|"), 9);
    CHECK_INT("* finds . and ..", dots, 2);
    CHECK_INT("*.*", matches("ff\\*.*", NULL), 9);
    CHECK_INT("*.* finds . and ..", dots, 4);
    CHECK_INT("*.txt", matches("ff\\*.txt", "a.txt|b.TXT|"), 2);
    /* Wine 8 matches literally here: *. finds everything, and each ? needs a character. */
    CHECK_INT("*. has no extension", matches("ff\\*.", "sub|noext|z1|z12|z123|"), 5);
    CHECK_INT("z?", matches("ff\\z?", "z1|"), 1);
    CHECK_INT("z??", matches("ff\\z??", "z1|z12|"), 2);
    CHECK_INT("z???", matches("ff\\z???", "z1|z12|z123|"), 3);
    CHECK_INT("*.gz", matches("ff\\*.gz", "x.tar.gz|"), 1);
    CHECK_INT("x.*", matches("ff\\x.*", "x.tar.gz|"), 1);
    CHECK_INT("l*c", matches("ff\\L*C", "long name.c|"), 1);
    CHECK_INT("exact in another case", matches("ff\\NOEXT", "noext|"), 1);
    CHECK_ERR("no match", FindFirstFileA("ff\\*.none", &d) != INVALID_HANDLE_VALUE, ERROR_FILE_NOT_FOUND);
    CHECK_ERR("no folder", FindFirstFileA("none\\*", &d) != INVALID_HANDLE_VALUE, ERROR_PATH_NOT_FOUND);
    CHECK_ERR("trailing backslash", FindFirstFileA("ff\\", &d) != INVALID_HANDLE_VALUE, ERROR_FILE_NOT_FOUND);
    h = FindFirstFileA("ff\\LONG*", &d);
    CHECK("find one", h != INVALID_HANDLE_VALUE);
    CHECK_STR("stored case", d.cFileName, "long name.c");
    CHECK_INT("size", d.nFileSizeLow, 4);
    CHECK_ERR("no more", FindNextFileA(h, &d), ERROR_NO_MORE_FILES);
    CHECK("close", FindClose(h));
    h = FindFirstFileExW(L"ff\\sub", FindExInfoBasic, &w, FindExSearchNameMatch, NULL, 0);
    CHECK("find a folder", h != INVALID_HANDLE_VALUE && (w.dwFileAttributes & FILE_ATTRIBUTE_DIRECTORY));
    CHECK_WSTR("its name", w.cFileName, L"sub");
    FindClose(h);
    f = _findfirst("ff\\z*", &fd);
    CHECK("_findfirst", f != -1);
    for (n = 1; f != -1 && _findnext(f, &fd) == 0;) n++;
    CHECK_INT("_findnext", n, 3);
    CHECK_INT("_findclose", _findclose(f), 0);
    CHECK_INT("_findfirst none", _findfirst("ff\\*.none", &fd), -1);
    for (i = 0; i < sizeof files / sizeof *files; i++) {
        char path[64] = "FF\\";
        strcat(path, files[i]);
        CHECK("delete", DeleteFileA(path));
    }
    CHECK("remove sub", RemoveDirectoryA("ff\\sub"));
    CHECK("remove", RemoveDirectoryA("ff"));
    CHECK("GetLogicalDrives has C:", GetLogicalDrives() & 4);
    CHECK_INT("GetDriveType", GetDriveTypeA("C:\\"), DRIVE_FIXED);
    CHECK_INT("GetDriveType, none", GetDriveTypeA("B:\\"), DRIVE_NO_ROOT_DIR);
    CHECK("GetDiskFreeSpaceEx", GetDiskFreeSpaceExA(".", &avail, &total, &freed) && total.QuadPart >= freed.QuadPart);
    CHECK("GetVolumeInformation", GetVolumeInformationA("C:\\", name, sizeof name, &n, &n, &n, fs, sizeof fs));
    return check_done();
}
