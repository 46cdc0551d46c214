// SPDX-License-Identifier: GPL-2.0
/*
 * Each case here fails with the C implementation of Linux 7.3 and holds with
 * one that is right. The name begins with the defect's number. Each case has an
 * instance of its own: a buffer that stays mapped for good disturbs no other.
 */
#include <sys/mount.h>

#include "mapping.h"

#define CPU		0
#define NR_SUBBUFS	8

FIXTURE(defects) {
	struct instance	inst;
	struct mapping	map;
	int		klog;
	size_t		page;
};

FIXTURE_SETUP(defects)
{
	self->map.fd = -1;
	self->klog = klog_open();
	self->page = getpagesize();
	ASSERT_EQ(pin_to_cpu(CPU), 0);
	ASSERT_EQ(instance_create(&self->inst), 0);
	ASSERT_EQ(instance_resize(&self->inst, 0, NR_SUBBUFS), 0);
}

FIXTURE_TEARDOWN(defects)
{
	mapping_close(&self->map);
	/* An instance whose buffer is wedged stays, as it may oops. */
	if (instance_busy(&self->inst, CPU))
		instance_detach(&self->inst);
	else
		EXPECT_EQ(instance_destroy(&self->inst), 0);
	EXPECT_EQ(klog_complaints(self->klog), 0);
	close(self->klog);
}

#define EXPECT_FREE() \
	EXPECT_STREQ(instance_busy(&self->inst, CPU) ?: "free", "free")

/* D1: a mapping that was moved gives up what it excludes ------------------- */

static void *move(void *addr, size_t len)
{
	void *to = mmap(NULL, len, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1,
			0);

	if (to == MAP_FAILED)
		return MAP_FAILED;
	return mremap(addr, len, len, MREMAP_MAYMOVE | MREMAP_FIXED, to);
}

TEST_F(defects, d1_mremap_keeps_the_exclusion)
{
	size_t len = (NR_SUBBUFS + 2) * self->page;
	int fd = cpu_open(&self->inst, CPU, O_RDONLY | O_NONBLOCK);
	void *addr;

	ASSERT_GE(fd, 0);
	ASSERT_EQ(map_shared(fd, len, 0, &addr), 0);
	addr = move(addr, len);
	ASSERT_NE(addr, MAP_FAILED);

	EXPECT_EQ(instance_write(&self->inst, "snapshot", "1"), -EBUSY);
	EXPECT_EQ(get_reader(fd), 0);
	EXPECT_EQ(munmap(addr, len), 0);
	close(fd);
	EXPECT_FREE();
	EXPECT_EQ(klog_complaints(self->klog), 0);
}

/* With a second mapping, the buffer is moved and unmapped, and still mapped. */
TEST_F(defects, d1_mremap_of_one_of_two)
{
	void *addr;

	ASSERT_EQ(mapping_open(&self->map, &self->inst, CPU), 0);
	ASSERT_EQ(map_shared(self->map.fd, self->page, 0, &addr), 0);
	for (int i = 0; i < 2; i++) {
		addr = move(addr, self->page);
		ASSERT_NE(addr, MAP_FAILED);
	}
	EXPECT_EQ(munmap(addr, self->page), 0);

	/* Each of the other two holds one more unit. */
	EXPECT_EQ(instance_write(&self->inst, "snapshot", "1"), -EBUSY);
	EXPECT_EQ(munmap(self->map.data, self->map.data_len), 0);
	self->map.data = NULL;
	EXPECT_EQ(instance_write(&self->inst, "snapshot", "1"), -EBUSY);
	EXPECT_EQ(get_reader(self->map.fd), 0);
	mapping_close(&self->map);
	EXPECT_FREE();
	EXPECT_EQ(klog_complaints(self->klog), 0);
}

/* However often: as many units come back as were taken. */
TEST_F(defects, d1_mremap_often)
{
	size_t len = (NR_SUBBUFS + 2) * self->page;
	int fd = cpu_open(&self->inst, CPU, O_RDONLY | O_NONBLOCK);
	void *addr;

	ASSERT_GE(fd, 0);
	ASSERT_EQ(map_shared(fd, len, 0, &addr), 0);
	for (int i = 0; i < 1000; i++) {
		addr = move(addr, len);
		ASSERT_NE(addr, MAP_FAILED);
		ASSERT_EQ(klog_complaints(self->klog), 0)
			TH_LOG("move %d", i);
	}
	EXPECT_EQ(munmap(addr, len), 0);
	close(fd);
	EXPECT_FREE();
	EXPECT_EQ(klog_complaints(self->klog), 0);
}

