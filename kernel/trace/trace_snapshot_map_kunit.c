// SPDX-License-Identifier: GPL-2.0
/*
 * KUnit tests of mmap() of trace_pipe_raw while a snapshot is in flight: it did
 * not see the mapping, and is about to swap the buffers. Each case d<number>_* is
 * about a defect of Linux 7.3.
 */
#include <kunit/test.h>
#include <linux/delay.h>
#include <linux/file.h>
#include <linux/fs.h>
#include <linux/kthread.h>
#include <linux/mman.h>
#include <linux/mount.h>

#include "trace.h"

#define SNAPSHOT_MAP_TEST_DIR	"snapshot_map_kunit"

/* How long a snapshot is in flight beside mmap(): much longer than that takes. */
#define SNAPSHOT_MAP_TEST_MS	500

struct snapshot_map_test {
	struct trace_array	*tr;
	struct file		*file;
	int			cpu;
	/* Makes the snapshot take long. */
	struct cond_snapshot	cond;
	/* How many mmap() there are during it. */
	unsigned int		mappers;
	bool			in_flight;
	bool			over;
	/* The thread that takes snapshots does not run. */
	bool			stopped;
	/* mmap() has returned: no snapshot may go on. */
	bool			mapped;
	bool			wrong;
	unsigned int		snapshots;
};

/* Called right before the swap, with interrupts disabled. */
static bool snapshot_map_test_hold(struct trace_array *tr, void *cond_data)
{
	struct snapshot_map_test *self = cond_data;

	WRITE_ONCE(self->in_flight, true);
	for (int i = 0; i < 5 * MSEC_PER_SEC; i++) {
		if (READ_ONCE(tr->mapped) >= self->mappers)
			break;
		mdelay(1);
	}
	mdelay(SNAPSHOT_MAP_TEST_MS);
	WRITE_ONCE(self->over, true);
	return true;
}

static int snapshot_map_test_snapshot(void *data)
{
	struct snapshot_map_test *self = data;

	tracing_snapshot_cond(self->tr, self);
	while (!kthread_should_stop())
		usleep_range(1000, 2000);
	return 0;
}

/* Begins a snapshot on another CPU. Ends with it in flight. */
static struct task_struct *snapshot_map_test_start(struct kunit *test)
{
	struct snapshot_map_test *self = test->priv;
	struct task_struct *task;
	int cpu;

	cpu = cpumask_any_but(cpu_online_mask, raw_smp_processor_id());
	task = kthread_run_on_cpu(snapshot_map_test_snapshot, self, cpu,
				  "snapshot_map/%u");
	KUNIT_ASSERT_NOT_ERR_OR_NULL(test, task);
	while (!READ_ONCE(self->in_flight))
		usleep_range(1000, 2000);
	return task;
}

static unsigned long snapshot_map_test_mmap(struct snapshot_map_test *self)
{
	return vm_mmap(self->file, 0, PAGE_SIZE, PROT_READ, MAP_SHARED, 0);
}

/* The buffer that is mapped is the one that is written to. */
static void snapshot_map_test_check(struct kunit *test, unsigned long addr)
{
	struct snapshot_map_test *self = test->priv;
	struct trace_array *tr = self->tr;

	KUNIT_EXPECT_TRUE(test, READ_ONCE(self->over));
	KUNIT_EXPECT_FALSE(test, IS_ERR_VALUE(addr));
	while (!READ_ONCE(self->over))
		usleep_range(1000, 2000);
	/* It may be swapping still. */
	synchronize_rcu();
	KUNIT_EXPECT_EQ(test, 0,
			ring_buffer_map_get_reader(tr->array_buffer.buffer,
						   self->cpu));
	KUNIT_EXPECT_EQ(test, -ENODEV,
			ring_buffer_map_get_reader(tr->snapshot_buffer.buffer,
						   self->cpu));
}

static void mmap_waits_for_a_snapshot_in_flight(struct kunit *test)
{
	struct snapshot_map_test *self = test->priv;
	struct task_struct *snapshot;
	unsigned long addr;

	self->mappers = 1;
	snapshot = snapshot_map_test_start(test);
	addr = snapshot_map_test_mmap(self);
	snapshot_map_test_check(test, addr);
	kthread_stop(snapshot);
	vm_munmap(addr, PAGE_SIZE);
}

