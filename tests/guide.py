#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""guide.py SOURCE BUILD CC CHECK

Proves that the operating guide (tools/README.md) is true where a program can tell:
  commands    the blocks marked sh run, line by line, in a registry of their own; each command and option that is named exists
  alerts      each alert has its runbook, each runbook its alert
  links       each link within the guide leads to a heading, or to a file that is there
  sizes       its formula is never below what init --plan says of its examples, and not far above
  example     its C examples compile
  kubernetes  the manifest is as the API server takes it; what is spoilt in it is refused
  first_step  the manifest's first step runs with the rights that it has there, twice
Exit code 77: skipped.
"""
import copy
import functools
import json
import os
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile

SOURCE, BUILD, CC, CHECK = pathlib.Path(sys.argv[1]), pathlib.Path(sys.argv[2]), sys.argv[3], sys.argv[4]
GUIDE = (SOURCE / "tools/README.md").read_text()
MANIFEST = SOURCE / "scripts/packaging/kubernetes/daemonset.yaml"
PROGRAMS = ["k2k-tenantctl", "k2k-auditd", "k2k-exporter", "k2k-broker"]
REGISTRY = f"guide-{os.getpid()}"
ENVIRONMENT = dict(os.environ, K2K_REGISTRY=REGISTRY, LC_ALL="C", NO_COLOR="1",
                   PATH=":".join(str(BUILD / "tools" / name) for name in PROGRAMS) + ":" + os.environ["PATH"])


def fail(text):
    print("# " + text[:1500], file=sys.stderr)
    sys.exit(1)


def skip(text):
    print("# skipped: " + text, file=sys.stderr)
    sys.exit(77)


def run(command, **options):
    return subprocess.run(command, env=ENVIRONMENT, text=True, capture_output=True, timeout=60, check=False, **options)


def blocks(language):
    return re.findall(rf"^```{language}\n(.*?)^```$", GUIDE, re.MULTILINE | re.DOTALL)


def joined(text):
    """Lines that end with a backslash go on in the next."""
    return re.sub(r"\\\n *", "", text)


def headings():
    """Anchors as GitHub makes them."""
    found = re.findall(r"^#+ (.*)$", re.sub(r"^```.*?^```$", "", GUIDE, flags=re.MULTILINE | re.DOTALL), re.MULTILINE)
    return [re.sub(r"[^a-z0-9 _-]", "", title.lower()).replace(" ", "-") for title in found]


class Scratch:
    """A folder, and a registry of its own with the tenants that the guide speaks of."""

    def __enter__(self):
        self.folder = tempfile.mkdtemp()
        for words in (["init", "-q"], ["register", "42", "--rate", "5k/s", "--budget", "7=1h", "-q"]):
            done = run(["k2k-tenantctl", *words])
            if done.returncode != 0:
                fail(f"{words}: {done.stderr}")
        return self.folder

    def __exit__(self, *_):
        run(["k2k-tenantctl", "destroy", "-y", "-q"])
        shutil.rmtree(self.folder)


# ---- commands ----------------------------------------------------------------------------------

def known_commands():
    text = run(["k2k-tenantctl", "--help"]).stdout
    found = set()
    for line in text.splitlines():
        for part in re.split(r" \| ", line.strip()):
            if re.match(r"^  [a-z]", line):
                found.add(re.match(r"(?:(?:audit|budget) )?[a-z-]+", part).group(0))
    return found


@functools.cache
def options_of(program, command):
    texts = run([program, "--help"]).stdout
    if command:
        texts += run([program, *command.split(), "--help"]).stdout
    return set(re.findall(r"(?<![\w-])--?[a-zA-Z][a-z-]*", texts))


def check_words(text, known):
    """Each call of a program of ours in the text: is there such a command, and has it these options?"""
    count = 0
    for call in re.findall(r"\b(k2k-(?:tenantctl|auditd|exporter|broker))(?![\w@.-])([^`|;&\n]*)", text):
        program, rest = call[0], re.sub(r"\s#.*|'[^']*'|\"[^\"]*\"|[<>].*", "", call[1])
        words, command = rest.split(), None
        if program == "k2k-tenantctl":
            plain, after = [], False
            for word in words:
                if not word.startswith("-") and not after:
                    plain.append(word)
                after = word in ("-r", "-o")
            for length in (2, 1):
                if " ".join(plain[:length]) in known:
                    command = " ".join(plain[:length])
            if plain and " ".join(plain[:2]) in known:
                command = " ".join(plain[:2])
            if plain and not command:
                fail(f"k2k-tenantctl {' '.join(words)}: no such command")
        options = options_of(program, command)
        for word in words:
            if re.match(r"^--?[a-zA-Z]", word) and word.split("=")[0] not in options:
                fail(f"{program} {' '.join(words)}: {command or program} has no option {word}")
        count += 1
    return count


def commands():
    known = known_commands()
    if len(known) < 20 or "audit tail" not in known:
        fail(f"commands: {sorted(known)}")
    count = check_words(joined(GUIDE), known)
    if count < 60:
        fail(f"only {count} calls were found in the guide")
    ran = 0
    for block in blocks("sh"):
        with Scratch() as folder:
            for word in ("1001", "1002"):     # tenants registered in the guide's first hour
                if word in block and not re.search(rf"register [0-9 ]*{word}", block):
                    run(["k2k-tenantctl", "register", word, "-q"])
            shutil.copy(SOURCE / "tests/guide.py", folder)
            (pathlib.Path(folder) / "tenants.yaml").write_text(run(["k2k-tenantctl", "export"]).stdout)
            for line in joined(block).splitlines():
                done = run(["bash", "-c", line], cwd=folder)
                ran += 1
                if done.returncode != 0:
                    fail(f"{line}: exit code {done.returncode}: {done.stderr}{done.stdout}")
    if ran < 30:
        fail(f"only {ran} lines were run")
    # The check itself must notice what does not exist.
    for wrong in ("`k2k-tenantctl lisst`", "`k2k-tenantctl list --no-such`", "`k2k-auditd --fil x`"):
        if subprocess.run([sys.executable, __file__, *sys.argv[1:4], "one:" + wrong], env=ENVIRONMENT, check=False,
                          capture_output=True).returncode != 1:
            fail(f"{wrong} passes")


# ---- alerts and links --------------------------------------------------------------------------

def alerts():
    rules = (SOURCE / "tools/k2k-exporter/alerts.yml").read_text()
    names = re.findall(r"- alert: (\w+)", rules)
    anchors = re.findall(r'runbook: "operating-guide.md#([a-z0-9-]+)"', rules)
    section = GUIDE[GUIDE.index("\n## Runbooks"):]
    books = [part.split("\n\n", 1) for part in re.split(r"^### ", section, flags=re.MULTILINE)[1:]]
    if len(names) < 20:
        fail(f"only {len(names)} alerts")
    if [name.lower() for name in names] != anchors:
        fail(f"not each alert has a runbook of its name: {set(map(str.lower, names)) ^ set(anchors)}")
    if sorted(names) != sorted(name for name, _ in books):
        fail(f"alerts without runbook, or the other way round: {set(names) ^ {name for name, _ in books}}")
    for name, text in books:
        if len(text) < 120 or "`" not in text:
            fail(f"{name}: says not what to do: {text}")


def links():
    anchors = headings()
    if len(set(anchors)) != len(anchors):
        fail("two headings have one anchor")
    found = re.findall(r"\]\(([^)]+)\)", GUIDE)
    if len(found) < 20:
        fail(f"only {len(found)} links")
    for link in found:
        path, _, anchor = link.partition("#")
        if path and not (SOURCE / "tools" / path).exists():
            fail(f"{link}: no such file")
        if not path and anchor not in anchors:
            fail(f"{link}: no such heading")


# ---- sizes and the example ---------------------------------------------------------------------

def sizes():
    formula = re.search(r"^bytes = ((?:[0-9TELBNVK*+(), \n]|min)+)$", GUIDE, re.MULTILINE).group(1).replace("\n", " ")
    plans = re.findall(r"^k2k-tenantctl (init --plan.*)$", joined(GUIDE), re.MULTILINE)
    if len(plans) < 3:
        fail(f"examples: {plans}")
    plans += ["init --plan --max-tenants 70000 --max-engagements 140000 --max-budgets 33000",
              "init --plan --max-tenants 16 --max-engagements 16 --max-budgets 16 --audit-events 16"]
    plans += [f"init --plan --max-tenants {t} --max-engagements {e} --max-leases {l} --max-budgets {b} --audit-events {v}"
              for t, e, l, b, v in [(10**6, 16, 16, 16, 16), (16, 10**7, 16, 16, 16), (16, 16, 10**6, 16, 16),
                                    (16, 16, 16, 10**7, 16), (16, 16, 16, 16, 4096)]]    # each size alone
    plans += [f"init --plan --max-brokers {n}" for n in (1, 100, 300, 1024)]
    for plan in plans:
        is_ = json.loads(run(["k2k-tenantctl", *plan.split(), "-J"]).stdout)
        values = dict(T=is_["max_tenants"], E=is_["max_engagements"], L=is_["max_leases"], B=is_["max_budgets"],
                      N=is_["max_brokers"], V=is_["max_audit_events"], K=is_["max_kernels"])
        says, total = eval(formula, {}, values), int(is_["total_bytes"])  # pylint: disable=eval-used
        if not total <= says <= 1.12 * total:
            fail(f"{plan}: takes {total}, the formula says {says}")
    told = re.search(r"That is some ([0-9]+) MiB", GUIDE).group(1)
    total = int(json.loads(run(["k2k-tenantctl", *plans[2].split(), "-J"]).stdout)["total_bytes"]) / 2**20
    if abs(total - int(told)) > 0.15 * total:
        fail(f"the example takes {total} MiB, not {told}")


CUDA = """
#include <stddef.h>
#include <k2k/registry.h>
typedef struct stream *cudaStream_t;
typedef struct event *cudaEvent_t;
typedef int cudaError_t;
enum { cudaSuccess };
cudaError_t cudaEventRecord(cudaEvent_t event, cudaStream_t stream);
cudaError_t cudaEventQuery(cudaEvent_t event);
cudaError_t cudaEventElapsedTime(float *ms, cudaEvent_t begin, cudaEvent_t end);
void run_kernels(cudaStream_t stream);
int uses(struct k2k_registry *reg);
"""
USES = ("int uses(struct k2k_registry *reg) { struct work w = { 0 }; return launch(reg, &w, NULL) + collect(reg, &w) + "
        "reserve(reg, &w, 5) + commit(reg, &w, 4); }\n")


def example():
    found = blocks("c")
    if len(found) != 2:
        fail(f"{len(found)} C examples")
    done = subprocess.run([CC, "-std=c11", "-Wall", "-Wextra", "-Werror", "-fsyntax-only", f"-I{SOURCE}/include", "-xc", "-"],
                          input=CUDA + "".join(found) + USES, text=True, capture_output=True, check=False)
    if done.returncode != 0:
        fail(done.stderr)


# ---- Kubernetes --------------------------------------------------------------------------------

def read_manifest():
    try:
        import jsonschema  # pylint: disable=import-outside-toplevel
        import yaml        # pylint: disable=import-outside-toplevel
    except ImportError as error:
        skip(str(error))
    return yaml.safe_load(MANIFEST.read_text()), yaml, jsonschema


def faults(manifest, validator):
    """What the schema finds, and what it can't say: names that lead nowhere."""
    found = [error.message for error in validator.iter_errors(manifest)]
    if found:
        return found
    spec = manifest["spec"]["template"]["spec"]
    labels = manifest["spec"]["template"]["metadata"]["labels"]
    if not manifest["spec"]["selector"]["matchLabels"].items() <= labels.items():
        found.append("the selector does not match the template")
    volumes = [volume["name"] for volume in spec["volumes"]]
    containers = spec.get("initContainers", []) + spec["containers"]
    used = {mount["name"] for one in containers for mount in one["volumeMounts"]}
    if sorted(volumes) != sorted(used):
        found.append(f"volumes {volumes}, used {used}")
    if len({one["name"] for one in containers}) != len(containers):
        found.append("two containers of one name")
    for one in containers:
        ports = {port.get("name") for port in one.get("ports", [])}
        paths = [mount["mountPath"] for mount in one["volumeMounts"]]
        if len(set(paths)) != len(paths):
            found.append(f"{one['name']}: two mounts at one place")
        for probe in ("readinessProbe", "livenessProbe"):
            if probe in one and one[probe]["httpGet"]["port"] not in ports:
                found.append(f"{one['name']}: {probe} of no port")
        if one["securityContext"].get("runAsNonRoot") and one["securityContext"]["runAsUser"] == 0:
            found.append(f"{one['name']}: root that is not root")
        if not any(mount["mountPath"] == "/dev/shm" and not mount.get("readOnly") for mount in one["volumeMounts"]):
            found.append(f"{one['name']}: no /dev/shm")
    return found


