/* SPDX-License-Identifier: BSD-2-Clause */
/* Line files with rotation. A failed or short write is taken back by truncating to the last whole line, so that a
 * retry can neither double a line nor leave half of one. */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "fabric/fail.h"
#include "fabric/log.h"

#define BLOCK 65536u
#define STALE_MAX 1000u /* files of an earlier, longer setting that are looked for */

struct fab_log {
	int fd;
	int torn;          /* bytes of an unfinished write may stand behind `size` */
	uint32_t files;
	uint64_t file_bytes;
	uint64_t size;     /* of the current file, whole lines only */
	uint64_t old_size; /* of the others together */
	uint64_t cut;
	char path[PATH_MAX - 16];
};

/* PATH.k; k 0 is PATH itself. */
static void name_of(const struct fab_log *l, uint32_t k, char out[PATH_MAX])
{
	if (k)
		snprintf(out, PATH_MAX, "%s.%u", l->path, k);
	else
		snprintf(out, PATH_MAX, "%s", l->path);
}

static void new_name(const struct fab_log *l, char out[PATH_MAX])
{
	snprintf(out, PATH_MAX, "%s.new", l->path);
}

static uint64_t size_of(const char *path)
{
	struct stat st;
	return stat(path, &st) == 0 && S_ISREG(st.st_mode) ? (uint64_t)st.st_size : 0;
}

/* Reads exactly len bytes at an offset. 0 or -errno; -ENODATA: the file is shorter. */
static int read_at(int fd, char *buf, size_t len, uint64_t offset)
{
	for (size_t have = 0; have < len;) {
		ssize_t n = pread(fd, buf + have, len - have, (off_t)(offset + have));
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		if (n == 0)
			return -ENODATA;
		have += (size_t)n;
	}
	return 0;
}

/* Removes what follows the last newline. */
static int cut_partial_line(struct fab_log *l, char *err, size_t err_cap)
{
	char buf[FAB_LOG_LINE_MAX];
	size_t len = l->size < sizeof buf ? (size_t)l->size : sizeof buf;
	if (!len)
		return 0;
	int ret = read_at(l->fd, buf, len, l->size - len);
	if (ret)
		return fab_fail(err, err_cap, ret, "%s: %s", l->path, strerror(-ret));
	const char *nl = memrchr(buf, '\n', len);
	if (!nl && l->size > len)
		return fab_fail(err, err_cap, -EINVAL,
				"%s: its last line is longer than any line of ours; move it away", l->path);
	uint64_t whole = nl ? l->size - len + (uint64_t)(nl - buf) + 1 : 0;
	if (whole == l->size)
		return 0;
	if (ftruncate(l->fd, (off_t)whole) < 0)
		return fab_fail(err, err_cap, -errno, "%s: cannot remove an unfinished last line: %s", l->path,
				strerror(errno));
	l->cut = l->size - whole;
	l->size = whole;
	return 0;
}

int fab_log_open(struct fab_log **out, const char *path, uint64_t file_bytes, uint32_t files, char *err, size_t err_cap)
{
	struct fab_log *l = calloc(1, sizeof *l);
	if (!l)
		return fab_fail(err, err_cap, -ENOMEM, "no memory for the log");
	l->fd = -1;
	l->files = files ? files : 1;
	l->file_bytes = file_bytes;
	int ret = 0, n = snprintf(l->path, sizeof l->path, "%s", path);
	if (n < 0 || (size_t)n >= sizeof l->path) {
		ret = fab_fail(err, err_cap, -ENAMETOOLONG, "%s: the path is too long", path);
		goto out;
	}
	char name[PATH_MAX];
	new_name(l, name); /* left by a crash in the middle of a rotation; always empty */
	unlink(name);
	for (uint32_t k = l->files; k < l->files + STALE_MAX; k++) {
		name_of(l, k, name);
		if (unlink(name) < 0)
			break;
	}
	struct stat st;
	l->fd = open(path, O_RDWR | O_APPEND | O_CREAT | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK, 0600);
	if (l->fd < 0 || fstat(l->fd, &st) < 0) {
		ret = fab_fail(err, err_cap, -errno, "%s: %s", path, strerror(errno));
		goto out;
	}
	if (!S_ISREG(st.st_mode)) {
		ret = fab_fail(err, err_cap, -EINVAL, "%s: not a regular file", path);
		goto out;
	}
	l->size = (uint64_t)st.st_size;
	ret = cut_partial_line(l, err, err_cap);
	for (uint32_t k = 1; k < l->files; k++) {
		name_of(l, k, name);
		l->old_size += size_of(name);
	}
out:
	if (ret) {
		if (l->fd >= 0)
			close(l->fd);
		free(l);
		return ret;
	}
	*out = l;
	return 0;
}

