/* Processes: the program starts itself with quoted arguments, a changed environment, a folder, pipes for standard handles and
 * inherited handles; waits, exit codes, termination, errors. The first argument tells a child what to do. */
#include "check.h"
#include <process.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static char self[MAX_PATH];

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
    return check_done();
}
