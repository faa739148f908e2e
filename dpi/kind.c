/* SPDX-License-Identifier: BSD-2-Clause */
/* Kinds of content that nDPI has no names for: text and JSON by their grammars, executables, archives and scripts by libmagic.
 * What a set does with a kind is inspect.c's.
 *
 * libmagic reads the bytes that it knows files by, nearly all of them at the front; it tells a MIME type, the table below what
 * kinds that type is of. It is asked for all types that fit (a tar archive whose first name is "#!/bin/sh" is two things), once
 * about bytes that are no text and once about a text that they may be. It unpacks nothing, runs nothing and opens no file once
 * it is loaded. */
#include "ndpi.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include <jansson.h>
#include <magic.h>

#include "evidence.h"

#define LEN(a) (sizeof(a) / sizeof((a)[0]))
#define MAGIC_FLAGS (MAGIC_MIME_TYPE | MAGIC_CONTINUE | MAGIC_RAW | MAGIC_NO_CHECK_COMPRESS | MAGIC_NO_CHECK_APPTYPE | \
		     MAGIC_NO_CHECK_TOKENS | MAGIC_NO_CHECK_CSV | MAGIC_NO_CHECK_JSON)
/* libmagic's tests of text take time that grows with the square of blank space: 1.4 s for 60 KiB of line ends. So they see the
 * beginning only, and of blank space what separates words and lines. */
#define TEXT_SEEN 512u
#define TEXT_READ 4096u
#define EXECUTABLE DPI_KIND_EXECUTABLE
#define ARCHIVE DPI_KIND_ARCHIVE
#define SCRIPT DPI_KIND_SCRIPT

/* libmagic calls a jump or two a DOS program, one random payload in a hundred. */
static int begins_mz(const uint8_t *p, size_t len)
{
	return len >= 2 && ((p[0] == 'M' && p[1] == 'Z') || (p[0] == 'Z' && p[1] == 'M'));
}

/* RFC 1950 section 2.2; libmagic takes any sum that fits, one random payload in a thousand. Here the four that are written. */
static int begins_zlib(const uint8_t *p, size_t len)
{
	return len >= 2 && p[0] == 0x78 && (p[1] == 0x01 || p[1] == 0x5e || p[1] == 0x9c || p[1] == 0xda);
}

/* libmagic's MIME types (5.44); one that ends with * stands for all that begin so. Sorted by kind, then by name. Documents that are
 * ZIP files are archives: whoever forbids archives means what hides in them. */
