/* SPDX-License-Identifier: BSD-2-Clause */
/* What the comparison of schema sets tells: every rule with a pair that breaks it and one that does not, with name and line;
 * and what it does with sets that are damaged. All pairs are one set each, old and new, with a file for each pair. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "compat_pair.h"
#include "schemas/compat.h"

/* A pair of bodies, whose first line is line 1; "proto2;" in front makes them proto2. What is to be found: "RULE NAME LINE",
 * one a line, sorted; the name without the package, LINE with "old" in front where it is one of the old body. */
#define CEL(text) "option (buf.validate.message).cel_expression = \"" text "\";"

struct pair {
	const char *old, *now, *found;
};

static const struct pair pairs[] = {
	/* --- FIELD_NO_DELETE_UNLESS_NUMBER_RESERVED, STRICT_FIELD_DELETED --- */
	{ "message M {\n int32 a = 1;\n string b = 2;\n}", "message M {\n int32 a = 1;\n}",
	  "FIELD_NO_DELETE_UNLESS_NUMBER_RESERVED M.b old3\nSTRICT_FIELD_DELETED M.b old3\n" },
	{ "message M { int32 a = 1;\n string b = 2; }", "message M { int32 a = 1; reserved 2; }",
	  "STRICT_FIELD_DELETED M.b old2\n" },
	{ "message M { int32 a = 1;\n string b = 7; }", "message M { int32 a = 1; reserved 2 to 6, 7 to max; }",
	  "STRICT_FIELD_DELETED M.b old2\n" },
	{ "message M { string b = 2; }", "message M { string b = 3; reserved \"x\"; }",
	  "FIELD_NO_DELETE_UNLESS_NUMBER_RESERVED M.b old1\nSTRICT_FIELD_DELETED M.b old1\n" },
	{ "message M { string b = 2; }", "message M { string other = 2; int32 c = 3; optional int32 d = 4; }", "" },
	{ "message M { message N {\n int32 a = 1; } N n = 1; }", "message M { message N { reserved 1; } N n = 1; }",
	  "STRICT_FIELD_DELETED M.N.a old2\n" },
	/* --- STRICT_TYPE_DELETED --- */
	{ "message M { int32 a = 1; }\nmessage N { int32 a = 1; }", "message M { int32 a = 1; }",
	  "STRICT_TYPE_DELETED N old2\n" },
	{ "message M {\n message N { }\n int32 a = 1; }", "message M { int32 a = 1; }", "STRICT_TYPE_DELETED M.N old2\n" },
	{ "message M { int32 a = 1; }", "message N { int32 a = 1; } message M { int32 a = 1; }", "" },
	{ "message M { int32 a = 1; } message N { }", "enum N { Z = 0; } message M { int32 a = 1; }",
	  "STRICT_TYPE_DELETED N old1\n" },
	/* --- FIELD_WIRE_COMPATIBLE_TYPE --- */
	{ "message M { int32 a = 1; }", "message M {\n sint32 a = 1; }", "FIELD_WIRE_COMPATIBLE_TYPE M.a 2\n" },
	{ "message M { fixed32 a = 1; }", "message M { fixed64 a = 1; }", "FIELD_WIRE_COMPATIBLE_TYPE M.a 1\n" },
	{ "message M { float a = 1; }", "message M { double a = 1; }", "FIELD_WIRE_COMPATIBLE_TYPE M.a 1\n" },
	{ "message M { int32 a = 1; }", "message M { string a = 1; }", "FIELD_WIRE_COMPATIBLE_TYPE M.a 1\n" },
	{ "message M { bytes a = 1; }", "message M { string a = 1; }", "FIELD_WIRE_COMPATIBLE_TYPE M.a 1\n" },
	{ "message M { string a = 1; }", "message M { bytes a = 1; }", "" },
	{ "message M { bytes a = 1; }", "message M { M a = 1; }", "FIELD_WIRE_COMPATIBLE_TYPE M.a 1\n" },
	{ "enum E { Z = 0; } message M { E a = 1; }", "enum E { Z = 0; } message M { int32 a = 1; }",
	  "FIELD_WIRE_COMPATIBLE_TYPE M.a 1\n" },
	{ "message M { A a = 1; } message A { } message B { }", "message M { B a = 1; } message A { } message B { }",
	  "FIELD_WIRE_COMPATIBLE_TYPE M.a 1\n" },
	{ "message M { A a = 1; } message A { } message B { }", "message M { A other = 1; } message A { } message B { }", "" },
	{ "proto2;message M { optional group G = 1 { } }", "proto2;message M { optional G g = 1; message G { } }",
	  "FIELD_WIRE_COMPATIBLE_TYPE M.g 1\n" },
	{ "message M { enum E { Z = 0; A = 1; } E a = 1; }", "enum E { Z = 0; A = 1; B = 2; } message M { E a = 1; }", "" },
	{ "message M { enum E { Z = 0; A = 1; } E a = 1; }", "enum E { Z = 0; B = 1; } message M { E a = 1; }",
	  "FIELD_WIRE_COMPATIBLE_TYPE M.a 1\n" },
	{ "message M { enum E { Z = 0; A = 1; } E a = 1; }", "enum F { Z = 0; A = 1; } message M { F a = 1; }",
	  "FIELD_WIRE_COMPATIBLE_TYPE M.a 1\n" },
	{ "message M { map<string, int32> a = 1; }", "message M { map<string, string> a = 1; }",
	  "FIELD_WIRE_COMPATIBLE_TYPE M.a (value) 1\n" },
	{ "message M { map<int32, A> a = 1; } message A { }", "message M { map<sint32, A> b = 1; } message A { }",
	  "FIELD_WIRE_COMPATIBLE_TYPE M.b (key) 1\n" },
	{ "message M { map<int32, A> a = 1; } message A { }", "message M { map<int64, A> b = 1; } message A { }", "" },
	{ "message M { map<int32, A> a = 1; } message A { }", "message M { repeated A a = 1; } message A { }",
	  "FIELD_WIRE_COMPATIBLE_TYPE M.a 1\n" },
	/* --- STRICT_TYPE_NARROWED --- */
	{ "message M { int32 a = 1; uint32 b = 2; bool c = 3; sint32 d = 4; }",
	  "message M { int64 a = 1; uint64 b = 2; int32 c = 3; sint64 d = 4; }", "" },
	{ "message M { uint32 a = 1; bool b = 2; }", "message M { int64 a = 1; uint64 b = 2; }", "" },
	{ "message M { int64 a = 1;\n uint32 b = 2;\n int32 c = 3;\n sint64 d = 4;\n int32 e = 5;\n uint64 f = 6; }",
	  "message M { int32 a = 1;\n int32 b = 2;\n bool c = 3;\n sint32 d = 4;\n uint64 e = 5;\n int64 f = 6; }",
	  "STRICT_TYPE_NARROWED M.a 1\nSTRICT_TYPE_NARROWED M.b 2\nSTRICT_TYPE_NARROWED M.c 3\nSTRICT_TYPE_NARROWED M.d 4\n"
	  "STRICT_TYPE_NARROWED M.e 5\nSTRICT_TYPE_NARROWED M.f 6\n" },
	{ "message M { fixed32 a = 1;\n sfixed64 b = 2; }", "message M { sfixed32 a = 1;\n fixed64 b = 2; }",
	  "STRICT_TYPE_NARROWED M.a 1\nSTRICT_TYPE_NARROWED M.b 2\n" },
	{ "message M { int64 a = 1 [(buf.validate.field).int64 = {gte: -5, lte: 5}]; }", "message M { int32 a = 1; }", "" },
	{ "message M { uint64 a = 1 [(buf.validate.field).uint64 = {in: [0, 1]}]; }", "message M { bool a = 1; }", "" },
	/* where a message is excused from rules, they do not keep it within a narrower type */
	{ "message M { N a = 1 [(buf.validate.field).ignore = IGNORE_ALWAYS]; } message N { O o = 1; }\n"
	  "message O { int64 b = 1 [(buf.validate.field).int64 = {gte: 0, lte: 9}];\n map<string, int64> c = 2 "
	  "[(buf.validate.field).map.values.int64.const = 3]; }",
	  "message M { N a = 1 [(buf.validate.field).ignore = IGNORE_ALWAYS]; } message N { O o = 1; }\n"
	  "message O { int32 b = 1 [(buf.validate.field).int32 = {gte: 0, lte: 9}];\n map<string, int32> c = 2 "
	  "[(buf.validate.field).map.values.int32.const = 3]; }",
	  "STRICT_TYPE_NARROWED O.b 2\nSTRICT_TYPE_NARROWED O.c (value) 3\n" },
	{ "message M { repeated N a = 1 [(buf.validate.field).repeated.items.ignore = IGNORE_ALWAYS]; }"
	  " message N { int64 b = 1 [(buf.validate.field).int64.const = 1]; }",
	  "message M { repeated N a = 1 [(buf.validate.field).repeated.items.ignore = IGNORE_ALWAYS]; }"
	  " message N { int32 b = 1; }",
	  "STRICT_TYPE_NARROWED N.b 1\n" },
	{ "message M { map<string, N> a = 1 [(buf.validate.field).map.values.ignore = IGNORE_ALWAYS]; }"
	  " message N { int64 b = 1 [(buf.validate.field).int64.const = 1]; }",
	  "message M { map<string, N> a = 1 [(buf.validate.field).map.values.ignore = IGNORE_ALWAYS]; }"
	  " message N { int32 b = 1; }",
	  "STRICT_TYPE_NARROWED N.b 1\n" },
	{ "message M { int64 a = 1 [(buf.validate.field).int64 = {gte: -5, lte: 5}]; }", "message M { uint32 a = 1; }",
	  "STRICT_TYPE_NARROWED M.a 1\n" },
	{ "message M { map<int64, uint64> a = 1; }", "message M { map<int32, uint32> a = 1; }",
	  "STRICT_TYPE_NARROWED M.a (key) 1\nSTRICT_TYPE_NARROWED M.a (value) 1\n" },
	{ "enum E { Z = 0; } message M { E a = 1 [(buf.validate.field).enum.not_in = 7]; }",
	  "enum E { Z = 0; } message M { E a = 1; }",
	  "STRICT_TYPE_NARROWED M.a 1\n" },
	{ "enum E { Z = 0; } message M { E a = 1 [(buf.validate.field).enum.defined_only = true]; }",
	  "enum E { Z = 0; } message M { E a = 1; }", "" },
	{ "enum E { Z = 0; } message M { E a = 1; }",
	  "enum E { Z = 0; } message M { E a = 1 [(buf.validate.field).enum.not_in = 7]; }", "" },
	{ "proto2;message M { repeated AEntry a = 1; message AEntry { optional int32 key = 1; optional int32 value = 2; } }",
	  "proto2;message M { map<int32, int32> a = 1; }", "STRICT_TYPE_NARROWED M.a 1\n" },
	/* --- FIELD_WIRE_COMPATIBLE_CARDINALITY, MESSAGE_SAME_REQUIRED_FIELDS --- */
	{ "message M { int32 a = 1; }", "message M { repeated int32 a = 1; }", "FIELD_WIRE_COMPATIBLE_CARDINALITY M.a 1\n" },
	{ "message M { repeated int32 a = 1; }", "message M { optional int32 a = 1; }",
	  "FIELD_WIRE_COMPATIBLE_CARDINALITY M.a 1\n" },
	{ "message M { int32 a = 1; optional string b = 2; }", "message M { optional int32 a = 1; string b = 2; }", "" },
	{ "message M { repeated int32 a = 1; }", "message M { repeated int32 a = 1 [packed = false]; }", "" },
	{ "proto2;message M { optional int32 a = 1; }", "proto2;message M {\n required int32 a = 1; }",
	  "FIELD_WIRE_COMPATIBLE_CARDINALITY M.a 2\nMESSAGE_SAME_REQUIRED_FIELDS M.a 2\n" },
	{ "proto2;message M {\n required int32 a = 1; }", "proto2;message M { optional int32 a = 1; }",
	  "FIELD_WIRE_COMPATIBLE_CARDINALITY M.a 1\nMESSAGE_SAME_REQUIRED_FIELDS M.a old2\n" },
	{ "proto2;message M { required int32 a = 1; }", "proto2;message M { required int32 a = 1;\n required int32 b = 2; }",
	  "MESSAGE_SAME_REQUIRED_FIELDS M.b 2\n" },
	{ "proto2;message M { required int32 a = 1;\n required int32 b = 2; }",
	  "proto2;message M { required int32 a = 1; reserved 2; }",
	  "MESSAGE_SAME_REQUIRED_FIELDS M.b old2\nSTRICT_FIELD_DELETED M.b old2\n" },
	{ "proto2;message M { required int32 a = 1; }",
	  "proto2;message M { required int32 b = 1; optional int32 c = 2; }", "" },
	/* --- FIELD_SAME_DEFAULT --- */
	{ "proto2;message M { optional int32 a = 1 [default = 5]; }",
	  "proto2;message M { optional int32 a = 1 [default = 6]; }",
	  "FIELD_SAME_DEFAULT M.a 1\n" },
	{ "proto2;message M { optional int32 a = 1; }", "proto2;message M { optional int32 a = 1 [default = 6]; }",
	  "FIELD_SAME_DEFAULT M.a 1\n" },
	{ "proto2;message M { optional int32 a = 1 [default = 5]; }",
	  "proto2;message M { optional int64 a = 1 [default = 5]; }", "" },
	{ "proto2;message M { optional int32 a = 1; optional bool b = 2 [default = false]; optional string c = 3; }",
	  "proto2;message M { optional int32 a = 1 [default = 0]; optional bool b = 2; optional string c = 3 [default = "
	  "\"\"]; }", "" },
	{ "proto2;message M { optional uint64 a = 1 [default = 18446744073709551615]; }",
	  "proto2;message M { optional uint64 a = 1 [default = 18446744073709551614]; }", "FIELD_SAME_DEFAULT M.a 1\n" },
	{ "proto2;message M { optional double a = 1 [default = nan]; optional float b = 2 [default = -inf]; }",
	  "proto2;message M { optional double a = 1 [default = nan]; optional float b = 2 [default = -inf]; }", "" },
	{ "proto2;message M { optional double a = 1 [default = inf];\n optional float b = 2 [default = 1.5]; }",
	  "proto2;message M { optional double a = 1 [default = nan];\n optional float b = 2 [default = 1.25]; }",
	  "FIELD_SAME_DEFAULT M.a 1\nFIELD_SAME_DEFAULT M.b 2\n" },
	{ "proto2;message M { optional string a = 1 [default = \"a\\\\\\n\"]; optional string b = 2 [default = \"x\"]; }",
	  "proto2;message M { optional bytes a = 1 [default = \"a\\\\\\n\"];\n optional bytes b = 2 [default = \"y\"]; }",
	  "FIELD_SAME_DEFAULT M.b 2\n" },
	{ "proto2;message M { optional bytes a = 1 [default = \"\\000\\377'\"]; }",
	  "proto2;message M { optional bytes a = 1 [default = \"\\000\\376'\"]; }", "FIELD_SAME_DEFAULT M.a 1\n" },
	{ "proto2;enum E { A = 1; B = 2; } message M { optional E a = 1 [default = B]; optional E b = 2; }",
	  "proto2;enum E { A = 1; C = 2; } message M { optional E a = 1 [default = C]; optional E b = 2 [default = A]; }", "" },
	{ "proto2;enum E { A = 1; B = 2; } message M { optional E a = 1;\n optional E b = 2 [default = A]; }",
	  "proto2;enum E { B = 2; A = 1; } message M { optional E a = 1;\n optional E b = 2 [default = B]; }",
	  "FIELD_SAME_DEFAULT M.a 1\nFIELD_SAME_DEFAULT M.b 2\n" },
	/* --- FIELD_SAME_ONEOF --- */
	{ "message M { oneof o { int32 a = 1; int32 b = 2; } }", "message M { oneof o { int32 a = 1; }\n int32 b = 2; }",
	  "FIELD_SAME_ONEOF M.b 2\n" },
	{ "message M { int32 a = 1; int32 b = 2; }", "message M { int32 a = 1;\n oneof o {\n int32 b = 2; } }",
	  "FIELD_SAME_ONEOF M.b 3\n" },
	{ "message M { oneof o { int32 a = 1; int32 b = 2; } }",
	  "message M { oneof o { int32 a = 1; } oneof p { int32 b = 2; } }",
	  "FIELD_SAME_ONEOF M.b 1\n" },
	{ "message M { oneof o { int32 a = 1; } int32 c = 3; optional int32 d = 4; }",
	  "message M { oneof o { int32 x = 1; int32 b = 2; } optional int32 c = 3; int32 d = 4; }", "" },
	/* --- FILE_SAME_PACKAGE has a test of its own; MESSAGE_SAME_MESSAGE_SET_WIRE_FORMAT --- */
	{ "proto2;message M { option message_set_wire_format = true; extensions 4 to max; }",
	  "proto2;message M { extensions 4 to max; }", "MESSAGE_SAME_MESSAGE_SET_WIRE_FORMAT M 1\n" },
	{ "proto2;message M { option message_set_wire_format = true; extensions 4 to max; }",
	  "proto2;message M { option message_set_wire_format = true; extensions 4 to max; }", "" },
	/* --- extensions: strict mode refuses them anyway, other parsers read them --- */
	{ "proto2;message M { extensions 4 to 9; } extend M { optional int32 x = 4; }",
	  "proto2;message M { extensions 4 to 9; }\nextend M { optional string x = 4; }", "FIELD_WIRE_COMPATIBLE_TYPE x 2\n" },
	{ "proto2;message M { extensions 4 to 9; } message N { extend M { optional int32 x = 4 [default = 1]; } }",
	  "proto2;message M { extensions 4 to 9; } message N { extend M { optional int32 x = 4 [default = 2]; } }",
	  "FIELD_SAME_DEFAULT N.x 1\n" },
	{ "proto2;message M { extensions 4 to 9; } extend M { optional int64 x = 4; optional int32 y = 5; }",
	  "proto2;message M { extensions 4 to 9; } extend M { optional int32 x = 4; }", "" },
	{ "proto2;message M { optional int32 a = 4; }",
	  "proto2;message M { extensions 4 to 9; } extend M { optional int32 a = 4; }",
	  "FIELD_NO_DELETE_UNLESS_NUMBER_RESERVED M.a old1\nSTRICT_FIELD_DELETED M.a old1\n" },
	/* --- RESERVED_MESSAGE_NO_DELETE --- */
	{ "message M { reserved 2, 5 to 9;\n reserved \"x\", \"y\"; }", "message M { reserved 5 to 8; reserved \"y\"; }",
	  "RESERVED_MESSAGE_NO_DELETE M old1\nRESERVED_MESSAGE_NO_DELETE M old1\nRESERVED_MESSAGE_NO_DELETE M old2\n" },
	{ "message M { reserved 2, 5 to 9; reserved \"x\"; }",
	  "message M { reserved 1, 2, 8 to max, 7, 5 to 6; reserved \"z\", \"x\"; }", "" },
	{ "message M { reserved 5 to max; }", "message M { reserved 5 to 536870910; }", "RESERVED_MESSAGE_NO_DELETE M old1\n" },
	{ "message M { reserved 5; }", "message M { int32 a = 5; }", "RESERVED_MESSAGE_NO_DELETE M old1\n" },
	/* --- RESERVED_ENUM_NO_DELETE --- */
	{ "enum E { Z = 0; reserved -5 to -1, 3;\n reserved \"X\"; }", "enum E { Z = 0; reserved -4 to -1, 3 to max; }",
	  "RESERVED_ENUM_NO_DELETE E old1\nRESERVED_ENUM_NO_DELETE E old2\n" },
	{ "enum E { Z = 0; reserved -5 to -1; reserved \"X\"; }",
	  "enum E { Z = 0; reserved -5, -4 to -2, -1; reserved \"X\"; }", "" },
	/* --- ENUM_VALUE_NO_DELETE_UNLESS_NUMBER_RESERVED, STRICT_VALUE_DELETED --- */
	{ "enum E { Z = 0;\n A = 1;\n B = 2; }", "enum E { Z = 0;\n B = 2; }",
	  "ENUM_VALUE_NO_DELETE_UNLESS_NUMBER_RESERVED E old2\nSTRICT_VALUE_DELETED E old2\n" },
	{ "enum E { Z = 0;\n A = 1; }", "enum E { Z = 0; reserved 1; }", "STRICT_VALUE_DELETED E old2\n" },
	{ "enum E { Z = 0; A = 1; }", "enum E { Z = 0; RENAMED = 1; C = 2; }", "" },
	{ "enum E { option allow_alias = true; Z = 0; A = 1; B = 1; }", "enum E { Z = 0; B = 1; }", "" },
	/* --- RPC_*, STRICT_METHOD_DELETED --- */
	{ "message M { } message N { } service S { rpc A(M) returns (M);\n rpc B(M) returns (M); }",
	  "message M { } message N { } service S { rpc A(N) returns (M);\n rpc B(M) returns (N); }",
	  "RPC_SAME_REQUEST_TYPE S/A 1\nRPC_SAME_RESPONSE_TYPE S/B 2\n" },
	{ "message M { } service S { rpc A(M) returns (M);\n rpc B(stream M) returns (M); }",
	  "message M { } service S { rpc A(stream M) returns (M);\n rpc B(M) returns (stream M); }",
	  "RPC_SAME_CLIENT_STREAMING S/A 1\nRPC_SAME_CLIENT_STREAMING S/B 2\nRPC_SAME_SERVER_STREAMING S/B 2\n" },
	{ "message M { } service S { rpc A(M) returns (M) { option idempotency_level = IDEMPOTENT; } }",
	  "message M { } service S {\n rpc A(M) returns (M); }", "RPC_SAME_IDEMPOTENCY_LEVEL S/A 2\n" },
	{ "message M { } service S { rpc A(M) returns (M); rpc C(M) returns (M) { option idempotency_level = IDEMPOTENT; } }",
	  "message M { } service S { rpc B(M) returns (M); rpc A(M) returns (M) { option deprecated = true; }"
	  " rpc C(M) returns (M) { option idempotency_level = IDEMPOTENT; } }", "" },
	{ "message M { } service S { rpc A(M) returns (M);\n rpc B(M) returns (M);\n rpc C(stream M) returns (M); }",
	  "message M { } service S { rpc A(M) returns (M); }", "STRICT_METHOD_DELETED S/B old2\n" },
	{ "message M { } service S { rpc A(M) returns (M); }\nservice T { rpc A(M) returns (M); }",
	  "message M { } service S { rpc A(M) returns (M); }", "STRICT_METHOD_DELETED T/A old2\n" },
	/* without a reply a method is no subject */
	{ "message M { } service S { rpc A(M) returns (google.protobuf.Empty); }",
	  "message M { } service S {\n rpc A(M) returns (google.protobuf.Empty) { option (weft.one_way) = true; } }",
	  "STRICT_METHOD_DELETED S/A 2\n" },
	{ "message M { } service S { rpc A(M) returns (google.protobuf.Empty) { option (weft.one_way) = true; } }",
	  "message M { } service S { rpc A(M) returns (google.protobuf.Empty); }", "" },
	{ "message M { } service S { rpc A(M) returns (google.protobuf.Empty) { option (weft.one_way) = true; } }",
	  "message M { } service S { }", "" },
	/* --- STRICT_RULE_TIGHTENED: presence and lists; single values are in test_compat_values.c --- */
	{ "message M { optional int32 a = 1; }", "message M { optional int32 a = 1 [(buf.validate.field).required = true]; }",
	  "STRICT_RULE_TIGHTENED M.a 1\n" },
	{ "message M { optional int32 a = 1 [(buf.validate.field).required = true]; }",
	  "message M { optional int32 a = 1; }", "" },
	{ "message M { int32 a = 1; }", "message M { int32 a = 1;\n int32 b = 2 [(buf.validate.field).int32.gt = 0]; }",
	  "STRICT_RULE_TIGHTENED M.b 2\n" },
	{ "message M { int32 a = 1; }", "message M { int32 a = 1; int32 b = 2 [(buf.validate.field).int32.gte = 0];"
	  " optional int32 c = 3 [(buf.validate.field).int32.gt = 0];"
	  " int32 d = 4 [(buf.validate.field).int32.gt = 0, (buf.validate.field).ignore = IGNORE_IF_ZERO_VALUE];"
	  " repeated int32 e = 5 [(buf.validate.field).repeated.items.int32.gt = 0]; }", "" },
	{ "message M { int32 a = 1; }",
	  "message M { int32 a = 1;\n repeated int32 b = 2 [(buf.validate.field).repeated.min_items = 1];\n"
	  " M c = 3 [(buf.validate.field).required = true]; }",
	  "STRICT_RULE_TIGHTENED M.b 2\nSTRICT_RULE_TIGHTENED M.c 3\n" },
	{ "message M { repeated int32 a = 1; }",
	  "message M { repeated int32 a = 1 [(buf.validate.field).repeated.unique = true]; }",
	  "STRICT_RULE_TIGHTENED M.a 1\n" },
	{ "message M { repeated int32 a = 1 [(buf.validate.field).repeated = {unique: true, min_items: 2, max_items: 5}]; }",
	  "message M { repeated int32 a = 1 [(buf.validate.field).repeated = {unique: true, min_items: 1, max_items: 6}]; "
	  "}", "" },
	{ "message M { repeated int32 a = 1 [(buf.validate.field).repeated = {min_items: 1, max_items: 6}]; }",
	  "message M { repeated int32 a = 1 [(buf.validate.field).repeated = {min_items: 2, max_items: 5}]; }",
	  "STRICT_RULE_TIGHTENED M.a 1\nSTRICT_RULE_TIGHTENED M.a 1\n" },
	{ "message M { repeated int32 a = 1 [(buf.validate.field).repeated.min_items = 1]; }",
	  "message M { repeated int32 a = 1 [(buf.validate.field).required = true]; }", "" },
	{ "message M { repeated int32 a = 1 [(buf.validate.field).repeated.min_items = 2,"
	  " (buf.validate.field).ignore = IGNORE_IF_ZERO_VALUE]; }",
	  "message M { repeated int32 a = 1 [(buf.validate.field).repeated.min_items = 2]; }",
	  "STRICT_RULE_TIGHTENED M.a 1\n" },
	{ "message M { map<string, int32> a = 1 [(buf.validate.field).map = {max_pairs: 5, keys: {string: {max_len: 5}}}]; }",
	  "message M { map<string, int32> a = 1 [(buf.validate.field).map = {max_pairs: 6, keys: {string: {max_len: "
	  "6}}}]; }", "" },
	{ "message M { map<string, int32> a = 1 [(buf.validate.field).map = {max_pairs: 6, keys: {string: {max_len: 6}}}]; }",
	  "message M { map<string, int32> a = 1 [(buf.validate.field).map = {max_pairs: 5, keys: {string: {max_len: 5}},"
	  " values: {int32: {gt: 0}}}]; }",
	  "STRICT_RULE_TIGHTENED M.a (key) 1\nSTRICT_RULE_TIGHTENED M.a (value) 1\nSTRICT_RULE_TIGHTENED M.a 1\n" },
	/* expressions: the same only where the text is, and all that it names */
	{ "message M { " CEL("this.a > 0") " int32 a = 1; }", "message M { " CEL("this.a > 0") " int64 a = 1; }", "" },
	{ "message M { int32 a = 1; }", "message M { " CEL("this.a > 0") " int32 a = 1; }", "STRICT_RULE_TIGHTENED M 1\n" },
	{ "message M { " CEL("this.a > 0") " int32 a = 1; }", "message M { int32 a = 1; }", "" },
	{ "message M { " CEL("this.a > 0") " int32 a = 1; }", "message M { " CEL("this.a > 1") " int32 a = 1; }",
	  "STRICT_RULE_TIGHTENED M 1\n" },
	{ "message M { " CEL("this.a > 0") CEL("this.b > 0") " int32 a = 1; int32 b = 2; }",
	  "message M { " CEL("this.b > 0") CEL("this.a > 0") " int32 a = 1; int32 b = 2; }", "" },
	{ "message M { " CEL("this.a > 0") " int32 a = 1; int32 b = 2; }",
	  "message M { " CEL("this.a > 0") " int32 b = 1; int32 a = 2; }", "STRICT_RULE_TIGHTENED M 1\n" },
	{ "message M { " CEL("has(this.a)") " optional int32 a = 1; }", "message M { " CEL("has(this.a)") " int32 a = 1; }",
	  "STRICT_RULE_TIGHTENED M 1\n" },
	{ "message N { int32 x = 1; } message M { " CEL("this.n.all(n, n.x > 0)") " repeated N n = 1; }",
	  "message N { int32 y = 1; int32 x = 2; } message M { " CEL("this.n.all(n, n.x > 0)") " repeated N n = 1; }",
	  "STRICT_RULE_TIGHTENED M 1\n" },
	{ "message M { int32 a = 1; }",
	  "message M { int32 a = 1;\n repeated int32 b = 2 [(buf.validate.field).cel_expression = \"this.size() < 5\"];\n"
	  " repeated int32 c = 3 [(buf.validate.field).cel_expression = \"true\","
	  " (buf.validate.field).ignore = IGNORE_IF_ZERO_VALUE];\n int32 d = 4 [(buf.validate.field).cel_expression = \"true\"];"
	  " optional int32 e = 5 [(buf.validate.field).cel_expression = \"true\"]; }",
	  "STRICT_RULE_TIGHTENED M.b 2\nSTRICT_RULE_TIGHTENED M.d 4\n" },
	/* absent means zero in one, nothing in the other */
	{ "message M { optional int32 a = 1 [(buf.validate.field).int32.gt = 0]; }",
	  "message M { int32 a = 1 [(buf.validate.field).int32.gt = 0]; }", "STRICT_RULE_TIGHTENED M.a 1\n" },
	{ "message M { int32 a = 1 [(buf.validate.field).int32.gt = 0]; }",
	  "message M { optional int32 a = 1 [(buf.validate.field).int32.gt = 0]; }", "" },
	{ "message M { optional int32 a = 1 [(buf.validate.field).int32.gte = 0]; }",
	  "message M { int32 a = 1 [(buf.validate.field).int32.gte = 0]; }", "" },
	{ "message M { int32 a = 1 [(buf.validate.field).int32.gt = 0]; }",
	  "message M { optional int32 a = 1 [(buf.validate.field).required = true]; }", "" },
	{ "message M { optional int32 a = 1 [(buf.validate.field).required = true]; }",
	  "message M { int32 a = 1 [(buf.validate.field).required = true]; }", "STRICT_RULE_TIGHTENED M.a 1\n" },
	{ "message M { int32 a = 1 [(buf.validate.field).int32.gt = 0, (buf.validate.field).ignore = IGNORE_IF_ZERO_VALUE]; }",
	  "message M { int32 a = 1 [(buf.validate.field).int32.gt = 0]; }", "STRICT_RULE_TIGHTENED M.a 1\n" },
	{ "message M { N a = 1 [(buf.validate.field).ignore = IGNORE_ALWAYS]; } message N { }",
	  "message M { N a = 1; } message N { }",
	  "STRICT_RULE_TIGHTENED M.a 1\n" },
	{ "message M { N a = 1; } message N { int32 b = 1 [(buf.validate.field).int32.gt = 5]; }",
	  "message M { N a = 1 [(buf.validate.field).ignore = IGNORE_ALWAYS]; }"
	  " message N { int32 b = 1 [(buf.validate.field).int32.gt = 5]; }", "" },
	/* --- whole messages --- */
	{ "message M { oneof o { int32 a = 1; } }",
	  "message M { oneof o { option (buf.validate.oneof).required = true; int32 a = 1; } }",
	  "STRICT_RULE_TIGHTENED M 1\n" },
	{ "message M { oneof o { option (buf.validate.oneof).required = true; int32 a = 1; } }",
	  "message M { oneof o { option (buf.validate.oneof).required = true; int32 a = 1; int32 b = 2; } }", "" },
	{ "message M { int32 a = 1; int32 b = 2; }",
	  "message M { option (buf.validate.message).oneof = {fields: [\"a\", \"b\"]}; int32 a = 1; int32 b = 2; }",
	  "STRICT_RULE_TIGHTENED M 1\n" },
	{ "message M { option (buf.validate.message).oneof = {fields: [\"a\", \"b\"]}; int32 a = 1; int32 b = 2; }",
	  "message M { option (buf.validate.message).oneof = {fields: [\"b\", \"c\"]}; int32 a = 1; int32 b = 2; int32 c "
	  "= 3; }", "" },
	{ "message M { option (buf.validate.message).oneof = {fields: [\"a\", \"b\"], required: true}; int32 a = 1; int32 "
	  "b = 2; }",
	  "message M { option (buf.validate.message).oneof = {fields: [\"b\", \"a\", \"c\"], required: true}; int32 a = "
	  "1; int32 b = 2;"
	  " int32 c = 3; }", "" },
	{ "message M { option (buf.validate.message).oneof = {fields: [\"a\", \"b\"]}; int32 a = 1; int32 b = 2; }",
	  "message M { option (buf.validate.message).oneof = {fields: [\"a\", \"b\"], required: true}; int32 a = 1; int32 "
	  "b = 2; }",
	  "STRICT_RULE_TIGHTENED M 1\n" },
	{ "message M { option (buf.validate.message).oneof = {fields: [\"a\", \"b\"]}; int32 a = 1; int32 b = 2; }",
	  "message M { option (buf.validate.message).oneof = {fields: [\"a\", \"b\"]}; optional int32 a = 1; int32 b = 2; }",
	  "STRICT_RULE_TIGHTENED M 1\n" },
	{ "message M { option (buf.validate.message).oneof = {fields: [\"a\", \"b\"]}; int32 a = 1 "
	  "[(buf.validate.field).int32.gt = 3];"
	  " int32 b = 2; }", "message M { int32 a = 1 [(buf.validate.field).int32.gt = 3]; int32 b = 2; }",
	  "STRICT_RULE_TIGHTENED M.a 1\n" },
};
#define N_PAIRS (sizeof pairs / sizeof pairs[0])

