// SPDX-License-Identifier: GPL-2.0
/*
 * The rules of a VMA that maps a ring buffer: what is in its first pages,
 * which mappings are refused and with which errno, partial mappings, and what
 * the VMA refuses later (writing, splitting, growing, being inherited).
 */
#include <assert.h>

#include <sys/personality.h>
#include <sys/syscall.h>

#include "mapping.h"

#define CPU		0
#define OTHER_CPU	1
#define NR_SUBBUFS	8

static_assert(sizeof(struct trace_buffer_meta) == 80, "meta size");
static_assert(offsetof(struct trace_buffer_meta, meta_page_size) == 0, "");
static_assert(offsetof(struct trace_buffer_meta, meta_struct_len) == 4, "");
static_assert(offsetof(struct trace_buffer_meta, subbuf_size) == 8, "");
static_assert(offsetof(struct trace_buffer_meta, nr_subbufs) == 12, "");
static_assert(offsetof(struct trace_buffer_meta, reader.lost_events) == 16, "");
static_assert(offsetof(struct trace_buffer_meta, reader.id) == 24, "");
static_assert(offsetof(struct trace_buffer_meta, reader.read) == 28, "");
static_assert(offsetof(struct trace_buffer_meta, flags) == 32, "");
static_assert(offsetof(struct trace_buffer_meta, entries) == 40, "");
static_assert(offsetof(struct trace_buffer_meta, overrun) == 48, "");
static_assert(offsetof(struct trace_buffer_meta, read) == 56, "");
static_assert(offsetof(struct trace_buffer_meta, pages_lost) == 64, "");
static_assert(offsetof(struct trace_buffer_meta, pages_touched) == 72, "");

FIXTURE(vma) {
	struct instance	inst;
	struct mapping	map;
	struct mapping	other;
	int		klog;
	int		fd;
	size_t		page;
	size_t		subbuf;		/* Bytes in a sub-buffer. */
	size_t		all;		/* Bytes in the largest mapping. */
};

FIXTURE_VARIANT(vma) {
	int	order;
};

FIXTURE_VARIANT_ADD(vma, order0) { .order = 0 };
FIXTURE_VARIANT_ADD(vma, order1) { .order = 1 };
FIXTURE_VARIANT_ADD(vma, order3) { .order = 3 };

FIXTURE_SETUP(vma)
{
	self->fd = -1;
	self->map.fd = -1;
	self->other.fd = -1;
	self->klog = klog_open();
	self->page = getpagesize();
	self->subbuf = self->page << variant->order;
	/* The reader's and the meta-page besides. */
	self->all = self->subbuf * (NR_SUBBUFS + 2);

	ASSERT_EQ(pin_to_cpu(CPU), 0);
	ASSERT_EQ(instance_create(&self->inst), 0);
	ASSERT_EQ(instance_resize(&self->inst, variant->order, NR_SUBBUFS), 0);
	self->fd = cpu_open(&self->inst, CPU, O_RDWR | O_NONBLOCK);
	ASSERT_GE(self->fd, 0);
}

FIXTURE_TEARDOWN(vma)
{
	mapping_close(&self->map);
	mapping_close(&self->other);
	close(self->fd);
	EXPECT_EQ(instance_destroy(&self->inst), 0);
	EXPECT_EQ(klog_complaints(self->klog), 0);
	close(self->klog);
}

/*
 * The VMA rules hold whether the buffer has a mapping already or has none. The
 * other CPU's mapping makes many mappings fast: only an instance's first one
 * waits until no snapshot can be on its way.
 */
#define ASSERT_STATE(state) do { \
	if (has_cpu(OTHER_CPU)) { \
		ASSERT_EQ(mapping_open(&self->other, &self->inst, OTHER_CPU), \
			  0); \
	} \
	if (state) \
		ASSERT_EQ(mapping_open(&self->map, &self->inst, CPU), 0); \
} while (0)

/* Whatever was refused, nothing of it is left. */
#define ASSERT_FREE() do { \
	mapping_close(&self->map); \
	mapping_close(&self->other); \
	ASSERT_STREQ(instance_busy(&self->inst, CPU) ?: "free", "free"); \
} while (0)

