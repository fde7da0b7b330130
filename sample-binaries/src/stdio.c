/* Streams: text and binary modes, seeking, ungetc, buffering, temporary files, low-level descriptors, append, errors.
 * Documentation: "Text and binary mode file I/O", fopen, fseek, ungetc, _open, tmpfile. */
#include "check.h"
#include <errno.h>
#include <fcntl.h>
#include <io.h>
#include <locale.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/types.h>

static void raw_write(const char *name, const char *bytes, DWORD n)
{
    DWORD done;
    HANDLE h = CreateFileA(name, GENERIC_WRITE, 0, NULL, CREATE_ALWAYS, 0, NULL);
    WriteFile(h, bytes, n, &done, NULL);
    CloseHandle(h);
}
static int raw_is(const char *name, const char *want)
{
    static char b[256];
    DWORD n = 0;
    HANDLE h = CreateFileA(name, GENERIC_READ, 0, NULL, OPEN_EXISTING, 0, NULL);
    if (h == INVALID_HANDLE_VALUE) return 0;
    ReadFile(h, b, sizeof b - 1, &n, NULL);
    CloseHandle(h);
    b[n] = 0;
    return n == strlen(want) && !memcmp(b, want, n);
}

static void text_mode(void)
{
    char b[64];
    FILE *f = fopen("t.txt", "w");
    CHECK("open w", f != NULL);
    CHECK("fputs", fputs("one\ntwo\n", f) >= 0);
    CHECK_INT("fclose", fclose(f), 0);
    CHECK("newline becomes CR LF", raw_is("t.txt", "one\r\ntwo\r\n"));
    f = fopen("t.txt", "r");
    CHECK("fgets", fgets(b, sizeof b, f) == b);
    CHECK_STR("CR LF becomes newline", b, "one\n");
    fclose(f);
    f = fopen("t.txt", "rb");
    CHECK("fgets binary", fgets(b, sizeof b, f) == b);
    CHECK_STR("binary keeps CR LF", b, "one\r\n");
    fclose(f);
    raw_write("t.txt", "a\rb\r\r\nc\n", 8);
    f = fopen("t.txt", "rt");
    CHECK_INT("text read length", fread(b, 1, sizeof b, f), 7);
    CHECK("a lone CR stays", !memcmp(b, "a\rb\r\nc\n", 7));
    CHECK("feof", feof(f));
    fclose(f);
    raw_write("t.txt", "ab\x1a" "cd", 5);
    f = fopen("t.txt", "r");
    CHECK_INT("Ctrl-Z ends a text file", fread(b, 1, sizeof b, f), 2);
    fclose(f);
    f = fopen("t.txt", "rb");
    CHECK_INT("Ctrl-Z is data in binary", fread(b, 1, sizeof b, f), 5);
    fclose(f);
    f = fopen("t.txt", "wb");
    fputs("x\ny\n", f);
    fclose(f);
    CHECK("binary writes as is", raw_is("t.txt", "x\ny\n"));
    f = fopen("t.txt", "w");
    _setmode(_fileno(f), _O_BINARY);
    fputs("x\n", f);
    fclose(f);
    CHECK("_setmode binary", raw_is("t.txt", "x\n"));
    f = fopen("t.txt", "w");
    fprintf(f, "%d\r\n", 1);
    fclose(f);
    CHECK("CR LF in text mode gains a CR", raw_is("t.txt", "1\r\r\n"));
    remove("t.txt");
}

static void seeking(void)
{
    char b[16];
    fpos_t pos;
    FILE *f = fopen("s.bin", "wb+");
    CHECK("open w+", f != NULL);
    CHECK_INT("fwrite", fwrite("0123456789", 1, 10, f), 10);
    CHECK_INT("ftell", ftell(f), 10);
    CHECK_INT("fseek set", fseek(f, 3, SEEK_SET), 0);
    CHECK_INT("fgetc", fgetc(f), '3');
    CHECK_INT("fseek cur", fseek(f, 2, SEEK_CUR), 0);
    CHECK_INT("fgetc after", fgetc(f), '6');
    CHECK_INT("fseek end", fseek(f, -1, SEEK_END), 0);
    CHECK_INT("fgetc last", fgetc(f), '9');
    CHECK_INT("fgetc at end", fgetc(f), EOF);
    CHECK("feof at end", feof(f));
    CHECK_INT("fseek clears eof", (fseek(f, 0, SEEK_SET), feof(f)), 0);
    CHECK_INT("fgetpos", (fgetc(f), fgetpos(f, &pos)), 0);
    fgetc(f);
    CHECK_INT("fsetpos", fsetpos(f, &pos), 0);
    CHECK_INT("fsetpos position", ftell(f), 1);
    CHECK("fseek before start fails", fseek(f, -5, SEEK_SET) != 0);
    rewind(f);
    CHECK_INT("overwrite", (fputs("AB", f), fseek(f, 0, SEEK_CUR), fgetc(f)), '2');
    rewind(f);
    CHECK_INT("fread items", fread(b, 4, 3, f), 2);
    CHECK("fread text", !memcmp(b, "AB234567", 8));
    CHECK_INT("_fseeki64", _fseeki64(f, 5000000000LL, SEEK_SET), 0);
    CHECK("_ftelli64", _ftelli64(f) == 5000000000LL);
    fclose(f);
    CHECK_INT("remove", remove("s.bin"), 0);
    CHECK_INT("remove again", remove("s.bin"), -1);
    CHECK_INT("remove errno", errno, ENOENT);
}

