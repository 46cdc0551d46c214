// SPDX-License-Identifier: GPL-2.0
/*
 * As defects_test.c, for what takes too long. It needs a machine on which time
 * is executed instructions, as in the emulator.
 *
 * vm: ACCEL=icount TIMEOUT=900
 */
#include "mapping.h"

#define CPU		0
#define ROUNDS		8

/* The least time that GET_READER takes for a sub-buffer full of small events. */
static __s64 full_page(struct __test_metadata *_metadata, int order)
{
	size_t size = getpagesize() << order;
	unsigned int events = (size - SUBBUF_HEADER_SIZE) / marker_event_size(4);
	struct mapping map = { .fd = -1 };
	__s64 start, took, least = -1;
	struct instance inst;

	ASSERT_EQ(instance_create(&inst), 0);
	ASSERT_EQ(instance_resize(&inst, order, ROUNDS + 4), 0);
	ASSERT_EQ(mapping_open(&map, &inst, CPU), 0);
	ASSERT_EQ(markers_write(&inst, 0, (ROUNDS + 1) * events, 4), 0);

	for (int i = 0; i < ROUNDS; i++) {
		start = now_ns();
		ASSERT_EQ(get_reader(map.fd), 0);
		took = now_ns() - start;
		ASSERT_GT(map.meta->reader.read, size / 2);
		if (least < 0 || took < least)
			least = took;
	}
	mapping_close(&map);
	ASSERT_EQ(instance_destroy(&inst), 0);
	return least;
}

/* D8: with interrupts off, GET_READER goes over all the events of a page. */
TEST(d8_cost_is_not_that_of_the_events)
{
	__s64 small, large;

	ASSERT_EQ(pin_to_cpu(CPU), 0);
	small = full_page(_metadata, 0);
	large = full_page(_metadata, 4);
	TH_LOG("a page of 4 KiB: %lld ns, of 64 KiB: %lld ns", small, large);
	EXPECT_LT(large, 2 * small);
}

TEST_HARNESS_MAIN
