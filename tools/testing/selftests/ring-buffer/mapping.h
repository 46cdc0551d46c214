/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What the tests of the memory-mapped ring buffer share: tracefs files, an
 * instance per fixture, markers of a chosen size, the mapping of one CPU's
 * buffer, the statistics file and a walk over the events of a sub-buffer.
 *
 * Functions return 0 or a count on success and a negative errno on failure, so
 * that a test can state the errno that it expects.
 */
#ifndef _RING_BUFFER_MAPPING_H
#define _RING_BUFFER_MAPPING_H

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <linux/trace_mmap.h>
#include <linux/types.h>

#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/types.h>
#include <sys/wait.h>

#include "kselftest_harness.h"

/* The harness compares fields of any width with plain constants. */
#pragma GCC diagnostic ignored "-Wsign-compare"

#define TRACEFS		"/sys/kernel/tracing"
#define GET_READER	TRACE_MMAP_IOCTL_GET_READER

/* The header in front of the events of each sub-buffer. */
struct subbuf_header {
	__u64	time_stamp;
	unsigned long	commit;
};

#define SUBBUF_HEADER_SIZE	sizeof(struct subbuf_header)

/* The write index has no room for sub-buffers of 1 MiB. */
#define MAX_SUBBUF_SIZE		(512 << 10)

/* Bits of the commit field: events were lost, their number is stored. */
#define COMMIT_LOST		0x80000000UL
#define COMMIT_LOST_STORED	0x40000000UL
#define COMMIT_SIZE_MASK	(COMMIT_LOST_STORED - 1)

/* Types of events that are no data. */
#define EVENT_PADDING		29
#define EVENT_TIME_EXTEND	30
#define EVENT_TIME_STAMP	31

/* Each event begins with this. */
struct event_header {
	__u32	type_len:5, time_delta:27;
};

/* The largest payload that one write to trace_marker_raw may have. */
#define MARKER_MAX		4096

#define MSEC			1000000LL

static inline __s64 now_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec * 1000 * MSEC + ts.tv_nsec;
}

static inline void sleep_ms(unsigned int ms)
{
	struct timespec ts = {
		.tv_sec = ms / 1000,
		.tv_nsec = (ms % 1000) * MSEC,
	};

	while (nanosleep(&ts, &ts) && errno == EINTR)
		;
}

static inline int pin_to_cpu(int cpu)
{
	cpu_set_t set;

	CPU_ZERO(&set);
	CPU_SET(cpu, &set);
	return sched_setaffinity(0, sizeof(set), &set) ? -errno : 0;
}

/* Files ------------------------------------------------------------------- */

static inline int file_write(const char *path, const char *value)
{
	int fd, ret = 0;

	fd = open(path, O_WRONLY | O_CLOEXEC);
	if (fd < 0)
		return -errno;

	if (write(fd, value, strlen(value)) < 0)
		ret = -errno;

	close(fd);
	return ret;
}

static inline int file_read(const char *path, char *buf, size_t size)
{
	size_t len = 0;
	ssize_t ret;
	int fd;

	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return -errno;

	do {
		ret = read(fd, buf + len, size - 1 - len);
		if (ret > 0)
			len += ret;
	} while (ret > 0 && len < size - 1);

	if (ret < 0)
		ret = -errno;
	else
		ret = len;
	buf[len] = '\0';

	close(fd);
	return ret;
}

/* One field of /proc/meminfo, in kilobytes, or -1. */
static inline long meminfo_kb(const char *field)
{
	char buf[4096], *line;

	if (file_read("/proc/meminfo", buf, sizeof(buf)) < 0)
		return -1;

	line = strstr(buf, field);
	return line ? atol(line + strlen(field)) : -1;
}

/* What a test needs ------------------------------------------------------- */

/* The CPUs of this process before it is pinned to any. */
static cpu_set_t cpus;

__attribute__((constructor)) static void begin(void)
{
	sched_getaffinity(0, sizeof(cpus), &cpus);
	if (geteuid()) {
		printf("TAP version 13\n1..0 # SKIP run this as root\n");
		exit(KSFT_SKIP);
	}
	if (access("/dev/kmsg", R_OK)) {
		printf("TAP version 13\n1..0 # SKIP no kernel log to read\n");
		exit(KSFT_SKIP);
	}
}

