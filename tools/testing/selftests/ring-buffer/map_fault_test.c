// SPDX-License-Identifier: GPL-2.0
/*
 * Each allocation of mmap() fails in turn: it says ENOMEM, leaves the buffer as
 * it was, and keeps no memory.
 *
 * vm: CONFIG=debug APPEND=page_owner=on
 */
#include "fault.h"

#define CPU		0
/* How often each allocation fails: a lost page counts as often. */
#define ROUNDS		20

FIXTURE(fault) {
	struct instance	inst;
	struct mapping	map;
	size_t		page;
	size_t		len;		/* Of the meta-page and the data. */
	int		faults;
	int		klog;
	int		fd;
	unsigned int	failed;		/* Rounds in which mmap() failed. */
};

FIXTURE_VARIANT(fault) {
	int	nr_subbufs;
};

FIXTURE_VARIANT_ADD(fault, small) { .nr_subbufs = 8 };
/* The table of ids has several parts, which are a page each. */
FIXTURE_VARIANT_ADD(fault, large) { .nr_subbufs = 1200 };

FIXTURE_SETUP(fault)
{
	self->map.fd = -1;
	self->klog = klog_open();
	self->page = getpagesize();
	self->faults = faults_open();
	if (self->faults < 0)
		SKIP(return, "no faults to inject (CONFIG_FAULT_INJECTION)");
	ASSERT_EQ(pin_to_cpu(CPU), 0);
	ASSERT_EQ(instance_create(&self->inst), 0);
	ASSERT_EQ(instance_resize(&self->inst, 0, variant->nr_subbufs), 0);
	self->len = (variant->nr_subbufs + 2) * self->page;
	self->fd = cpu_open(&self->inst, CPU, O_RDONLY | O_NONBLOCK);
	ASSERT_GE(self->fd, 0);
}

FIXTURE_TEARDOWN(fault)
{
	if (self->faults < 0)
		return;
	mapping_close(&self->map);
	close(self->fd);
	EXPECT_EQ(instance_destroy(&self->inst), 0);
	EXPECT_EQ(klog_complaints(self->klog), 0);
	close(self->faults);
	close(self->klog);
}

/* The buffer can be mapped, and what is written arrives. */
static void check_works(struct __test_metadata *_metadata,
			FIXTURE_DATA(fault) *self)
{
	struct walk walk = {};

	ASSERT_EQ(mapping_open(&self->map, &self->inst, CPU), 0);
	ASSERT_EQ(markers_write(&self->inst, 0, 10, 100), 0);
	EXPECT_EQ(drain(&self->map, &walk), 0);
	EXPECT_EQ(walk.data, 10);
	EXPECT_EQ(walk.gaps, 0);
	mapping_close(&self->map);
	EXPECT_EQ(get_reader(self->fd), -ENODEV);
}

/* One mmap() whose n-th allocation fails. Returns whether there was one. */
static int map_failing(struct __test_metadata *_metadata,
		       FIXTURE_DATA(fault) *self, size_t len, unsigned int n)
{
	void *addr;
	int ret, hit;

	ASSERT_EQ(faults_start(self->faults, n), 0);
	ret = map_shared(self->fd, len, 0, &addr);
	hit = faults_stop(self->faults);
	ASSERT_GE(hit, 0);

	if (ret) {
		EXPECT_EQ(ret, -ENOMEM);
		EXPECT_EQ(hit, 1);
		self->failed++;
	} else {
		/* Some allocations can be done without. */
		EXPECT_EQ(munmap(addr, len), 0);
	}
	return hit;
}

/*
 * All allocations of mmap(), until there are no more of them. With another
 * mapping, the buffer must still be mapped after each.
 */
static void fail_each(struct __test_metadata *_metadata,
		      FIXTURE_DATA(fault) *self, size_t len, bool mapped)
{
	long pages = mapping_pages();
	int hits = 1;

	for (unsigned int n = 1; hits; n++) {
		ASSERT_LT(n, 500);
		hits = 0;
		if (mapped)
			ASSERT_EQ(mapping_open(&self->map, &self->inst, CPU), 0);
		for (int i = 0; i < ROUNDS; i++) {
			hits += map_failing(_metadata, self, len, n);
			ASSERT_EQ(get_reader(self->fd), mapped ? 0 : -ENODEV)
				TH_LOG("allocation %u", n);
		}
		if (mapped)
			mapping_close(&self->map);
		check_works(_metadata, self);
	}
	EXPECT_LT(mapping_pages() - pages, ROUNDS);
	/* What resizing and snapshots are excluded by is given back, too. */
	EXPECT_STREQ(instance_busy(&self->inst, CPU) ?: "free", "free");
}

/*
 * The VMA, the meta-page and the table of ids. In a few rounds the n-th is another
 * one, that can be done without.
 */
TEST_F_TIMEOUT(fault, map_one_page, 600)
{
	fail_each(_metadata, self, self->page, false);
	EXPECT_GT(self->failed, 2 * ROUNDS);
}

/* Page tables for a large buffer, too. */
TEST_F_TIMEOUT(fault, map_all, 600)
{
	fail_each(_metadata, self, self->len, false);
	EXPECT_GT(self->failed, 2 * ROUNDS);
}

/* The VMA, and its place in the tree: there is a meta-page and a table already. */
TEST_F_TIMEOUT(fault, map_once_more, 600)
{
	fail_each(_metadata, self, self->len, true);
	EXPECT_GT(self->failed, ROUNDS);
}

/* One page of those that all of the above may have lost is seen. */
TEST_F(fault, pages_are_seen)
{
	long pages = mapping_pages();

	ASSERT_GE(pages, 0) TH_LOG("no " PAGE_OWNER " (page_owner=on)");
	ASSERT_EQ(mapping_open(&self->map, &self->inst, CPU), 0);
	EXPECT_GT(mapping_pages(), pages);
}

FIXTURE(leaks) {};

FIXTURE_SETUP(leaks)
{
	if (access(KMEMLEAK, F_OK))
		SKIP(return, "no kmemleak (CONFIG_DEBUG_KMEMLEAK)");
}

FIXTURE_TEARDOWN(leaks) {}

/* Of all the cases before. */
TEST_F_TIMEOUT(leaks, no_memory_is_lost, 600)
{
	static char report[8192];

	EXPECT_EQ(mapping_leaks(report, sizeof(report)), 0)
		TH_LOG("%s", report);
}

TEST_HARNESS_MAIN
