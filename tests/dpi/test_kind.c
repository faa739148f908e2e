/* SPDX-License-Identifier: BSD-2-Clause */
/* Kinds of content: text and JSON by their grammars, executables, archives and scripts as real files begin; and what a set
 * makes of them. */
#include "dpi/ndpi.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#define T(s) (const uint8_t *)(s), sizeof(s) - 1
#define ALL (DPI_KINDS - 1u)
#define EXE DPI_KIND_EXECUTABLE
#define ARC DPI_KIND_ARCHIVE
#define SCR DPI_KIND_SCRIPT
#define TXT DPI_KIND_TEXT
#define JSN DPI_KIND_JSON

static struct dpi *inspector;

static int open_all(void **state)
{
	struct dpi_err err;

	(void)state;
	return dpi_open(&inspector, &err);
}

static int close_all(void **state)
{
	(void)state;
	dpi_close(inspector);
	return 0;
}

static unsigned kinds(const void *p, size_t len)
{
	return dpi_kinds_of(inspector->magic, ALL, p, len);
}

/* "hello" or less in each, by the programs that make such files; no timestamps. */
static const struct {
	const char *what;
	const uint8_t *bytes;
	size_t len;
	unsigned kinds;
} files[] = {
	{ "gzip", T("\x1f\x8b\x08\0\0\0\0\0\x02\x03\xcb\x48\xcd\xc9\xc9\xe7\x02\0\x20\x30\x3a\x36\x06\0\0\0"), ARC },
	{ "bzip2", T("BZh91AY&SY\xc1\xc0\x80\xe2\0\0\x01\x41\0\0\x10\x02\x44\xa0\0\x30\xcd\0\xc3\x46\x29\x97\x17"
		"\x72\x45\x38\x50\x90\xc1"
		     "\xc0\x80\xe2"), ARC },
	{ "xz", T("\xfd" "7zXZ\0\0\x04\xe6\xd6\xb4\x46\x02\0\x21\x01\x16\0\0\0\x74\x2f\xe5\xa3\x01\0\x05hello\n\0\0"
		"\0\xa5\x60\x97\xf1\x94\xf6"
		  "\xfd\xe0\0\x01\x1e\x06\xc1\x2f\xa4\x1d\x1f\xb6\xf3\x7d\x01\0\0\0\0\x04YZ"), ARC },
	{ "zstd", T("\x28\xb5\x2f\xfd\x04\x58\x31\0\0hello\n\x53\x88\xbd\x91"), ARC },
	{ "zip", T("PK\x03\x04\x14\0\0\0\0\0\0\0\x21\0\xac\x2a\x93\xd8\x02\0\0\0\x02\0\0\0\x01\0\0\0ahiPK\x01\x02"
		"\x14\x03\x14\0\0\0\0\0\0\0\x21\0"
		   "\xac\x2a\x93\xd8\x02\0\0\0\x02\0\0\0\x01\0\0\0\0\0\0\0\0\0\0\0\x80\x01\0\0\0\0aPK\x05\x06\0\0\0"
			"\0\x01\0\x01\0\x2f\0\0\0"
		   "\x21\0\0\0\0\0"), ARC },
	{ "jar", T("PK\x03\x04\x14\0\0\0\0\0\0\0\x21\0\x83\x16\xdc\x8c\x01\0\0\0\x01\0\0\0\x14\0\x04"
		"\0META-INF/MANIFEST.MF\xfe\xca\0\0x"),
	  ARC | EXE },
	{ "7z", T("7z\xbc\xaf\x27\x1c\0\x04\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0"), ARC },
	{ "rar", T("Rar!\x1a\x07\x01\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0"), ARC },
	{ "cpio", T("07070100000000000000000000000000000001000000000000000000000000"
		    "0000000000000000000000000000000001000000000a\0"), ARC },
	{ "ar", T("!<arch>\na.o/            0           0     0     644     4         `\nabcd"), ARC | TXT },
	{ "deb", T("!<arch>\ndebian-binary   1342943816  0     0     100644  4         `\n2.0\n"), ARC | TXT },
	{ "class", T("\xca\xfe\xba\xbe\0\0\0\x3d\0\x0a\x0a\0\x02\0\x03\x07\0\x04\x0c\0\x05\0\x06\x01\0\x10"), EXE },
	{ "wasm", T("\0asm\x01\0\0\0\x01\x04\x01\x60\0\0\x03\x02\x01\0"), EXE },
	{ "Mach-O", T("\xcf\xfa\xed\xfe\x07\0\0\x01\x03\0\0\0\x02\0\0\0\x10\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0"), EXE },
	{ "MZ", T("MZ\x90\0\x03\0\0\0\x04\0\0\0\xff\xff\0\0\xb8\0\0\0\0\0\0\0\x40\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0"
		  "\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\x80\0\0\0"), EXE },
	{ "dex", T("dex\n035\0\x01\x02\x03\x04"), EXE },
	{ "luac", T("\x1bLuaS\0\x19\x93\r\n\x1a\n\x04\x08\x04\x08\x08"), EXE },
	{ "pyc", T("\xa7\r\r\n\0\0\0\0\0\0\0\0\x10\0\0\0\xe3\0\0\0\0\0\0\0"), EXE },
	{ "sh", T("#!/bin/sh\necho hello\n"), SCR | TXT },
	{ "sh, after a byte order mark", T("\xef\xbb\xbf#!/bin/sh\necho hello\n"), SCR | TXT },
	{ "python", T("#!/usr/bin/env python3\nimport os\nprint(os.getcwd())\n"), SCR | TXT },
	{ "python without a head", T("import os\n\ndef main():\n    print(os.getcwd())\n"), SCR | TXT },
	{ "perl", T("#!/usr/bin/perl -w\nuse strict;\nprint 1;\n"), SCR | TXT },
	{ "php", T("<?php\necho 1;\n?>\n"), SCR | TXT },
	{ "ruby", T("#!/usr/bin/ruby\nputs 1\n"), SCR | TXT },
	{ "awk", T("#! /usr/bin/awk -f\n{ print }\n"), SCR | TXT },
	{ "batch", T("@echo off\r\ndir\r\n"), SCR | TXT },
	{ "an interpreter that nobody knows", T("#!/opt/x/y\n\0\1\2"), SCR },
	{ "prose", T("The quick brown fox jumps over the lazy dog.\n"), TXT },
	{ "UTF-8", T("Gr\xc3\xbc\xc3\x9f""e, \xe2\x82\xac 5, \xf0\x9f\x98\x80\n"), TXT },
	{ "CSV", T("a,b,c\n1,2,3\n4,5,6\n"), TXT },
	{ "XML", T("<?xml version=\"1.0\"?>\n<a><b>1</b></a>\n"), TXT },
	{ "HTML", T("<!DOCTYPE html><html><body>hello</body></html>"), TXT },
	{ "YAML", T("a: 1\nb:\n  - x\n"), TXT },
	{ "base64", T("SGVsbG8sIFdvcmxkISBUaGlzIGlzIGJhc2U2NC4="), TXT },
	{ "a picture", T("\x89PNG\r\n\x1a\n\0\0\0\x0dIHDR\0\0\0\x01\0\0\0\x01\x08\x02\0\0\0\x90\x77\x53\xde"), 0 },
	{ "bytes", T("\x01\x02\x03\x80\x81\xfe\xff"), 0 },
	{ "UTF-16", T("h\0e\0l\0l\0o\0"), 0 },
	{ "Latin-1", T("Gr\xfc\xdf""e"), 0 },
	{ "a control character", T("a\x1b[31mb"), 0 },
	{ "one of the C1 set", T("a\xc2\x9b""31mb"), 0 },
	{ "an overlong slash", T("a\xc0\xaf""b"), 0 },
	{ "half a surrogate", T("a\xed\xa0\x80"), 0 },
	{ "a cut character", T("a\xe2\x82"), 0 },
	{ "a NUL", T("a\0b"), 0 },
};
#define FILES (sizeof(files) / sizeof(files[0]))

