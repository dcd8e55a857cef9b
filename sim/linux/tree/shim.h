/*
 * What arm_spe_pmu.c and the AUX functions of ring_buffer.c need of a kernel, as little as does.
 *
 * Declarations of our own, so that the sources of somebody's tree compile in user space: one CPU,
 * one device, one event. Every header that they include is this file. Registers are messages to the
 * simulator (shim.c); memory is libc's; locks, barriers and reference counts of kernel objects do
 * nothing, since nothing runs beside the driver. Register fields are not here: they come from the
 * tree (sysregs.h, written by sim.linux.tree.sources).
 */
#ifndef SPESKEW_SHIM_H
#define SPESKEW_SHIM_H

#include <errno.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* --- language ------------------------------------------------------------------------------ */

typedef uint8_t u8, __u8;
typedef uint16_t u16, __u16;
typedef uint32_t u32, __u32;
typedef unsigned long long u64, __u64;
typedef int8_t s8, __s8;
typedef int16_t s16, __s16;
typedef int32_t s32, __s32;
typedef long long s64, __s64;
typedef unsigned int gfp_t, umode_t, fmode_t;
typedef unsigned long pgoff_t;
typedef long ssize_t;
typedef int pid_t;

#define __percpu
#define __user
#define __rcu
#define __init
#define __exit
#define __used __attribute__((used))
#define __maybe_unused __attribute__((unused))
#define __always_unused __attribute__((unused))
#define __must_check
#ifndef __always_inline
#define __always_inline inline __attribute__((always_inline))
#endif
#define noinline __attribute__((noinline))
#define fallthrough __attribute__((fallthrough))
#define likely(x) __builtin_expect(!!(x), 1)
#define unlikely(x) __builtin_expect(!!(x), 0)
#define static_assert _Static_assert
#define BUILD_BUG_ON(cond) _Static_assert(!(cond), #cond)
#define typeof_member(type, member) __typeof__(((type *)0)->member)
#define container_of(pointer, type, member) \
	((type *)((char *)(pointer)-offsetof(type, member)))
#define ARRAY_SIZE(a) (sizeof(a) / sizeof((a)[0]))
#define READ_ONCE(x) (*(const volatile __typeof__(x) *)&(x))
#define WRITE_ONCE(x, value) (*(volatile __typeof__(x) *)&(x) = (value))
#define smp_load_acquire(p) READ_ONCE(*(p))
#define smp_store_release(p, value) WRITE_ONCE(*(p), value)
#define rcu_dereference(p) (p)
#define rcu_read_lock() ((void)0)
#define rcu_read_unlock() ((void)0)
#define preempt_disable() ((void)0)
#define preempt_enable() ((void)0)
#define barrier() __asm__ volatile("" ::: "memory")
#define smp_mb() barrier()
#define smp_rmb() barrier()
#define smp_wmb() barrier()
#define isb() barrier()
#define dsb(domain) barrier()
#define psb_csync() barrier()

#define U16_MAX UINT16_MAX
#define U32_MAX UINT32_MAX
#define U64_MAX UINT64_MAX
#define SZ_1K 0x400
#define SZ_2K 0x800
#define SZ_4K 0x1000

#define min(a, b) \
	({ __typeof__(a) shim_a = (a); __typeof__(b) shim_b = (b); shim_a < shim_b ? shim_a : shim_b; })
#define max(a, b) \
	({ __typeof__(a) shim_a = (a); __typeof__(b) shim_b = (b); shim_a > shim_b ? shim_a : shim_b; })
#define min_t(type, a, b) min((type)(a), (type)(b))
#define max_t(type, a, b) max((type)(a), (type)(b))
#define clamp(value, low, high) min(max(value, low), high)
#define clamp_t(type, value, low, high) min_t(type, max_t(type, value, low), high)
#define round_down(x, unit) ((x) & ~((__typeof__(x))(unit) - 1))
#define round_up(x, unit) ((((x) - 1) | ((__typeof__(x))(unit) - 1)) + 1)
#define rounddown(x, unit) ({ __typeof__(x) shim_x = (x); shim_x - shim_x % (unit); })
#define roundup(x, unit) \
	({ __typeof__(unit) shim_u = (unit); (((x) + shim_u - 1) / shim_u) * shim_u; })
