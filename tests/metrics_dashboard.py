#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""metrics_dashboard.py DASHBOARD PROMETHEUS REGISTRY: asks a Prometheus each query of a Grafana dashboard, with its variables
filled in as Grafana does it, and expects an answer with at least one number."""
import json
import re
import sys
import urllib.parse
import urllib.request

dashboard = json.load(open(sys.argv[1], encoding="utf-8"))
server, registry = sys.argv[2:4]
failed = asked = 0


def ask(path, **arguments):
    with urllib.request.urlopen(f"{server}/api/v1/{path}?{urllib.parse.urlencode(arguments)}", timeout=20) as answer:
        return json.load(answer)["data"]


def filled(text, values):
    for name, value in values.items():
        text = text.replace(f"${name}", value)
    left = re.search(r"\$\w+", text)
    if left:
        raise ValueError(f"{left.group(0)} is no variable of the dashboard")
    return text


def judge(what, answer):
    global failed, asked
    asked += 1
    if not answer:
        failed += 1
        print(f"no answer: {what}")


values = {"__rate_interval": "1m"}
for variable in dashboard["templating"]["list"]:
    if variable["type"] == "datasource":
        continue
    match = re.fullmatch(r"label_values\((.*), (\w+)\)", variable["query"]["query"])
    series, label = match.groups()
    found = ask(f"label/{label}/values", **{"match[]": filled(series, values)})
    judge(variable["query"]["query"], found)
    # the test's registry by name; for the other variables, everything
    values[variable["name"]] = registry if registry in found else ".*"

ids = [panel["id"] for panel in dashboard["panels"]]
if len(ids) != len(set(ids)):
    print("panels share an id")
    failed += 1
for panel in dashboard["panels"]:
    for target in panel.get("targets", []):
        try:
            query = filled(target["expr"], values)
            result = ask("query", query=query)["result"]
        except (ValueError, urllib.error.HTTPError) as error:
            judge(f"{panel['title']}: {target['expr']}: {error}", None)
            continue
        judge(f"{panel['title']}: {query}", [r for r in result if r["value"][1] != "NaN"])
        # each label in a legend must be in the answer
        for label in re.findall(r"{{(\w+)}}", target["legendFormat"]):
            judge(f"{panel['title']}: label {label} of the legend", result and all(label in r["metric"] for r in result))
print(f"{asked} asked, {failed} failed")
sys.exit(1 if failed or asked < 30 else 0)
