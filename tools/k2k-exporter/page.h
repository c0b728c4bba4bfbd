/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* page.h - the status page: page.html with page.css and page.js, embedded by embed-page.py */
#ifndef K2K_EXPORTER_PAGE_H
#define K2K_EXPORTER_PAGE_H

#include <stddef.h>

extern const char page_bytes[];
extern const size_t page_size;
/* Its Content-Security-Policy: only this style, this script and data of this server. */
extern const char page_policy[];

#endif
