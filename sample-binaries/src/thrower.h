// The DLL of modules.cc: functions of every shape, a class, a variable, and functions that throw through the module that calls them.
#ifdef THROWER
#define API __declspec(dllexport)
#else
#define API __declspec(dllimport)
#endif

struct Large { int values[12]; };
typedef int(__cdecl *Callback)(int);

extern "C" {
API extern int thrower_value;
API int __cdecl thrower_add(int a, int b);
API int __stdcall thrower_sum(int a, int b, int c);
API double __cdecl thrower_mixed(int a, double b, float c, long long d, int e, double f);
API Large __cdecl thrower_large(Large in, int more);
API long long __cdecl thrower_wide(const char *text, const wchar_t *wide);
API int __cdecl thrower_call(Callback f, int n);
API int __cdecl thrower_jump(Callback f, int n);
API int __cdecl thrower_throw(int n);
}
class API Thrower {
    int number;
public:
    Thrower(int number);
    int twice() const;
    static int divide(int a, int b);
};
