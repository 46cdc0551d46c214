/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What the Rust side of the mapping calls of ring_buffer.c and of trace.c: their
 * static and inline functions under a name that links. See there for what they
 * do.
 */
#ifndef _RING_BUFFER_MAP_SHIMS_H
#define _RING_BUFFER_MAP_SHIMS_H

struct buffer_page;
struct ring_buffer_per_cpu;

/* Of ring_buffer.c. Call them with reader_lock held. */
struct buffer_page *rb_map_get_reader_page(struct ring_buffer_per_cpu *cpu_buffer);
struct buffer_page *rb_map_set_head_page(struct ring_buffer_per_cpu *cpu_buffer);
int rb_map_page_id(struct ring_buffer_per_cpu *cpu_buffer,
		   struct buffer_page *bpage, int id);
int rb_map_reader_id(struct ring_buffer_per_cpu *cpu_buffer);
void rb_map_commit_overrun(int cpu, unsigned long lost);

/* Of trace.c. May sleep. */
void trace_map_access_lock(int cpu);
void trace_map_access_unlock(int cpu);

#endif /* _RING_BUFFER_MAP_SHIMS_H */
