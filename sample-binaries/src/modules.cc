// Calls between a program and a DLL of its own, thrower.dll, which is in its import table: arguments and results of every kind, calls
// back, jumps, a variable, and exceptions that leave several modules at once.
#include "thrower.h"

extern "C" {
int __cdecl _write(int, const void *, unsigned);
[[noreturn]] void __cdecl _exit(int);
int _fltused = 1;
}
extern "C" void *type_info_vftable[2] __asm__("??_7type_info@@6B@");
void *type_info_vftable[2];

static unsigned checks, failures;
static void put(const char *s) { unsigned n = 0; while (s[n]) n++; _write(1, s, n); }
static void put_number(unsigned n) { char d[12]; int i = 11; d[i] = 0; do { d[--i] = '0' + n % 10; n /= 10; } while (n); put(d + i); }
static void check(const char *name, bool good)
{
    checks++;
    if (!good) failures++;
    put(good ? "ok " : "FAIL ");
    put(name);
    put("\n");
}

static int __cdecl half(int n) { return n / 2; }
static int __cdecl nested(int n) { return n ? thrower_call(nested, n - 1) : thrower_throw(5); }
static int __cdecl quiet(int n) { return n ? thrower_call(quiet, n - 1) : 0; }

__declspec(noinline) static void values()
{
    check("two numbers", thrower_add(40, 2) == 42);
    check("the callee removes its arguments", thrower_sum(1, 2, 3) == 6);
    check("floating-point numbers", thrower_mixed(1, 2.5, 0.5f, 3, 4, 0.25) == 104);
    Large large = {{1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12}};
    Large more = thrower_large(large, 100);
    check("a large structure", more.values[0] == 101 && more.values[11] == 112 && large.values[0] == 1);
    check("64 bits", thrower_wide("some text", L"wide text") == ((long long)'s' << 40 | 'w'));
    check("a variable", thrower_value == 1234);
    thrower_value++;
    check("the same variable", thrower_value == 1235);
    check("a call back", thrower_call(half, 84) == 43);
    check("calls inside each other", thrower_call(quiet, 20) == 21);
    check("a jump to the program", thrower_jump(half, 84) == 42);
    check("a jump to another function of the DLL", thrower_jump(thrower_throw, 0) >= 0);
    Thrower object(21);
    check("a method", object.twice() == 42);
    check("a static method", Thrower::divide(84, 2) == 42);
}

__declspec(noinline) static void exceptions()
{
    int before = thrower_throw(0), caught = 0;
    try { thrower_throw(7); } catch (int n) { caught = n; }
    check("thrown by the DLL", caught == 7);
    try { nested(10); caught = 0; } catch (int n) { caught = n; }
    check("through eleven calls of both", caught == 5);
    check("with all destructors", thrower_throw(0) == before + 13);
    const char *text = "";
    try { Thrower::divide(1, 0); } catch (const char *s) { text = s; }
    check("by a method", text[0] == 'd');
    try { thrower_jump(thrower_throw, 9); caught = 0; } catch (int n) { caught = n; }
    check("after a jump", caught == 9);
    for (int i = 0; i < 1000; i++) try { nested(3); } catch (int n) { caught += n; }
    check("again and again", caught == 5009);
    check("calls work afterwards", thrower_add(1, 2) == 3);
}

extern "C" [[noreturn]] void __cdecl mainCRTStartup()
{
    values();
    exceptions();
    put_number(checks);
    put(" checks, ");
    put_number(failures);
    put(" failures\n");
    _exit(failures != 0);
}
