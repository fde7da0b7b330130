/* Registers that a call must leave as they were: the general ones, the vector ones, the stack pointer, the direction flag and
 * the floating-point modes; for calls into DLLs, for callbacks out of them, and at a callback's entry. Assembly fills them
 * with known values, calls, and stores what it finds afterwards. */
#include "check.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define NAME2(x) #x
#define NAME1(x) NAME2(x)
#define SYMBOL NAME1(__USER_LABEL_PREFIX__) "fill_call_store"

typedef struct { uint64_t r[32]; } registers;
/* Fills the registers from *before, calls f(argument), stores the registers to *after. */
extern void fill_call_store(void (*f)(void *), void *argument, const registers *before, registers *after);

#if defined(__x86_64__)
/* r: rbx rbp rdi rsi r12-r15, the stack pointer's change, rflags, then xmm6-xmm15 */
enum { VALUES = 30 };
#define EACH_XMM(op) op(6, 0) op(7, 1) op(8, 2) op(9, 3) op(10, 4) op(11, 5) op(12, 6) op(13, 7) op(14, 8) op(15, 9)
#define SAVE(n, i) "movaps %xmm" #n ", 0x40+16*" #i "(%rsp)\n"
#define LOAD(n, i) "movups 80+16*" #i "(%r8), %xmm" #n "\n"
#define STORE(n, i) "movups %xmm" #n ", 80+16*" #i "(%rax)\n"
#define RESTORE(n, i) "movaps 0x40+16*" #i "(%rsp), %xmm" #n "\n"
__asm__(".text\n.globl " SYMBOL "\n" SYMBOL ":\n"
        "pushq %rbx\npushq %rbp\npushq %rdi\npushq %rsi\npushq %r12\npushq %r13\npushq %r14\npushq %r15\n"
        "subq $0xe8, %rsp\n" EACH_XMM(SAVE)
        "movq %r9, 0x20(%rsp)\nmovq %rsp, 0x28(%rsp)\n" EACH_XMM(LOAD)
        "movq 0(%r8), %rbx\nmovq 8(%r8), %rbp\nmovq 16(%r8), %rdi\nmovq 24(%r8), %rsi\n"
        "movq 32(%r8), %r12\nmovq 40(%r8), %r13\nmovq 48(%r8), %r14\nmovq 56(%r8), %r15\n"
        "movq %rcx, %rax\nmovq %rdx, %rcx\ncall *%rax\n"
        "movq 0x20(%rsp), %rax\n"
        "movq %rbx, 0(%rax)\nmovq %rbp, 8(%rax)\nmovq %rdi, 16(%rax)\nmovq %rsi, 24(%rax)\n"
        "movq %r12, 32(%rax)\nmovq %r13, 40(%rax)\nmovq %r14, 48(%rax)\nmovq %r15, 56(%rax)\n"
        "movq %rsp, %rcx\nsubq 0x28(%rsp), %rcx\nmovq %rcx, 64(%rax)\n"
        "pushfq\npopq %rcx\nandl $0x400, %ecx\nmovq %rcx, 72(%rax)\n" EACH_XMM(STORE) EACH_XMM(RESTORE)
        "addq $0xe8, %rsp\n"
        "popq %r15\npopq %r14\npopq %r13\npopq %r12\npopq %rsi\npopq %rdi\npopq %rbp\npopq %rbx\nret\n");
#elif defined(__i386__)
/* r, as 32-bit halves: ebx ebp edi esi, the stack pointer's change, eflags */
enum { VALUES = 3 };
__asm__(".text\n.globl " SYMBOL "\n" SYMBOL ":\n"
        "pushl %ebx\npushl %ebp\npushl %edi\npushl %esi\n"
        "movl 28(%esp), %eax\nmovl 20(%esp), %ecx\nmovl 24(%esp), %edx\n"
        "pushl 32(%esp)\npushl %esp\npushl %edx\n" /* after, the stack pointer, the argument */
        "movl 0(%eax), %ebx\nmovl 4(%eax), %ebp\nmovl 8(%eax), %edi\nmovl 12(%eax), %esi\n"
        "call *%ecx\n"
        "movl 8(%esp), %eax\n"
        "movl %ebx, 0(%eax)\nmovl %ebp, 4(%eax)\nmovl %edi, 8(%eax)\nmovl %esi, 12(%eax)\n"
        "leal 8(%esp), %ecx\nsubl 4(%esp), %ecx\nmovl %ecx, 16(%eax)\n"
        "pushfl\npopl %ecx\nandl $0x400, %ecx\nmovl %ecx, 20(%eax)\n"
        "addl $12, %esp\n"
        "popl %esi\npopl %edi\npopl %ebp\npopl %ebx\nret\n");
