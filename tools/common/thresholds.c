/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "thresholds.h"

#include <stdio.h>
#include <string.h>

enum { PERCENT_MOST = 100 };

/* False: there is no room for it. One that is there already stays. */
static bool add(uint8_t alerts[K2K_ALERTS_MAX], unsigned int percent)
{
	int at = 0;

	while (at < K2K_ALERTS_MAX && alerts[at] && alerts[at] < percent)
		at++;
	if (at < K2K_ALERTS_MAX && alerts[at] == percent)
		return true;
	if (alerts[K2K_ALERTS_MAX - 1])
		return false;
	memmove(alerts + at + 1, alerts + at, (size_t)(K2K_ALERTS_MAX - 1 - at));
	alerts[at] = (uint8_t)percent;
	return true;
}

bool thresholds_parse(uint8_t alerts[K2K_ALERTS_MAX], const char *text)
{
	if (!strcmp(text, "none")) {
		memset(alerts, 0, K2K_ALERTS_MAX);
		return true;
	}
	for (;;) {
		unsigned int percent = 0;

		for (; *text >= '0' && *text <= '9' && percent <= PERCENT_MOST; text++)
			percent = 10 * percent + (unsigned int)(*text - '0');
		if (percent == 0 || percent > PERCENT_MOST || *text != '%' || !add(alerts, percent))
			return false;
		if (!*++text)
			return true;
		if (*text++ != ',')
			return false;
	}
}

const char *thresholds_print(char text[THRESHOLDS_TEXT], const uint8_t alerts[K2K_ALERTS_MAX])
{
	size_t length = 0;

	text[0] = 0;
	for (int i = 0; i < K2K_ALERTS_MAX && alerts[i]; i++)
		length += (size_t)snprintf(text + length, THRESHOLDS_TEXT - length, "%s%u%%",
		                           i ? "," : "", alerts[i]);
	return text;
}

uint64_t thresholds_pack(const uint8_t alerts[K2K_ALERTS_MAX])
{
	uint64_t number = 0;

	for (int i = 0; i < K2K_ALERTS_MAX; i++)
		number |= (uint64_t)alerts[i] << (8 * i);
	return number;
}

void thresholds_unpack(uint8_t alerts[K2K_ALERTS_MAX], uint64_t number)
{
	for (int i = 0; i < K2K_ALERTS_MAX; i++)
		alerts[i] = (uint8_t)(number >> (8 * i));
}

const char *threshold_limit_name(uint64_t limit)
{
	switch (limit) {
	case K2K_ALERT_RATE: return "rate";
	case K2K_ALERT_BUDGET: return "budget";
	case K2K_ALERT_KERNELS: return "kernels";
	case K2K_ALERT_GPU_MEMORY: return "gpu_memory";
	default: return "unknown";
	}
}
