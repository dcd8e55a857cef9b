/* threads.c - four threads that share memory: LSE atomics, exclusives and a spin lock.
 *
 * Freestanding: threads come from clone(), the main thread waits with futex(). One stream per
 * thread. Every thread counts with LDADD, with an LDXR/STXR loop and under a CAS lock, and between
 * those works on data of its own, so that the streams differ in what they contend for.
 */
typedef unsigned long u64;
typedef unsigned int u32;
#define KERNEL __attribute__((noinline, noclone, noipa)) static

enum { WORKERS = 3, ROUNDS = 3000, STACK = 16384, OWN = 4096 };

static u64 by_ldadd, by_exclusive, by_lock;
static u32 lock;
static u32 alive[WORKERS];
static u64 own[WORKERS + 1][OWN];
static char stacks[WORKERS][STACK] __attribute__((aligned(16)));

KERNEL void count_ldadd(void) { __atomic_fetch_add(&by_ldadd, 1, __ATOMIC_ACQ_REL); }

KERNEL void count_exclusive(void) {
    u64 value;
    u32 failed;
    asm volatile("1: ldaxr %0, [%2]\n add %0, %0, #1\n stlxr %w1, %0, [%2]\n cbnz %w1, 1b"
                 : "=&r"(value), "=&r"(failed) : "r"(&by_exclusive) : "memory");
}

KERNEL void count_locked(void) {
    u32 free = 0;
    while (!__atomic_compare_exchange_n(&lock, &free, 1, 0, __ATOMIC_ACQUIRE, __ATOMIC_RELAXED)) {
        asm volatile("yield");
        free = 0;
    }
    by_lock++;
    __atomic_store_n(&lock, 0, __ATOMIC_RELEASE);
}

KERNEL u64 sum_own(const u64 *a) {
    u64 sum = 0;
    for (long i = 0; i < OWN; i += 64) sum += a[i];
    return sum;
}

KERNEL void mix_own(u64 *a, u64 seed) {
    for (long i = 0; i < 24; i++) {
        seed = seed * 6364136223846793005UL + 1442695040888963407UL;
        a[seed >> 52] += i;
    }
}

KERNEL void work(long who) {
    for (long round = 0; round < ROUNDS; round++) {
        count_ldadd();
        mix_own(own[who], round * 4 + who);
        count_exclusive();
        sum_own(own[who]);
        count_locked();
    }
}

#include "clone.h"

void _start(void) {
    for (long who = 0; who < WORKERS; who++) start(who);
    work(0);
    for (long who = 0; who < WORKERS; who++) join(who);
    u64 all = (WORKERS + 1) * (u64)ROUNDS;
    int wrong = by_ldadd != all || by_exclusive != all || by_lock != all;
    call(SYS_EXIT_GROUP, wrong, 0, 0, 0, 0);
    __builtin_unreachable();
}
