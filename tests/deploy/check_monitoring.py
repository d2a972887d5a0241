#!/usr/bin/env python3
"""Checks deploy/monitoring: what Prometheus and Grafana are given agrees with itself and with the services.

    check_monitoring.py                              offline; needs promtool, or --no-promtool
    check_monitoring.py --prometheus http://HOST:9090 --patience 90
                                                     also asks a Prometheus that has scraped a running class with two
                                                     workers: every query of every panel must return data

Prints one line for each mistake and exits with 1, or one line about what was checked and exits with 0.
Needs python3-yaml.
"""

import argparse
import json
import math
import pathlib
import re
import shutil
import subprocess
import sys
import time
import urllib.error
import urllib.parse
import urllib.request

import yaml

ROOT = pathlib.Path(__file__).resolve().parents[2]
MONITORING = ROOT / "deploy/monitoring"
PROMETHEUS = MONITORING / "prometheus"
GRAFANA = MONITORING / "grafana"
COMPOSE = ROOT / "deploy/docker"

# What a scrape makes by itself, and what each process exports that uses a Prometheus client's process metrics.
FOREIGN_METRICS = {
    "up": "gauge",
    "ALERTS": "gauge",
    "scrape_duration_seconds": "gauge",
    "process_resident_memory_bytes": "gauge",
    "process_cpu_seconds_total": "counter",
}

# Grafana's own variables, with what stands for them in a query of ours.
BUILT_IN_VARIABLES = {"__rate_interval": "1m", "__interval": "15s", "__range": "30m"}

MIN_SCHEMA_VERSION = 38  # Grafana 10.0
GRID_WIDTH = 24
SEVERITIES = {"critical", "warning", "info"}


class Problems:
    """The mistakes found so far, in the order of finding."""

    def __init__(self):
        self.lines = []

    def add(self, where, what):
        self.lines.append(f"{where}: {what}")

    def check(self, condition, where, what):
        if not condition:
            self.add(where, what)
        return condition


# --- what the services export -------------------------------------------------------------------------------------------


def exported_metrics():
    """Name -> kind of every metric that the C++ sources make, prefixes of calls filled in."""
    text = ""
    for folder in ("libs", "services"):
        for path in sorted((ROOT / folder).rglob("*")):
            if path.suffix in (".cc", ".h") and not path.stem.endswith("_test") and "testing" not in path.parts:
                text += path.read_text(encoding="utf-8")
    kinds = {}
    for kind, name in re.findall(r'\bAdd(Counter|Gauge|Histogram)\(\s*"([^"]+)"', text):
        kinds[name] = kind.lower()
    prefixes = [prefix for prefix in re.findall(r'\.metric_prefix = "([^"]+)"', text)]
    for kind, suffix in re.findall(r'\bAdd(Counter|Gauge|Histogram)\(\s*absl::StrCat\(prefix_?, "([^"]+)"\)', text):
        for prefix in prefixes:
            kinds[prefix + suffix] = kind.lower()
    series = dict(FOREIGN_METRICS)
    for name, kind in kinds.items():
        if kind == "histogram":
            for suffix in ("_bucket", "_sum", "_count"):
                series[name + suffix] = "counter"
        else:
            series[name] = kind
    return series


# --- PromQL, as much of it as is needed -----------------------------------------------------------------------------------

TOKEN = re.compile(
    r"""(?P<space>\s+|\#[^\n]*)
      | (?P<string>"(?:\\.|[^"\\])*"|'(?:\\.|[^'\\])*'|`[^`]*`)
      | (?P<number>\d[\w.]*)
      | (?P<name>[A-Za-z_:][\w:]*)
      | (?P<window>\[[^\]]*\])
      | (?P<other>[=!]~|[=!<>]=|.)""",
    re.VERBOSE | re.DOTALL,
)
LABEL_LISTS = {"by", "without", "on", "ignoring", "group_left", "group_right"}
KEYWORDS = LABEL_LISTS | {"and", "or", "unless", "bool", "offset", "atan2"}
AGGREGATIONS = {
    "sum", "min", "max", "avg", "group", "stddev", "stdvar", "count", "count_values", "bottomk", "topk", "quantile",
}  # fmt: skip
OF_COUNTERS = {"rate", "irate", "increase"}


