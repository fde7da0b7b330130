/* Message-mode named pipes: messages stay apart, long ones are read in parts, peeking, transactions, states, several instances,
 * overlapped connection, and a client in another process. */
#include "check.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char *name;
static char b[100000];

static HANDLE connect_to(DWORD mode)
{
    HANDLE h = CreateFileA(name, GENERIC_READ | GENERIC_WRITE, 0, NULL, OPEN_EXISTING, 0, NULL);
    if (h != INVALID_HANDLE_VALUE && mode) SetNamedPipeHandleState(h, &mode, NULL, NULL);
    return h;
}
static int sent(HANDLE h, const char *text)
{
    DWORD n = 77;
    return WriteFile(h, text, (DWORD)strlen(text), &n, NULL) && n == strlen(text);
}
static int got(HANDLE h, const char *text)
{
    DWORD n = 77;
    return ReadFile(h, b, sizeof b, &n, NULL) && n == strlen(text) && !memcmp(b, text, n);
}
/* Answers each message with the message in capitals, until "end". */
static DWORD WINAPI serves(void *pipe)
{
    char text[64];
    DWORD n, i, served = 0;
    if (!ConnectNamedPipe(pipe, NULL) && GetLastError() != ERROR_PIPE_CONNECTED) return 1000;
    while (ReadFile(pipe, text, sizeof text, &n, NULL)) {
        if (n == 3 && !memcmp(text, "end", 3)) break;
        for (i = 0; i < n; i++) if (text[i] >= 'a' && text[i] <= 'z') text[i] -= 32;
        WriteFile(pipe, text, n, &n, NULL);
        served++;
    }
    FlushFileBuffers(pipe);
    DisconnectNamedPipe(pipe);
    return served;
}
static HANDLE instance(DWORD open, DWORD mode)
{
    return CreateNamedPipeA(name, PIPE_ACCESS_DUPLEX | open, mode, 3, 65536, 65536, 0, NULL);
}
static DWORD joined(HANDLE t)
{
    DWORD code = 9999;
    WaitForSingleObject(t, 60000);
    GetExitCodeThread(t, &code);
    CloseHandle(t);
    return code;
}

