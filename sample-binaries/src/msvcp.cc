/* Microsoft's C++ library as programs made with Visual C++ use it: streams on a buffer of the program's own, whose virtual
 * functions the library calls; the standard streams; exceptions that the library throws; locales; mutexes.
 *
 * The import libraries are made of what the object file imports. Prints a line for each fact. */
#include "msvcp.h"

/* Keeps what is written in lower case; reads from a text. */
class own_buffer : public std::streambuf {
public:
    char text[64];
    int length, syncs;
    const char *source;
    char one;
    own_buffer() : text(), length(0), syncs(0), source("xyz"), one(0) {}
    bool holds(const char *wanted)
    {
        bool same = strcmp(text, wanted) == 0;
        if (!same)
            puts(text);
        length = 0;
        text[0] = 0;
        return same;
    }

protected:
    int overflow(int c) override
    {
        if (length == 63)
            return -1;
        text[length++] = c >= 'A' && c <= 'Z' ? (char)(c + 32) : (char)c;
        text[length] = 0;
        return c;
    }
    int underflow() override { return *source ? (unsigned char)*source : -1; }
    int uflow() override { return *source ? (unsigned char)*source++ : -1; }
    int sync() override
    {
        syncs++;
        return 0;
    }
};

static void buffers_and_streams()
{
    own_buffer buffer;
    check("a new buffer has a locale", buffer.sgetc() == 'x' && buffer.sbumpc() == 'x' && buffer.sgetc() == 'y');
    check("characters go through overflow", buffer.sputn("Hello", 5) == 5 && buffer.holds("hello"));
    std::ostream out(&buffer, false);
    check("a new stream is good", out.state == 0 && out.flags == 0x201 && out.precision == 6 && out.filler == ' ');
    out << 42 << -1LL;
    check("decimal", buffer.holds("42-1"));
    out.flags = 0x808;
    out << 255u << -1;
    check("hexadecimal", buffer.holds("0xff0xffffffff"));
    out.flags = 0x201;
    out.width = 6;
    out.filler = '.';
    out << 12ULL;
    check("width", buffer.holds("....12") && out.width == 0);
    out << 0.5;
    check("default double", buffer.holds("0.5"));
    out.flags = 0x2001;
    out.precision = 2;
    out << 3.14159;
    check("fixed double", buffer.holds("3.14"));
    std::_Smanip<streamsize> width = std::setw(5), precision = std::setprecision(1);
    width.function(out, width.argument);
    precision.function(out, precision.argument);
    out << 2.75;
    check("manipulators", buffer.holds("..2.8"));
    out.flags = 0x4201;
    out << true;
    check("bool as a word", buffer.holds("true"));
    out.put('A').write("BCd", 3).flush();
    check("unformatted", buffer.holds("abcd") && buffer.syncs == 1);
    char many[80];
    for (char &c : many)
        c = 'q';
    out.write(many, 80);
    check("a full buffer makes the stream bad", out.state == 4);
}

template <class E> static const char *caught(void (*thrower)())
{
    static char what[64];
    what[0] = 0;
    try {
        thrower();
    } catch (const E &e) {
        const char *from = e.what();
        char *to = what;
        while (*from && to < what + 63)
            *to++ = *from++;
        *to = 0;
    }
    return what;
}

static int destroyed, copied;
struct counted {
    counted() {}
    counted(const counted &) { copied++; }
    ~counted() { destroyed++; }
};

/* exception_ptr: an exception outlives its handler, and is thrown again. */
static void kept_exceptions()
{
    void *pointer[2], *other[2];
    __ExceptionPtrCreate(pointer);
    check("no exception", !__ExceptionPtrToBool(pointer));
    try {
        std::_Xlength_error("kept");
    } catch (...) {
        __ExceptionPtrCurrentException(pointer);
    }
    __ExceptionPtrCopy(other, pointer);
    __ExceptionPtrDestroy(pointer);
    check("a kept exception", __ExceptionPtrToBool(other));
    for (int i = 0; i < 2; i++)
        try {
            __ExceptionPtrRethrow(other);
        } catch (const std::logic_error &e) {
            check("thrown again", strcmp(e.what(), "kept") == 0);
        }
    __ExceptionPtrDestroy(other);
    destroyed = copied = 0;
    try {
        throw counted();
    } catch (const counted &) {
        __ExceptionPtrCurrentException(pointer);
    }
    __ExceptionPtrDestroy(pointer);
    check("copies of a class of the program", copied > 0 && destroyed == copied + 1);
}

static void exceptions()
{
    check("length_error", strcmp(caught<std::length_error>([] { std::_Xlength_error("too long"); }), "too long") == 0);
    check("as its base", strcmp(caught<std::exception>([] { std::_Xout_of_range("far out"); }), "far out") == 0);
    check("bad_alloc", strcmp(caught<std::bad_alloc>([] { std::_Xbad_alloc(); }), "bad allocation") == 0);
    bool other = false;
    try {
        counted c;
        std::_Xlength_error("x");
    } catch (const std::runtime_error &) {
        other = true;
    } catch (const std::logic_error &e) {
        std::logic_error copy(e);
        check("a copy", strcmp(copy.what(), "x") == 0);
    }
    check("the handler of its type", !other && destroyed == 1);
    try {
        std::_Throw_Cpp_error(0);
    } catch (const std::system_error &e) {
        check("system_error", e.code.value == 16 && strcmp(e.what(), "device or resource busy: device or resource busy") == 0);
    }
    kept_exceptions();
    own_buffer buffer;
    std::ostream out(&buffer, false);
    out.exceptions = 4;
    const char *what = "";
    static char text[64];
    try {
        out.setstate(4, false);
    } catch (const std::system_error &e) {
        for (int i = 0; i < 63 && (text[i] = e.what()[i]); i++)
            what = text;
    }
    check("a stream's failure", strcmp(what, "ios_base::badbit set: iostream stream error") == 0);
    check("none is left", std::uncaught_exceptions() == 0);
}

static void system_parts()
{
    check("texts of errors", strcmp(std::_Syserror_map(13), "permission denied") == 0);
    check("errors of Windows", std::_Winerror_map(2) == 2 && std::_Winerror_map(5) == 13);
    /* As the headers make a std::mutex: zeros, the kind and no owner. */
    alignas(8) int mutex[20] = {2};
    mutex[sizeof(void *) == 8 ? 18 : 10] = -1;
    check("lock", _Mtx_lock(mutex) == 0 && _Mtx_current_owns(mutex) == 1);
    check("a mutex is not taken twice", _Mtx_trylock(mutex) == 3);
    check("unlock", _Mtx_unlock(mutex) == 0 && _Mtx_current_owns(mutex) == 0);
}

extern "C" void mainCRTStartup()
{
    buffers_and_streams();
    exceptions();
    system_parts();
    std::cout << 7 << 0.25;
    std::cout.write(" cout\n", 6).flush();
    exit(0);
}
