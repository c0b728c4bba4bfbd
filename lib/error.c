/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "error.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "thread.h"

_Static_assert(K2K_EPERM == -EPERM && K2K_ENOREGISTRY == -ENOENT && K2K_EIO == -EIO,
               "the code is a negated errno");
_Static_assert(K2K_ENOMEM == -ENOMEM && K2K_EBUSY == -EBUSY && K2K_EEXIST == -EEXIST,
               "the code is a negated errno");
_Static_assert(K2K_EINVAL == -EINVAL && K2K_EFULL == -ENOSPC, "the code is a negated errno");

/* used by every thread that can't get a record */
static struct k2k_error_detail shared_detail;

static const struct {
	int code;
	const char *name, *text;
} codes[] = {
	{ K2K_OK, "K2K_OK", "done" },
	{ K2K_EPERM, "K2K_EPERM", "permission denied" },
	{ K2K_ENOREGISTRY, "K2K_ENOREGISTRY", "no such registry" },
	{ K2K_EIO, "K2K_EIO", "the system reported an error" },
	{ K2K_ENOMEM, "K2K_ENOMEM", "not enough memory" },
	{ K2K_EBUSY, "K2K_EBUSY", "busy, or timed out" },
	{ K2K_EEXIST, "K2K_EEXIST", "already exists" },
	{ K2K_EINVAL, "K2K_EINVAL", "invalid argument" },
	{ K2K_EFULL, "K2K_EFULL", "table full" },
	{ K2K_EUNSPECIFIED, "K2K_EUNSPECIFIED",
	  "tenant 0 is the unspecified tenant and can't be defined" },
	{ K2K_ENOTENANT, "K2K_ENOTENANT", "no such tenant" },
	{ K2K_ENOBUDGET, "K2K_ENOBUDGET", "no such budget" },
	{ K2K_ERATE, "K2K_ERATE", "message rate exceeded" },
	{ K2K_EBUDGET, "K2K_EBUDGET", "engagement budget exhausted" },
	{ K2K_EKERNELS, "K2K_EKERNELS", "kernel limit reached" },
	{ K2K_EGPUMEM, "K2K_EGPUMEM", "GPU memory limit exceeded" },
	{ K2K_EUNBOOKED, "K2K_EUNBOOKED",
	  "no ledger record for this GPU time; it counts as unattributed" },
	{ K2K_EGONE, "K2K_EGONE", "the tenant was deregistered meanwhile" },
	{ K2K_ENOTHELD, "K2K_ENOTHELD", "not held by this broker" },
	{ K2K_ESTALE, "K2K_ESTALE", "the lease belongs to an earlier registration" },
	{ K2K_ENOBROKERSLOT, "K2K_ENOBROKERSLOT", "all broker slots are taken" },
	{ K2K_ELAYOUT, "K2K_ELAYOUT", "the registry has a different memory layout" },
	{ K2K_EBOOT, "K2K_EBOOT", "the registry was created in an earlier boot" },
	{ K2K_EOWNER, "K2K_EOWNER", "the registry's file can't be trusted" },
	{ K2K_ECORRUPT, "K2K_ECORRUPT", "the registry is damaged" },
	{ K2K_EFENCED, "K2K_EFENCED", "the registry was destroyed, removed or replaced" },
	{ K2K_EFORKED, "K2K_EFORKED", "the handle was inherited over fork()" },
	{ K2K_EROLE, "K2K_EROLE", "the handle's role does not allow this" },
	{ K2K_ENOAUDIT, "K2K_ENOAUDIT", "no follower keeps up with the audit trail" },
	{ K2K_ESUSPENDED, "K2K_ESUSPENDED", "the tenant is suspended" },
	{ K2K_ENOKERNEL, "K2K_ENOKERNEL", "no such kernel" },
	{ K2K_ECROSSTENANT, "K2K_ECROSSTENANT", "the kernels are of different tenants" },
};

const char *k2k_strerror(int code)
{
	for (size_t i = 0; i < sizeof(codes) / sizeof(codes[0]); i++)
		if (codes[i].code == code)
			return codes[i].text;
	return "unknown error code";
}

const char *k2k_errname(int code)
{
	for (size_t i = 0; i < sizeof(codes) / sizeof(codes[0]); i++)
		if (codes[i].code == code)
			return codes[i].name;
	return "K2K_UNKNOWN";
}

static struct k2k_error_detail *own_detail(void)
{
	struct k2k_thread *self = k2k_thread_get();

	return self ? &self->detail : &shared_detail;
}

const struct k2k_error_detail *k2k_error_detail(void)
{
	return own_detail();
}

static struct k2k_error_detail *fill(int code, const char *object, const char *field,
                                     const char *format, va_list args)
{
	struct k2k_error_detail *detail = own_detail();

	memset(detail, 0, sizeof(*detail));
	detail->code = code;
	snprintf(detail->object, sizeof(detail->object), "%s", object ? object : "");
	snprintf(detail->field, sizeof(detail->field), "%s", field ? field : "");
	vsnprintf(detail->text, sizeof(detail->text), format, args);
	return detail;
}

int k2k_fail(int code, const char *object, const char *field, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	fill(code, object, field, format, args);
	va_end(args);
	return code;
}

/* Names the system limit that may have caused `error`: strerror() does not. */
static const char *limit_of(int error)
{
	switch (error) {
	case EMFILE: return " (RLIMIT_NOFILE, ulimit -n)";
	case ENFILE: return " (the system's fs.file-max)";
	case EFBIG: return " (RLIMIT_FSIZE, ulimit -f)";
	case ENOMEM:
		return " (RLIMIT_AS, RLIMIT_DATA, the control group's or the machine's memory)";
	default: return "";
	}
}

int k2k_fail_errno(int code, int error, const char *object, const char *format, ...)
{
	struct k2k_error_detail *detail;
	va_list args;
	size_t used;

	va_start(args, format);
	detail = fill(code, object, NULL, format, args);
	va_end(args);
	detail->system_errno = error;
	used = strlen(detail->text);
	snprintf(detail->text + used, sizeof(detail->text) - used, ": %s%s", strerror(error),
	         limit_of(error));
	return code;
}

int k2k_fail_values(int code, const char *object, const char *field, uint64_t expected,
                    uint64_t found, const char *format, ...)
{
	struct k2k_error_detail *detail;
	va_list args;

	va_start(args, format);
	detail = fill(code, object, field, format, args);
	va_end(args);
	detail->expected = expected;
	detail->found = found;
	return code;
}

int k2k_fail_pid(int code, const char *object, uint64_t pid, const char *format, ...)
{
	struct k2k_error_detail *detail;
	va_list args;

	va_start(args, format);
	detail = fill(code, object, NULL, format, args);
	va_end(args);
	detail->pid = pid;
	return code;
}

int k2k_fail_argument(const char *field, const char *why)
{
	return k2k_fail(K2K_EINVAL, "argument", field, "%s: %s", field, why);
}

void k2k_restore_detail(const struct k2k_error_detail *saved)
{
	*own_detail() = *saved;
}
