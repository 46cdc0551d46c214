// SPDX-License-Identifier: GPL-2.0
/*
 * Included by ring_buffer.c, as the functions that these call are static there.
 */
#include "shims.h"

struct buffer_page *rb_map_get_reader_page(struct ring_buffer_per_cpu *cpu_buffer)
{
	return rb_get_reader_page(cpu_buffer);
}

struct buffer_page *rb_map_set_head_page(struct ring_buffer_per_cpu *cpu_buffer)
{
	return rb_set_head_page(cpu_buffer);
}

int rb_map_page_id(struct ring_buffer_per_cpu *cpu_buffer,
		   struct buffer_page *bpage, int id)
{
	return rb_page_id(cpu_buffer, bpage, id);
}

int rb_map_reader_id(struct ring_buffer_per_cpu *cpu_buffer)
{
	struct buffer_page *reader = cpu_buffer->reader_page;

	return rb_page_id(cpu_buffer, reader, reader->id);
}

void rb_map_commit_overrun(int cpu, unsigned long lost)
{
	pr_info_ratelimited("Ring buffer [%d] commit overrun lost %lu events\n",
			    cpu, lost);
}
