/* What is asked of directories and open files beyond reading and writing: changes, listings by handle, volumes, locks, streams,
 * reopening. Derived from the documentation pages of the functions. */
#include "check.h"
#include <winternl.h>

#ifndef STATUS_SUCCESS
#define STATUS_SUCCESS ((NTSTATUS)0)
#endif
#define STATUS_NO_MORE ((NTSTATUS)0x80000006)

typedef NTSTATUS(NTAPI *QueryDirectory)(HANDLE, HANDLE, PVOID, PVOID, PIO_STATUS_BLOCK, PVOID, ULONG, int, BOOLEAN,
                                        PUNICODE_STRING, BOOLEAN);
typedef NTSTATUS(NTAPI *QueryVolume)(HANDLE, PIO_STATUS_BLOCK, PVOID, ULONG, int);
typedef NTSTATUS(NTAPI *QueryObject)(HANDLE, int, PVOID, ULONG, PULONG);
typedef NTSTATUS(NTAPI *Lock)(HANDLE, HANDLE, PVOID, PVOID, PIO_STATUS_BLOCK, PLARGE_INTEGER, PLARGE_INTEGER, ULONG, BOOLEAN,
                              BOOLEAN);
typedef NTSTATUS(NTAPI *Unlock)(HANDLE, PIO_STATUS_BLOCK, PLARGE_INTEGER, PLARGE_INTEGER, ULONG);

static FARPROC nt(const char *name) { return GetProcAddress(GetModuleHandleA("ntdll"), name); }

static WCHAR folder[MAX_PATH];

static WCHAR *in_folder(const WCHAR *name)
{
    static WCHAR path[MAX_PATH + 32];
    lstrcpyW(path, folder);
    lstrcatW(path, L"\\");
    lstrcatW(path, name);
    return path;
}

static void make(const WCHAR *name)
{
    HANDLE file = CreateFileW(in_folder(name), GENERIC_WRITE, 0, NULL, CREATE_ALWAYS, 0, NULL);
    DWORD done;
    WriteFile(file, "data", 4, &done, NULL);
    CloseHandle(file);
}

static HANDLE open_folder(DWORD flags)
{
    return CreateFileW(folder, FILE_LIST_DIRECTORY | SYNCHRONIZE, FILE_SHARE_READ | FILE_SHARE_WRITE | FILE_SHARE_DELETE, NULL,
                       OPEN_EXISTING, FILE_FLAG_BACKUP_SEMANTICS | flags, NULL);
}

static void notifications(void)
{
    HANDLE change = FindFirstChangeNotificationW(folder, FALSE, FILE_NOTIFY_CHANGE_FILE_NAME);
    CHECK("FindFirstChangeNotification", change != INVALID_HANDLE_VALUE);
    CHECK_INT("not signalled yet", WaitForSingleObject(change, 0), WAIT_TIMEOUT);
    make(L"noticed");
    CHECK_INT("signalled", WaitForSingleObject(change, 10000), WAIT_OBJECT_0);
    CHECK("FindNextChangeNotification", FindNextChangeNotification(change));
    DeleteFileW(in_folder(L"noticed"));
    CHECK_INT("signalled again", WaitForSingleObject(change, 10000), WAIT_OBJECT_0);
    CHECK("FindCloseChangeNotification", FindCloseChangeNotification(change));
    CHECK("no folder", FindFirstChangeNotificationW(L"C:\\no such", FALSE, FILE_NOTIFY_CHANGE_FILE_NAME) == INVALID_HANDLE_VALUE);
}

static int told;
static void CALLBACK changed(DWORD error, DWORD bytes, OVERLAPPED *overlapped)
{
    told += error == ERROR_SUCCESS && bytes == 12 + 2 * 7 && (uintptr_t)overlapped->hEvent == 0x123456;
}

