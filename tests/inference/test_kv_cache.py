"""The shared cache compared with a plain list for each row."""

import torch

from steiner.inference.kv_cache import KVCache, PromptBatch

HEADS, WIDTH = 2, 3


class Twin:
    """A KVCache, and plain lists of the values that each row should hold."""

    def __init__(self):
        self.cache = KVCache(4, torch.device("cpu"))
        self.rows = []
        self.generator = torch.Generator().manual_seed(0)

    def random(self, *shape):
        return torch.randn(*shape, generator=self.generator)

    def join(self, *lengths):
        first, cache = len(self.rows), self.cache
        names = [tuple(range(100 * i, 100 * i + length)) for i, length in enumerate(lengths)]
        prompts = PromptBatch.of(names, first, torch.device("cpu"))
        cache.make_room(first + len(lengths), prompts.width)
        for place, length in enumerate(lengths, first):
            cache.begin(place, length)
        cache.resize(first + len(lengths))
        keys, values = self.random(2, len(lengths), HEADS, prompts.width, WIDTH)
        cache.write_prompt(0, prompts, keys, values)
        for i, length in enumerate(lengths):
            start = prompts.width - length
            self.rows.append((keys[i, :, start:], values[i, :, start:]))

    def append(self):
        self.cache.make_room(len(self.rows), 0)
        keys, values = self.random(2, len(self.rows), HEADS, 1, WIDTH)
        positions = self.cache.positions.tolist()
        window = self.cache.append(0, keys, values)
        for i, (old_keys, old_values) in enumerate(self.rows):
            assert positions[i] == old_keys.shape[1]
            self.rows[i] = torch.cat([old_keys, keys[i]], 1), torch.cat([old_values, values[i]], 1)
        self.check(*window)
        self.cache.end += 1

    def leave(self, place):
        last = len(self.rows) - 1
        if place < last:
            self.cache.move(last, place)
            self.rows[place] = self.rows[last]
        self.rows.pop()
        self.cache.resize(last)

    def check(self, keys, values):
        for i, (row_keys, row_values) in enumerate(self.rows):
            visible = self.cache.bias[i] == 0
            assert torch.equal(keys[i][:, visible], row_keys)
            assert torch.equal(values[i][:, visible], row_values)


def test_rows_keep_their_values_while_others_join_leave_and_move():
    twin = Twin()
    twin.join(5, 2, 9)
    for _ in range(20):
        twin.append()
    twin.leave(1)
    twin.append()
    twin.join(40, 1)  # longer than all earlier prompts: the live columns move to the right
    for _ in range(300):  # beyond the first capacity
        twin.append()
    twin.leave(0)
    twin.join(7)
    for _ in range(300):
        twin.append()


def test_the_window_shrinks_when_the_longest_row_leaves():
    twin = Twin()
    twin.join(50, 3)
    twin.append()
    # 50 of the prompt, one written, one about to be
    assert twin.cache.bias.shape == (2, 52)
    twin.leave(0)
    assert twin.cache.bias.shape[1] == 5


def test_equal_prompts_are_computed_once():
    batch = PromptBatch.of([(1, 2), (3,), (1, 2)], 4, torch.device("cpu"))
    assert batch.ids.tolist() == [[1, 2], [0, 3]]
    assert batch.source.tolist() == [0, 1, 0]
    assert batch.rows == slice(4, 7)
    assert batch.positions.tolist() == [[0, 1], [0, 0]]


def test_memory_follows_the_rows_in_use():
    twin = Twin()
    twin.join(3)
    assert twin.cache.keys[0].shape[0] == twin.cache.values[0].shape[0] == 1
    twin.append()
    twin.join(5, 2)
    assert twin.cache.keys[0].shape[0] == twin.cache.values[0].shape[0] == 3
    twin.append()
    twin.cache.clear()
    assert twin.cache.keys == []
