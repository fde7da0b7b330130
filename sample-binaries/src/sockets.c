/* Sockets: TCP and UDP on the loopback interface, blocking and not; select, WSAPoll, events; overlapped operations, completion
 * ports and routines, AcceptEx and ConnectEx; polling through the driver; Unix sockets; options; names; errors; network interfaces. */
#include <winsock2.h>
#include <ws2tcpip.h>
#include <mswsock.h>
#include <iphlpapi.h>
#include "check.h"
#include <string.h>

static SOCKET listener(struct sockaddr_in *at, int *len)
{
    SOCKET s = socket(AF_INET, SOCK_STREAM, 0);
    memset(at, 0, sizeof *at);
    at->sin_family = AF_INET;
    at->sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    *len = sizeof *at;
    if (bind(s, (struct sockaddr *)at, sizeof *at) || listen(s, 5) || getsockname(s, (struct sockaddr *)at, len)) return INVALID_SOCKET;
    return s;
}
static void pair(SOCKET *a, SOCKET *b)
{
    struct sockaddr_in at;
    int len;
    SOCKET l = listener(&at, &len);
    *a = socket(AF_INET, SOCK_STREAM, 0);
    connect(*a, (struct sockaddr *)&at, len);
    *b = accept(l, NULL, NULL);
    closesocket(l);
}
static int set_nonblocking(SOCKET s)
{
    u_long on = 1;
    return ioctlsocket(s, FIONBIO, &on);
}

static void starting(void)
{
    WSADATA data;
    CHECK_INT("no socket before WSAStartup", socket(AF_INET, SOCK_STREAM, 0), INVALID_SOCKET);
    CHECK_INT("WSANOTINITIALISED", WSAGetLastError(), WSANOTINITIALISED);
    CHECK_INT("WSAStartup", WSAStartup(MAKEWORD(2, 2), &data), 0);
    CHECK_HEX("version", data.wVersion, 0x202);
}

static void streams(void)
{
    struct sockaddr_in at, peer;
    int len, n;
    char b[32];
    u_long count = 0;
    SOCKET l = listener(&at, &len), a = socket(AF_INET, SOCK_STREAM, IPPROTO_TCP), s;
    CHECK("a listener with a port", l != INVALID_SOCKET && at.sin_port != 0);
    CHECK_INT("recv before connecting", recv(a, b, 1, 0), SOCKET_ERROR);
    CHECK_INT("WSAENOTCONN", WSAGetLastError(), WSAENOTCONN);
    CHECK_INT("connect", connect(a, (struct sockaddr *)&at, len), 0);
    CHECK_INT("connect again", connect(a, (struct sockaddr *)&at, len), SOCKET_ERROR);
    CHECK_INT("WSAEISCONN", WSAGetLastError(), WSAEISCONN);
    len = sizeof peer;
    s = accept(l, (struct sockaddr *)&peer, &len);
    CHECK("accept", s != INVALID_SOCKET);
    CHECK_INT("the peer's length", len, sizeof peer);
    CHECK_HEX("the peer's address", ntohl(peer.sin_addr.s_addr), INADDR_LOOPBACK);
    len = sizeof at;
    CHECK_INT("getpeername", getpeername(s, (struct sockaddr *)&at, &len), 0);
    CHECK_INT("getpeername and accept agree", at.sin_port, peer.sin_port);
    len = 4;
    CHECK_INT("getsockname without room", getsockname(s, (struct sockaddr *)&at, &len), SOCKET_ERROR);
    CHECK_INT("WSAEFAULT", WSAGetLastError(), WSAEFAULT);
    CHECK_INT("send", send(a, "hello world", 11, 0), 11);
    CHECK_INT("recv of a part", recv(s, b, 5, 0), 5);
    CHECK("its bytes", !memcmp(b, "hello", 5));
    CHECK_INT("FIONREAD", ioctlsocket(s, FIONREAD, &count), 0);
    CHECK_INT("bytes left", count, 6);
    CHECK_INT("peek", recv(s, b, 3, MSG_PEEK), 3);
    CHECK_INT("the rest", recv(s, b, sizeof b, 0), 6);
    n = 100;
    CHECK_INT("a limit for receiving", setsockopt(s, SOL_SOCKET, SO_RCVTIMEO, (char *)&n, sizeof n), 0);
    CHECK_INT("recv that times out", recv(s, b, 1, 0), SOCKET_ERROR);
    CHECK_INT("WSAETIMEDOUT", WSAGetLastError(), WSAETIMEDOUT);
    CHECK_INT("a bad buffer", send(a, (char *)16, 4, 0), SOCKET_ERROR);
    CHECK_INT("is WSAEFAULT", WSAGetLastError(), WSAEFAULT);
    CHECK_INT("shutdown", shutdown(a, SD_SEND), 0);
    CHECK_INT("send after shutdown", send(a, "x", 1, 0), SOCKET_ERROR);
    CHECK_INT("WSAESHUTDOWN", WSAGetLastError(), WSAESHUTDOWN);
    CHECK_INT("the end", recv(s, b, 1, 0), 0);
    CHECK_INT("the other way still works", send(s, "y", 1, 0), 1);
    CHECK_INT("and arrives", recv(a, b, 1, 0), 1);
    CHECK_INT("close", closesocket(a), 0);
    CHECK_INT("close again", closesocket(a), SOCKET_ERROR);
    CHECK_INT("WSAENOTSOCK", WSAGetLastError(), WSAENOTSOCK);
    closesocket(s);
    closesocket(l);
}

