// SPDX-License-Identifier: GPL-2.0
/*
 * Consuming a mapped buffer with GET_READER: which page it names, what it
 * consumes, when it waits, and how it reports losses.
 */
#include <pthread.h>

#include "mapping.h"

#define CPU		0
#define NR_SUBBUFS	8

FIXTURE(reader) {
	struct instance	inst;
	struct mapping	map;
	int		klog;
	size_t		capacity;
};

FIXTURE_VARIANT(reader) {
	int	order;
};

FIXTURE_VARIANT_ADD(reader, order0) { .order = 0 };
FIXTURE_VARIANT_ADD(reader, order1) { .order = 1 };

FIXTURE_SETUP(reader)
{
	self->map.fd = -1;
	self->klog = klog_open();
	self->capacity = (getpagesize() << variant->order) - SUBBUF_HEADER_SIZE;
	ASSERT_EQ(pin_to_cpu(CPU), 0);
	ASSERT_EQ(instance_create(&self->inst), 0);
	ASSERT_EQ(instance_resize(&self->inst, variant->order, NR_SUBBUFS), 0);
	ASSERT_EQ(mapping_open(&self->map, &self->inst, CPU), 0);
	ASSERT_EQ(self->map.meta->nr_subbufs, NR_SUBBUFS + 1);
}

FIXTURE_TEARDOWN(reader)
{
	mapping_close(&self->map);
	EXPECT_EQ(instance_destroy(&self->inst), 0);
	EXPECT_EQ(klog_complaints(self->klog), 0);
	close(self->klog);
}

TEST_F(reader, b7_swap_and_consume)
{
	unsigned int per_page = self->capacity / marker_event_size(8);
	struct trace_buffer_meta *meta = self->map.meta;
	size_t size = marker_event_size(8);
	struct walk walk = {};

	/* The first swap takes the page that the writer is on. */
	ASSERT_EQ(markers_write(&self->inst, 0, 16, 8), 0);
	EXPECT_EQ(consume(&self->map, &walk), 16);
	EXPECT_EQ(meta->reader.id, 1);
	EXPECT_EQ(meta->reader.read, 16 * size);
	EXPECT_EQ(meta->reader.lost_events, 0);
	EXPECT_EQ(meta->entries, 16);
	EXPECT_EQ(meta->read, 16);
	EXPECT_EQ(meta->overrun, 0);
	EXPECT_EQ(subbuf_commit(mapping_reader(&self->map)), 16 * size);
	check_meta(_metadata, &self->inst, CPU, &self->map);

	/* What is added to it comes without a swap. */
	ASSERT_EQ(markers_write(&self->inst, 16, 4, 8), 0);
	EXPECT_EQ(consume(&self->map, &walk), 4);
	EXPECT_EQ(meta->reader.id, 1);
	EXPECT_EQ(meta->reader.read, 20 * size);
	EXPECT_EQ(meta->read, 20);

	/* First the rest of the page, and only then the next one. */
	ASSERT_EQ(markers_write(&self->inst, 20, per_page, 8), 0);
	EXPECT_EQ(meta->read, 20);
	EXPECT_EQ(consume(&self->map, &walk), per_page - 20);
	EXPECT_EQ(meta->reader.id, 1);
	EXPECT_EQ(meta->read, per_page);
	EXPECT_EQ(consume(&self->map, &walk), 20);
	EXPECT_EQ(meta->reader.id, 2);
	EXPECT_EQ(meta->reader.read, 20 * size);
	EXPECT_EQ(meta->entries, per_page + 20);
	EXPECT_EQ(meta->read, per_page + 20);

	EXPECT_EQ(walk.gaps, 0);
	EXPECT_EQ(walk.data, per_page + 20);
	check_meta(_metadata, &self->inst, CPU, &self->map);
}

