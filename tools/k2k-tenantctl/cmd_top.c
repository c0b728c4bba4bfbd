/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* top: live rates of tenants, and the brokers that are attached */
#include "commands.h"
#include "top.h"

#include <curses.h>
#include <signal.h>
#include <stdlib.h>
#include <term.h>
#include <unistd.h>

/* Returns 0, or an exit code. Checks what would make curses end the program by itself. */
static int check_terminal(struct ctl *ctl)
{
	static const char other[] = "'" CTL_NAME " top --once' prints one frame anywhere";
	const char *term = getenv("TERM"), *move;
	int error;

	if (!isatty(STDIN_FILENO))
		return fail_usage(ctl, "standard input is not a terminal to read keys from; %s",
		                  other);
	if (!term || !*term)
		return fail_usage(ctl, "TERM is not set, so the kind of terminal is unknown; %s",
		                  other);
	if (setupterm(term, STDOUT_FILENO, &error) != OK)
		return fail_usage(ctl, "TERM '%.100s': unknown terminal; %s", term, other);
	move = tigetstr("cup");
	del_curterm(cur_term);
	if (!move || move == (char *)-1)
		return fail_usage(ctl, "TERM '%.100s': the terminal can't move its cursor; %s",
		                  term, other);
	return 0;
}

int cmd_top(struct ctl *ctl)
{
	uint64_t interval_ns = 1000000000;
	bool once = ctl->option[OPT_ONCE] || ctl->format != FORMAT_TABLE || !isatty(STDOUT_FILENO);
	struct k2k_registry *reg;
	int exit_code = 0, ended_by = 0;

	if (ctl->argument_count > 0 && !arg_interval(ctl, ctl->arguments[0], &interval_ns))
		return EXIT_USAGE;
	if (!once && (exit_code = check_terminal(ctl)))
		return exit_code;
	exit_code = open_registry(ctl, K2K_ROLE_OBSERVER, &reg);
	if (exit_code)
		return exit_code;
	exit_code = once ? top_frame(ctl, reg, interval_ns)
	                 : top_screen(ctl, reg, interval_ns, &ended_by);
	k2k_registry_close(&reg);
	/* die of the signal, so that the sender and the shell see it */
	if (ended_by) {
		signal(ended_by, SIG_DFL);
		raise(ended_by);
		return 128 + ended_by; /* process 1 survives raise() */
	}
	return exit_code;
}
