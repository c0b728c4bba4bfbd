/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "trace.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "memory.h"

#define EVENTS 16384
#define TEXT_BYTES 128
#define OUTCOMES 4096

static struct event {
	int thread;
	const char *note;
	struct step step;
} events[EVENTS];
static unsigned int event_count;

static char log_text[8 * EVENTS];
static size_t log_length;

void trace_begin(void)
{
	event_count = 0;
	log_length = 0;
}

static void append(const char *text)
{
	size_t bytes = strlen(text);

	if (log_length + bytes + 1 < sizeof(log_text)) {
		memcpy(log_text + log_length, text, bytes + 1);
		log_length += bytes;
	}
}

static const char letters[] = "abcdefgh"
			      "ABCDEFGH"
			      "stuvwxyz";

void trace_log_actor(uint32_t actor)
{
	append((char[]){ letters[__builtin_ctz(actor)], '\0' });
}

void trace_log_value(unsigned int value)
{
	char text[16];

	snprintf(text, sizeof(text), value < 10 ? "%u" : "[%u]", value);
	append(text);
}

void trace_step(int thread, const struct step *step)
{
	if (event_count < EVENTS)
		events[event_count++] = (struct event){ .thread = thread, .step = *step };
}

void trace_note(int thread, const char *what)
{
	if (event_count < EVENTS)
		events[event_count++] = (struct event){ .thread = thread, .note = what };
}

/* ---- printing ------------------------------------------------------------------------ */

const char *trace_file(const struct explore_site *site)
{
	const char *file = site->file;

	while (strncmp(file, "../", 3) == 0)
		file += 3;
	return file;
}

const char *trace_order(enum explore_order order)
{
	switch (order) {
	case EXPLORE_RELAXED: return "relaxed";
	case EXPLORE_ACQUIRE: return "acquire";
	case EXPLORE_RELEASE: return "release";
	case EXPLORE_ACQ_REL: return "acq_rel";
	default: return "seq_cst";
	}
}

static void print_number(uint64_t value)
{
	if (value < 100000)
		printf("%llu", (unsigned long long)value);
	else
		printf("0x%llx", (unsigned long long)value);
}

static void print_value(const char *what, uint64_t value)
{
	printf("%s", what);
	print_number(value);
}

static void print_step(const struct step *step)
{
	enum explore_order order = step->order;

	switch (step->kind) {
	case STEP_LOAD:
		printf("load  %s", step->site->text);
		print_value(" = ", step->read);
		break;
	case STEP_STORE:
		printf("store %s", step->site->text);
		print_value(" := ", step->value);
		break;
	case STEP_RMW:
		printf("rmw   %s", step->site->text);
		print_value(" was ", step->read);
		print_value(" := ", step->value);
		break;
	case STEP_CAS:
		printf("cas   %s", step->site->text);
		print_value(" was ", step->read);
		if (step->done)
			print_value(" := ", step->value);
		else
			printf(", fails");
		order = step->done ? step->order : step->failure;
		break;
	case STEP_FENCE: printf("fence"); break;
	case STEP_ASK:
		printf("asks  whether the process of thread %d lives: %s\n", (int)step->read,
		       step->value ? "yes" : "no");
		return;
	case STEP_YIELD: printf("yields\n"); return;
	case STEP_END: printf("ends\n"); return;
	case STEP_BARRIER: printf("fences its process\n"); return;
	}
	printf(" (%s", trace_order(order));
	if (step->newer)
		printf(step->kind == STEP_STORE ? ", in front of %u" : ", %u newer", step->newer);
	printf(")  %s:%d\n", trace_file(step->site), step->site->line);
}

/* A load of a word that no other thread ever stores to tells nothing of the interleaving. */
static bool is_idle(const struct event *event)
{
	return !event->note && event->step.kind == STEP_LOAD && event->step.newer == 0 &&
	       !(memory_location(event->step.location)->writers & ~(1u << event->thread));
}

