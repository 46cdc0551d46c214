// SPDX-License-Identifier: GPL-2.0
/*
 * What a mapping excludes and what excludes a mapping: resizing, sub-buffer
 * order, page stealing, snapshots and their triggers; that all of it is free
 * again however the mapping went away; and that nothing leaks.
 */
#include <glob.h>
#include <pthread.h>

#include "mapping.h"

#define CPU		0
#define OTHER_CPU	1
#define NR_SUBBUFS	8

FIXTURE(exclusion) {
	struct instance	inst;
	struct mapping	map;
	int		klog;
};

FIXTURE_VARIANT(exclusion) {
	int	order;
};

FIXTURE_VARIANT_ADD(exclusion, order0) { .order = 0 };
FIXTURE_VARIANT_ADD(exclusion, order2) { .order = 2 };

FIXTURE_SETUP(exclusion)
{
	self->map.fd = -1;
	self->klog = klog_open();
	ASSERT_EQ(pin_to_cpu(CPU), 0);
	ASSERT_EQ(instance_create(&self->inst), 0);
	ASSERT_EQ(instance_resize(&self->inst, variant->order, NR_SUBBUFS), 0);
}

FIXTURE_TEARDOWN(exclusion)
{
	mapping_close(&self->map);
	EXPECT_EQ(instance_destroy(&self->inst), 0);
	EXPECT_EQ(klog_complaints(self->klog), 0);
	close(self->klog);
}

#define ASSERT_FREE() \
	ASSERT_STREQ(instance_busy(&self->inst, CPU) ?: "free", "free")

#define ASSERT_MAPPED() \
	ASSERT_EQ(mapping_open(&self->map, &self->inst, CPU), 0)

TEST_F(exclusion, b5_resize)
{
	const struct instance *inst = &self->inst;
	char cpu_before[64], before[64], after[64];
	long kb = (getpagesize() << variant->order) / 1024;
	struct walk walk = {};

	if (!has_cpu(OTHER_CPU))
		SKIP(return, "there is one CPU only");
	ASSERT_GT(instance_read(inst, "buffer_size_kb", before, 64), 0);
	ASSERT_MAPPED();

	for (int i = 1; i < 4; i++) {
		EXPECT_EQ(instance_write_long(inst, "buffer_size_kb", 100 * i),
			  -EBUSY);
		EXPECT_EQ(instance_write_long(inst,
					      "per_cpu/cpu0/buffer_size_kb",
					      100 * i), -EBUSY);
	}

	/* The size that it has is fine for the CPU. */
	ASSERT_GT(instance_read(inst, "per_cpu/cpu0/buffer_size_kb",
				cpu_before, 64), 0);
	EXPECT_EQ(instance_write(inst, "per_cpu/cpu0/buffer_size_kb",
				 cpu_before), 0);

	/* A CPU that is not mapped is not concerned. */
	EXPECT_EQ(instance_write_long(inst, "per_cpu/cpu1/buffer_size_kb", 100),
		  0);
	EXPECT_EQ(instance_write(inst, "per_cpu/cpu1/buffer_size_kb",
				 cpu_before), 0);

	/* The order belongs to all of them. */
	EXPECT_EQ(instance_write_long(inst, "buffer_subbuf_size_kb", 2 * kb),
		  -EBUSY);
	EXPECT_EQ(instance_write_long(inst, "buffer_subbuf_size_kb", 16 * kb),
		  -EBUSY);
	if (variant->order)
		EXPECT_EQ(instance_write_long(inst, "buffer_subbuf_size_kb",
					      kb / 2), -EBUSY);
	EXPECT_EQ(instance_write_long(inst, "buffer_subbuf_size_kb", kb), 0);

	/* Nothing has changed, and the buffer works. */
	ASSERT_GT(instance_read(inst, "buffer_size_kb", after, 64), 0);
	EXPECT_STREQ(after, before);
	EXPECT_EQ(self->map.meta->subbuf_size, kb * 1024);
	EXPECT_EQ(self->map.meta->nr_subbufs, NR_SUBBUFS + 1);
	ASSERT_EQ(markers_write(inst, 0, 50, 100), 0);
	ASSERT_EQ(drain(&self->map, &walk), 0);
	EXPECT_EQ(walk.data, 50);
	EXPECT_EQ(walk.gaps, 0);

	/* One of two mappings less is still one. */
	munmap(self->map.data, self->map.data_len);
	self->map.data = NULL;
	EXPECT_EQ(instance_write_long(inst, "buffer_size_kb", 100), -EBUSY);
	EXPECT_EQ(instance_write_long(inst, "buffer_subbuf_size_kb", 2 * kb),
		  -EBUSY);
	munmap(self->map.meta, self->map.meta_len);
	self->map.meta = NULL;
	EXPECT_EQ(instance_write_long(inst, "buffer_size_kb", 100), 0);
	EXPECT_EQ(instance_write_long(inst, "buffer_subbuf_size_kb", 2 * kb),
		  0);
	ASSERT_FREE();
}

