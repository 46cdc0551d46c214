// SPDX-License-Identifier: GPL-2.0
/*
 * Included by ring_buffer.c, as the functions that these call are static there.
 */
#include "shims.h"

/*
 * trace_rb_cpu_prepare() sets the pointer before the bit and, once the system
 * is running, has each CPU execute a barrier in between.
 */
struct ring_buffer_per_cpu *rb_map_cpu_buffer(struct trace_buffer *buffer,
					      unsigned int cpu)
{
	struct ring_buffer_per_cpu *cpu_buffer;

	if (cpu >= nr_cpu_ids || !cpumask_test_cpu(cpu, buffer->cpumask))
		return NULL;

	/* Taking a snapshot swaps it for another. */
	cpu_buffer = READ_ONCE(buffer->buffers[cpu]);

	/* The ids of a remote buffer are not the kernel's. */
	return cpu_buffer->remote ? NULL : cpu_buffer;
}

struct buffer_page *rb_map_get_reader_page(struct ring_buffer_per_cpu *cpu_buffer)
{
	return rb_get_reader_page(cpu_buffer);
}

int rb_map_page_id(struct ring_buffer_per_cpu *cpu_buffer,
		   struct buffer_page *bpage, int id)
{
	return rb_page_id(cpu_buffer, bpage, id);
}

void rb_map_commit_overrun(int cpu, unsigned long lost)
{
	pr_info_ratelimited("Ring buffer [%d] commit overrun lost %lu events\n",
			    cpu, lost);
}
