/* Virtual memory, heaps, global and local memory, and the malloc family.
 * Documentation: VirtualAlloc, VirtualFree, VirtualProtect, VirtualQuery, HeapAlloc, GlobalAlloc, _aligned_malloc. */
#include "check.h"
#include <errno.h>
#include <malloc.h>
#include <stdlib.h>
#include <string.h>

static MEMORY_BASIC_INFORMATION query(const void *p)
{
    MEMORY_BASIC_INFORMATION m;
    memset(&m, 0, sizeof m);
    CHECK_INT("VirtualQuery size", VirtualQuery(p, &m, sizeof m), sizeof m);
    return m;
}

static void reserve_and_commit(void)
{
    MEMORY_BASIC_INFORMATION m;
    DWORD old = 0;
    char *p = VirtualAlloc(NULL, 0x30000, MEM_RESERVE, PAGE_READWRITE), *q;
    CHECK("reserve", p != NULL);
    CHECK_HEX("64 KiB granularity", (uintptr_t)p & 0xffff, 0);
    m = query(p + 0x1234);
    CHECK_HEX("reserved state", m.State, MEM_RESERVE);
    CHECK_HEX("reserved protect", m.Protect, 0);
    CHECK_HEX("reserved allocation protect", m.AllocationProtect, PAGE_READWRITE);
    CHECK("base rounds to a page", m.BaseAddress == p + 0x1000 && m.AllocationBase == p);
    CHECK_HEX("region size", m.RegionSize, 0x2f000);
    CHECK_HEX("type", m.Type, MEM_PRIVATE);
    q = VirtualAlloc(p + 0x10000, 0x1001, MEM_COMMIT, PAGE_READWRITE);
    CHECK("commit rounds up", q == p + 0x10000);
    CHECK_INT("zeroed", q[0] | q[0x1fff], 0);
    q[0x1fff] = 5;
    m = query(q);
    CHECK_HEX("committed state", m.State, MEM_COMMIT);
    CHECK_HEX("committed protect", m.Protect, PAGE_READWRITE);
    CHECK_HEX("committed size", m.RegionSize, 0x2000);
    CHECK("commit again is harmless", VirtualAlloc(q, 0x2000, MEM_COMMIT, PAGE_READWRITE) == q && q[0x1fff] == 5);
    CHECK("protect", VirtualProtect(q, 10, PAGE_READONLY, &old));
    CHECK_HEX("old protect", old, PAGE_READWRITE);
    CHECK_HEX("protect splits the region", query(q).RegionSize, 0x1000);
    CHECK_HEX("new protect", query(q).Protect, PAGE_READONLY);
    CHECK("protect back", VirtualProtect(q, 0x2000, PAGE_READWRITE, &old));
    CHECK_HEX("old protect is the first page's", old, PAGE_READONLY);
    CHECK_ERR("protect reserved pages", VirtualProtect(p, 0x1000, PAGE_READWRITE, &old), ERROR_INVALID_ADDRESS);
    CHECK_ERR("a protection that is none", VirtualProtect(q, 0x1000, 0, &old), ERROR_INVALID_PARAMETER);
    CHECK("decommit", VirtualFree(q, 0x1000, MEM_DECOMMIT));
    CHECK_HEX("decommitted", query(q).State, MEM_RESERVE);
    CHECK("recommit", VirtualAlloc(q, 0x1000, MEM_COMMIT, PAGE_READWRITE) == q && q[0] == 0);
    CHECK_ERR("release with a size", VirtualFree(p, 0x1000, MEM_RELEASE), ERROR_INVALID_PARAMETER);
    CHECK_ERR("release inside", VirtualFree(p + 0x10000, 0, MEM_RELEASE), ERROR_INVALID_ADDRESS);
    CHECK("release", VirtualFree(p, 0, MEM_RELEASE));
    CHECK_HEX("free state", query(p).State, MEM_FREE);
    CHECK_HEX("free protect", query(p).Protect, PAGE_NOACCESS);
    /* Wine 8 answers ERROR_INVALID_PARAMETER. */
    CHECK_ERR("release twice", VirtualFree(p, 0, MEM_RELEASE), ERROR_INVALID_ADDRESS);
    CHECK_ERR("commit without a reservation", VirtualAlloc(p, 0x1000, MEM_COMMIT, PAGE_READWRITE), ERROR_INVALID_ADDRESS);
    q = VirtualAlloc(p, 0x10000, MEM_RESERVE | MEM_COMMIT, PAGE_READWRITE);
    CHECK("at a given address", q == p);
    CHECK_ERR("an address in use", VirtualAlloc(p, 0x10000, MEM_RESERVE, PAGE_READWRITE), ERROR_INVALID_ADDRESS);
    VirtualFree(p, 0, MEM_RELEASE);
    CHECK_ERR("nothing", VirtualAlloc(NULL, 0, MEM_COMMIT, PAGE_READWRITE), ERROR_INVALID_PARAMETER);
    CHECK_ERR("bad protection", VirtualAlloc(NULL, 0x1000, MEM_COMMIT, 0x123), ERROR_INVALID_PARAMETER);
    q = VirtualAlloc(NULL, 0x1000, MEM_COMMIT | MEM_TOP_DOWN, PAGE_EXECUTE_READWRITE);
    CHECK("commit alone reserves", q != NULL && query(q).AllocationBase == q);
    VirtualFree(q, 0, MEM_RELEASE);
    m = query((void *)(uintptr_t)&reserve_and_commit);
    CHECK_HEX("code is image memory", m.Type, MEM_IMAGE);
    CHECK_HEX("code protection", m.Protect, PAGE_EXECUTE_READ);
    CHECK("allocation base is the module", m.AllocationBase == GetModuleHandleA(NULL));
}

