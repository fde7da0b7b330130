/* Prints its arguments and environment as the C runtime and Win32 see them.
 *   args [ARGUMENT...]      each argument between brackets, narrow then wide; then the variables named SAMPLE_* */
#include "check.h"
#include <shellapi.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ASCII as it is, the rest as \uXXXX. */
static void put_wide(const WCHAR *s)
{
    for (; *s; s++)
        if (*s > 126) printf("\\u%04x", *s);
        else putchar(*s);
}

int main(int argc, char **argv)
{
    int i, n = 0;
    WCHAR **w = CommandLineToArgvW(GetCommandLineW(), &n), *block, *p;
    printf("argc %d %d\n", argc - 1, n - 1);
    for (i = 1; i < argc; i++) {
        const char *s = argv[i];
        while (*s && (unsigned char)*s < 127) s++;
        printf("[%s]\n", *s ? "not ASCII" : argv[i]); /* what it is then depends on the code page */
    }
    for (i = 1; i < n; i++) {
        printf("<");
        put_wide(w[i]);
        printf(">\n");
    }
    LocalFree(w);
    block = GetEnvironmentStringsW();
    for (p = block; *p; p += wcslen(p) + 1)
        if (!wcsncmp(p, L"SAMPLE_", 7)) {
            put_wide(p);
            putchar('\n');
        }
    FreeEnvironmentStringsW(block);
    return 0;
}
