// SPDX-License-Identifier: GPL-2.0
/*
 * As defects_test.c, for what one boot leaves in a persistent instance, and the
 * next one finds there. Run it in two boots on the same memory. The last case
 * writes the events; the others read those of the previous boot, and are skipped
 * in the first. The last case also prints the addresses of two pages, which must
 * be damaged between the boots.
 *
 * vm: SUITE=two_boots SMP=4 APPEND="reserve_mem=2M:2M:trace trace_instance=boot_mapped@trace"
 */
#include "mapping.h"

/* Leaves room on a page for time extends, so that all pages have as many events. */
#define PAYLOAD		992

/* Each case has a CPU's buffer for itself. */
enum {
	CPU_OVERRUN,
	CPU_COMPLETE,		/* A complete page follows the damaged one. */
	CPU_COMMIT,		/* The commit page follows the damaged one. */
	CPUS,
};

static unsigned int events_per_page(void)
{
	return (getpagesize() - SUBBUF_HEADER_SIZE) / marker_event_size(PAYLOAD);
}

/* More than fit twice, and the last page is full. */
static unsigned int events_of_overrun(const struct mapping *map)
{
	return 2 * map->meta->nr_subbufs * events_per_page();
}

/* All sub-buffers but the one that the first GET_READER gives to the writer. */
static unsigned int events_kept(const struct mapping *map)
{
	return (map->meta->nr_subbufs - 1) * events_per_page();
}

