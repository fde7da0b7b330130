/* Files between processes: share modes, deletion when the last handle closes, locked ranges, and what remains of them when a
 * process is terminated. The program is its own child: the arguments say what to open and what to do with it. */
#include "check.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define ALL (FILE_SHARE_READ | FILE_SHARE_WRITE | FILE_SHARE_DELETE)
#define READ GENERIC_READ
#define WRITE GENERIC_WRITE
#define NAME "sharing.tmp"
#define OTHER "sharing.other"

static char self[MAX_PATH];
/* Inherited: a child says that it is ready, and waits until it may go. */
static HANDLE ready, go;

static HANDLE open_file(const char *name, DWORD access, DWORD share, DWORD disposition, DWORD flags)
{
    return CreateFileA(name, access, share, NULL, disposition, flags, NULL);
}

/* 0, or why a call failed. */
static DWORD error_of(BOOL ok) { return ok ? 0 : GetLastError(); }

static DWORD try_open(const char *name, DWORD access, DWORD share)
{
    HANDLE h = open_file(name, access, share, OPEN_EXISTING, 0);
    DWORD error = error_of(h != INVALID_HANDLE_VALUE);
    if (!error) CloseHandle(h);
    return error;
}

static OVERLAPPED at(DWORD offset)
{
    OVERLAPPED o;
    memset(&o, 0, sizeof o);
    o.Offset = offset;
    return o;
}

static BOOL lock(HANDLE h, DWORD offset, DWORD length, DWORD flags)
{
    OVERLAPPED o = at(offset);
    return LockFileEx(h, flags, 0, length, 0, &o);
}

static BOOL unlock(HANDLE h, DWORD offset, DWORD length)
{
    OVERLAPPED o = at(offset);
    return UnlockFileEx(h, 0, length, 0, &o);
}

static BOOL read_at(HANDLE h, DWORD offset)
{
    OVERLAPPED o = at(offset);
    char c;
    DWORD n;
    return ReadFile(h, &c, 1, &n, &o);
}

static BOOL write_at(HANDLE h, DWORD offset)
{
    OVERLAPPED o = at(offset);
    DWORD n;
    return WriteFile(h, "x", 1, &n, &o);
}

static BOOL dispose(HANDLE h, BOOL delete)
{
    FILE_DISPOSITION_INFO info;
    info.DeleteFile = delete;
    return SetFileInformationByHandle(h, FileDispositionInfo, &info, sizeof info);
}

/* child WHAT READY GO NAME ACCESS SHARE DISPOSITION FLAGS */
static int child(char **argv)
{
    const char *what = argv[1], *name = argv[4];
    DWORD n[4];
    HANDLE h;
    int i;
    for (i = 0; i < 4; i++) n[i] = strtoul(argv[5 + i], NULL, 16);
    ready = (HANDLE)(uintptr_t)strtoul(argv[2], NULL, 16);
    go = (HANDLE)(uintptr_t)strtoul(argv[3], NULL, 16);
    if (!strcmp(what, "delete")) return error_of(DeleteFileA(name));
    if (!strcmp(what, "rename")) return error_of(MoveFileExA(OTHER, name, MOVEFILE_REPLACE_EXISTING));
    if (!strcmp(what, "keep")) { SetEvent(ready); WaitForSingleObject(go, 20000); return 0; }
    h = open_file(name, n[0], n[1], n[2], n[3]);
    if (h == INVALID_HANDLE_VALUE) { DWORD error = GetLastError(); SetEvent(ready); return error; }
    if (!strcmp(what, "open")) return 0;
    if (!strcmp(what, "read")) return error_of(read_at(h, 5));
    if (!strcmp(what, "write")) return error_of(write_at(h, 5));
    if (!strcmp(what, "lock")) return error_of(lock(h, 0, 10, LOCKFILE_EXCLUSIVE_LOCK | LOCKFILE_FAIL_IMMEDIATELY));
    if (!strcmp(what, "lockshared")) return error_of(lock(h, 0, 10, LOCKFILE_FAIL_IMMEDIATELY));
    if (!strcmp(what, "waitlock")) {
        SetEvent(ready);
        if (!lock(h, 0, 10, LOCKFILE_EXCLUSIVE_LOCK)) return 1;
        return WaitForSingleObject(go, 0) == WAIT_OBJECT_0 ? 0 : 2;
    }
    if (!strcmp(what, "holdlock") && !lock(h, 0, 10, LOCKFILE_EXCLUSIVE_LOCK)) return 3;
    if (!strcmp(what, "dispose") && !dispose(h, TRUE)) return 4;
    SetEvent(ready);
    WaitForSingleObject(go, 20000);
    if (!strcmp(what, "leave")) ExitProcess(0);
    CloseHandle(h);
    return 0;
}

