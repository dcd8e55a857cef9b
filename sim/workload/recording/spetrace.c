/* spetrace.c - QEMU TCG plugin that records the instruction stream of an AArch64 user program.
 *
 * `recorder.py` compiles it and reads what it writes:
 *     gcc -O2 -fPIC -shared -DSPETRACE_API=1 -o spetrace.so spetrace.c
 *     qemu-aarch64 -plugin ./spetrace.so,out=DIR[,skip=N][,limit=N] PROGRAM
 *
 * DIR/blocks   u64 pc, u32 ops, u32 words[ops] of each static block, in order of its id
 * DIR/T.ids    u32 block ids in order of execution, guest thread T (ordinal of creation)
 * DIR/T.slots  u64, one per instruction of each executed block for which takes_slot() holds: the
 *              first address it touched, 0 for none (failed store-exclusive, prefetch)
 * DIR/maps     the file mappings of the process, for load addresses
 * DIR/state    struct state below
 *
 * All but `blocks` and `maps` are shared mappings, so a guest or a QEMU that dies loses nothing.
 * A block counts as executed when it is entered. A block is known by pc, length and hash of its
 * words: code that changes gets a new id.
 *
 * Plugin API versions 1 (QEMU 4.2 to 8.2) and 2 or later (from 9.0). qemu-plugin.h is not packaged
 * everywhere, so what is used of it is declared here.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <unistd.h>

#ifndef SPETRACE_API
#define SPETRACE_API 1
#endif
#define EXPORT __attribute__((visibility("default")))

/* ---- the plugin API ---- */

typedef uint64_t qemu_plugin_id_t;
typedef uint32_t qemu_plugin_meminfo_t;
struct qemu_plugin_tb;
struct qemu_plugin_insn;
typedef struct {
    const char *target_name;
    struct { int min, cur; } version;
    bool system_emulation;
    union { struct { int smp_vcpus, max_vcpus; } system; };
} qemu_info_t;
enum { CB_NO_REGS = 0, MEM_RW = 3 };
typedef void (*vcpu_cb)(qemu_plugin_id_t, unsigned);
typedef void (*tb_cb)(qemu_plugin_id_t, struct qemu_plugin_tb *);
typedef void (*exec_cb)(unsigned, void *);
typedef void (*mem_cb)(unsigned, qemu_plugin_meminfo_t, uint64_t, void *);

void qemu_plugin_register_vcpu_init_cb(qemu_plugin_id_t, vcpu_cb);
void qemu_plugin_register_vcpu_exit_cb(qemu_plugin_id_t, vcpu_cb);
void qemu_plugin_register_vcpu_tb_trans_cb(qemu_plugin_id_t, tb_cb);
void qemu_plugin_register_vcpu_tb_exec_cb(struct qemu_plugin_tb *, exec_cb, int, void *);
void qemu_plugin_register_vcpu_mem_cb(struct qemu_plugin_insn *, mem_cb, int, int, void *);
size_t qemu_plugin_tb_n_insns(const struct qemu_plugin_tb *);
struct qemu_plugin_insn *qemu_plugin_tb_get_insn(const struct qemu_plugin_tb *, size_t);
uint64_t qemu_plugin_insn_vaddr(const struct qemu_plugin_insn *);
/* API 1 and 2: the bytes are returned. API 3 and later: they are copied to the second argument. */
#if SPETRACE_API >= 3
size_t qemu_plugin_insn_data(const struct qemu_plugin_insn *, void *, size_t);
#else
const void *qemu_plugin_insn_data(const struct qemu_plugin_insn *);
#endif

EXPORT int qemu_plugin_version = SPETRACE_API;

/* ---- what is shared with recorder.py ---- */

enum { MAX_THREADS = 1 << 14, MAX_ALIVE = 64, MAX_CPUS = 4096, MAX_OPS = 1024, WINDOW = 4 << 20, BUCKETS = 1 << 16 };
enum { OK = 0, TOO_MANY_THREADS = 1, NO_SPACE = 2, ODD_BLOCK = 3, NO_FILE = 4 };

struct thread_state {
    uint64_t seen;    /* ops executed */
    uint64_t ops;     /* ops recorded */
    uint64_t blocks;  /* block executions recorded */
    uint64_t next_pc; /* first pc after the last recorded block, when `full` */
    uint64_t full;    /* the limit was reached */
    uint64_t spare[3];
};
struct state {
    uint64_t threads; /* guest threads so far */
    uint64_t error;
    uint64_t stopped; /* ended by the plugin: all living threads reached the limit */
    uint64_t spare[5];
    struct thread_state thread[MAX_THREADS];
};

