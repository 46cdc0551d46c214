// SPDX-License-Identifier: GPL-2.0
/*
 * Who keeps a mapping alive, and what it keeps alive: several processes,
 * descriptors that are closed, instances that are to be removed, CPUs that go
 * and come back.
 */
#include <pthread.h>

#include "mapping.h"

#define CPU		0
#define HOTPLUG_CPU	1
#define NR_SUBBUFS	4
#define ONLINE		"/sys/devices/system/cpu/cpu1/online"

FIXTURE(lifetime) {
	struct instance	inst;
	struct mapping	map;
	int		klog;
	bool		removed;
};

FIXTURE_SETUP(lifetime)
{
	self->map.fd = -1;
	self->removed = false;
	self->klog = klog_open();
	ASSERT_EQ(pin_to_cpu(CPU), 0);
	ASSERT_EQ(instance_create(&self->inst), 0);
	ASSERT_EQ(instance_resize(&self->inst, 0, NR_SUBBUFS), 0);
}

FIXTURE_TEARDOWN(lifetime)
{
	mapping_close(&self->map);
	if (!access(ONLINE, W_OK))
		file_write(ONLINE, "1");
	if (!self->removed)
		EXPECT_EQ(instance_destroy(&self->inst), 0);
	EXPECT_EQ(klog_complaints(self->klog), 0);
	close(self->klog);
}

/* A process that maps, says so, and waits to be told to go. */
struct child {
	pid_t	pid;
	int	from;
	int	to;
};

static int child_start(struct child *child, struct instance *inst, int cpu)
{
	int from[2], to[2];
	char byte;

	if (pipe(from) || pipe(to))
		return -errno;

	child->pid = fork();
	if (child->pid < 0)
		return -errno;
	if (!child->pid) {
		struct walk walk = {};
		struct mapping map;

		close(from[0]);
		close(to[1]);
		if (mapping_open(&map, inst, cpu))
			_exit(1);
		if (write(from[1], "", 1) != 1 || read(to[0], &byte, 1) < 0)
			_exit(2);
		/* It sees what the others see. */
		if (walk_subbuf(&walk, mapping_reader(&map)))
			_exit(3);
		_exit(100 + walk.data);
	}

	close(from[1]);
	close(to[0]);
	child->from = from[0];
	child->to = to[1];
	if (read(child->from, &byte, 1) != 1)
		return -EPIPE;
	return 0;
}

