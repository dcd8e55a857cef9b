/* contended.c - four threads that contend for known cache lines, in a known order.
 *
 * Freestanding: threads come from clone(), nobody spins. In every round a thread adds to a word of
 * its own in `hot`, which lies in one line with the others' words (false sharing); in every second
 * round likewise in `warm`; in every eighth it counts `tickets` with LDADD (true sharing), in every
 * sixteenth it adds to its word in `cool`. So `perf c2c` must list these lines in this order. Every
 * eighth round adds to one of 64 lines of `pool` drawn by Zipf's law, each less used than these.
 * Each round adds to `padded`, where every thread has a line of its own, and reads `table`, which
 * nobody writes: these two must not be listed.
 */
typedef unsigned long u64;
typedef unsigned int u32;
#define PART __attribute__((noinline, noclone, noipa)) static

enum { WORKERS = 3, ROUNDS = 3072, STACK = 16384, OWN = 512, POOL = 64, LOG = 6 };

typedef struct {
    u64 word[8];
} __attribute__((aligned(64))) line;

line hot, warm, tickets, cool;   /* not static, or the compiler would drop the work */
line padded[WORKERS + 1], pool[POOL], table[8];
u64 own[WORKERS + 1][OWN] __attribute__((aligned(64)));
static u32 alive[WORKERS] __attribute__((aligned(64)));
static char stacks[WORKERS][STACK] __attribute__((aligned(64)));

PART void add_hot(long who) { hot.word[who]++; }
PART void add_warm(long who) { warm.word[who]++; }
PART void take_ticket(void) { __atomic_fetch_add(&tickets.word[0], 1, __ATOMIC_RELAXED); }
PART void add_cool(long who) { cool.word[who]++; }
PART void add_padded(long who) { padded[who].word[0]++; }

/* Zipf: the rank is uniform within a power of two that is uniform itself; ranks lie scattered. */
PART void add_pool(long who, u64 x) {
    u64 octave = 1ul << x % LOG;
    pool[(octave + ((x >> 8) & (octave - 1))) * 37 % POOL].word[who]++;
}

PART u64 read_table(u64 x) { return table[x % 8].word[x / 8 % 8]; }

/* Work on memory of the thread's own, about a hundred operations. */
PART u64 mix_own(u64 *a, u64 state) {
    for (long i = 0; i < 8; i++) {
        state = state * 6364136223846793005UL + 1442695040888963407UL;
        a[state >> 55] += state;
    }
    return state;
}

PART void work(long who) {
    u64 state = 88172645463325252UL + 7919 * who;
    for (long round = 0; round < ROUNDS; round++) {
        state = mix_own(own[who], state);
        add_hot(who);
        add_padded(who);
        if (round % 2 == 0) add_warm(who);
        state = mix_own(own[who], state + read_table(state >> 40));
        if (round % 8 == 1) take_ticket();
        if (round % 16 == 3) add_cool(who);
        if (round % 8 == 6) add_pool(who, state >> 32);
    }
}

#include "clone.h"

void _start(void) {
    for (long who = 0; who < WORKERS; who++) start(who);
    work(0);
    for (long who = 0; who < WORKERS; who++) join(who);
    u64 sum = 0, all = (WORKERS + 1) * (u64)ROUNDS;
    for (long who = 0; who <= WORKERS; who++) sum += hot.word[who] + padded[who].word[0];
    call(SYS_EXIT_GROUP, sum != 2 * all || tickets.word[0] != all / 8, 0, 0, 0, 0);
    __builtin_unreachable();
}
