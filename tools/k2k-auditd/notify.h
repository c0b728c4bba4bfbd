/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* notify.h - tells the service manager; nothing where there is none. A datagram, so that no library is needed. */
#ifndef K2K_AUDITD_NOTIFY_H
#define K2K_AUDITD_NOTIFY_H

void notify(const char *state);      /* "READY=1", "STOPPING=1", "STATUS=..." */

#endif