def selectors(expr):
    """The series that a query names: [(metric, its matchers as (label, operator, value), function around it or "")]."""
    tokens = [(m.lastgroup, m.group()) for m in TOKEN.finditer(expr) if m.lastgroup != "space"]
    found = []
    i = 0

    def text(at):
        return tokens[at][1] if 0 <= at < len(tokens) else ""

    while i < len(tokens):
        kind, name = tokens[i]
        if kind == "name" and name in LABEL_LISTS and text(i + 1) == "(":
            while tokens[i][1] != ")":
                i += 1
        elif kind == "name" and name not in KEYWORDS and name not in AGGREGATIONS and text(i + 1) != "(":
            matchers = []
            function = text(i - 2) if text(i - 1) == "(" else ""
            if text(i + 1) == "{":
                i += 2
                while tokens[i][1] != "}":
                    if tokens[i][0] == "name":
                        matchers.append((text(i), text(i + 1), text(i + 2)))
                    i += 1
            found.append((name, matchers, function))
        elif name == "{":
            raise ValueError("a selector without the metric's name")
        i += 1
    return found


def check_query(where, expr, metrics, problems):
    try:
        found = selectors(expr)
    except (ValueError, IndexError) as error:
        problems.add(where, f"cannot be read ({error}): {expr}")
        return
    for name, _, function in found:
        if name not in metrics:
            problems.add(where, f"no service exports {name}")
        elif function in OF_COUNTERS:
            problems.check(metrics[name] == "counter", where, f"{function}() of {name}, which is no counter")


# --- files ----------------------------------------------------------------------------------------------------------------


def read_yaml(path, problems):
    try:
        return yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, yaml.YAMLError) as error:
        problems.add(path.relative_to(ROOT), f"cannot be read: {error}")
        return None


def scrape_jobs(config):
    return {job["job_name"] for job in config.get("scrape_configs", [])}


def alert_rules(problems):
    """Name -> rule of every alert."""
    rules = {}
    for group in (read_yaml(PROMETHEUS / "alerts.yml", problems) or {}).get("groups", []):
        for rule in group["rules"]:
            if "alert" not in rule:
                continue
            name = rule["alert"]
            problems.check(name not in rules, f"alert {name}", "there are two of this name")
            rules[name] = rule
    return rules


def check_alerts(rules, metrics, problems):
    for name, rule in rules.items():
        where = f"alert {name}"
        problems.check(name.startswith("Gannet"), where, "its name does not begin with Gannet")
        severity = rule.get("labels", {}).get("severity")
        problems.check(severity in SEVERITIES, where, f"severity must be one of {sorted(SEVERITIES)}, got {severity}")
        for key in ("summary", "description"):
            problems.check(rule.get("annotations", {}).get(key, "").strip(), where, f"has no {key}")
        check_query(where, rule["expr"], metrics, problems)


def check_alert_tests(rules, problems):
    """Each alert has a test in which it fires, and one in which it does not."""
    fires, silent = set(), set()
    for test in (read_yaml(PROMETHEUS / "alerts_test.yml", problems) or {}).get("tests", []):
        for case in test.get("alert_rule_test", []):
            (fires if case.get("exp_alerts") else silent).add(case["alertname"])
        for case in test.get("promql_expr_test", []):
            named = re.fullmatch(r'ALERTS\{alertname="(\w+)", alertstate="firing"\}', case["expr"])
            if named:
                (fires if case.get("exp_samples") else silent).add(named.group(1))
    for name in rules:
        problems.check(name in fires, f"alert {name}", "alerts_test.yml has no case in which it fires")
        problems.check(name in silent, f"alert {name}", "alerts_test.yml has no case in which it stays silent")
    for name in sorted((fires | silent) - set(rules)):
        problems.add("alerts_test.yml", f"there is no alert {name}")


