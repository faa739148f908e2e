/* SPDX-License-Identifier: BSD-2-Clause */
/* Reads pcap and pcapng files for tests and calls back with each TCP and UDP payload. Trusts nothing in the file. */
#ifndef TESTS_DPI_CAPTURE_H
#define TESTS_DPI_CAPTURE_H

#include <dirent.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define CAPTURES "../shared/vectors/ndpi/pcap"

typedef void capture_fn(void *arg, unsigned l4, const uint8_t *payload, size_t len);
static unsigned cap_src_port, cap_dst_port; /* of the payload that is being called back with */

static uint32_t cap_u32(const uint8_t *p, int big)
{
	return big ? (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3]
		   : (uint32_t)p[3] << 24 | (uint32_t)p[2] << 16 | (uint32_t)p[1] << 8 | p[0];
}

static unsigned cap_be16(const uint8_t *p)
{
	return (unsigned)p[0] << 8 | p[1];
}

/* An IP packet: its TCP or UDP payload, if any. */
static void cap_ip(const uint8_t *p, size_t len, capture_fn *fn, void *arg)
{
	unsigned l4;
	size_t hdr, total;

	if (len < 20)
		return;
	if (p[0] >> 4 == 4) {
		hdr = (p[0] & 0xfu) * 4;
		total = cap_be16(p + 2);
		l4 = p[9];
		if (cap_be16(p + 6) & 0x1fff)
			return;
	} else if (p[0] >> 4 == 6 && len >= 40) {
		hdr = 40;
		total = 40u + cap_be16(p + 4);
		l4 = p[6];
	} else {
		return;
	}
	if (total > len)
		total = len;
	size_t need = l4 == 6 ? 20 : l4 == 17 ? 8 : SIZE_MAX;
	if (hdr < 20 || need == SIZE_MAX || hdr + need > total)
		return;
	size_t at = hdr + (l4 == 6 ? (size_t)(p[hdr + 12] >> 4) * 4 : 8);
	cap_src_port = cap_be16(p + hdr);
	cap_dst_port = cap_be16(p + hdr + 2);
	if (at < total)
		fn(arg, l4, p + at, total - at);
}

static void cap_link(uint32_t type, const uint8_t *p, size_t len, capture_fn *fn, void *arg)
{
	size_t at = 0;

	if (type == 1) { /* Ethernet */
		at = 12;
		while (len >= at + 4 && (cap_be16(p + at) == 0x8100 || cap_be16(p + at) == 0x88a8))
			at += 4;
		if (len < at + 2 || (cap_be16(p + at) != 0x0800 && cap_be16(p + at) != 0x86dd))
			return;
		at += 2;
	} else if (type == 113) { /* Linux cooked */
		at = 16;
	} else if (type == 104 || type == 0) { /* HDLC, BSD loopback */
		at = 4;
	} else if (type != 12 && type != 101 && type != 228 && type != 229) { /* raw IP */
		return;
	}
	if (at < len)
		cap_ip(p + at, len - at, fn, arg);
}

static void cap_pcapng(const uint8_t *p, size_t len, capture_fn *fn, void *arg)
{
	uint32_t link[64] = { 0 };
	unsigned n_links = 0;
	int big = 0;

	for (size_t at = 0; len - at >= 12;) {
		if (cap_u32(p + at, 0) == 0x0a0d0d0au) {
			big = cap_u32(p + at + 8, 0) != 0x1a2b3c4du;
			n_links = 0;
		}
		uint32_t type = cap_u32(p + at, big), block = cap_u32(p + at + 4, big);
		if (block < 12 || block > len - at)
			return;
		if (type == 1 && block >= 20 && n_links < 64)
			link[n_links++] = big ? cap_be16(p + at + 8) : (uint32_t)(p[at + 9] << 8 | p[at + 8]);
		if (type == 6 && block >= 32) {
			uint32_t on = cap_u32(p + at + 8, big), n = cap_u32(p + at + 20, big);
			if (on < n_links && n <= block - 32)
				cap_link(link[on], p + at + 28, n, fn, arg);
		}
		at += block;
	}
}

/* Returns 0, or -1 when the file cannot be read. */
static int capture_read(const char *path, capture_fn *fn, void *arg)
{
	FILE *f = fopen(path, "rb");
	size_t cap = 64u << 20, len;
	uint8_t *p = f ? malloc(cap) : NULL;

	if (!p) {
		if (f)
			fclose(f);
		return -1;
	}
	len = fread(p, 1, cap, f);
	fclose(f);
	if (len >= 24) {
		uint32_t magic = cap_u32(p, 0);
		int little = magic == 0xa1b2c3d4u || magic == 0xa1b23c4du, big = magic == 0xd4c3b2a1u || magic == 0x4d3cb2a1u;
		if (!little && !big)
			cap_pcapng(p, len, fn, arg);
		uint32_t link = cap_u32(p + 20, big) & 0xffff;
		for (size_t at = 24; (little || big) && len - at >= 16;) {
			uint32_t n = cap_u32(p + at + 8, big);
			at += 16;
			if (n > len - at)
				break;
			cap_link(link, p + at, n, fn, arg);
			at += n;
		}
	}
	free(p);
	return 0;
}

/* The sample captures lie outside the tree. 0, and said so, where they are not. */
static inline int captures_there(void)
{
	if (access(CAPTURES, R_OK) == 0)
		return 1;
	printf("# SKIP: no captures at " CAPTURES "\n");
	return 0;
}

/* capture_read of every sample; *file (file may be NULL) is the name of the one at hand. Returns how many there are, or -1: one
 * cannot be read. */
static inline int captures_read(capture_fn *fn, void *arg, const char **file)
{
	DIR *dir = opendir(CAPTURES);
	int n = 0;

	for (struct dirent *e; dir && n >= 0 && (e = readdir(dir)) != NULL;) {
		char path[600];
		if (e->d_name[0] == '.')
			continue;
		snprintf(path, sizeof(path), CAPTURES "/%s", e->d_name);
		if (file)
			*file = e->d_name;
		n = capture_read(path, fn, arg) == 0 ? n + 1 : -1;
	}
	if (dir)
		closedir(dir);
	return n;
}

#endif
