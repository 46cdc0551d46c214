// SPDX-License-Identifier: GPL-2.0
/*
 * The same events in two instances, one consumed by GET_READER and the other by
 * read(): the statistics are the same after each page, whatever the events are.
 */
#include <limits.h>

#include "mapping.h"

#define CPU		0
#define NR_SUBBUFS	8

struct both {
	struct instance	inst;		/* Consumed by GET_READER. */
	struct instance	twin;		/* Consumed by read(). */
	struct mapping	map;
	int		twin_fd;
	char		*page;
	size_t		capacity;
	struct walk	walk;
	struct walk	twin_walk;
	long long	oldest;
};

FIXTURE(stats) {
	struct both	both;
	int		klog;
};

FIXTURE_VARIANT(stats) {
	int	order;
};

FIXTURE_VARIANT_ADD(stats, order0) { .order = 0 };
FIXTURE_VARIANT_ADD(stats, order1) { .order = 1 };
FIXTURE_VARIANT_ADD(stats, order2) { .order = 2 };
FIXTURE_VARIANT_ADD(stats, order3) { .order = 3 };
FIXTURE_VARIANT_ADD(stats, order4) { .order = 4 };
FIXTURE_VARIANT_ADD(stats, order5) { .order = 5 };
FIXTURE_VARIANT_ADD(stats, order6) { .order = 6 };
FIXTURE_VARIANT_ADD(stats, order7) { .order = 7 };

FIXTURE_SETUP(stats)
{
	size_t size = getpagesize() << variant->order;

	if (size > MAX_SUBBUF_SIZE)
		SKIP(return, "the kernel has no sub-buffers of this size");
	self->both.map.fd = -1;
	self->klog = klog_open();
	self->both.capacity = size - SUBBUF_HEADER_SIZE;
	self->both.page = malloc(size);
	ASSERT_EQ(pin_to_cpu(CPU), 0);
	ASSERT_EQ(instance_create(&self->both.inst), 0);
	ASSERT_EQ(instance_create(&self->both.twin), 0);
	ASSERT_EQ(instance_resize(&self->both.inst, variant->order, NR_SUBBUFS), 0);
	ASSERT_EQ(instance_resize(&self->both.twin, variant->order, NR_SUBBUFS), 0);
	ASSERT_EQ(mapping_open(&self->both.map, &self->both.inst, CPU), 0);
	self->both.twin_fd = cpu_open(&self->both.twin, CPU, O_RDONLY | O_NONBLOCK);
	ASSERT_GE(self->both.twin_fd, 0);
}

FIXTURE_TEARDOWN(stats)
{
	mapping_close(&self->both.map);
	close(self->both.twin_fd);
	free(self->both.page);
	EXPECT_EQ(instance_destroy(&self->both.inst), 0);
	EXPECT_EQ(instance_destroy(&self->both.twin), 0);
	EXPECT_EQ(klog_complaints(self->klog), 0);
	close(self->klog);
}

static int both_write(struct both *both, unsigned int nr,
		      size_t payload)
{
	static __u32 seq;
	int ret = 0;

	while (nr-- && !ret) {
		ret = marker_write(&both->inst, seq, payload);
		if (!ret)
			ret = marker_write(&both->twin, seq, payload);
		seq++;
	}
	return ret;
}

/*
 * One page from each. Returns what read() did: the new events' number, or 0
 * when nothing was there.
 */
static int both_consume(struct __test_metadata *_metadata,
			struct both *both)
{
	unsigned int before = both->twin_walk.data;
	int ret, got;

	got = consume(&both->map, &both->walk);
	EXPECT_GE(got, 0);
	check_meta(_metadata, &both->inst, CPU, &both->map);
	ret = read(both->twin_fd, both->page,
		   both->capacity + SUBBUF_HEADER_SIZE);
	if (ret <= 0) {
		/* A child that ran a program closed it: end of file. */
		EXPECT_TRUE(!ret || errno == EAGAIN);
		EXPECT_EQ(got, 0);
		return 0;
	}
	EXPECT_EQ(walk_subbuf(&both->twin_walk, both->page), 0);
	EXPECT_EQ(got, both->twin_walk.data - before);
	return 1;
}

static void both_compare_events(struct __test_metadata *_metadata,
				struct both *both)
{
	struct stats mapped, read;

	ASSERT_EQ(stats_read(&both->inst, CPU, &mapped), 0);
	ASSERT_EQ(stats_read(&both->twin, CPU, &read), 0);
	EXPECT_EQ(mapped.entries, read.entries);
	EXPECT_EQ(mapped.overrun, read.overrun);
	EXPECT_EQ(mapped.commit_overrun, read.commit_overrun);
	EXPECT_EQ(mapped.dropped, read.dropped);
	EXPECT_EQ(mapped.read, read.read);
	EXPECT_LE(mapped.oldest_ts, mapped.now_ts);
	EXPECT_GE(mapped.oldest_ts, both->oldest);
	both->oldest = mapped.oldest_ts;
}