/* D4: the number of lost events never reaches the meta-page ---------------- */

/* Fill the buffer well past its end; returns how many events were lost. */
static unsigned int lose(struct instance *inst, size_t payload,
			 unsigned int pages)
{
	unsigned int per_page = (getpagesize() - SUBBUF_HEADER_SIZE) /
				marker_event_size(payload);
	struct stats before, after;

	if (stats_read(inst, CPU, &before) ||
	    markers_write(inst, 0, (NR_SUBBUFS + pages) * per_page, payload) ||
	    stats_read(inst, CPU, &after))
		return 0;
	return after.overrun - before.overrun;
}

/* Consume until another page is the reader's. */
static int swap(struct mapping *map)
{
	__u32 id = map->meta->reader.id;
	int ret = 0;

	for (int i = 0; i < 3 && map->meta->reader.id == id && !ret; i++)
		ret = get_reader(map->fd);
	return map->meta->reader.id == id ? -ENODATA : ret;
}

static void check_lost(struct __test_metadata *_metadata,
		       struct instance *inst, struct mapping *map,
		       size_t payload, bool room)
{
	unsigned int lost;

	ASSERT_EQ(mapping_open(map, inst, CPU), 0);
	lost = lose(inst, payload, 3);
	ASSERT_GT(lost, 0);
	ASSERT_EQ(swap(map), 0);
	ASSERT_TRUE(subbuf_commit(mapping_reader(map)) & COMMIT_LOST);
	ASSERT_EQ(!!(subbuf_commit(mapping_reader(map)) & COMMIT_LOST_STORED),
		  room);
	EXPECT_EQ(map->meta->reader.lost_events, lost);

	/* The next page follows without a loss. */
	ASSERT_EQ(swap(map), 0);
	ASSERT_FALSE(subbuf_commit(mapping_reader(map)) & COMMIT_LOST);
	EXPECT_EQ(map->meta->reader.lost_events, 0);
}

/* 255 events of 16 bytes leave no room, 145 of 28 bytes leave 20. */
TEST_F(defects, d4_lost_events_without_room)
{
	check_lost(_metadata, &self->inst, &self->map, 4, false);
}

TEST_F(defects, d4_lost_events_with_room)
{
	check_lost(_metadata, &self->inst, &self->map, 16, true);
}

/* It belongs to the swap: it stays for as long as the page is the reader's. */
TEST_F(defects, d4_lost_events_stay_until_the_next_swap)
{
	struct trace_buffer_meta *meta;
	unsigned int lost;
	__u32 id;

	/* One event to a page. */
	ASSERT_EQ(mapping_open(&self->map, &self->inst, CPU), 0);
	meta = self->map.meta;
	lost = lose(&self->inst, 4000, 5);
	ASSERT_GT(lost, 0);
	for (int i = 0; i < 2; i++) {
		void *again;

		ASSERT_EQ(swap(&self->map), 0);
		EXPECT_EQ(meta->reader.lost_events, i ? 0 : lost);

		/* A mapping more does not touch it. */
		ASSERT_EQ(map_shared(self->map.fd, self->page, 0, &again), 0);
		EXPECT_EQ(meta->reader.lost_events, i ? 0 : lost);
		munmap(again, self->page);
	}
	ASSERT_EQ(instance_reset(&self->inst), 0);

	/* Now the last page is the writer's: events are added to it. */
	lost = lose(&self->inst, 16, 1);
	ASSERT_GT(lost, 0);
	ASSERT_EQ(swap(&self->map), 0);
	EXPECT_EQ(meta->reader.lost_events, lost);
	while (!swap(&self->map))
		EXPECT_EQ(meta->reader.lost_events, 0);
	for (int i = 0; i < 3; i++) {
		ASSERT_EQ(marker_write(&self->inst, 0, 16), 0);
		ASSERT_EQ(get_reader(self->map.fd), 0);
		EXPECT_EQ(meta->reader.lost_events, 0);
	}

	/* A loss that has happened, and is reported with its swap only. */
	id = meta->reader.id;
	lost = lose(&self->inst, 16, 2);
	ASSERT_GT(lost, 0);
	ASSERT_EQ(get_reader(self->map.fd), 0);
	ASSERT_EQ(meta->reader.id, id);
	EXPECT_EQ(meta->reader.lost_events, 0);
	ASSERT_EQ(swap(&self->map), 0);
	EXPECT_EQ(meta->reader.lost_events, lost);
	for (int i = 0; i < 3; i++) {
		void *again;

		ASSERT_EQ(map_shared(self->map.fd, self->page, 0, &again), 0);
		EXPECT_EQ(meta->reader.lost_events, lost);
		munmap(again, self->page);
	}
}

