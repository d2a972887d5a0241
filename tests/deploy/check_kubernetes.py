#!/usr/bin/env python3
"""Checks deploy/k8s without a cluster.

  tests/deploy/check_kubernetes.py --schemas DIR [--kubectl PROGRAM] [--bin DIR] [--compose FILE] [--configuration FILE]

Builds deploy/k8s/base and deploy/k8s/cli with `kubectl kustomize` (1.27 or newer; KUBECTL, or kubectl in PATH), then
  - validates every object against Kubernetes' JSON schemas, in which no field may be unknown
    (DIR: made by kubernetes_schemas/dump.mjs; --without-schemas leaves this out and says so),
  - compares the manifests with docs/configuration.md, make_secrets.sh --print, the compose file and, with --bin, the
    programs: names of settings, ports, addresses, images, files of secrets,
  - asks of every container what the cluster asks: not root, limits, probes, read-only root file system,
  - runs make_secrets.sh against a small imitation of kubectl,
  - breaks the manifests in more than fifty ways and expects each to be reported.

Needs python3-yaml, python3-jsonschema and openssl. Exit codes: 0 all well, 1 problems found, 2 cannot check.
"""

import argparse
import base64
import copy
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
from dataclasses import dataclass, field
from pathlib import Path

import jsonschema
import yaml

ROOT = Path(__file__).resolve().parents[2]
K8S = ROOT / "deploy" / "k8s"
MIN_KUBECTL = (1, 27)

# What each image listens on, and what answers there.
LISTENS = {
    "localhost/gannet/coordinator": {"coordinator.admin_listen": "health", "coordinator.metrics_listen": "metrics"},
    "localhost/gannet/gateway": {
        "gateway.listen": "exchange",
        "gateway.health_listen": "health",
        "gateway.metrics_listen": "metrics",
    },
    "localhost/gannet/worker": {"worker.metrics_listen": "metrics"},
    "localhost/gannet/cli": {},
}
POSTGRES_PORT = 5432
# Settings that name files the program itself writes.
WRITTEN = {"worker.state_file", "coordinator.output_dir"}
WORKLOADS = ("Deployment", "StatefulSet", "Job", "Pod")
LONG_LIVED = ("Deployment", "StatefulSet")
DRAIN_MARGIN_SECONDS = 10


class CannotCheck(Exception):
    """Nothing is known about the manifests; the message says what to do."""


def run(arguments, **options):
    return subprocess.run([str(a) for a in arguments], capture_output=True, text=True, check=False, **options)


# ---- What the manifests are compared with


@dataclass
class Context:
    keys: dict  # setting -> default, from docs/configuration.md
    secrets: dict  # name of a secret -> its keys
    certificate_names: set  # in tls.crt of gannet-gateway-tls
    cli_sources: str
    schemas: dict = None  # definitions; None: not checked
    compose: dict = None  # parsed file; None: there is none
    compose_class: dict = field(default_factory=dict)  # its class.yaml, flattened
    gannet: Path = None  # program `gannet`; None: not checked


def read_keys(path):
    keys = {}
    for line in path.read_text(encoding="utf-8").splitlines():
        match = re.match(r"\| `([a-z]+\.[a-z0-9_]+)` \| .* \| (`([^`]*)`|\(empty\)) \|", line)
        if match:
            keys[match[1]] = match[3] or ""
    if len(keys) < 20:
        raise CannotCheck(f"{path}: expected the table of all settings, found {len(keys)} of them")
    return keys


def environment_name(key):
    return "GANNET_" + key.upper().replace(".", "_")


def read_secrets(script):
    """Keys of every secret that the script makes, and the names in the certificate."""
    with tempfile.TemporaryDirectory() as empty:
        # A kubectl that fails: --print must not need one.
        environment = {**os.environ, "KUBECTL": f"{empty}/none"}
        result = run([script, "--print", "gannet.example.org", "192.0.2.7"], env=environment)
    if result.returncode != 0:
        raise CannotCheck(f"{script.name} --print failed: {result.stderr.strip()}")
    secrets = {}
    for secret in yaml.safe_load_all(result.stdout):
        secrets[secret["metadata"]["name"]] = {k: base64.b64decode(v, validate=True) for k, v in secret["data"].items()}
    return secrets


def check_certificates(secrets):
    problems = []
    with tempfile.TemporaryDirectory() as directory:
        files = {}
        for key, value in secrets["gannet-gateway-tls"].items():
            files[key] = Path(directory) / key
            files[key].write_bytes(value)
        verified = run(["openssl", "verify", "-purpose", "sslserver", "-CAfile", files["ca.crt"], files["tls.crt"]])
        if verified.returncode != 0:
            problems.append(f"make_secrets.sh: tls.crt does not fit ca.crt: {verified.stderr.strip()}")
        text = run(["openssl", "x509", "-noout", "-text", "-in", files["tls.crt"]]).stdout
        public = run(["openssl", "x509", "-noout", "-pubkey", "-in", files["tls.crt"]]).stdout
        if public != run(["openssl", "pkey", "-pubout", "-in", files["tls.key"]]).stdout:
            problems.append("make_secrets.sh: tls.key is not the key of tls.crt")
    if "NIST CURVE: P-256" not in text or "ecdsa-with-SHA256" not in text:
        problems.append("make_secrets.sh: the certificate is not ECDSA P-256 with SHA-256")
    names = set(re.findall(r"DNS:([^,\s]+)", text)) | set(re.findall(r"IP Address:([^,\s]+)", text))
    for name in ("gannet.example.org", "192.0.2.7", "localhost", "127.0.0.1"):
        if name not in names:
            problems.append(f"make_secrets.sh: the certificate does not name {name}")
    if secrets["gannet-class"]["ca.crt"] != secrets["gannet-gateway-tls"]["ca.crt"]:
        problems.append("make_secrets.sh: gannet-class and gannet-gateway-tls hold different ca.crt")
    return names, problems


# ---- Schemas


def load_schemas(directory):
    path = Path(directory) / "kubernetes.json"
    if not path.is_file():
        raise CannotCheck(
            f"{path} is missing: cd tests/deploy/kubernetes_schemas && npm ci && node dump.mjs {directory}; "
            "or --without-schemas"
        )
    definitions = json.loads(path.read_text(encoding="utf-8"))["definitions"]
    return {name: strict(schema) for name, schema in definitions.items()}


