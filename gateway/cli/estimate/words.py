"""Names of flags, and numbers for people and for programs."""

from decimal import Decimal


def flag(name: str) -> str:
    return {"input_tokens": "--input", "output_tokens": "--output"}.get(name, f"--{name.replace('_', '-')}")


def percent(share: Decimal) -> str:
    return f"{grouped(share * 100, 0, 1)} %"


def plain(number: Decimal, least: int, most: int) -> str:
    """Digits with as many decimals as the number has, within bounds: for programs."""
    return grouped(number, least, most).replace(",", "")


def grouped(number: Decimal, least: int, most: int) -> str:
    """The same with its thousands apart: for people."""
    exponent = number.normalize().as_tuple().exponent
    decimals = -exponent if isinstance(exponent, int) else least
    return f"{number:,.{min(max(decimals, least), most)}f}"
