// SPDX-License-Identifier: GPL-2.0
/*
 * The calls of libtracefs, in its order: two mappings for each CPU, the reader
 * page taken from the meta-page before the first GET_READER, and the descriptor
 * closed before both are unmapped. rtla does all of it once per poll.
 */
#include "mapping.h"

#define CPU		0
#define NR_SUBBUFS	8
#define MAX_CPUS	16

FIXTURE(libtracefs) {
	struct instance	inst;
	int		klog;
};

FIXTURE_VARIANT(libtracefs) {
	int	order;
};

FIXTURE_VARIANT_ADD(libtracefs, order_0) {
	.order = 0,
};

FIXTURE_VARIANT_ADD(libtracefs, order_2) {
	.order = 2,
};

FIXTURE_SETUP(libtracefs)
{
	self->klog = klog_open();
	ASSERT_EQ(pin_to_cpu(CPU), 0);
	ASSERT_EQ(instance_create(&self->inst), 0);
	ASSERT_EQ(instance_resize(&self->inst, variant->order, NR_SUBBUFS), 0);
}

FIXTURE_TEARDOWN(libtracefs)
{
	EXPECT_EQ(instance_destroy(&self->inst), 0);
	EXPECT_EQ(klog_complaints(self->klog), 0);
	close(self->klog);
}

/* What one CPU's reader keeps: the page it looks at, and what it has seen. */
struct client {
	struct mapping	map;
	char		*page;
	size_t		pos;
};

static size_t commit_size(const char *subbuf)
{
	return subbuf_commit(subbuf) & COMMIT_SIZE_MASK;
}

static int client_open(struct client *client, const struct instance *inst,
		       int cpu)
{
	int ret = mapping_open(&client->map, inst, cpu);

	if (ret)
		return ret;

	client->page = mapping_reader(&client->map);
	client->pos = client->map.meta->reader.read;
	return 0;
}

static int client_close_fd(struct client *client)
{
	int ret = close(client->map.fd) ? -errno : 0;

	client->map.fd = -1;
	return ret;
}

static void client_close(struct client *client)
{
	client_close_fd(client);
	mapping_close(&client->map);
}

/* Only what GET_READER leaves the same is the end of the events. */
static int client_load(struct client *client)
{
	int ret;

	if (commit_size(client->page) > client->pos)
		return 1;

	ret = get_reader(client->map.fd);
	if (ret)
		return ret;
	if (mapping_reader(&client->map) == client->page)
		return commit_size(client->page) > client->pos;

	client->page = mapping_reader(&client->map);
	client->pos = 0;
	return 1;
}

static int client_drain(struct client *client, struct walk *walk)
{
	unsigned int rounds = 2 * client->map.meta->nr_subbufs + 2;
	int idle = 0, ret;

	/* The first may only finish the current page. */
	while (idle < 2) {
		if (!rounds--)
			return -ELOOP;
		ret = client_load(client);
		if (ret < 0)
			return ret;
		idle = ret ? 0 : idle + 1;
		if (!ret)
			continue;
		ret = walk_from(walk, client->page, client->pos);
		if (ret)
			return ret;
		client->pos = commit_size(client->page);
	}

	return 0;
}

/* As many markers of that payload as fill so many sub-buffers. */
static unsigned int markers_in(const struct client *client, int pages)
{
	return pages * client->map.meta->subbuf_size / marker_event_size(16);
}

TEST_F(libtracefs, reader_page_before_get_reader)
{
	struct client client;
	struct walk walk = {};

	ASSERT_EQ(markers_write(&self->inst, 0, 1, 16), 0);
	ASSERT_EQ(client_open(&client, &self->inst, CPU), 0);
	EXPECT_EQ(client.map.meta->meta_page_size, getpagesize() << variant->order);
	EXPECT_LT(client.map.meta->reader.id, client.map.meta->nr_subbufs);
	EXPECT_EQ(client.map.meta->reader.read, 0);

	ASSERT_EQ(client_drain(&client, &walk), 0);
	EXPECT_EQ(walk.data, 1);
	EXPECT_EQ(walk.first, 0);
	client_close(&client);

	/* The next mapping begins where this one ended. */
	ASSERT_EQ(markers_write(&self->inst, 1, 2, 16), 0);
	ASSERT_EQ(client_open(&client, &self->inst, CPU), 0);
	EXPECT_EQ(client.map.meta->reader.read, marker_event_size(16));
	EXPECT_EQ(commit_size(client.page), 3 * marker_event_size(16));
	walk = (struct walk) {};
	ASSERT_EQ(walk_from(&walk, client.page, client.pos), 0);
	EXPECT_EQ(walk.data, 2);
	EXPECT_EQ(walk.first, 1);
	EXPECT_EQ(walk.gaps, 0);
	client_close(&client);
	ASSERT_CPU_FREE(CPU);
}