def strict(schema):
    """The same schema, refusing unknown fields and nulls, with Kubernetes' quantities spelt out."""
    schema = dict(schema)
    schema.pop("nullable", None)
    if "oneOf" in schema:
        choices = [strict(choice) for choice in schema["oneOf"] if choice.get("type") != "null"]
        if len(choices) == 1:
            return choices[0]
        schema["oneOf"] = choices
    if schema.pop("format", None) == "quantity":
        schema["pattern"] = r"^[+-]?([0-9]+(\.[0-9]*)?|\.[0-9]+)([KMGTPE]i|[numkMGTPE]|[eE][+-]?[0-9]+)?$"
    if "properties" in schema:
        schema["properties"] = {name: strict(value) for name, value in schema["properties"].items()}
        schema.setdefault("additionalProperties", False)
    if isinstance(schema.get("additionalProperties"), dict):
        schema["additionalProperties"] = strict(schema["additionalProperties"])
    if "items" in schema:
        schema["items"] = strict(schema["items"])
    return schema


def schema_name(schemas, item):
    """'apps/v1', 'Deployment' -> 'io.k8s.api.apps.v1.Deployment'."""
    group, _, version = item["apiVersion"].rpartition("/")
    name = f"io.k8s.api.{group.split('.')[0] or 'core'}.{version}.{item['kind']}"
    return name if name in schemas else None


def check_schema(schemas, item):
    name = schema_name(schemas, item)
    if name is None:
        return [f"{title(item)}: Kubernetes has no {item['kind']} in {item['apiVersion']}"]
    validator = jsonschema.Draft7Validator({"$ref": f"#/definitions/{name}", "definitions": schemas})
    problems = []
    for error in sorted(validator.iter_errors(item), key=lambda e: [str(p) for p in e.absolute_path]):
        where = ".".join(str(part) for part in error.absolute_path)
        problems.append(f"{title(item)}: {where or 'object'}: {error.message[:200]}")
    return problems


# ---- Reading manifests


def title(item):
    return f"{item.get('kind')}/{item.get('metadata', {}).get('name')}"


def pod_of(item):
    """Metadata and spec of the pods that an object makes."""
    if item["kind"] == "Pod":
        return item["metadata"], item["spec"]
    template = item["spec"]["template"]
    return template["metadata"], template["spec"]


def containers_of(spec):
    return [(c, True) for c in spec.get("initContainers", [])] + [(c, False) for c in spec["containers"]]


def image_name(container):
    return container["image"].rpartition(":")[0]


def matches(selector, labels):
    return bool(selector) and all(labels.get(k) == v for k, v in selector.items())


def flatten(sections):
    return {
        f"{section}.{key}": value
        for section, keys in (sections or {}).items()
        for key, value in (keys if isinstance(keys, dict) else {"": keys}).items()
    }


def find(objects, kind, name):
    return next((o for o in objects if o["kind"] == kind and o["metadata"]["name"] == name), None)


def environment_of(container):
    """Names and values; what the cluster fills in is resolved where a manifest can tell."""
    values = {}
    for entry in container.get("env", []):
        value = entry.get("value")
        source = entry.get("valueFrom", {}).get("resourceFieldRef", {}).get("resource", "")
        if value is None and source:
            kind, _, resource = source.partition(".")
            value = container.get("resources", {}).get(kind, {}).get(resource)
        values[entry["name"]] = value
    return values


def flags_of(container):
    """'--a b' and '--a=b' of the arguments, as {'a': 'b'}."""
    flags = {}
    arguments = [str(a) for a in container.get("command", []) + container.get("args", [])]
    for index, argument in enumerate(arguments):
        if argument.startswith("--"):
            name, separator, value = argument[2:].partition("=")
            if not separator and index + 1 < len(arguments) and not arguments[index + 1].startswith("--"):
                value = arguments[index + 1]
            flags[name] = value
    return flags


def mounted(spec, container, path):
    """The volume that holds a path inside the container, the mount, and the path below it."""
    best = None
    for mount in container.get("volumeMounts", []):
        base = mount["mountPath"].rstrip("/")
        if (path == base or path.startswith(base + "/")) and (best is None or len(base) > len(best["mountPath"])):
            best = mount
    if best is None:
        return None, None, None
    volume = next((v for v in spec.get("volumes", []) if v["name"] == best["name"]), None)
    return volume, best, path[len(best["mountPath"].rstrip("/")) :].lstrip("/")


def class_file(objects, spec, container):
    """The file that --config names: its text, or None."""
    path = flags_of(container).get("config")
    if not path:
        return None
    volume, _, below = mounted(spec, container, path)
    config_map = find(objects, "ConfigMap", (volume or {}).get("configMap", {}).get("name"))
    return (config_map or {}).get("data", {}).get(below)


def settings_of(context, objects, spec, container):
    """Every setting as the program will see it: flag, environment, file, default."""
    settings = dict(context.keys)
    text = class_file(objects, spec, container)
    settings.update(flatten(yaml.safe_load(text)) if text else {})
    environment = environment_of(container)
    for key in context.keys:
        if environment.get(environment_name(key)):
            settings[key] = environment[environment_name(key)]
    settings.update({key: value for key, value in flags_of(container).items() if key in context.keys})
    return {key: str(value) for key, value in settings.items()}


def split_address(address):
    host, _, port = address.rpartition(":")
    return host.strip("[]"), int(port) if port.isdigit() else None


def is_loopback(host):
    return host in ("localhost", "::1") or host.startswith("127.")


def seconds(text):
    units = {"ms": 0.001, "s": 1, "m": 60, "h": 3600}
    return sum(float(number) * units[unit] for number, unit in re.findall(r"([0-9.]+)(ms|s|m|h)", text))


def size_bytes(text):
    units = {"": 1, "Ki": 2**10, "Mi": 2**20, "Gi": 2**30, "Ti": 2**40, "KiB": 2**10, "MiB": 2**20, "GiB": 2**30}
    match = re.fullmatch(r"([0-9.]+)\s*([A-Za-z]*)", text)
    return float(match[1]) * units[match[2]] if match and match[2] in units else None


# ---- Checks. Each yields "KIND/NAME…: problem".


def check_names(context, objects, item, spec, container, where):
    """Settings are known, arguments too, and --config names a file that exists."""
    image = image_name(container)
    known = {environment_name(key): key for key in context.keys}
    seen = set()
    for entry in container.get("env", []):
        name = entry["name"]
        if name in seen:
            yield f"{where}: {name} is set twice"
        seen.add(name)
        if name.startswith("GANNET_") and name not in known:
            yield f"{where}: {name} is no setting of docs/configuration.md"
        if name.startswith("GANNET_") and image not in LISTENS:
            yield f"{where}: {name} means nothing to {image}"
    if image not in LISTENS:
        return
    for flag in flags_of(container):
        if flag == "config" or flag in context.keys:
            continue
        if image != "localhost/gannet/cli" or f'"--{flag}"' not in context.cli_sources:
            yield f"{where}: flag --{flag} is unknown"
    arguments = container.get("args", [])
    if image == "localhost/gannet/cli" and "command" not in container:
        if not arguments or not re.search(rf'add_subcommand\(\s*"{re.escape(arguments[0])}"', context.cli_sources):
            yield f"{where}: `gannet {(arguments or [''])[0]}` is no command"
    if "config" in flags_of(container) and class_file(objects, spec, container) is None:
        yield f"{where}: --config {flags_of(container)['config']} is in no mounted ConfigMap"
    text = class_file(objects, spec, container)
    for key in flatten(yaml.safe_load(text)) if text else {}:
        if key not in context.keys:
            yield f"{where}: class.yaml: {key} is no setting of docs/configuration.md"