#if defined(__x86_64__) || defined(__i386__)
static void generated_code(void)
{
    static const unsigned char code[] = {0xb8, 42, 0, 0, 0, 0xc3}; /* mov eax, 42; ret */
    DWORD old;
    int (*f)(void) = (int (*)(void))(uintptr_t)VirtualAlloc(NULL, 4096, MEM_COMMIT, PAGE_READWRITE);
    memcpy((void *)(uintptr_t)f, code, sizeof code);
    CHECK("make executable", VirtualProtect((void *)(uintptr_t)f, 4096, PAGE_EXECUTE_READ, &old));
    CHECK("flush", FlushInstructionCache(GetCurrentProcess(), (void *)(uintptr_t)f, 4096));
    CHECK_INT("run", f(), 42);
    VirtualFree((void *)(uintptr_t)f, 0, MEM_RELEASE);
}
#endif

static void heaps(void)
{
    HANDLE h = GetProcessHeap(), own;
    char *p = HeapAlloc(h, HEAP_ZERO_MEMORY, 100), *q;
    int i, zero = 1;
    for (i = 0; i < 100; i++) zero &= p[i] == 0;
    CHECK("zeroed", zero);
    CHECK_INT("HeapSize", HeapSize(h, 0, p), 100);
    CHECK_HEX("aligned", (uintptr_t)p & (2 * sizeof(void *) - 1), 0);
    strcpy(p, "kept");
    p = HeapReAlloc(h, HEAP_ZERO_MEMORY, p, 100000);
    CHECK_STR("HeapReAlloc keeps", p, "kept");
    CHECK_INT("HeapReAlloc zeroes the rest", p[99999], 0);
    CHECK("shrinks in place", HeapReAlloc(h, HEAP_REALLOC_IN_PLACE_ONLY, p, 50) == p);
    CHECK_INT("HeapSize of the shrunk block", HeapSize(h, 0, p), 50);
    CHECK("HeapValidate", HeapValidate(h, 0, NULL));
    CHECK("HeapFree", HeapFree(h, 0, p));
    CHECK("HeapFree NULL", HeapFree(h, 0, NULL));
    own = HeapCreate(0, 0, 0);
    CHECK("HeapCreate", own != NULL && own != h);
    p = HeapAlloc(own, 0, 0);
    q = HeapAlloc(own, 0, 5000000);
    CHECK("zero bytes and five million", p && q && p != q);
    q[4999999] = 1;
    CHECK("HeapDestroy", HeapDestroy(own));
}

static void global_and_local(void)
{
    HGLOBAL g = GlobalAlloc(GMEM_FIXED | GMEM_ZEROINIT, 10), m;
    char *p;
    CHECK("fixed is its own pointer", g && GlobalLock(g) == (void *)g);
    CHECK("fixed zeroed", !memcmp(g, "\0\0\0\0\0\0\0\0\0", 10));
    CHECK("GlobalFree", GlobalFree(g) == NULL);
    m = GlobalAlloc(GMEM_MOVEABLE, 10);
    p = GlobalLock(m);
    CHECK("moveable locks to a pointer", p && (void *)p != (void *)m);
    strcpy(p, "text");
    CHECK("GlobalHandle", GlobalHandle(p) == m);
    CHECK_INT("lock count", GlobalFlags(m) & GMEM_LOCKCOUNT, 1);
    CHECK_ERR("unlock", GlobalUnlock(m), NO_ERROR);
    CHECK("GlobalSize", GlobalSize(m) >= 10);
    m = GlobalReAlloc(m, 1000, GMEM_MOVEABLE | GMEM_ZEROINIT);
    p = GlobalLock(m);
    CHECK_STR("GlobalReAlloc keeps", p, "text");
    GlobalUnlock(m);
    CHECK("free moveable", GlobalFree(m) == NULL);
    p = LocalAlloc(LPTR, 32);
    CHECK("LocalAlloc", p && p[31] == 0);
    CHECK_INT("LocalSize", LocalSize(p), 32);
    CHECK("LocalFree", LocalFree(p) == NULL);
}

