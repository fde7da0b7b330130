// C++ exceptions in Microsoft's ABI: the frame handlers and the throw of the runtime DLL, without any other library. Each check
// compares the trail of what ran with what the language asks for.
extern "C" {
int __cdecl _write(int, const void *, unsigned);
[[noreturn]] void __cdecl _exit(int);
void __cdecl qsort(void *, decltype(sizeof 0), decltype(sizeof 0), int(__cdecl *)(const void *, const void *));
int __cdecl __uncaught_exceptions();
typedef void(__cdecl *terminator)();
terminator __cdecl set_terminate(terminator);
int _fltused = 1;
}
// What every TypeDescriptor begins with; nobody looks at it here.
extern "C" void *type_info_vftable[2] __asm__("??_7type_info@@6B@");
void *type_info_vftable[2];

void operator delete(void *, decltype(sizeof 0)) noexcept {} // never called: nothing here is on a heap
static char trail[256];
static unsigned used, checks, failures;
static void mark(char c) { if (used < sizeof trail - 1) trail[used++] = c; trail[used] = 0; }
static void put(const char *s) { unsigned n = 0; while (s[n]) n++; _write(1, s, n); }
static void put_number(unsigned n) { char d[12]; int i = 11; d[i] = 0; do { d[--i] = '0' + n % 10; n /= 10; } while (n); put(d + i); }
static bool same(const char *a, const char *b) { while (*a && *a == *b) a++, b++; return *a == *b; }
static void check(const char *name, const char *want)
{
    checks++;
    if (same(trail, want)) { put("ok "); put(name); put("\n"); }
    else { failures++; put("FAIL "); put(name); put(" got "); put(trail); put(" want "); put(want); put("\n"); }
    used = 0; trail[0] = 0;
}

struct Guard { char c; __declspec(noinline) Guard(char c) : c(c) {} __declspec(noinline) ~Guard() { mark(c); } };
struct Value {
    int n;
    Value(int n) : n(n) {}
    __declspec(noinline) Value(const Value &o) : n(o.n) { mark('c'); }
    __declspec(noinline) ~Value() { mark('~'); }
};
struct Base { int b; Base() : b(1) {} virtual ~Base() {} virtual char name() const { return 'B'; } };
struct Other { int o; Other() : o(2) {} virtual ~Other() {} virtual char what() const { return 'O'; } };
struct Derived : Base, Other { char name() const override { return 'D'; } char what() const override { return 'd'; } };
struct Virtual : virtual Base { char name() const override { return 'V'; } };

__declspec(noinline) static void throw_value(int n) { Guard g('1'); throw Value(n); }
__declspec(noinline) static void deep(int n) { Guard g(char('a' + n)); if (n == 3) throw n; deep(n + 1); mark('!'); }

__declspec(noinline) static void kinds()
{
    try { deep(0); mark('!'); } catch (int n) { mark(char('0' + n)); }
    check("destructors innermost first", "dcba3");
    try { throw_value(5); } catch (const Value &v) { mark(char('0' + v.n)); }
    check("by reference: no copy, destroyed after the block", "15~");
    try { throw_value(6); } catch (Value v) { mark(char('0' + v.n)); }
    check("by value: copied before the unwind, both destroyed", "c16~~");
    try { throw_value(7); } catch (int) { mark('!'); } catch (...) { mark('*'); }
    check("by ellipsis", "1*~");
    try { throw Derived(); } catch (const Other &o) { mark(o.what()); }
    check("second base by reference", "d");
    try { throw Derived(); } catch (const Base &b) { mark(b.name()); }
    check("first base by reference", "D");
    try { throw Virtual(); } catch (const Base &b) { mark(b.name()); }
    check("virtual base by reference", "V");
    Derived object;
    try { throw &object; } catch (Other *o) { mark(o->what()); }
    check("pointer to second base", "d");
    try { throw &object; } catch (const void *p) { mark(p == static_cast<void *>(&object) ? 'p' : '!'); }
    check("pointer to void", "p");
    static int number = 4;
    try { throw &number; } catch (const int *p) { mark(char('0' + *p)); }
    check("pointer gains const", "4");
    static const int constant = 3;
    try { throw &constant; } catch (int *) { mark('!'); } catch (const int *p) { mark(char('0' + *p)); }
    check("pointer does not lose const", "3");
    try { throw 2.5f; } catch (double) { mark('!'); } catch (float f) { mark(f == 2.5f ? 'f' : '!'); }
    check("no conversions of numbers", "f");
}

