/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The mapping of trace ring buffers in Rust: the functions that C calls.
 */
#ifndef _LINUX_RING_BUFFER_MAP_H
#define _LINUX_RING_BUFFER_MAP_H

#include <linux/types.h>

struct ftrace_buffer_info;
struct ring_buffer_per_cpu;
struct trace_buffer;
struct vm_area_struct;

/* TRACE_MMAP_IOCTL_GET_READER of an open trace_pipe_raw. */
int trace_map_get_reader(struct ftrace_buffer_info *info, bool block);
/* The mmap file operation, and those of a VMA. Call the latter once for each. */
int trace_map_mmap(struct ftrace_buffer_info *info, struct vm_area_struct *vma);
void trace_map_open(struct ftrace_buffer_info *info);
void trace_map_close(struct ftrace_buffer_info *info);

#ifdef CONFIG_RING_BUFFER_MAP_RUST
/*
 * Refresh the meta-page from the per-CPU buffer, if there is one. Call with
 * the buffer's reader_lock held. It must not be a remote buffer.
 */
void rb_update_meta_page(struct ring_buffer_per_cpu *cpu_buffer);

/*
 * Free what is kept for the next mapping of the buffer, which must not be a
 * remote one. Call before its sub-buffers change or are freed. The caller must
 * keep the buffer from being mapped or unmapped during the call.
 */
void rb_map_forget(struct ring_buffer_per_cpu *cpu_buffer);

/*
 * For KUnit tests: as with the C implementation. The buffer to map must not be one
 * of an instance. If it is persistent, free its memory by giving back a reference
 * to each page.
 */
int ring_buffer_map(struct trace_buffer *buffer, int cpu,
		    struct vm_area_struct *vma);
int ring_buffer_unmap(struct trace_buffer *buffer, int cpu);
int ring_buffer_map_get_reader(struct trace_buffer *buffer, int cpu);
#else
static inline void rb_map_forget(struct ring_buffer_per_cpu *cpu_buffer) { }
#endif

#endif /* _LINUX_RING_BUFFER_MAP_H */