TEST_F(vma, b1_meta_page)
{
	struct trace_buffer_meta *meta;
	void *addr;
	char *bytes;

	ASSERT_EQ(map_shared(self->fd, self->all, 0, &addr), 0);
	meta = addr;
	EXPECT_EQ(meta->meta_struct_len, sizeof(*meta));
	EXPECT_EQ(meta->meta_page_size, self->subbuf);
	EXPECT_EQ(meta->subbuf_size, self->subbuf);
	EXPECT_EQ(meta->nr_subbufs, NR_SUBBUFS + 1);
	EXPECT_EQ(meta->reader.lost_events, 0);
	EXPECT_EQ(meta->reader.id, 0);
	EXPECT_EQ(meta->reader.read, 0);
	EXPECT_EQ(meta->flags, 0);
	EXPECT_EQ(meta->entries, 0);
	EXPECT_EQ(meta->overrun, 0);
	EXPECT_EQ(meta->read, 0);
	EXPECT_EQ(meta->pages_lost, 0);
	EXPECT_EQ(meta->pages_touched, 0);

	/* Zeroes from the end of the struct to the first sub-buffer. */
	bytes = addr;
	for (size_t i = meta->meta_struct_len; i < self->subbuf; i++) {
		ASSERT_EQ(bytes[i], 0)
			TH_LOG("at %zu", i);
	}

	/* The reader's sub-buffer is the first one, and empty. */
	EXPECT_EQ(subbuf_commit(bytes + self->subbuf), 0);

	/* The next one is where the first marker goes. */
	ASSERT_EQ(marker_write(&self->inst, 0x4711, 8), 0);
	EXPECT_EQ(subbuf_commit(bytes + 2 * self->subbuf),
		  marker_event_size(8));

	munmap(addr, self->all);
}

/* The meta-page tells what was there before the buffer was mapped. */
TEST_F(vma, b1_meta_page_of_used_buffer)
{
	struct trace_buffer_meta *meta;
	void *addr;

	ASSERT_EQ(markers_write(&self->inst, 0, 5, 8), 0);
	ASSERT_EQ(map_shared(self->fd, self->page, 0, &addr), 0);
	meta = addr;
	EXPECT_EQ(meta->entries, 5);
	EXPECT_EQ(meta->read, 0);
	EXPECT_EQ(meta->reader.id, 0);
	EXPECT_EQ(meta->reader.read, 0);
	munmap(addr, self->page);
}

TEST_F(vma, b2_h4_permissions)
{
	size_t len = self->page;

	for (int mapped = 0; mapped < 2; mapped++) {
		ASSERT_STATE(mapped);
		EXPECT_EQ(map_range(self->fd, len, PROT_READ | PROT_WRITE,
				    MAP_SHARED, 0, NULL), -EPERM);
		EXPECT_EQ(map_range(self->fd, len, PROT_WRITE,
				    MAP_SHARED, 0, NULL), -EPERM);
		EXPECT_EQ(map_range(self->fd, len, PROT_READ | PROT_EXEC,
				    MAP_SHARED, 0, NULL), -EPERM);
		EXPECT_EQ(map_range(self->fd, len, PROT_READ,
				    MAP_PRIVATE, 0, NULL), -EPERM);
		EXPECT_EQ(map_range(self->fd, len, PROT_READ | PROT_WRITE,
				    MAP_PRIVATE, 0, NULL), -EPERM);
		EXPECT_EQ(map_range(self->fd, len, PROT_NONE,
				    MAP_PRIVATE, 0, NULL), -EPERM);

		/* Permissions come before bounds. */
		EXPECT_EQ(map_range(self->fd, len, PROT_READ, MAP_PRIVATE,
				    self->all, NULL), -EPERM);

		/* PROT_READ that implies PROT_EXEC. */
		ASSERT_NE(personality(READ_IMPLIES_EXEC), -1);
		EXPECT_EQ(map_shared(self->fd, len, 0, NULL), -EPERM);
		ASSERT_NE(personality(0), -1);

		EXPECT_EQ(map_shared(self->fd, len, 0, NULL), 0);
		ASSERT_FREE();
	}
}