def spoilt(manifest):
    """(what, a copy of it that is wrong): each place once renamed, and faults that are often made."""
    def walk(value, path):
        if isinstance(value, dict):
            for key in value:
                yield from walk(value[key], path + [key])
                yield path, key
        elif isinstance(value, list):
            for i, element in enumerate(value):
                yield from walk(element, path + [i])

    def at(tree, path):
        for step in path:
            tree = tree[step]
        return tree

    for path, key in walk(manifest, []):
        if path and path[-1] in ("labels", "matchLabels", "annotations", "nodeSelector"):
            continue     # any key is valid
        wrong = copy.deepcopy(manifest)
        at(wrong, path)[key + "X"] = at(wrong, path).pop(key)
        yield "/".join(map(str, path + [key + "X"])), wrong
    for what, path, value in [
        ("a label that is no text", ["spec", "template", "metadata", "annotations", "prometheus.io/port"], 9742),
        ("another label", ["spec", "selector", "matchLabels", "app.kubernetes.io/name"], "other"),
        ("a command that is text", ["spec", "template", "spec", "containers", 0, "command"], "k2k-auditd"),
        ("memory without a unit", ["spec", "template", "spec", "containers", 0, "resources", "limits", "memory"], "128"),
        ("a volume that is not there", ["spec", "template", "spec", "containers", 0, "volumeMounts", 0, "name"], "none"),
        ("a relative path", ["spec", "template", "spec", "containers", 0, "volumeMounts", 0, "mountPath"], "dev/shm"),
        ("an argument that is a number", ["spec", "template", "spec", "containers", 1, "command", 8], 8),
        ("a probe of no port", ["spec", "template", "spec", "containers", 2, "readinessProbe", "httpGet", "port"], "web"),
        ("an image without a version", ["spec", "template", "spec", "containers", 0, "image"], "k2k-tools"),
        ("a mode in octal digits", ["spec", "template", "spec", "volumes", 3, "secret", "defaultMode"], "0400"),
    ]:
        wrong = copy.deepcopy(manifest)
        at(wrong, path[:-1])[path[-1]] = value
        yield what, wrong


