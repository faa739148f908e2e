/* SPDX-License-Identifier: BSD-2-Clause */
/* Which accelerator QEMU shall use, and how fast the guests' time stamp counter runs. */
#ifndef FAB_ACCEL_H
#define FAB_ACCEL_H

#include <stddef.h>
#include <stdint.h>

struct fab_config;

enum fab_accel { FAB_ACCEL_TCG, FAB_ACCEL_KVM };

/* Decides by booting a tiny 64-bit guest under KVM with a deadline: /dev/kvm may exist, open and make a machine, and
 * still not run 64-bit guests. The answer is kept in the run directory until the machine boots again. why gets one
 * line for a person. Never fails: without proof, TCG. */
enum fab_accel fab_accel_choose(const struct fab_config *c, const char *qemu, char *why, size_t why_cap);

/* Runs the probe under an accelerator. 1: the guest ran; 0: not, why says what happened. */
int fab_accel_probe(const struct fab_config *c, const char *qemu, enum fab_accel accel, char *why, size_t why_cap);

/* Frequency of the machine's TSC in kHz, measured against CLOCK_MONOTONIC (takes 50 ms), or 0 where the CPU does not
 * promise a constant one. Guests see the same frequency under TCG and under KVM without scaling. */
uint32_t fab_tsc_khz(void);

#endif
