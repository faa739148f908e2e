/* SPDX-License-Identifier: BSD-2-Clause */
/* The rule compiler: what becomes of each rule of buf.validate, and that guards and must bits say what the rules do. What it
 * refuses is in test_constrain_refuse.c. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "schemas/pattern.h"
#include "schemas/rules.h"
#include "tests/schemas/constrained.h"

#define R(type, rules) type " v = 1 [(buf.validate.field)" rules "];"
#define AND ", (buf.validate.field)"

static const struct row rows3[] = {
	{ R("int32", ".int32.gt = 5"), "int32.gt 6..2147483647; guard 6..2147483647 must" },
	{ R("int32", ".int32 = { gte: -5, lte: 7 }"), "int32.gte_lte@int32.gte -5..7; guard -5..7" },
	{ R("int32", ".int32 = { gt: 5, lt: 10 }"), "int32.gt_lt@int32.gt 6..9; guard 6..9 must" },
	{ R("int32", ".int32.gt = 5" AND ".int32.lt = 10"), "int32.gt_lt@int32.gt 6..9; guard 6..9 must" },
	{ R("int32", ".int32 = { gt: 10, lt: 5 }"), "int32.gt_lt_exclusive@int32.gt not 5..10; guard 11..2147483647" },
	{ R("int32", ".int32 = { gte: 10, lt: 5 }"), "int32.gte_lt_exclusive@int32.gte not 5..9; guard 10..2147483647" },
	{ R("int32", ".int32 = { gt: 10, lte: 5 }"), "int32.gt_lte_exclusive@int32.gt not 6..10; guard 11..2147483647" },
	{ R("int32", ".int32 = { gte: 10, lte: 5 }"), "int32.gte_lte_exclusive@int32.gte not 6..9; guard 10..2147483647" },
	{ R("int32", ".int32 = { gte: 6, lte: 5 }"),
	  "int32.gte_lte_exclusive@int32.gte -2147483648..2147483647; guard -2147483648..2147483647" },
	{ R("int32", ".int32 = { gt: 2147483647, lt: 5 }"),
	  "int32.gt_lt_exclusive@int32.gt -2147483648..4; guard -2147483648..4" },
	{ R("int32", ".int32 = { gt: 5, lt: -2147483648 }"),
	  "int32.gt_lt_exclusive@int32.gt 6..2147483647; guard 6..2147483647 must" },
	{ R("int32", ".int32.lt = 0"), "int32.lt -2147483648..-1; guard -2147483648..-1 must" },
	{ R("int32", ".int32.lte = 0"), "int32.lte -2147483648..0; guard -2147483648..0" },
	{ R("int32", ".int32.const = 3"), "int32.const =3; guard 3..3 must" },
	{ R("int32", ".int32.const = 0"), "int32.const =0; guard 0..0" },
	{ R("int32", ".int32 = { in: [3, 1, 2, 2, 9], not_in: [9] }"),
	  "int32.in 1,2,3,9; int32.not_in not 9; guard 1..3 must" },
	{ R("int32", ".int32 = { not_in: [0, -1, 100] }"), "int32.not_in not 0,100,-1; guard 101..2147483647 must" },
	{ R("int32", ".int32 = { not_in: [5], gte: 1, lte: 9 }"),
	  "int32.gte_lte@int32.gte 1..9; int32.not_in not 5; guard 1..4 must" },
	{ R("int32", ".int32 = { in: [-1, 0, 1] }"), "int32.in 0,1,-1; guard 0..1" },
	{ R("int32", ".int32.example = 4"), "guard -2147483648..2147483647" },
	{ R("int32", ".required = true"), "required; guard 1..2147483647 must" },
	{ R("int32", ".required = true" AND ".int32.gte = 0"),
	  "required; | int32.gte 0..2147483647; guard 1..2147483647 must" },
	{ R("int32", ".ignore = IGNORE_IF_ZERO_VALUE" AND ".int32.gt = 5"),
	  "int32.gt 6..2147483647; guard 6..2147483647 ZERO_OK" },
	{ R("int32", ".ignore = IGNORE_ALWAYS" AND ".int32.gt = 5"), "guard -2147483648..2147483647" },
	{ R("int32", ".ignore = IGNORE_UNSPECIFIED"), "guard -2147483648..2147483647" },
	{ R("optional int32", ".int32.gt = 5"), "int32.gt 6..2147483647; guard 6..2147483647" },
	{ R("optional int32", ".required = true" AND ".ignore = IGNORE_IF_ZERO_VALUE" AND ".int32.gt = 5"),
	  "required; | int32.gt 6..2147483647; guard 6..2147483647 must" },
	{ R("int64", ".int64 = { gt: -9223372036854775808, lt: 9223372036854775807 }"),
	  "int64.gt_lt@int64.gt -9223372036854775807..9223372036854775806; guard "
	  "-9223372036854775807..9223372036854775806" },
	{ R("int64", ".int64.not_in = 0"), "int64.not_in not 0; guard 1..max must" },
	{ R("int64", ".int64 = { not_in: [-9223372036854775808, 9223372036854775807] }"),
	  "int64.not_in not max,min; guard -9223372036854775807..9223372036854775806" },
	{ R("int64", ".int64 = { gte: 1, lte: 2, not_in: [1, 2] }"),
	  "int64.gte_lte@int64.gte 1..2; int64.not_in not 1,2; RULED must" },
	{ R("uint32", ".uint32.gt = 5"), "uint32.gt 6..4294967295; guard 6..4294967295 must" },
	{ R("uint64", ".uint64 = { gt: 5, lt: 18446744073709551615 }"),
	  "uint64.gt_lt@uint64.gt 6..18446744073709551614; guard 6..18446744073709551614 must" },
	{ R("uint64", ".uint64 = { gt: 18446744073709551614 }"), "uint64.gt *..*; guard *..* must" },
	{ R("uint64", ".uint64 = { in: [18446744073709551615, 0] }"), "uint64.in 0,*; guard 0..0" },
	{ R("sint32", ".sint32 = { gt: -5, lte: 5 }"), "sint32.gt_lte@sint32.gt -4..5; guard -4..5" },
	{ R("sint64", ".sint64.const = -5"), "sint64.const =-5; guard -5..-5 must" },
	{ R("fixed32", ".fixed32.lt = 4294967295"), "fixed32.lt 0..4294967294; guard 0..4294967294" },
	{ R("fixed64", ".fixed64.gte = 18446744073709551615"), "fixed64.gte *..*; guard *..* must" },
	{ R("sfixed32", ".sfixed32 = { in: [-1, -2] }"), "sfixed32.in -2,-1; guard -2..-1 must" },
	{ R("sfixed64", ".sfixed64 = { gte: -2, lt: -1 }"), "sfixed64.gte_lt@sfixed64.gte -2..-2; guard -2..-2 must" },
	{ R("float", ".float = { gt: 0, lte: 1.5 }"), "float.gt_lte@float.gt 1..1.5; guard 1..1.5 must" },
	{ R("float", ".float.finite = true"), "float.finite; guard -3.40282347e+38..3.40282347e+38" },
	{ R("float", ".float.const = -0.0"), "float.const 0,-1; guard -1..0" },
	{ R("double", ".double.gt = 0"), "double.gt 1..inf; guard 1..inf must" },
	{ R("double", ".double.gt = -0.0"), "double.gt 1..inf; guard 1..inf must" },
	{ R("double", ".double.gte = 0"), "double.gte -1..inf; guard -1..inf" },
	{ R("double", ".double.lt = 0"), "double.lt -inf..-2; guard -inf..-2 must" },
	{ R("double", ".double.lte = -0.0"), "double.lte -inf..0; guard -inf..0" },
	{ R("double", ".double = { gt: 2.5, lt: 1.5 }"), "double.gt_lt_exclusive@double.gt not 1.5..2.5; guard -inf..1.5" },
	{ R("double", ".double = { gte: 0, lte: 0 }"), "double.gte_lte@double.gte -1..0; guard -1..0" },
	{ R("double", ".double = { gt: inf, lt: 1.5 }"), "double.gt_lt_exclusive@double.gt -inf..1.5; guard -inf..1.5" },
	{ R("double", ".double.const = 2.5"), "double.const =2.5; guard 2.5..2.5 must" },
	{ R("double", ".double.const = 0"), "double.const 0,-1; guard -1..0" },
	{ R("double", ".double = { in: [nan, 1, -0.0] }"), "double.in 0,1,-1; guard 0..0" },
	{ R("double", ".double = { not_in: [nan, 0] }"), "double.not_in not 0,-1; guard 1..max must" },
	{ R("double", ".double = { not_in: [nan] }"), "double.not_in;" },
	{ R("double", ".double.finite = false"), "" },
	{ R("double", ".required = true"), "required; guard 1..max must" },
	{ R("double", ".double = { lte: inf }"), "double.lte -inf..inf; guard -inf..inf" },
	{ R("double", ".double = { gte: -inf }"), "double.gte -inf..inf; guard -inf..inf" },
	{ R("bool", ".bool.const = true"), "bool.const =1; guard 1..1 must" },
	{ R("bool", ".bool.const = false"), "bool.const =0; guard 0..0" },
	{ R("E", ".enum.defined_only = true"), "enum.defined_only; guard 0..2 OPEN" },
	{ R("E", ".enum.defined_only = false"), "guard -2147483648..2147483647 OPEN" },
	{ R("E", ".enum.const = 9"), "enum.const =9; guard 9..9 OPEN must" },
	{ R("E", ".enum = { in: [1, 2, 77] }"), "enum.in 1,2,77; guard 1..2 OPEN must" },
	{ R("E", ".enum = { not_in: [0], defined_only: true }"),
	  "enum.not_in not 0; enum.defined_only; guard 1..2 OPEN must" },
	{ R("E", ".required = true"), "required; guard 1..2 must" },
	{ R("E", ".ignore = IGNORE_IF_ZERO_VALUE" AND ".enum.in = 1"), "enum.in 1; guard 1..1 OPEN ZERO_OK" },
	{ R("string", ".string.const = \"abc\""), "string.const \"abc\"; RULED must" },
	{ R("string", ".string = { min_len: 2, max_len: 5 }"), "string.min_len 2..*; string.max_len 0..5; guard 2..5 must" },
	{ R("string", ".string = { len: 3, max_bytes: 10 }"), "string.len 3..3; string.max_bytes 0..10; guard 3..3 must" },
	{ R("string", ".string = { min_bytes: 2, max_bytes: 5 }"),
	  "string.min_bytes 2..*; string.max_bytes 0..5; guard 2..5 must" },
	{ R("string", ".string.len_bytes = 4"), "string.len_bytes 4..4; guard 4..4 must" },
	{ R("string", ".string.max_len = 4"), "string.max_len 0..4; guard 0..4" },
	{ R("string", ".string.min_len = 0"), "string.min_len 0..*;" },
	{ R("string", ".string.min_len = 18446744073709551615"), "string.min_len *..*; guard *..* must" },
	{ R("string", ".string = { pattern: \"^a+$\" max_len: 5 }"), "string.max_len 0..5; string.pattern; RULED must" },
	{ R("string", ".string = { prefix: \"ab\", suffix: \"c\", contains: \"x\", not_contains: \"y\" }"),
	  "string.prefix \"ab\"; string.suffix \"c\"; string.contains \"x\"; string.not_contains \"y\"; RULED must" },
	{ R("string", ".string = { in: [\"bb\", \"a\", \"bb\", \"\", \"aa\"], not_in: [\"a\"] }"),
	  "string.in \"\",\"a\",\"aa\",\"bb\"; string.not_in \"a\"; RULED" },
	{ R("string", ".required = true"), "required; must" },
	{ R("string", ".required = true" AND ".string.max_len = 3"), "required; | string.max_len 0..3; guard 1..3 must" },
	{ R("string", ".string.email = true"), "string.email EMAIL; string.email_empty@string.email; RULED must" },
	{ R("string", ".string.email = false"), "" },
	{ R("string", ".string.hostname = true"),
	  "string.hostname HOSTNAME; string.hostname_empty@string.hostname; RULED must" },
	{ R("string", ".string.ip = true"), "string.ip IP; string.ip_empty@string.ip; RULED must" },
	{ R("string", ".string.ipv4 = true"), "string.ipv4 IPV4; string.ipv4_empty@string.ipv4; RULED must" },
	{ R("string", ".string.ipv6 = true"), "string.ipv6 IPV6; string.ipv6_empty@string.ipv6; RULED must" },
	{ R("string", ".string.uri = true"), "string.uri URI; string.uri_empty@string.uri; RULED must" },
	{ R("string", ".string.uri_ref = true"), "string.uri_ref URI_REF; RULED" },
	{ R("string", ".string.address = true"), "string.address ADDRESS; string.address_empty@string.address; RULED must" },
	{ R("string", ".string.uuid = true"), "string.uuid UUID; string.uuid_empty@string.uuid; RULED must" },
	{ R("string", ".string.tuuid = true"), "string.tuuid TUUID; string.tuuid_empty@string.tuuid; RULED must" },
	{ R("string", ".string.ulid = true"), "string.ulid ULID; string.ulid_empty@string.ulid; RULED must" },
	{ R("string", ".string.ip_with_prefixlen = true"),
	  "string.ip_with_prefixlen IP_WITH_PREFIXLEN; "
	  "string.ip_with_prefixlen_empty@string.ip_with_prefixlen; RULED must" },
	{ R("string", ".string.ipv4_with_prefixlen = true"),
	  "string.ipv4_with_prefixlen IPV4_WITH_PREFIXLEN; "
	  "string.ipv4_with_prefixlen_empty@string.ipv4_with_prefixlen; RULED must" },
	{ R("string", ".string.ipv6_with_prefixlen = true"),
	  "string.ipv6_with_prefixlen IPV6_WITH_PREFIXLEN; "
	  "string.ipv6_with_prefixlen_empty@string.ipv6_with_prefixlen; RULED must" },
	{ R("string", ".string.ip_prefix = true"),
	  "string.ip_prefix IP_PREFIX; string.ip_prefix_empty@string.ip_prefix; RULED must" },
	{ R("string", ".string.ipv4_prefix = true"),
	  "string.ipv4_prefix IPV4_PREFIX; string.ipv4_prefix_empty@string.ipv4_prefix; RULED must" },
	{ R("string", ".string.ipv6_prefix = true"),
	  "string.ipv6_prefix IPV6_PREFIX; string.ipv6_prefix_empty@string.ipv6_prefix; RULED must" },
	{ R("string", ".string.host_and_port = true"),
	  "string.host_and_port HOST_AND_PORT; string.host_and_port_empty@string.host_and_port; RULED must" },
	{ R("string", ".string.protobuf_fqn = true"),
	  "string.protobuf_fqn PROTOBUF_FQN; string.protobuf_fqn_empty@string.protobuf_fqn; RULED must" },
	{ R("string", ".string.protobuf_dot_fqn = true"),
	  "string.protobuf_dot_fqn PROTOBUF_DOT_FQN; "
	  "string.protobuf_dot_fqn_empty@string.protobuf_dot_fqn; RULED must" },
	{ R("string", ".string.well_known_regex = KNOWN_REGEX_HTTP_HEADER_NAME"),
	  "string.well_known_regex.header_name@string.well_known_regex HEADER_NAME; "
	  "string.well_known_regex.header_name_empty@string.well_known_regex; RULED must" },
	{ R("string", ".string = { well_known_regex: KNOWN_REGEX_HTTP_HEADER_NAME, strict: false }"),
	  "string.well_known_regex.header_name@string.well_known_regex HEADER_NAME_LOOSE; "
	  "string.well_known_regex.header_name_empty@string.well_known_regex; RULED must" },
	{ R("string", ".string = { well_known_regex: KNOWN_REGEX_HTTP_HEADER_VALUE, strict: true }"),
	  "string.well_known_regex.header_value@string.well_known_regex HEADER_VALUE; RULED" },
	{ R("string", ".string = { well_known_regex: KNOWN_REGEX_HTTP_HEADER_VALUE, strict: false }"),
	  "string.well_known_regex.header_value@string.well_known_regex HEADER_VALUE_LOOSE; RULED" },
	{ R("string", ".string.well_known_regex = KNOWN_REGEX_UNSPECIFIED"), "" },
	{ R("bytes", ".bytes = { const: \"ab\" }"), "bytes.const \"ab\"; RULED must" },
	{ R("bytes", ".bytes = { min_len: 2, max_len: 5 }"), "bytes.min_len 2..*; bytes.max_len 0..5; guard 2..5 must" },
	{ R("bytes", ".bytes.len = 0"), "bytes.len 0..0; guard 0..0" },
	{ R("bytes", ".bytes.pattern = \"a\""), "bytes.pattern; RULED must" },
	{ R("bytes", ".bytes = { prefix: \"a\", suffix: \"b\", contains: \"c\", in: [\"acb\"], not_in: [\"b\"] }"),
	  "bytes.prefix \"a\"; bytes.suffix \"b\"; bytes.contains \"c\"; bytes.in \"acb\"; bytes.not_in \"b\"; RULED "
	  "must" },
	{ R("bytes", ".bytes.ip = true"), "bytes.ip BYTES_IP; bytes.ip_empty@bytes.ip; RULED must" },
	{ R("bytes", ".bytes.ipv4 = true"), "bytes.ipv4 BYTES_IPV4; bytes.ipv4_empty@bytes.ipv4; RULED must" },
	{ R("bytes", ".bytes.ipv6 = true"), "bytes.ipv6 BYTES_IPV6; bytes.ipv6_empty@bytes.ipv6; RULED must" },
	{ R("bytes", ".bytes.uuid = true"), "bytes.uuid BYTES_UUID; bytes.uuid_empty@bytes.uuid; RULED must" },
	{ R("google.protobuf.Int32Value", ".int32.gt = 5"), "int32.gt 6..2147483647; RULED BOXED" },
	{ R("google.protobuf.StringValue", ".string = { min_len: 1 }" AND ".required = true"),
	  "required; | string.min_len 1..*; RULED BOXED must" },
	{ R("google.protobuf.DoubleValue", ".double.finite = true"), "double.finite; RULED BOXED" },
	{ R("google.protobuf.FloatValue", ".float.gte = 0"), "float.gte -1..inf; RULED BOXED" },
	{ R("google.protobuf.Int64Value", ".int64.const = 5"), "int64.const =5; RULED BOXED" },
	{ R("google.protobuf.UInt32Value", ".uint32.lt = 5"), "uint32.lt 0..4; RULED BOXED" },
	{ R("google.protobuf.UInt64Value", ".uint64.lt = 5"), "uint64.lt 0..4; RULED BOXED" },
	{ R("google.protobuf.BoolValue", ".bool.const = true"), "bool.const =1; RULED BOXED" },
	{ R("google.protobuf.BytesValue", ".bytes.len = 5"), "bytes.len 5..5; RULED BOXED" },
	{ R("Sub", ".required = true"), "required; must" },
	{ R("Sub", ".ignore = IGNORE_ALWAYS"), "IGNORED" },
	{ R("google.protobuf.Any", ".any = { in: [\"bb\", \"a\"], not_in: [\"b\"] }"),
	  "any.in \"a\",\"bb\"; any.not_in \"b\"; RULED" },
	{ R("google.protobuf.Duration", ".duration = { gt: { seconds: -1 }, lt: { nanos: 1 } }"),
	  "duration.gt_lt@duration.gt 0s-999999999,0s0; RULED" },
	{ R("google.protobuf.Duration", ".duration.const = { seconds: -1 nanos: -5 }"), "duration.const -1s-5; RULED" },
	{ R("google.protobuf.Duration", ".duration = { gte: { seconds: 5 }, lte: { seconds: 1 } }"),
	  "duration.gte_lte_exclusive@duration.gte not 1s1,4s999999999; RULED" },
	{ R("google.protobuf.Duration", ".duration = { in: [{ seconds: 5 }, { nanos: -3 }], not_in: [{}] }"),
	  "duration.in 0s-3,5s0; duration.not_in 0s0; RULED" },
	{ R("google.protobuf.Duration", ".duration.lt.seconds = 1" AND ".duration.lt.nanos = 7"),
	  "duration.lt min,1s6; RULED" },
	{ R("google.protobuf.Timestamp", ".timestamp = { gt: { seconds: -1 nanos: 999999999 } }"),
	  "timestamp.gt 0s0,max; RULED" },
	{ R("google.protobuf.Timestamp", ".timestamp = { lt: { seconds: 0 } }"), "timestamp.lt min,-1s999999999; RULED" },
	{ R("google.protobuf.Timestamp", ".timestamp = { lt_now: true within: { seconds: 3600 } }"),
	  "timestamp.lt_now; timestamp.within 3600s0; RULED" },
	{ R("google.protobuf.Timestamp", ".timestamp = { gt_now: true lt_now: false const: { seconds: 1 } }"),
	  "timestamp.const 1s0; timestamp.gt_now; RULED" },
	{ R("google.protobuf.Timestamp", ".timestamp = { gte: { seconds: 9 } lt_now: true }"),
	  "timestamp.gte 9s0,max; timestamp.lt_now; RULED" },
	{ R("google.protobuf.FieldMask", ".field_mask.const = { paths: [\"b\", \"a\"] }"),
	  "field_mask.const \"b\",\"a\"; RULED" },
	{ R("google.protobuf.FieldMask", ".field_mask = { in: [\"b\", \"a\"], not_in: [\"b.c\"] }"),
	  "field_mask.in \"a\",\"b\"; field_mask.not_in \"b.c\"; RULED" },
	{ R("google.protobuf.FieldMask", ".field_mask.const = {}"), "field_mask.const; RULED" },
	{ R("repeated int32", ".repeated = { min_items: 1, max_items: 5, unique: true, items: { int32: { gt: 5 } } }"),
	  "repeated.min_items 1; repeated.max_items 5; repeated.unique; | int32.gt@repeated.items.int32.gt "
	  "6..2147483647; guard 6..2147483647 COUNTED UNIQUE" },
	{ R("repeated int32",
	    ".repeated.items.int32.gt = 5"
	    AND ".repeated.items.int32.lt = 9"
	    AND ".repeated.min_items = 2"),
	  "repeated.min_items 2; | int32.gt_lt@repeated.items.int32.gt 6..8; guard 6..8 COUNTED" },
	{ R("repeated int32", ".required = true"), "required; guard -2147483648..2147483647 COUNTED" },
	{ R("repeated int32", ".ignore = IGNORE_IF_ZERO_VALUE" AND ".repeated.min_items = 2"),
	  "repeated.min_items 2; guard -2147483648..2147483647 COUNTED EMPTY_OK" },
	{ R("repeated int32", ".required = true" AND ".ignore = IGNORE_IF_ZERO_VALUE" AND ".repeated.min_items = 2"),
	  "required; repeated.min_items 2; guard -2147483648..2147483647 COUNTED" },
	{ R("repeated int32", ".ignore = IGNORE_ALWAYS" AND ".repeated.min_items = 2"), "guard -2147483648..2147483647" },
	{ R("repeated int32", ".repeated.items = { ignore: IGNORE_IF_ZERO_VALUE, int32: { gt: 5 } }"),
	  "int32.gt@repeated.items.int32.gt 6..2147483647; guard 6..2147483647 ZERO_OK" },
	{ R("repeated int32", ".repeated.items = { ignore: IGNORE_ALWAYS, int32: { gt: 5 } }"),
	  "guard -2147483648..2147483647" },
	{ R("repeated E", ".repeated.items.enum.defined_only = true"),
	  "enum.defined_only@repeated.items.enum.defined_only; guard 0..2 OPEN" },
	{ R("repeated string", ".repeated = { unique: true, items: { required: true string: { min_len: 2 } } }"),
	  "repeated.unique; | string.min_len@repeated.items.string.min_len 2..*; guard 2..* COUNTED UNIQUE" },
	{ R("repeated Sub", ".repeated.items.ignore = IGNORE_ALWAYS"), "IGNORED" },
	{ R("repeated Sub", ".ignore = IGNORE_ALWAYS"), "IGNORED" },
	{ R("repeated google.protobuf.Duration", ".repeated.items.duration.gt = {}"),
	  "duration.gt@repeated.items.duration.gt 0s1,max; RULED" },
	{ R("repeated google.protobuf.Int32Value", ".repeated.items.int32.gt = 5"),
	  "int32.gt@repeated.items.int32.gt 6..2147483647; RULED BOXED" },
	{ R("map<string, int32>",
	    ".map = { min_pairs: 1, max_pairs: 5, keys: { string: { min_len: 1 } }, values: { int32: { gt: 5 } } }"),
	  "map.min_pairs 1; map.max_pairs 5; COUNTED key: string.min_len@map.keys.string.min_len 1..*; "
	  "must value: int32.gt@map.values.int32.gt 6..2147483647; guard 6..2147483647 must" },
	{ R("map<string, int32>", ".map.keys.string.email = true"),
	  "key: string.email@map.keys.string.email EMAIL; string.email_empty@map.keys.string.email; RULED "
	  "must value: guard -2147483648..2147483647" },
	{ R("map<int32, string>",
	    ".map = { keys: { ignore: IGNORE_IF_ZERO_VALUE, int32: { gt: 5 } }, values: { ignore: IGNORE_ALWAYS } }"),
	  "key: int32.gt@map.keys.int32.gt 6..2147483647; guard 6..2147483647 ZERO_OK value:" },
	{ R("map<int32, Sub>", ".map.values.ignore = IGNORE_ALWAYS"), "key: guard -2147483648..2147483647 value: IGNORED" },
	{ R("map<int32, Sub>", ".ignore = IGNORE_ALWAYS"), "IGNORED key: guard -2147483648..2147483647 value:" },
	{ R("map<int32, E>", ".map.values.enum.not_in = 0"),
	  "key: guard -2147483648..2147483647 value: enum.not_in@map.values.enum.not_in not 0; guard "
	  "1..2147483647 OPEN must" },
	{ R("map<int32, int32>", ".required = true"),
	  "required; COUNTED key: guard -2147483648..2147483647 value: guard -2147483648..2147483647" },
	{ R("map<int32, google.protobuf.Timestamp>", ".map.values.timestamp.gt_now = true"),
	  "key: guard -2147483648..2147483647 value: timestamp.gt_now@map.values.timestamp.gt_now; RULED" },
	{ "option (buf.validate.message).oneof = { fields: [\"v\", \"w\"] }; int32 v = 1 "
	  "[(buf.validate.field).int32.gt = 5]; repeated int32 w = 2;",
	  "message.oneof at most v,w; int32.gt 6..2147483647; guard 6..2147483647 ZERO_OK" },
	{ "option (buf.validate.message).oneof = { fields: [\"w\", \"v\"], required: true }; option "
	  "(buf.validate.message).oneof = { fields: [\"v\"] }; repeated int32 v = 1 "
	  "[(buf.validate.field).repeated.min_items = 3]; string w = 2;",
	  "message.oneof exactly w,v; message.oneof at most v; repeated.min_items 3; guard "
	  "-2147483648..2147483647 COUNTED EMPTY_OK" },
	{ "option (buf.validate.message).oneof = { fields: [\"v\"] }; int32 v = 1 "
	  "[(buf.validate.field).ignore = IGNORE_UNSPECIFIED, (buf.validate.field).int32.gt = 5];",
	  "message.oneof at most v; int32.gt 6..2147483647; guard 6..2147483647 must" },
	{ "oneof one { option (buf.validate.oneof).required = true; int32 v = 1 "
	  "[(buf.validate.field).int32.gt = 5]; int32 w = 2; }",
	  "required of one slot 0 must; int32.gt 6..2147483647; guard 6..2147483647" },
	{ "oneof one { int32 v = 1 [(buf.validate.field).required = true]; int32 w = 2; }",
	  "required; guard -2147483648..2147483647 must" },
	{ "oneof one { option (buf.validate.oneof).required = false; int32 v = 1; }", "guard -2147483648..2147483647" },
};

static const struct row rows2[] = {
	{ "optional F v = 1 [(buf.validate.field).enum = { in: [8, 9] }];", "enum.in 8,9; guard 8..8" },
	{ "optional F v = 1 [(buf.validate.field).enum.defined_only = true, (buf.validate.field).required = true];",
	  "required; | enum.defined_only; guard 7..8 must" },
	{ "optional E v = 1 [(buf.validate.field).enum.const = 9];", "enum.const =9; RULED" },
	{ "required int32 v = 1 [(buf.validate.field).int32.gt = 5];", "int32.gt 6..2147483647; guard 6..2147483647 must" },
	{ "optional int32 v = 1 [default = 3, (buf.validate.field).ignore = IGNORE_IF_ZERO_VALUE, "
	  "(buf.validate.field).int32.gt = 5];",
	  "int32.gt 6..2147483647; guard 6..2147483647" },
	{ "optional group V = 1 { optional int32 x = 1; }", "" },
	{ "optional group V = 1 [(buf.validate.field).required = true] { optional int32 x = 1; }", "required; must" },
	{ "repeated group V = 1 [(buf.validate.field).repeated = { min_items: 1 items: { ignore: "
	  "IGNORE_ALWAYS } }] { optional int32 x = 1; }",
	  "repeated.min_items 1; COUNTED IGNORED" },
	{ "map<int32, E> v = 1 [(buf.validate.field).map.values.enum.not_in = 2];",
	  "key: guard -2147483648..2147483647 value: enum.not_in@map.values.enum.not_in not 2; guard 0..1" },
};

#define N(list) (sizeof(list) / sizeof(list)[0])

static struct sch_set *rows_compile(const char *name, const char *syntax, const char *head, const struct row *rows, size_t n)
{
	struct sch_set *set = NULL;
	struct sch_err err = { 0 };
	size_t len = 0;
	uint8_t *data = constrained_make(name, syntax, head, rows, n, &len);

	assert_non_null(data);
	if (sch_set_compile(&set, data, len, &err) != 0)
		fail_msg("%s: %s: %s", err.file, err.where, err.text);
	free(data);
	return set;
}

static void rows_check(const struct sch_set *set, const struct row *rows, size_t n)
{
	size_t wrong = 0;

	for (size_t i = 0; i < n; i++) {
		char type[32];
		struct told t;

		snprintf(type, sizeof type, "p.M%zu", i);
		tell_message(&t, set, type);
		if (strcmp(t.text, rows[i].want) != 0) {
			print_message("%s\n  got  %s\n  want %s\n", rows[i].body, t.text, rows[i].want);
			wrong++;
		}
	}
	assert_int_equal(wrong, 0);
}

/* --- what guards promise ---------------------------------------------------------------------------------------------- */
static uint64_t state = 88172645463325252u; /* xorshift: the same numbers in each run */

