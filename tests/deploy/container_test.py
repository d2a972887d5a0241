#!/usr/bin/env python3
"""The containers, tried as a class would use them. Called by `./run docker-test`, with an engine that runs.

    container_test.py DOCKER COMPOSE...

DOCKER is a client with BuildKit, COMPOSE the command of docker-compose, in one word or two. Builds the images (their
build runs the unit tests on Debian 13), starts the class with docker-compose, and looks: TLS and class code, a
student's own line, a killed worker and a killed gateway, metrics and every panel of the dashboard, samples and results,
a dump, what runs as whom, and that nothing is left. The steps build on one another and so run in order, until one
fails. Python's own library is all it needs.
"""

import os
import pathlib
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import zlib

from container_engine import TAG, Engine, Failure, expect, free_port, iec, image, report, say, si

ROOT = pathlib.Path(__file__).resolve().parents[2]

# Packed, as it is carried to thirty laptops.
WORKER_LIMIT = 200_000_000


def expect_refusal(answer, what, code, text):
    expect(
        answer.code == code and text in answer.last_line,
        f"{what}: expected exit code {code} and '{text}' at the end, got {answer.code} and",
        answer.text,
    )
    say(f"{what} is refused: ...{text}...")


# --- images -----------------------------------------------------------------------------------------------------------


def packed_size(engine, name):
    packer = zlib.compressobj(6, zlib.DEFLATED, 31)
    size = 0
    with subprocess.Popen([engine.docker_client, "save", image(name)], stdout=subprocess.PIPE) as saving:
        while chunk := saving.stdout.read(1 << 20):
            size += len(packer.compress(chunk))
    expect(saving.returncode == 0, f"image {name} cannot be saved")
    return size + len(packer.flush())


def build_images(engine):
    for name in ("build", "gateway", "coordinator", "worker", "cli", "setup", "postgres", "prometheus", "check"):
        say(f"building {name}")
        built = engine.docker(
            *("build", "--network", "host", "--file", str(ROOT / "deploy/docker/Dockerfile"), "--target", name),
            *("--tag", image(name), str(ROOT)),
            what=f"image {name} could not be built",
        )
        tests = re.findall("[0-9]+% tests passed, [0-9]+ tests failed out of [0-9]+", built.text)
        if name == "build" and tests:
            say(f"unit tests on Debian 13: {tests[-1]}")
    for name in ("gateway", "coordinator", "worker", "cli", "setup"):
        size = engine.docker("image", "inspect", "--format", "{{.Size}}", image(name)).text
        say(f"size of {name}: {iec(int(size))}")
    packed = packed_size(engine, "worker")
    say(f"worker, packed: {si(packed)} (limit {si(WORKER_LIMIT)})")
    expect(packed <= WORKER_LIMIT, f"the worker's image is too large for a class: {packed} bytes packed")
    libraries = engine.try_docker("run", "--rm", "--entrypoint", "ls", image("gateway"), "/usr/lib/gannet")
    expect("libtorch" not in libraries.text, "LibTorch is in the gateway's image, where nobody needs it")


# --- what can be seen without a class: manifests, alerts, dashboard ---------------------------------------------------


def fetch_kubernetes_schemas(engine):
    """Returns the options by which check_kubernetes.py finds the schemas, or does without where there is no network."""
    place = engine.work / "npm"
    (engine.work / "schemas").mkdir()
    shutil.copytree(ROOT / "tests/deploy/kubernetes_schemas", place, ignore=shutil.ignore_patterns("node_modules"))
    # The authorities that this machine trusts: some networks sign again what passes.
    fetched = engine.try_docker(
        *("run", "--rm", "--network", "host", "--volume", f"{engine.work}:/scratch", "--workdir", "/scratch/npm"),
        *("--volume", "/etc/ssl/certs/ca-certificates.crt:/etc/host-authorities.crt:ro"),
        *("--env", "NODE_EXTRA_CA_CERTS=/etc/host-authorities.crt", image("check")),
        *("sh", "-c", "npm ci --no-audit --no-fund && node dump.mjs /scratch/schemas"),
    )
    if fetched.code == 0:
        return ["--schemas", "/schemas"]
    print(
        "******** KUBERNETES' SCHEMAS CANNOT BE FETCHED, THE MANIFESTS ARE NOT CHECKED AGAINST THEM: "
        + fetched.last_line,
        flush=True,
    )
    return ["--without-schemas"]


