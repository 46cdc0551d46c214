// SPDX-License-Identifier: GPL-2.0
/*
 * Defects that show only with real parallelism: D2, a mapping against splice()
 * on the same CPU's buffer. Fails with the C implementation of Linux 7.3, in
 * one of ten rounds or more. MAP_RACE_ROUNDS in the environment sets how many
 * there are.
 *
 * vm: SMP=2 ACCEL=mttcg
 */
#include <pthread.h>

#include "mapping.h"

#define CPU		0
#define OTHER_CPU	1
#define NR_SUBBUFS	256
#define ROUNDS		150

/* What the threads share. */
struct race {
	struct instance	inst;
	pthread_t	threads[2];
	unsigned int	nr_threads;
	bool		stop;
	bool		pause;
	unsigned int	paused;
	unsigned int	spliced;
	unsigned int	written;
};

FIXTURE(race) {
	struct race	race;
	struct mapping	map;
	struct mapping	other;
	int		klog;
};

FIXTURE_SETUP(race)
{
	memset(self, 0, sizeof(*self));
	self->map.fd = -1;
	self->other.fd = -1;
	self->klog = klog_open();
	ASSERT_EQ(instance_create(&self->race.inst), 0);
	ASSERT_EQ(instance_resize(&self->race.inst, 0, NR_SUBBUFS), 0);
	/* Only an instance's first mapping waits for a grace period. */
	ASSERT_EQ(mapping_open(&self->other, &self->race.inst, OTHER_CPU), 0);
}

FIXTURE_TEARDOWN(race)
{
	__atomic_store_n(&self->race.stop, true, __ATOMIC_RELAXED);
	for (unsigned int i = 0; i < self->race.nr_threads; i++)
		pthread_join(self->race.threads[i], NULL);
	mapping_close(&self->map);
	mapping_close(&self->other);
	EXPECT_EQ(instance_destroy(&self->race.inst), 0);
	EXPECT_EQ(klog_complaints(self->klog), 0);
	close(self->klog);
}

/* False once the thread has to end; waits for as long as it has to pause. */
static bool run(struct race *race)
{
	if (__atomic_load_n(&race->pause, __ATOMIC_ACQUIRE)) {
		__atomic_add_fetch(&race->paused, 1, __ATOMIC_ACQ_REL);
		while (__atomic_load_n(&race->pause, __ATOMIC_ACQUIRE) &&
		       !__atomic_load_n(&race->stop, __ATOMIC_RELAXED))
			sched_yield();
		__atomic_sub_fetch(&race->paused, 1, __ATOMIC_ACQ_REL);
	}
	return !__atomic_load_n(&race->stop, __ATOMIC_RELAXED);
}

static void pause_threads(struct race *race)
{
	__atomic_store_n(&race->pause, true, __ATOMIC_RELEASE);
	while (__atomic_load_n(&race->paused, __ATOMIC_ACQUIRE) <
	       race->nr_threads)
		sched_yield();
}

static void resume_threads(struct race *race)
{
	__atomic_store_n(&race->pause, false, __ATOMIC_RELEASE);
	while (__atomic_load_n(&race->paused, __ATOMIC_ACQUIRE))
		sched_yield();
}

static void *writer(void *arg)
{
	struct race *race = arg;

	pin_to_cpu(CPU);
	while (run(race)) {
		if (!markers_write(&race->inst, 0, 16, 1000))
			__atomic_add_fetch(&race->written, 16,
					   __ATOMIC_RELAXED);
	}
	return NULL;
}