static void handles(void)
{
    SOCKET a, b;
    DWORD n = 0, flags = 0;
    char buf[8];
    HANDLE copy = NULL;
    pair(&a, &b);
    CHECK_INT("a socket is a pipe to GetFileType", GetFileType((HANDLE)a), FILE_TYPE_PIPE);
    CHECK("inheritable", GetHandleInformation((HANDLE)a, &flags) && (flags & HANDLE_FLAG_INHERIT));
    CHECK("DuplicateHandle", DuplicateHandle(GetCurrentProcess(), (HANDLE)a, GetCurrentProcess(), &copy, 0, FALSE, DUPLICATE_SAME_ACCESS));
    CHECK_INT("send through the copy", send((SOCKET)copy, "abc", 3, 0), 3);
    CHECK_INT("the original is closed", closesocket(a), 0);
    CHECK_INT("recv", recv(b, buf, 8, 0), 3);
    {
        OVERLAPPED o;
        memset(&o, 0, sizeof o);
        CHECK("WriteFile", WriteFile((HANDLE)b, "four", 4, &n, &o) || GetLastError() == ERROR_IO_PENDING);
        CHECK("its end", GetOverlappedResult((HANDLE)b, &o, &n, TRUE) && n == 4);
        memset(&o, 0, sizeof o);
        CHECK("ReadFile", ReadFile(copy, buf, 8, &n, &o) || GetLastError() == ERROR_IO_PENDING);
        CHECK("its bytes", GetOverlappedResult(copy, &o, &n, TRUE) && n == 4);
    }
    CHECK("CloseHandle closes a socket", CloseHandle(copy));
    CHECK_INT("the peer sees the end", recv(b, buf, 8, 0), 0);
    closesocket(b);
}

static void sharing(void)
{
    SOCKET a, b, c;
    WSAPROTOCOL_INFOW info;
    char buf[8];
    pair(&a, &b);
    CHECK_INT("WSADuplicateSocket", WSADuplicateSocketW(a, GetCurrentProcessId(), &info), 0);
    CHECK_INT("what it describes", info.iSocketType, SOCK_STREAM);
    closesocket(a);
    c = WSASocketW(FROM_PROTOCOL_INFO, FROM_PROTOCOL_INFO, FROM_PROTOCOL_INFO, &info, 0, WSA_FLAG_OVERLAPPED);
    CHECK("WSASocket of the description", c != INVALID_SOCKET);
    CHECK_INT("send through it", send(c, "dup", 3, 0), 3);
    CHECK_INT("recv", recv(b, buf, 8, 0), 3);
    closesocket(c);
    CHECK_INT("the end", recv(b, buf, 8, 0), 0);
    closesocket(b);
}

static void datagrams(void)
{
    struct sockaddr_in at, from;
    int len = sizeof at, size;
    char b[8];
    SOCKET a = socket(AF_INET, SOCK_DGRAM, 0), s = socket(AF_INET, SOCK_DGRAM, IPPROTO_UDP);
    CHECK_INT("recv without a name", recv(s, b, 8, 0), SOCKET_ERROR);
    CHECK_INT("WSAEINVAL", WSAGetLastError(), WSAEINVAL);
    CHECK_INT("getsockname without a name", getsockname(s, (struct sockaddr *)&at, &len), SOCKET_ERROR);
    CHECK_INT("WSAEINVAL again", WSAGetLastError(), WSAEINVAL);
    memset(&at, 0, sizeof at);
    at.sin_family = AF_INET;
    at.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    CHECK_INT("bind", bind(s, (struct sockaddr *)&at, sizeof at), 0);
    len = sizeof at;
    getsockname(s, (struct sockaddr *)&at, &len);
    CHECK_INT("send without a peer", send(a, "x", 1, 0), SOCKET_ERROR);
    CHECK_INT("WSAENOTCONN", WSAGetLastError(), WSAENOTCONN);
    CHECK_INT("sendto", sendto(a, "datagram", 8, 0, (struct sockaddr *)&at, len), 8);
    len = sizeof from;
    CHECK_INT("recvfrom", recvfrom(s, b, 8, 0, (struct sockaddr *)&from, &len), 8);
    CHECK_INT("sendto back", sendto(s, "longer than eight", 17, 0, (struct sockaddr *)&from, len), 17);
    CHECK_INT("a cut message", recv(a, b, 8, 0), SOCKET_ERROR);
    CHECK_INT("WSAEMSGSIZE", WSAGetLastError(), WSAEMSGSIZE);
    CHECK("its beginning", !memcmp(b, "longer t", 8));
    size = 0, len = sizeof size;
    CHECK_INT("SO_MAX_MSG_SIZE", getsockopt(a, SOL_SOCKET, SO_MAX_MSG_SIZE, (char *)&size, &len), 0);
    CHECK_INT("of UDP", size, 65507);
    closesocket(a);
    closesocket(s);
}

