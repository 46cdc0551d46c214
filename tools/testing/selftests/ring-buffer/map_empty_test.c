// SPDX-License-Identifier: GPL-2.0
/*
 * What GET_READER does not do if there is nothing to consume. It is no rule of
 * the interface: the implementation in C takes the lock.
 */
#include "mapping.h"

#define CPU		0

FIXTURE(empty) {
	struct instance	inst;
	struct mapping	map;
	int		klog;
};

FIXTURE_SETUP(empty)
{
	self->map.fd = -1;
	self->klog = klog_open();
	ASSERT_EQ(pin_to_cpu(CPU), 0);
	ASSERT_EQ(instance_create(&self->inst), 0);
}

FIXTURE_TEARDOWN(empty)
{
	mapping_close(&self->map);
	EXPECT_EQ(instance_destroy(&self->inst), 0);
	EXPECT_EQ(klog_complaints(self->klog), 0);
	close(self->klog);
}

/* Whether the kernel has a symbol with that in its name. */
static bool kernel_has(const char *name)
{
	FILE *file = fopen("/proc/kallsyms", "r");
	bool found = false;
	char line[512];

	if (!file)
		return false;

	while (!found && fgets(line, sizeof(line), file))
		found = strstr(line, name);
	fclose(file);
	return found;
}

/*
 * With nothing to consume, GET_READER does not wait for another consumer of the
 * CPU, as it takes no lock that is held while events are formatted.
 */
TEST_F(empty, needs_no_access)
{
	struct instance watch;
	int idle, calls = 20;

	/* The names of Rust functions have that of their crate. */
	if (!kernel_has("15ring_buffer_map"))
		SKIP(return, "a property of the implementation in Rust");
	if (!instance_has(&self->inst, "set_ftrace_filter"))
		SKIP(return, "no function tracer");
	ASSERT_EQ(mapping_open(&self->map, &self->inst, CPU), 0);
	ASSERT_EQ(watch_function(&watch, "down_read"), 0);

	/* Events are consumed with the lock. */
	watched(&watch, CPU);
	idle = watched(&watch, CPU);
	for (int i = 0; i < calls; i++) {
		ASSERT_EQ(marker_write(&self->inst, i, 8), 0);
		ASSERT_EQ(get_reader(self->map.fd), 0);
	}
	EXPECT_GE(watched(&watch, CPU) - idle, calls);

	for (int i = 0; i < calls; i++)
		ASSERT_EQ(get_reader(self->map.fd), 0);
	EXPECT_LT(watched(&watch, CPU) - idle, calls);
	EXPECT_EQ(self->map.meta->read, calls);
	EXPECT_EQ(instance_destroy(&watch), 0);
}

TEST_HARNESS_MAIN
