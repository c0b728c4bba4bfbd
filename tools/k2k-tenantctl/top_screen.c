/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * top on a terminal: one thread waits for a key, a signal or the time of the next snapshot, and
 * then draws the whole screen; curses sends what differs.
 *
 * 1. However it ends, it restores the terminal.
 * 2. It spends at most a fifth of the time reading, however large the registry is.
 * 3. It does not draw on a blocked terminal (Ctrl-S, a dead connection), so it still reacts to keys
 *    and signals. A second signal ends it in any case.
 * 4. It writes only ASCII, whatever the locale.
 */
#include "output.h"
#include "top.h"
#include "top_model.h"
#include "top_tenant.h"
#include "common/clock.h"
#include "common/units.h"

#include <curses.h>
#include <errno.h>
#include <inttypes.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <termios.h>
#include <time.h>
#include <unistd.h>

enum { MIN_COLUMNS = 24, MIN_LINES = 8, KEY_ESCAPE = 27, PAIR_ALARM = 1, PAIR_WARN = 2 };

struct screen {
	struct ctl *ctl;
	struct k2k_registry *reg;
	uint64_t interval_ns, due_ns;
	time_t refreshed_at;
	char every[UNITS_TEXT];
	struct top top;
	enum top_view view;
	size_t first[TOP_VIEWS]; /* row at the top of the table */
	size_t page;             /* rows that fit */
	size_t chosen;           /* the row on the page of tenants that Enter opens */
	bool paused, help, asking, colors, done;
	bool choosing;                      /* j or k was pressed: mark the chosen row */
	bool all_facts;                     /* otherwise one line of facts */
	struct top_tenant one;              /* the tenant that is open */
	char filter_before[TOP_FILTER + 1]; /* what Esc restores while asking */
};

/* ---- signals ---------------------------------------------------------------------- */

static volatile sig_atomic_t ended_by, continued;
static int wake_fd = -1;
static struct termios found;

static void on_signal(int number)
{
	int error = errno;
	const uint64_t one = 1;

	if (number == SIGCONT) {
		continued = 1;
	} else if (number != SIGWINCH) {
		if (ended_by) {
			tcsetattr(STDIN_FILENO, TCSANOW, &found);
			_exit(128 + number);
		}
		ended_by = number;
	}
	(void)!write(wake_fd, &one, sizeof(one)); /* if it is full, the thread is awake */
	errno = error;
}

/* Called before curses, which keeps existing handlers and adds only that of Ctrl-Z. */
static void catch_signals(void)
{
	static const int numbers[] = { SIGINT, SIGTERM, SIGHUP, SIGWINCH, SIGCONT };
	struct sigaction action = { .sa_handler = on_signal }, was;

	sigemptyset(&action.sa_mask);
	for (size_t i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++)
		if (sigaction(numbers[i], NULL, &was) == 0 && was.sa_handler != SIG_IGN)
			sigaction(numbers[i], &action, NULL);
}

/* ---- drawing ------------------------------------------------------------------------ */

/* A line that is filled from the left; a piece that does not fit is left out, not cut. */
struct line {
	int y, x;
};

static bool fits(const struct line *line, int length)
{
	return line->x + (line->x ? 2 : 0) + length <= COLS;
}

static void put_piece(struct line *line, const char *text, int attributes)
{
	if (!fits(line, (int)strlen(text)))
		return;
	line->x += line->x ? 2 : 0;
	attrset(attributes);
	mvaddstr(line->y, line->x, text);
	attrset(A_NORMAL);
	line->x += (int)strlen(text);
}