def container_ports(container):
    return {p.get("name"): p["containerPort"] for p in container.get("ports", [])}


def resolve_port(container, port):
    return container_ports(container).get(port) if isinstance(port, str) else port


def check_ports(context, objects, item, metadata, spec, container, where):
    """Addresses, containerPorts, probes and scrape annotations name the same ports, those of the defaults."""
    image = image_name(container)
    ports = container_ports(container)
    if image == "postgres" and container in spec["containers"]:
        serving = {POSTGRES_PORT: "postgres"}
    elif image in LISTENS:
        settings = settings_of(context, objects, spec, container)
        serving = {}
        for key, what in LISTENS[image].items():
            host, port = split_address(settings.get(key, ""))
            _, usual = split_address(context.keys.get(key, ""))
            if port is None:
                yield f"{where}: {key} has no port: '{settings.get(key, '')}'"
                continue
            if usual is not None and port != usual:
                yield f"{where}: {key} is port {port}, everywhere else {usual}"
            if is_loopback(host):
                yield f"{where}: {key} {settings[key]} cannot be reached from outside the pod"
            if port in serving:
                yield f"{where}: {key} and another setting share port {port}"
            serving[port] = what
    else:
        serving = {}
    for port in sorted(set(ports.values()) ^ set(serving)):
        if port in serving:
            yield f"{where}: port {port} is not declared"
        else:
            yield f"{where}: port {port} is declared, but nothing listens there"
    for kind in ("startupProbe", "readinessProbe", "livenessProbe"):
        probe = container.get(kind, {})
        for how in ("grpc", "httpGet", "tcpSocket"):
            if how not in probe:
                continue
            port = resolve_port(container, probe[how].get("port"))
            what = serving.get(port)
            if what is None:
                yield f"{where}: {kind} asks port {probe[how].get('port')}, where nothing listens"
            elif how == "grpc" and what != "health":
                yield f"{where}: {kind} asks port {port} for its health, which it does not know"
            elif how == "httpGet" and (what != "metrics" or probe[how].get("path") != "/metrics"):
                yield f"{where}: {kind} asks port {port} for {probe[how].get('path')}, which it does not have"
            if how == "grpc" and kind != "readinessProbe":
                yield f"{where}: {kind} would restart a service that waits for the database"
    if "health" in serving.values() and "grpc" not in container.get("readinessProbe", {}):
        yield f"{where}: readinessProbe does not ask the health service"
    if "metrics" in serving.values():
        annotations = metadata.get("annotations", {})
        port = next((str(p) for p, what in serving.items() if what == "metrics"), None)
        wanted = {"prometheus.io/scrape": "true", "prometheus.io/path": "/metrics", "prometheus.io/port": port}
        if any(annotations.get(name) != value for name, value in wanted.items()):
            yield f"{where}: the prometheus.io annotations do not name the port of /metrics"


def check_addresses(context, objects, item, spec, container, where):
    """Services that the settings name exist, have that port, and are in the certificate."""
    if image_name(container) not in LISTENS:
        return
    program = image_name(container)
    settings = settings_of(context, objects, spec, container)
    targets = []
    if program in ("localhost/gannet/coordinator", "localhost/gannet/gateway") or "database.url" in {
        key for key in context.keys if environment_name(key) in environment_of(container)
    }:
        match = re.fullmatch(r"postgres(?:ql)?://([a-z_]+)@([^/:]+)(?::([0-9]+))?/([a-z_]+)", settings["database.url"])
        if not match:
            yield f"{where}: database.url '{settings['database.url']}' names no user, host and database"
        else:
            targets.append(("database.url", match[2], int(match[3] or POSTGRES_PORT)))
            postgres = find(objects, "StatefulSet", "postgres")
            server = environment_of(postgres["spec"]["template"]["spec"]["containers"][0]) if postgres else {}
            if (server.get("POSTGRES_USER"), server.get("POSTGRES_DB")) != (match[1], match[4]):
                yield f"{where}: database.url has another user or database than the server"
    if program == "localhost/gannet/worker":
        host, port = split_address(settings["worker.exchange"])
        targets.append(("worker.exchange", host, port))
        if host not in context.certificate_names:
            yield f"{where}: worker.exchange {host} is not in the certificate of make_secrets.sh"
    if program == "localhost/gannet/cli" and "GANNET_COORDINATOR_ADMIN_LISTEN" in environment_of(container):
        targets.append(("coordinator.admin_listen", *split_address(settings["coordinator.admin_listen"])))
    for key, host, port in targets:
        service = find(objects, "Service", host)
        if service is None:
            yield f"{where}: {key} names {host}, and there is no Service of that name"
        elif port not in [p["port"] for p in service["spec"]["ports"]]:
            yield f"{where}: {key} names port {port}, which Service/{host} does not have"
    required = {
        "localhost/gannet/coordinator": ["coordinator.admin_token_file", "database.password_file"],
        "localhost/gannet/gateway": [
            "gateway.tls_cert_file",
            "gateway.tls_key_file",
            "gateway.class_code_file",
            "database.password_file",
        ],
        "localhost/gannet/worker": ["worker.ca_file", "worker.class_code_file", "worker.state_file"],
    }
    for key in required.get(program, []):
        if not settings.get(key):
            yield f"{where}: {key} is not set"


def projected(source, known):
    """File names of a secret or ConfigMap volume, and problems with its keys."""
    if "items" not in source:
        return set(known), []
    return {i["path"] for i in source["items"]}, [i["key"] for i in source["items"] if i["key"] not in known]