/* The physical address of a page of this process, or 0. */
static __u64 physical_address(const void *at)
{
	size_t page = getpagesize();
	__u64 entry = 0;
	int fd;

	fd = open("/proc/self/pagemap", O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return 0;
	if (pread(fd, &entry, sizeof(entry),
		  (uintptr_t)at / page * sizeof(entry)) != sizeof(entry))
		entry = 0;
	close(fd);
	/* Present, and the number of the page frame. */
	return entry >> 63 ? (entry & ((1ULL << 55) - 1)) * page : 0;
}

/* The sub-buffer that begins with this event, or NULL. */
static char *find_page(const struct mapping *map, __u32 first)
{
	for (unsigned int id = 0; id < map->meta->nr_subbufs; id++) {
		char *subbuf = mapping_subbuf(map, id);
		struct walk walk = {};

		if (!walk_subbuf(&walk, subbuf) && walk.data &&
		    walk.first == first)
			return subbuf;
	}
	return NULL;
}

FIXTURE(two_boots) {
	struct instance	inst;
	struct mapping	map;
};

FIXTURE_SETUP(two_boots)
{
	self->inst.raw_fd = -1;
	self->map.fd = -1;
	if (access(TRACEFS "/instances/boot_mapped", F_OK))
		SKIP(return, "not booted with an instance in reserve_mem=");
	if (sysconf(_SC_NPROCESSORS_ONLN) < CPUS)
		SKIP(return, "fewer than %u CPUs", CPUS);
	ASSERT_EQ(instance_attach(&self->inst, "boot_mapped"), 0);
}

FIXTURE_TEARDOWN(two_boots)
{
	mapping_close(&self->map);
	instance_detach(&self->inst);
}

/* -ENODATA if this CPU's buffer is not as the previous boot left it. */
static int open_second_boot(struct mapping *map, const struct instance *inst,
			    int cpu)
{
	struct stats stats;
	char info[4096];
	int ret;

	ret = stats_read(inst, cpu, &stats);
	if (!ret)
		ret = instance_read(inst, "last_boot_info", info, sizeof(info));
	if (ret < 0)
		return ret;
	if (!stats.entries || strstr(info, "Current"))
		return -ENODATA;
	return pin_to_cpu(cpu) ?: mapping_open(map, inst, cpu);
}

#define SECOND_BOOT(cpu) \
	open_second_boot(&self->map, &self->inst, cpu)

/* GET_READER; the first event of the page that it names, or a negative errno. */
static __s64 first_event(struct mapping *map)
{
	struct walk walk = {};
	int ret;

	ret = get_reader(map->fd) ?: walk_subbuf(&walk, mapping_reader(map));
	if (!ret && !walk.data)
		ret = -ENODATA;
	return ret ?: walk.first;
}

/*
 * D6: GET_READER has marked on the page that events were lost before it. This
 * boot takes the page for a corrupt one, and its events are gone.
 */
TEST_F(two_boots, d6_all_pages_are_kept)
{
	int ret = SECOND_BOOT(CPU_OVERRUN);
	struct walk walk = {};
	unsigned int kept;

	if (ret == -ENODATA)
		SKIP(return, "no events of the previous boot");
	ASSERT_EQ(ret, 0);
	kept = events_kept(&self->map);

	ASSERT_EQ(drain(&self->map, &walk), 0);
	EXPECT_EQ(walk.data, kept);
	EXPECT_EQ(walk.gaps, 0);
	EXPECT_EQ(walk.first, events_of_overrun(&self->map) - kept);
	EXPECT_EQ(walk.last, events_of_overrun(&self->map) - 1);
}

/*
 * D5: the number of events on the damaged page is not known. The kernel keeps -1
 * for it. Another reader detects the loss, and GET_READER shows this number.
 */
TEST_F(two_boots, d5_unknown_number_in_meta_page)
{
	int ret = SECOND_BOOT(CPU_COMPLETE);
	char few[SUBBUF_HEADER_SIZE + 1];
	__s64 first;

	if (ret == -ENODATA)
		SKIP(return, "no events of the previous boot");
	ASSERT_EQ(ret, 0);

	ASSERT_EQ(first_event(&self->map), 0);
	/* Too short for an event: the page comes in, and is not read. */
	EXPECT_LE(read(self->map.fd, few, sizeof(few)), 0);
	first = first_event(&self->map);
	if (first == events_per_page())
		SKIP(return, "no page is damaged");
	ASSERT_EQ(first, 2 * events_per_page());
	EXPECT_EQ(self->map.meta->reader.lost_events, 0);
}

/* The same, on the page: the one that was the commit page. */
TEST_F(two_boots, control_unknown_number_on_page)
{
	int ret = SECOND_BOOT(CPU_COMMIT);
	unsigned long commit;
	__s64 first;

	if (ret == -ENODATA)
		SKIP(return, "no events of the previous boot");
	ASSERT_EQ(ret, 0);
	ASSERT_EQ(markers_write(&self->inst, 1000000, events_per_page() + 1,
				PAYLOAD), 0);

	ASSERT_EQ(first_event(&self->map), 0);
	first = first_event(&self->map);
	if (first == events_per_page())
		SKIP(return, "no page is damaged");
	/* The one that was on the page already. */
	ASSERT_EQ(first, 2 * events_per_page());

	commit = subbuf_commit(mapping_reader(&self->map));
	EXPECT_EQ(commit & COMMIT_LOST, COMMIT_LOST);
	EXPECT_EQ(commit & COMMIT_LOST_STORED, 0);
	EXPECT_EQ(self->map.meta->reader.lost_events, 0);
}

/*
 * Leaves the events for the next boot, and prints the addresses of the pages to
 * be damaged: the second page of each of two CPUs.
 */
TEST_F(two_boots, written_for_the_next_boot)
{
	static const unsigned int pages[CPUS] = {
		[CPU_COMPLETE]	= 3,
		[CPU_COMMIT]	= 2,
	};
	unsigned int nr;

	ASSERT_EQ(instance_reset(&self->inst), 0);
	/* The default. The next boot would set any other, and so reset the buffer. */
	ASSERT_EQ(instance_write(&self->inst, "trace_clock", "local"), 0);

	for (int cpu = 0; cpu < CPUS; cpu++) {
		struct walk walk = {};
		__u64 address;
		char *page;

		ASSERT_EQ(pin_to_cpu(cpu), 0);
		ASSERT_EQ(mapping_open(&self->map, &self->inst, cpu), 0);
		if (cpu == CPU_OVERRUN) {
			nr = events_of_overrun(&self->map);
			ASSERT_EQ(markers_write(&self->inst, 0, nr, PAYLOAD), 0);
			ASSERT_EQ(get_reader(self->map.fd), 0);
			ASSERT_GT(self->map.meta->overrun, 0);
			ASSERT_EQ(walk_subbuf(&walk, mapping_reader(&self->map)), 0);
			ASSERT_EQ(walk.data, events_per_page());
			ASSERT_EQ(walk.first, nr - events_kept(&self->map));
		} else {
			nr = pages[cpu] * events_per_page() + 1;
			ASSERT_EQ(markers_write(&self->inst, 0, nr, PAYLOAD), 0);
			page = find_page(&self->map, events_per_page());
			ASSERT_NE(page, NULL);
			address = physical_address(page);
			ASSERT_NE(address, 0);
			TH_LOG("to be damaged: %#llx", address);
		}
		mapping_close(&self->map);
	}
}

TEST_HARNESS_MAIN
