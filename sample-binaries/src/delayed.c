/* Delay-loaded imports: sampledll.dll is in the delay import table, so it is loaded by the first call and not before. */
#include "check.h"

int dll_add(int a, int b);
int dll_bump(void);

int main(void)
{
    CHECK("not loaded at start", GetModuleHandleA("sampledll.dll") == NULL);
    CHECK_INT("the first call", dll_add(20, 22), 42);
    CHECK("loads it", GetModuleHandleA("sampledll.dll") != NULL);
    CHECK_INT("another function", dll_bump(), 42);
    CHECK_INT("again", dll_add(1, 2), 3);
    return check_done();
}