static inline bool has_cpu(int cpu)
{
	return CPU_ISSET(cpu, &cpus);
}

/* The kernel log ---------------------------------------------------------- */

static inline int klog_open(void)
{
	int fd = open("/dev/kmsg", O_RDONLY | O_NONBLOCK | O_CLOEXEC);

	if (fd >= 0)
		lseek(fd, 0, SEEK_END);
	return fd;
}

/* How many complaints the kernel made since klog_open(); prints the first. */
static inline int klog_complaints(int fd)
{
	static const char * const bad[] = {
		"WARNING:", "BUG:", "Oops", "possible circular locking",
		"self-detected stall", "detected stalls", "soft lockup",
	};
	char buf[2048];
	ssize_t len;
	int n = 0;

	if (fd < 0)
		return -EBADF;

	for (;;) {
		len = read(fd, buf, sizeof(buf) - 1);
		if (len < 0 && errno == EPIPE)
			continue;
		if (len <= 0)
			return n;

		buf[len] = '\0';
		/* A data race may be anybody's: only its stacks tell. */
		if (strstr(buf, "BUG: KCSAN:"))
			continue;
		for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
			if (!strstr(buf, bad[i]))
				continue;
			if (!n++)
				fprintf(stderr, "# kernel log: %s", buf);
			break;
		}
	}
}

/* Instances --------------------------------------------------------------- */

struct instance {
	char	dir[128];
	int	raw_fd;
};

static inline void instance_path(const struct instance *inst,
				 const char *file, char *path, size_t size)
{
	snprintf(path, size, "%s/%s", inst->dir, file);
}

static inline int instance_write(const struct instance *inst,
				 const char *file, const char *value)
{
	char path[256];

	instance_path(inst, file, path, sizeof(path));
	return file_write(path, value);
}

static inline int instance_write_long(const struct instance *inst,
				      const char *file, long value)
{
	char buf[32];

	snprintf(buf, sizeof(buf), "%ld", value);
	return instance_write(inst, file, buf);
}

static inline int instance_read(const struct instance *inst,
				const char *file, char *buf, size_t size)
{
	char path[256];

	instance_path(inst, file, path, sizeof(path));
	return file_read(path, buf, size);
}

static inline bool instance_has(const struct instance *inst,
				const char *file)
{
	char path[256];

	instance_path(inst, file, path, sizeof(path));
	return !access(path, F_OK);
}

/* Use an instance that exists already, for example one made at boot. */
static inline int instance_attach(struct instance *inst, const char *name)
{
	char path[256];

	snprintf(inst->dir, sizeof(inst->dir), TRACEFS "/instances/%s", name);
	instance_path(inst, "trace_marker_raw", path, sizeof(path));
	inst->raw_fd = open(path, O_WRONLY | O_CLOEXEC);
	return inst->raw_fd < 0 ? -errno : 0;
}

/*
 * A new instance. Its clock counts, so that no time extend appears unless a
 * test picks another clock: the layout of a sub-buffer follows from the sizes
 * of the events alone.
 */
static inline int instance_create(struct instance *inst)
{
	static unsigned int serial;
	char path[160], name[48];

	inst->raw_fd = -1;
	snprintf(name, sizeof(name), "map_test_%d_%u", getpid(), serial++);
	snprintf(path, sizeof(path), TRACEFS "/instances/%s", name);
	if (mkdir(path, 0700))
		return -errno;

	snprintf(inst->dir, sizeof(inst->dir), TRACEFS "/instances/%s", name);
	if (instance_write(inst, "trace_clock", "counter"))
		return -EIO;

	return instance_attach(inst, name);
}

static inline void instance_detach(struct instance *inst)
{
	if (inst->raw_fd >= 0)
		close(inst->raw_fd);
	inst->raw_fd = -1;
}

static inline int instance_destroy(struct instance *inst)
{
	instance_detach(inst);
	return rmdir(inst->dir) ? -errno : 0;
}

