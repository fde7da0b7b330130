/* setjmp and longjmp: values, nesting, out of callbacks, floating-point state, signal and raise, abort's exit code. */
#include "check.h"
#include <setjmp.h>
#include <signal.h>
#include <stdlib.h>

static jmp_buf outer, inner;
static volatile int steps;

static void deep(int n)
{
    volatile char frame[256];
    frame[n & 255] = (char)n;
    if (n) deep(n - 1);
    else if (steps) longjmp(outer, 7);
    frame[0] = frame[1];
}
static int jumping(const void *a, const void *b)
{
    (void)a; (void)b;
    longjmp(inner, 3);
}
static volatile int got;
static void on_signal(int s) { got = s; }

int main(void)
{
    int v[2] = {2, 1}, r;
    volatile double d = 1.25;
    volatile int i;
    r = setjmp(outer);
    if (r == 0) { steps++; d = 2.5; deep(20); CHECK("longjmp does not return", 0); }
    else { CHECK_INT("setjmp value", r, 7); CHECK_INT("once", steps, 1); CHECK_F64("volatile kept", d, 2.5); }
    r = setjmp(outer);
    if (r == 0) longjmp(outer, 0);
    CHECK_INT("longjmp 0 becomes 1", r, 1);
    r = setjmp(inner);
    if (r == 0) { qsort(v, 2, sizeof *v, jumping); CHECK("qsort was left", 0); }
    else CHECK_INT("longjmp out of a callback", r, 3);
    /* leaving callbacks many times over must not use up anything */
    for (i = 0; i < 20000; i++)
        if (setjmp(inner) == 0) qsort(v, 2, sizeof *v, jumping);
    CHECK_INT("20000 abandoned callbacks", i, 20000);
    CHECK("signal", signal(SIGTERM, on_signal) == SIG_DFL);
    CHECK_INT("raise", raise(SIGTERM), 0);
    CHECK_INT("handler ran", got, SIGTERM);
    CHECK("handler was reset", signal(SIGTERM, SIG_IGN) == SIG_DFL);
    CHECK_INT("ignored", raise(SIGTERM), 0);
    CHECK("bad signal", signal(999, on_signal) == SIG_ERR);
    return check_done();
}