static const struct {
	const char *type;
	unsigned kinds;
	int (*also)(const uint8_t *p, size_t len); /* NULL: the type is enough */
} types[] = {
	{ "application/vnd.microsoft.portable-executable", EXECUTABLE, NULL },
	{ "application/wasm", EXECUTABLE, NULL },
	{ "application/x-bytecode.python", EXECUTABLE, NULL },
	{ "application/x-c32-comboot-syslinux-exec", EXECUTABLE, NULL },
	{ "application/x-coff", EXECUTABLE, NULL },
	{ "application/x-commodore-exec", EXECUTABLE, NULL },
	{ "application/x-coredump", EXECUTABLE, NULL },
	{ "application/x-dosdriver", EXECUTABLE, NULL },
	{ "application/x-dosexec", EXECUTABLE, begins_mz },
	{ "application/x-elc", EXECUTABLE, NULL },
	{ "application/x-executable", EXECUTABLE, NULL },
	{ "application/x-innosetup", EXECUTABLE, NULL },
	{ "application/x-installshield", EXECUTABLE, NULL },
	{ "application/x-intel-aml", EXECUTABLE, NULL },
	{ "application/x-java-applet", EXECUTABLE, NULL },
	{ "application/x-lx-executable", EXECUTABLE, NULL },
	{ "application/x-mach-binary", EXECUTABLE, NULL },
	{ "application/x-ms-ne-executable", EXECUTABLE, NULL },
	{ "application/x-ms-shortcut", EXECUTABLE, NULL },
	{ "application/x-ms-w3-executable", EXECUTABLE, NULL },
	{ "application/x-ms-w4-executable", EXECUTABLE, NULL },
	{ "application/x-msi", EXECUTABLE, NULL },
	{ "application/x-nekovm-bytecode", EXECUTABLE, NULL },
	{ "application/x-object", EXECUTABLE, NULL },
	{ "application/x-pie-executable", EXECUTABLE, NULL },
	{ "application/x-sharedlib", EXECUTABLE, NULL },
	{ "application/x-shockwave-flash", EXECUTABLE, NULL },
	{ "application/x-silverlight-app", EXECUTABLE, NULL },
	{ "application/java-archive", EXECUTABLE | ARCHIVE, NULL },
	{ "application/vnd.android.package-archive", EXECUTABLE | ARCHIVE, NULL },
	{ "application/x-java-image", EXECUTABLE | ARCHIVE, NULL },
	{ "application/x-java-jmod", EXECUTABLE | ARCHIVE, NULL },
	{ "application/x-java-pack200", EXECUTABLE | ARCHIVE, NULL },
	{ "application/epub+zip", ARCHIVE, NULL },
	{ "application/gzip", ARCHIVE, NULL },
	{ "application/mac-binhex*", ARCHIVE, NULL },
	{ "application/vnd.comicbook*", ARCHIVE, NULL },
	{ "application/vnd.debian.binary-package", ARCHIVE, NULL },
	{ "application/vnd.gentoo.gpkg", ARCHIVE, NULL },
	{ "application/vnd.gentoo.xpak", ARCHIVE, NULL },
	{ "application/vnd.google-earth.kmz", ARCHIVE, NULL },
	{ "application/vnd.ms-cab-compressed", ARCHIVE, NULL },
	{ "application/vnd.oasis.opendocument.*", ARCHIVE, NULL },
	{ "application/vnd.openofficeorg.extension", ARCHIVE, NULL },
	{ "application/vnd.openxmlformats-officedocument.*", ARCHIVE, NULL },
	{ "application/vnd.sar", ARCHIVE, NULL },
	{ "application/vnd.sun.xml.*", ARCHIVE, NULL },
	{ "application/vnd.symbian.install", ARCHIVE, NULL },
	{ "application/warc", ARCHIVE, NULL },
	{ "application/x-7z-compressed", ARCHIVE, NULL },
	{ "application/x-ace-compressed", ARCHIVE, NULL },
	{ "application/x-apple-diskimage", ARCHIVE, NULL },
	{ "application/x-arc", ARCHIVE, NULL },
	{ "application/x-archive", ARCHIVE, NULL },
	{ "application/x-arj", ARCHIVE, NULL },
	{ "application/x-bzip", ARCHIVE, NULL },
	{ "application/x-bzip2", ARCHIVE, NULL },
	{ "application/x-chrome-extension", ARCHIVE, NULL },
	{ "application/x-compress*", ARCHIVE, NULL },
	{ "application/x-cpio", ARCHIVE, NULL },
	{ "application/x-dzip", ARCHIVE, NULL },
	{ "application/x-fzip", ARCHIVE, NULL },
	{ "application/x-google-ab", ARCHIVE, NULL },
	{ "application/x-gtar", ARCHIVE, NULL },
	{ "application/x-gzip", ARCHIVE, NULL },
	{ "application/x-ia-arc", ARCHIVE, NULL },
	{ "application/x-ios-app", ARCHIVE, NULL },
	{ "application/x-iso9660-image", ARCHIVE, NULL },
	{ "application/x-lha", ARCHIVE, NULL },
	{ "application/x-lrzip", ARCHIVE, NULL },
	{ "application/x-lz4*", ARCHIVE, NULL },
	{ "application/x-lzh-compressed", ARCHIVE, NULL },
	{ "application/x-lzip", ARCHIVE, NULL },
	{ "application/x-lzma", ARCHIVE, NULL },
	{ "application/x-macbinary", ARCHIVE, NULL },
	{ "application/x-ms-cag", ARCHIVE, NULL },
	{ "application/x-ms-compress*", ARCHIVE, NULL },
	{ "application/x-ms-wim", ARCHIVE, NULL },
	{ "application/x-novell-compress", ARCHIVE, NULL },
	{ "application/x-qemu-disk", ARCHIVE, NULL },
	{ "application/x-qpress", ARCHIVE, NULL },
	{ "application/x-rar", ARCHIVE, NULL },
	{ "application/x-rpm", ARCHIVE, NULL },
	{ "application/x-snappy-framed", ARCHIVE, NULL },
	{ "application/x-stuffit", ARCHIVE, NULL },
	{ "application/x-svr4-package", ARCHIVE, NULL },
	{ "application/x-tar", ARCHIVE, NULL },
	{ "application/x-ustar", ARCHIVE, NULL },
	{ "application/x-virtualbox-vhd", ARCHIVE, NULL },
	{ "application/x-vnd.corel.*", ARCHIVE, NULL },
	{ "application/x-xar", ARCHIVE, NULL },
	{ "application/x-xz", ARCHIVE, NULL },
	{ "application/x-zip*", ARCHIVE, NULL },
	{ "application/x-zoo", ARCHIVE, NULL },
	{ "application/zip", ARCHIVE, NULL },
	{ "application/zlib", ARCHIVE, begins_zlib },
	{ "application/zstd", ARCHIVE, NULL },
	{ "application/javascript", SCRIPT, NULL },
	{ "application/x-javascript", SCRIPT, NULL },
	{ "application/x-setupscript", SCRIPT, NULL },
	{ "text/javascript", SCRIPT, NULL },
	{ "text/x-awk", SCRIPT, NULL },
	{ "text/x-execline", SCRIPT, NULL },
	{ "text/x-gawk", SCRIPT, NULL },
	{ "text/x-lua*", SCRIPT, NULL },
	{ "text/x-makefile", SCRIPT, NULL },
	{ "text/x-msdos-batch", SCRIPT, NULL },
	{ "text/x-nawk", SCRIPT, NULL },
	{ "text/x-perl", SCRIPT, NULL },
	{ "text/x-php", SCRIPT, NULL },
	{ "text/x-python", SCRIPT, NULL },
	{ "text/x-ruby", SCRIPT, NULL },
	{ "text/x-script.*", SCRIPT, NULL },
	{ "text/x-shellscript", SCRIPT, NULL },
	{ "text/x-systemtap", SCRIPT, NULL },
	{ "text/x-tcl", SCRIPT, NULL },
};

