"""Which addresses deliveries may go to (known fault 80)."""

import pytest

from gateway.notify.guard import Refused, Unknown, allowed, look_up, reason

pytestmark = pytest.mark.anyio


def leads_to(*addresses: str) -> "Names":
    return Names(addresses)


class Names:
    """A name server that says the same of every name, and counts how often it was asked."""

    def __init__(self, addresses: tuple[str, ...]) -> None:
        self.addresses = addresses
        self.asked = 0

    async def __call__(self, host: str, port: int) -> list[str]:
        self.asked += 1
        return list(self.addresses)


@pytest.mark.parametrize(
    "address",
    [
        "127.0.0.1", "127.8.9.10", "0.0.0.1", "10.1.2.3", "172.16.0.1", "192.168.1.1", "100.64.0.1", "100.100.100.200",
        "169.254.169.254", "168.63.129.16", "224.0.0.1", "239.1.2.3", "240.0.0.1", "255.255.255.255", "192.0.2.1",
        "::", "::1", "fe80::1", "fe80::1%eth0", "fc00::1", "fd00:ec2::254", "ff02::1", "2001:db8::1",
        "::ffff:127.0.0.1", "::ffff:10.0.0.1", "::ffff:169.254.169.254", "::ffff:a9fe:a9fe",
        "2002:7f00:1::1", "64:ff9b::7f00:1", "64:ff9b::a9fe:a9fe", "64:ff9b:1::1",
        "2001:0:4136:e378:8000:63bf:f5ff:fffe",
    ],
)  # fmt: skip
async def test_what_is_not_anybodys_on_the_internet_is_refused(address: str) -> None:
    assert reason(address) is not None
    with pytest.raises(Refused, match="allow_private"):
        await allowed("hooks.example.com", 443, leads_to(address), allow_private=False)
    assert await allowed("hooks.example.com", 443, leads_to(address), allow_private=True) == [address]


@pytest.mark.parametrize(
    "address", ["93.184.215.14", "1.1.1.1", "2606:4700:4700::1111", "::ffff:1.1.1.1", "64:ff9b::101:101"]
)
async def test_what_is_on_the_internet_is_let_through(address: str) -> None:
    assert await allowed("hooks.example.com", 443, leads_to(address), allow_private=False) == [address]


async def test_one_private_address_among_others_is_enough_to_refuse() -> None:
    with pytest.raises(Refused, match=r"hooks.example.com leads to 10.0.0.1, which is private"):
        await allowed("hooks.example.com", 443, leads_to("1.1.1.1", "10.0.0.1"), allow_private=False)


@pytest.mark.parametrize("host", ["localhost", "127.1", "2130706433", "0x7f000001", "::1", "::ffff:127.0.0.1"])
async def test_however_this_machine_is_written_it_is_refused(host: str) -> None:
    with pytest.raises(Refused):
        await allowed(host, 80, look_up, allow_private=False)


@pytest.mark.parametrize("host", ["nowhere.invalid", "a" * 70 + ".example", "..", "\udc80"])
async def test_a_name_without_an_address_is_unknown(host: str) -> None:
    with pytest.raises(Unknown):
        await allowed(host, 80, look_up, allow_private=True)
    with pytest.raises(Unknown):
        await allowed(host, 80, leads_to(), allow_private=True)
