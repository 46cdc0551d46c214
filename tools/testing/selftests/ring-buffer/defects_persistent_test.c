// SPDX-License-Identifier: GPL-2.0
/*
 * As defects_test.c, for an instance in memory that is kept across a boot.
 *
 * vm: APPEND="reserve_mem=2M:2M:trace trace_instance=boot_mapped@trace"
 */
#include "mapping.h"

#define CPU		0
#define PAYLOAD		1000

/*
 * D6: GET_READER writes on the page that events were lost before it. The next
 * boot takes a page with that mark for a corrupt one.
 */
TEST(d6_pages_stay_valid)
{
	unsigned int per_page = (getpagesize() - SUBBUF_HEADER_SIZE) /
				marker_event_size(PAYLOAD);
	struct instance inst = { .raw_fd = -1 };
	struct mapping map = { .fd = -1 };
	unsigned long commit;
	unsigned int nr;

	ASSERT_EQ(pin_to_cpu(CPU), 0);
	if (access(TRACEFS "/instances/boot_mapped", F_OK))
		SKIP(return, "not booted with an instance in reserve_mem=");
	ASSERT_EQ(instance_attach(&inst, "boot_mapped"), 0);
	ASSERT_EQ(instance_write(&inst, "trace_clock", "counter"), 0);
	ASSERT_EQ(instance_reset(&inst), 0);
	ASSERT_EQ(mapping_open(&map, &inst, CPU), 0);

	/* Some rounds, so that each page is overwritten. */
	nr = map.meta->nr_subbufs * per_page;
	ASSERT_EQ(markers_write(&inst, 0, 2 * nr, PAYLOAD), 0);
	for (unsigned int i = 0; i < map.meta->nr_subbufs; i++) {
		ASSERT_EQ(get_reader(map.fd), 0);
		commit = subbuf_commit(mapping_reader(&map));
		EXPECT_GT(commit & COMMIT_SIZE_MASK, 0);
		ASSERT_EQ(commit & ~COMMIT_SIZE_MASK, 0)
			TH_LOG("page %u: commit %lx", i, commit);
	}
	ASSERT_GT(map.meta->overrun, 0);
	mapping_close(&map);
	instance_detach(&inst);
}

TEST_HARNESS_MAIN
