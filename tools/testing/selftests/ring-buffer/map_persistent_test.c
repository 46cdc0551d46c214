// SPDX-License-Identifier: GPL-2.0
/*
 * Instances whose buffer is in memory reserved at boot: the one in labelled
 * memory maps, the one at a fixed address and the backup of one do not. Removing
 * an instance gives its memory back, unless a pipe has a part of it (D23).
 *
 * vm: MEM=1024 APPEND="reserve_mem=20M:2M:trace trace_instance=boot_mapped@trace reserve_mem=4M:2M:free trace_instance=boot_free@free reserve_mem=4M:2M:piped trace_instance=boot_piped@piped trace_instance=boot_backup=boot_mapped memmap=8M!0x30000000 trace_instance=boot_fixed@0x30000000:8M"
 */
#include <sys/uio.h>

#include "mapping.h"

#define CPU	0

FIXTURE(persistent) {
	struct instance	inst;
	struct mapping	map;
	int		klog;
};

FIXTURE_SETUP(persistent)
{
	self->map.fd = -1;
	self->inst.raw_fd = -1;
	self->klog = klog_open();
	ASSERT_EQ(pin_to_cpu(CPU), 0);
	if (access(TRACEFS "/instances/boot_mapped", F_OK))
		SKIP(return, "not booted with an instance in reserve_mem=");
	ASSERT_EQ(instance_attach(&self->inst, "boot_mapped"), 0);
	ASSERT_EQ(instance_write(&self->inst, "trace_clock", "counter"), 0);
	ASSERT_EQ(instance_reset(&self->inst), 0);
}

FIXTURE_TEARDOWN(persistent)
{
	mapping_close(&self->map);
	instance_detach(&self->inst);
	EXPECT_EQ(klog_complaints(self->klog), 0);
	close(self->klog);
}

TEST_F(persistent, b6_h3_maps)
{
	struct trace_buffer_meta *meta;
	size_t page = getpagesize();

	ASSERT_EQ(mapping_open(&self->map, &self->inst, CPU), 0);
	meta = self->map.meta;
	EXPECT_EQ(meta->meta_struct_len, sizeof(*meta));
	EXPECT_EQ(meta->subbuf_size, page);
	EXPECT_EQ(meta->meta_page_size, page);
	EXPECT_GT(meta->nr_subbufs, 8);
	EXPECT_LT(meta->reader.id, meta->nr_subbufs);
	EXPECT_EQ(meta->flags, 0);
	for (unsigned int id = 0; id < meta->nr_subbufs; id++) {
		ASSERT_EQ(subbuf_commit(mapping_subbuf(&self->map, id)), 0)
			TH_LOG("sub-buffer %u", id);
	}
}

/* The same rules as for any other buffer. */
TEST_F(persistent, b6_errors)
{
	size_t page = getpagesize(), end;
	int fd = cpu_open(&self->inst, CPU, O_RDWR | O_NONBLOCK);

	ASSERT_GE(fd, 0);
	EXPECT_EQ(get_reader(fd), -ENODEV);
	ASSERT_EQ(mapping_open(&self->map, &self->inst, CPU), 0);
	end = (self->map.meta->nr_subbufs + 1) * page;
	mapping_close(&self->map);

	EXPECT_EQ(map_range(fd, page, PROT_READ | PROT_WRITE, MAP_SHARED, 0,
			    NULL), -EPERM);
	EXPECT_EQ(map_range(fd, page, PROT_READ, MAP_PRIVATE, 0, NULL), -EPERM);
	EXPECT_EQ(map_shared(fd, page, end, NULL), -EINVAL);
	EXPECT_EQ(map_shared(fd, end + page, 0, NULL), -EINVAL);
	EXPECT_EQ(map_shared(fd, end, 0, NULL), 0);
	EXPECT_EQ(get_reader(fd), -ENODEV);
	close(fd);
}

/*
 * Sub-buffers keep the identifiers that their place in memory gives them, in
 * each mapping; the pages that GET_READER names hold the events.
 */
TEST_F(persistent, b6_identifiers_follow_the_memory)
{
	unsigned int per_page = (getpagesize() - SUBBUF_HEADER_SIZE) /
				marker_event_size(1000);
	struct walk walk = {};
	unsigned int seq = 0;
	__u32 id = 0;

	for (int i = 0; i < 6; i++) {
		ASSERT_EQ(mapping_open(&self->map, &self->inst, CPU), 0);
		/* Not 0 again: the page that was named last. */
		if (i)
			EXPECT_EQ(self->map.meta->reader.id, id);
		ASSERT_EQ(markers_write(&self->inst, seq, 2 * per_page + 1,
					1000), 0);
		seq += 2 * per_page + 1;
		ASSERT_EQ(drain(&self->map, &walk), 0);
		EXPECT_EQ(walk.data, seq);
		EXPECT_EQ(walk.gaps, 0);
		id = self->map.meta->reader.id;
		EXPECT_GT(id, 0);
		mapping_close(&self->map);
	}
}

