/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Allocations that fail one after the other, and what became of those that did
 * not. See Documentation/fault-injection/fault-injection.rst.
 */
#ifndef _RING_BUFFER_FAULT_H
#define _RING_BUFFER_FAULT_H

#include <sys/mount.h>

#include "mapping.h"

#define DEBUGFS		"/sys/kernel/debug"
#define KMEMLEAK	DEBUGFS "/kmemleak"
#define PAGE_OWNER	DEBUGFS "/page_owner_stacks/show_stacks"

/*
 * All allocations may fail, and say nothing. Returns the file that this task's
 * failure is ordered by, or a negative errno.
 */
static inline int faults_open(void)
{
	static const struct {
		const char	*file;
		const char	*value;
	} settings[] = {
		{ "failslab/ignore-gfp-wait",		"N" },
		{ "failslab/verbose",			"0" },
		{ "fail_page_alloc/ignore-gfp-wait",	"N" },
		{ "fail_page_alloc/ignore-gfp-highmem",	"N" },
		{ "fail_page_alloc/min-order",		"0" },
		{ "fail_page_alloc/verbose",		"0" },
	};
	int fd = open("/proc/thread-self/fail-nth", O_RDWR | O_CLOEXEC);

	if (fd < 0)
		return -errno;

	if (access(DEBUGFS "/failslab", F_OK))
		mount("none", DEBUGFS, "debugfs", 0, NULL);
	for (size_t i = 0; i < ARRAY_SIZE(settings); i++) {
		char path[128];
		int ret;

		snprintf(path, sizeof(path), DEBUGFS "/%s", settings[i].file);
		ret = file_write(path, settings[i].value);
		if (ret) {
			close(fd);
			return ret;
		}
	}
	return fd;
}

/* The n-th allocation from now on fails; 0 is none. */
static inline int faults_start(int fd, unsigned int n)
{
	char buf[16];

	snprintf(buf, sizeof(buf), "%u", n);
	return pwrite(fd, buf, strlen(buf), 0) < 0 ? -errno : 0;
}

/* Returns whether an allocation has failed, or a negative errno. */
static inline int faults_stop(int fd)
{
	char buf[16] = "";

	if (pread(fd, buf, sizeof(buf) - 1, 0) <= 0)
		return -EIO;
	return faults_start(fd, 0) ?: atoi(buf) == 0;
}

/*
 * The slab memory that the mapping has lost: 0, or -ENOTUNIQ with the records in
 * buf. An object has to look lost in two scans, and to be older than 5 seconds.
 */
static inline int mapping_leaks(char *buf, size_t size)
{
	int ret;

	sleep_ms(5500);
	ret = file_write(KMEMLEAK, "scan") ?: file_write(KMEMLEAK, "scan");
	if (!ret)
		ret = file_read(KMEMLEAK, buf, size);
	if (ret > 0)
		ret = strstr(buf, "ring_buffer_map") ? -ENOTUNIQ : 0;
	return ret;
}

/*
 * The pages that kmemleak does not know: those that the mapping asked for and has
 * now. Not the slab allocator's, which keeps them for later, and not page tables,
 * which belong to the process and are freed after a grace period.
 */
static inline long mapping_pages(void)
{
	FILE *file = fopen(PAGE_OWNER, "r");
	bool ours = false, others = false;
	char line[512];
	long pages = 0;

	if (!file)
		return -1;

	while (fgets(line, sizeof(line), file)) {
		ours |= !!strstr(line, "ring_buffer_map");
		others |= strstr(line, "slab") || strstr(line, "pte_alloc") ||
			  strstr(line, "pmd_alloc");
		if (strncmp(line, "nr_base_pages: ", 15))
			continue;
		if (ours && !others)
			pages += atol(line + 15);
		ours = false;
		others = false;
	}
	fclose(file);
	return pages;
}

#endif /* _RING_BUFFER_FAULT_H */
