/* Streams of Microsoft's C++ library, for char and for wchar_t alike: all that formats, all that parses, positions, what a program keeps
 * with a stream, punctuation of its own; and timed locks. Prints a line for each fact. */
#include "msvcp.h"

enum { blanks = 1, upper = 4, base = 8, point = 0x10, sign = 0x20, left = 0x40, internal = 0x100, dec = 0x200, oct = 0x400, hex = 0x800,
       scientific = 0x1000, fixed = 0x2000, words = 0x4000 };
enum { eof = 1, failed = 2, bad = 4 };

/* Writes to memory and reads from it, the library's way: by its areas. Knows positions. */
template <class C> class text_buffer : public std::basic_streambuf<C, std::char_traits<C>> {
public:
    typedef std::basic_streambuf<C, std::char_traits<C>> buffer;
    C text[256];
    text_buffer(const char *from = "")
    {
        int n = 0;
        for (; from[n]; n++)
            text[n] = (C)(unsigned char)from[n];
        this->setg(text, text, text + n);
        this->setp(text, text + 250);
    }
    bool is(const char *wanted)
    {
        *this->pptr() = 0;
        int i = 0;
        while (wanted[i] && text[i] == (C)(unsigned char)wanted[i])
            i++;
        bool same = !wanted[i] && !text[i];
        if (!same) {
            char shown[256];
            for (i = 0; text[i]; i++)
                shown[i] = (char)text[i];
            shown[i] = 0;
            puts(shown);
        }
        this->setp(text, text + 250);
        return same;
    }

protected:
    std::fpos<_Mbstatet> seekoff(streamsize offset, int from, int mode) override
    {
        if (mode & 2)
            return std::fpos<_Mbstatet>(this->pptr() - text + offset);
        C *to = (from == 0 ? this->eback() : from == 1 ? this->gptr() : this->egptr()) + offset;
        if (to < this->eback() || to > this->egptr())
            return std::fpos<_Mbstatet>(-1);
        this->setg(this->eback(), to, this->egptr());
        return std::fpos<_Mbstatet>(to - text);
    }
    std::fpos<_Mbstatet> seekpos(std::fpos<_Mbstatet> to, int mode) override { return seekoff(to.offset, 0, mode); }
};

template <class C> using out_stream = std::basic_ostream<C, std::char_traits<C>>;
template <class C> using in_stream = std::basic_istream<C, std::char_traits<C>>;

template <class C> static void formatting()
{
    text_buffer<C> b;
    out_stream<C> out(&b, false);
    out << 42 << -7LL << (short)-1;
    check("decimal", b.is("42-7-1"));
    out.setf(hex | base, dec | hex | base);
    out << 255 << (short)-1 << -1;
    check("hexadecimal", b.is("0xff0xffff0xffffffff"));
    out.setf(upper, upper);
    out << 255u;
    check("upper case", b.is("0XFF"));
    out.setf(oct, dec | oct | hex);
    out << 8 << 0;
    check("octal", b.is("0100"));
    out.flags = dec | sign;
    out << 5 << 5u;
    check("signs", b.is("+55"));
    out.flags = dec;
    out.fill('*');
    out.width = 5;
    out << -42;
    out.width = 5;
    out.setf(left, left | internal);
    out << -42;
    out.width = 5;
    out.setf(internal, left | internal);
    out << -42 << 1;
    check("filled", b.is("**-42-42**-**421"));
    out.flags = 0;
    out << 0.1 << ' ' * 1.0 << 1e10 << 1e-5;
    check("general", b.is("0.1321e+101e-05"));
    out.precision = 3;
    out << 3.14159 << 1234.5;
    check("precision", b.is("3.141.23e+03"));
    out.flags = fixed;
    out << 2.5 << -0.0005;
    check("fixed", b.is("2.500-0.001"));
    out.flags = scientific | upper;
    out << 12345.0;
    check("scientific", b.is("1.234E+04"));
    out.flags = point | sign;
    out << 2.0;
    check("point and sign", b.is("+2.00"));
    out.flags = fixed | scientific;
    out << 1.5;
    check("hexadecimal floats", b.is("0x1.8000000000000p+0"));
    out.flags = words;
    out << true << false;
    out.flags = 0;
    out << true;
    check("bool", b.is("truefalse1"));
    out << (const void *)0x1234;
    check("pointer", b.is(sizeof(void *) == 8 ? "0000000000001234" : "00001234"));
    text_buffer<C> source("copied");
    out << &source;
    check("a whole buffer", b.is("copied"));
    out << &source;
    check("an empty buffer fails", out.state == failed && out.fail());
    out << 1;
    check("nothing is written after a failure", b.is(""));
    auto m = std::setbase(16);
    m.function(out, m.argument);
    check("setbase", (out.flags & (dec | oct | hex)) == hex);
}

template <class C, class V> static V parsed(const char *text, int flags, int &state)
{
    text_buffer<C> b(text);
    in_stream<C> in(&b, false);
    in.flags = flags;
    V value = (V)99;
    in >> value;
    state = in.state;
    return value;
}

