/*
 * The kernel around arm_spe_pmu: one CPU with an SPE, one event, and the simulator beyond a pipe.
 *
 * A program, not a library: what crashes or hangs here ends here, and says where. It probes the
 * driver, opens an event and maps an AUX area by the tree's own functions on registers of its own;
 * then it is told what happens (the event is scheduled in or out, PMBIRQ is taken) and asks for each
 * register access, one message each way. What of perf's core an event meets is written anew here:
 * irq_work disables it (perf_event_disable_inatomic) and wakes the reader.
 */
#include "shim.h"

#include <sys/mman.h>
#include <sys/time.h>
#include <ucontext.h>
#include <unistd.h>

#include "perf_buffer.h"

#ifndef HANG_SECONDS
#define HANG_SECONDS 10
#endif
enum { SHIM_IN = 0, SHIM_OUT = 1, MOST_FRAMES = 32 };

/* To the simulator: kind, and up to four numbers; SAY is followed by `b` bytes of text. */
enum kind {
	READY, REFUSED, READ, WRITE, BEGIN, SKIP, AUX, ENDED, STOPPING, OFF, WAKE, DONE, SAY, WARNED,
	CRASHED,
};

struct message { u64 kind, a, b, c, d; };
struct command { u64 kind, a, b; };
enum command_kind { ADD = 1, DEL, INTERRUPT };

/* What the event and its hardware are like: the simulator's first bytes. */
struct setup {
	u64 page_shift, pages, watermark, overwrite, period;
	u64 config, config1, config2, config3, config4, exclude_kernel;
	u64 pmsidr, pmbidr, dfr0;
};

#define QUIET __attribute__((no_instrument_function))

unsigned int shim_page_shift;
static struct setup setup;
static struct pmu *pmu;
static struct perf_event event;
static struct perf_buffer *rb;
static irq_handler_t handler;
static void *handler_data;
static struct cpumask cpus = { 1UL << SHIM_CPU };
static int (*cpu_up)(unsigned int, struct hlist_node *);
static bool queued, running, in_work;

/* --- messages ------------------------------------------------------------------------------ */

QUIET static void put(const void *data, size_t size)
{
	const char *at = data;

	while (size) {
		ssize_t done = write(SHIM_OUT, at, size);

		if (done <= 0)
			_exit(0); /* the simulator is gone */
		at += done;
		size -= done;
	}
}

QUIET static void take(void *data, size_t size)
{
	char *at = data;

	while (size) {
		ssize_t done = read(SHIM_IN, at, size);

		if (done <= 0)
			_exit(0);
		at += done;
		size -= done;
	}
}

QUIET static void tell(enum kind kind, u64 a, u64 b, u64 c, u64 d)
{
	struct message message = { kind, a, b, c, d };

	put(&message, sizeof(message));
}

QUIET static u64 ask(enum kind kind, u64 a, u64 b)
{
	u64 answer;

	tell(kind, a, b, 0, 0);
	take(&answer, sizeof(answer));
	return answer;
}

QUIET void shim_say(const char *level, const char *format, ...)
{
	char text[512];
	va_list arguments;
	int length;

	va_start(arguments, format);
	length = vsnprintf(text, sizeof(text), format, arguments);
	va_end(arguments);
	if (length >= (int)sizeof(text))
		length = sizeof(text) - 1;
	tell(SAY, level[0], length, 0, 0);
	put(text, length);
}

QUIET char *shim_text(const char *format, ...)
{
	char text[128];
	va_list arguments;

	va_start(arguments, format);
	vsnprintf(text, sizeof(text), format, arguments);
	va_end(arguments);
	return strdup(text);
}

/* --- where the driver is ------------------------------------------------------------------- */

static void *frames[MOST_FRAMES];
static int depth;

QUIET void __cyg_profile_func_enter(void *function, void *caller);
QUIET void __cyg_profile_func_exit(void *function, void *caller);

QUIET void __cyg_profile_func_enter(void *function, void *caller)
{
	(void)caller;
	if (depth < MOST_FRAMES)
		frames[depth] = function;
	depth++;
	if (running && pmu && function == (void *)pmu->stop && !(event.hw.state & PERF_HES_STOPPED))
		ask(STOPPING, in_work, 0);
}

QUIET void __cyg_profile_func_exit(void *function, void *caller)
{
	(void)function;
	(void)caller;
	depth--;
}

QUIET static u64 counter_of(void *context)
{
#if defined(__x86_64__)
	return ((ucontext_t *)context)->uc_mcontext.gregs[REG_RIP];
#elif defined(__aarch64__)
	return ((ucontext_t *)context)->uc_mcontext.pc;
#else
	(void)context;
	return 0;
#endif
}