static void files_have_kinds(void **state)
{
	(void)state;
	for (size_t i = 0; i < FILES; i++)
		if (kinds(files[i].bytes, files[i].len) != files[i].kinds)
			fail_msg("%s: kinds %#x, not %#x", files[i].what, kinds(files[i].bytes, files[i].len), files[i].kinds);
}

static void only_what_is_asked_is_told(void **state)
{
	(void)state;
	for (size_t i = 0; i < FILES; i++)
		for (unsigned asked = 0; asked < DPI_KINDS; asked++)
			assert_int_equal(dpi_kinds_of(inspector->magic, asked, files[i].bytes, files[i].len),
				files[i].kinds & asked);
}

static void a_program_of_this_machine_is_one(void **state)
{
	static uint8_t bytes[61440];
	FILE *f = fopen("/proc/self/exe", "rb");

	(void)state;
	assert_non_null(f);
	size_t n = fread(bytes, 1, sizeof(bytes), f);
	fclose(f);
	assert_int_equal(kinds(bytes, n), EXE);
	assert_int_equal(kinds(bytes, 64) & EXE, EXE); /* its header alone */

	memset(bytes, 0, 512); /* what Windows runs: headers only */
	memcpy(bytes, "MZ", 2);
	bytes[0x3c] = 0x80;
	memcpy(bytes + 0x80, "PE\0\0\x64\x86", 6);
	bytes[0x98] = 0x0b;
	bytes[0x99] = 2;
	assert_int_equal(kinds(bytes, 512), EXE);
}