static void pushback(void)
{
    FILE *f = fopen("u.bin", "wb+");
    fputs("bc", f);
    rewind(f);
    CHECK_INT("ungetc", ungetc('a', f), 'a');
    CHECK_INT("ungetc read", fgetc(f), 'a');
    CHECK_INT("then file", fgetc(f), 'b');
    CHECK_INT("ungetc EOF", ungetc(EOF, f), EOF);
    ungetc('Z', f);
    CHECK_INT("ftell counts the pushback", ftell(f), 0);
    CHECK_INT("pushed back", fgetc(f), 'Z');
    CHECK_INT("c", fgetc(f), 'c');
    CHECK_INT("at end", fgetc(f), EOF);
    ungetc('q', f);
    CHECK_INT("ungetc clears eof", feof(f), 0);
    CHECK_INT("after end", fgetc(f), 'q');
    fclose(f);
    remove("u.bin");
}

static void modes(void)
{
    FILE *f;
    char b[16] = "";
    errno = 0;
    CHECK("r of a missing file", fopen("missing.txt", "r") == NULL);
    CHECK_INT("errno ENOENT", errno, ENOENT);
    CHECK("missing folder", fopen("nofolder\\x", "w") == NULL);
    CHECK_INT("missing folder errno", errno, ENOENT);
    f = fopen("a.txt", "ab");
    fputs("1", f);
    fclose(f);
    f = fopen("a.txt", "ab+");
    fputs("2", f);
    rewind(f);
    CHECK_INT("a+ reads", fgetc(f), '1');
    fseek(f, 0, SEEK_SET);
    fputs("3", f);
    fclose(f);
    CHECK("a writes at the end", raw_is("a.txt", "123"));
    f = fopen("a.txt", "r+b");
    fputc('X', f);
    fclose(f);
    CHECK("r+ overwrites", raw_is("a.txt", "X23"));
    f = fopen("a.txt", "rb");
    CHECK_INT("write to a read stream", fputc('x', f), EOF);
    CHECK("ferror", ferror(f));
    clearerr(f);
    CHECK_INT("clearerr", ferror(f), 0);
    f = freopen("a.txt", "wb", f);
    CHECK("freopen", f != NULL);
    fputs("new", f);
    fclose(f);
    CHECK("freopen truncated", raw_is("a.txt", "new"));
    f = fopen("a.txt", "wb");
    CHECK_INT("setvbuf", setvbuf(f, NULL, _IONBF, 0), 0);
    fputs("now", f);
    CHECK("unbuffered is written at once",
          _filelength(_fileno(f)) == 3);
    fclose(f);
    f = fopen("a.txt", "wb");
    fputs("later", f);
    CHECK_INT("buffered is not", _filelength(_fileno(f)), 0);
    fflush(f);
    CHECK_INT("fflush writes", _filelength(_fileno(f)), 5);
    fclose(f);
    CHECK_INT("rename", rename("a.txt", "b.txt"), 0);
    f = fopen("a.txt", "w");
    fclose(f);
    CHECK_INT("rename onto a file", rename("a.txt", "b.txt"), -1);
    CHECK_INT("rename errno", errno, EEXIST);
    remove("a.txt");
    f = fopen("b.txt", "rbD");
    if (f) {
        CHECK_INT("D reads", fread(b, 1, 5, f), 5);
        fclose(f);
        CHECK("D deletes at close", GetFileAttributesA("b.txt") == INVALID_FILE_ATTRIBUTES);
    } else remove("b.txt");
}

