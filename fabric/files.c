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

ssize_t fab_file_read(const char *path, char *buf, size_t cap, mode_t mode_refused)
{
	/* O_NONBLOCK: a FIFO in the file's place must not hang us. */
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	if (fd < 0)
		return -errno;
	ssize_t ret = 0;
	struct stat st;
	if (fstat(fd, &st) < 0)
		ret = -errno;
	else if (!S_ISREG(st.st_mode))
		ret = -EINVAL;
	else if (st.st_mode & mode_refused)
		ret = -EPERM;
	size_t have = 0;
	while (ret == 0) {
		if (have + 1 >= cap) {
			ret = -EFBIG;
			break;
		}
		ssize_t n = read(fd, buf + have, cap - 1 - have);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			ret = -errno;
		if (n <= 0)
			break;
		have += (size_t)n;
	}
	close(fd);
	if (ret < 0)
		return ret;
	buf[have] = 0;
	return (ssize_t)have;
}

int fab_file_load(const char *path, size_t max, uint8_t **bytes, size_t *len)
{
	struct stat st;
	uint8_t *buf = NULL;
	size_t have = 0;
	/* O_NONBLOCK: a FIFO in the file's place must not hang us. */
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY), ret = fd < 0 ? -errno : 0;
	if (ret)
		return ret;
	if (fstat(fd, &st) < 0)
		ret = -errno;
	else if (!S_ISREG(st.st_mode))
		ret = -EINVAL;
	else if ((uint64_t)st.st_size > max)
		ret = -EFBIG;
	/* One byte more than the file has, so that its end is seen; one that grows meanwhile is cut off as too large. */
	size_t cap = ret ? 0 : (size_t)st.st_size + 1;
	if (!ret && !(buf = malloc(cap)))
		ret = -ENOMEM;
	while (!ret) {
		ssize_t n = read(fd, buf + have, cap - have);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			ret = -errno;
		if (n <= 0)
			break;
		have += (size_t)n;
		if (have == cap)
			ret = -EFBIG;
	}
	close(fd);
	if (ret) {
		free(buf);
		return ret;
	}
	*bytes = buf;
	*len = have;
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
