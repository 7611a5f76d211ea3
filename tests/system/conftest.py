"""What the tests of the report share: one report, made once."""

import json
import xml.etree.ElementTree as ET

import pytest

from .report_page import DATA, make, read


@pytest.fixture(scope="session", name="whole")
def whole_fixture():
    return json.loads(read(DATA))


@pytest.fixture(scope="session", name="folder")
def folder_fixture(tmp_path_factory):
    folder = tmp_path_factory.mktemp("report") / "report"
    status, said = make(DATA, folder)
    assert status == 0, said
    return folder


@pytest.fixture(scope="session", name="page")
def page_fixture(folder):
    """The page is XML, too: that it can be parsed is that it is well-formed."""
    return ET.fromstring(read(folder / "index.html"))