static void draw_title(const struct screen *s)
{
	struct line line = { 0, 0 };
	const struct top_order *o = &s->top.order[s->view];
	char text[96];
	struct tm tm;

	snprintf(text, sizeof(text), "registry %s", s->ctl->registry);
	text[COLS < (int)sizeof(text) ? COLS : (int)sizeof(text) - 1] = 0;
	put_piece(&line, text, A_BOLD);
	if (s->paused)
		put_piece(&line, "PAUSED", A_BOLD | A_REVERSE);
	if (s->top.filter[0]) {
		snprintf(text, sizeof(text), "filter %s", s->top.filter);
		put_piece(&line, text, A_BOLD);
	}
	if (s->top.busy_only)
		put_piece(&line, "busy only", A_BOLD);
	if (s->top.rejected_only)
		put_piece(&line, "rejected only", A_BOLD);
	snprintf(text, sizeof(text), "by %s, %s", top_heading(s->view, o->column),
	         o->falling ? "falling" : "rising");
	put_piece(&line, text, A_NORMAL);
	snprintf(text, sizeof(text), "every %s", s->every);
	put_piece(&line, text, A_NORMAL);
	if (gmtime_r(&s->refreshed_at, &tm) && strftime(text, sizeof(text), "%H:%M:%S UTC", &tm))
		put_piece(&line, text, A_NORMAL);
}

/* Returns the line below. */
static int draw_facts(const struct screen *s)
{
	struct line line = { 1, 0 };
	struct top_fact facts[TOP_FACTS];
	size_t count = top_facts(&s->top, facts);
	int last = !s->all_facts ? 1 : LINES >= 20 ? 4 : LINES >= 12 ? 3 : 1;

	for (size_t i = 0; i < count; i++) {
		const char *name = facts[i].name + strspn(facts[i].name, " ");
		int length = (int)(strlen(name) + 1 + strlen(facts[i].text));

		if (!fits(&line, length) && line.y < last)
			line = (struct line){ line.y + 1, 0 };
		if (!fits(&line, length))
			break;
		line.x += line.x ? 2 : 0;
		mvprintw(line.y, line.x, "%s ", name);
		attron(A_BOLD);
		addstr(facts[i].text);
		attroff(A_BOLD);
		line.x += length;
	}
	return line.y + 1;
}

/* The width of the longest id, filtered or not, so that the columns stay in place. */
static int id_width(const struct screen *s, const struct top_column *column)
{
	uint64_t longest = 0;
	int width;

	for (size_t row = 0; s->view == TOP_TENANTS && row < s->top.now.tenant_count; row++)
		if (s->top.now.tenants[row].info.id > longest)
			longest = s->top.now.tenants[row].info.id;
	width = snprintf(NULL, 0, "%" PRIu64, longest);
	return width > column->width ? width : column->width;
}

static int attributes_of(const struct screen *s, enum top_mark mark)
{
	if (mark == MARK_NONE)
		return A_NORMAL;
	if (!s->colors)
		return A_BOLD;
	return mark == MARK_ALARM ? COLOR_PAIR(PAIR_ALARM) | A_BOLD : COLOR_PAIR(PAIR_WARN);
}