static void nonblocking(void)
{
    struct sockaddr_in at;
    int len, error = -1, size = sizeof error;
    char b[4];
    fd_set r, w, e;
    struct timeval short_time = {0, 20000}, long_time = {5, 0};
    WSAPOLLFD fd;
    SOCKET l = listener(&at, &len), a = socket(AF_INET, SOCK_STREAM, 0), s;
    set_nonblocking(l);
    set_nonblocking(a);
    CHECK_INT("nobody to accept", accept(l, NULL, NULL), INVALID_SOCKET);
    CHECK_INT("WSAEWOULDBLOCK", WSAGetLastError(), WSAEWOULDBLOCK);
    CHECK_INT("connect does not block", connect(a, (struct sockaddr *)&at, len), SOCKET_ERROR);
    CHECK_INT("WSAEWOULDBLOCK of connect", WSAGetLastError(), WSAEWOULDBLOCK);
    FD_ZERO(&w); FD_SET(a, &w);
    FD_ZERO(&e); FD_SET(a, &e);
    CHECK_INT("select for writing", select(0, NULL, &w, &e, &long_time), 1);
    CHECK("connected", FD_ISSET(a, &w) && !FD_ISSET(a, &e));
    FD_ZERO(&r); FD_SET(l, &r);
    CHECK_INT("select for accepting", select(0, &r, NULL, NULL, &long_time), 1);
    s = accept(l, NULL, NULL);
    CHECK("accepted", s != INVALID_SOCKET);
    CHECK_INT("recv of nothing", recv(s, b, 1, 0), SOCKET_ERROR);
    CHECK_INT("an accepted socket does not block either", WSAGetLastError(), WSAEWOULDBLOCK);
    FD_ZERO(&r); FD_SET(s, &r);
    CHECK_INT("select times out", select(0, &r, NULL, NULL, &short_time), 0);
    CHECK_INT("with an empty set", r.fd_count, 0);
    CHECK_INT("select of nothing", select(0, NULL, NULL, NULL, &short_time), SOCKET_ERROR);
    CHECK_INT("WSAEINVAL", WSAGetLastError(), WSAEINVAL);
    send(a, "1", 1, 0);
    fd.fd = s, fd.events = POLLRDNORM | POLLWRNORM, fd.revents = 0;
    FD_ZERO(&r); FD_SET(s, &r);
    select(0, &r, NULL, NULL, &long_time);
    CHECK_INT("WSAPoll", WSAPoll(&fd, 1, 5000), 1);
    CHECK_HEX("what it found", fd.revents, POLLRDNORM | POLLWRNORM);
    recv(s, b, 1, 0);
    fd.events = POLLRDNORM;
    CHECK_INT("WSAPoll times out", WSAPoll(&fd, 1, 10), 0);
    closesocket(a);
    CHECK_INT("WSAPoll of an end", WSAPoll(&fd, 1, 5000), 1);
    CHECK("a hang-up", fd.revents & POLLHUP);
    closesocket(s);
    closesocket(l);
    a = socket(AF_INET, SOCK_STREAM, 0);
    set_nonblocking(a);
    CHECK_INT("connect to nobody", connect(a, (struct sockaddr *)&at, len), SOCKET_ERROR);
    CHECK_INT("not known yet", WSAGetLastError(), WSAEWOULDBLOCK);
    FD_ZERO(&w); FD_SET(a, &w);
    FD_ZERO(&e); FD_SET(a, &e);
    CHECK_INT("select finds it out", select(0, NULL, &w, &e, &long_time), 1);
    CHECK("as an exception", !FD_ISSET(a, &w) && FD_ISSET(a, &e));
    CHECK_INT("SO_ERROR", getsockopt(a, SOL_SOCKET, SO_ERROR, (char *)&error, &size), 0);
    CHECK_INT("WSAECONNREFUSED", error, WSAECONNREFUSED);
    closesocket(a);
    a = socket(AF_INET, SOCK_STREAM, 0);
    CHECK_INT("blocking connect to nobody", connect(a, (struct sockaddr *)&at, len), SOCKET_ERROR);
    CHECK_INT("WSAECONNREFUSED at once", WSAGetLastError(), WSAECONNREFUSED);
    closesocket(a);
}

static void events(void)
{
    struct sockaddr_in at;
    int len;
    char b[8];
    WSANETWORKEVENTS ne;
    SOCKET l = listener(&at, &len), a = socket(AF_INET, SOCK_STREAM, 0), s;
    WSAEVENT e = WSACreateEvent(), el = WSACreateEvent();
    CHECK_INT("WSAEventSelect", WSAEventSelect(a, e, FD_CONNECT | FD_READ | FD_WRITE | FD_CLOSE), 0);
    CHECK_INT("of the listener", WSAEventSelect(l, el, FD_ACCEPT), 0);
    CHECK_INT("connect", connect(a, (struct sockaddr *)&at, len), SOCKET_ERROR);
    CHECK_INT("does not block", WSAGetLastError(), WSAEWOULDBLOCK);
    CHECK_INT("the event is set", WSAWaitForMultipleEvents(1, &e, FALSE, 5000, FALSE), WSA_WAIT_EVENT_0);
    CHECK_INT("WSAEnumNetworkEvents", WSAEnumNetworkEvents(a, e, &ne), 0);
    CHECK("connected without an error", (ne.lNetworkEvents & FD_CONNECT) && ne.iErrorCode[FD_CONNECT_BIT] == 0);
    CHECK_INT("a client", WSAWaitForMultipleEvents(1, &el, FALSE, 5000, FALSE), WSA_WAIT_EVENT_0);
    WSAEnumNetworkEvents(l, el, &ne);
    CHECK_HEX("FD_ACCEPT", ne.lNetworkEvents, FD_ACCEPT);
    s = accept(l, NULL, NULL);
    CHECK("accept", s != INVALID_SOCKET);
    WSAEventSelect(s, NULL, 0);
    WSAEnumNetworkEvents(a, e, &ne);
    CHECK_INT("nothing to read", WSAWaitForMultipleEvents(1, &e, FALSE, 20, FALSE), WSA_WAIT_TIMEOUT);
    send(s, "abcd", 4, 0);
    CHECK_INT("something to read", WSAWaitForMultipleEvents(1, &e, FALSE, 5000, FALSE), WSA_WAIT_EVENT_0);
    WSAEnumNetworkEvents(a, e, &ne);
    CHECK_HEX("FD_READ", ne.lNetworkEvents & FD_READ, FD_READ);
    CHECK_INT("no news before it is read", WSAWaitForMultipleEvents(1, &e, FALSE, 20, FALSE), WSA_WAIT_TIMEOUT);
    CHECK_INT("a part is read", recv(a, b, 2, 0), 2);
    CHECK_INT("the rest is news", WSAWaitForMultipleEvents(1, &e, FALSE, 5000, FALSE), WSA_WAIT_EVENT_0);
    WSAEnumNetworkEvents(a, e, &ne);
    recv(a, b, 8, 0);
    closesocket(s);
    CHECK_INT("the end is news", WSAWaitForMultipleEvents(1, &e, FALSE, 5000, FALSE), WSA_WAIT_EVENT_0);
    WSAEnumNetworkEvents(a, e, &ne);
    CHECK_HEX("FD_CLOSE", ne.lNetworkEvents & FD_CLOSE, FD_CLOSE);
    closesocket(a);
    closesocket(l);
    WSACloseEvent(e);
    CHECK("WSACloseEvent", WSACloseEvent(el));
}

