// SPDX-License-Identifier: GPL-2.0
/*
 * Each allocation of mremap() fails in turn. That is beside map_fault_test, since
 * C gives the exclusion of snapshots up whenever a mapping is moved (D1).
 *
 * vm: CONFIG=debug APPEND=page_owner=on
 */
#include "fault.h"

#define CPU		0
/* Page tables for a move are allocated more than once. */
#define NR_SUBBUFS	1200
#define ROUNDS		20

FIXTURE(fault) {
	struct instance	inst;
	int		faults;
	int		klog;
	int		fd;
};

FIXTURE_SETUP(fault)
{
	self->klog = klog_open();
	self->faults = faults_open();
	if (self->faults < 0)
		SKIP(return, "no faults to inject (CONFIG_FAULT_INJECTION)");
	ASSERT_EQ(pin_to_cpu(CPU), 0);
	ASSERT_EQ(instance_create(&self->inst), 0);
	ASSERT_EQ(instance_resize(&self->inst, 0, NR_SUBBUFS), 0);
	self->fd = cpu_open(&self->inst, CPU, O_RDONLY | O_NONBLOCK);
	ASSERT_GE(self->fd, 0);
}

FIXTURE_TEARDOWN(fault)
{
	if (self->faults < 0)
		return;
	close(self->fd);
	/* An instance whose buffer is wedged stays, as it may oops. */
	if (instance_busy(&self->inst, CPU))
		instance_detach(&self->inst);
	else
		EXPECT_EQ(instance_destroy(&self->inst), 0);
	EXPECT_EQ(klog_complaints(self->klog), 0);
	close(self->faults);
	close(self->klog);
}

/* One mremap() whose n-th allocation fails. Returns whether there was one. */
static int move_failing(struct __test_metadata *_metadata,
			FIXTURE_DATA(fault) *self, void **addr, size_t len,
			unsigned int n, unsigned int *failed)
{
	void *to, *moved;
	int error, hit;

	to = mmap(NULL, len, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	ASSERT_NE(to, MAP_FAILED);
	ASSERT_EQ(faults_start(self->faults, n), 0);
	moved = mremap(*addr, len, len, MREMAP_MAYMOVE | MREMAP_FIXED, to);
	error = errno;
	hit = faults_stop(self->faults);
	ASSERT_GE(hit, 0);

	if (moved == MAP_FAILED) {
		EXPECT_EQ(error, ENOMEM);
		EXPECT_EQ(hit, 1);
		munmap(to, len);
		++*failed;
	} else {
		*addr = moved;
	}
	return hit;
}

/* What was moved before the failure is moved back, and the copy closed. */
TEST_F_TIMEOUT(fault, d1_mremap_that_fails, 600)
{
	size_t page = getpagesize(), len = (NR_SUBBUFS + 2) * page;
	long pages = mapping_pages();
	unsigned int failed = 0;
	int hits = 1;

	ASSERT_GE(pages, 0) TH_LOG("no " PAGE_OWNER " (page_owner=on)");
	for (unsigned int n = 1; hits; n++) {
		struct trace_buffer_meta *meta;
		void *addr;

		ASSERT_LT(n, 500);
		ASSERT_EQ(map_shared(self->fd, len, 0, &addr), 0);
		hits = 0;
		for (int i = 0; i < ROUNDS; i++) {
			hits += move_failing(_metadata, self, &addr, len, n,
					     &failed);
			/* All of it is there, from the first to the last page. */
			meta = addr;
			ASSERT_EQ(meta->nr_subbufs, NR_SUBBUFS + 1);
			ASSERT_EQ(subbuf_commit(addr + len - page), 0);
			ASSERT_EQ(get_reader(self->fd), 0);
			ASSERT_EQ(instance_write(&self->inst, "snapshot", "1"),
				  -EBUSY) TH_LOG("allocation %u", n);
		}
		EXPECT_EQ(munmap(addr, len), 0);
		ASSERT_EQ(get_reader(self->fd), -ENODEV);
	}
	/* The VMA, its place in the tree, page tables. */
	EXPECT_GT(failed, 2 * ROUNDS);
	EXPECT_LT(mapping_pages() - pages, ROUNDS);
	EXPECT_STREQ(instance_busy(&self->inst, CPU) ?: "free", "free");
}

TEST_HARNESS_MAIN
