"""Linux Images: where they are loaded is QEMU's rule, natively, in the runner and in the VMM; and how it is
known that the guest in one has carried out RUN."""

import struct

import pytest

import front_door

PAGE = 4096
WHERE = 0x80200000
MIB = 1 << 20


@pytest.fixture(scope="session", autouse=True)
def built():
    status, output = front_door.run(["-s", "trident", "guests-bare"])
    assert status == 0, output


def make_image(path, guest, text_offset, image_size, tail=0):
    """Puts the header (Documentation/arch/riscv/boot-image-header.rst) in front of a bare guest that is linked
    one page behind; tail: bytes of the file after it, which end with a word that the guest looks for."""
    with open(f"{front_door.TOP}/build/guests/{guest}.bin", "rb") as file:
        code = file.read()
    jump = 0x6f | PAGE >> 12 << 12  # jal x0, PAGE
    last = PAGE + len(code) + tail - 4 if tail else 0
    header = struct.pack("<IIQQQIIQ8s4sI", jump, 0x13, text_offset, image_size, last, 2, 0, 0, b"RISCV\0\0\0",
                         b"RSC\x05", 0)
    rest = bytes(tail - 4) + b"TAIL" if tail else b""
    path.write_bytes(header + bytes(PAGE - len(header)) + code + rest)
    return str(path)


# text_offset, image_size, bytes behind the code
HEADERS = {
    "plain": (2 * MIB, MIB, 0), "offset-0": (0, MIB, 0), "offset-4M": (4 * MIB, MIB, 0),
    "offset-unaligned": (2 * MIB + PAGE, MIB, 0), "offset-huge": (1 << 63, MIB, 0),
    "longer-than-it-says": (2 * MIB, 0x1800, 0), "tail": (2 * MIB, MIB, MIB), "size-0": (2 * MIB, 0, PAGE),
}


@pytest.mark.parametrize("device", ("native", "virtio"))
@pytest.mark.parametrize("name", HEADERS)
def test_image_is_loaded_where_qemu_does(name, device, tmp_path):
    options = {"GUEST": make_image(tmp_path / "Image", "image", *HEADERS[name]), "DEVICE": device, "MEM": "32M",
               "DISK_IMG": f"{tmp_path}/disk.img", "TIMEOUT": "40"}
    status, output = front_door.make(options)
    print(f"{output[-3000:]}\nThe same again: {front_door.shown(options)}")
    assert status == 0
    assert f"\nimage at {WHERE:#x}\n" in output


@pytest.mark.parametrize("device", ("native", "virtio"))
def test_printed_marker_is_no_success(device, tmp_path):
    """The runner's word must come with the number that was drawn for the run."""
    options = {"GUEST": make_image(tmp_path / "Image", "marker", 2 * MIB, MIB), "DEVICE": device, "RUN": "false",
               "DISK_IMG": f"{tmp_path}/disk.img", "TIMEOUT": "40"}
    status, output = front_door.make(options)
    print(f"{output[-3000:]}\nThe same again: {front_door.shown(options)}")
    assert output.count("trident-run") == 5
    assert status == 1 and "the guest ended before it had carried out RUN" in output