static DWORD routine_error, routine_bytes, routine_calls;
static void CALLBACK routine(DWORD error, DWORD bytes, LPWSAOVERLAPPED o, DWORD flags)
{
    (void)o; (void)flags;
    routine_error = error;
    routine_bytes = bytes;
    routine_calls++;
}

static void overlapped(void)
{
    SOCKET a, s;
    char b[16], c[16];
    WSABUF wb[2];
    DWORD n = 0, flags = 0;
    ULONG_PTR key = 0;
    OVERLAPPED o, *po = NULL;
    HANDLE port;
    pair(&a, &s);
    wb[0].buf = b, wb[0].len = 4, wb[1].buf = c, wb[1].len = 16;
    memset(&o, 0, sizeof o);
    o.hEvent = WSACreateEvent();
    CHECK_INT("WSARecv pends", WSARecv(s, wb, 2, &n, &flags, &o, NULL), SOCKET_ERROR);
    CHECK_INT("WSA_IO_PENDING", WSAGetLastError(), WSA_IO_PENDING);
    CHECK("not ended", !WSAGetOverlappedResult(s, &o, &n, FALSE, &flags) && WSAGetLastError() == WSA_IO_INCOMPLETE);
    send(a, "scattered", 9, 0);
    CHECK("ended", WSAGetOverlappedResult(s, &o, &n, TRUE, &flags));
    CHECK_INT("bytes", n, 9);
    CHECK("in both buffers", !memcmp(b, "scat", 4) && !memcmp(c, "tered", 5));
    CHECK_INT("the event is set", WaitForSingleObject(o.hEvent, 0), WAIT_OBJECT_0);
    WSACloseEvent(o.hEvent);

    memset(&o, 0, sizeof o);
    CHECK_INT("WSARecv with a routine", WSARecv(s, wb, 2, NULL, &flags, &o, routine), SOCKET_ERROR);
    CHECK_INT("pends", WSAGetLastError(), WSA_IO_PENDING);
    send(a, "xyz", 3, 0);
    CHECK_INT("an alertable sleep ends", SleepEx(5000, TRUE), WAIT_IO_COMPLETION);
    CHECK_INT("the routine was called", routine_calls, 1);
    CHECK_INT("with its bytes", routine_bytes, 3);
    CHECK_INT("and no error", routine_error, 0);

    port = CreateIoCompletionPort((HANDLE)s, NULL, 42, 0);
    CHECK("a port", port != NULL);
    memset(&o, 0, sizeof o);
    CHECK_INT("WSARecv to the port", WSARecv(s, wb, 1, NULL, &flags, &o, NULL), SOCKET_ERROR);
    send(a, "port", 4, 0);
    CHECK("a packet", GetQueuedCompletionStatus(port, &n, &key, &po, 5000));
    CHECK("is the operation's", n == 4 && key == 42 && po == &o);
    CHECK_INT("WSASend", WSASend(s, wb, 1, &n, 0, &o, NULL), 0);
    CHECK("has a packet, too", GetQueuedCompletionStatus(port, &n, &key, &po, 5000) && n == 4);
    CHECK("skip on success", SetFileCompletionNotificationModes((HANDLE)s, FILE_SKIP_COMPLETION_PORT_ON_SUCCESS));
    CHECK_INT("WSASend", WSASend(s, wb, 1, &n, 0, &o, NULL), 0);
    CHECK("has none now", !GetQueuedCompletionStatus(port, &n, &key, &po, 20) && po == NULL);
    recv(a, b, 8, 0);

    CHECK_INT("WSARecv", WSARecv(s, wb, 1, NULL, &flags, &o, NULL), SOCKET_ERROR);
    CHECK("is cancelled", CancelIoEx((HANDLE)s, &o));
    CHECK("with a packet that says so",
          !GetQueuedCompletionStatus(port, &n, &key, &po, 5000) && po == &o && GetLastError() == ERROR_OPERATION_ABORTED);
    CHECK_ERR("nothing more to cancel", CancelIoEx((HANDLE)s, NULL), ERROR_NOT_FOUND);
    wb[0].len = 0;
    CHECK_INT("WSARecv of no bytes waits", WSARecv(s, wb, 1, NULL, &flags, &o, NULL), SOCKET_ERROR);
    send(a, "z", 1, 0);
    CHECK("for some", GetQueuedCompletionStatus(port, &n, &key, &po, 5000) && n == 0);
    wb[0].len = 4;
    recv(s, b, 1, 0);
    CHECK_INT("WSARecv", WSARecv(s, wb, 1, NULL, &flags, &o, NULL), SOCKET_ERROR);
    closesocket(a);
    CHECK("ends with the connection", GetQueuedCompletionStatus(port, &n, &key, &po, 5000) && n == 0);
    closesocket(s);
    CloseHandle(port);
}

