/* The loader: LoadLibrary, GetProcAddress by name and ordinal, forwarders, DllMain's order, TLS callbacks and thread-local
 * variables of a DLL loaded later, load counts, failures, resources, and module information. */
#include "check.h"
#include <stdio.h>
#include <string.h>

static char tls_history[16];
static int tls_length;
static void NTAPI tls_callback(void *module, DWORD reason, void *reserved)
{
    (void)module; (void)reserved;
    if (tls_length < 15) tls_history[tls_length++] = "DATd"[reason & 3];
}
/* The linker gathers .CRT$XL? into the TLS directory's callback table. */
__attribute__((section(".CRT$XLD"), used)) static PIMAGE_TLS_CALLBACK tls_entry = tls_callback;
static __thread int own = 5;

typedef int (*int_fn)(void);
static int_fn bump;
static DWORD WINAPI in_thread(void *p)
{
    (void)p;
    own++;
    return (DWORD)(bump() * 100 + own);
}

/* Threads in turn may get memory that others have used before. */
static int stale_in_threads_in_turn(void)
{
    int stale = 0;
    for (int i = 0; i < 100; i++) {
        DWORD code = 0;
        HANDLE t = CreateThread(NULL, 0, in_thread, NULL, 0, NULL);
        WaitForSingleObject(t, INFINITE);
        GetExitCodeThread(t, &code);
        CloseHandle(t);
        stale += code != 4206;
    }
    return stale;
}

static void from_dll(HMODULE m)
{
    const char *(*history)(void) = (const char *(*)(void))(void *)GetProcAddress(m, "dll_history");
    int (*add)(int, int) = (int (*)(int, int))(void *)GetProcAddress(m, "dll_add");
    double (*mixed)(int, double, float, long long) = (double (*)(int, double, float, long long))(void *)GetProcAddress(m, "dll_mixed");
    HANDLE t;
    DWORD code = 0;
    CHECK("by name", history && add && mixed);
    if (!history || !add || !mixed) return;
    CHECK_STR("DllMain saw a dynamic attach", history(), "A");
    CHECK_INT("call", add(40, 2), 42);
    CHECK_F64("mixed arguments", mixed(1, 2.5, 3.5f, 4), 52.0);
    CHECK("by ordinal", (void *)GetProcAddress(m, (char *)77) == (void *)(uintptr_t)add);
    CHECK("data", *(int *)(void *)GetProcAddress(m, "dll_value") == 1234);
    CHECK("forwarder", GetProcAddress(m, "dll_forwarded") == GetProcAddress(GetModuleHandleA("kernel32"), "GetTickCount"));
    CHECK_ERR("missing name", GetProcAddress(m, "dll_none"), ERROR_PROC_NOT_FOUND);
    CHECK_ERR("names have case", GetProcAddress(m, "DLL_ADD"), ERROR_PROC_NOT_FOUND);
    /* Wine 8 answers ERROR_PROC_NOT_FOUND. */
    CHECK_ERR("missing ordinal", GetProcAddress(m, (char *)999), ERROR_INVALID_ORDINAL);
    bump = (int_fn)(void *)GetProcAddress(m, "dll_bump");
    CHECK_INT("thread-local variable of a late DLL", bump(), 42);
    CHECK_INT("kept", bump(), 43);
    t = CreateThread(NULL, 0, in_thread, NULL, 0, NULL);
    WaitForSingleObject(t, INFINITE);
    GetExitCodeThread(t, &code);
    CloseHandle(t);
    CHECK_INT("fresh in another thread, also in the program", code, 4206);
    CHECK_STR("DllMain saw the thread", history(), "ATd");
    CHECK_STR("so did the TLS callback", tls_history, "ATd");
}

static void resources(HMODULE m)
{
    char b[64];
    HRSRC r = FindResourceA(m, MAKEINTRESOURCEA(300), (char *)RT_RCDATA);
    CHECK("FindResource", r != NULL);
    CHECK("its bytes", r && SizeofResource(m, r) == 10 && !memcmp(LockResource(LoadResource(m, r)), "raw bytes", 10));
    r = FindResourceA(m, "NAMED", (char *)RT_RCDATA);
    CHECK("by name", r != NULL && SizeofResource(m, r) == 6);
    CHECK_ERR("no such name", FindResourceA(m, "none", (char *)RT_RCDATA), ERROR_RESOURCE_NAME_NOT_FOUND);
    CHECK_ERR("no such type", FindResourceA(m, "none", "notype"), ERROR_RESOURCE_TYPE_NOT_FOUND);
    CHECK_INT("LoadString", LoadStringA(m, 1, b, sizeof b), 12);
    CHECK_STR("LoadString text", b, "first string");
    CHECK_INT("LoadString truncates", LoadStringA(m, 17, b, 7), 6);
    CHECK_STR("LoadString truncated text", b, "second");
    CHECK_INT("LoadString, missing", LoadStringA(m, 2, b, sizeof b), 0);
}

