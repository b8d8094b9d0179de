"""Many clients that spend until they are refused, and the upstream whose own bill is the judge (promises §2)."""

USD_PER_MILLION_IN, USD_PER_MILLION_OUT = 2, 10
"""What the upstream bills; a gateway is told the same prices."""


def bill_nano(prompt: int, answer: int) -> int:
    """What the upstream bills for so many tokens, in nano-dollars."""
    return prompt * USD_PER_MILLION_IN * 1000 + answer * USD_PER_MILLION_OUT * 1000