static void extensions(void)
{
    struct sockaddr_in at, any, *local, *remote;
    int len, seconds = -1, size = sizeof seconds, local_len, remote_len;
    char buf[2 * (sizeof at + 16) + 8], b[8];
    GUID accept_id = WSAID_ACCEPTEX, connect_id = WSAID_CONNECTEX, names_id = WSAID_GETACCEPTEXSOCKADDRS;
    LPFN_ACCEPTEX accept_ex = NULL;
    LPFN_CONNECTEX connect_ex = NULL;
    LPFN_GETACCEPTEXSOCKADDRS names = NULL;
    DWORD n = 0;
    ULONG_PTR key;
    OVERLAPPED ao, co, *po;
    HANDLE port;
    SOCKET l = listener(&at, &len), a = socket(AF_INET, SOCK_STREAM, 0), s = socket(AF_INET, SOCK_STREAM, 0);
    WSAIoctl(l, SIO_GET_EXTENSION_FUNCTION_POINTER, &accept_id, sizeof accept_id, &accept_ex, sizeof accept_ex, &n, NULL, NULL);
    WSAIoctl(l, SIO_GET_EXTENSION_FUNCTION_POINTER, &connect_id, sizeof connect_id, &connect_ex, sizeof connect_ex, &n, NULL, NULL);
    WSAIoctl(l, SIO_GET_EXTENSION_FUNCTION_POINTER, &names_id, sizeof names_id, &names, sizeof names, &n, NULL, NULL);
    CHECK("extensions", accept_ex && connect_ex && names);
    if (!accept_ex || !connect_ex || !names) return;
    port = CreateIoCompletionPort((HANDLE)l, NULL, 1, 0);
    CreateIoCompletionPort((HANDLE)a, port, 2, 0);
    memset(&ao, 0, sizeof ao);
    memset(&co, 0, sizeof co);
    CHECK("AcceptEx pends", !accept_ex(l, s, buf, 8, sizeof at + 16, sizeof at + 16, &n, &ao) && WSAGetLastError() == WSA_IO_PENDING);
    CHECK("ConnectEx wants a name", !connect_ex(a, (struct sockaddr *)&at, len, NULL, 0, &n, &co));
    CHECK_INT("WSAEINVAL", WSAGetLastError(), WSAEINVAL);
    memset(&any, 0, sizeof any);
    any.sin_family = AF_INET;
    CHECK_INT("bind to any", bind(a, (struct sockaddr *)&any, sizeof any), 0);
    if (!connect_ex(a, (struct sockaddr *)&at, len, "first", 5, &n, &co)) CHECK_INT("ConnectEx pends", WSAGetLastError(), WSA_IO_PENDING);
    CHECK("ConnectEx ends", GetQueuedCompletionStatus(port, &n, &key, &po, 5000));
    if (key == 2) {
        CHECK_INT("with the bytes sent", n, 5);
        CHECK("AcceptEx ends", GetQueuedCompletionStatus(port, &n, &key, &po, 5000) && key == 1);
        CHECK_INT("with the bytes received", n, 5);
    } else {
        CHECK_INT("with the bytes received", n, 5);
        CHECK("ConnectEx ends", GetQueuedCompletionStatus(port, &n, &key, &po, 5000) && key == 2);
        CHECK_INT("with the bytes sent", n, 5);
    }
    CHECK("the first data", !memcmp(buf, "first", 5));
    names(buf, 8, sizeof at + 16, sizeof at + 16, (struct sockaddr **)&local, &local_len, (struct sockaddr **)&remote, &remote_len);
    CHECK_INT("the local port", local->sin_port, at.sin_port);
    CHECK_INT("SO_UPDATE_ACCEPT_CONTEXT", setsockopt(s, SOL_SOCKET, SO_UPDATE_ACCEPT_CONTEXT, (char *)&l, sizeof l), 0);
    CHECK_INT("SO_UPDATE_CONNECT_CONTEXT", setsockopt(a, SOL_SOCKET, SO_UPDATE_CONNECT_CONTEXT, NULL, 0), 0);
    CHECK_INT("SO_CONNECT_TIME", getsockopt(s, SOL_SOCKET, SO_CONNECT_TIME, (char *)&seconds, &size), 0);
    CHECK("is short", seconds >= 0 && seconds < 60);
    len = sizeof at;
    getsockname(a, (struct sockaddr *)&at, &len);
    CHECK_INT("the remote port", remote->sin_port, at.sin_port);
    CHECK_INT("the connection works", send(s, "back", 4, 0), 4);
    CHECK_INT("both ways", recv(a, b, 8, 0), 4);
    closesocket(a);
    closesocket(s);
    s = socket(AF_INET, SOCK_STREAM, 0);
    memset(&ao, 0, sizeof ao);
    accept_ex(l, s, buf, 0, sizeof at + 16, sizeof at + 16, &n, &ao);
    closesocket(l);
    CHECK("closing the listener ends AcceptEx", !GetQueuedCompletionStatus(port, &n, &key, &po, 5000) && po == &ao);
    CHECK_INT("as aborted", GetLastError(), ERROR_OPERATION_ABORTED);
    closesocket(s);
    CloseHandle(port);
}

typedef struct { union { LONG Status; PVOID Pointer; } u; ULONG_PTR Information; } iosb;
typedef struct { HANDLE Handle; ULONG Events; LONG Status; } poll_handle;
typedef struct { LARGE_INTEGER Timeout; ULONG NumberOfHandles; ULONG Exclusive; poll_handle Handles[1]; } poll_info;
typedef struct { USHORT Length, MaximumLength; PWSTR Buffer; } ustr;
typedef struct { ULONG Length; HANDLE Root; ustr *Name; ULONG Attributes; PVOID a, b; } attributes;
typedef LONG(NTAPI *create_fn)(HANDLE *, ULONG, attributes *, iosb *, LARGE_INTEGER *, ULONG, ULONG, ULONG, ULONG, PVOID, ULONG);
typedef LONG(NTAPI *control_fn)(HANDLE, HANDLE, PVOID, PVOID, iosb *, ULONG, PVOID, ULONG, PVOID, ULONG);
typedef LONG(NTAPI *cancel_fn)(HANDLE, iosb *, iosb *);

