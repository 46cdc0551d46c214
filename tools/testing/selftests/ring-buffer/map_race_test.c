// SPDX-License-Identifier: GPL-2.0
/*
 * A mapping against what may happen to its buffer at the same time, on another
 * CPU. Each case runs against an opponent, and alone as the control: without
 * one, none of the outcomes that are the opponent's doing is seen. The opponent
 * is a process, as two threads' mmap() would exclude each other.
 *
 * vm: SMP=2 ACCEL=mttcg
 */
#include <sys/prctl.h>

#include "mapping.h"

#define CPU		0
#define OTHER_CPU	1
#define NR_SUBBUFS	16

/* Grace periods that are short, and all take about as long. */
#define RCU_EXPEDITED		"/sys/kernel/rcu_expedited"
#define OTHER_CPU_ONLINE	"/sys/devices/system/cpu/cpu1/online"

/* How long a case runs, and at most if an outcome was not yet seen. */
#define ALONE		(300 * MSEC)
#define RACED		(2000 * MSEC)
#define RACED_MAX	(15000 * MSEC)

/* Shared by both processes. */
struct race {
	struct instance	inst;
	bool		stop;
	unsigned int	done;		/* The opponent's rounds, ... */
	unsigned int	refused;	/* ... those refused as they may be, ... */
	int		odd;		/* ... and any other errno. */
	unsigned int	written;	/* Markers, by whichever of the two. */
	unsigned int	asked;		/* Resets that the case has asked for. */
	__s64		reset;		/* When the last one had ended. */
};

FIXTURE(race) {
	struct race	*race;
	struct mapping	map;
	struct mapping	other;
	pid_t		opponent;
	bool		raced;
	__s64		start;
	char		expedited[8];	/* To be put back. */
	int		klog;
};

FIXTURE_VARIANT(race) {
	bool	raced;
};

FIXTURE_VARIANT_ADD(race, raced) { .raced = true };
FIXTURE_VARIANT_ADD(race, alone) { .raced = false };