void trace_print(const char *program, bool all)
{
	unsigned int idle = 0;

	for (unsigned int i = 0; i < event_count; i++) {
		if (!all && is_idle(&events[i])) {
			idle++;
			continue;
		}
		printf("%4u  thread %d  ", i + 1, events[i].thread);
		if (events[i].note)
			printf("%s\n", events[i].note);
		else
			print_step(&events[i].step);
	}
	if (idle)
		printf("(left out: %u loads of words that no other thread stores to; --replay "
		       "prints them)\n",
		       idle);
	printf("replay: explore %s --replay ", program);
	for (size_t i = 0; i < log_length;) {
		size_t same = 1;

		while (i + same < log_length && log_text[i + same] == log_text[i])
			same++;
		if (isdigit((unsigned char)log_text[i]) || log_text[i] == '[' ||
		    log_text[i] == ']' || same < 4)
			same = 1;
		printf("%c", log_text[i]);
		if (same > 1)
			printf("*%zu.", same);
		i += same;
	}
	printf("\n");
}

/* ---- replaying ------------------------------------------------------------------------- */

uint32_t trace_replay_actor(const char **replay)
{
	static unsigned long again;
	static char letter;
	const char *found;

	if (again > 0) {
		again--;
	} else {
		letter = **replay;
		if (letter == '\0')
			return 0;
		++*replay;
		if (**replay == '*') {
			char *end;

			again = strtoul(*replay + 1, &end, 10) - 1;
			*replay = *end == '.' ? end + 1 : end;
		}
	}
	found = strchr(letters, letter);
	if (!found || letter == '\0') {
		fprintf(stderr, "explore: '%c' in the string to replay is no actor\n", letter);
		exit(2);
	}
	return 1u << (found - letters);
}

unsigned int trace_replay_value(const char **replay)
{
	unsigned int value;
	char *end;

	if (isdigit((unsigned char)**replay)) {
		value = (unsigned int)(**replay - '0');
		++*replay;
		return value;
	}
	if (**replay != '[')
		return 0;
	value = (unsigned int)strtoul(*replay + 1, &end, 10);
	*replay = *end == ']' ? end + 1 : end;
	return value;
}

/* ---- outcomes ---------------------------------------------------------------------------- */

static char said[EXPLORE_THREADS + 1][TEXT_BYTES];
static struct outcome {
	char *text;
	uint64_t count;
} outcomes[OUTCOMES];
static unsigned int outcome_count;

void outcome_begin(void)
{
	for (int i = 0; i <= EXPLORE_THREADS; i++)
		said[i][0] = '\0';
}

void outcome_say(int thread, const char *text)
{
	size_t used = strlen(said[thread]);

	snprintf(said[thread] + used, TEXT_BYTES - used, "%s%s", used ? " " : "", text);
}

void outcome_end(void)
{
	char all[(EXPLORE_THREADS + 1) * (TEXT_BYTES + 1)] = "";
	unsigned int i;

	for (i = 0; i <= EXPLORE_THREADS; i++)
		if (said[i][0]) {
			if (all[0])
				strcat(all, " ");
			strcat(all, said[i]);
		}
	if (!all[0])
		return;
	for (i = 0; i < outcome_count; i++)
		if (strcmp(outcomes[i].text, all) == 0) {
			outcomes[i].count++;
			return;
		}
	if (outcome_count < OUTCOMES)
		outcomes[outcome_count++] = (struct outcome){ strdup(all), 1 };
}

void outcome_forget(void)
{
	while (outcome_count > 0)
		free(outcomes[--outcome_count].text);
}

static bool is_named(const struct explore_program *program, const char *text)
{
	for (int i = 0; i < EXPLORE_OUTCOMES && program->outcomes[i]; i++)
		if (strcmp(program->outcomes[i], text) == 0)
			return true;
	return false;
}

bool outcome_compare(const struct explore_program *program, bool print)
{
	bool equal = true, demanded = program->outcomes[0] != NULL;

	for (unsigned int i = 0; i < outcome_count; i++) {
		bool named = !demanded || is_named(program, outcomes[i].text);

		if (print || !named)
			printf("  outcome %s%s (%llu)\n", outcomes[i].text,
			       named ? "" : ": not foreseen",
			       (unsigned long long)outcomes[i].count);
		equal &= named;
	}
	for (int i = 0; i < EXPLORE_OUTCOMES && program->outcomes[i]; i++) {
		unsigned int at = 0;

		while (at < outcome_count && strcmp(program->outcomes[i], outcomes[at].text) != 0)
			at++;
		if (at == outcome_count) {
			printf("  outcome %s never came\n", program->outcomes[i]);
			equal = false;
		}
	}
	return equal;
}
