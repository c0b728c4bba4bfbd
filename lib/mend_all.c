/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* mend_all.c (F6, on top of its peers) - k2k_mend(), which runs the parts in order. */
#include <stdlib.h>

#include "mend.h"

int k2k_mend(struct k2k_mend *mend)
{
	int code = k2k_mend_list_registrations(mend);

	if (!code) {
		k2k_mend_words(mend);
		code = k2k_mend_costs(mend);
	}
	if (!code)
		k2k_mend_periods(mend);
	if (!code)
		code = k2k_mend_leases(mend);
	if (!code && mend->thorough) {
		k2k_mend_kernels(mend);
		k2k_mend_rings(mend);
	}
	free(mend->registrations);
	mend->registrations = NULL;
	return code;
}