static void *splicer(void *arg)
{
	struct race *race = arg;
	int fd, null, pipes[2];

	pin_to_cpu(OTHER_CPU);
	fd = cpu_open(&race->inst, CPU, O_RDONLY | O_NONBLOCK);
	null = open("/dev/null", O_WRONLY);
	if (fd < 0 || null < 0 || pipe(pipes))
		return NULL;

	while (run(race)) {
		ssize_t len = splice(fd, NULL, pipes[1], NULL, 4 * 4096,
				     SPLICE_F_NONBLOCK);

		if (len <= 0)
			continue;
		__atomic_add_fetch(&race->spliced, len / 4096,
				   __ATOMIC_RELAXED);
		while (len > 0) {
			ssize_t ret = splice(pipes[0], NULL, null, NULL, len,
					     0);

			if (ret <= 0)
				break;
			len -= ret;
		}
	}
	close(pipes[0]);
	close(pipes[1]);
	close(null);
	close(fd);
	return NULL;
}

/*
 * Map while the threads run, stop them, and look whether the mapping shows the
 * pages that the writer writes to. Returns the rounds with a stale page. A page
 * that was even freed between its choice and its use makes the mapping fail:
 * that counts as well.
 */
static unsigned int stale_rounds(struct __test_metadata *_metadata,
				 struct race *race, struct mapping *map,
				 unsigned int nr)
{
	size_t page = getpagesize(), all = (NR_SUBBUFS + 2) * page;
	unsigned int stale = 0, spliced;
	int fd, ret;

	fd = cpu_open(&race->inst, CPU, O_RDONLY | O_NONBLOCK);
	ASSERT_GE(fd, 0);
	ASSERT_EQ(pin_to_cpu(CPU), 0);
	for (unsigned int i = 0; i < nr; i++) {
		__s64 end = now_ns() + 20 * MSEC;
		void *addr;

		/* Plenty to splice, and the splicer at it. */
		pause_threads(race);
		ASSERT_EQ(markers_write(&race->inst, 0, 2 * NR_SUBBUFS, 4000),
			  0);
		spliced = __atomic_load_n(&race->spliced, __ATOMIC_RELAXED);
		__atomic_store_n(&race->pause, false, __ATOMIC_RELEASE);
		while (spliced == __atomic_load_n(&race->spliced,
						  __ATOMIC_RELAXED) &&
		       now_ns() < end)
			sched_yield();

		/* Everything at once: this one mapping is the first one. */
		ret = map_shared(fd, all, 0, &addr);
		pause_threads(race);
		if (ret) {
			TH_LOG("round %u: mmap failed with errno %d", i, -ret);
			stale++;
		} else {
			map->fd = fd;
			map->meta = addr;
			map->data = addr + page;
			ret = stale_pages(&race->inst, map);
			ASSERT_GE(ret, 0);
			stale += !!ret;
			munmap(addr, all);
			map->fd = -1;
			map->meta = NULL;
			map->data = NULL;
		}
		resume_threads(race);
	}
	close(fd);
	return stale;
}

static unsigned int rounds(void)
{
	const char *env = getenv("MAP_RACE_ROUNDS");

	return env ? atoi(env) : ROUNDS;
}

static void start(struct __test_metadata *_metadata, struct race *race,
		  void *(*function)(void *))
{
	ASSERT_EQ(pthread_create(&race->threads[race->nr_threads], NULL,
				 function, race), 0);
	race->nr_threads++;
}

TEST_F_TIMEOUT(race, d2_map_against_splice, 1800)
{
	struct race *race = &self->race;
	unsigned int stale, nr = rounds();

	start(_metadata, race, writer);
	start(_metadata, race, splicer);
	stale = stale_rounds(_metadata, race, &self->map, nr);
	TH_LOG("%u of %u rounds stale, %u written, %u pages spliced", stale,
	       nr, race->written, race->spliced);
	EXPECT_EQ(stale, 0);
	/* Else it was no race. */
	EXPECT_GT(race->written, 1000);
	EXPECT_GT(race->spliced, nr);
}

/* The control: with nobody that takes pages away, none is stale. */
TEST_F(race, control_map_beside_writer)
{
	unsigned int stale;

	start(_metadata, &self->race, writer);
	stale = stale_rounds(_metadata, &self->race, &self->map, 30);
	EXPECT_EQ(stale, 0);
	EXPECT_GT(self->race.written, 1000);
}

TEST_HARNESS_MAIN
