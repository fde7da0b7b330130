/* Processes: the program starts itself with quoted arguments, a changed environment, a folder, pipes for standard handles and
 * inherited handles; waits, exit codes, termination, errors. The first argument tells a child what to do. */
#include "check.h"
#include <process.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static char self[MAX_PATH];

static HANDLE caught;
static DWORD event_seen;

static BOOL WINAPI on_event(DWORD event)
{
    event_seen = event;
    SetEvent(caught);
    return TRUE;
}

static int child(int argc, char **argv)
{
    if (!strcmp(argv[1], "args")) {
        int i;
        for (i = 2; i < argc; i++) printf("[%s]", argv[i]);
        return argc;
    }
    if (!strcmp(argv[1], "env")) {
        char b[64] = "";
        GetEnvironmentVariableA("SAMPLE_CHILD", b, sizeof b);
        printf("%s", b);
        return 0;
    }
    if (!strcmp(argv[1], "cwd")) {
        char b[MAX_PATH];
        GetCurrentDirectoryA(sizeof b, b);
        printf("%s", strrchr(b, '\\') + 1);
        return 0;
    }
    if (!strcmp(argv[1], "echo")) {
        int c;
        while ((c = getchar()) != EOF) putchar(c == 'a' ? 'b' : c);
        return 0;
    }
    if (!strcmp(argv[1], "set")) return SetEvent((HANDLE)(uintptr_t)_strtoui64(argv[2], NULL, 10)) ? 5 : 6;
    if (!strcmp(argv[1], "class")) return GetPriorityClass(GetCurrentProcess());
    if (!strcmp(argv[1], "catch")) {
        /* catch READY GO ENABLE: 7 and 9 tell that Ctrl-C and Ctrl-Break came, 8 that none did. */
        HANDLE go = (HANDLE)(uintptr_t)_strtoui64(argv[3], NULL, 10);
        caught = CreateEventA(NULL, TRUE, FALSE, NULL);
        SetConsoleCtrlHandler(on_event, TRUE);
        if (argv[4][0] == '1') SetConsoleCtrlHandler(NULL, FALSE);
        SetEvent((HANDLE)(uintptr_t)_strtoui64(argv[2], NULL, 10));
        { HANDLE both[2] = {caught, go}; return WaitForMultipleObjects(2, both, FALSE, 20000) == WAIT_OBJECT_0 ? (event_seen == CTRL_C_EVENT ? 7 : 9) : 8; }
    }
    if (!strcmp(argv[1], "sleep")) { Sleep(60000); return 0; }
    if (!strcmp(argv[1], "exit")) ExitProcess((UINT)strtoul(argv[2], NULL, 0));
    return 99;
}

/* Runs one child; its output goes to out. Answers its exit code, or 0xdead if it did not start. */
static DWORD run(const char *args, const char *input, char *out, char *env, const char *dir)
{
    SECURITY_ATTRIBUTES sa = {sizeof sa, NULL, TRUE};
    HANDLE ir, iw, or, ow;
    STARTUPINFOA si;
    PROCESS_INFORMATION pi;
    char line[1024];
    DWORD n, code = 0xdead, len = 0;
    CreatePipe(&ir, &iw, &sa, 0);
    CreatePipe(&or, &ow, &sa, 0);
    SetHandleInformation(iw, HANDLE_FLAG_INHERIT, 0);
    SetHandleInformation(or, HANDLE_FLAG_INHERIT, 0);
    memset(&si, 0, sizeof si);
    si.cb = sizeof si;
    si.dwFlags = STARTF_USESTDHANDLES;
    si.hStdInput = ir;
    si.hStdOutput = ow;
    si.hStdError = GetStdHandle(STD_ERROR_HANDLE);
    sprintf(line, "\"%s\" %s", self, args);
    if (CreateProcessA(NULL, line, NULL, NULL, TRUE, 0, env, dir, &si, &pi)) {
        CloseHandle(ir);
        CloseHandle(ow);
        if (input) WriteFile(iw, input, (DWORD)strlen(input), &n, NULL);
        CloseHandle(iw);
        while (out && ReadFile(or, out + len, 500 - len, &n, NULL) && n) len += n;
        if (out) out[len] = 0;
        WaitForSingleObject(pi.hProcess, INFINITE);
        GetExitCodeProcess(pi.hProcess, &code);
        CloseHandle(pi.hProcess);
        CloseHandle(pi.hThread);
    } else {
        CloseHandle(ir);
        CloseHandle(iw);
        CloseHandle(ow);
    }
    CloseHandle(or);
    return code;
}

