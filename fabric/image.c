/* SPDX-License-Identifier: BSD-2-Clause */
/* Images in sealed memory. Whether a file looks like an image is check.c's matter. */
#include "fabric/image.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <sodium.h>

#include "fabric/config.h"
#include "fabric/fail.h"
#include "fabric/files.h"

#define CHUNK (1u << 20)
#define SEALS (F_SEAL_WRITE | F_SEAL_GROW | F_SEAL_SHRINK | F_SEAL_SEAL)

static int write_all(int fd, const uint8_t *bytes, size_t len)
{
	for (size_t at = 0; at < len;) {
		ssize_t n = write(fd, bytes + at, len - at);
		if (n < 0 && errno != EINTR)
			return -errno;
		at += n < 0 ? 0 : (size_t)n;
	}
	return 0;
}

static int is_zero(const uint8_t *bytes, size_t len)
{
	return !bytes[0] && !memcmp(bytes, bytes + 1, len - 1);
}

/* Copies up to the end of the file, however long it says that it is. Nothing but zeros takes no memory: a hole of the file is
 * one of the copy. */
static int copy(int to, int from, uint64_t *len)
{
	uint8_t *buf = malloc(CHUNK);
	int ret = buf ? 0 : -ENOMEM;
	*len = 0;
	while (!ret) { /* ends with the file or at the limit */
		ssize_t n = read(from, buf, CHUNK);
		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0) {
			ret = n < 0 ? -errno : 0;
			break;
		}
		*len += (uint64_t)n;
		if (*len > FAB_IMAGE_BYTES_MAX)
			ret = -EFBIG;
		else if (is_zero(buf, (size_t)n))
			ret = lseek(to, n, SEEK_CUR) < 0 ? -errno : 0;
		else
			ret = write_all(to, buf, (size_t)n);
	}
	free(buf);
	if (!ret && ftruncate(to, (off_t)*len) < 0)
		ret = -errno;
	return ret;
}

/* A system may add seals of its own, such as the one against making it executable. */
static int seal(int fd)
{
	if (fcntl(fd, F_ADD_SEALS, SEALS) < 0)
		return -errno;
	int seals = fcntl(fd, F_GET_SEALS);
	return seals < 0 ? -errno : (seals & SEALS) == SEALS ? 0 : -EPERM;
}

/* The digest of what is in the sealed memory, not of what was meant to be written there. Read, not mapped: a fault in a hole
 * would fill it. */
static int digest(struct fab_image *image, uint64_t len)
{
	uint8_t hash[crypto_hash_sha256_BYTES], *buf = malloc(CHUNK);
	crypto_hash_sha256_state state;
	int ret = buf ? 0 : -ENOMEM;
	crypto_hash_sha256_init(&state);
	for (uint64_t at = 0; !ret && at < len;) {
		ssize_t n = pread(image->fd, buf, CHUNK, (off_t)at);
		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			ret = n < 0 ? -errno : -EIO;
		else
			crypto_hash_sha256_update(&state, buf, (size_t)n);
		at += n > 0 ? (uint64_t)n : 0;
	}
	free(buf);
	crypto_hash_sha256_final(&state, hash);
	if (!ret)
		sodium_bin2hex(image->digest, sizeof image->digest, hash, sizeof hash);
	return ret;
}

int fab_image_load(struct fab_image *image, const char *path, char *err, size_t cap)
{
	struct stat st;
	uint64_t len = 0;
	int ret = 0;
	image->fd = -1;
	image->digest[0] = 0;
	/* O_NONBLOCK: a FIFO in the file's place must not hang us. */
	int from = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
	if (from < 0 || fstat(from, &st) < 0)
		ret = -errno;
	else if (!S_ISREG(st.st_mode))
		ret = -EINVAL;
	if (!ret) {
		image->fd = memfd_create("weft-image", MFD_CLOEXEC | MFD_ALLOW_SEALING);
		ret = image->fd < 0 ? -errno : copy(image->fd, from, &len);
	}
	if (!ret)
		ret = seal(image->fd);
	if (!ret)
		ret = digest(image, len);
	if (from >= 0)
		close(from);
	if (!ret)
		return 0;
	fab_image_close(image);
	if (ret == -EFBIG)
		return fab_fail(err, cap, ret, "image %s: longer than %u MiB", path, FAB_IMAGE_BYTES_MAX >> 20);
	return fab_fail(err, cap, ret, "image %s: %s", path, ret == -EINVAL ? "not a regular file" : strerror(-ret));
}

void fab_image_close(struct fab_image *image)
{
	if (image->fd >= 0)
		close(image->fd);
	image->fd = -1;
}

void fab_image_path(const struct fab_image *image, char out[32])
{
	snprintf(out, 32, "/proc/self/fd/%d", image->fd);
}

static int record_path(const struct fab_config *c, const char *name, char out[PATH_MAX])
{
	int n = snprintf(out, PATH_MAX, "%s/%s.image", c->run_dir, name);
	return n < 0 || n >= PATH_MAX ? -ENAMETOOLONG : 0;
}

int fab_image_record(const struct fab_config *c, const char *name, const struct fab_image *image)
{
	char path[PATH_MAX], text[FAB_IMAGE_HEX_LEN + 16];
	int n = snprintf(text, sizeof text, "sha256:%s\n", image->digest);
	int ret = record_path(c, name, path);
	return ret ? ret : fab_file_write(path, text, (size_t)n, 0600, 0);
}

void fab_image_recorded(const struct fab_config *c, const char *name, char out[FAB_IMAGE_HEX_LEN + 1])
{
	char path[PATH_MAX], text[FAB_IMAGE_HEX_LEN + 16];
	out[0] = 0;
	if (record_path(c, name, path) < 0 || fab_file_read(path, text, sizeof text, 0) != 7 + FAB_IMAGE_HEX_LEN + 1 ||
	    strncmp(text, "sha256:", 7) != 0 || strspn(text + 7, "0123456789abcdef") != FAB_IMAGE_HEX_LEN)
		return;
	memcpy(out, text + 7, FAB_IMAGE_HEX_LEN);
	out[FAB_IMAGE_HEX_LEN] = 0;
}
