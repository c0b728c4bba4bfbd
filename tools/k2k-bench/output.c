/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "bench.h"
#include "common/json.h"
#include "common/memory.h"

#include <json-c/json.h>
#include <libsmartcols/libsmartcols.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/utsname.h>
#include <unistd.h>

enum { TEXT = 96 };

/* ---- the machine ----------------------------------------------------------- */

static void machine_cpu(char text[TEXT])
{
	FILE *file = fopen("/proc/cpuinfo", "re");
	char line[256];

	strcpy(text, "unknown");
	while (file && fgets(line, sizeof(line), file))
		if (!strncmp(line, "model name", 10) && strchr(line, ':')) {
			snprintf(text, TEXT, "%.*s", (int)strcspn(strchr(line, ':') + 2, "\n"),
			         strchr(line, ':') + 2);
			break;
		}
	if (file)
		fclose(file);
}

static double machine_load(void)
{
	double load;

	return getloadavg(&load, 1) == 1 ? load : 0;
}

static void machine_kernel(char text[TEXT])
{
	struct utsname name;

	strcpy(text, "unknown");
	if (!uname(&name))
		snprintf(text, TEXT, "%.30s %.40s %.20s", name.sysname, name.release, name.machine);
}

/* ---- table --------------------------------------------------------------------- */

static void print_value(char text[TEXT], enum unit unit, double value)
{
	static const struct {
		double from;
		const char *unit;
	} steps[] = {
		{ 1e9, "s" },
		{ 1e6, "ms" },
		{ 1e3, "us" },
		{ 0, "ns" },
	};
	size_t i = 0;

	if (unit != UNIT_NS) {
		snprintf(text, TEXT, unit == UNIT_BYTES ? "%.1f B" : "%.0f /s", value);
		return;
	}
	while (value < steps[i].from)
		i++;
	value /= steps[i].from > 0 ? steps[i].from : 1;
	snprintf(text, TEXT, "%.*f %s", value < 100 ? value < 10 ? 2 : 1 : 0, value, steps[i].unit);
}

static void print_target(char text[TEXT], const struct row *row)
{
	char value[TEXT];

	*text = 0;
	switch (row->goal) {
	case GOAL_RATIO_AT_MOST: snprintf(text, TEXT, "<= %g x", row->spec->target); break;
	case GOAL_RATIO_AT_LEAST: snprintf(text, TEXT, ">= %g x", row->spec->target); break;
	case GOAL_VALUE_AT_MOST:
		print_value(value, row->spec->unit, row->spec->target);
		snprintf(text, TEXT, "<= %.80s", value);
		break;
	default: break;
	}
}

enum {
	COLUMN_NAME,
	COLUMN_MEDIAN,
	COLUMN_LEAST,
	COLUMN_QUARTILES,
	COLUMN_RATIO,
	COLUMN_AGAINST,
	COLUMN_TARGET,
	COLUMN_MET,
	COLUMN_TEXT,
	COLUMNS
};

static void set_cell(struct libscols_line *line, size_t column, const char *text)
{
	if (scols_line_set_data(line, column, text))
		check_memory(NULL);
}

static void add_line(struct libscols_table *table, const struct row *row)
{
	struct libscols_line *line = check_memory(scols_table_new_line(table, NULL));
	char text[TEXT], low[TEXT], high[TEXT], both[2 * TEXT + 4];
	int met = row_met(row);

	set_cell(line, COLUMN_NAME, row->name);
	print_value(text, row->spec->unit, row->median);
	set_cell(line, COLUMN_MEDIAN, text);
	print_value(text, row->spec->unit, row->values[0]);
	set_cell(line, COLUMN_LEAST, text);
	print_value(low, row->spec->unit, row->low);
	print_value(high, row->spec->unit, row->high);
	snprintf(both, sizeof(both), "%s .. %s", low, high);
	set_cell(line, COLUMN_QUARTILES, row->count > 1 ? both : "");
	snprintf(text, sizeof(text), "%.2f x", row->ratio);
	set_cell(line, COLUMN_RATIO, row->ratio >= 0 ? text : "");
	set_cell(line, COLUMN_AGAINST, row->ratio >= 0 ? row->against : "");
	print_target(text, row);
	set_cell(line, COLUMN_TARGET, text);
	set_cell(line, COLUMN_MET, met < 0 ? "" : met ? "met" : "NOT MET");
	set_cell(line, COLUMN_TEXT, row->text);
}

