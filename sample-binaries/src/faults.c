/* What the processor reports and how programs go on: single steps, debug breakpoints, privileged instructions, misaligned data,
 * floating-point exceptions that were unmasked, stack overflow and its recovery; RaiseException's limits, continue handlers, contexts
 * captured and restored, and the floating-point environment. */
#include "check.h"
#include <float.h>
#include <malloc.h>
#include <setjmp.h>
#include <string.h>

#ifndef _SW_ZERODIVIDE
#define _SW_ZERODIVIDE 8
#endif

#if defined(__x86_64__)
#define PC(c) ((c)->Rip)
#define SP(c) ((c)->Rsp)
#elif defined(__i386__)
#define PC(c) ((c)->Eip)
#define SP(c) ((c)->Esp)
#else
#define PC(c) ((c)->Pc)
#define SP(c) ((c)->Sp)
#endif

static volatile DWORD seen, flags, count;
static volatile ULONG_PTR info[16];
static volatile int steps, skip, continued;
static void *volatile where;
static void (*volatile escape)(void);
static jmp_buf out;

static void leave(void) { longjmp(out, 1); }

static LONG CALLBACK handler(EXCEPTION_POINTERS *x)
{
    EXCEPTION_RECORD *r = x->ExceptionRecord;
    CONTEXT *c = x->ContextRecord;
    DWORD i;
    if (r->ExceptionCode >= 0x40010000 && r->ExceptionCode < 0x40020000) return EXCEPTION_CONTINUE_SEARCH;
    seen = r->ExceptionCode;
    flags = r->ExceptionFlags;
    count = r->NumberParameters;
    where = r->ExceptionAddress;
    for (i = 0; i < count && i < 16; i++) info[i] = r->ExceptionInformation[i];
    if (seen == EXCEPTION_SINGLE_STEP) {
        steps++;
#if defined(__x86_64__) || defined(__i386__)
        if (steps < 3) c->EFlags |= 0x100;
#endif
        return EXCEPTION_CONTINUE_EXECUTION;
    }
#if defined(__x86_64__)
    c->FltSave.StatusWord &= 0x7F00;
    c->MxCsr = 0x1F80;
#elif defined(__i386__)
    c->FloatSave.StatusWord &= ~0xFFu;
    c->FloatSave.ControlWord |= 0x3F;
    *(DWORD *)(c->ExtendedRegisters + 24) = 0x1F80;
    c->EFlags &= ~0x40000u;
#endif
    if (escape) {
        /* Go on in a function that leaves by longjmp. */
#if defined(__x86_64__)
        SP(c) = (SP(c) & ~(ULONG_PTR)15) - 8;
#endif
        PC(c) = (ULONG_PTR)escape;
        escape = NULL;
        return EXCEPTION_CONTINUE_EXECUTION;
    }
    PC(c) += (ULONG_PTR)skip;
    return EXCEPTION_CONTINUE_EXECUTION;
}

static LONG CALLBACK after(EXCEPTION_POINTERS *x) { (void)x; continued++; return EXCEPTION_CONTINUE_SEARCH; }

static void raising(void)
{
    ULONG_PTR args[20];
    void *h;
    int i;
    for (i = 0; i < 20; i++) args[i] = (ULONG_PTR)i + 100;
    skip = 0;
    RaiseException(0xE0001234, 0, 20, args);
    CHECK_INT("no more than 15 parameters", count, 15);
    CHECK_INT("the last of them", info[14], 114);
    RaiseException(0xE0001234, 0, 0, NULL);
    CHECK_INT("no parameters", count, 0);
    RaiseException(0xE0001234, 0, 3, NULL);
    CHECK_INT("parameters without an array", count, 0);
    h = AddVectoredContinueHandler(1, after);
    CHECK("AddVectoredContinueHandler", h != NULL);
    RaiseException(0xE0001234, 0, 0, NULL);
    CHECK_INT("the continue handler ran", continued, 1);
    CHECK("RemoveVectoredContinueHandler", RemoveVectoredContinueHandler(h));
    RaiseException(0xE0001234, 0, 0, NULL);
    CHECK_INT("and not again", continued, 1);
}

#if defined(__x86_64__) || defined(__i386__)
static void instructions(void)
{
    skip = 0;
    steps = 0;
#if defined(__x86_64__)
    __asm__ volatile("subq $256, %%rsp; pushfq; orl $0x100, (%%rsp); popfq; nop; nop; nop; nop; addq $256, %%rsp" : : : "cc", "memory");
#else
    __asm__ volatile("pushfl; orl $0x100, (%%esp); popfl; nop; nop; nop; nop" : : : "cc", "memory");
#endif
    CHECK_INT("single steps", steps, 3);
    CHECK_HEX("single step", seen, EXCEPTION_SINGLE_STEP);
    skip = 1;
    __asm__ volatile("hlt");
    CHECK_HEX("privileged", seen, EXCEPTION_PRIV_INSTRUCTION);
    CHECK_INT("without parameters", count, 0);
    __asm__ volatile("int3");
    CHECK_HEX("int3", seen, EXCEPTION_BREAKPOINT);
    CHECK("its address is that of the instruction", *(unsigned char *)where == 0xCC);
    skip = 0;
    __asm__ volatile("int $0x2d; nop" : : "a"(0) : "memory");
    CHECK_HEX("int 2d", seen, EXCEPTION_BREAKPOINT);
    skip = 2;
    __asm__ volatile("movl $-0x80000000, %%eax; cltd; movl $-1, %%ecx; idivl %%ecx" : : : "eax", "ecx", "edx", "cc");
    CHECK_HEX("the quotient does not fit", seen, EXCEPTION_INT_OVERFLOW);
#if defined(__i386__)
    skip = 0;
    seen = 0;
    __asm__ volatile("movb $0x7f, %%al; addb $1, %%al; into" : : : "eax", "cc");
    CHECK_HEX("into", seen, EXCEPTION_INT_OVERFLOW);
#endif
}