static HANDLE start(const char *what, const char *name, DWORD access, DWORD share, DWORD disposition, DWORD flags)
{
    STARTUPINFOA si;
    PROCESS_INFORMATION pi;
    char line[600];
    memset(&si, 0, sizeof si);
    si.cb = sizeof si;
    ResetEvent(ready);
    ResetEvent(go);
    sprintf(line, "\"%s\" %s %x %x %s %lx %lx %lx %lx", self, what, (unsigned)(uintptr_t)ready, (unsigned)(uintptr_t)go, name,
            access, share, disposition, flags);
    if (!CreateProcessA(self, line, NULL, NULL, TRUE, 0, NULL, NULL, &si, &pi)) return NULL;
    CloseHandle(pi.hThread);
    return pi.hProcess;
}

static DWORD end_of(HANDLE process)
{
    DWORD code = 0xdead;
    if (WaitForSingleObject(process, 20000) != WAIT_OBJECT_0) TerminateProcess(process, 0xdead);
    else GetExitCodeProcess(process, &code);
    CloseHandle(process);
    return code;
}

static DWORD run(const char *what, DWORD access, DWORD share) { return end_of(start(what, NAME, access, share, OPEN_EXISTING, 0)); }

/* Starts a child that holds something, and waits until it does. */
static HANDLE hold(const char *what, DWORD access, DWORD share, DWORD disposition, DWORD flags)
{
    HANDLE process = start(what, NAME, access, share, disposition, flags);
    WaitForSingleObject(ready, 20000);
    return process;
}

static DWORD let_go(HANDLE process) { SetEvent(go); return end_of(process); }

static void finish_off(HANDLE process)
{
    TerminateProcess(process, 9);
    end_of(process);
}

static BOOL exists(const char *name) { return GetFileAttributesA(name) != INVALID_FILE_ATTRIBUTES; }

static HANDLE make(const char *name, DWORD share)
{
    HANDLE h = open_file(name, READ | WRITE, share, CREATE_ALWAYS, 0);
    DWORD n;
    WriteFile(h, "0123456789abcdef", 16, &n, NULL);
    return h;
}

static void share_modes(void)
{
    HANDLE h = make(NAME, 0), process;
    CHECK_INT("nothing is shared", run("open", READ, ALL), ERROR_SHARING_VIOLATION);
    CHECK_INT("attributes need no sharing", run("open", 0, 0), 0);
    CHECK_INT("nor deleted by name", run("delete", 0, 0), ERROR_SHARING_VIOLATION);
    CloseHandle(h);
    CHECK_INT("closed", run("open", READ | WRITE, 0), 0);
    h = open_file(NAME, READ, FILE_SHARE_READ, OPEN_EXISTING, 0);
    CHECK_INT("two readers", run("open", READ, FILE_SHARE_READ), 0);
    CHECK_INT("no writer", run("open", WRITE, ALL), ERROR_SHARING_VIOLATION);
    CHECK_INT("no reader that shares nothing", run("open", READ, 0), ERROR_SHARING_VIOLATION);
    CloseHandle(make(OTHER, 0));
    CHECK_INT("replaced by a rename", run("rename", 0, 0), ERROR_ACCESS_DENIED);
    CloseHandle(h);
    process = hold("hold", READ, 0, OPEN_EXISTING, 0);
    CHECK_INT("the child's open counts here", try_open(NAME, READ, ALL), ERROR_SHARING_VIOLATION);
    CHECK_ERR("also for deleting", DeleteFileA(NAME), ERROR_SHARING_VIOLATION);
    CHECK_INT("until it closes", let_go(process), 0);
    CHECK_INT("then not", try_open(NAME, READ | WRITE, 0), 0);
    process = hold("leave", READ, 0, OPEN_EXISTING, 0);
    CHECK_INT("until it ends", let_go(process), 0);
    CHECK_INT("which closes its files", try_open(NAME, READ | WRITE, 0), 0);
    process = hold("hold", READ, 0, OPEN_EXISTING, 0);
    finish_off(process);
    CHECK_INT("so does terminating it", try_open(NAME, READ | WRITE, 0), 0);
    CHECK("and the file can be deleted", DeleteFileA(NAME));
    DeleteFileA(OTHER);
}

