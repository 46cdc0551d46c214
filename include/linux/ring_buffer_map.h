/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The mapping of trace ring buffers in Rust: what C calls of it, besides the
 * functions that <linux/ring_buffer.h> declares for either implementation.
 */
#ifndef _LINUX_RING_BUFFER_MAP_H
#define _LINUX_RING_BUFFER_MAP_H

struct file;
struct ring_buffer_per_cpu;
struct vm_area_struct;

/* TRACE_MMAP_IOCTL_GET_READER of trace_pipe_raw. */
int tracing_buffers_get_reader(struct file *filp);

#ifdef CONFIG_RING_BUFFER_MAP_RUST
/* The mmap file operation of trace_pipe_raw. */
int tracing_buffers_mmap(struct file *filp, struct vm_area_struct *vma);

/*
 * Refresh the meta-page from the per-CPU buffer, if there is one. Call with
 * the buffer's reader_lock held.
 */
void rb_update_meta_page(struct ring_buffer_per_cpu *cpu_buffer);
#endif

#endif /* _LINUX_RING_BUFFER_MAP_H */
