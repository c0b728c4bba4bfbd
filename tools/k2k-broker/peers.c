/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "peers.h"
#include "socket_path.h"
#include "common/memory.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

enum { DIGITS = 16, WAYS = 64, AT_ONCE = 256, EVENTS = 64 };
#define PACKET_MAGIC UINT64_C(0x6b326b2d70656572) /* "k2k-peer"; another one: another version */

/* A packet: this, the two names, and nothing else. Both ends are on one machine. */
struct packet {
	uint64_t magic, sender, tenant, org_id, engagement_id, gpu_ns;
	struct broker_admission admission;
	uint8_t from_size, to_size; /* without a 0 at the end */
	uint8_t unused[6];
};

/* A connection to another broker, for sending. */
struct way {
	uint64_t number; /* 0: unused */
	int fd;
};

struct sender {
	LIST_ENTRY(sender) next;
	int fd;
};

struct peers {
	struct broker *broker;
	uint64_t number;
	int fd, epoll;
	int deaf; /* no descriptor was left for a new sender: try again with the next work */
	struct sockaddr_un address;
	struct way ways[WAYS];
	size_t next_way; /* that is given up if all are used */
	LIST_HEAD(, sender) senders;
	size_t sender_count;
};

/* ---- the directory ------------------------------------------------------------------------ */

/* The path of a broker's socket. False: it is too long. */
static int socket_of(struct sockaddr_un *address, const char *directory, const char *name)
{
	int length = snprintf(address->sun_path, sizeof address->sun_path, "%s/%s", directory,
	                      name);

	address->sun_family = AF_UNIX;
	return length > 0 && (size_t)length < sizeof address->sun_path;
}

static int socket_of_number(struct sockaddr_un *address, const char *directory, uint64_t number)
{
	char name[DIGITS + 1];

	snprintf(name, sizeof name, "%016" PRIx64, number);
	return socket_of(address, directory, name);
}

static int is_ours(uid_t uid)
{
	return uid == geteuid() || uid == 0;
}

/* Removes the sockets of brokers that have died; under the directory's lock. */
static void sweep(const char *path)
{
	DIR *entries = opendir(path);
	struct dirent *entry;

	while (entries && (entry = readdir(entries))) {
		struct sockaddr_un address;

		if (strlen(entry->d_name) == DIGITS &&
		    strspn(entry->d_name, "0123456789abcdef") == DIGITS &&
		    socket_of(&address, path, entry->d_name) &&
		    socket_is_alive(&address, SOCK_SEQPACKET) == 0)
			unlink(address.sun_path);
	}
	if (entries)
		closedir(entries);
}

static int open_directory(const char *path, char why[256], int *exit_code)
{
	struct stat st;
	int fd;

	if (mkdir(path, 0700) != 0 && errno != EEXIST)
		goto failed;
	fd = open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0)
		goto failed;
	if (fstat(fd, &st) == 0 && is_ours(st.st_uid) && (st.st_mode & 077) == 0)
		return fd;
	close(fd);
	*exit_code = 7;
	snprintf(why, 256, "must be a directory of this user or of root, with mode 0700");
	return -1;
failed:
	*exit_code = errno == EACCES || errno == EPERM ? 7 : 10;
	snprintf(why, 256, "%s", strerror(errno));
	return -1;
}

static int watch(const struct peers *peers, int fd, void *what)
{
	struct epoll_event event = { .events = EPOLLIN, .data.ptr = what };

	return epoll_ctl(peers->epoll, EPOLL_CTL_ADD, fd, &event);
}

/* Under the directory's lock. */
static int listen_in(struct peers *peers, const char *path)
{
	sweep(path);
	peers->fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	peers->epoll = epoll_create1(EPOLL_CLOEXEC);
	if (peers->fd < 0 || peers->epoll < 0 ||
	    getrandom(&peers->number, sizeof peers->number, 0) != sizeof peers->number)
		return -1;
	peers->number |= 1; /* not 0 */
	socket_of_number(&peers->address, path, peers->number);
	if (bind(peers->fd, (struct sockaddr *)&peers->address, sizeof peers->address) != 0)
		return -1;
	return listen(peers->fd, SOMAXCONN) != 0 || watch(peers, peers->fd, NULL) != 0 ? -1 : 0;
}

/* ---- sending ------------------------------------------------------------------------------ */

static void forget_way(struct way *way)
{
	if (way->number)
		close(way->fd);
	way->number = 0;
}