static int set_write(const char *dir, int now)
{
	char *text = malloc(1u << 16), name[32];
	int bad = !text;

	for (size_t i = 0; i < N_PAIRS && !bad; i++) {
		const char *body = now ? pairs[i].now : pairs[i].old;
		int two = strncmp(body, "proto2;", 7) == 0;

		snprintf(text, 1u << 16,
			 "syntax = \"%s\"; package c%zu;%s%s\n%s\n", two ? "proto2" : "proto3", i,
			 strstr(body, "buf.validate") ? " import \"buf/validate/validate.proto\";" : "",
			 strstr(body, "google.protobuf.Empty") ?
				 " import \"google/protobuf/empty.proto\"; import \"weft/options.proto\";" : "",
			 body + (two ? 7 : 0));
		snprintf(name, sizeof name, "c%zu.proto", i);
		bad = text_write(dir, name, text);
	}
	free(text);
	return bad;
}

static struct text_set set_make(int now, const char *options)
{
	char *dir = text_folder();

	assert_non_null(dir);
	assert_int_equal(set_write(dir, now), 0);
	struct text_set s = text_compile(dir, options);

	assert_non_null(s.data);
	return s;
}

struct seen {
	char *lines[64];
	size_t n;
};

struct all_seen {
	struct seen by_pair[N_PAIRS];
	uint32_t wire, strict, rules[SCH_COMPAT_RULE_COUNT];
};