QUIET _Noreturn static void crash(int number, u64 address, u64 at)
{
	int kept = depth < MOST_FRAMES ? depth : MOST_FRAMES;

	tell(CRASHED, number, address, at, kept);
	for (int i = kept - 1; i >= 0; i--) {
		u64 frame = (u64)frames[i];

		put(&frame, sizeof(frame));
	}
	_exit(1);
}

QUIET static void on_signal(int number, siginfo_t *info, void *context)
{
	crash(number, number == SIGVTALRM ? 0 : (u64)info->si_addr, counter_of(context));
}

QUIET bool shim_warn(bool condition, const char *where, int line)
{
	if (condition) {
		tell(WARNED, line, strlen(where), 0, 0);
		put(where, strlen(where));
	}
	return condition;
}

QUIET _Noreturn void shim_bug(const char *where, int line)
{
	(void)where;
	(void)line;
	crash(SIGABRT, 0, (u64)__builtin_return_address(0) - 1);
}

QUIET static void watch_signals(void)
{
	static char stack[1 << 16];
	stack_t alternate = { .ss_sp = stack, .ss_size = sizeof(stack) };
	struct sigaction action = { .sa_sigaction = on_signal,
				    .sa_flags = SA_SIGINFO | SA_ONSTACK | SA_NODEFER };
	int numbers[] = { SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGABRT, SIGVTALRM };

	sigaltstack(&alternate, NULL);
	for (size_t i = 0; i < ARRAY_SIZE(numbers); i++)
		sigaction(numbers[i], &action, NULL);
	signal(SIGINT, SIG_IGN); /* Ctrl-C is the simulator's */
}

/* The CPU time after which an operation of the driver is taken for one that does not end. */
QUIET static void watch_time(bool on)
{
	struct itimerval timer = { .it_value.tv_sec = on ? HANG_SECONDS : 0 };

	setitimer(ITIMER_VIRTUAL, &timer, NULL);
}

/* --- registers ----------------------------------------------------------------------------- */

static u64 early[1 << 7];

QUIET static u64 *early_of(u32 reg)
{
	return &early[reg >> 5 & 0x7f]; /* crm and op2: apart for all of SPE's */
}

QUIET u64 shim_read(u32 reg)
{
	if (reg == SYS_PMSIDR_EL1)
		return setup.pmsidr;
	if (reg == SYS_PMBIDR_EL1)
		return setup.pmbidr;
	if (reg == SYS_ID_AA64DFR0_EL1)
		return setup.dfr0;
	return running ? ask(READ, reg, 0) : *early_of(reg);
}

QUIET void shim_write(u64 value, u32 reg)
{
	if (running)
		ask(WRITE, reg, value);
	else
		*early_of(reg) = value;
}

/* --- memory -------------------------------------------------------------------------------- */

static char *area;
static struct page *pages;
static unsigned long given;
static unsigned int largest_order;

QUIET struct page *alloc_pages_node(int node, gfp_t flags, unsigned int order)
{
	struct page *first = pages + given;

	(void)node;
	(void)flags;
	if (order > MAX_PAGE_ORDER || given + (1UL << order) > setup.pages)
		return NULL;
	for (unsigned long i = 0; i < 1UL << order; i++)
		first[i].address = area + ((given + i) << PAGE_SHIFT);
	given += 1UL << order;
	if (order > largest_order)
		largest_order = order;
	return first;
}

QUIET struct page *virt_to_page(const void *address)
{
	return pages + (((const char *)address - area) >> PAGE_SHIFT);
}

QUIET void *vmap(struct page **mapped, unsigned int count, unsigned long flags, int protection)
{
	(void)flags;
	(void)protection;
	for (unsigned int i = 0; i < count; i++)
		if (mapped[i]->address != area + ((unsigned long)i << PAGE_SHIFT))
			return NULL;
	return area;
}

/* --- perf's core --------------------------------------------------------------------------- */

QUIET struct cpumask *shim_cpus(void)
{
	return &cpus;
}

QUIET int request_percpu_irq(unsigned int irq, irq_handler_t function, const char *name, void *data)
{
	(void)irq;
	(void)name;
	handler = function;
	handler_data = data;
	return 0;
}

QUIET int cpuhp_setup_state_multi(enum cpuhp_state state, const char *name,
				  int (*up)(unsigned int, struct hlist_node *),
				  int (*down)(unsigned int, struct hlist_node *))
{
	(void)name;
	(void)down;
	cpu_up = up;
	return state;
}

QUIET int cpuhp_state_add_instance(enum cpuhp_state state, struct hlist_node *node)
{
	(void)state;
	return cpu_up ? cpu_up(SHIM_CPU, node) : 0;
}

QUIET int platform_driver_register(struct platform_driver *driver)
{
	static struct platform_device device = { .name = ARMV8_SPE_PDEV_NAME };

	return driver->probe(&device);
}

