/* Number conversion: strtol and relatives, strtod's rounding, _itoa, _ecvt, byte order, overflow. */
#include "check.h"
#include <errno.h>
#include <float.h>
#include <inttypes.h>
#include <limits.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <wchar.h>

static void integers(void)
{
    char *end;
    wchar_t *wend;
    const char *s = "  -42abc";
    CHECK_INT("atoi", atoi("  42x"), 42);
    CHECK_INT("atoi none", atoi("x"), 0);
    CHECK_INT("atol", atol("-7"), -7);
    CHECK("_atoi64", _atoi64("-9223372036854775807") == -9223372036854775807LL);
    CHECK_INT("strtol", strtol(s, &end, 10), -42);
    CHECK_STR("strtol end", end, "abc");
    CHECK_INT("strtol base 16", strtol("0xfF", &end, 16), 255);
    CHECK_INT("strtol base 0 hex", strtol("0x10", NULL, 0), 16);
    CHECK_INT("strtol base 0 octal", strtol("010", NULL, 0), 8);
    CHECK_INT("strtol base 36", strtol("zz", NULL, 36), 1295);
    CHECK_INT("strtol base 2", strtol("1012", &end, 2), 5);
    CHECK_STR("strtol base 2 end", end, "2");
    s = "none";
    CHECK_INT("strtol no digits", strtol(s, &end, 10), 0);
    CHECK("strtol no digits end", end == s);
    errno = 0;
    CHECK_INT("strtol overflow", strtol("99999999999", NULL, 10), LONG_MAX);
    CHECK_INT("strtol overflow errno", errno, ERANGE);
    errno = 0;
    CHECK_INT("strtol underflow", strtol("-99999999999", NULL, 10), LONG_MIN);
    CHECK_INT("strtol underflow errno", errno, ERANGE);
    CHECK_INT("strtoul wraps a minus sign", strtoul("-1", NULL, 10), ULONG_MAX);
    errno = 0;
    CHECK_INT("strtoul overflow", strtoul("4294967296", NULL, 10), ULONG_MAX);
    CHECK_INT("strtoul overflow errno", errno, ERANGE);
    CHECK("_strtoi64", _strtoi64("-9223372036854775808", NULL, 10) == LLONG_MIN);
    CHECK("_strtoui64", _strtoui64("ffffffffffffffff", NULL, 16) == ULLONG_MAX);
    CHECK_INT("wcstol", wcstol(L"12x", &wend, 10), 12);
    CHECK_WSTR("wcstol end", wend, L"x");
}

static void floats(void)
{
    char *end;
    CHECK_F64("atof", atof("1.5e2"), 150.0);
    CHECK_F64("strtod", strtod(" -1.25e-2x", &end), -0.0125);
    CHECK_STR("strtod end", end, "x");
    CHECK_F64("strtod nearest", strtod("0.1", NULL), 0.1);
    CHECK_F64("strtod exact", strtod("9007199254740993", NULL), 9007199254740992.0);
    CHECK_F64("strtod long", strtod("3.14159265358979323846264338327950288", NULL), 3.14159265358979323846);
    CHECK_F64("strtod largest", strtod("1.7976931348623157e308", NULL), DBL_MAX);
    CHECK_F64("strtod smallest normal", strtod("2.2250738585072014e-308", NULL), DBL_MIN);
    CHECK_F64("strtod d exponent is not one", strtod("1.0", &end), 1.0);
    errno = 0;
    CHECK_F64("strtod overflow", strtod("1e999", NULL), HUGE_VAL);
    CHECK_INT("strtod overflow errno", errno, ERANGE);
    errno = 0;
    CHECK_F64("strtod no digits", strtod("e5", &end), 0.0);
    CHECK_STR("strtod no digits end", end, "e5");
    CHECK_F64("strtod lone exponent", strtod("1e+", &end), 1.0);
    CHECK_STR("strtod lone exponent end", end, "e+");
#ifdef _UCRT
    CHECK_F64("strtod hex", strtod("0x1.8p1", NULL), 3.0);
    CHECK("strtod inf", strtod("inf", NULL) == HUGE_VAL);
    CHECK("strtod nan", isnan(strtod("nan", NULL)));
    CHECK("strtof", strtof("0.1", NULL) == 0.1f);
    CHECK_F64("strtod halfway", strtod("1.00000000000000011102230246251565404236316680908203125", NULL), 1.0);
    CHECK_F64("strtod just over halfway", strtod("1.00000000000000011102230246251565404236316680908203126", NULL), 1.0000000000000002);
    CHECK_F64("strtod denormal", strtod("4.9406564584124654e-324", NULL), 4.9406564584124654e-324);
#endif
}