#define ALIGN(x, unit) round_up(x, unit)
#define ALIGN_DOWN(x, unit) round_down(x, unit)
#define IS_ALIGNED(x, unit) (((x) & ((__typeof__(x))(unit) - 1)) == 0)
#define DIV_ROUND_UP(n, d) (((n) + (d) - 1) / (d))
#define CIRC_CNT(head, tail, size) (((head) - (tail)) & ((size) - 1))
#define CIRC_SPACE(head, tail, size) CIRC_CNT((tail), ((head) + 1), (size))

#define BIT(n) (1UL << (n))
#define BIT_ULL(n) (1ULL << (n))
#define GENMASK(high, low) ((~0UL << (low)) & (~0UL >> (63 - (high))))
#define GENMASK_ULL(high, low) ((~0ULL << (low)) & (~0ULL >> (63 - (high))))
#define UL(x) x##UL
#define ULL(x) x##ULL
#define FIELD_PREP(mask, value) (((u64)(value) << __builtin_ctzll(mask)) & (mask))
#define FIELD_GET(mask, reg) (((u64)(reg) & (mask)) >> __builtin_ctzll(mask))
#define FIELD_MAX(mask) ((u64)(mask) >> __builtin_ctzll(mask))
#define FIELD_FIT(mask, value) (!((((u64)(value)) << __builtin_ctzll(mask)) & ~(u64)(mask)))

static inline int ilog2(unsigned long n)
{
	return 63 - __builtin_clzl(n);
}

static inline int fls64(u64 n)
{
	return n ? 64 - __builtin_clzll(n) : 0;
}

#define hweight64(x) __builtin_popcountll(x)
#define IS_ENABLED(option) option
#define CONFIG_PID_IN_CONTEXTIDR 0
#define IS_ERR(p) ((unsigned long)(p) >= (unsigned long)-4095)
#define IS_ERR_OR_NULL(p) (!(p) || IS_ERR(p))
#define PTR_ERR(p) ((long)(p))
#define ERR_PTR(e) ((void *)(long)(e))

/* --- what is said -------------------------------------------------------------------------- */

/* A driver defines pr_fmt, its prefix, before it says anything. */
struct device;

void shim_say(const char *level, const char *format, ...);
bool shim_warn(bool condition, const char *where, int line);
_Noreturn void shim_bug(const char *where, int line);

#define WARN_ON(condition) shim_warn(!!(condition), __FILE__, __LINE__)
#define WARN_ON_ONCE(condition) WARN_ON(condition)
#define WARN(condition, ...) WARN_ON(condition)
#define WARN_ONCE(condition, ...) WARN_ON(condition)
#define BUG() shim_bug(__FILE__, __LINE__)
#define BUG_ON(condition) do { if (condition) BUG(); } while (0)

#define pr_err(format, ...) shim_say("err", pr_fmt(format), ##__VA_ARGS__)
#define pr_warn(format, ...) shim_say("warn", pr_fmt(format), ##__VA_ARGS__)
#define pr_warn_once(...) pr_warn(__VA_ARGS__)
#define pr_err_once(...) pr_err(__VA_ARGS__)
#define pr_info(...) do { if (0) pr_warn(__VA_ARGS__); } while (0)
#define pr_debug(...) pr_info(__VA_ARGS__)
/* As if the limit were reached: arguments that read registers are not evaluated. */
#define pr_err_ratelimited(...) do { if (0) pr_err(__VA_ARGS__); } while (0)
#define pr_warn_ratelimited(...) pr_err_ratelimited(__VA_ARGS__)
#define pr_info_ratelimited(...) pr_err_ratelimited(__VA_ARGS__)
#define dev_err(dev, ...) ((void)(dev), shim_say("err", __VA_ARGS__))
#define dev_warn(dev, ...) ((void)(dev), shim_say("warn", __VA_ARGS__))
#define dev_warn_once(dev, ...) dev_warn(dev, __VA_ARGS__)
#define dev_info(dev, ...) do { (void)(dev); if (0) shim_say("info", __VA_ARGS__); } while (0)
#define dev_dbg(dev, ...) dev_info(dev, __VA_ARGS__)
#define dev_err_ratelimited(dev, ...) do { (void)(dev); if (0) shim_say("err", __VA_ARGS__); } while (0)
#define dev_warn_ratelimited(dev, ...) dev_err_ratelimited(dev, __VA_ARGS__)
#define dev_err_probe(dev, error, ...) (dev_err(dev, __VA_ARGS__), (error))

