// SPDX-License-Identifier: GPL-2.0
/*
 * Reads the mapped buffers by means of libtracefs alone, in each way it has.
 *
 *   reader nonblock|block|map|iterate|overrun KIB      that is a sub-buffer's size
 *   reader beside COMMAND...     run it while the top-level buffers are mapped
 *   reader mark NUMBER           so many markers into them, on each CPU
 *
 * The markers of each CPU are numbered: each has to come once and in order, or
 * be reported as lost. Prints what came; fails if that is not so.
 */
#include <err.h>
#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <sys/wait.h>

#include <event-parse.h>
#include <kbuffer.h>
#include <tracefs.h>

#define MAX_CPUS	16
#define MARKERS		20000
#define ROUNDS		5

/* In front of a raw marker's data: the common fields of each event. */
#define COMMON_SIZE	8

/* Leaves room on the page for the number of lost events. */
struct marker {
	uint32_t	id;
	uint32_t	seq;
	uint32_t	pad[2];
};

struct cpu {
	struct tracefs_cpu	*tcpu;
	uint32_t		next;
	unsigned long		events;
	unsigned long		lost;
	unsigned long		reports;
	unsigned long		disorder;
	pthread_t		thread;
};

static struct tracefs_instance *inst;
static struct cpu cpus[MAX_CPUS];
static int nr_cpus;
static bool nonblock;
static bool written;

static void pin(int cpu)
{
	cpu_set_t set;

	CPU_ZERO(&set);
	CPU_SET(cpu, &set);
	if (sched_setaffinity(0, sizeof(set), &set))
		err(1, "cpu%d", cpu);
}

static void set(const char *file, const char *value)
{
	if (tracefs_instance_file_write(inst, file, value) < 0)
		err(1, "%s", file);
}

/* A mapping forbids what needs the buffer for itself. */
static bool is_free(void)
{
	return tracefs_instance_file_write(inst, "buffer_subbuf_size_kb", "64") >= 0;
}

static void mark(int cpu, uint32_t first, uint32_t nr)
{
	struct marker marker = { .id = 1 };

	pin(cpu);
	for (marker.seq = first; marker.seq < first + nr; marker.seq++) {
		if (tracefs_binary_write(inst, &marker, sizeof(marker)))
			err(1, "trace_marker_raw");
	}
}

static void see(struct cpu *cpu, const void *data, long long missed)
{
	const struct marker *marker = data + COMMON_SIZE;

	if (missed > 0) {
		cpu->lost += missed;
		cpu->next += missed;
		cpu->reports++;
	}
	/* The number is not always known. */
	if (missed < 0 && marker->seq > cpu->next) {
		cpu->lost += marker->seq - cpu->next;
		cpu->next = marker->seq;
		cpu->reports++;
	}
	if (marker->seq != cpu->next)
		cpu->disorder++;
	cpu->next = marker->seq + 1;
	cpu->events++;
}

/* The rest of a sub-buffer. */
static void see_all(struct cpu *cpu, struct kbuffer *kbuf)
{
	unsigned long long ts;
	void *data;

	while ((data = kbuffer_read_event(kbuf, &ts))) {
		see(cpu, data, kbuffer_missed_events(kbuf));
		kbuffer_next_event(kbuf, NULL);
	}
}

/* The first that finds nothing may only have finished the page. */
static void read_rest(struct cpu *cpu)
{
	struct kbuffer *kbuf;
	int idle = 0;

	while (idle < 2) {
		kbuf = tracefs_cpu_read_buf(cpu->tcpu, true);
		idle = kbuf ? 0 : idle + 1;
		if (kbuf)
			see_all(cpu, kbuf);
	}
}

static void check_mapped(int i)
{
	if (!tracefs_cpu_is_mapped(cpus[i].tcpu))
		errx(1, "cpu%d: libtracefs did not map it", i);
	if (is_free())
		errx(1, "cpu%d: the kernel did not map it", i);
}

static void open_mapped(int i)
{
	cpus[i].tcpu = tracefs_cpu_open_mapped(inst, i, nonblock);
	if (!cpus[i].tcpu)
		err(1, "cpu%d: tracefs_cpu_open_mapped", i);
	check_mapped(i);
}

static void close_mapped(int i)
{
	tracefs_cpu_close(cpus[i].tcpu);
	cpus[i].tcpu = NULL;
}

/* While the writers write. */
static void *live(void *arg)
{
	struct cpu *cpu = arg;
	struct kbuffer *kbuf;

	while (!__atomic_load_n(&written, __ATOMIC_ACQUIRE)) {
		kbuf = tracefs_cpu_read_buf(cpu->tcpu, nonblock);
		if (kbuf)
			see_all(cpu, kbuf);
		else
			sched_yield();
	}
	read_rest(cpu);
	return NULL;
}

static void read_live(void)
{
	pid_t pids[MAX_CPUS];
	int status;

	for (int i = 0; i < nr_cpus; i++) {
		open_mapped(i);
		if (pthread_create(&cpus[i].thread, NULL, live, &cpus[i]))
			errx(1, "pthread_create");
	}
	for (int i = 0; i < nr_cpus; i++) {
		pids[i] = fork();
		if (pids[i] < 0)
			err(1, "fork");
		if (!pids[i]) {
			mark(i, 0, MARKERS);
			_exit(0);
		}
	}
	for (int i = 0; i < nr_cpus; i++) {
		if (waitpid(pids[i], &status, 0) < 0 || status)
			errx(1, "cpu%d: the writer failed", i);
	}
	__atomic_store_n(&written, true, __ATOMIC_RELEASE);
	for (int i = 0; i < nr_cpus; i++) {
		if (!nonblock)
			tracefs_cpu_stop(cpus[i].tcpu);
		pthread_join(cpus[i].thread, NULL);
		close_mapped(i);
	}
}

