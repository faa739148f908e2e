#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""What `make install` puts down is complete: the commands run from there, a program builds against the installed headers
and library alone, and nothing lands anywhere else. Prints TAP."""
import os
import pathlib
import shutil
import subprocess
import sys

import tap
from tap import Failed

ROOT = pathlib.Path(__file__).resolve().parents[2]
BUILD = (ROOT / os.environ.get("BUILD", "build")).resolve()
DEST = BUILD / "run" / "tests" / "install"
PREFIX = "/opt/weft"
PROGRAM = """
#include <port_linux.h>
#include <sodium.h>
#include <stdio.h>
#include <string.h>
#include <weft.h>

int main(void)
{
	static struct weft_launch launch;
	struct weft *w = NULL;
	char err[200];

	if (sodium_init() < 0 || weft_launch_read(&launch, "/dev/null", err, sizeof(err)) == 0)
		return 1;
	printf("%s %s\\n", weft_verdict_name(WEFT_V_PASSED), weft_open(&w, &launch, NULL) ? "refused" : "opened");
	return w != NULL;
}
"""


PROTO = """syntax = "proto3";
package t;
import "buf/validate/validate.proto";
import "google/protobuf/empty.proto";
import "weft/options.proto";
message M { int32 n = 1 [(buf.validate.field).int32.gt = 0]; }
service S {
  rpc Get(M) returns (M);
  rpc Put(M) returns (google.protobuf.Empty) { option (weft.one_way) = true; }
}
"""
# A message without its INIT is refused before anything else is looked at, so no fabric is needed.
CALLER = """#include <cstdio>
#include <cstdlib>
#include <cstring>
#include "t.weft.h"

int main(int argc, char **)
{
	T__M m;
	char *memory = static_cast<char *>(calloc(1, 1 << 20));

	memset(&m, 0, sizeof(m));
	int err = t_s_put(reinterpret_cast<struct weft *>(memory), "x", &m, nullptr);
	printf("%s %s %d\\n", T_S_GET_SUBJECT, T_S_PUT_SUBJECT, err);
	return argc > 9 ? weft_run(nullptr) : 0;
}
"""


def run(*args, **more):
    p = subprocess.run(args, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=300, check=False, **more)
    if p.returncode:
        raise Failed(f"{' '.join(map(str, args))}: exit status {p.returncode}\n{p.stdout}{p.stderr}")
    return p.stdout


def test_files():
    """Everything is below PREFIX, readable by all, and only commands can be started."""
    shutil.rmtree(DEST, ignore_errors=True)
    run("make", "install", f"BUILD={os.path.relpath(BUILD, ROOT)}", f"DESTDIR={DEST}", f"PREFIX={PREFIX}", cwd=ROOT)
    files = {str(p.relative_to(DEST)): p.stat().st_mode & 0o777 for p in DEST.rglob("*") if p.is_file()}
    top = PREFIX.lstrip("/") + "/"
    for need in ("bin/weft", "bin/weftd", "include/weft/weft.h", "lib/libweft-guest.a", "lib/pkgconfig/weft-guest.pc",
                 "share/doc/weft/README.md", "share/weft/proto/buf/validate/validate.proto",
                 "bin/protoc-gen-weft", "include/weft/method.h", "share/weft/proto/weft/options.proto",
                 "share/weft/policy.schema.json"):
        if top + need not in files:
            raise Failed(f"{need} is missing")
    for path, mode in files.items():
        if not path.startswith(top):
            raise Failed(f"{path} is outside of {PREFIX}")
        if mode != (0o755 if path.startswith(top + "bin/") else 0o644):
            raise Failed(f"{path} has mode {mode:o}")


def test_commands():
    """weft runs from there, and finds what lies beside it."""
    weft = DEST / PREFIX.lstrip("/") / "bin" / "weft"
    out = run(weft, "--help")
    if "schema" not in out:
        raise Failed(out)
    protos = DEST / "protos"
    protos.mkdir()
    (protos / "a.proto").write_text('syntax = "proto3"; import "buf/validate/validate.proto";\n'
                                    "message A { int32 n = 1 [(buf.validate.field).int32.gt = 0]; }\n")
    out = run(weft, "schema", "build", protos, "-o", DEST / "set.binpb", cwd=DEST)
    if "1 file, 1 message, 0 methods, 1 rule\n" not in out:
        raise Failed(out)


def test_program():
    """A program outside the tree, with pkg-config's word for it."""
    (DEST / "program.c").write_text(PROGRAM)
    env = {**os.environ, "PKG_CONFIG_PATH": str(DEST / PREFIX.lstrip("/") / "lib" / "pkgconfig")}
    flags = run("pkg-config", "--cflags", "--libs", "weft-guest", env=env).replace(PREFIX, str(DEST) + PREFIX).split()
    run(os.environ.get("CC", "gcc"), "-Wall", "-Wextra", "-Werror", "program.c", *flags, "-o", "program", cwd=DEST)
    out = run(DEST / "program")
    if out != "passed refused\n":
        raise Failed(out)


def test_services():
    """docs/services.md without the source tree: protoc with the plugin, then C and C++ against what it made."""
    work = DEST / "services"
    work.mkdir()
    (work / "t.proto").write_text(PROTO)
    (work / "t.cc").write_text(CALLER)
    top = DEST / PREFIX.lstrip("/")
    protos = f"-I{top}/share/weft/proto"
    env = {**os.environ, "PKG_CONFIG_PATH": str(top / "lib" / "pkgconfig"),
           "PATH": f"{top}/bin:{os.environ.get('PATH', '/usr/bin')}"}
    google = [f"google/protobuf/{n}.proto" for n in ("empty", "descriptor", "duration", "field_mask", "timestamp")]
    run("protoc", "-I.", protos, "--c_out=.", "--weft_out=.", "t.proto", cwd=work, env=env)
    run("protoc", protos, "--c_out=.", "weft/options.proto", "buf/validate/validate.proto", cwd=work, env=env)
    run("protoc", "-I/usr/include", "--c_out=.", *google, cwd=work, env=env)
    flags = run("pkg-config", "--cflags", "--libs", "weft-guest", env=env).replace(PREFIX, str(DEST) + PREFIX).split()
    run(os.environ.get("CC", "gcc"), "-I.", "-Wall", "-Wextra", "-Werror", "-c", "t.weft.c", "t.pb-c.c",
        "google/protobuf/empty.pb-c.c", *flags, cwd=work)
    run("c++", "-I.", "-Wall", "-Wextra", "-Werror", "t.cc", "t.weft.o", "t.pb-c.o", "empty.pb-c.o", *flags, "-o", "t", cwd=work)
    out = run(work / "t")
    if out != "t.S/Get t.M -22\n":
        raise Failed(out)


if __name__ == "__main__":
    sys.exit(tap.run([test_files, test_commands, test_program, test_services]))