/* --- memory -------------------------------------------------------------------------------- */

extern unsigned int shim_page_shift;
#define PAGE_SHIFT shim_page_shift
#define PAGE_SIZE (1UL << PAGE_SHIFT)
#define PAGE_MASK (~(PAGE_SIZE - 1))
#define PAGE_ALIGN(x) (((x) + PAGE_SIZE - 1) & PAGE_MASK)
#define PFN_DOWN(x) ((x) >> PAGE_SHIFT)
#define offset_in_page(p) ((unsigned long)(p) & ~PAGE_MASK)
#define MAX_PAGE_ORDER 10
#define MAX_ORDER 11 /* before 6.4 the first that cannot be had */
#define GFP_KERNEL 0u
#define GFP_ATOMIC 0u
#define __GFP_ZERO 0u
#define __GFP_NOWARN 0u
#define __GFP_NORETRY 0u
#define VM_MAP 0
#define PAGE_KERNEL 0
#define NUMA_NO_NODE (-1)

struct page {
	unsigned long private_order;
	void *address;
	void *mapping;
};

struct page *alloc_pages_node(int node, gfp_t flags, unsigned int order);
struct page *virt_to_page(const void *address);
void *vmap(struct page **pages, unsigned int count, unsigned long flags, int protection);

static inline int get_order(unsigned long size)
{
	size = (size - 1) >> PAGE_SHIFT;
	return size ? ilog2(size) + 1 : 0;
}

#define page_address(page) ((page)->address)
#define page_private(page) ((page)->private_order)
#define set_page_private(page, value) ((page)->private_order = (value))
#define SetPagePrivate(page) ((void)(page))
#define ClearPagePrivate(page) ((void)(page))
#define PagePrivate(page) ((page)->private_order != 0)
#define split_page(page, order) ((void)(page))
#define __free_page(page) ((void)(page))
#define vunmap(address) ((void)(address))
#define kmalloc(size, flags) malloc(size)
#define kzalloc(size, flags) calloc(1, size)
#define kcalloc(n, size, flags) calloc(n, size)
#define kmalloc_array(n, size, flags) calloc(n, size)
#define kzalloc_node(size, flags, node) calloc(1, size)
#define kcalloc_node(n, size, flags, node) calloc(n, size)
#define kvcalloc(n, size, flags) calloc(n, size)
#define kvmalloc_array(n, size, flags) calloc(n, size)
#define kzalloc_obj(object, ...) ((__typeof__(object) *)calloc(1, sizeof(object)))
#define kfree(p) free((void *)(p))
#define kvfree(p) free((void *)(p))
#define devm_kzalloc(dev, size, flags) calloc(1, size)
#define devm_kasprintf(dev, flags, ...) shim_text(__VA_ARGS__)
char *shim_text(const char *format, ...);

/* --- atomics and lists --------------------------------------------------------------------- */

typedef struct { int counter; } atomic_t, refcount_t;
typedef struct { long counter; } local_t, atomic_long_t;
typedef struct { long long counter; } local64_t, atomic64_t;
typedef struct { int unused; } spinlock_t, raw_spinlock_t;
struct mutex { int unused; };
struct list_head { struct list_head *next, *prev; };
struct hlist_node { struct hlist_node *next, **pprev; };
struct rcu_head { void *next; void (*func)(struct rcu_head *head); };
struct work_struct { int unused; };
struct fasync_struct;
struct user_struct;

