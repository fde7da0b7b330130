/* Microsoft's C++ library as its headers declare it, as far as the samples use it: by hand, as those headers are not to be had here. */
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
template <> struct char_traits<char> { typedef int int_type; };
template <> struct char_traits<wchar_t> { typedef unsigned short int_type; };
enum _Uninitialized { _Noinit };
template <class S> class fpos {
public:
    fpos(streamsize o) : offset(o), file(0), state() {}
    fpos(const fpos &f) : offset(f.offset), file(f.file), state() {}
    streamsize offset, file;
    int state[2];
};

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
IMPORT _Smanip<int> setbase(int);

template <class C, class T> class basic_streambuf {
public:
    typedef typename T::int_type integer;
    IMPORT virtual ~basic_streambuf();
    IMPORT virtual void _Lock();
    IMPORT virtual void _Unlock();
    IMPORT integer sgetc();
    IMPORT integer sbumpc();
    IMPORT integer snextc();
    IMPORT integer sputbackc(C);
    IMPORT integer sungetc();
    IMPORT integer sputc(C);
    IMPORT streamsize sputn(const C *, streamsize);
    IMPORT streamsize sgetn(C *, streamsize);
    IMPORT streamsize in_avail();

protected:
    IMPORT basic_streambuf();
    IMPORT virtual integer overflow(integer);
    IMPORT virtual integer pbackfail(integer);
    IMPORT virtual streamsize showmanyc();
    IMPORT virtual integer underflow();
    IMPORT virtual integer uflow();
    IMPORT virtual streamsize xsgetn(C *, streamsize);
    IMPORT virtual streamsize xsputn(const C *, streamsize);
    IMPORT virtual fpos<_Mbstatet> seekoff(streamsize, int, int);
    IMPORT virtual fpos<_Mbstatet> seekpos(fpos<_Mbstatet>, int);
    IMPORT virtual basic_streambuf *setbuf(C *, streamsize);
    IMPORT virtual int sync();
    IMPORT virtual void imbue(const locale &);
    IMPORT C *eback() const;
    IMPORT C *gptr() const;
    IMPORT C *egptr() const;
    IMPORT C *pbase() const;
    IMPORT C *pptr() const;
    IMPORT C *epptr() const;
    IMPORT void setg(C *, C *, C *);
    IMPORT void setp(C *, C *);
    IMPORT void gbump(int);
    IMPORT void pbump(int);
    IMPORT void _Init(C **, C **, int *, C **, C **, int *);

    C *get_first, *put_first, **get_first_at, **put_first_at, *get_next, *put_next, **get_next_at, **put_next_at;
    int get_left, put_left, *get_left_at, *put_left_at;
    locale *own_locale;
};

class ios_base {
public:
    virtual ~ios_base() {}
    IMPORT bool good() const;
    IMPORT bool fail() const;
    IMPORT int setf(int, int);
    IMPORT void unsetf(int);
    IMPORT void clear(int, bool);
    IMPORT long &iword(int);
    IMPORT static int xalloc();
    enum event { erase, imbued, copied };
    IMPORT void register_callback(void (*)(event, ios_base &, int), int);
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
    IMPORT C fill(C);
    basic_streambuf<C, T> *buffer;
    basic_ostream<C, T> *tied;
    C filler;

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
    IMPORT basic_ostream &operator<<(short);
    IMPORT basic_ostream &operator<<(const void *);
    IMPORT basic_ostream &operator<<(basic_streambuf<C, T> *);
    IMPORT basic_ostream &put(C);
    IMPORT basic_ostream &write(const C *, streamsize);
    IMPORT basic_ostream &flush();
};
template <class C, class T> class basic_istream : virtual public basic_ios<C, T> {
public:
    typedef typename T::int_type integer;
    IMPORT basic_istream(basic_streambuf<C, T> *, bool);
    IMPORT virtual ~basic_istream();
    IMPORT basic_istream &operator>>(short &);
    IMPORT basic_istream &operator>>(unsigned short &);
    IMPORT basic_istream &operator>>(int &);
    IMPORT basic_istream &operator>>(unsigned &);
    IMPORT basic_istream &operator>>(long long &);
    IMPORT basic_istream &operator>>(unsigned long long &);
    IMPORT basic_istream &operator>>(float &);
    IMPORT basic_istream &operator>>(double &);
    IMPORT basic_istream &operator>>(bool &);
    IMPORT integer get();
    IMPORT integer peek();
    IMPORT basic_istream &get(C *, streamsize, C);
    IMPORT basic_istream &getline(C *, streamsize, C);
    IMPORT basic_istream &ignore(streamsize, integer);
    IMPORT basic_istream &read(C *, streamsize);
    IMPORT streamsize readsome(C *, streamsize);
    IMPORT basic_istream &putback(C);
    IMPORT basic_istream &unget();
    IMPORT streamsize gcount() const;
    IMPORT fpos<_Mbstatet> tellg();
    IMPORT basic_istream &seekg(streamsize, int);
    IMPORT basic_istream &seekg(fpos<_Mbstatet>);
    streamsize count;
};
template <class C, class T> class basic_iostream : public basic_istream<C, T>, public basic_ostream<C, T> {
public:
    IMPORT basic_iostream(basic_streambuf<C, T> *);
    IMPORT virtual ~basic_iostream();
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