static void draw_table(struct screen *s, int y)
{
	const struct top_order *o = &s->top.order[s->view];
	size_t columns, fitting, *first = &s->first[s->view];
	const struct top_column *column = top_columns(s->view, &columns);
	int widths[32], x = 0;

	for (fitting = 0; fitting < columns; fitting++) {
		widths[fitting] = fitting ? column[fitting].width : id_width(s, &column[0]);
		if (x + (fitting ? 1 : 0) + widths[fitting] > COLS)
			break;
		x += widths[fitting] + (fitting ? 1 : 0);
	}
	s->page = (size_t)(LINES - 1 - y - 1);
	if (s->view == TOP_BROKERS && top_folded(&s->top) && s->page > 1)
		mvprintw(y + (int)s->page--, 0, "and %zu dead; d shows them", top_folded(&s->top));
	if (*first + s->page > o->count)
		*first = o->count > s->page ? o->count - s->page : 0;
	attrset(A_REVERSE);
	mvhline(y, 0, ' ', COLS);
	for (size_t c = 0, at = 0; c < fitting; at += (size_t)widths[c++] + 1) {
		bool left = column[c].form == FORM_TEXT || column[c].form == FORM_STATE;

		attrset(c == o->column ? A_REVERSE | A_BOLD | A_UNDERLINE : A_REVERSE);
		mvprintw(y, (int)at, left ? "%-*s" : "%*s", widths[c], top_heading(s->view, c));
	}
	if (s->chosen >= s->page)
		s->chosen = s->page - 1;
	if (s->chosen && *first + s->chosen >= o->count)
		s->chosen = o->count > *first ? o->count - *first - 1 : 0;
	for (size_t n = 0; n < s->page && *first + n < o->count; n++)
		for (size_t c = 0, at = 0; c < fitting; at += (size_t)widths[c++] + 1) {
			bool left = column[c].form == FORM_TEXT || column[c].form == FORM_STATE;
			char text[TOP_TEXT];

			attrset(attributes_of(
				s, top_cell(&s->top, s->view, o->rows[*first + n], c, text)));
			if (s->choosing && s->view == TOP_TENANTS && n == s->chosen)
				attron(A_REVERSE);
			mvprintw(y + 1 + (int)n, (int)at, left ? "%-*.*s" : "%*.*s", widths[c],
			         widths[c], text);
		}
	attrset(A_NORMAL);
	if (!o->count)
		mvaddstr(y + 1, 0,
		         s->view == TOP_BROKERS   ? "no brokers"
		         : s->view == TOP_KERNELS ? "no kernels"
		         : s->top.filter[0]       ? "no such tenants"
		                                  : "no tenants");
}

static void draw_foot(const struct screen *s)
{
	const struct top_order *o = &s->top.order[s->view];
	struct line line = { LINES - 1, 0 };
	size_t first = s->first[s->view],
	       last = first + s->page < o->count ? first + s->page : o->count;
	const char *const one[] = { "q quit", "Esc back", "+ - interval",
		                    s->paused ? "p resume" : "p pause" };
	const char *const keys[] = {
		"q quit",
		"h help",
		s->view == TOP_TENANTS   ? "Tab brokers"
		: s->view == TOP_BROKERS ? "Tab kernels"
					 : "Tab tenants",
		"< > sort",
		"r reverse",
		"/ filter",
		s->paused ? "p resume" : "p pause",
	};
	char text[80];

	if (s->one.generation) {
		for (size_t i = 0; i < sizeof(one) / sizeof(one[0]); i++)
			put_piece(&line, one[i], A_NORMAL);
		return;
	}
	if (s->asking) {
		mvprintw(LINES - 1, 0, "id has: %s", s->top.filter);
		return;
	}
	snprintf(text, sizeof(text), "%zu-%zu of %zu", o->count ? first + 1 : 0, last, o->count);
	put_piece(&line, text, A_BOLD);
	for (size_t i = 0; i < sizeof(keys) / sizeof(keys[0]); i++)
		put_piece(&line, keys[i], A_NORMAL);
}

/* Lines of at most 40 columns; keys first, for small screens. */
static void draw_help(void)
{
	static const char *const lines[] = {
		"q            quit",
		"h ?          help; any key goes back",
		"Tab          tenants, brokers, kernels",
		"< > arrows r sort by another; reverse",
		"/            filter by part of an id;",
		"             Enter keeps it, Esc not",
		"i x          hide idle; only rejected",
		"j k Enter    choose a tenant, look at it",
		"+ - p        interval; pause, resume",
		"f d          more facts; dead brokers",
		"Up Down PgUp PgDn Home End   scroll",
		"",
		"MSG/s        messages admitted",
		"REJECTED/s   by any limit; REJ-RATE and so",
		"             on: by which limit",
		"GPU-s/s      GPU seconds a second",
		"RATE% KERN% MEM%  of the limit in use;",
		"             of a token bucket its burst",
		"LIMIT        30/min; of a bucket 5/h+20:",
		"             its rate, and its burst",
		"SHADOW/s     would have been rejected",
		"BUDG%        of the fullest budget",
		"-            unlimited, or not known yet",
		"GRACE-BEHIND grace periods not answered",
	};

	for (int y = 0; y < LINES && (size_t)y < sizeof(lines) / sizeof(lines[0]); y++)
		mvaddnstr(y, 0, lines[y], COLS);
}