/* Null with errno: EAGAIN, or there is no such broker. */
static struct way *connect_to(struct peers *peers, uint64_t number)
{
	struct way *way = &peers->ways[peers->next_way];
	struct sockaddr_un address = peers->address;
	struct ucred peer;
	socklen_t size = sizeof peer;
	int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

	if (fd < 0)
		return NULL;
	snprintf(strrchr(address.sun_path, '/') + 1, DIGITS + 1, "%016" PRIx64, number);
	if (connect(fd, (struct sockaddr *)&address, sizeof address) != 0 ||
	    getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &size) != 0 || !is_ours(peer.uid)) {
		int error = errno;

		close(fd);
		errno = error;
		return NULL;
	}
	forget_way(way);
	*way = (struct way){ number, fd };
	peers->next_way = (peers->next_way + 1) % WAYS;
	return way;
}

static struct way *find_way(struct peers *peers, uint64_t number)
{
	for (size_t i = 0; i < WAYS; i++)
		if (peers->ways[i].number == number)
			return &peers->ways[i];
	return connect_to(peers, number);
}

static enum broker_decision forward(void *context, uint64_t number,
                                    const struct broker_admission *admission,
                                    const struct broker_message *message)
{
	struct peers *peers = context;
	struct packet head = { .magic = PACKET_MAGIC,
		               .sender = peers->number,
		               .tenant = message->tenant,
		               .org_id = message->tag.org_id,
		               .engagement_id = message->tag.engagement_id,
		               .gpu_ns = message->gpu_ns,
		               .admission = *admission,
		               .from_size = (uint8_t)strlen(message->from),
		               .to_size = (uint8_t)strlen(message->to) };
	struct iovec parts[] = { { &head, sizeof head },
		                 { (char *)(uintptr_t)message->from, head.from_size },
		                 { (char *)(uintptr_t)message->to, head.to_size } };
	const struct msghdr packet = { .msg_iov = parts, .msg_iovlen = 3 };
	struct way *way;

	errno = 0;
	way = find_way(peers, number);
	if (way && sendmsg(way->fd, &packet, MSG_DONTWAIT | MSG_NOSIGNAL) >= 0)
		return BROKER_FORWARDED;
	if (errno == EAGAIN || errno == EWOULDBLOCK || errno == ENOBUFS || errno == ENOMEM ||
	    errno == EMFILE || errno == ENFILE)
		return BROKER_QUEUE_FULL;
	if (way)
		forget_way(way);
	return BROKER_ELSEWHERE;
}

/* ---- receiving ---------------------------------------------------------------------------- */

static void forget_sender(struct peers *peers, struct sender *sender)
{
	LIST_REMOVE(sender, next);
	close(sender->fd);
	free(sender);
	peers->sender_count--;
}

static void accept_some(struct peers *peers)
{
	struct ucred peer;
	socklen_t size = sizeof peer;
	struct sender *sender;
	int fd;

	errno = 0;
	while ((fd = accept4(peers->fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC)) >= 0) {
		sender = check_memory(calloc(1, sizeof *sender));
		sender->fd = fd;
		LIST_INSERT_HEAD(&peers->senders, sender, next);
		peers->sender_count++;
		if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &size) != 0 ||
		    !is_ours(peer.uid) || peers->sender_count > PEERS_MAX ||
		    watch(peers, fd, sender) != 0)
			forget_sender(peers, sender);
	}
	if (errno == EMFILE || errno == ENFILE || errno == ENOBUFS || errno == ENOMEM)
		peers->deaf = epoll_ctl(peers->epoll, EPOLL_CTL_DEL, peers->fd, NULL) == 0;
}

/*
 * Is it UTF-8, without a 0? Clients get it as a part of a JSON line, and what clients send is
 * checked for that, too.
 */
static int is_text(const unsigned char *bytes, size_t size)
{
	for (size_t i = 0; i < size;) {
		unsigned char first = bytes[i++];
		size_t more = first < 0x80 ? 0 : first < 0xe0 ? 1 : first < 0xf0 ? 2 : 3;
		/* of the second byte: no form that is too long, no surrogate, not beyond 10ffff */
		unsigned char low = 0x80, high = 0xbf;

		if (first == 0xe0 || first == 0xf0)
			low = first == 0xe0 ? 0xa0 : 0x90;
		if (first == 0xed || first == 0xf4)
			high = first == 0xed ? 0x9f : 0x8f;
		if (!first || (first >= 0x80 && first < 0xc2) || first > 0xf4 || more > size - i)
			return 0;
		for (; more > 0; more--, i++) {
			if (bytes[i] < low || bytes[i] > high)
				return 0;
			low = 0x80;
			high = 0xbf;
		}
	}
	return size > 0;
}