/* Many times round: each event once, in order, and each sub-buffer used. */
TEST_F(reader, b7_rounds)
{
	unsigned int per_page = self->capacity / marker_event_size(1000);
	unsigned int seq = 0, seen = 0;
	struct walk walk = {};

	for (int i = 0; i < 4 * (NR_SUBBUFS + 1); i++) {
		unsigned int nr = per_page + i % 3;

		ASSERT_EQ(markers_write(&self->inst, seq, nr, 1000), 0);
		seq += nr;
		ASSERT_EQ(drain(&self->map, &walk), 0);
		seen |= 1U << self->map.meta->reader.id;
		ASSERT_EQ(walk.data, seq);
		check_meta(_metadata, &self->inst, CPU, &self->map);
	}

	EXPECT_EQ(walk.gaps, 0);
	EXPECT_EQ(walk.first, 0);
	EXPECT_EQ(seen, (1U << (NR_SUBBUFS + 1)) - 1);
	EXPECT_EQ(self->map.meta->overrun, 0);
}

TEST_F(reader, b7_not_mapped)
{
	int fd = cpu_open(&self->inst, CPU, O_RDONLY | O_NONBLOCK);

	ASSERT_GE(fd, 0);
	/* It is the buffer that is mapped, not the descriptor. */
	EXPECT_EQ(get_reader(fd), 0);
	EXPECT_EQ(ioctl(fd, 0x5240), -1);
	EXPECT_EQ(errno, ENOTTY);
	mapping_close(&self->map);
	EXPECT_EQ(get_reader(fd), -ENODEV);
	EXPECT_EQ(ioctl(fd, 0), 0);
	close(fd);
}

/* Waiting ------------------------------------------------------------------ */

struct waiter {
	pthread_t	thread;
	int		fd;
	int		ret;
	bool		done;
};

static void *wait_for_reader(void *arg)
{
	struct waiter *waiter = arg;

	waiter->ret = get_reader(waiter->fd);
	__atomic_store_n(&waiter->done, true, __ATOMIC_RELEASE);
	return NULL;
}

static bool waiter_done(struct waiter *waiter, unsigned int ms)
{
	__s64 end = now_ns() + ms * MSEC;

	while (!__atomic_load_n(&waiter->done, __ATOMIC_ACQUIRE)) {
		if (now_ns() > end)
			return false;
		sleep_ms(5);
	}
	return true;
}

static int waiter_start(struct waiter *waiter, const struct instance *inst)
{
	waiter->done = false;
	waiter->fd = cpu_open(inst, CPU, O_RDONLY);
	if (waiter->fd < 0)
		return waiter->fd;
	return -pthread_create(&waiter->thread, NULL, wait_for_reader, waiter);
}

static void interrupted(int sig)
{
}

static int waiter_end(struct waiter *waiter)
{
	pthread_join(waiter->thread, NULL);
	close(waiter->fd);
	return waiter->ret;
}

TEST_F(reader, b7_blocks_until_any_event)
{
	struct waiter waiter;

	ASSERT_EQ(instance_write(&self->inst, "buffer_percent", "0"), 0);
	ASSERT_EQ(waiter_start(&waiter, &self->inst), 0);
	EXPECT_FALSE(waiter_done(&waiter, 150));
	ASSERT_EQ(marker_write(&self->inst, 1, 8), 0);
	ASSERT_TRUE(waiter_done(&waiter, 5000));
	EXPECT_EQ(waiter_end(&waiter), 0);
	EXPECT_EQ(self->map.meta->read, 1);
	EXPECT_EQ(self->map.meta->reader.id, 1);
}

TEST_F(reader, b7_blocks_until_buffer_percent)
{
	unsigned int per_page = self->capacity / marker_event_size(100);
	struct waiter waiter;

	/* One that finds the buffer empty does not leave its watermark. */
	ASSERT_EQ(instance_write(&self->inst, "buffer_percent", "50"), 0);
	ASSERT_EQ(marker_write(&self->inst, 0, 100), 0);
	ASSERT_EQ(waiter_start(&waiter, &self->inst), 0);
	EXPECT_FALSE(waiter_done(&waiter, 100));

	/* One page of eight, and the next one begun. */
	ASSERT_EQ(markers_write(&self->inst, 0, per_page, 100), 0);
	EXPECT_FALSE(waiter_done(&waiter, 150));
	EXPECT_EQ(self->map.meta->read, 0);

	/* Six of eight. */
	ASSERT_EQ(markers_write(&self->inst, 0, 5 * per_page, 100), 0);
	ASSERT_TRUE(waiter_done(&waiter, 5000));
	EXPECT_EQ(waiter_end(&waiter), 0);
	EXPECT_EQ(self->map.meta->read, per_page);

	/* Enough is there: no waiting. */
	ASSERT_EQ(waiter_start(&waiter, &self->inst), 0);
	ASSERT_TRUE(waiter_done(&waiter, 5000));
	EXPECT_EQ(waiter_end(&waiter), 0);
	EXPECT_EQ(self->map.meta->read, 2 * per_page);
}