/* A descriptor that cannot write does not get that far. */
TEST_F(vma, b2_permissions_read_only_descriptor)
{
	int fd = cpu_open(&self->inst, CPU, O_RDONLY | O_NONBLOCK);

	ASSERT_GE(fd, 0);
	EXPECT_EQ(map_range(fd, self->page, PROT_READ | PROT_WRITE, MAP_SHARED,
			    0, NULL), -EACCES);
	EXPECT_EQ(map_range(fd, self->page, PROT_READ, MAP_PRIVATE,
			    0, NULL), -EPERM);
	EXPECT_EQ(map_shared(fd, self->page, 0, NULL), 0);
	close(fd);
	ASSERT_FREE();
}

TEST_F(vma, b2_prot_none)
{
	struct trace_buffer_meta *meta;
	void *addr;

	ASSERT_EQ(map_range(self->fd, self->page, PROT_NONE, MAP_SHARED, 0,
			    &addr), 0);
	EXPECT_EQ(instance_resize(&self->inst, variant->order, NR_SUBBUFS + 1),
		  -EBUSY);
	ASSERT_EQ(mprotect(addr, self->page, PROT_READ), 0);
	meta = addr;
	EXPECT_EQ(meta->subbuf_size, self->subbuf);
	munmap(addr, self->page);
	ASSERT_FREE();
}

TEST_F(vma, b2_bounds)
{
	size_t all = self->all, subbuf = self->subbuf, page = self->page;

	for (int mapped = 0; mapped < 2; mapped++) {
		ASSERT_STATE(mapped);

		EXPECT_EQ(map_shared(self->fd, 0, 0, NULL), -EINVAL);

		/* From each sub-buffer to the end, and one page past it. */
		for (size_t off = 0; off < all; off += subbuf) {
			EXPECT_EQ(map_shared(self->fd, all - off, off, NULL), 0)
				TH_LOG("offset %zu", off);
			EXPECT_EQ(map_shared(self->fd, all - off + page, off,
					     NULL), -EINVAL)
				TH_LOG("offset %zu", off);
			EXPECT_EQ(map_shared(self->fd, all - off + subbuf, off,
					     NULL), -EINVAL)
				TH_LOG("offset %zu", off);
		}

		/* Behind the end. */
		for (size_t off = all; off < all + 4 * subbuf; off += page) {
			EXPECT_EQ(map_shared(self->fd, page, off, NULL),
				  -EINVAL) TH_LOG("offset %zu", off);
			EXPECT_EQ(map_shared(self->fd, all, off, NULL),
				  -EINVAL) TH_LOG("offset %zu", off);
		}

		/* Longer than any address space can hold beside the rest. */
		EXPECT_EQ(map_shared(self->fd, 1UL << 32, 0, NULL), -EINVAL);
		ASSERT_FREE();
	}
}

/*
 * Offsets that overflow a sum or a product of pages on the way. Those that a
 * file cannot have are refused before the buffer is asked.
 */
TEST_F(vma, b2_overflowing_offsets)
{
	const off_t step = self->subbuf, end = (1UL << 63) - 2 * step;

	for (int mapped = 0; mapped < 2; mapped++) {
		ASSERT_STATE(mapped);

		for (int bit = 17 + variant->order; bit < 63; bit++) {
			for (int i = -4; i <= 4; i++) {
				off_t off = (1L << bit) + i * step;

				ASSERT_EQ(map_shared(self->fd, self->page, off,
						     NULL), -EINVAL)
					TH_LOG("1 << %d, %d", bit, i);
				ASSERT_EQ(map_shared(self->fd, self->all, off,
						     NULL), -EINVAL)
					TH_LOG("1 << %d, %d", bit, i);
			}
		}

		/* The largest offset, with lengths around the end. */
		EXPECT_EQ(map_shared(self->fd, step, end, NULL), -EINVAL);
		EXPECT_EQ(map_shared(self->fd, self->all, end, NULL),
			  -EOVERFLOW);
		for (int i = 1; i <= 4; i++) {
			EXPECT_EQ(map_shared(self->fd, step, -i * step, NULL),
				  -EOVERFLOW)
				TH_LOG("-%d", i);
		}
		ASSERT_FREE();
	}
}

