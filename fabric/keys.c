/* SPDX-License-Identifier: BSD-2-Clause */
/* Key files: reading with checks, making with libsodium's X25519 pair. */
#include <errno.h>
#include <string.h>

#include <sodium.h>

#include "fabric/fail.h"
#include "fabric/files.h"
#include "fabric/keys.h"

_Static_assert(FAB_KEY_LEN == crypto_box_SECRETKEYBYTES && FAB_KEY_LEN == crypto_box_PUBLICKEYBYTES, "X25519");

#define HEX_LEN (2 * FAB_KEY_LEN)

static int key_read(const char *path, uint8_t key[FAB_KEY_LEN], mode_t mode_refused, char *err, size_t err_cap)
{
	char text[HEX_LEN + 8];
	int ret = 0;
	ssize_t n = fab_file_read(path, text, sizeof text, mode_refused);
	if (n == -EPERM)
		ret = fab_fail(err, err_cap, -EPERM,
			       "%s: others may read this secret key; it needs mode 0600 (chmod 600)", path);
	else if (n < 0 && n != -EFBIG)
		ret = fab_fail(err, err_cap, (int)n, "%s: %s", path, strerror((int)-n));
	else {
		size_t got = 0;
		const char *end = text;
		if (n < (ssize_t)HEX_LEN ||
		    sodium_hex2bin(key, FAB_KEY_LEN, text, HEX_LEN, NULL, &got, &end) != 0 || got != FAB_KEY_LEN ||
		    end != text + HEX_LEN || (size_t)n > HEX_LEN + 1 || (text[HEX_LEN] && text[HEX_LEN] != '\n'))
			ret = fab_fail(err, err_cap, -EINVAL,
				       "%s: not a key file: expected %u hex digits and a newline", path, HEX_LEN);
	}
	sodium_memzero(text, sizeof text);
	if (ret)
		sodium_memzero(key, FAB_KEY_LEN);
	return ret;
}

int fab_key_secret_read(const char *path, uint8_t key[FAB_KEY_LEN], char *err, size_t err_cap)
{
	return key_read(path, key, 077, err, err_cap);
}

int fab_key_public_read(const char *path, uint8_t key[FAB_KEY_LEN], char *err, size_t err_cap)
{
	return key_read(path, key, 0, err, err_cap);
}

static int key_write(const char *path, const uint8_t key[FAB_KEY_LEN], mode_t mode, int force, char *err, size_t err_cap)
{
	char text[HEX_LEN + 2];
	sodium_bin2hex(text, sizeof text, key, FAB_KEY_LEN);
	text[HEX_LEN] = '\n';
	int ret = fab_file_write(path, text, HEX_LEN + 1, mode, !force);
	sodium_memzero(text, sizeof text);
	if (ret == -EEXIST)
		return fab_fail(err, err_cap, ret,
				"%s exists; --force replaces it (and whoever has the old key is shut out)", path);
	if (ret)
		return fab_fail(err, err_cap, ret, "%s: %s", path, strerror(-ret));
	return 0;
}

int fab_key_make(const char *secret_path, const char *public_path, int force, char *err, size_t err_cap)
{
	if (sodium_init() < 0)
		return fab_fail(err, err_cap, -EIO, "libsodium could not start");
	char probe[HEX_LEN + 8];
	if (!force && fab_file_read(public_path, probe, sizeof probe, 0) != -ENOENT)
		return fab_fail(err, err_cap, -EEXIST,
				"%s exists; --force replaces it (and whoever has the old key is shut out)",
				public_path);
	uint8_t pk[FAB_KEY_LEN], sk[FAB_KEY_LEN];
	crypto_box_keypair(pk, sk);
	int ret = key_write(secret_path, sk, 0600, force, err, err_cap);
	if (!ret)
		ret = key_write(public_path, pk, 0644, 1, err, err_cap);
	sodium_memzero(sk, sizeof sk);
	return ret;
}

int fab_key_ensure(const char *secret_path, const char *public_path, char *err, size_t err_cap)
{
	if (sodium_init() < 0)
		return fab_fail(err, err_cap, -EIO, "libsodium could not start");
	uint8_t pk[FAB_KEY_LEN], derived[FAB_KEY_LEN], sk[FAB_KEY_LEN];
	int no_secret = fab_key_secret_read(secret_path, sk, err, err_cap);
	int no_public = fab_key_public_read(public_path, pk, err, err_cap);
	int ret;
	if (no_secret == -ENOENT && no_public == -ENOENT) {
		ret = fab_key_make(secret_path, public_path, 0, err, err_cap);
		return ret < 0 ? ret : 1;
	}
	if (no_secret == -ENOENT)
		return no_public;
	if (no_secret) /* err may hold the public file's complaint by now */
		return fab_key_secret_read(secret_path, sk, err, err_cap);
	crypto_scalarmult_base(derived, sk);
	sodium_memzero(sk, sizeof sk);
	if (no_public == -ENOENT) {
		ret = key_write(public_path, derived, 0644, 0, err, err_cap);
		return ret < 0 ? ret : 1;
	}
	if (no_public)
		return no_public;
	if (sodium_memcmp(pk, derived, sizeof pk) != 0)
		return fab_fail(err, err_cap, -EINVAL, "%s is not the public key of %s; remove one that is wrong",
				public_path, secret_path);
	return 0;
}