/* Losses are marked as on the pages of any other buffer. */
TEST_F(persistent, b7_losses_are_marked)
{
	unsigned int nr;

	ASSERT_EQ(mapping_open(&self->map, &self->inst, CPU), 0);
	nr = 2 * self->map.meta->nr_subbufs * getpagesize() /
	     marker_event_size(1000);
	ASSERT_EQ(markers_write(&self->inst, 0, nr, 1000), 0);
	ASSERT_EQ(get_reader(self->map.fd), 0);
	ASSERT_GT(self->map.meta->overrun, 0);
	EXPECT_EQ(subbuf_commit(mapping_reader(&self->map)) & COMMIT_LOST,
		  COMMIT_LOST);
	/* Nothing is lost before the next page. */
	ASSERT_EQ(get_reader(self->map.fd), 0);
	EXPECT_EQ(subbuf_commit(mapping_reader(&self->map)) & COMMIT_LOST, 0);
}

/* The whole buffer, each sub-buffer in the place that a lone map shows. */
TEST_F(persistent, b6_all_round)
{
	unsigned int nr, per_page = (getpagesize() - SUBBUF_HEADER_SIZE) /
				    marker_event_size(1000);
	size_t page = getpagesize();
	struct walk walk = {};
	void *one;

	ASSERT_EQ(mapping_open(&self->map, &self->inst, CPU), 0);
	nr = self->map.meta->nr_subbufs;
	for (unsigned int i = 0; i < nr + 3; i++) {
		__u32 id;

		ASSERT_EQ(markers_write(&self->inst, i * per_page, per_page,
					1000), 0);
		ASSERT_EQ(drain(&self->map, &walk), 0);
		ASSERT_EQ(walk.data, (i + 1) * per_page);
		if (i % 97)
			continue;
		id = self->map.meta->reader.id;
		ASSERT_EQ(map_shared(self->map.fd, page, (id + 1) * page, &one),
			  0);
		EXPECT_EQ(memcmp(one, mapping_reader(&self->map), page), 0);
		munmap(one, page);
	}
	EXPECT_EQ(walk.gaps, 0);
	EXPECT_EQ(self->map.meta->overrun, 0);
}

/* read() beside the mapping copies, and both take turns. */
TEST_F(persistent, b6_read_beside)
{
	size_t size = getpagesize();
	unsigned int per_page = (size - SUBBUF_HEADER_SIZE) /
				marker_event_size(1000);
	char *page = malloc(size);
	struct walk walk = {};

	ASSERT_EQ(mapping_open(&self->map, &self->inst, CPU), 0);
	ASSERT_EQ(markers_write(&self->inst, 0, 4 * per_page, 1000), 0);
	for (int i = 0; i < 2; i++) {
		ASSERT_EQ(read(self->map.fd, page, size), size);
		EXPECT_EQ(walk_subbuf(&walk, page), 0);
		for (int j = 0; j < 3 && walk.data < (2 * i + 2) * per_page; j++)
			ASSERT_GE(consume(&self->map, &walk), 0);
	}
	EXPECT_EQ(walk.data, 4 * per_page);
	EXPECT_EQ(walk.gaps, 0);
	free(page);
}

TEST_F(persistent, b6_reset)
{
	struct walk walk = {};

	ASSERT_EQ(mapping_open(&self->map, &self->inst, CPU), 0);
	ASSERT_EQ(markers_write(&self->inst, 0, 50, 1000), 0);
	ASSERT_EQ(drain(&self->map, &walk), 0);
	ASSERT_EQ(instance_reset(&self->inst), 0);
	EXPECT_EQ(self->map.meta->entries, 0);
	EXPECT_EQ(self->map.meta->read, 0);
	EXPECT_EQ(self->map.meta->reader.read, 0);
	memset(&walk, 0, sizeof(walk));
	ASSERT_EQ(markers_write(&self->inst, 900, 50, 1000), 0);
	ASSERT_EQ(drain(&self->map, &walk), 0);
	EXPECT_EQ(walk.first, 900);
	EXPECT_EQ(walk.data, 50);
}

