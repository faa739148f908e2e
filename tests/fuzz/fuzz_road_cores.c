/* SPDX-License-Identifier: BSD-2-Clause */
/* All that fuzz_road.c does, with each port on a worker of its own: in one thread, so that an input does the same each time. */
#define ROAD_CORES 3u
#include "fuzz_road.c"
