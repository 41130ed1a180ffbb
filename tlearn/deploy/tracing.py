"""A network as torch's graph, for any number of images. Letters: N images."""

from __future__ import annotations

import torch
from torch.export import Dim, ExportedProgram

from tlearn.deploy.exported_network import ExportedNetwork


def traced(network: ExportedNetwork) -> ExportedProgram:
    """Return the graph of a network, its only input uint8 (N, 3, S, S) with any N, without this machine's paths."""
    example = network.example()
    with torch.no_grad():
        network(example)  # timm's LeViT fills a cache in its first eval pass; a graph must find it filled
    program = torch.export.export(network, (example,), dynamic_shapes=({0: Dim("N")},))
    for node in program.graph.nodes:
        node.meta.pop("stack_trace", None)
    return program