static uint64_t any(void)
{
	state ^= state << 13;
	state ^= state >> 7;
	state ^= state << 17;
	return state;
}

static int is_text(const struct sch_field *f)
{
	return f->type == SCH_T_STRING || f->type == SCH_T_BYTES;
}

/* The ends of the guard and its middle, what is special everywhere, then any in it. */
static uint64_t probe(const struct sch_field *f, uint32_t i)
{
	switch (i) {
	case 0:
		return f->lo;
	case 1:
		return f->lo + f->size - 1;
	case 2:
		return f->lo + f->size / 2;
	case 3:
		return 0;
	case 4:
		return 1;
	default:
		return f->size ? f->lo + any() % f->size : any();
	}
}

/* Whatever lies in a guard meets each rule about elements. */
static size_t guard_check(const struct sch_set *s, const struct sch_field *f)
{
	static uint8_t ascii[4096];
	size_t judged = 0;

	memset(ascii, 'x', sizeof ascii);
	for (uint32_t i = 0; i < 200 && f->size && !(f->flags & SCH_F_RULED); i++) {
		struct sch_value v = { probe(f, i), ascii, 0 };
		struct sch_trial trial = { .work = SCH_PATTERN_WORK_MAX };

		if (v.key - f->lo >= f->size || (is_text(f) && v.key > sizeof ascii))
			continue;
		if (is_text(f))
			v.len = (uint32_t)v.key;
		if (f->type == SCH_T_ENUM && !(f->flags & SCH_F_OPEN))
			assert_true(sch_enum_has(s, f->sub, (int32_t)v.key));
		for (uint32_t r = f->rules + f->n_list; r < f->rules + f->n_rules; r++, judged++)
			if (sch_rule_judge(s, f, &s->rules[r], &v, &trial) != SCH_MET)
				fail_msg("%s: %" PRIu64 " lies in the guard and breaks %s",
					 sch_field_name(s, (uint32_t)(f - s->fields)), v.key, sch_rule_id(s, r));
		if (f->flags & SCH_F_IMPLICIT && f->n_list)
			assert_false(sch_value_is_zero(s, f, &v));
	}
	return judged;
}

