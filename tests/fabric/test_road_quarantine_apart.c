/* SPDX-License-Identifier: BSD-2-Clause */
/* All that test_road_quarantine.c tries, with content inspected by processes apart: nothing may come out otherwise. */
#define ROAD_ISOLATED BUILD_DIR "/bin/weft-dpi"
#include "test_road_quarantine.c"