static void check_no_device(struct __test_metadata *_metadata, const char *name)
{
	struct instance inst;
	int fd;

	snprintf(inst.dir, sizeof(inst.dir), TRACEFS "/instances/%s", name);
	fd = cpu_open(&inst, CPU, O_RDWR | O_NONBLOCK);
	ASSERT_GE(fd, 0);
	EXPECT_EQ(map_shared(fd, getpagesize(), 0, NULL), -ENODEV);
	EXPECT_EQ(map_shared(fd, getpagesize(), getpagesize(), NULL), -ENODEV);
	/* Before any other reason to refuse. */
	EXPECT_EQ(map_range(fd, getpagesize(), PROT_READ, MAP_PRIVATE, 0, NULL),
		  -ENODEV);
	EXPECT_EQ(get_reader(fd), -ENODEV);
	close(fd);
}

TEST_F(persistent, b6_fixed_address)
{
	if (access(TRACEFS "/instances/boot_fixed", F_OK))
		SKIP(return, "not booted with an instance at a fixed address");
	check_no_device(_metadata, "boot_fixed");
}

TEST_F(persistent, b6_backup)
{
	if (access(TRACEFS "/instances/boot_backup", F_OK))
		SKIP(return, "not booted with a backup instance");
	check_no_device(_metadata, "boot_backup");
}

/* Removal ------------------------------------------------------------------ */

#define REMOVED_KB	4096

static long mem_total_kb(void)
{
	FILE *file = fopen("/proc/meminfo", "r");
	long kb = -1;

	if (!file)
		return -1;
	if (fscanf(file, "MemTotal: %ld kB", &kb) != 1)
		kb = -1;
	fclose(file);
	return kb;
}

FIXTURE(removed) {
	struct instance	inst;
	struct mapping	map;
	int		pipe[2];
	int		klog;
};

FIXTURE_VARIANT(removed) {
	const char	*name;
	bool		piped;
};

FIXTURE_VARIANT_ADD(removed, control) {
	.name = "boot_free",
};

FIXTURE_VARIANT_ADD(removed, in_a_pipe) {
	.name = "boot_piped",
	.piped = true,
};

FIXTURE_SETUP(removed)
{
	char path[256];

	self->map.fd = -1;
	self->inst.raw_fd = -1;
	self->klog = klog_open();
	ASSERT_EQ(pipe(self->pipe), 0);
	ASSERT_EQ(pin_to_cpu(CPU), 0);
	snprintf(path, sizeof(path), TRACEFS "/instances/%s", variant->name);
	if (access(path, F_OK))
		SKIP(return, "not booted with %s", variant->name);
	ASSERT_EQ(instance_attach(&self->inst, variant->name), 0);
	ASSERT_EQ(instance_reset(&self->inst), 0);
}

FIXTURE_TEARDOWN(removed)
{
	mapping_close(&self->map);
	instance_detach(&self->inst);
	close(self->pipe[0]);
	close(self->pipe[1]);
	EXPECT_EQ(klog_complaints(self->klog), 0);
	close(self->klog);
}

/*
 * The pipe shows the page as it was, and the memory stays reserved. Without a
 * pipe it becomes free memory.
 */
TEST_F(removed, d23_memory_is_freed_unless_referenced)
{
	char before[4096], after[sizeof(before)];
	struct iovec page = { .iov_len = sizeof(before) };
	long total;

	ASSERT_EQ(mapping_open(&self->map, &self->inst, CPU), 0);
	ASSERT_EQ(markers_write(&self->inst, 0, 20, 1000), 0);
	ASSERT_EQ(get_reader(self->map.fd), 0);
	page.iov_base = (void *)mapping_reader(&self->map);
	memcpy(before, page.iov_base, sizeof(before));
	if (variant->piped)
		ASSERT_EQ(vmsplice(self->pipe[1], &page, 1, 0), sizeof(before));
	mapping_close(&self->map);

	total = mem_total_kb();
	ASSERT_GT(total, 0);
	ASSERT_EQ(instance_destroy(&self->inst), 0);
	if (!variant->piped) {
		EXPECT_EQ(mem_total_kb(), total + REMOVED_KB);
		return;
	}
	EXPECT_EQ(mem_total_kb(), total);
	ASSERT_EQ(read(self->pipe[0], after, sizeof(after)), sizeof(after));
	EXPECT_EQ(memcmp(before, after, sizeof(before)), 0);
}

TEST_HARNESS_MAIN