static bool terminal_is_ready(void)
{
	struct pollfd p = { STDOUT_FILENO, POLLOUT, 0 };

	return poll(&p, 1, 0) == 1 && (p.revents & POLLOUT);
}

static void draw(struct screen *s)
{
	struct winsize size;

	if (!terminal_is_ready())
		return;
	if (ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_row && size.ws_col &&
	    is_term_resized(size.ws_row, size.ws_col))
		resizeterm(size.ws_row, size.ws_col);
	erase();
	curs_set(s->asking ? 1 : 0);
	if (COLS < MIN_COLUMNS || LINES < MIN_LINES) {
		char text[64];

		snprintf(text, sizeof(text), "too small: %dx%d", MIN_COLUMNS, MIN_LINES);
		mvaddnstr(0, 0, text, COLS);
	} else if (s->help) {
		draw_help();
	} else {
		draw_title(s);
		if (s->one.generation)
			top_tenant_draw(&s->one, &s->top, draw_facts(s), LINES - 2);
		else
			draw_table(s, draw_facts(s));
		draw_foot(s);
	}
	refresh();
}

/* ---- keys ------------------------------------------------------------------------------ */

static void go_to(struct screen *s, size_t row)
{
	size_t count = s->top.order[s->view].count, last = count > s->page ? count - s->page : 0;

	s->first[s->view] = row < last ? row : last;
}

static void move_sort(struct screen *s, int by)
{
	size_t columns;

	top_columns(s->view, &columns);
	top_sort_by(&s->top, s->view,
	            (s->top.order[s->view].column + columns + (size_t)by) % columns);
}

static void set_filter(struct screen *s, const char *filter)
{
	snprintf(s->top.filter, sizeof(s->top.filter), "%s", filter);
	s->first[TOP_TENANTS] = 0;
	top_arrange(&s->top, TOP_TENANTS);
}

static void key_of_prompt(struct screen *s, int key)
{
	char text[TOP_FILTER + 1];
	size_t length = strlen(s->top.filter);

	memcpy(text, s->top.filter, sizeof(text));
	if (key == '\n' || key == '\r' || key == KEY_ENTER) {
		s->asking = false;
	} else if (key == KEY_ESCAPE) {
		s->asking = false;
		set_filter(s, s->filter_before);
	} else if ((key == KEY_BACKSPACE || key == 127 || key == 8) && length) {
		text[length - 1] = 0;
		set_filter(s, text);
	} else if (key >= '0' && key <= '9' && length < TOP_FILTER) {
		text[length] = (char)key;
		text[length + 1] = 0;
		set_filter(s, text);
	}
}

static int refresh_model(struct screen *s)
{
	int code;

	s->refreshed_at = time(NULL);
	code = top_refresh(&s->top, s->reg);
	if (!code)
		top_tenant_refresh(&s->one, &s->top);
	return code;
}

/* Doubles or halves the interval, between a tenth of a second and an hour. */
static void change_interval(struct screen *s, bool longer)
{
	const uint64_t least = 100000000, most = UINT64_C(3600000000000);
	uint64_t next = longer ? s->interval_ns * 2 : s->interval_ns / 2;

	if (next < least || next > most)
		return;
	s->interval_ns = next;
	s->due_ns = clock_monotonic_ns() + next;
	units_print_duration(s->every, next);
}

static void choose(struct screen *s, bool down)
{
	size_t *first = &s->first[s->view];

	if (!s->choosing)
		s->chosen = 0;
	else if (down && s->chosen + 1 < s->page)
		s->chosen++;
	else if (down)
		++*first;
	else if (s->chosen)
		s->chosen--;
	else if (*first)
		--*first;
	s->choosing = true;
}