static void both_compare(struct __test_metadata *_metadata,
			 struct both *both)
{
	struct stats mapped, read;

	both_compare_events(_metadata, both);
	ASSERT_EQ(stats_read(&both->inst, CPU, &mapped), 0);
	ASSERT_EQ(stats_read(&both->twin, CPU, &read), 0);
	EXPECT_EQ(mapped.bytes, read.bytes);
}

/* Consume all, page by page, and compare after each. */
static void both_drain(struct __test_metadata *_metadata,
		       struct both *both)
{
	both_compare(_metadata, both);
	for (int i = 0; both_consume(_metadata, both); i++) {
		ASSERT_LT(i, 3 * NR_SUBBUFS);
		both_compare(_metadata, both);
	}
	both_compare(_metadata, both);
	EXPECT_EQ(both->walk.data, both->twin_walk.data);
	EXPECT_EQ(both->walk.extends, both->twin_walk.extends);
	EXPECT_EQ(both->walk.stamps, both->twin_walk.stamps);
	EXPECT_EQ(both->walk.bytes, both->twin_walk.bytes);
}

TEST_F(stats, b8_plain)
{
	struct both *both = &self->both;
	unsigned int per_page = both->capacity / marker_event_size(20);

	for (int i = 0; i < 3; i++) {
		ASSERT_EQ(both_write(both, 2 * per_page + 10, 20), 0);
		both_drain(_metadata, both);
		/* A little more on the page that was read. */
		ASSERT_EQ(both_write(both, 3, 20), 0);
		both_drain(_metadata, both);
	}
	EXPECT_EQ(both->walk.data, 3 * (2 * per_page + 13));
	EXPECT_EQ(both->walk.gaps, 0);
}

TEST_F(stats, b8_pages)
{
	struct both *both = &self->both;
	size_t event = event_leaving(both->capacity, 0, 0, 600);
	unsigned int per_page = both->capacity / event, lost;

	/* One page more than the writer has: it loses the oldest one. */
	ASSERT_GT(event, 0);
	ASSERT_EQ(both_write(both, (NR_SUBBUFS + 1) * per_page,
			     marker_payload(event)), 0);
	ASSERT_EQ(get_reader(both->map.fd), 0);
	lost = both->map.meta->overrun;
	EXPECT_EQ(lost, per_page);
	EXPECT_EQ(both->map.meta->pages_lost, 1);
	EXPECT_EQ(both->map.meta->pages_touched, NR_SUBBUFS);
}

/* Whole pages that were overwritten, without padding on any of them. */
TEST_F(stats, b8_overrun)
{
	struct both *both = &self->both;
	size_t event = event_leaving(both->capacity, 0, 0, 600);
	unsigned int per_page = both->capacity / event;

	ASSERT_GT(event, 0);
	for (int i = 1; i < 4; i++) {
		ASSERT_EQ(both_write(both, (NR_SUBBUFS + 2 * i) * per_page + i,
				     marker_payload(event)), 0);
		both_drain(_metadata, both);
	}
	EXPECT_GT(both->map.meta->overrun, 0);
}

/* With padding. See d28_bytes_of_marked_pages for the bytes. */
TEST_F(stats, b8_overrun_with_padding)
{
	struct both *both = &self->both;
	size_t event = event_leaving(both->capacity, 12, 100, 600);
	unsigned int per_page = both->capacity / event;

	ASSERT_GT(event, 0);
	ASSERT_EQ(both_write(both, (NR_SUBBUFS + 3) * per_page + 1,
			     marker_payload(event)), 0);
	both_compare(_metadata, both);
	for (int i = 0; both_consume(_metadata, both); i++) {
		ASSERT_LT(i, 3 * NR_SUBBUFS);
		both_compare_events(_metadata, both);
	}
	EXPECT_GT(both->map.meta->overrun, 0);
	EXPECT_EQ(both->walk.data, both->twin_walk.data);
}

TEST_F(stats, b8_largest_event)
{
	struct both *both = &self->both;
	size_t payload = MARKER_MAX;

	/* What is too large is refused, and nothing of it is left. */
	while (marker_write(&both->inst, 0, payload)) {
		ASSERT_EQ(errno, EINVAL);
		payload--;
	}
	if (variant->order) {
		EXPECT_EQ(payload, MARKER_MAX);
	} else {
		/* Header, length and event fill the page to the last word. */
		EXPECT_EQ(marker_event_size(payload), both->capacity);
	}
	ASSERT_EQ(instance_reset(&both->inst), 0);

	ASSERT_EQ(both_write(both, NR_SUBBUFS, payload), 0);
	both_drain(_metadata, both);
	ASSERT_EQ(both_write(both, 1, payload), 0);
	both_drain(_metadata, both);
	ASSERT_EQ(both_write(both, 3, payload - 5), 0);
	both_drain(_metadata, both);
}

