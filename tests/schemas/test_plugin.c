/* SPDX-License-Identifier: BSD-2-Clause */
/* protoc-gen-weft as protoc runs it: what it makes compiles with our warnings, in C with both compilers and its headers in
 * C++; what it refuses, it refuses with file, line and reason; and bytes that are no request are no crash. Run from the
 * tree's root. What the generated code does is test_method.c's. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>
#include <google/protobuf/compiler/plugin.pb-c.h>

#define PLUGIN BUILD_DIR "/bin/protoc-gen-weft"
#define WARNINGS                                                                                                               \
	"-Wall -Wextra -Werror -Wconversion -Wsign-conversion -Wshadow -Wstrict-prototypes -Wmissing-prototypes -Wvla "        \
	"-Wformat=2 -Wundef"
#define HEAD "syntax = \"proto3\";\npackage t;\n"
#define ONE_WAY "import \"weft/options.proto\";\nimport \"google/protobuf/empty.proto\";\n"

typedef Google__Protobuf__Compiler__CodeGeneratorRequest request_t;
typedef Google__Protobuf__Compiler__CodeGeneratorResponse response_t;
typedef Google__Protobuf__FileDescriptorProto file_t;

static char dir[64];
static char said[65536]; /* what the last command printed */

/* Runs a shell command; its exit status, with all that it printed in said. */
static int run(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

static int run(const char *fmt, ...)
{
	char command[2048];
	size_t n;
	va_list ap;
	FILE *f;
	int rc;

	memcpy(command, "exec 2>&1; ", 11);
	va_start(ap, fmt);
	assert_true(vsnprintf(command + 11, sizeof(command) - 11, fmt, ap) < (int)sizeof(command) - 11);
	va_end(ap);
	f = popen(command, "re");
	assert_non_null(f);
	n = fread(said, 1, sizeof(said) - 1, f);
	said[n] = 0;
	rc = pclose(f);
	return WIFEXITED(rc) ? WEXITSTATUS(rc) : 128;
}

static void put_file(const char *name, const void *bytes, size_t len)
{
	char path[128];
	FILE *f;

	snprintf(path, sizeof(path), "%s/%s", dir, name);
	f = fopen(path, "wb");
	assert_non_null(f);
	assert_int_equal(fwrite(bytes, 1, len, f), len);
	assert_int_equal(fclose(f), 0);
}

static char *file_text(const char *name)
{
	static char text[2][65536];
	static int turn;
	char *out = text[turn++ % 2], path[128];
	size_t n;
	FILE *f;

	snprintf(path, sizeof(path), "%s/%s", dir, name);
	f = fopen(path, "rb");
	assert_non_null(f);
	n = fread(out, 1, sizeof(text[0]) - 1, f);
	out[n] = 0;
	fclose(f);
	return out;
}

static int set_up(void **state)
{
	(void)state;
	snprintf(dir, sizeof(dir), "/tmp/weft-plugin-XXXXXX");
	return mkdtemp(dir) ? 0 : -1;
}

static int tear_down(void **state)
{
	(void)state;
	return run("rm -rf %s", dir);
}

/* --- what it makes ---------------------------------------------------------------------------------------------------- */

static void generated_code_compiles(void **state)
{
	static const char *const c[] = {"gcc", "clang"}, *const cpp[] = {"g++", "clang++"};
	/* Not plugin.proto: with its method New, protobuf-c's own header is no C++. */
	static const char user[] = "#include \"schemas/demo/home.weft.h\"\n#include \"schemas/demo/home.weft.h\"\n"
				   "static demo_valve_act_fn done;\n"
				   "static void done(struct weft *, const struct weft_result *, const Demo__ActReply *, void *)\n"
				   "{ }\n"
				   "int call(struct weft *w, const Demo__ActRequest *q);\n"
				   "int call(struct weft *w, const Demo__ActRequest *q)\n"
				   "{ return demo_valve_act(w, \"valve\", q, 0, done, nullptr); }\n";

	(void)state;
	assert_int_equal(run("protoc --plugin=%s --weft_out=include=guest-lib/method.h:%s -I. -Ischemas tests/schemas/plugin.proto",
			     PLUGIN, dir),
			 0);
	assert_string_equal(said, "");
	for (int i = 0; i < 2; i++)
		if (run("%s -std=gnu11 -O2 " WARNINGS " -I. -I%s -I%s/gen -fsyntax-only %s/tests/schemas/plugin.weft.c", c[i],
			dir, BUILD_DIR, dir))
			fail_msg("%s: %s", c[i], said);
	put_file("user.cc", user, sizeof(user) - 1);
	assert_int_equal(run("protoc --plugin=%s --weft_out=include=guest-lib/method.h:%s -I. -Ischemas schemas/demo/home.proto",
			     PLUGIN, dir),
			 0);
	for (int i = 0; i < 2; i++)
		if (run("command -v %s", cpp[i]) == 0 &&
		    run("%s -std=c++11 -Wall -Wextra -Werror -Wconversion -Wsign-conversion -I. -I%s -I%s/gen -fsyntax-only "
			"%s/user.cc",
			cpp[i], dir, BUILD_DIR, dir))
			fail_msg("%s: %s", cpp[i], said);
}

static void the_same_again(void **state)
{
	char *a, *b;

	(void)state;
	for (int i = 0; i < 2; i++)
		assert_int_equal(run("mkdir -p %s/%d && "
				     "protoc --plugin=%s --weft_out=%s/%d -I. -Ischemas tests/schemas/plugin.proto",
				     dir, i, PLUGIN, dir, i),
				 0);
	a = file_text("0/tests/schemas/plugin.weft.h");
	b = file_text("1/tests/schemas/plugin.weft.h");
	assert_string_equal(a, b);
	assert_non_null(strstr(a, "#include \"weft/method.h\"\n"));
	assert_non_null(strstr(a, "/* A comment with * / and / * in it,\n * in two lines. */"));
	assert_non_null(strstr(a, "/* === service road.Nothing === */\n\n/* It has no methods. */"));
	a = file_text("0/tests/schemas/plugin.weft.c");
	b = file_text("1/tests/schemas/plugin.weft.c");
	assert_string_equal(a, b);
}

/* The plugin's answer for x.proto with this text: protoc's exit status. */
static int generate(const char *text, const char *options)
{
	put_file("x.proto", text, strlen(text));
	return run("protoc --plugin=%s --weft_out=%s%s -I%s -Ischemas -I/usr/include %s/x.proto", PLUGIN, options, dir, dir, dir);
}

static void without_services(void **state)
{
	(void)state;
	assert_int_equal(generate(HEAD "message M { optional int32 a = 1; }\n", ""), 0);
	assert_non_null(strstr(file_text("x.weft.h"), "#include \"x.pb-c.h\"\n"));
	assert_null(strstr(file_text("x.weft.h"), "method.h"));
	assert_string_equal(strchr(file_text("x.weft.c"), '\n'), "\n#include \"x.weft.h\"\n");
}

static void names(void **state)
{
	const char *h;

	(void)state;
	assert_int_equal(generate("syntax = \"proto3\";\npackage acme.Home_net.v1;\n"
				  "message Q_a { message In { } }\n"
				  "service WebFront { rpc GetHTTP(Q_a.In) returns (Q_a); rpc Delete(Q_a) returns (Q_a); }\n",
				  "include=a/b.h:"),
			 0);
	h = file_text("x.weft.h");
	assert_non_null(strstr(h, "#include \"a/b.h\"\n"));
	assert_non_null(strstr(h, "\nint acme_home_net_v1_web_front_get_http(struct weft *w, const char *to,"));
	assert_non_null(strstr(h, "const Acme__HomeNet__V1__QA__In *request"));
	assert_non_null(strstr(h, "\tint (*delete_)(struct weft *w"));
	assert_non_null(strstr(h, "ACME_HOME_NET_V1_WEB_FRONT_GET_HTTP_SUBJECT \"acme.Home_net.v1.WebFront/GetHTTP\""));
	/* protobuf-c's option for another package in C. */
	assert_int_equal(generate("syntax = \"proto3\";\npackage a.b;\nimport \"protobuf-c/protobuf-c.proto\";\n"
				  "option (pb_c_file).c_package = \"c.d\";\nmessage M {}\nservice S { rpc R(M) returns (M); }\n",
				  ""),
			 0);
	h = file_text("x.weft.h");
	assert_non_null(strstr(h, "\nint c_d_s_r(struct weft *w, const char *to, const C__D__M *request"));
	assert_non_null(strstr(h, "C_D_S_R_SUBJECT \"a.b.S/R\""));
	assert_int_equal(generate("syntax = \"proto3\";\nmessage M {}\nservice S { rpc R(M) returns (M); }\n", ""), 0);
	assert_non_null(strstr(file_text("x.weft.h"), "\nint s_r(struct weft *w"));
}

/* Marks that turn the direction of text would show a reader other code than the compiler sees, and compilers warn of them. */
static void comments_hide_nothing(void **state)
{
	static const char *const marks[] = {"\u202a", "\u202e", "\u2066", "\u2069"};
	const char *h;

	(void)state;
	assert_int_equal(generate(HEAD "message M {}\n// gr\u00fc\u00df \u202aa\u202eb\u2066c\u2069d \u2027\u202f\u2065\u206a\n"
				       "service S { rpc R(M) returns (M); }\n",
				  ""),
			 0);
	h = file_text("x.weft.h");
	for (size_t i = 0; i < sizeof(marks) / sizeof(marks[0]); i++)
		assert_null(strstr(h, marks[i]));
	assert_non_null(strstr(h, "/* gr\u00fc\u00df ?a?b?c?d \u2027\u202f\u2065\u206a */"));
}

/* An option of somebody else with the number of weft.one_way means nothing. */
static void foreign_option(void **state)
{
	(void)state;
	assert_int_equal(generate("syntax = \"proto3\";\npackage t;\nimport \"google/protobuf/descriptor.proto\";\n"
				  "extend google.protobuf.MethodOptions { bool mine = 57454; }\nmessage M {}\n"
				  "service S { rpc R(M) returns (M) { option (mine) = true; } }\n",
				  ""),
			 0);
	assert_non_null(strstr(file_text("x.weft.h"), "t_s_r_reply("));
	assert_int_equal(generate(HEAD ONE_WAY "message M {}\nservice S {\n"
					       "rpc R(M) returns (google.protobuf.Empty) { option (weft.one_way) = false; }\n}\n",
				  ""),
			 0);
	assert_non_null(strstr(file_text("x.weft.h"), "t_s_r_reply("));
}

/* --- what it refuses -------------------------------------------------------------------------------------------------- */

static void refusals(void **state)
{
	static const struct {
		const char *text, *options;
		const char *place, *why; /* both must be said */
	} cases[] = {
		{HEAD "message M {}\nservice S {\n  rpc R(stream M) returns (M);\n}\n", "", "x.proto:5: t.S/R: ", "streams"},
		{HEAD "message M {}\nservice S {\n\n  rpc R(M) returns (stream M);\n}\n", "", "x.proto:6: t.S/R: ", "streams"},
		{HEAD "message M {}\nservice S {\n  rpc Go(M) returns (M);\n  rpc GoWait(M) returns (M);\n}\n", "",
		 "x.proto:6: t.S: ", "GoWait would be called t_s_go_wait in C, as would something of t.S (Go)"},
		{HEAD "message M {}\nservice S {\n  rpc Serve(M) returns (M);\n}\n", "", "x.proto:5: t.S: ", "t_s_serve"},
		{HEAD "message M {}\nservice S_A { rpc B(M) returns (M); }\nservice s_a { rpc B(M) returns (M); }\n", "",
		 "x.proto:5: t.s_a: ", "t_s_a"},
		{HEAD "message M {}\nservice _S { rpc B(M) returns (M); }\n", "", "x.proto:4: t._S: ", "protobuf-c"},
		{HEAD "message M {}\nservice S { rpc A__B(M) returns (M); }\n", "", "x.proto:4: t.S/A__B: ", "protobuf-c"},
		{HEAD ONE_WAY "message M {}\nservice S {\n  rpc R(M) returns (M) { option (weft.one_way) = true; }\n}\n", "",
		 "x.proto:7: t.S/R: ", "returns google.protobuf.Empty, not t.M"},
		{HEAD ONE_WAY "message M {}\nservice S {\n"
			      "  rpc A(M) returns (google.protobuf.Empty) { option (weft.one_way) = true; }\n"
			      "  rpc B(M) returns (google.protobuf.Empty) { option (weft.one_way) = true; }\n}\n",
		 "", "x.proto:8: t.S: ", "A and B both take t.M one way"},
		{"syntax = \"proto3\";\npackage weft;\nmessage M {}\nservice S { rpc R(M) returns (M); }\n", "",
		 "x.proto:4: weft.S: ", "guest-lib"},
		{"syntax = \"proto3\";\nmessage M {}\nservice Weft { rpc Send(M) returns (M); }\n", "", "x.proto:3: Weft: ",
		 "guest-lib"},
		{"syntax = \"proto3\";\nmessage M {}\nservice Static { rpc Cast(M) returns (M); }\n", "",
		 "x.proto:3: Static/Cast: ", "static_cast, which is a keyword"},
		{HEAD "message M {}\nservice S { rpc Switch(M) returns (M); }\n", "", "x.proto:4: t.S/Switch: ", "keyword of C"},
		{HEAD "message M {}\n", "inclde=x:", "unknown option \"inclde=x\"", "include=PATH"},
		{HEAD "message M {}\n", "include=a\"b:", "unknown option", "include=PATH"},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		if (strchr(cases[i].options, '"')) {
			put_file("x.proto", cases[i].text, strlen(cases[i].text));
			assert_int_not_equal(run("protoc --plugin=%s --weft_out='%s'%s -I%s %s/x.proto", PLUGIN, cases[i].options,
						 dir, dir, dir),
					     0);
		} else {
			if (generate(cases[i].text, cases[i].options) == 0)
				fail_msg("case %zu is not refused", i);
		}
		if (!strstr(said, cases[i].place) || !strstr(said, cases[i].why))
			fail_msg("case %zu says: %s", i, said);
	}
}

/* --- bytes that protoc would not write -------------------------------------------------------------------------------- */

static void not_a_request(void **state)
{
	static const uint8_t truncated[] = {0x7a, 0x7f, 0x0a}, group[] = {0x0b, 0x0c};
	static const uint8_t huge[] = {0x0a, 0xff, 0xff, 0xff, 0xff, 0x0f};
	static const struct {
		const void *bytes;
		size_t len;
	} cases[] = {{"", 0}, {truncated, sizeof(truncated)}, {group, sizeof(group)}, {huge, sizeof(huge)}, {"junk", 4}};
	static uint8_t deep[4096];
	size_t at = sizeof(deep);

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		put_file("in", cases[i].bytes, cases[i].len);
		assert_int_equal(run("%s < %s/in", PLUGIN, dir), 1);
		assert_non_null(strstr(said, "protoc-gen-weft: stdin holds no request of protoc's"));
	}
	/* proto_file, message_type, then nested_type in nested_type. */
	for (int i = 0; i < 60; i++) {
		size_t len = sizeof(deep) - at;
		uint8_t tag = i == 59 ? 0x7a : i == 58 ? 0x22 : 0x1a;

		if (len > 127)
			deep[--at] = (uint8_t)(len >> 7);
		deep[--at] = (uint8_t)((len & 0x7f) | (len > 127 ? 0x80 : 0));
		deep[--at] = tag;
	}
	put_file("in", deep + at, sizeof(deep) - at);
	assert_int_equal(run("%s < %s/in", PLUGIN, dir), 1);
	assert_non_null(strstr(said, "nests types too deep"));
	assert_int_equal(run("%s --help", PLUGIN), 0);
	assert_int_equal(run("%s --nonsense", PLUGIN), 2);
	assert_non_null(strstr(said, "--weft_out"));
}