#define ATOMIC_INIT(value) { (value) }
#define atomic_read(v) ((v)->counter)
#define atomic_set(v, value) ((v)->counter = (value))
#define atomic_inc(v) (++(v)->counter)
#define atomic_dec(v) (--(v)->counter)
#define atomic_inc_return(v) (++(v)->counter)
#define atomic_dec_return(v) (--(v)->counter)
#define refcount_read(v) ((v)->counter)
#define refcount_set(v, value) ((v)->counter = (value))
#define refcount_inc(v) (++(v)->counter)
#define refcount_inc_not_zero(v) ((v)->counter ? ++(v)->counter : 0)
#define refcount_dec_and_test(v) (--(v)->counter == 0)
#define local_read(v) ((v)->counter)
#define local_set(v, value) ((v)->counter = (value))
#define local64_read(v) ((v)->counter)
#define local64_set(v, value) ((v)->counter = (value))
#define local64_xchg(v, value) __atomic_exchange_n(&(v)->counter, value, __ATOMIC_SEQ_CST)
#define mutex_lock(m) ((void)(m))
#define mutex_unlock(m) ((void)(m))
#define mutex_init(m) ((void)(m))
#define spin_lock_init(l) ((void)(l))
#define INIT_LIST_HEAD(l) ((l)->next = (l)->prev = (l))
#define hlist_entry_safe(node, type, member) ((node) ? container_of(node, type, member) : NULL)
#define in_atomic() 0

/* --- CPUs and interrupts ------------------------------------------------------------------- */

/* The one CPU is 1, not 0: older kernels ask for an event to be disabled by storing its number,
 * newer ones by storing 1. */
#define SHIM_CPU 1
#define smp_processor_id() SHIM_CPU
#define raw_smp_processor_id() SHIM_CPU
#define cpu_to_node(cpu) 0
#define nr_cpu_ids 2

typedef struct cpumask { unsigned long bits; } cpumask_t;
#define cpumask_test_cpu(cpu, mask) ((int)((mask)->bits >> (cpu) & 1))
#define cpumask_set_cpu(cpu, mask) ((mask)->bits |= 1UL << (cpu))
#define cpumask_clear_cpu(cpu, mask) ((mask)->bits &= ~(1UL << (cpu)))
#define cpumask_first(mask) __builtin_ctzl((mask)->bits)
#define cpumask_empty(mask) ((mask)->bits == 0)
#define cpumask_pr_args(mask) nr_cpu_ids, (mask)
#define cpumap_print_to_pagebuf(list, buf, mask) 0
#define alloc_percpu(type) ((__typeof__(type) *)calloc(1, sizeof(type)))
#define free_percpu(p) free(p)
#define this_cpu_ptr(p) (p)
#define per_cpu_ptr(p, cpu) (p)
#define get_cpu_ptr(p) (p)
#define put_cpu_ptr(p) ((void)(p))
#define raw_cpu_ptr(p) (p)

typedef enum { IRQ_NONE, IRQ_HANDLED, IRQ_WAKE_THREAD } irqreturn_t;
typedef irqreturn_t (*irq_handler_t)(int irq, void *data);
enum { IRQ_TYPE_NONE };
enum cpuhp_state { CPUHP_INVALID = -1, CPUHP_AP_ONLINE_DYN = 1 };

int request_percpu_irq(unsigned int irq, irq_handler_t handler, const char *name, void *data);
int cpuhp_setup_state_multi(enum cpuhp_state state, const char *name,
			    int (*up)(unsigned int, struct hlist_node *),
			    int (*down)(unsigned int, struct hlist_node *));
int cpuhp_state_add_instance(enum cpuhp_state state, struct hlist_node *node);
/* Since 6.18 a percpu interrupt knows its CPUs. */
struct cpumask *shim_cpus(void);
#define request_percpu_irq_affinity(irq, handler, name, affinity, data) \
	((void)(affinity), request_percpu_irq(irq, handler, name, data))