TEST_F(vma, b2_h11_unaligned_offsets)
{
	for (int mapped = 0; mapped < 2; mapped++) {
		ASSERT_STATE(mapped);
		for (size_t off = self->page; off < self->all;
		     off += self->page) {
			int ret = map_shared(self->fd, self->page, off, NULL);

			EXPECT_EQ(ret, off % self->subbuf ? -EINVAL : 0)
				TH_LOG("offset %zu", off);
		}
		ASSERT_FREE();
	}
}

/* The first sub-buffer follows one sub-buffer of meta-page, not one page. */
TEST_F(vma, h11_meta_page_alignment)
{
	void *all, *first, *one_page;

	ASSERT_EQ(markers_write(&self->inst, 0, 20, 8), 0);
	ASSERT_EQ(map_shared(self->fd, self->all, 0, &all), 0);
	ASSERT_EQ(map_shared(self->fd, self->subbuf, 2 * self->subbuf, &first),
		  0);
	EXPECT_EQ(subbuf_commit(first), 20 * marker_event_size(8));
	EXPECT_EQ(memcmp(all + 2 * self->subbuf, first, self->subbuf), 0);

	/* A mapping may end in the padding, and shows the struct all the same. */
	for (size_t len = self->page; len <= self->subbuf; len += self->page) {
		ASSERT_EQ(map_shared(self->fd, len, 0, &one_page), 0);
		EXPECT_EQ(memcmp(all, one_page, len), 0);
		munmap(one_page, len);
	}
	munmap(first, self->subbuf);
	munmap(all, self->all);
}

TEST_F(vma, b3_partial_mappings)
{
	size_t n = self->all / self->subbuf;
	void *part[NR_SUBBUFS + 2], *all;
	struct walk walk = {};

	/* Large events: each sub-buffer has content of its own. */
	ASSERT_EQ(markers_write(&self->inst, 0,
				4 * NR_SUBBUFS << variant->order, 1000), 0);
	ASSERT_EQ(map_shared(self->fd, self->all, 0, &all), 0);
	ASSERT_EQ(get_reader(self->fd), 0);

	/* One mapping for each sub-buffer, all there at once. */
	for (size_t s = 0; s < n; s++) {
		ASSERT_EQ(map_shared(self->fd, self->subbuf, s * self->subbuf,
				     &part[s]), 0);
		EXPECT_EQ(memcmp(part[s], all + s * self->subbuf,
				 self->subbuf), 0) TH_LOG("sub-buffer %zu", s);
		if (s)
			EXPECT_EQ(walk_subbuf(&walk, part[s]), 0);
	}
	EXPECT_GT(walk.data, (3 * NR_SUBBUFS) << variant->order);

	/* Each start with each shorter length. */
	for (size_t s = 0; s < n; s++) {
		size_t off = s * self->subbuf;

		for (size_t len = self->page; len <= self->all - off;
		     len += variant->order == 3 ? 5 * self->page : self->page) {
			void *map;

			ASSERT_EQ(map_shared(self->fd, len, off, &map), 0);
			ASSERT_EQ(memcmp(map, all + off, len), 0)
				TH_LOG("offset %zu, %zu bytes", off, len);
			munmap(map, len);
		}
	}

	/* New events are seen through all of them. */
	ASSERT_EQ(markers_write(&self->inst, 0x1000, 20, 1000), 0);
	ASSERT_EQ(get_reader(self->fd), 0);
	for (size_t s = 0; s < n; s++) {
		EXPECT_EQ(memcmp(part[s], all + s * self->subbuf,
				 self->subbuf), 0) TH_LOG("sub-buffer %zu", s);
	}

	/* Each one counts, to the last. */
	munmap(all, self->all);
	for (size_t s = 0; s < n; s++) {
		EXPECT_EQ(instance_resize(&self->inst, variant->order,
					  NR_SUBBUFS + 1), -EBUSY);
		EXPECT_EQ(get_reader(self->fd), 0);
		munmap(part[s], self->subbuf);
	}
	ASSERT_FREE();
}

