/* File mappings: anonymous, named and of files; views, protections, offsets, and what a mapping keeps alive. */
#include "check.h"
#include <string.h>

int main(void)
{
    HANDLE f, m, m2;
    char *p, *q, b[8];
    DWORD n;
    MEMORY_BASIC_INFORMATION info;
    const char *name = check_unique("Local\\transom-sample-map");
    f = CreateFileA("m.bin", GENERIC_READ | GENERIC_WRITE, 0, NULL, CREATE_ALWAYS, 0, NULL);
    CHECK_ERR("an empty file cannot be mapped", CreateFileMappingA(f, NULL, PAGE_READWRITE, 0, 0, NULL), ERROR_FILE_INVALID);
    m = CreateFileMappingA(f, NULL, PAGE_READWRITE, 0, 0x20000, NULL);
    CHECK("create", m != NULL);
    CHECK_INT("which extends the file", GetFileSize(f, NULL), 0x20000);
    p = MapViewOfFile(m, FILE_MAP_WRITE, 0, 0, 0);
    CHECK("map", p != NULL);
    strcpy(p, "mapped");
    strcpy(p + 0x10000, "second");
    q = MapViewOfFile(m, FILE_MAP_READ, 0, 0x10000, 0x1000);
    CHECK_STR("a view at an offset", q, "second");
    CHECK_HEX("views lie at 64 KiB", (uintptr_t)q & 0xffff, 0);
    p[0x10000] = 'S';
    CHECK_STR("views share memory", q, "Second");
    CHECK("VirtualQuery", VirtualQuery(q, &info, sizeof info) == sizeof info);
    CHECK_HEX("type", info.Type, MEM_MAPPED);
    CHECK_HEX("protection", info.Protect, PAGE_READONLY);
    CHECK_ERR("offset granularity", MapViewOfFile(m, FILE_MAP_READ, 0, 0x1000, 0), ERROR_MAPPED_ALIGNMENT);
    CHECK_ERR("a view beyond the end", MapViewOfFile(m, FILE_MAP_READ, 0, 0, 0x21000), ERROR_ACCESS_DENIED);
    CloseHandle(m);
    CHECK_STR("a view outlives its mapping's handle", p, "mapped");
    CHECK("flush", FlushViewOfFile(p, 0));
    CHECK("unmap", UnmapViewOfFile(p));
    CHECK("unmap second", UnmapViewOfFile(q));
    CHECK_ERR("unmap twice", UnmapViewOfFile(p), ERROR_INVALID_ADDRESS);
    SetFilePointer(f, 0, NULL, FILE_BEGIN);
    CHECK("the file holds it", ReadFile(f, b, 6, &n, NULL) && !memcmp(b, "mapped", 6));
    m = CreateFileMappingA(f, NULL, PAGE_WRITECOPY, 0, 0, NULL);
    p = MapViewOfFile(m, FILE_MAP_COPY, 0, 0, 0);
    CHECK("copy-on-write view", p && p[0] == 'm');
    p[0] = 'X';
    SetFilePointer(f, 0, NULL, FILE_BEGIN);
    CHECK("leaves the file alone", ReadFile(f, b, 1, &n, NULL) && b[0] == 'm');
    UnmapViewOfFile(p);
    CloseHandle(m);
    CloseHandle(f);
    DeleteFileA("m.bin");

    m = CreateFileMappingA(INVALID_HANDLE_VALUE, NULL, PAGE_READWRITE, 0, 5000, name);
    CHECK("anonymous, named", m != NULL && GetLastError() == 0);
    m2 = CreateFileMappingA(INVALID_HANDLE_VALUE, NULL, PAGE_READWRITE, 0, 5000, name);
    CHECK_INT("second finds the first", GetLastError(), ERROR_ALREADY_EXISTS);
    p = MapViewOfFile(m, FILE_MAP_ALL_ACCESS, 0, 0, 0);
    q = MapViewOfFile(m2, FILE_MAP_ALL_ACCESS, 0, 0, 0);
    CHECK("zeroed", p && q && p[4999] == 0);
    strcpy(p, "shared");
    CHECK_STR("by name", q, "shared");
    CloseHandle(m2);
    m2 = OpenFileMappingA(FILE_MAP_READ, FALSE, name);
    CHECK("open", m2 != NULL);
    CHECK_ERR("a read-only handle maps no writable view", MapViewOfFile(m2, FILE_MAP_WRITE, 0, 0, 0), ERROR_ACCESS_DENIED);
    CHECK_ERR("open, missing", OpenFileMappingA(FILE_MAP_READ, FALSE, "Local\\transom-no-map"), ERROR_FILE_NOT_FOUND);
    CHECK_ERR("no size", CreateFileMappingA(INVALID_HANDLE_VALUE, NULL, PAGE_READWRITE, 0, 0, NULL), ERROR_INVALID_PARAMETER);
    UnmapViewOfFile(p);
    UnmapViewOfFile(q);
    CloseHandle(m);
    CloseHandle(m2);
    return check_done();
}
