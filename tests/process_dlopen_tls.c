/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A library that uses nearly all of the static TLS that glibc reserves for libraries loaded later
 * (1664 bytes).
 */
__attribute__((tls_model("initial-exec"))) __thread char eaten[1600] = { 1 };
char *get_eaten(void);

char *get_eaten(void)
{
	return eaten;
}