def check_files(engine):
    schemas = fetch_kubernetes_schemas(engine)
    # Debian 13's docker compose 2 reads the same files.
    worker = ("GANNET_WORKER_NAME=n", "GANNET_WORKER_EXCHANGE=h:1", "GANNET_WORKER_CLASS_CODE=c", "GANNET_WORKER_CA=a")
    for files in ("docker-compose.yml", "docker-compose.yml:grafana.yml", "student.yml"):
        options = ["--workdir", "/src/deploy/docker", "--env", f"COMPOSE_FILE={files}"]
        for setting in worker:
            options += ["--env", setting]
        engine.check_tool(
            *("docker-compose", "--profile", "demo", "config", "--quiet"),
            options=options,
            what=f"docker compose 2 refuses {files}",
        )
    version = engine.check_tool("docker-compose", "version", "--short").text
    say(f"compose files are valid for {version} too")
    for script, arguments in (("check_monitoring.py", []), ("check_kubernetes.py", ["--bin", "/usr/bin", *schemas])):
        answer = engine.check_tool(
            *("python3", f"tests/deploy/{script}", *arguments),
            options=("--volume", f"{engine.work / 'schemas'}:/schemas:ro"),
            what=f"tests/deploy/{script}",
        )
        say(f"{script}: {answer.last_line}")


# --- a class ----------------------------------------------------------------------------------------------------------


def start_class(engine):
    engine.environment.update(
        GANNET_TAG=TAG,
        GANNET_POSTGRES_IMAGE=image("postgres"),
        GANNET_PROMETHEUS_IMAGE=image("prometheus"),
        GANNET_GATEWAY_BIND="127.0.0.1",
        GANNET_GATEWAY_PORT=str(free_port()),
        GANNET_PUBLIC_HOST="127.0.0.1",
        GANNET_PROMETHEUS_PORT=str(free_port()),
    )
    # As the pages tell people to. With the network of build_images: another one is another cache, and compiles again.
    network = engine.work / "network.yml"
    services = ("setup", "migrate", "coordinator", "gateway", "worker")
    network.write_text(
        "services:\n" + "".join(f"  {service}:\n    build:\n      network: host\n" for service in services),
        encoding="utf-8",
    )
    engine.compose("--file", str(network), "--profile", "demo", "build", what="docker-compose build")
    began = time.monotonic()
    up = engine.try_compose("--profile", "demo", "up", "--detach", "--no-build")
    if up.code != 0:
        raise Failure("docker-compose up", up.text + "\n" + engine.try_compose("logs", "--tail", "5").text)
    engine.await_condition(180, "the first published round", lambda: engine.rounds_at_least(1))
    # The promise is 60 s; a machine that does other things gets three times as long.
    say(f"first published round {time.monotonic() - began:.0f} s after up (promised: 60 s)")


def student_line(engine):
    """The line that a student is given, as it is printed; its name is still a placeholder."""
    printed = engine.try_compose("run", "--rm", "-T", "--no-deps", "setup", "join", errors=False).text
    lines = [line.rstrip("\r") for line in printed.splitlines() if line.startswith("docker run")]
    expect(lines, "setup prints no line for students")
    line = lines[0]
    expect(" --pull never " in line, f"the student's line would take an image from anywhere: {line}")
    # Host network only because this student sits on the same machine, where the gateway keeps to loopback.
    student = f"{engine.project}-student"
    line = line.replace("docker run", f"{engine.docker_client} run --network host --name {student}", 1)
    return line.replace("gannet-worker:", f"{student}:", 1)


def is_gone(engine, container):
    return engine.try_docker("container", "inspect", container).code != 0


def stay_as_student(engine, line):
    """Lets a student stay until there is work done. Returns the identity that the worker had."""
    student = f"{engine.project}-student"
    engine.run(["bash", "-c", line.replace("docker run", "docker run --detach", 1)], what=f"the student's line: {line}")
    engine.await_condition(120, "the student's work", lambda: " working" in engine.try_docker("logs", student).text)
    identity = re.search("joined.* worker=([0-9a-f]{32})", engine.docker("logs", student).text)
    # The line says --rm.
    engine.docker("stop", "--time", "30", student)
    engine.await_condition(30, "the end of the student's container", lambda: is_gone(engine, student))
    return identity.group(1) if identity else ""