/* The line of smaps with the flags of the VMA at that address. */
static int vma_flags(void *addr, char *flags, size_t size)
{
	char line[512], start[32];
	bool here = false;
	int ret = -ENOENT;
	FILE *f;

	f = fopen("/proc/self/smaps", "r");
	if (!f)
		return -errno;

	snprintf(start, sizeof(start), "%lx-", (unsigned long)addr);
	while (fgets(line, sizeof(line), f)) {
		if (!strncmp(line, start, strlen(start))) {
			here = true;
		} else if (here && !strncmp(line, "VmFlags:", 8)) {
			snprintf(flags, size, "%s", line + 8);
			ret = 0;
			break;
		}
	}
	fclose(f);
	return ret;
}

TEST_F(vma, b4_smaps_flags)
{
	char flags[512];
	void *addr;

	if (access("/proc/self/smaps", R_OK))
		SKIP(return, "no smaps (CONFIG_PROC_PAGE_MONITOR)");

	ASSERT_EQ(map_shared(self->fd, self->all, 0, &addr), 0);
	ASSERT_EQ(vma_flags(addr, flags, sizeof(flags)), 0);
	EXPECT_NE(strstr(flags, " rd"), NULL) TH_LOG("%s", flags);
	EXPECT_NE(strstr(flags, " dc"), NULL) TH_LOG("%s", flags);
	EXPECT_NE(strstr(flags, " de"), NULL) TH_LOG("%s", flags);
	EXPECT_NE(strstr(flags, " dd"), NULL) TH_LOG("%s", flags);
	EXPECT_NE(strstr(flags, " ms"), NULL) TH_LOG("%s", flags);
	EXPECT_NE(strstr(flags, " mm"), NULL) TH_LOG("%s", flags);
	EXPECT_EQ(strstr(flags, " wr"), NULL) TH_LOG("%s", flags);
	EXPECT_EQ(strstr(flags, " mw"), NULL) TH_LOG("%s", flags);
	EXPECT_EQ(strstr(flags, " ex"), NULL) TH_LOG("%s", flags);
	munmap(addr, self->all);
}

/* What the flags mean, seen from outside: readable, and never more. */
TEST_F(vma, b4_no_write_later)
{
	char line[512], start[32], perms[8] = "";
	void *addr;
	FILE *f;

	ASSERT_EQ(map_shared(self->fd, self->all, 0, &addr), 0);

	EXPECT_EQ(mprotect(addr, self->all, PROT_READ | PROT_WRITE), -1);
	EXPECT_EQ(errno, EACCES);
	EXPECT_EQ(mprotect(addr, self->all, PROT_WRITE), -1);
	EXPECT_EQ(errno, EACCES);
	EXPECT_EQ(mprotect(addr, self->page, PROT_READ | PROT_WRITE), -1);

	snprintf(start, sizeof(start), "%lx-", (unsigned long)addr);
	f = fopen("/proc/self/maps", "r");
	ASSERT_NE(f, NULL);
	while (fgets(line, sizeof(line), f)) {
		if (!strncmp(line, start, strlen(start)))
			sscanf(line, "%*s %7s", perms);
	}
	fclose(f);
	EXPECT_STREQ(perms, "r--s");

	/* Dumping cannot be asked for. */
	EXPECT_EQ(madvise(addr, self->all, MADV_DODUMP), -1);
	EXPECT_EQ(errno, EINVAL);
	munmap(addr, self->all);
}