/* Over many patterns: what is reported is what was overwritten. */
TEST_F(defects, d4_reported_is_overwritten)
{
	unsigned long long reported = 0;
	struct trace_buffer_meta *meta;
	__u32 random = 7, id;

	ASSERT_EQ(mapping_open(&self->map, &self->inst, CPU), 0);
	meta = self->map.meta;
	for (int i = 0; i < 100; i++) {
		unsigned int nr, swaps;
		size_t payload;

		random = random * 1103515245 + 12345;
		payload = 4 + (random >> 16) % (i & 1 ? 1500 : 300);
		nr = (random >> 8) % (2 * NR_SUBBUFS);
		nr = nr * self->page / marker_event_size(payload) + 1;
		swaps = random >> 28;

		ASSERT_EQ(markers_write(&self->inst, 0, nr, payload), 0);
		while (swaps--) {
			id = meta->reader.id;
			ASSERT_EQ(get_reader(self->map.fd), 0);
			if (meta->reader.id != id)
				reported += meta->reader.lost_events;
		}
	}
	while (id = meta->reader.id, !swap(&self->map))
		reported += meta->reader.lost_events;
	ASSERT_GT(meta->overrun, 1000);
	EXPECT_EQ(reported, meta->overrun);
}

/* D18: a loss that a read() left to be reported goes to another page ------- */

TEST_F(defects, d18_loss_is_reported_on_its_page)
{
	struct trace_buffer_meta *meta;
	char few[SUBBUF_HEADER_SIZE + 1];
	unsigned long commit;
	__s64 lost;
	__u32 id;

	ASSERT_EQ(mapping_open(&self->map, &self->inst, CPU), 0);
	meta = self->map.meta;
	lost = lose(&self->inst, 16, 2);
	ASSERT_GT(lost, 0);

	/* Too short for an event: the page comes in, and is not read. */
	id = meta->reader.id;
	EXPECT_LE(read(self->map.fd, few, sizeof(few)), 0);
	ASSERT_EQ(get_reader(self->map.fd), 0);
	EXPECT_NE(meta->reader.id, id);
	commit = subbuf_commit(mapping_reader(&self->map));
	EXPECT_NE(commit & COMMIT_LOST, 0);
	if (commit & COMMIT_LOST_STORED)
		EXPECT_EQ(subbuf_lost(mapping_reader(&self->map)), lost);
	EXPECT_EQ(meta->reader.lost_events, lost);

	/* Not again. */
	ASSERT_EQ(swap(&self->map), 0);
	EXPECT_EQ(subbuf_commit(mapping_reader(&self->map)) & COMMIT_LOST, 0);
	EXPECT_EQ(meta->reader.lost_events, 0);
}

/* D28: what is cut off a page that reports a loss never counts as read ------ */

TEST_F(defects, d28_bytes_of_marked_pages)
{
	size_t capacity = self->page - SUBBUF_HEADER_SIZE;
	size_t event = event_leaving(capacity, 12, 100, 600);
	struct stats stats;
	long long before;

	ASSERT_GT(event, 0);
	ASSERT_EQ(mapping_open(&self->map, &self->inst, CPU), 0);
	ASSERT_GT(lose(&self->inst, marker_payload(event), 2), 0);
	ASSERT_EQ(stats_read(&self->inst, CPU, &stats), 0);
	for (int page = 0; !swap(&self->map); page++) {
		ASSERT_EQ(!page, !!(subbuf_commit(mapping_reader(&self->map)) &
				    COMMIT_LOST));
		before = stats.bytes;
		ASSERT_EQ(stats_read(&self->inst, CPU, &stats), 0);
		/* A full page each, but for the last one. */
		if (stats.entries)
			EXPECT_EQ(before - stats.bytes, capacity);
	}
	EXPECT_EQ(stats.entries, 0);
	EXPECT_EQ(stats.bytes, 0);
}

