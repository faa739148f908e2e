/* SPDX-License-Identifier: BSD-2-Clause */
/* Files of cases against a fixed folder: whatever is read names unikernels, subjects and rules that are there and verdicts that
 * a case can come to; what is refused says where. */
#include <assert.h>
#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "fabric/cli/policy_cases.h"
#include "guest-lib/verdict.h"
#include "tests/schemas/fdset.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

static const char *const texts[] = {
    "unikernel: hub\nsend:\n  - name: orders\n    to: valve\n    method: demo.Valve/Act\nreceive:\n  - name: readings\n"
    "    from: meter\n    message: demo.Reading\n",
    "unikernel: meter\nsend:\n  - to: hub\n    message: demo.Reading\n    where: this.seq > 1\n",
    "unikernel: valve\nreceive:\n  - from: hub\n    method: demo.Valve/Act\ndeny:\n  - name: never\n    from: hub\n"
    "    where: now.getHours() == 3\n",
};
static struct pol_unikernel unikernels[] = {{"hub", "p/hub.yaml"}, {"meter", "p/meter.yaml"}, {"valve", "p/valve.yaml"}};

static struct cli_policy *folder(void)
{
	static struct cli_policy p;
	static struct pol_folder f;
	static struct pol_text t[3];
	struct pol_err err;
	if (p.set != NULL)
		return &p;
	for (int i = 0; i < 3; i++)
		t[i] = (struct pol_text){.text = texts[i], .len = strlen(texts[i])};
	f = (struct pol_folder){.path = (char *)(uintptr_t)"p", .n = 3, .u = unikernels, .texts = t};
	p.folder = &f;
	struct pol_source source = pol_folder_source(&f);
	p.schemas = fdset_compiled("-I. schemas/demo/home.proto");
	if (p.schemas == NULL)
		abort();
	if (pol_compile(&p.set, &source, p.schemas, 1, NULL, &err) != 0) {
		fprintf(stderr, "%s:%u: %s\n", err.file, err.line, err.text);
		abort();
	}
	return &p;
}

static void case_look(const struct cli_policy *p, const struct cli_case *c)
{
	int by_rule = c->rule == NULL;
	assert(c->name != NULL && c->line > 0);
	assert(c->src >= 1 && c->src <= 3 && c->dst >= 1 && c->dst <= 3 && c->src != c->dst);
	assert(strcmp(weft_verdict_name(c->verdict), "?") != 0 && c->times >= 1 && c->times <= CLI_TIMES_MAX);
	assert(c->observed == 0 || c->verdict == WEFT_V_PASSED);
	assert(c->known || c->verdict == WEFT_V_SUBJECT_UNKNOWN);
	assert((c->payload.json != NULL) + (c->payload.hex != NULL) + (c->payload.file != NULL) <= 1);
	for (uint32_t i = 1; !by_rule && i <= pol_rule_count(p->set); i++)
		by_rule = cli_case_rule_is(c, p->set, i);
	assert(by_rule);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	const struct cli_policy *p = folder();
	struct pol_err err = {.line = 0};
	struct cli_cases cases;
	int rc = cli_cases_parse(&cases, p, "p/x.test.yaml", (const char *)data, len, &err);
	if (rc == 0) {
		assert(cases.n >= 1);
		for (uint32_t i = 0; i < cases.n; i++)
			case_look(p, &cases.at[i]);
	} else {
		assert(rc == -EINVAL && strcmp(err.file, "p/x.test.yaml") == 0 && err.text[0] != '\0' && err.line > 0);
	}
	cli_cases_free(&cases);
	return 0;
}