static int snapshot_map_test_other(void *data)
{
	struct snapshot_map_test *self = data;
	unsigned long addr = -ENOMEM;

	while (!READ_ONCE(self->in_flight))
		usleep_range(1000, 2000);
	if (!kunit_attach_mm())
		addr = snapshot_map_test_mmap(self);
	while (!kthread_should_stop())
		usleep_range(1000, 2000);
	if (!IS_ERR_VALUE(addr))
		vm_munmap(addr, PAGE_SIZE);
	return IS_ERR_VALUE(addr) ? addr : 0;
}

/* Another process is in mmap() already, and waits there. */
static void d10_second_mmap_waits_too(struct kunit *test)
{
	struct snapshot_map_test *self = test->priv;
	struct task_struct *snapshot, *other;
	unsigned long addr;

	self->mappers = 2;
	/* Before a CPU is held, which may be the one that makes threads. */
	other = kthread_run_on_cpu(snapshot_map_test_other, self, self->cpu,
				   "snapshot_map_other/%u");
	KUNIT_ASSERT_NOT_ERR_OR_NULL(test, other);
	snapshot = snapshot_map_test_start(test);
	while (!READ_ONCE(self->tr->mapped) && !READ_ONCE(self->over))
		usleep_range(1000, 2000);
	KUNIT_EXPECT_FALSE(test, READ_ONCE(self->over));

	addr = snapshot_map_test_mmap(self);
	snapshot_map_test_check(test, addr);
	kthread_stop(snapshot);
	KUNIT_EXPECT_EQ(test, 0, kthread_stop(other));
	vm_munmap(addr, PAGE_SIZE);
}

/* Called right before the swap, which it makes not happen. */
static bool snapshot_map_test_look(struct trace_array *tr, void *cond_data)
{
	struct snapshot_map_test *self = cond_data;

	if (READ_ONCE(self->mapped))
		WRITE_ONCE(self->wrong, true);
	return false;
}

static int snapshot_map_test_snapshots(void *data)
{
	struct snapshot_map_test *self = data;

	while (!kthread_should_stop()) {
		tracing_snapshot_cond(self->tr, self);
		WRITE_ONCE(self->snapshots, self->snapshots + 1);
		cond_resched();
	}
	return 0;
}

/* Preempts the thread above, wherever it is, until it may go on. */
static int snapshot_map_test_preempt(void *data)
{
	struct snapshot_map_test *self = data;

	sched_set_fifo(current);
	while (!kthread_should_stop()) {
		usleep_range(500, 1000);
		WRITE_ONCE(self->stopped, true);
		while (READ_ONCE(self->stopped) && !kthread_should_stop())
			cpu_relax();
	}
	return 0;
}

/* However long the snapshot is preempted, mmap() waits for it or stops it. */
static void d22_snapshot_is_preempted(struct kunit *test)
{
	struct snapshot_map_test *self = test->priv;
	struct task_struct *snapshots, *preempt;
	unsigned long end = jiffies + 20 * HZ;
	unsigned int before, rounds = 0;
	unsigned long addr;
	int cpu;

	if (preempt_model_none() || preempt_model_voluntary())
		kunit_skip(test, "the kernel is not preemptible");

	self->cond.update = snapshot_map_test_look;
	cpu = cpumask_any_but(cpu_online_mask, raw_smp_processor_id());
	snapshots = kthread_run_on_cpu(snapshot_map_test_snapshots, self, cpu,
				       "snapshot_map/%u");
	KUNIT_ASSERT_NOT_ERR_OR_NULL(test, snapshots);
	preempt = kthread_run_on_cpu(snapshot_map_test_preempt, self, cpu,
				     "snapshot_map_preempt/%u");
	KUNIT_ASSERT_NOT_ERR_OR_NULL(test, preempt);

	while (rounds++ < 3000 && time_before(jiffies, end) &&
	       !READ_ONCE(self->wrong)) {
		while (!READ_ONCE(self->stopped))
			cpu_relax();
		addr = snapshot_map_test_mmap(self);
		KUNIT_EXPECT_FALSE(test, IS_ERR_VALUE(addr));
		WRITE_ONCE(self->mapped, true);

		before = READ_ONCE(self->snapshots);
		while (READ_ONCE(self->snapshots) == before) {
			WRITE_ONCE(self->stopped, false);
			cpu_relax();
		}
		WRITE_ONCE(self->mapped, false);
		vm_munmap(addr, PAGE_SIZE);
	}
	kthread_stop(preempt);
	kthread_stop(snapshots);
	KUNIT_EXPECT_FALSE(test, self->wrong);
}

