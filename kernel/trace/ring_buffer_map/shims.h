/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Functions of ring_buffer.c and trace.c that the Rust side of the mapping
 * calls. Most wrap a static or inline function there under a name that links.
 * The Rust side sees the structs of trace.c only through them.
 */
#ifndef _RING_BUFFER_MAP_SHIMS_H
#define _RING_BUFFER_MAP_SHIMS_H

#include <linux/spinlock_types.h>
#include <linux/types.h>

struct buffer_page;
struct ftrace_buffer_info;
struct ring_buffer_per_cpu;
struct trace_array;
struct trace_buffer;

/*
 * In ring_buffer.c: the buffer of a CPU, or NULL if it has none or a remote one, or
 * if there is no such CPU.
 */
struct ring_buffer_per_cpu *rb_map_cpu_buffer(struct trace_buffer *buffer,
					      unsigned int cpu);
void rb_map_commit_overrun(int cpu, unsigned long lost);
/*
 * The caller must hold reader_lock. Writers get the reader page back, so Rust must
 * have no reference to its contents.
 */
struct buffer_page *rb_map_get_reader_page(struct ring_buffer_per_cpu *cpu_buffer);
int rb_map_page_id(struct ring_buffer_per_cpu *cpu_buffer,
		   struct buffer_page *bpage, int id);

/* In trace.c: an open trace_pipe_raw. */
struct trace_array *trace_map_array(struct ftrace_buffer_info *info);
struct ring_buffer_per_cpu *trace_map_cpu_buffer(struct ftrace_buffer_info *info);
/* May sleep. */
int trace_map_wait(struct ftrace_buffer_info *info);

/* In trace.c: the right to consume the events of a CPU. The first may sleep. */
void trace_map_access_lock(int cpu);
void trace_map_access_unlock(int cpu);

/*
 * Of an instance: its mappings, whether it has users of snapshots, and whether it
 * ever had a buffer to swap with.
 */
struct trace_map_count {
	unsigned int	mapped;
	bool		settled;
	bool		armed;
	bool		had_snapshot;
};

/* In trace.c: mappings and snapshots of an instance. */
spinlock_t *trace_map_snapshot_lock(struct trace_array *tr);
/* The caller must hold the lock. The second function sets mapped and settled. */
struct trace_map_count trace_map_count(struct trace_array *tr);
void trace_map_set_count(struct trace_array *tr, struct trace_map_count count);

#endif /* _RING_BUFFER_MAP_SHIMS_H */