/* What the plugin answers to a request made by hand; free it with free_unpacked. */
static response_t *ask(const request_t *q)
{
	static uint8_t out[65536];
	size_t n = google__protobuf__compiler__code_generator_request__get_packed_size(q);
	response_t *r;

	assert_true(n <= sizeof(out));
	google__protobuf__compiler__code_generator_request__pack(q, out);
	put_file("in", out, n);
	assert_int_equal(run("%s < %s/in > %s/out", PLUGIN, dir, dir), 0);
	FILE *f;
	char path[128];

	snprintf(path, sizeof(path), "%s/out", dir);
	f = fopen(path, "rb");
	assert_non_null(f);
	n = fread(out, 1, sizeof(out), f);
	fclose(f);
	r = google__protobuf__compiler__code_generator_response__unpack(NULL, n, out);
	assert_non_null(r);
	return r;
}

/* Names that would become other C than was meant, and references to nothing. */
static void hostile_requests(void **state)
{
	static const char *const files[] = {"a\"b.proto", "a\n#include \"x.proto", "/etc/x.proto", "../x.proto", "a*/b.proto",
					    "a\\b.proto", ""};
	request_t q = GOOGLE__PROTOBUF__COMPILER__CODE_GENERATOR_REQUEST__INIT;
	file_t f = GOOGLE__PROTOBUF__FILE_DESCRIPTOR_PROTO__INIT, *fs[] = {&f};
	Google__Protobuf__DescriptorProto m = GOOGLE__PROTOBUF__DESCRIPTOR_PROTO__INIT, *ms[] = {&m};
	Google__Protobuf__ServiceDescriptorProto s = GOOGLE__PROTOBUF__SERVICE_DESCRIPTOR_PROTO__INIT, *ss[] = {&s};
	Google__Protobuf__MethodDescriptorProto r = GOOGLE__PROTOBUF__METHOD_DESCRIPTOR_PROTO__INIT, *rs[] = {&r};
	char good_file[] = "x.proto", good_m[] = "M", good_s[] = "S", good_r[] = "R";
	char type[] = ".M", none[] = ".N", relative[] = "M";
	char evil[] = "M; int main(void)", other[] = "y.proto", evil_package[] = "a..b", *wanted[] = {good_file};
	char **texts[] = {&f.name, &m.name, &s.name, &r.name, &r.input_type, &r.output_type};
	char long_name[600];
	response_t *a;

	(void)state;
	memset(long_name, 'a', sizeof(long_name) - 1);
	long_name[sizeof(long_name) - 1] = 0;
	q.n_file_to_generate = 1;
	q.file_to_generate = wanted;
	q.n_proto_file = 1;
	q.proto_file = fs;
	f.name = good_file;
	f.n_message_type = 1;
	f.message_type = ms;
	m.name = good_m;
	f.n_service = 1;
	f.service = ss;
	s.name = good_s;
	s.n_method = 1;
	s.method = rs;
	r.name = good_r;
	r.input_type = r.output_type = type;

	a = ask(&q);
	assert_null(a->error);
	assert_int_equal(a->n_file, 2);
	assert_string_equal(a->file[0]->name, "x.weft.h");
	assert_string_equal(a->file[1]->name, "x.weft.c");
	assert_int_equal(a->supported_features, 1);
	google__protobuf__compiler__code_generator_response__free_unpacked(a, NULL);

	for (size_t i = 0; i < sizeof(files) / sizeof(files[0]); i++) {
		char name[32];

		snprintf(name, sizeof(name), "%s", files[i]);
		f.name = wanted[0] = name;
		a = ask(&q);
		assert_non_null(a->error);
		assert_int_equal(a->n_file, 0);
		google__protobuf__compiler__code_generator_response__free_unpacked(a, NULL);
	}
	f.name = wanted[0] = good_file;
	/* Each name missing, evil, too long; each type one that is not there. */
	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
		char *const bad[] = {NULL, evil, long_name, none, relative};
		char *good = *texts[i];

		for (size_t k = 0; k < sizeof(bad) / sizeof(bad[0]); k++) {
			if (i < 4 && k == 4)
				continue; /* a good name there */
			*texts[i] = bad[k];
			a = ask(&q);
			if (!a->error || a->n_file)
				fail_msg("name %zu, %s: no error", i, bad[k] ? bad[k] : "missing");
			google__protobuf__compiler__code_generator_response__free_unpacked(a, NULL);
		}
		*texts[i] = good;
	}
	f.package = evil_package;
	a = ask(&q);
	assert_non_null(a->error);
	google__protobuf__compiler__code_generator_response__free_unpacked(a, NULL);
	f.package = NULL;
	wanted[0] = other;
	a = ask(&q);
	assert_non_null(strstr(a->error, "y.proto"));
	google__protobuf__compiler__code_generator_response__free_unpacked(a, NULL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(generated_code_compiles), cmocka_unit_test(the_same_again),
		cmocka_unit_test(without_services),	   cmocka_unit_test(names),
		cmocka_unit_test(comments_hide_nothing),
		cmocka_unit_test(foreign_option),	   cmocka_unit_test(refusals),
		cmocka_unit_test(not_a_request),	   cmocka_unit_test(hostile_requests),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, set_up, tear_down);
}