TEST_F(vma, b4_no_growth)
{
	void *addr, *moved;

	/* All of it, and a part with more behind it. */
	for (size_t len = self->subbuf; len <= self->all;
	     len += self->all - self->subbuf) {
		ASSERT_EQ(map_shared(self->fd, len, 0, &addr), 0);
		moved = mremap(addr, len, len + self->page, MREMAP_MAYMOVE);
		EXPECT_EQ(moved, MAP_FAILED);
		EXPECT_EQ(errno, EFAULT);
		moved = mremap(addr, len, len + self->page, 0);
		EXPECT_EQ(moved, MAP_FAILED);
		EXPECT_EQ(errno, EFAULT);

		/* Two views of one mapping. */
		moved = mremap(addr, len, len, MREMAP_MAYMOVE |
			       MREMAP_DONTUNMAP, NULL);
		EXPECT_EQ(moved, MAP_FAILED);
		EXPECT_EQ(errno, EINVAL);
		moved = mremap(addr, 0, len, MREMAP_MAYMOVE);
		EXPECT_EQ(moved, MAP_FAILED);
		munmap(addr, len);
	}
	ASSERT_FREE();
}

TEST_F(vma, b4_not_inherited)
{
	unsigned char vec[8 * (NR_SUBBUFS + 2)];
	int status;
	void *addr;
	pid_t pid;

	ASSERT_EQ(map_shared(self->fd, self->all, 0, &addr), 0);
	ASSERT_EQ(mincore(addr, self->all, vec), 0);

	pid = fork();
	ASSERT_GE(pid, 0);
	if (!pid) {
		int ret = mincore(addr, self->all, vec);

		_exit(ret == -1 && errno == ENOMEM ? 0 : 1);
	}
	ASSERT_EQ(waitpid(pid, &status, 0), pid);
	EXPECT_EQ(status, 0);

	/* The child's exit took nothing away. */
	EXPECT_EQ(get_reader(self->fd), 0);
	EXPECT_EQ(instance_resize(&self->inst, variant->order, NR_SUBBUFS + 1),
		  -EBUSY);
	munmap(addr, self->all);
	ASSERT_FREE();
}

#define EXPECT_SPLIT_REFUSED(call) do { \
	errno = 0; \
	EXPECT_EQ((long)(call), -1); \
	EXPECT_EQ(errno, EINVAL); \
} while (0)