TEST_F(reader, b7_wait_is_interrupted)
{
	struct sigaction action = { .sa_handler = interrupted };
	struct waiter waiter;

	ASSERT_EQ(sigaction(SIGUSR1, &action, NULL), 0);
	ASSERT_EQ(waiter_start(&waiter, &self->inst), 0);
	EXPECT_FALSE(waiter_done(&waiter, 100));
	for (int i = 0; i < 50 && !waiter_done(&waiter, 100); i++)
		pthread_kill(waiter.thread, SIGUSR1);
	EXPECT_EQ(waiter_end(&waiter), -EINTR);

	/* ioctl 0 wakes those that wait. */
	ASSERT_EQ(waiter_start(&waiter, &self->inst), 0);
	EXPECT_FALSE(waiter_done(&waiter, 100));
	ASSERT_EQ(ioctl(self->map.fd, 0), 0);
	ASSERT_TRUE(waiter_done(&waiter, 5000));
	EXPECT_EQ(waiter_end(&waiter), 0);
}

/* Losses ------------------------------------------------------------------- */

static void check_loss(struct __test_metadata *_metadata,
		       struct instance *inst, struct mapping *map,
		       size_t capacity, size_t min_room, size_t max_room)
{
	size_t event = event_leaving(capacity, min_room, max_room, 4096);
	unsigned int per_page = capacity / event, total, lost, seq = 0;
	size_t payload = marker_payload(event);
	struct stats stats;

	ASSERT_GT(event, 0);
	for (int round = 1; round < 4; round++) {
		struct walk walk = {};
		char *page;

		/* Several pages more than there is room for. */
		total = (NR_SUBBUFS + 2 * round) * per_page;
		ASSERT_EQ(stats_read(inst, CPU, &stats), 0);
		ASSERT_EQ(stats.entries, 0);
		lost = stats.overrun;
		ASSERT_EQ(markers_write(inst, seq, total, payload), 0);
		ASSERT_EQ(stats_read(inst, CPU, &stats), 0);
		lost = stats.overrun - lost;
		ASSERT_GT(lost, 0);

		/* The page that follows the loss says so. */
		for (int i = 0; i < 3 && !walk.data; i++)
			ASSERT_GE(consume(map, &walk), 0);
		page = mapping_reader(map);
		if (round == 1)
			EXPECT_EQ(walk.first, lost);
		EXPECT_EQ(walk.data, per_page);
		EXPECT_EQ(walk.gaps, 0);
		EXPECT_EQ(subbuf_commit(page) & COMMIT_SIZE_MASK,
			  per_page * event);
		if (subbuf_commit(page) & COMMIT_LOST) {
			EXPECT_EQ(!!(subbuf_commit(page) & COMMIT_LOST_STORED),
				  min_room >= sizeof(long));
			if (min_room >= sizeof(long))
				EXPECT_EQ(subbuf_lost(page), lost);
		} else {
			/* The writer's page of the last round comes first. */
			EXPECT_GT(round, 1);
			memset(&walk, 0, sizeof(walk));
			ASSERT_GT(consume(map, &walk), 0);
			page = mapping_reader(map);
			EXPECT_TRUE(subbuf_commit(page) & COMMIT_LOST);
		}
		EXPECT_EQ(map->meta->overrun, stats.overrun);
		check_meta(_metadata, inst, CPU, map);

		/* The pages after it do not. */
		for (int i = 0; i < NR_SUBBUFS - 2; i++) {
			memset(&walk, 0, sizeof(walk));
			ASSERT_EQ(consume(map, &walk), per_page);
			page = mapping_reader(map);
			EXPECT_EQ(subbuf_commit(page) & ~COMMIT_SIZE_MASK, 0);
			EXPECT_EQ(walk.gaps, 0);
		}
		ASSERT_EQ(drain(map, &walk), 0);
		EXPECT_EQ(walk.last, seq + total - 1);
		EXPECT_EQ(walk.gaps, 0);
		seq += total;
	}
}