def run_promtool(promtool, problems):
    program = shutil.which(promtool)
    if program is None:
        problems.add(
            "promtool",
            "not found: install it (Debian 12: package prometheus, Debian 13: package promtool), or pass --no-promtool",
        )
        return
    for command in (
        ["check", "config", PROMETHEUS / "prometheus.yml"],
        ["check", "rules", PROMETHEUS / "alerts.yml"],
        ["test", "rules", PROMETHEUS / "alerts_test.yml"],
    ):
        done = subprocess.run(
            [program, *command], stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False
        )
        if done.returncode != 0:
            problems.add(f"promtool {command[0]} {command[1]}", f"failed\n{done.stdout}{done.stderr}".rstrip())


class Dashboard:
    """One dashboard of Grafana."""

    def __init__(self, path):
        self.path = path
        self.json = json.loads(path.read_text(encoding="utf-8"))

    def groups(self):
        """Lists of panels that share a grid: the dashboard itself, and the inside of each collapsed row."""
        top = self.json.get("panels", [])
        yield "the dashboard", top
        for row in top:
            if row.get("type") == "row" and row.get("panels"):
                yield f"row '{row.get('title')}'", row["panels"]

    def panels(self):
        return [panel for _, group in self.groups() for panel in group]

    def variables(self):
        return self.json.get("templating", {}).get("list", [])

    def queries(self):
        """[(where, query with variables)], annotations apart."""
        found = []
        for panel in self.panels():
            for target in panel.get("targets", []):
                found.append((f"panel '{panel.get('title')}' {target.get('refId')}", target.get("expr", "")))
        return found

    def annotations(self):
        found = self.json.get("annotations", {}).get("list", [])
        return [(f"annotation '{each['name']}'", each["expr"]) for each in found if "expr" in each]

    def fill_in(self, expr):
        """The query with something for every variable: all of what can be chosen."""
        values = dict(BUILT_IN_VARIABLES)
        for variable in self.variables():
            values[variable["name"]] = variable.get("allValue") or ".*"
        return re.sub(r"\$\{?(\w+)(?::\w+)?\}?", lambda m: values.get(m.group(1), m.group()), expr)


def read_dashboards(problems):
    dashboards = []
    for path in sorted((GRAFANA / "dashboards").glob("*.json")):
        try:
            dashboards.append(Dashboard(path))
        except ValueError as error:
            problems.add(path.name, f"is no JSON: {error}")
    problems.check(dashboards, "grafana/dashboards", "holds no dashboard")
    return dashboards


def overlaps(a, b):
    return (
        a["x"] < b["x"] + b["w"] and b["x"] < a["x"] + a["w"] and a["y"] < b["y"] + b["h"] and b["y"] < a["y"] + a["h"]
    )


def check_layout(dashboard, where, problems):
    for group_name, group in dashboard.groups():
        for i, panel in enumerate(group):
            place = panel.get("gridPos", {})
            here = f"{where}, panel '{panel.get('title')}'"
            if not problems.check(set("xywh") <= set(place), here, "has no gridPos"):
                continue
            problems.check(place["x"] >= 0 and place["x"] + place["w"] <= GRID_WIDTH, here, "is wider than the grid")
            for other in group[:i]:
                if "gridPos" in other and overlaps(place, other["gridPos"]):
                    problems.add(here, f"overlaps '{other.get('title')}' in {group_name}")


def check_panel(panel, where, problems):
    problems.check(panel.get("title"), where, "has no title")
    problems.check("libraryPanel" not in panel, where, "is a library panel: a file cannot bring it along")
    if panel.get("type") == "row":
        return
    problems.check(panel.get("description"), where, "has no description that says what to look for")
    problems.check(panel.get("fieldConfig", {}).get("defaults", {}).get("unit"), where, "has no unit")
    problems.check(panel.get("targets"), where, "has no query")
    refs = [target.get("refId") for target in panel.get("targets", [])]
    problems.check(len(set(refs)) == len(refs) and all(refs), where, f"its queries need different refIds, got {refs}")
    for source in [panel, *panel.get("targets", [])]:
        uid = source.get("datasource", {}).get("uid")
        problems.check(uid == "${datasource}", where, f"must use the variable ${{datasource}}, got {uid}")


