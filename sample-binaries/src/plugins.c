/* What plug-ins change: a DLL that Windows does not have (greeting.dll), and a folder that is redirected. Without plug-ins
   neither is there, which is what it prints then. */
#include <stdio.h>
#include <windows.h>

typedef DWORD(WINAPI *greet_fn)(const WCHAR *name, WCHAR *text, DWORD size);
typedef ULONGLONG(WINAPI *multiply_fn)(ULONGLONG a, ULONGLONG b);

static void show(const char *how, HANDLE file)
{
    char text[64] = "";
    DWORD got = 0;
    if (file == INVALID_HANDLE_VALUE) {
        printf("%s: error %lu\n", how, GetLastError());
        return;
    }
    ReadFile(file, text, sizeof text - 1, &got, NULL);
    CloseHandle(file);
    printf("%s: %.*s\n", how, (int)got, text);
}

int main(void)
{
    HMODULE dll = LoadLibraryA("greeting.dll");
    if (!dll) {
        printf("greeting.dll: error %lu\n", GetLastError());
    } else {
        WCHAR text[32];
        greet_fn greet = (greet_fn)(void *)GetProcAddress(dll, "GreetW");
        multiply_fn multiply = (multiply_fn)(void *)GetProcAddress(dll, "Multiply");
        DWORD length = greet ? greet(L"plug-in", text, 32) : 0;
        printf("GreetW: %lu %ls\n", length, length ? text : L"");
        printf("GreetW into 3 characters: %lu\n", greet ? greet(L"plug-in", text, 3) : 0);
        if (multiply)
            printf("Multiply: %I64x\n", multiply(0x123456789ULL, 16));
    }
    show("CreateFileA", CreateFileA("C:\\Redirected\\note.txt", GENERIC_READ, 0, NULL, OPEN_EXISTING, 0, NULL));
    show("CreateFileW", CreateFileW(L"c:\\redirected\\note.txt", GENERIC_READ, 0, NULL, OPEN_EXISTING, 0, NULL));
    show("elsewhere", CreateFileW(L"C:\\redirectedbutnot\\note.txt", GENERIC_READ, 0, NULL, OPEN_EXISTING, 0, NULL));
    return 0;
}