static void changes(void)
{
    union { FILE_NOTIFY_INFORMATION record; BYTE bytes[1024]; } buffer;
    OVERLAPPED overlapped = {0};
    DWORD done = 0;
    HANDLE directory = open_folder(FILE_FLAG_OVERLAPPED), port, again;
    ULONG_PTR key = 0;
    LPOVERLAPPED which = NULL;

    overlapped.hEvent = CreateEventW(NULL, TRUE, FALSE, NULL);
    CHECK("ReadDirectoryChangesW", ReadDirectoryChangesW(directory, &buffer, sizeof buffer, TRUE, FILE_NOTIFY_CHANGE_FILE_NAME,
                                                         NULL, &overlapped, NULL));
    CHECK_ERR("still waits", GetOverlappedResult(directory, &overlapped, &done, FALSE), ERROR_IO_INCOMPLETE);
    make(L"created");
    CHECK("GetOverlappedResult", GetOverlappedResult(directory, &overlapped, &done, TRUE));
    CHECK_INT("bytes", done, 12 + 2 * 7);
    CHECK_INT("action", buffer.record.Action, FILE_ACTION_ADDED);
    CHECK_INT("name", memcmp(buffer.record.FileName, L"created", 14), 0);
    CHECK("ReadDirectoryChangesW again", ReadDirectoryChangesW(directory, &buffer, sizeof buffer, TRUE,
                                                               FILE_NOTIFY_CHANGE_FILE_NAME, NULL, &overlapped, NULL));
    CHECK("CancelIoEx", CancelIoEx(directory, &overlapped));
    CHECK_ERR("cancelled", GetOverlappedResult(directory, &overlapped, &done, TRUE), ERROR_OPERATION_ABORTED);
    CloseHandle(overlapped.hEvent);
    /* With a routine the event is the program's, which may keep a pointer there. */
    overlapped.hEvent = (HANDLE)(uintptr_t)0x123456;
    CHECK("request with a routine", ReadDirectoryChangesW(directory, &buffer, sizeof buffer, TRUE, FILE_NOTIFY_CHANGE_FILE_NAME,
                                                          NULL, &overlapped, changed));
    make(L"routine");
    CHECK_INT("an alertable wait ends with it", SleepEx(10000, TRUE), WAIT_IO_COMPLETION);
    CHECK_INT("it was called once", told, 1);
    DeleteFileW(in_folder(L"routine"));
    CloseHandle(directory);

    again = open_folder(FILE_FLAG_OVERLAPPED);
    memset(&overlapped, 0, sizeof overlapped);
    port = CreateIoCompletionPort(again, NULL, 7, 0);
    CHECK("request for a port", ReadDirectoryChangesW(again, &buffer, sizeof buffer, FALSE, FILE_NOTIFY_CHANGE_FILE_NAME, NULL,
                                                      &overlapped, NULL));
    DeleteFileW(in_folder(L"created"));
    CHECK("GetQueuedCompletionStatus", GetQueuedCompletionStatus(port, &done, &key, &which, 10000));
    CHECK("packet", key == 7 && which == &overlapped && done == 12 + 2 * 7);
    CHECK_INT("removed", buffer.record.Action, FILE_ACTION_REMOVED);
    CloseHandle(again);
    CloseHandle(port);
}