static void inherited(void)
{
    SECURITY_ATTRIBUTES sa = {sizeof sa, NULL, TRUE};
    HANDLE h = CreateFileA(NAME, READ | WRITE, 0, &sa, CREATE_ALWAYS, 0, NULL), process = start("keep", NAME, 0, 0, 0, 0), copy;
    CloseHandle(h);
    CHECK_INT("an inherited handle keeps the file open", try_open(NAME, READ, ALL), ERROR_SHARING_VIOLATION);
    WaitForSingleObject(ready, 20000);
    CHECK_INT("as long as the child has it", try_open(NAME, READ, ALL), ERROR_SHARING_VIOLATION);
    CHECK_INT("it ends", let_go(process), 0);
    CHECK_INT("and it is closed", try_open(NAME, READ | WRITE, 0), 0);
    h = CreateFileA(NAME, READ | WRITE | DELETE, 0, &sa, CREATE_ALWAYS, FILE_FLAG_DELETE_ON_CLOSE, NULL);
    process = start("keep", NAME, 0, 0, 0, 0);
    CloseHandle(h);
    WaitForSingleObject(ready, 20000);
    CHECK("not deleted while the child has it", exists(NAME));
    finish_off(process);
    h = open_file(NAME, READ, 0, CREATE_NEW, 0);
    CHECK("deleted with the last handle", h != INVALID_HANDLE_VALUE);
    CloseHandle(h);
    h = open_file(NAME, READ, 0, OPEN_EXISTING, 0);
    process = hold("keep", 0, 0, 0, 0);
    CHECK("duplicated into a process", DuplicateHandle(GetCurrentProcess(), h, process, &copy, 0, FALSE, DUPLICATE_SAME_ACCESS));
    CHECK_INT("it ends too", let_go(process), 0);
    CHECK_INT("the source remains", try_open(NAME, READ, ALL), ERROR_SHARING_VIOLATION);
    CloseHandle(h);
    CHECK_INT("until it is closed", try_open(NAME, READ | WRITE, 0), 0);
    DeleteFileA(NAME);
}

static void deletion(void)
{
    HANDLE h = make(NAME, ALL), process = hold("dispose", READ | DELETE, ALL, OPEN_EXISTING, 0);
    CHECK_INT("to be deleted by another", try_open(NAME, READ, ALL), ERROR_ACCESS_DENIED);
    CHECK_INT("which closes it", let_go(process), 0);
    CHECK_INT("open here", try_open(NAME, READ, ALL), ERROR_ACCESS_DENIED);
    CHECK("and there", exists(NAME) || GetLastError() == ERROR_ACCESS_DENIED);
    CloseHandle(h);
    CHECK_INT("the last handle deletes", try_open(NAME, READ, ALL), ERROR_FILE_NOT_FOUND);
    process = hold("hold", READ | WRITE | DELETE, ALL, CREATE_NEW, FILE_FLAG_DELETE_ON_CLOSE);
    CHECK_INT("open beside one that deletes on close", try_open(NAME, READ, ALL), 0);
    CHECK_INT("without sharing deletion", try_open(NAME, READ, FILE_SHARE_READ | FILE_SHARE_WRITE), ERROR_SHARING_VIOLATION);
    CHECK_INT("it closes", let_go(process), 0);
    CHECK_INT("and deletes", try_open(NAME, READ, ALL), ERROR_FILE_NOT_FOUND);
    process = hold("leave", WRITE | DELETE, 0, CREATE_NEW, FILE_FLAG_DELETE_ON_CLOSE);
    CHECK_INT("one that ends with it open", let_go(process), 0);
    CHECK("deletes too", !exists(NAME));
    process = hold("hold", WRITE | DELETE, 0, CREATE_NEW, FILE_FLAG_DELETE_ON_CLOSE);
    finish_off(process);
    CHECK_INT("one that is terminated", try_open(NAME, READ, ALL), ERROR_FILE_NOT_FOUND);
    process = hold("hold", WRITE | DELETE, 0, CREATE_NEW, FILE_FLAG_DELETE_ON_CLOSE);
    finish_off(process);
    h = open_file(NAME, READ | WRITE, 0, CREATE_NEW, 0);
    CHECK("its name is free", h != INVALID_HANDLE_VALUE);
    CloseHandle(h);
    process = hold("dispose", READ | DELETE, ALL, OPEN_EXISTING, 0);
    finish_off(process);
    CHECK_INT("one that marked and was terminated", try_open(NAME, READ, ALL), ERROR_FILE_NOT_FOUND);
}

