/* Facets of Microsoft's C++ library in the C locale, for char and for wchar_t: classes and cases of characters, conversion to bytes and
 * back, times from text; and the default resource of memory. Prints a line for each fact. */
#include "msvcp.h"

struct _Mbstatet { unsigned long wide; unsigned short byte, state; };
struct tm { int sec, min, hour, day, month, year, weekday, yearday, dst; };

namespace std {
template <class C> class ctype {
public:
    IMPORT static size _Getcat(const locale::facet **, const locale *);
    IMPORT C widen(char) const;
    IMPORT const char *widen(const char *, const char *, C *) const;
    IMPORT char narrow(C, char) const;
    IMPORT const C *narrow(const C *, const C *, char, char *) const;
    IMPORT C tolower(C) const;
    IMPORT C toupper(C) const;
    IMPORT const C *tolower(C *, const C *) const;
    IMPORT bool is(short, C) const;
    IMPORT const C *scan_is(short, const C *, const C *) const;
    IMPORT const C *scan_not(short, const C *, const C *) const;
};
template <class C, class B, class S> class codecvt {
public:
    IMPORT static size _Getcat(const locale::facet **, const locale *);
    IMPORT int in(S &, const B *, const B *, const B *&, C *, C *, C *&) const;
    IMPORT int out(S &, const C *, const C *, const C *&, B *, B *, B *&) const;
};
template <class C, class T> class istreambuf_iterator {
public:
    istreambuf_iterator(basic_streambuf<C, T> *b) : buffer(b), looked(b == nullptr), next(0) {}
    basic_streambuf<C, T> *buffer;
    bool looked;
    C next;
};
template <class C, class I> class time_get {
public:
    IMPORT static size _Getcat(const locale::facet **, const locale *);
    IMPORT I get(I, I, ios_base &, int &, tm *, const C *, const C *) const;
};
namespace pmr {
class memory_resource {
public:
    virtual ~memory_resource();
    virtual void *allocate(size, size);
    virtual void deallocate(void *, size, size);
    virtual bool equal(const memory_resource &) const;
};
}
}
extern "C" IMPORT std::pmr::memory_resource *_Aligned_get_default_resource();
extern "C" IMPORT std::pmr::memory_resource *_Aligned_new_delete_resource();

enum { upper = 1, digit = 4, space = 8 };

/* The facet of the C locale. */
template <class F> static const F &facet()
{
    const std::locale::facet *made = nullptr;
    F::_Getcat(&made, &std::locale::classic());
    return *(const F *)made;
}

template <class C> static bool same(const C *a, const char *b)
{
    while (*b && *a == (C)(unsigned char)*b)
        a++, b++;
    return !*b && !*a;
}

template <class C> static void cases()
{
    const std::ctype<C> &f = facet<std::ctype<C>>();
    C text[] = {'M', 'i', 'X', '1', 0};
    check("cases of a character", f.tolower('Q') == 'q' && f.toupper('q') == 'Q' && f.tolower('1') == '1');
    check("of a range", f.tolower(text, text + 4) == text + 4 && same(text, "mix1"));
    C wide[4] = {};
    char narrow[4] = {};
    const char bytes[] = "a z";
    check("bytes as characters", f.widen('x') == 'x' && f.widen(bytes, bytes + 3, wide) == bytes + 3 && same(wide, "a z"));
    check("characters as bytes", f.narrow('x', '?') == 'x' && f.narrow(wide, wide + 3, '?', narrow) == wide + 3 && same(narrow, "a z"));
}

static void classes()
{
    const std::ctype<wchar_t> &f = facet<std::ctype<wchar_t>>();
    const wchar_t text[] = L"ab 7";
    check("classes", f.is(upper, L'A') && !f.is(upper, L'a') && f.is(digit | space, L' '));
    check("the first of a class", f.scan_is(digit, text, text + 4) == text + 3 && f.scan_not(digit, text, text + 4) == text);
    check("a character that is no byte", f.narrow(0x3B1, '?') == '?');
}

static void conversions()
{
    const auto &f = facet<std::codecvt<wchar_t, char, _Mbstatet>>();
    _Mbstatet state = {};
    const char bytes[] = "ab\xE9";
    const char *from;
    wchar_t wide[4] = {}, *to;
    check("bytes to wide characters", f.in(state, bytes, bytes + 3, from, wide, wide + 4, to) == 0 && to == wide + 3 && wide[2] == 0xE9);
    check("no room", f.in(state, bytes, bytes + 3, from, wide, wide + 2, to) == 1 && from == bytes + 2);
    char back[4] = {}, *end;
    const wchar_t *taken, alpha[] = {L'x', 0x3B1, 0};
    check("and back", f.out(state, wide, wide + 3, taken, back, back + 4, end) == 0 && end == back + 3 && back[2] == '\xE9');
    check("no byte for it", f.out(state, alpha, alpha + 2, taken, back, back + 4, end) == 2 && taken == alpha + 1);
    const auto &plain = facet<std::codecvt<char, char, _Mbstatet>>();
    char same[4], *last;
    check("bytes stay bytes", plain.in(state, bytes, bytes + 3, from, same, same + 4, last) == 3);
}

/* Reads from a text. */
template <class C> class source : public std::basic_streambuf<C, std::char_traits<C>> {
public:
    C text[64];
    source(const char *from)
    {
        int n = 0;
        for (; from[n]; n++)
            text[n] = (C)from[n];
        this->setg(text, text, text + n);
    }
};

template <class C> static int read_time(const char *text, const char *pattern, tm &time)
{
    typedef std::istreambuf_iterator<C, std::char_traits<C>> iterator;
    const auto &f = facet<std::time_get<C, iterator>>();
    source<C> from(text);
    std::basic_istream<C, std::char_traits<C>> stream(&from, false);
    C wanted[64];
    int n = 0, state = 0;
    for (; pattern[n]; n++)
        wanted[n] = (C)pattern[n];
    time = {};
    f.get(iterator(&from), iterator(nullptr), stream, state, &time, wanted, wanted + n);
    return state;
}

template <class C> static void times()
{
    tm t;
    int state = read_time<C>("2024-02-29 13:05:09;", "%Y-%m-%d %H:%M:%S", t);
    check("a date and a time", state == 0 && t.year == 124 && t.month == 1 && t.day == 29 && t.hour == 13 && t.min == 5 && t.sec == 9);
    check("up to the end", read_time<C>("07:08", "%H:%M", t) == 1 && t.hour == 7 && t.min == 8);
    check("names", read_time<C>("Tue 5 March ", "%a %d %B ", t) == 0 && t.weekday == 2 && t.month == 2 && t.day == 5);
    check("another text", (read_time<C>("7x8 ", "%H:%M", t) & 2) != 0);
    check("a month too many", (read_time<C>("13 ", "%m", t) & 2) != 0);
}

static void memory()
{
    std::pmr::memory_resource *resource = _Aligned_get_default_resource();
    check("the default resource", resource == _Aligned_new_delete_resource() && resource->equal(*resource));
    void *small = resource->allocate(10, 8), *aligned = resource->allocate(100, 256);
    check("aligned memory", small && aligned && ((size)aligned & 255) == 0);
    resource->deallocate(small, 10, 8);
    resource->deallocate(aligned, 100, 256);
}

extern "C" void mainCRTStartup()
{
    puts("char");
    cases<char>();
    times<char>();
    puts("wchar_t");
    cases<wchar_t>();
    classes();
    conversions();
    times<wchar_t>();
    puts("memory");
    memory();
    exit(0);
}
