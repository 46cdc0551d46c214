// SPDX-License-Identifier: GPL-2.0
/*
 * Benchmark of mapped ring buffers, on the processor that it runs on.
 *
 * A KUnit suite that logs how long operations take, and asserts only that they
 * succeed. Each line has some samples of one operation:
 *
 *	map_benchmark: NAME DIVISOR SAMPLE...
 *
 * A sample is in units of the processor's time stamp counter, or nanoseconds
 * where there is none, and is that of DIVISOR operations. It has one reading of
 * the counter in it, which is what "clock" is.
 */
#include <kunit/test.h>
#include <linux/anon_inodes.h>
#include <linux/file.h>
#include <linux/mman.h>
#include <linux/ring_buffer.h>
#include <linux/timekeeping.h>

/* As trace_marker_raw writes a payload of 8 bytes: an ID, that, and padding. */
#define RB_BENCH_EVENT		16
#define RB_BENCH_RECORD		(4 + RB_BENCH_EVENT)
#define RB_BENCH_SAMPLES	1000
/* How many events of a writer one sample is of. */
#define RB_BENCH_WRITES		100
/* The data of a sub-buffer begins behind its time stamp and its size. */
#define RB_BENCH_HEADER		16

struct rb_bench {
	struct trace_buffer	*buffer;
	struct file		*file;
	int			cpu;
	/* Bytes of a sub-buffer, and how many events it has room for. */
	unsigned long		subbuf;
	unsigned int		capacity;
	unsigned long		addr;
	u32			samples[RB_BENCH_SAMPLES];
	unsigned int		nr;
};

/* A mapping is of the file, which has the benchmark. */
static void rb_bench_vm_close(struct vm_area_struct *vma)
{
	struct rb_bench *self = vma->vm_file->private_data;

	WARN_ON(ring_buffer_unmap(self->buffer, self->cpu));
}

static const struct vm_operations_struct rb_bench_vm_ops = {
	.close		= rb_bench_vm_close,
};

static int rb_bench_mmap(struct file *file, struct vm_area_struct *vma)
{
	struct rb_bench *self = file->private_data;
	int ret;

	ret = ring_buffer_map(self->buffer, self->cpu, vma);
	if (!ret)
		vma->vm_ops = &rb_bench_vm_ops;
	return ret;
}

static int rb_bench_release(struct inode *inode, struct file *file)
{
	struct rb_bench *self = file->private_data;

	ring_buffer_free(self->buffer);
	kfree(self);
	return 0;
}

static const struct file_operations rb_bench_fops = {
	.mmap		= rb_bench_mmap,
	.release	= rb_bench_release,
};

KUNIT_DEFINE_ACTION_WRAPPER(rb_bench_fput, fput, struct file *);

static inline u64 rb_bench_now(void)
{
#ifdef __x86_64__
	u32 low, high;

	/* Neither what is before nor what is behind is in between. */
	asm volatile("lfence; rdtsc; lfence" : "=a" (low), "=d" (high) : : "memory");
	return ((u64)high << 32) | low;
#else
	return ktime_get_ns();
#endif
}

static void rb_bench_sample(struct rb_bench *self, u64 start)
{
	u64 end = rb_bench_now();

	if (self->nr < RB_BENCH_SAMPLES)
		self->samples[self->nr++] = min_t(u64, end - start, U32_MAX);
}

static bool rb_bench_more(struct rb_bench *self)
{
	return self->nr < RB_BENCH_SAMPLES;
}

static void rb_bench_log(struct rb_bench *self, const char *name, int divisor)
{
	static char line[400];
	unsigned int at = 0;

	while (at < self->nr) {
		size_t len = 0;

		while (at < self->nr && len < sizeof(line) - 12)
			len += scnprintf(line + len, sizeof(line) - len, " %u",
					 self->samples[at++]);
		pr_info("map_benchmark: %s %d%s\n", name, divisor, line);
	}
	self->nr = 0;
}

