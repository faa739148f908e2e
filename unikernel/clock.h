/* SPDX-License-Identifier: BSD-2-Clause */
/* Monotonic time from the TSC. */
#ifndef UK_CLOCK_H
#define UK_CLOCK_H

#include <stdint.h>

#define UK_CLOCK_KHZ_MIN 100000u   /* no CPU that runs this has a slower TSC */
#define UK_CLOCK_KHZ_MAX 10000000u

/* Sets the frequency: tsc_khz when it is not 0, else kvmclock's, else a measurement of 10 ms against the APIC timer.
 * Interrupts are off. Dies when the value is beyond the limits above. Returns where it came from: static text. */
const char *uk_clock_start(uint32_t tsc_khz);

/* The frequency in use. */
uint32_t uk_clock_khz(void);

/* ns since uk_clock_start(). */
uint64_t uk_clock_now_ns(void);

/* Arms the timer interrupt for the deadline or somewhat before; UINT64_MAX: disarms it. The caller sleeps in a loop. */
void uk_clock_arm(uint64_t deadline_ns);

#endif