static void driver(void)
{
    static WCHAR path[] = L"\\Device\\Afd\\Transom";
    ustr name = {sizeof path - 2, sizeof path - 2, path};
    attributes oa = {sizeof oa, NULL, &name, 0, NULL, NULL};
    HMODULE nt = GetModuleHandleA("ntdll");
    create_fn create = (create_fn)(void *)GetProcAddress(nt, "NtCreateFile");
    control_fn control = (control_fn)(void *)GetProcAddress(nt, "NtDeviceIoControlFile");
    cancel_fn cancel = (cancel_fn)(void *)GetProcAddress(nt, "NtCancelIoFileEx");
    HANDLE afd = NULL, port;
    iosb io, ci;
    poll_info info;
    DWORD n;
    ULONG_PTR key;
    OVERLAPPED *po;
    SOCKET a, s, base = 0;
    LONG status;
    CHECK_HEX("NtCreateFile of the driver", create(&afd, SYNCHRONIZE, &oa, &io, NULL, 0, 3, 1, 0, NULL, 0), 0);
    port = CreateIoCompletionPort(afd, NULL, 9, 0);
    CHECK("its port", port != NULL);
    SetFileCompletionNotificationModes(afd, FILE_SKIP_SET_EVENT_ON_HANDLE);
    pair(&a, &s);
    CHECK_INT("SIO_BASE_HANDLE", WSAIoctl(s, SIO_BASE_HANDLE, NULL, 0, &base, sizeof base, &n, NULL, NULL), 0);
    memset(&info, 0, sizeof info);
    info.Timeout.QuadPart = INT64_MAX;
    info.NumberOfHandles = 1;
    info.Handles[0].Handle = (HANDLE)base;
    info.Handles[0].Events = 1 | 8 | 16;
    memset(&io, 0, sizeof io);
    status = control(afd, NULL, NULL, &io, &io, 0x12024, &info, sizeof info, &info, sizeof info);
    CHECK_HEX("a poll pends", status, 0x103);
    send(a, "x", 1, 0);
    CHECK("a packet", GetQueuedCompletionStatus(port, &n, &key, &po, 5000));
    CHECK("is the poll's", key == 9 && (void *)po == (void *)&io);
    CHECK_INT("a socket", info.NumberOfHandles, 1);
    CHECK_HEX("has data", info.Handles[0].Events, 1);
    recv(s, (char *)&n, 1, 0);
    info.Handles[0].Events = 1 | 8 | 16;
    status = control(afd, NULL, NULL, &io, &io, 0x12024, &info, sizeof info, &info, sizeof info);
    CHECK_HEX("another pends", status, 0x103);
    CHECK_HEX("NtCancelIoFileEx", cancel(afd, &io, &ci), 0);
    CHECK("a packet for the cancelled", !GetQueuedCompletionStatus(port, &n, &key, &po, 5000) && GetLastError() == ERROR_OPERATION_ABORTED);
    CHECK_HEX("nothing to cancel", cancel(afd, &io, &ci), (LONG)0xC0000225);
    info.NumberOfHandles = 1;
    info.Handles[0].Events = 4;
    status = control(afd, NULL, NULL, &io, &io, 0x12024, &info, sizeof info, &info, sizeof info);
    CHECK_HEX("room for sending is there at once", status, 0);
    CHECK("with a packet all the same", GetQueuedCompletionStatus(port, &n, &key, &po, 5000));
    CHECK_HEX("SEND", info.Handles[0].Events, 4);
    info.Handles[0].Events = 8;
    control(afd, NULL, NULL, &io, &io, 0x12024, &info, sizeof info, &info, sizeof info);
    shutdown(a, SD_SEND);
    CHECK("a packet", GetQueuedCompletionStatus(port, &n, &key, &po, 5000));
    CHECK_HEX("DISCONNECT", info.Handles[0].Events, 8);
    closesocket(a);
    closesocket(s);
    CloseHandle(afd);
    CloseHandle(port);
}

struct unix_address { USHORT family; char path[108]; };

static void unix_sockets(void)
{
    struct unix_address at;
    char dir[MAX_PATH], b[8];
    SOCKET l, a, s;
    memset(&at, 0, sizeof at);
    at.family = AF_UNIX;
    GetTempPathA(sizeof dir, dir);
    lstrcpyA(at.path, "transom-sockets.sock");
    SetCurrentDirectoryA(dir);
    DeleteFileA(at.path);
    l = socket(AF_UNIX, SOCK_STREAM, 0);
    CHECK("a Unix socket", l != INVALID_SOCKET);
    CHECK_INT("bind", bind(l, (struct sockaddr *)&at, sizeof at), 0);
    CHECK_INT("listen", listen(l, 1), 0);
    CHECK("its file", GetFileAttributesA(at.path) != INVALID_FILE_ATTRIBUTES);
    a = socket(AF_UNIX, SOCK_STREAM, 0);
    CHECK_INT("connect", connect(a, (struct sockaddr *)&at, sizeof at), 0);
    s = accept(l, NULL, NULL);
    CHECK_INT("send", send(a, "unix", 4, 0), 4);
    CHECK_INT("recv", recv(s, b, 8, 0), 4);
    closesocket(a);
    closesocket(s);
    closesocket(l);
    CHECK("DeleteFile", DeleteFileA(at.path));
}