/* A child that waits for a control event, and is ready for it. */
static PROCESS_INFORMATION catcher(DWORD flags, HANDLE ready, HANDLE go, BOOL enable)
{
    STARTUPINFOA si;
    PROCESS_INFORMATION pi;
    char line[600];
    memset(&si, 0, sizeof si);
    memset(&pi, 0, sizeof pi);
    si.cb = sizeof si;
    ResetEvent(ready);
    sprintf(line, "\"%s\" catch %I64u %I64u %d", self, (unsigned long long)(uintptr_t)ready, (unsigned long long)(uintptr_t)go, enable);
    if (CreateProcessA(self, line, NULL, NULL, TRUE, flags, NULL, NULL, &si, &pi)) WaitForSingleObject(ready, 20000);
    return pi;
}

static DWORD end_of(PROCESS_INFORMATION *pi)
{
    DWORD code = 0xdead;
    WaitForSingleObject(pi->hProcess, 20000);
    GetExitCodeProcess(pi->hProcess, &code);
    CloseHandle(pi->hProcess);
    CloseHandle(pi->hThread);
    return code;
}

/* Control events: who gets Ctrl-C, who ignores it, who gets Ctrl-Break. */
static void control_events(void)
{
    SECURITY_ATTRIBUTES sa = {sizeof sa, NULL, TRUE};
    HANDLE ready = CreateEventA(&sa, TRUE, FALSE, NULL), go = CreateEventA(&sa, TRUE, FALSE, NULL);
    PROCESS_INFORMATION same = catcher(0, ready, go, FALSE), group = catcher(CREATE_NEW_PROCESS_GROUP, ready, go, FALSE),
                        enabled = catcher(CREATE_NEW_PROCESS_GROUP, ready, go, TRUE);
    caught = CreateEventA(NULL, TRUE, FALSE, NULL);
    SetConsoleCtrlHandler(on_event, TRUE);
    CHECK("Ctrl-C to a group succeeds", GenerateConsoleCtrlEvent(CTRL_C_EVENT, group.dwProcessId));
    CHECK_INT("and reaches nobody", WaitForSingleObject(group.hProcess, 50), WAIT_TIMEOUT);
    CHECK("Ctrl-C to all", GenerateConsoleCtrlEvent(CTRL_C_EVENT, 0));
    CHECK_INT("also here", WaitForSingleObject(caught, 20000), WAIT_OBJECT_0);
    CHECK_INT("in the same group", end_of(&same), 7);
    CHECK_INT("in a new group that wants it", end_of(&enabled), 7);
    CHECK_INT("not in a new group", WaitForSingleObject(group.hProcess, 50), WAIT_TIMEOUT);
    CHECK("Ctrl-Break to it", GenerateConsoleCtrlEvent(CTRL_BREAK_EVENT, group.dwProcessId));
    CHECK_INT("arrives", end_of(&group), 9);
    CHECK("Ctrl-C ignored here", SetConsoleCtrlHandler(NULL, TRUE));
    same = catcher(0, ready, go, FALSE);
    ResetEvent(caught);
    CHECK("to all", GenerateConsoleCtrlEvent(CTRL_C_EVENT, 0));
    CHECK_INT("inherited by children", WaitForSingleObject(same.hProcess, 50), WAIT_TIMEOUT);
    CHECK_INT("and ignored", WaitForSingleObject(caught, 0), WAIT_TIMEOUT);
    SetEvent(go);
    CHECK_INT("it ends", end_of(&same), 8);
    SetConsoleCtrlHandler(NULL, FALSE);
    SetConsoleCtrlHandler(on_event, FALSE);
}

static void priorities(void)
{
    STARTUPINFOA si;
    PROCESS_INFORMATION pi;
    char line[600];
    memset(&si, 0, sizeof si);
    si.cb = sizeof si;
    sprintf(line, "\"%s\" class", self);
    CHECK("child of a class", CreateProcessA(self, line, NULL, NULL, FALSE, BELOW_NORMAL_PRIORITY_CLASS, NULL, NULL, &si, &pi));
    CHECK_HEX("which it has", end_of(&pi), BELOW_NORMAL_PRIORITY_CLASS);
    CHECK("thread priority", SetThreadPriority(GetCurrentThread(), THREAD_PRIORITY_LOWEST));
    CHECK_INT("as set", GetThreadPriority(GetCurrentThread()), THREAD_PRIORITY_LOWEST);
    CHECK_ERR("no such priority", SetThreadPriority(GetCurrentThread(), 9), ERROR_INVALID_PARAMETER);
    CHECK("priority class", SetPriorityClass(GetCurrentProcess(), IDLE_PRIORITY_CLASS));
    CHECK_HEX("as set", GetPriorityClass(GetCurrentProcess()), IDLE_PRIORITY_CLASS);
    CHECK_INT("the thread's own remains", GetThreadPriority(GetCurrentThread()), THREAD_PRIORITY_LOWEST);
    CHECK_ERR("no such class", SetPriorityClass(GetCurrentProcess(), 12345), ERROR_INVALID_PARAMETER);
}