def kubernetes():
    manifest, yaml, jsonschema = read_manifest()
    schema = json.loads((SOURCE / "tests/kubernetes.schema.json").read_text())
    jsonschema.Draft202012Validator.check_schema(schema)
    validator = jsonschema.Draft202012Validator(schema)
    found = faults(manifest, validator)
    if found:
        fail("; ".join(found))
    count = 0
    for what, wrong in spoilt(manifest):
        count += 1
        if not faults(wrong, validator):
            fail(f"{what}: is not refused")
    if count < 100:
        fail(f"only {count} spoilt manifests")
    spec = manifest["spec"]["template"]["spec"]
    known, checked = known_commands(), 0
    for one in spec["initContainers"] + spec["containers"]:
        checked += check_words("\n".join(one["command"]) if one["command"][0] == "sh" else " ".join(one["command"]), known)
    if checked < 5:
        fail(f"only {checked} calls of our programs")
    # What the guide gives brokers must match the manifest.
    pod = yaml.safe_load(blocks("yaml")[0])["spec"]
    shm = [volume for volume in spec["volumes"] if volume["name"] == "shm"]
    if pod["volumes"] != shm or pod["securityContext"]["runAsGroup"] not in spec["securityContext"]["supplementalGroups"]:
        fail("the guide's broker has another /dev/shm, or another group")