static int child_end(struct child *child)
{
	int status;

	if (write(child->to, "", 1) != 1)
		return -errno;
	close(child->from);
	close(child->to);
	if (waitpid(child->pid, &status, 0) != child->pid)
		return -errno;
	return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

TEST_F(lifetime, two_processes)
{
	struct walk walk = {};
	struct child child;

	ASSERT_EQ(child_start(&child, &self->inst, CPU), 0);
	ASSERT_EQ(mapping_open(&self->map, &self->inst, CPU), 0);
	ASSERT_EQ(markers_write(&self->inst, 0, 7, 8), 0);
	EXPECT_EQ(consume(&self->map, &walk), 7);

	/* The one that mapped first goes first. */
	EXPECT_EQ(child_end(&child), 107);
	EXPECT_RESIZE_BUSY();
	ASSERT_EQ(markers_write(&self->inst, 7, 300, 8), 0);
	ASSERT_EQ(drain(&self->map, &walk), 0);
	EXPECT_EQ(walk.data, 307);
	EXPECT_EQ(walk.gaps, 0);
	mapping_close(&self->map);
	ASSERT_CPU_FREE(CPU);
}

TEST_F(lifetime, last_of_two_processes)
{
	struct child child;
	int fd;

	ASSERT_EQ(mapping_open(&self->map, &self->inst, CPU), 0);
	ASSERT_EQ(child_start(&child, &self->inst, CPU), 0);
	mapping_close(&self->map);

	/* The other one's mapping is the buffer's. */
	EXPECT_RESIZE_BUSY();
	ASSERT_EQ(markers_write(&self->inst, 0, 3, 8), 0);
	fd = cpu_open(&self->inst, CPU, O_RDONLY | O_NONBLOCK);
	ASSERT_GE(fd, 0);
	EXPECT_EQ(get_reader(fd), 0);
	EXPECT_EQ(child_end(&child), 103);
	EXPECT_EQ(get_reader(fd), -ENODEV);
	close(fd);
	ASSERT_CPU_FREE(CPU);
}

TEST_F(lifetime, many_processes)
{
	struct child children[6];

	for (size_t i = 0; i < ARRAY_SIZE(children); i++)
		ASSERT_EQ(child_start(&children[i], &self->inst, CPU), 0);
	for (size_t i = 0; i < ARRAY_SIZE(children); i++) {
		EXPECT_RESIZE_BUSY();
		EXPECT_EQ(child_end(&children[(i * 5) % 6]), 100);
	}
	ASSERT_CPU_FREE(CPU);
}

/* A forked child has the descriptor, not the mapping. */
TEST_F(lifetime, fork_keeps_the_count)
{
	int status;
	pid_t pid;

	ASSERT_EQ(mapping_open(&self->map, &self->inst, CPU), 0);
	for (int i = 0; i < 5; i++) {
		pid = fork();
		ASSERT_GE(pid, 0);
		if (!pid)
			_exit(get_reader(self->map.fd) ? 1 : 0);
		ASSERT_EQ(waitpid(pid, &status, 0), pid);
		EXPECT_EQ(status, 0);
	}
	EXPECT_RESIZE_BUSY();
	EXPECT_EQ(get_reader(self->map.fd), 0);

	/* The parent unmaps while a child lives. */
	pid = fork();
	ASSERT_GE(pid, 0);
	if (!pid) {
		sleep_ms(200);
		_exit(get_reader(self->map.fd) == -ENODEV ? 0 : 1);
	}
	munmap(self->map.data, self->map.data_len);
	munmap(self->map.meta, self->map.meta_len);
	self->map.data = NULL;
	self->map.meta = NULL;
	ASSERT_CPU_FREE(CPU);
	ASSERT_EQ(waitpid(pid, &status, 0), pid);
	EXPECT_EQ(status, 0);
}

static void *exit_holding_map(void *arg)
{
	return NULL;
}

/* Threads share the mapping; the end of one of them means nothing. */
TEST_F(lifetime, thread_exit)
{
	pthread_t thread;

	ASSERT_EQ(mapping_open(&self->map, &self->inst, CPU), 0);
	ASSERT_EQ(pthread_create(&thread, NULL, exit_holding_map, NULL), 0);
	pthread_join(thread, NULL);
	EXPECT_RESIZE_BUSY();
	EXPECT_EQ(get_reader(self->map.fd), 0);
}

TEST_F(lifetime, remove_instance)
{
	struct mapping *map = &self->map;
	struct walk walk = {};

	ASSERT_EQ(mapping_open(map, &self->inst, CPU), 0);
	ASSERT_EQ(markers_write(&self->inst, 0, 9, 8), 0);
	ASSERT_EQ(get_reader(map->fd), 0);

	/* Descriptor and mapping; only the mapping; one of its two parts. */
	EXPECT_EQ(instance_destroy(&self->inst), -EBUSY);
	close(map->fd);
	map->fd = -1;
	EXPECT_EQ(instance_destroy(&self->inst), -EBUSY);
	munmap(map->meta, map->meta_len);
	map->meta = NULL;
	EXPECT_EQ(instance_destroy(&self->inst), -EBUSY);
	EXPECT_EQ(walk_subbuf(&walk, map->data + getpagesize()), 0);
	EXPECT_EQ(walk.data, 9);

	munmap(map->data, map->data_len);
	map->data = NULL;
	EXPECT_EQ(instance_destroy(&self->inst), 0);
	self->removed = true;
}

TEST_F(lifetime, remove_instance_mapped_by_another_process)
{
	struct child child;

	ASSERT_EQ(child_start(&child, &self->inst, CPU), 0);
	EXPECT_EQ(instance_destroy(&self->inst), -EBUSY);
	EXPECT_EQ(child_end(&child), 100);
	EXPECT_EQ(instance_destroy(&self->inst), 0);
	self->removed = true;
}

/* CPUs --------------------------------------------------------------------- */

static int write_on(const struct instance *inst, int cpu, unsigned int nr)
{
	int ret = pin_to_cpu(cpu);

	if (!ret)
		ret = markers_write(inst, 0, nr, 8);
	return ret ? ret : pin_to_cpu(CPU);
}

TEST_F(lifetime, cpu_goes_and_comes_back)
{
	struct walk walk = {};

	if (access(ONLINE, W_OK))
		SKIP(return, "no CPU to take offline");

	ASSERT_EQ(mapping_open(&self->map, &self->inst, HOTPLUG_CPU), 0);
	for (int i = 0; i < 2; i++) {
		ASSERT_EQ(write_on(&self->inst, HOTPLUG_CPU, 600), 0);
		ASSERT_EQ(file_write(ONLINE, "0"), 0);

		/* The events are still there, and the exclusion as well. */
		memset(&walk, 0, sizeof(walk));
		ASSERT_EQ(drain(&self->map, &walk), 0);
		EXPECT_EQ(walk.data, 600);
		EXPECT_EQ(walk.gaps, 0);
		EXPECT_EQ(instance_write_long(&self->inst,
					      "per_cpu/cpu1/buffer_size_kb",
					      100), -EBUSY);
		ASSERT_EQ(file_write(ONLINE, "1"), 0);
		EXPECT_EQ(instance_write_long(&self->inst,
					      "per_cpu/cpu1/buffer_size_kb",
					      100), -EBUSY);
	}
	mapping_close(&self->map);
	ASSERT_CPU_FREE(HOTPLUG_CPU);
}

TEST_F(lifetime, map_while_cpu_is_offline)
{
	struct walk walk = {};

	if (access(ONLINE, W_OK))
		SKIP(return, "no CPU to take offline");

	ASSERT_EQ(write_on(&self->inst, HOTPLUG_CPU, 5), 0);
	ASSERT_EQ(file_write(ONLINE, "0"), 0);
	ASSERT_EQ(mapping_open(&self->map, &self->inst, HOTPLUG_CPU), 0);
	EXPECT_EQ(consume(&self->map, &walk), 5);

	/* Mapped offline, used online, unmapped offline. */
	ASSERT_EQ(file_write(ONLINE, "1"), 0);
	ASSERT_EQ(write_on(&self->inst, HOTPLUG_CPU, 5), 0);
	EXPECT_EQ(consume(&self->map, &walk), 5);
	ASSERT_EQ(file_write(ONLINE, "0"), 0);
	mapping_close(&self->map);
	ASSERT_CPU_FREE(HOTPLUG_CPU);
	ASSERT_EQ(file_write(ONLINE, "1"), 0);
	ASSERT_CPU_FREE(HOTPLUG_CPU);
}

/* A buffer has no part for a CPU that was never there in its time. */
TEST_F(lifetime, b6_cpu_without_buffer)
{
	struct instance inst;
	int fd;

	if (access(ONLINE, W_OK))
		SKIP(return, "no CPU to take offline");

	ASSERT_EQ(file_write(ONLINE, "0"), 0);
	ASSERT_EQ(instance_create(&inst), 0);
	fd = cpu_open(&inst, HOTPLUG_CPU, O_RDONLY | O_NONBLOCK);
	ASSERT_GE(fd, 0);
	EXPECT_EQ(map_shared(fd, getpagesize(), 0, NULL), -EINVAL);
	EXPECT_EQ(get_reader(fd), -EINVAL);
	EXPECT_EQ(instance_write_long(&inst, "buffer_size_kb", 64), 0);

	/* It gets one when it comes. */
	ASSERT_EQ(file_write(ONLINE, "1"), 0);
	EXPECT_EQ(get_reader(fd), -ENODEV);
	EXPECT_EQ(map_shared(fd, getpagesize(), 0, NULL), 0);
	close(fd);
	EXPECT_STREQ(instance_busy(&inst, HOTPLUG_CPU) ?: "free", "free");
	EXPECT_EQ(instance_destroy(&inst), 0);
}

struct mapper {
	struct instance	*inst;
	bool		stop;
	unsigned int	done;
	int		ret;
};

static void *map_and_unmap(void *arg)
{
	struct mapper *mapper = arg;
	struct mapping map;

	while (!__atomic_load_n(&mapper->stop, __ATOMIC_RELAXED)) {
		mapper->ret = mapping_open(&map, mapper->inst, HOTPLUG_CPU);
		if (mapper->ret)
			break;
		mapper->ret = get_reader(map.fd);
		mapping_close(&map);
		if (mapper->ret)
			break;
		__atomic_add_fetch(&mapper->done, 1, __ATOMIC_RELAXED);
	}
	return NULL;
}

TEST_F(lifetime, h13_hotplug_beside_mapping)
{
	struct mapper mapper = { .inst = &self->inst };
	unsigned int before;
	pthread_t thread;

	if (access(ONLINE, W_OK))
		SKIP(return, "no CPU to take offline");

	ASSERT_EQ(pthread_create(&thread, NULL, map_and_unmap, &mapper), 0);
	for (int i = 0; i < 4; i++) {
		before = __atomic_load_n(&mapper.done, __ATOMIC_RELAXED);
		EXPECT_EQ(file_write(ONLINE, i & 1 ? "1" : "0"), 0);
		for (int j = 0; j < 300; j++) {
			if (__atomic_load_n(&mapper.done, __ATOMIC_RELAXED) >
			    before + 2)
				break;
			sleep_ms(10);
		}
	}
	__atomic_store_n(&mapper.stop, true, __ATOMIC_RELAXED);
	pthread_join(thread, NULL);
	EXPECT_EQ(mapper.ret, 0);
	EXPECT_GT(mapper.done, 8);
	ASSERT_CPU_FREE(HOTPLUG_CPU);
}

TEST_HARNESS_MAIN