/* A buffer of about so many bytes, with sub-buffers of that order. */
static struct rb_bench *rb_bench_begin(struct kunit *test, int order,
				       unsigned long size)
{
	struct rb_bench *self = kzalloc(sizeof(*self), GFP_KERNEL);

	KUNIT_ASSERT_NOT_NULL(test, self);
	self->cpu = raw_smp_processor_id();
	self->subbuf = PAGE_SIZE << order;
	self->capacity = (self->subbuf - RB_BENCH_HEADER) / RB_BENCH_RECORD;
	self->buffer = ring_buffer_alloc(size, RB_FL_OVERWRITE);
	if (!self->buffer)
		kfree(self);
	KUNIT_ASSERT_NOT_NULL(test, self->buffer);
	self->file = anon_inode_getfile("[rb_bench]", &rb_bench_fops, self, O_RDONLY);
	if (IS_ERR(self->file)) {
		ring_buffer_free(self->buffer);
		kfree(self);
		KUNIT_FAIL_AND_ABORT(test, "there is no file");
	}
	KUNIT_ASSERT_EQ(test, 0,
			kunit_add_action_or_reset(test, rb_bench_fput, self->file));
	KUNIT_ASSERT_EQ(test, 0, ring_buffer_subbuf_order_set(self->buffer, order));
	return self;
}

static unsigned long rb_bench_map_pages(struct rb_bench *self, unsigned long len)
{
	return vm_mmap(self->file, 0, len, PROT_READ, MAP_SHARED, 0);
}

/* Maps the meta-page. */
static void rb_bench_map(struct kunit *test, struct rb_bench *self)
{
	self->addr = rb_bench_map_pages(self, PAGE_SIZE);
	KUNIT_ASSERT_FALSE(test, IS_ERR_VALUE(self->addr));
}

static void rb_bench_unmap(struct kunit *test, struct rb_bench *self)
{
	KUNIT_ASSERT_EQ(test, 0, vm_munmap(self->addr, PAGE_SIZE));
}

static void rb_bench_write(struct rb_bench *self, unsigned int nr)
{
	static char event[RB_BENCH_EVENT];

	while (nr--)
		ring_buffer_write(self->buffer, sizeof(event), event);
}

/* An empty buffer gets full sub-buffers, and the beginning of another. */
static void rb_bench_fill(struct rb_bench *self, unsigned int subbufs)
{
	ring_buffer_reset_cpu(self->buffer, self->cpu);
	rb_bench_write(self, subbufs * self->capacity + 1);
}

static int rb_bench_get_reader(struct rb_bench *self)
{
	return ring_buffer_map_get_reader(self->buffer, self->cpu);
}

#define RB_BENCH_FULL		8

/* How a full sub-buffer is taken: by GET_READER, as by splice(), as by read(). */
enum rb_bench_way { RB_BENCH_GET_READER, RB_BENCH_TAKE, RB_BENCH_COPY };

static void rb_bench_page(struct kunit *test, int order, enum rb_bench_way way,
			  const char *name)
{
	struct rb_bench *self = rb_bench_begin(test, order, SZ_4M);
	/* Of a mapped buffer the events are copied, of another one the page is taken. */
	bool mapped = way != RB_BENCH_TAKE;
	struct buffer_data_read_page *page;

	KUNIT_ASSERT_EQ(test, 0, ring_buffer_alloc_read_page(self->buffer,
							     self->cpu, &page));
	if (mapped)
		rb_bench_map(test, self);
	while (rb_bench_more(self)) {
		rb_bench_fill(self, RB_BENCH_FULL);
		for (int i = 0; i < RB_BENCH_FULL; i++) {
			u64 start = rb_bench_now();
			int ret;

			if (way == RB_BENCH_GET_READER)
				ret = rb_bench_get_reader(self);
			else
				ret = ring_buffer_read_page(self->buffer, page,
							    self->subbuf, self->cpu,
							    !mapped);
			rb_bench_sample(self, start);
			KUNIT_EXPECT_EQ(test, 0, ret);
		}
		/* There was one in each. */
		KUNIT_EXPECT_EQ(test, 1, ring_buffer_entries_cpu(self->buffer,
								 self->cpu));
	}
	rb_bench_log(self, name, 1);
	if (mapped)
		rb_bench_unmap(test, self);
	ring_buffer_free_read_page(self->buffer, self->cpu, page);
}