def try_student(engine):
    line = student_line(engine)
    expect_refusal(engine.try_run(["bash", "-c", line]), "the line with the placeholder for a name", 2, "YOUR-NAME")
    line = line.replace("YOUR-NAME", "Ada", 1)
    first = stay_as_student(engine, line)
    second = stay_as_student(engine, line)
    expect(first and first == second, f"the second start is another person: '{first}', then '{second}'")
    workers = engine.try_compose("exec", "-T", "coordinator", "gannet", "workers").text
    expect("Ada" in workers, "the student's name is not in the list", workers)
    logs = engine.try_docker("logs", engine.container_of("worker")).text
    expect("reference BLAS" not in logs, "the worker's image has the slow BLAS")
    say("a student joined by TLS with the printed line, left, came back and was the same one")


def remove_student(engine):
    engine.try_docker("rm", "--force", "--volumes", f"{engine.project}-student")
    engine.try_docker("volume", "rm", "--force", f"{engine.project}-student")


def try_strangers(engine):
    """Workers in the class's network that are expected to be refused."""

    def worker(*settings):
        options = []
        for setting in (
            "GANNET_WORKER_EXCHANGE=gateway:50051",
            "GANNET_WORKER_CA_FILE=/run/gannet/class/ca.crt",
            "GANNET_WORKER_CLASS_CODE_FILE=/run/gannet/class/code",
            *settings,
        ):
            options += ["--env", setting]
        secrets = f"{engine.project}_class-secret:/run/gannet/class:ro"
        network = f"{engine.project}_default"
        return engine.try_docker("run", "--rm", "--network", network, "--volume", secrets, *options, image("worker"))

    answer = worker("GANNET_WORKER_CLASS_CODE_FILE=", "GANNET_WORKER_CLASS_CODE=guess")
    expect_refusal(answer, "a wrong class code", 1, "the class code is wrong")
    answer = worker("GANNET_WORKER_CLASS_CODE_FILE=")
    expect_refusal(answer, "no class code", 1, "asks for a class code")
    answer = worker("GANNET_WORKER_CA_FILE=")
    expect_refusal(answer, "a worker without the class's certificate", 1, "not signed by the certificate authority")
    answer = worker("GANNET_WORKER_CA_FILE=/run/gannet/class/nothing")
    expect_refusal(answer, "a missing certificate file", 2, "cannot read the file of worker.ca_file")


def kill_and_await(engine, service):
    """Ends a container's first process as if the machine had killed it; docker kill would not be restarted."""
    container = engine.container_of(service)
    os.kill(int(engine.inspect(container, "{{.State.Pid}}")), signal.SIGKILL)
    state = "{{.State.Running}} {{.RestartCount}}"
    engine.await_condition(60, f"the killed {service}'s return", lambda: engine.inspect(container, state) == "true 1")


def try_faults(engine):
    kill_and_await(engine, "worker")
    engine.await_progress("after a worker was killed")
    kill_and_await(engine, "gateway")
    engine.await_progress("after the gateway was killed")
    container = engine.container_of("postgres")
    engine.compose("stop", "postgres", what="postgres cannot be stopped")
    expect(
        engine.inspect(container, "{{.State.ExitCode}}") == "0",
        "postgres was killed: clients that stay kept it from ending",
    )
    engine.compose("start", "postgres", what="postgres cannot be started again")
    engine.await_progress("after the database was restarted")


def check_metrics(engine):
    prometheus = "http://127.0.0.1:" + engine.environment["GANNET_PROMETHEUS_PORT"]
    answer = engine.check_tool(
        *("python3", "tests/deploy/check_monitoring.py", "--prometheus", prometheus, "--patience", "180"),
        what="the dashboard's queries",
    )
    say(f"dashboard: {answer.last_line}")


# --- results ----------------------------------------------------------------------------------------------------------


