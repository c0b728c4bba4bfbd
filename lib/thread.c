/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "thread.h"

#include <errno.h>
#include <string.h>
#include <sys/mman.h>

#define CHUNK_BYTES 4096
#define RECORDS (CHUNK_BYTES / sizeof(struct k2k_thread))

_Static_assert(RECORDS >= 4, "a page holds several records");

_Thread_local struct k2k_thread *k2k_thread_self;

static _Atomic(struct k2k_thread *) newest;

/*
 * The key's destructor gives back the record of a thread that ends. The key is created before
 * main(), so no fork() can happen while it is half created.
 */
static pthread_key_t ended;
static int ended_error = EAGAIN;

/*
 * Runs in the thread that ends. If a later destructor of the program calls the library again, the
 * thread takes another record. A thread that ends inside a read section reads nothing any more, so
 * its section is ended here: otherwise synchronizers would wait for it for ever.
 */
static void give_back(void *record)
{
	struct k2k_thread *thread = record;

	k2k_thread_self = NULL;
	k2k_store_release(&thread->section, 0); /* publish[rcu-section]: all that the thread did */
	/* publish[thread-taken]: the last stores of the thread into the record */
	k2k_store_release(&thread->taken, 0);
}

__attribute__((constructor(101))) static void make_key(void)
{
	ended_error = pthread_key_create(&ended, give_back);
}

struct k2k_thread *k2k_thread_list(void)
{
	/* observe[thread-list]: the records behind it are complete */
	return k2k_load_acquire(&newest);
}

static struct k2k_thread *take_used(void)
{
	for (struct k2k_thread *thread = k2k_thread_list(); thread; thread = thread->next) {
		uint32_t free = 0;

		/*
		 * relaxed: only a hint; observe[thread-taken] is at the compare-exchange. A thread
		 * that sees 1 reads nothing more of the record.
		 */
		if (k2k_load_relaxed(&thread->taken) == 0 &&
		    k2k_cas_acquire(&thread->taken, &free, 1))
			return thread;
	}
	return NULL;
}

/* Maps a page of records. The calling thread gets the first one; the others are free. */
static struct k2k_thread *take_new(void)
{
	struct k2k_thread *chunk, *head;

	chunk = mmap(NULL, CHUNK_BYTES, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (chunk == MAP_FAILED)
		return NULL;
	for (size_t i = 0; i + 1 < RECORDS; i++)
		chunk[i].next = &chunk[i + 1];
	k2k_store_relaxed(&chunk->taken, 1); /* relaxed: no other thread sees the page yet */
	/* relaxed: the compare-exchange below checks this value, and orders it */
	head = k2k_load_relaxed(&newest);
	do
		chunk[RECORDS - 1].next = head;
	/* publish[thread-list]: the chunk; observe[thread-list] on failure */
	while (!k2k_cas_acq_rel(&newest, &head, chunk));
	return chunk;
}

struct k2k_thread *k2k_thread_first_use(void)
{
	struct k2k_thread *thread;
	int error = ended_error;

	if (error) {
		errno = error;
		return NULL;
	}
	thread = take_used();
	if (!thread)
		thread = take_new();
	if (!thread)
		return NULL;
	error = pthread_setspecific(ended, thread);
	if (error) {
		k2k_store_release(&thread->taken, 0); /* publish[thread-taken] */
		errno = error;
		return NULL;
	}
	memset(&thread->detail, 0, sizeof(thread->detail));
	thread->sinks = 0;
	k2k_thread_self = thread;
	return thread;
}

/* relaxed, both: the child has no other thread yet */
void k2k_thread_after_fork_child(void)
{
	for (struct k2k_thread *thread = k2k_thread_list(); thread; thread = thread->next)
		if (thread != k2k_thread_self) {
			k2k_store_relaxed(&thread->section, 0);
			k2k_store_relaxed(&thread->taken, 0);
		}
}
