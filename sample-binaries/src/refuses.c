/* A DLL whose DllMain fails: loader.c checks that LoadLibrary then fails with ERROR_DLL_INIT_FAILED. */
#define WIN32_LEAN_AND_MEAN
#include <windows.h>

BOOL WINAPI DllMain(HINSTANCE module, DWORD reason, void *reserved)
{
    (void)module; (void)reserved;
    return reason != DLL_PROCESS_ATTACH;
}
__declspec(dllexport) int refuses_unused(void) { return 0; }