TEST_F(reader, b7_loss_without_room)
{
	check_loss(_metadata, &self->inst, &self->map, self->capacity, 0, 0);
}

TEST_F(reader, b7_loss_with_room_for_half_a_count)
{
	check_loss(_metadata, &self->inst, &self->map, self->capacity, 4, 4);
}

TEST_F(reader, b7_loss_with_room_for_the_count)
{
	check_loss(_metadata, &self->inst, &self->map, self->capacity, 8, 8);
}

TEST_F(reader, b7_loss_with_room)
{
	check_loss(_metadata, &self->inst, &self->map, self->capacity, 12,
		   100);
}

/* Nothing to consume ------------------------------------------------------- */

TEST_F(reader, h8_nothing_new)
{
	struct trace_buffer_meta before;
	struct stats stats, after;

	for (int written = 0; written < 3; written++) {
		/* Empty; one event; half a page. */
		unsigned int nr = written == 2 ? self->capacity / 2 / 20 :
						 written;

		ASSERT_EQ(markers_write(&self->inst, 0, nr, 8), 0);
		ASSERT_EQ(get_reader(self->map.fd), 0);
		before = *self->map.meta;
		ASSERT_EQ(stats_read(&self->inst, CPU, &stats), 0);
		for (int i = 0; i < 5; i++)
			ASSERT_EQ(get_reader(self->map.fd), 0);
		EXPECT_EQ(memcmp(&before, self->map.meta, sizeof(before)), 0);
		ASSERT_EQ(stats_read(&self->inst, CPU, &after), 0);
		EXPECT_EQ(after.entries, 0);
		EXPECT_EQ(after.bytes, stats.bytes);
		EXPECT_EQ(after.read, stats.read);
		EXPECT_EQ(before.reader.id, written ? 1 : 0);
	}
}

TEST_F(reader, b9_reset)
{
	static const char * const files[] = { "trace", "per_cpu/cpu0/trace" };
	struct trace_buffer_meta *meta = self->map.meta;
	unsigned int per_page = self->capacity / marker_event_size(100);
	char path[256];
	int fd;

	for (size_t i = 0; i < ARRAY_SIZE(files); i++) {
		struct walk walk = {};

		/* Overrun it, consume some, leave some on the page. */
		ASSERT_EQ(markers_write(&self->inst, 0,
					(NR_SUBBUFS + 3) * per_page, 100), 0);
		ASSERT_EQ(get_reader(self->map.fd), 0);
		ASSERT_EQ(get_reader(self->map.fd), 0);
		ASSERT_GT(meta->overrun, 0);
		ASSERT_GT(meta->pages_lost, 0);
		ASSERT_GT(meta->reader.read, 0);

		instance_path(&self->inst, files[i], path, sizeof(path));
		fd = open(path, O_WRONLY | O_TRUNC);
		ASSERT_GE(fd, 0);
		close(fd);

		/* At once, without GET_READER. */
		EXPECT_EQ(meta->entries, 0);
		EXPECT_EQ(meta->overrun, 0);
		EXPECT_EQ(meta->read, 0);
		EXPECT_EQ(meta->pages_lost, 0);
		EXPECT_EQ(meta->pages_touched, 0);
		EXPECT_EQ(meta->reader.read, 0);
		EXPECT_EQ(meta->reader.lost_events, 0);
		check_meta(_metadata, &self->inst, CPU, &self->map);
		EXPECT_EQ(subbuf_commit(mapping_reader(&self->map)), 0);

		/* And the old events are gone. */
		ASSERT_EQ(get_reader(self->map.fd), 0);
		EXPECT_EQ(meta->read, 0);
		ASSERT_EQ(markers_write(&self->inst, 0x5000, 3 * per_page, 100),
			  0);
		ASSERT_EQ(drain(&self->map, &walk), 0);
		EXPECT_EQ(walk.first, 0x5000);
		EXPECT_EQ(walk.data, 3 * per_page);
		EXPECT_EQ(walk.gaps, 0);
	}
}

