/* The scanf family: conversions, widths, sets, %n, suppression, stop conditions.
 * Documentation: "Format specification fields: scanf and wscanf functions". */
#include "check.h"
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void integers(void)
{
    int a = 0, b = 0, n = 0;
    unsigned u = 0;
    short h = 0;
    long l = 0;
    long long ll = 0;
    void *p = NULL;
    CHECK_INT("two ints", sscanf(" 12  -34", "%d%d", &a, &b), 2);
    CHECK_INT("two ints a", a, 12);
    CHECK_INT("two ints b", b, -34);
    CHECK_INT("hex", sscanf("0x1F", "%x", &u), 1);
    CHECK_INT("hex value", u, 31);
    CHECK_INT("hex no prefix", sscanf("ff", "%X", &u), 1);
    CHECK_INT("hex no prefix value", u, 255);
    CHECK_INT("octal", sscanf("017", "%o", &u), 1);
    CHECK_INT("octal value", u, 15);
    CHECK_INT("i hex", sscanf("0x10", "%i", &a), 1);
    CHECK_INT("i hex value", a, 16);
    CHECK_INT("i octal", sscanf("010", "%i", &a), 1);
    CHECK_INT("i octal value", a, 8);
    CHECK_INT("u", sscanf("4294967295", "%u", &u), 1);
    CHECK_INT("u value", u, 4294967295u);
    CHECK_INT("hd", sscanf("-5", "%hd", &h), 1);
    CHECK_INT("hd value", h, -5);
    CHECK_INT("ld", sscanf("123456", "%ld", &l), 1);
    CHECK_INT("ld value", l, 123456);
    CHECK_INT("lld", sscanf("-9223372036854775808", "%lld", &ll), 1);
    CHECK("lld value", ll == (-9223372036854775807LL - 1));
    CHECK_INT("I64d", sscanf("1234567890123", "%I64d", &ll), 1);
    CHECK("I64d value", ll == 1234567890123LL);
    CHECK_INT("p", sscanf("00001A2B", "%p", &p), 1);
    CHECK_HEX("p value", (uintptr_t)p, 0x1a2b);
    CHECK_INT("width", sscanf("12345", "%2d%3d", &a, &b), 2);
    CHECK_INT("width a", a, 12);
    CHECK_INT("width b", b, 345);
    CHECK_INT("suppressed", sscanf("1 2 3", "%d %*d %d", &a, &b), 2);
    CHECK_INT("suppressed b", b, 3);
    CHECK_INT("n", sscanf("abc 42xyz", "abc %d%n", &a, &n), 1);
    CHECK_INT("n value", n, 6);
}

static void text(void)
{
    char s[32], t[32], c = 0, cc[4] = "zzz";
    wchar_t w[16];
    int a = 0;
    CHECK_INT("s", sscanf("  hello world", "%s%s", s, t), 2);
    CHECK_STR("s first", s, "hello");
    CHECK_STR("s second", t, "world");
    CHECK_INT("s width", sscanf("abcdef", "%3s%s", s, t), 2);
    CHECK_STR("s width first", s, "abc");
    CHECK_STR("s width rest", t, "def");
    CHECK_INT("c takes blanks", sscanf(" x", "%c", &c), 1);
    CHECK_INT("c blank", c, ' ');
    CHECK_INT("2c", sscanf("ab", "%2c", cc), 1);
    CHECK("2c adds no terminator", cc[0] == 'a' && cc[1] == 'b' && cc[2] == 'z');
    CHECK_INT("set", sscanf("abc123", "%[a-z]%d", s, &a), 2);
    CHECK_STR("set text", s, "abc");
    CHECK_INT("set number", a, 123);
    CHECK_INT("negated set", sscanf("key=value", "%[^=]=%s", s, t), 2);
    CHECK_STR("negated set key", s, "key");
    CHECK_STR("negated set value", t, "value");
    CHECK_INT("set with bracket", sscanf("]]x", "%[]]", s), 1);
    CHECK_STR("set with bracket text", s, "]]");
    CHECK_INT("set width", sscanf("aaaa", "%2[a]", s), 1);
    CHECK_STR("set width text", s, "aa");
    CHECK_INT("ls", sscanf("wide", "%ls", w), 1);
    CHECK_WSTR("ls text", w, L"wide");
    CHECK_INT("S is wide", sscanf("wide2", "%S", w), 1);
    CHECK_WSTR("S text", w, L"wide2");
    CHECK_INT("hs", sscanf("narrow", "%hs", s), 1);
    CHECK_STR("hs text", s, "narrow");
    CHECK_INT("percent", sscanf("50%", "%d%%", &a), 1);
}

static void floats(void)
{
    float f = 0;
    double d = 0;
    CHECK_INT("f", sscanf("1.5", "%f", &f), 1);
    CHECK("f value", f == 1.5f);
    CHECK_INT("lf", sscanf("-2.5e3", "%lf", &d), 1);
    CHECK_F64("lf value", d, -2500.0);
    CHECK_INT("lg", sscanf(".25", "%lg", &d), 1);
    CHECK_F64("lg value", d, 0.25);
    CHECK_INT("le", sscanf("1e-3", "%le", &d), 1);
    CHECK_F64("le value", d, 0.001);
    CHECK_INT("exactly rounded", sscanf("0.1", "%lf", &d), 1);
    CHECK_F64("exactly rounded value", d, 0.1);
}

static void stops(void)
{
    int a = 77, b = 88;
    char s[8];
    CHECK_INT("no match", sscanf("xyz", "%d", &a), 0);
    CHECK_INT("no match leaves it", a, 77);
    CHECK_INT("empty input", sscanf("", "%d", &a), EOF);
    /* Wine 8's msvcrt answers 0. */
    CHECK_INT("blank input", sscanf("   ", "%d", &a), EOF);
    CHECK_INT("second fails", sscanf("5 x", "%d%d", &a, &b), 1);
    CHECK_INT("second fails leaves it", b, 88);
    CHECK_INT("literal mismatch", sscanf("5;6", "%d,%d", &a, &b), 1);
    CHECK_INT("ends before second", sscanf("5", "%d%s", &a, s), 1);
    CHECK_INT("blank matches any white space", sscanf("1\t\n 2", "%d %d", &a, &b), 2);
}

static void stream(void)
{
    FILE *f = fopen("scanf.in", "w+");
    int a = 0, b = 0;
    char s[16] = "";
    CHECK("open", f != NULL);
    if (!f) return;
    fputs("10 20\nname rest\n", f);
    rewind(f);
    CHECK_INT("fscanf", fscanf(f, "%d %d", &a, &b), 2);
    CHECK_INT("fscanf b", b, 20);
    CHECK_INT("fscanf string", fscanf(f, "%s", s), 1);
    CHECK_STR("fscanf text", s, "name");
    CHECK_INT("fscanf leaves the rest", fgetc(f), ' ');
    CHECK_INT("fscanf mismatch", fscanf(f, "%d", &a), 0);
    CHECK_INT("fscanf pushes the mismatch back", fgetc(f), 'r');
    CHECK_INT("fscanf to the end", fscanf(f, "%s", s), 1);
    CHECK_INT("fscanf EOF", fscanf(f, "%s", s), EOF);
    fclose(f);
    remove("scanf.in");
}

int main(void)
{
    integers();
    text();
    floats();
    stops();
    stream();
    return check_done();
}
