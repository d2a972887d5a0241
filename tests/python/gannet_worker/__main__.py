"""usage: python3 -m gannet_worker GATEWAY_ADDRESS PACKED_FILE"""

import os
import pathlib
import sys

import torch

from gannet_worker.client import Client
from gannet_worker.worker import Worker


def main() -> None:
    """Works for the run that is not finished, until it is."""
    address, path = sys.argv[1:]
    torch.set_num_threads(1)
    # Some versions of oneDNN leave parts of convolutions unwritten for some numbers of channels.
    torch.backends.mkldnn.enabled = False
    client = Client(address, os.environ.get("GANNET_WORKER_CLASS_CODE", ""))
    worker = Worker(client, pathlib.Path(path))
    worker.work()
    print(f"units accepted: {worker.accepted_units}")


main()
