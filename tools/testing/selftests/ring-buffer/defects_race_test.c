// SPDX-License-Identifier: GPL-2.0
/*
 * Defects that show only with real parallelism: on one CPU's buffer, a mapping
 * against splice() (D2), GET_READER against trace_pipe (D3), and mmap() against
 * mmap() (D10). They fail with the C implementation of Linux 7.3: D2 in one of
 * ten rounds or more, the others nearly each time that the two meet.
 * MAP_RACE_ROUNDS in the environment sets how many rounds D2 has.
 *
 * vm: SMP=2 ACCEL=mttcg
 */
#include <pthread.h>

#include "mapping.h"

#define CPU		0
#define OTHER_CPU	1
#define NR_SUBBUFS	256
#define ROUNDS		150

struct pipe;

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
	struct pipe	*pipe;
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
	if (!has_cpu(OTHER_CPU))
		SKIP(return, "there is one CPU only");
	self->klog = klog_open();
	ASSERT_EQ(instance_create(&self->race.inst), 0);
	ASSERT_EQ(instance_resize(&self->race.inst, 0, NR_SUBBUFS), 0);
	/* Only an instance's first mapping waits for a grace period. */
	ASSERT_EQ(mapping_open(&self->other, &self->race.inst, OTHER_CPU), 0);
}

static void stop_threads(struct race *race)
{
	__atomic_store_n(&race->stop, true, __ATOMIC_RELAXED);
	while (race->nr_threads)
		pthread_join(race->threads[--race->nr_threads], NULL);
}