TEST_F(vma, b4_h5_no_split)
{
	size_t page = self->page, all = self->all, half = all / 2;
	struct trace_buffer_meta *meta;
	void *addr, *elsewhere;

	half -= half % page;
	ASSERT_EQ(map_shared(self->fd, all, 0, &addr), 0);
	elsewhere = mmap(NULL, all, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1,
			 0);
	ASSERT_NE(elsewhere, MAP_FAILED);

	/* The front, the back, and a page in the middle. */
	const struct {
		size_t off, len;
	} parts[] = {
		{ 0, page }, { 0, half }, { half, all - half },
		{ all - page, page }, { half, page },
	};

	for (size_t i = 0; i < ARRAY_SIZE(parts); i++) {
		void *at = addr + parts[i].off;
		size_t len = parts[i].len;

		EXPECT_SPLIT_REFUSED(munmap(at, len));
		EXPECT_SPLIT_REFUSED(mprotect(at, len, PROT_NONE));
		EXPECT_SPLIT_REFUSED(mmap(at, len, PROT_READ, MAP_FIXED |
					  MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
		EXPECT_SPLIT_REFUSED(mmap(at, len, PROT_READ, MAP_FIXED |
					  MAP_SHARED, self->fd, 0));
		EXPECT_SPLIT_REFUSED(madvise(at, len, MADV_RANDOM));
		EXPECT_SPLIT_REFUSED(mremap(at, len, len, MREMAP_MAYMOVE |
					    MREMAP_FIXED, elsewhere));
	}
	/* Shrinking is a split as well. */
	EXPECT_SPLIT_REFUSED(mremap(addr, all, page, 0));
	EXPECT_SPLIT_REFUSED(mremap(addr, all, all - page, MREMAP_MAYMOVE));

	/* All is as it was. */
	meta = addr;
	EXPECT_EQ(meta->subbuf_size, self->subbuf);
	ASSERT_EQ(marker_write(&self->inst, 1, 8), 0);
	EXPECT_EQ(get_reader(self->fd), 0);
	EXPECT_EQ(meta->read, 1);
	EXPECT_EQ(meta->reader.id, 1);
	for (size_t off = 0; off < all; off += page)
		__atomic_load_n((char *)addr + off, __ATOMIC_RELAXED);
	EXPECT_EQ(instance_resize(&self->inst, variant->order, NR_SUBBUFS + 1),
		  -EBUSY);

	munmap(elsewhere, all);
	EXPECT_EQ(munmap(addr, all), 0);
	ASSERT_FREE();
}

/* Replacing the whole of it is an unmap. */
TEST_F(vma, h5_map_fixed_over_all)
{
	void *addr, *over;

	ASSERT_EQ(map_shared(self->fd, self->all, 0, &addr), 0);
	over = mmap(addr, self->all, PROT_READ, MAP_FIXED | MAP_SHARED,
		    self->fd, 0);
	ASSERT_EQ(over, addr);
	EXPECT_EQ(get_reader(self->fd), 0);
	over = mmap(addr, self->all, PROT_READ, MAP_FIXED | MAP_PRIVATE |
		    MAP_ANONYMOUS, -1, 0);
	ASSERT_EQ(over, addr);
	EXPECT_EQ(get_reader(self->fd), -ENODEV);
	munmap(addr, self->all);
	ASSERT_FREE();
}

/* A refused mapping may not take the place of one that is there. */
TEST_F(vma, h5_map_fixed_refused_over_all)
{
	void *addr, *over;

	ASSERT_EQ(map_shared(self->fd, self->all, 0, &addr), 0);
	over = mmap(addr, self->all, PROT_READ, MAP_FIXED | MAP_SHARED,
		    self->fd, self->all);
	EXPECT_EQ(over, MAP_FAILED);
	EXPECT_EQ(errno, EINVAL);
	munmap(addr, self->all);
	ASSERT_FREE();
}

TEST_F(vma, h1_small_buffer_large_offset)
{
	size_t page = self->page;

	ASSERT_EQ(instance_resize(&self->inst, 0, 2), 0);
	for (int mapped = 0; mapped < 2; mapped++) {
		ASSERT_STATE(mapped);
		/* The meta-page, the reader's and two: four pages. */
		for (int off = 4; off < 12; off++) {
			EXPECT_EQ(map_shared(self->fd, page, off * page, NULL),
				  -EINVAL) TH_LOG("offset %d", off);
		}
		EXPECT_EQ(map_shared(self->fd, page, 3 * page, NULL), 0);
		mapping_close(&self->map);
		mapping_close(&self->other);
	}
	EXPECT_EQ(instance_resize(&self->inst, 0, 4), 0);
}

TEST_F(vma, h6_dofork)
{
	int status, allowed;
	void *addr;
	pid_t pid;

	ASSERT_EQ(map_shared(self->fd, self->all, 0, &addr), 0);
	allowed = !madvise(addr, self->all, MADV_DOFORK);
	if (!allowed)
		EXPECT_EQ(errno, EINVAL);

	for (int i = 0; i < 3; i++) {
		pid = fork();
		ASSERT_GE(pid, 0);
		if (!pid)
			_exit(get_reader(self->fd) ? 1 : 0);
		ASSERT_EQ(waitpid(pid, &status, 0), pid);
		EXPECT_EQ(status, 0);
		EXPECT_EQ(instance_resize(&self->inst, variant->order,
					  NR_SUBBUFS + 1), -EBUSY);
	}

	/* A child that outlives the parent's mapping. */
	pid = fork();
	ASSERT_GE(pid, 0);
	if (!pid) {
		sleep_ms(100);
		_exit(0);
	}
	munmap(addr, self->all);
	EXPECT_EQ(get_reader(self->fd), allowed ? 0 : -ENODEV);
	ASSERT_EQ(waitpid(pid, &status, 0), pid);
	EXPECT_EQ(klog_complaints(self->klog), 0);
	ASSERT_FREE();
}

TEST_HARNESS_MAIN
