// SPDX-License-Identifier: GPL-2.0
/*
 * A consumer of a mapped trace buffer. It counts the events on each sub-buffer
 * that it consumes, and ends when the buffer is empty.
 *
 *	trace_mmap [/sys/kernel/tracing/.../per_cpu/cpuN/trace_pipe_raw]
 */
#include <err.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <linux/trace_mmap.h>

#include <sys/ioctl.h>
#include <sys/mman.h>

/* The header of a sub-buffer, see events/header_page in tracefs. */
struct subbuf {
	__u64		time_stamp;
	unsigned long	commit;
	char		events[];
};

/* Special values of type_len, see events/header_event in tracefs. */
enum {
	LENGTH_FOLLOWS	= 0,
	PADDING		= 29,
	TIME_EXTEND	= 30,
	TIME_STAMP	= 31,
};

/* Each event begins with this. */
struct event_header {
	__u32	type_len:5, time_delta:27;
};

static unsigned int count_events(const char *pos, const char *end)
{
	unsigned int nr = 0;

	while (pos < end) {
		struct event_header header;
		__u32 len = 0;

		memcpy(&header, pos, sizeof(header));

		/* Padding without a time delta extends to the end. */
		if (header.type_len == PADDING && !header.time_delta)
			break;

		switch (header.type_len) {
		case TIME_EXTEND:
		case TIME_STAMP:
			len = 8;
			break;
		case LENGTH_FOLLOWS:
		case PADDING:
			if (end - pos >= 8)
				memcpy(&len, pos + 4, sizeof(len));
			len += 4;
			break;
		default:
			len = 4 + header.type_len * 4;
		}
		if (len < 8 || len > end - pos)
			errx(EXIT_FAILURE, "an event does not fit");

		if (header.type_len < PADDING)
			nr++;
		pos += len;
	}
	return nr;
}

/*
 * The kernel stores the ID after what belongs to the reader page. Pairs with
 * the smp_store_release() in rb_update_meta_page(), or the smp_wmb() in
 * MetaWriter::publish() of the Rust implementation. What is loaded of the
 * meta-page after the ID is at least as new.
 */
static __u32 reader_id(const struct trace_buffer_meta *meta)
{
	return __atomic_load_n(&meta->reader.id, __ATOMIC_ACQUIRE);
}

int main(int argc, char **argv)
{
	const char *path = "/sys/kernel/tracing/per_cpu/cpu0/trace_pipe_raw";
	size_t meta_len = getpagesize(), data_len;
	const struct trace_buffer_meta *meta;
	unsigned long long total = 0;
	void *meta_map, *data;
	__u32 id, read;
	int fd;

	if (argc > 1)
		path = argv[1];
	fd = open(path, O_RDONLY | O_NONBLOCK);
	if (fd < 0)
		err(EXIT_FAILURE, "%s", path);

	/*
	 * The meta-page is one page, although the sub-buffers begin
	 * meta_page_size bytes into the file. Unmap the same length below.
	 */
	meta_map = mmap(NULL, meta_len, PROT_READ, MAP_SHARED, fd, 0);
	if (meta_map == MAP_FAILED)
		err(EXIT_FAILURE, "mmap of the meta-page");
	meta = meta_map;

	data_len = (size_t)meta->subbuf_size * meta->nr_subbufs;
	data = mmap(NULL, data_len, PROT_READ, MAP_SHARED, fd,
		    meta->meta_page_size);
	if (data == MAP_FAILED)
		err(EXIT_FAILURE, "mmap of the sub-buffers");

	for (;;) {
		const struct subbuf *subbuf;
		unsigned int nr;

		id = reader_id(meta);
		read = meta->reader.read;
		if (ioctl(fd, TRACE_MMAP_IOCTL_GET_READER))
			err(EXIT_FAILURE, "GET_READER");

		/* Nothing of a new sub-buffer was counted yet. */
		if (reader_id(meta) != id)
			read = 0;
		else if (meta->reader.read == read)
			break;

		/*
		 * The sub-buffer is ours until the next GET_READER. No barrier
		 * is needed: on this CPU, the kernel has executed a read barrier
		 * after it loaded the size of the sub-buffer.
		 */
		subbuf = data + (size_t)reader_id(meta) * meta->subbuf_size;
		nr = count_events(subbuf->events + read,
				  subbuf->events + meta->reader.read);
		/* The number is that of the sub-buffer. Show it once. */
		printf("sub-buffer %u: %u events, %llu lost before\n",
		       meta->reader.id, nr,
		       read ? 0ULL : (unsigned long long)meta->reader.lost_events);
		total += nr;
	}
	printf("%llu events\n", total);

	munmap(data, data_len);
	munmap(meta_map, meta_len);
	close(fd);
	return 0;
}