int main(int argc, char **argv)
{
    char out[512], line[600];
    static char env[] = "SAMPLE_CHILD=from parent\0";
    STARTUPINFOA si;
    PROCESS_INFORMATION pi;
    SECURITY_ATTRIBUTES sa = {sizeof sa, NULL, TRUE};
    HANDLE event;
    DWORD code = 0;
    if (argc > 1) return child(argc, argv);
    GetModuleFileNameA(NULL, self, sizeof self);
    memset(&si, 0, sizeof si);
    si.cb = sizeof si;
    CHECK_INT("arguments", run("args plain \"two words\" \"\" a\\\"b \"c\\\\\" d\\", NULL, out, NULL, NULL), 8);
    CHECK_STR("as quoted", out, "[plain][two words][][a\"b][c\\][d\\]");
    CHECK_INT("environment", run("env", NULL, out, env, NULL), 0);
    CHECK_STR("as given", out, "from parent");
    SetEnvironmentVariableA("SAMPLE_CHILD", "inherited");
    CHECK_INT("inherited environment", run("env", NULL, out, NULL, NULL), 0);
    CHECK_STR("as set", out, "inherited");
    CreateDirectoryA("pdir", NULL);
    CHECK_INT("folder", run("cwd", NULL, out, NULL, "pdir"), 0);
    CHECK_STR("its name", out, "pdir");
    RemoveDirectoryA("pdir");
    CHECK_INT("through pipes", run("echo", "banana", out, NULL, NULL), 0);
    CHECK_STR("both ways", out, "bbnbnb");
    CHECK_HEX("32-bit exit code", run("exit 0xC0000005", NULL, NULL, NULL, NULL), 0xC0000005);
    event = CreateEventA(&sa, TRUE, FALSE, NULL);
    sprintf(line, "set %I64u", (unsigned long long)(uintptr_t)event);
    CHECK_INT("inherited handle", run(line, NULL, NULL, NULL, NULL), 5);
    CHECK_INT("set by the child", WaitForSingleObject(event, 0), WAIT_OBJECT_0);
    sprintf(line, "\"%s\" sleep", self);
    CHECK("start", CreateProcessA(self, line, NULL, NULL, FALSE, CREATE_SUSPENDED, NULL, NULL, &si, &pi));
    CHECK_INT("suspended", WaitForSingleObject(pi.hProcess, 20), WAIT_TIMEOUT);
    CHECK("STILL_ACTIVE", GetExitCodeProcess(pi.hProcess, &code) && code == STILL_ACTIVE);
    ResumeThread(pi.hThread);
    CHECK("GetProcessId", GetProcessId(pi.hProcess) == pi.dwProcessId);
    CHECK("terminate", TerminateProcess(pi.hProcess, 44));
    CHECK_INT("ends", WaitForSingleObject(pi.hProcess, 10000), WAIT_OBJECT_0);
    CHECK("its code", GetExitCodeProcess(pi.hProcess, &code) && code == 44);
    CloseHandle(pi.hProcess);
    CloseHandle(pi.hThread);
    CHECK_ERR("no such program", CreateProcessA("no-such.exe", NULL, NULL, NULL, FALSE, 0, NULL, NULL, &si, &pi), ERROR_FILE_NOT_FOUND);
    CHECK_ERR("no such folder", CreateProcessA(self, NULL, NULL, NULL, FALSE, 0, NULL, "nodir", &si, &pi), ERROR_DIRECTORY);
    CHECK_INT("_spawnl", _spawnl(_P_WAIT, self, "p", "exit", "12", NULL), 12);
    CHECK("_popen", ({ FILE *p; sprintf(line, "\"\"%s\" args x\"", self); p = _popen(line, "r"); p && fgets(out, sizeof out, p) && !strcmp(out, "[x]") && _pclose(p) == 3; }));
    control_events();
    priorities();
    return check_done();
}
