"""Prefetching: computes the next item on another thread while the present one is used."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar, cast

Item = TypeVar("Item")


def ahead(items: Iterator[Item]) -> Iterator[Item]:
    """Computes the next item on another thread while the present one is used.

    Decoding, FFTs and the student all release the GIL, so that long audio uses two cores. Short audio ends
    before a thread would have started, so the first three items are computed on the caller's thread.
    """
    end = object()
    for _ in range(3):
        first = next(items, end)
        if first is end:
            return
        yield cast(Item, first)
    with ThreadPoolExecutor(1) as executor:
        item: Item | object = executor.submit(next, items, end).result()
        while item is not end:
            following = executor.submit(next, items, end)
            yield cast(Item, item)
            item = following.result()
