/* mix.c - a mix of small kernels in turn, so that a profile has many functions.
 *
 * Freestanding: nothing but this file's code is in the recorded stream. Every kernel is a function
 * of its own. Loops of exact length, in ops per iteration, for the study of aliasing:
 *
 *     loop41 loop64 loop205 loop1024 loop1025   one function each
 *     pair       41: calls hot_a and hot_b, equal functions of 18 ops
 *     quad     1025: calls q0, q1, q2 and q3, equal functions of 254 ops
 *
 * SPE's gap at period 1024 is 1025 ops, and 41 x 25 = 205 x 5 = 1025: without jitter, every sample
 * of a call of those loops falls on one instruction. 64 and 1024 divide the period instead.
 */
typedef unsigned long u64;
typedef unsigned int u32;
typedef unsigned char u8;
#define KERNEL __attribute__((noinline, noclone, noipa)) static

enum { ROUNDS = 4, KEYS = 4096, SIDE = 48, NODES = 65536, HOPS = 40000, TABLE = 8192, TEXT = 65536 };

static u64 seed = 88172645463325252UL;

static u64 next_random(void) {
    seed ^= seed << 13;
    seed ^= seed >> 7;
    seed ^= seed << 17;
    return seed;
}

/* ---- quicksort ---- */

static u32 keys[KEYS];

KERNEL void fill(u32 *a, long n) {
    for (long i = 0; i < n; i++) a[i] = (u32)next_random();
}

KERNEL void quicksort(u32 *a, long n) {
    if (n < 2) return;
    u32 pivot = a[n >> 1];
    long i = 0, j = n - 1;
    for (;;) {
        while (a[i] < pivot) i++;
        while (a[j] > pivot) j--;
        if (i >= j) break;
        u32 t = a[i];
        a[i++] = a[j];
        a[j--] = t;
    }
    quicksort(a, i);
    quicksort(a + i, n - i);
}

/* ---- matrix multiplication ---- */

static double left[SIDE][SIDE], right[SIDE][SIDE];
double product[SIDE][SIDE]; /* not static, or the compiler would drop the work */

KERNEL void matmul(void) {
    for (int i = 0; i < SIDE; i++)
        for (int j = 0; j < SIDE; j++) {
            double sum = 0;
            for (int k = 0; k < SIDE; k++) sum += left[i][k] * right[k][j];
            product[i][j] = sum;
        }
}

/* ---- pointer chase through 4 MiB in random order ---- */

static struct node {
    struct node *next;
    u64 value;
    u64 pad[6];
} pool[NODES];
static u32 order[NODES];

KERNEL void shuffle_nodes(void) {
    for (u32 i = 0; i < NODES; i++) order[i] = i;
    for (u32 i = NODES - 1; i > 0; i--) {
        u32 j = (u32)(((next_random() >> 32) * (i + 1)) >> 32), t = order[i];
        order[i] = order[j];
        order[j] = t;
    }
    for (u32 i = 0; i < NODES; i++) pool[order[i]].next = &pool[order[(i + 1) % NODES]];
}

KERNEL struct node *chase(struct node *p, long n) {
    while (n--) p = p->next;
    return p;
}

/* ---- hash table ---- */

static u64 table[TABLE];

KERNEL void hash_insert(u64 key) {
    u64 h = (key * 0x9E3779B97F4A7C15UL) >> 51;
    while (table[h % TABLE] && table[h % TABLE] != key) h++;
    table[h % TABLE] = key;
}

KERNEL void hash_fill(void) {
    for (long i = 0; i < TABLE; i++) table[i] = 0;
    for (long i = 0; i < TABLE / 2; i++) hash_insert(next_random() | 1);
}

/* ---- CRC and copy ---- */

static u8 text[TEXT];

KERNEL u32 crc32(const u8 *p, long n) {
    u32 c = ~0u;
    for (long i = 0; i < n; i++) {
        c ^= p[i];
        for (int k = 0; k < 8; k++) c = (c >> 1) ^ (0xEDB88320u & -(c & 1));
    }
    return ~c;
}

