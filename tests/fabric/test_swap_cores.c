/* SPDX-License-Identifier: BSD-2-Clause */
/* All that test_swap.c tries, with each port on a worker of its own; on threads too, which sleep and wake each other. */
#define ROAD_CORES 3u
#include "test_swap.c"