QUIET int perf_pmu_register(struct pmu *registered, const char *name, int type)
{
	registered->name = name;
	registered->type = type < 0 ? 8 : type;
	pmu = registered;
	return 0;
}

QUIET bool irq_work_queue(struct irq_work *work)
{
	work->pending = 1;
	queued = true;
	return true;
}

QUIET void perf_event_disable_inatomic(struct perf_event *which)
{
	which->pending_disable = SHIM_CPU;
	irq_work_queue(&which->pending_disable_irq);
}

QUIET void irq_work_run(void)
{
	while (queued) {
		queued = false;
		if (event.pending_disable) {
			event.pending_disable = 0;
			tell(OFF, 0, 0, 0, 0);
			in_work = true;
			pmu->del(&event, 0);
			in_work = false;
		}
		if (event.pending_wakeup) {
			event.pending_wakeup = 0;
			ask(WAKE, 0, 0);
		}
	}
}

QUIET void perf_event_aux_event(struct perf_event *which, unsigned long head, unsigned long size,
				u64 flags)
{
	(void)which;
	tell(AUX, head, size, flags, 0);
}

QUIET struct perf_buffer *ring_buffer_get(struct perf_event *which)
{
	if (which->rb)
		refcount_inc(&which->rb->refcount);
	return which->rb;
}

QUIET void ring_buffer_put(struct perf_buffer *which)
{
	which->refcount.counter--;
}

QUIET void *perf_aux_output_begin(struct perf_output_handle *handle, struct perf_event *which)
{
	if (running)
		rb->user_page->aux_tail = ask(BEGIN, 0, 0);
	return tree_aux_output_begin(handle, which);
}

QUIET int perf_aux_output_skip(struct perf_output_handle *handle, unsigned long size)
{
	int error = tree_aux_output_skip(handle, size);

	if (running && !error)
		tell(SKIP, size, 0, 0, 0);
	return error;
}

QUIET void perf_aux_output_end(struct perf_output_handle *handle, unsigned long size)
{
	u64 flags;

	tree_aux_output_end(handle, size);
	flags = handle->aux_flags;
	if (running)
		tell(ENDED, size, flags, 0, 0);
}

/* --- an event ------------------------------------------------------------------------------ */

QUIET static int open_event(void)
{
	int error;

	event.pmu = pmu;
	event.cpu = -1;
	event.attr = (struct perf_event_attr){
		.type = pmu->type,
		.size = sizeof(event.attr),
		.config = setup.config,
		.config1 = setup.config1,
		.config2 = setup.config2,
		.config3 = setup.config3,
		.config4 = setup.config4,
		.sample_period = setup.period,
		.exclude_kernel = setup.exclude_kernel,
		.aux_watermark = setup.watermark,
	};
	event.hw.sample_period = event.hw.last_period = setup.period;
	local64_set(&event.hw.period_left, setup.period);
	event.hw.state = PERF_HES_STOPPED;
	error = pmu->event_init(&event);
	if (error)
		return error;

	area = mmap(NULL, setup.pages << PAGE_SHIFT, PROT_READ | PROT_WRITE,
		    MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	pages = calloc(setup.pages, sizeof(*pages));
	rb = calloc(1, sizeof(*rb));
	if (area == MAP_FAILED || !pages || !rb)
		return -ENOMEM;
	rb->user_page = calloc(1, sizeof(*rb->user_page));
	rb->refcount.counter = 1;
	rb->aux_mmap_count.counter = 1;
	error = rb_alloc_aux(rb, &event, 0, setup.pages, setup.watermark,
			     setup.overwrite ? 0 : RING_BUFFER_WRITABLE);
	event.rb = rb;
	return error;
}

QUIET int main(void)
{
	struct command command;
	int error;

	watch_signals();
	take(&setup, sizeof(setup));
	shim_page_shift = setup.page_shift;
	watch_time(true);
	error = shim_module_init();
	if (error || !pmu || !handler) {
		tell(REFUSED, 0, -error, 0, 0);
		return 0;
	}
	error = open_event();
	if (error) {
		tell(REFUSED, 1, -error, 0, 0);
		return 0;
	}
	watch_time(false);
	tell(READY, (u64)area, rb->aux_watermark, largest_order, event.hw.state);
	for (;;) {
		irqreturn_t result = IRQ_HANDLED;

		take(&command, sizeof(command));
		running = true;
		depth = 0;
		watch_time(true);
		switch (command.kind) {
		case ADD:
			pmu->add(&event, PERF_EF_START);
			break;
		case DEL:
			pmu->del(&event, 0);
			break;
		case INTERRUPT:
			result = handler(21, handler_data);
			break;
		}
		irq_work_run();
		watch_time(false);
		tell(DONE, event.hw.state, result, 0, 0);
	}
}
