/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "ctl.h"
#include "accounts.h"
#include "common/printable.h"

#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* The exit code of each code, and what to do about it; %s in a hint is the registry's name. */
static const struct {
	int code, exit_code;
	const char *hint;
} meanings[] = {
	{ K2K_EPERM, EXIT_PERMISSION, NULL },
	{ K2K_EOWNER, EXIT_PERMISSION, NULL },
	{ K2K_EROLE, EXIT_PERMISSION, NULL },
	{ K2K_ENOAUDIT, EXIT_BUSY,
	  "k2k-auditd must follow the registry, with the right to write it: see 'audit stats'" },
	{ K2K_ENOREGISTRY, EXIT_REGISTRY,
	  "'" CTL_NAME " -r %s init' creates it, -r NAME takes another" },
	{ K2K_ELAYOUT, EXIT_REGISTRY,
	  "use the version that created it; to go on with this one, 'save FILE' with that one, "
	  "'" CTL_NAME " -r %s destroy -y', 'init', and 'load FILE'" },
	{ K2K_EBOOT, EXIT_REGISTRY, "'" CTL_NAME " -r %s destroy' removes its files" },
	{ K2K_ECORRUPT, EXIT_REGISTRY,
	  "'" CTL_NAME " -r %s repair' repairs what brokers have corrupted; if it can't be opened, "
	  "'destroy -y' removes it" },
	{ K2K_EFENCED, EXIT_REGISTRY, "it was destroyed or replaced meanwhile; try again" },
	{ K2K_EIO, EXIT_SYSTEM, NULL },
	{ K2K_ENOMEM, EXIT_SYSTEM, "'" CTL_NAME " init --plan' prints how much is needed" },
	{ K2K_EFORKED, EXIT_SYSTEM, NULL },
	{ K2K_EBUSY, EXIT_BUSY, "try again, or wait longer with --timeout" },
	{ K2K_EEXIST, EXIT_EXISTS, "--if-missing accepts that" },
	{ K2K_EINVAL, EXIT_USAGE, NULL },
	{ K2K_EUNSPECIFIED, EXIT_USAGE, "0 means 'no tenant'; ids are 1 to 18446744073709551615" },
	{ K2K_EFULL, EXIT_FULL, NULL },
	{ K2K_ENOBROKERSLOT, EXIT_FULL, NULL },
	{ K2K_EUNBOOKED, EXIT_FULL, NULL },
	{ K2K_ENOTENANT, EXIT_MISSING,
	  "'" CTL_NAME " -r %s list' shows those that are registered" },
	{ K2K_ENOBUDGET, EXIT_MISSING,
	  "'" CTL_NAME " -r %s budget list' shows those that are set" },
	{ K2K_EGONE, EXIT_MISSING, NULL },
	{ K2K_ERATE, EXIT_NO, NULL },
	{ K2K_EBUDGET, EXIT_NO, NULL },
	{ K2K_EKERNELS, EXIT_NO, NULL },
	{ K2K_EGPUMEM, EXIT_NO, NULL },
};

static int exit_code_of(int code)
{
	for (size_t i = 0; i < sizeof(meanings) / sizeof(meanings[0]); i++)
		if (meanings[i].code == code)
			return meanings[i].exit_code;
	return EXIT_SYSTEM;
}

/*
 * Only the owner may change a registry; its group may read it. If the file system is read-only,
 * nobody may change it.
 */
static void hint_of_rights(const struct ctl *ctl, char *text, size_t room)
{
	const struct k2k_error_detail *detail = k2k_error_detail();
	char path[K2K_NAME_MAX + 32], owner[USER_TEXT] = "", group[USER_TEXT] = "";
	struct stat st;

	snprintf(path, sizeof(path), "/dev/shm/k2k.%s.defs", ctl->registry);
	if (lstat(path, &st) == 0) {
		user_name(owner, st.st_uid);
		group_name(group, st.st_gid);
	}
	if (detail->system_errno == EROFS)
		snprintf(text, room,
		         "its file system is mounted read-only, so nobody can change it");
	else if (ctl->role == K2K_ROLE_OBSERVER)
		snprintf(text, room,
		         "run it as the registry's owner%s%s, or as a member of its group%s%s",
		         owner[0] ? " " : "", owner, group[0] ? " " : "", group);
	else
		snprintf(text, room,
		         "only root and the registry's owner%s%s may change it; its group may "
		         "read it",
		         owner[0] ? " " : "", owner);
}

static void hint_of_owner(const struct ctl *ctl, char *text, size_t room)
{
	const struct k2k_error_detail *detail = k2k_error_detail();
	char owner[USER_TEXT];

	if (detail->code != K2K_EOWNER || strcmp(detail->field, "owner"))
		snprintf(
			text, room,
			"a file that others can write, or that is no regular file, is not trusted");
	else if (ctl->has_owner)
		snprintf(text, room, "--owner names another user");
	else
		snprintf(text, room,
		         "only registries of root and your own are trusted; --owner %s trusts this "
		         "one",
		         user_name(owner, (uid_t)detail->found));
}

