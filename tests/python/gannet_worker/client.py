"""The calls of a worker: docs/protocol.md, "Calls"."""

import hashlib
import random
import secrets
import time
from typing import Any, Callable, Collection, Iterator, TypeVar

import grpc
from gannet.v1 import exchange_service_pb2 as messages
from gannet.v1 import exchange_service_pb2_grpc as services
from gannet.v1 import work_pb2

from gannet_worker.data import Fingerprint
from gannet_worker.gradient import Statistics, WorkUnit

PROTOCOL_VERSION = 1

_CHUNK_BYTES = 512 << 10
_CALL_SECONDS = 10.0
_TRANSFER_SECONDS = 600.0
_CLAIM_WAIT_SECONDS = 10

_PASSING = {
    grpc.StatusCode.UNAVAILABLE,
    grpc.StatusCode.ABORTED,
    grpc.StatusCode.RESOURCE_EXHAUSTED,
    grpc.StatusCode.DEADLINE_EXCEEDED,
    grpc.StatusCode.UNKNOWN,
}
# Also worth a repeat: no run has been created yet; bytes were damaged on their way.
_PASSING_AT_JOIN = {grpc.StatusCode.NOT_FOUND}
_PASSING_WITH_BYTES = {grpc.StatusCode.DATA_LOSS}

Answer = TypeVar("Answer")


def retrying(call: Callable[[], Answer], retry_seconds: float, also: Collection[grpc.StatusCode] = ()) -> Answer:
    """Repeats a call, which must be idempotent, with back-off while its failure may pass."""
    give_up = time.monotonic() + retry_seconds
    pause = 0.1
    while True:
        try:
            return call()
        except grpc.RpcError as error:
            passing = error.code() in _PASSING or error.code() in also
            if not passing or time.monotonic() > give_up:
                raise
        time.sleep(pause * random.uniform(0.8, 1.2))
        pause = min(2 * pause, 10.0)


class Client:
    """One worker's calls to a gateway. Every call is repeated until it is answered."""

    def __init__(self, address: str, class_code: str = "", retry_seconds: float = 60) -> None:
        # Over a network this would be grpc.secure_channel with the authority's certificate.
        self._channel = grpc.insecure_channel(address)
        self._stub = services.ExchangeServiceStub(self._channel)
        self._retry_seconds = retry_seconds
        self._join_metadata = (("authorization", f"Bearer {class_code}"),) if class_code else ()
        self._identity = messages.WorkerIdentity(
            worker_id=secrets.token_hex(16),
            secret=secrets.token_hex(32),
            incarnation=time.time_ns() // 1000,
        )
        self._run_id = 0

    def join(self, fingerprint: Fingerprint | None) -> Any:
        """Asks for the run; with a fingerprint also registers this worker in it."""
        request = messages.JoinRequest(
            worker=self._identity,
            display_name="python",
            hardware="stock PyTorch",
            protocol_version=PROTOCOL_VERSION,
        )
        if fingerprint is not None:
            request.data.kind = fingerprint.kind
            request.data.image_count = fingerprint.image_count
            request.data.digest = fingerprint.digest
            request.data.description = fingerprint.description
        response = self._call(
            lambda: self._stub.Join(request, timeout=_CALL_SECONDS, metadata=self._join_metadata),
            _PASSING_AT_JOIN,
        )
        self._run_id = response.run_id
        return response

    def claim(self) -> Any:
        """A unit, or none after a while."""
        request = messages.ClaimRequest(worker=self._identity, run_id=self._run_id, request_id=secrets.token_hex(16))
        request.wait_duration.seconds = _CLAIM_WAIT_SECONDS
        limit = _CLAIM_WAIT_SECONDS + _CALL_SECONDS
        return self._call(lambda: self._stub.Claim(request, timeout=limit))

    def fetch_weights(self, unit: WorkUnit) -> bytes:
        """The bytes of the unit's weights, checked against what the unit names."""
        request = messages.FetchWeightsRequest(
            worker=self._identity,
            run_id=self._run_id,
            weights_version=unit.weights_version,
            weights_sha256=unit.weights_sha256,
        )

        def fetch() -> bytes:
            parts: list[bytes] = []
            for part in self._stub.FetchWeights(request, timeout=_TRANSFER_SECONDS):
                if part.HasField("chunk"):
                    parts.append(part.chunk)
            return b"".join(parts)

        data = self._call(fetch, _PASSING_WITH_BYTES)
        if hashlib.sha256(data).digest() != unit.weights_sha256:
            raise ValueError("the weights do not match their checksum")
        return data

    def heartbeat(self, unit: WorkUnit, micro_batches_done: int) -> Any:
        """Renews the lease of the unit. Not repeated: the next beat comes soon."""
        progress = work_pb2.UnitProgress(
            unit_id=unit.unit_id, attempt=unit.attempt, micro_batches_done=micro_batches_done
        )
        request = messages.HeartbeatRequest(worker=self._identity, run_id=self._run_id, progress=[progress])
        return self._stub.Heartbeat(request, timeout=_CALL_SECONDS)

    def submit(self, unit: WorkUnit, codec: int, data: bytes, statistics: Statistics, seconds: float) -> int:
        """Hands a gradient in; the outcome."""
        header = messages.SubmitHeader(
            worker=self._identity, run_id=self._run_id, unit_id=unit.unit_id, attempt=unit.attempt
        )
        images = len(unit.image_indices)
        header.stats.image_count = images
        header.stats.micro_batch_count = statistics.micro_batch_count
        header.stats.discriminator_loss = statistics.discriminator_loss
        header.stats.generator_loss = statistics.generator_loss
        header.stats.real_accuracy = statistics.real_correct / images
        header.stats.fake_accuracy = statistics.fake_correct / images
        header.stats.compute_seconds = seconds
        header.payload.codec = codec
        header.payload.total_bytes = len(data)
        header.payload.sha256 = hashlib.sha256(data).digest()

        def stream() -> Iterator[Any]:
            yield messages.SubmitRequest(header=header)
            for begin in range(0, len(data), _CHUNK_BYTES):
                yield messages.SubmitRequest(chunk=data[begin : begin + _CHUNK_BYTES])

        response = self._call(lambda: self._stub.Submit(stream(), timeout=_TRANSFER_SECONDS), _PASSING_WITH_BYTES)
        return int(response.outcome)

    def release(self, unit: WorkUnit) -> None:
        """Gives a unit back at once."""
        request = messages.ReleaseRequest(
            worker=self._identity, run_id=self._run_id, unit_id=unit.unit_id, attempt=unit.attempt
        )
        self._stub.Release(request, timeout=_CALL_SECONDS)

    def fail(self, unit: WorkUnit, reason: str) -> None:
        """Says that a unit cannot be computed here."""
        request = messages.FailRequest(
            worker=self._identity,
            run_id=self._run_id,
            unit_id=unit.unit_id,
            attempt=unit.attempt,
            reason=reason[:500],
        )
        self._call(lambda: self._stub.Fail(request, timeout=_CALL_SECONDS))

    def leave(self) -> None:
        """Signs off."""
        request = messages.LeaveRequest(worker=self._identity, run_id=self._run_id)
        self._stub.Leave(request, timeout=_CALL_SECONDS)
        self._channel.close()

    def _call(self, call: Callable[[], Answer], also: Collection[grpc.StatusCode] = ()) -> Answer:
        return retrying(call, self._retry_seconds, also)
