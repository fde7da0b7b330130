/* Handles that go from one running process to another: DuplicateHandle from a parent, into it, and into a child. */
#include "check.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* The child: takes what it is told of, and says how that went by its exit code. */
static int child(char **argv)
{
    DWORD parent_id = strtoul(argv[2], NULL, 10), n;
    HANDLE theirs_event = (HANDLE)(ULONG_PTR)strtoul(argv[3], NULL, 10), theirs_file = (HANDLE)(ULONG_PTR)strtoul(argv[4], NULL, 10);
    HANDLE pipe = (HANDLE)(ULONG_PTR)strtoul(argv[5], NULL, 10), given = NULL;
    HANDLE parent = OpenProcess(PROCESS_DUP_HANDLE, FALSE, parent_id), event = NULL, file = NULL, mine;
    char text[16] = "";
    if (!parent) return 1;
    if (!DuplicateHandle(parent, theirs_event, GetCurrentProcess(), &event, 0, FALSE, DUPLICATE_SAME_ACCESS)) return 2;
    if (!DuplicateHandle(parent, theirs_file, GetCurrentProcess(), &file, 0, FALSE, DUPLICATE_SAME_ACCESS)) return 3;
    if (DuplicateHandle(parent, (HANDLE)0x12344, GetCurrentProcess(), &mine, 0, FALSE, DUPLICATE_SAME_ACCESS) || GetLastError() != ERROR_INVALID_HANDLE) return 4;
    if (!ReadFile(file, text, 5, &n, NULL) || n != 5 || memcmp(text, "hello", 5)) return 5;
    SetEvent(event);
    /* Into the parent: a file of the child's own. */
    mine = CreateFileA(argv[6], GENERIC_READ, FILE_SHARE_READ | FILE_SHARE_WRITE | FILE_SHARE_DELETE, NULL, OPEN_EXISTING, 0, NULL);
    if (mine == INVALID_HANDLE_VALUE) return 6;
    if (!DuplicateHandle(GetCurrentProcess(), mine, parent, &given, 0, FALSE, DUPLICATE_SAME_ACCESS | DUPLICATE_CLOSE_SOURCE)) return 7;
    if (GetFileType(mine) != FILE_TYPE_UNKNOWN) return 8;
    /* What the parent gives comes through the pipe: the values of a semaphore and of the end of a pipe. */
    {
        unsigned values[2];
        DWORD answer = (DWORD)(ULONG_PTR)given;
        HANDLE out;
        if (!ReadFile(pipe, values, sizeof values, &n, NULL) || n != sizeof values) return 9;
        if (!ReleaseSemaphore((HANDLE)(ULONG_PTR)values[0], 2, NULL)) return 10;
        out = (HANDLE)(ULONG_PTR)values[1];
        if (!WriteFile(out, &answer, sizeof answer, &n, NULL)) return 11;
        CloseHandle(out);
    }
    return 42;
}

int main(int argc, char **argv)
{
    char self[MAX_PATH], command[3 * MAX_PATH], temp[MAX_PATH], path[MAX_PATH], text[16] = "";
    SECURITY_ATTRIBUTES inherit = {sizeof inherit, NULL, TRUE};
    STARTUPINFOA si = {.cb = sizeof si};
    PROCESS_INFORMATION pi;
    HANDLE event, file, told, tell, out, in, semaphore, copy = NULL;
    unsigned values[2];
    DWORD n, code = 0, answer = 0;
    if (argc > 6) return child(argv);
    event = CreateEventA(NULL, TRUE, FALSE, check_unique("handover-event"));
    semaphore = CreateSemaphoreA(NULL, 0, 5, check_unique("handover-semaphore"));
    GetTempPathA(sizeof temp, temp);
    GetTempFileNameA(temp, "trn", 0, path);
    file = CreateFileA(path, GENERIC_READ | GENERIC_WRITE, FILE_SHARE_READ | FILE_SHARE_WRITE | FILE_SHARE_DELETE, NULL, CREATE_ALWAYS, 0, NULL);
    WriteFile(file, "hello world", 11, &n, NULL);
    SetFilePointer(file, 0, NULL, FILE_BEGIN);
    CreatePipe(&told, &tell, &inherit, 0);
    SetHandleInformation(tell, HANDLE_FLAG_INHERIT, 0);
    CreatePipe(&in, &out, NULL, 0);
    GetModuleFileNameA(NULL, self, sizeof self);
    sprintf(command, "\"%s\" child %lu %lu %lu %lu \"%s\"", self, GetCurrentProcessId(), (unsigned long)(ULONG_PTR)event,
            (unsigned long)(ULONG_PTR)file, (unsigned long)(ULONG_PTR)told, path);
    CHECK("CreateProcess", CreateProcessA(NULL, command, NULL, NULL, TRUE, 0, NULL, NULL, &si, &pi));
    CHECK("into a child", DuplicateHandle(GetCurrentProcess(), semaphore, pi.hProcess, &copy, 0, FALSE, DUPLICATE_SAME_ACCESS) && copy);
    values[0] = (unsigned)(ULONG_PTR)copy;
    CHECK("and the end of a pipe", DuplicateHandle(GetCurrentProcess(), out, pi.hProcess, &copy, 0, FALSE, DUPLICATE_SAME_ACCESS | DUPLICATE_CLOSE_SOURCE) && copy);
    values[1] = (unsigned)(ULONG_PTR)copy;
    CHECK("which is closed here", GetFileType(out) == FILE_TYPE_UNKNOWN);
    WriteFile(tell, values, sizeof values, &n, NULL);
    CHECK("the child's answer", ReadFile(in, &answer, sizeof answer, &n, NULL) && n == sizeof answer);
    CHECK("the child took the event", WaitForSingleObject(event, 60000) == WAIT_OBJECT_0);
    CHECK("the child has the semaphore", WaitForSingleObject(semaphore, 60000) == WAIT_OBJECT_0 && WaitForSingleObject(semaphore, 0) == WAIT_OBJECT_0);
    CHECK("what the child gave is a file here", ReadFile((HANDLE)(ULONG_PTR)answer, text, 11, &n, NULL) && n == 11 && !memcmp(text, "hello world", 11));
    CHECK("the file pointer is shared", SetFilePointer(file, 0, NULL, FILE_CURRENT) == 5);
    CHECK("no more is to come", !ReadFile(in, text, 1, &n, NULL) && GetLastError() == ERROR_BROKEN_PIPE);
    WaitForSingleObject(pi.hProcess, 60000);
    GetExitCodeProcess(pi.hProcess, &code);
    CHECK_INT("the child's steps", code, 42);
    CloseHandle((HANDLE)(ULONG_PTR)answer);
    CloseHandle(file);
    DeleteFileA(path);
    return check_done();
}
