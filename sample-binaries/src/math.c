/* The math library: exact cases to the last bit, others within an ulp or two; special values; fpclass; control word. */
#include "check.h"
#include <errno.h>
#include <float.h>
#include <math.h>
#include <string.h>
#include <stdlib.h>

static long long ulps(double a, double b)
{
    union { double d; long long i; } x, y;
    x.d = a; y.d = b;
    return x.i > y.i ? x.i - y.i : y.i - x.i;
}
#define CLOSE_TO(name, got, want) CHECK(name, ulps(got, want) <= 2)

/* Volatile arguments, so that the compiler calls the library rather than computing at build time. */
static volatile double zero = 0, one = 1, two = 2, half = 0.5, minus = -1, big = 1e300, three = 3;

typedef double(__cdecl *unary)(double);
typedef double(__cdecl *binary)(double, double);
typedef int(__cdecl *handler)(struct _exception *);
static struct _exception seen;
static char seen_name[16];
static int __cdecl handles(struct _exception *e)
{
    seen = *e;
    strcpy(seen_name, e->name);
    e->retval = 42;
    return e->type == _DOMAIN;
}
/* The DLL's own functions: those that compilers link have an errno of their own making. */
static void errors(void)
{
    static const struct { const char *name; double x; int want; } ones[] = {
        {"sin", HUGE_VAL, EDOM}, {"cos", -HUGE_VAL, EDOM}, {"tan", HUGE_VAL, EDOM}, {"asin", 2, EDOM}, {"acos", -2, EDOM},
        {"sqrt", -1, EDOM}, {"log", -1, EDOM}, {"log", 0, ERANGE}, {"log10", 0, ERANGE}, {"exp", 1000, ERANGE},
        {"sinh", -1000, ERANGE}, {"cosh", 1000, ERANGE}, {"exp", -1000, 0}, {"sqrt", 4, 0}, {"log", HUGE_VAL, 0}};
    static const struct { const char *name; double x, y; int want; } twos[] = {
        {"pow", 0, -1, ERANGE}, {"pow", -1, 0.5, EDOM}, {"pow", 10, 400, ERANGE}, {"pow", 10, -400, 0}, {"pow", 0, 0, 0},
        {"fmod", 1, 0, EDOM}, {"fmod", 5, 3, 0}};
    HMODULE crt = GetModuleHandleA("msvcrt.dll");
    void(__cdecl * set)(handler);
    unary root;
    unsigned i;
    if (!crt) crt = GetModuleHandleA("ucrtbase.dll");
    for (i = 0; i < sizeof ones / sizeof *ones; i++) {
        unary f = (unary)(void *)GetProcAddress(crt, ones[i].name);
        errno = 0;
        f(ones[i].x);
        CHECK_INT(ones[i].name, errno, ones[i].want);
    }
    for (i = 0; i < sizeof twos / sizeof *twos; i++) {
        binary f = (binary)(void *)GetProcAddress(crt, twos[i].name);
        errno = 0;
        f(twos[i].x, twos[i].y);
        CHECK_INT(twos[i].name, errno, twos[i].want);
    }
    set = (void(__cdecl *)(handler))(void *)GetProcAddress(crt, "__setusermatherr");
    root = (unary)(void *)GetProcAddress(crt, "sqrt");
    set(handles);
    errno = 0;
    CHECK_F64("a handler's result", root(-9), 42);
    CHECK_INT("leaves errno alone", errno, 0);
    CHECK("it knows what happened", seen.type == _DOMAIN && !strcmp(seen_name, "sqrt") && seen.arg1 == -9 && seen.retval != seen.retval);
    CHECK("what it does not handle", ((unary)(void *)GetProcAddress(crt, "exp"))(1000) == HUGE_VAL && errno == ERANGE && seen.type == _OVERFLOW);
    set(NULL);
}