/* Sub-buffers of (page size << order) and room for nr of them per CPU. */
static inline int instance_resize(const struct instance *inst, int order,
				  int nr)
{
	long subbuf_kb = (getpagesize() << order) / 1024;
	int ret;

	ret = instance_write_long(inst, "buffer_subbuf_size_kb", subbuf_kb);
	if (ret)
		return ret;

	/* The size is that of the data, without the headers, rounded up. */
	return instance_write_long(inst, "buffer_size_kb", nr *
				   (subbuf_kb * 1024 - SUBBUF_HEADER_SIZE) /
				   1024);
}

/* Throw all events away, as "echo > trace" does, or those of one CPU. */
static inline int instance_truncate(const struct instance *inst,
				    const char *file)
{
	char path[256];
	int fd;

	instance_path(inst, file, path, sizeof(path));
	fd = open(path, O_WRONLY | O_TRUNC | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	close(fd);
	return 0;
}

static inline int instance_reset(const struct instance *inst)
{
	return instance_truncate(inst, "trace");
}

/* Markers ----------------------------------------------------------------- */

/*
 * The size that a raw marker with that payload takes in a sub-buffer: the
 * event's header, one word more for the length of a long one, 8 bytes of entry
 * header and the payload.
 */
static inline size_t marker_event_size(size_t payload)
{
	size_t len = (8 + payload + 3) & ~3UL;

	return 4 + len + (len > 28 * 4 ? 4 : 0);
}

/* The payload of a raw marker whose event takes that size. */
static inline size_t marker_payload(size_t event_size)
{
	size_t payload = event_size - 12;

	return marker_event_size(payload) == event_size ? payload : payload - 4;
}

/* The largest raw marker below that leaves so much room on a page. */
static inline size_t event_leaving(size_t capacity, size_t min, size_t max,
				   size_t below)
{
	for (size_t e = below - below % 4; e >= 16; e -= 4) {
		if (e <= capacity && capacity % e >= min &&
		    capacity % e <= max &&
		    marker_event_size(marker_payload(e)) == e)
			return e;
	}
	return 0;
}

/* One raw marker whose first word, its id, is the sequence number. */
static inline int marker_write(const struct instance *inst, __u32 seq,
			       size_t payload)
{
	static __thread char buf[MARKER_MAX];

	memcpy(buf, &seq, sizeof(seq));
	if (write(inst->raw_fd, buf, payload) != (ssize_t)payload)
		return -errno;
	return 0;
}

static inline int markers_write(const struct instance *inst, __u32 seq,
				unsigned int nr, size_t payload)
{
	int ret = 0;

	while (nr-- && !ret)
		ret = marker_write(inst, seq++, payload);
	return ret;
}

/* Mapping ----------------------------------------------------------------- */

struct mapping {
	int				fd;
	size_t				meta_len;
	size_t				data_len;
	struct trace_buffer_meta	*meta;
	char				*data;
};

static inline int cpu_open(const struct instance *inst, int cpu, int flags)
{
	char path[256];
	int fd;

	snprintf(path, sizeof(path), "%s/per_cpu/cpu%d/trace_pipe_raw",
		 inst->dir, cpu);
	fd = open(path, flags | O_CLOEXEC);
	return fd < 0 ? -errno : fd;
}

/* mmap() that returns an errno, and the address through the last argument. */
static inline int map_range(int fd, size_t len, int prot, int flags,
			    off_t offset, void **addr)
{
	void *map = mmap(NULL, len, prot, flags, fd, offset);

	if (addr)
		*addr = map == MAP_FAILED ? NULL : map;
	if (map == MAP_FAILED)
		return -errno;
	if (!addr)
		munmap(map, len);
	return 0;
}

static inline int map_shared(int fd, size_t len, off_t offset, void **addr)
{
	return map_range(fd, len, PROT_READ, MAP_SHARED, offset, addr);
}

/* Map the meta-page and all sub-buffers, as two VMAs. */
static inline int mapping_open_flags(struct mapping *map,
				     const struct instance *inst, int cpu,
				     int flags)
{
	void *meta, *data;
	int ret;

	map->meta = NULL;
	map->data = NULL;
	map->fd = cpu_open(inst, cpu, flags);
	if (map->fd < 0)
		return map->fd;

	ret = map_shared(map->fd, getpagesize(), 0, &meta);
	if (ret)
		goto err_close;

	map->meta = meta;
	map->meta_len = getpagesize();
	map->data_len = (size_t)map->meta->subbuf_size * map->meta->nr_subbufs;
	ret = map_shared(map->fd, map->data_len, map->meta->meta_page_size,
			 &data);
	if (ret)
		goto err_unmap;

	map->data = data;
	return 0;

err_unmap:
	munmap(map->meta, map->meta_len);
	map->meta = NULL;
err_close:
	close(map->fd);
	map->fd = -1;
	return ret;
}

static inline int mapping_open(struct mapping *map,
			       const struct instance *inst, int cpu)
{
	return mapping_open_flags(map, inst, cpu, O_RDONLY | O_NONBLOCK);
}

static inline void mapping_close(struct mapping *map)
{
	if (map->data)
		munmap(map->data, map->data_len);
	if (map->meta)
		munmap(map->meta, map->meta_len);
	if (map->fd >= 0)
		close(map->fd);
	map->data = NULL;
	map->meta = NULL;
	map->fd = -1;
}

static inline int get_reader(int fd)
{
	return ioctl(fd, GET_READER) ? -errno : 0;
}

/*
 * The kernel stores the id after what belongs to the reader page. Pairs with
 * the barrier before that store, in or below rb_update_meta_page().
 */
static inline __u32 reader_id(const struct mapping *map)
{
	return __atomic_load_n(&map->meta->reader.id, __ATOMIC_ACQUIRE);
}

static inline char *mapping_subbuf(const struct mapping *map,
				   unsigned int id)
{
	return map->data + (size_t)id * map->meta->subbuf_size;
}

static inline char *mapping_reader(const struct mapping *map)
{
	return mapping_subbuf(map, reader_id(map));
}

/*
 * Pairs with the smp_wmb() before the stores to the commit field: in
 * rb_set_commit_to_write() after the events, and in or below
 * ring_buffer_map_get_reader() after the number of lost events.
 */
static inline unsigned long subbuf_commit(const void *subbuf)
{
	const struct subbuf_header *header = subbuf;

	return __atomic_load_n(&header->commit, __ATOMIC_ACQUIRE);
}

/* The number of lost events that is stored behind the data. */
static inline unsigned long subbuf_lost(const char *subbuf)
{
	unsigned long lost, size = subbuf_commit(subbuf) & COMMIT_SIZE_MASK;

	memcpy(&lost, subbuf + SUBBUF_HEADER_SIZE + size, sizeof(lost));
	return lost;
}

/* Events ------------------------------------------------------------------ */

struct walk {
	unsigned int	data;		/* Events with data. */
	unsigned int	padding;
	unsigned int	extends;
	unsigned int	stamps;
	__u32	first;		/* The first marker's number ... */
	__u32	last;		/* ... and the last one's. */
	unsigned int	gaps;		/* Numbers that do not follow. */
	size_t		bytes;		/* Without padding. */
};

/*
 * Walk over a sub-buffer's events from that offset on and add to the counts.
 * Returns -EBADMSG if an event does not fit.
 */
static inline int walk_from(struct walk *walk, const char *subbuf,
			    size_t pos)
{
	size_t size = subbuf_commit(subbuf) & COMMIT_SIZE_MASK;
	const char *data = subbuf + SUBBUF_HEADER_SIZE;

	while (pos < size) {
		struct event_header event;
		__u32 type, len, body = 4, seq;

		memcpy(&event, data + pos, sizeof(event));
		type = event.type_len;
		switch (type) {
		case EVENT_TIME_EXTEND:
			walk->extends++;
			len = 8;
			break;
		case EVENT_TIME_STAMP:
			walk->stamps++;
			len = 8;
			break;
		case EVENT_PADDING:
			walk->padding++;
			/* Nothing but padding up to the end? */
			if (!event.time_delta)
				return 0;
			memcpy(&len, data + pos + 4, sizeof(len));
			len += 4;
			break;
		case 0:
			memcpy(&len, data + pos + 4, sizeof(len));
			len += 4;
			body = 8;
			break;
		default:
			len = 4 + type * 4;
		}

		if (len < 8 || len > size - pos)
			return -EBADMSG;

		if (type < EVENT_PADDING) {
			memcpy(&seq, data + pos + body + 8, sizeof(seq));
			if (!walk->data++)
				walk->first = seq;
			else if (seq != walk->last + 1)
				walk->gaps++;
			walk->last = seq;
		}
		if (type != EVENT_PADDING)
			walk->bytes += len;
		pos += len;
	}

	return 0;
}

static inline int walk_subbuf(struct walk *walk, const char *subbuf)
{
	return walk_from(walk, subbuf, 0);
}

/*
 * GET_READER, then walk over what is new: all of the page after a swap, or
 * what was added to the page that was the reader's before. Returns the number
 * of new data events.
 */
static inline int consume(struct mapping *map, struct walk *walk)
{
	__u32 id = reader_id(map), read = map->meta->reader.read;
	unsigned int before = walk->data;
	int ret;

	ret = get_reader(map->fd);
	if (ret)
		return ret;

	ret = walk_from(walk, mapping_reader(map),
			reader_id(map) == id ? read : 0);
	return ret ? ret : (int)(walk->data - before);
}

/* Consume until nothing is new; bounded by the number of sub-buffers. */
static inline int drain(struct mapping *map, struct walk *walk)
{
	unsigned int rounds = 2 * map->meta->nr_subbufs + 2;
	int idle = 0, ret;

	/* The first may only finish the current page: two idle ones end it. */
	while (idle < 2) {
		if (!rounds--)
			return -ELOOP;
		ret = consume(map, walk);
		if (ret < 0)
			return ret;
		idle = ret ? 0 : idle + 1;
	}

	return 0;
}

/*
 * After whatever read from the buffer meanwhile: is each page that GET_READER
 * names still one that the writer writes to? One event fills a page, the
 * buffer is gone round twice, and each page has to show the next number.
 */
static inline int stale_pages(const struct instance *inst, struct mapping *map)
{
	size_t capacity = map->meta->subbuf_size - SUBBUF_HEADER_SIZE;
	size_t payload = marker_payload(capacity < 4096 ? capacity - 4 : 4000);
	unsigned int nr = map->meta->nr_subbufs, per_page, seq = 0x100000;
	int stale = 0;

	if (instance_reset(inst))
		return -EIO;

	per_page = capacity / marker_event_size(payload);
	for (unsigned int i = 0; i < 2 * nr; i++) {
		struct walk walk = {};

		if (markers_write(inst, seq, per_page, payload))
			return -EIO;
		/* The first may get no more than the last page's padding. */
		if (consume(map, &walk) < 0 ||
		    (!walk.data && consume(map, &walk) < 0) ||
		    walk.data != per_page || walk.first != seq || walk.gaps)
			stale++;
		seq += per_page;
	}
	return stale;
}

/* Statistics -------------------------------------------------------------- */

struct stats {
	long long	entries;
	long long	overrun;
	long long	commit_overrun;
	long long	bytes;
	long long	oldest_ts;
	long long	now_ts;
	long long	dropped;
	long long	read;
};

static inline int stats_read(const struct instance *inst, int cpu,
			     struct stats *stats)
{
	const struct {
		const char	*key;
		long long	*value;
	} fields[] = {
		{ "\nentries: ",		&stats->entries },
		{ "\noverrun: ",		&stats->overrun },
		{ "\ncommit overrun: ",		&stats->commit_overrun },
		{ "\nbytes: ",			&stats->bytes },
		{ "\noldest event ts: ",	&stats->oldest_ts },
		{ "\nnow ts: ",			&stats->now_ts },
		{ "\ndropped events: ",		&stats->dropped },
		{ "\nread events: ",		&stats->read },
	};
	char buf[1024] = "\n", file[64], *at;
	int ret;

	snprintf(file, sizeof(file), "per_cpu/cpu%d/stats", cpu);
	ret = instance_read(inst, file, buf + 1, sizeof(buf) - 1);
	if (ret < 0)
		return ret;

	for (size_t i = 0; i < ARRAY_SIZE(fields); i++) {
		at = strstr(buf, fields[i].key);
		if (!at)
			return -EBADMSG;
		*fields[i].value = atoll(at + strlen(fields[i].key));
	}

	return 0;
}

/* The meta-page and the statistics tell the same. */
static inline void check_meta(struct __test_metadata *_metadata,
			      const struct instance *inst, int cpu,
			      const struct mapping *map)
{
	const struct trace_buffer_meta *meta = map->meta;
	struct stats stats;

	ASSERT_EQ(stats_read(inst, cpu, &stats), 0);
	EXPECT_EQ(meta->overrun, stats.overrun);
	EXPECT_EQ(meta->read, stats.read);
	EXPECT_EQ(meta->entries - meta->overrun - meta->read, stats.entries);
	EXPECT_LT(meta->reader.id, meta->nr_subbufs);
	EXPECT_EQ(meta->flags, 0);
}

/* Nothing of a mapping is left: what a mapping forbids works again. --------- */

/*
 * Returns NULL, or the name of what still fails. Both sizes are put back.
 */
static inline const char *instance_busy(const struct instance *inst,
					int cpu)
{
	char size[64], subbuf[64], file[64];
	const char *busy = NULL;
	int fd, ret;

	fd = cpu_open(inst, cpu, O_RDONLY | O_NONBLOCK);
	if (fd < 0)
		return "trace_pipe_raw";
	ret = get_reader(fd);
	close(fd);
	if (ret != -ENODEV)
		return "GET_READER (still mapped)";

	snprintf(file, sizeof(file), "per_cpu/cpu%d/buffer_size_kb", cpu);
	if (instance_read(inst, file, size, sizeof(size)) < 0 ||
	    instance_read(inst, "buffer_subbuf_size_kb", subbuf,
			  sizeof(subbuf)) < 0)
		return "reading the sizes";

	if (instance_write_long(inst, "buffer_subbuf_size_kb",
				2 * atol(subbuf)) ||
	    instance_write(inst, "buffer_subbuf_size_kb", subbuf))
		busy = "buffer_subbuf_size_kb";
	else if (instance_write_long(inst, file, 4 * atol(size) + 64))
		busy = "per_cpu buffer_size_kb";
	else if (instance_write_long(inst, "buffer_size_kb", 2 * atol(size)) ||
		 instance_write_long(inst, "buffer_size_kb", atol(size)))
		busy = "buffer_size_kb";
	else if (instance_has(inst, "snapshot") &&
		 (instance_write(inst, "snapshot", "1") ||
		  instance_write(inst, "snapshot", "0")))
		busy = "snapshot";

	return busy;
}

/* For fixtures with an instance, inst. */
#define ASSERT_CPU_FREE(cpu) \
	ASSERT_STREQ(instance_busy(&self->inst, cpu) ?: "free", "free")

#define EXPECT_RESIZE_BUSY() \
	EXPECT_EQ(instance_write_long(&self->inst, "buffer_size_kb", 100), \
		  -EBUSY)

/* What the kernel does for this process, counted in an instance beside ------ */

static inline int watch_function(struct instance *watch, const char *function)
{
	int ret = instance_create(watch);

	if (!ret)
		ret = instance_write(watch, "set_ftrace_filter", function);
	if (!ret)
		ret = instance_write_long(watch, "set_ftrace_pid", getpid());
	if (!ret)
		ret = instance_write(watch, "current_tracer", "function");
	return ret;
}

/* How often it was seen since the last call. */
static inline int watched(struct instance *watch, int cpu)
{
	static long long before;
	long long since = before;
	struct stats stats;

	if (stats_read(watch, cpu, &stats))
		return -EIO;
	before = stats.entries;
	return before - since;
}

#endif /* _RING_BUFFER_MAPPING_H */