/* A tar archive's first name may be the first line of a script: it is both. */
static void one_thing_can_be_two(void **state)
{
	uint8_t tar[1536] = { 0 };
	unsigned sum = 0;

	(void)state;
	memcpy(tar, "#!/bin/sh\nid\nexit\n#", 19);
	memcpy(tar + 100, "0000644\0000000000\0000000000\00000000000000\00000000000000\0        0", 57);
	memcpy(tar + 257, "ustar\00000", 8);
	for (unsigned i = 0; i < 512; i++)
		sum += tar[i];
	snprintf((char *)tar + 148, 8, "%06o", sum);
	tar[155] = ' ';
	assert_int_equal(kinds(tar, sizeof(tar)), ARC | SCR);
	memset(tar, 'a', 18);
	sum = 0;
	memset(tar + 148, ' ', 8);
	for (unsigned i = 0; i < 512; i++)
		sum += tar[i];
	snprintf((char *)tar + 148, 8, "%06o", sum);
	tar[155] = ' ';
	assert_int_equal(kinds(tar, sizeof(tar)), ARC);
}

static void json_is_one_text(void **state)
{
	static const char *const good[] = {
		"{}", "[]", " {\"a\": [1, 2.5e3, -0, true, false, null, \"\\u20ac\\ud83d\\ude00\"]}\r\n", "1", "\"x\"", "null",
		"\t[1]", "{\"a\":{\"a\":1},\"b\":{\"a\":1}}", "123456789012345678901234567890", "[\"\\u0000\"]",
	};
	static const char *const bad[] = {
		"", " ", "{", "{}{}", "{} x", "[1,]", "{a:1}", "'x'", "{\"a\":1,\"a\":2}", "01", "+1", ".5", "NaN", "[1] // no",
		"\"\x01\"", "\"\xff\"", "\"\\ud800\"", "hello", "tru", "\xef\xbb\xbf{}", "[1\n2]",
	};
	static char deep[8000];

	(void)state;
	for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++)
		if (!(kinds(good[i], strlen(good[i])) & JSN))
			fail_msg("%s is no JSON", good[i]);
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		if (bad[i][0] && (kinds(bad[i], strlen(bad[i])) & JSN))
			fail_msg("%s is JSON", bad[i]);
	assert_false(kinds("{}\0", 3) & JSN);
	memset(deep, '[', sizeof(deep) / 2);
	memset(deep + sizeof(deep) / 2, ']', sizeof(deep) / 2);
	assert_false(kinds(deep, sizeof(deep)) & JSN); /* nested 4,000 deep */
	assert_true(kinds(deep + sizeof(deep) / 2 - 1000, 2000) & JSN);
	deep[0] = 0;
}

static void expect(const char *const *allow, const char *const *forbid, const void *p, size_t len, enum dpi_why why, unsigned k)
{
	struct dpi_profile profile = { .allow = allow, .forbid = forbid };
	const struct dpi_profile *one[] = { &profile };
	struct dpi_finding f;
	struct dpi_set set;
	struct dpi_err err;

	while (allow[profile.n_allow])
		profile.n_allow++;
	while (forbid && forbid[profile.n_forbid])
		profile.n_forbid++;
	if (dpi_set_make(&set, one, 1, &err))
		fail_msg("%s", err.text);
	dpi_inspect(inspector, &set, p, len, &f);
	assert_int_equal(f.why, why);
	assert_int_equal(f.answer, why ? DPI_FORBIDDEN : DPI_CLEAN);
	assert_int_equal(f.kinds, k);
}
#define L(...) (const char *const[]){ __VA_ARGS__, NULL }

