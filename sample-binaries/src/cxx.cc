/* C++ without its large library: static construction and destruction order, exceptions thrown and caught across frames and
 * through a runtime callback, destructors during unwinding, rethrowing, virtual calls, dynamic_cast. */
#include "check.h"
#include <stdlib.h>

static int built, alive;
struct counted {
    int n;
    explicit counted(int v) : n(v) { alive++; }
    counted(const counted &o) : n(o.n) { alive++; }
    ~counted() { alive--; }
};
struct at_start {
    at_start() { built++; }
    ~at_start() { check_put("static destructor"); check_flush(); }
};
static at_start global;

struct base { virtual ~base() {} virtual int id() const { return 1; } };
struct derived : base { int id() const { return 2; } };
struct other { virtual ~other() {} };
struct both : derived, other { int id() const { return 3; } };

static void thrower(int depth)
{
    counted local(depth);
    if (depth == 0) throw counted(42);
    thrower(depth - 1);
}
/* The call that throws is the frame's last instruction but for its landing pad: a handler that took the program counter for one byte or
 * one instruction more or less would look in the wrong range of the table. */
static __attribute__((noinline)) void close_by(int n) { counted local(n); if (n) throw counted(n); }
static __attribute__((noinline)) void above(int n) { counted local(n); close_by(n); }
static int left;
[[maybe_unused]] static int compare(const void *a, const void *b)
{
    counted local(left);
    if (!left--) throw 5;
    return *(const int *)a - *(const int *)b;
}

int main()
{
    int got = 0;
    CHECK_INT("static constructor", built, 1);
    try { thrower(10); } catch (const counted &c) { got = c.n; }
    CHECK_INT("caught", got, 42);
    CHECK_INT("all destroyed", alive, 0);
    try { above(3); got = 0; } catch (const counted &c) { got = c.n; }
    CHECK_INT("caught next to a landing pad", got, 3);
    CHECK_INT("all destroyed there", alive, 0);
    try { try { throw 7; } catch (int) { counted c(1); throw; } } catch (int n) { got = n; }
    CHECK_INT("rethrown", got, 7);
    CHECK_INT("destroyed while rethrowing", alive, 0);
    try { throw derived(); } catch (const base &b) { got = b.id(); }
    CHECK_INT("caught by its base", got, 2);
    try { throw 1.5; } catch (int) { got = 0; } catch (...) { got = 9; }
    CHECK_INT("caught by ...", got, 9);
#if !defined(__i386__) /* GCC's unwinder for x86 reads tables, which a DLL by another compiler has not */
    int v[100], through = 0;
    for (int i = 0; i < 300; i++) {
        for (int j = 0; j < 100; j++) v[j] = j * 37 % 100;
        left = i;
        try { qsort(v, 100, sizeof *v, compare); } catch (int n) { through += n; }
    }
    CHECK_INT("through the runtime's frames", through, 1500);
    CHECK_INT("destroyed on the way", alive, 0);
#endif
    base *b = new both;
    CHECK_INT("virtual", b->id(), 3);
    CHECK("dynamic_cast sideways", dynamic_cast<other *>(b) != NULL);
    derived plain;
    base *p = &plain;
    CHECK("dynamic_cast that fails", dynamic_cast<other *>(p) == NULL);
    delete b;
    for (int i = 0; i < 1000; i++) try { throw i; } catch (int n) { got = n; }
    CHECK_INT("a thousand", got, 999);
    return check_done();
}