def check_volumes(context, objects, item, spec, where):
    """Volumes refer to secrets, ConfigMaps and claims that exist, with their keys."""
    claims = {t["metadata"]["name"] for t in item["spec"].get("volumeClaimTemplates", [])}
    volumes = {v["name"]: v for v in spec.get("volumes", [])}
    used = set()
    for volume in volumes.values():
        if "secret" in volume:
            name = volume["secret"]["secretName"]
            if name not in context.secrets:
                yield f"{where}: volume {volume['name']}: make_secrets.sh makes no secret {name}"
                continue
            for key in projected(volume["secret"], context.secrets[name])[1]:
                yield f"{where}: volume {volume['name']}: secret {name} has no key {key}"
        if "configMap" in volume:
            config_map = find(objects, "ConfigMap", volume["configMap"]["name"])
            if config_map is None:
                yield f"{where}: volume {volume['name']}: there is no ConfigMap {volume['configMap']['name']}"
                continue
            for key in projected(volume["configMap"], config_map.get("data", {}))[1]:
                yield f"{where}: volume {volume['name']}: the ConfigMap has no key {key}"
        if "persistentVolumeClaim" in volume:
            claim = volume["persistentVolumeClaim"]["claimName"]
            if find(objects, "PersistentVolumeClaim", claim) is None:
                yield f"{where}: volume {volume['name']}: there is no claim {claim}"
    for container, _ in containers_of(spec):
        for mount in container.get("volumeMounts", []):
            used.add(mount["name"])
            if mount["name"] not in volumes and mount["name"] not in claims:
                yield f"{where}: {container['name']} mounts {mount['name']}, which is no volume"
        for entry in container.get("env", []):
            reference = entry.get("valueFrom", {}).get("secretKeyRef")
            if reference and reference["key"] not in context.secrets.get(reference["name"], {}):
                yield f"{where}: {entry['name']}: secret {reference['name']} has no key {reference['key']}"
    for name in sorted(set(volumes) - used):
        yield f"{where}: volume {name} is mounted nowhere"


def check_files(context, objects, spec, container, where):
    """Files that settings, environment and scripts name lie in the right volumes."""
    named = {value for value in environment_of(container).values() if str(value).startswith("/run/secrets/")}
    for argument in container.get("command", []) + container.get("args", []):
        named.update(re.findall(r"/run/secrets/[A-Za-z0-9_./-]+", str(argument)))
    written = set()
    if image_name(container) in LISTENS:
        for key, value in settings_of(context, objects, spec, container).items():
            if not value.startswith("/"):
                continue
            if key in WRITTEN:
                written.add((key, value))
            elif key.endswith("_file"):
                named.add(value)
    for path in sorted(named):
        volume, _, below = mounted(spec, container, path)
        source = (volume or {}).get("secret")
        if source is None:
            yield f"{where}: {path} is in no mounted secret"
        elif source["secretName"] in context.secrets:
            if below not in projected(source, context.secrets[source["secretName"]])[0]:
                yield f"{where}: {path}: secret {source['secretName']} has no such file"
    for key, path in sorted(written):
        volume, mount, _ = mounted(spec, container, path)
        if volume is None or not ("emptyDir" in volume or "persistentVolumeClaim" in volume) or mount.get("readOnly"):
            yield f"{where}: {key} {path} is in no writable volume"


def check_security(item, spec, container, where):
    pod = spec.get("securityContext", {})
    own = container.get("securityContext", {})
    effective = {**pod, **own}
    ids = (effective.get("runAsUser", 0), effective.get("runAsGroup", 0))
    if 0 in ids or effective.get("runAsNonRoot") is not True:
        yield f"{where}: may run as root: runAsNonRoot, runAsUser and runAsGroup must say otherwise"
    if effective.get("seccompProfile", {}).get("type") != "RuntimeDefault":
        yield f"{where}: seccompProfile is not RuntimeDefault"
    if own.get("allowPrivilegeEscalation") is not False or own.get("privileged"):
        yield f"{where}: privileges may grow"
    if own.get("readOnlyRootFilesystem") is not True:
        yield f"{where}: the root file system is writable"
    if own.get("capabilities", {}).get("drop") != ["ALL"] or own.get("capabilities", {}).get("add"):
        yield f"{where}: capabilities are not dropped"
    if "fsGroup" not in pod:
        yield f"{where}: without fsGroup the volumes cannot be read"
    for kind in ("requests", "limits"):
        for resource in ("cpu", "memory"):
            if resource not in container.get("resources", {}).get(kind, {}):
                yield f"{where}: resources.{kind}.{resource} is missing"
    if container.get("terminationMessagePolicy") != "FallbackToLogsOnError":
        yield f"{where}: `kubectl describe pod` would not show why it ended"
    if not any(m["mountPath"] == "/tmp" for m in container.get("volumeMounts", [])):
        yield f"{where}: /tmp is not writable"
    if ":" not in container["image"] or container["image"].endswith(":latest"):
        yield f"{where}: image {container['image']} has no fixed tag"


def check_pod(context, item, spec, where):
    if spec.get("automountServiceAccountToken") is not False:
        yield f"{where}: gets a token of the cluster it does not need"
    if spec.get("enableServiceLinks") is not False:
        yield f"{where}: enableServiceLinks sets variables that look like settings"
    if spec.get("hostNetwork") or spec.get("hostPID") or spec.get("hostIPC"):
        yield f"{where}: shares namespaces with its node"
    if "terminationGracePeriodSeconds" not in spec:
        yield f"{where}: terminationGracePeriodSeconds is missing"
    for container in spec["containers"]:
        wanted = ("startupProbe", "readinessProbe", "livenessProbe") if item["kind"] in LONG_LIVED else ()
        wanted = ("livenessProbe",) if item["kind"] == "Pod" else wanted
        for kind in wanted:
            if kind not in container:
                yield f"{where}/{container['name']}: {kind} is missing"


def check_limits(context, objects, spec, container, where):
    if image_name(container) != "localhost/gannet/gateway":
        return
    settings = settings_of(context, objects, spec, container)
    if seconds(settings["gateway.drain_limit"]) + DRAIN_MARGIN_SECONDS > spec.get("terminationGracePeriodSeconds", 30):
        drain = settings["gateway.drain_limit"]
        yield f"{where}: gateway.drain_limit {drain} does not fit terminationGracePeriodSeconds"
    inflight = size_bytes(settings["gateway.max_inflight_bytes"])
    limit = size_bytes(str(container.get("resources", {}).get("limits", {}).get("memory", "0")))
    if inflight is None or limit is None or inflight > limit / 2:
        yield f"{where}: gateway.max_inflight_bytes may be half of the memory limit, not more"


def check_labels(item):
    labels = [("", item["metadata"].get("labels", {}))]
    if item["kind"] in WORKLOADS and item["kind"] != "Pod":
        labels.append(("pods: ", pod_of(item)[0].get("labels", {})))
    for where, values in labels:
        for name in ("name", "component", "part-of"):
            if f"app.kubernetes.io/{name}" not in values and not (item["kind"] == "ConfigMap" and name != "part-of"):
                yield f"{title(item)}: {where}label app.kubernetes.io/{name} is missing"