static void hint_of(const struct ctl *ctl, int code, char *text, size_t room)
{
	const struct k2k_error_detail *detail = k2k_error_detail();

	text[0] = 0;
	if (code == K2K_EPERM)
		return hint_of_rights(ctl, text, room);
	if (code == K2K_EOWNER)
		return hint_of_owner(ctl, text, room);
	if (code == K2K_EFULL && detail->code == code && detail->object[0]) {
		snprintf(text, room, "'init --max-%.31s N' creates a larger registry",
		         detail->object);
		return;
	}
	if (code == K2K_EEXIST && detail->code == code && !strcmp(detail->field, "name")) {
		snprintf(text, room, "names are unique");
		return;
	}
	if (code == K2K_ECORRUPT && detail->code == code && !strcmp(detail->field, "magic")) {
		snprintf(text, room,
		         "not recognisable as a registry; remove it by hand if unneeded");
		return;
	}
	for (size_t i = 0; i < sizeof(meanings) / sizeof(meanings[0]); i++)
		if (meanings[i].code == code && meanings[i].hint) {
			/* the hints in the table have at most one conversion, %s */
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
			snprintf(text, room, meanings[i].hint, ctl->registry);
#pragma GCC diagnostic pop
		}
}

/* Why it failed; in the library's own words if they are about this error. */
static void reason_of(int code, char *text, size_t room)
{
	const struct k2k_error_detail *detail = k2k_error_detail();
	bool detailed = detail->code == code && detail->text[0];
	char pid[32];

	snprintf(text, room, "%s", detailed ? detail->text : k2k_strerror(code));
	if (detailed && detail->pid) {
		snprintf(pid, sizeof(pid), "%" PRIu64, detail->pid);
		if (!strstr(text, pid) && strlen(text) + strlen(pid) + 16 < room)
			sprintf(text + strlen(text), " (process %s)", pid);
	}
}

static int record(struct ctl *ctl, int code, const k2k_tenant_id *tenant, char *message)
{
	struct failure *f;

	printable(message);
	fflush(stdout);
	fprintf(stderr, CTL_NAME ": %s\n", message);
	if (ctl->failure_count == ctl->failure_room) {
		ctl->failure_room = ctl->failure_room * 2 + 4;
		ctl->failures = check_memory(
			realloc(ctl->failures, ctl->failure_room * sizeof(*ctl->failures)));
	}
	f = &ctl->failures[ctl->failure_count++];
	f->code = code;
	f->has_tenant = tenant != NULL;
	f->tenant = tenant ? *tenant : 0;
	f->message = check_memory(strdup(message));
	return exit_code_of(code);
}

static int explain(struct ctl *ctl, int code, const k2k_tenant_id *tenant, const char *what)
{
	char reason[400], hint[200], message[1200];
	const char *rest = reason;
	size_t length = strlen(what);

	reason_of(code, reason, sizeof(reason));
	if (!strncmp(reason, what, length) && reason[length] == ' ')
		rest += length + 1; /* the library's text names the same tenant */
	hint_of(ctl, code, hint, sizeof(hint));
	snprintf(message, sizeof(message), "%s: %s%s%s", what, rest, hint[0] ? "; " : "", hint);
	return record(ctl, code, tenant, message);
}

int fail(struct ctl *ctl, int code, const char *what, ...)
{
	char text[400];
	va_list args;

	va_start(args, what);
	vsnprintf(text, sizeof(text), what, args);
	va_end(args);
	return explain(ctl, code, NULL, text);
}

int fail_tenant(struct ctl *ctl, int code, k2k_tenant_id id, bool several)
{
	char text[64];

	snprintf(text, sizeof(text), "tenant %" PRIu64, id);
	return explain(ctl, code, several ? &id : NULL, text);
}

static int record_formatted(struct ctl *ctl, int code, const char *format, va_list args)
	__attribute__((format(printf, 3, 0)));

static int record_formatted(struct ctl *ctl, int code, const char *format, va_list args)
{
	char text[1200];

	vsnprintf(text, sizeof(text), format, args);
	return record(ctl, code, NULL, text);
}

int fail_usage(struct ctl *ctl, const char *message, ...)
{
	va_list args;
	int exit_code;

	va_start(args, message);
	exit_code = record_formatted(ctl, K2K_EINVAL, message, args);
	va_end(args);
	return exit_code;
}

int fail_with(struct ctl *ctl, int code, const char *message, ...)
{
	va_list args;
	int exit_code;

	va_start(args, message);
	exit_code = record_formatted(ctl, code, message, args);
	va_end(args);
	return exit_code;
}

bool can_ask(void)
{
	return isatty(STDIN_FILENO) && isatty(STDERR_FILENO);
}

bool ask(const char *question, ...)
{
	char text[600], answer[16];
	va_list args;

	va_start(args, question);
	vsnprintf(text, sizeof(text), question, args);
	va_end(args);
	printable(text);
	fflush(stdout);
	fprintf(stderr, "%s [y/N] ", text);
	return fgets(answer, sizeof(answer), stdin) &&
	       (!strcmp(answer, "y\n") || !strcmp(answer, "yes\n"));
}

void note(const struct ctl *ctl, const char *message, ...)
{
	char text[1200];
	va_list args;

	if (ctl->quiet)
		return;
	va_start(args, message);
	vsnprintf(text, sizeof(text), message, args);
	va_end(args);
	printable(text);
	fflush(stdout);
	fprintf(stderr, CTL_NAME ": %s\n", text);
}