/* ---- recording ---- */

/* An append-only file, seen through a window. The guest shares QEMU's descriptors and may close or
 * reuse any of them, so none is kept: the file is opened by its name whenever the window moves. */
struct stream {
    char name[32];
    char *window;
    uint64_t base; /* file offset of the window */
    size_t at;     /* bytes used of the window */
};
struct thread {
    struct stream ids, slots;
    struct thread_state *state;
    uint64_t *now; /* slots of the block being executed; NULL: not recorded */
};
struct block {
    uint64_t pc, hash;
    uint32_t id, ops, slots;
    struct block *next;
};

static struct state *state;
static struct thread *cpu[MAX_CPUS]; /* by QEMU's cpu index, which is used again after an exit */
static struct block *table[BUCKETS];
static uint32_t next_id;
static uint64_t skip, limit = UINT64_MAX;
static const char *out;
static bool forked; /* a forked child shares the files: it must not record */
static atomic_int recording; /* living threads below their limit */
static int alive;            /* living threads; under threads_lock */
static pthread_mutex_t threads_lock = PTHREAD_MUTEX_INITIALIZER;

/* The rule of sim/workload/a64.py, takes_slot: keep them equal. */
EXPORT bool takes_slot(uint32_t word) {
    uint32_t line = word & 0xffffffe0;
    return (word & 0x0a000000) == 0x08000000     /* load/store group */
           || (word & 0x9e000000) == 0x84000000  /* SVE memory */
           || line == 0xd50b7420 || line == 0xd50b7460 || line == 0xd50b7480; /* DC ZVA GVA GZVA */
}

static void give_up(int error, const char *text) {
    if (state) state->error = error; /* recorder.py says it; descriptor 2 may be the guest's file */
    else fprintf(stderr, "spetrace: %s\n", text);
    _exit(1);
}

/* A guest that uses all the descriptors it may have is lent one more. */
static int open_file(const char *name, int flags) {
    char path[4096];
    struct rlimit limit, more;
    snprintf(path, sizeof path, "%s/%s", out, name);
    flags |= O_RDWR | O_CREAT | O_CLOEXEC;
    int fd = open(path, flags, 0600);
    if (fd >= 0 || errno != EMFILE || getrlimit(RLIMIT_NOFILE, &limit)) return fd;
    more = limit;
    more.rlim_cur = limit.rlim_max;
    setrlimit(RLIMIT_NOFILE, &more);
    fd = open(path, flags, 0600);
    setrlimit(RLIMIT_NOFILE, &limit);
    return fd;
}

static int must_open(const char *name, int flags) {
    int fd = open_file(name, flags);
    if (fd < 0)
        give_up(errno == ENOSPC || errno == EDQUOT ? NO_SPACE : NO_FILE, "cannot open its files");
    return fd;
}

/* Move the window so that it begins on the page of the next free byte. */
static void move_window(struct stream *s) {
    uint64_t end = s->base + s->at, page = end & ~UINT64_C(4095);
    if (s->window) munmap(s->window, WINDOW);
    int fd = must_open(s->name, 0);
    if (posix_fallocate(fd, page, WINDOW)) give_up(NO_SPACE, "no space for the recording");
    s->window = mmap(NULL, WINDOW, PROT_READ | PROT_WRITE, MAP_SHARED, fd, page);
    close(fd);
    if (s->window == MAP_FAILED) give_up(NO_SPACE, "cannot map the recording");
    s->base = page;
    s->at = end - page;
}

static void *append(struct stream *s, size_t bytes) {
    if (!s->window || s->at + bytes > WINDOW) move_window(s);
    void *place = s->window + s->at;
    s->at += bytes;
    return place; /* zero: the file is extended with zeros */
}

static void open_stream(struct stream *s, uint64_t thread, const char *kind) {
    snprintf(s->name, sizeof s->name, "%d.%s", (int)thread, kind);
}