def check_selectors(objects):
    """Every selector picks the pods of exactly one workload; targetPorts exist there."""
    pods = [(o, *pod_of(o)) for o in objects if o["kind"] in WORKLOADS]
    for item in objects:
        if item["kind"] in LONG_LIVED:
            selector = item["spec"]["selector"].get("matchLabels", {})
        elif item["kind"] == "Service":
            selector = item["spec"].get("selector", {})
        else:
            continue
        chosen = [(o, spec) for o, metadata, spec in pods if matches(selector, metadata.get("labels", {}))]
        if len(chosen) != 1 or (item["kind"] in LONG_LIVED and chosen[0][0] is not item):
            yield f"{title(item)}: its selector picks the pods of {[title(o) for o, _ in chosen]}"
            continue
        if item["kind"] == "Service":
            for port in item["spec"]["ports"]:
                wanted = port.get("targetPort", port["port"])
                actual = [resolve_port(c, wanted) for c in chosen[0][1]["containers"]]
                declared = [p for c in chosen[0][1]["containers"] for p in container_ports(c).values()]
                found = [p for p in actual if p in declared]
                if not found:
                    yield f"{title(item)}: targetPort {wanted} is no port of {title(chosen[0][0])}"
                elif port["port"] != found[0]:
                    yield f"{title(item)}: port {port['port']} leads to {found[0]}; expected the same number"
        if item["kind"] == "StatefulSet":
            service = find(objects, "Service", item["spec"].get("serviceName"))
            if service is None or service["spec"].get("clusterIP") != "None":
                yield f"{title(item)}: serviceName names no headless Service"


def expand(text):
    """${NAME:-default} of compose, with nothing set."""
    return re.sub(r"\$\{[A-Z0-9_]+(?::?-([^}]*))?[^}]*\}", lambda m: m[1] or "", str(text))


def check_compose(context, objects):
    """The same images and, for the same settings, the same ports as the compose file."""
    images = set()
    published = {}  # image -> ports inside its containers that the compose file leads to
    shared = context.compose_class.items()
    ports = {key: split_address(str(value))[1] for key, value in shared if key.endswith("listen")}
    for service in context.compose.get("services", {}).values():
        image = expand(service.get("image", ""))
        images.add(image)
        for port in service.get("ports") or []:
            inside = port["target"] if isinstance(port, dict) else expand(port).partition("/")[0].rpartition(":")[2]
            published.setdefault(image.rpartition(":")[0], set()).add(int(inside))
        environment = service.get("environment") or {}
        if isinstance(environment, list):
            environment = dict(entry.partition("=")[::2] for entry in environment)
        command = service.get("command") or []
        command = command.split() if isinstance(command, str) else command
        flags = flags_of({"args": [expand(argument) for argument in command]})
        for key in context.keys:
            value = flags.get(key) or environment.get(environment_name(key))
            if key.endswith("listen") and value:
                ports[key] = split_address(expand(value))[1]
    for item in objects:
        if item["kind"] not in WORKLOADS:
            continue
        _, spec = pod_of(item)
        for container, _ in containers_of(spec):
            where = f"{title(item)}/{container['name']}"
            if container["image"] not in images:
                yield f"{where}: image {container['image']} is not in the compose file: {sorted(filter(None, images))}"
            for port in sorted(published.get(image_name(container), set()) - set(container_ports(container).values())):
                if container in spec["containers"] and item["kind"] in LONG_LIVED:
                    yield f"{where}: has no port {port}, to which the compose file leads"
            for key in LISTENS.get(image_name(container), {}):
                port = split_address(settings_of(context, objects, spec, container).get(key, ""))[1]
                if ports.get(key) not in (None, port):
                    yield f"{where}: {key} is port {port}, in the compose file {ports[key]}"


def check_program(context, objects, spec, container, where):
    """`gannet config check` accepts file, environment and arguments of the container."""
    if image_name(container) not in LISTENS:
        return
    environment = {k: str(v) for k, v in environment_of(container).items() if v is not None}
    arguments = [context.gannet, "config", "check"]
    with tempfile.TemporaryDirectory() as directory:
        text = class_file(objects, spec, container)
        if text is not None:
            Path(directory, "class.yaml").write_text(text, encoding="utf-8")
            arguments += ["--config", f"{directory}/class.yaml"]
        for key, value in flags_of(container).items():
            arguments += [f"--{key}", value] if key in context.keys else []
        result = run(arguments, env={"PATH": "/usr/bin:/bin", **environment})
    if result.returncode != 0:
        yield f"{where}: gannet config check: {(result.stderr + result.stdout).strip()}"


def check(context, objects):
    problems = []
    malformed = False
    names = [title(o) for o in objects]
    problems += [f"{name}: exists twice" for name in sorted({n for n in names if names.count(n) > 1})]
    for item in objects:
        if context.schemas is not None:
            found = check_schema(context.schemas, item)
            problems += found
            if found:
                malformed = True
                continue  # the checks below trust the form
        problems += check_labels(item)
        if item["metadata"].get("namespace"):
            problems.append(f"{title(item)}: names a namespace, which an overlay or kubectl should")
        if item["kind"] not in WORKLOADS:
            continue
        metadata, spec = pod_of(item)
        problems += check_pod(context, item, spec, title(item))
        problems += check_volumes(context, objects, item, spec, title(item))
        for container, initial in containers_of(spec):
            where = f"{title(item)}/{container['name']}"
            problems += check_security(item, spec, container, where)
            problems += check_names(context, objects, item, spec, container, where)
            problems += check_files(context, objects, spec, container, where)
            problems += check_addresses(context, objects, item, spec, container, where)
            problems += check_limits(context, objects, spec, container, where)
            if not initial:
                problems += check_ports(context, objects, item, metadata, spec, container, where)
            if context.gannet is not None:
                problems += check_program(context, objects, spec, container, where)
    if not malformed:
        problems += check_selectors(objects)
    if context.compose is not None:
        problems += check_compose(context, objects)
    return problems


# ---- kubectl


def kubectl_version(kubectl):
    result = run([kubectl, "version", "--client", "--output=json"])
    try:
        client = json.loads(result.stdout)["clientVersion"]
        return tuple(int(re.match(r"\d+", client[part])[0]) for part in ("major", "minor"))
    except (json.JSONDecodeError, KeyError, TypeError):
        raise CannotCheck(f"{kubectl} does not tell its version: {result.stderr.strip()[:200]}") from None


def require_kubectl(kubectl):
    if shutil.which(kubectl) is None:
        raise CannotCheck(
            f"{kubectl} is missing: install package kubernetes-client of Debian 13 (1.32), "
            "or name one by --kubectl or KUBECTL"
        )
    version = kubectl_version(kubectl)
    if version < MIN_KUBECTL:
        raise CannotCheck(
            f"{kubectl} is version {version[0]}.{version[1]}, expected {MIN_KUBECTL[0]}.{MIN_KUBECTL[1]} or newer: "
            "older ones refuse half of kustomize; Debian 13's kubernetes-client is 1.32, Debian 12's too old"
        )
    return version


