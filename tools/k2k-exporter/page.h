/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The status page: page.html with page.css and page.js in it, put together by embed-page.py when it
 * is built.
 */
#ifndef K2K_EXPORTER_PAGE_H
#define K2K_EXPORTER_PAGE_H

#include <stddef.h>

extern const char page_bytes[];
extern const size_t page_size;
/*
 * Its Content-Security-Policy: this style and this script by their hashes, this server's data, and
 * nothing else.
 */
extern const char page_policy[];

#endif