static void see(void *arg, const struct sch_change *c)
{
	struct all_seen *all = arg;
	const struct sch_place *p = c->in_old ? &c->old : &c->now;
	size_t pair = strtoul(p->file + 1, NULL, 10);
	char package[32], line[16] = "";
	int n = snprintf(package, sizeof package, "c%zu.", pair);

	assert_true(pair < N_PAIRS);
	assert_int_equal(strncmp(c->name, package, (size_t)n), 0);
	assert_true(c->text[0] && c->keep[0]);
	assert_int_equal(c->is_strict, strncmp(sch_compat_rule_name(c->rule), "STRICT_", 7) == 0);
	if (c->old.file)
		assert_string_equal(c->old.file, p->file);
	struct seen *s = &all->by_pair[pair];

	assert_true(s->n < 64);
	if (p->line)
		snprintf(line, sizeof line, " %s%u", c->in_old ? "old" : "", p->line - 1);
	assert_true(asprintf(&s->lines[s->n++], "%s %s%s\n", sch_compat_rule_name(c->rule), c->name + n, line) > 0);
	if (c->is_strict)
		all->strict++;
	else
		all->wire++;
	all->rules[c->rule]++;
}

static int text_order(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

static void seen_join(struct seen *s, char *out, size_t cap)
{
	size_t n = 0;

	out[0] = '\0';
	if (s->n)
		qsort(s->lines, s->n, sizeof s->lines[0], text_order);
	for (size_t i = 0; i < s->n; i++) {
		n += (size_t)snprintf(out + n, cap - n, "%s", s->lines[i]);
		free(s->lines[i]);
	}
	s->n = 0;
}

static void all_pairs(void **state)
{
	static struct all_seen all;
	struct text_set old = set_make(0, "--include_source_info"), now = set_make(1, "--include_source_info");
	struct sch_compat sum;
	struct sch_err err;
	char found[4096];
	int bad = 0;

	(void)state;
	memset(&all, 0, sizeof all);
	int rc = sch_compat_check(old.data, old.len, now.data, now.len, see, &all, &sum, &err);

	if (rc)
		print_message("%s: %s: %s\n", err.file, err.where, err.text);
	assert_int_equal(rc, 0);
	assert_int_equal(sum.wire, all.wire);
	assert_int_equal(sum.strict, all.strict);
	assert_int_equal(sum.no_lines, 0);
	assert_int_equal(sum.failed, 0);
	for (size_t i = 0; i < N_PAIRS; i++) {
		seen_join(&all.by_pair[i], found, sizeof found);
		if (strcmp(found, pairs[i].found) != 0) {
			print_message("pair %zu\n--- old\n%s\n--- new\n%s\n--- expected\n%s--- found\n%s", i, pairs[i].old,
				      pairs[i].now, pairs[i].found, found);
			bad++;
		}
	}
	assert_int_equal(bad, 0);
	for (int r = 1; r < SCH_COMPAT_RULE_COUNT; r++) /* every rule was found by a pair; the package has a test of its own */
		if (r != SCH_C_FILE_SAME_PACKAGE)
			assert_true(all.rules[r] > 0);
	free(old.data);
	free(now.data);
}

static void never(void *arg, const struct sch_change *c)
{
	(void)arg;
	print_message("%s %s: %s\n", sch_compat_rule_name(c->rule), c->name, c->text);
	fail();
}

/* A set is compatible with itself, and what was compared is counted. */
static void itself(void **state)
{
	struct text_set s = set_make(0, "");
	struct sch_compat sum;
	struct sch_err err;

	(void)state;
	assert_int_equal(sch_compat_check(s.data, s.len, s.data, s.len, never, NULL, &sum, &err), 0);
	assert_int_equal(sum.wire + sum.strict, 0);
	assert_true(sum.messages > N_PAIRS && sum.fields > N_PAIRS && sum.enums > 10 && sum.methods > 10);
	assert_int_equal(sum.new_messages + sum.new_methods, 0);
	free(s.data);
}

static struct text_set one(const char *name, const char *text, const char *options)
{
	char *dir = text_folder();

	assert_non_null(dir);
	assert_int_equal(text_write(dir, name, text), 0);
	struct text_set s = text_compile(dir, options);

	assert_non_null(s.data);
	return s;
}

struct last {
	struct { char rule[64], name[64], old[64], now[64]; uint32_t line; uint8_t in_old; } at[8];
	size_t n;
};

static void note(void *arg, const struct sch_change *c)
{
	struct last *l = arg;

	assert_true(l->n < 8);
	snprintf(l->at[l->n].rule, 64, "%s", sch_compat_rule_name(c->rule));
	snprintf(l->at[l->n].name, 64, "%s", c->name);
	snprintf(l->at[l->n].old, 64, "%s", c->old.file ? c->old.file : "");
	snprintf(l->at[l->n].now, 64, "%s", c->now.file ? c->now.file : "");
	l->at[l->n].in_old = c->in_old;
	l->at[l->n++].line = c->in_old ? c->old.line : c->now.line;
}

static void compare(struct text_set old, struct text_set now, struct last *l, struct sch_compat *sum)
{
	struct sch_err err;

	memset(l, 0, sizeof *l);
	assert_int_equal(sch_compat_check(old.data, old.len, now.data, now.len, note, l, sum, &err), 0);
	free(old.data);
	free(now.data);
}

static void package_changes(void **state)
{
	struct sch_compat sum;
	struct last l;

	(void)state;
	compare(one("x.proto", "syntax = \"proto3\";\npackage a.b;\nmessage M {}", "--include_source_info"),
		one("x.proto", "syntax = \"proto3\";\n\npackage a.c;\nmessage M {}", "--include_source_info"), &l, &sum);
	assert_int_equal(l.n, 2);
	assert_string_equal(l.at[0].rule, "FILE_SAME_PACKAGE");
	assert_string_equal(l.at[0].name, "x.proto");
	assert_int_equal(l.at[0].line, 3);
	assert_string_equal(l.at[1].rule, "STRICT_TYPE_DELETED");
	assert_string_equal(l.at[1].name, "a.b.M");
	assert_int_equal(sum.new_messages, 1);
	/* a file may be renamed, and what is in it may move */
	compare(one("x.proto", "syntax = \"proto3\"; package a.b; message M { int32 a = 1; }", ""),
		one("y.proto", "syntax = \"proto3\"; package a.b; message M { int32 a = 1; }", ""), &l, &sum);
	assert_int_equal(l.n, 0);
}

static void without_lines(void **state)
{
	struct sch_compat sum;
	struct last l;

	(void)state;
	compare(one("x.proto", "syntax = \"proto3\"; message M { int32 a = 1; } message N { }", ""),
		one("y.proto", "syntax = \"proto3\"; message M { sint32 a = 1; }", "--include_source_info"), &l, &sum);
	assert_int_equal(l.n, 2);
	assert_int_equal(sum.no_lines, 1);
	assert_string_equal(l.at[0].rule, "FIELD_WIRE_COMPATIBLE_TYPE");
	assert_string_equal(l.at[0].old, "x.proto");
	assert_string_equal(l.at[0].now, "y.proto");
	assert_int_equal(l.at[0].line, 1);
	assert_int_equal(l.at[1].in_old, 1);
	assert_int_equal(l.at[1].line, 0);
	assert_string_equal(l.at[1].now, ""); /* its file is gone too */
}

static void damaged(void **state)
{
	struct text_set s = one("x.proto", "syntax = \"proto3\"; message M { int32 a = 1; M m = 2; }", "");
	static const uint8_t rubbish[] = { 0x0a, 0x05, 0xff, 0xff };
	struct sch_compat sum;
	struct sch_err err;

	(void)state;
	assert_int_equal(sch_compat_check(rubbish, sizeof rubbish, s.data, s.len, never, NULL, &sum, &err), -EINVAL);
	assert_int_equal(sum.failed, SCH_COMPAT_OLD);
	assert_true(err.text[0]);
	assert_int_equal(sch_compat_check(s.data, s.len, rubbish, sizeof rubbish, never, NULL, &sum, &err), -EINVAL);
	assert_int_equal(sum.failed, SCH_COMPAT_NEW);
	assert_int_equal(sch_compat_check(s.data, s.len, s.data, 0, never, NULL, &sum, &err), -EINVAL);
	for (size_t n = 0; n < s.len; n++) { /* cut off anywhere: refused, or a smaller set */
		uint8_t *copy = malloc(n + 1);

		memcpy(copy, s.data, n);
		sch_compat_check(s.data, s.len, copy, n, NULL, NULL, &sum, &err);
		sch_compat_check(copy, n, s.data, s.len, NULL, NULL, &sum, &err);
		free(copy);
	}
	free(s.data);
}

static void rule_names(void **state)
{
	(void)state;
	assert_string_equal(sch_compat_rule_name(SCH_C_FIELD_SAME_ONEOF), "FIELD_SAME_ONEOF");
	assert_string_equal(sch_compat_rule_name(SCH_C_STRICT_RULE_TIGHTENED), "STRICT_RULE_TIGHTENED");
	assert_string_equal(sch_compat_rule_name(SCH_COMPAT_RULE_COUNT), "?");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(all_pairs),	   cmocka_unit_test(itself),  cmocka_unit_test(package_changes),
		cmocka_unit_test(without_lines), cmocka_unit_test(damaged), cmocka_unit_test(rule_names),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
