/* The process heap under many small blocks: sizes, content and errors are the same whether a block comes from a thread's cache
 * or from the allocator. */
#include "check.h"
#include <stdlib.h>
#include <string.h>

#define BLOCKS 600

static HANDLE heap;

static unsigned next(unsigned *seed)
{
    *seed = *seed * 1664525u + 1013904223u;
    return *seed >> 8;
}

static void fill(unsigned char *block, SIZE_T size)
{
    memset(block, (int)(((ULONG_PTR)block >> 4) + size) & 0xff, size);
}

static int intact(const unsigned char *block, SIZE_T size)
{
    unsigned char byte = (unsigned char)(((ULONG_PTR)block >> 4) + size);
    for (SIZE_T i = 0; i < size; i++)
        if (block[i] != byte) return 0;
    return 1;
}

/* Random sizes around what is cached, each block with content of its own. */
static int churn(unsigned seed, int rounds)
{
    static const SIZE_T most[] = {40, 300, 1100, 3000};
    unsigned char *blocks[BLOCKS] = {0};
    SIZE_T sizes[BLOCKS];
    int wrong = 0;
    while (rounds--) {
        unsigned i = next(&seed) % BLOCKS;
        if (blocks[i]) {
            wrong += !intact(blocks[i], sizes[i]);
            wrong += HeapSize(heap, 0, blocks[i]) != sizes[i];
            if (next(&seed) % 8 == 0) {
                SIZE_T grown = sizes[i] + next(&seed) % 200;
                blocks[i] = HeapReAlloc(heap, 0, blocks[i], grown);
                sizes[i] = grown;
                fill(blocks[i], grown);
                continue;
            }
            wrong += !HeapFree(heap, 0, blocks[i]);
        }
        sizes[i] = next(&seed) % most[next(&seed) % 4];
        blocks[i] = HeapAlloc(heap, next(&seed) % 4 ? 0 : HEAP_ZERO_MEMORY, sizes[i]);
        if (!blocks[i] || ((ULONG_PTR)blocks[i] & 7)) return -1;
        fill(blocks[i], sizes[i]);
    }
    for (int i = 0; i < BLOCKS; i++)
        if (blocks[i]) wrong += !intact(blocks[i], sizes[i]) + !HeapFree(heap, 0, blocks[i]);
    return wrong;
}

static DWORD WINAPI churner(void *seed)
{
    return (DWORD)churn((unsigned)(ULONG_PTR)seed, 20000);
}

/* Blocks travel from the threads that allocate to the one that frees. */
static void *volatile mailbox[64];

static DWORD WINAPI sender(void *unused)
{
    (void)unused;
    for (int i = 0; i < 10000; i++) {
        unsigned char *block = malloc(i % 700 + 1);
        *block = 77;
        while (InterlockedCompareExchangePointer(&mailbox[i % 64], block, NULL)) SwitchToThread();
    }
    return 0;
}

static int receive(int count)
{
    int wrong = 0;
    for (int i = 0; count > 0; i++) {
        unsigned char *block = InterlockedExchangePointer(&mailbox[i % 64], NULL);
        if (!block) {
            if (i % 64 == 0) SwitchToThread();
            continue;
        }
        wrong += *block != 77;
        free(block);
        count--;
    }
    return wrong;
}

/* Zeroed means zeroed, though the block held something before. */
static int zeroed(void)
{
    int dirty = 0;
    for (int i = 0; i < 2000; i++) {
        SIZE_T size = i % 500;
        unsigned char *block = HeapAlloc(heap, 0, size);
        memset(block, 0xee, size);
        HeapFree(heap, 0, block);
        block = i % 2 ? HeapAlloc(heap, HEAP_ZERO_MEMORY, size) : calloc(size ? size : 1, 1);
        for (SIZE_T k = 0; k < size; k++) dirty += block[k] != 0;
        if (i % 2) HeapFree(heap, 0, block);
        else free(block);
    }
    return dirty;
}

/* A block that was freed is no block any more, nor is what never was one. */
static void refused(void)
{
    char *other, *block = HeapAlloc(heap, 0, 100);
    HANDLE private_heap = HeapCreate(0, 0, 0);
    CHECK("live block is valid", HeapValidate(heap, 0, block));
    CHECK("not the other heap's", !HeapFree(private_heap, 0, block));
    CHECK("free", HeapFree(heap, 0, block));
    CHECK("second free", !HeapFree(heap, 0, block));
    CHECK("freed block is not valid", !HeapValidate(heap, 0, block));
    CHECK("freed block has no size", HeapSize(heap, 0, block) == (SIZE_T)-1);
    CHECK("free of nothing", HeapFree(heap, 0, NULL));
    other = HeapAlloc(private_heap, 0, 100);
    CHECK("not the process heap's", !HeapFree(heap, 0, other));
    CHECK("private free", HeapFree(private_heap, 0, other));
    CHECK("destroy", HeapDestroy(private_heap));
}

int main(void)
{
    HANDLE threads[4];
    heap = GetProcessHeap();
    CHECK_INT("churn", churn(1, 60000), 0);
    CHECK_INT("zeroed", zeroed(), 0);
    refused();
    for (int i = 0; i < 4; i++) threads[i] = CreateThread(NULL, 0, churner, (void *)(ULONG_PTR)(i + 2), 0, NULL);
    WaitForMultipleObjects(4, threads, TRUE, INFINITE);
    for (int i = 0; i < 4; i++) {
        DWORD wrong = 1;
        CHECK("churn in a thread", GetExitCodeThread(threads[i], &wrong) && wrong == 0);
        CloseHandle(threads[i]);
    }
    for (int i = 0; i < 2; i++) threads[i] = CreateThread(NULL, 0, sender, NULL, 0, NULL);
    CHECK_INT("blocks of other threads", receive(20000), 0);
    WaitForMultipleObjects(2, threads, TRUE, INFINITE);
    CloseHandle(threads[0]);
    CloseHandle(threads[1]);
    refused();
    return check_done();
}
