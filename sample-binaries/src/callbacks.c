/* Guest functions called by the runtime: qsort, bsearch, atexit and onexit order. The exit functions
 * print; their order is in the expected output. */
#include "check.h"
#include <search.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int by_value(const void *a, const void *b)
{
    int x = *(const int *)a, y = *(const int *)b;
    return (x > y) - (x < y);
}
static int by_text(const void *a, const void *b) { return strcmp(*(char *const *)a, *(char *const *)b); }
static double depth;
static int nested(const void *a, const void *b)
{
    int inner[4] = {4, 1, 3, 2};
    depth += 0.5;
    qsort(inner, 4, sizeof *inner, by_value); /* a callback that calls back */
    return inner[0] == 1 ? by_value(a, b) : 0;
}
#pragma pack(push, 1)
typedef struct { char key; char rest[6]; } odd;
#pragma pack(pop)
static int by_key(const void *a, const void *b) { return ((const odd *)a)->key - ((const odd *)b)->key; }

static void third(void) { check_put("exit 3 (atexit, registered first)"); check_flush(); }
static int __cdecl second(void) { check_put("exit 2 (_onexit)"); check_flush(); return 0; }
static void first(void) { check_put("exit 1 (atexit, registered last)"); check_flush(); }

int main(void)
{
    int v[2000], i, sorted = 1, key = 500, missing = 100000;
    char *words[] = {"pear", "apple", "fig", "date"};
    odd o[5] = {{'d', "ddddd"}, {'a', "aaaaa"}, {'c', "ccccc"}, {'e', "eeeee"}, {'b', "bbbbb"}};
    unsigned n = 2000, seed = 1;
    for (i = 0; i < 2000; i++) { seed = seed * 1103515245u + 12345u; v[i] = (int)(seed >> 16) % 1000; }
    v[7] = 500;
    qsort(v, 2000, sizeof *v, by_value);
    for (i = 1; i < 2000; i++) sorted &= v[i - 1] <= v[i];
    CHECK("qsort", sorted);
    CHECK("bsearch", bsearch(&key, v, 2000, sizeof *v, by_value) && *(int *)bsearch(&key, v, 2000, sizeof *v, by_value) == 500);
    CHECK("bsearch none", bsearch(&missing, v, 2000, sizeof *v, by_value) == NULL);
    qsort(words, 4, sizeof *words, by_text);
    CHECK("qsort pointers", !strcmp(words[0], "apple") && !strcmp(words[3], "pear"));
    qsort(o, 5, sizeof *o, by_key);
    CHECK("qsort odd sizes", o[0].key == 'a' && o[4].key == 'e' && !strcmp(o[2].rest, "ccccc"));
    qsort(v, 20, sizeof *v, nested);
    CHECK("qsort nested", depth > 0);
    qsort(v, 0, sizeof *v, by_value);
    CHECK("_lfind", _lfind(&key, v, &n, sizeof *v, by_value) != NULL);
    CHECK("_lfind none", _lfind(&missing, v, &n, sizeof *v, by_value) == NULL);
    atexit(third);
    _onexit((_onexit_t)second);
    atexit(first);
    exit(check_done());
}
