"""The published figures of bench/published.json are whole: schema, ranges, and what of ours they name."""

import json

import jsonschema

from . import front_door

TOP = front_door.TOP


def load(path):
    with open(f"{TOP}/{path}", encoding="utf-8") as file:
        return json.load(file)


def test_published_schema():
    jsonschema.validate(load("bench/published.json"), load("docs/published.schema.json"))


def test_published_figures():
    figures = load("bench/published.json")["figures"]
    names = [(row["source"], row["hardware"], row["system"], row["metric"]) for row in figures]
    assert len(set(names)) == len(names), "a figure is there twice"
    for row in figures:
        for amount in (row["value"], row["baseline"]):
            assert not isinstance(amount, list) or amount[0] < amount[1], row


def test_published_ours():
    """A figure set beside one of nano's operations names one that there is; a ratio has a baseline."""
    operations = load("docs/nano.schema.json")["items"]["properties"]["op"]["enum"]
    for row in load("bench/published.json")["figures"]:
        ours = row["ours"]
        assert not ours or ours["result"] != "nano" or ours["op"] in operations, row
        assert not ours or ours["as"] != "ratio" or row["baseline"] is not None, row