TEST_F(stats, b8_mixed_sizes)
{
	struct both *both = &self->both;
	__u32 random = 12345;

	for (int i = 0; i < 12; i++) {
		for (int j = 0; j < 20; j++) {
			random = random * 1103515245 + 12345;
			ASSERT_EQ(both_write(both, 1, 4 + (random >> 16) %
					     (j % 4 ? 120 : 1500)), 0);
		}
		/* Sometimes one page, sometimes all. */
		if (i % 3) {
			both_consume(_metadata, both);
			both_compare(_metadata, both);
		} else {
			both_drain(_metadata, both);
		}
	}
	both_drain(_metadata, both);
	EXPECT_EQ(both->walk.data, 240);
	EXPECT_EQ(both->walk.gaps, 0);
	EXPECT_EQ(both->map.meta->overrun, 0);
}

/*
 * All from the one, then all from the other: with a clock that runs, a page may
 * end elsewhere in each.
 */
static void both_take_all(struct __test_metadata *_metadata, struct both *both)
{
	size_t size = both->capacity + SUBBUF_HEADER_SIZE;

	ASSERT_EQ(drain(&both->map, &both->walk), 0);
	for (int i = 0; read(both->twin_fd, both->page, size) > 0; i++) {
		ASSERT_LT(i, 3 * NR_SUBBUFS);
		ASSERT_EQ(walk_subbuf(&both->twin_walk, both->page), 0);
	}
}

/* Longer than 27 bits of nanoseconds between events. */
TEST_F(stats, b8_time_extends)
{
	struct both *both = &self->both;
	unsigned int per_page = both->capacity / marker_event_size(1000);

	mapping_close(&both->map);
	ASSERT_EQ(instance_write(&both->inst, "trace_clock", "mono"), 0);
	ASSERT_EQ(instance_write(&both->twin, "trace_clock", "mono"), 0);
	ASSERT_EQ(mapping_open(&both->map, &both->inst, CPU), 0);

	for (int i = 0; i < 2; i++) {
		ASSERT_EQ(both_write(both, 2, 8), 0);
		sleep_ms(140);
		ASSERT_EQ(both_write(both, 1, 20), 0);
	}
	ASSERT_EQ(both_write(both, per_page, 1000), 0);
	both_take_all(_metadata, both);

	/* One that begins what is new. */
	sleep_ms(140);
	ASSERT_EQ(both_write(both, 2, 20), 0);
	both_take_all(_metadata, both);
	EXPECT_GE(both->walk.extends, 3);
	EXPECT_GE(both->twin_walk.extends, 3);
	EXPECT_EQ(both->walk.data, 8 + per_page);
	EXPECT_EQ(both->walk.gaps, 0);
	EXPECT_EQ(both->twin_walk.data, both->walk.data);
	both_compare(_metadata, both);
}

#define EXEC	"events/sched/sched_process_exec/"

/*
 * Events that a filter discards after they were reserved. Smaller ones are
 * filtered on a scratch page and never get that far: the name of the program
 * makes this one larger than that. With order 0 it does not fit at all.
 */
TEST_F(stats, b8_discarded_large_events)
{
	struct both *both = &self->both;
	struct instance *inst[] = { &both->inst, &both->twin };
	char path[PATH_MAX], self_path[256];
	int status, pos = 0;
	ssize_t len;

	len = readlink("/proc/self/exe", self_path, sizeof(self_path) - 1);
	ASSERT_GT(len, 0);
	self_path[len] = '\0';
	while (pos + len + 4 < PATH_MAX)
		pos += sprintf(path + pos, "/.");
	memcpy(path + pos, self_path, len + 1);

	for (int i = 0; i < 2; i++) {
		ASSERT_EQ(instance_write(inst[i], EXEC "filter", "pid == 0"),
			  0);
		ASSERT_EQ(instance_write(inst[i], EXEC "enable", "1"), 0);
	}

	for (int i = 0; i < 6; i++) {
		pid_t pid;

		ASSERT_EQ(both_write(both, 3, 100), 0);
		pid = fork();
		ASSERT_GE(pid, 0);
		if (!pid) {
			dup2(open("/dev/null", O_WRONLY), 1);
			dup2(1, 2);
			execl(path, "self", "-l", NULL);
			_exit(99);
		}
		ASSERT_EQ(waitpid(pid, &status, 0), pid);
		ASSERT_NE(WEXITSTATUS(status), 99);
		/* At the end of what is there, and between markers. */
		if (i & 1)
			both_drain(_metadata, both);
	}
	ASSERT_EQ(both_write(both, 1, 100), 0);
	both_drain(_metadata, both);
	EXPECT_EQ(both->walk.data, 19);
	EXPECT_EQ(both->walk.gaps, 0);

	/* The event after a discarded one has a time stamp of its own. */
	if (variant->order)
		EXPECT_GT(both->walk.stamps, 0);
}

