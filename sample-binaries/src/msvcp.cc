/* Microsoft's C++ library as programs made with Visual C++ use it: streams on a buffer of the program's own, whose virtual
 * functions the library calls; the standard streams; exceptions that the library throws; locales; mutexes.
 *
 * The parts of the library's interface that are used are declared here by hand; the import libraries are made of what the object file
 * imports. Prints a line for each fact. */
#define IMPORT __declspec(dllimport)
typedef long long streamsize;
typedef decltype(sizeof 0) size;

extern "C" {
IMPORT int puts(const char *);
IMPORT int strcmp(const char *, const char *);
IMPORT void free(void *);
IMPORT void *malloc(size);
IMPORT void exit(int);
IMPORT void __std_exception_copy(const void *, void *);
IMPORT void __std_exception_destroy(void *);
int _fltused = 1;
}

void *operator new(size n) { return malloc(n); }
void operator delete(void *p) noexcept { free(p); }
void operator delete(void *p, size) noexcept { free(p); }

/* Type descriptors refer to its virtual functions. */
class type_info {
public:
    virtual ~type_info();
};
type_info::~type_info() {}
type_info any_type;

struct _Mbstatet;

IMPORT void __ExceptionPtrCreate(void *);
IMPORT void __ExceptionPtrDestroy(void *);
IMPORT void __ExceptionPtrCopy(void *, const void *);
IMPORT void __ExceptionPtrCurrentException(void *);
IMPORT bool __ExceptionPtrToBool(const void *);
[[noreturn]] IMPORT void __ExceptionPtrRethrow(const void *);

namespace std {
template <class C> struct char_traits;

class locale {
public:
    class facet;
    class _Locimp;
    class id;
    IMPORT static const locale &classic();
    ~locale();
    void *unused;
    void *implementation;
};

struct exception_data { const char *what; bool owned; };

class exception {
public:
    exception() : data() {}
    exception(const exception &other) : data() { __std_exception_copy(&other.data, &data); }
    virtual ~exception() { __std_exception_destroy(&data); }
    virtual const char *what() const { return data.what ? data.what : "Unknown exception"; }
    exception_data data;
};
class logic_error : public exception {};
class length_error : public logic_error {};
class out_of_range : public logic_error {};
class runtime_error : public exception {};
class bad_alloc : public exception {};
class error_category;
struct error_code { int value; error_category *category; };
class _System_error : public runtime_error { public: error_code code; };
class system_error : public _System_error {};

[[noreturn]] IMPORT void _Xlength_error(const char *);
[[noreturn]] IMPORT void _Xout_of_range(const char *);
[[noreturn]] IMPORT void _Xbad_alloc();
[[noreturn]] IMPORT void _Throw_Cpp_error(int);
IMPORT int uncaught_exceptions();
IMPORT const char *_Syserror_map(int);
IMPORT int _Winerror_map(int);

/* What `setw` returns. */
class ios_base;
template <class A> struct _Smanip {
    _Smanip(void (*f)(ios_base &, A), A a) : function(f), argument(a) {}
    void (*function)(ios_base &, A);
    A argument;
};
IMPORT _Smanip<streamsize> setw(streamsize);
IMPORT _Smanip<streamsize> setprecision(streamsize);

template <class C, class T> class basic_streambuf {
public:
    IMPORT virtual ~basic_streambuf();
    IMPORT virtual void _Lock();
    IMPORT virtual void _Unlock();
    IMPORT int sgetc();
    IMPORT int sbumpc();
    IMPORT streamsize sputn(const C *, streamsize);

protected:
    IMPORT basic_streambuf();
    IMPORT virtual int overflow(int);
    IMPORT virtual int pbackfail(int);
    IMPORT virtual streamsize showmanyc();
    IMPORT virtual int underflow();
    IMPORT virtual int uflow();
    IMPORT virtual streamsize xsgetn(C *, streamsize);
    IMPORT virtual streamsize xsputn(const C *, streamsize);
    virtual void *seekoff(void *, streamsize, int, int) { return nullptr; }
    virtual void *seekpos(void *) { return nullptr; }
    virtual basic_streambuf *setbuf(C *, streamsize) { return this; }
    IMPORT virtual int sync();
    virtual void imbue(const locale &) {}

    C *get_first, *put_first, **get_first_at, **put_first_at, *get_next, *put_next, **get_next_at, **put_next_at;
    int get_left, put_left, *get_left_at, *put_left_at;
    locale *own_locale;
};

class ios_base {
public:
    virtual ~ios_base() {}
    size standard;
    int state, exceptions, flags;
    streamsize precision, width;
    void *words, *callbacks;
    locale *own_locale;
};

template <class C, class T> class basic_ostream;

template <class C, class T> class basic_ios : public ios_base {
public:
    IMPORT virtual ~basic_ios();
    IMPORT void setstate(int, bool);
    basic_streambuf<C, T> *buffer;
    basic_ostream<C, T> *tied;
    C fill;

protected:
    IMPORT basic_ios();
};

/* The library's streams tell how far their virtual base is from where it would be in a stream alone. */
#pragma vtordisp(push, 2)
template <class C, class T> class basic_ostream : virtual public basic_ios<C, T> {
public:
    IMPORT basic_ostream(basic_streambuf<C, T> *, bool);
    IMPORT virtual ~basic_ostream();
    IMPORT basic_ostream &operator<<(int);
    IMPORT basic_ostream &operator<<(unsigned);
    IMPORT basic_ostream &operator<<(long long);
    IMPORT basic_ostream &operator<<(unsigned long long);
    IMPORT basic_ostream &operator<<(double);
    IMPORT basic_ostream &operator<<(bool);
    IMPORT basic_ostream &put(C);
    IMPORT basic_ostream &write(const C *, streamsize);
    IMPORT basic_ostream &flush();
};
#pragma vtordisp(pop)
typedef basic_streambuf<char, char_traits<char>> streambuf;
typedef basic_ostream<char, char_traits<char>> ostream;
IMPORT extern ostream cout;
}

extern "C" {
IMPORT int _Mtx_lock(void *);
IMPORT int _Mtx_trylock(void *);
IMPORT int _Mtx_unlock(void *);
IMPORT int _Mtx_current_owns(void *);
}

static void check(const char *name, bool good)
{
    char line[128];
    char *to = line;
    for (const char *from = good ? "ok " : "FAIL "; *from; from++)
        *to++ = *from;
    for (const char *from = name; *from; from++)
        *to++ = *from;
    *to = 0;
    puts(line);
}

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
    check("a new stream is good", out.state == 0 && out.flags == 0x201 && out.precision == 6 && out.fill == ' ');
    out << 42 << -1LL;
    check("decimal", buffer.holds("42-1"));
    out.flags = 0x808;
    out << 255u << -1;
    check("hexadecimal", buffer.holds("0xff0xffffffff"));
    out.flags = 0x201;
    out.width = 6;
    out.fill = '.';
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