static void on_thread(qemu_plugin_id_t id, unsigned index) {
    (void)id;
    if (forked) return;
    pthread_mutex_lock(&threads_lock);
    if (alive == MAX_ALIVE || state->threads == MAX_THREADS || index >= MAX_CPUS)
        give_up(TOO_MANY_THREADS, "too many threads");
    struct thread *t = calloc(1, sizeof *t);
    if (!t) give_up(NO_SPACE, "out of memory");
    open_stream(&t->ids, state->threads, "ids");
    open_stream(&t->slots, state->threads, "slots");
    t->state = &state->thread[state->threads++];
    recording++;
    alive++;
    cpu[index] = t;
    pthread_mutex_unlock(&threads_lock);
}

/* What the window reached beyond is given back, so that a thread that ended keeps only its own. */
static void close_stream(struct stream *s) {
    char path[4096];
    if (!s->window) return;
    uint64_t end = s->base + s->at;
    munmap(s->window, WINDOW);
    snprintf(path, sizeof path, "%s/%s", out, s->name);
    if (truncate(path, end < 8 ? 8 : end)) return; /* then it stays longer, zeros at its end */
}

static void on_thread_exit(qemu_plugin_id_t id, unsigned index) {
    (void)id;
    struct thread *t = index < MAX_CPUS ? cpu[index] : NULL;
    if (forked || !t) return;
    pthread_mutex_lock(&threads_lock);
    alive--;
    pthread_mutex_unlock(&threads_lock);
    cpu[index] = NULL;
    if (!t->state->full) recording--;
    close_stream(&t->ids);
    close_stream(&t->slots);
    free(t);
}

static void reach_limit(struct thread *t, uint64_t pc) {
    t->state->next_pc = pc;
    t->state->full = 1;
    if (--recording == 0) {
        state->stopped = 1;
        _exit(0);
    }
}

static void on_block(unsigned index, void *data) {
    const struct block *b = data;
    struct thread *t = cpu[index];
    if (forked || !t) return;
    struct thread_state *s = t->state;
    uint64_t before = s->seen;
    s->seen += b->ops;
    t->now = NULL;
    if (before < skip || s->full) return;
    if (s->ops >= limit) {
        reach_limit(t, b->pc);
        return;
    }
    t->now = append(&t->slots, 8 * b->slots);
    *(uint32_t *)append(&t->ids, 4) = b->id;
    s->ops += b->ops;
    s->blocks++;
}

static void on_access(unsigned index, qemu_plugin_meminfo_t info, uint64_t address, void *rank) {
    (void)info;
    struct thread *t = cpu[index];
    if (forked || !t || !t->now) return;
    uint64_t *slot = t->now + (uintptr_t)rank;
    if (!*slot) *slot = address;
}

/* ---- translation; QEMU holds a lock here ---- */

static uint32_t word_of(struct qemu_plugin_insn *insn) {
    uint32_t word = 0;
#if SPETRACE_API >= 3
    qemu_plugin_insn_data(insn, &word, sizeof word);
#else
    memcpy(&word, qemu_plugin_insn_data(insn), sizeof word);
#endif
    return word;
}

static void write_all(int fd, const void *data, size_t bytes) {
    if (write(fd, data, bytes) != (ssize_t)bytes) give_up(NO_SPACE, "no space for the recording");
}

/* Copy the process's file mappings whenever a block lies outside the mappings known. */
static void save_maps(uint64_t pc) {
    static struct { uint64_t low, high; } known[4096];
    static int count;
    for (int i = 0; i < count; i++)
        if (known[i].low <= pc && pc < known[i].high) return;
    char line[4608];
    FILE *maps = fopen("/proc/self/maps", "r");
    int fd = must_open("maps", O_TRUNC);
    count = 0;
    while (maps && fgets(line, sizeof line, maps)) {
        unsigned long low, high;
        if (sscanf(line, "%lx-%lx", &low, &high) != 2) continue;
        if (count < 4096) {
            known[count].low = low;
            known[count++].high = high;
        }
        if (strchr(line, '/')) write_all(fd, line, strlen(line));
    }
    if (maps) fclose(maps);
    close(fd);
}

static struct block *new_block(uint64_t pc, uint64_t hash, uint32_t ops, const uint32_t *words) {
    struct block *b = calloc(1, sizeof *b);
    if (!b) give_up(NO_SPACE, "out of memory");
    b->pc = pc;
    b->hash = hash;
    b->ops = ops;
    b->id = next_id++;
    uint32_t record[4 + MAX_OPS];
    memcpy(record, &pc, 8);
    record[2] = ops;
    for (uint32_t i = 0; i < ops; i++) {
        record[3 + i] = words[i];
        b->slots += takes_slot(words[i]);
    }
    int fd = must_open("blocks", O_APPEND);
    write_all(fd, record, 12 + 4 * ops);
    close(fd);
    save_maps(pc);
    return b;
}

