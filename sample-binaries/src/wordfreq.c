/* Counts words: the N most frequent of the files named, or of standard input.
 *   wordfreq [-n COUNT] [FILE...]
 * Shows argument parsing, text streams, malloc, qsort with a callback, and exit codes. */
#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { BUCKETS = 1 << 14, LONGEST = 128 };

typedef struct word {
    struct word *next;
    unsigned long count;
    char text[1];
} word;

static word *table[BUCKETS];
static size_t distinct;
static unsigned long total;

static unsigned hash(const char *s)
{
    unsigned h = 2166136261u;
    while (*s) h = (h ^ (unsigned char)*s++) * 16777619u;
    return h % BUCKETS;
}

static void add(const char *text)
{
    word **slot = &table[hash(text)], *w;
    total++;
    for (w = *slot; w; w = w->next)
        if (!strcmp(w->text, text)) { w->count++; return; }
    w = malloc(sizeof *w + strlen(text));
    if (!w) { fputs("wordfreq: out of memory\n", stderr); exit(2); }
    strcpy(w->text, text);
    w->count = 1;
    w->next = *slot;
    *slot = w;
    distinct++;
}

static void scan(FILE *in)
{
    char text[LONGEST + 1];
    int n = 0, c;
    while ((c = getc(in)) != EOF) {
        if (isalpha(c) || (c == '\'' && n)) { if (n < LONGEST) text[n++] = (char)tolower(c); continue; }
        while (n && text[n - 1] == '\'') n--;
        text[n] = 0;
        if (n) add(text);
        n = 0;
    }
    text[n] = 0;
    if (n) add(text);
}

static int more_frequent_first(const void *a, const void *b)
{
    const word *x = *(word *const *)a, *y = *(word *const *)b;
    if (x->count != y->count) return x->count < y->count ? 1 : -1;
    return strcmp(x->text, y->text);
}

int main(int argc, char **argv)
{
    size_t show = 10, i, n = 0;
    int arg = 1;
    word **all, *w;
    if (argc > 2 && !strcmp(argv[1], "-n")) { show = strtoul(argv[2], NULL, 10); arg = 3; }
    if (arg == argc) scan(stdin);
    for (; arg < argc; arg++) {
        FILE *in = fopen(argv[arg], "r");
        if (!in) { fprintf(stderr, "wordfreq: %s: %s\n", argv[arg], strerror(2)); return 1; }
        scan(in);
        fclose(in);
    }
    all = malloc((distinct ? distinct : 1) * sizeof *all);
    if (!all) { fputs("wordfreq: out of memory\n", stderr); return 2; }
    for (i = 0; i < BUCKETS; i++)
        for (w = table[i]; w; w = w->next) all[n++] = w;
    qsort(all, n, sizeof *all, more_frequent_first);
    printf("%lu words, %lu distinct\n", total, (unsigned long)distinct);
    for (i = 0; i < n && i < show; i++)
        printf("%7lu  %5.2f%%  %s\n", all[i]->count, 100.0 * (double)all[i]->count / (double)total, all[i]->text);
    free(all);
    return 0;
}