#define GETPPID	"events/syscalls/sys_enter_getppid/"

#define HIST	"hist:keys=common_pid:ts=common_timestamp:clock=counter"

/*
 * With a histogram of time stamps, filters work on events that are in the
 * buffer already. The event that follows a discarded one is the only kind that
 * carries an absolute time stamp.
 */
TEST_F(stats, b8_discarded_events)
{
	struct both *both = &self->both;
	struct instance *inst[] = { &both->inst, &both->twin };

	if (!instance_has(&both->inst, EXEC "hist"))
		SKIP(return, "no histograms (CONFIG_HIST_TRIGGERS)");
	if (!instance_has(&both->inst, GETPPID "filter"))
		SKIP(return, "no system call events (CONFIG_FTRACE_SYSCALLS)");
	for (int i = 0; i < 2; i++) {
		ASSERT_EQ(instance_write(inst[i], EXEC "trigger", HIST), 0);
		ASSERT_EQ(instance_write(inst[i], GETPPID "filter",
					 "common_pid == 0"), 0);
		ASSERT_EQ(instance_write(inst[i], GETPPID "enable", "1"), 0);
	}

	for (int i = 0; i < 16; i++) {
		ASSERT_EQ(both_write(both, 5, 100), 0);
		/* Few, and many. */
		for (int j = i == 9 ? 500 : i; j > 0; j--)
			getppid();
		if (i % 4 == 3)
			both_drain(_metadata, both);
	}
	both_drain(_metadata, both);
	EXPECT_EQ(both->walk.data, 80);
	EXPECT_EQ(both->walk.gaps, 0);
	EXPECT_EQ(both->walk.padding, both->twin_walk.padding);
	EXPECT_GT(both->walk.stamps, 0);
	for (int i = 0; i < 2; i++)
		ASSERT_EQ(instance_write(inst[i], EXEC "trigger", "!" HIST), 0);
}

/* A page that read() left half-read: GET_READER consumes what remains. */
TEST_F(stats, b8_half_read)
{
	struct both *both = &self->both;
	size_t event = marker_event_size(20);
	unsigned int per_page = both->capacity / event;

	ASSERT_EQ(both_write(both, 2 * per_page + per_page / 2, 20), 0);
	for (int i = 1; i <= 4; i++) {
		size_t len = SUBBUF_HEADER_SIZE + i * event + 3;
		struct instance *inst[] = { &both->inst, &both->twin };
		__u32 id = both->map.meta->reader.id;

		/* The same short read from each, through a new descriptor. */
		for (int j = 0; j < 2; j++) {
			int fd = cpu_open(inst[j], CPU, O_RDONLY | O_NONBLOCK);

			ASSERT_GE(fd, 0);
			ASSERT_EQ(read(fd, both->page, len), len);
			close(fd);
			EXPECT_EQ(subbuf_commit(both->page) & COMMIT_SIZE_MASK,
				  i * event);
		}

		/* read() says nothing to the meta-page. */
		EXPECT_EQ(both->map.meta->reader.id, id);

		ASSERT_EQ(get_reader(both->map.fd), 0);
		ASSERT_GT(read(both->twin_fd, both->page,
			       both->capacity + SUBBUF_HEADER_SIZE), 0);
		both_compare(_metadata, both);
		EXPECT_EQ(both->map.meta->reader.read,
			  subbuf_commit(mapping_reader(&both->map)) &
			  COMMIT_SIZE_MASK);
		if (i >= 3)
			ASSERT_EQ(both_write(both, per_page, 20), 0);
	}
}

/* Mapped and unmapped again between reads: the buffer does not notice. */
TEST_F(stats, b8_map_again)
{
	struct both *both = &self->both;
	unsigned int per_page = both->capacity / marker_event_size(100);

	for (int i = 0; i < 4; i++) {
		ASSERT_EQ(both_write(both, per_page + 7, 100), 0);
		both_consume(_metadata, both);
		both_compare(_metadata, both);
		mapping_close(&both->map);
		ASSERT_EQ(mapping_open(&both->map, &both->inst, CPU), 0);
		both_compare(_metadata, both);
		/* The ids of a buffer that was mapped before may stay. */
		EXPECT_LT(both->map.meta->reader.id,
			  both->map.meta->nr_subbufs);
	}
	both_drain(_metadata, both);
	EXPECT_EQ(both->walk.data, 4 * (per_page + 7));
	EXPECT_EQ(both->walk.gaps, 0);
}

TEST_HARNESS_MAIN