#else
/* r: x19-x29, the stack pointer's change, d8-d15 */
enum { VALUES = 20 };
__asm__(".text\n.globl " SYMBOL "\n" SYMBOL ":\n"
        "stp x29, x30, [sp, #-192]!\nstp x19, x20, [sp, #16]\nstp x21, x22, [sp, #32]\nstp x23, x24, [sp, #48]\n"
        "stp x25, x26, [sp, #64]\nstp x27, x28, [sp, #80]\nstp d8, d9, [sp, #96]\nstp d10, d11, [sp, #112]\n"
        "stp d12, d13, [sp, #128]\nstp d14, d15, [sp, #144]\nmov x9, sp\nstp x3, x9, [sp, #160]\n"
        "ldp x19, x20, [x2]\nldp x21, x22, [x2, #16]\nldp x23, x24, [x2, #32]\nldp x25, x26, [x2, #48]\n"
        "ldp x27, x28, [x2, #64]\nldr x29, [x2, #80]\nldp d8, d9, [x2, #96]\nldp d10, d11, [x2, #112]\n"
        "ldp d12, d13, [x2, #128]\nldp d14, d15, [x2, #144]\n"
        "mov x9, x0\nmov x0, x1\nblr x9\n"
        "ldp x3, x9, [sp, #160]\nmov x10, sp\nsub x9, x10, x9\n"
        "stp x19, x20, [x3]\nstp x21, x22, [x3, #16]\nstp x23, x24, [x3, #32]\nstp x25, x26, [x3, #48]\n"
        "stp x27, x28, [x3, #64]\nstp x29, x9, [x3, #80]\nstp d8, d9, [x3, #96]\nstp d10, d11, [x3, #112]\n"
        "stp d12, d13, [x3, #128]\nstp d14, d15, [x3, #144]\n"
        "ldp x19, x20, [sp, #16]\nldp x21, x22, [sp, #32]\nldp x23, x24, [sp, #48]\nldp x25, x26, [sp, #64]\n"
        "ldp x27, x28, [sp, #80]\nldp d8, d9, [sp, #96]\nldp d10, d11, [sp, #112]\nldp d12, d13, [sp, #128]\n"
        "ldp d14, d15, [sp, #144]\nldp x29, x30, [sp], #192\nret\n");
#endif

/* Distinct values; the stack pointer must not change, and the direction flag is clear. */
static void fill(registers *before, uint64_t seed)
{
    int i;
    for (i = 0; i < 32; i++) before->r[i] = seed * (uint64_t)(i + 1);
#if defined(__x86_64__)
    before->r[8] = before->r[9] = 0;
#elif defined(__i386__)
    before->r[2] = 0;
#else
    before->r[11] = 0;
#endif
}

static void across(const char *name, void (*f)(void *), void *argument)
{
    registers before, after;
    int i;
    fill(&before, 0x0123456789abcdefULL);
    memset(&after, 0x55, sizeof after);
    fill_call_store(f, argument, &before, &after);
    for (i = 0; i < VALUES && before.r[i] == after.r[i];) i++;
    CHECK_INT(name, i, VALUES); /* else the index of the register that changed */
}

static char text[64];
static int aligned;
static int misaligned(void)
{
    /* an over-aligned local is addressed without adjusting the stack where the ABI promises that alignment */
    volatile char local[16] __attribute__((aligned(16)));
    local[0] = 1;
    return (int)((uintptr_t)local & 15);
}
static int compare(const void *a, const void *b)
{
    aligned |= misaligned();
    return *(const int *)a - *(const int *)b;
}