/* D3: GET_READER beside other consumers is in defects_race_test ------------- */

/* D10: mmap() waits for a grace period, needed or not ---------------------- */

TEST_F(defects, d10_no_wait_without_snapshot_buffer)
{
	struct instance watch;

	if (!instance_has(&self->inst, "set_ftrace_filter"))
		SKIP(return, "no function tracer");
	ASSERT_EQ(watch_function(&watch, "synchronize_rcu*"), 0);
	watched(&watch, CPU);
	for (int i = 0; i < 2; i++) {
		ASSERT_EQ(mapping_open(&self->map, &self->inst, CPU), 0);
		EXPECT_EQ(watched(&watch, CPU), 0);
		mapping_close(&self->map);
	}
	EXPECT_EQ(instance_destroy(&watch), 0);
}

/* A snapshot may be in flight: this wait is no defect. */
TEST_F(defects, wait_with_snapshot_buffer)
{
	struct instance watch;

	if (!instance_has(&self->inst, "set_ftrace_filter"))
		SKIP(return, "no function tracer");
	ASSERT_EQ(watch_function(&watch, "synchronize_rcu*"), 0);
	ASSERT_EQ(instance_write(&self->inst, "snapshot", "1"), 0);
	for (int i = 0; i < 2; i++) {
		watched(&watch, CPU);
		ASSERT_EQ(mapping_open(&self->map, &self->inst, CPU), 0);
		EXPECT_GT(watched(&watch, CPU), 0);
		/* Nothing is in flight any more when there is a mapping. */
		EXPECT_EQ(map_shared(self->map.fd, self->page, 0, NULL), 0);
		EXPECT_EQ(watched(&watch, CPU), 0);
		mapping_close(&self->map);
	}
	EXPECT_EQ(instance_destroy(&watch), 0);
}

/* It may still be in flight when the buffer for it has been freed. */
TEST_F(defects, wait_with_freed_snapshot_buffer)
{
	struct instance watch;

	if (!instance_has(&self->inst, "set_ftrace_filter"))
		SKIP(return, "no function tracer");
	ASSERT_EQ(watch_function(&watch, "synchronize_rcu*"), 0);
	ASSERT_EQ(instance_write(&self->inst, "snapshot", "1"), 0);
	ASSERT_EQ(instance_write(&self->inst, "snapshot", "0"), 0);
	for (int i = 0; i < 2; i++) {
		watched(&watch, CPU);
		ASSERT_EQ(mapping_open(&self->map, &self->inst, CPU), 0);
		EXPECT_GT(watched(&watch, CPU), 0);
		mapping_close(&self->map);
	}
	EXPECT_EQ(instance_destroy(&watch), 0);
}

/* D13: GET_READER waits for events of a buffer that is not mapped ---------- */

static void alarmed(int sig)
{
}

static int bounded_get_reader(int fd, __s64 *ms)
{
	struct sigaction action = { .sa_handler = alarmed };
	__s64 start = now_ns();
	int ret;

	sigaction(SIGUSR1, &action, NULL);
	sigaction(SIGALRM, &action, NULL);
	ualarm(900000, 0);
	ret = get_reader(fd);
	ualarm(0, 0);
	*ms = (now_ns() - start) / MSEC;
	return ret;
}

TEST_F(defects, d13_blocking_get_reader_not_mapped)
{
	int fd = cpu_open(&self->inst, CPU, O_RDONLY);
	__s64 ms;

	ASSERT_GE(fd, 0);
	EXPECT_EQ(bounded_get_reader(fd, &ms), -ENODEV);
	EXPECT_LT(ms, 500);
	close(fd);
	EXPECT_FREE();
}