def check_dashboard(dashboard, metrics, problems):
    where = dashboard.path.name
    root = dashboard.json
    problems.check(
        root.get("uid") == dashboard.path.stem, where, f"its uid must be the file's name, got {root.get('uid')}"
    )
    version = root.get("schemaVersion", 0)
    problems.check(
        version >= MIN_SCHEMA_VERSION, where, f"schemaVersion must be {MIN_SCHEMA_VERSION} or more, got {version}"
    )
    problems.check(root.get("id") is None, where, "has an id, which belongs to one Grafana")
    problems.check("__inputs" not in root, where, "was exported for sharing: export it without")

    variables = {variable["name"]: variable for variable in dashboard.variables()}
    source = variables.get("datasource", {})
    problems.check(
        source.get("type") == "datasource" and source.get("query") == "prometheus",
        where,
        "needs a variable `datasource` that chooses a Prometheus",
    )
    ids = [panel.get("id") for panel in dashboard.panels()]
    for doubled in sorted({str(each) for each in ids if ids.count(each) > 1 or not isinstance(each, int)}):
        problems.add(where, f"the panel id {doubled} is not unique, or no number")
    check_layout(dashboard, where, problems)
    for panel in dashboard.panels():
        check_panel(panel, f"{where}, panel '{panel.get('title')}'", problems)
    top = [panel for panel in root.get("panels", []) if panel["gridPos"]["y"] == 0]
    problems.check(top and all(panel["type"] == "stat" for panel in top), where, "its first line must be stat panels")

    for what, expr in dashboard.queries() + dashboard.annotations():
        filled = dashboard.fill_in(expr)
        problems.check("$" not in filled, f"{where}, {what}", f"uses a variable that is not defined: {expr}")
        check_query(f"{where}, {what}", filled, metrics, problems)
    for variable in variables.values():
        if variable["type"] == "query":
            metric = label_values(variable)[0]
            problems.check(metric in metrics, f"{where}, variable {variable['name']}", f"no service exports {metric}")


def label_values(variable):
    """(metric, label) of a variable that lists the values of a label."""
    query = variable["query"]
    query = query["query"] if isinstance(query, dict) else query
    named = re.fullmatch(r"label_values\((\w+), *(\w+)\)", query)
    return named.groups() if named else (query, "")


def check_provisioning(config, problems):
    """Returns the folder in which Grafana looks for dashboards."""
    sources = read_yaml(GRAFANA / "provisioning/datasources/prometheus.yaml", problems) or {}
    where = "provisioning/datasources"
    problems.check(sources.get("apiVersion") == 1, where, "apiVersion must be 1")
    listed = sources.get("datasources", [])
    problems.check(
        [each.get("isDefault", False) for each in listed].count(True) == 1, where, "needs one default source"
    )
    for each in listed:
        problems.check(
            each.get("type") == "prometheus" and each.get("uid"), where, "needs type prometheus and a fixed uid"
        )
        step = each.get("jsonData", {}).get("timeInterval")
        interval = config.get("global", {}).get("scrape_interval")
        problems.check(step == interval, where, f"timeInterval must be the scrape_interval {interval}, got {step}")

    providers = (read_yaml(GRAFANA / "provisioning/dashboards/gannet.yaml", problems) or {}).get("providers", [])
    where = "provisioning/dashboards"
    if not problems.check(
        len(providers) == 1 and providers[0].get("type") == "file", where, "needs one provider of files"
    ):
        return None
    folder = providers[0].get("options", {}).get("path", "")
    problems.check(folder.startswith("/"), where, f"options.path must be a folder inside the container, got '{folder}'")
    return folder


def mounts(service):
    """Container path -> host path, as far as a compose service names both."""
    found = {}
    for volume in service.get("volumes", []):
        if isinstance(volume, str):
            source, _, rest = volume.partition(":")
            target = rest.split(":")[0]
        else:
            source, target = volume.get("source", ""), volume.get("target", "")
        if source.startswith((".", "/")):
            found[target.rstrip("/")] = (COMPOSE / source).resolve()
    return found