/* What libmagic 5.44 knows but has no type for, and what runs whatever else it is. */
static const struct {
	const char *begins;
	uint8_t len;
	unsigned kinds;
} heads[] = {
	{ "#!", 2, SCRIPT },
	{ "\xef\xbb\xbf#!", 5, SCRIPT },
	{ "dex\n0", 5, EXECUTABLE }, /* Dalvik */
	{ "\x1bLua", 4, EXECUTABLE },
	{ "\x1bLJ", 3, EXECUTABLE },
	{ "BC\xc0\xde", 4, EXECUTABLE }, /* LLVM */
	{ ";ELC", 4, EXECUTABLE },        /* Emacs; from here on: what may be all text */
	{ "!<arch>\n", 8, ARCHIVE },
	{ "070701", 6, ARCHIVE }, /* cpio */
	{ "070702", 6, ARCHIVE },
	{ "070707", 6, ARCHIVE },
	{ "WARC/", 5, ARCHIVE },
	{ "(This file must be converted with BinHex", 40, ARCHIVE },
};

int dpi_kinds_open(struct magic_set **magic, struct dpi_err *err)
{
	/* Else jansson would read it when it first makes an object, and an inspector may be where no file can be opened. */
	json_object_seed(0);
	*magic = magic_open(MAGIC_FLAGS);
	if (!*magic) {
		snprintf(err->text, sizeof(err->text), "no memory for libmagic");
		return -ENOMEM;
	}
	if (magic_load(*magic, NULL)) {
		snprintf(err->text, sizeof(err->text), "libmagic cannot load its database (Debian: package libmagic-mgc): %s",
			 magic_error(*magic));
		magic_close(*magic);
		*magic = NULL;
		return -ENOENT;
	}
	/* Its patterns are compiled when they are first used, which takes milliseconds: better now than in a message. */
	dpi_kinds_of(*magic, DPI_KIND_EXECUTABLE | DPI_KIND_SCRIPT, (const uint8_t *)"\0", 1);
	dpi_kinds_of(*magic, DPI_KIND_EXECUTABLE | DPI_KIND_SCRIPT, (const uint8_t *)"warm\n", 5);
	return 0;
}

void dpi_kinds_close(struct magic_set *magic)
{
	if (magic)
		magic_close(magic);
}

/* One type of libmagic's answer. */
static unsigned type_kinds(const char *type, size_t type_len, const uint8_t *p, size_t len)
{
	for (size_t i = 0; i < LEN(types); i++) {
		size_t n = strlen(types[i].type);
		int any = types[i].type[n - 1] == '*';
		if (any ? type_len >= n - 1 && memcmp(type, types[i].type, n - 1) == 0
			: type_len == n && memcmp(type, types[i].type, n) == 0)
			return types[i].also && !types[i].also(p, len) ? 0 : types[i].kinds;
	}
	return 0;
}

