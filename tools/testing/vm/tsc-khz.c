// SPDX-License-Identifier: GPL-2.0
/*
 * Prints the frequency of this machine's time-stamp counter in kHz.
 *
 * An emulated guest reads the host's counter, but has no reference that is
 * steady enough to measure it by. Without the figure it falls back to jiffies,
 * and its trace events are dated in steps of 4 ms.
 */
#include <stdio.h>
#include <time.h>
#include <x86intrin.h>

static double ms(const struct timespec *t)
{
	return t->tv_sec * 1e3 + t->tv_nsec / 1e6;
}

int main(void)
{
	const struct timespec pause = { .tv_nsec = 100000000 };
	struct timespec from, to;
	unsigned long long ticks;

	clock_gettime(CLOCK_MONOTONIC, &from);
	ticks = __rdtsc();
	nanosleep(&pause, NULL);
	clock_gettime(CLOCK_MONOTONIC, &to);
	ticks = __rdtsc() - ticks;
	printf("%.0f\n", ticks / (ms(&to) - ms(&from)));
	return 0;
}