KUNIT_DEFINE_ACTION_WRAPPER(snapshot_map_test_unmount, kern_unmount,
			    struct vfsmount *);

static void snapshot_map_test_destroy(void *data)
{
	struct trace_array *tr = data;

	tr->cond_snapshot = NULL;
	trace_array_put(tr);
	trace_array_destroy(tr);
}

static void snapshot_map_test_close(void *data)
{
	fput(data);
	/* It counts as a user of the instance. */
	flush_delayed_fput();
}

static int snapshot_map_test_init(struct kunit *test)
{
	struct snapshot_map_test *self;
	struct vfsmount *mnt;
	unsigned long addr;
	char path[64];
	int ret;

	if (num_online_cpus() < 2)
		kunit_skip(test, "needs two CPUs");

	self = kunit_kzalloc(test, sizeof(*self), GFP_KERNEL);
	if (!self)
		return -ENOMEM;
	test->priv = self;
	/*
	 * Each case has a thread of its own. It is another CPU that is held, as
	 * the first one may have the timer that ticks for all.
	 */
	self->cpu = cpumask_first(cpu_online_mask);
	ret = set_cpus_allowed_ptr(current, cpumask_of(self->cpu)) ?:
	      kunit_attach_mm();
	if (ret)
		return ret;

	mnt = kern_mount(get_fs_type("tracefs"));
	if (IS_ERR(mnt))
		return PTR_ERR(mnt);
	ret = kunit_add_action_or_reset(test, snapshot_map_test_unmount, mnt);
	if (ret)
		return ret;

	self->tr = trace_array_get_by_name(SNAPSHOT_MAP_TEST_DIR, NULL);
	if (!self->tr)
		return -ENOMEM;
	ret = kunit_add_action_or_reset(test, snapshot_map_test_destroy,
					self->tr);
	if (ret)
		return ret;
	ret = tracing_alloc_snapshot_instance(self->tr);
	if (ret)
		return ret;
	/* As tracing_snapshot_cond_enable(), which would exclude mappings. */
	self->cond.update = snapshot_map_test_hold;
	self->tr->cond_snapshot = &self->cond;

	snprintf(path, sizeof(path), "instances/%s/per_cpu/cpu%d/trace_pipe_raw",
		 SNAPSHOT_MAP_TEST_DIR, self->cpu);
	self->file = file_open_root_mnt(mnt, path, O_RDONLY | O_NONBLOCK, 0);
	if (IS_ERR(self->file))
		return PTR_ERR(self->file);
	ret = kunit_add_action_or_reset(test, snapshot_map_test_close,
					self->file);
	if (ret)
		return ret;

	/* The first time something else could wait for the CPU that is held. */
	addr = snapshot_map_test_mmap(self);
	return IS_ERR_VALUE(addr) ? addr : vm_munmap(addr, PAGE_SIZE);
}

static struct kunit_case snapshot_map_test_cases[] = {
	KUNIT_CASE_SLOW(mmap_waits_for_a_snapshot_in_flight),
	KUNIT_CASE_SLOW(d10_second_mmap_waits_too),
	KUNIT_CASE_SLOW(d22_snapshot_is_preempted),
	{}
};

static struct kunit_suite snapshot_map_test_suite = {
	.name		= "trace_snapshot_map",
	.init		= snapshot_map_test_init,
	.test_cases	= snapshot_map_test_cases,
};

kunit_test_suite(snapshot_map_test_suite);

MODULE_DESCRIPTION("KUnit tests of mmap() of trace_pipe_raw beside a snapshot");
MODULE_LICENSE("GPL");
