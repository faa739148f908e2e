/* SPDX-License-Identifier: BSD-2-Clause */
/* Making and locking the run directory. The locks are flock() on directories that exist anyway, so a crash leaves no
 * stale lock file behind. */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "fabric/config.h"
#include "fabric/fail.h"
#include "fabric/rundir.h"

static int make_parents(const char *path)
{
	char p[PATH_MAX];
	size_t len = strlen(path);
	if (len >= sizeof p)
		return -ENAMETOOLONG;
	memcpy(p, path, len + 1);
	for (size_t i = 1; i < len; i++) {
		if (p[i] != '/')
			continue;
		p[i] = 0;
		if (mkdir(p, 0777) < 0 && errno != EEXIST)
			return -errno;
		p[i] = '/';
	}
	return 0;
}

static int make_private(const char *path, char *err, size_t err_cap)
{
	int ret = make_parents(path);
	if (ret)
		return fab_fail(err, err_cap, ret, "%s: cannot make the directory: %s", path, strerror(-ret));
	if (mkdir(path, 0700) < 0 && errno != EEXIST)
		return fab_fail(err, err_cap, -errno, "%s: cannot make the directory: %s", path, strerror(errno));
	struct stat st;
	if (stat(path, &st) < 0)
		return fab_fail(err, err_cap, -errno, "%s: %s", path, strerror(errno));
	if (!S_ISDIR(st.st_mode))
		return fab_fail(err, err_cap, -ENOTDIR, "%s: not a directory", path);
	if (st.st_uid != geteuid())
		return fab_fail(err, err_cap, -EPERM, "%s: belongs to another user; use a run_dir of your own", path);
	if (st.st_mode & 022)
		return fab_fail(err, err_cap, -EPERM, "%s: others may write in it; it needs mode 0700 (chmod 700)",
				path);
	return 0;
}

static int keys_dir(const struct fab_config *c, char out[PATH_MAX])
{
	int n = snprintf(out, PATH_MAX, "%s/keys", c->run_dir);
	return n < 0 || n >= PATH_MAX ? -ENAMETOOLONG : 0;
}

int fab_rundir_make(const struct fab_config *c, char *err, size_t err_cap)
{
	char keys[PATH_MAX];
	int ret = make_private(c->run_dir, err, err_cap);
	if (ret)
		return ret;
	if (keys_dir(c, keys) < 0)
		return fab_fail(err, err_cap, -ENAMETOOLONG, "%s: the path is too long", c->run_dir);
	return make_private(keys, err, err_cap);
}

int fab_rundir_lock(const struct fab_config *c, enum fab_rundir_lock which, char *err, size_t err_cap)
{
	char path[PATH_MAX];
	int n = which == FAB_LOCK_DAEMON ? snprintf(path, sizeof path, "%s", c->run_dir) : keys_dir(c, path);
	if (n < 0 || n >= (int)sizeof path)
		return fab_fail(err, err_cap, -ENAMETOOLONG, "%s: the path is too long", c->run_dir);
	int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0)
		return fab_fail(err, err_cap, -errno, "%s: %s", path, strerror(errno));
	if (flock(fd, LOCK_EX | LOCK_NB) < 0) {
		int code = -errno;
		close(fd);
		if (code == -EWOULDBLOCK)
			return fab_fail(err, err_cap, code, "%s: %s", c->run_dir,
					which == FAB_LOCK_DAEMON ? "another weftd runs with this run_dir"
								 : "another weft command that starts or stops things is at work");
		return fab_fail(err, err_cap, code, "%s: cannot lock: %s", path, strerror(-code));
	}
	return fd;
}
