"""The life of a worker: docs/protocol.md, "The life of a worker"."""

import pathlib
import threading
import time
from types import TracebackType

import grpc
from gannet.v1 import run_pb2, work_pb2
from google.protobuf.message import Message

from gannet_worker import augment, losses, tensors
from gannet_worker.client import Client
from gannet_worker.data import PackedDataset
from gannet_worker.gradient import GradientComputer, RunConfig, Statistics, WorkUnit
from gannet_worker.plan import planned_indices

_ACCEPTED = (
    work_pb2.SUBMIT_OUTCOME_ACCEPTED,
    work_pb2.SUBMIT_OUTCOME_LATE,
    work_pb2.SUBMIT_OUTCOME_ALREADY_ACCEPTED,
)
# The database was rolled back and knows nothing of the claim any more.
_FORGOTTEN = (grpc.StatusCode.NOT_FOUND, grpc.StatusCode.ALREADY_EXISTS)
_DIVERGED_LOSS = 10_000
_ENDED = (run_pb2.RUN_STATE_FINISHED, run_pb2.RUN_STATE_STOPPED)


def _has_unknown_fields(message: Message) -> bool:
    if len(message.UnknownFields()) > 0:
        return True
    parts = [v for field, v in message.ListFields() if field.message_type is not None]
    return any(_has_unknown_fields(part) for part in parts)


def check_config(config: RunConfig) -> None:
    """Refuses a run that this worker would compute otherwise than the others."""
    if _has_unknown_fields(config):
        raise ValueError("the run has settings that this worker does not know")
    if config.model.kind not in ("", "dcgan"):
        raise ValueError(f"no networks of the kind {config.model.kind} here")
    if (config.loss or "bce") not in losses.LOSSES:
        raise ValueError(f"no loss {config.loss} here")
    if not augment.NAMES.issuperset(name for name in config.augment.split(",") if name):
        raise ValueError(f"no augmentation {config.augment} here")
    if config.gradient_codec not in (tensors.FP32, tensors.FP16):
        raise ValueError(f"no codec {config.gradient_codec} here")


def check_gradient(gradient: tensors.Bundle, statistics: Statistics) -> None:
    """Refuses what comes of weights that no training returns from."""
    for name, tensor in gradient.items():
        if not bool(tensor.isfinite().all()):
            raise ValueError(f"the run has diverged: {name} is not finite")
    for loss in (statistics.discriminator_loss, statistics.generator_loss):
        if not abs(loss) <= _DIVERGED_LOSS:
            raise ValueError(f"the run has diverged: a loss is {loss}")


class Heartbeat:
    """Renews the lease of a unit from a thread of its own, until the block ends."""

    def __init__(self, client: Client, unit: WorkUnit, longest_interval_seconds: float) -> None:
        self._client = client
        self._unit = unit
        lease_seconds = unit.lease_duration.seconds + unit.lease_duration.nanos * 1e-9
        self._interval_seconds = min(longest_interval_seconds, max(0.1, lease_seconds / 3))
        self._done = threading.Event()
        self._thread = threading.Thread(target=self._beat, daemon=True)
        self.micro_batches_done = 0
        self.dropped = False

    def _beat(self) -> None:
        while not self._done.wait(self._interval_seconds):
            try:
                response = self._client.heartbeat(self._unit, self.micro_batches_done)
            except grpc.RpcError:
                continue  # the next beat, or the submission, tells whether it was permanent
            if self._unit.unit_id in response.dropped_unit_ids:
                self.dropped = True

    def __enter__(self) -> "Heartbeat":
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._done.set()
        self._thread.join()


class _Dropped(Exception):
    """Lease or weights are gone, and with them the reason to compute."""


class Worker:
    """Computes units until the run has ended.

    It also compares the images of each unit with the plan of a run whose settings never change: no
    worker needs to, but so the page is shown to be right about their order.
    """

    def __init__(self, client: Client, data_path: pathlib.Path) -> None:
        self._client = client
        # The first Join only asks: the data set cannot be opened before its image size is known.
        self._config = client.join(None).config
        check_config(self._config)
        self._dataset = PackedDataset(data_path, self._config.model.image_size)
        joined = client.join(self._dataset.fingerprint)
        interval = joined.heartbeat_interval
        self._heartbeat_seconds = interval.seconds + interval.nanos * 1e-9
        self._computer = GradientComputer(self._config)
        self._weights_sha256 = b""
        self.accepted_units = 0

    def work(self) -> None:
        """Returns when the run is finished or stopped."""
        while True:
            claimed = self._client.claim()
            if claimed.HasField("unit"):
                self._process(claimed.unit)
            elif claimed.state in _ENDED:
                self._client.leave()
                return

    def _process(self, unit: WorkUnit) -> None:
        with Heartbeat(self._client, unit, self._heartbeat_seconds) as heartbeat:

            def on_progress(done: int) -> None:
                heartbeat.micro_batches_done = done
                if heartbeat.dropped:
                    raise _Dropped

            try:
                if list(unit.image_indices) != planned_indices(self._config, unit):
                    raise ValueError("the unit has other images than were planned")
                self._ensure_weights(unit)
                start = time.monotonic()
                gradient, statistics = self._computer.compute(unit, self._dataset.read, on_progress)
                seconds = time.monotonic() - start
                check_gradient(gradient, statistics)
                data = tensors.encode(gradient, self._config.gradient_codec)
            except _Dropped:
                self._client.release(unit)
                return
            except ValueError as error:
                self._client.fail(unit, str(error))
                raise
            try:
                outcome = self._client.submit(unit, self._config.gradient_codec, data, statistics, seconds)
            except grpc.RpcError as error:
                if error.code() not in _FORGOTTEN:
                    raise
                return
            self.accepted_units += outcome in _ACCEPTED

    def _ensure_weights(self, unit: WorkUnit) -> None:
        if unit.weights_sha256 == self._weights_sha256:
            return
        try:
            data = self._client.fetch_weights(unit)
        except grpc.RpcError as error:
            if error.code() == grpc.StatusCode.NOT_FOUND:
                raise _Dropped from error
            raise
        self._computer.set_weights(tensors.decode(data))
        self._weights_sha256 = unit.weights_sha256