TEST_F(libtracefs, close_before_munmap)
{
	struct walk walk = {}, again = {};
	struct client client;
	unsigned int nr;

	ASSERT_EQ(client_open(&client, &self->inst, CPU), 0);
	nr = markers_in(&client, NR_SUBBUFS / 2);
	ASSERT_EQ(markers_write(&self->inst, 0, nr, 16), 0);
	ASSERT_EQ(client_drain(&client, &walk), 0);
	EXPECT_EQ(walk.data, nr);
	EXPECT_EQ(walk.first, 0);
	EXPECT_EQ(walk.gaps, 0);
	ASSERT_EQ(client_close_fd(&client), 0);

	/* The mappings are the buffer's, and show what is written. */
	EXPECT_RESIZE_BUSY();
	EXPECT_EQ(rmdir(self->inst.dir) ? -errno : 0, -EBUSY);
	ASSERT_EQ(markers_write(&self->inst, nr, 1, 16), 0);
	ASSERT_EQ(walk_subbuf(&again, client.page), 0);
	EXPECT_EQ(again.last, nr);
	EXPECT_EQ(again.gaps, 0);

	/* Of two, one is enough. */
	ASSERT_EQ(munmap(client.map.data, client.map.data_len), 0);
	EXPECT_RESIZE_BUSY();
	EXPECT_EQ(client.map.meta->nr_subbufs,
		  client.map.data_len / client.map.meta->subbuf_size);
	ASSERT_EQ(munmap(client.map.meta, client.map.meta_len), 0);
	ASSERT_CPU_FREE(CPU);
}

/* As rtla: all CPUs, each poll with mappings of its own. */
TEST_F(libtracefs, map_at_each_poll)
{
	int nr_cpus = sysconf(_SC_NPROCESSORS_ONLN);
	struct client clients[MAX_CPUS];
	struct walk walks[MAX_CPUS] = {};
	unsigned int written = 0;

	if (nr_cpus > MAX_CPUS)
		nr_cpus = MAX_CPUS;

	for (int poll = 0; poll < 20; poll++) {
		/* From one event to half of the buffer. */
		unsigned int nr = 1 + poll * (getpagesize() << variant->order) /
				  marker_event_size(16) / 5;

		for (int cpu = 0; cpu < nr_cpus; cpu++) {
			ASSERT_EQ(pin_to_cpu(cpu), 0);
			ASSERT_EQ(markers_write(&self->inst, written, nr, 16), 0);
		}
		written += nr;

		for (int cpu = 0; cpu < nr_cpus; cpu++)
			ASSERT_EQ(client_open(&clients[cpu], &self->inst, cpu), 0);
		for (int cpu = 0; cpu < nr_cpus; cpu++)
			ASSERT_EQ(client_drain(&clients[cpu], &walks[cpu]), 0);
		EXPECT_RESIZE_BUSY();
		for (int cpu = 0; cpu < nr_cpus; cpu++)
			client_close(&clients[cpu]);

		for (int cpu = 0; cpu < nr_cpus; cpu++) {
			ASSERT_EQ(walks[cpu].data, written);
			ASSERT_EQ(walks[cpu].first, 0);
			ASSERT_EQ(walks[cpu].gaps, 0);
		}
	}

	ASSERT_EQ(pin_to_cpu(CPU), 0);
	for (int cpu = 0; cpu < nr_cpus; cpu++)
		ASSERT_CPU_FREE(cpu);
}

TEST_HARNESS_MAIN
