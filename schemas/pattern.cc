/* SPDX-License-Identifier: BSD-2-Clause */
/* Regular expressions by RE2, the only C++ of the library: no exception, no C++ type and no line on stderr leaves this
 * file. What a pattern means is RE2's; what it may cost is decided here. docs/schemas.md says why RE2, and the numbers. */
#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <memory>
#include <new>

#include <re2/re2.h>

extern "C" {
#include "schemas/pattern.h"
}

struct sch_pattern {
	RE2 re;
	uint32_t steps; /* what one byte of text may cost */

	sch_pattern(const re2::StringPiece &text, const RE2::Options &options) : re(text, options), steps(1)
	{
	}
};

static int refuse(int code, char *why, size_t why_cap, const char *text)
{
	if (why_cap)
		snprintf(why, why_cap, "%s", text);
	return code;
}

/* Two programs, one for each direction; both are compiled now, so that no match compiles or fails to. */
static int program_size(const RE2 &re)
{
	int forward = re.ProgramSize(), reverse = re.ReverseProgramSize();

	if (forward < 0 || reverse < 0)
		return -1;
	return forward > reverse ? forward : reverse;
}

static std::unique_ptr<sch_pattern> compiled(const re2::StringPiece &text, int steps)
{
	RE2::Options o;

	o.set_log_errors(false);
	o.set_never_capture(true); /* nobody asks where */
	o.set_max_mem(SCH_PATTERN_MEM_BASE + int64_t{ SCH_PATTERN_MEM_STEP } * steps);
	return std::unique_ptr<sch_pattern>(new sch_pattern(text, o));
}

static int make(struct sch_pattern **out, const char *text, size_t len, char *why, size_t why_cap)
{
	re2::StringPiece piece(text, len);
	std::unique_ptr<sch_pattern> p = compiled(piece, 0);
	int too_large = p->re.error_code() == RE2::ErrorPatternTooLarge;

	/* How much memory a pattern deserves, its size tells; most are small. */
	if (too_large || (p->re.ok() && p->re.ProgramSize() > SCH_PATTERN_MEM_BASE / SCH_PATTERN_MEM_STEP / 2))
		p = compiled(piece, too_large ? SCH_PATTERN_PROGRAM_MAX : p->re.ProgramSize());
	if (!p->re.ok())
		return refuse(p->re.error_code() == RE2::ErrorPatternTooLarge ? -E2BIG : -EINVAL, why, why_cap,
			      p->re.error().c_str());
	int size = program_size(p->re);

	if (size < 0)
		return refuse(-E2BIG, why, why_cap, "it compiles to too many steps");
	if (size > SCH_PATTERN_PROGRAM_MAX) {
		if (why_cap)
			snprintf(why, why_cap, "it compiles to %d steps, more than %d; count with min_len and max_len instead",
				 size, SCH_PATTERN_PROGRAM_MAX);
		return -E2BIG;
	}
	p->steps = size > 0 ? static_cast<uint32_t>(size) : 1;
	*out = p.release();
	return 0;
}

extern "C" int sch_pattern_make(struct sch_pattern **out, const char *text, size_t len, char *why, size_t why_cap)
{
	*out = nullptr;
	if (len > SCH_PATTERN_BYTES_MAX)
		return refuse(-E2BIG, why, why_cap, "it has more bytes than a pattern may have");
	try {
		return make(out, text, len, why, why_cap);
	} catch (const std::bad_alloc &) {
		return refuse(-ENOMEM, why, why_cap, "out of memory");
	} catch (...) {
		return refuse(-EINVAL, why, why_cap, "the regular expression library failed");
	}
}

extern "C" void sch_pattern_free(struct sch_pattern *p)
{
	delete p;
}

extern "C" int sch_pattern_matches(const struct sch_pattern *p, const uint8_t *text, size_t len, uint32_t *work)
{
	uint64_t cost;

	if (__builtin_mul_overflow(uint64_t{ len }, p->steps, &cost) || *work < SCH_PATTERN_WORK_MATCH ||
	    cost > *work - SCH_PATTERN_WORK_MATCH)
		return -1;
	*work -= SCH_PATTERN_WORK_MATCH + static_cast<uint32_t>(cost);
	try {
		re2::StringPiece piece(len ? reinterpret_cast<const char *>(text) : "", len);

		return p->re.Match(piece, 0, len, RE2::UNANCHORED, nullptr, 0) ? 1 : 0;
	} catch (...) {
		return -1;
	}
}

extern "C" uint32_t sch_pattern_steps(const struct sch_pattern *p)
{
	return p->steps;
}

extern "C" const char *sch_pattern_text(const struct sch_pattern *p)
{
	return p->re.pattern().c_str();
}