static void open_chosen(struct screen *s)
{
	const struct top_order *o = &s->top.order[TOP_TENANTS];
	size_t row = s->first[TOP_TENANTS] + (s->choosing ? s->chosen : 0);

	if (s->view == TOP_TENANTS && row < o->count)
		top_tenant_open(&s->one, &s->top, o->rows[row]);
}

/* After a pause a new interval begins now: what happened meanwhile says nothing about a rate. */
static int resume(struct screen *s)
{
	s->due_ns = clock_monotonic_ns() + s->interval_ns;
	top_forget_before(&s->top);
	return refresh_model(s);
}

static int key_of_table(struct screen *s, int key);

/* While a tenant is open: back, and keys that do not concern the table. */
static int key_of_tenant(struct screen *s, int key)
{
	if (key == KEY_ESCAPE || key == KEY_BACKSPACE || key == '\n' || key == '\r' ||
	    key == KEY_ENTER)
		s->one = (struct top_tenant){ 0 };
	else if (key && strchr("qQhp +-f?", key))
		return key_of_table(s, key);
	return 0;
}

static int key_of_table(struct screen *s, int key)
{
	size_t *first = &s->first[s->view];

	switch (key) {
	case 'q':
	case 'Q': s->done = true; break;
	case 'h':
	case '?': s->help = true; break;
	case '\t': s->view = (enum top_view)((s->view + 1) % TOP_VIEWS); break;
	case '<':
	case KEY_LEFT: move_sort(s, -1); break;
	case '>':
	case KEY_RIGHT: move_sort(s, 1); break;
	case 'r':
		s->top.order[s->view].falling = !s->top.order[s->view].falling;
		top_arrange(&s->top, s->view);
		break;
	case '/':
		s->view = TOP_TENANTS;
		s->asking = true;
		memcpy(s->filter_before, s->top.filter, sizeof(s->filter_before));
		break;
	case KEY_ESCAPE: set_filter(s, ""); break;
	case 'p':
	case ' ': s->paused = !s->paused; return s->paused ? 0 : resume(s);
	case '+': change_interval(s, true); break;
	case '-': change_interval(s, false); break;
	case 'f': s->all_facts = !s->all_facts; break;
	case 'i':
	case 'x':
		*(key == 'i' ? &s->top.busy_only : &s->top.rejected_only) ^= true;
		top_arrange(&s->top, TOP_TENANTS);
		break;
	case 'd':
		s->top.show_dead = !s->top.show_dead;
		top_arrange(&s->top, TOP_BROKERS);
		break;
	case 'j': choose(s, true); break;
	case 'k': choose(s, false); break;
	case '\n':
	case '\r':
	case KEY_ENTER: open_chosen(s); break;
	case KEY_UP: go_to(s, *first ? *first - 1 : 0); break;
	case KEY_DOWN: go_to(s, *first + 1); break;
	case KEY_PPAGE: go_to(s, *first > s->page ? *first - s->page : 0); break;
	case KEY_NPAGE: go_to(s, *first + s->page); break;
	case KEY_HOME: go_to(s, 0); break;
	case KEY_END: go_to(s, SIZE_MAX); break;
	default: break;
	}
	return 0;
}

static int read_keys(struct screen *s)
{
	int key, code = 0;

	while (!code && !s->done && (key = getch()) != ERR) {
		if (key == KEY_RESIZE)
			continue;
		if (s->help)
			s->help = false;
		else if (s->asking)
			key_of_prompt(s, key);
		else if (s->one.generation)
			code = key_of_tenant(s, key);
		else
			code = key_of_table(s, key);
	}
	return code;
}

/* ---- waiting ------------------------------------------------------------------------------ */

/*
 * Waits until there is something to do. False if the terminal is gone. Ctrl-Z stops the program
 * only in here, while the screen is complete.
 */
