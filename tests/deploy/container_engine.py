"""What container_test.py needs to try containers: a client, a class started by compose, words for what goes wrong.

Everything here raises Failure where the test has found something, and UnexpectedExit where a command failed that was
not expected to.
"""

import math
import os
import re
import shlex
import socket
import subprocess
import sys
import time

# Of its own: an instructor's images stay what they are.
TAG = "docker-test"
# Without a registry.
IMAGES = "localhost/gannet"


class Failure(Exception):
    """The test has found a mistake. `detail` is what the programs concerned have said."""

    def __init__(self, what, detail=""):
        super().__init__(what)
        self.what = what
        self.detail = detail


class UnexpectedExit(Failure):
    """A command failed where none is expected to."""


class Answer:
    """What a command said and how it ended; `text` has no line end at its end."""

    def __init__(self, code, text):
        self.code = code
        self.text = text.rstrip("\n")

    @property
    def last_line(self):
        return self.text.rpartition("\n")[2]


def say(text):
    print(f"docker-test: {text}", flush=True)


def expect(is_right, what, detail=""):
    if not is_right:
        raise Failure(what, detail)


def report(failure):
    """Says what has failed, with the last lines of what was said about it."""
    print(f"docker-test: FAILED: {failure.what}", file=sys.stderr)
    for line in failure.detail.splitlines()[-30:]:
        print(f"    {line}", file=sys.stderr)
    sys.stderr.flush()


def image(name):
    return f"{IMAGES}/{name}:{TAG}"


def free_port():
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


def rounded_up(number, base):
    """A size as numfmt writes it: rounded up, with one decimal below ten."""
    for unit in ("", "K", "M", "G"):
        if unit and math.ceil(number * 10) < 100:
            return f"{math.ceil(number * 10) / 10:.1f}{unit}"
        if math.ceil(number) < base:
            return f"{math.ceil(number)}{unit}"
        number /= base
    return f"{math.ceil(number)}T"


def iec(number):
    return rounded_up(number, 1024)


def si(number):
    return rounded_up(number, 1000)


class Engine:
    """A client with BuildKit, and docker-compose for one project of the files in deploy/docker.

    Thread safety: none. Every command ends before the call returns, and gets nothing on its standard input.
    """

    def __init__(self, root, work, docker, compose):
        self.root = root
        self.work = work
        self.docker_client = docker
        self.compose_client = compose
        self.project = f"gannet-test-{os.getpid()}"
        # Nothing that the caller has set for a class of his own.
        self.environment = {key: value for key, value in os.environ.items() if not key.startswith("GANNET_")}
        self.last_answer = Answer(0, "")
        # Instead of an .env that lies there.
        self._empty = work / "empty.env"
        self._empty.touch()

    def try_run(self, command, errors=True, cwd=None, environment=None):
        """Answers with what a command says, and on standard error too unless `errors` is false, however it ends."""
        done = subprocess.run(
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT if errors else subprocess.DEVNULL,
            cwd=cwd,
            env={**self.environment, **(environment or {})},
            check=False,
        )
        self.last_answer = Answer(done.returncode, done.stdout.decode("utf-8", "replace"))
        return self.last_answer

    def run(self, command, what="", **options):
        """As try_run, for a command that must succeed; `what` says in a reader's words what has failed."""
        answer = self.try_run(command, **options)
        if answer.code != 0:
            if what:
                raise Failure(what, answer.text)
            raise UnexpectedExit(f"exit code {answer.code} of '{shlex.join(command)}'", answer.text)
        return answer

    def docker(self, *arguments, **options):
        return self.run([self.docker_client, *arguments], **options)

    def try_docker(self, *arguments, **options):
        return self.try_run([self.docker_client, *arguments], **options)

    def _compose_command(self, arguments):
        return [
            *self.compose_client,
            "--env-file",
            str(self._empty),
            "--project-name",
            self.project,
            "--file",
            "docker-compose.yml",
            *arguments,
        ]

    def _compose_options(self, environment):
        # Compose calls the client that has BuildKit.
        path = os.path.dirname(self.docker_client) + ":" + self.environment.get("PATH", "")
        return {"cwd": self.root / "deploy/docker", "environment": {"PATH": path, **(environment or {})}}

    def compose(self, *arguments, what="", errors=True, environment=None):
        options = self._compose_options(environment)
        return self.run(self._compose_command(arguments), what=what, errors=errors, **options)

    def try_compose(self, *arguments, errors=True, environment=None):
        return self.try_run(self._compose_command(arguments), errors=errors, **self._compose_options(environment))

    def check_tool(self, *command, options=(), what=""):
        """Runs a program of the image `check`, with the sources where it looks for them."""
        return self.docker(
            "run",
            "--rm",
            "--network",
            "host",
            "--volume",
            f"{self.root}:/src:ro",
            "--workdir",
            "/src",
            "--env",
            "PYTHONDONTWRITEBYTECODE=1",
            *options,
            image("check"),
            *command,
            what=what,
        )

    def inspect(self, container, template):
        return self.docker("inspect", "--format", template, container).text

    def container_of(self, service, *options):
        """The id of a service's first container, of those that run unless the options of `ps` say otherwise."""
        containers = self.compose("ps", *options, "-q", service, errors=False).text.split()
        expect(containers, f"{service} has no container")
        return containers[0]

    def save_output(self, target, service, *command):
        """Writes what a command in a service's container says into a file. Returns whether it succeeded."""
        options = self._compose_options(None)
        with open(target, "wb") as file:
            done = subprocess.run(
                self._compose_command(("exec", "-T", service, *command)),
                stdin=subprocess.DEVNULL,
                stdout=file,
                stderr=subprocess.DEVNULL,
                cwd=options["cwd"],
                env={**self.environment, **options["environment"]},
                check=False,
            )
        return done.returncode == 0

    def await_condition(self, limit, what, condition):
        """Waits until `condition` holds; a command that fails in it counts as not yet."""
        began = time.monotonic()
        while True:
            try:
                if condition():
                    return
            except UnexpectedExit:
                pass
            if time.monotonic() - began >= limit:
                raise Failure(f"{what} does not come within {limit} s", self.last_answer.text)
            time.sleep(0.5)

    def rounds(self):
        """The last published round as the coordinator tells it; None while it does not answer with one."""
        answer = self.try_compose("exec", "-T", "coordinator", "gannet", "rounds", "--csv", errors=False)
        number = answer.last_line.partition(",")[0]
        return int(number) if answer.code == 0 and re.fullmatch("[0-9]+", number) else None

    def rounds_at_least(self, number):
        rounds = self.rounds()
        return rounds is not None and rounds >= number

    def await_progress(self, when):
        """Waits until two more rounds are published."""
        self.await_condition(180, f"the coordinator's answer {when}", lambda: self.rounds_at_least(0))
        wanted = (self.rounds() or 0) + 2
        self.await_condition(180, f"another round {when}", lambda: self.rounds_at_least(wanted))
        say(f"rounds go on {when}")