def check_results(engine):
    sample = engine.work / "sample.png"

    def is_sample_there():
        latest = "/var/lib/gannet/out/samples/latest.png"
        return engine.save_output(sample, "coordinator", "cat", latest) and sample.read_bytes()[1:4] == b"PNG"

    engine.await_condition(120, "the first sample grid", is_sample_there)
    say(f"sample grid fetched: {sample.stat().st_size} bytes")
    read_code = ("run", "--rm", "-T", "--no-deps", "--entrypoint", "cat", "setup", "/run/gannet/class/code")
    code = engine.compose(*read_code, errors=False).text
    logs = engine.try_compose("logs", errors=False).text.splitlines()
    logs = "\n".join(line for line in logs if not re.match(r"[^|]*setup", line))
    expect(code and "leading the run" in logs, "neither the class code nor the logs can be read")
    expect(code not in logs, "the class code is in a log")


def copy_results(engine):
    """The line of docs/instructor.md, twice: the second copy takes the place of the first."""
    results = engine.work / "results"
    source = engine.container_of("coordinator", "-a") + ":/var/lib/gannet/out/."

    def count_rounds():
        return len((results / "metrics.csv").read_text(encoding="utf-8").splitlines())

    engine.docker("cp", source, str(results), what="the results cannot be copied")
    first = count_rounds()
    engine.await_progress("after results were copied")
    engine.docker("cp", source, str(results), what="the results cannot be copied again")
    expect(not (results / "out").exists(), "the second copy lies in the first")
    second = count_rounds()
    expect(second > first, "the second copy shows what the first did")
    latest = results / "samples/latest.png"
    expect(latest.is_file() and latest.stat().st_size > 0, "no samples in the results")
    say(f"results copied twice, {first} and then {second} lines of metrics.csv")


def dump_database(engine):
    """The line of docs/operations.md, but as text."""
    dump = engine.work / "dump.sql"
    command = ("pg_dump", "--username", "gannet", "--schema=gannet", "--no-owner", "--no-privileges", "gannet")
    expect(engine.save_output(dump, "postgres", *command), "pg_dump")
    expect(b"CREATE TABLE gannet.run" in dump.read_bytes(), "the dump has no runs")
    say(f"pg_dump in the container: {dump.stat().st_size} bytes")


# --- settings ---------------------------------------------------------------------------------------------------------


def try_wrong_host(engine):
    """A wrong name keeps nothing from starting, and is said where the line for students would be."""
    wrong = {"GANNET_PUBLIC_HOST": "http://lab:50051"}
    text = engine.compose(
        *("run", "--rm", "-T", "--no-deps", "setup"),
        environment=wrong,
        what="a wrong GANNET_PUBLIC_HOST keeps the class from starting",
    ).text
    expect(
        "GANNET_PUBLIC_HOST: 'http://lab:50051' is neither" in text and "docker run" not in text,
        "a wrong GANNET_PUBLIC_HOST is not named",
        text,
    )
    answer = engine.try_compose("run", "--rm", "-T", "--no-deps", "setup", "join", environment=wrong)
    expect(answer.code == 1, "a line for students in spite of a wrong GANNET_PUBLIC_HOST", answer.text)
    say("a wrong GANNET_PUBLIC_HOST is named, and the class goes on")


def check_processes(engine, container, name):
    for pid in engine.docker("top", container, "-eo", "pid").text.split()[1:]:
        process = pathlib.Path("/proc") / pid
        try:
            user = re.search(r"^Uid:\s+([0-9]+)", (process / "status").read_text(encoding="utf-8"), re.MULTILINE)
            command = (process / "cmdline").read_bytes().replace(b"\0", b" ").decode("utf-8", "replace")
        except OSError:
            # A health check's process may have ended since.
            continue
        expect(user is None or user.group(1) != "0", f"{name} runs as root: {command}")


def check_rights(engine):
    """Who runs, and what they could do."""
    for container in engine.compose("ps", "-q", errors=False).text.split():
        name = engine.inspect(container, "{{.Name}}")
        if engine.inspect(container, "{{.State.Running}}") != "true":
            continue
        check_processes(engine, container, name)
        is_read_only = engine.inspect(container, "{{.HostConfig.ReadonlyRootfs}}") == "true"
        expect("postgres" in name or is_read_only, f"{name} may write to its root file system")
        retries = engine.inspect(container, "{{.HostConfig.RestartPolicy.MaximumRetryCount}}")
        expect(retries == "0", f"{name} gives up after so many failures in its whole life")
        settings = engine.inspect(container, "{{json .Config}}")
        expect(not re.search("PASSWORD=|CLASS_CODE=|TOKEN=", settings), f"{name} has a secret in its environment")
    say("nothing runs as root, root file systems are read-only, no secret in any environment")