#define platform_get_irq_affinity(pdev, index, mask) (*(mask) = shim_cpus(), 21)
#define cpuhp_remove_multi_state(state) ((void)(state))
#define cpuhp_state_remove_instance(state, node) ((void)(state), (void)(node))
#define enable_percpu_irq(irq, type) ((void)(irq))
#define disable_percpu_irq(irq) ((void)(irq))
#define free_percpu_irq(irq, data) ((void)(irq))
#define irq_is_percpu(irq) true
#define irq_get_percpu_devid_partition(irq, mask) (*(mask) = *shim_cpus(), 0)
#define smp_call_function_any(mask, function, data, wait) ((function)(data), 0)
#define smp_call_function_single(cpu, function, data, wait) ((function)(data), 0)
#define on_each_cpu_mask(mask, function, data, wait) ((function)(data))

struct irq_work { int pending; };
bool irq_work_queue(struct irq_work *work);
void irq_work_run(void);

/* --- devices ------------------------------------------------------------------------------- */

#define S_IRUGO 0444
struct kobject { int unused; };
struct attribute { const char *name; umode_t mode; };
struct device_attribute {
	struct attribute attr;
	ssize_t (*show)(struct device *dev, struct device_attribute *attr, char *buf);
	ssize_t (*store)(struct device *dev, struct device_attribute *attr, const char *buf, size_t n);
};
struct dev_ext_attribute { struct device_attribute attr; void *var; };
struct attribute_group {
	const char *name;
	umode_t (*is_visible)(struct kobject *kobj, struct attribute *attr, int index);
	struct attribute **attrs;
};
struct device { struct kobject kobj; void *driver_data; void *of_node; };
struct platform_device { const char *name; struct device dev; };
struct of_device_id { char compatible[128]; const void *data; };
struct platform_device_id { char name[40]; unsigned long driver_data; };
struct device_driver {
	const char *name;
	const struct of_device_id *of_match_table;
	bool suppress_bind_attrs;
};
/* `remove` has returned int and void; nothing calls it. */
struct platform_driver {
	int (*probe)(struct platform_device *device);
	void *remove, *remove_new;
	struct device_driver driver;
	const struct platform_device_id *id_table;
};