static void versions(const char *file)
{
    DWORD zero = 9, size = GetFileVersionInfoSizeA(file, &zero);
    UINT n = 0;
    char *block, *text = NULL;
    VS_FIXEDFILEINFO *fixed = NULL;
    CHECK("GetFileVersionInfoSize", size > 0 && zero == 0);
    if (!size) return;
    block = HeapAlloc(GetProcessHeap(), 0, size);
    CHECK("GetFileVersionInfo", GetFileVersionInfoA(file, 0, size, block));
    CHECK("root", VerQueryValueA(block, "\\", (void **)&fixed, &n) && n == sizeof *fixed);
    CHECK_HEX("file version", fixed ? fixed->dwFileVersionLS : 0, 0x30004);
    CHECK("text", VerQueryValueA(block, "\\StringFileInfo\\040904B0\\ProductName", (void **)&text, &n));
    CHECK_STR("product name", text, "Transom samples");
    CHECK("missing text", !VerQueryValueA(block, "\\StringFileInfo\\040904B0\\None", (void **)&text, &n));
}

/* Functions that several DLLs export, and headers read in memory. */
static void system_dlls(HMODULE kernel)
{
    typedef PIMAGE_NT_HEADERS (NTAPI *nt_fn)(void *);
    typedef void *(NTAPI *directory_fn)(void *, BOOLEAN, USHORT, ULONG *);
    typedef PIMAGE_SECTION_HEADER (NTAPI *section_fn)(PIMAGE_NT_HEADERS, void *, ULONG);
    typedef void *(NTAPI *in_file_fn)(PIMAGE_NT_HEADERS, void *, ULONG);
    HMODULE n = GetModuleHandleA("ntdll.dll"), base = GetModuleHandleA("kernelbase.dll");
    size_t (*length)(const wchar_t *) = (size_t (*)(const wchar_t *))(void *)GetProcAddress(n, "wcslen");
    char *self = (char *)GetModuleHandleA(NULL);
    nt_fn headers = (nt_fn)(void *)GetProcAddress(n, "RtlImageNtHeader");
    directory_fn directory = (directory_fn)(void *)GetProcAddress(n, "RtlImageDirectoryEntryToData");
    section_fn section = (section_fn)(void *)GetProcAddress(n, "RtlImageRvaToSection");
    in_file_fn in_file = (in_file_fn)(void *)GetProcAddress(n, "RtlAddressInSectionTable");
    PIMAGE_NT_HEADERS nt;
    PIMAGE_SECTION_HEADER s;
    ULONG size = 0;
    CHECK("kernelbase is always there", base && GetProcAddress(base, "CreateFileW"));
    CHECK("by GetProcAddress as well", GetProcAddress(kernel, "GetTickCount") != NULL);
    CHECK_INT("a C function of ntdll", length ? length(L"abc") : 0, 3);
    CHECK("functions on headers", headers && directory && section && in_file);
    if (!headers || !directory || !section || !in_file) return;
    nt = headers(self);
    CHECK("NT headers", nt && nt->Signature == IMAGE_NT_SIGNATURE && nt->FileHeader.NumberOfSections > 2);
    s = section(nt, self, nt->OptionalHeader.AddressOfEntryPoint);
    CHECK("the section of the entry point", s && (s->Characteristics & IMAGE_SCN_MEM_EXECUTE));
    CHECK("where its file has it", s && (char *)in_file(nt, self, s->VirtualAddress + 8) == self + s->PointerToRawData + 8);
    CHECK("no section", !section(nt, self, 0xFFFFF000u) && !in_file(nt, self, 0xFFFFF000u));
    CHECK("the import directory", (char *)directory(self, TRUE, IMAGE_DIRECTORY_ENTRY_IMPORT, &size) ==
          self + nt->OptionalHeader.DataDirectory[IMAGE_DIRECTORY_ENTRY_IMPORT].VirtualAddress);
    CHECK_INT("its size", size, nt->OptionalHeader.DataDirectory[IMAGE_DIRECTORY_ENTRY_IMPORT].Size);
    CHECK("a directory that is not there", !directory(self, TRUE, IMAGE_DIRECTORY_ENTRY_ARCHITECTURE, &size) && size == 0);
}

