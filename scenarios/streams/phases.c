/* phases.c - seven long phases, each of one behaviour, so that a stretch of lost ops shows.
 *
 * Freestanding, single threaded. In order: compute (independent integer work, nothing in memory),
 * stream (reads and writes 6 MiB in order), divide (a chain of long-latency divisions), link
 * (stores 8 MiB in order), wander (dependent loads in scattered order over those 8 MiB), branchy
 * (branches on random bits), scatter (stores in scattered order).
 */
typedef unsigned long u64;
#define PHASE __attribute__((noinline, noclone, noipa)) static

enum { WORDS = 1 << 20, PART = 1 << 18 };

u64 memory[WORDS]; /* not static, or the compiler would drop the work */

/* A full-period linear congruential generator over WORDS: each place once, in scattered order. */
static u64 hop(u64 i) { return (i * 1664525 + 1013904223) % WORDS; }

PHASE void compute(long n) {
    u64 a = 1, b = 2, c = 3, d = 4;
    for (long i = 0; i < n; i++) {
        a += a << 3;
        b ^= b >> 5;
        c += i;
        d = d * 5 + 1;
        asm volatile("" : "+r"(a), "+r"(b), "+r"(c), "+r"(d));
    }
}

PHASE void stream(long n) {
    for (long i = 0; i < n; i++) {
        u64 *a = memory + i % PART, *b = a + PART, *c = b + PART;
        *a = *b + 3 * *c;
    }
}

PHASE u64 divide(long n) {
    u64 x = ~0ul;
    for (long i = 1; i <= n; i++) x = x / ((u64)i | 1) + 0xfffffffffffful;
    return x;
}

PHASE void link(void) {
    for (u64 i = 0; i < WORDS; i++) memory[i] = hop(i);
}

PHASE u64 wander(u64 at, long n) {
    while (n--) at = memory[at];
    return at;
}

PHASE u64 branchy(long n) {
    u64 x = 88172645463325252UL, odd = 0;
    for (long i = 0; i < n; i++) {
        x ^= x << 13;
        x ^= x >> 7;
        x ^= x << 17;
        if (x & 1) asm volatile("add %0, %0, #1" : "+r"(odd));
        if (x & 2) asm volatile("eor %0, %0, #1" : "+r"(odd));
    }
    return odd;
}

PHASE void scatter(u64 at, long n) {
    while (n--) {
        memory[at] = 0;
        at = hop(at);
    }
}

void _start(void) {
    compute(300000);
    stream(PART);
    divide(500000);
    link();
    wander(1, 500000);
    branchy(250000);
    scatter(1, 300000);
    register long number asm("x8") = 93, status asm("x0") = 0;
    asm volatile("svc #0" ::"r"(number), "r"(status)); /* exit */
    __builtin_unreachable();
}