/* A mapping of one CPU's buffer says nothing of another's. */
TEST_F(exclusion, b5_cpus_are_independent)
{
	int fd;

	if (!has_cpu(OTHER_CPU))
		SKIP(return, "there is one CPU only");
	ASSERT_MAPPED();
	fd = cpu_open(&self->inst, OTHER_CPU, O_RDONLY | O_NONBLOCK);
	ASSERT_GE(fd, 0);
	EXPECT_EQ(get_reader(fd), -ENODEV);
	EXPECT_EQ(map_shared(fd, getpagesize(), 0, NULL), 0);
	EXPECT_EQ(get_reader(fd), -ENODEV);
	close(fd);
	EXPECT_EQ(get_reader(self->map.fd), 0);
}

/* Another instance may do what it likes. */
TEST_F(exclusion, b5_instances_are_independent)
{
	struct instance other;

	ASSERT_MAPPED();
	ASSERT_EQ(instance_create(&other), 0);
	EXPECT_STREQ(instance_busy(&other, CPU) ?: "free", "free");
	EXPECT_EQ(instance_destroy(&other), 0);
}

/* The events of one sub-buffer that was read or spliced from the buffer. */
static int read_subbuf(int fd, char *page, size_t size, bool by_splice)
{
	int pipes[2], ret;
	size_t len = 0;

	if (!by_splice) {
		ret = read(fd, page, size);
		return ret < 0 ? -errno : ret;
	}

	if (pipe(pipes))
		return -errno;
	ret = splice(fd, NULL, pipes[1], NULL, size, SPLICE_F_NONBLOCK);
	if (ret < 0)
		ret = -errno;
	while (ret > 0 && len < (size_t)ret) {
		ssize_t n = read(pipes[0], page + len, ret - len);

		if (n <= 0)
			break;
		len += n;
	}
	close(pipes[0]);
	close(pipes[1]);
	return ret;
}

/* Does the mapping still show that copy of a sub-buffer somewhere? */
static bool mapping_shows(const struct mapping *map, const char *page)
{
	size_t len = subbuf_commit(page) & COMMIT_SIZE_MASK;

	for (unsigned int id = 0; id < map->meta->nr_subbufs; id++) {
		if (!memcmp(mapping_subbuf(map, id) + SUBBUF_HEADER_SIZE,
			    page + SUBBUF_HEADER_SIZE, len))
			return true;
	}
	return false;
}