/* False: it is no packet of this version. */
static int take_packet(struct peers *peers, const char *bytes, size_t size)
{
	char from[K2K_KERNEL_NAME_MAX + 1] = "", to[K2K_KERNEL_NAME_MAX + 1] = "";
	struct packet head;

	if (size < sizeof head)
		return 0;
	memcpy(&head, bytes, sizeof head);
	if (head.magic != PACKET_MAGIC || head.from_size > K2K_KERNEL_NAME_MAX ||
	    head.to_size > K2K_KERNEL_NAME_MAX ||
	    size != sizeof head + head.from_size + head.to_size)
		return 0;
	memcpy(from, bytes + sizeof head, head.from_size);
	memcpy(to, bytes + sizeof head + head.from_size, head.to_size);
	if (!is_text((const unsigned char *)from, head.from_size) ||
	    !is_text((const unsigned char *)to, head.to_size))
		return 0;
	broker_receive(
		peers->broker, head.sender, &head.admission,
		&(struct broker_message){
			from, to, head.tenant, { head.org_id, head.engagement_id }, head.gpu_ns });
	return 1;
}

static void take_some(struct peers *peers, struct sender *sender)
{
	char bytes[sizeof(struct packet) + 2 * K2K_KERNEL_NAME_MAX + 1];

	for (int i = 0; i < AT_ONCE; i++) {
		ssize_t n = recv(sender->fd, bytes, sizeof bytes, MSG_DONTWAIT);

		if (n < 0 && (errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR))
			return;
		if (n <= 0 || !take_packet(peers, bytes, (size_t)n)) {
			forget_sender(peers, sender);
			return;
		}
	}
}

void peers_work(struct peers *peers)
{
	struct epoll_event events[EVENTS];
	int count;

	if (peers->deaf)
		peers->deaf = watch(peers, peers->fd, NULL) != 0;
	count = epoll_wait(peers->epoll, events, EVENTS, 0);
	for (int i = 0; i < count; i++) {
		if (events[i].data.ptr)
			take_some(peers, events[i].data.ptr);
		else
			accept_some(peers);
	}
}

int peers_fd(const struct peers *peers)
{
	return peers->epoll;
}

/* ---- its life ------------------------------------------------------------------------------- */

struct peers *peers_open(const char *path, struct broker *broker, char why[256], int *exit_code)
{
	struct peers *peers = check_memory(calloc(1, sizeof *peers));
	struct sockaddr_un longest;
	int directory = -1, done = 0;

	*peers = (struct peers){ .broker = broker, .fd = -1, .epoll = -1 };
	LIST_INIT(&peers->senders);
	if (!path[0] || !socket_of_number(&longest, path, 0)) {
		*exit_code = 2;
		snprintf(why, 256, "a directory's path has 1 to %zu bytes",
		         sizeof longest.sun_path - DIGITS - 2);
	} else {
		directory = open_directory(path, why, exit_code);
	}
	if (directory >= 0) {
		done = socket_lock_directory(directory) == 0 && listen_in(peers, path) == 0;
		if (!done) {
			*exit_code = errno == EWOULDBLOCK ? 8 : errno == EACCES ? 7 : 10;
			snprintf(why, 256, "no socket in it: %s", strerror(errno));
		}
		close(directory);
	}
	if (done)
		broker_set_way(broker, &(struct broker_way){ peers->number, forward, peers });
	else
		peers_close(&peers);
	return peers;
}

void peers_close(struct peers **closed)
{
	struct peers *peers = *closed;
	struct sender *sender;

	if (!peers)
		return;
	while ((sender = LIST_FIRST(&peers->senders)))
		forget_sender(peers, sender);
	for (size_t i = 0; i < WAYS; i++)
		forget_way(&peers->ways[i]);
	if (peers->address.sun_path[0])
		unlink(peers->address.sun_path);
	if (peers->fd >= 0)
		close(peers->fd);
	if (peers->epoll >= 0)
		close(peers->epoll);
	free(peers);
	*closed = NULL;
}
