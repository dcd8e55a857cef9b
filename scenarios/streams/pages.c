/* pages.c - memory whose pages are not alike: a Zipf popularity, and a working set that moves on.
 *
 * Freestanding, single threaded, over 1,024 pages of 4 KiB. Nine of ten visits go to a page drawn
 * by Zipf's law (the rank is uniform within a power of two that is uniform itself, so that rank r
 * comes up as often as 1/r; ranks lie scattered in memory).
 * The tenth goes to a window of 32 pages that moves through the memory once. Whoever places pages
 * by samples must find the hot ones among these.
 */
typedef unsigned long u64;
#define PART __attribute__((noinline, noclone, noipa)) static

enum { PAGES = 1024, LOG = 10, WORDS = 512, WINDOW = 32, VISITS = 102400 };

u64 memory[PAGES * WORDS]; /* not static, or the compiler would drop the work */

/* The next state of a 64-bit linear congruential generator (Knuth's MMIX); its upper half is used. */
static u64 next(u64 state) { return state * 6364136223846793005UL + 1442695040888963407UL; }

static u64 *place(u64 page, u64 which) { return memory + page % PAGES * WORDS + which % 32 * 8; }

/* Twelve loads and four stores all over a page, none of them beside another (so none are paired). */
static void visit(u64 *at) {
    u64 a = at[0] + at[9] + at[18] + at[27], b = at[36] + at[45] + at[54] + at[63];
    u64 c = at[72] + at[81] + at[90] + at[99];
    at[108] = a;
    at[117] = b;
    at[126] = c;
    at[135] = a + b;
}

/* Zipf over ranks 1 to PAGES - 1, each at a place of its own. */
PART void popular(u64 x) {
    u64 octave = 1ul << x % LOG;
    visit(place((octave + ((x >> 8) & (octave - 1))) * 0x9e5, x >> 20));
}

/* One of the pages of a window that has moved on by one page for each part of the run. */
PART void moving(u64 x, u64 from) { visit(place(from + x % WINDOW, x >> 20)); }

void _start(void) {
    u64 state = 88172645463325252UL;
    for (u64 part = 0; part < PAGES; part++)
        for (int k = 0; k < VISITS / PAGES; k++) {
            state = next(state);
            popular(state >> 32);
            if (k % 9 == 0) moving(state >> 40, part);
        }
    register long x8 asm("x8") = 93, x0 asm("x0") = 0;
    asm volatile("svc 0" ::"r"(x8), "r"(x0));
    __builtin_unreachable();
}
