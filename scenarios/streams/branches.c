/* branches.c - hot and cold paths beside each other, for tools that lay code out anew (BOLT).
 *
 * Freestanding, single threaded. 192 places each take one of two ways by a random number: three in
 * four times the one that a compiler puts out of line as often as in line. A program of which a
 * profile shows each branch often enough is laid out so that the frequent way falls through. The
 * random numbers follow from the first argument, so that the profile and the measurement can be of
 * different inputs; the program prints what it has computed, so that a layout can be seen to be
 * right. Compile with -Wl,-q (relocations) and -fno-reorder-blocks-and-partition.
 */
typedef unsigned long u64;
#define PART __attribute__((noinline, noclone, noipa)) static

/* One place: the upper two bits of the next random number are 0 in a quarter of all cases. */
#define PLACE(n, side)                                              \
    a = a * 6364136223846793005UL + 1442695040888963407UL;         \
    if ((a >> 62) side) {                                          \
        asm volatile("add %0, %0, #" #n : "+r"(s));                \
        asm volatile("eor %0, %0, %1" : "+r"(s) : "r"(a));         \
    } else {                                                       \
        asm volatile("sub %0, %0, %1" : "+r"(s) : "r"(a));         \
        asm volatile("ror %0, %0, #3" : "+r"(s));                  \
    }
#define FOUR(n) PLACE(n##1, == 0) PLACE(n##2, != 0) PLACE(n##3, == 0) PLACE(n##4, != 0)
#define SIXTEEN(n) FOUR(n##1) FOUR(n##2) FOUR(n##3) FOUR(n##4)

#define BEGIN u64 a = x, s = sum;
#define END x = a, sum = s;

static u64 x, sum;

PART void first(void) { BEGIN SIXTEEN(1) SIXTEEN(2) SIXTEEN(3) SIXTEEN(4) END }
PART void second(void) { BEGIN SIXTEEN(5) SIXTEEN(6) SIXTEEN(7) SIXTEEN(8) END }
PART void third(void) { BEGIN SIXTEEN(9) SIXTEEN(10) SIXTEEN(11) SIXTEEN(12) END }

PART void print(u64 value) {
    char text[17];
    for (int k = 15; k >= 0; k--, value >>= 4) text[k] = "0123456789abcdef"[value & 15];
    text[16] = '\n';
    register long x8 asm("x8") = 64, x0 asm("x0") = 1, x2 asm("x2") = 17;
    register char *x1 asm("x1") = text;
    asm volatile("svc 0" : "+r"(x0) : "r"(x8), "r"(x1), "r"(x2) : "memory");
}

__attribute__((used)) void begin(long *stack) {
    x = 88172645463325252UL;
    if (stack[0] > 1)
        for (char *c = (char *)stack[2]; *c; c++) x = x * 31 + (u64)*c;
    for (int k = 0; k < 2500; k++) {
        first();
        second();
        third();
    }
    print(sum);
    register long x8 asm("x8") = 93, x0 asm("x0") = 0;
    asm volatile("svc 0" ::"r"(x8), "r"(x0));
    __builtin_unreachable();
}

asm(".globl _start\n.type _start, %function\n_start:\n\tmov x0, sp\n\tb begin\n.size _start, . - _start\n");
