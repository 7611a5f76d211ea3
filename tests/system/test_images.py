"""Linux Images: where they are loaded is QEMU's rule, natively, in the runner and in the VMM; and how it is
known that the guest in one has carried out RUN."""

import glob
import re
import struct

import pytest

from scripts.runner import image, options as options_of, session
from . import front_door

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
    "longer-than-it-says": (2 * MIB, 0x1800, 0), "tail": (2 * MIB, MIB, MIB), "size-0": (2 * MIB, 0, MIB),
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


class Kept(session.Session):
    """A run whose console is kept."""
    text = ""

    def heard(self, text):
        self.text += text + "\n"


def run_unchecked(options, kernel):
    """A run of a kernel that the runner has not looked at: (status, console)."""
    runs = []

    def kind(*arguments):
        runs.append(Kept(*arguments))
        return runs[0]

    options.kernel = kernel
    return session.run(options, kind=kind), runs[0].text


@pytest.mark.parametrize("initrd", (0, MIB + 1))
def test_runner_and_vmm_decide_alike(initrd, tmp_path, monkeypatch):
    """What just fits below the device tree, or the initial RAM disk, is started by both; a byte more by neither."""
    monkeypatch.chdir(front_door.TOP)
    environment = {"MEM": "16M", "DISK_IMG": f"{tmp_path}/disk.img", "RUN": "x", "TIMEOUT": "40"}
    if initrd:
        (tmp_path / "initrd").write_bytes(b"x" * initrd)
        environment["INITRD"] = f"{tmp_path}/initrd"
    most = image.top(options_of.RAM_BASE, 16 * MIB, initrd) - WHERE
    good = make_image(tmp_path / "good", "image", 0, most)
    bad = make_image(tmp_path / "bad", "image", 0, most + 1)
    options = options_of.parse({**environment, "GUEST": good})
    status, text = run_unchecked(options, good)
    assert f"image at {WHERE:#x}" in text, text
    with pytest.raises(options_of.Refusal, match=r"does not fit MEM=16M: use MEM=\d+M or more"):
        options_of.parse({**environment, "GUEST": bad})
    status, text = run_unchecked(options, bad)
    assert status == 3 and "the guest's kernel does not fit the guest's RAM: give it more with MEM=" in text


def test_kernel_of_machine_mode_is_refused_by_name(tmp_path):
    """Linked where the firmware is, or the firmware itself: by the runner, and by the VMM too."""
    firmwares = [path for folder in ("/usr/lib/riscv64-linux-gnu/opensbi", "/usr/share/qemu")
                 for path in glob.glob(f"{folder}/**/*fw_*", recursive=True) if "riscv64" in path]
    assert firmwares, "the machine has no OpenSBI"
    for device in ("native", "virtio"):
        for guest in ("build/guests/machine.elf", *firmwares):
            status, output = front_door.make({"GUEST": guest, "DEVICE": device, "DISK_IMG": f"{tmp_path}/disk.img"}, 10)
            assert status == 2, output
            assert re.search(r"^trident: GUEST=\S+ .*it starts in machine mode, and a guest in machine mode is not "
                             r"supported\.$", output, re.MULTILINE), output


def test_vmm_refuses_machine_mode(tmp_path, monkeypatch):
    monkeypatch.chdir(front_door.TOP)
    options = options_of.parse({"GUEST": "build/guests/image.elf", "DISK_IMG": f"{tmp_path}/disk.img", "RUN": "x",
                                "TIMEOUT": "40"})
    status, text = run_unchecked(options, "build/guests/machine.elf")
    assert status == 3 and "it starts in machine mode, and a guest in machine mode is not supported" in text, text


@pytest.mark.parametrize("device", ("native", "virtio"))
def test_printed_marker_is_no_success(device, tmp_path):
    """The runner's word must come with the number that was drawn for the run."""
    options = {"GUEST": make_image(tmp_path / "Image", "marker", 2 * MIB, MIB), "DEVICE": device, "RUN": "false",
               "DISK_IMG": f"{tmp_path}/disk.img", "TIMEOUT": "40"}
    status, output = front_door.make(options)
    print(f"{output[-3000:]}\nThe same again: {front_door.shown(options)}")
    assert output.count("trident-run") == 5
    assert status == 1 and "the guest ended before it had carried out RUN" in output
