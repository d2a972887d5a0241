"""A worker written from docs/protocol.md and the proto files alone, with stock PyTorch.

It shows that the page is complete: nothing here calls or copies Gannet's own code. It is a test,
not a product: it computes one unit at a time on one thread and keeps no gradient on disk.
"""