static void back(void)
{
    char b[70];
    wchar_t w[40];
    int decpt, sign;
    CHECK_STR("_itoa", _itoa(-255, b, 10), "-255");
    CHECK_STR("_itoa base 16 is unsigned", _itoa(-1, b, 16), "ffffffff");
    CHECK_STR("_itoa base 2", _itoa(5, b, 2), "101");
    CHECK_STR("_ultoa", _ultoa(4294967295ul, b, 10), "4294967295");
    CHECK_STR("_i64toa", _i64toa(LLONG_MIN, b, 10), "-9223372036854775808");
    CHECK_STR("_ui64toa", _ui64toa(ULLONG_MAX, b, 36), "3w5e11264sgsf");
    CHECK_WSTR("_itow", _itow(42, w, 10), L"42");
    CHECK_STR("_ecvt", _ecvt(3.14159, 4, &decpt, &sign), "3142");
    CHECK("_ecvt point", decpt == 1 && sign == 0);
    CHECK_STR("_fcvt", _fcvt(-3.14159, 2, &decpt, &sign), "314");
    CHECK("_fcvt point", decpt == 1 && sign == 1);
    CHECK_STR("_gcvt", _gcvt(2.5, 5, b), "2.5");
    CHECK_HEX("_byteswap_ulong", _byteswap_ulong(0x11223344), 0x44332211);
    CHECK_HEX("_byteswap_ushort", _byteswap_ushort(0x1122), 0x2211);
    CHECK_HEX("_rotl", _rotl(0x80000001u, 4), 0x18);
    CHECK_HEX("_rotr", _rotr(0x18u, 4), 0x80000001u);
    CHECK_INT("abs", abs(-3), 3);
    CHECK("_abs64", _abs64(-3000000000LL) == 3000000000LL);
}

/* Structures returned by value: in registers or through a hidden pointer, by the ABI of each machine. */
static void divisions(void)
{
    div_t d = div(-7, 2);
    ldiv_t l = ldiv(7, -2);
    CHECK_INT("div quotient", d.quot, -3);
    CHECK_INT("div remainder", d.rem, -1);
    CHECK_INT("ldiv quotient", l.quot, -3);
    CHECK_INT("ldiv remainder", l.rem, 1);
#ifdef _UCRT
    {
        lldiv_t q = lldiv(10000000000LL, 3);
        CHECK("lldiv", q.quot == 3333333333LL && q.rem == 1);
        imaxdiv_t m = imaxdiv(-10, 3);
        CHECK("imaxdiv", m.quot == -3 && m.rem == -1);
    }
#endif
}

/* rand's sequence is part of what programs see: the same in every version of the runtime. */
static void random_numbers(void)
{
    srand(1);
    CHECK_INT("rand 1", rand(), 41);
    CHECK_INT("rand 2", rand(), 18467);
    CHECK_INT("rand 3", rand(), 6334);
    srand(42);
    CHECK_INT("srand 42", rand(), 175);
    CHECK_INT("RAND_MAX", RAND_MAX, 0x7fff);
}

int main(void)
{
    integers();
    floats();
    back();
    divisions();
    random_numbers();
    return check_done();
}
