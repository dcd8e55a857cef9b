/* The same samples as the engines, in one loop over a whole run, for timing only: one vCPU, baremetal,
 * a synthetic loop of unit weights, hold, one sample in flight, no filter. A full window stops
 * profiling; ops that execute until the interrupt is served are passed over; the handler costs no
 * work time. Two histograms come out: records by static op and level, and stops. */
#include <stdint.h>

enum { LAW = 4 * 240 + 256 };

struct in {
	int64_t interval, mask, first, pop_end, ops, ticks, window, irq;
	uint64_t key_interval, key_latency;
	const int64_t *tick, *place, *latency;
};

struct out {
	int64_t selected, collided, written, stops, *histogram;
};

static inline uint64_t mix64(uint64_t key, uint64_t ordinal)
{
	uint64_t x = key + (ordinal + 1) * 0x9E3779B97F4A7C15u;

	x = (x ^ (x >> 30)) * 0xBF58476D1CE4E5B9u;
	x = (x ^ (x >> 27)) * 0x94D049BB133111EBu;
	return x ^ (x >> 31);
}

/* Ticks of a law: 240 slices of 2^-8, 240 of 2^-12, and so on; a straight line within each. */
static inline int64_t by_law(const int64_t *law, uint64_t value)
{
	const int64_t all = 1 << 24, bits = value >> 40;
	int level = 0;

	for (int k = 1; k <= 4; k++)
		level += bits >= all - (all >> 4 * k);
	law += 240 * level + (bits >> (16 - 4 * level) & 255);
	return (*law & 0xffffffff) + ((*law >> 32) * (int64_t)(value & 0xffff) >> 16);
}

/* First op that begins at or after a work time. */
static int64_t op_from(const struct in *in, int64_t at)
{
	int64_t turn = at / in->ticks, rest = at % in->ticks, low = 0, high = in->ops;

	while (low < high) {
		int64_t mid = (low + high) / 2;

		if (in->tick[mid] < rest)
			low = mid + 1;
		else
			high = mid;
	}
	return turn * in->ops + low;
}

void whole_run(const struct in *in, struct out *out)
{
	int64_t candidate = in->first, busy = -1, flying = -1, room = in->window;
	uint64_t drawn = 0;

	for (;;) {
		int64_t at = INT64_MAX, op = candidate, turn, rest, place;

		if (op < in->pop_end) {
			turn = op / in->ops;
			rest = op - turn * in->ops;
			at = turn * in->ticks + in->tick[rest];
			place = in->place[rest];
		}
		if (flying >= 0 && busy <= at) {
			out->histogram[((flying & 0xffffffffff) >> 8 << 3) + (flying & 255)]++;
			out->written++;
			flying = -1;
			if (--room == 0) {
				int64_t stop = op_from(in, busy), start = op_from(in, busy + in->irq);

				out->stops++;
				room = in->window;
				candidate += start - stop;
				continue;
			}
		}
		if (op >= in->pop_end)
			break;
		out->selected++;
		if (flying >= 0) {
			out->collided++;
		} else {
			flying = place;
			busy = at + by_law(in->latency + (place >> 40) * LAW, mix64(in->key_latency, op));
		}
		candidate += in->interval + 1 + (mix64(in->key_interval, drawn++) & in->mask);
	}
}
