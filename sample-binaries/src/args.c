/* Prints its arguments and environment as the C runtime and Win32 see them.
 *   args [ARGUMENT...]      each argument between brackets, narrow then wide; then the variables named SAMPLE_* */
#include "check.h"
#include <shellapi.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int main(int argc, char **argv)
{
    int i, n = 0;
    WCHAR **w = CommandLineToArgvW(GetCommandLineW(), &n), *block, *p;
    printf("argc %d %d\n", argc - 1, n - 1);
    for (i = 1; i < argc; i++) {
        const char *s = argv[i];
        printf("[");
        for (; *s; s++)
            if ((unsigned char)*s > 126) printf("\\x%02x", (unsigned char)*s);
            else putchar(*s);
        printf("]\n");
    }
    for (i = 1; i < n; i++) {
        const WCHAR *s = w[i];
        printf("<");
        for (; *s; s++)
            if (*s > 126) printf("\\u%04x", *s);
            else putchar(*s);
        printf(">\n");
    }
    LocalFree(w);
    block = GetEnvironmentStringsW();
    for (p = block; *p; p += wcslen(p) + 1)
        if (!wcsncmp(p, L"SAMPLE_", 7)) printf("%ls\n", p);
    FreeEnvironmentStringsW(block);
    return 0;
}