int main(void)
{
    double ip;
    int e;
    CLOSE_TO("sin", sin(one), 0.8414709848078965);
    CLOSE_TO("cos", cos(one), 0.5403023058681398);
    CLOSE_TO("tan", tan(one), 1.5574077246549023);
#if defined(__aarch64__) /* GCC links the x87's own functions, which know no angle this large */
    CLOSE_TO("sin of a large angle", sin(big), -0.8178819121159085);
#endif
    CLOSE_TO("asin", asin(half), 0.5235987755982989);
    CLOSE_TO("acos", acos(half), 1.0471975511965979);
    CLOSE_TO("atan", atan(one), 0.7853981633974483);
    CLOSE_TO("atan2", atan2(minus, minus), -2.356194490192345);
    CLOSE_TO("sinh", sinh(one), 1.1752011936438014);
    CLOSE_TO("cosh", cosh(one), 1.5430806348152437);
    CLOSE_TO("tanh", tanh(one), 0.7615941559557649);
    CLOSE_TO("exp", exp(one), 2.718281828459045);
    CLOSE_TO("log", log(two), 0.6931471805599453);
    CLOSE_TO("log10", log10(two), 0.3010299956639812);
    CLOSE_TO("pow", pow(two, half), 1.4142135623730951);
    CHECK_F64("pow exact", pow(three, 5.0 * one), 243.0);
    CHECK_F64("pow zero exponent", pow(big, zero), 1.0);
    CHECK_F64("pow of a negative base", pow(-two, three), -8.0);
    CHECK_F64("sqrt", sqrt(two), 1.4142135623730951);
    CHECK_F64("floor", floor(-1.5 * one), -2.0);
    CHECK_F64("ceil", ceil(-1.5 * one), -1.0);
    CHECK_F64("fabs", fabs(-2.5 * one), 2.5);
    CHECK_F64("fmod", fmod(-7.5 * one, two), -1.5);
    CHECK_F64("modf", modf(-3.75 * one, &ip), -0.75);
    CHECK_F64("modf whole", ip, -3.0);
    CHECK_F64("frexp", frexp(48.0 * one, &e), 0.75);
    CHECK_INT("frexp exponent", e, 6);
    CHECK_F64("ldexp", ldexp(0.75 * one, 6), 48.0);
    CHECK_F64("hypot", _hypot(three, 4.0 * one), 5.0);
    errno = 0;
    CHECK("sqrt of a negative number", _isnan(sqrt(minus)));
#if !defined(__aarch64__) /* zig links functions of its own, which leave errno alone */
    CHECK_INT("sqrt EDOM", errno, EDOM);
#endif
    errno = 0;
    CHECK("log of zero", log(zero) == -HUGE_VAL);
#if !defined(__aarch64__)
    CHECK_INT("log ERANGE", errno, ERANGE);
#endif
    errno = 0;
    CHECK("exp overflow", exp(1000 * one) == HUGE_VAL);
#if !defined(__aarch64__)
    CHECK_INT("exp ERANGE", errno, ERANGE);
#endif
    CHECK("acos outside", _isnan(acos(two)));
    CHECK("_finite", _finite(one) && !_finite(HUGE_VAL));
    CHECK_F64("_copysign", _copysign(3.0, minus), -3.0);
    CHECK_F64("_logb", _logb(8.0 * one), 3.0);
    CHECK_F64("_nextafter", _nextafter(one, two), 1.0000000000000002);
    CHECK_F64("_scalb", _scalb(one, 4), 16.0);
    CHECK_INT("_fpclass normal", _fpclass(one), _FPCLASS_PN);
    CHECK_INT("_fpclass -0", _fpclass(-zero), _FPCLASS_NZ);
    CHECK_INT("_fpclass -inf", _fpclass(-HUGE_VAL), _FPCLASS_NINF);
    CHECK_INT("_fpclass denormal", _fpclass(4.9406564584124654e-324), _FPCLASS_PD);
    CHECK_HEX("_controlfp rounding", _controlfp(0, 0) & _MCW_RC, _RC_NEAR);
#ifdef _UCRT
    CHECK_F64("round", round(2.5 * one), 3.0);
    CHECK_F64("round negative", round(-2.5 * one), -3.0);
    CHECK_F64("trunc", trunc(-2.7 * one), -2.0);
    CHECK_F64("rint", rint(2.5 * one), 2.0);
    CHECK_INT("lrint", lrint(3.5 * one), 4);
    CHECK("llround", llround(2.5 * one) == 3);
    CLOSE_TO("cbrt", cbrt(27.0 * one), 3.0);
#if defined(__aarch64__) /* the x87 again */
    CLOSE_TO("expm1", expm1(1e-10 * one), 1.00000000005e-10);
    CLOSE_TO("log1p", log1p(1e-10 * one), 9.9999999995e-11);
#endif
    CLOSE_TO("log2", log2(8.0 * one), 3.0);
    CLOSE_TO("erf", erf(half), 0.5204998778130465);
    CLOSE_TO("tgamma", tgamma(5.0 * one), 24.0);
    CHECK_F64("fma", fma(two, three, one), 7.0);
    CHECK_F64("fmin with NaN", fmin(NAN, one), 1.0);
    CHECK_F64("remainder", remainder(7.0 * one, 4.0), -1.0);
    CHECK("sinf", fabsf(sinf((float)one) - 0.841471f) < 1e-6f);
    CHECK("powf", powf((float)two, 10.0f) == 1024.0f);
    CHECK("floorf", floorf((float)-half) == -1.0f);
#endif
    errors();
    return check_done();
}