/* Events, but not enough of them to end the wait. */
TEST_F(defects, d13_blocking_get_reader_unmapped_again)
{
	int fd = cpu_open(&self->inst, CPU, O_RDONLY);
	__s64 ms;

	ASSERT_GE(fd, 0);
	ASSERT_EQ(mapping_open(&self->map, &self->inst, CPU), 0);
	mapping_close(&self->map);
	ASSERT_EQ(markers_write(&self->inst, 0, 3, 8), 0);
	EXPECT_EQ(bounded_get_reader(fd, &ms), -ENODEV);
	EXPECT_LT(ms, 500);
	close(fd);
	EXPECT_FREE();
}

/* D14: a mapping can be made executable ------------------------------------ */

static void check_exec(struct __test_metadata *_metadata,
		       struct instance *inst, size_t offset, size_t len,
		       int prot)
{
	char where[] = "/tmp/map_test.XXXXXX", path[256];
	void *addr = NULL;
	int fd;

	/* A mount of its own, in case that tracefs is mounted "noexec". */
	mkdir("/tmp", 0777);
	ASSERT_NE(mkdtemp(where), NULL);
	ASSERT_EQ(mount("nodev", where, "tracefs", 0, NULL), 0);
	snprintf(path, sizeof(path), "%s%s/per_cpu/cpu%d/trace_pipe_raw",
		 where, inst->dir + strlen(TRACEFS), CPU);
	fd = open(path, O_RDONLY | O_NONBLOCK);
	EXPECT_GE(fd, 0);
	EXPECT_EQ(map_shared(fd, len, offset, &addr), 0);
	if (addr) {
		errno = 0;
		EXPECT_EQ(mprotect(addr, len, prot), -1);
		EXPECT_EQ(errno, EACCES);
		munmap(addr, len);
	}
	close(fd);
	umount(where);
	rmdir(where);
}

TEST_F(defects, d14_mprotect_exec_of_all)
{
	check_exec(_metadata, &self->inst, 0, (NR_SUBBUFS + 2) * self->page,
		   PROT_READ | PROT_EXEC);
	EXPECT_FREE();
}

TEST_F(defects, d14_mprotect_exec_of_a_part)
{
	check_exec(_metadata, &self->inst, 3 * self->page, 2 * self->page,
		   PROT_EXEC);
	EXPECT_FREE();
}

/* D16: a change of the sub-buffer size leaves the counters as they are ------ */

TEST_F(defects, d16_order_change_leaves_no_entries)
{
	struct stats stats;

	ASSERT_EQ(markers_write(&self->inst, 0, 100, 8), 0);
	ASSERT_EQ(instance_resize(&self->inst, 1, NR_SUBBUFS), 0);
	ASSERT_EQ(stats_read(&self->inst, CPU, &stats), 0);
	EXPECT_EQ(stats.entries, 0);
	ASSERT_EQ(mapping_open(&self->map, &self->inst, CPU), 0);
	EXPECT_EQ(self->map.meta->entries, 0);
}

/* A reader of the buffer must wait for events, and end when it is killed. */
TEST_F(defects, d16_trace_pipe_waits)
{
	char path[256], buf[64];
	int fd, status, i;
	pid_t reader;

	ASSERT_EQ(markers_write(&self->inst, 0, 100, 8), 0);
	ASSERT_EQ(instance_resize(&self->inst, 1, NR_SUBBUFS), 0);
	instance_path(&self->inst, "per_cpu/cpu0/trace_pipe", path, sizeof(path));

	reader = fork();
	ASSERT_GE(reader, 0);
	if (!reader) {
		fd = open(path, O_RDONLY);
		_exit(read(fd, buf, sizeof(buf)) < 0);
	}
	sleep_ms(200);
	/* There is nothing to read. */
	EXPECT_EQ(waitpid(reader, &status, WNOHANG), 0);
	kill(reader, SIGKILL);
	for (i = 0; i < 20 && !waitpid(reader, &status, WNOHANG); i++)
		sleep_ms(100);
	EXPECT_LT(i, 20);
	if (i < 20)
		EXPECT_TRUE(WIFSIGNALED(status));
	/* A reset ends the loop as well. */
	EXPECT_EQ(instance_reset(&self->inst), 0);
	if (i == 20)
		waitpid(reader, &status, 0);
}

TEST_HARNESS_MAIN
