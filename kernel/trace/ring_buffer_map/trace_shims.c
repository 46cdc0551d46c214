// SPDX-License-Identifier: GPL-2.0
/*
 * Included by trace.c, as the functions that these call are static there.
 */
#include "shims.h"

static void tracing_buffers_mmap_open(struct vm_area_struct *vma)
{
	trace_map_open(vma->vm_file->private_data);
}

static void tracing_buffers_mmap_close(struct vm_area_struct *vma)
{
	trace_map_close(vma->vm_file->private_data);
}

/* As in C, a part of a mapping cannot be unmapped. */
static int tracing_buffers_may_split(struct vm_area_struct *vma, unsigned long addr)
{
	return -EINVAL;
}

static const struct vm_operations_struct tracing_buffers_vmops = {
	.open		= tracing_buffers_mmap_open,
	.close		= tracing_buffers_mmap_close,
	.may_split	= tracing_buffers_may_split,
};

/* If this fails, the operations of the VMA are not called. */
static int tracing_buffers_mmap(struct file *filp, struct vm_area_struct *vma)
{
	struct ftrace_buffer_info *info = filp->private_data;

	/* These two flags are set when the instance is made. Others change at any time. */
	if (READ_ONCE(info->iter.tr->flags) &
	    (TRACE_ARRAY_FL_MEMMAP | TRACE_ARRAY_FL_VMALLOC))
		return -ENODEV;

	vma->vm_ops = &tracing_buffers_vmops;
	return trace_map_mmap(info, vma);
}

struct trace_array *trace_map_array(struct ftrace_buffer_info *info)
{
	return info->iter.tr;
}

/* A snapshot swaps the buffer for another. */
static struct trace_buffer *trace_map_buffer(struct ftrace_buffer_info *info)
{
	return READ_ONCE(info->iter.array_buffer->buffer);
}

struct ring_buffer_per_cpu *trace_map_cpu_buffer(struct ftrace_buffer_info *info)
{
	return rb_map_cpu_buffer(trace_map_buffer(info), info->iter.cpu_file);
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

struct trace_map_count trace_map_count(struct trace_array *tr)
{
	return (struct trace_map_count) {
		.mapped = tr->mapped,
		.settled = tr->mapped_settled,
		.armed = tr->snapshot,
		.had_snapshot = READ_ONCE(tr->had_snapshot),
	};
}

/* tracing_snapshot_instance_cond() loads the number without the lock. */
void trace_map_set_count(struct trace_array *tr, struct trace_map_count count)
{
	WRITE_ONCE(tr->mapped, count.mapped);
	tr->mapped_settled = count.settled;
}
#endif /* CONFIG_TRACER_SNAPSHOT */
