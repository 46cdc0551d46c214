// SPDX-License-Identifier: GPL-2.0
/*
 * As defects_test.c, for what takes too much memory in one piece.
 */
#include "mapping.h"

#define CPU		0
#define BUFFER_KB	65536

/*
 * What is hard to find in fragmented memory, asked for by who would rather
 * reclaim some than do without: 0x400 is __GFP_DIRECT_RECLAIM. vmalloc() takes
 * such a piece only if there is one.
 */
#define CONTIGUOUS	"order > 3 && gfp_flags & 0x400"

FIXTURE(memory) {
	struct instance	inst;
	struct instance	watch;
	struct mapping	map;
	int		klog;
};

FIXTURE_SETUP(memory)
{
	char filter[128];

	self->map.fd = -1;
	self->klog = klog_open();
	ASSERT_EQ(pin_to_cpu(CPU), 0);
	ASSERT_EQ(instance_create(&self->inst), 0);
	/* What the kernel does for this process, counted in an instance beside. */
	ASSERT_EQ(instance_create(&self->watch), 0);
	snprintf(filter, sizeof(filter), "common_pid == %d && " CONTIGUOUS,
		 getpid());
	ASSERT_EQ(instance_write(&self->watch, "events/kmem/mm_page_alloc/filter",
				 filter), 0);
	ASSERT_EQ(instance_write(&self->watch, "events/kmem/mm_page_alloc/enable",
				 "1"), 0);
}

FIXTURE_TEARDOWN(memory)
{
	mapping_close(&self->map);
	EXPECT_EQ(instance_destroy(&self->watch), 0);
	EXPECT_EQ(instance_destroy(&self->inst), 0);
	EXPECT_EQ(klog_complaints(self->klog), 0);
	close(self->klog);
}

static __s64 allocations(const struct instance *watch)
{
	struct stats stats;

	return stats_read(watch, CPU, &stats) ? -EIO : (__s64)stats.entries;
}

/* D9: what a mapping allocates grows with the buffer, in one piece. */
TEST_F_TIMEOUT(memory, d9_no_contiguous_memory, 120)
{
	__s64 before;
	int pipes[2];

	ASSERT_EQ(instance_write_long(&self->inst, "per_cpu/cpu0/buffer_size_kb",
				      BUFFER_KB), 0);

	/* An array for as many pages as the buffer has is seen. */
	before = allocations(&self->watch);
	ASSERT_EQ(pipe(pipes), 0);
	ASSERT_GT(fcntl(pipes[1], F_SETPIPE_SZ, BUFFER_KB * 1024), 0);
	EXPECT_EQ(allocations(&self->watch), before + 1);

	before = allocations(&self->watch);
	ASSERT_EQ(mapping_open(&self->map, &self->inst, CPU), 0);
	EXPECT_EQ(allocations(&self->watch), before);
	EXPECT_GT(self->map.data_len, BUFFER_KB * 1024);

	mapping_close(&self->map);

	close(pipes[0]);
	close(pipes[1]);
	/* What follows resizes it to several times its size. */
	ASSERT_EQ(instance_resize(&self->inst, 0, 32), 0);
	EXPECT_STREQ(instance_busy(&self->inst, CPU) ?: "free", "free");
}

TEST_HARNESS_MAIN
