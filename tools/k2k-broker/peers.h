/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * peers.h - messages from one broker of this host to another
 *
 * Each broker listens on a socket in a directory that all of them share; its name is the broker's
 * number, which is in the address of its kernels. A message is one packet.
 *
 *  1. Only brokers of one user, or of root, talk to each other: the directory must be its owner's
 *     alone, and each end checks the user of the other.
 *  2. Nobody waits. If the receiver's socket is full, the sender's answer is QUEUE_FULL.
 *  3. Nothing is acknowledged. What waits in the socket of a broker that dies is lost, though it is
 *     admitted and billed, as a message in the queue of a client is.
 *  4. One hop: a broker never passes on what it has received.
 *  5. The directory of kernels decides, not the sender: see broker_receive().
 *  6. A killed broker leaves its socket's name behind; the next broker that starts removes it.
 */
#ifndef K2K_BROKER_PEERS_H
#define K2K_BROKER_PEERS_H

#include "broker.h"

#define PEERS_MAX 1024 /* brokers that send to this one at once */

struct peers;

/*
 * Makes the directory if it is missing, listens in it, and makes this the broker's way to others.
 * Returns null with the reason in why[256], and the program's exit status.
 */
struct peers *peers_open(const char *path, struct broker *broker, char why[256], int *exit_code);
/* Is readable when a broker wants something; see peers_work(). */
int peers_fd(const struct peers *peers);
/* Takes what other brokers have sent, a limited number of messages at once. Never waits. */
void peers_work(struct peers *peers);
void peers_close(struct peers **peers);

#endif
