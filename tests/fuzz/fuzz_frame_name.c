/* SPDX-License-Identifier: BSD-2-Clause */
/* Fuzzes dpi_frame_name(). The input is a list of frames, each behind two bytes of length (little-endian) and one whose
 * low bits are the port and whose high bits the seconds that pass before it. */
#include "dpi/dpi.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct dpi *d;
	static uint64_t now = 1;
	struct dpi_frame out;
	struct dpi_err err;

	if (!d && dpi_open(&d, NULL, NULL, 0, &err))
		abort();
	while (size >= 3) {
		size_t len = (size_t)data[0] | (size_t)data[1] << 8;
		uint16_t port = data[2] & 0x1f;
		now += (uint64_t)(data[2] >> 5) * 30u * 1000000000u + 1;
		data += 3;
		size -= 3;
		if (len > size)
			len = size;
		uint8_t *frame = malloc(len ? len : 1); /* its own block: a read past its end is seen */
		if (!frame)
			abort();
		memcpy(frame, data, len);
		memset(&out, 0xa5, sizeof(out));
		dpi_frame_name(d, port, frame, len, now, &out);
		free(frame);
		if (!out.name[0] || !memchr(out.name, 0, sizeof(out.name)))
			abort();
		data += len;
		size -= len;
	}
	return 0;
}
