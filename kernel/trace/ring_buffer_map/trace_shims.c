// SPDX-License-Identifier: GPL-2.0
/*
 * Part of trace.c, which includes it: what it calls is static there.
 */
#include "shims.h"

void trace_map_access_lock(int cpu)
{
	trace_access_lock(cpu);
}

void trace_map_access_unlock(int cpu)
{
	trace_access_unlock(cpu);
}