/*
 * Read first, mapped in the middle of a page, and closed as that: libtracefs
 * 1.8.1 crashes when it reads after its tracefs_cpu_unmap().
 */
static void read_map(void)
{
	uint32_t half = MARKERS / ROUNDS / 2;

	for (int round = 0; round < 2 * ROUNDS; round++) {
		for (int i = 0; i < nr_cpus; i++) {
			mark(i, round * half, half);
			if (round % 2) {
				if (tracefs_cpu_map(cpus[i].tcpu))
					err(1, "cpu%d: tracefs_cpu_map", i);
				check_mapped(i);
			} else {
				cpus[i].tcpu = tracefs_cpu_open(inst, i, true);
				if (!cpus[i].tcpu)
					err(1, "cpu%d: tracefs_cpu_open", i);
			}
			read_rest(&cpus[i]);
			if (round % 2)
				close_mapped(i);
		}
	}
}

static int iterated(struct tep_event *event, struct tep_record *record, int cpu,
		    void *first)
{
	if (*(bool *)first && is_free())
		errx(1, "cpu%d: the kernel did not map it", cpu);
	*(bool *)first = false;
	see(&cpus[cpu], record->data, record->missed_events);
	return 0;
}

/*
 * Maps and unmaps each CPU in each round. Nothing is written meanwhile: what
 * comes between the last look of libtracefs at a page and its last GET_READER
 * is read, and not shown.
 */
static void read_iterate(void)
{
	static const char * const systems[] = { "ftrace", NULL };
	struct tep_handle *tep;

	tep = tracefs_local_events_system(NULL, systems);
	if (!tep)
		err(1, "tracefs_local_events_system");

	for (int round = 0; round < ROUNDS; round++) {
		bool first = true;

		for (int i = 0; i < nr_cpus; i++)
			mark(i, round * (MARKERS / ROUNDS), MARKERS / ROUNDS);
		if (tracefs_iterate_raw_events(tep, inst, NULL, 0, iterated, &first))
			err(1, "tracefs_iterate_raw_events");
	}
	tep_free(tep);
}

/* More than there is room for, before and while it is mapped. */
static void read_overrun(void)
{
	set("buffer_size_kb", "64");
	for (int i = 0; i < nr_cpus; i++) {
		mark(i, 0, MARKERS / 2);
		open_mapped(i);
		read_rest(&cpus[i]);
		mark(i, MARKERS / 2, MARKERS / 2);
		read_rest(&cpus[i]);
		close_mapped(i);
		if (!cpus[i].lost)
			errx(1, "cpu%d: nothing was lost", i);
	}
}

static int report(const char *subbuf, const char *mode, bool losses)
{
	int ret = 0;

	for (int i = 0; i < nr_cpus; i++) {
		const struct cpu *cpu = &cpus[i];

		printf("= %s KiB, %s: cpu%d: %lu events, %lu lost in %lu gaps, %lu not in order\n",
		       subbuf, mode, i, cpu->events, cpu->lost, cpu->reports, cpu->disorder);
		if (cpu->disorder || cpu->next != MARKERS ||
		    cpu->events + cpu->lost != MARKERS || (cpu->lost && !losses))
			ret = 1;
	}
	return ret;
}

static int run(char **command)
{
	int status;
	pid_t pid;

	for (int i = 0; i < nr_cpus; i++)
		open_mapped(i);
	pid = fork();
	if (pid < 0)
		err(1, "fork");
	if (!pid) {
		execvp(command[0], command);
		err(127, "%s", command[0]);
	}
	if (waitpid(pid, &status, 0) < 0)
		err(1, "waitpid");
	if (is_free())
		errx(1, "the mapping did not last");
	for (int i = 0; i < nr_cpus; i++)
		close_mapped(i);
	return WIFEXITED(status) ? WEXITSTATUS(status) : 1;
}

static void mark_text(uint32_t nr)
{
	for (int i = 0; i < nr_cpus; i++) {
		pin(i);
		for (uint32_t seq = 0; seq < nr; seq++) {
			if (tracefs_printf(NULL, "marker %d %u\n", i, seq) < 0)
				err(1, "trace_marker");
		}
	}
}

int main(int argc, char **argv)
{
	const char *mode = argc > 1 ? argv[1] : "";
	bool overrun = !strcmp(mode, "overrun");
	int ret;

	nr_cpus = sysconf(_SC_NPROCESSORS_ONLN);
	if (nr_cpus > MAX_CPUS)
		nr_cpus = MAX_CPUS;
	nonblock = strcmp(mode, "block");
	if (!strcmp(mode, "beside") && argc > 2)
		return run(argv + 2);
	if (!strcmp(mode, "mark") && argc == 3) {
		mark_text(atoi(argv[2]));
		return 0;
	}

	if (argc != 3)
		errx(2, "see reader.c");
	inst = tracefs_instance_create("reader");
	if (!inst)
		err(1, "tracefs_instance_create");
	set("buffer_subbuf_size_kb", argv[2]);
	/* A clock that counts: the same layout each time. */
	set("trace_clock", "counter");
	/* All that is written has room, and more than half of it is in use. */
	set("buffer_size_kb", "800");

	if (!strcmp(mode, "nonblock") || !strcmp(mode, "block"))
		read_live();
	else if (!strcmp(mode, "map"))
		read_map();
	else if (!strcmp(mode, "iterate"))
		read_iterate();
	else if (overrun)
		read_overrun();
	else
		errx(2, "%s: unknown", mode);

	ret = report(argv[2], mode, overrun);
	if (!is_free())
		errx(1, "the buffer is still mapped");
	tracefs_instance_destroy(inst);
	tracefs_instance_free(inst);
	return ret;
}
