/* clone.h - threads of a freestanding program, made by clone() and joined with futex().
 *
 * Include it after WORKERS and STACK, `alive`, `stacks` and work() are there: the program's own
 * layout of memory is what its stream is about. Thread 0 is the main one.
 */
enum { SYS_EXIT = 93, SYS_FUTEX = 98, SYS_CLONE = 220, SYS_EXIT_GROUP = 94, FUTEX_WAIT = 0 };

static long call(long number, long a, long b, long c, long d, long e) {
    register long x8 asm("x8") = number, x0 asm("x0") = a, x1 asm("x1") = b, x2 asm("x2") = c;
    register long x3 asm("x3") = d, x4 asm("x4") = e;
    asm volatile("svc #0" : "+r"(x0) : "r"(x8), "r"(x1), "r"(x2), "r"(x3), "r"(x4) : "memory");
    return x0;
}

/* Started by clone() in a new thread; the kernel clears alive[who] and wakes the main thread. */
__attribute__((noreturn)) static void worker(long who) {
    work(who + 1);
    for (;;) call(SYS_EXIT, 0, 0, 0, 0, 0);
}

/* CLONE_VM | FS | FILES | SIGHAND | THREAD | SYSVSEM | CHILD_CLEARTID */
static const long FLAGS = 0x100 | 0x200 | 0x400 | 0x800 | 0x10000 | 0x40000 | 0x200000;

__attribute__((noinline)) static void start(long who) {
    alive[who] = 1;
    long top = (long)(stacks[who] + STACK);
    register long x19 asm("x19") = who; /* registers are the child's too, the stack is not */
    if (call(SYS_CLONE, FLAGS, top, 0, 0, (long)&alive[who]) == 0) {
        asm volatile("" : "+r"(x19));
        worker(x19);
    }
}

static void join(long who) {
    while (__atomic_load_n(&alive[who], __ATOMIC_ACQUIRE))
        call(SYS_FUTEX, (long)&alive[who], FUTEX_WAIT, 1, 0, 0);
}