__declspec(noinline) static void again() { throw; }
__declspec(noinline) static void rethrows()
{
    try { try { throw_value(1); } catch (Value &v) { v.n = 8; throw; } } catch (const Value &v) { mark(char('0' + v.n)); }
    check("rethrow keeps the object", "18~");
    try { try { throw_value(2); } catch (...) { Guard g('g'); again(); } } catch (const Value &v) { mark(char('0' + v.n)); }
    check("rethrow from a function", "1g2~");
    try {
        try { throw_value(3); } catch (const Value &) { Guard g('g'); throw 9; }
    } catch (int n) { mark(char('0' + n)); }
    check("another exception ends the first", "1g~9");
    try { throw_value(4); } catch (const Value &v) {
        try { throw 5; } catch (int n) { mark(char('0' + n)); }
        mark(char('0' + v.n));
    }
    check("nested handling", "154~");
    try { throw_value(1); } catch (const Value &) {
        try { throw 5; } catch (int) {
            try { throw; } catch (int n) { mark(char('0' + n)); }
        }
        try { throw; } catch (const Value &v) { mark(char('0' + v.n)); }
    }
    check("each level rethrows its own", "151~");
    try {
        try { Guard a('a'); try { Guard b('b'); throw 1; } catch (int) { Guard c('c'); throw 2.0; } }
        catch (double) { Guard d('d'); throw 'x'; }
    } catch (char c) { mark(c); }
    check("a chain of throws out of handlers", "bcadx");
}

__declspec(noinline) static int leave(int how)
{
    for (int i = 0; i < 3; i++) {
        Guard g('g');
        try { throw how; }
        catch (int n) {
            Guard h('h');
            if (n == 0) continue;
            if (n == 1) break;
            if (n == 2) return 7;
            goto out;
        }
    }
    return 1;
out:
    return 2;
}
__declspec(noinline) static void leaving()
{
    mark(char('0' + leave(0)));
    check("continue", "hghghg1");
    mark(char('0' + leave(1)));
    check("break", "hg1");
    mark(char('0' + leave(2)));
    check("return", "hg7");
    mark(char('0' + leave(3)));
    check("goto", "hg2");
}

static int __cdecl compare(const void *, const void *) { Guard g('q'); throw 3; }
struct Counts { __declspec(noinline) ~Counts() { mark(char('0' + __uncaught_exceptions())); } };
static int __cdecl inner(const void *a, const void *b)
{
    try { int v[2] = {2, 1}; qsort(v, 2, sizeof *v, compare); } catch (int) { mark('i'); throw 'y'; }
    return a < b;
}
__declspec(noinline) static void callbacks()
{
    int v[2] = {2, 1};
    try { Guard g('g'); qsort(v, 2, sizeof *v, compare); } catch (int n) { mark(char('0' + n)); }
    check("through a DLL's frames", "qg3");
    try { qsort(v, 2, sizeof *v, inner); } catch (char c) { mark(c); }
    check("twice", "qiy");
    try { Counts c; throw 1; } catch (int) { Counts c; }
    check("uncaught exceptions", "10");
    for (int i = 0; i < 20000; i++) { try { qsort(v, 2, sizeof *v, compare); } catch (int) {} used = 0; }
    trail[0] = 0;
    check("many times", "");
}

__declspec(noinline) static void constructing()
{
    struct Member { Guard a, b; Member() : a('a'), b('b') { throw 1; } };
    try { Member m; mark('!'); } catch (int) { mark('x'); }
    check("members of a half-made object", "bax");
    struct Array { static int &count() { static int n; return n; } Array() { if (++count() == 3) throw 2; } ~Array() { mark('-'); } };
    try { Array list[4]; mark('!'); } catch (int) { mark('x'); }
    check("elements of a half-made array", "--x");
    try { try { throw 1; } catch (int) { Guard g('g'); Guard h('h'); throw; } } catch (...) { mark('z'); }
    check("objects of a handler", "hgz");
}

__declspec(noinline) static void quiet() noexcept { Guard g('n'); throw 1; }
static void __cdecl last()
{
    checks++;
    put("ok noexcept ends in terminate\n");
    put_number(checks); put(" checks, "); put_number(failures); put(" failures\n");
    _exit(failures != 0);
}

extern "C" void __cdecl mainCRTStartup()
{
    kinds();
    rethrows();
    leaving();
    callbacks();
    constructing();
    set_terminate(last);
    void (*volatile call)() = quiet;
    try { call(); } catch (...) {}
    put("FAIL noexcept let an exception through\n");
    _exit(1);
}
