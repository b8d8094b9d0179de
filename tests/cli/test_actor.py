from gateway.cli.actor import actor


def test_who_gave_the_command() -> None:
    assert actor().startswith("cli")