def host_path(mounted, path):
    """Where a path of a container lies on the host, or nothing."""
    for target in sorted(mounted, key=len, reverse=True):
        if path == target or path.startswith(target + "/"):
            return mounted[target] / path[len(target) :].lstrip("/")
    return None


def check_compose(config, dashboards_folder, problems):
    """Names and mounted folders agree with docker-compose, as far as that has the services."""
    services = {}
    for path in sorted([*COMPOSE.glob("docker-compose*.y*ml"), *COMPOSE.glob("grafana*.y*ml")]):
        for name, service in ((read_yaml(path, problems) or {}).get("services") or {}).items():
            services.setdefault(name, {}).update(service or {})
    if not services:
        return
    for job in config.get("scrape_configs", []):
        names = [target.rpartition(":")[0] for each in job.get("static_configs", []) for target in each["targets"]]
        names += [name for each in job.get("dns_sd_configs", []) for name in each["names"]]
        for name in names:
            problems.check(
                name == "localhost" or name in services, f"job {job['job_name']}", f"compose has no service {name}"
            )
    wanted = {
        "prometheus": {"/etc/prometheus/prometheus.yml": PROMETHEUS / "prometheus.yml",
                       "/etc/prometheus/alerts.yml": PROMETHEUS / "alerts.yml"},
        "grafana": {"/etc/grafana/provisioning": GRAFANA / "provisioning", dashboards_folder: GRAFANA / "dashboards"},
    }  # fmt: skip
    for name, paths in wanted.items():
        if name not in services:
            problems.add("docker-compose", f"there is no service {name}")
            continue
        mounted = mounts(services[name])
        for inside, outside in paths.items():
            found = host_path(mounted, inside)
            problems.check(
                found == outside, f"compose service {name}", f"{inside} must be {outside.relative_to(ROOT)}, is {found}"
            )


# --- a real Prometheus ------------------------------------------------------------------------------------------------------


class Server:
    """The HTTP API of a Prometheus."""

    def __init__(self, url):
        self.url = url.rstrip("/")
        # Nothing between here and there: a proxy of the environment is not meant for this.
        self.opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))

    def get(self, path, **arguments):
        url = f"{self.url}/api/v1/{path}?{urllib.parse.urlencode(arguments)}"
        try:
            with self.opener.open(url, timeout=10) as answer:
                return json.load(answer)["data"]
        except urllib.error.HTTPError as error:
            raise RuntimeError(json.loads(error.read() or b"{}").get("error", str(error))) from error
        except OSError as error:
            raise RuntimeError(f"Prometheus does not answer at {url}: {error}") from error

    def numbers(self, expr):
        """How many series a query returns that are numbers: NaN draws nothing."""
        answer = self.get("query", query=expr)
        result = (
            [answer["result"]] if answer["resultType"] == "scalar" else [each["value"] for each in answer["result"]]
        )
        return sum(1 for _, value in result if not math.isnan(float(value)))


def check_answers(server, dashboards, rules, config):
    """Asks everything once. Returns the problems, and remarks about alerts."""
    problems, remarks = Problems(), []
    asked = []
    for dashboard in dashboards:
        for where, expr in dashboard.queries():
            filled = dashboard.fill_in(expr)
            asked.append((where, filled))
            check_answer(server, where, filled, problems)
        for variable in dashboard.variables():
            if variable["type"] == "query":
                metric, label = label_values(variable)
                check_answer(
                    server, f"variable {variable['name']}", f'count by ({label}) ({metric}{{{label}!=""}})', problems
                )
    asked += [(f"alert {name}", rule["expr"]) for name, rule in rules.items()]
    for where, expr in asked:
        check_names(server, where, expr, problems)
    check_targets(server, config, problems)
    remarks += check_loaded_rules(server, rules, problems)
    return problems, remarks


def check_answer(server, where, expr, problems):
    try:
        problems.check(server.numbers(expr) > 0, where, f"returns no data: {expr}")
    except RuntimeError as error:
        problems.add(where, f"{error}: {expr}")


