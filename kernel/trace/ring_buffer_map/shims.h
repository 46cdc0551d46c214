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
struct file;
struct ring_buffer_per_cpu;
struct trace_array;
struct trace_buffer;
struct ftrace_buffer_info;

/* In ring_buffer.c. The caller must hold reader_lock. */
struct buffer_page *rb_map_get_reader_page(struct ring_buffer_per_cpu *cpu_buffer);
struct buffer_page *rb_map_set_head_page(struct ring_buffer_per_cpu *cpu_buffer);
int rb_map_page_id(struct ring_buffer_per_cpu *cpu_buffer,
		   struct buffer_page *bpage, int id);
int rb_map_reader_id(struct ring_buffer_per_cpu *cpu_buffer);
void rb_map_commit_overrun(int cpu, unsigned long lost);

/* In trace.c: an open trace_pipe_raw. */
struct ftrace_buffer_info *trace_map_info(struct file *filp);
struct trace_array *trace_map_array(struct ftrace_buffer_info *info);
struct trace_buffer *trace_map_buffer(struct ftrace_buffer_info *info);
int trace_map_cpu(struct ftrace_buffer_info *info);
bool trace_map_unmappable(struct ftrace_buffer_info *info);
/* These two may sleep. */
int trace_map_wait(struct ftrace_buffer_info *info);
void trace_map_access_lock(int cpu);
void trace_map_access_unlock(int cpu);

/* In trace.c: mappings and snapshots of an instance. */
spinlock_t *trace_map_snapshot_lock(struct trace_array *tr);
bool trace_map_had_snapshot(struct trace_array *tr);
/* The caller must hold the lock. */
unsigned int trace_map_count(struct trace_array *tr);
void trace_map_set_count(struct trace_array *tr, unsigned int count);
bool trace_map_snapshot_armed(struct trace_array *tr);

#endif /* _RING_BUFFER_MAP_SHIMS_H */