static void check_copying_read(struct __test_metadata *_metadata,
			       struct instance *inst, struct mapping *map,
			       bool by_splice)
{
	size_t size = map->meta->subbuf_size;
	unsigned int per_page = (size - SUBBUF_HEADER_SIZE) /
				marker_event_size(100);
	char *page = malloc(size);
	struct walk walk;
	int fd;

	fd = cpu_open(inst, CPU, O_RDONLY | O_NONBLOCK);
	ASSERT_GE(fd, 0);
	ASSERT_EQ(markers_write(inst, 0, 4 * per_page + 3, 100), 0);

	/* Four whole pages leave by copy, each still shown by the mapping. */
	for (int i = 0; i < 4; i++) {
		memset(&walk, 0, sizeof(walk));
		ASSERT_EQ(read_subbuf(fd, page, size, by_splice), size);
		ASSERT_EQ(walk_subbuf(&walk, page), 0);
		EXPECT_EQ(walk.data, per_page);
		EXPECT_EQ(walk.first, i * per_page);
		EXPECT_EQ(walk.gaps, 0);
		EXPECT_TRUE(mapping_shows(map, page));
	}

	/* A page that the writer is on is no whole page. */
	if (by_splice)
		EXPECT_EQ(read_subbuf(fd, page, size, true), -EAGAIN);

	/* The mapping gets what is left. */
	memset(&walk, 0, sizeof(walk));
	EXPECT_EQ(consume(map, &walk), 3);
	EXPECT_EQ(walk.first, 4 * per_page);
	EXPECT_EQ(map->meta->read, 4 * per_page + 3);
	EXPECT_EQ(map->meta->overrun, 0);

	close(fd);
	free(page);
}

TEST_F(exclusion, b5_read_copies)
{
	ASSERT_MAPPED();
	check_copying_read(_metadata, &self->inst, &self->map, false);
	EXPECT_EQ(stale_pages(&self->inst, &self->map), 0);
}

TEST_F(exclusion, b5_h12_splice_copies)
{
	ASSERT_MAPPED();
	check_copying_read(_metadata, &self->inst, &self->map, true);
	EXPECT_EQ(stale_pages(&self->inst, &self->map), 0);
}

/* A reader that held a spare page since before the mapping copies, too. */
TEST_F(exclusion, b5_open_reader_copies)
{
	size_t size = getpagesize() << variant->order;
	char *page = malloc(size);
	int fd;

	fd = cpu_open(&self->inst, CPU, O_RDONLY | O_NONBLOCK);
	ASSERT_GE(fd, 0);
	ASSERT_EQ(markers_write(&self->inst, 0, 4 * size / 100, 88), 0);
	ASSERT_EQ(read_subbuf(fd, page, size, false), size);
	ASSERT_EQ(read_subbuf(fd, page, size, true), size);

	ASSERT_MAPPED();
	ASSERT_EQ(read_subbuf(fd, page, size, false), size);
	EXPECT_TRUE(mapping_shows(&self->map, page));
	EXPECT_EQ(stale_pages(&self->inst, &self->map), 0);
	close(fd);
	free(page);
}