static void descriptors(void)
{
    char b[16];
    struct _stat st;
    int fd = _open("d.bin", _O_CREAT | _O_RDWR | _O_BINARY | _O_TRUNC, _S_IREAD | _S_IWRITE), d2;
    CHECK("_open", fd >= 3);
    CHECK_INT("_write", _write(fd, "a\nb", 3), 3);
    CHECK_INT("_lseek", _lseek(fd, 0, SEEK_SET), 0);
    CHECK_INT("_read", _read(fd, b, sizeof b), 3);
    CHECK_INT("_read at end", _read(fd, b, sizeof b), 0);
    CHECK_INT("_eof", _eof(fd), 1);
    CHECK_INT("_tell", _tell(fd), 3);
    CHECK_INT("_chsize", _chsize(fd, 10), 0);
    CHECK_INT("_filelength", _filelength(fd), 10);
    d2 = _dup(fd);
    CHECK("_dup", d2 > fd);
    _lseek(fd, 1, SEEK_SET);
    CHECK_INT("_dup shares the position", _tell(d2), 1);
    CHECK_INT("_close dup", _close(d2), 0);
    CHECK_INT("_fstat", _fstat(fd, &st), 0);
    CHECK_INT("_fstat size", st.st_size, 10);
    CHECK("_fstat mode", (st.st_mode & _S_IFMT) == _S_IFREG);
    CHECK_INT("_setmode answers the old mode", _setmode(fd, _O_TEXT), _O_BINARY);
    CHECK_INT("_isatty of a file", _isatty(fd), 0);
    CHECK("_get_osfhandle", _get_osfhandle(fd) != -1);
    CHECK_INT("_close", _close(fd), 0);
    CHECK_INT("_open O_EXCL", _open("d.bin", _O_CREAT | _O_EXCL | _O_RDWR, _S_IWRITE), -1);
    CHECK_INT("_open O_EXCL errno", errno, EEXIST);
    CHECK_INT("_access", _access("d.bin", 0), 0);
    CHECK_INT("_unlink", _unlink("d.bin"), 0);
    CHECK_INT("_access missing", _access("d.bin", 0), -1);
    CHECK_INT("_stat missing", _stat("d.bin", &st), -1);
    CHECK_INT("_stat missing errno", errno, ENOENT);
    fd = _open("o.txt", _O_CREAT | _O_WRONLY | _O_TEXT, _S_IREAD | _S_IWRITE);
    CHECK_INT("_write text counts what it was given", _write(fd, "x\n", 2), 2);
    _close(fd);
    CHECK("_write text", raw_is("o.txt", "x\r\n"));
    _unlink("o.txt");
}

/* Lines of all lengths, across the ends of buffers, into all sizes of memory. */
static void lines(void)
{
    enum { LINES = 200 };
    static char text[LINES * LINES], got[300];
    FILE *f = fopen("l.txt", "wb");
    int i, size, ok = 1, ended = 1, placed = 1;
    size_t all = 0, at, room;
    for (i = 0; i < LINES; i++) {
        memset(text + all, 'a' + i % 26, i);
        all += i;
        text[all++] = '\n';
    }
    all--; /* the last one has no end */
    fwrite(text, 1, all, f);
    fclose(f);
    for (size = 2; size <= 300; size += size < 40 ? 1 : 13) {
        f = fopen("l.txt", "rb");
        for (at = 0; at < all; at += room) {
            const char *end = (const char *)memchr(text + at, '\n', all - at);
            room = end ? (size_t)(end - (text + at)) + 1 : all - at;
            if (room > (size_t)size - 1) room = size - 1;
            memset(got, 'X', sizeof got);
            if (fgets(got, size, f) != got || memcmp(got, text + at, room)) { ok = 0; break; }
            ended &= !got[room] && (room + 1 == sizeof got || got[room + 1] == 'X');
            if (at % 100 == 0) placed &= ftell(f) == (long)(at + room);
        }
        ok &= fgets(got, size, f) == NULL && feof(f);
        fclose(f);
    }
    CHECK("fgets: every line", ok);
    CHECK("fgets: ended, and nothing beyond", ended);
    CHECK("fgets: where the stream is", placed);
    _unlink("l.txt");
}

/* What the runtime says of the locale, asked often, before and after it changes. */
static void locale(void)
{
    int i, ones = 1, pages = 1;
    for (i = 0; i < 100; i++) {
        ones &= MB_CUR_MAX == 1 && ___mb_cur_max_func() == 1;
        pages &= ___lc_codepage_func() == 0 && localeconv()->decimal_point[0] == '.';
    }
    CHECK("the C locale has bytes and no code page", ones && pages);
    CHECK("setlocale", setlocale(LC_CTYPE, ".1252") != NULL);
    CHECK_INT("its code page", ___lc_codepage_func(), 1252);
    CHECK("back", setlocale(LC_CTYPE, "C") != NULL);
    CHECK_INT("no code page again", ___lc_codepage_func(), 0);
    errno = EDOM;
    for (i = 0; i < 100; i++) ones &= *_errno() == EDOM;
    CHECK("errno stays where it is", ones);
}

static void temporary(void)
{
    FILE *f = tmpfile();
    char *n, templ[] = "tmXXXXXX";
    CHECK("tmpfile", f != NULL);
    if (f) {
        fputs("t\n", f);
        rewind(f);
        CHECK_INT("tmpfile reads back", fgetc(f), 't');
        fclose(f);
    }
    n = _tempnam(".", "pre");
    CHECK("_tempnam", n && strstr(n, "pre"));
    free(n);
    CHECK("_mktemp", _mktemp(templ) && !strchr(templ, 'X'));
    CHECK("_mktemp keeps the base", !strncmp(templ, "tm", 2));
}

int main(void)
{
    char b[8];
    text_mode();
    seeking();
    pushback();
    modes();
    descriptors();
    temporary();
    lines();
    locale();
    CHECK_INT("fileno stdin", _fileno(stdin), 0);
    CHECK_INT("fileno stderr", _fileno(stderr), 2);
    CHECK("gets at end of input", fgets(b, sizeof b, stdin) == NULL);
    return check_done();
}