def build(kubectl, directory):
    result = run([kubectl, "kustomize", directory])
    if result.returncode != 0:
        raise CannotCheck(f"kubectl kustomize {directory} failed: {result.stderr.strip()}")
    return [item for item in yaml.safe_load_all(result.stdout) if item]


# ---- make_secrets.sh against an imitation of kubectl

FAKE_KUBECTL = r"""#!/usr/bin/env python3
import json, os, re, sys
import yaml
path = os.environ["FAKE_SECRETS"]
secrets = json.load(open(path)) if os.path.exists(path) else {}
arguments = [a for a in sys.argv[1:]]
if arguments[:1] == ["--namespace"]:
    arguments = arguments[2:]
if os.environ.get("FAKE_BROKEN"):
    sys.exit("The connection to the server was refused")
if arguments[:2] == ["config", "view"]:
    print("cluster", end="")
elif arguments[:2] == ["get", "secret"] and "--output=name" in arguments:
    print(f"secret/{arguments[2]}" if arguments[2] in secrets else "", end="")
elif arguments[:2] == ["get", "secret"]:
    key = re.fullmatch(r"--output=jsonpath=\{\.data\.(.*)\}", arguments[3])[1].replace("\\.", ".")
    print(secrets[arguments[2]].get(key, ""), end="")
elif arguments == ["create", "--filename=-"]:
    secret = yaml.safe_load(sys.stdin)
    if secret["metadata"]["name"] in secrets:
        sys.exit("AlreadyExists")
    secrets[secret["metadata"]["name"]] = secret["data"]
    json.dump(secrets, open(path, "w"))
else:
    sys.exit(f"unexpected: {arguments}")
"""


def check_make_secrets(script):
    problems = []
    with tempfile.TemporaryDirectory() as directory:
        store = Path(directory) / "secrets.json"
        fake = Path(directory) / "kubectl"
        fake.write_text(FAKE_KUBECTL, encoding="utf-8")
        fake.chmod(0o755)
        environment = {**os.environ, "KUBECTL": str(fake), "FAKE_SECRETS": str(store)}

        def make(*arguments, **extra):
            return run([script, *arguments], env={**environment, **extra})

        def expect(what, condition, result):
            if not condition:
                said = result.stderr.strip()[-300:]
                problems.append(f"make_secrets.sh: {what}: exit code {result.returncode}: {said}")

        def stored():
            return json.loads(store.read_text(encoding="utf-8")) if store.exists() else {}

        broken = make(FAKE_BROKEN="1")
        expect("a cluster that cannot be reached is no empty one", broken.returncode == 1 and not stored(), broken)
        first = make("gannet.example.org")
        names = {"gannet-database", "gannet-admin", "gannet-gateway-tls", "gannet-class", "gannet-ca"}
        expect("makes all secrets", first.returncode == 0 and set(stored()) == names, first)
        before = stored()
        text = " ".join(base64.b64decode(v).decode() for s in before.values() for v in s.values()).split("\n")
        expect("says no secret", not any(len(v) > 10 and v in first.stderr + first.stdout for v in text), first)
        second = make("gannet.example.org")
        expect("keeps what exists", second.returncode == 0 and stored() == before, second)
        other = make("elsewhere.example.org")
        expect(
            "says that an existing certificate lacks a host",
            other.returncode == 1 and "elsewhere.example.org" in other.stderr and stored() == before,
            other,
        )
        without = {name: data for name, data in before.items() if name != "gannet-gateway-tls"}
        store.write_text(json.dumps(without), encoding="utf-8")
        again = make("elsewhere.example.org")
        expect(
            "signs a new certificate by the same authority",
            again.returncode == 0 and stored()["gannet-gateway-tls"]["ca.crt"] == before["gannet-class"]["ca.crt"],
            again,
        )
        without = {name: data for name, data in before.items() if name not in ("gannet-gateway-tls", "gannet-ca")}
        store.write_text(json.dumps(without), encoding="utf-8")
        lost = make()
        told = lost.returncode == 1 and "another ca.crt" in lost.stderr
        expect("tells when students hold another ca.crt", told, lost)
        for wrong in ("https://gannet.example.org", "gannet.example.org:50051", "a b", "--prnt"):
            refused = make(wrong)
            expect(f"refuses '{wrong}'", refused.returncode == 1, refused)
    return problems


# ---- The checks themselves are checked


def container_in(objects, kind, name, container=0):
    return pod_of(find(objects, kind, name))[1]["containers"][container]


def set_environment(container, name, value):
    entry = next(e for e in container["env"] if e["name"] == name)
    entry.pop("valueFrom", None)
    entry["value"] = value


def rename(mapping, old, new):
    mapping[new] = mapping.pop(old)