/* "application/x-tar\n- application/x-gtar\n- application/octet-stream" */
static unsigned types_kinds(const char *said, const uint8_t *p, size_t len)
{
	unsigned kinds = 0;

	while (said && *said) {
		size_t n = strcspn(said, "\n");
		kinds |= type_kinds(said, n, p, len);
		said += n;
		said += strspn(said, "\n- ");
	}
	return kinds;
}

static unsigned bytes_kinds(struct magic_set *magic, const uint8_t *p, size_t len)
{
	unsigned kinds = 0;

	if (len >= 64 && begins_mz(p, len) && memchr(p, 0, 64)) /* libmagic wants all of the next header, too */
		kinds |= EXECUTABLE;
	magic_setflags(magic, MAGIC_FLAGS | MAGIC_NO_CHECK_TEXT);
	return kinds | types_kinds(magic_buffer(magic, p, len), p, len);
}

static int is_blank(uint8_t c)
{
	return c == ' ' || (c >= '\t' && c <= '\r');
}

/* No byte that is in no text, whatever its encoding; but for UTF-16 behind a mark. */
static int may_be_text(const uint8_t *p, size_t len)
{
	if (len >= 2 && ((p[0] == 0xff && p[1] == 0xfe) || (p[0] == 0xfe && p[1] == 0xff)))
		return 1;
	for (size_t i = 0; i < len && i < TEXT_SEEN; i++)
		if (p[i] < 0x20 && !is_blank(p[i]) && p[i] != 0x1b && p[i] != 7 && p[i] != 8)
			return 0;
	return 1;
}

static unsigned text_kinds(struct magic_set *magic, const uint8_t *p, size_t len)
{
	uint8_t text[TEXT_SEEN];
	size_t n = 0;

	for (size_t at = 0; at < len && at < TEXT_READ && n + 2 <= sizeof(text); at++) {
		if (!is_blank(p[at])) {
			text[n++] = p[at];
			continue;
		}
		int line = 0, more = 0;
		for (; at < len && is_blank(p[at]); at++) {
			line |= p[at] == '\n' || p[at] == '\r';
			more = p[at] == ' ' || p[at] == '\t';
		}
		at--;
		if (line)
			text[n++] = '\n';
		if (!line || more)
			text[n++] = ' ';
	}
	magic_setflags(magic, MAGIC_FLAGS);
	return types_kinds(magic_buffer(magic, text, n), text, n);
}

static unsigned heads_kinds(const uint8_t *p, size_t len)
{
	unsigned kinds = 0;

	for (size_t i = 0; i < LEN(heads); i++)
		if (len >= heads[i].len && memcmp(p, heads[i].begins, heads[i].len) == 0)
			kinds |= heads[i].kinds;
	return kinds;
}

/* RFC 8259, with names that are not told twice in one object: what has two meanings is no JSON here. jansson's nesting ends
 * at 2,048. */
static int is_json(const uint8_t *p, size_t len)
{
	json_error_t e;
	size_t at = 0;

	while (at < len && (p[at] == ' ' || p[at] == '\t' || p[at] == '\n' || p[at] == '\r'))
		at++;
	if (at == len || !(strchr("{[\"-tfn", p[at]) || (p[at] >= '0' && p[at] <= '9')) || !p[at])
		return 0;
	json_t *j = json_loadb((const char *)p, len, JSON_DECODE_ANY | JSON_REJECT_DUPLICATES | JSON_ALLOW_NUL |
					     JSON_DECODE_INT_AS_REAL, &e);
	json_decref(j);
	return j != NULL;
}

unsigned dpi_kinds_of(struct magic_set *magic, unsigned asked, const uint8_t *p, size_t len)
{
	unsigned kinds = 0;

	if ((asked & DPI_KIND_TEXT) && dpi_is_text(p, len, 1))
		kinds |= DPI_KIND_TEXT;
	if ((asked & DPI_KIND_JSON) && is_json(p, len))
		kinds |= DPI_KIND_JSON;
	if (asked & (EXECUTABLE | ARCHIVE | SCRIPT))
		kinds |= heads_kinds(p, len) & asked;
	if ((asked & (EXECUTABLE | ARCHIVE)) && !dpi_is_text(p, len, 1)) /* their formats are none, but for some heads */
		kinds |= bytes_kinds(magic, p, len) & asked;
	if ((asked & ~kinds & SCRIPT) && may_be_text(p, len))
		kinds |= text_kinds(magic, p, len) & asked;
	return kinds;
}