/* The control of stale_pages(): it sees a mapping of other pages. */
TEST_F(exclusion, b5_stale_pages_are_seen)
{
	struct mapping fake;
	char *data;

	ASSERT_MAPPED();
	fake = self->map;
	data = mmap(NULL, fake.data_len, PROT_READ | PROT_WRITE,
		    MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	ASSERT_NE(data, MAP_FAILED);
	memcpy(data, fake.data, fake.data_len);
	fake.data = data;
	EXPECT_GT(stale_pages(&self->inst, &fake), 0);
	munmap(data, fake.data_len);
}

TEST_F(exclusion, b5_snapshot)
{
	const struct instance *inst = &self->inst;

	if (!instance_has(inst, "snapshot"))
		SKIP(return, "no snapshots (CONFIG_TRACER_SNAPSHOT)");
	if (!has_cpu(OTHER_CPU))
		SKIP(return, "there is one CPU only");

	ASSERT_MAPPED();
	EXPECT_EQ(instance_write(inst, "snapshot", "1"), -EBUSY);

	/* One of two mappings less is still one. */
	munmap(self->map.data, self->map.data_len);
	self->map.data = NULL;
	EXPECT_EQ(instance_write(inst, "snapshot", "1"), -EBUSY);
	mapping_close(&self->map);
	EXPECT_EQ(instance_write(inst, "snapshot", "1"), 0);

	/* A snapshot that exists is no obstacle. Taking one again is. */
	ASSERT_MAPPED();
	EXPECT_EQ(instance_write(inst, "snapshot", "1"), -EBUSY);
	EXPECT_EQ(instance_write(inst, "snapshot", "2"), 0);
	EXPECT_EQ(instance_write(inst, "snapshot", "0"), 0);
	EXPECT_EQ(instance_write(inst, "snapshot", "1"), -EBUSY);
	mapping_close(&self->map);

	/* A mapping of any CPU excludes it. */
	ASSERT_EQ(mapping_open(&self->map, inst, OTHER_CPU), 0);
	EXPECT_EQ(instance_write(inst, "snapshot", "1"), -EBUSY);
	mapping_close(&self->map);
	ASSERT_FREE();
}

#define TRIGGER	"events/sched/sched_switch/trigger"

TEST_F(exclusion, b5_snapshot_trigger)
{
	const struct instance *inst = &self->inst;
	int fd;

	if (!instance_has(inst, "snapshot") || !instance_has(inst, TRIGGER))
		SKIP(return, "no snapshot triggers (CONFIG_TRACER_SNAPSHOT)");
	if (!has_cpu(OTHER_CPU))
		SKIP(return, "there is one CPU only");

	/* A mapping refuses the trigger. */
	ASSERT_MAPPED();
	EXPECT_EQ(instance_write(inst, TRIGGER, "snapshot"), -EBUSY);
	EXPECT_EQ(instance_write(inst, TRIGGER, "snapshot:5"), -EBUSY);
	mapping_close(&self->map);
	ASSERT_FREE();

	/* The trigger refuses a mapping, of any CPU, and leaves no trace. */
	ASSERT_EQ(instance_write(inst, TRIGGER, "snapshot"), 0);
	EXPECT_EQ(mapping_open(&self->map, inst, CPU), -EBUSY);
	EXPECT_EQ(mapping_open(&self->map, inst, OTHER_CPU), -EBUSY);
	fd = cpu_open(inst, CPU, O_RDONLY | O_NONBLOCK);
	EXPECT_EQ(get_reader(fd), -ENODEV);
	close(fd);
	EXPECT_EQ(instance_resize(inst, variant->order, NR_SUBBUFS + 1), 0);
	EXPECT_EQ(instance_write(inst, "snapshot", "1"), 0);

	/* Disarmed, each may again. */
	ASSERT_EQ(instance_write(inst, TRIGGER, "!snapshot"), 0);
	ASSERT_MAPPED();
	EXPECT_EQ(instance_write(inst, TRIGGER, "snapshot"), -EBUSY);
	mapping_close(&self->map);
	EXPECT_EQ(instance_write(inst, TRIGGER, "snapshot"), 0);
	EXPECT_EQ(instance_write(inst, TRIGGER, "!snapshot"), 0);
	ASSERT_FREE();
}

#define FILTER	"set_ftrace_filter"

TEST_F(exclusion, b5_snapshot_function_probe)
{
	const struct instance *inst = &self->inst;

	if (!instance_has(inst, "snapshot") || !instance_has(inst, FILTER))
		SKIP(return, "no function tracer");

	ASSERT_MAPPED();
	EXPECT_EQ(instance_write(inst, FILTER, "do_nanosleep:snapshot\n"),
		  -EBUSY);
	mapping_close(&self->map);
	ASSERT_EQ(instance_write(inst, FILTER, "do_nanosleep:snapshot:1\n"), 0);
	EXPECT_EQ(mapping_open(&self->map, inst, CPU), -EBUSY);
	ASSERT_EQ(instance_write(inst, FILTER, "!do_nanosleep:snapshot:0\n"), 0);
	ASSERT_MAPPED();
	mapping_close(&self->map);
	ASSERT_FREE();
}

/* Free again, however the mapping went --------------------------------------*/

TEST_F(exclusion, b5_free_after_unmap)
{
	ASSERT_FREE();
	for (int i = 0; i < 5; i++) {
		ASSERT_MAPPED();
		mapping_close(&self->map);
	}
	ASSERT_FREE();
}

TEST_F(exclusion, b5_h2_free_after_failed_map)
{
	size_t page = getpagesize(), subbuf = page << variant->order;
	int fd = cpu_open(&self->inst, CPU, O_RDWR | O_NONBLOCK);

	ASSERT_GE(fd, 0);
	EXPECT_EQ(map_shared(fd, 1000 * subbuf, 0, NULL), -EINVAL);
	ASSERT_FREE();
	EXPECT_EQ(map_shared(fd, subbuf, 1000 * subbuf, NULL), -EINVAL);
	ASSERT_FREE();
	EXPECT_EQ(map_range(fd, page, PROT_READ | PROT_WRITE, MAP_SHARED, 0,
			    NULL), -EPERM);
	ASSERT_FREE();
	EXPECT_EQ(map_range(fd, page, PROT_READ, MAP_PRIVATE, 0, NULL), -EPERM);
	ASSERT_FREE();

	/* With one that stays: that one is not taken away. */
	ASSERT_MAPPED();
	EXPECT_EQ(map_shared(fd, subbuf, 1000 * subbuf, NULL), -EINVAL);
	EXPECT_EQ(map_range(fd, page, PROT_READ, MAP_PRIVATE, 0, NULL), -EPERM);
	EXPECT_EQ(get_reader(fd), 0);
	EXPECT_EQ(instance_write_long(&self->inst, "buffer_size_kb", 100),
		  -EBUSY);
	EXPECT_EQ(instance_write(&self->inst, "snapshot", "1"), -EBUSY);
	mapping_close(&self->map);
	close(fd);
	ASSERT_FREE();
}

TEST_F(exclusion, b5_free_after_close_before_munmap)
{
	struct walk walk = {};
	struct mapping *map = &self->map;
	int fd;

	ASSERT_MAPPED();
	close(map->fd);
	map->fd = -1;
	EXPECT_EQ(instance_write_long(&self->inst, "buffer_size_kb", 100),
		  -EBUSY);
	EXPECT_EQ(instance_write(&self->inst, "snapshot", "1"), -EBUSY);

	/* The mapping lives, and another descriptor turns its pages. */
	fd = cpu_open(&self->inst, CPU, O_RDONLY | O_NONBLOCK);
	ASSERT_GE(fd, 0);
	ASSERT_EQ(markers_write(&self->inst, 0, 10, 8), 0);
	ASSERT_EQ(get_reader(fd), 0);
	close(fd);
	EXPECT_EQ(map->meta->read, 10);
	ASSERT_EQ(walk_subbuf(&walk, mapping_reader(map)), 0);
	EXPECT_EQ(walk.data, 10);

	mapping_close(map);
	ASSERT_FREE();
}

/* A child that maps and then goes away in that manner. */
enum end { END_EXIT, END_KILL, END_EXEC };

static int mapping_child(struct __test_metadata *_metadata,
			 struct instance *inst, enum end end)
{
	int ready[2], status;
	char byte;
	pid_t pid;

	ASSERT_EQ(pipe(ready), 0);
	pid = fork();
	ASSERT_GE(pid, 0);
	if (!pid) {
		struct mapping map;

		if (mapping_open(&map, inst, CPU))
			_exit(1);
		if (write(ready[1], "", 1) != 1)
			_exit(2);
		if (end == END_KILL)
			pause();
		/* Until the parent has looked. */
		sleep_ms(50);
		if (end == END_EXEC) {
			dup2(open("/dev/null", O_WRONLY), 1);
			dup2(1, 2);
			execl("/proc/self/exe", "self", "-l", NULL);
			_exit(3);
		}
		_exit(0);
	}

	close(ready[1]);
	ASSERT_EQ(read(ready[0], &byte, 1), 1);
	close(ready[0]);
	if (end == END_KILL) {
		EXPECT_EQ(instance_write_long(inst, "buffer_size_kb", 100),
			  -EBUSY);
		kill(pid, SIGKILL);
	}
	ASSERT_EQ(waitpid(pid, &status, 0), pid);
	return status;
}

TEST_F(exclusion, b5_free_after_exit)
{
	int status = mapping_child(_metadata, &self->inst, END_EXIT);

	EXPECT_EQ(status, 0);
	ASSERT_FREE();
}

TEST_F(exclusion, b5_free_after_kill)
{
	int status = mapping_child(_metadata, &self->inst, END_KILL);

	EXPECT_TRUE(WIFSIGNALED(status));
	ASSERT_FREE();
}

TEST_F(exclusion, b5_free_after_exec)
{
	int status = mapping_child(_metadata, &self->inst, END_EXEC);

	EXPECT_TRUE(WIFEXITED(status));
	EXPECT_NE(WEXITSTATUS(status), 3);
	ASSERT_FREE();
}

/* Two threads ------------------------------------------------------------- */

struct race {
	struct instance	*inst;
	bool		stop;
	unsigned int	done;		/* Changes that were let in, ... */
	unsigned int	busy;		/* ... refused ... */
	unsigned int	odd;		/* ... and any other result. */
};

static void *order_changer(void *arg)
{
	long kb = getpagesize() / 1024;
	struct race *race = arg;

	pin_to_cpu(OTHER_CPU);
	for (int i = 0; !__atomic_load_n(&race->stop, __ATOMIC_RELAXED); i++) {
		int ret = instance_write_long(race->inst,
					      "buffer_subbuf_size_kb",
					      kb << (i % 3));

		if (!ret)
			race->done++;
		else if (ret == -EBUSY)
			race->busy++;
		else
			race->odd++;
	}
	return NULL;
}

/*
 * While another thread changes the order: each mapping is refused or shows a
 * buffer of one order, all of whose pages belong to it.
 */
TEST_F(exclusion, h9_h10_order_change_races_map)
{
	unsigned int mapped = 0, refused = 0;
	struct race race = { .inst = &self->inst };
	size_t page = getpagesize();
	__s64 end = now_ns() + 2000 * MSEC;
	pthread_t thread;

	ASSERT_EQ(pthread_create(&thread, NULL, order_changer, &race), 0);

	/* Two seconds, and longer only until each side has had its turn. */
	while (now_ns() < end || ((!mapped || !race.done || !race.busy) &&
				  now_ns() < end + 5000 * MSEC)) {
		struct mapping *map = &self->map;
		struct walk walk = {};
		size_t size;
		int ret;

		ret = mapping_open(map, &self->inst, CPU);
		if (ret) {
			ASSERT_TRUE(ret == -EINVAL || ret == -EBUSY)
				TH_LOG("errno %d", -ret);
			refused++;
			continue;
		}

		size = map->meta->subbuf_size;
		ASSERT_TRUE(size == page || size == 2 * page ||
			    size == 4 * page);
		ASSERT_EQ(map->meta->meta_page_size, size);
		for (size_t off = 0; off < map->data_len; off += page)
			__atomic_load_n(map->data + off, __ATOMIC_RELAXED);
		EXPECT_EQ(map_shared(map->fd, page, map->data_len + size,
				     NULL), -EINVAL);

		/* What is written while it is mapped can be read. */
		if (!(mapped % 8)) {
			ASSERT_EQ(drain(map, &walk), 0);
			memset(&walk, 0, sizeof(walk));
			if (!markers_write(&self->inst, 0, 40, 100)) {
				ASSERT_EQ(drain(map, &walk), 0);
				EXPECT_EQ(walk.data, 40);
				EXPECT_EQ(walk.gaps, 0);
			}
		}
		mapped++;
		mapping_close(map);
		sched_yield();
	}

	__atomic_store_n(&race.stop, true, __ATOMIC_RELAXED);
	pthread_join(thread, NULL);
	TH_LOG("mapped %u, refused %u; order changed %u, busy %u", mapped,
	       refused, race.done, race.busy);
	EXPECT_GT(mapped, 0);
	EXPECT_GT(race.done, 0);
	EXPECT_GT(race.busy, 0);
	EXPECT_EQ(race.odd, 0);
	ASSERT_FREE();
	ASSERT_MAPPED();
	EXPECT_EQ(stale_pages(&self->inst, &self->map), 0);
}

/* Memory ------------------------------------------------------------------ */

/* Pages that a CPU keeps for its next allocations, in kilobytes. */
static long cached_kb(void)
{
	FILE *file = fopen("/proc/zoneinfo", "r");
	long pages = 0, count;
	char line[128];

	if (!file)
		return 0;

	while (fgets(line, sizeof(line), file)) {
		if (sscanf(line, " count: %ld", &count) == 1)
			pages += count;
	}
	fclose(file);
	return pages * (getpagesize() / 1024);
}

/* KASAN keeps what was freed for a while, unless a cache is to shrink. */
static long free_kb(void)
{
	char buf[8];
	glob_t caches;

	if (!glob("/sys/kernel/slab/*/shrink", 0, NULL, &caches)) {
		for (size_t i = 0; i < caches.gl_pathc; i++)
			file_write(caches.gl_pathv[i], "1");
		globfree(&caches);
	}
	/* Without this, each CPU has a part of MemFree to itself. */
	file_read("/proc/sys/vm/stat_refresh", buf, sizeof(buf));
	return meminfo_kb("\nMemFree:") + cached_kb();
}

/* Others free memory, too: after a grace period, or in the background. */
static long settled_free_kb(void)
{
	long kb = free_kb(), last;
	int same = 0;

	for (int i = 0; i < 100 && same < 3; i++) {
		sleep_ms(100);
		last = kb;
		kb = free_kb();
		same = labs(kb - last) < 32 ? same + 1 : 0;
	}
	return kb;
}

/* Less than half a page each time. */
static long slack_kb(unsigned int rounds)
{
	return rounds * (getpagesize() / 1024) / 2;
}

/*
 * Memory that mapping so many times costs for good, in kilobytes. The other CPU's
 * mapping keeps the snapshot exclusion, so that no grace period is waited for.
 */
static long lost_kb(struct __test_metadata *_metadata, struct instance *inst,
		    unsigned int rounds, size_t len, off_t offset, int prot,
		    int expected)
{
	struct mapping other;
	long before = 0, lost;
	int fd;

	ASSERT_EQ(mapping_open(&other, inst, OTHER_CPU), 0);
	fd = cpu_open(inst, CPU, O_RDWR | O_NONBLOCK);
	ASSERT_GE(fd, 0);

	/* The first ones fill the caches of the allocators. */
	for (unsigned int i = 0; i < 50 + rounds; i++) {
		if (i == 50)
			before = settled_free_kb();
		ASSERT_EQ(map_range(fd, len, prot, MAP_SHARED, offset, NULL),
			  expected);
	}

	/* Page tables and VMAs are freed later; what is lost never is. */
	for (int i = 0; i < 100; i++) {
		lost = before - free_kb();
		if (lost < slack_kb(rounds))
			break;
		sleep_ms(100);
	}
	close(fd);
	mapping_close(&other);
	return lost;
}

#define ROUNDS	2000

TEST_F_TIMEOUT(exclusion, b11_map_leaks_nothing, 120)
{
	struct instance *inst = &self->inst;
	size_t page = getpagesize();
	long kb;

	if (!has_cpu(OTHER_CPU))
		SKIP(return, "there is one CPU only");
	ASSERT_EQ(instance_resize(inst, 0, 1000), 0);
	kb = lost_kb(_metadata, inst, ROUNDS, page, 0, PROT_READ, 0);
	EXPECT_LT(kb, slack_kb(ROUNDS));
	kb = lost_kb(_metadata, inst, ROUNDS / 4, 1002 * page, 0, PROT_READ, 0);
	EXPECT_LT(kb, slack_kb(ROUNDS / 4));
	ASSERT_FREE();
}

TEST_F_TIMEOUT(exclusion, b11_failed_map_leaks_nothing, 120)
{
	struct instance *inst = &self->inst;
	size_t page = getpagesize();
	long kb;

	if (!has_cpu(OTHER_CPU))
		SKIP(return, "there is one CPU only");
	ASSERT_EQ(instance_resize(inst, 0, 1000), 0);
	kb = lost_kb(_metadata, inst, ROUNDS, page, 1002 * page, PROT_READ,
		     -EINVAL);
	EXPECT_LT(kb, slack_kb(ROUNDS));
	kb = lost_kb(_metadata, inst, ROUNDS, page, 0, PROT_READ | PROT_WRITE,
		     -EPERM);
	EXPECT_LT(kb, slack_kb(ROUNDS));
	ASSERT_FREE();
}

TEST_HARNESS_MAIN
