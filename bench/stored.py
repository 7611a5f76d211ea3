"""A file of results as text: plain, or compressed (.xz, .gz)."""

import gzip
import lzma
import zlib

OPENERS = {".xz": lzma.open, ".gz": gzip.open}


def read(path):
    """Its text. OSError: it cannot be read; ValueError: what is in it is no text, or cut off."""
    opener = next((opener for end, opener in OPENERS.items() if path.endswith(end)), open)
    try:
        with opener(path, "rt", encoding="utf-8") as file:
            return file.read()
    except (lzma.LZMAError, zlib.error, EOFError, gzip.BadGzipFile) as error:
        raise ValueError(str(error)) from None


def packed(text):
    """As it is stored in a .xz file: the same text gives the same bytes."""
    return lzma.compress(text.encode(), preset=9)