KERNEL void copy(u64 *to, const u64 *from, long n) {
    for (long i = 0; i < n; i++) to[i] = from[i];
}

/* ---- interpreter ---- */

KERNEL long interpret(const u8 *code, long n) {
    long a = 1, b = 2;
    for (long i = 0; i < n; i++) {
        switch (code[i] & 7) {
        case 0: a += b; break;
        case 1: b ^= a >> 3; break;
        case 2: a = a * 3 + 1; break;
        case 3: b = b - a; break;
        case 4: a = a & ~b; break;
        case 5: b = (b << 5) | (b >> 9 & 31); break;
        case 6: a ^= 0x55; break;
        default: b += 7; break;
        }
    }
    return a ^ b;
}

/* ---- loops of exact length: BODY ops, then subs and b.ne ---- */

#define LOOP(name, body)                                                            \
    KERNEL u64 name(u64 n) {                                                        \
        u64 x = 1;                                                                  \
        asm volatile("1:\n .rept " #body "\n add %0, %0, #1\n .endr\n"              \
                     " subs %1, %1, #1\n b.ne 1b\n" : "+r"(x), "+r"(n)::"cc");      \
        return x;                                                                   \
    }
LOOP(loop41, 39)
LOOP(loop64, 62)
LOOP(loop205, 203)
LOOP(loop1024, 1022)
LOOP(loop1025, 1023)

/* ---- equal functions, called in turn ---- */

asm(".text\n"
    ".macro equal name, body\n"
    " .type \\name, %function\n\\name:\n .rept \\body\n add x0, x0, #1\n .endr\n ret\n"
    " .size \\name, .-\\name\n"
    ".endm\n"
    "equal hot_a, 17\n equal hot_b, 17\n"
    "equal q0, 253\n equal q1, 253\n equal q2, 253\n equal q3, 253\n"
    ".type pair, %function\n"
    "pair: stp x29, x30, [sp, #-16]!\n mov x9, x0\n"
    "1: bl hot_a\n bl hot_b\n nop\n subs x9, x9, #1\n b.ne 1b\n"
    " ldp x29, x30, [sp], #16\n ret\n"
    ".size pair, .-pair\n"
    ".type quad, %function\n"
    "quad: stp x29, x30, [sp, #-16]!\n mov x9, x0\n"
    "1: bl q0\n bl q1\n bl q2\n bl q3\n nop\n nop\n nop\n subs x9, x9, #1\n b.ne 1b\n"
    " ldp x29, x30, [sp], #16\n ret\n"
    ".size quad, .-quad\n");
extern u64 pair(u64 n), quad(u64 n);

/* ---- all of them in turn ---- */

KERNEL void prepare(void) {
    shuffle_nodes();
    for (int i = 0; i < SIDE; i++)
        for (int j = 0; j < SIDE; j++) {
            left[i][j] = i + j;
            right[i][j] = i - j;
        }
    for (long i = 0; i < TEXT; i++) text[i] = (u8)next_random();
}

KERNEL void round_of(int round, struct node **place) {
    fill(keys, KEYS);
    quicksort(keys, KEYS);
    matmul();
    *place = chase(*place, HOPS);
    hash_fill();
    crc32(text + 8192 * round, 8192);
    copy((u64 *)text + TEXT / 16, (u64 *)text, TEXT / 16);
    interpret(text, 20000);
    loop41(7000);
    loop64(4500);
    loop205(1400);
    loop1024(280);
    loop1025(280);
    pair(8000);
    quad(320);
}

void _start(void) {
    struct node *place = pool;
    prepare();
    for (int round = 0; round < ROUNDS; round++) round_of(round, &place);
    register long number asm("x8") = 93, status asm("x0") = 0;
    asm volatile("svc #0" ::"r"(number), "r"(status)); /* exit */
    __builtin_unreachable();
}