static void listing(void)
{
    enum { DIRECTORY = 1, NAMES = 12, ID_BOTH = 37 };
    union { struct { ULONG next, index, length; WCHAR name[1]; } names; struct { ULONG next, index; LARGE_INTEGER times[4];
            LARGE_INTEGER end, allocated; ULONG attributes, length; WCHAR name[1]; } directory; BYTE bytes[512]; } b;
    QueryDirectory query = (QueryDirectory)(void *)nt("NtQueryDirectoryFile");
    IO_STATUS_BLOCK io;
    UNICODE_STRING only = {4, 4, (PWSTR)L"t*"};
    HANDLE handle;

    make(L"one");
    make(L"two");
    handle = open_folder(0);
    CHECK_HEX("first", (ULONG)query(handle, 0, 0, 0, &io, &b, sizeof b, NAMES, TRUE, NULL, FALSE), STATUS_SUCCESS);
    CHECK("dot", b.names.length == 2 && b.names.name[0] == '.');
    CHECK_HEX("second", (ULONG)query(handle, 0, 0, 0, &io, &b, sizeof b, NAMES, TRUE, NULL, FALSE), STATUS_SUCCESS);
    CHECK_HEX("third", (ULONG)query(handle, 0, 0, 0, &io, &b, sizeof b, DIRECTORY, TRUE, NULL, FALSE), STATUS_SUCCESS);
    CHECK("one", b.directory.length == 6 && !memcmp(b.directory.name, L"one", 6) && b.directory.end.QuadPart == 4);
    CHECK_HEX("rest", (ULONG)query(handle, 0, 0, 0, &io, &b, sizeof b, ID_BOTH, FALSE, NULL, FALSE), STATUS_SUCCESS);
    CHECK_HEX("end", (ULONG)query(handle, 0, 0, 0, &io, &b, sizeof b, NAMES, FALSE, NULL, FALSE), (ULONG)STATUS_NO_MORE);
    CHECK_HEX("restart", (ULONG)query(handle, 0, 0, 0, &io, &b, sizeof b, NAMES, FALSE, &only, TRUE), STATUS_SUCCESS);
    CHECK("two alone", b.names.next == 0 && !memcmp(b.names.name, L"two", 6));
    CHECK_HEX("no class", (ULONG)query(handle, 0, 0, 0, &io, &b, sizeof b, 99, FALSE, NULL, TRUE), 0xC0000003u);
    CloseHandle(handle);
}

static void volumes_and_names(void)
{
    struct { LARGE_INTEGER total, available; ULONG sectors, bytes; } size;
    struct { ULONG type, characteristics; } device;
    struct { UNICODE_STRING string; WCHAR text[MAX_PATH]; } name;
    QueryVolume query = (QueryVolume)(void *)nt("NtQueryVolumeInformationFile");
    QueryObject object = (QueryObject)(void *)nt("NtQueryObject");
    IO_STATUS_BLOCK io;
    WCHAR target[128];
    ULONG length = 0;
    HANDLE file = CreateFileW(in_folder(L"one"), GENERIC_READ, FILE_SHARE_READ, NULL, OPEN_EXISTING, 0, NULL), pipes[2];

    CHECK_HEX("size", (ULONG)query(file, &io, &size, sizeof size, 3), 0);
    CHECK("sizes", size.total.QuadPart > 0 && size.sectors > 0 && size.bytes == 512);
    CHECK_HEX("device", (ULONG)query(file, &io, &device, sizeof device, 4), 0);
    CHECK_INT("disk", device.type, 7);
    CHECK_HEX("too short", (ULONG)query(file, &io, &size, 4, 3), 0xC0000004u);
    CreatePipe(&pipes[0], &pipes[1], NULL, 0);
    CHECK_HEX("pipe", (ULONG)query(pipes[0], &io, &device, sizeof device, 4), 0);
    CHECK_INT("named pipe device", device.type, 0x11);
    CHECK_HEX("NtQueryObject name", (ULONG)object(file, 1, &name, sizeof name, &length), 0);
    CHECK("device path", QueryDosDeviceW(L"C:", target, 128) > 0 && !memcmp(target, L"\\Device\\HarddiskVolume", 44));
    CHECK("name", !memcmp(name.string.Buffer, L"\\Device\\HarddiskVolume", 44));
    CHECK_HEX("NtQueryObject type", (ULONG)object(file, 2, &name, sizeof name, &length), 0);
    CHECK("type", name.string.Length == 8 && !memcmp(name.string.Buffer, L"File", 8));
    CHECK("QueryDosDevice unknown", !QueryDosDeviceW(L"nothing", target, 128));
    CHECK("DuplicateHandle closes", DuplicateHandle(GetCurrentProcess(), pipes[1], NULL, NULL, 0, FALSE, DUPLICATE_CLOSE_SOURCE));
    CHECK_ERR("the other end sees it", ReadFile(pipes[0], target, 1, &length, NULL), ERROR_BROKEN_PIPE);
    CloseHandle(pipes[0]);
    CloseHandle(file);
}

