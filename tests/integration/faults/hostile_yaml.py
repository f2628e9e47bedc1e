"""Configurations that try to run code or to take all memory; ``{trap}`` is a folder to make."""

import itertools

HOSTILE_YAML = {
    "an object": "data: !!python/object/apply:os.mkdir [{trap}]",
    "a name": "data: !!python/name:os.system",
    "no number": "train: {{epochs: !!int ''}}",
    "no float": "train: {{epochs: !!float ''}}",
    "no truth": "train: {{epochs: !!bool x}}",
    "no date": "train: {{epochs: !!timestamp x}}",
    "a huge number": "train: {{epochs: 1" + "0" * 5000 + "}}",
    "a huge hexadecimal": "train: {{precision: 0x1" + "0" * 5000 + "}}",
    "a number out of range": "optimizer: {{learning_rate: 1e999}}",
    "not a number": "optimizer: {{learning_rate: .nan}}",
    "a list for a key": "? [a, b]\n: 1",
    "a laugh": "data:\n  train_index:\n  - &a [x, x, x, x, x, x, x, x, x]\n"
    + "".join(f"  - &{b} [" + ", ".join(f"*{a}" for _ in range(9)) + "]\n"
              for a, b in itertools.pairwise("abcdefghij")),
    "a list of itself": "data: &a [*a]",
    "itself": "data: &a {{train_index: *a}}",
    "a depth": "[" * 3000,
    "a tab": "data:\n\t- x",
    "zero bytes": "data: \0",
    "a merge": "data: {{<<: 3}}",
}  # fmt: skip