static void options(void)
{
    struct linger linger = {0, 0};
    int v = 5, len = sizeof v;
    struct sockaddr_in at;
    BOOL flag = TRUE;
    char c = 1;
    SOCKET l, s = socket(AF_INET, SOCK_STREAM, 0), six = socket(AF_INET6, SOCK_STREAM, 0);
    CHECK_INT("SO_TYPE", getsockopt(s, SOL_SOCKET, SO_TYPE, (char *)&v, &len), 0);
    CHECK_INT("is a stream", v, SOCK_STREAM);
    CHECK_INT("TCP_NODELAY by a byte", setsockopt(s, IPPROTO_TCP, TCP_NODELAY, &c, 1), 0);
    CHECK_INT("TCP_NODELAY", getsockopt(s, IPPROTO_TCP, TCP_NODELAY, (char *)&v, &len), 0);
    CHECK_INT("is on", v, 1);
    linger.l_onoff = 1, linger.l_linger = 7;
    CHECK_INT("SO_LINGER", setsockopt(s, SOL_SOCKET, SO_LINGER, (char *)&linger, sizeof linger), 0);
    memset(&linger, 0, sizeof linger);
    len = sizeof linger;
    CHECK_INT("SO_LINGER again", getsockopt(s, SOL_SOCKET, SO_LINGER, (char *)&linger, &len), 0);
    CHECK("is kept", linger.l_onoff == 1 && linger.l_linger == 7 && len == sizeof linger);
    v = 1500, len = sizeof v;
    setsockopt(s, SOL_SOCKET, SO_RCVTIMEO, (char *)&v, sizeof v);
    v = 0;
    getsockopt(s, SOL_SOCKET, SO_RCVTIMEO, (char *)&v, &len);
    CHECK_INT("SO_RCVTIMEO is in milliseconds", v, 1500);
    v = 65536;
    CHECK_INT("SO_SNDBUF", setsockopt(s, SOL_SOCKET, SO_SNDBUF, (char *)&v, sizeof v), 0);
    getsockopt(s, SOL_SOCKET, SO_SNDBUF, (char *)&v, &len);
    CHECK_INT("is as set", v, 65536);
    v = 0;
    getsockopt(six, IPPROTO_IPV6, IPV6_V6ONLY, (char *)&v, &len);
    CHECK_INT("IPv6 alone is the default", v, 1);
    CHECK_INT("an unknown option", setsockopt(s, SOL_SOCKET, 0x7777, (char *)&v, sizeof v), SOCKET_ERROR);
    CHECK_INT("WSAENOPROTOOPT", WSAGetLastError(), WSAENOPROTOOPT);
    l = listener(&at, &len);
    CHECK_INT("a port in use", bind(s, (struct sockaddr *)&at, sizeof at), SOCKET_ERROR);
    CHECK_INT("WSAEADDRINUSE", WSAGetLastError(), WSAEADDRINUSE);
    CHECK_INT("SO_EXCLUSIVEADDRUSE", setsockopt(s, SOL_SOCKET, SO_EXCLUSIVEADDRUSE, (char *)&flag, sizeof flag), 0);
    CHECK_INT("and SO_REUSEADDR", setsockopt(s, SOL_SOCKET, SO_REUSEADDR, (char *)&flag, sizeof flag), SOCKET_ERROR);
    CHECK_INT("exclude each other", WSAGetLastError(), WSAEINVAL);
    CHECK_INT("no such family", socket(77, SOCK_STREAM, 0), INVALID_SOCKET);
    CHECK_INT("WSAEAFNOSUPPORT", WSAGetLastError(), WSAEAFNOSUPPORT);
    CHECK_INT("a handle that is no socket", recv((SOCKET)GetCurrentProcess(), &c, 1, 0), SOCKET_ERROR);
    CHECK_INT("WSAENOTSOCK", WSAGetLastError(), WSAENOTSOCK);
    closesocket(l);
    closesocket(s);
    closesocket(six);
}

static void names(void)
{
    struct addrinfo hints, *list = NULL;
    struct sockaddr_in at;
    struct hostent *host;
    struct servent *service;
    char text[64], port[8];
    WCHAR wide[64];
    DWORD size = 64;
    int len = sizeof at;
    memset(&hints, 0, sizeof hints);
    hints.ai_family = AF_INET;
    hints.ai_socktype = SOCK_STREAM;
    CHECK_INT("getaddrinfo", getaddrinfo("localhost", "80", &hints, &list), 0);
    CHECK("an answer", list && list->ai_family == AF_INET && list->ai_addrlen == sizeof at);
    CHECK_INT("its port", list ? ntohs(((struct sockaddr_in *)list->ai_addr)->sin_port) : 0, 80);
    CHECK_INT("getnameinfo", list ? getnameinfo(list->ai_addr, (int)list->ai_addrlen, text, sizeof text, port, sizeof port,
              NI_NUMERICHOST | NI_NUMERICSERV) : -1, 0);
    CHECK_STR("the host's number", text, "127.0.0.1");
    CHECK_STR("the service's number", port, "80");
    CHECK_INT("no room for the name", list ? getnameinfo(list->ai_addr, (int)list->ai_addrlen, text, 3, NULL, 0, NI_NUMERICHOST) : 0, WSAEFAULT);
    freeaddrinfo(list);
    hints.ai_flags = AI_NUMERICHOST;
    CHECK_INT("a name where a number is wanted", getaddrinfo("nobody", NULL, &hints, &list), WSAHOST_NOT_FOUND);
    host = gethostbyname("localhost");
    CHECK("gethostbyname", host && host->h_addrtype == AF_INET && host->h_length == 4);
    CHECK_HEX("its address", host ? ntohl(*(u_long *)host->h_addr_list[0]) : 0, INADDR_LOOPBACK);
    service = getservbyname("http", "tcp");
    CHECK("getservbyname", service && ntohs(service->s_port) == 80);
    CHECK("its protocol", service && check_same(service->s_proto, "tcp"));
    CHECK_INT("gethostname", gethostname(text, sizeof text), 0);
    CHECK_HEX("inet_addr", inet_addr("1.2.3.4"), 0x04030201);
    CHECK_HEX("inet_addr of nonsense", inet_addr("1.2.3.4.5"), INADDR_NONE);
    at.sin_addr.s_addr = 0x04030201;
    CHECK_STR("inet_ntoa", inet_ntoa(at.sin_addr), "1.2.3.4");
    CHECK_INT("inet_pton", inet_pton(AF_INET, "10.0.0.1", &at.sin_addr), 1);
    CHECK_INT("inet_pton of nonsense", inet_pton(AF_INET, "10.0.0", &at.sin_addr), 0);
    CHECK_STR("inet_ntop", inet_ntop(AF_INET, &at.sin_addr, text, sizeof text), "10.0.0.1");
    at.sin_family = AF_INET;
    at.sin_port = htons(8080);
    CHECK_INT("WSAAddressToString", WSAAddressToStringW((struct sockaddr *)&at, sizeof at, NULL, wide, &size), 0);
    CHECK_WSTR("its text", wide, L"10.0.0.1:8080");
    memset(&at, 0, sizeof at);
    CHECK_INT("WSAStringToAddress", WSAStringToAddressW(wide, AF_INET, NULL, (struct sockaddr *)&at, &len), 0);
    CHECK_INT("its port", ntohs(at.sin_port), 8080);
    CHECK_HEX("htonl", htonl(0x01020304), 0x04030201);
}

