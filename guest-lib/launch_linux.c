/* SPDX-License-Identifier: BSD-2-Clause */
/* Reads a launch file for a process endpoint. What it says is launch.c's. */
#include <errno.h>
#include <fcntl.h>
#include <sodium.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "port_linux.h"

static int read_all(int fd, char *out, size_t cap, size_t *len)
{
	*len = 0;
	while (*len < cap) {
		ssize_t n = read(fd, out + *len, cap - *len);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		if (n == 0)
			return 0;
		*len += (size_t)n;
	}
	return -EFBIG;
}

int weft_launch_read(struct weft_launch *l, const char *path, char *err, size_t err_cap)
{
	char text[WEFT_LAUNCH_BYTES_MAX + 1u];
	const char *why = "";
	struct stat st;
	size_t len = 0;
	uint32_t line;
	int fd, res;

	fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY);
	if (fd < 0) {
		res = -errno;
		snprintf(err, err_cap, "%s: %s", path, strerror(-res));
		return res;
	}
	res = fstat(fd, &st) < 0 ? -errno : 0;
	if (!res && !S_ISREG(st.st_mode)) {
		res = -EINVAL;
		snprintf(err, err_cap, "%s: not a regular file", path);
		goto out;
	}
	if (!res && (st.st_mode & 0177u)) {
		res = -EPERM;
		snprintf(err, err_cap, "%s: mode is %04o and must be 0600: it holds a secret key", path,
			 (unsigned)st.st_mode & 07777u);
		goto out;
	}
	if (!res)
		res = read_all(fd, text, sizeof(text), &len);
	if (res) {
		snprintf(err, err_cap, "%s: %s", path,
			 res == -EFBIG ? "longer than any launch file" : strerror(-res));
		goto out;
	}
	line = weft_launch_parse(l, text, len, &why);
	if (line) {
		sodium_memzero(l, sizeof(*l));
		res = -EINVAL;
		snprintf(err, err_cap, "%s:%u: %s", path, line, why);
	}
out:
	sodium_memzero(text, sizeof(text));
	close(fd);
	return res;
}