/* Splice beside a mapping gives whole pages, GET_READER gets the rest. */
TEST_F(reader, h12_splice)
{
	size_t size = self->map.meta->subbuf_size, total = 0;
	unsigned int per_page = self->capacity / marker_event_size(8);
	struct walk walk = {};
	char *page = malloc(size);
	int pipes[2];
	ssize_t ret;

	ASSERT_EQ(pipe(pipes), 0);
	fcntl(pipes[1], F_SETPIPE_SZ, 64 * getpagesize());
	ASSERT_EQ(markers_write(&self->inst, 0, 3 * per_page + 7, 8), 0);

	/* All that is whole in one go. */
	ret = splice(self->map.fd, NULL, pipes[1], NULL, 8 * size,
		     SPLICE_F_NONBLOCK);
	EXPECT_EQ(ret, 3 * size);
	for (int i = 0; i < 3; i++) {
		for (total = 0; total < size; total += ret) {
			ret = read(pipes[0], page + total, size - total);
			ASSERT_GT(ret, 0);
		}
		ASSERT_EQ(walk_subbuf(&walk, page), 0);
	}
	EXPECT_EQ(walk.data, 3 * per_page);
	ret = splice(self->map.fd, NULL, pipes[1], NULL, 8 * size,
		     SPLICE_F_NONBLOCK);
	EXPECT_EQ(ret, -1);
	EXPECT_EQ(errno, EAGAIN);

	EXPECT_EQ(consume(&self->map, &walk), 7);
	EXPECT_EQ(walk.gaps, 0);
	EXPECT_EQ(self->map.meta->read, 3 * per_page + 7);

	/* Less than a sub-buffer is refused. */
	ASSERT_EQ(markers_write(&self->inst, 0, 2 * per_page, 8), 0);
	ret = splice(self->map.fd, NULL, pipes[1], NULL, size / 2,
		     SPLICE_F_NONBLOCK);
	EXPECT_EQ(ret, -1);
	EXPECT_EQ(errno, EINVAL);
	close(pipes[0]);
	close(pipes[1]);
	free(page);
}

/* Events from every context into a tiny buffer, and GET_READER beside. */
TEST_F(reader, h7_interrupts_overrun_the_buffer)
{
	static const char * const events[] = {
		"events/sched/enable", "events/irq/enable",
		"events/timer/enable", "events/irq_vectors/enable",
		"events/raw_syscalls/enable", "events/rcu/enable",
		"events/ipi/enable", "events/workqueue/enable",
	};
	unsigned int enabled = 0, walked = 0;
	struct walk walk;
	__s64 end;

	mapping_close(&self->map);
	ASSERT_EQ(instance_resize(&self->inst, variant->order, 2), 0);
	ASSERT_EQ(mapping_open(&self->map, &self->inst, CPU), 0);
	for (size_t i = 0; i < ARRAY_SIZE(events); i++) {
		if (!instance_has(&self->inst, events[i]))
			continue;
		ASSERT_EQ(instance_write(&self->inst, events[i], "1"), 0);
		enabled++;
	}
	ASSERT_GT(enabled, 2);

	end = now_ns() + 800 * MSEC;
	for (unsigned int i = 0; now_ns() < end; i++) {
		ASSERT_EQ(get_reader(self->map.fd), 0);
		/* Each page has events that can be walked over. */
		memset(&walk, 0, sizeof(walk));
		ASSERT_EQ(walk_subbuf(&walk, mapping_reader(&self->map)), 0);
		walked += walk.data;
		/* More than fits, with interrupts in between. */
		if (!(i % 16))
			markers_write(&self->inst, 0, 150 << variant->order,
				      100);
	}
	for (size_t i = 0; i < ARRAY_SIZE(events); i++)
		instance_write(&self->inst, events[i], "0");

	EXPECT_GT(walked, 0);
	EXPECT_GT(self->map.meta->overrun, 0);
	EXPECT_EQ(drain(&self->map, &walk), 0);
	check_meta(_metadata, &self->inst, CPU, &self->map);
}

TEST_HARNESS_MAIN