void print_table(const struct row *rows, size_t count)
{
	static const struct {
		const char *name;
		int flags;
	} columns[COLUMNS] = {
		{ "NAME", 0 },
		{ "MEDIAN", SCOLS_FL_RIGHT },
		{ "LEAST", SCOLS_FL_RIGHT },
		{ "QUARTILES", SCOLS_FL_RIGHT },
		{ "RATIO", SCOLS_FL_RIGHT },
		{ "TO", 0 },
		{ "TARGET", 0 },
		{ "", 0 },
		{ "WHAT", 0 },
	};
	struct libscols_table *table = check_memory(scols_new_table());
	char cpu[TEXT], kernel[TEXT];
	size_t met = 0, targets = 0;

	machine_cpu(cpu);
	machine_kernel(kernel);
	printf("%s, %u processors, %s; load %.1f; %s; %u rounds\n", cpu, processors(), kernel,
	       machine_load(), BENCH_BUILD, options.rounds);
	for (int i = 0; i < COLUMNS; i++)
		check_memory(scols_table_new_column(table, columns[i].name, 0, columns[i].flags));
	for (size_t i = 0; i < count; i++) {
		if (!rows[i].floor && !row_is_wanted(rows[i].spec))
			continue;
		add_line(table, &rows[i]);
		targets += row_met(&rows[i]) >= 0;
		met += row_met(&rows[i]) > 0;
	}
	if (scols_print_table(table))
		die("can't print the table");
	scols_unref_table(table);
	if (targets)
		printf("%zu of %zu targets met\n", met, targets);
}

/* ---- JSON ------------------------------------------------------------------------ */

static json_object *number(double value)
{
	char text[64];

	snprintf(text, sizeof(text), "%.*f", value < 1000 ? 3 : 0, value);
	return check_memory(json_object_new_double_s(value, text));
}

static json_object *json_machine(void)
{
	json_object *machine = json_new();
	char text[TEXT];

	machine_cpu(text);
	json_put_text(machine, "cpu", text);
	json_put_count(machine, "processors", processors());
	machine_kernel(text);
	json_put_text(machine, "kernel", text);
	json_put(machine, "load", number(machine_load()));
	json_put_text(machine, "build", BENCH_BUILD);
	return machine;
}

static json_object *json_row(const struct row *row)
{
	static const char *const units[] = { "ns", "bytes", "per_s" };
	static const char *const goals[] = {
		[GOAL_RATIO_AT_MOST] = "ratio at most",
		[GOAL_RATIO_AT_LEAST] = "ratio at least",
		[GOAL_VALUE_AT_MOST] = "value at most",
	};
	json_object *object = json_new();
	int met = row_met(row);

	json_put_text(object, "name", row->name);
	json_put(object, "ns", row->spec->unit == UNIT_NS ? number(row->median) : NULL);
	json_put(object, "ratio", row->ratio >= 0 ? number(row->ratio) : NULL);
	json_put(object, "target", met >= 0 ? number(row->spec->target) : NULL);
	json_put(object, "met", met >= 0 ? check_memory(json_object_new_boolean(met)) : NULL);
	json_put_text(object, "goal", goals[row->goal]);
	json_put_text(object, "against", row->ratio >= 0 ? row->against : NULL);
	json_put_text(object, "unit", units[row->spec->unit]);
	json_put(object, "value", number(row->median));
	json_put(object, "min", number(row->values[0]));
	json_put(object, "low", number(row->low));
	json_put(object, "high", number(row->high));
	json_put(object, "max", number(row->values[row->count - 1]));
	json_put_count(object, "samples", row->count);
	json_put_text(object, "what", row->text);
	return object;
}

void print_json(const struct row *rows, size_t count)
{
	json_object *all = json_new(), *floors = json_new(), *spread = json_new(),
		    *results = json_new_list();

	json_put_text(all, "schema", BENCH_NAME "/1");
	json_put(all, "machine", json_machine());
	json_put_count(all, "rounds", options.rounds);
	json_put_bool(all, "quick", options.quick);
	for (size_t i = 0; i < count; i++) {
		char key[TEXT];

		if (rows[i].floor) {
			snprintf(key, sizeof(key), "%.60s_ns", rows[i].name);
			if (json_object_object_add(floors, key, number(rows[i].median)) ||
			    json_object_object_add(spread, key, json_row(&rows[i])))
				out_of_memory();
		} else if (row_is_wanted(rows[i].spec)) {
			json_append(results, json_row(&rows[i]));
		}
	}
	json_put(all, "floors", floors);
	json_put(all, "floor_rows", spread);
	json_put(all, "results", results);
	puts(json_object_to_json_string_ext(all, JSON_C_TO_STRING_PRETTY | JSON_C_TO_STRING_SPACED |
	                                                 JSON_C_TO_STRING_NOSLASHESCAPE));
	json_object_put(all);
}