/* An absent field without presence is looked at exactly where its zero breaks a rule. */
static void must_check(const struct sch_set *s, const struct sch_message *m, const struct sch_field *f)
{
	struct sch_value zero = sch_value_zero();
	struct sch_trial trial = { .work = SCH_PATTERN_WORK_MAX };
	int must = s->must[m->must + f->slot / 64] >> f->slot % 64 & 1, breaks = f->n_list > 0;

	for (uint32_t r = f->rules + f->n_list; r < f->rules + f->n_rules && !(f->flags & SCH_F_ZERO_OK); r++)
		breaks |= sch_rule_judge(s, f, &s->rules[r], &zero, &trial) != SCH_MET;
	assert_int_equal(must, breaks);
}

static void set_check(const struct sch_set *s)
{
	size_t judged = 0;

	for (uint32_t i = 0; i < s->n_messages; i++)
		for (uint32_t k = 0; k < s->messages[i].n_fields; k++) {
			const struct sch_field *f = &s->fields[s->messages[i].first + k];

			if (s->messages[i].flags & SCH_M_BAD || f->flags & SCH_F_EXTENSION)
				continue;
			if (f->type != SCH_T_MESSAGE && f->type != SCH_T_GROUP)
				judged += guard_check(s, f);
			if (f->flags & SCH_F_IMPLICIT)
				must_check(s, &s->messages[i], f);
			if (f->flags & SCH_F_COUNTED)
				assert_true(f->count < s->messages[i].n_counts);
		}
	assert_true(judged > 1000);
	print_message("%zu values in guards met their rules\n", judged);
}