template <class C> static void parsing()
{
    int state;
    check("an int", parsed<C, int>(" 42 ", blanks | dec, state) == 42 && state == 0);
    check("up to the end", parsed<C, int>("-17", blanks | dec, state) == -17 && state == eof);
    check("blanks are not skipped", parsed<C, int>(" 1", dec, state) == 0 && state == failed);
    check("no number", parsed<C, int>("x", blanks | dec, state) == 0 && state == failed);
    check("nothing at all", parsed<C, int>("", blanks | dec, state) == 99 && state == (eof | failed));
    check("too large", parsed<C, int>("2147483648 ", dec, state) == 2147483647 && state == failed);
    check("too small", parsed<C, int>("-2147483649 ", dec, state) == -2147483647 - 1 && state == failed);
    check("a short", parsed<C, short>("40000 ", dec, state) == 32767 && state == failed);
    check("an unsigned short", parsed<C, unsigned short>("65535 ", dec, state) == 65535 && state == 0);
    check("a negative unsigned", parsed<C, unsigned>("-1 ", dec, state) == 0xFFFFFFFF && state == 0);
    check("hexadecimal", parsed<C, int>("0xFf ", hex, state) == 255 && state == 0);
    check("its own base", parsed<C, int>("0x10 ", 0, state) == 16 && parsed<C, int>("010 ", 0, state) == 8);
    check("octal", parsed<C, int>("779", oct, state) == 63 && state == 0);
    check("a long long", parsed<C, long long>("-9000000000 ", dec, state) == -9000000000LL && state == 0);
    check("an unsigned long long", parsed<C, unsigned long long>("18446744073709551615 ", dec, state) == ~0ULL && state == 0);
    check("a double", parsed<C, double>("1.5e2x", 0, state) == 150.0 && state == 0);
    check("a double without digits before the point", parsed<C, double>("-.25", 0, state) == -0.25 && state == eof);
    check("a float", parsed<C, float>("0.5 ", 0, state) == 0.5f && state == 0);
    check("an exponent without digits", parsed<C, double>("1e ", 0, state) == 0 && state == failed);
    check("bool", parsed<C, bool>("1 ", dec, state) && state == 0);
    check("bool in words", parsed<C, bool>("true ", words, state) && state == 0);
    check("other words", !parsed<C, bool>("trux ", words, state) && state == failed);
}

template <class C> static void unformatted()
{
    text_buffer<C> b("one\ntwo three\nfour");
    in_stream<C> in(&b, false);
    C line[16];
    check("a character", in.get() == 'o' && in.gcount() == 1 && in.peek() == 'n' && in.gcount() == 0);
    in.unget();
    in.getline(line, 16, '\n');
    check("a line", line[0] == 'o' && line[3] == 0 && in.gcount() == 4 && in.state == 0);
    in.get(line, 16, ' ');
    check("up to a delimiter", line[0] == 't' && line[3] == 0 && in.gcount() == 3 && in.peek() == ' ');
    in.ignore(100, '\n');
    check("ignored", in.gcount() == 7 && in.peek() == 'f');
    check("available", in.readsome(line, 2) == 2 && line[1] == 'o');
    in.read(line, 5);
    check("a short read", in.gcount() == 2 && in.state == (eof | failed));
    in.clear(0, false);
    check("position", in.tellg().offset == 18 && in.seekg(-4, 2).get() == 'f');
    in.seekg(std::fpos<_Mbstatet>(4));
    check("absolute", in.get() == 't');
    in.putback('t');
    check("put back", in.state == 0 && in.get() == 't');
    in.seekg(-1, 0);
    check("before the beginning", in.state == failed);
    in.clear(0, false);
    in.seekg(0, 0);
    in.getline(line, 3, '\n');
    check("a line that is too long", in.state == failed && line[1] == 'n' && line[2] == 0 && in.gcount() == 2);
    in.clear(0, false);
    in.seekg(0, 2);
    check("at the end", in.get() == (typename std::char_traits<C>::int_type)-1 && in.state == (eof | failed));
    check("the buffer's own", b.sungetc() == 'r' && b.sputbackc('u') == 'u' && b.snextc() == 'r' && b.in_avail() == 1);
    std::basic_iostream<C, std::char_traits<C>> both(&b);
    both.seekg(0, 0);
    both << 7;
    check("both ways", both.get() == '7' && both.state == 0);
}

static int events[3];
static void note(std::ios_base::event event, std::ios_base &, int) { events[event]++; }

/* What a program keeps with a stream. */
static void kept()
{
    int number = std::ios_base::xalloc();
    {
        text_buffer<char> b;
        std::ostream out(&b, false);
        out.iword(number) = 5;
        out.register_callback(note, number);
        check("a word", out.iword(number) == 5 && out.iword(std::ios_base::xalloc()) == 0);
    }
    check("the end of a stream is told", events[std::ios_base::erase] == 1);
}

extern "C" {
IMPORT int _Mtx_timedlock(void *, const long long *);
IMPORT long long _time64(long long *);
IMPORT int _Cnd_timedwait(void *, void *, const long long *);
}

/* The next full second, as xtime. */
static const long long *soon()
{
    static long long time[2];
    time[0] = _time64(nullptr) + 1;
    return time;
}

static void waits()
{
    alignas(8) int mutex[20] = {4}, condition[18] = {};
    mutex[sizeof(void *) == 8 ? 18 : 10] = -1;
    check("a free mutex", _Mtx_timedlock(mutex, soon()) == 0);
    const long long *until = soon();
    check("a wait that nobody ends", _Cnd_timedwait(condition, mutex, until) == 2 && _time64(nullptr) >= until[0]);
    check("the mutex is the thread's again", _Mtx_current_owns(mutex) == 1 && _Mtx_unlock(mutex) == 0);
}

extern "C" void mainCRTStartup()
{
    puts("char");
    formatting<char>();
    parsing<char>();
    unformatted<char>();
    puts("wchar_t");
    formatting<wchar_t>();
    parsing<wchar_t>();
    unformatted<wchar_t>();
    puts("both");
    kept();
    waits();
    exit(0);
}