static void full_4k(struct kunit *test)
{
	rb_bench_page(test, 0, RB_BENCH_GET_READER, "full.4k");
}

static void full_64k(struct kunit *test)
{
	rb_bench_page(test, 4, RB_BENCH_GET_READER, "full.64k");
}

static void full_256k(struct kunit *test)
{
	rb_bench_page(test, 6, RB_BENCH_GET_READER, "full.256k");
}

static void take_4k(struct kunit *test)
{
	rb_bench_page(test, 0, RB_BENCH_TAKE, "take.4k");
}

static void take_64k(struct kunit *test)
{
	rb_bench_page(test, 4, RB_BENCH_TAKE, "take.64k");
}

static void take_256k(struct kunit *test)
{
	rb_bench_page(test, 6, RB_BENCH_TAKE, "take.256k");
}

static void copy_4k(struct kunit *test)
{
	rb_bench_page(test, 0, RB_BENCH_COPY, "copy.4k");
}

static void copy_64k(struct kunit *test)
{
	rb_bench_page(test, 4, RB_BENCH_COPY, "copy.64k");
}

static void copy_256k(struct kunit *test)
{
	rb_bench_page(test, 6, RB_BENCH_COPY, "copy.256k");
}

/* GET_READER on the sub-buffer being written, after so many events. */
static void rb_bench_live(struct kunit *test, unsigned int nr, const char *name)
{
	struct rb_bench *self = rb_bench_begin(test, 4, SZ_1M);
	unsigned int room = 0;

	rb_bench_map(test, self);
	while (rb_bench_more(self)) {
		u64 start;
		int ret;

		if (room <= nr) {
			rb_bench_fill(self, 0);
			KUNIT_ASSERT_EQ(test, 0, rb_bench_get_reader(self));
			room = self->capacity - 1;
		}
		rb_bench_write(self, nr);
		room -= nr;
		start = rb_bench_now();
		ret = rb_bench_get_reader(self);
		rb_bench_sample(self, start);
		KUNIT_ASSERT_EQ(test, 0, ret);
		KUNIT_ASSERT_TRUE(test, ring_buffer_empty_cpu(self->buffer,
							      self->cpu));
	}
	rb_bench_log(self, name, 1);
	rb_bench_unmap(test, self);
}

static void live_empty(struct kunit *test)
{
	rb_bench_live(test, 0, "live.empty");
}

static void live_1(struct kunit *test)
{
	rb_bench_live(test, 1, "live.1");
}

static void live_10(struct kunit *test)
{
	rb_bench_live(test, 10, "live.10");
}

static void live_100(struct kunit *test)
{
	rb_bench_live(test, 100, "live.100");
}

static void live_1000(struct kunit *test)
{
	rb_bench_live(test, 1000, "live.1000");
}

/* mmap and munmap of a page. */
static void rb_bench_map_page(struct kunit *test, struct rb_bench *self,
			      bool resize, const char *name)
{
	while (rb_bench_more(self)) {
		u64 start;

		/* As if it was never mapped before. */
		if (resize) {
			KUNIT_ASSERT_LE(test, 0,
					ring_buffer_resize(self->buffer,
							   SZ_8M + PAGE_SIZE,
							   self->cpu));
			KUNIT_ASSERT_LE(test, 0,
					ring_buffer_resize(self->buffer, SZ_8M,
							   self->cpu));
		}
		start = rb_bench_now();
		rb_bench_map(test, self);
		rb_bench_unmap(test, self);
		rb_bench_sample(self, start);
	}
	rb_bench_log(self, name, 1);
}

static void map_first(struct kunit *test)
{
	rb_bench_map_page(test, rb_bench_begin(test, 0, SZ_8M), true, "map.first.8m");
}

static void map_again(struct kunit *test)
{
	struct rb_bench *self = rb_bench_begin(test, 0, SZ_8M);

	rb_bench_map(test, self);
	rb_bench_unmap(test, self);
	rb_bench_map_page(test, self, false, "map.again.8m");
}

