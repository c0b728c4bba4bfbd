/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "progress.h"
#include "common/clock.h"

#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#define FIRST_NS UINT64_C(150000000)
#define EVERY_NS UINT64_C(100000000)

static bool terminal_is_ready(void)
{
	struct pollfd p = { STDERR_FILENO, POLLOUT, 0 };

	return poll(&p, 1, 0) == 1 && (p.revents & POLLOUT);
}

static void put(const char *text, size_t length)
{
	/* nobody misses a bar that can't be drawn */
	if (!terminal_is_ready() || write(STDERR_FILENO, text, length) < 0)
		return;
}

void progress_begin(struct progress *p, const struct ctl *ctl, const char *what, uint64_t total)
{
	*p = (struct progress){ .what = what, .total = total };
	p->wanted = total && !ctl->quiet && isatty(STDERR_FILENO);
	if (p->wanted)
		p->due_ns = clock_monotonic_ns() + FIRST_NS;
}

static void draw(struct progress *p, uint64_t done)
{
	unsigned int percent = (unsigned int)((__extension__(unsigned __int128) done * 100) /
	                                      p->total);
	struct winsize size;
	char line[160], bar[81];
	size_t width = 40, filled;

	if (ioctl(STDERR_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col && size.ws_col < 70)
		width = size.ws_col > 40 ? size.ws_col - 30u : 10;
	if (percent > 100)
		percent = 100;
	filled = width * percent / 100;
	memset(bar, '#', filled);
	memset(bar + filled, '.', width - filled);
	bar[width] = 0;
	put(line,
	    (size_t)snprintf(line, sizeof(line), "\r%-10s [%s] %3u%%", p->what, bar, percent));
	p->shown = true;
}

void progress_step(struct progress *p, uint64_t done)
{
	uint64_t now;

	if (!p->wanted || ++p->steps % 64)
		return;
	now = clock_monotonic_ns();
	if (now < p->due_ns)
		return;
	p->due_ns = now + EVERY_NS;
	draw(p, done);
}

void progress_end(struct progress *p)
{
	static const char wipe[] =
		"\r                                                            \r";

	if (p->shown)
		put(wipe, sizeof(wipe) - 1);
	p->wanted = p->shown = false;
}
