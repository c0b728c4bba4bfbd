/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* metrics: all counters of the registry, as text for Prometheus */
#include "commands.h"

#include "common/metrics.h"

#include <stdio.h>
#include <stdlib.h>

int cmd_metrics(struct ctl *ctl)
{
	const char *most = ctl->option[OPT_MAX_SERIES];
	uint64_t max_series = METRICS_SERIES_DEFAULT;
	struct k2k_registry *reg;
	struct snapshot snapshot;
	size_t length;
	char *text;
	int code, exit_code;

	if (ctl->format != FORMAT_TABLE)
		return fail_usage(ctl, "metrics: prints text for Prometheus only; for JSON and csv "
		                       "use 'list' and 'stat'");
	if (most && !arg_count(ctl, "--max-series", most, 0, UINT64_MAX, &max_series))
		return EXIT_USAGE;
	exit_code = open_registry(ctl, K2K_ROLE_OBSERVER, &reg);
	if (exit_code)
		return exit_code;
	code = snapshot_take(reg, &snapshot);
	if (!code) {
		code = metrics_text(ctl->registry, &snapshot, max_series, NULL, &text, &length);
		snapshot_free(&snapshot);
	}
	if (code) {
		exit_code = fail(ctl, code, "registry '%s'", ctl->registry);
	} else {
		fwrite(text, 1, length, stdout);
		free(text);
	}
	k2k_registry_close(&reg);
	return exit_code;
}
