"""The reference of all settings, from the model."""

from gateway.settings import describe, later, table


def test_every_setting_has_a_sentence_and_a_type() -> None:
    docs = describe()
    assert len({doc.path for doc in docs}) == len(docs)
    for doc in docs:
        assert doc.type
        assert doc.default
        assert doc.sentence.endswith(".")
        assert doc.sentence[0].isupper()


def test_paths_defaults_and_variables_are_those_of_the_file() -> None:
    by_path = {doc.path: doc for doc in describe()}
    port = by_path["server.port"]
    assert (port.default, port.variable) == ("`4000`", "TOLLKEEPER_SERVER_PORT")
    assert by_path["prices.TARGET.usd_per_million.BUCKET"].variable is None
    assert by_path["prices.on_unknown"].variable == "TOLLKEEPER_PRICES_ON_UNKNOWN"
    assert by_path["server.tls.cert"].default == "required"
    assert by_path["providers.NAME.api_key"].default == "not set"


def test_the_table_has_a_row_for_each() -> None:
    rows = table().splitlines()[2:]
    assert [row.split("`")[1] for row in rows] == [doc.path for doc in describe()]
    assert all(row.count(" | ") == 4 for row in rows)


def test_what_comes_later_is_listed_by_path() -> None:
    assert {"cache", "server.trusted_proxies"} <= set(later())
    assert not {doc.path for doc in describe()} & set(later())