/* Resources put into a copy of a DLL, and taken out again. */
static void updates(const char *dll)
{
    static const char copy[] = "loader-updated.dll";
    static char large[0x6000];
    HANDLE u;
    HMODULE m;
    HRSRC r;
    int (*add)(int, int);
    memset(large, 'x', sizeof large);
    CHECK("copy", CopyFileA(dll, copy, FALSE));
    CHECK_ERR("no file", BeginUpdateResourceA("no-such-file.dll", FALSE), ERROR_FILE_NOT_FOUND);
    u = BeginUpdateResourceA(copy, FALSE);
    CHECK("BeginUpdateResource", u != NULL);
    CHECK("a number", UpdateResourceA(u, (char *)RT_RCDATA, MAKEINTRESOURCEA(301), 0x409, large, sizeof large));
    CHECK("a name", UpdateResourceA(u, "KIND", "Some", 0, (void *)"abc", 3));
    CHECK("EndUpdateResource", EndUpdateResourceA(u, FALSE));
    CHECK_ERR("ended", EndUpdateResourceA(u, FALSE), ERROR_INVALID_HANDLE);
    m = LoadLibraryA(copy);
    CHECK("it still loads", m != NULL);
    r = FindResourceA(m, MAKEINTRESOURCEA(301), (char *)RT_RCDATA);
    CHECK("found by number", r && SizeofResource(m, r) == sizeof large && !memcmp(LockResource(LoadResource(m, r)), large, sizeof large));
    r = FindResourceA(m, "some", "kind");
    CHECK("found by name", r && SizeofResource(m, r) == 3 && !memcmp(LockResource(LoadResource(m, r)), "abc", 3));
    CHECK("the others are there", FindResourceA(m, MAKEINTRESOURCEA(300), (char *)RT_RCDATA) != NULL);
    add = (int (*)(int, int))(void *)GetProcAddress(m, "dll_add");
    CHECK_INT("its functions work", add ? add(40, 2) : 0, 42);
    FreeLibrary(m);
    u = BeginUpdateResourceA(copy, FALSE);
    CHECK("deleting", UpdateResourceA(u, "KIND", "SOME", 0, NULL, 0) && EndUpdateResourceA(u, FALSE));
    u = BeginUpdateResourceA(copy, TRUE);
    CHECK("discarding", EndUpdateResourceA(u, TRUE));
    m = LoadLibraryExA(copy, NULL, LOAD_LIBRARY_AS_DATAFILE);
    CHECK_ERR("deleted", FindResourceA(m, "SOME", "KIND"), ERROR_RESOURCE_TYPE_NOT_FOUND);
    CHECK("discarded", FindResourceA(m, MAKEINTRESOURCEA(301), (char *)RT_RCDATA) != NULL);
    FreeLibrary(m);
    CHECK("removed", DeleteFileA(copy));
}

/* Whether a DLL is found by its name alone, with flags. */
static BOOL loads(const char *name, DWORD flags)
{
    HMODULE m = LoadLibraryExA(name, NULL, flags);
    return m && FreeLibrary(m);
}

/* Where DLLs are looked for. */
static void search_order(const char *dll)
{
    char old[4096], path[4200], here[MAX_PATH], file[MAX_PATH + 20];
    WCHAR wide[MAX_PATH];
    DLL_DIRECTORY_COOKIE cookie;
    DWORD named = LOAD_LIBRARY_SEARCH_USER_DIRS;
    GetCurrentDirectoryA(sizeof here, here);
    CreateDirectoryA("loader-folder", NULL);
    CHECK("copy", CopyFileA(dll, "loader-folder\\elsewhere.dll", FALSE));
    lstrcatA(here, "\\loader-folder");
    MultiByteToWideChar(CP_ACP, 0, here, -1, wide, MAX_PATH);
    CHECK_ERR("not in the search order", loads("elsewhere.dll", 0), ERROR_MOD_NOT_FOUND);
    GetEnvironmentVariableA("PATH", old, sizeof old);
    sprintf(path, "%s;%s", old, here);
    SetEnvironmentVariableA("PATH", path);
    CHECK("found along PATH", loads("elsewhere.dll", 0) && loads("Elsewhere", 0));
    CHECK_ERR("PATH is not searched for named places", loads("elsewhere.dll", LOAD_LIBRARY_SEARCH_DEFAULT_DIRS), ERROR_MOD_NOT_FOUND);
    SetEnvironmentVariableA("PATH", old);
    CHECK("SetDllDirectory", SetDllDirectoryA(here) && loads("elsewhere.dll", 0) && SetDllDirectoryA(NULL));
    CHECK_ERR("SetDllDirectory undone", loads("elsewhere.dll", 0), ERROR_MOD_NOT_FOUND);
    cookie = AddDllDirectory(wide);
    CHECK("AddDllDirectory", cookie != NULL && loads("elsewhere.dll", named) && loads("elsewhere.dll", LOAD_LIBRARY_SEARCH_DEFAULT_DIRS));
    CHECK_ERR("only where it is asked for", loads("elsewhere.dll", 0), ERROR_MOD_NOT_FOUND);
    CHECK("RemoveDllDirectory", RemoveDllDirectory(cookie));
    CHECK_ERR("removed", loads("elsewhere.dll", named), ERROR_MOD_NOT_FOUND);
    sprintf(file, "%s\\elsewhere.dll", here);
    CHECK("with its folder", loads(file, LOAD_LIBRARY_SEARCH_DLL_LOAD_DIR) && loads(file, LOAD_WITH_ALTERED_SEARCH_PATH));
    CHECK_ERR("the DLL's own folder needs a full path", loads("elsewhere.dll", LOAD_LIBRARY_SEARCH_DLL_LOAD_DIR), ERROR_INVALID_PARAMETER);
    CHECK_ERR("two orders at once", loads(file, LOAD_WITH_ALTERED_SEARCH_PATH | named), ERROR_INVALID_PARAMETER);
    CHECK_ERR("no default place", SetDefaultDllDirectories(0), ERROR_INVALID_PARAMETER);
    CHECK("the system's", loads("version.dll", LOAD_LIBRARY_SEARCH_SYSTEM32));
    CHECK("removed", DeleteFileA("loader-folder\\elsewhere.dll") && RemoveDirectoryA("loader-folder"));
}