static void runtime(void)
{
    char *p = malloc(10), *q;
    int i, bad = 0;
    CHECK("malloc", p != NULL);
    CHECK_HEX("malloc aligned", (uintptr_t)p & (2 * sizeof(void *) - 1), 0);
    CHECK_INT("_msize", _msize(p), 10);
    strcpy(p, "keep");
    p = realloc(p, 100000);
    CHECK_STR("realloc keeps", p, "keep");
    free(p);
    p = calloc(1000, 10);
    for (i = 0; i < 10000; i++) bad |= p[i];
    CHECK_INT("calloc", bad, 0);
    free(p);
    errno = 0;
    CHECK("calloc overflow", calloc((size_t)-1 / 2, 4) == NULL);
    CHECK("malloc too much", malloc((size_t)-1 - 100) == NULL);
    p = malloc(0);
    q = malloc(0);
    CHECK("malloc 0", p && q && p != q);
    free(p);
    free(q);
    free(NULL);
    CHECK("realloc to 0 frees", realloc(malloc(5), 0) == NULL);
    p = _aligned_malloc(100, 256);
    CHECK("_aligned_malloc", p && ((uintptr_t)p & 255) == 0);
    strcpy(p, "al");
    p = _aligned_realloc(p, 5000, 256);
    CHECK("_aligned_realloc", p && ((uintptr_t)p & 255) == 0 && !strcmp(p, "al"));
    _aligned_free(p);
}

static void others(void)
{
    SYSTEM_INFO si;
    MEMORYSTATUSEX ms;
    GetSystemInfo(&si);
    CHECK_INT("page size", si.dwPageSize, 4096);
    CHECK_INT("granularity", si.dwAllocationGranularity, 65536);
    CHECK("processors", si.dwNumberOfProcessors >= 1);
    CHECK_HEX("lowest address", (uintptr_t)si.lpMinimumApplicationAddress, 0x10000);
    ms.dwLength = sizeof ms;
    CHECK("GlobalMemoryStatusEx", GlobalMemoryStatusEx(&ms) && ms.ullTotalPhys > 0 && ms.dwMemoryLoad <= 100);
    CHECK("IsBadReadPtr good", !IsBadReadPtr(&si, sizeof si));
    CHECK("IsBadReadPtr bad", IsBadReadPtr((void *)(uintptr_t)0x10, 4));
}

/* The runtime's walk of the heap; blocks that are in use must all be met, in whatever order. */
static void walk(void)
{
    static const size_t sizes[] = {1, 24, 3000, 200000, 2000000};
    enum { COUNT = sizeof sizes / sizeof *sizes };
    void *blocks[COUNT], *gone = malloc(48);
    _HEAPINFO entry;
    int i, result, met = 0, steps = 0, met_gone = 0, wild = 5;
    for (i = 0; i < COUNT; i++) blocks[i] = malloc(sizes[i]);
    free(gone);
    entry._pentry = NULL;
    while ((result = _heapwalk(&entry)) == _HEAPOK && steps++ < 100000) {
        for (i = 0; i < COUNT; i++) met += (void *)entry._pentry == blocks[i] && entry._size >= sizes[i] && entry._useflag == _USEDENTRY;
        met_gone += (void *)entry._pentry == gone && entry._useflag == _USEDENTRY;
    }
    CHECK_INT("_heapwalk comes to an end", result, _HEAPEND);
    CHECK_INT("_heapwalk meets every block once", met, COUNT);
    CHECK_INT("_heapwalk does not meet a freed one", met_gone, 0);
    entry._pentry = &wild;
    CHECK_INT("_heapwalk from nowhere", _heapwalk(&entry), _HEAPBADPTR);
    for (i = 0; i < COUNT; i++) free(blocks[i]);
}

int main(void)
{
    reserve_and_commit();
#if defined(__x86_64__) || defined(__i386__)
    generated_code();
#endif
    heaps();
    global_and_local();
    runtime();
    walk();
    others();
    return check_done();
}
