/* Pipes: anonymous, with their ends and errors; standard handles; named pipes in byte and message mode. */
#include "check.h"
#include <fcntl.h>
#include <io.h>
#include <stdio.h>
#include <string.h>

static DWORD WINAPI writer(void *h)
{
    DWORD n, total = 0;
    char block[4096];
    int i;
    memset(block, 'p', sizeof block);
    for (i = 0; i < 64; i++)
        if (WriteFile(h, block, sizeof block, &n, NULL)) total += n;
    CloseHandle(h);
    return total;
}
/* What the client finds; its handle is closed in any case, so that the server does not wait for it. */
static DWORD talk(HANDLE h)
{
    DWORD n = 0, mode = PIPE_READMODE_MESSAGE;
    char b[64];
    if (!SetNamedPipeHandleState(h, &mode, NULL, NULL)) return 2;
    if (!WriteFile(h, "question", 8, &n, NULL) || n != 8) return 3;
    if (!ReadFile(h, b, sizeof b, &n, NULL) || n != 6) return 4;
    if (ReadFile(h, b, 3, &n, NULL) || GetLastError() != ERROR_MORE_DATA) return 5;
    if (!ReadFile(h, b, sizeof b, &n, NULL) || n != 3) return 6;
    return 100;
}
static DWORD WINAPI client(void *p)
{
    DWORD answer;
    HANDLE h = CreateFileA(p, GENERIC_READ | GENERIC_WRITE, 0, NULL, OPEN_EXISTING, 0, NULL);
    if (h == INVALID_HANDLE_VALUE) return 1;
    answer = talk(h);
    CloseHandle(h);
    return answer;
}
static DWORD joined(HANDLE t)
{
    DWORD c = 0;
    WaitForSingleObject(t, INFINITE);
    GetExitCodeThread(t, &c);
    CloseHandle(t);
    return c;
}

int main(void)
{
    HANDLE r, w, t;
    DWORD n = 0, avail = 0, total = 0;
    char b[5000];
    int fd[2];
    const char *name = check_unique("\\\\.\\pipe\\transom-sample-pipe");
    CHECK("CreatePipe", CreatePipe(&r, &w, NULL, 0));
    CHECK("write", WriteFile(w, "hello", 5, &n, NULL) && n == 5);
    CHECK("peek", PeekNamedPipe(r, b, 2, &n, &avail, NULL) && n == 2 && avail == 5);
    CHECK("read what there is", ReadFile(r, b, sizeof b, &n, NULL) && n == 5 && !memcmp(b, "hello", 5));
    CHECK_INT("type", GetFileType(r), FILE_TYPE_PIPE);
    CHECK_ERR("wrong end, reading", ReadFile(w, b, 1, &n, NULL), ERROR_ACCESS_DENIED);
    CHECK_ERR("wrong end, writing", WriteFile(r, b, 1, &n, NULL), ERROR_ACCESS_DENIED);
    t = CreateThread(NULL, 0, writer, w, 0, NULL);
    while (ReadFile(r, b, sizeof b, &n, NULL)) total += n;
    CHECK_INT("the writer's end closes", GetLastError(), ERROR_BROKEN_PIPE);
    CHECK_INT("all of it came", total, 64 * 4096);
    CHECK_INT("all of it went", joined(t), 64 * 4096);
    CloseHandle(r);
    CreatePipe(&r, &w, NULL, 0);
    CloseHandle(r);
    CHECK_ERR("nobody reads", WriteFile(w, "x", 1, &n, NULL), ERROR_NO_DATA);
    CloseHandle(w);
    CHECK_INT("_pipe", _pipe(fd, 1000, _O_BINARY), 0);
    CHECK_INT("_write", _write(fd[1], "abc", 3), 3);
    CHECK_INT("_read", _read(fd[0], b, 10), 3);
    _close(fd[1]);
    CHECK_INT("_read at the end", _read(fd[0], b, 10), 0);
    _close(fd[0]);
    r = CreateNamedPipeA(name, PIPE_ACCESS_DUPLEX | FILE_FLAG_FIRST_PIPE_INSTANCE, PIPE_TYPE_MESSAGE | PIPE_READMODE_MESSAGE, 2, 4096, 4096, 0, NULL);
    CHECK("CreateNamedPipe", r != INVALID_HANDLE_VALUE);
    CHECK_ERR("no such pipe", CreateFileA("\\\\.\\pipe\\transom-none", GENERIC_READ, 0, NULL, OPEN_EXISTING, 0, NULL) != INVALID_HANDLE_VALUE, ERROR_FILE_NOT_FOUND);
    t = CreateThread(NULL, 0, client, (void *)(uintptr_t)name, 0, NULL);
    CHECK("ConnectNamedPipe", ConnectNamedPipe(r, NULL) || GetLastError() == ERROR_PIPE_CONNECTED);
    CHECK("the question", ReadFile(r, b, sizeof b, &n, NULL) && n == 8);
    CHECK("answers", WriteFile(r, "answer", 6, &n, NULL) && WriteFile(r, "second", 6, &n, NULL));
    CHECK_INT("the client got two messages", joined(t), 100);
    CHECK_ERR("the client is gone", ReadFile(r, b, 1, &n, NULL), ERROR_BROKEN_PIPE);
    CHECK("DisconnectNamedPipe", DisconnectNamedPipe(r));
    CloseHandle(r);
    return check_done();
}