FIXTURE_TEARDOWN(race)
{
	stop_threads(&self->race);
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
	int fd, null, pipes[2], page = getpagesize();

	pin_to_cpu(OTHER_CPU);
	fd = cpu_open(&race->inst, CPU, O_RDONLY | O_NONBLOCK);
	null = open("/dev/null", O_WRONLY);
	if (fd < 0 || null < 0 || pipe(pipes))
		return NULL;

	while (run(race)) {
		ssize_t len = splice(fd, NULL, pipes[1], NULL, 4 * page,
				     SPLICE_F_NONBLOCK);

		if (len <= 0)
			continue;
		__atomic_add_fetch(&race->spliced, len / page,
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

/* D3: GET_READER takes the page that trace_pipe prints from ---------------- */

/*
 * One event fills a page, and takes long to print, byte by byte. Each of the
 * bytes is the lowest one of the event's number.
 */
#define LONG_PAYLOAD	2100
#define LONG_BYTES	(LONG_PAYLOAD - sizeof(__u32))
#define NR_EVENTS	(NR_SUBBUFS - 6)

/* trace_pipe and a mapping, of the same CPU. */
struct pipe {
	struct mapping	*map;
	int		fd;
	bool		reading;
	unsigned int	lines;
	unsigned int	torn;
	char		first_torn[192];
	unsigned int	disorder;
	long		last;
	bool		writer_only;
	unsigned int	turned;		/* How often GET_READER was called, ... */
	unsigned int	met;		/* ... and during a read. */
	int		error;
	unsigned char	printed[NR_EVENTS];
	unsigned char	mapped[NR_EVENTS];
};

static void pipe_open(struct __test_metadata *_metadata, struct race *race,
		      struct pipe *pipe, struct mapping *map)
{
	char path[256];

	instance_path(&race->inst, "per_cpu/cpu0/trace_pipe", path,
		      sizeof(path));
	pipe->fd = open(path, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
	ASSERT_GE(pipe->fd, 0);
	ASSERT_EQ(mapping_open(map, &race->inst, CPU), 0);
	pipe->map = map;
	pipe->last = -1;
	race->pipe = pipe;
}

static int long_marker_write(const struct instance *inst, __u32 seq)
{
	char buf[LONG_PAYLOAD];

	memset(buf, seq, sizeof(buf));
	memcpy(buf, &seq, sizeof(seq));
	return write(inst->raw_fd, buf, sizeof(buf)) < 0 ? -errno : 0;
}

/* The number of the event in a line, or -EBADMSG if it is not one event's. */
static long line_number(const char *line)
{
	const char *at = strstr(line, ": # ");
	unsigned int n;
	__u32 seq;
	char *end;

	if (!at)
		return -EBADMSG;
	seq = strtoul(at + 4, &end, 16);
	if (strncmp(end, " buf:", 5))
		return -EBADMSG;
	end += 5;
	for (n = 0; *end == ' '; n++) {
		if (strtoul(end, &end, 16) != (seq & 0xff))
			return -EBADMSG;
	}
	return n == LONG_BYTES && !*end ? seq : -EBADMSG;
}

/* Keeps the head of a line and what follows the first byte that is not its. */
static void note_torn(struct pipe *pipe, const char *line)
{
	const char *at = strstr(line, " buf:"), *expected;

	if (pipe->torn++)
		return;
	expected = at ? at + 5 : line;
	at = expected;
	while (*at && !strncmp(at, expected, 3))
		at += 3;
	snprintf(pipe->first_torn, sizeof(pipe->first_torn),
		 "%.60s, at byte %td of %u: %.40s", line, (at - expected) / 3,
		 (unsigned int)LONG_BYTES, at);
}

/* Returns -EAGAIN if the buffer is empty. */
static int pipe_read(struct pipe *pipe)
{
	static char buf[2 * 4096];
	char *at = buf, *next;
	ssize_t len;

	__atomic_store_n(&pipe->reading, true, __ATOMIC_SEQ_CST);
	len = read(pipe->fd, buf, sizeof(buf) - 1);
	__atomic_store_n(&pipe->reading, false, __ATOMIC_SEQ_CST);
	if (len < 0)
		return -errno;

	buf[len] = '\0';
	for (; (next = strchr(at, '\n')); at = next + 1) {
		long seq;

		*next = '\0';
		if (strstr(at, " EVENTS]"))
			continue;
		seq = line_number(at);
		if (seq < 0) {
			note_torn(pipe, at);
		} else {
			pipe->disorder += seq <= pipe->last;
			pipe->last = seq;
			if (seq < NR_EVENTS)
				pipe->printed[seq]++;
		}
		__atomic_add_fetch(&pipe->lines, 1, __ATOMIC_RELEASE);
	}
	return 0;
}

static void turn(struct pipe *pipe)
{
	bool met = __atomic_load_n(&pipe->reading, __ATOMIC_SEQ_CST);
	struct walk walk = {};
	int ret;

	ret = get_reader(pipe->map->fd);
	if (!ret)
		ret = walk_subbuf(&walk, mapping_reader(pipe->map));
	if (ret)
		pipe->error = ret;
	else if (walk.data && walk.first < NR_EVENTS)
		pipe->mapped[walk.first]++;
	pipe->met += met;
	__atomic_add_fetch(&pipe->turned, 1, __ATOMIC_RELEASE);
}

/*
 * Go round the buffer, and have GET_READER give pages back all the time. In a
 * full buffer the next event goes to the page that was given back. In a short
 * ring the writer can move the head page all the time while a host stops the CPU
 * of the reader, which gives up after three rounds.
 */
static void *turning_writer(void *arg)
{
	struct race *race = arg;

	pin_to_cpu(CPU);
	while (run(race)) {
		for (int i = 0; i < 2; i++) {
			if (!long_marker_write(&race->inst, race->written))
				race->written++;
		}
		if (!race->pipe->writer_only)
			turn(race->pipe);
	}
	return NULL;
}

static void check_lines(struct __test_metadata *_metadata, struct race *race,
			struct mapping *map, bool writer_only)
{
	struct pipe pipe = { .writer_only = writer_only };
	__s64 begin;

	pipe_open(_metadata, race, &pipe, map);
	ASSERT_EQ(pin_to_cpu(OTHER_CPU), 0);
	start(_metadata, race, turning_writer);
	begin = now_ns();
	while (now_ns() < begin + 2000 * MSEC ||
	       ((pipe.lines < 50 || (!writer_only && pipe.met < 50)) &&
		now_ns() < begin + 15000 * MSEC)) {
		int ret = pipe_read(&pipe);

		ASSERT_TRUE(!ret || ret == -EAGAIN);
	}
	stop_threads(race);
	close(pipe.fd);
	TH_LOG("%u lines, %u torn; %u written; GET_READER %u, %u in a read",
	       pipe.lines, pipe.torn, race->written, pipe.turned, pipe.met);
	if (pipe.torn)
		TH_LOG("the first torn: %s", pipe.first_torn);
	EXPECT_EQ(pipe.torn, 0);
	EXPECT_EQ(pipe.disorder, 0);
	EXPECT_EQ(pipe.error, 0);
	EXPECT_GE(pipe.lines, 50);
	EXPECT_GT(race->written, pipe.lines);
	if (!writer_only)
		EXPECT_GE(pipe.met, 50);
}

TEST_F(race, d3_no_line_is_torn)
{
	check_lines(_metadata, &self->race, &self->map, false);
}

/* The control: a writer alone cannot reach the page that is printed from. */
TEST_F(race, control_trace_pipe_beside_writer)
{
	check_lines(_metadata, &self->race, &self->map, true);
}

/* One GET_READER for each line, in the midst of the read, or late. */
static void *turner(void *arg)
{
	struct race *race = arg;
	struct pipe *pipe = race->pipe;

	pin_to_cpu(CPU);
	while (run(race)) {
		bool reading = __atomic_load_n(&pipe->reading,
					       __ATOMIC_SEQ_CST);
		unsigned int lines = __atomic_load_n(&pipe->lines,
						     __ATOMIC_ACQUIRE);
		__s64 begin = now_ns();

		if (pipe->turned >= lines + reading)
			continue;
		while (now_ns() < begin + MSEC / 5)
			;
		turn(pipe);
	}
	return NULL;
}

/* Nobody writes: each event is to go to one of the two consumers. */
static void check_events(struct __test_metadata *_metadata, struct race *race,
			 struct mapping *map, bool at_once)
{
	unsigned int printed = 0, mapped = 0, twice = 0, lost = 0;
	struct pipe pipe = {};
	__s64 begin = now_ns();

	pipe_open(_metadata, race, &pipe, map);
	if (at_once)
		start(_metadata, race, turner);

	/* Once, and again only until they have met often enough. */
	do {
		int ret;

		pause_threads(race);
		pipe.last = -1;
		memset(pipe.printed, 0, sizeof(pipe.printed));
		memset(pipe.mapped, 0, sizeof(pipe.mapped));
		ASSERT_EQ(pin_to_cpu(CPU), 0);
		for (unsigned int i = 0; i < NR_EVENTS; i++)
			ASSERT_EQ(long_marker_write(&race->inst, i), 0);
		ASSERT_EQ(pin_to_cpu(OTHER_CPU), 0);
		resume_threads(race);

		while (!(ret = pipe_read(&pipe))) {
			if (!at_once)
				turn(&pipe);
			/* As often as that. */
			while (__atomic_load_n(&pipe.turned, __ATOMIC_ACQUIRE) <
			       pipe.lines)
				sched_yield();
		}
		pause_threads(race);
		ASSERT_EQ(ret, -EAGAIN);

		/* An empty buffer shows the last one again. */
		for (unsigned int i = 0; i < NR_EVENTS - 1; i++) {
			printed += pipe.printed[i];
			mapped += pipe.mapped[i];
			twice += pipe.printed[i] + pipe.mapped[i] > 1;
			lost += !pipe.printed[i] && !pipe.mapped[i];
		}
	} while (at_once && pipe.met < 20 && now_ns() < begin + 15000 * MSEC);
	stop_threads(race);
	close(pipe.fd);

	TH_LOG("%u printed, %u mapped, %u twice, %u lost; %u times in a read",
	       printed, mapped, twice, lost, pipe.met);
	EXPECT_EQ(twice, 0);
	EXPECT_EQ(lost, 0);
	EXPECT_EQ(pipe.torn, 0);
	EXPECT_EQ(pipe.disorder, 0);
	EXPECT_EQ(pipe.error, 0);
	EXPECT_GE(printed, 20);
	EXPECT_GE(mapped, 20);
	EXPECT_GE(pipe.met, at_once ? 20 : 0);
}

TEST_F(race, d3_each_event_once)
{
	check_events(_metadata, &self->race, &self->map, true);
}

/* The control: both, but not at the same time. */
TEST_F(race, control_each_event_once)
{
	check_events(_metadata, &self->race, &self->map, false);
}

/* D10: a second mmap() does not wait for what the first still waits for ---- */

#define MMAPS	20

/* When the mmap() of each of two processes began and ended. */
struct mmaps {
	__s64	begun;
	__s64	ended[2];
};

/* The second one, by a process of its own: threads share the mmap lock. */
static int map_second(int fd, struct mmaps *mmaps)
{
	void *addr;
	__s64 begun;
	int ret;

	pin_to_cpu(OTHER_CPU);
	while (!(begun = __atomic_load_n(&mmaps->begun, __ATOMIC_SEQ_CST)))
		;
	while (now_ns() < begun + MSEC)
		;
	ret = map_shared(fd, getpagesize(), 0, &addr);
	mmaps->ended[1] = now_ns();
	/* Mapped until the first one is, too. */
	while (!__atomic_load_n(&mmaps->ended[0], __ATOMIC_SEQ_CST))
		sched_yield();
	return ret ? 1 : 0;
}

/*
 * With a buffer to take snapshots into, one may be in flight. Nobody has mapped
 * before the grace period is over that the first of them waits for.
 */
TEST(d10_second_mmap_waits_too)
{
	struct instance inst;
	struct mmaps *mmaps;
	int fds[2], status, early = 0;
	pid_t pid;

	if (!has_cpu(OTHER_CPU))
		SKIP(return, "there is one CPU only");
	mmaps = mmap(NULL, getpagesize(), PROT_READ | PROT_WRITE,
		     MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	ASSERT_NE(mmaps, MAP_FAILED);
	ASSERT_EQ(pin_to_cpu(CPU), 0);
	ASSERT_EQ(instance_create(&inst), 0);
	ASSERT_EQ(instance_write(&inst, "snapshot", "1"), 0);
	for (int i = 0; i < 2; i++) {
		fds[i] = cpu_open(&inst, i, O_RDONLY | O_NONBLOCK);
		ASSERT_GE(fds[i], 0);
	}

	for (int i = 0; i < MMAPS; i++) {
		void *addr;

		memset(mmaps, 0, sizeof(*mmaps));
		pid = fork();
		ASSERT_GE(pid, 0);
		if (!pid)
			_exit(map_second(fds[1], mmaps));

		__atomic_store_n(&mmaps->begun, now_ns(), __ATOMIC_SEQ_CST);
		ASSERT_EQ(map_shared(fds[0], getpagesize(), 0, &addr), 0);
		__atomic_store_n(&mmaps->ended[0], now_ns(), __ATOMIC_SEQ_CST);
		ASSERT_EQ(waitpid(pid, &status, 0), pid);
		ASSERT_EQ(status, 0);
		munmap(addr, getpagesize());
		/*
		 * It began with the first, so it waits about as long. On a busy
		 * machine the first may wake up late, though seldom by as much.
		 */
		early += 2 * (mmaps->ended[1] - mmaps->begun) <
			 mmaps->ended[0] - mmaps->begun;
	}
	TH_LOG("%d of %d times the second was early", early, MMAPS);
	EXPECT_LE(early, MMAPS / 5);
	for (int i = 0; i < 2; i++)
		close(fds[i]);
	munmap(mmaps, getpagesize());
	ASSERT_EQ(instance_destroy(&inst), 0);
}

TEST_HARNESS_MAIN