static void test_proto3(void **arg)
{
	struct sch_set *s = rows_compile("constrain3", "proto3", CONSTRAINED_HEAD, rows3, N(rows3));

	(void)arg;
	rows_check(s, rows3, N(rows3));
	set_check(s);
	sch_set_free(s);
}

static void test_proto2(void **arg)
{
	struct sch_set *s = rows_compile("constrain2", "proto2", CONSTRAINED_HEAD_2, rows2, N(rows2));

	(void)arg;
	rows_check(s, rows2, N(rows2));
	sch_set_free(s);
}

static void count_told(void *arg, const struct sch_result *r)
{
	(void)r;
	++*(uint32_t *)arg;
}

/* What the wire format and a rule both require: the rule tells, unless none is asked for. */
static void test_required_twice(void **arg)
{
	static const struct row rows[] = {
		{ "required int32 v = 1 [(buf.validate.field).required = true, (buf.validate.field).int32.gt = 5]; "
		  "optional int32 w = 2 [(buf.validate.field).required = true];",
		  "" },
		{ "required int32 v = 1 [(buf.validate.field).required = true]; required int32 w = 2;", "" },
		{ "optional M0 v = 1 [(buf.validate.field).ignore = IGNORE_ALWAYS];", "" },
	};
	static const uint8_t in[2 + SCH_PAD] = { 0x0a, 0x00 };
	static struct sch_result r; /* large */
	struct sch_set *s = rows_compile("required2", "proto2", CONSTRAINED_HEAD_2, rows, N(rows));
	uint32_t m0 = (uint32_t)sch_type_find(s, "p.M0"), m1 = (uint32_t)sch_type_find(s, "p.M1"), told = 0;
	struct sch_ask bare = { .no_rules = 1 }, all = { .each = count_told, .arg = &told };

	(void)arg;
	assert_int_equal(sch_validate(s, m0, in, 0, &r), SCH_RULE);
	assert_string_equal(sch_rule_id(s, r.rule), "required");
	assert_int_equal(r.path[0].number, 1);
	assert_int_equal(sch_validate_ask(s, m0, in, 0, &all, &r), SCH_RULE);
	assert_int_equal(told, 2);
	assert_int_equal(sch_validate_ask(s, m0, in, 0, &bare, &r), SCH_REQUIRED);
	assert_int_equal(sch_validate(s, m1, in, 0, &r), SCH_REQUIRED); /* w has no rule */
	assert_int_equal(r.path[0].number, 2);
	/* no rule applies in v, so that the wire format tells */
	assert_int_equal(sch_validate(s, (uint32_t)sch_type_find(s, "p.M2"), in, 2, &r), SCH_REQUIRED);
	sch_set_free(s);
}

/* The public suite's types: those that cannot be used are those that are meant to be. */
static void test_standard(void **arg)
{
	struct sch_set *s = NULL;
	struct sch_err err;
	size_t expressions = 0, others = 0;

	(void)arg;
	if (sch_set_load_lenient(&s, "../shared/vectors/protovalidate/fdset.binpb", &err) != 0) {
		print_message("../shared/vectors/protovalidate is not here: %s\n", err.text);
		skip();
	}
	for (uint32_t i = 0; i < sch_type_count(s); i++) {
		const char *why = sch_type_error(s, i);

		if (!why)
			continue;
		if (strstr(why, ": cel[0]: byte "))
			expressions++;
		else if (strstr(why, "rules do not fit") || strstr(why, "message.oneof"))
			others++;
		else
			fail_msg("%s", why);
	}
	print_message("%zu types have expressions that cannot be used, %zu are wrong on purpose\n", expressions, others);
	assert_int_equal(expressions, 3); /* a field that is not there, a type that does not fit, dyn() */
	assert_true(others > 20);
	set_check(s);
	sch_set_free(s);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_proto3),
		cmocka_unit_test(test_proto2),
		cmocka_unit_test(test_required_twice),
		cmocka_unit_test(test_standard),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
