/* What the tests of tracing look at: calls whose arguments, results, errors, threads and handles are known.
 *   traced                a file written and read, one that is missing, a thread woken by an event, a handle never closed
 *   traced child          the same work done by a child process
 *   traced loop N         N calls that cost next to nothing: what tracing itself costs
 *   traced forever        such calls until it is killed
 *   traced crash          a write through a null pointer, while another thread waits */
#define WIN32_LEAN_AND_MEAN
#include <windows.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static HANDLE go;

static DWORD WINAPI worker(LPVOID argument)
{
    (void)argument;
    return WaitForSingleObject(go, INFINITE);
}

static void files(void)
{
    char text[16] = "";
    DWORD done = 0;
    HANDLE file = CreateFileW(L"traced.txt", GENERIC_READ | GENERIC_WRITE, FILE_SHARE_READ, NULL, CREATE_ALWAYS,
                              FILE_ATTRIBUTE_NORMAL, NULL);
    WriteFile(file, "tab\there", 8, &done, NULL);
    SetFilePointer(file, 0, NULL, FILE_BEGIN);
    ReadFile(file, text, sizeof text, &done, NULL);
    CloseHandle(file);
    printf("read %lu\n", (unsigned long)done);
    DeleteFileW(L"traced.txt");
    file = CreateFileW(L"no such file", GENERIC_READ, 0, NULL, OPEN_EXISTING, 0, NULL);
    printf("missing %lu\n", (unsigned long)GetLastError());
}

static void threads(void)
{
    DWORD result = 1;
    HANDLE thread;
    go = CreateEventW(NULL, TRUE, FALSE, NULL);
    thread = CreateThread(NULL, 0, worker, NULL, 0, NULL);
    Sleep(20);
    SetEvent(go);
    WaitForSingleObject(thread, INFINITE);
    GetExitCodeThread(thread, &result);
    CloseHandle(thread);
    printf("waited %lu\n", (unsigned long)result);
}

static int child(const char *self)
{
    STARTUPINFOA start;
    PROCESS_INFORMATION process;
    char line[MAX_PATH + 2];
    memset(&start, 0, sizeof start);
    start.cb = sizeof start;
    sprintf(line, "\"%s\"", self);
    if (!CreateProcessA(NULL, line, NULL, NULL, FALSE, 0, NULL, NULL, &start, &process)) return 1;
    WaitForSingleObject(process.hProcess, INFINITE);
    return 0;
}

int main(int argc, char **argv)
{
    unsigned long n = argc > 2 ? strtoul(argv[2], NULL, 10) : 0, i;
    volatile int *nowhere = NULL;
    const char *what = argc > 1 ? argv[1] : "";
    if (!strcmp(what, "child")) return child(argv[0]);
    if (!strcmp(what, "crash")) {
        go = CreateEventW(NULL, TRUE, FALSE, NULL);
        CloseHandle(CreateThread(NULL, 0, worker, NULL, 0, NULL));
        Sleep(50); /* so that it waits already; the dump has it in any case */
        *nowhere = 1;
    }
    if (!strcmp(what, "loop") || !strcmp(what, "forever")) {
        HANDLE event = CreateEventW(NULL, TRUE, FALSE, NULL);
        for (i = 0; i < n || *what == 'f'; i++) {
            if (i % 4 == 0) SetEvent(event);
            else if (i % 4 == 1) GetFileAttributesW(i % 1024 == 1 ? L"no such file" : L"?");
            else if (i % 4 == 2) WaitForSingleObject(event, 0);
            else GetCurrentProcessId();
        }
        return 0;
    }
    files();
    threads();
    return 0;
}