# Runs in a mount namespace with its own /dev/shm and folders, and with no more rights than in the
# pod.
STEP = """
set -eu
mount -t tmpfs -o mode=1777 tmpfs /dev/shm
mount -t tmpfs -o mode=0755 tmpfs /run
mount -t tmpfs -o mode=0755 tmpfs /var/log
mkdir -p /run/k2k /run/secrets/k2k /var/log/k2k /run/copy
# the build may be in a folder that other users can't enter
cp "$BUILD"/lib/libk2k-registry.so* "$BUILD"/tools/k2k-tenantctl/k2k-tenantctl "$BUILD"/tools/k2k-auditd/k2k-auditd /run/copy
export PATH=/run/copy:$PATH LD_LIBRARY_PATH=/run/copy
chmod 0777 /run/k2k
(umask 077; head -c 32 /dev/urandom >/run/secrets/k2k/audit.key)
as() { setpriv --reuid "$1" --regid "$2" --groups 4242 --bounding-set "$3" --inh-caps "$3" --no-new-privs "${@:4}"; }
for time in 1 2; do
	as 0 0 "$CAPABILITIES" bash -ec "$STEP"
done
unset K2K_REGISTRY
printf 'version: 1\\ntenants:\\n  - {id: 1001}\\nend: true\\n' >/run/tenants.yaml
as 0 0 -all k2k-tenantctl apply -f /run/tenants.yaml
as 4243 4242 -all k2k-auditd --once --file /var/log/k2k/default.log --key /run/k2k/audit.key
grep -q '"kind":"register"' /var/log/k2k/default.log
as 4244 4242 -all k2k-tenantctl exists 1001
! as 4244 4242 -all k2k-tenantctl register 1002 2>/dev/null
"""


