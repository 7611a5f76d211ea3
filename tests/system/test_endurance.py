"""The tests of tests/soak in short: nothing lost, nothing hung, in Debian's Linux."""


import pytest

from ..soak import clock, errors, kill, memory, reset
from ..soak.guest import EVERY, STRATEGIES, Failed
from . import front_door


@pytest.fixture(scope="session", autouse=True)
def built():
    status, output = front_door.run(["-s", "guest-soak", "trident", "guest"], 900)
    assert status == 0, output


@pytest.mark.parametrize("device", STRATEGIES)
def test_kill(device, tmp_path):
    print(kill.kill(device, 2, str(tmp_path)))


def test_kill_sees_a_lost_block():
    blocks = 16
    data = bytearray(blocks * kill.BLOCK)
    for n in (0, 1, 2):
        place = n * kill.STRIDE % blocks * kill.BLOCK
        data[place:place + kill.BLOCK] = kill.content(n)
    kill.check_blocks(bytes(data), [0, 1], blocks)
    with pytest.raises(Failed, match="block 3 was acknowledged"):
        kill.check_blocks(bytes(data), [0, 1, 3], blocks)
    data[2 * kill.STRIDE % blocks * kill.BLOCK + 100] ^= 1
    with pytest.raises(Failed, match="what was never written"):
        kill.check_blocks(bytes(data), [0, 1], blocks)


@pytest.mark.parametrize("kind", errors.KINDS)
@pytest.mark.parametrize("device", EVERY)
def test_errors_from_below(device, kind, tmp_path):
    print(errors.errors(device, kind, str(tmp_path)))


@pytest.mark.parametrize("kind", errors.KINDS)
def test_errors_from_below_ata(kind, tmp_path):
    print(errors.errors_ata(kind, str(tmp_path)))


@pytest.mark.parametrize("device", STRATEGIES)
def test_reboots(device, tmp_path):
    print(reset.reboots(device, 3, str(tmp_path)))


@pytest.mark.parametrize("device", STRATEGIES)
def test_clock_and_reloads(device, tmp_path):
    guest, sentence = reset.reloads(device, 5, str(tmp_path), before="soak clock 5")
    print(sentence)
    print(clock.check_clock(device, guest, 5))


@pytest.mark.parametrize("device", STRATEGIES)
@pytest.mark.parametrize("size", ["64M", "4G"])
def test_memory(device, size, tmp_path):
    print(memory.run_guest(device, size, "our guest", {"RUN": "mem; disktest"}, str(tmp_path))[1])


@pytest.mark.parametrize("size", ["128M", "4G"])
def test_memory_linux(size, tmp_path):
    for sentence in memory.memory("virtio", size, str(tmp_path)):
        print(sentence)
