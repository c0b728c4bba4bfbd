/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * pace.h - when an agent asks, so that many hosts don't ask together
 *
 * All hosts lose a database at the same moment, and the first thing that it does when it is back is
 * to take their connections. So after a failure an agent waits for a random part of a time that
 * doubles ("full jitter": Marc Brooker, Exponential Backoff And Jitter, AWS Architecture Blog,
 * 2015). A server that is busy with many of them answers late: an agent that gave up would make it
 * begin anew, so the time in which it waits for a connection doubles too.
 */
#ifndef K2K_FLEETD_PACE_H
#define K2K_FLEETD_PACE_H

#include <stdint.h>

#define PACE_CONNECT_MOST_NS UINT64_C(30000000000)
#define PACE_RETRY_MOST_NS UINT64_C(5000000000)

/* A random part of it. */
uint64_t pace_part(uint64_t ns);
/* Up to a fifth more: the pause to the next poll or report. */
uint64_t pace_pause(uint64_t ns);
/* The pause after so many failures in a row, the first of which is 1. */
uint64_t pace_backoff(uint64_t base_ns, unsigned failures, uint64_t most_ns);
/* After so many failures: how long to wait for a connection, and for what is asked first. */
uint64_t pace_patience(uint64_t timeout_ns, unsigned failures);

#endif