def first_step():
    manifest, _, _ = read_manifest()
    if os.geteuid() != 0 or not shutil.which("setpriv"):
        skip("needs root and setpriv")
    if subprocess.run(["unshare", "--mount", "true"], check=False, capture_output=True).returncode != 0:
        skip("no mount namespace can be made here")
    first = manifest["spec"]["template"]["spec"]["initContainers"][0]
    step, capabilities = first["command"], first["securityContext"]["capabilities"]["add"]
    if step[:2] != ["sh", "-ec"]:
        fail(f"not a script: {step}")
    rights = ",".join(["-all"] + ["+" + one.lower() for one in capabilities])
    environment = dict(ENVIRONMENT, STEP=step[2], BUILD=str(BUILD), CAPABILITIES=rights)
    environment.pop("K2K_REGISTRY")
    done = subprocess.run(["unshare", "--mount", "--propagation", "private", "bash", "-c", STEP], env=environment, text=True,
                          capture_output=True, timeout=60, check=False)
    if done.returncode != 0:
        fail(f"exit code {done.returncode}: {done.stderr}{done.stdout}")


if CHECK.startswith("one:"):
    check_words(CHECK[4:], known_commands())
else:
    {"commands": commands, "alerts": alerts, "links": links, "sizes": sizes, "example": example, "kubernetes": kubernetes,
     "first_step": first_step}[CHECK]()