static void reading(HANDLE s, HANDLE c)
{
    DWORD n, available, left, mode = PIPE_READMODE_BYTE, i;
    sent(s, "one");
    sent(s, "second");
    CHECK("peek: the first message, all bytes", PeekNamedPipe(c, b, 2, &n, &available, &left) && n == 2 && available == 9 && left == 1);
    CHECK("a message", got(c, "one"));
    CHECK("the next", got(c, "second"));
    sent(s, "a long message");
    n = 0;
    CHECK_ERR("part of a message", ReadFile(c, b, 6, &n, NULL), ERROR_MORE_DATA);
    CHECK("its length and bytes", n == 6 && !memcmp(b, "a long", 6));
    CHECK("peek: what is left of it", PeekNamedPipe(c, b, 3, &n, &available, &left) && n == 3 && available == 8 && left == 5 && !memcmp(b, " me", 3));
    CHECK("the rest", got(c, " message"));
    CHECK("an empty message goes", WriteFile(s, "", 0, &n, NULL));
    n = 7;
    CHECK("and comes", ReadFile(c, b, 10, &n, NULL) && n == 0);
    for (i = 0; i < sizeof b; i++) b[i] = (char)(i * 7);
    CHECK("a large message", WriteFile(s, b, 60000, &n, NULL) && n == 60000);
    memset(b, 0, sizeof b);
    CHECK("is read whole", ReadFile(c, b, sizeof b, &n, NULL) && n == 60000 && b[59999] == (char)(59999 * 7));
    SetNamedPipeHandleState(c, &mode, NULL, NULL);
    sent(s, "bytes");
    CHECK("a read of bytes takes a part", ReadFile(c, b, 2, &n, NULL) && n == 2);
    CHECK("and what follows", ReadFile(c, b, 10, &n, NULL) && n == 3);
    mode = PIPE_READMODE_MESSAGE;
    SetNamedPipeHandleState(c, &mode, NULL, NULL);
}
static void states(HANDLE s, HANDLE c)
{
    DWORD flags = 0, most = 0, state = 77, n, mode = PIPE_READMODE_MESSAGE | PIPE_NOWAIT;
    CHECK("GetNamedPipeInfo", GetNamedPipeInfo(s, &flags, NULL, NULL, &most) && flags == (PIPE_SERVER_END | PIPE_TYPE_MESSAGE) && most == 3);
    CHECK("of the client", GetNamedPipeInfo(c, &flags, NULL, NULL, NULL) && flags == (PIPE_CLIENT_END | PIPE_TYPE_MESSAGE));
    CHECK("GetNamedPipeHandleState", GetNamedPipeHandleStateA(c, &state, NULL, NULL, NULL, NULL, 0) && state == (PIPE_WAIT | PIPE_READMODE_MESSAGE));
    SetNamedPipeHandleState(c, &mode, NULL, NULL);
    CHECK_ERR("nothing there, without waiting", ReadFile(c, b, 10, &n, NULL), ERROR_NO_DATA);
    mode = PIPE_READMODE_MESSAGE;
    SetNamedPipeHandleState(c, &mode, NULL, NULL);
}
static void transactions(void)
{
    HANDLE s = instance(0, PIPE_TYPE_MESSAGE | PIPE_READMODE_MESSAGE), t = CreateThread(NULL, 0, serves, s, 0, NULL), c;
    DWORD n = 0;
    CHECK("CallNamedPipe", CallNamedPipeA(name, "call", 4, b, sizeof b, &n, NMPWAIT_WAIT_FOREVER) && n == 4 && !memcmp(b, "CALL", 4));
    CHECK_INT("served", joined(t), 1);
    t = CreateThread(NULL, 0, serves, s, 0, NULL);
    while ((c = connect_to(PIPE_READMODE_MESSAGE)) == INVALID_HANDLE_VALUE) Sleep(1);
    CHECK("TransactNamedPipe", TransactNamedPipe(c, "hello", 5, b, sizeof b, &n, NULL) && n == 5 && !memcmp(b, "HELLO", 5));
    CHECK_ERR("an answer that is too long", TransactNamedPipe(c, "hello", 5, b, 2, &n, NULL), ERROR_MORE_DATA);
    CHECK("what came of it", n == 2 && got(c, "LLO"));
    sent(c, "end");
    CHECK_INT("served again", joined(t), 2);
    CHECK("the server has gone", !ReadFile(c, b, 10, &n, NULL));
    CloseHandle(c);
    CloseHandle(s);
}
static void overlapped(void)
{
    HANDLE s = instance(FILE_FLAG_OVERLAPPED, PIPE_TYPE_MESSAGE | PIPE_READMODE_MESSAGE), c;
    OVERLAPPED o = {0};
    DWORD n = 0;
    o.hEvent = CreateEvent(NULL, TRUE, FALSE, NULL);
    CHECK_ERR("a connection that pends", ConnectNamedPipe(s, &o), ERROR_IO_PENDING);
    c = connect_to(0);
    CHECK("a client comes", WaitForSingleObject(o.hEvent, 60000) == WAIT_OBJECT_0 && GetOverlappedResult(s, &o, &n, FALSE));
    CHECK_ERR("a read that pends", ReadFile(s, b, 4, NULL, &o), ERROR_IO_PENDING);
    sent(c, "overlapped");
    CHECK_ERR("part of a message", GetOverlappedResult(s, &o, &n, TRUE), ERROR_MORE_DATA);
    CHECK("its length", n == 4 && !memcmp(b, "over", 4));
    CHECK("the rest", ReadFile(s, b, sizeof b, NULL, &o) && GetOverlappedResult(s, &o, &n, TRUE) && n == 6 && !memcmp(b, "lapped", 6));
    CloseHandle(c);
    CloseHandle(s);
    CloseHandle(o.hEvent);
}
static void instances(void)
{
    HANDLE s[4], c[3], byte_pipe;
    int i, good = 0;
    for (i = 0; i < 3; i++) s[i] = instance(0, PIPE_TYPE_MESSAGE | PIPE_READMODE_MESSAGE);
    CHECK("three instances", s[2] != INVALID_HANDLE_VALUE);
    CHECK_ERR("no fourth", (s[3] = instance(0, PIPE_TYPE_MESSAGE | PIPE_READMODE_MESSAGE)) != INVALID_HANDLE_VALUE, ERROR_PIPE_BUSY);
    for (i = 0; i < 3; i++) c[i] = connect_to(PIPE_READMODE_MESSAGE);
    CHECK_ERR("all are busy", connect_to(0) != INVALID_HANDLE_VALUE, ERROR_PIPE_BUSY);
    for (i = 0; i < 3; i++) {
        char text[2] = {(char)('a' + i), 0};
        sent(s[i], text);
    }
    for (i = 0; i < 3; i++) {
        char text[2] = {(char)('a' + i), 0};
        good += got(c[i], text);
    }
    CHECK_INT("each has a client of its own", good, 3);
    for (i = 0; i < 3; i++) {
        CloseHandle(c[i]);
        CloseHandle(s[i]);
    }
    CHECK_ERR("messages are for message pipes", (byte_pipe = instance(0, PIPE_TYPE_BYTE | PIPE_READMODE_MESSAGE)) != INVALID_HANDLE_VALUE, ERROR_INVALID_PARAMETER);
}
static int child(void)
{
    DWORD n, mode = PIPE_READMODE_MESSAGE;
    HANDLE c;
    char text[16];
    if (!WaitNamedPipeA(name, 20000)) return 3;
    c = connect_to(0);
    if (c == INVALID_HANDLE_VALUE) return 1;
    if (!SetNamedPipeHandleState(c, &mode, NULL, NULL)) return 2;
    if (!TransactNamedPipe(c, "from the child", 14, text, 4, &n, NULL) && GetLastError() != ERROR_MORE_DATA) return 4;
    if (memcmp(text, "FROM", 4)) return 5;
    if (!ReadFile(c, text, sizeof text, &n, NULL) || n != 10) return 6;
    sent(c, "end");
    return 42;
}
static void another_process(void)
{
    HANDLE s = instance(0, PIPE_TYPE_MESSAGE | PIPE_READMODE_MESSAGE), t = CreateThread(NULL, 0, serves, s, 0, NULL);
    STARTUPINFOA si = {.cb = sizeof si};
    PROCESS_INFORMATION pi;
    char self[MAX_PATH], command[2 * MAX_PATH];
    DWORD code = 0;
    GetModuleFileNameA(NULL, self, sizeof self);
    sprintf(command, "\"%s\" %s", self, name);
    CHECK("a child", CreateProcessA(NULL, command, NULL, NULL, FALSE, 0, NULL, NULL, &si, &pi));
    WaitForSingleObject(pi.hProcess, 60000);
    GetExitCodeProcess(pi.hProcess, &code);
    CHECK_INT("messages between processes", code, 42);
    CHECK_INT("served for the child", joined(t), 1);
    CloseHandle(pi.hProcess);
    CloseHandle(pi.hThread);
    CloseHandle(s);
}

int main(int argc, char **argv)
{
    HANDLE s, c;
    DWORD n;
    if (argc > 1) {
        name = argv[1];
        return child();
    }
    name = check_unique("\\\\.\\pipe\\transom-messages");
    s = instance(FILE_FLAG_FIRST_PIPE_INSTANCE, PIPE_TYPE_MESSAGE | PIPE_READMODE_MESSAGE);
    CHECK("CreateNamedPipe", s != INVALID_HANDLE_VALUE);
    c = connect_to(PIPE_READMODE_MESSAGE);
    CHECK_ERR("connected already", ConnectNamedPipe(s, NULL), ERROR_PIPE_CONNECTED);
    reading(s, c);
    states(s, c);
    sent(c, "last words");
    CloseHandle(c);
    CHECK("what was sent before the end", got(s, "last words"));
    CHECK_ERR("the end", ReadFile(s, b, 1, &n, NULL), ERROR_BROKEN_PIPE);
    CloseHandle(s);
    transactions();
    overlapped();
    instances();
    another_process();
    return check_done();
}
