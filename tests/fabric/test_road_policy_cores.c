/* SPDX-License-Identifier: BSD-2-Clause */
/* All that test_road_policy.c tries, with each port on a worker of its own: nothing may come out otherwise. */
#define ROAD_CORES 3u
#include "test_road_policy.c"