int platform_driver_register(struct platform_driver *driver);
#define platform_driver_unregister(driver) ((void)(driver))
#define platform_get_irq(device, index) 21
#define platform_set_drvdata(device, data) ((device)->dev.driver_data = (data))
#define platform_get_drvdata(device) ((device)->dev.driver_data)
#define dev_get_drvdata(dev) ((dev)->driver_data)
#define dev_set_drvdata(dev, data) ((dev)->driver_data = (data))
#define kobj_to_dev(kobject) container_of(kobject, struct device, kobj)
#define of_match_ptr(table) (table)
#define sysfs_emit(buf, ...) sprintf(buf, __VA_ARGS__)
#define __ATTR(_name, _mode, _show, _store) \
	{ .attr = { .name = #_name, .mode = _mode }, .show = _show, .store = _store }
#define __ATTR_RO(_name) __ATTR(_name, 0444, _name##_show, NULL)
#define DEVICE_ATTR_RO(_name) \
	__maybe_unused struct device_attribute dev_attr_##_name = __ATTR_RO(_name)
#define ARMV8_SPE_PDEV_NAME "arm,spe-v1"
#define THIS_MODULE NULL
#define EXPORT_SYMBOL_GPL(name) extern int shim_exports
#define EXPORT_SYMBOL(name) extern int shim_exports
#define MODULE_DEVICE_TABLE(bus, table) \
	static const void *shim_table_##table __maybe_unused = table
#define MODULE_DESCRIPTION(text) extern int shim_exports
#define MODULE_AUTHOR(text) extern int shim_exports
#define MODULE_LICENSE(text) extern int shim_exports
#define module_init(function) int shim_module_init(void) { return function(); }
#define module_exit(function) void shim_module_exit(void) { function(); }
int shim_module_init(void);
#define module_platform_driver(name) \
	int shim_module_init(void) { return platform_driver_register(&(name)); }

/* --- capabilities and the CPU's features --------------------------------------------------- */

#define perfmon_capable() true
#define capable(what) true
#define perf_allow_kernel(...) 0
#define arm64_kernel_unmapped_at_el0() false
#define is_kernel_in_hyp_mode() false

u64 shim_read(u32 reg);
void shim_write(u64 value, u32 reg);
#define sys_reg(op0, op1, crn, crm, op2) \
	((u32)(op0) << 19 | (op1) << 16 | (crn) << 12 | (crm) << 8 | (op2) << 5)
#define read_sysreg_s(reg) shim_read(reg)
#define write_sysreg_s(value, reg) shim_write(value, reg)
#define read_cpuid(name) shim_read(SYS_##name)
#define read_sanitised_ftr_reg(reg) shim_read(reg)
#define cpuid_feature_extract_unsigned_field(reg, shift) ((unsigned int)((reg) >> (shift) & 0xf))
#define sysreg_clear_set_s(reg, clear, set) \
	shim_write((shim_read(reg) & ~(u64)(clear)) | (set), reg)

/* --- perf ---------------------------------------------------------------------------------- */

#define EPOLLIN 0x1u
#define EPOLLRDNORM 0x40u
#define RING_BUFFER_WRITABLE 0x01
#define PERF_AUX_FLAG_TRUNCATED 0x01
#define PERF_AUX_FLAG_OVERWRITE 0x02
#define PERF_AUX_FLAG_PARTIAL 0x04
#define PERF_AUX_FLAG_COLLISION 0x08
#define PERF_AUX_FLAG_PMU_FORMAT_TYPE_MASK 0xff00
#define PERF_HES_STOPPED 0x01
#define PERF_HES_UPTODATE 0x02
#define PERF_HES_ARCH 0x04
#define PERF_EF_START 0x01
#define PERF_EF_RELOAD 0x02
#define PERF_EF_UPDATE 0x04
#define PERF_EF_PAUSE 0x08
#define PERF_EF_RESUME 0x10
#define PERF_EVENT_FLAG_ARCH 0x0fffff
#define PERF_PMU_CAP_NO_INTERRUPT 0x0001
#define PERF_PMU_CAP_NO_NMI 0x0002
#define PERF_PMU_CAP_AUX_NO_SG 0x0004
#define PERF_PMU_CAP_EXTENDED_REGS 0x0008
#define PERF_PMU_CAP_EXCLUSIVE 0x0010
#define PERF_PMU_CAP_ITRACE 0x0020
#define PERF_PMU_CAP_NO_EXCLUDE 0x0040
#define PERF_PMU_CAP_AUX_OUTPUT 0x0080
#define PERF_PMU_CAP_EXTENDED_HW_TYPE 0x0100
#define PERF_PMU_CAP_AUX_PAUSE 0x0200
#define PERF_PMU_CAP_AUX_PREFER_LARGE 0x0400
#define PERF_ATTACH_ITRACE 0x10

struct perf_event_mmap_page { u64 aux_head, aux_tail, aux_offset, aux_size; };

struct perf_event_attr {
	u32 type, size;
	u64 config, sample_period, sample_type, read_format;
	u64 disabled : 1, inherit : 1, pinned : 1, exclusive : 1, exclude_user : 1,
		exclude_kernel : 1, exclude_hv : 1, exclude_idle : 1, freq : 1,
		exclude_host : 1, exclude_guest : 1, aux_output : 1;
	u64 config1, config2, config3, config4;
	u32 aux_watermark;
};

struct hw_perf_event {
	u64 config, last_tag;
	unsigned long config_base, event_base;
	int idx, last_cpu, flags;
	int state;
	local64_t prev_count, period_left;
	u64 sample_period, last_period;
	u64 interrupts;
};

struct perf_buffer;
struct pmu;

struct perf_event {
	struct perf_event *parent;
	struct pmu *pmu;
	struct perf_event_attr attr;
	struct hw_perf_event hw;
	int cpu, state, attach_state;
	struct perf_buffer *rb;
	int pending_wakeup, pending_kill, pending_disable;
	struct irq_work pending_irq, pending_disable_irq;
	struct fasync_struct *fasync;
};

struct perf_output_handle {
	struct perf_event *event;
	struct perf_buffer *rb;
	unsigned long wakeup, size;
	u64 aux_flags, flags;
	union { void *addr; unsigned long head; };
	int page;
};

struct pmu {
	void *module;
	struct device *parent, *dev;
	const struct attribute_group **attr_groups;
	const char *name;
	int type, capabilities, task_ctx_nr;
	int (*event_init)(struct perf_event *event);
	int (*add)(struct perf_event *event, int flags);
	void (*del)(struct perf_event *event, int flags);
	void (*start)(struct perf_event *event, int flags);
	void (*stop)(struct perf_event *event, int flags);
	void (*read)(struct perf_event *event);
	void *(*setup_aux)(struct perf_event *event, void **pages, int nr_pages, bool overwrite);
	void (*free_aux)(void *aux);
	int (*aux_output_match)(struct perf_event *event);
};

enum perf_event_task_context { perf_invalid_context = -1, perf_hw_context, perf_sw_context };
struct perf_pmu_events_attr { struct device_attribute attr; u64 id; const char *event_str; };

#define PMU_FORMAT_ATTR(_name, _format) \
	static const char *shim_format_##_name __maybe_unused; \
	static ssize_t _name##_show(struct device *dev, struct device_attribute *attr, char *page) \
	{ return sprintf(page, "%s\n", _format); } \
	static struct device_attribute format_attr_##_name = __ATTR_RO(_name)

/* include/linux/perf/arm_pmu.h: newer trees keep there what older drivers define themselves. */
#define GEN_PMU_FORMAT_ATTR(name) PMU_FORMAT_ATTR(name, #name)
#define _ATTR_CFG_GET_FLD(attr, cfg, lo, hi) \
	((((u64)(attr)->cfg) >> (lo)) & GENMASK_ULL((hi) - (lo), 0))
#define ATTR_CFG_GET_FLD(attr, name) \
	_ATTR_CFG_GET_FLD(attr, ATTR_CFG_FLD_##name##_CFG, ATTR_CFG_FLD_##name##_LO, \
			  ATTR_CFG_FLD_##name##_HI)

int perf_pmu_register(struct pmu *pmu, const char *name, int type);
#define perf_pmu_unregister(pmu) ((void)(pmu))
#define has_aux(event) ((event)->pmu->setup_aux != NULL)
#define is_kernel_event(event) false
#define perf_event_fasync(event) (&(event)->fasync)
void perf_event_disable_inatomic(struct perf_event *event);
void perf_event_aux_event(struct perf_event *event, unsigned long head, unsigned long size,
			  u64 flags);
struct perf_buffer *ring_buffer_get(struct perf_event *event);
void ring_buffer_put(struct perf_buffer *rb);
void *perf_aux_output_begin(struct perf_output_handle *handle, struct perf_event *event);
void perf_aux_output_end(struct perf_output_handle *handle, unsigned long size);
int perf_aux_output_skip(struct perf_output_handle *handle, unsigned long size);
void perf_aux_output_flag(struct perf_output_handle *handle, u64 flags);
void *perf_get_aux(struct perf_output_handle *handle);

/* Of ring_buffer.c: the driver reaches begin, end and skip through shim.c, which reports them. */
void *tree_aux_output_begin(struct perf_output_handle *handle, struct perf_event *event);
void tree_aux_output_end(struct perf_output_handle *handle, unsigned long size);
int tree_aux_output_skip(struct perf_output_handle *handle, unsigned long size);

#include "sysregs.h"

#endif