static void calls_nothing(void *p) { (void)p; }
static void calls_last_error(void *p) { (void)p; SetLastError(5); GetLastError(); }
static void calls_tick(void *p) { (void)p; GetTickCount(); }
static void calls_sprintf(void *p) { (void)p; sprintf(text, "%d %f %s", 1, 2.5, "x"); }
static void calls_alloc(void *p) { (void)p; free(malloc(1000)); }
static void calls_sleep(void *p) { (void)p; Sleep(0); }
static void calls_query(void *p) { MEMORY_BASIC_INFORMATION m; VirtualQuery(p, &m, sizeof m); }
static void calls_memcpy(void *p) { memmove(text, p, 32); memset(text, 1, 60); }
static void calls_write(void *p)
{
    DWORD n;
    (void)p;
    WriteFile(GetStdHandle(STD_OUTPUT_HANDLE), "", 0, &n, NULL);
}
static void calls_qsort(void *p)
{
    int v[9] = {5, 3, 8, 1, 9, 2, 7, 4, 6};
    (void)p;
    qsort(v, 9, sizeof *v, compare);
}
static void calls_fail(void *p) { (void)p; CloseHandle((HANDLE)(uintptr_t)0xbad0); }
static int inner_mismatch;
static int comparing_with_calls(const void *a, const void *b)
{
    registers before, after;
    int i;
    fill(&before, 0x1111111111111111ULL);
    fill_call_store(calls_tick, NULL, &before, &after);
    for (i = 0; i < VALUES; i++) inner_mismatch |= before.r[i] != after.r[i];
    return *(const int *)a - *(const int *)b;
}
static void calls_in_callback(void *p)
{
    int v[4] = {2, 1, 4, 3};
    (void)p;
    qsort(v, 4, sizeof *v, comparing_with_calls);
}
static DWORD WINAPI thread(void *p)
{
    (void)p;
    return (DWORD)misaligned();
}

int main(void)
{
    HANDLE h;
    DWORD code = 99;
    across("the instrument itself", calls_nothing, NULL);
    across("GetLastError", calls_last_error, NULL);
    across("GetTickCount", calls_tick, NULL);
    across("sprintf", calls_sprintf, NULL);
    across("malloc", calls_alloc, NULL);
    across("Sleep", calls_sleep, NULL);
    across("VirtualQuery", calls_query, text);
    across("memmove", calls_memcpy, text + 8);
    across("WriteFile", calls_write, NULL);
    across("qsort", calls_qsort, NULL);
    across("a call that fails", calls_fail, NULL);
    across("calls within a callback", calls_in_callback, NULL);
    CHECK_INT("those calls, seen from within", inner_mismatch, 0);
    CHECK_INT("the stack is aligned in main", misaligned(), 0);
    CHECK_INT("and in a callback", aligned, 0);
    h = CreateThread(NULL, 0, thread, NULL, 0, NULL);
    WaitForSingleObject(h, INFINITE);
    GetExitCodeThread(h, &code);
    CloseHandle(h);
    CHECK_INT("and in a thread", code, 0);
#if defined(__x86_64__) || defined(__i386__)
    {
        unsigned mxcsr = 0;
        unsigned short cw = 0;
        volatile double three = 3, third;
        across("Sleep again", calls_sleep, NULL);
        __asm__ volatile("fnstcw %0" : "=m"(cw));
        CHECK_HEX("x87: all masked, to nearest", cw & 0x0c3f, 0x003f);
#if defined(__x86_64__)
        __asm__ volatile("stmxcsr %0" : "=m"(mxcsr));
        CHECK_HEX("MXCSR: all masked, to nearest", mxcsr & 0xffc0, 0x1f80);
#endif
        third = 1 / three;
        CHECK_F64("double precision", third, 0.33333333333333331);
        (void)mxcsr;
    }
#endif
    return check_done();
}