static struct block *find_block(uint64_t pc, uint32_t ops, const uint32_t *words) {
    uint64_t hash = UINT64_C(14695981039346656037); /* FNV-1a over words */
    for (uint32_t i = 0; i < ops; i++) hash = (hash ^ words[i]) * UINT64_C(1099511628211);
    struct block **bucket = &table[(pc >> 2) % BUCKETS], *b;
    for (b = *bucket; b; b = b->next)
        if (b->pc == pc && b->ops == ops && b->hash == hash) return b;
    b = new_block(pc, hash, ops, words);
    b->next = *bucket;
    return *bucket = b;
}

static void on_translate(qemu_plugin_id_t id, struct qemu_plugin_tb *tb) {
    (void)id;
    if (forked) return;
    uint32_t words[MAX_OPS];
    size_t ops = qemu_plugin_tb_n_insns(tb);
    if (ops == 0 || ops > MAX_OPS) give_up(ODD_BLOCK, "a block of more than 1024 instructions");
    for (size_t i = 0; i < ops; i++) words[i] = word_of(qemu_plugin_tb_get_insn(tb, i));
    uint64_t pc = qemu_plugin_insn_vaddr(qemu_plugin_tb_get_insn(tb, 0));
    struct block *b = find_block(pc, ops, words);
    qemu_plugin_register_vcpu_tb_exec_cb(tb, on_block, CB_NO_REGS, b);
    uintptr_t rank = 0;
    for (size_t i = 0; i < ops; i++)
        if (takes_slot(words[i]))
            qemu_plugin_register_vcpu_mem_cb(qemu_plugin_tb_get_insn(tb, i), on_access, CB_NO_REGS,
                                             MEM_RW, (void *)rank++);
}

/* ---- start ---- */

/* A process that the guest forks ends with its parent, as QEMU does with the recorder's. */
static pid_t parent;
static void before_fork(void) { parent = getpid(); }
static void in_child(void) {
    forked = true;
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (getppid() != parent) _exit(1); /* it ended in between */
}

static bool parse(int argc, char **argv) {
    for (int i = 0; i < argc; i++) {
        if (!strncmp(argv[i], "out=", 4)) out = strdup(argv[i] + 4);
        else if (!strncmp(argv[i], "skip=", 5)) skip = strtoull(argv[i] + 5, NULL, 10);
        else if (!strncmp(argv[i], "limit=", 6)) limit = strtoull(argv[i] + 6, NULL, 10);
        else {
            fprintf(stderr, "spetrace: unknown option %s\n", argv[i]);
            return false;
        }
    }
    if (!out) fprintf(stderr, "spetrace: out=DIR is missing\n");
    return out != NULL;
}

static bool fits(const qemu_info_t *info) {
    /* QEMU 9.1 changed qemu_plugin_insn_data without raising the least version it accepts. */
    bool copies = info->version.cur >= 3;
    if (copies != (SPETRACE_API >= 3) || info->version.min > SPETRACE_API) {
        fprintf(stderr, "spetrace: unsupported plugin API: built for %d, QEMU offers %d to %d\n",
                SPETRACE_API, info->version.min, info->version.cur);
        return false;
    }
    if (strcmp(info->target_name, "aarch64") || info->system_emulation) {
        fprintf(stderr, "spetrace: only qemu-aarch64 (user mode) is supported\n");
        return false;
    }
    return true;
}

EXPORT int qemu_plugin_install(qemu_plugin_id_t id, const qemu_info_t *info, int argc,
                               char **argv) {
    if (!fits(info) || !parse(argc, argv)) return -1;
    int fd = open_file("state", 0);
    if (fd < 0 || ftruncate(fd, sizeof *state)) {
        perror("spetrace: cannot create the recording's files");
        return -1;
    }
    state = mmap(NULL, sizeof *state, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    if (state == MAP_FAILED) {
        perror("spetrace: mmap");
        return -1;
    }
    close(fd);
    pthread_atfork(before_fork, NULL, in_child);
    qemu_plugin_register_vcpu_init_cb(id, on_thread);
    qemu_plugin_register_vcpu_exit_cb(id, on_thread_exit);
    qemu_plugin_register_vcpu_tb_trans_cb(id, on_translate);
    return 0;
}