static bool wait_for_something(const struct screen *s, const sigset_t *mask)
{
	struct pollfd p[2] = { { STDIN_FILENO, POLLIN, 0 }, { wake_fd, POLLIN, 0 } };
	uint64_t now = clock_monotonic_ns(), left = s->due_ns > now ? s->due_ns - now : 0, wakes;
	const struct timespec time = { (time_t)(left / 1000000000), (long)(left % 1000000000) };

	if (ppoll(p, 2, s->paused ? NULL : &time, mask) < 0)
		return errno == EINTR;
	if ((p[1].revents & POLLIN) && read(wake_fd, &wakes, sizeof(wakes)) < 0)
		return errno == EAGAIN;
	return !(p[0].revents & (POLLHUP | POLLERR | POLLNVAL));
}

static int refresh_if_due(struct screen *s)
{
	int code;
	uint64_t now = clock_monotonic_ns(), took;

	if (s->paused || now < s->due_ns)
		return 0;
	code = refresh_model(s);
	took = clock_monotonic_ns() - now;
	s->due_ns += s->interval_ns;
	if (s->due_ns < now + 5 * took)
		s->due_ns = now + 5 * took;
	return code;
}

/* Returns the exit code. Messages must wait until the terminal is restored. */
static int watch(struct screen *s, const sigset_t *mask, int *code)
{
	*code = 0;
	while (!*code && !s->done && !ended_by) {
		if (continued) {
			continued = 0;
			reset_prog_mode();
			redrawwin(stdscr);
		}
		draw(s);
		if (!wait_for_something(s, mask))
			return EXIT_SYSTEM;
		*code = read_keys(s);
		if (!*code)
			*code = refresh_if_due(s);
	}
	return EXIT_DONE;
}

/* ---- the terminal --------------------------------------------------------------------------- */

static void begin_colors(struct screen *s)
{
	s->colors = s->ctl->color && has_colors() && start_color() == OK;
	if (!s->colors)
		return;
	use_default_colors();
	init_pair(PAIR_ALARM, COLOR_RED, -1);
	init_pair(PAIR_WARN, COLOR_YELLOW, -1);
}

static int show(struct screen *s)
{
	SCREEN *terminal;
	sigset_t stop, mask;
	int code, exit_code;

	wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (wake_fd < 0 || tcgetattr(STDIN_FILENO, &found))
		return fail_with(s->ctl, K2K_EIO, "can't open the terminal: %s", strerror(errno));
	catch_signals();
	sigemptyset(&stop);
	sigaddset(&stop, SIGTSTP);
	sigprocmask(SIG_BLOCK, &stop, &mask);
	terminal = newterm(NULL, stdout, stdin);
	if (!terminal)
		return fail_with(s->ctl, K2K_EIO, "can't open the terminal");
	set_escdelay(50);
	cbreak();
	noecho();
	nonl();
	keypad(stdscr, TRUE);
	nodelay(stdscr, TRUE);
	begin_colors(s);
	exit_code = watch(s, &mask, &code);
	/* after Ctrl-S the last bytes would wait as well; TCOON works only after TCOOFF */
	tcflow(STDOUT_FILENO, TCOOFF);
	tcflow(STDOUT_FILENO, TCOON);
	endwin();
	delscreen(terminal);
	close(wake_fd);
	if (exit_code)
		return fail_with(s->ctl, K2K_EIO, "the terminal is gone");
	return code ? fail(s->ctl, code, "registry '%s'", s->ctl->registry) : EXIT_DONE;
}

int top_screen(struct ctl *ctl, struct k2k_registry *reg, uint64_t interval_ns, int *signal_number)
{
	struct screen s = { .ctl = ctl, .reg = reg, .interval_ns = interval_ns };
	int exit_code, code;

	units_print_duration(s.every, interval_ns);
	top_begin(&s.top);
	code = refresh_model(&s);
	s.due_ns = s.top.now.taken_ns + interval_ns;
	exit_code = code ? fail(ctl, code, "registry '%s'", ctl->registry) : show(&s);
	top_end(&s.top);
	*signal_number = ended_by;
	return exit_code;
}