FIXTURE_SETUP(race)
{
	memset(self, 0, sizeof(*self));
	self->raced = variant->raced;
	self->map.fd = -1;
	self->other.fd = -1;
	if (!has_cpu(OTHER_CPU))
		SKIP(return, "there is one CPU only");
	self->klog = klog_open();
	self->race = mmap(NULL, sizeof(*self->race), PROT_READ | PROT_WRITE,
			  MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	ASSERT_NE(self->race, MAP_FAILED);
	ASSERT_EQ(pin_to_cpu(CPU), 0);
	ASSERT_EQ(instance_create(&self->race->inst), 0);
	ASSERT_EQ(instance_resize(&self->race->inst, 0, NR_SUBBUFS), 0);
}

static void stop_opponent(FIXTURE_DATA(race) *self)
{
	if (self->opponent <= 0)
		return;
	__atomic_store_n(&self->race->stop, true, __ATOMIC_RELAXED);
	waitpid(self->opponent, NULL, 0);
	self->opponent = 0;
}

FIXTURE_TEARDOWN(race)
{
	struct instance *inst = &self->race->inst;

	stop_opponent(self);
	file_write(OTHER_CPU_ONLINE, "1");
	if (self->expedited[0])
		file_write(RCU_EXPEDITED, self->expedited);
	mapping_close(&self->map);
	mapping_close(&self->other);
	for (int cpu = CPU; cpu <= OTHER_CPU; cpu++)
		EXPECT_STREQ(instance_busy(inst, cpu) ?: "free", "free");
	EXPECT_EQ(instance_destroy(inst), 0);
	EXPECT_EQ(klog_complaints(self->klog), 0);
	close(self->klog);
}

/* The opponent does such rounds until end(); "refusal" is what it may get. */
typedef int round_fn(struct race *race, unsigned int i);

static void start(struct __test_metadata *_metadata, FIXTURE_DATA(race) *self,
		  int cpu, round_fn *round, int refusal)
{
	struct race *race = self->race;

	self->start = now_ns();
	if (!self->raced)
		return;
	self->opponent = fork();
	ASSERT_GE(self->opponent, 0);
	if (self->opponent)
		return;

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	pin_to_cpu(cpu);
	for (unsigned int i = 0;
	     !__atomic_load_n(&race->stop, __ATOMIC_RELAXED); i++) {
		int ret = round(race, i);

		if (!ret)
			__atomic_add_fetch(&race->done, 1, __ATOMIC_RELAXED);
		else if (ret == refusal)
			__atomic_add_fetch(&race->refused, 1, __ATOMIC_RELAXED);
		else if (!race->odd)
			race->odd = ret;
	}
	_exit(0);
}

/* The case goes on for a while, and longer only until "enough" was seen. */
static bool again(FIXTURE_DATA(race) *self, unsigned int done,
		  unsigned int refused, bool enough)
{
	__s64 time = now_ns() - self->start;
	struct race *race = self->race;

	if (!self->raced)
		return time < ALONE;
	if (time < RACED)
		return true;
	enough &= __atomic_load_n(&race->done, __ATOMIC_RELAXED) >= done;
	enough &= __atomic_load_n(&race->refused, __ATOMIC_RELAXED) >= refused;
	return !enough && time < RACED_MAX;
}

/* The opponent got nothing that it must not get. */
static void end(struct __test_metadata *_metadata, FIXTURE_DATA(race) *self,
		unsigned int done, unsigned int refused)
{
	struct race *race = self->race;

	stop_opponent(self);
	TH_LOG("opponent: %u done, %u refused", race->done, race->refused);
	EXPECT_EQ(race->odd, 0);
	if (self->raced) {
		EXPECT_GE(race->done, done);
		EXPECT_GE(race->refused, refused);
	}
}

/* Does the meta-page describe a buffer as there may be, and the mapping fit? */
static bool is_sane(const struct mapping *map)
{
	const struct trace_buffer_meta *meta = map->meta;
	size_t size = meta->subbuf_size, page = getpagesize();

	if (size != page && size != 2 * page && size != 4 * page)
		return false;
	if (meta->meta_page_size != size || meta->flags ||
	    meta->meta_struct_len != sizeof(*meta) || meta->nr_subbufs < 3 ||
	    meta->reader.id >= meta->nr_subbufs)
		return false;

	for (size_t off = 0; off < map->data_len; off += page)
		__atomic_load_n(map->data + off, __ATOMIC_RELAXED);
	return map_shared(map->fd, page, map->data_len + size, NULL) == -EINVAL;
}

/* At rest: the mapping shows the buffer, and all counts agree. */
static void check_at_rest(struct __test_metadata *_metadata,
			  struct instance *inst, int cpu, struct mapping *map)
{
	ASSERT_EQ(pin_to_cpu(cpu), 0);
	EXPECT_TRUE(is_sane(map));
	check_meta(_metadata, inst, cpu, map);
	EXPECT_EQ(stale_pages(inst, map), 0);
	check_meta(_metadata, inst, cpu, map);
}

/* Changes of the sizes ---------------------------------------------------- */

static int change_order(struct race *race, unsigned int i)
{
	return instance_write_long(&race->inst, "buffer_subbuf_size_kb",
				   (getpagesize() / 1024) << (i % 3));
}

static int change_size(struct race *race, unsigned int i)
{
	return instance_write_long(&race->inst, i & 2 ? "buffer_size_kb" :
				   "per_cpu/cpu0/buffer_size_kb",
				   i & 1 ? 100 : 20);
}

/* A change that is refused changes nothing, but stops the tracing meanwhile. */
static void write_and_read(struct __test_metadata *_metadata,
			   struct instance *inst, struct mapping *map)
{
	unsigned int written = 0;
	struct walk walk = {};

	ASSERT_EQ(drain(map, &walk), 0);
	for (int i = 0; i < 40; i++) {
		int ret = marker_write(inst, i, 100);

		ASSERT_TRUE(!ret || ret == -EBADF)
			TH_LOG("errno %d", -ret);
		written += !ret;
	}
	memset(&walk, 0, sizeof(walk));
	ASSERT_EQ(drain(map, &walk), 0);
	EXPECT_EQ(walk.data, written);
}

/*
 * Each mapping shows a buffer of one size. One page at that offset can be
 * mapped with the size that the buffer had first, and not with some others.
 */
static void check_changes(struct __test_metadata *_metadata,
			  FIXTURE_DATA(race) *self, round_fn *change,
			  unsigned int offset)
{
	unsigned int inside = 0, outside = 0, rounds = 0;
	struct instance *inst = &self->race->inst;
	struct mapping *map = &self->map;
	size_t page = getpagesize();
	int fd;

	fd = cpu_open(inst, CPU, O_RDONLY | O_NONBLOCK);
	ASSERT_GE(fd, 0);
	start(_metadata, self, OTHER_CPU, change, -EBUSY);
	while (again(self, 1, 1, inside && outside)) {
		int ret;

		ASSERT_EQ(mapping_open(map, inst, CPU), 0);
		ASSERT_TRUE(is_sane(map));
		if (!(rounds++ % 4))
			write_and_read(_metadata, inst, map);
		mapping_close(map);

		ret = map_shared(fd, page, offset * page, NULL);
		ASSERT_TRUE(!ret || ret == -EINVAL)
			TH_LOG("errno %d", -ret);
		inside += !ret;
		outside += !!ret;
	}
	end(_metadata, self, 1, 1);
	close(fd);
	TH_LOG("%u mapped, %u inside, %u outside", rounds, inside, outside);
	EXPECT_GT(inside, 0);
	EXPECT_EQ(!!outside, self->raced);

	ASSERT_EQ(mapping_open(map, inst, CPU), 0);
	check_at_rest(_metadata, inst, CPU, map);
}

TEST_F(race, map_against_order_change)
{
	check_changes(_metadata, self, change_order, 1);
}

TEST_F(race, map_against_resize)
{
	check_changes(_metadata, self, change_size, NR_SUBBUFS);
}

/* Other consumers and mappings -------------------------------------------- */

static int get_reader_often(struct race *race, unsigned int i)
{
	static int fd = -1;

	if (fd < 0)
		fd = cpu_open(&race->inst, CPU, O_RDONLY | O_NONBLOCK);
	return get_reader(fd);
}

/* No event is lost or counted twice, whoever of the two consumes it. */
TEST_F(race, unmap_against_get_reader)
{
	struct instance *inst = &self->race->inst;
	struct mapping *map = &self->map;
	unsigned int rounds = 0;
	struct walk walk = {};
	int fd;

	/* Only an instance's first mapping waits for a grace period. */
	ASSERT_EQ(mapping_open(&self->other, inst, OTHER_CPU), 0);
	fd = cpu_open(inst, CPU, O_RDONLY | O_NONBLOCK);
	ASSERT_GE(fd, 0);
	start(_metadata, self, OTHER_CPU, get_reader_often, -ENODEV);
	for (; again(self, 100, 100, rounds >= 100); rounds++) {
		ASSERT_EQ(mapping_open(map, inst, CPU), 0);
		ASSERT_EQ(markers_write(inst, 5 * rounds, 5, 100), 0);
		ASSERT_TRUE(is_sane(map));
		ASSERT_EQ(get_reader(fd), 0);
		EXPECT_LE(map->meta->read, 5 * (rounds + 1));
		mapping_close(map);
		ASSERT_EQ(get_reader(fd), -ENODEV);
	}
	end(_metadata, self, 100, 100);
	close(fd);
	TH_LOG("%u rounds", rounds);

	ASSERT_EQ(mapping_open(map, inst, CPU), 0);
	ASSERT_EQ(drain(map, &walk), 0);
	EXPECT_EQ(map->meta->entries, 5 * rounds);
	EXPECT_EQ(map->meta->read, 5 * rounds);
	EXPECT_EQ(map->meta->overrun, 0);
	check_at_rest(_metadata, inst, CPU, map);
}

/* 0: mapped, and it was before; -ENODEV: it was not. */
static int map_once(struct instance *inst)
{
	struct mapping map;
	int before, ret;

	map.fd = cpu_open(inst, CPU, O_RDONLY | O_NONBLOCK);
	if (map.fd < 0)
		return map.fd;
	before = get_reader(map.fd);
	close(map.fd);
	if (before && before != -ENODEV)
		return before;

	ret = mapping_open(&map, inst, CPU);
	if (ret)
		return ret == -ENODEV ? -EPROTO : ret;
	ret = is_sane(&map) ? before : -EPROTO;
	if (get_reader(map.fd))
		ret = -EPROTO;
	mapping_close(&map);
	return ret;
}

static int map_too(struct race *race, unsigned int i)
{
	return map_once(&race->inst);
}

static void check_two_mappers(struct __test_metadata *_metadata,
			      FIXTURE_DATA(race) *self)
{
	struct instance *inst = &self->race->inst;
	unsigned int before = 0, not_before = 0;

	start(_metadata, self, OTHER_CPU, map_too, -ENODEV);
	while (again(self, 10, 1, before >= 10 && not_before)) {
		int ret = map_once(inst);

		ASSERT_TRUE(!ret || ret == -ENODEV)
			TH_LOG("errno %d", -ret);
		before += !ret;
		not_before += !!ret;
	}
	end(_metadata, self, 10, 1);
	TH_LOG("mapped by the other %u, not %u", before, not_before);
	EXPECT_GT(not_before, 0);
	EXPECT_EQ(!!before, self->raced);

	ASSERT_EQ(mapping_open(&self->map, inst, CPU), 0);
	check_at_rest(_metadata, inst, CPU, &self->map);
}

TEST_F(race, two_mappers)
{
	ASSERT_EQ(mapping_open(&self->other, &self->race->inst, OTHER_CPU), 0);
	check_two_mappers(_metadata, self);
}

/* Each of them may be the instance's first, which snapshots depend on. */
TEST_F(race, two_first_mappers)
{
	check_two_mappers(_metadata, self);
}

/* Reset ------------------------------------------------------------------- */

/* Each time that some was written. */
static int reset(struct race *race, unsigned int i)
{
	static unsigned int before;

	while (__atomic_load_n(&race->written, __ATOMIC_RELAXED) - before < 10)
		if (__atomic_load_n(&race->stop, __ATOMIC_RELAXED))
			return 0;
	before = race->written;
	return instance_truncate(&race->inst, i & 1 ? "trace" :
				 "per_cpu/cpu0/trace");
}

/* Events are lost by a reset only, come in order, and none comes twice. */
TEST_F(race, reset_against_get_reader)
{
	unsigned int rounds = 0, resets = 0, refused = 0, lost = 0;
	struct instance *inst = &self->race->inst;
	__u32 next = 0, *written = &self->race->written;
	struct mapping *map = &self->map;
	__u64 entries = 0;

	ASSERT_EQ(mapping_open(map, inst, CPU), 0);
	start(_metadata, self, OTHER_CPU, reset, 0);
	while (again(self, 5, 0, resets >= 5 && refused && lost)) {
		struct walk walk = {};
		bool off = false;

		/* A reset that is at work has stopped the tracing. */
		for (int i = 0; i < 10 && !off; i++) {
			int ret = marker_write(inst, *written, 100);

			ASSERT_TRUE(!ret || ret == -EBADF)
				TH_LOG("errno %d", -ret);
			off = ret;
			if (!ret)
				__atomic_add_fetch(written, 1,
						   __ATOMIC_RELAXED);
		}
		refused += off;

		/* Every other one meets GET_READER, or events not yet read. */
		rounds++;
		if (off && (resets & 1))
			continue;
		ASSERT_GE(consume(map, &walk), 0);
		ASSERT_LT(map->meta->reader.id, map->meta->nr_subbufs);
		ASSERT_EQ(walk.gaps, 0);
		if (walk.data) {
			ASSERT_GE(walk.first, next);
			ASSERT_LT(walk.last, *written);
			lost += walk.first - next;
			next = walk.last + 1;
		}
		resets += map->meta->entries < entries;
		entries = map->meta->entries;
	}
	end(_metadata, self, 5, 0);
	TH_LOG("%u rounds, %u resets seen, %u events lost, %u refused", rounds,
	       resets, lost, refused);
	if (self->raced) {
		EXPECT_GE(resets, 5);
		EXPECT_GT(refused, 0);
		EXPECT_GT(lost, 0);
	} else {
		EXPECT_EQ(resets, 0);
		EXPECT_EQ(refused, 0);
		EXPECT_EQ(lost, 0);
	}

	ASSERT_EQ(get_reader(map->fd), 0);
	check_at_rest(_metadata, inst, CPU, map);
}

static int reset_if_asked(struct race *race, unsigned int i)
{
	int ret;

	while (__atomic_load_n(&race->asked, __ATOMIC_ACQUIRE) == i)
		if (__atomic_load_n(&race->stop, __ATOMIC_RELAXED))
			return 0;
	ret = instance_truncate(&race->inst, "per_cpu/cpu0/trace");
	race->reset = now_ns();
	return ret;
}

/*
 * GET_READER goes over the events of a page of which some were read before in
 * parts. A reset between two of them takes all events away: nothing of the page
 * must be counted after it.
 */
TEST_F(race, reset_in_the_middle_of_get_reader)
{
	unsigned int rounds = 0, met = 0, order = 5, nr;
	__s64 asked, begin, ended, least = MSEC, wait = 0;
	struct instance *inst = &self->race->inst;
	struct race *race = self->race;
	struct mapping *map = &self->map;
	struct stats stats;

	/* Of which the last ones are on the next page. */
	nr = ((getpagesize() << order) - SUBBUF_HEADER_SIZE) /
	     marker_event_size(4) + 2;
	ASSERT_EQ(instance_resize(inst, order, 2), 0);
	ASSERT_EQ(mapping_open(map, inst, CPU), 0);
	if (file_read(RCU_EXPEDITED, self->expedited, 8) > 0)
		file_write(RCU_EXPEDITED, "1");
	start(_metadata, self, OTHER_CPU, reset_if_asked, 0);
	while (again(self, 5, 0, met >= 5)) {
		ASSERT_EQ(markers_write(inst, 0, 1, 4), 0);
		ASSERT_EQ(get_reader(map->fd), 0);
		ASSERT_EQ(markers_write(inst, 1, nr, 4), 0);

		/* Most of a reset is a grace period: meet its end. */
		asked = now_ns();
		if (self->raced)
			__atomic_add_fetch(&race->asked, 1, __ATOMIC_RELEASE);
		do {
			begin = now_ns();
		} while (begin < asked + wait);
		ASSERT_EQ(get_reader(map->fd), 0);
		ended = now_ns();
		while (self->raced &&
		       __atomic_load_n(&race->done, __ATOMIC_ACQUIRE) <= rounds)
			sched_yield();
		rounds++;
		if (self->raced) {
			if (ended - begin < least)
				least = ended - begin;
			met += race->reset > begin && race->reset < ended;
			wait = race->reset - asked - least * (rounds % 8) / 4;
		}
		/* The events on the next page. */
		if (!self->raced)
			ASSERT_EQ(get_reader(map->fd), 0);
		ASSERT_EQ(stats_read(inst, CPU, &stats), 0);
		ASSERT_EQ(stats.bytes, 0) TH_LOG("round %u", rounds);
		ASSERT_EQ(stats.entries, 0);
		check_meta(_metadata, inst, CPU, map);
		ASSERT_EQ(instance_reset(inst), 0);
	}
	end(_metadata, self, 5, 0);
	/* Seldom: a few in all rounds. */
	TH_LOG("%u rounds, %u resets met", rounds, met);
}

/* Hotplug ----------------------------------------------------------------- */

static int switch_cpu(struct race *race, unsigned int i)
{
	int ret = file_write(OTHER_CPU_ONLINE, i & 1 ? "1" : "0");

	if (ret || !(i & 1))
		return ret;

	ret = pin_to_cpu(OTHER_CPU);
	if (!ret)
		ret = markers_write(&race->inst, race->written, 3, 8);
	if (!ret)
		race->written += 3;
	return ret ?: pin_to_cpu(CPU);
}

static bool cpu_is_online(void)
{
	char buf[8];

	return file_read(OTHER_CPU_ONLINE, buf, sizeof(buf)) > 0 &&
	       buf[0] == '1';
}

/* A CPU's buffer is mapped whether the CPU is there or not, and is kept. */
TEST_F(race, map_against_hotplug)
{
	struct instance *inst = &self->race->inst;
	unsigned int online = 0, offline = 0;
	struct mapping *map = &self->map;
	struct walk walk = {};

	if (access(OTHER_CPU_ONLINE, W_OK))
		SKIP(return, "the CPU cannot be switched off");

	/* Only an instance's first mapping waits for a grace period. */
	ASSERT_EQ(mapping_open(&self->other, inst, CPU), 0);
	start(_metadata, self, CPU, switch_cpu, 0);
	while (again(self, 4, 0, online && offline)) {
		ASSERT_EQ(mapping_open(map, inst, OTHER_CPU), 0);
		ASSERT_TRUE(is_sane(map));
		ASSERT_EQ(get_reader(map->fd), 0);
		if (cpu_is_online())
			online++;
		else
			offline++;
		mapping_close(map);
	}
	end(_metadata, self, 4, 0);
	ASSERT_EQ(file_write(OTHER_CPU_ONLINE, "1"), 0);
	TH_LOG("mapped with the CPU online %u, offline %u", online, offline);
	EXPECT_GT(online, 0);
	EXPECT_EQ(!!offline, self->raced);

	ASSERT_EQ(mapping_open(map, inst, OTHER_CPU), 0);
	ASSERT_EQ(drain(map, &walk), 0);
	EXPECT_EQ(map->meta->entries, self->race->written);
	EXPECT_EQ(map->meta->read, self->race->written);
	check_at_rest(_metadata, inst, OTHER_CPU, map);
}

TEST_HARNESS_MAIN