def mutations(schemas):
    """(what is broken, how, what the report must contain)"""

    def coordinator(o):
        return container_in(o, "Deployment", "gannet-coordinator")

    def gateway(o):
        return container_in(o, "Deployment", "gannet-gateway")

    def worker(o):
        return container_in(o, "Deployment", "gannet-worker")

    def spec(o, name):
        return pod_of(find(o, "Deployment", name))[1]

    def volume(o, name, wanted):
        return next(v for v in spec(o, name)["volumes"] if v["name"] == wanted)

    def service(o, name):
        return find(o, "Service", name)["spec"]

    def annotations(o, name):
        return pod_of(find(o, "Deployment", name))[0]["annotations"]

    def migrate(o):
        return container_in(o, "Job", "gannet-migrate")

    def unset(container, name):
        container["env"].remove(next(e for e in container["env"] if e["name"] == name))

    def config_map(o):
        return next(item for item in o if item["kind"] == "ConfigMap")

    found = [
        ("port of a container", lambda o: gateway(o)["ports"][0].update(containerPort=50050), "port 50050 is declared"),
        ("forgotten port", lambda o: gateway(o)["ports"].pop(1), "port 50053 is not declared"),
        (
            "port of a setting",
            lambda o: set_environment(gateway(o), "GANNET_GATEWAY_LISTEN", "0.0.0.0:50052"),
            "gateway.listen is port",
        ),
        (
            "loopback",
            lambda o: set_environment(coordinator(o), "GANNET_COORDINATOR_ADMIN_LISTEN", "127.0.0.1:50052"),
            "cannot be reached",
        ),
        (
            "port of a service",
            lambda o: service(o, "gannet-gateway")["ports"][0].update(port=50061),
            "which Service/gannet-gateway does not have",
        ),
        (
            "targetPort",
            lambda o: service(o, "gannet-coordinator")["ports"][0].update(targetPort="adnim"),
            "targetPort adnim",
        ),
        (
            "port of a probe",
            lambda o: gateway(o)["readinessProbe"]["grpc"].update(port=50051),
            "for its health, which it does not know",
        ),
        (
            "probe of nothing",
            lambda o: worker(o)["livenessProbe"]["httpGet"].update(port=9104),
            "where nothing listens",
        ),
        ("path of a probe", lambda o: worker(o)["livenessProbe"]["httpGet"].update(path="/"), "which it does not have"),
        (
            "liveness by health",
            lambda o: gateway(o).update(livenessProbe={"grpc": {"port": 50053}}),
            "waits for the database",
        ),
        ("no probe", lambda o: worker(o).pop("readinessProbe"), "readinessProbe is missing"),
        (
            "scrape port",
            lambda o: annotations(o, "gannet-worker").update({"prometheus.io/port": "9102"}),
            "prometheus.io",
        ),
        (
            "key of a secret",
            lambda o: volume(o, "gannet-gateway", "class-secret")["secret"]["items"][0].update(key="cod"),
            "has no key cod",
        ),
        (
            "name of a secret",
            lambda o: volume(o, "gannet-worker", "class-secret")["secret"].update(secretName="gannet-clas"),
            "makes no secret gannet-clas",
        ),
        (
            "file of a secret",
            lambda o: set_environment(worker(o), "GANNET_WORKER_CA_FILE", "/run/secrets/gannet-class/ca.pem"),
            "has no such file",
        ),
        ("unmounted secret", lambda o: worker(o)["volumeMounts"].pop(), "is in no mounted secret"),
        (
            "name of the ConfigMap",
            lambda o: config_map(o)["metadata"].update(name="gannet-config-0"),
            "there is no ConfigMap",
        ),
        (
            "key of the ConfigMap",
            lambda o: rename(config_map(o)["data"], "class.yaml", "klass.yaml"),
            "is in no mounted ConfigMap",
        ),
        (
            "claim",
            lambda o: o.remove(find(o, "PersistentVolumeClaim", "gannet-output")),
            "there is no claim gannet-output",
        ),
        ("mount without volume", lambda o: worker(o)["volumeMounts"][0].update(name="confg"), "which is no volume"),
        ("root user", lambda o: spec(o, "gannet-worker")["securityContext"].update(runAsUser=0), "may run as root"),
        ("root container", lambda o: gateway(o)["securityContext"].update(runAsUser=0), "may run as root"),
        (
            "root init container",
            lambda o: spec(o, "gannet-gateway")["initContainers"][0]["securityContext"].update(runAsUser=0),
            "may run as root",
        ),
        ("no word on root", lambda o: spec(o, "gannet-worker").pop("securityContext"), "may run as root"),
        (
            "writable root",
            lambda o: worker(o)["securityContext"].update(readOnlyRootFilesystem=False),
            "root file system is writable",
        ),
        (
            "capabilities",
            lambda o: worker(o)["securityContext"]["capabilities"].update(add=["NET_ADMIN"]),
            "capabilities are not dropped",
        ),
        ("no limits", lambda o: worker(o)["resources"].pop("limits"), "resources.limits.memory is missing"),
        ("service links", lambda o: spec(o, "gannet-worker").pop("enableServiceLinks"), "look like settings"),
        ("token", lambda o: spec(o, "gannet-worker").pop("automountServiceAccountToken"), "gets a token"),
        (
            "misspelt variable",
            lambda o: gateway(o)["env"].append({"name": "GANNET_GATEWAY_LISTN", "value": "x"}),
            "GANNET_GATEWAY_LISTN is no setting",
        ),
        ("variable twice", lambda o: gateway(o)["env"].append(gateway(o)["env"][0]), "is set twice"),
        ("misspelt flag", lambda o: gateway(o)["args"].append("--gateway.listn=x"), "--gateway.listn is unknown"),
        (
            "misspelt command",
            lambda o: migrate(o)["args"].__setitem__(0, "migrat"),
            "is no command",
        ),
        (
            "misspelt setting",
            lambda o: config_map(o)["data"].update({"class.yaml": "run: {rouds: 5}"}),
            "run.rouds is no setting",
        ),
        (
            "selector",
            lambda o: service(o, "gannet-gateway")["selector"].update({"app.kubernetes.io/component": "worker"}),
            "targetPort exchange is no port of Deployment/gannet-worker",
        ),
        (
            "selector of nobody",
            lambda o: service(o, "postgres")["selector"].update({"app.kubernetes.io/name": "postgre"}),
            "its selector picks",
        ),
        (
            "host of the gateway",
            lambda o: set_environment(worker(o), "GANNET_WORKER_EXCHANGE", "gateway:50051"),
            "is not in the certificate",
        ),
        (
            "host of the database",
            lambda o: set_environment(gateway(o), "GANNET_DATABASE_URL", "postgres://gannet@postgre/gannet"),
            "no Service of that name",
        ),
        (
            "user of the database",
            lambda o: set_environment(gateway(o), "GANNET_DATABASE_URL", "postgres://ganet@postgres/gannet"),
            "another user or database",
        ),
        (
            "no certificate",
            lambda o: unset(gateway(o), "GANNET_GATEWAY_TLS_CERT_FILE"),
            "gateway.tls_cert_file is not set",
        ),
        (
            "drain",
            lambda o: set_environment(gateway(o), "GANNET_GATEWAY_DRAIN_LIMIT", "1m"),
            "does not fit terminationGracePeriodSeconds",
        ),
        (
            "memory",
            lambda o: set_environment(gateway(o), "GANNET_GATEWAY_MAX_INFLIGHT_BYTES", "1GiB"),
            "half of the memory limit",
        ),
        (
            "state on the image",
            lambda o: set_environment(worker(o), "GANNET_WORKER_STATE_FILE", "/home/worker.json"),
            "is in no writable volume",
        ),
        (
            "label",
            lambda o: find(o, "Deployment", "gannet-worker")["metadata"]["labels"].pop("app.kubernetes.io/part-of"),
            "part-of is missing",
        ),
        (
            "image of another version",
            lambda o: worker(o).update(image="localhost/gannet/worker:0.2.0"),
            "is not in the compose file",
        ),
        ("image without a tag", lambda o: worker(o).update(image="localhost/gannet/worker:latest"), "has no fixed tag"),
    ]
    if schemas:
        found += [
            (
                "misspelt field",
                lambda o: rename(gateway(o), "readinessProbe", "readinesProbe"),
                "'readinesProbe' was unexpected",
            ),
            (
                "field of another object",
                lambda o: find(o, "Deployment", "gannet-gateway")["spec"].update(serviceName="x"),
                "'serviceName' was unexpected",
            ),
            (
                "deep misspelt field",
                lambda o: rename(coordinator(o)["startupProbe"]["httpGet"], "path", "pth"),
                "'pth' was unexpected",
            ),
            (
                "field one level too high",
                lambda o: find(o, "Deployment", "gannet-worker")["spec"].update(containers=[]),
                "'containers' was unexpected",
            ),
            (
                "number for a text",
                lambda o: set_environment(worker(o), "GANNET_WORKER_THREADS", 2),
                "2 is not of type 'string'",
            ),
            (
                "malformed quantity",
                lambda o: worker(o)["resources"]["limits"].update(memory="2 GB"),
                "resources.limits.memory",
            ),
            (
                "empty value",
                lambda o: spec(o, "gannet-worker")["volumes"][1].update(emptyDir=None),
                "None is not of type 'object'",
            ),
            (
                "old apiVersion",
                lambda o: find(o, "Deployment", "gannet-worker").update(apiVersion="apps/v1beta3"),
                "Kubernetes has no Deployment in apps/v1beta3",
            ),
        ]
    return found


