/* The DLL that loader.c loads: exports by name, by ordinal and by forwarder (sampledll.def), a DllMain that records what it is
 * told, a thread-local variable, and a string table and version block (sampledll.rc). */
#define WIN32_LEAN_AND_MEAN
#include <windows.h>

static char history[64];
static int length;
static __thread int per_thread = 41;

BOOL WINAPI DllMain(HINSTANCE module, DWORD reason, void *reserved)
{
    (void)module;
    if (length < 60) history[length++] = reason == DLL_PROCESS_ATTACH ? (reserved ? 'S' : 'A') : "DATd"[reason & 3];
    return TRUE;
}
__declspec(dllexport) const char *dll_history(void) { return history; }
__declspec(dllexport) int dll_add(int a, int b) { return a + b; }
__declspec(dllexport) int dll_bump(void) { return ++per_thread; }
__declspec(dllexport) int dll_value = 1234;
__declspec(dllexport) double dll_mixed(int a, double b, float c, long long d) { return a + b * 2 + c * 4 + (double)d * 8; }
