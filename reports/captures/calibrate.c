/*
 * Which ops does this core's SPE choose? Loops of 24 ops in which each kind of op stands at each
 * distance from the taken branch, for `speskew calibrate`. Each loop is a symbol, speskew_loop_N;
 * five orders of the kinds, at two alignments each.
 *
 *   gcc -O1 -no-pie -o calibrate calibrate.c      (AArch64 with LSE atomics: every core with SPE)
 *   ./calibrate [ITERATIONS]                      (default 50,000,000 of each loop)
 */
#include <stdio.h>
#include <stdlib.h>

#define OTHER "add x3, x3, #1\n"
#define LOAD "ldr x4, [x1, #64]\n"
#define STORE "str x3, [x1, #256]\n"
#define ATOMIC "ldadd x5, x6, [x2]\n"
#define BRANCH "cbnz xzr, 9f\n" /* never taken */

/* x0: iterations; x1: memory; x2: a word of its own cache line. x3 to x6 are free in a call. */
#define LOOP(name, before, a, b, c, d, e)                                                          \
	__asm__(".text\n.arch armv8.1-a\n.balign 64\n" before                                      \
		".globl speskew_loop_" #name "\n.type speskew_loop_" #name ", %function\n"         \
		"speskew_loop_" #name ":\n"                                                        \
		a b c d e a b c d e a b c d e a b c d e a b                                        \
		"9: subs x0, x0, #1\n"                                                             \
		"b.ne speskew_loop_" #name "\n"                                                    \
		".size speskew_loop_" #name ", . - speskew_loop_" #name "\n"                       \
		"ret\n");                                                                          \
	void speskew_loop_##name(unsigned long iterations, void *memory, unsigned long *word)

#define ALIGNED ""
#define SHIFTED "nop\nnop\nnop\nnop\nnop\n"

LOOP(0, ALIGNED, OTHER, LOAD, STORE, ATOMIC, BRANCH);
LOOP(1, ALIGNED, LOAD, BRANCH, OTHER, STORE, ATOMIC);
LOOP(2, ALIGNED, STORE, OTHER, ATOMIC, BRANCH, LOAD);
LOOP(3, ALIGNED, BRANCH, ATOMIC, LOAD, OTHER, STORE);
LOOP(4, ALIGNED, ATOMIC, STORE, BRANCH, LOAD, OTHER);
LOOP(5, SHIFTED, OTHER, LOAD, STORE, ATOMIC, BRANCH);
LOOP(6, SHIFTED, LOAD, BRANCH, OTHER, STORE, ATOMIC);
LOOP(7, SHIFTED, STORE, OTHER, ATOMIC, BRANCH, LOAD);
LOOP(8, SHIFTED, BRANCH, ATOMIC, LOAD, OTHER, STORE);
LOOP(9, SHIFTED, ATOMIC, STORE, BRANCH, LOAD, OTHER);

static char memory[4096] __attribute__((aligned(4096)));
static unsigned long word[16] __attribute__((aligned(128)));

int main(int argc, char **argv)
{
	void (*loops[])(unsigned long, void *, unsigned long *) = {
		speskew_loop_0, speskew_loop_1, speskew_loop_2, speskew_loop_3, speskew_loop_4,
		speskew_loop_5, speskew_loop_6, speskew_loop_7, speskew_loop_8, speskew_loop_9,
	};
	char *end = "";
	unsigned long iterations = argc > 1 ? strtoul(argv[1], &end, 10) : 50000000UL;

	if (argc > 2 || *end || iterations == 0) {
		fprintf(stderr, "usage: %s [ITERATIONS]\n", argv[0]);
		return 2;
	}
	for (unsigned int i = 0; i < sizeof(loops) / sizeof(loops[0]); i++)
		loops[i](iterations, memory, word);
	return 0;
}