static void sets_go_by_kinds(void **state)
{
	static const char json[] = "{\"a\": 1}", prose[] = "Nothing to see here.", sh[] = "#!/bin/sh\nrm x\n";
	static const char get[] = "GET / HTTP/1.1\r\nHost: web.local\r\nAccept: */*\r\n\r\n";

	(void)state;
	expect(L("json"), NULL, json, sizeof(json) - 1, DPI_WHY_NOTHING, JSN);
	expect(L("json"), NULL, prose, sizeof(prose) - 1, DPI_WHY_UNKNOWN, 0);
	expect(L("text"), NULL, prose, sizeof(prose) - 1, DPI_WHY_NOTHING, TXT);
	expect(L("text"), NULL, "\x80\x81\x82", 3, DPI_WHY_UNKNOWN, 0);
	expect(L("text"), NULL, sh, sizeof(sh) - 1, DPI_WHY_NOTHING, TXT);
	expect(L("text"), L("script"), sh, sizeof(sh) - 1, DPI_WHY_KIND, SCR);
	expect(L("text"), L("script"), prose, sizeof(prose) - 1, DPI_WHY_NOTHING, TXT);
	expect(L("unknown"), L("script", "executable", "archive"), sh, sizeof(sh) - 1, DPI_WHY_KIND, SCR);
	expect(L("unknown"), L("script", "executable", "archive"), "\x80\x81\x82", 3, DPI_WHY_NOTHING, 0);
	expect(L("HTTP", "json"), NULL, get, sizeof(get) - 1, DPI_WHY_NOTHING, 0); /* recognised: its kind is not asked for */
	expect(L("HTTP", "json"), NULL, json, sizeof(json) - 1, DPI_WHY_NOTHING, JSN);
	expect(L("text"), NULL, get, sizeof(get) - 1, DPI_WHY_PROTOCOL, 0); /* what nDPI recognises is that first */
	expect(L("none"), NULL, prose, sizeof(prose) - 1, DPI_WHY_UNKNOWN, 0);
	expect(L("none"), NULL, "", 0, DPI_WHY_NOTHING, 0); /* empty is clean */
	/* Recognised and listed, and of a forbidden kind all the same. */
	uint8_t tar[1024] = { 0 };
	unsigned sum = 0;
	memcpy(tar, "SSH-2.0-OpenSSH_9.2\r\n", 21);
	memset(tar + 148, ' ', 8);
	memcpy(tar + 257, "ustar\00000", 8);
	for (unsigned i = 0; i < 512; i++)
		sum += tar[i];
	snprintf((char *)tar + 148, 8, "%06o", sum);
	tar[155] = ' ';
	expect(L("SSH"), NULL, tar, sizeof(tar), DPI_WHY_NOTHING, 0);
	expect(L("SSH"), L("archive"), tar, sizeof(tar), DPI_WHY_KIND, ARC);
}

/* An inspector's sandbox has no files: nothing is opened any more once the inspector is. */
static void no_file_is_opened(void **state)
{
	int status;

	(void)state;
	fflush(NULL);
	pid_t child = fork();
	assert_true(child >= 0);
	if (child == 0) {
		const struct rlimit no_files = { 0, 0 };
		unsigned wrong = setrlimit(RLIMIT_NOFILE, &no_files) != 0 || fopen("/dev/null", "rb") != NULL;
		for (size_t i = 0; i < FILES; i++)
			wrong += kinds(files[i].bytes, files[i].len) != files[i].kinds;
		wrong += kinds("{\"a\":{\"b\":1}}", 13) != (JSN | TXT);
		_exit(wrong ? 1 : 0);
	}
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_int_equal(status, 0);
}

static void random_bytes_are_of_no_kind(void **state)
{
	static uint8_t block[1512]; /* whole words of what is taken of it */
	uint64_t x = 0x9e3779b97f4a7c15ull;
	unsigned some = 0;

	(void)state;
	for (unsigned run = 0; run < 3000; run++) {
		x ^= x << 13, x ^= x >> 7, x ^= x << 17;
		size_t len = x % 1500 + 8;
		for (size_t i = 0; i < len; i += 8) {
			x ^= x << 13, x ^= x >> 7, x ^= x << 17;
			uint64_t v = x * 0x2545f4914f6cdd1dull;
			memcpy(block + i, &v, 8);
		}
		some += kinds(block, len) != 0;
	}
	print_message("of 3000 random payloads %u look like an executable, an archive or a script\n", some);
	assert_true(some <= 3); /* two bytes are enough for some of libmagic's types */
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(files_have_kinds),
		cmocka_unit_test(only_what_is_asked_is_told),
		cmocka_unit_test(a_program_of_this_machine_is_one),
		cmocka_unit_test(one_thing_can_be_two),
		cmocka_unit_test(json_is_one_text),
		cmocka_unit_test(sets_go_by_kinds),
		cmocka_unit_test(no_file_is_opened),
		cmocka_unit_test(random_bytes_are_of_no_kind),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, open_all, close_all);
}