static volatile double one = 1.0, zero = 0.0, huge = 1e308;
static void floats(void)
{
    unsigned old = _controlfp(0, 0);
    volatile double r;
    CHECK_HEX("all masked at first", old & _MCW_EM, _MCW_EM);
    r = one / zero;
    CHECK("division gives infinity", r > huge);
    CHECK("and is noted", (_statusfp() & _SW_ZERODIVIDE) != 0);
    CHECK("_clearfp answers what was", (_clearfp() & _SW_ZERODIVIDE) != 0);
    CHECK_INT("_clearfp", _statusfp(), 0);
    _controlfp(_RC_UP, _MCW_RC);
    CHECK_HEX("rounding", _controlfp(0, 0) & _MCW_RC, _RC_UP);
    r = one + 1e-30;
    CHECK("rounds up", r > 1.0);
    _controlfp(_RC_DOWN, _MCW_RC);
    r = -one - 1e-30;
    CHECK("rounds down", r < -1.0);
    _controlfp(_RC_CHOP, _MCW_RC);
    r = one - 1e-30;
    CHECK("chops", r < 1.0);
    _controlfp(_RC_NEAR, _MCW_RC);
    r = one - 1e-30;
    CHECK("nearest", r == 1.0);
    seen = 0;
    skip = 0;
    _clearfp();
    _controlfp(_MCW_EM & ~_EM_ZERODIVIDE, _MCW_EM);
    CHECK_HEX("unmasked", _controlfp(0, 0) & _EM_ZERODIVIDE, 0);
    r = one / zero;
    __asm__ volatile("fwait");
    CHECK_HEX("division by zero", seen, EXCEPTION_FLT_DIVIDE_BY_ZERO);
    _clearfp();
    _fpreset();
    CHECK_HEX("_fpreset", _controlfp(0, 0) & _MCW_EM, _MCW_EM);
}
#else
static void instructions(void)
{
    skip = 4;
    __asm__ volatile("udf #1");
    CHECK_HEX("illegal", seen, EXCEPTION_ILLEGAL_INSTRUCTION);
    CHECK("its address is that of the instruction", *(unsigned *)where == 1);
}
static volatile double one = 1.0, zero = 0.0, huge = 1e308;
static void floats(void)
{
    volatile double r;
    _clearfp();
    r = one / zero;
    CHECK("division gives infinity", r > huge);
    CHECK("and is noted", (_statusfp() & _SW_ZERODIVIDE) != 0);
    CHECK("_clearfp answers what was", (_clearfp() & _SW_ZERODIVIDE) != 0);
    CHECK_INT("_clearfp", _statusfp(), 0);
    _controlfp(_RC_UP, _MCW_RC);
    r = one + 1e-30;
    CHECK("rounds up", r > 1.0);
    _controlfp(_RC_DOWN, _MCW_RC);
    r = -one - 1e-30;
    CHECK("rounds down", r < -1.0);
    _controlfp(_RC_NEAR, _MCW_RC);
}
#endif

static volatile int depth;
__attribute__((noinline)) static int dive(int n)
{
    volatile char room[2000];
    room[0] = (char)n;
    depth = n;
    if (n < 0) return 0;
    return dive(n + 1) + room[0];
}

static void overflow(void)
{
    int round;
    ULONG guarantee = 16384;
    CHECK("SetThreadStackGuarantee", SetThreadStackGuarantee(&guarantee));
    for (round = 0; round < 2; round++) {
        seen = 0;
        if (setjmp(out) == 0) {
            escape = leave;
            dive(0);
        }
        CHECK_HEX("stack overflow", seen, EXCEPTION_STACK_OVERFLOW);
        CHECK("deep down", depth > 100);
        CHECK("_resetstkoflw", _resetstkoflw());
    }
}

static void contexts(void)
{
    CONTEXT c;
    volatile int rounds = 0;
    void *frames[8], *base = NULL;
    memset(&c, 0, sizeof c);
    RtlCaptureContext(&c);
    rounds++;
    CHECK("RtlCaptureContext", PC(&c) != 0 && SP(&c) <= (ULONG_PTR)&c + 4096 && SP(&c) + 65536 > (ULONG_PTR)&c);
#if !defined(__i386__)
    if (rounds < 3) RtlRestoreContext(&c, NULL);
    CHECK_INT("RtlRestoreContext", rounds, 3);
#endif
    CHECK("RtlCaptureStackBackTrace", CaptureStackBackTrace(0, 8, frames, NULL) >= 1);
    CHECK("RtlPcToFileHeader", RtlPcToFileHeader((void *)contexts, &base) == GetModuleHandleA(NULL));
    CHECK("its module", base == GetModuleHandleA(NULL));
    CHECK("no module", RtlPcToFileHeader((void *)&c, &base) == NULL && base == NULL);
}

int main(void)
{
    void *v = AddVectoredExceptionHandler(1, handler);
    raising();
    instructions();
    floats();
    overflow();
    contexts();
    RemoveVectoredExceptionHandler(v);
    return check_done();
}
