// SPDX-License-Identifier: GPL-2.0
/*
 * Included by trace.c, as the functions that these call are static there.
 */
#include "shims.h"

struct ftrace_buffer_info *trace_map_info(struct file *filp)
{
	return filp->private_data;
}

struct trace_array *trace_map_array(struct ftrace_buffer_info *info)
{
	return info->iter.tr;
}

/* A snapshot swaps the buffer for another. */
struct trace_buffer *trace_map_buffer(struct ftrace_buffer_info *info)
{
	return READ_ONCE(info->iter.array_buffer->buffer);
}

int trace_map_cpu(struct ftrace_buffer_info *info)
{
	return info->iter.cpu_file;
}

/* These two flags are set when the instance is made. Others change at any time. */
bool trace_map_unmappable(struct ftrace_buffer_info *info)
{
	return READ_ONCE(info->iter.tr->flags) &
		(TRACE_ARRAY_FL_MEMMAP | TRACE_ARRAY_FL_VMALLOC);
}

int trace_map_wait(struct ftrace_buffer_info *info)
{
	return ring_buffer_wait(trace_map_buffer(info), info->iter.cpu_file,
				READ_ONCE(info->iter.tr->buffer_percent), NULL, NULL);
}

void trace_map_access_lock(int cpu)
{
	trace_access_lock(cpu);
}

void trace_map_access_unlock(int cpu)
{
	trace_access_unlock(cpu);
}

#ifdef CONFIG_TRACER_SNAPSHOT
spinlock_t *trace_map_snapshot_lock(struct trace_array *tr)
{
	return &tr->snapshot_trigger_lock;
}

unsigned int trace_map_count(struct trace_array *tr)
{
	return tr->mapped;
}

/* tracing_snapshot_instance_cond() loads the count without the lock. */
void trace_map_set_count(struct trace_array *tr, unsigned int count)
{
	WRITE_ONCE(tr->mapped, count);
}

bool trace_map_snapshot_armed(struct trace_array *tr)
{
	return tr->snapshot;
}

bool trace_map_had_snapshot(struct trace_array *tr)
{
	return READ_ONCE(tr->had_snapshot);
}
#endif /* CONFIG_TRACER_SNAPSHOT */
