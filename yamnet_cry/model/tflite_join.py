"""Joins two TFLite files: the second takes the input of the first, and the output of the first."""

from typing import Any

from yamnet_cry.errors import ExportError
from yamnet_cry.model.tflite_metadata import packed


def joined(first: bytes, second: bytes) -> bytes:
    """Joins two networks into one, in which the second takes the input and the output of the first.

    Args:
        first: The bytes of a ``.tflite`` file with one input.
        second: The bytes of one with two inputs: the input of the first, and output 0 of the first.

    Returns:
        The bytes of a file with the input of the first and the outputs of the second, without metadata.

    Raises:
        ExportError: If shapes or types of inputs and outputs do not match.
    """
    from ai_edge_litert import schema_py_generated as schema

    whole, added = (schema.ModelT.InitFromPackedBuf(model) for model in (first, second))
    graph, more = whole.subgraphs[0], added.subgraphs[0]
    given = [_kind(graph, graph.inputs[0]), _kind(graph, graph.outputs[0])]
    wanted = [_kind(more, number) for number in more.inputs]
    if len(graph.inputs) != 1 or sorted(given) != sorted(wanted):
        expected, received = (" and ".join(str(shape) for shape, _ in kinds) for kinds in (wanted, given))
        raise ExportError(f"the networks do not fit together. Expected: {expected}. Received: {received}")
    shared = {
        number: (graph.inputs, graph.outputs)[given.index(kind)][0]
        for number, kind in zip(more.inputs, wanted, strict=True)
    }
    tensors, buffers, codes = len(graph.tensors), len(whole.buffers), len(whole.operatorCodes)

    def placed(numbers: Any) -> list[int]:
        # The number of an absent optional input is -1.
        return [shared.get(each, each + tensors if each >= 0 else each) for each in numbers]

    for tensor in more.tensors:
        tensor.buffer += buffers
    for operator in more.operators:
        operator.opcodeIndex += codes
        operator.inputs, operator.outputs = placed(operator.inputs), placed(operator.outputs)
    graph.tensors += more.tensors
    graph.operators += more.operators
    graph.outputs = placed(more.outputs)
    whole.buffers += added.buffers
    whole.operatorCodes += added.operatorCodes
    # Both describe the inputs and outputs of one file, not of the joined network.
    whole.signatureDefs = whole.metadata = None
    return packed(whole)


def _kind(graph: Any, number: int) -> tuple[tuple[int, ...], int]:
    """Shape and type of a tensor."""
    tensor = graph.tensors[number]
    return tuple(int(size) for size in tensor.shape), int(tensor.type)
