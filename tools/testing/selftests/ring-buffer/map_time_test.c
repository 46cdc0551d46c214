// SPDX-License-Identifier: GPL-2.0
/*
 * The time of the events that GET_READER leaves on the page. An event's header
 * has only what passed since the event before, so the next reader depends on
 * the time at which the last one stopped.
 */
#include "mapping.h"

#define CPU		0
#define NR_SUBBUFS	8

FIXTURE(time) {
	struct instance	inst;
	struct mapping	map;
	int		pipe;
};

FIXTURE_VARIANT(time) {
	/* How often GET_READER is called, and for how many events each time. */
	int	rounds;
	int	nr;
};

FIXTURE_VARIANT_ADD(time, page_begun) { .rounds = 1, .nr = 3 };
FIXTURE_VARIANT_ADD(time, page_continued) { .rounds = 3, .nr = 3 };
/* More than the kernel walks at a time, if it has to walk. */
FIXTURE_VARIANT_ADD(time, many_events) { .rounds = 1, .nr = 180 };

FIXTURE_SETUP(time)
{
	char path[256];

	self->map.fd = -1;
	ASSERT_EQ(pin_to_cpu(CPU), 0);
	ASSERT_EQ(instance_create(&self->inst), 0);
	ASSERT_EQ(instance_resize(&self->inst, 0, NR_SUBBUFS), 0);
	ASSERT_EQ(mapping_open(&self->map, &self->inst, CPU), 0);

	instance_path(&self->inst, "per_cpu/cpu0/trace_pipe", path,
		      sizeof(path));
	self->pipe = open(path, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
	ASSERT_GE(self->pipe, 0);
}

FIXTURE_TEARDOWN(time)
{
	close(self->pipe);
	mapping_close(&self->map);
	EXPECT_EQ(instance_destroy(&self->inst), 0);
}

/* The time of the nth data event of a sub-buffer that has no other events. */
static unsigned long long time_of(const char *subbuf, int nth)
{
	const struct subbuf_header *header = (const void *)subbuf;
	const char *data = subbuf + SUBBUF_HEADER_SIZE;
	unsigned long long time = header->time_stamp;

	for (int i = 0; i <= nth; i++) {
		struct event_header event;

		memcpy(&event, data, sizeof(event));
		time += event.time_delta;
		data += 4 + 4 * event.type_len;
	}
	return time;
}

TEST_F(time, goes_on_where_get_reader_stopped)
{
	int written = variant->rounds * variant->nr;
	char line[4096], *at;
	struct walk walk = {};
	ssize_t len;

	for (int i = 0; i < variant->rounds; i++) {
		ASSERT_EQ(markers_write(&self->inst, i * variant->nr,
					variant->nr, 8), 0);
		ASSERT_EQ(consume(&self->map, &walk), variant->nr);
	}
	ASSERT_EQ(markers_write(&self->inst, written, 1, 8), 0);
	ASSERT_EQ(walk.extends + walk.stamps + walk.padding, 0);

	/* "task-1 [000] ..... 17: # 3 buf: ...": the clock counts. */
	len = read(self->pipe, line, sizeof(line) - 1);
	ASSERT_GT(len, 0);
	line[len] = '\0';
	at = strstr(line, ": # ");
	ASSERT_NE(at, NULL);
	EXPECT_EQ(strtol(at + 4, NULL, 16), written);
	while (at > line && at[-1] != ' ')
		at--;
	EXPECT_EQ(strtoull(at, NULL, 10),
		  time_of(mapping_reader(&self->map), written));
}

TEST_HARNESS_MAIN
