// See thrower.h.
#define THROWER
#include "thrower.h"

extern "C" int _fltused = 1;
extern "C" void *type_info_vftable[2] __asm__("??_7type_info@@6B@");
void *type_info_vftable[2];

int thrower_value = 1234;
static int destroyed;
struct Guard { __declspec(noinline) ~Guard() { destroyed++; } };

int __cdecl thrower_add(int a, int b) { return a + b; }
int __stdcall thrower_sum(int a, int b, int c) { return a + b + c; }
double __cdecl thrower_mixed(int a, double b, float c, long long d, int e, double f)
{
    return a + b * 2 + c * 4 + double(d) * 8 + e * 16 + f * 32;
}
Large __cdecl thrower_large(Large in, int more)
{
    for (int &v : in.values) v += more;
    return in;
}
long long __cdecl thrower_wide(const char *text, const wchar_t *wide) { return (long long)text[0] << 40 | wide[0]; }
int __cdecl thrower_call(Callback f, int n) { Guard g; return f(n) + 1; }
int __cdecl thrower_jump(Callback f, int n) { return f(n); } // ends with a jump
int __cdecl thrower_throw(int n)
{
    Guard g;
    if (n) throw n;
    return destroyed;
}
Thrower::Thrower(int number) : number(number) {}
int Thrower::twice() const { return number * 2; }
int Thrower::divide(int a, int b)
{
    if (!b) throw "division by zero";
    return a / b;
}
