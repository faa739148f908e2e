/* SPDX-License-Identifier: BSD-2-Clause */
/* Fuzzes dpi_frame_look(). The input is a list of frames, each behind two bytes of length (little-endian) and one whose
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
	char name[DPI_NAME_MAX];
	struct dpi_err err;

	if (!d && dpi_open(&d, &err))
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
		dpi_frame_look(d, port, frame, len, now, &out);
		free(frame);
		dpi_frame_text(&out, name);
		if (!name[0] || !memchr(name, 0, sizeof(name)))
			abort();
		data += len;
		size -= len;
	}
	return 0;
}
