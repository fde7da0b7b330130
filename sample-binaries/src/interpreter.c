/* The command interpreter as programs use it: its file, COMSPEC, system and _popen, batch files given to CreateProcess, what
 * a child of the interpreter inherits. The first argument tells a child what to do. */
#include "check.h"
#include <process.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static char self[MAX_PATH];

static void write_file(const char *name, const char *text)
{
    FILE *file = fopen(name, "wb");
    fputs(text, file);
    fclose(file);
}

static const char *read_file(const char *name)
{
    static char text[1024];
    FILE *file = fopen(name, "rb");
    size_t n = file ? fread(text, 1, sizeof text - 1, file) : 0;
    text[n] = 0;
    if (file) fclose(file);
    return text;
}

/* Runs a command line and waits: the exit code, or -1. */
static long long run(const char *name, const char *line)
{
    char copy[1024];
    DWORD code = 0;
    STARTUPINFOA si;
    PROCESS_INFORMATION pi;
    memset(&si, 0, sizeof si);
    si.cb = sizeof si;
    strcpy(copy, line);
    if (!CreateProcessA(name, copy, NULL, NULL, FALSE, 0, NULL, NULL, &si, &pi)) return -1;
    WaitForSingleObject(pi.hProcess, INFINITE);
    GetExitCodeProcess(pi.hProcess, &code);
    CloseHandle(pi.hProcess);
    CloseHandle(pi.hThread);
    return code;
}

/* The first line that a command writes. */
static const char *first_line(const char *command)
{
    static char line[256];
    FILE *pipe = _popen(command, "r");
    if (!pipe) return "no pipe";
    line[0] = 0;
    if (fgets(line, sizeof line, pipe)) line[strcspn(line, "\r\n")] = 0;
    _pclose(pipe);
    return line;
}

static void files(void)
{
    char path[MAX_PATH];
    const char *comspec = getenv("COMSPEC");
    CHECK("COMSPEC", comspec && GetFileAttributesA(comspec) != INVALID_FILE_ATTRIBUTES);
    CHECK("found along PATH", SearchPathW(NULL, L"cmd", L".exe", MAX_PATH, (WCHAR *)path, NULL) > 0);
    CHECK_INT("system(NULL)", system(NULL) != 0, 1);
}

static void commands(void)
{
    char line[512];
    CHECK_INT("system's code", system("exit 7"), 7);
    CHECK_INT("operators", system("cd nowhere 2>nul && exit 1 || exit 2"), 2);
    CHECK_INT("redirection", system("(echo a&echo b)>out.txt"), 0);
    CHECK_STR("what was written", read_file("out.txt"), "a\r\nb\r\n");
    CHECK_INT("quoted command", system("\"cmd.exe\" /c exit 5"), 5);
    CHECK_INT("unknown", system("no-such-program 2>nul"), 1);
    CHECK_INT("_spawnlp", _spawnlp(_P_WAIT, "cmd", "cmd", "/c", "exit", "9", NULL), 9);
    CHECK_STR("_popen", first_line("echo one& echo two"), "one");
    CHECK_STR("piped", first_line("(echo b& echo a) | find \"a\""), "a");
    SetEnvironmentVariableA("SAMPLE_SHELL", "a value");
    CHECK_STR("environment", first_line("echo %sample_shell:~2%"), "value");
    sprintf(line, "\"\"%s\" code 3221225477\"", self);
    CHECK_HEX("32-bit exit code", (unsigned)system(line), 0xC0000005u);
    sprintf(line, "echo text | \"%s\" copy", self);
    CHECK_STR("a guest's standard input", first_line(line), "<text >");
    sprintf(line, "set SAMPLE_SHELL=inner& \"%s\" variable", self);
    CHECK_STR("a guest's environment", first_line(line), "inner");
}

static void batch_files(void)
{
    write_file("sample test.bat", "@echo off\r\necho [%0] [%1] [%~2] [%~nx0]>out.txt\r\nexit /b 12\r\n");
    CHECK_INT("batch file", run(NULL, "\"sample test.bat\" one \"two three\""), 12);
    CHECK_STR("its arguments", read_file("out.txt"), "[\"sample test.bat\"] [one] [two three] [sample test.bat]\r\n");
    CHECK_INT("by its name", run("sample test.bat", "\"sample test.bat\" x"), 12);
    CHECK_INT("from system", system("\"sample test.bat\" x"), 12);
    write_file("sample.cmd", "@if \"%1\"==\"\" exit /b 3\r\n@shift /1\r\n@call %~nx0 %1 %2\r\n");
    CHECK_INT("_spawnl", _spawnl(_P_WAIT, "sample.cmd", "sample.cmd", "a", "b", NULL), 3);
    DeleteFileA("sample test.bat");
    DeleteFileA("sample.cmd");
    DeleteFileA("out.txt");
}

int main(int argc, char **argv)
{
    char text[256] = "";
    if (argc > 2 && !strcmp(argv[1], "code")) ExitProcess(strtoul(argv[2], NULL, 10));
    if (argc > 1 && !strcmp(argv[1], "copy")) {
        if (fgets(text, sizeof text, stdin)) text[strcspn(text, "\r\n")] = 0;
        printf("<%s>\n", text);
        return 0;
    }
    if (argc > 1) {
        GetEnvironmentVariableA("SAMPLE_SHELL", text, sizeof text);
        puts(text);
        return 0;
    }
    GetModuleFileNameA(NULL, self, sizeof self);
    files();
    commands();
    batch_files();
    return check_done();
}