/* The new file exists before any name moves, so a full disk or a full descriptor table leaves the old one in use. */
static int rotate(struct fab_log *l)
{
	char from[PATH_MAX], to[PATH_MAX], fresh[PATH_MAX];
	new_name(l, fresh);
	int fd = open(fresh, O_RDWR | O_APPEND | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (fd < 0)
		return -errno;
	/* What leaves our hands should be on the disk; a failure is told when the log is closed or written to. */
	int flushed = fdatasync(l->fd) < 0 ? -errno : 0;
	int ret = flushed == -EINVAL ? 0 : flushed;
	uint64_t lost = 0;
	if (!ret && l->files > 1) {
		name_of(l, l->files - 1, to);
		lost = size_of(to);
	}
	for (uint32_t k = l->files - 1; !ret && k > 1; k--) {
		name_of(l, k - 1, from);
		name_of(l, k, to);
		if (rename(from, to) < 0 && errno != ENOENT)
			ret = -errno;
	}
	if (!ret && l->files > 1) {
		name_of(l, 1, to);
		if (rename(l->path, to) < 0 && errno != ENOENT)
			ret = -errno;
	}
	if (!ret && rename(fresh, l->path) < 0)
		ret = -errno;
	if (ret) {
		unlink(fresh);
		close(fd);
		return ret;
	}
	l->old_size = l->files > 1 ? l->old_size - (lost < l->old_size ? lost : l->old_size) + l->size : 0;
	close(l->fd);
	l->fd = fd;
	l->size = 0;
	return 0;
}

/* Bytes of whole lines at the front of [lines, len) that fit into room. */
static size_t lines_that_fit(const char *lines, size_t len, uint64_t room)
{
	if (len <= room)
		return len;
	const char *nl = room ? memrchr(lines, '\n', (size_t)room) : NULL;
	return nl ? (size_t)(nl - lines) + 1 : 0;
}

static int write_lines(struct fab_log *l, const char *lines, size_t len)
{
	for (size_t have = 0; have < len;) {
		ssize_t n = write(l->fd, lines + have, len - have);
		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0) {
			int ret = n < 0 ? -errno : -EIO;
			l->torn = ftruncate(l->fd, (off_t)l->size) < 0;
			return ret;
		}
		have += (size_t)n;
	}
	l->size += len;
	return 0;
}

int fab_log_append(struct fab_log *l, const char *lines, size_t len, size_t *done)
{
	*done = 0;
	if (l->torn) {
		if (ftruncate(l->fd, (off_t)l->size) < 0)
			return -errno;
		l->torn = 0;
	} else {
		/* Someone may have truncated the file under us; then our idea of its size must not lengthen it. */
		struct stat st;
		if (fstat(l->fd, &st) < 0)
			return -errno;
		l->size = (uint64_t)st.st_size;
	}
	while (*done < len) { /* each round writes at least one line or returns */
		uint64_t room = l->size < l->file_bytes ? l->file_bytes - l->size : 0;
		size_t n = lines_that_fit(lines + *done, len - *done, room);
		if (!n && l->size) {
			int ret = rotate(l);
			if (ret)
				return ret;
			continue;
		}
		if (!n) { /* a line longer than a whole file stands alone */
			const char *nl = memchr(lines + *done, '\n', len - *done);
			n = nl ? (size_t)(nl - (lines + *done)) + 1 : len - *done;
		}
		int ret = write_lines(l, lines + *done, n);
		if (ret)
			return ret;
		*done += n;
	}
	return 0;
}

/* Where the last *n lines of a file begin; *n becomes how many it has of them. */
static int find_last(int fd, uint64_t size, uint32_t *n, uint64_t *start)
{
	char *buf = malloc(BLOCK);
	if (!buf)
		return -ENOMEM;
	int ret = 0;
	uint32_t found = 0, wanted = *n;
	uint64_t at = size;
	*start = 0;
	while (at > 0 && found <= wanted) {
		size_t len = at < BLOCK ? (size_t)at : BLOCK;
		at -= len;
		ret = read_at(fd, buf, len, at);
		if (ret)
			break;
		for (size_t i = len; i > 0; i--) {
			if (buf[i - 1] != '\n')
				continue;
			/* The (wanted + 1)th newline from the end closes the line before ours. */
			if (++found > wanted) {
				*start = at + i;
				break;
			}
		}
	}
	free(buf);
	*n = found > wanted ? wanted : found;
	return ret;
}

int fab_log_last(const struct fab_log *l, uint32_t n, char **text, size_t *len)
{
	*text = NULL;
	*len = 0;
	char *block = NULL;
	size_t block_len = 0;
	int ret = 0;
	for (uint32_t k = 0; k < l->files && n && !ret; k++) {
		char name[PATH_MAX];
		name_of(l, k, name);
		int fd = open(name, O_RDONLY | O_CLOEXEC);
		if (fd < 0)
			continue; /* no such older file */
		uint64_t size = k ? size_of(name) : l->size, start = 0;
		uint32_t have = n;
		ret = find_last(fd, size, &have, &start);
		uint64_t part = size - start;
		if (!ret && part > (uint64_t)n * FAB_LOG_LINE_MAX)
			ret = -EFBIG;
		if (!ret && part) {
			char *bigger = malloc((size_t)part + block_len);
			if (!bigger)
				ret = -ENOMEM;
			else {
				ret = read_at(fd, bigger, (size_t)part, start);
				if (block_len)
					memcpy(bigger + part, block, block_len);
				free(block);
				block = bigger;
				block_len += (size_t)part;
				n -= have;
			}
		}
		close(fd);
	}
	if (ret) {
		free(block);
		return ret;
	}
	*text = block;
	*len = block_len;
	return 0;
}

uint64_t fab_log_bytes(const struct fab_log *l)
{
	return l->size + l->old_size;
}

uint64_t fab_log_cut(const struct fab_log *l)
{
	return l->cut;
}

int fab_log_close(struct fab_log *l)
{
	int ret = fdatasync(l->fd) < 0 && errno != EINVAL ? -errno : 0;
	if (close(l->fd) < 0 && !ret)
		ret = -errno;
	free(l);
	return ret;
}