static void locks(void)
{
    HANDLE h = make(NAME, ALL), process;
    CHECK("lock", lock(h, 0, 10, LOCKFILE_EXCLUSIVE_LOCK | LOCKFILE_FAIL_IMMEDIATELY));
    CHECK_INT("no lock over it", run("lock", READ | WRITE, ALL), ERROR_LOCK_VIOLATION);
    CHECK_INT("nor a shared one", run("lockshared", READ | WRITE, ALL), ERROR_LOCK_VIOLATION);
    CHECK_INT("no reading", run("read", READ, ALL), ERROR_LOCK_VIOLATION);
    CHECK_INT("no writing", run("write", WRITE, ALL), ERROR_LOCK_VIOLATION);
    CHECK("the holder reads", read_at(h, 5));
    process = start("waitlock", NAME, READ | WRITE, ALL, OPEN_EXISTING, 0);
    WaitForSingleObject(ready, 20000);
    CHECK_INT("it waits", WaitForSingleObject(process, 50), WAIT_TIMEOUT);
    SetEvent(go);
    CHECK("unlock", unlock(h, 0, 10));
    CHECK_INT("and gets it", end_of(process), 0);
    CHECK_INT("unlocked: reading", run("read", READ, ALL), 0);
    CHECK("shared", lock(h, 0, 10, LOCKFILE_FAIL_IMMEDIATELY));
    CHECK_INT("shared by two", run("lockshared", READ | WRITE, ALL), 0);
    CHECK_INT("read by two", run("read", READ, ALL), 0);
    CHECK_INT("written by none", run("write", WRITE, ALL), ERROR_LOCK_VIOLATION);
    CHECK_ERR("not by the holder", write_at(h, 5), ERROR_LOCK_VIOLATION);
    CHECK("unlock", unlock(h, 0, 10));
    process = hold("holdlock", READ | WRITE, ALL, OPEN_EXISTING, 0);
    CHECK_ERR("locked over there", lock(h, 0, 10, LOCKFILE_EXCLUSIVE_LOCK | LOCKFILE_FAIL_IMMEDIATELY), ERROR_LOCK_VIOLATION);
    CHECK_ERR("reading", read_at(h, 5), ERROR_LOCK_VIOLATION);
    CHECK("elsewhere", read_at(h, 12));
    TerminateProcess(process, 9);
    CHECK("a terminated process' lock goes", lock(h, 0, 10, LOCKFILE_EXCLUSIVE_LOCK));
    end_of(process);
    CHECK("unlock", unlock(h, 0, 10));
    process = hold("holdlock", READ | WRITE, ALL, OPEN_EXISTING, 0);
    CHECK_INT("it closes", let_go(process), 0);
    CHECK("a closed handle's lock goes", read_at(h, 5) && write_at(h, 5));
    CloseHandle(h);
    DeleteFileA(NAME);
}

int main(int argc, char **argv)
{
    SECURITY_ATTRIBUTES sa = {sizeof sa, NULL, TRUE};
    if (argc > 8) return child(argv);
    GetModuleFileNameA(NULL, self, sizeof self);
    ready = CreateEventA(&sa, TRUE, FALSE, NULL);
    go = CreateEventA(&sa, TRUE, FALSE, NULL);
    DeleteFileA(NAME);
    DeleteFileA(OTHER);
    share_modes();
    inherited();
    deletion();
    locks();
    return check_done();
}