/* A blocking call ends when another thread closes the socket. */
static DWORD WINAPI waiter(void *p)
{
    char b;
    int n = recv(*(SOCKET *)p, &b, 1, 0);
    return n == SOCKET_ERROR ? (DWORD)WSAGetLastError() : 1;
}
static void closing(void)
{
    SOCKET a, s;
    DWORD code = 0;
    HANDLE t;
    pair(&a, &s);
    t = CreateThread(NULL, 0, waiter, &s, 0, NULL);
    while (WaitForSingleObject(t, 50) == WAIT_TIMEOUT && s) {
        closesocket(s);
        s = 0;
    }
    CHECK_INT("the thread ends", WaitForSingleObject(t, 5000), WAIT_OBJECT_0);
    GetExitCodeThread(t, &code);
    CHECK("with an error", code != 1 && code != 0);
    CloseHandle(t);
    closesocket(a);
}

static void interfaces(void)
{
    static char room[65536];
    IP_ADAPTER_ADDRESSES *list = (IP_ADAPTER_ADDRESSES *)room, *a;
    FIXED_INFO *fixed = (FIXED_INFO *)room;
    ULONG size = 1;
    NET_LUID luid;
    NET_IFINDEX index = 0;
    SOCKADDR_INET to, from;
    MIB_IPFORWARD_ROW2 route;
    int found = 0;
    CHECK_INT("no room for adapters", GetAdaptersAddresses(AF_UNSPEC, 0, NULL, list, &size), ERROR_BUFFER_OVERFLOW);
    CHECK("the size needed", size > sizeof *list && size < sizeof room);
    size = sizeof room;
    CHECK_INT("GetAdaptersAddresses", GetAdaptersAddresses(AF_INET, 0, NULL, list, &size), NO_ERROR);
    for (a = list; a; a = a->Next) {
        IP_ADAPTER_UNICAST_ADDRESS *u = a->FirstUnicastAddress;
        if (a->IfType != IF_TYPE_SOFTWARE_LOOPBACK) continue;
        for (; u; u = u->Next) {
            struct sockaddr_in *in = (struct sockaddr_in *)u->Address.lpSockaddr;
            if (in->sin_family == AF_INET && ntohl(in->sin_addr.s_addr) == INADDR_LOOPBACK && u->OnLinkPrefixLength == 8) found++;
        }
        CHECK("the loopback adapter is up", a->OperStatus == IfOperStatusUp && a->FriendlyName && a->FriendlyName[0]);
        CHECK_INT("its LUID", ConvertInterfaceIndexToLuid(a->IfIndex, &luid), NO_ERROR);
        CHECK("is the adapter's", luid.Value == a->Luid.Value);
        CHECK_INT("and back", ConvertInterfaceLuidToIndex(&luid, &index), NO_ERROR);
        CHECK_INT("its index", index, a->IfIndex);
    }
    CHECK_INT("the loopback address", found, 1);
    memset(&to, 0, sizeof to);
    to.Ipv4.sin_family = AF_INET;
    to.Ipv4.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    CHECK_INT("GetBestRoute2", GetBestRoute2(NULL, 0, NULL, &to, 0, &route, &from), NO_ERROR);
    CHECK_INT("to this host goes through its loopback adapter", route.InterfaceIndex, index);
    CHECK_HEX("from its address", ntohl(from.Ipv4.sin_addr.s_addr), INADDR_LOOPBACK);
    size = sizeof room;
    CHECK_INT("GetNetworkParams", GetNetworkParams(fixed, &size), NO_ERROR);
    CHECK("the host's name", fixed->HostName[0] != 0);
}

/* What a child does with the socket that it has inherited. */
static int child(const char *number)
{
    WSADATA data;
    SOCKET s = 0;
    while (*number) s = s * 10 + (*number++ - '0');
    if (WSAStartup(MAKEWORD(2, 2), &data)) return 2;
    return send(s, "child", 5, 0) == 5 ? 0 : WSAGetLastError();
}
static void inheritance(void)
{
    char path[MAX_PATH], line[MAX_PATH + 32], b[8];
    STARTUPINFOA start;
    PROCESS_INFORMATION process;
    DWORD code = 99;
    SOCKET a, s;
    memset(&start, 0, sizeof start);
    start.cb = sizeof start;
    pair(&a, &s);
    GetModuleFileNameA(NULL, path, sizeof path);
    wsprintfA(line, "\"%s\" %u", path, (unsigned)a);
    CHECK("CreateProcess", CreateProcessA(path, line, NULL, NULL, TRUE, 0, NULL, NULL, &start, &process));
    CHECK_INT("the child ends", WaitForSingleObject(process.hProcess, 60000), WAIT_OBJECT_0);
    GetExitCodeProcess(process.hProcess, &code);
    CHECK_INT("without an error", code, 0);
    CHECK_INT("and has sent", recv(s, b, 8, 0), 5);
    CHECK_INT("this process still can", send(a, "x", 1, 0), 1);
    closesocket(a);
    closesocket(s);
    CloseHandle(process.hThread);
    CloseHandle(process.hProcess);
}

static void old_numbers(void)
{
    HMODULE two = GetModuleHandleA("ws2_32"), one = LoadLibraryA("wsock32");
    CHECK("wsock32", one != NULL);
    CHECK("accept is number 1", GetProcAddress(two, "accept") && GetProcAddress(two, "accept") == GetProcAddress(two, (char *)1));
    CHECK("WSAStartup is 115", GetProcAddress(one, (char *)115) && GetProcAddress(one, "WSAStartup") == GetProcAddress(one, (char *)115));
    CHECK("ioctlsocket is 10 in ws2_32", GetProcAddress(two, "ioctlsocket") == GetProcAddress(two, (char *)10));
    CHECK("and 12 in wsock32", GetProcAddress(one, "ioctlsocket") == GetProcAddress(one, (char *)12));
}

int main(int argc, char **argv)
{
    if (argc > 1) return child(argv[1]);
    starting();
    streams();
    handles();
    sharing();
    datagrams();
    nonblocking();
    events();
    overlapped();
    extensions();
    driver();
    unix_sockets();
    options();
    names();
    closing();
    interfaces();
    inheritance();
    old_numbers();
    CHECK_INT("WSACleanup", WSACleanup(), 0);
    return check_done();
}
