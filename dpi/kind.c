/* SPDX-License-Identifier: BSD-2-Clause */
/* Kinds of content that nDPI has no names for: text and JSON by their grammars, executables, archives and scripts by libmagic.
 * What a set does with a kind is inspect.c's.
 *
 * libmagic reads the bytes that it knows files by, nearly all of them at the front; it tells a MIME type, the table below what
 * kinds that type is of. It is asked for all types that fit (a tar archive whose first name is "#!/bin/sh" is two things), it
 * unpacks nothing, runs nothing and opens no file once it is loaded. */
#include "ndpi.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include <jansson.h>
#include <magic.h>

#include "evidence.h"

#define LEN(a) (sizeof(a) / sizeof((a)[0]))
#define MAGIC_KINDS (unsigned)(DPI_KIND_EXECUTABLE | DPI_KIND_ARCHIVE | DPI_KIND_SCRIPT)
#define EXECUTABLE DPI_KIND_EXECUTABLE
#define ARCHIVE DPI_KIND_ARCHIVE
#define SCRIPT DPI_KIND_SCRIPT

/* libmagic's MIME types (5.44); one that ends with * stands for all that begin so. Sorted by kind, then by name. Documents that are
 * ZIP files are archives: whoever forbids archives means what hides in them. */
static const struct {
	const char *type;
	unsigned kinds;
} types[] = {
	{ "application/vnd.microsoft.portable-executable", EXECUTABLE },
	{ "application/wasm", EXECUTABLE },
	{ "application/x-bytecode.python", EXECUTABLE },
	{ "application/x-c32-comboot-syslinux-exec", EXECUTABLE },
	{ "application/x-coff", EXECUTABLE },
	{ "application/x-commodore-exec", EXECUTABLE },
	{ "application/x-coredump", EXECUTABLE },
	{ "application/x-dosdriver", EXECUTABLE },
	{ "application/x-dosexec", EXECUTABLE },
	{ "application/x-elc", EXECUTABLE },
	{ "application/x-executable", EXECUTABLE },
	{ "application/x-innosetup", EXECUTABLE },
	{ "application/x-installshield", EXECUTABLE },
	{ "application/x-intel-aml", EXECUTABLE },
	{ "application/x-java-applet", EXECUTABLE },
	{ "application/x-lx-executable", EXECUTABLE },
	{ "application/x-mach-binary", EXECUTABLE },
	{ "application/x-ms-ne-executable", EXECUTABLE },
	{ "application/x-ms-shortcut", EXECUTABLE },
	{ "application/x-ms-w3-executable", EXECUTABLE },
	{ "application/x-ms-w4-executable", EXECUTABLE },
	{ "application/x-msi", EXECUTABLE },
	{ "application/x-nekovm-bytecode", EXECUTABLE },
	{ "application/x-object", EXECUTABLE },
	{ "application/x-pie-executable", EXECUTABLE },
	{ "application/x-sharedlib", EXECUTABLE },
	{ "application/x-shockwave-flash", EXECUTABLE },
	{ "application/x-silverlight-app", EXECUTABLE },
	{ "application/java-archive", EXECUTABLE | ARCHIVE },
	{ "application/vnd.android.package-archive", EXECUTABLE | ARCHIVE },
	{ "application/x-java-image", EXECUTABLE | ARCHIVE },
	{ "application/x-java-jmod", EXECUTABLE | ARCHIVE },
	{ "application/x-java-pack200", EXECUTABLE | ARCHIVE },
	{ "application/epub+zip", ARCHIVE },
	{ "application/gzip", ARCHIVE },
	{ "application/mac-binhex*", ARCHIVE },
	{ "application/vnd.comicbook*", ARCHIVE },
	{ "application/vnd.debian.binary-package", ARCHIVE },
	{ "application/vnd.gentoo.gpkg", ARCHIVE },
	{ "application/vnd.gentoo.xpak", ARCHIVE },
	{ "application/vnd.google-earth.kmz", ARCHIVE },
	{ "application/vnd.ms-cab-compressed", ARCHIVE },
	{ "application/vnd.oasis.opendocument.*", ARCHIVE },
	{ "application/vnd.openofficeorg.extension", ARCHIVE },
	{ "application/vnd.openxmlformats-officedocument.*", ARCHIVE },
	{ "application/vnd.sar", ARCHIVE },
	{ "application/vnd.sun.xml.*", ARCHIVE },
	{ "application/vnd.symbian.install", ARCHIVE },
	{ "application/warc", ARCHIVE },
	{ "application/x-7z-compressed", ARCHIVE },
	{ "application/x-ace-compressed", ARCHIVE },
	{ "application/x-apple-diskimage", ARCHIVE },
	{ "application/x-arc", ARCHIVE },
	{ "application/x-archive", ARCHIVE },
	{ "application/x-arj", ARCHIVE },
	{ "application/x-bzip", ARCHIVE },
	{ "application/x-bzip2", ARCHIVE },
	{ "application/x-chrome-extension", ARCHIVE },
	{ "application/x-compress*", ARCHIVE },
	{ "application/x-cpio", ARCHIVE },
	{ "application/x-dzip", ARCHIVE },
	{ "application/x-fzip", ARCHIVE },
	{ "application/x-google-ab", ARCHIVE },
	{ "application/x-gtar", ARCHIVE },
	{ "application/x-gzip", ARCHIVE },
	{ "application/x-ia-arc", ARCHIVE },
	{ "application/x-ios-app", ARCHIVE },
	{ "application/x-iso9660-image", ARCHIVE },
	{ "application/x-lha", ARCHIVE },
	{ "application/x-lrzip", ARCHIVE },
	{ "application/x-lz4*", ARCHIVE },
	{ "application/x-lzh-compressed", ARCHIVE },
	{ "application/x-lzip", ARCHIVE },
	{ "application/x-lzma", ARCHIVE },
	{ "application/x-macbinary", ARCHIVE },
	{ "application/x-ms-cag", ARCHIVE },
	{ "application/x-ms-compress*", ARCHIVE },
	{ "application/x-ms-wim", ARCHIVE },
	{ "application/x-novell-compress", ARCHIVE },
	{ "application/x-qemu-disk", ARCHIVE },
	{ "application/x-qpress", ARCHIVE },
	{ "application/x-rar", ARCHIVE },
	{ "application/x-rpm", ARCHIVE },
	{ "application/x-snappy-framed", ARCHIVE },
	{ "application/x-stuffit", ARCHIVE },
	{ "application/x-svr4-package", ARCHIVE },
	{ "application/x-tar", ARCHIVE },
	{ "application/x-ustar", ARCHIVE },
	{ "application/x-virtualbox-vhd", ARCHIVE },
	{ "application/x-vnd.corel.*", ARCHIVE },
	{ "application/x-xar", ARCHIVE },
	{ "application/x-xz", ARCHIVE },
	{ "application/x-zip*", ARCHIVE },
	{ "application/x-zoo", ARCHIVE },
	{ "application/zip", ARCHIVE },
	{ "application/zlib", ARCHIVE },
	{ "application/zstd", ARCHIVE },
	{ "application/javascript", SCRIPT },
	{ "application/x-javascript", SCRIPT },
	{ "application/x-setupscript", SCRIPT },
	{ "text/javascript", SCRIPT },
	{ "text/x-awk", SCRIPT },
	{ "text/x-execline", SCRIPT },
	{ "text/x-gawk", SCRIPT },
	{ "text/x-lua*", SCRIPT },
	{ "text/x-makefile", SCRIPT },
	{ "text/x-msdos-batch", SCRIPT },
	{ "text/x-nawk", SCRIPT },
	{ "text/x-perl", SCRIPT },
	{ "text/x-php", SCRIPT },
	{ "text/x-python", SCRIPT },
	{ "text/x-ruby", SCRIPT },
	{ "text/x-script.*", SCRIPT },
	{ "text/x-shellscript", SCRIPT },
	{ "text/x-systemtap", SCRIPT },
	{ "text/x-tcl", SCRIPT },
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
};