def try_broken_settings(engine):
    """Programs that cannot start."""
    gateway = ("run", "--rm", image("gateway"), "--gateway.listen", "0.0.0.0:50051")
    expect_refusal(
        engine.try_docker(*gateway), "a gateway without certificate", 2, "gateway.class_code_file must name a file"
    )
    certificate = ("--env", "GANNET_GATEWAY_TLS_CERT_FILE=/nowhere", "--env", "GANNET_GATEWAY_TLS_KEY_FILE=/nowhere")
    answer = engine.try_docker("run", "--rm", *certificate, image("gateway"))
    expect_refusal(answer, "a missing certificate", 2, "cannot read the file of gateway.tls_cert_file")
    # Whatever cannot start says why in its last line, however often it is tried.
    coordinator = ("run", "--detach", "--restart", "on-failure:2", image("coordinator"), "--run.rounds", "many")
    container = engine.docker(*coordinator, errors=False).text
    state = "{{.State.Status}} {{.State.ExitCode}} {{.RestartCount}}"
    try:
        engine.await_condition(
            60,
            "the end of a coordinator that cannot start",
            lambda: engine.inspect(container, state) == "exited 2 2",
        )
        logs = engine.docker("logs", container).text
    finally:
        engine.try_docker("rm", "--force", "--volumes", container)
    expect("run.rounds must be an integer" in logs, "a wrong setting is not named", logs)
    say("a coordinator with a wrong setting gives up and says why")


# --- the end ----------------------------------------------------------------------------------------------------------


def end_class(engine):
    began = time.monotonic()
    engine.compose("--profile", "demo", "down", "--volumes", "--timeout", "60", what="docker-compose down")
    say(f"down after {time.monotonic() - began:.0f} s")
    remove_student(engine)
    mine = ("--quiet", "--filter", f"label=com.docker.compose.project={engine.project}")
    left = [engine.docker(*kind, *mine).text for kind in (("ps", "--all"), ("volume", "ls"), ("network", "ls"))]
    left = "\n".join(text for text in left if text)
    expect(not left, "down leaves something behind", left)
    say("down leaves no container, volume or network")


STEPS = (
    check_files,
    start_class,
    try_student,
    try_strangers,
    try_faults,
    check_metrics,
    check_results,
    copy_results,
    dump_database,
    try_wrong_host,
    check_rights,
    try_broken_settings,
    end_class,
)


def clean_up(engine, has_failed):
    """Removes whatever a step has left, and shows what the services said last when one has failed."""
    if has_failed:
        print(engine.try_compose("logs", "--tail", "15", errors=False).text, file=sys.stderr, flush=True)
    engine.try_compose("--profile", "demo", "down", "--volumes", "--timeout", "10")
    remove_student(engine)


def end_at_signal(number, _):
    # The second one must not break off what removes containers.
    for each in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(each, signal.SIG_IGN)
    sys.exit(128 + number)


def main(docker, *compose):
    began = time.monotonic()
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, end_at_signal)
    with tempfile.TemporaryDirectory(
        prefix="gannet-docker-test.", dir=os.environ.get("GANNET_TMPDIR", "/var/tmp"), ignore_cleanup_errors=True
    ) as work:
        engine = Engine(ROOT, pathlib.Path(work), docker, compose)
        has_failed = True
        try:
            build_images(engine)
            say(f"images are built after {time.monotonic() - began:.0f} s")
            for step in STEPS:
                step(engine)
            say(f"passed in {time.monotonic() - began:.0f} s")
            has_failed = False
        except Failure as failure:
            report(failure)
        finally:
            clean_up(engine, has_failed)
    return 1 if has_failed else 0


if __name__ == "__main__":
    if len(sys.argv) < 3:
        sys.exit(__doc__)
    sys.exit(main(*sys.argv[1:]))