static void map_second(struct kunit *test)
{
	struct rb_bench *self = rb_bench_begin(test, 0, SZ_8M);
	unsigned long first;

	rb_bench_map(test, self);
	first = self->addr;
	rb_bench_map_page(test, self, false, "map.second.8m");
	self->addr = first;
	rb_bench_unmap(test, self);
}

/* mmap alone, of all of a buffer whose meta-page is mapped. */
static void map_whole(struct kunit *test)
{
	struct rb_bench *self = rb_bench_begin(test, 0, SZ_8M);

	rb_bench_map(test, self);
	while (rb_bench_more(self)) {
		u64 start = rb_bench_now();
		unsigned long addr = rb_bench_map_pages(self, SZ_8M);

		rb_bench_sample(self, start);
		KUNIT_ASSERT_FALSE(test, IS_ERR_VALUE(addr));
		KUNIT_ASSERT_EQ(test, 0, vm_munmap(addr, SZ_8M));
	}
	rb_bench_log(self, "map.whole.8m", 1);
	rb_bench_unmap(test, self);
}

static void rb_bench_writer(struct kunit *test, bool mapped, const char *name)
{
	struct rb_bench *self = rb_bench_begin(test, 0, SZ_8M);

	if (mapped)
		rb_bench_map(test, self);
	while (rb_bench_more(self)) {
		u64 start = rb_bench_now();

		rb_bench_write(self, RB_BENCH_WRITES);
		rb_bench_sample(self, start);
	}
	rb_bench_log(self, name, RB_BENCH_WRITES);
	if (mapped)
		rb_bench_unmap(test, self);
}

static void writer_unmapped(struct kunit *test)
{
	rb_bench_writer(test, false, "writer.unmapped");
}

static void writer_mapped(struct kunit *test)
{
	rb_bench_writer(test, true, "writer.mapped");
}

/* What the counter adds to each sample, and how many of its units a second has. */
static void counter(struct kunit *test)
{
	struct rb_bench *self = rb_bench_begin(test, 0, SZ_64K);
	u64 ns = ktime_get_ns(), start = rb_bench_now(), units;

	while (ktime_get_ns() - ns < 20 * NSEC_PER_MSEC)
		cpu_relax();
	units = rb_bench_now() - start;
	ns = ktime_get_ns() - ns;
	pr_info("map_benchmark: khz 1 %llu\n", div64_u64(units * USEC_PER_SEC, ns));

	while (rb_bench_more(self))
		rb_bench_sample(self, rb_bench_now());
	rb_bench_log(self, "clock", 1);
}

static int rb_bench_init(struct kunit *test)
{
	/* Each case has a thread of its own. */
	return set_cpus_allowed_ptr(current, cpumask_of(raw_smp_processor_id())) ?:
	       kunit_attach_mm();
}

static struct kunit_case rb_bench_cases[] = {
	KUNIT_CASE_SLOW(counter),
	KUNIT_CASE_SLOW(full_4k),
	KUNIT_CASE_SLOW(take_4k),
	KUNIT_CASE_SLOW(copy_4k),
	KUNIT_CASE_SLOW(full_64k),
	KUNIT_CASE_SLOW(take_64k),
	KUNIT_CASE_SLOW(copy_64k),
	KUNIT_CASE_SLOW(full_256k),
	KUNIT_CASE_SLOW(take_256k),
	KUNIT_CASE_SLOW(copy_256k),
	KUNIT_CASE_SLOW(live_empty),
	KUNIT_CASE_SLOW(live_1),
	KUNIT_CASE_SLOW(live_10),
	KUNIT_CASE_SLOW(live_100),
	KUNIT_CASE_SLOW(live_1000),
	KUNIT_CASE_SLOW(map_first),
	KUNIT_CASE_SLOW(map_again),
	KUNIT_CASE_SLOW(map_second),
	KUNIT_CASE_SLOW(map_whole),
	KUNIT_CASE_SLOW(writer_unmapped),
	KUNIT_CASE_SLOW(writer_mapped),
	{}
};

static struct kunit_suite rb_bench_suite = {
	.name		= "trace_map_benchmark",
	.init		= rb_bench_init,
	.test_cases	= rb_bench_cases,
};

kunit_test_suite(rb_bench_suite);