def check_names(server, where, expr, problems):
    """Each metric is there, with the labels and values that are asked for: `or vector(0)` would hide that it is not."""
    for name, matchers, _ in selectors(expr):
        if name == "ALERTS":
            continue  # there while an alert is
        try:
            # A status code makes its series when it first occurs.
            at_first_use = name.endswith("_calls_total")
            if server.numbers(f"count({name})") == 0:
                problems.check(at_first_use, where, f"nobody exports {name}")
                continue
            for label, operator, value in matchers:
                wanted = f'{label}!=""' if at_first_use else f"{label}{operator}{value}"
                problems.check(
                    server.numbers(f"count({name}{{{wanted}}})") > 0, where, f"there is no {name}{{{wanted}}}"
                )
        except RuntimeError as error:
            problems.add(where, str(error))


def check_targets(server, config, problems):
    targets = server.get("targets", state="active")["activeTargets"]
    for job in sorted(scrape_jobs(config) - {target["labels"]["job"] for target in targets}):
        problems.add(f"job {job}", "Prometheus has no target of it")
    for target in targets:
        up = target["health"] == "up"
        problems.check(up, f"target {target['scrapeUrl']}", f"is {target['health']}: {target['lastError']}")


def check_loaded_rules(server, rules, problems):
    """Prometheus has evaluated each alert without an error. Returns remarks about those that are active."""
    loaded = {rule["name"]: rule for group in server.get("rules", type="alert")["groups"] for rule in group["rules"]}
    remarks = []
    for name in rules:
        rule = loaded.get(name)
        if rule is None:
            problems.add(f"alert {name}", "Prometheus has not loaded it")
            continue
        problems.check(rule["health"] == "ok", f"alert {name}", f"is {rule['health']}: {rule.get('lastError', '')}")
        if rule["state"] != "inactive":
            remarks.append(f"note: the alert {name} is {rule['state']}")
    return remarks


# --------------------------------------------------------------------------------------------------------------------------


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--prometheus", metavar="URL", help="also ask this Prometheus")
    parser.add_argument(
        "--patience", metavar="SECONDS", type=float, default=0, help="repeat for so long until all is well"
    )
    parser.add_argument("--promtool", metavar="PROGRAM", default="promtool", help="another promtool than that of PATH")
    parser.add_argument("--no-promtool", action="store_true", help="leave out what needs promtool")
    arguments = parser.parse_args()

    problems, remarks = Problems(), []
    metrics = exported_metrics()
    config = read_yaml(PROMETHEUS / "prometheus.yml", problems) or {}
    rules = alert_rules(problems)
    check_alerts(rules, metrics, problems)
    check_alert_tests(rules, problems)
    dashboards = read_dashboards(problems)
    for dashboard in dashboards:
        check_dashboard(dashboard, metrics, problems)
    check_compose(config, check_provisioning(config, problems), problems)
    if not arguments.no_promtool:
        run_promtool(arguments.promtool, problems)

    if arguments.prometheus:
        server = Server(arguments.prometheus)
        deadline = time.monotonic() + arguments.patience
        while True:
            try:
                found, remarks = check_answers(server, dashboards, rules, config)
            except RuntimeError as error:
                found = Problems()
                found.add("--prometheus", str(error))
            if not found.lines or time.monotonic() >= deadline:
                break
            time.sleep(2)
        problems.lines += found.lines

    for line in remarks + problems.lines:
        print(line)
    queries = sum(len(dashboard.queries()) for dashboard in dashboards)
    panels = sum(panel["type"] != "row" for dashboard in dashboards for panel in dashboard.panels())
    checked = f"{panels} panels with {queries} queries, {len(rules)} alerts"
    if arguments.prometheus:
        checked += f", all of them asked at {arguments.prometheus}"
    if problems.lines:
        print(f"monitoring: {len(problems.lines)} mistakes in {checked}", file=sys.stderr)
        return 1
    print(f"monitoring: {checked}: no mistake")
    return 0


if __name__ == "__main__":
    sys.exit(main())