def imitate_compose(objects):
    """A compose file that agrees with the manifests, for the checks of the checks."""
    services = {}
    for item in objects:
        if item["kind"] in WORKLOADS:
            for container, _ in containers_of(pod_of(item)[1]):
                services[f"s{len(services)}"] = {"image": re.sub(r":([0-9.]+)$", r":${TAG:-\1}", container["image"])}
    listen = "GANNET_GATEWAY_LISTEN=${ALL:-0.0.0.0}:50051"
    ports = ["127.0.0.1:${PORT:-443}:50051", {"target": 9102, "published": 9102}]
    services["gateway"] = {"image": "localhost/gannet/gateway:${TAG:-0.1.0}", "environment": [listen], "ports": ports}
    return {"services": services}


def check_the_checks(context, objects):
    sound = copy.copy(context)
    sound.gannet = None
    sound.compose = imitate_compose(objects)
    sound.compose_class = {}
    missed = [f"self-test: an agreeing compose file is reported: {p}" for p in check(sound, objects)]
    differing = copy.deepcopy(sound)
    differing.compose["services"]["gateway"]["environment"] = {"GANNET_GATEWAY_LISTEN": "0.0.0.0:443"}
    if not any("in the compose file 443" in p for p in check(differing, objects)):
        missed.append("self-test: another port in the compose file is not reported")
    differing = copy.deepcopy(sound)
    differing.compose["services"]["gateway"]["ports"] = ["443:443/tcp"]
    if not any("no port 443, to which the compose file leads" in p for p in check(differing, objects)):
        missed.append("self-test: another published port in the compose file is not reported")
    cases = mutations(context.schemas is not None)
    for what, mutate, expected in cases:
        broken = copy.deepcopy(objects)
        mutate(broken)
        problems = check(sound, broken)
        if not any(expected in problem for problem in problems):
            missed.append(f"self-test: {what}: expected '{expected}', got {problems or 'no problem'}")
    with tempfile.TemporaryDirectory() as directory:
        old = Path(directory) / "kubectl"
        old.write_text('#!/bin/sh\necho \'{"clientVersion": {"major": "1", "minor": "20+"}}\'\n', encoding="utf-8")
        old.chmod(0o755)
        try:
            require_kubectl(str(old))
            missed.append("self-test: kubectl 1.20 is not refused")
        except CannotCheck as refusal:
            if "1.20, expected 1.27" not in str(refusal):
                missed.append(f"self-test: kubectl 1.20 is refused without saying why: {refusal}")
    return missed, len(cases) + 3


# ---- The command


def parse_arguments():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kubectl", default=os.environ.get("KUBECTL") or "kubectl")
    parser.add_argument("--schemas", metavar="DIR", help="folder with kubernetes.json")
    parser.add_argument("--without-schemas", action="store_true")
    parser.add_argument("--bin", metavar="DIR", type=Path, help="folder with the program gannet")
    compose = ROOT / "deploy" / "docker" / "docker-compose.yml"
    parser.add_argument("--compose", metavar="FILE", type=Path, default=compose)
    parser.add_argument("--configuration", metavar="FILE", type=Path, default=ROOT / "docs" / "configuration.md")
    options = parser.parse_args()
    if bool(options.schemas) == options.without_schemas:
        parser.error("one of --schemas DIR and --without-schemas is needed")
    return options


def main():
    options = parse_arguments()
    skipped = []
    version = require_kubectl(options.kubectl)
    script = K8S / "make_secrets.sh"
    secrets = read_secrets(script)
    certificate_names, problems = check_certificates(secrets)
    context = Context(
        keys=read_keys(options.configuration),
        secrets={name: set(keys) for name, keys in secrets.items()},
        certificate_names=certificate_names,
        cli_sources="\n".join(p.read_text(encoding="utf-8") for p in sorted((ROOT / "cli").rglob("*.cc"))),
    )
    if options.schemas:
        context.schemas = load_schemas(options.schemas)
    else:
        skipped.append("the schemas of Kubernetes (--without-schemas)")
    if options.compose.is_file():
        context.compose = yaml.safe_load(options.compose.read_text(encoding="utf-8"))
        shared = options.compose.parent / "class.yaml"
        context.compose_class = flatten(yaml.safe_load(shared.read_text(encoding="utf-8"))) if shared.is_file() else {}
    else:
        skipped.append(f"agreement with {options.compose}, which does not exist")
    if options.bin:
        context.gannet = options.bin / "gannet"
        if not os.access(context.gannet, os.X_OK):
            raise CannotCheck(f"{context.gannet} is no program: build it, or leave --bin out")
    else:
        skipped.append("the settings by `gannet config check` (--bin DIR)")

    # Together: the pod of the command line refers to the Service and the volume of the base.
    objects = build(options.kubectl, K8S / "base") + build(options.kubectl, K8S / "cli")
    problems += check(context, objects)
    problems += check_make_secrets(script)
    cases = 0
    if problems:
        skipped.append("the checks themselves, by broken variants: first correct what is reported above")
    else:
        problems, cases = check_the_checks(context, objects)
    for problem in problems:
        print(f"check_kubernetes: {problem}", file=sys.stderr)
    for what in skipped:
        print(f"check_kubernetes: NOT CHECKED: {what}", file=sys.stderr)
    print(
        f"check_kubernetes: kubectl {version[0]}.{version[1]}, {len(objects)} objects, {cases} broken variants, "
        f"{len(problems)} problems, {len(skipped)} parts not checked"
    )
    return 1 if problems else 0


if __name__ == "__main__":
    try:
        sys.exit(main())
    except CannotCheck as reason:
        print(f"check_kubernetes: {reason}", file=sys.stderr)
        sys.exit(2)