int dpi_kinds_open(struct magic_set **magic, struct dpi_err *err)
{
	/* Else jansson would read it when it first makes an object, and an inspector may be where no file can be opened. */
	json_object_seed(0);
	*magic = magic_open(MAGIC_MIME_TYPE | MAGIC_CONTINUE | MAGIC_RAW | MAGIC_NO_CHECK_COMPRESS | MAGIC_NO_CHECK_APPTYPE |
			    MAGIC_NO_CHECK_TOKENS | MAGIC_NO_CHECK_CSV | MAGIC_NO_CHECK_JSON);
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
	return 0;
}

void dpi_kinds_close(struct magic_set *magic)
{
	if (magic)
		magic_close(magic);
}

/* One type of libmagic's answer. */
static unsigned type_kinds(const char *type, size_t len)
{
	for (size_t i = 0; i < LEN(types); i++) {
		size_t n = strlen(types[i].type);
		int any = types[i].type[n - 1] == '*';
		if (any ? len >= n - 1 && memcmp(type, types[i].type, n - 1) == 0
			: len == n && memcmp(type, types[i].type, n) == 0)
			return types[i].kinds;
	}
	return 0;
}

static unsigned magic_kinds(struct magic_set *magic, const uint8_t *p, size_t len)
{
	unsigned kinds = 0;

	for (size_t i = 0; i < LEN(heads); i++)
		if (len >= heads[i].len && memcmp(p, heads[i].begins, heads[i].len) == 0)
			kinds |= heads[i].kinds;
	/* "application/x-tar\n- application/x-gtar\n- application/octet-stream" */
	const char *said = magic_buffer(magic, p, len);
	while (said && *said) {
		size_t n = strcspn(said, "\n");
		kinds |= type_kinds(said, n);
		said += n;
		said += strspn(said, "\n- ");
	}
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
	if (asked & MAGIC_KINDS)
		kinds |= magic_kinds(magic, p, len) & asked;
	return kinds;
}