static void locks(void)
{
    Lock lock = (Lock)(void *)nt("NtLockFile");
    Unlock unlock = (Unlock)(void *)nt("NtUnlockFile");
    IO_STATUS_BLOCK io;
    LARGE_INTEGER at = {{0}}, count;
    HANDLE a = CreateFileW(in_folder(L"one"), GENERIC_READ | GENERIC_WRITE, 3, NULL, OPEN_EXISTING, 0, NULL);
    HANDLE b = CreateFileW(in_folder(L"one"), GENERIC_READ | GENERIC_WRITE, 3, NULL, OPEN_EXISTING, 0, NULL);

    count.QuadPart = 4;
    CHECK_HEX("NtLockFile", (ULONG)lock(a, 0, 0, 0, &io, &at, &count, 0, TRUE, TRUE), 0);
    CHECK_HEX("locked", (ULONG)lock(b, 0, 0, 0, &io, &at, &count, 0, TRUE, TRUE), 0xC0000055u);
    CHECK_HEX("NtUnlockFile", (ULONG)unlock(a, &io, &at, &count, 0), 0);
    CHECK_HEX("not locked", (ULONG)unlock(a, &io, &at, &count, 0), 0xC000007Eu);
    CloseHandle(a);
    CloseHandle(b);
}

static void reopening(void)
{
    CREATEFILE2_EXTENDED_PARAMETERS extended = {sizeof extended, FILE_ATTRIBUTE_NORMAL, FILE_FLAG_SEQUENTIAL_SCAN, 0, NULL, NULL};
    WIN32_FIND_STREAM_DATA stream;
    WCHAR program[MAX_PATH];
    DWORD done, kind = 99;
    char text[4];
    HANDLE find, again, file = CreateFile2(in_folder(L"two"), GENERIC_READ, 3, OPEN_EXISTING, &extended);

    CHECK("CreateFile2", file != INVALID_HANDLE_VALUE && ReadFile(file, text, 4, &done, NULL) && done == 4);
    again = ReOpenFile(file, GENERIC_WRITE, 3, 0);
    CHECK("ReOpenFile", again != INVALID_HANDLE_VALUE && WriteFile(again, "x", 1, &done, NULL));
    CHECK_ERR("the first cannot write", WriteFile(file, "x", 1, &done, NULL), ERROR_ACCESS_DENIED);
    CloseHandle(again);
    CloseHandle(file);
    CHECK("CreateFile2 not there", CreateFile2(in_folder(L"none"), GENERIC_READ, 3, OPEN_EXISTING, NULL) == INVALID_HANDLE_VALUE);
    find = FindFirstStreamW(in_folder(L"two"), FindStreamInfoStandard, &stream, 0);
    CHECK("FindFirstStreamW", find != INVALID_HANDLE_VALUE && stream.StreamSize.QuadPart == 4);
    CHECK_WSTR("the data", stream.cStreamName, L"::$DATA");
    CHECK_ERR("FindNextStreamW", FindNextStreamW(find, &stream), ERROR_HANDLE_EOF);
    CHECK("FindClose", FindClose(find));
    GetModuleFileNameW(NULL, program, MAX_PATH);
    CHECK("GetBinaryTypeW", GetBinaryTypeW(program, &kind));
    CHECK_INT("kind", kind, sizeof(void *) == 8 ? SCS_64BIT_BINARY : SCS_32BIT_BINARY);
    CHECK_ERR("no program", GetBinaryTypeW(in_folder(L"two"), &kind), ERROR_BAD_EXE_FORMAT);
    CHECK("GetCompressedFileSizeW", GetCompressedFileSizeW(in_folder(L"two"), NULL) != INVALID_FILE_SIZE);
}

int main(void)
{
    WCHAR temporary[MAX_PATH];
    GetTempPathW(MAX_PATH, temporary);
    GetTempFileNameW(temporary, L"dir", 0, folder);
    DeleteFileW(folder);
    CreateDirectoryW(folder, NULL);
    notifications();
    changes();
    listing();
    volumes_and_names();
    locks();
    reopening();
    DeleteFileW(in_folder(L"one"));
    DeleteFileW(in_folder(L"two"));
    CHECK("the folder is empty again", RemoveDirectoryW(folder));
    return check_done();
}
