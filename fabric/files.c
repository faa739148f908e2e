/* SPDX-License-Identifier: BSD-2-Clause */
/* Small files, whole or not at all. What stands in them is their owners' matter. */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "fabric/files.h"

/* Opens a regular file without any of these mode bits. A descriptor or -errno. */
static int regular_open(const char *path, mode_t mode_refused, struct stat *st)
{
	/* O_NONBLOCK: a FIFO in the file's place must not hang us. */
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY), ret = 0;
	if (fd < 0)
		return -errno;
	if (fstat(fd, st) < 0)
		ret = -errno;
	else if (!S_ISREG(st->st_mode))
		ret = -EINVAL;
	else if (st->st_mode & mode_refused)
		ret = -EPERM;
	if (!ret)
		return fd;
	close(fd);
	return ret;
}

/* Reads up to the file's end. Its length or -errno; -EFBIG where it fills buf, because the end was not seen then. */
static ssize_t rest_read(int fd, void *buf, size_t cap)
{
	size_t have = 0;
	while (have < cap) {
		ssize_t n = read(fd, (char *)buf + have, cap - have);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		if (n == 0)
			return (ssize_t)have;
		have += (size_t)n;
	}
	return -EFBIG;
}

ssize_t fab_file_read(const char *path, char *buf, size_t cap, mode_t mode_refused)
{
	struct stat st;
	int fd = regular_open(path, mode_refused, &st);
	if (fd < 0)
		return fd;
	ssize_t len = rest_read(fd, buf, cap);
	close(fd);
	if (len >= 0)
		buf[len] = 0;
	return len;
}

int fab_file_load(const char *path, size_t max, uint8_t **bytes, size_t *len)
{
	struct stat st;
	int fd = regular_open(path, 0, &st);
	if (fd < 0)
		return fd;
	ssize_t ret = (uint64_t)st.st_size > max ? -EFBIG : 0;
	/* One byte more than the file has, so that its end is seen; one that grows meanwhile is cut off as too large. */
	size_t cap = (size_t)st.st_size + 1;
	uint8_t *buf = ret ? NULL : malloc(cap);
	if (!ret)
		ret = buf ? rest_read(fd, buf, cap) : -ENOMEM;
	close(fd);
	if (ret < 0) {
		free(buf);
		return (int)ret;
	}
	*bytes = buf;
	*len = (size_t)ret;
	return 0;
}

int fab_file_write(const char *path, const char *buf, size_t len, mode_t mode, int exclusive)
{
	char tmp[PATH_MAX];
	int n = snprintf(tmp, sizeof tmp, "%s.XXXXXX", path);
	if (n < 0 || (size_t)n >= sizeof tmp)
		return -ENAMETOOLONG;
	int fd = mkostemp(tmp, O_CLOEXEC); /* mode 0600 */
	if (fd < 0)
		return -errno;
	int ret = 0;
	for (size_t done = 0; done < len;) {
		ssize_t w = write(fd, buf + done, len - done);
		if (w < 0 && errno == EINTR)
			continue;
		if (w < 0) {
			ret = -errno;
			goto out;
		}
		done += (size_t)w;
	}
	if (fchmod(fd, mode) < 0 || fsync(fd) < 0) {
		ret = -errno;
		goto out;
	}
	/* link() refuses to replace, rename() replaces: both are atomic. */
	if (exclusive ? link(tmp, path) : rename(tmp, path)) {
		ret = -errno;
		goto out;
	}
	if (!exclusive)
		tmp[0] = 0;
out:
	if (tmp[0])
		unlink(tmp);
	if (close(fd) < 0 && !ret)
		ret = -errno;
	return ret;
}