int main(void)
{
    char path[MAX_PATH];
    HMODULE m, again, k = GetModuleHandleA("KERNEL32.DLL");
    const char *(*history)(void);
    CHECK_STR("TLS callback before main", tls_history, "A");
    CHECK("kernel32", k && k == GetModuleHandleW(L"kernel32"));
    CHECK("the program", GetModuleHandleA(NULL) && *(WORD *)GetModuleHandleA(NULL) == IMAGE_DOS_SIGNATURE);
    system_dlls(k);
    CHECK_ERR("a missing DLL", LoadLibraryA("no-such-dll-here.dll"), ERROR_MOD_NOT_FOUND);
    CHECK_ERR("not loaded", GetModuleHandleA("sampledll.dll"), ERROR_MOD_NOT_FOUND);
    m = LoadLibraryA("sampledll.dll");
    CHECK("LoadLibrary", m != NULL);
    if (!m) return check_done();
    from_dll(m);
    again = LoadLibraryA("SampleDLL"); /* without the extension, in another case */
    CHECK("the same module", again == m);
    history = (const char *(*)(void))(void *)GetProcAddress(m, "dll_history");
    CHECK_STR("attached once", history(), "ATd");
    CHECK_INT("fresh in each of many threads", stale_in_threads_in_turn(), 0);
    CHECK("GetModuleFileName", GetModuleFileNameA(m, path, sizeof path) > 0 && strlen(path) > 13 && !_stricmp(path + strlen(path) - 13, "sampledll.dll"));
    CHECK("GetModuleHandleEx by address", GetModuleHandleExA(GET_MODULE_HANDLE_EX_FLAG_FROM_ADDRESS | GET_MODULE_HANDLE_EX_FLAG_UNCHANGED_REFCOUNT,
          (const char *)(uintptr_t)history, &again) && again == m);
    resources(m);
    versions(path);
    updates(path);
    search_order(path);
    CHECK("FreeLibrary", FreeLibrary(m));
    CHECK("still loaded", GetModuleHandleA("sampledll") == m);
    CHECK("FreeLibrary last", FreeLibrary(m));
    CHECK("unloaded", GetModuleHandleA("sampledll") == NULL);
    CHECK_ERR("FreeLibrary of nothing", FreeLibrary(m), ERROR_MOD_NOT_FOUND);
    CHECK_ERR("DllMain refuses", LoadLibraryA("refuses.dll"), ERROR_DLL_INIT_FAILED);
    CHECK("not loaded after refusing", GetModuleHandleA("refuses.dll") == NULL);
    m = LoadLibraryExA("sampledll.dll", NULL, LOAD_LIBRARY_AS_DATAFILE);
    CHECK("as a data file", m != NULL && FindResourceA(m, MAKEINTRESOURCEA(300), (char *)RT_RCDATA));
    FreeLibrary(m);
    CHECK("CRT by GetProcAddress", GetProcAddress(LoadLibraryA("msvcrt.dll"), "strlen") != NULL);
    CHECK_ERR("GetProcAddress, missing", GetProcAddress(k, "NoSuchFunction"), ERROR_PROC_NOT_FOUND);
    return check_done();
}
